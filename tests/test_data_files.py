"""Data files cost what they deserve: what is hostile, odd or truncated is refused in one sentence with its name."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import cases
import numpy as np
import pytest
from data_files import FILES, SELECTION, WRITERS, read_data, scales
from hostile.row import taking_at_most
from program import environment

import gatewise as gw
from gatewise.interop import json_models
from gatewise.opening.columns import AttributeTable
from gatewise.playground.lesson_file import lesson_document
from gatewise.reporting.tokens import read_vocabulary

h5py = pytest.importorskip("h5py")
scipy = pytest.importorskip("scipy.io")


@pytest.mark.parametrize("name", FILES)
def test_each_kind_is_read_as_it_was_written(name, tmp_path):
    WRITERS[name](tmp_path / name)
    data = read_data(tmp_path / name).single
    np.testing.assert_allclose(data.values[:, :2], FILES[name], atol=1e-4)
    if name.endswith(".nc"):
        assert data.features == SELECTION.names
        assert [*map(str, data.labels.times[:2])] == ["2000-01-01", "2000-01-02"]


@pytest.mark.parametrize("name", FILES)
def test_what_is_cut_off_is_refused_by_name(name, tmp_path):
    WRITERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (0, 1, 3, 5, 11, 40, 100, len(whole) // 2, len(whole) - 2000):
        (tmp_path / name).write_bytes(whole[:length])
        if name.endswith(".csv") and length > 5:
            continue  # a shorter table
        with pytest.raises(gw.GatewiseError) as caught:
            read_data(tmp_path / name)
        cases.one_sentence(caught.value, name)
        assert "install" not in str(caught.value)


# Costs.


def bomb(path, header):
    """Write an archive whose member is a MiB of zeros behind a header of NumPy's that claims to be as long."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\2\0" + struct.pack("<I", header) + bytes(2**25))


def with_other_packing(path, method):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", b"\x93NUMPY")


def changed(name, place, new):
    """Return a writer of a file with other bytes at a place."""

    def write(path):
        WRITERS[name](path)
        data = path.read_bytes()
        at = place(data)
        path.write_bytes(data[:at] + new + data[at + len(new) :])

    return write


def at_records(data):
    return 4


def at_length(data):
    return 24  # of the first dimension


def in_hdf5(write):
    """Return a writer of an HDF5 file with the variables of the network, to which `write` adds or changes one."""

    def write_file(path):
        with h5py.File(path, "w") as file:
            scales(file)
            del file["a"]
            write(file, path)

    return write_file


def packed(file, path):
    file.create_dataset("a", (2**26,), "f8", chunks=(2**20,), compression="gzip", fillvalue=0)
    file["a"].id.write_direct_chunk((0,), __import__("zlib").compress(bytes(2**23)))


def external(file, path):
    (path.parent / "secret.bin").write_bytes(bytes(2400))
    file.create_dataset("a", (300,), "f8", external=[(str(path.parent / "secret.bin"), 0, 2400)])


def virtual(file, path):
    layout = h5py.VirtualLayout((300,), "f8")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "a", (300,))
    file.create_virtual_dataset("a", layout)


def linked(file, path):
    file["a"] = h5py.ExternalLink("other.h5", "/a")


def soft(file, path):
    file["a"] = h5py.SoftLink("/b")


def lzf(file, path):
    file.create_dataset("a", data=np.arange(300.0), compression="lzf")


def records(file, path):
    file.create_dataset("a", data=np.zeros(300, [("x", "f4")]))


def group(file, path):
    file.create_group("a")


def two_axes(file, path):
    file.create_dataset("a", data=np.zeros((300, 2)))


def attribute(key, value, dtype=None):
    """Return a writer of the variable a with an attribute."""

    def write(file, path):
        file.create_dataset("a", data=np.arange(300.0)).attrs.create(key, value, dtype=dtype)

    return write


