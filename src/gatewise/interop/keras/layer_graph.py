"""The graph of a Keras model's layers, those of models within models included, with the masks that arrive at them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from gatewise.errors import FileError
from gatewise.interop.contents import Refused, StoredLayer, StoredLSTM
from gatewise.interop.graphs import Edge
from gatewise.interop.keras.config import Layer, Version, clean
from gatewise.interop.keras.files import KerasTensor, entries_of
from gatewise.interop.keras.layer_calls import KerasCall, calls, comparisons, layers_in, mask_of, outputs_in
from gatewise.showing import with_article

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
class LayerEdge(Edge["LayerNode | None"]):
    """The input of a layer: `source` is the last layer before it that changes its numbers.

    There is none for the input of the whole model, and where the problem says why it is not one layer's output.
    """

    source: LayerNode | None = None
    last: LayerNode | None = None  # the layer before it, be it one that changes nothing or reverses the steps
    nodes: frozenset[LayerNode] = frozenset()  # all whose outputs are in it, as a state or a mask too
    made_mask: Hashable = None  # the mask that the last layer before it that makes one computes
    adds_input: bool = False  # whether the input of the whole model is added to it
    problem: str = ""  # why a chain of layers does not go through it

    @property
    def is_input(self) -> bool:
        """Whether it is the input of the whole model."""
        return self.source is None and not (self.problem or self.reversed)

    def broken(self, problem: str) -> LayerEdge:
        """Return the edge as the output of no layer that is known."""
        return replace(self, source=None, last=None, reversed=False, adds_input=False, problem=self.problem or problem)


@dataclass(frozen=True, eq=False)
class LayerNode:
    """A layer of a model, in the graph of all its layers."""

    name: str  # after those of the models around it
    outer: Layer  # as its model has it: a TimeDistributed, or the layer itself
    input: LayerEdge
    distributed: bool = False  # whether it runs separately for each outer step of its input (TimeDistributed)
    has_more_inputs: bool = False  # an initial state, or the outputs of several layers

    @property
    def layer(self) -> Layer:
        """The layer, without a TimeDistributed around it."""
        return without_wrapper(self.outer)

    @property
    def masked(self) -> bool:
        """Whether a mask arrives at it."""
        return self.input.mask is not None


@dataclass(frozen=True, eq=False)
class ConfiguredLayers:
    """What is read of the layers of a configuration: LSTMs by node, other layers, refusals, and each layer's arrays.

    `output` is the output of the model, `version` that of Keras.
    """

    root: Layer
    version: Version
    nodes: Sequence[LayerNode]
    output: LayerEdge
    lstms: Mapping[LayerNode, StoredLSTM]
    parts: Mapping[LayerNode, StoredLayer]
    refused: Mapping[LayerNode, Refused]
    bound: Mapping[Layer, Sequence[KerasTensor]]
    foreign: Mapping[str, Sequence[str]]

    def entries_of(self, node: LayerNode) -> tuple[str, ...]:
        """Return the names of the arrays of a layer and of the layers in it."""
        return entries_of(tensor for leaf in node.layer.leaves() for tensor in self.bound.get(leaf, ()))


def is_recurrent(layer: Layer) -> bool:
    """Say whether a Keras layer is recurrent, even if it cannot be read."""
    kind = layer.kind
    return kind in ("Bidirectional", "LSTMCell", "RNN") or kind in RECURRENT or "LSTM" in kind


def is_reversal(layer: Layer) -> bool:
    """Say whether a layer reverses the steps of its input, and does nothing more."""
    return layer.is_keras and layer.kind == "Flip" and layer.config.get("axis") in (1, [1], -2)


def is_identity(layer: Layer) -> bool:
    """Say whether a Keras layer leaves its input as it is when a model is run, and lets masks through."""
    layer = without_wrapper(layer)
    linear = layer.kind == "Activation" and layer.config.get("activation") == "linear"
    return layer.is_keras and (layer.kind in IDENTITIES or linear)


def without_wrapper(layer: Layer) -> Layer:
    """Return the layer in a Keras TimeDistributed; any other layer is itself."""
    return layer.children[0][1] if layer.kind == "TimeDistributed" and layer.is_keras and layer.children else layer


def label(layer: Layer) -> str:
    """Return the name of a Keras layer with its class, for a sentence."""
    return f"{layer.name!r} ({with_article(layer.kind)})"


def graph_of(root: Layer) -> tuple[list[LayerNode], LayerEdge]:
    """Return the layers of a Keras model, and its output; each comes after those that it reads, unless in a circle."""
    nodes: list[LayerNode] = []
    return nodes, _add_layers(nodes, root, "", False, LayerEdge())


def _add_layers(nodes: list[LayerNode], model: Layer, prefix: str, distributed: bool, entry: LayerEdge) -> LayerEdge:
    """Add the layers of a Keras model whose input is the edge `entry`, and return the edge that leaves it."""
    if not model.is_keras:
        entry = entry.broken(f"{model.name!r} is a model of a custom class, whose code is not in the file")
    edge = entry
    leaving: dict[str, LayerEdge] = {}
    wiring = _Wiring(model, entry) if model.kind == "Functional" else None
    for layer in wiring.calls if wiring else [child for _, child in model.children]:
        name = f"{prefix}/{layer.name}" if prefix else layer.name
        uses = wiring.calls[layer] if wiring else []
        arriving = edge = wiring.arriving_edge(layer, leaving) if wiring else edge
        inner = without_wrapper(layer)
        if layer.holds_layers:
            edge = _add_layers(nodes, layer, name, distributed, edge)
        elif inner.holds_layers:
            problem = f"{name!r} is a TimeDistributed {inner.kind}, which a network does not have"
            edge = _add_layers(nodes, inner, name, True, replace(edge.broken(problem), mask=None))
            edge = replace(edge.broken(problem), mask=arriving.mask)
        else:
            more = any(len(call.sources) > 1 or call.arguments.get("initial_state") is not None for call in uses)
            node = LayerNode(name, layer, edge, distributed or inner is not layer, more)
            nodes.append(node)
            edge = _edge_after(node, uses, model)
        if len(uses) > 1 or not model.is_keras:  # calls differ, or other code is unknown
            edge = edge.broken(entry.problem or arriving.problem)
        leaving[layer.name] = edge
    return wiring.leaving_edge(leaving, edge) if wiring else edge


class _Wiring:
    """The connections of the layers of a functional model, whose input is the edge `entry`.

    `calls` has each layer after those that it reads, if none of them reads itself.
    """

    def __init__(self, model: Layer, entry: LayerEdge) -> None:
        self.model, self.entry = model, entry
        children = [child for _, child in model.children]
        self.calls: dict[Layer, list[KerasCall]] = {child: [] for child in children}
        self.unstated: dict[Layer, str] = {}
        for child in children:
            try:
                self.calls[child] = calls(child)
            except FileError as problem:
                self.unstated[child] = str(problem)
        self.calls = _after_their_sources(self.calls)
        self.models = {child.name for child in children if child.holds_layers}
        self.starts, self.ends = (outputs_in(model.config.get(key)) for key in ("input_layers", "output_layers"))
        self.comparisons: Mapping[str, Hashable] = comparisons(self.calls)

    def arriving_edge(self, layer: Layer, leaving: Mapping[str, LayerEdge]) -> LayerEdge:
        """Return the edge that enters a Keras layer, by the edges that leave the layers before it."""
        uses = self.calls[layer]
        if not uses:
            if [name for name, _ in self.starts] == [layer.name]:
                return self.entry
            stray = f"{label(layer)} reads no other layer, and is not the input of the model"
            return self.entry.broken(self.unstated.get(layer, stray))
        masks = {mask for call in uses for mask in self._call_masks(layer, call, leaving)}
        mask = None if not masks else masks.pop() if len(masks) == 1 else (id(layer), "several")
        edge = self._data_edge(layer, uses, leaving)
        problem = edge.problem
        if not problem and mask != edge.made_mask and uses[0].arguments.get("mask") is not None:
            problem = f"{label(layer)} is given an explicit mask"
        return replace(
            edge,
            mask=mask,
            nodes=_nodes_of(frozenset[str]().union(*(call.read for call in uses)), leaving),
            problem=problem,
        )

    def _data_edge(self, layer: Layer, uses: Sequence[KerasCall], leaving: Mapping[str, LayerEdge]) -> LayerEdge:
        """Return the edge of the one output that a Keras layer reads, with the problem if it is given more."""
        (call, *more) = uses
        edges = [leaving[name] for name in call.sources if name in leaving]
        others = [edge for edge in edges if not edge.is_input]
        extra = [
            name for name, value in call.arguments.items() if value is not None and name not in ("mask", "training")
        ]
        if more:
            problem = f"is used {len(uses)} times"
        elif extra:
            problem = f"is also given {clean(extra[0])!r}"
        elif layer.is_keras and layer.kind == "Add" and (len(call.sources), len(edges), len(others)) == (2, 2, 1):
            return replace(others[0], adds_input=True)
        elif len(call.sources) != 1:
            problem = f"has {len(call.sources)} inputs; a network has no branches"
        elif not edges:
            problem = f"reads {call.sources[0]!r}, which does not come before it"
        elif call.outputs[0] != 0:
            problem = f"reads another output of {call.sources[0]!r} than the first"
        else:
            return edges[0]
        problem = f"{label(layer)} {problem}"
        if edges and not more and call.outputs[0] == 0 and (len(call.sources) == 1 or is_recurrent(layer)):
            return replace(leaving.get(call.sources[0], LayerEdge()), problem=problem)
        return LayerEdge().broken(problem)

    def _call_masks(self, layer: Layer, call: KerasCall, leaving: Mapping[str, LayerEdge]) -> set[Hashable]:
        """Return the masks of a Keras layer's call: the one given by name, or those of its inputs.

        Keras 3 states each mask, but not those that enter or leave an inner model.
        """
        argument = call.arguments.get("mask")
        if argument is not None:
            names = layers_in(argument)
            mask = self.comparisons.get(names[0], names[0]) if len(names) == 1 else (id(layer), "stated")
            return {(id(self.model), mask)}
        entered = self.entry.mask is not None
        carrying = {name for name in call.sources if entered or not call.masks_stated or name in self.models}
        return {leaving[name].mask for name in carrying if name in leaving} - {None}

    def leaving_edge(self, leaving: Mapping[str, LayerEdge], last: LayerEdge) -> LayerEdge:
        """Return the edge that leaves a Keras model: its one output, or of several the mask alone."""
        starts, ends = ({name for name, _ in outputs} for outputs in (self.starts, self.ends))
        edge, problem = leaving.get(self.ends[0][0] if len(ends) == 1 else ""), ""
        if len(leaving) != len(self.calls):
            problem = "two of its layers have the same name"
        elif len(starts) != 1 or len(ends) != 1:
            problem = f"it has {len(starts)} inputs and {len(ends)} outputs; a network has one of each"
        elif edge is None:
            problem = f"its layers do not connect an input with {self.ends[0][0]!r}"
        elif self.ends[0][1] != 0:
            problem = f"its output is another one of {self.ends[0][0]!r} than the first"
        if edge is None or self.ends[0][1] != 0:
            return replace(last.broken(problem), nodes=_nodes_of(ends, leaving) if ends else last.nodes)
        source = edge.source if len(self.ends) == 1 else None  # a layer after it takes several
        return replace(edge, source=source, problem=problem or edge.problem)


def _read_by(uses: Iterable[KerasCall]) -> frozenset[str]:
    """Return the names of the layers whose outputs the calls of a Keras layer read."""
    return frozenset[str]().union(*(call.read for call in uses))


def _nodes_of(names: Iterable[str], leaving: Mapping[str, LayerEdge]) -> frozenset[LayerNode]:
    """Return the Keras layers whose outputs are on the edges that leave layers of these names."""
    return frozenset[LayerNode]().union(*(leaving[name].nodes for name in names if name in leaving))


def _after_their_sources(calls_of: dict[Layer, list[KerasCall]]) -> dict[Layer, list[KerasCall]]:
    """Return the layers of a functional Keras model, each after those that it reads: as listed, if they are so."""
    layers = {layer.name: layer for layer in calls_of}
    places = {name: place for place, name in enumerate(layers)}
    reads = {layer.name: _read_by(uses) & layers.keys() for layer, uses in calls_of.items()}
    if len(layers) == len(calls_of) and any(places[read] >= places[name] for name in reads for read in reads[name]):
        with suppress(CycleError):
            return {layers[name]: calls_of[layers[name]] for name in TopologicalSorter(reads).static_order()}
    return calls_of


def _edge_after(node: LayerNode, uses: Sequence[KerasCall], model: Layer) -> LayerEdge:
    """Return the edge that leaves a Keras layer that holds no others."""
    layer, edge = node.outer, replace(node.input, last=node, nodes=frozenset((node,)))
    mask, made = edge.mask, edge.made_mask
    if is_recurrent(layer):
        mask = mask if layer.returns_sequences else None
    elif is_identity(layer):
        return edge
    elif is_reversal(layer):
        return replace(edge, reversed=not edge.reversed)
    elif layer.kind == "Masking" or (layer.kind == "Embedding" and layer.flag("mask_zero")):
        sources = uses[0].sources if len(uses) == 1 else ()
        mask = made = (id(model), mask_of(layer, sources) or id(layer))
    return LayerEdge(node, mask=mask, last=node, nodes=edge.nodes, made_mask=made)
