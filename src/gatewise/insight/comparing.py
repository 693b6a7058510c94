"""Two runs side by side, cell by cell: whether they can be compared, and how far apart their numbers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import NotKeptError, OptionError, ShapeError, join_names
from gatewise.insight.retention import pieces
from gatewise.records.run_record import RunRecord
from gatewise.records.trace import Trace

ORDER = ("input", "input_gate", "forget_gate", "candidate", "cell_state", "output_gate", "hidden_state")
COMPARED = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state")
Cell = tuple[int, str]
Pairs = dict[Cell, tuple[Trace, Trace]]


class Place(NamedTuple):
    """One number of two runs.

    Attributes
    ----------
    layer : int
    direction : str
    step, sequence : int
        The step among those that the traces kept.
    quantity : str
        ``input``, a gate, or a state.
    unit : int
        Or which feature of the input.
    before, after : float
        What it is in the two runs.
    """

    layer: int
    direction: str
    step: int
    sequence: int
    quantity: str
    unit: int
    before: float
    after: float


def paired(before: object, after: object) -> Pairs:
    """Return the traces of each cell of both runs."""
    if not isinstance(before, RunRecord) or not isinstance(after, type(before)):
        raise OptionError(
            "two runs are compared of one kind, Trace, LSTMTrace or NetworkTrace, not"
            f" {type(before).__name__} and {type(after).__name__}"
        )
    one, other = (run.stored.cells() for run in (before, after))
    if list(one) != list(other):
        raise OptionError(f"the two runs must have the same cells; they have {_names(one)}, and {_names(other)}")
    for cell in one:
        _require_alike(one[cell], other[cell])
    return {cell: (one[cell], other[cell]) for cell in one}


def _names(cells: Mapping[Cell, Trace]) -> str:
    return join_names(f"layer {layer} {direction}" for layer, direction in cells)


def _require_alike(one: Trace, other: Trace) -> None:
    shapes = [
        (run.num_steps, run.batch_size, run.parameters.hidden_size, run.parameters.recurrent_size)
        for run in (one, other)
    ]
    if shapes[0] != shapes[1]:
        names = ("steps", "sequences", "units", "entries of the hidden state")
        said = [", ".join(f"{n} {name}" for n, name in zip(shape, names, strict=True)) for shape in shapes]
        raise ShapeError(f"the two runs must have the same shape; they have {said[0]}, and {said[1]}")
    if not len(one) or not one.batch_size:
        what = "sequences" if len(one) else "steps"
        raise OptionError(f"two runs are compared step by step; these have no {what}")
    if (one.keep.units, one.keep.every) != (other.keep.units, other.keep.every):
        raise OptionError(f"the two runs must have kept the same units and steps, not {one.keep}, and {other.keep}")
    valid = [np.ones((run.num_steps, run.batch_size), bool) if run.valid is None else run.valid for run in (one, other)]
    if not np.array_equal(valid[0], valid[1]):
        raise OptionError("the two runs must have the same valid steps")
    if not _quantities(one, other):
        raise NotKeptError("the two runs kept no gate and no state in common")


def _quantities(one: Trace, other: Trace) -> tuple[str, ...]:
    return tuple(name for name in COMPARED if name in one.keep.quantities and name in other.keep.quantities)


def tolerance_of(given: float | None, pairs: Pairs) -> float:
    """Return how far apart numbers are that count as the same: see `gatewise.insight.change`."""
    if given is None:
        traces = [run for pair in pairs.values() for run in pair]
        if all(one.engine == other.engine for one, other in pairs.values()):
            return 0.0
        return float(max(np.sqrt(np.finfo(run.parameters.dtype).eps) for run in traces))
    if isinstance(given, bool) or not isinstance(given, (int, float, np.number)) or not 0 <= given < np.inf:
        raise OptionError(f"tolerance must be a number that is not negative, not {given!r}")
    return float(given)


class Compared:
    """One cell in two runs: for each step the norms of what changed, and where it changed most."""

    def __init__(self, one: Trace, other: Trace, tolerance: float) -> None:
        self.pair, self.quantities = (one, other), _quantities(one, other)
        time = len(one)
        self.norms: Array = np.zeros((time, len(self.quantities)))
        self.most: Array = np.zeros((time, len(self.quantities)))  # the largest difference of each step
        self.parted: dict[str, npt.NDArray[np.bool_]] = {}
        width = one.batch_size * one.parameters.hidden_size * len(self.quantities)
        for part in pieces("comparing two runs", time, width):
            for place, name in enumerate(self.quantities):
                apart = self.apart(name, part)
                self.norms[part, place] = np.sqrt((apart**2).sum((1, 2)))
                self.most[part, place] = apart.max((1, 2), initial=0.0)
        self.parted = {name: self.most[:, place] > tolerance for place, name in enumerate(self.quantities)}
        if one.input is not None and other.input is not None and one.input.shape == other.input.shape:
            inputs = np.zeros(time)
            for part in pieces("comparing two inputs", time, one.input[0].size):
                inputs[part] = self.apart("input", part).max((1, 2), initial=0.0)
            self.parted["input"] = inputs > tolerance

    def apart(self, name: str, part: slice) -> Array:
        """Return the absolute differences of a quantity at some steps; infinite where one alone is NaN."""
        a, b = (
            np.asarray(run.input if name == "input" else run.quantity(name))[part].astype(np.float64)
            for run in self.pair
        )
        with np.errstate(invalid="ignore"):
            found = np.abs(a - b)
        found[(a == b) | (np.isnan(a) & np.isnan(b))] = 0  # infinity less itself too
        if name == "input" and (valid := self.pair[0].valid) is not None:
            found[~valid[part]] = 0  # which no step has read
        found[np.isnan(found)] = np.inf
        return found

    def first(self) -> tuple[int, int, str] | None:
        """Return how many steps into the run it parts, the quantity's place in the order, and its name."""
        places = []
        for name, parted in self.parted.items():
            order = parted if self.pair[0].direction == "forward" else parted[::-1]
            if order.any():
                places.append((int(np.argmax(order)), ORDER.index(name), name))
        return min(places, default=None)

    def place(self, cell: Cell, name: str, step: int, unit: int | None = None, sequence: int | None = None) -> Place:
        """Return the number of a quantity that differs most at a step."""
        apart = self.apart(name, slice(step, step + 1))[0]
        rows = range(len(apart)) if sequence is None else (sequence,)
        units = range(apart.shape[1]) if unit is None else (unit,)
        row, column = np.unravel_index(int(np.argmax(apart[np.ix_(rows, units)])), (len(rows), len(units)))
        at = rows[int(row)], units[int(column)]
        values = (run.input if name == "input" else run.quantity(name) for run in self.pair)
        return Place(*cell, step, at[0], name, at[1], *(float(np.asarray(value)[step][at]) for value in values))

    def largest(self, cell: Cell, name: str | None = None) -> tuple[float, Place]:
        """Return the largest difference of any quantity, or of one, and where it is."""
        most = self.most if name is None else self.most[:, [self.quantities.index(name)]]
        step, place = np.unravel_index(int(np.argmax(most)), most.shape)
        found = self.quantities[int(place)] if name is None else name
        return float(most[step, place]), self.place(cell, found, int(step))
