"""Sums and products as C text: operators between plain numbers, macros between vectors."""

from __future__ import annotations

from typing import NamedTuple

ADDITIVE, FACTOR, WHOLE = 0, 1, 2  # how tightly a term binds


class Expression(NamedTuple):
    """The C text of a value.

    Attributes
    ----------
    text : str
    binds : int
        How tightly: `ADDITIVE`, `FACTOR` or `WHOLE`.
    single : bool
        Whether it is one number for all entries of a vector.
    factors : tuple of str or None
        The last two factors of a product of vectors, which a sum fuses with its other term.
    """

    text: str
    binds: int = WHOLE
    single: bool = False
    factors: tuple[str, str] | None = None

    def inside(self, tight: int) -> str:
        """Return the text, in parentheses unless it binds tightly enough."""
        return self.text if self.binds >= tight else f"({self.text})"


class Arithmetic:
    """Writes operations on values of a width.

    Parameters
    ----------
    prefix : str
        Of every name in the header.
    width : int
        How many entries a value has; 1 is a plain float.
    """

    def __init__(self, prefix: str, width: int) -> None:
        self.upper, self.width = prefix.upper(), width

    def sum(self, first: Expression, second: Expression) -> Expression:
        """Return first + second. A product of vectors is fused with the other term: the first one, if both are."""
        if self._plain(first, second):
            return self._joined(f"{first.inside(ADDITIVE)} + {second.inside(FACTOR)}", ADDITIVE, first, second)
        if first.factors is not None:
            return Expression(
                f"{self.upper}_MUL_ADD({self.width}, {', '.join(first.factors)}, {self._operand(second)})"
            )
        if second.factors is not None:
            return Expression(
                f"{self.upper}_ADD_MUL({self.width}, {self._operand(first)}, {', '.join(second.factors)})"
            )
        return self._operation("ADD", first, second)

    def difference(self, first: Expression, second: Expression) -> Expression:
        """Return first - second."""
        if self._plain(first, second):
            return self._joined(f"{first.inside(ADDITIVE)} - {second.inside(FACTOR)}", ADDITIVE, first, second)
        return self._operation("SUB", first, second)

    def product(self, first: Expression, second: Expression) -> Expression:
        """Return first * second."""
        if self._plain(first, second):
            return self._joined(f"{first.inside(FACTOR)} * {second.inside(WHOLE)}", FACTOR, first, second)
        return self._operation("MUL", first, second)._replace(factors=(self._operand(first), self._operand(second)))

    def quotient(self, over: Expression, under: Expression) -> Expression:
        """Return over / under."""
        if self._plain(over, under):
            return self._joined(f"{over.inside(FACTOR)} / {under.inside(WHOLE)}", FACTOR, over, under)
        return self._operation("DIV", over, under)

    def negative(self, term: Expression) -> Expression:
        """Return -term."""
        if self._plain(term):
            return self._joined(f"-{term.inside(WHOLE)}", ADDITIVE, term)
        return self._operation("NEG", term)

    def _plain(self, *terms: Expression) -> bool:
        return self.width == 1 or all(term.single for term in terms)

    def _joined(self, text: str, binds: int, *terms: Expression) -> Expression:
        return Expression(text, binds, all(term.single for term in terms))

    def _operand(self, term: Expression) -> str:
        return f"{self.upper}_ALL({self.width}, {term.text})" if term.single else term.text

    def _operation(self, name: str, *terms: Expression) -> Expression:
        return Expression(f"{self.upper}_{name}({self.width}, {', '.join(map(self._operand, terms))})")
