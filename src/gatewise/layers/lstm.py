"""LSTM: cells stacked in layers, in one direction or two."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import storage
from gatewise.arrays import Array, Mask, float_type, numbers, require_memory, size
from gatewise.cell import LSTMCell, Rng, draw
from gatewise.engine import choose
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.merging import MASKED_OUTPUTS, MERGES, merge, merged_size, shown, unmerge, unshown
from gatewise.layers.stream import Stream
from gatewise.parameters import NO_MASKS, Masks, Parameters, Variant
from gatewise.record import lstm_trace_from, lstm_trace_record
from gatewise.step import Labels, State
from gatewise.trace import DIRECTIONS, QUANTITIES, Gradients, Keep, LSTMGradients, LSTMTrace, Trace

States = tuple[tuple[State, ...], ...]
Noise = Sequence[Sequence[Masks | None]]


@dataclass(frozen=True, eq=False)
class _Run:
    """One call's input, settled: axes (time, batch, feature), one dtype, every size checked."""

    x: Array
    state: States
    live: Mask | None
    masks: Noise | None
    masked_output: str
    batched: bool
    engine: str


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
        if init != "notebook" and not isinstance(rng, np.random.Generator):
            rng = np.random.default_rng(rng)  # one stream of numbers for all cells
        ways = _merges(merge, num_layers)
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
                            rng=rng,
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
        stack = [layers] if isinstance(layers, (LSTMCell, Parameters)) else list(layers)
        rows = [
            tuple(_cell(one) for one in ([row] if isinstance(row, (LSTMCell, Parameters)) else row)) for row in stack
        ]
        if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) not in (1, 2):
            raise ShapeError("layers must hold one or more layers, with one cell each, or two each")
        lstm = cls.__new__(cls)
        lstm._settle(rows, DIRECTIONS if len(rows[0]) == 2 else (direction,), _merges(merge, len(rows)))
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

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """float32 or float64."""
        return self.layers[0][0].dtype

    @property
    def count(self) -> int:
        """How many numbers it has in all."""
        return sum(cell.parameters.count for row in self.layers for cell in row)

    def __getitem__(self, key: int | tuple[int, str]) -> LSTMCell:
        layer, direction = key if isinstance(key, tuple) else (key, self.directions[0])
        if isinstance(layer, bool) or not isinstance(layer, int) or not -self.num_layers <= layer < self.num_layers:
            raise OptionError(f"there is no layer {layer!r}; this LSTM has layers 0 to {self.num_layers - 1}")
        return self.layers[layer][self.directions.index(one_of("direction", direction, self.directions))]

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
            ``auto``, or one of `gatewise.engines()`.

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
        run = self._prepare(x, state, lengths, mask, masks, masked_output, engine)
        plan = self._plan(run, Keep(()), [Labels()] * self.num_layers)
        y, layers = self._run(run, plan, _in_memory)
        finals = tuple(tuple(trace.final for trace in layer.values()) for layer in layers)
        return (y, finals) if run.batched else (y[:, 0], _unbatched(finals))

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
        out: str | os.PathLike[str] | None = None,
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
        out : path, optional
            A safetensors file that is written as the run goes; the trace returned reads from it.
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
        keeping = Keep(QUANTITIES if keep is None else keep, units, every)  # type: ignore[arg-type]
        # Copies: a whole trace holds on to its input, and must not change when the caller's array does.
        run = self._prepare(np.array(x), state, lengths, mask, masks, masked_output, engine)
        plan = self._plan(run, keeping, self._labels(labels, run))

        def whole(layers: tuple[dict[str, Trace], ...], y: Array) -> LSTMTrace:
            return LSTMTrace(layers, y, self.merge, masked_output, run.batched)

        if out is None:
            y, layers = self._run(run, plan, _in_memory)
            for array in (
                y,
                *(array for layer in layers for trace in layer.values() for array in trace.arrays.values()),
            ):
                array.flags.writeable = False
            return whole(layers, y)
        arrays, head = lstm_trace_record(whole(plan, self._blank(run)))
        shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        with storage.writing(out, shapes, head) as views:
            y, layers = self._run(run, plan, lambda prefix, blank: {name: views[prefix + name] for name in blank})
            for name, array in lstm_trace_record(whole(layers, y))[0].items():
                if array is not views[name]:
                    views[name][...] = array
        arrays = storage.mapped(out, shapes, head)
        return lstm_trace_from(arrays, head)

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

    def checked_state(self, state: Any, batch: int | None) -> States:
        """Return a state of this LSTM's nesting, sizes and dtype, or raise ShapeError."""
        expected = self.zero_state(batch)
        try:
            counts = [len(layer) for layer in state]
            nested = all(len(one) == 2 for layer in state for one in layer)
        except TypeError:
            counts, nested = [], False
        if not nested or counts != [len(layer) for layer in expected]:
            raise ShapeError(
                f"the state must have {self.num_layers} layers of {len(self.directions)} directions, each a State(h, c)"
            )
        found: list[tuple[State, ...]] = []
        for number, (given, zeros) in enumerate(zip(state, expected, strict=True)):
            row = []
            for one, zero, direction in zip(given, zeros, self.directions, strict=True):
                h, c = (numbers(name, array, self.dtype) for name, array in zip(("h", "c"), one, strict=True))
                for name, array, blank in (("h", h, zero.h), ("c", c, zero.c)):
                    if array.shape != blank.shape:
                        place = f"layer {number}, {direction}"
                        raise ShapeError(f"{name} of {place} has shape {array.shape}; it must be {blank.shape}")
                row.append(State(h, c))
            found.append(tuple(row))
        return tuple(found)

    # How it does it.

    def _prepare(
        self,
        x: npt.ArrayLike,
        state: States | None,
        lengths: npt.ArrayLike | None,
        mask: npt.ArrayLike | None,
        masks: Noise | None,
        masked_output: str,
        engine: str,
    ) -> _Run:
        one_of("masked output", masked_output, MASKED_OUTPUTS)
        sequence = numbers("x", x, self.dtype)
        n = self.input_size
        if sequence.ndim not in (2, 3) or sequence.shape[-1] != n:
            raise ShapeError(f"x has shape {sequence.shape}; it must be (time, batch, {n}) or (time, {n})")
        batched = sequence.ndim == 3
        if not batched:
            sequence = sequence[:, None]
        time, batch = sequence.shape[:2]
        if state is None:
            whole = self.zero_state(batch)
        elif batched:
            whole = self.checked_state(state, batch)
        else:
            one = self.checked_state(state, None)
            whole = tuple(tuple(State(s.h[None], s.c[None]) for s in layer) for layer in one)
        if masks is not None and [len(row) for row in masks] != [len(row) for row in self.layers]:
            raise ShapeError(
                f"masks must have {self.num_layers} layers of {len(self.directions)} directions, each Masks or None"
            )
        live = _live(lengths, mask, time, batch)
        return _Run(sequence, whole, live, masks, masked_output, batched, engine)

    def _plan(self, run: _Run, keep: Keep, labels: Sequence[Labels]) -> tuple[dict[str, Trace], ...]:
        """Return the traces of a run before it has run: arrays in their shapes that take no memory yet."""
        time, batch = run.x.shape[:2]
        layers = []
        for number, row in enumerate(self.layers):
            layer = {}
            for place, (cell, direction) in enumerate(zip(row, self.directions, strict=True)):
                p, initial = cell.parameters, run.state[number][place]
                noise = (run.masks[number][place] if run.masks is not None else None) or NO_MASKS
                layer[direction] = Trace(
                    parameters=p,
                    initial=initial,
                    final=initial,
                    arrays={name: self._blank_of(shape) for name, shape in keep.shapes(p, time, batch).items()},
                    input=self._blank_of((time, batch, p.input_size)) if keep.everything else None,
                    direction=direction,
                    live=run.live,
                    masks=noise.fit(p, time, batch),
                    keep=keep,
                    engine=choose(run.engine, p).NAME,
                    labels=labels[number],
                )
            layers.append(layer)
        return tuple(layers)

    def _blank_of(self, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(self.dtype.type(0), shape)

    def _blank(self, run: _Run) -> Array:
        """Return an array in the shape of the output that takes no memory."""
        directions = (2,) if self.merge[-1] == "none" and self.bidirectional else ()
        return self._blank_of((*run.x.shape[:2], *directions, self.output_size))

    def _run(
        self, run: _Run, plan: tuple[dict[str, Trace], ...], provide: Provide
    ) -> tuple[Array, tuple[dict[str, Trace], ...]]:
        """Run every layer, filling the arrays that `provide` gives for the plan's; return the output and the traces."""
        x, layers = run.x, []
        if provide is _in_memory:
            _require_memory(plan, *x.shape[:2])
        for number, layer in enumerate(plan):
            outputs, done = [], {}
            for direction, trace in layer.items():
                p, reverse = trace.parameters, direction == "backward"
                arrays = provide(f"layers.{number}.{direction}.", trace.arrays)
                hidden = arrays.get("hidden_state")
                if hidden is None or trace.keep.units is not None or trace.keep.every > 1:
                    hidden = np.empty((*x.shape[:2], p.recurrent_size), p.dtype)
                final = choose(trace.engine, p).run(
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
                done[direction] = replace(trace, final=final, arrays=arrays, input=None if trace.input is None else x)
                outputs.append(shown(hidden, run.live, run.masked_output, reverse=reverse))
            layers.append(done)
            x = merge(outputs, self.merge[number])
        return x, tuple(layers)

    def _labels(self, given: Labels | Sequence[Labels] | None, run: _Run) -> Sequence[Labels]:
        if given is None:
            first = self.layers[0][0].labels
            found = [first if number == 0 else Labels() for number in range(self.num_layers)]
        elif isinstance(given, Labels):
            if given.units is not None and self.num_layers > 1:
                raise OptionError("names of units need a Labels for each layer where there is more than one")
            below = Labels(None, None, given.series, given.times)
            found = [given if number == 0 else below for number in range(self.num_layers)]
        else:
            found = list(given)
            if len(found) != self.num_layers:
                raise ShapeError(f"there are {len(found)} labels for {self.num_layers} layers")
        time, batch = run.x.shape[:2]
        for labels, row in zip(found, self.layers, strict=True):
            labels.require(features=row[0].input_size, units=row[0].hidden_size, series=batch, times=time)
        return found


Provide = Callable[[str, dict[str, Array]], dict[str, Array]]


def _in_memory(prefix: str, blank: dict[str, Array]) -> dict[str, Array]:
    return {name: np.empty(array.shape, array.dtype) for name, array in blank.items()}


def _require_memory(plan: tuple[dict[str, Trace], ...], time: int, batch: int) -> None:
    traces = [trace for layer in plan for trace in layer.values()]
    outputs = sum(time * batch * trace.parameters.recurrent_size for trace in traces)
    kept = sum(array.size for trace in traces for array in trace.arrays.values())
    what = f"a run of {time} steps of {batch} rows"
    require_memory(outputs + kept, traces[0].parameters.dtype.itemsize, what)


def _unbatched(state: States) -> States:
    return tuple(tuple(State(one.h[0], one.c[0]) for one in layer) for layer in state)


def _cell(given: object) -> LSTMCell:
    if isinstance(given, Parameters):
        return LSTMCell(given)
    if not isinstance(given, LSTMCell):
        raise OptionError(f"a layer must hold LSTMCell or Parameters, not {type(given).__name__}")
    return given


def _merges(given: str | Sequence[str], layers: int) -> tuple[str, ...]:
    ways = (given,) * layers if isinstance(given, str) else tuple(given)
    if len(ways) != layers:
        raise ShapeError(f"there are {len(ways)} merges for {layers} layers")
    for way in ways:
        one_of("merge", way, MERGES)
    if "none" in ways[:-1]:
        raise OptionError("merge 'none' is for the last layer only: the next one needs a single input")
    return ways


def _live(lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None, time: int, batch: int) -> Mask | None:
    """Return which steps take place (time, batch), or None where all do."""
    if lengths is not None and mask is not None:
        raise OptionError("give lengths or a mask, not both")
    if lengths is not None:
        counts = np.asarray(lengths)
        if counts.shape != (batch,) or counts.dtype.kind not in "iu":
            raise ShapeError(f"lengths must be {batch} whole numbers, one for each row, not {np.asarray(lengths)!r}")
        if counts.size and not 0 <= counts.min() <= counts.max() <= time:
            raise OptionError(f"lengths must lie between 0 and {time}, the number of steps, but are {counts.tolist()}")
        return np.arange(time)[:, None] < counts
    if mask is not None:
        live = np.asarray(mask)
        if live.dtype != np.bool_ or live.shape not in {(time, batch), (time,)}:
            raise ShapeError(f"mask must be boolean of shape ({time}, {batch}), not {live.dtype} of {live.shape}")
        return np.broadcast_to(live if live.ndim == 2 else live[:, None], (time, batch))
    return None


# The way back.


@singledispatch
def backward(trace: Any, dy: npt.ArrayLike | None = None, dstate: Any = None) -> Any:
    """Return the derivatives of a loss by all that went into a run: back-propagation through time.

    Parameters
    ----------
    trace : LSTMTrace or Trace
        A whole one.
    dy : array, optional
        dL by the output, in its shape (of a `Trace`: by the hidden states); zeros by default.
    dstate : nested tuple of State, or State, optional
        dL by the final state, in the nesting of the trace's; zeros by default.

    Returns
    -------
    LSTMGradients or Gradients

    Raises
    ------
    NotKeptError
        If the trace did not keep everything.
    ShapeError
        If a size does not agree.
    """
    raise OptionError(f"gradients come from a Trace or an LSTMTrace, not from {type(trace).__name__}")


@backward.register
def _(trace: Trace, dy: npt.ArrayLike | None = None, dstate: State | None = None) -> Gradients:
    trace._require_everything("a gradient")
    hidden, p = trace.hidden_state, trace.parameters
    dhidden = np.zeros_like(hidden) if dy is None else _fitting("dy", dy, hidden)
    final = State(*map(np.zeros_like, trace.final))
    if dstate is not None:
        final = State(_fitting("dh", dstate[0], final.h), _fitting("dc", dstate[1], final.c))
    found: Gradients = choose(trace.engine, p).backward(trace, dhidden, final)
    return found


@backward.register
def _(trace: LSTMTrace, dy: npt.ArrayLike | None = None, dstate: Any = None) -> LSTMGradients:
    output = trace.output if trace.batched else trace.output[:, 0]
    dx = np.zeros_like(trace.output)
    if dy is not None:
        dx = _fitting("dy", dy, output).reshape(trace.output.shape)
    states = _final_gradients(trace, dstate)
    layers: list[dict[str, Gradients]] = []
    for layer, way, ends in zip(reversed(trace.layers), reversed(trace.merge), reversed(states), strict=True):
        ways = {"how": trace.masked_output}
        outputs = [shown(t.hidden_state, t.live, reverse=d == "backward", **ways) for d, t in layer.items()]
        parts = unmerge(dx, outputs, way)
        found = {}
        for (direction, cell), part, end in zip(layer.items(), parts, ends, strict=True):
            dhidden = unshown(part, cell.live, reverse=direction == "backward", **ways)
            found[direction] = backward(cell, dhidden, end)
        layers.insert(0, found)
        dx = sum((gradients.x for gradients in found.values()), start=np.zeros((), dx.dtype))
    state = tuple(tuple(g.state for g in layer.values()) for layer in layers)
    return LSTMGradients(tuple(layers), *((dx, state) if trace.batched else (dx[:, 0], _unbatched(state))))


def _final_gradients(trace: LSTMTrace, dstate: Any) -> list[list[State | None]]:
    if dstate is None:
        return [[None] * len(layer) for layer in trace.layers]
    try:
        counts = [len(layer) for layer in dstate]
    except TypeError:
        counts = []
    if counts != [len(layer) for layer in trace.layers]:
        raise ShapeError(
            f"dstate must have {len(trace)} layers of {len(trace.directions)} directions, each a State(h, c)"
        )
    if trace.batched:
        return [list(layer) for layer in dstate]
    return [[State(*(np.asarray(array)[None] for array in one)) for one in layer] for layer in dstate]


def _fitting(name: str, given: npt.ArrayLike, like: Array) -> Array:
    array = numbers(name, given, float_type(like.dtype))
    if array.shape != like.shape:
        raise ShapeError(f"{name} has shape {array.shape}; it must be {like.shape}")
    return array
