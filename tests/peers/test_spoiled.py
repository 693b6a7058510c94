"""Thousands of spoiled files of every kind are answered or refused: the long run of what the fast tests begin."""

from __future__ import annotations

from functools import partial

import pytest
import test_cli_files
import test_fuzzing
import test_json_models
import test_keras_spoiled
import test_onnx_refused
import test_torch_files

pytestmark = pytest.mark.peers

SPOIL = {
    "gatewise's own": test_fuzzing.spoil,
    "ONNX": test_onnx_refused.spoil,
    **{f"Keras, {kind}": partial(test_keras_spoiled.spoil, kind) for kind in test_keras_spoiled.KINDS},
    **{f"PyTorch, {kind}": partial(test_torch_files.spoil, kind) for kind in test_torch_files.SUBJECTS},
    **{f"JSON, {kind}": partial(test_json_models.spoil, kind) for kind in test_json_models.FORMATS},
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", SPOIL)
def test_thousands_of_spoiled_files_are_answered_or_refused(kind, seed, tmp_path):
    tally = SPOIL[kind](tmp_path, count=2_000, seed=seed)
    assert tally.answered + tally.refused == 2_000
    assert tally.answered
    assert tally.refused


def test_a_thousand_damaged_archives_do_no_more_than_give_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    test_cli_files.hold_damaged_archives(capsys, 1_000)
