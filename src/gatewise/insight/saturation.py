"""Is this gate doing anything? The shares of steps at which it is nearly closed or nearly open; dead units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, finite_number
from gatewise.errors import OptionError, join_names
from gatewise.insight import retention
from gatewise.insight.answer import Answer
from gatewise.insight.naming import unit_names
from gatewise.margins import EPSILONS, rounding_margin
from gatewise.records.trace import Trace
from gatewise.showing import counted

LAW = "the fractions of steps below, between and above the bounds add up to 1"
GATES = ("input_gate", "forget_gate", "output_gate")


@dataclass(frozen=True, eq=False, repr=False)
class Saturation(Answer):
    """The saturation of gates, and the dead units.

    Attributes
    ----------
    closed, open : array (gate, hidden)
        The fractions of valid steps at which a gate lies below and above the bounds; gates are input, forget, output.
    mean, deviation : array (gate, hidden)
        The gate's mean and standard deviation over the valid steps.
    stuck : boolean array (gate, hidden)
        Whether the gate is saturated on one side at every valid step.
    moves : array (hidden,) or None
        The largest value of a unit's hidden state minus its smallest, over all valid steps of all sequences. None if
        the trace did not keep it.
    dead : boolean array (hidden,) or None
        Whether `moves` is at most the bound.
    low, high : float
        The bounds below and above which a gate is saturated.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> answer = gw.insight.saturation(trace[0])
    >>> answer.stuck.shape, answer.mean[1].round(2)
    ((3, 1), array([0.86]))
    """

    closed: Array
    open: Array
    mean: Array
    deviation: Array
    stuck: Mask
    moves: Array | None
    dead: Mask | None
    low: float
    high: float


def saturation(trace: Trace, low: float = 0.1, high: float = 0.9, still: float = 0.01) -> Saturation:
    """Return the shares of steps at which each gate is nearly closed or nearly open, and the dead units.

    Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015): a gate is left-saturated
    below 0.1 and right-saturated above 0.9. A gate that is saturated on one side at every step is *stuck*. A unit is
    *dead* if its hidden state (before any projection) hardly moves: if its largest value over all valid steps of all
    sequences exceeds its smallest by no more than `still`.

    Parameters
    ----------
    trace : Trace
        One that kept the input, forget and output gate; dead units are counts only where it kept ``unprojected_state``
        (without a projection, ``hidden_state``) too. All valid steps of all sequences count, of those kept.
    low, high : float
        The bounds of a gate, 0 <= low < high <= 1.
    still : float
        The bound of a dead unit's movement, not negative. The hidden state of a plain cell lies between -1 and 1.

    Returns
    -------
    Saturation
        With a row for each gate and unit: ``gate``, ``unit``, ``closed``, ``open``, ``mean``, ``deviation``, ``stuck``;
        and where they are counts ``moves`` and ``dead``, which are the unit's, the same for its three gates.

    Raises
    ------
    OptionError
        If the bounds are not in order, a gate's nonlinearity does not lie between 0 and 1, no step is valid, or a gate
        is NaN.
    NotKeptError
        If the trace did not keep a gate.

    Notes
    -----
    Law: the fractions below, between and above the bounds add up to 1. A unit is dead on the evidence of these steps
    alone, and of a single step none is. A number that is beyond a bound by rounding alone, 64 machine epsilons, is not
    beyond it. Time is linear in the number of gates; memory is bounded.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()[0]
    >>> print(saturation(trace))
    None of the 3 gates of 1 unit is stuck, nearly closed or nearly open at every step.
    >>> print(saturation(trace[1:6]))
    All 3 gates of 1 unit are stuck, nearly closed or nearly open at every step: 1 input gate, 1 forget gate and \
