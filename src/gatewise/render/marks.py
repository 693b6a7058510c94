"""The marks of a diagram as SVG: wires, nodes, and values with their bars; colours are classes of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from gatewise.render.mathml import MINUS, letter_and_subscripts
from gatewise.render.text import clean
from gatewise.symbolic.formula import Symbol

FEW = 4  # values with a bar and a number each; more have a strip of bars, their mean and their range
MOST_BARS = 58  # of a strip; of more values each bar is a mean of neighbours
INNER, PITCH, STRIP = 58, 25, 34  # the width of a column of values; from one value to the next; the height of a strip
Point = tuple[float, float]


class StripValues(NamedTuple):
    """The values of a quantity, what it is called, and which hue it has."""

    symbol: Symbol
    values: Any
    quantity: str
    names: Sequence[str]
    whole: float  # what a whole bar stands for
    amount: bool = False  # whether they lie between 0 and 1, and not on both sides of 0


def classes(*names: str) -> str:
    """Return the attribute of an element's classes; an empty name is none."""
    return f'class="{" ".join(filter(None, names))}"'


def wire(points: Sequence[Point], quantity: str, kind: str = "", *, head: bool = True) -> str:
    """Return a wire of a diagram as SVG: a line through points, with the head of an arrow at its end."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    drawn = f'<path {classes("wire", quantity, kind)} d="{path}"/>'
    if not head:
        return drawn
    (x0, y0), (x, y) = points[-2:]
    dx, dy = np.sign(x - x0), np.sign(y - y0)
    corners = [(x - 7 * dx + 3.5 * side * dy, y - 7 * dy + 3.5 * side * dx) for side in (1, -1)]
    shape = "L".join(f"{a:g} {b:g}" for a, b in ((x, y), *corners))
    return f'{drawn}<path {classes("head", quantity)} d="M{shape}Z"/>'


def node(x: float, y: float, sign: str) -> str:
    """Return the SVG of a node at which quantities are multiplied or added: a circle around × or +."""
    a = 4 if sign == "+" else 3
    strokes = f"M{x - a:g} {y:g}h{2 * a}M{x:g} {y - a:g}v{2 * a}"
    if sign == "×":
        strokes = f"M{x - a:g} {y - a:g}l{2 * a} {2 * a}M{x - a:g} {y + a:g}l{2 * a} {-2 * a}"
    return f'<circle class="node" cx="{x:g}" cy="{y:g}" r="9"/><path class="sign" d="{strokes}"/>'


def pill(x: float, y: float, name: str) -> str:
    """Return the SVG of a function on a wire: its name in a rounded box."""
    width = max(22, 6.4 * len(name) + 8)
    return (
        f'<rect class="pill" x="{x - width / 2:g}" y="{y - 8:g}" width="{width:g}" height="16" rx="8"/>'
        f"{label(name, x, y + 4, 'middle', 'small')}"
    )


def label(content: str, x: float, y: float, anchor: str, kind: str = "") -> str:
    """Return text that begins, has its middle or ends at a place."""
    return f'<text {classes(kind, anchor)} x="{x:g}" y="{y:g}">{escape(clean(content))}</text>'


def letter(values: StripValues, x: float, y: float, anchor: str) -> str:
    """Return the SVG text of a quantity's symbol, what stands below it lower and smaller."""
    head, below = letter_and_subscripts(values.symbol)
    description = ",".join(below).replace("-", MINUS)
    word = "word" if len(description) > 3 else ""  # a word stands upright, as in a formula
    low = f'<tspan {classes("low", word)} dy="4">{escape(description)}</tspan>' if below else ""
    return f'<text {classes("symbol", values.quantity or "ink", anchor)} x="{x:g}" y="{y:g}">{escape(head)}{low}</text>'


def height_of(values: StripValues) -> float:
    """Return the height of a column of values."""
    return PITCH * len(values.values) if len(values.values) <= FEW else STRIP + 3 * 14


def column(quantity: StripValues, x: float, y: float) -> str:
    """Return values below each other as SVG, each with its bar; of many a strip of bars, their mean and range."""
    if len(quantity.values) > FEW:
        return _strip_svg(quantity, x, y)
    drawn = []
    for k, value in enumerate(quantity.values):
        top = y + PITCH * k
        drawn.append(label(plain(value), x + INNER, top + 11, "end"))
        drawn.append(_bar_svg(value, quantity, x, top + 14.5))
    return "".join(drawn)


