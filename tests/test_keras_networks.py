"""Whole networks of Keras: their layers one after another, what a network cannot express, and the parts by name."""

from __future__ import annotations

from functools import partial

import cases
import numpy as np
import pytest
from keras_files import (
    EMBEDDING,
    INPUTS,
    UNITS,
    dense,
    functional,
    kernels,
    layer,
    legacy,
    lstm_layer,
    named,
    network_file,
    new,
    wired,
)

import gatewise as gw
from gatewise import interop
from tests.test_interop import assert_same_lstm


def test_a_network_is_its_layers_one_after_another(tmp_path):
    path = network_file(
        tmp_path / "file",
        layer("InputLayer", "input"),
        EMBEDDING,
        lstm_layer("a", return_sequences=True),
        layer("Dropout", "drop", rate=0.5),
        lstm_layer("b"),
        dense("head", activation="softmax"),
    )
    network = interop.load_network(path)
    assert (network.lstm.num_layers, network.reads, network.masked) == (2, "last", 0.0)
    tokens = np.array([[1, 2], [3, 0], [0, 0]])
    x = network.embedding[tokens]
    for name in ("a", "b"):
        x, state = interop.load(path, name)(x, mask=tokens != 0, masked_output="repeat")
    a = state[0][0].h @ network.head.weight.T + network.head.bias
    expected = np.exp(a) / np.exp(a).sum(-1, keepdims=True)
    np.testing.assert_allclose(network(tokens)[0], expected, rtol=0, atol=1e-6)
    kept = gw.save(network, tmp_path / "own") or interop.load_network(tmp_path / "own")
    np.testing.assert_array_equal(kept(tokens)[0], network(tokens)[0])


def test_steps_that_masking_marks_do_not_take_place(tmp_path):
    path = network_file(
        tmp_path / "file", layer("Masking", "m", mask_value=-1.0), lstm_layer("a", return_sequences=True)
    )
    network = interop.load_network(path)
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    x[1:3, 0] = -1
    y, _ = network(x)
    short, _ = network.lstm(x[[0, 3], :1])
    np.testing.assert_allclose(y[[0, 3], 0], short[:, 0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(y[1, 0], y[0, 0])
    (note,) = interop.inspect(path).pick().notes
    assert note.startswith("a mask arrives at it: give mask=")
    assert note not in gw.open_run(path, x).notes  # of a network that masks itself


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([layer("Conv1D", "conv"), lstm_layer("a")], ["'conv'", "Conv1D", "before the LSTM"]),
        ([lstm_layer("a"), layer("Attention", "look")], ["'look'", "Attention"]),
        ([lstm_layer("a"), dense("one"), layer("BatchNormalization", "norm")], ["'norm'", "after the head"]),
        ([lstm_layer("a"), dense("one"), lstm_layer("b")], ["'b'", "LSTM", "after the head"]),
        ([lstm_layer("a"), dense("one"), layer("Softmax", "soft", axis=0)], ["'soft'", "another axis"]),
        ([lstm_layer("a"), layer("Activation", "act", activation="tanh")], ["'act'", "after the LSTM"]),
        ([EMBEDDING, dense("one", INPUTS), lstm_layer("a")], ["'one'", "Dense", "before the LSTM"]),
        ([layer("Masking", "m"), dense("one", INPUTS), lstm_layer("a")], ["masked marks steps"]),
        ([lstm_layer("a"), dense("one", activation="gelu")], ["'one'", "gelu"]),
        ([lstm_layer("a", return_sequences=True, go_backwards=True)], ["'a'", "go_backwards"]),
        ([lstm_layer("a"), lstm_layer("b")], ["'b'", "only its last step"]),
        ([lstm_layer("a", return_state=True)], ["'a'", "states"]),
        ([lstm_layer("a", return_sequences=True), lstm_layer("b", go_backwards=True)], ["'b'", "backward", "forward"]),
        ([dense("one")], ["no LSTM"]),
        ([layer("GRU", "g", units=2)], ["'g'", "GRU"]),
        ([], ["no LSTM"]),
    ],
)
def test_what_a_network_cannot_express_is_refused_by_the_layer_s_name(layers, words, tmp_path):
    with cases.refusal(*words):
        interop.load_network(network_file(tmp_path / "file", *layers))


