"""The picture of attention: how much of the cell state of each step was written how long before."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.insight.attention import Attention
from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture

ENOUGH = 0.99  # of what all steps wrote, which the drawn lags hold
FEW = 5  # lags that are drawn, at least


@picture
def attention(record: Attention, ax: Any) -> drawing.Axes:
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
    by_lag = _weights_by_lag(record)
    count = by_lag.shape[1]
    signed = record.unit is not None
    values = np.column_stack([record.initial, record.weights])
    limits = drawing.symmetric_limits(values) if signed else (0.0, float(np.median(values.max(1))) or 1.0)
    image = drawing.draw_heatmap(
        axes,
        by_lag,
        record.times,
        [str(lag) for lag in range(count)],
        record.valid,
        VIK if signed else CIVIDIS,
        limits,
        "contribution to the cell state" if signed else "share of the cell state",
    )
    left, right, *_ = image.get_extent()
    pad = max(1, count // 16)
    places = drawing.set_time_axis(axes, record.times)
    initial = drawing.keep_extremes(record.initial[:, None], drawing.pixel_columns(axes), places).T
    look: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "cmap": image.get_cmap(), "clim": limits}
    axes.imshow(initial, extent=(left, right, count - 0.5 + 2 * pad, count - 0.5 + pad), **look)
    axes.set_ylim(count - 0.5 + 2 * pad, -0.5)
    aside: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center", "fontsize": "small"}
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
    reach = max(FEW, int(np.searchsorted(sizes, ENOUGH * sizes[-1])) + 1)
    by_lag = np.full((len(diagonals), min(reach, len(diagonals))), np.nan)
    for lag, diagonal in enumerate(diagonals[:reach]):
        by_lag[lag:, lag] = diagonal
    return by_lag[order]
