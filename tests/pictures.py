"""A picture as text: everything visible of its artists, so that a golden file shows what changed.

Nothing in it depends on fonts, on the layout of the figure or on matplotlib's choice of ticks.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors, pyplot
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.spines import Spine
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator

GOLDEN = Path(__file__).parent / "golden" / "pictures"


@pytest.fixture(autouse=True)
def agg():
    """Draw without a screen, and close all figures after each test of a module that imports this."""
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def golden(name: str, axes) -> None:
    """Draw a picture and hold it against its description on file; GATEWISE_UPDATE_GOLDEN=1 writes it."""
    figure = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()[0].figure
    text, path = described(figure), GOLDEN / f"{name}.txt"
    if os.environ.get("GATEWISE_STRICT"):
        figure.canvas.draw()  # most of the time goes here; ticks and limits are fitted to the layout, too
    if os.environ.get("GATEWISE_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def touching(figure: Figure) -> list[str]:
    """Draw a figure, and return the texts that leave it, and the pairs of tick labels that touch."""
    figure.canvas.draw()
    renderer, found = figure.canvas.get_renderer(), []
    whole = figure.bbox.padded(1)
    for ax in figure.axes:
        texts = [ax.title, *(text for text in ax.get_children() if isinstance(text, Text) and text.get_in_layout())]
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            labels = [tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible()]
            labels = [label for label in labels if label.get_text()]
            corners = [_corners(label, renderer) for label in labels]
            for place, label in enumerate(labels):
                clear = all(_apart(corners[place], other) for other in corners[:place])
                found += [] if clear else [f"{label.get_text()!r} touches another tick label"]
            texts += [*labels, axis.label]
        texts += ax.get_legend().get_texts() if ax.get_legend() is not None else []
        for text in texts:
            inside = not text.get_text() or all(whole.contains(*corner) for corner in _corners(text, renderer))
            found += [] if inside or not text.get_visible() else [f"{text.get_text()!r} leaves the figure"]
    return found


def _corners(text: Text, renderer) -> np.ndarray:
    """Return the corners (4, 2) of a text in pixels, which may be slanted."""
    box, angle = text.get_window_extent(renderer), np.deg2rad(text.get_rotation())
    if abs(np.sin(2 * angle)) < 1e-9:
        return np.array([box.p0, (box.x1, box.y0), box.p1, (box.x0, box.y1)])
    text.set_rotation(0)
    level = text.get_window_extent(renderer)
    text.set_rotation(np.rad2deg(angle))
    across = np.array([np.cos(angle), np.sin(angle)]) * level.width / 2
    up = np.array([-np.sin(angle), np.cos(angle)]) * level.height / 2
    middle = (box.p0 + box.p1) / 2
    return np.array([middle - across - up, middle + across - up, middle + across + up, middle - across + up])


def _apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether a line parallel to a side of one of two rectangles parts them."""
    for corners in (one, other):
        for side in (corners[1] - corners[0], corners[3] - corners[0]):
            first, second = one @ side, other @ side
            if first.max() <= second.min() or second.max() <= first.min():
                return True
    return False


def described(figure: Figure) -> str:
    """Return a line for each visible artist of a figure: what it is, where, and how it looks."""
    width, height = figure.get_size_inches()
    lines = [f"figure {width:.3g} × {height:.3g} on {_colours(figure.get_facecolor())}"]
    for ax in figure.axes:
        lines += _axes(ax) if ax.get_visible() else ["axes that cannot be seen"]
    for legend in figure.legends:
        lines += _legend(legend, figure.transFigure)
    lines += [line for text in figure.texts if (line := _artist(text))]
    return "\n".join(lines) + "\n"


