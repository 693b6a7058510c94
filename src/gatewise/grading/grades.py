"""The marks of a class: the answers compared with the keys of an exercise."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.cells import cell_len

from gatewise.errors import FileError, GatewiseError, join_names
from gatewise.grading import copies, keys, matching, points, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import WORKED_DECIMALS, worked_numbers
from gatewise.grading.handout import ANSWERS, WEIGHTS, csv_lines
from gatewise.grading.keys import Key
from gatewise.grading.marking import Marking, check
from gatewise.grading.roster import PARTLY, Student, StudentNames
from gatewise.grading.sheet import Sheet, SheetAnswer
from gatewise.grading.verdicts import EARNING, MISSING, ONCE, STATUSES, Verdict, describe_counts
from gatewise.progress import working_through
from gatewise.render import text

MARKED, EMPTY, ABSENT, UNREADABLE = "marked", "blank", "missing", "unreadable"
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # by which spreadsheets recognise UTF-8
MOST_FAULTS = 3  # told beside a name; the student's page has more
FORMULA = tuple("=+-@|＝＋－＠｜")  # what a formula begins with, also in full width
HEADS = ("student", "marks", "of", *STATUSES, "handed in", "first wrong", "likely cause")
UNREAD = "it could not be read"


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

    @property
    def cause(self) -> str:
        """The student's first mistake if it is known, or the reason why there is no marking."""
        if self.marking is None:
            return self.fault or "nothing handed in"
        unread_lines = join_names(self.marking.faults, most=MOST_FAULTS + 1, separator="; ")
        first = self.marking.first
        if first is None:
            return unread_lines or ("all blank" if self.state == EMPTY else "")
        if not first.causes:
            return "no known mistake" if first.digits is None else "too few digits to tell"
        return " or ".join(map(str, first.causes))

    @property
    def first_wrong(self) -> str:
        """The name of the first wrong line, or empty."""
        return "" if self.marking is None or self.marking.first is None else self.marking.first.name

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the student's line in the table, under `HEADS`."""
        totals = (points.format_points(self.marks), points.format_points(self.of))
        statuses = [verdict.status for verdict in self.verdicts.values()]
        counts = (str(statuses.count(status)) for status in STATUSES)
        return self.student.name, *totals, *counts, self.state, self.first_wrong, self.cause


@dataclass(frozen=True, eq=False)
class Grades:
    """The marks of a class, in the order of the roster."""

    marks: tuple[Mark, ...]
    strays: tuple[str, ...] = ()  # files of no student or of several possible ones, each with the reason
    facts: tuple[str, ...] = ()  # files that fit a name only in part, and sheets with another's numbers

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return all(mark.correct for mark in self.marks)


def mark_class(folder: Path, weights: Path | None = None, repeat: str = ONCE) -> Grades:
    """Mark the sheets that a class handed in, in the folder of an exercise.

    The points of each line are in the file `weights`, by default weights.csv in the folder; without one, each line has
    one point. `repeat` says how often one mistake costs points: see `check`. Raise FileError if the folder holds no
    keys, or a key or the weights cannot be read.
    """
    class_keys = sorted((keys.read(path) for path in keys.paths(folder)), key=lambda key: key.place)
    if weights is None and (folder / WEIGHTS).exists():
        weights = folder / WEIGHTS
    asked = tuple(dict.fromkeys(name for key in class_keys for name in key.asked))
    points_by_line = dict.fromkeys(asked, 1.0) if weights is None else points.read(weights, asked)
    handed, strays, facts = _assign_files(folder / ANSWERS, [key.student for key in class_keys])
    marks, sheets = [], []
    with working_through("marking", len(class_keys)) as done:
        for key in class_keys:
            weights_of_key = {name: points_by_line[name] for name in key.asked}
            chain = key.chain()
            marked, handed_sheet = _mark_student(key, chain, handed.get(key.student, []), weights_of_key, repeat)
            marks.append(marked)
            sheets.append(copies.numbers_of_student(key.student.name, chain, key.asked, handed_sheet))
            done(1)
    return Grades(tuple(marks), tuple(strays), (*facts, *copies.facts_of_copying(sheets)))


# Handed-in files


