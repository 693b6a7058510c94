"""An ONNX graph as a `Network`, where its operators are an embedding or dense layers, an LSTM and a head in a chain.

Operators are followed from the graph's output back to its input; identities are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import CapacityError, FileError, GatewiseError, shown
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.conventions import first_sequence
from gatewise.interop.graphs import BATCH_FIRST, TIME_FIRST, exchange_time_and_batch
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import is_exchange, is_identity
from gatewise.interop.onnx.parts import ACTIVATIONS, Matrix, matrix_of, read_tensor, softmax_axis
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.interop.stacks import network_around
from gatewise.network import Linear, Network
from gatewise.showing import with_article


def network(graph: LstmGraph, nodes: Sequence[OnnxNode], description: StoredLSTM) -> Network:
    """Return the network that an ONNX graph computes, given the nodes of its only LSTM, the lowest layer's first.

    A node that a `Network` cannot express is refused by name.
    """
    try:
        return _network_of_chain(graph, nodes, description)
    except CapacityError:
        raise
    except (NotConstant, GatewiseError) as problem:
        reason = str(problem)
    except IndexError:
        reason = "one of its nodes lacks an input"
    raise FileError(f"{reason}; its layers can be named instead, as embedding and head")


def _network_of_chain(graph: LstmGraph, nodes: Sequence[OnnxNode], description: StoredLSTM) -> Network:
    """Return an LSTM with the layers before and after it in an ONNX graph, followed back from the graph's output."""
    lstm, top, bottom = description.lstm, nodes[-1], nodes[0]
    states = {name for node in nodes for name in node.outputs[1:3]}
    ends = [name for name in graph.outputs if not _is_final_state(top.scope, name, states)]
    if top.scope.parent is not None or len(ends) != 1:
        raise FileError(f"it has {len(ends)} outputs besides final states; a network has one")
    head = _ChainWalk(top.scope, "after the LSTM", lstm.dtype)
    results = {name: output for name, output in graph.results[top].items() if output.merge == lstm.merge[-1]}
    y = results[head.follow(ends[0], results)]
    reads = "every"
    if head.last_step_of is not None:
        batch_first = (y.layout == BATCH_FIRST) != (head.layout == BATCH_FIRST)
        if head.last_step_of != (1 if batch_first else 0) or lstm.directions != ("forward",):
            raise FileError("its head reads one step that is not the final one of the LSTM")
        if any(node.input("sequence_lens") for node in nodes):
            raise FileError("its head reads the last step, which of a sequence that has ended before holds zeros")
        reads = "last"
    before = _ChainWalk(top.scope, "before the LSTM", lstm.dtype)
    before.follow(bottom.input("X"), bottom.scope.inputs - bottom.scope.tensors.keys(), embedding=True)
    initial = None
    if description.state is not None:
        if {len(state.h) for row in description.state for state in row} != {1}:
            raise FileError("it starts from states that differ from sequence to sequence")
        initial = first_sequence(description.state)
    if before.layers and before.embedding is not None:
        raise FileError("it has a linear layer between its embedding and its LSTM")
    return network_around(lstm, before.embedding, before.layers, head.layers, reads=reads, initial=initial)


def _is_final_state(scope: OnnxScope, name: str, states: Collection[str]) -> bool:
    """Say whether an ONNX output consists of an LSTM's final states alone, concatenated or with moved axes."""
    if name in states:
        return True
    for node, _ in scope.upstream(name):
        if node.operator == "Concat":
            return all(state in states for state in node.inputs[:DEEPEST])
        if node.operator not in ("Identity", "Cast", "Squeeze", "Unsqueeze", "Transpose"):
            return False
        if node.inputs[0] in states:
            return True
    return False


