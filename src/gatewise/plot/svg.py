"""Pictures as SVG within a page: in the reader's text colour, transparent, and the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from hashlib import sha256
from html import escape
from typing import Any

from gatewise.errors import shown
from gatewise.palette import PALETTE
from gatewise.plot import drawing

INK = "#010203"  # stands for the reader's text colour; no picture has it
WIDTH = 7.0  # inches
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "path.simplify_threshold": 1.0,  # of a pixel: a line of thousands of points becomes small
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.framealpha": 0,
}
INKED = (
    *("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "patch.edgecolor"),
    *("lines.color", "hatch.color", "legend.edgecolor", "grid.color"),
)
THEMED = {colour.light: colour.css for colour in PALETTE.values() if colour.light != colour.dark}
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # which XML does not allow
TAG = re.compile(r"<[^>]+>")
NUMBER = re.compile(r"-?\d+\.\d{2,}")
TARGET = re.compile(r'(?:url\(#|href="#)([^)"]+)')


def svg(draw: Callable[[Any], Any], sentence: str, key: str | None = None, dpi: int = 100) -> str:
    """Return a picture as an element of a page.

    Parameters
    ----------
    draw : callable
        Draws on a Figure, and returns its Axes, or an array of them.
    sentence : str
        Its alternative text.
    key : str, optional
        What its ids begin with, which must differ from picture to picture of a page; by default a hash of the picture.
    dpi : int
        Pixels to an inch, into which long runs are reduced: with fewer, the picture takes fewer bytes.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    matplotlib = drawing.library()
    from matplotlib.figure import Figure

    inked = dict.fromkeys(INKED, INK)
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context(
            {**matplotlib.rcParamsDefault, **SETTINGS, **inked, "svg.hashsalt": "gatewise", "figure.dpi": dpi}
        ),
    ):
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # the reader's own fonts may have it
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        draw(figure)
        place = figure.axes[0].get_subplotspec()
        rows = 1 if place is None else place.get_geometry()[0]
        figure.set_size_inches(WIDTH, 2.8 if rows == 1 else 1 + 1.5 * rows)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _element(out.getvalue(), sentence, key)


def _element(document: str, sentence: str, key: str | None) -> str:
    """Return the element of a document of SVG, without what only a file needs."""
    start = document.index("<svg")
    head, body = document[start:].split(">", 1)
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = UNPRINTABLE.sub("?", body)
    key = f"g{sha256(body.encode()).hexdigest()[:8]}" if key is None else key
    tags = "".join(TAG.findall(body))
    ids = {target: f"{key}-{number}" for number, target in enumerate(dict.fromkeys(TARGET.findall(tags)))}

    def renamed(found: re.Match[str]) -> str:
        return f' id="{ids[found[1]]}"' if found[1] in ids else ""

    def rewritten(found: re.Match[str]) -> str:
        tag = re.sub(r'\s+id="([^"]*)"', renamed, found[0])
        tag = tag.replace("xlink:href", "href")
        tag = TARGET.sub(lambda one: one[0].replace(one[1], ids[one[1]]), tag)
        if "base64," in tag:
            return re.sub(r"\n", "", tag)
        tag = NUMBER.sub(lambda number: f"{float(number[0]):.1f}", " ".join(tag.split()))
        tag = re.sub(r"#[0-9a-f]{6}\b", lambda one: THEMED.get(one[0], one[0]), tag.replace(INK, "currentColor"))
        return re.sub(r"font-family: [^;\"]*;? ?|(font: [^;\"]*?px) [^;\"]*", r"\1", tag)

    box = re.search(r'viewBox="([^"]+)"', head)
    _, _, width, height = box[1].split() if box else ("0", "0", "504", "202")
    body = re.sub(r">\s+<", "><", TAG.sub(rewritten, body))
    return (
        f'<svg role="img" aria-label="{escape(shown(sentence, 500))}" width="{float(width):.0f}"'
        f' height="{float(height):.0f}" viewBox="0 0 {width} {height}">{body}'
    ).rstrip()
