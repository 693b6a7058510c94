"""Ridge regression from sums over rows, so that any number of rows takes the memory of a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks

ROWS = 1 << 14  # how many are looked at together
PENALTIES = 10.0 ** np.arange(-8, 2)  # of states with variance 1, beside the mean squared error


@dataclass(frozen=True)
class Sums:
    """Sums of states x (rows, units) and targets y (rows, targets), for each group of rows.

    Attributes
    ----------
    count : array (groups,)
    x, y : array (groups, ·)
    xx : array (groups, units, units)
    xy : array (groups, units, targets)
    yy : array (groups, targets)
        Of the squares of each target.
    """

    count: Array
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array

    @classmethod
    def zeros(cls, groups: int, units: int, targets: int) -> Sums:
        """Return the sums over no rows."""
        shapes = ((), (units,), (targets,), (units, units), (units, targets), (targets,))
        return cls(*(np.zeros((groups, *shape)) for shape in shapes))

    def add(self, group: int, x: Array, y: Array) -> None:
        """Add rows to a group."""
        for total, more in zip(
            (self.count, self.x, self.y, self.xx, self.xy, self.yy),
            (len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, np.einsum("rt,rt->t", y, y)),
            strict=True,
        ):
            total[group] += more

    def of(self, groups: npt.NDArray[np.bool_]) -> Sums:
        """Return the sums over all rows of some groups, as those of one group without the axis."""
        return Sums(*(getattr(self, field.name)[groups].sum(0) for field in fields(self)))


class Ridge:
    """Ridge regressions of all targets on states that are standardised by the rows that are fitted.

    Parameters
    ----------
    sums : Sums
        Of the rows that are fitted, as one group.
    """

    def __init__(self, sums: Sums) -> None:
        self.mean, self.target = sums.x / sums.count, sums.y / sums.count
        moment = sums.xx.diagonal() / sums.count
        variance = moment - self.mean**2
        self.scale = np.sqrt(np.where(variance > 1e-14 * moment, variance, 1.0))  # a constant state stays as it is
        between = (sums.xx / sums.count - np.outer(self.mean, self.mean)) / np.outer(self.scale, self.scale)
        towards = (sums.xy / sums.count - np.outer(self.mean, self.target)) / self.scale[:, None]
        self.values, self.vectors = np.linalg.eigh(between)
        self.towards = self.vectors.T @ towards

    def at(self, penalty: Array) -> tuple[Array, Array]:
        """Return the coefficients (units, targets) and intercepts (targets,) for the penalty of each target."""
        shrunk = self.towards / (np.maximum(self.values, 0.0)[:, None] + penalty)
        found = self.vectors @ shrunk / self.scale[:, None]
        return found, self.target - self.mean @ found


def squared_errors(sums: Sums, coefficients: Array, intercept: Array) -> Array:
    """Return the sum of the squared errors (targets,) of a regression over one group's rows."""
    linear = np.einsum("ut,ut->t", coefficients, sums.xy)
    square = np.einsum("ut,ut->t", coefficients, sums.xx @ coefficients)
    offset = intercept * (sums.count * intercept + 2 * (sums.x @ coefficients) - 2 * sums.y)
    found: Array = sums.yy - 2 * linear + square + offset
    return found


def chosen_penalty(halves: Sequence[Sums]) -> Array:
    """Return the penalty of each target that predicts either half of the rows best from the other."""
    first, second = halves
    if min(first.count, second.count) < 2:
        return np.full(len(first.y), 1e-3)
    errors = np.zeros((len(PENALTIES), len(first.y)))
    for fitted, held_out in ((first, second), (second, first)):
        ridge = Ridge(fitted)
        for place, penalty in enumerate(PENALTIES):
            errors[place] += squared_errors(held_out, *ridge.at(penalty))
    found: Array = PENALTIES[errors.argmin(0)]
    return found


class Rows:
    """The usable steps of all sequences as rows: their states, and their values as given and shifted."""

    def __init__(self, states: Array, values: Array, usable: Mask, shifts: npt.NDArray[np.intp]) -> None:
        self.states, self.usable, self.shifts = states, usable, shifts
        self.rank = np.cumsum(usable, axis=0) - 1  # of a step among the usable ones of its sequence
        self.counts = usable.sum(0)
        self.first = np.cumsum(self.counts) - self.counts
        flat = values.T[usable.T]
        self.mean, self.scale = float(flat.mean()), float(flat.std())
        self.flat = (flat - self.mean) / self.scale
        self.reference = states[usable.any(1).argmax()].mean(0, dtype=np.float64)

    def chunks(self, done: Any) -> Iterator[tuple[Any, npt.NDArray[np.intp], Array]]:
        """Go through the rows in time: their places (time, batch), their sequences, their states."""
        for steps in chunks(len(self.usable), self.usable.shape[1], ROWS):
            on = self.usable[steps]
            time, sequence = np.nonzero(on)
            states = self.states[steps][on].astype(np.float64) - self.reference
            yield (time + steps.start, sequence), sequence, states
            done(len(on))

    def summed(self, folded: npt.NDArray[np.intp], done: Any) -> Sums:
        """Return the sums over the rows of each half of each fold."""
        groups = int(folded[self.usable].max()) // 2 * 2 + 2
        sums = Sums.zeros(groups, self.states.shape[-1], self.shifts.shape[1])
        for key, sequence, x in self.chunks(done):
            place = (self.rank[key][:, None] - self.shifts[sequence]) % self.counts[sequence][:, None]
            y, group = self.flat[self.first[sequence][:, None] + place], folded[key]
            for one in np.unique(group):
                sums.add(one, x[group == one], y[group == one])
        return sums

    def predicted(self, folded: npt.NDArray[np.intp], fits: list[tuple[Array, Array, Array]], done: Any) -> Array:
        """Return what each fold's probe predicts of the values as given (time, batch); NaN elsewhere."""
        found = np.full(self.usable.shape, np.nan)
        weights = np.stack([fit[0][:, 0] for fit in fits])
        intercept = np.array([fit[1][0] for fit in fits])
        for key, _, x in self.chunks(done):
            fold = folded[key] // 2
            found[key] = np.einsum("ru,ru->r", x, weights[fold]) + intercept[fold]
        return found * self.scale + self.mean
