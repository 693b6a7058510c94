"""The picture of who wrote a cell state: what is left of what each step wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.insight.naming import at_time, unit_of
from gatewise.insight.origin import Contributions
from gatewise.insight.origin import contributions as data
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing
from gatewise.plot.picture import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 5  # units that are told apart at most; the others are one layer
LARGE = 0.1  # of the whole: the share of a unit that is told apart
HUES = (0.05, 0.25, 0.65, 0.83, 1.0)  # of cividis, without its greys
ENOUGH = 0.999  # of all that the steps wrote: earlier steps are left out where they are many


@picture(Contributions, data)
def contributions(record: Contributions, ax: Any, *, unit: int | str | None = None) -> Axes:
    """Draw who wrote a cell state: of all units the share of each step, stacked; of one unit what is left, signed.

    Parameters
    ----------
    unit : int or str, optional
        Which of the kept units, or its name; by default the shares of all.

    Returns
    -------
    Axes
        With a bar for the initial state apart, on the left. Steps that come later are not drawn, as they wrote nothing
        of it; where less than half of the steps hold 99.9 %, only these are, and what is left of the others is said.
        Of more than five units, at most five that hold a tenth of the whole each are told apart.

    Raises
    ------
    OptionError
        If there is no such unit.

    Notes
    -----
    Where there are more steps than pixels, the least and the greatest of each pixel are kept. Steps that are not valid
    are hatched.
    """
    axes = drawing.one_panel(ax, (8, 3.2))
    at = drawing.inert(at_time(record.times, record.step))
    if unit is None:
        by_step, initial = record.shares
        layers, names, colours = _layers(by_step, record.units)
        first = [initial.sum()]
        label, title = "share of the cell state", f"who wrote the cell state {at}"
    else:
        place = unit_of(list(record.units), unit)
        part = record.by_step[:, place]
        layers, first = [np.maximum(part, 0), np.minimum(part, 0)], [float(record.initial[place])]
        colours, names = [drawing.hue("positive"), drawing.hue("negative")], []
        label, title = (
            "contribution",
            f"who wrote the cell state of unit {drawing.shortened(record.units[place])} {at}",
        )
    shown, rest = _window(np.sum(np.abs(layers), axis=0), record.step)
    places = drawing.time_axis(axes, record.times[shown])
    _stacked(axes, places, [layer[shown] for layer in layers], colours, names, signed=unit is not None)
    drawing.hatched(axes, places, None if record.valid is None else record.valid[shown])
    _initial(axes, drawing.edges_of(places), first[0], signed=unit is not None, rest=rest)
    axes.axhline(0, color=drawing.ink(), linewidth=0.5)
    axes.set_ylabel(label)
    axes.set_title(title, loc="left", fontsize="medium")
    if len(names) > 1:
        axes.legend(*_reversed(axes), title="unit", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return axes


def _layers(by_step: Array, units: tuple[str, ...]) -> tuple[list[Array], list[str], list[Any]]:
    """Return the units that are told apart, the largest first, and the others together; their names and colours."""
    from matplotlib.colors import to_rgba

    sizes = by_step.sum(0)
    order = np.argsort(-sizes, kind="stable")
    told = [place for place in order[:SHOWN] if len(units) <= SHOWN or sizes[place] >= LARGE * sizes.sum()]
    layers, names = [by_step[:, place] for place in told], [drawing.shortened(units[place], 12) for place in told]
    colours = list(drawing.colours(CIVIDIS)(HUES)[: len(told)])
    if others := len(units) - len(told):
        layers.append(by_step.sum(1) - sum(layers))
        names.append(f"{others:,} others" if told else f"{others:,} units")
        colours.append(to_rgba(drawing.hue("soft"), 0.4) if told else drawing.hue("accent"))
    return layers, names, colours


def _window(sizes: Array, step: int) -> tuple[slice, float]:
    """Return the steps to draw, which hold enough, and what the others hold."""
    total, held = sizes.sum(), np.flatnonzero(sizes)
    if not len(held):
        return slice(None), 0.0
    backward = held[0] >= step and held[-1] > step
    since = np.cumsum(sizes[step:] if backward else sizes[: step + 1][::-1])
    count = max(10, int(np.searchsorted(since, ENOUGH * total)) * 5 // 4 + 2)
    if 2 * count > len(sizes):
        return slice(step, None) if backward else slice(0, step + 1), 0.0
    shown = slice(step, step + count) if backward else slice(max(step + 1 - count, 0), step + 1)
    return shown, float(total - sizes[shown].sum()) / total


def _stacked(
    ax: Any, places: npt.NDArray[Any], layers: list[Array], colours: Any, names: list[str], *, signed: bool
) -> None:
    chosen = drawing.reduced(np.sum(layers, axis=0), drawing.points(ax))
    edges = drawing.edges_of(places[chosen])
    base: Array = np.zeros(len(chosen))
    for place, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        top = layer[chosen] + (0 if signed else base)
        look: dict[str, Any] = {"fill": True, "facecolor": colour, "edgecolor": colour, "linewidth": 0.3}
        ax.stairs(top, edges, baseline=0 if signed else base, **look, label=names[place] if names else None)
        base = top


def _initial(ax: Any, edges: npt.NDArray[Any], value: float, *, signed: bool, rest: float) -> None:
    """Draw what is left of the initial state on the left, apart; say what is left of the steps that are not drawn."""
    span = edges[-1] - edges[0]
    left, width = edges[0] - 0.06 * span, 0.03 * span
    ax.bar(left, value, width, facecolor="none", edgecolor=drawing.ink(), hatch="..", linewidth=0.8)
    ax.axvline(edges[0] - 0.02 * span, color=drawing.ink(), linewidth=0.5, linestyle=":")
    ax.set_xlim(left - width, edges[-1])
    drawing.unlabelled_before(ax, edges[0])
    told = f"initial state {value:.3g}" if signed else f"initial state {100 * value:.3g} %"
    told += f"; earlier steps {100 * rest:.2g} %" if rest else ""
    ax.set_title(told, loc="right", fontsize="small")


def _reversed(ax: Any) -> tuple[list[Any], list[str]]:
    """Return the legend's entries in the order in which layers lie on each other."""
    handles, labels = ax.get_legend_handles_labels()
    return handles[::-1], labels[::-1]
