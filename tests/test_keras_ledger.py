"""Every array, layer and setting of a Keras file is used, or left out with its reason; what changes an LSTM is told."""

from __future__ import annotations

import json
import zipfile

import cases
import keras_files
import numpy as np
import pytest
from keras_files import (
    EMBEDDING,
    GENERATIONS,
    INPUTS,
    UNITS,
    dense,
    functional,
    h5py,
    kernels,
    layer,
    legacy,
    lstm_layer,
    named,
    network_file,
    new,
    sequential,
    three_both_weights,
    three_weights,
    two_weights,
    wired,
)
from program import exit_code

import gatewise as gw
from gatewise.interop import keras as gw_keras


def lstm(name, **config):
    return lstm_layer(name, return_sequences=True, **config)


def everything_in(path):
    """Return the names of all arrays, layers and settings of a Keras file, as h5py and json have them."""
    names, config, data = set(), None, path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config, data = json.loads(archive.read("config.json")), archive.open("model.weights.h5")
            return arrays_in(data) | settings_in(config)
    with h5py.File(path) as file:
        config = json.loads(file.attrs.get("model_config", "null"))
    return arrays_in(path) | (names if config is None else settings_in(config))


def arrays_in(source):
    names = set()
    with h5py.File(source) as file:
        file.visititems(lambda name, one: names.add(f"/{name}") if isinstance(one, h5py.Dataset) else None)
    return names


def settings_in(described, name=None, path=""):
    """Return the layers of a configuration and their settings: those of layers within a layer by their place in it."""
    config = described["config"] if isinstance(described["config"], dict) else {"layers": described["config"]}
    own = config.get("name", described.get("name")) or described["class_name"].lower()
    if isinstance(config.get("layers"), list):
        prefix = f"{name}/" if name else ""
        inner = [settings_in(one, f"{prefix}{one['config'].get('name', one.get('name'))}") for one in config["layers"]]
        return set().union(*inner, {f"{name or own}{path}.{key}" for key in config if key not in ("layers", "name")})
    names = {f"{name}{path}.{key}" for key in config if key not in ("name", "layer", "backward_layer", "cell", "cells")}
    for key in ("layer", "backward_layer", "cell"):
        if isinstance(config.get(key), dict):
            place = {"layer": "forward_layer"}.get(key, key) if described["class_name"] == "Bidirectional" else key
            names |= settings_in(config[key], name, f"{path}.{place}")
    for number, one in enumerate(config.get("cells", ())):
        names |= settings_in(one, name, f"{path}.cells.{number}")
    return names | ({name} if not path else set())


SETTINGS = (".activation", ".recurrent_activation", ".go_backwards", ".merge", ".mask_zero")  # of weights alone


def assert_complete(path, **omitted):
    """Assert that a Keras file's ledger holds all that is in the file; return the contents."""
    contents = gw.inspect(path, **omitted)
    ledger = {entry.name: entry for entry in contents.ledger}
    assert len(ledger) == len(contents.ledger)
    assert all(entry.reason or not entry.effect for entry in contents.ledger)
    missing = everything_in(path)
    more = {name for name, entry in ledger.items() if entry.kind == "input" or entry.layer} - missing
    assert missing <= ledger.keys(), missing - ledger.keys()
    assert all(name.endswith(SETTINGS) for name in more)
    used = {name for stored in (*contents.lstms, *contents.parts) for name in stored.entries}
    assert used == {name for name, entry in ledger.items() if entry.kind == "tensor" and entry.used}
    return contents


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda one: one.__name__)
def test_the_ledger_of_every_generation_holds_all_that_is_in_the_file(generation, tmp_path):
    contents = assert_complete(generation(tmp_path / "file", new(**GENERATIONS[generation])))
    told = [entry for entry in contents.ledger if entry.effect]
    assert bool(told) == ("weights" in generation.__name__ or "pieces" in generation.__name__)


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"direction": "backward", "num_layers": 2}], ids=str
)
def test_all_that_gatewise_writes_is_used(form, options, tmp_path):
    gw_keras.write(new(**options), tmp_path / f"lstm{form}")
    contents = assert_complete(tmp_path / f"lstm{form}")
    assert not [entry for entry in contents.ledger if entry.effect]
    assert all(entry.used for entry in contents.ledger if entry.kind == "tensor")


NETWORK = [EMBEDDING, lstm("a"), layer("Dropout", "drop", rate=0.5), lstm_layer("b"), dense("c"), dense("head")]


