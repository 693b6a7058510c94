"""What every picture needs: axes to draw on, a time axis with names or dates, hatching, colours, text, fewer points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, importing
from gatewise.palette import CIVIDIS, PALETTE
from gatewise.plot.pixels import MOST_POINTS as MOST_POINTS
from gatewise.plot.pixels import bins
from gatewise.plot.pixels import edges_of as edges_of
from gatewise.plot.pixels import heat as heat
from gatewise.plot.pixels import reduced as reduced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

INNER = 0.75  # of the width of new axes, what labels and a colour bar leave of it
SMALL = 72  # dots per inch, below which a picture is to take few bytes
FEW = 40  # points that are marked on their line
HATCH = "////"  # over steps that are not valid
NO_GLYPH = "□"  # stands for a character that the reader's fonts do not have


def library() -> Any:
    """Return matplotlib.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    with importing("matplotlib", "pictures need"):
        import matplotlib
    return matplotlib


def panels(
    ax: Any,
    count: int,
    heights: Sequence[float] | None = None,
    size: tuple[float, float] = (8, 3),
    *,
    one_time: bool = True,
    across: bool = False,
) -> Any:
    """Return an array of `count` Axes, one below the other: those that are given, or new ones in a figure.

    Parameters
    ----------
    ax : Axes, sequence of Axes, Figure or SubFigure, or None
        None makes a new figure with pyplot, which a notebook shows.
    count : int
    heights : sequence of float, optional
        Of the panels, in proportion.
    size : (float, float)
        Of a new figure, in inches.
    one_time : bool
        Whether they have the same x axis, that of time.
    across : bool
        Side by side instead, with one y axis.

    Raises
    ------
    OptionError
        If as many Axes are not given.
    """
    library()
    shape = (1, count) if across else (count, 1)
    options: dict[str, Any] = {"height_ratios": heights, "sharex": one_time, "sharey": across, "squeeze": False}
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


def one_panel(ax: Any, size: tuple[float, float] = (8, 3)) -> Axes:
    """Return the one Axes that is given, or a new one; see `panels`."""
    found: Axes = panels(ax, 1, size=size)[0]
    return found


# Colours.


def colours(stops: Sequence[str]) -> Colormap:
    """Return the colour map that runs through `stops` at equal distances; NaN is transparent."""
    library()
    from matplotlib.colors import LinearSegmentedColormap

    name = "cividis" if stops == CIVIDIS else "vik"
    return LinearSegmentedColormap.from_list(name, stops).with_extremes(bad=(0, 0, 0, 0))


def ink() -> str:
    """Return the colour of the reader's text, which is light in a dark notebook."""
    found: str = library().rcParams["text.color"]
    return found


def dark() -> bool:
    """Whether the reader's text is light, and so the background dark."""
    library()
    from matplotlib.colors import to_rgb

    return bool(luminance(to_rgb(ink())) > 0.5)


def luminance(rgb: Any) -> Any:
    """Return how light colours (..., 3 or 4) are, from 0 to 1."""
    return np.asarray(rgb)[..., :3] @ (0.2126, 0.7152, 0.0722)


def hue(name: str) -> str:
    """Return a colour of the palette: that of the reader's background. The cell state is drawn in ink."""
    if name == "cell_state":
        return ink()
    return PALETTE[name].dark if dark() else PALETTE[name].light


def about_zero(values: Array) -> tuple[float, float]:
    """Return limits for signed values: symmetric about 0, and as far as the largest of them."""
    largest = float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))
    return (-largest, largest) if largest > 0 else (-1.0, 1.0)


# Text.


def inert(text: str, family: Sequence[str] | None = None) -> str:
    r"""Return text from data as matplotlib can show it, whatever it holds.

    It stands on one line, a ``$`` begins no mathematics, and a character without a glyph is shown as □: matplotlib
    would warn of each. Readers of such names list a font that has them in ``matplotlib.rcParams["font.family"]``.

    Parameters
    ----------
    text : str
    family : sequence of str, optional
        The fonts that it is shown in; by default the reader's.
    """
    has = _glyphs(tuple(library().rcParams["font.family"] if family is None else family))
    line = " ".join(str(text).split())
    return "".join(one if ord(one) in has else NO_GLYPH for one in line).replace("$", r"\$")


