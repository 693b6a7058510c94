"""Answers against the equations: what is right, what follows, what is wrong first, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gatewise import showing
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.grading import names
from gatewise.grading import sheet as sheets
from gatewise.grading.causes import Cause, Search
from gatewise.grading.chain import Chain, Place, Quantity, Values, rounding
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.sheet import Answer, Fault, Sheet
from gatewise.grading.spreading import single
from gatewise.render.text import clean
from gatewise.step import Step
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
        """Whether nothing is wrong, and everything could be read."""
        return self.first is None and not self.faults

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
    found, faults = _matched(chain, sheet)
    marker, cut = _rounded_or_cut(chain, found)
    verdicts = tuple(_explained(marker, cut))
    return Marking(verdicts, sheet.source, tuple(faults))


def _rounded_or_cut(chain: Chain, answers: Mapping[str, Answer]) -> tuple[_Marker, dict[str, Answer]]:
    """Judge numbers as rounded, or, where that makes fewer of them wrong, as cut off after their last digit.

    Returns also the answers where they are cut off.
    """
    marker = _Marker(chain, answers)
    if not any(marker.nearly(quantity) for quantity in marker.wrong):
        return marker, {}
    whole = {name: replace(answer, tolerance=2 * answer.tolerance) for name, answer in answers.items()}
    other = _Marker(chain, whole)
    saved = set(marker.wrong) - set(other.wrong)
    if saved and len(other.wrong) < len(marker.wrong) and all(other.is_towards_zero(one) for one in saved):
        return other, dict(answers)
    return marker, {}


def _explained(marker: _Marker, cut: Mapping[str, Answer]) -> Iterator[Verdict]:
    """Go through the verdicts, with the causes of what is wrong."""
    wrong = marker.wrong
    search = Search(marker.chain, marker.own, marker.expected, marker.answers, {one.name for one in wrong}, marker.unit)
    for name, verdict in marker.judged.items():
        quantity = marker.chain.by_name[name]
        answer = marker.answers[name]
        if verdict.status == CLOSE and name in cut and _is_cut(quantity, cut[name]):
            yield replace(verdict, remark="its digits are cut off, not rounded")
        elif verdict.status != WRONG:
            yield verdict
        elif answer.values.shape == quantity.key.shape:
            found = search.causes(quantity, answer, *marker.follows_from(quantity))
            yield replace(verdict, causes=found.causes, more=found.more, digits=found.digits)
        else:
            yield _misshapen(marker, search, quantity, verdict)


def _is_cut(quantity: Quantity, answer: Answer) -> bool:
    written = np.isfinite(answer.values)
    off = np.abs(answer.values - quantity.key) > answer.tolerance + rounding(quantity.key)
    return bool(off[written].any())


def _misshapen(marker: _Marker, search: Search, quantity: Quantity, verdict: Verdict) -> Verdict:
    """Find the cause of another shape: a mistake that gives it, a missing sum over the batch, or rows for columns."""
    chain, name, answer = marker.chain, quantity.name, marker.answers[quantity.name]
    found = search.of_shape(quantity, answer)
    if found.causes:
        return replace(verdict, causes=found.causes, more=found.more)
    if quantity.summed and answer.values.shape == (chain.batch, *quantity.key.shape):
        mended = replace(answer, values=answer.values.sum(0), tolerance=answer.tolerance.sum(0))
        cause = Cause("sum over the batch missing", f"the sum over the batch is missing from {name}", LIKELY)
    else:
        mended = replace(answer, values=answer.values.T, tolerance=answer.tolerance.T)
        cause = Cause("rows and columns exchanged", f"the rows and columns of {name} are exchanged", LIKELY)
    judged = _Marker(chain, {**marker.answers, name: mended}).judged[name]
    return replace(verdict, causes=(cause,)) if judged.status != WRONG else judged


class _Marker:
    """Goes through the lines of a run, and keeps each as it follows from the person's own numbers.

    Parameters
    ----------
    chain : Chain
    answers : dict of str to Answer
        By the names of quantities; in their shapes, or in one that a mistake gives.
    """

    def __init__(self, chain: Chain, answers: Mapping[str, Answer]) -> None:
        self.chain, self.answers = chain, dict(answers)
        self.own = Values()
        self.expected: dict[Place, Array] = {}
        self.slack: dict[Place, Array] = {}
        self.tainted: set[Place] = set()
        written = [answer.tolerance[np.isfinite(answer.values)].reshape(-1) for answer in self.answers.values()]
        everything = np.concatenate([*written, np.zeros(0)])
        self.unit = float(everything[everything > 0].min(initial=1.0)) if everything.any() else 0.0
        self.judged = {verdict.name: verdict for verdict in self._judged()}

    @property
    def wrong(self) -> list[Quantity]:
        """The wrong quantities."""
        return [self.chain.by_name[name] for name, verdict in self.judged.items() if verdict.status == WRONG]

    def _judged(self) -> Iterator[Verdict]:
        last = max((n for n, line in enumerate(self.chain.lines) if line.name in self.answers), default=-1)
        for line in self.chain.lines[: last + 1]:
            value, slack = self.chain.compute(line, self.own)
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
            elif verdict.status == WRONG:
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
        off_own = np.where(written, np.abs(answer.values - own) - tolerance - slack, -1.0)
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
        """Tell whether a wrong quantity is off by less than one unit of the last digit."""
        answer = self.answers[quantity.name]
        if answer.values.shape != quantity.key.shape:
            return False
        own, slack = self.follows_from(quantity)
        off = np.abs(answer.values - own) - 2 * answer.tolerance - slack - rounding(own)
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
        if vague or answer.values.shape != quantity.key.shape:
            self._keep(quantity, value, slack)
            return
        values, tolerance = (self.chain.whole(quantity, one) for one in (answer.values, answer.tolerance))
        key = self.chain.whole(quantity, quantity.key)
        written = np.isfinite(values)
        values, tolerance = np.where(written, values, value), np.where(written, tolerance, slack)
        # An exact number, such as a given 0.5 or the 0 of a relu, was not rounded.
        exact = (np.abs(values - value) <= 1e-12 * np.abs(value)) | ((values == 0) & (key == 0))
        self._keep(quantity, values, np.where(exact & written, np.minimum(tolerance, slack), tolerance))


# What a sheet says.


def _matched(chain: Chain, sheet: Sheet) -> tuple[dict[str, Answer], list[Fault]]:
    """Return the answers by the names of their quantities, and what on the sheet is none."""
    answers: dict[str, Answer] = {}
    faults, found = list(sheet.faults), dict[str, str]()
    for name, answer in sheet.answers.items():
        place = answer.place if answer.place.startswith("line") else ""
        quantity = chain.named(name)
        if quantity is None:
            faults.append(Fault(place, name, _unknown(chain, clean(name))))
        elif quantity.name in found:
            faults.append(Fault(place, name, f"{name!r} and {found[quantity.name]!r} are the same quantity"))
        else:
            found[quantity.name] = name
            fitted = _fitted(chain, quantity, answer)
            if fitted is None:
                told = f"{name!r} has shape {answer.values.shape}; it must be {quantity.key.shape}"
                faults.append(Fault(place, name, told))
            else:
                answers[quantity.name] = fitted
    return answers, faults


def _unknown(chain: Chain, name: str) -> str:
    every, shown = list(chain.by_name), name if len(name) <= 40 else f"{name[:40]}…"
    if name.partition("[")[0] in GIVEN or name[:2] in ("W_", "b_"):
        return f"{shown!r} is given, not asked"
    if (near := names.suggestion(name, chain.by_name)) is not None:
        return f"there is no quantity {shown!r}; did you mean {near!r}?"
    allowed = every if len(every) <= 24 else [*every[:20], "…", every[-1]]
    return f"there is no quantity {shown!r}; allowed: {', '.join(allowed)}"


def _fitted(chain: Chain, quantity: Quantity, answer: Answer) -> Answer | None:
    """Return an answer in its quantity's shape: a column may be written as a row, and blanks may be omitted.

    What has another shape is left as it is where a mistake gives that shape; where none does, None.
    """
    shape, values, tolerance = quantity.key.shape, answer.values, answer.tolerance
    if answer.blank:
        return Answer(np.full(shape, np.nan), np.zeros(shape), answer.place)
    while values.ndim and values.shape[-1] > (shape[-1] if shape else 1) and np.isnan(values[..., -1]).all():
        values, tolerance = values[..., :-1], tolerance[..., :-1]
    vector = values.ndim == 2 and 1 in values.shape and len(shape) == 1
    if values.shape != shape and values.size == quantity.key.size and (vector or not shape or not values.ndim):
        values, tolerance = values.reshape(shape), tolerance.reshape(shape)
    fitted = Answer(values, tolerance, answer.place)
    if values.shape == shape:
        return fitted
    turned = values.ndim == 2 and values.shape[::-1] == shape
    unsummed = quantity.summed and values.shape == (chain.batch, *shape)
    if np.isfinite(values).all() and (turned or unsummed or values.shape in chain.shapes(quantity)):
        return fitted
    return None
