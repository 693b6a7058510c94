"""The reference engine: NumPy, one step after another, every variant, in the precision of the parameters.

Every other engine is tested against it. A step takes 8 batch · hidden · (recurrent + input)
floating-point operations forward and about twice as many backward, and some 50 µs of Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gatewise import adjoints
from gatewise.arrays import Array, Mask
from gatewise.equations import DropoutMasks, Moment
from gatewise.parameters import Parameters
from gatewise.records.edited_steps import EditedRun
from gatewise.records.edits import Edit
from gatewise.records.gradients import Gradients
from gatewise.records.keep import Keep
from gatewise.records.step import State
from gatewise.records.trace import Trace

NAME = "reference"


def refusal(parameters: Parameters) -> str | None:
    """Return why this engine cannot run a cell: None, since it can run every cell."""
    return None


def run(
    parameters: Parameters,
    x: Array,
    initial: State,
    hidden: Array,
    *,
    reverse: bool,
    valid: Mask | None,
    dropout: DropoutMasks,
    keep: Keep,
    arrays: dict[str, Array],
    edits: Sequence[Edit] = (),
) -> State:
    """Run a cell over time, step by step with numpy.

    Parameters
    ----------
    parameters : Parameters
    x : array (time, batch, input)
    initial : State
        Arrays (batch, ·).
    hidden : array (time, batch, recurrent)
        Output: the hidden state after each step, carried over where a step is not valid.
    reverse : bool
        Whether to run from the last step to the first.
    valid : boolean array (time, batch) or None
        Which steps are valid. The inputs of the others never enter the arithmetic.
    dropout : DropoutMasks
        With the axes of this run.
    keep, arrays : Keep, and dict of arrays
        What to keep, and the arrays of `Keep.shapes` to store it in.
    edits : sequence of Edit
        Settled ones; only this engine takes any.

    Returns
    -------
    State
        The state after the last step.
    """
    h, c = initial.h.copy(), initial.c.copy()
    time = len(x)
    units = slice(None) if keep.units is None else list(keep.units)
    acting = EditedRun(edits, parameters, time, len(h)) if edits else None
    with np.errstate(all="ignore"):  # NaN and infinity propagate without a warning
        for t in reversed(range(time)) if reverse else range(time):
            rows = valid_rows(valid, t)
            if acting is None:
                M = Moment(parameters, x[t, rows], h[rows], c[rows], dropout.at((t, rows)))
            else:
                M = acting.moment((t, rows), x[t, rows], h[rows], c[rows], dropout.at((t, rows)))
            h[rows], c[rows] = M.h, M.c
            hidden[t] = h
            if t % keep.every:
                continue
            slot = t // keep.every
            if "gates" in arrays:
                arrays["gates"][slot] = np.nan
            for place, letter in enumerate(keep.gate_letters):
                arrays["gates"][slot, rows, place] = getattr(M, letter)[:, units]
            if "cell_state" in arrays:
                arrays["cell_state"][slot] = c[:, units]
            if "hidden_state" in arrays:
                arrays["hidden_state"][slot] = h if parameters.projection is not None else h[:, units]
            if "unprojected_state" in arrays:
                arrays["unprojected_state"][slot] = np.nan
                arrays["unprojected_state"][slot, rows] = M.m[:, units]
    return State(h, c)


def backward(trace: Trace, dhidden: Array, dfinal: State, out: Gradients | None = None) -> Gradients:
    """Return the gradients of a loss with respect to everything that went into a run.

    Parameters
    ----------
    trace : Trace
        A complete one: all gates, states and steps.
    dhidden : array (time, batch, recurrent)
        The gradient with respect to the hidden state after each step.
    dfinal : State
        The gradient with respect to the final state, added to that.
    out : Gradients, optional
        Earlier gradients of the same shapes, whose arrays are overwritten.
    """
    total = Gradients.zeros(trace.parameters, len(dhidden), dhidden.shape[1], out)
    dh, dc = total.state
    dh[...], dc[...] = dfinal
    steps = range(len(dhidden))
    with np.errstate(all="ignore"):
        for t in steps if trace.direction == "backward" else reversed(steps):
            dh += dhidden[t]
            rows = valid_rows(trace.valid, t)
            step = adjoints.step(trace.moment((t, rows)), dh[rows], dc[rows])
            dh[rows], dc[rows], total.x[t, rows] = step.h_prev, step.c_prev, step.x
            for name, array in step.parameters.items():
                total.parameters[name] += array
    return total


def valid_rows(valid: Mask | None, t: int) -> slice | npt.NDArray[np.intp]:
    """Return the sequences that are valid at step t of a run: as a slice where all are, which avoids copies."""
    if valid is None or valid[t].all():
        return slice(None)
    return np.flatnonzero(valid[t])
