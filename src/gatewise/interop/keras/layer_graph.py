"""The graph of a Keras model's layers, those of models within models included, with the masks that arrive at them.

Layers that do not change their input when a model is run are dropped from the edges, which also keep whether the steps
are reversed.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from gatewise.errors import FileError
from gatewise.interop.graphs import Edge
from gatewise.interop.keras.config import Layer
from gatewise.interop.keras.layer_calls import KerasCall, calls, comparisons, mask_of, outputs_in, tensors

IDENTITIES = {  # layers that do not change their input when a model is run, and let masks through
    *("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
}

RECURRENT = {
    "GRU": "it is a GRU",
    "CuDNNGRU": "it is a GRU",
    "GRUCell": "it is a GRU's cell",
    "SimpleRNN": "it is a simple recurrent layer without gates",
    "SimpleRNNCell": "it is a cell without gates",
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), "it is a convolutional LSTM"),
}


@dataclass(frozen=True, eq=False)
class LayerNode:
    """A layer of a model, in the graph of all its layers."""

    name: str  # after those of the models around it
    layer: Layer
    input: LayerEdge  # its source is None for the input of the whole model, and where that is not one layer's output
    distributed: bool = False  # whether it runs separately for each outer step of its input (TimeDistributed)
    has_more_inputs: bool = False  # an initial state, or the outputs of several layers

    @property
    def masked(self) -> bool:
        """Whether a mask arrives at it."""
        return self.input.mask is not None


LayerEdge = Edge[LayerNode | None]
OUTSIDE: LayerEdge = Edge(None)  # the input of the whole model, without a mask


def is_recurrent(layer: Layer) -> bool:
    """Say whether a Keras layer is recurrent, even if it cannot be read."""
    kind = layer.kind
    return kind in ("Bidirectional", "LSTMCell", "RNN") or kind in RECURRENT or "LSTM" in kind


def is_reversal(layer: Layer) -> bool:
    """Say whether a layer reverses the steps of its input, and does nothing more."""
    return layer.is_keras and layer.kind == "Flip" and layer.config.get("axis") in (1, [1], -2)


def is_identity(layer: Layer) -> bool:
    """Say whether a Keras layer leaves its input as it is when a model is run, and lets masks through."""
    if layer.kind == "TimeDistributed" and layer.is_keras and layer.children:
        layer = layer.children[0][1]
    linear = layer.kind == "Activation" and layer.config.get("activation") == "linear"
    return layer.is_keras and (layer.kind in IDENTITIES or linear)


def layer_nodes(
    model: Layer, prefix: str = "", distributed: bool = False, entry: LayerEdge = OUTSIDE
) -> Generator[LayerNode, None, LayerEdge]:
    """Yield the layers of a Keras model whose input is the edge `entry`, and return the edge that leaves it."""
    leaving: dict[str, LayerEdge] = {}  # of each layer; all that a layer takes comes before it
    wiring = _Wiring(model, entry) if model.kind == "Functional" else None
    edge = entry = entry if model.is_keras else Edge(None, mask=entry.mask)
    for _, layer in model.children:
        name = f"{prefix}/{layer.name}" if prefix else layer.name
        uses = _stated_calls(layer) if wiring else []
        has_more_inputs = any(len(call.sources) > 1 or call.arguments.get("initial_state") is not None for call in uses)
        if wiring:
            edge = wiring.arriving_edge(layer, uses, leaving)
        node = LayerNode(name, layer, edge, distributed, has_more_inputs)
        if layer.holds_layers:
            edge = yield from layer_nodes(layer, name, distributed, edge)
        elif layer.kind == "TimeDistributed" and layer.children:
            inner = layer.children[0][1]
            if inner.holds_layers:
                yield from layer_nodes(inner, name, True)
                edge = Edge(None, mask=edge.mask)
            else:
                node = LayerNode(name, inner, edge, True, has_more_inputs)
                yield node
                edge = edge if is_identity(layer) else Edge(node, mask=edge.mask)
        else:
            yield node
            edge = _edge_after(node, uses, model)
        if len(uses) > 1 or not model.is_keras:  # calls differ, or other code is unknown
            edge = Edge(None, mask=edge.mask)
        leaving[layer.name] = edge
    return wiring.leaving_edge(leaving, edge) if wiring else edge


class _Wiring:
    """The connections of the layers of a functional model, whose input is the edge `entry`."""

    def __init__(self, model: Layer, entry: LayerEdge) -> None:
        children = [child for _, child in model.children]
        self.model, self.entry = model, entry
        self.models = {child.name for child in children if child.holds_layers}
        self.one_input = len(outputs_in(model.config.get("input_layers"))) == 1
        try:
            self.comparisons: Mapping[str, Hashable] = comparisons(children)
        except FileError:
            self.comparisons = {}

    def arriving_edge(self, layer: Layer, uses: Sequence[KerasCall], leaving: Mapping[str, LayerEdge]) -> LayerEdge:
        """Return the edge that enters a Keras layer, by the edges that leave the layers before it."""
        if not uses:
            return self.entry if self.one_input and layer.kind == "InputLayer" else Edge(None, mask=self.entry.mask)
        masks = {mask for call in uses for mask in self._call_masks(layer, call, leaving)}
        mask = None if not masks else masks.pop() if len(masks) == 1 else (id(layer), "several")
        (call, *more) = uses
        alone = not more and call.sources and call.outputs[0] == 0 and (len(call.sources) == 1 or is_recurrent(layer))
        return replace(leaving.get(call.sources[0], OUTSIDE) if alone else OUTSIDE, mask=mask)

    def _call_masks(self, layer: Layer, call: KerasCall, leaving: Mapping[str, LayerEdge]) -> set[Hashable]:
        """Return the masks of a Keras layer's call: the one given by name, or those of its inputs.

        Keras 3 states each mask, but not those that enter or leave an inner model.
        """
        argument = call.arguments.get("mask")
        if argument is not None:
            try:
                names = tensors(argument) or [name for name, _ in outputs_in(argument)]
            except FileError:
                names = []
            mask = self.comparisons.get(names[0], names[0]) if len(names) == 1 else (id(layer), "stated")
            return {(id(self.model), mask)}
        entered = self.entry.mask is not None
        carrying = {name for name in call.sources if entered or not call.masks_stated or name in self.models}
        return {leaving[name].mask for name in carrying if name in leaving} - {None}

    def leaving_edge(self, leaving: Mapping[str, LayerEdge], last: LayerEdge) -> LayerEdge:
        """Return the edge that leaves a Keras model: its one output, or of several the mask alone."""
        ends = outputs_in(self.model.config.get("output_layers"))
        if len(ends) == 1 and ends[0][0] in leaving:
            name, output = ends[0]
            return leaving[name] if output == 0 else Edge(None, mask=leaving[name].mask)
        return Edge(None, mask=last.mask)


def _stated_calls(layer: Layer) -> list[KerasCall]:
    """Return the calls of a Keras layer; none where the file does not state them."""
    try:
        return calls(layer)
    except FileError:
        return []


def _edge_after(node: LayerNode, uses: Sequence[KerasCall], model: Layer) -> LayerEdge:
    """Return the edge that leaves a Keras layer that holds no others."""
    layer, edge = node.layer, node.input
    if is_recurrent(layer):
        return Edge(node, mask=edge.mask if layer.returns_sequences else None)
    if is_identity(layer):
        return edge
    if is_reversal(layer):
        return replace(edge, reversed=not edge.reversed)
    if layer.kind == "Masking" or (layer.kind == "Embedding" and layer.flag("mask_zero")):
        sources = uses[0].sources if len(uses) == 1 else ()
        return Edge(node, mask=(id(model), mask_of(layer, sources) or id(layer)))
    return Edge(node, mask=edge.mask)
