"""A walkthrough shows what was computed: its equations give its numbers, in symbols and with numbers in their place."""

from __future__ import annotations

import json
import re

import cases
import numpy as np
import pytest
from native_subjects import ENGINES
from pairwise import pairs
from rich.cells import cell_len
from walks import DROPOUT, PROJECTIONS, SUBJECTS, equations, gradients_of_outputs, latch_trace, some, trace_of, walk_of

import gatewise as gw
from gatewise import examples
from gatewise.activations import Activation
from gatewise.cli import main
from gatewise.records.trace import Trace
from gatewise.render import layout, text
from gatewise.symbolic import evaluation, nonlinearities
from gatewise.symbolic import formula as f
from gatewise.symbolic.formula import DH_NEXT, DY
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.numbers import aligned, number, percent
from gatewise.walkthrough.parts import Expanded, NumberTable, Sentence, Walkthrough, WorkedEquation

pytestmark = pytest.mark.usefixtures("few_differences")

subjects = pairs(variant=cases.VARIANTS, projection=PROJECTIONS, dropout=DROPOUT, thin=some)


@pairs(**SUBJECTS, way=("forward", "backward", "two steps backward"), notation=NOTATIONS, thin=some)
def test_every_equation_gives_the_number_shown_in_symbols_and_with_numbers(variant, projection, dropout, way, notation):
    for equation in equations(walk_of(variant, projection, dropout, way, notation)):
        found = evaluation.evaluate(equation.right, equation.env)
        np.testing.assert_allclose(found, equation.value, rtol=1e-12, atol=1e-13, err_msg=text.formula(equation.left))
        for k, value in enumerate(np.atleast_1d(equation.value) if equation.worked else ()):
            found = evaluation.evaluate(evaluation.substitute(equation.right, equation.env, k), {})
            np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-13, err_msg=text.formula(equation.left))


@subjects
def test_every_equation_uses_only_numbers_that_were_shown_before_it(variant, projection, dropout):
    step = trace_of(variant, projection, dropout).step(1)
    given = re.compile(r"x|[hc]_prev|[WUbpR]_?\w*|mask_[hx]|D_?\w*|γ_\w+|β_c|k_[hc]|z_[hx]")
    known: dict[str, np.ndarray] = {}
    for equation in equations(gw.walk(step)):
        for symbol, value in equation.env.items():
            name = text.formula(symbol)
            if name in known:
                np.testing.assert_array_equal(known[name], value, err_msg=name)
            else:
                assert given.fullmatch(name), f"{name} comes from nowhere"
                known[name] = value
        known[text.formula(equation.left)] = equation.value


@subjects
def test_a_walk_ends_in_the_gates_and_states_of_the_step(variant, projection, dropout):
    step = trace_of(variant, projection, dropout).step(1)
    last = {text.formula(equation.left): equation.value for equation in equations(gw.walk(step))}
    names = {"i": "input_gate", "f": "forget_gate", "g": "candidate", "o": "output_gate"}
    names |= {"c": "cell_state", "h": "hidden_state"}
    for letter, name in names.items():
        np.testing.assert_allclose(last[letter], getattr(step, name), rtol=1e-12, err_msg=name)


@pairs(variant=cases.VARIANTS, projection=PROJECTIONS, unit=(None, 0), thin=some)
def test_a_walk_fits_a_terminal_of_80_columns(variant, projection, unit):
    shown = str(gw.walk(trace_of(variant, projection), unit=unit))
    assert max(map(len, shown.splitlines())) <= 80
    assert "\N{NO-BREAK SPACE}" not in shown


@pytest.mark.parametrize("size", [1, 7, 40, 300])
def test_a_large_cell_fits_a_terminal_of_80_columns_and_says_what_is_left_out(size):
    lstm = gw.LSTM(size, size, rng=0, dtype=np.float64)
    trace = lstm.trace(np.random.default_rng(1).normal(size=(1, size)))
    shown = str(gw.walk(trace[0].step(0)))
    assert max(map(len, shown.splitlines())) <= 80
    assert ("more (--unit K" in shown) == (size > layout.MAX_UNITS)
    assert ("columns are left out" in shown) == (size > 7)


