"""The picture of the states: a colour for each unit and step of the cell state and of the hidden state."""

from __future__ import annotations

from typing import Any

from gatewise.palette import VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.states import States


@picture
def states(record: States, ax: Any) -> Any:
    """Draw the cell state and the hidden state of a cell: units × time, from blue (negative) to red (positive).

    Returns
    -------
    array of Axes
        Two, or one if the trace kept only one of the states.

    Notes
    -----
    Each scale is symmetric about 0. With more steps or units than pixels, each pixel keeps its least and its greatest
    value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.states(trace[0])
    >>> [panel.get_title() for panel in axes]
    ['cell state', 'hidden state']
    """
    heights = [drawing.heatmap_height(len(units)) for units in record.units.values()]
    axes = drawing.panels(ax, list(record.values), heights, (8, min(9, sum(heights))))
    for panel, (name, values) in zip(axes, record.values.items(), strict=True):
        look = record.times, record.units[name], record.valid, VIK, record.limits[name]
        drawing.draw_heatmap(panel, values, *look, label=name.replace("_", " "))
        panel.set_title(drawing.shorten(record.titles[name], drawing.LONGEST_TITLE))
    return axes
