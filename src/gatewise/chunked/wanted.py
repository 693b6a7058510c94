"""What is wanted of every sequence: the quantities of a trace and the output, by name and with named axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from gatewise.arrays import Array
from gatewise.network import NetworkTrace
from gatewise.records.trace import LSTMTrace, Trace

Run = LSTMTrace | NetworkTrace


class Part(NamedTuple):
    """Some numbers of a run.

    Attributes
    ----------
    name : str
        Of the variable that they belong to.
    place : tuple of int
        Where in it: among the layers and the directions, as far as these are axes of it.
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


class Wanted(Protocol):
    """What a run is made for."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the run: what it keeps."""

    @property
    def cells(self) -> Cells:
        """The cells that are looked at."""

    def parts(self, run: Run) -> Iterator[Part]:
        """Go through what is wanted of a run."""


@dataclass(frozen=True)
class Cells:
    """Which cells of a stack are looked at.

    Attributes
    ----------
    layers : tuple of int
    directions : tuple of str
    dims : tuple of str
        Which of ``layer`` and ``direction`` are axes of the variables.
    """

    layers: tuple[int, ...]
    directions: tuple[str, ...]
    dims: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of the axes."""
        found = {"layer": len(self.layers), "direction": len(self.directions)}
        return {name: found[name] for name in self.dims}

    def of(self, run: Run) -> Iterator[tuple[tuple[int, ...], Trace]]:
        """Go through the traces of the cells, each with its place among the axes."""
        traces = lstm_of(run).stored.layers
        for i, layer in enumerate(self.layers):
            for j, direction in enumerate(self.directions):
                places = {"layer": i, "direction": j}
                yield tuple(places[name] for name in self.dims), traces[layer][direction]


@dataclass(frozen=True, eq=False)
class Quantities:
    """The quantities that a trace keeps, and the output.

    Attributes
    ----------
    cells : Cells
    output : bool
        Whether the output is wanted, too.
    options : dict
        What a trace keeps: keep, units, every.
    """

    cells: Cells
    output: bool
    options: Mapping[str, Any] = field(default_factory=dict)

    def parts(self, run: Run) -> Iterator[Part]:
        """Go through the quantities of every cell, then the output."""
        for place, cell in self.cells.of(run):
            for name in cell.distinct():
                projected = name == "hidden_state" and cell.parameters.projection is not None
                yield Part(name, place, True, ("projected" if projected else "unit",), cell.quantity(name))
        if self.output:
            yield _output(run, self.options.get("every", 1))


def lstm_of(run: Run) -> LSTMTrace:
    """Return the trace of the LSTM of a run."""
    return run.lstm if isinstance(run, NetworkTrace) else run


def _output(run: Run, every: int) -> Part:
    """Return what a model puts out.

    A large layer of a head is applied to one sequence after the other: what a product of matrices gives to the last bit
    depends on their sizes, and so a sequence's output would depend on how many others are beside it.
    """
    run = run.stored
    y, timed = run.output, True
    if isinstance(run, NetworkTrace):
        network, timed = run.network, run.network.reads == "every"
        if not all(layer.row_by_row for layer in network.dense) and run.lstm.batch_size:
            read = [np.ascontiguousarray(one) for one in np.moveaxis(run.features, -2, 0)]
            given: Any = [None] * len(read) if run.given is None else np.moveaxis(run.given, 1, 0)
            y = np.stack([network.put_out(*one) for one in zip(read, given, strict=True)], axis=-2)
    dims = ("direction", "output")[-(y.ndim - 1 - timed) :]
    return Part("y", (), timed, dims, y[::every] if timed else y)
