"""The picture of a gate: a colour for each unit and step, from dark (closed) to light (open)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.palette import CIVIDIS, VIK
from gatewise.plot import drawing
from gatewise.plot.records.gates import Gates
from gatewise.plot.records.gates import gates as data
from gatewise.records.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gates(trace: Trace | Gates, ax: Any = None, **options: Any) -> Axes:
    """Draw a gate of the units of a cell: units × time, from dark (0, closed) to light (1, open).

    A candidate, or a gate whose nonlinearity does not lie between 0 and 1, is drawn from blue (negative) to red.

    Parameters
    ----------
    trace : Trace or Gates
        A run of one cell, or the record of it that `plot.data.gates` returns.
    ax : Axes or Figure, optional
        What to draw on; by default a new figure.
    **options
        Those of `plot.data.gates`: ``gate``, ``sequence``, ``units``, ``sort``.

    Returns
    -------
    Axes

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OptionError, NotKeptError
        As `plot.data.gates`.

    Notes
    -----
    Where there are more steps or units than pixels, the least and the greatest value of each pixel are kept. Steps that
    are not valid are hatched.
    """
    record = drawing.taken(trace, Gates, data, options)
    axes = drawing.one_panel(ax, (8, drawing.height(len(record.units))))
    stops = VIK if record.limits[0] < 0 else CIVIDIS
    label = "0 closed, 1 open" if record.limits == (0, 1) else record.gate.replace("_", " ")
    drawing.heatmap(axes, record.values, record.times, record.units, record.valid, stops, record.limits, label)
    axes.set_title(drawing.inert(record.title))
    return axes
