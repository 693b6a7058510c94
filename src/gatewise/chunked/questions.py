"""Questions that are asked of every sequence by itself, and their answers as numbers with named axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.chunked.wanted import Cells, Part, Run, lstm_of
from gatewise.errors import OptionError
from gatewise.insight.ceiling import Ceiling, ceiling
from gatewise.insight.memory import Timescales, timescales
from gatewise.insight.saturation import GATES, Saturation, saturation

Told = Iterator[tuple[str, bool, tuple[str, ...], Any]]  # names, whether there is one for each step, axes, arrays
TIMESCALES = ("timescale", "half_life", "span")
OF_GATES, OF_UNITS = ("closed", "open", "mean", "deviation", "stuck"), ("moves", "dead")


def _timescales(answer: Timescales) -> Told:
    for name in ("forget_gate", *TIMESCALES):
        yield name, False, ("unit",), answer.columns[name]


def _saturation(answer: Saturation) -> Told:
    for names, dims in ((OF_GATES, ("gate", "unit")), (OF_UNITS, ("unit",))):
        for name in names:
            yield name, False, dims, getattr(answer, name)


def _ceiling(answer: Ceiling) -> Told:
    yield "ceiling", False, ("output",), answer.ceiling
    yield "floor", False, ("output",), answer.floor
    for name, array in {"value": answer.output, **answer.losses}.items():
        yield name, True, ("output",), array


@dataclass(frozen=True)
class Kind:
    """A question.

    Attributes
    ----------
    function : callable
        Of `gatewise.insight`.
    told : callable
        Goes through the numbers of an answer.
    keep : tuple of str or None
        What a trace must keep for it.
    of_a_cell : bool
        Whether it is asked of one cell, and not of the model.
    """

    function: Callable[..., Any]
    told: Callable[[Any], Told]
    keep: tuple[str, ...] | None
    of_a_cell: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """The options that it has for every sequence."""
        return tuple(name for name in [*signature(self.function).parameters][1:] if name != "sequence")


KINDS = {
    "timescales": Kind(timescales, _timescales, ("forget_gate",)),
    "saturation": Kind(saturation, _saturation, (*GATES, "hidden_state", "unprojected_state")),
    "ceiling": Kind(ceiling, _ceiling, None, of_a_cell=False),
}


@dataclass(frozen=True, eq=False)
class Question:
    """A question, asked of the run of each sequence.

    Attributes
    ----------
    name : str
        Of `KINDS`.
    cells : Cells
    given : dict
        The question's own options.
    final : bool
        Whether the model puts out nothing but its last step.
    """

    name: str
    cells: Cells
    given: Mapping[str, Any]
    final: bool = False

    @property
    def options(self) -> Mapping[str, Any]:
        """What a trace keeps."""
        return {"keep": KINDS[self.name].keep}

    def asked(self, run: Run) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Go through the answers."""
        kind = KINDS[self.name]
        subjects: Any = self.cells.of(run) if kind.of_a_cell else [((), run)]
        for place, subject in subjects:
            yield place, kind.function(subject, **self.given)

    def parts(self, run: Run) -> Iterator[Part]:
        """Go through the numbers of the answers of one sequence; there are none where there is no answer."""
        kind = KINDS[self.name]
        if _unanswerable(run):
            return
        for place, answer in self.asked(run):
            for name, timed, dims, given in kind.told(answer):
                array: Array = np.asarray(given, np.float64)  # also what is true or false: NaN, where not known
                if timed and self.final:
                    timed, array = False, array[0]
                yield Part(name, place, timed, dims, array[:, None] if timed else array[None])


def _unanswerable(run: Run) -> bool:
    """Whether a run of one sequence has no valid step, or is not finite: then no question has an answer."""
    lstm = lstm_of(run)
    cell = next(iter(lstm.layers[-1].values()))
    if cell.valid is not None and not cell.valid.any():
        return True
    return not np.isfinite(lstm.output).all()


def kind_of(name: object) -> Kind:
    """Return a question by its name, or raise OptionError."""
    if not isinstance(name, str) or name not in KINDS:
        raise OptionError(f"ask must be one of {', '.join(KINDS)}, not {name!r}")
    return KINDS[name]
