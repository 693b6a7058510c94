"""Keras' files of every generation, written here by hand as each Keras wrote them, and read without Keras."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
import zipfile

import cases
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import everything, fuzz, in_archive, in_json
from test_interop import assert_same_lstm
from test_referees import CLOSE, REFEREES, arrays

import gatewise as gw
from gatewise import interop
from gatewise.interop import conventions
from gatewise.interop import keras as door
from gatewise.interop.containers import hdf5
from gatewise.interop.containers.hdf5 import Dataset
from gatewise.interop.keras.config import Version

h5py = pytest.importorskip("h5py")

INPUTS, UNITS = 3, 2
HARD_2, HARD_3 = (gw.Activation("hard_sigmoid", slope, 0.5) for slope in (0.2, 1 / 6))


# The generations, by hand.


def new(seed=0, inputs=INPUTS, units=UNITS, **options):
    """Return an LSTM with biases that are not zero."""
    return gw.LSTM(inputs, units, rng=seed, **options)


def kernels(cell, bias=True):
    """Return Keras 2's and 3's arrays: gates i f c o side by side."""
    found = conventions.stacked("pytorch", cell.parameters)
    arrays = {"kernel": found.input_weight.T, "recurrent_kernel": found.recurrent_weight.T}
    return arrays | ({"bias": found.bias} if bias else {})


def twelve(cell):
    """Return Keras 1's arrays, in its order."""
    p = cell.parameters
    places = {"i": 0, "f": 1, "c": 2, "o": 3}
    found = {}
    for letter in "icfo":
        n = places[letter]
        found |= {f"W_{letter}": p.input_weight[n].T, f"U_{letter}": p.recurrent_weight[n].T, f"b_{letter}": p.bias[n]}
    return found


def fused(cell):
    """Return the arrays of a CuDNNLSTM: cuDNN's matrices, block after block, and two biases."""
    p = cell.parameters
    inputs, units = cell.input_size, cell.hidden_size
    return {
        "kernel": np.concatenate([block.reshape(inputs, units) for block in p.input_weight], axis=1),
        "recurrent_kernel": np.concatenate(list(p.recurrent_weight), axis=1),
        "bias": np.concatenate([p.bias.ravel() / 2, p.bias.ravel() / 2]),
    }


