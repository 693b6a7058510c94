"""Files that a class handed in: whose each is, and which of a student's is marked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatewise.errors import FileError, join_names
from gatewise.grading import matching, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.copies import Numbers, numbers_of_student
from gatewise.grading.keys import Key
from gatewise.grading.roster import PARTLY, Student, StudentNames
from gatewise.grading.sheet import Sheet


@dataclass(frozen=True, eq=False)
class HandIn:
    """One file of a student, and its numbers beside those of the key."""

    numbers: Numbers
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
    no_numbers = numbers_of_student(key.student.name, chain, key.asked, None)
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


def _read(path: Path, key: Key, chain: Chain, no_numbers: Numbers) -> HandIn:
    """Return a file that a student handed in, read if it can be."""
    if path.is_symlink():
        return HandIn(no_numbers, path.name, fault="a link was handed in, not a file")
    try:
        handed_sheet = matching.gather_indexed(chain, sheet.read(path))
    except FileError as fault:
        return HandIn(no_numbers, path.name, fault=str(fault).replace(str(path), path.name))
    return HandIn(numbers_of_student(key.student.name, chain, key.asked, handed_sheet), path.name, handed_sheet)
