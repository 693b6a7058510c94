"""Small files made to be expensive are answered or refused: one sentence, within the memory that their size allows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import environment, refusal_of

import gatewise as gw
from gatewise.files import budget

pytest.importorskip("h5py")
pytest.importorskip("onnx")

from hostile import array_rows, json_rows, keras_rows, onnx_rows, reading, torch_rows

from gatewise.interop import keras  # noqa: F401  (which takes memory itself)

ROWS = [*array_rows.ROWS, *json_rows.ROWS, *keras_rows.ROWS]  # whose memory is Python's


@pytest.mark.usefixtures("small_budgets")
@pytest.mark.parametrize("row", [pytest.param(row, id=str(row), marks=[pytest.mark.peers] * row.peers) for row in ROWS])
def test_a_file_made_to_be_expensive_gets_its_answer_within_its_memory(row, tmp_path, monkeypatch):
    path = tmp_path / f"file.{row.format}"
    row.write(path)
    if row.work is not None:
        monkeypatch.setattr(budget, "WORK", budget.Limit(0, row.work))
    for answer in row.answers(path):
        assert re.search(row.answer, answer), answer


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    ("module", "peers"),
    [(torch_rows, False), (onnx_rows, False), pytest.param(onnx_rows, True, marks=pytest.mark.peers)],
)
def test_files_of_which_others_hold_the_memory_get_their_answers_in_a_small_process(module, peers, tmp_path):
    rows = {str(place): row for place, row in enumerate(module.ROWS) if peers or not row.peers}
    for place, row in rows.items():
        row.write(tmp_path / f"{place}.file")
        assert (tmp_path / f"{place}.file").stat().st_size < module.LARGEST
    worked = subprocess.run(
        [sys.executable, reading.__file__, tmp_path, module.__name__.rpartition(".")[2], *rows],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not worked.returncode, worked.stderr
    most, answers = json.loads(worked.stdout)
    assert most < module.MOST
    for row, answer in zip(rows.values(), answers, strict=True):
        assert re.search(row.answer, answer), (row.mutation, answer)


@pytest.mark.parametrize("case", array_rows.HEADERS)
def test_a_damaged_array_of_numpy_s_is_one_line_of_the_program(case, here, capsys):
    gw.save(gw.LSTM(2, 3, rng=0), "lstm.safetensors")
    array_rows.write_npy(Path("x.npy"), array_rows.HEADERS[case], 1)
    array_rows.write_npz(Path("x.npz"), array_rows.HEADERS[case], 1)
    for name in ("x.npy", "x.npz"):
        assert name in refusal_of(capsys, "trace", "lstm.safetensors", name, "--output", "out.safetensors")
