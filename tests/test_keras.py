"""Keras' files of every generation are read without Keras, and written so that Keras reads them."""

from __future__ import annotations

import json

import cases
import keras_files
import numpy as np
import pytest
from keras_files import (
    BOTH,
    GENERATIONS,
    HARD,
    HARD_2,
    HARD_3,
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
    sequential,
    three,
    three_both_weights,
    three_weights,
    two,
    two_both_weights,
    two_fused_weights,
    two_weights,
)
from program import exit_code

import gatewise as gw
from gatewise import interop
from gatewise.interop import keras as gw_keras
from gatewise.interop.keras.config import Version
from tests.test_interop import assert_same_lstm


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_weights_of_every_generation_are_the_same_bit_for_bit(generation, dtype, tmp_path):
    lstm = new(dtype=dtype, **GENERATIONS[generation])
    path = generation(tmp_path / "file", lstm)
    contents = interop.inspect(path)
    assert not contents.refused
    (found,) = contents.lstms
    assert_same_lstm(found.lstm, lstm)
    assert found.where
    assert "Keras" in found.convention
    assert "gates i" in found.convention
    assert found.batch_first is True


USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}  # what weights leave out


@pytest.mark.parametrize("generation", [two, two_weights, three, three_weights])
def test_a_layer_without_biases_has_zeros(generation, tmp_path, monkeypatch):
    lstm = new()
    whole = kernels
    monkeypatch.setattr(keras_files, "kernels", lambda cell: whole(cell, bias=False))
    omitted = USUAL if "weights" in generation.__name__ else {}
    found = interop.load(generation(tmp_path / "file", lstm), **omitted)
    np.testing.assert_array_equal(found[0].parameters.weight, lstm[0].parameters.weight)
    assert not found[0].parameters.bias.any()


# What the file leaves out.


@pytest.mark.parametrize(
    ("version", "gate"),
    [
        ("1.2.2", HARD_2),
        ("2.0.0", HARD_2),
        ("2.2.4", HARD_2),
        ("2.3.0", gw.Activation("sigmoid")),
        ("2.1.6-tf", HARD_2),
        ("2.2.4-tf", gw.Activation("sigmoid")),
        ("2.15.0", gw.Activation("sigmoid")),
        ("3.0.0", gw.Activation("sigmoid")),
        (None, gw.Activation("sigmoid")),
    ],
)
def test_weights_alone_have_the_default_of_their_version_and_it_is_said(version, gate, tmp_path):
    path = legacy(tmp_path / "file", {"lstm_1": named("lstm_1/", kernels(new()[0]), ":0")}, version)
    contents = interop.inspect(path)
    (found,) = contents.lstms
    assert found.lstm[0].variant.activation("i") == gate
    reasons = {entry.name: entry.reason for entry in contents.ledger if entry.lstms == ("lstm_1",)}
    assert [*reasons] == ["lstm_1.activation", "lstm_1.recurrent_activation", "lstm_1.go_backwards"]
    assert all("assumed" in reason for reason in reasons.values())
    assert gate.name in reasons["lstm_1.recurrent_activation"]
    assert ("TensorFlow 1" in reasons["lstm_1.recurrent_activation"]) == (version == "2.2.4-tf")
    with pytest.warns(gw.WeightsWarning, match="lstm_1.recurrent_activation .*assumed"):
        gw.load(path)
    with cases.refusal("lstm_1.go_backwards", "strict"):
        gw.load(path, strict=True)
    contents = interop.inspect(path, recurrent_activation="softsign", activation=HARD_3, go_backwards=True)
    (found,) = contents.lstms
    assert found.lstm[0].variant.activation("f").name == "softsign"
    assert found.lstm[0].variant.activation("c") == HARD_3
    assert found.lstm.directions == ("backward",)
    assert found.time_reversed
    assert all(entry.used for entry in contents.ledger)
    assert {entry.layer for entry in contents.ledger} == {"lstm_1"}


