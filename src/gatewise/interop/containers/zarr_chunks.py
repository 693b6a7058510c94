"""The chunks of a zarr array: what their metadata declare, and bounded calls that decode them to exactly that.

zarr and numcodecs decode whatever a file holds: a small one may become gigabytes, and a header that lies makes the
decoder read beyond the file's end. So compressors and checksums are undone here, and zarr is given the rest.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.errors import FileError, reason, shown
from gatewise.files.budget import BYTES
from gatewise.interop.containers import json_document

COMPRESSORS = ("blosc", "zlib", "gzip", "zstd", "lz4")
CHECKS = ("crc32", "crc32c", "adler32", "fletcher32")
TEXTS = "vlen-utf8"
FILTERS = ("delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "shuffle", "astype", TEXTS)
LAYOUTS = ("bytes", "transpose", "sharding_indexed")  # of the third format alone
SHARDS = "sharding_indexed"
UNBOUNDED = ("bz2", "lzma")  # honest codecs without a call that stops at a size
NUMBERS = re.compile(r"[<>|=]?[fiubUSMm]\d+(\[\w+\])?")  # types that hold no objects
FILTERED = re.compile(r"[<>|=]?([iu][1248]|f[248]|b1|[Mm]8(\[([WDhms]|[mun]s)\])?)")  # types that a filter may make
DATES = {"numpy.datetime64": "<M8", "numpy.timedelta64": "<m8"}  # of the third format
TEXT_BYTES = 64  # that a text of any length is taken to have on average
CHECK_BYTES = 4
SPARE = 2**16  # that a chunk may grow by in being compressed
NO_CHUNK = 2**64 - 1  # in a shard's index


@dataclass(frozen=True)
class Codec:
    """A codec of a zarr array: its name, without the third format's prefix for those of numcodecs, and its settings."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Shards:
    """The files of an array that hold many chunks each: how many along each axis, and how their index is written.

    `prefix` and `separator` make the key of a chunk, or the name of a shard, of its numbers.
    """

    counts: tuple[int, ...]
    at_start: bool
    index_type: np.dtype[np.uint64]
    checked: bool
    prefix: str
    separator: str

    @property
    def index_size(self) -> int:
        """The bytes of a shard's index."""
        return 2 * self.index_type.itemsize * math.prod(self.counts) + CHECK_BYTES * self.checked

    def locate(self, key: str) -> tuple[str, tuple[int, ...]]:
        """Return the name of the shard that holds the chunk of a key, and the chunk's place in it."""
        if not self.counts:
            return key, ()
        numbers = map(int, key.removeprefix(self.prefix).split(self.separator))
        pairs = [divmod(number, count) for number, count in zip(numbers, self.counts, strict=True)]
        name = self.prefix + self.separator.join(str(shard) for shard, _ in pairs)
        return name, tuple(place for _, place in pairs)

    def read_index(self, data: bytes) -> np.ndarray[Any, Any]:
        """Return a shard's index, (…, 2): where each chunk begins and how many bytes it has."""
        if self.checked:
            data = _undo_check(Codec("crc32c", {}), data)
        return np.frombuffer(data, self.index_type).reshape(*self.counts, 2)


@dataclass(frozen=True)
class ChunkFormat:
    """How a chunk of an array is stored: the codecs that are undone here, in the order in which they were applied."""

    count: int  # entries of a chunk
    size: int | None  # bytes that zarr is given for a chunk; None where they are texts of any length
    undone: tuple[Codec, ...] = ()
    shards: Shards | None = None

    def decode(self, data: bytes) -> Any:
        """Return a stored chunk without its compression, as zarr is given it; FileError if it is not as declared."""
        texts = max(BYTES.each * len(data), (TEXT_BYTES + CHECK_BYTES) * self.count + CHECK_BYTES)
        decoded: Any = data
        for place in reversed(range(len(self.undone))):
            codec, below = self.undone[place], self.undone[:place]
            if codec.name in CHECKS:
                decoded = _undo_check(codec, decoded)
            elif self.size is None:
                decoded = _decompress(codec.name, decoded, texts, exact=False)
            elif all(other.name in CHECKS for other in below):
                decoded = _decompress(codec.name, decoded, self.size + CHECK_BYTES * len(below), exact=True)
            else:
                decoded = _decompress(codec.name, decoded, most_stored(self.size), exact=False)
        if self.size is not None and len(decoded) != self.size:
            raise FileError(f"it holds {len(decoded):,} bytes, and {self.size:,} are declared")
        if self.size is None and (len(decoded) < 4 or struct.unpack_from("<I", decoded)[0] != self.count):
            raise FileError(f"it does not hold the {self.count:,} texts that are declared")
        return decoded


def most_stored(size: int) -> int:
    """Return the bytes that a chunk of a size may take when it is compressed."""
    return 2 * size + SPARE


