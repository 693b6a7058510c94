"""The causes of wrong quantities: mistakes that, made on purpose, give the written numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import join_names
from gatewise.grading.candidates import Catalogue, Effect, Mistake, entry_slips
from gatewise.grading.chain import Quantity, rounding
from gatewise.grading.chance import WrongNumbers, further_decimals, share, total_chance
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, TIERS
from gatewise.grading.edits.entries import writing_slips
from gatewise.grading.edits.words import MOST_NAMES
from gatewise.grading.judging import Judge
from gatewise.grading.predicting import Indices, Predictor
from gatewise.grading.sheet import SheetAnswer
from gatewise.grading.verdicts import Cause

TRIVIAL = 1.0  # what somebody writes who fills in anything
MOST_GRID = 4  # decimals
MOST_CAUSES = 3  # in a verdict
MOST_SEARCHES = 16  # for one sheet: if more is wrong, its numbers are not those of this run
MOST_FITS = 8  # mistakes that may give the same numbers; where more do, it says little that one of them does
MOST_WORK = 8_000_000  # numbers computed for one sheet, so that a sheet that omits most of many steps takes seconds
NEAR = 100  # times the margin of the right equation: a mistake that is further off is not examined closely
MOST_EXAMINED = 40  # mistakes in one search, the nearest ones,
MOST_LINES = 3_000  # and equations that are computed for them, but for the nearest


class Causes(NamedTuple):
    """The causes to show, the number of further causes, and the decimals that would tell the cause if too few."""

    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None


class _Fit(NamedTuple):
    """A mistake that gives the written numbers: its chance, the number of quantities it explains, its nearness."""

    cause: Cause
    mistake: Mistake | None
    order: int
    chance: float
    explains: int = 1
    near: int = 0


class CauseSearch:
    """The search for the causes of the wrong quantities of a sheet; `turns` counts the searches for it."""

    def __init__(self, judge: Judge, wrong: Collection[str], turns: Iterator[int]) -> None:
        """Prepare the search; the catalogue of a run's possible mistakes is shared by all sheets."""
        chain = self.chain = judge.chain
        self.judge, self.wrong, self.turns = judge, wrong, turns
        self.answers = {
            name: answer
            for name, answer in judge.answers.items()
            if not answer.blank and answer.values.shape == chain.by_name[name].key.shape
        }
        self.places = {chain.by_name[name].place for name in self.answers}
        self.searches = len(wrong) * (2 if len(wrong) > 1 else 1)  # two judges: see marking.py
        self.work = MOST_WORK  # numbers that the searches for this sheet may still compute
        self.named: list[tuple[Mistake, Cause]] = []  # the causes in earlier verdicts
        if "catalogue" not in chain.memo:
            chain.memo["catalogue"] = Catalogue(chain)
        self.catalogue: Catalogue = chain.memo["catalogue"]

    def causes(self, quantity: Quantity) -> Causes:
        """Return the mistakes that explain a wrong quantity of a hand-worked sheet."""
        search = _QuantitySearch(self, quantity)
        repeated = tuple(search.repeated_causes())
        if repeated:
            return Causes(repeated)
        turn = next(self.turns)
        return search.result(turn) if turn < MOST_SEARCHES else Causes()

    def leading_lines(self, quantity: Quantity) -> list[Quantity]:
        """Return the unwritten lines that a quantity follows from, and the quantity itself as the last."""
        pending, places = [quantity], {quantity.place}
        while pending:
            for maker in self.chain.inputs[pending.pop().place]:
                if maker.place not in places and maker.name not in self.answers:
                    places.add(maker.place)
                    pending.append(maker)
        return [line for line in self.chain.lines if line.place in places]

    def sequence_gradients(self, quantity: Quantity) -> Array:
        """Return each sequence's gradient, before the sum over the batch that a person may have left out."""
        parts = [line for line in self.chain.inputs[quantity.place] if line.summed] if quantity.total else [quantity]
        values: Array = np.sum(
            [self.chain.compute(part, self.judge.assumed, summed=False)[0] for part in parts], axis=0
        )
        return values

    def causes_of_shape(self, quantity: Quantity, answer: SheetAnswer) -> Causes:
        """Return the mistakes that explain an answer whose shape is wrong."""
        causes: list[Cause] = []
        steps = [line for line in self.chain.lines if line.symbol == quantity.symbol and not line.total]
        for applied in self.catalogue.by_place.get((steps if quantity.total else [quantity])[0].place, ()):
            mistake = (
                max((scope for scope, _ in self.catalogue.scopes(applied)), key=len)
                if quantity.total
                else {applied.place: applied}
            )
            edits = {place: edit for place, edit in mistake.items() if place[0] == quantity.symbol}
            known = []
            for place, edit in edits.items():
                with suppress(KeyError, ValueError):  # an unknown symbol or a wrong size
                    known.append(self.chain.compute(self.chain.makers[place], self.judge.assumed, edit.edit.right))
            if len(known) < (self.chain.steps if quantity.total else 1):
                continue
            value, error = (
                self.chain.on_sheet(quantity, np.asarray(sum(prediction[n] for prediction in known))) for n in (0, 1)
            )
            error = error + rounding(value) + self.judge.unit * len(known)
            if value.shape == answer.values.shape and answer.agrees(value, error):
                says, family = self.catalogue.describe(edits), self.catalogue.family_of(edits)
                causes.append(Cause(applied.edit.kind, says, applied.edit.tier, value, family))
        return Causes(tuple(causes[:MOST_CAUSES]), max(0, len(causes) - MOST_CAUSES))


