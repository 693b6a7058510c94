"""Nothing that was read is replaced: in Python, in models of several files, and in stores."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import hydrology
import numpy as np
import pytest
from cases import refusal
from program import exit_code

import gatewise as gw
from gatewise.files import protecting, storage
from gatewise.interop import keras, onnx, torch

LSTM = gw.LSTM(2, 3, rng=0)
READ = "read; give the output another name"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def model(here):
    """Write a model as another program would, and return its name."""
    with protecting.protecting_inputs():
        gw.save(LSTM, "m.safetensors")
    return "m.safetensors"


# In Python.

WRITERS = {
    "m.safetensors": gw.save,
    "link.safetensors": torch.write,
    "link.pt": torch.write,
    "link.onnx": onnx.write,
    "link.keras": keras.write,
    "link.h5": keras.write,
}


@pytest.mark.parametrize("link", [os.link, os.symlink])
@pytest.mark.parametrize("name", WRITERS)
def test_a_model_that_was_read_is_replaced_only_if_that_is_asked_for(name, link, model, here):
    lstm = gw.load(model)
    if name != model:
        link(model, name)
    before = contents(here)
    with refusal(f"{READ}, or pass overwrite=True"):
        WRITERS[name](lstm, name)
    assert contents(here) == before
    WRITERS[name](lstm, name, overwrite=True)
    np.testing.assert_array_equal(gw.load(name)([[1.0, 2.0]])[0], lstm([[1.0, 2.0]])[0])


@pytest.mark.thorough
def test_no_other_output_replaces_a_model_that_was_read(model, here):
    lstm = gw.load(model)
    walk = gw.walk(lstm.trace([[1.0, 2.0]]))
    before = contents(here)
    for write in (
        gw.page().save,
        gw.report(lstm, np.ones((9, 2))).save,
        partial(walk.save, format="text"),
        partial(gw.write_c, lstm),
        lambda path: lstm.trace(np.ones((3, 2)), out=path),
    ):
        with pytest.raises(gw.FileError, match=f"{model}: this file is {READ}$"):
            write(model)
    assert contents(here) == before


def test_what_this_process_wrote_or_has_not_read_is_replaced(model):
    gw.save(LSTM, model)
    for _ in range(2):
        gw.save(LSTM, "new.safetensors")
        assert gw.load("new.safetensors") is not None


def test_a_file_that_was_removed_is_written_again(model):
    gw.load(model)
    Path(model).unlink()
    gw.save(LSTM, model)


def test_another_program_s_file_is_protected_in_the_place_of_ours(here):
    gw.save(LSTM, "m.safetensors")
    with protecting.protecting_inputs():
        gw.save(gw.LSTM(2, 3, rng=1), "m.safetensors")
    gw.load("m.safetensors")
    with refusal(READ):
        gw.save(LSTM, "m.safetensors")


def test_what_is_read_while_its_new_content_is_written_is_not_replaced(model, here):
    before = contents(here)
    with refusal(READ), storage.beside(model) as temporary:
        gw.save(gw.load(model), temporary)
    assert contents(here) == before


def test_only_so_many_files_are_remembered(here, monkeypatch):
    monkeypatch.setattr(protecting, "MAX_FILES", 3)
    with protecting.protecting_inputs():
        for number in range(9):
            Path(f"{number}.txt").touch()
            protecting.remember_read(f"{number}.txt")
        for number in range(6):
            storage.write_text(f"{number}.txt", "text")
    with protecting.protecting_inputs():
        for number in range(9):
            protecting.remember_read(f"{number}.txt")
        for number in range(6, 9):
            with refusal(READ):
                storage.write_text(f"{number}.txt", "text")


# Models of several files.


def write_sharded(folder: Path) -> Path:
    arrays = torch.state_dict(LSTM)
    places = {name: f"part{number % 2}.bin" for number, name in enumerate(arrays)}
    for part in dict.fromkeys(places.values()):
        torch.writing.write_archive(folder / part, {name: arrays[name] for name in arrays if places[name] == part})
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    return index


def write_external(folder: Path) -> Path:
    proto = onnx.write(LSTM)
    pytest.importorskip("onnx").save(
        proto, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return folder / "model.onnx"


def write_run(folder: Path) -> Path:
    hydrology.make_run(folder / "run")
    return folder / "run"


@pytest.mark.parametrize("write", [write_sharded, write_external, write_run])
def test_no_file_that_a_model_is_made_of_is_replaced(write, here, capsys):
    Path("model").mkdir()
    path = write(here / "model")
    before = contents(here / "model")
    assert len(before) > 1
    for number, part in enumerate(before):
        link = Path(f"{number}.safetensors")
        link.symlink_to(part)
        assert exit_code(["convert", str(path), str(link), "--to", "gatewise"]) == 2
        words = f"cannot write {link}: it is the same file as {Path(part).name}, which is {READ}"
        assert words in capsys.readouterr().err
    assert contents(here / "model") == before


# Stores.


def test_a_store_that_was_read_is_not_written_into_nor_around(here):
    store = Path("x.zarr")
    store.mkdir()
    (store / "0.0").write_bytes(b"a chunk")
    with protecting.protecting_inputs():
        protecting.remember_read(store)
        for path in (store / "0.0", store / "new.csv"):
            with refusal(f"it lies in x.zarr, which is {READ}"):
                storage.write_text(path, "text")
        with refusal("x.zarr lies in it, which is read"):
            protecting.require_unread(here, here.resolve())
    assert [path.name for path in store.iterdir()] == ["0.0"]
