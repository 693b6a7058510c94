"""The equations, compared with an LSTM written in plain Python, and inside every trace."""

from __future__ import annotations

import cases
import numpy as np
import oracle
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise.equations import Moment

every_variant = pytest.mark.parametrize("variant", cases.VARIANTS)
RUNS = {"projection": cases.PROJECTIONS, "direction": cases.DIRECTIONS, "valid": cases.VALID}


@pairs(variant=cases.VARIANTS, **RUNS, dropout=(False, True), thin=True)
def test_every_step_is_what_plain_python_makes_of_it(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=5)
    trace = run.trace()
    moments = oracle.run(run.p, run.x, run.state, direction=direction, valid=run.valid, dropout=run.dropout)
    assert len(moments) == (run.x.shape[0] * run.x.shape[1] if run.valid is None else run.valid.sum())
    for (t, row), M in moments.items():
        found = {
            **{name: getattr(trace, name)[t, row] for name in gw.records.keep.QUANTITIES},
            "combined_input": trace.combined_input[t, row],
            "activated_cell_state": trace.activated_cell_state[t, row],
        }
        expected = {
            "input_gate": M.gate["i"],
            "forget_gate": M.gate["f"],
            "candidate": M.gate["g"],
            "output_gate": M.gate["o"],
            "cell_state": M.c,
            "unprojected_state": M.m,
            "hidden_state": M.h,
            "combined_input": M.z,
            "activated_cell_state": [oracle.nonlinearity(run.p.variant.cell_activation, value) for value in M.v],
        }
        if dropout and run.p.projection is None:
            del expected["unprojected_state"]  # nothing is kept before the zoneout: see test_trace
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-13, err_msg=f"{name} at {t}, {row}")
        for k, a in M.a.items():
            name = gw.gates.NAMES[oracle.LETTERS.index(k)]
            np.testing.assert_allclose(trace.preactivation(name)[t, row], a, rtol=0, atol=1e-12)
        if coupled := run.p.variant.coupled:
            pair = trace.gates[t, row, ["ifgo".index(k) for k in (coupled, {"i": "f", "f": "i"}[coupled])]]
            np.testing.assert_array_equal(pair[0], 1 - pair[1])
            assert np.isnan(trace.preactivations[t, row, "ifgo".index(coupled)]).all()


@pairs(variant=cases.VARIANTS, valid=cases.VALID, thin=True)
def test_a_gate_under_a_sigmoid_lies_between_zero_and_one(variant, valid):
    run = cases.run_of(variant, valid=valid, time=6)
    run = run.replace(x=run.x * 1e3)
    trace, v = run.trace(), run.p.variant
    on = np.ones(run.x.shape[:2], bool) if run.valid is None else run.valid
    for row, letter in enumerate("ifgo"):
        source = {"f": "i", "i": "f"}[letter] if letter == v.coupled else letter
        gate = trace.gates[on][:, row]
        if v.activation(source).name in {"sigmoid", "hard_sigmoid"}:
            assert gate.min() >= 0
            assert gate.max() <= 1
        if v.activation(letter).name == "tanh" and letter != v.coupled:
            assert np.abs(gate).max() <= 1


@every_variant
def test_steps_that_are_not_valid_have_no_gates_and_carry_the_state(variant):
    run = cases.run_of(variant, valid="mask", time=6, batch=4)
    trace = run.trace()
    off = ~run.valid
    assert off.any()
    assert np.isnan(trace.gates[off]).all()
    assert np.isnan(trace.preactivations[off]).all()
    assert np.isnan(trace.activated_cell_state[off]).all()
    assert not np.isnan(trace.gates[run.valid]).any()
    np.testing.assert_array_equal(trace.cell_state[off], trace.previous.c[off])
    np.testing.assert_array_equal(trace.hidden_state[off], trace.previous.h[off])
    np.testing.assert_array_equal(trace.previous.h[0], run.state.h)
    np.testing.assert_array_equal(trace.previous.c[1:], trace.cell_state[:-1])


