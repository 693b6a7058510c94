"""Files of Keras' that are spoiled, lie about themselves or lead elsewhere are answered or refused in one sentence."""

from __future__ import annotations

import io
import json
import random
import zipfile

import cases
import keras_files as files
import numpy as np
import pytest
from fuzzing import SOME, everything, fuzz, in_archive, in_json
from keras_files import EMBEDDING, GENERATIONS, h5py, kernels, layer, legacy, lstm_layer, named, network_file, new

import gatewise as gw
from gatewise import interop
from gatewise.interop import keras as gw_keras


def outside(kind, folder):
    """Write weights alone whose bias lies elsewhere."""
    path = files.two_weights(folder / "file", new())
    legacy(folder / "other", {"lstm_1": named("lstm_1/", kernels(new()[0]), ":0")})
    with h5py.File(path, "r+") as file:
        group = file["lstm_1/lstm_1"]
        del group["bias:0"]
        if kind == "soft":
            group["bias:0"] = h5py.SoftLink("/lstm_1/lstm_1/kernel:0")
        elif kind == "external":
            group["bias:0"] = h5py.ExternalLink(str(folder / "other"), "/lstm_1/lstm_1/bias:0")
        elif kind == "raw":
            (folder / "raw").write_bytes(bytes(32))
            group.create_dataset("bias:0", (8,), "f4", external=[(str(folder / "raw"), 0, 32)])
        else:
            layout = h5py.VirtualLayout((8,), "f4")
            layout[:] = h5py.VirtualSource(str(folder / "other"), "lstm_1/lstm_1/bias:0", (8,))
            group.create_virtual_dataset("bias:0", layout)
    return path


@pytest.mark.parametrize(("kind", "words"), {"soft": "soft link", "external": "external link"}.items())
def test_a_link_to_another_place_is_not_followed(kind, words, tmp_path):
    with cases.refusal(words, "bias:0"):
        interop.inspect(outside(kind, tmp_path))


@pytest.mark.parametrize(("kind", "words"), {"raw": "another file", "virtual": "a view of others"}.items())
def test_data_of_another_file_is_not_read(kind, words, tmp_path):
    contents = interop.inspect(outside(kind, tmp_path))
    assert not contents.lstms
    assert words in contents.refused[0].reason


def test_a_group_that_holds_itself_comes_to_an_end(tmp_path):
    path = files.three_weights(tmp_path / "file", new())
    with h5py.File(path, "r+") as file:
        file["layers/lstm/again"] = file["layers"]
    with cases.refusal("60 groups"):
        interop.inspect(path)


def test_an_array_that_only_says_how_large_it_is_takes_no_memory(tmp_path):
    path = files.two_weights(tmp_path / "file", new())
    with h5py.File(path, "r+") as file:
        del file["lstm_1/lstm_1/kernel:0"]
        file.create_dataset("lstm_1/lstm_1/kernel:0", (2**40, 8), "f4", chunks=(2**10, 8), compression="gzip")
    contents = interop.inspect(path)
    assert not contents.lstms
    assert "bytes" in contents.refused[0].reason or "memory" in contents.refused[0].reason


@pytest.mark.usefixtures("small_budgets")
@pytest.mark.parametrize("member", ["model.weights.h5", "config.json"])
def test_an_archive_that_would_grow_beyond_measure_is_refused_before_it_is_unpacked(member, tmp_path):
    source = files.three(tmp_path / "file", new())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in old.namelist():
            bomb.writestr(name, bytes(2**24) if name == member else old.read(name))
    raw = bytearray((tmp_path / "bomb").read_bytes())
    place = raw.rfind(member.encode()) - 22  # in the archive's directory: the size after unpacking
    raw[place : place + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "bomb").write_bytes(raw)
    with cases.refusal(member, "2 GiB of memory"):
        interop.inspect(tmp_path / "bomb")


