"""Tensors of a safetensors file, by their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, reason
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import Storage, Tensor, bytes_per_number, contiguous_tensor, unreadable_tensor

AXES = 32  # that any NumPy has
TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "bf16"}


def read_tensors(path: Path, budget: Budget) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by their names."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    try:
        with open(path, "rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            text = raw.read(length)
            budget.parse(text, "its header")
            header = json.loads(text)
        with safe_open(path, framework="numpy") as file:  # which looks at the whole header
            names = list(file.keys())
        budget.count(len(names), "tensors")
        for name in names:
            tensors[name] = _describe_tensor(path, 8 + length, header[name], budget)
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, OverflowError, KeyError, RecursionError) as problem:
        raise FileError(f"it is not an intact safetensors file ({reason(problem)})") from None
    return tensors


def _describe_tensor(path: Path, begin: int, entry: dict[str, Any], budget: Budget) -> Tensor:
    kind, shape, (first, end) = TYPES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if kind is None:
        return unreadable_tensor(f"its numbers are {entry['dtype']}, which is not supported")
    if len(shape) > AXES:
        return unreadable_tensor(f"it has {len(shape)} axes; at most {AXES} are read")
    held = Storage(kind, (end - first) // bytes_per_number(kind), _reader_at(path, begin + first, end - first))
    return contiguous_tensor(shape, held, budget)


def _reader_at(path: Path, begin: int, length: int) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(begin)
            return file.read(min(size, length))

    return read
