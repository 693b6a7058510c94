"""What every picture needs: axes to draw on, a time axis with names or dates, hatching, colours, fewer points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import MissingExtraError, OptionError, shown
from gatewise.insight.answer import Table
from gatewise.palette import CIVIDIS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

MOST_POINTS = 2000  # columns of a picture: about two for each pixel of its width
HATCH = "////"  # over steps that are not valid


def library() -> Any:
    """Return matplotlib.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingExtraError("pictures need matplotlib: from a clone, pip install '.[plot]'") from None
    return matplotlib


def panels(
    ax: Any,
    count: int,
    heights: Sequence[float] | None = None,
    size: tuple[float, float] = (8, 3),
    *,
    one_time: bool = True,
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

    Raises
    ------
    OptionError
        If as many Axes are not given.
    """
    library()
    options: dict[str, Any] = {"height_ratios": heights, "sharex": one_time, "squeeze": False}
    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(count, figsize=size, layout="constrained", **options)[1][:, 0]
    if hasattr(ax, "subplots"):  # a figure
        return ax.subplots(count, **options)[:, 0]
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) != count or not all(hasattr(one, "plot") for one in given):
        raise OptionError(f"ax must be {count} matplotlib Axes or a Figure, not {ax!r}")
    return given


def one_panel(ax: Any, size: tuple[float, float] = (8, 3)) -> Axes:
    """Return the one Axes that is given, or a new one; see `panels`."""
    found: Axes = panels(ax, 1, size=size)[0]
    return found


def taken(given: object, kind: type[Table], data: Any, options: dict[str, Any]) -> Any:
    """Return the record to draw: what is given if it is one, else what `data` makes of it.

    Raises
    ------
    OptionError
        If there are options beside a record, which is drawn as it is.
    """
    if not isinstance(given, kind):
        return data(given, **options)
    if options:
        raise OptionError(f"a record of {kind.__name__} is drawn as it is, without {', '.join(options)}")
    return given


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


# The axis of time.


def time_axis(ax: Axes, times: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Put times on the x axis, and return where they lie on it: numbers and dates at their values, names in order."""
    if times.dtype.kind == "M":
        from matplotlib import dates

        locator = dates.AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        found: npt.NDArray[np.floating[Any]] = np.asarray(dates.date2num(times), np.float64)
        return found
    if times.dtype.kind in "iuf":
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("step")
        return times.astype(np.float64)
    names(ax.xaxis, [str(name) for name in times])
    return np.arange(len(times), dtype=np.float64)


def names(axis: Any, given: Sequence[str], most: int = 24) -> None:
    """Put names on an axis at 0, 1, 2, …; where there are too many to read, on every nth place."""
    each = max(1, -(-len(given) // most))
    places = range(0, len(given), each)
    axis.set_ticks(list(places), [shortened(given[place]) for place in places])
    if axis.axis_name == "x" and sum(len(given[place]) for place in places) > 80:
        axis.set_tick_params(rotation=45)


def shortened(name: str, most: int = 20) -> str:
    """Return a name as a tick can show it: on one line, printable, with its middle left out where it is long."""
    name = shown(" ".join(name.split()), 1000)
    text = name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}"
    return text.replace("$", r"\$")  # which would begin mathematics


def hatched(ax: Axes, places: npt.NDArray[Any], valid: Mask | None) -> None:
    """Hatch the steps (time,) that are not valid."""
    if valid is None or valid.all():
        return
    edges = edges_of(places)
    off = np.flatnonzero(np.diff(np.concatenate([[False], ~valid, [False]]).astype(int)))
    for first, stop in off.reshape(-1, 2):
        ax.axvspan(edges[first], edges[stop], facecolor="none", edgecolor=ink(), alpha=0.4, hatch=HATCH, linewidth=0)


def edges_of(places: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the edges between places on an axis, one more than there are places."""
    if len(places) < 2:
        return np.concatenate([places - 0.5, places + 0.5])
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[places[0] - (middle[0] - places[0])], middle, [places[-1] + (places[-1] - middle[-1])]])


def reduced(values: Array, most: int = MOST_POINTS) -> npt.NDArray[np.intp]:
    """Return which steps of a long series a picture shows: of each pixel's, that of the least and of the greatest.

    Parameters
    ----------
    values : array (time,)
        NaN is passed over.
    most : int
        How many steps to show at most.

    Returns
    -------
    array of int
        The steps, in order; all of them where there are not too many.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    bounds = np.linspace(0, count, most // 2 + 1).astype(np.intp)
    found = []
    for first, stop in pairwise(bounds):
        part = values[first:stop]
        low = first + int(np.argmin(np.where(np.isnan(part), np.inf, part)))
        high = first + int(np.argmax(np.where(np.isnan(part), -np.inf, part)))
        found += sorted((low, high))
    return np.array(found, np.intp)


def heat(values: Array, most: int = MOST_POINTS) -> Array:
    """Return a series (time, rows) as at most `most` columns, in which no row loses an extreme.

    Each pixel's steps become two columns, with the least and the greatest value of each row, in the order in which
    they occur.
    """
    if len(values) <= most:
        return values
    bounds = np.linspace(0, len(values), most // 2 + 1).astype(np.intp)
    shown = np.empty((2 * (len(bounds) - 1), values.shape[1]))
    for place, (first, stop) in enumerate(pairwise(bounds)):
        part = values[first:stop]
        none = np.isnan(part)
        low, high = np.where(none, np.inf, part), np.where(none, -np.inf, part)
        down = low.argmin(0) > high.argmax(0)
        pair = np.stack([low.min(0), high.max(0)])
        pair[:, none.all(0)] = np.nan
        shown[2 * place : 2 * place + 2] = np.where(down, pair[::-1], pair)
    return shown


def heatmap(
    ax: Axes,
    values: Array,
    times: npt.NDArray[Any],
    units: Sequence[str],
    valid: Mask | None,
    stops: Sequence[str],
    limits: tuple[float, float],
) -> Any:
    """Draw values (time, units) as colours with their scale beside them, the first unit on top; return the image."""
    places = time_axis(ax, times)
    edges = edges_of(places)
    image = ax.imshow(
        heat(values).T,
        aspect="auto",
        interpolation="nearest" if len(units) < 200 else "antialiased",
        cmap=colours(stops),
        vmin=limits[0],
        vmax=limits[1],
        extent=(edges[0], edges[-1], len(units) - 0.5, -0.5),
    )
    hatched(ax, places, valid)
    names(ax.yaxis, units)
    ax.set_ylabel("unit")
    ax.figure.colorbar(image, ax=ax, pad=0.01, fraction=0.05)
    return image
