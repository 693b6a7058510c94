"""The picture of a probe: true and predicted values, and the best units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.insight.probe import SIGNIFICANT, Probe
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST_UNITS = 8


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
    axes = drawing.panels(ax, ["values", "units"], (2, 1.6), (8, 5.2), share_time=False)
    _draw_predictions(axes[0], record)
    _draw_best_units(axes[1], record)
    return axes  # type: ignore[no-any-return]


def _draw_predictions(ax: drawing.Axes, record: Probe) -> None:
    """Draw the values of a probe over time, and its predictions of them from held-out states."""
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
    best = np.lexsort((-np.abs(correlation), ~certain))[:MOST_UNITS]
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
