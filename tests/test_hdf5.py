"""HDF5: what the HDF5 library writes is read here as it reads it, and takes no more memory than a file can need."""

from __future__ import annotations

import io
import struct
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest

import gatewise as gw
from gatewise import interop
from gatewise.files.budget import Budget
from gatewise.interop.containers import hdf5
from gatewise.interop.containers.hdf5 import Dataset

h5py = pytest.importorskip("h5py")


def plain(value):
    """Return an attribute's value as this project's reader has it: texts as str, arrays of texts as lists."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (np.ndarray, list, tuple)) and np.asarray(value).dtype.kind in "SOU":
        return [plain(one) for one in np.asarray(value).ravel()]
    return value


def native(array):
    return np.asarray(array).astype(np.asarray(array).dtype.newbyteorder("="), copy=False)


def assert_same_group(mine, theirs):
    """Hold a group's members, arrays and attributes against those that another reader finds."""
    assert set(mine.links) == set(theirs)
    assert set(mine.attributes) == set(theirs.attrs)
    for name in theirs.attrs:
        assert np.array_equal(mine.attributes[name], plain(theirs.attrs[name])), name
    for name in theirs:
        member = theirs[name]
        if isinstance(mine[name], Dataset):
            np.testing.assert_array_equal(mine[name].read(), native(member[()]))
        else:
            assert_same_group(mine[name], member)


LIBRARIES = [(library, members) for members in (0, 3, 9) for library in ("earliest", "v108", "v110", "latest")]


@pytest.mark.parametrize(
    ("library", "members"), [*LIBRARIES, ("earliest", 300), ("latest", 300)]
)  # the peers have more
def test_every_kind_of_group_attribute_and_array_is_read_as_the_hdf5_library_does(library, members, tmp_path):
    rng = np.random.default_rng(members)
    with h5py.File(tmp_path / "file", "w", libver=library) as file:
        group = file.create_group("a group/within")
        for number in range(members):
            group.create_dataset(f"array {number}", data=rng.normal(size=(number % 3, 2)).astype("f4"))
            if number < 50:
                group.attrs[f"attribute {number}"] = f"größe {number}"
        group.attrs["names"] = [f"name {number}" for number in range(members)]
        group.attrs["bytes"], group.attrs["number"] = np.array([b"ab", b"cde"]), 3.5
        if library != "earliest":
            group.attrs["long"] = "x" * 70_000
            group.attrs["numbers"] = np.arange(20_000.0)  # too long for an object's header
        for kind in ("<f2", ">f4", "<f8", ">f8", "i4", "u1"):
            file.create_dataset(f"of {kind[-2:]}{kind[0]}", data=np.arange(5).astype(kind))
        file.create_dataset("one", data=np.float32(3))
        file.create_dataset("no rows", data=np.zeros((0, 3)))
        if library in ("earliest", "v108"):
            file.create_dataset(
                "chunks", data=rng.normal(size=(30, 50)), chunks=(7, 8), compression="gzip", shuffle=True
            )
            file.create_dataset("sums", data=np.arange(100), chunks=(9,), fletcher32=True)
    with h5py.File(tmp_path / "file") as theirs, open(tmp_path / "file", "rb") as stream:
        assert_same_group(hdf5.open_root(stream, Budget(2**30)), theirs)


