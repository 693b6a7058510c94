"""Formulas as NumPy source, and what that source computes: operation by operation the same."""

from __future__ import annotations

import builtins
import keyword
import textwrap
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.symbolic import formula as tree
from gatewise.symbolic.evaluation import Env, evaluate
from gatewise.symbolic.formula import FUNCTIONS, OVER_A_VECTOR, RELATIONS, Formula, Number, Symbol, factors, rebuild
from gatewise.symbolic.nonlinearities import textbook

Names = Mapping[Symbol, str]  # what symbols are called in the source
Functions = Mapping[Activation, str]  # and what nonlinearities are
NO_FUNCTIONS: Functions = MappingProxyType({})
WIDTH = 100
SUM, PRODUCT, MINUS, POWER, ATOM = range(5)  # how tightly an expression holds together


def expression(node: Formula, names: Names, functions: Functions = NO_FUNCTIONS) -> str:
    """Return a formula as a Python expression over NumPy arrays.

    Examples
    --------
    >>> f, c = Symbol("f"), Symbol("c_prev")
    >>> expression(tree.Sum((tree.Product((f, c)), tree.Negative(tree.Power(c, Number(2))))), {f: "f", c: "c_prev"})
    'f * c_prev - c_prev ** 2'
    """
    return _source_of(flat(node), names, functions)[0]


def flat(node: Formula) -> Formula:
    """Return a formula as its NumPy source has it: the factors of nested products side by side."""

    def flatten_factors(part: Formula) -> Formula | None:
        """Return a product with its nested factors side by side, and a slope as its body; else None."""
        match part:
            case tree.Slope(body):
                return flat(body)
            case tree.Product():
                return tree.Product(tuple(flat(factor) for factor in factors(part)))
        return None

    return rebuild(node, flatten_factors)


def computed(node: Formula) -> Formula:
    """Return a formula that evaluates as its NumPy source does: with the definitions of its nonlinearities."""

    def insert_definition(part: Formula) -> Formula | None:
        """Return the textbook formula of a nonlinearity, with its argument in it; else None."""
        match part:
            case tree.FunctionCall(name, (argument,), Activation() as activation) if name != "tanh":
                inner = computed(argument)
                return rebuild(flat(textbook(activation)), lambda leaf: inner if isinstance(leaf, Symbol) else None)
        return None

    return rebuild(flat(node), insert_definition)


def value(node: Formula, env: Env) -> Any:
    """Return the number that the NumPy source of a formula computes."""
    return evaluate(computed(node), env)


def _source_of(node: Formula, names: Names, functions: Functions) -> tuple[str, int]:
    """Return the Python source of a formula, and how tightly its outermost operator binds."""

    def bracketed(part: Formula, least_tightness: int) -> str:
        """Return the source of an operand, in brackets if it binds less tightly than it has to."""
        text, tightness = _source_of(part, names, functions)
        return text if tightness >= least_tightness else f"({text})"

    match node:
        case Symbol():
            return names[node], ATOM
        case Number(number):
            return literal(number), MINUS if number < 0 else ATOM
        case tree.Sum((first, *rest)):
            text = bracketed(first, SUM)
            for term in rest:
                match term:
                    case tree.Negative(positive):
                        text += f" - {bracketed(positive, PRODUCT)}"
                    case Number(number) if number < 0:
                        text += f" - {literal(-number)}"
                    case _:
                        text += f" + {bracketed(term, PRODUCT)}"
            return text, SUM
        case tree.Negative(term):
            return f"-{bracketed(term, POWER)}", MINUS
        case tree.Product((first, *rest)):
            return " * ".join([bracketed(first, PRODUCT), *(bracketed(factor, MINUS) for factor in rest)]), PRODUCT
        case tree.MatMul(left, right):
            return f"{bracketed(left, MINUS)} @ {bracketed(right, MINUS)}", PRODUCT
        case tree.Quotient(over, under):
            return f"{bracketed(over, PRODUCT)} / {bracketed(under, MINUS)}", PRODUCT
        case tree.Power(base, exponent):
            return f"{bracketed(base, ATOM)} ** {bracketed(exponent, ATOM)}", POWER
        case tree.Transpose(matrix):
            return f"{bracketed(matrix, ATOM)}.T", ATOM
        case tree.Outer(left, right):
            return f"np.outer({bracketed(left, SUM)}, {bracketed(right, SUM)})", ATOM
        case tree.Slice(vector, start, stop):
            return f"{names[vector]}[{start}:{stop}]", ATOM
        case tree.FunctionCall(name, arguments, activation):
            function = (
                (FUNCTIONS | OVER_A_VECTOR)[name].source
                if activation is None or name == "tanh"
                else functions[activation]
            )
            return f"{function}({', '.join(bracketed(argument, SUM) for argument in arguments)})", ATOM
        case tree.Holds(left, relation, right):
            return (
                f"np.where({bracketed(left, SUM)} {RELATIONS[relation].source} {bracketed(right, SUM)}, 1.0, 0.0)",
                ATOM,
            )
        case tree.Concatenation(parts):
            return f"np.concatenate([{', '.join(bracketed(part, SUM) for part in parts)}])", ATOM
        case _:
            raise TypeError(f"not a formula of symbols: {node!r}")