def chunk_format(
    name: str, codecs: Sequence[Codec], chunk: list[int], item_size: int | None, keys: tuple[str, str]
) -> tuple[ChunkFormat, int, list[int]]:
    """Return how the chunks of the array `name` are stored, how many codecs are left for zarr, and the chunks' shape.

    Of shards, both are those of the chunks in them. `keys` begins the names of chunks, and separates their numbers.
    """
    sharded = [codec.name for codec in codecs].count(SHARDS)
    if sharded and len(codecs) > 1:
        raise FileError(f"the shards of {name} are stored with further codecs, which gatewise does not read")
    shards = None
    if sharded:
        codecs, chunk, shards = _shards(name, codecs[0].settings, chunk, keys)
    end = len(codecs)
    while end and codecs[end - 1].name in (*COMPRESSORS, *CHECKS):
        end -= 1
    left = codecs[:end]
    if early := [codec.name for codec in left if codec.name in (*COMPRESSORS, SHARDS)]:
        raise FileError(f"{name} is stored with the codec {early[0]!r} before another kind of codec")
    if TEXTS in (names := [codec.name for codec in left]) and names.index(TEXTS) != len(names) - 1:
        raise FileError(f"{name} holds texts that are stored with the codec {names[-1]!r}")
    count = math.prod(chunk)
    size = _stored_size(left, count, item_size)
    if item_size is not None and size is not None:
        _require_filters(name, left, size, count, item_size)
    return ChunkFormat(count, size, tuple(codecs[end:]), shards), end, chunk