def _axes(ax) -> list[str]:
    if ax.get_label() == "<colorbar>":
        bar = ax._colorbar
        axis = ax.yaxis if bar.orientation == "vertical" else ax.xaxis
        return [f"colour bar {bar.orientation} {_scale(bar.mappable)}: {_ticks(axis)}"]
    place = ax.get_subplotspec()
    where = "" if place is None else f" at {place.rowspan.start}, {place.colspan.start} of {place.get_geometry()[:2]}"
    ratios = "" if place is None else f" {place.get_gridspec().get_height_ratios()}"
    shown = "on" if ax.axison else "off"
    lines = [
        f"axes{where}{ratios}, aspect {ax.get_aspect()}, axis {shown} on {_colours(ax.get_facecolor())}"
        f", z {ax.get_zorder():g}"
    ]
    for axis, limits, scale in ((ax.xaxis, ax.get_xlim(), ax.get_xscale()), (ax.yaxis, ax.get_ylim(), ax.get_yscale())):
        lines.append(f"  {axis.axis_name} {_few(limits)} {scale} {_ticks(axis)}")
    spines = [f"{name} {_edge(spine)}" for name, spine in ax.spines.items() if spine.get_visible()]
    lines.append(f"  spines {'; '.join(spines)}")
    artists = [one for one in ax.get_children() if one not in (ax.patch, ax.get_legend(), ax.xaxis, ax.yaxis)]
    lines += [
        f"  {line}"
        for one in artists
        if not isinstance(one, Spine) and one.get_visible() and one not in ax.child_axes and (line := _artist(one))
    ]
    for inner in ax.child_axes:
        lines += [f"  {line}" for line in _axes(inner)]
    return lines + (_legend(ax.get_legend(), ax.transAxes) if ax.get_legend() is not None else [])


def _ticks(axis) -> str:
    """Return an axis' label and its ticks: where and what, if that is not left to matplotlib."""
    label, locator = axis.label, axis.get_major_locator()
    if isinstance(locator, FixedLocator):
        ticks = f"{_numbers(locator.locs)} {' | '.join(axis.get_major_formatter().format_ticks(locator.locs))}"
    else:
        ticks = f"{type(locator).__name__} {type(axis.get_major_formatter()).__name__}"
    tick = axis.get_major_ticks(1)[0]
    parts = {"tick": tick.tick1line, "tick beyond": tick.tick2line, "label": tick.label1, "label beyond": tick.label2}
    on = [name for name, part in (parts | {"grid": tick.gridline}).items() if part.get_visible()]
    look = f"{label.get_color()} {label.get_fontsize():g} {axis.get_label_position()}"
    return f"{label.get_text()!r} {look}: {ticks} ({', '.join(on)}, {tick.label1.get_rotation():g}°)"


def _legend(legend, whole) -> list[str]:
    title, place = legend.get_title().get_text(), legend.get_bbox_to_anchor().transformed(whole.inverted()).bounds
    frame = f"frame {_edge(legend.get_frame())}" if legend.get_frame_on() else "no frame"
    lines = [f"  legend {title!r} at {legend._loc_real} of {_few(place)}, {legend._ncols} columns, {frame}"]
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        lines.append(f"    {text.get_text()!r} {_font(text)}: {_look(handle)}")
    return lines


def _artist(artist) -> str:
    """Return what an artist is, where it is, and how it looks; nothing for a text that is empty."""
    what = type(artist).__name__
    if isinstance(artist, Text):
        if not artist.get_text():
            return ""
        where, what = _few(artist.get_position()), f"{what} {artist.get_text()!r}"
        if isinstance(artist, Annotation):
            where += f" of {_few(artist.xy)} {artist.xycoords} {artist.anncoords}"
            where += "" if artist.arrow_patch is None else f" arrow {_edge(artist.arrow_patch)}"
    elif isinstance(artist, Line2D):
        where = f"{_numbers(artist.get_xdata())}, {_numbers(artist.get_ydata())}"
    elif isinstance(artist, AxesImage):
        where = f"{_numbers(artist.get_array())} in {_few(artist.get_extent())}"
    elif isinstance(artist, Patch):
        corners = artist.get_path().transformed(artist.get_patch_transform()).vertices
        where = _numbers(corners)
        if len(corners) == 5 and all(len(np.unique(one)) == 2 for one in corners.T):  # whatever the class behind it
            what, where = "box", f"{_few(corners.min(0))} to {_few(corners.max(0))}"
    elif isinstance(artist, Collection):
        paths = np.concatenate([path.vertices for path in artist.get_paths()] or [np.zeros((0, 2))])
        offsets = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)
        where = f"{_numbers(paths)} at {_numbers(offsets)}"
    else:
        where = ""
    return f"{what} {where}{_system(artist)}: {_look(artist)}, z {artist.get_zorder():g}"


