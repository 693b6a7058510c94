"""The text format of a walkthrough: for a terminal of 80 columns, in colour where it can be, plain where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gatewise.render import layout
from gatewise.render.layout import Line, Rest, TableRows, write_words
from gatewise.render.text import (
    MAX_TIME_COLUMNS,
    SPELLED_OUT,
    WIDTH,
    caption,
    clean,
    glued,
    pad_left,
    pad_right,
    short,
    wrap,
)
from gatewise.symbolic.formula import Formula, NumberRow
from gatewise.walkthrough.numbers import GLUE, aligned, number, percent
from gatewise.walkthrough.parts import Expanded, Facts, NumberTable, Sentence, Walkthrough, WorkedEquation
from gatewise.walkthrough.setting import in_brief

MIN_WIDTH, MAX_WIDTH = 40, 100
MAX_COLUMNS = 16  # of a table that is broken into blocks; of a wider one the first columns and the last are shown


def render(walkthrough: Walkthrough) -> str:
    """Return the walkthrough as text of 80 columns, without colour."""
    return "\n".join(line.plain for line in _single_spaced(walkthrough, _TerminalWriter(WIDTH))).rstrip("\n")


def worked_lines(group: Sequence[WorkedEquation], walkthrough: Walkthrough) -> list[str]:
    """Return equations that follow each other, with each entry's numbers, as lines of text for a terminal."""
    writer = _TerminalWriter(WIDTH)
    writer.walk = walkthrough
    return [
        line.plain for line in writer._worked_lines(group, max(cell_len(glued(equation.left)) for equation in group))
    ]


def show(walkthrough: Walkthrough, console: Console) -> None:
    """Print the walkthrough to a console, section by section, in letters that its encoding has."""
    console.width = min(max(console.width, MIN_WIDTH), MAX_WIDTH)
    for line in _single_spaced(walkthrough, _TerminalWriter(console.width, _letters_of(console.encoding))):
        console.print(line, soft_wrap=True)


def _single_spaced(walkthrough: Walkthrough, writer: _TerminalWriter) -> Iterator[Text]:
    """Yield the lines of a walkthrough for a terminal, with never more than one blank line between two others."""
    blank = False
    for line in writer.lines(walkthrough):
        line.rstrip()
        if line.plain or not blank:
            yield line
        blank = not line.plain


def _letters_of(encoding: str) -> Callable[[str], str]:
    """Return a function that spells text in the letters of an encoding; no-break spaces stay."""
    if encoding.lower().startswith("utf"):
        return str
    return lambda text: GLUE.join(
        part.translate(SPELLED_OUT).encode(encoding, "replace").decode(encoding) for part in text.split(GLUE)
    )


# The parts.


