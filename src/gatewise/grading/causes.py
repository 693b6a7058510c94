"""Why is a quantity wrong? Mistakes are made on purpose; one that gives what was written is a likely cause."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import join_names
from gatewise.grading.candidates import Catalogue, Effect, Mistake, slips
from gatewise.grading.chain import Chain, Place, Quantity, Values, rounding
from gatewise.grading.chance import Wrong, decimals_more, in_all, share
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, TIERS
from gatewise.grading.edits.entries import of_writing
from gatewise.grading.edits.words import MOST_NAMES
from gatewise.grading.predicting import Indices, Predictor
from gatewise.grading.sheet import Answer
from gatewise.grading.verdicts import Cause

TRIVIAL = 1.0  # what somebody writes who fills in anything
MOST_GRID = 4  # decimals
MOST_CAUSES = 3  # that are shown
MOST_SEARCHES = 16  # for one sheet: where there is still more to explain, its numbers are not of this run
MOST_FITS = 8  # mistakes that may give the same numbers; where more do, it says little that one of them does
MOST_WORK = 8_000_000  # numbers computed for one sheet, so that a sheet that omits most of many steps takes seconds
NEAR = 100  # times the margin of the right equation: a mistake that is further off is not examined closely
MOST_EXAMINED = 40  # mistakes in one search, the nearest ones,
MOST_LINES = 3_000  # and equations that are computed for them, but for the nearest


class Found(NamedTuple):
    """The causes that are shown, how many more there are, and how many decimals would do where there are too few."""

    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None


class _Fit(NamedTuple):
    """A mistake that gives what was written: the chance of it, how many quantities it explains, and how near it is."""

    cause: Cause
    mistake: Mistake | None
    order: int
    chance: float
    explains: int = 1
    near: int = 0


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
    turns : iterator of int
        Counts the searches for one sheet.
    """

    def __init__(
        self,
        chain: Chain,
        own: Values,
        expected: Mapping[Place, Array],
        answers: Mapping[str, Answer],
        wrong: Collection[str],
        unit: float,
        turns: Iterator[int],
    ) -> None:
        self.chain, self.own, self.expected, self.wrong, self.unit = chain, own, expected, wrong, unit
        self.answers = {
            name: answer
            for name, answer in answers.items()
            if not answer.blank and answer.values.shape == chain.by_name[name].key.shape
        }
        self.places = {chain.by_name[name].place for name in self.answers}
        self.turns, self.searches = turns, len(wrong) * (2 if len(wrong) > 1 else 1)  # two judges: see `marking`
        self.work = MOST_WORK  # numbers that the searches for this sheet may still compute
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
        if again:
            return Found(again)
        turn = next(self.turns)
        return one.found(turn) if turn < MOST_SEARCHES else Found()

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

    def unsummed(self, quantity: Quantity) -> Array:
        """Return a gradient with respect to a parameter for each sequence of the batch."""
        parts = [one for one in self.chain.inputs[quantity.place] if one.summed] if quantity.total else [quantity]
        each: Array = np.sum([self.chain.unsummed(part, self.own) for part in parts], axis=0)
        return each

    def of_shape(self, quantity: Quantity, answer: Answer) -> Found:
        """Return the causes of numbers of another shape than they should have."""
        predictor, found = Predictor(self.chain, self.own), list[Cause]()
        steps = [line for line in self.chain.lines if line.symbol == quantity.symbol and not line.total]
        for made in self.catalogue.by_place.get((steps if quantity.total else [quantity])[0].place, ()):
            mistake = max(self.catalogue.scopes(made), key=len) if quantity.total else {made.place: made}
            own = {place: one for place, one in mistake.items() if place[0] == quantity.symbol}
            made_of = [predictor.alone(self.chain.makers[place], one.right) for place, one in own.items()]
            known = [one for one in made_of if one is not None]
            if len(known) < (self.chain.steps if quantity.total else 1):
                continue
            value, off = (self.chain.sheet(quantity, np.asarray(sum(one[n] for one in known))) for n in (0, 1))
            off = off + rounding(value) + self.unit * len(known)
            if value.shape == answer.values.shape and within(answer, value, off):
                found.append(Cause(made.edit.kind, self.catalogue.says(own), made.edit.tier, value))
        return Found(tuple(found[:MOST_CAUSES]), max(0, len(found) - MOST_CAUSES))


