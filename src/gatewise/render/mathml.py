"""Formulas as MathML Core: as trees of elements, as markup, and in pieces between which a line may end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from types import MappingProxyType
from typing import Any, NamedTuple

from gatewise.render import text, writing
from gatewise.render.writing import (
    MAX_TERMS,
    LeftOut,
    elided,
    is_entrywise,
    is_of_numbers,
    needs_brackets_after,
    signed_term,
)
from gatewise.symbolic import formula as tree
from gatewise.symbolic.formula import (
    C_CLIP,
    C_NEW,
    C_NORM,
    C_PREV,
    C_RAW,
    COMPUTED,
    H_NEW,
    H_PREV,
    H_RAW,
    C,
    F,
    Formula,
    G,
    H,
    I,
    Number,
    O,
    Symbol,
    factors,
    parts,
)
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.numbers import number

_SYMBOLS_BY_HUE = {
    "input_gate": (I,),
    "forget_gate": (F,),
    "candidate": (G,),
    "output_gate": (O,),
    "cell_state": (C, C_PREV, C_RAW, C_NEW, C_NORM, C_CLIP),
    "hidden_state": (H, H_PREV, H_RAW, H_NEW),
}


def hue_of(symbol: Formula | str) -> str:
    """Return the name of a symbol's hue: the quantity that it stands for, or whose gradient it is; else "".

    This is unambiguous across notations: no symbol stands for two of these quantities.

    Examples
    --------
    >>> hue_of(Symbol("C̃", "t")), hue_of(Symbol("f", d=True)), hue_of(Symbol("W", "f"))
    ('candidate', 'forget_gate', '')
    """
    return _hues_of_symbols().get(replace(symbol, d=False, time=None), "") if isinstance(symbol, Symbol) else ""


@cache
def _hues_of_symbols() -> Mapping[Symbol, str]:
    """Map each symbol of every notation to its quantity, by which a rendered page chooses the hue."""
    return {
        written.symbol(symbol): name
        for written in NOTATIONS.values()
        for name, symbols in _SYMBOLS_BY_HUE.items()
        for symbol in (*symbols, *(replace(symbol, sub=COMPUTED) for symbol in symbols[:1]))
    }


MINUS, APPLIED, TILDE = "\N{MINUS SIGN}", "\N{FUNCTION APPLICATION}", "\N{COMBINING TILDE}"
_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})
_UPRIGHT, _FIXED = {"mathvariant": "normal"}, {"stretchy": "false"}


class Element(NamedTuple):
    """An element of MathML. Its children are elements and text."""

    tag: str
    children: Nodes
    attributes: Mapping[str, Any] = _NO_ATTRIBUTES


Nodes = tuple[Element | str, ...]


def math(formula: Formula) -> str:
    """Return a formula as a MathML element that stays on one line.

    Examples
    --------
    >>> math(Symbol("W", "f"))
    '<math alttext="W_f"><msub><mi>W</mi><mi>f</mi></msub></math>'
    """
    return math_element(nodes_of(formula), text.formula(formula))


def math_element(nodes: Nodes, alternative: str) -> str:
    """Return nodes in a math element of their own, with a text alternative."""
    return to_markup((Element("math", nodes, {"alttext": alternative}),))


def function_of_a(name: str) -> str:
    """Return the name of a function and its argument, a, in a math element of their own."""
    return math_element((*function(name), *bracketed((_leaf("mi", "a"),))), f"{name}(a)")


def to_markup(nodes: Nodes) -> str:
    """Return nodes as markup."""
    return "".join(escape(node) if isinstance(node, str) else _element_markup(node) for node in nodes)


def _element_markup(element: Element) -> str:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attributes.items())
    return f"<{element.tag}{attributes}>{to_markup(element.children)}</{element.tag}>"


def _leaf(tag: str, content: str, attributes: Mapping[str, Any] = _NO_ATTRIBUTES) -> Element:
    return Element(tag, (content,), attributes)


def _mo(sign: str) -> Element:
    return _leaf("mo", sign)


def _join(sign: str, parts: Sequence[Nodes]) -> Nodes:
    first, *others = parts
    return (*first, *(node for part in others for node in (_mo(sign), *part)))


def operator(sign: str, form: str = "infix") -> Nodes:
    """Return an operator between two things, one of which may be in another element."""
    return (_leaf("mo", sign.replace("-", MINUS), {"form": form}),)


class MathWriter:
    """Writes formulas as what a math element contains."""

    def write(self, node: Formula) -> Nodes:
        """Return a formula as MathML nodes, with as few brackets as its reading needs."""
        match node:
            case Symbol():
                return _symbol_nodes(node)
            case Number(value):
                return figure(number(value))
            case tree.NumberRow(values):
                return bracketed(_join(",", [figure(number(value)) for value in values]), "[]")
            case tree.Sum():
                return self.sum(node)
            case tree.Negative(term):
                return row((_mo(MINUS), *self.tight(term)))
            case tree.Product():
                first, *others = factors(node)
                begin = self.write(first) if isinstance(first, Number) else self.tight(first)
                return _join(times(node), [begin, *map(self.tight, others)])
            case tree.MatMul(left, right):
                return _join("·", [self.tight(left), self.tight(right)])
            case tree.Transpose(Symbol() as matrix):
                return _symbol_nodes(matrix, _TRANSPOSED)
            case tree.Transpose(matrix):
                return _power(self.tight(matrix), _TRANSPOSED)
            case tree.Outer(left, right, rows):
                a, b = self.tight(left), self.tight(right)
                return _join("·", [_power(a, _TRANSPOSED), b] if rows else [a, _power(b, _TRANSPOSED)])
            case tree.Slice(vector, start, stop):
                ends = (_leaf("mn", str(start)), _mo(":"), _leaf("mn", str(stop)))
                return (*self.write(vector), *bracketed(ends, "[]"))
            case tree.Slope(body):
                return self.write(body)
            case tree.Quotient(over, under):
                return (Element("mfrac", (*row(self.write(over)), *row(self.write(under)))),)
            case tree.Power(base, exponent):
                return _power(self.base(base), row(self.write(exponent)))
            case tree.FunctionCall(name, arguments):
                return self.call(name, arguments)
            case tree.Holds(left, relation, right):
                return row(bracketed(_join(relation, [self.write(left), self.write(right)]), "[]"))
            case tree.Concatenation(parts, mark):
                return row(bracketed(_join(mark, list(map(self.write, parts))), "[]"))
            case _:
                raise TypeError(f"not a formula: {node!r}")

    def sum(self, node: tree.Sum) -> Nodes:
        """Return a sum as MathML nodes, each term behind its sign."""
        (sign, first), *others = map(signed_term, node.terms)
        begin = self.term(sign, first)
        begin = row((_mo(MINUS), *begin)) if sign == "-" else begin
        rest = (part for sign, term in others for part in (_mo(sign.replace("-", MINUS)), *self.term(sign, term)))
        return (*begin, *rest)

    def call(self, name: str, arguments: Sequence[Formula]) -> Nodes:
        """Return a function of formulas as MathML nodes: e with an exponent, bars, a root, or its name and brackets."""
        match name, arguments:
            case "exp", (argument,):
                return _power((_leaf("mi", "e"),), row(self.write(argument)))
            case "abs", (argument,):
                first, last = (_leaf("mo", "|", {"form": form, **_FIXED}) for form in ("prefix", "postfix"))
                return row((first, *self.write(argument), last))
            case "sqrt", (argument,):
                return (Element("msqrt", self.write(argument)),)
        inner = _join(",", list(map(self.write, arguments)))
        return (*function(name), _mo(APPLIED), *row(bracketed(inner)))

    def term(self, sign: str, node: Formula) -> Nodes:
        """Return a term behind its sign."""
        return bracketed(self.write(node)) if needs_brackets_after(sign, node) else self.write(node)

    def tight(self, node: Formula) -> Nodes:
        """Return a factor, in brackets if it needs them."""
        return bracketed(self.write(node)) if loose(node) else self.write(node)

    def base(self, node: Formula) -> Nodes:
        """Return the base of a power as MathML nodes."""
        scientific = isinstance(node, Number) and "e" in number(node.value)
        return bracketed(self.write(node)) if scientific or isinstance(node, tree.Quotient) else self.tight(node)


_WRITER = MathWriter()
_TRANSPOSED: Nodes = (_leaf("mi", "T", _UPRIGHT),)


def nodes_of(node: Formula) -> Nodes:
    """Return a formula as what a math element contains, with as few brackets as its reading needs."""
    return _WRITER.write(node)


def _power(base: Nodes, above: Nodes) -> Nodes:
    return (Element("msup", (*row(base), *above)),)


def function(name: str) -> Nodes:
    """Return the name of a function as MathML; with a ' behind it, that of its derivative."""
    plain = identifier(name.rstrip("'"))
    return plain if not name.endswith("'") else (Element("msup", (*plain, _mo("′"))),)


