"""Models of amplifiers and pedals in JSON are whole networks: their players' laws, written out by hand."""

from __future__ import annotations

import json

import cases
import numpy as np
import pytest
from agreement import assert_agree
from json_documents import cells_of, drawn, guitarml, head_of, nam, rtneural, states_of

import gatewise as gw

CLOSE = 2e-6


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def played(x, layers, states=None):
    """Return h of the last of some layers (weight of x, weight of h, bias), gates i f g o, sample by sample."""
    for number, (w, u, b) in enumerate(layers):
        h, c = np.zeros(u.shape[1]), np.zeros(u.shape[1])
        if states is not None:
            h, c = (np.asarray(part, float)[0] for part in states[number])
        found = []
        for sample in x:
            i, f, g, o = np.split(w @ sample + u @ h + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            found.append(h)
        x = np.array(found)
    return x


def layers_of(cells):
    """Return the matrices of parameters as PyTorch has them, in float64."""
    return [
        (np.float64(p.input_weight).reshape(4 * p.hidden_size, -1), np.float64(p.recurrent_weight).reshape(
            4 * p.hidden_size, -1), np.float64(p.bias).reshape(-1))
        for p in cells
    ]  # fmt: skip


def loaded(folder, document, name="amp.json"):
    (folder / name).write_text(json.dumps(document), encoding="utf-8")
    return gw.load_network(folder / name)


# Proteus, NeuralPi and what else Automated-GuitarAmpModelling trains.


def of_guitarml(inputs, hidden, layers, outputs, skip, bias=True):
    """Return a document of random weights, and the law of its network."""
    rng = np.random.default_rng(1)
    sizes, state, matrices = [inputs] + [hidden] * layers, {}, []
    for n in range(layers):
        parts = {
            "weight_ih": rng.normal(size=(4 * hidden, sizes[n])).astype(np.float32),
            "weight_hh": rng.normal(size=(4 * hidden, hidden)).astype(np.float32) / 2,
            "bias_ih": rng.normal(size=4 * hidden).astype(np.float32),
            "bias_hh": rng.normal(size=4 * hidden).astype(np.float32),
        }
        state |= {f"rec.{name}_l{n}": array.tolist() for name, array in parts.items()}
        w, u, b, d = (np.float64(array) for array in parts.values())
        matrices.append((w, u, b + d))
    v, e = rng.normal(size=(outputs, hidden)).astype(np.float32), np.zeros(outputs, np.float32)
    state["lin.weight"] = v.tolist()
    if bias:
        e = rng.normal(size=outputs).astype(np.float32)
        state["lin.bias"] = e.tolist()
    data = {"model": "SimpleRNN", "input_size": inputs, "skip": skip, "output_size": outputs, "unit_type": "LSTM"}
    data |= {"num_layers": layers, "hidden_size": hidden, "bias_fl": bias}

    def law(x):
        return played(x, matrices) @ np.float64(v).T + e + (x[:, :skip] if skip else 0)

    return {"model_data": data, "state_dict": state}, law


@pytest.mark.parametrize(
    ("inputs", "layers", "outputs", "skip", "bias"),
    [
        (1, 1, 1, 1, True),  # NeuralPi and Proteus
        (2, 1, 1, 1, True),  # with a knob
        (3, 2, 1, 1, True),  # with two
        (2, 1, 2, 2, True),  # stereo
        (2, 1, 2, 1, False),
        (1, 1, 1, 2, True),  # no more is added than there is
        (1, 3, 1, 0, False),
    ],
)
def test_a_model_of_guitarml_is_a_network_with_its_skip_connection(inputs, layers, outputs, skip, bias, tmp_path):
    document, law = of_guitarml(inputs, 5, layers, outputs, skip, bias)
    x = np.random.default_rng(0).normal(size=(30, inputs)).astype(np.float32)
    network = loaded(tmp_path, document)
    assert network.skip == min(skip, inputs)
    data = document["model_data"]
    assert_agree({"y": network(x)[0]}, {"y": law(np.float64(x))}, CLOSE)
    told = [("model", "skip"), *([("unit_type",)] if skip == 1 else [])]  # of the rest the program knows the defaults
    for names in told:
        document["model_data"] = {name: data[name] for name in names}
        np.testing.assert_array_equal(loaded(tmp_path, document)(x)[0], network(x)[0])


def test_a_recnet_of_one_block_is_a_network_too(tmp_path):
    document, law = of_guitarml(1, 4, 1, 1, 1)
    block = {"block_type": "LSTM", "input_size": 1, "output_size": 1, "hidden_size": 4, "lin_bias": True}
    named = {f"layers.block_1.{name}": array for name, array in document["state_dict"].items()}
    made = {"model_data": {"model": "RecNet", "skip": 0}, "blocks": {"0": block}, "state_dict": named}
    x = np.ones((5, 1), np.float32)
    assert_agree({"y": loaded(tmp_path, made)(x)[0]}, {"y": law(np.float64(x))}, CLOSE)
    for change, words in (
        ({"blocks": {"0": block, "1": block}}, ["one block", "2"]),
        ({"blocks": {"0": block | {"block_type": "GRU"}}}, ["block_type", "'GRU'"]),
        ({"model_data": {"model": "RecNet", "skip": 1}}, ["blocks"]),
    ):
        with cases.refusal("amp.json", *words):
            loaded(tmp_path, made | change)


REFUSED = [
    ({"unit_type": "GRU"}, {}, ["unit_type", "'GRU'"]),
    ({"unit_type": 5}, {}, ["unit_type", "5"]),
    ({"model": "GatedConvNet"}, {}, ["'GatedConvNet'"]),
    ({"skip": 2}, {}, ["skip", "2 features", "1 outputs"]),
    ({"skip": -1}, {}, ["skip", "-1"]),
    ({"skip": "1"}, {}, ["skip", "'1'"]),
    ({"hidden_size": 4}, {}, ["hidden_size", "4", "3"]),
    ({"num_layers": 1}, {}, ["num_layers", "1", "2"]),
    ({"input_size": 0}, {}, ["input_size", "0"]),
    ({"output_size": 2}, {}, ["output_size", "2"]),
    ({"bias_fl": False}, {}, ["bias_fl", "False"]),
    ({}, {"lin.weight": None}, ["lin.weight"]),
    ({}, {"lin.weight": [[1.0, 2.0]]}, ["head", "2", "3"]),
    ({}, {"rec.weight_hh_l1": None}, ["rec", "weight_hh_l1"]),
    ({}, {"lin2.weight": [[1.0]]}, ["lin2.weight"]),
    ({}, {"rec.weight_ih_l0": drawn(0, 9, 2).tolist(), "rec.weight_hh_l0": drawn(0, 9, 3).tolist()}, ["GRU"]),
]


@pytest.mark.parametrize(("data", "state", "words"), REFUSED, ids=str)
def test_what_a_model_of_guitarml_says_and_does_not_hold_is_refused_by_name(data, state, words, tmp_path):
    document = guitarml()
    document["model_data"] |= data
    document["state_dict"] |= state
    document["state_dict"] = {name: array for name, array in document["state_dict"].items() if array is not None}
    with cases.refusal("amp.json", *words) as caught:
        loaded(tmp_path, document)
    assert len(str(caught.value)) <= 500


def test_the_lstm_alone_of_an_amplifier_says_what_its_network_adds(tmp_path):
    for skip, word in ((1, "adds its input"), (0, "Proteus")):
        document = guitarml()
        document["model_data"]["skip"] = skip
        (tmp_path / "amp.json").write_text(json.dumps(document), encoding="utf-8")
        (one,) = gw.inspect(tmp_path / "amp.json").lstms
        assert any(word in note for note in one.notes)


# RTNeural and AIDA-X.


def dense(linear, activation=""):
    weights = [linear.weight.T.tolist(), linear.bias.tolist()]
    return {"type": "dense", "activation": activation, "shape": [None, None, len(linear.weight)], "weights": weights}


def acting(activation, size):
    return {"type": "activation", "activation": activation, "shape": [None, None, size], "weights": []}


def test_dense_layers_before_and_after_rtneurals_lstms_are_part_of_the_network(tmp_path):
    cells = cells_of(3, 4, 2)
    first, second = gw.Linear(drawn(1, 5, 2), drawn(2, 5)), gw.Linear(drawn(3, 3, 5), drawn(4, 3))
    last, end = gw.Linear(drawn(5, 6, 2), drawn(6, 6)), gw.Linear(drawn(7, 2, 6), drawn(8, 2))
    document = rtneural(cells, before=[dense(first, "tanh"), dense(second)])
    document["in_shape"] = [None, None, 2]
    document["layers"] += [acting("sigmoid", 2), dense(last), acting("tanh", 6), dense(end, "relu")]
    del document["layers"][-3]["weights"][1]  # a bias of zeros is left out
    network = loaded(tmp_path, document)
    assert (network.num_features, network.num_outputs, len(network.dense)) == (2, 2, 3)
    x = drawn(9, 20, 2)
    h = played(np.tanh(x @ first.weight.T + first.bias) @ second.weight.T + second.bias, layers_of(cells))
    y = np.maximum(np.tanh(sigmoid(h) @ last.weight.T) @ end.weight.T + end.bias, 0)
    assert_agree({"y": network(x)[0]}, {"y": y}, CLOSE)


@pytest.mark.parametrize(
    "asked",
    [
        {"in_skip": 1},
        {"in_gain": -6.0},
        {"out_gain": 3},
        {"in_skip": 1, "in_gain": 4.5, "out_gain": -12.5},
        {"in_skip": 0, "in_gain": 0, "out_gain": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("features", [1, 2])
def test_aida_x_multiplies_by_a_gain_adds_the_input_and_multiplies_again(asked, features, tmp_path):
    cells, head = cells_of(features, 4), head_of(4, 1)
    network = loaded(tmp_path, rtneural(cells, head) | asked)
    x = drawn(3, 15, features)
    given = np.float64(x)
    given[:, 0] *= 10 ** ((asked.get("in_gain") or 0) / 20)
    y = played(given, layers_of(cells)) @ np.float64(head.weight).T + head.bias
    y = (y + given[:, :1] if asked.get("in_skip") else y) * 10 ** ((asked.get("out_gain") or 0) / 20)
    assert_agree({"y": network(x)[0]}, {"y": y}, CLOSE)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"in_skip": 2}, ["in_skip", "2"]),
        ({"in_skip": True}, ["in_skip", "True"]),
        ({"in_gain": -90}, ["in_gain", "-90"]),
        ({"out_gain": "3 dB"}, ["out_gain", "'3 dB'"]),
        ({"out_gain": 1e400}, ["out_gain", "inf"]),
        ({"in_gain": 10**400}, ["in_gain"]),
    ],
    ids=lambda one: str(one)[:20],
)
def test_what_no_player_of_aida_x_does_is_refused_and_told_of_the_lstm(asked, words, tmp_path):
    with cases.refusal("amp.json", *words):
        loaded(tmp_path, rtneural(cells_of(1, 2), head_of(2, 1)) | asked)
    assert words[0] in gw.inspect(tmp_path / "amp.json").lstms[0].notes[0]


