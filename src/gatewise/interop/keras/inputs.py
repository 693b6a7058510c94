"""The inputs of a Keras model, as its configuration declares them."""

from __future__ import annotations

from collections.abc import Sequence

from gatewise.interop.graphs import GraphInput, axes_in_order
from gatewise.interop.keras.config import Layer, compute_type
from gatewise.interop.keras.layer_graph import LayerNode, is_identity, is_recurrent

SHAPES = ("batch_shape", "batch_input_shape")  # by the version of Keras
STEPWISE = {  # layers that act on each step by itself
    *("InputLayer", "Embedding", "Masking", "Dense", "Activation", "LayerNormalization", "BatchNormalization"),
    *("Rescaling", "Normalization", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
}


def inputs_of(root: Layer, nodes: Sequence[LayerNode]) -> tuple[GraphInput, ...]:
    """Return the inputs of a Keras model, whose first axis is the batch; `nodes` are its layers.

    The second is the time if every layer before the first recurrent one acts on each step by itself.
    """
    stepwise = _are_stepwise(nodes)
    declared = [layer for _, layer in root.children if layer.kind == "InputLayer"]
    first = root
    while first.holds_layers and first.children:
        first = first.children[0][1]
    if not declared and root.kind == "Sequential" and any(name in first.config for name in SHAPES):
        declared = [first]
    inputs = []
    for layer in declared:
        sizes = next((layer.config[name] for name in SHAPES if isinstance(layer.config.get(name), list)), None)
        shape = None if sizes is None else ("batch", *(size if isinstance(size, int) else None for size in sizes[1:]))
        axes = None if shape is None or not stepwise else axes_in_order(len(shape), batch_first=True)
        inputs.append(GraphInput(layer.name, shape, compute_type(layer) or None, axes))
    return tuple(inputs)


def _are_stepwise(nodes: Sequence[LayerNode]) -> bool:
    """Whether every layer before the first recurrent one of a Keras model acts on each step by itself."""
    for node in nodes:
        if is_recurrent(node.outer):
            return not node.distributed
        if not (is_identity(node.outer) or (node.layer.is_keras and node.layer.kind in STEPWISE)):
            return False
    return False
