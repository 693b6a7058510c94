"""The diagram of a step: it says what the step's program does, with its numbers, and nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import cases
import numpy as np
import pytest
from pairwise import pairs
from walks import SUBJECTS, some, trace_of, walk_of

import gatewise as gw
from gatewise.gates import LETTERS, NAMES
from gatewise.render.diagram import COLUMN_WIDTH, MAX_BARS, MAX_NUMBERED, diagram, notes
from gatewise.render.layout import write_words
from gatewise.render.text import formula
from gatewise.symbolic.formula import C_PREV, F, G, H, I, MatMul, O, nodes
from gatewise.walkthrough.notation import NOTATIONS


def plainest(case: dict) -> bool:
    """Leave all but one step, forward or back, of the plainest kind to the variants with every part."""
    return some(case | {"way": "backward"} if case["way"] == "forward" else case)


GATES = dict(zip(LETTERS, (I, F, G, O), strict=True))
every = pairs(**SUBJECTS, way=("forward", "backward", "two steps"), notation=NOTATIONS, thin=plainest)


def drawn(walk, at=0) -> ElementTree.Element:
    return ElementTree.fromstring(diagram(walk, at, "k"))


def told(walk) -> str:
    """Return what is said below the diagram, as text."""
    return " ".join(write_words(words, formula) for words in notes(walk))


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()) for one in svg.iter("text")]


def marks(svg: ElementTree.Element, *classes: str) -> list[ElementTree.Element]:
    """Return the elements that have all of these classes."""
    return [one for one in svg.iter() if set(classes) <= set(one.get("class", "").split())]


def plain_walk(hidden: int, **switches):
    """Return a walk through a step of a cell with gates of every width and states of both signs."""
    rng = np.random.default_rng(hidden)
    p = cases.parameters(switches, rng, inputs=3, hidden=hidden)
    state = gw.State(rng.normal(size=hidden), rng.normal(size=hidden))
    return gw.walk(gw.LSTMCell.from_parameters(p).step(rng.normal(size=3), state))


@every
def test_every_step_of_every_cell_is_drawn_and_described(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    for at, bound in enumerate(walk.steps):
        svg = drawn(walk, at)
        title, description = svg[0], svg[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert (svg.get("aria-labelledby"), svg.get("aria-describedby")) == (title.get("id"), description.get("id"))
        assert svg.get("role") == "img"
        for symbol in (C_PREV, H, *GATES.values()):
            for value in bound.scope[symbol]:
                number = (f"{value:.0f}" if value == round(value) else f"{value:.4f}").replace("-", "−")
                assert number in description.text or not 0.001 <= abs(value) < 100
        _, _, width, height = map(float, svg.get("viewBox").split())
        for one in (*svg.iter("text"), *svg.iter("rect"), *svg.iter("circle")):
            x, y = (float(one.get(name) or one.get(f"c{name}")) for name in "xy")
            assert -1 <= x <= width
            assert -1 <= y <= height


@every
def test_what_is_drawn_on_the_wires_or_said_below_is_the_program(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    form, switches, svg = walk.steps[0].form, walk.steps[0].form.variant, drawn(walk)
    found = texts(svg)
    count = {name: found.count(name) for name in ("clip", "zoneout", "dropout", "layer norm")}
    assert count == {
        "clip": sum(clip is not None for clip in (switches.cell_clip, switches.output_clip, switches.projection_clip)),
        "zoneout": len(form.dropout & {"zoneout_cell", "zoneout_hidden"}),
        "dropout": len(form.dropout & {"recurrent", "input"}),
        "layer norm": switches.layer_norm == "haste",
    }
    assert any(re.fullmatch("R|W_hr", one) for one in found) == (projection is not None)
    assert any(one.startswith("1 −") for one in found) == bool(switches.coupled)
    below = told(walk)
    assert ("peepholes" in below) == (switches.peephole != "none") == bool(marks(svg, "dashed"))
    assert ("Layer norm" in below) == (switches.layer_norm != "none")
    assert ("clipped" in below) == (switches.gate_clip is not None)
    assert ("DropConnect" in below) == ("weight" in form.dropout)
    assert ("projection" in below) == form.projected
    assert ("Gradients" in below) == walk.backward
    assert ("φ" in found) == ("φ" in below)


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_a_gate_is_fed_by_what_its_program_takes(variant):
    """By x and h if it has weights; else by the gate that it is coupled to; dashed, by the cell state."""
    walk = gw.walk(trace_of(variant, None).step(0))
    program, svg = walk.steps[0].program, drawn(walk)
    ends = [one.get("d").rpartition("L")[2] for one in marks(svg, "wire") if one.get("class") == "wire"]
    dashed = [one.get("d").rpartition("L")[2] for one in marks(svg, "wire", "dashed")]
    for box, k in zip(marks(svg, "box"), "ifgo", strict=True):
        left, top, width, height = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        needed, seen = {GATES[k]}, set()
        while needed:  # up to other gates and to what comes from outside
            one = needed.pop()
            taken = program.symbols.get(one, ())
            seen |= {*taken}
            needed |= {other for other in taken if other not in GATES.values() and other in program.assignments}
            if any(isinstance(node, MatMul) for node in nodes(program.assignments[one].right)):
                seen.add("weights")
            needed -= {walk.steps[0].form.cell, walk.steps[0].form.raw_cell}
        assert (f"{left + width / 2:g} {top + height:g}" in ends) == ("weights" in seen), k
        coupled = [end for end in ends if abs(float(end.split()[1]) - top - 40) < 1]
        assert bool(coupled) == bool(walk.steps[0].form.variant.coupled)
        sees_a_cell = bool({C_PREV, walk.steps[0].form.cell} & seen) and k in "ifo" and "weights" in seen
        assert (f"{left + 13:g} {top:g}" in dashed) == sees_a_cell, k


@pytest.mark.parametrize("hidden", range(1, MAX_NUMBERED + 1))
def test_a_gate_is_filled_as_far_as_it_is_open(hidden):
    walk = plain_walk(hidden)
    svg, step = drawn(walk), walk.steps[0].step
    for name in ("input_gate", "forget_gate", "output_gate"):
        filled = [float(one.get("width")) / COLUMN_WIDTH for one in marks(svg, "fill", name)]
        np.testing.assert_allclose(filled, getattr(step, name), atol=0.01)


@pytest.mark.parametrize("quantity", ["cell_state", "hidden_state", "candidate"])
def test_a_signed_number_has_its_bar_on_the_side_of_its_sign(quantity):
    walk = plain_walk(4)
    svg, step = drawn(walk), walk.steps[0].step
    zeros = {float(re.search(r"[\d.]+", one.get("d"))[0]) for one in marks(svg, "zero")}
    bars = [one for one in marks(svg, "fill") if set(one.get("class").split()) & {"negative", "positive"}]
    assert {bar.get("class").split()[1] for bar in bars} == {"cell_state", "hidden_state", "candidate"}  # its own hue
    for bar in bars:
        start, end = float(bar.get("x")), float(bar.get("x")) + float(bar.get("width"))
        edge = end if "negative" in bar.get("class") else start
        assert min(abs(edge - zero) for zero in zeros) < 0.1
    signs = ["negative" in bar.get("class") for bar in bars]
    values = getattr(step, quantity) < 0
    assert 0 < sum(values) < 4
    assert any(signs[k : k + 4] == values.tolist() for k in range(0, len(signs), 4))


@pytest.mark.parametrize("switches", [{"output_activation": "affine:0.5,0.1"}, {"input_activation": "exponential"}])
def test_a_gate_that_does_not_lie_between_0_and_1_is_not_filled(switches):
    name = next(iter(switches)).replace("activation", "gate")
    walk = plain_walk(3, **switches)
    bars = marks(drawn(walk), "fill", name)
    assert len(bars) == 3
    assert all({"negative", "positive"} & set(bar.get("class").split()) for bar in bars)  # from the middle
    assert len(marks(drawn(walk), "fill", "forget_gate")) == 3
    letter = LETTERS[NAMES.index(name)]
    assert letter not in re.search(r"\. ([^.]*) (is|are) filled", told(walk))[1].replace("and", "").split()


@pytest.mark.parametrize("hidden", [MAX_NUMBERED + 1, MAX_BARS, 3 * MAX_BARS + 1])
def test_many_units_are_a_strip_with_their_mean_and_range(hidden):
    walk = plain_walk(hidden)
    svg, gate = drawn(walk), walk.steps[0].step.forget_gate
    (strip,) = marks(svg, "fill", "forget_gate")
    heights = [-float(one) / 34 for one in re.findall(r"v(-?[\d.]+)h", strip.get("d"))]
    means = [part.mean() for part in np.array_split(gate, min(hidden, MAX_BARS))]
    np.testing.assert_allclose(heights, means, atol=0.01)
    found = texts(svg)
    for value in (gate.mean(), gate.min(), gate.max()):
        assert f"{value:.2f}" in found
    assert ("a mean of neighbours" in told(walk)) == (hidden > MAX_BARS)
    assert len(diagram(walk, 0, "k")) < 30_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e-300])
@pytest.mark.parametrize("hidden", [2, 6])
def test_what_is_no_number_or_a_huge_one_is_drawn_too(value, hidden):
    step = gw.LSTMCell(3, hidden, rng=0, dtype=np.float64).step(
        [value, 0, 1], gw.State(np.ones(hidden), np.ones(hidden))
    )
    svg = drawn(gw.walk(step))
    for one in svg.iter():
        for name in ("x", "y", "width", "height", "d"):
            assert not re.search("nan|inf", one.get(name, ""))
    if not np.isfinite(value):
        assert str(value).replace("-", "−") in texts(svg)


def test_features_have_their_names_long_ones_their_beginning():
    labels = gw.Labels(features=["<b>&amp;", "x" * 99, "\x1b[31m"])
    step = gw.LSTM(3, 2, rng=0).trace(np.ones((1, 3)), labels=labels)[0].step(0)
    svg = drawn(gw.walk(step))
    assert {"<b>&amp;", "x" * 12 + "…"} <= set(texts(svg))
    assert "\x1b" not in diagram(gw.walk(step), 0, "k")


@pytest.mark.parametrize(
    ("inputs", "hidden"), [(2, 2), (MAX_NUMBERED + 1, 2), (2, MAX_NUMBERED + 1), (MAX_BARS + 1, 2)]
)
def test_strips_are_explained_where_there_are_some(inputs, hidden):
    walk = gw.walk(gw.LSTMCell(inputs, hidden, rng=0, dtype=np.float64).step(np.ones(inputs)))
    assert ("strip" in told(walk)) == ("mean" in texts(drawn(walk))) == (max(inputs, hidden) > MAX_NUMBERED)
    assert ("a mean of neighbours" in told(walk)) == (inputs > MAX_BARS)


def test_the_diagram_says_which_step_it_is_of():
    trace = trace_of("plain", None, steps=3)
    titles = [drawn(gw.walk(trace), at)[0].text for at in range(3)]
    assert titles == [f"The cell at step {at}: its gates and states" for at in range(3)]
    named = gw.LSTM(3, 2, rng=0).trace(np.ones((2, 3)), labels=gw.Labels(times=["May", "June"]))[0]
    assert drawn(gw.walk(named), 1)[0].text == "The cell at June: its gates and states"
    assert drawn(gw.walk(gw.LSTMCell(3, 2, rng=0).step(np.ones(3))))[0].text == "The cell: its gates and states"