def identifier(name: str) -> Nodes:
    """Return a name; a single letter is set in italics, for which few fonts have letters that are not Latin."""
    return (_leaf("mi", name, _UPRIGHT if len(name) == 1 and not name.isascii() else _NO_ATTRIBUTES),)


def loose(node: Formula) -> bool:
    """Return whether a formula needs brackets as a factor; a fraction's bar holds it together."""
    return writing.needs_brackets(node, tree.Sum, tree.Negative, tree.Product)


def times(node: tree.Product) -> str:
    """Return × between numbers, and ⊙ between vectors, which are multiplied entry by entry."""
    return "⊙" if is_entrywise(node) else "×"


def tight(node: Formula) -> Nodes:
    """Return a factor, in brackets if it needs them."""
    return _WRITER.tight(node)


def bracketed(nodes: Nodes, brackets: str = "()") -> Nodes:
    """Return MathML nodes in brackets, which grow with them only where they hold a fraction."""
    first, last = (fence(bracket, grows=_has_fraction(nodes)) for bracket in brackets)
    return (*first, *nodes, *last)


def _has_fraction(nodes: Nodes) -> bool:
    return any(isinstance(node, Element) and (node.tag == "mfrac" or _has_fraction(node.children)) for node in nodes)


def fence(bracket: str, *, grows: bool = False) -> Nodes:
    """Return a bracket."""
    return (_leaf("mo", bracket, _NO_ATTRIBUTES if grows else _FIXED),)


