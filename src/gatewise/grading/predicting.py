"""Predictions of a quantity from mistakes: for many mistakes at once, or for a single one with its tolerance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.grading.candidates import Effect
from gatewise.grading.chain import AssumedValues, Chain, Quantity, SymbolAtStep
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Formula, symbols

Indices = npt.NDArray[np.intp]


class Predictor:
    """Computes lines of a run from the person's own numbers, with edits in them: in some sequences, by default all.

    `unit` is the rounding error of a number that is not on the sheet, like that of the numbers on it.
    """

    def __init__(self, chain: Chain, assumed: AssumedValues, unit: float, sequences: Indices | None) -> None:
        self.chain, self.unit = chain, unit
        shared = {place for place, line in chain.makers.items() if line.summed}

        def select_sequences(values: Mapping[SymbolAtStep, Array]) -> dict[SymbolAtStep, Array]:
            if sequences is None:
                return dict(values)
            return {key: v if key[1] is None or key in shared else v[sequences] for key, v in values.items()}

        self.assumed = AssumedValues(*map(select_sequences, (assumed.given, assumed.value, assumed.tolerance)))

    def predict_all(self, lines: Sequence[Quantity], effects: Sequence[Effect]) -> Array:
        """Return each mistake's prediction of the last of some lines: (mistakes, ·), NaN where it fails."""
        values, changed = self.assumed.copy(), dict[SymbolAtStep, Array]()
        forms: dict[SymbolAtStep, dict[object, tuple[Formula, list[int]]]] = {}
        for k, effect in enumerate(effects):
            for place, applied in effect.items():
                forms.setdefault(place, {}).setdefault(applied.form, (applied.edit.right, []))[1].append(k)
        for line in lines:
            is_reached = any(self.chain.locate(symbol, line.step) in changed for symbol in symbols(line.right))
            edits_here = forms.get(line.place, {})
            if not is_reached and not edits_here:
                continue
            right_value = self.assumed.value[line.place]
            base = self._line_value(line, line.right, values, changed) if is_reached else right_value
            predicted = np.array(np.broadcast_to(base, (len(effects), *right_value.shape)))
            for right, indices in edits_here.values():
                try:
                    predicted[indices] = self._line_value(line, right, values, changed, indices)
                except (KeyError, ValueError):  # an unknown symbol or a wrong size
                    predicted[indices] = np.nan
            values.value[line.place] = changed[line.place] = predicted
        place = lines[-1].place
        return changed[place] if effects else self.assumed.value[place][None][:0]

    def predict(
        self, lines: Sequence[Quantity], effect: Effect, written: Collection[SymbolAtStep]
    ) -> dict[SymbolAtStep, tuple[Array, Array]]:
        """Return a mistake's prediction of each written line, and its tolerance.

        Later lines follow from the written numbers. A line that cannot be computed, or that the mistake does not
        reach, is left out.
        """
        values, changed = self.assumed.copy(), set[SymbolAtStep]()
        predictions: dict[SymbolAtStep, tuple[Array, Array]] = {}
        for line in lines:
            applied = effect.get(line.place)
            right = line.right if applied is None else applied.edit.right
            inputs = {self.chain.locate(symbol, line.step) for symbol in symbols(right)}
            if applied is None and changed.isdisjoint(inputs):
                continue
            try:
                value, tolerance = self.chain.compute(line, values, right)
            except (KeyError, ValueError):
                continue
            if line.place in written:
                predictions[line.place] = value, tolerance
            else:
                changed.add(line.place)
                values.value[line.place] = value
                values.tolerance[line.place] = tolerance if line.copied else tolerance + self.unit
        return predictions

    def _line_value(
        self,
        line: Quantity,
        right: Formula,
        values: AssumedValues,
        changed: Mapping[SymbolAtStep, Array],
        indices: Sequence[int] | None = None,
    ) -> Array:
        """Return a line of the run, computed from changed values; `indices` selects the mistakes that edit it."""
        env = {}
        for symbol in symbols(right):
            value = self.chain.find(symbol, line.step, values)
            has_changed = value is changed.get(self.chain.locate(symbol, line.step))
            env[symbol] = value[indices] if has_changed and indices is not None else value
        with np.errstate(all="ignore"):
            value = np.asarray(evaluate(right, env, self.chain.program.ranks), dtype=np.float64)
        value = self.chain.with_batch_axis(value, line, right, values.batch)
        return value.sum(-1 - line.rank) if line.summed and not line.total else value
