"""The equations of one step of a cell, written out in ONNX's standard operators: the body of a Scan.

The formulas of the cell's program are translated. Terms that all gates compute alike are computed once, for all gates
side by side, and then split: one product with the weights of four gates is faster than four products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.equations import NO_DROPOUT
from gatewise.interop.onnx.building import Graph
from gatewise.parameters import Parameters
from gatewise.symbolic import binding
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import (
    Concatenation,
    Formula,
    FunctionCall,
    Holds,
    MatMul,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    add,
    rebuild,
    symbols,
)
from gatewise.symbolic.functions import FUNCTIONS, RELATIONS
from gatewise.symbolic.nonlinearities import ARGUMENT, definition
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, H_PREV, C, H, X

_ANY = "any gate"


def fill(body: Graph, p: Parameters, name: str) -> list[str]:
    """Fill the body of a Scan with the equations of one step; return the names of the quantities that it outputs.

    The node that makes the hidden state before any projection is called `name`.
    """
    return _Translation(body, p, name).results()


class _Translation:
    """A program as it is translated into a graph: each symbol has the name of its tensor there."""

    def __init__(self, body: Graph, p: Parameters, name: str) -> None:
        self.body, self.p, self.name = body, p, name
        self.program = program(binding.form_of(p, NO_DROPOUT))
        self.gates = self.program.form.weighted_gates
        self.sizes = binding.sizes(p)
        self.parameters = binding.parameters(self.program.form, p)
        self.names: dict[Symbol, str] = {}
        self.together: dict[Symbol, str] = {}  # tensors of all gates side by side, by the symbol of any gate
        self.parts: dict[Symbol, dict[str, str]] = {}  # of these, the part of each gate, once they are split
        self.outputs: dict[tuple[str, ...], str] = {}  # of nodes, by operator and inputs: nothing is computed twice

    def results(self) -> list[str]:
        """Translate every equation; return the names of the gates, the cell state and the hidden state."""
        body, p = self.body, self.p
        for symbol, width in ((H_PREV, p.recurrent_size), (C_PREV, p.hidden_size), (X, p.input_size)):
            self.names[symbol] = body.input(symbol.base, ["batch", width])
        for line in self.program.forward:
            named = {"name": self.name} if line.left == self.program.form.produced else {}
            if not self._translate_shared(line):
                self.names[line.left] = self._translate(line.right, **named)
        body.node("Identity", [self.names[H]], "h_next")
        body.node("Identity", [self.names[C]], "c_next")
        quantities = [self.names[symbol] for symbol in (*(Symbol(k) for k in "ifgo"), C, H)]
        names = [body.node("Identity", [name], f"kept_{number}") for number, name in enumerate(quantities)]
        widths = (p.recurrent_size, *[p.hidden_size] * 6, p.recurrent_size)
        for name, width in zip(("h_next", "c_next", *names), widths, strict=True):
            body.output(name, ["batch", width])
        return names

    # Terms that all gates compute alike.

    def _translate_shared(self, line: Assignment) -> bool:
        """Compute a quantity for all gates at once, as far as its terms are alike for all; return whether it was."""
        k = _split_subscript(line.left.sub)[1]
        lines = (
            [self.program.assignments.get(_of_gate(_any_gate(line.left), gate)) for gate in self.gates] if k else [None]
        )
        terms = {gate: _terms(twin) for gate, twin in zip(self.gates, lines, strict=False) if twin is not None}
        if len(terms) != len(self.gates):
            return False
        shapes = {gate: [_generalise(term, gate) for term in of_gate] for gate, of_gate in terms.items()}
        common = [
            shape
            for shape in shapes[k]
            if all(shape in others for others in shapes.values())
            and all(map(self._side_by_side, _symbols_beside_matrices(shape)))
        ]
        if all(isinstance(term, Symbol) for term in common):  # a bias alone is better added where it is
            return False
        sums = _any_gate(replace(line.left, base=f"{line.left.base}·"))
        if sums not in self.together:
            self.together[sums] = self._translate(add(*common))
            if all(len(of_gate) == len(common) for of_gate in shapes.values()):
                self.together[_any_gate(line.left)] = self.together[sums]
        if _any_gate(line.left) not in self.together:
            rest = [term for term, shape in zip(terms[k], shapes[k], strict=True) if shape not in common]
            self.names[line.left] = self._add_terms(self._part(sums, k), rest)
        return True

    def _side_by_side(self, symbol: Symbol) -> bool:
        """Say whether a symbol of any gate can represent all of them, or is one number, the same for all."""
        if _ANY not in symbol.sub:
            return not self.program.ranks[symbol]
        return symbol in self.together or self._stack_gates(symbol) is not None

    def _stack_gates(self, symbol: Symbol) -> Array | None:
        """Return a parameter of all gates side by side."""
        every = [_of_gate(symbol, k) for k in self.gates]
        if not all(part in self.parameters for part in every):
            return None
        return np.concatenate([self.parameters[part] for part in every])

    def _part(self, symbol: Symbol, k: str) -> str:
        """Return the part of a gate in a tensor of all gates, which is split when a part is first asked for."""
        if symbol not in self.parts:
            names = [self.body.new(gate) for gate in self.gates]
            sizes = self.body.constant([self.p.hidden_size] * len(names))
            self.body.node("Split", [self.together[symbol], sizes], *names, axis=1)
            self.parts[symbol] = dict(zip(self.gates, names, strict=True))
        return self.parts[symbol][k]

    # Formulas.

    def _translate(self, formula: Formula, **named: Any) -> str:
        """Return the name of a formula's value."""
        body = self.body
        match formula:
            case Symbol():
                return self._symbol(formula)
            case Number(value):
                return self._number(value)
            case Sum((first, *rest)):
                return self._add_terms(self._translate(first), rest)
            case Negative(term):
                return self._node("Neg", self._translate(term))
            case Product((first, *rest)):
                product = self._translate(first)
                for factor in rest[:-1]:
                    product = self._node("Mul", product, self._translate(factor))
                last = self._translate(rest[-1])
                return body.node("Mul", [product, last], **named) if named else self._node("Mul", product, last)
            case Quotient(over, under):
                return self._node("Div", self._translate(over), self._translate(under))
            case Power(base, Number(2)):
                root = self._translate(base)
                return self._node("Mul", root, root)
            case MatMul(Symbol() as matrix, vector):
                return self._product(matrix, vector)
            case Concatenation(parts):
                return self._concatenate(parts)
            case Holds(left, relation, right):
                truth = self._node(RELATIONS[relation].operator, self._translate(left), self._translate(right))
                return self._node("Where", truth, self._number(1), self._number(0))
            case FunctionCall("mean", (argument,)):
                return self._mean(argument)
            case FunctionCall(name, arguments) if name in FUNCTIONS and FUNCTIONS[name].operator:
                return self._node(FUNCTIONS[name].operator, *(self._translate(argument) for argument in arguments))
            case FunctionCall(_, (argument,), activation) if activation is not None:
                formula = rebuild(definition(activation), lambda node: argument if node == ARGUMENT else None)
                return self._translate(formula)
        raise TypeError(f"no operators for {formula!r}")

    def _add_terms(self, total: str, terms: Sequence[Formula]) -> str:
        for term in terms:
            negative = isinstance(term, Negative)
            other = self._translate(term.term if isinstance(term, Negative) else term)
            total = self._node("Sub" if negative else "Add", total, other)
        return total

    def _symbol(self, symbol: Symbol) -> str:
        if symbol in self.together:
            return self.together[symbol]
        if symbol in self.names:
            return self.names[symbol]
        if _any_gate(symbol) in self.together:
            return self._part(_any_gate(symbol), _split_subscript(symbol.sub)[1])
        # A parameter: of any gate, those of all gates side by side.
        array = self._stack_gates(symbol) if _ANY in symbol.sub else self.parameters[symbol]
        self.names[symbol] = self.body.constant(np.asarray(array).reshape(1, -1))
        return self.names[symbol]

    def _product(self, matrix: Symbol, vector: Formula) -> str:
        array = self._stack_gates(matrix) if _ANY in matrix.sub else self.parameters[matrix]
        return self._node("MatMul", self._translate(vector), self.body.constant(np.asarray(array).T))

    def _node(self, operator: str, *inputs: str) -> str:
        """Return the name of a node's output; a node of the same operator and inputs is used again."""
        if (operator, *inputs) not in self.outputs:
            self.outputs[operator, *inputs] = self.body.node(operator, inputs)
        return self.outputs[operator, *inputs]

    def _number(self, value: float) -> str:
        key = ("constant", repr(float(value)))
        if key not in self.outputs:
            self.outputs[key] = self.body.constant(float(value))
        return self.outputs[key]

    def _concatenate(self, parts: Sequence[Formula]) -> str:
        first = parts[0]
        if (
            isinstance(first, Symbol)
            and first.sub
            and list(parts) == [_of_gate(_any_gate(first), k) for k in self.gates]
            and _any_gate(first) in self.together
        ):
            return self.together[_any_gate(first)]  # as it was before it was split
        return self.body.node("Concat", [self._translate(part) for part in parts], axis=1)

    def _mean(self, argument: Formula) -> str:
        longest = max(symbols(argument), key=lambda symbol: self.program.ranks[symbol])
        count = self.sizes[self.program.axes[longest][0]]
        total = self.body.node("ReduceSum", [self._translate(argument), self.body.constant([-1])], keepdims=1)
        return self._node("Mul", total, self._number(1 / count))


