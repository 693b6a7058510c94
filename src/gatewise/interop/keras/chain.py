"""A Keras model as a `Network`: an embedding or dense layers, LSTMs, and a head of dense layers, in a chain.

Only its last layer may add the input of the model: a skip connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.interop.graphs import JoinedNetwork
from gatewise.interop.keras.config import Layer, Version, activation, clean, masked_output, named_function
from gatewise.interop.keras.layer_graph import (
    ConfiguredLayers,
    LayerNode,
    is_identity,
    is_recurrent,
    is_reversal,
    label,
)
from gatewise.interop.stacks import LayerStack, network_around
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network
from gatewise.showing import with_article

MASK_MAKERS = {"NotEqual", "Any"}  # operations that only compute masks
ACTIVATIONS = ("Activation", "Softmax", "ReLU", "LeakyReLU", "ELU")  # layers that only apply a nonlinearity
OF_DENSE = {  # gatewise's names of the functions that dense layers alone have
    **{name: name for name in ("gelu", "mish", SOFTMAX)},
    **dict.fromkeys(("silu", "swish"), "silu"),
    **dict.fromkeys(("hard_silu", "hard_swish"), "hard_swish"),
}


def network(layers: ConfiguredLayers) -> Network:
    """Return the network that a Keras configuration describes; a layer that no `Network` has is refused by name."""
    builder = ChainBuilder(layers)
    for node in _chain_of(layers):
        if node.layer.forward_layer.flag("return_state"):
            raise FileError(f"{node.name!r} ({with_article(node.layer.kind)}) also returns its states")
        builder.add(node, node.outer)
    return builder.network()


def _chain_of(layers: ConfiguredLayers) -> list[LayerNode]:
    """Return a Keras model's layers from its input to its output, if each reads the one before it alone."""
    chain, edge = list[LayerNode](), layers.output
    while edge.last is not None and not edge.problem:
        chain.append(edge.last)
        edge = edge.last.input
    if edge.problem:
        raise FileError(edge.problem)
    read = set(layers.output.nodes)
    for node in reversed(layers.nodes):  # each comes after what it reads
        if node in read:
            read |= node.input.nodes
    for node in layers.nodes:
        if node not in read and node.layer.kind not in MASK_MAKERS:
            raise FileError(f"{label(node.outer)} is not between its input and its output; a network has no branches")
    return chain[::-1]


def joined_network(
    layers: ConfiguredLayers,
    stacks: Mapping[str, Sequence[LayerNode]],
    name: str,
    embedding: str | None,
    head: str | None,
    reads: str | None,
) -> JoinedNetwork:
    """Return the network of a Keras model's named embedding (if any), LSTM and head (if any).

    `stacks` are the layers of each LSTM. Layers that are not connected, and what a `Network` cannot express between
    them, are refused.
    """
    stack = stacks[name]
    named, first = {node.name: node for node in layers.parts}, stack[0].input.source
    ends = [] if head is None else [named[head]]
    if embedding is not None:
        first = named[embedding]
    elif first is not None and first.outer.kind != "Masking":
        first = None
    points = [*([] if first is None else [first]), *stack, *ends]
    chain = points[:1]
    for lower, upper in pairwise(points):
        chain += _path_between(lower, upper)
    builder, used = ChainBuilder(layers), {*chain}
    for node in chain:
        builder.add(node, node.layer if node in layers.lstms else node.outer)
    return JoinedNetwork(
        builder.network(reads),
        frozenset(node.name for node in layers.parts if node in used or is_identity(node.outer)),
        "every" if builder.sequences else "last",
        has_foreign_mask=stack[0].masked and builder.masked is None,
    )


def _path_between(first: LayerNode, last: LayerNode) -> list[LayerNode]:
    """Return the Keras layers after the first up to the last, if each reads the one before it."""
    path = [last]
    while (node := path[-1].input.last) is not first:
        if node is None:
            why = f": {path[-1].input.problem}" if path[-1].input.problem else ""
            raise FileError(f"{last.name!r} does not follow {first.name!r}{why}")
        if is_recurrent(node.layer):
            raise FileError(f"{last.name!r} reads {node.name!r}, and not {first.name!r}")
        path.append(node)
    return path[::-1]


# The network of these layers.


def activation_of(layer: Layer, version: Version) -> Activation | str | None:
    """Return the activation of a Keras layer that is dense, or only applies one, as `Linear` has it."""
    stated: Any = {"class_name": layer.kind, "config": layer.config}
    if layer.kind in ("Dense", "Activation"):
        stated = layer.config.get("activation")
    if isinstance(stated, dict) and stated.get("class_name") == "Softmax":
        config = stated.get("config")
        if isinstance(config, dict) and config.get("axis", -1) not in (-1, [-1]):
            raise FileError("it is a Softmax over another axis than the last")
        return SOFTMAX
    function = named_function(stated)
    if isinstance(function, str) and (name_of_dense := OF_DENSE.get(function.removeprefix("keras>"))):
        return name_of_dense
    return activation(function, version)


