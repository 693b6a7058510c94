"""Formulas as MathML Core, which browsers show by themselves: whole, or in pieces between which a line may end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any, TypeVar

import numpy as np

from gatewise.render import text
from gatewise.render.layout import MOST_TERMS
from gatewise.symbolic.formula import (
    Call,
    Formula,
    Holds,
    MatMul,
    Negative,
    Number,
    Outer,
    Part,
    Power,
    Product,
    Quotient,
    Row,
    Slope,
    Stack,
    Sum,
    Symbol,
    Transpose,
    factors,
    nodes,
)
from gatewise.walkthrough.numbers import number

ROOM = 22  # digits that fit side by side on the narrowest page
MINUS, APPLIED, TILDE = "\N{MINUS SIGN}", "\N{FUNCTION APPLICATION}", "\N{COMBINING TILDE}"
_One = TypeVar("_One")


@dataclass(frozen=True)
class Piece:
    """A part of a formula in which no line ends: as markup, and as the text face has it."""

    markup: str
    text: str

    def __add__(self, other: Piece) -> Piece:
        return Piece(self.markup + other.markup, self.text + other.text)


def math(formula: Formula) -> str:
    """Return a formula that stays on one line.

    Examples
    --------
    >>> math(Symbol("W", "f"))
    '<math alttext="W_f"><msub><mi>W</mi><mi>f</mi></msub></math>'
    """
    return element(Piece(markup(formula), text.formula(formula)))


def run(formula: Formula, before: str = "") -> str:
    """Return a formula as elements between which a line may end, and `before` it an operator such as =."""
    return "<wbr/>".join(element(piece) for piece in pieces(formula, before))


def element(piece: Piece) -> str:
    """Return a piece as an element of its own."""
    return f'<math alttext="{escape(piece.text)}">{piece.markup}</math>'


def pieces(formula: Formula, before: str = "") -> list[Piece]:
    """Return a formula in pieces, none much wider than `ROOM`; of a long sum or row the first ones and the last."""
    found = list(_sum(formula) if isinstance(formula, Sum) else _pieces(formula))
    return _between(Piece(operator(before), f"{before} "), found, _NOTHING) if before else found


def operator(sign: str) -> str:
    """Return an operator between two things, one of which may be in another element."""
    return f'<mo form="infix">{escape(sign.replace("-", MINUS))}</mo>'


# One formula, whole.


def markup(node: Formula) -> str:
    """Return a formula as what a math element contains, with as few brackets as its reading needs."""
    match node:
        case Symbol():
            return _symbol(node)
        case Number(value):
            return _number(number(value))
        case Row(values):
            return _bracketed("<mo>,</mo>".join(_number(number(value)) for value in values), "[]")
        case Sum(terms):
            (sign, first), *rest = map(signed, terms)
            shown = [_row(f"<mo>{MINUS}</mo>{_term(sign, first)}") if sign == "-" else _term(sign, first)]
            return "".join([*shown, *(f"<mo>{_minus(sign)}</mo>{_term(sign, term)}" for sign, term in rest)])
        case Negative(term):
            return _row(f"<mo>{MINUS}</mo>{_tight(term)}")
        case Product():
            first, *others = factors(node)
            shown = [markup(first) if isinstance(first, Number) else _tight(first), *map(_tight, others)]
            return f"<mo>{_times(node)}</mo>".join(shown)
        case MatMul(left, right):
            return f"{_tight(left)}<mo>·</mo>{_tight(right)}"
        case Transpose(matrix):
            return _symbol(matrix, '<mi mathvariant="normal">T</mi>')
        case Outer(left, right, rows):
            one, other = _tight(left), _tight(right)
            turned = f'<msup>{_row(one if rows else other)}<mi mathvariant="normal">T</mi></msup>'
            return f"{turned}<mo>·</mo>{other}" if rows else f"{one}<mo>·</mo>{turned}"
        case Part(vector, start, stop):
            return markup(vector) + _bracketed(f"<mn>{start}</mn><mo>:</mo><mn>{stop}</mn>", "[]")
        case Slope(body):
            return markup(body)
        case Quotient(over, under):
            return f"<mfrac>{_row(markup(over))}{_row(markup(under))}</mfrac>"
        case Power(base, exponent):
            return f"<msup>{_row(_base(base))}{_row(markup(exponent))}</msup>"
        case Call("exp", (argument,)):
            return f"<msup><mi>e</mi>{_row(markup(argument))}</msup>"
        case Call("abs", (argument,)):
            bar = '<mo form="{}" stretchy="false">|</mo>'
            return _row(f"{bar.format('prefix')}{markup(argument)}{bar.format('postfix')}")
        case Call("sqrt", (argument,)):
            return f"<msqrt>{markup(argument)}</msqrt>"
        case Call(name, arguments):
            inner = "<mo>,</mo>".join(markup(argument) for argument in arguments)
            return f"{function(name)}<mo>{APPLIED}</mo>{_row(_bracketed(inner))}"
        case Holds(left, relation, right):
            return _row(_bracketed(f"{markup(left)}<mo>{escape(relation)}</mo>{markup(right)}", "[]"))
        case Stack(parts, mark):
            return _row(_bracketed(f"<mo>{mark}</mo>".join(map(markup, parts)), "[]"))
        case _:
            raise TypeError(f"not a formula: {node!r}")


def function(name: str) -> str:
    """Return the name of a function; with a ' behind it, that of its derivative."""
    plain = name.rstrip("'")
    return f"<mi>{escape(plain)}</mi>" if plain == name else f"<msup><mi>{escape(plain)}</mi><mo>′</mo></msup>"


