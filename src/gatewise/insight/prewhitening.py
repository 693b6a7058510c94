"""Values over time without their trend and without what their own past predicts, and states likewise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask, require_memory

MOST_LAGS = 8
STEPS = 20  # of the longest sequence, for each lag
LEAST = 4  # values of a sequence that has a trend of its own
FLOOR = 1e-6  # of the variance: so much is taken for noise, since a filter that leaves nothing leaves rounding


class Prewhitened(NamedTuple):
    """Values without their trend, a line, and without what their own past predicts; and states filtered alike."""

    values: Array  # (time, batch); NaN where there is none, and at the first steps of a sequence, which have no past
    states: Array  # (time, batch, units)
    line: Array  # (time, batch), the direction that the values have lost, of norm 1 in each sequence
    lags: int  # values of the past that predict the next one
    of_trend: float  # the share of the values' variance that trends explain
    of_past: float  # the share of the rest that the past explains


def prewhiten(values: Array, usable: Mask, states: Array) -> Prewhitened:
    """Return values (time, batch) without a line for each sequence and without their own past; and states likewise.

    The autoregression of the values has as many lags as Akaike's criterion wants, and filters the states too. The
    usable steps of a sequence are taken for neighbours, whatever lies between them.
    """
    require_memory(states.size, 16, "a probe's states without trend and past")
    scaled = np.where(usable, values / np.abs(values[usable]).max(), 0.0)
    rest = _without_line(scaled[..., None], usable)[..., 0]
    means = scaled.sum(0) / np.maximum(usable.sum(0), 1)
    total, left = float(((scaled - means)[usable] ** 2).sum()), float((rest**2).sum())
    if left <= max(1e-12 * total, 1e-24 * float((scaled**2).sum())):  # of rounding
        return Prewhitened(np.where(usable, 0.0, np.nan), states, 0.0 * rest, 0, 1.0, 0.0)
    most, rank = min(MOST_LAGS, int(usable.sum(0).max()) // STEPS), np.cumsum(usable, axis=0) - 1
    rows, sequence = np.flatnonzero((usable & (rank >= most)).T), np.arange(usable.shape[1])
    before = np.maximum.accumulate(np.where(usable, np.arange(len(usable))[:, None], 0), axis=0)
    before = np.concatenate([before[:1], before[:-1]])  # the usable step before each
    past = [np.arange(len(usable))[:, None] + 0 * before]
    for _ in range(most):
        past.append(before[past[-1], sequence])
    lagged = np.stack([rest[steps, sequence].T.ravel()[rows] for steps in past], axis=1)
    gram = lagged.T @ lagged + FLOOR * left * np.eye(most + 1)
    fits = [np.linalg.solve(gram[1 : lags + 1, 1 : lags + 1], gram[1 : lags + 1, 0]) for lags in range(most + 1)]
    errors = [gram[0, 0] - fit @ gram[1 : len(fit) + 1, 0] for fit in fits]
    best = int(np.argmin([len(rows) * np.log(error) + 2 * lags for lags, error in enumerate(errors)]))
    noise, filtered = rest.copy(), states.astype(np.float64)
    for weight, steps in zip(fits[best], past[1:], strict=False):
        noise -= weight * rest[steps, sequence]
        filtered -= weight * states[steps, sequence]
    kept = usable & (rank >= best)
    noise[~kept] = np.nan
    return Prewhitened(
        noise,
        _without_line(filtered, kept),
        _unit_line(kept),
        best,
        1 - left / total,
        float(1 - errors[best] / gram[0, 0]),
    )


def _without_line(values: Array, kept: Mask) -> Array:
    """Return values (time, batch, n) at kept steps less a line for each sequence, or its mean if it is short; or 0."""
    rest: Array = np.where(kept[..., None], values, 0.0)
    for curve in (kept / np.sqrt(np.maximum(kept.sum(0), 1)), _unit_line(kept)):
        rest -= curve[..., None] * np.einsum("tb,tbn->bn", curve, rest)
    return rest


def _unit_line(kept: Mask) -> Array:
    """Return a line (time, batch) over the kept steps of each sequence, of mean 0 and norm 1; 0 in a short one."""
    counts, rank = kept.sum(0), np.cumsum(kept, axis=0) - 1
    line: Array = np.where(kept & (counts >= LEAST), rank - (counts - 1) / 2, 0.0)
    line /= np.sqrt(np.maximum((line**2).sum(0), 1.0))
    return line
