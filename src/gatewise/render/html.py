"""The web face of a walkthrough: one page that asks for nothing, or a part of one for a notebook.

Every line with numbers in it opens, and shows all that it is made of; <details> does that without a script. The markup
is well-formed XML too. Numbers lie in data-value as the text face writes them, whatever they look like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from html import escape
from itertools import count, groupby
from typing import Any

import numpy as np

from gatewise.render import mathml
from gatewise.render.layout import MOST_ROWS, Entry, Line, Rest, grouped, said, shapes, worked
from gatewise.render.text import OPEN, SHUT, clean, formula
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import (
    Call,
    Formula,
    MatMul,
    Negative,
    Number,
    Product,
    Row,
    Slope,
    Sum,
    Symbol,
    factors,
    rebuild,
)
from gatewise.symbolic.nonlinearities import textbook
from gatewise.symbolic.symbols import ALL_GATES, UNITS
from gatewise.walkthrough.numbers import DIGITS, number, percent
from gatewise.walkthrough.parts import (
    Block,
    Definition,
    Equation,
    Facts,
    Opened,
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
    title, face = escape(clean(walk.title)), _Face(walk, "s")
    body = face.body("main", f'<a class="skip" href="#{face.top}">Skip to the walk</a>\n')
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{title}</title>
<style>{_STYLE}{_PAGE}</style>
</head>
<body>
<div class="gatewise">
{body}
</div>
</body>
</html>"""


def fragment(walk: Walkthrough) -> str:
    """Return the walkthrough as a part of another page, such as a notebook; of a long walk, how to read it."""
    if len(walk.sections) > MOST_SHOWN:
        return f"<p>{len(walk.sections)} sections are too many for a notebook: save('walk.html') makes a page.</p>"
    body = _Face(walk, UNNAMED).body("article")
    seal = sha256(body.encode()).hexdigest()[:8]  # the ids of two walks in one notebook differ in it
    return f'<div class="gatewise">\n<style>{_STYLE}</style>\n{body.replace(UNNAMED, f"w{seal}-")}\n</div>'


# What a line is made of: formulas of numbers, each computed from those before it.


@dataclass(frozen=True)
class _Done:
    """A formula of numbers, and what it gives."""

    formula: Formula
    value: Any


@dataclass(frozen=True)
class _Term:
    """A term of a sum: its name, what is computed before it, and its formula and value."""

    name: str
    before: tuple[_Done | _Terms, ...]
    done: _Done


@dataclass(frozen=True)
class _Terms:
    """All terms of a sum, or the entries of a row, which have no total."""

    terms: tuple[_Term, ...]
    total: Any = None


def _unfolded(line: Line, names: Mapping[str, tuple[str, ...]]) -> list[_Done | _Terms]:
    """Return what a line is made of, in the order in which it is computed."""
    equation, right = line.equation, line.right
    if np.ndim(line.value):
        across = names[equation.across]
        return [_Terms(tuple(_term(name, _entry(right, k)) for k, name in enumerate(map(_text, across))))]
    if isinstance(right, Sum):
        return [_terms(right.terms, _term_names(equation), line.value)]
    found: list[_Done | _Terms] = list(_given(equation.right, right))
    simple = _simple(right, found, names)
    if isinstance(simple, (Number, Row)):
        return found
    if isinstance(simple, Call) and simple.activation is not None and (steps := _defined(simple, line.value)):
        return [*found, *steps]
    return [*found, _Done(simple, line.value)]


def _given(symbols: Formula, numbers: Formula) -> Iterator[_Done]:
    """Go through the factors of a product that are numbers: which symbol each of them stands for."""
    if isinstance(symbols, Product) and isinstance(numbers, Product):
        for symbol, factor in zip(factors(symbols), factors(numbers), strict=True):
            if isinstance(factor, Number) and not isinstance(symbol, Number):
                yield _Done(symbol, factor.value)


