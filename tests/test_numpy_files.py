"""NumPy's files: arrays by PyTorch's names are read, whatever holds them; objects are never built."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from cases import Calls
from fuzzing import SOME, everything, fuzz, in_archive
from hostile.row import taking_at_most
from pairwise import pairs

import gatewise as gw
from gatewise.files import storage
from gatewise.interop import torch

LSTM = gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)
EVIL = Calls(os.mkdir, "made by a pickle")
ARRAYS = {f"rnn.{name}": array for name, array in torch.state_dict(LSTM).items()}


def python_2(arrays):
    """Return a dictionary of float32 as Python 2's protocol 0 has it: the bytes in quotes, with escapes."""

    def text(data):
        return b"S'" + b"".join(b"\\x%02x" % one if not 97 <= one <= 122 else bytes([one]) for one in data) + b"'\n"

    parts = [b"(d"]
    for name, array in arrays.items():
        shape = b"(" + b"".join(b"I%d\n" % n for n in array.shape) + b"t"
        parts += [text(name.encode()), b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"]
        parts += [shape, b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n", text(array.tobytes())]
        parts.append(b"tbs")
    return b"".join(parts) + b"."


def save_object(path, content):
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


WAYS = {
    "weights.npz": lambda path: np.savez(path, **ARRAYS),
    "packed.npz": lambda path: np.savez_compressed(path, **ARRAYS),
    "fortran.npz": lambda path: np.savez(path, **{name: np.asfortranarray(one) for name, one in ARRAYS.items()}),
    "big.npz": lambda path: np.savez(path, **{name: one.astype(">f4") for name, one in ARRAYS.items()}),
    "weights.npy": lambda path: save_object(path, ARRAYS),
    "nested.npy": lambda path: save_object(path, {"model": ARRAYS, "optimizer": EVIL}),
    "inside.npz": lambda path: np.savez(path, model=np.array(ARRAYS, dtype=object)),
    "weights.pkl": lambda path: path.write_bytes(pickle.dumps(ARRAYS)),
    "python2.pkl": lambda path: path.write_bytes(python_2(ARRAYS)),
}


@pytest.mark.parametrize("name", WAYS)
def test_arrays_by_pytorchs_names_are_an_lstm(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    WAYS[name](tmp_path / name)
    (found,) = gw.inspect(name).lstms
    for key, array in torch.state_dict(found.lstm).items():
        np.testing.assert_array_equal(array, ARRAYS[f"rnn.{key}"], strict=True)
    assert not os.path.exists("made by a pickle")


def test_the_first_bytes_tell_and_not_the_name(tmp_path):
    np.savez(tmp_path / "weights.npz", **ARRAYS)
    (tmp_path / "weights.npz").rename(tmp_path / "weights.pt")
    assert gw.inspect(tmp_path / "weights.pt").format == "NumPy"


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("one.npy", lambda path: np.save(path, np.ones((16, 3))), r"one array of shape \(16, 3\).*np\.savez"),
        ("record.npy", lambda path: np.save(path, np.zeros(2, [("a", "f4"), ("b", "f4", 3)])), "must be numbers"),
        ("text.npy", lambda path: np.save(path, np.array(["a"])), "must be numbers"),
        ("object.npy", lambda path: save_object(path, {"a": 1}), r"Python objects \(a dictionary of 1 key \(a\)\)"),
        ("evil.npy", lambda path: save_object(path, EVIL), r"Python objects .*which gatewise never builds"),
        ("several.npy", lambda path: np.save(path, np.array([{}, None], object)), "2 of them"),
        ("numbered.npz", lambda path: np.savez(path, *ARRAYS.values()), r"none of its 16 arrays .*weight_ih_l0"),
        ("whole.npz", lambda path: np.savez(path, **{k: v.astype(int) for k, v in ARRAYS.items()}), "not floating"),
        ("trace.npz", lambda path: np.savez(path, **{"layer0.forward.forget_gate": 1.0}), "gatewise trace wrote"),
    ],
)
def test_what_holds_no_lstm_is_refused_with_the_way_out(name, make, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    with pytest.raises(gw.FileError, match=words) as caught:
        gw.load(name)
    assert len(str(caught.value)) <= 500
    assert not os.path.exists("made by a pickle")


def test_an_archive_of_zeros_costs_no_more_than_it_deserves(tmp_path, small_budgets):
    zeros = np.zeros((4 * 800, 800), np.float32)
    np.savez_compressed(tmp_path / "zeros.npz", weight_ih_l0=zeros, weight_hh_l0=zeros)
    with pytest.raises(gw.FileError, match="are allowed for a file of"):
        gw.load(tmp_path / "zeros.npz")


SUBJECTS = {"whole": ("weights.npz", "weights.npy", "python2.pkl"), "members": ("weights.npz",)}


def spoil(kind, folder, count=SOME, seed=0):
    """Read so many spoiled files of NumPy's."""
    subjects = []
    for name in SUBJECTS[kind]:
        WAYS[name](folder / name)
        subjects.append((folder / name).read_bytes())
        (folder / name).unlink()
    return fuzz(subjects, everything, count, folder, seed=seed, also=[in_archive] * (kind == "members"))


def test_an_array_of_objects_is_named_and_one_array_is_no_plural(tmp_path):
    np.savez(tmp_path / "a.npz", odd=np.array([{1, 2}, {3}], dtype=object))
    with pytest.raises(gw.FileError, match=r"'odd' in it: .*Pass each array to np.savez by itself"):
        gw.inspect(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", odd=np.zeros(3))
    with pytest.raises(gw.FileError, match="its only array has not a name of an LSTM's \\(odd\\)"):
        gw.inspect(tmp_path / "b.npz")


@pairs(order=["C", "F"], kind=["<f4", ">f8", "?", "<c8"], shape=[(), (0, 3), (3, 400, 500)])
def test_what_is_packed_is_read_as_it_was_and_takes_little_more_than_its_own_memory(order, kind, shape, tmp_path):
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape).astype(kind), order=order)  # packed at once
    np.savez_compressed(tmp_path / "x.npz", x=array)
    with taking_at_most(array.nbytes + 3 * 2**20):
        found = storage.read_npz(tmp_path / "x.npz", ["x"])["x"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert not found.flags.writeable
