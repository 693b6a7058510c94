"""Pictures of why an output is what it is: attributions, occlusions, ablations, ceilings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError, one_of
from gatewise.insight.ablation import Ablation
from gatewise.insight.attribution import METHODS, Attribution
from gatewise.insight.ceiling import Ceiling
from gatewise.insight.effect import Effect
from gatewise.insight.occlusion import Occlusion
from gatewise.margins import largest_first
from gatewise.palette import VIK
from gatewise.plot import drawing
from gatewise.plot.of_runs import draw_features, text
from gatewise.plot.picture import picture
from gatewise.plot.run_records import Text
from gatewise.records.places import step_slice

KINDS = ("series", "features", "tokens")
MOST_FEATURES = 5  # of the input of an attribution
MOST_PARTS, FEWEST_PARTS = 30, 3  # of an ablation that are drawn, and for which there is room
POINTS = 14  # of height for the name of each
SMALL = 0.005  # of the largest change of an occlusion: steps with smaller ones are drawn near larger ones alone
AROUND = 10  # steps that are drawn around these, at least
THIN, THICK, FILLED = 1.5, 12.0, 0.8  # widths of bars, in points and as a share of a step
MOST_OUTPUTS = 8  # of a ceiling
WIDE = 6.0  # inches, from which on the legend has two columns
LAYERS = {  # of a ceiling, from the output upwards
    "lost_to_gate": ("output_gate", 1.0, "lost to output gates that are not fully open"),
    "lost_to_cell": ("cell_state", 0.45, "lost to cell states short of their bound"),
    "lost_to_readout": ("soft", 0.25, "lost to units on the wrong side of zero"),
    "lost_to_clip": ("candidate", 0.5, "lost to the projection's clip"),
    "lost_to_zoneout": ("input_gate", 0.5, "lost to zoneout"),
}


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
    title = f"{record.target} ({record.value:.3g}), by {METHODS[record.method].words}"
    if kind == "tokens" or (kind is None and record.tokens is not None):
        tokens = record.times if record.tokens is None else record.tokens
        if tokens.dtype.kind != "U" and record.tokens is None:
            raise OptionError("there are no tokens to draw: nothing was embedded, and the times have no names")
        title += f"; {record.columns['time'][0]} {record.initial:.2g}"
        return _draw_tokens(tokens, record.scores, "score", title, record.valid, ax)
    rows = len(record.features) if kind == "features" else 0
    first = min(6.0, drawing.heatmap_height(rows)) if rows else 1.6
    axes = drawing.panels(ax, ["features" if rows else "input", "shares"], [first, 1.8], (8, min(9, first + 2.4)))
    unit = record.measure.unit if record.measure else ""
    label = drawing.safe_text(f"share ({unit})" if unit else "share")
    (_draw_feature_shares if rows else _draw_input)(axes[0], record, label)
    _draw_step_bars(axes[1], record, label)
    drawing.set_title(axes[0], title)
    for panel in axes:
        drawing.set_times(panel, record)
    first_step, limits = axes[1].get_xlim()[0], _draw_initial_share(axes[1], record)
    for panel in axes:
        panel.set_xlim(*limits)
        drawing.label_ticks_from(panel.xaxis, first_step)
    return axes


def _draw_tokens(tokens: Any, values: Array, name: str, title: str, valid: Any, ax: Any) -> Any:
    values = values if valid is None else np.where(valid, values, np.nan)
    limits = drawing.symmetric_limits(values)
    return text(Text({"token": tokens, name: values}, title, tuple(tokens.tolist()), values, limits, valid), ax)


def _draw_feature_shares(ax: Any, record: Attribution, label: str) -> None:
    if record.by_step is None:
        raise OptionError(f"{record.method} has shares of steps alone, not of features; kind='series' draws them")
    values = record.by_step if record.valid is None else np.where(record.valid[:, None], record.by_step, np.nan)
    limits = drawing.symmetric_limits(values)
    drawing.draw_heatmap(ax, values, record.times, record.features, None, VIK, limits, label=label)
    ax.set_ylabel("feature")


def _draw_input(ax: Any, record: Attribution, _: str) -> None:
    """Draw the input features with the largest shares as lines, in different shades and dashes."""
    sizes = np.zeros(len(record.features)) if record.by_step is None else np.abs(record.by_step).sum(0)
    chosen = np.sort(largest_first(sizes, MOST_FEATURES))
    values = record.input if record.valid is None else np.where(record.valid[:, None], record.input, np.nan)
    names, measures = ([texts[place] for place in chosen] for texts in (record.features, record.measures))
    draw_features(ax, record.times, values[:, chosen], names, measures)


def _draw_step_bars(ax: Any, record: Attribution, label: str) -> None:
    """Draw a bar for the share of each step; of a long run, for the extremes of each pixel."""
    places = drawing.set_time_axis(ax, record.times)
    steps = drawing.extreme_steps(record.scores, drawing.most_points(ax))
    edges = drawing.edges_of(places)
    left, right = edges[steps], edges[steps + 1]
    widths = np.maximum(0.8 * (right - left), (edges[-1] - edges[0]) / 600)
    _draw_bars(ax, (left + right) / 2, widths, record.scores[steps])
    ax.axhline(0, color=drawing.ink(), linewidth=0.5)
    if record.step is not None:  # where the output is read
        look = {"transform": ax.get_xaxis_transform(), "color": drawing.ink(), "markersize": 6, "clip_on": False}
        ax.plot(places[record.step], 1.0, "v", **look)
    ax.set_ylabel(label)


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


def _part_in_picture(record: Attribution, steps: tuple[Any, Any] | None) -> Attribution:
    """Return the steps of an attribution in the picture: from the first to before the second, or those with shares."""
    count = len(record.scores)
    if steps is None:
        first, stop = _range_of_shares(record.scores) if record.scores.any() else (0, count)
    else:
        first, stop = steps if isinstance(steps, (tuple, list)) and len(steps) == 2 else (None, None)
        first, stop = step_slice(first, stop, count, record.times if record.times.dtype.kind in "MU" else None)
        if not isinstance(first, int) or not isinstance(stop, int) or not 0 <= first < stop <= count:
            raise OptionError(f"steps must be two of 0 to {count}, the first below the second, not {steps!r}")
    inside = record.step is not None and first <= record.step < stop
    of_steps = {name: getattr(record, name) for name in ("scores", "by_step", "input", "tokens", "times", "valid")}
    parts: dict[str, Any] = {name: None if array is None else array[first:stop] for name, array in of_steps.items()}
    return replace(record, step=record.step - first if record.step is not None and inside else None, **parts)


def _range_of_shares(scores: Array) -> tuple[int, int]:
    """Return the range of steps that holds nearly all shares of an attribution, as its first step and its stop."""
    total = np.cumsum(np.abs(scores))
    first, last = np.searchsorted(total, [0.0005 * total[-1], 0.9995 * total[-1]])
    room = max(10, int(last - first) // 10)
    return max(0, int(first) - room), min(len(scores), int(last) + 1 + room)


@picture
def occlusion(record: Occlusion, ax: Any) -> Any:
    """Draw how the output changes where each step of the input is exchanged for others.

    Notes
    -----
    A bar goes up as far as exchanges of the step raise the output, and down as far as they lower it, on average: both
    together are the mean size of the change. The steps that are drawn are those with a two-hundredth of the largest
    change, and a few around them. A text is drawn as such, each token on the colour of its change.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.occlusion(trace, baseline=0)
    >>> print(axes.get_title())
    output 0 at step 6: 0.7503
    with step 0 and step 6 exchanged, it is 0
    """
    change, size = (np.nan_to_num(record.columns[name]) for name in ("change", "size"))
    looked = np.flatnonzero(np.isfinite(record.columns["size"]))
    shown = np.flatnonzero((size > SMALL * size.max()) & (size > 0))
    first, last = (shown if len(shown) else looked)[[0, -1]]
    around = max(AROUND, (last - first) // 10)
    steps = slice(int(max(looked[0], first - around)), int(min(looked[-1], last + around)) + 1)
    title = f"{record.target.removesuffix(',')}: {record.value:.4g}"
    if record.named:
        title += f"\nwith {record.tried_names} exchanged, {record.outcome}"
    if record.tokens is not None:
        valid = None if record.valid is None else record.valid[steps]
        return _draw_tokens(record.tokens[steps], record.columns["change"][steps], "change", title, valid, ax)
    axes = drawing.single_panel(ax)
    places = drawing.set_times(axes, record, steps)
    width = float(np.clip(FILLED * 72 * drawing.inches(axes.xaxis) / len(places), THIN, THICK))
    for ends, name in ((size + change, "input_gate"), (change - size, "forget_gate")):
        heights = ends[steps] / 2
        drawn, look = heights != 0, {"color": drawing.hue(name), "linewidth": width, "zorder": 3, "clip_on": False}
        axes.vlines(places[drawn], 0, heights[drawn], **look)
    axes.axhline(0, color=drawing.ink(), linewidth=0.6)
    axes.set_ylabel("change of the output")
    axes.set_title("\n".join(map(drawing.safe_text, title.split("\n"))), fontsize="medium", wrap=True)
    return axes


@picture
def ablation(record: Ablation, ax: Any) -> Any:
    """Draw the metric without each part, the largest effect on top; a vertical line is the metric of the whole model.

    Notes
    -----
    Of many parts, the 30 with the largest effects are drawn, or as many as there is room for, and the others counted.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> axes = gw.plot.ablation(lstm, x=x, metric=lambda y: y[-1, 0])
    >>> axes.get_xlabel().splitlines()[0]
    'metric'
    """
    axes = drawing.single_panel(ax, (8, 1.2 + 0.25 * min(MOST_PARTS, max(FEWEST_PARTS, len(record.metrics)))))
    room = int(drawing.inches(axes.yaxis) * 72 / POINTS)
    metrics = record.metrics[: min(MOST_PARTS, max(FEWEST_PARTS, room))]
    rows, hue = np.arange(len(metrics)), drawing.hue("output_gate")
    axes.hlines(rows, record.unedited, metrics, color=hue, linewidth=2)
    axes.scatter(metrics, rows, s=30, zorder=3, color=hue, edgecolor=drawing.ink(), linewidth=0.5)
    axes.axvline(record.unedited, color=drawing.ink(), linewidth=1)
    axes.set_ylim(max(FEWEST_PARTS, len(rows)) - 0.5, -0.5)
    drawing.name_ticks(axes.yaxis, [_short_name(name) for name in record.names[: len(rows)]], MOST_PARTS)
    left_out = len(record.metrics) - len(metrics)
    more = f"; {left_out:,} others are not drawn" if left_out else ""
    axes.set(xlabel=f"{drawing.safe_text(record.title)}\nline: the whole model{more}", title="without each part")
    return axes


@picture
def effect(record: Effect, ax: Any) -> Any:
    """Draw an output before and after a change, of the sequence in which it changes most, and their difference.

    Returns
    -------
    array of Axes

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> axes = gw.plot.effect(latch().trace(), unit=0, scale=0)
    >>> [panel.get_ylabel() for panel in axes]
    ['output 0', 'change']
    """
    panels = drawing.panels(ax, ["output", "change"], [1.4, 1.0], (8, 3.8))
    before, after = record.before[:, record.output], record.after[:, record.output]
    name = "" if record.names == ("0",) else f" {record.names[record.output]}"
    title = f"{record.noun}{name or ' 0'}" + (f" ({record.unit})" if record.unit else "")
    for panel, label in zip(panels, (title, "change"), strict=True):
        drawing.set_time_axis(panel, record.times)
        panel.set_ylabel(drawing.shorten(label, 30))
    places = drawing.set_time_axis(panels[0], record.times)
    look: dict[str, Any] = {"color": drawing.hue("soft"), "linestyle": "--", "zorder": 2.5}
    drawing.draw_series(panels[0], places, before, label="before", **look)
    drawing.draw_series(panels[0], places, after, label="after", color=drawing.ink())
    drawing.legend_beside(panels[0])
    panels[1].axhline(0, color=drawing.ink(), linewidth=0.6)
    drawing.draw_series(panels[1], places, after - before, color=drawing.hue("output_gate"))
    drawing.set_title(panels[0], f"with {record.change}")
    return panels


def _short_name(name: str) -> str:
    return name.replace(" of layer ", ", layer ").replace(" (forward)", " →").replace(" (backward)", " ←")


@picture
def ceiling(record: Ceiling, ax: Any) -> Any:
    """Draw the output of a run, its ceiling, and the losses in between, stacked on each other.

    Returns
    -------
    Axes, or array of Axes
        A panel for each output.

    Raises
    ------
    OptionError
        If there was no run, or there are more than 8 outputs.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest output. Invalid steps are hatched.

    Examples
    --------
    >>> lstm, head = gw.LSTM(1, 2, rng=0, dtype=np.float64), gw.Linear([[40.0, -20.0]], [1.5])
    >>> axes = gw.plot.ceiling(gw.Network(lstm, head=head).trace(np.ones((20, 1))))
    >>> axes.get_ylabel()
    'output'
    """
    if record.output is None:
        raise OptionError("a picture of a ceiling shows the losses of a run; this is a model without a run")
    count = len(record.outputs)
    if count > MOST_OUTPUTS:
        raise OptionError(
            f"a picture of a ceiling has room for {MOST_OUTPUTS} outputs, not {count:,}; `output` chooses one"
        )
    axes = drawing.panels(ax, record.outputs, size=(9, min(12, 1.1 + 2.3 * count)))
    for place, panel in enumerate(axes):
        _draw_losses(panel, record, place)
    columns, fontsize = (2, "small") if drawing.inches(axes[0].xaxis) >= WIDE else (1, "x-small")
    look = {"ncols": columns, "fontsize": fontsize, "frameon": False}
    axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.02), **look)
    return axes[0] if count == 1 else axes


def _draw_losses(ax: Any, record: Any, place: int) -> None:
    """Draw one output of a run on an Axes: its ceiling, and the losses stacked between the two."""
    places = drawing.set_time_axis(ax, record.times)
    output, top = record.output[:, place], float(record.ceiling[place])
    steps = drawing.extreme_steps(output, drawing.most_points(ax))
    edges, base = drawing.edges_of(places[steps]), output[steps]
    ax.axhline(top, color=drawing.ink(), linestyle="--", linewidth=1.0, label=f"ceiling {top:.4g}")
    ax.stairs(base, edges, color=drawing.ink(), linewidth=1.2, baseline=None, label="output", zorder=3)
    for name, (colour, alpha, label) in LAYERS.items():
        if name in record.losses:
            above, look = base + record.losses[name][steps, place], {"alpha": alpha, "linewidth": 0, "label": label}
            ax.stairs(above, edges, baseline=base, fill=True, facecolor=drawing.hue(colour), **look)
            base = above
    drawing.set_times(ax, record)
    low, high = float(np.nanmin(output)), max(top, float(np.nanmax(base)))
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) if high > low else high + 1)
    measure = str(record.measures[place])
    ax.set_ylabel(drawing.safe_text(f"{measure}, {record.sequence}" if record.sequence else measure))
