"""Untrusted zip archives: a member that would unpack to far more bytes than it is stored in is refused first."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatewise.arrays import require_memory
from gatewise.errors import CapacityError, FileError, reason

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
EXPANSION = 1100  # deflate makes no more of a byte


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive for a block.

    Raises
    ------
    FileError
        If it is incomplete.
    """
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as problem:
        raise FileError(f"it is not an intact zip archive ({reason(problem)})") from None
    with archive:
        yield archive


def sole_member(archive: zipfile.ZipFile, name: str, most: int | None) -> bytes:
    """Return a member of an archive; one that would become much larger than it is stored is refused before that."""
    infos = [one for one in archive.infolist() if one.filename == name]
    if len(infos) != 1:
        there = ", ".join(repr(one) for one in archive.namelist()[:8])
        raise FileError(f"it has {len(infos)} members {name!r}, and must have one; it has {there}"[:300])
    info = infos[0]
    if (most is not None and info.file_size > most) or info.file_size > EXPANSION * info.compress_size + 2**16:
        raise FileError(f"its {name} would have {info.file_size} bytes, of {info.compress_size} in the archive")
    if archive.fp is None or info.compress_size > archive.fp.seek(0, 2):
        raise FileError(f"its {name} would have {info.compress_size} bytes in the archive, which is shorter")
    require_memory(info.file_size, 1, name)
    try:
        with archive.open(info) as file:
            found = file.read(info.file_size + 1)
    except ZIP_ERRORS as problem:
        raise FileError(f"its {name} cannot be read ({reason(problem)})") from None
    if len(found) != info.file_size:
        raise FileError(f"its {name} is incomplete")
    return found


def member(path: Path, name: str, most: int, *, whole: bool = False) -> bytes:
    """Return at most so many bytes of one member of a zip archive; if it must be `whole`, it may not have more.

    What is packed small and unpacks to much more than that is refused before it is unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(name)
            if info.flag_bits & 1:
                raise FileError(f"its member {name!r} is encrypted")
            if info.file_size > 200 * info.compress_size + 1_000_000:
                raise FileError(f"its member {name!r} unpacks to {info.file_size} bytes from {info.compress_size}")
            if whole and info.file_size > most:
                raise FileError(f"its member {name!r} has {info.file_size} bytes; {most} are allowed")
            size = min(most, info.file_size)
            require_memory(size, 1, f"the member {name!r} of {path}")
            with archive.open(info) as file:
                data = file.read(size)
                if size == info.file_size:
                    file.read(1)  # the end is where the check sum is held against the bytes
                return data
    except KeyError:
        raise FileError(f"its member {name!r} is missing") from None
    except (FileError, CapacityError):
        raise
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        struct.error,
        OSError,
        EOFError,
        IndexError,
    ) as problem:
        raise FileError(f"its member {name!r} is damaged ({reason(problem)})") from None
    except Exception as problem:  # each method of compression has an error of its own
        if type(problem).__module__ in ("zlib", "lzma", "bz2", "_lzma"):
            raise FileError(f"its member {name!r} is damaged ({reason(problem)})") from None
        raise
