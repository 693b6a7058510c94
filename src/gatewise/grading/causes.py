"""Why is a quantity wrong? Mistakes are made on purpose; one that gives what was written is a likely cause."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.candidates import Catalogue, Made, Mistake
from gatewise.grading.chain import Chain, Place, Quantity, Values, rounding
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, STRUCTURAL, TIERS
from gatewise.grading.edits.entries import of_products, of_writing
from gatewise.grading.predicting import Effect, Indices, Predictor
from gatewise.grading.sheet import Answer

# The chance that unrelated numbers on a sheet are given a cause is at most 1 %, shared among the tiers.
CHANCE = {LIKELY: 0.004, STRUCTURAL: 0.002, ONE_ENTRY: 0.004}
MOST_CAUSES = 3  # that are shown
MOST_WORK = 4_000_000  # numbers computed in one search, so that a sheet that omits most of many steps takes seconds
NEAR = 100  # times the margin of the right equation: a mistake that is further off is not examined closely
MOST_EXAMINED = 40  # mistakes in one search, the nearest ones


@dataclass(frozen=True)
class Cause:
    """What may have made a quantity wrong.

    Attributes
    ----------
    kind : str
        The class of mistakes that it belongs to.
    says : str
        What was done, in words; `str` gives them.
    tier : {"likely", "structural", "one entry"}
    predicted : array
        What the quantity becomes when that mistake is made, from the person's own numbers.
    """

    kind: str
    says: str
    tier: str = LIKELY
    predicted: Array = field(compare=False, repr=False, default_factory=lambda: np.zeros(0))

    def __str__(self) -> str:
        return self.says


class Found(NamedTuple):
    """The causes that are shown, how many more there are, and how many decimals would do where there are too few."""

    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None


class _Fit(NamedTuple):
    """A mistake that gives what was written: the chance that it does, and how many wrong quantities it explains."""

    cause: Cause
    mistake: Mistake | None
    order: int
    chance: float
    explains: int = 1


class Search:
    """The search for the causes of what is wrong on a sheet.

    Parameters
    ----------
    chain : Chain
    own : Values
        Every quantity as it follows from the person's own numbers.
    expected : dict of Place to array
        And as it follows from those before it, whatever is written for it.
    answers : dict of str to Answer
    wrong : collection of str
        The names of the wrong quantities.
    unit : float
        How far off a number may be that is on no sheet, since it was rounded.
    """

    def __init__(
        self,
        chain: Chain,
        own: Values,
        expected: Mapping[Place, Array],
        answers: Mapping[str, Answer],
        wrong: Collection[str],
        unit: float,
    ) -> None:
        self.chain, self.own, self.expected, self.wrong, self.unit = chain, own, expected, wrong, unit
        self.answers = {
            name: answer
            for name, answer in answers.items()
            if not answer.blank and answer.values.shape == chain.by_name[name].key.shape
        }
        self.places = {chain.by_name[name].place for name in self.answers}
        self.left = dict(CHANCE)  # what is left of each tier's share for this sheet
        self.named: list[tuple[Mistake, Cause]] = []  # causes that were shown
        self.cones: dict[Place, list[Quantity]] = {}
        if "catalogue" not in chain.memo:
            chain.memo["catalogue"] = Catalogue(chain)
        self.catalogue: Catalogue = chain.memo["catalogue"]

    def causes(self, quantity: Quantity, answer: Answer, expected: Array, slack: Array) -> Found:
        """Return the causes of a wrong quantity.

        Parameters
        ----------
        quantity : Quantity
        answer : Answer
        expected, slack : array
            Its value as it follows from the person's own numbers, and how far off that may be, in the sheet's shape.
        """
        one = _OfOne(self, quantity, answer, expected, slack)
        again = tuple(one.again())
        return Found(again) if again else one.found()

    def cone(self, quantity: Quantity) -> list[Quantity]:
        """Return a quantity, last, and the lines between it and the last numbers written."""
        if quantity.place not in self.cones:
            wanted, found = [quantity], {quantity.place}
            while wanted:
                for maker in self.chain.inputs[wanted.pop().place]:
                    if maker.place not in found and maker.name not in self.answers:
                        found.add(maker.place)
                        wanted.append(maker)
            self.cones[quantity.place] = [line for line in self.chain.lines if line.place in found]
        return self.cones[quantity.place]

    def of_shape(self, quantity: Quantity, answer: Answer) -> Found:
        """Return the causes of numbers of another shape than they should have."""
        predictor, found = Predictor(self.chain, self.own), list[Cause]()
        steps = [line for line in self.chain.lines if line.symbol == quantity.symbol and not line.total]
        for made in self.catalogue.by_place.get((steps if quantity.total else [quantity])[0].place, ()):
            mistake = max(self.catalogue.scopes(made), key=len) if quantity.total else {made.place: made}
            own = {place: one for place, one in mistake.items() if place[0] == quantity.symbol}
            values = [predictor.alone(self.chain.makers[place], one.right) for place, one in own.items()]
            if any(value is None for value in values) or (quantity.total and len(own) < self.chain.steps):
                continue
            value = self.chain.sheet(quantity, np.asarray(sum(value for value in values if value is not None)))
            if value.shape == answer.values.shape and _within(answer, value, rounding(value) + self.unit):
                found.append(Cause(made.edit.kind, self.catalogue.says(own), made.edit.tier, value))
        return Found(tuple(found[:MOST_CAUSES]), max(0, len(found) - MOST_CAUSES))


def _within(answer: Answer, value: Array, slack: Array) -> bool:
    written = np.isfinite(answer.values)
    return bool((np.abs(answer.values - value) <= answer.tolerance + slack)[written].all())


class _OfOne:
    """The search for the causes of one wrong quantity."""

    def __init__(self, search: Search, quantity: Quantity, answer: Answer, expected: Array, slack: Array) -> None:
        self.search, self.chain, self.quantity, self.answer = search, search.chain, quantity, answer
        self.expected, self.slack = expected, slack
        self.written = np.isfinite(answer.values)
        self.margin = answer.tolerance + slack + rounding(expected)
        self.away = np.where(self.written, np.abs(answer.values - expected), 0.0)
        self.off = self.away > self.margin
        self.cone = search.cone(quantity)
        self.sequences = self._sequences()
        self.predictor = Predictor(self.chain, search.own, search.unit, self.sequences)

    def _sequences(self) -> Indices | None:
        """Return the sequences in which it is wrong, where those are not all of them."""
        if self.chain.batch == 1 or self.quantity.summed or self.quantity.total:
            return None
        rows = np.flatnonzero(self.off.reshape(self.chain.batch, -1).any(1))
        return rows if len(rows) < self.chain.batch else None

    def again(self) -> Iterator[Cause]:
        """Go through the mistakes named before that give these numbers too: of each, what it makes of them."""
        for mistake, cause in self.search.named:
            if any(place in mistake for place in (line.place for line in self.cone)):
                made = self._made(mistake)
                if made is not None:
                    yield replace(cause, predicted=made[0])

    def found(self) -> Found:
        """Return what gives the numbers that were written."""
        fits = sorted(self._fits(), key=lambda fit: (TIERS.index(fit.cause.tier), -fit.explains, fit.order))
        allowed = {tier: self._allowed(tier) for tier in TIERS}
        proven = [fit for fit in fits if fit.chance * self.inside[fit.cause.tier] <= allowed[fit.cause.tier]]
        shown: dict[str, Cause] = {}
        for fit in proven:
            if fit.cause.says not in shown and fit.mistake is not None and len(shown) < MOST_CAUSES:
                self.search.named.append((fit.mistake, fit.cause))
            shown.setdefault(fit.cause.says, fit.cause)
        if shown:
            return Found(tuple(shown.values())[:MOST_CAUSES], max(0, len(shown) - MOST_CAUSES))
        return Found(digits=self._digits(fits[0], allowed[fits[0].cause.tier]) if fits else None)

    def _allowed(self, tier: str) -> float:
        """Return the chance that this search may take of a tier's share, which is then spent."""
        left, expected = self.search.left[tier], self.inside[tier] * self._chance(self.margin)
        if expected <= left:
            self.search.left[tier] -= expected
        return left

    def _chance(self, margin: Array) -> float:
        """Return the chance that an unrelated number fits: in each entry, the margin over the distance from the truth.

        In a row of a gradient matrix only as many entries count as there are steps of sequences in its sum, in another
        vector all: the other entries follow from those.
        """
        ratios = np.where(self.written, margin / np.maximum(self.away, margin), 1.0)
        if ratios.ndim > 1 and self.quantity.summed:
            ratios = np.sort(ratios, axis=-1)[..., : self.chain.batch * self.chain.steps]
        return float(np.prod(ratios))

    def _digits(self, fit: _Fit, allowed: float) -> int:
        """Return how many decimals would prove a mistake that fits."""
        entries = max(1, int(self.off.sum()))
        short = fit.chance * self.inside[fit.cause.tier] / max(allowed, 1e-9)
        tolerance = float(np.max(self.answer.tolerance[self.written]))
        now = round(-np.log10(2 * tolerance)) if tolerance > 0 else 16
        return now + max(1, int(np.ceil(np.log10(max(short, 1.0)) / entries)))

    # The mistakes that can be made.

    def _fits(self) -> list[_Fit]:
        """Return the mistakes that give what was written, and count those that come as near to the right numbers."""
        effects = self._effects()
        tiers = [min((made.edit.tier for made in effect.values()), key=TIERS.index) for effect, _ in effects]
        values = self.predictor.many(self.cone, [effect for effect, _ in effects])
        self.inside = dict.fromkeys(TIERS, 0)
        found: list[_Fit] = []
        if values is not None:
            predicted = self._on_sheet(values)
            near = self._count(predicted, tiers)
            for k in near:
                found += self._examined(k, *effects[k])
        direct = list(self._direct())
        self._count(np.stack([value for *_, value in direct]), [tier for _, _, tier, _ in direct]) if direct else None
        for n, (kind, says, tier, value) in enumerate(direct):
            if _within(self.answer, value, self.slack + rounding(value)):
                found.append(_Fit(Cause(kind, says, tier, value), None, len(effects) + n, self._chance(self.margin)))
        self.inside = {tier: max(1, count) for tier, count in self.inside.items()}
        return found

    def _on_sheet(self, values: Array) -> Array:
        """Return predictions in the shape of the sheet; in sequences where nothing is wrong, the right numbers."""
        if self.sequences is not None:
            whole = np.array(np.broadcast_to(self.expected, (len(values), *self.expected.shape)))
            whole[:, self.sequences] = values
            return whole
        one = not (self.quantity.summed or self.quantity.total) and self.chain.batch == 1
        return values[:, 0] if one else values

    def _count(self, predicted: Array, tiers: Sequence[str]) -> list[int]:
        """Count what is as near to the right numbers as what was written; return which predictions are near that."""
        axes = tuple(range(1, predicted.ndim))
        with np.errstate(all="ignore"):
            moved = np.abs(predicted - self.expected)
            inside = ((moved <= np.maximum(self.away, self.margin)) | ~self.written).all(axis=axes)
            inside &= ((moved > self.margin) & self.written).any(axis=axes)
            margins = np.abs(predicted - self.answer.values) / self.margin
            furthest = np.where(self.written & ~np.isnan(margins), margins, 0.0).max(axis=axes)
            furthest[np.isnan(predicted).any(axis=axes)] = np.inf
        for here, tier in zip(np.asarray(inside), tiers, strict=True):
            self.inside[tier] += bool(here)
        order = np.argsort(furthest, kind="stable")[:MOST_EXAMINED]
        return [int(k) for k in order if furthest[k] <= NEAR]

    def _effects(self) -> list[tuple[Effect, list[Mistake]]]:
        """Return what mistakes do to the lines that lead to the quantity, each with the mistakes that do just that."""
        places = {line.place for line in self.cone}
        found: dict[frozenset[object], tuple[Effect, list[Mistake]]] = {}
        size = max(1, self.quantity.key.size) * len(self.cone)
        for tier in (LIKELY, STRUCTURAL):
            for line in self.cone:
                for made in self.search.catalogue.by_place.get(line.place, ()):
                    if made.edit.tier != tier:
                        continue
                    for mistake in self.search.catalogue.scopes(made):
                        effect = {place: one for place, one in mistake.items() if place in places}
                        key = frozenset((place, one.form) for place, one in effect.items())
                        _, mistakes = found.setdefault(key, (effect, []))
                        if not any(mistake is other for other in mistakes):
                            mistakes.append(mistake)
                if len(found) * size > MOST_WORK:
                    return list(found.values())
        return [*found.values(), *self._slips()]

    def _slips(self) -> Iterator[tuple[Effect, list[Mistake]]]:
        """Go through the slips in one product of one unit, where only that unit is wrong."""
        if self.quantity.rank != 1 or not self.off.any():
            return
        units = np.unique(np.argwhere(self.off)[:, -1])
        if len(units) != 1:
            return
        unit = int(units[0])
        for line in self.cone:
            if not line.asked or line.over != self.quantity.over or line.rank != 1:
                continue
            names = self.chain.names[line.over]
            for edit in of_products(line.assignment, unit, len(names), line.products, names[unit]):
                right = edit.made(line.right)
                made = Made(edit, line.place, right, canonical(right))
                yield {line.place: made}, [{line.place: made}]

    def _direct(self) -> Iterator[tuple[str, str, str, Array]]:
        """Go through the numbers that a quantity has if it is not summed over the batch, or not written as it is."""
        quantity = self.quantity
        if self.chain.batch > 1 and quantity.summed:
            yield from self._without_sum()
        if self.off.any():
            for kind, says, value in of_writing(self.expected, self.off, self.answer.tolerance):
                yield kind, f"{says} in {quantity.name}", ONE_ENTRY, value

    def _without_sum(self) -> Iterator[tuple[str, str, str, Array]]:
        quantity = self.quantity
        parts = [one for one in self.chain.inputs[quantity.place] if one.summed] if quantity.total else [quantity]
        each = [self.chain.unsummed(part, self.search.own) for part in parts]
        single = np.sum(each, axis=0)
        told = f"the sum over the batch is missing from {quantity.name}: it is"
        for n, value in enumerate(single):
            yield "sum over the batch missing", f"{told} that of sequence {n} alone", LIKELY, value
        yield "sum over the batch missing", f"{told} the mean", LIKELY, single.mean(0)

    # Whether one of them gives what was written, and does not contradict what else was.

    def _examined(self, order: int, effect: Effect, mistakes: Sequence[Mistake]) -> Iterator[_Fit]:
        """Propagate the person's rounding through a mistake, and compare it with all that it changes."""
        made = self._made(effect)
        if made is None:
            return
        value, margin = made
        best: _Fit | None = None
        for mistake in mistakes if len(self.search.wrong) > 1 else mistakes[:1]:
            judged = self._beyond(mistake)
            if judged is None:
                continue
            explains, chance = judged
            edit = next(iter(mistake.values())).edit
            where = "" if self.sequences is None else f" (in {self._told_sequences()})"
            cause = Cause(edit.kind, self.search.catalogue.says(mistake) + where, edit.tier, value)
            fit = _Fit(cause, mistake, order, chance * self._chance(margin), explains)
            if best is None or fit.explains > best.explains:
                best = fit
        if best is not None:
            yield best

    def _made(self, effect: Effect) -> tuple[Array, Array] | None:
        """Return what a mistake makes of the quantity, and the margin, if that is what was written."""
        made = self.predictor.one(self.cone, effect, {self.quantity.place}).get(self.quantity.place)
        if made is None:
            return None
        value, off = (self._on_sheet(one[None])[0] for one in made)
        margin = np.maximum(self.margin, self.answer.tolerance + off + rounding(value))
        fits = bool((np.abs(self.answer.values - value) <= margin)[self.written].all())
        return (value, margin) if fits else None

    def _told_sequences(self) -> str:
        assert self.sequences is not None
        names = ", ".join(str(n) for n in self.sequences)
        return f"sequence {names}" if len(self.sequences) == 1 else f"sequences {names}"

    def _beyond(self, mistake: Mistake) -> tuple[int, float] | None:
        """Return how many wrong quantities a mistake explains, and the chance that it explains the others.

        None where it contradicts a number that is right.
        """
        if set(mistake) == {self.quantity.place}:
            return 1, 1.0
        explains, chance = 1, 1.0
        effect = {place: made for place, made in mistake.items() if place != self.quantity.place}
        for place, made in self.predictor.one(self.chain.lines, effect, self.search.places).items():
            other = self.chain.makers[place]
            if place == self.quantity.place or (self.sequences is not None and (other.summed or other.total)):
                continue
            fits, likely = self._explains(other, *made)
            if other.name in self.search.wrong:
                explains += fits
                chance *= likely if fits else 1.0
            elif not fits:
                return None
        return explains, chance

    def _explains(self, other: Quantity, value: Array, off: Array) -> tuple[bool, float]:
        """Return whether what a mistake makes of another quantity was written, and the chance that it was."""
        answer = self.search.answers[other.name]
        values, tolerance = (self.chain.whole(other, one) for one in (answer.values, answer.tolerance))
        own = self.search.expected[other.place]
        if self.sequences is not None:
            values, tolerance, own = (one[self.sequences] for one in (values, tolerance, own))
        written = np.isfinite(values)
        margin = tolerance + off + rounding(value)
        fits = bool((np.abs(values - value) <= margin)[written].all())
        ratios = np.where(written, margin / np.maximum(np.abs(values - own), margin), 1.0)
        return fits, float(np.min(ratios) if other.summed else np.prod(ratios))
