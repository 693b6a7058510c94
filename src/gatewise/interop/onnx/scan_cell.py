"""The equations of one step of a cell, written out in ONNX's standard operators: the body of a Scan.

The formulas of the cell's program are translated. Terms that all gates compute alike are computed once, for all gates
side by side, and then split: one product with the weights of four gates is faster than four products.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.equations import NO_DROPOUT
from gatewise.interop.onnx.building import Graph
from gatewise.parameters import Parameters
from gatewise.symbolic import binding
from gatewise.symbolic import formula as tree
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import Formula, Number, Symbol, add, parts, rebuild, symbols
from gatewise.symbolic.functions import FUNCTIONS, RELATIONS
from gatewise.symbolic.nonlinearities import ARGUMENT, definition
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import C_PREV, H_PREV, C, H, X

_ANY = "any gate"
_GATE = re.compile("[ifgo](?=,|$)")  # the letter of a gate in what is below a symbol: f; u f; f,raw


def fill_scan_body(body: Graph, p: Parameters, name: str) -> list[str]:
    """Fill the body of an ONNX Scan with the equations of an LSTM step; return the names of its output quantities.

    The node that makes the hidden state before any projection is called `name`.
    """
    return _Translation(body, p, name).translate_program()


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

    def translate_program(self) -> list[str]:
        """Translate every equation of an LSTM step to ONNX; return the names of gates, cell state and hidden state."""
        body, p = self.body, self.p
        for symbol, width in ((H_PREV, p.recurrent_size), (C_PREV, p.hidden_size), (X, p.input_size)):
            self.names[symbol] = body.input(symbol.base, ["batch", width])
        for line in self.program.forward:
            named = {"name": self.name} if line.left == self.program.form.produced else {}
            if not self._translate_shared(line):
                self.names[line.left] = self._translate_formula(line.right, **named)
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
        """Compute an LSTM quantity for all gates at once in ONNX, as far as its terms are alike; say whether it was."""
        k = _gate_letter(line.left)
        assignments = self.program.assignments
        lines = [assignments.get(_symbol_of_gate(_any_gate(line.left), gate)) for gate in self.gates] if k else [None]
        terms = {gate: _sum_terms(twin) for gate, twin in zip(self.gates, lines, strict=False) if twin is not None}
        if len(terms) != len(self.gates):
            return False
        shapes = {gate: [_formula_of_any_gate(term, gate) for term in of_gate] for gate, of_gate in terms.items()}
        common = [
            shape
            for shape in shapes[k]
            if all(shape in others for others in shapes.values())
            and all(map(self._is_shared, _symbols_beside_matrices(shape)))
        ]
        if all(isinstance(term, Symbol) for term in common):  # a bias alone is better added where it is
            return False
        sums = _any_gate(replace(line.left, base=f"{line.left.base}·"))
        if sums not in self.together:
            self.together[sums] = self._translate_formula(add(*common))
            if all(len(of_gate) == len(common) for of_gate in shapes.values()):
                self.together[_any_gate(line.left)] = self.together[sums]
        if _any_gate(line.left) not in self.together:
            own_terms = [term for term, shape in zip(terms[k], shapes[k], strict=True) if shape not in common]
            self.names[line.left] = self._add_terms(self._gate_part(sums, k), own_terms)
        return True

    def _is_shared(self, symbol: Symbol) -> bool:
        """Say whether one ONNX tensor can hold a symbol for all gates side by side, or it is one number for all."""
        if _ANY not in symbol.sub:
            return not self.program.ranks[symbol]
        return symbol in self.together or self._stack_gates(symbol) is not None

    def _stack_gates(self, symbol: Symbol) -> Array | None:
        """Return an LSTM parameter of all gates side by side, for one ONNX constant; None if it is no parameter."""
        every = [_symbol_of_gate(symbol, k) for k in self.gates]
        if not all(part in self.parameters for part in every):
            return None
        return np.concatenate([self.parameters[part] for part in every])

    def _gate_part(self, symbol: Symbol, k: str) -> str:
        """Return the name of a gate's part of an ONNX tensor of all gates, which is split at the first use."""
        if symbol not in self.parts:
            names = [self.body.new_name(gate) for gate in self.gates]
            sizes = self.body.constant([self.p.hidden_size] * len(names))
            self.body.node("Split", [self.together[symbol], sizes], *names, axis=1)
            self.parts[symbol] = dict(zip(self.gates, names, strict=True))
        return self.parts[symbol][k]

    # Formulas.

    def _translate_formula(self, formula: Formula, **named: Any) -> str:
        """Add the ONNX nodes that compute a formula, and return the name of its value."""
        body = self.body
        match formula:
            case Symbol():
                return self._translate_symbol(formula)
            case Number(value):
                return self._number_constant(value)
            case tree.Sum((first, *rest)):
                return self._add_terms(self._translate_formula(first), rest)
            case tree.Negative(term):
                return self._add_node("Neg", self._translate_formula(term))
            case tree.Product((first, *rest)):
                product = self._translate_formula(first)
                for factor in rest[:-1]:
                    product = self._add_node("Mul", product, self._translate_formula(factor))
                last = self._translate_formula(rest[-1])
                return body.node("Mul", [product, last], **named) if named else self._add_node("Mul", product, last)
            case tree.Quotient(over, under):
                return self._add_node("Div", self._translate_formula(over), self._translate_formula(under))
            case tree.Power(base, Number(2)):
                root = self._translate_formula(base)
                return self._add_node("Mul", root, root)
            case tree.MatMul(Symbol() as matrix, vector):
                return self._translate_product(matrix, vector)
            case tree.Concatenation(parts):
                return self._translate_concatenation(parts)
            case tree.Holds(left, relation, right):
                truth = self._add_node(
                    RELATIONS[relation].operator, self._translate_formula(left), self._translate_formula(right)
                )
                return self._add_node("Where", truth, self._number_constant(1), self._number_constant(0))
            case tree.FunctionCall("mean", (argument,)):
                return self._translate_mean(argument)
            case tree.FunctionCall(name, arguments) if name in FUNCTIONS and FUNCTIONS[name].operator:
                return self._add_node(
                    FUNCTIONS[name].operator, *(self._translate_formula(argument) for argument in arguments)
                )
            case tree.FunctionCall(_, (argument,), activation) if activation is not None:
                formula = rebuild(definition(activation), lambda node: argument if node == ARGUMENT else None)
                return self._translate_formula(formula)
        raise TypeError(f"no operators for {formula!r}")

    def _add_terms(self, total: str, terms: Sequence[Formula]) -> str:
        """Add the ONNX nodes that add terms to a total, and return the name of the sum."""
        for term in terms:
            negative = isinstance(term, tree.Negative)
            other = self._translate_formula(term.term if isinstance(term, tree.Negative) else term)
            total = self._add_node("Sub" if negative else "Add", total, other)
        return total

    def _translate_symbol(self, symbol: Symbol) -> str:
        """Return the name of a symbol's ONNX tensor: a computed quantity, the part of a gate, or a constant."""
        if symbol in self.together:
            return self.together[symbol]
        if symbol in self.names:
            return self.names[symbol]
        if _any_gate(symbol) in self.together:
            return self._gate_part(_any_gate(symbol), _gate_letter(symbol))
        # A parameter: of any gate, those of all gates side by side.
        array = self._stack_gates(symbol) if _ANY in symbol.sub else self.parameters[symbol]
        self.names[symbol] = self.body.constant(np.asarray(array).reshape(1, -1))
        return self.names[symbol]

    def _translate_product(self, matrix: Symbol, vector: Formula) -> str:
        array = self._stack_gates(matrix) if _ANY in matrix.sub else self.parameters[matrix]
        return self._add_node("MatMul", self._translate_formula(vector), self.body.constant(np.asarray(array).T))

    def _add_node(self, operator: str, *inputs: str) -> str:
        """Return the name of an ONNX node's output; a node of the same operator and inputs is reused."""
        if (operator, *inputs) not in self.outputs:
            self.outputs[operator, *inputs] = self.body.node(operator, inputs)
        return self.outputs[operator, *inputs]

    def _number_constant(self, value: float) -> str:
        """Return the name of a number's ONNX constant, the same each time."""
        key = ("constant", repr(float(value)))
        if key not in self.outputs:
            self.outputs[key] = self.body.constant(float(value))
        return self.outputs[key]

    def _translate_concatenation(self, parts: Sequence[Formula]) -> str:
        """Return the name of concatenated formulas in ONNX: for all gates, that of the tensor before its split."""
        first = parts[0]
        if (
            isinstance(first, Symbol)
            and first.sub
            and list(parts) == [_symbol_of_gate(_any_gate(first), k) for k in self.gates]
            and _any_gate(first) in self.together
        ):
            return self.together[_any_gate(first)]  # as it was before it was split
        return self.body.node("Concat", [self._translate_formula(part) for part in parts], axis=1)

    def _translate_mean(self, argument: Formula) -> str:
        """Add the ONNX nodes for the mean over a vector's numbers, and return its name."""
        longest = max(symbols(argument), key=lambda symbol: self.program.ranks[symbol])
        count = self.sizes[self.program.axes[longest][0]]
        total = self.body.node("ReduceSum", [self._translate_formula(argument), self.body.constant([-1])], keepdims=1)
        return self._add_node("Mul", total, self._number_constant(1 / count))


