"""Tensors of a safetensors file, by their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gatewise.errors import FileError, reason
from gatewise.interop.containers.tensors import Storage, Tensor, itemsize, unreadable

TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "bf16"}


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by their names."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="numpy") as file:  # which looks at the whole header
            names = list(file.keys())
        with open(path, "rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            header = json.loads(raw.read(length))
        for name in names:
            kind, (begin, end) = TYPES.get(header[name]["dtype"]), header[name]["data_offsets"]
            shape = tuple(header[name]["shape"])
            strides = tuple(int(np.prod(shape[n + 1 :], dtype=object)) for n in range(len(shape)))
            if kind is None:
                tensors[name] = unreadable(f"its numbers are {header[name]['dtype']}, which is not supported")
                continue
            held = Storage(kind, (end - begin) // itemsize(kind), _at(path, 8 + length + begin, end - begin))
            tensors[name] = Tensor(shape, strides, 0, kind, held)
    except (SafetensorError, OSError, ValueError, TypeError, OverflowError, KeyError, RecursionError) as problem:
        raise FileError(f"it is not an intact safetensors file ({reason(problem)})") from None
    return tensors


def _at(path: Path, begin: int, length: int) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(begin)
            return file.read(min(size, length))

    return read
