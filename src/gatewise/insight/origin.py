"""What is in the cell, and who wrote it? A cell state as the sum of what each step wrote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, index
from gatewise.errors import OptionError
from gatewise.insight.answer import Answer
from gatewise.insight.naming import step_name
from gatewise.insight.retention import of_one_cell, retained, written
from gatewise.trace import Trace

LAW = "the contributions of all steps and of the initial state add up to the cell state"


@dataclass(frozen=True, eq=False, repr=False)
class Contributions(Answer):
    """Who wrote a cell state.

    Attributes
    ----------
    by_step : array (time, hidden)
        What is left of what each step wrote; 0 at steps that come later in the trace's direction.
    initial : array (hidden,)
        What is left of the initial cell state.
    cell_state : array (hidden,)
        The cell state, as the trace has it.
    """

    by_step: Array
    initial: Array
    cell_state: Array


def contributions(trace: Trace, t: int | None = None, sequence: int = 0) -> Contributions:
    """Return the cell state of one step as the sum of what every step wrote.

    Unrolling c = F * c_prev + w gives c_T = Σ_s w_s F_{s+1} … F_T + c_0 F_1 … F_T: what step s wrote, i g, times the
    forget gates since. Murdoch and Szlam, "Automatic Rule Extraction from Long Short Term Memory Networks" (2017).

    Parameters
    ----------
    trace : Trace
        One that keeps everything.
    t : int, optional
        The step, in the input's time; by default the last one in the trace's direction. Negative counts from the end.
    sequence : int
        Which sequence of the batch.

    Returns
    -------
    Contributions
        With a row for the initial state and one for each step: ``time``, ``contribution`` (the sum of its absolute
        values over units), and ``share`` of all such sums.

    Raises
    ------
    OptionError
        If the cell state is clipped, there is no such step or sequence, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep everything.

    Notes
    -----
    Law: the contributions and the initial state's add up to the cell state. Time and memory are linear in the number
    of steps and units.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> from gatewise.layers import LSTM
    >>> cell, x, *_ = latch()
    >>> print(contributions(LSTM.from_cells(cell).trace(x)[0]))
    Of the cell state at step 6, 100 % was written at step 0.
    """
    of_one_cell(trace)._require_everything("who wrote the cell")
    if not (steps := len(trace)):
        raise OptionError("who wrote the cell needs at least one step; this trace has none")
    forward = trace.direction == "forward"
    t = (steps - 1 if forward else 0) if t is None else index("step", t, steps, "this trace")
    sequence = index("sequence", sequence, trace.batch_size, "this trace")
    one = trace[:, sequence]
    order = np.arange(t + 1) if forward else np.arange(steps - 1, t - 1, -1)
    kept, wrote = retained(one)[order, 0], written(one)[order, 0]
    since = np.cumprod(np.concatenate([np.ones((1, kept.shape[1])), kept[::-1]]), axis=0)[::-1]  # F_s … F_T; last: 1
    by_step = np.zeros((steps, kept.shape[1]))
    by_step[order] = wrote * since[1:]
    initial = one.initial.c[0].astype(np.float64) * since[0]
    state = one.cell_state[t, 0].astype(np.float64)
    terms = np.abs(by_step).sum(0) + np.abs(initial)
    off = np.abs(by_step.sum(0) + initial - state) / np.where(terms > 0, terms, 1.0)
    sizes = np.concatenate([[np.abs(initial).sum()], np.abs(by_step).sum(1)])
    share = sizes / sizes.sum() if sizes.sum() > 0 else np.zeros_like(sizes)
    names = ["initial state", *(step_name(trace, n) for n in range(steps))]
    largest = int(np.argmax(share))
    how = f"was written at {names[largest]}" if largest else "is left of the initial state"
    sentence = f"Of the cell state at {names[t + 1]}, {100 * share[largest]:.0f} % {how}."
    if not sizes.any():
        sentence = f"The cell state at {names[t + 1]} is zero: nothing was written."
    columns = {"time": np.array(names), "contribution": sizes, "share": share}
    return Contributions(columns, sentence, LAW, float(off.max()), by_step, initial, state)