class _TerminalWriter:
    """Renders the parts of a walkthrough as lines of at most `width` columns; `letters` writes text in those it has."""

    def __init__(self, width: int, letters: Callable[[str], str] = str) -> None:
        self.width, self.letters = width, letters

    def lines(self, walk: Walkthrough) -> Iterator[Text]:
        """Yield the lines of a walkthrough for a terminal: its title, steps and numbered sections."""
        self.walk = walk
        yield from self._wrapped(walk.title, 0, 0, "bold")
        most = min(MAX_TIME_COLUMNS, self.width - 2)
        for place, section, begins in layout.numbered(in_brief(walk)):
            yield Text("")
            if begins:
                heading = f" {self.letters(short(section.time or '', most))} "
                yield from (Text(f"{heading:{self.letters('─')}^{self.width}}", style="bold"), Text(""))
            # The lines of a section for a terminal: its title, and its blocks.
            yield from self._wrapped(f"{place}. {section.title}", 0, len(f"{place}. "), "bold cyan")
            for block in layout.grouped(section.blocks):
                # The lines of one block of a walkthrough's section for a terminal.
                match block:
                    case layout.Equations():
                        yield from self._equation_lines(block)
                    case layout.Definitions():
                        for definition in block:
                            right = glued(definition.right).replace("⊙", "·")  # of single numbers
                            yield from self._wrapped(f"{definition.name}(a) = {right}", 3, 7)
                    case Facts(items):
                        names = [clean(name) for name, _ in items]
                        width = max(map(cell_len, names))
                        for name, (_, value) in zip(names, items, strict=True):
                            yield from self._wrapped(f"{pad_right(name, width)}  {clean(value)}", 3, width + 5)
                    case NumberTable():
                        # A table of numbers as lines of a terminal, under its title.
                        if block.title:
                            yield from self._wrapped(clean(write_words(block.title, glued)), 3, 3)
                        for piece in layout.pieces(block):
                            yield from self._table_rows(block, piece)
                        yield Text("")
                    case Expanded():
                        yield from self._products_lines(block)
                    case Sentence(text):
                        yield from self._wrapped(clean(write_words(text, glued)), 3, 3, "italic")

    def _glued(self, node: Formula) -> str:
        return self.letters(glued(node))

    def _short(self, name: str) -> str:
        return self.letters(short(name))

    def _broken_text(self, text: str, indent: int, hanging: int) -> list[str]:
        return wrap(" " * indent, self.letters(text), hanging, self.width)

    def _wrapped(self, text: str, indent: int, hanging: int, style: str = "") -> Iterator[Text]:
        yield from (Text(line, style=style) for line in self._broken_text(text, indent, hanging))

    # Equations: in symbols, with their shapes, then with the numbers of each unit.

    def _equation_lines(self, group: Sequence[WorkedEquation]) -> Iterator[Text]:
        """Yield equations that belong together as lines of a terminal: in symbols, then with each unit's numbers."""
        width = max(cell_len(self._glued(equation.left)) for equation in group)
        for equation in group:
            yield from self._symbolic_lines(equation, width)
        yield Text("")
        yield from self._worked_lines(group, width)

    def _worked_lines(self, group: Sequence[WorkedEquation], width: int) -> Iterator[Text]:
        entries = list(layout.worked(group, self.walk))
        heads = [self._short(entry.head) for entry in entries if not isinstance(entry, Rest) and entry.head is not None]
        margin = 3 + max(map(cell_len, heads), default=0) + 2
        for entry in entries:
            if isinstance(entry, Rest):
                yield from self._wrapped(str(entry), 3, 5, "dim")
                continue
            for place, line in enumerate(entry.lines):
                head = self._short(entry.head) if entry.head is not None and not place else ""
                yield from self._numbers_line(line, head, 3 if entry.head is None else margin, width)

    def _symbolic_lines(self, equation: WorkedEquation, width: int) -> Iterator[Text]:
        """Yield an equation in symbols as lines of text, beside its shapes or above them."""
        text = f"{pad_right(self._glued(equation.left), width)} = {self._glued(equation.right)}"
        shape = self.letters(layout.shapes(equation, self.walk.rows))
        if len(text) + len(shape) + 9 <= self.width:
            yield Text.assemble(("   " + text.replace(GLUE, " "), "bold"), "      ", (shape, "dim"))
            return
        yield from self._wrapped(text, 3, width + 6, "bold")
        yield from self._wrapped(shape, width + 6, width + 6, "dim")

    def _numbers_line(self, line: Line, head: str, margin: int, width: int) -> Iterator[Text]:
        """Yield an equation with one unit's numbers as lines of text; a gate's value tells by style how open it is."""
        equation, value = line.equation, line.value
        left = f"{pad_right(self._glued(equation.left), width)} = "
        result = number(value) if np.ndim(value) == 0 else self._glued(NumberRow(tuple(value)))
        middle = self._glued(line.right)
        equation_text = left + result if middle == result else f"{left}{middle} ={GLUE}{result}"
        lines = self._broken_text(equation_text.replace(left, left.replace(" ", GLUE), 1), margin, margin + width + 3)
        if head:
            lines[0] = f"   {pad_right(head, margin - 3)}{lines[0][margin:]}"
        for text in lines[:-1]:
            yield Text(text)
        last = Text(lines[-1])
        if equation.openness and (style := _gate_style(value)):
            last.stylize(style, len(lines[-1]) - len(result))
        yield last

    def _products_lines(self, expanded: Expanded) -> Iterator[Text]:
        """Yield every product in a sum as lines of a terminal: its weight, value, product and share."""
        terms, sign = expanded.terms, self.letters("×")
        yield Text("")
        yield from self._wrapped(caption(expanded, self.walk), 3, 3)
        names = [self._short(term.name) for term in terms]
        width = max(map(cell_len, names))
        columns = [aligned([getattr(t, part) for t in terms]) for part in ("weight", "value", "product")]
        percents = [
            "" if share is None else f"{percent(share).replace(GLUE, ' '):>9}"
            for share in layout.shares([term.product for term in terms])
        ]
        factors = [f"{weight} {sign} {value}" for weight, value in zip(*columns[:2], strict=True)]
        results = [f"= {product} {share}".rstrip() for product, share in zip(columns[2], percents, strict=True)]
        together = 3 + width + 2 + len(factors[0]) + 1 + max(map(len, results)) <= self.width
        between = " " if together else f"\n   {' ' * width}  "
        for name, factor, result in zip(names, factors, results, strict=True):
            yield from map(Text, f"   {pad_right(name, width)}  {factor}{between}{result}".split("\n"))
        yield Text(f"   {'sum':<{width}}  {number(terms.total)}", style="bold")
        yield Text("")

    # Tables: where a line is too short, blocks of columns; very wide ones show their first and last columns, long ones
    # their first and last rows.

    def _table_rows(self, table: NumberTable, piece: TableRows) -> Iterator[Text]:
        names = [self._short(write_words(name, glued)) for name, _ in piece.rows]
        texts = [aligned([values[k] for _, values in piece.rows], table.digits) for k in range(len(table.columns))]
        heads = [self._short(write_words(head, glued)) for head in table.columns]
        widths = [
            max(cell_len(head), *(len(text) for text in column)) for head, column in zip(heads, texts, strict=True)
        ]
        margin, dots = 3 + max(map(cell_len, names)), self.letters("…")
        for keep in self._column_blocks(widths, margin):
            gap = next((n for n in range(1, len(keep)) if keep[n] != keep[n - 1] + 1), None)
            line = Text(" " * margin)
            for n, k in enumerate(keep):
                line.append((f"  {dots}" if n == gap else "") + f"  {pad_left(heads[k], widths[k])}", style="dim")
            yield line
            for place, (name, (_, values)) in enumerate(zip(names, piece.rows, strict=True)):
                if piece.left_out and place == len(piece.rows) - 1:
                    yield Text(f"   {dots} {piece.left_out:,} more rows {dots}", style="dim")
                line = Text(f"   {pad_right(name, margin - 3)}")
                for n, k in enumerate(keep):
                    line.append(f"  {dots}" if n == gap else "")
                    style = _gate_style(values[k]) if k in table.openness else ""
                    line.append(f"  {texts[k][place]:>{widths[k]}}", style=style)
                yield line
            if gap is not None:
                yield Text(f"   {len(heads) - len(keep)} of {len(heads)} columns are left out", style="dim")

    def _column_blocks(self, widths: Sequence[int], margin: int) -> list[list[int]]:
        """Return the columns of each block of a table that fits a terminal; of very many, the first and the last."""
        count, room = len(widths), self.width - margin

        def fits(columns: Sequence[int], room: int) -> bool:
            return sum(widths[k] + 2 for k in columns) <= room

        if count > MAX_COLUMNS and not fits(range(count), room):
            room -= 3 + widths[-1] + 2
            return [[*takewhile(lambda k: fits(range(k + 1), room), range(count - 1)), count - 1]]
        for size in range(count, 1, -1):  # the fewest blocks that fit, as even as can be
            even = -(-count // -(-count // size))
            blocks = [list(range(count)[start : start + even]) for start in range(0, count, even)]
            if all(fits(block, room) for block in blocks):
                return blocks
        return [[k] for k in range(count)]


def _gate_style(value: Any) -> str:
    """Return the terminal style of a gate's value: the wider the gate is open, the stronger."""
    if value <= layout.MAX_CLOSED:
        return "dim"
    return "bold" if value >= layout.MIN_OPEN else ""