class _ChainWalk:
    """Goes from a name of a graph back to others, through linear layers and what changes no number.

    `layout` is `BATCH_FIRST` where time and batch were exchanged an odd number of times; `last_step_of` is the axis of
    which the last position is taken alone; `embedding` is the table at its beginning.
    """

    def __init__(self, scope: OnnxScope, where: str, dtype: npt.DTypeLike) -> None:
        self.scope, self.where, self.dtype = scope, where, np.dtype(dtype)
        self.layers = list[Linear]()
        self.layout = TIME_FIRST
        self.last_step_of: int | None = None
        self.embedding: Array | None = None
        self._activation: str | None = None
        self._bias: Array | None = None

    def follow(self, name: str, ends: Collection[str], *, embedding: bool = False) -> str:
        """Follow an ONNX graph back from a name to one of the ends, and return that; `embedding` allows one there."""
        for _ in range(DEEPEST):
            if name in ends and self._bias is None and self._activation is None:
                return name
            source = self.scope.source(name)
            if source is None or source.node.scope is not self.scope or source.position != 0:
                raise FileError(f"{shown(name)!r} is not what a chain from its input to its output has")
            read = self._take_node(source.node, embedding) if source.node.is_standard else None
            if read is None:
                kind = with_article(shown(source.node.operator))
                raise FileError(f"{source.node.label!r} is {kind}, which a network does not have {self.where}")
            name = read
        raise FileError(f"it has more than {DEEPEST} operators {self.where}")

    def _take_node(self, node: OnnxNode, embedding: bool) -> str | None:
        """Add an ONNX node to the chain, and return the name that it reads; None if a network has no such node."""
        inputs, attributes = node.inputs, node.attributes
        nothing_pending = self._activation is None and self._bias is None
        if self.embedding is not None:  # of the tokens
            passes_tokens = node.operator in ("Identity", "Cast") or attributes.get("perm", "ints") == [1, 0]
            return inputs[0] if passes_tokens else None
        if is_exchange(node):
            self.layout = exchange_time_and_batch(self.layout)
            return inputs[0]
        if is_identity(node):
            return inputs[0]
        if node.operator in ACTIVATIONS and nothing_pending and len(inputs) == 1 and self._is_over_last_axis(node):
            self._activation = ACTIVATIONS[node.operator]
            return inputs[0]
        if node.operator == "Add" and self._bias is None and len(inputs) == 2:
            return self._take_bias(node)
        if node.operator == "Gather" and nothing_pending and not embedding and self.last_step_of is None:
            position = node.scope.value(inputs[1])
            if position.size != 1 or position.reshape(-1)[0] != -1:
                return None
            self.last_step_of = attributes.get("axis", "i", 0)
            return inputs[0]
        table = node.operator == "Gather" and nothing_pending and embedding
        product = (node.operator == "MatMul" and len(inputs) == 2) or (node.operator == "Gemm" and self._bias is None)
        matrix = matrix_of(node) if table or product else None
        if matrix is None or (matrix.bias and not matrix.has_bias(matrix.bias)):
            return None
        if table:
            self.embedding = matrix.read()
            return inputs[1]
        self._add_linear(matrix)
        return inputs[0]

    def _take_bias(self, node: OnnxNode) -> str | None:
        """Keep the bias that an ONNX Add adds to a product, and return the product's name."""
        for bias, product in (node.inputs, node.inputs[::-1]):
            source = self.scope.source(product)
            if source is not None and source.node.operator == "MatMul" and len(source.node.inputs) == 2:
                matrix = matrix_of(source.node)
                if matrix is not None and matrix.has_bias(bias):
                    self._bias = read_tensor(self.scope, bias)
                    return product
        return None

    def _add_linear(self, matrix: Matrix) -> None:
        """Put the linear layer of an ONNX matrix, with the bias and activation after it, before the others."""
        bias = read_tensor(self.scope, matrix.bias) if matrix.bias else self._bias
        cast = None if bias is None else bias.reshape(-1).astype(self.dtype)
        self.layers.insert(0, Linear(matrix.read().astype(self.dtype), cast, self._activation))
        self._activation = self._bias = None

    def _is_over_last_axis(self, node: OnnxNode) -> bool:
        last = (-1, 2) if self.last_step_of is None else (-1, 1)
        return node.operator != "Softmax" or softmax_axis(node) in last
