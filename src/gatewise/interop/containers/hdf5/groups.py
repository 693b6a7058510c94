"""The groups of an HDF5 file: their members by name, in every kind of storage."""

from __future__ import annotations

from functools import cached_property
from typing import Any, BinaryIO

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers.hdf5.array import Dataset
from gatewise.interop.containers.hdf5.attributes import attributes
from gatewise.interop.containers.hdf5.file import HDF5File, Message
from gatewise.interop.containers.hdf5.headers import read_dataspace, read_datatype, read_messages
from gatewise.interop.containers.hdf5.heap import heap_objects, read_tree_1


def open_root(source: BinaryIO, budget: Budget) -> Group:
    """Return the first group of a file, which must stay open; reading is taken off a budget."""
    file = HDF5File(source, budget)
    return Group(file, file.root, "")


class Group:
    """A group: attributes, and members by name. Its `path` is from the root, without a slash before it."""

    def __init__(self, file: HDF5File, address: int, path: str, messages: list[Message] | None = None) -> None:
        self.file, self.path = file, path
        self.messages = read_messages(file, address) if messages is None else messages

    @cached_property
    def links(self) -> dict[str, int | str]:
        """The address of each member."""
        return _read_links(self.file, self.messages)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes: str, list of str, array; None for one that is not read."""
        return attributes(self.file, self.messages)

    def __contains__(self, name: str) -> bool:
        return name in self.links

    def __getitem__(self, name: str) -> Group | Dataset:
        """Return a member of an HDF5 group, a group or a dataset; links that lead elsewhere are refused."""
        path = f"{self.path}/{name}" if self.path else name
        self.file.count(1, 20)
        self.file.keep(len(path))
        address = self.links.get(name)
        if address is None:
            raise FileError(f"there is no {path[:200]!r} in it")
        if isinstance(address, str):
            raise FileError(f"{path[:200]!r} is a {address} link, which is not followed")
        messages = read_messages(self.file, address)
        messages_by_kind = {message.kind: message for message in reversed(messages)}
        if not {1, 3} <= set(messages_by_kind):
            return Group(self.file, address, path, messages)
        if messages_by_kind[1].flags & 2 or messages_by_kind[3].flags & 2:
            raise FileError(f"{path[:200]!r} has a type that is stored elsewhere, which is not supported")
        shape, kind = (
            read_dataspace(self.file, messages_by_kind[1].data),
            read_datatype(self.file, messages_by_kind[3].data),
        )
        return Dataset(self.file, path, shape, kind, messages)


def _read_links(file: HDF5File, messages: list[Message]) -> dict[str, int | str]:
    """Return the address of each member of an HDF5 group, or the kind of the link to it."""
    members: dict[str, int | str] = {}
    for message in messages:
        cursor = file.cursor(message.data)
        if message.kind == 0x11:
            tree, heap = cursor.offset(), cursor.offset()
            members |= _read_symbol_table(file, file.require_address(tree), file.require_address(heap))
        elif message.kind == 6:
            members |= [_read_link(file, message.data)]
        elif message.kind == 2:
            cursor.version("a group", 0)
            cursor.take(8 if cursor.number(1) & 1 else 0)
            heap, tree = cursor.offset(), cursor.offset()
            if heap is not None and tree is not None:
                members |= [_read_link(file, data) for data in heap_objects(file, heap, tree, 5)]
    return members


def _read_link(file: HDF5File, data: bytes) -> tuple[str, int | str]:
    """Return the name of a member of an HDF5 group, from its link message, and its address or the kind of link."""
    file.count(1, 4)
    cursor = file.cursor(data)
    cursor.version("a link", 1)
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.take(cursor.number(1 << (flags & 3))).decode("utf-8", "replace")
    return name, file.require_address(cursor.offset()) if kind == 0 else {1: "soft", 64: "external"}.get(kind, "odd")


def _read_symbol_table(file: HDF5File, tree: int, heap: int) -> dict[str, int | str]:
    """Return the addresses of an HDF5 group's members by name, as files before version 1.8 list them."""
    head = file.read_piece(heap, 8 + 2 * file.length_size + file.offset_size)
    head.signature(b"HEAP")
    head.take(4)
    size = head.length()
    head.length()
    names = file.read_piece(file.require_address(head.offset()), size).data
    members: dict[str, int | str] = {}
    for leaf in read_tree_1(file, tree, 0, file.length_size):
        cursor = file.to_end(leaf[1], 8)
        cursor.signature(b"SNOD")
        cursor.take(2)
        entry = 2 * file.offset_size + 24
        cursor = file.read_piece(leaf[1] + 8, cursor.number(2) * entry)
        file.count(cursor.left // entry, 4)
        while cursor.left >= entry:
            start, address, cache = cursor.number(file.offset_size), cursor.offset(), cursor.number(4)
            cursor.take(20)
            if start >= len(names):
                raise FileError("the name of a member is missing")
            end = names.find(b"\0", start)
            if end < 0:
                raise FileError("the name of a member has no end")
            file.keep(end - start)
            name = names[start:end].decode("utf-8", "replace")
            members[name] = "soft" if cache == 2 else file.require_address(address)
    return members
