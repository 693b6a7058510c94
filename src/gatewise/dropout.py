"""Dropout, zoneout and DropConnect masks of a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gatewise.arrays import Array, numbers
from gatewise.errors import ShapeError
from gatewise.parameters import Parameters


@dataclass(frozen=True, eq=False, repr=False)
class DropoutMasks:
    """Dropout, zoneout and DropConnect masks, given as arrays, so that every run is deterministic.

    Each array must broadcast to the shape below; the time and batch axes are those of the input. Dropout masks hold
    0 or 1 / (1 - rate); zoneout masks hold the share of the old value that is kept (0 or 1 in training, the rate
    itself at inference).

    Parameters
    ----------
    input : array (time, batch, input), optional
        Multiplies the input.
    recurrent : array (time, batch, recurrent), optional
        Multiplies the previous hidden state where the gates see it
        (Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016).
    zoneout_cell : array (time, batch, hidden), optional
    zoneout_hidden : array (time, batch, recurrent), optional
        Keep a share of the old cell state and hidden state (Krueger et al., "Zoneout", 2017); the new hidden state is
        computed from the new cell state before its zoneout, as in the paper.
    weight : array (4, hidden, recurrent), optional
        Multiplies the recurrent weights, at all steps alike (DropConnect; Merity et al., "Regularizing and Optimizing
        LSTM Language Models", 2018).
    """

    input: Array | None = None
    recurrent: Array | None = None
    zoneout_cell: Array | None = None
    zoneout_hidden: Array | None = None
    weight: Array | None = None

    def __repr__(self) -> str:
        return f"DropoutMasks({', '.join(f'{name} {np.shape(array)}' for name, array in self.arrays().items())})"

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that are present, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    def fit(self, parameters: Parameters, num_steps: int, batch_size: int) -> DropoutMasks:
        """Return the masks in the cell's dtype and broadcast to a run of `num_steps` steps of `batch_size` sequences.

        Raises
        ------
        ShapeError
            If an array cannot be broadcast to its shape.
        """
        if self is NO_DROPOUT:
            return self
        time, batch = num_steps, batch_size
        sizes = {
            "input": (time, batch, parameters.input_size),
            "recurrent": (time, batch, parameters.recurrent_size),
            "zoneout_cell": (time, batch, parameters.hidden_size),
            "zoneout_hidden": (time, batch, parameters.recurrent_size),
            "weight": (4, parameters.hidden_size, parameters.recurrent_size),
        }
        fitted = {}
        for name, array in self.arrays().items():
            copy = np.array(numbers(f"the dropout mask {name!r}", array, parameters.dtype))
            try:
                fitted[name] = np.broadcast_to(copy, sizes[name])
            except ValueError:
                raise ShapeError(
                    f"the dropout mask {name!r} has shape {copy.shape}; it must broadcast to {sizes[name]}"
                ) from None
        return DropoutMasks(**fitted)

    def at(self, key: Any) -> DropoutMasks:
        """Return the fitted masks of one moment: `key` indexes (time, batch); the weights' mask is always the same."""
        return DropoutMasks(**{n: array if n == "weight" else array[key] for n, array in self.arrays().items()})


NO_DROPOUT = DropoutMasks()
