"""Zarr stores, one of each way to store an array, and spoiled ones: read with the package zarr alone."""

from __future__ import annotations

import io
import random
import tempfile
import warnings
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import xarray
from fuzzing import BYTES, SOME, Tally, fuzz, in_json
from zarr import codecs

RNG = np.random.default_rng(7)


def forcing(dtype: str = "f4") -> xarray.DataArray:
    """Return data whose coordinates are dates, texts and numbers, and whose last chunks are not full."""
    coordinates = {
        "time": np.arange(7) + np.datetime64("2001-01-01", "ns"),
        "basin": [f"bäsin {place}" * (place % 3 + 1) for place in range(5)],
        "feature": np.array(["prcp", "tmax", "srad"], object),
        "area": ("basin", np.arange(5.0)),
    }
    numbers = RNG.normal(size=(7, 5, 3)).astype(dtype)
    return xarray.DataArray(numbers, dims=("time", "basin", "feature"), coords=coordinates, name="forcing")


CHUNKS = {"chunks": (4, 2, 3)}
SHARDS = {"chunks": (2, 1, 3), "shards": (4, 2, 3)}
HONEST = {
    "2, zlib": (2, {"compressors": numcodecs.Zlib(1)}),
    "2, gzip": (2, {"compressors": numcodecs.GZip(1)}),
    "2, zstd": (2, {"compressors": numcodecs.Zstd(1)}),
    "2, lz4": (2, {"compressors": numcodecs.LZ4()}),
    "2, blosc": (2, {"compressors": numcodecs.Blosc("lz4", shuffle=2)}),
    "2, blosc that stored as it was": (2, {"compressors": numcodecs.Blosc("zlib", clevel=0)}),
    "2, none": (2, {"compressors": None}),
    "2, filters": (2, {"filters": [numcodecs.Delta("f4"), numcodecs.Shuffle(4)], "compressors": numcodecs.Zlib()}),
    "2, a checksum": (2, {"filters": [numcodecs.Fletcher32()], "compressors": numcodecs.Zstd()}),
    "2, a checksum alone": (2, {"filters": [numcodecs.Fletcher32()], "compressors": None}),
    "2, wider": (2, {"filters": [numcodecs.AsType("f8", "f4")], "compressors": numcodecs.LZ4()}),
    "2, differences of bytes": (2, {"filters": [numcodecs.CRC32(), numcodecs.Delta("u1")], "compressors": None}),
    "2, checked behind": (2, {"filters": [numcodecs.Delta("f4")], "compressors": numcodecs.CRC32()}),
    **{
        f"2, {name} for a compressor": (2, {"compressors": codec})
        for name, codec in {
            "delta": numcodecs.Delta("f4"),
            "shuffle": numcodecs.Shuffle(4),
            "scaling": numcodecs.FixedScaleOffset(1, 10, "f4", "f4"),
            "rounding": numcodecs.BitRound(12),
        }.items()
    },
    "3, zstd": (3, {}),
    "3, gzip": (3, {"compressors": (codecs.GzipCodec(level=1),)}),
    "3, blosc": (3, {"compressors": (codecs.BloscCodec(cname="zstd"),)}),
    "3, two compressors": (3, {"compressors": (codecs.ZstdCodec(), codecs.GzipCodec())}),
    "3, a checksum": (3, {"compressors": (codecs.ZstdCodec(), codecs.Crc32cCodec())}),
    "3, none": (3, {"compressors": None}),
    "3, big-endian": (3, {"serializer": codecs.BytesCodec(endian="big")}),
    "3, transposed": (3, {"filters": (codecs.TransposeCodec(order=(2, 0, 1)),)}),
    "3, shards": (3, SHARDS),
    "3, shards of plain chunks": (3, {**SHARDS, "compressors": None}),
    "3, shards, checked": (3, {**SHARDS, "compressors": (codecs.BloscCodec(), codecs.Crc32cCodec())}),
}


def written(name: str, path: Path) -> Path:
    """Write a store as one of the honest ones, and return its path."""
    version, encoding = HONEST[name]
    data = forcing()
    with warnings.catch_warnings():  # of what zarr's third format does not specify
        warnings.simplefilter("ignore")
        data.to_dataset().to_zarr(path, mode="w", zarr_format=version, encoding={"forcing": CHUNKS | encoding})
    return path


# Spoiled stores: the subject of a mutation is an archive of the folder.


def archived(path: Path) -> bytes:
    """Return a store as a zip archive of its files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.writestr(str(file.relative_to(path)), file.read_bytes())
    return target.getvalue()


def in_store(data: bytes, chance: random.Random) -> bytes:
    """Change a file of an archived store: a value of its metadata, some bytes, or what the compressor was given."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(target, "w") as copy:
        contents = {name: archive.read(name) for name in archive.namelist()}
        chosen = chance.choice(list(contents))
        content, of_json = contents[chosen], chosen.endswith((".json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"))
        if of_json and chance.random() < 0.8:
            contents[chosen] = in_json(content, chance)
        elif not of_json and content and chance.random() < 0.5:
            head = chance.randrange(min(len(content), 24))  # of the compressor, or of a shard
            contents[chosen] = content[:head] + chance.randbytes(chance.choice((1, 2, 4))) + content[head + 1 :]
        else:
            contents[chosen] = chance.choice(BYTES)(content, chance) if content else b"0"
        for name, content in contents.items():
            copy.writestr(name, content)
    return target.getvalue()


def read_archived(path: Path) -> None:
    """Read every number of an archived store, and its coordinates, as an input is read."""
    import gatewise as gw
    from gatewise.opening.inputs import read_input

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what xarray makes of numbers that are none
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except Exception as problem:  # whatever zipfile and the system raise
            raise gw.FileError("it is no archive") from problem
        read_input(Path(folder), None, None, None)


def spoil(folder: Path, count: int = SOME, seed: int = 0) -> Tally:
    """Read so many spoiled stores."""
    subjects = [archived(written(name, folder / "x.zarr")) for name in HONEST]
    return fuzz(subjects, read_archived, count, folder, 2**30, seed, also=[in_store])
