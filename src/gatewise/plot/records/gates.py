"""The record of the picture of a gate: its values at each step of each unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise import gates as names
from gatewise.arrays import Array
from gatewise.insight.answer import StepTable
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import valid_steps
from gatewise.plot.ordering import Units, order_units
from gatewise.plot.records.picking import cell_and_sequence, columns_of, limits_of, title_of, values_of
from gatewise.records.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Gates(StepTable):
    """One gate of the units of a cell, in one sequence.

    Attributes
    ----------
    gate : str
    title : str
        The gate and the sequence.
    values : array (time, units)
        After the gate's nonlinearity; NaN at invalid steps.
    limits : (float, float)
        Limits of the colours: 0 and 1, or symmetric about 0 if the gate may be negative.
    units : tuple of str
        Names of the units, in the order of the picture.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.
    """

    gate: str
    title: str
    values: Array
    limits: tuple[float, float]
    units: tuple[str, ...]


def gates(
    trace: Trace,
    gate: str = "forget_gate",
    *,
    sequence: int | str = 0,
    units: Units | None = None,
    sort: str = "none",
) -> Gates:
    """Return one gate of the units of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the gate.
    gate : str
        ``input_gate``, ``forget_gate``, ``candidate`` or ``output_gate``.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    units : int, str or a sequence of them, optional
        Hidden units or their names; by default all that the trace kept.
    sort : {"none", "timescale", "cluster"}
        The order of the units: as they are, the longest timescale between resets first, or similar ones side by side.

    Returns
    -------
    Gates
        With a row for each step: ``time``, and a column for each unit.

    Raises
    ------
    OptionError
        If there is no such gate, sequence, unit or order, there is no step, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the gate, or a unit.
    """
    trace, place = cell_and_sequence(trace, sequence)
    gate = names.NAMES[names.index(str(gate))]
    chosen = order_units(trace, trace.quantity(gate)[:, place], units, sort)
    values, times = values_of(trace, gate, place, chosen), times_of(trace)
    chosen_names = tuple(np.array(unit_names(trace))[chosen].tolist())
    return Gates(
        columns=columns_of(times, chosen_names, values.T),
        gate=gate,
        title=title_of(gate.replace("_", " "), trace, place),
        values=values,
        limits=limits_of(trace, gate, values),
        units=chosen_names,
        times=times,
        valid=valid_steps(trace, which=place),
    )
