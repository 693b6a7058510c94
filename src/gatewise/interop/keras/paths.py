"""What lies on the way to the LSTMs of a Keras model, and from them, through models within models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from gatewise.interop.keras.chain import ACTIVATIONS, MASK_MAKERS
from gatewise.interop.keras.layer_graph import LayerNode, is_identity, is_recurrent, is_reversal

FIRST = {"Embedding", "Masking"}  # layers that a network has before all others, if at all
NONE = frozenset[str]()


class Position(NamedTuple):
    """Which LSTMs read a layer, directly or not, and which it reads, as bits; the kinds of the layers that it reads."""

    readers: int
    sources: int
    kinds_before: frozenset[str]

    @property
    def words(self) -> tuple[str, str]:
        """Where that is, and what a layer changes there."""
        if self.readers and self.sources:
            return "between LSTMs", "it changes what the second reads"
        if self.readers:
            return "before an LSTM", "it changes what the LSTM reads"
        return "after an LSTM", "it changes what follows from the LSTM's output"


def positions(nodes: Sequence[LayerNode], lstms: Collection[LayerNode]) -> dict[LayerNode, Position]:
    """Return the position of each layer of a Keras model with respect to its LSTMs.

    The bits are numbered as `lstms`.
    """
    bits = {node: 1 << number for number, node in enumerate(lstms)}
    above, below, kinds = dict.fromkeys(nodes, 0), dict.fromkeys(nodes, 0), dict.fromkeys(nodes, NONE)
    for node in nodes:  # each comes after what it reads
        for source in node.input.nodes:
            below[node] |= below[source] | bits.get(source, 0)
            kinds[node] |= kinds[source] | {source.layer.kind} & {*FIRST, "Dense"}
    for node in reversed(nodes):
        for source in node.input.nodes:
            above[source] |= above[node] | bits.get(node, 0)
    return {node: Position(above[node], below[node], kinds[node]) for node in nodes}


def has_place(node: LayerNode, position: Position) -> bool:
    """Return whether a `Network` may have a Keras layer on the way of an LSTM where it is."""
    layer, source = node.layer, node.input.source
    between = bool(position.readers and position.sources)
    if not layer.is_keras:
        return False
    if is_identity(layer) or layer.kind in MASK_MAKERS:
        return True
    if is_reversal(layer):
        return source is not None and is_recurrent(source.layer)
    if layer.kind in ACTIVATIONS:
        return source is not None and source.layer.kind == "Dense" and not between
    if layer.kind in FIRST:
        return not position.sources and not position.kinds_before
    if layer.kind == "Dense":
        return not between and not (position.readers and position.kinds_before & FIRST)
    return node.input.adds_input and not position.readers
