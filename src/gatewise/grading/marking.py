"""Checking of a sheet: a verdict on each quantity, and the causes of what is wrong."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt

from gatewise import showing
from gatewise.errors import OptionError, one_of
from gatewise.grading import sheet as sheets
from gatewise.grading.causes import CauseSearch
from gatewise.grading.chain import Chain, rounding
from gatewise.grading.edits.edit import LIKELY
from gatewise.grading.judging import Judge, judge_reversed, judge_rounded_or_cut, verdicts_on_reversed
from gatewise.grading.matching import match_answers, padded_with_blanks, shape_fault
from gatewise.grading.sheet import ANYTHING, Asked, Fault, Sheet, SheetAnswer
from gatewise.grading.verdicts import (
    COARSE,
    EARNING,
    FOLLOWS,
    INCOMPLETE,
    ONCE,
    REPEATS,
    WRONG,
    Cause,
    Verdict,
)
from gatewise.languages.language import require_language
from gatewise.records.step import Step
from gatewise.records.trace import Trace

MAX_UNEXPLAINED = 3  # wrong quantities; of more, most of them unexplained, only the first is explained
SAME_SLIP = "this repeats the slip made in"


@dataclass(frozen=True, eq=False)
class Marking:
    """A marked sheet; as a string, the report.

    Attributes
    ----------
    verdicts : tuple of Verdict
        One for each quantity on the sheet, in the order in which the quantities follow from each other.
    source : str
        The name of the file with the answers.
    faults : tuple of Fault
        The lines that could not be read: no numbers, an unknown name, a wrong shape.
    decimals : int or None
        The decimals that the sheet asks for, if it does.

    Examples
    --------
    >>> from gatewise.examples import lesson
    >>> cell, x, state, _ = lesson()
    >>> marking = gw.check({"f": [0.9569, 0.0824], "i": [0.0911, 0.9484]}, cell.step(x[0], state))
    >>> marking.first.name, marking.first.entry
    ('i', 'unit 1')
    """

    verdicts: tuple[Verdict, ...]
    source: str = "the answers"
    faults: tuple[Fault, ...] = ()
    decimals: int | None = None

    @property
    def first(self) -> Verdict | None:
        """The first wrong quantity."""
        return next((verdict for verdict in self.verdicts if verdict.status == WRONG), None)

    @property
    def correct(self) -> bool:
        """Whether every line with a number is complete, right or close, and every line could be read."""
        return not self.count(FOLLOWS, COARSE, INCOMPLETE, WRONG) and not self.faults

    def count(self, *statuses: str) -> int:
        """Return the number of quantities with any of these statuses."""
        return sum(verdict.status in statuses for verdict in self.verdicts)

    @property
    def marks(self) -> int:
        """The marks: one for each line that is right, right from a wrong line, or close."""
        return self.count(*EARNING)

    def render(self, format: str = "text", lang: str = "en") -> str:
        """Return the marking as text, Markdown, a web page or JSON.

        Parameters
        ----------
        format : {"text", "markdown", "html", "json"}
        lang : {"en", "de"}
            The language; JSON is in English.

        Raises
        ------
        OptionError
            If there is no such format or language, or no JSON in it.
        """
        require_language(lang)
        if lang != "en" and format == "json":
            raise OptionError(f"the JSON of a marking is in English, not in {lang!r}")
        return showing.show(self, format, **({} if format == "json" else {"lang": lang}))

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
    repeat: str = ONCE,
) -> Marking:
    """Compare numbers worked out by hand with a run, quantity by quantity, and find the first mistake.

    (`gatewise.verify` compares an LSTM with the answers of another runtime.)

    Parameters
    ----------
    answers : mapping of str to array, or path
        Any of the quantities of `gatewise.walk` under the names that it prints (``f`` or ``forget_gate``, ``a_f``,
        ``c``, ``dW_f``, …; with several steps ``f[1]``), or a .json, .csv or .npz file of them. NaN is a blank entry.
    thing : Step, sequence of Step, or Trace
        The run to compare with; a trace stands for all sequences of its batch, in arrays (batch, ·).
    dh, dc : array, optional
        The gradients of the loss with respect to the final states, as for `gatewise.walk`.
    digits : int, optional
        To how many decimals the numbers of a mapping are rounded; by default as many as it takes to write them.
    repeat : {"once", "every"}
        Whether a mistake that is made at several steps or in several gates counts once, in its first line, or in
        every line.

    Returns
    -------
    Marking

    Raises
    ------
    FileError
        If a file cannot be read, or nothing in it can. A line that cannot be read, an unknown name or a wrong shape
        costs that line alone: see `Marking.faults`.

    Notes
    -----
    A number is right within half a unit in its last digit, also if it was computed in single precision. It is close if
    its digits are cut off, if its trailing zeros aren't real digits, or if earlier numbers were rounded. If it follows
    from the person's own wrong numbers, it is right from a wrong line. A line with a blank entry is incomplete.

    For any other line, gatewise tries every known mistake: each edit of the equations between the last written numbers
    and this quantity, in one equation, at every step or in every gate. It reports a mistake if it gives all written
    entries, allowing for rounding, if it contradicts no right number, and if unrelated numbers would hardly fit: at
    most 1 % of sheets of unrelated numbers get a cause. In sums of exact numbers, where no further digit would help, a
    slip in one product is reported as ``possible``. A step takes milliseconds. A sheet that omits most of many steps
    takes seconds.

    Examples
    --------
    >>> cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> marking = check({"f": [0.4934, 0.4975], "c": [0.0968, 0.1408], "h": [0.0988, 0.1450]}, step)
    >>> marking.first.name, str(marking.first.causes[0])
    ('h', 'the old cell state c_prev is used instead of the new cell state c in h')
    """
    one_of("repeat", repeat, REPEATS)
    chain = thing if isinstance(thing, Chain) else Chain(thing, dh, dc)
    if isinstance(answers, Sheet):
        sheet = answers
    elif isinstance(answers, Mapping):
        sheet = sheets.sheet_of_mapping(answers, digits)
    elif isinstance(answers, (str, os.PathLike)):
        sheet = sheets.read(answers)
    else:
        raise OptionError(f"answers must be arrays by name or the path of a sheet, not {type(answers).__name__}")
    return mark_sheet(sheet, chain, repeat)


def mark_sheet(sheet: Sheet, chain: Chain, repeat: str = ONCE, asked: Asked = ANYTHING) -> Marking:
    """Return the marked sheet; `asked` is what it asks for, if it belongs to an exercise."""
    answers, faults = match_answers(chain, sheet, asked)
    verdicts = _judge_and_explain(chain, answers, asked)
    padded = {
        name: answer
        for name in (verdict.name for verdict in verdicts if _has_strange_shape(verdict))
        if (answer := padded_with_blanks(answers[name], chain.by_name[name].key.shape)) is not None
    }
    if padded:
        answers |= padded
        verdicts = _judge_and_explain(chain, answers, asked)
    if repeat == ONCE:
        verdicts = _count_repeats_once(verdicts)
    strange = [*filter(_has_strange_shape, verdicts)]
    faults += [shape_fault(verdict.name, answers[verdict.name], chain.by_name[verdict.name]) for verdict in strange]
    faults.sort(key=_line_number)
    read = tuple(verdict for verdict in verdicts if verdict not in strange)
    return Marking(read, sheet.source, tuple(faults), asked.decimals)


def _judge_and_explain(chain: Chain, answers: Mapping[str, SheetAnswer], asked: Asked) -> list[Verdict]:
    with np.errstate(all="ignore"):  # numbers of any size are written
        judge = judge_rounded_or_cut(chain, answers, asked)
        turned = judge_reversed(judge)
        if turned is None:
            return _explain_verdicts(judge)
        explained = {verdict.name: verdict for verdict in _explain_verdicts(turned)}
        return list(verdicts_on_reversed(judge, explained))


def _has_strange_shape(verdict: Verdict) -> bool:
    return verdict.status == WRONG and verdict.written is None and not verdict.causes


def _line_number(fault: Fault) -> int:
    number = fault.place.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0


def _count_repeats_once(verdicts: Sequence[Verdict]) -> list[Verdict]:
    counted, first_lines = [], dict[Hashable, str]()
    for verdict in verdicts:
        families = [cause.family for cause in verdict.causes if cause.family is not None]
        first = next((first_lines[family] for family in families if family in first_lines), None)
        if first is not None:
            status = INCOMPLETE if verdict.blank else FOLLOWS
            reason = f"{SAME_SLIP} {first}"
            verdict = Verdict(verdict.name, verdict.equation, status, reason=reason, blank=verdict.blank)
        first_lines |= {family: first or verdict.name for family in families if family not in first_lines}
        counted.append(verdict)
    return counted


def _explain_verdicts(judge: Judge) -> list[Verdict]:
    wrong = [quantity.name for quantity in judge.wrong]
    judges = [judge]
    if len(wrong) > 1:
        judges.append(Judge(judge.chain, judge.written, wrong, cut=judge.cut, asked=judge.asked))
    turns = count()
    searches = [CauseSearch(judge_used, wrong, turns) for judge_used in judges if wrong]
    verdicts, explained, unexplained = [], 0, 0
    for name, verdict in judge.judged.items():
        separate_verdict = judges[-1].judged[name]  # judged with right numbers in the place of wrong ones
        if verdict.status == WRONG and separate_verdict.status != WRONG:
            verdict = separate_verdict
        if verdict.status == WRONG and not (unexplained > 2 * MAX_UNEXPLAINED and not explained):
            verdict = _with_causes(verdict, judge, searches)
        explained += bool(verdict.causes)
        unexplained += verdict.status == WRONG and not verdict.causes
        verdicts.append(verdict)
    if unexplained > max(MAX_UNEXPLAINED, explained):  # the numbers are not those of this run
        first = next(verdict for verdict in verdicts if verdict.status == WRONG)
        return [
            verdict if verdict is first else replace(verdict, causes=(), more=0, digits=None) for verdict in verdicts
        ]
    return verdicts


def _with_causes(verdict: Verdict, judge: Judge, searches: Sequence[CauseSearch]) -> Verdict:
    quantity = judge.chain.by_name[verdict.name]
    if judge.answers[verdict.name].values.shape != quantity.key.shape:
        # A verdict with the cause of a wrong shape: a mistake, a missing batch sum, or rows for columns.
        search = searches[0]
        chain, name, answer = judge.chain, quantity.name, judge.answers[quantity.name]
        causes = search.causes_of_shape(quantity, answer)
        if causes.causes:
            return replace(verdict, **causes._asdict())
        expected, slack = judge.follows_from(quantity)
        if quantity.summed and answer.values.shape == (chain.batch, *quantity.key.shape):
            value = np.sum([value for _, value in search.gradients_of_steps(quantity)], axis=0)
            corrected_answer = replace(answer, values=answer.values.sum(0))
            kind, says = "sum over the batch missing", f"the sum over the batch is missing from {name}"
        elif answer.values.ndim == 2 and answer.values.shape[::-1] == quantity.key.shape:
            value, slack, corrected_answer = expected.T, slack.T, replace(answer, values=answer.values.T)
            kind, says = "rows and columns exchanged", f"the rows and columns of {name} are exchanged"
        else:
            return verdict
        if answer.agrees(value, slack + rounding(value)):
            return replace(verdict, causes=(Cause(kind, says, LIKELY, value),))
        answer_in_shape = replace(corrected_answer, tolerance=np.full(quantity.key.shape, answer.tolerance.max()))
        return Judge(chain, {**judge.answers, name: answer_in_shape}).judged[name]
    for search in searches:
        causes = search.causes(quantity)
        if causes.causes or quantity.place not in judge.tainted:
            break
    return replace(verdict, **causes._asdict())
