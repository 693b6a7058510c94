"""Formulas as MathML Core, which browsers show by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from gatewise.render import text, writing
from gatewise.render.hues import quantity
from gatewise.render.writing import entrywise, loose_behind, signed
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
from gatewise.walkthrough.numbers import number

MINUS, APPLIED, TILDE = "\N{MINUS SIGN}", "\N{FUNCTION APPLICATION}", "\N{COMBINING TILDE}"


def math(formula: Formula) -> str:
    """Return a formula that stays on one line.

    Examples
    --------
    >>> math(Symbol("W", "f"))
    '<math alttext="W_f"><msub><mi>W</mi><mi>f</mi></msub></math>'
    """
    return element(markup(formula), text.formula(formula))


def element(markup: str, told: str) -> str:
    """Return markup as an element of its own, with its text alternative."""
    return f'<math alttext="{escape(told)}">{markup}</math>'


def operator(sign: str) -> str:
    """Return an operator between two things, one of which may be in another element."""
    return f'<mo form="infix">{escape(sign.replace("-", MINUS))}</mo>'


class Writer:
    """Writes formulas as what a math element contains."""

    def write(self, node: Formula) -> str:
        """Return a formula with as few brackets as its reading needs."""
        match node:
            case Symbol():
                return _symbol(node)
            case Number(value):
                return figure(number(value))
            case NumberRow(values):
                return bracketed("<mo>,</mo>".join(figure(number(value)) for value in values), "[]")
            case Sum():
                return self.sum(node)
            case Negative(term):
                return row(f"<mo>{MINUS}</mo>{self.tight(term)}")
            case Product():
                first, *others = factors(node)
                shown = [self.write(first) if isinstance(first, Number) else self.tight(first)]
                return f"<mo>{times(node)}</mo>".join([*shown, *map(self.tight, others)])
            case MatMul(left, right):
                return f"{self.tight(left)}<mo>·</mo>{self.tight(right)}"
            case Transpose(Symbol() as matrix):
                return _symbol(matrix, '<mi mathvariant="normal">T</mi>')
            case Transpose(matrix):
                return f'<msup>{row(self.tight(matrix))}<mi mathvariant="normal">T</mi></msup>'
            case Outer(left, right, rows):
                one, other = self.tight(left), self.tight(right)
                turned = f'<msup>{row(one if rows else other)}<mi mathvariant="normal">T</mi></msup>'
                return f"{turned}<mo>·</mo>{other}" if rows else f"{one}<mo>·</mo>{turned}"
            case Slice(vector, start, stop):
                return self.write(vector) + bracketed(f"<mn>{start}</mn><mo>:</mo><mn>{stop}</mn>", "[]")
            case Slope(body):
                return self.write(body)
            case Quotient(over, under):
                return f"<mfrac>{row(self.write(over))}{row(self.write(under))}</mfrac>"
            case Power(base, exponent):
                return f"<msup>{row(self.base(base))}{row(self.write(exponent))}</msup>"
            case FunctionCall(name, arguments):
                return self.call(name, arguments)
            case Holds(left, relation, right):
                return row(bracketed(f"{self.write(left)}<mo>{escape(relation)}</mo>{self.write(right)}", "[]"))
            case Concatenation(parts, mark):
                return row(bracketed(f"<mo>{mark}</mo>".join(map(self.write, parts)), "[]"))
            case _:
                raise TypeError(f"not a formula: {node!r}")

    def sum(self, node: Sum) -> str:
        """Return a sum, each term behind its sign."""
        (sign, first), *rest = map(signed, node.terms)
        shown = self.term(sign, first)
        shown = row(f"<mo>{MINUS}</mo>{shown}") if sign == "-" else shown
        return "".join([shown, *(f"<mo>{_minus(sign)}</mo>{self.term(sign, term)}" for sign, term in rest)])

    def call(self, name: str, arguments: Sequence[Formula]) -> str:
        """Return a function of formulas."""
        match name, arguments:
            case "exp", (argument,):
                return f"<msup><mi>e</mi>{row(self.write(argument))}</msup>"
            case "abs", (argument,):
                bar = '<mo form="{}" stretchy="false">|</mo>'
                return row(f"{bar.format('prefix')}{self.write(argument)}{bar.format('postfix')}")
            case "sqrt", (argument,):
                return f"<msqrt>{self.write(argument)}</msqrt>"
        inner = "<mo>,</mo>".join(map(self.write, arguments))
        return f"{function(name)}<mo>{APPLIED}</mo>{row(bracketed(inner))}"

    def term(self, sign: str, node: Formula) -> str:
        """Return a term behind its sign."""
        return bracketed(self.write(node)) if loose_behind(sign, node) else self.write(node)

    def tight(self, node: Formula) -> str:
        """Return a factor, in brackets if it needs them."""
        return bracketed(self.write(node)) if loose(node) else self.write(node)

    def base(self, node: Formula) -> str:
        """Return the base of a power."""
        scientific = isinstance(node, Number) and "e" in number(node.value)
        return bracketed(self.write(node)) if scientific or isinstance(node, Quotient) else self.tight(node)


_WRITER = Writer()


def markup(node: Formula) -> str:
    """Return a formula as what a math element contains, with as few brackets as its reading needs."""
    return _WRITER.write(node)


def function(name: str) -> str:
    """Return the name of a function; with a ' behind it, that of its derivative."""
    plain = identifier(name.rstrip("'"))
    return plain if not name.endswith("'") else f"<msup>{plain}<mo>′</mo></msup>"


