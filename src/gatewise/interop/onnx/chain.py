"""An ONNX graph as a `Network`, where its operators are an embedding or dense layers, an LSTM and a head in a chain.

Operators are followed from the graph's output back to its input; identities are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import CapacityError, FileError, GatewiseError, shown
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.conventions import first_sequence, has_one_state
from gatewise.interop.graphs import BATCH_FIRST, TIME_FIRST, exchange_time_and_batch
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import match_name, output_of
from gatewise.interop.onnx.edges import equal_source, is_exchange, is_identity
from gatewise.interop.onnx.lstm_outputs import MOST, UNMERGED, positions_taken, stated_axes
from gatewise.interop.onnx.nonlinearities import (
    FUSED_BIAS,
    MICROSOFT,
    fused_activation,
    nonlinearity_at,
    unchanged_tokens,
)
from gatewise.interop.onnx.parts import Matrix, matrix_of, read_tensor, softmax_axis
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope, OnnxValue
from gatewise.interop.onnx.sizes import Sizes
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import SOFTMAX, Branch, Linear, Network, Scaling
from gatewise.showing import with_article


class Chain(NamedTuple):
    """An LSTM of an ONNX graph with the layers that were followed before and after it; no number of them is read."""

    lstm: LSTM
    state: States | None
    nodes: Sequence[OnnxNode]  # the LSTM's, the lowest layer's first
    end: str  # the name to which they lead
    before: ChainWalk
    head: ChainWalk
    reads: str

    def network(self, reads: str | None = None) -> Network:
        """Return the network of these layers; `reads` may be other than the graph's."""
        before, dtype = self.before, self.lstm.dtype
        walks = [walk for walk in (before, *before.beside) if walk.layers or walk.features]
        return Network(
            self.lstm,
            embedding=None if before.embedding is None else before.embedding.read().astype(dtype),
            inputs=before.scaling,
            branches=[
                Branch(walk.features or range(walk.layers[0].matrix.shape[1]), walk.linears(dtype)) for walk in walks
            ],
            head=self.head.linears(dtype),
            skip=self.head.skip,
            outputs=self.head.scaling,
            reads=reads or self.reads,
            initial=None if self.state is None else first_sequence(self.state),
        )


_UNSCALED = ("Add", ("Mul", "scale", "y"), "center")


def _vectors(*names: OnnxValue) -> list[Array]:
    """Return the numbers of the file under names of an ONNX graph, one for each feature; NotConstant of others."""
    arrays = [scope.value(name) for scope, name in names]
    if any(array.dtype.kind != "f" or array.shape[-1:] != (array.size,) for array in arrays):
        raise NotConstant("it does not have a number for each feature")
    return [array.reshape(-1).astype(np.float64) for array in arrays]


def require_equal_sequences(description: StoredLSTM) -> None:
    """Raise FileError if the file has other lengths or other initial states for each sequence of an ONNX LSTM."""
    if description.lengths is not None:
        raise FileError("it fixes the lengths of its sequences; its LSTM can be read alone")
    if description.state is not None and not has_one_state(description.state):
        raise FileError("it starts from states that differ from sequence to sequence; its LSTM can be read alone")


@contextmanager
def refusing_by_name(advice: str = "") -> Iterator[None]:
    """Raise what stops a walk through an ONNX graph as a `FileError` with some advice."""
    try:
        yield
    except CapacityError:
        raise
    except (NotConstant, GatewiseError) as problem:
        raise FileError(f"{problem}{advice}") from None
    except IndexError:
        raise FileError(f"one of its nodes lacks an input{advice}") from None