def test_hard_sigmoid_is_what_it_was_in_the_file_s_version(tmp_path):
    for version, gate in (("1.0.0", HARD_2), ("2.15.0", HARD_2), ("3.0.0", HARD_3)):
        config = sequential(layer("LSTM", "lstm", units=UNITS, activation="tanh", recurrent_activation="hard_sigmoid"))
        path = legacy(tmp_path / "file", {"lstm": named("lstm/", kernels(new()[0]), ":0")}, version, config)
        assert interop.load(path)[0].variant.activation("o") == gate
        weights = legacy(tmp_path / "weights", {"lstm": named("lstm/", kernels(new()[0]), ":0")}, version)
        assert (
            interop.load(weights, **USUAL | {"recurrent_activation": "hard_sigmoid"})[0].variant.activation("o") == gate
        )
    with cases.refusal("0.2", "1 / 6", by=gw.OptionError):
        interop.load(three_weights(tmp_path / "three", new()), recurrent_activation="hard_sigmoid")


@pytest.mark.parametrize(
    ("generation", "option", "words"),
    [
        (two, {"activation": "tanh"}, ["needs activation", "Leave it out"]),
        (two, {"recurrent_activation": "sigmoid"}, ["recurrent_activation"]),
        (two, {"go_backwards": True}, ["go_backwards"]),
        (three, {"merge": "sum"}, ["merge"]),
        (two_fused_weights, {"recurrent_activation": "sigmoid"}, ["recurrent_activation"]),
        (two_weights, {"merge": "sum"}, ["merge"]),
        (two_both_weights, {"go_backwards": True}, ["go_backwards"]),
        (two_weights, {"units": 5}, ["units", "activation, recurrent_activation, go_backwards, merge"]),
        (two_weights, {"go_backwards": 1}, ["go_backwards", "1"]),
        (two_weights, {"activation": "gelu"}, ["gelu"]),
        (two_weights, {"activation": 3}, ["3"]),
        (two_both_weights, {"merge": "mean"}, ["mean", "concat"]),
    ],
)
def test_an_option_that_a_file_does_not_leave_open_is_refused(generation, option, words, tmp_path):
    path = generation(tmp_path / "file", new(**GENERATIONS[generation]))
    with cases.refusal(*words, by=gw.OptionError):
        interop.inspect(path, **option)


@pytest.mark.parametrize(("given", "merge"), [("sum", "sum"), ("ave", "average"), (None, "none"), ("mul", "mul")])
@pytest.mark.parametrize("generation", [two_both_weights, three_both_weights])
def test_the_merge_of_directions_can_be_told(generation, given, merge, tmp_path):
    path = generation(tmp_path / "file", new(**BOTH))
    omitted = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    assert interop.load(path, merge=given, **omitted).merge == (merge,)


# What is refused by name, and what is not executed.


def with_layer(path, config, found=None):
    return legacy(
        path, {"odd": named("odd/", kernels(new()[0]) if found is None else found, ":0")}, "2.9.0", sequential(config)
    )