def _bar_svg(value: Any, quantity: StripValues, x: float, y: float) -> str:
    """Return a value's bar as SVG: how much of 1, or from a middle line how far below or above zero."""
    share = float(value) / quantity.whole if np.isfinite(value) else 0.0
    if quantity.amount:
        share = min(max(share, 0.0), 1.0)
        sign, start, length = "", x, INNER * share
    else:
        sign, length = ("negative" if share < 0 else "positive"), INNER / 2 * abs(share)
        start = x + INNER / 2 - (length if share < 0 else 0)
    track = f'<rect {classes("track", quantity.quantity)} x="{x:g}" y="{y:g}" width="{INNER}" height="7"/>'
    kind = classes("fill", quantity.quantity, sign)
    fill = f'<rect {kind} x="{start:.2f}" y="{y:g}" width="{length:.2f}" height="7"/>'
    middle = "" if quantity.amount else f'<path class="zero" d="M{x + INNER / 2:g} {y - 1.5:g}v10"/>'
    return f"{fill}{track}{middle}"


def _strip_svg(strip: StripValues, x: float, y: float) -> str:
    """Return the SVG of a bar for each value, or mean of neighbours, and in numbers the mean and the range of all."""
    values = np.asarray(strip.values, np.float64)
    bars = values
    if len(values) > MOST_BARS:
        bars = np.array([part.mean() for part in np.array_split(values, MOST_BARS)])
    shares = np.clip(np.nan_to_num(bars / strip.whole, nan=0.0), 0 if strip.amount else -1, 1)
    scale, zero = (STRIP, y + STRIP) if strip.amount else (STRIP / 2, y + STRIP / 2)
    width, drawn = INNER / len(bars), ""
    for sign, those in (("negative", shares < 0), ("positive", shares > 0)):
        path = "".join(
            f"M{x + width * k:.4g} {zero:g}v{-scale * shares[k]:.2f}h{width:.3g}V{zero:g}Z"
            for k in np.flatnonzero(those)
        )
        drawn += f'<path {classes("fill", strip.quantity, "" if strip.amount else sign)} d="{path}"/>' if path else ""
    drawn += f'<rect {classes("track", strip.quantity)} x="{x:g}" y="{y:g}" width="{INNER}" height="{STRIP}"/>'
    if not strip.amount:
        drawn += f'<path class="zero" d="M{x:g} {zero:g}h{INNER}"/>'
    for place, (name, value) in enumerate(_mean_and_range(values)):
        at = y + STRIP + 13 + 14 * place
        drawn += label(name, x - 2, at, "start", "soft small") + label(
            _shortest_number(value), x + INNER + 1, at, "end", "small"
        )
    return drawn


def _mean_and_range(values: Any) -> tuple[tuple[str, float], ...]:
    return ("mean", float(values.mean())), ("min", float(values.min())), ("max", float(values.max()))


def in_words(quantity: StripValues) -> str:
    """Return the values of a quantity in words, for a diagram's description; of many, their mean and range."""
    if len(quantity.values) <= FEW:
        return ", ".join(f"{name} {plain(value)}" for name, value in zip(quantity.names, quantity.values, strict=True))
    summary = ", ".join(
        f"{name} {value:.3g}" for name, value in _mean_and_range(np.asarray(quantity.values, np.float64))
    )
    return f"{len(quantity.values)} values, {summary}"


def plain(value: Any) -> str:
    """Return a number as short text in the SVG diagram of a cell."""
    value = float(value)
    size = abs(value)
    if not np.isfinite(value):
        return str(value).replace("-", MINUS)
    if size < 10_000 and value == int(value):
        return str(int(value)).replace("-", MINUS)
    text = f"{value:.4f}" if 0.001 <= size < 100 else f"{value:.1f}" if 100 <= size < 10_000 else f"{value:.1e}"
    return text.replace("-", MINUS)


def _shortest_number(value: float) -> str:
    """Return a number as text of about five characters in a walkthrough's diagram."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{digits}f}" if abs(value) < 10_000 or not np.isfinite(value) else f"{value:.0e}"
    return "0.00" if text == "-0.00" else text.replace("-", MINUS)


def largest(values: Any) -> float:
    """Return the largest absolute value among those that are finite, or 0, to which a diagram's bars are scaled."""
    finite = np.abs(np.asarray(values, np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0
