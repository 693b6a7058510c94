"""Formulas and equations as LaTeX, for math mode."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.render import text
from gatewise.render.layout import Line, shapes
from gatewise.render.writing import LeftOut, elided, entrywise, loose, signed
from gatewise.symbolic.formula import (
    Concatenation,
    Formula,
    FunctionCall,
    Holds,
    MatMul,
    Negative,
    Number,
    NumberRow,
    Outer,
    Power,
    Product,
    Quotient,
    Slice,
    Slope,
    Sum,
    Symbol,
    Transpose,
    factors,
)
from gatewise.symbolic.functions import FUNCTIONS, RELATIONS
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Definition, WorkedEquation

LONG = 60  # letters, as the text format counts them, of a line of a displayed sum
TALL = 46  # of each side of a fraction that is written on two levels, where TeX can break no line

GREEK = {
    letter: "\\" + unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
    for letter in "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
}
GREEK |= {letter: command.title() for letter, command in GREEK.items() if letter.isupper()}
_TILDE = "\N{COMBINING TILDE}"


def formula(node: Formula) -> str:
    r"""Return a formula as LaTeX for math mode, with no more brackets than needed.

    Examples
    --------
    >>> print(formula(Sum((Product((Symbol("f"), Symbol("c_prev"))), Negative(Number(0.5))))))
    f \odot c_{\mathrm{prev}} - 0.5
    """
    match node:
        case Symbol():
            return _symbol(node)
        case Number(value):
            return figure(number(value))
        case NumberRow(values):
            return _row(values)
        case Sum():
            return _joined(_terms(node))
        case Negative(term):
            return f"-{_tight(term, Sum, Negative)}"
        case Product():
            return _product(node)
        case MatMul(left, right):
            return rf"{_tight(left, Sum, Negative, Product)} \cdot {_tight(right, Sum, Negative, Product)}"
        case Transpose(matrix):
            return f"{_base(matrix)}^{{\\top}}"
        case Outer(left, right, rows):
            if rows:
                return rf"{_base(left)}^{{\top}} \cdot {_tight(right, Sum, Negative, Product)}"
            return rf"{_tight(left, Sum, Negative, Product)} \cdot {_base(right)}^{{\top}}"
        case Slice(vector, start, stop):
            return f"{formula(vector)}[{start}{{:}}{stop}]"
        case Slope(inner):
            return formula(inner)
        case Quotient(over, under):
            if not _tall(node):
                kinds = (Sum, Negative, Product, Quotient)
                return f"{_tight(over, *kinds)} / {_tight(under, *kinds)}"
            return rf"\frac{{{formula(over)}}}{{{formula(under)}}}"
        case Power(base, exponent):
            return f"{_base(base)}^{{{formula(exponent)}}}"
        case FunctionCall("exp", (argument,)):
            return f"e^{{{formula(argument)}}}"
        case FunctionCall("abs", (argument,)):
            return rf"\lvert {formula(argument)} \rvert"
        case FunctionCall("sqrt", (argument,)):
            return rf"\sqrt{{{formula(argument)}}}"
        case FunctionCall(name, arguments):
            return function(name) + _brackets(", ".join(formula(argument) for argument in arguments), node)
        case Holds(left, relation, right):
            return f"[{formula(left)} {RELATIONS[relation].latex} {formula(right)}]"
        case Concatenation(parts, mark):
            return f"[{f'{mark} '.join(formula(part) for part in parts)}]"
        case _:
            raise TypeError(f"not a formula: {node!r}")


def figure(plain: str) -> str:
    r"""Return a number, as `numbers.number` writes it, as LaTeX.

    Examples
    --------
    >>> print(figure("-0.5"), figure("-1.2e-09"), figure("1e+20"), figure("-inf"))
    -0.5 {-1.2 \times 10^{-9}} {10^{20}} -\infty
    """
    digits, e, exponent = plain.partition("e")
    if e:
        power = f"10^{{{int(exponent)}}}"
        return f"{{{digits.removesuffix('1')}{power}}}" if digits in ("1", "-1") else rf"{{{digits} \times {power}}}"
    return plain.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")


def function(name: str) -> str:
    """Return the name of a function, or of its derivative."""
    bare = name.rstrip("'")
    if bare in GREEK:
        command = GREEK[bare]
    else:
        known = FUNCTIONS.get(bare)
        command = known.latex if known and known.latex else rf"\operatorname{{{bare.replace('_', '~')}}}"
    return command + name[len(bare) :]


def broken(node: Formula) -> list[str]:
    """Return a formula as lines; a long sum goes on, with a sign, on the next one."""
    if not isinstance(node, Sum):
        return [formula(node)]
    lines: list[list[tuple[str, str]]] = [[]]
    length = 0
    terms = _terms(node)
    for term, width in zip(terms, _widths(node), strict=True):
        if lines[-1] and length + width > LONG:
            lines.append([])
            length = 0
        lines[-1].append(term)
        length += width
    first, *more = lines
    return [_joined(first), *("{} " + " ".join(f"{sign} {latex}" for sign, latex in line) for line in more)]


def _symbol(symbol: Symbol) -> str:
    head, _, tail = symbol.base.partition("_")
    below = [] if tail == "tilde" else [tail]
    letter, wavy = head.replace(_TILDE, ""), tail == "tilde" or _TILDE in head
    if letter[1:].isdigit():
        letter, below = letter[0], [*below, letter[1:]]
    latex = GREEK.get(letter, letter if len(letter) == 1 else rf"\math{'rm' if tail else 'it'}{{{letter}}}")
    latex = rf"\tilde{{{latex}}}" if wavy else latex
    marks = ",".join(_mark(mark) for mark in (*below, *symbol.sub.split(",")) if mark)
    latex = (r"\mathrm{d}" if symbol.d else "") + latex + (f"_{{{marks}}}" if marks else "")
    return latex if symbol.time is None else f"{latex}^{{({symbol.time})}}"


def _mark(mark: str) -> str:
    """Return the subscript of a symbol: letters and numbers, a word, or another symbol."""
    if "_" in mark:
        return _symbol(Symbol(mark))
    if mark.isalnum() and len(mark) > 2:
        return rf"\mathrm{{{mark}}}"
    return "".join(f"{GREEK[letter]} " if letter in GREEK else letter for letter in mark).rstrip()


def _product(node: Product) -> str:
    first, *rest = factors(node)
    kinds = (Sum, Negative, Product, MatMul, Outer)
    latex = [formula(first) if isinstance(first, Number) else _tight(first, *kinds)]
    latex += [_tight(factor, *kinds) for factor in rest]
    return (r" \odot " if entrywise(node) else r" \times ").join(latex)


def _row(values: Sequence[Any]) -> str:
    entries = (_left_out(entry) if isinstance(entry, LeftOut) else figure(number(entry)) for entry in elided(values))
    return "[" + r", \allowbreak ".join(entries) + "]"


def _left_out(rest: LeftOut) -> str:
    return rf"\dots\text{{ {rest.count} more }}\dots"


def _terms(node: Sum) -> list[tuple[str, str]]:
    """Return the terms of a sum that are shown, each as its sign and the rest."""
    return [("+", _left_out(term)) if isinstance(term, LeftOut) else _term(term) for term in elided(node.terms)]


def _widths(node: Sum) -> list[int]:
    return [20 if isinstance(term, LeftOut) else _width(term) + 3 for term in elided(node.terms)]


def _joined(terms: Sequence[tuple[str, str]]) -> str:
    (sign, first), *rest = terms
    return " ".join([first if sign == "+" else f"-{first}", *(f"{s} {latex}" for s, latex in rest)])


def _term(node: Formula) -> tuple[str, str]:
    sign, rest = signed(node)
    latex = _tight(rest, Sum, Negative) if sign == "-" else formula(rest)
    return sign, latex if not latex.startswith("-") else _brackets(latex, rest)


def _tight(node: Formula, *kinds: type[Formula]) -> str:
    """Return a formula, in brackets if it is one of the loose kinds, or a negative number."""
    if isinstance(node, Slope):
        return _tight(node.body, *kinds)
    divided = isinstance(node, Quotient) and Quotient not in kinds and not _tall(node)
    return _brackets(formula(node), node) if divided or loose(node, *kinds) else formula(node)


def _base(node: Formula) -> str:
    """Return the base of a power or a transposition, in brackets if it needs them."""
    if isinstance(node, Slope):
        return _base(node.body)
    plain = isinstance(node, Symbol) and node.time is None
    plain = plain or (isinstance(node, Number) and node.value >= 0 and "e" not in number(node.value))
    plain = (
        plain
        or isinstance(node, (NumberRow, Holds, Concatenation))
        or (isinstance(node, FunctionCall) and node.name not in ("exp",))
    )
    return formula(node) if plain else _brackets(formula(node), node)


def _brackets(latex: str, node: Formula) -> str:
    """Return the LaTeX of a formula in brackets; TeX breaks no line within brackets that grow with it."""
    grow = r"\frac" in latex and _width(node) <= TALL
    return rf"\left({latex}\right)" if grow else f"({latex})"


def _width(node: Formula) -> int:
    return len(text.glued(node))


def _tall(node: Quotient) -> bool:
    """Return whether a quotient is written on two levels."""
    return max(_width(node.over), _width(node.under)) <= TALL


# Equations.


def defined(definition: Definition) -> str:
    """Return the definition of a nonlinearity as a row of a display."""
    right = formula(definition.right).replace(r"\odot", r"\cdot")  # of single numbers
    return f"{function(definition.name)}(a) &= {right}"


def symbols(equation: WorkedEquation, rows: bool) -> list[str]:
    """Return an equation in symbols, and its shapes, as rows of a display."""
    first, *more = broken(equation.right)
    lines = [f"{formula(equation.left)} &= {first}", *(rf"&\quad {line}" for line in more)]
    shape = shapes(equation, rows).replace("·", r"\cdot").replace("→", r"\to")
    shape = shape.replace("one number", r"\text{one number}")
    return [*lines[:-1], rf"{lines[-1]} &\qquad& {shape}"]


def right_side(line: Line) -> str:
    """Return the right side of an equation with numbers in it, and what it gives."""
    result = _row(line.value) if np.ndim(line.value) else figure(number(line.value))
    middle = formula(line.right)
    return result if middle == result else rf"{middle}\gives {result}"
