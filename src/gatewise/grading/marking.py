"""Answers against the equations: what is right, what follows, what is wrong first, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from gatewise import showing
from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError
from gatewise.grading import sheet as sheets
from gatewise.grading.causes import Cause, Search
from gatewise.grading.chain import ALIASES, Chain, Quantity, Values, rounding
from gatewise.grading.sheet import Answer, Fault, Sheet, single
from gatewise.render.text import clean
from gatewise.step import Step
from gatewise.symbolic.formula import Part, Stack
from gatewise.trace import Trace

RIGHT, CLOSE, FOLLOWS, WRONG, COARSE, BLANK = "right", "close", "follows", "wrong", "too coarse", "blank"
VAGUE = 0.05  # half a unit in the last digit where fewer than two decimals are written: nothing can follow from those
GIVEN = ("x", "h_prev", "c_prev", "dh", "dc_next")


@dataclass(frozen=True, eq=False)
class Verdict:
    """The verdict on one quantity.

    Attributes
    ----------
    name : str
    equation : str
        As text.
    status : {"right", "close", "follows", "wrong", "too coarse", "blank"}
        ``right`` within half a unit in the last digit; ``close`` where the rounding of earlier numbers explains the
        difference; ``follows`` where it is computed correctly from earlier numbers, one of which is wrong; ``too
        coarse`` where so few digits are written that nothing can be decided.
    entry : str
        Of a wrong quantity: the entry that is furthest off, or what is wrong with its shape.
    written, right : float or None
        That entry as it was written, and its correct value.
    expected : float or None
        The value that follows from the person's own earlier numbers, where one of those is wrong.
    causes : tuple of Cause
        Mistakes that give what was written when they are made: at most three, the likeliest first.
    more : int
        How many others do too.
    digits : int or None
        Where too few digits are written to prove a cause: how many decimals would do.
    remark : str
        What else there is to say of it.
    """

    name: str
    equation: str
    status: str
    entry: str = ""
    written: float | None = None
    right: float | None = None
    expected: float | None = None
    causes: tuple[Cause, ...] = ()
    more: int = 0
    digits: int | None = None
    remark: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the mistakes, each once."""
        return tuple(dict.fromkeys(cause.kind for cause in self.causes))


@dataclass(frozen=True, eq=False)
class Marking:
    """A marked sheet; as a string, the report.

    Attributes
    ----------
    verdicts : tuple of Verdict
        One for each quantity on the sheet, in the order in which the quantities follow from each other.
    source : str
        Where the answers come from: the file's name.
    faults : tuple of Fault
        What could not be read, and costs that line alone: no numbers, an unknown name, a wrong shape.
    """

    verdicts: tuple[Verdict, ...]
    source: str = "the answers"
    faults: tuple[Fault, ...] = ()

    @property
    def first(self) -> Verdict | None:
        """The first wrong quantity."""
        return next((one for one in self.verdicts if one.status == WRONG), None)

    @property
    def correct(self) -> bool:
        """Whether nothing is wrong."""
        return self.first is None

    def count(self, *statuses: str) -> int:
        """Return how many quantities have one of the statuses."""
        return sum(one.status in statuses for one in self.verdicts)

    @property
    def marks(self) -> int:
        """The marks: one for each quantity that is right or close, or follows correctly from earlier wrong ones."""
        return self.count(RIGHT, CLOSE, FOLLOWS)

    def render(self, format: str = "text") -> str:
        """Return the marking as text, Markdown, a web page or JSON.

        Parameters
        ----------
        format : {"text", "markdown", "html", "json"}

        Raises
        ------
        OptionError
            If there is no such format.
        """
        return showing.show(self, format)

    def __str__(self) -> str:
        return self.render()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return showing.inline(self)


