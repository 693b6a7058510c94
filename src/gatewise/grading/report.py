"""A marked sheet as text, Markdown, a web page, a part of one, and JSON, which docs/marking-json.md describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from json import dumps
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len

from gatewise.grading.marking import Marking
from gatewise.grading.told import Equation, Row, Sentence, rows, sentences, unread
from gatewise.grading.verdicts import BLANK, CLOSE, COARSE, FOLLOWS, RIGHT, WRONG, Verdict
from gatewise.render import markdown as md
from gatewise.render.html import document, style
from gatewise.render.text import WIDTH, clean, left_of, short
from gatewise.showing import counted

FORMAT, VERSION = "gatewise marking", 1  # one version only ever gets keys added
SYMBOLS = {RIGHT: "✓", CLOSE: "≈", FOLLOWS: "↳", WRONG: "✗", COARSE: "?", BLANK: "–"}  # beside the words
MOST_FAULTS = 20  # lines that could not be read, one by one
MOST_TITLE = 80  # columns
STYLE = "marking.css", "gatewise.grading"


def text(marking: Marking) -> str:
    """Return a marked sheet as plain text of at most 80 columns."""
    lines = [line for sentence in sentences(marking) for line in _filled("", "".join(sentence))]
    lines += [line for fault in _faults(marking) for line in _filled("   ", fault, 5)]
    told = list(rows(marking))
    width = max((cell_len(row.name) for row in told), default=0)
    lines += [""] * bool(told)
    for row in told:
        numbers = f"{row.written} for {row.right}" if row.written else ""
        where = ": ".join(filter(None, (row.entry, numbers)))
        notes = f"({'; '.join(row.notes)})" if row.notes else ""
        said = f"{row.status}  {' '.join(filter(None, (where, notes)))}".rstrip()
        lines += _filled(f"   {left_of(row.name, width)}  ", said, width + 5)
    return "\n".join(lines)


def markdown(marking: Marking) -> str:
    """Return a marked sheet as Markdown."""
    parts = [md.prose("".join(sentence)) for sentence in sentences(marking)]
    parts.append("\n".join(f"- {md.prose(fault)}" for fault in _faults(marking)))
    table = ["| verdict | line | written | right | |", "| --- | --- | ---: | ---: | --- |"]
    for row in rows(marking):
        cells = (f"{SYMBOLS[row.status]} {row.status}", _line(row), row.written, row.right, "; ".join(_remarks(row)))
        table.append(f"| {' | '.join(map(md.escape, cells))} |")
    parts.append("\n".join(table) if marking.verdicts else "")
    return "\n\n".join(filter(None, parts))


def html(marking: Marking, *, title: str | None = None) -> str:
    """Return a marked sheet as a web page, complete in itself; its title says by default where the answers are from."""
    title = f"Line by line: {short(PurePath(marking.source).name, MOST_TITLE)}" if title is None else title
    body = f'<main class="gatewise-marking">\n<h1>{_inert(title)}</h1>\n{_body(marking)}\n</main>'
    return document(title, style(*STYLE) + style("page.css"), body)


def fragment(marking: Marking) -> str:
    """Return a marked sheet as a part of another page, without a heading."""
    return f'<div class="gatewise-marking">\n<style>{style(*STYLE)}</style>\n{_body(marking)}\n</div>'


def json(marking: Marking) -> str:
    """Return a marked sheet as JSON."""
    first = marking.first
    document = {
        "format": FORMAT,
        "version": VERSION,
        "source": clean(marking.source),
        "correct": marking.correct,
        "marks": marking.marks,
        "of": len(marking.verdicts) + len(marking.faults),
        "summary": ["".join(sentence) for sentence in sentences(marking)],
        "first_wrong": None if first is None else marking.verdicts.index(first),
        "verdicts": [_verdict(one) for one in marking.verdicts],
        "faults": [
            {"place": clean(one.place), "name": clean(one.name), "says": clean(one.says)} for one in marking.faults
        ],
    }
    return dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "name": clean(one.name),
        "status": one.status,
        "equation": clean(one.equation),
        "entry": clean(one.entry),
        "written": _number(one.written),
        "right": _number(one.right),
        "expected": _number(one.expected),
        "causes": [{"kind": clean(cause.kind), "says": clean(cause.says), "tier": cause.tier} for cause in one.causes],
        "more": one.more,
        "digits": one.digits,
        "remark": clean(one.remark),
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# What the formats have in common.


def _line(row: Row) -> str:
    """Return a line's equation, with the name of its step where that is not in it."""
    return row.equation if row.equation.startswith(f"{row.name} = ") else f"{row.name}: {row.equation}"


def _remarks(row: Row) -> list[str]:
    """Return what is said of a line beside its numbers."""
    where = f"at {row.entry}" if row.written and row.entry else row.entry
    return [*filter(None, [where]), *row.notes]


def _faults(marking: Marking) -> Iterator[str]:
    yield from map(unread, marking.faults[:MOST_FAULTS])
    if (more := len(marking.faults) - MOST_FAULTS) > 0:
        yield f"and {counted(more, 'more line')}"


def _filled(head: str, words: str, hanging: int = 0) -> Iterator[str]:
    """Break words into lines of at most 80 columns; two spaces in a row align columns, and stay."""
    line = head
    for place, word in enumerate(words.split(" ")):
        if place and cell_len(line) + 1 + cell_len(word) > WIDTH:
            yield line.rstrip()
            line = " " * hanging + word
        else:
            line += f" {word}" if place else word
    yield line.rstrip()


# The web page.


def _body(marking: Marking) -> str:
    first, *others = sentences(marking)
    parts = [f'<p class="says">{_sentence(first)}</p>', *(f"<p>{_sentence(one)}</p>" for one in others)]
    if marking.faults:
        parts.append(f"<ul>{''.join(f'<li>{_inert(fault)}</li>' for fault in _faults(marking))}</ul>")
    if marking.verdicts:
        parts.append(_table(marking))
    return "\n".join(parts)


def _table(marking: Marking) -> str:
    counts = ", ".join(f"{status} {count:,}" for status in SYMBOLS if (count := marking.count(status)))
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("verdict", "line", "written", "right"))
    body = "\n".join(map(_row, rows(marking)))
    return f"""<table>
<caption>{counted(len(marking.verdicts), "line")}: {counts}</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _row(row: Row) -> str:
    """Return a row of the table; where it has no numbers, its line takes their place."""
    notes = "".join(f"<small>{_inert(one)}</small>" for one in _remarks(row))
    numbers = f"<td>{_inert(row.written)}</td><td>{_inert(row.right)}</td>" if row.written else ""
    wide = "" if numbers else ' colspan="3"'
    return (
        f'<tr class="{row.status.replace(" ", "-")}">'
        f'<td><span aria-hidden="true">{SYMBOLS[row.status]}</span> {row.status}</td>'
        f'<th scope="row"{wide}><code>{_inert(_line(row))}</code>{notes}</th>{numbers}</tr>'
    )


def _sentence(sentence: Sentence) -> str:
    return "".join(f"<code>{escape(part)}</code>" if isinstance(part, Equation) else escape(part) for part in sentence)


def _inert(given: str) -> str:
    return escape(clean(given))
