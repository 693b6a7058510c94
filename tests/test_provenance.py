"""The provenance of a model: the files behind it, their digests, and its epoch."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import hydrology
import numpy as np
import pytest

import gatewise as gw
from gatewise.interop.provenance import CHANGED

LSTM = gw.LSTM(3, 4, num_layers=2, rng=0)


def sha256(path: Path | str) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_model_that_was_read_has_its_file_and_the_digest_of_that(here):
    network = gw.Network(LSTM, head=gw.Linear(np.ones((1, 4), np.float32)))
    assert LSTM.provenance is network.provenance is None
    gw.save(network, "model.safetensors")
    expected = {"model_file": "model.safetensors", "model_sha256": sha256("model.safetensors")}
    for model in (gw.load("model.safetensors"), gw.load_network("model.safetensors")):
        assert model.provenance.attributes() == expected
        assert pickle.loads(pickle.dumps(model)).provenance == model.provenance
    arrays = gw.interop.torch.state_dict(gw.LSTM(3, 4, rng=0))
    head = {"fc.weight": np.ones((1, 4), np.float32), "fc.bias": np.ones(1, np.float32)}
    gw.interop.torch.write_archive("model.pt", {f"lstm.{name}": array for name, array in arrays.items()} | head)
    named = gw.load_network("model.pt", head="fc").provenance.attributes()
    assert named == {"model_file": "model.pt", "model_sha256": sha256("model.pt")}
    assert gw.load("model.safetensors").astype(np.float64).provenance is None  # they are no longer the file's numbers


def test_a_file_that_has_changed_since_is_not_taken_for_the_one_that_was_read(here):
    gw.save(LSTM, "model.safetensors")
    model = gw.load("model.safetensors")
    gw.save(gw.LSTM(3, 5, rng=0), "model.safetensors")
    assert model.provenance.attributes()["model_sha256"] == CHANGED
    Path("model.safetensors").unlink()
    assert model.provenance.attributes()["model_sha256"] == CHANGED


def test_every_file_of_a_model_in_several_has_a_digest(tmp_path):
    arrays = gw.interop.torch.state_dict(LSTM)
    for number, half in enumerate(("l0", "l1")):
        part = {name: array for name, array in arrays.items() if name.endswith(half)}
        gw.interop.torch.write_archive(tmp_path / f"part{number}.bin", part)
    index = tmp_path / "pytorch_model.bin.index.json"
    places = {name: f"part{int(name.endswith('l1'))}.bin" for name in arrays}
    index.write_text(json.dumps({"weight_map": places}))
    for path in (index, tmp_path):
        lines = gw.load(path).provenance.attributes()["model_sha256"].splitlines()
        names = [index.name, "part0.bin", "part1.bin"]
        assert lines == [f"{sha256(tmp_path / name)}  {name}" for name in names]


@pytest.mark.parametrize("epoch", [None, 3])
def test_a_run_of_neuralhydrology_states_its_epoch_and_all_files_that_were_read(epoch, tmp_path):
    pytest.importorskip("yaml")
    run = tmp_path / "run"
    hydrology.make_run(run, epochs=(3, 12))
    found = gw.load_network(run, **({} if epoch is None else {"epoch": epoch})).provenance.attributes()
    names = ["config.yml", f"model_epoch{epoch or 12:03}.pt", "train_data/train_data_scaler.yml"]
    assert found == {
        "model_file": str(run),
        "model_sha256": "\n".join(f"{sha256(run / name)}  {name}" for name in names),
        "model_epoch": epoch or 12,
    }


@pytest.mark.parametrize(("stated", "epoch"), [(7, 7), ("7", None), (-1, None), (True, None)])
def test_a_checkpoint_states_its_epoch(stated, epoch, tmp_path):
    content = {"epoch": stated, "model": gw.interop.torch.state_dict(LSTM)}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(content))
    assert gw.load(tmp_path / "model.pkl").provenance.attributes().get("model_epoch") == epoch
