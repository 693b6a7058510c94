"""Keras 3, with the backend that KERAS_BACKEND says."""

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras


def version() -> str:
    """Return the engine's version, and its backend."""
    return f"{keras.__version__} ({keras.backend.backend()})"


def run(settings: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of the last layer and the final states of each."""
    keras.backend.clear_session()
    names = ("units", "activation", "recurrent_activation", "use_bias", "go_backwards", "dtype")
    options = {name: settings[name] for name in names}
    outputs: dict[str, Any] = {}
    y, mask = keras.ops.convert_to_tensor(arrays["x"]), None
    if "mask" in arrays:
        mask = keras.ops.convert_to_tensor(arrays["mask"])
    for number in range(settings["layers"]):
        layer = keras.layers.LSTM(**options, return_sequences=True, return_state=True)
        if settings["bidirectional"]:
            layer = keras.layers.Bidirectional(layer)
        layer.build(y.shape)
        layer.set_weights([arrays[f"w{number}_{place}"] for place in range(len(layer.weights))])
        prefix = f"s{number}_"
        state = [keras.ops.convert_to_tensor(arrays[name]) for name in sorted(arrays) if name.startswith(prefix)]
        y, *states = layer(y, initial_state=state or None, mask=mask)
        outputs |= {f"{prefix}{place}": keras.ops.convert_to_numpy(part) for place, part in enumerate(states)}
        if settings["go_backwards"]:  # the output is in the order of processing
            y = keras.ops.flip(y, axis=1)
    return {"y": keras.ops.convert_to_numpy(y), **outputs}