HOSTILE = {
    "a header as long as a packed file.npz": (lambda path: bomb(path, 2**25), "its header makes no sense"),
    "a member packed by bzip2.npz": (lambda path: with_other_packing(path, zipfile.ZIP_BZIP2), "packed by method 12"),
    "a member packed by lzma.npz": (lambda path: with_other_packing(path, zipfile.ZIP_LZMA), "packed by method 14"),
    "more samples than there are.wav": (
        changed("sound.wav", lambda data: data.index(b"data") + 4, struct.pack("<I", 2**31)),
        "should have 2,147,483,648 bytes",
    ),
    "no channels.wav": (changed("sound.wav", lambda data: 22, b"\0\0"), "bits in the format"),
    "samples of another format.wav": (changed("sound.wav", lambda data: 20, b"\7\0"), "in the format 7"),
    "more records than there are.nc": (
        changed("records.nc", at_records, struct.pack(">I", 2**31 - 1)),
        "is said to end at byte",
    ),
    "a dimension beyond its end.nc": (changed("classic.nc", at_length, struct.pack(">I", 2**31 - 1)), "said to end at"),
    "a chunk that packs much.nc": (in_hdf5(packed), "a would bring what it takes to 512 MiB"),
    "numbers in another file.nc": (in_hdf5(external), "in another file, which is not followed"),
    "a view of other files.nc": (in_hdf5(virtual), "is stored as a view of others"),
    "an external link.nc": (in_hdf5(linked), "'a' is a external link, which is not followed"),
    "a soft link.nc": (in_hdf5(soft), "'a' is a soft link, which is not followed"),
    "an unknown filter.nc": (in_hdf5(lzf), "compressed by filter 32000"),
    "no numbers.nc": (in_hdf5(records), "holds records, not numbers"),
    "a group.nc": (in_hdf5(group), "is a group, not a variable"),
    "dimensions that are text.nc": (in_hdf5(attribute("DIMENSION_LIST", "abc")), "does not refer to dimensions"),
    "dimensions that are numbers.nc": (in_hdf5(attribute("DIMENSION_LIST", [1, 2])), "does not refer to dimensions"),
    "dimensions that are texts.nc": (in_hdf5(attribute("DIMENSION_LIST", ["a"])), "does not refer to dimensions"),
    "a class that is an array.nc": (in_hdf5(attribute("CLASS", [1, 2, 3])), "over one dimension"),
    "a complex factor.nc": (in_hdf5(attribute("scale_factor", 1j)), "scale_factor of 'a' has a type"),
    "a fill value that is a record.nc": (in_hdf5(attribute("_FillValue", np.zeros((), "f8,i4"))), "_FillValue of 'a'"),
    "two dimensions.nc": (in_hdf5(two_axes), "over one dimension"),
    "a cell of digits.csv": (lambda path: path.write_text("1" * 130_000 + "x,2\n3,4\n"), "which is not a number"),
    "a long cell.csv": (lambda path: path.write_text("1" * 140_000 + ",2\n"), "field larger than field limit"),
    "a wide row.csv": (lambda path: path.write_text("1," * 90_000 + "1\n2,3\n"), "has 2 entries, not 90001"),
    "no table.csv": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "it is not text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence_and_costs_little(name, tmp_path):
    write, answer = HOSTILE[name]
    write(tmp_path / name)
    WRITERS["classic.nc"](tmp_path / "warm.nc")
    read_data(tmp_path / "warm.nc")  # which imports what is imported
    with taking_at_most(30 * 2**20), pytest.raises(gw.GatewiseError, match=answer) as caught:
        read_data(tmp_path / name)
    cases.one_sentence(caught.value, name)
    assert "install" not in str(caught.value)


def test_a_table_takes_less_than_its_budget(tmp_path):
    path = tmp_path / "digits.csv"
    for text in ("1\n" * 9000, "x,y\n" + "a,1\n" * 6000, "1;2\n" * 3000 + "1,5;2\n" * 3000):
        path.write_text(text)
        with taking_at_most(32 * len(text)):
            read_data(path)


@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.peers)])
@pytest.mark.parametrize("name", ["classic.nc", "hdf5.nc"])
def test_other_variables_cost_nothing(name, count, tmp_path):
    from xarray import Dataset

    others = {f"v{number}": ("date", np.zeros(5000, np.float32)) for number in range(count)}
    if name == "classic.nc":
        series = {key: ("date", np.arange(5000.0)) for key in SELECTION.names}
        Dataset(others | series).to_netcdf(tmp_path / name, engine="scipy")
    else:
        with h5py.File(tmp_path / name, "w") as file:
            for key in (*others, *SELECTION.names):
                file[key] = np.arange(5000.0)
    with taking_at_most(2**20 if count == 200 else 2**22):  # of 4 and 100 MB; a name and its place take some bytes
        data = read_data(tmp_path / name).single
    np.testing.assert_array_equal(data.values, np.stack([np.arange(5000.0)] * 2, axis=-1))
    assert "v0, v1" in data.notes[0]


def length_alone(file, **options):
    """Write a dimension without values into an open HDF5 file, as netCDF-4 does, and return its scale."""
    scale = file.create_dataset("date", (0 if "maxshape" in options else 20,), "f4", **options)
    scale.make_scale(f"This is a netCDF dimension but not a netCDF variable{20:10d}")
    return scale


