"""Why is a quantity wrong? Known mistakes are made on purpose; one that gives what was written is a likely cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from gatewise.arrays import Array
from gatewise.gates import LETTERS
from gatewise.grading.chain import Chain, Quantity, Values, rounding
from gatewise.grading.mistakes import Changed, Mistake, mistakes
from gatewise.grading.sheet import Answer
from gatewise.walkthrough.parts import Equation

CHANCE = 0.002  # a cause is named if the chance that an unrelated number fits any of the mistakes tried is below this
MOST_PAIRS = 400  # of mistakes that are tried together
MOST_CAUSES = 2  # kinds of mistakes that may explain the same numbers; with more, nothing is proven
MOST_WORK, LEAST = 40_000, 100  # equations computed at most, and mistakes that are tried in any case
NEAR = 100  # times the margin of the right equation: a mistake that is further off is not examined closely


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
    """

    kind: str
    says: str
    tier: str = "likely"

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True)
class Candidate:
    """One mistake, made in some equations."""

    kind: str
    says: str
    mistake: Mistake
    names: tuple[str, ...]


class Search:
    """The search for the cause of one wrong quantity.

    Parameters
    ----------
    chain : Chain
    own : Values
        All quantities before it, as they follow from the person's own numbers.
    answers : dict of str to Answer
    quantity : Quantity
        The wrong one.
    expected, slack : array
        Its value as it follows from the person's own numbers, and how far off that may be.
    thorough : bool
        Whether to try mistakes in the equations that lead to it as well, and two mistakes at once.
    """

    def __init__(
        self,
        chain: Chain,
        own: Values,
        answers: Mapping[str, Answer],
        quantity: Quantity,
        expected: Array,
        slack: Array,
        thorough: bool = True,
    ) -> None:
        self.chain, self.own, self.answers, self.quantity = chain, own, answers, quantity
        answer = answers[quantity.name]
        self.values, self.tolerance, self.written = answer.values, answer.tolerance, np.isfinite(answer.values)
        self.margin = self.tolerance + slack + rounding(expected)
        self.away = np.abs(self.values - expected)
        self.thorough = thorough
        self.cone = self._cone(quantity) if thorough else [quantity]
        self.telling = True  # whether there are enough digits to prove anything

    def causes(self) -> list[Cause]:
        """Return the mistakes that give what was written when they are made; none where that would prove nothing."""
        candidates = list(islice(self._candidates(), max(LEAST, MOST_WORK // len(self.cone))))
        chance = self._chance(self.margin)
        if chance * (len(candidates) + self.chain.batch + 1) >= CHANCE:
            self.telling = False
            return []
        tried = len(candidates) + self.chain.batch + 1
        fitting = [one for one in candidates if self._fits([one], tried) and not self._contradicts(one)]
        found = [(one.kind, one.says) for one in fitting] + list(self._without_sum())
        if found:
            kinds = dict.fromkeys(kind for kind, _ in found)
            first = [Cause(*next(one for one in found if one[0] == kind)) for kind in kinds]
            return first if len(first) <= MOST_CAUSES else []
        single = [one for one in candidates if len(one.names) == 1]
        pairs = [(one, other) for one, other in combinations(single, 2) if one.kind != other.kind]
        if self.thorough and len(pairs) <= MOST_PAIRS and chance * len(pairs) < CHANCE:
            for one, other in pairs:
                if self._fits([one, other], len(pairs)):
                    return [Cause(one.kind, f"{one.says}, and {other.says}")]
        return []

    def _chance(self, margin: Array) -> float:
        """Return the chance that an unrelated number fits: in each entry, the margin over the distance from the truth.

        In a row of a gradient matrix only as many entries count as there are steps of sequences in its sum, in another
        vector as many as there are units: the other entries follow from those.
        """
        ratios = np.where(self.written, margin / np.maximum(self.away, margin), 1.0)
        units = self.chain.sequences[0][0].parameters.hidden_size
        if self.quantity.summed:
            free = self.chain.batch * self.chain.steps if self.quantity.key.ndim == 2 else ratios.shape[-1]
        else:
            free = units
        return float(np.prod(np.sort(ratios, axis=-1)[..., :free])) if ratios.ndim else float(ratios)

    def _fits(self, candidates: Sequence[Candidate], tried: int) -> bool:
        made = self._made(candidates, self.quantity, self.cone, slack=False)
        if made is None or (np.abs(self.values - made[0]) > NEAR * self.margin)[self.written].any():
            return False
        made = self._made(candidates, self.quantity, self.cone, slack=True)  # propagates the person's rounding
        assert made is not None
        margin = np.maximum(self.margin, self.tolerance + made[1] + rounding(made[0]))
        return (
            bool((np.abs(self.values - made[0]) <= margin)[self.written].all())
            and self._chance(margin) * tried < CHANCE
        )

    def _contradicts(self, candidate: Candidate) -> bool:
        """Return whether a mistake would make another number wrong that is right."""
        hidden = set(candidate.names) - {self.quantity.name}
        for name, answer in self.answers.items() if hidden else ():
            other = self.chain.by_name[name]
            if other is self.quantity or answer.blank or answer.values.shape != other.key.shape:
                continue
            cone = self._cone(other)
            if not hidden.intersection(one.name for one in cone):
                continue
            written = np.isfinite(answer.values)
            if (np.abs(answer.values - other.key) > answer.tolerance + rounding(other.key))[written].any():
                continue
            made = self._made([candidate], other, cone, slack=True)
            if made is not None:
                margin = answer.tolerance + made[1] + rounding(made[0])
                if (np.abs(answer.values - made[0]) > margin)[written].any():
                    return True
        return False

    def _cone(self, quantity: Quantity) -> list[Quantity]:
        """Return a quantity, last, and the quantities between it and the last numbers written."""
        wanted, found = [quantity], {quantity.name}
        while wanted:
            for maker in self.chain.inputs[wanted.pop().name]:
                answer = self.answers.get(maker.name)
                if maker.name not in found and (answer is None or answer.blank):
                    found.add(maker.name)
                    wanted.append(maker)
        return [one for one in self.chain.quantities if one.name in found]

    # The mistakes that can be made in these equations.

    def _candidates(self) -> Iterator[Candidate]:
        """Go through the known mistakes: each in one equation, at every step, in every gate, and wherever possible."""
        if "mistakes" not in self.chain.memo:
            size = self.chain.sequences[0][0].parameters.recurrent_size
            self.chain.memo["mistakes"] = tuple(mistakes(size))
        for mistake in self.chain.memo["mistakes"]:
            places = [one for one in self.cone if self._changed(mistake, one, 0) is not None]
            groups: dict[tuple[str, ...], None] = {}
            for key in (lambda one: one.name, _every_step, _every_gate, lambda _: ""):
                for name in dict.fromkeys(map(key, places)):
                    groups[tuple(one.name for one in places if key(one) == name)] = None
            for names in groups:
                yield Candidate(mistake.name, mistake.says.format(_told(names)), mistake, names)

    def _changed(self, mistake: Mistake, quantity: Quantity, sequence: int) -> Changed | None:
        key = (mistake, quantity.name, sequence)
        if key not in self.chain.memo:
            self.chain.memo[key] = mistake(quantity.equations[sequence])
        found: Changed | None = self.chain.memo[key]
        return found

    # The values that they give.

    def _made(
        self, candidates: Sequence[Candidate], target: Quantity, cone: Sequence[Quantity], slack: bool
    ) -> tuple[Array, Array] | None:
        """Return the value that mistakes in these equations give a quantity, and how far off that may be."""
        values = Values(dict(self.own.value), dict(self.own.tolerance))
        moved: set[str] = set()
        for one in cone:
            made = [candidate.mistake for candidate in candidates if one.name in candidate.names]
            inputs = self.chain.inputs[one.name]
            self._fill(inputs, values)
            known = one is not target and self._known(one, values)
            if known and not made and not any(maker.name in moved for maker in inputs):
                continue
            moved.add(one.name)

            def rewrite(equation: Equation, made: Sequence[Mistake] = made, one: Quantity = one) -> Changed | None:
                changed = self._changed(made[0], one, one.equations.index(equation))
                for mistake in made[1:]:
                    if changed is None:
                        return None
                    again = mistake(replace(equation, right=changed[0]))
                    changed = again and (again[0], {**changed[1], **again[1]})
                return changed

            computed = self.chain.compute(one, values, rewrite if made else None, slack=slack)
            if computed is None:
                return None
            together, margin = self.chain.together(one, computed)
            if together.shape != one.key.shape:
                return None
            self.chain.keep(values, one, together, margin)
            if one is target:
                return together, margin
        return None

    def _known(self, quantity: Quantity, values: Values) -> bool:
        return (quantity.symbol, quantity.at, self.chain.places(quantity)[0]) in values.value

    def _fill(self, quantities: Sequence[Quantity], values: Values) -> None:
        """Assume what is written further down the sheet than the wrong quantity."""
        for one in quantities:
            answer = self.answers.get(one.name)
            if answer is None or self._known(one, values) or answer.values.shape != one.key.shape:
                continue
            if np.isfinite(answer.values).all():
                self.chain.keep(values, one, answer.values, answer.tolerance)

    def _without_sum(self) -> Iterator[tuple[str, str]]:
        """Go through the values that a quantity has if it is not summed over the batch."""
        quantity = self.quantity
        if self.chain.batch == 1 or not quantity.summed:
            return
        parts = [quantity] if not quantity.total else [one for one in self.chain.inputs[quantity.name] if one.summed]
        computed = [self.chain.compute(one, self.own, slack=False) for one in parts]
        single = [np.asarray(sum(part[n][0] for part in computed if part)) for n in range(self.chain.batch)]
        told = f"the sum over the batch is missing from {quantity.name}: it is"
        for made, which in (
            *((made, f"that of sequence {n} alone") for n, made in enumerate(single)),
            (np.asarray(sum(single)) / len(single), "the mean"),
        ):
            if (np.abs(self.values - made) <= self.margin)[self.written].all():
                yield "sum over the batch missing", f"{told} {which}"


def _every_step(quantity: Quantity) -> str:
    return quantity.name.partition("[")[0]


def _every_gate(quantity: Quantity) -> str:
    """Return a name that the quantities of all gates have in common, such as a, da or dW."""
    symbol = quantity.symbol
    base = "gate" if symbol.base in LETTERS else symbol.base
    return f"{'d' if symbol.d else ''}{base}"


def _told(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = names if len(names) <= 4 else [*names[:3], "…", names[-1]]
    return f"each of {', '.join(shown)}"
