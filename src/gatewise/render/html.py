"""The web format of a walkthrough: one self-contained page, or a part of one for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import count, groupby
from string import Template
from typing import Any

import numpy as np

from gatewise.palette import PALETTE, QUANTITIES
from gatewise.render import mathml
from gatewise.render.diagram import classes, diagram, notes, step_name
from gatewise.render.layout import (
    MAX_CLOSED,
    MIN_OPEN,
    BlockGroup,
    Computation,
    Definitions,
    Entry,
    Equations,
    Line,
    Rest,
    UnfoldedTerm,
    UnfoldedTerms,
    grouped,
    rows,
    shapes,
    shares,
    unfolded,
    worked,
    write_words,
)
from gatewise.render.mathml import hue_of, run, width
from gatewise.render.text import clean, formula
from gatewise.symbolic.formula import Formula, Number, NumberRow, Product, Symbol
from gatewise.walkthrough.lazy import MAX_OPEN
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import (
    Expanded,
    Facts,
    NumberTable,
    Section,
    Sentence,
    Walkthrough,
    Words,
    WorkedEquation,
)

FIGURE_SPACE, POINT_SPACE = "\N{FIGURE SPACE}", "\N{PUNCTUATION SPACE}"  # as wide as a digit, as a decimal point
MAX_NARROW_DIGITS = 34  # digits: a table that is wider may need to be scrolled


def text_html(name: str) -> str:
    """Return a name as text of a page."""
    return escape(clean(name))


def number_markup(plain: str) -> str:
    """Return a number as HTML, given as the text format has it."""
    digits, e, exponent = plain.partition("e")
    return (f"{digits}×10<sup>{int(exponent)}</sup>" if e else digits).replace("-", mathml.MINUS)


def number_column(plains: Sequence[str]) -> list[str]:
    """Return numbers as HTML for a column that is flush right, their decimal points below each other."""
    after = [len(plain.partition(".")[2]) if "e" not in plain and plain[-1].isdigit() else None for plain in plains]
    most = max((n for n in after if n is not None), default=0)
    return [
        number_markup(plain)
        + ("" if n is None else (POINT_SPACE if most and not n else "") + FIGURE_SPACE * (most - n))
        for plain, n in zip(plains, after, strict=True)
    ]


def plain(value: Any) -> str:
    """Return a number as the text format has it, or several with commas between them."""
    return ",".join(map(number, np.ravel(value))) if np.ndim(value) else number(value)


def bar_style(share: Any) -> str:
    """Return the CSS that sets the length of a bar to a share of 1."""
    return f"--p:{min(max(float(share), 0), 1):.3g}"


def meter(value: Any, gate: Words) -> str:
    """Return an HTML bar that is filled as far as a gate is open, in the hue of its symbol."""
    names = ("meter", hue_of(gate) if isinstance(gate, Symbol) else "")
    return f'<span {classes(*names)} style="{bar_style(value)}"></span>'


def openness(value: Any) -> str:
    """Return the remark about a gate that is nearly closed or open."""
    return "nearly closed" if value <= MAX_CLOSED else "nearly open" if value >= MIN_OPEN else ""


def expression_html(node: Formula) -> str:
    """Return a formula of numbers as HTML: a plain product as text, which is short, others as MathML."""
    match node:
        case Product((Number(one), Number(other))):
            first, second = (number_markup(number(value)) for value in (one, other))
            return f"{first} × ({second})" if second.startswith(mathml.MINUS) else f"{first} × {second}"
    return run(node)


def share_bars(values: Sequence[Any]) -> list[str]:
    """Return the share of each term in a sum of absolute values as HTML, with a bar on the side of its sign.

    The length of a bar is relative to the largest share; a term without a share has nothing.
    """
    parts, bars = shares(values), list[str]()
    largest = max((part for part in parts if part), default=1.0)
    for part, value in zip(parts, values, strict=True):
        sign = " negative" if value < 0 else " positive" if value > 0 else ""
        bar = "" if part is None else f'<span class="bar{sign}" style="{bar_style(part / largest)}"></span>'
        bars.append(bar and f'<span class="share">{bar} {percent(part) if part else "0 %"}</span>')
    return bars


def table_markup(caption: str, label: str, heads: Sequence[str], rows: Sequence[str], width: float) -> str:
    """Return an HTML table, in a box that scrolls, under a caption of markup or else with a label alone."""
    opening = f"<table><caption>{caption}</caption>" if caption else f'<table aria-label="{label}">'
    body = f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return scrolled(opening + body, label, width)


def scrolled(table: str, label: str, width: float) -> str:
    """Return an HTML table in a box that scrolls; where it may have to, the box can be reached by keyboard."""
    reached = f' tabindex="0" role="region" aria-label="{label}"' if width > MAX_NARROW_DIGITS else ""
    return f'<div class="box"{reached}>{table}</div>'


def spaced_text(words: str) -> str:
    """Return a part of a sentence as HTML, with the spaces at its ends."""
    before, after = (" " if edge.isspace() else "" for edge in (words[:1], words[-1:]))
    return f"{before}{text_html(words.strip())}{after}" if words.strip() else before


def words_html(words: Words) -> str:
    """Return text with symbols in it as HTML."""
    return write_words(words, mathml.math, spaced_text)


def head_html(words: Words, scope: str) -> str:
    """Return the HTML head of a table's row or column; a long name may take several lines."""
    long = ' class="long"' if len(write_words(words, formula)) > MAX_NARROW_DIGITS else ""
    return f'<th scope="{scope}"{long}>{words_html(words)}</th>'


