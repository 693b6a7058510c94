"""The heaps in which HDF5 stores many names or attributes: pieces of data, addressed by numbers."""

from __future__ import annotations

from gatewise.errors import FileError
from gatewise.interop.containers.hdf5.cursor import DEPTH, Cursor
from gatewise.interop.containers.hdf5.file import HDF5File
from gatewise.interop.containers.hdf5.trees import read_tree_2


class Heap:
    """A fractal heap: pieces of data, addressed by numbers that encode their positions."""

    def __init__(self, file: HDF5File, address: int) -> None:
        self.file = file
        at = file.read_piece(address, 22 + 12 * file.length_size + 3 * file.offset_size)
        at.signature(b"FRHP")
        at.version("a heap", 0)
        self.id_size = at.number(2)
        if at.number(2):
            raise FileError("it keeps its names or attributes compressed, which is not supported")
        at.number(1)
        most = at.number(4)
        at.length()
        self.huge = at.offset()
        at.length()
        at.offset()
        at.take(8 * file.length_size)
        self.width, self.start, largest, bits = at.number(2), at.length(), at.length(), at.number(2)
        at.number(2)
        self.root, self.rows = at.offset(), at.number(2)
        if not (self.start > 0 and largest >= self.start and self.width > 0 and bits <= 64):
            raise FileError("a heap in it has impossible sizes")
        self.offset_size = (bits + 7) // 8
        self.length_size = min((largest.bit_length() - 1 + 7) // 8, (most.bit_length() - 1) // 8 + 1)
        self.direct_rows = largest.bit_length() - self.start.bit_length() + 2

    def get(self, number: bytes) -> bytes:
        """Return the data of a number."""
        at = self.file.cursor(number)
        kind = at.number(1) >> 4 & 3
        if kind == 2:
            return at.take((number[0] & 15) + 1)
        if kind == 1:
            return self._huge(at)
        start, length = at.number(self.offset_size), at.number(self.length_size)
        address, first, size = self._find_block(start)
        if start + length > first + size:
            raise FileError("a heap in it holds less than it says")
        return self.file.read_piece(address + start - first, length).data

    def _huge(self, at: Cursor) -> bytes:
        key = at.number(min(self.file.length_size, at.left))
        for record in read_tree_2(self.file, self.file.require_address(self.huge), 1):
            entry = self.file.cursor(record)
            address, length, number = self.file.require_address(entry.offset()), entry.length(), entry.length()
            if number == key:
                return self.file.read_piece(address, length).data
        raise FileError("a heap in it holds less than it says")

    def _find_block(self, place: int) -> tuple[int, int, int]:
        """Return the address of the block that holds a position of the heap, its start in the heap, and its size."""
        root = self.file.require_address(self.root)
        if not self.rows:
            return root, 0, self.start
        address, first, rows = root, 0, self.rows
        for _ in range(DEPTH):
            row, column, begin, size = self._locate(place - first)
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

    def _locate(self, place: int) -> tuple[int, int, int, int]:
        """Return the row and column of the block that holds a place, its beginning, and its size."""
        row_size = self.start * self.width
        row = max((place // row_size).bit_length(), 0)
        size = self.start << max(row - 1, 0)
        begin = row_size << (row - 1) if row else 0
        column = (place - begin) // size
        return row, column, begin + column * size, size


def heap_objects(file: HDF5File, heap: int, tree: int, kind: int) -> list[bytes]:
    """Return the objects in a heap in the order of their tree: links for kind 5, attributes for kind 8."""
    store = Heap(file, heap)
    skip = {5: 4, 8: 0}[kind]  # bytes of a record before the heap's number
    return [store.get(record[skip : skip + store.id_size]) for record in read_tree_2(file, tree, kind)]
