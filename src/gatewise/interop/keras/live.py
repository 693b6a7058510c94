"""Live Keras models: their LSTM layers, each as a configuration with weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, ShapeError, importing, join_names, reason
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.keras.bare_weights import Options
from gatewise.interop.keras.config import Layer, Version, model
from gatewise.interop.keras.files import KerasTensor
from gatewise.interop.keras.layer_graph import LayerEdge, LayerNode
from gatewise.interop.keras.lstm_layers import configured_lstm
from gatewise.interop.keras.weights import Bound

LARGE = 2**30  # bytes of a file that may cost as much as any live layer


def import_keras() -> Any:
    """Return Keras; MissingExtraError if it is not installed, or has no backend."""
    with importing("keras", "this needs"):
        import keras
    return keras


def numbers(tensor: Any) -> Array:
    """Return a tensor of any backend as float32 or float64."""
    return to_float(np.asarray(import_keras().ops.convert_to_numpy(tensor)))


def _is_lstm(layer: Any) -> bool:
    """Say whether a live Keras layer is an LSTM: a recurrent layer of LSTM cells, or two in a Bidirectional."""
    keras = import_keras()
    if isinstance(layer, keras.layers.Bidirectional):
        return all(_is_lstm(side) for side in (layer.forward_layer, layer.backward_layer))
    if isinstance(layer, keras.layers.RNN):
        cells = layer.cell.cells if isinstance(layer.cell, keras.layers.StackedRNNCells) else [layer.cell]
        return all(isinstance(cell, keras.layers.LSTMCell) for cell in cells)
    return False


def recurrent_layers(source: Any) -> dict[str, list[Any]]:
    """Return the LSTM layers of a live Keras model by their names, which are those that a file of it has.

    The name of a layer within a model begins with the model's: model/layer. One within a TimeDistributed has its name;
    those within a Bidirectional are not listed.
    """
    keras = import_keras()
    layers: dict[str, list[Any]] = {}
    visited = set[int]()

    def collect_lstms(layer: Any, name: str, prefix: str) -> None:
        """Note the Keras LSTM layers within a layer of that name; the prefix is for its children."""
        if id(layer) in visited:
            return
        visited.add(id(layer))
        if _is_lstm(layer):
            layers.setdefault(name, []).append(layer)
            return
        for child in layer._flatten_layers(recursive=False, include_self=False):
            if isinstance(layer, keras.layers.TimeDistributed):
                collect_lstms(child, name, f"{name}/")
            else:
                collect_lstms(child, f"{prefix}{child.name}", f"{prefix}{child.name}/")

    collect_lstms(source, source.name, "")
    return layers


def _model_layer(source: Any, name: str | None) -> Any:
    """Return the given live Keras LSTM layer, or the named one of a model; without a name, the only one."""
    keras = import_keras()
    if not isinstance(source, keras.layers.Layer):
        raise OptionError(f"read takes a Keras layer, a model or a path, not {type(source).__name__}")
    by_name = recurrent_layers(source)
    layers = [layer for key, same in by_name.items() for layer in same if name in (None, key)]
    if len(layers) != 1:
        names = join_names(map(repr, by_name)) or "none"
        raise OptionError(f"there are {len(layers)} LSTM layers to read in {source.name!r}; it has {names}")
    if not layers[0].built:
        raise OptionError(f"the layer {layers[0].name!r} has no weights yet: build it, or call it once")
    return layers[0]


def _require_keras_activations(name: str, cell: Any, described: Layer) -> None:
    """Raise OptionError for a custom activation of a live Keras cell: only its name is in the configuration."""
    activations = import_keras().activations
    for kind in ("activation", "recurrent_activation"):
        word = described.config.get(kind)
        if isinstance(word, dict) and word.get("class_name") == "function":
            word = word.get("config")
        if isinstance(word, str) and getattr(activations, word, activations.linear) is not getattr(cell, kind):
            raise OptionError(f"cannot read {name!r}: its {kind} {word!r} is a custom function")


def stored_lstm(source: Any, name: str | None = None) -> StoredLSTM:
    """Return the LSTM of a live Keras layer, or of one in a model, as that of a file."""
    keras, layer = import_keras(), _model_layer(source, name)
    try:
        described = model(keras.saving.serialize_keras_object(layer), Budget(LARGE))
    except (GatewiseError, TypeError, ValueError, NotImplementedError) as problem:
        raise OptionError(f"the layer {layer.name!r} cannot be described: {reason(problem)}") from None
    bound: Bound = {}
    cells: list[Any] = []
    for side in (layer.forward_layer, layer.backward_layer) if described.kind == "Bidirectional" else (layer,):
        cells += side.cell.cells if isinstance(side.cell, keras.layers.StackedRNNCells) else [side.cell]
    for cell, leaf in zip(cells, described.leaves(), strict=True):
        _require_keras_activations(layer.name, cell, leaf)
        variables = {name: getattr(cell, name, None) for name in ("kernel", "recurrent_kernel", "bias")}
        bound[leaf] = tuple(
            KerasTensor(f"{layer.name}/{name}", tuple(variable.shape), "float32", partial(numbers, variable))
            for name, variable in variables.items()
            if variable is not None
        )
    node = LayerNode(described.name, described, LayerEdge())
    options = Options({}, Version.parse(keras.__version__), Budget(LARGE))
    try:
        return configured_lstm(node, bound, options)
    except (FileError, ShapeError) as problem:
        raise OptionError(f"cannot read {described.name!r}: {problem}") from None