def term_name_html(name: str | Formula) -> str:
    """Return the name of a term as markup, or its symbols."""
    return text_html(name) if isinstance(name, str) else mathml.math(name)


class Lines:
    """Renders the equations of a walkthrough and the sums behind their numbers."""

    def __init__(self, walk: Walkthrough) -> None:
        self.walk = walk

    def equations(self, group: Sequence[WorkedEquation]) -> str:
        """Return equations that belong together as HTML: in symbols with shapes, then with each unit's numbers."""
        in_symbols = "".join(
            equation(
                mathml.math(line.left),
                f'{run(line.right, "=")} <span class="shape">{shapes(line, self.walk.rows)}</span>',
            )
            for line in group
        )
        widest = max(width(line.left) for line in group)
        style = f'style="--w:{min(0.62 * widest + 0.6, 8):.3g}em"'
        entries = "".join(
            f'<p class="rest">{entry}</p>' if isinstance(entry, Rest) else self._entry_html(entry)
            for entry in worked(group, self.walk)
        )
        lines = f'<div class="worked" {style}>{entries}</div>' if entries else ""
        return f'<div class="formulas" {style}>{in_symbols}</div>\n{lines}'

    def _entry_html(self, entry: Entry) -> str:
        lines = "".join(map(self._line_html, entry.lines))
        if entry.head is None:
            return f'<div class="entry"><div class="lines">{lines}</div></div>\n'
        head = text_html(entry.head)
        return (
            f'<div class="entry" role="group" aria-label="{head}"><div class="head">{head}</div>'
            f'<div class="lines">{lines}</div></div>\n'
        )

    def _line_html(self, line: Line) -> str:
        """Return an equation with its numbers as HTML, which expands to the steps that compute it."""
        right, value, left = line.right, line.value, line.equation.left
        result = number_markup(plain(value)) if np.ndim(value) == 0 else run(NumberRow(tuple(value)))
        same = formula(right) == (plain(value) if np.ndim(value) == 0 else formula(NumberRow(tuple(value))))
        middle = "" if same else f"{run(right, '=')} "
        state = ""
        if line.equation.openness and not np.isnan(value):
            state = f' <span class="gate">{meter(value, left)}{openness(value)}</span>'
        summary = (
            f'<span class="left">{mathml.math(left)}</span> <span class="run">{middle}'
            f'<span class="result">= <span class="value" data-value="{plain(value)}">{result}</span>{state}</span>'
            "</span>"
        )
        expanded = self._steps_html(unfolded(line, self.walk.names))
        if not expanded:
            return f'<div class="line">{summary}</div>\n'
        return f'<details class="line"><summary>{summary}</summary><div class="unfolded">{expanded}</div></details>\n'

    def _steps_html(self, steps: Sequence[Computation | UnfoldedTerms]) -> str:
        written = []
        for kind, same_kind in groupby(steps, type):
            if kind is Computation:
                items = "".join(
                    f"<li>{_computation_html(step)}</li>" for step in same_kind if isinstance(step, Computation)
                )
                written.append(f'<ul class="steps" role="list">{items}</ul>')
            else:
                written += [self._terms_html(step) for step in same_kind if isinstance(step, UnfoldedTerms)]
        return "".join(written)

    def _terms_html(self, terms: UnfoldedTerms) -> str:
        values = [term.computation.value for term in terms.terms]
        results = number_column([number(value) for value in (*values, *([] if terms.total is None else [terms.total]))])
        bars = [""] * len(values) if terms.total is None else share_bars(values)
        items = "".join(
            f"<li><b>{term_name_html(term.name)}</b> {self._term_html(term)}"
            f' <span class="product">= {result}</span> {bar}</li>'
            for term, result, bar in zip(terms.terms, results, bars, strict=False)
        )
        if terms.total is not None:
            items += f'<li class="total"><b>sum</b> <span></span> <span class="product">= {results[-1]}</span></li>'
        return f'<ul class="terms" role="list">{items}</ul>'

    def _term_html(self, term: UnfoldedTerm) -> str:
        before = self._steps_html(term.before)
        right = "" if isinstance(term.computation.formula, Number) else expression_html(term.computation.formula)
        return f"<span>{right}</span>" if not before else f"<div>{before}{right}</div>"

    def products(self, block: Expanded) -> str:
        """Return the HTML table of every product in a sum."""
        terms = block.terms
        name = text_html(self.walk.names[block.over][block.unit])
        values = [term.product for term in terms]
        plains = [[number(getattr(term, part)) for term in terms] for part in ("weight", "value", "product")]
        rows = [
            f"<tr>{head_html(term.name, 'row')}"
            + "".join(f'<td data-value="{plain}">{text}</td>' for plain, text in cells)
            + f"<td>{share}</td></tr>"
            for term, share, *cells in zip(
                terms,
                share_bars(values),
                *(zip(column_, number_column(column_), strict=True) for column_ in plains),
                strict=True,
            )
        ]
        total = number(terms.total)
        last = (
            f'<th scope="row">sum</th><td></td><td></td><td data-value="{total}">{number_markup(total)}</td><td></td>'
        )
        heads = [f'<th scope="col">{head}</th>' for head in ("name", "weight", "value", "product")]
        heads.append('<th scope="col" class="start">share</th>')
        rows.append(f'<tr class="total">{last}</tr>')
        caption = f"{name}: every product in its {terms.of}, {mathml.math(block.left)}, largest first"
        return table_markup(caption, f"{name}: {terms.of}", heads, rows, MAX_NARROW_DIGITS + 1)


