"""Parts of all pictures: Axes, time axes with names or dates, colours, text, lines, heatmaps, hatched steps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, importing, join_names
from gatewise.palette import CIVIDIS, PALETTE, VIK
from gatewise.plot.pixels import MOST_POINTS as MOST_POINTS
from gatewise.plot.pixels import edges_of as edges_of
from gatewise.plot.pixels import extreme_steps as extreme_steps
from gatewise.plot.pixels import keep_extremes as keep_extremes
from gatewise.plot.pixels import pixel_bins, pixel_ranges
from gatewise.plot.pixels import spans_of as spans_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.colors import Colormap

INNER = 0.75  # the share of new axes' width that labels and a colour bar leave
SMALL = 72  # dots per inch, below which a picture must take few bytes
FEW = 40  # points of a line, up to which each has a mark
HATCH = "////"  # over invalid steps
NO_GLYPH = "□"  # in place of a character that the reader's fonts lack
TEXT_STEP = re.compile(r"^(character|token) (?=\d+ ['\"])")  # before the number and the letters of a step of a text
NARROW = 4.0  # inches of new axes, below which a legend beside them leaves too little
LONGEST_TITLE = 90  # letters


def library() -> Any:
    """Return the matplotlib module for pictures; raise MissingExtraError if it is not installed."""
    with importing("matplotlib", "pictures need"):
        import matplotlib
    return matplotlib


def panels(
    ax: Any,
    names: Sequence[str],
    heights: Sequence[float] | None = None,
    size: tuple[float, float] = (8, 3),
    *,
    share_time: bool = True,
    side_by_side: bool = False,
) -> Any:
    """Return an array of Axes, one for each name, one below the other: those of `ax`, or new ones.

    `ax` is an Axes or several, a Figure or SubFigure, or None for a new figure of pyplot, so that a notebook shows it;
    `size` is its width and height in inches. `heights` are the relative heights of the panels, which may share one time
    axis, or lie side by side with one y axis.
    """
    library()
    count = len(names)
    shape = (1, count) if side_by_side else (count, 1)
    options: dict[str, Any] = {"height_ratios": heights, "sharex": share_time, "sharey": side_by_side, "squeeze": False}
    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(*shape, figsize=size, layout="constrained", **options)[1].ravel()
    if hasattr(ax, "subplots"):  # a figure
        return ax.subplots(*shape, **options).ravel()
    require_axes(ax)
    axes = _flat(ax)
    if len(axes) != count:
        raise OptionError(f"ax must be {count} matplotlib Axes ({join_names(names)}) or a Figure, not {len(axes)}")
    return axes


def require_axes(ax: Any) -> None:
    """Raise OptionError unless `ax` is None, a Figure, an Axes, or a sequence or array of Axes."""
    if ax is not None and not hasattr(ax, "subplots") and not all(hasattr(panel, "plot") for panel in _flat(ax)):
        raise OptionError(f"ax must be matplotlib Axes or a Figure, not {ax!r}; the options of a picture have names")


def _flat(ax: Any) -> npt.NDArray[Any]:
    """Return Axes, one or several, as an array (axes,)."""
    return np.atleast_1d(np.asarray(ax, dtype=object)).ravel()


def single_panel(ax: Any, size: tuple[float, float] = (8, 3)) -> Any:
    """Return the Axes of a picture with a single panel; see `panels`."""
    return panels(ax, ["the picture"], size=size)[0]


# Colours.


def colour_map(stops: Sequence[str]) -> Colormap:
    """Return the matplotlib colour map with `stops` at equal distances; NaN is transparent."""
    library()
    from matplotlib.colors import LinearSegmentedColormap

    name = "cividis" if stops == CIVIDIS else "vik"
    return LinearSegmentedColormap.from_list(name, stops).with_extremes(bad=(0, 0, 0, 0))


def ink() -> str:
    """Return the colour of the reader's text, which is light in a dark notebook."""
    colour: str = library().rcParams["text.color"]
    return colour


def is_dark() -> bool:
    """Say whether pictures have a dark background: the reader's text is light."""
    library()
    from matplotlib.colors import to_rgb

    return bool(luminance(to_rgb(ink())) > 0.5)


