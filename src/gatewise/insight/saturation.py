"""Is this gate doing anything? How often each gate of each unit is nearly closed or nearly open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import unit_names
from gatewise.insight.retention import of_one_cell, require_between_0_and_1
from gatewise.showing import counted
from gatewise.trace import Trace

LAW = "the fractions of steps below, between and above the bounds add up to 1"
GATES = ("input_gate", "forget_gate", "output_gate")


@dataclass(frozen=True, eq=False, repr=False)
class Saturation(Answer):
    """How often gates are saturated.

    Attributes
    ----------
    closed, open : array (gate, hidden)
        The fractions of valid steps at which a gate lies below and above the bounds; gates are input, forget, output.
    mean, deviation : array (gate, hidden)
        The gate's mean and standard deviation over the valid steps.
    """

    closed: Array
    open: Array
    mean: Array
    deviation: Array


def saturation(trace: Trace, low: float = 0.1, high: float = 0.9) -> Saturation:
    """Return how often each gate of each unit is nearly closed or nearly open.

    Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015): a gate is left-saturated
    below 0.1 and right-saturated above 0.9. A gate that is saturated on one side at every step is *stuck*.

    Parameters
    ----------
    trace : Trace
        One that kept the input, forget and output gate. All valid steps of all sequences count.
    low, high : float
        The bounds, 0 <= low < high <= 1.

    Returns
    -------
    Saturation
        With a row for each gate and unit: ``gate``, ``unit``, ``closed``, ``open``, ``mean``, ``deviation``, ``stuck``.

    Raises
    ------
    OptionError
        If the bounds are others, a gate's nonlinearity does not lie between 0 and 1, or no step is valid.
    NotKeptError
        If the trace did not keep a gate.

    Notes
    -----
    Law: the fractions below, between and above the bounds add up to 1. Time and memory are linear in the number of
    gates.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> from gatewise.layers import LSTM
    >>> cell, x, *_ = latch()
    >>> print(saturation(LSTM.from_cells(cell).trace(x)[0]))
    Of the 3 gates of 1 unit, none is stuck at one end of its range at every step.
    """
    of_one_cell(trace)
    if not 0 <= low < high <= 1:
        raise OptionError(f"the bounds must satisfy 0 <= low < high <= 1, not {low!r} and {high!r}")
    for name in GATES:
        require_between_0_and_1(trace, name, "saturation")
    found = np.stack([trace.quantity(name) for name in GATES], axis=2).astype(np.float64)
    steps = found.reshape(-1, *found.shape[2:]) if trace.valid is None else found[trace.valid]
    if not len(steps):
        raise OptionError("saturation needs at least one valid step; this trace has none")
    closed, open_ = (steps < low).mean(0), (steps > high).mean(0)
    between = ((steps >= low) & (steps <= high)).mean(0)
    stuck = np.maximum(closed, open_) == 1
    count = int(stuck.sum())
    units, said = unit_names(trace), counted(len(unit_names(trace)), "unit")
    how = "none is" if not count else "one is" if count == 1 else f"{count:,} are"
    return Saturation(
        sentence=f"Of the 3 gates of {said}, {how} stuck at one end of its range at every step.",
        columns={
            "gate": np.repeat(GATES, len(units)),
            "unit": np.tile(units, len(GATES)),
            "closed": closed.ravel(),
            "open": open_.ravel(),
            "mean": steps.mean(0).ravel(),
            "deviation": steps.std(0).ravel(),
            "stuck": stuck.ravel(),
        },
        law=LAW,
        residual=float(np.abs(closed + open_ + between - 1).max()),
        closed=closed,
        open=open_,
        mean=steps.mean(0),
        deviation=steps.std(0),
    )