def equation(left: str, right: str) -> str:
    """Return an equation of a box of formulas as HTML."""
    return f'<div class="formula"><span class="left">{left}</span> <span class="run">{right}</span></div>'


def _computation_html(computation: Computation) -> str:
    result = number_markup(number(computation.value))
    return f'<span>{run(computation.formula)}</span> <span class="product">= {result}</span>'


POLICY = "default-src 'none'; style-src 'unsafe-inline'"
ID_MARK = "\0"  # before an id, until all is written; no name has it

MAX_SECTIONS = 400  # sections in a cell of a notebook


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a web page, complete in itself."""
    writer = _PageWriter(walk, "s")
    body = writer.body("main", f'<a class="skip" href="#{writer.top}">Skip to the walk</a>\n')
    return document(walk.title, style("walk.css") + style("page.css"), f'<div class="gatewise">\n{body}\n</div>')


def document(title: str, styles: str, body: str, images: str = "", lang: str = "en") -> str:
    """Return a web page that asks for nothing: of its styles, its body, and images from where its policy allows."""
    return f"""<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{POLICY}{images}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{escape(clean(title))}</title>
<style>{styles}</style>
</head>
<body>
{body}
</body>
</html>"""


def fragment(walk: Walkthrough) -> str:
    """Return the walkthrough as HTML for a notebook's cell; of a long walk, only how to read it."""
    if len(walk.sections[: MAX_SECTIONS + 1]) > MAX_SECTIONS:
        return f"<p>{len(walk.steps):,} steps are too many for a notebook: save('walk.html') makes a page.</p>"
    body = _PageWriter(walk, ID_MARK).body("article")
    seal = sha256(body.encode()).hexdigest()[:8]  # the ids of two walks in one notebook differ in it
    return f'<div class="gatewise">\n<style>{style("walk.css")}</style>\n{body.replace(ID_MARK, f"w{seal}-")}\n</div>'


