"""Pictures of units: how active and how saturated they are, what they carry, and where they come to rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.insight.activity import Activity
from gatewise.insight.fixed_points import KINDS, FixedPoints
from gatewise.insight.probe import SIGNIFICANT, Probe
from gatewise.insight.saturation import GATES, Saturation
from gatewise.margins import largest_first
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.showing import counted

NAMED, MOST_NAMES = 10, 5  # units, up to which each point of saturation has a name; and names of more units
LARGEST = 300.0  # area of a point, in square points
MOST_UNITS = 8  # of a probe
MARKS = {"stable": "o", "neutral": "s", "saddle": "X", "unstable": "^"}  # so that kinds differ in print, too
COLOURS = {"stable": "negative", "neutral": "soft", "saddle": "positive", "unstable": "forget_gate"}
CIRCLES = (1, 3, 10)  # time constants in steps, each with a circle
FEW = 100  # eigenvalues, up to which marks are large
MOST_LINES = 8  # of the legend of fixed points
NOTHING = 1e-12  # the absolute value below which an eigenvalue is not drawn


@picture
def activity(record: Activity, ax: Any) -> Any:
    """Draw the standard deviation of each unit's hidden state over a run, the most active unit first.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.activity(trace[0])
    >>> axes.get_xlabel()
    'unit'
    """
    axes = drawing.single_panel(ax, (8, 3))
    order = largest_first(record.deviation)
    heights, edges = record.deviation[order], np.arange(len(order) + 1) - 0.5
    axes.stairs(heights, edges, fill=True, facecolor=drawing.hue("hidden_state"), linewidth=0)
    axes.stairs(heights, edges, color=drawing.ink(), linewidth=0.8)
    drawing.name_ticks(axes.xaxis, [str(unit) for unit in record.columns["unit"][order]])
    label = "standard deviation of\nthe hidden state"
    axes.set(xlabel="unit", ylabel=label, xlim=(edges[0], edges[-1]), ylim=(0, None))
    return axes


@picture
def saturation(record: Saturation, ax: Any) -> Any:
    """Draw how often each gate of each unit is closed and open: a panel for each gate, a point for each unit.

    After figure 3 of Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015): a gate
    in the lower right is always closed, one in the upper left always open, one on the diagonal never in between.

    Returns
    -------
    array of Axes
        One each for the input, the forget and the output gate. A point of several units is larger, one of dead units
        hollow. Up to 10 units have their names beside them; of more, the five whose gate is closed or open most often.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.saturation(trace[0])
    >>> [panel.get_title() for panel in axes]
    ['input gate', 'forget gate', 'output gate']
    """
    axes = drawing.panels(ax, [name.replace("_", " ") for name in GATES], size=(9, 3.4), side_by_side=True)
    units = record.columns["unit"][: record.closed.shape[1]]
    dead = np.zeros(len(units), bool) if record.dead is None else record.dead
    for place, (name, panel) in enumerate(zip(GATES, axes, strict=True)):
        panel.plot([0, 1], [1, 0], color=drawing.ink(), alpha=0.5, linewidth=0.8, linestyle="--")
        _draw_points(panel, record.closed[place], record.open[place], dead, drawing.hue(name))
        # Write the names of units beside their points; units on one side and of nearly one height share a line.
        closed = record.closed[place]
        opened = record.open[place]
        share, line = np.maximum(closed, opened), 0.15 / drawing.inches(panel.yaxis)
        letters = max(6, int(9 * drawing.inches(panel.xaxis)))
        most = [unit for unit in largest_first(share, MOST_NAMES) if share[unit]]
        lines: dict[tuple[bool, int], list[int]] = {}
        for unit in range(len(units)) if len(units) <= NAMED else most:
            lines.setdefault((closed[unit] > 0.5, round(opened[unit] / line)), []).append(unit)
        for (left, number), some in lines.items():
            label = ", ".join(units[unit] for unit in some[:2]) + (
                f" and {len(some) - 2} more" if len(some) > 2 else ""
            )
            look: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "fontsize": "x-small"}
            where = (closed[some[0]], number * line)
            label = drawing.shorten(label, letters)
            panel.annotate(label, where, (-8 if left else 8, 0), textcoords="offset points", **look).set_in_layout(
                False
            )
        panel.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), title=name.replace("_", " "))
        panel.set_aspect("auto" if drawing.inches(panel.xaxis) < 1 else "equal")
    axes[1].set_xlabel(f"share of steps below {record.low:g}")
    axes[0].set_ylabel(f"share of steps above {record.high:g}")
    return axes


def _draw_points(ax: Any, closed: Any, opened: Any, dead: Any, colour: str) -> None:
    """Draw a point for each unit at its shares of steps with a gate closed and open; dead units are hollow."""
    size = float(np.clip(900 / len(closed), 8, 40))
    look: dict[str, Any] = {"edgecolor": drawing.ink(), "linewidth": 0.5, "clip_on": False, "zorder": 3}
    alive = {"color": colour, "alpha": 0.7 if len(closed) > NAMED else 1.0}
    for units, kind in ((~dead, alive), (dead, {"facecolor": "none", "label": "dead"})):
        if units.any():  # a point for each distinct place; its area grows with the number of units, up to a bound
            places, counts = np.unique(np.round([closed[units], opened[units]], 2), axis=1, return_counts=True)
            ax.scatter(*places, s=np.minimum(size * counts, LARGEST), **kind, **look)
    if dead.any():
        ax.legend(loc="upper right", frameon=False, handletextpad=0.2)


@picture
def probe(record: Probe, ax: Any) -> npt.NDArray[Any]:
    """Draw what a probe predicts over time, and the units that correlate most.

    Returns
    -------
    array of two Axes
        For the values, and for the units.

    Notes
    -----
    The series are those of the first sequence with values. The bar of a unit is filled if it is found: at most 5 % of
    shifts in time give any unit a larger correlation without trend and past, which is its dot.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> axes = gw.plot.probe(gw.LSTM(1, 8, rng=0).trace(x)[0], values=x[:, 0])
    >>> [panel.get_ylabel() for panel in axes]
    ['the given quantity', 'unit']
    """
    axes: npt.NDArray[Any] = drawing.panels(ax, ["values", "units"], (2, 1.6), (8, 5.2), share_time=False)
    _draw_predictions(axes[0], record)
    _draw_best_units(axes[1], record)
    return axes


def _draw_predictions(ax: drawing.Axes, record: Probe) -> None:
    place = int((~np.isnan(record.values)).any(0).argmax())
    times = drawing.set_time_axis(ax, record.times)
    true, predicted = record.values[:, place], record.predicted[:, place]
    for values, colour, label, width in (
        (true, drawing.ink(), "given", 2.4),
        (predicted, PALETTE["forget_gate"].light, "predicted", 1.0),
    ):
        steps = drawing.extreme_steps(values)
        ax.plot(times[steps], values[steps], color=colour, label=label, linewidth=width, marker=_line_marker(values))
    drawing.hatch_invalid(ax, times, ~np.isnan(true))
    ax.margins(x=0)
    ax.set_ylabel(drawing.shorten(record.name, 30))
    many = f", sequence {drawing.shorten(record.sequences[place])}" if len(record.sequences) > 1 else ""
    held = "sequences" if record.by == "sequence" else "blocks"
    ax.set_title(f"held-out {held}: R² = {record.r_squared:.2f}, r = {record.correlation:.2f}{many}", loc="left")
    ax.legend(loc="best", fontsize="small", framealpha=0.8)


def _line_marker(values: npt.NDArray[Any]) -> str:
    """Return the marker of a drawn line: a dot if some steps stand alone, where no line would be visible."""
    on = ~np.isnan(values)
    alone = on & ~np.concatenate([[False], on[:-1]]) & ~np.concatenate([on[1:], [False]])
    return "." if alone.any() else ""


def _draw_best_units(ax: drawing.Axes, record: Probe) -> None:
    """Draw the correlation of each unit that a probe found, then of others, and a dot for what of it is tested."""
    correlation, tested = record.columns["correlation"], record.columns["prewhitened"]
    certain = record.columns["p_value"] <= SIGNIFICANT
    best = largest_first(np.abs(correlation))
    best = best[np.argsort(~certain[best], kind="stable")][:MOST_UNITS]
    for row, unit in enumerate(best):
        colour = PALETTE["positive" if correlation[unit] >= 0 else "negative"].light
        ax.barh(row, correlation[unit], color=colour if certain[unit] else "none", edgecolor=colour, linewidth=1.2)
    ax.plot(tested[best], np.arange(len(best)), "o", color=drawing.ink(), markersize=4)
    ax.axvline(0, color=drawing.ink(), linewidth=0.8)
    for threshold in (-record.least, record.least):
        ax.axvline(threshold, color=drawing.ink(), linewidth=0.8, linestyle="--")
    drawing.name_ticks(ax.yaxis, [str(record.columns["unit"][unit]) for unit in best])
    ax.set_ylim(max(len(best), 4) - 0.5, -0.5)
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel(f"r of the unit; dot: without trend and past (found beyond the lines: p ≤ {SIGNIFICANT:g})")
    ax.set_ylabel("unit")


@picture
def fixed_points(record: FixedPoints, ax: Any) -> Any:
    """Draw the spectrum of each fixed point: its eigenvalues in the complex plane, with the unit circle.

    Notes
    -----
    A displacement decays within the unit circle, on a dotted circle with the time constant written there; outside it
    grows. Away from the real axis it rotates. The legend has a line for each point, or with more than eight points for
    each kind.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> axes = gw.plot.fixed_points(latch().cell)
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('real part of the eigenvalue', 'imaginary part')
    """
    axes = drawing.single_panel(ax, (7.5, 4.5))
    _draw_circles(axes)
    size, linewidth = (36, 0.6) if record.eigenvalues.size <= FEW else (10, 0.2)
    look = {"s": size, "edgecolor": drawing.ink(), "linewidth": linewidth, "zorder": 3, "alpha": 0.8}
    for name, kind, points in _legend_groups(record):
        values = record.eigenvalues[points].ravel()
        drawn = np.abs(values) > NOTHING
        values = values[drawn] if drawn.any() else values[:1]
        axes.scatter(
            values.real, values.imag, marker=MARKS[kind], label=name, facecolor=drawing.hue(COLOURS[kind]), **look
        )
    axes.set_aspect("equal", adjustable="datalim")  # so that the Axes keep their size, and the legend its place
    axes.margins(0.07)
    axes.set(xlabel="real part of the eigenvalue", ylabel="imaginary part")
    if record.kinds:
        drawing.legend_beside(axes)
    else:
        axes.set_title(record.sentence, fontsize="small")
    return axes


def _legend_groups(record: FixedPoints) -> list[tuple[str, str, list[int]]]:
    """Return the lines of the legend: each one's text, kind and points; a line for each kind of many points."""

    def line(name: str, kind: str, points: list[int]) -> tuple[str, str, list[int]]:
        slowest = max(record.columns["time_constant"][points], key=abs)
        if np.isfinite(slowest) and slowest != 0:
            name += f", {'decays' if slowest > 0 else 'grows'} in {abs(slowest):.3g} steps"
        return name, kind, points

    kinds = np.array(record.kinds)
    if len(kinds) <= MOST_LINES:
        return [line(f"point {point}: {kind}", kind, [point]) for point, kind in enumerate(record.kinds)]
    groups = {kind: np.flatnonzero(kinds == kind).tolist() for kind in KINDS}
    return [line(f"{len(points):,} {kind}", kind, points) for kind, points in groups.items() if points]


def _draw_circles(axes: Any) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=drawing.ink(), zorder=2))
    for steps in CIRCLES:
        radius = float(np.exp(-1 / steps))
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=drawing.ink(), alpha=0.5, linewidth=0.6, ls=":"))
        look = {"ha": "center", "va": "bottom", "fontsize": "x-small", "alpha": 0.7}
        axes.annotate(counted(steps, "step"), (0, -radius), **look)
    for draw in (axes.axhline, axes.axvline):
        draw(0, color=drawing.ink(), alpha=0.3, linewidth=0.5)
