"""The record of a text coloured by a unit: its characters or tokens, with a number for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.insight.answer import Table
from gatewise.insight.naming import times_of, unit_names
from gatewise.insight.retention import valid_steps
from gatewise.plot.ordering import unit_places
from gatewise.plot.records.picking import cell_and_sequence, limits_of, title_of, values_of
from gatewise.records.keep import QUANTITIES
from gatewise.records.trace import Trace

MOST = 20_000  # characters or tokens of a picture


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
    trace, sequence = cell_and_sequence(trace, sequence)
    one_of("quantity", quantity, QUANTITIES)
    if quantity == "hidden_state" and trace.parameters.projection is not None:
        raise OptionError("a projected hidden state has no units; unprojected_state has")
    times = times_of(trace)
    if text is None:
        if times.dtype.kind != "U":
            raise OptionError("the text is missing: this trace's steps have no names that could be its tokens")
        text = times.tolist()
    tokens = tuple(map(str, text))
    if len(tokens) != len(trace):
        raise ShapeError(f"the text has {len(tokens):,} characters or tokens; this trace has {len(trace):,} steps")
    if len(tokens) > MOST:
        raise OptionError(
            f"a picture can show {MOST:,} characters or tokens, not {len(tokens):,}; draw a slice of the trace"
        )
    place = unit_places(trace, unit)[:1]
    values = values_of(trace, quantity, sequence, place)[:, 0]
    subject = f"{quantity.replace('_', ' ')} of unit {unit_names(trace)[place[0]]}"
    return Text(
        columns={"time": times, "token": np.array(tokens, dtype=object), quantity: values},
        title=title_of(subject, trace, sequence),
        tokens=tokens,
        values=values,
        limits=limits_of(trace, quantity, values),
        valid=valid_steps(trace, which=sequence),
    )
