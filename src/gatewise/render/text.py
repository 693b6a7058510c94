"""Formulas and names as plain text, which every format of a walkthrough needs somewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size

from gatewise.render.writing import (
    MAX_TERMS,
    LeftOut,
    elided,
    is_entrywise,
    is_of_numbers,
    needs_brackets,
    needs_brackets_after,
    signed_term,
)
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import Formula, Number, Symbol, factors
from gatewise.walkthrough.numbers import GLUE, number
from gatewise.walkthrough.parts import Expanded, Walkthrough

WIDTH = 80  # columns of a line
MAX_NAME_COLUMNS = 18  # columns of a name
MAX_TIME_COLUMNS = 48  # columns of the name of a step, or of a first and a last one, where it is a heading
SPELLED_OUT = str.maketrans(
    {
        "σ": "sigmoid",
        "·": "@",
        "×": "*",
        "⊙": "*",
        "−": "-",
        "→": "->",
        "…": "...",
        "γ": "gamma",
        "β": "beta",
        "μ": "mu",
        "ε": "eps",
        "─": "-",
        "√": "sqrt",
        "ᵀ": "^T",
        "≤": "<=",
        "\N{COMBINING TILDE}": "~",
    }
)


# Formulas as text. A formula is shown with as few brackets as its reading needs.


def formula(node: Formula, most: int | None = MAX_TERMS) -> str:
    """Return a formula as one line of text; of a sum or a row with more than `most` terms, the first and the last.

    Examples
    --------
    >>> formula(tree.Sum((tree.Product((Symbol("f"), Symbol("c_prev"))), tree.Negative(Number(0.5)))))
    'f ⊙ c_prev - 0.5'
    """
    return TextWriter(most).write(node).replace(GLUE, " ")


def glued(node: Formula) -> str:
    """Return a formula as text with no-break spaces where a line must not end."""
    return TextWriter().write(node)


@dataclass(frozen=True)
class TextWriter:
    """Writes formulas; of long sums and rows with more than `most` terms the first ones and the last one."""

    most: int | None = MAX_TERMS
    dot: ClassVar[str] = "·"
    comma: ClassVar[str] = ", "
    colon: ClassVar[str] = ":"
    gap: ClassVar[str] = GLUE  # behind the sign of a term

    def write(self, node: Formula) -> str:
        """Return a formula as text."""
        match node:
            case Symbol():
                sub = node.sub if node.sub.isalnum() or "," in node.sub else f"{{{node.sub}}}"
                name = ("d" if node.d else "") + node.base + (f"_{sub}" if node.sub else "")
                return name if node.time is None else f"{name}[{node.time}]"
            case Number(value):
                return number(value)
            case tree.NumberRow(values):
                return self.row(values)
            case tree.Sum():
                return self.sum(node)
            case tree.Negative(term):
                return f"-{self.tight(term)}"
            case tree.Product():
                return self.product(node)
            case tree.MatMul(left, right):
                return f"{self.tight(left)} {self.dot} {self.tight(right)}"
            case tree.Transpose(matrix):
                return self.transposed(matrix)
            case tree.Outer(left, right, True):
                return f"{self.transposed(left)} {self.dot} {self.tight(right)}"
            case tree.Outer(left, right):
                return f"{self.tight(left)} {self.dot} {self.transposed(right)}"
            case tree.Slice(vector, start, stop):
                return f"{self.write(vector)}[{start}{self.colon}{stop}]"
            case tree.Slope(body):
                return self.write(body)
            case tree.Quotient(over, under):
                return f"{self.tight(over)} / {self.tight(under)}"
            case tree.Power(base, exponent):
                return f"{self.tight(base)}^{self.tight(exponent)}"
            case tree.FunctionCall("exp", (argument,)):
                return f"e^{self.tight(argument)}"
            case tree.FunctionCall("abs", (argument,)):
                return f"|{self.write(argument)}|"
            case tree.FunctionCall(name, arguments):
                return f"{name}({', '.join(self.write(argument) for argument in arguments)})"
            case tree.Holds(left, relation, right):
                return f"[{self.write(left)} {relation} {self.write(right)}]"
            case tree.Concatenation(parts, mark):
                return f"[{f'{mark} '.join(self.write(part) for part in parts)}]"
            case _:
                raise TypeError(f"not a formula: {node!r}")

    def tight(self, node: Formula) -> str:
        """Return a formula as text, in brackets if it needs them within another."""
        is_loose = needs_brackets(node, tree.Sum, tree.Negative, tree.Product, tree.Quotient)
        return f"({self.write(node)})" if is_loose else self.write(node)

    def product(self, node: tree.Product, *, bracketed: bool = False) -> str:
        """Return a product as text."""
        first, *rest = factors(node)
        parts = [self.write(first) if isinstance(first, Number) else self.tight(first), *map(self.tight, rest)]
        return self.times(node, bracketed).join(parts)

    def times(self, node: tree.Product, bracketed: bool) -> str:
        """Return the sign between the factors of a product."""
        return " ⊙ " if is_entrywise(node) and not is_of_numbers(node, bracketed=bracketed) else "×"

    def transposed(self, matrix: Formula) -> str:
        """Return a matrix or a vector transposed, as text."""
        return f"{self.tight(matrix)}ᵀ"

    def row(self, values: Sequence[Any]) -> str:
        """Return numbers side by side as text, in square brackets."""
        entries = elided(values, self.most)
        shown = (self.left_out(entry) if isinstance(entry, LeftOut) else self.write(Number(entry)) for entry in entries)
        return f"[{self.comma.join(shown)}]"

    def left_out(self, rest: LeftOut) -> str:
        """Return what stands for terms that are not shown."""
        return str(rest).replace(" ", GLUE)

    def sum(self, node: tree.Sum) -> str:
        """Return a sum as text."""
        return self.joined(self.terms(node))

    def terms(self, node: tree.Sum) -> list[tuple[str, str]]:
        """Return the terms of a sum that are shown, each as its sign and the rest."""
        terms = elided(node.terms, self.most)
        return [("+", self.left_out(term)) if isinstance(term, LeftOut) else self.term(term) for term in terms]

    def joined(self, terms: Sequence[tuple[str, str]]) -> str:
        """Return terms as a sum."""
        (sign, first), *rest = terms
        return " ".join([first if sign == "+" else f"-{first}", *(f"{s}{self.gap}{text}" for s, text in rest)])

    def term(self, node: Formula) -> tuple[str, str]:
        """Return a term of a sum as its sign and the text of the rest; a short one stays on one line."""
        sign, rest = signed_term(node)
        written = self.product(rest, bracketed=True) if isinstance(rest, tree.Product) else self.write(rest)
        written = f"({written})" if needs_brackets_after(sign, rest) else written
        return sign, written.replace(" ", GLUE) if sign == "+" and len(written) < WIDTH // 3 else written


# Names come from files and from people: they may be long, wide, or an order to the terminal.


def spell_out(problem: UnicodeError) -> tuple[str, int]:
    """Return letters that an encoding has for text that it lacks: an error handler of `codecs` for a terminal."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end].translate(SPELLED_OUT)
    return text.encode("ascii", "replace").decode(), problem.end


