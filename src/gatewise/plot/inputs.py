"""Lines of the features of an input over time, whose ranges may differ widely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing

APART = 20  # the range of all features over that of one, above which each has its own range
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (1, 3)))  # so that lines differ in print as well


def lines(
    ax: Any, times: Any, values: Array, names: Sequence[str], measures: Sequence[str], lightest: float = 0.75
) -> None:
    """Draw input features (time, feature) with a legend: on one axis, or if that hides one, each in its own range.

    Their shades end at the place `lightest` of cividis, or begin as far from its light end on a dark ground.
    """
    places = drawing.set_time_axis(ax, times)
    shades = drawing.colour_map(CIVIDIS)(np.linspace(0.0, lightest, len(names)) + (1 - lightest) * drawing.is_dark())
    finite = np.where(np.isfinite(values).any(0), values, 0.0)
    low, high = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    ranges = (high - low)[high > low]
    apart = len(ranges) > 0 and high.max() - low.min() > APART * ranges.min()
    same = len(set(measures)) == 1
    for place, name in enumerate(names):
        label, line = drawing.feature_label(name, "" if same else measures[place]), values[:, place]
        if apart:
            constant = low[place] == high[place]
            ends = [
                0.0 if abs(end) < 1e-6 * abs(high[place] - low[place]) else end for end in (low[place], high[place])
            ]
            label += f"\n{ends[0]:.3g}" + ("" if constant else f" to {ends[1]:.3g}")
            line = line * 0 + 0.5 if constant else (line - low[place]) / (high[place] - low[place])
        style = DASHES[place % len(DASHES)]
        drawing.draw_series(ax, places, line, band=True, color=shades[place], linestyle=style, label=label)
    measure = measures[0] if same and measures else ""
    ax.set_ylabel(drawing.safe_text(measure or "input"))
    if apart:
        ax.set_yticks([0, 1], ["least", "largest"])
    drawing.legend_beside(ax)
