"""The picture of fixed points: their eigenvalues in the complex plane, with circles of equal time constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.insight.fixed_points import KINDS, FixedPoints
from gatewise.plot import drawing
from gatewise.plot.picture import picture

MARKS = {"stable": "o", "neutral": "s", "saddle": "X", "unstable": "^"}  # so that kinds differ in print, too
COLOURS = {"stable": "negative", "neutral": "soft", "saddle": "positive", "unstable": "forget_gate"}
CIRCLES = (1, 3, 10)  # time constants in steps, each with a circle
FEW = 100  # eigenvalues, up to which marks are large
MOST_LINES = 8  # of the legend
NOTHING = 1e-12  # the absolute value below which an eigenvalue is not drawn


@picture
def fixed_points(record: FixedPoints, ax: Any) -> drawing.Axes:
    """Draw the spectrum of each fixed point: its eigenvalues in the complex plane, with the unit circle.

    Notes
    -----
    A displacement decays within the unit circle, on a dotted circle with the time constant written there; outside it
    grows. Away from the real axis it rotates. The legend has a line for each point, or with more than eight points for
    each kind.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> axes = gw.plot.fixed_points(latch().cell)
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('real part of the eigenvalue', 'imaginary part')
    """
    axes = drawing.single_panel(ax, (7.5, 4.5))
    _draw_circles(axes)
    marks, outline = (36, 0.6) if record.eigenvalues.size <= FEW else (10, 0.2)
    for name, kind, points in _legend_groups(record):
        values = record.eigenvalues[points].ravel()
        values = values[np.abs(values) > NOTHING] if (np.abs(values) > NOTHING).any() else values[:1]
        look: dict[str, Any] = {
            "s": marks,
            "facecolor": drawing.hue(COLOURS[kind]),
            "edgecolor": drawing.ink(),
            "linewidth": outline,
        }
        axes.scatter(values.real, values.imag, marker=MARKS[kind], label=name, zorder=3, alpha=0.8, **look)
    axes.set_aspect("equal", adjustable="datalim")  # so that the Axes keep their size, and the legend its place
    axes.margins(0.07)
    axes.set_xlabel("real part of the eigenvalue")
    axes.set_ylabel("imaginary part")
    if record.kinds:
        drawing.legend_beside(axes)
    else:
        axes.set_title(record.sentence, fontsize="small")
    return axes


def _legend_groups(record: FixedPoints) -> list[tuple[str, str, list[int]]]:
    """Return the legend lines of the picture of fixed points, each with its text, its kind and its points."""
    constants = record.columns["time_constant"]
    if len(record.kinds) <= MOST_LINES:
        return [
            (f"point {point}: {kind}{_duration(constants[point])}", kind, [point])
            for point, kind in enumerate(record.kinds)
        ]
    groups = []
    for kind in KINDS:
        if points := [point for point, kind_of_point in enumerate(record.kinds) if kind_of_point == kind]:
            slowest = max((constants[point] for point in points), key=lambda steps: abs(steps))
            groups.append((f"{len(points):,} {kind}{_duration(slowest)}", kind, points))
    return groups


def _duration(steps: float) -> str:
    if not np.isfinite(steps) or steps == 0:
        return ""
    return f", {'decays' if steps > 0 else 'grows'} in {abs(steps):.3g} steps"


def _draw_circles(axes: drawing.Axes) -> None:
    """Draw the unit circle, and the circles of a few time constants, for eigenvalues in the complex plane."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=drawing.ink(), zorder=2))
    for steps in CIRCLES:
        radius = float(np.exp(-1 / steps))
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=drawing.ink(), alpha=0.5, linewidth=0.6, ls=":"))
        label = f"{steps} step{'s' if steps > 1 else ''}"
        axes.annotate(label, (0, -radius), ha="center", va="bottom", fontsize="x-small", alpha=0.7)
    axes.axhline(0, color=drawing.ink(), alpha=0.3, linewidth=0.5)
    axes.axvline(0, color=drawing.ink(), alpha=0.3, linewidth=0.5)
