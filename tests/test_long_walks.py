"""Long walks: what they show, that it is what each step shows by itself, and that only what is read is computed."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import cases
import numpy as np
import pytest
from pairwise import pairs, thinned
from program import exit_code, output_of
from rich.cells import cell_len
from rich.console import Console

import gatewise as gw
from gatewise.cli.stepping import steps_of
from gatewise.records.labels import Labels
from gatewise.render import terminal
from gatewise.showing import ENDINGS
from gatewise.walkthrough import build
from gatewise.walkthrough.lazy import MAX_WORKED, Groups, Lazy
from gatewise.walkthrough.parts import NumberTable, Sentence
from tests.test_notebook import executed

DELTA = 1e-7


pytestmark = pytest.mark.usefixtures("few_differences")


def lstm_of(variant="plain", dtype=np.float64):
    """Return an LSTM of a variant, with three features and four units."""
    rng = np.random.default_rng(sum(map(ord, variant)))
    return gw.LSTM.from_cells(cases.parameters(cases.VARIANTS[variant], rng, projection=None, dtype=dtype))


def trace_of(steps, variant="plain"):
    """Return the trace of a run."""
    return lstm_of(variant).trace(np.random.default_rng(7).normal(size=(steps, 3)), engine="reference")[0]


def blocks(walk, key, kind):
    """Return the blocks of a kind in the sections of a key."""
    return [block for one in walk.sections if one.key == key for block in one.blocks if isinstance(block, kind)]


def numbers(text):
    """Return the numbers of a text."""
    return np.array(re.findall(r"-?\d+\.?\d*(?:e[-+]\d+)?", text), dtype=np.float64)


def test_of_many_steps_the_first_and_the_last_are_worked_through_and_the_rest_is_named():
    walk = gw.walk(trace_of(MAX_WORKED + 1))
    assert list(walk.shown) == [0, MAX_WORKED]
    assert len(walk.steps) == MAX_WORKED + 1
    rest = [one for one in walk.sections if one.key == "left_out"]
    assert [one.time for one in rest] == [f"step 1 to step {MAX_WORKED - 1}"]
    assert "--at STEP" in rest[0].blocks[0].text
    assert {one.at for one in walk.sections} == {None, 0, MAX_WORKED}


@pytest.mark.thorough
def test_of_a_backward_walk_of_more_than_three_steps_text_has_the_first_and_the_last_and_other_formats_have_all():
    for steps in (3, 5):
        walk = gw.walk(trace_of(steps), backward=True)
        whole = gw.walk(trace_of(steps), backward=True, every_step=True)
        headings = [re.findall(r"^─+ (step .*?) ─+$", str(shown), re.MULTILINE) for shown in (walk, whole)]
        every = [f"step {n}, forward" for n in range(steps)] + [f"step {n}, backward" for n in reversed(range(steps))]
        assert headings[1] == every
        if steps == 3:
            assert headings[0] == every
            continue
        rest = f"step {steps - 2} to step 1"
        assert headings[0] == [every[0], every[steps - 1], every[steps], rest, every[-1]]
        assert f"{steps - 2} steps are not shown\n   --at STEP" in str(walk)
        for format in {*ENDINGS} - {"text", "html"}:
            assert walk.render(format) == whole.render(format)
        assert walk.render("html").count('<details class="step"') == 2 * steps
        assert str(gw.walk(trace_of(steps))).count("not shown") == 0


def test_of_few_steps_and_of_all_every_one_is_worked_through():
    assert {one.at for one in gw.walk(trace_of(MAX_WORKED)).sections} == {None, *range(MAX_WORKED)}
    assert {one.at for one in gw.walk(trace_of(MAX_WORKED + 5), every_step=True).sections} == {
        None,
        *range(MAX_WORKED + 5),
    }


@pytest.mark.parametrize("backward", [False, True])
def test_a_step_of_a_long_walk_reads_as_it_does_among_all(backward):
    trace = trace_of(MAX_WORKED + 2)
    every, few = (gw.walk(trace, backward=backward, every_step=whole) for whole in (True, False))
    for walk in (few, *(gw.walk(trace, backward=True, at=at) for at in (3, -1) if backward)):
        for section in walk.sections:
            if section.at is None:
                continue
            same = next(one for one in every.sections if (one.key, one.at) == (section.key, section.at))
            shown = [terminal.render(replace(walk, sections=(one,))) for one in (section, same)]
            assert re.sub(r"[\d.e+-]+", "#", shown[0]) == re.sub(r"[\d.e+-]+", "#", shown[1])
            np.testing.assert_allclose(*map(numbers, shown), atol=DELTA, rtol=1e-6)


@pytest.mark.parametrize("at", [0, 7, -1])
def test_one_step_that_is_asked_for_reads_as_it_does_by_itself(at):
    trace = trace_of(30)
    number = at % 30
    assert str(gw.walk(trace, at=at)) == str(gw.walk(trace.step(at), facts={"step": number}))


def test_time_counts_steps_in_a_trace_that_runs_backward_or_has_steps_that_are_not_valid():
    lstm = gw.LSTM(3, 2, bidirectional=True, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    traces = lstm.trace(x, lengths=[30, 25])
    for direction in ("forward", "backward"):
        trace = traces[0, direction]
        assert str(gw.walk(trace, at=4)) == str(gw.walk(trace.step(4), facts={"step": 4}))
        with pytest.raises(gw.OptionError, match="step 27 of sequence 1 is not valid"):
            gw.walk(trace, sequence=1, at=27)
    walk = gw.walk(traces[0, "backward"], backward=True, at=4)
    assert {one.time for one in walk.sections} == {None, "step 4, forward", "step 4, backward"}


NOT_ONE_STEP = [{"at": 30}, {"at": -31}, {"at": True}, {"at": 1.5}, {"brief": True}, {"every_step": True}]


@pytest.mark.parametrize("options", NOT_ONE_STEP)
def test_a_step_that_is_not_there_is_refused_and_so_is_one_among_all(options):
    with pytest.raises(gw.OptionError, match="there is no step" if "at" in options else "at shows one step"):
        gw.walk(trace_of(30), **{"at": 3, **options})


@pairs(steps=[1, 3, 30], format=ENDINGS, backward=[True, False], thin=True)
def test_a_glance_has_the_steps_and_backward_the_gradients_of_the_cell_states_too(steps, format, backward):
    trace = trace_of(steps)
    walk = gw.walk(trace, brief=True, backward=backward)
    keys = ["sequence", "through_time"][: 1 + backward]
    assert [one.key for one in walk.sections] == keys
    for key in keys:
        assert [len(table.rows) for table in blocks(walk, key, NumberTable)] == [steps] * 4
    if backward:
        found = gw.backward(trace, dstate=gw.State(np.ones(4), np.zeros(4)))
        last = [table.rows[-1][1][-1] for table in blocks(walk, "through_time", NumberTable)]
        np.testing.assert_allclose(last, found.state.c[0], rtol=1e-9)
    assert walk.render(format)


def test_a_glance_at_very_many_steps_has_the_first_and_the_last_and_says_how_many_it_leaves_out():
    trace = trace_of(1000)
    for table in blocks(gw.walk(trace, brief=True), "sequence", NumberTable):
        assert len(table.rows) + table.left_out == 1000
        assert [table.rows[place][0] for place in (0, 1, -1)] == ["step 0", "step 1", "step 999"]
    assert "… 980 more rows …" in str(gw.walk(trace, brief=True))
    assert [
        len(table.rows) for table in blocks(gw.walk(trace, brief=True, every_step=True), "sequence", NumberTable)
    ] == [1000] * 4


@pytest.mark.parametrize(
    "variant", thinned(["peephole, coupling, clips", "plain", "peephole, coupling, layer norm of Haste"])
)
def test_what_a_long_backward_pass_adds_up_is_what_the_engine_says(variant):
    lstm, steps = lstm_of(variant), MAX_WORKED + 4
    x = np.random.default_rng(1).normal(size=(steps, 3))
    trace = lstm.trace(x, engine="reference")[0]
    dy = np.random.default_rng(2).normal(size=(steps, 4))
    walk = gw.walk(trace, backward=True, dy=dy)
    expected = gw.backward(trace, dy)
    weights = [table for table in blocks(walk, "all_steps", NumberTable) if "bias" in table.columns]
    shown = np.array([[values for _, values in table.rows] for table in weights])
    order = [walk.steps[0].p.variant.own.index(k) for k in "figo" if k in walk.steps[0].p.variant.own]
    found = np.concatenate([expected.parameters["weight"], expected.parameters["bias"][..., None]], axis=-1)
    own = ["ifgo".index(k) for k in walk.steps[0].p.variant.own]
    wanted = found[own][order]
    if not walk.steps[0].form.split and not walk.steps[0].form.haste:
        np.testing.assert_allclose(shown, wanted, rtol=1e-9, atol=1e-12)
    first = walk.steps[0].scope
    for symbol, value in first.known.items():
        if str(symbol.base) == "c_prev" and symbol.d:
            np.testing.assert_allclose(value, expected.state.c[0], rtol=1e-9, atol=1e-12)


def test_a_long_backward_pass_follows_what_is_kept_along_the_cell_state():
    trace = trace_of(50)
    walk = gw.walk(trace, backward=True)
    for unit, table in enumerate(blocks(walk, "through_time", NumberTable)):
        assert [table.rows[place][0] for place in (0, -1)] == ["step 49", "step 0"]
        f = trace.forget_gate[::-1, unit]
        products = np.cumprod(f)
        for place in (0, 5, -1):
            np.testing.assert_allclose(table.rows[place][1][:2], [f[place], products[place]], rtol=1e-12)


def test_the_check_of_very_many_steps_is_left_to_all(monkeypatch):
    monkeypatch.setattr("gatewise.walkthrough.backward.MIN_CHECKED_STEPS", 30)
    walk = gw.walk(trace_of(31), backward=True)
    words = blocks(walk, "gradient_check", Sentence)
    assert "--every-step" in words[0].text


@pairs(format=[one for one in ENDINGS if one != "text"], backward=[True, False], thin=True)
def test_every_format_keeps_to_the_first_and_the_last_step(format, backward):
    trace = trace_of(50)
    few, more = (len(gw.walk(trace[:steps], backward=backward).render(format)) for steps in (22, 44))
    assert more < 1.2 * few


# What is computed.


def counting(count):
    """Return a sequence of so many items, and the places that were asked of it."""
    asked = []

    def make(place):
        asked.append(place)
        return place

    return Lazy(count, make), asked


def test_an_item_is_made_when_it_is_asked_for_and_once():
    items, asked = counting(10**9)
    assert (items[5], items[-1], items[5]) == (5, 10**9 - 1, 5)
    assert asked == [5, 10**9 - 1]
    assert list(items[10:13]) == [10, 11, 12]
    with pytest.raises(IndexError):
        items[10**9]


def test_groups_are_a_sequence_of_their_items():
    groups = Groups([lambda: [0, 1], list, lambda: [2], lambda: [3, 4]])
    assert list(groups) == [0, 1, 2, 3, 4]
    assert (len(groups), groups[0], groups[3], groups[-1]) == (5, 0, 3, 4)
    assert (tuple(groups[1:3]), tuple(groups[-2:])) == ((1, 2), (3, 4))
    with pytest.raises(IndexError):
        groups[5]


def test_a_run_goes_on_as_far_as_its_steps_are_asked_for(monkeypatch):
    lstm, x = lstm_of(), np.random.default_rng(0).normal(size=(1700, 3))
    ran = []
    whole = lstm.trace(x, engine="reference")[0]
    trace = gw.LSTM.trace
    monkeypatch.setattr(
        gw.LSTM, "trace", lambda self, x, *rest, **more: ran.append(len(x)) or trace(self, x, *rest, **more)
    )
    steps = steps_of(lstm, x, None, Labels())
    assert steps[3].time == 3
    assert sum(ran) < 1000
    for place in (0, 499, 500, 1699):
        assert (steps[place].hidden_state == whole.hidden_state[place]).all()
        assert (steps[place].previous.c == whole.previous.c[place]).all()
        assert steps[place].time == place
    assert sum(ran) == 1700


def test_the_sections_of_a_long_run_are_made_one_after_another(monkeypatch):
    made = []
    sections = build.forward.sections
    monkeypatch.setattr(build.forward, "sections", lambda bound: made.append(bound.at) or sections(bound))
    walk = gw.walk(trace_of(300), every_step=True)
    assert made == []
    following = iter(walk.sections)
    while next(following).at != 2:
        pass
    assert made == [0, 1, 2]


# The program.


def shown(capsys, *tokens):
    return output_of(capsys, "walk", *tokens)


@pytest.mark.thorough
def test_the_program_shows_a_long_walk_as_the_library_does(here, capsys):
    x = np.random.default_rng(0).normal(size=(24, 3))
    np.save("x.npy", x)
    text = shown(capsys, "--x", "x.npy")
    assert "An LSTM cell, the first and the last of 24 steps line by line" in text
    assert "step 1 to step 22" in text
    assert "not given    h_prev and c_prev: zero" in text
    assert shown(capsys, "--x", "x.npy", "--brief").count("step 23") == 4  # two blocks of columns for each unit
    assert "step         7\n" in shown(capsys, "--x", "x.npy", "--at", "7")
    assert shown(capsys, "--x", "x.npy", "--at", "-1") == shown(capsys, "--x", "x.npy", "--at", "23")
    assert shown(capsys, "--x", "x.npy", "--every-step").count("The new hidden state") == 24


@pytest.mark.parametrize("missing", ["x", "h", "c"])
def test_what_is_not_given_beside_the_others_is_zero_and_the_walk_says_so(missing, capsys):
    given = {"x": "1,2", "h": "1,2,3", "c": "3,2,1"}
    del given[missing]
    sizes = ["--input-size", "2", "--hidden-size", "3"]
    text = shown(capsys, *sizes, *(part for name, value in given.items() for part in (f"--{name}", value)))
    name = {"x": "x", "h": "h_prev", "c": "c_prev"}[missing]
    assert f"not given    {name}: zero\n" in text
    assert re.search(rf"^   {name} +0 +0", text, re.MULTILINE)


@pytest.mark.thorough
def test_a_file_over_twenty_megabytes_says_its_size_first(here, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["gatewise.cli.walk"], "LARGE", 4e5)
    assert exit_code(["walk", "--steps", "22", "--every-step", "-o", "walk.html"]) == 0
    told = capsys.readouterr().err
    size = Path("walk.html").stat().st_size / 1e6
    about = float(re.search(r"walk.html will take about (\d+) MB \(22 steps\)", told)[1])
    assert abs(about - size) < 0.2 * size + 1
    assert exit_code(["walk", "--steps", "22", "-o", "small.html"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", thinned([40, 80, 50, 60], 2))
def test_a_table_that_is_too_wide_is_broken_into_blocks_and_loses_no_number(width):
    walk = gw.walk(trace_of(3), unit=1, backward=True)
    buffer = io.StringIO()
    terminal.show(walk, Console(file=buffer, width=width, color_system=None))
    text = buffer.getvalue()
    if width > 40:  # where one product and its margin may be wider
        assert max(map(cell_len, text.splitlines())) <= width
    assert "left out" not in text
    wide = io.StringIO()
    terminal.show(walk, Console(file=wide, width=100, color_system=None))
    assert sorted(set(numbers(text))) == sorted(set(numbers(wide.getvalue())))


def test_columns_stay_aligned_in_letters_that_every_terminal_has():
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal.show(gw.walk(trace_of(2), unit=0), Console(file=buffer, width=80, color_system=None))
    buffer.seek(0)
    lines = buffer.read().splitlines()
    assert max(map(len, lines)) <= 80
    head = next(place for place, line in enumerate(lines) if line.strip().startswith("a = -2"))
    assert {line.rindex(".") for line in lines[head + 1 : head + 3]} != set()
    ends = [len(line) for line in lines[head : head + 3]]
    assert len(set(ends)) == 1


@pytest.mark.parametrize("options", [{}, {"backward": True}, {"backward": True, "at": 12}, {"brief": True}], ids=str)
def test_the_notebook_of_a_long_walk_runs_by_itself(options):
    assert executed(gw.walk(trace_of(40), **options))