BETWEEN = dense(gw.Linear(np.ones((2, 2), np.float32)))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (lambda lstm: [*lstm, BETWEEN, *lstm], ["layers.1", "'dense'", "between"]),
        (lambda lstm: [acting("tanh", 2), *lstm], ["layers.0", "activation"]),
        (lambda lstm: [*lstm, acting("tanh", 2), acting("tanh", 2)], ["layers.2", "activation"]),
        (lambda lstm: [*lstm, acting("tanh", 10**9)], ["layers.1", "1000000000"]),
        (lambda lstm: [*lstm, acting("swish", 2)], ["layers.1", "'swish'"]),
        (lambda lstm: [BETWEEN], ["LSTM"]),
    ],
)
def test_layers_that_no_network_has_are_refused_by_name(layers, words, tmp_path):
    document = rtneural(cells_of(2, 2))
    document["layers"] = layers(document["layers"])
    with cases.refusal("amp.json", *words):
        loaded(tmp_path, document)


# Neural Amp Modeler.


@pytest.mark.parametrize(("layers", "outputs"), [(1, 1), (2, 1), (1, 3)])
def test_a_nam_starts_from_the_state_in_its_file(layers, outputs, tmp_path):
    cells = cells_of(1, *[3] * layers)
    states, head = states_of(cells), head_of(3, outputs)
    document = nam(cells, states, head)
    x = drawn(0, 25, 1)
    y = played(x, layers_of(cells), states) @ np.float64(head.weight).T + head.bias
    assert_agree({"y": loaded(tmp_path, document, "amp.nam")(x)[0]}, {"y": y}, CLOSE)


