"""The equations of one step of a cell, written out in ONNX's standard operators: in a graph, or in the body of a Scan.

The formulas of the cell's program are translated. Terms that all gates compute alike are computed once, for all gates
side by side, and then split: one product with the weights of four gates is faster than four products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.equations import NO_DROPOUT
from gatewise.gates import ORDERS
from gatewise.interop.onnx.building import GraphWriter
from gatewise.interop.onnx.nonlinearities import ACTIVATIONS
from gatewise.parameters import Parameters
from gatewise.symbolic import cell
from gatewise.symbolic import formula as tree
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import C_PREV, FUNCTIONS, H_PREV, RELATIONS, UNITS, C, Formula, H, Symbol, X
from gatewise.symbolic.heads import OUTPUT, READ, SKIPPED, Head, constants, head_forward
from gatewise.symbolic.nonlinearities import ARGUMENT, definition
from gatewise.symbolic.program import Assignment

# The operator of an activation and its names of the constants, where there is one of 32 bits, as its constants are.
_OPERATORS = {kind: (operator, letters) for operator, (kind, letters) in ACTIVATIONS.items()}
del _OPERATORS["affine"], _OPERATORS["scaled_tanh"]  # which are of the operator LSTM alone


def add_head(graph: GraphWriter, head: Head, read: str, name: str, skipped: str = "") -> str:
    """Add the equations of dense layers, a skip connection and a scaling; return the name of what they put out."""
    translation = _Translation(graph, {READ: read, SKIPPED: skipped}, constants(head), f"{name}.")
    for line in head_forward(head):
        translation.names[line.left] = translation.translate(line.right)
    return translation.names[OUTPUT]


def add_scan(graph: GraphWriter, p: Parameters, h: str, c: str, x: str, name: str, *, backward: bool) -> list[str]:
    """Add a Scan over the steps of `x`; return the names of i, f, g, o, c and h at each, and of the final c and h.

    States are (1, batch, ·). Products of x are taken of all steps at once, before the Scan.
    """
    body = GraphWriter(graph.dtype, graph, f"{name}_")
    sizes = {H_PREV: p.recurrent_size, C_PREV: p.hidden_size}
    state = {symbol: body.input(symbol.base, ["batch", size]) for symbol, size in sizes.items()}
    if graph.dtype == np.float32:
        translation = CellTranslation(body, state, p, x)
    else:  # a plain cell of which is recognised again, since no node LSTM runs in double precision
        translation = CellTranslation(body, state | {X: body.input("x", ["batch", p.input_size])}, p)
        translation.scanned.append(x)
    quantities = translation.translate_program(name)
    for quantity in (*quantities[:3:-1], *quantities):
        body.output(body.node("Identity", [quantity]), None)
    outputs, axis = [graph.new_name(name) for _ in body.outputs], graph.constant([0])
    scanned, reverse = translation.scanned, int(backward)
    graph.node(
        "Scan",
        [*(graph.node("Squeeze", [value, axis]) for value in (h, c)), *scanned],
        *outputs,
        name=name,
        body=body.graph(name),
        num_scan_inputs=len(scanned),
        scan_input_directions=[reverse] * len(scanned),
        scan_output_directions=[reverse] * len(quantities),
    )
    return [*outputs[2:], *(graph.node("Unsqueeze", [value, axis]) for value in outputs[1::-1])]


class _Translation:
    """Formulas as they are translated into a graph: each symbol has the name of its tensor there, or is a parameter."""

    def __init__(
        self, body: GraphWriter, names: Mapping[Symbol, str], parameters: Mapping[Symbol, Array], stem: str
    ) -> None:
        self.body, self.parameters, self.stem = body, parameters, stem  # with which names of parameters begin
        self.names: dict[Any, str] = dict(names)
        self.outputs: dict[tuple[str, ...], str] = {}  # of nodes, by operator and inputs: nothing is computed twice

    def translate(self, formula: Formula, **named: Any) -> str:
        """Add the ONNX nodes that compute a formula, and return the name of its value."""
        body = self.body
        match formula:
            case Symbol():
                if formula not in self.names:
                    name = self.stem and f"{self.stem}{formula.base}{formula.sub}"
                    self.names[formula] = body.constant(self.parameters[formula].reshape(1, -1), name)
                return self.names[formula]
            case tree.Number(value):
                if formula not in self.names:
                    self.names[formula] = body.constant(float(value))
                return self.names[formula]
            case tree.Sum((first, *rest)):
                return self._add_terms(self.translate(first), rest)
            case tree.Negative(term):
                return self._add_node("Neg", self.translate(term))
            case tree.Product((first, *rest)):
                product = self.translate(first)
                for factor in rest[:-1]:
                    product = self._add_node("Mul", product, self.translate(factor))
                last = self.translate(rest[-1])
                return body.node("Mul", [product, last], **named) if named else self._add_node("Mul", product, last)
            case tree.Quotient(
                tree.FunctionCall("exp", (tree.Sum((sums, _)),)), tree.FunctionCall("sum")
            ):  # less the greatest of them
                return body.node("Softmax", [self.translate(sums)], axis=-1)
            case tree.Quotient(over, under):
                return self._add_node("Div", self.translate(over), self.translate(under))
            case tree.Power(base, tree.Number(2 | 3 as exponent)):
                root = self.translate(base)
                square = self._add_node("Mul", root, root)
                return square if exponent == 2 else self._add_node("Mul", square, root)
            case tree.MatMul(Symbol() as matrix, vector):
                name = self.stem and f"{self.stem}{matrix.base}{matrix.sub}"
                return body.node("MatMul", [self.translate(vector), body.constant(self.parameters[matrix].T, name)])
            case tree.Holds(left, relation, right):
                truth = self._add_node(RELATIONS[relation].operator, self.translate(left), self.translate(right))
                return self._add_node("Where", truth, self.translate(tree.ONE), self.translate(tree.ZERO))
            case tree.FunctionCall(name, arguments) if name in FUNCTIONS and FUNCTIONS[name].operator:
                return self._add_node(FUNCTIONS[name].operator, *(self.translate(argument) for argument in arguments))
            case tree.FunctionCall(_, (argument,), activation) if activation is not None:
                if body.dtype == np.float32 and activation.name in _OPERATORS:
                    operator, letters = _OPERATORS[activation.name]
                    values: dict[str, Any] = dict(zip(letters, (activation.alpha, activation.beta), strict=False))
                    return body.node(operator, [self.translate(argument)], **values)
                formula = tree.rebuild(definition(activation), lambda node: argument if node == ARGUMENT else None)
                return self.translate(formula)
        raise TypeError(f"no operators for {formula!r}")

    def _add_terms(self, total: str, terms: Sequence[Formula]) -> str:
        """Add the ONNX nodes that add terms to a total, and return the name of the sum."""
        for term in terms:
            negative = isinstance(term, tree.Negative)
            other = self.translate(term.term if isinstance(term, tree.Negative) else term)
            total = self._add_node("Sub" if negative else "Add", total, other)
        return total

    def _add_node(self, operator: str, *inputs: str) -> str:
        """Return the name of an ONNX node's output; a node of the same operator and inputs is reused."""
        if (operator, *inputs) not in self.outputs:
            self.outputs[operator, *inputs] = self.body.node(operator, inputs)
        return self.outputs[operator, *inputs]


