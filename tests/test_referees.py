"""Other people's trained LSTMs, as cells put together by hand, give the answers of their own runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from referees import CLOSE, REFEREES, arrays, document
from safetensors.numpy import load_file

import gatewise as gw
from gatewise import gates

pytestmark = pytest.mark.referees


def from_rows(weight_ih, weight_hh, bias, **more):
    """Return a cell of PyTorch's layout: gates i f g o along the rows, x and h apart."""
    hidden = weight_hh.shape[1]
    parts = [weight.reshape(4, hidden, -1) for weight in (weight_hh, weight_ih)]
    return gw.Parameters(np.concatenate(parts, axis=-1), bias.reshape(4, hidden), **more)


def from_columns(kernel, recurrent_kernel, bias):
    """Return a cell of Keras' layout: gates i f g o along the columns."""
    return from_rows(*(np.asarray(array, np.float32).T for array in (kernel, recurrent_kernel, bias)))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


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


@pytest.mark.parametrize(
    ("name", "suite", "run", "axes"),
    [
        ("silero_vad", "real_silero_vad", 0, "time, direction, batch"),
        ("silero_vad", "real_silero_vad", 1, "time, direction, batch"),
        ("noaa_nh_hourly", "nh_noaa_hourly", 0, "time, batch"),
        ("dgaintel", "real_dgaintel", 0, "batch, time"),
        ("textgenrnn", "real_textgenrnn", 1, "batch, time"),
        ("nam_lstm", "real_nam_lstm", 0, "batch, time"),
    ],
)
def test_a_whole_run_ends_where_its_own_runtime_ended(name, suite, run, axes):
    case = {key[3:]: array for key, array in arrays("cases", name, "case.npz").items() if key.startswith(f"L{run}.")}
    lstm = gw.LSTM.from_cells(gate_case_cell(arrays("suites", "gates", f"{suite}.npz")))
    x, y = case["x"], case["y"]
    if axes == "batch, time":
        x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
    y = y[:, 0] if "direction" in axes else y
    shape = (x.shape[1], lstm.hidden_size)
    state = ((gw.State(case["h0"].reshape(shape), case["c0"].reshape(shape)),),) if "h0" in case else None
    got, ((final,),) = lstm(x, state)
    want = {"y": y, "h": case["hn"].reshape(shape), "c": case["cn"].reshape(shape)}
    assert_agree({"y": got, **final._asdict()}, want, CLOSE)


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


def test_the_amp_model_of_nam_starts_from_its_learned_state_and_gives_its_audio():
    case, model = arrays("cases", "nam_lstm", "case.npz"), document("cases", "nam_lstm", "lstm.nam")
    inputs, hidden = model["config"]["input_size"], model["config"]["hidden_size"]
    # One flat list: the matrix of [x; h], row by row in the order i f g o, bias, h, c, the head's weight and bias.
    sizes = [4 * hidden * (inputs + hidden), 4 * hidden, hidden, hidden, hidden, 1]
    flat = np.array(model["weights"], np.float32)
    assert len(flat) == sum(sizes)
    weight, bias, h, c, head, offset = np.split(flat, np.cumsum(sizes)[:-1])
    weight = weight.reshape(4 * hidden, inputs + hidden)
    cell = from_rows(weight[:, :inputs], weight[:, inputs:], bias)
    network = gw.Network(gw.LSTM.from_cells(cell), head=gw.Linear(head[None], offset))
    start = ((gw.State(h[None], c[None]),),)
    assert_agree({"h": h, "c": c}, {name: case[f"L0.{name}0"][0, 0] for name in "hc"}, 1e-7)
    trace = network.trace(case["L0.x"].swapaxes(0, 1), start)
    got = {"y": trace.features, "audio": trace.output[..., 0]} | trace.lstm.state[0][0]._asdict()
    want = {"y": case["L0.y"].swapaxes(0, 1), "audio": case["audio_out"].T}
    assert_agree(got, want | {"h": case["L0.hn"][0], "c": case["L0.cn"][0]}, CLOSE)


