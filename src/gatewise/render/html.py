"""The web format of a walkthrough: one page that asks for nothing, or a part of one for a notebook.

Every line with numbers in it opens, and shows all that it is made of; <details> does that without a script. The markup
is well-formed XML too. Numbers lie in data-value as the text format writes them, whatever they look like.
"""

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

from gatewise.palette import PALETTE
from gatewise.render import mathml
from gatewise.render.layout import OPEN, SHUT, Entry, Line, Rest, grouped, rows, said, shapes, shares, worked
from gatewise.render.mathml_pieces import run, width
from gatewise.render.text import clean, formula
from gatewise.render.unfolding import Done, Term, Terms, unfolded
from gatewise.symbolic.formula import Formula, Number, Product, Row
from gatewise.walkthrough.numbers import number, percent
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
    Words,
)

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
FIGURE, POINT = "\N{FIGURE SPACE}", "\N{PUNCTUATION SPACE}"  # as wide as a digit, as a decimal point
UNNAMED = "\0"  # before an id, until all is written; no name has it
NARROW = 34  # digits: a table that is wider may need to be scrolled

MOST_SHOWN = 400  # sections in a cell of a notebook


def render(walk: Walkthrough) -> str:
    """Return the walkthrough as a web page, complete in itself."""
    title, writer = escape(clean(walk.title)), _Writer(walk, "s")
    body = writer.body("main", f'<a class="skip" href="#{writer.top}">Skip to the walk</a>\n')
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{title}</title>
<style>{style("walk.css")}{style("page.css")}</style>
</head>
<body>
<div class="gatewise">
{body}
</div>
</body>
</html>"""


def fragment(walk: Walkthrough) -> str:
    """Return the walkthrough as a part of another page, such as a notebook; of a long walk, how to read it."""
    if len(walk.sections[: MOST_SHOWN + 1]) > MOST_SHOWN:
        return f"<p>{len(walk.steps):,} steps are too many for a notebook: save('walk.html') makes a page.</p>"
    body = _Writer(walk, UNNAMED).body("article")
    seal = sha256(body.encode()).hexdigest()[:8]  # the ids of two walks in one notebook differ in it
    return f'<div class="gatewise">\n<style>{style("walk.css")}</style>\n{body.replace(UNNAMED, f"w{seal}-")}\n</div>'


@cache
def style(name: str) -> str:
    """Return a style sheet that lies beside this file, without its first comment and with the palette's colours."""
    _, _, rules = files("gatewise.render").joinpath(name).read_text(encoding="utf-8").partition("*/")
    return Template(rules).substitute({colour: value.css for colour, value in PALETTE.items()})


# Numbers and names.


def _text(name: str) -> str:
    return escape(clean(name))


def _shown(plain: str) -> str:
    """Return a number as it is read, given as the text format has it."""
    digits, e, exponent = plain.replace("-", mathml.MINUS).partition("e")
    return (
        digits
        if not e
        else f"{digits}×10<sup>{exponent.removeprefix('+').lstrip('0') or '0'}</sup>".replace(
            f"{mathml.MINUS}0", mathml.MINUS
        )
    )


def _column(plains: Sequence[str]) -> list[str]:
    """Return numbers for a column that is flush right, their decimal points below each other."""
    after = [len(plain.partition(".")[2]) if "e" not in plain and plain[-1].isdigit() else None for plain in plains]
    most = max((n for n in after if n is not None), default=0)
    return [
        _shown(plain) + ("" if n is None else (POINT if most and not n else "") + FIGURE * (most - n))
        for plain, n in zip(plains, after, strict=True)
    ]


def _plain(value: Any) -> str:
    """Return a number as the text format has it, or several with commas between them."""
    return ",".join(map(number, np.ravel(value))) if np.ndim(value) else number(value)


def _gate(value: Any) -> tuple[str, str]:
    """Return a gate's state as a class and in words."""
    if value <= SHUT:
        return "gate shut", "nearly shut"
    return ("gate open", "nearly open") if value >= OPEN else ("gate", "")


