"""Ridge regression from sums over rows: its memory does not depend on their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks
from gatewise.margins import TIE

ROWS = 1 << 14  # of a chunk
LEAST_ERROR = 1e-12  # of the squares of a target: a smaller difference of two errors may be one of rounding
PENALTIES = 10.0 ** np.arange(-8, 2)  # for states of variance 1 and a mean squared error


@dataclass(frozen=True)
class Sums:
    """Sums of states x (rows, units) and targets y (rows, targets), for each group of rows."""

    count: Array  # (groups,)
    x: Array  # (groups, units)
    y: Array  # (groups, targets)
    xx: Array  # (groups, units, units)
    xy: Array  # (groups, units, targets)
    yy: Array  # of the squares of each target (groups, targets)

    @classmethod
    def zeros(cls, groups: int, units: int, targets: int) -> Sums:
        """Return the sums over no rows."""
        shapes = ((), (units,), (targets,), (units, units), (units, targets), (targets,))
        return cls(*(np.zeros((groups, *shape)) for shape in shapes))

    def add(self, group: int, x: Array, y: Array) -> None:
        """Add rows of states `x` and targets `y` to the regression sums of a group."""
        for total, more in zip(
            (self.count, self.x, self.y, self.xx, self.xy, self.yy),
            (len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, np.einsum("rt,rt->t", y, y)),
            strict=True,
        ):
            total[group] += more

    def of(self, groups: npt.NDArray[np.bool_]) -> Sums:
        """Return the sums over all rows of some groups, without the axis of groups."""
        return Sums(*(getattr(self, field.name)[groups].sum(0) for field in fields(self)))


class Ridge:
    """Ridge regressions of all targets on states that are standardised over the fitted rows, one group of sums."""

    def __init__(self, sums: Sums) -> None:
        self.mean, self.target = sums.x / sums.count, sums.y / sums.count
        moment = sums.xx.diagonal() / sums.count
        variance = moment - self.mean**2
        self.scale = np.sqrt(np.where(variance > 1e-14 * moment, variance, 1.0))  # a constant state is not scaled
        between = (sums.xx / sums.count - np.outer(self.mean, self.mean)) / np.outer(self.scale, self.scale)
        towards = (sums.xy / sums.count - np.outer(self.mean, self.target)) / self.scale[:, None]
        self.values, self.vectors = np.linalg.eigh(between)
        self.towards = self.vectors.T @ towards

    def at(self, penalty: Array) -> tuple[Array, Array]:
        """Return the ridge coefficients (units, targets) and intercepts (targets,) for the penalty of each target."""
        shrunk = self.towards / (np.maximum(self.values, 0.0)[:, None] + penalty)
        coefficients = self.vectors @ shrunk / self.scale[:, None]
        return coefficients, self.target - self.mean @ coefficients


def squared_errors(sums: Sums, coefficients: Array, intercept: Array) -> Array:
    """Return the sums of squared errors (targets,) of a ridge regression over the rows of a group."""
    linear = np.einsum("ut,ut->t", coefficients, sums.xy)
    square = np.einsum("ut,ut->t", coefficients, sums.xx @ coefficients)
    offset = intercept * (sums.count * intercept + 2 * (sums.x @ coefficients) - 2 * sums.y)
    errors: Array = sums.yy - 2 * linear + square + offset
    return errors


def choose_penalty(halves: Sequence[Sums]) -> Array:
    """Return each target's ridge penalty with the least error on either half of the rows, fitted to the other.

    It is the smallest of those whose errors tie.
    """
    first, second = halves
    if min(first.count, second.count) < 2:
        return np.full(len(first.y), 1e-3)
    errors = np.zeros((len(PENALTIES), len(first.y)))
    for fitted, held_out in ((first, second), (second, first)):
        ridge = Ridge(fitted)
        for place, penalty in enumerate(PENALTIES):
            errors[place] += squared_errors(held_out, *ridge.at(penalty))
    squares = first.yy + second.yy
    penalties: Array = PENALTIES[(errors <= (1 + TIE) * errors.min(0) + LEAST_ERROR * squares).argmax(0)]
    return penalties


class ProbeRows:
    """The usable steps of all sequences as rows: their states, and their values, true and shifted.

    To values without a `line` (time, batch), of norm 1 in each sequence, a random line from `rng` is added before they
    are shifted, as large as they would have one by chance; what they then have of the line is taken out.
    """

    def __init__(
        self,
        states: Array,
        values: Array,
        usable: Mask,
        shifts: npt.NDArray[np.intp],
        line: Array | None = None,
        rng: Any = None,
    ) -> None:
        self.states, self.usable, self.shifts = states, usable, shifts
        self.rank = np.cumsum(usable, axis=0) - 1  # of a step among the usable ones of its sequence
        self.counts = usable.sum(0)
        self.first = np.cumsum(self.counts) - self.counts
        flat = values.T[usable.T]
        self.mean, self.scale = float(flat.mean()), float(flat.std()) or 1.0
        self.flat = (flat - self.mean) / self.scale
        self.line = np.zeros(len(flat)) if line is None else line.T[usable.T]
        self.slopes = np.zeros(shifts.shape) if line is None else rng.normal(size=shifts.shape) * (shifts != 0)
        self.lost = np.zeros(shifts.shape)  # what shifted values have of the line
        for sequence, (first, count) in enumerate(zip(self.first, self.counts, strict=True)):
            if count and line is not None:
                there, values_there = (np.fft.rfft(part[first : first + count]) for part in (self.line, self.flat))
                shares = np.fft.irfft(there * np.conj([values_there, there]), count)[:, shifts[sequence] % count]
                self.lost[sequence] = shares[0] + self.slopes[sequence] * shares[1]
        self.reference = states[usable.any(1).argmax()].mean(0, dtype=np.float64)

    def chunks(self, done: Any) -> Iterator[tuple[Any, npt.NDArray[np.intp], Array]]:
        """Yield chunks of a probe's rows: their places (time, batch), their sequences and their states."""
        for steps in chunks(len(self.usable), self.usable.shape[1], ROWS):
            usable = self.usable[steps]
            time, sequence = np.nonzero(usable)
            states = self.states[steps][usable].astype(np.float64) - self.reference
            yield (time + steps.start, sequence), sequence, states
            done(len(usable))

    def sums_by_half(self, folded: npt.NDArray[np.intp], done: Any) -> Sums:
        """Return a probe's regression sums over the rows of each half of each fold."""
        groups = int(folded[self.usable].max()) // 2 * 2 + 2
        sums = Sums.zeros(groups, self.states.shape[-1], self.shifts.shape[1])
        for key, sequence, x in self.chunks(done):
            first, rank = self.first[sequence][:, None], self.rank[key][:, None]
            place, group = first + (rank - self.shifts[sequence]) % self.counts[sequence][:, None], folded[key]
            y = self.flat[place] + self.line[place] * self.slopes[sequence]
            y -= self.line[first + rank] * self.lost[sequence]
            for half in np.unique(group):
                sums.add(half, x[group == half], y[group == half])
        return sums

    def predict(self, folded: npt.NDArray[np.intp], fits: list[tuple[Array, Array, Array]], done: Any) -> Array:
        """Return the predictions (time, batch) of the probed values by the probe of each fold; NaN elsewhere."""
        predicted = np.full(self.usable.shape, np.nan)
        weights = np.stack([fit[0][:, 0] for fit in fits])
        intercept = np.array([fit[1][0] for fit in fits])
        for key, _, x in self.chunks(done):
            fold = folded[key] // 2
            predicted[key] = np.einsum("ru,ru->r", x, weights[fold]) + intercept[fold]
        return predicted * self.scale + self.mean
