"""The program of a cell equals the equations and their adjoints, however it is written."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_close
from pairwise import pairs
from program_run import ProgramRun, gather_gradients
from walks import EVERY_PART

import gatewise as gw
from gatewise.activations import KINDS, Activation
from gatewise.gates import LETTERS, NAMES
from gatewise.symbolic import cell
from gatewise.symbolic.cell import StepValues, program
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import C_PREV, DC_NEXT, DH, DX, H_PREV, C, H, M, Symbol, d, symbols
from gatewise.symbolic.nonlinearities import ARGUMENT, definition, slope, textbook
from gatewise.symbolic.program import Form

MASKS = ("input", "recurrent", "zoneout_cell", "zoneout_hidden", "weight")
MASKED = ("no mask", *MASKS, "all of them")  # each alone, too: names change where one comes between
FORMS = {
    "gatewise's own": {"order": "figo"},
    "z inlined": {"inline": True},
    "x and h apart": {"split": True, "order": "ofgi"},
    "x and h apart, two biases": {"split": True, "two_biases": True},
    "two biases": {"two_biases": True},
}


def run_of(variant: str, projection: str, masked: str, **options) -> cases.Run:
    """Return a run with one kind of mask, all or none."""
    run = cases.run_of(variant, projection=projection, dropout=masked != "no mask", **options)
    return run.replace(dropout=gw.DropoutMasks(**{masked: getattr(run.dropout, masked)})) if masked in MASKS else run


def some(case):
    """Tell of the pairs' cases those of the variants with every part, and of any other the plainest."""
    return case["variant"] in EVERY_PART or all(case.get(name, one) == one for name, one in PLAINEST.items())


PLAINEST = {"projection": "unprojected", "masked": "no mask", "dropout": False, "form": "gatewise's own"}
MASKED_RUNS = {"variant": cases.VARIANTS, "projection": cases.PROJECTIONS, "masked": MASKED, "form": FORMS}
RUNS = {**MASKED_RUNS, "valid": cases.VALID, "direction": cases.DIRECTIONS}
PROGRAMS = {"variant": cases.VARIANTS, "projection": cases.PROJECTIONS, "dropout": (False, True), "form": FORMS}


@pairs(**RUNS, thin=some)
def test_the_program_equals_the_equations_and_their_adjoints(variant, projection, masked, form, valid, direction):
    run = run_of(variant, projection, masked, valid=valid, direction=direction, time=4)
    trace = run.trace(engine="reference")
    rng = np.random.default_rng(1)
    dy = rng.normal(size=trace.hidden_state.shape)
    dfinal = gw.State(*(rng.normal(size=part.shape) for part in trace.final))
    gradients = gw.backward(trace, dy, dfinal)
    made = ProgramRun(
        program(cell.form_of(run.p, trace.dropout, **FORMS[form])),
        run.p,
        run.x,
        run.state,
        dropout=trace.dropout,
        valid=run.valid,
        dy=dy,
        dfinal=dfinal,
        reverse=direction == "backward",
    )
    for letter, name in zip(LETTERS, NAMES, strict=True):
        assert_close(made[Symbol(letter)], trace.quantity(name), name)
        if letter in run.p.variant.own:
            assert_close(made[Symbol("a", letter)], trace.preactivation(name), f"pre-activation of the {name}")
    for symbol, expected in ((C, trace.cell_state), (H, trace.hidden_state)):
        assert_close(made[symbol], expected, symbol.base)
    if projection != "unprojected":
        assert_close(made[M], trace.unprojected_state, "the unprojected state")
    for before, expected in ((H_PREV, trace.previous.h), (C_PREV, trace.previous.c)):
        assert_close(made[before], expected, before.base)
    dx = made[DX] if run.valid is None else np.where(run.valid[..., None], made[DX], 0)
    pairs_of = [(dx, gradients.x, "dx"), *zip(made.final, trace.final, ("h", "c"), strict=True)]
    pairs_of += zip(made.dinitial, gradients.state, ("dh", "dc"), strict=True)
    for found, expected, name in pairs_of:
        assert_close(found, expected, name)
    for name, array in gather_gradients(made.program.form, run.p, made).items():
        assert_close(array, gradients.parameters[name], f"the gradient of {name}")
    for k in made.program.form.weighted_gates if made.program.form.two_biases else "":
        assert_close(made[d(Symbol("b2", k))], made[d(Symbol("b", k))], "the gradient of the second bias")


