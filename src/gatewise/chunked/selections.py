"""Selections of a run: the quantities of a trace and the output, by name and with named axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import Array, Mask
from gatewise.chunked.graph_model import GraphModelRun
from gatewise.network import Run
from gatewise.records.trace import Trace

PADDINGS = ("nan", "framework")  # what stands at steps that are not valid


class VariablePart(NamedTuple):
    """Numbers of a run that belong to a variable of the result.

    Attributes
    ----------
    name : str
        Of the variable.
    place : tuple of int
        Their place among the layers and directions, if these are axes of the variable.
    timed : bool
        Whether there is one for each step.
    dims : tuple of str
        The axes behind those.
    array : array (time, sequence, …), or (sequence, …) where they are not `timed`
    """

    name: str
    place: tuple[int, ...]
    timed: bool
    dims: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class Cells:
    """The selected cells of an LSTM, and those of ``layer`` and ``direction`` that are axes of the variables."""

    layers: tuple[int, ...]
    directions: tuple[str, ...]
    dims: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of the axes."""
        lengths = {"layer": len(self.layers), "direction": len(self.directions)}
        return {name: lengths[name] for name in self.dims}

    def of(self, run: Run) -> Iterator[tuple[tuple[int, ...], Trace]]:
        """Yield the traces of a run's selected cells, each with its place on the axes ``layer`` and ``direction``."""
        traces = run.stored.cells()
        for i, layer in enumerate(self.layers):
            for j, direction in enumerate(self.directions):
                places = {"layer": i, "direction": j}
                yield tuple(places[name] for name in self.dims), traces[layer, direction]


@dataclass(frozen=True, eq=False)
class QuantitySelection:
    """The quantities that a trace keeps, by its options (keep, units, every), and the output if it is selected.

    At steps that are not valid they are NaN, or with the `padding` "framework" the numbers that the run holds there.
    """

    cells: Cells
    output: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    padding: str = PADDINGS[0]

    def parts(self, run: Run) -> Iterator[VariablePart]:
        """Yield the quantities of a run's selected cells, then the output, as parts of an `xarray.Dataset`."""
        every, valid = self.options.get("every", 1), run.stored.lstm.first.valid
        kept_valid = None if valid is None or self.padding == "framework" else valid[::every]
        for place, cell in self.cells.of(run):
            for name in cell.distinct():
                projected = name == "hidden_state" and cell.parameters.projection is not None
                array = _valid_numbers(cell.quantity(name), kept_valid)
                yield VariablePart(name, place, True, ("projected" if projected else "unit",), array)
        if self.output:
            for part in _output_parts(run, every):
                yield part._replace(array=_valid_numbers(part.array, kept_valid)) if part.timed else part


def _valid_numbers(array: Array, valid: Mask | None) -> Array:
    """Return a quantity (time, sequence, …) with NaN at the steps that are not valid."""
    if valid is None or valid.all():
        return array
    return np.where(valid.reshape(*valid.shape, *[1] * (array.ndim - 2)), array, np.nan)


def _output_parts(run: Run, every: int) -> Iterator[VariablePart]:
    """Yield the outputs of a model's run: ``y``, or of a graph that has several, ``y_`` and the name of each."""
    if not isinstance(run, GraphModelRun) or len(run.outputs) == 1:
        yield _output_part(run, every)
        return
    for name, y in run.outputs.items():
        timed = y.ndim == 3
        yield VariablePart(f"y_{name}", (), timed, (f"output_{name}",), y[::every] if timed else y)


def _output_part(run: Run, every: int) -> VariablePart:
    """Return the output of a model's run as a part of the variable ``y`` of an `xarray.Dataset`.

    A large layer of a head is applied to one sequence after the other: what a product of matrices gives to the last bit
    depends on their sizes, and so a sequence's output would depend on how many others are beside it.
    """
    stored: Any = run.stored
    y, timed, network = stored.output, True, stored.network
    if network is not None:
        timed = network.reads == "every"
        if not all(layer.row_by_row for layer in network.dense) and stored.batch_size:
            features = [np.ascontiguousarray(array) for array in np.moveaxis(stored.features, -2, 0)]
            inputs: Any = [None] * len(features) if stored.input is None else np.moveaxis(stored.input, 1, 0)
            y = np.stack([network.predict(*pair) for pair in zip(features, inputs, strict=True)], axis=-2)
    dims = ("direction", "output")[-(y.ndim - 1 - timed) :]
    return VariablePart("y", (), timed, dims, y[::every] if timed else y)