def signed(term: Formula) -> tuple[str, Formula]:
    """Return a term of a sum as its sign and the rest."""
    match term:
        case Negative(Product((Number(value), *rest))) if value < 0:
            return "-", Product((Sum((Number(value),)), *rest))  # in brackets
        case Negative(inner):
            return "-", inner
        case Number(value) if value < 0 or (value == 0 and np.signbit(value)):
            return "-", Number(-value)
        case Product((Number(value), *rest)) if value < 0:
            return "-", Product((Number(-value), *rest))
    return "+", term


def _term(sign: str, node: Formula) -> str:
    """Return a term behind its sign."""
    return _bracketed(markup(node)) if _loose_behind(sign, node) else markup(node)


def _loose_behind(sign: str, node: Formula) -> bool:
    """Tell whether a term needs brackets behind its sign: another sign does, and behind a minus a sum."""
    return (isinstance(node, (Sum, Negative)) and sign == "-") or (isinstance(node, Number) and node.value < 0)


def _times(node: Product) -> str:
    """Return × between numbers, and ⊙ between vectors, which are multiplied entry by entry."""
    numeric = isinstance(node.factors[0], Number) or not any(isinstance(one, Symbol) for one in nodes(node))
    return "×" if numeric else "⊙"


def _loose(node: Formula) -> bool:
    """Tell whether a formula needs brackets as a factor; a fraction's bar holds it together."""
    if isinstance(node, Slope):
        return _loose(node.body)
    return isinstance(node, (Sum, Negative, Product)) or (isinstance(node, Number) and node.value < 0)


def _tight(node: Formula) -> str:
    return _bracketed(markup(node)) if _loose(node) else markup(node)


def _base(node: Formula) -> str:
    """Return the base of a power."""
    scientific = isinstance(node, Number) and "e" in number(node.value)
    return _bracketed(markup(node)) if scientific or isinstance(node, Quotient) else _tight(node)


def _bracketed(shown: str, brackets: str = "()") -> str:
    """Return markup in brackets, which grow with it only where it is high: grown, they are set wide apart."""
    first, last = (fence(bracket, grows="<mfrac" in shown) for bracket in brackets)
    return f"{first}{shown}{last}"


def fence(bracket: str, *, grows: bool = False) -> str:
    """Return a bracket."""
    return f"<mo>{bracket}</mo>" if grows else f'<mo stretchy="false">{bracket}</mo>'


def _row(shown: str) -> str:
    """Return markup as one element."""
    single = re.fullmatch(r"<(m[ion])[^>]*>[^<]*</\1>", shown)
    return shown if single else f"<mrow>{shown}</mrow>"


def _minus(sign: str) -> str:
    return sign.replace("-", MINUS)


