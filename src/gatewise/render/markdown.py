"""The Markdown format of a walkthrough, for GitHub and notebooks: formulas as LaTeX, with numbers in them as text.

Names come from files and from people: whatever is in them, they are text, and neither HTML nor mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from gatewise.render import latex, terminal, text
from gatewise.render.layout import BlockGroup, Definitions, Equations, grouped, numbered, rows, shares, write_words
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import Expanded, Facts, NumberTable, Section, Sentence, Walkthrough, Words

# In an element of its own, a dollar or a backslash begins no mathematics, whoever renders the page.
_SPECIAL = {"$": r"<span>\$</span>", "\\": r"<span>\\</span>", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_SPECIAL |= {c: f"\\{c}" for c in "`*_{}[]|~@"}
_BEGINNING = re.compile(r"^(\d*)(?=[-+#=.)])")  # of a list, of a heading, of a rule


def render(walkthrough: Walkthrough) -> str:
    """Return the walkthrough as Markdown."""
    return "\n\n".join([f"# {escape(walkthrough.title)}", *(shown for _, shown in sections(walkthrough))])


def sections(walk: Walkthrough, *, worked: bool = True) -> Iterator[tuple[Section, str]]:
    """Yield each section of a walkthrough with its Markdown, under its heading and that of a step it begins.

    Without `worked`, no equation is shown with numbers in it.
    """
    for place, section, begins in numbered(walk.sections):
        parts = [f"### {place}. {escape(section.title)}"]
        if begins:
            parts.insert(0, f"## {escape(text.short(section.time, text.MAX_TIME_COLUMNS))}" if section.time else "---")
        for block in grouped(section.blocks):
            parts += _block_markdown(block, walk, worked)
        yield section, "\n\n".join(parts)


def escape(name: str) -> str:
    r"""Return any text as Markdown that shows it and does nothing else.

    Examples
    --------
    >>> print(escape("<b> | *x_1*"))
    &lt;b&gt; \| \*x\_1\*
    """
    escaped = "".join(_SPECIAL.get(c, c) for c in text.clean(name))
    return re.sub("(www)(?=[.])", r"\1\\", escaped.replace("://", r"\://"), flags=re.IGNORECASE)  # no links


def prose(words: Words) -> str:
    """Return text with symbols in it as Markdown."""
    return _as_paragraph(write_words(words, lambda symbol: f"${latex.formula(symbol)}$", _escaped_part).strip())


def _as_paragraph(paragraph: str) -> str:
    """Return text that begins a paragraph as such, whatever it begins with."""
    return _BEGINNING.sub(r"\1\\", paragraph)


def _escaped_part(part: str) -> str:
    """Return a part of a text with the spaces at its ends."""
    return f"{' ' * part[:1].isspace()}{escape(part)}{' ' * part[-1:].isspace()}"


def _name(words: Words) -> str:
    """Return the name of a row or of a column, as long as names are."""
    return escape(text.short(words)) if isinstance(words, str) else prose(words)


def _block_markdown(block: BlockGroup, walk: Walkthrough, worked: bool) -> Iterator[str]:
    match block:
        case Equations():
            yield _display_math([row for equation in block for row in latex.symbols(equation, walk.rows)])
            if worked and (lines := terminal.worked_lines(block, walk)):
                yield _fenced_text([line[3:] for line in lines])  # without the margin that text has
        case Definitions():
            yield _display_math(list(map(latex.defined, block)))
        case Facts(items):
            yield "\n".join(f"- {_as_paragraph(escape(name))}: {escape(value)}" for name, value in items)
        case NumberTable(title):
            if title:
                yield prose(title)
            yield _number_table_markdown(block)
        case Expanded():
            # The caption and the Markdown table of every product in a sum.
            terms = block.terms
            yield prose(text.caption(block, walk))
            cells = []
            for term, share in zip(terms, shares([term.product for term in terms]), strict=True):
                percentage = "" if share is None else percent(share)
                cells.append([_name(term.name), *map(number, (term.weight, term.value, term.product)), percentage])
            cells.append(["**sum**", "", "", f"**{number(terms.total)}**", ""])
            yield _table_markdown(["", "weight", "value", "product", "share"], cells)
        case Sentence(words):
            yield prose(words)


def _display_math(rows: Sequence[str]) -> str:
    return "\n".join(["$$", r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}", "$$"])


def _fenced_text(lines: Sequence[str]) -> str:
    """Return lines of a walkthrough as a fenced block of Markdown; its fence is longer than any in them."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])


def _number_table_markdown(table: NumberTable) -> str:
    """Return a table of numbers as Markdown; a long one has its first and last rows."""
    visible, omitted = rows(table)
    cells = [[_name(name), *(number(value, table.digits) for value in values)] for name, values in visible]
    if omitted:
        cells.insert(-1, [f"… {omitted} more rows …", *("" for _ in table.columns)])
    return _table_markdown(["", *map(_name, table.columns)], cells)


def _table_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its first column on the left, the others on the right; aligned in its source too."""
    widths = [max(3, *(cell_len(row[k]) for row in (head, *rows))) for k in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [text.pad_right(row[0], widths[0]), *map(text.pad_left, row[1:], widths[1:])] for row in (head, rule, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