def test_only_the_output_gate_sees_the_new_cell_state_through_its_peephole():
    arrays = {"weight": np.zeros((4, 1, 2)), "bias": [[0.0], [0.0], [0.5], [0.0]], "peephole": [[1.0], [10.0], [100.0]]}
    p = gw.Parameters(**arrays, variant=gw.Variant(peephole="full"))
    step = gw.LSTMCell.from_parameters(p).step([0.0], gw.State([0.0], [0.25]))
    assert step.preactivation("input_gate") == 1 * 0.25
    assert step.preactivation("forget_gate") == 10 * 0.25
    assert step.preactivation("candidate") == 0.5
    assert step.preactivation("output_gate") == 100 * step.cell_state


@pytest.mark.parametrize(("coupling", "coupled"), [("forget=1-input", 1), ("input=1-forget", 0)])
@pytest.mark.parametrize("layer_norm", ["none", "gates", "haste"])
def test_the_weights_of_a_coupled_gate_are_not_used(coupling, coupled, layer_norm):
    epsilon = None if layer_norm == "none" else 1e-5
    run = cases.run_of({"coupling": coupling, "layer_norm": layer_norm, "epsilon": epsilon, "peephole": "full"})
    changed = {"weight": run.p.weight.copy(), "bias": run.p.bias.copy(), "peephole": run.p.peephole.copy()}
    for array in changed.values():
        array[coupled] = np.nan
    dy = np.ones_like(run.trace().hidden_state)
    plain, other = run.trace(), run.replace(p=run.p.replace(**changed)).trace()
    np.testing.assert_array_equal(other.gates, plain.gates)
    np.testing.assert_array_equal(other.hidden_state, plain.hidden_state)
    found, expected = gw.backward(other, dy), gw.backward(plain, dy)
    np.testing.assert_array_equal(found.x, expected.x)
    np.testing.assert_array_equal(found.state.h, expected.state.h)
    np.testing.assert_array_equal(found.state.c, expected.state.c)
    for name, array in found.parameters.items():
        np.testing.assert_array_equal(array, expected.parameters[name])


def reach(M, letter):
    """Return the sum of the absolute values that were added up to the pre-activations of a gate."""
    row = oracle.LETTERS.index(letter)
    found = np.abs(M.z) @ np.abs(M.W[row]).T + np.abs(M.p.bias[row])
    if M.p.peephole is not None and letter in "ifo":
        found = found + np.abs(M.p.peephole["ifo".index(letter)] * M.peeped_state(letter))
    return found


@pairs(
    variant=[name for name, v in cases.VARIANTS.items() if "layer_norm" not in v],
    projection=("unprojected", "projected"),
    sizes=[(1, 1), (7, 5), (33, 3), (16, 129)],
)
def test_single_precision_differs_from_double_by_its_rounding_and_no_more(variant, projection, sizes):
    """Each step of a float32 trace, computed again in float64: errors are at most k · ε · Σ|terms|."""
    hidden, inputs = sizes
    run = cases.run_of(
        variant, projection=projection, dtype=np.float32, time=4, hidden=hidden, inputs=inputs, seed=hidden
    )
    trace = run.trace()
    assert {trace.gates.dtype, trace.hidden_state.dtype, trace.final.c.dtype} == {np.dtype(np.float32)}
    exact = run.p.astype(np.float64)
    previous, epsilon = trace.previous, np.finfo(np.float32).eps
    for t in range(len(trace)):
        x, h, c = (array[t].astype(np.float64) for array in (run.x, previous.h, previous.c))
        known = {"c_new": trace.cell_state[t].astype(np.float64)}  # what the output gate's peephole saw
        M = Moment(exact, x, h, c, **known)
        for letter in run.p.variant.own:
            row = oracle.LETTERS.index(letter)
            bound = 4 * epsilon * reach(M, letter) * np.sqrt(1 + hidden + inputs)
            assert (np.abs(trace.preactivations[t, :, row] - M.a(letter)) <= bound).all()
        i, f, g, o = (trace.gates[t, :, row].astype(np.float64) for row in range(4))
        error = np.abs(Moment(exact, x, h, c, i=i, f=f, g=g).c_new - trace.cell_state[t])
        assert (error <= 4 * epsilon * (np.abs(f * c) + np.abs(i * g))).all()
        m = o * Moment(exact, x, h, c, **known).t
        assert (np.abs(trace.unprojected_state[t] - m) <= 8 * epsilon * np.maximum(np.abs(m), np.abs(o))).all()
