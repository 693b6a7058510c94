"""The bytes of an HDF5 file: positions are checked against its length, and reading is taken off a budget."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import BinaryIO

from gatewise.errors import FileError
from gatewise.files.budget import Budget

DEPTH = 64  # of trees within the file


@dataclass(frozen=True)
class Type:
    """A datatype: `kind` is float, bfloat16, int, string, text (of any length) or the name of an unread type."""

    kind: str
    size: int
    numpy: str = ""


@dataclass(frozen=True, eq=False)
class Message:
    """One message of an object header."""

    kind: int
    flags: int
    data: bytes


class Cursor:
    """Reads numbers of a file's own widths from a piece of it, and never past its end."""

    def __init__(self, data: bytes, offset: int = 8, length: int = 8) -> None:
        self.data, self.at, self.offset_size, self.length_size = data, 0, offset, length

    def take(self, count: int) -> bytes:
        """Return the next bytes of a piece of an HDF5 file, and move behind them."""
        if count < 0 or self.at + count > len(self.data):
            raise FileError("a part of its structure ends too early")
        data = self.data[self.at : self.at + count]
        self.at += count
        return data

    def number(self, count: int) -> int:
        """Return an unsigned number of that many bytes."""
        return int.from_bytes(self.take(count), "little")

    def offset(self) -> int | None:
        """Return an address, or None if it is undefined."""
        value = self.number(self.offset_size)
        return None if value == 2 ** (8 * self.offset_size) - 1 else value

    def length(self) -> int:
        """Return a length."""
        return self.number(self.length_size)

    def signature(self, expected: bytes) -> None:
        """Read four letters that must be the expected ones."""
        if (letters := self.take(4)) != expected:
            raise FileError(f"a part of its structure begins with {letters!r}; it must begin with {expected!r}")

    def version(self, structure: str, *allowed: int) -> int:
        """Return the version byte of a structure of an HDF5 file; unknown versions are refused."""
        if (version := self.number(1)) not in allowed:
            raise FileError(f"it has {structure} of version {version}; this reads {', '.join(map(str, allowed))}")
        return version

    @property
    def left(self) -> int:
        """The number of bytes left."""
        return len(self.data) - self.at


MAGIC = b"\x89HDF\r\n\x1a\n"
STRUCTURE = "the structure of its HDF5"


class HDF5File:
    """An HDF5 file, as pieces of bytes; a part that breaks the format, or is not supported, is refused.

    Everything read is taken off the budget: a file may lead in circles, or to one piece many times. `source` must stay
    open. `root` is the address of the first group; `heaps` has the texts of the global heaps read so far.
    """

    def __init__(self, source: BinaryIO, budget: Budget) -> None:
        """Begin to read an HDF5 file: find its size, and its root group in the superblock."""
        self.source, self.budget = source, budget
        self.size = source.seek(0, 2)
        self.base, self.offset_size, self.length_size = 0, 8, 8
        self.heaps: dict[int, dict[int, bytes]] = {}
        self.root = self._read_superblock()

    def reopen(self, source: BinaryIO, budget: Budget) -> HDF5File:
        """Return the same HDF5 file, opened anew, with another budget."""
        file = copy.copy(self)
        file.source, file.budget = source, budget
        return file

    def _read_superblock(self) -> int:
        """Read the superblock at the beginning of an HDF5 file, and return the address of the root group."""
        head = Cursor(self.raw(0, min(self.size, 128)))
        if head.take(8) != MAGIC:
            raise FileError("it does not begin with HDF5's signature")
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
        return self.require_address(head.offset())

    def require_address(self, value: int | None) -> int:
        """Return an address in an HDF5 file; an undefined one is refused."""
        if value is None:
            raise FileError("a part of its structure is missing")
        return value

    def raw(self, start: int, count: int) -> bytes:
        """Return bytes of an HDF5 file, counted from its beginning."""
        if start < 0 or count < 0 or start + count > self.size:
            raise FileError(f"it refers to a position beyond its end of {self.size} bytes")
        self.source.seek(start)
        data = self.source.read(count)
        if len(data) != count:
            raise FileError("it ends too early")
        return data

    def read_piece(self, address: int, count: int) -> Cursor:
        """Return a piece of an HDF5 file's structure as a cursor, and count it against the budget."""
        self.count(1, 6)
        self.keep(count)
        return self.cursor(self.raw(self.base + address, count))

    def to_end(self, address: int, most: int) -> Cursor:
        """Return a piece of at most so many bytes, fewer at the end of the file."""
        return self.read_piece(address, max(0, min(most, self.size - self.base - address)))

    def count(self, pieces: int, steps: int) -> None:
        """Count pieces of structure, and about `steps` microseconds for each."""
        self.budget.count(pieces, "pieces of structure")
        self.budget.work(pieces * steps, STRUCTURE)

    def keep(self, count: int) -> None:
        """Count bytes of structure held in memory: pieces may overlap, or refer to one string many times."""
        self.budget.hold(count, 1, STRUCTURE)

    def cursor(self, data: bytes) -> Cursor:
        """Return a cursor over bytes that have been read."""
        return Cursor(data, self.offset_size, self.length_size)
