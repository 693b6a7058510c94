"""The B-trees of an HDF5 file: of version 1, to chunks and members, and of version 2, to the objects in a heap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.cursor import DEPTH
from gatewise.interop.containers.hdf5.file import HDF5File


def read_tree_1(file: HDF5File, address: int, kind: int, key: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield the keys of a B-tree of version 1, and the addresses that follow them."""
    head = file.read_piece(address, 8 + 2 * file.offset_size)
    head.signature(b"TREE")
    found_kind, level, entries = head.number(1), head.number(1), head.number(2)
    if found_kind != kind or depth > DEPTH:
        raise FileError("a tree in it is of the wrong kind, or too deep")
    at = file.read_piece(address + 8 + 2 * file.offset_size, entries * (key + file.offset_size) + key)
    file.count(entries, 2)
    for _ in range(entries):
        entry_key, child = at.take(key), file.require_address(at.offset())
        if level == 0:
            yield entry_key, child
        else:
            yield from read_tree_1(file, child, kind, key, depth + 1)


def read_tree_2(file: HDF5File, address: int, kind: int) -> list[bytes]:
    """Return the records of a B-tree of version 2."""
    head = file.read_piece(address, 22 + file.offset_size + file.length_size)
    head.signature(b"BTHD")
    head.version("a tree", 0)
    found_kind, node, record, depth = head.number(1), head.number(4), head.number(2), head.number(2)
    head.take(2)
    root, count = head.offset(), head.number(2)
    if found_kind != kind or not 0 < record <= node - 10 or depth > DEPTH:
        raise FileError("a tree in it is of the wrong kind, or too deep")
    if root is None:
        return []
    most, sizes = (node - 10) // record, [0]  # records of a leaf; bytes of the count below a node of each level
    width, below = (most.bit_length() + 7) // 8, most
    for level in range(1, depth + 1):
        pointer = file.offset_size + width + sizes[level - 1]
        here = max((node - 10 - pointer) // (record + pointer), 0)
        below = (here + 1) * below + here
        sizes.append((below.bit_length() + 7) // 8)
    records: list[bytes] = []
    _read_node_2(file, root, count, depth, node, record, (width, sizes), records)
    return records


def _read_node_2(
    file: HDF5File, address: int, count: int, level: int, node: int, record: int, widths: Any, records: list[bytes]
) -> None:
    at = file.to_end(address, node)
    at.signature(b"BTIN" if level else b"BTLF")
    at.take(2)
    file.count(count, 1)
    records += [at.take(record) for _ in range(count)]
    if level:
        width, sizes = widths
        for _ in range(count + 1):
            child, held = file.require_address(at.offset()), at.number(width)
            at.take(sizes[level - 1])
            _read_node_2(file, child, held, level - 1, node, record, widths, records)