@pytest.mark.parametrize("library", ["earliest", "v108"])
@pytest.mark.parametrize("type_", ["<f4", ">f8", "f2"])
def test_what_was_never_written_of_an_array_is_its_fill_value(library, type_, tmp_path):
    with h5py.File(tmp_path / "file", "w", libver=(library, "v108")) as file:
        for number, value in enumerate((None, 0.0, 2.5)):
            for chunks in (None, (2, 3)):
                options = {"shape": (5, 4), "dtype": type_, "fillvalue": value, "chunks": chunks}
                name = f"{number} {'in chunks' if chunks else 'whole'}"
                file.create_dataset(f"{name} not written", **options)
                file.create_dataset(f"{name} written", **options)[:] = 1
                file.create_dataset(f"{name} partly written", **options)[:2, :2] = 1
        file.create_dataset("large", (2**16,), "f4", fillvalue=0.5)
    with h5py.File(tmp_path / "file") as theirs, open(tmp_path / "file", "rb") as stream:
        root = hdf5.open_root(stream, Budget(2**30))
        for name in set(theirs) - {"large"}:
            np.testing.assert_array_equal(root[name].read(), theirs[name][()], err_msg=name)
        with pytest.raises(gw.FileError, match="large has no data"):
            root["large"].read()


def overlapping_headers():
    """Return 512 KB of HDF5 whose root's header goes on in 900 blocks that lie one over another."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.attrs["a"] = 1
    data = bytearray(target.getvalue())
    data += bytes(-len(data) % 16)
    header, count, step = len(data), 900, 2**13
    blocks = header + 16 + 24 * count
    data += struct.pack("<BBHII4x", 1, 0, count, 1, 24 * count)
    stretches = sorted((end - start, start) for start in range(64) for end in range(start + 1, 65))[-count:]
    for length, start in stretches:
        data += struct.pack("<HHB3xQQ", 0x10, 16, 0, blocks + step * start, step * length)
    data += (struct.pack("<HHB3x", 0, step - 8, 0) + bytes(step - 8)) * 64
    struct.pack_into("<Q", data, 0x40, header)
    struct.pack_into("<Q", data, 0x28, len(data))
    return bytes(data)


def overlapping_texts(heaps, times):
    """Return HDF5 with names that lie in heaps of 128 KB, one over another, or are one long text many times."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.attrs.create("layer_names", ["x"] * heaps * times, dtype=h5py.string_dtype())
    data, size = bytearray(target.getvalue()), 2**17
    at = next(n for n in range(len(data)) if data[n : n + 4] == data[n + 16 : n + 20] == b"\1\0\0\0" and data[n + 12])
    data += bytes(-len(data) % 16)
    base = len(data)
    for number in range(heaps * times):
        length = 1 if times == 1 else size - 64
        struct.pack_into("<IQI", data, at + 16 * number, length, base + 32 * (number // times), 1)
    data += (b"GCOL\1\0\0\0" + struct.pack("<QHH4xQ", size, 1, 1, size - 32)) * heaps + b"y" * size
    struct.pack_into("<Q", data, 0x28, len(data))
    return bytes(data)


def endless_names():
    """Return HDF5 of a group with many members, whose names begin one letter after another in one long text."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        for number in range(2000):
            file.create_group(f"{number:0500d}")
    data = bytearray(target.getvalue())
    heap = data.find(b"HEAP")
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    (names,) = struct.unpack_from("<Q", data, heap + 24)
    data[names : names + size - 1] = b"n" * (size - 1)
    return bytes(data)


def short_texts():
    """Return HDF5 with an attribute of many texts of four letters."""
    target = io.BytesIO()
    with h5py.File(target, "w", libver="v108") as file:
        file.attrs["a"] = np.full(62_500, b"abcd")
    return target.getvalue()


STRUCTURES = {
    "headers": overlapping_headers,
    "heaps": lambda: overlapping_texts(1000, 1),
    "one text": lambda: overlapping_texts(1, 3000),
    "short texts": short_texts,
    "names": endless_names,
}


@pytest.mark.usefixtures("small_budgets")
@pytest.mark.parametrize("kind", STRUCTURES)
def test_structure_takes_no_more_memory_than_a_file_of_its_length_can_need(kind, tmp_path):
    data = STRUCTURES[kind]()
    (tmp_path / "file").write_bytes(data)
    tracemalloc.start()
    try:
        with nullcontext() if kind == "short texts" else pytest.raises(gw.FileError, match="structure of its HDF5"):
            interop.inspect(tmp_path / "file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * len(data) + 2**23
