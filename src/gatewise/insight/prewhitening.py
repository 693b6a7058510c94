"""Values over time without their trend and without what their own past predicts, and states filtered alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask, require_memory

MOST_LAGS = 8
STEPS = 20  # of the longest sequence, for each lag
LEAST = 6  # values of a sequence that has a trend of its own
FLOOR = 1e-6  # of the variance: so much is taken for noise, since a filter that leaves nothing leaves rounding


class Prewhitened(NamedTuple):
    """Values without their trend, a parabola, and without what their own past predicts; and states less their past.

    Attributes
    ----------
    values : array (time, batch)
        NaN where there is none, and at the first steps of a sequence, which have no past.
    states : array (time, batch, units)
    lags : int
        The values of the past that predict the next one.
    of_trend, of_past : float
        The share of the values' variance that trends explain, and the share of the rest that the past does.
    """

    values: Array
    states: Array
    lags: int
    of_trend: float
    of_past: float


def prewhiten(values: Array, usable: Mask, states: Array) -> Prewhitened:
    """Return values (time, batch) without a parabola for each sequence and without their own past; and filtered states.

    The autoregression of the values has as many lags as Akaike's criterion wants, and filters the states. The usable
    steps of a sequence are taken for neighbours, whatever lies between them.
    """
    require_memory(states.size, 8, "a probe's states without trend and past")
    counts, rank = usable.sum(0), np.cumsum(usable, axis=0) - 1
    scaled = np.where(usable, values / np.abs(values[usable]).max(), 0.0)
    centred = np.where(usable, scaled - scaled.sum(0) / np.maximum(counts, 1), 0.0)
    rest, bent = centred, usable & (counts >= LEAST)
    for power in (1, 2):  # orthogonal to each other and to a constant
        curve = np.where(bent, (rank - (counts - 1) / 2) ** power, 0.0)
        curve -= bent * (curve.sum(0) / np.maximum(counts, 1))
        rest = rest - curve * ((curve * rest).sum(0) / np.maximum((curve**2).sum(0), 1e-9))
    total, left = float((centred**2).sum()), float((rest**2).sum())
    if left <= 1e-12 * total or not left:
        return Prewhitened(np.where(usable, 0.0, np.nan), states, 0, 1.0, 0.0)
    most = min(MOST_LAGS, int(counts.max()) // STEPS)
    rows = np.flatnonzero((usable & (rank >= most)).T)
    before = np.maximum.accumulate(np.where(usable, np.arange(len(usable))[:, None], 0), axis=0)
    before = np.concatenate([before[:1], before[:-1]])  # the usable step before each
    past, sequence = [np.arange(len(usable))[:, None] + 0 * before], np.arange(len(counts))
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
    noise[~usable | (rank < best)] = np.nan
    return Prewhitened(noise, filtered, best, 1 - left / total, float(1 - errors[best] / gram[0, 0]))