def _entry(node: Formula, k: int) -> Formula:
    """Return a formula of rows for one of their entries."""
    return rebuild(node, lambda one: Number(one.values[k]) if isinstance(one, Row) else None)


def _term(name: str, node: Formula, names: Mapping[str, tuple[str, ...]] | None = None) -> _Term:
    before: list[_Done | _Terms] = []
    simple = _simple(node, before, names or {})
    return _Term(name, tuple(before), _Done(simple, _value(node)))


def _terms(terms: Sequence[Formula], names: Sequence[str], total: Any) -> _Terms:
    every = [*names, *[""] * (len(terms) - len(names))]
    return _Terms(tuple(map(_term, every, terms)), total)


def _simple(node: Formula, found: list[_Done | _Terms], names: Mapping[str, tuple[str, ...]]) -> Formula:
    """Return a formula whose parts are numbers; what they were before is added to what was found."""
    match node:
        case Number() | Row():
            return node
        case Slope(body):
            return _simple(body, found, names)
        case Negative(term):
            return Negative(_simple(term, found, names))
        case Product():
            return Product(tuple(_reduced(factor, found, names) for factor in factors(node)))
    parts: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Formula):
            parts[field.name] = _reduced(value, found, names)
        elif isinstance(value, tuple):
            parts[field.name] = tuple(_reduced(one, found, names) if isinstance(one, Formula) else one for one in value)
    return replace(node, **parts)


def _reduced(node: Formula, found: list[_Done | _Terms], names: Mapping[str, tuple[str, ...]]) -> Formula:
    """Return the number that a formula is."""
    if isinstance(node, Negative) and isinstance(inner := _reduced(node.term, found, names), Number):
        return Number(-inner.value)
    value = _value(node)
    if isinstance(node, Sum) and len(node.terms) > 2:  # a mean, before it is divided
        over = [names[axis] for axis in (UNITS, ALL_GATES) if len(names.get(axis, ())) == len(node.terms)]
        found.append(_terms(node.terms, [_text(name) for name in over[0]] if over else [], value))
        return Number(value)
    simple = _simple(node, found, names)
    if isinstance(simple, (Number, Row)):
        return simple
    found.append(_Done(simple, value))
    return Number(value)


def _value(node: Formula) -> Any:
    """Return what a formula of numbers is: a number, or the entries of a row."""
    return np.asarray(evaluate(node, {}))[()]


def _defined(call: Call, value: Any) -> list[_Done | _Terms]:
    """Return the steps of a nonlinearity's formula, where they end in its value, as with large numbers they do not."""
    if call.activation is None:
        return []
    (argument,), a = call.arguments, Symbol("a")
    found: list[_Done | _Terms] = []
    whole = rebuild(textbook(call.activation), lambda node: argument if node == a else None)
    last = _simple(whole, found, {})
    close = np.isclose(evaluate(whole, {}), value, rtol=1e-6, atol=1e-12)
    return [*dict.fromkeys(found), _Done(last, value)] if close and not isinstance(last, Number) else []


def _term_names(equation: Equation) -> list[str]:
    """Return what each term of an equation with numbers in it is called: products with a matrix by their names, others
    by their symbols.
    """
    products, found = iter(equation.products), list[str]()
    for term in equation.right.terms if isinstance(equation.right, Sum) else (equation.right,):
        if isinstance(term, MatMul):
            sides = (evaluate(side, equation.env) for side in (term.left, term.right))
            size = min((side for side in sides), key=np.ndim).size
            found += [_text(next(products, "")) for _ in range(size)]
        else:
            found.append(mathml.math(term.term if isinstance(term, Negative) else term))
    return found


# Numbers and names.


def _text(name: str) -> str:
    return escape(clean(name))


def _shown(plain: str) -> str:
    """Return a number as it is read, given as the text face has it."""
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