1 output gate; one unit hardly moves: latch.
    """
    trace = retention.of_one_cell(trace)
    if not 0 <= finite_number("low", low) < finite_number("high", high) <= 1:
        raise OptionError(f"the bounds must satisfy 0 <= low < high <= 1, not {low!r} and {high!r}")
    if finite_number("still", still) < 0:
        raise OptionError(f"still must not be negative, but is {still!r}")
    for name in GATES:
        retention.require_between_0_and_1(trace, name, "saturation")
    rounding = EPSILONS * float(np.finfo(trace.parameters.dtype).eps)  # of gates, which are 1 at most
    counts = _count_saturated_steps(trace, low - rounding, high + rounding)
    steps, closed, open_, between = counts.steps, counts.below, counts.above, counts.between
    closed, open_, between = closed / steps, open_ / steps, between / steps
    stuck = np.maximum(closed, open_) == 1
    moves = dead = None
    if counts.least is not None and counts.most is not None:
        moves, states = counts.most - counts.least, np.stack([counts.least, counts.most])
        margin = min(still, float(rounding_margin(states, trace.parameters.dtype)))  # a bound of 0 is exact
        dead = (moves <= still + margin) & (steps > 1)
    units = unit_names(trace)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "gate": np.repeat(GATES, len(units)),
        "unit": np.tile(units, len(GATES)),
        "closed": closed.ravel(),
        "open": open_.ravel(),
        "mean": counts.mean.ravel(),
        "deviation": np.sqrt(counts.squares / steps).ravel(),
        "stuck": stuck.ravel(),
    }
    if moves is not None and dead is not None:
        columns |= {"moves": np.tile(moves, len(GATES)), "dead": np.tile(dead, len(GATES))}
    return Saturation(
        sentence=_saturation_sentence(units, stuck, dead),
        columns=columns,
        law=LAW,
        residual=float(np.abs(closed + open_ + between - 1).max()),
        closed=closed,
        open=open_,
        mean=counts.mean,
        deviation=np.sqrt(counts.squares / steps),
        stuck=stuck,
        moves=moves,
        dead=dead,
        low=low,
        high=high,
        reading=(
            f"Measured: at {counted(steps, 'valid step')} of all sequences, a gate below {low:g} counts as nearly"
            f" closed, and one above {high:g} as nearly open.",
        ),
    )


@dataclass
class _Counts:
    """Counts and moments of the steps so far: arrays (gate, hidden), and (hidden,) for the hidden state."""

    steps: int
    below: Array
    above: Array
    between: Array
    mean: Array
    squares: Array  # of the distances from the mean
    least: Array | None = None
    most: Array | None = None

    def add_gates(self, values: Array, low: float, high: float) -> None:
        """Count saturated gates (steps, gate, hidden); variances are combined after Chan, Golub and LeVeque (1983)."""
        count, mean = len(values), values.mean(0)
        self.below += (values < low).sum(0)
        self.above += (values > high).sum(0)
        self.between += ((values >= low) & (values <= high)).sum(0)
        ahead = mean - self.mean
        self.squares += ((values - mean) ** 2).sum(0) + ahead**2 * (self.steps * count / (self.steps + count))
        self.mean += ahead * (count / (self.steps + count))
        self.steps += count

    def add_states(self, values: Array) -> None:
        """Widen the least and greatest hidden state of each unit by hidden states (steps, hidden)."""
        least, most = values.min(0), values.max(0)
        self.least = least if self.least is None else np.minimum(self.least, least)
        self.most = most if self.most is None else np.maximum(self.most, most)


def _count_saturated_steps(trace: Trace, low: float, high: float) -> _Counts:
    """Return the saturated steps of each gate, and the moments of gates and states, read in pieces."""
    gates = [trace.quantity(name) for name in GATES]
    states = retention.unit_hidden_state(trace)
    batch, units = gates[0].shape[1:]
    counts = _Counts(0, *(np.zeros((len(GATES), units)) for _ in range(5)))
    for when in retention.pieces("counting saturated gates", len(trace), batch * units):
        on = retention.valid_steps(trace, when)
        on = np.ones((when.stop - when.start, batch), bool) if on is None else on
        if on.any():
            counts.add_gates(np.stack([gate[when][on] for gate in gates], axis=1).astype(np.float64), low, high)
            if states is not None:
                counts.add_states(states[when][on].astype(np.float64))
    if not counts.steps:
        raise OptionError("saturation needs at least one valid step; this trace has none")
    retention.require_finite(counts.mean, "saturation")
    return counts


def _saturation_sentence(units: list[str], stuck: Mask, dead: Mask | None) -> str:
    """Return the sentence of the answer about saturation: the number of stuck gates, and the dead units."""
    count = int(stuck.sum())
    gates = [counted(n, name.replace("_", " ")) for name, n in zip(GATES, stuck.sum(1).tolist(), strict=True) if n]
    share = f"{count:,} of the" if count else "None of the"
    share = share if count < stuck.size else "All"
    sentence = f"{share} {stuck.size:,} gates of {counted(len(units), 'unit')} {'are' if count > 1 else 'is'} stuck,"
    sentence += " nearly closed or nearly open at every step"
    sentence += f": {join_names(gates, 'and')}" if count else ""
    still = [] if dead is None else [unit for unit, is_dead in zip(units, dead, strict=True) if is_dead]
    if still:
        names = join_names(still, "and", most=6)
        sentence += f"; {'one unit hardly moves' if len(still) == 1 else f'{len(still):,} units hardly move'}: {names}"
    return f"{sentence}."
