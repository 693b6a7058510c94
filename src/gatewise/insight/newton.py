"""Newton's method on a cell under a constant input: states that it maps onto themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, chunks
from gatewise.insight.jacobians import identity, rows_back
from gatewise.layers import LSTM
from gatewise.progress import working
from gatewise.records.step import State
from gatewise.records.trace import Trace

MOST_STEPS = 100  # of Newton's method
HALVINGS = 20  # of one of them, until it comes nearer
EPSILON = float(np.finfo(np.float64).eps)
NUMBERS = 2**21  # in one array of a chunk


class Search:
    """A cell in float64 under one input; states are rows (h, c)."""

    def __init__(self, lstm: LSTM, x: Array) -> None:
        self.lstm, self.x, self.p = lstm, x, lstm.layers[0][0].parameters

    def state(self, rows: Array) -> State:
        """Return rows as hidden and cell states."""
        return State(rows[:, : self.p.recurrent_size], rows[:, self.p.recurrent_size :])

    def step(self, rows: Array) -> Trace:
        """Return one step from each state."""
        return self.lstm.trace(np.tile(self.x, (1, len(rows), 1)), ((self.state(rows),),))[0]

    def settled(self, rows: Array, steps: int) -> Array:
        """Return where each state is after some steps."""
        x = np.broadcast_to(self.x, (steps, len(rows), len(self.x)))
        return np.concatenate(self.lstm(x, ((self.state(rows),),))[1][0][0], axis=1)

    def moved(self, rows: Array) -> Array:
        """Return F(s) - s."""
        found: Array = np.concatenate(self.step(rows).final, axis=1) - rows
        return found

    def jacobians(self, rows: Array) -> Array:
        """Return ∂F/∂s of each state (state, recurrent + hidden, recurrent + hidden)."""
        count = rows.shape[1]
        found = np.empty((len(rows), count, count))
        for part in chunks(len(rows), 8 * count * self.p.hidden_size, NUMBERS):
            some = rows[part]
            back = rows_back(self.step(some), self.p, identity(self.p, len(some)))
            found[part] = np.concatenate(back.state, axis=1).reshape(-1, count, count)
        return found

    def newton(self, rows: Array) -> tuple[Array, Array]:
        """Return where Newton's method leads from each state, and how far that is from a fixed point."""
        rows, moved = rows.copy(), self.moved(rows)
        going = np.flatnonzero(np.isfinite(moved).all(1))
        with working("finding fixed points", len(rows)) as done:
            for _ in range(MOST_STEPS):
                before, going = len(going), going[moved[going].any(1)]
                if len(going):
                    J = self.jacobians(rows[going])
                    able = np.isfinite(J).all((1, 2))
                    going = going[able]
                    delta = _solved(J[able] - np.eye(rows.shape[1]), -moved[going])
                    going = self._nearer(rows, moved, going, delta)
                done(before - len(going))
        off = np.maximum(np.abs(moved).max(1), EPSILON * np.abs(rows).max(1))  # what cannot be told apart, at least
        return rows, np.where(np.isfinite(off), off, np.inf)

    def _nearer(self, rows: Array, moved: Array, going: npt.NDArray[np.intp], delta: Array) -> npt.NDArray[np.intp]:
        """Go as far along `delta` as brings a state nearer to rest; return the states that are nearer."""
        left = np.arange(len(going))
        before = np.linalg.norm(moved[going], axis=1)
        for halving in range(HALVINGS):
            scale = 0.5**halving
            tried = rows[going[left]] + scale * delta[left]
            then = self.moved(tried)
            better = np.linalg.norm(then, axis=1) < (1 - 1e-4 * scale) * before[left]  # false for NaN
            rows[going[left[better]]], moved[going[left[better]]] = tried[better], then[better]
            left = left[~better]
            if not len(left):
                break
        return np.delete(going, left)


def _solved(matrices: Array, sides: Array) -> Array:
    """Return the solution of each set of equations; the shortest where there is more than one."""
    try:
        found: Array = np.linalg.solve(matrices, sides[..., None])[..., 0]
    except np.linalg.LinAlgError:
        found = np.array([np.linalg.lstsq(A, b)[0] for A, b in zip(matrices, sides, strict=True)])
    return found


def merged(points: Array, merge: float) -> tuple[Array, npt.NDArray[np.integer[Any]]]:
    """Return distinct points, and how many led to each, most first."""
    kept: list[Array] = []
    counts: list[int] = []
    for point in points:
        near = [np.abs(point - one).max() <= merge * max(1.0, np.abs(one).max()) for one in kept]
        if any(near):
            counts[near.index(True)] += 1
        else:
            kept.append(point)
            counts.append(1)
    order = np.argsort(-np.array(counts, int), kind="stable")
    return np.array(kept).reshape(-1, points.shape[1])[order], np.array(counts, int)[order]


def middles(points: Array, most: int, rng: np.random.Generator) -> Array:
    """Return the points midway between two, or between some of them where there are many."""
    one, other = np.triu_indices(len(points), 1)
    some = np.arange(len(one)) if len(one) <= most else rng.choice(len(one), most, replace=False)
    found: Array = (points[one[some]] + points[other[some]]) / 2
    return found
