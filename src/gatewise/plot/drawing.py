"""Parts of all pictures: Axes, time axes with names or dates, colours, text, lines, heatmaps, hatched steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, importing
from gatewise.palette import CIVIDIS, PALETTE
from gatewise.plot.pixels import MOST_POINTS as MOST_POINTS
from gatewise.plot.pixels import edges_of as edges_of
from gatewise.plot.pixels import extreme_steps as extreme_steps
from gatewise.plot.pixels import keep_extremes as keep_extremes
from gatewise.plot.pixels import pixel_bins
from gatewise.plot.pixels import spans_of as spans_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.colors import Colormap

INNER = 0.75  # the share of new axes' width that labels and a colour bar leave
SMALL = 72  # dots per inch, below which a picture must take few bytes
FEW = 40  # points of a line, up to which each has a mark
HATCH = "////"  # over invalid steps
NO_GLYPH = "□"  # in place of a character that the reader's fonts lack


def library() -> Any:
    """Return the matplotlib module for pictures; raise MissingExtraError if it is not installed."""
    with importing("matplotlib", "pictures need"):
        import matplotlib
    return matplotlib


def panels(
    ax: Any,
    count: int,
    heights: Sequence[float] | None = None,
    size: tuple[float, float] = (8, 3),
    *,
    share_time: bool = True,
    side_by_side: bool = False,
) -> Any:
    """Return an array of `count` Axes, one below the other: those of `ax`, or new ones.

    `ax` is an Axes or several, a Figure or SubFigure, or None for a new figure of pyplot, so that a notebook shows it;
    `size` is its width and height in inches. `heights` are the relative heights of the panels, which may share one time
    axis, or lie side by side with one y axis.
    """
    library()
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
        raise OptionError(f"ax must be {count} matplotlib Axes or a Figure, not {ax!r}")
    return axes


def require_axes(ax: Any) -> None:
    """Raise OptionError unless `ax` is None, a Figure, an Axes, or a sequence or array of Axes."""
    if ax is not None and not hasattr(ax, "subplots") and not all(hasattr(panel, "plot") for panel in _flat(ax)):
        raise OptionError(f"ax must be matplotlib Axes or a Figure, not {ax!r}; the options of a picture have names")


def _flat(ax: Any) -> npt.NDArray[Any]:
    """Return Axes, one or several, as an array (axes,)."""
    return np.atleast_1d(np.asarray(ax, dtype=object)).ravel()


def single_panel(ax: Any, size: tuple[float, float] = (8, 3)) -> Axes:
    """Return the Axes of a picture with a single panel; see `panels`."""
    panel: Axes = panels(ax, 1, size=size)[0]
    return panel


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
    name = " ".join(str(name).split())
    return safe_text(name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}")


# Axes.


def set_time_axis(ax: Axes, times: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Make the x axis one of time, and return the places of the times on it.

    Numbers and increasing dates lie at their values; names and other dates at 0, 1, 2, ….
    """
    places: npt.NDArray[np.floating[Any]] = np.arange(len(times), dtype=np.float64)
    if times.dtype.kind == "M" and (len(times) < 2 or (np.diff(times) > np.timedelta64(0)).all()):
        from matplotlib import dates

        locator = dates.AutoDateLocator(maxticks=10)
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
        name_ticks(ax.xaxis, [str(name) for name in times])
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
    from matplotlib.font_manager import FontProperties

    is_x = axis.axis_name == "x"
    size = FontProperties(size=library().rcParams["xtick.labelsize" if is_x else "ytick.labelsize"]).get_size()
    box = axis.axes.get_window_extent()
    room = (box.width if is_x else box.height) * 72 / axis.axes.figure.dpi / size  # in heights of letters
    widest = 0.6 * min(20, max(map(len, names), default=1)) + 1
    upright = not is_x or widest * min(len(names), most) <= room
    most = min(most, int(room / (1.3 if not is_x else widest if upright else 1.6)))
    each = _round_up(len(names) / max(1, most))
    places = range(0, len(names), each)
    axis.set_ticks(list(places), [shorten(names[place]) for place in places])
    if not upright:
        axis.set_tick_params(rotation=45)
        for label in axis.get_ticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")


def _round_up(ratio: float) -> int:
    """Return the distance between labelled ticks: the smallest of 1, 2, 5, 10, 20, … that is at least `ratio`."""
    each = 1
    while each < ratio:
        each = each * 5 // 2 if str(each)[0] == "2" else each * 2
    return each


def hide_ticks_before(ax: Axes, first: float) -> None:
    """Hide the labels of ticks on the x axis before `first`, where something other than steps is drawn."""
    formatter: Any = ax.xaxis.get_major_formatter()
    format_all = formatter.format_ticks

    def format_ticks(values: Sequence[float]) -> list[str]:
        labels = iter(format_all([value for value in values if value >= first]))
        return [next(labels) if value >= first else "" for value in values]

    formatter.format_ticks = format_ticks


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
    """Put the legend to the right of an Axes; `entries` are handles and their labels, by default those of the Axes."""
    ax.legend(*entries, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, **look)


# Lines and images.


def heatmap_height(count: int) -> float:
    """Return the height in inches of a heatmap of `count` units."""
    return min(8.0, 1.2 + 0.12 * max(8, count))


def draw_series(ax: Axes, places: npt.NDArray[Any], values: Array, **look: Any) -> Any:
    """Draw a series (time,) as a line that keeps the least and the greatest value of each pixel; return the line."""
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
    ax.figure.colorbar(image, ax=ax, pad=0.01, fraction=0.05, aspect=30, label=safe_text(label))
    return image
