"""Arrays of an HDF5 file: contiguous, compact, or in chunks that may be compressed."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.errors import FileError, shown
from gatewise.interop.containers.hdf5.attributes import attribute_value, attributes
from gatewise.interop.containers.hdf5.file import Cursor, HDF5File, Message, Type
from gatewise.interop.containers.hdf5.heap import read_tree_1
from gatewise.interop.containers.tensors import from_bfloat16

FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """An array in a file; `read` returns its numbers.

    An array of 64 KiB or more that was never written is refused, or has its fill value if `fills_unwritten`.
    """

    file: HDF5File
    path: str
    shape: tuple[int, ...]
    type: Type
    messages: list[Message] = field(repr=False)
    fills_unwritten: bool = False

    @property
    def count(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    def read(self) -> AnyArray:
        """Return the numbers of an HDF5 dataset, bfloat16 as float32; their memory is taken off the budget."""
        if self.type.kind not in ("float", "bfloat16", "int"):
            raise FileError(f"{self.path} holds {self.type.kind}, not numbers")
        budget, path = self.file.budget, shown(self.path)
        budget.hold(self.count, self.type.size, path)
        numbers = self._read_flat()
        if self.type.kind == "bfloat16":
            budget.hold(self.count, 8, path)
            numbers = from_bfloat16(numbers)
        elif not numbers.dtype.isnative:
            budget.hold(self.count, self.type.size, path)
            numbers = numbers.astype(numbers.dtype.newbyteorder("="))
        return numbers.reshape(self.shape)

    @property
    def is_unlimited(self) -> bool:
        """Whether an axis may grow without end."""
        cursor = self.file.cursor(next(message.data for message in self.messages if message.kind == 1))
        version, rank, flags = (cursor.number(1) for _ in range(3))
        cursor.take(5 if version == 1 else 1)
        cursor.take(rank * self.file.length_size)
        unlimited = 2 ** (8 * self.file.length_size) - 1
        return bool(flags & 1) and unlimited in [cursor.length() for _ in range(rank)]

    @property
    def fill_value(self) -> Any:
        """The number of an element that was never written."""
        return np.frombuffer(self._fill_value(), self.type.numpy)[0]

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes, as those of a group."""
        return attributes(self.file, self.messages)

    def read_texts(self) -> AnyArray:
        """Return the texts of an HDF5 dataset: bytes where each has the same length, else str."""
        size = self.type.size
        self.file.budget.hold(self.count, size, shown(self.path))
        kind = f"S{size}" if self.type.kind == "string" else f"V{size}"
        flat = replace(self, type=replace(self.type, numpy=kind))._read_flat()
        if self.type.kind == "text":
            flat = np.array(attribute_value(self.file, self.type, (self.count,), flat.tobytes()), object)
        return flat.reshape(self.shape)

    def _read_flat(self) -> AnyArray:
        """Return the numbers of an HDF5 dataset in one axis, as they are stored."""
        length = self.count * self.type.size
        if any(message.kind == 7 for message in self.messages):
            raise FileError(f"{self.path} is in another file, which is not followed")
        layouts = [message for message in self.messages if message.kind == 8]
        if not layouts:
            raise FileError(f"{self.path} has no data")
        cursor = self.file.cursor(layouts[0].data)
        version, kind = cursor.version("the layout of a dataset", 3, 4), cursor.number(1)
        if kind == 0:
            data = cursor.take(cursor.number(2))
        elif kind == 1:
            address = cursor.offset()
            if address is not None:
                data = self.file.raw(self.file.base + address, length)
            elif length < 2**16 or self.fills_unwritten:  # never written
                fill = self._fill_value()
                data = fill * self.count if any(fill) else bytes(length)
            else:
                raise FileError(f"{self.path} has no data")
        elif kind == 2 and version == 3:
            return self._read_chunks(cursor)
        else:
            raise FileError(f"{self.path} is stored as {'chunks of a newer kind' if kind == 2 else 'a view of others'}")
        if len(data) < length:
            raise FileError(f"{self.path} has {len(data)} bytes; it must have {length}")
        return np.frombuffer(data, self.type.numpy, self.count)

    def _fill_value(self) -> bytes:
        """Return the bytes that stand in an HDF5 dataset for an element that was never written."""
        zero = bytes(self.type.size)
        for message in sorted(
            (message for message in self.messages if message.kind in (4, 5)), key=lambda message: -message.kind
        ):
            if message.flags & 2:
                raise FileError(f"{self.path} has a fill value that is stored elsewhere, which is not supported")
            cursor = self.file.cursor(message.data)
            if message.kind == 5:
                version = cursor.version("a fill value", 1, 2, 3)
                # When it is written, and whether it is there.
                flags = cursor.number(1) if version == 3 else cursor.number(3) >> 16
                if not (flags & 0x20 if version == 3 else flags):
                    return zero
            count = cursor.number(4)
            if count == self.type.size:
                return cursor.take(count)
            if count not in (0, 2**32 - 1):
                raise FileError(f"{self.path} has a fill value of {count} bytes; its numbers have {self.type.size}")
            if message.kind == 5:
                return zero
        return zero

    def _read_chunks(self, cursor: Cursor) -> AnyArray:
        """Return the numbers of an HDF5 dataset that is stored in chunks, which may be compressed."""
        rank = cursor.number(1) - 1
        tree = cursor.offset()
        sizes = [cursor.number(4) for _ in range(rank + 1)]
        item = sizes.pop()
        chunk = math.prod(sizes) * item
        if rank != len(self.shape) or item != self.type.size or chunk <= 0:
            raise FileError(f"{self.path} has chunks of shape {tuple(sizes)}, which do not fit its shape {self.shape}")
        filters, fill = self._filter_numbers(), self._fill_value()
        kind = f"V{item}"
        result = np.full(self.shape, np.void(fill), kind) if any(fill) else np.zeros(self.shape, kind)
        for key, address in () if tree is None else read_tree_1(self.file, tree, 1, 8 + 8 * (rank + 1)):
            entry = self.file.cursor(key)
            stored_size, mask = entry.number(4), entry.number(4)
            starts = [entry.number(8) for _ in range(rank)]
            self.file.budget.work(20, shown(self.path))
            self.file.budget.hold(stored_size + (1 + len(filters)) * chunk, 1, shown(self.path))
            data = self.file.raw(self.file.base + address, stored_size)
            for place in reversed(range(len(filters))):
                if not mask >> place & 1:
                    data = _undo_filter(data, filters[place], item, chunk, self.path)
            if len(data) != chunk or any(start >= size for start, size in zip(starts, self.shape, strict=True)):
                raise FileError(f"{self.path} has a chunk that does not fit its shape {self.shape}")
            part = np.frombuffer(data, kind).reshape(sizes)
            region = tuple(
                slice(start, min(start + step, size))
                for start, step, size in zip(starts, sizes, self.shape, strict=True)
            )
            result[region] = part[tuple(slice(0, axis.stop - axis.start) for axis in region)]
        return result.reshape(-1).view(self.type.numpy)

    def _filter_numbers(self) -> list[int]:
        """Return the filters' numbers through which an HDF5 dataset was written; unsupported ones are refused."""
        filters: list[int] = []
        for message in self.messages:
            if message.kind != 0xB:
                continue
            cursor = self.file.cursor(message.data)
            version, count = cursor.version("filters", 1, 2), cursor.number(1)
            cursor.take(6 if version == 1 else 0)
            for _ in range(count):
                number = cursor.number(2)
                name = cursor.number(2) if version == 1 or number >= 256 else 0
                cursor.number(2)
                values = cursor.number(2)
                cursor.take(name + (-name % 8 if version == 1 else 0) + 4 * values)
                cursor.take(4 if version == 1 and values % 2 else 0)
                filters.append(number)
        for number in filters:
            if number not in FILTERS:
                raise FileError(
                    f"{self.path} is compressed by filter {number}; this reads {', '.join(FILTERS.values())}"
                )
        return filters


def _undo_filter(data: bytes, number: int, item: int, chunk: int, path: str) -> bytes:
    """Return the bytes of a chunk of an HDF5 dataset before a filter: a checksum (3), shuffling (2) or deflate."""
    if number == 3:
        return data[:-4]
    if number == 2:
        count = len(data) // item
        unshuffled = np.frombuffer(data[: count * item], np.uint8).reshape(item, count).T.tobytes()
        return unshuffled + data[count * item :]
    machine = zlib.decompressobj()
    try:
        return machine.decompress(data, chunk + 8)
    except zlib.error as problem:
        raise FileError(f"{path} cannot be decompressed ({problem})") from None
