"""The equations of the web page: in symbols, with the numbers of each unit, and every number that those are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from gatewise.render import html_pieces as pieces
from gatewise.render import mathml
from gatewise.render.html_pieces import NARROW, called, number_markup, plain, text_html
from gatewise.render.layout import Entry, Line, Rest, shapes, worked
from gatewise.render.mathml_pieces import run, width
from gatewise.render.text import formula
from gatewise.render.unfolding import Computation, UnfoldedTerm, UnfoldedTerms, unfolded
from gatewise.symbolic.formula import Number, NumberRow
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Expanded, Walkthrough, WorkedEquation


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
        """Return the lines of one unit, or of another entry, as HTML, beside its name."""
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
            state = f' <span class="gate">{pieces.meter(value, left)}{pieces.openness(value)}</span>'
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
        """Return the steps by which an equation's numbers are computed, as lists in HTML."""
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
        """Return the terms of a sum as an HTML list, with bars of their shares."""
        values = [term.computation.value for term in terms.terms]
        results = pieces.column([number(value) for value in (*values, *([] if terms.total is None else [terms.total]))])
        bars = [""] * len(values) if terms.total is None else pieces.share_bars(values)
        items = "".join(
            f'<li><b>{called(term.name)}</b> {self._term_html(term)} <span class="product">= {result}</span> {bar}</li>'
            for term, result, bar in zip(terms.terms, results, bars, strict=False)
        )
        if terms.total is not None:
            items += f'<li class="total"><b>sum</b> <span></span> <span class="product">= {results[-1]}</span></li>'
        return f'<ul class="terms" role="list">{items}</ul>'

    def _term_html(self, term: UnfoldedTerm) -> str:
        before = self._steps_html(term.before)
        right = "" if isinstance(term.computation.formula, Number) else pieces.expression(term.computation.formula)
        return f"<span>{right}</span>" if not before else f"<div>{before}{right}</div>"

    def products(self, block: Expanded) -> str:
        """Return the HTML table of every product in a sum."""
        terms = block.terms
        name = text_html(self.walk.names[block.over][block.unit])
        values = [term.product for term in terms]
        plains = [[number(getattr(term, part)) for term in terms] for part in ("weight", "value", "product")]
        rows = [
            f"<tr>{pieces.head_of(term.name, 'row')}"
            + "".join(f'<td data-value="{plain}">{text}</td>' for plain, text in cells)
            + f"<td>{share}</td></tr>"
            for term, share, *cells in zip(
                terms,
                pieces.share_bars(values),
                *(zip(column_, pieces.column(column_), strict=True) for column_ in plains),
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
        return pieces.table_markup(caption, f"{name}: {terms.of}", heads, rows, NARROW + 1)


def equation(left: str, right: str) -> str:
    """Return an equation of a box of formulas as HTML."""
    return f'<div class="formula"><span class="left">{left}</span> <span class="run">{right}</span></div>'


def _computation_html(computation: Computation) -> str:
    result = number_markup(number(computation.value))
    return f'<span>{run(computation.formula)}</span> <span class="product">= {result}</span>'
