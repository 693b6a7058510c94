"""Slips planted by other lines of NumPy: the first wrong line is found, and what was done there is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slips.by_hand import KINDS, Cell
from slips.groups import GROUPS
from slips.judging import Draw, kinds, measured, random_cell, small_cell
from slips.odd import odd_sheets
from slips.right import right_sheets
from slips.work import work
from spellings import SPELLINGS

from gatewise.grading.chain import Chain


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_makes_no_slip_has_every_number_right(kind):
    hold_the_right_work(kind, 3, 2)


def hold_the_right_work(kind: str, steps: int, batch: int) -> None:
    """Work out a random cell."""
    cell = Cell.random(np.random.default_rng(steps), kind, steps=steps, batch=batch)
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


@pytest.mark.parametrize("group", GROUPS)
def test_slips_of_every_group_are_named(group):
    hold_slips(SOME[group], 1, small_cell)


def hold_slips(chosen: Sequence[str], cells: int, draw: Draw = random_cell) -> None:
    """Plant slips of some kinds in so many cells, and write them to 4 decimals."""
    found = [one for kind in chosen for one in measured(kind, 0, cells, [4], draw=draw)]
    assert {one.planted.slip.kind for one in found} == set(chosen)
    hold(found, "are not at the line where the slip is", [one for one in found if not one.located], 0.01)
    hold(found, "have too few digits", [one for one in found if one.few], 0.05)
    hold(found, "are not named", [one for one in found if not one.named], 0.1)
    hold(found, "are not named first", [one for one in found if not one.foremost], 0.3)


def hold(found: Sequence[object], what: str, failed: Sequence[object], most: float) -> None:
    """Assert that at most such a share failed."""
    assert len(failed) <= most * len(found), f"{len(failed)} of {len(found)} {what}\n" + "\n".join(map(str, failed))


def test_what_is_no_single_slip_gets_no_cause():
    hold_odd_sheets(0, 9, small_cell)


def hold_odd_sheets(seed: int, count: int, draw: Draw = random_cell) -> None:
    """Write so many sheets that are wrong by no single slip."""
    found = list(odd_sheets(seed, count, draw=draw))
    hold(found, "are given a cause in the first wrong line", [one for one in found if one.first], 0.01)
    hold(found, "are given a cause somewhere", [one for one in found if one.any], 0.02)


def test_no_right_sheet_of_any_spelling_is_accused(tmp_path):
    hold_right_sheets(0, len(SPELLINGS), tmp_path, small_cell)


def hold_right_sheets(seed: int, count: int, folder: Path, draw: Draw = random_cell) -> None:
    """Write so many right sheets."""
    found = list(right_sheets(seed, count, str(folder), draw=draw))
    hold(found, "are accused", [one for one in found if one.accused], 0.0)


def test_a_cause_is_judged_by_its_numbers():
    one = next(one for one in measured("no bias", 0, 1, [6], draw=small_cell) if one.sheet == "full")
    other = replace(one, written={name: value + 0.1 for name, value in one.written.items()})
    assert one.named
    assert one.gives(one.causes[0].predicted)
    assert not other.gives(one.causes[0].predicted)
