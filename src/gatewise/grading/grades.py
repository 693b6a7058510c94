"""The marks of a class: the answers that came back, compared with the keys of an exercise."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.cells import cell_len

from gatewise.errors import FileError, GatewiseError, join_names
from gatewise.grading import copies, keys, points, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import WORKED_DECIMALS, worked_numbers
from gatewise.grading.handout import ANSWERS, WEIGHTS
from gatewise.grading.keys import Key
from gatewise.grading.marking import Marking, check
from gatewise.grading.roster import PARTLY, Names, Student
from gatewise.grading.sheet import Answer, Sheet
from gatewise.grading.verdicts import BLANK, CLOSE, FOLLOWS, RIGHT, WRONG, Verdict
from gatewise.progress import working_through
from gatewise.render import text

MARKED, EMPTY, MISSING, UNREADABLE = "marked", "blank", "missing", "unreadable"
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # by which spreadsheets recognise UTF-8
MOST_FAULTS = 3  # told beside a name; the student's page has more
FORMULA = tuple("=+-@＝＋－＠")  # what a formula begins with, also in full width
HEADS = ("student", "marks", "of", "right", "follows", "wrong", "first wrong", "likely cause")


@dataclass(frozen=True, eq=False)
class Mark:
    """The marks of one student.

    Attributes
    ----------
    student : Student
    weights : dict of str to float
        The points of each line that is asked.
    state : {"marked", "blank", "missing", "unreadable"}
        What was handed in.
    marking : Marking or None
        None where nothing was handed in, or where it cannot be read.
    fault : str
        Why it cannot be read; empty otherwise.
    """

    student: Student
    weights: Mapping[str, float]
    state: str
    marking: Marking | None = None
    fault: str = ""

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
        """The points of the lines that are right or close, or follow correctly from earlier wrong ones."""
        return sum(self.earned(name) or 0.0 for name in self.weights)

    def verdict(self, name: str) -> Verdict | None:
        """Return the verdict on a line; None where it is not on the sheet."""
        verdicts = () if self.marking is None else self.marking.verdicts
        return next((one for one in verdicts if one.name == name), None)

    def earned(self, name: str) -> float | None:
        """Return the points earned by a line; None where nothing is written."""
        verdict = self.verdict(name)
        if verdict is None or verdict.status == BLANK:
            return None
        return self.weights[name] if verdict.status in (RIGHT, CLOSE, FOLLOWS) else 0.0

    @property
    def cause(self) -> str:
        """What the first mistake is, as far as it is known, or why there is no marking."""
        if self.marking is None:
            return self.fault or "nothing handed in"
        unread = join_names(self.marking.faults, most=MOST_FAULTS + 1, separator="; ")
        first = self.marking.first
        if first is None:
            return unread or ("all blank" if self.state == EMPTY else "")
        if not first.causes:
            return "no known mistake" if first.digits is None else "too few digits to tell"
        return " or ".join(map(str, first.causes))

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the student's line in the table."""
        counts = [0, 0, 0]
        first = ""
        if self.marking is not None:
            counts = [self.marking.count(*some) for some in ((RIGHT, CLOSE), (FOLLOWS,), (WRONG,))]
            first = "" if self.marking.first is None else self.marking.first.name
        totals = (points.shown(self.marks), points.shown(self.of), *map(str, counts))
        return self.student.name, *totals, first, self.cause


@dataclass(frozen=True, eq=False)
class Grades:
    """The marks of a class.

    Attributes
    ----------
    marks : tuple of Mark
        In the order of the roster.
    strays : tuple of str
        Files among the answers that are nobody's, or may be several students', each with the reason.
    facts : tuple of str
        Files that fit a student's name only in part, and sheets whose numbers are those of another's key or sheet.
    """

    marks: tuple[Mark, ...]
    strays: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return all(one.correct for one in self.marks)


def mark(folder: Path, weights: Path | None = None) -> Grades:
    """Mark the answers in the folder of an exercise.

    Parameters
    ----------
    folder : path
    weights : path, optional
        The points of each line; by default the file of that name in the folder, or one for each where there is none.

    Raises
    ------
    FileError
        If the folder holds no keys, or a key or the weights cannot be read.
    """
    found = sorted((keys.read(path) for path in keys.paths(folder)), key=lambda one: one.place)
    if weights is None and (folder / WEIGHTS).exists():
        weights = folder / WEIGHTS
    asked = tuple(dict.fromkeys(name for key in found for name in key.asked))
    worth = dict.fromkeys(asked, 1.0) if weights is None else points.read(weights, asked)
    handed, strays, facts = _handed(folder / ANSWERS, [key.student for key in found])
    marks, sheets = [], []
    with working_through("marking", len(found)) as done:
        for key in found:
            own = {name: worth[name] for name in key.asked}
            chain = key.chain()
            marked, given = _mark_one(key, chain, handed.get(key.student, []), own)
            marks.append(marked)
            sheets.append(copies.numbers(key.student.name, chain, key.asked, given))
            done(1)
    return Grades(tuple(marks), tuple(strays), (*facts, *copies.facts(sheets)))


# What was handed in.


