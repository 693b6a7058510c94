"""The verdict on each line of a sheet: right, following from earlier numbers, reversed throughout, or wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from gatewise.arrays import Array
from gatewise.grading.chain import AssumedValues, Chain, Quantity, SymbolAtStep, rounding, single_precision_error
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.sheet import ANYTHING, Asked, SheetAnswer
from gatewise.grading.verdicts import CLOSE, COARSE, FOLLOWS, INCOMPLETE, MISSING, RIGHT, WRONG, Cause, Verdict
from gatewise.margins import largest_first
from gatewise.symbolic.formula import RECURRENT, UNITS, Holds, Product, Sum, nodes

# Rounding on the way moves a number by so many units of the last digit, and such a share of the line, at most: the sum
# of all that rounding may do grows without end over many steps.
MAX_UNITS_OFF, MAX_SHARE_OFF = 100, 0.05
MIN_CUT_SHARE = 0.1  # the share of a number in one unit of its last digit, where it is cut off before other numbers are
MIN_VAGUE = (
    0.05  # half a unit in the last digit where fewer than two decimals are written: nothing can follow from those
)
MAX_HALF_UNIT_SHARE = 0.2  # of a line's largest number, that half a unit in the last digit may be
SIZE_TOLERANCE = 1e-6  # the share of a number by which rounding may tell two sizes apart, also in single precision
MIN_DECIMALS, MAX_DECIMALS = 2, 16  # of numbers whose last zeros may be padding
ROUNDED = "the rounding of earlier numbers explains the difference"
CUT_OFF = "the digits are cut off, not rounded"
PADDED = "the trailing zeros aren't real digits: you rounded earlier"
FEWER_DECIMALS = "you gave fewer decimals than the {decimals} that the sheet asks for, which {effect} the point"


class Judge:
    """Judges the lines of a run in order, and keeps each line as it follows from the person's own numbers.

    Answers are in the shapes of their quantities, or in one that a mistake gives. Numbers of doubted quantities are
    judged but not used further: their expected values are used instead.
    """

    def __init__(
        self,
        chain: Chain,
        written: Mapping[str, SheetAnswer],
        doubted: Collection[str] = (),
        *,
        cut: bool = False,
        asked: Asked = ANYTHING,
    ) -> None:
        """Judge every answer of a sheet, its digits rounded or `cut` off; the verdicts are in `judged`."""
        self.chain, self.written, self.doubted, self.cut, self.asked = chain, written, doubted, cut, asked
        self.answers = {name: _as_cut_off(answer) for name, answer in written.items()} if cut else dict(written)
        decimals = {name: _decimals(answer) for name, answer in self.answers.items() if not answer.blank}
        most = max(decimals.values(), default=0)
        self.unpadded = {  # nothing says how many zeros are padding where a sheet has no other digits
            name: _without_padding(self.answers[name], count or most) if most else self.answers[name]
            for name, count in decimals.items()
        }
        self.assumed = AssumedValues(chain.given)
        self.expected: dict[SymbolAtStep, Array] = {}
        self.slack: dict[SymbolAtStep, Array] = {}
        self.tainted: set[SymbolAtStep] = set()
        self.unit = self._rounding_unit()
        self.judged = {verdict.name: verdict for verdict in self._judge_lines()}

    def _rounding_unit(self) -> float:
        """Return the rounding error of numbers that are not on the sheet: that of its coarsest line.

        Exact numbers do not count, nor do copied and vague ones beside others. The zeros of numbers that all end in
        zeros are not digits.
        """
        units: dict[bool, list[tuple[float, float]]] = {True: [], False: []}  # of computed lines, and of copied ones
        for name, answer in self.unpadded.items():
            quantity = self.chain.by_name[name]
            if answer.values.shape == quantity.key.shape:
                off = np.abs(answer.values - quantity.key)
                rounded = np.isfinite(answer.values) & (off > self.chain.rounding(quantity.key))
                if rounded.any():
                    as_written, unpadded = (some.tolerance[rounded].min() for some in (self.answers[name], answer))
                    units[quantity.summed or not quantity.copied].append((float(as_written), float(unpadded)))
        pairs = units[True] or units[False]
        if not pairs:
            return 0.0
        coarsest = max((unit for unit, _ in pairs if unit < MIN_VAGUE), default=MIN_VAGUE)
        return min(max(coarsest, min(finest for _, finest in pairs)), MIN_VAGUE / 10)

    @property
    def wrong(self) -> list[Quantity]:
        """The wrong quantities."""
        return [self.chain.by_name[name] for name, verdict in self.judged.items() if verdict.status == WRONG]

    def _judge_lines(self) -> Iterator[Verdict]:
        """Yield the verdicts on a sheet's lines in order; each line is computed from the numbers before it."""
        last = max((n for n, line in enumerate(self.chain.lines) if line.name in self.answers), default=-1)
        for line in self.chain.lines[: last + 1]:
            value, slack = self.chain.compute(line, self.assumed)
            if isinstance(line.right, (Sum, Product)):  # what goes into a line may have been rounded, too
                slack = slack + self.unit
            if not any(isinstance(node, Holds) for node in nodes(line.right)):  # a kink is a jump
                slack = np.minimum(
                    slack, MAX_UNITS_OFF * self.unit + MAX_SHARE_OFF * np.max(np.abs(value), initial=0.0)
                )
            self.expected[line.place], self.slack[line.place] = value, slack
            if any(maker.place in self.tainted for maker in self.chain.inputs[line.place]):
                self.tainted.add(line.place)
            answer = self.answers.get(line.name)
            if answer is None or answer.blank:
                self._assume(line, value, slack + (0.0 if line.copied else self.unit))
                if answer is not None:
                    yield Verdict(line.name, line.equation, MISSING)
                continue
            verdict, unpadded = self._judge_quantity(line, answer), self.unpadded[line.name]
            if verdict.status == WRONG and (without_zeros := self._judge_quantity(line, unpadded)).status != WRONG:
                verdict, answer = without_zeros, unpadded
            if verdict.status in (RIGHT, CLOSE):
                self.tainted.discard(line.place)
            elif verdict.status == WRONG and line.name not in self.doubted:
                self.tainted.add(line.place)
            yield self._without_blanks(verdict, line, answer)
            self._assume_answer(line, answer, verdict)

    # A single quantity

    def _without_blanks(self, verdict: Verdict, line: Quantity, answer: SheetAnswer) -> Verdict:
        """Return the verdict on a line of which some entries may be blank: it is incomplete, if it is not wrong."""
        places = np.argwhere(np.isnan(answer.values))
        if not len(places) or answer.values.shape != line.key.shape:
            return verdict
        blank = tuple(self.chain.entry(line, tuple(place)) for place in places.tolist())
        if verdict.status == WRONG:
            return replace(verdict, blank=blank)
        return Verdict(verdict.name, verdict.equation, INCOMPLETE, blank=blank)

    def _judge_quantity(self, quantity: Quantity, answer: SheetAnswer) -> Verdict:
        name, equation, key = quantity.name, quantity.equation, quantity.key
        if answer.values.shape != key.shape:
            return Verdict(name, equation, WRONG, f"its shape is {answer.values.shape}, not {key.shape}")
        expected, slack = self.follows_from(quantity)
        single = single_precision_error(key)
        over_key, over_expected = (
            answer.excess(key, single + rounding(key)),
            answer.excess(expected, slack + rounding(key)),
        )
        is_right = bool((over_key <= 0).all())
        excess = np.minimum(over_key, over_expected)
        if (excess <= 0).all() and (over_key > slack + self.unit).any() and (over_expected > single + self.unit).any():
            excess = over_expected  # some entries follow, others happen to be right: the line does neither
        if (excess <= 0).all():
            follows_wrong = not is_right and quantity.place in self.tainted
            digits = answer if is_right else self.unpadded[name]
            exact = expected if follows_wrong else key
            has_fewer = self._has_fewer_decimals(digits, key, expected)
            if has_fewer and self.asked.required:
                is_padded = (self.answers[name].tolerance < digits.tolerance).any()
                reason = PADDED if is_padded else FEWER_DECIMALS.format(decimals=self.asked.decimals, effect="costs")
                return Verdict(name, equation, COARSE, reason=reason)
            is_fine = self.asked.required and self.asked.decimals is not None
            if not is_fine and _is_coarse(digits, key if is_right else expected, exact, self.chain.rounding(exact)):
                return Verdict(name, equation, COARSE)
            fewer = FEWER_DECIMALS.format(decimals=self.asked.decimals, effect="still earns") if has_fewer else ""
            if follows_wrong:
                return Verdict(name, equation, FOLLOWS, reason=fewer)
            reason = self._reason(name, key)
            return Verdict(name, equation, CLOSE if reason else RIGHT, reason=reason or fewer)
        wrong_entries = np.argwhere(excess > 0)
        worst_first = wrong_entries[largest_first(excess[excess > 0])]
        worst_entry, *other_entries = map(tuple, worst_first.tolist())
        return Verdict(
            name,
            equation,
            WRONG,
            self.chain.entry(quantity, worst_entry),
            float(answer.values[worst_entry]),
            float(key[worst_entry]),
            float(expected[worst_entry]) if quantity.place in self.tainted else None,
            others=tuple(self.chain.entry(quantity, entry) for entry in other_entries),
        )

    def _reason(self, name: str, key: Array) -> str:
        """Return why numbers that are not right as they are written are close; an empty string if they are right."""
        margin, unpadded = rounding(key) + single_precision_error(key), self.unpadded[name]
        if self.written[name].agrees(key, margin):
            return ""
        if unpadded is not self.answers[name] and unpadded.agrees(key, margin):
            return PADDED
        return CUT_OFF if self.cut and self._is_cut_off(name, key) else ROUNDED

    def _is_cut_off(self, name: str, key: Array) -> bool:
        """Return whether the written numbers are the right ones without their further digits."""
        answer, sign = self.answers[name], np.where(key < 0, -1.0, 1.0)
        left, margin = sign * (key - answer.values), rounding(key) + single_precision_error(key)
        return bool(((left >= -margin) & (left <= answer.tolerance + margin))[np.isfinite(answer.values)].all())

    def _has_fewer_decimals(self, answer: SheetAnswer, key: Array, expected: Array) -> bool:
        """Return whether a number that agrees has fewer decimals than the sheet asks for, and needs them.

        It does not need the zeros at its end, which spreadsheets and programs leave out.
        """
        if self.asked.decimals is None:
            return False
        half = 0.5 * 10.0**-self.asked.decimals
        few = answer.tolerance > (1 + SIZE_TOLERANCE) * (2 if self.cut else 1) * half
        needless = np.abs(answer.values - key) <= half + rounding(key) + single_precision_error(key)
        needless |= np.abs(answer.values - expected) <= 2 * half
        return bool((few & ~needless)[np.isfinite(answer.values)].any())

    def is_nearly_right(self, quantity: Quantity) -> bool:
        """Return whether cutting off digits, here and before, could explain a wrong quantity of a sheet."""
        answer, (expected, slack) = self.unpadded[quantity.name], self.follows_from(quantity)
        if answer.values.shape != expected.shape:
            return False
        return answer.agrees(expected, answer.tolerance + 2 * slack + rounding(expected))

    def is_towards_zero(self, quantity: Quantity) -> bool:
        """Return whether the written numbers are nearer to zero than the right or the expected ones."""
        expected, slack = self.follows_from(quantity)
        size = np.maximum(np.abs(expected) + slack, np.abs(quantity.key)) + rounding(quantity.key)
        written = self.answers[quantity.name].values
        return bool((np.abs(written) <= size)[np.isfinite(written)].all())

    def follows_from(self, quantity: Quantity) -> tuple[Array, Array]:
        """Return a quantity as it follows from the person's earlier numbers, and its tolerance, as on the sheet."""
        expected, slack = self.expected[quantity.place], self.slack[quantity.place]
        return self.chain.on_sheet(quantity, expected), self.chain.on_sheet(quantity, slack)

    # Each quantity as it follows from the person's own numbers

    def _assume(self, line: Quantity, value: Array, tolerance: Array | float) -> None:
        self.assumed.value[line.place] = value
        self.assumed.tolerance[line.place] = np.broadcast_to(tolerance, value.shape)

    def _assume_answer(self, quantity: Quantity, answer: SheetAnswer, verdict: Verdict) -> None:
        """Compute later lines from the numbers that the person wrote; for blanks, from the expected ones."""
        value, slack = self.expected[quantity.place], self.slack[quantity.place]
        vague = verdict.status == COARSE and (answer.tolerance >= MIN_VAGUE).any()
        if vague or quantity.name in self.doubted or answer.values.shape != quantity.key.shape:
            self._assume(quantity, value, slack + self.unit)
            return
        values, tolerance = (self.chain.with_batch(quantity, array) for array in (answer.values, answer.tolerance))
        key = self.chain.with_batch(quantity, quantity.key)
        written = np.isfinite(values)
        values, tolerance = np.where(written, values, value), np.where(written, tolerance, slack)
        # An exact number, such as a given 0.5 or the 0 of a relu, was not rounded.
        exact = np.abs(values - value) <= self.chain.rounding(value)
        exact |= (values == 0) & (np.abs(key) <= self.chain.rounding(key))
        self._assume(quantity, values, np.where(exact & written, np.minimum(tolerance, slack), tolerance))