class _QuantitySearch:
    """The search for the causes of one wrong quantity."""

    def __init__(self, search: CauseSearch, quantity: Quantity) -> None:
        """Compare the written numbers with the expected ones, and prepare predictions from mistakes."""
        self.search, self.chain, self.quantity = search, search.chain, quantity
        self.unit = search.judge.unit
        answer = self.answer = search.answers[quantity.name]
        expected, slack = self.expected, self.slack = search.judge.follows_from(quantity)
        self.written = np.isfinite(answer.values)
        self.margin = answer.tolerance + slack + rounding(expected)
        self.distance = np.where(self.written, np.abs(answer.values - expected), 0.0)
        self.wrong = self.distance > self.margin
        size = float(np.max(np.abs(expected), initial=0.0))
        right, least = self.written & ~self.wrong, np.maximum(self.margin, self._half_spacing())
        self.errors = WrongNumbers(self.wrong, least, self._free_count(), size, right)
        self.lines = search.leading_lines(quantity)
        self.sequences = self._wrong_sequences()
        self.predictor = Predictor(self.chain, search.judge.assumed, self.unit, self.sequences)

    def _half_spacing(self) -> float:
        """Return half the distance between possible numbers, if right and wrong ones have few decimals; 0 otherwise.

        With inputs and weights of one digit a sum has two, so that only few numbers are possible.
        """
        both = np.concatenate([self.answer.values[self.wrong], self.expected[self.wrong]])
        for decimals in range(MOST_GRID):
            if (np.abs(both - np.round(both, decimals)) < 1e-9).all():
                return 0.5 * 10.0**-decimals
        return 0.0

    def _free_count(self) -> int:
        """Return the number of wrong entries that carry information about the cause and do not follow from each other.

        Of a row of a gradient matrix, as many as there are steps of sequences in its sum; of another vector, all. Equal
        numbers count once, such as zeros, and ones not at all.
        """
        telling = self.wrong & (np.abs(self.answer.values) != TRIVIAL)
        free = int(telling.sum())
        if self.wrong.ndim > 1 and self.quantity.summed:
            free = int(np.minimum(telling.sum(axis=-1), self.chain.batch * self.chain.steps).sum())
        return min(free, len(np.unique(np.abs(self.answer.values[telling]))))

    def _wrong_sequences(self) -> Indices | None:
        """Return the sequences of the batch in which the person's numbers are wrong; None for all."""
        if self.chain.batch == 1 or self.quantity.summed:
            return None
        rows = np.flatnonzero(self.wrong.reshape(self.chain.batch, -1).any(1))
        return rows if len(rows) < self.chain.batch else None

    def repeated_causes(self) -> Iterator[Cause]:
        """Yield the causes, named for earlier lines of the sheet, that give these numbers too."""
        for mistake, cause in self.search.named:
            if any(place in mistake for place in (line.place for line in self.lines)):
                prediction = self._prediction_if_fits(mistake)
                if prediction is not None:
                    yield replace(cause, predicted=prediction[0])

    def result(self, turn: int) -> Causes:
        """Return the likeliest mistakes that give the written numbers; `turn` counts earlier searches for the sheet."""
        if not self.errors.free or not np.isfinite(self.expected[self.written]).all():
            return Causes()
        fits = sorted(
            self._find_fits(), key=lambda fit: (TIERS.index(fit.cause.tier), -fit.explains, -fit.near, fit.order)
        )
        allowed = {tier: share(tier, turn, self.search.searches) for tier in TIERS}
        chances = [total_chance(fit.chance, self.chances[fit.cause.tier]) for fit in fits]
        fits_by_words: dict[str, _Fit] = {}
        for fit, chance in zip(fits, chances, strict=True):
            if chance <= allowed[fit.cause.tier]:
                fits_by_words.setdefault(fit.cause.says, fit)
        if not fits_by_words and fits:
            missing_digits = further_decimals(chances[0], allowed[fits[0].cause.tier], self.errors.free)
            return Causes(digits=self._written_decimals() + missing_digits)
        if len(fits_by_words) > MOST_FITS:
            return Causes()
        best_fits = list(fits_by_words.values())[:MOST_CAUSES]
        self.search.named += [(fit.mistake, fit.cause) for fit in best_fits if fit.mistake is not None]
        return Causes(tuple(fit.cause for fit in best_fits), len(fits_by_words) - len(best_fits))

    def _written_decimals(self) -> int:
        """Return the number of written decimals."""
        tolerance = float(np.max(self.answer.tolerance[self.written]))
        return round(-np.log10(2 * tolerance)) if tolerance > 0 else 16

    # Possible mistakes

    def _find_fits(self) -> list[_Fit]:
        """Return the possible mistakes that give the written numbers, each with its chance."""
        effects, direct = self._candidate_effects(), list(self._direct_predictions())
        tiers = [min((applied.edit.tier for applied in effect.values()), key=TIERS.index) for effect, _ in effects]
        values = self.predictor.predict_all(self.lines, [effect for effect, _ in effects])
        predicted = self._on_sheet(values) if values is not None else np.zeros((0, *self.expected.shape))
        if direct:
            predicted = np.concatenate([predicted, np.stack([value for *_, value, _ in direct])])
        tiers = [*(tiers if values is not None else ()), *(tier for _, _, tier, *_ in direct)]
        with np.errstate(all="ignore"):
            changes = np.abs(predicted - self.expected)
            distances = np.where(self.written, np.abs(predicted - self.answer.values) / self.margin, 0.0)
        chances = self.errors.chances_of(changes) if len(changes) else np.zeros(0)
        self.chances = {tier: chances[[effect_tier == tier for effect_tier in tiers]] for tier in TIERS}
        furthest = distances.reshape(len(distances), -1).max(axis=1)
        fits: list[_Fit] = []
        most_examined = max(6, min(MOST_EXAMINED, MOST_LINES // len(self.lines)))
        for k in map(int, np.argsort(furthest, kind="stable")[:most_examined]):
            if not furthest[k] <= NEAR:
                break
            chance = chances[k] if np.isfinite(chances[k]) else 1.0
            if k >= len(tiers) - len(direct):
                kind, says, tier, value, growth = direct[k - len(tiers) + len(direct)]
                if self.answer.agrees(value, self.slack * growth + rounding(value)):
                    fits.append(_Fit(Cause(kind, says, tier, value), None, k, chance * growth, near=len(self.lines)))
            else:
                fits += self._fit_effect(k, chance, *effects[k])
        return fits

    def _on_sheet(self, values: Array) -> Array:
        """Return mistakes' predictions in the sheet's shape, with the right numbers in sequences without a mistake."""
        if self.sequences is not None:
            sheet_values = np.array(np.broadcast_to(self.expected, (len(values), *self.expected.shape)))
            sheet_values[:, self.sequences] = values
            return sheet_values
        without_batch = not self.quantity.summed and self.chain.batch == 1
        return values[:, 0] if without_batch else values

    def _candidate_effects(self) -> list[tuple[Effect, list[Mistake]]]:
        """Return the effects of possible mistakes on the lines that lead to the quantity, each with its mistakes."""
        size = max(1, self.quantity.key.size) * len(self.lines)
        effects = self.search.catalogue.effects_on(self.lines, self.search.work // size)
        self.search.work = max(MOST_WORK // 20, self.search.work - len(effects) * size)
        expected = self.search.judge.expected
        if self.sequences is not None:
            expected = {line.place: expected[line.place][self.sequences] for line in self.lines if not line.summed}
        return [*effects, *entry_slips(self.chain, self.lines, self.wrong, expected, self.unit)]

    def _direct_predictions(self) -> Iterator[tuple[str, str, str, Array, float]]:
        """Yield the numbers of a quantity without its sum over the batch, or with a slip in writing them.

        Each is a kind, its words, its tier, the numbers, and the factor by which their error grows.
        """
        quantity = self.quantity
        if self.chain.batch > 1 and quantity.summed:
            yield from self._predictions_without_sum()
        if self.wrong.any():
            written = self.expected, self.answer.values, self.wrong, self.answer.tolerance, self.margin
            for kind, says, value, growth in writing_slips(*written, quantity.rank > 1):
                yield kind, f"{says} in {quantity.name}", ONE_ENTRY, value, growth

    def _predictions_without_sum(self) -> Iterator[tuple[str, str, str, Array, float]]:
        """Yield what a sheet has if the sum over the batch is forgotten: the gradient of one sequence, or the mean."""
        quantity = self.quantity
        single = self.search.sequence_gradients(quantity)
        kind = "sum over the batch missing"
        for n, value in enumerate(single):
            yield kind, f"only sequence {n} of the batch is counted in {quantity.name}", LIKELY, value, 1.0
        says = f"the mean over the batch is taken instead of the sum in {quantity.name}"
        yield kind, says, LIKELY, single.mean(0), 1.0

    # Whether a mistake gives the written numbers and contradicts no other

    def _fit_effect(self, order: int, own_chance: float, effect: Effect, mistakes: Sequence[Mistake]) -> list[_Fit]:
        """Return the best fit of mistakes with one effect on a sheet; none if all contradict a right number."""
        prediction = self._prediction_if_fits(effect)
        if prediction is None:
            return []
        value, margin = prediction
        near = max(n for n, line in enumerate(self.lines) if line.place in effect)
        growth = float(np.prod((margin / self.margin)[self.wrong]) ** (self.errors.free / max(1, self.wrong.sum())))
        fits: list[_Fit] = []
        for mistake in mistakes if len(self.search.wrong) > 1 else mistakes[:1]:
            explanation = self._explain_others(mistake)
            if explanation is None:
                continue
            explains, others = explanation
            edit = next(iter(mistake.values())).edit
            says = self.search.catalogue.describe(mistake) + self._sequences_in_words()
            cause = Cause(edit.kind, says, edit.tier, value, self.search.catalogue.family_of(mistake))
            fits.append(_Fit(cause, mistake, order, own_chance * growth * others, explains, near))
        return sorted(fits, key=lambda fit: -fit.explains)[:1]

    def _prediction_if_fits(self, effect: Effect) -> tuple[Array, Array] | None:
        """Return a mistake's prediction of the wrong quantity and its margin; None if other numbers were written."""
        prediction = self.predictor.predict(self.lines, effect, {self.quantity.place}).get(self.quantity.place)
        if prediction is None:
            return None
        value, error = (self._on_sheet(array[None])[0] for array in prediction)
        margin = np.maximum(self.margin, self.answer.tolerance + error + rounding(value))
        fits = bool((np.abs(self.answer.values - value) <= margin)[self.written].all())
        return (value, margin) if fits else None

    def _sequences_in_words(self) -> str:
        """Return the sequences of the batch with a mistake as words: (only in sequences 0 and 2); "" if all have it."""
        if self.sequences is None:
            return ""
        names = join_names(self.sequences, "and", most=MOST_NAMES)
        return f" (only in sequence{'s' if len(self.sequences) > 1 else ''} {names})"

    def _explain_others(self, mistake: Mistake) -> tuple[int, float] | None:
        """Return the number of wrong quantities that a mistake explains, and the chance that it explains the others.

        None if it contradicts a right number.
        """
        if set(mistake) == {self.quantity.place}:
            return 1, 1.0
        explains, chance = 1, 1.0
        effect = {place: edit for place, edit in mistake.items() if place != self.quantity.place}
        for place, prediction in self.predictor.predict(self.chain.lines, effect, self.search.places).items():
            other = self.chain.makers[place]
            if place == self.quantity.place or (self.sequences is not None and other.summed):
                continue
            fits, likely = self._explains_line(other, *prediction)
            if other.name in self.search.wrong:
                explains += fits
                chance *= likely if fits else 1.0
            elif not fits:
                return None
        return explains, chance

    def _explains_line(self, other: Quantity, value: Array, error: Array) -> tuple[bool, float]:
        """Return whether a person wrote a mistake's prediction of another quantity, and the chance of that."""
        answer = self.search.answers[other.name]
        values, tolerance = (self.chain.with_batch(other, array) for array in (answer.values, answer.tolerance))
        expected = self.search.judge.expected[other.place]
        if self.sequences is not None:
            values, tolerance, expected = (array[self.sequences] for array in (values, tolerance, expected))
        written = np.isfinite(values)
        margin = tolerance + error + rounding(value)
        fits = bool((np.abs(values - value) <= margin)[written].all())
        ratios = np.where(written, margin / np.maximum(np.abs(values - expected), margin), 1.0)
        return fits, float(np.min(ratios) if other.summed else np.prod(ratios))
