"""What a page says and shows is data: every quantity has its words and its formula, and each sentence its condition."""

from __future__ import annotations

import json

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.examples import latch
from gatewise.layers.wired import wiring_of
from gatewise.playground import words
from gatewise.render import slots, text
from gatewise.symbolic.heads import Dense, Head
from gatewise.walkthrough import sentences

MOST = 60_000  # bytes of the words and formulas of one program
EVERY = [
    (name, projection, dropout)
    for name in cases.VARIANTS
    for projection, dropout in (("unprojected", False), ("projected and clipped", True))
]


def wiring(name: str, projection: str, dropout: bool):
    run = cases.run_of(name, projection=projection, dropout=dropout, batch=1, time=2)
    return wiring_of(run.lstm, [[run.trace().dropout]], "zeros")


def program_of(made):
    (cell,) = made.cells[0]
    return cell.sized


def references(template):
    """Go through what the slots of a template refer to."""
    if isinstance(template, list):
        head, *rest = template or [None]
        if isinstance(head, str) and head in ("$n", "±", "±0", "$list", "$s", "$each", "$pairs"):
            refs = {"$n": rest[1:2], "$pairs": [*(rest[:1] and rest[0]), *rest[2:3]]}.get(head, rest[:1])
            yield from (one[0] if isinstance(one, list) else one for one in refs)
        for one in template:
            yield from references(one)


@pytest.mark.parametrize(("name", "projection", "dropout"), EVERY)
def test_every_quantity_has_a_name_a_formula_and_its_words(name, projection, dropout):
    made = wiring(name, projection, dropout)
    program = program_of(made)
    known = {text.formula(symbol) for symbol in program.axes}
    (said,), (shown,) = words.words(made), words.formulas(made)
    written = json.dumps([said, shown], ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    assert len(written.encode()) < 2 * MOST if "norm" in name else MOST
    shown = json.loads(json.dumps(shown))
    assert set(shown["symbols"]) == set(said["names"]) == known
    assert set(shown["lines"]) == {text.formula(symbol) for symbol in program.assignments}
    templates = [line[kind] for line in shown["lines"].values() for kind in ("math", "put", "told")]
    used = {text.formula(symbol) for symbols in program.symbols.values() for symbol in symbols}
    slotted = [template for line in shown["lines"].values() if line["put"] for template in line["put"]]
    assert set(references(templates)) <= used
    assert used - set(references(templates)) <= {one for one in used if one[0] in "WUR"}  # those that are transposed
    assert set(references(slotted)) >= {one for one in used if one[0] in "WURabp"}
    assert all(line["text"] for line in shown["lines"].values())
    for key in said["of"].values():
        assert key in said["sayings"] or key == "d_weights"
    numbers = range(len(said["conditions"]))
    for saying in (*said["sayings"].values(), said["moment"]):
        for case in (one for part in saying.get("parts", ()) for one in part):
            assert case.get("when", 0) in numbers
            assert set(sentences.SLOT.findall(case["words"])) <= {
                (variable, how) for variable in (*saying["variables"], "name") for how in ("number", "percent", "")
            }


def test_slots_know_where_brackets_are_wanted():
    lines = words.formulas(wiring("plain", "unprojected", False))[0]["lines"]
    plain = lines["c"]
    assert plain["told"] == [
        [
            "$sum",
            ["±", "f", ["$n", "a", "f"], "×", ["$n", "t", "c_prev"]],
            ["±", "i", ["$n", "a", "i"], "×", ["$n", "t", "g"]],
        ]
    ]
    assert lines["f"]["told"] == ["σ(", ["$n", "", "a_f"], ")"]
    assert lines["z"]["put"] is None  # no numbers go into it
    assert lines["a_f"]["told"] == [["$sum", ["$pairs", ["W_f"], 0, "z"], ["±0", "b_f", ["$n", "a", "b_f"]]]]


def test_the_head_has_formulas():
    found = slots.of_head(Head((Dense(np.ones((2, 1)), np.zeros(2), "softmax"),)))
    assert found["lines"]["a_y"]["text"] == "V · r + b_y"
    assert found["lines"]["a_y"]["told"] == [["$sum", ["$pairs", ["V"], 0, "r"], ["±0", "b_y", ["$n", "a", "b_y"]]]]
    assert found["lines"]["y"]["put"] is None  # it takes all outputs at once
    assert set(found["symbols"]) >= {"V", "b_y", "a_y", "r", "y", "dV", "db_y", "da_y", "dr", "dy"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.5, "keeps 50.0\xa0% of its old cell state"),
        (0.1, "keeps 10.0\xa0% of its old cell state (its gate is nearly closed)"),
        (0.9, "keeps 90.0\xa0% of its old cell state (its gate is nearly open)"),
        (1.5, "multiplies its old cell state by 1.5"),
        (-0.5, "multiplies its old cell state by -0.5"),
        (np.inf, "multiplies its old cell state by inf"),
        (np.nan, "is NaN, because something that it is computed from is NaN"),
    ],
)
def test_the_first_case_that_holds_is_said(value, said):
    assert sentences.GATES["f"].fill(value=value) == said


@pytest.mark.parametrize(
    ("arrived", "passed", "said"),
    [
        (0.0, 0.25, "passes on 0.25 to the previous cell state"),
        (np.nan, np.nan, "passes on nan to the previous cell state"),
        (2.0, 0.5, "passes on 25.0\xa0% of its gradient, 2, to the previous cell state"),
        (2.0, -3.0, "passes on -1.5 times its gradient, 2, to the previous cell state"),
    ],
)
def test_what_is_not_finite_is_no_share(arrived, passed, said):
    with np.errstate(all="ignore"):
        share = np.float64(passed) / np.float64(arrived)
    assert sentences.PREVIOUS_BACKWARD.fill(arrived=arrived, passed=passed, share=share) == said


def test_the_latch_writes_holds_and_releases():
    example = latch()
    trace = gw.LSTM.from_cells(example.cell).trace(example.x, ((example.state,),))[0]
    told = []
    for step in (trace.step(t) for t in range(len(trace))):
        M = step.moment
        values = {name: getattr(M, name)[0, 0] for name in "ifgoch"} | {"before": M.c_prev[0, 0]}
        told.append(sentences.MOMENT.fill(name="latch", **values))
    assert told[0].startswith("latch writes 0.9951: its input gate lets in 99.8\xa0% of it")
    assert all(one.startswith("latch holds 0.9") for one in told[1:])
    assert all(". It outputs almost nothing: its output gate is " in one for one in told[:-1])
    assert told[-1].endswith(". It releases 0.7503: its output gate is 99.8\xa0% open.")
