"""Sheets of a class with the same numbers: facts for the teacher, without a judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import join_names
from gatewise.grading.chain import Chain
from gatewise.grading.error_propagation import rounding
from gatewise.grading.matching import match_answers
from gatewise.grading.sheet import Sheet, SheetAnswer

LEAST_DIGITS = 8.0 - 1e-6  # agree, beyond the common digits of two keys: by chance that hardly happens


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of one student: those of the key, and those of the sheet, NaN where nothing is written."""

    student: str
    key: Array
    written: Array
    tolerance: Array


def numbers_of_student(student: str, chain: Chain, asked: Sequence[str], sheet: Sheet | None) -> Numbers:
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
    return Numbers(student, *(np.concatenate([np.ravel(array) for array in column]) for column in arrays))


def facts_of_copying(sheets: Sequence[Numbers]) -> Iterator[str]:
    """Yield sentences about a class: whose numbers equal another's key, and which sheets have the same numbers."""
    by_numbers: dict[bytes, list[Numbers]] = {}
    for size in sorted({len(student.key) for student in sheets}):
        group = [student for student in sheets if len(student.key) == size]
        keys = np.array([student.key for student in group])
        for student in group:
            digits = np.where(np.isfinite(student.written), -np.log10(np.clip(2 * student.tolerance, 1e-9, 1.0)), 0.0)
            fits = ~(np.abs(keys - student.written) > student.tolerance + rounding(keys))
            apart = np.abs(keys - student.key) > student.tolerance + rounding(keys)
            telling = digits * apart  # digits that the two keys do not share
            others = np.flatnonzero(fits.all(-1) & (telling.sum(-1) >= LEAST_DIGITS))
            yield from (f"{student.student}'s sheet has the numbers of {group[k].student}'s key." for k in others)
            if not len(others) and digits.sum() >= LEAST_DIGITS:
                by_numbers.setdefault(student.written.tobytes(), []).append(student)
    for students in by_numbers.values():
        if len(students) > 1:
            names = [f"{student.student}'s" for student in students]
            yield f"{join_names(names, 'and', most=len(names))} sheets have the same numbers."
