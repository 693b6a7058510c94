"""What `check` promises of slips, measured apart from its own enumeration: nothing but time is heavy here."""

from __future__ import annotations

import pytest
from slips.by_hand import KINDS
from slips.groups import GROUPS
from slips.judging import shared_cell
from slips.timing import timed

from tests.test_slips import hold_odd_sheets, hold_right_sheets, hold_slips, hold_the_right_work

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_makes_no_slip_has_every_number_right(kind, steps):
    hold_the_right_work(kind, steps, 3 - steps)


def test_slips_of_every_group_are_named_nine_times_in_ten():
    hold_slips([kind for members in GROUPS.values() for kind in members[::4]], 1, shared_cell)


def test_of_eighteen_sheets_with_no_single_slip_none_gets_a_cause():
    hold_odd_sheets(1, 18, shared_cell)


def test_none_of_a_hundred_and_fifty_right_sheets_is_accused(tmp_path):
    hold_right_sheets(1, 150, tmp_path, shared_cell)


@pytest.mark.parametrize(("steps", "backward", "limit"), [(1, False, 1.0), (5, True, 5.0)])
def test_a_sheet_takes_as_long_as_a_person_waits(steps, backward, limit):
    taken = dict(timed(steps, backward, kinds=("plain",), only=("full", "c and h")))
    assert len(taken) == 8
    assert {says: seconds for says, seconds in taken.items() if seconds > limit} == {}
