"""A picture as text: everything visible of its artists, so that a golden file shows what changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib import colors
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

GOLDEN = Path(__file__).parent / "golden" / "pictures"


def described(figure: Figure) -> str:
    """Return a line for each visible artist of a figure's Axes: what it is, where, and how it looks."""
    figure.canvas.draw()
    lines = []
    for number, ax in enumerate(figure.axes):
        lines.append(
            f"axes {number}: x {_limits(ax.get_xlim())} {ax.get_xscale()}, y {_limits(ax.get_ylim())} {ax.get_yscale()}"
        )
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [tick.label1.get_text() or tick.label2.get_text() for tick in axis.get_major_ticks()]
            lines.append(f"  {axis.axis_name} {axis.label.get_text()!r}: {' | '.join(ticks)}")
        lines += [f"  {line}" for artist in _artists(ax) if (line := _line(artist))]
    return "\n".join(lines) + "\n"


def _artists(ax):
    legend = ax.get_legend()
    found = [artist for artist in ax.get_children() if artist is not ax.patch and artist is not legend]
    inside = [] if legend is None else [*legend.get_texts(), *legend.get_lines(), *legend.get_patches()]
    return [artist for artist in found + inside if artist.get_visible()]


def _line(artist) -> str:
    also = "" if artist.get_alpha() is None else f", alpha {artist.get_alpha():.2g}"
    also += f", z {artist.get_zorder():g}"
    if isinstance(artist, Line2D):
        style = (
            f"{artist.get_linestyle()} {artist.get_linewidth():g} {artist.get_marker()} {_colours(artist.get_color())}"
        )
        return f"line {_numbers(artist.get_xdata())}, {_numbers(artist.get_ydata())}: {style}{also}"
    if isinstance(artist, AxesImage):
        low, high = artist.get_clim()
        look = f"{artist.get_cmap().name} {low:g} to {high:g}"
        return f"image {_numbers(artist.get_array())} {_limits(artist.get_extent())}: {look}{also}"
    if isinstance(artist, Text):
        colour = _colours(artist.get_color())
        box = artist.get_bbox_patch()
        also += "" if box is None else f", on {_colours(box.get_facecolor())}"
        return f"text {artist.get_text()!r}: {colour} {artist.get_fontsize():g}{also}" if artist.get_text() else ""
    if isinstance(artist, Patch):
        look = f"{_colours(artist.get_facecolor())} {_colours(artist.get_edgecolor())} {artist.get_hatch()}"
        return f"patch {_numbers(artist.get_path().transformed(artist.get_patch_transform()).vertices)}: {look}{also}"
    if isinstance(artist, Collection):
        paths = np.concatenate([path.vertices for path in artist.get_paths()] or [np.zeros((0, 2))])
        where = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)
        look = f"{_colours(artist.get_facecolor())} {_colours(artist.get_edgecolor())} {artist.get_hatch()}"
        return f"{type(artist).__name__} {_numbers(paths)} at {_numbers(where)}: {look}{also}"
    return ""


def _limits(given) -> str:
    return " to ".join(f"{number:.4g}" for number in given)


def _numbers(given) -> str:
    """Return the shape of an array, its first and last numbers, and two sums that any change would show in."""
    array = np.ma.filled(np.ma.asarray(given, dtype=float), np.nan)
    flat = array.ravel()
    ends = [f"{number:.3g}" for number in (flat if flat.size <= 6 else np.concatenate([flat[:2], flat[-2:]]))]
    if flat.size > 6:
        ends.insert(2, f"… Σ {np.nansum(flat):.4g}, {np.nansum(flat * np.cos(np.arange(flat.size))):.4g} …")
    return f"{'×'.join(map(str, array.shape))} [{' '.join(ends)}]"


def _colours(given) -> str:
    found = np.atleast_2d(colors.to_rgba_array(given))
    each = [colors.to_hex(one, keep_alpha=one[3] < 1) for one in found[:4]]
    return ",".join(dict.fromkeys(each)) + (f",… {found.sum():.4g}" if len(found) > 4 else "")


def golden(name: str, axes) -> None:
    """Hold a picture against its description on file; GATEWISE_UPDATE_GOLDEN=1 writes it."""
    figure = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()[0].figure
    text, path = described(figure), GOLDEN / f"{name}.txt"
    if os.environ.get("GATEWISE_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
