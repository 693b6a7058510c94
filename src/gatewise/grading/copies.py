"""Sheets of a class with the same numbers: what is told to the teacher, as a fact, and no more than that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import join_names
from gatewise.grading.chain import Chain, rounding
from gatewise.grading.sheet import Sheet

DIGITS = 8.0  # that must agree, where the keys do not, before it can hardly be chance


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of one student: those of the key, and those of the sheet, NaN where nothing is written."""

    student: str
    key: Array
    written: Array
    tolerance: Array


def numbers(student: str, chain: Chain, asked: Sequence[str], sheet: Sheet | None) -> Numbers:
    """Return the numbers of a student's key and sheet side by side."""
    lines = [chain.by_name[name] for name in asked]
    written: dict[str, tuple[Array, Array]] = {
        one.name: (np.full(one.key.shape, np.nan), np.zeros(one.key.shape)) for one in lines
    }
    for name, answer in ({} if sheet is None else sheet.answers).items():
        quantity = chain.named(name)
        if quantity is not None and quantity.name in written and answer.values.size == quantity.key.size:
            shape = quantity.key.shape
            written[quantity.name] = answer.values.reshape(shape), answer.tolerance.reshape(shape)
    columns = ([one.key for one in lines], *zip(*written.values(), strict=True))
    return Numbers(student, *(np.concatenate([np.ravel(one) for one in column]) for column in columns))


def facts(sheets: Sequence[Numbers]) -> Iterator[str]:
    """Say whose numbers are those of another's key, and which sheets have the same numbers."""
    alike: dict[bytes, list[Numbers]] = {}
    for size in sorted({len(one.key) for one in sheets}):
        some = [one for one in sheets if len(one.key) == size]
        keys = np.array([one.key for one in some])
        for one in some:
            digits = np.where(np.isfinite(one.written), -np.log10(np.clip(2 * one.tolerance, 1e-9, 1.0)), 0.0)
            fits = ~(np.abs(keys - one.written) > one.tolerance + rounding(keys))
            telling = digits * (np.abs(keys - one.key) > one.tolerance)  # what the two keys do not have in common
            others = np.flatnonzero(fits.all(-1) & (telling.sum(-1) >= DIGITS))
            yield from (f"The numbers of {one.student}'s sheet equal {some[k].student}'s key." for k in others)
            if not len(others) and digits.sum() >= DIGITS:
                alike.setdefault(one.written.tobytes(), []).append(one)
    for same in alike.values():
        if len(same) > 1:
            names = [f"{one.student}'s" for one in same]
            yield f"{join_names(names, 'and', most=len(names))} sheets have the same numbers."
