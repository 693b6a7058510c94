"""Which units move? The standard deviation of each unit's hidden state over a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, chunks
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import unit_names
from gatewise.insight.retention import of_one_cell, require_finite, unit_hidden_state, valid_steps
from gatewise.margins import first_largest
from gatewise.records.trace import Trace
from gatewise.showing import counted

CHUNK = 1 << 22  # numbers in float64 at a time


@dataclass(frozen=True, eq=False, repr=False)
class Activity(Answer):
    """The variation of each unit's hidden state over a run.

    Attributes
    ----------
    deviation, mean : array (hidden,)
        The standard deviation and the mean over the valid steps of the hidden state, before a projection.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.activity(trace[0])
    >>> answer.deviation.round(2), answer.mean.round(2)
    (array([0.26]), array([0.11]))
    """

    deviation: Array
    mean: Array


def activity(trace: Trace) -> Activity:
    """Return the standard deviation of each unit's hidden state over a run.

    A unit whose hidden state does not vary acts as a constant: it carries nothing about this input. The deviation is
    √(Σ (h - mean)² / n) over all valid steps of all sequences; with a projection, of the unprojected state.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the hidden state, or with a projection the unprojected state.

    Returns
    -------
    Activity
        With a row for each unit: ``unit``, ``deviation``, ``mean``.

    Raises
    ------
    OptionError
        If no step is valid, a hidden state is not finite, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the hidden state.

    Notes
    -----
    There is no law. Time is linear in the number of steps and units; memory is that of a chunk.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> print(activity(latch().trace()[0]))
    The hidden state of the one unit has a standard deviation of 0.26.
    """
    trace = of_one_cell(trace)
    states = unit_hidden_state(trace)
    if states is None:
        states = trace.unprojected_state  # raises NotKeptError
    valid = valid_steps(trace)
    count, total, squares = 0, np.zeros(states.shape[2]), np.zeros(states.shape[2])
    parts = list(chunks(len(states), states.shape[1] * states.shape[2], CHUNK))

    def valid_states(part: slice) -> Array:
        rows = states[part].astype(np.float64)
        return rows.reshape(-1, rows.shape[2]) if valid is None else rows[valid[part]]

    for part in parts:
        rows = valid_states(part)
        count, total = count + len(rows), total + rows.sum(0)
    if not count:
        raise OptionError("the activity of units needs at least one valid step, but this trace has none")
    require_finite(total, "which units move")
    mean = total / count
    for part in parts:
        squares += ((valid_states(part) - mean) ** 2).sum(0)
    deviation = np.sqrt(squares / count)
    names = unit_names(trace)
    columns = {"unit": np.array(names), "deviation": deviation, "mean": mean}
    reading = (f"Measured: the standard deviations over {counted(count, 'valid step')}.",)
    return Activity(columns, _activity_sentence(names, deviation), deviation, mean, reading=reading)


def _activity_sentence(names: list[str], deviation: Array) -> str:
    """Return the answer's sentence: the units whose hidden states vary most and least."""
    if len(names) == 1:
        return f"The hidden state of the one unit has a standard deviation of {deviation[0]:.2g}."
    most, least = first_largest(deviation), first_largest(-deviation)
    if most == least:  # all tie
        return f"The hidden state of each of the {len(names):,} units has a standard deviation of {deviation[0]:.2g}."
    return (
        f"Of the {len(names):,} units, unit {names[most]} moves most (the standard deviation of its hidden state is"
        f" {deviation[most]:.2g}), and unit {names[least]} least ({deviation[least]:.2g})."
    )