def judge_rounded_or_cut(chain: Chain, answers: Mapping[str, SheetAnswer], asked: Asked = ANYTHING) -> Judge:
    """Judge a sheet's numbers as rounded, or as cut off after their last digit if that makes fewer wrong."""
    judge = Judge(chain, answers, asked=asked)
    cut_judge = Judge(chain, answers, cut=True, asked=asked) if any(map(judge.is_nearly_right, judge.wrong)) else judge
    no_longer_wrong = set(judge.wrong) - set(cut_judge.wrong)
    fewer = len(cut_judge.wrong) < len(judge.wrong)
    return cut_judge if fewer and all(map(cut_judge.is_towards_zero, no_longer_wrong)) else judge


def _is_coarse(answer: SheetAnswer, target: Array, exact: Array, rounding: Array) -> bool:
    inexact = np.isfinite(answer.values) & (np.abs(answer.values - exact) > rounding)
    size = np.where(np.isfinite(answer.values), np.maximum(np.abs(target), np.abs(answer.values)), 0.0)
    largest, tolerance = np.max(size, initial=0.0), (1 + SIZE_TOLERANCE) * answer.tolerance
    too_few = (tolerance >= MAX_HALF_UNIT_SHARE * largest) | (
        (tolerance >= size) & ((1 + SIZE_TOLERANCE) * size >= 0.1 * largest)
    )
    return bool((inexact & too_few).any())