def test_expanding_a_unit_shows_every_product_largest_first():
    step = trace_of("peephole", None).step(0)
    walk = gw.walk(step, unit=2)
    expanded = [block for section in walk.sections for block in section.blocks if isinstance(block, Expanded)]
    assert [text.formula(block.left) for block in expanded] == ["a_f", "a_i", "a_g", "c", "a_o", "h"]
    for block in expanded:
        assert block.unit == 2
        sizes = [abs(term.product) for term in block.terms]
        assert sizes == sorted(sizes, reverse=True)
    shown = str(walk)
    for term in expanded[0].terms:
        assert f"{number(term.weight)} × {number(term.value)}" in re.sub(r" +", " ", shown)


def test_expanding_a_unit_of_a_projected_cell_shows_what_the_projection_takes_of_it():
    shown = str(gw.walk(trace_of("plain", 3).step(0), unit=1))
    for k in range(3):
        assert f"h{k}: every product in its hidden state, largest first" in shown
    assert len(re.findall(r"^   m1 ", shown, re.MULTILINE)) == 3


def test_with_peepholes_the_output_gate_comes_after_the_cell_state_it_sees():
    keys = [section.key for section in gw.walk(trace_of("peephole", None).step(0)).sections]
    assert keys.index("cell_state") < keys.index("output_gate") < keys.index("hidden_state")
    keys = [section.key for section in gw.walk(trace_of("plain", None).step(0)).sections]
    assert keys.index("output_gate") < keys.index("cell_state")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.493, 0.5], "Unit 0 keeps 49.3 % of its old cell state; unit 1 keeps 50.0 % of its old cell state."),
        (
            [0.0, 1.0],
            "Unit 0 keeps 0 % of its old cell state (its gate is nearly closed); unit 1 keeps 100 % of its old cell",
        ),
        (
            [0.00004, 0.99996],
            "Unit 0 keeps 0.004 % of its old cell state (its gate is nearly closed); unit 1 keeps 99.996 % of its old",
        ),
    ],
)
def test_a_sentence_says_what_a_forget_gate_does(values, expected):
    bias = np.zeros((4, 2))
    with np.errstate(divide="ignore"):
        bias[1] = np.log(values) - np.log1p(-np.array(values))
    step = gw.LSTMCell.from_parameters(gw.Parameters(np.zeros((4, 2, 3)), bias)).step([0.0])
    section = next(s for s in gw.walk(step).sections if s.key == "forget_gate")
    sentence = section.blocks[-1]
    assert isinstance(sentence, Sentence)
    assert sentence.text.replace("\xa0", " ").startswith(expected)


def test_a_clip_and_zoneout_are_named_where_they_change_the_cell_state():
    p = gw.LSTMCell(3, 2, init="notebook", variant=gw.Variant(cell_clip=0.05), dtype=np.float64).parameters
    dropout = [[gw.DropoutMasks(zoneout_cell=np.array(0.9))]]
    state = ((gw.State(np.array([[0.3, 0.4]]), np.array([[0.2, 0.3]])),),)
    trace = gw.LSTM.from_cells(p).trace(np.array([[[0.5, 0.8, 0.2]]]), state, dropout=dropout)
    shown = " ".join(str(gw.walk(trace[0].step(0))).split())
    assert "-0.0019 is new, clipped to 0.05, and zoneout keeps 90.0 % of the old cell state" in shown
    assert trace[0].step(0).terms("cell_state", 0).of == "cell state before its clip"


def test_what_an_engine_rounds_otherwise_is_not_called_a_clip():
    lstm, x = gw.LSTM(3, 16, rng=0, dtype=np.float64), np.random.default_rng(0).normal(size=(8, 3))
    for engine in ENGINES:
        trace = lstm.trace(x, engine=engine)[0]
        assert not any("clipped" in sentences(gw.walk(trace.step(t)), "cell_state") for t in range(8))


def test_a_walk_of_several_steps_begins_with_all_of_them_at_a_glance():
    trace = latch_trace()
    walk = gw.walk(trace)
    glance = next(section for section in walk.sections if section.key == "sequence").blocks[0]
    assert isinstance(glance, NumberTable)
    assert [name for name, _ in glance.rows] == [f"step {t}" for t in range(7)]
    assert glance.columns == ("bit", "write", "release", *map(f.Symbol, "figoch"))
    found = np.array([values for _, values in glance.rows])
    np.testing.assert_array_equal(found[:, 3], trace.forget_gate[:, 0])
    assert {section.time for section in walk.sections} == {None, *(f"step {t}" for t in range(7))}