def luminance(rgb: Any) -> Any:
    """Return the luminance, from 0 to 1, of colours (..., 3 or 4)."""
    return np.asarray(rgb)[..., :3] @ (0.2126, 0.7152, 0.0722)


def is_light(rgb: Any) -> Any:
    """Say of colours (..., 3 or 4) whether black is more legible on them than white, by the contrast of WCAG 2."""
    linear = np.where(np.asarray(rgb) <= 0.04045, np.asarray(rgb) / 12.92, ((np.asarray(rgb) + 0.055) / 1.055) ** 2.4)
    return luminance(linear) > 0.179


def hue(name: str) -> str:
    """Return the colour in which pictures draw a quantity, for a light or dark background; the cell state's is ink."""
    if name == "cell_state":
        return ink()
    return PALETTE[name].dark if is_dark() else PALETTE[name].light


def symmetric_limits(values: Array) -> tuple[float, float]:
    """Return limits of signed values: symmetric about 0, up to the largest absolute value."""
    largest = float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))
    return (-largest, largest) if largest > 0 else (-1.0, 1.0)


# Text.


def safe_text(text: str, family: Sequence[str] | None = None) -> str:
    r"""Return text from data so that matplotlib shows it as it is, without a warning.

    It becomes one line, ``$`` begins no mathematics, and □ replaces a character without a glyph in `family`, by default
    the reader's fonts. A font that has it can be added to ``matplotlib.rcParams["font.family"]``.
    """
    glyphs = _characters_of_fonts(tuple(library().rcParams["font.family"] if family is None else family))
    line = " ".join(str(text).split())
    return "".join(letter if ord(letter) in glyphs else NO_GLYPH for letter in line).replace("$", r"\$")