RNN = {"return_sequences": True}
LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
CODE = {"value": ["4wEAAAAAAAAA", None, None]}  # a lambda, as Keras 3 writes it
CAPPED = {"module": "keras.layers", "class_name": "ReLU", "config": {"max_value": 0.0, "negative_slope": 0.0}}
CUSTOM = {
    "module": "my.code",
    "class_name": "LSTM",
    "registered_name": "my>LSTM",
    "config": {"name": "odd", "units": 2},
}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (layer("GRU", "odd", units=UNITS), "GRU"),
        (layer("SimpleRNN", "odd", units=UNITS), "without gates"),
        (layer("ConvLSTM2D", "odd", filters=3), "convolutional"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "gelu"}}, "'gelu'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "swish"}}, "'swish'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": LAMBDA}}, "'__lambda__'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": [1]}}, "a list of 1"),
        (layer("RNN", "odd", cell=layer("MyCell", "cell", units=UNITS)), "'MyCell'"),
        (layer("RNN", "odd", cell=layer("GRUCell", "cell", units=UNITS)), "GRU"),
        (CUSTOM, "not one of Keras' own"),
        (lstm_layer("odd") | {"class_name": "Mine>LSTM"}, "not one of Keras' own"),
        (lstm_layer("odd") | {"class_name": "keras_hub>LSTM"}, "not one of Keras' own"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "keras_hub>tanh"}}, "hub>tanh"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "Mine>tanh"}}, "Mine>tanh"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": CAPPED}}, "a maximum"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": CODE}}, "a function whose code"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": 7, "activation": "tanh"}}, "7 units"),
        (layer("Bidirectional", "odd", layer=lstm_layer("x", go_backwards=True)), "runs backward"),
        (layer("Bidirectional", "odd", layer=layer("GRU", "x", units=UNITS)), "GRU"),
        (layer("Bidirectional", "odd", layer=lstm_layer("x"), merge_mode="max"), "'max'"),
    ],
)
def test_what_is_no_lstm_of_keras_is_refused_by_name(config, words, tmp_path):
    contents = interop.inspect(with_layer(tmp_path / "file", config))
    assert not contents.lstms
    (refused,) = contents.refused
    assert words in refused.reason
    with cases.refusal("odd", words):
        contents.pick()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"kernel": np.ones((3, 6)), "recurrent_kernel": np.ones((2, 6)), "bias": np.ones(6)}, "GRU"),
        ({"kernel": np.ones((3, 2)), "recurrent_kernel": np.ones((2, 2)), "bias": np.ones(2)}, "without gates"),
        ({"kernel": np.ones((3, 3, 1, 8)), "recurrent_kernel": np.ones((3, 3, 2, 8)), "bias": np.ones(8)}, "convol"),
        ({"kernel": np.ones((3, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(5)}, "(5,)"),
        ({"kernel": np.ones((3, 8), np.int8), "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(8)}, "quantised"),
        ({"kernel": np.ones((0, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(8)}, "empty"),
    ],
)
def test_weights_alone_that_are_no_lstm_s_are_refused_by_their_shapes(found, words, tmp_path):
    contents = interop.inspect(legacy(tmp_path / "file", {"odd": named("odd/", found, ":0")}))
    assert not contents.lstms
    assert words in contents.refused[0].reason


def test_activations_in_the_forms_of_every_version_are_read(tmp_path):
    forms = {
        "linear": gw.Activation("affine"),
        "elu": gw.Activation("elu"),
        None: gw.Activation("affine"),
        json.dumps(
            {"class_name": "function", "config": "relu", "module": "builtins", "registered_name": "function"}
        ): "relu",
        json.dumps({"class_name": "LeakyReLU", "config": {"alpha": 0.25}}): "leaky_relu:0.25",
        json.dumps({"class_name": "LeakyReLU", "config": {}, "module": "keras.layers"}): "leaky_relu:0.3",
        json.dumps({"class_name": "ELU", "config": {"alpha": {"type": "ndarray", "value": 0.5}}}): "elu:0.5",
        json.dumps({"class_name": "ReLU", "config": {"max_value": None, "negative_slope": 0.0}}): "relu",
    }
    for form, wanted in forms.items():
        given = json.loads(form) if form is not None and form.startswith("{") else form
        config = layer("LSTM", "odd", units=UNITS, activation=given, recurrent_activation="sigmoid")
        lstm = interop.load(with_layer(tmp_path / "file", config))
        expected = gw.Activation.parse(wanted) if isinstance(wanted, str) else wanted
        assert lstm[0].variant.activation("g") == lstm[0].variant.activation("c") == expected


def test_the_notes_tell_what_a_caller_must_do(tmp_path):
    config = sequential(
        layer("Masking", "mask", mask_value=0.0),
        layer("TimeDistributed", "odd", layer=lstm_layer("inner", stateful=True, go_backwards=True, time_major=True)),
    )
    config["config"]["layers"][1]["config"]["layer"]["config"]["dtype"] = {
        "class_name": "Policy",
        "config": {"name": "mixed_float16"},
    }
    layers = {"mask": {}, "odd": named("odd/", kernels(new()[0]), ":0")}
    (found,) = interop.inspect(legacy(tmp_path / "file", layers, "2.4.0", config)).lstms
    notes = "; ".join(found.notes)
    for words in ("'repeat'", "stateful", "outer step", "last step first", "(time, batch, feature)", "float16"):
        assert words in notes
    assert (found.batch_first, found.time_reversed, found.lstm.directions) == (False, True, ("backward",))


def test_a_mask_is_noted_only_where_it_reaches(tmp_path):
    """Keras 2 writes down no masks: they are followed from layer to layer."""
    layers = [
        layer("InputLayer", "in") | {"inbound_nodes": []},
        layer("Masking", "mask") | {"inbound_nodes": [[["in", 0, 0, {}]]]},
        lstm_layer("a", return_sequences=True) | {"inbound_nodes": [[["mask", 0, 0, {}]]]},
        lstm_layer("b", return_state=True) | {"inbound_nodes": [[["a", 0, 0, {}]]]},
        lstm_layer("c") | {"inbound_nodes": [[["in", 0, 0, {}], ["b", 0, 1, {}], ["b", 0, 2, {}]]]},
        lstm_layer("d") | {"inbound_nodes": [[["in", 0, 0, {"mask": ["odd", 0, 0]}]]]},
        lstm_layer("e") | {"inbound_nodes": [[["in", 0, 0, {"mask": None}]]]},
    ]
    weights = {one["config"]["name"]: {} for one in layers}
    weights |= {name: named(f"{name}/", kernels(new()[0]), ":0") for name in "abcde"}
    contents = interop.inspect(legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["c", "d", "e"])))
    masked = {one.name: one.masked for one in contents.lstms}
    assert masked == {"a": True, "b": True, "c": False, "d": True, "e": False}
    assert masked == {one.name: "mask" in "".join(one.notes) for one in contents.lstms}
    given = {entry.name for entry in contents.ledger if entry.kind == "input" and not entry.used}
    assert given == {"c.initial_state", "d.mask"}
    with pytest.warns(gw.WeightsWarning, match="c.initial_state .* zeros"):
        contents.pick("c")
    assert {one.masked_output for one in contents.lstms} == {"repeat"}


# What gatewise writes.


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "dtype": np.float64},
        {"num_layers": 3, "bidirectional": True},
        {"bidirectional": True, "merge": ["mul", "none"], "num_layers": 2},
        {"variant": gw.Variant(candidate_activation="relu", cell_activation="relu")},
        {"direction": "backward", "num_layers": 2},
    ],
    ids=str,
)
def test_a_round_trip_through_a_file_changes_no_bit(form, options, tmp_path):
    lstm, path = new(**options), tmp_path / f"lstm{form}"
    gw_keras.write(lstm, path)
    back = interop.load_network(path)
    assert_same_lstm(back.lstm, lstm)
    assert (back.head, back.embedding, back.reads) == (None, None, "every")
    assert_same_lstm(gw_keras.read(path), lstm)
    assert_same_lstm(gw.load(path), lstm)
    first = path.read_bytes()
    gw_keras.write(lstm, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"variant": gw.Variant(peephole="full")}, "peepholes"),
        ({"variant": gw.Variant(coupling="forget=1-input")}, "coupled"),
        ({"variant": gw.Variant(cell_clip=3.0)}, "cell clip"),
        ({"variant": gw.Variant(gate_clip=3.0)}, "gate clip"),
        ({"projection_size": 1}, "projection"),
        ({"variant": gw.Variant(layer_norm="gates", epsilon=1e-5)}, "layer norm"),
        ({"variant": gw.Variant(input_activation="tanh")}, "each gate"),
        ({"variant": gw.Variant(cell_activation="relu")}, "cell state"),
        (HARD, "hard_sigmoid:0.2"),
    ],
)
@pytest.mark.parametrize("form", [None, ".keras", ".h5"])
def test_what_keras_cannot_express_is_refused_before_anything_is_written(options, words, form, tmp_path):
    path = None if form is None else tmp_path / f"lstm{form}"
    if path is not None:
        path.write_bytes(b"before")
    with cases.refusal(words, by=gw.OptionError):
        gw_keras.write(new(**options), path)
    assert path is None or path.read_bytes() == b"before"


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_every_variant_is_what_is_read_or_keras_does_not_have_it(variant, tmp_path):
    lstm = cases.run_of(variant).lstm
    if variant in ("plain", "hard sigmoid of Keras 3"):
        gw_keras.write(lstm, tmp_path / "lstm.keras")
        assert_same_lstm(interop.load(tmp_path / "lstm.keras"), lstm)
        return
    with cases.refusal("Keras' LSTM has no", by=gw.OptionError):
        gw_keras.write(lstm, tmp_path / "lstm.keras")


