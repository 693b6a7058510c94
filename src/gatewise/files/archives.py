"""Zip archives that are the whole file: two that are joined would be read as the last one, in silence."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    import zipfile

END = 22  # bytes of the record that ends an archive, before its comment


def foreign_bytes(archive: zipfile.ZipFile) -> str:
    """Return why a file is more than an open zip archive, as half a sentence; empty if it is one archive alone."""
    place = "before" if min((member.header_offset for member in archive.infolist()), default=0) > 0 else ""
    comment, file = archive.comment, cast("IO[bytes]", archive.fp)
    file.seek(-END - len(comment), io.SEEK_END)
    record = file.read(END)
    if record[:4] != b"PK\x05\x06" or record[-2:] != len(comment).to_bytes(2, "little"):
        place = "behind"
    return place and f"it has bytes {place} its zip archive, maybe of another one: save it again"
