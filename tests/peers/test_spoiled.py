"""Thousands of spoiled files of every kind are answered or refused: the long run of what the fast tests begin."""

from __future__ import annotations

import fuzz_rounds
import pytest

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("kind", fuzz_rounds.SPOIL)
def test_thousands_of_spoiled_files_are_answered_or_refused(kind, tmp_path):
    """`python -m tests.hostile --only spoiled` goes on with other seeds, for as long as is asked."""
    count = 50 if kind.endswith("expensive") else 200 if kind == "zarr stores" else 1_000
    tally = fuzz_rounds.SPOIL[kind](tmp_path, count=count, seed=1)
    assert tally.answered + tally.refused == count
    assert tally.answered
    assert tally.refused