def _sum_terms(line: Assignment) -> tuple[Formula, ...]:
    """Return the terms of a cell's equation to be translated to ONNX: of a sum, or a product with a matrix."""
    match line.right:
        case tree.Sum(terms):
            return terms
        case tree.MatMul():
            return (line.right,)
    return ()


def _any_gate(symbol: Symbol) -> Symbol:
    """Return the symbol that stands for a gate's symbol in all gates, such as W of any gate for W of f."""
    return replace(symbol, sub=_GATE.sub(_ANY, symbol.sub))


def _symbol_of_gate(symbol: Symbol, k: str) -> Symbol:
    return replace(symbol, sub=symbol.sub.replace(_ANY, k))


def _gate_letter(symbol: Symbol) -> str:
    """Return the letter of the gate that a cell's symbol belongs to; empty for any other."""
    letter = _GATE.search(symbol.sub)
    return letter[0] if letter else ""


def _formula_of_any_gate(formula: Formula, k: str) -> Formula:
    """Return a gate's formula with the symbols of any gate in place of its own, to share ONNX nodes."""

    def generalise_symbol(node: Formula) -> Formula | None:
        return _any_gate(node) if isinstance(node, Symbol) and _gate_letter(node) == k else None

    return rebuild(formula, generalise_symbol)


def _symbols_beside_matrices(formula: Formula) -> Iterator[Symbol]:
    """Yield the symbols of a cell's formula except the vectors that matrices multiply: those may be of any size."""
    if isinstance(formula, Symbol):
        yield formula
    for part in (formula.left,) if isinstance(formula, tree.MatMul) else parts(formula):
        yield from _symbols_beside_matrices(part)
