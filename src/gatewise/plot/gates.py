"""The picture of a gate: a colour for each unit and step, from dark (closed) to light (open)."""

from __future__ import annotations

from typing import Any

from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.gates import Gates


@picture
def gates(record: Gates, ax: Any) -> drawing.Axes:
    """Draw a gate of the units of a cell: units × time, from dark (0, closed) to light (1, open).

    A candidate, or a gate that may lie outside 0 to 1, is drawn from blue (negative) to red (positive).

    Notes
    -----
    With more steps or units than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.gates(trace[0], gate="input_gate")
    >>> axes.get_title()
    'input gate'
    """
    axes = drawing.single_panel(ax, (8, drawing.heatmap_height(len(record.units))))
    stops = VIK if record.limits[0] < 0 else CIVIDIS
    label = "0 closed, 1 open" if record.limits == (0, 1) else record.gate.replace("_", " ")
    drawing.draw_heatmap(axes, record.values, record.times, record.units, record.valid, stops, record.limits, label)
    axes.set_title(drawing.shorten(record.title, drawing.LONGEST_TITLE))
    return axes