@lru_cache
def _characters_of_fonts(families: tuple[str, ...]) -> frozenset[int]:
    """Return the characters that matplotlib can draw in a list of fonts, each a fallback of those before."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(
        code for name in families for code in get_font(findfont(FontProperties(family=[name]))).get_charmap()
    )


def feature_label(name: str, measure: str) -> str:
    """Return the label of a feature in a legend: its name and its measure, without repeating either."""
    same = not measure or measure.replace(" ", "") == name.replace(" ", "")  # as in prcp(mm/d)
    label = name if same else measure if measure.startswith(name) else f"{name}: {measure}"
    return shorten(label, 32)


def shorten(name: str, most: int = 20) -> str:
    """Return a name as safe text of at most `most` letters; a long name loses its middle."""
    name, end = " ".join(str(name).split()), min(7, most // 2 - 1)
    return safe_text(name if len(name) <= most else f"{name[: most - end - 1]}…{name[-end:]}")


# Axes.


def set_time_axis(ax: Axes, times: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Make the x axis one of time, and return the places of the times on it.

    Numbers and increasing dates lie at their values; names and other dates at 0, 1, 2, ….
    """
    places: npt.NDArray[np.floating[Any]] = np.arange(len(times), dtype=np.float64)
    if times.dtype.kind == "M" and (len(times) < 2 or (np.diff(times) > np.timedelta64(0)).all()):
        from matplotlib import dates

        most = max(5, min(10, int(inches(ax.xaxis) * 14 / float(ax.xaxis.label.get_fontsize()))))
        locator = dates.AutoDateLocator(minticks=(most - 1) // 2, maxticks=most)  # some interval fits these
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        places = np.asarray(dates.date2num(times), np.float64)
    elif times.dtype.kind in "iuf":
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        places = times.astype(np.float64)
        if is_lowest(ax):
            ax.set_xlabel("step")
    else:
        name_ticks(ax.xaxis, [TEXT_STEP.sub("", str(name)) for name in times])
    if len(places):
        edges = edges_of(places)
        ax.set_xlim(edges[0], edges[-1])
    return places


def is_lowest(ax: Axes) -> bool:
    """Say whether an Axes shares its x axis with none, or is the lowest of those that do."""
    spec = ax.get_subplotspec()
    return spec is None or spec.is_last_row() or len(ax.get_shared_x_axes().get_siblings(ax)) == 1


def name_ticks(axis: Any, names: Sequence[str], most: int = 24) -> None:
    """Put names on an axis at 0, 1, 2, …; without room for all of them, at every 2nd, 5th, 10th, … place."""
    is_x, room = axis.axis_name == "x", inches(axis) * 72 / axis.label.get_fontsize()  # in heights of letters
    longest = min(20, int(8 + 2 * inches(axis.axes.xaxis)))  # letters, of which a narrow picture has fewer
    widest = 0.6 * min(longest, max(map(len, names), default=1)) + 1
    upright = not is_x or widest * min(len(names), most) <= room
    most = min(most, int(room / (1.3 if not is_x else widest if upright else 1.7)))
    each = _round_up(len(names) / max(1, most))
    places = range(0, len(names), each)
    axis.set_ticks(list(places), [shorten(names[place], longest) for place in places])
    if not upright:
        axis.set_tick_params(rotation=45)
        for label in axis.get_ticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")


def inches(axis: Any) -> float:
    """Return the length of an axis in inches, before the figure is laid out."""
    box = axis.axes.get_window_extent()
    return float((box.width if axis.axis_name == "x" else box.height) / axis.axes.figure.dpi)


def _round_up(ratio: float) -> int:
    """Return the distance between labelled ticks: the smallest of 1, 2, 5, 10, 20, … that is at least `ratio`."""
    each = 1
    while each < ratio:
        each = each * 5 // 2 if str(each)[0] == "2" else each * 2
    return each


def fit_text(axes: Any) -> None:
    """Keep the text of Axes in their figure: titles and labels wrap, and tick labels leave each other room."""
    for ax in _flat(axes):
        for text in ax.get_children():
            if hasattr(text, "set_wrap") and text not in ax.texts:
                text.set_wrap(True)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_wrap(True)
            if "format_ticks" not in vars(axis.get_major_formatter()):
                label_ticks_from(axis, -np.inf)


def label_ticks_from(axis: Any, first: float) -> None:
    """Label the ticks of an axis from `first` on, so that no label touches the next."""
    axis.get_major_formatter().format_ticks = partial(_labels_with_room, axis, first)


def _labels_with_room(axis: Any, first: float, values: Sequence[float]) -> list[str]:
    """Return the labels of ticks from `first` on; of two that would touch, the one nearer to the end of the axis."""
    from rich.cells import cell_len

    formatter, transform, places = axis.get_major_formatter(), axis.get_transform(), np.asarray(values, np.float64)
    labels, visible = np.full(len(places), "", dtype=object), places >= first
    if visible.any():  # a formatter of dates takes no empty list
        labels[visible] = type(formatter).format_ticks(formatter, places[visible])
    start, stop = transform.transform(np.asarray(axis.get_view_interval()))
    length, size, end = inches(axis) * 72, axis.label.get_fontsize(), np.inf
    points = length * (transform.transform(places) - start) / (stop - start)
    beside = axis.axis_name == "x" and not axis.get_major_ticks(1)[0].label1.get_rotation()
    for tick in np.argsort(-points, kind="stable"):
        if labels[tick] and -1 <= points[tick] <= length + 1:
            half = size * (0.7 * cell_len(labels[tick]) + 0.4 if beside else 1.7) / 2  # with a gap
            if points[tick] + half > end:
                labels[tick] = ""
            else:
                end = points[tick] - half
    return list(labels)


def set_times(ax: Any, record: Any, steps: Any = slice(None)) -> npt.NDArray[np.floating[Any]]:
    """Make the x axis the times of a record's steps and hatch invalid ones; return the places of the times."""
    places = set_time_axis(ax, record.times[steps])
    hatch_invalid(ax, places, None if record.valid is None else record.valid[steps])
    return places


def set_title(ax: Any, title: str, **look: Any) -> None:
    """Put a title of at most `LONGEST_TITLE` letters on an Axes."""
    ax.set_title(shorten(title, LONGEST_TITLE), **look)


def stops_for(limits: tuple[float, float]) -> Sequence[str]:
    """Return the colours of a scale: from blue to red if some values may be negative, else from dark to light."""
    return VIK if limits[0] < 0 else CIVIDIS


def hatch_invalid(ax: Axes, places: npt.NDArray[Any], valid: Mask | None) -> None:
    """Hatch a run's invalid steps on an Axes; `valid` (time,) is None if all are valid."""
    if valid is None or valid.all():
        return
    bounds = (
        pixel_bins(places, pixel_columns(ax))
        if len(places) > pixel_columns(ax)
        else np.array([[n, n + 1] for n in range(len(places))])
    )
    edges, off = edges_of(places), np.array([not valid[first:stop].all() for first, stop in bounds])
    spans = [(edges[bounds[first, 0]], edges[bounds[stop - 1, 1]]) for first, stop in spans_of(off)]
    shade_spans(ax, spans, facecolor="none", edgecolor=ink(), alpha=0.4, hatch=HATCH)


def shade_spans(ax: Axes, spans: Iterable[tuple[float, float]], **look: Any) -> None:
    """Draw a box of full height over each span (left, right) of the x axis."""
    from matplotlib.collections import PolyCollection

    boxes = [[(left, 0), (left, 1), (right, 1), (right, 0)] for left, right in spans]
    options: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "linewidth": 0, **look}
    ax.add_collection(PolyCollection(boxes, **options), autolim=False)


