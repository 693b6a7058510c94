"""The picture of saturation: of each gate and unit, the share of closed steps against that of open ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.saturation import GATES, Saturation
from gatewise.plot import drawing
from gatewise.plot.picture import picture

NAMED = 10  # units, up to which each point has a name
MOST_NAMES = 5  # of more units
LARGEST = 300.0  # area of a point, in square points


@picture
def saturation(record: Saturation, ax: Any) -> Any:
    """Draw how often each gate of each unit is closed and open: a panel for each gate, a point for each unit.

    After figure 3 of Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015): a gate
    in the lower right is always closed, one in the upper left always open, one on the diagonal never in between.

    Returns
    -------
    array of Axes
        One each for the input, the forget and the output gate. A point of several units is larger, one of dead units
        hollow. Up to 10 units have their names beside them; of more, the five whose gate is closed or open most often.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.saturation(trace[0])
    >>> [panel.get_title() for panel in axes]
    ['input gate', 'forget gate', 'output gate']
    """
    axes = drawing.panels(ax, [name.replace("_", " ") for name in GATES], size=(9, 3.4), side_by_side=True)
    units = record.columns["unit"][: record.closed.shape[1]]
    dead = np.zeros(len(units), bool) if record.dead is None else record.dead
    for place, (name, panel) in enumerate(zip(GATES, axes, strict=True)):
        panel.plot([0, 1], [1, 0], color=drawing.ink(), alpha=0.5, linewidth=0.8, linestyle="--")
        _draw_points(panel, record.closed[place], record.open[place], dead, drawing.hue(name))
        _name_points(panel, record.closed[place], record.open[place], units)
        panel.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), title=name.replace("_", " "))
        panel.set_aspect("auto" if drawing.inches(panel.xaxis) < 1 else "equal")
    axes[1].set_xlabel(f"share of steps below {record.low:g}")
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
    """Write the names of units beside their points; units on one side and of nearly one height share a line."""
    share, line = np.maximum(closed, opened), 0.15 / drawing.inches(ax.yaxis)
    letters = max(6, int(9 * drawing.inches(ax.xaxis)))
    most = [unit for unit in np.argsort(-share, kind="stable")[:MOST_NAMES] if share[unit]]
    lines: dict[tuple[bool, int], list[int]] = {}
    for unit in range(len(units)) if len(units) <= NAMED else most:
        lines.setdefault((closed[unit] > 0.5, round(opened[unit] / line)), []).append(unit)
    for (left, number), some in lines.items():
        label = ", ".join(units[unit] for unit in some[:2]) + (f" and {len(some) - 2} more" if len(some) > 2 else "")
        look: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "fontsize": "x-small"}
        where = (closed[some[0]], number * line)
        label = drawing.shorten(label, letters)
        ax.annotate(label, where, (-8 if left else 8, 0), textcoords="offset points", **look).set_in_layout(False)