@pytest.mark.parametrize("options", [{}, {"maxshape": (None,), "chunks": (8,)}])
def test_a_dimension_without_values_counts_its_steps(options, tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        scale = length_alone(file, **options)
        for name in "ab":
            file.create_dataset(name, data=np.arange(20.0), **options).dims[0].attach_scale(scale)
        file["other"], file["crs"], file["type"] = np.zeros(3), 1, np.dtype("f8")
        file.create_group("more")
    data = read_data(tmp_path / "x.nc").single
    assert data.times == tuple(map(str, range(20)))
    np.testing.assert_array_equal(data.values[:, 0], np.arange(20))
    assert data.notes[0].endswith("other left out, which the network does not take")
    assert "date" not in data.notes[0]


@pytest.mark.parametrize("steps", [0, 15])
def test_a_variable_that_was_written_less_far_is_filled_up(steps, tmp_path):
    options = {"maxshape": (None,), "chunks": (8,), "fillvalue": -1.0}
    with h5py.File(tmp_path / "x.nc", "w") as file:
        scale = length_alone(file, maxshape=(None,), chunks=(8,))
        for name, count in (("a", 20), ("b", steps)):
            series = file.create_dataset(name, data=np.arange(float(count)), **options)
            series.attrs["_FillValue"] = -1.0
            series.dims[0].attach_scale(scale)
    values = read_data(tmp_path / "x.nc").single.values
    np.testing.assert_array_equal(values[:, 1], [*range(steps), *[np.nan] * (20 - steps)])


def test_variables_of_one_length_only_are_not_filled_up(tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        scales(file)
        del file["a"]
        file.create_dataset("a", data=np.arange(20.0)).dims[0].attach_scale(file["date"])
    with pytest.raises(gw.FileError, match=r"x\.nc"):
        read_data(tmp_path / "x.nc")


def test_a_large_variable_that_was_never_written_has_its_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        file["a"] = np.zeros(40_000)
        file.create_dataset("b", (40_000,), "f8", fillvalue=7.0)
    assert (read_data(tmp_path / "x.nc").single.values == (0, 7)).all()


@pytest.mark.thorough
def test_no_package_is_said_to_be_missing_but_xarray(tmp_path):
    """As where no engine of xarray's is installed, nor SciPy."""
    for name in ("classic.nc", "hdf5.nc", "sound.wav"):
        WRITERS[name](tmp_path / name)
    code = """
        import sys
        for name in ("scipy", "netCDF4", "h5netcdf", "h5py", "cftime"):
            sys.modules[name] = None
        from pathlib import Path
        from data_files import read_data
        for name in ("classic.nc", "hdf5.nc", "sound.wav"):
            print(len(read_data(Path(name)).single.values))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["300"] * 3, done.stderr


# What is no ordinary file.

ENDINGS = ("csv", "npy", "npz", "nc", "wav")


def odd_places(folder):
    """Yield names of what no data can be read from, whatever they end with."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    yield from (str(folder / "folder"), str(folder / "pipe"), "/dev/zero", "/dev/null", "/proc/self/mem", "/proc/kmsg")
    yield from ("/proc/self/pagemap", "/proc/self/attr/current", str(folder / "loop"), "/nowhere/at/all")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_ordinary_file_is_refused_by_name(ending, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, target in enumerate(odd_places(tmp_path)):
        path = Path(f"{number}.{ending}")
        path.symlink_to(target)
        for read in (read_data, gw.inspect):
            with pytest.raises(gw.GatewiseError) as caught:
                read(path)
            cases.one_sentence(caught.value, path.name)
    for name in (f"{'x' * 300}.{ending}", f"nul\0.{ending}"):
        with pytest.raises(gw.GatewiseError) as caught:
            read_data(Path(name))
        cases.one_sentence(caught.value)


JSON_READERS = {
    "words": lambda path: read_vocabulary(path),
    "a lesson": lambda path: lesson_document(path, "en"),
    "a model": lambda path: json_models.contents(path, {}),
    "attributes": lambda path: AttributeTable.of(path),
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
@pytest.mark.parametrize("name", JSON_READERS)
def test_no_other_reader_waits_for_the_system_s_own_files_or_raises_its_errors(name, tmp_path):
    for target in ("/proc/self/mem", "/proc/kmsg", "/proc/self/attr/current"):  # no such address; no end; not open
        path = tmp_path / "x.json"
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(gw.FileError) as caught:
            JSON_READERS[name](path)
        cases.one_sentence(caught.value, path.name)


@pytest.mark.skipif(sys.platform != "linux", reason="root may read every file, unless it is somebody else meanwhile")
@pytest.mark.parametrize("name", FILES)
def test_a_file_without_permission_is_refused_by_name(name, tmp_path):
    WRITERS[name](tmp_path / name)
    read_data(tmp_path / name)  # which imports what is imported
    (tmp_path / name).chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(gw.FileError) as caught:
            read_data(tmp_path / name)
    finally:
        os.seteuid(user)
    cases.one_sentence(caught.value, name)
