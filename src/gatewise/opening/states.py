"""Initial and final states of an LSTM, out of arrays as frameworks stack them and out of .npz files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array, array_of
from gatewise.errors import OptionError, ShapeError, join_names
from gatewise.files.storage import npz_names, read_npz
from gatewise.interop.contents import StoredLSTM
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.records.step import State
from gatewise.showing import counted


def read_state_arrays(path: Path) -> dict[str, Any]:
    """Return the initial states h0 and c0 in an .npz file, or the one array that it has."""
    names = set(npz_names(path)) & {"h0", "c0"}
    if not names:
        raise OptionError(f"{path} must hold h0, c0 or both; it has {join_names(npz_names(path)) or 'none'}")
    return read_npz(path, sorted(names))


def file_state(entry: StoredLSTM, batch: int) -> States | None:
    """Return the initial state in a model's file, repeated for a batch; None where it starts from zeros."""
    if entry.state is None:
        return None

    def for_batch(array: Array) -> Array:
        """Return the state of one sequence, or of each, for all sequences of the batch."""
        array = np.atleast_2d(array)
        array = array[:1] if (array == array[:1]).all() else array
        if len(array) not in (1, batch):
            raise ShapeError(f"the file's initial state is for {counted(len(array), 'sequence')}; this run has {batch}")
        return np.broadcast_to(array, (batch, array.shape[1]))

    return tuple(tuple(State(for_batch(state.h), for_batch(state.c)) for state in row) for row in entry.state)


def initial_state(lstm: LSTM, arrays: Mapping[str, Any], batch: int) -> States:
    """Return the initial states of an LSTM by the arrays h0 and c0; zeros for an array that is missing."""
    zeros = lstm.zero_state(batch)
    rows = nested_pairs(lstm, arrays.get("h0"), arrays.get("c0"), batch)
    return tuple(
        tuple(
            State(*(blank if part is None else part for part, blank in zip(pair, zero, strict=True)))
            for pair, zero in zip(row, blanks, strict=True)
        )
        for row, blanks in zip(rows, zeros, strict=True)
    )


def nested_pairs(lstm: LSTM, h: Any, c: Any, batch: int, names: tuple[str, str] = ("h0", "c0")) -> Any:
    """Return states (h, c) ``[layer][direction]`` of two arrays as frameworks stack them; None for a missing array.

    Parameters
    ----------
    lstm : LSTM
    h, c : array or None
        (layers · directions, batch, size), or (batch, layers · directions, size); with one layer and direction also
        (batch, size); with one sequence also without the batch.
    batch : int
    names : tuple of str
        Of the arrays, in errors.
    """
    count, directions = lstm.num_layers * len(lstm.directions), len(lstm.directions)
    cells = [cell for row in lstm.layers for cell in row]
    parts: list[list[Any]] = []
    for name, stacked, sizes in (
        (names[0], h, [cell.recurrent_size for cell in cells]),
        (names[1], c, [cell.hidden_size for cell in cells]),
    ):
        if stacked is None:
            parts.append([None] * count)
            continue
        array, size = array_of(name, stacked), sizes[0]
        if len(set(sizes)) != 1:
            raise ShapeError(f"{name} cannot hold the states of layers of different sizes: {sizes}")
        allowed: list[tuple[int, ...]] = [(count, batch, size), (batch, count, size)]
        allowed += [(batch, size)] * (count == 1) + [(count, size)] * (batch == 1) + [(size,)] * (count * batch == 1)
        if array.shape not in allowed:
            raise ShapeError(
                f"{name} has shape {array.shape}; it must be {allowed[0]} (layers and directions, batch, unit)"
            )
        if array.shape == allowed[1] != allowed[0]:
            array = array.swapaxes(0, 1)
        parts.append(list(array.reshape(count, batch, size)))
    pairs = list(zip(*parts, strict=True))
    return tuple(tuple(pairs[start : start + directions]) for start in range(0, count, directions))


def without_batch(states: States) -> States:
    """Return the states of the first sequence, without the batch axis."""
    return tuple(tuple(State(state.h[0], state.c[0]) for state in row) for row in states)
