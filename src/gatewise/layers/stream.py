"""A stream: an LSTM whose state is carried from call to call."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, SEQUENCE, Array, Mask, array_of, numbers, require_memory, size
from gatewise.engine import choose, native
from gatewise.errors import OptionError, ShapeError
from gatewise.layers.arguments import settle, settled_state
from gatewise.layers.run import call, require_array
from gatewise.layers.stack import Stack, States
from gatewise.records.named_input import steps_by_name
from gatewise.records.step import State


class CarriedState:
    """A model with a state that is carried from call to call: it can be pickled and copied with its state."""

    state: Any

    def __init__(self, model: Any, batch_size: int | None, engine: str) -> None:
        self.model, self.batch_size, self._choice = model, batch_size, engine
        self.engine = engine  # until the model has chosen

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "batch_size": self.batch_size, "engine": self._choice, "state": self.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["model"], state["batch_size"], engine=state["engine"])
        self.state = state["state"]

    def __repr__(self) -> str:
        batch = "" if self.batch_size is None else f", batch_size={self.batch_size}"
        return f"{type(self).__name__}({self.model!r}{batch}, engine={self.engine!r})"


class Stream(CarriedState):
    """An LSTM that is fed step by step and carries its state from call to call.

    On the native engine the packed weights, which all streams of an LSTM share, and the state live in C++: a step of 32
    units costs less than a microsecond. A stream is used by one thread at a time; many streams can run at once.
    Streams can be pickled and copied, with their state.

    Parameters
    ----------
    lstm : LSTM
        It must run forward only: a backward direction needs the end of a sequence before its beginning.
    batch_size : int, optional
        How many sequences run in parallel; by default there is one, and arrays have no batch axis.
    engine : str
        ``auto``, or the name of one of `gatewise.engines()`.

    Attributes
    ----------
    engine : str
        Which engine runs: the slowest that a layer needs.
    state : tuple of tuple of State
        What the next step starts from; it can be set.
    is_finite : bool
        Whether the state holds no NaN and no infinity.

    Examples
    --------
    >>> from gatewise.layers import LSTM
    >>> stream = LSTM(input_size=3, hidden_size=2, rng=0).stream()
    >>> stream.push([0.5, 0.8, 0.2]).shape
    (2,)
    """

    def __init__(self, lstm: Stack, batch_size: int | None = None, *, engine: str = "auto") -> None:
        if not isinstance(lstm, Stack):
            raise OptionError(f"a stream runs an LSTM, not {type(lstm).__name__}")
        if lstm.directions != ("forward",):
            raise OptionError(f"a stream only runs forward, but this LSTM runs {' and '.join(lstm.directions)}")
        super().__init__(lstm, None if batch_size is None else size("batch_size", batch_size, least=0), engine)
        self.lstm = lstm
        cells = [row[0].parameters for row in lstm.layers]
        chosen = {choose(engine, p).NAME for p in cells}
        self.engine = native.NAME if chosen == {native.NAME} else "reference"
        self._state: States = lstm.zero_state(batch_size)
        self.native: Any = None
        if self.engine == native.NAME:
            self.native = native.stream(cells, self.batch_size, partial(_push_converted, lstm, self.batch_size))
            self.push = self.native.push  # type: ignore[method-assign]  # straight into C++: the call is half the time

    @property
    def state(self) -> States:
        """The state before the next step, ``[layer][direction]``, as copies."""
        if self.native is None:
            return settled_state(self.lstm, self._state, self.batch_size)
        states = self.lstm.zero_state(self.batch_size)
        for layer, (cell_state,) in enumerate(states):
            self.native.get(layer, *self._rows(cell_state))
        return states

    @state.setter
    def state(self, state: States) -> None:
        """Set the state of the stream before its next step."""
        self._state = settled_state(self.lstm, state, self.batch_size)
        if self.native is not None:
            for layer, (cell_state,) in enumerate(self._state):
                self.native.set(layer, *self._rows(cell_state))

    @property
    def is_finite(self) -> bool:
        """Whether every number of the state is finite; if not, `reset` or set the state.

        A single NaN in the input makes the output NaN from then on. An audio callback can check after each block: on
        the native engine, the check allocates nothing and takes about 0.1 µs for 20 units, 0.2 µs for 512.
        """
        if self.native is not None:
            return bool(self.native.is_finite)
        return all(bool(np.isfinite(array).all()) for (state,) in self._state for array in state)

    def _rows(self, state: State) -> State:
        return State(*(array[None] for array in state)) if self.batch_size is None else state

    def reset(self) -> None:
        """Set the state to zeros."""
        self.state = self.lstm.zero_state(self.batch_size)

    def push(self, x: npt.ArrayLike, *, mask: npt.ArrayLike | None = None, out: Array | None = None) -> Array:
        """Feed one step, or several at once, and return the LSTM's output.

        A NaN in the input stays in the state, so the output stays NaN until you call `reset` or set the state.
        `is_finite` tells you.

        Parameters
        ----------
        x : array (input,) or (time, input); with a batch (batch, input) or (time, batch, input)
            A C-contiguous array of the LSTM's dtype is taken as it is; anything else is converted first. The columns of
            a DataFrame, or the entries of a Series, are taken by the names of the LSTM's features.
        mask : boolean array, optional
            Which of these steps are valid, in the shape of `x` without its last axis. At a step that is not valid the
            state stays as it is, and the output is zero.
        out : array in the shape of what is returned, optional
            Where the output is written, in the LSTM's dtype.

        Returns
        -------
        array
            The output, in the shape of `x` except for the last axis.

        Raises
        ------
        ShapeError
            If the shape is none of these; the state is left as it was.
        """
        settled, single = _settled_input(self.lstm, self.batch_size, x, out)
        valid = _settled_mask(mask, settled.shape[:-1], single)
        y, self._state = _run(self.lstm, settled, single, self._state, valid, self.engine)
        return store_output(y, out)


def _push_converted(
    lstm: Stack, batch: int | None, stream: Any, value: npt.ArrayLike, mask: npt.ArrayLike | None, out: Array | None
) -> Array:
    """Feed a native stream an input that needs a conversion or a mask, or raise its error."""
    x, single = _settled_input(lstm, batch, value, out)
    if mask is None:
        return store_output(stream.push(x), out)
    valid = _settled_mask(mask, x.shape[:-1], single)
    state = lstm.zero_state(1 if batch is None else batch)
    for layer, (before,) in enumerate(state):
        stream.get(layer, *before)
    y, after = _run(lstm, x if batch is not None else x[..., None, :], single, state, valid, native.NAME)
    for layer, (end,) in enumerate(after):
        stream.set(layer, *end)
    return store_output(y if batch is not None else y[..., 0, :], out)


def _run(lstm: Stack, x: Array, single: bool, state: States, mask: Mask | None, engine: str) -> tuple[Array, States]:
    """Run over settled steps, or over a single one."""
    y, state = call(lstm, settle(lstm, x[None] if single else x, state, mask=mask, engine=engine))
    return (y[0] if single else y), state


def _settled_mask(mask: npt.ArrayLike | None, shape: tuple[int, ...], single: bool) -> Mask | None:
    """Return a stream's mask with a time axis; it must be boolean, of the shape of the steps that are fed."""
    if mask is None:
        return None
    valid = array_of("mask", mask)
    if valid.dtype != np.bool_ or valid.shape != shape:
        raise ShapeError(f"mask must be boolean of shape {shape}, not {valid.dtype} of {valid.shape}")
    return valid[None] if single else valid


