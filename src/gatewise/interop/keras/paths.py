"""What lies on the way to the LSTMs of a Keras model, and from them, through models within models."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import NamedTuple

from gatewise.errors import FileError
from gatewise.interop.keras.chain import ACTIVATIONS, MASK_MAKERS
from gatewise.interop.keras.config import Layer
from gatewise.interop.keras.layer_calls import calls, outputs_in, tensors
from gatewise.interop.keras.layer_graph import LayerNode, is_identity, is_recurrent, is_reversal

FIRST = {"Embedding", "Masking"}  # layers that a network has before all others, if at all
Names = frozenset[str]
NONE: Names = frozenset()


class Position(NamedTuple):
    """Which LSTMs read a layer, directly or not, and which it reads, as bits; the kinds of the layers that it reads."""

    readers: int
    sources: int
    kinds_before: Names

    @property
    def words(self) -> tuple[str, str]:
        """Where that is, and what a layer changes there."""
        if self.readers and self.sources:
            return "between LSTMs", "it changes what the second reads"
        if self.readers:
            return "before an LSTM", "it changes what the LSTM reads"
        return "after an LSTM", "it changes what follows from the LSTM's output"


def positions(root: Layer, lstms: Collection[str]) -> dict[str, Position]:
    """Return the position of each layer of a Keras model with respect to its LSTMs, by names.

    The bits are numbered as `lstms`.
    """
    reads = dict(_layer_reads(root, "", NONE))
    bits = {name: 1 << number for number, name in enumerate(lstms)}
    above, below, kinds = dict.fromkeys(reads, 0), dict.fromkeys(reads, 0), dict.fromkeys(reads, NONE)
    for name, (_, sources) in reads.items():  # each comes after what it reads
        for source in sources:
            below[name] |= below[source] | bits.get(source, 0)
            kinds[name] |= kinds[source] | {reads[source][0].kind} & {*FIRST, "Dense"}
    for name, (_, sources) in reversed(reads.items()):
        for source in sources:
            above[source] |= above[name] | bits.get(name, 0)
    return {name: Position(above[name], below[name], kinds[name]) for name in reads}


def _layer_reads(model: Layer, prefix: str, entering: Names) -> Generator[tuple[str, tuple[Layer, Names]], None, Names]:
    """Yield each layer in a Keras model by its name, with the layers that it reads; return those that leave the model.

    `entering` are the layers whose outputs the model reads.
    """
    leaving: dict[str, Names] = {}
    previous, is_graph = entering, model.kind == "Functional"
    for _, child in model.children:
        name = f"{prefix}/{child.name}" if prefix else child.name
        sources = previous
        if is_graph and child.kind != "InputLayer":
            sources = NONE.union(*(leaving.get(source, NONE) for source in _sources(child)))
        elif is_graph:
            sources = entering
        layer = child.children[0][1] if child.kind == "TimeDistributed" and child.children else child
        if layer.holds_layers:
            previous = yield from _layer_reads(layer, name, sources)
        else:
            yield name, (layer, sources)
            previous = frozenset((name,))
        leaving[child.name] = previous
    ends = outputs_in(model.config.get("output_layers")) if is_graph else []
    return NONE.union(*(leaving.get(end, NONE) for end, _ in ends)) if ends else previous


def _sources(layer: Layer) -> set[str]:
    """Return the layers of a functional Keras model whose outputs a layer takes, also as a state or a mask."""
    sources: set[str] = set()
    try:
        for call in calls(layer):
            sources |= {*call.sources, *(name for value in call.arguments.values() for name in tensors(value))}
    except FileError:
        pass
    return sources


def has_place(node: LayerNode, position: Position, adding: Collection[str]) -> bool:
    """Return whether a `Network` may have a Keras layer on the way of an LSTM where it is.

    `adding` are the names of the layers that make a skip connection.
    """
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
    return node.name in adding
