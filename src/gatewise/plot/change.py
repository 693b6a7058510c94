"""The picture of a change: the distance of two runs at every step, and one unit before and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask
from gatewise.insight.change import Change
from gatewise.plot import drawing
from gatewise.plot.picture import picture

STYLES = {"input_gate": "--", "forget_gate": "-", "candidate": ":", "output_gate": "-."}
STATES = ("cell_state", "hidden_state")


@picture
def change(record: Change, ax: Any) -> Any:
    """Draw the effect of an intervention: the distance of two runs at every step, and one unit before and after.

    Returns
    -------
    array of Axes
        First the distance of the two runs in the unit's cell, on a logarithmic axis if it spans two decades. Then a
        panel of the unit for the gate in which the runs part, the cell state and the hidden state, if the traces kept
        them. Edited steps are shaded; a line marks the step at which the runs part.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> axes = gw.plot.change(lstm.trace(x), after=lstm.trace(-x))
    >>> len(axes), axes[0].get_ylabel()
    (3, 'distance')
    """
    names = [name for name in _panel_quantities(record) if name in record.series]
    axes = drawing.panels(ax, ["distance", *names], [1.4] + [1.0] * len(names), (8, 2.4 + 1.3 * len(names)))
    cell = record.cells.index((record.unit.layer, record.unit.direction))
    _draw_distances(axes[0], record, record.norms[cell])
    for panel, name in zip(axes[1:], names, strict=True):
        _draw_before_and_after(panel, record, name)
    for number, panel in enumerate(axes):
        places = drawing.set_time_axis(panel, record.times)
        drawing.hatch_invalid(panel, places, record.valid)
        _shade_edits(panel, places, record.edited[cell], "edited" if number == 0 else None)
        if record.first is not None:
            label = "the runs part" if number == 0 else None
            panel.axvline(
                places[record.first.step], color=drawing.ink(), linewidth=0.8, linestyle=(0, (1, 2)), label=label
            )
        if panel.get_legend_handles_labels()[0]:
            drawing.legend_beside(panel)
    axes[0].set_title(drawing.shorten(record.name, drawing.LONGEST_TITLE))
    return axes


def _panel_quantities(record: Change) -> tuple[str, ...]:
    """Return the quantities of the compared unit that get a panel: the gate in which the runs part, and the states."""
    first = record.first
    if first is None or first.quantity not in gates.NAMES or first[:2] != record.unit[:2]:
        return STATES
    return (first.quantity, *STATES)


def _draw_distances(ax: Any, record: Change, norms: Array) -> None:
    """Draw the distance of two compared runs in each quantity of a cell; `norms` is (time, quantities)."""
    largest = np.max(norms, where=np.isfinite(norms), initial=0.0)
    least = np.min(norms, where=(norms > 0) & np.isfinite(norms), initial=largest)
    if largest > 100 * least:
        ax.set_yscale("log")
        ax.set_ylim(max(least, 1e-12 * largest) / 2, 2 * largest)
    else:
        ax.set_ylim(-0.05 * (largest or 1.0), 1.05 * (largest or 1.0))
    places = drawing.set_time_axis(ax, record.times)
    for place, name in enumerate(record.quantities):
        values = norms[:, place]
        if (values > 0).any():
            visible = np.where(values > 0, values, np.nan if ax.get_yscale() == "log" else 0.0)
            look: dict[str, Any] = {"color": drawing.hue(name), "linestyle": STYLES.get(name, "-")}
            drawing.draw_series(ax, places, visible, label=name.replace("_", " "), **look)
    ax.set_ylabel("distance")


def _draw_before_and_after(ax: Any, record: Change, name: str) -> None:
    """Draw a quantity of a unit in two compared runs: before in grey and dashed, over after in its hue."""
    places = drawing.set_time_axis(ax, record.times)
    before, after = record.series[name]
    look: dict[str, Any] = {"band": True, "linestyle": "--", "zorder": 2.5}
    drawing.draw_series(ax, places, before, color=drawing.hue("soft"), label="before", **look)
    drawing.draw_series(ax, places, after, band=True, color=drawing.hue(name), label="after")
    ax.set_ylabel(name.replace("_", "\n", 1).replace("_", " "))


def _shade_edits(ax: Any, places: Any, edited: Mask, label: str | None) -> None:
    """Shade the edited steps of a run on an Axes."""
    if edited.any():
        spans = drawing.edges_of(places)[drawing.spans_of(edited)]
        drawing.shade_spans(ax, spans, facecolor=drawing.hue("accent"), alpha=0.18, zorder=0, label=label)
