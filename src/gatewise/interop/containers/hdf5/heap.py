"""The B-trees of an HDF5 file, and the heaps in which it stores many names or attributes."""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.file import DEPTH, Cursor, HDF5File


def read_tree_1(file: HDF5File, address: int, kind: int, key_size: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield the keys of an HDF5 B-tree of version 1, and the addresses of its leaves, which follow them."""
    head = file.read_piece(address, 8 + 2 * file.offset_size)
    head.signature(b"TREE")
    found_kind, level, entries = head.number(1), head.number(1), head.number(2)
    if found_kind != kind or depth > DEPTH:
        raise FileError("a tree in it is of the wrong kind, or too deep")
    cursor = file.read_piece(address + 8 + 2 * file.offset_size, entries * (key_size + file.offset_size) + key_size)
    file.count(entries, 2)
    for _ in range(entries):
        entry_key, child = cursor.take(key_size), file.require_address(cursor.offset())
        if level == 0:
            yield entry_key, child
        else:
            yield from read_tree_1(file, child, kind, key_size, depth + 1)


def read_tree_2(file: HDF5File, address: int, kind: int) -> Iterator[bytes]:
    """Yield the records of an HDF5 B-tree of version 2."""
    head = file.read_piece(address, 22 + file.offset_size + file.length_size)
    head.signature(b"BTHD")
    head.version("a tree", 0)
    found_kind, node_size, record_size, depth = head.number(1), head.number(4), head.number(2), head.number(2)
    head.take(2)
    root, count = head.offset(), head.number(2)
    if found_kind != kind or not 0 < record_size <= node_size - 10 or depth > DEPTH:
        raise FileError("a tree in it is of the wrong kind, or too deep")
    if root is None:
        return
    leaf_records, sizes = (node_size - 10) // record_size, [0]  # bytes of the count below a node of each level
    width, subtree_records = (leaf_records.bit_length() + 7) // 8, leaf_records
    for level in range(1, depth + 1):
        pointer = file.offset_size + width + sizes[level - 1]
        node_records = max((node_size - 10 - pointer) // (record_size + pointer), 0)
        subtree_records = (node_records + 1) * subtree_records + node_records
        sizes.append((subtree_records.bit_length() + 7) // 8)

    def read_node(address: int, count: int, level: int) -> Iterator[bytes]:
        """Yield the records of a node of an HDF5 B-tree of version 2, then those of all nodes below."""
        cursor = file.to_end(address, node_size)
        cursor.signature(b"BTIN" if level else b"BTLF")
        cursor.take(2)
        file.count(count, 1)
        yield from [cursor.take(record_size) for _ in range(count)]
        for _ in range(count + 1 if level else 0):
            child, child_count = file.require_address(cursor.offset()), cursor.number(width)
            cursor.take(sizes[level - 1])
            yield from read_node(child, child_count, level - 1)

    yield from read_node(root, count, depth)


class Heap:
    """A fractal heap: pieces of data, addressed by numbers that encode their positions."""

    def __init__(self, file: HDF5File, address: int) -> None:
        """Read the header of an HDF5 fractal heap: the sizes of its blocks and of its objects' numbers."""
        self.file = file
        cursor = file.read_piece(address, 22 + 12 * file.length_size + 3 * file.offset_size)
        cursor.signature(b"FRHP")
        cursor.version("a heap", 0)
        self.id_size = cursor.number(2)
        if cursor.number(2):
            raise FileError("it keeps its names or attributes compressed, which is not supported")
        cursor.number(1)
        most = cursor.number(4)
        cursor.length()
        self.huge = cursor.offset()
        cursor.length()
        cursor.offset()
        cursor.take(8 * file.length_size)
        self.width, self.start, largest, bits = cursor.number(2), cursor.length(), cursor.length(), cursor.number(2)
        cursor.number(2)
        self.root, self.rows = cursor.offset(), cursor.number(2)
        if not (self.start > 0 and largest >= self.start and self.width > 0 and bits <= 64):
            raise FileError("a heap in it has impossible sizes")
        self.offset_size = (bits + 7) // 8
        self.length_size = min((largest.bit_length() - 1 + 7) // 8, (most.bit_length() - 1) // 8 + 1)
        self.direct_rows = largest.bit_length() - self.start.bit_length() + 2

    def get(self, number: bytes) -> bytes:
        """Return the object of an HDF5 heap with this number, which encodes its position."""
        cursor = self.file.cursor(number)
        kind = cursor.number(1) >> 4 & 3
        if kind == 2:
            return cursor.take((number[0] & 15) + 1)
        if kind == 1:
            return self._read_huge_object(cursor)
        start, length = cursor.number(self.offset_size), cursor.number(self.length_size)
        address, first, size = self._find_block(start)
        if start + length > first + size:
            raise FileError("a heap in it holds less than it says")
        return self.file.read_piece(address + start - first, length).data

    def _read_huge_object(self, cursor: Cursor) -> bytes:
        """Return an object that is stored outside an HDF5 heap's blocks, by its key in a B-tree."""
        key = cursor.number(min(self.file.length_size, cursor.left))
        for record in read_tree_2(self.file, self.file.require_address(self.huge), 1):
            entry = self.file.cursor(record)
            address, length, number = self.file.require_address(entry.offset()), entry.length(), entry.length()
            if number == key:
                return self.file.read_piece(address, length).data
        raise FileError("a heap in it holds less than it says")

    def _find_block(self, position: int) -> tuple[int, int, int]:
        """Return the address of the HDF5 heap's block that holds a position, its start in the heap, and its size."""
        root = self.file.require_address(self.root)
        if not self.rows:
            return root, 0, self.start
        address, first, rows = root, 0, self.rows
        for _ in range(DEPTH):
            row, column, begin, size = self._locate_block(position - first)
            if row >= rows:
                break
            entry = row * self.width + column
            head = 5 + self.file.offset_size + self.offset_size
            child = self.file.read_piece(address + head + entry * self.file.offset_size, self.file.offset_size).offset()
            address, first = self.file.require_address(child), first + begin
            if row < self.direct_rows:
                return address, first, size
            rows = max(size.bit_length() - (self.start * self.width).bit_length() + 1, 0)
        raise FileError("a heap in it holds less than it says")

    def _locate_block(self, position: int) -> tuple[int, int, int, int]:
        """Return the row and column of the block that holds a position of an HDF5 heap, its beginning, and its size."""
        row_size = self.start * self.width
        row = max((position // row_size).bit_length(), 0)
        size = self.start << max(row - 1, 0)
        begin = row_size << (row - 1) if row else 0
        column = (position - begin) // size
        return row, column, begin + column * size, size


def heap_objects(file: HDF5File, heap: int, tree: int, kind: int) -> list[bytes]:
    """Return the objects of an HDF5 heap in the order of their tree: links for kind 5, attributes for kind 8."""
    store = Heap(file, heap)
    skip = {5: 4, 8: 0}[kind]  # bytes of a record before the heap's number
    return [store.get(record[skip : skip + store.id_size]) for record in read_tree_2(file, tree, kind)]
