"""The picture of saturation: of each gate and unit, the share of closed steps against that of open ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.saturation import GATES, Saturation
from gatewise.insight.saturation import saturation as data
from gatewise.plot import drawing
from gatewise.plot.picture import picture

NAMED = 10  # units, up to which each point has a name
LARGEST = 300.0  # area of a point, in square points


@picture(Saturation, data)
def saturation(record: Saturation, ax: Any) -> Any:
    """Draw how often each gate of each unit is closed and open: a panel for each gate, a point for each unit.

    After figure 3 of Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015): a gate
    in the lower right is always closed, one in the upper left always open, one on the diagonal never in between.

    Parameters
    ----------
    ax : sequence of 3 Axes, or Figure, optional
        What to draw on; by default a new figure.

    Returns
    -------
    array of Axes
        One each for the input, the forget and the output gate. A point of several units is larger, one of dead units
        hollow. Up to 10 units have their names beside them.
    """
    axes = drawing.panels(ax, len(GATES), size=(9, 3.4), side_by_side=True)
    units = record.columns["unit"][: record.closed.shape[1]]
    dead = np.zeros(len(units), bool) if record.dead is None else record.dead
    for place, (name, panel) in enumerate(zip(GATES, axes, strict=True)):
        panel.plot([0, 1], [1, 0], color=drawing.ink(), alpha=0.5, linewidth=0.8, linestyle="--")
        _draw_points(panel, record.closed[place], record.open[place], dead, drawing.hue(name))
        if len(units) <= NAMED:
            _name_points(panel, record.closed[place], record.open[place], units)
        panel.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), aspect="equal", title=name.replace("_", " "))
        panel.set_xlabel(f"share of steps below {record.low:g}")
    axes[0].set_ylabel(f"share of steps above {record.high:g}")
    return axes


def _draw_points(ax: Any, closed: Any, opened: Any, dead: Any, colour: str) -> None:
    """Draw a point for each unit at its shares of steps with a gate closed and open; dead units are hollow."""
    size = float(np.clip(900 / len(closed), 8, 40))
    look: dict[str, Any] = {"edgecolor": drawing.ink(), "linewidth": 0.5, "clip_on": False, "zorder": 3}
    alive = {"color": colour, "alpha": 0.7 if len(closed) > NAMED else 1.0}
    for units, kind in ((~dead, alive), (dead, {"facecolor": "none", "label": "dead"})):
        if units.any():  # a point for each distinct place; its area grows with the number of units, up to a bound
            places, counts = np.unique(np.round([closed[units], opened[units]], 2), axis=1, return_counts=True)
            ax.scatter(*places, s=np.minimum(size * counts, LARGEST), **kind, **look)
    if dead.any():
        ax.legend(loc="upper right", frameon=False, handletextpad=0.2)


def _name_points(ax: Any, closed: Any, opened: Any, units: Any) -> None:
    """Write the names of units beside their points; units of nearly one place share a line."""
    places: dict[tuple[float, float], list[tuple[float, float, str]]] = {}
    for x, y, name in zip(closed.tolist(), opened.tolist(), units, strict=True):
        places.setdefault((round(x, 1), round(y, 1)), []).append((x, y, drawing.shorten(name, 12)))
    for units_there in places.values():
        (x, y, _), names = units_there[0], [name for _, _, name in units_there]
        left = x > 0.5
        look: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "fontsize": "x-small"}
        label = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        text = ax.annotate(label, (x, y), (-6 if left else 6, 7), textcoords="offset points", **look)
        text.set_in_layout(False)
