"""A class: its students, and the owner of a file from a learning platform."""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

from gatewise.errors import FileError
from gatewise.files import storage, tables
from gatewise.render import text

HEADS = (  # column heads in a roster's first line
    *("id", "student", "student id", "students", "name", "names", "first name", "last name", "surname", "number"),
    *("email", "e-mail", "user", "username", "vorname", "nachname", "matrikelnummer", "prénom", "nom", "nombre"),
)
MOST_STUDENTS = 10_000
MOST_ORDERED = 4  # words of a name that are tried in every order
EXACTLY, IN_ANY_ORDER, PARTLY = 0, 1, 2  # how well a name fits a student
TELLING = 3  # letters of a word that may stand for a whole name

# How learning platforms name the folder or file of a student.
_PLATFORMS = (
    re.compile(r"(?P<who>.+?)_\d+_assignsubmission_.*", re.DOTALL),  # Moodle: Ada Lovelace_12345_assignsubmission_file_
    re.compile(
        r"(?P<who>[^_]+)_(late_)?\d+_\d+_.+", re.DOTALL | re.IGNORECASE
    ),  # Canvas: lovelaceada_LATE_123_456_a.csv
)


@dataclass(frozen=True)
class Student:
    """One student; the name is the first of the cells of the roster's row, or as many as distinguish all students."""

    name: str
    file: str  # the name of the student's files, without their endings
    cells: tuple[str, ...]


def read(path: str | os.PathLike[str]) -> list[Student]:
    """Return the students of a class in the order of its roster, a .csv file.

    They are named by its first column, or by as many columns as distinguish them. A first line with column heads is
    skipped. Raise FileError if it cannot be read or has no names, or if two students' files would have the same name.
    """
    source = storage.readable(path)
    lines: list[tuple[int, tuple[str, ...]]] = []
    for number, row in tables.rows(source, storage.read_text(source, of_windows=True)):
        cells = tuple(map(text.clean, row))
        if cells[0] and (lines or number > 1 or cells[0].lower() not in HEADS):
            lines.append((number, cells))
    if not lines:
        raise FileError(f"cannot read {source}: there are no names in its first column")
    if len(lines) > MOST_STUDENTS:
        raise FileError(f"cannot read {source}: it has {len(lines)} students; at most {MOST_STUDENTS} are allowed")
    columns = max(len(cells) for _, cells in lines)
    for count in range(1, columns + 1):
        names = [", ".join(cell for cell in cells[:count] if cell) for _, cells in lines]
        first_lines: dict[str, int] = {}
        repeated_name = None
        for (number, _), name in zip(lines, names, strict=True):
            first = first_lines.setdefault(file_name(name).lower(), number)
            if first != number and repeated_name is None:
                repeated_name = f"line {number}, {name!r}, is the same as line {first}"
        if repeated_name is None:
            return [Student(name, file_name(name), cells) for name, (_, cells) in zip(names, lines, strict=True)]
    raise FileError(f"cannot read {source}: {repeated_name}")


def file_name(student: str) -> str:
    """Return a student's name in a form that is a valid file name on any system."""
    plain = unicodedata.normalize("NFC", student)
    name = re.sub(r"[^\w.@+-]+", "_", plain).strip("._")[:80]
    if not name or re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name):
        name = f"student_{zlib.crc32(student.encode()):08x}"
    return name


# The owner of a file


@dataclass(frozen=True)
class NameMatch:
    """The students that a name may mean, and how well it fits: exactly, in another order, or in part."""

    students: tuple[Student, ...]
    distance: int = EXACTLY


class StudentNames:
    """Finds the student that a file's or folder's name means, or all possible ones."""

    def __init__(self, students: Iterable[Student]) -> None:
        """Index the students of a class by the words, orders and columns of their names."""
        self._exact: dict[str, dict[Student, None]] = {}
        self._ordered: dict[str, dict[Student, None]] = {}
        self._by_word: dict[str, dict[Student, None]] = {}
        self._words: dict[Student, tuple[frozenset[str], frozenset[str]]] = {}
        for student in students:
            name_words, all_words = _split_words(student.name), _split_words(" ".join(student.cells))
            self._words[student] = frozenset(name_words), frozenset(all_words)
            for name in (student.file, student.name):
                self._exact.setdefault(_fold(name), {})[student] = None
            columns = [_split_words(" ".join(student.cells[:count])) for count in range(1, len(student.cells))]
            for words in (name_words, all_words, *columns):
                orders = permutations(words) if len(words) <= MOST_ORDERED else (words, words[::-1])
                for order in orders:
                    self._ordered.setdefault("".join(order), {})[student] = None
            for word in all_words:
                self._by_word.setdefault(word, {})[student] = None

    def find(self, name: str) -> NameMatch:
        """Return the students whose name a handed-in file (without its ending) or folder may have."""
        owner_name = next((match["who"] for pattern in _PLATFORMS if (match := pattern.fullmatch(name))), name)
        if exact := self._exact.get(_fold(owner_name)):
            return NameMatch(tuple(exact), EXACTLY)
        words = _split_words(owner_name)
        if ordered := self._ordered.get("".join(words)):
            return NameMatch(tuple(ordered), IN_ANY_ORDER)
        written = frozenset(words)
        is_telling = any(len(word) >= TELLING for word in words)
        similar = dict.fromkeys(student for word in words for student in self._by_word.get(word, ()))
        fitting = [
            student
            for student in similar
            if self._words[student][0] <= written or (is_telling and written <= self._words[student][1])
        ]
        return NameMatch(tuple(fitting), PARTLY)

    def owner(self, parts: Sequence[str]) -> NameMatch:
        """Return the students who may own a handed-in file: the first part of its path that fits one decides."""
        matches = [self.find(part) for part in parts]
        unique = next((match for match in matches if len(match.students) == 1), None)
        return unique or next((match for match in matches if match.students), NameMatch(()))


def _fold(name: str) -> str:
    """Return a name in a form that does not depend on the system whose archive it comes from."""
    return unicodedata.normalize("NFC", name).casefold()


def _split_words(name: str) -> tuple[str, ...]:
    """Return the words of a name, without accents and capitals."""
    plain = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", "".join(plain).casefold()))
