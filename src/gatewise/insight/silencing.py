"""Runs made again, with edits, or with units silenced: many units at a time, each in a copy of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import Array, chunks
from gatewise.equations import DropoutMasks
from gatewise.layers import LSTM
from gatewise.layers.lstm import lstm_of, of_cells
from gatewise.layers.merging import merge
from gatewise.layers.stack import States, map_states
from gatewise.network import Network, NetworkTrace
from gatewise.records.nesting import Cell
from gatewise.records.step import State

MOST = 2**22  # numbers of the copies that run at a time, about


def input_of(run: Any, purpose: str) -> Array:
    """Return the features (time, batch, feature) that a run with a batch axis was given, or that were embedded."""
    x: Array = run.require(purpose)
    return x if run.network is None or run.input is None else run.input


def run_again(run: Any, x: Array | None = None, **options: Any) -> NetworkTrace:
    """Return a run with a batch axis, made again with options of `LSTM.trace`, of a network that takes features.

    `x` is another input of it (time, batch, feature).
    """
    lstm, network, other = run.lstm, run.network, x
    x = input_of(run, "an ablation") if x is None else x
    if network is None:
        network = Network(lstm_of(lstm))
    dropout = of_cells(lstm, "dropout")
    options = {"mask": lstm.first.valid, "dropout": dropout, "masked_output": lstm.masked_output, **options}
    if network.is_in_graph:
        features = lstm.first.input if other is None else network.features(x)
        trace = lstm_of(lstm).trace(features, of_cells(lstm, "initial"), **options)
        edited: NetworkTrace = replace(run, lstm=trace, output=network.outputs_after(trace.output, trace.state, x))
        return edited
    network = network.replace(embedding=None, masked=None, initial=None)
    again: NetworkTrace = network.trace(x, of_cells(lstm, "initial"), **options)
    return again


def has_silencing_masks(run: Any) -> bool:
    """Return whether masks of hidden states silence a unit of a run; where they do not, an edit does."""
    merges = {"concat"} if len(run.lstm.directions) > 1 else {*run.lstm.merge}
    return {*run.lstm.merge} == merges and not any(
        cell.parameters.projection is not None or cell.dropout.arrays() or cell.initial.h.any()
        for cell in run.cells().values()
    )


def outputs_without(run: NetworkTrace, key: Cell, units: Sequence[int]) -> Iterator[Array]:
    """Yield the output of a run with each of some units of a cell silenced by masks: as if its output gate were 0."""
    of_step = run.network.numbers_of_step + run.network.num_outputs
    for part in chunks(len(units), of_step * run.num_steps * run.batch_size, MOST):
        yield from _outputs_of_copies(run, key, units[part])


def _outputs_of_copies(run: NetworkTrace, key: Cell, units: Sequence[int]) -> Array:
    """Return the outputs (unit, …) of a run with each unit silenced, in one run of its layer and those above it."""
    (layer, way), lstm, count, batch = key, run.network.lstm, len(units), run.batch_size
    rows = run.lstm.layers[layer:]

    def copies(array: Any, axis: int = 1) -> Any:
        return None if array is None else np.concatenate([array] * count, axis)

    heard = {each: np.ones((count, batch, cell.parameters.hidden_size), lstm.dtype) for each, cell in rows[0].items()}
    heard[way][np.arange(count), :, units] = 0
    masks = [array.reshape(count * batch, -1) for array in heard.values()]
    of_layer = merge(masks, lstm.merge[layer])
    place = lstm.directions.index(way)
    dropout = [[DropoutMasks(recurrent=mask if n == place else None) for n, mask in enumerate(masks)]]
    dropout += [[DropoutMasks(input=of_layer if n == 1 else None)] * len(masks) for n in range(1, len(rows))]
    y, finals = LSTM.from_cells(lstm.layers[layer:], direction=lstm.directions[0], merge=lstm.merge[layer:])(
        copies(run[key].input),
        map_states(lambda state: copies(state, 0), ([cell.initial for cell in row.values()] for row in rows)),
        mask=copies(run.lstm.first.valid),
        dropout=dropout,
        masked_output=run.lstm.masked_output,
    )
    axis = 0 if run.network.reads == "last" else 1
    read = y if axis else merge([h for h, _ in finals[-1]], lstm.merge[-1])
    x = run.lstm.first.input if run.input is None else run.input
    if run.network.is_in_graph:
        y = _outputs_of_graph(run, layer, masks, y * of_layer if len(rows) == 1 else y, finals, copies(x))
    else:
        y = run.network.predict(read * of_layer if len(rows) == 1 else read, copies(x))
    return np.moveaxis(y.reshape(*y.shape[:axis], count, batch, *y.shape[axis + 1 :]), axis, 0)


def _outputs_of_graph(run: Any, layer: int, masks: Sequence[Array], y: Array, finals: States, x: Array) -> Array:
    """Return the outputs of a graph for the outputs of an LSTM from a silenced layer on; lower layers are as before."""
    count = y.shape[1] // run.batch_size
    lower = map_states(lambda state: np.concatenate([state] * count, 0), run.lstm.state[:layer])
    heard = tuple(State(h * mask, c) for (h, c), mask in zip(finals[0], masks, strict=True))
    network = run.network.of_sequences(np.tile(np.arange(run.batch_size), count))
    return network.outputs_after(y, (*lower, heard, *finals[1:]), x)  # type: ignore[no-any-return]