def _plain(value: Any, digits: int = DIGITS) -> str:
    """Return a number as the text face has it, or several with commas between them."""
    return ",".join(number(one, digits) for one in np.ravel(value)) if np.ndim(value) else number(value, digits)


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
    return mathml.run(node)


# The parts.


class _Face:
    """Renders the parts of a walkthrough; `prefix` begins every id."""

    def __init__(self, walk: Walkthrough, prefix: str) -> None:
        self.walk, self.prefix, self.top = walk, prefix, f"{prefix}top"

    def body(self, tag: str, before: str = "") -> str:
        """Return all of it in an element for the reading, behind the links to its sections."""
        ids = (f"{self.prefix}{n}" for n in count())
        steps = [
            (time, next(ids), [(next(ids), section) for section in run])
            for time, run in groupby(self.walk.sections, lambda section: section.time)
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
                left = mathml.element(mathml.Piece(f"{mathml.function(name)}{inner}", f"{name}(a)"))
                return _equation(left, mathml.run(right, "="))
            case Opened():
                return self._opened(block)
            case Sentence(text):
                return f'<p class="says">{_words(text)}</p>'
        raise TypeError(f"not a part: {block!r}")

    # Equations: in symbols, with their shapes, then with the numbers of each unit.

    def _equations(self, group: Sequence[Equation]) -> str:
        symbols = "".join(
            _equation(
                mathml.math(equation.left),
                f'{mathml.run(equation.right, "=")} <span class="shape">{shapes(equation, self.walk.rows)}</span>',
            )
            for equation in group
        )
        width = max(mathml.width(equation.left) for equation in group)
        style = f'style="--w:{min(0.62 * width + 0.6, 8):.3g}em"'
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
        result = _shown(plain) if np.ndim(value) == 0 else mathml.run(Row(tuple(value)))
        same = formula(right) == (plain if np.ndim(value) == 0 else formula(Row(tuple(value))))
        middle = "" if same else f"{mathml.run(right, '=')} "
        state = ""
        if line.equation.openness and not np.isnan(value):
            kind, words = _gate(value)
            state = f' <span class="{kind}"><span class="meter" style="{_part(value)}"></span>{words}</span>'
        shown = (
            f'<span class="left">{mathml.math(line.equation.left)}</span> <span class="run">{middle}'
            f'<span class="result">= <span class="value" data-value="{plain}">{result}</span>{state}</span></span>'
        )
        opened = self._unfold(_unfolded(line, self.walk.names))
        if not opened:
            return f'<div class="line">{shown}</div>\n'
        return f'<details class="line"><summary>{shown}</summary><div class="unfolded">{opened}</div></details>\n'

    def _unfold(self, found: Sequence[_Done | _Terms]) -> str:
        shown = []
        for kind, together in groupby(found, type):
            if kind is _Done:
                items = "".join(f"<li>{_done(one)}</li>" for one in together if isinstance(one, _Done))
                shown.append(f'<ul class="steps" role="list">{items}</ul>')
            else:
                shown += [self._listed(one) for one in together if isinstance(one, _Terms)]
        return "".join(shown)

    def _listed(self, found: _Terms) -> str:
        """The terms of a sum, a line each, with their shares of the sum of absolute values."""
        values = [term.done.value for term in found.terms]
        results = _column([number(value) for value in (*values, *([] if found.total is None else [found.total]))])
        shares = [""] * len(values)
        if found.total is not None:
            shares = list(map(_share, values, [sum(map(abs, values))] * len(values)))
        items = "".join(
            f'<li><b>{term.name}</b> {self._computed(term)} <span class="product">= {result}</span> {share}</li>'
            for term, result, share in zip(found.terms, results, shares, strict=False)
        )
        if found.total is not None:
            items += f'<li class="total"><b>sum</b> <span></span> <span class="product">= {results[-1]}</span></li>'
        return f'<ul class="terms" role="list">{items}</ul>'

    def _computed(self, term: _Term) -> str:
        before = self._unfold(term.before)
        shown = "" if isinstance(term.done.formula, Number) else _expression(term.done.formula)
        return f"<span>{shown}</span>" if not before else f"<div>{before}{shown}</div>"

    def _opened(self, opened: Opened) -> str:
        terms = opened.terms
        name = _text(self.walk.names[opened.over][opened.unit])
        total = sum(abs(term.product) for term in terms)
        plains = [[number(getattr(term, what)) for term in terms] for what in ("weight", "value", "product")]
        rows = "".join(
            f"<tr>{_head(term.name, 'row')}"
            + "".join(f'<td data-value="{plain}">{text}</td>' for plain, text in cells)
            + f"<td>{_share(term.product, total)}</td></tr>"
            for term, *cells in zip(
                terms, *(zip(column, _column(column), strict=True) for column in plains), strict=True
            )
        )
        plain = number(terms.total)
        last = f'<th scope="row">sum</th><td></td><td></td><td data-value="{plain}">{_shown(plain)}</td><td></td>'
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("name", "weight", "value", "product", "share"))
        body = f'{rows}<tr class="total">{last}</tr>'
        caption = f"{name}: every product in its {terms.of}, {mathml.math(opened.left)}, largest first"
        table = f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        return _scrolled(table, f"{name}: {terms.of}", NARROW + 1)

    # Tables: long ones show their first and last rows.

    def _table(self, table: Table) -> str:
        title = clean(said(table.title, formula))
        rows, omitted = list(table.rows), 0 if table.whole else len(table.rows) - MOST_ROWS
        if omitted > 0:
            rows = [*rows[: MOST_ROWS - 1], rows[-1]]
        plains = [[number(row[k], table.digits) for _, row in rows] for k in range(len(table.columns))]
        columns = [_column(plain) for plain in plains]
        heads = "".join(_head(head, "col") for head in table.columns)
        body = []
        for place, (name, values) in enumerate(rows):
            if omitted > 0 and place == MOST_ROWS - 1:
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
        width += max((len(said(name, formula)) for name, _ in rows), default=0)
        whole = f"{opening}{caption}<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return _scrolled(whole, label, width) + key


