"""The picture of the states: the cell state and the hidden state, each a colour for each unit and step."""

from __future__ import annotations

from typing import Any

from gatewise.palette import VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.states import States
from gatewise.plot.records.states import states as data


@picture(States, data)
def states(record: States, ax: Any) -> Any:
    """Draw the cell state and the hidden state of a cell: units × time, from blue (negative) to red (positive).

    Parameters
    ----------
    ax : sequence of Axes, or Figure, optional
        What to draw on: an Axes for each state that was kept; by default a new figure.

    Returns
    -------
    array of Axes
        Two, or one where the trace kept only one of the states.

    Notes
    -----
    Each scale is symmetric about 0. Where there are more steps or units than pixels, the least and the greatest value
    of each pixel are kept. Steps that are not valid are hatched.
    """
    heights = [drawing.height(len(units)) for units in record.units.values()]
    axes = drawing.panels(ax, len(heights), heights, (8, min(9, sum(heights))))
    for one, (name, values) in zip(axes, record.values.items(), strict=True):
        of = record.times, record.units[name], record.valid, VIK, record.limits[name]
        drawing.heatmap(one, values, *of, label=name.replace("_", " "))
        one.set_title(drawing.inert(record.titles[name]))
    return axes
