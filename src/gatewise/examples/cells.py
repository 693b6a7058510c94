"""Cells to learn from, with a run for each: the worked example, a lesson for a pocket calculator, and a latch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.cell import LSTMCell
from gatewise.layers import LSTM
from gatewise.parameters import Parameters
from gatewise.records.labels import Labels
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace


class Example(NamedTuple):
    """A cell, the inputs of its run (time, input), the state that it starts from, and what is to be known of it."""

    cell: LSTMCell
    x: Array
    state: State
    facts: dict[str, object]

    def trace(self) -> LSTMTrace:
        """Return the trace of the run, of an LSTM of this cell alone."""
        return LSTM.from_cells(self.cell).trace(self.x, ((self.state,),))


def notebook() -> Example:
    """Return the worked example: one step of a cell with three features and two units, all gates near 0.5."""
    seed, scale = 1010, 0.01
    cell = LSTMCell(3, 2, init="notebook", scale=scale, seed=seed, dtype=np.float64)
    state = State(np.array([0.3, 0.4]), np.array([0.2, 0.3]))
    return Example(cell, np.array([[0.5, 0.8, 0.2]]), state, {"init": "notebook", "scale": scale, "seed": seed})


def lesson() -> Example:
    """Return a step of a cell whose first unit keeps its memory while the second replaces it, for a pocket calculator.

    With weights of one or two digits every sum is short. Each number of the step, forward and backward, can be computed
    from the four decimals that are shown of the others: none is off by a rounding.
    """
    weight = [  # gates i f g o; units; columns h0, h1, x0, x1
        [[1, 2, -0.7, 1.8], [0.7, -1, 0.9, -0.8]],
        [[-0.3, -0.9, 0.8, -2], [-0.4, 0.2, -0.9, 1.5]],
        [[-0.7, -1.2, 0.4, 0.8], [-0.4, -0.6, -0.9, 0.7]],
        [[0.5, -0.8, 0.6, -1.8], [-0.8, -1.8, -1.2, 1]],
    ]
    bias = [[-0.1, 1], [1, -0.6], [0.5, 0.4], [0.4, 0.2]]
    cell = LSTMCell.from_parameters(Parameters(np.array(weight), np.array(bias)))
    state = State(np.array([0.2, -0.4]), np.array([0.5, -1.0]))
    return Example(cell, np.array([[1, -0.5]]), state, {"weights": "set by hand"})


def latch() -> Example:
    """Return a cell of one unit that writes a bit, holds it for five steps and releases it.

    Of its three features, `bit` goes to the candidate; `write` opens the input gate and shuts the forget gate, so that
    the new bit takes the old one's place; `release` opens the output gate. Weights are set by hand.
    """
    shut, swing = 6.0, 12.0  # σ(±6) is 0.9975 and 0.0025
    weight, bias = np.zeros((4, 1, 4)), np.zeros((4, 1))  # gates i f g o; columns h, bit, write, release
    weight[0, 0, 2], bias[0] = swing, -shut
    weight[1, 0, 2], bias[1] = -swing, shut
    weight[2, 0, 1] = 3.0
    weight[3, 0, 3], bias[3] = swing, -shut
    labels = Labels(features=("bit", "write", "release"), units=("latch",))
    cell = LSTMCell.from_parameters(Parameters(weight, bias), labels)
    x = np.zeros((7, 3))
    x[0, :2], x[6, 2] = 1, 1
    return Example(cell, x, State(np.zeros(1), np.zeros(1)), {"weights": "set by hand"})


EXAMPLES = {"notebook": notebook, "lesson": lesson, "latch": latch}
