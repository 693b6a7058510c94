"""What is said of a marked sheet, whatever the format: sentences, the most important first, and a row for each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatewise.errors import join_names
from gatewise.grading.marking import Marking
from gatewise.grading.sheet import Fault
from gatewise.grading.verdicts import BLANK, CLOSE, COARSE, FOLLOWS, RIGHT, WRONG, Verdict
from gatewise.render.text import clean, short
from gatewise.showing import counted
from gatewise.walkthrough.numbers import number

MOST_EQUATION = 160  # columns of an equation in a sentence
MOST_FURTHER = 3  # wrong lines after the first one that have a sentence of their own
MOST_NAMES = 6  # in a list


class Equation(str):
    """The part of a sentence that is an equation."""


Sentence = tuple[str, ...]  # whose parts, joined, are the sentence as text


@dataclass(frozen=True)
class Row:
    """What the table says of a line.

    Attributes
    ----------
    name, equation, status : str
    entry : str
        Of a wrong line: where it is furthest off, or what is wrong with its shape.
    written, right : str
        The numbers there; empty where there are none.
    notes : tuple of str
    """

    name: str
    equation: str
    status: str
    entry: str
    written: str
    right: str
    notes: tuple[str, ...]


def sentences(marking: Marking) -> list[Sentence]:
    """Say up to where a sheet is right, which line is the first wrong one and why, and then what follows."""
    first = marking.first
    if first is None:
        said: list[Sentence] = [(_all_right(marking),)]
    else:
        place = marking.verdicts.index(first)
        so_far, opening = _up_to(marking.verdicts[:place]), "The first wrong line is"
        said = [(so_far, *_wrong(f"{' ' * bool(so_far)}{opening}", first)), (why(first),)]
        said += _after([one for one in marking.verdicts[place + 1 :] if one.status not in (BLANK, COARSE)])
    said += [(one,) for one in (*_undecided(marking), *_remarks(marking.verdicts))]
    if marking.faults and marking.count(BLANK) < len(marking.verdicts):
        without = "it" if len(marking.faults) == 1 else "them"
        said.append(
            (f"{counted(len(marking.faults), 'line')} could not be read; the rest was checked without {without}.",)
        )
    return said


def rows(marking: Marking) -> Iterator[Row]:
    """Go through the lines of a sheet."""
    for one in marking.verdicts:
        written = right = ""
        if one.written is not None and one.right is not None:
            written, right = both(one.written, one.right)
        name, equation, entry = map(clean, (one.name, one.equation, one.entry))
        yield Row(name, equation, one.status, entry, written, right, tuple(map(clean, _notes(one))))


def unread(fault: Fault) -> str:
    """Say what could not be read, and where."""
    place = fault.place or (fault.name if fault.name not in fault.says else "")
    return clean(f"{place}: {fault.says}" if place else fault.says)


def why(verdict: Verdict) -> str:
    """Say what may have caused a wrong line."""
    if not verdict.causes:
        if verdict.digits is None:
            return "No known mistake gives what was written."
        return f"Too few digits are written to tell the cause; {counted(verdict.digits, 'decimal')} would do."
    first, *others = (clean(str(cause)) for cause in verdict.causes)
    opening = {
        "likely": "Its likely cause:",
        "structural": "A possible cause:",
        "one entry": "It looks like a slip in one entry:",
    }[verdict.causes[0].tier]
    listed = "; or ".join([first, *others])
    gives = ("Making that mistake gives", "Either mistake gives", "Each of these mistakes gives")[min(len(others), 2)]
    more = f"; {counted(verdict.more, 'other mistake')} would give the same numbers" if verdict.more else ""
    return f"{opening} {listed}. {gives} what was written{more}."


def both(written: float, right: float) -> tuple[str, str]:
    """Return what was written, and what is right with two more digits, or as many as it takes to tell them apart."""
    decimals = len(repr(written).partition(".")[2])
    for digits in (*range(min(decimals, 6) + 2, 9), 12, 16):
        first, second = number(written, max(digits, decimals)), number(right, digits)
        if first != second:
            break
    return first, second


def _up_to(before: Sequence[Verdict]) -> str:
    right = [one.name for one in before if one.status in (RIGHT, CLOSE)]
    return "" if not right else f"{right[0]} is right." if len(right) == 1 else f"Right up to {right[-1]}."


def _wrong(opening: str, one: Verdict) -> Sentence:
    """Say which line is wrong and where, what was written there, and what it should be."""
    equation = Equation(short(one.equation, MOST_EQUATION))
    itself = equation.startswith(f"{one.name} = ")
    line = (f"{opening} ", equation) if itself else (f"{opening} {clean(one.name)} (", equation, ")")
    if one.written is None or one.right is None:
        return *line, f": {clean(one.entry)}."
    where = f", at {clean(one.entry)}" if one.entry else ""
    if one.expected is None:
        written, right = both(one.written, one.right)
        return *line, f"{where}: {written} was written where {right} is right."
    written, expected = both(one.written, one.expected)
    return *line, f"{where}: {written} was written where {expected} follows from the numbers before it."


def _all_right(marking: Marking) -> str:
    right, close, coarse, blank = (marking.count(status) for status in (RIGHT, CLOSE, COARSE, BLANK))
    if not right + close + coarse:
        return "No written line could be read." if marking.faults else "Nothing is written yet."
    if close or coarse:
        return f"Nothing is wrong: {_are(right, 'line')} right." if right else "Nothing is wrong."
    which = "line that could be read" if marking.faults else "written line" if blank else "line"
    every = "Both" if right == 2 else f"All {right:,}"
    return f"The {which} is right." if right == 1 else f"{every} {which.replace('line', 'lines')} are right."


def _after(after: Sequence[Verdict]) -> Iterator[Sentence]:
    """Say whether the lines after the first wrong one are right, follow, or are wrong, and these one by one."""
    if not after:
        return
    wrong = [one for one in after if one.status == WRONG]
    follow = sum(one.status == FOLLOWS for one in after)
    right = len(after) - len(wrong) - follow
    if follow == len(after):
        yield ("The rest follows correctly from it.",)
        return
    if right == len(after):
        yield ("The rest is right.",)
        return
    counts = []
    if follow:
        verb, whence = "follows" if follow == 1 else "follow", "what is wrong before" if wrong else "it"
        counts.append(f"{follow:,} {verb} correctly from {whence}")
    if right:
        counts.append(f"{right:,} {'is' if right == 1 else 'are'} right")
    if wrong:
        has = "has a mistake of its own" if len(wrong) == 1 else "have mistakes of their own"
        counts.append(f"{len(wrong):,} {has}")
    if len(wrong) < len(after):
        yield (f"Of the {counted(len(after), 'later line')}, {_names(counts)}.",)
    for one in wrong[:MOST_FURTHER]:
        yield *_wrong("Another wrong line is", one), f" {why(one)}"
    if len(wrong) > MOST_FURTHER:
        yield (f"Also wrong: {_names([one.name for one in wrong[MOST_FURTHER:]])}.",)


def _undecided(marking: Marking) -> Iterator[str]:
    """Say what is neither right nor wrong."""
    close, coarse, blank = (marking.count(status) for status in (CLOSE, COARSE, BLANK))
    if close:
        yield f"{_are(close, 'line')} off in the last digit, which rounding in between explains."
    if coarse:
        yield f"{_are(coarse, 'line')} written with too few digits to judge."
    if blank and blank < len(marking.verdicts):
        yield f"{_are(blank, 'line')} still blank."


def _remarks(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Give the remarks, each once, with the lines that it is on."""
    names: dict[str, list[str]] = {}
    for one in verdicts:
        if one.remark:
            names.setdefault(clean(one.remark), []).append(one.name)
    for remark, on in names.items():
        yield f"{'On' if len(on) == 1 else 'On each of'} {_names(on)}: {remark}."


def _notes(one: Verdict) -> Iterator[str]:
    if one.expected is not None and one.written is not None:
        yield f"{both(one.written, one.expected)[1]} follows from the numbers before it"
    if one.causes:
        more = f"; or {counted(one.more, 'other mistake')}" if one.more else ""
        yield "; or ".join(map(str, one.causes)) + more
    if one.digits is not None:
        yield f"{counted(one.digits, 'decimal')} would tell the cause"
    if one.remark:
        yield one.remark


def _names(names: Sequence[str]) -> str:
    return clean(join_names(names, "and", most=MOST_NAMES))


def _are(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"
