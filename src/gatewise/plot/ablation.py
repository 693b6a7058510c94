"""The picture of an ablation: the metric without each part, beside that of the whole model."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.ablation import Ablation
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST = 30  # parts that are drawn
POINTS = 14  # of height for the name of each
LEAST = 3  # rows of room


@picture
def ablation(record: Ablation, ax: Any) -> drawing.Axes:
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
    axes = drawing.single_panel(ax, (8, 1.2 + 0.25 * min(MOST, max(LEAST, len(record.metrics)))))
    room = int(axes.get_window_extent().height * 72 / axes.figure.dpi / POINTS)
    metrics = record.metrics[: min(MOST, max(LEAST, room))]
    rows, left_out = np.arange(len(metrics)), len(record.metrics) - len(metrics)
    axes.hlines(rows, record.unedited, metrics, color=drawing.hue("output_gate"), linewidth=2)
    look: dict[str, Any] = {"color": drawing.hue("output_gate"), "edgecolor": drawing.ink(), "linewidth": 0.5}
    axes.scatter(metrics, rows, s=30, zorder=3, **look)
    axes.axvline(record.unedited, color=drawing.ink(), linewidth=1)
    axes.set_ylim(max(LEAST, len(rows)) - 0.5, -0.5)
    drawing.name_ticks(axes.yaxis, [_short_name(name) for name in record.names[: len(rows)]], MOST)
    more = f"; {left_out:,} others are not drawn" if left_out else ""
    axes.set(xlabel=f"{drawing.safe_text(record.title)}\nline: the whole model{more}", title="without each part")
    return axes


def _short_name(name: str) -> str:
    """Return the name of a part with an arrow for its direction."""
    return name.replace(" of layer ", ", layer ").replace(" (forward)", " →").replace(" (backward)", " ←")