def follow_head(
    graph: LstmGraph, nodes: Sequence[OnnxNode], lstm: LSTM, end: str, before: ChainWalk | None = None
) -> tuple[LSTM, ChainWalk, str]:
    """Return the walk from a name of an ONNX graph back to an LSTM's output, and which of its steps are read.

    The LSTM comes with its directions merged as they are there. Without the walk `before` it, the walk begins at a
    named layer.
    """
    top = nodes[-1]
    head = ChainWalk(top.scope, "after the LSTM", graph.sizes)
    head.begins_inside = before is None
    if before is not None:
        head.one_step = before.one_step
        end = head.take_outputs(end, before.scaled)
    results = {name: output for name, output in graph.results[top].items() if output.is_result(lstm.merge[-1])}
    if lstm.merge[-1] == "concat":  # which a Reshape may do that also makes one axis of steps and sequences
        results |= {name: output for name, output in graph.results[top].items() if output.is_result("none")}
    finals = {name: h for name, h in graph.states.items() if h.kind == 1 and h.node is top}
    results |= {name: h for name, h in finals.items() if h.merge is not None or h.timed == UNMERGED}
    y = results[head.follow(end, results)]
    reads = "last" if y.kind or head.last_step_of is not None else "every"
    if y.kind:
        if head.last_step_of is not None or head.layout == BATCH_FIRST:
            raise FileError("its head takes a step of final states")
        if (merge := y.merge or "none") != lstm.merge[-1]:
            lstm = LSTM.from_cells(lstm.layers, merge=[*lstm.merge[:-1], merge])
    elif head.last_step_of is not None:
        batch_first = (y.layout == BATCH_FIRST) != (head.layout == BATCH_FIRST)
        if head.last_step_of != (1 if batch_first else 0) or lstm.directions != ("forward",):
            raise FileError("its head reads one step that is not the final one of the LSTM")
        if any(node.input("sequence_lens") for node in nodes):
            raise FileError("its head reads the last step, which holds zeros if a sequence has ended before")
    head.require_last_axis(reads, lstm.output_size, stated=y.merge is None and lstm.merge[-1] != "none")
    if head.skip and before is not None and before.layout != head.layout:
        raise FileError("the features that are added to its outputs have steps and sequences exchanged")
    if head.one_step and (reads == "every" or y.kind):
        raise FileError("its LSTM is given one step, and its head does not read that step alone")
    return lstm, head, "every" if head.one_step else reads


def follow_input(node: OnnxNode, sizes: Sizes) -> ChainWalk:
    """Return the walk from the input of an LSTM node back to the ONNX graph's, through an embedding or dense layers.

    Where several branches of layers meet, it is the first's, and has the others `beside` it.
    """
    inputs = node.scope.inputs - node.scope.tensors.keys() - node.scope.computed.keys()
    name, walks = node.input("X"), list[ChainWalk]()
    step = output_of(node.scope, name, "Unsqueeze")
    if step is not None and stated_axes(step.node) == [0] and not node.attributes.get("layout", "i", 0):
        name = step.node.inputs[0]
    joined = output_of(node.scope, name, "Concat")
    branches = [name] if joined is None or joined.node.attributes.get("axis", "i") != -1 else joined.node.inputs
    if len(branches) > MOST:
        raise FileError(f"it has {len(branches):,} branches before its LSTM; at most {MOST} are read")
    for branch in branches:
        walks.append(walk := ChainWalk(node.scope, "before the LSTM", sizes))
        end = walk.follow(branch, inputs, embedding=True)
        walk.scaled, walk.one_step = walk.scaled or end, name != node.input("X")
        walk.require_last_axis("every")
        if (walk.layers or walk.features) and walk.embedding is not None:
            raise FileError("it has a linear layer between its embedding and its LSTM")
    first, *first.beside = walks
    if any((walk.scaled, walk.layout, walk.embedding) != (first.scaled, first.layout, None) for walk in first.beside):
        raise FileError("the branches before its LSTM do not begin at the same features")
    return first


class ChainLayer(NamedTuple):
    """A linear layer on the way of a chain, whose numbers are not read yet."""

    matrix: Matrix
    bias: str  # its name in the graph; empty if there is none
    activation: Activation | str | None


