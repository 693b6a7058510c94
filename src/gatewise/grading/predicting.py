"""Predictions of a quantity from mistakes: for many mistakes at once, or for a single one with its tolerance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.grading.candidates import Effect
from gatewise.grading.chain import AssumedValues, Chain, Place, Quantity
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Formula, symbols

Indices = npt.NDArray[np.intp]


class Predictor:
    """Computes lines of a run from the person's own numbers, with edits in them: in some sequences, by default all.

    `unit` is the rounding error of a number that is not on the sheet, like that of the numbers on it.
    """

    def __init__(
        self, chain: Chain, assumed: AssumedValues, unit: float = 0.0, sequences: Indices | None = None
    ) -> None:
        self.chain, self.unit = chain, unit
        shared = {place for place, line in chain.makers.items() if line.summed or line.total}

        def select(values: Mapping[Place, Array]) -> dict[Place, Array]:
            if sequences is None:
                return dict(values)
            return {p: v if p[1] is None or p in shared else v[sequences] for p, v in values.items()}

        self.assumed = AssumedValues(*map(select, (assumed.given, assumed.value, assumed.tolerance)))

    def predict_all(self, cone: Sequence[Quantity], effects: Sequence[Effect]) -> Array | None:
        """Return each mistake's prediction of the last of some lines: (mistakes, ·), NaN if it cannot be computed.

        None if no mistake reaches the line.
        """
        values, moved = self.assumed.copy(), dict[Place, Array]()
        forms: dict[Place, dict[object, tuple[Formula, list[int]]]] = {}
        for k, effect in enumerate(effects):
            for place, applied in effect.items():
                forms.setdefault(place, {}).setdefault(applied.form, (applied.right, []))[1].append(k)
        for line in cone:
            reached = any(self.chain.place(symbol, line.at) in moved for symbol in symbols(line.right))
            here = forms.get(line.place, {})
            if not reached and not here:
                continue
            right_value = self.assumed.value[line.place]
            base = self._value(line, line.right, values, moved) if reached else right_value
            predicted = np.array(np.broadcast_to(base, (len(effects), *right_value.shape)))
            for right, indices in here.values():
                try:
                    predicted[indices] = self._value(line, right, values, moved, indices)
                except (KeyError, ValueError):  # an unknown symbol or a wrong size
                    predicted[indices] = np.nan
            values.value[line.place] = moved[line.place] = predicted
        return moved.get(cone[-1].place)

    def predict(
        self, lines: Sequence[Quantity], effect: Effect, written: Collection[Place]
    ) -> dict[Place, tuple[Array, Array]]:
        """Return a mistake's prediction of each written line, and its tolerance.

        Later lines follow from the written numbers. A line that cannot be computed, or that the mistake does not
        reach, is left out.
        """
        values, moved = self.assumed.copy(), set[Place]()
        predictions: dict[Place, tuple[Array, Array]] = {}
        for line in lines:
            applied = effect.get(line.place)
            right = line.right if applied is None else applied.right
            if applied is None and not any(self.chain.place(symbol, line.at) in moved for symbol in symbols(right)):
                continue
            try:
                value, tolerance = self.chain.compute(line, values, right)
            except (KeyError, ValueError):
                continue
            if line.place in written:
                predictions[line.place] = value, tolerance
            else:
                moved.add(line.place)
                values.value[line.place] = value
                values.tolerance[line.place] = tolerance if line.copied else tolerance + self.unit
        return predictions

    def predict_line(self, line: Quantity, right: Formula) -> tuple[Array, Array] | None:
        """Return the value of another right side, of any shape, and its tolerance; None if it cannot be computed."""
        try:
            return self.chain.compute(line, self.assumed, right)
        except (KeyError, ValueError):
            return None

    def _value(
        self,
        line: Quantity,
        right: Formula,
        values: AssumedValues,
        moved: Mapping[Place, Array],
        indices: Sequence[int] | None = None,
    ) -> Array:
        env = {}
        for symbol in symbols(right):
            value = self.chain.find(symbol, line.at, values)
            has_moved = value is moved.get(self.chain.place(symbol, line.at))
            env[symbol] = value[indices] if has_moved and indices is not None else value
        with np.errstate(all="ignore"):
            value = np.asarray(evaluate(right, env, self.chain.program.ranks), dtype=np.float64)
        value = self.chain.with_batch_axis(value, line, right, values.batch)
        return value.sum(-1 - line.rank) if line.summed and not line.total else value
