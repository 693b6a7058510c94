"""Weights alone, read with what `model.to_json()` wrote beside them."""

from __future__ import annotations

import json

import cases
import numpy as np
import pytest
from keras_files import (
    INPUTS,
    dense,
    kernels,
    layer,
    legacy,
    lstm_layer,
    named,
    network_file,
    new,
    sequential,
    three_weights,
    two_weights,
)
from program import exit_code
from test_interop import assert_same_lstm

import gatewise as gw


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
    with pytest.raises(gw.OptionError, match="config is given"):
        gw.inspect(network_file(tmp_path / "file", lstm_layer("a")), config=config)
    with pytest.raises(gw.OptionError, match="config must be the path"):
        gw.inspect(two_weights(tmp_path / "file", new()), config=5)
    with pytest.raises(gw.FileError, match="--set config=PATH"):
        gw.inspect(config)
