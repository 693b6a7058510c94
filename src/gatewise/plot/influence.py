"""The picture of influence: how strongly a step depends on each earlier one, on a logarithmic axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.insight.influence import NOTHING, Influence
from gatewise.plot import drawing
from gatewise.plot.picture import picture

LEAST = 1e-6  # of the largest value of a curve, below which it is not drawn
ENOUGH = 0.99  # of the influence of the inputs, which the drawn steps hold
FEW = 10  # lags that are drawn, at least


@picture
def influence(record: Influence, ax: Any) -> drawing.Axes:
    """Draw how strongly step T depends on each step: on its input, and in a cell on its state.

    Notes
    -----
    The steps that hold the share are shaded. Steps are drawn as far from T as 99 % of the influence of the inputs
    reaches, and of a model that runs in one direction on one side of T alone. Values below a millionth of a curve's
    largest leave a gap. With more steps than pixels, each pixel keeps its least and its greatest value.
    Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.influence(trace[0])
    >>> axes.get_title()
    '95 % of the influence of the inputs: the last 7 steps'
    """
    axes = drawing.single_panel(ax, (8, 3.5))
    curves = _influence_curves(record)
    window = _steps_in_picture(record)
    places = drawing.set_time_axis(axes, record.times[window])
    lags = record.columns["lag"][window]
    edges = drawing.edges_of(places)
    lowest, largest = np.inf, 0.0
    for name, values, look in curves:
        visible = np.where(values[window] >= LEAST * np.nanmax(values, initial=0), values[window], np.nan)
        visible[visible == 0] = np.nan
        drawing.draw_series(axes, places, visible, label=name, **look)
        if np.isfinite(visible).any():
            lowest, largest = min(lowest, np.nanmin(visible)), max(largest, np.nanmax(visible))
    if largest:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, largest * 2)
    _shade_horizon(axes, record, lags, edges)
    for place in places[lags == 0]:  # T
        axes.axvline(place, color=drawing.ink(), alpha=0.4, linewidth=0.6)
    drawing.hatch_invalid(axes, places, None if record.valid is None else record.valid[window])
    axes.set_ylabel("norm of the derivative")
    axes.legend(loc="best", fontsize="small", framealpha=0.8)
    return axes


def _influence_curves(record: Influence) -> list[tuple[str, Array, dict[str, Any]]]:
    """Return the curves of the picture of influence, each with its name, values and matplotlib style."""
    if record.cell_state is None or record.along_cell is None:
        return [("∂ output / ∂ input", record.inputs, {"color": drawing.ink(), "zorder": 3})]
    total = {"color": drawing.hue("cell_state"), "zorder": 4}
    along = {"color": drawing.hue("forget_gate"), "linestyle": "--", "zorder": 5}
    return [
        ("∂ hidden state / ∂ input", record.inputs, {"color": drawing.hue("hidden_state"), "zorder": 3}),
        ("∂ cell state / ∂ cell state, in total", record.cell_state, total),
        ("∂ cell state / ∂ cell state, gates held", np.asarray(record.columns["along_cell"]), along),
    ]


def _steps_in_picture(record: Influence) -> slice:
    """Return the steps that the picture of influence shows: near T, and on one side of it if the other has none."""
    lags, on = record.columns["lag"], np.flatnonzero(record.inputs)
    ends, sums = np.flatnonzero(lags == 0), np.cumsum(np.bincount(lags, record.inputs))
    reach = max(FEW, record.lag, int(np.searchsorted(sums, ENOUGH * sums[-1])))
    first, last = np.flatnonzero(lags <= reach)[[0, -1]]
    if len(on) and on[0] < ends[0] and on[-1] <= ends[-1]:
        last = ends[-1]
    elif len(on) and on[0] >= ends[0] and on[-1] > ends[-1]:
        first = ends[0]
    return slice(int(first), int(last) + 1)


def _shade_horizon(axes: drawing.Axes, record: Influence, lags: npt.NDArray[Any], edges: npt.NDArray[Any]) -> None:
    """Shade the steps that hold most of the influence, and name them in the picture's title."""
    if not record.inputs.any() or record.size < NOTHING:
        axes.set_title(drawing.safe_text(record.sentence.partition(": ")[0]), fontsize="medium")
        return
    for first, stop in drawing.spans_of(lags <= record.lag):
        axes.axvspan(edges[first], edges[stop], color=drawing.hue("hidden_state"), alpha=0.18, linewidth=0)
    axes.set_title(f"{100 * record.share:g} % of the influence of the inputs: {record.within}", fontsize="medium")
