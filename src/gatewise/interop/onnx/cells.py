"""An LSTM cell that an exporter built from Gemm or MatMul, Split, Sigmoid, Tanh, Mul and Add, recognised again.

It is matched from its end: h = σ(a_o) · tanh(c) with c = σ(a_f) · c_prev + σ(a_i) · tanh(a_g), where the four a are
equal parts of one Split; which part goes where determines the order of the gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import GatewiseError
from gatewise.interop import conventions
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import Refused, StoredLSTM
from gatewise.interop.graphs import TIME_FIRST
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import equal_source, origin
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.lstm_outputs import LstmDirection, LstmOutput
from gatewise.interop.onnx.operators import OPEN, OPERATORS, OperatorCall
from gatewise.interop.onnx.reach import Key, upstream
from gatewise.interop.onnx.scopes import NodeOutput, OnnxNode, OnnxScope, OnnxValue
from gatewise.layers import LSTM
from gatewise.parameters import Parameters

STEPS = 130  # of work that one cell takes
MOST = 8  # axes of the sums of its gates


Pattern = str | tuple[Any, ...]


class CellMatch(NamedTuple):
    """A cell in a graph: its last node, its gates cut from the array of their sums, the old cell state and the new."""

    end: OnnxNode
    gates: dict[str, NodeOutput]
    sums: OnnxValue
    previous_c: OnnxValue
    c: OnnxValue


@dataclass(frozen=True, eq=False)
class StoredCell:
    """An LSTM of standard operators: what it is, the node that stands for it, and what it reads and puts out by name.

    The node is the last of a cell, or the product of weights and all inputs where steps stand one after another.
    """

    stored: StoredLSTM
    node: OnnxNode
    reads: dict[str, list[OnnxValue]]
    outputs: dict[str, LstmOutput]

    @property
    def ends(self) -> list[OnnxValue]:
        """The names that it puts out, with their graph."""
        return [OnnxValue(self.node.scope, name) for name in self.outputs]

    @cached_property
    def keys(self) -> Sequence[Key]:
        """The nodes, tensors and inputs that compute it from what it reads."""
        return [*upstream(self.ends, [value for values in self.reads.values() for value in values])]

    @property
    def nodes(self) -> list[OnnxNode]:
        """The nodes that compute it, one that it puts out first."""
        return [key for key in self.keys if isinstance(key, OnnxNode)]


class _WeightTerm(NamedTuple):
    """A product in a pre-activation: the weight (·, 4 · hidden), and the node that multiplies by it."""

    weight: Array
    node: OnnxNode


# h = σ(a_o) · tanh(c): an operator with its operands, or the letter of what it reads.
_CELL_STATE = ("Add", ("Mul", ("Sigmoid", "f"), "c"), ("Mul", ("Sigmoid", "i"), ("Tanh", "g")))
_CELL = ("Mul", ("Sigmoid", "o"), ("Tanh", _CELL_STATE))


def output_of(scope: OnnxScope, name: str, *operators: str) -> NodeOutput | None:
    """Return the node output of that name in an ONNX graph, if one of these operators computes it; Casts are passed."""
    source = scope.source(equal_source(scope, name).name)
    matches = (
        source is not None and source.node.is_standard and source.node.operator in operators and source.node.inputs
    )
    return source if matches else None


def _match_operands(node: OnnxNode, operands: Sequence[Pattern]) -> Iterator[dict[str, OnnxValue]]:
    """Yield the names that a pattern's letters stand for, in each way in which an ONNX node's inputs match it.

    Two operands are matched in either order: products and sums are commutative.
    """
    if len(operands) == 2 and len(node.inputs) != 2:
        return
    if len(operands) == 1:
        yield from match_name(node.scope, node.inputs[0], operands[0])
        return
    for first, second in permutations(node.inputs, 2):
        for values in match_name(node.scope, first, operands[0]):
            for others in match_name(node.scope, second, operands[1]):
                yield {**values, **others}


def match_name(scope: OnnxScope, name: str, pattern: Pattern) -> Iterator[dict[str, OnnxValue]]:
    """Yield the names that a pattern's letters stand for, in each way in which a name in an ONNX graph matches it.

    Each operator of the pattern stands for the last of its outputs that is matched.
    """
    if isinstance(pattern, str):
        yield {pattern: OnnxValue(scope, name)}
    elif (source := output_of(scope, name, pattern[0])) is not None:
        for values in _match_operands(source.node, pattern[1:]):
            yield {**values, pattern[0]: OnnxValue(source.node.scope, source.node.outputs[source.position])}


def cell_at(node: OnnxNode, name: str) -> StoredCell | None:
    """Return the LSTM cell of ONNX operators that ends in this Mul, or None; NotConstant if it cannot be read."""
    match = next(cell_matches(node, "Split"), None)
    try:
        return None if match is None else _read_cell(match, name)
    except (ValueError, IndexError) as problem:
        if isinstance(problem, GatewiseError):
            raise
        raise NotConstant(f"its arrays do not fit each other ({problem})") from None


def cell_matches(end: OnnxNode, cut: str) -> Iterator[CellMatch]:
    """Yield each match of an LSTM cell of ONNX operators that ends in this Mul, its gates cut by that operator."""
    for values in _match_operands(end, _CELL[1:]):
        parts = {letter: output_of(*values[letter], cut) for letter in "ifgo"}
        gates = {letter: part for letter, part in parts.items() if part is not None}
        sums = {equal_source(part.node.scope, part.node.inputs[0]) for part in gates.values()}
        if len(gates) == 4 and len(sums) == 1:
            end.scope.file.budget.work(STEPS, "reading its LSTM cells")
            yield CellMatch(end, gates, sums.pop(), values["c"], values["Add"])


def order_of(match: CellMatch, width: int) -> str:
    """Return the order of an ONNX cell's gates, four equal parts of their sums; NotConstant if they are not."""

    def shape_of(node: OnnxNode, _: int) -> AnyArray:
        if equal_source(node.scope, node.inputs[0]) != match.sums:
            raise NotConstant("it is the shape of another array")
        return np.array([OPEN, width], np.int64)

    match.end.scope.file.budget.work(width // 16, "reading its LSTM cells")
    columns: dict[str, list[int]] = {}
    for letter, (node, position) in match.gates.items():
        axis = node.attributes.get("axis", "i", int(node.operator == "Slice"))
        numbers: AnyArray = np.arange(width).reshape((1,) * max(0, min(axis, MOST)) + (-1,))
        bounds = [node.scope.value(name, shape_of=shape_of) for name in node.inputs[1:] if name]
        call = OperatorCall(node.scope.file, node.proto, node.attributes, [numbers, *bounds], position)
        columns[letter] = OPERATORS[node.operator](call).reshape(-1).tolist()
    order = sorted(columns, key=columns.__getitem__)
    if len(columns["i"]) * 4 != width or [place for k in order for place in columns[k]] != [*range(width)]:
        raise NotConstant("its gates are not four equal parts of their sums")
    return "".join(order)


def _read_cell(match: CellMatch, name: str) -> StoredCell:
    """Return the LSTM of a matched cell of ONNX operators, with notes on where it was found, and what it reads."""
    end = match.end
    terms, biases = preactivation_terms(match.sums)
    for weight, _ in terms:
        if weight.ndim != 2 or weight.shape[1] % 4 or weight.dtype.name not in ("float16", "float32", "float64"):
            raise NotConstant(f"its weights have shape {weight.shape}")
    hidden = terms[0].weight.shape[1] // 4
    order = order_of(match, 4 * hidden)
    recurrent, inputs, h, x = _recurrent_and_input_weights(terms, hidden, match)
    p = cell_parameters(end.scope.file, order, inputs, recurrent, biases)
    backward = _is_backward(end.scope, OnnxValue(match.sums.scope, x))
    lstm = LSTM.from_cells(p, direction="backward" if backward else "forward")
    extent = "it is a cell in the body of a Scan" if end.scope.carried else "it is one step of a cell"
    note = f"{extent}, recognised by its equations; the file has no node LSTM for it"
    reads = {"X": [OnnxValue(match.sums.scope, x)], "state": [OnnxValue(match.sums.scope, h), match.previous_c]}
    final = LstmOutput((LstmDirection(end, 0, lstm),), TIME_FIRST[1:], "concat", kind=1)
    stored = stored_cell(name, lstm, end, order, note)
    h_out = OnnxValue(end.scope, end.outputs[0])
    ways = [way for result, way in end.scope.made.items() if _source_array(end.scope, result) == h_out]
    stored = replace(stored, time_reversed=bool(ways) and backward not in ways)
    return StoredCell(stored, end, reads, {end.outputs[0]: final})


def _is_backward(scope: OnnxScope, x: OnnxValue) -> bool:
    """Return whether a Scan, whose body a scope is, goes from the end through the sequence that its LSTM reads."""
    ways = {*scope.read.values()}
    if len(ways) > 1:
        source = _source_array(*x)
        if source.scope is not scope or source.name not in scope.read:
            raise NotConstant("its Scan goes through one sequence from the end and through another from the beginning")
        return scope.read[source.name]
    return True in ways


def stored_cell(name: str, lstm: LSTM, node: OnnxNode, order: str, note: str) -> StoredLSTM:
    """Return the description of an LSTM of ONNX's standard operators, given the order of its gates."""
    words = f"ONNX, an LSTM cell built from standard operators: gates {' '.join(order)}, the biases summed"
    return StoredLSTM(name, lstm, words, " → ".join([*node.scope.path, f"node {node.label!r}"]), (note,))


def cell_parameters(file: OnnxFile, order: str, inputs: Array, recurrent: Array, biases: Sequence[Array]) -> Parameters:
    """Return the parameters of an ONNX cell, its arrays (·, 4 · hidden) with their gates in that order."""
    arrays = [inputs, recurrent, *biases]
    file.hold(4 * sum(array.size for array in arrays), max(4, *(array.itemsize for array in arrays)))
    framework = next((name for name, letters in gates.ORDERS.items() if letters == order), "gatewise")
    places = [order.index(letter) for letter in gates.ORDERS[framework]]

    def reorder_gates(array: Array) -> Array:
        """Return (·, 4 · hidden) as (4 · hidden, ·), its gates in the framework's order, not ONNX's."""
        transposed = to_float(array.T)
        if places == sorted(places):
            return transposed
        return transposed.reshape(4, -1, len(array))[places].reshape(transposed.shape)

    p = reorder_gates(inputs), reorder_gates(recurrent), [reorder_gates(bias)[:, 0] for bias in biases]
    return conventions.parameters(framework, *p)


def preactivation_terms(sums: OnnxValue) -> tuple[list[_WeightTerm], list[Array]]:
    """Return the terms of pre-activations in an ONNX graph: products, and biases (1, 4 · hidden)."""
    scope, names = sums.scope, [sums.name]
    terms: list[_WeightTerm] = []
    biases: list[Array] = []
    while names and len(terms) + len(biases) < 8:
        name = names.pop()
        scope.file.budget.work(4, "reading its LSTM cells")
        source = output_of(scope, name, "Add", "MatMul", "Gemm")
        node = None if source is None else source.node
        if node is None or node.scope is not scope:
            biases.append(_bias_row(scope, name))
        elif node.operator == "Add":
            names += node.inputs
        else:
            attributes = node.attributes
            scales = [attributes.get(scale, "f", 1.0) for scale in ("alpha", "beta")]
            if attributes.get("transA", "i", 0) or scales != [1, 1]:
                raise NotConstant("it has a Gemm that scales or transposes its input")
            weight = scope.value(node.inputs[1])
            terms.append(_WeightTerm(weight.T if attributes.get("transB", "i", 0) else weight, node))
            biases += [_bias_row(scope, bias) for bias in node.inputs[2:3] if bias]
    if names or len(terms) not in (1, 2):
        raise NotConstant(f"its pre-activations are sums of {len(terms)} products; only 1 or 2 are recognised")
    return terms, biases


def _bias_row(scope: OnnxScope, name: str) -> Array:
    array = scope.value(name)
    scope.file.hold(array.size, array.itemsize)  # of numbers that are one in memory
    return array.reshape(1, -1)


def _recurrent_and_input_weights(
    terms: Sequence[_WeightTerm], hidden: int, match: CellMatch
) -> tuple[Array, Array, str, str]:
    """Return the recurrent and the input weights of an ONNX cell, and what they multiply: the previous h, and x."""
    if len(terms) == 1:  # of h and x, concatenated
        weight = terms[0].weight
        joined = output_of(match.sums.scope, terms[0].node.inputs[0], "Concat")
        if joined is None or len(joined.node.inputs) != 2:
            raise NotConstant("its one product is not of the hidden state and the input")
        first, second = joined.node.inputs
        is_h_first, is_h_second = (_is_previous_h(part, match) for part in (first, second))
        if is_h_first == is_h_second:
            raise NotConstant("the file does not distinguish its hidden state from its input")
        if is_h_first:
            return weight[:hidden], weight[hidden:], first, second
        return weight[-hidden:], weight[:-hidden], second, first
    recurs = [term.weight.shape[0] == hidden for term in terms]
    if all(recurs):
        recurs = [_is_previous_h(term.node.inputs[0], match) for term in terms]
    if sum(recurs) != 1:
        raise NotConstant("the file does not distinguish its hidden state from its input")
    position = recurs.index(True)
    recurrent, inputs = terms[position], terms[1 - position]
    return recurrent.weight, inputs.weight, recurrent.node.inputs[0], inputs.node.inputs[0]


def _is_previous_h(name: str, match: CellMatch) -> bool:
    """Say whether a name in an ONNX graph is the previous hidden state of a matched cell.

    It is a part of the array that also has the old cell state; or, in the body of a Scan, the state that the new hidden
    state becomes at the next step.
    """
    body, array = match.end.scope, _source_array(match.sums.scope, name)
    if array == _source_array(*match.previous_c):
        return True
    after = body.carried.get(array.name) if array.scope is body else None
    return after is not None and _source_array(body, after) == (body, match.end.outputs[0])


def _source_array(scope: OnnxScope, name: str) -> OnnxValue:
    """Return the array of an ONNX graph of which a name is a slice, or the same numbers in another shape."""
    scope, name = origin(scope, name)
    return scope.defined(name) or OnnxValue(scope, name)


def unrecognised_cells(nodes: Sequence[OnnxNode], read: set[OnnxScope]) -> Iterator[Refused]:
    """Yield a refusal of each ONNX graph that has the operators of an LSTM cell but no recognised one."""
    counts: dict[OnnxScope, Counter[str]] = {}
    for node in nodes:
        counts.setdefault(node.scope, Counter())[node.operator] += 1
    for scope, count in counts.items():
        products = [operator for operator in ("Gemm", "MatMul") if count[operator]]
        cuts = [operator for operator in ("Split", "Slice") if count[operator]]
        if scope not in read and count["Sigmoid"] >= 3 and count["Tanh"] and count["Mul"] >= 2 and products and cuts:
            operators = ", ".join([*products, *cuts, "Sigmoid"])
            yield Refused(
                "/".join(scope.path) or "the main graph",
                f"it holds what may be an LSTM cell built from {operators} and Tanh, in a form that is not recognised",
                may_be_lstm=True,
            )
