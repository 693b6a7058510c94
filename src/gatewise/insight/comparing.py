"""The comparison of two runs, cell by cell: their requirements, and the distances of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, distances, finite_number
from gatewise.errors import NotKeptError, OptionError, ShapeError, join_names
from gatewise.insight.retention import pieces
from gatewise.margins import first_largest
from gatewise.records.nesting import Cell
from gatewise.records.run_record import RunRecord
from gatewise.records.trace import Trace

ORDER = ("input", "input_gate", "forget_gate", "candidate", "cell_state", "output_gate", "hidden_state")
COMPARED = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state")
Pairs = dict[Cell, tuple[Trace, Trace]]


class RunDifference(NamedTuple):
    """One number in two runs.

    Attributes
    ----------
    layer : int
    direction : str
    step, sequence : int
        The step is counted among the kept ones.
    quantity : str
        ``input``, a gate, or a state.
    unit : int
        The unit, or the feature of the input.
    before, after : float
        The number in the two runs.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> answer = gw.insight.change(lstm.trace(x), lstm.trace(-x))
    >>> answer.first.quantity, answer.first.before, answer.first.after
    ('input', 1.0, -1.0)
    """

    layer: int
    direction: str
    step: int
    sequence: int
    quantity: str
    unit: int
    before: float
    after: float


def pair_cells(before: object, after: object) -> Pairs:
    """Return, for each cell of two runs to compare, its traces before and after."""
    if not isinstance(before, RunRecord) or not isinstance(after, type(before)):
        raise OptionError(
            "compare two runs of the same kind, Trace, LSTMTrace or NetworkTrace, not"
            f" {type(before).__name__} and {type(after).__name__}"
        )
    cells, others = (run.stored.cells() for run in (before, after))
    if list(cells) != list(others):
        raise OptionError(f"the two runs must have the same cells; they have {_names(cells)}, and {_names(others)}")
    for cell in cells:
        _require_comparable(cells[cell], others[cell])
    return {cell: (cells[cell], others[cell]) for cell in cells}


def _names(cells: Mapping[Cell, Trace]) -> str:
    return join_names(f"layer {layer} {direction}" for layer, direction in cells)


def _require_comparable(before: Trace, after: Trace) -> None:
    """Raise an error unless two traces of a cell agree in shape, kept units and steps, and valid steps."""
    shapes = [
        (run.num_steps, run.batch_size, run.parameters.hidden_size, run.parameters.recurrent_size)
        for run in (before, after)
    ]
    if shapes[0] != shapes[1]:
        names = ("steps", "sequences", "units", "entries of the hidden state")
        sizes = [", ".join(f"{n} {name}" for n, name in zip(shape, names, strict=True)) for shape in shapes]
        raise ShapeError(f"the two runs must have the same shape; they have {sizes[0]}, and {sizes[1]}")
    if not len(before) or not before.batch_size:
        missing = "sequences" if len(before) else "steps"
        raise OptionError(f"there is nothing to compare: the runs have no {missing}")
    if (before.keep.units, before.keep.every) != (after.keep.units, after.keep.every):
        raise OptionError(f"the two runs must have kept the same units and steps, not {before.keep}, and {after.keep}")
    valid = [
        np.ones((run.num_steps, run.batch_size), bool) if run.valid is None else run.valid for run in (before, after)
    ]
    if not np.array_equal(valid[0], valid[1]):
        raise OptionError("the two runs must have the same valid steps")
    if not _quantities(before, after):
        raise NotKeptError("the two runs kept no gate or state in common. Trace both with the same keep.")


def _quantities(before: Trace, after: Trace) -> tuple[str, ...]:
    return tuple(name for name in COMPARED if name in before.keep.quantities and name in after.keep.quantities)


def tolerance_of(tolerance: float | None, pairs: Pairs) -> float:
    """Return the distance up to which numbers of two runs count as the same; see `gatewise.insight.change`."""
    if tolerance is None:
        traces = [run for pair in pairs.values() for run in pair]
        if all(before.engine == after.engine for before, after in pairs.values()):
            return 0.0
        return float(max(np.sqrt(np.finfo(run.parameters.dtype).eps) for run in traces))
    return finite_number("tolerance", tolerance, "a number that is not negative", lambda value: value >= 0)


class CellComparison:
    """One cell in two runs: the norms of the differences at each step, and the largest difference."""

    def __init__(self, before: Trace, after: Trace, tolerance: float) -> None:
        self.pair, self.quantities = (before, after), _quantities(before, after)
        time = len(before)
        self.norms: Array = np.zeros((time, len(self.quantities)))
        self.most: Array = np.zeros((time, len(self.quantities)))  # the largest difference of each step
        width = before.batch_size * before.parameters.hidden_size * len(self.quantities)
        for part in pieces("comparing two runs", time, width):
            for place, name in enumerate(self.quantities):
                apart = self.apart(name, part)
                self.norms[part, place] = np.sqrt((apart**2).sum((1, 2)))
                self.most[part, place] = apart.max((1, 2), initial=0.0)
        self.parted = {name: self.most[:, place] > tolerance for place, name in enumerate(self.quantities)}
        if before.input is not None and after.input is not None and before.input.shape == after.input.shape:
            inputs = np.zeros(time)
            for part in pieces("comparing two inputs", time, before.input[0].size):
                inputs[part] = self.apart("input", part).max((1, 2), initial=0.0)
            self.parted["input"] = inputs > tolerance

    def apart(self, name: str, part: slice) -> Array:
        """Return the distances between two runs of a quantity at some steps; see `gatewise.arrays.distances`."""
        arrays = (np.asarray(run.input if name == "input" else run.quantity(name))[part] for run in self.pair)
        apart = distances(*arrays)
        if name == "input" and (valid := self.pair[0].valid) is not None:
            apart[~valid[part]] = 0  # no step reads them
        return apart

    def first(self) -> tuple[int, int, str] | None:
        """Return the first step at which two runs of a cell part, the quantity's place in `ORDER`, and its name."""
        places = []
        for name, parted in self.parted.items():
            order = parted if self.pair[0].direction == "forward" else parted[::-1]
            if order.any():
                places.append((int(np.argmax(order)), ORDER.index(name), name))
        return min(places, default=None)

    def largest_at(
        self, cell: Cell, name: str, step: int, unit: int | None = None, sequence: int | None = None
    ) -> RunDifference:
        """Return the number of a quantity in which two runs of a cell differ most at a step."""
        apart = self.apart(name, slice(step, step + 1))[0]
        rows = range(len(apart)) if sequence is None else (sequence,)
        units = range(apart.shape[1]) if unit is None else (unit,)
        row, column = np.unravel_index(first_largest(apart[np.ix_(rows, units)]), (len(rows), len(units)))
        at = rows[int(row)], units[int(column)]
        values = (run.input if name == "input" else run.quantity(name) for run in self.pair)
        return RunDifference(*cell, step, at[0], name, at[1], *(float(np.asarray(value)[step][at]) for value in values))

    def largest(self, cell: Cell, name: str | None = None) -> tuple[float, RunDifference]:
        """Return the largest difference of two runs of a cell, in all quantities or in one, with its size."""
        most = self.most if name is None else self.most[:, [self.quantities.index(name)]]
        step, place = np.unravel_index(first_largest(most), most.shape)
        quantity = self.quantities[int(place)] if name is None else name
        return float(most[step, place]), self.largest_at(cell, quantity, int(step))
