"""Untrusted zip archives: opened and searched once, and what is unpacked of them is taken off a budget."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from gatewise.errors import FileError, join_names, reason, shown
from gatewise.files.budget import Budget

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
    struct.error,
    IndexError,
)
LOCAL = 30  # bytes of the header before a member's name
PIECE = 2**20  # bytes that are unpacked, or summed, at once


class Archive:
    """The members of a zip archive by their names; its list of them is read once.

    Within a ``with`` block the file stays open; after it, each member that is read opens it anew, and nothing is
    searched for.

    Parameters
    ----------
    path : path
    budget : Budget
        What is read is taken off it, each time.

    Attributes
    ----------
    names : tuple of str
        In the order of the archive, each once.
    twice : frozenset of str
        The names that several members have.

    Raises
    ------
    FileError
        If the archive is incomplete, or has too many members.
    """

    def __init__(self, path: Path, budget: Budget) -> None:
        self.path, self.budget = path, budget
        self._file: BinaryIO | None = None
        self._intact: set[str] = set()
        self._unpacked: dict[str, bytes] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except ZIP_ERRORS as problem:
            raise FileError(f"it is not an intact zip archive ({reason(problem)})") from None
        budget.count(len(members), "members")
        self._members = {one.filename: one for one in members}
        self.names = tuple(self._members)
        counts = Counter(one.filename for one in members) if len(self.names) < len(members) else {}
        self.twice = frozenset(name for name, count in counts.items() if count > 1)

    def __enter__(self) -> Archive:
        self._file = open(self.path, "rb")
        return self

    def __exit__(self, *problem: object) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return how many bytes a member says that it has.

        Raises
        ------
        FileError
            If there is no member of that name, or there are several.
        """
        return self._member(name).file_size

    def member(self, name: str, most: int | None = None) -> bytes:
        """Return a member, or at most so many bytes of its beginning; its check sum is tested at its end.

        Raises
        ------
        FileError
            If there is no member of that name, or there are several; if it is damaged, encrypted, or packed in a way
            that is not read; if it is larger than the budget allows.
        CapacityError
            If it does not fit into memory.
        """
        info = self._member(name)
        size = info.file_size if most is None else min(most, info.file_size)
        self.budget.hold(size, 1, f"its member {shown(name)!r}")
        try:
            with self._opened(info) as file:
                if info.compress_type == zipfile.ZIP_STORED:
                    data = file.read(size)
                else:
                    unpacked = io.BytesIO()
                    for piece in _inflated(file, info.compress_size, size):
                        unpacked.write(piece)
                    data = unpacked.getvalue()
        except FileError:
            raise
        except (OSError, ValueError, zlib.error) as problem:
            raise FileError(f"its member {shown(name)!r} is damaged ({reason(problem)})") from None
        if len(data) != size or (size == info.file_size and zlib.crc32(data) != info.CRC):
            raise _damaged(info)
        return data

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """Give a member as a file to seek in: its bytes where they are stored as they are, else what they unpack to.

        They are summed up, or unpacked, the first time only.

        Raises
        ------
        FileError, CapacityError
            As for `member`.
        """
        info = self._member(name)
        if info.compress_type != zipfile.ZIP_STORED:
            if name not in self._unpacked:
                self._unpacked[name] = self.member(name)
            yield io.BytesIO(self._unpacked[name])
            return
        with self._opened(info) as file:
            start, total = file.tell(), 0
            for at in range(0, 0 if name in self._intact else info.file_size, PIECE):
                total = zlib.crc32(file.read(min(PIECE, info.file_size - at)), total)
            if name not in self._intact and (info.file_size != info.compress_size or total != info.CRC):
                raise _damaged(info)
            self._intact.add(name)
            yield cast("BinaryIO", _Window(file, start, info.file_size))

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            there = join_names((repr(shown(member, 40)) for member in self.names), most=9)
            raise FileError(f"its member {shown(name)!r} is missing; it has {there or 'none'}")
        if name in self.twice:
            raise FileError(f"it has several members {shown(name)!r}, and must have one")
        return self._members[name]

    @contextmanager
    def _opened(self, info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
        """Give the open file at the first byte of a member."""
        name = shown(info.filename)
        if info.flag_bits & 1:
            raise FileError(f"its member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(
                f"its member {name!r} is packed by method {info.compress_type}; this reads what is stored or deflated"
            )
        with nullcontext(self._file) if self._file else open(self.path, "rb") as file:
            try:
                file.seek(info.header_offset)
            except (OSError, ValueError):  # before the beginning
                raise _damaged(info) from None
            head = file.read(LOCAL)
            if len(head) < LOCAL or head[:4] != b"PK\x03\x04":
                raise _damaged(info)
            file.seek(sum(struct.unpack_from("<HH", head, LOCAL - 4)), 1)
            yield file


def _damaged(info: zipfile.ZipInfo) -> FileError:
    return FileError(f"its member {shown(info.filename)!r} is damaged: it should have {info.file_size} bytes")


class _Window:
    """Some bytes of an open file, as a file that can be read and sought in."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.length, self.at = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + (0, self.at, self.length)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.length - self.at)
        self.file.seek(self.start + self.at)
        found = self.file.read(left if size < 0 else min(size, left))
        self.at += len(found)
        return found


def _inflated(file: BinaryIO, packed: int, size: int) -> Iterator[bytes]:
    """Yield what deflated bytes unpack to, at most `size` bytes of it."""
    machine = zlib.decompressobj(-15)
    while packed or machine.unconsumed_tail:
        data = machine.unconsumed_tail
        if not data:
            data = file.read(min(PIECE, packed))
            packed -= len(data)
            if not data:
                return
        found = machine.decompress(data, min(PIECE, size) or 1)
        size -= len(found)
        yield found
        if size <= 0 or machine.eof:
            return
