"""PyTorch models in several files, and weights that are computed from others: read as one model, or refused by name."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from fuzzing import SOME, everything, fuzz, in_json
from safetensors.numpy import save_file

import gatewise as gw
from gatewise.interop import torch
from gatewise.interop.torch.writing import write_archive

NAMES = {"safetensors": "model.safetensors.index.json", "bin": "pytorch_model.bin.index.json"}


def sharded(folder, kind, places=None):
    """Write an LSTM whose tensors lie in two files by turns, and return it with the path of its index."""
    lstm = gw.LSTM(3, 4, num_layers=2, rng=0)
    arrays = {f"rnn.{name}": array for name, array in torch.state_dict(lstm).items()}
    where = {name: f"model-0000{number % 2 + 1}-of-00002.{kind}" for number, name in enumerate(arrays)}
    for shard in dict.fromkeys(where.values()):
        held = {name: array for name, array in arrays.items() if where[name] == shard}
        (save_file if kind == "safetensors" else lambda some, path: write_archive(path, some))(held, folder / shard)
    index = {"metadata": {"total_size": 1}, "weight_map": where | (places or {})}
    (folder / NAMES[kind]).write_text(json.dumps(index))
    return lstm, folder / NAMES[kind]


@pytest.mark.parametrize("kind", NAMES)
def test_an_lstm_may_lie_across_the_files_of_an_index(kind, tmp_path):
    lstm, index = sharded(tmp_path, kind)
    for path in (index, tmp_path, os.fspath(tmp_path)):  # the folder as well
        found = gw.inspect(path)
        assert found.format.endswith("in 2 files")
        (one,) = found.lstms
        for name, array in torch.state_dict(one.lstm).items():
            np.testing.assert_array_equal(array, torch.state_dict(lstm)[name])


def test_one_file_of_several_leads_to_the_index(tmp_path):
    sharded(tmp_path, "safetensors")
    with pytest.raises(gw.FileError, match="it is one of 2 files of a model, and an LSTM may be in several"):
        gw.load(tmp_path / "model-00001-of-00002.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_one_file_of_weights_is_read_as_that_file(name, tmp_path):
    torch.write(gw.LSTM(3, 4, rng=0), tmp_path / name)
    assert gw.inspect(tmp_path).path == str(tmp_path / name)
    assert gw.load(tmp_path).input_size == 3


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("model-00003-of-00003.safetensors", "is missing beside the model"),
        ("../outside.safetensors", "is no path within the model's folder"),
        ("link.safetensors", "leads out of the model's folder"),  # test_onnx_external.py has other ways
        ("model-00001-of-00002.safetensors", "which does not have it"),
        ("text.safetensors", "but it"),
        ("\x1b[31m\n" * 300, "which is missing"),
        (7, "not the name of a file"),
        (["a"], "not the name of a file"),
    ],
)
def test_what_an_index_may_not_name_is_refused_in_one_sentence(place, words, tmp_path):
    (tmp_path / "model").mkdir()
    outside = tmp_path / "outside.safetensors"
    save_file({"rnn.extra": np.ones(3, np.float32)}, outside)
    (tmp_path / "model" / "link.safetensors").symlink_to(outside)
    (tmp_path / "model" / "text.safetensors").write_text("no tensors")
    _, index = sharded(tmp_path / "model", "safetensors", {"rnn.extra": place})
    with pytest.raises(gw.FileError, match=words) as caught:
        gw.inspect(index)
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("index", ['{"weight_map": []}', '{"weight_map": {"a', '["weight_map"]', '{"weight_map": {}}'])
def test_an_index_that_is_none_is_refused_in_one_sentence(index, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(gw.FileError):
        gw.inspect(tmp_path).pick()


CACHE = "models--one--model/snapshots/abc"  # as Hugging Face's hub lays out what it loads


@pytest.mark.parametrize(
    ("folder", "blob", "allowed"),
    [
        (CACHE, "models--one--model/blobs/1f", True),
        (CACHE, "models--one--model/snapshots/abc/other/1f", True),
        (f"{CACHE}/inner", "models--one--model/blobs/1f", True),
        (CACHE, "models--one--model/1f", False),
        (CACHE, "models--other--model/blobs/1f", False),
        ("snapshots/abc", "blobs/1f", False),
        ("model", "model/weights/1f", True),
        ("model", "elsewhere/1f", False),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_the_weights_of_a_folder_may_be_links_within_it_or_its_cache(folder, blob, allowed, parts, tmp_path):
    model = tmp_path / folder
    model.mkdir(parents=True)
    if parts == 1:
        torch.write(gw.LSTM(3, 4, rng=0), model / "model.safetensors")
    else:
        sharded(model, "safetensors")
    for path in list(model.iterdir()):
        target = tmp_path / f"{blob}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        path.symlink_to(target)
    if allowed:
        assert gw.load(model).input_size == 3
    else:
        with pytest.raises(gw.FileError, match="leads out of the model's folder"):
            gw.load(model)


def spoil(folder, count=SOME, seed=0):
    """Read so many spoiled indices, beside intact files."""
    _, index = sharded(folder, "safetensors")
    return fuzz([index.read_bytes()], everything, count, folder, seed=seed, also=[in_json])


# Weights that are computed from others.


def normed(array, dim):
    """Return g and v of weight_norm, which g · v / ‖v‖ makes an array again."""
    v = 3 * array
    axes = tuple(axis for axis in range(array.ndim) if axis != dim)
    return np.sqrt(np.square(array).sum(axis=axes if dim is not None else None, keepdims=dim is not None)), v


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("names", ["{0}_g {0}_v", "parametrizations.{0}.original0 parametrizations.{0}.original1"])
def test_weight_norm_is_undone(names, dim, tmp_path):
    lstm = gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    arrays = torch.state_dict(lstm)
    for name in ("weight_hh_l0", "weight_ih_l1_reverse"):
        parts = names.format(name).split()
        arrays |= {one: np.array(part) for one, part in zip(parts, normed(arrays.pop(name), dim), strict=True)}
    write_archive(tmp_path / "model.pt", {f"rnn.{name}": array for name, array in arrays.items()})
    (found,) = gw.inspect(tmp_path / "model.pt").lstms
    assert found.notes[0].startswith("weight_norm")
    for name, array in torch.state_dict(found.lstm).items():
        np.testing.assert_allclose(array, torch.state_dict(lstm)[name], rtol=1e-14)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (("weight_hh_l0_orig", "weight_hh_l0_u", "weight_hh_l0_v"), "spectral_norm"),
        (("weight_hh_l0_orig", "weight_hh_l0_mask"), "pruning"),
        (("parametrizations.weight_hh_l0.original", "parametrizations.weight_hh_l0.0._u",
          "parametrizations.weight_hh_l0.0._v"), "spectral_norm"),
        (("parametrizations.weight_hh_l0.original", "parametrizations.weight_hh_l0.0.base"), "does not name"),
        (("parametrizations.weight_hh_l0.original0",), "does not name"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "rnn."])
def test_other_parametrizations_are_refused_by_name(ends, words, prefix, tmp_path):
    arrays = torch.state_dict(gw.LSTM(3, 4, rng=0))
    weight = arrays.pop("weight_hh_l0")
    arrays |= dict.fromkeys(ends, weight)
    write_archive(tmp_path / "model.pt", {f"{prefix}{name}": array for name, array in arrays.items()})
    contents = gw.inspect(tmp_path / "model.pt")
    assert not contents.lstms
    (refused,) = contents.refused
    assert f"{prefix}weight_hh_l0: it is computed by" in refused.reason
    assert words in refused.reason
