"""A class: its students, and the owner of a file from a learning platform."""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from gatewise.errors import FileError
from gatewise.files import storage, tables
from gatewise.render import text

# Column heads in a roster's first line, as people and learning platforms write them.
FIRST_NAME = ("first name", "firstname", "given name", "forename", "vorname", "prénom", "nombre")
LAST_NAME = ("last name", "lastname", "surname", "family name", "nachname", "familienname", "nom", "apellidos", "name")
FULL_NAME = ("full name", "student", "student name", "students", "names", "vollständiger name")
OTHER_HEADS = (
    *("id", "student id", "number", "identifier", "id number", "id-nummer", "matriculation number", "matrikelnummer"),
    *("email", "e-mail", "email address", "e-mail-adresse", "user", "username", "group", "gruppe", "course"),
)
HEADS = {*FIRST_NAME, *LAST_NAME, *FULL_NAME, *OTHER_HEADS}
MAX_STUDENTS = 10_000
MAX_REORDERED_WORDS = 4  # words of a name that are tried in every order
UNMARKED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "æ": "ae", "œ": "oe", "ħ": "h"})
_SPELLED_OUT = re.compile("(?<=[aou])e|(?<=a)a")  # what oe, ue and aa have beside ö, ü and å without their marks
EXACTLY, IN_ANY_ORDER, PARTLY = 0, 1, 2  # how well a name fits a student
MIN_WORD_LETTERS = 3  # letters of a word that may stand for a whole name

# How learning platforms name the folder or file of a student.
_PLATFORMS = (
    re.compile(r"(?P<who>.+?)_\d+_assignsubmission_.*", re.DOTALL),  # Moodle: Ada Lovelace_12345_assignsubmission_file_
    re.compile(
        r"(?P<who>[^_]+)_(late_)?\d+_\d+_.+", re.DOTALL | re.IGNORECASE
    ),  # Canvas: lovelaceada_LATE_123_456_a.csv
)


@dataclass(frozen=True)
class Student:
    """One student: the full name, and the cells of the roster's row below its column heads."""

    name: str
    file: str  # the name of the student's files, without their endings
    cells: tuple[str, ...]
    heads: tuple[str, ...] = ()  # empty if the roster has none


def read_roster(path: str | os.PathLike[str]) -> list[Student]:
    """Return the students of a class in the order of its roster, a .csv file.

    A first line of column heads says where the names are; without one they are in the first column, or in the first
    two. Where two students have the same name, the other columns belong to it, as many as distinguish all. Raise
    FileError if it cannot be read or has no names, or if two students' files would have the same name.
    """
    source = storage.readable(path)
    table = tables.rows(source, storage.read_text(source, of_windows=True))
    rows = [(number, tuple(map(text.clean, row))) for number, row in table]
    heads = rows.pop(0)[1] if rows and HEADS.intersection(map(str.casefold, rows[0][1])) else ()
    columns = _name_columns(heads) if heads else _columns_of_words([cells for _, cells in rows])
    lines = [(number, cells) for number, cells in rows if any(cells[k] for k in columns if k < len(cells))]
    if not lines:
        raise FileError(f"cannot read {source}: there are no names in its first column")
    if len(lines) > MAX_STUDENTS:
        raise FileError(f"cannot read {source}: it has {len(lines)} students; at most {MAX_STUDENTS} are allowed")
    width = max(len(cells) for _, cells in lines)
    others = [k for k in range(width) if k not in columns]
    for count in range(len(others) + 1):
        names = [_name_of(cells, heads, columns, others[:count]) for _, cells in lines]
        first_lines: dict[str, int] = {}
        repeated_name = None
        for (number, _), name in zip(lines, names, strict=True):
            first = first_lines.setdefault(file_name(name).lower(), number)
            if first != number and repeated_name is None:
                repeated_name = f"line {number}, {name!r}, is the same as line {first}"
        if repeated_name is None:
            return [Student(name, file_name(name), cells, heads) for name, (_, cells) in zip(names, lines, strict=True)]
    raise FileError(f"cannot read {source}: {repeated_name}")


def _name_columns(heads: Sequence[str]) -> list[int]:
    words = [head.casefold() for head in heads]
    full = [k for k, word in enumerate(words) if word in FULL_NAME]
    return full[:1] or [k for k, word in enumerate(words) if word in (*FIRST_NAME, *LAST_NAME)] or [0]


