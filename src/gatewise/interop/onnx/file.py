"""One ONNX file: its tensors, those beside it among them, its functions, and how much may be made of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import require_memory
from gatewise.errors import FileError, reason
from gatewise.interop.onnx import packages
from gatewise.interop.onnx.attributes import NotConstant

AnyArray = npt.NDArray[Any]
NODES = 200_000  # how many nodes are looked at in one file, those of its functions at every call
GROWTH = 64  # how many times the bytes of a file's constants all that is computed from them may take …
LEAST = 2**24  # … or so many bytes, where that is more
TYPES = (
    *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL"),
    *("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"),
)


class File:
    """What all graphs of one file share.

    Parameters
    ----------
    model : onnx.ModelProto
    path : path, optional
        Its path: tensors stored outside it are looked for next to it.
    omitted : mapping of str to array
        Values of the model's inputs, by name.
    """

    def __init__(self, model: Any, path: str | os.PathLike[str] | None, omitted: Mapping[str, AnyArray]) -> None:
        self.onnx: Any = packages.reader()
        self.model, self.omitted = model, omitted
        self.beside = None if path is None else Path(os.path.abspath(path)).parent
        self._functions = {(one.domain, one.name, one.overload): one for one in model.functions}
        versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
        self.opset = int(versions[0]) if versions else 1
        self._visits, self._outside = 0, set[str]()
        self._left = max(LEAST, GROWTH * (model.ByteSize() + sum(one.nbytes for one in omitted.values())))
        self._types = {
            number: np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(number))
            for number in (getattr(self.onnx.TensorProto, name) for name in TYPES)
        }

    def visit(self, nodes: int) -> None:
        """Count nodes that are going to be looked at."""
        self._visits += nodes
        if self._visits > NODES:
            raise FileError(f"it has more than {NODES:,} nodes, those of its functions counted at every call")

    def function(self, node: Any) -> Any | None:
        """Return the function of the file that a node calls, if it calls one."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        return self._functions.get((domain, node.op_type, node.overload))

    def dtype(self, number: int) -> np.dtype[Any]:
        """Return ONNX's type of that number as NumPy's."""
        if number not in self._types:
            raise NotConstant(f"it is of ONNX's type {number}, which is not supported")
        found: np.dtype[Any] = self._types[number]
        return found

    def spend(self, count: int, itemsize: int) -> None:
        """Take so many numbers off what the file may take in all."""
        self._left -= count * itemsize
        if self._left < 0:
            raise NotConstant(f"its constants would grow to more than {GROWTH} times the file")
        require_memory(count, itemsize, "a constant of the ONNX file")

    def array(self, tensor: Any) -> AnyArray:
        """Return a tensor of the file, read-only where it is a view of the file's bytes."""
        dims, dtype = tuple(tensor.dims), self.dtype(tensor.data_type)
        if any(one < 0 for one in dims) or len(dims) > 32:
            raise NotConstant(f"its dimensions {dims[:8]} are not allowed")
        count = math.prod(dims)
        # Older versions of the package call bfloat16 float32, whose numbers it makes of it.
        itemsize = 2 if tensor.data_type == self.onnx.TensorProto.BFLOAT16 else dtype.itemsize
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            return self._external(tensor, count * itemsize)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != count * itemsize:
            raise NotConstant(
                f"its shape {dims} of {dtype} takes {count * itemsize} bytes; the file has {len(tensor.raw_data)}"
            )
        return self._to_array(tensor, "")

    def _external(self, tensor: Any, needed: int) -> AnyArray:
        """Return a tensor stored in a file next to the model; the onnx package refuses paths that lead elsewhere."""
        if self.beside is None:
            raise NotConstant("its numbers are in another file; read the model from its path")
        copy = self.onnx.TensorProto()
        copy.CopyFrom(tensor)
        given = {one.key: one.value for one in tensor.external_data}
        location, length = given.get("location", ""), given.get("length", str(needed))
        if length != str(needed):
            raise NotConstant(f"its shape takes {needed} bytes; {length[:20]} are given in {location!r}")
        require_memory(needed, 1, "a tensor beside the ONNX file")
        del copy.external_data[:]
        for key, value in {**given, "length": length}.items():
            copy.external_data.add(key=key, value=value)
        try:
            size = os.stat(self.beside / location).st_size if location else -1
        except (OSError, ValueError):
            size = -1
        if size < needed:
            raise NotConstant(f"its numbers are in {location!r} beside the file, which is missing or too short")
        if location not in self._outside:  # its bytes are constants of the file as well
            self._outside.add(location)
            self._left += GROWTH * size
        return self._to_array(copy, str(self.beside))

    def _to_array(self, tensor: Any, folder: str) -> AnyArray:
        try:
            found: AnyArray = self.onnx.numpy_helper.to_array(tensor, folder)
        except (ValueError, TypeError, OSError, RuntimeError, OverflowError, self.onnx.checker.ValidationError) as one:
            raise NotConstant(f"its numbers cannot be read ({reason(one)})") from None
        return found
