"""LSTM: cells stacked in layers, in one direction or two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, empty, index, lock, require_memory, size, unlock
from gatewise.cell import INITS, LSTMCell, Rng, draw, generator
from gatewise.engine import ENGINES, choose
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.merging import merge, merged_size, merges, shown
from gatewise.layers.settling import Noise, Settled, States, settle, unbatched
from gatewise.layers.stream import Stream
from gatewise.parameters import NO_MASKS, Parameters, Variant
from gatewise.step import NO_LABELS, Labels, State
from gatewise.trace import DIRECTIONS, EVERYTHING, NOTHING, QUANTITIES, Keep, LSTMTrace, Trace, require_reusable

Layers = tuple[dict[str, Trace], ...]


class LSTM:
    """A stack of LSTM cells, newly drawn; `from_cells` makes one of given cells.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
    bidirectional : bool
        Every layer also runs backward in time; its outputs, in the input's time, are merged with the forward ones.
    direction : {"forward", "backward"}
        The one direction of an LSTM that is not bidirectional.
    projection_size : int, optional
        The size of the hidden state, where it is projected.
    merge : {"concat", "sum", "mul", "average", "none"} or a sequence of them, one for each layer
        How two directions become one output. ``none`` keeps them apart on an axis of their own, (…, 2, size), and is
        for the last layer only.
    variant : Variant
        Of every cell.
    init, rng, **options
        As in `gatewise.cell.draw`.
    dtype : float32 or float64

    Raises
    ------
    OptionError
        If a size, a name or a combination is not allowed.

    Examples
    --------
    >>> lstm = LSTM(input_size=3, hidden_size=2, num_layers=2, bidirectional=True, rng=0)
    >>> y, state = lstm(np.zeros((5, 1, 3)))
    >>> y.shape, len(state), len(state[0]), state[0][0].c.shape
    ((5, 1, 4), 2, 2, (1, 2))
    """

    layers: tuple[tuple[LSTMCell, ...], ...]
    directions: tuple[str, ...]
    merge: tuple[str, ...]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        direction: str = "forward",
        projection_size: int | None = None,
        merge: str | Sequence[str] = "concat",
        variant: Variant | None = None,
        init: str = "pytorch",
        rng: Rng = None,
        dtype: npt.DTypeLike = np.float32,
        **options: Any,
    ) -> None:
        size("num_layers", num_layers)
        one_of("direction", direction, DIRECTIONS)
        if bidirectional and direction != "forward":
            raise OptionError("direction is for an LSTM of one direction; a bidirectional one has both")
        source = generator(one_of("initialiser", init, INITS), rng, options)  # one stream of numbers for all cells
        ways = merges(merge, num_layers)
        layers: list[tuple[LSTMCell, ...]] = []
        features = input_size
        for way in ways:
            layers.append(
                tuple(
                    LSTMCell(
                        draw(
                            features,
                            hidden_size,
                            projection_size=projection_size,
                            variant=variant,
                            init=init,
                            rng=source,
                            dtype=dtype,
                            **options,
                        )
                    )
                    for _ in range(1 + bool(bidirectional))
                )
            )
            features = merged_size(way, [cell.recurrent_size for cell in layers[-1]])
        self._settle(layers, DIRECTIONS if bidirectional else (direction,), ways)

    @classmethod
    def from_cells(
        cls,
        layers: LSTMCell | Parameters | Sequence[Any],
        *,
        direction: str = "forward",
        merge: str | Sequence[str] = "concat",
    ) -> LSTM:
        """Return an LSTM of given cells.

        Parameters
        ----------
        layers : LSTMCell or Parameters, or a sequence
            One cell; or for each layer a cell, or a pair of cells (forward, backward).
        direction : {"forward", "backward"}
            Of an LSTM with one cell a layer.
        merge : str or sequence of str
            As in `LSTM`.

        Raises
        ------
        ShapeError
            If the cells of a layer, or a layer and the next, do not fit together.
        """
        one_of("direction", direction, DIRECTIONS)
        stack = layers if isinstance(layers, (list, tuple)) else [layers]
        rows = [tuple(_cell(one) for one in (row if isinstance(row, (list, tuple)) else [row])) for row in stack]
        if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) not in (1, 2):
            raise ShapeError("layers must hold one or more layers, with one cell each, or two each")
        lstm = cls.__new__(cls)
        lstm._settle(rows, DIRECTIONS if len(rows[0]) == 2 else (direction,), merges(merge, len(rows)))
        return lstm

    def _settle(
        self, layers: Sequence[tuple[LSTMCell, ...]], directions: tuple[str, ...], ways: tuple[str, ...]
    ) -> None:
        features = layers[0][0].input_size
        for number, (row, way) in enumerate(zip(layers, ways, strict=True)):
            for cell in row:
                if cell.input_size != features:
                    raise ShapeError(
                        f"a cell of layer {number} takes {cell.input_size} features; it is given {features}"
                    )
                if cell.dtype != layers[0][0].dtype:
                    raise ShapeError(f"a cell of layer {number} is {cell.dtype}; the first is {layers[0][0].dtype}")
            sizes = [cell.recurrent_size for cell in row]
            if way != "concat" and len(set(sizes)) != 1:
                raise ShapeError(f"the directions of layer {number} have sizes {sizes}; merge {way!r} needs equal ones")
            features = merged_size(way, sizes)
        self.layers, self.directions, self.merge = tuple(layers), directions, ways

    # What it is.

    @property
    def input_size(self) -> int:
        """How many features the input has."""
        return self.layers[0][0].input_size

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
    def count(self) -> int:
        """How many numbers it has in all."""
        return sum(cell.parameters.count for row in self.layers for cell in row)

    def __getitem__(self, key: int | tuple[int, str]) -> LSTMCell:
        layer, direction = key if isinstance(key, tuple) else (key, self.directions[0])
        row = self.layers[index("layer", layer, self.num_layers, "this LSTM")]
        return row[self.directions.index(one_of("direction", direction, self.directions))]

    def astype(self, dtype: npt.DTypeLike) -> LSTM:
        """Return the same LSTM in float32 or float64."""
        rows = [tuple(LSTMCell(cell.parameters.astype(dtype), cell.labels) for cell in row) for row in self.layers]
        return LSTM.from_cells(rows, direction=self.directions[0], merge=self.merge)

    def __repr__(self) -> str:
        cell = self[0]
        options = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        options += ", bidirectional=True" if self.bidirectional else ""
        options += ", direction='backward'" if self.directions == ("backward",) else ""
        options += f", merge={self.merge[0]!r}" if self.bidirectional and self.merge[0] != "concat" else ""
        return repr(cell).replace("LSTMCell", "LSTM", 1).replace(", dtype", f"{options}, dtype")

    # What it does.

    def __call__(
        self,
        x: npt.ArrayLike,
        state: States | None = None,
        *,
        lengths: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        masks: Noise | None = None,
        masked_output: str = "zeros",
        engine: str = "auto",
        out: Array | None = None,
    ) -> tuple[Array, States]:
        """Run over a sequence.

        Parameters
        ----------
        x : array (time, batch, input) or (time, input)
        state : tuple of tuple of State, optional
            What each layer and direction starts from, ``[layer][direction]``; zeros by default.
        lengths : array of int (batch,), optional
            How many steps of each row are real; the rest is padding on the right.
        mask : boolean array (time, batch) or (time,), optional
            Which steps take place, where padding is not only on the right. Not together with `lengths`.
        masks : nested sequence of Masks or None, ``[layer][direction]``, optional
            The noise of training.
        masked_output : {"zeros", "repeat"}
            What is put out where a step does not take place: zeros (PyTorch, ONNX), or the last output again, and
            zeros before the first (Keras).
        engine : str
            ``auto``, or the name of one of `gatewise.engines()`.
        out : array in the shape and dtype of y, optional
            Where y is written, so that repeated calls take no new memory.

        Returns
        -------
        y : array (time, batch, output) or (time, output)
        state : tuple of tuple of State
            What a next call goes on from.

        Raises
        ------
        ShapeError
            If a size does not agree.
        OptionError
            If an option is not allowed, or the engine cannot run this LSTM.
        """
        run = settle(
            self, x, state, lengths=lengths, mask=mask, masks=masks, masked_output=masked_output, engine=engine
        )
        plan = self._plan(run, NOTHING, [[NO_LABELS] * len(row) for row in self.layers])
        _require_memory(run, plan)
        y, layers = self._run(run, plan, run.x, out=None if out is None else self._output(out, run))
        finals = tuple(tuple(trace.final for trace in layer.values()) for layer in layers)
        return (y, finals) if run.batched else (y[:, 0], unbatched(finals))

    def trace(
        self,
        x: npt.ArrayLike,
        state: States | None = None,
        *,
        lengths: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        masks: Noise | None = None,
        masked_output: str = "zeros",
        engine: str = "auto",
        keep: str | Sequence[str] | None = None,
        units: Sequence[int] | None = None,
        every: int = 1,
        out: str | os.PathLike[str] | LSTMTrace | None = None,
        labels: Labels | Sequence[Labels] | None = None,
    ) -> LSTMTrace:
        """Run over a sequence and keep every gate of every step.

        Parameters
        ----------
        x, state, lengths, mask, masks, masked_output, engine
            As in a call.
        keep, units, every
            Keep less: which of `gatewise.trace.QUANTITIES`, which hidden units, every nth step. Steps can be shown and
            gradients computed only of a trace that keeps everything.
        out : path or LSTMTrace, optional
            A safetensors file that is written as the run goes; the trace returned reads from it. Or the trace of an
            earlier call of the same shapes: its arrays are written over, so that repeated calls take no new memory.
        labels : Labels, or one for each layer, optional
            The features' names belong to the first layer; names of units need a `Labels` for each layer where there
            is more than one.

        Returns
        -------
        LSTMTrace

        Raises
        ------
        CapacityError
            If what is to be kept would not fit into memory; nothing has been computed then.
        """
        whole = keep is None and units is None and every == 1
        keeping = EVERYTHING if whole else Keep(QUANTITIES if keep is None else keep, units, every)  # type: ignore[arg-type]
        run = settle(
            self, x, state, lengths=lengths, mask=mask, masks=masks, masked_output=masked_output, engine=engine
        )
        plan = self._plan(run, keeping, self._labels(labels, run))
        _require_memory(run, plan, kept=out is None)
        if out is not None and not isinstance(out, LSTMTrace):
            return self._trace_on_file(run, plan, out)
        views = {} if out is None else self._taken_again(out, plan, run)
        given, others = run.x, list(views.values())  # what is read must be none of what is written
        if keeping.everything:  # and the trace holds on to its input, which must not change when the caller's does
            if "input" in views:
                np.copyto(views["input"], given)
                given, others = views["input"], []
            others.append(np.asarray(x))
        if any(np.may_share_memory(given, one) for one in others) or (keeping.everything and not given.flags.owndata):
            given = given.copy()
        y, layers = self._run(run, plan, given, views, views.get("output"))
        trace = LSTMTrace(layers, y, self.merge, masked_output, run.batched)
        for one in trace:
            one.locked()
        lock(y)
        return trace

    def stream(self, batch: int | None = None, *, engine: str = "auto") -> Stream:
        """Return a stream: this LSTM with a state that is carried from call to call."""
        return Stream(self, batch, engine)

    def zero_state(self, batch: int | None = None) -> States:
        """Return the state that a run starts from when none is given."""
        rows = () if batch is None else (size("batch", batch, least=0),)
        return tuple(
            tuple(
                State(np.zeros((*rows, c.recurrent_size), self.dtype), np.zeros((*rows, c.hidden_size), self.dtype))
                for c in row
            )
            for row in self.layers
        )

    # How it does it.

    def _plan(self, run: Settled, keep: Keep, labels: Sequence[Sequence[Labels]]) -> Layers:
        """Return the traces of a run before it has run: arrays in their shapes that take no memory yet."""
        time, batch = run.x.shape[:2]
        layers = []
        for number, row in enumerate(self.layers):
            layer = {}
            for place, (cell, direction) in enumerate(zip(row, self.directions, strict=True)):
                p, initial = cell.parameters, run.state[number][place]
                noise = ((run.masks[number][place] if run.masks is not None else None) or NO_MASKS).fit(p, time, batch)
                layer[direction] = Trace(
                    parameters=p,
                    initial=initial,
                    final=initial,
                    time=time,
                    arrays={
                        name: _blank(shape, self.dtype) for name, shape in keep.shapes(p, time, batch, noise).items()
                    },
                    input=_blank((time, batch, p.input_size), self.dtype) if keep.everything else None,
                    direction=direction,
                    live=run.live,
                    masks=noise,
                    keep=keep,
                    engine=choose(run.engine, p).NAME,
                    labels=labels[number][place],
                )
            layers.append(layer)
        return tuple(layers)

    def _blank_output(self, run: Settled) -> Array:
        """Return a blank array in the shape of the output."""
        directions = (2,) if self.merge[-1] == "none" and self.bidirectional else ()
        return _blank((*run.x.shape[:2], *directions, self.output_size), self.dtype)

    def _output(self, out: Array, run: Settled) -> Array:
        """Return the caller's array for the output, with a batch axis."""
        wanted = self._blank_output(run)
        shape = wanted.shape if run.batched else (wanted.shape[0], *wanted.shape[2:])
        if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (shape, wanted.dtype):
            given = f"{out.dtype} of {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ShapeError(f"out must be an array of {wanted.dtype} of shape {shape}, not {given}")
        if not out.flags.carray:
            raise OptionError("out must be writable, aligned and lie in one piece")
        return out.reshape(wanted.shape)

    def _taken_again(self, earlier: LSTMTrace, plan: Layers, run: Settled) -> dict[str, Array]:
        """Return the arrays of an earlier trace, unlocked, by the names that `_run` gives them."""
        wanted, given = _written(plan, self._blank_output(run)), _written(earlier.layers, earlier.output)
        shapes = {name: (array.shape, array.dtype) for name, array in wanted.items()}
        require_reusable(shapes, given, "arrays", locked=True)
        for array in given.values():
            unlock(array)
        return given

    def _trace_on_file(self, run: Settled, plan: Layers, out: str | os.PathLike[str]) -> LSTMTrace:
        """Run with all that is kept lying in a file."""
        from gatewise import storage  # what files need is imported with the first of them
        from gatewise.layers.recording import lstm_trace_from, lstm_trace_record

        blank = LSTMTrace(plan, self._blank_output(run), self.merge, run.masked_output, run.batched)
        arrays, head = lstm_trace_record(blank)
        shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        with storage.writing(out, shapes, head) as views:
            y, layers = self._run(run, plan, run.x, views)
            whole = LSTMTrace(layers, y, self.merge, run.masked_output, run.batched)
            for name, array in lstm_trace_record(whole)[0].items():
                if array is not views[name]:
                    views[name][...] = array
        return lstm_trace_from(storage.mapped(out, shapes, head), head)

    def _run(
        self, run: Settled, plan: Layers, x: Array, views: dict[str, Any] | None = None, out: Array | None = None
    ) -> tuple[Array, Layers]:
        """Run every layer as planned, the first over `x`; return the output and the traces.

        What is kept goes to `views`, the output to `out`, or each to new arrays.
        """
        layers = []
        for number, layer in enumerate(plan):
            outputs, done = [], {}
            for direction, trace in layer.items():
                p, reverse = trace.parameters, direction == "backward"
                arrays = {
                    name: views[f"layers.{number}.{direction}.{name}"] if views else empty(blank.shape, blank.dtype)
                    for name, blank in trace.arrays.items()
                }
                hidden = arrays.get("hidden_state")
                if hidden is None or trace.keep.units is not None or trace.keep.every > 1:
                    straight = number + 1 == len(plan) and len(layer) == 1 and run.live is None
                    if out is not None and straight and not np.may_share_memory(out, x):
                        hidden = out
                    else:
                        hidden = np.empty((*x.shape[:2], p.recurrent_size), p.dtype)
                final = ENGINES[trace.engine].run(
                    p,
                    x,
                    trace.initial,
                    hidden,
                    reverse=reverse,
                    live=run.live,
                    masks=trace.masks,
                    keep=trace.keep,
                    arrays=arrays,
                )
                done[direction] = trace.ran(final, arrays, None if trace.input is None else x)
                outputs.append(shown(hidden, run.live, run.masked_output, reverse=reverse))
            layers.append(done)
            x = merge(outputs, self.merge[number])
        if out is not None and not np.shares_memory(out, x):
            if any(np.shares_memory(out, array) for array in layers[-1][self.directions[0]].arrays.values()):
                return x, tuple(layers)  # once the output was a trace's hidden state, which now is another
            np.copyto(out, x)
            x = out
        return x, tuple(layers)

    def _labels(self, given: Labels | Sequence[Labels] | None, run: Settled) -> Sequence[Sequence[Labels]]:
        if given is None:
            found = [[cell.labels for cell in row] for row in self.layers]
        else:
            found = [
                [labels.or_else(cell.labels) for cell in row]
                for labels, row in zip(self._labels_given(given), self.layers, strict=True)
            ]
        time, batch = run.x.shape[:2]
        for names, row in zip(found, self.layers, strict=True):
            for labels, cell in zip(names, row, strict=True):
                if labels is not NO_LABELS:
                    labels.require(features=cell.input_size, units=cell.hidden_size, series=batch, times=time)
        return found

    def _labels_given(self, given: Labels | Sequence[Labels]) -> Sequence[Labels]:
        """Return the caller's labels, one for each layer."""
        if isinstance(given, Labels):
            one = given
            if one.units is not None and self.num_layers > 1:
                raise OptionError("names of units need a Labels for each layer where there is more than one")
            given = [one, *[replace(one, features=None)] * (self.num_layers - 1)]
        if not isinstance(given, Sequence) or not all(isinstance(labels, Labels) for labels in given):
            raise OptionError(f"labels must be Labels, or one for each layer, not {given!r}")
        if len(given) != self.num_layers:
            raise ShapeError(f"there are {len(given)} labels for {self.num_layers} layers")
        return given


