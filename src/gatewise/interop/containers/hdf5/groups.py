"""The groups of an HDF5 file: their members by name, whichever way they are kept."""

from __future__ import annotations

from functools import cached_property
from typing import Any, BinaryIO

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.containers.hdf5.array import Dataset
from gatewise.interop.containers.hdf5.attributes import attributes
from gatewise.interop.containers.hdf5.cursor import Message
from gatewise.interop.containers.hdf5.datatypes import dataspace, datatype
from gatewise.interop.containers.hdf5.file import File
from gatewise.interop.containers.hdf5.headers import messages as messages_at
from gatewise.interop.containers.hdf5.heap import dense
from gatewise.interop.containers.hdf5.trees import tree_1


def root(source: BinaryIO, budget: Budget) -> Group:
    """Return the first group of a file, which must stay open; what is read is taken off a budget.

    Raises
    ------
    FileError
        Here and in all that follows: if the file is not what the format demands, or uses what is not read.
    """
    file = File(source, budget)
    return Group(file, file.root, "")


class Group:
    """A group: attributes, and members by name.

    Attributes
    ----------
    path : str
        From the root, without a slash before it.
    """

    def __init__(self, file: File, address: int, path: str, messages: list[Message] | None = None) -> None:
        self.file, self.path = file, path
        self.messages = messages_at(file, address) if messages is None else messages

    @cached_property
    def links(self) -> dict[str, int | str]:
        """The address of each member."""
        return _links(self.file, self.messages)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes: str, list of str, array; None for one that is not read."""
        return attributes(self.file, self.messages)

    def __contains__(self, name: str) -> bool:
        return name in self.links

    def __getitem__(self, name: str) -> Group | Dataset:
        """Return a member; links that lead elsewhere are refused."""
        path = f"{self.path}/{name}" if self.path else name
        self.file.count(1, 20)
        self.file.keep(len(path))
        address = self.links.get(name)
        if address is None:
            raise FileError(f"there is no {path[:200]!r} in it")
        if isinstance(address, str):
            raise FileError(f"{path[:200]!r} is a {address} link, which is not followed")
        messages = messages_at(self.file, address)
        kinds = {one.kind: one for one in reversed(messages)}
        if not {1, 3} <= set(kinds):
            return Group(self.file, address, path, messages)
        if kinds[1].flags & 2 or kinds[3].flags & 2:
            raise FileError(f"{path[:200]!r} has a type that is stored elsewhere, which is not supported")
        shape, kind = dataspace(self.file, kinds[1].data), datatype(self.file, kinds[3].data)
        return Dataset(self.file, path, shape, kind, messages)


def _links(file: File, messages: list[Message]) -> dict[str, int | str]:
    """Return the address of each member of a group, or the kind of the link to it."""
    found: dict[str, int | str] = {}
    for one in messages:
        at = file.cursor(one.data)
        if one.kind == 0x11:
            found |= _symbols(file, file.address(at.offset()), file.address(at.offset()))
        elif one.kind == 6:
            found |= [_link(file, one.data)]
        elif one.kind == 2:
            at.version("a group", 0)
            at.take(8 if at.number(1) & 1 else 0)
            heap, tree = at.offset(), at.offset()
            if heap is not None and tree is not None:
                found |= [_link(file, data) for data in dense(file, heap, tree, 5)]
    return found


def _link(file: File, data: bytes) -> tuple[str, int | str]:
    file.count(1, 4)
    at = file.cursor(data)
    at.version("a link", 1)
    flags = at.number(1)
    kind = at.number(1) if flags & 8 else 0
    at.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = at.take(at.number(1 << (flags & 3))).decode("utf-8", "replace")
    return name, file.address(at.offset()) if kind == 0 else {1: "soft", 64: "external"}.get(kind, "odd")


def _symbols(file: File, tree: int, heap: int) -> dict[str, int | str]:
    head = file.piece(heap, 8 + 2 * file.length_size + file.offset_size)
    head.signature(b"HEAP")
    head.take(4)
    size = head.length()
    head.length()
    names = file.piece(file.address(head.offset()), size).data
    found: dict[str, int | str] = {}
    for leaf in tree_1(file, tree, 0, file.length_size):
        at = file.to_end(leaf[1], 8)
        at.signature(b"SNOD")
        at.take(2)
        entry = 2 * file.offset_size + 24
        at = file.piece(leaf[1] + 8, at.number(2) * entry)
        file.count(at.left // entry, 4)
        while at.left >= entry:
            start, address, cache = at.number(file.offset_size), at.offset(), at.number(4)
            at.take(20)
            if start >= len(names):
                raise FileError("the name of a member is missing")
            end = names.find(b"\0", start)
            if end < 0:
                raise FileError("the name of a member has no end")
            file.keep(end - start)
            name = names[start:end].decode("utf-8", "replace")
            found[name] = "soft" if cache == 2 else file.address(address)
    return found
