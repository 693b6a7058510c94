"""An ONNX file: its tensors, its functions, and its budget.

Tensors in other files must be in the model's folder. `gatewise.interop.containers.beside` follows their names, and not
the package onnx, whose checks differ by version; it refuses files of several names as well, from 1.21 on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gatewise.errors import CapacityError, FileError, reason
from gatewise.files.budget import Budget
from gatewise.interop.containers import beside
from gatewise.interop.containers.protobuf import restore_value
from gatewise.interop.containers.tensors import from_bfloat16
from gatewise.interop.onnx import packages
from gatewise.interop.onnx.attributes import LOOKING, DamagedTensor, NotConstant, text_of

AnyArray = npt.NDArray[Any]
AXES = 32  # of one tensor
MAX_NODES = 50_000  # of one graph
NODE, STEPS = 4, 6  # the elements and the steps of work that a node takes, and a graph twice, besides its names
TYPES = (
    *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL"),
    *("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"),
)


class OnnxFile:
    """The model of a file, which all its graphs share.

    Tensors outside the file at `path` must be in its folder. `omitted` has values of the model's inputs by name;
    `kept_out` the long arrays that are not in the model, but in the bytes of its file. `clip` is what the attribute of
    that name bounds: `gates`, the pre-activations alone; `all`, also the input of the nonlinearity h.
    """

    def __init__(
        self,
        model: Any,
        path: str | os.PathLike[str] | None,
        omitted: Mapping[str, AnyArray],
        budget: Budget,
        kept_out: Sequence[memoryview] = (),
        clip: str = "gates",
    ) -> None:
        self.onnx: Any = packages.import_onnx()
        self.model, self.omitted, self.budget, self.clip = model, omitted, budget, clip
        self.folder = None if path is None else Path(os.path.abspath(path)).parent
        self._functions = {(proto.domain, proto.name, proto.overload): proto for proto in model.functions}
        versions = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
        self.opset = int(versions[0]) if versions else 1
        self.scopes: list[Any] = []  # of its graphs and the calls of its functions, as they are made
        self._kept_out = kept_out
        self._outside = set[tuple[int, int]]()
        # By the identity of a proto, which is held too: otherwise another might get the same identity.
        self._arrays: dict[int, tuple[Any, AnyArray]] = {}
        self._sizes: dict[int, tuple[Any, int, int]] = {}
        budget.grow(sum(array.nbytes for array in omitted.values()))
        self._types = _numpy_types()

    def charge_nodes(self, owner: Any, nodes: Sequence[Any], *named: Sequence[Any]) -> None:
        """Charge the nodes of an ONNX graph or function (`owner`), and its other `named` entries, to the budget.

        Those of a function are charged at every call.
        """
        if len(nodes) > MAX_NODES:
            raise CapacityError(f"a graph of {len(nodes):,} nodes is too large; up to {MAX_NODES:,} are allowed")
        if id(owner) not in self._sizes:
            elements, letters = 2 * NODE + sum(map(len, named)), 0
            for node in nodes:
                inputs, outputs = node.input, node.output
                elements += NODE + len(inputs) + len(outputs) + len(node.attribute)
                letters += len(node.op_type) + len(node.name) + len(node.domain)
                letters += sum(map(len, inputs)) + sum(map(len, outputs))
            self._sizes[id(owner)] = owner, elements, letters
        _, elements, letters = self._sizes[id(owner)]
        self.budget.count(elements, "nodes and names (those of its functions at every call)")
        self.budget.work(STEPS * elements // NODE + letters // 16, LOOKING)
        self.budget.hold(letters, 1, "the names of its nodes")

    def function(self, node: Any) -> Any | None:
        """Return the function of the ONNX file that a node calls; None if it is an operator."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        return self._functions.get((domain, node.op_type, node.overload))

    def dtype(self, number: int) -> np.dtype[Any]:
        """Return NumPy's type for the number of one of ONNX's types."""
        if number not in self._types:
            raise NotConstant(f"it is of ONNX's type {number}, which is not supported")
        dtype: np.dtype[Any] = self._types[number]
        return dtype

    def hold(self, count: int, itemsize: int, purpose: str = "computing it") -> None:
        """Charge the memory of an ONNX tensor to the budget; `NotConstant` if that does not have it."""
        try:
            self.budget.hold(count, itemsize, purpose)
        except FileError as problem:
            raise NotConstant(str(problem)) from None

    def array(self, tensor: Any) -> AnyArray:
        """Return the numbers of an ONNX tensor, read-only: the same array each time."""
        if id(tensor) not in self._arrays:
            self._arrays[id(tensor)] = tensor, self._read_tensor(tensor)
        return self._arrays[id(tensor)][1]

    def _read_tensor(self, tensor: Any) -> AnyArray:
        """Return the numbers of an ONNX tensor, from another file, its raw bytes or the field of their type."""
        dtype = self.dtype(tensor.data_type)
        dims = dims_of(tensor)
        count, itemsize = math.prod(dims), self._itemsize(tensor.data_type)
        data: bytes | memoryview
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            data = self.read_outside(tensor)
        elif tensor.HasField("raw_data"):
            data = restore_value(tensor.raw_data, self._kept_out)
            if len(data) != count * itemsize:
                raise DamagedTensor(
                    f"its shape {dims} of {dtype} takes {count * itemsize} bytes; the file has {len(data)}"
                )
            self.hold(count, itemsize)
        else:
            return self._typed_numbers(tensor)
        try:
            words = np.frombuffer(data, f"<u{itemsize}").astype(f"u{itemsize}", copy=False)
            return (words.view(dtype) if itemsize == dtype.itemsize else from_bfloat16(words)).reshape(dims)
        except ValueError as problem:
            raise NotConstant(f"its numbers cannot be read ({reason(problem)})") from None

    def _itemsize(self, number: int) -> int:
        # Older versions of the package call bfloat16 float32, whose numbers it makes of it.
        return 2 if number == self.onnx.TensorProto.BFLOAT16 else self._types[number].itemsize

    def read_outside(self, tensor: Any) -> bytes:
        """Return the bytes of an ONNX tensor in another file, whose size is added to the budget once."""
        is_known_type = tensor.data_type in self._types
        needed = math.prod(dims_of(tensor)) * self._itemsize(tensor.data_type) if is_known_type else None
        with _open_outside(self.folder, tensor) as (file, status):
            start, count = _extent_of(tensor, status.st_size, needed)
            if (status.st_dev, status.st_ino) not in self._outside:
                self._outside.add((status.st_dev, status.st_ino))
                self.budget.grow(status.st_size)
            self.hold(count, 1, "reading it")
            file.seek(start)
            data = file.read(count)
        if len(data) != count:
            raise NotConstant("its numbers are in another file, which is shorter than it was")
        return data

    def _typed_numbers(self, tensor: Any) -> AnyArray:
        """Return the numbers of an ONNX tensor that are in the field of their type, such as float_data."""
        fields: Iterable[str] = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
        count = sum(len(getattr(tensor, name)) for name in fields)
        if count == 0 < math.prod(dims := dims_of(tensor)):
            raise DamagedTensor(f"its shape is {dims}, and the file has none of its numbers")
        self.hold(count, 16)  # numbers of Python on the way, of NumPy in the end
        unreadable = (ValueError, TypeError, OSError, RuntimeError, OverflowError, self.onnx.checker.ValidationError)
        try:
            array: AnyArray = self.onnx.numpy_helper.to_array(tensor)
        except unreadable as problem:
            raise NotConstant(f"its numbers cannot be read ({reason(problem)})") from None
        return array


