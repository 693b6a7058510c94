"""Untrusted zip archives: searched once, and unpacking is taken off a budget."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from gatewise.errors import FileError, join_names, reason, shown
from gatewise.files.archives import foreign_bytes
from gatewise.files.budget import Budget

# What zipfile raises of a list of members that makes no sense; nothing is unpacked for it.
LIST_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, struct.error, IndexError)
LOCAL = 30  # bytes of the header before a member's name
SIGNATURE = b"PK\x03\x04"
PIECE = 2**20  # bytes that are unpacked, or summed, at once


def first_member(head: bytes) -> str:
    """Return the name of an archive's first member, by the first bytes of the file; empty if it is no archive."""
    name = head[LOCAL : LOCAL + int.from_bytes(head[26:28], "little")] if head.startswith(SIGNATURE) else b""
    return name.decode("latin-1")


class ZipMembers:
    """The members of a zip archive by their names; its list of them is read once, each reading is taken off a budget.

    Within a ``with`` block the file stays open; after it, each reading of a member opens the file anew. `names` are in
    the order of the archive, each once; `twice` are those that several members have. An archive in memory stays open.
    """

    def __init__(self, source: Path | BinaryIO, budget: Budget) -> None:
        """Read the directory of a zip archive: its members by name, and the names that several have."""
        self.source, self.budget = source, budget
        self._file: BinaryIO | None = None if isinstance(source, Path) else source
        self._intact: set[str] = set()
        self._unpacked: dict[str, bytes] = {}
        try:
            with zipfile.ZipFile(source) as archive:
                members = archive.infolist()
                problem_of_file = foreign_bytes(archive)
        except LIST_ERRORS as problem:
            raise FileError(f"it is not an intact zip archive ({reason(problem)})") from None
        if problem_of_file:
            raise FileError(problem_of_file)
        budget.count(len(members), "members")
        self._members = {member.filename: member for member in members}
        self.names = tuple(self._members)
        counts = Counter(member.filename for member in members) if len(self.names) < len(members) else {}
        self.twice = frozenset(name for name, count in counts.items() if count > 1)

    def __enter__(self) -> ZipMembers:
        if isinstance(self.source, Path):
            self._file = open(self.source, "rb")
        return self

    def __exit__(self, *problem: object) -> None:
        if isinstance(self.source, Path) and self._file is not None:
            self._file.close()
            self._file = None

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the size of a member in bytes, by its header."""
        return self._member_info(name).file_size

    def member(self, name: str, most: int | None = None) -> bytes:
        """Return a member of a zip archive, or so many bytes of its beginning; its check sum is tested at its end.

        One that is missing, repeated, damaged, encrypted, or neither stored nor deflated is refused.
        """
        info = self._member_info(name)
        size = info.file_size if most is None else min(most, info.file_size)
        self.budget.hold(size, 1, f"its member {shown(name)!r}")
        try:
            with self._open_member(info) as file:
                if info.compress_type == zipfile.ZIP_STORED:
                    data = file.read(size)
                else:
                    unpacked = io.BytesIO()
                    for piece in _inflate_pieces(file, info.compress_size, size):
                        unpacked.write(piece)
                    data = unpacked.getvalue()
        except FileError:
            raise
        except (OSError, ValueError, zlib.error) as problem:
            raise FileError(f"its member {shown(name)!r} is damaged ({reason(problem)})") from None
        if len(data) != size or (size == info.file_size and zlib.crc32(data) != info.CRC):
            raise _damage_error(info)
        return data

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """Open a member of a zip archive as a file to seek in. It is checked, or unpacked, the first time only."""
        info = self._member_info(name)
        if info.compress_type != zipfile.ZIP_STORED:
            if name not in self._unpacked:
                self._unpacked[name] = self.member(name)
            yield io.BytesIO(self._unpacked[name])
            return
        with self._open_member(info) as file:
            start, total = file.tell(), 0
            for at in range(0, 0 if name in self._intact else info.file_size, PIECE):
                total = zlib.crc32(file.read(min(PIECE, info.file_size - at)), total)
            if name not in self._intact and (info.file_size != info.compress_size or total != info.CRC):
                raise _damage_error(info)
            self._intact.add(name)
            yield cast("BinaryIO", _FileSlice(file, start, info.file_size))

    def _member_info(self, name: str) -> zipfile.ZipInfo:
        """Return the directory entry of a member of a zip archive; a missing or repeated one is refused."""
        if name not in self._members:
            there = join_names((repr(shown(member, 40)) for member in self.names), most=9)
            raise FileError(f"its member {shown(name)!r} is missing; it has {there or 'none'}")
        if name in self.twice:
            raise FileError(f"it has several members {shown(name)!r}, and must have one")
        return self._members[name]

    @contextmanager
    def _open_member(self, info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
        """Open a zip archive at the first byte of a member's data."""
        name = shown(info.filename)
        if info.flag_bits & 1:
            raise FileError(f"its member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(
                f"its member {name!r} is packed by method {info.compress_type}; this reads what is stored or deflated"
            )
        with nullcontext(self._file) if self._file else open(cast("Path", self.source), "rb") as file:
            try:
                file.seek(info.header_offset)
            except (OSError, ValueError):  # before the beginning
                raise _damage_error(info) from None
            head = file.read(LOCAL)
            if len(head) < LOCAL or head[:4] != SIGNATURE:
                raise _damage_error(info)
            file.seek(sum(struct.unpack_from("<HH", head, LOCAL - 4)), 1)
            yield file


def _damage_error(info: zipfile.ZipInfo) -> FileError:
    return FileError(f"its member {shown(info.filename)!r} is damaged: it should have {info.file_size} bytes")


class _FileSlice:
    """A slice of an open file, as a file to read and seek in."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.length, self.at = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + (0, self.at, self.length)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of a member of a zip archive, as a file's `read` does."""
        left = max(0, self.length - self.at)
        self.file.seek(self.start + self.at)
        data = self.file.read(left if size < 0 else min(size, left))
        self.at += len(data)
        return data


def _inflate_pieces(file: BinaryIO, packed: int, size: int) -> Iterator[bytes]:
    """Yield the unpacked bytes of a deflated member of a zip archive, at most `size` of them."""
    machine = zlib.decompressobj(-15)
    while packed or machine.unconsumed_tail:
        data = machine.unconsumed_tail
        if not data:
            data = file.read(min(PIECE, packed))
            packed -= len(data)
            if not data:
                return
        data_out = machine.decompress(data, min(PIECE, size) or 1)
        size -= len(data_out)
        yield data_out
        if size <= 0 or machine.eof:
            return
