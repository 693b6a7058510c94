"""The work on one chunk of the data: the model runs over its sequences, a few at a time, on one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from math import prod
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks, require_memory
from gatewise.chunked.questions import Selection
from gatewise.chunked.selections import VariablePart
from gatewise.engine import engines, set_num_threads
from gatewise.errors import importing
from gatewise.layers import LSTM
from gatewise.network import Network, Run
from gatewise.network.windows import made_features
from gatewise.opening.model_input import require_finite
from gatewise.progress import unshown
from gatewise.records.step import State
from gatewise.showing import counted

PIECE = 2**23  # numbers that a run keeps at a time, beside the results of the chunk

Numbers = npt.NDArray[Any]
Lags = tuple[tuple[int, int], ...]  # of each feature: the place of its column in the data, and how many steps before


@dataclass(frozen=True)
class Variable:
    """A variable of the result, as the first run shows it.

    It has axes before time and sequence, a time if there is one value for each step, and axes behind those.
    """

    name: str
    before: dict[str, int]
    timed: bool
    after: dict[str, int]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, part: VariablePart, before: dict[str, int]) -> Variable:
        """Return the variable that a part of a run belongs to."""
        after = dict(zip(part.dims, part.array.shape[1 + part.timed :], strict=True))
        return cls(part.name, before if part.place else {}, part.timed, after, part.array.dtype)


class Chunk(NamedTuple):
    """The sequences of a chunk.

    Attributes
    ----------
    x : array (time, sequence, feature), or (time, sequence) of tokens
    validity : dict of str to array
        The ``lengths`` (sequence,) or the ``mask`` (time, sequence), or nothing.
    states : list of array (sequence, unit)
    model : Network
    """

    x: Numbers
    validity: dict[str, Numbers]
    states: list[Numbers]
    model: Network

    @property
    def valid(self) -> Mask:
        """The steps (time, sequence) that lengths or a mask declare valid: all, without them."""
        if "lengths" in self.validity:
            return np.arange(len(self.x))[:, None] < self.validity["lengths"]
        return self.validity.get("mask", np.ones(self.x.shape[:2], bool))


@dataclass(frozen=True, eq=False)
class Task:
    """A function of the data of a chunk that returns its variables, for `xarray.apply_ufunc`.

    Attributes
    ----------
    selection : Selection
    variables : tuple of Variable
    alone : bool
        Whether each sequence has a run of its own, without a batch axis.
    engine : str
    tokens : bool
        Whether the data are tokens, which have no axis of features.
    validity : tuple of str
        The argument that follows the data, before initial states: ``lengths`` or ``mask``, or none.
    time_first : bool
        Whether time comes before the sequences in memory.
    every : int
        Which steps are kept.
    each : int
        The numbers that a run keeps of one step of one sequence.
    lags : Lags
        How the features are made of the data, as in `Windows.sources`; empty where the data are the features.
    breaks : boolean array (time,) or None
        The steps that do not follow the one before them.
    """

    selection: Selection
    variables: tuple[Variable, ...]
    alone: bool
    engine: str
    tokens: bool
    validity: tuple[str, ...]
    time_first: bool
    every: int
    each: int
    lags: Lags
    breaks: Mask | None

    def __call__(self, x: Numbers, *rest: Numbers, model: Network, shared: bool = False) -> Any:
        """Return the variables of a chunk (…, layers and directions, time, units and so on); one alone as it is.

        Parameters
        ----------
        x : array (…, time, feature), or (…, time) of tokens
        *rest : array (…), (…, time) or (…, unit)
            Lengths or masks, and states.
        model : Network
        shared : bool
            Whether other chunks run on the other threads of the machine.
        """
        if shared:
            with ONE_THREAD, unshown():
                return self._compute_variables(x, rest, model)
        return self._compute_variables(x, rest, model)

    def _compute_variables(self, x: Numbers, arguments: Sequence[Numbers], model: Network) -> Any:
        """Run the model over the sequences of a chunk, some at a time, and return the chunk's variables."""
        loop = x.shape[: x.ndim - (1 if self.tokens else 2)]
        count, steps = prod(loop), x.shape[len(loop)]
        x = np.moveaxis(x, len(loop), 0).reshape(steps, count, *x.shape[len(loop) + 1 :])
        chunk = Chunk(x, *self._per_sequence(arguments, loop, count), model)
        if model.windows is not None:
            chunk = chunk._replace(x=window_features(chunk, self.lags, self.breaks))
        shapes = {variable.name: self._shape(variable, steps, count) for variable in self.variables}
        each = max(variable.dtype.itemsize for variable in self.variables)
        require_memory(sum(map(prod, shapes.values())), each, f"what {counted(count, 'sequence')} give")
        arrays = {variable.name: self._new_array(variable, shapes[variable.name]) for variable in self.variables}
        self._fill_arrays(arrays, chunk)
        results = tuple(self._in_result_shape(arrays[variable.name], variable, loop) for variable in self.variables)
        return results if len(results) > 1 else results[0]

    def _fill_arrays(self, arrays: Mapping[str, Array], chunk: Chunk) -> None:
        """Run a chunk's sequences, some at a time, and put the runs into the variables' arrays."""
        x, validity = chunk.x, chunk.validity
        if self.lags:
            validity = {"mask": lagged_validity(chunk.valid, self.lags)}
        for piece in chunks(x.shape[1], PIECE if self.alone else len(x) * self.each, PIECE):
            options: dict[str, Any] = {name: array[..., piece] for name, array in validity.items()}
            place = piece.start if self.alone else piece
            start = _nested_states([state[place] for state in chunk.states], chunk.model.lstm)
            run = chunk.model.trace(x[:, place], start, engine=self.engine, **options, **self.selection.options)
            for part in self.selection.parts(run):
                put_part(arrays, part, piece)

    def _per_sequence(
        self, arguments: Sequence[Numbers], loop: tuple[int, ...], count: int
    ) -> tuple[dict[str, Numbers], list[Numbers]]:
        """Return a chunk's lengths (sequence,) or mask (time, sequence), and states (sequence, unit)."""
        remaining = iter(arguments)
        options: dict[str, Numbers] = {}
        for name, array in zip(self.validity, islice(remaining, len(self.validity)), strict=True):
            behind = array.shape[array.ndim - (name == "mask") :]
            rows = np.broadcast_to(array, (*loop, *behind)).reshape(count, *behind)
            options[name] = rows.T
        states = [np.broadcast_to(part, (*loop, part.shape[-1])).reshape(count, part.shape[-1]) for part in remaining]
        return options, states

    def _shape(self, variable: Variable, steps: int, count: int) -> tuple[int, ...]:
        """Return the shape of a chunk's variable (…, time, sequence, …)."""
        times = [len(range(0, steps, self.every))] if variable.timed else []
        return (*variable.before.values(), *times, count, *variable.after.values())

    def _new_array(self, variable: Variable, shape: tuple[int, ...]) -> Array:
        """Return an array for a chunk's variable (…, time, sequence, …), which in memory has the data's order."""
        axis = len(variable.before)
        swapped = variable.timed and not self.time_first
        if swapped:
            shape = (*shape[:axis], shape[axis + 1], shape[axis], *shape[axis + 2 :])
        array = self._empty(shape, variable.dtype)
        return array.swapaxes(axis, axis + 1) if swapped else array

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array that is not set, or NaN where a sequence may leave it as it is."""
        return np.full(shape, np.nan, dtype) if self.alone else np.empty(shape, dtype)

    def _in_result_shape(self, array: Array, variable: Variable, loop: tuple[int, ...]) -> Array:
        """Return a chunk's variable (…, layers and directions, time, units and so on): a view, as it lies in memory."""
        first = len(variable.before) + variable.timed  # of the sequences
        array = array.reshape((*array.shape[:first], *loop, *array.shape[first + 1 :]))
        return np.moveaxis(array, range(first, first + len(loop)), range(len(loop)))


