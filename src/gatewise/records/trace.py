"""The records of runs: `Trace`, of one cell, and `LSTMTrace`, of all cells of an LSTM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.arrays import Array, ReadOnlyArrays
from gatewise.errors import OptionError
from gatewise.records.edits import in_words
from gatewise.records.keep import DIRECTIONS
from gatewise.records.labelled_arrays import cell_dataset, cell_frame, labelled_output, lstm_frame, tree
from gatewise.records.labels import Labels
from gatewise.records.nesting import by_cell, cell_at, map_cells
from gatewise.records.places import place_of, step_place, step_slice
from gatewise.records.quantities import CellRecord
from gatewise.records.run_record import RunRecord
from gatewise.records.step import State, Step
from gatewise.showing import brief, counted, nth


@dataclass(frozen=True, eq=False, repr=False)
class Trace(CellRecord):
    """All steps of a run of one cell, with its parameters: what the backward pass needs, as plain arrays.

    Axes are (time, batch, feature); time is the input's time in both directions. At steps that are masked or lie
    beyond a sequence's length (`valid` is False) the gates are NaN, and the states are those that were carried over.

    The attributes below are what is stored, always with a batch axis. The quantities (`forget_gate`, `cell_state`,
    `previous`, …) have one if the input had one: of an input (time, feature), a gate is (time, hidden).

    A trace can be sliced by time and by sequence: ``trace[10:20]``, ``trace["2001-03-01":"2001-04"]`` with the last day
    and month, ``trace[:, 2:3]``; ``trace[t, sequence]`` is a `Step`.

    Attributes
    ----------
    parameters : Parameters
    initial, final : State
        Before the first and after the last step of the trace's direction; arrays (batch, ·).
    num_steps : int
        The number of steps of the run.
    arrays : dict
        What was kept: ``gates`` (time, batch, 4, hidden), ``cell_state`` and ``hidden_state`` (time, batch, ·), and
        with a projection ``unprojected_state``; less where `keep` says less.
    input : array (time, batch, input) or None
        None where the trace does not keep everything.
    direction : {"forward", "backward"}
    valid : boolean array (time, batch) or None
        Which steps are valid; None means all.
    dropout : DropoutMasks
        The dropout masks that were applied, broadcast to the run.
    keep : Keep
    engine : str
        Which engine ran.
    labels : Labels
    start : int
        The time of the first step: 0, except in a slice of a trace.
    edits : tuple of Edit
        What was set, scaled, clamped or patched, in this order; steps count from the first one of the trace. The
        gates and states are what the edits made of them, and those that follow from them.
    batched : bool
        Whether the input had a batch axis.

    Examples
    --------
    >>> trace = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 4, 3)))[0]
    >>> trace.forget_gate.shape, trace[2:4, :1].cell_state.shape
    ((5, 4, 2), (2, 1, 2))
    """

    @property
    def lstm(self) -> LSTMTrace:
        """The trace of the cell as that of an LSTM of one layer; its output is zero where a step is not valid."""
        hidden = self.stored.hidden_state
        if self.valid is not None:
            hidden = np.where(self.valid[:: self.keep.every, :, None], hidden, hidden.dtype.type(0))
        return LSTMTrace(({self.direction: self},), hidden, ("concat",))

    @property
    def stored(self) -> Trace:
        """The same run with a batch axis in every quantity, as they are stored."""
        return self if self.batched else self._with_fields(batched=True)

    @classmethod
    def planned(cls, **fields: Any) -> Trace:
        """Return the trace of a run that has not begun, in a third of the time that the constructor takes."""
        run = object.__new__(cls)
        vars(run).update(fields, arrays={}, final=fields["initial"], input=None)
        return run

    def completed(self, final: State, arrays: dict[str, Array], input: Array | None) -> Trace:
        """Return the trace with the outcome of its run."""
        return self._with_fields(final=final, arrays=arrays, input=input)

    def _with_fields(self, **fields: Any) -> Trace:
        """Return a copy of the trace with other fields, in a third of the time that `dataclasses.replace` takes."""
        run = object.__new__(Trace)
        vars(run).update(vars(self), **fields)
        return run

    def cells(self) -> dict[tuple[int, str], Trace]:
        """Return the trace itself, as that of layer 0."""
        return {(0, self.direction): self}

    def __iter__(self) -> Iterator[Trace]:
        """Go through the trace in the input's time, each step a trace of its own."""
        return (self[t : t + 1] for t in range(len(self)))

    # Smaller pieces of it.

    def step(self, t: Any, sequence: int | str = 0) -> Step:
        """Return one step of one sequence of the trace, with everything in it.

        Parameters
        ----------
        t : int, str, datetime, numpy.datetime64 or pandas.Timestamp
            The step in the input's time, by its number, date or name; a negative number counts from the end.
        sequence : int or str
            Which sequence of the batch, by its number or name; a negative number counts from the end.

        Raises
        ------
        OptionError
            If there is no such step or sequence, or the step is not valid: masked, or beyond the sequence's length.
        NotKeptError
            If the trace did not keep everything.
        """
        x = self.require("a step")
        t = step_place(t, x.shape[0], self.labels.times, "this trace")
        sequence = place_of("sequence", sequence, self.batch_size, self.labels.sequences, "this trace")
        if self.valid is not None and not self.valid[t, sequence]:
            raise OptionError(
                f"step {t} of sequence {sequence} is not valid: it is masked, or beyond the sequence's length"
            )
        name = None if self.labels.times is None else str(self.labels.times[t])
        return Step(self.moment((slice(t, t + 1), sequence)), self.labels, self.start + t, sequence, name)

    def __getitem__(self, key: Any) -> Any:
        when, which = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(which, str) and which in DIRECTIONS and isinstance(when, (int, np.integer)):
            return cell_at(({self.direction: self},), key, "this trace")  # a layer and a direction
        labels, owner = self.labels, "this trace"
        if not isinstance(when, slice) and not isinstance(which, slice):
            return self.step(when, which)
        if isinstance(when, slice):
            when = slice(*step_slice(when.start, when.stop, len(self), labels.times, owner), when.step)
        else:
            first = step_place(when, len(self), labels.times, owner)
            when = slice(first, first + 1)
        if not isinstance(which, slice):
            first = place_of("sequence", which, self.batch_size, labels.sequences, owner)
            which = slice(first, first + 1)
        return self._contiguous_slice(when, which)

    def _contiguous_slice(self, when: slice, which: slice) -> Trace:
        """Return contiguous steps of some sequences as a trace of their own, with the states before and after them."""
        self.require("a slice")
        first, stop, stride = when.indices(len(self))
        if stride != 1 or which.step not in (None, 1):
            raise OptionError("a slice of a trace must be contiguous. To keep every nth step, trace with every=n.")
        stop = max(first, stop)
        ends = self._state_between(first, which), self._state_between(stop, which)
        initial, final = ends if self.direction == "forward" else reversed(ends)
        part = self._selected_part(slice(first, stop), which)
        return replace(part, initial=initial, final=final, num_steps=stop - first, start=self.start + first)

    def _state_between(self, t: int, which: slice) -> State:
        """Return the state of some sequences that passes between steps t - 1 and t of the trace."""
        before = t - 1 if self.direction == "forward" else t
        if 0 <= before < len(self):
            return State(self.arrays["hidden_state"][before, which], self.arrays["cell_state"][before, which])
        outside = self.initial if (before < 0) == (self.direction == "forward") else self.final
        return State(*(array[which] for array in outside))

    def _selected_part(self, when: slice, which: slice) -> Trace:
        """Return the trace of some steps and sequences, with the initial and final states of all steps."""
        key = (when, which)
        counts = self.num_steps, self.batch_size  # edits name steps of the run, kept or not
        places = [range(*part.indices(count)) for part, count in zip(key, counts, strict=True)]
        edits = [edit.within(*places) for edit in self.edits]
        return replace(
            self,
            initial=State(*(array[which] for array in self.initial)),
            final=State(*(array[which] for array in self.final)),
            arrays={name: array[key] for name, array in self.arrays.items()},
            input=None if self.input is None else self.input[key],
            valid=None if self.valid is None else self.valid[key],
            dropout=self.dropout.at(key),
            labels=self.labels.replace(
                sequences=self.labels.sequences and self.labels.sequences[which],
                times=self.labels.times and self.labels.times[when],
            ),
            edits=tuple(edit for edit in edits if edit is not None),
        )

    def _only(self, which: slice) -> Trace:
        return replace(self._selected_part(slice(None), which), batched=False)

    # As tables.

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` of what was kept: a variable for each quantity, with named dimensions and labels.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        return cell_dataset(self)

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each kept step and sequence, and columns (quantity, unit).

        The rows are named (time, sequence), or by the time alone if the input had no batch axis. The input is the
        quantity ``input``, where the trace kept it.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return cell_frame(self).table(("quantity", "unit"))

    def edits_said(self, most: int = 3) -> str:
        """Return the edits in words, at most so many of them; nothing where there are none."""
        return in_words(self.edits, most, unit=self.labels.unit, start=self.start)

    def __repr__(self) -> str:
        p, keep = self.parameters, self.keep
        parts = [f"{self.direction}, {counted(self.num_steps, 'step')} of {counted(self.batch_size, 'sequence')}"]
        parts.append(f"{counted(p.input_size, 'feature')}, {counted(p.hidden_size, 'unit')}, {p.dtype.name}")
        if keep.every > 1:
            parts.append(f"every {nth(keep.every)} step kept")
        if keep.units is not None:
            parts.append(f"{counted(len(keep.units), 'unit')} kept")
        if self.edits:
            parts.append(f"edited: {self.edits_said()}")
        return brief(f"Trace: {', '.join(parts)}", {name: self.quantity(name) for name in self.distinct()})


@dataclass(frozen=True, eq=False, repr=False)
class LSTMTrace(ReadOnlyArrays, RunRecord):
    """The traces of all cells of an LSTM.

    ``trace[layer, direction]`` is the `Trace` of one cell; ``trace[layer]`` is enough where there is one direction.

    Attributes
    ----------
    layers : tuple of dict
        The `Trace` of each direction, for each layer.
    stored_output : array (time, batch, ·)
        The output of the LSTM, always with a batch axis.
    merge : tuple of str
        How each layer's directions were merged.
    masked_output : {"zeros", "repeat"}
        The output at steps that are not valid: see `LSTM`.

    Examples
    --------
    >>> trace = gw.LSTM(3, 2, bidirectional=True, rng=0).trace(np.ones((5, 3)))
    >>> trace.output.shape, trace[0, "backward"].forget_gate.shape
    ((5, 4), (5, 2))
    """

    layers: tuple[dict[str, Trace], ...]
    stored_output: Array
    merge: tuple[str, ...]
    masked_output: str = "zeros"

    @property
    def first(self) -> Trace:
        """The first cell: the forward one of the first layer, if it has one."""
        return next(iter(self.layers[0].values()))

    @property
    def batched(self) -> bool:
        """Whether the input had a batch axis."""
        return self.first.batched

    @property
    def output(self) -> Array:
        """The output (time, batch, ·), or (time, ·) if the input had no batch axis."""
        return self.stored_output if self.batched else self.stored_output[:, 0]

    @property
    def lstm(self) -> LSTMTrace:
        """The trace itself."""
        return self

    @property
    def stored(self) -> LSTMTrace:
        """The same run with a batch axis in every quantity, as they are stored."""
        if self.batched:
            return self
        return replace(self, layers=map_cells(lambda _, cell: cell.stored, self.layers))

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that every layer has."""
        return tuple(self.layers[0])

    @property
    def num_layers(self) -> int:
        """The number of layers."""
        return len(self.layers)

    @property
    def num_steps(self) -> int:
        """The number of steps of the run."""
        return self.first.num_steps

    @property
    def state(self) -> tuple[tuple[State, ...], ...]:
        """The final state of each layer and direction, from which another run can continue."""
        if self.batched:
            return tuple(tuple(cell.final for cell in layer.values()) for layer in self.layers)
        return tuple(tuple(State(*(array[0] for array in cell.final)) for cell in row.values()) for row in self.layers)

    @property
    def labels(self) -> Labels:
        """The names of the run: features of the first layer, outputs of the last, sequences and times."""
        first, last = (next(iter(layer.values())).labels for layer in (self.layers[0], self.layers[-1]))
        return first.replace(outputs=last.outputs, units=None, measures={**first.measures, **last.measures})

    @property
    def output_times(self) -> Any:
        """The times of the output: of all steps, but of the kept ones in the `lstm` of a single cell's trace."""
        if len(self.stored_output) == len(self.first):
            return self.first.times
        return self.first.start + np.arange(self.num_steps) if self.labels.times is None else self.labels.times

    @property
    def kept_output(self) -> Array:
        """The output (time, batch, ·) at the kept steps."""
        every = 1 if len(self.stored_output) == len(self.first) else self.first.keep.every
        return self.stored_output[::every]

    def __getitem__(self, key: int | tuple[int, str]) -> Trace:
        return cell_at(self.layers, key, "this trace")

    def cells(self) -> dict[tuple[int, str], Trace]:
        """Return the trace of every cell, by layer and direction."""
        return by_cell(self.layers)

    def _only(self, which: slice) -> LSTMTrace:
        layers = map_cells(lambda _, cell: cell._only(which), self.layers)
        return replace(self, layers=layers, stored_output=self.stored_output[:, which])

    def to_xarray(self) -> Any:
        """Return an `xarray.DataTree`: a `Dataset` for each cell, at ``layer_0/forward`` and so on; ``output/y``.

        Raises
        ------
        MissingExtraError
            If xarray is not installed, or is older than its `DataTree`.
        """
        return tree(self.datasets())

    def datasets(self) -> dict[str, Any]:
        """Return the `Dataset` of the LSTM's output and of each cell, by their paths in the tree."""
        output = labelled_output(self.stored_output, self.labels, self.directions, self.output_times)
        cells = {f"layer_{layer}/{way}": trace.to_xarray() for (layer, way), trace in self.cells().items()}
        return {"output": output, **cells}

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each kept step and sequence, and columns (cell, quantity, unit).

        Rows are as in `Trace.to_dataframe`. Cells are ``layer_0/forward`` and so on; the LSTM's output is the quantity
        ``y`` of ``output``.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return lstm_frame(self).table(("cell", "quantity", "unit"))

    def __repr__(self) -> str:
        ways = " and ".join(self.directions)
        text = f"{counted(self.num_layers, 'layer')}, {ways}, {counted(self.num_steps, 'step')}"
        text += f" of {counted(self.batch_size, 'sequence')}, {self.output.dtype.name}, {self.first.keep} kept"
        text += f", edited: {in_words(self.edits)}" if self.edits else ""
        arrays: dict[str, Array | None] = {"output": self.output}
        for (layer, way), trace in self.cells().items():
            p = trace.parameters
            arrays[f"[{layer}, {way!r}]: {counted(p.input_size, 'feature')} -> {counted(p.hidden_size, 'unit')}"] = None
        return brief(f"LSTMTrace: {text}", arrays)
