"""Mistakes as a page has them: the likely edits of grading, their words and the right sides that they make."""

from __future__ import annotations

from functools import cache
from typing import Any

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.activations import SIGMOID, TANH
from gatewise.examples import latch, notebook
from gatewise.grading.edits.edit import LIKELY, EditContext
from gatewise.grading.edits.enumeration import enumerate_edits
from gatewise.layers.wired import wiring_of
from gatewise.playground import quantities
from gatewise.render import text
from gatewise.render.data import formula_tree, wiring_document
from gatewise.symbolic.formula import FunctionCall, nodes
from gatewise.walkthrough.setting import activations_of

EXAMPLES = {"latch": latch, "notebook": notebook}
SOME = ("peephole, coupling, clips", "leaky relu, affine")


@cache
def scene(name: str) -> EditContext:
    """Return the program of an example, or of a variant with a projection."""
    if name in EXAMPLES:
        cell: Any = EXAMPLES[name]().cell
    else:
        cell = cases.parameters(cases.VARIANTS[name], np.random.default_rng(0), projection=2)
    ((wired,),) = wiring_of(gw.LSTM.from_cells(cell)).cells
    p = wired.parameters
    return EditContext(wired.sized, p.recurrent_size, p.recurrent_size + p.input_size)


@pytest.mark.parametrize(
    "example",
    [
        *EXAMPLES,
        *(pytest.param(name, marks=() if name in SOME else (pytest.mark.peers,)) for name in cases.VARIANTS),
    ],
)
def test_the_page_has_every_slip_of_a_learner_with_the_right_side_that_it_makes(example: str) -> None:
    written = quantities.edits_document(scene(example))
    assert not any(sign in edit["words"] for edit in written["edits"] for sign in ("*", "^2"))
    found = [
        (edit["kind"], edit["target"], edit["words"].replace(" × ", " * ").replace("²", "^2"), forms[edit["form"]])
        for forms in [written["forms"]]
        for edit in written["edits"]
    ]
    every = [(left, made) for left, mistakes in enumerate_edits(scene(example)).items() for made in mistakes]
    slips = [pair for pair in every if pair[1].tier == LIKELY and pair[1].kind in quantities.SLIPS]
    slips.sort(key=lambda pair: quantities.SLIPS.index(pair[1].kind))
    assert found == [(made.kind, text.formula(left), made.words, formula_tree(made.right)) for left, made in slips]
    assert all("{}" in edit["words"] for edit in written["edits"])
    calls = [node for _, made in slips for node in nodes(made.right) if isinstance(node, FunctionCall)]
    own = activations_of(scene(example).program.form.variant)
    assert {call.activation for call in calls} <= {None, SIGMOID, TANH, *own}  # which every page or this program has


def test_each_program_of_a_wiring_has_its_mistakes() -> None:
    cells = [gw.LSTMCell(3, 2), gw.LSTMCell(2, 2), gw.LSTMCell(2, 2, variant=gw.Variant(peephole="full"))]
    wiring = wiring_of(gw.LSTM.from_cells(cells))
    found = quantities.edits_of_wiring(wiring)
    programs = wiring_document(wiring)["program"]
    assert len(found) == len(programs)
    for mistakes, program in zip(found, programs, strict=True):
        lines = {line["left"] for line in (*program["forward"], *program["backward"])}
        assert {edit["target"] for edit in mistakes["edits"]} <= lines
    assert ["p_f" in str(mistakes) for mistakes in found] == ["p_f" in str(program) for program in programs]