def identifier(name: str) -> str:
    """Return a name; a single letter is set in italics, for which few fonts have letters that are not Latin."""
    upright = ' mathvariant="normal"' if len(name) == 1 and not name.isascii() else ""
    return f"<mi{upright}>{escape(name)}</mi>"


def loose(node: Formula) -> bool:
    """Tell whether a formula needs brackets as a factor; a fraction's bar holds it together."""
    return writing.loose(node, Sum, Negative, Product)


def times(node: Product) -> str:
    """Return × between numbers, and ⊙ between vectors, which are multiplied entry by entry."""
    return "⊙" if entrywise(node) else "×"


def tight(node: Formula) -> str:
    """Return a factor, in brackets if it needs them."""
    return _WRITER.tight(node)


def bracketed(shown: str, brackets: str = "()") -> str:
    """Return markup in brackets, which grow with it only where it is high: grown, they are set wide apart."""
    first, last = (fence(bracket, grows="<mfrac" in shown) for bracket in brackets)
    return f"{first}{shown}{last}"


def fence(bracket: str, *, grows: bool = False) -> str:
    """Return a bracket."""
    return f"<mo>{bracket}</mo>" if grows else f'<mo stretchy="false">{bracket}</mo>'


def row(shown: str) -> str:
    """Return markup as one element."""
    single = re.fullmatch(r"<(m[ion])[^>]*>[^<]*</\1>", shown)
    return shown if single else f"<mrow>{shown}</mrow>"


def _minus(sign: str) -> str:
    return sign.replace("-", MINUS)


def figure(shown: str) -> str:
    """Return a number, given as text."""
    if shown.startswith("-"):
        return row(f"<mo>{MINUS}</mo>{figure(shown[1:])}")
    if not shown[0].isdigit():  # nan, inf
        return identifier("∞" if shown == "inf" else shown)
    digits, e, exponent = shown.partition("e")
    if not e:
        return f"<mn>{digits}</mn>"
    power = str(int(exponent))
    return row(f"<mn>{digits}</mn><mo>×</mo><msup><mn>10</mn>{figure(power)}</msup>")


def _symbol(symbol: Symbol, above: str = "") -> str:
    """Return a symbol in its hue, with what stands below it, and above it its time or `above`."""
    head, below = parts(symbol)
    base = _identifier(head)
    if symbol.time is not None:
        above = f"<mrow><mo>(</mo><mn>{symbol.time}</mn><mo>)</mo></mrow>"
    low = row(",".join(map(_below, below)).replace(",", "<mo>,</mo>")) if below else ""
    match bool(low), bool(above):
        case True, True:
            shown = f"<msubsup>{base}{low}{above}</msubsup>"
        case True, False:
            shown = f"<msub>{base}{low}</msub>"
        case False, True:
            shown = f"<msup>{base}{above}</msup>"
        case _:
            shown = base
    whole = f'<mrow><mi mathvariant="normal">d</mi>{shown}</mrow>' if symbol.d else shown
    hue = quantity(symbol)
    return re.sub("^<[a-z]+", rf'\g<0> class="{hue}"', whole) if hue else whole


def parts(symbol: Symbol) -> tuple[str, list[str]]:
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
    return identifier(name)


def _below(name: str) -> str:
    """Return what stands below a symbol: a gate f, a gate of a sum uf, a time t-1, a word, a symbol c_new."""
    if "_" in name:
        return _symbol(Symbol(name))
    shown = ""
    for token in re.findall(r"\d+|[^\W\d]+|.", name):
        if token.isdigit():
            shown += f"<mn>{token}</mn>"
        elif token.isalpha():
            shown += identifier(token) if len(token) > 2 else "".join(map(identifier, token))
        else:
            shown += f"<mo>{escape(_minus(token))}</mo>" if token != "," else token
    return shown