def test_a_trace_is_walked_in_its_own_direction_and_over_its_valid_steps():
    lstm = gw.LSTM(3, 2, direction="backward", rng=0, dtype=np.float64)
    trace = lstm.trace(np.ones((4, 2, 3)), lengths=[4, 2])[0]
    times = [section.time for section in gw.walk(trace, sequence=1).sections if section.time is not None]
    assert list(dict.fromkeys(times)) == ["step 1", "step 0"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda step: gw.walk(step, unit=4), "there is no unit 4; this cell has units 0 to 3"),
        (lambda step: gw.walk([]), "there is no step to walk through"),
        (lambda step: gw.walk("step"), "walk takes a Step, a sequence of them or a Trace, not str"),
        (
            lambda step: gw.walk(gw.LSTM(2, 2, num_layers=2, rng=0).trace(np.ones((2, 2)))),
            "walk needs the trace of one cell",
        ),
    ],
)
def test_a_wrong_subject_gets_one_sentence(make, message):
    with cases.refusal(message, by=gw.OptionError):
        make(trace_of("plain", None).step(0))


def test_labels_reach_the_tables_and_the_terms():
    example = examples.latch()
    shown = str(gw.walk(example.cell.step(example.x[0]), unit=0))
    for name in ("bit", "write", "release", "h(latch)", "latch keeps"):
        assert name in shown


def test_names_that_are_long_wide_or_orders_to_the_terminal_are_shown_as_harmless_names():
    p = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).parameters
    labels = gw.Labels(features=["a" * 100, "rain\n[mm]", "\x1b[31mred\x07"], units=["u" * 90, "日本語" * 30])
    step = gw.LSTMCell.from_parameters(p, labels).step([1, 2, 3])
    for unit in (None, 0, 1):
        lines = str(gw.walk(step, unit=unit, facts={"file": "\x1b]0;title\x07"})).splitlines()
        assert not any("\x1b" in line or "\x07" in line for line in lines)
        told = [line for line in lines if "u" * 90 in line or "日本語" * 30 in line]
        assert max(cell_len(line) for line in lines if line not in told) <= 80
        assert any("rain [mm]" in line for line in lines)


def test_a_projection_as_wide_as_the_cell_does_not_call_its_outputs_units():
    trace = trace_of("plain", 4)
    last = str(gw.walk(trace.step(0), unit=2)).split("The new hidden state")[1]
    assert re.findall(r"^   (h\d) +h = ", last, re.MULTILINE) == ["h0", "h1", "h2", "h3"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_infinity_are_walked_through_as_they_are(dtype):
    cell = gw.LSTMCell(3, 2, rng=0, dtype=dtype)
    for value in (np.nan, np.inf):
        shown = str(gw.walk(cell.step([value, 0, 0])))
        assert str(value) in shown


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.0, 8, "0"),
        (-0.0, 8, "0"),
        (0.00130100123, 8, "0.001301"),
        (-0.0054349, 8, "-0.0054349"),
        (1.0, 8, "1"),
        (123456.5, 8, "123456.5"),
        (1e-7, 8, "1e-07"),
        (np.float32(0.1), 8, "0.1"),
        (float("nan"), 8, "nan"),
        (float("-inf"), 8, "-inf"),
        (0.04826596, 4, "0.0483"),
        (1e20, 8, "1e+20"),
    ],
)
def test_a_number_is_written_as_numpy_writes_it(value, digits, expected):
    assert number(value, digits) == expected


def test_aligned_numbers_have_their_points_below_each_other():
    texts = aligned([1.5, -22.25, 3, float("nan"), 1e-9])
    assert len({len(entry) for entry in texts}) == 1
    assert texts[0].index(".") == texts[1].index(".")


