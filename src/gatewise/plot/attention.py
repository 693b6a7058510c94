"""The picture of attention: how much of what each step wrote is left in the cell state at each later step."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.attention import Attention
from gatewise.insight.attention import attention as data
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture


@picture(Attention, data)
def attention(record: Attention, ax: Any) -> drawing.Axes:
    """Draw how much of what each step wrote is left at each later step: later steps down, writing steps across.

    Returns
    -------
    Axes
        The separate column on the left is the rest of the state before the first step. Shares are coloured from dark
        (0) to light (the largest share of a typical step, and more); the contributions to one unit in blue (negative)
        and red.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps, which write nothing,
    are hatched.
    """
    axes = drawing.single_panel(ax, (7, 6))
    count, pad = len(record.times), max(1, len(record.times) // 40)
    earlier = np.tri(count, dtype=bool)
    weights = np.where(earlier if record.direction == "forward" else earlier.T, record.weights, np.nan)
    pixels = max(20, int(drawing.INNER * axes.get_window_extent().height))
    weights = drawing.keep_extremes(drawing.keep_extremes(weights, pixels).T, pixels).T
    initial = drawing.keep_extremes(record.initial[:, None], pixels)
    signed = record.unit is not None
    limits, largest = _colour_limits(record)
    look: dict[str, Any] = {
        "aspect": "auto",
        "interpolation": "nearest",
        "cmap": drawing.colour_map(VIK if signed else CIVIDIS),
        "vmin": limits[0],
        "vmax": limits[1],
    }
    image = axes.imshow(weights, extent=(-0.5, count - 0.5, count - 0.5, -0.5), **look)
    axes.imshow(initial, extent=(-0.5 - 2 * pad, -0.5 - pad, count - 0.5, -0.5), **look)
    axes.set(xlim=(-0.5 - 2 * pad, count - 0.5), ylim=(count - 0.5, -0.5))
    drawing.hatch_invalid(axes, np.arange(float(count)), record.valid)
    names = [str(time) for time in record.times]
    for axis in (axes.xaxis, axes.yaxis):
        drawing.name_ticks(axis, names)
    above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": "small"}
    axes.annotate("before", (-0.5 - 1.5 * pad, -0.5), (0, 3), **above)
    axes.set(xlabel="written at", ylabel="in the cell state at")
    label = "contribution to the cell state" if signed else "share of the cell state"
    extend = "max" if largest > limits[1] else "neither"
    axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, aspect=30, extend=extend, label=label)
    axes.set_title(
        "cell state of all units" if record.unit is None else f"cell state of unit {drawing.shorten(record.unit)}"
    )
    return axes


def _colour_limits(record: Attention) -> tuple[tuple[float, float], float]:
    """Return the limits of an attention picture's colours, and the largest value; shares end at a typical one."""
    values = np.column_stack([record.initial, record.weights])
    if record.unit is not None:
        limits = drawing.symmetric_limits(values)
        return limits, limits[1]
    most = values.max(1)
    return (0.0, float(np.median(most)) or 1.0), float(most.max())
