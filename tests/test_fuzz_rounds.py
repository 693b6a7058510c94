"""The rounds over all readers end; the long run of them is `python -m tests.fuzzing`."""

from __future__ import annotations

import sys

import fuzz_rounds
import pytest


@pytest.mark.peers
def test_the_rounds_end_when_their_time_is_over(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzzing", "--minutes", "0", "--count", "30", "--seed", "7"])
    fuzz_rounds.main()
    told = capsys.readouterr()
    assert "30 spoiled files" in told.out
    assert "seed 7" in told.err
