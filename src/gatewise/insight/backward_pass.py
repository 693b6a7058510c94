"""A backward pass from the output of a run to its input, through layers, directions and merges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gatewise.arrays import Array, chunks
from gatewise.layers.backward import Split, backward, pass_back
from gatewise.layers.merging import unmerge
from gatewise.layers.stack import States
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace

NUMBERS = 2**22  # of a run's gates in a chunk: 32 MB in float64
Back: TypeAlias = Callable[[Cell, Array], tuple[Array, State]]


def back_through(
    lstm: LSTMTrace,
    places: Mapping[str, int],
    seed: Array,
    back: Back,
    split: Split = unmerge,
) -> tuple[Array, States]:
    """Pass rows of an array from an LSTM's output to its input (time, row, features) and to each initial state.

    The array is `seed` (row, ·) at the output of the steps `places`, one of each direction. `back` passes rows from the
    hidden states of a cell to its input and its initial state; `split` divides an array at a merged output between the
    directions.
    """
    states: dict[Cell, State] = {}
    outputs = [lstm.layers[-1][way].hidden_state[place].astype(np.float64) for way, place in places.items()]
    at_top = []
    for place, output, part in zip(places.values(), outputs, split(seed, outputs, lstm.merge[-1]), strict=True):
        at_top.append(np.zeros((lstm.num_steps, *np.broadcast_shapes(output.shape, part.shape))))
        at_top[-1][place] = part

    def cell_back(cell: Cell, dhidden: Array) -> Array:
        dx, states[cell] = back(cell, dhidden)
        return dx

    dx = pass_back(lstm, at_top, cell_back, split)
    return dx, tuple(tuple(states[number, way] for way in lstm.directions) for number in range(lstm.num_layers))


def gradients_back(piece: Trace, dhidden: Array, end: State) -> tuple[Array, State]:
    """Pass gradients back through a chunk of steps, on the engine of the run and in its precision."""
    gradients = backward(piece, dhidden, end)
    return gradients.x, gradients.state


def through_cell(
    trace: Trace,
    dhidden: Array,
    done: Callable[[int], None] = lambda count: None,
    back: Callable[[Trace, Array, State], tuple[Array, State]] = gradients_back,
    numbers: int = 6,
) -> tuple[Array, State]:
    """Pass rows from the hidden states (time, row, recurrent) of a cell's run to its input and its initial state.

    `back` passes a chunk of steps, for which it holds `numbers` arrays of the size of the cell states.
    """
    p, count = trace.parameters, dhidden.shape[1]
    end = State(np.zeros((count, p.recurrent_size)), np.zeros((count, p.hidden_size)))
    dx = np.empty((len(trace), count, p.input_size))
    for part in chunks(len(trace), numbers * end.c.size, NUMBERS, reverse=trace.direction == "forward"):
        dx[part], end = back(trace[part], dhidden[part], end)
        done(part.stop - part.start)
    return dx, end
