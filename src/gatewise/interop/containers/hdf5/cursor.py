"""Pieces of an HDF5 file: a cursor that never reads past the end of one, and what a header says in its messages."""

from __future__ import annotations

from dataclasses import dataclass

from gatewise.errors import FileError

DEPTH = 64  # of trees within the file


@dataclass(frozen=True)
class Type:
    """A datatype: `kind` is float, bfloat16, int, string, text (of any length) or the name of one that is not read."""

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
        """Return the next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise FileError("a part of its structure ends too early")
        found = self.data[self.at : self.at + count]
        self.at += count
        return found

    def number(self, count: int) -> int:
        """Return an unsigned number of that many bytes."""
        return int.from_bytes(self.take(count), "little")

    def offset(self) -> int | None:
        """Return an address, or None for the one that is undefined."""
        value = self.number(self.offset_size)
        return None if value == 2 ** (8 * self.offset_size) - 1 else value

    def length(self) -> int:
        """Return a length."""
        return self.number(self.length_size)

    def signature(self, expected: bytes) -> None:
        """Go past four letters that must be there."""
        if (found := self.take(4)) != expected:
            raise FileError(f"a part of its structure begins with {found!r}; it must begin with {expected!r}")

    def version(self, what: str, *allowed: int) -> int:
        """Return the version of a structure; one that is not known is refused."""
        if (found := self.number(1)) not in allowed:
            raise FileError(f"it has {what} of version {found}; this reads {', '.join(map(str, allowed))}")
        return found

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.at