@cache
def style(name: str, package: str = "gatewise.render") -> str:
    """Return a style sheet of a package, without its first comment and with the palette's colours."""
    _, _, rules = files(package).joinpath(name).read_text(encoding="utf-8").partition("*/")
    return Template(rules).substitute({colour: value.css for colour, value in PALETTE.items()})


# The parts.


class _PageWriter:
    """Renders the parts of a walkthrough; `prefix` begins every id."""

    def __init__(self, walk: Walkthrough, prefix: str) -> None:
        self.walk, self.prefix, self.top = walk, prefix, f"{prefix}top"
        self.lines, self.folds = Lines(walk), len(walk.shown) > MAX_OPEN

    def body(self, tag: str, before: str = "") -> str:
        """Return the walkthrough as HTML: links to its sections, the picture of its first step, and its sections."""
        ids = (f"{self.prefix}{n}" for n in count())
        steps = [
            (time, next(ids), [(next(ids), section) for section in together])
            for time, together in groupby(self.walk.sections, lambda section: section.time)
        ]
        with np.errstate(all="ignore"):
            picture = self._figure_html(0, f"{self.prefix}cell", [*self._sentence_of_first_step(), *notes(self.walk)])
            sections = "\n".join(self._step_html(*step) for step in steps)
        links = "".join(self._section_links(*step) for step in steps)
        return f"""{before}<nav aria-label="Sections">
<details><summary>Sections</summary><ol>{links}</ol></details>
</nav>
<{tag} id="{self.top}" class="walk tex2jax_ignore mathjax_ignore">
<h1>{text_html(self.walk.title)}</h1>
<p class="lead">Click a {"step or a line" if self.folds else "line"} marked ▸ to see every number in it.</p>
{picture}
{sections}
</{tag}>"""

    def _section_links(self, time: str | None, _: str, sections: Sequence[tuple[str, Section]]) -> str:
        """Return the HTML links to the sections of a step, folded under its name if it has one."""
        links = "".join(
            f'<li><a href="#{key}"><span class="place">{place}</span> {text_html(section.title)}</a></li>'
            for place, (key, section) in enumerate(sections, 1)
        )
        return (
            links
            if time is None
            else f"<li><details><summary>{text_html(time)}</summary><ol>{links}</ol></details></li>"
        )

    def _step_html(self, time: str | None, key: str, sections: Sequence[tuple[str, Section]]) -> str:
        level = "h2" if time is None else "h3"
        markup = "\n".join(
            self._section_html(place, each, section, level) for place, (each, section) in enumerate(sections, 1)
        )
        if time is None:
            return markup
        forward = next((section.at for _, section in sections if section.key in ("input", "forward")), None)
        picture = "" if forward is None else self._figure_html(forward, f"{key}cell")
        heading = f'<h2 id="{key}">{text_html(time)}</h2>'
        tag, state, at = "section", "", sections[0][1].at
        if self.folds and at is not None:
            tag, heading = "details", f"<summary>{heading}</summary>"
            begins = at == self.walk.shown[-1 if self.walk.backward else 0] and sections[0][1].key != "forward"
            state = ' open="open"' if begins else ""
        return f'<{tag} class="step" aria-labelledby="{key}"{state}>\n{heading}\n{picture}\n{markup}\n</{tag}>'

    def _figure_html(self, at: int, key: str, notes_below: Sequence[Words] = ()) -> str:
        caption = "".join(f"<p>{words_html(words)}</p>" for words in notes_below)
        below = f"<figcaption>{caption}</figcaption>" if caption else ""
        return f'<figure class="cell">{diagram(self.walk, at, key)}{below}</figure>'

    def _sentence_of_first_step(self) -> list[Words]:
        """Return the sentence that says which step the picture on top of the page is of, if there are several."""
        count = len(self.walk.steps)
        return [f"The cell at {step_name(self.walk, 0)}, the first of {count} steps."] if count > 1 else []

    def _section_html(self, place: int, key: str, section: Section, level: str) -> str:
        self.title = clean(section.title)
        blocks = map(self._block_html, grouped(section.blocks))
        heading = (
            f'<{level} class="title" id="{key}"><span class="place">{place}</span> {text_html(section.title)}</{level}>'
        )
        about = section.key.removeprefix("d_")
        hue = f" hued {about}" if about in QUANTITIES else ""
        return "\n".join([f'<section class="station{hue}" aria-labelledby="{key}">', heading, *blocks, "</section>"])

    def _block_html(self, block: BlockGroup) -> str:
        match block:
            case Equations():
                return self.lines.equations(block)
            case Definitions():
                lines = (equation(mathml.function_of_a(line.name), run(line.right, "=")) for line in block)
                return f'<div class="formulas" style="--w:4em">{"".join(lines)}</div>'
            case Facts(items):
                items_markup = "".join(
                    f"<div><dt>{text_html(name)}</dt><dd>{text_html(value)}</dd></div>" for name, value in items
                )
                return f'<dl class="facts">{items_markup}</dl>'
            case NumberTable():
                return self._table_html(block)
            case Expanded():
                return self.lines.products(block)
            case Sentence(words):
                return f'<p class="says">{words_html(words)}</p>'
        raise TypeError(f"not a part: {block!r}")

    # Tables: long ones show their first and last rows.

    def _table_html(self, table: NumberTable) -> str:
        """Return a table of numbers as HTML; a long one has its first and last rows."""
        title = clean(write_words(table.title, formula))
        lines, omitted = rows(table)
        plains = [[number(row[k], table.digits) for _, row in lines] for k in range(len(table.columns))]
        columns = [number_column(plain) for plain in plains]
        heads = [head_html(head, "col") for head in table.columns]
        body = []
        for place, (name, values) in enumerate(lines):
            if omitted and place == len(lines) - 1:
                body.append(f'<tr class="rest"><td colspan="{len(columns) + 1}">… {omitted} more rows …</td></tr>')
            cells = "".join(
                _cell_html(plain[place], formatted[place], values[k] if k in table.openness else None, head)
                for k, (head, plain, formatted) in enumerate(zip(table.columns, plains, columns, strict=True))
            )
            body.append(f"<tr>{head_html(name, 'row')}{cells}</tr>")
        caption = words_html(table.title) if title else ""
        key = '<p class="key">A bar shows how far the gate is open.</p>' if table.openness else ""
        width = sum(
            2 + max(map(len, [write_words(head, formula), *plain]))
            for head, plain in zip(table.columns, plains, strict=True)
        )
        width += max((len(write_words(name, formula)) for name, _ in lines), default=0)
        return table_markup(caption, escape(title or self.title), ["<td></td>", *heads], body, width) + key


def _cell_html(plain: str, markup: str, gate: Any, head: Words) -> str:
    """Return a cell of an HTML table; that of a gate has a bar in its hue, and says if it is nearly closed or open."""
    if gate is None or np.isnan(gate):
        return f'<td data-value="{plain}">{markup}</td>'
    words = f'<span class="unseen"> {state}</span>' if (state := openness(gate)) else ""
    return f'<td data-value="{plain}">{markup}{meter(gate, head)}{words}</td>'
