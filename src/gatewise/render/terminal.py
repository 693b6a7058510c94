"""The text format of a walkthrough: for a terminal of 80 columns, in colour where it can be, plain where not."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gatewise.render.layout import OPEN, SHUT, Line, Rest, grouped, numbered, rows, said, shapes, shares, worked
from gatewise.render.text import WIDTH, caption, clean, glued, left_of, right_of, short
from gatewise.symbolic.formula import Row
from gatewise.walkthrough.numbers import GLUE, aligned, number, percent
from gatewise.walkthrough.parts import (
    Block,
    Definition,
    Equation,
    Expanded,
    Facts,
    Section,
    Sentence,
    Table,
    Walkthrough,
)

LEAST_WIDTH, MOST_WIDTH = 60, 100
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
    """Return the walkthrough as text of 80 columns, without colour."""
    buffer = io.StringIO()
    show(walkthrough, Console(file=buffer, width=WIDTH, color_system=None, legacy_windows=False))
    return buffer.getvalue().rstrip("\n")


def worked_lines(group: Sequence[Equation], walkthrough: Walkthrough) -> list[str]:
    """Return equations that follow each other with the numbers of each entry in them, as lines of text."""
    writer = _Writer(WIDTH)
    writer.walk = walkthrough
    return [line.plain for line in writer._worked(group, max(cell_len(glued(equation.left)) for equation in group))]


def show(walkthrough: Walkthrough, console: Console) -> None:
    """Print the walkthrough to a console, in letters that its encoding has."""
    ascii_only = not console.encoding.lower().startswith("utf")
    blank = False
    console.width = min(max(console.width, LEAST_WIDTH), MOST_WIDTH)
    for line in _Writer(console.width).lines(walkthrough):
        line.rstrip()
        if not line.plain and blank:
            continue
        blank = not line.plain
        if ascii_only:
            line = Text(line.plain.translate(_PLAIN).encode(console.encoding, "replace").decode(console.encoding))
        console.print(line, soft_wrap=True)


# The parts.


class _Writer:
    """Renders the parts of a walkthrough as lines of at most `width` columns."""

    def __init__(self, width: int) -> None:
        self.width = width

    def lines(self, walk: Walkthrough) -> Iterator[Text]:
        self.walk = walk
        yield Text(walk.title, style="bold")
        for place, section, begins in numbered(walk):
            yield Text("")
            if begins:
                yield from (self._rule(f" {short(section.time or '')} "), Text(""))
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
            case Expanded():
                yield from self._expanded(block)
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

    def _expanded(self, expanded: Expanded) -> Iterator[Text]:
        terms = expanded.terms
        yield Text("")
        yield from self._wrapped(caption(expanded, self.walk), 3, 3)
        names = [short(term.name) for term in terms]
        width = max(map(cell_len, names))
        columns = [aligned([getattr(t, what) for t in terms]) for what in ("weight", "value", "product")]
        parts = shares([term.product for term in terms])
        for name, weight, value, product, share in zip(names, *columns, parts, strict=True):
            told = "" if share is None else f"{percent(share).replace(GLUE, ' '):>9}"
            yield Text(f"   {left_of(name, width)}  {weight} × {value} = {product} {told}".rstrip())
        yield Text(f"   {'sum':<{width}}  {number(terms.total)}", style="bold")
        yield Text("")

    # Tables: wide ones show their first and last columns, long ones their first and last rows.

    def _table(self, table: Table) -> Iterator[Text]:
        if table.title:
            yield from self._wrapped(clean(said(table.title, glued)), 3, 3)
        shown, omitted = rows(table)
        names = [short(said(name, glued)) for name, _ in shown]
        texts = [aligned([values[k] for _, values in shown], table.digits) for k in range(len(table.columns))]
        heads = [short(said(head, glued)) for head in table.columns]
        widths = [
            max(cell_len(head), *(len(text) for text in column)) for head, column in zip(heads, texts, strict=True)
        ]
        margin = 3 + max(map(cell_len, names))
        keep = self._columns(widths, margin)
        gap = next((n for n in range(1, len(keep)) if keep[n] != keep[n - 1] + 1), None)
        line = Text(" " * margin)
        for n, k in enumerate(keep):
            line.append(("  …" if n == gap else "") + f"  {right_of(heads[k], widths[k])}", style="dim")
        yield line
        for place, (name, (_, values)) in enumerate(zip(names, shown, strict=True)):
            if omitted and place == len(shown) - 1:
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
