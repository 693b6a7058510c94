"""An ONNX graph as a `Network`, where its operators are an embedding or dense layers, an LSTM and a head in a chain.

Operators are followed from the graph's output back to its input; what only moves numbers is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, shown
from gatewise.interop.found import Found
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.graph_names import BATCH_FIRST, passes, swaps
from gatewise.interop.onnx.parts import ACTIVATIONS, is_bias, matrix_of, reader_of
from gatewise.interop.onnx.scopes import DEEPEST, Scope
from gatewise.interop.onnx.sites import Site, label_of
from gatewise.network import Branch, Linear, Network
from gatewise.records.step import State
from gatewise.showing import with_article


@dataclass(frozen=True, eq=False)
class Whole:
    """The one LSTM of a graph, of a node or of several that are stacked.

    Attributes
    ----------
    sites : sequence of Site
        Its nodes, the first layer's first.
    names : mapping of str to str
        What names of the graph are of its output: see `stacks`.
    outputs : sequence of str
        Of the graph.
    """

    sites: Sequence[Site]
    names: Mapping[str, str]
    outputs: Sequence[str]


def network(path: str, whole: Whole, found: Found) -> Network:
    """Return the network that a graph computes.

    Raises
    ------
    FileError
        If it holds what a `Network` cannot express, by the name of the node.
    """
    try:
        return _network(whole, found)
    except (FileError, NotConstant) as problem:
        why = str(problem)
    except IndexError:
        why = "one of its nodes lacks an input"
    except GatewiseError as problem:
        why = f"its parts do not fit together: {problem}"
    raise FileError(f"cannot read {path} as a network: {why}; its layers can be named instead, as embedding and head")


def _network(whole: Whole, found: Found) -> Network:
    lstm, top, bottom = found.lstm, whole.sites[-1], whole.sites[0]
    states = {name for site in whole.sites for name in site.node.output[1:3]}
    ends = [name for name in whole.outputs if not _made_of(top.scope, name, states)]
    if top.scope.parent is not None or len(ends) != 1:
        raise FileError(f"it has {len(ends)} outputs besides final states; a network has one")
    head = _Walk(top.scope, "after the LSTM")
    head.go(ends[0], {name for name, what in whole.names.items() if what.removesuffix(BATCH_FIRST) == lstm.merge[-1]})
    reads = "every"
    if head.taken is not None:
        batch_first = whole.names.get(head.name, "").endswith(BATCH_FIRST) != head.swapped
        if head.taken != ("last", 1 if batch_first else 0) or lstm.directions != ("forward",):
            raise FileError("its head reads one step that is not the final one of the LSTM")
        if any(site.input("sequence_lens") for site in whole.sites):
            raise FileError("its head reads the last step, which of a sequence that has ended before holds zeros")
        reads = "last"
    before = _Walk(top.scope, "before the LSTM")
    before.go(bottom.input("X"), bottom.scope.inputs - bottom.scope.held.keys(), embedding=True)
    if before.taken is not None:
        raise FileError("it reads one step alone before the LSTM")
    initial = None
    if found.state is not None:
        if {len(one.h) for row in found.state for one in row} != {1}:
            raise FileError("it starts from states that differ from sequence to sequence")
        initial = tuple(tuple(State(one.h[0], one.c[0]) for one in row) for row in found.state)
    table = before.embedding
    layers, dense = ([one.astype(lstm.dtype) for one in walk.layers] for walk in (before, head))
    if layers and table is not None:
        raise FileError("it has a linear layer between its embedding and its LSTM")
    return Network(
        lstm,
        embedding=None if table is None else table.astype(lstm.dtype),
        branches=[Branch(range(layers[0].weight.shape[1]), [one.linear() for one in layers])] if layers else (),
        head=[one.linear() for one in dense],
        reads=reads,
        initial=initial,
    )


def _made_of(scope: Scope, name: str, states: set[str]) -> bool:
    """Say whether an output is made of final states alone, side by side or moved."""
    for _ in range(DEEPEST):
        if name in states:
            return True
        source = scope.source(name)
        if source is None:
            return False
        node = source[1]
        if node.op_type == "Concat":
            return all(one in states for one in node.input[:DEEPEST])
        if node.op_type not in ("Identity", "Cast", "Squeeze", "Unsqueeze", "Transpose"):
            return False
        name = node.input[0]
    return False


@dataclass
class _Dense:
    """A linear layer as it is found: from its activation back to its weight."""

    weight: Array
    bias: Array | None
    activation: str | None

    def astype(self, dtype: np.dtype[Any]) -> _Dense:
        bias = None if self.bias is None else self.bias.reshape(-1).astype(dtype)
        return _Dense(self.weight.astype(dtype), bias, self.activation)

    def linear(self) -> Linear:
        return Linear(self.weight, self.bias, self.activation)


class _Walk:
    """Goes from a name of a graph back to others, through linear layers and what changes no number.

    Attributes
    ----------
    layers : list of _Dense
        The first one first.
    name : str
        Where it ended.
    swapped : bool
        Whether time and batch were exchanged an odd number of times.
    taken : tuple of (str, int) or None
        The step that is taken alone, and of which axis.
    embedding : array or None
        The table at its beginning.
    """

    def __init__(self, scope: Scope, where: str) -> None:
        self.scope, self.where, self.layers = scope, where, list[_Dense]()
        self.name, self.swapped = "", False
        self.taken: tuple[str, int] | None = None
        self.embedding: Array | None = None
        self._activation: str | None = None
        self._bias: Array | None = None

    def go(self, name: str, ends: set[str], *, embedding: bool = False) -> None:
        """Go back to one of the ends; with `embedding`, through one as the last step but what moves its tokens."""
        for _ in range(DEEPEST):
            if name in ends and self._activation is None and self._bias is None:
                self.name = name
                return
            source = self.scope.source(name)
            if source is None or source[0] is not self.scope or source[2] != 0:
                raise FileError(f"{shown(name)!r} is not what a chain from its input to its output has")
            node = source[1]
            if node.domain not in ("", "ai.onnx"):
                raise self._refused(node)
            name = self._step(node, embedding)
        raise FileError(f"it has more than {DEEPEST} operators {self.where}")

    def _refused(self, node: Any) -> FileError:
        kind = with_article(shown(node.op_type))
        return FileError(f"{label_of(node)!r} is {kind}, which a network does not have {self.where}")

    def _step(self, node: Any, embedding: bool) -> str:
        """Take in one node, and return the name that it reads."""
        scope, given = self.scope, list(node.input)
        attributes = scope.attributes_of(node)
        clear = self._activation is None and self._bias is None
        if self.embedding is not None:  # of the tokens
            if node.op_type in ("Identity", "Cast") or attributes.get("perm", "ints") == [1, 0]:
                return str(given[0])
        elif node.op_type == "Transpose" and swaps(scope, node):
            self.swapped = not self.swapped
            return str(given[0])
        elif passes(scope, node):
            return str(given[0])
        elif node.op_type in ACTIVATIONS and clear and len(given) == 1 and self._over_last(node):
            self._activation = ACTIVATIONS[node.op_type]
            return str(given[0])
        elif node.op_type == "Add" and self._bias is None and len(given) == 2:
            for bias, other in (given, given[::-1]):
                made = scope.source(other)
                if made is not None and made[1].op_type == "MatMul" and len(made[1].input) == 2:
                    _, shape = matrix_of(scope, made[1].input[1])
                    if is_bias(scope, bias, shape[1]):
                        self._bias = reader_of(scope, bias, False)()
                        return str(other)
        elif node.op_type == "MatMul" and len(given) == 2:
            matrix_of(scope, given[1])
            return self._linear(reader_of(scope, given[1], True)(), self._bias, given[0])
        elif node.op_type == "Gemm" and self._bias is None and not attributes.get("transA", "i", 0):
            _, shape = matrix_of(scope, given[1])
            turned = not attributes.get("transB", "i", 0)
            bias = given[2] if len(given) > 2 else ""
            plain = attributes.get("alpha", "f", 1.0) == attributes.get("beta", "f", 1.0) == 1
            if plain and (not bias or is_bias(scope, bias, shape[1] if turned else shape[0])):
                held = reader_of(scope, bias, False)() if bias else None
                return self._linear(reader_of(scope, given[1], turned)(), held, given[0])
        elif node.op_type == "Gather" and clear and embedding and attributes.get("axis", "i", 0) == 0:
            matrix_of(scope, given[0])
            self.embedding = reader_of(scope, given[0], False)()
            return str(given[1])
        elif node.op_type == "Gather" and clear and self.taken is None and not embedding:
            place = scope.value(given[1])
            if place.size == 1 and place.reshape(-1)[0] == -1:
                self.taken = "last", attributes.get("axis", "i", 0)
                return str(given[0])
        raise self._refused(node)

    def _linear(self, weight: Array, bias: Array | None, name: str) -> str:
        self.layers.insert(0, _Dense(weight, bias, self._activation))
        self._activation = self._bias = None
        return name

    def _over_last(self, node: Any) -> bool:
        axis = self.scope.attributes_of(node).get("axis", "i", -1 if self.scope.file.opset >= 13 else 1)
        return node.op_type != "Softmax" or axis in ((-1, 1) if self.taken else (-1, 2))
