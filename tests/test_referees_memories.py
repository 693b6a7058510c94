"""Networks whose memory is known: the horizon that an experiment finds is theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from referees import REFEREES

import gatewise as gw

MEMORIES = REFEREES.parent / "memories"
TRUTH = json.loads((MEMORIES / "truth.json").read_text("utf-8"))["nets"] if MEMORIES.is_dir() else {}
pytestmark = [pytest.mark.referees, pytest.mark.skipif(not TRUTH, reason=f"there are no memories at {MEMORIES}")]


@pytest.mark.parametrize("name", TRUTH)
def test_the_horizon_of_a_network_is_the_known_one(name):
    known = TRUTH[name]
    found = gw.insight.horizon(gw.load_network(MEMORIES / known["file"]), np.load(MEMORIES / known["x"]))
    truth = known["output"]
    assert found.stable == (truth["type"] != "chaos")
    if not found.stable:
        return
    steps = truth["weighted_by_effect"]["0.9"] if truth["type"] == "until" else truth["steps"]
    if found.at_least:
        assert steps >= found.lags
    else:
        assert abs(found.steps - steps) <= truth["tolerance"] * steps
    assert found.ahead == truth.get("ahead", 0)
    if known["through"] not in ("none", None):
        assert found.columns["through"][np.argmax(found.columns["steps"])] == known["through"]
