"""A file of every kind that docs/supported.md names: what it is read as, or in which words it is refused.

A new kind is an entry of `ROWS`, or of `PEER_ROWS` if a framework has to write it, and of `READ` or the page's list.
"""

from __future__ import annotations

import gzip
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import madmom_models as madmom
import numpy as np
import pytest

import gatewise as gw
from gatewise.interop import torch
from gatewise.interop.torch.writing import write_archive
from tests import test_numpy_files, test_torch_files, test_torch_sharded

PAGE = Path(__file__).parents[1] / "docs" / "supported.md"
LSTM = gw.LSTM(3, 4, rng=0)
ARRAYS = {f"rnn.{name}": array for name, array in torch.state_dict(LSTM).items()}
CHANCE = np.random.default_rng(0)
TABLE = bytes(40) + bytes.fromhex("57fb808b247547db")  # how a table of LevelDB's ends
OPERATOR = b"\x0a\x05\x0a\x03Add"  # a list of one operator


def renamed(**others):
    """Return arrays of an LSTM in which some are others, by the end of their names."""
    return {name: array for name, array in ARRAYS.items() if name.removeprefix("rnn.") not in others} | {
        f"rnn.{name}": array for parts in others.values() for name, array in parts.items()
    }


def message(tag, content):
    """Return a field of Protocol Buffers that holds bytes."""
    return bytes([tag, len(content)]) + content


def sharded(path, kind):
    path.parent.mkdir(exist_ok=True)
    test_torch_sharded.sharded(path.parent, kind)


def folder(path, **files):
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)


def compiled(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("compiled/data/aotinductor/model/code.so", b"")


def openvino(path):
    path.with_suffix(".xml").write_text('<?xml version="1.0"?>\n<net name="Model0" version="11">\n</net>')
    path.with_suffix(".bin").write_bytes(bytes(64))


SAVED_MODEL = b"\x08\x01" + message(0x12, message(0x0A, message(0x12, OPERATOR)))
G, V = test_torch_sharded.normed(ARRAYS["rnn.weight_hh_l0"], 0)
NORMED = renamed(weight_hh_l0={"weight_hh_l0_g": G, "weight_hh_l0_v": V})
SPECTRAL = renamed(weight_hh_l0={"weight_hh_l0_orig": V, "weight_hh_l0_u": G[:, 0], "weight_hh_l0_v": V[0]})
GRU = {"rnn.weight_ih_l0": np.ones((12, 3), np.float32), "rnn.weight_hh_l0": np.ones((12, 4), np.float32)}

ROWS: dict[str, Callable[[Path], object]] = {
    "model.safetensors (gatewise)": lambda path: gw.save(LSTM, path),
    "state_dict.pt": lambda path: write_archive(path, ARRAYS),
    "before_1_6.pth": lambda path: path.write_bytes(test_torch_files.stream(ARRAYS)),
    "model.safetensors": lambda path: test_torch_sharded.save_file(ARRAYS, path),
    "model.safetensors.index.json": lambda path: sharded(path, "safetensors"),
    "pytorch_model.bin.index.json": lambda path: sharded(path, "bin"),
    "model-00001-of-00002.safetensors": lambda path: sharded(path, "safetensors"),
    "folder/": lambda path: sharded(path / "any", "safetensors"),
    "weight_norm.pt": lambda path: write_archive(path, NORMED),
    "spectral_norm.pt": lambda path: write_archive(path, SPECTRAL),
    "gru.pt": lambda path: write_archive(path, GRU),
    "weights.npz": lambda path: np.savez(path, **ARRAYS),
    "numbered.npz": lambda path: np.savez(path, *ARRAYS.values()),
    "weights.npy": lambda path: test_numpy_files.save_object(path, ARRAYS),
    "objects.npy": lambda path: test_numpy_files.save_object(path, {"layers": 3}),
    "array.npy": lambda path: np.save(path, ARRAYS["rnn.weight_hh_l0"]),
    "weights.pkl": lambda path: path.write_bytes(pickle.dumps(ARRAYS)),
    "madmom.pkl": lambda path: path.write_bytes(
        madmom.pickled(
            madmom.network(madmom.lstm(CHANCE, 3, 4), madmom.lstm(CHANCE, 4, 4), madmom.linear(CHANCE, 4, 1))
        )
    ),
    "madmom_gru.pkl": lambda path: path.write_bytes(madmom.pickled(madmom.network(madmom.Named("layers.GRULayer")))),
    "saved_model.pb": lambda path: path.write_bytes(SAVED_MODEL),
    "saved_model/": lambda path: folder(path, saved_model__pb=SAVED_MODEL),
    "model.ckpt.index": lambda path: path.write_bytes(TABLE),
    "model.ckpt.data-00000-of-00001": lambda path: path.write_bytes(b"\x80" + bytes(63)),
    "model.ckpt.meta": lambda path: path.write_bytes(message(0x0A, message(0x12, OPERATOR))),
    "checkpoint": lambda path: path.write_text('model_checkpoint_path: "model.ckpt"\n'),
    "checkpoint/": lambda path: folder(path, checkpoint=b'model_checkpoint_path: "model.ckpt"\n'),
    "frozen_graph.pb": lambda path: path.write_bytes(
        message(0x0A, message(0x0A, b"x") + message(0x12, b"Placeholder"))
    ),
    "model.tflite": lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(40)),
    "model.xml": openvino,
    "model.bin": openvino,
    "page.json": lambda path: path.write_text("\n<!DOCTYPE html>\n<html><body>404</body></html>"),
    "pointer.pt": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"),
    "model.pt.gz": lambda path: path.write_bytes(gzip.compress(b"model")),
    "compiled.pt2": compiled,
    "segmenter.json": lambda path: path.write_text(json.dumps({f"mat{number}": {} for number in range(1, 10)})),
    "answers.json": lambda path: path.write_text(json.dumps({"forget_gate": [0.5]})),
}