def test_a_percentage_never_says_nothing_or_everything_when_it_is_not():
    for share in (1e-12, 1e-6, 0.0004, 0.5, 0.9996, 1 - 1e-6):
        assert percent(share).replace("\xa0", " ") not in ("0 %", "0.0 %", "100 %", "100.0 %")
    assert (percent(0.0), percent(1.0)) == ("0\xa0%", "100\xa0%")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (f.less(f.Symbol("q"), f.Number(-2.0)), "q - (-2)"),
        (f.add(f.Number(-1.0), f.times(f.Number(-2.0), f.Number(-3.0))), "-1 - 2×(-3)"),
        (f.times(f.less(f.ONE, f.Symbol("k", "c")), f.Symbol("c_new")), "(1 - k_c) ⊙ c_new"),
        (f.Power(f.less(f.Symbol("q"), f.Symbol("μ", "q")), f.TWO), "(q - μ_q)^2"),
        (nonlinearities.textbook(Activation("sigmoid")), "1 / (1 + e^(-a))"),
        (nonlinearities.textbook(Activation("hard_sigmoid", 0.2, 0.5)), "max(0, min(1, 0.2×a + 0.5))"),
    ],
)
def test_a_formula_is_written_with_the_brackets_it_needs(node, expected):
    assert text.formula(node).replace("\N{NO-BREAK SPACE}", " ") == expected


# The backward pass.


@pairs(variant=cases.VARIANTS, projection=PROJECTIONS, dropout=DROPOUT, of_outputs=(False, True), thin=some)
def test_a_backward_walk_ends_in_the_gradients_of_back_propagation(variant, projection, dropout, of_outputs):
    """Whether the loss depends on the last states alone or on the outputs of all three steps."""
    trace = trace_of(variant, projection, dropout, steps=3)
    p, rng = trace.parameters, np.random.default_rng(5)
    dh, dc = rng.normal(size=p.recurrent_size), rng.normal(size=p.hidden_size)
    dy = rng.normal(size=(3, p.recurrent_size)) if of_outputs else None
    walk = gw.walk(trace, backward=True, dy=dy, dh=dh, dc=dc)
    assert "agree with central differences" in sentences(walk, "gradient_check") or not of_outputs
    expected = gw.backward(trace, None if dy is None else dy[:, None], gw.State(dh[None], dc[None]))
    found, inputs = {}, []
    for equation in equations(walk):
        found[text.formula(equation.left)] = equation.value
        if text.formula(equation.left) == "dx":
            inputs.append(equation.value)
    tolerance = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(inputs[::-1], expected.x[:, 0], **tolerance)
    np.testing.assert_allclose(found["dh_prev"], expected.state.h[0], **tolerance)
    np.testing.assert_allclose(found["dc_prev"], expected.state.c[0], **tolerance)
    for letter, weight, bias in zip("ifgo", expected.weight, expected.bias, strict=True):
        if letter not in p.variant.own:
            continue
        if f"dU_{letter}" in found:
            whole = np.concatenate([found[f"dU_{letter}"], found[f"dW_{letter}"]], axis=1)
        else:
            whole = found[f"dW_{letter}"]
        np.testing.assert_allclose(whole, weight, **tolerance)
        np.testing.assert_allclose(found[f"db_{letter}"], bias, **tolerance)
        if p.variant.layer_norm == "gates":
            np.testing.assert_allclose(
                found[f"dγ_{letter}"], expected.parameters["norm_gain"]["ifgo".index(letter)], **tolerance
            )
        if p.variant.layer_norm == "haste":
            for base, gain in zip("uw", expected.parameters["norm_gain"], strict=True):
                row = gain["ifgo".index(letter)]
                np.testing.assert_allclose(found[f"dγ_{base}{letter}"], row, **tolerance)
    if p.peephole is not None:
        for row, letter in enumerate("ifo"):
            if letter in p.variant.own:
                np.testing.assert_allclose(found[f"dp_{letter}"], expected.parameters["peephole"][row], **tolerance)
    if p.cell_norm is not None:
        np.testing.assert_allclose([found["dγ_c"], found["dβ_c"]], expected.parameters["cell_norm"], **tolerance)
    if p.projection is not None:
        np.testing.assert_allclose(found["dR"], expected.parameters["projection"], **tolerance)