def test_dense_layers_before_and_after_are_kept_in_their_order(tmp_path):
    path = network_file(
        tmp_path / "file",
        layer("TimeDistributed", "in", layer=dense("inner", 4)),
        layer("Activation", "act", activation="tanh"),
        layer("Dropout", "drop", rate=0.5),
        lstm_layer("a", return_sequences=True),
        dense("one", 5, activation="relu"),
        layer("Dropout", "drop2", rate=0.5),
        dense("two", 4),
        layer("LeakyReLU", "leaky", alpha=0.1),
        dense("three", 2),
        layer("Softmax", "soft"),
    )
    network = interop.load_network(path)
    assert [str(one.activation) for one in network.dense] == ["relu", "leaky_relu:0.1", "softmax"]
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    (before,) = network.branches[0].layers
    h, _ = network.lstm(np.tanh(x @ before.weight.T + before.bias))
    one, two, three = network.dense
    h = np.maximum(h @ one.weight.T + one.bias, 0) @ two.weight.T + two.bias
    h = np.exp(np.where(h > 0, h, 0.1 * h) @ three.weight.T + three.bias)
    np.testing.assert_allclose(network(x)[0], h / h.sum(-1, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("case", ["direct", "identity", "scaled", "later", "inner", "inner later", "wide"])
def test_what_is_added_to_the_output_is_a_skip_connection_if_it_is_the_input_of_the_model(case, old, tmp_path):
    outputs = 2 if case == "wide" else INPUTS
    body = [lstm_layer("a", return_sequences=True) | wired(old, "in"), dense("head", outputs) | wired(old, "a")]
    beside = {"identity": layer("Dropout", "side"), "scaled": layer("Rescaling", "side")}.get(case)
    layers = [layer("InputLayer", "in") | wired(old), *body]
    if beside is not None:
        layers.append(beside | wired(old, "in"))
    layers.append(layer("Add", "sum") | wired(old, "in" if beside is None else "side", "head"))
    weights = {"a": named("a/", kernels(new()[0]), ":0")}
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(UNITS, outputs)).astype(np.float32), rng.normal(size=outputs).astype(np.float32)
    weights |= {"head": {"head/kernel:0": kernel, "head/bias:0": bias}}
    if case == "later":
        layers.append(dense("more", outputs) | wired(old, "sum"))
        weights["more"] = {"more/kernel:0": kernel[:1].repeat(outputs, 0), "more/bias:0": bias}
    config = functional(*layers)
    if case.startswith("inner"):
        config["config"]["name"] = "inner"
        outer = [layer("InputLayer", "top") | wired(old), config | {"name": "inner"} | wired(old, "top")]
        if case == "inner later":
            inner_lstm = lstm_layer("b", return_sequences=True) | wired(old, "top")
            outer = [outer[0], inner_lstm, config | {"name": "inner"} | wired(old, "b")]
        config = functional(*outer)
        weights = {"inner": weights["a"] | weights["head"]}
        weights |= {"b": named("b/", kernels(new(units=INPUTS)[0]), ":0")} if case == "inner later" else {}
    path = legacy(tmp_path / "file", weights, "2.9.0", config)
    if case in ("scaled", "later", "inner later", "wide"):
        with pytest.raises(gw.FileError) as caught:
            interop.load_network(path)
        words = {"later": "after a skip connection", "wide": "adds 3 features to 2 outputs"}.get(case, "'sum'")
        cases.one_sentence(caught.value, words if case != "inner later" else "sum")
        return
    network = interop.load_network(path)
    assert network.skip == INPUTS
    x = rng.normal(size=(4, 2, INPUTS)).astype(np.float32)
    np.testing.assert_allclose(network(x)[0], x + new()(x)[0] @ kernel + bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("old", [True, False])
def test_a_functional_model_is_followed_from_its_input_to_its_output(old, tmp_path):
    after = partial(wired, old)
    layers = [
        lstm_layer("a") | after("in"),  # not in the order of the way
        layer("InputLayer", "in") | after(),
        layer("Dropout", "drop") | after("a"),
    ]
    layers = [layers[1], layers[0], layers[2]]
    weights = {"in": {}, "a": named("a/", kernels(new()[0]), ":0"), "drop": {}, "b": named("b/", kernels(new(1)[0]))}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers))
    assert_same_lstm(interop.load_network(path).lstm, new())
    branched = [*layers, lstm_layer("b") | after("in")]
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*branched, ends=["a", "b"]))
    own = [*layers[:1], lstm_layer("a") | after("in", mask=["drop", 0, 0])]
    path_ = legacy(tmp_path / "own", weights, "2.9.0", functional(*own))
    with pytest.raises(gw.FileError, match=r"'a'.*an explicit mask"):
        interop.load_network(path_)
    with pytest.raises(gw.FileError, match="2 outputs"):
        interop.load_network(path)
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*branched, ends=["drop"]))
    with pytest.raises(gw.FileError, match=r"'b'.*no branches"):
        interop.load_network(path)
    joined = [*branched, layer("Add", "sum") | after("drop", "b")]
    path = legacy(tmp_path / "file", weights | {"sum": {}}, "2.9.0", functional(*joined))
    with pytest.raises(gw.FileError, match=r"'sum'.*2 inputs"):
        interop.load_network(path)
    circle = [layer("InputLayer", "in") | after("drop"), *layers[1:]]
    with pytest.raises(gw.FileError):
        interop.load_network(legacy(tmp_path / "file", weights, "2.9.0", functional(*circle)))


def test_the_parts_of_a_file_can_be_named_for_a_network(tmp_path):
    path = network_file(tmp_path / "file", EMBEDDING, lstm_layer("a"), dense("head"))
    contents = interop.inspect(path)
    kinds = {one.name: (one.kind, one.shape) for one in contents.parts}
    assert kinds == {"embed": ("embedding", (7, INPUTS)), "head": ("linear layer", (2, UNITS))}
    whole = interop.load_network(path)
    named_ = interop.load_network(path, embedding="embed", head="head", reads="last")
    np.testing.assert_array_equal(named_.head.weight, whole.head.weight)
    np.testing.assert_array_equal(named_.embedding, whole.embedding)


def test_stacked_layers_are_taken_as_one_lstm_where_none_is_named(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a", return_sequences=True), lstm_layer("b"), dense("head"))
    assert [(one.name, one.stacked) for one in interop.inspect(path).lstms] == [
        ("a", False),
        ("b", False),
        ("a → b", True),
    ]
    assert_same_lstm(interop.load(path), interop.load_network(path).lstm)
