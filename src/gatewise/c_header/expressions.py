"""Formulas as C expressions, over several entries of a vector at a time or over one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import reduce

import numpy as np

from gatewise.c_header.arithmetic import FACTOR, WHOLE, Arithmetic, Expression
from gatewise.c_header.phases import HALVED, identifier
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import Formula, Number, Symbol, rebuild
from gatewise.symbolic.nonlinearities import ARGUMENT, definition

LARGEST = float(np.finfo(np.float32).max)
RELATIONS = {">": "above", "<": "below", "≤": "at_most"}
FUNCTIONS = {
    "σ": "sigmoid",
    HALVED: "sigmoid_of_half",
    "ln": "log",
    "clip": "clip",
    **{name: name for name in ("tanh", "max", "min", "exp", "abs", "sqrt", "erf")},
}


def literal(value: float) -> str:
    """Return a number as a float of C, in which each of float32 can be told from its neighbours."""
    if math.isnan(value):
        return "NAN"
    number = np.float32(min(max(value, -LARGEST), LARGEST))
    text = f"{number:.9g}"
    return f"{text if set(text) & set('.en') else f'{text}.0'}f"


class Expressions:
    """Writes formulas for entries of a width.

    Parameters
    ----------
    prefix : str
        Of every name in the header.
    width : int
        How many entries a value has; 1 is a plain float.
    value_of : callable
        What stands for a symbol: an expression, and whether it is a single number for all entries.
    """

    def __init__(self, prefix: str, width: int, value_of: Callable[[Symbol], tuple[str, bool]]) -> None:
        self.prefix, self.width, self.value_of = prefix, width, value_of
        self.arithmetic, self.functions = Arithmetic(prefix, width), set[str]()

    def write(self, formula: Formula) -> str:
        """Return the expression of a formula, as one value of the width."""
        term = self._write(formula)
        if self.width == 1 or not term.single:
            return term.text
        self.functions.add("all")
        return f"{self.prefix}_all_{self.width}({term.text})"

    def _write(self, node: Formula) -> Expression:
        """Return an expression, which may be a single number for all entries."""
        match node:
            case Number(value):
                return Expression(literal(value), FACTOR if value < 0 else WHOLE, single=True)
            case Symbol():
                text, single = self.value_of(node)
                return Expression(text, single=single)
            case tree.MatMul(left):
                assert isinstance(left, Symbol)
                return Expression(f"dot_{identifier(left)}")
            case tree.Sum(terms):
                return self._sum(terms)
            case tree.Negative(term):
                return self.arithmetic.negative(self._write(term))
            case tree.Product(factors):
                return reduce(self.arithmetic.product, map(self._write, factors))
            case tree.Quotient(over, under):
                return self.arithmetic.quotient(self._write(over), self._write(under))
            case tree.Power(base, Number(exponent)) if exponent in (2, 3):
                square = self._call("square", (base,))
                return square if exponent == 2 else self.arithmetic.product(square, Expression(self.write(base)))
            case tree.Slope(body):
                return self._write(body)
            case tree.Holds(left, relation, right):
                return self._call(RELATIONS[relation], (left, right))
            case tree.FunctionCall():
                return self._function(node)
        raise TypeError(f"no expression of C for {type(node).__name__}")

    def _sum(self, terms: tuple[Formula, ...]) -> Expression:
        total = self._write(terms[0])
        for term in terms[1:]:
            if isinstance(term, tree.Negative):
                total = self.arithmetic.difference(total, self._write(term.term))
            else:
                total = self.arithmetic.sum(total, self._write(term))
        return total

    def _call(self, name: str, arguments: tuple[Formula, ...]) -> Expression:
        self.functions.add(name)
        return Expression(f"{self.prefix}_{name}_{self.width}({', '.join(map(self.write, arguments))})")

    def _function(self, node: tree.FunctionCall) -> Expression:
        activation = node.activation
        if activation is not None and activation.name not in ("sigmoid", "tanh"):
            argument = node.arguments[0]
            body = rebuild(definition(activation), lambda part: argument if part == ARGUMENT else None)
            return self._write(body)
        return self._call(FUNCTIONS[node.name], node.arguments)


NEEDS: Mapping[str, tuple[str, ...]] = {  # of each function, the others that it calls
    "tanh": ("clip",),
    "sigmoid": ("tanh",),
    "sigmoid_of_half": ("tanh",),
    "clip": ("max", "min"),
}


def with_needed(functions: Iterable[str]) -> list[str]:
    """Return functions and those that they call, each after what it calls."""
    ordered: dict[str, None] = {}
    for name in sorted(functions):
        ordered.update(dict.fromkeys([*with_needed(NEEDS.get(name, ())), name]))
    return list(ordered)
