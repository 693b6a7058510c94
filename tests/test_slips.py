"""Slips planted by other lines of NumPy: the first wrong line is found, and what was done there is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from slips.by_hand import KINDS, Cell
from slips.groups import GROUPS
from slips.judging import kinds, measured
from slips.odd import odd_sheets
from slips.right import right_sheets
from slips.work import work

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


@pytest.mark.parametrize("group", GROUPS)
def test_slips_of_every_group_are_named(group):
    every = len(GROUPS[group]) // 3
    hold_slips(GROUPS[group][::every], 1, few=0.2)


def hold_slips(chosen: Sequence[str], cells: int, *, shown: float = 0.9, first: float = 0.7, few: float = 0.05) -> None:
    """Plant slips of some kinds in so many cells, and write them to 4 decimals."""
    found = [one for kind in chosen for one in measured(kind, 0, cells, [4])]
    assert {one.planted.slip.kind for one in found} == set(chosen)
    hold(found, "are not at the line where the slip is", [one for one in found if not one.located], 0.0)
    hold(found, "have too few digits", [one for one in found if one.few], few)
    hold(found, "are not named", [one for one in found if not one.named], 1 - shown)
    hold(found, "are not named first", [one for one in found if not one.foremost], 1 - first)


def hold(found: Sequence[object], what: str, failed: Sequence[object], most: float) -> None:
    """Assert that at most such a share failed."""
    assert len(failed) <= most * len(found), f"{len(failed)} of {len(found)} {what}\n" + "\n".join(map(str, failed))


def test_what_is_no_single_slip_gets_no_cause():
    hold_odd_sheets(0, 36)


def hold_odd_sheets(seed: int, count: int) -> None:
    """Write so many sheets that are wrong by no single slip."""
    found = list(odd_sheets(seed, count))
    hold(found, "are given a cause in the first wrong line", [one for one in found if one.first], 0.01)
    hold(found, "are given a cause somewhere", [one for one in found if one.any], 0.02)


def test_no_right_sheet_of_any_spelling_is_accused(tmp_path):
    hold_right_sheets(0, 57, tmp_path)


def hold_right_sheets(seed: int, count: int, folder: object) -> None:
    """Write so many right sheets."""
    found = list(right_sheets(seed, count, str(folder)))
    hold(found, "are accused", [one for one in found if one.accused], 0.0)
