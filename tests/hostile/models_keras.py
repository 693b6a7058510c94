"""Keras, live: models of any kind in both formats, and weights without their configuration."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import Refused, agree, asked, hostile, numbers

TIME, CLOSE = 5, 5e-5
LARGE = 1e6  # of an output
GATES = ("sigmoid", "hard_sigmoid", "tanh", "relu", "softsign", "linear")
STATES = (
    "tanh",
    "relu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "linear",
    "sigmoid",
    "leaky_relu",
    "exponential",
    "gelu",
    "silu",
)


def model_of(chance: random.Random) -> tuple[Any, bool]:
    """Return a model with one or two LSTMs, and whether it reads words."""
    from peers.keras_live import L, keras

    words = chance.random() < 0.2
    layers: list[Any] = [L.Embedding(7, 3, mask_zero=chance.random() < 0.5)] if words else []
    if not words and chance.random() < 0.2:
        layers.append(
            chance.choice(
                [
                    L.Dense(3, activation="tanh"),
                    L.Masking(),
                    L.LayerNormalization(),
                    L.Rescaling(2.0),
                    L.Permute((1, 2)),
                ]
            )
        )
    count = chance.choice([1, 1, 2])
    for n in range(count):
        options: dict[str, Any] = {"return_sequences": n < count - 1 or chance.random() < 0.6}
        for name, values in (("recurrent_activation", GATES), ("activation", STATES)):
            if chance.random() < 0.3:
                options[name] = chance.choice(values)
        for name in ("use_bias", "unit_forget_bias", "go_backwards", "stateful"):
            if chance.random() < (0.05 if name == "stateful" else 0.12):
                options[name] = name not in ("use_bias", "unit_forget_bias")
        layer = L.LSTM(chance.randrange(1, 5), **options)
        if chance.random() < 0.3:
            layer = L.Bidirectional(layer, merge_mode=chance.choice(["concat", "sum", "mul", "ave"]))
        layers.append(layer)
    if chance.random() < 0.6:
        layers.append(
            chance.choice(
                [
                    L.Dense(2),
                    L.Dense(2, activation="softmax"),
                    L.Dropout(0.5),
                    L.Activation("relu"),
                    L.BatchNormalization(),
                ]
            )
        )
    inputs = keras.Input((TIME,) if words else (TIME, 3), batch_size=2)
    if chance.random() < 0.5:
        return keras.Sequential([inputs, *layers]), words
    y = inputs
    for layer in layers:
        y = layer(y)
    return keras.Model(inputs, y), words


@hostile("Keras models, live", needs=("torch", "keras", "h5py", "pytest"), seconds=120, memory=2**33, share=1.5)
def live(chance: random.Random, folder: Path) -> None:
    """A model that is read whole computes what Keras computes; what is not understood is refused by name."""
    from peers.keras_live import flat

    import gatewise as gw

    rng = numbers(chance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model, words = model_of(chance)
        except Exception as problem:  # what Keras itself does not allow
            raise Refused(f"Keras: {problem}"[:200]) from None
        model.set_weights([rng.normal(0, 0.5, one.shape).astype(np.float32) for one in model.get_weights()])
        for layer in model.layers:  # a variance is positive
            if type(layer).__name__ == "BatchNormalization":
                layer.set_weights([np.abs(one) for one in layer.get_weights()])
        path = f"x{chance.choice(['.keras', '.h5'])}"
        model.save(path)
        x = rng.integers(0, 7, (2, TIME)) if words else rng.normal(size=(2, TIME, 3)).astype(np.float32)
        expected = flat(model(x))[0]
    network = asked(gw.load_network, path)
    if isinstance(network, gw.Network):
        found = asked(network, x.swapaxes(0, 1))[0]
        found = found.swapaxes(0, 1) if found.ndim == 3 else found
    else:
        found = asked(network, x, axes="batch,time" if words else "batch,time,feature")[0]
    if not np.abs(expected).max(initial=0) <= LARGE:
        return  # rounding grows with such numbers, and infinite ones end in NaN at other places
    agree(found, expected, f"{path}: {[(layer.name, layer.get_config()) for layer in model.layers[-3:]]}"[:900], CLOSE)