def test_a_name_that_is_no_keras_file_s_is_refused(tmp_path):
    with pytest.raises(gw.OptionError, match=r"\.keras or \.h5"):
        gw_keras.write(new(), tmp_path / "lstm.pt")
    with pytest.raises(gw.OptionError, match="int"):
        gw_keras.write(5, tmp_path / "lstm.keras")


def test_versions_are_parsed_and_compared():
    assert Version.parse("2.2.4-tf").tensorflow
    assert not Version.parse("2.3.1").tensorflow
    assert Version.parse("2.11.0").tensorflow
    assert Version.parse(None).major == Version.parse("odd").major == 0


def test_read_takes_what_a_file_leaves_out(tmp_path):
    path = two_weights(tmp_path / "file", new())
    omitted = {"activation": "tanh", "recurrent_activation": "softsign", "go_backwards": True}
    lstm = gw_keras.read(path, **omitted)
    assert_same_lstm(lstm, interop.load(path, **omitted))
    assert lstm.directions == ("backward",)


# Weights alone, read with what `model.to_json()` wrote beside them.


def description(path, *layers, **more):
    path.write_text(json.dumps(sequential(*layers, **more)))
    return path


def test_a_configuration_says_what_weights_leave_out(tmp_path):
    for number, (write, more) in enumerate(((two_weights, {}), (three_weights, {"module": "keras"}))):
        name = "lstm_1" if write is two_weights else "top"
        config = lstm_layer(name) | ({"module": "keras.layers", "registered_name": None} if more else {})
        path = description(tmp_path / f"{number}.json", config, **more)
        (found,) = gw.inspect(write(tmp_path / f"{number}.h5", new()), config=path).lstms
        assert (found.name, found.notes) == (name, ())
        assert_same_lstm(found.lstm, new())