def _number(shown: str) -> str:
    """Return a number, given as text."""
    if shown.startswith("-"):
        return _row(f"<mo>{MINUS}</mo>{_number(shown[1:])}")
    if not shown[0].isdigit():  # nan, inf
        return f"<mi>{'∞' if shown == 'inf' else shown}</mi>"
    digits, e, exponent = shown.partition("e")
    if not e:
        return f"<mn>{digits}</mn>"
    power = str(int(exponent))
    return _row(f"<mn>{digits}</mn><mo>×</mo><msup><mn>10</mn>{_number(power)}</msup>")


def _symbol(symbol: Symbol, above: str = "") -> str:
    """Return a symbol with what stands below it, and above it its time or `above`."""
    head, below = _parts(symbol)
    base = _identifier(head)
    if symbol.time is not None:
        above = f"<mrow><mo>(</mo><mn>{symbol.time}</mn><mo>)</mo></mrow>"
    low = _row(",".join(map(_below, below)).replace(",", "<mo>,</mo>")) if below else ""
    match bool(low), bool(above):
        case True, True:
            shown = f"<msubsup>{base}{low}{above}</msubsup>"
        case True, False:
            shown = f"<msub>{base}{low}</msub>"
        case False, True:
            shown = f"<msup>{base}{above}</msup>"
        case _:
            shown = base
    return f'<mrow><mi mathvariant="normal">d</mi>{shown}</mrow>' if symbol.d else shown


def _parts(symbol: Symbol) -> tuple[str, list[str]]:
    """Return the letter of a symbol, or its word, and what stands below it: h and prev of h_prev."""
    head, _, rest = symbol.base.partition("_")
    if len(head) > 1 and TILDE not in head:
        head, rest = symbol.base, ""
    if rest == "tilde":
        head, rest = head + TILDE, ""
    return head, [one for one in (rest, symbol.sub) if one]


def _identifier(name: str) -> str:
    if name.endswith(TILDE):
        return f'<mover accent="true">{_identifier(name[:-1])}<mo stretchy="false">˜</mo></mover>'
    return f"<mi>{escape(name)}</mi>"


def _below(name: str) -> str:
    """Return what stands below a symbol: a gate f, a gate of a sum uf, a time t-1, a word, a symbol c_new."""
    if "_" in name:
        return _symbol(Symbol(name))
    shown = ""
    for token in re.findall(r"\d+|[^\W\d]+|.", name):
        if token.isdigit():
            shown += f"<mn>{token}</mn>"
        elif token.isalpha():
            shown += f"<mi>{token}</mi>" if len(token) > 2 else "".join(f"<mi>{letter}</mi>" for letter in token)
        else:
            shown += f"<mo>{escape(_minus(token))}</mo>" if token != "," else token
    return shown


# A formula in pieces.

_NOTHING, _SIGN = Piece("", ""), Piece(f'<mo form="prefix">{MINUS}</mo>', "-")
_OPENING, _CLOSING = (Piece(fence(bracket), bracket) for bracket in "()")
_LEFT, _RIGHT = (Piece(fence(bracket), bracket) for bracket in "[]")


def width(node: Formula) -> float:
    """Return about how wide a formula is, in digits."""
    match node:
        case Symbol():
            head, below = _parts(node)
            return len(head.rstrip(TILDE)) + 0.7 * sum(map(len, below)) + node.d + (node.time is not None) * 2
        case Number(value):
            return len(shown := number(value)) + 2 * ("e" in shown)
        case Row(values):
            return 1 + sum(len(number(value)) + 1.5 for value in values)
        case Quotient(over, under):
            return 1 + max(width(over), width(under))
        case Call("exp" | "abs" | "sqrt", (argument,)):
            return 1.5 + width(argument)
        case Call(name, arguments):
            return len(name) + 1 + sum(width(argument) + 1 for argument in arguments)
        case Sum() | Product() | Holds() | MatMul() | Outer():
            within = list(_within(node))
            return sum(width(one) + 2 + _loose(one) for one in within) - 2
    return 1 + sum(map(width, _within(node)))


def _within(node: Formula) -> Iterator[Formula]:
    """Go through what a formula is made of, one level down."""
    for field in fields(node):
        value: Any = getattr(node, field.name)
        yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Formula))


def elided(parts: Sequence[_One]) -> tuple[Sequence[_One], int, Sequence[_One]]:
    """Return the first parts, how many come then that are not shown, and the last one."""
    return (parts[:4], len(parts) - 5, parts[-1:]) if len(parts) > MOST_TERMS else (parts, 0, ())


