"""A small set of cases in which every combination of a few factors' values meets: pairs instead of products."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import combinations, product
from typing import Any

import pytest

FOR_PEERS = True  # whether the peers' tests are asked for; conftest.py sets it before test modules are imported
Case = dict[str, Any]
Places = dict[int, int]  # of every factor, by its number, the number of a value
Meeting = tuple[tuple[int, int], ...]  # some of those


def asks_for_peers(marks: str) -> bool:
    """Tell whether the marks that a session asks for can be those of the peers' tests."""
    return not marks or re.search(r"(?<!\bnot )\bpeers\b", marks) is not None


def meetings(case: Mapping, strength: int) -> list[tuple]:
    """Return every choice of `strength` factors of a case, with their values."""
    return list(combinations(case.items(), strength))


def every_case(factors: Mapping[str, Collection], allowed: Callable[[Case], bool] | None = None) -> list[Case]:
    """Return the whole product of the factors, less the cases that are not allowed."""
    cases = [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]
    return cases if allowed is None else [case for case in cases if allowed(case)]


def cover(
    factors: Mapping[str, Collection], strength: int = 2, allowed: Callable[[Case], bool] | None = None
) -> list[Case]:
    """Return cases in which all values of any `strength` factors meet that can meet in an allowed case.

    Greedy and deterministic, and does not build the product: a case begins with the first meeting that is new, and
    takes of every other factor the value with which most meetings are new, or else the one used least. Only to know
    that a meeting is not allowed at all, every case that holds it is tried.
    """
    names, values = list(factors), [list(each) for each in factors.values()]
    impossible: set[Meeting] = set()
    used: Counter[tuple[int, int]] = Counter()

    def meets(case: Places, factor: int, value: int) -> list[Meeting]:
        """Return the meetings that a value adds to a case."""
        return [tuple(sorted((*few, (factor, value)))) for few in combinations(case.items(), strength - 1)]

    def completed(case: Places, new: Collection[Meeting]) -> Iterator[Places]:
        """Go through the whole cases that begin so, the best first."""
        factor = next((n for n in largest if n not in case), None)
        if factor is None:
            yield dict(sorted(case.items()))
            return
        ranked = []
        for value in range(len(values[factor])):
            found = meets(case, factor, value)
            if impossible.isdisjoint(found):
                ranked.append((-sum(one in new for one in found), used[factor, value], value))
        for *_, value in sorted(ranked):
            yield from completed({**case, factor: value}, new)

    def first_allowed(meeting: Meeting, new: Collection[Meeting]) -> tuple[Places, Case] | None:
        for places in completed(dict(meeting), new):
            case = {names[factor]: values[factor][value] for factor, value in places.items()}
            if allowed is None or allowed(case):
                return places, case
        return None

    largest = sorted(range(len(names)), key=lambda n: -len(values[n]))
    pairs = [[(factor, value) for value in range(len(each))] for factor, each in enumerate(values)]
    wanted = dict.fromkeys(one for few in combinations(pairs, strength) for one in product(*few))
    if allowed is not None:  # what cannot meet must be known, or cases would be sought that are made of it
        unseen = dict(wanted)
        for meeting in wanted:
            if meeting in unseen and (found := first_allowed(meeting, unseen)) is None:
                impossible.add(meeting)
            elif meeting in unseen:
                for one in meetings(found[0], strength):
                    unseen.pop(one, None)
    new, chosen = {one: None for one in wanted if one not in impossible}, []
    while new:
        places, case = first_allowed(next(iter(new)), new)
        for one in meetings(places, strength):
            new.pop(one, None)
        used.update(places.items())
        chosen.append(case)
    return chosen


def each(
    factors: Mapping[str, Collection],
    strength: int = 2,
    allowed: Callable[[Case], bool] | None = None,
    light: Callable[[Case], bool] | None = None,
) -> list[tuple[Case, Any]]:
    """Return cases in which every value occurs, of those that are `light` if that is given, and with the mark of the
    peers' tests those in which they meet, too, if these are asked for: such a cover takes long to find.
    """
    few = cover(factors, 1, light or allowed)
    many = cover(factors, strength, allowed) if FOR_PEERS else []
    return [*((case, ()) for case in few), *((case, pytest.mark.peers) for case in many if case not in few)]


def thinned(values: Collection, most: int = 1) -> list[Any]:
    """Return values for a test, of a mapping its keys; those after the first few have the mark of the peers' tests."""
    return [pytest.param(value, marks=[pytest.mark.peers] * (n >= most)) for n, value in enumerate(values)]


def pairs(
    strength: int = 2,
    allowed: Callable[[Case], bool] | None = None,
    rest: pytest.MarkDecorator | None = None,
    thin: bool | Callable[[Case], bool] = False,
    **factors: Collection,
) -> pytest.MarkDecorator:
    """Parametrize a test with a cover of its arguments' values, of a mapping its keys: ``@pairs(valid=VALID, ...)``.

    With `rest`, a mark, also with all other cases of the product, which have that mark. With `thin`, only as many
    as it takes for every value to occur, if it is a function among the cases for which it holds; the peers' tests have
    the cover.
    """
    if thin:
        chosen = each(factors, strength, allowed, thin if callable(thin) else None)
    else:
        cases = cover(factors, strength, allowed)
        others = [case for case in every_case(factors) if case not in cases] if rest is not None else []
        chosen = [*((case, ()) for case in cases), *((case, rest) for case in others)]
    made = [
        pytest.param(
            *case.values(), id="-".join(getattr(one, "__name__", str(one)) for one in case.values()), marks=marks
        )
        for case, marks in chosen
    ]
    return pytest.mark.parametrize(tuple(factors), made)
