"""The picture of a probe: true and predicted values, R² of shifted values, and the best units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.insight.probe import SIGNIFICANT, Probe
from gatewise.insight.probe import probe as data
from gatewise.palette import PALETTE
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST_UNITS = 8


@picture(Probe, data)
def probe(record: Probe, ax: Any) -> npt.NDArray[Any]:
    """Draw what a probe predicts over time, its R² among those of shifted values, and the units that correlate most.

    Parameters
    ----------
    ax : sequence of three Axes or Figure, optional
        What to draw on; by default a new figure.

    Returns
    -------
    array of three Axes

    Notes
    -----
    The series are those of the first sequence with values. The bar of a unit is filled if its correlation is
    significant: at most 5 % of shifts give any unit a larger one.
    """
    axes = drawing.panels(ax, 3, (2, 1, 1.6), (8, 6.8), share_time=False)
    _draw_predictions(axes[0], record)
    _draw_null_histogram(axes[1], record)
    _draw_best_units(axes[2], record)
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
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, frameon=False, ncols=2)


def _line_marker(values: npt.NDArray[Any]) -> str:
    """Return the marker of a drawn line: a dot if some steps stand alone, where no line would be visible."""
    on = ~np.isnan(values)
    alone = on & ~np.concatenate([[False], on[:-1]]) & ~np.concatenate([on[1:], [False]])
    return "." if alone.any() else ""


def _draw_null_histogram(ax: drawing.Axes, record: Probe) -> None:
    """Draw the histogram of a probe's R² for values shifted in time, with the R² of the given values."""
    low, high = float(record.null.min()), max(float(record.null.max()), record.r_squared)
    floor = np.floor(100 * max(low, min(-1.0, record.r_squared - 1))) / 100  # the lowest bin takes what is below
    edges = np.linspace(floor, max(np.ceil(100 * high) / 100, floor + 0.01), 41)
    below = record.null < floor
    ax.hist(np.maximum(record.null, floor), edges.tolist(), color=drawing.ink(), alpha=0.5)
    ax.axvline(record.r_squared, color=PALETTE["forget_gate"].light, linewidth=2)
    ax.annotate(
        f"given: p = {record.p_value:.2g}",
        (record.r_squared, 1),
        (-4 if record.r_squared > (edges[0] + edges[-1]) / 2 else 4, -4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if record.r_squared > (edges[0] + edges[-1]) / 2 else "left",
        va="top",
    )
    ax.set_xlabel(
        "R² of values shifted in time" + (f" ({below.sum():,} of them below {floor:.2g})" if below.any() else "")
    )
    ax.set_ylabel("shifts")


def _draw_best_units(ax: drawing.Axes, record: Probe) -> None:
    """Draw a bar for the correlation of each unit that correlates most with a probe's values."""
    correlation = record.columns["correlation"]
    best = np.argsort(-np.abs(correlation), kind="stable")[:MOST_UNITS]
    for row, unit in enumerate(best):
        colour = PALETTE["positive" if correlation[unit] >= 0 else "negative"].light
        certain = record.columns["p_value"][unit] <= SIGNIFICANT
        ax.barh(row, correlation[unit], color=colour if certain else "none", edgecolor=colour, linewidth=1.2)
    ax.axvline(0, color=drawing.ink(), linewidth=0.8)
    drawing.name_ticks(ax.yaxis, [str(record.columns["unit"][unit]) for unit in best])
    ax.set_ylim(max(len(best), 4) - 0.5, -0.5)
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel(f"correlation of the unit alone (filled: p ≤ {SIGNIFICANT:g})")
    ax.set_ylabel("unit")
