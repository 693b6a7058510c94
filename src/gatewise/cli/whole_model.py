"""A whole model run on its own input by the framework it belongs to, and the LSTM in it traced."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gatewise.cli.reading import integers
from gatewise.errors import FileError, GatewiseError, OptionError, importing, join_names, reason
from gatewise.interop.captured import Captured, difference
from gatewise.interop.formats import capture, reader_of
from gatewise.interop.found import Contents, Found
from gatewise.layers import LSTM
from gatewise.records.lstm_trace import LSTMTrace

RATES = ("sr", "rate", "fs", "sample_rate", "sampling_rate")  # names of inputs that take the rate of a sound
STATES = re.compile(r".*(state|hidden|cell).*|[hc](_?(0|n|in|prev))?", re.IGNORECASE)  # of those that begin as zeros
ONNX_TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


class Input(NamedTuple):
    """An input of a model: None stands for a size, a shape or a type that it does not say."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: Any = None

    def __str__(self) -> str:
        sizes = () if self.shape is None else ("any" if size is None else str(size) for size in self.shape)
        return self.name if self.shape is None else f"{self.name} ({', '.join(sizes)})"


@dataclass(frozen=True, eq=False)
class WholeModel:
    """A model that its framework can run.

    Attributes
    ----------
    runtime : str
        What runs it.
    model : object
        What `gatewise.capture` takes.
    inputs : tuple of Input
        Those that have no value in the file.
    contents : Contents
    """

    runtime: str
    model: Any
    inputs: tuple[Input, ...]
    contents: Contents

    def fits(self, values: Any) -> bool:
        """Whether numbers have the shape of the model's input, a batch axis put in front where it lacks one."""
        shape = self.inputs[0].shape
        return shape is None or self._shaped(values) is not None

    def _shaped(self, values: Any) -> Any:
        """Return numbers in the shape of the model's input, or None where they do not fit."""
        shape = self.inputs[0].shape
        if shape is None:
            return values
        if values.ndim == len(shape) and values.shape[-1] == 1 and shape[-1] not in (None, 1):
            values = values[:, 0]  # a column of a table, or one channel of a sound
        if values.ndim == len(shape) - 1:
            values = values[None]
        fits = values.ndim == len(shape)
        return values if fits and all(n in (None, m) for n, m in zip(shape, values.shape, strict=True)) else None

    def run(self, given: Mapping[str, Any] | Any, rate: int | None, *, by_row: bool) -> tuple[Captured, ...]:
        """Return every call of every LSTM, at an input or at inputs by name.

        Parameters
        ----------
        given : array, or mapping of str to array
        rate : int or None
            Of a sound, in samples a second.
        by_row : bool
            Whether each row of the input is a call of its own, of a model that keeps its state (TorchScript).

        Raises
        ------
        OptionError
            If it does not fit the model, or an input is missing.
        FileError
            If the model does not run.
        """
        named = dict(given) if isinstance(given, Mapping) else {self.inputs[0].name: self._shaped(given)}
        if any(one is None for one in named.values()):
            raise OptionError(
                f"the input has shape {np.asarray(given).shape}; the model in {self.contents.path} takes"
                f" {self.inputs[0]}"
            )
        for one in self.inputs[1:]:
            if one.name not in named and (default := self._default(one, named, rate)) is not None:
                named[one.name] = default
        missing = [one.name for one in self.inputs if one.name not in named]
        if missing:
            takes = ", ".join(map(str, self.inputs))
            raise OptionError(
                f"the model in {self.contents.path} takes {takes}: an .npz file gives them by name, and"
                f" {join_names(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} missing"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of frameworks, about themselves
            return self._captured(named, by_row)

    def _default(self, one: Input, named: Mapping[str, Any], rate: int | None) -> Any:
        """Return what an input has that nobody gave: zeros for a state, and the rate of a sound."""
        if one.name.lower() in RATES:
            return None if rate is None else np.array(rate, one.dtype)
        if one.shape is not None and one.dtype in (np.float32, np.float64, np.float16) and STATES.fullmatch(one.name):
            return np.zeros([1 if size is None else size for size in one.shape], one.dtype)
        return None

    def _captured(self, named: dict[str, Any], by_row: bool) -> tuple[Captured, ...]:
        if self.runtime == "onnxruntime":
            types = {one.name: one.dtype for one in self.inputs}
            typed = {name: _typed(name, array, types.get(name)) for name, array in named.items()}
            return capture(self.model, **typed)
        if self.runtime == "Keras":
            values = [_typed(one.name, named[one.name], one.dtype) for one in self.inputs]
            try:
                return capture(self.model, values[0] if len(values) == 1 else values)
            except GatewiseError:
                raise
            except Exception as problem:  # of Keras' backends
                raise FileError(f"Keras cannot run {self.contents.path}: {reason(problem)}") from None
        return _scripted(self.model, named, by_row)


def _typed(name: str, array: Any, dtype: Any) -> Any:
    if dtype is not None and np.dtype(dtype).kind in "iu":
        return integers(f"the input {name!r} of the model", array).astype(dtype)
    return np.asarray(array, dtype)


def _scripted(model: Any, named: Mapping[str, Any], by_row: bool) -> tuple[Captured, ...]:
    """Run a TorchScript model, whose types are those of its weights; where that fails, on integers, if they are."""
    import torch

    kind = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.float32)

    def called(whole: bool) -> tuple[Captured, ...]:
        def tensor(array: Any) -> Any:
            array = np.ascontiguousarray(array)
            if array.ndim == 0 and array.dtype.kind in "iu":
                return int(array)
            return torch.from_numpy(array).to(torch.int64 if whole else kind)

        inputs = {name: tensor(array) for name, array in named.items()}
        first = next(iter(inputs))
        rows = [inputs[first]]
        if by_row:
            rows = list(inputs[first].split(1))
        found: list[Captured] = []
        for row in rows:
            found += capture(model, **inputs | {first: row})
        return tuple(found)

    try:
        return called(False)
    except OptionError:
        values = next(iter(named.values()))
        if (values != np.rint(values)).any():
            raise
        try:
            return called(True)
        except OptionError:
            pass
        raise


