"""A backward pass from one number of a run to its input, through layers, directions and merges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from gatewise.arrays import Array, chunks
from gatewise.insight.target import Target
from gatewise.layers.backward import Split, gradients_of, pass_back
from gatewise.layers.merging import unmerge
from gatewise.layers.stack import States
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import Trace

NUMBERS = 2**22  # of a run's gates in a chunk: 32 MB in float64


class CellRun(Protocol):
    """A run of one cell, through which gradients or relevance can be passed back."""

    @property
    def hidden(self) -> Array:
        """The hidden states (time, batch, recurrent)."""

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Pass an array (time, batch, recurrent) from the hidden states to the input and the initial state."""


def back_through(
    target: Target, layers: Sequence[Mapping[str, CellRun]], seed: Array, split: Split = unmerge
) -> tuple[Array, States]:
    """Pass an array from the explained output to the input (time, batch, features) and to each initial state.

    `layers` are the runs of the cells, by direction. The array is `seed` at the output, in the shape of
    `Target.weight`; `split` divides an array at a merged output between the directions.
    """
    states: dict[Cell, State] = {}
    top, at_top = layers[-1], []
    outputs = [run.hidden[target.places[way]].astype(np.float64) for way, run in top.items()]
    parts = split(np.broadcast_to(seed, (len(outputs[0]), *np.shape(seed))), outputs, target.lstm.merge[-1])
    for (way, run), part in zip(top.items(), parts, strict=True):
        at_top.append(np.zeros(run.hidden.shape))
        at_top[-1][target.places[way]] = part

    def back(cell: Cell, dhidden: Array) -> Array:
        dx, states[cell] = layers[cell[0]][cell[1]].back(dhidden)
        return dx

    dx = pass_back(target.lstm, at_top, back, split, lambda cell: layers[cell[0]][cell[1]].hidden)
    return dx, tuple(tuple(states[number, way] for way in layer) for number, layer in enumerate(layers))


class GradientRun:
    """The trace of one cell, through which gradients are passed back."""

    def __init__(self, trace: Trace, done: Callable[[int], None]) -> None:
        self.trace, self.done, self.hidden = trace, done, trace.hidden_state

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Return the gradients of a cell's run with respect to its input and its initial state."""
        trace, end = self.trace, State(*map(np.zeros_like, self.trace.final))
        dx = np.empty((len(trace), trace.batch_size, trace.parameters.input_size))
        for part in chunks(len(trace), 6 * trace.final.c.size, NUMBERS, reverse=trace.direction == "forward"):
            gradients = gradients_of(trace[part], dhidden[part], end, None)
            dx[part], end = gradients.x, gradients.state
            self.done(part.stop - part.start)
        return dx, end