def _part(share: Any) -> str:
    """Return a style that tells a bar's length."""
    return f"--p:{min(max(float(share), 0), 1):.3g}"


def _expression(node: Formula) -> str:
    """Return a formula of numbers: a plain product as text, which is short, others as MathML."""
    match node:
        case Product((Number(one), Number(other))):
            second = f"({_shown(number(other))})" if number(other).startswith("-") else _shown(number(other))
            return f"{_shown(number(one))} × {second}"
    return run(node)


# The parts.


class _Writer:
    """Renders the parts of a walkthrough; `prefix` begins every id."""

    def __init__(self, walk: Walkthrough, prefix: str) -> None:
        self.walk, self.prefix, self.top = walk, prefix, f"{prefix}top"

    def body(self, tag: str, before: str = "") -> str:
        """Return all of it in an element for the reading, behind the links to its sections."""
        ids = (f"{self.prefix}{n}" for n in count())
        steps = [
            (time, next(ids), [(next(ids), section) for section in together])
            for time, together in groupby(self.walk.sections, lambda section: section.time)
        ]
        with np.errstate(all="ignore"):
            shown = "\n".join(self._step(*step) for step in steps)
        links = "".join(self._links(*step) for step in steps)
        return f"""{before}<nav aria-label="Sections">
<details><summary>Sections</summary><ol>{links}</ol></details>
</nav>
<{tag} id="{self.top}" class="walk tex2jax_ignore mathjax_ignore">
<h1>{_text(self.walk.title)}</h1>
<p class="lead">Each line with a mark before it opens, and shows every number that it is made of.</p>
{shown}
</{tag}>"""

    def _links(self, time: str | None, _: str, sections: Sequence[tuple[str, Section]]) -> str:
        links = "".join(
            f'<li><a href="#{key}"><span class="place">{place}</span> {_text(section.title)}</a></li>'
            for place, (key, section) in enumerate(sections, 1)
        )
        return (
            links if time is None else f"<li><details><summary>{_text(time)}</summary><ol>{links}</ol></details></li>"
        )

    def _step(self, time: str | None, key: str, sections: Sequence[tuple[str, Section]]) -> str:
        level = "h2" if time is None else "h3"
        shown = "\n".join(
            self._section(place, each, section, level) for place, (each, section) in enumerate(sections, 1)
        )
        if time is None:
            return shown
        return f'<section class="step" aria-labelledby="{key}">\n<h2 id="{key}">{_text(time)}</h2>\n{shown}\n</section>'

    def _section(self, place: int, key: str, section: Section, level: str) -> str:
        self.title = clean(section.title)
        blocks = []
        for defined, together in groupby(grouped(section.blocks), lambda block: isinstance(block, Definition)):
            shown = [self._equations(one) if isinstance(one, tuple) else self._block(one) for one in together]
            blocks += [f'<div class="formulas" style="--w:4em">{"".join(shown)}</div>'] if defined else shown
        heading = (
            f'<{level} class="title" id="{key}"><span class="place">{place}</span> {_text(section.title)}</{level}>'
        )
        return "\n".join([f'<section class="station" aria-labelledby="{key}">', heading, *blocks, "</section>"])

    def _block(self, block: Block) -> str:
        match block:
            case Facts(items):
                shown = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in items)
                return f'<dl class="facts">{shown}</dl>'
            case Table():
                return self._table(block)
            case Definition(name, right):
                inner = f"{mathml.fence('(')}<mi>a</mi>{mathml.fence(')')}"
                left = mathml.element(f"{mathml.function(name)}{inner}", f"{name}(a)")
                return _equation(left, run(right, "="))
            case Expanded():
                return self._expanded(block)
            case Sentence(text):
                return f'<p class="says">{_words(text)}</p>'
        raise TypeError(f"not a part: {block!r}")

    # Equations: in symbols, with their shapes, then with the numbers of each unit.

    def _equations(self, group: Sequence[Equation]) -> str:
        symbols = "".join(
            _equation(
                mathml.math(equation.left),
                f'{run(equation.right, "=")} <span class="shape">{shapes(equation, self.walk.rows)}</span>',
            )
            for equation in group
        )
        widest = max(width(equation.left) for equation in group)
        style = f'style="--w:{min(0.62 * widest + 0.6, 8):.3g}em"'
        found = "".join(
            f'<p class="rest">{entry}</p>' if isinstance(entry, Rest) else self._entry(entry)
            for entry in worked(group, self.walk)
        )
        lines = f'<div class="worked" {style}>{found}</div>' if found else ""
        return f'<div class="formulas" {style}>{symbols}</div>\n{lines}'

    def _entry(self, entry: Entry) -> str:
        lines = "".join(map(self._line, entry.lines))
        if entry.head is None:
            return f'<div class="entry"><div class="lines">{lines}</div></div>\n'
        head = _text(entry.head)
        return (
            f'<div class="entry" role="group" aria-label="{head}"><div class="head">{head}</div>'
            f'<div class="lines">{lines}</div></div>\n'
        )

    def _line(self, line: Line) -> str:
        plain, right, value = _plain(line.value), line.right, line.value
        result = _shown(plain) if np.ndim(value) == 0 else run(Row(tuple(value)))
        same = formula(right) == (plain if np.ndim(value) == 0 else formula(Row(tuple(value))))
        middle = "" if same else f"{run(right, '=')} "
        state = ""
        if line.equation.openness and not np.isnan(value):
            kind, words = _gate(value)
            state = f' <span class="{kind}"><span class="meter" style="{_part(value)}"></span>{words}</span>'
        shown = (
            f'<span class="left">{mathml.math(line.equation.left)}</span> <span class="run">{middle}'
            f'<span class="result">= <span class="value" data-value="{plain}">{result}</span>{state}</span></span>'
        )
        opened = self._unfold(unfolded(line, self.walk.names))
        if not opened:
            return f'<div class="line">{shown}</div>\n'
        return f'<details class="line"><summary>{shown}</summary><div class="unfolded">{opened}</div></details>\n'

    def _unfold(self, found: Sequence[Done | Terms]) -> str:
        shown = []
        for kind, together in groupby(found, type):
            if kind is Done:
                items = "".join(f"<li>{_done(one)}</li>" for one in together if isinstance(one, Done))
                shown.append(f'<ul class="steps" role="list">{items}</ul>')
            else:
                shown += [self._listed(one) for one in together if isinstance(one, Terms)]
        return "".join(shown)

    def _listed(self, found: Terms) -> str:
        """The terms of a sum, a line each, with their shares of the sum of absolute values."""
        values = [term.done.value for term in found.terms]
        results = _column([number(value) for value in (*values, *([] if found.total is None else [found.total]))])
        bars = [""] * len(values) if found.total is None else list(map(_share, shares(values)))
        items = "".join(
            f'<li><b>{_called(term.name)}</b> {self._computed(term)} <span class="product">= {result}</span> {bar}</li>'
            for term, result, bar in zip(found.terms, results, bars, strict=False)
        )
        if found.total is not None:
            items += f'<li class="total"><b>sum</b> <span></span> <span class="product">= {results[-1]}</span></li>'
        return f'<ul class="terms" role="list">{items}</ul>'

    def _computed(self, term: Term) -> str:
        before = self._unfold(term.before)
        shown = "" if isinstance(term.done.formula, Number) else _expression(term.done.formula)
        return f"<span>{shown}</span>" if not before else f"<div>{before}{shown}</div>"

    def _expanded(self, expanded: Expanded) -> str:
        terms = expanded.terms
        name = _text(self.walk.names[expanded.over][expanded.unit])
        plains = [[number(getattr(term, what)) for term in terms] for what in ("weight", "value", "product")]
        body = "".join(
            f"<tr>{_head(term.name, 'row')}"
            + "".join(f'<td data-value="{plain}">{text}</td>' for plain, text in cells)
            + f"<td>{_share(share)}</td></tr>"
            for term, share, *cells in zip(
                terms,
                shares([term.product for term in terms]),
                *(zip(column, _column(column), strict=True) for column in plains),
                strict=True,
            )
        )
        plain = number(terms.total)
        last = f'<th scope="row">sum</th><td></td><td></td><td data-value="{plain}">{_shown(plain)}</td><td></td>'
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("name", "weight", "value", "product", "share"))
        body += f'<tr class="total">{last}</tr>'
        caption = f"{name}: every product in its {terms.of}, {mathml.math(expanded.left)}, largest first"
        table = f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        return _scrolled(table, f"{name}: {terms.of}", NARROW + 1)

    # Tables: long ones show their first and last rows.

    def _table(self, table: Table) -> str:
        title = clean(said(table.title, formula))
        shown, omitted = rows(table)
        plains = [[number(row[k], table.digits) for _, row in shown] for k in range(len(table.columns))]
        columns = [_column(plain) for plain in plains]
        heads = "".join(_head(head, "col") for head in table.columns)
        body = []
        for place, (name, values) in enumerate(shown):
            if omitted and place == len(shown) - 1:
                body.append(f'<tr class="rest"><td colspan="{len(columns) + 1}">… {omitted} more rows …</td></tr>')
            cells = "".join(
                _cell(plain[place], column[place], values[k] if k in table.openness else None)
                for k, (plain, column) in enumerate(zip(plains, columns, strict=True))
            )
            body.append(f"<tr>{_head(name, 'row')}{cells}</tr>")
        caption = f"<caption>{_words(table.title)}</caption>" if title else ""
        label = escape(title or self.title)
        opening = "<table>" if title else f'<table aria-label="{label}">'
        key = '<p class="key">A bar below a gate’s number shows how far it is open.</p>' if table.openness else ""
        width = sum(
            2 + max(map(len, [said(head, formula), *plain])) for head, plain in zip(table.columns, plains, strict=True)
        )
        width += max((len(said(name, formula)) for name, _ in shown), default=0)
        whole = f"{opening}{caption}<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return _scrolled(whole, label, width) + key


