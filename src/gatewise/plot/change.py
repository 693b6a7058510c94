"""The picture of a change: two runs, before and after an intervention, where they part and where they were edited."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask
from gatewise.insight.change import Change
from gatewise.insight.change import change as data
from gatewise.plot import drawing
from gatewise.plot.picture import picture

STYLES = {"input_gate": "--", "forget_gate": "-", "candidate": ":", "output_gate": "-."}
STATES = ("cell_state", "hidden_state")
DASHED = 1000  # steps of which dashes can be told apart


@picture(Change, data)
def change(record: Change, ax: Any) -> Any:
    """Draw what an intervention changes: how far two runs are apart at every step, and one unit before and after.

    Parameters
    ----------
    ax : sequence of Axes, or Figure, optional
        What to draw on: an Axes for each panel; by default a new figure.

    Returns
    -------
    array of Axes
        The distance of the two runs in the unit's cell, on a logarithmic axis where it spans much; then of the unit a
        panel for the gate where the runs part, the cell state and the hidden state, as far as the traces kept them.
        Edited steps are shaded; a line marks the step where the runs part.

    Notes
    -----
    Where there are more steps than pixels, the least and the greatest value of each pixel are kept. Steps that are not
    valid are hatched.
    """
    shown = [name for name in _shown(record) if name in record.series]
    axes = drawing.panels(ax, 1 + len(shown), [1.4] + [1.0] * len(shown), (8, 2.4 + 1.3 * len(shown)))
    cell = record.cells.index((record.unit.layer, record.unit.direction))
    _distance(axes[0], record, record.norms[cell])
    for one, name in zip(axes[1:], shown, strict=True):
        _before_and_after(one, record, name)
    for number, one in enumerate(axes):
        places = drawing.time_axis(one, record.times)
        drawing.hatched(one, places, record.valid)
        _shaded(one, places, record.edited[cell], "edited" if number == 0 else None)
        if record.first is not None:
            label = "the runs part" if number == 0 else None
            one.axvline(
                places[record.first.step], color=drawing.ink(), linewidth=0.8, linestyle=(0, (1, 2)), label=label
            )
        _legend(one)
    axes[0].set_title(drawing.inert(record.name))
    return axes


def _shown(record: Change) -> tuple[str, ...]:
    """Return which quantities of the unit have a panel: the gate where the runs part, and the states."""
    first = record.first
    if first is None or first.quantity not in gates.NAMES or first[:2] != record.unit[:2]:
        return STATES
    return (first.quantity, *STATES)


def _distance(ax: Any, record: Change, norms: Array) -> None:
    """Draw how far the two runs are apart."""
    largest = np.max(norms, where=np.isfinite(norms), initial=0.0)
    least = np.min(norms, where=(norms > 0) & np.isfinite(norms), initial=largest)
    if largest > 100 * least:
        ax.set_yscale("log")
        ax.set_ylim(max(least, 1e-12 * largest) / 2, 2 * largest)
    else:
        ax.set_ylim(-0.05 * (largest or 1.0), 1.05 * (largest or 1.0))
    places = drawing.time_axis(ax, record.times)
    for place, name in enumerate(record.quantities):
        values = norms[:, place]
        if (values > 0).any():
            shown = np.where(values > 0, values, np.nan if ax.get_yscale() == "log" else 0.0)
            look = {"color": drawing.hue(name), "linestyle": STYLES.get(name, "-")}
            drawing.series(ax, places, shown, label=name.replace("_", " "), **look)
    ax.set_ylabel("distance")


def _before_and_after(ax: Any, record: Change, name: str) -> None:
    """Draw a quantity of the unit, before in grey and after in its hue; what is dashed is seen over what is not."""
    places = drawing.time_axis(ax, record.times)
    before, after = record.series[name]
    look = {"linestyle": "--", "zorder": 2.5} if len(before) <= DASHED else {}
    drawing.series(ax, places, before, color=drawing.hue("soft"), label="before", **look)
    drawing.series(ax, places, after, color=drawing.hue(name), label="after")
    ax.set_ylabel(name.replace("_", "\n", 1).replace("_", " "))


def _shaded(ax: Any, places: Any, edited: Mask, label: str | None) -> None:
    """Shade the steps that were edited."""
    if not edited.any():
        return
    from matplotlib.collections import PolyCollection

    edges = drawing.edges_of(places)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], edited, [False]]).astype(int))).reshape(-1, 2)
    boxes = [[(edges[a], 0), (edges[a], 1), (edges[b], 1), (edges[b], 0)] for a, b in ends]
    look: dict[str, Any] = {"facecolor": drawing.hue("accent"), "alpha": 0.18, "linewidth": 0, "zorder": 0}
    ax.add_collection(PolyCollection(boxes, transform=ax.get_xaxis_transform(), label=label, **look), autolim=False)


def _legend(ax: Any) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
