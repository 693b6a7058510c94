"""The networks of an ONNX graph: of all its layers in a chain, or of an LSTM and layers that a caller names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatewise.errors import FileError
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.graphs import JoinedNetwork
from gatewise.interop.onnx.cells import StoredCell
from gatewise.interop.onnx.chain import Chain, ChainWalk, follow_head, refusing_by_name, require_equal_sequences
from gatewise.interop.onnx.lstm_outputs import NODE_OUTPUT
from gatewise.interop.onnx.parts import Part
from gatewise.interop.onnx.reach import Key
from gatewise.interop.onnx.scopes import OnnxNode
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.layers import LSTM


@dataclass(frozen=True)
class NamedNodes:
    """The LSTMs and the layers of an ONNX model by their names in the contents of the file."""

    graph: LstmGraph
    lstms: Mapping[str, StoredLSTM]
    names: Mapping[OnnxNode, str]  # of each LSTM, by its node or the last of its nodes
    nodes: Mapping[str, Sequence[OnnxNode]]  # of each LSTM of the operator, the lowest layer's first
    cells: Mapping[str, StoredCell]
    parts: Sequence[Part]
    walk_before: Callable[[OnnxNode], ChainWalk]  # from an LSTM's node back to the graph's input
    of_gates: Collection[Key] = ()  # of which the graph computes gates as outputs beside, in a file of gatewise's

    @cached_property
    def chain(self) -> Chain:
        """The chain that the graph is, around the only LSTM; FileError names a node that a `Network` cannot express."""
        graph, nodes, stored = self.graph, self.graph.sole or (), [*self.lstms.values()][-1]
        advice = "; its LSTM can be read alone, and with an embedding or a head next to it that is named"
        with np.errstate(all="ignore"), refusing_by_name(advice):
            ends = [name for name in graph.outputs if name not in graph.states]
            ends = ends or [name for name in graph.outputs if graph.states[name].timed != NODE_OUTPUT]
            if nodes[-1].scope.parent is not None or len(ends) != 1:
                raise FileError(f"it has {len(ends)} outputs besides final states; a network has one")
            before = self.walk_before(nodes[0])
            lstm, head, reads = follow_head(graph, nodes, stored.lstm, ends[0], before)
        require_equal_sequences(stored)
        return Chain(lstm, stored.state, nodes, ends[0], before, head, reads)

    def names_in(self, name: str) -> list[str]:
        """Return the names of the LSTMs that an LSTM of an ONNX file consists of."""
        return [name, *(self.names[node] for node in self.nodes.get(name, ()))]

    def network(self, name: str, embedding: str | None, head: str | None, reads: str | None) -> JoinedNetwork:
        """Return the network of an LSTM in an ONNX graph, an embedding and a head.

        Layers that are not connected, and nodes between them that a `Network` cannot express, are refused.
        """
        stored, nodes = self.lstms[name], self.nodes.get(name, ())
        scope = nodes[-1].scope if nodes else self.cells[name].node.scope
        lstm, before = stored.lstm, ChainWalk(scope, "before the LSTM", self.graph.sizes)
        walk, stated = before, "every"
        with refusing_by_name():
            require_equal_sequences(stored)
            if embedding is not None:
                before = self._walk_to_embedding(name, embedding)
            if head is not None:
                lstm, walk, stated = self._walk_from_head(name, head)
        used = {layer.matrix.name for layer in walk.layers} | {part for part in (embedding, head) if part is not None}
        network = Chain(lstm, stored.state, nodes, "", before, walk, stated).network(reads)
        return JoinedNetwork(network, frozenset(used), stated)

    def _walk_to_embedding(self, name: str, embedding: str) -> ChainWalk:
        """Return the walk from an LSTM of an ONNX graph back to its embedding of that name."""
        if name in self.cells:
            raise FileError(f"{name!r} is a cell of standard operators, before which no embedding is looked for")
        walk = self.walk_before(self.nodes[name][0])
        if walk.embedding is None or walk.embedding.name != embedding:
            raise FileError(f"{name!r} does not read {embedding!r} as its embedding")
        return walk

    def _walk_from_head(self, name: str, head: str) -> tuple[LSTM, ChainWalk, str]:
        """Return the walk from a head of that name back to an LSTM of an ONNX graph, and the steps that it reads."""
        refusals: list[FileError] = []
        lstm = self.lstms[name].lstm
        for part in self.parts:
            if part.layer.name != head or part.layer.kind == "embedding":
                continue
            try:
                with refusing_by_name():
                    if name not in self.cells:
                        return follow_head(self.graph, self.nodes[name], lstm, part.output)
                    cell = self.cells[name]
                    walk = ChainWalk(cell.node.scope, "after the LSTM", self.graph.sizes)
                    walk.follow(part.output, cell.outputs)
                    return lstm, walk, "every"
            except FileError as problem:
                refusals.append(problem)
        raise refusals[0] if refusals else FileError(f"{head!r} is no linear layer")
