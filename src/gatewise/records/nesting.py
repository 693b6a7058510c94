"""Values of the cells of an LSTM, nested by layer and direction: looked up, listed and mapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gatewise.arrays import index
from gatewise.errors import OptionError, join_names, one_of

Cell = tuple[int, str]  # a layer and a direction
T = TypeVar("T")
R = TypeVar("R")


def cell_at(layers: Sequence[Mapping[str, T]], key: int | tuple[int, str], owner: str) -> T:
    """Return the value of a cell by its layer and direction, or by its layer alone if that has one direction."""
    layer, direction = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
    row = layers[index("layer", layer, len(layers), owner)]
    if direction is None:
        if len(row) > 1:
            either = join_names((f"[{layer}, {name!r}]" for name in row), "or")
            raise OptionError(f"layer {layer} of {owner} has {len(row)} directions. Choose one: {either}.")
        return next(iter(row.values()))
    return row[one_of("direction", direction, tuple(row))]


def by_cell(layers: Sequence[Mapping[str, T]]) -> dict[tuple[int, str], T]:
    """Return the values of all cells by layer and direction."""
    return {(number, direction): value for number, layer in enumerate(layers) for direction, value in layer.items()}


def map_cells(function: Callable[..., R], *layers: Sequence[Mapping[str, Any]]) -> tuple[dict[str, R], ...]:
    """Return a function's result for each cell, from the cell and its value in each of `layers`, nested as they are."""
    return tuple(
        {direction: function((number, direction), *(row[direction] for row in rows)) for direction in rows[0]}
        for number, rows in enumerate(zip(*layers, strict=True))
    )


def array_prefix(cell: Cell) -> str:
    """Return the beginning of the names of a cell's arrays in a file: ``layers.0.forward.``."""
    return f"layers.{cell[0]}.{cell[1]}."
