"""A marked sheet as text, Markdown, a web page, a part of one, and JSON, which docs/marking.schema.json describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from json import dumps
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len

from gatewise.grading.marking import Marking
from gatewise.grading.sheet import Fault
from gatewise.grading.verdict_sentences import EquationText, Sentence, VerdictRow, describe_fault, rows, sentences
from gatewise.grading.verdicts import STATUSES, Cause, Verdict
from gatewise.languages.translation import feedback_in
from gatewise.render import markdown as md
from gatewise.render.html import document, style
from gatewise.render.html_pieces import text as html_text
from gatewise.render.text import clean, left_of, short, wrap
from gatewise.showing import counted

FORMAT, VERSION = "gatewise marking", 3  # one version only ever gets keys added
SYMBOLS = dict(zip(STATUSES, "✓↳≈?◐✗–", strict=True))  # beside the words
HEADS = "verdict", "line", "written", "right"
MOST_FAULTS = 20  # lines that could not be read, one by one
MOST_TITLE = 80  # columns
STYLE = "marking.css", "gatewise.grading"
KEYS: dict[type, tuple[str, ...]] = {  # of JSON
    Verdict: (
        *("name", "status", "equation", "entry", "others", "written", "right", "expected"),
        *("causes", "more", "digits", "reason", "blank"),
    ),
    Cause: ("kind", "says", "tier"),
    Fault: ("place", "name", "says"),
}


def text(marking: Marking, *, lang: str = "en") -> str:
    """Return a marked sheet as plain text of at most 80 columns."""
    lines = [line for sentence in sentences(marking, lang) for line in wrap("", "".join(sentence))]
    lines += [line for fault in _fault_lines(marking, lang) for line in wrap("   ", fault, 5)]
    table_rows = list(rows(marking, lang))
    width = max((cell_len(row.name) for row in table_rows), default=0)
    lines += [""] * bool(table_rows)
    for row in table_rows:
        numbers = f"{row.written} {feedback_in(lang, 'for')} {row.right}" if row.written else ""
        where = ": ".join(filter(None, (row.entry, numbers)))
        notes = f"({'; '.join(row.notes)})" if row.notes else ""
        line = f"{feedback_in(lang, row.status)}  {' '.join(filter(None, (where, notes)))}".rstrip()
        lines += wrap(f"   {left_of(row.name, width)}  ", line, width + 5)
    return "\n".join(lines)


def markdown(marking: Marking, *, lang: str = "en") -> str:
    """Return a marked sheet as Markdown."""
    parts = [md.prose("".join(sentence)) for sentence in sentences(marking, lang)]
    parts.append("\n".join(f"- {md.prose(fault)}" for fault in _fault_lines(marking, lang)))
    heads = " | ".join(feedback_in(lang, head) for head in HEADS)
    table = [f"| {heads} | |", "| --- | --- | ---: | ---: | --- |"]
    for row in rows(marking, lang):
        cells = (
            f"{SYMBOLS[row.status]} {feedback_in(lang, row.status)}",
            _equation_with_name(row),
            row.written,
            row.right,
            "; ".join(_row_notes(row, lang)),
        )
        table.append(f"| {' | '.join(map(md.escape, cells))} |")
    parts.append("\n".join(table) if marking.verdicts else "")
    return "\n\n".join(filter(None, parts))


def html(marking: Marking, *, title: str | None = None, lang: str = "en") -> str:
    """Return a marked sheet as a web page, complete in itself; the title names the answers' file by default."""
    if title is None:
        title = f"{feedback_in(lang, 'Line by line')}: {short(PurePath(marking.source).name, MOST_TITLE)}"
    body = f'<main class="gatewise-marking">\n<h1>{html_text(title)}</h1>\n{_html_body(marking, lang)}\n</main>'
    return document(title, style(*STYLE) + style("page.css"), body, lang=lang)


def fragment(marking: Marking) -> str:
    """Return a marked sheet as a part of another page, without a heading."""
    return f'<div class="gatewise-marking">\n<style>{style(*STYLE)}</style>\n{_html_body(marking, "en")}\n</div>'


def json(marking: Marking) -> str:
    """Return a marked sheet as JSON, in the format of docs/marking.schema.json."""
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
        "verdicts": _as_json(marking.verdicts),
        "faults": _as_json(marking.faults),
    }
    return dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _as_json(value: Any) -> Any:
    """Return verdicts, causes, faults and their fields as JSON has them: text on one line, and no infinite number."""
    match value:
        case Verdict() | Cause() | Fault():
            return {key: _as_json(getattr(value, key)) for key in KEYS[type(value)]}
        case tuple():
            return [_as_json(item) for item in value]
        case str():
            return clean(value)
        case float() if not math.isfinite(value):
            return None
    return value


# Shared by the formats


def _equation_with_name(row: VerdictRow) -> str:
    """Return a line's equation, preceded by its name if the equation does not begin with it."""
    return row.equation if row.equation.startswith(f"{row.name} = ") else f"{row.name}: {row.equation}"


def _row_notes(row: VerdictRow, lang: str) -> list[str]:
    where = f"{feedback_in(lang, 'at')} {row.entry}" if row.written and row.entry else row.entry
    return [*filter(None, [where]), *row.notes]


def _fault_lines(marking: Marking, lang: str) -> Iterator[str]:
    yield from (describe_fault(fault, lang) for fault in marking.faults[:MOST_FAULTS])
    if (more := len(marking.faults) - MOST_FAULTS) > 0:
        yield feedback_in(lang, f"and {counted(more, 'more line')}")


# The web page.


def _html_body(marking: Marking, lang: str) -> str:
    first, *others = sentences(marking, lang)
    parts = [
        f'<p class="says">{_html_sentence(first)}</p>',
        *(f"<p>{_html_sentence(sentence)}</p>" for sentence in others),
    ]
    if marking.faults:
        parts.append(f"<ul>{''.join(f'<li>{html_text(fault)}</li>' for fault in _fault_lines(marking, lang))}</ul>")
    if marking.verdicts:
        parts.append(_html_table(marking, lang))
    return "\n".join(parts)


def _html_table(marking: Marking, lang: str) -> str:
    heads = "".join(f'<th scope="col">{feedback_in(lang, head)}</th>' for head in HEADS)
    body = "\n".join(_html_row(row, lang) for row in rows(marking, lang))
    return f"""<table>
<caption>{feedback_in(lang, "Line by line")}</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _html_row(row: VerdictRow, lang: str) -> str:
    notes = "".join(f"<small>{html_text(note)}</small>" for note in _row_notes(row, lang))
    numbers = f"<td>{html_text(row.written)}</td><td>{html_text(row.right)}</td>" if row.written else ""
    colspan = "" if numbers else ' colspan="3"'
    return (
        f'<tr class="{row.status.replace(" ", "-")}">'
        f'<td><span aria-hidden="true">{SYMBOLS[row.status]}</span> {feedback_in(lang, row.status)}</td>'
        f'<th scope="row"{colspan}><code>{html_text(_equation_with_name(row))}</code>{notes}</th>{numbers}</tr>'
    )


def _html_sentence(sentence: Sentence) -> str:
    return "".join(
        f"<code>{escape(part)}</code>" if isinstance(part, EquationText) else escape(part) for part in sentence
    )
