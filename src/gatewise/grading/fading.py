"""Worked examples that fade: first all is worked but the end, then less and less, at last nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Line = TypeVar("Line")
WORKED = ("none", "partly", "all")


def split_lines(lines: Sequence[Line], worked: str) -> tuple[list[Line], list[Line]]:
    """Split lines into the first ones, which are worked for the student, and those that are asked.

    Examples
    --------
    >>> [split_lines("zifgoch", worked)[1] for worked in WORKED]
    [['z', 'i', 'f', 'g', 'o', 'c', 'h'], ['g', 'o', 'c', 'h'], ['h']]
    """
    count = {"none": 0, "partly": len(lines) // 2, "all": len(lines) - 1}[worked]
    return list(lines[:count]), list(lines[count:])
