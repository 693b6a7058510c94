"""The steps of a cell in a run, computed on access."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array, Mask, require_memory
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.records.brief_names import brief_labels
from gatewise.records.labels import Labels
from gatewise.records.step import Step
from gatewise.records.trace import Trace
from gatewise.showing import counted
from gatewise.walkthrough.lazy import Lazy

TOGETHER = 500  # steps that run before any of them can be shown


def steps_of(
    lstm: LSTM,
    x: Array,
    state: States | None,
    labels: Labels,
    cell: tuple[int, str] | None = None,
    valid: Mask | None = None,
) -> Lazy[Step]:
    """Return the valid steps of one cell for `gatewise walk`, in the order in which they run.

    The reference engine runs them, with the same digits on every machine: the forward direction alone in parts, as the
    steps are asked for; with a backward direction, which begins at the end, all at once.

    Parameters
    ----------
    lstm : LSTM
    x : array (time, input)
    state : nested tuple of State or None
        The initial state, with a batch axis.
    labels : Labels
        Of the cell.
    cell : (int, str), optional
        Its layer and direction; by default the only one.
    valid : boolean array (time,), optional
        Which steps are valid, as all are by default; the state passes over the others unchanged.
    """
    layer, direction = cell or (0, lstm.directions[0])
    labels = brief_labels(labels)
    _ = lstm[layer, direction]  # raises if there is no such cell
    units = sum(cell.parameters.hidden_size for cell in lstm.cells().values())
    require_memory(len(x) * (7 * units + lstm.input_size), 8, f"a run of {counted(len(x), 'step')}")
    together = TOGETHER if lstm.directions == ("forward",) else len(x)
    parts: list[Trace] = []
    states: list[Any] = [state]  # between the parts
    places = range(len(x)) if valid is None else np.flatnonzero(valid).tolist()

    def compute_step(place: int) -> Step:
        """Return a step by its place in the order of the run, once the parts of the run before it have run."""
        place = places[len(places) - 1 - place if direction == "backward" else place]
        while len(parts) <= place // together:
            start = len(parts) * together
            stop = start + together
            part_labels = labels.replace(times=labels.times and labels.times[start:stop])
            mask = None if valid is None else valid[start:stop]
            trace = lstm.trace(x[start:stop, None], states[-1], labels=part_labels, mask=mask, engine="reference")
            parts.append(replace(trace[layer, direction], start=start))
            states.append(trace.state)
        return parts[place // together].step(place % together)

    return Lazy(len(places), compute_step)
