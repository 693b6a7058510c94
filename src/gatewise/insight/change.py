"""Did it change, and where? The step at which two runs part, and their distance at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, distances
from gatewise.errors import ShapeError
from gatewise.insight.answer import Answer, StepTable
from gatewise.insight.comparing import CellComparison, Pairs, RunDifference, pair_cells, tolerance_of
from gatewise.insight.naming import at_step, of_cell, sequence_name, sequence_of, state_names, times_of, unit_of
from gatewise.margins import first_largest
from gatewise.network import Run
from gatewise.records.nesting import Cell, cell_at
from gatewise.records.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Change(Answer, StepTable):
    """The difference of two runs.

    Attributes
    ----------
    tolerance : float
        The distance up to which two numbers count as the same.
    first : RunDifference or None
        The number at which the runs part: in the lowest layer that differs, at the first step in its direction, of the
        quantity that is computed first. None if the runs are the same.
    largest : RunDifference or None
        The largest difference of a gate or a state.
    at_end : float
        The largest difference at the end of the runs: of the output of a network, of the last hidden states of an
        LSTM's last layer, or of those of the cell.
    cells : tuple of (int, str)
        The layer and direction of each cell.
    quantities : tuple of str
        The quantities that both traces kept.
    norms : array (cells, time, quantities)
        The Euclidean norm of the difference over sequences and units.
    edited : boolean array (cells, time)
        The steps at which either run was edited.
    unit : RunDifference
        The unit of `series`: by default the one whose cell state, or else another quantity, changed most.
    name : str
        The name of that unit.
    series : dict of array (2, time)
        The quantities of that unit, before and after.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> after = lstm.trace(x, edit=gw.Edit.set("forget_gate", 0.0, steps=3))
    >>> answer = gw.insight.change(lstm.trace(x), after)
    >>> answer.first.step, answer.first.quantity, round(answer.at_end, 2)
    (3, 'forget_gate', 0.75)
    """

    tolerance: float
    first: RunDifference | None
    largest: RunDifference | None
    at_end: float
    cells: tuple[Cell, ...]
    quantities: tuple[str, ...]
    norms: Array
    edited: Mask
    unit: RunDifference
    name: str
    series: dict[str, Array]


def change(
    before: Run,
    after: Run,
    *,
    tolerance: float | None = None,
    unit: int | str | None = None,
    sequence: int | str | None = None,
    cell: int | tuple[int, str] | None = None,
) -> Change:
    """Return the number at which two runs part, and their distance at every step.

    Compared with the unedited run, an edited one shows the effects of the edit downstream: activation patching, or
    causal tracing (Vig et al., "Investigating Gender Bias in Language Models Using Causal Mediation Analysis", 2020).
    Two runs of a model before and after a conversion show whether it changed.

    Parameters
    ----------
    before, after : Trace, LSTMTrace or NetworkTrace
        Two runs of the same kind and shape, with the same valid steps, that kept the same units and steps.
    tolerance : float, optional
        The distance up to which two numbers count as the same. By default 0 if both ran on the same engine, else the
        square root of the machine epsilon, as engines round differently.
    unit, sequence : int or str, optional
        The unit and the sequence of the series; by default those with the largest change of the cell state.
    cell : int or (int, str), optional
        The layer, or the layer and direction, of that unit.

    Returns
    -------
    Change
        With a row for each cell and step: ``layer`` and ``direction`` (of an LSTM), ``time``, and for each quantity the
        Euclidean norm of its difference over sequences and units.

    Raises
    ------
    OptionError
        If the runs are not two of a kind, differ in their directions, valid steps or what was kept, or there is no
        such unit, sequence or cell.
    ShapeError
        If they differ in their sizes.
    NotKeptError
        If they kept no quantity in common.

    Notes
    -----
    A number that is NaN in only one of the runs is infinitely far from the other's. Time is linear in what the traces
    kept; apart from them and the answer, memory is bounded. There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> before = lstm.trace(x, engine="reference")
    >>> print(change(before, lstm.trace(x, edit=gw.Edit.set("forget_gate", 0.0, steps=3))))
    The two runs part at step 3, in the forget gate of unit latch; at the end the output differs by up to 0.75.
    """
    pairs = pair_cells(before, after)
    tolerance = tolerance_of(tolerance, pairs)
    comparisons = {cell: CellComparison(*pair, tolerance) for cell, pair in pairs.items()}
    quantities = next(iter(comparisons.values())).quantities
    largest = _largest_difference(comparisons)
    first = _first_difference(comparisons)
    layers = dict.fromkeys(layer for layer, _ in pairs)
    places = [{way: (number, way) for layer, way in pairs if layer == number} for number in layers]
    key = None if cell is None else cell_at(places, cell, "these runs")
    chosen = _chosen_unit(comparisons if key is None else {key: comparisons[key]}, unit, sequence)
    pair = pairs[chosen.layer, chosen.direction]
    of_a_cell, at_end = isinstance(before, Trace), _difference_at_end(before, after)
    time = len(times_of(pair[0]))
    columns: dict[str, npt.NDArray[Any]] = {}
    if not of_a_cell:
        columns["layer"] = np.repeat([layer for layer, _ in comparisons], time)
        columns["direction"] = np.repeat([direction for _, direction in comparisons], time)
    columns["time"] = np.tile(times_of(pair[0]), len(comparisons))
    norms = np.stack([part.norms for part in comparisons.values()])
    columns |= {name: norms[:, :, place].ravel() for place, name in enumerate(quantities)}
    return Change(
        columns=columns,
        sentence=_change_sentence(first, pairs, tolerance, "hidden state" if of_a_cell else "output", at_end),
        tolerance=tolerance,
        first=first,
        largest=largest[1] if largest[0] > 0 else None,
        at_end=at_end,
        cells=tuple(comparisons),
        quantities=quantities,
        norms=norms,
        times=times_of(pair[0]),
        edited=np.stack([_edited_steps(*pair) for pair in pairs.values()]),
        unit=chosen,
        name=_unit_name(chosen, pairs),
        series=_unit_series(pair, quantities, chosen),
        valid=None if pair[0].valid is None else pair[0].valid[:: pair[0].keep.every, chosen.sequence],
    )


def _first_difference(comparisons: dict[Cell, CellComparison]) -> RunDifference | None:
    """Return the first number, layer by layer from the input, in which two runs differ."""
    for layer in dict.fromkeys(layer for layer, _ in comparisons):
        row = {cell: part for cell, part in comparisons.items() if cell[0] == layer}
        if layer:  # the input of a layer above is the output of the one below
            for part in row.values():
                part.parted.pop("input", None)
        starts = {cell: start for cell, part in row.items() if (start := part.first()) is not None}
        if starts:
            cell = min(starts, key=lambda cell: starts[cell])
            steps, _, name = starts[cell]
            time = len(row[cell].norms)
            return row[cell].largest_at(cell, name, steps if cell[1] == "forward" else time - 1 - steps)
    return None


def _chosen_unit(
    comparisons: dict[Cell, CellComparison], unit: int | str | None, sequence: int | str | None
) -> RunDifference:
    """Return the difference of two runs that the answer shows: in the chosen unit, or in the one that changed most."""
    quantities = next(iter(comparisons.values())).quantities
    name = "cell_state" if "cell_state" in quantities else quantities[-1]
    place = _largest_difference(comparisons, name)[1]
    key = place.layer, place.direction
    if unit is None and sequence is None:
        return place
    pair = comparisons[key].pair
    unit = place.unit if unit is None else unit_of(state_names(pair[0], name), unit)
    sequence = place.sequence if sequence is None else sequence_of(pair[0], sequence)
    return comparisons[key].largest_at(key, name, place.step, unit, sequence)


def _largest_difference(
    comparisons: dict[Cell, CellComparison], name: str | None = None
) -> tuple[float, RunDifference]:
    """Return the largest difference of two runs, in all quantities or in one, with its size."""
    largest = [part.largest(cell, name) for cell, part in comparisons.items()]
    return largest[first_largest([size for size, _ in largest])]


def _unit_series(pair: tuple[Trace, Trace], quantities: Sequence[str], unit: RunDifference) -> dict[str, Array]:
    """Return the quantities of a unit in both compared runs, without a projected hidden state, which has no units."""
    series: dict[str, Array] = {}
    for name in quantities:
        if name == "hidden_state" and pair[0].parameters.projection is not None:
            continue
        series[name] = np.stack([run.quantity(name)[:, unit.sequence, unit.unit] for run in pair]).astype(np.float64)
    return series


def _edited_steps(*pair: Trace) -> Mask:
    """Return the kept steps (time,) at which either of two compared runs of a cell was edited."""
    edited = np.zeros(pair[0].num_steps, bool)
    for edit in (edit for run in pair for edit in run.edits):
        edited[slice(None) if edit.steps is None else np.array(edit.steps)] = True
    return edited[:: pair[0].keep.every]


# In words.


def _difference_at_end(before: Any, after: Any) -> float:
    """Return the largest difference of two runs' last output: of a network's, else of the last hidden states."""
    if before.network is None:
        cells, others = before.cells(), after.cells()
        top = max(layer for layer, _ in cells)
        return max(_largest_distance(cells[key].final.h, others[key].final.h) for key in cells if key[0] == top)
    before, after = before.stored, after.stored
    if before.output.shape != after.output.shape:
        shapes = f"{before.output.shape}, and {after.output.shape}"
        raise ShapeError(f"the outputs of the two runs must have the same shape; they have {shapes}")
    timed = before.network.reads == "every"
    return _largest_distance(*(run.output[-1] if timed else run.output for run in (before, after)))


def _largest_distance(before: Array, after: Array) -> float:
    return float(np.max(distances(before, after), initial=0.0))


def _unit_name(place: RunDifference, pairs: Pairs) -> str:
    """Return the name of a compared unit or feature, with its cell and its sequence, for a sentence."""
    trace = pairs[place.layer, place.direction][0]
    if place.quantity == "input":
        return f"feature {trace.labels.feature(place.unit)}"
    projected = place.quantity == "hidden_state" and trace.parameters.projection is not None
    if projected:
        name = f"entry {place.unit}"
    else:
        name = f"unit {trace.labels.unit((trace.keep.units or range(trace.parameters.hidden_size))[place.unit])}"
    layers, directions = map(set, zip(*pairs, strict=True))
    where = of_cell(place.layer, place.direction, len(layers), len(directions))
    sequence = sequence_name(trace, place.sequence)
    return f"{name}{where}" + (f", {sequence}" if sequence else "")


def _change_sentence(first: RunDifference | None, pairs: Pairs, tolerance: float, result: str, at_end: float) -> str:
    """Return the sentence of a comparison of two runs: where they part, and how they differ at the end."""
    if first is None:
        by = f"differ nowhere by more than {tolerance:.2g}" if tolerance else "are the same, number by number"
        if at_end > tolerance:  # by another head
            return f"The gates and states of the two runs {by}; at the end the {result} differs by up to {at_end:.2g}."
        return f"The two runs {by}."
    trace = pairs[first.layer, first.direction][0]
    when = at_step(trace, first.step * trace.keep.every)
    quantity = first.quantity.replace("_", " ")
    more = f" by more than {tolerance:.2g}" if tolerance else ""
    end = f"differs by up to {at_end:.2g}" if at_end > tolerance else "is the same again"
    where = f"in the {quantity} of {_unit_name(first, pairs)}" if first.quantity != "input" else "in their inputs"
    return f"The two runs part{more} {when}, {where}; at the end the {result} {end}."
