"""A backward pass from one number of a run to its input, through layers, directions and merges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from gatewise.arrays import Array, Mask, chunks
from gatewise.insight.target import Target
from gatewise.layers.backward import gradients_of
from gatewise.layers.merging import direction_gradient, direction_output, unmerge
from gatewise.records.step import State
from gatewise.records.trace import Trace

NUMBERS = 2**22  # of a run's gates in a chunk: 32 MB in float64
States = tuple[tuple[State, ...], ...]  # [layer][direction]
Unmerge = Callable[[Array, Sequence[Array], str], list[Array]]


class CellRun(Protocol):
    """A run of one cell, through which gradients or relevance can be passed back."""

    @property
    def hidden(self) -> Array:
        """The hidden states (time, batch, recurrent)."""

    @property
    def valid(self) -> Mask | None:
        """True at valid steps (time, batch); None if all are valid."""

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Pass an array (time, batch, recurrent) from the hidden states to the input and the initial state."""


def back_through(
    target: Target, layers: Sequence[Mapping[str, CellRun]], seed: Array, split: Unmerge = unmerge
) -> tuple[Array, States]:
    """Pass an array from the output to the input (time, batch, features) and to each initial state.

    Parameters
    ----------
    target : Target
    layers : sequence of dict
        The runs of the cells, by direction.
    seed : array
        The array at the output, in the shape of `Target.weight`.
    split : callable
        The rule that splits an array at a merged output between the directions.
    """
    dx: Array = np.zeros(0)
    states: list[tuple[State, ...]] = []
    for number in reversed(range(len(layers))):
        layer, merge = layers[number], target.lstm.merge[number]
        runs = list(layer.items())
        if number == len(layers) - 1:
            outputs: list[Array] = [_as_float64(run.hidden[target.places[direction]]) for direction, run in runs]
            parts = split(np.broadcast_to(seed, (len(outputs[0]), *np.shape(seed))), outputs, merge)
            at_hidden: list[Array] = []
            for (direction, run), part in zip(runs, parts, strict=True):
                dhidden = np.zeros(run.hidden.shape, np.float64)
                dhidden[target.places[direction]] = part
                at_hidden.append(dhidden)
        else:
            how = target.lstm.masked_output
            outputs = [direction_output(run.hidden, run.valid, how, reverse=d == "backward") for d, run in runs]
            parts = split(dx, outputs, merge)
            at_hidden = [
                direction_gradient(part, run.valid, how, reverse=d == "backward")
                for (d, run), part in zip(runs, parts, strict=True)
            ]
        passed = [run.back(dhidden) for (_, run), dhidden in zip(runs, at_hidden, strict=True)]
        dx = passed[0][0] if len(passed) == 1 else passed[0][0] + passed[1][0]
        states.insert(0, tuple(state for _, state in passed))
    return dx, tuple(states)


def _as_float64(array: Array) -> Array:
    return array.astype(np.float64)


class GradientRun:
    """The trace of one cell, through which gradients are passed back."""

    def __init__(self, trace: Trace, done: Callable[[int], None]) -> None:
        self.trace, self.done = trace, done
        self.hidden, self.valid = trace.hidden_state, trace.valid

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Return the gradients with respect to the input and the initial state."""
        trace, end = self.trace, State(*map(np.zeros_like, self.trace.final))
        dx = np.empty((len(trace), trace.batch_size, trace.parameters.input_size))
        for part in chunks(len(trace), 6 * trace.final.c.size, NUMBERS, reverse=trace.direction == "forward"):
            gradients = gradients_of(trace[part], dhidden[part], end, None)
            dx[part], end = gradients.x, gradients.state
            self.done(part.stop - part.start)
        return dx, end
