"""The marks of a class: the points of each line, and the answers compared with the keys of an exercise."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from rich.cells import cell_len

from gatewise.errors import FileError, GatewiseError, join_names
from gatewise.errors import shown as shorten
from gatewise.files import storage, tables
from gatewise.grading import hand_ins
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import WORKED_DECIMALS, worked_numbers
from gatewise.grading.hand_ins import HandIn, Key
from gatewise.grading.handout import ANSWERS, WEIGHTS
from gatewise.grading.marking import Marking, mark_sheet
from gatewise.grading.roster import Student
from gatewise.grading.sheet import Sheet, SheetAnswer
from gatewise.grading.verdicts import EARNING, MISSING, ONCE, STATUSES, Verdict, describe_counts
from gatewise.languages.language import CLASS, PLACES, feedback_in
from gatewise.number_text import parse_number
from gatewise.progress import working_through
from gatewise.render import text

MAX_POINTS = 1e6
QUANTITY_HEAD = "quantity"


def read_weights(path: str | os.PathLike[str], asked: Sequence[str]) -> dict[str, float]:
    """Return the points of each asked line of an exercise, from a table; a line left out has none.

    A name without its step, such as ``f``, stands for the line of every step. Raise FileError if the table cannot be
    read, names a line that is not asked, or has points that are no numbers from 0.
    """
    source = storage.readable(path)
    content = storage.read_text(source, of_windows=True)
    rows = [row for row in tables.rows(source, content) if any(row[1])]
    if rows and rows[0][1][0].lower() == QUANTITY_HEAD:
        del rows[0]
    points_by_line: dict[str, float] = {}
    numbers = tables.numerals(source, content, [(line, cells[1:]) for line, cells in rows])
    for (line, (name, *_)), (_, cells) in zip(rows, numbers, strict=True):
        lines = [name] if name in asked else [line_name for line_name in asked if line_name.partition("[")[0] == name]
        if not lines:
            allowed = ", ".join(asked if len(asked) <= 24 else [*asked[:20], "…", asked[-1]])
            fault = f"line {line} has {shorten(name, 40)!r}, which is not asked; allowed: {allowed}"
            raise FileError(f"cannot read {source}: {fault}")
        if any(line_name in points_by_line for line_name in lines):
            raise FileError(f"cannot read {source}: line {line} has {shorten(name, 40)!r} again")
        points_by_line |= dict.fromkeys(
            lines, _parse_points(cells[0] if cells else "", f"cannot read {source}: line {line}")
        )
    if not any(points_by_line.values()):
        raise FileError(f"cannot read {source}: no line in it is worth any points")
    return dict.fromkeys(asked, 0.0) | points_by_line


def _parse_points(cell: str, where: str) -> float:
    """Return the points in a cell of a teacher's table, or raise a FileError that begins with `where`."""
    try:
        value = parse_number(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_POINTS:
        raise FileError(f"{where} must have points from 0 to {MAX_POINTS:,.0f}, not {shorten(cell, 40)!r}")
    return value


def format_points(value: float) -> str:
    """Return points as text: 3, or 2.5."""
    return f"{round(value, 6):.12g}"


MARKED, EMPTY, ABSENT, UNREADABLE = "marked", "blank", "missing", "unreadable"
MAX_FAULTS = 3  # told beside a name; the student's page has more
HEADS = ("student", "marks", "of", *STATUSES, "handed in", "first wrong", "likely cause")
UNREAD = "this line could not be read"


@dataclass(frozen=True, eq=False)
class Mark:
    """The marks of one student."""

    student: Student
    weights: Mapping[str, float]  # the points of each line that is asked
    state: str  # of the handed-in sheet: MARKED, EMPTY, ABSENT or UNREADABLE
    marking: Marking | None = None  # of every asked line; none if nothing was handed in, or if it cannot be read
    fault: str = ""  # the reason if it cannot be read

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return not self.fault and (self.marking is None or self.marking.correct)

    @property
    def of(self) -> float:
        """The points of all lines."""
        return sum(self.weights.values())

    @property
    def marks(self) -> float:
        """The points of the lines that are right, right from a wrong line, or close."""
        return sum(self.earned(name) or 0.0 for name in self.weights)

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The verdict on every asked line, by its name: one that was not handed in is missing."""
        verdicts = {name: Verdict(name, "", MISSING) for name in self.weights}
        return verdicts if self.marking is None else verdicts | {line.name: line for line in self.marking.verdicts}

    def earned(self, name: str) -> float | None:
        """Return the points that a student earned by a line; None if it is missing."""
        status = self.verdicts[name].status
        return None if status == MISSING else self.weights[name] * (status in EARNING)

    def cause_in(self, lang: str) -> str:
        """Return the student's first mistake if it is known, or the reason why there is no marking, in a language."""
        alternatives = (feedback_in(lang, cause) for cause in self._causes())
        return feedback_in(lang, " or ").join(alternatives)

    def _causes(self) -> tuple[str, ...]:
        if self.marking is None:
            return (self.fault or "nothing handed in",)
        unread_lines = join_names(self.marking.faults, most=MAX_FAULTS + 1, separator="; ")
        first = self.marking.first
        if first is None:
            return (unread_lines or ("all blank" if self.state == EMPTY else ""),)
        if not first.causes:
            return (_no_cause(first),)
        return tuple(map(str, first.causes))

    @property
    def first_wrong(self) -> str:
        """The name of the first wrong line, or empty."""
        return "" if self.marking is None or self.marking.first is None else self.marking.first.name

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the student's line in the table, under `HEADS`."""
        totals = (format_points(self.marks), format_points(self.of))
        statuses = [verdict.status for verdict in self.verdicts.values()]
        counts = (str(statuses.count(status)) for status in STATUSES)
        return self.student.name, *totals, *counts, self.state, self.first_wrong, self.cause_in("en")


def _no_cause(wrong: Verdict) -> str:
    """Return why a wrong line has no cause."""
    if wrong.digits is not None:
        return "more digits would tell"
    return (
        "no known mistake" if not wrong.more else "too few numbers to tell" if wrong.gaps else "several possible causes"
    )


@dataclass(frozen=True, eq=False)
class Grades:
    """The marks of a class, in the order of the roster."""

    marks: tuple[Mark, ...]
    strays: tuple[str, ...] = ()  # files of no student or of several possible ones, each with the reason
    facts: tuple[str, ...] = ()  # files that fit a name only in part, and sheets with another's numbers
    lang: str = "en"  # of the pages

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return all(mark.correct for mark in self.marks)


def mark_class(folder: Path, weights: Path | None = None, repeat: str = ONCE, lang: str | None = None) -> Grades:
    """Mark the sheets that a class handed in, in the folder of an exercise.

    The points of each line are in the file `weights`, by default weights.csv in the folder; without one, each line has
    one point. `repeat` says how often one mistake costs points: see `check`. The pages are in the
    language `lang`, by default in that of the hand-outs. Raise FileError if the folder holds no
    keys, or a key or the weights cannot be read.
    """
    class_keys = sorted((hand_ins.read_key(path) for path in hand_ins.key_paths(folder)), key=lambda key: key.place)
    if weights is None and (folder / WEIGHTS).exists():
        weights = folder / WEIGHTS
    asked = tuple(dict.fromkeys(name for key in class_keys for name in key.asked))
    points_by_line = dict.fromkeys(asked, 1.0) if weights is None else read_weights(weights, asked)
    handed, strays, facts = hand_ins.assign_files(folder / ANSWERS, [key.student for key in class_keys])
    marks, sheets = [], []
    with working_through("marking", len(class_keys)) as done:
        for key in class_keys:
            weights_of_key = {name: points_by_line[name] for name in key.asked}
            chain = key.chain()
            hand_in, others = hand_ins.choose(handed.get(key.student, []), key, chain)
            strays += others
            marks.append(_mark_student(key, chain, hand_in, weights_of_key, repeat))
            sheets.append(hand_in.numbers)
            done(1)
    facts += hand_ins.facts_of_copying(sheets)
    return Grades(tuple(marks), tuple(strays), tuple(facts), lang or class_keys[0].lang)


def _mark_student(key: Key, chain: Chain, hand_in: HandIn, weights: Mapping[str, float], repeat: str) -> Mark:
    student = key.student
    if not hand_in.name:
        return Mark(student, weights, ABSENT)
    if hand_in.sheet is None:
        return Mark(student, weights, UNREADABLE, fault=hand_in.fault)
    try:
        completed = replace(hand_in.sheet, answers=_answers_with_worked(hand_in.sheet, key, chain))
        marking = mark_sheet(completed, chain, repeat, key.request)
    except GatewiseError as fault:
        return Mark(student, weights, UNREADABLE, fault=str(fault))
    verdicts = tuple(_verdicts_on_asked(marking, chain, weights))
    marking = replace(marking, verdicts=verdicts, source=hand_in.name)
    empty = marking.count(MISSING) == len(marking.verdicts) and not marking.faults
    return Mark(student, weights, EMPTY if empty else MARKED, marking)


def _verdicts_on_asked(marking: Marking, chain: Chain, weights: Mapping[str, float]) -> Iterator[Verdict]:
    """Yield the verdicts on the asked lines; a line that is not on the sheet, or cannot be read, is missing."""
    verdicts = {verdict.name: verdict for verdict in marking.verdicts}
    unread = {line.name for fault in marking.faults if (line := chain.named(fault.name)) is not None}
    for line in chain.quantities:
        if line.name in weights:
            reason = UNREAD if line.name in unread else ""
            yield verdicts.get(line.name) or Verdict(line.name, line.equation, MISSING, reason=reason)


def _answers_with_worked(handed_sheet: Sheet, key: Key, chain: Chain) -> dict[str, SheetAnswer]:
    """Return a student's answers behind the lines worked for the student, which have their printed numbers."""
    lines = [chain.by_name[name] for name in key.worked]
    tolerance = 0.5 * 10.0**-WORKED_DECIMALS
    worked = {line.name: SheetAnswer(worked_numbers(line), np.full(line.key.shape, tolerance), "") for line in lines}
    quantities = {name: chain.named(name) for name in handed_sheet.answers}
    copied = {name for name, quantity in quantities.items() if quantity is not None and quantity.name in worked}
    return worked | {name: answer for name, answer in handed_sheet.answers.items() if name not in copied}


# The table.


def _text_row(mark: Mark, lang: str) -> tuple[str, str, str, str, str]:
    """Return a student's name, points, possible points, lines by verdict, and the first mistake."""
    name, marks, of = map(text.short, mark.cells()[:3])
    mistake = ": ".join(filter(None, (mark.first_wrong, mark.cause_in(lang))))
    return name, marks, of, feedback_in(lang, describe_counts(mark.verdicts.values()), PLACES), text.clean(mistake)


def text_table(grades: Grades) -> Iterator[str]:
    """Yield the lines of a table of a class's marks, at most 80 columns wide, the first mistake below each student."""
    say = partial(feedback_in, grades.lang, sections=CLASS)
    rows = [tuple(map(say, (*HEADS[:3], "lines", ""))), *(_text_row(mark, grades.lang) for mark in grades.marks)]
    name_width, *widths = (max(cell_len(row[k]) for row in rows) for k in range(3))
    for name, *numbers, lines, mistake in rows:
        cells = [text.pad_right(name, name_width), *map(text.pad_left, numbers, widths), ""]
        yield from text.wrap("  ".join(cells), lines, 6)
        yield from text.wrap(" " * 6, mistake, 6) if mistake else ()
    for title, sentences in (("Not marked", grades.strays), ("To look at", grades.facts)):
        if sentences:
            more = [] if len(sentences) <= 10 else [f"and {len(sentences) - 10} more"]
            yield ""
            yield f"{say(title)}:"
            for sentence in [*sentences[:10], *more]:
                yield from text.wrap("  ", text.clean(say(sentence)), 2)