# Which models can be run.


def runnable(contents: Contents) -> bool:
    """Whether a file holds how its model is computed, in a form that its framework runs."""
    if contents.format == "TorchScript":
        return True
    return reader_of(contents.path)[0] in ("onnx", "keras") and not contents.format.endswith("weights alone")


def whole_model(contents: Contents) -> WholeModel:
    """Return the model of a file as its framework runs it.

    Raises
    ------
    OptionError
        If a file of this format does not hold how its model is computed.
    MissingExtraError
        If its framework is not installed.
    FileError
        If the framework cannot load it.
    """
    if not runnable(contents):
        raise OptionError(
            f"{contents.path} ({contents.format}) does not hold how its model is computed, so only its LSTM can run:"
            " give the input of the LSTM, or export the model to ONNX or TorchScript"
        )
    reader, path = reader_of(contents.path)
    if reader == "onnx":
        return WholeModel("onnxruntime", path, _of_onnx(path), contents)
    return _of_keras(path, contents) if reader == "keras" else _of_torchscript(path, contents)


def _of_onnx(path: Path) -> tuple[Input, ...]:
    from gatewise.files.budget import Budget
    from gatewise.interop.onnx import packages
    from gatewise.interop.onnx.parsing import parsed

    packages.runtime()
    graph = parsed(path, Budget.of(path)).graph
    held = {one.name for one in graph.initializer}

    def sizes(one: Any) -> tuple[int | None, ...]:
        dims = one.type.tensor_type.shape.dim
        return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)

    return tuple(
        Input(one.name, sizes(one), ONNX_TYPES.get(one.type.tensor_type.elem_type))
        for one in graph.input
        if one.name not in held
    )


def _of_torchscript(path: Path, contents: Contents) -> WholeModel:
    with importing("torch", "running a TorchScript model needs"):
        import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.jit.load(os.fspath(path), map_location="cpu").eval()
            arguments = model.forward.schema.arguments[1:]
    except Exception as problem:  # of PyTorch's interpreter
        raise FileError(f"PyTorch cannot load {path}: {reason(problem)}") from None
    integer = {str(one.name): np.int64 for one in arguments if str(one.type) == "int"}
    needed = [str(one.name) for one in arguments if not one.has_default_value()]
    inputs = tuple(Input(name, None, integer.get(name)) for name in needed or [str(arguments[0].name)])
    return WholeModel("PyTorch", model, inputs, contents)


