"""A walkthrough of an edited run shows what was edited, in every format, with numbers that follow from it."""

import json

import pytest
from cases import run_of
from edited_walks import FIXTURES, HELD, edited_trace, edited_walk, hold

import gatewise as gw
from gatewise.diagnostics.gradient_check import gradient_check

pytestmark = pytest.mark.usefixtures("few_differences")
CASES = {
    "every format": ("peephole, coupling, clips", "projected", "zoneout", 1, "backward", "olah"),
    "JSON": ("plain", "unprojected", "no dropout", 0, "three steps from every output", "pytorch"),
    "LaTeX": ("input=1-forget", "projected", "DropConnect", 3, "backward", "keras"),
    "notebook": ("peephole, coupling, layer norm of Haste", "unprojected", "dropout", 2, "backward", "notebook"),
}


@pytest.mark.parametrize("law", HELD)
def test_every_format_shows_edits_with_numbers_that_follow(law, monkeypatch, request):
    request.getfixturevalue(FIXTURES.get(law, "few_differences"))
    hold(law, monkeypatch, *CASES[law])


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html", "notebook", "json"])
def test_the_section_of_an_edited_quantity_says_what_was_done(format):
    run = run_of("plain", hidden=2)
    other = run.trace(engine="reference")
    edits = [
        gw.Edit.set("forget_gate", 1.0, units=1, steps=1),
        gw.Edit.scale("input_gate", 0.5, units=0, steps=1),
        gw.Edit.clamp("candidate", 0, 0.125, units=0, steps=1),
        gw.Edit.patch("output_gate", other, units=1, steps=1),
    ]
    trace = run.trace(edit=edits)
    shown = " ".join(gw.walk(trace, at=1).render(format).split())
    for part in ("set, from", "scaled by 0.5, from", "clamped between 0 and 0.125", "patched from another run"):
        assert part in shown, part
    assert "Edited" not in gw.walk(trace, at=0).render(format)
    whole = " ".join(str(gw.walk(trace)).split())
    assert "Edited: forget_gate of unit 1 set to 1 at step 1 (layer 0, forward); input_gate" in whole


def test_the_walk_back_passes_nothing_through_what_was_set():
    trace = run_of("plain", hidden=2).trace(edit=gw.Edit.set("hidden_state", 0.0, steps=2))
    document = json.loads(gw.walk(trace, backward=True).render("json"))
    found = {
        block["left"]["text"]: block["value"]
        for section in document["sections"]
        if section["at"] == 2
        for block in section["blocks"]
        if block["type"] == "equation"
    }
    assert found["dh_computed"] == [0, 0]
    assert found["dx"] == [0, 0]


def test_the_check_of_gradients_runs_with_the_edits(monkeypatch):
    monkeypatch.setattr("gatewise.diagnostics.gradient_check.MOST", 64)
    trace = edited_trace("peephole, coupling, clips", "projected", "zoneout", turn=0)
    steps = [trace.step(t) for t in range(len(trace))]
    compared = gradient_check(steps, *(1 + part[0] for part in trace.final))
    assert all(one.agrees for one in compared)
    assert all(one.visible for one in compared if one.name in ("x", "h_prev", "c_prev", "weight"))
    assert "agree with central differences" in str(edited_walk(trace, "two steps backward"))
