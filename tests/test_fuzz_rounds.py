"""Spoiled files of every reader are answered or refused: few here, thousands in the peers' tests, more by the hour."""

from __future__ import annotations

import sys

import fuzz_rounds
import pytest
from fuzzing import SOME

KINDS = (  # one of each kind of parser; the others where time is not short
    *("gatewise's own", "ONNX", "Keras, whole models in HDF5", "PyTorch, zip", "NumPy, members"),
    *("data, hdf5.nc", "data, records.nc"),
    *("JSON, RTNeural", "NeuralHydrology, config.yml"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_files_are_answered_or_refused(kind, tmp_path):
    tally = fuzz_rounds.SPOIL[kind](tmp_path)
    assert tally.answered + tally.refused == SOME
    assert min(tally.answered, tally.refused) > SOME // 20


@pytest.mark.peers
def test_the_rounds_end_when_their_time_is_over(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzzing", "--minutes", "0", "--count", "30", "--seed", "7"])
    fuzz_rounds.main()
    told = capsys.readouterr()
    assert "30 spoiled files" in told.out
    assert "seed 7" in told.err
