"""The picture of influence: how much a step depends on those before it, on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.insight.influence import Influence
from gatewise.insight.influence import influence as data
from gatewise.plot import drawing
from gatewise.plot.picture import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 1e-6  # of the largest value: what is smaller is not drawn
BEYOND = 1.5  # how many times the lag is shown at least


@picture(Influence, data)
def influence(record: Influence, ax: Any) -> Axes:
    """Draw how much a step depends on each step: its inputs, and of a cell its states, along the cell and in all.

    Returns
    -------
    Axes

    Notes
    -----
    The steps that hold the share are shaded. Only those near T are shown, as far as any value is a millionth of the
    largest of its kind; a value below that, or of zero, leaves a gap. Of many steps, the least and the greatest value
    are kept for each pixel. Steps that are not valid are hatched.
    """
    axes = drawing.one_panel(ax, (8, 3.5))
    curves = _curves(record)
    shown = _shown(record, [values for _, values, _ in curves])
    places = drawing.time_axis(axes, record.times[shown])
    lags = record.columns["lag"][shown]
    edges = drawing.edges_of(places)
    lowest, largest = np.inf, 0.0
    for name, values, look in curves:
        drawn = np.where(values[shown] >= LEAST * np.nanmax(values, initial=0), values[shown], np.nan)
        drawn[drawn == 0] = np.nan
        drawing.series(axes, places, drawn, label=name, **look)
        if np.isfinite(drawn).any():
            lowest, largest = min(lowest, np.nanmin(drawn)), max(largest, np.nanmax(drawn))
    if largest:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, largest * 2)
    _shade(axes, record, lags, edges)
    for place in places[lags == 0]:  # T
        axes.axvline(place, color=drawing.ink(), alpha=0.4, linewidth=0.6)
    drawing.hatched(axes, places, None if record.valid is None else record.valid[shown])
    axes.set_ylabel("norm of the derivative")
    axes.legend(loc="best", fontsize="small", framealpha=0.8)
    return axes


def _curves(record: Influence) -> list[tuple[str, Array, dict[str, Any]]]:
    """Return what is drawn: its name, values and look."""
    if record.cell_state is None or record.along_cell is None:
        return [("∂ output / ∂ input", record.inputs, {"color": drawing.ink(), "zorder": 3})]
    whole = {"color": drawing.hue("cell_state"), "zorder": 4}
    along = {"color": drawing.hue("forget_gate"), "linestyle": "--", "zorder": 5}
    return [
        ("∂ hidden state / ∂ input", record.inputs, {"color": drawing.hue("hidden_state"), "zorder": 3}),
        ("∂ cell state / ∂ cell state, in total", record.cell_state, whole),
        ("∂ cell state / ∂ cell state, gates held", np.asarray(record.columns["along_cell"]), along),
    ]


def _shown(record: Influence, curves: list[Array]) -> slice:
    """Return the steps that are shown: those near T that have a value to draw, and more than the lag."""
    lags = record.columns["lag"]
    far = [lags[values >= LEAST * np.nanmax(values, initial=0)].max(initial=0) for values in curves if values.any()]
    near = np.flatnonzero(lags <= max(2, BEYOND * record.lag, *far, 0))
    return slice(int(near[0]), int(near[-1]) + 1)


def _shade(axes: Axes, record: Influence, lags: npt.NDArray[Any], edges: npt.NDArray[Any]) -> None:
    """Shade the steps that hold the share, and say which they are."""
    if not record.inputs.any():
        axes.set_title(drawing.inert(record.sentence), fontsize="medium")
        return
    within = np.flatnonzero(np.diff(np.concatenate([[False], lags <= record.lag, [False]]).astype(int)))
    for first, stop in within.reshape(-1, 2):
        axes.axvspan(edges[first], edges[stop], color=drawing.hue("hidden_state"), alpha=0.18, linewidth=0)
    axes.set_title(f"{100 * record.share:g} % of the influence of the inputs: {record.within}", fontsize="medium")
