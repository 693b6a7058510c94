"""Keras 3 on PyTorch, and what a test does with a model of it."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

L = keras.layers
TIME, BATCH, INPUTS, UNITS = 5, 3, 4, 3
CLOSE = 2e-5
MASKED = -7.0


class Louder(L.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


def flat(given):
    if isinstance(given, (list, tuple)):
        return [array for one in given for array in flat(one)]
    return [keras.ops.convert_to_numpy(given)]


def saved(model, path, form):
    where = path / f"model{form}"
    model.save_weights(where) if form == ".weights.h5" else model.save(where)
    return where


def random_weights(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.6, one.shape).astype(np.float32) for one in model.get_weights()])
    return model


def chained(*layers, inputs=None, name=None):
    """Return a model of layers one after another."""
    inputs = y = keras.Input((TIME, INPUTS)) if inputs is None else inputs
    for layer in layers:
        y = layer(y)
    return keras.Model(inputs, y, name=name)
