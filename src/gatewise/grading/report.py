"""A marked sheet as text, Markdown, HTML and JSON; docs/marking.schema.json describes the last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from json import dumps
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len

from gatewise.errors import join_names
from gatewise.grading.marking import SAME_SLIP, Marking
from gatewise.grading.sheet import Fault
from gatewise.grading.verdicts import (
    CLOSE,
    COARSE,
    INCOMPLETE,
    MISSING,
    RIGHT,
    STATUSES,
    WRONG,
    Cause,
    Verdict,
    describe_counts,
)
from gatewise.languages.language import feedback_in
from gatewise.render import markdown as md
from gatewise.render.html import document, style, text_html
from gatewise.render.text import clean, pad_right, short, wrap
from gatewise.showing import counted
from gatewise.walkthrough.numbers import number

MAX_EQUATION_COLUMNS = 160  # columns of an equation in a sentence
MAX_FURTHER = 3  # wrong lines after the first one that have a sentence of their own
MAX_NAMES = 6  # in a list


class EquationText(str):
    """The part of a sentence that is an equation."""


Sentence = tuple[str, ...]  # whose parts, joined, are the sentence as text


@dataclass(frozen=True)
class VerdictRow:
    """A row of the table."""

    name: str
    equation: str
    status: str
    entry: str  # of a wrong line: that with the largest error, or the fault of its shape
    written: str  # the numbers of that entry, or empty
    right: str
    notes: tuple[str, ...]


def sentences(marking: Marking, lang: str = "en") -> list[Sentence]:
    """Return the sentences about a marked sheet: its right part, the first wrong line and its cause, the others."""
    return [
        tuple(part if isinstance(part, EquationText) else feedback_in(lang, part) for part in sentence)
        for sentence in _english_sentences(marking)
    ]


def _english_sentences(marking: Marking) -> list[Sentence]:
    first = marking.first
    if first is None:
        paragraphs: list[Sentence] = [(_describe_nothing_wrong(marking),)]
    else:
        place = marking.verdicts.index(first)
        so_far, opening = _describe_right_start(marking.verdicts[:place]), "The first wrong line is"
        paragraphs = [
            (so_far, *_describe_wrong(f"{' ' * bool(so_far)}{opening}", first)),
            (explain(first, marking.decimals),),
        ]
        paragraphs += _describe_other_wrong(marking.verdicts[place + 1 :], marking.decimals)
    if not {verdict.status for verdict in marking.verdicts} <= {RIGHT} and marking.count(MISSING) < len(
        marking.verdicts
    ):
        paragraphs.append((f"{counted(len(marking.verdicts), 'line')}: {describe_counts(marking.verdicts)}.",))
    paragraphs += [(sentence,) for sentence in _describe_blanks(marking.verdicts)]
    paragraphs += [(sentence,) for sentence in _describe_reasons(marking.verdicts)]
    if marking.faults and marking.count(MISSING) < len(marking.verdicts):
        paragraphs.append((f"{counted(len(marking.faults), 'line')} could not be read. The others were checked.",))
    return paragraphs


def rows(marking: Marking, lang: str = "en") -> Iterator[VerdictRow]:
    """Yield the rows of the table of verdicts on a marked sheet."""
    for verdict in marking.verdicts:
        written = right = ""
        if verdict.written is not None and verdict.right is not None:
            written, right = format_pair(verdict.written, verdict.right)
        name, equation, entry = map(clean, (verdict.name, verdict.equation, verdict.entry))
        notes = tuple(feedback_in(lang, clean(note)) for note in _line_notes(verdict))
        yield VerdictRow(name, equation, verdict.status, feedback_in(lang, entry), written, right, notes)


def describe_fault(fault: Fault, lang: str = "en") -> str:
    """Return a fault and its place in words."""
    place = fault.place or (fault.name if fault.name not in fault.says else "")
    says = feedback_in(lang, fault.says)
    return clean(f"{feedback_in(lang, place)}: {says}" if place else says)


def explain(verdict: Verdict, decimals: int | None = None) -> str:
    """Return sentences about the possible mistakes that made a line of a sheet wrong; it asks for so many decimals."""
    if not verdict.causes:
        if verdict.digits is None:
            if not verdict.more:
                return "No known mistake gives these numbers."
            few = "Too few numbers are written to tell what went wrong."
            return few if verdict.gaps else "Several mistakes could give these numbers."
        if decimals is None:
            return f"There aren't enough digits to tell what went wrong. Give {counted(verdict.digits, 'decimal')}."
        if verdict.digits <= decimals:
            return f"The sheet asks for {counted(decimals, 'decimal')}. They would tell what went wrong."
        more = "Only more digits than the sheet asks for can tell what went wrong."
        return f"{more} Give {counted(verdict.digits, 'decimal')}."
    first, *others = (clean(str(cause)) for cause in verdict.causes)
    opening = {
        "likely": "Likely cause:",
        "structural": "Possible cause:",
        "one entry": "This looks like a slip:",
        "possible": "This may be a slip:",
    }
    listed = ", or ".join([first, *others])
    gives = ("This mistake gives", "Either mistake gives", "Each of these mistakes gives")[min(len(others), 2)]
    more = ""
    if verdict.more:
        more = f" So {'does' if verdict.more == 1 else 'do'} {counted(verdict.more, 'other mistake')}."
    return f"{opening[verdict.causes[0].tier]} {listed}. {gives} exactly these numbers.{more}"


def format_pair(written: float, right: float) -> tuple[str, str]:
    """Return the written and the right number as text, the latter with enough digits to differ."""
    decimals, right = len(repr(written).partition(".")[2]), float(f"{right:.12g}")  # 0.01, not 0.0099999999999999
    for digits in (*range(min(decimals, 6) + 2, 9), 12, 16):
        first, second = number(written, max(digits, decimals)), number(right, digits)
        if first != second:
            break
    return first, second


def _describe_right_start(before: Sequence[Verdict]) -> str:
    right = [verdict.name for verdict in before if verdict.status in (RIGHT, CLOSE)]
    if len(right) < 2:
        return f"{right[0]} is right." if right else ""
    is_whole = len(right) == len(before)
    return (
        f"Everything up to {right[-1]} is right." if is_whole else f"{len(right):,} lines up to {right[-1]} are right."
    )


def _describe_wrong(opening: str, verdict: Verdict) -> Sentence:
    equation = EquationText(short(verdict.equation, MAX_EQUATION_COLUMNS))
    itself = equation.startswith(f"{verdict.name} = ")
    line = (f"{opening} ", equation) if itself else (f"{opening} ", f"{clean(verdict.name)} (", equation, ")")
    if verdict.written is None or verdict.right is None:
        return *line, f": {clean(verdict.entry)}."
    you = f"At {clean(verdict.entry)}, you" if verdict.entry else "You"
    others = f" Also wrong: {_join_names(verdict.others)}." if verdict.others else ""
    if verdict.expected is None:
        written, right = format_pair(verdict.written, verdict.right)
        return *line, f". {you} wrote {written}; it should be {right}.{others}"
    written, expected = format_pair(verdict.written, verdict.expected)
    return *line, f". {you} wrote {written}; your earlier numbers give {expected}.{others}"


def _describe_nothing_wrong(marking: Marking) -> str:
    right, coarse, incomplete, missing = (marking.count(status) for status in (RIGHT, COARSE, INCOMPLETE, MISSING))
    if missing == len(marking.verdicts):
        return "No written line could be read." if marking.faults else "Nothing is written yet."
    flaws = [f"{counted(coarse, 'line')} {'needs' if coarse == 1 else 'need'} more digits"] * bool(coarse)
    flaws += [f"{counted(incomplete, 'line')} {'is' if incomplete == 1 else 'are'} incomplete"] * bool(incomplete)
    if flaws:
        return f"No line is wrong, but {'. '.join(flaws)}."
    if right + missing < len(marking.verdicts):
        return "No line is wrong."
    which = "line that could be read" if marking.faults else "written line" if missing else "line"
    every = "Both" if right == 2 else f"All {right:,}"
    return f"The {which} is right." if right == 1 else f"{every} {which.replace('line', 'lines')} are right."


def _describe_other_wrong(after: Sequence[Verdict], decimals: int | None) -> Iterator[Sentence]:
    wrong = [verdict for verdict in after if verdict.status == WRONG]
    for verdict in wrong[:MAX_FURTHER]:
        yield *_describe_wrong("Another wrong line is", verdict), f" {explain(verdict, decimals)}"
    if len(wrong) > MAX_FURTHER:
        yield (f"Also wrong: {_join_names([verdict.name for verdict in wrong[MAX_FURTHER:]])}.",)


def _describe_blanks(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield a sentence about the blank entries of a marked sheet's lines, for all lines with the same ones."""
    names: dict[tuple[str, ...], list[str]] = {}
    for verdict in verdicts:
        if verdict.blank:
            names.setdefault(verdict.blank, []).append(verdict.name)
    for blank, lines in names.items():
        yield f"Still blank: {_join_names(blank)} in {_join_names(lines)}."