def row(nodes: Nodes) -> Nodes:
    """Return nodes as one MathML element, an mrow if they are several."""
    if len(nodes) == 1 and isinstance(nodes[0], Element) and nodes[0].tag in ("mi", "mo", "mn"):
        return nodes
    return (Element("mrow", nodes),)


def figure(plain: str) -> Nodes:
    """Return a number, given as text, as MathML nodes."""
    if plain.startswith("-"):
        return row((_mo(MINUS), *figure(plain[1:])))
    if not plain[0].isdigit():  # nan, inf
        return identifier("∞" if plain == "inf" else plain)
    digits, e, exponent = plain.partition("e")
    if not e:
        return (_leaf("mn", digits),)
    power = Element("msup", (_leaf("mn", "10"), *figure(str(int(exponent)))))
    return row((_leaf("mn", digits), _mo("×"), power))


def _symbol_nodes(symbol: Symbol, above: Nodes = ()) -> Nodes:
    """Return a symbol as MathML in its hue, with what stands below it, and above it its time or `above`."""
    head, below = letter_and_subscripts(symbol)
    base = _identifier(head)
    if symbol.time is not None:
        above = (Element("mrow", (_mo("("), _leaf("mn", str(symbol.time)), _mo(")"))),)
    low = row(_join(",", [nodes for mark in below for nodes in _subscripts(mark)])) if below else ()
    tag = {(True, True): "msubsup", (True, False): "msub", (False, True): "msup"}.get((bool(low), bool(above)))
    marked = (Element(tag, (*base, *low, *above)),) if tag else base
    complete = (Element("mrow", (_leaf("mi", "d", _UPRIGHT), *marked)),) if symbol.d else marked
    hue = hue_of(symbol)
    return tuple(_with_hue(node, hue) for node in complete) if hue else complete


def _with_hue(node: Element | str, hue: str) -> Element | str:
    return node._replace(attributes={"class": hue, **node.attributes}) if isinstance(node, Element) else node


def letter_and_subscripts(symbol: Symbol) -> tuple[str, list[str]]:
    """Return a symbol's letter or word, and what stands below it in a formula: h and prev of h_prev."""
    head, _, rest = symbol.base.partition("_")
    if len(head) > 1 and TILDE not in head:
        head, rest = symbol.base, ""
    if rest == "tilde":
        head, rest = head + TILDE, ""
    return head, [mark for mark in (rest, symbol.sub) if mark]


def _identifier(name: str) -> Nodes:
    if name.endswith(TILDE):
        return (Element("mover", (*_identifier(name[:-1]), _leaf("mo", "˜", _FIXED)), {"accent": "true"}),)
    return identifier(name)