def _handed(folder: Path, students: Sequence[Student]) -> tuple[dict[Student, list[Path]], list[str], list[str]]:
    """Return the files of each student, those that are nobody's with the reason, and what fits only in part."""
    names = Names(students)
    found: dict[Student, list[tuple[int, Path]]] = {}
    strays, partly = [], []
    for path in _files(folder):
        parts = path.relative_to(folder).parts
        match = names.owner([*parts[:-1], path.stem])
        if len(match.students) == 1:
            found.setdefault(match.students[0], []).append((match.distance, path))
            continue
        whose = join_names((student.name for student in match.students[:4]), "or")
        strays.append(f"{'/'.join(parts)} ({f'may be that of {whose}' if whose else 'no student has that name'})")
    handed = {}
    for student, files in found.items():
        files.sort(key=lambda one: (one[1].suffix.lower() not in sheet.SUFFIXES, one[0]))
        best, first = files[0]
        readable = [one for one in files if one[1].suffix.lower() in sheet.SUFFIXES] or files[:1]
        handed[student] = [path for distance, path in readable if distance == best]
        further = [path for distance, path in readable if distance != best]
        strays += [f"{path.relative_to(folder)} (fits {student.name} less than {first.name})" for path in further]
        if best == PARTLY:
            partly.append(f"{first.relative_to(folder)} was taken for {student.name}'s, whose name it has in part.")
    return handed, strays, partly


def _files(folder: Path) -> Iterator[Path]:
    """Go through the files in a folder, and in those within it, but for hidden ones; links are not followed."""

    def unreadable(fault: OSError) -> None:
        raise FileError(f"cannot read {fault.filename}: {fault.strerror}")

    for root, folders, names in os.walk(folder, onerror=unreadable) if folder.is_dir() else ():
        folders[:] = sorted(one for one in folders if not one.startswith((".", "__")))
        links = [one for one in folders if Path(root, one).is_symlink()]
        for name in sorted([*links, *names]):
            if not name.startswith("."):
                yield Path(root, name)


def _mark_one(
    key: Key, chain: Chain, handed: Sequence[Path], weights: Mapping[str, float]
) -> tuple[Mark, Sheet | None]:
    student = key.student
    if not handed:
        return Mark(student, weights, MISSING), None
    if len(handed) > 1:
        told = f"handed in twice: {', '.join(one.name for one in handed)}"
        return Mark(student, weights, UNREADABLE, None, told), None
    path = handed[0]
    if path.is_symlink():
        return Mark(student, weights, UNREADABLE, None, "a link was handed in, not a file"), None
    try:
        found = sheet.read(path)
        own = replace(found, answers=_with_worked(found, key, chain))
        marking = check(own, chain)
    except GatewiseError as fault:
        return Mark(student, weights, UNREADABLE, None, str(fault).replace(str(path), path.name)), None
    verdicts = tuple(one for one in marking.verdicts if one.name in weights)
    marking = replace(marking, verdicts=verdicts, source=path.name)
    empty = all(one.status == BLANK for one in verdicts) and not marking.faults
    return Mark(student, weights, EMPTY if empty else MARKED, marking), found


def _with_worked(found: Sheet, key: Key, chain: Chain) -> dict[str, Answer]:
    """Return the answers of a sheet, after the lines that were worked for the student, as those are printed."""
    lines = [chain.by_name[name] for name in key.worked]
    tolerance = 0.5 * 10.0**-WORKED_DECIMALS
    worked = {one.name: Answer(worked_numbers(one), np.full(one.key.shape, tolerance), "") for one in lines}
    own = {}
    for name, answer in found.answers.items():
        quantity = chain.named(name)
        if quantity is None or quantity.name not in worked:
            own[name] = answer
    return worked | own


# The table.


def csv_text(grades: Grades) -> str:
    """Return the marks as a table for a spreadsheet: totals, and the points of each line."""
    lines = tuple(dict.fromkeys(name for one in grades.marks for name in one.weights))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*HEADS[:-2], "handed in", *HEADS[-2:], *lines])
    for one in grades.marks:
        cells = one.cells()
        earned = (one.earned(name) if name in one.weights else None for name in lines)
        own = ["" if some is None else points.shown(some) for some in earned]
        writer.writerow([*map(_harmless, (*cells[:-2], one.state, *cells[-2:])), *own])
    return BOM + buffer.getvalue()


def _harmless(cell: str) -> str:
    """Return text that a spreadsheet does not interpret as a formula."""
    return f"'{cell}" if cell.lstrip()[:1] in FORMULA else cell


def table(grades: Grades) -> Iterator[str]:
    """Give the marks as a table of at most 80 columns; a long cause continues below its line."""
    rows = [HEADS, *(one.cells() for one in grades.marks)]
    heads = len(HEADS) - 1
    widths = [max(cell_len(text.short(row[k])) for row in rows) for k in range(heads)]
    for row in rows:
        cells = [text.short(cell) for cell in row[:heads]]
        shown = [
            text.left_of(cell, width) if k in (0, heads - 1) else text.right_of(cell, width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        yield from _wrapped("  ".join(shown), text.clean(row[heads]))
    for what, told in (("Not marked", grades.strays), ("To look at", grades.facts)):
        if told:
            more = [] if len(told) <= 10 else [f"and {len(told) - 10} more"]
            yield ""
            yield f"{what}:"
            for one in [*told[:10], *more]:
                yield from _wrapped("", text.clean(one))


def _wrapped(line: str, rest: str) -> Iterator[str]:
    if line and cell_len(line) + 2 + cell_len(rest) <= text.WIDTH:
        yield f"{line}  {rest}".rstrip()
        return
    if line:
        yield line.rstrip()
    words, indent = rest.split(" "), "      " if line else "  "
    current = indent
    for word in words:
        if current != indent and cell_len(current) + 1 + cell_len(word) > text.WIDTH:
            yield current
            current = indent
        current += word if current == indent else f" {word}"
    yield current
