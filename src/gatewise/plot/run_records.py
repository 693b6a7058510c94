"""The records of pictures of runs: gates, states, one unit, a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import NotKeptError, OptionError, ShapeError, join_names, one_of
from gatewise.gates import NAMES
from gatewise.gates import index as gate_index
from gatewise.insight.answer import StepTable, Table
from gatewise.insight.naming import state_names
from gatewise.plot.sequence_of_cell import ORDERS, SequenceOfCell, Units
from gatewise.records.keep import QUANTITIES
from gatewise.records.trace import Trace

STATES = ("cell_state", "hidden_state")
MOST_TOKENS = 20_000  # characters or tokens of a picture


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
    of = SequenceOfCell(trace, sequence)
    gate = NAMES[gate_index(str(gate))]
    places = of.ordered_places(units, sort, gate)
    values, names = of.values(gate, places), tuple(of.units[place] for place in places)
    return Gates(
        columns=of.columns(names, values.T),
        gate=gate,
        title=of.title(gate.replace("_", " ")),
        values=values,
        limits=of.limits(gate, values),
        units=names,
        times=of.times,
        valid=of.valid,
    )


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
    of = SequenceOfCell(trace, sequence)
    kept = of.trace.keep.quantities
    states = [name for name in STATES if name in kept]
    if not states:
        raise NotKeptError(f"this trace kept neither {' nor '.join(STATES)}; it kept {', '.join(kept)}")
    entries_alone = of.projected and states == ["hidden_state"]
    places = of.ordered_places(units, "none" if entries_alone and sort in ORDERS else sort, states[0])
    values, names = {}, {}
    for name in states:
        if name == "hidden_state" and of.projected:  # has no units, but entries
            names[name] = tuple(state_names(of.trace, name))
            values[name] = of.values(name, slice(None))
        else:
            names[name] = tuple(of.units[place] for place in places)
            values[name] = of.values(name, places)
    return States(
        columns=of.columns(
            [f"{name} {unit}" for name in states for unit in names[name]],
            [column for name in states for column in values[name].T],
        ),
        values=values,
        titles={name: of.title(name.replace("_", " ")) for name in states},
        limits={name: of.limits(name, values[name]) for name in states},
        units=names,
        times=of.times,
        valid=of.valid,
    )


@dataclass(frozen=True, eq=False, repr=False)
class Unit(StepTable):
    """One unit of a cell, step by step.

    Attributes
    ----------
    title : str
        The unit and the sequence.
    input : array (time, features)
        The chosen features; none if the trace did not keep the input.
    features : tuple of str
        Their names.
    measures : tuple of str
        The measure of each feature; empty if unknown.
    values : dict of array (time,)
        The gates and states of the unit that the trace kept, by name; NaN at invalid steps. With a projection, the
        hidden state is the unprojected one.
    limits : dict of (float, float)
        The range of each gate or state.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.
    """

    title: str
    input: Array
    features: tuple[str, ...]
    measures: tuple[str, ...]
    values: dict[str, Array]
    limits: dict[str, tuple[float, float]]


def unit(
    trace: Trace,
    unit: int | str = 0,
    *,
    sequence: int | str = 0,
    features: int | str | Sequence[int | str] | None = None,
) -> Unit:
    """Return the input, the gates, the cell state and the hidden state of one unit of a cell, in one sequence.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept at least one of them.
    unit : int or str
        A hidden unit, or its name.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    features : int, str or a sequence of them, optional
        Features of the input, or their names. By default the 5 with the largest effect on the unit: the sum over its
        gates of the absolute weight, times the feature's standard deviation.

    Returns
    -------
    Unit
        With a row for each step: ``time``, each feature, and each quantity.

    Raises
    ------
    OptionError
        If there is no such unit, feature or sequence, there is no step, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the unit, or kept nothing of it.
    """
    of = SequenceOfCell(trace, sequence)
    place, kept = int(of.unit_places(unit)[0]), of.trace.keep.quantities
    left_out = "hidden_state" if of.projected else "unprojected_state"
    quantities = [name for name in QUANTITIES if name in kept and name != left_out]
    if not quantities:
        raise NotKeptError(f"this trace kept nothing of a unit; it kept {join_names(kept) or 'nothing'}")
    values = {name: of.values(name, place) for name in quantities}
    places, labels = of.feature_places(place, features), of.trace.labels
    x = np.zeros((len(of.times), 0)) if of.trace.input is None else of.trace.input[:, of.place][:, places]
    names = tuple(labels.feature(place) for place in places)
    return Unit(
        columns=of.columns([*names, *quantities], [*x.T.astype(np.float64), *values.values()]),
        title=of.title(f"unit {of.units[place]}"),
        input=x.astype(np.float64),
        features=names,
        measures=tuple(str(labels.measures.get(name, "")) for name in names),
        values=values,
        limits={name: of.limits(name, values[name]) for name in quantities},
        times=of.times,
        valid=of.valid,
    )


@dataclass(frozen=True, eq=False, repr=False)
class Text(Table):
    """A text, with a number of one unit for each of its characters or tokens.

    Attributes
    ----------
    title : str
        The quantity and the unit.
    tokens : tuple of str
    values : array (time,)
        NaN at invalid steps.
    limits : (float, float)
        Limits of the colours.
    valid : boolean array (time,) or None
        True at valid steps; None if all are valid.
    """

    title: str
    tokens: tuple[str, ...]
    values: Array
    limits: tuple[float, float]
    valid: Mask | None


def text(
    trace: Trace,
    text: str | Sequence[str] | None = None,
    *,
    unit: int | str = 0,
    quantity: str = "cell_state",
    sequence: int | str = 0,
) -> Text:
    """Return the text that a cell read, with a number of one of its units for each character or token.

    Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015), colour text by the
    activation of a cell, and find units that follow quotes, the length of a line, or indentation.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the quantity, with a step for each character or token.
    text : str, or a sequence of str
        The characters, or the tokens; by default the names of the trace's times.
    unit : int or str
        A hidden unit, or its name.
    quantity : str
        ``cell_state``, ``hidden_state``, a gate, or ``unprojected_state``.
    sequence : int or str
        The place of a sequence in the batch, or its name.

    Returns
    -------
    Text
        With a row for each step: ``time``, ``token`` and the quantity.

    Raises
    ------
    OptionError
        If there is no such unit, quantity or sequence, no text, too much of it for a picture, or this is not the trace
        of one cell.
    ShapeError
        If the text has another length than the trace.
    NotKeptError
        If the trace did not keep the quantity or the unit.
    """
    of = SequenceOfCell(trace, sequence)
    one_of("quantity", quantity, QUANTITIES)
    if quantity == "hidden_state" and of.projected:
        raise OptionError("a projected hidden state has no units; unprojected_state has")
    if text is None:
        if of.times.dtype.kind != "U":
            raise OptionError("the text is missing: this trace's steps have no names that could be its tokens")
        text = of.times.tolist()
    tokens, steps = tuple(map(str, text)), len(of.times)
    if len(tokens) != steps:
        raise ShapeError(f"the text has {len(tokens):,} characters or tokens; this trace has {steps:,} steps")
    if steps > MOST_TOKENS:
        raise OptionError(
            f"a picture can show {MOST_TOKENS:,} characters or tokens, not {steps:,}; draw a slice of the trace"
        )
    place = int(of.unit_places(unit)[0])
    values = of.values(quantity, place)
    return Text(
        columns={"time": of.times, "token": np.array(tokens, dtype=object), quantity: values},
        title=of.title(f"{quantity.replace('_', ' ')} of unit {of.units[place]}"),
        tokens=tokens,
        values=values,
        limits=of.limits(quantity, values),
        valid=of.valid,
    )
