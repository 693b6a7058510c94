"""The picture of a horizon: how much of a change of the input shows at each lag, in the output and in units."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.horizon import Horizon
from gatewise.plot import drawing
from gatewise.plot.picture import picture

UNITS = 12  # that hold longest are drawn
BEYOND = 1.5  # lags that are drawn, as a multiple of the horizon
LEAST = 10  # lags that are drawn, at least
FAINT = 0.001  # of the largest difference, below which a curve is not drawn


@picture
def horizon(record: Horizon, ax: Any) -> drawing.Axes:
    """Draw how much of a change shows at each lag: the median over the exchanges, and the range between quartiles.

    Notes
    -----
    Differences are shares of the largest of each exchange. The thin lines are the means of the twelve units whose cell
    states hold a change longest. The lags reach half as far again as the horizon, on an axis that is linear up to 1 and
    logarithmic from there on. A network with a backward direction has negative lags: there, the output is before the
    change.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 1))
    >>> axes = gw.plot.horizon(gw.LSTM(1, 8, rng=0), x=x)
    >>> axes.get_xlabel()
    'lag in steps'
    """
    axes = drawing.single_panel(ax, (8, 3.5))
    reach = max(record.steps, record.ahead, LEAST)
    shown = np.abs(record.lag) <= BEYOND * reach
    lower, median, upper = record.curve[:, shown]
    lag = record.lag[shown]
    axes.fill_between(lag, lower, upper, color=drawing.hue("hidden_state"), alpha=0.25, linewidth=0)
    steps, ways = record.columns["steps"], record.columns["direction"]
    for unit in np.argsort(-steps, kind="stable")[:UNITS]:
        curve = np.where(record.unit_curves[:, unit] >= FAINT, record.unit_curves[:, unit], np.nan)
        sign = 1 if ways[unit] == "forward" else -1
        places = sign * np.arange(len(curve))
        inside = np.isin(places, lag)
        axes.plot(places[inside], curve[inside], color=drawing.hue("forget_gate"), alpha=0.6, linewidth=0.7)
    axes.plot([], [], color=drawing.hue("forget_gate"), linewidth=0.7, label="cell states that hold longest")
    axes.plot(lag, median, color=drawing.ink(), linewidth=1.5, zorder=4, label=record.title)
    for end in {record.steps, -record.ahead} - {0}:
        axes.axvline(end, color=drawing.ink(), linestyle=":", linewidth=1)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(float(lag.min()), max(1.0, float(lag.max())))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    title = (
        "how long a change of one step's input shows" if record.stable else "an unstable run: no horizon can be told"
    )
    axes.set_title(title if median.any() else "no exchanged step changes the output", fontsize="medium")
    axes.set_ylim(0, 1.05)
    axes.set(xlabel="lag in steps", ylabel="share of the largest")
    axes.legend(loc="best", fontsize="small", framealpha=0.8)
    return axes
