"""The record of the picture of the states: c and h at each step of each unit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import NotKeptError
from gatewise.insight.answer import StepTable
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import valid_steps
from gatewise.plot.ordering import Units, order_units
from gatewise.plot.records.picking import cell_and_sequence, columns_of, limits_of, title_of, values_of
from gatewise.records.trace import Trace

STATES = ("cell_state", "hidden_state")


@dataclass(frozen=True, eq=False, repr=False)
class States(StepTable):
    """The cell state and the hidden state of a cell, in one sequence.

    Attributes
    ----------
    values : dict of array (time, units)
        By ``cell_state`` and ``hidden_state``, those that the trace kept; NaN at invalid steps.
    titles : dict of str
        The state and the sequence of each.
    limits : dict of (float, float)
        Limits of the colours of each, symmetric about 0.
    units : dict of tuple of str
        Names of the units of each, in the order of the picture. A projected hidden state has no units; its entries are
        called h0, h1, ….
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.
    """

    values: dict[str, Array]
    titles: dict[str, str]
    limits: dict[str, tuple[float, float]]
    units: dict[str, tuple[str, ...]]


def states(trace: Trace, *, sequence: int | str = 0, units: Units | None = None, sort: str = "none") -> States:
    """Return the cell state and the hidden state of the units of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept at least one of them.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    units : int, str or a sequence of them, optional
        Hidden units or their names; by default all that the trace kept.
    sort : {"none", "timescale", "cluster"}
        The order of the units: as they are, the longest timescale between resets first, or similar ones side by side.

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
    trace, place = cell_and_sequence(trace, sequence)
    states = [name for name in STATES if name in trace.keep.quantities]
    if not states:
        raise NotKeptError(
            f"this trace kept neither {' nor '.join(STATES)}; it kept {', '.join(trace.keep.quantities)}"
        )
    first = trace.quantity(states[0])[:, place]
    projected = trace.parameters.projection is not None
    chosen = order_units(
        trace, np.zeros((1, len(unit_names(trace)))) if projected and len(states) == 1 else first, units, sort
    )
    values, unit_names_by_state = {}, {}
    for name in states:
        entries = name == "hidden_state" and projected
        names = trace.labels.states(trace.parameters.recurrent_size, trace.parameters.hidden_size)
        places = np.arange(len(names)) if entries else chosen
        values[name] = values_of(trace, name, place, places)
        unit_names_by_state[name] = tuple(np.array(names if entries else unit_names(trace))[places].tolist())
    times = times_of(trace)
    return States(
        columns=columns_of(
            times,
            [f"{name} {unit}" for name in states for unit in unit_names_by_state[name]],
            chain.from_iterable(values[name].T for name in states),
        ),
        values=values,
        titles={name: title_of(name.replace("_", " "), trace, place) for name in states},
        limits={name: limits_of(trace, name, values[name]) for name in states},
        units=unit_names_by_state,
        times=times,
        valid=valid_steps(trace, which=place),
    )