def put_part(arrays: Mapping[str, Array], part: VariablePart, sequences: slice, steps: slice = slice(None)) -> None:
    """Put numbers of a run into the array of their variable, at some sequences of the chunk."""
    arrays[part.name][part.place][(steps, sequences) if part.timed else sequences] = part.array


def window_features(chunk: Chunk, lags: Lags, breaks: Mask | None) -> Numbers:
    """Return the features of a network with windows (time, sequence, feature), NaN for steps that are not valid.

    Raise OptionError for an infinite number.
    """
    network = chunk.model
    assert network.windows is not None
    x, names = np.where(chunk.valid[..., None], chunk.x, np.nan), network.labels.features
    columns = None if names is None else network.windows.columns(names)
    for sequence in range(x.shape[1]):  # which an error does not name, for it is one of a chunk
        require_finite(x[:, sequence], network.lstm.dtype, None, "the data", columns, missing=True)
    return made_features(x, lags, breaks) if lags else x


def lagged_validity(valid: Mask, lags: Lags) -> Mask:
    """Return the steps (time, sequence) of which every feature is read from a valid one."""
    read = made_features(valid[..., None].astype(float), [(0, steps) for _, steps in lags])
    return np.asarray((read == 1).all(-1))


def _nested_states(states: Sequence[Numbers], lstm: LSTM) -> Any:
    """Return flat states, h before c, ``[layer][direction]`` as a run takes them; None where there are none."""
    pairs = iter([State(h, c) for h, c in zip(states[::2], states[1::2], strict=True)])
    return tuple(tuple(islice(pairs, len(row))) for row in lstm.layers) if states else None


def numbers_kept(run: Run) -> int:
    """Return the number of numbers that a run of one step of one sequence keeps."""
    count = sum(array.size for cell in run.cells().values() for array in cell.arrays.values())
    return count + int(run.lstm.output.size)


class _OneThread:
    """Counts the chunks at work in this process; the number of threads is set for all of them."""

    def __init__(self) -> None:
        self.lock, self.inside, self.limits = Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.limits = _one_thread()
            self.inside += 1

    def __exit__(self, *problem: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limits.close()


def _one_thread() -> ExitStack:
    """Set one thread for the native engine and for NumPy's products of matrices; closing the result undoes it."""
    with ExitStack() as stack:
        stack.enter_context(threadpools().threadpool_limits(1, user_api="blas"))
        stack.callback(set_num_threads, engines()[0].threads)
        set_num_threads(1)
        return stack.pop_all()


# As many threads as a scheduler gives a worker run chunks side by side, so each run takes one, and not all of them
# again. It also makes the bits of a product of matrices those of its sizes, whatever the machine.
ONE_THREAD = _OneThread()


def threadpools() -> Any:
    """Return the package that sets the number of threads of NumPy's products of matrices."""
    with importing("threadpoolctl", "data in chunks of Dask need"):
        import threadpoolctl
    return threadpoolctl
