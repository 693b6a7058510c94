"""HDF5, read by this project's own reader as the HDF5 library and as pyfive read it, and refused where pyfive is wrong.

Both are referees here and nothing else: spoiled files end or hang the one, and the other gives numbers that are not in
the file where it does not know what it reads.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pairwise import cover

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop.containers import hdf5
from tests.test_hdf5 import assert_same_group, native

h5py = pytest.importorskip("h5py")
pyfive = pytest.importorskip("pyfive")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]

OLD, NEW = ("earliest", "v108"), ("v110", "latest")  # the new ones write chunks under other trees, which are refused
KINDS = ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i1", "<i2", ">i4", "<i8", "<u1", ">u2", "<u4", ">u8")
CHUNKED = ("chunks", "deflate", "shuffle", "deflate and shuffle", "sums", "all filters")
ARRAYS = cover(
    {
        "library": (*OLD, *NEW),
        "layout": ("contiguous", "compact", *CHUNKED),
        "kind": KINDS,
        "shape": ((), (0, 3), (1,), (7, 5), (13, 4, 3)),
        "group": ("", "one", "a/way/down/to/it"),
        "fill": (None, 3),
        "written": ("whole", "partly", "never"),
    },
    allowed=lambda case: (
        (case["layout"] not in CHUNKED or 0 < math.prod(case["shape"]) != 1)  # neither one number nor none of them
        and (case["layout"] != "compact" or case["written"] == "whole")
        and (case["written"] != "partly" or len(case["shape"]) > 1)
    ),
)


def create(group, name, case, numbers):
    """Write an array as a case says."""
    layout, options = case["layout"], {}
    if layout == "compact":
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(numbers.shape) if numbers.shape else h5py.h5s.create(h5py.h5s.SCALAR)
        if case["fill"] is not None:
            properties.set_fill_value(np.array(case["fill"], numbers.dtype))
        one = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(numbers.dtype), space, properties)
        dataset = h5py.Dataset(one)
    else:
        if layout in CHUNKED:
            options["chunks"] = tuple(max(1, (size + 1) // 2) for size in numbers.shape)
            options["compression"] = "gzip" if "deflate" in layout or "all" in layout else None
            options["shuffle"] = "shuffle" in layout or "all" in layout
            options["fletcher32"] = layout in ("sums", "all filters")
        dataset = group.create_dataset(name, numbers.shape, numbers.dtype, fillvalue=case["fill"], **options)
    if case["written"] == "whole":
        dataset[...] = numbers
    elif case["written"] == "partly":
        dataset[:1] = numbers[:1]


@pytest.mark.parametrize("case", ARRAYS, ids=lambda case: "-".join(map(str, case.values())))
def test_an_array_is_read_as_the_library_and_pyfive_read_it(case, tmp_path):
    path, group = tmp_path / "file", case["group"]
    numbers = np.random.default_rng(0).integers(0, 100, case["shape"]).astype(case["kind"])
    with h5py.File(path, "w", libver=case["library"]) as file:
        create(file.require_group(group) if group else file, "x", case, numbers)
    name = f"{group}/x".lstrip("/")
    with h5py.File(path) as file:
        want = native(file[name][()])
    in_new_chunks = case["layout"] in CHUNKED and case["library"] in NEW
    if not (in_new_chunks or (case["layout"] in CHUNKED and case["written"] == "partly")):  # which it does not read
        with pyfive.File(path) as file:
            np.testing.assert_array_equal(native(file[name][()]), want)
    with open(path, "rb") as stream:
        here = hdf5.open_root(stream, Budget(2**30))
        for part in name.split("/"):
            here = here[part]
        assert here.shape == case["shape"]
        if in_new_chunks:
            with pytest.raises(gw.FileError, match=r"chunks of a newer kind|layout of a dataset of version 5"):
                here.read()
        else:
            np.testing.assert_array_equal(here.read(), want, strict=True)


# Groups and attributes.


@pytest.mark.parametrize("library", [*OLD, *NEW])
@pytest.mark.parametrize("members", [0, 1, 8, 9, 70, 700])
def test_groups_and_attributes_are_found_as_the_library_and_pyfive_find_them(members, library, tmp_path):
    with h5py.File(tmp_path / "file", "w", libver=library) as file:
        for group in (file, file.create_group("within"), file.create_group("within/and within/that")):
            for number in range(members):
                group[f"array {number}"] = np.full(number % 4, number, "f4")
                if number < 60:
                    group.attrs[f"größe {number}"] = number / 4
            group.attrs["text"], group.attrs["bytes"], group.attrs["nothing"] = "größe", np.bytes_(b"abc"), ""
            group.attrs["numbers"], group.attrs["big"] = np.arange(5.0), np.arange(3, dtype=">i4")
            group.attrs["names"], group.attrs["of bytes"] = ["a", "größe", "c"], np.array([b"ab", b"cde"])
            group.attrs["whole"], group.attrs["table"] = np.int64(7), np.arange(6, dtype="f4").reshape(2, 3)
            group.create_group("empty")
    with open(tmp_path / "file", "rb") as stream:
        mine = hdf5.open_root(stream, Budget(2**30))
        with h5py.File(tmp_path / "file") as theirs:
            assert_same_group(mine, theirs)
        with pyfive.File(tmp_path / "file") as theirs:
            assert_same_group(mine, theirs)


def test_an_array_without_a_space_has_no_numbers(tmp_path):
    with h5py.File(tmp_path / "file", "w") as file:
        file["x"] = h5py.Empty("f4")
    with open(tmp_path / "file", "rb") as stream:
        assert hdf5.open_root(stream, Budget(2**30))["x"].read().shape == (0,)


# Where pyfive gives numbers that are not in the file, without a word: refused here, or right.

NUMBERS = np.arange(1, 7, dtype=np.float32) / 4


def with_floats(path, size, fields, bias):
    """Write numbers as floats of a layout: where their sign, exponent and mantissa are, and the exponent's bias."""
    kind = (h5py.h5t.IEEE_F32LE if size <= 4 else h5py.h5t.IEEE_F64LE).copy()
    kind.set_fields(*fields)
    kind.set_size(size)
    if size < 4:
        kind.set_precision(8 * size)
    kind.set_ebias(bias)
    with h5py.File(path, "w") as file:
        dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple(NUMBERS.shape))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, NUMBERS.copy(), mtype=h5py.h5t.NATIVE_FLOAT)


