"""The events of a report: which output, sequence and steps it explains, if the caller does not say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.activations import SIGMOID
from gatewise.arrays import Array, Mask
from gatewise.insight.horizon import Horizon
from gatewise.insight.metrics import LOGITS, classes_of
from gatewise.margins import EPSILONS, TIE, first_largest, largest_first, rounding_margin
from gatewise.network import Network
from gatewise.showing import counted

FAR = 0.5 * (1 - TIE)  # of the size of the first event: a second one has as much or more
NEAR = 0.1 * (1 + TIE)  # of the size of the second event: between two that are near each other, the output has no more
REPEATED = 20  # steps before an event, or as far as a horizon: if all are those of another one, it is the same again
ALIKE = 1e-3  # of an output: one that differs by less is the same
QUARTER = 4  # of a sequence, of which one such part is the most that a horizon leaves out as its spin-up


class Events(NamedTuple):
    """The steps of a sequence and the output that a report explains, and how they were chosen, as a clause."""

    steps: tuple[int, ...]
    sequence: int
    output: int
    reason: str


def choose_events(
    network: Network | None,
    y: Array,
    valid: Mask,
    sequences: Mask,
    output: int | None,
    horizon: Horizon | None,
    named: tuple[int, ...],
    x: Array | None = None,
    errors: Array | None = None,
) -> Events:
    """Return the largest event in outputs (time, batch, output) of some sequences (batch,), and another one of it.

    Steps that are `named` are explained instead. If the output is constant, the last step is. The other event is not
    the same as the first in its output and in the inputs `x` (time, batch, feature) before it. If there are `errors`
    (time, batch, output), NaN without a target, events are where these are largest.
    """
    left_out, places = _spin_up(network, valid, horizon), np.cumsum(valid, axis=0) - 1
    among = valid & sequences & (places >= left_out[0]) & (places < valid.sum(0) - left_out[1])
    if named:
        among = valid & sequences & np.isin(np.arange(len(y)), named)[:, None]
    sizes, reasons = _sizes_of(network, y, valid, among) if errors is None else _sizes_of_errors(errors)
    absolute = np.where(among[..., None], np.abs(sizes if output is None else sizes[..., [output]]), -1.0)
    t, sequence, place = (int(n) for n in np.unravel_index(first_largest(absolute), absolute.shape))
    output = place if output is None else output
    levels = sizes[valid[:, sequence], sequence, output]
    is_constant = len(levels) > 1 and np.ptp(levels) <= rounding_margin(levels, y.dtype)
    everywhere = "as everywhere" if errors is None else "where its error is as large as everywhere"
    where = everywhere if is_constant else f"where {reasons[output]}"
    if named and len(y) > 1 and not is_constant:
        where = f"the sequence in which {reasons[output]} at {'this step' if len(named) == 1 else 'these steps'}"
    if named:
        return Events(named, sequence, output, f", {where}")
    if is_constant:
        t = int(np.flatnonzero(among[:, sequence])[-1])
    inputs = None if x is None else x[:, sequence]
    other = _second_event(sizes[:, sequence, output], t, valid[:, sequence], among[:, sequence], horizon, inputs)
    reason = f", {'' if other is None else 'the two events '}{where}"
    ends = zip(("first", "last"), left_out[:, sequence].tolist(), strict=True)
    if names := " and the ".join(f"{end} {counted(count, 'step')}" for end, count in ends if count):
        reason += f", leaving out the {names}, in which its state builds up"
    return Events((t,) if other is None else (t, other), sequence, output, reason)


def _sizes_of(network: Network | None, y: Array, valid: Mask, among: Mask) -> tuple[Array, list[str]]:
    """Return the size of each output at each step as an event, and of each output a clause: where it is largest.

    Of classes that is the probability, and 0 where another one is predicted (of a class that never is, the
    probability); of numbers the deviation from the mean, as a share of the largest number.
    """
    dtype, rounding = y.dtype, EPSILONS * np.finfo(y.dtype).eps  # of probabilities, which are 1 at most
    y = np.where(valid[..., None], y, 0.0).astype(np.float64)
    classes = classes_of(network, y.shape[-1])
    if classes == LOGITS:
        y = np.exp(y - y.max(-1, keepdims=True))
        y /= y.sum(-1, keepdims=True)
    if classes is not None:
        predicted = y > 0.5 + rounding if classes == SIGMOID else y >= y.max(-1, keepdims=True) - rounding
        ever = np.asarray((predicted & among[..., None]).any((0, 1)))
        reasons = ["the model is most sure of it" if sure else "it is most probable" for sure in ever.tolist()]
        return np.where(predicted | ~ever, y, 0.0), reasons
    y /= np.abs(y).max() or 1.0
    axis = 0 if len(y) > 1 else (0, 1)
    counts = np.maximum(valid.sum(axis, keepdims=True), 1)[..., None]
    mean = y.sum(axis, keepdims=True) / counts if valid.sum() > 1 else 0.0
    deviation = np.where(valid[..., None], y - mean, 0.0)
    deviation[np.abs(deviation) <= rounding_margin(y, dtype, axis=(0, 1))] = 0.0
    reason = "it is furthest from its mean" if valid.sum() > 1 else "it is largest"
    return deviation, [reason] * y.shape[-1]


def _sizes_of_errors(errors: Array) -> tuple[Array, list[str]]:
    """Return the errors of each output, in root mean squares of these, as sizes of events; and where they are."""
    known = ~np.isnan(errors)
    size = np.abs(np.where(known, errors, 0.0)).max((0, 1))
    relative = np.where(known, errors, 0.0) / np.where(size > 0, size, 1.0)
    mean = np.sqrt(np.square(relative).sum((0, 1)) / np.maximum(known.sum((0, 1)), 1))
    return relative / np.where(mean > 0, mean, 1.0), ["its error is largest"] * errors.shape[-1]


def _second_event(
    sizes: Array, t: int, valid: Mask, among: Mask, horizon: Horizon | None, x: Array | None
) -> int | None:
    """Return the step of another event of an output than that at step `t`, at least half as large; None without one.

    Between the two, the output returns to near its mean; or half-way, if a horizon lies between them. For a class that
    means that another one is predicted.
    """
    absolute, on_side = np.abs(sizes), np.where(valid, np.maximum(sizes * np.sign(sizes[t]), 0.0), np.inf)
    before, after = (np.minimum.accumulate(part) for part in (on_side[t::-1], on_side[t:]))
    between = np.concatenate([before[:0:-1], after])  # the least from that step to each other one
    is_other = between <= NEAR * absolute
    if horizon is not None and horizon.stable and not (horizon.at_least or horizon.ahead_at_least):
        is_far = np.abs(np.arange(len(sizes)) - t) >= max(1, horizon.steps, horizon.ahead)
        is_other |= is_far & (between <= FAR * absolute)
    is_other &= among & (absolute > 0) & (absolute >= FAR * absolute[t])
    others = np.flatnonzero(is_other)
    for place in map(int, others[largest_first(absolute[others])]):
        if x is None or abs(sizes[place] - sizes[t]) > ALIKE * absolute[t]:
            return place
        if not np.array_equal(_inputs_around(x, place, horizon), _inputs_around(x, t, horizon)):
            return place
    return None


def _inputs_around(x: Array, t: int, horizon: Horizon | None) -> Array:
    """Return the inputs around step `t`, as far as the horizon or 20 steps."""
    back, ahead = (REPEATED, 0) if horizon is None or not horizon.stable else (horizon.steps, horizon.ahead)
    return x[max(0, t - min(REPEATED, back)) : t + min(REPEATED, ahead) + 1]


def _spin_up(network: Network | None, valid: Mask, horizon: Horizon | None) -> Array:
    """Return the numbers of first and of last valid steps (2, batch) of each sequence that are left out.

    They are those of two horizons, or else a quarter of the sequence; or, if the sequence is long enough, a whole
    window of a model that was trained on windows.
    """
    windows, counts = None if network is None else network.windows, valid.sum(0)
    early, late = counts // QUARTER, 0 * counts
    if horizon is not None and horizon.stable:
        early, late = (np.minimum(counts // QUARTER, 2 * lags) for lags in (horizon.steps, horizon.ahead))
    if windows is not None:
        early = np.where(counts >= windows.steps, np.maximum(early, windows.steps - 1), early)
    return np.stack([early, late])
