"""Pictures of what happened in a run: gates, states, one unit, a text, and the cell states of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np

from gatewise.arrays import Array, size
from gatewise.gates import NAMES
from gatewise.insight.change import Change
from gatewise.palette import CIVIDIS
from gatewise.plot import drawing
from gatewise.plot.picture import picture
from gatewise.plot.run_records import STATES, Gates, States, Text, Unit

DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (1, 3)))  # so that lines differ in print as well
GATE_STYLES = {"input_gate": "--", "forget_gate": "-", "candidate": ":", "output_gate": "-."}
GATE_LIMITS = (-0.05, 1.05)
APART = 20  # the range of all features over that of one, above which each has its own range
MONOSPACE = "DejaVu Sans Mono"  # of matplotlib; the reader's fonts have the rest
SIGNS = {" ": "·", "\n": "↵", "\t": "⇥", "\r": "←"}  # in place of invisible characters
LONGEST = 24  # letters of a token
LETTER, LINE = 0.087, 0.22  # inches


@picture
def gates(record: Gates, ax: Any) -> Any:
    """Draw a gate of the units of a cell: units × time, from dark (0, closed) to light (1, open).

    A candidate, or a gate that may lie outside 0 to 1, is drawn from blue (negative) to red (positive).

    Notes
    -----
    With more steps or units than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.gates(trace[0], gate="input_gate")
    >>> axes.get_title()
    'input gate'
    """
    axes = drawing.single_panel(ax, (8, drawing.heatmap_height(len(record.units))))
    label = "0 closed, 1 open" if record.limits == (0, 1) else record.gate.replace("_", " ")
    scale = drawing.stops_for(record.limits), record.limits, label
    drawing.draw_heatmap(axes, record.values, record.times, record.units, record.valid, *scale)
    drawing.set_title(axes, record.title)
    return axes


@picture
def states(record: States, ax: Any) -> Any:
    """Draw the cell state and the hidden state of a cell: units × time, from blue (negative) to red (positive).

    Returns
    -------
    array of Axes
        Two, or one if the trace kept only one of the states.

    Notes
    -----
    Each scale is symmetric about 0. With more steps or units than pixels, each pixel keeps its least and its greatest
    value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.states(trace[0])
    >>> [panel.get_title() for panel in axes]
    ['cell state', 'hidden state']
    """
    heights = [drawing.heatmap_height(len(units)) for units in record.units.values()]
    axes = drawing.panels(ax, list(record.values), heights, (8, min(9, sum(heights))))
    for panel, (name, values) in zip(axes, record.values.items(), strict=True):
        limits = record.limits[name]
        scale = drawing.stops_for(limits), limits, name.replace("_", " ")
        drawing.draw_heatmap(panel, values, record.times, record.units[name], record.valid, *scale)
        drawing.set_title(panel, record.titles[name])
    return axes


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
    amounts = [name for name in NAMES if record.limits.get(name) == (0, 1)]
    alone = [name for name in record.values if name not in amounts]
    shared = [name for name, some in (("input", record.features), ("gates", amounts)) if some]
    heights = [1.3] * len(shared) + [1.0] * len(alone)
    axes = drawing.panels(ax, [*shared, *alone], heights, (8, 0.6 + 1.2 * sum(heights)))
    for panel, name in zip(axes, [*shared, *alone], strict=True):
        places = drawing.set_time_axis(panel, record.times)
        if name == "input":
            draw_features(panel, record.times, record.input, record.features, record.measures, lightest=0.6)
        elif name == "gates":
            panel.set(ylabel="gates", ylim=GATE_LIMITS)
            for gate in amounts:
                look = {"color": drawing.hue(gate), "linestyle": GATE_STYLES[gate], "label": gate.removesuffix("_gate")}
                drawing.draw_series(panel, places, record.values[gate], band=True, **look)
            drawing.legend_beside(panel)
        else:
            panel.axhline(0, color=drawing.ink(), linewidth=0.5)
            panel.set_ylabel(_two_lines(name))
            hue = drawing.hue("hidden_state" if name == "unprojected_state" else name)
            drawing.draw_series(panel, places, record.values[name], band=True, color=hue, label=name)
        drawing.set_times(panel, record)
    drawing.set_title(axes[0], record.title)
    return axes


def _two_lines(quantity: str) -> str:
    return quantity.replace("_", "\n", 1).replace("_", " ")


def draw_features(
    ax: Any, times: Any, values: Array, names: Sequence[str], measures: Sequence[str], lightest: float = 0.75
) -> None:
    """Draw input features (time, feature) with a legend: on one axis, or if that hides one, each in its own range.

    Their shades end at the place `lightest` of cividis, or begin as far from its light end on a dark ground.
    """
    places = drawing.set_time_axis(ax, times)
    shades = drawing.colour_map(CIVIDIS)(np.linspace(0.0, lightest, len(names)) + (1 - lightest) * drawing.is_dark())
    finite = np.where(np.isfinite(values).any(0), values, 0.0)
    low, high = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    ranges = high - low
    apart = ranges.any() and high.max() - low.min() > APART * ranges[ranges > 0].min()
    same = len(set(measures)) == 1
    for place, name in enumerate(names):
        label, line = drawing.feature_label(name, "" if same else measures[place]), values[:, place]
        if apart:
            ends = [0.0 if abs(end) < 1e-6 * ranges[place] else end for end in (low[place], high[place])]
            label += f"\n{ends[0]:.3g}" + (f" to {ends[1]:.3g}" if ranges[place] else "")
            line = (line - low[place]) / ranges[place] if ranges[place] else line * 0 + 0.5
        look = {"color": shades[place], "linestyle": DASHES[place % len(DASHES)], "label": label}
        drawing.draw_series(ax, places, line, band=True, **look)
    ax.set_ylabel(drawing.safe_text((measures[0] if same else "") or "input"))
    if apart:
        ax.set_yticks([0, 1], ["least", "largest"])
    drawing.legend_beside(ax)


@picture
def change(record: Change, ax: Any) -> Any:
    """Draw the effect of an intervention: the distance of two runs at every step, and one unit before and after.

    Returns
    -------
    array of Axes
        First the distance of the two runs in the unit's cell, on a logarithmic axis if it spans two decades. Then a
        panel of the unit for the gate in which the runs part, the cell state and the hidden state, if the traces kept
        them. Edited steps are shaded; a line marks the step at which the runs part.

    Notes
    -----
    With more steps than pixels, each pixel keeps its least and its greatest value. Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm = gw.LSTM.from_cells(cell)
    >>> axes = gw.plot.change(lstm.trace(x), after=lstm.trace(-x))
    >>> len(axes), axes[0].get_ylabel()
    (3, 'distance')
    """
    first, cell = record.first, record.cells.index((record.unit.layer, record.unit.direction))
    gate = [first.quantity] if first is not None and first.quantity in NAMES and first[:2] == record.unit[:2] else []
    names = [name for name in (*gate, *STATES) if name in record.series]
    axes = drawing.panels(ax, ["distance", *names], [1.4] + [1.0] * len(names), (8, 2.4 + 1.3 * len(names)))
    _draw_distances(axes[0], record, record.norms[cell])
    for panel, name in zip(axes[1:], names, strict=True):
        places, (before, after) = drawing.set_time_axis(panel, record.times), record.series[name]
        look: dict[str, Any] = {"color": drawing.hue("soft"), "linestyle": "--", "zorder": 2.5}
        drawing.draw_series(panel, places, before, band=True, label="before", **look)
        drawing.draw_series(panel, places, after, band=True, label="after", color=drawing.hue(name))
        panel.set_ylabel(_two_lines(name))
    for panel in axes:
        places, is_top = drawing.set_times(panel, record), panel is axes[0]
        if record.edited[cell].any():
            spans = drawing.edges_of(places)[drawing.spans_of(record.edited[cell])]
            look = {"facecolor": drawing.hue("accent"), "alpha": 0.18, "zorder": 0}
            drawing.shade_spans(panel, spans, label="edited" if is_top else None, **look)
        if first is not None:
            look = {"color": drawing.ink(), "linewidth": 0.8, "linestyle": (0, (1, 2))}
            panel.axvline(places[first.step], label="the runs part" if is_top else None, **look)
        if panel.get_legend_handles_labels()[0]:
            drawing.legend_beside(panel)
    drawing.set_title(axes[0], record.name)
    return axes


def _draw_distances(ax: Any, record: Change, norms: Array) -> None:
    """Draw the distance of two runs in each quantity (time, quantities), on a logarithmic axis over two decades."""
    largest = np.max(norms, where=np.isfinite(norms), initial=0.0)
    least = np.min(norms, where=(norms > 0) & np.isfinite(norms), initial=largest)
    is_log = largest > 100 * least
    if is_log:
        ax.set(yscale="log", ylim=(max(least, 1e-12 * largest) / 2, 2 * largest))
    else:
        ax.set_ylim(-0.05 * (largest or 1.0), 1.05 * (largest or 1.0))
    places = drawing.set_time_axis(ax, record.times)
    for name, values in zip(record.quantities, norms.T, strict=True):
        if (values > 0).any():
            visible = np.where(values > 0, values, np.nan if is_log else 0.0)
            look: dict[str, Any] = {"color": drawing.hue(name), "linestyle": GATE_STYLES.get(name, "-")}
            drawing.draw_series(ax, places, visible, label=name.replace("_", " "), **look)
    ax.set_ylabel("distance")


# A text: lines of boxes, one for each character or token.


@picture
def text(record: Text, ax: Any, *, width: int = 80) -> Any:
    """Draw the text that a cell read, each character or token on the colour of a unit's gate or state.

    Parameters
    ----------
    width : int
        The number of letters of a line, or fewer on narrow Axes; a line break also ends a line.

    Notes
    -----
    Blanks become ·, line breaks ↵, tabs ⇥, other control characters their codes. Gates are coloured from dark (0) to
    light (1), states from blue (negative) to red (positive). Invalid steps are hatched.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> axes = gw.plot.text(trace[0], text="abcdefg")
    >>> [letter.get_text() for letter in axes.texts][:3]
    ['a', 'b', 'c']
    """
    size("width", width)
    if ax is not None:
        ax = drawing.single_panel(ax)
        width = max(10, min(width, int(drawing.inches(ax.xaxis) / LETTER)))
    labels = [_token_label(token) for token in record.tokens]
    lefts, lines, widths = _lay_out_tokens(record.tokens, labels, width)
    count = lines[-1] + 1
    axes = drawing.single_panel(ax, (1 + 0.1 * width, 0.9 + LINE * max(3, count)))
    _draw_tokens(axes, record, labels, np.stack([lefts, lefts + widths, lines], axis=1))
    right = max(10, int((lefts + widths).max())) if count == 1 else width
    axes.set(xlim=(0, right), ylim=(max(3, count) - 0.5, -0.5))
    axes.set_axis_off()
    drawing.set_title(axes, record.title, loc="left")
    return axes


def _token_label(token: str) -> str:
    """Return a token's label: one line, with signs for invisible characters."""
    label = "".join(SIGNS.get(letter, letter if letter.isprintable() else f"\\x{ord(letter):02x}") for letter in token)
    label = label or "∅"
    return drawing.safe_text(label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…", _fonts())


def _fonts() -> list[str]:
    return [MONOSPACE, *drawing.library().rcParams["font.family"]]


def _has_gaps(tokens: Sequence[str]) -> bool:
    return any(len(token) > 1 for token in tokens)


def _lay_out_tokens(tokens: Sequence[str], labels: Sequence[str], width: int) -> Any:
    """Break a text into lines; return the left edge, the line and the width of each token (3, token), in letters."""
    gap, places, left, line = _has_gaps(tokens), [], 0, 0
    for token, label in zip(tokens, labels, strict=True):
        letters = label.replace(r"\$", "$")
        across = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in letters) + gap
        if left and left + across > width:
            left, line = 0, line + 1
        places.append((left, line, across))
        left, line = (0, line + 1) if token.endswith("\n") else (left + across, line)
    return np.array(places).T


