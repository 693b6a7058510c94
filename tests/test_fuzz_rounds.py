"""Spoiled files of every reader are answered or refused: few here, thousands in the peers' tests, more by the hour."""

from __future__ import annotations

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