def check(
    answers: Mapping[str, npt.ArrayLike] | str | os.PathLike[str] | Sheet,
    thing: Step | Sequence[Step] | Trace | Chain,
    *,
    dh: npt.ArrayLike | None = None,
    dc: npt.ArrayLike | None = None,
    digits: int | None = None,
) -> Marking:
    """Compare numbers worked out by hand with a run, quantity by quantity, and name the first mistake.

    (`gatewise.verify` compares an LSTM with the answers of another runtime.)

    Parameters
    ----------
    answers : mapping of str to array, or path
        Any of the quantities of `gatewise.walk` under the names that it prints (``f`` or ``forget_gate``, ``a_f``,
        ``c``, ``dW_f``, …; with several steps ``f[1]``), or a .json, .csv or .npz file of them. NaN stands for a blank.
    thing : Step, sequence of Step, or Trace
        What they are compared with; a trace stands for all sequences of its batch, in arrays (batch, ·).
    dh, dc : array, optional
        The gradients of the loss with respect to the final states, as for `gatewise.walk`.
    digits : int, optional
        To how many decimals the numbers of a mapping are rounded; by default as many as it takes to write them.

    Returns
    -------
    Marking

    Raises
    ------
    FileError
        If a file cannot be read, or has a quantity that does not exist or has the wrong size.

    Notes
    -----
    A number is right within half a unit in its last digit. If it is not, but is what its equation gives for the
    person's own earlier numbers (allowing for their rounding), it follows from an earlier mistake. Otherwise it is
    wrong. Then the known mistakes are made on purpose, one by one, in its equation and in those that lead to it from
    the last numbers written. A mistake is named if it gives what was written, in all entries and allowing for rounding;
    if it does not contradict another number that is right; and if the chance that an unrelated number would fit any of
    the mistakes tried is below 0.2 %. The search is thorough for the first wrong quantity; for later ones it only tries
    mistakes in their own equations. It takes milliseconds for a step, and seconds for a sheet that omits most of many
    steps.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> marking = check({"f": [0.4934, 0.4975], "c": [0.0968, 0.1408], "h": [0.0988, 0.1450]}, step)
    >>> marking.first.name, str(marking.first.causes[0])
    ('h', 'h comes from the old cell state')
    """
    chain = thing if isinstance(thing, Chain) else Chain(thing, dh, dc)
    if isinstance(answers, Sheet):
        sheet = answers
    elif isinstance(answers, Mapping):
        sheet = sheets.of_mapping(answers, digits)
    elif isinstance(answers, (str, os.PathLike)):
        sheet = sheets.read(answers)
    else:
        raise OptionError(f"answers must be arrays by name or the path of a sheet, not {type(answers).__name__}")
    return Marking(tuple(_Marker(chain, sheet).verdicts()), sheet.source, sheet.faults)


