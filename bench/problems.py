"""The numbers of a case: weights, inputs and states, drawn once and the same for every rival, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.cases import Case

Array = npt.NDArray[np.floating]
Answer = dict[str, Array]
ORDER = "ifgo"


@dataclass(frozen=True)
class Problem:
    """A case with its numbers, all float32; gatewise's layout.

    Parameters
    ----------
    case : Case
    threads : int
        How many threads a rival may use.
    weight : array (4, hidden, hidden + input)
        Gates i, f, g, o; columns [h; x].
    bias : array (4, hidden)
    x : array (time, batch, input)
    h, c : array (batch, hidden)
        The initial state.
    dy : array (time, batch, hidden)
        The derivative of a loss with respect to the outputs.
    """

    case: Case
    threads: int
    weight: Array
    bias: Array
    x: Array
    h: Array
    c: Array
    dy: Array

    @classmethod
    def of(cls, case: Case, threads: int = 1) -> Problem:
        """Draw the numbers of a case, always the same ones."""
        rng = np.random.default_rng([case.input_size, case.hidden_size, case.batch, case.time])
        inputs, hidden, rows = case.input_size, case.hidden_size, (case.time, case.batch)
        bound = hidden**-0.5
        weight = rng.uniform(-bound, bound, (4, hidden, hidden + inputs)).astype(np.float32)
        bias = rng.uniform(-bound, bound, (4, hidden)).astype(np.float32)
        x = rng.normal(size=(*rows, inputs)).astype(np.float32)
        dy = rng.normal(size=(*rows, hidden)).astype(np.float32)
        state = np.zeros((case.batch, hidden), np.float32)
        if case.signal != "random":
            x[...] = 0
        if case.signal == "decay":  # the input is zero, and a subnormal state is kept almost entirely
            bias = np.repeat(np.float32([[-10], [10], [0], [0]]), hidden, axis=1)
            state += np.float32(1e-40)
        return cls(case, threads, weight, bias, x, state, state.copy(), dy)

    def stacked(self, order: str = ORDER) -> tuple[Array, Array, Array]:
        """Return input weights (4 hidden, input), recurrent weights (4 hidden, hidden) and bias (4 hidden,)."""
        places, hidden = [ORDER.index(gate) for gate in order], self.case.hidden_size
        weight = self.weight[places].reshape(4 * hidden, -1)
        recurrent, inputs = np.ascontiguousarray(weight[:, :hidden]), np.ascontiguousarray(weight[:, hidden:])
        return inputs, recurrent, self.bias[places].reshape(-1)


def unstacked(inputs: Array, recurrent: Array) -> Array:
    """Return gradients of stacked weights, gates i, f, g, o, as one array (4, hidden, hidden + input)."""
    hidden = recurrent.shape[1]
    return np.concatenate([recurrent, inputs], axis=1).reshape(4, hidden, -1)


@dataclass(frozen=True)
class Run:
    """Prepared work, to be repeated.

    Parameters
    ----------
    call : callable without arguments
        Does the work once.
    answer : callable
        What the last call found: some of ``y`` (time, batch, hidden), ``gates`` (time, batch, 4, hidden),
        ``cell_state``, ``d_weight``, ``d_bias`` and ``d_x``, in gatewise's layout.
    context : context manager
        In which all calls are made.
    facts : callable
        Measures other than time.
    keeps : object
        Objects that a runtime points to, and that must not be freed.
    """

    call: Callable[[], object]
    answer: Callable[[], Answer] = dict
    context: AbstractContextManager[object] = field(default_factory=nullcontext)
    facts: Callable[[], dict[str, float]] = dict
    keeps: object = None


@dataclass(frozen=True)
class Way:
    """A way in which a rival does one task.

    Parameters
    ----------
    label : str
    task : str
    prepare : callable
        Prepares a problem.
    remark : {"", "bf16", "untraced"}
        Why it is shown but not counted as a rival: it computes less accurately, or does not show the gates.
    """

    label: str
    task: str
    prepare: Callable[[Problem], Run]
    remark: Literal["", "bf16", "untraced"] = ""
