"""Answers against the equations: what is right, what follows, what is wrong first, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.step import Step
from gatewise.trace import Trace
from gatewise.views.checking import sheet as sheets
from gatewise.views.checking.chain import Chain, Quantity, Values
from gatewise.views.checking.mistakes import Mistake, mistakes
from gatewise.views.checking.sheet import Answer, Sheet
from gatewise.views.walkthrough.formula import Symbol, nodes

RIGHT, FOLLOWS, WRONG, COARSE, BLANK = "right", "follows", "wrong", "too coarse", "blank"
CHANCE = 0.002  # a cause is named when an unrelated number would fit one of all mistakes tried less often than this
MOST_PAIRS = 400  # of mistakes tried together
SLACK = 1e-9  # of a number, for the rounding of doubles


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is to be said of one quantity.

    Attributes
    ----------
    name : str
    status : {"right", "follows", "wrong", "too coarse", "blank"}
        It follows where it is what the equation makes of the numbers before it, of which one is wrong; it is too coarse
        where so few digits are written that they tell nothing.
    entry : str
        Of a wrong one: which of its entries is the furthest off.
    written, right : float or None
        That entry, and what it is.
    expected : float or None
        What the equation makes of the person's own numbers before it, where one of those is wrong.
    causes : tuple of str
        The mistakes that, made again, give exactly what was written, in words.
    classes : tuple of str
        What they are called.
    """

    name: str
    status: str
    entry: str = ""
    written: float | None = None
    right: float | None = None
    expected: float | None = None
    causes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Marking:
    """A marked sheet. Printed, it is text.

    Attributes
    ----------
    verdicts : tuple of Verdict
        Of all that is on the sheet, in the order in which the quantities follow from each other.
    source : str
    """

    verdicts: tuple[Verdict, ...]
    source: str = "the answers"

    @property
    def first(self) -> Verdict | None:
        """The first wrong quantity."""
        return next((one for one in self.verdicts if one.status == WRONG), None)

    @property
    def correct(self) -> bool:
        """Whether nothing is wrong."""
        return self.first is None

    def count(self, *statuses: str) -> int:
        """Return how many quantities have one of these statuses."""
        return sum(one.status in statuses for one in self.verdicts)

    @property
    def marks(self) -> int:
        """One for each quantity that is right, or follows correctly from what was wrong before it."""
        return self.count(RIGHT, FOLLOWS)

    def __str__(self) -> str:
        from gatewise.views.checking import report

        return report.text(self)

    __repr__ = __str__


def check(
    answers: Mapping[str, npt.ArrayLike] | str | os.PathLike[str] | Sheet,
    thing: Step | Sequence[Step] | Trace | Chain,
    *,
    dh: npt.ArrayLike | None = None,
    dc: npt.ArrayLike | None = None,
    digits: int | None = None,
) -> Marking:
    """Compare a person's own numbers with a run, quantity by quantity, and say which mistake was made first.

    Parameters
    ----------
    answers : mapping of str to array, or path
        Any of the quantities of `gatewise.walk` by the names that it prints (``f`` or ``forget_gate``, ``a_f``, ``c``,
        ``dW_f``, …; over several steps ``f[1]``), or a .json, .csv or .npz file of them. NaN stands for a blank.
    thing : Step, sequence of Step, or Trace
        What they are compared with; of a trace, every row, in arrays (batch, ·).
    dh, dc : array, optional
        The derivatives by the last states, as for `gatewise.walk`.
    digits : int, optional
        To how many decimals a mapping's numbers are rounded; by default as many as they need to be written.

    Returns
    -------
    Marking

    Raises
    ------
    FileError
        If a file cannot be read, or names a quantity that there is not, or one of another size.

    Notes
    -----
    A number is right within half of its last digit. One that is not, but is what its equation makes of the person's own
    numbers before it (within what their rounding does to it), follows from an earlier mistake. Otherwise it is wrong,
    and the known mistakes are made on purpose, one by one, in its equation and in those that lead to it from the last
    numbers written; a mistake is named if it gives what was written, in all entries, and if the chance that an
    unrelated number would fit any of those tried is below 0.2 %.

    Examples
    --------
    >>> cell = gw.LSTMCell.random(3, 2, init="notebook", scale=0.01, seed=1010)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> marking = check({"f": [0.4934, 0.4975], "c": [0.0968, 0.1408], "h": [0.0988, 0.1450]}, step)
    >>> marking.first.name, marking.first.causes
    ('h', ('h comes from the old cell state',))
    """
    chain = thing if isinstance(thing, Chain) else Chain(thing, dh, dc)
    if isinstance(answers, Sheet):
        sheet = answers
    elif isinstance(answers, Mapping):
        sheet = sheets.of_mapping(answers, digits)
    else:
        sheet = sheets.read(answers)
    return Marking(tuple(_Marker(chain, sheet).verdicts()), sheet.source)


