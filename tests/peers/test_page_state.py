"""The address of the page holds what is seen and changed, and refuses what the model does not have."""

from __future__ import annotations

import json

import numpy as np
import pytest
from peers import node

import gatewise as gw
from gatewise.playground import document
from gatewise.playground.sequence_run import sequence_run_of

pytestmark = pytest.mark.peers
node.require()


def test_addresses_hold_the_state(tmp_path):
    lstm = gw.LSTM(input_size=3, hidden_size=4, num_layers=2, bidirectional=True, rng=0)
    sequence_run = sequence_run_of(lstm, np.random.default_rng(1).normal(size=(6, 3)), 0, {})
    fixture = tmp_path / "fixture.json"
    fixture.write_text(json.dumps(document.run_document(sequence_run, None, ())), encoding="utf-8")
    given = {"FOLDER": str(node.modules(tmp_path / "assets")), "FIXTURE": str(fixture)}
    assert "# pass 5" in node.run("--test", node.SCRIPTS / "state.mjs", **given)
