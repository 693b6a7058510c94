"""How much of each step is left at each later step? A cell's effective attention over its past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, in_bytes, quiet, size
from gatewise.errors import OptionError
from gatewise.insight import naming
from gatewise.insight.answer import Answer, Cost, StepTable, relative_error
from gatewise.insight.retention import (
    initial_cell,
    of_one_cell,
    require_every_step,
    require_finite,
    retention_of,
    valid_steps,
    writes_of,
)
from gatewise.margins import first_largest
from gatewise.progress import working
from gatewise.records.trace import Trace
from gatewise.showing import counted

MOST = 2000  # rows, from which on it must be asked for
LAW = "a unit's row adds up to its cell state; over all units, a row's shares add up to 1"


@dataclass(frozen=True, eq=False, repr=False)
class Attention(Answer, StepTable):
    """The part of each step's contribution that is left in the cell state at each later step.

    Rows and columns are the same steps in the input's time: row t, column s belongs to what step s wrote, at step t.
    A block has the time of its last step.

    Attributes
    ----------
    weights : array (steps, steps)
        Of one unit, the rest with its sign; of all units, the share of all absolute values. 0 at steps s that come
        later than t in the trace's direction.
    initial : array (steps,)
        The same for the cell state before the first step: the initial one, or the one before the window.
    unit : str or None
        The name of the unit; None for all.
    direction : {"forward", "backward"}
        The direction of the cell.
    every : int
        The number of steps of a block; 1 where each step is a row.
    times, valid : arrays (steps,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> gw.insight.attention(trace[0]).weights.shape
    (7, 7)
    """

    weights: Array
    initial: Array
    unit: str | None
    direction: str
    every: int


class _AttentionWindow(NamedTuple):
    """Some steps of a trace in the order in which they ran, cut into blocks."""

    order: npt.NDArray[np.intp]  # in the input's time
    every: int

    @property
    def starts(self) -> range:
        return range(0, len(self.order), self.every)

    @property
    def ends(self) -> npt.NDArray[np.intp]:
        """The last step of each block, in the input's time."""
        return self.order[[min(start + self.every, len(self.order)) - 1 for start in self.starts]]


def cost_of_attention(trace: Trace, *, start: Any = 0, stop: Any = None, every: int = 1) -> Cost:
    """Return the cost of `attention`: for n blocks and H units n² + 2 n H numbers and n² H multiplications.

    Parameters
    ----------
    trace, start, stop, every
        As in `attention`.

    Raises
    ------
    OptionError
        If there are no such steps, or this is not the trace of one cell.

    Examples
    --------
    >>> trace = gw.LSTM(1, 128, rng=0).trace([[0.0]] * 1000)[0]
    >>> print(cost_of_attention(trace))
    10.05 MB of memory and 128.3 million multiplications
    >>> print(cost_of_attention(trace, every=10))
    0.3462 MB of memory and 1.536 million multiplications
    """
    trace = of_one_cell(trace)
    window, units = _attention_window(trace, start, stop, every), len(naming.unit_names(trace))
    blocks = len(window.starts)
    work = blocks * blocks * units + 2 * len(window.order) * units
    return Cost(memory=8 * (blocks * (blocks + 2 * units) + 6 * min(every, len(window.order)) * units), work=work)


@quiet
def attention(
    trace: Trace,
    sequence: int | str = 0,
    unit: int | str | None = None,
    *,
    start: Any = 0,
    stop: Any = None,
    every: int = 1,
    long: bool = False,
) -> Attention:
    """Return the part of each step's contribution that is left at each later step, with the gates held.

    Levy et al., "Long Short-Term Memory as a Dynamically Computed Element-wise Weighted Sum" (2018): unrolling
    c = F * c_prev + w gives c_t = Σ_s w_s F_{s+1} … F_t + c_0 F_1 … F_t, a row of weights over the past.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the gates and the cell state of every step, of all units or some.
    sequence : int or str
        The place of a sequence in the batch, or its name.
    unit : int or str, optional
        A kept unit, or its name, for its contributions with their signs. By default the shares over all units.
    start, stop : int, str or date, optional
        A window of the input's time: steps start, …, stop - 1, or to `stop` by its date or name. Earlier contributions
        count as initial.
    every : int
        Cut the window into blocks of so many steps, in the trace's direction: a row for the last step of each, and a
        column for its contributions.
    long : bool
        Whether there may be more than 2,000 rows.

    Returns
    -------
    Attention
        With a row for each step: ``time``, ``initial state``, and a column for each step that wrote.

    Raises
    ------
    OptionError
        If the cell state is clipped or not finite, there is no such sequence, unit, window or block, the trace kept
        only every nth step, there are more than 2,000 rows without `long`, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep a gate or the cell state.
    CapacityError
        If so many steps would not fit into memory.

    Notes
    -----
    Law: of a unit, a row with its initial part adds up to the cell state; over all units, the shares of a row add up to
    1 (or 0 if nothing was written). The residual is that of the units' rows in both cases. For n blocks and H units it
    takes about n² + 2 n H numbers of 8 bytes and n² H multiplications: `cost_of_attention` computes it beforehand, and
    a window or blocks lower it.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> answer = attention(latch().trace()[0], unit=0)
    >>> print(answer.weights[:, 0].round(2), answer)
    [0.99 0.99 0.99 0.99 0.98 0.98 0.98] The largest share of unit latch's cell state at step 6, 100 %, was written at \
step 0.
    """
    trace = of_one_cell(trace)
    require_every_step(trace, "attention")
    names, state = naming.unit_names(trace), trace.cell_state
    sequence = naming.sequence_of(trace, sequence)
    chosen = range(len(names)) if unit is None else [naming.unit_of(names, unit)]
    window, forward = _attention_window(trace, start, stop, every), trace.direction == "forward"
    ends, blocks, every = window.ends, len(window.starts), window.every
    cost = cost_of_attention(trace, start=start, stop=stop, every=every)
    if blocks > MOST and not long:
        raise OptionError(
            f"attention with {blocks:,} rows takes {in_bytes(cost.memory)} and {cost.work / 1e9:,.1f} billion"
            f" multiplications. Group steps with every={-(-len(window.order) // MOST)}, choose some with start and"
            " stop, or pass long=True"
        )
    cost.require(f"the attention of {blocks:,} steps or blocks (start, stop and every make them fewer)")
    weights, initial, residual = np.zeros((blocks, blocks)), np.zeros(blocks), 0.0
    for row, parts in enumerate(_block_contributions(trace, window, sequence, list(chosen))):
        sizes, c = np.abs(parts).sum(0), state[ends[row], sequence, chosen].astype(np.float64)
        require_finite(np.concatenate([sizes, c]), "attention")
        residual = max(residual, relative_error(parts.sum(0) - c, sizes))
        total = sizes.sum()
        row_weights = parts[:, 0] if unit is not None else np.abs(parts).sum(1) / (total if total > 0 else 1.0)
        initial[row], weights[row, : row + 1] = row_weights[0], row_weights[1:]
    order = slice(None, None, 1 if forward else -1)  # into the input's time
    weights, initial, ends = weights[order, order], initial[order], ends[order]
    labels = [naming.step_name(trace, int(t)) for t in ends]
    valid, times = valid_steps(trace, which=sequence), naming.times_of(trace)[ends]
    answer = Attention(
        columns={"time": times, "initial state": initial, **dict(zip(_unique_names(labels), weights.T, strict=True))},
        sentence="",
        law=LAW,
        residual=residual,
        reading=(
            f"Measured: in each of {counted(blocks, 'row')} what was written and what was there before, times what the"
            " steps since retain, add up to the cell state.",
        ),
        weights=weights,
        initial=initial,
        unit=None if unit is None else names[chosen[0]],
        times=times,
        valid=None if valid is None else valid[ends],
        direction=trace.direction,
        every=every,
    )
    return replace(answer, sentence=_attention_sentence(answer, trace, sequence, ends, every))


def _attention_window(trace: Trace, start: Any, stop: Any, every: int) -> _AttentionWindow:
    """Return the window of steps start, …, stop - 1 in the order in which they ran."""
    steps = len(trace)
    start, stop = naming.steps_of(trace, start, stop)
    every = min(size("every", every, most=None), max(steps, 1))
    first = size("start", start, least=0)
    end = steps if stop is None else size("stop", stop, least=0)
    if not first < end <= steps:
        raise OptionError(f"attention needs steps with 0 <= start < stop <= {steps}, not {start} to {end}")
    order = np.arange(first, end)
    return _AttentionWindow(order if trace.direction == "forward" else order[::-1], every)


def _block_contributions(trace: Trace, window: _AttentionWindow, sequence: int, chosen: list[int]) -> Iterator[Array]:
    """Yield, for each block, the part left of the cell state before the window and of each block's contribution."""
    every, order = window.every, window.order
    parts = np.empty((len(window.starts) + 1, len(chosen)))
    before = order[0] - 1 if trace.direction == "forward" else order[0] + 1
    inside = 0 <= before < len(trace)
    parts[0] = trace.cell_state[before, sequence, chosen] if inside else initial_cell(trace, sequence)[chosen]
    with working("unrolling the cell state", len(window.starts)) as done:
        for row, start in enumerate(window.starts):
            steps = order[start : start + every][::-1]  # the latest first
            retention = retention_of(trace, steps, sequence)[:, chosen]
            writes = writes_of(trace, steps, sequence)[:, chosen]
            retained = np.cumprod(np.concatenate([np.ones((1, len(chosen))), retention]), axis=0)
            parts[: row + 1] *= retained[-1]
            parts[row + 1] = (writes * retained[:-1]).sum(0)
            yield parts[: row + 2]
            done(1)


def _unique_names(names: list[str]) -> list[str]:
    """Return step names as unique columns of the attention table: with their places, if a name occurs twice."""
    return (
        names
        if len({*names, "time", "initial state"}) == len(names) + 2
        else [f"{place}: {name}" for place, name in enumerate(names)]
    )


def _attention_sentence(answer: Attention, trace: Trace, sequence: int, ends: npt.NDArray[np.intp], every: int) -> str:
    """Return the sentence of an attention: the largest share of the last cell state, and where it was written."""
    last = -1 if trace.direction == "forward" else 0
    whose = "the" if answer.unit is None else f"unit {answer.unit}'s"
    of = naming.of_sequence(trace, sequence)
    when, sizes = naming.at_step(trace, int(ends[last])), np.abs([answer.initial[last], *answer.weights[last]])
    if not sizes.any():
        return f"{whose[0].upper()}{whose[1:]} cell state{of} {when} is zero: nothing was written."
    largest = first_largest(sizes)
    wrote = int(ends[largest - 1])
    ending = naming.at_step(trace, wrote)
    place = ending if every == 1 else f"in the block of {every:,} steps that ends {ending}"
    origin = f"was written {place}" if largest else "is left of what was there before"
    share = 100 * sizes[largest] / sizes.sum()
    return f"The largest share of {whose} cell state{of} {when}, {share:.0f} %, {origin}."