def _as_cut_off(answer: SheetAnswer) -> SheetAnswer:
    """Return a sheet's answer with tolerances for cut-off digits, except short numbers beside longer ones."""
    full_unit = 2 * answer.tolerance
    finest = np.min(answer.tolerance, initial=np.inf, where=np.isfinite(answer.values))
    is_cut = (answer.tolerance <= finest) | (full_unit <= MIN_CUT_SHARE * np.abs(answer.values))
    return replace(answer, tolerance=np.where(is_cut, full_unit, answer.tolerance))


def _decimals(answer: SheetAnswer) -> int:
    """Return the decimals of a sheet's answer before the zeros in which all its numbers end; 0 if it is all zeros."""
    numbers = np.isfinite(answer.values) & (answer.values != 0)
    values, tolerance = answer.values[numbers], answer.tolerance[numbers]
    for decimals in range(MIN_DECIMALS, MAX_DECIMALS):
        if (np.abs(values - np.round(values, decimals)) <= tolerance / 10).all():
            return decimals if len(values) else 0
    return MAX_DECIMALS


def _without_padding(answer: SheetAnswer, decimals: int) -> SheetAnswer:
    """Return a sheet's answer with the tolerance of numbers of so many decimals, where more are written."""
    with np.errstate(divide="ignore"):
        zeros = np.round(-np.log10(2 * answer.tolerance)) - decimals
    padded = (zeros > 0) & np.isfinite(zeros)
    if not padded.any():
        return answer
    return replace(answer, tolerance=answer.tolerance * 10.0 ** np.where(padded, zeros, 0.0))


