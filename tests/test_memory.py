"""What reading a model takes: at most 2.2 times its weights in every format that stores them as numbers.

A model in JSON is text: Python's numbers alone take thirty-two bytes each, so that nothing of the kind can be promised.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import gatewise as gw
from gatewise import storage
from gatewise.interop import keras, onnx, torch

MOST = 2.2


def peak_of(read):
    """Return what reading takes at most, in bytes; the first time imports what it needs."""
    read()
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def weights_of(lstm):
    return sum(array.nbytes for cell in lstm.cells().values() for array in cell.parameters.arrays().values())


WRITERS = {
    "own.safetensors": gw.save,
    "torch.pt": torch.write,
    "torch.safetensors": torch.write,
    "keras.keras": keras.write,
    "keras.h5": keras.write,
    "onnx.onnx": onnx.write,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("layers", [1, 3])
def test_reading_takes_at_most_a_little_more_than_twice_the_weights(name, layers, tmp_path):
    pytest.importorskip({"keras": "h5py", "onnx": "onnx"}.get(name.partition(".")[0], "numpy"))
    lstm = gw.LSTM(700, 600, num_layers=layers, rng=0)
    path = tmp_path / name
    WRITERS[name](lstm, path)
    assert peak_of(lambda: gw.load(path)) < MOST * weights_of(lstm) + 2**20


def test_reading_a_trace_takes_little_more_than_it_holds(tmp_path):
    gw.save(gw.LSTM(20, 300, rng=0).trace(np.zeros((2000, 1, 20), np.float32)), tmp_path / "trace")
    size = (tmp_path / "trace").stat().st_size
    assert peak_of(lambda: gw.load_trace(tmp_path / "trace")) < MOST * size


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reading_an_archive_of_arrays_takes_little_more_than_they_do(save, tmp_path):
    array = np.random.default_rng(0).normal(size=(1000, 1000))
    save(tmp_path / "x.npz", x=array)
    assert peak_of(lambda: storage.read_npz(tmp_path / "x.npz", ["x"])) < 1.5 * array.nbytes
