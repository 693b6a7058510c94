"""The picture of a ceiling: the output of a run, its largest possible value, and the losses in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.errors import OptionError
from gatewise.insight.ceiling import Ceiling
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST = 8  # outputs
WIDE = 6.0  # inches, from which on the legend has two columns
LAYERS = {  # from the output upwards
    "lost_to_gate": ("output_gate", 1.0, "lost to output gates that are not fully open"),
    "lost_to_cell": ("cell_state", 0.45, "lost to cell states short of their bound"),
    "lost_to_readout": ("soft", 0.25, "lost to units on the wrong side of zero"),
    "lost_to_clip": ("candidate", 0.5, "lost to the projection's clip"),
    "lost_to_zoneout": ("input_gate", 0.5, "lost to zoneout"),
}


@picture
def ceiling(record: Ceiling, ax: Any) -> Any:
    """Draw the output of a run, its ceiling, and the losses in between, stacked on each other.

    Returns
    -------
    Axes, or array of Axes
        A panel for each output.

    Raises
    ------
    OptionError
        If there was no run, or there are more than 8 outputs.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest output. Invalid steps are hatched.

    Examples
    --------
    >>> lstm, head = gw.LSTM(1, 2, rng=0, dtype=np.float64), gw.Linear([[40.0, -20.0]], [1.5])
    >>> axes = gw.plot.ceiling(gw.Network(lstm, head=head).trace(np.ones((20, 1))))
    >>> axes.get_ylabel()
    'output'
    """
    if record.output is None:
        raise OptionError("a picture of a ceiling shows the losses of a run; this is a model without a run")
    count = len(record.outputs)
    if count > MOST:
        raise OptionError(f"a picture of a ceiling has room for {MOST} outputs, not {count:,}; `output` chooses one")
    axes = drawing.panels(ax, record.outputs, size=(9, min(12, 1.1 + 2.3 * count)))
    for place, panel in enumerate(axes):
        _draw_losses(panel, record, place)
    wide = drawing.inches(axes[0].xaxis) >= WIDE
    look: dict[str, Any] = {"ncols": 2, "fontsize": "small"} if wide else {"ncols": 1, "fontsize": "x-small"}
    axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.02), frameon=False, **look)
    return axes[0] if count == 1 else axes


def _draw_losses(ax: Any, record: Any, place: int) -> None:
    """Draw one output of a run on an Axes: its ceiling, and the losses stacked between the two."""
    places, output = drawing.set_time_axis(ax, record.times), record.output[:, place]
    steps = drawing.extreme_steps(output, drawing.most_points(ax))
    edges, base = drawing.edges_of(places[steps]), output[steps]
    top = float(record.ceiling[place])
    ax.axhline(top, color=drawing.ink(), linestyle="--", linewidth=1.0, label=f"ceiling {top:.4g}")
    ax.stairs(base, edges, color=drawing.ink(), linewidth=1.2, baseline=None, label="output", zorder=3)
    for name, (colour, alpha, label) in LAYERS.items():
        if name in record.losses:
            above = base + record.losses[name][steps, place]
            look: dict[str, Any] = {"fill": True, "facecolor": drawing.hue(colour), "alpha": alpha, "linewidth": 0}
            ax.stairs(above, edges, baseline=base, label=label, **look)
            base = above
    drawing.hatch_invalid(ax, places, record.valid)
    low, high = float(np.nanmin(output)), max(top, float(np.nanmax(base)))
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) if high > low else high + 1)
    measure = str(record.measures[place])
    ax.set_ylabel(drawing.safe_text(f"{measure}, {record.sequence}" if record.sequence else measure))
