"""PyTorch's storages in its pickles: the type of their numbers, their count, and their byte order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import GlobalName, PersistentId, PickledObject
from gatewise.interop.containers.tensors import bytes_per_number, is_count, to_little_endian

TYPES = {  # by the names of storages and of dtypes
    "Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": "bf16", "Long": "<i8", "Int": "<i4", "Short": "<i2",
    "Char": "<i1", "Byte": "<u1", "Bool": "<u1", "ComplexFloat": "<c8", "ComplexDouble": "<c16",
    "float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "bf16", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "<u1", "complex64": "<c8", "complex128": "<c16",
    "float": "<f4", "double": "<f8", "half": "<f2", "long": "<i8", "int": "<i4", "short": "<i2",
}  # fmt: skip


def is_storage(identity: Any) -> bool:
    """Return whether an identity in a PyTorch pickle is a storage's: (storage, class, key, device, count, …)."""
    if not (isinstance(identity, tuple) and len(identity) >= 5):
        return False
    return identity[0] == "storage" and isinstance(identity[2], str) and is_count(identity[4])


def storage_kind(kind: Any) -> str | None:
    """Return the NumPy type of the numbers in a class of PyTorch's storages, or None if it is unknown."""
    name = kind.name if isinstance(kind, GlobalName) else ""
    if name == "UntypedStorage":
        return "<u1"
    return TYPES.get(name.removesuffix("Storage"))


def in_little_endian(data: bytes | memoryview, kind: Any, order: bytes, budget: Budget) -> bytes | memoryview:
    """Return the numbers of a PyTorch storage in little-endian order."""
    number_type = storage_kind(kind)
    if order.strip() == b"little" or number_type is None:
        return data
    width = bytes_per_number(number_type)
    budget.hold(len(data), 2, "numbers whose bytes are turned round")
    return to_little_endian(data, width)


def iterate_references(content: Any, budget: Budget) -> Iterator[PersistentId]:
    """Yield the references to storages in the content of a PyTorch pickle; each object is visited once."""
    visited: set[int] = set()
    pending = [content]
    while pending:
        node = pending.pop()
        if isinstance(node, PersistentId):
            yield node
        elif isinstance(node, (dict, list, tuple, PickledObject)) and id(node) not in visited:
            visited.add(id(node))
            parts = _objects_within(node)
            budget.count(len(parts), "entries")
            pending += parts


def _objects_within(node: Any) -> list[Any]:
    """Return the objects that an object of a PyTorch pickle holds directly."""
    if isinstance(node, dict):
        return list(node.values())
    if isinstance(node, PickledObject):
        return [node.args, node.state, *node.items, *node.pairs.values()]
    return list(node)