def test_a_nam_tells_its_sample_rate_and_its_loudness(tmp_path):
    cells = cells_of(1, 3)
    document = nam(cells, states_of(cells), head_of(3, 1)) | {"metadata": {"loudness": -18.25, "gain": 0.1}}
    (tmp_path / "amp.nam").write_text(json.dumps(document), encoding="utf-8")
    notes = " ".join(gw.inspect(tmp_path / "amp.nam").lstms[0].notes)
    assert "48000 Hz" in notes
    assert "-18.2 dB" in notes
    odd = document | {"metadata": [1], "sample_rate": "high"}
    (tmp_path / "amp.nam").write_text(json.dumps(odd), encoding="utf-8")
    assert "Hz" not in " ".join(gw.inspect(tmp_path / "amp.nam").lstms[0].notes)


def test_a_nam_whose_channels_disagree_is_refused(tmp_path):
    cells = cells_of(1, 3)
    document = nam(cells, states_of(cells), head_of(3, 1))
    document["config"]["in_channels"] = 2
    with cases.refusal("amp.nam", "2 in_channels", "1"):
        loaded(tmp_path, document, "amp.nam")


def contained(*models):
    submodels = [{"max_value": (n + 1) / len(models), "model": one} for n, one in enumerate(models)]
    return {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": submodels}, "weights": []}


def test_a_container_is_the_last_of_its_models_and_holds_the_others(tmp_path):
    small, large = cells_of(1, 2), cells_of(1, 4)
    models = [nam(cells, states_of(cells), head_of(cells[0].hidden_size, 1)) for cells in (small, large)]
    network = loaded(tmp_path, contained(*models), "amp.nam")
    assert network.lstm.layers[0][0].hidden_size == 4
    found = gw.inspect(tmp_path / "amp.nam")
    assert [one.name for one in found.lstms] == ["submodels.0.lstm", "submodels.1.lstm"]
    wave = {"architecture": "WaveNet", "config": {}, "weights": []}
    with cases.refusal("amp.nam", "submodels.1", "'WaveNet'"):
        loaded(tmp_path, contained(models[0], wave), "amp.nam")
    assert gw.inspect(tmp_path / "amp.nam").find().lstm.layers[0][0].hidden_size == 2
    for odd, words in (
        (contained(), ["submodels"]),
        (contained(contained(wave)), ["submodels.0", "'SlimmableContainer'"]),
    ):
        with cases.refusal("amp.nam", *words):
            loaded(tmp_path, odd, "amp.nam")


@pytest.mark.parametrize("architecture", ["WaveNet", "ConvNet", "Linear", "CatLSTM", "lstm", "an odd\none"])
def test_an_amp_model_of_another_architecture_is_refused_by_its_name(architecture, tmp_path):
    cells = cells_of(1, 3)
    document = nam(cells, states_of(cells), head_of(3, 1)) | {"architecture": architecture}
    for read in (gw.load, gw.load_network):
        (tmp_path / "amp.nam").write_text(json.dumps(document), encoding="utf-8")
        with cases.refusal(repr(architecture)):
            read(tmp_path / "amp.nam")
