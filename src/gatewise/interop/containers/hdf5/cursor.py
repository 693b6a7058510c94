"""Pieces of an HDF5 file: a cursor that never reads past the end of one, types, and messages of headers."""

from __future__ import annotations

from dataclasses import dataclass

from gatewise.errors import FileError

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
        """Return the next bytes."""
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
        """Return the version of a structure; unknown versions are refused."""
        if (version := self.number(1)) not in allowed:
            raise FileError(f"it has {structure} of version {version}; this reads {', '.join(map(str, allowed))}")
        return version

    @property
    def left(self) -> int:
        """The number of bytes left."""
        return len(self.data) - self.at
