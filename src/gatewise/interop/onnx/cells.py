"""An LSTM cell that an exporter built from Gemm or MatMul, Split, Sigmoid, Tanh, Mul and Add, recognised again.

It is matched from its end: h = σ(a_o) · tanh(c) with c = σ(a_f) · c_prev + σ(a_i) · tanh(a_g), where the four a are
equal parts of one Split; which part goes where determines the order of the gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import permutations, product
from typing import Any, NamedTuple

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import GatewiseError
from gatewise.interop import conventions
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import Refused, StoredLSTM
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import origin, trace_back
from gatewise.interop.onnx.scopes import NodeOutput, OnnxNode, OnnxScope, OnnxValue
from gatewise.layers import LSTM

STEPS = 130  # of work that one cell takes


Pattern = str | tuple[Any, ...]


class _CellMatch(NamedTuple):
    """A cell in a graph: its last node, the order of its gates, their Split, and the old cell state."""

    end: OnnxNode
    order: str
    split: OnnxNode
    previous_c: OnnxValue


class StoredCell(NamedTuple):
    """An LSTM cell of standard operators: what it is, its last node, and the names that it reads, by role."""

    stored: StoredLSTM
    end: OnnxNode
    reads: dict[str, list[OnnxValue]]


class _WeightTerm(NamedTuple):
    """A product in a pre-activation: the weight (·, 4 · hidden), and the name of what is multiplied by it."""

    weight: Array
    name: str


# h = σ(a_o) · tanh(c): an operator with its operands, or the letter of what it reads.
CELL_STATE = ("Add", ("Mul", ("Sigmoid", "f"), "c"), ("Mul", ("Sigmoid", "i"), ("Tanh", "g")))
_CELL = ("Mul", ("Sigmoid", "o"), ("Tanh", CELL_STATE))


def output_of(scope: OnnxScope, name: str, *operators: str) -> NodeOutput | None:
    """Return the node output of that name in an ONNX graph, if one of these operators computes it; Casts are passed."""
    source = scope.source(trace_back(scope, name).source.name)
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
    for names in permutations(node.inputs, 2) if len(operands) == 2 else [node.inputs[:1]]:
        parts = [match_name(node.scope, name, operand) for name, operand in zip(names, operands, strict=True)]
        for bindings in product(*parts):
            yield {letter: value for binding in bindings for letter, value in binding.items()}


def match_name(scope: OnnxScope, name: str, pattern: Pattern) -> Iterator[dict[str, OnnxValue]]:
    """Yield the names that a pattern's letters stand for, in each way in which a name in an ONNX graph matches it."""
    if isinstance(pattern, str):
        yield {pattern: OnnxValue(scope, name)}
    elif (source := output_of(scope, name, pattern[0])) is not None:
        yield from _match_operands(source.node, pattern[1:])


def cell_at(node: OnnxNode, name: str) -> StoredCell | None:
    """Return the LSTM cell of ONNX operators that ends in this Mul, or None; NotConstant if it cannot be read."""
    match = next(_cell_matches(node), None)
    if match is None:
        return None
    node.scope.file.budget.work(STEPS, "reading its LSTM cells")
    try:
        return _read_cell(match, name)
    except (ValueError, IndexError) as problem:
        if isinstance(problem, GatewiseError):
            raise
        raise NotConstant(f"its arrays do not fit each other ({problem})") from None


def _cell_matches(end: OnnxNode) -> Iterator[_CellMatch]:
    """Yield each match of an LSTM cell of ONNX operators that ends in this Mul, its gates the parts of one Split."""
    for values in _match_operands(end, _CELL[1:]):
        parts = {letter: output_of(*values[letter], "Split") for letter in "ifgo"}
        letters = {part.position: letter for letter, part in parts.items() if part is not None}
        splits = {part.node for part in parts.values() if part is not None}
        if sorted(letters) == [0, 1, 2, 3] and len(splits) == 1:
            yield _CellMatch(end, "".join(letters[position] for position in range(4)), splits.pop(), values["c"])