def test_layers_of_the_network_are_no_warning_and_arrays_of_training_are_listed(tmp_path):
    path = network_file(tmp_path / "file", *NETWORK)
    with h5py.File(path, "a") as file:
        for name in ("optimizer_weights/adam/m", "_distribute_strategy/x", "model_weights/b/unlisted"):
            file[name] = np.ones(3)
    contents = assert_complete(path)
    assert gw.load(path).num_layers == 2
    assert gw.load_network(path, strict=True).reads == "last"
    left_out = {entry.name: entry for entry in contents.ledger if entry.kind == "tensor" and not entry.used}
    assert left_out.keys() == {f"/{one}" for one in ("optimizer_weights/adam/m", "_distribute_strategy/x")} | {
        "/model_weights/b/unlisted"
    }
    assert not any(entry.effect for entry in left_out.values())


@pytest.mark.parametrize(
    ("layers", "names", "words"),
    [
        ([layer("Conv1D", "conv"), lstm("a"), dense("head")], ["conv"], "no Conv1D before an LSTM"),
        ([lstm("a"), layer("LayerNormalization", "ln"), dense("head")], ["ln"], "no LayerNormalization after an LSTM"),
        ([lstm("a"), layer("BatchNormalization", "bn"), dense("head")], ["bn"], "no BatchNormalization after"),
        ([lstm("a"), dense("head"), layer("PReLU", "pr")], ["pr"], "no PReLU after an LSTM"),
        ([lstm("a"), dense("head", activation="celu")], ["head"], "'celu' is not one that gatewise has"),
        ([lstm("a"), layer("Activation", "act", activation="tanh"), dense("head")], ["act"], "no Activation after"),
        ([lstm("x"), layer("Attention", "look"), lstm("a")], ["look"], "no Attention between LSTMs"),
        ([lstm("x"), dense("between"), lstm("a")], ["between"], "no Dense between LSTMs"),
        ([EMBEDDING, dense("d", INPUTS), lstm("a")], ["d"], "no Dense before an LSTM"),
        ([layer("GRU", "g", units=3), lstm("a")], ["g"], "it is a GRU"),
        ([layer("Mine>Thing", "own"), lstm("a")], ["own"], "not one of Keras' own"),
        ([layer("Flip", "flip", axis=1), lstm("a")], ["flip"], "no Flip before"),
    ],
)
def test_a_layer_on_the_way_that_no_network_has_is_told_in_one_sentence(layers, names, words, tmp_path):
    path = network_file(tmp_path / "file", *layers)
    contents = assert_complete(path)
    concerning = [entry for entry in contents.ledger if "a" in entry.lstms]
    assert [entry.name for entry in concerning] == names
    assert all(words in entry.reason and entry.effect for entry in concerning)
    with pytest.warns(gw.WeightsWarning) as caught:
        gw.load(path, "a")
    (warning,) = caught
    assert all(name in str(warning.message) for name in (*names, words))
    with cases.refusal(*names, "strict=True"):
        gw.load(path, "a", strict=True)


def test_layers_on_no_way_of_an_lstm_are_listed_without_a_warning(tmp_path):
    layers = [
        layer("InputLayer", "in") | wired(True),
        lstm("a") | wired(True, "in"),
        layer("Conv1D", "conv") | wired(True, "in"),
        layer("LayerNormalization", "ln") | wired(True, "conv"),
    ]
    weights = {one["config"]["name"]: {} for one in layers} | {"a": named("a/", kernels(new()[0]))}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["a", "ln"]))
    contents = assert_complete(path)
    gw.load(path, strict=True)
    reasons = {entry.name: entry.reason for entry in contents.ledger if entry.kind == "node"}
    assert [bool(reasons[name]) for name in ("a", "conv", "ln")] == [False, True, True]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"zoneout": 0.1}, True),
        ({"layer_norm": True}, True),
        ({"epsilon": 1e-3}, True),
        ({"quantization_config": {"class_name": "Int8QuantizationConfig"}}, True),
        ({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}}, True),
        ({"quantization_config": None, "recurrent_dropout": 0.5, "kernel_constraint": {"class_name": "NonNeg"}}, False),
        ({"dropout": 0.5, "stateful": True, "unroll": True, "dtype": "float32", "seed": 3}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["lstm", "head"])
def test_a_setting_that_is_not_known_is_told_and_those_of_training_are_not(config, told, place, tmp_path):
    if place == "head":
        told = told or "stateful" in config  # which a dense layer does not have
    layers = [lstm("a", **config if place == "lstm" else {}), dense("h", **config if place == "head" else {})]
    path = network_file(tmp_path / "file", *layers)
    contents = assert_complete(path)
    entries = [entry for entry in contents.ledger if entry.lstms == ("a",)]
    assert bool(entries) == told
    if told:
        with pytest.warns(gw.WeightsWarning, match=entries[0].name):
            gw.load_network(path)
    else:
        gw.load_network(path, strict=True)