def _called(name: str | Formula) -> str:
    """Return what a term is called: a name, or its symbols."""
    return _text(name) if isinstance(name, str) else mathml.math(name)


def _equation(left: str, right: str) -> str:
    return f'<div class="formula"><span class="left">{left}</span> <span class="run">{right}</span></div>'


def _done(done: Done) -> str:
    return f'<span>{run(done.formula)}</span> <span class="product">= {_shown(number(done.value))}</span>'


def _share(share: float | None) -> str:
    """Return what part of a sum of absolute values a term has, with a bar; nothing where there is none."""
    if share is None:
        return ""
    return f'<span class="share" style="{_part(share)}">{percent(share) if share else "0 %"}</span>'


def _cell(plain: str, shown: str, gate: Any) -> str:
    """Return a cell of a table; that of a gate has a bar, and says whether it is nearly shut or open."""
    if gate is None or np.isnan(gate):
        return f'<td data-value="{plain}">{shown}</td>'
    kind, words = _gate(gate)
    words = f'<span class="unseen"> {words}</span>' if words else ""
    return f'<td class="{kind}" style="{_part(gate)}" data-value="{plain}">{shown}{words}</td>'


def _head(words: Words, scope: str) -> str:
    """Return the head of a row or a column; a long name may take several lines."""
    long = ' class="long"' if len(said(words, formula)) > NARROW else ""
    return f'<th scope="{scope}"{long}>{_words(words)}</th>'


def _scrolled(table: str, label: str, width: float) -> str:
    """Return a table in a box that scrolls; where it may have to, the box can be reached by keyboard."""
    reached = f' tabindex="0" role="region" aria-label="{label}"' if width > NARROW else ""
    return f'<div class="box"{reached}>{table}</div>'


def _words(words: Words) -> str:
    """Return text with symbols in it."""
    return said(words, mathml.math, _kept)


def _kept(text: str) -> str:
    """Return a part of a sentence with the spaces at its ends."""
    before, after = (" " if edge.isspace() else "" for edge in (text[:1], text[-1:]))
    return f"{before}{_text(text.strip())}{after}" if text.strip() else before