@pytest.mark.parametrize("place", [-26, -22])
def test_an_archive_that_lies_about_its_sizes_is_refused(place, tmp_path):
    raw = bytearray(files.three(tmp_path / "file", new()).read_bytes())
    at = raw.rfind(b"model.weights.h5") + place
    raw[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    raw[at + 4 : at + 8] = (2**31 - 1).to_bytes(4, "little") if place == -26 else raw[at + 4 : at + 8]
    (tmp_path / "file").write_bytes(raw)
    with cases.refusal("model.weights.h5", "bytes"):
        interop.inspect(tmp_path / "file")


@pytest.mark.parametrize(
    "config", ['{"class_name": ' * 5000, "[" * 100_000, "3", "null", '{"class_name": 5}', "{", "\x00"]
)
def test_a_configuration_that_is_none_is_refused_in_one_sentence(config, tmp_path):
    source = files.three(tmp_path / "file", new())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for name in old.namelist():
            bad.writestr(name, config if name == "config.json" else old.read(name))
    try:
        contents = interop.inspect(tmp_path / "bad")
    except gw.FileError as problem:
        cases.one_sentence(problem, "configuration")
    else:
        assert config == "null"  # as if there were none: the weights alone
        assert contents.lstms


# Spoiled files.


def restructured(data, chance):
    """Change the structure of an HDF5 file: a member less, another shape or type, another attribute or other JSON."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        paths = []
        file.visit(paths.append)
        path = chance.choice(paths)
        one = file[path]
        kind = chance.randrange(5)
        if kind == 0:
            del file[path]
        elif kind == 1 and isinstance(one, h5py.Dataset):
            shapes = ((), (0,), (1,), (3, 8), (8, 3), (8,), (2, 8), (5, 5, 5), (2, 6), (16,))
            del file[path]
            types = ("f4", "f8", "f2", "i1", ">f4", "S3", "c8")
            file.create_dataset(path, data=np.ones(chance.choice(shapes)).astype(chance.choice(types)))
        elif kind == 2:
            holder = chance.choice([file, one])
            key = chance.choice([*holder.attrs, "layer_names", "weight_names", "keras_version", "model_config"])
            values = ([], [b"lstm"], [b"lstm_1", b"lstm_1"], "2", b"\xff", 5, np.zeros(3), "{}", "9" * 400, [b"/", b""])
            holder.attrs[key] = chance.choice(values)
        elif kind == 3:
            other = chance.choice(paths)
            if isinstance(one, h5py.Group) and other != path:
                one[chance.choice(["vars", "cell", "layers", "bias:0", "x"])] = (
                    file[other] if chance.random() < 0.5 else (h5py.SoftLink("/" + other))
                )
        elif "model_config" in file.attrs:
            file.attrs["model_config"] = in_json(file.attrs["model_config"].encode(), chance).decode()
    return stream.getvalue()


def in_hdf5(data, chance):
    """Return data with another structure, or as they are where the library that makes it cannot."""
    try:
        return restructured(data, chance)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError):
        return data


def in_keras(data, chance):
    """Change the configuration or the weights of an archive, and seal it again."""
    target = io.BytesIO()
    chosen = chance.choice(("config.json", "model.weights.h5", "metadata.json"))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as copy:
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                content = in_hdf5(content, chance) if name.endswith("h5") else in_json(content, chance)
            copy.writestr(name, content)
    return target.getvalue()


KINDS = {
    "whole models in HDF5": ([files.old_1_both, files.two, files.two_stack, files.two_fused], (in_hdf5,)),
    "weights alone": ([files.two_both_weights, files.two_fused_weights, files.two_pieces], (in_hdf5,)),
    "weights of Keras 3": ([files.three_weights, files.three_both_weights, files.three_stack_weights], (in_hdf5,)),
    "archives": ([files.three, files.three_early, files.three_windows], (in_keras, in_archive)),
}


def spoil(kind, folder, count=SOME, seed=0):
    """Read so many spoiled files of a kind."""
    generations, also = KINDS[kind]
    subjects = [one(folder / "file", new(**GENERATIONS[one])).read_bytes() for one in generations]
    if kind == "archives":
        gw_keras.write(new(bidirectional=True, num_layers=2), folder / "own.keras")
        subjects.append((folder / "own.keras").read_bytes())
    if kind == "whole models in HDF5":
        path = network_file(folder / "file", EMBEDDING, lstm_layer("a"), files.dense("head", activation="softmax"))
        subjects.append(path.read_bytes())
        layers = [
            layer("Conv1D", "conv"),
            *(lstm_layer(one, return_sequences=True) for one in "ab"),
            files.dense("head"),
        ]
        subjects.append(network_file(folder / "file", *layers).read_bytes())
    return fuzz(subjects, everything, count, folder, seed=seed, also=also)


def test_random_is_what_a_seed_makes_of_it():
    """Two mutations of one seed are the same: a failure can be made again."""
    path = io.BytesIO()
    with h5py.File(path, "w") as file:
        files.tree(file, {"layers/lstm/cell": ("x", kernels(new()[0]))})
    assert in_hdf5(path.getvalue(), random.Random(3)) == in_hdf5(path.getvalue(), random.Random(3))


def test_a_layer_of_one_array_is_no_cell(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"))
    with h5py.File(path, "r+") as file:
        group = file["model_weights/a"] if "model_weights" in file else file["a"]
        group.attrs["weight_names"] = group.attrs["weight_names"][:1]
        config = json.loads(file.attrs["model_config"])
        del config["config"]["layers"][0]["config"]["activation"]
        file.attrs["model_config"] = json.dumps(config)
    (refused,) = interop.inspect(path).refused
    assert refused.name == "a"
