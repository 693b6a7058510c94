"""Worked examples that fade: first all is worked but the end, then less and less, at last nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Line = TypeVar("Line")
GIVEN = ("none", "partly", "all")


def faded(lines: Sequence[Line], given: str) -> tuple[list[Line], list[Line]]:
    """Divide lines into the first ones, which are worked for the student, and those that are asked.

    Examples
    --------
    >>> [faded("zifgoch", given)[1] for given in GIVEN]
    [['z', 'i', 'f', 'g', 'o', 'c', 'h'], ['g', 'o', 'c', 'h'], ['h']]
    """
    count = {"none": 0, "partly": len(lines) // 2, "all": len(lines) - 1}[given]
    return list(lines[:count]), list(lines[count:])
