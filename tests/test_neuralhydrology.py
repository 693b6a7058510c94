"""Folders of NeuralHydrology's runs: their networks compute what the arrays say, and odd ones are refused."""

from __future__ import annotations

import sys
import time
from functools import partial

import cases
import hydrology
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import SOME, fuzz

import gatewise as gw

pytest.importorskip("yaml")

CLOSE = 2e-5  # float32
EMBEDDED = {
    "statics_embedding": {"type": "fc", "hiddens": [4, 3, 2], "activation": "relu", "dropout": 0.3},
    "dynamics_embedding": {"hiddens": [6]},
}
TWO = ["QObs(mm/d)", "SWE"]
RUNS = {
    "cudalstm": {},
    "customlstm": {"model": "customlstm", "static_attributes": None, "clip_targets_to_zero": None},
    "embedded": {**EMBEDDED, "output_activation": "softplus", "target_variables": TWO},
}
PARTS = ("config.yml", "train_data/train_data_scaler.yml", "train_data/train_data_scaler.p")


def stacked(network, basin, steps=20):
    """Return a basin as the network takes it: columns in the order of its names."""
    return np.stack([np.broadcast_to(basin[name], steps) for name in network.labels.features], axis=-1)


@pytest.mark.parametrize("kind", RUNS)
def test_the_network_of_a_run_computes_what_its_arrays_say_in_physical_units(kind, tmp_path):
    config = hydrology.settings(**RUNS[kind])
    arrays, tables = hydrology.make_run(tmp_path / "run", config)
    network = gw.load_network(tmp_path / "run")
    basin = hydrology.basin_of(config)
    trace = network.trace(stacked(network, basin))
    assert_agree({"y": trace.output}, {"y": hydrology.answer(config, arrays, tables, basin)}, CLOSE)
    assert network.labels.outputs == tuple(config["target_variables"])
    assert network.labels.features == (*hydrology.DYNAMIC, *sorted(config.get("static_attributes", [])))
    assert network.labels.measures["prcp(mm/day)"] == gw.Measure("prcp", "mm/day")
    assert trace.labels.measures["QObs(mm/d)"] == gw.Measure("QObs", "mm/d")
    (found,) = gw.inspect(tmp_path / "run").lstms
    assert repr(found.lstm) == repr(gw.load(tmp_path / "run")) == repr(network.lstm)
    assert found.name == ("cell" if kind == "customlstm" else "lstm")


def test_a_pickled_scaler_is_read_without_pandas_and_xarray(tmp_path, monkeypatch):
    _, tables = hydrology.make_run(tmp_path / "run")
    want = gw.load_network(tmp_path / "run")
    (tmp_path / "run" / PARTS[1]).unlink()
    (tmp_path / "run" / PARTS[2]).write_bytes(hydrology.scaler_pickle(tables))
    for package in ("pandas", "xarray"):
        monkeypatch.setitem(sys.modules, package, None)  # so that an import of it is an error
    got = gw.load_network(tmp_path / "run")
    assert (repr(got.inputs), repr(got.outputs)) == (repr(want.inputs), repr(want.outputs))
    assert "pandas.core.series.Series" in gw.inspect(tmp_path / "run").calls


def test_the_last_epoch_is_read_if_none_is_named(tmp_path):
    hydrology.make_run(tmp_path / "run", epochs=(1, 2, 10))
    biases = [gw.load_network(tmp_path / "run", epoch=epoch).head.bias[0] for epoch in (1, 2, 10)]
    assert len({*biases}) == 3
    assert gw.load_network(tmp_path / "run").head.bias[0] == biases[2]
    for given, words in ((3, ["3", "1, 2, 10"]), (True, ["epoch", "True"]), ("2", ["epoch", "'2'"])):
        with cases.refusal(*words, by=gw.OptionError):
            gw.load(tmp_path / "run", epoch=given)
    with cases.refusal("period", "epoch", by=gw.OptionError):
        gw.load(tmp_path / "run", period="test")


def test_numbers_are_those_of_yaml_1_2_and_names_are_texts(tmp_path):
    config = hydrology.settings(dynamic_inputs=["no", "1e5", "tmax(C)"], static_attributes=["y"])
    tables = hydrology.scales(config, np.random.default_rng(0))
    tables["xarray_feature_scale"]["no"], tables["attribute_stds"]["y"] = 5e-05, 1e300
    hydrology.make_run(tmp_path / "run", config, tables=tables)
    network = gw.load_network(tmp_path / "run")
    assert network.labels.features == ("no", "1e5", "tmax(C)", "y")
    assert network.inputs.scale[[0, 3]].tolist() == [5e-05, 1e300]