def _of_keras(path: Path, contents: Contents) -> WholeModel:
    from gatewise.interop.keras.live import library

    keras = library()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(path, compile=False)
    except Exception as problem:  # of Keras, h5py and the backend
        raise FileError(f"Keras cannot load {path}: {reason(problem)}") from None
    inputs = tuple(Input(one.name, tuple(one.shape), np.dtype(one.dtype)) for one in model.inputs)
    return WholeModel("Keras", model, inputs, contents)


# Calls, put together.


def joined(calls: Sequence[Captured], name: str | None, contents: Contents) -> tuple[str, LSTMTrace, tuple[str, ...]]:
    """Return the name of an LSTM, the trace of its calls, and what is to be known of it.

    Calls that continue each other are one run: those of a cell in a loop, or of a model that keeps its state.

    Raises
    ------
    OptionError
        If there are several LSTMs and none is named, or there is none of that name.
    """
    by_name: dict[str, list[Captured]] = {}
    for one in calls:
        by_name.setdefault(one.name, []).append(one)
    if (stack := _stack(by_name, name, contents)) is not None:
        return _of_stack(stack, [by_name[part][0] for part in stack.combines])
    if name is not None and name not in by_name:
        raise OptionError(f"the model called no LSTM {name!r}; it called {join_names(map(repr, by_name))}")
    if name is None and len(by_name) > 1:
        raise OptionError(
            f"the model called {len(by_name)} LSTMs; --name names one of them: {join_names(map(repr, by_name))}"
        )
    name = next(iter(by_name)) if name is None else name
    found = by_name[name]
    off = max(one.difference for one in found)
    notes = list(dict.fromkeys(note for one in found for note in one.notes))
    if len(found) == 1:
        return name, found[0].trace, (_off(off), *notes)
    if not all(_continues(one.trace, next_.trace) for one, next_ in pairwise(found)):
        notes.append(f"the model called it {len(found):,} times, and not as one run; this is the first call")
        return name, found[0].trace, (_off(off), *notes)
    trace = _one_run([one.trace for one in found])
    ends = zip(trace.cells().values(), found[-1].trace.cells().values(), strict=True)
    off = max(off, difference((a, b) for one, other in ends for a, b in zip(one.final, other.final, strict=True)))
    return name, trace, (_off(off), *notes)


def _stack(by_name: Mapping[str, Sequence[Captured]], name: str | None, contents: Contents) -> Found | None:
    """Return the stack of that name, or the only one of all that was called, each of whose LSTMs was called once."""
    for one in contents.found:
        called = one.combines and all(len(by_name.get(part, ())) == 1 for part in one.combines)
        if called and (one.name == name or (name is None and one.stacked and len(by_name) == len(one.combines))):
            return one
    return None


def _of_stack(stack: Found, calls: Sequence[Captured]) -> tuple[str, LSTMTrace, tuple[str, ...]]:
    """Return the run of a stack over what its first LSTM received, and how far it is from what the last computed."""
    first, last = calls[0].trace, calls[-1]
    cell = next(iter(first.layers[0].values()))
    states = tuple(tuple(part.initial for part in layer.values()) for one in calls for layer in one.trace.layers)
    mask: dict[str, Any] = {} if cell.valid is None else {"mask": cell.valid, "masked_output": last.trace.masked_output}
    trace = stack.lstm.trace(np.asarray(cell.input), states, **mask)
    off = max(last.difference, difference([(trace.output, last.trace.output)]))
    return stack.name, trace, (_off(off), *dict.fromkeys(note for one in calls for note in one.notes))


def _off(off: float) -> str:
    return f"the trace is off by at most {off:.2g} from what the model computed"


def _continues(one: LSTMTrace, following: LSTMTrace) -> bool:
    """Whether a call begins with the state that the one before ended with, but for rounding."""
    if "backward" in one.directions or one.batch_size != following.batch_size:
        return False
    pairs = zip(one.cells().values(), following.cells().values(), strict=True)
    return all(
        np.abs(a - b).max() <= 1000 * np.finfo(a.dtype).eps * max(1, np.abs(a).max())
        for old, new in pairs
        for a, b in zip(old.final, new.initial, strict=True)
    )


def _one_run(traces: Sequence[LSTMTrace]) -> LSTMTrace:
    """Return the trace of one run over the inputs of several that continue each other."""
    first = traces[0]
    lstm = LSTM.from_cells([cell.parameters for cell in first.cells().values()])
    x = np.concatenate([np.asarray(trace[0].input) for trace in traces])
    return lstm.trace(x, tuple(tuple(cell.initial for cell in layer.values()) for layer in first.layers))
