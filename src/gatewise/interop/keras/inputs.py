"""The inputs of a Keras model, as its configuration declares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewise.interop.graphs import GraphInput, axes_in_order
from gatewise.interop.keras.config import Layer
from gatewise.interop.keras.layer_graph import is_identity, is_recurrent

SHAPES = ("batch_shape", "batch_input_shape")  # by the version of Keras
STEPWISE = {  # layers that act on each step by itself
    *("InputLayer", "Embedding", "Masking", "Dense", "Activation", "LayerNormalization", "BatchNormalization"),
    *("Rescaling", "Normalization", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
}


def inputs_of(root: Layer) -> tuple[GraphInput, ...]:
    """Return the inputs of a Keras model, whose first axis is the batch.

    The second is the time if every layer before the first recurrent one acts on each step by itself.
    """
    stepwise = _is_stepwise(root)
    inputs = []
    for layer in _declaring_layers(root):
        sizes = next((layer.config[name] for name in SHAPES if isinstance(layer.config.get(name), list)), None)
        dtype: Any = layer.config.get("dtype")
        if isinstance(dtype, dict):  # the policy of a layer
            dtype = dtype["config"].get("name") if isinstance(dtype.get("config"), dict) else None
        shape = None if sizes is None else ("batch", *(size if isinstance(size, int) else None for size in sizes[1:]))
        axes = None if shape is None or not stepwise else axes_in_order(len(shape), batch_first=True)
        inputs.append(GraphInput(layer.name, shape, dtype if isinstance(dtype, str) else None, axes))
    return tuple(inputs)


def _declaring_layers(root: Layer) -> Iterator[Layer]:
    """Yield the layers of a Keras model that declare its inputs: input layers, or the first of a sequence."""
    layers = [layer for _, layer in root.children]
    declared = [layer for layer in layers if layer.kind == "InputLayer"]
    if not declared and root.kind == "Sequential" and layers:
        first = layers[0]
        while first.holds_layers and first.children:
            first = first.children[0][1]
        declared = [first] if any(name in first.config for name in SHAPES) else []
    yield from declared


def _is_stepwise(root: Layer) -> bool:
    """Whether every layer before the first recurrent one of a Keras model acts on each step by itself."""
    for layer in _in_order(root):
        if is_recurrent(layer):
            return True
        if not (is_identity(layer) or (layer.is_keras and layer.kind in STEPWISE)):
            return False
    return False


def _in_order(layer: Layer) -> Iterator[Layer]:
    """Yield the layers of a Keras model, those of models within it in their place."""
    for _, child in layer.children:
        yield from _in_order(child) if child.holds_layers else [child]
