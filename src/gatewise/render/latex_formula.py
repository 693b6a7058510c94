"""Formulas and equations as LaTeX, for math mode."""

from __future__ import annotations

import unicodedata

import numpy as np

from gatewise.render import text
from gatewise.render.layout import Line, shapes
from gatewise.render.writing import LeftOut, elided, entrywise, loose, signed
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import Formula, Number, Symbol
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
    >>> print(formula(tree.Sum((tree.Product((Symbol("f"), Symbol("c_prev"))), tree.Negative(Number(0.5))))))
    f \odot c_{\mathrm{prev}} - 0.5
    """
    return _WRITER.write(node)


class _LatexWriter(text.TextWriter):
    """Writes formulas as LaTeX."""

    dot, comma, colon, gap = r"\cdot", r", \allowbreak ", "{:}", " "

    def write(self, node: Formula) -> str:
        """Return a formula as LaTeX."""
        match node:
            case Symbol():
                return _symbol_latex(node)
            case Number(value):
                return figure(number(value))
            case tree.Negative(term):
                return f"-{self.tight(term, tree.Sum, tree.Negative)}"
            case tree.Quotient(over, under):
                if not _tall(node):
                    kinds = (tree.Sum, tree.Negative, tree.Product, tree.Quotient)
                    return f"{self.tight(over, *kinds)} / {self.tight(under, *kinds)}"
                return rf"\frac{{{self.write(over)}}}{{{self.write(under)}}}"
            case tree.Power(base, exponent):
                return f"{self.base(base)}^{{{self.write(exponent)}}}"
            case tree.FunctionCall("exp", (argument,)):
                return f"e^{{{self.write(argument)}}}"
            case tree.FunctionCall("abs", (argument,)):
                return rf"\lvert {self.write(argument)} \rvert"
            case tree.FunctionCall("sqrt", (argument,)):
                return rf"\sqrt{{{self.write(argument)}}}"
            case tree.FunctionCall(name, arguments):
                return function(name) + _bracketed(", ".join(map(self.write, arguments)), node)
            case tree.Holds(left, relation, right):
                return f"[{self.write(left)} {RELATIONS[relation].latex} {self.write(right)}]"
        return super().write(node)

    def tight(self, node: Formula, *kinds: type[Formula]) -> str:
        """Return a formula as LaTeX, in brackets if it is of the kinds, a negative number or a quotient on one line."""
        if isinstance(node, tree.Slope):
            return self.tight(node.body, *kinds)
        kinds = kinds or (tree.Sum, tree.Negative, tree.Product, tree.MatMul, tree.Outer)
        divided = isinstance(node, tree.Quotient) and tree.Quotient not in kinds and not _tall(node)
        return _bracketed(self.write(node), node) if divided or loose(node, *kinds) else self.write(node)

    def times(self, node: tree.Product, bracketed: bool) -> str:
        return r" \odot " if entrywise(node) else r" \times "

    def transposed(self, matrix: Formula) -> str:
        return f"{self.base(matrix)}^{{\\top}}"

    def left_out(self, rest: LeftOut) -> str:
        return rf"\dots\text{{ {rest.count} more }}\dots"

    def term(self, node: Formula) -> tuple[str, str]:
        sign, rest = signed(node)
        latex = self.tight(rest, tree.Sum, tree.Negative) if sign == "-" else self.write(rest)
        return sign, latex if not latex.startswith("-") else _bracketed(latex, rest)

    def base(self, node: Formula) -> str:
        """Return the base of a power or a transposition as LaTeX, in brackets if it needs them."""
        match node:
            case tree.Slope(body):
                return self.base(body)
            case Number(value):
                plain = value >= 0 and "e" not in number(value)
            case Symbol(time=time):
                plain = time is None
            case tree.FunctionCall(name):
                plain = name != "exp"
            case _:
                plain = isinstance(node, (tree.NumberRow, tree.Holds, tree.Concatenation))
        return self.write(node) if plain else _bracketed(self.write(node), node)


_WRITER = _LatexWriter()


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
    """Return the name of a function, or of its derivative, as LaTeX."""
    bare = name.rstrip("'")
    if bare in GREEK:
        command = GREEK[bare]
    else:
        known = FUNCTIONS.get(bare)
        command = known.latex if known and known.latex else rf"\operatorname{{{bare.replace('_', '~')}}}"
    return command + name[len(bare) :]


def broken(node: Formula) -> list[str]:
    """Return a formula as lines of LaTeX; a long sum goes on, with a sign, on the next one."""
    if not isinstance(node, tree.Sum):
        return [formula(node)]
    lines: list[list[tuple[str, str]]] = [[]]
    length = 0
    for part, term in zip(elided(node.terms), _WRITER.terms(node), strict=True):
        width = 20 if isinstance(part, LeftOut) else _width(part) + 3
        if lines[-1] and length + width > LONG:
            lines.append([])
            length = 0
        lines[-1].append(term)
        length += width
    first, *more = lines
    return [_WRITER.joined(first), *("{} " + " ".join(f"{sign} {latex}" for sign, latex in line) for line in more)]


def _symbol_latex(symbol: Symbol) -> str:
    """Return a symbol as LaTeX: its letter with a tilde, its subscripts, its time in brackets."""
    head, _, tail = symbol.base.partition("_")
    below = [] if tail == "tilde" else [tail]
    letter, wavy = head.replace(_TILDE, ""), tail == "tilde" or _TILDE in head
    if letter[1:].isdigit():
        letter, below = letter[0], [*below, letter[1:]]
    latex = GREEK.get(letter, letter if len(letter) == 1 else rf"\math{'rm' if tail else 'it'}{{{letter}}}")
    latex = rf"\tilde{{{latex}}}" if wavy else latex
    marks = ",".join(_subscript_latex(mark) for mark in (*below, *symbol.sub.split(",")) if mark)
    latex = (r"\mathrm{d}" if symbol.d else "") + latex + (f"_{{{marks}}}" if marks else "")
    return latex if symbol.time is None else f"{latex}^{{({symbol.time})}}"


def _subscript_latex(mark: str) -> str:
    """Return the subscript of a symbol as LaTeX: letters and numbers, a word, or another symbol."""
    if "_" in mark:
        return _symbol_latex(Symbol(mark))
    if mark.isalnum() and len(mark) > 2:
        return rf"\mathrm{{{mark}}}"
    return "".join(f"{GREEK[letter]} " if letter in GREEK else letter for letter in mark).rstrip()


def _bracketed(latex: str, node: Formula) -> str:
    """Return the LaTeX of a formula in brackets; TeX breaks no line within brackets that grow with it."""
    grow = r"\frac" in latex and _width(node) <= TALL
    return rf"\left({latex}\right)" if grow else f"({latex})"


def _width(node: Formula) -> int:
    return len(text.glued(node))


def _tall(node: tree.Quotient) -> bool:
    """Return whether a quotient is written on two levels."""
    return max(_width(node.over), _width(node.under)) <= TALL


# Equations.


def defined(definition: Definition) -> str:
    """Return the definition of a nonlinearity as a row of a display."""
    right = formula(definition.right).replace(r"\odot", r"\cdot")  # of single numbers
    return f"{function(definition.name)}(a) &= {right}"


def symbols(equation: WorkedEquation, rows: bool) -> list[str]:
    """Return an equation in symbols, and its shapes, as rows of a LaTeX display."""
    first, *more = broken(equation.right)
    lines = [f"{formula(equation.left)} &= {first}", *(rf"&\quad {line}" for line in more)]
    shape = shapes(equation, rows).replace("·", r"\cdot").replace("→", r"\to")
    shape = shape.replace("one number", r"\text{one number}")
    return [*lines[:-1], rf"{lines[-1]} &\qquad& {shape}"]


def right_side(line: Line) -> str:
    """Return the right side of an equation with numbers in it, and what it gives, as LaTeX."""
    result = _WRITER.row(line.value) if np.ndim(line.value) else figure(number(line.value))
    middle = formula(line.right)
    return result if middle == result else rf"{middle}\gives {result}"