def sentences(walk: Walkthrough, key: str) -> str:
    blocks = next(section for section in walk.sections if section.key == key).blocks
    told = " ".join(layout.write_words(block.text, text.formula) for block in blocks if isinstance(block, Sentence))
    return told.replace("\N{NO-BREAK SPACE}", " ")


def run_of(p: gw.Parameters, steps: int, dropout: gw.DropoutMasks | None = None) -> Trace:
    x = np.random.default_rng(3).normal(size=(steps, 1, p.input_size))
    state = ((gw.State(np.full((1, p.recurrent_size), 0.3), np.full((1, p.hidden_size), 0.4)),),)
    return gw.LSTM.from_cells(p).trace(x, state, dropout=None if dropout is None else [[dropout]])[0]


def test_a_gradient_that_vanishes_does_not_fail_the_check():
    p = gw.LSTMCell(3, 2, init="notebook", dtype=np.float64).parameters
    for steps in (8, 120):
        told = sentences(gw.walk(run_of(p, steps), backward=True), "gradient_check")
        assert "agree with central differences" in told
        assert "kink" not in told


@pytest.mark.parametrize(
    ("switches", "dropout", "expected"),
    [
        ({}, {}, "carries"),
        ({"cell_clip": 1e-4}, {}, "carries 0 % (it fades)"),
        ({}, {"zoneout_cell": np.array(1.0)}, "carries 100 % (it survives)"),
    ],
)
def test_what_is_carried_through_time_is_what_the_cell_state_lets_through(switches, dropout, expected):
    p = gw.LSTMCell(3, 2, rng=0, dtype=np.float64, variant=gw.Variant(**switches)).parameters
    trace = run_of(p, 4, gw.DropoutMasks(**dropout) if dropout else None)
    walk = gw.walk(trace, backward=True, dh=np.zeros(2), dc=np.ones(2))
    assert expected in sentences(walk, "through_time")
    if not dropout:  # along the cell state alone, dc by dc: a unit's share is the product of what each step keeps
        table = next(s for s in walk.sections if s.key == "through_time").blocks[0]
        kept = np.array([values[0] for _, values in table.rows])
        np.testing.assert_allclose([values[1] for _, values in table.rows], np.cumprod(kept), rtol=1e-12)


def test_a_unit_is_expanded_in_the_backward_pass_too():
    for notation in ("gatewise", "keras"):
        walk = gw.walk(trace_of("plain", None).step(1), backward=True, unit=2, notation=notation)
        expanded = [block for section in walk.sections for block in section.blocks if isinstance(block, Expanded)]
        assert len(expanded) == 1
        value = next(one for one in equations(walk) if text.formula(one.left) in ("dh_prev", "dh_tm1")).value[2]
        assert len(expanded[0].terms) == 16
        np.testing.assert_allclose(expanded[0].terms.total, value, rtol=1e-12)


def test_what_is_given_of_the_loss_is_where_the_backward_pass_begins():
    step = trace_of("plain", None).step(0)
    walk = gw.walk(step, backward=True, dh=[1, 2, 3, 4], dc=[4, 3, 2, 1])
    arriving = next(section for section in walk.sections if section.key == "arriving")
    rows = [row for block in arriving.blocks if isinstance(block, NumberTable) for row in block.rows]
    assert [tuple(values) for _, values in rows] == [(1, 2, 3, 4), (4, 3, 2, 1)]
    with pytest.raises(gw.ShapeError, match=re.escape("dh has shape (3,); this cell takes (4,)")):
        gw.walk(step, backward=True, dh=[1, 2, 3])