@lru_cache(1 << 10)
def clean(text: str) -> str:
    """Return text on one line without control characters."""
    words = " ".join(text.split(None if GLUE not in text else " "))
    return "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in words)


def short(name: str, most: int = MAX_NAME_COLUMNS) -> str:
    """Return a name of at most so many columns."""
    name = clean(name)
    return name if cell_len(name) <= most else f"{set_cell_size(name, most - 1).rstrip()}…"


def caption(expanded: Expanded, walk: Walkthrough) -> str:
    """Return the caption of the products of a sum."""
    return f"{short(walk.names[expanded.over][expanded.unit])}: every product in its {expanded.terms.of}, largest first"


def wrap(head: str, text: str, hanging: int = 0, width: int = WIDTH) -> list[str]:
    """Return text in lines of so many columns, the first behind a head; two spaces in a row align columns, and stay."""
    first, *words = text.split(" ")
    lines = [head + first]
    for word in words:
        if cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        elif word:
            lines.append(" " * hanging + word)
    return [line.replace(GLUE, " ").rstrip() for line in lines]


def pad_right(text: str, width: int) -> str:
    """Return text at the left of a field of so many columns."""
    return text + " " * (width - cell_len(text))


def pad_left(text: str, width: int) -> str:
    """Return text at the right of a field of so many columns."""
    return " " * (width - cell_len(text)) + text
