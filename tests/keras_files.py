"""Keras' files of every generation, written by hand as each Keras wrote them."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

import gatewise as gw
from gatewise.interop import conventions

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
            features = units * (len(sides) if one["config"].get("merge_mode", "concat") == "concat" else 1)
        else:
            arrays[name] = {}
    return legacy(path, arrays, version, sequential(*layers))


EMBEDDING = layer("Embedding", "embed", input_dim=7, output_dim=INPUTS, mask_zero=True)


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


def tensor(name, output=0):
    """Return an output of a layer, as Keras 3 writes one."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, output]}}


def wired(old, *sources, **arguments):
    """Return how a functional model says what a layer takes, in the way of Keras 2 or of Keras 3.

    A source is the name of a layer, with the number of its output where that is not the first.
    """
    pairs = [one if isinstance(one, tuple) else (one, 0) for one in sources]
    if old:
        entries = [[name, 0, output, {} if place else arguments] for place, (name, output) in enumerate(pairs)]
        return {"inbound_nodes": [entries] if pairs else []}
    tensors = [tensor(*pair) for pair in pairs]
    args = tensors if len(tensors) == 1 else [tensors]
    return {"inbound_nodes": [{"args": args, "kwargs": arguments}] if pairs else []}
