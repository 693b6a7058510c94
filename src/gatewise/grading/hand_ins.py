"""The files that a class handed in, whose each is, their keys, and sheets with the same numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, join_names
from gatewise.grading import matching, sheet
from gatewise.grading.chain import Chain, rounding
from gatewise.grading.handout import KEY, KEYS
from gatewise.grading.matching import match_answers
from gatewise.grading.problem import Problem, read_problem
from gatewise.grading.roster import PARTLY, Student, StudentNames
from gatewise.grading.sheet import Asked, Sheet, SheetAnswer
from gatewise.languages.language import LANGUAGES
from gatewise.render import text

MAX_DECIMALS = 15
KEY_LISTS = ("roster", "asked", "worked", "heads")  # of texts in a key


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


def key_paths(folder: Path) -> list[Path]:
    """Return the paths of the students' keys in the folder of an exercise."""
    keys = sorted((folder / KEYS).glob("[!.]*.json"))
    if not keys:
        fault = f"there is no key in {folder / KEYS}; gatewise exercise makes such a folder"
        raise FileError(f"cannot mark {folder}: {fault}")
    return keys


def read_key(path: Path) -> Key:
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
    for name in KEY_LISTS:
        if not isinstance(more.get(name), list) or not all(isinstance(item, str) for item in more[name]):
            raise FileError(f"cannot read {path}: its {name} must be a list of texts")
    cells, asked, worked, heads = (tuple(more[name]) for name in KEY_LISTS)
    try:
        place = int(more["place"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise FileError(f"cannot read {path}: its place must be the student's place in the roster") from None
    student, lang = Student(more["student"], path.stem, cells, heads), more.get("lang", "en")
    if lang not in LANGUAGES:
        raise FileError(f"cannot read {path}: its lang must be one of {', '.join(LANGUAGES)}")
    decimals = more.get("decimals")
    if decimals is not None and not (isinstance(decimals, Decimal) and decimals in range(MAX_DECIMALS + 1)):
        raise FileError(f"cannot read {path}: its decimals must be a whole number from 0 to {MAX_DECIMALS}")
    digits = (None if decimals is None else int(decimals)), more.get("decimals_required") is True
    return Key(student, place, asked, worked, read_problem(key_sheet), lang, *digits)


MIN_COMMON_DIGITS = 8.0 - 1e-6  # agree, beyond the common digits of two keys: by chance that hardly happens


@dataclass(frozen=True, eq=False)
class KeyAndAnswers:
    """The numbers of one student: those of the key, and those of the sheet, NaN where nothing is written."""

    student: str
    key: Array
    written: Array
    tolerance: Array


def key_and_answers(student: str, chain: Chain, asked: Sequence[str], sheet: Sheet | None) -> KeyAndAnswers:
    """Return the numbers of a student's key and sheet side by side, to find copied sheets in a class."""
    lines = [chain.by_name[name] for name in asked]
    answers = {} if sheet is None else match_answers(chain, sheet)[0]
    written = []
    for line in lines:
        answer = answers.get(line.name)
        if answer is None or answer.values.shape != line.key.shape:
            answer = SheetAnswer(np.full(line.key.shape, np.nan), np.zeros(line.key.shape), "")
        written.append((answer.values, answer.tolerance))
    arrays = ([line.key for line in lines], *zip(*written, strict=True))
    return KeyAndAnswers(student, *(np.concatenate([np.ravel(array) for array in column]) for column in arrays))


def facts_of_copying(sheets: Sequence[KeyAndAnswers]) -> Iterator[str]:
    """Yield sentences about a class: whose numbers equal another's key, and which sheets have the same numbers."""
    by_numbers: dict[bytes, list[KeyAndAnswers]] = {}
    for size in sorted({len(student.key) for student in sheets}):
        group = [student for student in sheets if len(student.key) == size]
        keys = np.array([student.key for student in group])
        for student in group:
            digits = np.where(np.isfinite(student.written), -np.log10(np.clip(2 * student.tolerance, 1e-9, 1.0)), 0.0)
            fits = ~(np.abs(keys - student.written) > student.tolerance + rounding(keys))
            apart = np.abs(keys - student.key) > student.tolerance + rounding(keys)
            telling = digits * apart  # digits that the two keys do not share
            others = np.flatnonzero(fits.all(-1) & (telling.sum(-1) >= MIN_COMMON_DIGITS))
            yield from (f"{student.student}'s sheet has the numbers of {group[k].student}'s key." for k in others)
            if not len(others) and digits.sum() >= MIN_COMMON_DIGITS:
                by_numbers.setdefault(student.written.tobytes(), []).append(student)
    for students in by_numbers.values():
        if len(students) > 1:
            names = [f"{student.student}'s" for student in students]
            yield f"{join_names(names, 'and', most=len(names))} sheets have the same numbers."


@dataclass(frozen=True, eq=False)
class HandIn:
    """One file of a student, and its numbers beside those of the key."""

    numbers: KeyAndAnswers
    name: str = ""  # of the file; empty if nothing was handed in
    sheet: Sheet | None = None  # none if the file cannot be read
    fault: str = ""  # the reason for that

    @property
    def size(self) -> int:
        """The number of asked numbers in the file; -1 if it cannot be read."""
        return -1 if self.sheet is None else int(np.isfinite(self.numbers.written).sum())

    def agrees(self, other: HandIn) -> bool:
        """Return whether two files have the same numbers, as far as their digits tell."""
        tolerance = np.maximum(self.numbers.tolerance, other.numbers.tolerance).max(initial=0)
        return np.allclose(self.numbers.written, other.numbers.written, rtol=0, atol=tolerance, equal_nan=True)


def assign_files(folder: Path, students: Sequence[Student]) -> tuple[dict[Student, list[Path]], list[str], list[str]]:
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
        strays.append(f"{'/'.join(parts)} ({f'could belong to {whose}' if whose else 'no student has that name'})")
    handed = {}
    for student, files in files_by_student.items():
        best, first = min(files, key=lambda entry: (entry[1].suffix.lower() not in sheet.SUFFIXES, entry[0]))
        handed[student] = [path for distance, path in files if distance <= best]
        worse_fits = [path for distance, path in files if distance > best]
        strays += [
            f"{path.relative_to(folder)} (matches {student.name} less well than {first.name})" for path in worse_fits
        ]
        taken = handed[student] if best == PARTLY else ()
        partly += [f"{path.relative_to(folder)} was matched to {student.name} by part of the name." for path in taken]
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


def choose(paths: Sequence[Path], key: Key, chain: Chain) -> tuple[HandIn, list[str]]:
    """Return the most complete of a student's files, and a sentence about each other one.

    Of several that are as complete, and have other numbers, none is chosen.
    """
    no_numbers = key_and_answers(key.student.name, chain, key.asked, None)
    files = [_read(path, key, chain, no_numbers) for path in paths]
    best, *others = sorted(files, key=lambda hand_in: -hand_in.size) or [HandIn(no_numbers)]
    rivals = [other for other in others if 0 < other.size == best.size and not best.agrees(other)]
    if rivals:
        rival_names = join_names((hand_in.name for hand_in in (best, *rivals)), "and")
        fault = f"handed in twice: {rival_names} are equally complete but differ; keep only one of them"
        return HandIn(no_numbers, best.name, fault=fault), []
    sentences = []
    for other in others:
        more_or_same = f"{best.name} has {'more' if other.size < best.size else 'the same'} numbers"
        reason = other.fault.removeprefix(f"cannot read {other.name}: ") or more_or_same
        sentences.append(f"{other.name} ({key.student.name}: {reason})")
    return best, sentences


def _read(path: Path, key: Key, chain: Chain, no_numbers: KeyAndAnswers) -> HandIn:
    if path.is_symlink():
        return HandIn(no_numbers, path.name, fault="a link was handed in, not a file")
    try:
        handed_sheet = matching.gather_indexed(chain, sheet.read(path))
    except FileError as fault:
        return HandIn(no_numbers, path.name, fault=str(fault).replace(str(path), path.name))
    return HandIn(key_and_answers(key.student.name, chain, key.asked, handed_sheet), path.name, handed_sheet)
