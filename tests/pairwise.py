"""A small set of cases in which every combination of a few factors' values meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np

Case = dict[str, Any]


def meetings(case: Case, strength: int) -> list[tuple[tuple[str, Any], ...]]:
    """Return every choice of `strength` factors of a case, with their values."""
    return list(combinations(case.items(), strength))


def every_case(factors: Mapping[str, Sequence[Any]], allowed: Callable[[Case], bool] | None = None) -> list[Case]:
    """Return the whole product of the factors, less the cases that are not allowed."""
    cases = [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]
    return cases if allowed is None else [case for case in cases if allowed(case)]


def cover(
    factors: Mapping[str, Sequence[Any]], strength: int = 2, allowed: Callable[[Case], bool] | None = None
) -> list[Case]:
    """Return cases in which all values of any `strength` factors meet that can meet in an allowed case.

    Greedy and deterministic: each case is the first of those in which most meetings are new.
    """
    cases = every_case(factors, allowed)
    number: dict[tuple[tuple[str, Any], ...], int] = {}
    met = np.array([[number.setdefault(each, len(number)) for each in meetings(case, strength)] for case in cases])
    new, chosen = np.ones(len(number), bool), []
    while new.any():
        best = int(new[met].sum(axis=1).argmax())
        new[met[best]] = False
        chosen.append(cases[best])
    return chosen
