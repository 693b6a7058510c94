"""Answers against the equations: what is right, what follows, what is wrong first, and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt

from gatewise import showing
from gatewise.errors import OptionError
from gatewise.grading import sheet as sheets
from gatewise.grading.causes import Search, within
from gatewise.grading.chain import Chain, Quantity, rounding
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.judging import Judge, rounded_or_cut
from gatewise.grading.matching import matched, misshapen
from gatewise.grading.sheet import Answer, Fault, Sheet
from gatewise.grading.verdicts import CLOSE, FOLLOWS, RIGHT, WRONG, Cause, Verdict
from gatewise.records.step import Step
from gatewise.records.trace import Trace

MOST_UNEXPLAINED = 3  # wrong quantities; where there are more, and most are not explained, nothing is


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
        If a file cannot be read, or nothing in it can. A line that cannot be read, an unknown name and a wrong shape
        cost that line alone: see `Marking.faults`.

    Notes
    -----
    A number is right within half a unit in its last digit; cut off after its last digit, and computed in single
    precision, it is right too. If it is not, but is what its equation gives for the person's own earlier numbers
    (allowing for their rounding), it follows from an earlier mistake. Otherwise it is wrong. Then mistakes are made on
    purpose, one by one: every edit of the cell's equations that people make, in the equation of the quantity and in
    those that lead to it from the last numbers written, in one of them, at every step or in every gate. A mistake is
    named if it gives what was written, in all entries and allowing for rounding; if it does not contradict another
    number that is right; and if unrelated numbers would hardly fit: the chance that a cause is named for those is at
    most 1 % for a sheet. It takes milliseconds for a step, and seconds for a sheet that omits most of many steps.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> marking = check({"f": [0.4934, 0.4975], "c": [0.0968, 0.1408], "h": [0.0988, 0.1450]}, step)
    >>> marking.first.name, str(marking.first.causes[0])
    ('h', 'the old cell state c_prev is used instead of the new cell state c in h')
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
    found, faults = matched(chain, sheet)
    with np.errstate(all="ignore"):  # numbers of any size are written
        verdicts = _explained(*rounded_or_cut(chain, found))
    strange = [one for one in verdicts if one.status == WRONG and one.written is None and not one.causes]
    faults += [misshapen(one.name, found[one.name], chain.by_name[one.name]) for one in strange]
    faults.sort(key=_line)
    return Marking(tuple(one for one in verdicts if one not in strange), sheet.source, tuple(faults))


def _line(fault: Fault) -> int:
    """Return the number of the line that could not be read, or 0 where lines have none."""
    number = fault.place.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0


def _explained(judge: Judge, cut: Mapping[str, Answer]) -> list[Verdict]:
    """Return the verdicts, with the causes of what is wrong."""
    wrong = [one.name for one in judge.wrong]
    judges = [judge, Judge(judge.chain, judge.answers, wrong)] if len(wrong) > 1 else [judge]
    turns = count()
    searches = [
        Search(one.chain, one.own, one.expected, one.answers, wrong, one.unit, turns) for one in judges if wrong
    ]
    found, explained, unexplained = [], 0, 0
    for name, verdict in judge.judged.items():
        apart = judges[-1].judged[name]  # not from wrong numbers, but from right ones in their place
        if verdict.status == WRONG and apart.status != WRONG:
            verdict = apart
        if verdict.status == CLOSE and name in cut and _is_cut(judge.chain.by_name[name], cut[name]):
            verdict = replace(verdict, remark="its digits are cut off, not rounded")
        if verdict.status == WRONG and not (unexplained > 2 * MOST_UNEXPLAINED and not explained):
            verdict = _with_causes(verdict, judges, searches)
        explained += bool(verdict.causes)
        unexplained += verdict.status == WRONG and not verdict.causes
        found.append(verdict)
    if unexplained > max(MOST_UNEXPLAINED, explained):  # these are no numbers of this run
        first = next(one for one in found if one.status == WRONG)
        return [one if one is first else replace(one, causes=(), more=0, digits=None) for one in found]
    return found


def _with_causes(verdict: Verdict, judges: Sequence[Judge], searches: Sequence[Search]) -> Verdict:
    """Return a verdict with causes: in what follows from the person's own numbers, or else from right ones."""
    first, name = judges[0], verdict.name
    quantity, answer = first.chain.by_name[name], first.answers[name]
    if answer.values.shape != quantity.key.shape:
        return _misshapen(first, searches[0], quantity, verdict)
    for judge, search in zip(judges, searches, strict=True):
        found = search.causes(quantity, answer, *judge.follows_from(quantity))
        if found.causes or quantity.place not in first.tainted:
            break
    return replace(verdict, causes=found.causes, more=found.more, digits=found.digits)


def _is_cut(quantity: Quantity, answer: Answer) -> bool:
    written = np.isfinite(answer.values)
    off = np.abs(answer.values - quantity.key) > answer.tolerance + rounding(quantity.key)
    return bool(off[written].any())


def _misshapen(judge: Judge, search: Search, quantity: Quantity, verdict: Verdict) -> Verdict:
    """Find the cause of another shape: a mistake that gives it, a missing sum over the batch, or rows for columns."""
    chain, name, answer = judge.chain, quantity.name, judge.answers[quantity.name]
    found = search.of_shape(quantity, answer)
    if found.causes:
        return replace(verdict, causes=found.causes, more=found.more)
    expected, slack = judge.follows_from(quantity)
    if quantity.summed and answer.values.shape == (chain.batch, *quantity.key.shape):
        value, mended = search.unsummed(quantity), replace(answer, values=answer.values.sum(0))
        kind, says = "sum over the batch missing", f"the sum over the batch is missing from {name}"
    elif answer.values.ndim == 2 and answer.values.shape[::-1] == quantity.key.shape:
        value, slack, mended = expected.T, slack.T, replace(answer, values=answer.values.T)
        kind, says = "rows and columns exchanged", f"the rows and columns of {name} are exchanged"
    else:
        return verdict
    if within(answer, value, slack + rounding(value)):
        return replace(verdict, causes=(Cause(kind, says, LIKELY, value),))
    whole = replace(mended, tolerance=np.full(quantity.key.shape, answer.tolerance.max()))
    return Judge(chain, {**judge.answers, name: whole}).judged[name]