def within(answer: Answer, value: Array, slack: Array) -> bool:
    """Tell whether the numbers of an answer are these, to within so much."""
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
        size = float(np.max(np.abs(expected), initial=0.0))
        right = self.written & ~self.off
        self.differs = Wrong(self.off, np.maximum(self.margin, self._grid()), self._free(), size, right)
        self.cone = search.cone(quantity)
        self.sequences = self._sequences()
        self.predictor = Predictor(self.chain, search.own, search.unit, self.sequences)

    def _grid(self) -> float:
        """Return half the distance of the numbers that may be written, where right and wrong ones have few decimals.

        With inputs and weights of one digit a sum has two: what is written is then one of few numbers.
        """
        both = np.concatenate([self.answer.values[self.off], self.expected[self.off]])
        for decimals in range(MOST_GRID):
            if (np.abs(both - np.round(both, decimals)) < 1e-9).all():
                return 0.5 * 10.0**-decimals
        return 0.0

    def _free(self) -> int:
        """Return how many wrong entries tell something, and do not follow from each other.

        Of a row of a gradient matrix, as many as there are steps of sequences in its sum; of another vector, all. Equal
        numbers count once, such as zeros, and ones not at all.
        """
        telling = self.off & (np.abs(self.answer.values) != TRIVIAL)
        free = int(telling.sum())
        if self.off.ndim > 1 and self.quantity.summed:
            free = int(np.minimum(telling.sum(axis=-1), self.chain.batch * self.chain.steps).sum())
        return min(free, len(np.unique(np.abs(self.answer.values[telling]))))

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

    def found(self, turn: int) -> Found:
        """Return what gives the numbers that were written; `turn` says how many searches of the sheet came before."""
        if not self.differs.free or not np.isfinite(self.expected[self.written]).all():
            return Found()
        fits = sorted(self._fits(), key=lambda fit: (TIERS.index(fit.cause.tier), -fit.explains, -fit.near, fit.order))
        allowed = {tier: share(tier, turn, self.search.searches) for tier in TIERS}
        chances = [in_all(fit.chance, self.chances[fit.cause.tier]) for fit in fits]
        shown: dict[str, _Fit] = {}
        for fit, chance in zip(fits, chances, strict=True):
            if chance <= allowed[fit.cause.tier]:
                shown.setdefault(fit.cause.says, fit)
        if not shown and fits:
            more = decimals_more(chances[0], allowed[fits[0].cause.tier], self.differs.free)
            return Found(digits=self._decimals() + more)
        if len(shown) > MOST_FITS:
            return Found()
        named = list(shown.values())[:MOST_CAUSES]
        self.search.named += [(fit.mistake, fit.cause) for fit in named if fit.mistake is not None]
        return Found(tuple(fit.cause for fit in named), len(shown) - len(named))

    def _decimals(self) -> int:
        """Return how many decimals are written."""
        tolerance = float(np.max(self.answer.tolerance[self.written]))
        return round(-np.log10(2 * tolerance)) if tolerance > 0 else 16

    # The mistakes that can be made.

    def _fits(self) -> list[_Fit]:
        """Return the mistakes that give what was written."""
        effects, direct = self._effects(), list(self._direct())
        tiers = [min((made.edit.tier for made in effect.values()), key=TIERS.index) for effect, _ in effects]
        values = self.predictor.many(self.cone, [effect for effect, _ in effects])
        predicted = self._on_sheet(values) if values is not None else np.zeros((0, *self.expected.shape))
        if direct:
            predicted = np.concatenate([predicted, np.stack([value for *_, value, _ in direct])])
        tiers = [*(tiers if values is not None else ()), *(tier for _, _, tier, *_ in direct)]
        with np.errstate(all="ignore"):
            moved = np.abs(predicted - self.expected)
            away = np.where(self.written, np.abs(predicted - self.answer.values) / self.margin, 0.0)
        chances = self.differs.by_chance(moved) if len(moved) else np.zeros(0)
        self.chances = {tier: chances[[own == tier for own in tiers]] for tier in TIERS}
        furthest = away.reshape(len(away), -1).max(axis=1)
        found: list[_Fit] = []
        most = max(6, min(MOST_EXAMINED, MOST_LINES // len(self.cone)))
        for k in map(int, np.argsort(furthest, kind="stable")[:most]):
            if not furthest[k] <= NEAR:
                break
            chance = chances[k] if np.isfinite(chances[k]) else 1.0
            if k >= len(tiers) - len(direct):
                kind, says, tier, value, wider = direct[k - len(tiers) + len(direct)]
                if within(self.answer, value, self.slack * wider + rounding(value)):
                    found.append(_Fit(Cause(kind, says, tier, value), None, k, chance * wider, near=len(self.cone)))
            else:
                found += self._examined(k, chance, *effects[k])
        return found

    def _on_sheet(self, values: Array) -> Array:
        """Return predictions in the shape of the sheet; in sequences where nothing is wrong, the right numbers."""
        if self.sequences is not None:
            whole = np.array(np.broadcast_to(self.expected, (len(values), *self.expected.shape)))
            whole[:, self.sequences] = values
            return whole
        one = not (self.quantity.summed or self.quantity.total) and self.chain.batch == 1
        return values[:, 0] if one else values

    def _effects(self) -> list[tuple[Effect, list[Mistake]]]:
        """Return what mistakes do to the lines that lead to the quantity, each with the mistakes that do just that."""
        size = max(1, self.quantity.key.size) * len(self.cone)
        found = self.search.catalogue.effects(self.cone, self.search.work // size)
        self.search.work = max(MOST_WORK // 20, self.search.work - len(found) * size)
        own = self.search.expected
        if self.sequences is not None:
            own = {line.place: own[line.place][self.sequences] for line in self.cone if not line.summed}
        return [*found, *slips(self.chain, self.cone, self.off, own, self.search.unit)]

    def _direct(self) -> Iterator[tuple[str, str, str, Array, float]]:
        """Go through the numbers that a quantity has if it is not summed over the batch, or not written as it is.

        Of each the class, the words, the tier, the numbers, and by what factor those are further off than right ones.
        """
        quantity = self.quantity
        if self.chain.batch > 1 and quantity.summed:
            yield from self._without_sum()
        if self.off.any():
            written = self.expected, self.answer.values, self.off, self.answer.tolerance, self.margin, quantity.rank > 1
            for kind, says, value, wider in of_writing(*written):
                yield kind, f"{says} in {quantity.name}", ONE_ENTRY, value, wider

    def _without_sum(self) -> Iterator[tuple[str, str, str, Array, float]]:
        quantity = self.quantity
        single = self.search.unsummed(quantity)
        kind = "sum over the batch missing"
        for n, value in enumerate(single):
            yield kind, f"only sequence {n} of the batch is counted in {quantity.name}", LIKELY, value, 1.0
        says = f"the mean over the batch is taken instead of the sum in {quantity.name}"
        yield kind, says, LIKELY, single.mean(0), 1.0

    # Whether one of them gives what was written, and does not contradict what else was.

    def _examined(self, order: int, alone: float, effect: Effect, mistakes: Sequence[Mistake]) -> Iterator[_Fit]:
        """Propagate the person's rounding through a mistake, and compare it with all that it changes."""
        made = self._made(effect)
        if made is None:
            return
        value, margin = made
        near = max(n for n, line in enumerate(self.cone) if line.place in effect)
        wider = float(np.prod((margin / self.margin)[self.off]) ** (self.differs.free / max(1, self.off.sum())))
        best: _Fit | None = None
        for mistake in mistakes if len(self.search.wrong) > 1 else mistakes[:1]:
            judged = self._beyond(mistake)
            if judged is None:
                continue
            explains, others = judged
            edit = next(iter(mistake.values())).edit
            where = "" if self.sequences is None else f" (only in {self._told_sequences()})"
            cause = Cause(edit.kind, self.search.catalogue.says(mistake) + where, edit.tier, value)
            fit = _Fit(cause, mistake, order, alone * wider * others, explains, near)
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
        names = join_names(self.sequences, "and", most=MOST_NAMES)
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
