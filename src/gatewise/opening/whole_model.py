"""A whole model, run on its own input by its framework, with every LSTM in it traced."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import FileError, GatewiseError, MissingExtraError, OptionError, importing, join_names, reason
from gatewise.interop.captured import Captured
from gatewise.interop.contents import Contents
from gatewise.interop.formats import capture, reader_of
from gatewise.interop.graphs import GraphInput

if TYPE_CHECKING:
    from gatewise.network.graph_network import GraphNetwork

RATE_NAMES = ("sr", "rate", "fs", "sample_rate", "sampling_rate")  # of inputs that take the rate of a sound
STATE_NAME = re.compile(
    r".*(state|hidden|cell).*|[hc](_?(0|n|in|prev))?", re.IGNORECASE
)  # of inputs that begin as zeros
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


@dataclass(frozen=True, eq=False)
class WholeModel:
    """A model that its framework can run.

    Attributes
    ----------
    runtime : str
        The library that runs it.
    model : object
        As `gatewise.capture` takes it.
    inputs : tuple of GraphInput
        The inputs that have no value in the file.
    contents : Contents
    """

    runtime: str
    model: Any
    inputs: tuple[GraphInput, ...]
    contents: Contents

    def fits(self, values: Any) -> bool:
        """Whether numbers have the shape of the model's input, a batch axis put in front where it lacks one."""
        shape = self.inputs[0].shape
        return shape is None or self._in_input_shape(values) is not None

    def _in_input_shape(self, values: Any) -> Any:
        """Return numbers in the shape of the whole model's input, or None where they do not fit."""
        shape = self.inputs[0].shape
        if shape is None:
            return values
        if values.ndim == len(shape) and values.shape[-1] == 1 and shape[-1] not in (None, 1):
            values = values[:, 0]  # a column of a table, or one channel of a sound
        if values.ndim == len(shape) - 1:
            values = np.expand_dims(values, self._batch_axis)
        return values if self.inputs[0].fits(values.shape) else None

    @property
    def _batch_axis(self) -> int:
        """The axis of sequences of the first input, which a single one lacks."""
        axes = self.model.inputs[self.inputs[0].name].axes if self.runtime == "gatewise" else None
        return axes.index("batch") if axes and "batch" in axes else 0

    def named_inputs(self, inputs: Mapping[str, Any] | Any, rate: int | None) -> dict[str, Any]:
        """Return an input, or inputs by name, as the model takes them; OptionError if some are missing or do not fit.

        `rate` is a sound's.
        """
        named = dict(inputs) if isinstance(inputs, Mapping) else {self.inputs[0].name: self._in_input_shape(inputs)}
        if any(array is None for array in named.values()):
            raise OptionError(
                f"the input has shape {np.asarray(inputs).shape}; the model in {self.contents.path} takes"
                f" {self.inputs[0]}"
            )
        for port in self.inputs[1:]:
            if port.name not in named and (default := _default_value(port, rate)) is not None:
                named[port.name] = default
        missing = [port.name for port in self.inputs if port.name not in named]
        if missing:
            takes = ", ".join(map(str, self.inputs))
            raise OptionError(
                f"the model in {self.contents.path} takes {takes}. Give them by name in an .npz file;"
                f" {join_names(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} missing"
            )
        return named

    def run(self, inputs: Mapping[str, Any] | Any, rate: int | None, *, by_row: bool) -> tuple[Captured, ...]:
        """Run the model on an input, or on inputs by name, and return every call of its LSTMs; `rate` is a sound's.

        With `by_row`, each row of the input is a call of its own, of a model that keeps its state (TorchScript).
        """
        named = self.named_inputs(inputs, rate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of frameworks, about themselves
            return self._capture_calls(named, by_row)

    def _capture_calls(self, named: dict[str, Any], by_row: bool) -> tuple[Captured, ...]:
        """Return every call of every LSTM in the model, which its framework runs on inputs by name."""
        if self.runtime == "onnxruntime":
            types = {port.name: port.dtype for port in self.inputs}
            typed = {name: _typed(name, array, types.get(name)) for name, array in named.items()}
            return capture(self.model, **typed)
        if self.runtime == "Keras":
            values = [_typed(port.name, named[port.name], port.dtype) for port in self.inputs]
            try:
                return capture(self.model, values[0] if len(values) == 1 else values)
            except GatewiseError:
                raise
            except Exception as problem:  # of Keras' backends
                raise FileError(f"Keras cannot run {self.contents.path}: {reason(problem)}") from None
        return _capture_torchscript(self.model, named, by_row)


def _default_value(port: GraphInput, rate: int | None) -> Any:
    """Return the value of an input that is missing: zeros for a state, the rate of a sound; None for others."""
    if port.name.lower() in RATE_NAMES:
        return None if rate is None else np.array(rate, port.dtype)
    if port.shape is not None and port.dtype in FLOATS and STATE_NAME.fullmatch(port.name):
        return np.zeros([size if isinstance(size, int) else 1 for size in port.shape], port.dtype)
    return None


def _typed(name: str, array: Any, dtype: str | None) -> Any:
    """Return an input of a whole model in the type that it declares, which must have all its numbers."""
    array = np.asarray(array)
    if dtype in FLOATS:
        return array.astype(dtype)
    if dtype not in INTEGERS:  # text, or a type that NumPy lacks: the framework says what it takes
        return array
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    bad = (array < low) | (array > high)
    if array.dtype.kind == "f":
        bad |= array != np.rint(array)  # which NaN is not either
    if bad.any():
        raise OptionError(
            f"the input {name!r} of the model takes whole numbers from {low} to {high} ({dtype}), and"
            f" {array[bad][0]:g} is not one of them"
        )
    return array.astype(dtype)


def _capture_torchscript(model: Any, named: Mapping[str, Any], by_row: bool) -> tuple[Captured, ...]:
    """Return the LSTM calls of a TorchScript model, which declares no types.

    Integers are passed as they are, and floats in the type of the weights; where that fails, all of them as floats, and
    then all as integers.
    """
    import torch

    kind = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), torch.float32)

    def captured_calls(dtype: Any) -> tuple[Captured, ...]:
        """Return the LSTM calls of the model on tensors of a type; without one, integers keep theirs."""

        def as_tensor(array: Any) -> Any:
            """Return an array of the opened input as a tensor of PyTorch; a single integer as a Python int."""
            array = np.ascontiguousarray(array)
            if array.ndim == 0 and array.dtype.kind in "iu":
                return int(array)
            tensor = torch.from_numpy(array)
            return tensor.to(dtype or (kind if tensor.is_floating_point() else tensor.dtype))

        inputs = {name: as_tensor(array) for name, array in named.items()}
        first = next(iter(inputs))
        rows = inputs[first].split(1) if by_row else [inputs[first]]
        return tuple(call for row in rows for call in capture(model, **inputs | {first: row}))

    arrays = [np.asarray(array) for array in named.values()]
    as_stored = any(array.ndim and array.dtype.kind in "iub" for array in arrays)
    whole = all((array == np.rint(array)).all() for array in arrays)
    problems: dict[Any, OptionError] = {}
    for dtype in [*[None] * as_stored, kind, *[torch.int64] * whole]:
        try:
            return captured_calls(dtype)
        except OptionError as problem:
            problems[dtype] = problem
    raise problems[kind]


