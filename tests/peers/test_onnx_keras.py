"""What Keras exports to ONNX by PyTorch, its LSTMs step by step, is a network that computes what Keras does."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree
from peers import keras_live
from peers.onnx_running import CLOSE, ask

import gatewise as gw

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
keras = keras_live.keras
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

TIME, BATCH, INPUTS, UNITS = 4, 3, 3, 5
L = keras.layers
MODELS = {
    "every step": lambda: [L.LSTM(UNITS, return_sequences=True), L.Dense(2, activation="softmax")],
    "the last step": lambda: [L.LSTM(UNITS), L.Dense(6, activation="gelu"), L.Dense(2, activation="silu")],
    "two layers": lambda: [L.LSTM(UNITS, return_sequences=True), L.LSTM(UNITS), L.Dense(2, activation="mish")],
    "two equal layers": lambda: [L.LSTM(UNITS, return_sequences=True), L.Dropout(0.5), L.LSTM(UNITS), L.Dense(2)],
    "both directions": lambda: [L.Bidirectional(L.LSTM(UNITS)), L.Dense(2)],
    "two layers of both": lambda: [
        L.Bidirectional(L.LSTM(UNITS, return_sequences=True)),
        L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="ave"),
        L.Dense(2),
    ],
    "tokens": lambda: [L.Embedding(7, INPUTS), L.LSTM(UNITS), L.Dense(2)],
}


@pytest.mark.parametrize("kind", MODELS)
def test_an_exported_model_is_a_network(kind, tmp_path):
    rng, tokens = np.random.default_rng(0), kind == "tokens"
    first = keras.Input((TIME,), dtype="int32") if tokens else keras.Input((TIME, INPUTS))
    model = keras.Sequential([first, *MODELS[kind]()])
    keras_live.random_weights(model)
    x = rng.integers(0, 7, (BATCH, TIME)).astype(np.int32) if tokens else rng.normal(size=(BATCH, TIME, INPUTS))
    x = x if tokens else x.astype(np.float32)
    model(x)  # Keras exports no model that was never called
    model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    proto = onnx.load(tmp_path / "model.onnx")
    (want,) = ask(proto, {proto.graph.input[0].name: x}).values()
    network = gw.load_network(tmp_path / "model.onnx")
    got = network(x.swapaxes(0, 1))[0]
    assert_agree({"y": got.swapaxes(0, 1) if network.reads == "every" else got}, {"y": want}, CLOSE)