def _read_cell(match: _CellMatch, name: str) -> StoredCell:
    """Return the LSTM of a matched cell of ONNX operators, with notes on where it was found, and what it reads."""
    end, split = match.end, match.split
    terms, biases = _preactivation_terms(split)
    for weight, _ in terms:
        if weight.ndim != 2 or weight.shape[1] % 4 or weight.dtype.name not in ("float16", "float32", "float64"):
            raise NotConstant(f"its weights have shape {weight.shape}")
    hidden = terms[0].weight.shape[1] // 4
    sizes = _split_sizes(split)
    if len(split.outputs) != 4 or sizes not in ([], [hidden] * 4):
        raise NotConstant(f"its Split makes parts of {sizes}, not four equal ones")
    arrays = [*(weight for weight, _ in terms), *biases]
    end.scope.file.hold(4 * sum(array.size for array in arrays), max(4, *(array.itemsize for array in arrays)))
    recurrent, inputs, h, x = _recurrent_and_input_weights(terms, hidden, match)
    framework = next((name for name, letters in gates.ORDERS.items() if letters == match.order), "gatewise")

    def reorder_gates(array: Array) -> Array:
        """Return (·, 4 · hidden) as (4 · hidden, ·), its gates in the framework's order, not ONNX's Split's."""
        transposed = to_float(array.T)
        if gates.ORDERS[framework] == match.order:
            return transposed
        parts = transposed.reshape(4, hidden, -1)
        return parts[[match.order.index(letter) for letter in gates.ORDERS[framework]]].reshape(4 * hidden, -1)

    p = conventions.parameters(
        framework, reorder_gates(inputs), reorder_gates(recurrent), [reorder_gates(bias)[:, 0] for bias in biases]
    )
    extent = "it is a cell in the body of a Scan" if end.scope.carried else "it is one step of a cell"
    stored = StoredLSTM(
        name,
        LSTM.from_cells(p, direction="backward" if end.scope.backward else "forward"),
        f"ONNX, an LSTM cell built from standard operators: gates {' '.join(match.order)}, the biases summed",
        " → ".join([*end.scope.path, f"node {end.label!r}"]),
        (f"{extent}, recognised by its equations; the file has no node LSTM for it",),
    )
    return StoredCell(
        stored, end, {"X": [OnnxValue(split.scope, x)], "state": [OnnxValue(split.scope, h), match.previous_c]}
    )


def _split_sizes(split: OnnxNode) -> list[int]:
    """Return the sizes of the parts of an ONNX Split, of many the first few; none where they are not given."""
    if len(split.inputs) > 1 and split.inputs[1]:
        return [int(length) for length in split.scope.value(split.inputs[1]).flat[:8]]
    return [int(length) for length in split.attributes.get("split", "ints", [])[:8]]


def _preactivation_terms(split: OnnxNode) -> tuple[list[_WeightTerm], list[Array]]:
    """Return the terms of the gates' pre-activations, given their ONNX Split: products, and biases (1, 4 · hidden)."""
    scope, names = split.scope, [split.inputs[0]]
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
            terms.append(_WeightTerm(weight.T if attributes.get("transB", "i", 0) else weight, node.inputs[0]))
            biases += [_bias_row(scope, bias) for bias in node.inputs[2:3] if bias]
    if names or len(terms) not in (1, 2):
        raise NotConstant(f"its pre-activations are sums of {len(terms)} products; only 1 or 2 are recognised")
    return terms, biases


def _bias_row(scope: OnnxScope, name: str) -> Array:
    array = scope.value(name)
    scope.file.hold(array.size, array.itemsize)  # of numbers that are one in memory
    return array.reshape(1, -1)


def _recurrent_and_input_weights(
    terms: Sequence[_WeightTerm], hidden: int, match: _CellMatch
) -> tuple[Array, Array, str, str]:
    """Return the recurrent and the input weights of an ONNX cell, and what they multiply: the previous h, and x."""
    if len(terms) == 1:  # of h and x, concatenated
        weight, name = terms[0]
        joined = output_of(match.split.scope, name, "Concat")
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
        recurs = [_is_previous_h(term.name, match) for term in terms]
    if sum(recurs) != 1:
        raise NotConstant("the file does not distinguish its hidden state from its input")
    position = recurs.index(True)
    (recurrent, h), (inputs, x) = terms[position], terms[1 - position]
    return recurrent, inputs, h, x


def _is_previous_h(name: str, match: _CellMatch) -> bool:
    """Say whether a name in an ONNX graph is the previous hidden state of a matched cell.

    It is a part of the array that also has the old cell state; or, in the body of a Scan, the state that the new hidden
    state becomes at the next step.
    """
    body, array = match.end.scope, _source_array(match.split.scope, name)
    if array == _source_array(*match.previous_c):
        return True
    after = body.carried.get(array.name) if array.scope is body else None
    return after is not None and _source_array(body, after) == (body, match.end.outputs[0])


def _source_array(scope: OnnxScope, name: str) -> OnnxValue:
    """Return the array of an ONNX graph of which a name is a slice, or the same numbers in another shape."""
    scope, name = origin(scope, name)
    with suppress(NotConstant):
        return scope.resolve(name)
    return OnnxValue(scope, name)


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
