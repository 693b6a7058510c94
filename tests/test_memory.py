"""What reading a model takes: at most 2.2 times its weights in every format that stores them as numbers.

A model in JSON is text: Python's numbers alone take thirty-two bytes each, so that nothing of the kind can be promised.

What Python takes is counted, and, where the system tells it, what the whole process takes: packages have memory of
their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from held import held
from pairwise import thinned

import gatewise as gw
from gatewise.files import storage
from gatewise.interop import keras, onnx, torch
from gatewise.interop.torch.writing import write_archive

MOST = 2.2
CLEAR = Path("/proc/self/clear_refs")


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


def write_normed(lstm, path):
    """Write a state dict whose recurrent matrices are under weight_norm."""
    arrays = torch.state_dict(lstm)
    for name in [one for one in arrays if one.startswith("weight_hh")]:
        v = arrays.pop(name)
        arrays |= {f"{name}_g": np.linalg.norm(v, axis=1, keepdims=True), f"{name}_v": v}
    write_archive(path, arrays)


WRITERS = {
    "own.safetensors": gw.save,
    "torch.pt": torch.write,
    "torch.safetensors": torch.write,
    "weight_norm.pt": write_normed,
    "numpy.npz": lambda lstm, path: np.savez(path, **torch.state_dict(lstm)),
    "keras.keras": keras.write,
    "keras.h5": keras.write,
    "onnx.onnx": onnx.write,
    "onnx gates.onnx": partial(onnx.write, gates=True),
}
NEEDED = {"keras": "h5py", "onnx": "onnx", "onnx gates": "onnx"}


@pytest.mark.parametrize("name", [one for one in WRITERS if one != "onnx gates.onnx"])
@pytest.mark.parametrize("layers", thinned([3, 1]))
def test_reading_takes_at_most_a_little_more_than_twice_the_weights(name, layers, tmp_path):
    pytest.importorskip(NEEDED.get(name.partition(".")[0], "numpy"))
    lstm = gw.LSTM(350, 300, num_layers=layers, rng=0)
    path = tmp_path / name
    WRITERS[name](lstm, path)
    assert peak_of(lambda: gw.load(path)) < MOST * weights_of(lstm) + 2**19


def _read(*pairs: str) -> None:
    """Read small files, which imports what is needed, each before a large one, and print what this one took at most."""
    for small, large in zip(pairs[::2], pairs[1::2], strict=True):
        gw.inspect(small)
        CLEAR.write_text("5")  # the most so far is forgotten
        before = held("VmRSS")
        contents = gw.inspect(large)
        assert not any(found.non_finite for found in contents.lstms)
        print(held("VmHWM") - before)
        del contents


@pytest.mark.skipif(not os.access(CLEAR, os.W_OK), reason="the system does not tell")
@pytest.mark.peers
@pytest.mark.parametrize("layers", [1, 6])
def test_the_process_takes_at_most_a_little_more_than_twice_the_weights(layers, tmp_path):
    names = [name for name in WRITERS if find_spec(NEEDED.get(name.partition(".")[0], "numpy"))]
    large = gw.LSTM(600, 600 if layers == 1 else 300, num_layers=layers, rng=0)  # 12 and 17 MB
    paths = [tmp_path / f"{size} {name}" for name in names for size in ("small", "large")]
    for number, path in enumerate(paths):
        WRITERS[names[number // 2]](large if number % 2 else gw.LSTM(3, 2, num_layers=layers, rng=0), path)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MALLOC_MMAP_THRESHOLD_": "65536",  # what is given back by one reader does not serve the next
    }
    worked = subprocess.run(
        [sys.executable, __file__, *paths], env=environment, capture_output=True, text=True, check=False
    )
    assert not worked.returncode, worked.stderr
    taken = [int(line) / weights_of(large) for line in worked.stdout.splitlines()]
    # Some pages that one reader gives back serve the next, so that one copy of the weights may seem a little less.
    assert all(0.95 < one < MOST for one in taken), dict(zip(names, taken, strict=True))
    assert len(taken) == len(names)


def test_reading_a_trace_takes_little_more_than_it_holds(tmp_path):
    gw.save(gw.LSTM(20, 300, rng=0).trace(np.zeros((1000, 1, 20), np.float32)), tmp_path / "trace")
    size = (tmp_path / "trace").stat().st_size
    assert peak_of(lambda: gw.load(tmp_path / "trace")) < MOST * size


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reading_an_archive_of_arrays_takes_little_more_than_they_do(save, tmp_path):
    array = np.random.default_rng(0).integers(0, 4, (600, 1000)).astype(float)  # which is packed in little time
    save(tmp_path / "x.npz", x=array)
    assert peak_of(lambda: storage.read_npz(tmp_path / "x.npz", ["x"])) < 1.5 * array.nbytes


if __name__ == "__main__":
    _read(*sys.argv[1:])
