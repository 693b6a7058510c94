"""The picture of how long units remember: their timescales, the longest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.insight.memory import Timescales
from gatewise.insight.memory import timescales as data
from gatewise.plot import drawing
from gatewise.plot.picture import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 20  # the largest over the smallest timescale, from which the axis is logarithmic


@picture(Timescales, data)
def timescales(record: Timescales, ax: Any) -> Axes:
    """Draw how long each unit remembers, the longest first: in the data's own time where its steps have dates.

    Returns
    -------
    Axes
        Its axis is logarithmic where timescales differ much. A triangle at the upper edge is a unit that forgets
        nothing, one at the lower edge one that forgets all.
    """
    axes = drawing.one_panel(ax)
    unit = record.time_unit or "steps"
    length = record.columns[f"timescale_{unit}" if record.time_unit else "timescale"]
    order = np.argsort(-length, kind="stable")
    length, units = length[order], record.columns["unit"][order]
    places, plain = np.arange(len(length)), np.isfinite(length) & (length > 0)
    found = length[plain]
    if found.size and found.max() > WIDE * found.min():
        axes.set_yscale("log")
    size = 30 if len(length) <= 100 else 8
    look: dict[str, Any] = {
        "color": drawing.hue("forget_gate"),
        "edgecolor": drawing.ink(),
        "linewidth": 0.5 if size > 8 else 0.2,
    }
    axes.scatter(places[plain], found, s=size, **look, zorder=3)
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, 1.1 * found.max() if found.size else 1)
    for marker, edge, which in (("^", 1, np.isinf(length)), ("v", 0, length == 0)):
        if which.any():
            said = "forgets nothing" if edge else "forgets all"
            edges = np.full(int(which.sum()), float(edge))
            transform = axes.get_xaxis_transform()
            axes.scatter(
                places[which], edges, s=40, marker=marker, **look, transform=transform, clip_on=False, label=said
            )
    if not plain.all():
        axes.legend(frameon=False)
    axes.set_xlim(-0.5, len(length) - 0.5)
    drawing.names(axes.xaxis, [str(name) for name in units])
    axes.set(xlabel="unit", ylabel=f"timescale ({unit})", title="how long each unit remembers")
    return axes