def _assign_files(folder: Path, students: Sequence[Student]) -> tuple[dict[Student, list[Path]], list[str], list[str]]:
    """Return each student's files, the files of nobody with the reason, and sentences about partial fits."""
    names = StudentNames(students)
    files_by_student: dict[Student, list[tuple[int, Path]]] = {}
    strays, partly = [], []
    for path in _iterate_files(folder):
        parts = path.relative_to(folder).parts
        match = names.owner([*parts[:-1], path.stem])
        if len(match.students) == 1:
            files_by_student.setdefault(match.students[0], []).append((match.distance, path))
            continue
        whose = join_names((student.name for student in match.students[:4]), "or")
        strays.append(f"{'/'.join(parts)} ({f'may be that of {whose}' if whose else 'no student has that name'})")
    handed = {}
    for student, files in files_by_student.items():
        files.sort(key=lambda entry: (entry[1].suffix.lower() not in sheet.SUFFIXES, entry[0]))
        best, first = files[0]
        readable_files = [entry for entry in files if entry[1].suffix.lower() in sheet.SUFFIXES] or files[:1]
        handed[student] = [path for distance, path in readable_files if distance == best]
        worse_fits = [path for distance, path in readable_files if distance != best]
        strays += [f"{path.relative_to(folder)} (fits {student.name} less than {first.name})" for path in worse_fits]
        if best == PARTLY:
            partly.append(f"{first.relative_to(folder)} was taken for {student.name}'s, whose name it has in part.")
    return handed, strays, partly


def _iterate_files(folder: Path) -> Iterator[Path]:
    """Yield the files that students handed in: in a folder and its subfolders, except hidden ones."""

    def unreadable(fault: OSError) -> None:
        raise FileError(f"cannot read {fault.filename}: {fault.strerror}")

    for root, folders, names in os.walk(folder, onerror=unreadable) if folder.is_dir() else ():
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in sorted([*links, *names]):
            if not name.startswith("."):
                yield Path(root, name)


def _mark_student(
    key: Key, chain: Chain, handed: Sequence[Path], weights: Mapping[str, float], repeat: str
) -> tuple[Mark, Sheet | None]:
    """Return one student's marks, and the sheet if it could be read."""
    student = key.student
    if not handed:
        return Mark(student, weights, ABSENT), None
    if len(handed) > 1:
        fault_text = f"handed in twice: {', '.join(path.name for path in handed)}"
        return Mark(student, weights, UNREADABLE, None, fault_text), None
    path = handed[0]
    if path.is_symlink():
        return Mark(student, weights, UNREADABLE, None, "a link was handed in, not a file"), None
    try:
        handed_sheet = matching.gather_indexed(chain, sheet.read(path))
        completed = replace(handed_sheet, answers=_answers_with_worked(handed_sheet, key, chain))
        marking = check(completed, chain, repeat=repeat)
    except GatewiseError as fault:
        return Mark(student, weights, UNREADABLE, None, str(fault).replace(str(path), path.name)), None
    marking = replace(marking, verdicts=tuple(_verdicts_on_asked(marking, chain, weights)), source=path.name)
    empty = marking.count(MISSING) == len(marking.verdicts) and not marking.faults
    return Mark(student, weights, EMPTY if empty else MARKED, marking), handed_sheet


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
    answers = {}
    for name, answer in handed_sheet.answers.items():
        quantity = chain.named(name)
        if quantity is None or quantity.name not in worked:
            answers[name] = answer
    return worked | answers


# The table.


def csv_text(grades: Grades) -> str:
    """Return the marks of a class as CSV for a spreadsheet: totals, and the points of each line."""
    lines = tuple(dict.fromkeys(name for mark in grades.marks for name in mark.weights))
    rows = [[*HEADS, *lines]]
    for mark in grades.marks:
        earned = (mark.earned(name) if name in mark.weights else None for name in lines)
        point_cells = ["" if value is None else points.format_points(value) for value in earned]
        rows.append([*map(_escape_formula, mark.cells()), *point_cells])
    return BOM + csv_lines(rows)


def _escape_formula(cell: str) -> str:
    """Return text that a spreadsheet does not interpret as a formula."""
    return f"'{cell}" if cell.lstrip()[:1] in FORMULA else cell


def _text_row(mark: Mark) -> tuple[str, str, str, str, str]:
    """Return a student's name, points, possible points, lines by verdict, and the first mistake."""
    name, marks, of = map(text.short, mark.cells()[:3])
    mistake = ": ".join(filter(None, (mark.first_wrong, mark.cause)))
    return name, marks, of, describe_counts(mark.verdicts.values()), text.clean(mistake)


def text_table(grades: Grades) -> Iterator[str]:
    """Yield the lines of a table of a class's marks, at most 80 columns wide, the first mistake below each student."""
    rows = [(*HEADS[:3], "lines", ""), *map(_text_row, grades.marks)]
    name_width, *widths = (max(cell_len(row[k]) for row in rows) for k in range(3))
    for name, *numbers, lines, mistake in rows:
        cells = [text.left_of(name, name_width), *map(text.right_of, numbers, widths), ""]
        yield from text.wrap("  ".join(cells), lines, 6)
        yield from text.wrap(" " * 6, mistake, 6) if mistake else ()
    for title, sentences in (("Not marked", grades.strays), ("To look at", grades.facts)):
        if sentences:
            more = [] if len(sentences) <= 10 else [f"and {len(sentences) - 10} more"]
            yield ""
            yield f"{title}:"
            for sentence in [*sentences[:10], *more]:
                yield from text.wrap("  ", text.clean(sentence), 2)
