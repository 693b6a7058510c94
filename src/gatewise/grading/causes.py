"""The causes of wrong quantities: mistakes that, made on purpose, give the written numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.errors import join_names
from gatewise.grading.candidates import Catalogue, Effect, Indices, Mistake, Predictor, entry_slips
from gatewise.grading.chain import Quantity, rounding
from gatewise.grading.edits.edit import LIKELY, MAX_NAMES, ONE_ENTRY, POSSIBLE, STRUCTURAL, TIERS
from gatewise.grading.edits.entries import writing_slips
from gatewise.grading.judging import Judge
from gatewise.grading.sheet import SheetAnswer
from gatewise.grading.verdicts import Cause
from gatewise.margins import largest_first

# The chance that a cause is named for unrelated numbers on a sheet is at most 1 %, shared among the tiers.
MAX_CHANCES = {LIKELY: 0.004, STRUCTURAL: 0.001, ONE_ENTRY: 0.005}

# The chance that unrelated numbers fit a slip in one product, up to which it is named as possible, not as likely. It
# is for exact numbers alone, which further digits cannot tell apart.
MAX_CHANCE_OF_POSSIBLE = 0.05

# The share by which rounding may tell chances apart that are equal.
CHANCE_TOLERANCE = 1e-6

# The share of sheets of unrelated numbers that have a single wrong number in a line of right ones, at most.
MAX_SHARE_ALONE = 0.25


def share_of_search(tier: str, search: int, searches: int) -> float:
    """Return the share of a tier's bound on false causes that one search for a sheet's mistakes may use.

    The shares of all searches for a sheet are in the ratio of 1/2, 1/6, 1/12, …, and add up to the bound: the first
    wrong line matters most.
    """
    return MAX_CHANCES[tier] / ((search + 1) * (search + 2)) * (searches + 1) / searches


class WrongNumbers(NamedTuple):
    """The wrong numbers that a person wrote for a quantity."""

    wrong: Mask  # the wrong entries
    margin: Array  # the largest error of a right entry
    free: int  # the number of wrong entries that do not follow from the others
    largest: float  # the largest of the numbers
    right: Mask  # the right entries; all others are blank

    def chances_of(self, changes: Array) -> Array:
        """Return the chance that unrelated numbers fit each mistake; NaN for one that changes right entries.

        Unrelated numbers are assumed wrong in the same entries as the written ones, with a distance from the right
        ones that is uniform in its logarithm, from the margin to the size of the numbers. A mistake that
        makes `changes` to them is then hit with the chance (margin / changes)^n / (n log(size / margin)), n being the
        number of free entries. If a single entry is wrong, it is a quarter of that, since that is rare.
        """
        margin = float(np.exp(np.log(self.margin[self.wrong]).mean()))
        sizes = np.maximum(changes[:, self.wrong].max(axis=1), margin)
        log_range = max(1.0, np.log(max(self.largest, margin) / margin))
        chance: Array = (margin / sizes) ** self.free / (self.free * log_range)
        if self.right.any() and self.wrong.sum() == 1:
            chance *= MAX_SHARE_ALONE
        elsewhere = (changes > 2 * self.margin)[:, self.right].any(axis=1)
        return np.where(elsewhere, np.nan, chance)


TRIVIAL_NUMBER = 1.0  # what somebody writes who fills in anything, in several lines
MAX_GRID_DECIMALS = 4  # decimals
MAX_DECIMALS = 12  # that anybody is asked to write
MAX_CAUSES = 3  # in a verdict
MAX_SEARCHES = 16  # for one sheet: if more is wrong, its numbers are not those of this run
MAX_FITS = 8  # mistakes that may give the same numbers; where more do, it says little that one of them does
MAX_WORK = 8_000_000  # numbers computed for one sheet, so that a sheet that omits most of many steps takes seconds
LEFT_OUT = ("no nonlinearity", "no tanh on the cell")
OF_A_PRODUCT = ("one product missing", "one wrong sign")
EXCHANGES = {"two gates swapped": 1, "gates in a cycle": 2}  # less simple than others that give the same numbers
MAX_MARGINS_OFF = 100  # times the margin of the right equation: a mistake that is further off is not examined closely
MAX_EXAMINED = 40  # mistakes in one search, the nearest ones,
MAX_EQUATIONS = 3_000  # and equations that are computed for them, but for the nearest


class Causes(NamedTuple):
    """The causes to show, the number of further causes, and the decimals that would tell the cause if too few.

    There are `gaps` if a line that the quantity follows from is not on the sheet.
    """

    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None
    gaps: bool = False


class _Fit(NamedTuple):
    """A mistake that gives the written numbers: its chance, the number of quantities it explains, its nearness."""

    cause: Cause
    mistake: Mistake | None
    order: int
    chance: float
    explains: int = 1
    near: int = 0

    def unlikeliness(self) -> tuple[int, ...]:
        """Return a key that sorts the likeliest fits first."""
        tier, kind = TIERS.index(self.cause.tier), self.cause.kind
        return tier, -self.explains, EXCHANGES.get(kind, 0), -self.near, self.order


class CauseSearch:
    """The search for the causes of the wrong quantities of a sheet; `turns` counts the searches for it."""

    def __init__(self, judge: Judge, wrong: Collection[str], turns: Iterator[int]) -> None:
        chain = self.chain = judge.chain
        self.judge, self.wrong, self.turns = judge, wrong, turns
        self.answers = {
            name: answer
            for name, answer in judge.answers.items()
            if not answer.blank and answer.values.shape == chain.by_name[name].key.shape
        }
        self.places = {chain.by_name[name].place for name in self.answers}
        trivial = {name for name, answer in self.answers.items() if (np.abs(answer.values) == TRIVIAL_NUMBER).any()}
        computed = {name for name in self.answers if not chain.by_name[name].copied}
        self.is_careful = len(trivial & {*wrong}) == 1 and len(computed - {*wrong}) > 1
        self.searches = len(wrong) * (2 if len(wrong) > 1 else 1)  # two judges: see marking.py
        self.work = MAX_WORK  # numbers that the searches for this sheet may still compute
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
        return search.result(turn) if turn < MAX_SEARCHES else Causes()

    def leading_lines(self, quantity: Quantity) -> list[Quantity]:
        """Return the unwritten lines that a quantity follows from, and the quantity itself as the last."""
        pending, places = [quantity], {quantity.place}
        while pending:
            for maker in self.chain.inputs[pending.pop().place]:
                if maker.place not in places and maker.name not in self.answers:
                    places.add(maker.place)
                    pending.append(maker)
        return [line for line in self.chain.lines if line.place in places]

    def gradients_of_steps(self, quantity: Quantity) -> list[tuple[str, Array]]:
        """Return the name of the gradient at each step of its sum, and its values for each sequence."""
        parts = [line for line in self.chain.inputs[quantity.place] if line.summed] if quantity.total else [quantity]
        return [(part.name, self.chain.compute(part, self.judge.assumed, summed=False)[0]) for part in parts]

    def causes_of_shape(self, quantity: Quantity, answer: SheetAnswer) -> Causes:
        """Return the mistakes that explain an answer whose shape is wrong."""
        causes: list[Cause] = []
        lines = [line for line in self.chain.lines if line.symbol == quantity.symbol] if quantity.total else [quantity]
        predictor = Predictor(self.chain, self.judge.assumed, self.judge.unit, None)
        for applied in self.catalogue.by_place.get(lines[0].place, ()):
            edits = {applied.place: applied}
            if quantity.total:
                widest = max((mistake for mistake, _ in self.catalogue.scopes(applied)), key=len)
                edits = {place: edit for place, edit in widest.items() if place[0] == quantity.symbol}
            for prediction in predictor.predict(lines, edits, {quantity.place}).values():
                value, error = (self.chain.on_sheet(quantity, array) for array in prediction)
                if value.shape != answer.values.shape:
                    continue
                if answer.agrees(value, error + rounding(value) + self.judge.unit):
                    says, family = self.catalogue.describe(edits), self.catalogue.family_of(edits)
                    causes.append(Cause(applied.edit.kind, says, applied.edit.tier, value, family))
        return Causes(tuple(causes[:MAX_CAUSES]), max(0, len(causes) - MAX_CAUSES))


class _QuantitySearch:
    """The search for the causes of one wrong quantity."""

    def __init__(self, search: CauseSearch, quantity: Quantity) -> None:
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
        for decimals in range(MAX_GRID_DECIMALS):
            if (np.abs(both - np.round(both, decimals)) <= self.chain.rounding(both)).all():
                return 0.5 * 10.0**-decimals
        return 0.0

    def _free_count(self) -> int:
        """Return the number of wrong entries that carry information about the cause and do not follow from each other.

        Of a row of a gradient matrix, as many as there are steps of sequences in its sum; of another vector, all. Equal
        numbers count once, such as zeros, and ones not at all, where they may stand for anything.
        """
        telling = self.wrong & (self.search.is_careful | (np.abs(self.answer.values) != TRIVIAL_NUMBER))
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
        fits = sorted(self._find_fits(), key=_Fit.unlikeliness)
        allowed = {tier: share_of_search(tier, turn, self.search.searches) for tier in TIERS}
        fits_by_words: dict[str, _Fit] = {}
        for fit in fits:
            if self._total_chance(fit, self.chances) <= allowed[fit.cause.tier]:
                fits_by_words.setdefault(fit.cause.says, fit)
        if not fits_by_words:
            digits, gaps = self._sufficient_decimals(fits, allowed), self._has_gaps()
            possible = self._possible_slips(fits) if digits is None and not gaps else ()
            return Causes(possible, len(fits) - len(possible), digits, gaps)
        all_fits = _without_needless_relu(fits_by_words.values())
        best_fits = all_fits
        if len(best_fits) > MAX_FITS:  # those in the line itself are simpler than those in lines before it
            best_fits = [fit for fit in best_fits if fit.near >= len(self.lines) - 1]
        best_fits = best_fits[:MAX_CAUSES] if len(best_fits) <= MAX_FITS else []
        self.search.named += [(fit.mistake, fit.cause) for fit in best_fits if fit.mistake is not None]
        return Causes(tuple(fit.cause for fit in best_fits), len(all_fits) - len(best_fits))

    def _possible_slips(self, fits: Sequence[_Fit]) -> tuple[Cause, ...]:
        """Return the slips in one product of a line that give its exact numbers, though others might too."""
        slips = [
            replace(fit.cause, tier=POSSIBLE)
            for fit in fits
            if fit.cause.kind in OF_A_PRODUCT and self._total_chance(fit, self.chances) <= MAX_CHANCE_OF_POSSIBLE
        ]
        return tuple(slips) if len(slips) <= MAX_CAUSES else ()

    def _has_gaps(self) -> bool:
        """Return whether a line that leads to the quantity could be on a sheet, but is not."""
        is_asked = (line.asked and (line.total or not line.summed or self.chain.steps == 1) for line in self.lines[:-1])
        return any(is_asked) or not self.written.all()

    def _sufficient_decimals(self, fits: Sequence[_Fit], allowed: Mapping[str, float]) -> int | None:
        """Return the decimals with which any of the mistakes would be named; None if a mistake gives exact numbers."""
        tolerance = float(np.max(self.answer.tolerance[self.written]))
        written, wrong = self.answer.values[self.wrong], self.wrong
        fits = [fit for fit in fits if np.isfinite(self.chances[fit.order])]
        if not fits or not tolerance or any(np.allclose(fit.cause.predicted[wrong], written, 0, 1e-9) for fit in fits):
            return None
        decimals = int(np.rint(-np.log10(2 * tolerance)))
        for further in range(1, MAX_DECIMALS - decimals + 1):
            finer = self.errors._replace(margin=self.errors.margin * 10.0**-further)
            chances = finer.chances_of(self.changes)
            ratios = chances / self.chances
            finer_fits = [fit._replace(chance=fit.chance * ratios[fit.order]) for fit in fits]
            if all(self._total_chance(fit, chances) <= allowed[fit.cause.tier] / 2 for fit in finer_fits):
                return decimals + further
        return None

    def _total_chance(self, fit: _Fit, chances: Array) -> float:
        """Return the chance that unrelated numbers fit a mistake, or any of its tier with a smaller chance."""
        of_tier = chances[self.tiers == fit.cause.tier]
        return fit.chance + float(np.nansum(of_tier[of_tier < (1 - CHANCE_TOLERANCE) * fit.chance]))

    # Possible mistakes

    def _find_fits(self) -> list[_Fit]:
        """Return the possible mistakes that give the written numbers, each with its chance."""
        effects, direct = self._candidate_effects(), list(self._direct_predictions())
        tiers = [min((applied.edit.tier for applied in effect.values()), key=TIERS.index) for effect, _ in effects]
        self.tiers = np.array([*tiers, *(cause.tier for cause, _ in direct)])
        by_edits = self._on_sheet(self.predictor.predict_all(self.lines, [effect for effect, _ in effects]))
        predicted = np.concatenate([by_edits, [cause.predicted for cause, _ in direct]])
        with np.errstate(all="ignore"):
            changes = self.changes = np.abs(predicted - self.expected)
            distances = np.where(self.written, np.abs(predicted - self.answer.values) / self.margin, 0.0)
        self.chances = self.errors.chances_of(changes)
        furthest = distances.reshape(len(distances), -1).max(axis=1)
        places = {line.place: n for n, line in enumerate(self.lines)}
        self.nearness = [max(places[place] for place in effect) for effect, _ in effects] + [len(places)] * len(direct)
        fits: list[_Fit] = []
        most_examined = max(6, min(MAX_EXAMINED, MAX_EQUATIONS // len(self.lines)))
        nearest = np.argsort(-np.array(self.nearness), kind="stable")
        nearest = nearest[largest_first(-np.maximum(furthest, 1.0)[nearest], relative=True)]
        for k in nearest[:most_examined].tolist():
            if not furthest[k] <= MAX_MARGINS_OFF:
                break
            chance = self.chances[k] if np.isfinite(self.chances[k]) else 1.0
            if k < len(effects):
                fits += self._fit_effect(k, chance, *effects[k])
                continue
            cause, growth = direct[k - len(effects)]
            if self.answer.agrees(cause.predicted, self.slack * growth + rounding(cause.predicted)):
                fits.append(_Fit(cause, None, k, chance * growth, near=self.nearness[k]))
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
        size = max(1, self.quantity.key.size) * len(self.lines)
        effects = self.search.catalogue.effects_on(self.lines, self.search.work // size)
        self.search.work = max(MAX_WORK // 20, self.search.work - len(effects) * size)
        expected = self.search.judge.expected
        if self.sequences is not None:
            expected = {line.place: expected[line.place][self.sequences] for line in self.lines if not line.summed}
        return [*effects, *entry_slips(self.chain, self.lines, self.wrong, expected, self.unit)]

    def _direct_predictions(self) -> Iterator[tuple[Cause, float]]:
        """Yield a missing sum over the batch, and slips in writing, each with the factor by which the error grows."""
        quantity = self.quantity
        if self.chain.batch > 1 and quantity.summed:
            yield from self._predictions_without_sum()
        if quantity.total:
            for name, values in self.search.gradients_of_steps(quantity):
                for cause, growth in self._writing_slips(name, values.sum(0)):
                    if cause.kind == "another unit":  # others in a step are edits of its equation
                        yield cause, growth
        yield from self._writing_slips(quantity.name, self.expected)

    def _writing_slips(self, name: str, part: Array) -> Iterator[tuple[Cause, float]]:
        rest = self.expected - part
        written = part, self.answer.values - rest, self.wrong, self.answer.tolerance, self.margin
        for kind, says, value, growth in writing_slips(*written, self.quantity.rank > 1):
            yield Cause(kind, f"{says} in {name}", ONE_ENTRY, rest + value), growth

    def _predictions_without_sum(self) -> Iterator[tuple[Cause, float]]:
        """Yield the gradient of one sequence, or their mean, for the sum over the batch: at all steps, or at one."""
        kind, steps = "sum over the batch missing", self.search.gradients_of_steps(self.quantity)
        every = self.quantity.name, np.sum([values for _, values in steps], axis=0)
        for name, values in [every, *(steps if len(steps) > 1 else ())]:
            others = self.expected - values.sum(0)
            for n, value in enumerate(values):
                says = f"only sequence {n} of the batch is counted in {name}"
                yield Cause(kind, says, LIKELY, others + value), 1.0
            says = f"the mean over the batch is taken instead of the sum in {name}"
            yield Cause(kind, says, LIKELY, others + values.mean(0)), 1.0

    # Whether a mistake gives the written numbers and contradicts no other

    def _fit_effect(self, order: int, own_chance: float, effect: Effect, mistakes: Sequence[Mistake]) -> list[_Fit]:
        """Return the best fit of mistakes with one effect on a sheet; none if all contradict a right number."""
        prediction = self._prediction_if_fits(effect)
        if prediction is None:
            return []
        value, margin = prediction
        growth = float(np.prod((margin / self.margin)[self.wrong]) ** (self.errors.free / (self.wrong.sum() or 1)))
        fits: list[_Fit] = []
        for mistake in mistakes if len(self.search.wrong) > 1 else mistakes[:1]:
            explanation = self._explain_others(mistake)
            if explanation is None:
                continue
            explains, others = explanation
            edit = next(iter(mistake.values())).edit
            says = self.search.catalogue.describe(mistake) + self._sequences_in_words()
            cause = Cause(edit.kind, says, edit.tier, value, self.search.catalogue.family_of(mistake))
            fits.append(_Fit(cause, mistake, order, own_chance * growth * others, explains, self.nearness[order]))
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
        names = join_names(self.sequences, "and", most=MAX_NAMES)
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


def _without_needless_relu(fits: Iterable[_Fit]) -> list[_Fit]:
    """Return fits without ReLU if a missing nonlinearity gives the same numbers, as it does where all are positive."""
    fits = list(fits)
    if not any(fit.cause.kind in LEFT_OUT for fit in fits):
        return fits
    return [fit for fit in fits if not fit.cause.kind.startswith("relu for")]