@lru_cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    """Return which characters a list of fonts can show: what the first lacks, matplotlib takes from the next."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(
        code for name in families for code in get_font(findfont(FontProperties(family=[name]))).get_charmap()
    )


def feature(name: str, measure: str) -> str:
    """Return what a legend calls a feature: its name and what it measures, either of which may hold the other."""
    same = not measure or measure.replace(" ", "") == name.replace(" ", "")  # as in prcp(mm/d)
    named = name if same else measure if measure.startswith(name) else f"{name}: {measure}"
    return shortened(named, 32)


def shortened(name: str, most: int = 20) -> str:
    """Return a name as a tick can show it: on one line, with its middle left out where it is long."""
    name = " ".join(str(name).split())
    return inert(name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}")


# Axes.


def time_axis(ax: Axes, times: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Put times on the x axis, and return where they lie on it.

    Numbers and dates lie at their values; names, and dates that do not increase, lie in order at 0, 1, 2, ….
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
        if lowest(ax):
            ax.set_xlabel("step")
    else:
        names(ax.xaxis, [str(name) for name in times])
    if len(places):
        edges = edges_of(places)
        ax.set_xlim(edges[0], edges[-1])
    return places


def lowest(ax: Axes) -> bool:
    """Whether an Axes has its x axis to itself, or is the lowest of those that share it."""
    place = ax.get_subplotspec()
    return place is None or place.is_last_row() or len(ax.get_shared_x_axes().get_siblings(ax)) == 1


def names(axis: Any, given: Sequence[str], most: int = 24) -> None:
    """Put names on an axis at 0, 1, 2, …; where there is no room for all of them, at every 2nd, 5th, 10th, … place."""
    from matplotlib.font_manager import FontProperties

    across = axis.axis_name == "x"
    size = FontProperties(size=library().rcParams["xtick.labelsize" if across else "ytick.labelsize"]).get_size()
    box = axis.axes.get_window_extent()
    room = (box.width if across else box.height) * 72 / axis.axes.figure.dpi / size  # in letters' heights
    widest = 0.6 * min(20, max(map(len, given), default=1)) + 1
    upright = not across or widest * min(len(given), most) <= room
    most = min(most, int(room / (1.3 if not across else widest if upright else 1.6)))
    each = _round_up(len(given) / max(1, most))
    places = range(0, len(given), each)
    axis.set_ticks(list(places), [shortened(given[place]) for place in places])
    if not upright:
        axis.set_tick_params(rotation=45)
        for label in axis.get_ticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")


def _round_up(ratio: float) -> int:
    """Return the least of 1, 2, 5, 10, 20, … that is not less."""
    each = 1
    while each < ratio:
        each = each * 5 // 2 if str(each)[0] == "2" else each * 2
    return each


def unlabelled_before(ax: Axes, first: float) -> None:
    """Leave out the labels of the ticks before a place on the x axis, where something other than steps is drawn."""
    formatter: Any = ax.xaxis.get_major_formatter()
    whole = formatter.format_ticks

    def format_ticks(values: Sequence[float]) -> list[str]:
        labels = iter(whole([value for value in values if value >= first]))
        return [next(labels) if value >= first else "" for value in values]

    formatter.format_ticks = format_ticks


def hatched(ax: Axes, places: npt.NDArray[Any], valid: Mask | None) -> None:
    """Hatch the steps (time,) that are not valid."""
    if valid is None or valid.all():
        return
    from matplotlib.collections import PolyCollection

    bounds = (
        bins(places, columns(ax)) if len(places) > columns(ax) else np.array([[n, n + 1] for n in range(len(places))])
    )
    edges, off = edges_of(places), np.array([not valid[first:stop].all() for first, stop in bounds])
    changes = np.flatnonzero(np.diff(np.concatenate([[False], off, [False]]).astype(int))).reshape(-1, 2)
    spans = [(edges[bounds[first, 0]], edges[bounds[stop - 1, 1]]) for first, stop in changes]
    boxes = [[(left, 0), (left, 1), (right, 1), (right, 0)] for left, right in spans]
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": ink(), "alpha": 0.4, "hatch": HATCH, "linewidth": 0}
    ax.add_collection(PolyCollection(boxes, transform=ax.get_xaxis_transform(), **look), autolim=False)


def columns(ax: Axes) -> int:
    """Return into how many columns an image fits so that each has a pixel at least, and none is lost."""
    return max(20, int(INNER * ax.get_window_extent().width) // 2 * 2)


def points(ax: Axes) -> int:
    """Return how many steps of a long run are drawn at most; of a picture that is to be small, one for each pixel."""
    return MOST_POINTS if ax.figure.dpi >= SMALL else columns(ax)


# What pictures are made of.


def height(count: int) -> float:
    """Return how high a heatmap of so many units should be, in inches."""
    return min(8.0, 1.2 + 0.12 * max(8, count))


def series(ax: Axes, places: npt.NDArray[Any], values: Array, **look: Any) -> Any:
    """Draw a series (time,) as a line that keeps the least and the greatest value of each pixel; return the line."""
    shown = reduced(values, points(ax))
    options: dict[str, Any] = {"linewidth": 1.5 if len(values) < 400 else 1.2}
    if len(values) <= FEW:
        options |= {"marker": "o", "markersize": 3}
    return ax.plot(places[shown], values[shown], **(options | look))[0]


def heatmap(
    ax: Axes,
    values: Array,
    times: npt.NDArray[Any],
    units: Sequence[str],
    valid: Mask | None,
    stops: Sequence[str],
    limits: tuple[float, float],
    label: str = "",
) -> Any:
    """Draw values (time, units) as colours with their scale beside them, the first unit on top; return the image.

    Where there are more steps or units than pixels, the least and the greatest value of each pixel are kept, side by
    side in time and one above the other in units. `label` says what the scale measures.
    """
    places = time_axis(ax, times)
    edges = edges_of(places)
    rows = max(20, int(INNER * ax.get_window_extent().height))
    image = ax.imshow(
        heat(heat(values, columns(ax), places).T, rows),
        aspect="auto",
        interpolation="nearest",
        cmap=colours(stops),
        vmin=limits[0],
        vmax=limits[1],
        extent=(edges[0], edges[-1], len(units) - 0.5, -0.5),
    )
    hatched(ax, places, valid)
    names(ax.yaxis, units)
    ax.set_ylabel("unit")
    ax.figure.colorbar(image, ax=ax, pad=0.01, fraction=0.05, aspect=30, label=inert(label))
    return image
