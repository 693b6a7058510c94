"""The features of an input over time, which may be measured in units that have little to do with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.plot import drawing

APART = 20  # how many times smaller than all together one feature may move, and be seen
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (1, 3)))  # so that lines are told apart in print as well


def lines(ax: Any, places: Any, values: Array, names: Sequence[str], measures: Sequence[str], shades: Any) -> None:
    """Draw features (time, feature), with a legend: on one axis, or where that hides one, each in its own range."""
    seen = np.where(np.isfinite(values).any(0), values, 0.0)
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    moves = (high - low)[high > low]
    apart = len(moves) > 0 and high.max() - low.min() > APART * moves.min()
    same = len(set(measures)) == 1
    for place, name in enumerate(names):
        label, line = drawing.feature(name, "" if same else measures[place]), values[:, place]
        if apart:
            constant = low[place] == high[place]
            ends = [
                0.0 if abs(end) < 1e-6 * abs(high[place] - low[place]) else end for end in (low[place], high[place])
            ]
            label += f"\n{ends[0]:.3g}" + ("" if constant else f" to {ends[1]:.3g}")
            line = line * 0 + 0.5 if constant else (line - low[place]) / (high[place] - low[place])
        style = DASHES[place % len(DASHES)]
        drawing.series(ax, places, line, color=shades[place], linestyle=style, label=label)
    measure = measures[0] if same and measures else ""
    ax.set_ylabel(drawing.inert(measure or "input"))
    if apart:
        ax.set_yticks([0, 1], ["least", "largest"])
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