class ChainBuilder:
    """Builds a network layer by layer, from the input on.

    `masked` is the value of masked steps, as `Network` has it; `before` and `head` are the dense layers before the LSTM
    and after it; `last` is the last recurrent layer; `plain` says whether the last dense layer has no
    activation yet, so that the next layer may be one; `adds`, whether the input is added to the output.
    """

    def __init__(self, layers: ConfiguredLayers) -> None:
        self.layers = layers
        self.embedding: Array | None = None
        self.masked: float | None = None
        self.before: list[Linear] = []
        self.stack = LayerStack()
        self.last: LayerNode | None = None
        self.head: list[Linear] = []
        self.plain = self.adds = False

    @property
    def dense(self) -> list[Linear]:
        """The dense layers to which the next belongs."""
        return self.head if self.stack else self.before

    def add(self, node: LayerNode, layer: Layer) -> None:
        """Add a Keras layer, or the one in a TimeDistributed, to the network."""
        name, kind = node.name, layer.kind
        if not layer.is_keras:
            raise FileError(f"{name!r} is {with_article(kind)}, whose code is not in the file")
        if is_identity(layer):
            return
        if self.adds:
            raise FileError(f"{name!r} is {with_article(kind)}, which a network does not have after a skip connection")
        if kind == "Embedding" and not (self.stack or self.before) and self.embedding is None and self.masked is None:
            self.embedding, _ = self._dense_weights(node)
            self.masked = 0.0 if layer.flag("mask_zero") else None
        elif kind == "Masking" and not (self.stack or self.before) and self.embedding is None:
            self.masked = _config_number(layer, "mask_value")
        elif is_recurrent(layer) and not self.head:
            self._add_recurrent(node)
        elif is_reversal(layer) and self.stack and not self.head:
            self.stack.reverse_steps(name, node.masked or not self.sequences)
        elif kind in ("Dense", "TimeDistributed") and (self.stack or self.embedding is None):
            self._add_dense(node)
        elif kind in ACTIVATIONS and self.dense and self.plain:
            last = self.dense[-1]
            self.dense[-1] = Linear(last.weight, last.bias, self._activation(node))
            self.plain = False
        elif node.input.adds_input and self.stack:
            self.adds = True
        else:
            where = "after the head" if self.head else "after the LSTM" if self.stack else "before the LSTM"
            raise FileError(f"{name!r} is {with_article(kind)}, which a network does not have {where}")

    @property
    def sequences(self) -> bool:
        """Whether the output of the layers so far has every step."""
        return self.last is None or self.last.layer.returns_sequences

    def _add_recurrent(self, node: LayerNode) -> None:
        """Add a recurrent Keras layer to the network's stack."""
        stored = self.layers.lstms.get(node)
        if stored is None:
            raise FileError(f"{node.name!r} cannot be read: {self.layers.refused[node].reason}")
        if not self.sequences:
            raise FileError(f"{node.name!r} follows an LSTM that returns only its last step")
        self.stack.add(node.name, stored.lstm, masked=node.masked, reverses=True)
        self.last = node

    def _add_dense(self, node: LayerNode) -> None:
        """Add a Keras dense layer to the network, in a TimeDistributed or not."""
        if node.layer.kind != "Dense" or not node.layer.is_keras:
            raise FileError(f"{node.name!r} is a TimeDistributed {node.layer.kind}, which a network does not have")
        weight, bias = self._dense_weights(node)
        self.plain = node.layer.config.get("activation") in (None, "linear")
        self.dense.append(Linear(weight, bias, self._activation(node)))

    def _dense_weights(self, node: LayerNode) -> tuple[Array, Array | None]:
        """Return the weight and the bias of a Keras layer that is no LSTM."""
        part = self.layers.parts.get(node)
        if part is None or part.weight is None:
            raise FileError(f"the weights of {node.name!r} cannot be read")
        return part.weight(), None if part.bias is None else part.bias()

    def _activation(self, node: LayerNode) -> Activation | str | None:
        """Return the activation of a Keras layer, with its name if that is not supported."""
        try:
            return activation_of(node.layer, self.layers.version)
        except FileError as problem:
            raise FileError(f"the activation of {node.name!r} is not supported: {problem}") from None

    def network(self, reads: str | None = None) -> Network:
        """Return the network of the Keras layers added; `reads` takes the place of the file's setting."""
        if self.last is None:
            raise FileError("there is no LSTM between its input and its output")
        if (self.sequences or reads == "every") and not self.stack.forward:
            raise FileError(f"{self.last.name!r} returns its steps in reverse order (go_backwards)")
        lstm = self.stack.lstm()
        return network_around(
            lstm,
            self.embedding,
            self.before,
            self.head,
            reads=reads or ("every" if self.sequences else "last"),
            skip=self._skip_features(lstm) if self.adds else 0,
            masked=self.masked,
            masked_output=masked_output(self.last.layer, self.layers.version),
        )

    def _skip_features(self, lstm: LSTM) -> int:
        """Return the number of input features that a Keras skip connection adds: all, or one to each output."""
        features = self.before[0].weight.shape[1] if self.before else lstm.input_size
        outputs = len(self.head[-1].weight) if self.head else lstm.output_size
        if features not in (1, outputs):
            raise FileError(f"it adds {features} features to {outputs} outputs")
        return features


def _config_number(layer: Layer, name: str) -> float:
    """Return a number of a Keras layer's configuration, 0 by default; FileError if it is none."""
    value = layer.config.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileError(f"the {name} of {layer.name!r} is {clean(value)}, which is not a number")
    return float(value)
