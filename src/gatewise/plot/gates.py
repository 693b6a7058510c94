"""The picture of a gate: a colour for each unit and step, from dark (closed) to light (open)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.gates import Gates
from gatewise.plot.records.gates import gates as data

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@picture(Gates, data)
def gates(record: Gates, ax: Any) -> Axes:
    """Draw a gate of the units of a cell: units × time, from dark (0, closed) to light (1, open).

    A candidate, or a gate whose nonlinearity does not lie between 0 and 1, is drawn from blue (negative) to red.

    Returns
    -------
    Axes

    Notes
    -----
    Where there are more steps or units than pixels, the least and the greatest value of each pixel are kept. Steps that
    are not valid are hatched.
    """
    axes = drawing.one_panel(ax, (8, drawing.height(len(record.units))))
    stops = VIK if record.limits[0] < 0 else CIVIDIS
    label = "0 closed, 1 open" if record.limits == (0, 1) else record.gate.replace("_", " ")
    drawing.heatmap(axes, record.values, record.times, record.units, record.valid, stops, record.limits, label)
    axes.set_title(drawing.inert(record.title))
    return axes
