"""Pictures in a page: as wide as its text, and without what their sentences say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatewise.plot import svg as element
from gatewise.render.text import clean

WIDTH = 5.5  # inches: as wide as the text of the page, and on a telephone still readable
LETTERS = 62  # of a legend, that fit into the width
LINE = 0.17  # inches, of a legend
LINES = 2  # of a legend, for which a picture has room
RC: dict[str, Any] = {
    "font.size": 10.5,
    "axes.titlesize": 11,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def svg(draw: Callable[[Any], Any], sentence: str, key: str, height: float) -> str:
    """Return a report's picture as an SVG element; see `gatewise.plot.svg.svg`. Its height is in inches."""

    def fitted(figure: Any) -> None:
        draw(figure)
        _fit_to_page(figure)

    return element.svg(fitted, clean(sentence), key, size=(WIDTH, height), settings=RC)


def _fit_to_page(figure: Any) -> None:
    """Fit a matplotlib picture to a report's page, without the titles that repeat the sentence."""
    figure.suptitle("")
    if len(figure.axes) == 1 or not any(ax.get_title() for ax in figure.axes[1:]):  # else they tell panels apart
        for place in ("center", "left"):
            figure.axes[0].set_title("", loc=place)
    lines = 0
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            lines = max(lines, _move_legend_above(ax, legend))
    figure.set_figheight(figure.get_figheight() + LINE * max(0, lines - LINES))


def _move_legend_above(ax: Any, legend: Any) -> int:
    """Move a legend from beside its Axes to above them, in as many columns as fit; return its number of lines."""
    left, low = ax.transAxes.inverted().transform(legend.get_bbox_to_anchor().p0)
    if left < 1 and low < 1:
        return 0
    names = [text.get_text() for text in legend.get_texts()]
    each = [name.split("\n") for name in names]
    columns = max(1, min(len(names), LETTERS // (7 + max(len(line) for lines in each for line in lines))))
    place = 1.1 if ax.get_title(loc="right") else 1.0
    look: dict[str, Any] = {"title": legend.get_title().get_text() or None, "alignment": "left", "columnspacing": 1.5}
    ax.legend(legend.legend_handles, names, ncols=columns, loc="lower left", bbox_to_anchor=(0, place), **look)
    return -(-len(names) // columns) * max(map(len, each)) + (look["title"] is not None)
