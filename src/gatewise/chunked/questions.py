"""Questions that are asked of every sequence by itself, and their answers as numbers with named axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.chunked.selections import Cells, QuantitySelection, VariablePart
from gatewise.errors import OptionError
from gatewise.insight.ceiling import LOSSES, Ceiling, ceiling
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.saturation import GATES, Saturation, saturation
from gatewise.network import Run

AnswerArrays = Iterator[tuple[str, bool, tuple[str, ...], Any]]  # names, whether for each step, axes, arrays
TIMESCALES = ("timescale", "half_life", "span")
OF_GATES, OF_UNITS = ("closed", "open", "mean", "deviation", "stuck"), ("moves", "dead")

LONG_NAMES = {
    "forget_gate": "geometric mean of the forget gate",
    "timescale": "steps until 1/e of a cell state is left",
    "half_life": "steps until half of a cell state is left",
    "span": "steps until a hundredth of a cell state is left",
    "closed": "share of the steps at which the gate is nearly closed",
    "open": "share of the steps at which the gate is nearly open",
    "mean": "mean of the gate",
    "deviation": "standard deviation of the gate",
    "stuck": "whether the gate is nearly closed, or nearly open, at every step (1: yes)",
    "moves": "largest minus smallest hidden state",
    "dead": "whether the hidden state hardly moves (1: yes)",
    "ceiling": "largest output that bounded states allow",
    "floor": "smallest output that bounded states allow",
    "value": "output of the run",
    **{name: f"output lost to {words}" for name, words in LOSSES.items()},
}


def _timescale_arrays(answer: Timescales) -> AnswerArrays:
    for name in ("forget_gate", *TIMESCALES):
        yield name, False, ("unit",), answer.columns[name]


def _saturation_arrays(answer: Saturation) -> AnswerArrays:
    """Yield the numbers of an answer about the saturation of gates, as variables of an `xarray.Dataset`."""
    for names, dims in ((OF_GATES, ("gate", "unit")), (OF_UNITS, ("unit",))):
        for name in names:
            yield name, False, dims, getattr(answer, name)


def _ceiling_arrays(answer: Ceiling) -> AnswerArrays:
    """Yield the numbers of an answer about the ceiling of a sequence, as variables of an `xarray.Dataset`."""
    yield "ceiling", False, ("output",), answer.ceiling
    yield "floor", False, ("output",), answer.floor
    for name, array in {"value": answer.output, **answer.losses}.items():
        yield name, True, ("output",), array


@dataclass(frozen=True)
class QuestionKind:
    """A question that is asked of each sequence.

    Attributes
    ----------
    function : callable
        Of `gatewise.insight`.
    arrays : callable
        Yields the numbers of an answer.
    keep : tuple of str or None
        The quantities that a trace must keep for it.
    of_a_cell : bool
        Whether it is asked of one cell, and not of the model.
    """

    function: Callable[..., Any]
    arrays: Callable[[Any], AnswerArrays]
    keep: tuple[str, ...] | None
    of_a_cell: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """The options that it has for every sequence."""
        return tuple(name for name in [*signature(self.function).parameters][1:] if name != "sequence")


KINDS = {
    "timescales": QuestionKind(timescales, _timescale_arrays, ("forget_gate",)),
    "saturation": QuestionKind(saturation, _saturation_arrays, (*GATES, "hidden_state", "unprojected_state")),
    "ceiling": QuestionKind(ceiling, _ceiling_arrays, None, of_a_cell=False),
}


@dataclass(frozen=True, eq=False)
class SequenceQuestion:
    """A question of `KINDS`, with its arguments, asked of the run of each sequence.

    It is `final` if the model's only output is that of the last step.
    """

    name: str
    cells: Cells
    arguments: Mapping[str, Any]
    final: bool = False

    @classmethod
    def of(cls, name: object, cells: Cells, arguments: Mapping[str, Any], *, final: bool) -> SequenceQuestion:
        """Return a question by its name, with its arguments checked."""
        if not isinstance(name, str) or name not in KINDS:
            raise OptionError(f"ask must be one of {', '.join(KINDS)}, not {name!r}")
        options = KINDS[name].options
        if unknown := set(arguments) - set(options):
            raise OptionError(f"{name} has no option {min(unknown)}; it has {', '.join(options) or 'none'}")
        return cls(name, cells, arguments, final)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the trace: the quantities that the question needs."""
        return {"keep": KINDS[self.name].keep}

    def parts(self, run: Run) -> Iterator[VariablePart]:
        """Yield the answers about one sequence's run as parts of an `xarray.Dataset`; none if they cannot be given."""
        kind = KINDS[self.name]
        if _unanswerable(run):
            return
        subjects: Any = self.cells.of(run) if kind.of_a_cell else [((), run)]
        for place, subject in subjects:
            for name, timed, dims, values in kind.arrays(kind.function(subject, **self.arguments)):
                array: Array = np.asarray(values, np.float64)  # truth values too: NaN stands for unknown
                if timed and self.final:
                    timed, array = False, array[0]
                yield VariablePart(name, place, timed, dims, array[:, None] if timed else array[None])


Selection = QuantitySelection | SequenceQuestion  # the part of a run that a result holds


def _unanswerable(run: Run) -> bool:
    """Whether a run of one sequence has no valid step, or is not finite: then no question has an answer."""
    valid = run.lstm.first.valid
    return (valid is not None and not valid.any()) or not np.isfinite(run.lstm.output).all()
