"""Keras 3 itself: all that its files hold is accounted for, and what a capture leaves out is told."""

from __future__ import annotations

import numpy as np
import pytest
from peers.keras_live import BATCH, INPUTS, TIME, UNITS, L, keras, saved

import gatewise as gw
from tests.test_keras_ledger import assert_complete

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

X = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
MODELS = {
    "network": [L.Masking, lambda: L.Bidirectional(L.LSTM(UNITS, dropout=0.1)), lambda: L.Dense(2)],
    "norms": [lambda: L.LSTM(UNITS), L.BatchNormalization, L.LayerNormalization, L.PReLU, lambda: L.Dense(2)],
    "convolution": [lambda: L.Conv1D(INPUTS, 1), lambda: L.LSTM(UNITS, recurrent_dropout=0.2), lambda: L.Dropout(0.1)],
    "cells": [lambda: L.RNN([L.LSTMCell(UNITS), L.LSTMCell(UNITS)]), lambda: L.Dense(1, kernel_constraint="non_neg")],
}
TOLD = {"norms": ["batch_normalization", "layer_normalization", "p_re_lu"], "convolution": ["conv1d"]}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("kind", MODELS)
def test_all_that_a_trained_model_s_file_holds_is_accounted_for(kind, form, tmp_path):
    keras.backend.clear_session()
    model = keras.Sequential([keras.Input((TIME, INPUTS)), *(make() for make in MODELS[kind])])
    model.compile("adam", "mse")
    model.fit(X, np.ones((BATCH, *model.output_shape[1:])), verbose=0)
    contents = assert_complete(saved(model, tmp_path, form))
    assert any("optimizer" in entry.name for entry in contents.ledger)
    told = [entry.name for entry in contents.ledger if entry.lstms]
    if form != ".weights.h5":
        assert told == TOLD.get(kind, [])
    else:
        assert [name.rpartition(".")[2] for name in told][:2] == ["activation", "recurrent_activation"]


class Both(keras.Model):
    """An LSTM, and a cell that is called by itself."""

    def __init__(self):
        super().__init__()
        self.lstm, self.cell = L.LSTM(UNITS, return_sequences=True), L.LSTMCell(UNITS)

    def call(self, x):
        state = [keras.ops.zeros((BATCH, UNITS))] * 2
        return self.cell(self.lstm(x)[:, -1], state)[0]


def test_a_cell_that_a_model_calls_itself_is_told_as_not_captured():
    model = Both()
    model(X)
    with pytest.warns(gw.WeightsWarning, match="lstm_cell.* is an LSTMCell, which is not captured"):
        (captured,) = gw.capture(model, X)
    assert captured.difference < 1e-5
    with pytest.raises(gw.OptionError, match=r"strict=True: .*LSTMCell"):
        gw.capture(model, X, strict=True)


def test_strict_refuses_what_a_capture_notes():
    model = keras.Sequential([keras.Input((TIME, INPUTS)), L.LSTM(UNITS, dropout=0.1, name="a")])
    assert len(gw.capture(model, X, strict=True)) == 1
    with pytest.raises(gw.OptionError, match=r"refused with strict=True: a: .*training mode"):
        gw.capture(model, X, training=True, strict=True)
    with pytest.warns(gw.WeightsWarning, match=r"a: .*training mode"):
        gw.capture(model, X, training=True)
    half = keras.Sequential([keras.Input((TIME, INPUTS)), L.LSTM(UNITS, dtype="mixed_bfloat16")])
    with pytest.raises(gw.OptionError, match=r"strict=True: lstm.*: the model computes in bfloat16"):
        gw.capture(half, X, strict=True)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_is_built_again_takes_weights_in_keras_s_order(tmp_path):
    def make():
        layers = [L.LSTM(UNITS, return_sequences=True), L.LSTM(UNITS), L.Dense(2)]
        return keras.Sequential([keras.Input((TIME, INPUTS)), *layers])

    first, again = make(), make()
    path, config = saved(first, tmp_path, ".weights.h5"), tmp_path / "config.json"
    config.write_text(again.to_json())
    assert again.layers[0].name != first.layers[0].name
    again.load_weights(path)
    network = gw.load_network(path, config=config)
    expected = keras.ops.convert_to_numpy(again(X))
    np.testing.assert_allclose(network(X.swapaxes(0, 1))[0], expected, rtol=0, atol=1e-6)
    assert "Keras numbers layers anew" in gw.inspect(path, config=config).lstms[0].notes[-1]