class CellTranslation(_Translation):
    """The program of a cell as it is translated; in the body of a Scan over `sequence`, `scanned` are its inputs.

    `stored` are the weights and the bias of all gates where the graph has them already, in the order of ONNX.
    """

    def __init__(
        self,
        body: GraphWriter,
        names: Mapping[Symbol, str],
        p: Parameters,
        sequence: str = "",
        stored: tuple[str, str] | None = None,
    ) -> None:
        self.sequence, self.scanned, self.stored = sequence, list[str](), stored
        self.program = program(cell.form_of(p, NO_DROPOUT, split=bool(sequence)))
        super().__init__(body, names, cell.parameter_values(self.program.form, p), "")
        self.gates = self.program.form.weighted_gates
        self.sizes = cell.size_of_axes(p)
        self.stacked: dict[Symbol, tuple[str, dict[str, str]]] = {}  # sums of all gates side by side, and their parts

    def translate_program(self, name: str, accumulate: Callable[[str, str], str] | None = None) -> list[str]:
        """Translate every equation of a step to ONNX; return the names of i, f, g, o, c and h.

        Steps may be an axis where `accumulate` adds what makes their cell states of f and i · g. The node that makes
        the hidden state before any projection is called `name`.
        """
        for line in self.program.forward:
            named = {"name": name} if line.left == self.program.form.produced else {}
            if line.left == C and accumulate is not None:
                forget, added = (self.translate(term) for term in (Symbol("f"), tree.times(Symbol("i"), Symbol("g"))))
                self.names[C] = accumulate(forget, added)
            elif not self._translate_stacked(line):
                self.names[line.left] = self.translate(line.right, **named)
        return [self.names[symbol] for symbol in (*map(Symbol, "ifgo"), C, H)]

    def _translate_stacked(self, line: Assignment) -> bool:
        """Compute the products of a gate's equation, and its bias, for all gates at once; say whether there are any."""
        k, stack = line.left.sub[:1], Symbol(line.left.base)
        if not k or k not in self.gates:
            return False
        terms = line.right.terms if isinstance(line.right, tree.Sum) else (line.right,)
        parameters = {term: term.left if isinstance(term, tree.MatMul) else term for term in terms}
        shared = {
            term: symbol
            for term, symbol in parameters.items()
            if isinstance(symbol, Symbol) and symbol.sub == k and symbol in self.parameters
        }
        if not any(isinstance(term, tree.MatMul) for term in shared):
            return False
        if stack not in self.stacked:
            sums = [self._translate_of_gates(*pair) for pair in shared.items()]
            total = sums[0]
            for name in sums[1:]:
                total = self.body.node("Add", [total, name])
            parts = {gate: self.body.new_name(gate) for gate in (ORDERS["onnx"] if self.stored else self.gates)}
            sizes = self.body.constant([self.sizes[UNITS]] * len(parts))
            self.body.node("Split", [total, sizes], *parts.values(), axis=-1)
            self.stacked[stack] = total, parts
        others = [term for term in terms if term not in shared]
        self.names[line.left] = self._add_terms(self.stacked[stack][1][k], others)
        return True

    def _translate_of_gates(self, term: Formula, parameter: Symbol) -> str:
        """Add a product, or a bias, with the parameters of all gates side by side, given those of one."""
        if self.stored:
            weight, bias = self.stored
            return (
                self.body.node("MatMul", [self.translate(term.right), weight])
                if isinstance(term, tree.MatMul)
                else bias
            )
        array = np.concatenate([self.parameters[replace(parameter, sub=gate)] for gate in self.gates])
        if not isinstance(term, tree.MatMul):
            return self.body.constant(array.reshape(1, -1))
        transposed = self.body.constant(array.T)
        if term.right == X and self.sequence and self.body.parent is not None:
            self.scanned.append(self.body.parent.node("MatMul", [self.sequence, transposed]))
            return self.body.input(self.body.new_name("product"), ["batch", len(array)])
        return self.body.node("MatMul", [self.translate(term.right), transposed])

    def translate(self, formula: Formula, **named: Any) -> str:
        """Add the ONNX nodes that compute a formula of the cell, and return the name of its value."""
        match formula:
            case tree.Concatenation((Symbol() as first, *_)) if Symbol(first.base) in self.stacked:
                return self.stacked[Symbol(first.base)][0]  # as it was before it was split
            case tree.Concatenation(parts):
                return self.body.node("Concat", [self.translate(part) for part in parts], axis=-1)
            case tree.FunctionCall("mean", (argument,)):
                longest = max(tree.symbols(argument), key=lambda symbol: self.program.ranks[symbol])
                count = self.sizes[self.program.axes[longest][0]]
                total = self.body.node("ReduceSum", [self.translate(argument), self.body.constant([-1])], keepdims=1)
                return self._add_node("Mul", total, self.translate(tree.Number(1 / count)))
        return super().translate(formula, **named)
