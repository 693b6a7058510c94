"""Predictions of a quantity from mistakes: for many mistakes at once, or for a single one with its tolerance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.grading import spreading
from gatewise.grading.candidates import Effect
from gatewise.grading.chain import AssumedValues, Chain, Place, Quantity
from gatewise.symbolic.evaluation import evaluate, rank
from gatewise.symbolic.formula import Formula, Symbol, symbols

Indices = npt.NDArray[np.intp]


class Predictor:
    """Computes lines of a run from the person's own numbers, with edits in them.

    Parameters
    ----------
    chain : Chain
    assumed : AssumedValues
        Every quantity as it follows from the person's own numbers.
    unit : float
        The rounding error of a number that is not on the sheet, like that of the numbers on it.
    sequences : array of int, optional
        The sequences in which the mistakes are made; by default all.
    """

    def __init__(
        self, chain: Chain, assumed: AssumedValues, unit: float = 0.0, sequences: Indices | None = None
    ) -> None:
        self.chain, self.unit = chain, unit
        self.batch = chain.batch if sequences is None else len(sequences)
        shared = {place for place, line in chain.makers.items() if line.summed or line.total}

        def select(values: Mapping[Place, Array]) -> Mapping[Place, Array]:
            if sequences is None:
                return values
            return {p: v if p[1] is None or p in shared else v[sequences] for p, v in values.items()}

        self.given, self.value, self.tolerance = map(select, (chain.given, assumed.value, assumed.tolerance))

    def predict_all(self, cone: Sequence[Quantity], effects: Sequence[Effect]) -> Array | None:
        """Return each mistake's prediction of the last of some lines: (mistakes, ·), NaN if it cannot be computed.

        None if no mistake reaches the line.
        """
        moved: dict[Place, Array] = {}
        forms: dict[Place, dict[object, tuple[Formula, list[int]]]] = {}
        for k, effect in enumerate(effects):
            for place, applied in effect.items():
                forms.setdefault(place, {}).setdefault(applied.form, (applied.right, []))[1].append(k)
        for line in cone:
            reached = any(self.chain.place(symbol, line.at) in moved for symbol in symbols(line.right))
            here = forms.get(line.place, {})
            if not reached and not here:
                continue
            base = self._value(line, line.right, moved) if reached else self.value[line.place]
            values = np.array(np.broadcast_to(base, (len(effects), *self.value[line.place].shape)))
            for right, indices in here.values():
                try:
                    values[indices] = self._value(line, right, moved, indices)
                except (KeyError, ValueError):  # an unknown symbol or a wrong size
                    values[indices] = np.nan
            moved[line.place] = values
        return moved.get(cone[-1].place)

    def predict(
        self, lines: Sequence[Quantity], effect: Effect, written: Collection[Place]
    ) -> dict[Place, tuple[Array, Array]]:
        """Return a mistake's prediction of each written line, and its tolerance.

        Later lines follow from the written numbers. A line that cannot be computed, or that the mistake does not
        reach, is left out.
        """
        moved: dict[Place, Array] = {}
        off: dict[Place, Array] = {}
        predictions: dict[Place, tuple[Array, Array]] = {}
        for line in lines:
            applied = effect.get(line.place)
            right = line.right if applied is None else applied.right
            if applied is None and not any(self.chain.place(symbol, line.at) in moved for symbol in symbols(right)):
                continue
            try:
                value, tolerance = self._spread(line, right, moved, off)
            except (KeyError, ValueError):
                continue
            if line.place in written:
                predictions[line.place] = value, tolerance
            else:
                moved[line.place] = value
                off[line.place] = tolerance if line.copied else tolerance + self.unit
        return predictions

    def predict_line(self, line: Quantity, right: Formula) -> tuple[Array, Array] | None:
        """Return the value of another right side, of any shape, and its tolerance; None if it cannot be computed."""
        try:
            return self._spread(line, right, {}, {})
        except (KeyError, ValueError):
            return None

    def _find(self, symbol: Symbol, at: int | None, moved: Mapping[Place, Array]) -> tuple[Place, Array]:
        place = self.chain.place(symbol, at)
        if symbol.time is not None and place in self.given:
            return place, self.given[place]
        for values in (moved, self.value, self.given):
            if place in values:
                return place, values[place]
        raise KeyError(symbol)

    def _value(
        self, line: Quantity, right: Formula, moved: Mapping[Place, Array], indices: Sequence[int] | None = None
    ) -> Array:
        env = {}
        for symbol in symbols(right):
            place, value = self._find(symbol, line.at, moved)
            has_moved = place in moved and value is moved[place]
            env[symbol] = value[indices] if has_moved and indices is not None else value
        with np.errstate(all="ignore"):
            value = self._with_batch_axis(
                np.asarray(evaluate(right, env, self.chain.program.ranks), dtype=np.float64), line, right
            )
        return value.sum(-1 - line.rank) if line.summed and not line.total else value

    def _spread(
        self, line: Quantity, right: Formula, moved: Mapping[Place, Array], off: Mapping[Place, Array]
    ) -> tuple[Array, Array]:
        env, tolerances = {}, {}
        for symbol in symbols(right):
            place, env[symbol] = self._find(symbol, line.at, moved)
            tolerances[symbol] = off[place] if place in moved else self.tolerance.get(place)
        with np.errstate(all="ignore"):
            spread = spreading.propagate(right, env, tolerances, self.chain.program.ranks)
        value, tolerance = (self._with_batch_axis(array, line, right) for array in spread)
        if line.summed and not line.total:
            return value.sum(0), tolerance.sum(0)
        return value, tolerance

    def _with_batch_axis(self, value: Array, line: Quantity, right: Formula) -> Array:
        """Return a value with an axis for the sequences, also if it is computed from parameters alone."""
        if line.total or value.ndim > rank(right, self.chain.program.ranks):
            return value
        return np.broadcast_to(value, (self.batch, *value.shape))