def _settled_input(lstm: Stack, batch: int | None, value: npt.ArrayLike, out: Array | None) -> tuple[Array, bool]:
    """Return a stream's input converted, and True for a single step; input and `out` must have the right shapes."""
    value = steps_by_name(value, lstm.feature_names)
    x = numbers("x", value, lstm.dtype, pushed_orders(batch))
    require_memory(0 if x.flags.c_contiguous else x.size, x.itemsize, "x in a row")
    x = np.ascontiguousarray(x)
    single = single_step(np.shape(value), (lstm.input_size,) if batch is None else (batch, lstm.input_size))
    require_out(out, (*x.shape[:-1], lstm.output_size), lstm.dtype)
    return x, single


def pushed_orders(batch: int | None) -> tuple[tuple[str, ...], ...]:
    """Return the orders of axes in which a stream reads its input: a step, or several."""
    return SEQUENCE if batch is None else (AXES, AXES[1:])


def single_step(shape: tuple[int, ...], step: tuple[int, ...]) -> bool:
    """Say whether a stream's input of a shape is a single step; else it must be several."""
    if shape == step:
        return True
    if not shape or shape[1:] != step:
        allowed = " or ".join(str(form) for form in (step, ("time", *step))).replace("'", "")
        raise ShapeError(f"x has shape {shape}; this stream takes {allowed}")
    return False


def require_out(out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise an error unless the caller's `out` fits a stream's output of this shape and dtype."""
    if out is not None:
        require_array(out, shape, dtype)
        if not out.flags.writeable:
            raise OptionError("out must be writable")


def store_output(y: Array, out: Array | None) -> Array:
    """Return the output of a stream, in the caller's array where there is one."""
    if out is None:
        return y
    out[...] = y
    return out
