"""The picture of an occlusion: how the output changes where each step of the input is exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.occlusion import Occlusion
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.records.text import Text
from gatewise.plot.text import text

SMALL = 0.005  # of the largest change: steps with smaller ones are drawn near larger ones alone
AROUND = 10  # steps that are drawn around these, at least
THIN, THICK = 1.5, 12.0  # widths of bars, in points
FILLED = 0.8  # of the width of a step


@picture
def occlusion(record: Occlusion, ax: Any) -> drawing.Axes:
    """Draw how the output changes where each step of the input is exchanged for others.

    Notes
    -----
    A bar goes up as far as exchanges of the step raise the output, and down as far as they lower it, on average: both
    together are the mean size of the change. The steps that are drawn are those with a two-hundredth of the largest
    change, and a few around them. A text is drawn as such, each token on the colour of its change.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.occlusion(trace, baseline=0)
    >>> print(axes.get_title())
    output 0 at step 6: 0.7503
    with step 0 and step 6 exchanged, it is 0
    """
    change, size = (np.nan_to_num(record.columns[name]) for name in ("change", "size"))
    looked = np.flatnonzero(np.isfinite(record.columns["size"]))
    shown = np.flatnonzero((size > SMALL * size.max()) & (size > 0))
    first, last = (shown[0], shown[-1]) if len(shown) else (looked[0], looked[-1])
    around = max(AROUND, (last - first) // 10)
    window = slice(int(max(looked[0], first - around)), int(min(looked[-1], last + around)) + 1)
    title = f"{record.target.removesuffix(',')}: {record.value:.4g}"
    if record.named:
        title += f"\nwith {record.tried_names} exchanged, {record.outcome}"
    if record.tokens is not None:
        tokens, values = record.tokens[window], record.columns["change"][window]
        columns = {"token": tokens, "change": values}
        valid, limits = None if record.valid is None else record.valid[window], drawing.symmetric_limits(values)
        return text(Text(columns, title, tuple(tokens.tolist()), values, limits, valid), ax)
    axes = drawing.single_panel(ax)
    places = drawing.set_time_axis(axes, record.times[window])
    inches = axes.get_window_extent().width / axes.figure.dpi
    width = float(np.clip(FILLED * 72 * inches / len(places), THIN, THICK))
    raised, lowered = (size + change)[window] / 2, (change - size)[window] / 2
    for ends, name in ((raised, "input_gate"), (lowered, "forget_gate")):
        drawn = np.abs(ends) > 0
        axes.vlines(places[drawn], 0, ends[drawn], color=drawing.hue(name), linewidth=width, zorder=3, clip_on=False)
    axes.axhline(0, color=drawing.ink(), linewidth=0.6)
    drawing.hatch_invalid(axes, places, None if record.valid is None else record.valid[window])
    axes.set_ylabel("change of the output")
    axes.set_title("\n".join(map(drawing.safe_text, title.split("\n"))), fontsize="medium", wrap=True)
    return axes
