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
    """Return the attributes of an HDF5 object, from its messages: str, list of str, array; None for an unread one."""
    values: dict[str, Any] = {}
    for message in messages:
        if message.kind == 0xC and not message.flags & 2:
            values |= [_read_attribute(file, message.data)]
        elif message.kind == 0x15:
            values |= [_read_attribute(file, data) for data in _dense_attributes(file, message.data)]
    return values


def _dense_attributes(file: HDF5File, data: bytes) -> list[bytes]:
    """Return the HDF5 attribute messages to which an attribute info message leads."""
    cursor = file.cursor(data)
    cursor.version("an index of attributes", 0)
    cursor.take(2 if cursor.number(1) & 1 else 0)
    heap, tree = cursor.offset(), cursor.offset()
    return [] if heap is None or tree is None else heap_objects(file, heap, tree, 8)


def _read_attribute(file: HDF5File, data: bytes) -> tuple[str, Any]:
    """Return the name and the value of an HDF5 attribute, from its message."""
    file.count(1, ATTRIBUTE_STEPS)
    cursor = file.cursor(data)
    version, flags = cursor.version("an attribute", 1, 2, 3), cursor.number(1)
    sizes = [cursor.number(2) for _ in range(3)]
    if version == 3:
        cursor.take(1)
    parts = []
    for size in sizes:
        parts.append(cursor.take(size))
        if version == 1:
            cursor.take(-size % 8)
    name = parts[0].split(b"\0")[0].decode("utf-8", "replace")
    if version > 1 and flags & 3:
        return name, None  # its type is stored elsewhere
    kind, shape = read_datatype(file, parts[1]), read_dataspace(file, parts[2])
    count = math.prod(shape)
    if count * kind.size > cursor.left:
        raise FileError(f"the attribute {name[:40]!r} is truncated")
    return name, attribute_value(file, kind, shape, cursor.take(count * kind.size))


def attribute_value(file: HDF5File, kind: Type, shape: tuple[int, ...], data: bytes) -> Any:
    """Return the value of an HDF5 attribute as texts, an array or bytes of lists, from its bytes; None for others."""
    if kind.kind in ("string", "text"):
        size = max(kind.size, 1)
        file.keep(TEXT * (len(data) // size) + len(data))
        file.count(len(data) // size, TEXT_STEPS if kind.kind == "string" else 4 * TEXT_STEPS)
        items = [data[n : n + size] for n in range(0, len(data), size)]
        words = [_read_heap_text(file, item) if kind.kind == "text" else item.split(b"\0")[0] for item in items]
        texts = [word.decode("utf-8", "replace") for word in words]
        return texts if shape else next(iter(texts), "")  # a type of no bytes has no items
    if kind.kind in ("int", "float"):
        return np.frombuffer(data, kind.numpy).reshape(shape)
    if kind.kind == "lists" and kind.size == 8 + file.offset_size:
        file.keep(TEXT * (len(data) // kind.size))
        return [_read_heap_item(file, data[n : n + kind.size]) for n in range(0, len(data), kind.size)]
    return None


def _read_heap_text(file: HDF5File, reference: bytes) -> bytes:
    """Return a text of variable length of an HDF5 file, from a reference into a global heap."""
    length = file.cursor(reference).number(4)
    text = _read_heap_item(file, reference)
    if len(text) < length:
        raise FileError("it refers to a string that is not there")
    return text[:length].rstrip(b"\0")


def _read_heap_item(file: HDF5File, reference: bytes) -> bytes:
    """Return the item of a global heap that a reference of an HDF5 file leads to; no bytes where its length is 0."""
    cursor = file.cursor(reference)
    length = cursor.number(4)
    address, index = cursor.offset(), cursor.number(4)
    if not length or not address:
        return b""
    item = _read_global_heap(file, address).get(index)
    if item is None:
        raise FileError("it refers to a string that is not there")
    file.keep(len(item))
    return item


def _read_global_heap(file: HDF5File, address: int) -> dict[int, bytes]:
    """Return the texts of a global heap of an HDF5 file by their numbers; each heap is read once."""
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