def _terms(line: Assignment) -> tuple[Formula, ...]:
    """Return the terms of an equation that is a sum, or a product with a matrix."""
    match line.right:
        case Sum(terms):
            return terms
        case MatMul():
            return (line.right,)
    return ()


def _any_gate(symbol: Symbol) -> Symbol:
    """Return the symbol of any gate for that of one."""
    before, k, after = _split_subscript(symbol.sub)
    return replace(symbol, sub=f"{before}{_ANY}{after}") if k else symbol


def _of_gate(symbol: Symbol, k: str) -> Symbol:
    return replace(symbol, sub=symbol.sub.replace(_ANY, k))


def _split_subscript(sub: str) -> tuple[str, str, str]:
    """Return the text before the letter of a gate, the letter, and the text after it."""
    gate, comma, rest = sub.partition(",")
    return (gate[:-1], gate[-1], comma + rest) if gate and gate[-1] in "ifgo" else (sub, "", "")


def _generalise(formula: Formula, k: str) -> Formula:
    """Return a gate's formula with the symbols of any gate in the place of its own."""

    def change(node: Formula) -> Formula | None:
        return _any_gate(node) if isinstance(node, Symbol) and _split_subscript(node.sub)[1] == k else None

    return rebuild(formula, change)


def _symbols_beside_matrices(formula: Formula) -> list[Symbol]:
    """Return the symbols of a formula but for the vectors that matrices multiply: those may be of any size."""
    beside: list[Symbol] = []

    def change(node: Formula) -> Formula | None:
        if isinstance(node, MatMul):
            beside.extend(symbols(node.left))
            return node
        if isinstance(node, Symbol):
            beside.append(node)
        return None

    rebuild(formula, change)
    return beside
