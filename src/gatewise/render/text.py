"""The text face of a walkthrough: for a terminal of 80 columns, in colour where it can be, plain where not."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from gatewise.render.layout import MOST_ROWS, MOST_TERMS, Line, Rest, grouped, said, shapes, worked
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
)
from gatewise.walkthrough.numbers import GLUE, aligned, number, percent
from gatewise.walkthrough.parts import Block, Definition, Equation, Facts, Opened, Section, Sentence, Table, Walkthrough

LEAST_WIDTH, WIDTH, MOST_WIDTH = 60, 80, 100
MOST_NAME = 18  # columns of a name
SHUT, OPEN = 0.1, 0.9
_PLAIN = str.maketrans(
    {
        "σ": "sigmoid",
        "·": "@",
        "×": "*",
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
        GLUE: " ",
    }
)


def render(walkthrough: Walkthrough) -> str:
    """Return the walkthrough as plain text of 80 columns."""
    return plain(walkthrough)


def plain(walkthrough: Walkthrough, width: int = WIDTH) -> str:
    """Return the walkthrough as text without colour."""
    buffer = io.StringIO()
    show(walkthrough, Console(file=buffer, width=width, color_system=None, legacy_windows=False))
    return buffer.getvalue().rstrip("\n")


def worked_lines(group: Sequence[Equation], walkthrough: Walkthrough, width: int = WIDTH) -> list[str]:
    """Return equations that follow each other with the numbers of each entry in them, as lines of text."""
    face = _Face(width)
    face.walk = walkthrough
    return [line.plain for line in face._worked(group, max(cell_len(glued(equation.left)) for equation in group))]


def show(walkthrough: Walkthrough, console: Console) -> None:
    """Print the walkthrough to a console, in letters that its encoding has."""
    ascii_only = not console.encoding.lower().startswith("utf")
    blank = False
    console.width = min(max(console.width, LEAST_WIDTH), MOST_WIDTH)
    for line in _Face(console.width).lines(walkthrough):
        line.rstrip()
        if not line.plain and blank:
            continue
        blank = not line.plain
        if ascii_only:
            line = Text(line.plain.translate(_PLAIN).encode(console.encoding, "replace").decode(console.encoding))
        console.print(line, soft_wrap=True)


# Formulas as text. A formula is shown with as few brackets as its reading needs.


def formula(node: Formula, most: int | None = MOST_TERMS) -> str:
    """Return a formula as one line of text; of a sum or a row with more than `most` terms, the first and the last.

    Examples
    --------
    >>> formula(Sum((Product((Symbol("f"), Symbol("c_prev"))), Negative(Number(0.5)))))
    'f * c_prev - 0.5'
    """
    return _Writer(most).write(node).replace(GLUE, " ")


def glued(node: Formula) -> str:
    """Return a formula as text with no-break spaces where a line must not end."""
    return _Writer(MOST_TERMS).write(node)


@dataclass(frozen=True)
class _Writer:
    """Writes formulas; of long sums and rows the first terms and the last one."""

    most: int | None

    def write(self, node: Formula) -> str:
        match node:
            case Symbol():
                return _symbol(node)
            case Number(value):
                return number(value)
            case Row(values):
                return self.row(values)
            case Sum():
                return self.sum(node)
            case Negative(term):
                return f"-{self.tight(term)}"
            case Product():
                parts = factors(node)
                numeric = all(isinstance(factor, (Number, Row)) for factor in parts)
                first, *rest = parts
                shown = [self.write(first) if isinstance(first, Number) else self.tight(first)]
                shown += [self.tight(factor) for factor in rest]
                return ("×" if numeric or isinstance(first, Number) else " * ").join(shown)
            case MatMul(left, right):
                return f"{self.tight(left)} · {self.tight(right)}"
            case Transpose(matrix):
                return f"{self.write(matrix)}ᵀ"
            case Outer(left, right, rows):
                return (
                    f"{self.tight(left)}ᵀ · {self.tight(right)}"
                    if rows
                    else f"{self.tight(left)} · {self.tight(right)}ᵀ"
                )
            case Part(vector, start, stop):
                return f"{self.write(vector)}[{start}:{stop}]"
            case Slope(body):
                return self.write(body)
            case Quotient(over, under):
                return f"{self.tight(over)} / {self.tight(under)}"
            case Power(base, exponent):
                return f"{self.tight(base)}^{self.tight(exponent)}"
            case Call("exp", (argument,)):
                return f"e^{self.tight(argument)}"
            case Call("abs", (argument,)):
                return f"|{self.write(argument)}|"
            case Call(name, arguments):
                return f"{name}({', '.join(self.write(argument) for argument in arguments)})"
            case Holds(left, relation, right):
                return f"[{self.write(left)} {relation} {self.write(right)}]"
            case Stack(parts, mark):
                return f"[{f'{mark} '.join(self.write(part) for part in parts)}]"
            case _:
                raise TypeError(f"not a formula: {node!r}")

    def tight(self, node: Formula) -> str:
        if isinstance(node, Slope):
            return self.tight(node.body)
        loose = isinstance(node, (Sum, Negative, Product, Quotient)) or (isinstance(node, Number) and node.value < 0)
        return f"({self.write(node)})" if loose else self.write(node)

    def row(self, values: Sequence[Any]) -> str:
        shown = [number(value) for value in values]
        if self.most is not None and len(shown) > self.most:
            shown = [*shown[:4], f"…{GLUE}{len(shown) - 5}{GLUE}more{GLUE}…", shown[-1]]
        return f"[{', '.join(shown)}]"

    def sum(self, node: Sum) -> str:
        terms = node.terms
        if self.most is not None and len(terms) > self.most:
            left_out = ("+", f"…{GLUE}{len(terms) - 5}{GLUE}more{GLUE}…")
            shown = [*map(self.term, terms[:4]), left_out, self.term(terms[-1])]
        else:
            shown = [self.term(term) for term in terms]
        sign, first = shown[0]
        return " ".join([first if sign == "+" else f"-{first}", *(f"{s}{GLUE}{text}" for s, text in shown[1:])])

    def term(self, node: Formula) -> tuple[str, str]:
        """Return a term of a sum as its sign and the rest."""
        match node:
            case Negative(term):
                if isinstance(term, Product) and isinstance(first := term.factors[0], Number) and first.value < 0:
                    return "-", self.tight(first) + self.write(term).removeprefix(self.write(first))
                return "-", self.write(term) if isinstance(term, (Product, Quotient)) else self.tight(term)
            case Number(value) if value < 0 or (value == 0 and np.signbit(value)):
                return "-", number(-value)
            case Product((Number(value), *rest)) if value < 0:
                return "-", self.write(Product((Number(-value), *rest)))
        shown = self.write(node)
        return "+", shown.replace(" ", GLUE) if len(shown) < WIDTH // 3 else shown  # a short term stays on one line


def _symbol(symbol: Symbol) -> str:
    sub = symbol.sub if symbol.sub.isalnum() or "," in symbol.sub else f"{{{symbol.sub}}}"
    name = ("d" if symbol.d else "") + symbol.base + (f"_{sub}" if symbol.sub else "")
    return name if symbol.time is None else f"{name}[{symbol.time}]"


# Names come from files and from people: they may be long, wide, or an order to the terminal.


def clean(text: str) -> str:
    """Return text on one line without control characters."""
    words = " ".join(text.split(None if GLUE not in text else " "))
    return "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in words)


def short(name: str) -> str:
    """Return a name of at most `MOST_NAME` columns."""
    name = clean(name)
    return name if cell_len(name) <= MOST_NAME else f"{set_cell_size(name, MOST_NAME - 1).rstrip()}…"


def left_of(text: str, width: int) -> str:
    """Return text at the left of a field of so many columns."""
    return text + " " * (width - cell_len(text))


def right_of(text: str, width: int) -> str:
    """Return text at the right of a field of so many columns."""
    return " " * (width - cell_len(text)) + text


# The parts.


class _Face:
    """Renders the parts of a walkthrough as lines of at most `width` columns."""

    def __init__(self, width: int) -> None:
        self.width = width

    def lines(self, walk: Walkthrough) -> Iterator[Text]:
        self.walk = walk
        yield Text(walk.title, style="bold")
        time, place = None, 0
        for section in walk.sections:
            yield Text("")
            if section.time != time:
                time, place = section.time, 0
                yield from (self._rule(f" {short(time or '')} "), Text(""))
            place += 1
            yield from self._section(place, section)

    def _rule(self, title: str) -> Text:
        return Text(f"{title:─^{self.width}}", style="bold")

    def _section(self, place: int, section: Section) -> Iterator[Text]:
        yield Text(f"{place}. {section.title}", style="bold cyan")
        for block in grouped(section.blocks):
            yield from self._equations(block) if isinstance(block, tuple) else self._block(block)

    def _block(self, block: Block) -> Iterator[Text]:
        match block:
            case Facts(items):
                width = max(len(name) for name, _ in items)
                for name, value in items:
                    yield from self._wrapped(f"{name:<{width}}  {clean(value)}", 3, width + 5)
            case Table():
                yield from self._table(block)
            case Definition(name, right):
                yield from self._wrapped(f"{name}(a) = {glued(right)}", 3, 7)
            case Opened():
                yield from self._opened(block)
            case Sentence(text):
                yield from (Text(line, style="italic") for line in self._fill(clean(said(text, glued)), 3, 3))

    def _fill(self, text: str, indent: int, hanging: int) -> list[str]:
        """Break text at its spaces into lines that fit, the first indented by `indent`, the others by `hanging`."""
        words = text.split(" ")
        lines = [" " * indent + words[0]]
        for word in words[1:]:
            if cell_len(lines[-1]) + 1 + cell_len(word) <= self.width:
                lines[-1] += f" {word}"
            elif word:
                lines.append(" " * hanging + word)
        return [line.replace(GLUE, " ").rstrip() for line in lines]

    def _wrapped(self, text: str, indent: int, hanging: int) -> Iterator[Text]:
        yield from (Text(line) for line in self._fill(text, indent, hanging))

    # Equations: in symbols, with their shapes, then with the numbers of each unit.

    def _equations(self, group: Sequence[Equation]) -> Iterator[Text]:
        width = max(cell_len(glued(equation.left)) for equation in group)
        for equation in group:
            yield from self._symbols(equation, width)
        yield Text("")
        yield from self._worked(group, width)

    def _worked(self, group: Sequence[Equation], width: int) -> Iterator[Text]:
        entries = list(worked(group, self.walk))
        heads = [short(entry.head) for entry in entries if not isinstance(entry, Rest) and entry.head is not None]
        margin = 3 + max(map(cell_len, heads), default=0) + 2
        for entry in entries:
            if isinstance(entry, Rest):
                yield Text(f"   {entry}", style="dim")
                continue
            for place, line in enumerate(entry.lines):
                head = short(entry.head) if entry.head is not None and not place else ""
                yield from self._line(line, head, 3 if entry.head is None else margin, width)

    def _symbols(self, equation: Equation, width: int) -> Iterator[Text]:
        text = f"{left_of(glued(equation.left), width)} = {glued(equation.right)}"
        shape = shapes(equation, self.walk.rows)
        if len(text) + len(shape) + 9 <= self.width:
            yield Text.assemble(("   " + text.replace(GLUE, " "), "bold"), "      ", (shape, "dim"))
            return
        yield from (Text(line, style="bold") for line in self._fill(text, 3, width + 6))
        yield from (Text(line, style="dim") for line in self._fill(shape, width + 6, width + 6))

    def _line(self, line: Line, head: str, margin: int, width: int) -> Iterator[Text]:
        equation, value = line.equation, line.value
        left = f"{left_of(glued(equation.left), width)} = "
        result = number(value) if np.ndim(value) == 0 else glued(Row(tuple(value)))
        middle = glued(line.right)
        whole = left + result if middle == result else f"{left}{middle} ={GLUE}{result}"
        lines = self._fill(whole.replace(left, left.replace(" ", GLUE), 1), margin, margin + width + 3)
        if head:
            lines[0] = f"   {left_of(head, margin - 3)}{lines[0][margin:]}"
        for one in lines[:-1]:
            yield Text(one)
        last = Text(lines[-1])
        if equation.openness and (style := _style(value)):
            last.stylize(style, len(lines[-1]) - len(result))
        yield last

    def _opened(self, opened: Opened) -> Iterator[Text]:
        terms = opened.terms
        total = sum(abs(term.product) for term in terms)
        yield Text("")
        name = short(self.walk.names[opened.over][opened.unit])
        yield from self._wrapped(f"{name}: every product in its {terms.of}, largest first", 3, 3)
        names = [short(term.name) for term in terms]
        width = max(map(cell_len, names))
        columns = [aligned([getattr(t, what) for t in terms]) for what in ("weight", "value", "product")]
        for name, term, weight, value, product in zip(names, terms, *columns, strict=True):
            share = abs(term.product) / total if total else 0.0
            bar = "" if not np.isfinite(share) else f"{percent(share).replace(GLUE, ' ') if share else '0 %':>9}"
            yield Text(f"   {left_of(name, width)}  {weight} × {value} = {product} {bar}".rstrip())
        yield Text(f"   {'sum':<{width}}  {number(terms.total)}", style="bold")
        yield Text("")

    # Tables: wide ones show their first and last columns, long ones their first and last rows.

    def _table(self, table: Table) -> Iterator[Text]:
        if table.title:
            yield from self._wrapped(clean(said(table.title, glued)), 3, 3)
        rows = [(short(said(name, glued)), values) for name, values in table.rows]
        omitted = 0 if table.whole else len(rows) - MOST_ROWS
        if omitted > 0:
            rows = [*rows[: MOST_ROWS - 1], rows[-1]]
        texts = [aligned([row[1][k] for row in rows], table.digits) for k in range(len(table.columns))]
        heads = [short(said(head, glued)) for head in table.columns]
        widths = [
            max(cell_len(head), *(len(text) for text in column)) for head, column in zip(heads, texts, strict=True)
        ]
        margin = 3 + max(cell_len(name) for name, _ in rows)
        keep = self._columns(widths, margin)
        gap = next((n for n in range(1, len(keep)) if keep[n] != keep[n - 1] + 1), None)
        line = Text(" " * margin)
        for n, k in enumerate(keep):
            line.append(("  …" if n == gap else "") + f"  {right_of(heads[k], widths[k])}", style="dim")
        yield line
        for place, (name, values) in enumerate(rows):
            if omitted > 0 and place == MOST_ROWS - 1:
                yield Text(f"   … {omitted} more rows …", style="dim")
            line = Text(f"   {left_of(name, margin - 3)}")
            for n, k in enumerate(keep):
                line.append("  …" if n == gap else "")
                style = _style(values[k]) if k in table.openness else ""
                line.append(f"  {texts[k][place]:>{widths[k]}}", style=style)
            yield line
        if gap is not None:
            yield Text(f"   {len(heads) - len(keep)} of {len(heads)} columns are left out", style="dim")
        yield Text("")

    def _columns(self, widths: Sequence[int], margin: int) -> list[int]:
        """Return which columns fit: all, or the first ones and the last."""
        if margin + sum(width + 2 for width in widths) <= self.width:
            return list(range(len(widths)))
        room = self.width - margin - 3 - (widths[-1] + 2)
        keep = []
        for k, width in enumerate(widths[:-1]):
            room -= width + 2
            if room < 0:
                break
            keep.append(k)
        return [*keep, len(widths) - 1]


def _style(value: Any) -> str:
    if value <= SHUT:
        return "bold red"
    return "bold green" if value >= OPEN else ""
