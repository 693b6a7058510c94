"""Pictures in a page: SVG whose text is the page's, in its ink, without an id that another picture has, too."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np

from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.render.text import clean

WIDTH = 5.5  # inches: as wide as the text of the page, and on a telephone still readable
VISIBLE = 0.38  # how light a line must be to be seen on a dark ground
LETTERS = 62  # of a legend, that fit into the width
INK = "#010203"  # stands for the colour of the reader's text, which no picture has
RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "legend.fontsize": 9,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        (
            *("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "hatch.color"),
            *("lines.color", "patch.edgecolor", "grid.color", "legend.edgecolor", "boxplot.flierprops.color"),
        ),
        INK,
    ),
}
_ADAPTS = {colour.light: colour.css for colour in PALETTE.values() if colour.light != colour.dark} | {
    INK: "currentColor"
}
_TAG = re.compile(r"<[^>]*>")
_REFERENCE = re.compile(r'(?:(?<=url\(#)|(?<=href="#))([^)"]+)')


def svg(draw: Callable[[Any], Any], sentence: str, key: str, height: float) -> str:
    """Return a picture as an element of a page.

    Parameters
    ----------
    draw : callable
        Draws on the Figure that it is given.
    sentence : str
        Its alternative text.
    key : str
        What its ids begin with.
    height : float
        In inches.
    """
    matplotlib = drawing.library()
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC, "svg.hashsalt": key, "backend": "svg"}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        _fit(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(out.getvalue(), sentence, key)


def _fit(figure: Any) -> None:
    """Make a picture that was made for a wide figure fit the page, and leave out what the sentence says."""
    figure.suptitle("")
    if len(figure.axes) == 1 or not any(ax.get_title() for ax in figure.axes[1:]):  # else they tell panels apart
        for place in ("center", "left"):
            figure.axes[0].set_title("", loc=place)
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            _above(ax, legend)
        for patch in ax.patches:  # of dots, of which each is an outline
            patch.set_hatch((patch.get_hatch() or "")[:2] or None)
    row = [ax for ax in figure.axes if (spec := ax.get_subplotspec()) is not None and spec.is_last_row()]
    if len(row) > 1 and len({ax.get_xlabel() for ax in row}) == 1:  # once is enough
        for number, ax in enumerate(row):
            ax.set_xlabel(ax.get_xlabel() if number == len(row) // 2 else "")


def _above(ax: Any, legend: Any) -> None:
    """Put a legend that stands outside its axes above them, in as many columns as there is room for."""
    left, low = ax.transAxes.inverted().transform(legend.get_bbox_to_anchor().p0)
    if left < 1 and low < 1:
        return
    names = [text.get_text() for text in legend.get_texts()]
    columns = max(1, min(len(names), LETTERS // (7 + max(map(len, names)))))
    place = 1.1 if ax.get_title(loc="right") else 1.0
    look: dict[str, Any] = {"title": legend.get_title().get_text() or None, "alignment": "left", "columnspacing": 1.5}
    ax.legend(legend.legend_handles, names, ncols=columns, loc="lower left", bbox_to_anchor=(0, place), **look)


def _inline(text: str, sentence: str, key: str) -> str:
    """Return a file of SVG as an element: in the page's ink, with its alternative text, and ids of its own."""
    box = re.search(r'viewBox="([^"]+)"', text)
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    tags = "".join(_TAG.findall(body))
    called = {name: f"{key}-{place}" for place, name in enumerate(dict.fromkeys(_REFERENCE.findall(tags)))}

    def tag(found: re.Match[str]) -> str:
        one = re.sub(r' id="([^"]*)"', lambda its: f' id="{called[its[1]]}"' if its[1] in called else "", found[0])
        one = _REFERENCE.sub(lambda its: its[0].replace(its[1], called[its[1]]), one)
        one = one.replace("xlink:href", "href")  # as SVG has it since its second edition, and HTML
        one = re.sub(r"font-family: [^;\"]*(; )?", "", one)
        thin = "fill: none" in one or one.startswith("<use")
        one = re.sub(r"#[0-9a-f]{6}\b", lambda its: _adapted(its[0], thin=thin), one)
        one = re.sub(r'(?<= d=")[^"]*', lambda its: _shorter(its[0]), one)
        return re.sub(r"\s*\n\s*", "" if "base64," in one else " ", one)

    parts = re.split(f"({_TAG.pattern})", body)  # what lies between the tags is text, and stays as it is
    body = "".join(_TAG.sub(tag, part) if place % 2 else part.strip("\n ") for place, part in enumerate(parts))
    body = body.replace("<defs></defs>", "").replace("<defs/>", "")
    return f'<svg role="img" aria-label="{escape(clean(sentence))}" viewBox="{box[1] if box else ""}">{body}</svg>'


def _shorter(path: str) -> str:
    """Return the outline of a shape to a tenth of a point, which nobody sees."""
    words = " ".join(re.sub(r"(\.\d)\d+", r"\1", path).split())
    return re.sub(r" ?([A-Za-z]) ?", r"\1", words).replace(".0 ", " ")


def _adapted(colour: str, *, thin: bool) -> str:
    """Return a colour as CSS that suits the reader's ground, on which a dark line would not be seen."""
    if colour in _ADAPTS or not thin:
        return _ADAPTS.get(colour, colour)
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    faint = max(0.0, VISIBLE - float(drawing.luminance(rgb)))
    lighter = rgb + (1 - rgb) * faint / (1 - VISIBLE + faint)
    return f"light-dark({colour}, {to_hex(tuple(lighter))})" if faint else colour