def _equation(left: str, right: str) -> str:
    return f'<div class="formula"><span class="left">{left}</span> <span class="run">{right}</span></div>'


def _done(done: _Done) -> str:
    return f'<span>{mathml.run(done.formula)}</span> <span class="product">= {_shown(number(done.value))}</span>'


def _share(value: Any, total: Any) -> str:
    """Return what part of a sum of absolute values a term has, with a bar; nothing where there is none."""
    share = abs(value) / total if total else 0.0
    if not np.isfinite(share):
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
    parts = words if isinstance(words, tuple) else (words,)
    return "".join(mathml.math(one) if isinstance(one, Symbol) else _kept(one) for one in parts)


def _kept(text: str) -> str:
    """Return a part of a sentence with the spaces at its ends."""
    before, after = (" " if edge.isspace() else "" for edge in (text[:1], text[-1:]))
    return f"{before}{_text(text.strip())}{after}" if text.strip() else before


# Colours, and how it all lies on a page. Every selector is of this walk alone, so that a notebook keeps its own looks;
# those of a notebook that would reach in are met twice over (.gatewise.gatewise).

_STYLE = """
.gatewise {
  --paper: light-dark(#fcfcfa, #16181b); --panel: light-dark(#ffffff, #1d2024); --ink: light-dark(#1d2125, #e4e7ea);
  --soft: light-dark(#565e68, #a3acb7); --line: light-dark(#e2e3dd, #33383f); --accent: light-dark(#0a5a83, #7dc3ec);
  --bar: light-dark(#bcd8e6, #2f5d78); --shut: light-dark(#ab2a1c, #ff9d8e); --open: light-dark(#17693a, #7fd4a0);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  container-type: inline-size; box-sizing: border-box; padding: 1.25rem clamp(1rem, 4vw, 2.5rem) 3rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.6 var(--sans); font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; text-align: start;
}
[data-jp-theme-light=true] .gatewise, .vscode-light .gatewise, [data-theme=light] .gatewise { color-scheme: light; }
[data-jp-theme-light=false] .gatewise, .vscode-dark .gatewise, [data-theme=dark] .gatewise { color-scheme: dark; }
.gatewise *, .gatewise *::before { box-sizing: border-box; }
.gatewise .walk { max-width: 52rem; margin: 0 auto; }
.gatewise h1, .gatewise h2, .gatewise h3 { color: inherit; font-family: inherit; line-height: 1.25;
  text-wrap: balance; }
.gatewise h1 { margin: 0.5rem 0 0.25rem; font-size: clamp(1.6rem, 5vw, 2.2rem); font-weight: 650;
  letter-spacing: -0.015em; }
.gatewise h2 { margin: 3.5rem 0 0; padding-bottom: 0.4rem; border-bottom: 2px solid var(--accent);
  font-size: 1.5rem; font-weight: 650; }
.gatewise .title { margin: 0 0 1rem; padding: 0; border: 0; font-size: 1.2rem; font-weight: 600; }
.gatewise .station { margin: 3rem 0 0; scroll-margin-top: 1rem; }
.gatewise .place { color: var(--accent); font-weight: 600; margin-inline-end: 0.35em; }
.gatewise p { margin: 0.9rem 0 0; }
.gatewise .lead, .gatewise .key, .gatewise .rest, .gatewise .shape { color: var(--soft); }
.gatewise .lead { margin: 0 0 1.5rem; }
.gatewise .key { margin-top: 0.35rem; font-size: 0.85rem; }
.gatewise .says { max-width: 42rem; padding-inline-start: 1rem; border-inline-start: 2px solid var(--line); }
.gatewise a { color: var(--accent); }
.gatewise :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.gatewise .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }

.gatewise nav { max-width: 52rem; margin: 0 auto 1.5rem; font-size: 0.925rem; }
.gatewise nav ol { margin: 0.25rem 0; padding: 0; list-style: none; }
.gatewise nav ol ol { padding-inline-start: 1rem; }
.gatewise nav li { margin: 0; }
.gatewise nav a { display: flex; padding: 0.2rem 0; line-height: 1.4; color: inherit; text-decoration: none; }
.gatewise nav .place { flex: none; width: 1.6em; }
.gatewise nav a:hover { color: var(--accent); text-decoration: underline; }
.gatewise nav summary { padding: 0.2rem 0; font-weight: 600; cursor: pointer; }

.gatewise sup { line-height: 0; }
.gatewise math { math-style: normal; }
.gatewise mn { font-family: var(--sans); }
.gatewise .formula mn { font-family: inherit; }
.gatewise .formulas { margin: 0 0 0.75rem; padding: 0.8rem 1.1rem; overflow-x: auto;
  background: var(--panel); border: 1px solid var(--line); border-inline-start: 3px solid var(--accent);
  border-radius: 4px; }
.gatewise .formula { display: flex; align-items: baseline; padding: 0.3rem 0; font-size: 1.2rem; line-height: 1.7; }
.gatewise .formula .left { flex: none; min-width: var(--w, 0); padding-inline-end: 0.3em; }
.gatewise .run { flex: 1; min-width: 0; }
.gatewise .shape { display: inline-block; margin-inline-start: 1.5em; font-size: 0.85rem; }

.gatewise .entry { display: flex; gap: 0 1rem; margin: 0 0 0.5rem; padding: 0.35rem 0; }
.gatewise .entry + .entry { border-top: 1px solid var(--line); }
.gatewise .head { flex: none; width: 4.5rem; padding-top: 0.25rem; color: var(--soft); font-size: 0.9rem; }
.gatewise .lines { flex: 1; min-width: 0; }
.gatewise .lines:first-child { margin-inline-start: 5.5rem; }
.gatewise .line > summary, .gatewise div.line { display: flex; align-items: baseline; position: relative;
  padding: 0.2rem 0.4rem 0.2rem 1.3rem; border-radius: 4px; list-style: none; line-height: 1.75; }
.gatewise .line > summary { cursor: pointer; }
.gatewise .line > summary::-webkit-details-marker { display: none; }
.gatewise .line > summary::before { content: ""; position: absolute; left: 0.4rem; top: 0.78rem;
  border: solid transparent; border-width: 0.28rem 0 0.28rem 0.4rem; border-left-color: var(--accent); }
.gatewise .line[open] > summary::before { transform: rotate(90deg); }
.gatewise .line > summary:hover { background: light-dark(#f0f4f5, #23282d); }
.gatewise .line .left { flex: none; min-width: var(--w); padding-inline-end: 0.3em; }
.gatewise .result { white-space: nowrap; }
.gatewise .value { font-weight: 600; white-space: normal; }
.gatewise .gate { --g: var(--soft); margin-inline-start: 0.5em; color: var(--g); font-size: 0.85rem; }
.gatewise .shut { --g: var(--shut); } .gatewise .open { --g: var(--open); }
.gatewise .meter { display: inline-block; width: 3.5em; height: 0.5em; margin-inline-end: 0.5em; border-radius: 1px;
  border: 1px solid var(--g);
  background: linear-gradient(var(--g), var(--g)) 0 0 / calc(100% * var(--p)) 100% no-repeat; }

.gatewise .unfolded { margin: 0.25rem 0 0.75rem 1.3rem; padding: 0.5rem 0.9rem; overflow-x: auto;
  background: var(--panel); border: 1px solid var(--line); border-radius: 4px; font-size: 0.925rem; }
.gatewise .unfolded ul { margin: 0; padding: 0; list-style: none; }
.gatewise .unfolded ul + ul { margin-top: 0.5rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
.gatewise .unfolded li { margin: 0; padding: 0.1rem 0; }
.gatewise .terms { display: grid; grid-template-columns: fit-content(12rem) auto auto 1fr; gap: 0 1.1rem; }
.gatewise .terms > li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: baseline; }
.gatewise .terms b { color: var(--soft); font-weight: 400; }
.gatewise .product { white-space: nowrap; text-align: end; }
.gatewise .share { min-width: 4.5rem; white-space: nowrap; color: var(--soft); font-size: 0.85rem;
  background: linear-gradient(var(--bar), var(--bar)) 4.5rem 50% / calc((100% - 4.5rem) * var(--p)) 0.5em no-repeat; }
.gatewise .total { border-top: 1px solid var(--line); font-weight: 600; }

.gatewise .box { position: relative; margin: 0 0 0.9rem; overflow-x: auto; }
.gatewise.gatewise table { width: auto; margin: 0; border: 0; border-collapse: collapse; table-layout: auto;
  color: inherit; background: none; font-size: 0.925rem; }
.gatewise.gatewise caption { padding: 0.2rem 0; color: inherit; text-align: start; caption-side: top;
  white-space: nowrap; contain: inline-size; }
.gatewise.gatewise tbody tr:nth-child(n) { background: none; border: 0; }
.gatewise.gatewise tbody tr:hover { background: light-dark(#f0f4f5, #23282d); }
.gatewise.gatewise th, .gatewise.gatewise td { padding: 0.25rem 0 0.25rem 1.2rem; border: 0; text-align: end;
  vertical-align: baseline; white-space: nowrap; color: inherit; font-weight: 400; line-height: 1.5; }
.gatewise.gatewise thead th { color: var(--soft); border-bottom: 1px solid var(--line); }
.gatewise.gatewise thead td { border-bottom: 1px solid var(--line); }
.gatewise.gatewise tr > :first-child { padding-inline-start: 0; text-align: start; }
.gatewise.gatewise tbody th { color: var(--soft); }
.gatewise.gatewise th.long { min-width: 10rem; max-width: 14rem; white-space: normal; overflow-wrap: anywhere; }
.gatewise.gatewise td.gate { color: var(--g); font-size: inherit;
  background: linear-gradient(var(--g), var(--g)) 1.2rem 100% / calc((100% - 1.2rem) * var(--p)) 3px no-repeat; }
.gatewise.gatewise tr.total > * { border-top: 1px solid var(--line); font-weight: 600; color: inherit; }
.gatewise.gatewise tr.rest td { color: var(--soft); }
.gatewise.gatewise td > .share { display: block; min-width: 11rem; text-align: start; }

.gatewise .facts { display: grid; gap: 0.15rem 1.5rem; margin: 0; }
.gatewise .facts div { display: flex; gap: 1rem; }
.gatewise .facts dt { flex: none; width: 9rem; margin: 0; padding: 0; color: var(--soft); font-weight: 400; }
.gatewise .facts dd { min-width: 0; margin: 0; padding: 0; }

@container (max-width: 40rem) {
  .gatewise .formulas { padding: 0.6rem 0.8rem; }
  .gatewise .formula { display: block; font-size: 1.1rem; }
  .gatewise .shape { display: block; margin: 0; }
  .gatewise .entry, .gatewise .line > summary, .gatewise div.line { display: block; }
  .gatewise .line > summary, .gatewise div.line { padding-inline-start: 2.3rem; text-indent: -1rem; }
  .gatewise .line .left { display: inline-block; text-indent: 0; }
  .gatewise .line .run { display: inline; }
  .gatewise .line math, .gatewise .line .meter { text-indent: 0; }
  .gatewise.gatewise caption { position: sticky; left: 0; max-width: calc(100cqi - 2.5rem);
    width: calc(100cqi - 2.5rem); margin-inline-end: calc(2.5rem - 100cqi); contain: none; white-space: normal; }
  .gatewise .lines:first-child { margin: 0; }
  .gatewise .unfolded { margin-inline-start: 0; padding: 0.5rem 0.6rem; }
  .gatewise .terms, .gatewise .terms > li { display: block; }
  .gatewise .terms > li { padding: 0.3rem 0; }
  .gatewise .terms b { margin-inline-end: 0.5em; }
  .gatewise .terms .share { display: block; }
}
@media print {
  .gatewise { --paper: #fff; color-scheme: light; padding: 0; font-size: 10pt; print-color-adjust: exact; }
  .gatewise nav, .gatewise .lead, .gatewise .skip { display: none; }
  .gatewise .line > summary::before { display: none; }
  .gatewise .title, .gatewise h2 { break-after: avoid; }
  .gatewise .formula, .gatewise .line, .gatewise tr { break-inside: avoid; }
  .gatewise .box { overflow: visible; }
}
"""

_PAGE = """
:root { color-scheme: light dark; background: light-dark(#fcfcfa, #16181b); }
body { margin: 0; }
.gatewise .skip { position: absolute; left: 1rem; top: -4rem; z-index: 1; padding: 0.4rem 0.8rem;
  background: var(--panel); }
.gatewise .skip:focus { top: 0.5rem; }
@media (min-width: 80rem) {
  .gatewise { display: grid; grid-template-columns: 17rem minmax(0, 52rem); gap: 3.5rem; justify-content: center; }
  .gatewise nav { position: sticky; top: 1rem; align-self: start; max-height: calc(100vh - 2rem); margin: 0.75rem 0 0;
    padding-inline-end: 0.5rem; overflow-y: auto; }
  @supports selector(::details-content) {
    .gatewise nav > details::details-content { content-visibility: visible; block-size: auto; }
    .gatewise nav > details > summary { display: none; }
  }
}
"""
