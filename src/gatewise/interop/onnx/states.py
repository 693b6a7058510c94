"""States as ONNX has them: of each node LSTM, h and c with its directions on the first axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise import arrays
from gatewise.arrays import Array
from gatewise.errors import ShapeError
from gatewise.interop import conventions
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.showing import counted


def read_state(state: Any, lstm: LSTM) -> States:
    """Return the states of ONNX LSTM nodes as gatewise's, ``[layer][direction]``.

    Parameters
    ----------
    state : pair of arrays, or list of pairs
        ``(initial_h, initial_c)`` or ``(Y_h, Y_c)`` of a node, (directions, batch, size) each; of several layers, a
        list of such pairs.
    lstm : LSTM
        The LSTM that the state belongs to.

    Raises
    ------
    ShapeError
        If the number of arrays, or a shape, is not that of the LSTM's state.
    """
    nodes = [arrays.numbers("a state", array, lstm.dtype) for array in conventions.iterate_arrays(state)]
    directions = len(lstm.directions)
    for array in nodes:
        if array.ndim != 3 or len(array) != directions:
            raise ShapeError(f"a state of a node has shape {array.shape}; it must be ({directions}, batch, size)")
    if len(nodes) % 2:
        raise ShapeError(f"the state has {counted(len(nodes), 'array')}; each layer has two, initial_h and initial_c")
    pairs = zip(nodes[::2], nodes[1::2], strict=True)
    return conventions.nested_state(lstm, [part for both in pairs for pair in zip(*both, strict=True) for part in pair])


def write_state(state: States) -> list[tuple[Array, Array]]:
    """Return a state as pairs of arrays, one for each layer, as ONNX's LSTM nodes take them.

    Parameters
    ----------
    state : tuple of tuple of State
        ``[layer][direction]``, with a batch axis.

    Returns
    -------
    list of (initial_h, initial_c)
        Arrays (directions, batch, size).

    Raises
    ------
    OptionError
        If the state is not nested in this way.
    ShapeError
        If it has no batch axis, or the directions of a layer differ in size.
    """
    pairs = []
    for number, row in enumerate(conventions.state_lists(state, batched=True)):
        if len(shapes := dict.fromkeys((part.h.shape, part.c.shape) for part in row)) > 1:
            raise ShapeError(f"the directions of layer {number} differ in the shapes of h and c: {[*shapes]}")
        pairs.append((np.stack([part.h for part in row]), np.stack([part.c for part in row])))
    return pairs
