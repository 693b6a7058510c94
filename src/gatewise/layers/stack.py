"""Stack: the cells of an LSTM in layers, their directions, merges and sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.arrays import Array, require_memory, size
from gatewise.cell import LSTMCell
from gatewise.errors import ShapeError
from gatewise.layers.merging import merged_size
from gatewise.records.labels import Labels
from gatewise.records.nesting import by_cell, cell_at
from gatewise.records.step import State
from gatewise.showing import counted

States = tuple[tuple[State, ...], ...]  # [layer][direction]


def map_states(function: Callable[[Any], Array], states: Iterable[Iterable[Iterable[Any]]]) -> States:
    """Return states of which each array is the result of a function."""
    return tuple(tuple(State(function(h), function(c)) for h, c in layer) for layer in states)


class Stack:
    """Cells in layers, ``forward``, ``backward`` or both, whose directions each layer merges: what an LSTM is."""

    layers: tuple[tuple[LSTMCell, ...], ...]
    directions: tuple[str, ...]
    merge: tuple[str, ...]
    provenance: Any = None  # where a reader of `interop` found it

    def __init__(
        self, layers: Sequence[tuple[LSTMCell, ...]], directions: tuple[str, ...], merge: tuple[str, ...]
    ) -> None:
        features = layers[0][0].input_size
        for number, (row, way) in enumerate(zip(layers, merge, strict=True)):
            for cell in row:
                if cell.input_size != features:
                    raise ShapeError(
                        f"a cell of layer {number} takes {counted(cell.input_size, 'feature')}, but gets {features}"
                    )
                if cell.dtype != layers[0][0].dtype:
                    raise ShapeError(f"a cell of layer {number} is {cell.dtype}; the first is {layers[0][0].dtype}")
            sizes = [cell.recurrent_size for cell in row]
            if way != "concat" and len(set(sizes)) != 1:
                raise ShapeError(
                    f"the directions of layer {number} have sizes {sizes}; merge {way!r} needs equal sizes"
                )
            features = merged_size(way, sizes)
        self.layers, self.directions, self.merge = tuple(layers), directions, merge

    @property
    def input_size(self) -> int:
        """How many features the input has."""
        return self.layers[0][0].input_size

    @property
    def feature_names(self) -> Sequence[str] | None:
        """The names of the features that it reads; None where they have none."""
        return self.layers[0][0].labels.features

    @property
    def hidden_size(self) -> int:
        """How many units each cell of the first layer has."""
        return self.layers[0][0].hidden_size

    @property
    def output_size(self) -> int:
        """How many features the output has on its last axis."""
        return merged_size(self.merge[-1], [cell.recurrent_size for cell in self.layers[-1]])

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    @property
    def bidirectional(self) -> bool:
        """Whether every layer runs both ways."""
        return len(self.directions) == 2

    @cached_property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """float32 or float64."""
        return self.layers[0][0].dtype

    @property
    def num_parameters(self) -> int:
        """How many numbers it has in all, without those of coupled gates, which are not used."""
        return sum(cell.parameters.num_parameters for row in self.layers for cell in row)

    def __getitem__(self, key: int | tuple[int, str]) -> LSTMCell:
        return cell_at(self._by_direction, key, "this LSTM")

    __iter__ = None  # over layers, or over cells? `cells` says

    def cells(self) -> dict[tuple[int, str], LSTMCell]:
        """Return every cell, by layer and direction."""
        return by_cell(self._by_direction)

    @cached_property
    def labels(self) -> list[list[Labels]]:
        """The names of the features and units of each cell, ``[layer][direction]``: see `named`."""
        return self.named([[cell.labels for cell in row] for row in self.layers])

    def named(self, labels: Sequence[Sequence[Labels]]) -> list[list[Labels]]:
        """Return labels in which the inputs of each layer after the first have names.

        Where they have none of their own, those of what the layer below puts out: its units, and its directions where
        they lie side by side.
        """
        nested = [list(labels[0])]
        for number, row in enumerate(labels[1:]):
            features = Labels(features=self._output_names(number, nested[number]))
            nested.append([own_labels.or_else(features) for own_labels in row])
        return nested

    def _output_names(self, layer: int, labels: Sequence[Labels]) -> list[str]:
        """Return the names of the outputs of a layer, which are the features of the next one."""
        apart = self.bidirectional and self.merge[layer] == "concat"
        parts = list(zip(self.directions, self.layers[layer], labels, strict=True))
        return [
            f"{name}{f' {direction}' * apart} (layer {layer})"  # what tells names apart first: tables cut long ones
            for direction, cell, names in (parts if apart else parts[:1])
            for name in names.states(cell.recurrent_size, cell.hidden_size)
        ]

    @property
    def _by_direction(self) -> list[dict[str, LSTMCell]]:
        return [dict(zip(self.directions, row, strict=True)) for row in self.layers]

    @cached_property
    def _state_sizes(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """The sizes of the hidden and the cell state of each cell, ``[layer][direction]``."""
        return tuple(tuple((cell.recurrent_size, cell.hidden_size) for cell in row) for row in self.layers)

    def zero_state(self, batch_size: int | None = None) -> States:
        """Return the state of zeros, from which a run starts by default; without a batch size it has no batch axis."""
        batch = () if batch_size is None else (size("batch_size", batch_size, least=0),)
        numbers = sum(h + c for row in self._state_sizes for h, c in row)
        require_memory(math.prod(batch) * numbers, self.dtype.itemsize, "a state of that batch size")
        return tuple(
            tuple(State(np.zeros((*batch, h), self.dtype), np.zeros((*batch, c), self.dtype)) for h, c in row)
            for row in self._state_sizes
        )
