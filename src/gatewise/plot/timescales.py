"""The picture of timescales: the time in which each cell state decays between resets, the longest first."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.memory import Timescales
from gatewise.plot import drawing
from gatewise.plot.picture import picture

WIDE = 20  # the largest over the smallest timescale, above which the axis is logarithmic


@picture
def timescales(record: Timescales, ax: Any) -> drawing.Axes:
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
    unit = record.time_unit or "steps"
    length = record.columns[f"between_resets_{unit}" if record.time_unit else "between_resets"]
    order = np.argsort(-length, kind="stable")
    length, units = length[order], record.columns["unit"][order]
    places, plain = np.arange(len(length)), np.isfinite(length) & (length > 0)
    finite = length[plain]
    if finite.size and finite.max() > WIDE * finite.min():
        axes.set_yscale("log")
    size = 30 if len(length) <= 100 else 8
    look: dict[str, Any] = {
        "color": drawing.hue("forget_gate"),
        "edgecolor": drawing.ink(),
        "linewidth": 0.5 if size > 8 else 0.2,
    }
    axes.scatter(places[plain], finite, s=size, **look, zorder=3)
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, 1.1 * finite.max() if finite.size else 1)
    for marker, edge, which in (("^", 1, np.isinf(length)), ("v", 0, length == 0)):
        if which.any():
            label = "forgets nothing" if edge else "forgets all"
            edges = np.full(int(which.sum()), float(edge))
            transform = axes.get_xaxis_transform()
            axes.scatter(
                places[which], edges, s=40, marker=marker, **look, transform=transform, clip_on=False, label=label
            )
    if not plain.all():
        axes.legend(frameon=False)
    axes.set_xlim(-0.5, len(length) - 0.5)
    drawing.name_ticks(axes.xaxis, [str(name) for name in units])
    axes.set(xlabel="unit", ylabel=f"timescale ({unit})", title="how fast each cell state decays between resets")
    return axes
