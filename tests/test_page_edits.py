"""Mistakes as a page has them: the same trees and words as those of grading, written small."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.examples import latch, notebook
from gatewise.grading.edits.edit import LIKELY, ONE_ENTRY, Scene
from gatewise.grading.edits.enumeration import edits as enumerated
from gatewise.layers.wired import wiring_of
from gatewise.playground import edits
from gatewise.render import text
from gatewise.render.program import _tree, of_wiring
from gatewise.symbolic.rewrites import sized

Plain = dict[str, Any]


EXAMPLES = {"latch": latch, "notebook": notebook}
SOME = ("peephole, coupling, clips", "leaky relu, affine")


@cache
def scene(name: str) -> Scene:
    """Return the program of an example, or of a variant with a projection."""
    if name in EXAMPLES:
        cell: Any = EXAMPLES[name]().cell
    else:
        cell = cases.parameters(cases.VARIANTS[name], np.random.default_rng(0), projection=2)
    ((wired,),) = wiring_of(gw.LSTM.from_cells(cell)).cells
    p = wired.parameters
    recurrent, columns = p.recurrent_size, p.recurrent_size + p.input_size
    return Scene(sized(wired.program, recurrent, columns), recurrent, columns)


def written(found: Plain) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    "example",
    [
        *EXAMPLES,
        *(pytest.param(name, marks=() if name in SOME else (pytest.mark.peers,)) for name in cases.VARIANTS),
    ],
)
def test_every_mistake_comes_back_as_the_tree_that_grading_makes(example: str) -> None:
    found = edits.edits(scene(example))
    back = {(one["target"], one["words"], written(one["tree"])) for one in edits.expanded(json.loads(written(found)))}
    whole = [
        (text.formula(one.edit.target), one.edit.words, written(_tree(one.right)), one)
        for one in enumerated(scene(example))
    ]
    assert {(target, words, tree) for target, words, tree, one in whole if one.edit.tier == LIKELY} <= back
    forms = {(target, tree) for target, _, tree in back}
    merged = {(one.edit.target, one.form) for target, _, tree, one in whole if (target, tree) in forms}
    assert merged == {(one.edit.target, one.form) for *_, one in whole}  # nothing that an edit makes is lost
    of_entries = {one["words"] for one in edits.expanded(found) if one["tier"] == ONE_ENTRY}
    assert back - {(target, words, tree) for target, words, tree, _ in whole} == {
        one for one in back if one[1] in of_entries
    }


def test_slips_in_one_entry_are_told_with_what_the_page_puts_in() -> None:
    slips = [one for one in edits.expanded(edits.edits(scene("latch"))) if one["tier"] == ONE_ENTRY]
    told = {(one["target"], one["words"]) for one in slips}
    assert {
        ("a_f", "the product with {column} is missing from {} at {entry}"),
        ("dz", "the product with g: {column} has the wrong sign in {} at {entry}"),
        ("c", "the term i * g is missing from {} at {entry}"),
        ("vector", "the number of {other} is written at {entry} in {}"),
        ("vector", "the sign is lost in {} at {entry}"),
        ("matrix", "the decimal point is one place too far to the left in {} at {entry}, {column}"),
    } <= told
    marks = {"own", "here", "there", "that", "rest"}
    names = {name for one in slips for name in _names(one["tree"])}
    assert marks <= names


def test_the_mistakes_of_a_teaching_cell_are_small() -> None:
    assert len(written(edits.edits(scene("latch"))).encode()) < 60_000


def test_each_program_of_a_wiring_has_its_mistakes() -> None:
    cells = [gw.LSTMCell(3, 2), gw.LSTMCell(2, 2), gw.LSTMCell(2, 2, variant=gw.Variant(peephole="full"))]
    wiring = wiring_of(gw.LSTM.from_cells(cells))
    found = edits.of_wiring(wiring)
    programs = of_wiring(wiring)["program"]
    assert len(found) == len(programs)
    for one, program in zip(found, programs, strict=True):
        lines = {line["left"] for line in (*program["forward"], *program["backward"])}
        assert {"vector", "matrix"} < set(one["edits"]) <= lines | {"vector", "matrix"}
    assert ["p_f" in written(one) for one in found] == ["p_f" in written(program) for program in programs]


def _names(tree: Any) -> set[str]:
    if isinstance(tree, list):
        return {name for one in tree for name in _names(one)}
    if not isinstance(tree, dict):
        return set()
    own = {tree["text"]} if tree.get("node") == "symbol" else set()
    return own | {name for one in tree.values() for name in _names(one)}