def tensors_of(initializers: Iterable[Any]) -> dict[str, Any]:
    """Return the initializers of an ONNX graph by their names; FileError if two have the same."""
    tensors: dict[str, Any] = {}
    for proto in initializers:
        if proto.name in tensors:
            raise FileError(f"it has two initializers named {text_of(proto.name)!r}")
        tensors[proto.name] = proto
    return tensors


@cache
def _numpy_types() -> dict[int, np.dtype[Any]]:
    """Return NumPy's types by the numbers of ONNX's."""
    onnx: Any = packages.import_onnx()
    numbers = (getattr(onnx.TensorProto, name) for name in TYPES)
    return {number: np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number)) for number in numbers}


def dims_of(tensor: Any) -> tuple[int, ...]:
    """Return the shape of an ONNX tensor."""
    dims = tuple(tensor.dims[: AXES + 1])
    if len(dims) > AXES or min(dims, default=0) < 0:
        raise NotConstant(f"its dimensions {dims[:8]} are not allowed")
    return dims


@contextmanager
def _open_outside(folder: Path | None, tensor: Any) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open the file in an ONNX model's folder that holds a tensor; yield it with its status, or raise NotConstant."""
    if folder is None:
        raise NotConstant("its numbers are in another file; read the model from its path")
    location = _external_entries(tensor).get("location", "")
    with ExitStack() as stack:
        try:
            file_and_status = stack.enter_context(beside.open_beside(folder, location))
        except FileError as problem:
            raise NotConstant(f"its numbers are in {text_of(location)!r}, {problem}") from None
        yield file_and_status


def _extent_of(tensor: Any, size: int, needed: int | None) -> tuple[int, int]:
    """Return the offset of an external ONNX tensor in a file of that size, and its length in bytes.

    `needed` is the length by its shape and type; None if the type is unknown.
    """
    entries = _external_entries(tensor)
    location, length = text_of(entries.get("location", "")), entries.get("length")
    start = _parse_size(entries.get("offset", "0"))
    count = needed if length is None else _parse_size(length)
    if count is None and length is None and start is not None:
        count = max(0, size - start)  # all the rest
    if needed is not None and count != needed:
        raise NotConstant(f"its shape takes {needed} bytes; {text_of(length)} are given in {location!r}")
    if start is None or count is None or start + count > size:
        raise NotConstant(f"its numbers are in {location!r} beside the model, which is too short")
    return start, count


def _external_entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _parse_size(text: str) -> int | None:
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else None
