"""The record behind the picture of the states: c and h, step by step and unit by unit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import NotKeptError
from gatewise.insight.answer import Table
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import valid_steps
from gatewise.plot.ordering import Units, ordered
from gatewise.plot.records.picking import called, limits_of, sequence_of, table, values_of
from gatewise.records.trace import Trace

STATES = ("cell_state", "hidden_state")


@dataclass(frozen=True, eq=False, repr=False)
class States(Table):
    """The cell state and the hidden state of a cell, in one sequence.

    Attributes
    ----------
    values : dict of array (time, units)
        By ``cell_state`` and ``hidden_state``, those that the trace kept; NaN at steps that are not valid.
    titles : dict of str
        What each is, and of which sequence.
    limits : dict of (float, float)
        Between which numbers each is coloured, symmetric about 0.
    units : dict of tuple of str
        The names of the units of each, in the order in which they are drawn; a projected hidden state has no units, and
        its entries are called h0, h1, ….
    times : array (time,)
        Dates, names, or the numbers of the steps.
    valid : boolean array (time,) or None
        Which steps are valid; None means all.
    """

    values: dict[str, Array]
    titles: dict[str, str]
    limits: dict[str, tuple[float, float]]
    units: dict[str, tuple[str, ...]]
    times: npt.NDArray[Any]
    valid: Mask | None


def states(trace: Trace, *, sequence: int | str = 0, units: Units | None = None, sort: str = "none") -> States:
    """Return the cell state and the hidden state of the units of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        One that kept either of them.
    sequence : int or str
        Which sequence of the batch, or its name.
    units : int, str or a sequence of them, optional
        Which hidden units, or their names; by default all that are kept.
    sort : {"none", "timescale", "cluster"}
        The order of the units: as they are, by how long they remember, or those side by side whose states are similar.

    Returns
    -------
    States
        With a row for each step: ``time``, and a column for each unit of each state, as in ``cell_state 0``.

    Raises
    ------
    OptionError
        If there is no such sequence, unit or order, there is no step, or this is not the trace of one cell.
    NotKeptError
        If the trace kept neither of them, or not a unit.
    """
    place = sequence_of(trace, sequence)
    kept = [name for name in STATES if name in trace.keep.quantities]
    if not kept:
        raise NotKeptError(
            f"this trace kept neither {' nor '.join(STATES)}; it kept {', '.join(trace.keep.quantities)}"
        )
    first = trace.quantity(kept[0])[:, place]
    projected = trace.parameters.projection is not None
    chosen = ordered(
        trace, np.zeros((1, len(unit_names(trace)))) if projected and len(kept) == 1 else first, units, sort
    )
    values, known = {}, {}
    for name in kept:
        entries = name == "hidden_state" and projected
        names = trace.labels.states(trace.parameters.recurrent_size, trace.parameters.hidden_size)
        which = np.arange(len(names)) if entries else chosen
        values[name] = values_of(trace, name, place, which)
        known[name] = tuple(np.array(names if entries else unit_names(trace))[which].tolist())
    times = times_of(trace)
    return States(
        columns=table(
            times,
            [f"{name} {unit}" for name in kept for unit in known[name]],
            chain.from_iterable(values[name].T for name in kept),
        ),
        values=values,
        titles={name: called(name.replace("_", " "), trace, place) for name in kept},
        limits={name: limits_of(trace, name, values[name]) for name in kept},
        units=known,
        times=times,
        valid=valid_steps(trace, which=place),
    )
