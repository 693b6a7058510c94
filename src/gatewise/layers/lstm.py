"""LSTM: cells stacked in layers, in one direction or two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, require_memory, size
from gatewise.cell import INITS, LSTMCell, Rng, generator
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.arguments import NestedDropout, settle, settled_labels
from gatewise.layers.merging import merged_size, merges
from gatewise.layers.run import call, plan_run, require_room, trace_run
from gatewise.layers.stack import Stack, States
from gatewise.layers.stream import Stream
from gatewise.parameters import Parameters, Variant
from gatewise.records.edits import Edit
from gatewise.records.keep import DIRECTIONS, keep_of_options
from gatewise.records.labels import Labels
from gatewise.records.named_input import named_input
from gatewise.records.trace import LSTMTrace
from gatewise.showing import inline

LAYER = 2000  # bytes of the objects that a layer is made of


class LSTM(Stack):
    """A stack of LSTM cells with random parameters; `from_cells` builds one from given cells.

    Parameters
    ----------
    input_size, hidden_size : int
        Number of features of the input, and of units in each cell.
    num_layers : int
        Number of layers; each after the first reads the output of the one before it.
    bidirectional : bool
        Every layer also runs backward in time; its outputs, in the input's time, are merged with the forward ones.
    direction : {"forward", "backward"}
        The one direction of an LSTM that is not bidirectional.
    projection_size : int, optional
        Size of the projected hidden state; by default there is no projection.
    merge : {"concat", "sum", "mul", "average", "none"} or a sequence of them, one for each layer
        How two directions become one output. ``none`` keeps them on an axis of their own, (…, 2, size), and is for the
        last layer only.
    variant : Variant
        The switches of every cell.
    init, rng, **options
        How the parameters are initialised: see `gatewise.cell.draw`.
    dtype : float32 or float64
        The type of the parameters and of everything that is computed.

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
        units = size("hidden_size", hidden_size)
        least = 4 * units * np.dtype(np.float32).itemsize + LAYER  # of a layer with few inputs and a small projection
        require_memory(size("num_layers", num_layers), least, f"an LSTM of {num_layers} layers")
        one_of("direction", direction, DIRECTIONS)
        if not isinstance(bidirectional, (bool, np.bool_)):
            raise OptionError(f"bidirectional must be True or False, not {bidirectional!r}")
        if bidirectional and direction != "forward":
            raise OptionError("a bidirectional LSTM has both directions. Leave out direction or bidirectional.")
        source = generator(one_of("init", init, INITS), rng, options)  # one stream of numbers for all cells
        ways = merges(merge, num_layers)
        layers: list[tuple[LSTMCell, ...]] = []
        features = input_size
        for way in ways:
            layers.append(
                tuple(
                    LSTMCell(
                        features,
                        hidden_size,
                        projection_size=projection_size,
                        variant=variant,
                        init=init,
                        rng=source,
                        dtype=dtype,
                        **options,
                    )
                    for _ in range(1 + bool(bidirectional))
                )
            )
            features = merged_size(way, [cell.recurrent_size for cell in layers[-1]])
        super().__init__(layers, DIRECTIONS if bidirectional else (direction,), ways)

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
        rows = [tuple(_as_cell(cell) for cell in (row if isinstance(row, (list, tuple)) else [row])) for row in stack]
        if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) not in (1, 2):
            raise ShapeError("layers must hold one or more layers, with one cell each, or two each")
        lstm = cls.__new__(cls)
        Stack.__init__(lstm, rows, DIRECTIONS if len(rows[0]) == 2 else (direction,), merges(merge, len(rows)))
        return lstm

    def astype(self, dtype: npt.DTypeLike) -> LSTM:
        """Return the same LSTM in float32 or float64."""
        rows = [
            tuple(LSTMCell.from_parameters(cell.parameters.astype(dtype), cell.labels) for cell in row)
            for row in self.layers
        ]
        return LSTM.from_cells(rows, direction=self.directions[0], merge=self.merge)

    def __repr__(self) -> str:
        cell = self.layers[0][0]
        options = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        options += ", bidirectional=True" if self.bidirectional else ""
        options += ", direction='backward'" if self.directions == ("backward",) else ""
        options += f", merge={self.merge[0]!r}" if self.bidirectional and self.merge[0] != "concat" else ""
        return repr(cell).replace("LSTMCell", "LSTM", 1).replace(", dtype", f"{options}, dtype")

    def _repr_html_(self) -> str:
        return inline(self)

    # What it does.

    def __call__(
        self,
        x: npt.ArrayLike,
        state: States | None = None,
        *,
        lengths: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        dropout: NestedDropout | None = None,
        masked_output: str = "zeros",
        engine: str = "auto",
        out: Array | None = None,
        axes: str | Sequence[str] | None = None,
    ) -> tuple[Array, States]:
        """Run over a sequence.

        Parameters
        ----------
        x : array (time, batch, input) or (time, input), tensor, DataFrame, Series, DataArray or Dataset
            Labelled data are read by the names of their dimensions, and by those of their features where the LSTM has
            some; the rows of a table are steps.
        state : tuple of tuple of State, optional
            The initial state of each layer and direction, ``[layer][direction]``; zeros by default.
        lengths : array of int (batch,), optional
            How many steps of each sequence are valid; the rest is padding on the right.
        mask : boolean array (time, batch) or (time,), optional
            Which steps are valid, where padding is not only on the right. Not together with `lengths`.
        dropout : nested sequence of DropoutMasks or None, ``[layer][direction]``, optional
            The dropout, zoneout and DropConnect masks of each cell.
        masked_output : {"zeros", "repeat"}
            The output at steps that are not valid: zeros (PyTorch, ONNX), or the last valid output again, and zeros
            before the first one (Keras).
        engine : str
            ``auto``, or the name of one of `gatewise.engines()`.
        out : array in the shape and dtype of y, optional
            Where y is written, so that repeated calls allocate no new memory.
        axes : str or sequence of str, optional
            The order of the axes of `x` and `mask`, for example ``batch,time,feature``.

        Returns
        -------
        y : array (time, batch, output) or (time, output)
            On axes in the order of those of `x`.
        state : tuple of tuple of State
            The final state, from which another call can continue.

        Raises
        ------
        ShapeError
            If a size does not match.
        OptionError
            If an option is not allowed, or the engine cannot run this LSTM.
        """
        if axes is not None or type(x) is not np.ndarray:
            named = named_input(x, axes, self.feature_names)
            settings = {"dropout": dropout, "masked_output": masked_output, "engine": engine, "out": named.out(out)}
            y, state = self(named.x, state, lengths=lengths, mask=named.mask(mask), **settings)
            return named.in_order(y), state
        arguments = settle(
            self, x, state, lengths=lengths, mask=mask, dropout=dropout, masked_output=masked_output, engine=engine
        )
        return call(self, arguments, out)

    def trace(
        self,
        x: npt.ArrayLike,
        state: States | None = None,
        *,
        lengths: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        dropout: NestedDropout | None = None,
        masked_output: str = "zeros",
        engine: str = "auto",
        keep: str | Sequence[str] | None = None,
        units: Sequence[int] | None = None,
        every: int = 1,
        out: str | os.PathLike[str] | LSTMTrace | None = None,
        labels: Labels | Sequence[Labels] | None = None,
        edit: Edit | Sequence[Edit] = (),
        axes: str | Sequence[str] | None = None,
    ) -> LSTMTrace:
        """Run over a sequence and keep every gate of every step.

        Parameters
        ----------
        x, state, lengths, mask, dropout, masked_output, engine, axes
            As in a call. The trace has (time, batch, feature), whatever their order was, and the names of features,
            sequences and times, and the units, that came with `x`.
        keep, units, every
            Keep less: which of `gatewise.records.keep.QUANTITIES`, which hidden units, every nth step. Steps can be
            shown and gradients computed only of a trace that keeps everything.
        out : path or LSTMTrace, optional
            A safetensors file that is written during the run, and from which the returned trace reads; or the trace of
            an earlier call with the same shapes, whose arrays are overwritten, so that repeated calls allocate no new
            memory.
        labels : Labels, or one for each layer, optional
            The features' names belong to the first layer; names of units need a `Labels` for each layer where there
            is more than one.
        edit : Edit or sequence of Edit, optional
            What to set, scale, clamp or patch, in this order: see `Edit`. A run with edits takes the reference engine,
            and its trace carries them.

        Returns
        -------
        LSTMTrace

        Raises
        ------
        CapacityError
            If what is to be kept would not fit into memory; nothing is computed then.

        Notes
        -----
        Without a projection, a complete trace holds six numbers for each step, sequence and unit of a cell: four
        gates, the cell state and the hidden state.
        """
        if axes is not None or type(x) is not np.ndarray:
            named = named_input(x, axes, self.feature_names)
            x, mask, labels = named.x, named.mask(mask), named.complete(labels)
        keeping = keep_of_options(keep, units, every)
        arguments = settle(
            self, x, state, lengths=lengths, mask=mask, dropout=dropout, masked_output=masked_output, engine=engine
        )
        plan = plan_run(self, arguments, keeping, settled_labels(self, labels, *arguments.x.shape[:2]), edit)
        require_room(plan, in_memory=out is None)
        if out is None or isinstance(out, LSTMTrace):
            return trace_run(plan, x, out)
        from gatewise.layers.recording import trace_to_file  # what files need is imported with the first of them

        return trace_to_file(plan, out)

    def stream(self, batch_size: int | None = None, *, engine: str = "auto") -> Stream:
        """Return a stream: this LSTM with a state that is carried from call to call; see `Stream`."""
        return Stream(self, batch_size, engine=engine)


def _as_cell(cell: object) -> LSTMCell:
    """Return an LSTMCell, made of Parameters if need be."""
    if isinstance(cell, Parameters):
        return LSTMCell.from_parameters(cell)
    if not isinstance(cell, LSTMCell):
        raise OptionError(f"a layer must hold LSTMCell or Parameters, not {type(cell).__name__}")
    return cell


def lstm_of(trace: LSTMTrace) -> LSTM:
    """Return an LSTM of the cells of a run."""
    return LSTM.from_cells(of_cells(trace, "parameters"), direction=trace.directions[0], merge=trace.merge)


def of_cells(trace: LSTMTrace, name: str) -> tuple[tuple[Any, ...], ...]:
    """Return an attribute of each cell of a run, nested as its states are."""
    return tuple(tuple(getattr(cell, name) for cell in row.values()) for row in trace.layers)
