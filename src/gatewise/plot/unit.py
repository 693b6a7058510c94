"""The picture of one unit's story: the input, its gates, its cell state and its hidden state on one time axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise import gates
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing, inputs
from gatewise.plot.picture import picture
from gatewise.plot.records.unit import Unit
from gatewise.plot.records.unit import unit as data

STYLES = {"input_gate": "--", "forget_gate": "-", "candidate": "-", "output_gate": "-."}
BETWEEN = (-0.05, 1.05)


@picture(Unit, data)
def unit(record: Unit, ax: Any) -> Any:
    """Draw the story of one unit: the input, its gates, its cell state and its hidden state on one time axis.

    Parameters
    ----------
    ax : sequence of Axes, or Figure, optional
        What to draw on: an Axes for each panel; by default a new figure.

    Returns
    -------
    array of Axes
        A panel for the input, the gates, the candidate, the cell state and the hidden state, as far as the trace kept
        them.

    Notes
    -----
    Where there are more steps than pixels, the least and the greatest value of each pixel are kept. Steps that are not
    valid are hatched.
    """
    open_or_shut = [name for name in gates.NAMES if record.limits.get(name) == (0, 1)]
    alone = [name for name in record.values if name not in open_or_shut]
    count = bool(record.features) + bool(open_or_shut) + len(alone)
    heights = [1.3] * (count - len(alone)) + [1.0] * len(alone)
    axes = drawing.panels(ax, count, heights, (8, 0.6 + 1.2 * sum(heights)))
    rest = iter(axes)
    if record.features:
        _input(next(rest), record)
    if open_or_shut:
        one = next(rest)
        one.set_ylabel("gates")
        one.set_ylim(*BETWEEN)
        for name in open_or_shut:
            _line(one, record, record.values[name], name.removesuffix("_gate"), drawing.hue(name), STYLES[name])
        _legend(one)
    for one, name in zip(rest, alone, strict=True):
        one.axhline(0, color=drawing.ink(), linewidth=0.5)
        one.set_ylabel(name.replace("_", "\n", 1).replace("_", " "))
        colour = drawing.hue("hidden_state" if name == "unprojected_state" else name)
        _line(one, record, record.values[name], name, colour)
    for one in axes:
        drawing.hatched(one, drawing.time_axis(one, record.times), record.valid)
    axes[0].set_title(drawing.inert(record.title))
    return axes


def _input(ax: Any, record: Unit) -> None:
    """Draw the features, in shades that differ in lightness, and in dashes."""
    shades = drawing.colours(CIVIDIS)(np.linspace(0.0, 0.6, len(record.features)) + 0.4 * drawing.dark())
    places = drawing.time_axis(ax, record.times)
    inputs.lines(ax, places, record.input, record.features, record.measures, shades)


def _line(ax: Any, record: Unit, values: Any, label: str, colour: Any, style: str = "-") -> None:
    drawing.series(ax, drawing.time_axis(ax, record.times), values, color=colour, linestyle=style, label=label)


def _legend(ax: Any) -> None:
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