@pytest.mark.parametrize("write", [three_weights, three_both_weights, keras_files.three])
@pytest.mark.parametrize("name", ["ln/vars/0", "extra", "weight_ci"])
def test_an_array_among_those_of_an_lstm_that_is_not_its_own_is_refused_by_name(write, name, tmp_path):
    path = write(tmp_path / "file", new(**GENERATIONS[write]))
    add = f"layers/{'bidirectional/forward_layer/cell' if write is three_both_weights else 'lstm'}/{name}"
    with_array(path, add)
    contents = assert_complete(path)
    assert not contents.lstms
    with cases.refusal(add):
        contents.pick()


def with_array(path, name):
    """Add an array to a Keras 3 file."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "a") as file:
            file[name] = np.ones(3, np.float32)
        return
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    weights = path.with_suffix(".weights")
    weights.write_bytes(members["model.weights.h5"])
    with_array(weights, name)
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in (members | {"model.weights.h5": weights.read_bytes()}).items():
            archive.writestr(one, data)


def test_norms_within_a_cell_of_somebody_s_own_are_refused_in_weights_alone(tmp_path):
    arrays = named("rnn/ln_cell/", kernels(new()[0]), ":0") | {"rnn/ln_cell/norm/gamma:0": np.ones(8)}
    contents = assert_complete(legacy(tmp_path / "file", {"rnn": arrays}))
    (refused,) = contents.refused
    assert "norm/gamma:0" in refused.reason


def test_arrays_beside_an_lstm_and_the_state_of_its_random_numbers_are_listed(tmp_path):
    path = three_weights(tmp_path / "file", new())
    for name in ("other", "layers/thing/vars/0", "layers/lstm/cell/seed_generator/vars/0", "layers/dense/vars/kernel"):
        with_array(path, name)
    contents = assert_complete(path)
    assert [part.name for part in contents.parts] == ["layers/thing"]
    reasons = {entry.name: entry.effect for entry in contents.ledger if not entry.used and entry.kind == "tensor"}
    assert {name: bool(effect) for name, effect in reasons.items()} == {
        "/other": True,
        "/layers/dense/vars/kernel": True,
        "/layers/lstm/cell/seed_generator/vars/0": False,
    }


# A network of named layers.


@pytest.mark.parametrize("kind", ["LayerNormalization", "BatchNormalization", "PReLU"])
def test_a_network_of_named_layers_says_what_it_drops(kind, tmp_path):
    layers = [lstm("a"), dense("head"), layer(kind, "odd"), lstm("other")]
    path = network_file(tmp_path / "file", *layers)
    with pytest.warns(gw.WeightsWarning) as caught:
        gw.load_network(path, "a", head="head")
    messages = [str(one.message) for one in caught]
    assert sum("odd" in message for message in messages) == 1
    assert any("the network leaves out 'other' (another LSTM)" in message for message in messages)
    with cases.refusal("strict=True"):
        gw.load_network(path, "a", head="head", strict=True)


def test_weights_alone_with_a_norm_infer_no_head(tmp_path):
    path = three_weights(tmp_path / "file", new())
    with_array(path, "layers/dense/vars/0")
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.ones((UNITS, 2), np.float32)
    omitted = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    told = pytest.warns(gw.WeightsWarning, match=r"left out: layers/dense\.activation")
    with told, pytest.warns(gw.WeightsWarning, match="'layers/dense' as the head is inferred"):
        gw.load_network(path, **omitted)
    with_array(path, "layers/layer_normalization/vars/0")
    with cases.refusal("Choose the network's head"):
        gw.load_network(path, **omitted)
    told = pytest.warns(gw.WeightsWarning, match=r"left out: layers/dense\.activation")
    with told, pytest.warns(gw.WeightsWarning, match="leaves out 'layers/layer_normalization'"):
        gw.load_network(path, head="layers/dense", **omitted)


def test_weights_alone_tell_what_is_assumed_of_the_layers_that_a_network_has(tmp_path):
    path = three_weights(tmp_path / "file", new())
    with h5py.File(path, "a") as file:
        file["layers/dense/vars/0"] = np.ones((UNITS, 2), np.float32)
        file["layers/embedding/vars/0"] = np.ones((5, INPUTS), np.float32)
    settings = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    gw.load(path, strict=True, **settings)
    names = {"head": "layers/dense", "embedding": "layers/embedding"}
    with pytest.warns(gw.WeightsWarning) as caught:
        gw.load_network(path, **names, **settings)
    (warning,) = caught
    for words in (
        "layers/dense.activation (not in the file: linear, the default, is assumed, another changes every number",
        "layers/embedding.mask_zero (not in the file: False, the default, is assumed, with True, the model passes over",
    ):
        assert words in str(warning.message)
    with cases.refusal("strict=True: left out: layers/dense.activation"):
        gw.load_network(path, **names, **settings, strict=True)


@pytest.mark.parametrize("holder", ["model", "inner", "each"])
def test_a_setting_of_what_holds_layers_is_listed(holder, tmp_path):
    inner = layer("Sequential", "inner", layers=[lstm("a")])
    config = sequential(inner, layer("TimeDistributed", "each", layer=dense("head")))
    holders = dict(zip(("inner", "each"), config["config"]["layers"], strict=True), model=config)
    holders[holder]["config"]["ensemble"] = 3
    weights = {"inner": named("a/", kernels(new()[0])), "each": {"each/kernel": np.ones((UNITS, 2), np.float32)}}
    path = legacy(tmp_path / "file", weights, "2.9.0", config)
    assert [entry.name for entry in assert_complete(path).ledger if entry.effect] == [f"{holder}.ensemble"]


def test_what_else_a_file_holds_is_listed(tmp_path):
    path = keras_files.three(tmp_path / "file", new())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/words.txt", "a b")
    assert "assets/words.txt" in {entry.name for entry in assert_complete(path).ledger if entry.effect}
    path = network_file(tmp_path / "network", *NETWORK)
    with h5py.File(path, "a") as file:
        file.attrs["training_config"], file["model_weights/b"].attrs["scale"] = "{}", 2.0
    entries = {entry.name: entry for entry in assert_complete(path).ledger if not entry.used}
    assert [bool(entries[name].effect) for name in ("/.training_config", "/model_weights/b.scale")] == [False, True]


def test_weights_alone_are_told_in_every_command_until_the_settings_are_given(tmp_path):
    path = two_weights(tmp_path / "file", new())
    x = np.ones((4, INPUTS))
    with pytest.warns(gw.WeightsWarning, match="lstm_1.activation"):
        run = gw.open_run(path, x)
    assert "assumed" in run.notes[0]
    settings = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    assert gw.open_run(path, x, settings=settings).notes == ()


OPTIONS = ["--activation", "tanh", "--recurrent-activation", "softsign", "--direction", "backward"]
COMMANDS = {
    "inspect": ["weights.h5"],
    "trace": ["weights.h5", "x.csv", "-o", "trace.npz"],
    "plot": ["weights.h5", "x.csv", "-o", "plot.svg"],
    "page": ["weights.h5", "x.csv", "-o", "page.html"],
    "verify": ["weights.h5", "x.csv", "y.npy"],
    "convert": ["weights.h5", "other.safetensors"],
    "walk": ["--model", "weights.h5", "--x", "x.csv", "--at", "0"],
}


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lstm = new(direction="backward", variant=gw.Variant(**dict.fromkeys(GATES, "softsign")))
    two_weights(tmp_path / "weights.h5", lstm)
    x = np.random.default_rng(0).normal(size=(4, INPUTS)).astype(np.float32)
    np.savetxt("x.csv", x, delimiter=",", fmt="%.9g")
    np.save("y.npy", lstm(x)[0][::-1])  # as Keras returns its steps
    return lstm


GATES = ("input_activation", "forget_activation", "output_activation")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_is_assumed_and_takes_what_is_given(command, weights, capsys):
    exit_code([command, *COMMANDS[command]])
    said = " ".join("".join(capsys.readouterr()).split())
    assert "lstm_1.activation" in said or "lstm_1: activation" in said
    assert said.count("sigmoid, the default of Keras 2.3.1, is assumed") >= 1
    assert exit_code([command, *COMMANDS[command], *OPTIONS]) == 0
    said = "".join(capsys.readouterr())
    assert "assumed" not in said
    if command == "convert":
        assert gw.load("other.safetensors").directions == ("backward",)
        np.testing.assert_array_equal(gw.load("other.safetensors")(np.ones((2, 3)))[0], weights(np.ones((2, 3)))[0])


def test_a_setting_is_given_once_and_only_where_the_file_leaves_it_out(weights, capsys):
    assert exit_code(["inspect", "weights.h5", "--activation", "tanh", "--set", "activation=relu"]) == 2
    assert "activation is given twice: with --set, and with its own option" in capsys.readouterr().err
    keras_files.two_both_weights("both.h5", new(bidirectional=True))
    assert exit_code(["inspect", "both.h5", *OPTIONS[:4], "--merge", "none"]) == 0
    assert "merge none" in capsys.readouterr().out
    assert exit_code(["walk", "--recurrent-activation", "tanh"]) == 2
    assert "--recurrent-activation is for a trained model" in capsys.readouterr().err


# The configuration of another model.


def config_file(path, *layers):
    path.write_text(json.dumps(sequential(*layers)))
    return path


def two_layers(path, names):
    if path.name == "tree":
        with h5py.File(path, "w") as file:
            for number, name in enumerate(names):
                place = f"layers/lstm{'_1' * number}"
                keras_files.tree(file, {place: (name, {}), f"{place}/cell": ("lstm_cell", kernels(new(number)[0]))})
        return path
    arrays = {name: named(f"{name}/", kernels(new(number)[0])) for number, name in enumerate(names)}
    return legacy(path, arrays, "2.9.0")


@pytest.mark.parametrize("kind", ["tree", "list"])
def test_layers_that_keras_numbered_anew_are_taken_in_their_order_with_a_note(kind, tmp_path):
    path = two_layers(tmp_path / kind, ["lstm_1", "lstm_2"])
    config = config_file(tmp_path / "config.json", lstm_layer("lstm"), lstm_layer("lstm_1"))
    found = gw.inspect(path, config=config).lstms
    for number, stored in enumerate(found[:2]):
        np.testing.assert_array_equal(stored.lstm[0].parameters.weight, new(number)[0].parameters.weight)
        assert f"its weights are those of 'lstm_{number + 1}'" in stored.notes[-1]


@pytest.mark.parametrize("kind", ["tree", "list"])
@pytest.mark.parametrize(
    "layers",
    [
        [lstm_layer("encoder"), lstm_layer("lstm_2")],
        [lstm_layer("lstm_1")],
        [lstm_layer("lstm_1"), lstm_layer("lstm_2"), lstm_layer("lstm_3")],
        [lstm_layer("lstm_1"), lstm_layer("lstm_2"), dense("head")],
    ],
    ids=str,
)
def test_the_configuration_of_another_model_is_refused_by_its_layers_names(kind, layers, tmp_path):
    path = two_layers(tmp_path / kind, ["lstm_1", "lstm_2"])
    with cases.refusal("'lstm_1', 'lstm_2'", repr(layers[-1]["config"]["name"]), "another model"):
        gw.inspect(path, config=config_file(tmp_path / "config.json", *layers))


@pytest.mark.parametrize(("names", "refused"), [(["lstm_7", "lstm_8"], False), (["encoder", "lstm_8"], True)])
def test_a_file_with_the_configuration_of_another_model_is_refused_by_its_layers_names(names, refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(sequential(lstm_layer("lstm"), lstm_layer("lstm_1"))))
        archive.write(two_layers(tmp_path / "tree", names), "model.weights.h5")
    if refused:
        with cases.refusal("the layer 'encoder'", "in the place of 'lstm'", "of another model"):
            gw.inspect(tmp_path / "model.keras")
    else:
        assert [stored.name for stored in gw.inspect(tmp_path / "model.keras").lstms[:2]] == ["lstm", "lstm_1"]


def test_a_dense_layer_of_another_size_than_its_configuration_s_is_refused(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"), dense("head", 5))
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(sequential(lstm_layer("a"), dense("head", 6)))
    (refused,) = gw.inspect(path).refused
    assert (refused.name, refused.reason) == ("head", "its configuration says 6 units, its weights 5")


@pytest.mark.parametrize("kind", ["LSTM", "Dense"])
@pytest.mark.parametrize("stated", [True, False])
def test_a_bias_that_the_configuration_contradicts_is_refused(kind, stated, tmp_path):
    layers = [lstm_layer("a"), dense("head", 5)]
    path = network_file(tmp_path / "file", *layers)
    place, name = (0, "a") if kind == "LSTM" else (1, "head")
    layers[place]["config"]["use_bias"] = stated
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(sequential(*layers))
    if stated:
        assert not gw.inspect(path).refused
        return
    (refused,) = gw.inspect(path).refused
    assert (refused.name, refused.reason.partition(":")[0]) == (
        name,
        "its configuration says use_bias false, but its weights have a bias",
    )


def test_a_setting_that_is_stated_twice_is_refused(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"))
    with h5py.File(path, "a") as file:
        config = json.dumps(sequential(lstm_layer("a")))
        file.attrs["model_config"] = config.replace('"units": 2', '"units": 9, "units": 2')
    with pytest.raises(gw.FileError, match="its JSON has 'units' twice in one object"):
        gw.inspect(path)