def test_a_whole_network_is_read_of_two_files(tmp_path, capsys):
    layers = [lstm_layer("a", return_sequences=True), lstm_layer("b"), dense("head", activation="tanh")]
    whole = network_file(tmp_path / "whole.h5", layer("Dropout", "drop"), *layers)
    arrays = {
        "a": named("a/", kernels(gw.load(whole, "a")[0]), ":0"),
        "b": named("b/", kernels(gw.load(whole, "b")[0]), ":0"),
    }
    head = gw.load_network(whole).head
    arrays["head"] = {"head/kernel:0": head.weight.T, "head/bias:0": head.bias}
    weights = legacy(tmp_path / "weights.h5", {"drop": {}} | arrays, "2.15.0")
    config = description(tmp_path / "model.json", layer("Dropout", "drop"), *layers, keras_version="2.15.0")
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    np.testing.assert_array_equal(gw.load_network(weights, config=config)(x)[0], gw.load_network(whole)(x)[0])
    assert exit_code(["inspect", str(weights), "--set", f"config={config}"]) == 0
    assert "a → b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"\xff", "UTF-8"), (b"[]", "no configuration of a Keras model"), (b"{", "configuration"), (None, "no such file")],
)
def test_what_is_no_configuration_is_refused(text, words, tmp_path):
    path = tmp_path / "model.json"
    if text is not None:
        path.write_bytes(text)
    with cases.refusal(words):
        gw.inspect(two_weights(tmp_path / "file", new()), config=path)


def test_a_configuration_is_refused_where_the_file_has_its_own_and_alone(tmp_path):
    config = description(tmp_path / "model.json", lstm_layer("a"))
    with pytest.raises(gw.OptionError, match=r"needs config\. Leave it out"):
        gw.inspect(network_file(tmp_path / "file", lstm_layer("a")), config=config)
    with pytest.raises(gw.OptionError, match="config must be the path"):
        gw.inspect(two_weights(tmp_path / "file", new()), config=5)
    with pytest.raises(gw.FileError, match="--set config=PATH"):
        gw.inspect(config)
