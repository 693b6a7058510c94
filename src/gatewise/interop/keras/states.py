"""States as Keras has them: of each layer a list of arrays, h and c of each direction or cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.interop import conventions
from gatewise.interop.keras.live import numbers
from gatewise.layers import LSTM
from gatewise.layers.stack import States


def read_state(state: Any, lstm: LSTM) -> States:
    """Return the states of Keras layers as gatewise's, ``[layer][direction]``.

    Parameters
    ----------
    state : list of tensors or arrays
        (batch, units) each: ``[h, c]`` of an LSTM layer, ``[h, c, h, c]`` of a Bidirectional (forward, then backward),
        as Keras takes and returns them; of several layers, or of stacked cells, a list of such lists.
    lstm : LSTM
        The LSTM that the state belongs to.

    Raises
    ------
    ShapeError
        If the number of arrays, or a shape, is not that of the LSTM's state.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> state = read_state([np.zeros((5, 2)), np.ones((5, 2))], gw.LSTM(3, 2, rng=0))
    >>> state[0][0].c.shape
    (5, 2)
    """
    flat = [array if isinstance(array, np.ndarray) else numbers(array) for array in conventions.iterate_arrays(state)]
    states = conventions.nested_state(lstm, flat)
    conventions.state_lists(states, batched=True)
    return states


def write_state(state: States) -> list[list[Array]]:
    """Return a state as lists of arrays, one for each layer, as Keras takes them.

    Parameters
    ----------
    state : tuple of tuple of State
        ``[layer][direction]``, with a batch axis.

    Returns
    -------
    list of list of array (batch, units)
        Of each layer ``[h, c]``, or ``[h, c, h, c]`` with two directions: what its ``initial_state`` takes.

    Raises
    ------
    OptionError
        If the state is not nested in this way, or h and c differ in size: Keras has no projection.
    ShapeError
        If it has no batch axis.
    """
    rows = conventions.state_lists(state, batched=True)
    for h, c in (cell for row in rows for cell in row):
        if h.shape != c.shape:
            raise OptionError(f"Keras' LSTM has no projection, but h has shape {h.shape} and c {c.shape}")
    return [[part for cell in row for part in cell] for row in rows]