@pytest.mark.parametrize("name", ["icu_thai_graphclust", "icu_burmese_codepoints"])
def test_unicodes_word_segmenters_give_their_outputs_and_their_probabilities(name):
    case, model = arrays("cases", name, "case.npz"), document("cases", name, "weights.json")
    matrices = [
        np.array(model[f"mat{number}"]["data"], np.float32).reshape(model[f"mat{number}"]["dim"])
        for number in range(1, 10)
    ]
    table, *kernels, weight, bias = matrices
    lstm = gw.LSTM.from_cells([[from_columns(*kernels[:3]), from_columns(*kernels[3:])]])
    # In float64: over 300 steps the rounding of the runtime alone is most of what is allowed.
    head = gw.Linear(weight.T.astype(np.float64), bias.astype(np.float64))
    network = gw.Network(lstm.astype(np.float64), embedding=table.astype(np.float64), head=head)

    trace = network.trace(case["ids"].T)
    forward, backward = trace.lstm[0, "forward"], trace.lstm[0, "backward"]
    got = {"x": forward.input, "fwd.y": forward.hidden_state, "bwd.y": backward.hidden_state[::-1]}
    want = {part: case[f"L0.{part}"].swapaxes(0, 1) for part in got}  # the backward run is stored in its own time
    for direction, run in (("fwd", forward), ("bwd", backward)):
        got |= {f"{direction}.hn": run.final.h, f"{direction}.cn": run.final.c}
        want |= {f"{direction}.{end}": case[f"L0.{direction}.{end}"] for end in ("hn", "cn")}
    assert_agree(got, want, CLOSE)
    for ids, probabilities in (("ids", "softmax"), ("savedmodel_ids", "savedmodel_softmax")):
        scores, _ = network(case[ids].T)
        assert_agree({"p": softmax(scores).swapaxes(0, 1)}, {"p": case[probabilities]}, CLOSE)


@pytest.mark.parametrize(("name", "file"), [("rtneural_lstm", "lstm.json"), ("rtneural_lstm_1d", "lstm_1d.json")])
def test_rtneurals_networks_of_keras_layers_give_its_stored_answers(name, file):
    case = arrays("cases", name, "case.npz")
    *before, recurrent, last = document("cases", name, file)["layers"]
    weight, bias = (np.array(array, np.float32) for array in last["weights"])
    lstm = gw.LSTM.from_cells(from_columns(*recurrent["weights"]))
    network = gw.Network(lstm, head=gw.Linear(weight.T, bias))
    x = case["x"][:, None]
    for layer in before:
        assert (layer["type"], layer["activation"]) == ("time-distributed-dense", "tanh")
        weight, bias = (np.array(array, np.float32) for array in layer["weights"])
        x = np.tanh(gw.Linear(weight.T, bias)(x))
    y, _ = network(x)
    assert_agree({"y": y[:, 0]}, {"y": case["y"]}, CLOSE)


def test_rtneurals_stack_of_pytorch_layers_gives_its_stored_answer():
    case = arrays("cases", "rtneural_lstm_torch", "case.npz")
    of = {
        name: np.array(array, np.float32)
        for name, array in document("cases", "rtneural_lstm_torch", "lstm_torch.json").items()
    }
    places = [("lstm", 0), ("lstm2", 0), ("lstm2", 1), ("lstm2", 2)]
    cells = [
        from_rows(
            *(of[f"{module}.weight_{part}_l{layer}"] for part in ("ih", "hh")),
            sum(of[f"{module}.bias_{part}_l{layer}"] for part in ("ih", "hh")),
        )
        for module, layer in places
    ]
    network = gw.Network(gw.LSTM.from_cells(cells), head=gw.Linear(of["dense.weight"], of["dense.bias"]))
    y, _ = network(case["x"][:, None])
    assert_agree({"y": y[:, 0]}, {"y": case["y"]}, CLOSE)
