"""The sentences about a marked sheet, the most important first, and a row for each line; for every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatewise.errors import join_names
from gatewise.grading.marking import Marking
from gatewise.grading.sheet import Fault
from gatewise.grading.verdicts import CLOSE, COARSE, MISSING, RIGHT, WRONG, Verdict, describe_counts
from gatewise.languages.translation import feedback_in
from gatewise.render.text import clean, short
from gatewise.showing import counted
from gatewise.walkthrough.numbers import number

MOST_EQUATION = 160  # columns of an equation in a sentence
MOST_FURTHER = 3  # wrong lines after the first one that have a sentence of their own
MOST_NAMES = 6  # in a list


class EquationText(str):
    """The part of a sentence that is an equation."""


Sentence = tuple[str, ...]  # whose parts, joined, are the sentence as text


@dataclass(frozen=True)
class VerdictRow:
    """A row of the table."""

    name: str
    equation: str
    status: str
    entry: str  # of a wrong line: that with the largest error, or the fault of its shape
    written: str  # the numbers of that entry, or empty
    right: str
    notes: tuple[str, ...]


def sentences(marking: Marking, lang: str = "en") -> list[Sentence]:
    """Return the sentences about a marked sheet: its right part, the first wrong line and its cause, the others."""
    return [
        tuple(part if isinstance(part, EquationText) else feedback_in(lang, part) for part in sentence)
        for sentence in _english_sentences(marking)
    ]


def _english_sentences(marking: Marking) -> list[Sentence]:
    first = marking.first
    if first is None:
        paragraphs: list[Sentence] = [(_describe_nothing_wrong(marking),)]
    else:
        place = marking.verdicts.index(first)
        so_far, opening = _describe_right_start(marking.verdicts[:place]), "The first wrong line is"
        paragraphs = [(so_far, *_describe_wrong(f"{' ' * bool(so_far)}{opening}", first)), (explain(first),)]
        paragraphs += _describe_other_wrong(marking.verdicts[place + 1 :])
    if not {verdict.status for verdict in marking.verdicts} <= {RIGHT} and marking.count(MISSING) < len(
        marking.verdicts
    ):
        paragraphs.append((f"{counted(len(marking.verdicts), 'line')}: {describe_counts(marking.verdicts)}.",))
    paragraphs += [(sentence,) for sentence in _describe_reasons(marking.verdicts)]
    if marking.faults and marking.count(MISSING) < len(marking.verdicts):
        without = "it" if len(marking.faults) == 1 else "them"
        paragraphs.append(
            (f"{counted(len(marking.faults), 'line')} could not be read; the rest was checked without {without}.",)
        )
    return paragraphs


def rows(marking: Marking, lang: str = "en") -> Iterator[VerdictRow]:
    """Yield the rows of the table of verdicts on a marked sheet."""
    for verdict in marking.verdicts:
        written = right = ""
        if verdict.written is not None and verdict.right is not None:
            written, right = format_pair(verdict.written, verdict.right)
        name, equation, entry = map(clean, (verdict.name, verdict.equation, verdict.entry))
        notes = tuple(feedback_in(lang, clean(note)) for note in _line_notes(verdict))
        yield VerdictRow(name, equation, verdict.status, feedback_in(lang, entry), written, right, notes)


def describe_fault(fault: Fault, lang: str = "en") -> str:
    """Return a fault and its place in words."""
    place = fault.place or (fault.name if fault.name not in fault.says else "")
    says = feedback_in(lang, fault.says)
    return clean(f"{feedback_in(lang, place)}: {says}" if place else says)


def explain(verdict: Verdict) -> str:
    """Return a sentence about the possible mistakes that made a line of a sheet wrong."""
    if not verdict.causes:
        if verdict.digits is None:
            too_few = "Too few numbers are written to tell the cause."
            return too_few if verdict.more else "No known mistake gives these numbers."
        return f"Too few digits are written to tell the cause; {counted(verdict.digits, 'decimal')} would do."
    first, *others = (clean(str(cause)) for cause in verdict.causes)
    opening = {
        "likely": "Its likely cause:",
        "structural": "A possible cause:",
        "one entry": "It looks like a slip in one entry:",
    }[verdict.causes[0].tier]
    listed = "; or ".join([first, *others])
    gives = ("That mistake gives", "Either mistake gives", "Each of these mistakes gives")[min(len(others), 2)]
    more = f"; {counted(verdict.more, 'other mistake')} would do so too" if verdict.more else ""
    return f"{opening} {listed}. {gives} exactly these numbers{more}."


def format_pair(written: float, right: float) -> tuple[str, str]:
    """Return the written and the right number as text, the latter with enough digits to differ."""
    decimals = len(repr(written).partition(".")[2])
    for digits in (*range(min(decimals, 6) + 2, 9), 12, 16):
        first, second = number(written, max(digits, decimals)), number(right, digits)
        if first != second:
            break
    return first, second


def _describe_right_start(before: Sequence[Verdict]) -> str:
    right = [verdict.name for verdict in before if verdict.status in (RIGHT, CLOSE)]
    return "" if not right else f"{right[0]} is right." if len(right) == 1 else f"Right up to {right[-1]}."


def _describe_wrong(opening: str, verdict: Verdict) -> Sentence:
    equation = EquationText(short(verdict.equation, MOST_EQUATION))
    itself = equation.startswith(f"{verdict.name} = ")
    line = (f"{opening} ", equation) if itself else (f"{opening} ", f"{clean(verdict.name)} (", equation, ")")
    if verdict.written is None or verdict.right is None:
        return *line, f": {clean(verdict.entry)}."
    where = f", at {clean(verdict.entry)}" if verdict.entry else ""
    others = f"; {_describe_others(verdict)}" if verdict.others else ""
    if verdict.expected is None:
        written, right = format_pair(verdict.written, verdict.right)
        return *line, f"{where}: {written} was written where {right} is right{others}."
    written, expected = format_pair(verdict.written, verdict.expected)
    return *line, f"{where}: {written} was written where {expected} follows from the earlier numbers{others}."


def _describe_others(verdict: Verdict) -> str:
    """Return a clause about the other wrong entries of a line: unit 0 is wrong, too."""
    return f"{_join_names(verdict.others)} {'is' if len(verdict.others) == 1 else 'are'} wrong, too"


def _describe_nothing_wrong(marking: Marking) -> str:
    right, coarse, missing = (marking.count(status) for status in (RIGHT, COARSE, MISSING))
    if missing == len(marking.verdicts):
        return "No written line could be read." if marking.faults else "Nothing is written yet."
    if coarse:
        return f"No line is wrong, but {counted(coarse, 'line')} {'needs' if coarse == 1 else 'need'} more digits."
    if right + missing < len(marking.verdicts):
        return "No line is wrong."
    which = "line that could be read" if marking.faults else "written line" if missing else "line"
    every = "Both" if right == 2 else f"All {right:,}"
    return f"The {which} is right." if right == 1 else f"{every} {which.replace('line', 'lines')} are right."


def _describe_other_wrong(after: Sequence[Verdict]) -> Iterator[Sentence]:
    wrong = [verdict for verdict in after if verdict.status == WRONG]
    for verdict in wrong[:MOST_FURTHER]:
        yield *_describe_wrong("Another wrong line is", verdict), f" {explain(verdict)}"
    if len(wrong) > MOST_FURTHER:
        yield (f"Also wrong: {_join_names([verdict.name for verdict in wrong[MOST_FURTHER:]])}.",)


def _describe_reasons(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield each reason why lines of a marked sheet are close or right once, with its lines."""
    names: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.reason:
            names.setdefault(clean(verdict.reason), []).append(verdict.name)
    for reason, lines in names.items():
        yield f"{'On' if len(lines) == 1 else 'On each of'} {_join_names(lines)}: {reason}."


def _line_notes(verdict: Verdict) -> Iterator[str]:
    """Yield the notes beside a line in the table of a marked sheet: other entries, expected number, causes, reason."""
    if verdict.others:
        yield _describe_others(verdict)
    if verdict.expected is not None and verdict.written is not None:
        yield f"{format_pair(verdict.written, verdict.expected)[1]} follows from the earlier numbers"
    if verdict.causes:
        more = f"; or {counted(verdict.more, 'other mistake')}" if verdict.more else ""
        yield "; or ".join(map(str, verdict.causes)) + more
    if verdict.digits is not None:
        yield f"{counted(verdict.digits, 'decimal')} would tell the cause"
    if verdict.reason:
        yield verdict.reason


def _join_names(names: Sequence[str]) -> str:
    return clean(join_names(names, "and", most=MOST_NAMES))