def with_a_userblock(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = NUMBERS


def with_external_storage(path):
    NUMBERS.tofile(path.with_suffix(".raw"))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", NUMBERS.shape, "f4", external=[(str(path.with_suffix(".raw")), 0, NUMBERS.nbytes)])


ODD = {
    "a userblock": (with_a_userblock, "does not begin with HDF5"),
    "external storage": (with_external_storage, "x is in another file, which is not followed"),
    "another bias": (lambda path: with_floats(path, 4, (31, 23, 8, 0, 23), 100), "x holds odd floats"),
    "a short mantissa": (lambda path: with_floats(path, 4, (23, 15, 8, 0, 15), 127), "x holds odd floats"),
    "another exponent": (lambda path: with_floats(path, 2, (15, 9, 6, 0, 9), 31), "x holds odd floats"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_pyfive_reads_wrongly_is_refused(case, tmp_path):
    make, words = ODD[case]
    path = tmp_path / "file"
    make(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"][()], NUMBERS)
    with pyfive.File(path) as file:
        assert not np.array_equal(file["x"][()], NUMBERS)  # if this fails, pyfive has learned it
    with open(path, "rb") as stream, pytest.raises(gw.FileError, match=words):
        hdf5.open_root(stream, Budget(2**30))["x"].read()


def test_bfloat16_which_pyfive_reads_as_float16_is_read_as_it_is(tmp_path):
    with_floats(tmp_path / "file", 2, (15, 7, 8, 0, 7), 127)
    with pyfive.File(tmp_path / "file") as file:
        assert not np.array_equal(file["x"][()], NUMBERS)
    with open(tmp_path / "file", "rb") as stream:
        np.testing.assert_array_equal(hdf5.open_root(stream, Budget(2**30))["x"].read(), NUMBERS, strict=True)


def test_floats_of_sizes_that_nobody_computes_in_are_refused(tmp_path):
    with_floats(tmp_path / "eight bits", 1, (7, 3, 4, 0, 3), 7)
    with h5py.File(tmp_path / "long", "w") as file:
        file["x"] = NUMBERS.astype(np.longdouble)
    for path in tmp_path.iterdir():
        with open(path, "rb") as stream, pytest.raises(gw.FileError, match="x holds odd floats, not numbers"):
            hdf5.open_root(stream, Budget(2**30))["x"].read()


@pytest.mark.parametrize(("offset", "precision"), [(4, 20), (0, 20)])
def test_whole_numbers_that_fill_a_part_of_their_bytes_are_refused(offset, precision, tmp_path):
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(precision)
    kind.set_offset(offset)
    with h5py.File(tmp_path / "file", "w") as file:
        dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([-1, 2, 3], "i4"))
    with open(tmp_path / "file", "rb") as stream, pytest.raises(gw.FileError, match="x holds integers of odd sizes"):
        hdf5.open_root(stream, Budget(2**30))["x"].read()