class _Marker:
    """Goes through the quantities of a run, and keeps each as it follows from the person's own numbers."""

    def __init__(self, chain: Chain, sheet: Sheet) -> None:
        self.chain, self.sheet = chain, sheet
        self.answers = {quantity.name: fitted for quantity, fitted in self._matched()}
        self.own = Values()
        self.tainted: set[str] = set()
        self.searched = False
        written = [answer.tolerance[np.isfinite(answer.values)].reshape(-1) for answer in self.answers.values()]
        everything = np.concatenate([*written, np.zeros(0)])
        self.unit = float(everything[everything > 0].min(initial=1.0)) if everything.any() else 0.0

    def verdicts(self) -> Iterator[Verdict]:
        last = max((n for n, q in enumerate(self.chain.quantities) if q.name in self.answers), default=-1)
        for quantity in self.chain.quantities[: last + 1]:
            answer = self.answers.get(quantity.name)
            computed = self.chain.compute(quantity, self.own)
            assert computed is not None, quantity.name
            own, slack = self.chain.together(quantity, computed)
            if any(maker.name in self.tainted for maker in self.chain.inputs[quantity.name]):
                self.tainted.add(quantity.name)
            if answer is None or answer.blank:
                self.chain.keep(self.own, quantity, own, slack + self._unwritten(quantity, own))
                if answer is not None:
                    yield Verdict(quantity.name, quantity.equation, BLANK)
                continue
            verdict = self._verdict(quantity, answer, own, slack)
            if verdict.status in (RIGHT, CLOSE, COARSE):
                self.tainted.discard(quantity.name)
            elif verdict.status == WRONG:
                self.tainted.add(quantity.name)
            yield verdict
            kept = self.answers[quantity.name]
            vague = verdict.status == COARSE and (kept.tolerance >= VAGUE).any()
            if vague or kept.values.shape != quantity.key.shape:
                self.chain.keep(self.own, quantity, own, slack)
            else:
                self._answered(quantity, kept, own, slack)

    def _unwritten(self, quantity: Quantity, own: Array) -> Array | float:
        """Return how a number that is not on the sheet may have been rounded: like those that are on it."""
        if isinstance(quantity.equations[0].right, (Stack, Part)):  # copied, not computed
            return 0.0
        return single(own) if self.sheet.single else self.unit

    # What the sheet says.

    def _matched(self) -> Iterator[tuple[Quantity, Answer]]:
        found: dict[str, str] = {}
        for name, answer in self.sheet.answers.items():
            quantity = self.chain.named(name)
            where = f"{self.sheet.source}: {answer.place}" if answer.place.startswith("line") else self.sheet.source
            if quantity is None:
                raise FileError(f"{where}: {self._unknown(clean(name))}")
            if quantity.name in found:
                raise FileError(f"{where}: {name!r} and {found[quantity.name]!r} are the same quantity")
            found[quantity.name] = name
            yield quantity, self._fitted(quantity, name, answer, where)

    def _unknown(self, name: str) -> str:
        names, shown = list(self.chain.by_name), name if len(name) <= 40 else f"{name[:40]}…"
        if name.partition("[")[0] in GIVEN or name[:2] in ("W_", "b_"):
            return f"{shown!r} is given, not asked"
        close = get_close_matches(shown, [*names, *ALIASES], 1, 0.6)
        if close:
            return f"there is no quantity {shown!r}; did you mean {close[0]!r}?"
        allowed = names if len(names) <= 24 else [*names[:20], "…", names[-1]]
        return f"there is no quantity {shown!r}; allowed: {', '.join(allowed)}"

    def _fitted(self, quantity: Quantity, name: str, answer: Answer, where: str) -> Answer:
        """Return an answer in its quantity's shape: a column may be written as a row, and blanks may be omitted."""
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
            unsummed = quantity.summed and values.shape == (self.chain.batch, *shape)
            if not turned and not unsummed:
                raise FileError(f"{where}: {name!r} has shape {values.shape}; it must be {shape}")
        return Answer(values, tolerance, answer.place)

    # One quantity.

    def _verdict(self, quantity: Quantity, answer: Answer, own: Array, slack: Array) -> Verdict:
        name, equation, key = quantity.name, quantity.equation, quantity.key
        if answer.values.shape != key.shape:
            return self._misshapen(quantity, answer, own, slack)
        written = np.isfinite(answer.values)
        tolerance = answer.tolerance + rounding(key)
        off_key = np.where(written, np.abs(answer.values - key) - tolerance, -1.0)
        off_own = np.where(written, np.abs(answer.values - own) - tolerance - slack, -1.0)
        off = np.minimum(off_key, off_own)
        if (off <= 0).all():
            telling = written & (key != 0)
            if (off_key <= 0).all():
                large = np.abs(key) >= 0.1 * np.max(np.abs(key[telling]), initial=0)
                coarse = telling & large & (answer.tolerance >= np.abs(key))
                return Verdict(name, equation, COARSE if coarse.any() else RIGHT)
            if name in self.tainted:
                return Verdict(name, equation, FOLLOWS)
            vague = (answer.tolerance >= np.abs(answer.values)) & written & (off_key > 0)
            return Verdict(name, equation, COARSE if vague.any() else CLOSE)
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(off)), key.shape)) if key.ndim else ()
        search = Search(self.chain, self.own, self.answers, quantity, own, slack, thorough=not self.searched)
        self.searched = True
        found = search.causes()
        return Verdict(
            name,
            equation,
            WRONG,
            self._entry(quantity, place),
            float(answer.values[place]),
            float(key[place]),
            float(own[place]) if name in self.tainted else None,
            tuple(found),
            digits=None if search.telling else 9,
        )

    def _misshapen(self, quantity: Quantity, answer: Answer, own: Array, slack: Array) -> Verdict:
        """Judge numbers that are transposed, or gradients not summed over the batch, as if that had been done."""
        name, equation = quantity.name, quantity.equation
        shape = f"its shape is {answer.values.shape}, not {quantity.key.shape}"
        if quantity.summed and answer.values.shape == (self.chain.batch, *quantity.key.shape):
            mended = Answer(answer.values.sum(0), answer.tolerance.sum(0), answer.place)
            cause = ("sum over the batch missing", f"the sum over the batch is missing from {name}")
        else:
            mended = Answer(answer.values.T, answer.tolerance.T, answer.place)
            matrix = quantity.summed and quantity.symbol.base in "WUR"
            said = f"{name} is transposed" if matrix else f"the rows and columns of {name} are swapped"
            cause = ("transposed weights" if matrix else "rows and columns swapped", said)
        self.answers[name] = mended
        judged = self._verdict(quantity, mended, own, slack)
        if judged.status == WRONG:
            return judged
        return Verdict(name, equation, WRONG, shape, None, None, None, (Cause(*cause),))

    def _entry(self, quantity: Quantity, place: tuple[int, ...]) -> str:
        """Say which entry of a quantity it is."""
        equation = quantity.equations[0]
        names = []
        if self.chain.batch > 1 and not quantity.summed and not quantity.total:
            names.append(f"sequence {place[0]}")
            place = place[1:]
        for over, k in zip((equation.over, equation.across), place, strict=False):
            names.append(self.chain.names[over][k])
        return ", ".join(names)

    # Each quantity as it follows from the person's own numbers.

    def _answered(self, quantity: Quantity, answer: Answer, own: Array, slack: Array) -> None:
        """Keep what was written, and where nothing was, what follows from earlier numbers."""
        written = np.isfinite(answer.values)
        values, tolerance = np.where(written, answer.values, own), np.where(written, answer.tolerance, slack)
        # An exact number, such as a given 0.5 or the 0 of a relu, was not rounded.
        exact = ((slack == 0) & (np.abs(values - own) <= 1e-12 * np.abs(own))) | ((values == 0) & (quantity.key == 0))
        self.chain.keep(self.own, quantity, values, np.where(exact, 0.0, tolerance))
