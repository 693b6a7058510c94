"""From one number of a run back to its input: through layers, directions and merges, one cell's run at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from gatewise.arrays import Array, Mask, chunks
from gatewise.insight.target import Target
from gatewise.layers.backward import gradients_of
from gatewise.layers.merging import shown, unmerge, unshown
from gatewise.records.step import State
from gatewise.records.trace import Trace

NUMBERS = 2**22  # of a run's gates that are looked at together: 32 MB in float64
States = tuple[tuple[State, ...], ...]  # [layer][direction]
Unmerge = Callable[[Array, Sequence[Array], str], list[Array]]


class CellRun(Protocol):
    """A run of one cell, through which something can be passed back."""

    @property
    def hidden(self) -> Array:
        """The hidden states (time, batch, recurrent)."""

    @property
    def valid(self) -> Mask | None:
        """Which steps are valid (time, batch)."""

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Return what arrives at the input and at the initial state, given what starts at the hidden states."""


def back_through(
    target: Target, layers: Sequence[Mapping[str, CellRun]], seed: Array, unmerged: Unmerge = unmerge
) -> tuple[Array, States]:
    """Return what arrives at the input (time, batch, features) and at each initial state.

    Parameters
    ----------
    target : Target
    layers : sequence of dict
        The runs of the cells, by direction.
    seed : array
        What starts at the output, in the shape of `Target.weight`.
    unmerged : callable
        `unmerge`, or a rule in its place: what of the merged output belongs to each direction.
    """
    dx: Array = np.zeros(0)
    states: list[tuple[State, ...]] = []
    for number in reversed(range(len(layers))):
        layer, way = layers[number], target.lstm.merge[number]
        runs = list(layer.items())
        if number == len(layers) - 1:
            outputs: list[Array] = [_wide(run.hidden[target.places[direction]]) for direction, run in runs]
            parts = unmerged(np.broadcast_to(seed, (len(outputs[0]), *np.shape(seed))), outputs, way)
            given: list[Array] = []
            for (direction, run), part in zip(runs, parts, strict=True):
                dhidden = np.zeros(run.hidden.shape, np.float64)
                dhidden[target.places[direction]] = part
                given.append(dhidden)
        else:
            how = target.lstm.masked_output
            outputs = [shown(run.hidden, run.valid, how, reverse=d == "backward") for d, run in runs]
            parts = unmerged(dx, outputs, way)
            given = [
                unshown(part, run.valid, how, reverse=d == "backward")
                for (d, run), part in zip(runs, parts, strict=True)
            ]
        arrived = [run.back(dhidden) for (_, run), dhidden in zip(runs, given, strict=True)]
        dx = arrived[0][0] if len(arrived) == 1 else arrived[0][0] + arrived[1][0]
        states.insert(0, tuple(state for _, state in arrived))
    return dx, tuple(states)


def _wide(array: Array) -> Array:
    return array.astype(np.float64)


class GradientRun:
    """A run that was traced, through which gradients are passed back."""

    def __init__(self, trace: Trace, done: Callable[[int], None]) -> None:
        self.trace, self.done = trace, done
        self.hidden, self.valid = trace.hidden_state, trace.valid

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Return the gradients with respect to the input and the initial state."""
        trace, end = self.trace, State(*map(np.zeros_like, self.trace.final))
        dx = np.empty((len(trace), trace.batch_size, trace.parameters.input_size))
        for part in chunks(len(trace), 6 * trace.final.c.size, NUMBERS, reverse=trace.direction == "forward"):
            found = gradients_of(trace[part], dhidden[part], end, None)
            dx[part], end = found.x, found.state
            self.done(part.stop - part.start)
        return dx, end
