"""Slips planted by other lines of NumPy: the first wrong line is found, and what was done there is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pairwise import thinned
from slips.by_hand import KINDS, Cell
from slips.groups import GROUPS
from slips.judging import kinds, measured, random_cell, shared_cell, small_cell, written
from slips.odd import HOW, odd_sheets
from slips.right import right_sheets
from slips.timing import timed
from slips.unknown import WAYS, unknown_sheets
from slips.work import work
from spellings import SPELLINGS
from written import MOST, cells, sheets

import gatewise as gw
from gatewise.grading.chain import Chain


@pytest.mark.parametrize("steps", thinned([3, 1, 2]))
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_makes_no_slip_has_every_number_right(kind, steps):
    cell = Cell.random(np.random.default_rng(steps), kind, steps=steps, batch=1 if steps == 2 else 2)
    keys = Chain(cell.trace(), cell.dh, cell.dc).by_name
    found = work(cell)
    assert found.keys() == keys.keys()
    shapes = {name: (value.shape, keys[name].key.shape) for name, value in found.items()}
    assert {name: both for name, both in shapes.items() if both[0] != both[1]} == {}
    far = {name: float(np.abs(value - keys[name].key).max(initial=0)) for name, value in found.items()}
    assert {name: by for name, by in far.items() if by > 1e-12} == {}


def test_every_promised_kind_can_be_planted():
    assert {kind for members in GROUPS.values() for kind in members} <= set(kinds())


SOME = {
    "a symbol for another": ("another gate", "[x; h] for [h; x]"),
    "a factor or term": ("no bias", "dz without a gate"),
    "a sign, power, function or order": ("sign of the bias", "order of operations"),
    "a transposition or shape": ("transposed weights", "x for z"),
    "one entry": ("two digits exchanged", "sign of a product in one unit"),
    "the carry": ("c kept initial", "dc_next not carried"),
}


EVERY_FOURTH = tuple(kind for members in GROUPS.values() for kind in members[::4])


@pytest.mark.parametrize(
    ("chosen", "draw", "digits", "most"),
    [
        *((SOME[group], small_cell, 4, 0.1) for group in GROUPS),
        pytest.param(EVERY_FOURTH, shared_cell, 4, 0.1, marks=pytest.mark.peers),
        pytest.param(EVERY_FOURTH, shared_cell, 3, 0.2, marks=pytest.mark.peers),
    ],
    ids=[*GROUPS, "every fourth of all", "every fourth of all at 3 decimals"],
)
def test_slips_are_named_nine_times_in_ten(chosen, draw, digits, most):
    """Written to 4 decimals; to 3, eight times in ten."""
    found = [one for kind in chosen for one in measured(kind, 0, 1, [digits], draw=draw)]
    assert {one.planted.slip.kind for one in found} == set(chosen)
    hold(found, "are not at the line where the slip is", [one for one in found if not one.located], 0.01)
    hold(found, "have too few digits", [one for one in found if one.few], most / 2)
    hold(found, "are not named", [one for one in found if not one.named], most)
    hold(found, "are not named first", [one for one in found if not one.foremost], 0.3)


FEW = ("power of ten", "sign of a product in one unit", "product left out in one unit")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kinds", "digits", "draw"),
    [(FEW[:2], [2], small_cell), pytest.param(FEW, [2, 3, 4], random_cell, marks=pytest.mark.peers)],
)
def test_whoever_writes_as_many_digits_as_are_asked_for_is_told_the_cause(kinds, digits, draw):
    few = [one for kind in kinds for one in measured(kind, 1, 3, digits, draw=draw) if one.few]
    assert len(few) >= 2
    unanswered = []
    for one in few:
        asked, names = one.first.digits, one.planted.sheets()[one.sheet]
        assert asked > one.digits
        finer = written(work(one.planted.cell, one.planted.slip, asked, one.planted.on_the_way), names, asked)
        if not gw.check(finer, one.planted.chain, digits=asked).first.causes:
            unanswered.append(f"{one} → {asked}")
    hold(few, "are not told the cause", unanswered, 0.0)


def hold(found: Sequence[object], what: str, failed: Sequence[object], most: float) -> None:
    """Assert that at most such a share failed."""
    assert len(failed) <= most * len(found), f"{len(failed)} of {len(found)} {what}\n" + "\n".join(map(str, failed))


def drawn(few: int, many: int) -> pytest.MarkDecorator:
    """Parametrize a test by the sheets that it draws; the peers' tests draw more."""
    made = [(0, few, small_cell), pytest.param(1, many, shared_cell, marks=pytest.mark.peers)]
    return pytest.mark.parametrize(("seed", "count", "draw"), made)


@pytest.mark.thorough
@drawn(len(HOW), 220)
def test_what_is_no_single_slip_is_found_and_gets_no_cause(seed, count, draw):
    found = list(odd_sheets(seed, count, draw=draw))
    hold(found, "are not found where they begin", [one for one in found if not one.located], 0.0)
    hold(found, "are given a cause in the first wrong line", [one for one in found if one.first], 0.01)
    hold(found, "are given a cause somewhere", [one for one in found if one.any], 0.02)


@pytest.mark.thorough
@sheets(2, 10, MOST)
def test_a_mistake_of_no_known_class_is_found_and_gets_no_cause(drawn, each):
    found = list(unknown_sheets(3, cells(*drawn), each))
    assert len(found) < 200 or {one.how for one in found} == set(WAYS)
    hold(found, "are not found where they begin", [one for one in found if not one.located], 0.0)
    hold(found, "are given a cause", [one for one in found if one.any], 0.01)


@pytest.mark.thorough
@drawn(len(SPELLINGS), 300)
def test_no_right_sheet_of_any_spelling_is_accused(seed, count, draw, tmp_path):
    found = list(right_sheets(seed, count, str(tmp_path), draw=draw))
    hold(found, "are accused", [one for one in found if one.accused], 0.0)


def test_a_cause_is_judged_by_its_numbers():
    one = next(one for one in measured("no bias", 0, 1, [6], draw=small_cell) if one.sheet == "full")
    other = replace(one, written={name: value + 0.1 for name, value in one.written.items()})
    assert one.named
    assert one.gives(one.causes[0].predicted)
    assert not other.gives(one.causes[0].predicted)


@pytest.mark.peers
@pytest.mark.parametrize(("steps", "backward", "limit"), [(1, False, 1.0), (5, True, 5.0)])
def test_a_sheet_takes_as_long_as_a_person_waits(steps, backward, limit):
    taken = dict(timed(steps, backward, kinds=("plain",), only=("full", "c and h")))
    assert len(taken) == 8
    assert {says: seconds for says, seconds in taken.items() if seconds > limit} == {}
