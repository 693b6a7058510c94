"""Decisions shared by the writers of formulas: the sign of a term, its brackets, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gatewise.symbolic.formula import Formula, Negative, Number, NumberRow, Product, Slope, Sum, Symbol, factors, nodes

MAX_TERMS = 12  # of one sum or row; beyond that the first ones, the last one, and how many between
FIRST_TERMS = 4
LEFT_OUT_MARK = "… {count} more …"
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class LeftOut:
    """Parts of a formula that are not shown: how many."""

    count: int

    def __str__(self) -> str:
        return LEFT_OUT_MARK.format(count=self.count)


def elided(parts: Sequence[_Part], most: int | None = MAX_TERMS) -> list[_Part | LeftOut]:
    """Return parts as they are shown: where there are more than `most`, the first ones and the last one.

    Examples
    --------
    >>> print(*elided("abcdefg", 6))
    a b c d … 2 more … g
    """
    if most is None or len(parts) <= most:
        return [*parts]
    return [*parts[:FIRST_TERMS], LeftOut(len(parts) - FIRST_TERMS - 1), parts[-1]]


def signed_term(term: Formula) -> tuple[str, Formula]:
    """Return a term of a sum as it is written: its sign and the rest; a negative number behind a minus has brackets."""
    match term:
        case Negative(Product((Number(value), *rest))) if value < 0:
            return "-", Product((Sum((Number(value),)), *rest))
        case Negative(inner):
            return "-", inner
        case Number(value) if value < 0 or (value == 0 and np.signbit(value)):
            return "-", Number(-value)
        case Product((Number(value), *rest)) if value < 0:
            return "-", Product((Number(-value), *rest))
    return "+", term


def needs_brackets(node: Formula, *kinds: type[Formula]) -> bool:
    """Return whether a formula is written in brackets, as one of some kinds is; a negative number is anywhere."""
    if isinstance(node, Slope):
        return needs_brackets(node.body, *kinds)
    return isinstance(node, kinds) or (isinstance(node, Number) and node.value < 0)


def needs_brackets_after(sign: str, rest: Formula) -> bool:
    """Return whether a term needs brackets behind its sign: a sum does behind a minus, and what has a sign itself."""
    return sign == "-" and needs_brackets(rest, Sum, Negative)


def is_of_numbers(product: Product, *, bracketed: bool = False) -> bool:
    """Return whether a product begins with a number, if need be a `bracketed` one, or has numbers alone: × in text."""
    first, *others = factors(product)
    return _is_number(first, bracketed) or all(isinstance(factor, (Number, NumberRow)) for factor in (first, *others))


def is_entrywise(product: Product) -> bool:
    """Return whether a product is of vectors, multiplied entry by entry: in mathematics, ⊙ shows that, and else ×."""
    return not _is_number(factors(product)[0]) and any(isinstance(node, Symbol) for node in nodes(product))


def _is_number(node: Formula, bracketed: bool = True) -> bool:
    """Return whether a factor is a number, or if `bracketed` one in brackets, for the sign of its product."""
    match node:
        case Number():
            return True
        case Sum((Number(),)):
            return bracketed
    return False