def pixel_columns(ax: Axes) -> int:
    """Return the number of columns of an image that are each at least a pixel wide."""
    return max(20, int(INNER * ax.get_window_extent().width) // 2 * 2)


def most_points(ax: Axes) -> int:
    """Return the largest number of points of a line: of a small picture, one for each pixel."""
    return MOST_POINTS if ax.figure.dpi >= SMALL else pixel_columns(ax)


def legend_beside(ax: Axes, *entries: Any, **look: Any) -> None:
    """Put the legend beside an Axes, or in a narrow one; `entries` are handles and labels, by default its own."""
    if inches(ax.xaxis) < NARROW:
        ax.legend(*entries, loc="best", fontsize="x-small", framealpha=0.8, **look)
    else:
        ax.legend(*entries, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, **look)


# Lines and images.


def heatmap_height(count: int) -> float:
    """Return the height in inches of a heatmap of `count` units."""
    return min(8.0, 1.2 + 0.12 * max(8, count))


def draw_series(ax: Axes, places: npt.NDArray[Any], values: Array, *, band: bool = False, **look: Any) -> Any:
    """Draw a series (time,) as a line of each pixel's extremes, or as a `band` of these with their median."""
    if band and len(values) > most_points(ax):
        places, low, values, high = pixel_ranges(places, values, pixel_columns(ax) // 2)
        ax.fill_between(places, low, high, color=look["color"], alpha=0.3, linewidth=0)
    steps = extreme_steps(values, most_points(ax))
    options: dict[str, Any] = {"linewidth": 1.5 if len(values) < 400 else 1.2}
    if len(values) <= FEW:
        options |= {"marker": "o", "markersize": 3}
    return ax.plot(places[steps], values[steps], **(options | look))[0]


def draw_heatmap(
    ax: Axes,
    values: Array,
    times: npt.NDArray[Any],
    units: Sequence[str],
    valid: Mask | None,
    stops: Sequence[str],
    limits: tuple[float, float],
    label: str = "",
) -> Any:
    """Draw values (time, units) as colours, the first unit on top, beside a scale with a label; return the image.

    With more steps or units than pixels, each pixel keeps its least and its greatest value, side by side in time and
    one above the other in units.
    """
    places = set_time_axis(ax, times)
    edges = edges_of(places)
    rows = max(20, int(INNER * ax.get_window_extent().height))
    image = ax.imshow(
        keep_extremes(keep_extremes(values, pixel_columns(ax), places).T, rows),
        aspect="auto",
        interpolation="nearest",
        cmap=colour_map(stops),
        vmin=limits[0],
        vmax=limits[1],
        extent=(edges[0], edges[-1], len(units) - 0.5, -0.5),
    )
    hatch_invalid(ax, places, valid)
    name_ticks(ax.yaxis, units)
    ax.set_ylabel("unit")
    extend = "max" if (values > limits[1]).any() else "neither"
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01, fraction=0.05, aspect=30, extend=extend, label=safe_text(label))
    bar.ax.yaxis.label.set_wrap(True)
    return image