@lru_cache(256)
def _blank(shape: tuple[int, ...], dtype: np.dtype[np.floating[Any]]) -> Array:
    """Return an array of a shape that takes no memory, and cannot be written to."""
    return np.ndarray(shape, dtype, bytes(dtype.itemsize), strides=(0,) * len(shape))


def _written(layers: Layers, output: Array) -> dict[str, Array]:
    """Return the arrays that a run writes: its output, what its traces keep, and a copy of what it was given."""
    found = {"output": output}
    for number, layer in enumerate(layers):
        for direction, trace in layer.items():
            for name, array in trace.arrays.items():
                found[f"layers.{number}.{direction}.{name}"] = array
    if (x := next(iter(layers[0].values())).input) is not None:
        found["input"] = x
    return found


def _require_memory(run: Settled, plan: Layers, *, kept: bool = True) -> None:
    """Raise where the outputs of a run, and what its traces keep, would not fit."""
    time, batch = run.x.shape[:2]
    traces = [trace for layer in plan for trace in layer.values()]
    count = sum(time * batch * trace.parameters.recurrent_size for trace in traces)
    if kept:
        count += sum(array.size for trace in traces for array in trace.arrays.values())
        count += 0 if traces[0].input is None else traces[0].input.size
    require_memory(count, run.x.itemsize, f"a run of {time} steps of {batch} rows")


def _cell(given: object) -> LSTMCell:
    if isinstance(given, Parameters):
        return LSTMCell(given)
    if not isinstance(given, LSTMCell):
        raise OptionError(f"a layer must hold LSTMCell or Parameters, not {type(given).__name__}")
    return given