def _left_out(count: int) -> Piece:
    return Piece(f"<mtext>… {count} more …</mtext>", f"… {count} more …")


def _sum(node: Sum) -> Iterator[Piece]:
    first, left_out, last = elided(node.terms)
    for place, term in enumerate((*first, *last)):
        if left_out and place == len(first):
            yield Piece(operator("+"), "+ ") + _left_out(left_out)
        sign, rest = signed(term)
        found = list(_pieces(rest))
        if _loose_behind(sign, rest):
            found = _between(_OPENING, found, _CLOSING)
        plain = _SIGN if sign == "-" else _NOTHING
        before = Piece(operator(sign), f"{sign} ") if place else plain
        yield from _between(before, found, _NOTHING)


def _tightly(node: Formula) -> Iterator[Piece]:
    """The pieces of a factor: with the brackets that the text face has, a fraction's among them if it is broken."""
    loose = _loose(node) or isinstance(node, Quotient)
    if width(node) <= ROOM:
        yield Piece(_tight(node), text.formula(node) if not loose else f"({text.formula(node)})")
    else:
        yield from _between(_OPENING, list(_pieces(node)), _CLOSING) if loose else _pieces(node)


def _pieces(node: Formula) -> Iterator[Piece]:
    """The pieces of a formula: one, if there is room for it."""
    if width(node) <= ROOM and not (isinstance(node, Row) and len(node.values) > MOST_TERMS):
        yield Piece(markup(node), text.formula(node))
        return
    match node:
        case Sum():
            yield from _sum(node)
        case Row(values):
            yield from _entries(values)
        case Negative(term):
            yield from _between(_SIGN, list(_tightly(term)), _NOTHING)
        case Slope(body):
            yield from _pieces(body)
        case Product():
            first, *others = factors(node)
            yield from _pieces(first) if isinstance(first, Number) else _tightly(first)
            for factor in others:
                sign = Piece(operator(_times(node)), "×" if _as_numbers(node) else "* ")
                yield from _between(sign, list(_tightly(factor)), _NOTHING)
        case Quotient(over, under):
            yield from _tightly(over)
            yield from _between(Piece(operator("/"), "/ "), list(_tightly(under)), _NOTHING)
        case Power(base, exponent) if _loose(base) or isinstance(base, Quotient):
            power = Piece(f"<msup>{_CLOSING.markup}{_row(markup(exponent))}</msup>", f")^{text.formula(exponent)}")
            yield from _between(_OPENING, list(_pieces(base)), power)
        case Call(name, arguments):
            found = [list(_pieces(argument)) for argument in arguments]
            for one in found[:-1]:
                one[-1] += Piece("<mo>,</mo>", ",")
            named = "<mo>√</mo>" if name == "sqrt" else function(name)
            opening = Piece(f"{named}{_OPENING.markup}", f"{name}(")
            yield from _between(opening, [piece for one in found for piece in one], _CLOSING)
        case Stack(parts, mark):
            found = [list(_pieces(part)) for part in parts]
            for one in found[:-1]:
                one[-1] += Piece(f"<mo>{mark}</mo>", mark)
            yield from _between(_LEFT, [piece for one in found for piece in one], _RIGHT)
        case _:
            yield Piece(markup(node), text.formula(node))


def _as_numbers(node: Product) -> bool:
    """Tell whether the text face writes × in a product."""
    first, *others = factors(node)
    match first:
        case Number() | Sum((Number(),)):  # bare, or in brackets
            return True
    return all(isinstance(factor, (Number, Row)) for factor in (first, *others))


def _entries(values: Sequence[Any]) -> Iterator[Piece]:
    first, left_out, last = elided(values)
    found = [Piece(_number(number(value)), number(value)) for value in first]
    found += [_left_out(left_out)] * bool(left_out) + [Piece(_number(number(value)), number(value)) for value in last]
    comma = Piece("<mo>,</mo>", ",")
    yield from _between(_LEFT, [*(one + comma for one in found[:-1]), found[-1]], _RIGHT)


def _between(before: Piece, found: list[Piece], after: Piece) -> list[Piece]:
    """Return pieces with something before the first of them and after the last."""
    found = [before + found[0], *found[1:]]
    return [*found[:-1], found[-1] + after]
