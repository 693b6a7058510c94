"""The picture of one unit: its input, gates, cell state and hidden state on one time axis."""

from __future__ import annotations

from typing import Any

from gatewise import gates
from gatewise.plot import drawing, inputs
from gatewise.plot.picture import picture
from gatewise.plot.records.unit import Unit

STYLES = {"input_gate": "--", "forget_gate": "-", "candidate": "-", "output_gate": "-."}
GATE_LIMITS = (-0.05, 1.05)


@picture
def unit(record: Unit, ax: Any) -> Any:
    """Draw the story of one unit: its input, gates, cell state and hidden state on one time axis.

    Returns
    -------
    array of Axes
        A panel each for the input, the gates, the candidate, the cell state and the hidden state, if the trace kept
        them.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.unit(trace[0])
    >>> [panel.get_ylabel() for panel in axes[:3]]
    ['input', 'gates', 'candidate']
    """
    amounts = [name for name in gates.NAMES if record.limits.get(name) == (0, 1)]
    alone = [name for name in record.values if name not in amounts]
    shared = [name for name, some in (("input", record.features), ("gates", amounts)) if some]
    heights = [1.3] * len(shared) + [1.0] * len(alone)
    axes = drawing.panels(ax, [*shared, *alone], heights, (8, 0.6 + 1.2 * sum(heights)))
    rest = iter(axes)
    if record.features:
        inputs.lines(next(rest), record.times, record.input, record.features, record.measures, lightest=0.6)
    if amounts:
        panel = next(rest)
        panel.set_ylabel("gates")
        panel.set_ylim(*GATE_LIMITS)
        for name in amounts:
            _draw_line(panel, record, record.values[name], name.removesuffix("_gate"), drawing.hue(name), STYLES[name])
        drawing.legend_beside(panel)
    for panel, name in zip(rest, alone, strict=True):
        panel.axhline(0, color=drawing.ink(), linewidth=0.5)
        panel.set_ylabel(name.replace("_", "\n", 1).replace("_", " "))
        colour = drawing.hue("hidden_state" if name == "unprojected_state" else name)
        _draw_line(panel, record, record.values[name], name, colour)
    for panel in axes:
        drawing.hatch_invalid(panel, drawing.set_time_axis(panel, record.times), record.valid)
    axes[0].set_title(drawing.shorten(record.title, drawing.LONGEST_TITLE))
    return axes


def _draw_line(ax: Any, record: Unit, values: Any, label: str, colour: Any, style: str = "-") -> None:
    places = drawing.set_time_axis(ax, record.times)
    drawing.draw_series(ax, places, values, band=True, color=colour, linestyle=style, label=label)
