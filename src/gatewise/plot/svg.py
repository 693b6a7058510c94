"""Pictures as SVG for a page: in the reader's text colour, transparent, with the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from hashlib import sha256
from html import escape
from typing import Any

import numpy as np

from gatewise.errors import shown
from gatewise.palette import PALETTE
from gatewise.plot import drawing

INK = "#010203"  # in place of the reader's text colour; no picture has it
WIDTH = 7.0  # inches
VISIBLE = 0.38  # the least luminance of a line on a dark ground
LABEL = 2000  # characters of the alternative text
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "gatewise",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(
        (
            *("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "hatch.color"),
            *("lines.color", "patch.edgecolor", "grid.color", "legend.edgecolor", "boxplot.flierprops.color"),
        ),
        INK,
    ),
}
SMALL: dict[str, Any] = {
    "path.simplify_threshold": 1.0,  # of a pixel: a line of thousands of points becomes small
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.framealpha": 0,
}
GROUNDS = ("paper", "sheet", "panel", "hover")  # which no picture draws; white is the colour of letters on dark boxes
_THEMED = {
    colour.light: colour.css for name, colour in PALETTE.items() if name not in GROUNDS and colour.light != colour.dark
} | {INK: "currentColor"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # which XML does not allow
_TAG = re.compile(r"<[^>]*>")
_REFERENCE = re.compile(r'(?:(?<=url\(#)|(?<=href="#))([^)"]+)')


def svg(
    draw: Callable[[Any], Any],
    sentence: str,
    key: str | None = None,
    *,
    size: tuple[float, float] | None = None,
    settings: dict[str, Any] = SMALL,
    dpi: int = 100,
) -> str:
    """Return a matplotlib picture as an SVG element of an HTML page.

    `draw` draws on a Figure, `sentence` is its alternative text. Its ids begin with `key` and must differ between the
    pictures of a page; by default a hash of the picture does. `size` is in inches; by default the height depends on the
    rows of panels. `settings` of matplotlib are in addition to its defaults and `SETTINGS`. Long runs are reduced to
    the pixels of `dpi`: fewer make a smaller picture.
    """
    matplotlib = drawing.library()
    from matplotlib.figure import Figure

    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context(defaults | SETTINGS | settings | {"figure.dpi": dpi}),
    ):
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # the reader's own fonts may have it
        figure = Figure(figsize=size or (WIDTH, 2.8), layout="constrained")
        draw(figure)
        drawing.fit_text(figure.axes)
        specs = [ax.get_subplotspec() for ax in figure.axes]
        rows = len({spec.rowspan.start for spec in specs if spec is not None})
        if size is None and rows > 1:
            figure.set_size_inches(WIDTH, 1 + 1.5 * rows)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    # The svg element of matplotlib's document, in the ink and font of the HTML page, with unique ids.
    document = out.getvalue()
    head, body = document[document.index("<svg") : document.rindex("</svg>")].split(">", 1)
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = _UNPRINTABLE.sub("?", body)
    key = f"g{sha256(body.encode()).hexdigest()[:8]}" if key is None else key
    references = _REFERENCE.findall("".join(_TAG.findall(body)))
    ids = {name: f"{key}-{place}" for place, name in enumerate(dict.fromkeys(references))}
    parts = re.split(f"({_TAG.pattern})", body)  # what lies between the tags is text, and stays as it is
    body = "".join(_adapted_tag(part, ids) if place % 2 else part.strip("\n ") for place, part in enumerate(parts))
    body = body.replace("<defs></defs>", "").replace("<defs/>", "")
    box = re.search(r'viewBox="([^"]+)"', head)
    _, _, width, height = box[1].split() if box else ("0", "0", "504", "202")
    return (
        f'<svg role="img" aria-label="{escape(shown(sentence, LABEL))}" width="{float(width):.0f}"'
        f' height="{float(height):.0f}" viewBox="0 0 {width} {height}">{body}</svg>'
    )


def _adapted_tag(tag: str, ids: dict[str, str]) -> str:
    """Return a tag of matplotlib's SVG, adapted to an HTML page: its ids, fonts, colours and digits."""
    tag = re.sub(r'\s+id="([^"]*)"', lambda match: f' id="{ids[match[1]]}"' if match[1] in ids else "", tag)
    tag = _REFERENCE.sub(lambda match: ids[match[1]], tag)
    tag = tag.replace("xlink:href", "href")  # as SVG has it since its second edition, and HTML
    tag = re.sub(r"font-family: [^;\"]*(; )?", "", tag)
    tag = re.sub(r"font: [^;\"]*?([\d.]+px) [^;\"]*", r"font-size: \1", tag)  # as older versions of matplotlib have it
    thin = "fill: none" in tag or tag.startswith("<use")
    tag = re.sub(r"#[0-9a-f]{6}\b", lambda match: _themed_colour(match[0], thin=thin), tag)
    tag = re.sub(r'(?<= d=")[^"]*', lambda match: _round_path(match[0]), tag)
    return re.sub(r"\s*\n\s*", "" if "base64," in tag else " ", tag)


def _round_path(path: str) -> str:
    """Return the outline of a shape, rounded to an invisible tenth of a point."""
    words = " ".join(re.sub(r"-?\d+\.\d{2,}", lambda match: f"{float(match[0]):.1f}", path).split())
    return re.sub(r" ?([A-Za-z]) ?", r"\1", words).replace(".0 ", " ")


def _themed_colour(colour: str, *, thin: bool) -> str:
    """Return a picture's colour as CSS for its reader's ground: a thin dark line becomes lighter on a dark ground."""
    if colour in _THEMED or not thin:
        return _THEMED.get(colour, colour)
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    faint = max(0.0, VISIBLE - float(drawing.luminance(rgb)))
    lighter = rgb + (1 - rgb) * faint / (1 - VISIBLE + faint)
    return f"light-dark({colour}, {to_hex(tuple(lighter))})" if faint else colour
