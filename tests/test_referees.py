"""Other people's trained LSTMs, as cells put together by hand, give the answers of their own runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from referees import CLOSE, REFEREES, arrays
from safetensors.numpy import load_file

import gatewise as gw
from gatewise import gates

pytestmark = pytest.mark.referees


def from_rows(weight_ih, weight_hh, bias, **more):
    """Return a cell of PyTorch's layout: gates i f g o along the rows, x and h apart."""
    hidden = weight_hh.shape[1]
    parts = [weight.reshape(4, hidden, -1) for weight in (weight_hh, weight_ih)]
    return gw.Parameters(np.concatenate(parts, axis=-1), bias.reshape(4, hidden), **more)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


# Every gate of every step.

GATE_CASES = (
    *("rand0", "rand1_forgetbias", "rand2_peep", "rand3_peep_forgetbias", "rand4_cellclip"),
    *("rand5_peep_cellclip_forgetbias", "rand6", "rand7_peep", "nh_noaa_hourly"),
    *("real_dgaintel", "real_nam_lstm", "real_silero_vad", "real_textgenrnn"),
)


def gate_case_cell(case):
    """Return the cell of a case of the gates' suite.

    `cell_clip` bounds the new cell state and is negative where there is none; `forget_bias` is added to the forget
    gate's bias; `peep_ifo` has the peepholes in gatewise's own order.
    """
    bias = case["bias"].reshape(4, -1).copy()
    bias[gates.index("forget_gate")] += case.get("forget_bias", np.float32(0))
    clip = float(case.get("cell_clip", -1))
    peephole = case.get("peep_ifo")
    variant = gw.Variant(peephole="none" if peephole is None else "full", cell_clip=clip if clip > 0 else None)
    return from_rows(case["W_ih"], case["W_hh"], bias, variant=variant, peephole=peephole)


def all_answers(trace):
    """Return what a trace says, by the suite's names."""
    found = {letter: trace.gates[:, :, place] for place, letter in enumerate(gates.LETTERS)}
    found |= {"pre_" + letter: trace.preactivation(name) for letter, name in zip("ifgo", gates.NAMES, strict=True)}
    found |= {"c": trace.cell_state, "h": trace.hidden_state}
    found["tanh_c"] = np.stack([trace.moment((t, slice(None))).t for t in range(len(trace))])
    return found


@pytest.mark.parametrize("engine", [one.name for one in gw.engines() if one.available])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", GATE_CASES)
def test_every_gate_of_every_step_is_as_tensorflows_kernel_has_it(name, dtype, engine):
    case = arrays("suites", "gates", f"{name}.npz")
    lstm = gw.LSTM.from_cells(gate_case_cell(case)).astype(dtype)
    trace = lstm.trace(case["x"], ((gw.State(case["h0"], case["c0"]),),), engine=engine)[0]
    got = all_answers(trace)
    compared = [quantity for quantity in got if quantity in case]
    assert {"c", "h"} < set(compared)
    for quantity in compared:
        np.testing.assert_allclose(got[quantity], case[quantity], rtol=2e-4, atol=2e-5, err_msg=quantity)


def test_no_case_of_the_gates_suite_is_forgotten():
    assert {path.stem for path in (REFEREES / "suites" / "gates").glob("*.npz")} == set(GATE_CASES)


# Whole runs of the models whose weights the gates' suite has.


def test_a_stream_of_silero_has_the_state_of_its_own_runtime_after_every_step():
    case = arrays("cases", "silero_vad", "case.npz")
    stream = gw.LSTM.from_cells(gate_case_cell(arrays("suites", "gates", "real_silero_vad.npz"))).stream()
    for x, want in zip(case["L0.x"][:, 0], case["step_states"], strict=True):
        h = stream.push(x)
        ((state,),) = stream.state
        assert_agree({"y": h, **state._asdict()}, {"y": want[0], "h": want[0], "c": want[1]}, CLOSE)


# Models whose weights NumPy or safetensors can read.


def test_sileros_safetensors_give_its_states_and_the_probability_of_speech():
    case = arrays("cases", "silero_safetensors", "case.npz")
    file = load_file(REFEREES / "cases" / "silero_safetensors" / "silero_vad_16k.safetensors")
    of = {name.removeprefix("lstm_cell."): array for name, array in file.items()}
    cell = from_rows(of["weight_ih"], of["weight_hh"], of["bias_ih"] + of["bias_hh"])
    trace = gw.LSTM.from_cells(cell).trace(case["L0.x"])
    assert_agree({"y": trace.output, "c": trace[0].cell_state}, {"y": case["L0.y"], "c": case["L0.c_seq"]}, CLOSE)
    head = gw.Linear(of["final_conv.weight"][..., 0], of["final_conv.bias"])
    probabilities = sigmoid(head(np.maximum(trace.output, 0)))[:, 0, 0]
    assert_agree({"speech": probabilities}, {"speech": case["speech_probs"]}, CLOSE)
