"""HDF5, read: as much of the format as Keras' files use, and nothing of it is trusted.

The usual library for HDF5 is written in C; a spoiled file can end the process that reads it, or keep it busy for ever.
Here every number of a file is checked before it is used: each place against the file's length, each count against what
is there, and a structure that leads back into itself ends. What is read: the superblocks 0 to 3, both kinds of object
headers and of groups, attributes, and datasets that are contiguous, compact, or in chunks (under a B-tree of version
1) with deflate and shuffle. Links to other places, data in other files and virtual datasets are refused by name.

Source: The HDF Group, "HDF5 File Format Specification", version 3.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from gatewise.errors import FileError
from gatewise.interop.hdf5.array import Dataset
from gatewise.interop.hdf5.cursor import ATTRIBUTE, DEPTH, Cursor, Message, Type
from gatewise.interop.hdf5.heap import Heap

MAGIC = b"\x89HDF\r\n\x1a\n"
NODES = 200_000  # how many pieces of structure a file may have
SPARE, MOST = 2**24, 2**28  # bytes of structure: those that any file may have, and the most, however large it is
TEXT = 64  # bytes that a text takes here, however short it is


class File:
    """An HDF5 file; `root` is its first group.

    Parameters
    ----------
    source : binary file
        That can be sought in; it must stay open.

    Raises
    ------
    FileError
        Here and in every method: if the file is not what the format demands, or uses what is not read.
    """

    def __init__(self, source: BinaryIO) -> None:
        self.source = source
        self.size = source.seek(0, 2)
        self.base, self.offset_size, self.length_size = 0, 8, 8
        self.nodes = self.kept = 0
        self.heaps: dict[int, dict[int, bytes]] = {}
        self._root = self._superblock()

    @cached_property
    def root(self) -> Group:
        """The first group."""
        return Group(self, self._root, "")

    def _superblock(self) -> int:
        """Return where the first group lies."""
        head = Cursor(self.raw(0, min(self.size, 128)))
        if head.take(8) != MAGIC:
            raise FileError("it does not begin as HDF5 does")
        version = head.version("a superblock", 0, 1, 2, 3)
        if version < 2:
            head.take(4)
        widths = head.number(1), head.number(1)
        if not set(widths) <= {2, 4, 8}:
            raise FileError(f"its addresses and lengths have {widths} bytes; they must have 2, 4 or 8")
        self.offset_size, self.length_size = head.offset_size, head.length_size = widths
        head.take({0: 9, 1: 13, 2: 1, 3: 1}[version])
        self.base = head.offset() or 0
        head.take((3 if version < 2 else 2) * self.offset_size)
        if version < 2:
            head.take(self.offset_size)  # of the root's name
        return self.address(head.offset())

    def address(self, value: int | None) -> int:
        """Return an address that must be there."""
        if value is None:
            raise FileError("a part of its structure is missing")
        return value

    def raw(self, start: int, count: int) -> bytes:
        """Return bytes of the file, counted from its beginning."""
        if start < 0 or count < 0 or start + count > self.size:
            raise FileError(f"it names a place beyond its end of {self.size} bytes")
        self.source.seek(start)
        found = self.source.read(count)
        if len(found) != count:
            raise FileError("it ends too early")
        return found

    def piece(self, address: int, count: int) -> Cursor:
        """Return a piece of the file's structure."""
        self.count()
        found = self.raw(self.base + address, count)
        self.keep(count)
        return self.cursor(found)

    def to_end(self, address: int, most: int) -> Cursor:
        """Return a piece of that many bytes, or fewer where the file ends."""
        return self.piece(address, max(0, min(most, self.size - self.base - address)))

    def count(self) -> None:
        """Count a piece of structure: a file that leads round in circles has no end."""
        self.nodes += 1
        if self.nodes > NODES:
            raise FileError(f"it has more than {NODES} pieces of structure")

    def keep(self, count: int) -> None:
        """Count bytes that are kept of the structure: pieces that lie one over another, or name one text many times."""
        self.kept += count
        most = min(8 * self.size, MOST) + SPARE
        if self.kept > most:
            raise FileError(f"its structure takes {self.kept} bytes or more; with {self.size} it may take {most}")

    # Object headers.

    def messages(self, address: int) -> list[Message]:
        """Return the messages of an object's header."""
        head = self.to_end(address, 64)
        if head.data[:4] == b"OHDR":
            return self._messages_2(address, head)
        head.version("an object header", 1)
        head.take(7)
        size = head.number(4)
        found: list[Message] = []
        blocks = [(address + 16, size)]
        for start, length in blocks:
            block = self.piece(start, length)
            while block.left >= 8:
                kind, count, flags = block.number(2), block.number(2), block.number(1)
                block.take(3)
                data = block.take(count)
                self._add(found, blocks, Message(kind, flags, data))
        return found

    def _messages_2(self, address: int, head: Cursor) -> list[Message]:
        head.take(4)
        head.version("an object header", 2)
        flags = head.number(1)
        head.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        size = head.number(1 << (flags & 3))
        found: list[Message] = []
        blocks = [(address + head.at, size)]
        for number, (start, length) in enumerate(blocks):
            block = self.piece(start, length)
            if number:
                block.signature(b"OCHK")
                block.data = block.data[:-4]  # without its checksum
            while block.left >= (6 if flags & 4 else 4):
                kind, count, message_flags = block.number(1), block.number(2), block.number(1)
                block.take(2 if flags & 4 else 0)
                self._add(found, blocks, Message(kind, message_flags, block.take(count)))
        return found

    def _add(self, found: list[Message], blocks: list[tuple[int, int]], one: Message) -> None:
        self.count()
        found.append(one)
        if one.kind == 0x10:
            at = self.cursor(one.data)
            start, length = self.address(at.offset()), at.length()
            if len(blocks) > 1000 or (start, length) in blocks:
                raise FileError("an object header of it never ends")
            blocks.append((start, length))

    def cursor(self, data: bytes) -> Cursor:
        """Return a cursor over bytes that have been read."""
        return Cursor(data, self.offset_size, self.length_size)

    # Datatypes, dataspaces, attributes.

    def datatype(self, data: bytes) -> Type:
        """Return what a datatype message says."""
        at = self.cursor(data)
        kind = at.number(1) & 15
        bits = at.number(3)
        size = at.number(4)
        order = ">" if bits & 1 else "<"
        if kind == 0:
            name = f"{order}{'i' if bits & 8 else 'u'}{size}"
            return Type("int", size, name) if size in (1, 2, 4, 8) else Type("integers of odd sizes", size)
        if kind == 1:
            at.take(5)
            exponent = at.number(1)
            if (size, exponent) in {(2, 5), (4, 8), (8, 11)}:
                return Type("float", size, f"{order}f{size}")
            return Type("bfloat16", 2, f"{order}u2") if (size, exponent) == (2, 8) else Type("odd floats", size)
        if kind == 3:
            return Type("string", size)
        if kind == 5 and size == 2:
            return Type("bfloat16", 2, "<u2")  # as NumPy's extension types are stored; an attribute says so
        if kind == 9 and bits & 15 == 1:
            return Type("text", size)
        names = {2: "times", 4: "bits", 5: "bytes", 6: "records", 7: "references", 8: "names of numbers", 9: "lists"}
        return Type(names.get(kind, "an unknown type"), size)

    def dataspace(self, data: bytes) -> tuple[int, ...]:
        """Return the shape that a dataspace message says."""
        at = self.cursor(data)
        version, rank = at.version("a dataspace", 1, 2), at.number(1)
        at.take(1)
        if version == 1:
            at.take(5)
        elif at.number(1) == 2:
            return (0,)
        if rank > 32:
            raise FileError(f"it has a dataset of {rank} axes; there may be 32")
        shape = tuple(at.length() for _ in range(rank))
        if math.prod(size for size in shape if size) > 2**60:
            raise FileError(f"it has a dataset of shape {shape}, which nobody could hold")
        return shape

    def attribute(self, data: bytes) -> tuple[str, Any]:
        """Return the name and the value of an attribute message."""
        at = self.cursor(data)
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
            return name, None  # its type lies elsewhere
        kind, shape = self.datatype(parts[1]), self.dataspace(parts[2])
        count = math.prod(shape)
        if count * kind.size > min(at.left, ATTRIBUTE):
            raise FileError(f"the attribute {name[:40]!r} is longer than what is there of it")
        return name, self._value(kind, shape, at.take(count * kind.size))

    def _value(self, kind: Type, shape: tuple[int, ...], data: bytes) -> Any:
        if kind.kind in ("string", "text"):
            size = max(kind.size, 1)
            self.keep(TEXT * (len(data) // size))
            items = [data[n : n + size] for n in range(0, len(data), size)]
            words = [self._text(one) if kind.kind == "text" else one.split(b"\0")[0] for one in items]
            found = [word.decode("utf-8", "replace") for word in words]
            return found if shape else next(iter(found), "")  # a type of no bytes has no items
        if kind.kind in ("int", "float"):
            return np.frombuffer(data, kind.numpy).reshape(shape)
        return None

    def _text(self, reference: bytes) -> bytes:
        at = self.cursor(reference)
        length = at.number(4)
        address, index = at.offset(), at.number(4)
        if not length or not address:
            return b""
        found = self._global_heap(address).get(index)
        if found is None or len(found) < length:
            raise FileError("it names a text that is not there")
        self.keep(length)
        return found[:length].rstrip(b"\0")

    def _global_heap(self, address: int) -> dict[int, bytes]:
        if address in self.heaps:
            return self.heaps[address]
        head = self.piece(address, 8 + self.length_size)
        head.signature(b"GCOL")
        head.take(4)
        size = head.length()
        if size > ATTRIBUTE:
            raise FileError(f"it has texts of {size} bytes; there may be {ATTRIBUTE}")
        block = self.piece(address, size)
        block.take(head.at)
        found: dict[int, bytes] = {}
        while block.left >= 8 + self.length_size:
            index = block.number(2)
            block.take(6)
            length = block.length()
            if index == 0:
                break
            found[index] = block.take(length)
            block.take(min(-length % 8, block.left))
        self.heaps[address] = found
        return found

    # Groups.

    def links(self, messages: list[Message]) -> dict[str, int | str]:
        """Return where each member of a group lies, or of what kind the link to it is."""
        found: dict[str, int | str] = {}
        for one in messages:
            at = self.cursor(one.data)
            if one.kind == 0x11:
                found |= self._symbols(self.address(at.offset()), self.address(at.offset()))
            elif one.kind == 6:
                found |= [self._link(one.data)]
            elif one.kind == 2:
                at.version("a group", 0)
                at.take(8 if at.number(1) & 1 else 0)
                heap, tree = at.offset(), at.offset()
                if heap is not None and tree is not None:
                    found |= [self._link(data) for data in self._dense(heap, tree, 5)]
        return found

    def _link(self, data: bytes) -> tuple[str, int | str]:
        at = self.cursor(data)
        at.version("a link", 1)
        flags = at.number(1)
        kind = at.number(1) if flags & 8 else 0
        at.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
        name = at.take(at.number(1 << (flags & 3))).decode("utf-8", "replace")
        return name, self.address(at.offset()) if kind == 0 else {1: "soft", 64: "external"}.get(kind, "odd")

    def _symbols(self, tree: int, heap: int) -> dict[str, int | str]:
        head = self.piece(heap, 8 + 2 * self.length_size + self.offset_size)
        head.signature(b"HEAP")
        head.take(4)
        size = head.length()
        head.length()
        names = self.piece(self.address(head.offset()), size).data
        found: dict[str, int | str] = {}
        for leaf in self.tree_1(tree, 0, self.length_size):
            at = self.to_end(leaf[1], 8)
            at.signature(b"SNOD")
            at.take(2)
            entry = 2 * self.offset_size + 24
            at = self.piece(leaf[1] + 8, at.number(2) * entry)
            while at.left >= entry:
                start, address, cache = at.number(self.offset_size), at.offset(), at.number(4)
                at.take(20)
                if start >= len(names):
                    raise FileError("it names a member whose name is not there")
                end = names.find(b"\0", start)
                if end < 0:
                    raise FileError("it names a member whose name has no end")
                self.keep(end - start)
                name = names[start:end].decode("utf-8", "replace")
                found[name] = "soft" if cache == 2 else self.address(address)
        return found

    def tree_1(self, address: int, kind: int, key: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
        """Yield the keys of a B-tree of version 1, and the places they stand before."""
        head = self.piece(address, 8 + 2 * self.offset_size)
        head.signature(b"TREE")
        found, level, entries = head.number(1), head.number(1), head.number(2)
        if found != kind or depth > DEPTH:
            raise FileError("a tree in it is of the wrong kind, or too deep")
        at = self.piece(address + 8 + 2 * self.offset_size, entries * (key + self.offset_size) + key)
        for _ in range(entries):
            one, child = at.take(key), self.address(at.offset())
            if level == 0:
                yield one, child
            else:
                yield from self.tree_1(child, kind, key, depth + 1)

    # Dense storage: a B-tree of version 2 over a fractal heap.

    def _dense(self, heap: int, tree: int, kind: int) -> list[bytes]:
        store = Heap(self, heap)
        skip = {5: 4, 8: 0}[kind]  # bytes of a record that stand before the heap's number
        return [store.get(record[skip : skip + store.id_size]) for record in self.tree_2(tree, kind)]

    def dense_attributes(self, data: bytes) -> list[bytes]:
        """Return the attribute messages that an attribute info message leads to."""
        at = self.cursor(data)
        at.version("an index of attributes", 0)
        at.take(2 if at.number(1) & 1 else 0)
        heap, tree = at.offset(), at.offset()
        return [] if heap is None or tree is None else self._dense(heap, tree, 8)

    def tree_2(self, address: int, kind: int) -> list[bytes]:
        """Return the records of a B-tree of version 2."""
        head = self.piece(address, 22 + self.offset_size + self.length_size)
        head.signature(b"BTHD")
        head.version("a tree", 0)
        found, node, record, depth = head.number(1), head.number(4), head.number(2), head.number(2)
        head.take(2)
        root, count = head.offset(), head.number(2)
        if found != kind or not 0 < record <= node - 10 or depth > DEPTH:
            raise FileError("a tree in it is of the wrong kind, or too deep")
        if root is None:
            return []
        most, sizes = (node - 10) // record, [0]  # records of a leaf; bytes of the count below a node of each level
        width, below = (most.bit_length() + 7) // 8, most
        for level in range(1, depth + 1):
            pointer = self.offset_size + width + sizes[level - 1]
            here = max((node - 10 - pointer) // (record + pointer), 0)
            below = (here + 1) * below + here
            sizes.append((below.bit_length() + 7) // 8)
        records: list[bytes] = []
        self._node_2(root, count, depth, node, record, (width, sizes), records)
        return records

    def _node_2(
        self, address: int, count: int, level: int, node: int, record: int, widths: Any, records: list[bytes]
    ) -> None:
        at = self.to_end(address, node)
        at.signature(b"BTIN" if level else b"BTLF")
        at.take(2)
        records += [at.take(record) for _ in range(count)]
        self.nodes += count
        if level:
            width, sizes = widths
            for _ in range(count + 1):
                child, held = self.address(at.offset()), at.number(width)
                at.take(sizes[level - 1])
                self._node_2(child, held, level - 1, node, record, widths, records)


class Group:
    """A group: attributes, and members by name.

    Attributes
    ----------
    path : str
        From the root, without a slash before it.
    """

    def __init__(self, file: File, address: int, path: str, messages: list[Message] | None = None) -> None:
        self.file, self.path = file, path
        self.messages = file.messages(address) if messages is None else messages

    @cached_property
    def links(self) -> dict[str, int | str]:
        """Where each member lies."""
        return self.file.links(self.messages)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes: str, list of str, array; None for one that is not read."""
        return attributes(self.file, self.messages)

    def __contains__(self, name: str) -> bool:
        return name in self.links

    def __getitem__(self, name: str) -> Group | Dataset:
        """Return a member; links that lead elsewhere are refused."""
        path = f"{self.path}/{name}" if self.path else name
        self.file.keep(len(path))
        address = self.links.get(name)
        if address is None:
            raise FileError(f"there is no {path[:200]!r} in it")
        if isinstance(address, str):
            raise FileError(f"{path[:200]!r} is a {address} link, which is not followed")
        messages = self.file.messages(address)
        kinds = {one.kind: one for one in reversed(messages)}
        if not {1, 3} <= set(kinds):
            return Group(self.file, address, path, messages)
        if kinds[1].flags & 2 or kinds[3].flags & 2:
            raise FileError(f"{path[:200]!r} has a type that lies elsewhere, which is not read")
        shape, kind = self.file.dataspace(kinds[1].data), self.file.datatype(kinds[3].data)
        return Dataset(self.file, path, shape, kind, messages)


def attributes(file: File, messages: list[Message]) -> dict[str, Any]:
    """Return the attributes among messages."""
    found: dict[str, Any] = {}
    for one in messages:
        if one.kind == 0xC and not one.flags & 2:
            found |= [file.attribute(one.data)]
        elif one.kind == 0x15:
            found |= [file.attribute(data) for data in file.dense_attributes(one.data)]
    return found
