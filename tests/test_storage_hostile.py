"""Small files made to be expensive, or to bring out others' errors: NumPy's, and our own safetensors."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from contextlib import contextmanager

import cases
import numpy as np
import pytest
from pairwise import pairs
from safetensors.numpy import save_file

import gatewise as gw
from gatewise import cli
from gatewise.files import storage

pytestmark = pytest.mark.usefixtures("small_budgets")
LOADERS = (gw.load, gw.load_network, gw.inspect)


@contextmanager
def taking_at_most(count):
    """Fail if the block takes more memory than so many bytes."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < count


# NumPy's files.

HEADERS = {
    "an end within a string": "{'descr': '<f4",
    "an end within three quotes": "'''",
    "an end within brackets": "{'descr': ('<f4', (",
    "brackets": "(" * 9000,
    "closed brackets": "[" * 4000 + "]" * 4000,
    "signs": "-" * 9000 + "1",
    "a sum": "+1" * 4000,
    "a power": "{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9,)}",
    "a long number": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
    "a backslash": "\\\n",
    "an odd indentation": "  1\n 2",
    "a NUL": "{'descr': '<f4',\0 'fortran_order': False, 'shape': (1,)}",
    "no text": "\xff\xfe\xfd",
    "a name": "{'descr': x, 'fortran_order': False, 'shape': (1,)}",
    "a call": "__import__('os').abort()",
    "nothing": "",
    "another key": "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
    "a type in types": "{'descr': [('a', [('a', [('a', '<f4')])])], 'fortran_order': False, 'shape': (1,)}",
    "a shape that is no tuple": "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
    "a negative axis": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    "an axis too long beside none": f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**62})}}",
    "an axis beyond every integer": f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**70})}}",
    "an axis that is no number": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "too many axes": f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 200}}}",
}


def npy(header, version=1):
    text = header.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(64)


@pairs(case=HEADERS, version=[1, 2, 3], thin=True)
def test_a_damaged_header_of_an_npy_file_is_one_sentence_wherever_it_is_read(case, version, tmp_path, capsys):
    path, archive, model = tmp_path / "x.npy", tmp_path / "x.npz", tmp_path / "lstm.safetensors"
    path.write_bytes(npy(HEADERS[case], version))
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("x.npy", path.read_bytes())
    gw.save(gw.LSTM(2, 3, rng=0), model)
    for read in (storage.read_npy, *LOADERS):
        with pytest.raises(gw.FileError) as caught:
            read(path)
        cases.one_sentence(caught.value, "x.npy")
    with pytest.raises(gw.FileError) as caught:
        storage.read_npz(archive, ["x"])
    cases.one_sentence(caught.value, "x.npz", "'x'")
    for given in (path, archive)[: 2 if version == 1 else 0]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["trace", str(model), str(given), "--output", str(tmp_path / "out.safetensors")])
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert said.count("\n") == 1
        assert given.name in said


def test_zeros_packed_in_an_npz_file_are_refused_before_they_are_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(2**22, np.float32), y=np.ones(3))
    with taking_at_most(5 * 2**19):
        with pytest.raises(
            gw.FileError, match=r"'x' would bring what it takes to 16 MiB .* np\.savez stores"
        ) as caught:
            storage.read_npz(tmp_path / "x.npz", ["y", "x"])
        cases.one_sentence(caught.value)


def test_all_members_of_an_npz_file_count_together(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **{f"x{n}": np.zeros(2**19, np.float32) for n in range(10)})
    with taking_at_most(25 * 2**19), pytest.raises(gw.FileError, match="'x4' would bring"):
        storage.read_npz(tmp_path / "x.npz", [f"x{n}" for n in range(10)])


def test_a_member_read_many_times_counts_each_time(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(2**19, np.float32))
    with taking_at_most(25 * 2**19), pytest.raises(gw.FileError, match="'x' would bring"):
        storage.read_npz(tmp_path / "x.npz", ["x"] * 10)


@pairs(order=["C", "F"], kind=["<f4", ">f8", "?", "<c8"], shape=[(), (0, 3), (3, 400, 500)])
def test_what_is_packed_is_read_as_it_was_and_takes_little_more_than_its_own_memory(order, kind, shape, tmp_path):
    array = np.asarray(np.random.default_rng(0).normal(size=shape).astype(kind), order=order)
    np.savez_compressed(tmp_path / "x.npz", x=array)
    with taking_at_most(array.nbytes + 3 * 2**20):
        found = storage.read_npz(tmp_path / "x.npz", ["x"])["x"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert not found.flags.writeable


# gatewise's own.


@pytest.mark.parametrize("filling", ["{},", "[],", '"",', '"a":0,'])
def test_a_header_of_little_but_structure_takes_no_more_than_a_file_may(filling, tmp_path):
    text = ("{" if ":" in filling else '{"a":[') + filling * (312_500 // len(filling))
    text = text.rstrip(",") + ("}" if ":" in filling else "]}")
    save_file({"a": np.zeros(1)}, tmp_path / "file", metadata={"gatewise": text})
    for load in LOADERS:
        with taking_at_most(19 * 2**20), pytest.raises(gw.FileError) as caught:
            load(tmp_path / "file")
        cases.one_sentence(caught.value, "file")


def test_an_axis_too_long_beside_none_is_one_sentence(tmp_path):
    target = io.BytesIO()
    head = (
        b'{"__metadata__":{"gatewise":"{}"},"a":{"dtype":"F32","shape":[0,4611686018427387904],"data_offsets":[0,0]}}'
    )
    target.write(len(head).to_bytes(8, "little") + head)
    (tmp_path / "file").write_bytes(target.getvalue())
    for load in LOADERS:
        with pytest.raises(gw.FileError) as caught:
            load(tmp_path / "file")
        cases.one_sentence(caught.value, "file")
