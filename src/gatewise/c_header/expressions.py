"""Formulas as C expressions, over several entries of a vector at a time or over one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from gatewise.c_header.phases import HALVED, identifier
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import Formula, Number, Symbol, rebuild
from gatewise.symbolic.nonlinearities import ARGUMENT, definition

ADDITIVE, FACTOR, WHOLE = 0, 1, 2  # how tightly an expression binds
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
        self.functions: set[str] = set()

    def write(self, formula: Formula) -> str:
        """Return the expression of a formula, as one value of the width."""
        text, _, single = self._write(formula)
        return self._all(text) if single else text

    def _all(self, text: str) -> str:
        if self.width == 1:
            return text
        self.functions.add("all")
        return f"{self.prefix}_all_{self.width}({text})"

    def _inner(self, formula: Formula, tight: int) -> tuple[str, bool]:
        text, binds, single = self._write(formula)
        return (text if binds >= tight else f"({text})"), single

    def _write(self, node: Formula) -> tuple[str, int, bool]:
        """Return an expression, how tightly it binds, and whether it is a single number for all entries."""
        match node:
            case Number(value):
                return literal(value), FACTOR if value < 0 else WHOLE, True
            case Symbol():
                text, single = self.value_of(node)
                return text, WHOLE, single
            case tree.MatMul(left):
                assert isinstance(left, Symbol)
                return f"dot_{identifier(left)}", WHOLE, False
            case tree.Sum(terms):
                return self._sum(terms)
            case tree.Negative(term):
                text, single = self._inner(term, WHOLE)
                return f"-{text}", ADDITIVE, single
            case tree.Product(factors):
                texts = [self._inner(factor, WHOLE) for factor in factors]
                return " * ".join(text for text, _ in texts), FACTOR, all(single for _, single in texts)
            case tree.Quotient(over, under):
                (first, single), (second, also) = self._inner(over, FACTOR), self._inner(under, WHOLE)
                return f"{first} / {second}", FACTOR, single and also
            case tree.Power(base, Number(exponent)) if exponent in (2, 3):
                self.functions.add("square")
                square = self._call("square", (base,))
                if exponent == 2:
                    return square, WHOLE, False
                return f"{square} * {self._argument(base)}", FACTOR, False
            case tree.Slope(body):
                return self._write(body)
            case tree.Holds(left, relation, right):
                return self._call(RELATIONS[relation], (left, right)), WHOLE, False
            case tree.FunctionCall():
                return self._function(node)
        raise TypeError(f"no expression of C for {type(node).__name__}")

    def _sum(self, terms: tuple[Formula, ...]) -> tuple[str, int, bool]:
        text, all_single = "", True
        for term in terms:
            minus = isinstance(term, tree.Negative)
            inner, single = self._inner(term.term if isinstance(term, tree.Negative) else term, FACTOR)
            all_single &= single
            text += f"{' - ' if minus else ' + '}{inner}" if text else f"{'-' * minus}{inner}"
        return text, ADDITIVE, all_single

    def _argument(self, formula: Formula) -> str:
        return self.write(formula)

    def _call(self, name: str, arguments: tuple[Formula, ...]) -> str:
        self.functions.add(name)
        return f"{self.prefix}_{name}_{self.width}({', '.join(self._argument(argument) for argument in arguments)})"

    def _function(self, node: tree.FunctionCall) -> tuple[str, int, bool]:
        activation = node.activation
        if activation is not None and activation.name not in ("sigmoid", "tanh"):
            argument = node.arguments[0]
            body = rebuild(definition(activation), lambda part: argument if part == ARGUMENT else None)
            return self._write(body)
        return self._call(FUNCTIONS[node.name], node.arguments), WHOLE, False


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