def _shards(
    name: str, settings: Mapping[str, Any], shard: Sequence[int], keys: tuple[str, str]
) -> tuple[list[Codec], list[int], Shards]:
    """Return the codecs and the shape of the chunks in shards, and how the shards are laid out."""
    codecs = codecs_of(name, settings.get("codecs"), "name")
    chunk = settings.get("chunk_shape")
    if not isinstance(chunk, list) or not all(type(length) is int and length > 0 for length in chunk):
        raise FileError(f"the chunks in the shards of {name} have no shape that makes sense")
    if len(chunk) != len(shard) or any(whole % part for whole, part in zip(shard, chunk, strict=True)):
        raise FileError(f"the shards of {name}, {list(shard)}, are not made of whole chunks, {shown(str(chunk))}")
    index = codecs_of(name, settings.get("index_codecs"), "name")
    if [codec.name for codec in index] not in (["bytes"], ["bytes", "crc32c"]):
        raise FileError(f"the index of the shards of {name} is not stored as plain numbers, with a crc32c or without")
    order = index[0].settings.get("endian", "little")
    location = settings.get("index_location", "end")
    if order not in ("little", "big") or location not in ("start", "end"):
        raise FileError(f"the index of the shards of {name} has settings that gatewise does not know")
    counts = tuple(whole // part for whole, part in zip(shard, chunk, strict=True))
    shards = Shards(
        counts, location == "start", np.dtype("<u8" if order == "little" else ">u8"), len(index) == 2, *keys
    )
    return codecs, chunk, shards


def codecs_of(name: str, codecs: object, key: str) -> list[Codec]:
    """Return the codecs of the array `name` from its metadata; one that is not allowed is refused.

    `key` is where a codec has its name: "id" in zarr's second format, "name" in the third.
    """
    if not isinstance(codecs, list):
        raise FileError(f"the codecs of {name} must be a list, not {json_document.describe(codecs)}")
    return [_codec(name, codec, key) for codec in codecs]


def _codec(array_name: str, codec: object, key: str) -> Codec:
    """Return a codec of an array, or raise FileError where it could run code or is not known."""
    raw_name = codec.get(key) if isinstance(codec, dict) else codec
    third = key == "name"
    allowed = (*COMPRESSORS, *FILTERS, *CHECKS, *(LAYOUTS if third else ()))
    name = raw_name.removeprefix("numcodecs.") if isinstance(raw_name, str) and third else raw_name
    if name == "pickle":
        raise FileError(
            f"{array_name} holds pickled Python objects, which are never read, since reading them can run code"
        )
    if name in UNBOUNDED:
        raise FileError(
            f"{array_name} is stored with the codec {name!r}, which cannot be decoded within a limit: store it with"
            f" one of {', '.join(COMPRESSORS)}"
        )
    if not isinstance(name, str) or name not in allowed:
        raise FileError(
            f"{array_name} is stored with the codec {json_document.describe(raw_name)};"
            f" allowed are {', '.join(allowed)}"
        )
    settings = codec if isinstance(codec, dict) else {}
    settings = settings.get("configuration", {}) if third else settings
    if not isinstance(settings, dict):
        raise FileError(f"the settings of the codec {name} of {array_name} are not a JSON object")
    for entry in ("dtype", "astype", "encode_dtype", "decode_dtype"):
        dtype = settings.get(entry)
        if dtype is not None and not (isinstance(dtype, str) and FILTERED.fullmatch(dtype)):
            raise FileError(f"the codec {name} of {array_name} makes {json_document.describe(dtype)}, and not numbers")
    return Codec(name, settings)


def item_size(name: str, kind: object) -> int | None:
    """Return the bytes of an entry of the array `name`, or None where its entries are texts of any length."""
    settings = kind.get("configuration") if isinstance(kind, dict) else None
    length = settings.get("length_bytes") if isinstance(settings, dict) else None
    if isinstance(length, int) and length >= 0:
        return length
    if kind in ("|O", "string"):
        return None
    try:
        dtype = np.dtype(DATES.get(str(kind.get("name")), "O") if isinstance(kind, dict) else kind)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype.kind not in "biufcSUMm" or kind is None:
        raise FileError(f"{name} holds {json_document.describe(kind)}, and not numbers, dates or texts")
    return int(dtype.itemsize)


def _stored_size(codecs: Sequence[Codec], count: int, item_size: int | None) -> int | None:
    """Return the bytes that a chunk of `count` entries takes after codecs, or None where they are texts."""
    if item_size is None or any(codec.name == TEXTS for codec in codecs):
        return None
    extra = 0
    for codec in codecs:
        if codec.name == "packbits":
            count, item_size = 1 + math.ceil(count / 8), 1
        elif codec.name in CHECKS:
            extra += CHECK_BYTES
        elif dtype := codec.settings.get("encode_dtype" if codec.name == "astype" else "astype"):
            entry = codec.settings.get("decode_dtype" if codec.name == "astype" else "dtype", dtype)
            item_size = item_size * np.dtype(dtype).itemsize // np.dtype(entry).itemsize
    return count * item_size + extra


def _require_filters(name: str, codecs: Sequence[Codec], size: int, count: int, item_size: int) -> None:
    """Require that the codecs left for zarr make a chunk's `count` entries of its bytes, by undoing them on zeros."""
    import numcodecs

    data: Any = np.zeros(size, np.uint8) if any(codec.name in FILTERS for codec in codecs) else range(count * item_size)
    try:
        for codec in reversed(codecs):
            if codec.name in CHECKS:
                data = data[CHECK_BYTES:]
            elif codec.name in FILTERS:
                data[:1] += -count % 8 if codec.name == "packbits" else 0  # the bits that fill up its last byte
                decoded = numcodecs.get_codec({**codec.settings, "id": codec.name}).decode(data)
                data = np.frombuffer(decoded, np.uint8).copy()
    except Exception as problem:  # whatever numcodecs raises
        raise FileError(f"the filters of {name} have settings that make no sense ({reason(problem)})") from None
    if len(data) != count * item_size:
        raise FileError(f"the filters of {name} make {len(data):,} bytes of a chunk of {count * item_size:,}")


# Bounded decoding


def _undo_check(codec: Codec, data: Any) -> bytes:
    """Return the data that a checksum belongs to, once it is right."""
    import numcodecs

    if len(data) < CHECK_BYTES:
        raise FileError("it is shorter than its checksum")
    settings = {"location": location} if (location := codec.settings.get("location")) is not None else {}
    checked = numcodecs.get_codec({"id": codec.name, **settings}).decode(data)
    return checked if isinstance(checked, bytes) else bytes(checked)


def _decompress(name: str, data: Any, limit: int, exact: bool) -> Any:
    """Return compressed data as they were: `limit` bytes if that is exact, else at most so many."""
    import numcodecs

    if name in ("zlib", "gzip"):
        return _inflate(name, bytes(data), limit)
    size = _declared_size(name, bytes(data[:32]), len(data))
    if size is None and exact:
        size = limit
    if size is None or size > limit or (exact and size != limit):
        has = "no size" if size is None else f"{size:,} bytes"
        raise FileError(f"its {name} header declares {has}, where the array has {limit:,} {'' if exact else 'at most'}")
    target = np.empty(size, np.uint8)
    numcodecs.get_codec({"id": name}).decode(data, target)
    return target


def _declared_size(name: str, header: bytes, length: int) -> int | None:
    """Return the size of the decoded data by the header of compressed data of a length; None where zstd leaves it out.

    The layouts are those of Blosc's 16 bytes, of numcodecs' LZ4 (4 bytes before a block), and of RFC 8878, 3.1.1.1.
    """
    if name == "blosc":
        if len(header) < 16:
            raise FileError("it is shorter than a header of Blosc")
        decoded, _, compressed = struct.unpack_from("<III", header, 4)
        if compressed != length:
            raise FileError(f"its Blosc header declares {compressed:,} bytes, and it has {length:,}")
        return int(decoded)
    if name == "lz4":
        return int.from_bytes(header[:4], "little")
    if len(header) < 5 or header[:4] != b"\x28\xb5\x2f\xfd":
        raise FileError("it does not begin as a frame of zstd")
    flags = header[4]
    single, dictionary = flags >> 5 & 1, (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    start = 6 - single + dictionary
    if not width:
        return None
    return int.from_bytes(header[start : start + width], "little") + 256 * (width == 2)


def _inflate(name: str, data: bytes, limit: int) -> bytes:
    """Return the content of zlib's or gzip's format, of `limit` bytes at most; it must end where the data end."""
    inflater = zlib.decompressobj(31 if name == "gzip" else 15)
    content = inflater.decompress(data, limit + 1)
    if len(content) > limit:
        raise FileError(f"it unpacks to more than the {limit:,} bytes that are declared")
    if not inflater.eof:
        raise FileError("it is cut off")
    if inflater.unused_data:
        raise FileError("it goes on behind its end")
    return content