# Which models can be run.


def is_runnable(contents: Contents) -> bool:
    """Whether an input can be run through the whole model of a file: not of weights alone."""
    return contents.graph is not None or _has_runtime(contents)


def _has_runtime(contents: Contents) -> bool:
    """Whether a framework can run the whole model of a file."""
    if contents.format == "TorchScript":
        return True
    if not os.path.exists(contents.path):  # a model in memory
        return False
    return reader_of(contents.path)[0] in ("onnx", "keras") and not contents.format.endswith("weights alone")


def declares_input(contents: Contents, values: Any, rate: int | None) -> bool:
    """Whether a file says that its whole model, which can be run, takes numbers of this shape and nothing else."""
    if not is_runnable(contents) or not contents.inputs or contents.inputs[0].shape is None:
        return False
    model = WholeModel("", None, contents.inputs, contents)
    return model.fits(values) and all(_default_value(port, rate) is not None for port in contents.inputs[1:])


def load_whole_model(contents: Contents) -> WholeModel:
    """Return a file's whole model, loaded by its framework, or as a graph that gatewise runs where that is missing.

    Raise OptionError if the file holds weights alone.
    """
    if contents.graph is not None:
        try:
            return _load_by_runtime(contents) if _has_runtime(contents) else _load_graph(contents)
        except MissingExtraError as missing:
            try:
                return _load_graph(contents)
            except FileError as problem:  # of an operation that the runtime may have
                raise MissingExtraError(f"{problem}; {missing}") from None
    return _load_by_runtime(contents)


