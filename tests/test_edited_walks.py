"""A walkthrough of an edited run shows what was edited, in every format, with numbers that follow from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases import VARIANTS, run_of
from pairwise import pairs
from walks import DROPOUT, EVERY_PART, masks_of

import gatewise as gw
from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.records.edits import EDITABLE
from gatewise.records.trace import Trace
from gatewise.showing import ENDINGS
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.parts import Walkthrough
from tests import test_data, test_latex, test_notebook, test_render

pytestmark = pytest.mark.usefixtures("few_differences")

HELD = {
    "every format": test_render.test_all_formats_show_the_same_numbers,
    "JSON": test_data.test_a_reader_computes_every_value_again_from_the_file_alone,
    "LaTeX": test_latex.test_a_line_with_numbers_in_it_computed_as_its_latex_says_gives_the_number_shown,
    "notebook": test_notebook.test_the_cells_of_a_notebook_print_what_is_saved_in_them,
}

FIXTURES = {"every format": "whole_tables", "LaTeX": "every_digit"}  # with which the laws read


def edited_trace(variant: str, projection: str = "unprojected", dropout: str = "no dropout", turn: int = 0) -> Trace:
    """Return the trace of a small run in which, from the second step on, every quantity is edited in one of four ways.

    Bounds are where nothing is near them, so that a central difference does not step over a kink.
    """
    run = run_of(variant, projection=projection, hidden=2, batch=1)
    start = {"state": [[run.state]], "dropout": masks_of(dropout)}
    other = run.lstm.trace(-run.x, **start, engine="reference")
    edits = []
    for n, name in enumerate(EDITABLE):
        units = 0 if n % 2 else None
        steps = [1, 2] if n % 3 else 1
        edits += [
            [gw.Edit.set(name, 0.3, units=0, steps=steps)],
            [gw.Edit.scale(name, -0.5, units=units, steps=steps)],
            [gw.Edit.clamp(name, -0.01, 0.015, steps=steps), gw.Edit.scale(name, 2.0, units=0, steps=steps)],
            [gw.Edit.patch(name, other, units=-1, steps=steps)],
        ][(n + turn) % 4]
    return run.lstm.trace(run.x, **start, edit=edits)[0]


def edited_walk(trace: Trace, way: str, notation: str = "gatewise") -> Walkthrough:
    """Return a walk through such a run, forward or backward, or through an edited step of it."""
    dy = np.random.default_rng(4).normal(size=trace.hidden_state[:, 0].shape) if "every output" in way else None
    thing = trace if "steps" in way else trace.step(1)
    unit = 1 if way == "expanded" else None
    return gw.walk(thing, backward="backward" in way or dy is not None, dy=dy, unit=unit, notation=notation)


WAYS = ("forward", "expanded", "backward", "two steps", "two steps backward", "three steps from every output")
PROJECTED = {"unprojected": None, "projected": 1}
SUBJECTS = {"variant": VARIANTS, "projection": PROJECTED, "dropout": DROPOUT, "turn": range(4), "way": WAYS}


def readable(case):
    """Leave out what a law has no reader of: units that are expanded."""
    return not (case.get("law") in ("JSON", "every format") and case.get("way") == "expanded")


def light(case):
    """Keep the variants with every part, and of them the ways that take little time to render."""
    return (
        readable(case)
        and case["variant"] in EVERY_PART
        and (case["law"] != "every format" or "steps" not in case["way"])
    )


@pairs(**SUBJECTS, law=HELD, notation=NOTATIONS, allowed=readable, thin=light)
def test_every_format_shows_edits_with_numbers_that_follow(
    variant, projection, dropout, turn, way, law, notation, monkeypatch, request
):
    """Hold a law of the formats against the walk of an edited run."""
    request.getfixturevalue(FIXTURES.get(law, "few_differences"))
    walk = edited_walk(edited_trace(variant, projection, dropout, turn), way, notation)
    monkeypatch.setitem(HELD[law].__globals__, "walk_of", lambda *_: walk)
    HELD[law](variant, PROJECTED[projection], dropout, way, *([notation] if law != "LaTeX" else []))


@pytest.mark.parametrize("format", ENDINGS)
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
