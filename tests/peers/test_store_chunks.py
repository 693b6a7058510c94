"""The chunks of zarr stores: honest ones are read as zarr reads them, others are refused by name before any harm."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zlib
from pathlib import Path

import cases
import program
import pytest

import gatewise as gw
from gatewise.interop.containers import zarr_stores

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:(Consolidated metadata|Numcodecs|The data type)")]
xarray = pytest.importorskip("xarray")
numcodecs = pytest.importorskip("numcodecs")
stores = pytest.importorskip("stores")

LSTM = gw.LSTM(3, 4, rng=0)
HONEST = stores.HONEST


def store(name: str) -> Path:
    """Write a store as one of the honest ones, and return its path."""
    return stores.written(name, Path("x.zarr").absolute())


@pytest.mark.parametrize("name", HONEST)
def test_honest_stores_are_read_bit_for_bit_as_zarr_reads_them(name, here):
    path = store(name)
    if name == "3, shards":
        first = next(path.glob("forcing/c/*/*/*"))
        first.unlink()  # a chunk that is missing is its fill value
    expected = xarray.open_zarr(path, chunks=None, consolidated=False, zarr_format=HONEST[name][0]).forcing
    found = zarr_stores.open_variable(path)
    xarray.testing.assert_identical(found.load(), expected.load())
    part = zarr_stores.open_variable(path)[1:6, 3]
    assert part.values.tobytes() == expected[1:6, 3].values.tobytes()
    copy = pickle.loads(pickle.dumps(zarr_stores.open_variable(path)))
    assert copy.values.tobytes() == expected.values.tobytes()


def test_every_way_into_a_store_reads_the_same(here):
    path = store("3, shards")
    data = stores.forcing().copy(data=zarr_stores.open_variable(path).values)
    lazy = gw.apply(LSTM, path, keep="forget_gate", key="forcing")
    computed, expected = lazy.compute(), gw.apply(LSTM, data, keep="forget_gate")
    assert computed.attrs.pop("history") != expected.attrs.pop("history")
    xarray.testing.assert_identical(computed, expected)
    run = gw.open_run(LSTM, str(path))
    assert run.trace[-1].forget_gate.tobytes() == LSTM.trace(data.values)[-1].forget_gate.tobytes()
    with cases.refusal("the data are in memory", by=gw.OptionError):
        gw.apply(LSTM, data, key="forcing")


# Spoiled chunks: the store, a change of a chunk's bytes, and words of the refusal.


def patched(place: int, form: str, *values: int):
    """Return a change that overwrites numbers at a place of a chunk."""

    def change(data: bytes) -> bytes:
        size = struct.calcsize(form)
        return data[:place] + struct.pack(form, *values) + data[place + size :]

    return change


SIZE = 4 * 2 * 3 * 4  # of a chunk


def zstd_frame(*lengths: int, size: int | None = None) -> bytes:
    """Return a frame of zstd of so many zeros in each block, which may declare its size: RFC 8878, 3.1.1."""
    last = len(lengths) - 1
    blocks = [(length << 3 | 2 | (place == last)).to_bytes(3, "little") + b"\0" for place, length in enumerate(lengths)]
    head = b"\0\x58" if size is None else b"\xe0" + struct.pack("<Q", size)
    return b"\x28\xb5\x2f\xfd" + head + b"".join(blocks)


BOMB = bytes(2**25)  # which packs into less than what a chunk may have
SPOILED = {
    "blosc, cut off": ("2, blosc", lambda data: data[:-3], "Blosc header declares"),
    "blosc, empty": ("2, blosc", lambda data: b"", "header of Blosc"),
    "blosc, longer than its file": ("2, blosc", patched(12, "<I", 2**20), "Blosc header declares 1,048,576 bytes"),
    "blosc, larger than its chunk": ("2, blosc", patched(4, "<I", 2**31 - 1), "declares 2,147,483,647 bytes"),
    "blosc, smaller than its chunk": ("2, blosc", patched(4, "<I", 8), "declares 8 bytes"),
    "blosc of 3": ("3, blosc", lambda data: data[:-1], "Blosc header declares"),
    "lz4, larger": ("2, lz4", patched(0, "<I", 2**31 - 1), "lz4 header declares"),
    "lz4, cut off": ("2, lz4", lambda data: data[:-1], "forcing/0.0.0"),
    "zlib, a bomb": ("2, zlib", lambda data: zlib.compress(BOMB, 9), "unpacks to more than the 96 bytes"),
    "zlib, cut off": ("2, zlib", lambda data: data[:-6], "cut off"),
    "zlib, a shorter chunk": ("2, zlib", lambda data: zlib.compress(bytes(SIZE - 4)), "holds 92 bytes, and 96"),
    "zlib, more behind": ("2, zlib", lambda data: data + b"more", "goes on behind its end"),
    "gzip, a bomb": ("2, gzip", lambda data: numcodecs.GZip(9).encode(BOMB), "unpacks to more than the 96 bytes"),
    "gzip, a second part": ("2, gzip", lambda data: data + data, "goes on behind its end"),
    "gzip, parts without end": ("2, gzip", lambda data: numcodecs.GZip().encode(b"") * 2000, "goes on behind its end"),
    "gzip, cut off": ("3, gzip", lambda data: data[:-9], "cut off"),
    "zstd, a bomb": ("2, zstd", lambda data: numcodecs.Zstd(1).encode(BOMB), "zstd header declares 33,554,432 bytes"),
    "zstd, no frame": ("3, zstd", lambda data: data[::-1], "does not begin as a frame of zstd"),
    **{
        f"{kind}, {name}": (kind, lambda data, change=change: change, words)
        for kind in ("2, zstd", "3, zstd")
        for name, (change, words) in {
            "a bomb that declares no size": (zstd_frame(*[2**17] * 2**14), "too small"),
            "a shorter one that declares no size": (zstd_frame(SIZE - 1), "got 95"),
            "a bomb that declares the right size": (zstd_frame(*[2**17] * 2**10, size=SIZE), "too small"),
            "a shorter one that declares the right size": (zstd_frame(50, size=SIZE), "corruption"),
            "a bomb behind": (zstd_frame(SIZE, size=SIZE) + zstd_frame(*[2**17] * 99), "too small"),
            "a size beyond measure": (zstd_frame(SIZE, size=2**63), "declares 9,223,372,036,854,775,808 bytes"),
        }.items()
    },
    "zstd, cut off": ("3, zstd", lambda data: data[:-2], "forcing/c/0/0/0"),
    "two, an inner bomb": (
        "3, two compressors",
        lambda data: numcodecs.GZip(9).encode(numcodecs.Zstd(1).encode(BOMB)),
        "forcing/c/0/0/0",
    ),
    "two, an outer bomb": ("3, two compressors", lambda data: numcodecs.GZip(9).encode(BOMB), "unpacks to more"),
    "a checksum": ("3, a checksum", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
    "a checksum's rest": ("3, a checksum", lambda data: data[:3], "forcing/c/0/0/0"),
    "a checksum, cut off": ("2, a checksum alone", lambda data: data[:3], "shorter than its checksum"),
    "a checksum of nothing": ("2, a checksum", lambda data: numcodecs.Zstd().encode(b"123"), "declares 3 bytes"),
    "plain, cut off": ("2, none", lambda data: data[:-1], "holds 95 bytes, and 96"),
    "plain, longer": ("3, none", lambda data: data + data, "holds 192 bytes, and 96"),
    "plain, much longer": ("3, none", lambda data: data * 2000, "it has 192,000 bytes, and 96 are declared"),
    "shards, no index": ("3, shards", lambda data: data[-40:], "are its index alone"),
    "shards, beyond the end": (
        "3, shards of plain chunks",
        lambda data: with_index(data, 2**40, 24),
        "ends at 1,099,511,627,800",
    ),
    "shards, a long chunk": ("3, shards of plain chunks", lambda data: with_index(data, 0, 2**62), "and it ends at"),
    "shards, a short chunk": ("3, shards of plain chunks", lambda data: with_index(data, 0, 4), "holds 4 bytes"),
    "shards, an index that is spoiled": (
        "3, shards",
        lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
        "checksum",
    ),
}


def with_index(shard: bytes, start: int, length: int) -> bytes:
    """Return a shard whose first chunk begins and ends elsewhere, with the checksum of its index."""
    index = struct.pack("<QQ", start, length) + shard[-4 * 16 - 4 + 16 : -4]
    return shard[: -4 * 16 - 4] + bytes(numcodecs.get_codec({"id": "crc32c"}).encode(index))


@pytest.mark.parametrize("name", SPOILED)
def test_a_chunk_that_is_not_as_declared_is_refused_by_name(name, here, capsys):
    kind, change, words = SPOILED[name]
    path = store(kind)
    chunk = path / "forcing" / ("0.0.0" if kind.startswith("2") else "c/0/0/0")
    chunk.write_bytes(change(chunk.read_bytes()))
    with cases.refusal(words, "forcing/", str(path), by=gw.FileError):
        gw.open_run(LSTM, path)
    with cases.refusal(words, by=gw.FileError):
        gw.apply(LSTM, path).compute()
    gw.save(LSTM, "model.safetensors")
    assert words in program.refusal_of(capsys, "trace", "model.safetensors", "x.zarr", "-o", "gates.zarr")
    assert not Path("gates.zarr").exists()


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_of_zstd_that_does_not_declare_its_size_is_read(version, here):
    path = store(f"{version}, zstd")
    (path / "forcing" / ("0.0.0" if version == 2 else "c/0/0/0")).write_bytes(zstd_frame(SIZE - 5, 5))
    assert not zstd_values(path).any()
    assert zstd_values(path, 4).all()


def zstd_values(path, first=0):
    return zarr_stores.open_variable(path)[first : first + 3, :2].values


TEXTS = {
    "another number of texts": patched(0, "<I", 6),
    "texts without end": patched(0, "<I", 2**32 - 1),
    "a text beyond the end": patched(4, "<I", 2**31),
    "a bomb": lambda data: struct.pack("<I", 5) + BOMB,
    "no text": lambda data: b"",
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_any_length_are_held_to_their_number_and_size(name, version, here):
    data = stores.forcing()
    data = data.assign_coords(basin=data.basin.astype(object))
    data.to_dataset().to_zarr("x.zarr", mode="w", zarr_format=version)
    chunk = Path("x.zarr", "basin", "0" if version == 2 else "c/0")
    codec = numcodecs.Blosc() if chunk.read_bytes()[:4] != b"\x28\xb5\x2f\xfd" else numcodecs.Zstd()
    texts = bytes(codec.decode(chunk.read_bytes()))
    chunk.write_bytes(codec.encode(TEXTS[name](texts)))
    with cases.refusal("x.zarr", by=gw.FileError):
        gw.open_run(LSTM, "x.zarr")


@pytest.mark.parametrize("codec", ["bz2", "lzma"])
@pytest.mark.parametrize("version", [2, 3])
def test_codecs_that_cannot_be_bounded_are_refused_by_name(codec, version, here):
    path = store("2, zlib" if version == 2 else "3, zstd")
    place = path / "forcing" / (".zarray" if version == 2 else "zarr.json")
    metadata = json.loads(place.read_text())
    if version == 2:
        metadata["compressor"] = {"id": codec}
    else:
        metadata["codecs"][-1] = {"name": f"numcodecs.{codec}", "configuration": {}}
    place.write_text(json.dumps(metadata))
    with cases.refusal(f"the codec '{codec}', which cannot be decoded within a limit", by=gw.FileError):
        zarr_stores.open_variable(path)


def changed(entry: str, value: object):
    """Return a change of one setting of the shards of an array."""

    def change(metadata: dict) -> dict:
        metadata["codecs"][0]["configuration"][entry] = value
        return metadata

    return change


METADATA = {
    "shards of parts of chunks": (changed("chunk_shape", [3, 1, 3]), "are not made of whole chunks"),
    "chunks of nothing in shards": (changed("chunk_shape", [0, 1, 3]), "no shape that makes sense"),
    "an index with codecs": (changed("index_codecs", [{"name": "gzip"}]), "not stored as plain numbers"),
    "an index in the middle": (changed("index_location", "middle"), "settings that gatewise does not know"),
    "compressed shards": (lambda all: {**all, "codecs": [*all["codecs"], {"name": "gzip"}]}, "further codecs"),
    "shards in shards": (lambda all: changed("codecs", json.loads(json.dumps(all["codecs"])))(all), "another kind"),
    "compressed before it is checked": (
        lambda all: {**all, "codecs": [{"name": "gzip"}, {"name": "bytes"}]},
        "before another kind of codec",
    ),
    "another grid": (lambda all: {**all, "chunk_grid": {**all["chunk_grid"], "name": "other"}}, "no regular grid"),
    "a filter that makes texts": (
        lambda all: changed("codecs", [{"name": "numcodecs.astype", "configuration": {"decode_dtype": "<U4000000"}}])(
            all
        ),
        "'<U4000000', and not numbers",
    ),
    "chunks without end": (lambda all: {**all, "shape": [7, 5, 300_000]}, "chunks; 10,000 are allowed for its"),
    "chunks named by another rule": (
        lambda all: {**all, "chunk_key_encoding": {"name": "sum"}},
        "in a way that",
    ),
    "another number of axes": (
        lambda all: {**all, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 2]}}},
        "has chunks of the shape [4, 2], which do not fit its own, [7, 5, 3]",
    ),
    "numbers of no type": (lambda all: {**all, "data_type": "float7"}, "not numbers, dates or texts"),
    "texts with codecs behind": (
        lambda all: {**all, "codecs": [{"name": "vlen-utf8"}, {"name": "bytes"}]},
        "texts that are stored with the codec 'bytes'",
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_gatewise_does_not_read_are_refused_by_name(name, here):
    path = store("3, shards")
    change, words = METADATA[name]
    place = path / "forcing" / "zarr.json"
    place.write_text(json.dumps(change(json.loads(place.read_text()))))
    with cases.refusal(words, "'forcing'", by=gw.FileError):
        zarr_stores.open_variable(path)


FILTERS = {
    "parts of entries": ([{"id": "shuffle", "elementsize": 7}], "make no sense (Shuffle buffer"),
    "no size": ([{"id": "shuffle", "elementsize": None}], "make no sense"),
    "no scale": (
        [{"id": "fixedscaleoffset", "scale": None, "offset": 0, "dtype": "<f4", "astype": "<f4"}],
        "make no sense",
    ),
    "other entries": ([{"id": "packbits"}], "make 24 bytes of a chunk of 96"),
    "no type": ([{"id": "delta", "dtype": "<f4", "astype": "<f99"}], "makes '<f99', and not numbers"),
    "no unit": ([{"id": "delta", "dtype": "<f4", "astype": "<M8[xx]"}], "makes '<M8[xx]', and not numbers"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_that_do_not_make_a_chunk_are_refused_before_one_is_read(name, here):
    path = store("2, none")
    filters, words = FILTERS[name]
    place = path / "forcing" / ".zarray"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"filters": filters}))
    for read in (gw.open_run, gw.apply):
        with cases.refusal(words, "'forcing'", str(path), by=gw.FileError):
            read(LSTM, path)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are made")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part", ["metadata", "chunk", "coordinate", "folder", "unused"])
@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_nothing_below_a_store_is_a_link_a_device_or_a_pipe(kind, part, version, here):
    path = store("2, none" if version == 2 else "3, none")
    place = {
        "metadata": path / ("forcing/.zattrs" if version == 2 else "area/zarr.json"),
        "chunk": path / ("forcing/1.1.0" if version == 2 else "forcing/c/1/1/0"),
        "coordinate": path / ("time/0" if version == 2 else "time/c/0"),
        "folder": path / ("area" if version == 2 else "forcing/c/1"),
        "unused": path / "forcing" / "notes" / "deep",
    }[part]
    if part == "unused":
        place.parent.mkdir()
    else:
        place.rename("elsewhere")
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero" if kind == "device" else Path("elsewhere").absolute())
    with cases.refusal("a device, a pipe" if kind == "pipe" else "is a link", place.name, by=gw.FileError):
        gw.open_run(LSTM, path)


def test_a_link_or_a_pipe_that_comes_later_is_refused_when_it_is_read(here):
    path = store("2, none")
    for make in (os.mkfifo, lambda chunk: chunk.symlink_to("/dev/zero")):
        lazy = zarr_stores.open_variable(path)
        chunk = path / "forcing" / "1.1.0"
        chunk.unlink()
        make(chunk)
        with cases.refusal("forcing/1.1.0", by=gw.FileError):
            lazy.load()
        chunk.unlink()
        store("2, none")


@pytest.mark.parametrize("version", [2, 3])
def test_a_consolidated_copy_of_the_metadata_is_never_used(version, here):
    path = store("2, none" if version == 2 else "3, none")
    expected = zarr_stores.open_variable(path).values
    name = ".zmetadata" if version == 2 else "zarr.json"
    text = (path / name).read_text()
    assert "consolidated" in text
    (path / name).write_text(text.replace('"forcing', '"wind').replace("float32", "float64").replace("<f4", "<f8"))
    assert zarr_stores.open_variable(path).values.tobytes() == expected.tobytes()


def test_a_checked_store_answers_as_zarr_s_own_of_its_files(here):
    path = store("3, none")
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync
    from zarr.storage import LocalStore

    checked, local = zarr_stores.checked_store(path, *zarr_stores._checked_metadata(path)[1:]), LocalStore(path)
    prototype = default_buffer_prototype()
    for asked in (None, RangeByteRequest(3, 9), OffsetByteRequest(90), SuffixByteRequest(5)):
        found = sync(checked.get_partial_values(prototype, [("forcing/c/0/0/0", asked)]))
        assert found[0].to_bytes() == sync(local.get("forcing/c/0/0/0", prototype, asked)).to_bytes()
    for key in ("forcing/c/0/0/0", "forcing/c/9/0/0", "none/c/0", "forcing/zarr.json", "forcing"):
        assert sync(checked.exists(key)) == sync(local.exists(key))

    async def names(listing):
        return {name async for name in listing}

    assert sync(names(checked.list_dir(""))) == sync(names(local.list_dir("")))
    assert sync(names(checked.list_dir("forcing"))) == {"zarr.json"}
    assert "forcing/zarr.json" in sync(names(checked.list()))
    for write in (checked.set("a", None), checked.delete("forcing/zarr.json")):
        with pytest.raises(OSError, match="only read"):
            sync(write)
