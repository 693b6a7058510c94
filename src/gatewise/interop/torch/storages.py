"""PyTorch's storages, as its pickles name them: the type of their numbers, how many there are, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import Global, Object, Persistent
from gatewise.interop.containers.tensors import is_count, itemsize

TYPES = {  # by the names of storages and of dtypes
    "Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": "bf16", "Long": "<i8", "Int": "<i4", "Short": "<i2",
    "Char": "<i1", "Byte": "<u1", "Bool": "<u1", "ComplexFloat": "<c8", "ComplexDouble": "<c16",
    "float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "bf16", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "<u1", "complex64": "<c8", "complex128": "<c16",
    "float": "<f4", "double": "<f8", "half": "<f2", "long": "<i8", "int": "<i4", "short": "<i2",
}  # fmt: skip


def is_storage(identity: Any) -> bool:
    """Say whether a persistent identity is that of a storage: (storage, class, key, device, count, …)."""
    if not (isinstance(identity, tuple) and len(identity) >= 5):
        return False
    return identity[0] == "storage" and isinstance(identity[2], str) and is_count(identity[4])


def storage_kind(kind: Any) -> str | None:
    """Return the type of the numbers that a class of storages is for, or None where it is unknown."""
    name = kind.name if isinstance(kind, Global) else ""
    if name == "UntypedStorage":
        return "<u1"
    return TYPES.get(name.removesuffix("Storage"))


def native(data: bytes | memoryview, kind: Any, order: bytes, budget: Budget) -> bytes | memoryview:
    """Return little-endian numbers."""
    found = storage_kind(kind)
    if order.strip() == b"little" or found is None:
        return data
    width = itemsize(found)
    budget.hold(len(data), 2, "numbers whose bytes are turned round")
    return np.frombuffer(data[: len(data) // width * width], f">u{width}").astype(f"<u{width}").tobytes()


def persistent(content: Any, budget: Budget) -> Iterator[Persistent]:
    """Go through all that a description holds, each thing once."""
    seen: set[int] = set()
    ahead = [content]
    while ahead:
        one = ahead.pop()
        if isinstance(one, Persistent):
            yield one
        elif isinstance(one, (dict, list, tuple, Object)) and id(one) not in seen:
            seen.add(id(one))
            parts = _parts(one)
            budget.count(len(parts), "entries")
            ahead += parts


def _parts(one: Any) -> list[Any]:
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, Object):
        return [one.args, one.state, *one.items, *one.pairs.values()]
    return list(one)