class _Marker:
    """Goes through the quantities of a run, keeping what the person's own numbers make of each."""

    def __init__(self, chain: Chain, sheet: Sheet) -> None:
        self.chain, self.sheet = chain, sheet
        self.answers = {quantity.name: fitted for quantity, fitted in self._matched()}
        self.own = Values()
        self.tainted: set[str] = set()
        self.known = tuple(mistakes(chain.rows[0][0].parameters.recurrent_size))

    def verdicts(self) -> Iterator[Verdict]:
        last = max((n for n, q in enumerate(self.chain.quantities) if q.name in self.answers), default=-1)
        for quantity in self.chain.quantities[: last + 1]:
            answer = self.answers.get(quantity.name)
            computed = self.chain.compute(quantity, self.own)
            assert computed is not None, quantity.name
            own, slack = self._together(quantity, computed)
            if any(maker.name in self.tainted for maker in self._inputs(quantity)):
                self.tainted.add(quantity.name)
            if answer is None or answer.blank:
                self._keep(quantity, computed, own, slack)
                if answer is not None:
                    yield Verdict(quantity.name, BLANK)
                continue
            verdict = self._verdict(quantity, answer, own, slack)
            if verdict.status == RIGHT:
                self.tainted.discard(quantity.name)
            elif verdict.status == WRONG:
                self.tainted.add(quantity.name)
            yield verdict
            self._answered(quantity, answer, computed, own, slack)

    # What the sheet says.

    def _matched(self) -> Iterator[tuple[Quantity, Answer]]:
        found: dict[str, str] = {}
        for name, answer in self.sheet.answers.items():
            quantity = self.chain.named(name)
            where = f"{self.sheet.source}: {answer.place}" if answer.place.startswith("line") else self.sheet.source
            if quantity is None:
                raise FileError(f"{where}: there is no quantity {name!r}{self._instead(name)}")
            if quantity.name in found:
                raise FileError(f"{where}: {name!r} and {found[quantity.name]!r} are the same quantity")
            found[quantity.name] = name
            yield quantity, self._fitted(quantity, name, answer, where)

    def _instead(self, name: str) -> str:
        names = list(self.chain.by_name)
        close = get_close_matches(name, names, 1, 0.6)
        if close:
            return f"; did you mean {close[0]!r}?"
        shown = names if len(names) <= 24 else [*names[:20], "…", names[-1]]
        return f"; allowed: {', '.join(shown)}"

    def _fitted(self, quantity: Quantity, name: str, answer: Answer, where: str) -> Answer:
        """Return an answer in its quantity's shape: a column may be written as a row, and blanks may be left away."""
        shape, values, tolerance = quantity.key.shape, answer.values, answer.tolerance
        if answer.blank:
            return Answer(np.full(shape, np.nan), np.zeros(shape), answer.place)
        while values.ndim and values.shape[-1] > (shape[-1] if shape else 1) and np.isnan(values[..., -1]).all():
            values, tolerance = values[..., :-1], tolerance[..., :-1]
        vector = values.ndim == 2 and 1 in values.shape and len(shape) == 1
        if values.shape != shape and values.size == quantity.key.size and (vector or not shape or not values.ndim):
            values, tolerance = values.reshape(shape), tolerance.reshape(shape)
        if values.shape != shape:
            turned = values.ndim == 2 and values.shape[::-1] == shape and np.isfinite(values).all()
            rows = quantity.summed and values.shape == (self.chain.batch, *shape)
            if not turned and not rows:
                raise FileError(f"{where}: {name!r} has shape {values.shape}; it must be {shape}")
        return Answer(values, tolerance, answer.place)

    # One quantity.

    def _verdict(self, quantity: Quantity, answer: Answer, own: Array, slack: Array) -> Verdict:
        name, key = quantity.name, quantity.key
        if answer.values.shape != key.shape:
            return self._misshapen(quantity, answer)
        written = np.isfinite(answer.values)
        tolerance = answer.tolerance + SLACK * (np.abs(key) + 1e-3)
        off_key = np.where(written, np.abs(answer.values - key) - tolerance, -1.0)
        off_own = np.where(written, np.abs(answer.values - own) - tolerance - slack, -1.0)
        if (off_key <= 0).all() or (off_own <= 0).all():
            follows = (off_key > 0).any() and name in self.tainted
            coarse = written & (key != 0) & (answer.tolerance >= np.abs(key))
            if follows or not (coarse | (key == 0))[written].all() or not coarse.any():
                return Verdict(name, FOLLOWS if follows else RIGHT)
            return Verdict(name, COARSE)
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(off_own)), key.shape)) if key.ndim else ()
        found = list(self._causes(quantity, answer, own, slack, written))
        return Verdict(
            name,
            WRONG,
            self._entry(quantity, place),
            float(answer.values[place]),
            float(key[place]),
            float(own[place]) if name in self.tainted else None,
            tuple(dict.fromkeys(says for _, says in found)),
            tuple(dict.fromkeys(kind for kind, _ in found)),
        )

    def _misshapen(self, quantity: Quantity, answer: Answer) -> Verdict:
        """Judge a matrix that lies on its side, or the gradients of rows that were not summed."""
        name, key, values = quantity.name, quantity.key, answer.values
        if quantity.summed and values.shape == (self.chain.batch, *key.shape):
            close = np.abs(values.sum(0) - key) <= answer.tolerance.sum(0) + SLACK
            cause = ("sum over the batch missing", f"the sum over the batch is missing from {name}")
        else:
            close = np.abs(values.T - key) <= answer.tolerance.T + SLACK
            cause = ("transposed weights", f"{name} is transposed")
        causes = ((cause[1],), (cause[0],)) if close.all() else ((), ())
        return Verdict(name, WRONG, f"its shape, {values.shape} for {key.shape}", None, None, None, *causes)

    def _entry(self, quantity: Quantity, place: tuple[int, ...]) -> str:
        """Say which entry of a quantity it is."""
        equation = quantity.equations[0]
        names = []
        if self.chain.batch > 1 and not quantity.summed and not quantity.total:
            names.append(f"row {place[0]}")
            place = place[1:]
        for over, k in zip((equation.over, equation.across), place, strict=False):
            names.append(self.chain.names[over][k])
        return ", ".join(names)

    # Why.

    def _causes(
        self, quantity: Quantity, answer: Answer, own: Array, slack: Array, written: Any
    ) -> Iterator[tuple[str, str]]:
        """Go through the mistakes that, made again, give what was written; only where that proves something."""
        cone = self._cone(quantity)
        candidates = list(self._candidates(cone))
        room = answer.tolerance + slack + SLACK * (np.abs(own) + 1e-3)
        away = np.maximum(np.abs(answer.values - own), room)
        # How likely would an unrelated number fit? In each entry, as likely as the room is in the distance moved.
        chance = float(np.prod(np.where(written, room / away, 1.0)))

        def fits(made: Array | None) -> bool:
            return made is not None and bool((np.abs(answer.values - made) <= room)[written].all())

        if chance * (len(candidates) + 1) < CHANCE:
            tried = [(kind, says, fits(self._made(quantity, cone, changes))) for kind, says, changes in candidates]
            tried += [(kind, says, fits(made)) for kind, says, made in self._without_rows(quantity, cone)]
            found = [(kind, says) for kind, says, fit in tried if fit]
            if found:
                yield found[0]
                yield from (one for one in found[1:] if one[0] != found[0][0])
                return
        pairs = [
            (one, other)
            for one, other in combinations(candidates, 2)
            if one[0] != other[0] and len(one[2]) == len(other[2]) == 1
        ]
        if len(pairs) > MOST_PAIRS or chance * len(pairs) >= CHANCE:
            return
        for one, other in pairs:
            changes = {name: [*one[2].get(name, []), *other[2].get(name, [])] for name in {**one[2], **other[2]}}
            if fits(self._made(quantity, cone, changes)):
                yield one[0], f"{one[1]}, and {other[1]}"
                return

    def _cone(self, quantity: Quantity) -> list[Quantity]:
        """Return the quantities that lead to one from the last numbers written, itself last."""
        wanted, found = [quantity], {quantity.name}
        while wanted:
            for maker in self._inputs(wanted.pop()):
                answer = self.answers.get(maker.name)
                if maker.name not in found and (answer is None or answer.blank):
                    found.add(maker.name)
                    wanted.append(maker)
        return [one for one in self.chain.quantities if one.name in found]

    def _inputs(self, quantity: Quantity) -> Iterator[Quantity]:
        """Go through the quantities that an equation takes."""
        for symbol in dict.fromkeys(node for node in nodes(quantity.equations[0].right) if isinstance(node, Symbol)):
            maker = self.chain.maker(symbol, quantity.at)
            if maker is not None:
                yield maker

    def _candidates(self, cone: Sequence[Quantity]) -> Iterator[tuple[str, str, dict[str, list[Mistake]]]]:
        """Go through the known mistakes, each made in one equation, or in all where it can be made."""
        for mistake in self.known:
            places = [one.name for one in cone if mistake(one.equations[0]) is not None]
            for name in places:
                yield mistake.name, mistake.says.format(name), {name: [mistake]}
            if len(places) > 1:
                everywhere = mistake.says.format("every equation of its kind")
                yield mistake.name, everywhere, {name: [mistake] for name in places}

    def _made(
        self, quantity: Quantity, cone: Sequence[Quantity], changes: Mapping[str, Sequence[Mistake]]
    ) -> Array | None:
        """Return a quantity as some mistakes in the equations that lead to it make it."""
        values = Values(dict(self.own.value), dict(self.own.tolerance))
        begun = False
        for one in cone:
            made = changes.get(one.name, ())
            begun = begun or bool(made)
            if not begun:
                continue

            def rewrite(equation: Any, made: Sequence[Mistake] = made) -> Any:
                formula: Any = equation.right
                extra: dict[Symbol, Any] = {}
                for mistake in made:
                    changed = mistake(replace(equation, right=formula))
                    if changed is None:
                        return None
                    formula, extra = changed[0], extra | dict(changed[1])
                return formula, extra

            computed = self.chain.compute(one, values, rewrite if made else None, slack=False)
            if computed is None:
                return None
            together, slack = self._together(one, computed)
            if together.shape != one.key.shape:
                return None
            if one is quantity:
                return together
            self._keep(one, computed, together, slack, values)
        return None

    def _without_rows(self, quantity: Quantity, cone: Sequence[Quantity]) -> Iterator[tuple[str, str, Array]]:
        """Go through what a sum over the batch is when it is not taken."""
        if self.chain.batch == 1 or not (quantity.summed or quantity.total):
            return
        kind = "sum over the batch missing"
        parts = [self.chain.compute(one, self.own, slack=False) for one in cone if one.summed and not one.total]
        if quantity.total and len(parts) != self.chain.steps:
            return
        for row in range(self.chain.batch):
            shares = [part[row][0] for part in parts if part is not None]
            yield kind, f"the sum over the batch is missing from {quantity.name}: it is row {row} alone", sum(shares)
        whole = self._together(quantity, self.chain.compute(quantity, self.own, slack=False) or [])[0]
        yield kind, f"{quantity.name} is the mean over the batch, not the sum", whole / self.chain.batch

    # What the person's own numbers make of each quantity.

    def _together(self, quantity: Quantity, computed: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        """Return the rows of a quantity as one array: summed, stacked, or the only one."""
        values, slacks = ([one[n] for one in computed] for n in (0, 1))
        if quantity.summed or quantity.total:
            return np.asarray(sum(values)), np.asarray(sum(slacks))
        if self.chain.batch == 1:
            return values[0], slacks[0]
        return np.stack(values), np.stack(slacks)

    def _answered(self, quantity: Quantity, answer: Answer, computed: Any, own: Array, slack: Array) -> None:
        """Keep what was written, and where nothing was, what follows from the numbers before."""
        if answer.values.shape != quantity.key.shape:
            self._keep(quantity, computed, own, slack)
            return
        written = np.isfinite(answer.values)
        values, tolerance = np.where(written, answer.values, own), np.where(written, answer.tolerance, slack)
        rows = [(values, tolerance)]
        if self.chain.batch > 1 and not quantity.summed and not quantity.total:
            rows = list(zip(values, tolerance, strict=True))
        self._keep(quantity, rows, values, tolerance)

    def _keep(self, quantity: Quantity, rows: Any, together: Array, slack: Array, values: Values | None = None) -> None:
        kept = self.own if values is None else values
        if quantity.summed or quantity.total:
            rows, places = [(together, slack)], list[int | None]([None])
        else:
            places = self.chain.places(quantity)
        for row, (value, tolerance) in zip(places, rows, strict=True):
            kept.value[quantity.symbol, quantity.at, row] = value
            kept.tolerance[quantity.symbol, quantity.at, row] = tolerance