# Files that PyTorch writes.


def net():
    import torch as framework

    return framework.nn.ModuleDict(
        {"rnn": framework.nn.LSTM(3, 4, batch_first=True), "head": framework.nn.Linear(4, 1)}
    )


def scripted(path):
    import torch as framework

    framework.jit.script(framework.nn.Sequential(framework.nn.LSTM(3, 4))).save(str(path))


def frozen(path):
    import torch as framework

    framework.jit.freeze(framework.jit.script(framework.nn.Sequential(framework.nn.LSTM(3, 4)).eval())).save(str(path))


def checkpoint(path):
    import torch as framework

    held = {"state_dict": net().state_dict(), "epoch": 3, "hyper_parameters": {"hidden": 4}, "callbacks": {}}
    framework.save(held, path)


def quantised(path, whole):
    import torch as framework

    made = framework.ao.quantization.quantize_dynamic(net(), {framework.nn.LSTM}, dtype=framework.qint8)
    framework.save(made if whole else made.state_dict(), path)


def exported(path):
    import torch as framework

    class Net(framework.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = framework.nn.LSTM(3, 4)

        def forward(self, x):
            return self.rnn(x)[0]

    framework.export.save(framework.export.export(Net(), (framework.zeros(5, 2, 3),)), path)


def whole_module(path):
    import torch as framework

    framework.save(net(), path)


PEER_ROWS: dict[str, Callable[[Path], object]] = {
    "module.pt": whole_module,
    "torchscript.pt": scripted,
    "frozen.pt": frozen,
    "lightning.ckpt": checkpoint,
    "quantised.pt": lambda path: quantised(path, False),
    "quantised_module.pt": lambda path: quantised(path, True),
    "program.pt2": exported,
}


# How each is read, or why it is not.

READ = {  # as what, and the names of its LSTMs
    "model.safetensors (gatewise)": ("gatewise", ["lstm"]),
    "state_dict.pt": ("PyTorch", ["rnn"]),
    "before_1_6.pth": ("PyTorch, the form before 1.6", ["rnn"]),
    "model.safetensors": ("safetensors", ["rnn"]),
    "model.safetensors.index.json": ("safetensors, in 2 files", ["rnn"]),
    "pytorch_model.bin.index.json": ("PyTorch, in 2 files", ["rnn"]),
    "folder/": ("safetensors", ["rnn"]),
    "weight_norm.pt": ("PyTorch", ["rnn"]),
    "weights.npz": ("NumPy", ["rnn"]),
    "weights.npy": ("NumPy", ["rnn"]),
    "weights.pkl": ("pickle", ["rnn"]),
    "madmom.pkl": ("madmom", ["layers.0", "layers.1", "layers.0 → layers.1"]),
    "module.pt": ("PyTorch", ["rnn"]),
    "torchscript.pt": ("TorchScript", ["0"]),
    "lightning.ckpt": ("PyTorch", ["state_dict.rnn"]),
    "program.pt2": ("torch.export", ["rnn"]),
}


def refused():
    """Return by the name of each file in the list of the page why it is not read."""
    items = re.findall(r"^- ((?:`[^`]+`(?:, )?)+): (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: reason for names, reason in items for name in re.findall("`([^`]+)`", names)}


def hold(name, make, path):
    """Make a file, and hold what gatewise says of it against what is expected, or against the list of the page."""
    target = path / name.partition(" (")[0]
    make(target)
    if name not in READ:
        with pytest.raises(gw.FileError, match=re.escape(refused()[name].replace("`", ""))):
            gw.load(target)
        return
    contents = gw.inspect(target)
    assert contents.format.startswith(READ[name][0]), contents.format
    assert [lstm.name for lstm in contents.lstms] == READ[name][1], contents
    contents.pick()