MIN_REVERSED_LINES = 2  # that must be right in the other order, before a sheet is read so


def judge_reversed(judge: Judge) -> Judge | None:
    """Return the judge of the same sheet with its units in reverse order; None if it is not written so."""
    if len(judge.wrong) < MIN_REVERSED_LINES:
        return None
    answers = {name: _reversed(judge.chain, name, answer) for name, answer in judge.written.items()}
    other = judge_rounded_or_cut(judge.chain, answers, judge.asked)
    return other if len(other.wrong) <= len(judge.wrong) - MIN_REVERSED_LINES else None


def verdicts_on_reversed(judge: Judge, explained: Mapping[str, Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts on a sheet with its units in reverse order, from those in the right order, `explained`."""
    for name, verdict in judge.judged.items():
        quantity, turned = judge.chain.by_name[name], explained[name]
        if verdict.status != WRONG:
            yield verdict
        elif turned.status != WRONG:
            axis = _unit_axis(judge.chain, quantity)
            value = quantity.key if axis is None else np.flip(quantity.key, axis)
            says = f"the units are in reverse order in {name}"
            yield replace(verdict, causes=(Cause("another unit", says, LIKELY, value, "units in reverse order"),))
        else:
            yield _as_written(judge.chain, quantity, turned)


def _unit_axis(chain: Chain, quantity: Quantity) -> int | None:
    """Return the axis of a line's numbers along its units; None if it has none."""
    is_unit = quantity.over == UNITS or (quantity.over == RECURRENT and not chain.program.form.projected)
    return quantity.key.ndim - quantity.rank if quantity.rank and is_unit else None


def _reversed(chain: Chain, name: str, answer: SheetAnswer) -> SheetAnswer:
    quantity = chain.by_name[name]
    axis = _unit_axis(chain, quantity)
    if axis is None or answer.values.shape != quantity.key.shape:
        return answer
    return replace(answer, values=np.flip(answer.values, axis), tolerance=np.flip(answer.tolerance, axis))


def _as_written(chain: Chain, quantity: Quantity, verdict: Verdict) -> Verdict:
    """Return a verdict whose entries are named as they stand on the sheet."""
    axis = _unit_axis(chain, quantity)
    if axis is None:
        return verdict
    last, names = quantity.key.shape[axis] - 1, dict[str, str]()
    for place in np.ndindex(quantity.key.shape):
        turned = (*place[:axis], last - place[axis], *place[axis + 1 :])
        names[chain.entry(quantity, place)] = chain.entry(quantity, turned)
    others, blank = (tuple(names.get(entry, entry) for entry in entries) for entries in (verdict.others, verdict.blank))
    return replace(verdict, entry=names.get(verdict.entry, verdict.entry), others=others, blank=blank)