def _subscripts(name: str) -> list[Nodes]:
    """Return the subscripts of a symbol, between commas: a gate f, a gate of a sum uf, a time t-1, a word, c_new."""
    if "_" in name:
        return [_symbol_nodes(Symbol(name))]
    return [_subscript_nodes(part) for part in name.split(",")]


def _subscript_nodes(name: str) -> Nodes:
    """Return one subscript of a symbol as MathML: numbers, words or single letters, and signs."""
    nodes: list[Element | str] = []
    for token in re.findall(r"\d+|[^\W\d]+|.", name):
        if token.isdigit():
            nodes.append(_leaf("mn", token))
        elif token.isalpha():
            nodes += identifier(token) if len(token) > 2 else (node for letter in token for node in identifier(letter))
        else:
            nodes.append(_mo(token.replace("-", MINUS)))
    return tuple(nodes)


MAX_DIGITS = 22  # digits that fit side by side on the narrowest page


@dataclass(frozen=True)
class FormulaPiece:
    """A part of a formula in which no line ends: as MathML, and as the text format has it."""

    nodes: Nodes
    text: str

    def __add__(self, other: FormulaPiece) -> FormulaPiece:
        return FormulaPiece(self.nodes + other.nodes, self.text + other.text)


_NOTHING, _SIGN = FormulaPiece((), ""), FormulaPiece(operator("-", "prefix"), "-")
_OPENING, _CLOSING = (FormulaPiece(fence(bracket), bracket) for bracket in "()")
_LEFT, _RIGHT = (FormulaPiece(fence(bracket), bracket) for bracket in "[]")


def run(formula: Formula, before: str = "") -> str:
    """Return a formula as elements between which a line may end, and `before` it an operator such as =."""
    return "<wbr/>".join(math_element(piece.nodes, piece.text) for piece in pieces(formula, before))


def pieces(formula: Formula, before: str = "") -> list[FormulaPiece]:
    """Return a formula in pieces, none much wider than `ROOM`; of a long sum or row the first ones and the last."""
    inner = list(_sum_pieces(formula) if isinstance(formula, tree.Sum) else _formula_pieces(formula))
    return _enclosed(FormulaPiece(operator(before), f"{before} "), inner) if before else inner


def width(node: Formula) -> float:
    """Return about how wide a formula is on the page, in digits."""
    match node:
        case Symbol():
            head, below = letter_and_subscripts(node)
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
        sign, rest = signed_term(term)
        term_pieces = list(_formula_pieces(rest))
        if needs_brackets_after(sign, rest):
            term_pieces = _enclosed(_OPENING, term_pieces, _CLOSING)
        plain = _SIGN if sign == "-" else _NOTHING
        before = FormulaPiece(operator(sign), f"{sign} ") if place else plain
        yield from _enclosed(before, term_pieces)


def _factor_pieces(node: Formula) -> Iterator[FormulaPiece]:
    """Yield the MathML pieces of a factor, in brackets as the text format has them, a broken fraction too."""
    brackets = loose(node) or isinstance(node, tree.Quotient)
    if width(node) <= MAX_DIGITS:
        yield FormulaPiece(tight(node), text.formula(node) if not brackets else f"({text.formula(node)})")
    else:
        yield from _enclosed(_OPENING, list(_formula_pieces(node)), _CLOSING) if brackets else _formula_pieces(node)


def _formula_pieces(node: Formula) -> Iterator[FormulaPiece]:
    """Yield the MathML pieces of a formula between which a line may end: one, if there is room for it."""
    if width(node) <= MAX_DIGITS and not (isinstance(node, tree.NumberRow) and len(node.values) > MAX_TERMS):
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
                    operator(times(node)), "×" if is_of_numbers(node, bracketed=True) else f"{times(node)} "
                )
                yield from _enclosed(sign, list(_factor_pieces(factor)))
        case tree.Quotient(over, under):
            yield from _factor_pieces(over)
            yield from _enclosed(FormulaPiece(operator("/"), "/ "), list(_factor_pieces(under)))
        case tree.Power(base, exponent) if loose(base) or isinstance(base, tree.Quotient):
            power = FormulaPiece(
                (Element("msup", (*_CLOSING.nodes, *row(nodes_of(exponent)))),), f")^{text.formula(exponent)}"
            )
            yield from _enclosed(_OPENING, list(_formula_pieces(base)), power)
        case tree.FunctionCall(name, arguments):
            named = _separator("√").nodes if name == "sqrt" else function(name)
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
