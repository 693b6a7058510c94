"""The adjoints equal central differences: every variant, projection, direction, mask and dropout."""

from __future__ import annotations

import cases
import numpy as np
import oracle
import pytest
from pairwise import pairs
from walks import projected

import gatewise as gw
from gatewise import adjoints
from gatewise.engine import choose
from gatewise.equations import Moment
from gatewise.records.keep import Keep

APART = 1e-3  # a hundred times as far from every kink as the differences reach


def smooth_run(variant, **options):
    """Return the first run of a variant that stays away from all kinks while each of its clips acts somewhere."""
    for seed in range(200):
        run = cases.run_of(variant, seed=seed, **options)
        moments = oracle.run(run.p, run.x, run.state, direction=run.direction, valid=run.valid, dropout=run.dropout)
        clips = oracle.bites(run.p, moments)
        if oracle.margin(run.p, moments) > APART and all(found == {True, False} for found in clips.values()):
            return run
    raise AssertionError(f"no seed keeps {variant} off its kinks")


def assert_gradients_of(run):
    """Assert that the gradients of a run, with respect to everything in it, are its central differences."""
    rng = np.random.default_rng(7)
    trace = run.trace()
    dy = rng.normal(size=trace.hidden_state.shape)
    dstate = gw.State(rng.normal(size=trace.final.h.shape), rng.normal(size=trace.final.c.shape))
    found = gw.backward(trace, dy, dstate)

    engine, hidden = choose("auto", run.p), np.empty_like(trace.hidden_state)
    keep = {"dropout": trace.dropout, "keep": Keep(()), "arrays": {}}

    def losses(p=run.p, x=run.x, state=run.state):
        """Return the loss of each sequence; calls the engine itself, to skip argument checks some 100,000 times."""
        end = engine.run(p, x, state, hidden, reverse=run.direction == "backward", valid=run.valid, **keep)
        return np.sum(dy * hidden, axis=(0, 2)) + np.sum(dstate.h * end.h, axis=1) + np.sum(dstate.c * end.c, axis=1)

    assert set(found.parameters) == set(run.p.arrays())
    for name, array in run.p.arrays().items():

        def by(changed, name=name):
            return losses(p=run.p.replace(**{name: changed})).sum()

        cases.assert_gradient(found.parameters[name], cases.differences(by, array), name)
    h, c = run.state
    cases.assert_gradient(found.x, cases.differences_by_row(lambda x: losses(x=x), run.x, axis=1), "x")
    cases.assert_gradient(found.state.h, cases.differences_by_row(lambda h: losses(state=gw.State(h, c)), h), "h")
    cases.assert_gradient(found.state.c, cases.differences_by_row(lambda c: losses(state=gw.State(h, c)), c), "c")
    return found


@pairs(variant=cases.VARIANTS, **cases.RUNS, thin=projected)
def test_the_adjoints_equal_central_differences(variant, projection, direction, valid, dropout):
    run = smooth_run(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, hidden=3)
    found = assert_gradients_of(run)
    for letter in run.p.variant.coupled:
        row = oracle.LETTERS.index(letter)
        assert not found.weight[row].any()
        assert not found.bias[row].any()
    if run.valid is not None:
        assert not found.x[~run.valid].any()


@pytest.mark.parametrize("variant", [name for name, v in cases.VARIANTS.items() if "coupling" in v])
def test_the_gradients_of_a_coupled_gate_are_zero_even_where_x_is_nan(variant):
    run = cases.run_of(variant)
    x = run.x.copy()
    x[1, 0] = np.nan
    trace = run.replace(x=x).trace()
    found = gw.backward(trace, np.ones_like(trace.hidden_state))
    row = oracle.LETTERS.index(run.p.variant.coupled)
    assert np.isnan(found.weight).any()
    np.testing.assert_array_equal(found.weight[row], 0)
    np.testing.assert_array_equal(found.bias[row], 0)
    if run.p.peephole is not None:
        np.testing.assert_array_equal(found.parameters["peephole"][row], 0)
    if run.p.norm_gain is not None:
        gain = found.parameters["norm_gain"]
        np.testing.assert_array_equal(gain[:, row] if gain.ndim == 3 else gain[row], 0)


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_the_derivatives_of_gates_and_preactivations_agree(variant):
    """`Adjoint.preactivations` is `Adjoint.gates` times the slope of the nonlinearity, zero where a clip bites."""
    run = cases.run_of(variant)
    M = Moment(run.p, run.x[0], *run.state)
    rng = np.random.default_rng(5)
    found = adjoints.step(M, rng.normal(size=M.h.shape), rng.normal(size=M.c.shape))
    v = run.p.variant
    for row, letter in enumerate("ifgo"):
        if letter == v.coupled:
            assert not found.gates[:, row].any()
            continue
        gate = np.vectorize(lambda a, k=letter: oracle.gate_of(v, k, oracle.clip(a, v.gate_clip)), otypes=[float])
        a = M.unclipped(letter)
        slope = (gate(a + 1e-6) - gate(a - 1e-6)) / 2e-6
        np.testing.assert_allclose(found.preactivations[:, row], found.gates[:, row] * slope, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.parameters["bias"], found.preactivations.sum(0), atol=1e-13)


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_single_precision_gradients_follow_the_double_ones(variant):
    run = cases.run_of(variant, time=5, hidden=6, dropout=True, valid="lengths")
    single = run.replace(p=run.p.astype(np.float32)).trace()
    double = run.replace(p=single.parameters.astype(np.float64), x=single.input.astype(np.float64)).trace()
    dy = np.random.default_rng(1).normal(size=double.hidden_state.shape).astype(np.float32)
    found, expected = gw.backward(single, dy), gw.backward(double, dy.astype(np.float64))
    for name in expected.parameters:
        assert found.parameters[name].dtype == np.float32
        cases.assert_gradient(found.parameters[name], expected.parameters[name], name, 2e-4)
    assert found.x.dtype == found.state.h.dtype == found.state.c.dtype == np.float32
    cases.assert_gradient(found.x, expected.x, "x", 2e-4)