class ChainWalk:
    """Goes from a name of a graph back to others, through linear layers and what changes no number.

    `layout` is `BATCH_FIRST` where time and batch were exchanged an odd number of times; `last_step_of` is the axis of
    which the last position is taken alone; `embedding` is the table at its beginning. Features are `scaled` there, some
    of them taken; at its end `skip` features are added and outputs scaled. `one_step` says that there is no time.
    """

    def __init__(self, scope: OnnxScope, where: str, sizes: Sizes) -> None:
        self.scope, self.where, self.sizes = scope, where, sizes
        self.layers = list[ChainLayer]()
        self.layout = TIME_FIRST
        self.last_step_of: int | None = None
        self.embedding: Matrix | None = None
        self.scaling: Scaling | None = None
        self.scaled, self.features, self.skip, self.one_step = "", list[int](), 0, False
        self.beside: list[ChainWalk] = []
        self._activation: Activation | str | None = None
        self._bias = ""
        self.begins_inside = False  # whether it begins at a named layer, where steps and sequences may be one axis
        self._rows: list[int] | None = None  # steps and sequences, where they are one axis
        self._width: int | None = None  # of the last axis, as the graph states it
        self._softmax: tuple[int, int | None] = (-1, None)  # its axis, and how many axes there are, if that is known

    def follow(self, name: str, ends: Collection[str], *, embedding: bool = False) -> str:
        """Follow an ONNX graph back from a name to one of the ends, and return that; `embedding` allows one there."""
        for _ in range(DEEPEST):
            if name in ends and not self._bias and self._activation is None:
                return name
            source = self.scope.source(name)
            if source is None or source.node.scope is not self.scope or source.position != 0:
                raise FileError(f"{shown(name)!r} is not what a chain from its input to its output has")
            known = source.node.is_standard or source.node.proto.domain == MICROSOFT
            read = self._take_node(source.node, embedding) if known else None
            if read is None:
                kind = with_article(shown(source.node.operator))
                raise FileError(f"{source.node.label!r} is {kind}, which a network does not have {self.where}")
            name = read
        raise FileError(f"it has more than {DEEPEST} operators {self.where}")

    def require_last_axis(self, reads: str, size: int | None = None, *, stated: bool = False) -> None:
        """Refuse a Softmax over another axis than the last, and a beginning of another size, which may be `stated`."""
        axis, rank = self._softmax
        if axis not in (-1, (rank or (3 if reads == "every" else 2)) - 1):
            raise FileError("it has a Softmax over another axis than the last")
        fits = size is None or self._width == size or (self._width is None and not stated)
        if self._rows is not None or not fits:
            raise FileError("its steps and sequences are one axis, which a network does not have")

    def _take_node(self, node: OnnxNode, embedding: bool) -> str | None:
        """Add an ONNX node to the chain, and return the name that it reads; None if a network has no such node."""
        inputs, attributes = node.inputs, node.attributes
        nothing_pending = self._activation is None and not self._bias
        if self.embedding is not None:  # of the tokens
            if node.operator == "Transpose" and attributes.get("perm", "ints") == [1, 0]:
                self.layout = exchange_time_and_batch(self.layout)
                return inputs[0]
            moves_none = node.operator in ("Identity", "Cast")
            return inputs[0] if moves_none else unchanged_tokens(node, self.embedding.shape[0])
        if is_exchange(node) and self._rows is None:
            self.layout = exchange_time_and_batch(self.layout)
            return inputs[0]
        if is_identity(node):
            return inputs[0]
        if embedding and nothing_pending and (read := self._take_features(node)) is not None:
            return read
        takes_step = nothing_pending and not embedding and self.last_step_of is None and self._rows is None
        if takes_step and (read := self._take_last_step(node)) is not None:
            return read
        if node.operator == "Reshape":
            return self._take_reshape(node)
        if nothing_pending and (nonlinearity := nonlinearity_at(node)) is not None:
            self._activation = nonlinearity.activation
            if nonlinearity.activation == SOFTMAX:
                known = 2 if self._rows is not None else 3 if self.last_step_of is not None else None
                self._softmax = softmax_axis(node), known
            return nonlinearity.argument
        if (fused := FUSED_BIAS.get(node.operator)) and not node.is_standard and nothing_pending and len(inputs) == 2:
            self._activation = fused
            return self._take_bias(node, inputs[1:])
        if node.operator == "Add" and not self._bias and len(inputs) == 2:
            return self._take_bias(node, inputs[::-1])
        table = node.operator == "Gather" and nothing_pending and embedding
        product = node.operator != "Gather" and (not self._bias or len(inputs) == 2)
        matrix = matrix_of(node) if (table or product) and not (embedding and (self.features or self.scaling)) else None
        if matrix is None or (matrix.bias and not matrix.has_bias(matrix.bias)):
            return None
        if table:
            self.embedding = matrix
            return inputs[1]
        if node.operator == "FusedGemm":
            if not nothing_pending or (activation := fused_activation(node)) is None:
                return None
            self._activation = activation
        self._add_linear(matrix)
        return inputs[0]

    def take_outputs(self, end: str, scaled: str) -> str:
        """Note the scaling of an ONNX graph's output and the features added to it; return the name of the rest."""
        for pattern in (("Max", _UNSCALED, "least"), _UNSCALED):
            for values in match_name(self.scope, end, pattern) if self.scaling is None else ():
                with suppress(NotConstant):
                    keys = [key for key in ("center", "scale", "least") if key in values]
                    self.scaling, end = Scaling(*_vectors(*(values[key] for key in keys))), values["y"].name
        total = output_of(self.scope, end, "Add")
        for rest, name in () if total is None else permutations(total.node.inputs, 2):
            if (part := output_of(self.scope, name, "Slice")) is not None:
                axis, places, _ = positions_taken(part.node)
                source, count = equal_source(self.scope, part.node.inputs[0]).name, getattr(places, "stop", 0)
                if (source, axis, places) == (scaled, -1, slice(0, count, 1)):
                    self.skip, end = count, rest
        return end

    def _take_features(self, node: OnnxNode) -> str | None:
        """Note the features that an ONNX Gather takes, or the scaling of all; return what is read, None of others."""
        if node.operator == "Gather" and node.attributes.get("axis", "i", 0) == -1 and not self.features:
            taken = positions_taken(node)
            self.features = [] if taken.drops_axis else taken.of(2**31)
            return node.inputs[0] if self.features else None
        difference = output_of(self.scope, node.inputs[0], "Sub") if node.operator == "Div" else None
        if difference is None or self.scaling is not None:
            return None
        x, center = difference.node.inputs
        self.scaling = Scaling(*_vectors(*(OnnxValue(self.scope, name) for name in (center, node.inputs[1]))))
        self.scaled = node.outputs[0]
        return x

    def _take_bias(self, node: OnnxNode, biases: Sequence[str]) -> str | None:
        """Keep the bias that an ONNX node adds to a product, one of some of its inputs; return the product's name."""
        for bias in biases:
            (product,) = [name for name in node.inputs if name != bias] or [""]
            source = self.scope.source(product)
            for _ in range(3):  # what may be between is followed itself
                if source is not None and source.node.operator in ("Reshape", "Cast", "Transpose"):
                    source = self.scope.source(source.node.inputs[0])
            if source is not None and source.node.operator in ("MatMul", "FusedMatMul"):
                matrix = matrix_of(source.node)
                if matrix is not None and matrix.has_bias(bias):
                    self._bias = bias
                    return product
        return None

    def _add_linear(self, matrix: Matrix) -> None:
        """Put the linear layer of an ONNX matrix, with the bias and activation after it, before the others."""
        if self._width not in (None, matrix.shape[0]):
            raise FileError(f"{shown(matrix.name)!r} is not read as it is: a Reshape moves its outputs")
        self.layers.insert(0, ChainLayer(matrix, matrix.bias or self._bias, self._activation))
        self._activation, self._bias = None, ""
        self._width = matrix.shape[1]

    def linears(self, dtype: np.dtype[Any]) -> list[Linear]:
        """Return the linear layers of the chain, with their numbers in a precision."""
        linears = []
        for matrix, name, activation in self.layers:
            bias = read_tensor(self.scope, name).reshape(-1).astype(dtype) if name else None
            linears.append(Linear(matrix.read().astype(dtype), bias, activation))
        return linears

    def _take_reshape(self, node: OnnxNode) -> str | None:
        """Pass an ONNX Reshape that makes one axis of steps and sequences, or the two of one; return what it reads.

        Between two of them there is one axis; the two around it must be those that are made of it again.
        """
        shape = self.sizes.shape_of_reshape(node)
        if shape is None or shape[-1:] == [0] or shape.count(-1) > 1 or self.last_step_of is not None:
            return None
        if self._width is not None and shape[-1] not in (-1, self._width):
            return None
        self._width = shape[-1] if shape[-1] > 0 else self._width
        if len(shape) == 3 and self._rows is None and 0 not in shape:
            self._rows = shape[:2]
            return node.inputs[0]
        if len(shape) != 2 or self._width is None:
            return None
        if self._rows is None:
            rank = self._softmax[1] or 2
            self._softmax, inside, self.begins_inside = (self._softmax[0], rank), self.begins_inside, False
            return node.inputs[0] if inside and shape[1] > 0 else None
        sizes = [self.sizes.of_axis(node.scope, node.inputs[0], axis) for axis in (0, 1)]
        same = [stated in (size, -1) for stated, size in zip(self._rows, sizes, strict=True)]
        flat = shape[0] == -1 or shape[1] > 0 or (min(sizes) > 0 and shape[0] == sizes[0] * sizes[1])
        self._rows = None
        return node.inputs[0] if all(same) and flat else None

    def _take_last_step(self, node: OnnxNode) -> str | None:
        """Note that an ONNX node takes the last step, a Squeeze or a Reshape after a Slice; None if it does not."""
        if node.operator not in ("Squeeze", "Reshape", "Gather"):
            return None
        if self.one_step and node.operator == "Squeeze" and stated_axes(node) == [0]:
            self.last_step_of = 0
            return node.inputs[0]
        taking = node
        if node.operator != "Gather":
            source = self.scope.source(node.inputs[0])
            if source is None or not source.node.is_standard or source.node.operator not in ("Gather", "Slice"):
                return None
            taking = source.node
        try:
            taken = positions_taken(taking)
        except NotConstant:  # an embedding, for example
            return None
        axis = taken.axis % 3
        drops = taken.drops_axis if taking is node else not taken.drops_axis and self._drops(node, axis)
        if not drops or not taken.is_end(self.sizes.of_axis(taking.scope, taking.inputs[0], axis)):
            return None
        self.last_step_of = axis
        return taking.inputs[0]

    def _drops(self, node: OnnxNode, axis: int) -> bool:
        """Say whether an ONNX Squeeze or Reshape drops an axis of three that has one position, and moves no other."""
        if node.operator == "Squeeze":
            return stated_axes(node) in ([axis], [axis - 3])
        shape = self.sizes.shape_of_reshape(node)
        if shape is None or len(shape) != 2 or shape[1] < 1 or self._width not in (None, shape[1]):
            return False
        self._width = shape[1]
        return True
