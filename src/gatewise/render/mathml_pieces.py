"""Formulas as MathML in pieces, between which a line of a narrow page may end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatewise.render import mathml, text
from gatewise.render.mathml import TILDE, Element, Nodes, figure, loose, nodes_of, operator
from gatewise.render.writing import MOST_TERMS, LeftOut, elided, loose_behind, of_numbers, signed
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import Formula, Number, Symbol, factors, parts
from gatewise.walkthrough.numbers import number

ROOM = 22  # digits that fit side by side on the narrowest page


@dataclass(frozen=True)
class FormulaPiece:
    """A part of a formula in which no line ends: as MathML, and as the text format has it."""

    nodes: Nodes
    text: str

    def __add__(self, other: FormulaPiece) -> FormulaPiece:
        return FormulaPiece(self.nodes + other.nodes, self.text + other.text)


_NOTHING, _SIGN = FormulaPiece((), ""), FormulaPiece(operator("-", "prefix"), "-")
_OPENING, _CLOSING = (FormulaPiece(mathml.fence(bracket), bracket) for bracket in "()")
_LEFT, _RIGHT = (FormulaPiece(mathml.fence(bracket), bracket) for bracket in "[]")


def run(formula: Formula, before: str = "") -> str:
    """Return a formula as elements between which a line may end, and `before` it an operator such as =."""
    return "<wbr/>".join(mathml.math_element(piece.nodes, piece.text) for piece in pieces(formula, before))


def pieces(formula: Formula, before: str = "") -> list[FormulaPiece]:
    """Return a formula in pieces, none much wider than `ROOM`; of a long sum or row the first ones and the last."""
    inner = list(_sum_pieces(formula) if isinstance(formula, tree.Sum) else _formula_pieces(formula))
    return _enclosed(FormulaPiece(operator(before), f"{before} "), inner) if before else inner


def width(node: Formula) -> float:
    """Return about how wide a formula is on the page, in digits."""
    match node:
        case Symbol():
            head, below = mathml.letter_and_subscripts(node)
            return len(head.rstrip(TILDE)) + 0.7 * sum(map(len, below)) + node.d + (node.time is not None) * 2
        case Number(value):
            return len(digits := number(value)) + 2 * ("e" in digits)
        case tree.NumberRow(values):
            return 1 + sum(len(number(value)) + 1.5 for value in values)
        case tree.Quotient(over, under):
            return 1 + max(width(over), width(under))
        case tree.FunctionCall("exp" | "abs" | "sqrt", (argument,)):
            return 1.5 + width(argument)
        case tree.FunctionCall(name, arguments):
            return len(name) + 1 + sum(width(argument) + 1 for argument in arguments)
        case tree.Sum() | tree.Product() | tree.Holds() | tree.MatMul() | tree.Outer():
            return sum(width(part) + 2 + loose(part) for part in parts(node)) - 2
    return 1 + sum(map(width, parts(node)))


def _left_out(rest: LeftOut) -> FormulaPiece:
    return FormulaPiece((Element("mtext", (str(rest),)),), str(rest))


def _sum_pieces(node: tree.Sum) -> Iterator[FormulaPiece]:
    """Yield the MathML pieces of a sum, a term behind its sign in each; of a long one the first and the last."""
    for place, term in enumerate(elided(node.terms)):
        if isinstance(term, LeftOut):
            yield FormulaPiece(operator("+"), "+ ") + _left_out(term)
            continue
        sign, rest = signed(term)
        term_pieces = list(_formula_pieces(rest))
        if loose_behind(sign, rest):
            term_pieces = _enclosed(_OPENING, term_pieces, _CLOSING)
        plain = _SIGN if sign == "-" else _NOTHING
        before = FormulaPiece(operator(sign), f"{sign} ") if place else plain
        yield from _enclosed(before, term_pieces)


def _factor_pieces(node: Formula) -> Iterator[FormulaPiece]:
    """Yield the MathML pieces of a factor, in brackets as the text format has them, a broken fraction too."""
    brackets = loose(node) or isinstance(node, tree.Quotient)
    if width(node) <= ROOM:
        yield FormulaPiece(mathml.tight(node), text.formula(node) if not brackets else f"({text.formula(node)})")
    else:
        yield from _enclosed(_OPENING, list(_formula_pieces(node)), _CLOSING) if brackets else _formula_pieces(node)


def _formula_pieces(node: Formula) -> Iterator[FormulaPiece]:
    """Yield the MathML pieces of a formula between which a line may end: one, if there is room for it."""
    if width(node) <= ROOM and not (isinstance(node, tree.NumberRow) and len(node.values) > MOST_TERMS):
        yield FormulaPiece(nodes_of(node), text.formula(node))
        return
    match node:
        case tree.Sum():
            yield from _sum_pieces(node)
        case tree.NumberRow(values):
            entries = [
                _left_out(entry) if isinstance(entry, LeftOut) else FormulaPiece(figure(number(entry)), number(entry))
                for entry in elided(values)
            ]
            yield from _listed(_LEFT, [[entry] for entry in entries], ",", _RIGHT)
        case tree.Negative(term):
            yield from _enclosed(_SIGN, list(_factor_pieces(term)))
        case tree.Slope(body):
            yield from _formula_pieces(body)
        case tree.Product():
            first, *others = factors(node)
            yield from _formula_pieces(first) if isinstance(first, Number) else _factor_pieces(first)
            for factor in others:
                sign = FormulaPiece(
                    operator(mathml.times(node)), "×" if of_numbers(node, bracketed=True) else f"{mathml.times(node)} "
                )
                yield from _enclosed(sign, list(_factor_pieces(factor)))
        case tree.Quotient(over, under):
            yield from _factor_pieces(over)
            yield from _enclosed(FormulaPiece(operator("/"), "/ "), list(_factor_pieces(under)))
        case tree.Power(base, exponent) if loose(base) or isinstance(base, tree.Quotient):
            power = FormulaPiece(
                (Element("msup", (*_CLOSING.nodes, *mathml.row(nodes_of(exponent)))),), f")^{text.formula(exponent)}"
            )
            yield from _enclosed(_OPENING, list(_formula_pieces(base)), power)
        case tree.FunctionCall(name, arguments):
            named = _separator("√").nodes if name == "sqrt" else mathml.function(name)
            opening = FormulaPiece((*named, *_OPENING.nodes), f"{name}(")
            yield from _listed(opening, [list(_formula_pieces(argument)) for argument in arguments], ",", _CLOSING)
        case tree.Concatenation(vectors, mark):
            yield from _listed(_LEFT, [list(_formula_pieces(vector)) for vector in vectors], mark, _RIGHT)
        case _:
            yield FormulaPiece(nodes_of(node), text.formula(node))


def _separator(sign: str) -> FormulaPiece:
    return FormulaPiece((Element("mo", (sign,)),), sign)


def _listed(
    before: FormulaPiece, entries: list[list[FormulaPiece]], sign: str, after: FormulaPiece
) -> list[FormulaPiece]:
    """Return the pieces of formulas side by side in brackets, a sign behind each but the last."""
    for pieces_of_entry in entries[:-1]:
        pieces_of_entry[-1] += _separator(sign)
    return _enclosed(before, [piece for pieces_of_entry in entries for piece in pieces_of_entry], after)


def _enclosed(before: FormulaPiece, inner: list[FormulaPiece], after: FormulaPiece = _NOTHING) -> list[FormulaPiece]:
    """Return pieces of a formula with one joined to the first of them and one to the last."""
    inner = [before + inner[0], *inner[1:]]
    return [*inner[:-1], inner[-1] + after]