def graph_to_run(contents: Contents) -> WholeModel | None:
    """Return a model that only a graph describes, and of which gatewise has every operation; None for others."""
    if contents.graph is None or contents.format == "TorchScript":
        return None
    with suppress(FileError):
        if contents.network is not None:
            contents.network()
            return None
    with suppress(FileError):
        loaded = _load_graph(contents, complete=True)
        return loaded if loaded.model.lstms else None
    return None


def reads_input(network: GraphNetwork) -> bool:
    """Whether an LSTM of a network is given the network's input as it is, but for the order of its axes."""
    for nodes in network._groups.values():
        value = network.nodes[nodes[0]].inputs[0]
        while (maker := network.graph.makers.get(value)) is not None and maker.op in ("transpose", "cast", "identity"):
            value = maker.inputs[0]
        if value in network.inputs:
            return True
    return False


def _load_graph(contents: Contents, *, complete: bool = False) -> WholeModel:
    """Return a model that gatewise runs as a graph of operations."""
    from gatewise.interop.graph_networks import graph_network  # which most files do without

    network = graph_network(contents, complete=complete)
    inputs = tuple(GraphInput(one.name, one.shape, one.dtype.name) for one in network.graph.inputs)
    return WholeModel("gatewise", network, inputs, contents)


def _load_by_runtime(contents: Contents) -> WholeModel:
    """Return a file's whole model, loaded by its framework; raise OptionError if the file holds weights alone."""
    if not _has_runtime(contents):
        raise OptionError(
            f"{contents.path} ({contents.format}) does not hold how its model is computed, so only its LSTM can run."
            " Give the input of the LSTM, or export the model to ONNX or TorchScript."
        )
    reader, path = reader_of(contents.path)
    if reader == "onnx" and not contents.inputs:
        raise OptionError(f"{contents.path} has no inputs, so only its LSTM can run. Give the input of the LSTM.")
    if reader == "onnx":
        from gatewise.interop.onnx.packages import import_onnxruntime

        import_onnxruntime()
        return WholeModel("onnxruntime", path, contents.inputs, contents)
    return _load_keras(path, contents) if reader == "keras" else _load_torchscript(path, contents)


def _load_torchscript(path: Path, contents: Contents) -> WholeModel:
    """Return a TorchScript model that PyTorch has loaded, with the inputs that it needs."""
    with importing("torch", "running a TorchScript model needs"):
        import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.jit.load(os.fspath(path), map_location="cpu").eval()
            arguments = model.forward.schema.arguments[1:]
    except Exception as problem:  # of PyTorch's interpreter
        raise FileError(f"PyTorch cannot load {path}: {reason(problem)}") from None
    integer = {str(argument.name): "int64" for argument in arguments if str(argument.type) == "int"}
    needed = [str(argument.name) for argument in arguments if not argument.has_default_value()]
    inputs = tuple(GraphInput(name, None, integer.get(name)) for name in needed or [str(arguments[0].name)])
    return WholeModel("PyTorch", model, inputs, contents)


def _load_keras(path: Path, contents: Contents) -> WholeModel:
    """Return a Keras model that Keras has loaded, with its inputs."""
    from gatewise.interop.keras.live import import_keras

    keras = import_keras()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(path, compile=False)
    except Exception as problem:  # of Keras, h5py and the backend
        raise FileError(f"Keras cannot load {path}: {reason(problem)}") from None
    if not (tensors := getattr(model, "inputs", None)):
        raise FileError(f"the model in {path} does not state its inputs, so only its LSTM can run")
    inputs = tuple(GraphInput(tensor.name, tuple(tensor.shape), str(tensor.dtype)) for tensor in tensors)
    return WholeModel("Keras", model, inputs, contents)
