"""A store of zarr's own kind, through which zarr gets checked metadata and decoded chunks, and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import require_memory
from gatewise.errors import FileError, reason, shown
from gatewise.interop.containers import beside
from gatewise.interop.containers.zarr_chunks import NO_CHUNK, ChunkFormat, Shards, most_stored

INDEXES = 64  # of shards, that are kept


def checked_store(root: Path, documents: Mapping[str, bytes], formats: Mapping[str, ChunkFormat]) -> Any:
    """Return a folder on this machine as a `zarr.abc.store.Store`.

    `documents` are the metadata by their keys, as zarr is to read them; `formats` says of each array how its chunks are
    stored.
    """
    return _store_class()(root, documents, formats)


@cache
def _store_class() -> type:
    """Return the class of checked stores, which needs zarr."""
    from zarr.abc.store import Store

    return type("CheckedStore", (CheckedReading, Store), {})


class CheckedReading:
    """What zarr asks of a store that is only read: no link, no device, no chunk that is not as declared.

    A store can be pickled, so that workers read through the same checks.
    """

    supports_writes = supports_deletes = supports_partial_writes = False
    supports_listing = True

    def __init__(self, root: Path, documents: Mapping[str, bytes], formats: Mapping[str, ChunkFormat]) -> None:
        super().__init__(read_only=True)  # type: ignore[call-arg]
        self.root, self.documents, self.formats = root, documents, formats
        self._shard_index = lru_cache(INDEXES)(_read_shard_index)

    def __reduce__(self) -> tuple[Any, ...]:
        return checked_store, (self.root, self.documents, self.formats)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedReading) and self.root == other.root

    __hash__ = None  # type: ignore[assignment]

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return a document, or a chunk without its compression; None where there is none."""
        content: Any = self.documents.get(key)
        if content is None:
            content = await asyncio.to_thread(self._chunk, key)
        return None if content is None else prototype.buffer.from_bytes(_requested(content, byte_range))

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Return parts of documents and chunks."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Return whether there is such a document or chunk."""
        return key in self.documents or await asyncio.to_thread(self._chunk, key) is not None

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys of documents that begin so; chunks are asked for by key alone."""
        for key in self.documents:
            if key.startswith(prefix):
                yield key

    def list(self) -> AsyncIterator[str]:
        """Yield the keys of all documents."""
        return self.list_prefix("")

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of documents and arrays directly below a prefix."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        for name in dict.fromkeys(
            key[len(start) :].partition("/")[0] for key in self.documents if key.startswith(start)
        ):
            yield name

    async def _refuse(self, *given: Any) -> None:
        """Refuse to write to the store."""
        raise OSError("this store is only read")

    set = delete = set_partial_values = _refuse

    def _chunk(self, key: str) -> Any:
        """Return a chunk as zarr is given it, or None where the store has none, so that it is the fill value."""
        array, _, place = key.partition("/")
        chunk_format = self.formats.get(array)
        if chunk_format is None or not place:
            return None
        try:
            if chunk_format.shards is None:
                data = self._read(array, place, chunk_format)
            else:
                data = self._read_from_shard(array, place, chunk_format.shards)
            return None if data is None else chunk_format.decode(data)
        except MemoryError:
            raise
        except Exception as problem:  # ours, and whatever zlib and numcodecs raise
            raise FileError(f"cannot read {self.root}: its chunk {shown(key)!r}: {reason(problem)}") from None

    def _read(self, array: str, place: str, chunk_format: ChunkFormat) -> bytes | None:
        """Return the file of a chunk, or None where there is none."""
        path = self.root / array / place
        try:
            with beside.open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if chunk_format.size is not None and size > most_stored(chunk_format.size):
                    raise FileError(f"it has {size:,} bytes, and {chunk_format.size:,} are declared, uncompressed")
                require_memory(size, 1, f"reading {path}")
                return file.read()
        except FileNotFoundError:
            return None

    def _read_from_shard(self, array: str, place: str, shards: Shards) -> bytes | None:
        """Return the bytes of a chunk within its shard, or None where there is no shard, or no such chunk in it."""
        shard, within = shards.locate(place)
        path = self.root / array / shard
        index = self._shard_index(path, shards)
        if index is None:
            return None
        start, length = map(int, index[within])
        if start == length == NO_CHUNK:
            return None
        with beside.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if start + length > size:
                raise FileError(f"its shard {shown(shard)!r} has {size:,} bytes, and it ends at {start + length:,}")
            require_memory(length, 1, f"reading {path}")
            file.seek(start)
            return file.read(length)


def _read_shard_index(path: Path, shards: Shards) -> np.ndarray[Any, Any] | None:
    """Return the index of the shard in a file, or None where there is no file."""
    try:
        with beside.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size < shards.index_size:
                raise FileError(f"its shard has {size:,} bytes, and {shards.index_size:,} are its index alone")
            require_memory(shards.index_size, 1, f"reading {path}")
            file.seek(0 if shards.at_start else size - shards.index_size)
            return shards.read_index(file.read(shards.index_size))
    except FileNotFoundError:
        return None


def _requested(content: Any, byte_range: Any) -> Any:
    """Return the part of a document or a chunk that zarr asks for, by one of its three kinds of requests, or all."""
    if byte_range is None:
        return content
    if hasattr(byte_range, "suffix"):
        return content[max(0, len(content) - byte_range.suffix) :]
    if hasattr(byte_range, "offset"):
        return content[byte_range.offset :]
    return content[byte_range.start : byte_range.end]
