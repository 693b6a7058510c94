"""The picture of a text coloured by a unit: lines of boxes, one for each character or token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np

from gatewise.arrays import size
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.text import Text

FONT = "DejaVu Sans Mono"  # of matplotlib; the reader's fonts have the rest
SIGNS = {" ": "·", "\n": "↵", "\t": "⇥", "\r": "←"}  # in place of invisible characters
LONGEST = 24  # letters of a token
LETTER, LINE = 0.087, 0.22  # inches


@picture
def text(record: Text, ax: Any, *, width: int = 80) -> drawing.Axes:
    """Draw the text that a cell read, each character or token on the colour of a unit's gate or state.

    Parameters
    ----------
    width : int
        The number of letters of a line, or fewer on narrow Axes; a line break also ends a line.

    Notes
    -----
    Blanks become ·, line breaks ↵, tabs ⇥, other control characters their codes. Gates are coloured from dark (0) to
    light (1), states from blue (negative) to red (positive). Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.text(trace[0], text="abcdefg")
    >>> [letter.get_text() for letter in axes.texts][:3]
    ['a', 'b', 'c']
    """
    size("width", width)
    if ax is not None:
        ax = drawing.single_panel(ax)
        width = max(10, min(width, int(drawing.inches(ax.xaxis) / LETTER)))
    labels = [_token_label(token) for token in record.tokens]
    lefts, lines, widths = _lay_out_tokens(record.tokens, labels, width)
    count = lines[-1] + 1
    across = max(10, int((lefts + widths).max()))
    axes = drawing.single_panel(ax, (1 + 0.1 * width, 0.9 + LINE * max(3, count)))
    _draw_tokens(axes, record, lefts, lines, widths)
    axes.set(xlim=(0, across if count == 1 else width), ylim=(max(3, count) - 0.5, -0.5))
    axes.set_axis_off()
    axes.set_title(drawing.shorten(record.title, drawing.LONGEST_TITLE), loc="left")
    return axes


def _token_label(token: str) -> str:
    """Return a token's label in a picture of text: one line, with signs for invisible characters."""
    label = "".join(SIGNS.get(letter, letter if letter.isprintable() else f"\\x{ord(letter):02x}") for letter in token)
    label = label or "∅"
    return drawing.safe_text(label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…", _fonts())


def _fonts() -> list[str]:
    return [FONT, *drawing.library().rcParams["font.family"]]


def _lay_out_tokens(tokens: Any, labels: list[str], width: int) -> tuple[Any, Any, Any]:
    """Break a picture's text into lines; return the left edge, line and width of each token, in letters."""
    gap = _has_gaps(tokens)
    lefts, lines, widths = [], [], []
    left = line = 0
    for token, label in zip(tokens, labels, strict=True):
        letters = label.replace(r"\$", "$")
        token_width = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in letters) + gap
        if left and left + token_width > width:
            left, line = 0, line + 1
        lefts.append(left)
        lines.append(line)
        widths.append(token_width)
        left += token_width
        if token.endswith("\n"):
            left, line = 0, line + 1
    return np.array(lefts), np.array(lines), np.array(widths)


def _has_gaps(tokens: Sequence[str]) -> bool:
    """Say whether tokens have gaps between them; single characters have none."""
    return any(len(token) > 1 for token in tokens)


def _draw_tokens(ax: drawing.Axes, record: Text, lefts: Any, lines: Any, widths: Any) -> None:
    """Draw each token of a text on a box in the colour of a unit's gate or state, beside a colour scale."""
    from matplotlib.collections import PolyCollection

    gap = 0.1 if _has_gaps(record.tokens) else 0.0
    boxes = np.empty((len(lefts), 4, 2))
    boxes[:, :, 0] = np.stack([lefts, lefts, lefts + widths - gap, lefts + widths - gap], axis=1)
    boxes[:, :, 1] = np.stack([lines - 0.46, lines + 0.46, lines + 0.46, lines - 0.46], axis=1)
    colours = drawing.colour_map(VIK if record.limits[0] < 0 else CIVIDIS)
    filled = PolyCollection(list(boxes), cmap=colours, array=record.values, linewidth=0)
    filled.set_clim(*record.limits)
    ax.add_collection(filled)
    if record.valid is not None and not record.valid.all():
        hatched: dict[str, Any] = {"facecolor": "none", "edgecolor": drawing.ink(), "alpha": 0.4, "linewidth": 0}
        ax.add_collection(PolyCollection(list(boxes[~record.valid]), hatch=drawing.HATCH, **hatched))
    backs = filled.to_rgba(record.values)
    light, size = drawing.is_light(backs), 54 * drawing.inches(ax.yaxis) / max(3, lines[-1] + 1)  # of 3/4 of a line
    look = {"ha": "center", "va": "center", "family": _fonts(), "fontsize": min(9.0, size)}
    for place, token in enumerate(record.tokens):
        colour = drawing.ink() if np.isnan(record.values[place]) else "black" if light[place] else "white"
        middle = lefts[place] + (widths[place] - gap) / 2
        letters = ax.text(middle, lines[place], _token_label(token), color=colour, **look)
        letters.set_in_layout(False)  # there are thousands, all inside
    high = min(1.0, 12 / (lines[-1] + 1))  # of the picture's height: it stays beside the first lines
    ax.figure.colorbar(filled, ax=ax, pad=0.01, fraction=0.05, aspect=10, shrink=high, anchor=(0.0, 1.0))