def _system(artist) -> str:
    """Return in which coordinates an artist lies, where they are not those of the data."""
    ax, found = artist.axes, artist.get_transform()
    if isinstance(artist, Patch):
        found = artist.get_data_transform()
    known = {} if ax is None else {"axes": ax.transAxes, "x, axes": ax.get_xaxis_transform()}
    known |= {} if ax is None else {"axes, y": ax.get_yaxis_transform()}
    return next((f" ({name})" for name, one in known.items() if one == found), "")


def _look(artist) -> str:
    alpha = artist.get_alpha()
    also = "" if alpha is None else f", alpha {_numbers(alpha)}"
    if isinstance(artist, Text):
        box = artist.get_bbox_patch()
        return _font(artist) + also + ("" if box is None else f", on {_colours(box.get_facecolor())} {_edge(box)}")
    if isinstance(artist, Line2D):
        look = f"{_colours(artist.get_color())} {artist.get_linestyle()} {artist.get_linewidth():g}"
        look += f" {artist.get_drawstyle()}"
        if artist.get_marker() not in ("None", None, ""):
            look += f", marker {artist.get_marker()} {artist.get_markersize():g} {artist.get_markevery()}"
            look += f" {_colours(artist.get_markerfacecolor())} {_colours(artist.get_markeredgecolor())}"
        return look + also
    if isinstance(artist, AxesImage):
        return f"{_scale(artist)}, {artist.get_interpolation()} {artist.origin}{also}"
    if isinstance(artist, Patch):
        return f"{_colours(artist.get_facecolor())} {_edge(artist)} {artist.get_hatch()}{also}"
    if isinstance(artist, Collection):
        artist.update_scalarmappable()  # else its colours are those of the last time it was drawn
        edge = f"{_colours(artist.get_edgecolor())} {_numbers(artist.get_linewidths())} {_dashes(artist)}"
        sizes = _numbers(artist.get_sizes()) if hasattr(artist, "get_sizes") else ""
        return f"{_colours(artist.get_facecolor())} {edge} {artist.get_hatch()} {sizes}{also}"
    return also


def _font(text) -> str:
    place = f"{text.get_horizontalalignment()} {text.get_verticalalignment()} {text.get_rotation():g}°"
    font = f"{text.get_fontsize():g} {text.get_weight()} {text.get_style()} {text.get_fontfamily()[0]}"
    return f"{_colours(text.get_color())} {font} {place}"


def _edge(patch) -> str:
    return f"{_colours(patch.get_edgecolor())} {patch.get_linewidth():g} {patch.get_linestyle()}"


def _dashes(collection) -> str:
    styles = collection.get_linestyles()
    each = [one if isinstance(one, str) else "solid" if one[1] is None else _few([one[0], *one[1]]) for one in styles]
    return "; ".join(dict.fromkeys(each))


def _scale(mappable) -> str:
    """Return which colours stand for which numbers."""
    map_, (low, high) = mappable.get_cmap(), mappable.get_clim()
    shown = _colours(map_([0.0, 0.25, 0.5, 0.75, 1.0]))
    bad = _colours(map_([np.nan]))
    return f"{map_.name} {shown} (none: {bad}) from {low:.4g} to {high:.4g} {type(mappable.norm).__name__}"


def _few(given) -> str:
    return ", ".join(_number(one, 6) for one in given)


def _number(given, digits: int) -> str:
    return f"{0.0 if abs(given) < 1e-9 else given:.{digits}g}"


def _numbers(given) -> str:
    """Return the shape of an array, its first and last numbers, and two sums that any change would show in."""
    array = np.ma.filled(np.ma.asarray(given, dtype=float), np.nan)
    flat = array.ravel()
    ends = [_number(one, 3) for one in (flat if flat.size <= 6 else np.concatenate([flat[:2], flat[-2:]]))]
    if flat.size > 6:
        sums = np.nansum(flat), np.nansum(flat * np.cos(np.arange(flat.size)))
        ends.insert(2, f"… Σ {_number(sums[0], 6)}, {_number(sums[1], 5)}, {np.isnan(flat).sum()} none …")
    return f"{'×'.join(map(str, array.shape))} [{' '.join(ends)}]"


def _colours(given) -> str:
    found = np.atleast_2d(colors.to_rgba_array(given))
    each = [colors.to_hex(one, keep_alpha=one[3] < 1) for one in found[:5]]
    return ",".join(each) + (f",… {_numbers(found)}" if len(found) > 5 else "")
