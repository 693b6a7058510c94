"""The smallest parts of the web page: numbers, names, bars, and text with symbols in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from gatewise.render import mathml
from gatewise.render.hues import hue_of
from gatewise.render.layout import CLOSED, OPEN, shares, write_words
from gatewise.render.marks import classes
from gatewise.render.mathml_pieces import run
from gatewise.render.text import clean, formula
from gatewise.symbolic.formula import Formula, Number, Product, Symbol
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import Words

FIGURE, POINT = "\N{FIGURE SPACE}", "\N{PUNCTUATION SPACE}"  # as wide as a digit, as a decimal point
NARROW = 34  # digits: a table that is wider may need to be scrolled


def text_html(name: str) -> str:
    """Return a name as text of a page."""
    return escape(clean(name))


def number_markup(plain: str) -> str:
    """Return a number as HTML, given as the text format has it."""
    digits, e, exponent = plain.partition("e")
    return (f"{digits}×10<sup>{int(exponent)}</sup>" if e else digits).replace("-", mathml.MINUS)


def column(plains: Sequence[str]) -> list[str]:
    """Return numbers as HTML for a column that is flush right, their decimal points below each other."""
    after = [len(plain.partition(".")[2]) if "e" not in plain and plain[-1].isdigit() else None for plain in plains]
    most = max((n for n in after if n is not None), default=0)
    return [
        number_markup(plain) + ("" if n is None else (POINT if most and not n else "") + FIGURE * (most - n))
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
    return "nearly closed" if value <= CLOSED else "nearly open" if value >= OPEN else ""


def expression(node: Formula) -> str:
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
    reached = f' tabindex="0" role="region" aria-label="{label}"' if width > NARROW else ""
    return f'<div class="box"{reached}>{table}</div>'


def spaced_text(words: str) -> str:
    """Return a part of a sentence as HTML, with the spaces at its ends."""
    before, after = (" " if edge.isspace() else "" for edge in (words[:1], words[-1:]))
    return f"{before}{text_html(words.strip())}{after}" if words.strip() else before


def words_of(words: Words) -> str:
    """Return text with symbols in it as HTML."""
    return write_words(words, mathml.math, spaced_text)


def head_of(words: Words, scope: str) -> str:
    """Return the HTML head of a table's row or column; a long name may take several lines."""
    long = ' class="long"' if len(write_words(words, formula)) > NARROW else ""
    return f'<th scope="{scope}"{long}>{words_of(words)}</th>'


def called(name: str | Formula) -> str:
    """Return the name of a term as markup, or its symbols."""
    return text_html(name) if isinstance(name, str) else mathml.math(name)