@pairs(**PROGRAMS, thin=some)
def test_every_equation_takes_only_what_is_given_carried_or_made_before(variant, projection, dropout, form):
    run = cases.run_of(variant, projection=projection, dropout=dropout)
    made = program(cell.form_of(run.p, run.dropout or gw.DropoutMasks(), **FORMS[form]))
    there = {one.symbol for one in made.given}
    for one in (*made.forward, *made.backward):
        assert set(symbols(one.right)) <= there, one.left
        assert one.left not in there, f"{one.left} is made twice"
        there.add(one.left)
    for carry in (*made.carry, *made.carry_backward):
        assert {carry.into, carry.source} <= there
    assert {one.left.base for one in made.backward if one.sums} >= {"W", "b"}


@pairs(**MASKED_RUNS, thin=some)
def test_a_rewritten_program_computes_the_same(variant, projection, masked, form):
    """For a loss of the last states alone, and with the weights as they act, every quantity is what it was."""
    run = run_of(variant, projection, masked, time=3)
    trace = run.trace(engine="reference")
    whole = program(form_of := cell.form_of(run.p, trace.dropout, **FORMS[form]))
    dfinal = gw.State(*(np.random.default_rng(2).normal(size=part.shape) for part in trace.final))
    expected = ProgramRun(whole, run.p, run.x, run.state, dropout=trace.dropout, dfinal=dfinal)
    rewritten = program(form_of, last_states=True, dropped_weights=True)
    known = {DH: expected[DH][-1, 0], DC_NEXT: expected[DC_NEXT][-1, 0]}
    scope = StepValues(rewritten, run.p, cell.step_values(trace[2, 0].moment, rewritten) | known)
    for one in rewritten.assignments.values():
        if not one.sums:
            tensor = expected[one.left]
            error = np.max(np.abs(scope[one.left] - tensor[-1, 0]))
            assert error <= 1e-12 * np.max(np.abs(tensor)), f"{one.left}: {error:.3g} off"
    assert DH not in rewritten.assignments


def test_what_is_known_of_a_step_is_taken_as_it_is():
    run = cases.run_of("plain", batch=1, time=1)
    step = run.trace()[0, 0]
    scope = StepValues(made := program(Form(run.p.variant)), run.p, cell.step_values(step.moment, made))
    assert scope[Symbol("f")] is not None
    scope.known[Symbol("f")] = np.full(run.p.hidden_size, 0.25)
    del scope.known[C]
    expected = 0.25 * step.previous.c + step.input_gate * step.candidate
    np.testing.assert_allclose(scope[C], expected, rtol=1e-15)


CONSTANTS = {"hard_sigmoid": (0.2, 0.5), "scaled_tanh": (1.7, 0.6), "affine": (0.5, 0.1), "leaky_relu": (0.2,)}


@pytest.mark.parametrize("name", KINDS)
def test_a_nonlinearity_s_definition_and_slope_equal_it_and_overflow_nowhere_else(name):
    activation = Activation(name, *CONSTANTS.get(name, ()))
    a = np.concatenate([np.linspace(-30, 30, 2001), [-1e308, -1e4, 1e-300, -1e-300, 700.0]])
    a = a if name == "exponential" else np.append(a, [1e4, 1e307])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = evaluate(definition(activation), {ARGUMENT: a})
        slopes = evaluate(slope(activation, Symbol("y")), {Symbol("y"): activation(a[:2001])}) * np.ones(2001)
    np.testing.assert_allclose(found, activation(a), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(slopes, activation.derivative(activation(a[:2001])), rtol=1e-12, atol=1e-15)
    moderate = np.linspace(-30, 30, 100)
    np.testing.assert_allclose(
        evaluate(textbook(activation), {ARGUMENT: moderate}), activation(moderate), rtol=1e-12, atol=1e-12
    )
