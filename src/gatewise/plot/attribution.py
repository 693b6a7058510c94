"""The picture of an attribution: the shares of the steps, the features and the initial state in an output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError, one_of
from gatewise.insight.attribution import METHODS, Attribution
from gatewise.palette import VIK
from gatewise.plot import drawing, inputs
from gatewise.plot.picture import picture
from gatewise.plot.records.text import Text
from gatewise.plot.text import text
from gatewise.records.places import step_slice

KINDS = ("series", "features", "tokens")
MOST_LINES = 5  # features of the input


@picture
def attribution(record: Attribution, ax: Any, *, kind: str | None = None, steps: tuple[Any, Any] | None = None) -> Any:
    """Draw the shares of the steps of the input, and of the initial state, in an output.

    Parameters
    ----------
    kind : {"series", "features", "tokens"}, optional
        ``series``: the input, and below it a bar for the share of each step. ``features``: the share of each feature at
        each step as a colour, and below it the bars. ``tokens``: the tokens, or the names of the times, each on the
        colour of its share. By default tokens if the network has an embedding, else series.
    steps : (int, int), optional
        The first step, and the step after the last; or the first and the last by their dates or names. By default those
        with 99.9 % of the absolute shares, and some around them.

    Returns
    -------
    array of Axes, or Axes
        The input or the features, and the bars; a single Axes for tokens.

    Raises
    ------
    OptionError
        If the method has no shares of features, there are no tokens, an integral has not converged, or `kind` or
        `steps` is not allowed.

    Notes
    -----
    The input shows the features with the largest shares, at most five. With more steps than pixels, each pixel keeps
    its least and its greatest value. A triangle marks the step of the output. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.attribution(trace)
    >>> axes[0].get_title()
    'output 0 at step 6 (0.75), by integrated gradients'
    """
    if kind is not None:
        one_of("kind", kind, KINDS)
    if record.unshared:
        raise OptionError(f"there is no picture of this attribution: {record.unshared}")
    record = _part_in_picture(record, steps)
    if kind == "tokens" or (kind is None and record.tokens is not None):
        return _draw_tokens(record, ax)
    rows = len(record.features) if kind == "features" else 0
    first = min(6.0, drawing.heatmap_height(rows)) if rows else 1.6
    axes = drawing.panels(ax, ["features" if rows else "input", "shares"], [first, 1.8], (8, min(9, first + 2.4)))
    if kind == "features":
        _draw_feature_shares(axes[0], record)
    else:
        _draw_input(axes[0], record)
    _draw_step_bars(axes[1], record)
    axes[0].set_title(drawing.shorten(_title(record), drawing.LONGEST_TITLE))
    for panel in axes:
        drawing.hatch_invalid(panel, drawing.set_time_axis(panel, record.times), record.valid)
    first_step = axes[1].get_xlim()[0]
    limits = _draw_initial_share(axes[1], record)
    for panel in axes:
        panel.set_xlim(*limits)
        drawing.label_ticks_from(panel.xaxis, first_step)
    return axes


def _title(record: Attribution) -> str:
    return f"{record.target} ({record.value:.3g}), by {METHODS[record.method].words}"


def _draw_tokens(record: Attribution, ax: Any) -> Any:
    """Draw a text whose tokens have the colours of their shares; the title has the share of the initial state."""
    tokens = record.tokens
    if tokens is None and record.times.dtype.kind == "U":
        tokens = record.times
    if tokens is None:
        raise OptionError("there are no tokens to draw: nothing was embedded, and the times have no names")
    values = record.scores if record.valid is None else np.where(record.valid, record.scores, np.nan)
    title = f"{_title(record)}; {record.columns['time'][0]} {record.initial:.2g}"
    columns = {"token": tokens, "score": values}
    tokens_record = Text(columns, title, tuple(tokens.tolist()), values, drawing.symmetric_limits(values), record.valid)
    return text(tokens_record, ax)


def _draw_feature_shares(ax: Any, record: Attribution) -> None:
    """Draw the share of each input feature at each step as a heatmap of an attribution picture."""
    if record.by_step is None:
        raise OptionError(f"{record.method} has shares of steps alone, not of features; kind='series' draws them")
    off = np.zeros(len(record.times), bool) if record.valid is None else ~record.valid
    values = np.where(off[:, None], np.nan, record.by_step)
    limits = drawing.symmetric_limits(values)
    drawing.draw_heatmap(ax, values, record.times, record.features, None, VIK, limits, label=_share(record))
    ax.set_ylabel("feature")


def _draw_input(ax: Any, record: Attribution) -> None:
    """Draw the input features with the largest shares as lines, in different shades and dashes."""
    count = len(record.features)
    sizes = np.abs(np.zeros((1, count)) if record.by_step is None else record.by_step).sum(0)
    chosen = np.sort(np.argsort(-sizes, kind="stable")[:MOST_LINES])
    values = record.input if record.valid is None else np.where(record.valid[:, None], record.input, np.nan)
    names, measures = [record.features[place] for place in chosen], [record.measures[place] for place in chosen]
    inputs.lines(ax, record.times, values[:, chosen], names, measures)


def _draw_step_bars(ax: Any, record: Attribution) -> None:
    """Draw a bar for the share of each step of an attribution; of a long run, for the extremes of each pixel."""
    places = drawing.set_time_axis(ax, record.times)
    steps = drawing.extreme_steps(record.scores, drawing.most_points(ax))
    edges = drawing.edges_of(places)
    least = (edges[-1] - edges[0]) / 600
    middles = (edges[steps] + edges[steps + 1]) / 2
    widths = np.maximum(0.8 * (edges[steps + 1] - edges[steps]), least)
    _draw_bars(ax, middles, widths, record.scores[steps])
    ax.axhline(0, color=drawing.ink(), linewidth=0.5)
    if record.step is not None:  # where the output is read
        top = ax.get_xaxis_transform()
        ax.plot(places[record.step], 1.0, "v", transform=top, color=drawing.ink(), markersize=6, clip_on=False)
    ax.set_ylabel(_share(record))


def _draw_bars(ax: Any, middles: Array, widths: Array, heights: Array) -> None:
    """Draw bars of an attribution picture on an Axes, in the colours of positive and negative shares."""
    from matplotlib.collections import PolyCollection

    left, right, zero = middles - widths / 2, middles + widths / 2, np.zeros_like(heights)
    corners = [np.stack(pair, axis=-1) for pair in ((left, zero), (left, heights), (right, heights), (right, zero))]
    colours = np.where(heights < 0, drawing.hue("negative"), drawing.hue("positive"))
    ax.add_collection(PolyCollection(list(np.stack(corners, axis=1)), facecolor=colours, linewidth=0))
    ax.autoscale_view(scalex=False)


def _draw_initial_share(ax: Any, record: Attribution) -> tuple[float, float]:
    """Draw the share of the initial state to the left of all steps; return the new limits of the x axis."""
    left, right = ax.get_xlim()
    room = max(0.08, 0.5 / drawing.inches(ax.xaxis)) * (right - left)
    middle = np.array([left - room / 2])
    _draw_bars(ax, middle, np.array([room / 3]), np.array([record.initial]))
    ax.axvline(left, color=drawing.ink(), linewidth=0.8, linestyle=":")
    small = abs(record.initial) < 5e-4 * np.max(np.abs(record.scores), initial=0.0)
    first, second, *_ = str(record.columns["time"][0]).split()  # initial state, or state before step 31
    label = f"{first}\n{second}\n{'~0' if small and record.initial else f'{record.initial:.2g}'}"
    low, high = ax.get_ylim()
    where = (0.97, "top") if high >= -low else (0.03, "bottom")  # on the side that has more room
    look = {"ha": "center", "va": where[1], "fontsize": 7, "color": drawing.ink()}
    ax.text(float(middle[0]), where[0], label, transform=ax.get_xaxis_transform(), **look)
    return left - room, right


def _share(record: Attribution) -> str:
    """Return the label of shares, with the unit of the output."""
    return drawing.safe_text(f"share ({record.measure.unit})" if record.measure and record.measure.unit else "share")


def _part_in_picture(record: Attribution, steps: tuple[Any, Any] | None) -> Attribution:
    """Return the part of an attribution in the picture: the steps from the first to before the second."""
    count = len(record.scores)
    if steps is None:
        first, stop = _range_of_shares(record.scores) if record.scores.any() else (0, count)
    else:
        first, stop = steps if isinstance(steps, (tuple, list)) and len(steps) == 2 else (None, None)
        first, stop = step_slice(first, stop, count, record.times if record.times.dtype.kind in "MU" else None)
        if not isinstance(first, int) or not isinstance(stop, int) or not 0 <= first < stop <= count:
            raise OptionError(f"steps must be two of 0 to {count}, the first below the second, not {steps!r}")
    within = slice(first, stop)
    inside = record.step is not None and first <= record.step < stop
    return replace(
        record,
        scores=record.scores[within],
        by_step=None if record.by_step is None else record.by_step[within],
        input=record.input[within],
        tokens=None if record.tokens is None else record.tokens[within],
        times=record.times[within],
        valid=None if record.valid is None else record.valid[within],
        step=record.step - first if record.step is not None and inside else None,
    )


def _range_of_shares(scores: Array) -> tuple[int, int]:
    """Return the range of steps that holds nearly all shares of an attribution, as its first step and its stop."""
    total = np.cumsum(np.abs(scores))
    first, last = np.searchsorted(total, [0.0005 * total[-1], 0.9995 * total[-1]])
    room = max(10, int(last - first) // 10)
    return max(0, int(first) - room), min(len(scores), int(last) + 1 + room)
