"""The record behind the picture of a gate: its values, step by step and unit by unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import gates as names
from gatewise.arrays import Array, Mask, index
from gatewise.insight.answer import Table
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import of_one_cell
from gatewise.plot.ordering import ordered
from gatewise.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class Gates(Table):
    """One gate of the units of a cell, in one sequence.

    Attributes
    ----------
    gate : str
    values : array (time, units)
        After the gate's nonlinearity; NaN at steps that are not valid.
    units : tuple of str
        The names of the units, in the order in which they are drawn.
    times : array (time,)
        Dates, names, or the numbers of the steps.
    valid : boolean array (time,) or None
        Which steps are valid; None means all.
    """

    gate: str
    values: Array
    units: tuple[str, ...]
    times: npt.NDArray[Any]
    valid: Mask | None


def gates(
    trace: Trace,
    gate: str = "forget_gate",
    *,
    sequence: int = 0,
    units: Sequence[int] | None = None,
    sort: str = "none",
) -> Gates:
    """Return one gate of the units of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        One that kept the gate.
    gate : str
        ``input_gate``, ``forget_gate``, ``candidate`` or ``output_gate``.
    sequence : int
        Which sequence of the batch.
    units : sequence of int, optional
        Which units; all by default.
    sort : {"none", "timescale", "cluster"}
        The order of the units: as they are, by how long they remember, or similar ones side by side.

    Returns
    -------
    Gates
        With a row for each step: ``time``, and a column for each unit.

    Raises
    ------
    OptionError
        If there is no such gate, sequence, unit or order, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the gate.
    """
    of_one_cell(trace)
    names.index(gate)
    sequence = index("sequence", sequence, trace.batch_size, "this trace")
    found = trace.quantity(gate)[:, sequence]
    chosen = ordered(trace, found, units, sort)
    values, times = found[:, chosen].astype(np.float64), times_of(trace)
    called = tuple(np.array(unit_names(trace))[chosen].tolist())
    return Gates(
        columns={"time": times, **{name: values[:, place] for place, name in enumerate(called)}},
        gate=gate,
        values=values,
        units=called,
        times=times,
        valid=None if trace.valid is None else trace.valid[:: trace.keep.every, sequence],
    )
