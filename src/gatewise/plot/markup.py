"""Parts of the HTML of records in a notebook: safe text, tables, and strips of coloured cells.

All colours are the reader's text colour or visible on light and dark ground. The markup is static and well-formed XML
without ids and scripts, and readable without its style, which some viewers remove.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import shown
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot.drawing import keep_extremes

MOST_TEXT = 60  # characters of a cell of a table
ROWS, COLUMNS = 4, 24  # of cells in a strip
SHADES = 4  # steps between neighbouring colours of a map
SIZE = 6  # pixels of a cell
LINE = "1px solid color-mix(in srgb,currentColor 18%,transparent)"
STYLE = f"""<style>
[data-jp-theme-light=true] .gatewise-record,.vscode-light .gatewise-record{{color-scheme:light}}
[data-jp-theme-light=false] .gatewise-record,.vscode-dark .gatewise-record{{color-scheme:dark}}
.gatewise-record{{max-width:60rem;overflow-x:auto;line-height:1.45}}
.gatewise-record.gatewise-record p{{margin:0 0 .4em;max-width:48rem;overflow-wrap:anywhere}}
.gatewise-record .aside{{opacity:.75;font-size:.9em}}
.gatewise-record.gatewise-record table{{border-collapse:collapse;margin:.5em 0;border:0;font-size:.92em;
font-variant-numeric:tabular-nums}}
.gatewise-record.gatewise-record :is(th,td){{padding:.15em .9em .15em 0;border:0;text-align:left;background:none;
vertical-align:middle;white-space:nowrap;max-width:none}}
.gatewise-record.gatewise-record :is(th,td).wide{{white-space:normal;overflow-wrap:anywhere}}
.gatewise-record.gatewise-record :is(th,td).number{{text-align:right}}
.gatewise-record.gatewise-record tr{{background:none;border:0;border-top:{LINE}}}
.gatewise-record.gatewise-record thead tr{{border-top:0}}
.gatewise-record th{{font-weight:600}}
.gatewise-record .picture{{display:block!important}}
.gatewise-record svg{{display:block;max-width:100%;height:auto}}
.gatewise-record .swatch{{display:inline-block;width:.7em;height:.7em;margin-right:.5em;
border:1px solid currentColor;print-color-adjust:exact}}
</style>"""


def record_block(kind: str, *parts: str) -> str:
    """Return the HTML of a record in a notebook: its kind in bold, and the parts."""
    first, *rest = parts
    body = "\n".join([f"<p><strong>{text(kind)}</strong> {first}</p>", *filter(None, rest)])
    return f'<div class="gatewise-record tex2jax_ignore mathjax_ignore">\n{STYLE}\n{body}\n</div>'


def text(value: object, most: int = MOST_TEXT) -> str:
    """Return a value from data as escaped text: one printable line of at most `most` characters."""
    return escape(shown(" ".join(str(value).split()), most))


def paragraph(markup: str, aside: bool = False) -> str:
    """Return a paragraph of markup."""
    return f'<p class="aside">{markup}</p>' if aside else f"<p>{markup}</p>"


def picture(svg: str) -> str:
    """Return an SVG that is hidden without the style: some viewers would show the bare text of the picture."""
    return f'<div class="picture" style="display:none">{svg}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), wide: int = -1) -> str:
    """Return an HTML table: its first column names the rows, `numbers` are flush right, and `wide` may wrap."""

    def cell(tag: str, place: int, inner: str) -> str:
        kind = ' class="number"' if place in numbers else ' class="wide"' if place == wide else ""
        return f"<{tag}{kind}>{inner}</{tag.split()[0]}>"

    head = "".join(cell('th scope="col"', place, name) for place, name in enumerate(heads))
    body = "\n".join(
        "<tr>"
        + "".join(cell("td" if place else 'th scope="row"', place, inner) for place, inner in enumerate(row))
        + "</tr>"
        for row in rows
    )
    top = f"<thead><tr>{head}</tr></thead>\n" if any(heads) else ""
    return f"<table>\n{top}<tbody>\n{body}\n</tbody>\n</table>"


def column(values: npt.NDArray[Any]) -> tuple[list[str], bool]:
    """Return the cells of a column of an HTML table, and True if they are numbers, all with equally many decimals."""
    if values.dtype.kind in "iu":
        return [f"{value:,}".replace("-", "−") for value in values.tolist()], True
    if values.dtype.kind == "f":
        return numbers(values), True
    return [text(value) for value in values.tolist()] if values.dtype.kind != "M" else [text(v) for v in values], False


def numbers(values: npt.ArrayLike) -> list[str]:
    """Return the numbers of an HTML table with equally many decimals: four significant digits of the largest."""
    array = np.asarray(values, np.float64)
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max(initial=0.0))
    if largest and not 1e-3 <= largest < 1e6:
        form = ".3e"
    else:
        form = f",.{min(5, max(0, 3 - math.floor(math.log10(largest))) if largest else 0)}f"
    words = {"inf": "∞", "-inf": "−∞", "nan": "–"}
    return [
        f"{value:{form}}".replace("-", "−") if math.isfinite(value) else words[str(value)] for value in array.tolist()
    ]


@cache
def shades(stops: tuple[str, ...]) -> list[str]:
    """Return the CSS colours of a colour map, with `SHADES` - 1 colours between neighbours."""
    corners = np.array([[int(stop[place : place + 2], 16) for place in (1, 3, 5)] for stop in stops])
    places = np.linspace(0, len(stops) - 1, SHADES * (len(stops) - 1) + 1)
    mixed = np.stack([np.interp(places, np.arange(len(stops)), corners[:, part]) for part in range(3)], axis=1)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in mixed.round().astype(int).tolist()]


def strip(values: Array, label: str) -> str:
    """Return values (time, units) as an SVG strip of cells: cividis from 0 to 1, or vik about 0 if some are negative.

    The strip has at most `ROWS` units, at equal distances, and `COLUMNS` columns; each column keeps its least and its
    greatest value.
    """
    if not values.size:
        return ""
    chosen = np.unique(np.linspace(0, values.shape[1] - 1, ROWS).round().astype(int))
    finite = values[np.isfinite(values)]
    size = float(np.abs(finite).max(initial=0.0)) or 1.0
    signed = bool((finite < 0).any())
    stops, low, high = (VIK, -size, size) if signed else (CIVIDIS, 0.0, max(1.0, size))
    colours = shades(stops)
    cells = keep_extremes(values[:, chosen].astype(np.float64), COLUMNS).T
    with np.errstate(invalid="ignore"):
        place = np.rint((np.clip(cells, low, high) - low) / (high - low) * (len(colours) - 1))
    paths = []
    for number, colour in enumerate(colours):
        at = np.argwhere(place == number)
        if len(at):
            path = "".join(f"M{column} {row}h1v1h-1z" for row, column in at.tolist())
            paths.append(f'<path fill="{colour}" d="{path}"/>')
    rows, columns = cells.shape
    return (
        f'<svg role="img" aria-label="{text(label)}" width="{SIZE * columns}" height="{SIZE * rows}"'
        f' viewBox="0 0 {columns} {rows}" shape-rendering="crispEdges">{"".join(paths)}</svg>'
    )
