"""LSTMTrace: the record of a run of an LSTM, with the traces of all its cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatewise.arrays import Array, by_cell, cell_at
from gatewise.records.edits import Edit, in_words
from gatewise.records.labelled_arrays import tree
from gatewise.records.labels import Labels
from gatewise.records.step import State
from gatewise.records.trace import Trace
from gatewise.showing import brief, counted, inline


@dataclass(frozen=True, eq=False, repr=False)
class LSTMTrace:
    """The traces of all cells of an LSTM.

    ``trace[layer, direction]`` is the `Trace` of one cell; ``trace[layer]`` is enough where there is one direction.

    Attributes
    ----------
    layers : tuple of dict
        The `Trace` of each direction, for each layer.
    output : array (time, batch, ·)
        The output of the LSTM.
    merge : tuple of str
        How each layer's directions were merged.
    masked_output : {"zeros", "repeat"}
        The output at steps that are not valid: see `LSTM`.
    batched : bool
        Whether the input had a batch axis.
    """

    layers: tuple[dict[str, Trace], ...]
    output: Array
    merge: tuple[str, ...]
    masked_output: str = "zeros"
    batched: bool = True

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that every layer has."""
        return tuple(self.layers[0])

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    @property
    def num_steps(self) -> int:
        """How many steps the run had."""
        return int(self.output.shape[0])

    @property
    def batch_size(self) -> int:
        """How many sequences the batch has."""
        return int(self.output.shape[1])

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits of all cells, each with its layer and direction; `LSTM.trace` takes them as they are."""
        return tuple(edit for trace in self.cells().values() for edit in trace.edits)

    def require_unedited(self, purpose: str) -> None:
        """Raise OptionError where a cell's run was edited; `purpose` is the subject of the sentence."""
        for trace in self.cells().values():
            trace.require_unedited(purpose)

    @property
    def state(self) -> tuple[tuple[State, ...], ...]:
        """The final state of each layer and direction."""
        return tuple(tuple(trace.final for trace in layer.values()) for layer in self.layers)

    @property
    def labels(self) -> Labels:
        """The names of the run: features of the first layer, outputs of the last, sequences and times."""
        first, last = (next(iter(layer.values())).labels for layer in (self.layers[0], self.layers[-1]))
        return first.replace(outputs=last.outputs, units=None, measures={**first.measures, **last.measures})

    def __getitem__(self, key: int | tuple[int, str]) -> Trace:
        return cell_at(self.layers, key, "this trace")

    __iter__ = None  # over layers, or over cells? `cells` says

    def cells(self) -> dict[tuple[int, str], Trace]:
        """Return the trace of every cell, by layer and direction."""
        return by_cell(self.layers)

    def to_xarray(self) -> Any:
        """Return an `xarray.DataTree`: a `Dataset` for each cell, at ``layer_0/forward`` and so on; ``output/y``.

        Raises
        ------
        MissingExtraError
            If xarray is not installed, or is older than its `DataTree`.
        """
        cells = {f"layer_{layer}/{way}": trace.to_xarray() for (layer, way), trace in self.cells().items()}
        return tree(self.output, self.labels, self.directions, cells)

    def _repr_html_(self) -> str:
        return inline(self)

    def __repr__(self) -> str:
        first = next(iter(self.layers[0].values()))
        ways = " and ".join(self.directions)
        said = f"{counted(self.num_layers, 'layer')}, {ways}, {counted(self.num_steps, 'step')}"
        said += f" of {counted(self.batch_size, 'sequence')}, {self.output.dtype.name}, {first.keep} kept"
        said += f", edited: {in_words(self.edits)}" if self.edits else ""
        arrays: dict[str, Array | None] = {"output": self.output}
        for (layer, way), trace in self.cells().items():
            p = trace.parameters
            arrays[f"[{layer}, {way!r}]: {counted(p.input_size, 'feature')} -> {counted(p.hidden_size, 'unit')}"] = None
        return brief(f"LSTMTrace: {said}", arrays)
