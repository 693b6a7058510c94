"""Pictures of what a cell remembers: timescales, horizons, influence, contributions, attention, matches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.insight.attention import Attention
from gatewise.insight.horizon import Horizon
from gatewise.insight.influence import NOTHING, Influence
from gatewise.insight.matches import Matches
from gatewise.insight.memory import Timescales
from gatewise.insight.naming import at_time, unit_of
from gatewise.insight.origin import Contributions
from gatewise.margins import largest_first
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.showing import counted

ENOUGH = 0.99 - 1e-6  # of what is drawn over lags: the drawn ones hold so much
FEW, FEWEST_OF_ATTENTION = 10, 5  # lags that are drawn, at least
WIDE = 20  # the largest over the smallest timescale, above which the axis is logarithmic
LONGEST_UNITS = 12  # of a horizon: those that hold longest are drawn
BEYOND = 1.5  # lags that are drawn, as a multiple of the horizon
FAINT, LEAST = 0.001, 1e-6  # of the largest value of a curve of a horizon, of influence: smaller ones leave a gap
MOST_LAYERS = 5  # units of contributions that have a layer each; all others share one layer
HUES = (0.05, 0.25, 0.65, 0.83, 1.0)  # places on cividis, without its greys
MOST_SEQUENCES = 30
NARROWEST = 1 / 300  # of the axis, so that a short stretch of a long run is visible


@picture
def timescales(record: Timescales, ax: Any) -> Any:
    """Draw the timescale of each unit between resets, the longest first; in the data's own time if it has dates.

    Returns
    -------
    Axes
        Its axis is logarithmic if timescales differ by a factor of 20 or more. A triangle at the upper edge marks a
        unit that forgets nothing, one at the lower edge a unit that forgets all.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.timescales(trace[0])
    >>> axes.get_title()
    'how fast each cell state decays between resets'
    """
    axes = drawing.single_panel(ax)
    name = record.time_unit or "steps"
    length = record.columns[f"between_resets_{name}" if record.time_unit else "between_resets"]
    order = largest_first(length, relative=True)
    length, places = length[order], np.arange(len(order))
    plain = np.isfinite(length) & (length > 0)
    finite, (size, linewidth) = length[plain], (30, 0.5) if len(order) <= 100 else (8, 0.2)
    look: dict[str, Any] = {"color": drawing.hue("forget_gate"), "edgecolor": drawing.ink(), "linewidth": linewidth}
    if finite.size and finite.max() > WIDE * finite.min():
        axes.set_yscale("log")
    axes.scatter(places[plain], finite, s=size, zorder=3, **look)
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, 1.1 * finite.max() if finite.size else 1)
    look |= {"s": 40, "transform": axes.get_xaxis_transform(), "clip_on": False}
    edges = ("^", 1.0, "forgets nothing", np.isinf(length)), ("v", 0.0, "forgets all", length == 0)
    for marker, edge, label, which in edges:
        if which.any():
            axes.scatter(places[which], np.full(which.sum(), edge), marker=marker, label=label, **look)
    if not plain.all():
        axes.legend(frameon=False)
    axes.set_xlim(-0.5, len(order) - 0.5)
    drawing.name_ticks(axes.xaxis, [str(unit) for unit in record.columns["unit"][order]])
    axes.set(xlabel="unit", ylabel=f"timescale ({name})", title="how fast each cell state decays between resets")
    return axes


@picture
def horizon(record: Horizon, ax: Any) -> Any:
    """Draw how much of a change shows at each lag: the median over the exchanges, and the range between quartiles.

    Notes
    -----
    Differences are shares of the largest of each exchange. The thin lines are the means of the twelve units whose cell
    states hold a change longest. The lags reach half as far again as the horizon, on an axis that is linear up to 1 and
    logarithmic from there on. A network with a backward direction has negative lags: there, the output is before the
    change.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 1))
    >>> axes = gw.plot.horizon(gw.LSTM(1, 8, rng=0), x=x)
    >>> axes.get_xlabel()
    'lag in steps'
    """
    axes = drawing.single_panel(ax, (8, 3.5))
    shown = np.abs(record.lag) <= BEYOND * max(record.steps, record.ahead, FEW)
    lag, (lower, median, upper) = record.lag[shown], record.curve[:, shown]
    axes.fill_between(lag, lower, upper, color=drawing.hue("hidden_state"), alpha=0.25, linewidth=0)
    thin = {"color": drawing.hue("forget_gate"), "linewidth": 0.7}
    for unit in np.argsort(-record.columns["steps"], kind="stable")[:LONGEST_UNITS]:
        curve = np.where(record.unit_curves[:, unit] >= FAINT, record.unit_curves[:, unit], np.nan)
        places = np.arange(len(curve)) * (1 if record.columns["direction"][unit] == "forward" else -1)
        inside = np.isin(places, lag)
        axes.plot(places[inside], curve[inside], alpha=0.6, **thin)
    axes.plot([], [], label="cell states that hold longest", **thin)
    axes.plot(lag, median, color=drawing.ink(), linewidth=1.5, zorder=4, label=record.title)
    for end in {record.steps, -record.ahead} - {0}:
        axes.axvline(end, color=drawing.ink(), linestyle=":", linewidth=1)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(float(lag.min()), max(1.0, float(lag.max())))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    shows = (
        "how long a change of one step's input shows" if record.stable else "an unstable run: no horizon can be told"
    )
    axes.set_title(shows if median.any() else "no exchanged step changes the output", fontsize="medium")
    axes.set(xlabel="lag in steps", ylabel="share of the largest", ylim=(0, 1.05))
    axes.legend(loc="best", fontsize="small", framealpha=0.8)
    return axes


@picture
def influence(record: Influence, ax: Any) -> Any:
    """Draw how strongly step T depends on each step: on its input, and in a cell on its state.

    Notes
    -----
    The steps that hold the share are shaded. Steps are drawn as far from T as 99 % of the influence of the inputs
    reaches, and of a model that runs in one direction on one side of T alone. Values below a millionth of a curve's
    largest leave a gap. With more steps than pixels, each pixel keeps its least and its greatest value.
    Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.influence(trace[0])
    >>> axes.get_title()
    '95 % of the influence of the inputs: the last 7 steps'
    """
    axes = drawing.single_panel(ax, (8, 3.5))
    steps = _influencing_steps(record)
    places, lags = drawing.set_time_axis(axes, record.times[steps]), record.columns["lag"][steps]
    drawn = []
    for name, values, look in _influence_curves(record):
        visible = np.where(values[steps] >= LEAST * np.nanmax(values, initial=0), values[steps], np.nan)
        visible[visible == 0] = np.nan
        drawing.draw_series(axes, places, visible, label=name, **look)
        drawn.append(visible[np.isfinite(visible)])
    if (all_drawn := np.concatenate(drawn)).size:
        axes.set(yscale="log", ylim=(all_drawn.min() / 2, all_drawn.max() * 2))
    title = drawing.safe_text(record.sentence.partition(": ")[0])
    if record.inputs.any() and not record.size < NOTHING:
        title, edges = (
            f"{100 * record.share:g} % of the influence of the inputs: {record.within}",
            drawing.edges_of(places),
        )
        for first, stop in drawing.spans_of(lags <= record.lag):
            axes.axvspan(edges[first], edges[stop], color=drawing.hue("hidden_state"), alpha=0.18, linewidth=0)
    axes.set_title(title, fontsize="medium")
    for place in places[lags == 0]:  # T
        axes.axvline(place, color=drawing.ink(), alpha=0.4, linewidth=0.6)
    drawing.set_times(axes, record, steps)
    axes.set_ylabel("norm of the derivative")
    axes.legend(loc="best", fontsize="small", framealpha=0.8)
    return axes


def _influence_curves(record: Influence) -> list[tuple[str, Array, dict[str, Any]]]:
    if record.cell_state is None or record.along_cell is None:
        return [("∂ output / ∂ input", record.inputs, {"color": drawing.ink(), "zorder": 3})]
    total = {"color": drawing.hue("cell_state"), "zorder": 4}
    along = {"color": drawing.hue("forget_gate"), "linestyle": "--", "zorder": 5}
    return [
        ("∂ hidden state / ∂ input", record.inputs, {"color": drawing.hue("hidden_state"), "zorder": 3}),
        ("∂ cell state / ∂ cell state, in total", record.cell_state, total),
        ("∂ cell state / ∂ cell state, gates held", np.asarray(record.columns["along_cell"]), along),
    ]


def _influencing_steps(record: Influence) -> slice:
    """Return the steps near T that hold 99 % of the influence: on one side of it, if the other side has none."""
    lags, on = record.columns["lag"], np.flatnonzero(record.inputs)
    ends, sums = np.flatnonzero(lags == 0), np.cumsum(np.bincount(lags, record.inputs))
    reach = max(FEW, record.lag, int(np.searchsorted(sums, ENOUGH * sums[-1])))
    first, last = np.flatnonzero(lags <= reach)[[0, -1]]
    before, after = len(on) > 0 and on[0] < ends[0], len(on) > 0 and on[-1] > ends[-1]
    return slice(int(first if before or not after else ends[0]), int(last if after or not before else ends[-1]) + 1)


@picture
def contributions(record: Contributions, ax: Any, *, unit: int | str | None = None) -> Any:
    """Draw the contributions of all steps to a cell state: shares stacked by unit, or of one unit with their signs.

    Parameters
    ----------
    unit : int or str, optional
        Which of the kept units, or its name; by default the shares of all.

    Returns
    -------
    Axes
        The bar on the left is the initial state. Later steps contribute nothing and are not drawn. If fewer than half
        of the steps hold 99 %, only they are drawn, and the title names the rest. The five units with the largest
        shares have a layer each, and all others one.

    Raises
    ------
    OptionError
        If there is no such unit.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.contributions(trace[0])
    >>> axes.get_ylabel()
    'share of the cell state'
    """
    axes = drawing.single_panel(ax, (8, 3.2))
    at = drawing.safe_text(at_time(record.times, record.step))
    if unit is None:
        by_step, initial = record.shares
        layers, names, colours = _layers_of_units(by_step, record.units)
        start, label, title = float(initial.sum()), "share of the cell state", f"who wrote the cell state {at}"
    else:
        place = unit_of(list(record.units), unit)
        part, start, names = record.by_step[:, place], float(record.initial[place]), []
        layers, colours = [np.maximum(part, 0), np.minimum(part, 0)], [*map(drawing.hue, ("positive", "negative"))]
        label = "contribution"
        title = f"who wrote the cell state of unit {drawing.shorten(record.units[place])} {at}"
    steps, rest = _contributing_steps(np.sum(np.abs(layers), axis=0), record.step)
    places = drawing.set_time_axis(axes, record.times[steps])
    chosen = drawing.extreme_steps(np.sum(layers, axis=0)[steps], drawing.most_points(axes))
    look, base = {"fill": True, "edgecolor": drawing.ink(), "linewidth": 0.3}, np.zeros(len(chosen))
    for place, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        top = base + layer[steps][chosen]
        name = names[place] if names else None
        axes.stairs(
            top,
            drawing.edges_of(places[chosen]),
            baseline=base if unit is None else 0,
            facecolor=colour,
            label=name,
            **look,
        )
        base = top if unit is None else base
    drawing.set_times(axes, record, steps)
    _draw_initial_state(axes, drawing.edges_of(places), start, signed=unit is not None, rest=rest)
    axes.axhline(0, color=drawing.ink(), linewidth=0.5)
    axes.set(ylabel=label)
    axes.set_title(f"{title}\n", loc="left", fontsize="medium")  # above the title on the right
    if len(names) > 1:
        entries = (list(reversed(part)) for part in axes.get_legend_handles_labels())  # from the top layer down
        drawing.legend_beside(axes, *entries, title="unit")
    return axes


def _layers_of_units(by_step: Array, units: tuple[str, ...]) -> tuple[list[Array], list[str], list[Any]]:
    """Return a layer for each large unit, and one for all others, with their names and colours."""
    from matplotlib.colors import to_rgba

    large = largest_first(by_step.sum(0), MOST_LAYERS)
    layers, names = [by_step[:, place] for place in large], [drawing.shorten(units[place], 12) for place in large]
    colours = list(drawing.colour_map(CIVIDIS)(HUES)[: len(large)])
    if others := len(units) - len(large):
        layers.append(by_step.sum(1) - sum(layers))
        names.append(counted(others, "other"))
        colours.append(to_rgba(drawing.hue("soft"), 0.4))
    return layers, names, colours


def _contributing_steps(sizes: Array, step: int) -> tuple[slice, float]:
    """Return the steps that hold 99 % of the contributions, if they are few, and the share that the others hold."""
    total, nonzero = sizes.sum(), np.flatnonzero(sizes)
    if not len(nonzero):
        return slice(None), 0.0
    backward = nonzero[0] >= step and nonzero[-1] > step
    nearest_first = sizes[step:] if backward else sizes[: step + 1][::-1]
    count = max(10, int(np.searchsorted(np.cumsum(nearest_first), ENOUGH * total)) * 5 // 4 + 2)
    count = len(sizes) if 2 * count > len(sizes) else count
    steps = slice(step, step + count) if backward else slice(max(step + 1 - count, 0), step + 1)
    return steps, float((total - sizes[steps].sum()) / total) if count < len(sizes) else 0.0


def _draw_initial_state(ax: Any, edges: npt.NDArray[Any], value: float, *, signed: bool, rest: float) -> None:
    """Draw what is left of the initial state at the left, and name the share of the steps that are not drawn."""
    span = edges[-1] - edges[0]
    left, width = edges[0] - 0.06 * span, 0.03 * span
    ax.bar(left, value, width, facecolor="none", edgecolor=drawing.ink(), hatch="..", linewidth=0.8)
    ax.axvline(edges[0] - 0.02 * span, color=drawing.ink(), linewidth=0.5, linestyle=":")
    ax.set_xlim(left - width, edges[-1])
    drawing.label_ticks_from(ax.xaxis, edges[0])
    title = f"initial state {value:.3g}" if signed else f"initial state {100 * value:.3g} %"
    title += f"; earlier steps {100 * rest:.2g} %" if rest else ""
    ax.set_title(title, loc="right", fontsize="small")


@picture
def attention(record: Attention, ax: Any) -> Any:
    """Draw what is in the cell state at each step by how long before it was written: steps across, lags down.

    Returns
    -------
    Axes
        The separate row below is the rest of the state before the first step. Shares are coloured from dark (0) to
        light (the largest share of a typical step, and more); the contributions to one unit in blue (negative) and red.

    Notes
    -----
    The lags reach as far as 99 % of what all steps wrote. With more steps than pixels, each pixel keeps its least and
    its greatest value. Invalid steps, which write nothing, are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.attention(trace[0])
    >>> axes.get_xlabel()
    'step'
    """
    axes = drawing.single_panel(ax, (8, 4.5))
    by_lag, signed = _weights_by_lag(record), record.unit is not None
    values, count = np.column_stack([record.initial, record.weights]), by_lag.shape[1]
    limits = drawing.symmetric_limits(values) if signed else (0.0, float(np.median(values.max(1))) or 1.0)
    label = "contribution to the cell state" if signed else "share of the cell state"
    scale = drawing.stops_for(limits), limits, label
    image = drawing.draw_heatmap(axes, by_lag, record.times, [*map(str, range(count))], record.valid, *scale)
    left, right, *_ = image.get_extent()
    pad = max(1, count // 16)
    places = drawing.set_time_axis(axes, record.times)
    initial = drawing.keep_extremes(record.initial[:, None], drawing.pixel_columns(axes), places).T
    look: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "cmap": image.get_cmap(), "clim": limits}
    axes.imshow(initial, extent=(left, right, count - 0.5 + 2 * pad, count - 0.5 + pad), **look)
    axes.set_ylim(count - 0.5 + 2 * pad, -0.5)
    aside = {"textcoords": "offset points", "ha": "right", "va": "center", "fontsize": "small"}
    axes.annotate("before", (0, count - 0.5 + 1.5 * pad), (-4, 0), ("axes fraction", "data"), **aside)
    axes.set_ylabel("lag in steps" if record.every == 1 else f"lag in blocks of {record.every:,} steps")
    whose = "all units" if record.unit is None else f"unit {drawing.shorten(record.unit)}"
    axes.set_title(f"cell state of {whose}, by lag", fontsize="medium")
    return axes


def _weights_by_lag(record: Attention) -> Array:
    """Return the weights of an attention by step and lag, NaN before the first step; lags with the last 1 % are cut."""
    order = slice(None, None, 1 if record.direction == "forward" else -1)
    diagonals = [np.diagonal(record.weights[order, order], -lag) for lag in range(len(record.times))]
    sizes = np.cumsum([np.abs(diagonal).sum() for diagonal in diagonals])
    reach = max(FEWEST_OF_ATTENTION, int(np.searchsorted(sizes, ENOUGH * sizes[-1])) + 1)
    by_lag = np.full((len(diagonals), min(reach, len(diagonals))), np.nan)
    for lag, diagonal in enumerate(diagonals[:reach]):
        by_lag[lag:, lag] = diagonal
    return by_lag[order]


@picture
def matches(record: Matches, ax: Any) -> Any:
    """Draw the stretches in which the units of a chosen stretch are on: sequences × time, coloured by score.

    Notes
    -----
    The chosen stretch is outlined. At most 30 sequences are drawn, those with the best matches. Each stretch is wide
    enough to be visible.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.matches(trace[0], start=0, stop=7, quantity="cell_state")
    >>> axes.get_title()
    '0 matches of 1 unit (chosen: outlined)'
    """
    best = dict.fromkeys([record.sequence, *record.places[:, 0].tolist()])
    rows = {sequence: row for row, sequence in enumerate(sorted(list(best)[:MOST_SEQUENCES]))}
    axes = drawing.single_panel(ax, (8, 1.6 + 0.28 * len(rows)))
    edges = drawing.edges_of(drawing.set_time_axis(axes, record.times))
    colours = drawing.colour_map(CIVIDIS)

    def draw(sequence: int, start: int, stop: int, height: float, **look: Any) -> None:
        left, right = edges[start], edges[stop]
        width = max(right - left, (edges[-1] - edges[0]) * NARROWEST)
        axes.barh(rows[sequence], width, height, (left + right - width) / 2, edgecolor=drawing.ink(), **look)

    for (sequence, start, stop), score in list(zip(record.places, record.columns["score"], strict=True))[::-1]:
        if sequence in rows:
            draw(sequence, start, stop, 0.7, color=colours(float(score)), linewidth=0.4, zorder=2 + score)
    draw(record.sequence, record.start, record.stop, 0.8, facecolor="none", linewidth=1.5, zorder=4)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(len(rows) - 0.4, -0.6), ylabel="sequence")
    drawing.name_ticks(axes.yaxis, [record.sequences[sequence] for sequence in rows], MOST_SEQUENCES)
    found = f"{len(record.places):,} {'match' if len(record.places) == 1 else 'matches'}"
    axes.set_title(f"{found} of {counted(len(record.units), 'unit')} (chosen: outlined)")
    scale = drawing.library().cm.ScalarMappable(drawing.library().colors.Normalize(0, 1), colours)
    axes.figure.colorbar(scale, ax=axes, pad=0.01, fraction=0.05, label="score")
    return axes
