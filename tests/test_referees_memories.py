"""Networks whose memory is known: the horizon that an experiment finds is theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from referees import REFEREES

import gatewise as gw
from gatewise.insight.reconciling import reconcile

MEMORIES = REFEREES.parent / "memories"
TRUTH = json.loads((MEMORIES / "truth.json").read_text("utf-8"))["nets"] if MEMORIES.is_dir() else {}
pytestmark = [pytest.mark.referees, pytest.mark.skipif(not TRUTH, reason=f"there are no memories at {MEMORIES}")]


HOW = {  # it ends, or why it is longer than its decay, in the sentence that reconciles three answers
    "and resets end it": ("latch", "sampler", "detector", "rare_latch", "trained_hold"),
    "since it is written again through h": (
        "bit_through_h",
        "delay_line",
        "shift_register",
        "bidirectional",
        "echo_state",
    ),
    "partly kept there and partly written again through h": ("bistable", "parity"),
    "which agrees": ("counter", "leaky"),
    "which is longer, though most of it is kept along the cell": ("two_integrators",),
    "little or nothing of a change after its own step": ("memoryless", "stuck_output"),
    "the output shows a change for": ("trained_tagger", "trained_river"),
    "the run is unstable": ("chaos",),
}


@pytest.mark.parametrize("name", TRUTH)
def test_decay_and_horizon_are_reconciled(name):
    network, x = gw.load_network(MEMORIES / TRUTH[name]["file"]), np.load(MEMORIES / TRUTH[name]["x"])
    trace = network.trace(x)
    timescales = [gw.insight.timescales(cell) for cell in trace.lstm.cells().values()]
    sentence = reconcile(gw.insight.horizon(trace), timescales, gw.insight.influence(trace))
    (how,) = (how for how, names in HOW.items() if name in names)
    assert how in sentence


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
        assert truth["type"] == "inf" or steps >= found.lags
    else:
        assert abs(found.steps - steps) <= truth["tolerance"] * steps
    assert found.ahead == truth.get("ahead", 0)
    if known["through"] not in ("none", None):
        assert found.columns["through"][np.argmax(found.columns["steps"])] == known["through"]
