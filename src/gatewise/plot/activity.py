"""The picture of activity: the standard deviation of each unit's hidden state, the most active unit first."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.activity import Activity
from gatewise.plot import drawing
from gatewise.plot.picture import picture


@picture
def activity(record: Activity, ax: Any) -> drawing.Axes:
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
    order = np.argsort(-record.deviation, kind="stable")
    edges = np.arange(len(order) + 1) - 0.5
    axes.stairs(record.deviation[order], edges, fill=True, facecolor=drawing.hue("hidden_state"), linewidth=0)
    axes.stairs(record.deviation[order], edges, color=drawing.ink(), linewidth=0.8)
    drawing.name_ticks(axes.xaxis, [str(record.columns["unit"][unit]) for unit in order])
    axes.set(
        xlabel="unit", ylabel="standard deviation of\nthe hidden state", xlim=(edges[0], edges[-1]), ylim=(0, None)
    )
    return axes
