"""The keys of an exercise: whose each is, what was asked, and the run that the answers are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gatewise.errors import FileError
from gatewise.grading import sheet
from gatewise.grading.asked import Asked
from gatewise.grading.chain import Chain
from gatewise.grading.handout import KEY, KEYS
from gatewise.grading.problem import Problem, read_problem
from gatewise.grading.roster import Student
from gatewise.languages.language import LANGUAGES
from gatewise.render import text

MOST_DECIMALS = 15
LISTS = ("roster", "asked", "worked", "heads")  # of texts in a key


@dataclass(frozen=True, eq=False)
class Key:
    """A student's key: the own numbers, and the names of the lines that are asked and that were worked."""

    student: Student
    place: int  # in the roster
    asked: tuple[str, ...]
    worked: tuple[str, ...]
    problem: Problem
    lang: str = "en"  # of the hand-outs
    decimals: int | None = None  # that the sheet asks for
    decimals_required: bool = False  # for a point

    @property
    def request(self) -> Asked:
        """What the student's sheet asks for."""
        return Asked(self.asked, self.decimals, self.decimals_required)

    def chain(self) -> Chain:
        """Return the student's run to compare the answers with, or raise FileError if it lacks a line of the key."""
        chain = Chain(self.problem.sequences(), self.problem.dh, self.problem.dc)
        unknown = next((name for name in (*self.asked, *self.worked) if name not in chain.by_name), None)
        if unknown is not None:
            fault = f"there is no quantity {text.clean(unknown)[:40]!r}"
            raise FileError(f"cannot mark {text.clean(self.student.name)} by the key: {fault}")
        return chain


def paths(folder: Path) -> list[Path]:
    """Return the paths of the students' keys in the folder of an exercise."""
    keys = sorted((folder / KEYS).glob("[!.]*.json"))
    if not keys:
        fault = f"there is no key in {folder / KEYS}; gatewise exercise makes such a folder"
        raise FileError(f"cannot mark {folder}: {fault}")
    return keys


def read(path: Path) -> Key:
    """Return a student's key from its JSON file, or raise FileError if that cannot be read or has another version."""
    key_sheet = sheet.read(path, "given")
    more = {"heads": [], **key_sheet.more}  # which keys of a roster without heads may lack
    if more.get("format") != KEY["format"]:
        raise FileError(f"cannot read {path}: it is not a key of an exercise")
    if more.get("version") != KEY["version"]:
        version = text.clean(str(more.get("version")))[:20]
        fault = f"it is a key of version {version}, and this version of gatewise reads {KEY['version']}"
        raise FileError(f"cannot read {path}: {fault}; make the exercise again")
    if not isinstance(more.get("student"), str):
        raise FileError(f"cannot read {path}: its student must be a text")
    for name in LISTS:
        if not isinstance(more.get(name), list) or not all(isinstance(item, str) for item in more[name]):
            raise FileError(f"cannot read {path}: its {name} must be a list of texts")
    cells, asked, worked, heads = (tuple(more[name]) for name in LISTS)
    try:
        place = int(more["place"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise FileError(f"cannot read {path}: its place must be the student's place in the roster") from None
    student, lang = Student(more["student"], path.stem, cells, heads), more.get("lang", "en")
    if lang not in LANGUAGES:
        raise FileError(f"cannot read {path}: its lang must be one of {', '.join(LANGUAGES)}")
    decimals = more.get("decimals")
    if decimals is not None and not (isinstance(decimals, Decimal) and decimals in range(MOST_DECIMALS + 1)):
        raise FileError(f"cannot read {path}: its decimals must be a whole number from 0 to {MOST_DECIMALS}")
    digits = (None if decimals is None else int(decimals)), more.get("decimals_required") is True
    return Key(student, place, asked, worked, read_problem(key_sheet), lang, *digits)
