"""The picture of matches: the stretches of all sequences in which the units of a chosen stretch are on."""

from __future__ import annotations

from typing import Any

from gatewise.insight.matches import Matches
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MOST_SEQUENCES = 30
NARROWEST = 1 / 300  # of the axis, so that a short stretch of a long run is visible


@picture
def matches(record: Matches, ax: Any) -> drawing.Axes:
    """Draw the stretches in which the units of a chosen stretch are on: sequences × time, coloured by score.

    Notes
    -----
    The chosen stretch is outlined. At most 30 sequences are drawn, those with the best matches. Each stretch is wide
    enough to be visible.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.matches(trace[0], start=0, stop=7, quantity="cell_state")
    >>> axes.get_title()
    '0 matches of 1 unit (chosen: outlined)'
    """
    best = dict.fromkeys([record.sequence, *record.places[:, 0].tolist()])
    rows = {sequence: row for row, sequence in enumerate(sorted(list(best)[:MOST_SEQUENCES]))}
    axes = drawing.single_panel(ax, (8, 1.6 + 0.28 * len(rows)))
    places = drawing.set_time_axis(axes, record.times)
    edges = drawing.edges_of(places)
    narrowest = (edges[-1] - edges[0]) * NARROWEST
    colours = drawing.colour_map(CIVIDIS)

    def draw(sequence: int, start: int, stop: int, height: float, **look: Any) -> None:
        left, right = edges[start], edges[stop]
        width = max(right - left, narrowest)
        axes.barh(rows[sequence], width, height, (left + right - width) / 2, edgecolor=drawing.ink(), **look)

    for (sequence, start, stop), score in list(zip(record.places, record.columns["score"], strict=True))[::-1]:
        if sequence in rows:
            draw(sequence, start, stop, 0.7, color=colours(float(score)), linewidth=0.4, zorder=2 + score)
    draw(record.sequence, record.start, record.stop, 0.8, facecolor="none", linewidth=1.5, zorder=4)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    drawing.name_ticks(axes.yaxis, [record.sequences[sequence] for sequence in rows], MOST_SEQUENCES)
    axes.set_ylabel("sequence")
    axes.set_title(
        f"{len(record.places):,} {'match' if len(record.places) == 1 else 'matches'} of {len(record.units):,} "
        f"{'unit' if len(record.units) == 1 else 'units'} (chosen: outlined)"
    )
    scale = drawing.library().cm.ScalarMappable(drawing.library().colors.Normalize(0, 1), colours)
    axes.figure.colorbar(scale, ax=axes, pad=0.01, fraction=0.05, label="score")
    return axes
