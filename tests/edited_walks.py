"""Walks through edited runs, put in the place of those that the laws of the formats are held against."""

from __future__ import annotations

import numpy as np
from cases import VARIANTS, run_of
from walks import DROPOUT, masks_of

import gatewise as gw
from gatewise.records.edits import EDITABLE
from gatewise.records.trace import Trace
from gatewise.walkthrough.parts import Walkthrough
from tests import test_data, test_latex, test_notebook, test_render

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


def hold(law: str, monkeypatch, variant, projection, dropout, turn, way, notation) -> None:
    """Hold a law of the formats against the walk of an edited run."""
    walk = edited_walk(edited_trace(variant, projection, dropout, turn), way, notation)
    monkeypatch.setitem(HELD[law].__globals__, "walk_of", lambda *_: walk)
    HELD[law](variant, PROJECTED[projection], dropout, way, *([notation] if law != "LaTeX" else []))
