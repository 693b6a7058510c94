"""The program in JSON is enough: a reader without gatewise computes from it what the sections show."""

from __future__ import annotations

import json

import cases
import numpy as np
import pytest
from pairwise import pairs
from walks import DROPOUT, PROJECTIONS, fewer, gradients_of_outputs, trace_of

import gatewise as gw
from gatewise.network import wiring_of
from gatewise.render import text
from gatewise.render.data import wiring_document
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.parts import WorkedEquation
from tests.test_data import computed

WAYS = {  # how many steps, whether backward, and whether from the outputs of all of them
    "forward": (1, False, False),
    "backward": (1, True, False),
    "three steps": (3, False, False),
    "three steps backward": (3, True, False),
    "three steps backward from every output": (3, True, True),
}
STACKED = ("u", "w", "n_u", "n_w")  # of all gates, one after the other
pytestmark = pytest.mark.usefixtures("few_differences")


def run(document: dict) -> tuple[list[dict], dict]:
    """Run a program as its schema in docs has it; return the values of every step, and the sums over all steps."""
    (program,), inputs = document["program"], document["inputs"]
    (parameters,) = document["parameters"]
    before, made, totals = inputs["before"], [], {}
    for t in range(len(inputs["steps"]["x"])):
        step = {**parameters, **inputs["always"], **before, **{name: rows[t] for name, rows in inputs["steps"].items()}}
        for one in program["forward"]:
            step[one["left"]] = computed(one["right"], step)
        made.append(step)
        before = {one["into"]: step[one["source"]] for one in program["carry"]}
    after = inputs["after"]
    for step in reversed(made) if after else ():
        step |= after
        for one in program["backward"]:
            step[one["left"]] = found = computed(one["right"], step)
            if one["sums"]:
                totals[one["left"]] = totals.get(one["left"], 0) + found
        after = {one["into"]: step[one["source"]] for one in program["carry_backward"]}
    return made, totals


def in_order(stacked: np.ndarray, order: str, other: str, trace: gw.Trace) -> np.ndarray:
    """Return the numbers of all gates that have weights of their own, with these in another order."""
    own = trace.parameters.variant.own
    gates = [k for k in order if k in own]
    return np.concatenate([np.split(stacked, len(gates))[gates.index(k)] for k in other if k in own])


@pairs(
    variant=cases.VARIANTS,
    projection=PROJECTIONS,
    dropout=DROPOUT,
    notation=NOTATIONS,
    way=WAYS,
    thin=fewer,
)
def test_what_the_sections_show_follows_from_the_program(variant, projection, dropout, notation, way):
    steps, backward, of_outputs = WAYS[way]
    trace = trace_of(variant, projection, dropout, steps=steps)
    loss = {"dy": gradients_of_outputs(trace)} if of_outputs else {}
    walk, own = (gw.walk(trace, backward=backward, notation=one, **loss) for one in ("gatewise", notation))
    made, totals = run(json.loads(own.render("json", program=True)))
    compared = 0
    for section in walk.sections:
        for block in section.blocks:
            if not isinstance(block, WorkedEquation):
                continue
            name, whole = text.formula(block.left), totals if section.key == "all_steps" else made[section.at]
            # Other notations have other weights and biases, and go through the gates in another order.
            if name in whole and np.shape(whole[name]) == np.shape(block.value):
                found = np.array(whole[name], np.float64)
                if name.strip("d") in STACKED:
                    found = in_order(found, *(NOTATIONS[one].order for one in (notation, "gatewise")), trace)
                np.testing.assert_allclose(found, block.value, rtol=1e-9, atol=1e-12, err_msg=name)
                compared += 1
    assert compared > (12 if backward else 8) * steps


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "average"])
def test_a_network_follows_from_its_wiring(merge):
    """A reader goes through layers, directions and head, as docs/walkthrough.schema.json has them."""
    rng = np.random.default_rng(6)
    lstm = gw.LSTM(2, 3, num_layers=2, bidirectional=True, merge=merge, rng=0, dtype=np.float64)
    head = gw.Linear(rng.normal(size=(2, lstm.output_size)), rng.normal(size=2), "sigmoid")
    network = gw.Network(lstm, embedding=rng.normal(size=(5, 2)), head=head)
    written = json.loads(json.dumps(wiring_document(wiring_of(network))))
    tokens = rng.integers(0, 5, 4)
    wiring, x = written["wiring"], np.array(written["wiring"]["embedding"])[tokens]
    assert len(written["program"]) == 2, "cells of one form and size share a program"
    for row, how in zip(wiring["layers"], wiring["merge"], strict=True):
        outputs = []
        for cell in row:
            order = slice(None, None, -1 if cell["direction"] == "backward" else 1)
            zeros = {"h_prev": [0.0] * 3, "c_prev": [0.0] * 3}
            inputs = {"before": zeros, "steps": {"x": x[order].tolist()}, "always": {}, "after": {}}
            picked = {"program": [written["program"][cell["program"]]], "inputs": inputs}
            made, _ = run({**picked, "parameters": [written["parameters"][cell["parameters"]]]})
            outputs.append(np.array([step["h"] for step in made])[order])
        ways = [{"h_forward": one, "h_backward": other} for one, other in zip(*outputs, strict=True)]
        x = np.array([computed(how["equations"][0]["right"], way) for way in ways])
    found = []
    for r in x:
        symbols = {**wiring["head"]["constants"], "r": r}
        for one in wiring["head"]["equations"][:2]:
            symbols[one["left"]] = computed(one["right"], symbols)
        found.append(symbols["y"])
    np.testing.assert_allclose(found, network(tokens)[0], rtol=1e-12)


@pairs(
    dropout=[False, True],
    variant=["plain", "peephole, coupling, layer norm of Haste", "peephole, coupling, clips"],
    thin=True,
)
def test_a_program_of_16_units_and_20_steps_is_small(variant, dropout):
    trace = cases.run_of(variant, dropout=dropout, inputs=3, hidden=16, time=20, batch=1).trace(engine="reference")
    size = len(gw.walk(trace, backward=True).render("json", program=True))
    assert size < 100_000
    if not dropout and variant == "plain":
        assert size < len(gw.walk(trace).render("json")) / 20, "sections of the steps forward alone"


def test_a_program_is_written_of_one_run_and_in_json_alone(tmp_path):
    trace = trace_of("plain", None, "no dropout", steps=3)
    walk = gw.walk([trace.step(0), trace.step(2)])
    with pytest.raises(gw.OptionError, match="of one run"):
        walk.render("json", program=True)
    with pytest.raises(gw.OptionError, match="in JSON only"):
        gw.walk(trace).render("text", program=True)
    gw.walk(trace).save(tmp_path / "walk.json", program=True)
    assert "program" in json.loads((tmp_path / "walk.json").read_text(encoding="utf-8"))
