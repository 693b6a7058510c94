"""The captured calls of a live model's LSTMs: a trace of each, compared with the model's numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.records.trace import LSTMTrace


@dataclass(frozen=True, eq=False)
class Captured:
    """One call of one LSTM in a model that ran.

    Attributes
    ----------
    name : str
        The LSTM's name in the model.
    call : int
        The number of this call of the LSTM, counted from 0.
    trace : LSTMTrace
        The trace of this call, at the inputs that the LSTM received.
    difference : float
        The largest absolute difference between the outputs and final states of the trace and those that the model
        computed; NaN where the model computed NaN.
    notes : tuple of str
        The comparisons that were left out, and why; what of the model the trace does not have.
    """

    name: str
    call: int
    trace: LSTMTrace
    difference: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Captured {self.name!r}, call {self.call}, difference {self.difference:.3g}: {self.trace!r}>"


def difference(pairs: Iterable[tuple[Array, Array]]) -> float:
    """Return the largest absolute difference between a trace's arrays and a model's, in pairs; NaN if there is one.

    Equal infinities do not differ; arrays of different shapes differ infinitely.
    """
    worst = 0.0
    for first, second in pairs:
        if first.shape != second.shape:
            return float("inf")
        with np.errstate(invalid="ignore"):
            apart = np.where(first == second, 0, np.abs(first - second))
            worst = np.maximum(worst, apart.max(initial=0))  # which keeps NaN
    return float(worst)
