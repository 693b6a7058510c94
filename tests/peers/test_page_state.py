"""The address of the page holds what is seen and changed, and refuses what the model does not have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw
from gatewise.playground import document
from gatewise.playground.sequence_run import sequence_run_of

pytestmark = pytest.mark.peers
node = shutil.which("node")
if node is None:
    pytest.skip("node is not installed", allow_module_level=True)
MODULES = files("gatewise.playground").joinpath("assets")
SCRIPT = Path(__file__).parents[1] / "page" / "state.mjs"


def test_addresses_hold_the_state(tmp_path):
    shutil.copytree(str(MODULES), tmp_path, dirs_exist_ok=True)
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    lstm = gw.LSTM(input_size=3, hidden_size=4, num_layers=2, bidirectional=True, rng=0)
    sequence_run = sequence_run_of(lstm, np.random.default_rng(1).normal(size=(6, 3)), 0, {})
    fixture = tmp_path / "fixture.json"
    fixture.write_text(json.dumps(document.of_run(sequence_run, None, ())), encoding="utf-8")
    given = os.environ | {"FOLDER": str(tmp_path), "FIXTURE": str(fixture)}
    run = subprocess.run([node, "--test", SCRIPT], capture_output=True, encoding="utf-8", timeout=300, env=given)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 5" in run.stdout, run.stdout