UNREADABLE = {
    "another model": ({"model": "ealstm"}, ["ealstm", "cudalstm", "model_epoch001.pt"]),
    "another head": ({"head": "gmm"}, ["gmm", "regression"]),
    "basin ids": ({"use_basin_id_encoding": True}, ["use_basin_id_encoding"]),
    "evolving attributes": ({"evolving_attributes": ["ndvi"]}, ["evolving_attributes", "ndvi"]),
    "autoregressive inputs": ({"autoregressive_inputs": "q_shift1"}, ["autoregressive_inputs", "q_shift1"]),
    "masses": ({"mass_inputs": ["p"]}, ["mass_inputs"]),
    "missing inputs": ({"nan_handling_method": "attention"}, ["nan_handling_method", "attention"]),
    "forecasts": ({"forecast_inputs": ["p"]}, ["forecast_inputs"]),
    "frequencies": ({"use_frequencies": ["1D", "1h"]}, ["several frequencies"]),
    "groups": ({"dynamic_inputs": [["a"], ["b"]]}, ["dynamic_inputs", "several groups"]),
    "another embedding": ({"statics_embedding": {"type": "cnn"}}, ["statics_embedding", "cnn"]),
    "no model": ({"model": None}, ["model", "None"]),
    "no size": ({"hidden_size": -1}, ["hidden_size", "-1"]),
    "another size": ({"hidden_size": 7}, ["hidden_size=5", "7 units"]),
    "no target": ({"target_variables": None}, ["target_variable"]),
    "another number of targets": ({"target_variables": TWO}, ["head.net.0.weight", "(1, 5)", "(2, 5)"]),
    "a name that is none": ({"dynamic_inputs": ["a", 5]}, ["dynamic_inputs", "5"]),
    "a name twice": ({"dynamic_inputs": ["tmax(C)", "area"]}, ["'area'", "twice"]),
    "an embedding without weights": ({"dynamics_embedding": {"hiddens": [4]}}, ["dynamics_embeddings.0.net.0.weight"]),
    "an embedding without sizes": ({"dynamics_embedding": {"hiddens": []}}, ["hiddens of dynamics_embedding"]),
    "an odd activation": ({"dynamics_embedding": {"hiddens": [4], "activation": "gelu"}}, ["gelu", "tanh"]),
    "a feature without scale": ({"dynamic_inputs": ["tmax(C)", "pet", "wind"]}, ["xarray_feature_center", "'wind'"]),
    "fewer features": ({"static_attributes": ["slope"]}, ["4 features", "6"]),
    "statics of nothing": ({"static_attributes": None, "statics_embedding": {"hiddens": [3]}}, ["statics_embedding"]),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_not_expressed_is_refused_by_name_in_one_sentence(kind, tmp_path):
    changes, words = UNREADABLE[kind]
    hydrology.make_run(tmp_path / "run")
    (tmp_path / "run" / "config.yml").write_text(hydrology.yaml(hydrology.settings(**changes)))
    for read in (gw.load, gw.load_network):
        with cases.refusal(*words):
            read(tmp_path / "run")


def test_weights_that_the_configuration_does_not_explain_are_refused(tmp_path):
    arrays, _ = hydrology.make_run(tmp_path / "run")
    for extra, words in (
        ({"embedding_net.statics_embedding.net.0.weight": np.ones((3, 3), np.float32)}, ["statics_embedding"]),
        ({"lstm.weight_ih_l1": np.ones((20, 5), np.float32)}, ["lstm"]),
    ):
        hydrology.write_archive(tmp_path / "run" / "model_epoch001.pt", arrays | extra)
        with cases.refusal(*words):
            gw.load_network(tmp_path / "run")


def test_an_lstm_under_another_name_is_named(tmp_path):
    arrays, _ = hydrology.make_run(tmp_path / "run")
    renamed = {name.replace("lstm.", "rnn."): one for name, one in arrays.items()}
    hydrology.write_archive(tmp_path / "run" / "model_epoch001.pt", renamed)
    with cases.refusal("under the name lstm: it has rnn"):
        gw.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("config.yml", ["folder"]),
        ("train_data/train_data_scaler.yml", ["train_data_scaler.yml", "train_data_scaler.p"]),
        ("model_epoch001.pt", ["weights"]),
    ],
)
def test_a_folder_without_a_part_is_refused_and_nothing_outside_of_it_is_read(part, words, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    hydrology.make_run(elsewhere)
    config = hydrology.settings(run_dir=str(elsewhere), train_dir=str(elsewhere / "train_data"))
    hydrology.make_run(tmp_path / "run", config)
    (tmp_path / "run" / part).unlink()
    with cases.refusal(*words):
        gw.load(tmp_path / "run")


def test_no_network_is_made_of_its_parts_without_their_scaling(tmp_path):
    hydrology.make_run(tmp_path / "run")
    assert [one.name for one in gw.inspect(tmp_path / "run").parts] == ["head.net.0"]
    with cases.refusal("head.net.0", by=gw.OptionError):
        gw.load_network(tmp_path / "run", head="head.net.0")


@pytest.mark.parametrize("part", ["config.yml", "train_data", "model_epoch001.pt"])
def test_links_that_lead_out_of_the_folder_are_not_followed(part, tmp_path):
    hydrology.make_run(tmp_path / "run")
    (tmp_path / "run" / part).rename(tmp_path / "elsewhere")
    try:
        (tmp_path / "run" / part).symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("links cannot be made here")
    with cases.refusal(part, "outside"):
        gw.load(tmp_path / "run")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
ODD = {
    "config.yml": {
        "aliases": (BOMB + "dynamic_inputs: *a29\n", ["dynamic_inputs"]),
        "aliases for a text": (BOMB + "model: *a29\n", ["model", "text"]),
        "aliases for a type": (BOMB + "statics_embedding: {type: *a29}\n", ["statics_embedding", "fc"]),
        "aliases for a version": (BOMB + "package_version: *a29\nhidden_size: x\n", ["hidden_size", "'x'"]),
        "merges": (BOMB + "<<: *a29\n", ["key"]),
        "a list in itself": ("dynamic_inputs: &a [*a]\n", ["dynamic_inputs"]),
        "a tag": ("device: !!python/object/apply:os.system [exit]\n", ["tag", "os.system"]),
        "deep": ("device: " + 5_000 * "[", ["nested"]),
        "long": ("device: [" + 400_000 * "1," + "]", ["take too long"]),
        "two documents": ("--- a\n--- b\n", ["YAML"]),
        "a key twice": ("model: cudalstm\n", ["model", "twice"]),
        "no dictionary": ("", ["dictionary"]),
        "an odd escape": ('device: "\\UFFFFFFFF"\n', ["YAML"]),
        "not a letter": ("device: \x01\n", ["YAML"]),
        "a long integer": ("hidden_size: " + 5_000 * "9" + "\n", ["hidden_size"]),
    },
    "train_data/train_data_scaler.yml": {
        "a list": ("- 1\n", ["dictionary"]),
        "no numbers": ("attribute_means:\n  area: much\n", ["'much'", "'area'"]),
        "a series": ("xarray_feature_scale: [1]\n", ["xarray_feature_scale"]),
        "an array": ("xarray_feature_scale:\n  data_vars:\n    pet:\n      data: [1, 2]\n", ["'pet'"]),
        "aliases": (BOMB + "attribute_means:\n  area: *a29\n", ["'area'", "not a number"]),
        "nothing": ("{}", ["xarray_feature_center"]),
    },
}


@pytest.mark.parametrize(("part", "kind"), [(part, kind) for part, kinds in ODD.items() for kind in kinds])
def test_odd_files_are_refused_in_one_sentence_and_at_once(part, kind, tmp_path):
    given, words = ODD[part][kind]
    hydrology.make_run(tmp_path / "run")
    path = tmp_path / "run" / part
    if part == "config.yml" and kind not in ("no dictionary", "two documents"):
        names = [name for name in hydrology.settings() if f"\n{name}: " not in f"\n{given}" or kind == "a key twice"]
        given += hydrology.yaml({name: hydrology.settings()[name] for name in names})
    path.write_text(given)
    begun = time.process_time()
    with cases.refusal(*words):
        gw.load(tmp_path / "run")
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(("value", "pickled"), [(0.0, False), (np.nan, False), (np.inf, True), (0.0, True)])
def test_a_scale_that_is_none_is_refused_with_the_name_of_its_feature(value, pickled, tmp_path):
    tables = hydrology.scales(hydrology.settings(), np.random.default_rng(0))
    tables["xarray_feature_scale"]["pet"] = float(value)
    hydrology.make_run(tmp_path / "run", tables=tables)
    if pickled:
        (tmp_path / "run" / PARTS[1]).unlink()
        (tmp_path / "run" / PARTS[2]).write_bytes(hydrology.scaler_pickle(tables))
    else:
        text = (tmp_path / "run" / PARTS[1]).read_text()
        (tmp_path / "run" / PARTS[1]).write_text(text.replace("data: nan", "data: .nan"))
    with cases.refusal("'pet'", "scale"):
        gw.load(tmp_path / "run")


def spoil(part, folder, count=SOME, seed=0):
    """Read so many runs of which one file is spoiled."""
    _, tables = hydrology.make_run(folder / "run", hydrology.settings(**RUNS["embedded"]))
    if part.endswith(".p"):
        (folder / "run" / PARTS[1]).unlink()
        (folder / "run" / part).write_bytes(hydrology.scaler_pickle(tables))
    read = partial(hydrology.spoiled_part, folder=str(folder / "run"), part=part)
    return fuzz([(folder / "run" / part).read_bytes()], read, count, folder, seed=seed)


def test_the_frequency_of_the_steps_is_said(tmp_path):
    hydrology.make_run(tmp_path / "run", hydrology.settings(use_frequencies=["1D"], seq_length={"1D": 365}))
    notes = gw.inspect(tmp_path / "run").lstms[0].notes
    assert "its time step is 1D: data with other steps are refused, if they have dates" in notes
