"""Who wrote the cell state? Its sum over the contributions of all steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array, quiet
from gatewise.errors import OptionError
from gatewise.insight import naming
from gatewise.insight.answer import Answer, Cost, StepTable, relative_error
from gatewise.insight.retention import (
    initial_cell,
    of_one_cell,
    pieces,
    require_every_step,
    require_finite,
    retention_of,
    valid_steps,
    writes_of,
)
from gatewise.margins import TIE, first_largest
from gatewise.records.trace import Trace

LAW = "the contributions of all steps and of the initial state add up to the cell state"


@dataclass(frozen=True, eq=False, repr=False)
class Contributions(Answer, StepTable):
    """The contributions of all steps to a cell state.

    Attributes
    ----------
    by_step : array (time, hidden)
        The rest of each step's contribution; 0 at later steps in the trace's direction.
    initial : array (hidden,)
        The rest of the initial cell state.
    cell_state : array (hidden,)
        The cell state in the trace.
    step : int
        The step of the cell state, in the input's time.
    units : tuple of str
        The names of the units.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> gw.insight.contributions(trace[0]).by_step[:, 0].round(2)
    array([0.98, 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ])
    """

    by_step: Array
    initial: Array
    cell_state: Array
    step: int
    units: tuple[str, ...]

    @property
    def shares(self) -> tuple[Array, Array]:
        """The shares of each step and unit (time, hidden) and of the initial state (hidden,) in all absolute values."""
        sizes, first = np.abs(self.by_step), np.abs(self.initial)
        total = sizes.sum() + first.sum()
        return (sizes / total, first / total) if total > 0 else (sizes, first)


def cost_of_contributions(trace: Trace) -> Cost:
    """Return the cost of `contributions` at most: 2 T H numbers and as many multiplications.

    Parameters
    ----------
    trace : Trace
        A run of one cell with T kept steps and H kept units.

    Raises
    ------
    OptionError
        If it is something else.

    Examples
    --------
    >>> print(cost_of_contributions(gw.LSTM(1, 128, rng=0).trace([[0.0]] * 1000)[0]))
    2.408 MB of memory and 0.256 million multiplications
    """
    trace = of_one_cell(trace)
    steps, units = len(trace), len(naming.unit_names(trace))
    return Cost(memory=8 * steps * (2 * units + NUMBERS_OF_ROW), work=2 * steps * units)


HALF = 0.5 * (1 - TIE)  # of a cell state
NUMBERS_OF_ROW = 45  # of memory for a step in the table, most of them for its name


@quiet
def contributions(trace: Trace, t: int | str | None = None, sequence: int | str = 0) -> Contributions:
    """Return the cell state of one step as the sum of the contributions of all steps.

    Unrolling c = F * c_prev + w gives c_T = Σ_s w_s F_{s+1} … F_T + c_0 F_1 … F_T: what step s wrote, i g, times the
    forget gates since. Murdoch and Szlam, "Automatic Rule Extraction from Long Short Term Memory Networks" (2017).

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the gates and the cell state of every step, of all units or some.
    t : int or str, optional
        The step, in the input's time, or its date or name; by default the last one in the trace's direction. Negative
        numbers count from the end.
    sequence : int or str
        The place of a sequence in the batch, or its name.

    Returns
    -------
    Contributions
        With a row for the initial state and one for each step: ``time`` (the step's date, name or number),
        ``contribution`` (the sum of its absolute values over units), and ``share`` of all such sums.

    Raises
    ------
    OptionError
        If the cell state is clipped or not finite, there is no such step or sequence, the trace kept only every nth
        step, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep a gate or the cell state.
    CapacityError
        If the answer would not fit into memory.

    Notes
    -----
    Law: the contributions and the initial state's add up to the cell state. Time is linear in the number of steps and
    units, T and H. The answer holds T H numbers, and takes about 2 T H to compute; see `cost_of_contributions`.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> print(contributions(latch().trace()[0]))
    Of the cell state at step 6, 100 % was written at step 0.
    """
    trace = of_one_cell(trace)
    require_every_step(trace, "who wrote the cell")
    state = trace.cell_state
    if not (steps := len(trace)):
        raise OptionError("the origin of a cell state needs at least one step, but this trace has none")
    t = (steps - 1 if trace.direction == "forward" else 0) if t is None else naming.step_of(trace, t)
    sequence = naming.sequence_of(trace, sequence)
    cost_of_contributions(trace).require(f"who wrote the cell, over {steps:,} steps,")
    by_step, initial = _remaining_contributions(trace, t, sequence)
    state = state[t, sequence].astype(np.float64)
    terms = np.abs(by_step).sum(0) + np.abs(initial)
    require_finite(np.concatenate([terms, state]), "who wrote the cell")
    sizes = np.concatenate([[np.abs(initial).sum()], np.abs(by_step).sum(1)])
    share = sizes / sizes.sum() if sizes.sum() > 0 else np.zeros_like(sizes)
    names, valid = ["initial state", *naming.step_names(trace)], valid_steps(trace, which=sequence)
    return Contributions(
        columns={"time": np.array(names), "contribution": sizes, "share": share},
        sentence=_contributions_sentence(trace, share, t, sequence),
        law=LAW,
        residual=relative_error(by_step.sum(0) + initial - state, terms),
        by_step=by_step,
        initial=initial,
        cell_state=state,
        step=t,
        units=tuple(naming.unit_names(trace)),
        times=naming.times_of(trace),
        valid=valid,
        reading=(
            "Measured: what each step wrote, times the forget gates since, adds up to the cell state; what a step"
            " writes anew from the hidden state counts as written there.",
        ),
    )


def _remaining_contributions(trace: Trace, t: int, sequence: int) -> tuple[Array, Array]:
    """Return the part of each step's write and of the initial cell state that is left in the cell state of step t."""
    steps, units = len(trace), len(naming.unit_names(trace))
    by_step, retained = np.zeros((steps, units)), np.ones((1, units))  # retained: F_{s+1} … F_t
    forward = trace.direction == "forward"
    for piece in pieces("unrolling the cell state", t + 1 if forward else steps - t, units):
        when = slice(t + 1 - piece.stop, t + 1 - piece.start) if forward else slice(t + piece.start, t + piece.stop)
        order = slice(None, None, -1 if forward else 1)  # the latest step first
        retention, writes = (part(trace, when, sequence)[order] for part in (retention_of, writes_of))
        products = np.cumprod(np.concatenate([retained, retention]), axis=0)
        by_step[when] = (writes * products[:-1])[order]
        retained = products[-1:]
    return by_step, initial_cell(trace, sequence) * retained[0]


def _share_percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def _contributions_sentence(trace: Trace, share: Array, t: int, sequence: int) -> str:
    """Return the sentence about who wrote a cell state: the steps that hold half of it, and the largest share."""
    of, at = naming.of_sequence(trace, sequence), naming.at_step(trace, t)
    if not share.any():
        return f"The cell state{of} {at} is zero: nothing was written."
    largest = first_largest(share)
    most = _share_percent(share[largest])
    how = f"was written {naming.at_step(trace, largest - 1)}" if largest else "is left of the initial state"
    if share[largest] >= HALF:
        return f"Of the cell state{of} {at}, {most} {how}."
    back = share[t + 1 : 0 : -1] if trace.direction == "forward" else share[t + 1 :]  # the latest step first
    count = int(np.searchsorted(np.cumsum(back), HALF)) + 1
    which = "last" if trace.direction == "forward" else "next"
    half = f"half was written in the {which} {naming.duration_of(count, naming.step_duration(trace))}"
    if count > len(back):  # the initial state holds the rest
        half = f"{_share_percent(share[0])} is left of the initial state"
    return f"Of the cell state{of} {at}, {half}; the largest share of a single step, {most}, {how}."
