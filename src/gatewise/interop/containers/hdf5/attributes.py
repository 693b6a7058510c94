"""The attributes of an HDF5 file's groups and arrays, and the strings in its global heaps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.file import HDF5File, Message, Type
from gatewise.interop.containers.hdf5.headers import read_dataspace, read_datatype
from gatewise.interop.containers.hdf5.heap import heap_objects

TEXT = 64  # bytes that a text takes here, however short it is
TEXT_STEPS, ATTRIBUTE_STEPS = 1, 20  # microseconds that a text, and an attribute, take


def attributes(file: HDF5File, messages: list[Message]) -> dict[str, Any]:
    """Return the attributes among messages: str, list of str, array; None for one that is not read."""
    values: dict[str, Any] = {}
    for message in messages:
        if message.kind == 0xC and not message.flags & 2:
            values |= [_attribute(file, message.data)]
        elif message.kind == 0x15:
            values |= [_attribute(file, data) for data in _dense_attributes(file, message.data)]
    return values


def _dense_attributes(file: HDF5File, data: bytes) -> list[bytes]:
    """Return the attribute messages that an attribute info message leads to."""
    at = file.cursor(data)
    at.version("an index of attributes", 0)
    at.take(2 if at.number(1) & 1 else 0)
    heap, tree = at.offset(), at.offset()
    return [] if heap is None or tree is None else heap_objects(file, heap, tree, 8)


def _attribute(file: HDF5File, data: bytes) -> tuple[str, Any]:
    """Return the name and the value of an attribute message."""
    file.count(1, ATTRIBUTE_STEPS)
    at = file.cursor(data)
    version, flags = at.version("an attribute", 1, 2, 3), at.number(1)
    sizes = [at.number(2) for _ in range(3)]
    if version == 3:
        at.take(1)
    parts = []
    for size in sizes:
        parts.append(at.take(size))
        if version == 1:
            at.take(-size % 8)
    name = parts[0].split(b"\0")[0].decode("utf-8", "replace")
    if version > 1 and flags & 3:
        return name, None  # its type is stored elsewhere
    kind, shape = read_datatype(file, parts[1]), read_dataspace(file, parts[2])
    count = math.prod(shape)
    if count * kind.size > at.left:
        raise FileError(f"the attribute {name[:40]!r} is truncated")
    return name, _read_value(file, kind, shape, at.take(count * kind.size))


def _read_value(file: HDF5File, kind: Type, shape: tuple[int, ...], data: bytes) -> Any:
    if kind.kind in ("string", "text"):
        size = max(kind.size, 1)
        file.keep(TEXT * (len(data) // size) + len(data))
        file.count(len(data) // size, TEXT_STEPS if kind.kind == "string" else 4 * TEXT_STEPS)
        items = [data[n : n + size] for n in range(0, len(data), size)]
        words = [_read_text(file, item) if kind.kind == "text" else item.split(b"\0")[0] for item in items]
        texts = [word.decode("utf-8", "replace") for word in words]
        return texts if shape else next(iter(texts), "")  # a type of no bytes has no items
    if kind.kind in ("int", "float"):
        return np.frombuffer(data, kind.numpy).reshape(shape)
    return None


def _read_text(file: HDF5File, reference: bytes) -> bytes:
    at = file.cursor(reference)
    length = at.number(4)
    address, index = at.offset(), at.number(4)
    if not length or not address:
        return b""
    text = _global_heap(file, address).get(index)
    if text is None or len(text) < length:
        raise FileError("it refers to a string that is not there")
    file.keep(length)
    return text[:length].rstrip(b"\0")


def _global_heap(file: HDF5File, address: int) -> dict[int, bytes]:
    if address in file.heaps:
        return file.heaps[address]
    head = file.read_piece(address, 8 + file.length_size)
    head.signature(b"GCOL")
    head.take(4)
    size = head.length()
    block = file.read_piece(address, size)
    block.take(head.at)
    texts: dict[int, bytes] = {}
    while block.left >= 8 + file.length_size:
        index = block.number(2)
        block.take(6)
        length = block.length()
        if index == 0:
            break
        file.count(1, 2)
        file.keep(length)
        texts[index] = block.take(length)
        block.take(min(-length % 8, block.left))
    file.heaps[address] = texts
    return texts