def literal(number: Any) -> str:
    """Return the Python source of a number, exactly, for a notebook's code.

    Examples
    --------
    >>> literal(2), literal(np.float64(0.1)), literal(-np.inf)
    ('2', '0.1', '-np.inf')
    """
    if isinstance(number, (int, np.integer)):
        return str(int(number))
    text = repr(float(number))
    return text if np.isfinite(number) else text.replace("inf", "np.inf").replace("nan", "np.nan")


def array(numbers: Any) -> str:
    """Return the NumPy source of an array, exactly, for a notebook's code.

    Examples
    --------
    >>> array(np.array([0.5, -1.0]))
    'np.array([0.5, -1.0])'
    """
    numbers = np.asarray(numbers)
    if numbers.ndim == 0:
        return literal(numbers[()])
    rows = [_row_source(row) for row in (numbers if numbers.ndim == 2 else [numbers])]
    if numbers.ndim == 2:
        return f"np.array([\n{textwrap.indent(''.join(f'{row},{chr(10)}' for row in rows), '    ')}])"
    return f"np.array({rows[0]})"


def _row_source(numbers: Any) -> str:
    text = f"[{', '.join(map(literal, numbers))}]"
    return textwrap.fill(text, WIDTH, subsequent_indent=" ", break_on_hyphens=False, break_long_words=False)


SPELLED_OUT = {"\N{COMBINING TILDE}": "_tilde", "{t-1}": "prev", "t-1": "prev"}


def identifier(symbol: Symbol) -> str:
    """Return a symbol, such as C̃_t, as a name in a notebook's Python code.

    Examples
    --------
    >>> identifier(Symbol("γ", "f")), identifier(Symbol("C̃", "t", d=True)), identifier(Symbol("h", "t-1"))
    ('gamma_f', 'dC_tilde_t', 'h_prev')
    """
    text = ("d" if symbol.d else "") + symbol.base + (f"_{symbol.sub}" if symbol.sub else "")
    for sign, spelled in SPELLED_OUT.items():
        text = text.replace(sign, spelled)
    return "".join(map(_identifier_letters, text))


def _identifier_letters(letter: str) -> str:
    """Return a letter of a symbol as letters of a Python name in a notebook; a Greek one by its name."""
    if letter.isascii():
        return letter if letter.isalnum() else "_"
    name = unicodedata.name(letter, "").split()
    return name[-1].lower() if name[:1] == ["GREEK"] else "_"


class NameAllocator:
    """Gives every thing a name of its own, none of which Python or the notebook uses already."""

    def __init__(self, *taken: str) -> None:
        self.names: dict[Any, str] = {}
        self.taken = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", *taken}

    def name(self, thing: Any, preferred: str) -> str:
        """Return the Python name of a thing: at first `preferred`, or that with the first number that is free."""
        if thing not in self.names:
            free, number = preferred, 2
            while free in self.taken:
                free, number = f"{preferred}_{number}", number + 1
            self.taken.add(free)
            self.names[thing] = free
        return self.names[thing]
