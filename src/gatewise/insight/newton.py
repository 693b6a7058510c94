"""Newton's method for the fixed points of a cell: states that it maps onto themselves under a constant input."""

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
HALVINGS = 20  # of a step that comes no nearer to a fixed point
EPSILON = float(np.finfo(np.float64).eps)
NUMBERS = 2**21  # in one array of a chunk


class FixedPointSearch:
    """A cell in float64 under one input; states are rows (h, c)."""

    def __init__(self, lstm: LSTM, x: Array) -> None:
        self.lstm, self.x, self.p = lstm, x, lstm.layers[0][0].parameters

    def state(self, rows: Array) -> State:
        """Return rows as hidden and cell states."""
        return State(rows[:, : self.p.recurrent_size], rows[:, self.p.recurrent_size :])

    def step(self, rows: Array) -> Trace:
        """Return one step from each state."""
        return self.lstm.trace(np.tile(self.x, (1, len(rows), 1)), ((self.state(rows),),))[0]

    def run(self, rows: Array, steps: int) -> Array:
        """Return the states that the cell reaches after some steps."""
        x = np.broadcast_to(self.x, (steps, len(rows), len(self.x)))
        return np.concatenate(self.lstm(x, ((self.state(rows),),))[1][0][0], axis=1)

    def displacement(self, rows: Array) -> Array:
        """Return F(s) - s of each state."""
        displacement: Array = np.concatenate(self.step(rows).final, axis=1) - rows
        return displacement

    def jacobians(self, rows: Array) -> Array:
        """Return the Jacobian ∂F/∂s of an LSTM step at each state (state, recurrent + hidden, recurrent + hidden)."""
        count = rows.shape[1]
        jacobians = np.empty((len(rows), count, count))
        for part in chunks(len(rows), 8 * count * self.p.hidden_size, NUMBERS):
            some = rows[part]
            _, state = rows_back(self.step(some), None, identity(self.p, len(some)), self.p)
            jacobians[part] = np.concatenate(state, axis=1).reshape(-1, count, count)
        return jacobians

    def newton(self, rows: Array) -> tuple[Array, Array]:
        """Return the state to which Newton's method leads from each state, and its distance from a fixed point."""
        rows, moved = rows.copy(), self.displacement(rows)
        active = np.flatnonzero(np.isfinite(moved).all(1))
        with working("finding fixed points", len(rows)) as done:
            for _ in range(MOST_STEPS):
                before, active = len(active), active[moved[active].any(1)]
                if len(active):
                    J = self.jacobians(rows[active])
                    finite = np.isfinite(J).all((1, 2))
                    active = active[finite]
                    delta = _solve_linear_systems(J[finite] - np.eye(rows.shape[1]), -moved[active])
                    active = self._damped_step(rows, moved, active, delta)
                done(before - len(active))
        off = np.maximum(np.abs(moved).max(1), EPSILON * np.abs(rows).max(1))  # at least the rounding of the states
        return rows, np.where(np.isfinite(off), off, np.inf)

    def _damped_step(
        self, rows: Array, moved: Array, active: npt.NDArray[np.intp], delta: Array
    ) -> npt.NDArray[np.intp]:
        """Take Newton steps `delta`, halved until they come nearer to a fixed point; return the states that did."""
        pending = np.arange(len(active))
        before = np.linalg.norm(moved[active], axis=1)
        for halving in range(HALVINGS):
            scale = 0.5**halving
            candidates = rows[active[pending]] + scale * delta[pending]
            remaining = self.displacement(candidates)
            better = np.linalg.norm(remaining, axis=1) < (1 - 1e-4 * scale) * before[pending]  # false for NaN
            rows[active[pending[better]]], moved[active[pending[better]]] = candidates[better], remaining[better]
            pending = pending[~better]
            if not len(pending):
                break
        return np.delete(active, pending)


def _solve_linear_systems(matrices: Array, sides: Array) -> Array:
    """Return the solution of each linear system; the shortest of several. Newton's method takes it as its step."""
    try:
        solutions: Array = np.linalg.solve(matrices, sides[..., None])[..., 0]
    except np.linalg.LinAlgError:
        solutions = np.array([np.linalg.lstsq(A, b)[0] for A, b in zip(matrices, sides, strict=True)])
    return solutions


def merge_points(points: Array, merge: float) -> tuple[Array, npt.NDArray[np.integer[Any]]]:
    """Return distinct fixed points and the number of found points at each, the most frequent first."""
    distinct: list[Array] = []
    counts: list[int] = []
    for point in points:
        near = [np.abs(point - other).max() <= merge * max(1.0, np.abs(other).max()) for other in distinct]
        if any(near):
            counts[near.index(True)] += 1
        else:
            distinct.append(point)
            counts.append(1)
    order = np.argsort(-np.array(counts, int), kind="stable")
    return np.array(distinct).reshape(-1, points.shape[1])[order], np.array(counts, int)[order]


def midpoints(points: Array, most: int, rng: np.random.Generator) -> Array:
    """Return the midpoints of pairs of fixed points, as new starts: of all pairs, or of `most` random ones."""
    first, second = np.triu_indices(len(points), 1)
    pairs = np.arange(len(first)) if len(first) <= most else rng.choice(len(first), most, replace=False)
    middles: Array = (points[first[pairs]] + points[second[pairs]]) / 2
    return middles