def test_where_the_output_of_a_step_joins_the_gradient_is_shown():
    trace = trace_of("plain", None, steps=3)
    dy = np.arange(12.0).reshape(3, 4)
    walk = gw.walk(trace, backward=True, dy=dy)
    for section in walk.sections:
        if section.key == "arriving":
            [joined] = [block for block in section.blocks if isinstance(block, WorkedEquation)]
            assert f"{text.formula(joined.left)} = {text.formula(joined.right)}" == "dh = dy + dh_next"
            np.testing.assert_array_equal(joined.env[DY], dy[section.at])
            np.testing.assert_array_equal(joined.value, dy[section.at] + joined.env[DH_NEXT])
    last = next(section for section in walk.sections if section.key == "arriving")
    assert (last.at, last.blocks[0].rows[1][1]) == (2, (0, 0, 0, 0)), "without dh nothing arrives after the last step"


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_the_rows_of_dy_are_the_steps_of_a_trace_whatever_its_direction_and_mask(direction):
    lstm = gw.LSTM(3, 4, direction=direction, rng=0, dtype=np.float64)
    rng = np.random.default_rng(2)
    mask = np.array([[1, 1], [1, 0], [0, 1], [1, 1], [1, 0]], bool)
    trace = lstm.trace(rng.normal(size=(5, 2, 3)), mask=mask)[0]
    dy = np.where(mask[..., None], rng.normal(size=(5, 2, 4)), 0)
    expected = gw.backward(trace, dy)
    for sequence in range(2):
        walk = gw.walk(trace, sequence=sequence, backward=True, dy=dy[:, sequence])
        found = {}
        for section in walk.sections:
            if section.key == "d_previous":
                found[walk.steps[section.at].step.time] = next(
                    block.value for block in section.blocks if text.formula(block.left) == "dx"
                )
        assert sorted(found) == np.flatnonzero(mask[:, sequence]).tolist()
        for t, dx in found.items():
            np.testing.assert_allclose(dx, expected.x[t, sequence], rtol=1e-9, atol=1e-12)
    with pytest.raises(gw.OptionError, match="dy is not 0 at step 1, which is not valid"):
        gw.walk(trace, sequence=1, backward=True, dy=np.ones((5, 4)))


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_the_program_takes_a_row_of_dy_for_each_row_of_x(direction, tmp_path, capsys):
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(3, 2)), rng.normal(size=(3, 4))
    gw.save(gw.LSTM(2, 4, direction=direction, rng=0), tmp_path / "model.safetensors")
    for name, rows in (("x", x), ("dy", dy)):
        np.save(tmp_path / f"{name}.npy", rows)
    files = ["--model", "model.safetensors", "--x", "x.npy", "--dy", "dy.npy"]
    files = [str(tmp_path / one) if "." in one else one for one in files]
    main(["walk", *files, "--steps", "3", "--backward", "--format", "json", "--program"])
    steps = json.loads(capsys.readouterr().out)["inputs"]["steps"]
    order = slice(None, None, 1 if direction == "forward" else -1)
    np.testing.assert_array_equal(steps["dy"], dy[order])
    np.testing.assert_array_equal(steps["x"], x[order].astype(np.float32))


def test_only_the_worked_example_ends_with_what_to_try_next(capsys):
    walks = [], ["--backward"], ["--example", "latch"], ["--unit", "0"], ["--seed", "1"], ["--format", "markdown"]
    for options in walks:
        main(["walk", *options])
        assert ("gatewise walk\n--example lesson" in capsys.readouterr().out) == (not options)


def test_of_a_long_run_the_steps_that_are_shown_have_the_gradients_of_all_outputs():
    trace = trace_of("peephole, coupling, clips", 3, steps=60)
    dy = gradients_of_outputs(trace)
    expected = gw.backward(trace, dy[:, None])
    walk = gw.walk(trace, backward=True, dy=dy)
    shown = [section for section in walk.sections if section.key == "d_previous"]
    assert {0, 59} <= {section.at for section in shown}
    for section in shown:
        dx = next(block.value for block in section.blocks if text.formula(block.left) == "dx")
        np.testing.assert_allclose(dx, expected.x[section.at, 0], rtol=1e-9, atol=1e-12)
    at = gw.walk(trace, backward=True, dy=dy, at=30)
    [dx] = [equation.value for equation in equations(at) if text.formula(equation.left) == "dx"]
    np.testing.assert_allclose(dx, expected.x[30, 0], rtol=1e-9, atol=1e-12)
    assert "agree with central differences" in sentences(walk, "gradient_check")