def _columns_of_words(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns of the names in a roster without heads: two, if surnames and first names seem to be apart."""
    seconds = [cells[1] if len(cells) > 1 else "" for cells in rows]
    are_words = all(re.fullmatch(r"[^\W\d_]{2,}([ .'’-]+[^\W\d_]+)*\.?", cell) for cell in seconds)
    are_apart = sum(" " in cells[0] for cells in rows) < len(rows) / 2 < len(set(seconds))
    return [0, 1] if are_words and are_apart else [0]


def _name_of(cells: Sequence[str], heads: Sequence[str], columns: Sequence[int], others: Sequence[int]) -> str:
    """Return a student's full name, as it is said or with the surname first, and what else is part of it."""
    parts = [[cells[k] for k in group if k < len(cells) and cells[k]] for group in (columns, others)]
    is_first_name = bool(heads) and heads[columns[0]].casefold() in FIRST_NAME
    return ", ".join([(" " if is_first_name else ", ").join(parts[0]), *parts[1]])


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
        self._ordered: dict[tuple[bool, str], dict[Student, None]] = {}
        self._by_word: dict[tuple[bool, str], dict[Student, None]] = {}
        self._words: dict[tuple[bool, Student], tuple[frozenset[str], frozenset[str]]] = {}
        for student, loosely in product(students, (False, True)):
            for name in (student.file, student.name):
                self._exact.setdefault(_fold(name), {})[student] = None
            columns = [" ".join(student.cells[:count]) for count in range(1, len(student.cells) + 1)]
            name_words, *words_of_columns = (_split_words(name, loosely) for name in (student.name, *columns))
            for words in (name_words, *words_of_columns):
                for order in _orders(words):
                    self._ordered.setdefault((loosely, "".join(order)), {})[student] = None
            all_words = words_of_columns[-1]
            self._words[loosely, student] = frozenset(name_words), frozenset(all_words)
            for word in all_words:
                self._by_word.setdefault((loosely, word), {})[student] = None

    def find(self, name: str) -> NameMatch:
        """Return the students whose name a handed-in file (without its ending) or folder may have."""
        owner_name = next((match["who"] for pattern in _PLATFORMS if (match := pattern.fullmatch(name))), name)
        if exact := self._exact.get(_fold(owner_name)):
            return NameMatch(tuple(exact), EXACTLY)
        spellings = [(loosely, _split_words(owner_name, loosely)) for loosely in (False, True)]
        for loosely, words in spellings:
            if ordered := self._ordered.get((loosely, "".join(words))):
                return NameMatch(tuple(ordered), IN_ANY_ORDER)
        for loosely, words in spellings:
            if fitting := self._fitting_in_part(loosely, words):
                return NameMatch(fitting, PARTLY)
        return NameMatch(())

    def _fitting_in_part(self, loosely: bool, words: Sequence[str]) -> tuple[Student, ...]:
        """Return the students all of whose names are among the words, or who have all the words in their rows."""
        written = frozenset(words)
        is_telling = any(len(word) >= MIN_WORD_LETTERS for word in words)
        fitting = []
        for student in dict.fromkeys(student for word in words for student in self._by_word.get((loosely, word), ())):
            name_words, all_words = self._words[loosely, student]
            if name_words <= written or (is_telling and written <= all_words):
                fitting.append(student)
        return tuple(fitting)

    def owner(self, parts: Sequence[str]) -> NameMatch:
        """Return the students who may own a handed-in file: the first part of its path that fits one decides."""
        matches = [self.find(part) for part in parts]
        unique = next((match for match in matches if len(match.students) == 1), None)
        return unique or next((match for match in matches if match.students), NameMatch(()))


def _fold(name: str) -> str:
    """Return a name in a form that does not depend on the system whose archive it comes from."""
    return unicodedata.normalize("NFC", name).casefold()


def _split_words(name: str, loosely: bool) -> tuple[str, ...]:
    """Return the words of a name without accents and capitals; `loosely`, ö, oe and o are one letter."""
    decomposed = unicodedata.normalize("NFKD", _fold(name).translate(UNMARKED))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return tuple(re.findall(r"[^\W_]+", _SPELLED_OUT.sub("", plain) if loosely else plain))


def _orders(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """Return the orders in which a name may be written: all, or, of a long one, those that keep its parts."""
    if len(words) <= MAX_REORDERED_WORDS:
        return permutations(words)
    return (*(words[k:] + words[:k] for k in range(len(words))), words[::-1])
