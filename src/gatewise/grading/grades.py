"""The marks of a class: the answers that came back, compared with the keys of an exercise."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rich.cells import cell_len

from gatewise import storage
from gatewise.errors import FileError, GatewiseError
from gatewise.grading import problem, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import ANSWERS, KEY, KEYS, MARKS
from gatewise.grading.marking import FOLLOWS, RIGHT, WRONG, Marking, check
from gatewise.render import text


@dataclass(frozen=True, eq=False)
class Mark:
    """The marks of one student.

    Attributes
    ----------
    student : str
    of : int
        How many quantities were asked for.
    marking : Marking or None
        None where nothing was handed in, or where it cannot be read.
    fault : str
        Why it cannot be read; empty otherwise.
    """

    student: str
    of: int
    marking: Marking | None
    fault: str = ""

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return not self.fault and (self.marking is None or self.marking.correct)

    @property
    def marks(self) -> int:
        """One mark for each quantity that is right or close, or follows correctly from earlier wrong ones."""
        return 0 if self.marking is None else self.marking.marks

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the student's line in the table."""
        if self.marking is None:
            return self.student, "0", str(self.of), "0", "0", "0", "", self.fault or "nothing handed in"
        counts = (self.marks, self.of, *(self.marking.count(status) for status in (RIGHT, FOLLOWS, WRONG)))
        first = self.marking.first
        cause = (
            ""
            if first is None
            else " or ".join(map(str, first.causes))
            or ("no known mistake" if first.digits is None else "too few digits to tell")
        )
        return self.student, *map(str, counts), "" if first is None else first.name, cause


BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # by which spreadsheets recognise UTF-8
HEADS = ("student", "marks", "of", "right", "follows", "wrong", "first wrong", "likely cause")


@dataclass(frozen=True, eq=False)
class Grades:
    """The marks of a class.

    Attributes
    ----------
    marks : tuple of Mark
    strays : tuple of str
        Files among the answers that belong to no student, or are no sheets.
    """

    marks: tuple[Mark, ...]
    strays: tuple[str, ...]

    @property
    def correct(self) -> bool:
        """Whether there is nothing wrong."""
        return all(one.correct for one in self.marks)


def mark(folder: Path, done: Callable[[], object] = lambda: None) -> Grades:
    """Mark the answers in the folder of an exercise, and write the marks beside them.

    Parameters
    ----------
    folder : path
    done : callable
        Called after each student.

    Raises
    ------
    FileError
        If the folder holds no keys, or a key cannot be read.
    """
    keys = keys_of(folder)
    names = {_folded(path.stem): path.stem for path in keys}
    handed: dict[str, list[Path]] = {}
    strays = []
    for path in sorted((folder / ANSWERS).glob("[!.]*")):
        owner = names.get(_folded(path.stem))
        if owner is None or path.suffix.lower() not in sheet.SUFFIXES:
            strays.append(path.name)
        else:
            handed.setdefault(owner, []).append(path)
    marks = []
    for path in keys:
        marks.append(_mark_one(path, handed.get(path.stem, [])))
        done()
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADS)
    writer.writerows([_harmless(cell) for cell in one.cells()] for one in marks)
    storage.write_text(folder / MARKS, BOM + buffer.getvalue())
    return Grades(tuple(marks), tuple(strays))


def keys_of(folder: Path) -> list[Path]:
    """Return the keys in the folder of an exercise."""
    keys = sorted((folder / KEYS).glob("[!.]*.json"))
    if not keys:
        told = f"there is no key in {folder / KEYS}; gatewise exercise makes such a folder"
        raise FileError(f"cannot mark {folder}: {told}")
    return keys


def _folded(name: str) -> str:
    """Return a name in a form that does not depend on the system whose archive it comes from."""
    return unicodedata.normalize("NFC", name).casefold()


def _harmless(cell: str) -> str:
    """Return text that a spreadsheet does not interpret as a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell


def _mark_one(path: Path, handed: Sequence[Path]) -> Mark:
    key = sheet.read(path, "given")
    if key.more.get("format") != KEY["format"] or key.more.get("version") != KEY["version"]:
        raise FileError(f"cannot read {path}: it is not a key of this version of gatewise")
    student = str(key.more.get("student", path.stem))
    asks = key.more.get("asked")
    of = int(asks) if isinstance(asks, Decimal) else 0
    if not handed:
        return Mark(student, of, None)
    if len(handed) > 1:
        return Mark(student, of, None, f"handed in twice: {', '.join(one.name for one in handed)}")
    if handed[0].is_symlink():
        return Mark(student, of, None, "a link was handed in, not a file")
    made = problem.of_sheet(key)
    try:
        return Mark(student, of, check(sheet.read(handed[0]), Chain(made.sequences(), made.dh, made.dc)))
    except GatewiseError as fault:
        return Mark(student, of, None, str(fault))


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
    if grades.strays:
        names = ", ".join(text.short(name) for name in grades.strays[:10])
        more = "" if len(grades.strays) <= 10 else f" and {len(grades.strays) - 10} more"
        yield ""
        yield from _wrapped(f"Not marked, because no key has that name or it is not a sheet: {names}{more}", "")


def _wrapped(line: str, rest: str) -> Iterator[str]:
    if cell_len(line) + 2 + cell_len(rest) <= text.WIDTH:
        yield f"{line}  {rest}".rstrip()
        return
    yield line.rstrip()
    words, indent = rest.split(" "), "      "
    current = indent
    for word in words:
        if current != indent and cell_len(current) + 1 + cell_len(word) > text.WIDTH:
            yield current
            current = indent
        current += word if current == indent else f" {word}"
    yield current