def test_of_one_step_dy_may_be_a_vector_and_adds_to_what_its_state_hands_on():
    step, rng = trace_of("plain", None).step(0), np.random.default_rng(0)
    dy, dh = rng.normal(size=(2, 4))
    found = gw.walk(step, backward=True, dy=dy, dh=dh)
    both, of_state = gw.walk(step, backward=True, dy=[dy + dh]), gw.walk(step, backward=True, dh=dy + dh)
    for other in (both, of_state):
        for one, two in zip(equations(found)[::-1][:8], equations(other)[::-1][:8], strict=True):
            np.testing.assert_allclose(one.value, two.value, rtol=1e-12)
    with pytest.raises(gw.ShapeError, match=re.escape("dy has shape (3,); this walk takes (1, 4): (time, recurrent)")):
        gw.walk(step, backward=True, dy=[1, 2, 3])
    with pytest.raises(gw.OptionError, match="dy, dh and dc belong to the backward pass: backward=True"):
        gw.walk(step, dy=dy)


def test_no_weight_changes_a_loss_that_nothing_changes():
    step = trace_of("plain", None).step(0)
    assert sentences(gw.walk(step, backward=True, dh=np.zeros(4)), "d_weights").startswith(
        "All gradients with respect to the weights are 0"
    )


@pytest.mark.parametrize("bound", [1e-6, None])
def test_a_gate_that_is_clipped_passes_on_nothing(bound):
    p = gw.LSTMCell(3, 2, rng=0, dtype=np.float64, variant=gw.Variant(gate_clip=bound)).parameters
    told = sentences(gw.walk(run_of(p, 1).step(0), backward=True), "d_forget_gate")
    assert ("passes on 0 % of" in told) == (bound is not None)


PERCENTAGES = {  # of each, what is divided by what, in a step's numbers
    r"keeps ([\d.]+) % of its old cell state": lambda step, k: step.forget_gate[k],
    r"lets in ([\d.]+) % of its candidate": lambda step, k: step.input_gate[k],
    r"outputs ([\d.]+) % of the tanh of its cell state": lambda step, k: (
        step.hidden_state[k] / np.tanh(step.cell_state[k])
    ),
}


@pytest.mark.parametrize("seed", range(20))
def test_every_percentage_of_a_walk_is_that_of_its_step(seed):
    """What a gate keeps, lets in and outputs is computed from the numbers on both of its sides."""
    rng = np.random.default_rng(seed)
    cell = gw.LSTMCell(3, 3, rng=seed, dtype=np.float64)
    step = cell.step(rng.normal(size=3), gw.State(rng.normal(size=3), rng.normal(size=3)))
    said = " ".join(str(gw.walk(step)).replace("\xa0", " ").split())
    checked = 0
    for words, share in PERCENTAGES.items():
        for unit, shown in re.findall(rf"[Uu]nit (\d) {words}", said):
            decimals = len(shown.partition(".")[2])
            assert abs(float(shown) - 100 * share(step, int(unit))) <= 0.5 * 10.0**-decimals + 1e-9
            checked += 1
    assert checked == said.count(" % of ") == 9
    kept = step.forget_gate * step.previous.c
    np.testing.assert_allclose(step.cell_state, kept + step.input_gate * step.candidate, rtol=1e-12)
    np.testing.assert_allclose(step.hidden_state, step.output_gate * np.tanh(step.cell_state), rtol=1e-12)


def test_an_output_gate_speaks_of_the_nonlinearity_of_its_cell():
    variant = gw.Variant(cell_activation="softsign")
    step = gw.LSTMCell(3, 2, rng=1, variant=variant, dtype=np.float64).step([0.5, -1, 2])
    assert "of the softsign of its cell state" in " ".join(str(gw.walk(step)).split())


@pytest.mark.parametrize("walked", ["", "--example lesson", "--example latch", "--example lesson --backward --steps 3"])
def test_the_weights_are_shown_before_every_line_that_uses_them(walked, capsys):
    main(["walk", *walked.split()])
    shown = capsys.readouterr().out
    assert "The weights and biases of each gate" in shown
    assert shown.index("Each row belongs to a unit") < shown.index("a_f = ")


@pytest.mark.parametrize("name", cases.VARIANTS)
def test_vectors_are_multiplied_by_one_sign_in_text(name):
    """That of mathematics, ⊙; the star is that of code."""
    for backward in (False, True):
        shown = str(gw.walk(trace_of(name, None).step(0), backward=backward))
        assert " ⊙ " in shown
        assert "*" not in shown