def _describe_reasons(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield each reason why lines of a marked sheet are close, too coarse or right once, with its lines."""
    names: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.reason and verdict.status != MISSING:
            names.setdefault(clean(verdict.reason), []).append(verdict.name)
    for reason, lines in names.items():
        if reason.startswith(SAME_SLIP):
            repeat = f"repeat{'s' * (len(lines) == 1)}"
            yield f"{_join_names(lines)} {reason.replace('this repeats', repeat, 1)}."
        else:
            yield f"Note on {_join_names(lines)}: {reason}."


def _line_notes(verdict: Verdict) -> Iterator[str]:
    """Yield the notes beside a line in the table of a marked sheet: other entries, expected number, causes, reason."""
    if verdict.others:
        yield f"also wrong: {_join_names(verdict.others)}"
    if verdict.blank:
        yield f"still blank: {_join_names(verdict.blank)}"
    if verdict.expected is not None and verdict.written is not None:
        yield f"your earlier numbers give {format_pair(verdict.written, verdict.expected)[1]}"
    if verdict.causes:
        more = f", or {counted(verdict.more, 'other mistake')}" if verdict.more else ""
        yield ", or ".join(map(str, verdict.causes)) + more
    if verdict.digits is not None:
        yield f"{counted(verdict.digits, 'decimal')} would tell the cause"
    if verdict.reason:
        yield verdict.reason


def _join_names(names: Sequence[str]) -> str:
    return clean(join_names(names, "and", most=MAX_NAMES))


FORMAT, VERSION = "gatewise marking", 3  # one version only ever gets keys added
SYMBOLS = dict(zip(STATUSES, "✓↳≈?◐✗–", strict=True))  # beside the words
HEADS = "verdict", "line", "written", "right"
MAX_FAULTS = 20  # lines that could not be read, one by one
MAX_TITLE_COLUMNS = 80  # columns
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
        lines += wrap(f"   {pad_right(row.name, width)}  ", line, width + 5)
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
        title = f"{feedback_in(lang, 'Line by line')}: {short(PurePath(marking.source).name, MAX_TITLE_COLUMNS)}"
    body = f'<main class="gatewise-marking">\n<h1>{text_html(title)}</h1>\n{_html_body(marking, lang)}\n</main>'
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
    return row.equation if row.equation.startswith(f"{row.name} = ") else f"{row.name}: {row.equation}"


def _row_notes(row: VerdictRow, lang: str) -> list[str]:
    where = f"{feedback_in(lang, 'at')} {row.entry}" if row.written and row.entry else row.entry
    return [*filter(None, [where]), *row.notes]


def _fault_lines(marking: Marking, lang: str) -> Iterator[str]:
    yield from (describe_fault(fault, lang) for fault in marking.faults[:MAX_FAULTS])
    if (more := len(marking.faults) - MAX_FAULTS) > 0:
        yield feedback_in(lang, f"and {counted(more, 'more line')}")


# The web page.


def _html_body(marking: Marking, lang: str) -> str:
    first, *others = sentences(marking, lang)
    parts = [
        f'<p class="says">{_html_sentence(first)}</p>',
        *(f"<p>{_html_sentence(sentence)}</p>" for sentence in others),
    ]
    if marking.faults:
        parts.append(f"<ul>{''.join(f'<li>{text_html(fault)}</li>' for fault in _fault_lines(marking, lang))}</ul>")
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
    notes = "".join(f"<small>{text_html(note)}</small>" for note in _row_notes(row, lang))
    numbers = f"<td>{text_html(row.written)}</td><td>{text_html(row.right)}</td>" if row.written else ""
    colspan = "" if numbers else ' colspan="3"'
    return (
        f'<tr class="{row.status.replace(" ", "-")}">'
        f'<td><span aria-hidden="true">{SYMBOLS[row.status]}</span> {feedback_in(lang, row.status)}</td>'
        f'<th scope="row"{colspan}><code>{text_html(_equation_with_name(row))}</code>{notes}</th>{numbers}</tr>'
    )


def _html_sentence(sentence: Sentence) -> str:
    return "".join(
        f"<code>{escape(part)}</code>" if isinstance(part, EquationText) else escape(part) for part in sentence
    )