def _draw_tokens(ax: Any, record: Text, labels: Sequence[str], places: Any) -> None:
    """Draw tokens at places (left, right, line) on boxes in the colour of their values, beside a colour scale."""
    from matplotlib.collections import PolyCollection

    left, right, line = places.astype(float).T
    right -= 0.1 if _has_gaps(record.tokens) else 0.0
    corners = (left, line - 0.46), (left, line + 0.46), (right, line + 0.46), (right, line - 0.46)
    boxes = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    colours = drawing.colour_map(drawing.stops_for(record.limits))
    filled = PolyCollection(list(boxes), cmap=colours, array=record.values, linewidth=0)
    filled.set_clim(*record.limits)
    ax.add_collection(filled)
    if record.valid is not None and not record.valid.all():
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": drawing.ink(), "alpha": 0.4, "linewidth": 0}
        ax.add_collection(PolyCollection(list(boxes[~record.valid]), hatch=drawing.HATCH, **look))
    count = int(line[-1]) + 1
    light, fontsize = drawing.is_light(filled.to_rgba(record.values)), 54 * drawing.inches(ax.yaxis) / max(3, count)
    look = {"ha": "center", "va": "center", "family": _fonts(), "fontsize": min(9.0, fontsize)}  # 3/4 of a line
    for place, label in enumerate(labels):
        colour = drawing.ink() if np.isnan(record.values[place]) else "black" if light[place] else "white"
        letters = ax.text((left[place] + right[place]) / 2, line[place], label, color=colour, **look)
        letters.set_in_layout(False)  # there are thousands, all inside
    high = min(1.0, 12 / count)  # of the picture's height: it stays beside the first lines
    ax.figure.colorbar(filled, ax=ax, pad=0.01, fraction=0.05, aspect=10, shrink=high, anchor=(0.0, 1.0))
