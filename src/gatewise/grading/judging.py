"""The numbers of a sheet against the equations: what is right, what follows from other numbers, what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.chain import Chain, Place, Quantity, Values, rounding
from gatewise.grading.sheet import Answer
from gatewise.grading.spreading import single
from gatewise.grading.verdicts import BLANK, CLOSE, COARSE, FOLLOWS, RIGHT, WRONG, Verdict
from gatewise.symbolic.formula import Holds, Product, Sum, nodes

# Rounding on the way moves a number by so many units of the last digit, and such a share of the line, at most: the sum
# of all that rounding may do grows without end over many steps.
MOST_UNITS, MOST_SHARE = 100, 0.05
FEWEST_CUT = 0.1  # the share of a number in one unit of its last digit, where it is cut off before other numbers are
VAGUE = 0.05  # half a unit in the last digit where fewer than two decimals are written: nothing can follow from those


class Judge:
    """Goes through the lines of a run, and keeps each as it follows from the person's own numbers.

    Parameters
    ----------
    chain : Chain
    answers : dict of str to Answer
        By the names of quantities; in their shapes, or in one that a mistake gives.
    doubted : collection of str
        Quantities whose numbers are judged, but not carried on: what follows from them is taken instead.
    """

    def __init__(self, chain: Chain, answers: Mapping[str, Answer], doubted: Collection[str] = ()) -> None:
        self.chain, self.answers, self.doubted = chain, dict(answers), doubted
        self.own = Values()
        self.expected: dict[Place, Array] = {}
        self.slack: dict[Place, Array] = {}
        self.tainted: set[Place] = set()
        self.unit = self._unit()
        self.judged = {verdict.name: verdict for verdict in self._judged()}

    def _unit(self) -> float:
        """Return how far off numbers may be that are not on the sheet: rounded like those of the coarsest line.

        What is copied or exact does not tell how somebody rounds.
        """
        coarsest = 0.0
        for name, answer in self.answers.items():
            quantity = self.chain.by_name[name]
            if (quantity.copied and not quantity.summed) or answer.values.shape != quantity.key.shape:
                continue
            rounded = np.isfinite(answer.values) & (np.abs(answer.values - quantity.key) > 1e-9)
            coarsest = max(coarsest, float(answer.tolerance[rounded].min(initial=VAGUE)) if rounded.any() else 0.0)
        return min(coarsest, VAGUE / 10)

    @property
    def wrong(self) -> list[Quantity]:
        """The wrong quantities."""
        return [self.chain.by_name[name] for name, verdict in self.judged.items() if verdict.status == WRONG]

    def _judged(self) -> Iterator[Verdict]:
        last = max((n for n, line in enumerate(self.chain.lines) if line.name in self.answers), default=-1)
        for line in self.chain.lines[: last + 1]:
            value, slack = self.chain.compute(line, self.own)
            if isinstance(line.right, (Sum, Product)):  # what goes into a line may have been rounded, too
                slack = slack + self.unit
            if not any(isinstance(node, Holds) for node in nodes(line.right)):  # a kink is a jump
                slack = np.minimum(slack, MOST_UNITS * self.unit + MOST_SHARE * np.max(np.abs(value), initial=0.0))
            self.expected[line.place], self.slack[line.place] = value, slack
            if any(maker.place in self.tainted for maker in self.chain.inputs[line.place]):
                self.tainted.add(line.place)
            answer = self.answers.get(line.name)
            if answer is None or answer.blank:
                self._keep(line, value, slack + (0.0 if line.copied else self.unit))
                if answer is not None:
                    yield Verdict(line.name, line.equation, BLANK)
                continue
            verdict = self._verdict(line, answer)
            if verdict.status in (RIGHT, CLOSE, COARSE):
                self.tainted.discard(line.place)
            elif verdict.status == WRONG and line.name not in self.doubted:
                self.tainted.add(line.place)
            yield verdict
            self._answered(line, answer, verdict)

    # One quantity.

    def _verdict(self, quantity: Quantity, answer: Answer) -> Verdict:
        name, equation, key = quantity.name, quantity.equation, quantity.key
        if answer.values.shape != key.shape:
            return Verdict(name, equation, WRONG, f"its shape is {answer.values.shape}, not {key.shape}")
        own, slack = self.follows_from(quantity)
        written = np.isfinite(answer.values)
        tolerance = answer.tolerance + rounding(key)
        off_key = np.where(written, np.abs(answer.values - key) - tolerance - single(key), -1.0)
        with np.errstate(invalid="ignore"):
            off_own = np.where(written, np.abs(answer.values - own) - tolerance - slack, -1.0)
        off_own[np.isnan(off_own)] = np.inf  # it follows from nothing that can be computed
        off = np.minimum(off_key, off_own)
        if (off <= 0).all():
            telling = written & (key != 0)
            if (off_key <= 0).all():
                large = np.abs(key) >= 0.1 * np.max(np.abs(key[telling]), initial=0)
                coarse = telling & large & (answer.tolerance >= np.abs(key))
                return Verdict(name, equation, COARSE if coarse.any() else RIGHT)
            if quantity.place in self.tainted:
                return Verdict(name, equation, FOLLOWS)
            vague = (answer.tolerance >= np.abs(answer.values)) & written & (off_key > 0)
            return Verdict(name, equation, COARSE if vague.any() else CLOSE)
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(off)), key.shape)) if key.ndim else ()
        return Verdict(
            name,
            equation,
            WRONG,
            self.chain.entry(quantity, place),
            float(answer.values[place]),
            float(key[place]),
            float(own[place]) if quantity.place in self.tainted else None,
        )

    def nearly(self, quantity: Quantity) -> bool:
        """Tell whether a wrong quantity is off by no more than where digits are cut off, here and before."""
        answer = self.answers[quantity.name]
        if answer.values.shape != quantity.key.shape:
            return False
        own, slack = self.follows_from(quantity)
        off = np.abs(answer.values - own) - 2 * (answer.tolerance + slack) - rounding(own)
        return bool((off <= 0)[np.isfinite(answer.values)].all())

    def is_towards_zero(self, quantity: Quantity) -> bool:
        """Tell whether what is written is nearer to zero than what is right, or than what follows from before."""
        answer = self.answers[quantity.name]
        own, slack = self.follows_from(quantity)
        written = np.isfinite(answer.values)
        size = np.maximum(np.abs(own) + slack, np.abs(quantity.key)) + rounding(quantity.key)
        return bool((np.abs(answer.values) <= size)[written].all())

    def follows_from(self, quantity: Quantity) -> tuple[Array, Array]:
        """Return a quantity as it follows from what is before it, and how far off that may be, in the sheet's shape."""
        return (
            self.chain.sheet(quantity, self.expected[quantity.place]),
            self.chain.sheet(quantity, self.slack[quantity.place]),
        )

    # Each quantity as it follows from the person's own numbers.

    def _keep(self, line: Quantity, value: Array, tolerance: Array | float) -> None:
        self.own.value[line.place] = value
        self.own.tolerance[line.place] = np.broadcast_to(tolerance, value.shape)

    def _answered(self, quantity: Quantity, answer: Answer, verdict: Verdict) -> None:
        """Keep what was written, and where nothing was, what follows from earlier numbers."""
        value, slack = self.expected[quantity.place], self.slack[quantity.place]
        vague = verdict.status == COARSE and (answer.tolerance >= VAGUE).any()
        if vague or quantity.name in self.doubted or answer.values.shape != quantity.key.shape:
            self._keep(quantity, value, slack + self.unit)
            return
        values, tolerance = (self.chain.whole(quantity, one) for one in (answer.values, answer.tolerance))
        key = self.chain.whole(quantity, quantity.key)
        written = np.isfinite(values)
        values, tolerance = np.where(written, values, value), np.where(written, tolerance, slack)
        # An exact number, such as a given 0.5 or the 0 of a relu, was not rounded.
        exact = (np.abs(values - value) <= 1e-12 * np.abs(value)) | ((values == 0) & (key == 0))
        self._keep(quantity, values, np.where(exact & written, np.minimum(tolerance, slack), tolerance))


def rounded_or_cut(chain: Chain, answers: Mapping[str, Answer]) -> tuple[Judge, dict[str, Answer]]:
    """Judge numbers as rounded, or, where that makes fewer of them wrong, as cut off after their last digit.

    Returns also the answers where they are cut off.
    """
    judge = Judge(chain, answers)
    if not any(judge.nearly(quantity) for quantity in judge.wrong):
        return judge, {}
    other = Judge(chain, {name: _cut(answer) for name, answer in answers.items()})
    saved = set(judge.wrong) - set(other.wrong)
    if saved and len(other.wrong) < len(judge.wrong) and all(other.is_towards_zero(one) for one in saved):
        return other, dict(answers)
    return judge, {}


def _cut(answer: Answer) -> Answer:
    """Return numbers as they may be off where their digits are cut off: not one digit beside others of several."""
    whole = 2 * answer.tolerance
    finest = np.min(answer.tolerance, initial=np.inf, where=np.isfinite(answer.values))
    cut = (answer.tolerance <= finest) | (whole <= FEWEST_CUT * np.abs(answer.values))
    return replace(answer, tolerance=np.where(cut, whole, answer.tolerance))
