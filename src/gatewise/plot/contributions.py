"""The picture of the contributions to a cell state: how much of what each step wrote is left in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.insight.naming import at_time, unit_of
from gatewise.insight.origin import Contributions
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST_UNITS = 5  # that have a layer each; all others share one layer
HUES = (0.05, 0.25, 0.65, 0.83, 1.0)  # places on cividis, without its greys
ENOUGH = 0.99  # the share of all contributions that the drawn steps hold


@picture
def contributions(record: Contributions, ax: Any, *, unit: int | str | None = None) -> drawing.Axes:
    """Draw the contributions of all steps to a cell state: shares stacked by unit, or of one unit with their signs.

    Parameters
    ----------
    unit : int or str, optional
        Which of the kept units, or its name; by default the shares of all.

    Returns
    -------
    Axes
        The bar on the left is the initial state. Later steps contribute nothing and are not drawn. If fewer than half
        of the steps hold 99 %, only they are drawn, and the title names the rest. The five units with the largest
        shares have a layer each, and all others one.

    Raises
    ------
    OptionError
        If there is no such unit.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.contributions(trace[0])
    >>> axes.get_ylabel()
    'share of the cell state'
    """
    axes = drawing.single_panel(ax, (8, 3.2))
    at = drawing.safe_text(at_time(record.times, record.step))
    if unit is None:
        by_step, initial = record.shares
        layers, names, colours = _stacked_layers(by_step, record.units)
        first = [float(initial.sum())]
        label, title = "share of the cell state", f"who wrote the cell state {at}"
    else:
        place = unit_of(list(record.units), unit)
        part = record.by_step[:, place]
        layers, first = [np.maximum(part, 0), np.minimum(part, 0)], [float(record.initial[place])]
        colours, names = [drawing.hue("positive"), drawing.hue("negative")], []
        label, title = (
            "contribution",
            f"who wrote the cell state of unit {drawing.shorten(record.units[place])} {at}",
        )
    window, rest = _steps_in_picture(np.sum(np.abs(layers), axis=0), record.step)
    places = drawing.set_time_axis(axes, record.times[window])
    _draw_stack(axes, places, [layer[window] for layer in layers], colours, names, signed=unit is not None)
    drawing.hatch_invalid(axes, places, None if record.valid is None else record.valid[window])
    _draw_initial_state(axes, drawing.edges_of(places), first[0], signed=unit is not None, rest=rest)
    axes.axhline(0, color=drawing.ink(), linewidth=0.5)
    axes.set_ylabel(label)
    axes.set_title(f"{title}\n", loc="left", fontsize="medium")  # above the title on the right
    if len(names) > 1:
        entries = (list(reversed(part)) for part in axes.get_legend_handles_labels())  # from the top layer down
        drawing.legend_beside(axes, *entries, title="unit")
    return axes


def _stacked_layers(by_step: Array, units: tuple[str, ...]) -> tuple[list[Array], list[str], list[Any]]:
    """Return a layer of the stacked picture for each large unit, and one for all others, with names and colours."""
    from matplotlib.colors import to_rgba

    large = np.argsort(-by_step.sum(0), kind="stable")[:MOST_UNITS]
    layers, names = [by_step[:, place] for place in large], [drawing.shorten(units[place], 12) for place in large]
    colours = list(drawing.colour_map(CIVIDIS)(HUES)[: len(large)])
    if others := len(units) - len(large):
        layers.append(by_step.sum(1) - sum(layers))
        names.append(f"{others:,} other{'s' if others > 1 else ''}")
        colours.append(to_rgba(drawing.hue("soft"), 0.4))
    return layers, names, colours


def _steps_in_picture(sizes: Array, step: int) -> tuple[slice, float]:
    """Return the steps to draw before a cell state, and the share of the contributions that other steps hold."""
    total, nonzero = sizes.sum(), np.flatnonzero(sizes)
    if not len(nonzero):
        return slice(None), 0.0
    backward = nonzero[0] >= step and nonzero[-1] > step
    running_sum = np.cumsum(sizes[step:] if backward else sizes[: step + 1][::-1])
    count = max(10, int(np.searchsorted(running_sum, ENOUGH * total)) * 5 // 4 + 2)
    if 2 * count > len(sizes):
        return slice(step, None) if backward else slice(0, step + 1), 0.0
    window = slice(step, step + count) if backward else slice(max(step + 1 - count, 0), step + 1)
    return window, float((total - sizes[window].sum()) / total)


def _draw_stack(
    ax: Any, places: npt.NDArray[Any], layers: list[Array], colours: Any, names: list[str], *, signed: bool
) -> None:
    """Draw layers of contributions to a cell state over time, stacked unless they are signed."""
    chosen = drawing.extreme_steps(np.sum(layers, axis=0), drawing.most_points(ax))
    edges = drawing.edges_of(places[chosen])
    base: Array = np.zeros(len(chosen))
    for place, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        top = layer[chosen] + (0 if signed else base)
        look: dict[str, Any] = {"fill": True, "facecolor": colour, "edgecolor": drawing.ink(), "linewidth": 0.3}
        ax.stairs(top, edges, baseline=0 if signed else base, **look, label=names[place] if names else None)
        base = top


def _draw_initial_state(ax: Any, edges: npt.NDArray[Any], value: float, *, signed: bool, rest: float) -> None:
    """Draw what is left of the initial state at the left, and name the share of the steps that are not drawn."""
    span = edges[-1] - edges[0]
    left, width = edges[0] - 0.06 * span, 0.03 * span
    ax.bar(left, value, width, facecolor="none", edgecolor=drawing.ink(), hatch="..", linewidth=0.8)
    ax.axvline(edges[0] - 0.02 * span, color=drawing.ink(), linewidth=0.5, linestyle=":")
    ax.set_xlim(left - width, edges[-1])
    drawing.label_ticks_from(ax.xaxis, edges[0])
    title = f"initial state {value:.3g}" if signed else f"initial state {100 * value:.3g} %"
    title += f"; earlier steps {100 * rest:.2g} %" if rest else ""
    ax.set_title(title, loc="right", fontsize="small")