def write_attribute(group, name, words, pieces):
    """Write a list of names, in numbered pieces where it is said to be too long for one."""
    words = [word.encode() for word in words]
    if not pieces:
        group.attrs[name] = words
    for number in range(pieces):
        group.attrs[f"{name}{number}"] = (
            words[number::pieces]
            if pieces == 1
            else words[number * len(words) // pieces : (number + 1) * len(words) // pieces]
        )


def legacy(path, layers, version="2.2.4", config=None, pieces=0):
    """Write HDF5 as Keras 1 and 2 do: `layers` are the arrays of each layer, by their names, in order."""
    with h5py.File(path, "w") as file:
        weights = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
            weights = file.create_group("model_weights")
        for group in {file.name: file, weights.name: weights}.values():
            if version is not None:
                group.attrs["keras_version"], group.attrs["backend"] = version.encode(), b"tensorflow"
        write_attribute(weights, "layer_names", list(layers), pieces)
        for name, found in layers.items():
            group = weights.create_group(name)
            write_attribute(group, "weight_names", list(found), pieces)
            for key, array in found.items():
                group.create_dataset(key, data=array)
    return path


def tree(file, objects):
    """Write weights as Keras 3 does: the arrays of each object under its path, with its name."""
    for path, (name, found) in objects.items():
        group = file.create_group(f"{path}/vars")
        group.attrs["name"] = name
        for number, array in enumerate(found.values()):
            group.create_dataset(str(number), data=array)


def archive(path, objects, config, version="3.4.1"):
    """Write a .keras file."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        tree(file, objects)
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("metadata.json", json.dumps({"keras_version": version}))
        target.writestr("config.json", json.dumps(config))
        target.writestr("model.weights.h5", weights.getvalue())
    return path


def sequential(*layers, **more):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}, **more}


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def lstm_layer(name, kind="LSTM", **config):
    plain = {"units": UNITS, "activation": "tanh", "recurrent_activation": "sigmoid"}
    return layer(kind, name, **(plain if kind != "CuDNNLSTM" else {"units": UNITS}), **config)


def named(prefix, found, suffix=""):
    return {f"{prefix}{name}{suffix}": array for name, array in found.items()}


def old_1(path, lstm):
    config = layer("LSTM", "lstm_1", output_dim=UNITS, activation="tanh", inner_activation="hard_sigmoid")
    return legacy(
        path, {"lstm_1": named("lstm_1_", twelve(lstm[0]))}, "1.2.2", sequential(config) | {"config": [config]}
    )


def old_1_fast(path, lstm):
    config = layer("LSTM", "lstm_1", output_dim=UNITS, activation="tanh", inner_activation="hard_sigmoid")
    found = dict(zip(("lstm_1_W", "lstm_1_U", "lstm_1_b"), kernels(lstm[0]).values(), strict=True))
    return legacy(path, {"lstm_1": found}, "1.0.7", sequential(config))


def old_1_both(path, lstm):
    inner = layer("LSTM", "lstm_1", output_dim=UNITS, activation="tanh", inner_activation="hard_sigmoid")
    config = layer("Bidirectional", "bidirectional_1", merge_mode="ave", layer=inner)
    sides = zip(("forward_lstm_1_", "backward_lstm_1_"), lstm.layers[0], strict=True)
    found = {key: array for side, cell in sides for key, array in named(side, twelve(cell), ":0").items()}
    return legacy(path, {"bidirectional_1": found}, None, sequential(config))


def two(path, lstm):
    return legacy(path, {"lstm_1": named("lstm_1/", kernels(lstm[0]), ":0")}, "2.1.3", sequential(lstm_layer("lstm_1")))


def two_weights(path, lstm):
    return legacy(path, {"lstm_1": named("lstm_1/", kernels(lstm[0]), ":0")}, "2.3.1")


def two_pieces(path, lstm):
    return legacy(path, {"lstm_1": named("lstm_1/", kernels(lstm[0]), ":0")}, "2.3.1", pieces=2)


def two_slash(path, lstm):
    found = named("outer/lstm/lstm_cell_3/", kernels(lstm[0]), ":0")
    return legacy(path, {"outer/lstm": found}, "2.11.0", sequential(lstm_layer("outer/lstm")))


def two_both(path, lstm):
    config = layer("Bidirectional", "bi", merge_mode="concat", layer=lstm_layer("lstm"))
    found = {}
    for number, cell in enumerate(lstm.layers[0]):
        found |= named("bi/", kernels(cell), f"_{number}:0" if number else ":0")
    return legacy(path, {"bi": found}, "2.0.8", sequential(config))


def two_both_weights(path, lstm):
    found = {}
    for side, cell in zip(("forward", "backward"), lstm.layers[0], strict=True):
        found |= named(f"bi/{side}_lstm/lstm_cell_1/", kernels(cell), ":0")
    return legacy(path, {"bi": found}, "2.4.0")


def two_fused(path, lstm):
    config = sequential(lstm_layer("quick", "CuDNNLSTM"))
    return legacy(path, {"quick": named("quick/", fused(lstm[0]), ":0")}, "2.2.4", config)


def two_fused_weights(path, lstm):
    return legacy(path, {"quick": named("quick/", fused(lstm[0]), ":0")}, "2.1.5")


def two_fused_in_an_lstm(path, lstm):
    return legacy(path, {"rnn": named("rnn/", fused(lstm[0]), ":0")}, "2.2.4", sequential(lstm_layer("rnn")))


def two_stack(path, lstm):
    cells = [lstm_layer(f"cell_{n}", "LSTMCell") for n in range(2)]
    config = layer("RNN", "rnn", cell=layer("StackedRNNCells", "stack", cells=cells))
    found = named("rnn/", kernels(lstm[0]), ":0") | named("rnn/", kernels(lstm[1]), "_1:0")
    return legacy(path, {"rnn": found}, "2.6.0", sequential(config))


def two_nested(path, lstm):
    inner = sequential(lstm_layer("a", return_sequences=True))
    inner["config"]["name"] = "inner"
    found = named("a/lstm_cell/", kernels(lstm[0]), ":0")
    return legacy(path, {"inner": found}, "2.8.0", sequential(inner))


OBJECT = {"module": "keras.layers", "registered_name": None}


def three(path, lstm):
    config = sequential(lstm_layer("top") | OBJECT, module="keras")
    return archive(path, {"layers/lstm": ("top", {}), "layers/lstm/cell": ("lstm_cell", kernels(lstm[0]))}, config)


def three_early(path, lstm):
    config = sequential(lstm_layer("top") | OBJECT, module="keras")
    place = "_layer_checkpoint_dependencies/lstm/cell"
    return archive(path, {place: ("lstm_cell", kernels(lstm[0]))}, config, "2.12.0")


def three_windows(path, lstm):
    config = sequential(lstm_layer("top") | OBJECT, module="keras")
    return archive(path, {"layers\\lstm\\cell": ("lstm_cell", kernels(lstm[0]))}, config, "3.0.1")


def three_weights(path, lstm):
    with h5py.File(path, "w") as file:
        tree(file, {"layers/lstm": ("top", {}), "layers/lstm/cell": ("lstm_cell", kernels(lstm[0]))})
    return path


def three_both_weights(path, lstm):
    with h5py.File(path, "w") as file:
        for side, cell in zip(("forward_layer", "backward_layer"), lstm.layers[0], strict=True):
            tree(file, {f"layers/bidirectional/{side}/cell": ("lstm_cell", kernels(cell))})
    return path


def three_stack_weights(path, lstm):
    with h5py.File(path, "w") as file:
        for number, row in enumerate(lstm.layers):
            tail = f"_{number}" if number else ""
            tree(file, {f"layers/rnn/cell/cells/lstm_cell{tail}": (f"lstm_cell{tail}", kernels(row[0]))})
    return path


HARD = {"variant": gw.Variant(**{f"{gate}_activation": HARD_2 for gate in ("input", "forget", "output")})}
BOTH = {"bidirectional": True}
GENERATIONS = {
    old_1: HARD,
    old_1_fast: HARD,
    old_1_both: HARD | BOTH | {"merge": "average"},
    two: {},
    two_weights: {},
    two_pieces: {},
    two_slash: {},
    two_both: BOTH,
    two_both_weights: BOTH,
    two_fused: {},
    two_fused_weights: {},
    two_fused_in_an_lstm: {},
    two_stack: {"num_layers": 2},
    two_nested: {},
    three: {},
    three_early: {},
    three_windows: {},
    three_weights: {},
    three_both_weights: BOTH,
    three_stack_weights: {"num_layers": 2},
}


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_weights_of_every_generation_are_the_same_bit_for_bit(generation, dtype, tmp_path):
    lstm = new(dtype=dtype, **GENERATIONS[generation])
    path = generation(tmp_path / "file", lstm)
    contents = interop.inspect(path)
    assert not contents.refused
    (found,) = contents.found
    assert_same_lstm(found.lstm, lstm)
    assert found.where
    assert "Keras" in found.convention
    assert "gates i" in found.convention
    assert found.batch_first is True


@pytest.mark.parametrize("generation", [two, two_weights, three, three_weights])
def test_a_layer_without_biases_has_zeros(generation, tmp_path, monkeypatch):
    lstm = new()
    whole = kernels
    monkeypatch.setitem(globals(), "kernels", lambda cell: whole(cell, bias=False))
    found = interop.load(generation(tmp_path / "file", lstm))
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
    (found,) = interop.inspect(path).found
    assert found.lstm[0].variant.activation("i") == gate
    assert any("recurrent_activation" in note and "assumed" in note and gate.name in note for note in found.notes)
    assert any("direction" in note for note in found.notes)
    assert any("TensorFlow 1" in note for note in found.notes) == (version == "2.2.4-tf")
    (found,) = interop.inspect(path, recurrent_activation="softsign", activation=HARD_3, go_backwards=True).found
    assert found.lstm[0].variant.activation("f").name == "softsign"
    assert found.lstm[0].variant.activation("c") == HARD_3
    assert found.lstm.directions == ("backward",)
    assert found.time_reversed
    assert not any("assumed" in note for note in found.notes)


def test_hard_sigmoid_is_what_it_was_in_the_file_s_version(tmp_path):
    for version, gate in (("1.0.0", HARD_2), ("2.15.0", HARD_2), ("3.0.0", HARD_3)):
        config = sequential(layer("LSTM", "lstm", units=UNITS, activation="tanh", recurrent_activation="hard_sigmoid"))
        path = legacy(tmp_path / "file", {"lstm": named("lstm/", kernels(new()[0]), ":0")}, version, config)
        assert interop.load(path)[0].variant.activation("o") == gate
        weights = legacy(tmp_path / "weights", {"lstm": named("lstm/", kernels(new()[0]), ":0")}, version)
        assert interop.load(weights, recurrent_activation="hard_sigmoid")[0].variant.activation("o") == gate
    with pytest.raises(gw.OptionError) as caught:
        interop.load(three_weights(tmp_path / "three", new()), recurrent_activation="hard_sigmoid")
    cases.one_sentence(caught.value, "0.2", "1 / 6")


@pytest.mark.parametrize(
    ("generation", "option", "words"),
    [
        (two, {"activation": "tanh"}, ["activation", "leaves it open"]),
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
    with pytest.raises(gw.OptionError) as caught:
        interop.inspect(path, **option)
    cases.one_sentence(caught.value, *words)


@pytest.mark.parametrize(("given", "merge"), [("sum", "sum"), ("ave", "average"), (None, "none"), ("mul", "mul")])
@pytest.mark.parametrize("generation", [two_both_weights, three_both_weights])
def test_the_merge_of_directions_can_be_told(generation, given, merge, tmp_path):
    path = generation(tmp_path / "file", new(**BOTH))
    assert interop.load(path, merge=given).merge == (merge,)


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
        (layer("ConvLSTM2D", "odd", filters=3), "convolutions"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "gelu"}}, "'gelu'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "swish"}}, "'swish'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": LAMBDA}}, "'__lambda__'"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": [1]}}, "[1]"),
        (layer("RNN", "odd", cell=layer("MyCell", "cell", units=UNITS)), "'MyCell'"),
        (layer("RNN", "odd", cell=layer("GRUCell", "cell", units=UNITS)), "GRU"),
        (CUSTOM, "not Keras' own"),
        (lstm_layer("odd") | {"class_name": "Mine>LSTM"}, "not Keras' own"),
        (lstm_layer("odd") | {"class_name": "keras_hub>LSTM"}, "not Keras' own"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "keras_hub>tanh"}}, "hub>tanh"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": "Mine>tanh"}}, "Mine>tanh"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": CAPPED}}, "a maximum"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": UNITS, "activation": CODE}}, "a function whose code"),
        (lstm_layer("odd") | {"config": {"name": "odd", "units": 7, "activation": "tanh"}}, "7 units"),
        (layer("Bidirectional", "odd", layer=lstm_layer("x", go_backwards=True)), "backwards"),
        (layer("Bidirectional", "odd", layer=layer("GRU", "x", units=UNITS)), "GRU"),
        (layer("Bidirectional", "odd", layer=lstm_layer("x"), merge_mode="max"), "'max'"),
    ],
)
def test_what_is_no_lstm_of_keras_is_refused_by_name(config, words, tmp_path):
    contents = interop.inspect(with_layer(tmp_path / "file", config))
    assert not contents.found
    (refused,) = contents.refused
    assert words in refused.reason
    with pytest.raises(gw.FileError) as caught:
        contents.pick()
    cases.one_sentence(caught.value, "odd", words)


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
    assert not contents.found
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
    (found,) = interop.inspect(legacy(tmp_path / "file", layers, "2.4.0", config)).found
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
    told = {one.name: [word for word in ("mask", "state that") if word in "".join(one.notes)] for one in contents.found}
    assert told == {"a": ["mask"], "b": ["mask"], "c": ["state that"], "d": ["mask"], "e": []}


# Whole networks.


def dense(name, units=2, **config):
    return layer("Dense", name, units=units, **config)


def network_file(path, *layers, version="2.15.0", rng=0):
    """Write a Sequential model with random weights for its layers."""
    generator = np.random.default_rng(rng)
    arrays, features = {}, INPUTS

    def draw(*shape):
        return generator.normal(0, 0.5, shape).astype(np.float32)

    for one in layers:
        name, kind = one["config"]["name"], one["class_name"]
        inner = one["config"].get("layer", one)
        units = inner["config"].get("units", 0)
        if kind == "Embedding":
            arrays[name] = {f"{name}/embeddings:0": draw(7, INPUTS)}
        elif inner["class_name"] == "Dense":
            arrays[name] = {f"{name}/kernel:0": draw(features, units), f"{name}/bias:0": draw(units)}
            features = units
        elif inner["class_name"] == "LSTM":
            sides = ("forward", "backward") if kind == "Bidirectional" else ("",)
            arrays[name] = {}
            for side in sides:
                shapes = {"kernel": (features, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": (4 * units,)}
                arrays[name] |= {f"{name}/{side}/{role}:0".replace("//", "/"): draw(*s) for role, s in shapes.items()}
            features = units * len(sides)
        else:
            arrays[name] = {}
    return legacy(path, arrays, version, sequential(*layers))


EMBEDDING = layer("Embedding", "embed", input_dim=7, output_dim=INPUTS, mask_zero=True)


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


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([layer("Conv1D", "conv"), lstm_layer("a")], ["'conv'", "Conv1D", "before the LSTM"]),
        ([lstm_layer("a"), layer("Attention", "look")], ["'look'", "Attention"]),
        ([lstm_layer("a"), dense("one"), dense("two")], ["'two'", "Dense", "after the head"]),
        ([lstm_layer("a"), dense("one", activation="gelu")], ["'one'", "gelu"]),
        ([lstm_layer("a", return_sequences=True, go_backwards=True)], ["'a'", "go_backwards"]),
        ([lstm_layer("a"), lstm_layer("b")], ["'b'", "only its last step"]),
        ([lstm_layer("a", return_state=True)], ["'a'", "states"]),
        ([lstm_layer("a", return_sequences=True), lstm_layer("b", go_backwards=True)], ["'b'", "backward", "forward"]),
        ([dense("one")], ["'one'", "before the LSTM"]),
        ([layer("GRU", "g", units=2)], ["'g'", "GRU"]),
        ([], ["no LSTM"]),
    ],
)
def test_what_a_network_cannot_express_is_refused_by_the_layer_s_name(layers, words, tmp_path):
    with pytest.raises(gw.FileError) as caught:
        interop.load_network(network_file(tmp_path / "file", *layers))
    cases.one_sentence(caught.value, *words)


def functional(*layers, ends=None):
    names = [one["config"]["name"] for one in layers]
    return {
        "class_name": "Model",
        "config": {
            "name": "model",
            "layers": [one | {"name": one["config"]["name"]} for one in layers],
            "input_layers": [[names[0], 0, 0]],
            "output_layers": [[one, 0, 0] for one in ends or names[-1:]],
        },
    }


@pytest.mark.parametrize("way", ["old", "new"])
def test_a_functional_model_is_followed_from_its_input_to_its_output(way, tmp_path):
    def after(*names):
        if way == "old":
            return {"inbound_nodes": [[[name, 0, 0, {}] for name in names]] if names else []}
        tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
        return {"inbound_nodes": [{"args": tensors, "kwargs": {"mask": None}}] if names else []}

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
    own = [*layers[:1], lstm_layer("a") | after("in")]
    node = own[1]["inbound_nodes"][0]
    (node[0][3] if way == "old" else node["kwargs"])["mask"] = ["drop", 0, 0]
    path_ = legacy(tmp_path / "own", weights, "2.9.0", functional(*own))
    with pytest.raises(gw.FileError, match=r"'a'.*a mask of its own"):
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


# What gatewise writes.


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "dtype": np.float64},
        {"bidirectional": True, "merge": ["mul", "none"], "num_layers": 2},
        {"variant": gw.Variant(candidate_activation="relu", cell_activation="relu")},
        {"direction": "backward", "num_layers": 2},
    ],
    ids=str,
)
def test_a_round_trip_through_a_file_changes_no_bit(form, options, tmp_path):
    lstm, path = new(**options), tmp_path / f"lstm{form}"
    door.write(lstm, path)
    back = interop.load_network(path)
    assert_same_lstm(back.lstm, lstm)
    assert (back.head, back.embedding, back.reads) == (None, None, "every")
    if lstm.num_layers == 1:
        assert_same_lstm(door.read(path), lstm)
    first = path.read_bytes()
    door.write(lstm, path)
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
    with pytest.raises(gw.OptionError) as caught:
        door.write(new(**options), path)
    cases.one_sentence(caught.value, words)
    assert path is None or path.read_bytes() == b"before"


def test_a_name_that_is_no_keras_file_s_is_refused(tmp_path):
    with pytest.raises(gw.OptionError, match=r"\.keras or \.h5"):
        door.write(new(), tmp_path / "lstm.pt")
    with pytest.raises(gw.OptionError, match="int"):
        door.write(5, tmp_path / "lstm.keras")


# HDF5.


def assert_same_group(mine, theirs):
    assert set(mine.links) == set(theirs)
    assert set(mine.attributes) == set(theirs.attrs)
    for name, value in theirs.attrs.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
            value = [one.decode() if isinstance(one, bytes) else one for one in value]
        assert np.array_equal(mine.attributes[name], value), name
    for name, member in theirs.items():
        if isinstance(member, h5py.Group):
            assert_same_group(mine[name], member)
        else:
            assert isinstance(mine[name], Dataset)
            np.testing.assert_array_equal(mine[name].read(), member[()])


@pytest.mark.parametrize("library", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("members", [0, 3, 9, 700])
def test_every_kind_of_group_attribute_and_array_is_read_as_the_hdf5_library_does(library, members, tmp_path):
    rng = np.random.default_rng(members)
    with h5py.File(tmp_path / "file", "w", libver=library) as file:
        group = file.create_group("a group/within")
        for number in range(members):
            group.create_dataset(f"array {number}", data=rng.normal(size=(number % 3, 2)).astype("f4"))
            if number < 50:
                group.attrs[f"attribute {number}"] = f"größe {number}"
        group.attrs["names"] = [f"name {number}" for number in range(members)]
        group.attrs["bytes"], group.attrs["number"] = np.array([b"ab", b"cde"]), 3.5
        if library != "earliest":
            group.attrs["long"] = "x" * 70_000
            group.attrs["numbers"] = np.arange(20_000.0)  # too long for an object's header
        for kind in ("<f2", ">f4", "<f8", ">f8", "i4", "u1"):
            file.create_dataset(f"of {kind[-2:]}{kind[0]}", data=np.arange(5).astype(kind))
        file.create_dataset("one", data=np.float32(3))
        file.create_dataset("no rows", data=np.zeros((0, 3)))
        if library in ("earliest", "v108"):
            file.create_dataset(
                "chunks", data=rng.normal(size=(30, 50)), chunks=(7, 8), compression="gzip", shuffle=True
            )
            file.create_dataset("sums", data=np.arange(100), chunks=(9,), fletcher32=True)
    with h5py.File(tmp_path / "file") as theirs, open(tmp_path / "file", "rb") as stream:
        assert_same_group(hdf5.root(stream), theirs)


@pytest.mark.parametrize("library", ["earliest", "v108"])
@pytest.mark.parametrize("type_", ["<f4", ">f8", "f2"])
def test_what_was_never_written_of_an_array_is_its_fill_value(library, type_, tmp_path):
    with h5py.File(tmp_path / "file", "w", libver=(library, "v108")) as file:
        for number, value in enumerate((None, 0.0, 2.5)):
            for chunks in (None, (2, 3)):
                options = {"shape": (5, 4), "dtype": type_, "fillvalue": value, "chunks": chunks}
                name = f"{number} {'in chunks' if chunks else 'whole'}"
                file.create_dataset(f"{name} not written", **options)
                file.create_dataset(f"{name} written", **options)[:] = 1
                file.create_dataset(f"{name} partly written", **options)[:2, :2] = 1
        file.create_dataset("large", (2**16,), "f4", fillvalue=0.5)
    with h5py.File(tmp_path / "file") as theirs, open(tmp_path / "file", "rb") as stream:
        root = hdf5.root(stream)
        for name in set(theirs) - {"large"}:
            np.testing.assert_array_equal(root[name].read(), theirs[name][()], err_msg=name)
        with pytest.raises(gw.FileError, match="large has no data"):
            root["large"].read()


def overlapping_headers():
    """Return 4 MB of HDF5 whose root's header goes on in 900 blocks that lie one over another."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.attrs["a"] = 1
    data = bytearray(target.getvalue())
    data += bytes(-len(data) % 16)
    header, count, step = len(data), 900, 2**16
    blocks = header + 16 + 24 * count
    data += struct.pack("<BBHII4x", 1, 0, count, 1, 24 * count)
    stretches = sorted((end - start, start) for start in range(64) for end in range(start + 1, 65))[-count:]
    for length, start in stretches:
        data += struct.pack("<HHB3xQQ", 0x10, 16, 0, blocks + step * start, step * length)
    data += (struct.pack("<HHB3x", 0, step - 8, 0) + bytes(step - 8)) * 64
    struct.pack_into("<Q", data, 0x40, header)
    struct.pack_into("<Q", data, 0x28, len(data))
    return bytes(data)


def overlapping_texts(heaps, times):
    """Return HDF5 with names that lie in heaps of 1 MB, one over another, or are one long text many times."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.attrs.create("layer_names", ["x"] * heaps * times, dtype=h5py.string_dtype())
    data, size = bytearray(target.getvalue()), 2**20
    at = next(n for n in range(len(data)) if data[n : n + 4] == data[n + 16 : n + 20] == b"\1\0\0\0" and data[n + 12])
    data += bytes(-len(data) % 16)
    base = len(data)
    for number in range(heaps * times):
        length = 1 if times == 1 else size - 64
        struct.pack_into("<IQI", data, at + 16 * number, length, base + 32 * (number // times), 1)
    data += (b"GCOL\1\0\0\0" + struct.pack("<QHH4xQ", size, 1, 1, size - 32)) * heaps + b"y" * size
    struct.pack_into("<Q", data, 0x28, len(data))
    return bytes(data)


def endless_names():
    """Return HDF5 of a group with many members, whose names begin one letter after another in one long text."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        for number in range(2000):
            file.create_group(f"{number:0500d}")
    data = bytearray(target.getvalue())
    heap = data.find(b"HEAP")
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    (names,) = struct.unpack_from("<Q", data, heap + 24)
    data[names : names + size - 1] = b"n" * (size - 1)
    return bytes(data)


def short_texts():
    """Return HDF5 with an attribute of many texts of four letters."""
    target = io.BytesIO()
    with h5py.File(target, "w", libver="v108") as file:
        file.attrs["a"] = np.full(500_000, b"abcd")
    return target.getvalue()


STRUCTURES = {
    "headers": overlapping_headers,
    "heaps": lambda: overlapping_texts(1000, 1),
    "one text": lambda: overlapping_texts(1, 3000),
    "short texts": short_texts,
    "names": endless_names,
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_structure_takes_no_more_memory_than_a_file_of_its_length_can_need(kind, tmp_path):
    data = STRUCTURES[kind]()
    (tmp_path / "file").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(gw.FileError) as caught:
            interop.inspect(tmp_path / "file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cases.one_sentence(caught.value, "its structure takes", str(len(data)))
    assert peak < 32 * len(data) + 2**26


def outside(kind, folder):
    """Write weights alone whose bias lies elsewhere."""
    path = two_weights(folder / "file", new())
    legacy(folder / "other", {"lstm_1": named("lstm_1/", kernels(new()[0]), ":0")})
    with h5py.File(path, "r+") as file:
        group = file["lstm_1/lstm_1"]
        del group["bias:0"]
        if kind == "soft":
            group["bias:0"] = h5py.SoftLink("/lstm_1/lstm_1/kernel:0")
        elif kind == "external":
            group["bias:0"] = h5py.ExternalLink(str(folder / "other"), "/lstm_1/lstm_1/bias:0")
        elif kind == "raw":
            (folder / "raw").write_bytes(bytes(32))
            group.create_dataset("bias:0", (8,), "f4", external=[(str(folder / "raw"), 0, 32)])
        else:
            layout = h5py.VirtualLayout((8,), "f4")
            layout[:] = h5py.VirtualSource(str(folder / "other"), "lstm_1/lstm_1/bias:0", (8,))
            group.create_virtual_dataset("bias:0", layout)
    return path


@pytest.mark.parametrize(("kind", "words"), {"soft": "soft link", "external": "external link"}.items())
def test_a_link_to_another_place_is_not_followed(kind, words, tmp_path):
    with pytest.raises(gw.FileError) as caught:
        interop.inspect(outside(kind, tmp_path))
    cases.one_sentence(caught.value, words, "bias:0")


@pytest.mark.parametrize(("kind", "words"), {"raw": "another file", "virtual": "a view of others"}.items())
def test_data_of_another_file_is_not_read(kind, words, tmp_path):
    contents = interop.inspect(outside(kind, tmp_path))
    assert not contents.found
    assert words in contents.refused[0].reason


def test_a_group_that_holds_itself_comes_to_an_end(tmp_path):
    path = three_weights(tmp_path / "file", new())
    with h5py.File(path, "r+") as file:
        file["layers/lstm/again"] = file["layers"]
    with pytest.raises(gw.FileError) as caught:
        interop.inspect(path)
    cases.one_sentence(caught.value, "60 groups")


def test_an_array_that_only_says_how_large_it_is_takes_no_memory(tmp_path):
    path = two_weights(tmp_path / "file", new())
    with h5py.File(path, "r+") as file:
        del file["lstm_1/lstm_1/kernel:0"]
        file.create_dataset("lstm_1/lstm_1/kernel:0", (2**40, 8), "f4", chunks=(2**10, 8), compression="gzip")
    contents = interop.inspect(path)
    assert not contents.found
    assert "bytes" in contents.refused[0].reason or "memory" in contents.refused[0].reason


@pytest.mark.parametrize("member", ["model.weights.h5", "config.json"])
def test_an_archive_that_would_grow_beyond_measure_is_refused_before_it_is_unpacked(member, tmp_path):
    source = three(tmp_path / "file", new())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in old.namelist():
            bomb.writestr(name, bytes(2**27) if name == member else old.read(name))
    raw = bytearray((tmp_path / "bomb").read_bytes())
    place = raw.rfind(member.encode()) - 22  # in the archive's directory: the size after unpacking
    raw[place : place + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "bomb").write_bytes(raw)
    with pytest.raises(gw.FileError) as caught:
        interop.inspect(tmp_path / "bomb")
    cases.one_sentence(caught.value, member, "bytes")


@pytest.mark.parametrize("place", [-26, -22])
def test_an_archive_that_lies_about_its_sizes_is_refused(place, tmp_path):
    raw = bytearray(three(tmp_path / "file", new()).read_bytes())
    at = raw.rfind(b"model.weights.h5") + place
    raw[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    raw[at + 4 : at + 8] = (2**31 - 1).to_bytes(4, "little") if place == -26 else raw[at + 4 : at + 8]
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(gw.FileError) as caught:
        interop.inspect(tmp_path / "file")
    cases.one_sentence(caught.value, "model.weights.h5", "bytes")


@pytest.mark.parametrize(
    "config", ['{"class_name": ' * 5000, "[" * 100_000, "3", "null", '{"class_name": 5}', "{", "\x00"]
)
def test_a_configuration_that_is_none_is_refused_in_one_sentence(config, tmp_path):
    source = three(tmp_path / "file", new())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for name in old.namelist():
            bad.writestr(name, config if name == "config.json" else old.read(name))
    try:
        contents = interop.inspect(tmp_path / "bad")
    except gw.FileError as problem:
        cases.one_sentence(problem, "configuration")
    else:
        assert config == "null"  # as if there were none: the weights alone
        assert contents.found


# Other people's.


referees = pytest.mark.skipif(
    not (REFEREES / "cases").is_dir(),
    reason="referees not present: they are not part of this project; GATEWISE_REFEREES says where they are",
)


@referees
@pytest.mark.parametrize(
    ("case", "file", "names", "options", "prefix"),
    [
        ("textgenrnn", "textgenrnn_weights.hdf5", ["rnn_1", "rnn_2"], {}, ""),
        ("chars2vec_eng50", "weights.h5", ["lstm_1", "lstm_2"], {}, ""),
        ("chars2vec_eng50", "weights.h5", ["lstm_1", "lstm_2"], {"recurrent_activation": "sigmoid"}, "sigmoid."),
        ("dgaintel", "domain_classifier_model.h5", ["lstm_4"], {}, ""),
    ],
)
def test_other_people_s_models_give_the_answers_of_their_own_runtime(case, file, names, options, prefix):
    want = arrays("cases", case, "case.npz")
    x = want["L0.x"].swapaxes(0, 1)
    for number, name in enumerate(names):
        lstm = interop.load(REFEREES / "cases" / case / file, name, **options)
        x, ((state,),) = lstm(x)
        key = f"{prefix}L{number}."
        got = {"y": x.swapaxes(0, 1), "hn": state.h, "cn": state.c}
        assert_agree(got, {one: want[key + one] for one in got}, CLOSE)


# Spoiled files.


def restructured(data, chance):
    """Change the structure of an HDF5 file: a member less, another shape or type, another attribute or other JSON."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        paths = []
        file.visit(paths.append)
        path = chance.choice(paths)
        one = file[path]
        kind = chance.randrange(5)
        if kind == 0:
            del file[path]
        elif kind == 1 and isinstance(one, h5py.Dataset):
            shapes = ((), (0,), (1,), (3, 8), (8, 3), (8,), (2, 8), (5, 5, 5), (2, 6), (16,))
            del file[path]
            types = ("f4", "f8", "f2", "i1", ">f4", "S3", "c8")
            file.create_dataset(path, data=np.ones(chance.choice(shapes)).astype(chance.choice(types)))
        elif kind == 2:
            holder = chance.choice([file, one])
            key = chance.choice([*holder.attrs, "layer_names", "weight_names", "keras_version", "model_config"])
            values = ([], [b"lstm"], [b"lstm_1", b"lstm_1"], "2", b"\xff", 5, np.zeros(3), "{}", "9" * 400, [b"/", b""])
            holder.attrs[key] = chance.choice(values)
        elif kind == 3:
            other = chance.choice(paths)
            if isinstance(one, h5py.Group) and other != path:
                one[chance.choice(["vars", "cell", "layers", "bias:0", "x"])] = (
                    file[other] if chance.random() < 0.5 else (h5py.SoftLink("/" + other))
                )
        elif "model_config" in file.attrs:
            file.attrs["model_config"] = in_json(file.attrs["model_config"].encode(), chance).decode()
    return stream.getvalue()


def tried(mutator):
    """Return a mutation that gives the data back where the library that makes it cannot."""
    try:
        return mutator()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError):
        return None


def in_hdf5(data, chance):
    return tried(lambda: restructured(data, chance)) or data


def in_keras(data, chance):
    """Change the configuration or the weights of an archive, and seal it again."""
    target = io.BytesIO()
    chosen = chance.choice(("config.json", "model.weights.h5", "metadata.json"))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as copy:
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                content = in_hdf5(content, chance) if name.endswith("h5") else in_json(content, chance)
            copy.writestr(name, content)
    return target.getvalue()


KINDS = {
    "whole models in HDF5": ([old_1_both, two, two_stack, two_fused], (in_hdf5,)),
    "weights alone": ([two_both_weights, two_fused_weights, two_pieces], (in_hdf5,)),
    "weights of Keras 3": ([three_weights, three_both_weights, three_stack_weights], (in_hdf5,)),
    "archives": ([three, three_early, three_windows], (in_keras, in_archive)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_files_are_answered_or_refused(kind, tmp_path):
    generations, also = KINDS[kind]
    subjects = [one(tmp_path / "file", new(**GENERATIONS[one])).read_bytes() for one in generations]
    if kind == "archives":
        door.write(new(bidirectional=True, num_layers=2), tmp_path / "own.keras")
        subjects.append((tmp_path / "own.keras").read_bytes())
    if kind == "whole models in HDF5":
        path = network_file(tmp_path / "file", EMBEDDING, lstm_layer("a"), dense("head", activation="softmax"))
        subjects.append(path.read_bytes())
    tally = fuzz(subjects, everything, 2_000, tmp_path, also=also)
    assert tally.answered
    assert tally.refused


def test_random_is_what_a_seed_makes_of_it():
    """Two mutations of one seed are the same: a failure can be made again."""
    path = io.BytesIO()
    with h5py.File(path, "w") as file:
        tree(file, {"layers/lstm/cell": ("x", kernels(new()[0]))})
    assert in_hdf5(path.getvalue(), random.Random(3)) == in_hdf5(path.getvalue(), random.Random(3))


def test_versions_are_parsed_and_compared():
    assert Version.parse("2.2.4-tf").tensorflow
    assert not Version.parse("2.3.1").tensorflow
    assert Version.parse("2.11.0").tensorflow
    assert Version.parse(None).major == Version.parse("odd").major == 0


def test_read_takes_what_a_file_leaves_out(tmp_path):
    path = two_weights(tmp_path / "file", new())
    lstm = door.read(path, recurrent_activation="softsign", go_backwards=True)
    assert_same_lstm(lstm, interop.load(path, recurrent_activation="softsign", go_backwards=True))
    assert lstm.directions == ("backward",)


def test_of_several_layers_one_upon_another_the_whole_is_taken_where_none_is_named(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a", return_sequences=True), lstm_layer("b"), dense("head"))
    assert [(one.name, one.whole) for one in interop.inspect(path).found] == [
        ("a", False),
        ("b", False),
        ("a → b", True),
    ]
    assert_same_lstm(interop.load(path), interop.load_network(path).lstm)


def test_a_stack_that_was_written_here_is_read_as_one_lstm(tmp_path):
    for options in ({}, {"bidirectional": True}, {"direction": "backward"}):
        lstm = gw.LSTM(3, 4, num_layers=3, rng=0, **options)
        for suffix in (".keras", ".h5"):
            door.write(lstm, tmp_path / f"stack{suffix}")
            assert_same_lstm(gw.load(tmp_path / f"stack{suffix}"), lstm)
