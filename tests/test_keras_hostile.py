"""Small files of Keras' and HDF5 made to be expensive: answered or refused, within what their size allows."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from importlib import import_module

import cases
import numpy as np
import pytest
from keras_files import archive, h5py, kernels, layer, legacy, lstm_layer, named, new, sequential
from pairwise import thinned

import gatewise as gw
from gatewise.files import budget

pytestmark = pytest.mark.usefixtures("small_budgets")
ENOUGH = 60_000_000  # bytes


@pytest.fixture
def measured(tmp_path):
    """Read all there is in a file, within the memory that it may take; return what was found, or the refusal."""

    import_module("gatewise.interop.keras")  # which takes memory, too

    def read(path, most=ENOUGH):
        tracemalloc.start()
        try:
            contents = gw.inspect(path)
            for read_part in [read for part in contents.parts for read in (part.weight, part.bias) if read is not None]:
                read_part()
        except gw.FileError as problem:
            cases.one_sentence(problem, path.name)
            return problem
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < most
        return contents

    return read


# Arrays.


def zeros(file, units=512, inputs=1792):
    """Write the arrays of a cell, of zeros that are packed a thousand to one."""
    group = file.create_group("layers/lstm/cell/vars")
    for number, shape in enumerate([(inputs, 4 * units), (units, 4 * units), (4 * units,)]):
        group.create_dataset(str(number), shape, "f4", chunks=True, compression="gzip")[...] = 0


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_packed_zeros_are_refused(kind, tmp_path, measured):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        zeros(file)
    if kind == "h5":
        (tmp_path / "file").write_bytes(weights.getvalue())
    else:
        with zipfile.ZipFile(tmp_path / "file", "w") as target:
            target.writestr("metadata.json", json.dumps({"keras_version": "3.4.1"}))
            target.writestr("config.json", json.dumps(sequential(lstm_layer("top"), module="keras")))
            target.writestr("model.weights.h5", weights.getvalue())
    contents = measured(tmp_path / "file", 20_000_000)
    assert not contents.found
    assert "layers/lstm/cell/vars/0 would bring what it takes to 14" in contents.refused[0].reason


def test_packed_weights_within_an_archive_that_packs_them_again_are_refused(tmp_path, measured):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("x", data=np.zeros(2**22, np.float32))
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("config.json", json.dumps(sequential(lstm_layer("top"), module="keras")))
        target.writestr("model.weights.h5", weights.getvalue())
    problem = measured(tmp_path / "file", 6_000_000)
    assert "its member 'model.weights.h5' would bring what it takes to 16 MiB" in str(problem)


def towering(levels, entries=60):
    """Return HDF5 of a cell whose kernel is in chunks, which its tree leads to again and again."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        group = file.create_group("layers/lstm/cell/vars")
        group.create_dataset("0", data=np.zeros((64, 64), "f4"), chunks=(1, 64), compression="gzip")
        group.create_dataset("1", data=np.zeros((16, 64), "f4"))
        group.create_dataset("2", data=np.zeros(64, "f4"))
    data = bytearray(target.getvalue())
    place = next(n for n in range(len(data)) if data[n : n + 5] == b"TREE\1")
    key = data[place + 24 : place + 24 + 32]
    child = place
    for level in range(1, levels + 1):
        node = struct.pack("<4sBBHQQ", b"TREE", 1, level, entries, 2**64 - 1, 2**64 - 1)
        node += (key + struct.pack("<Q", child)) * entries + key
        child = len(data)
        data += node
    at = data.find(struct.pack("<Q", place))  # in the layout of the array
    struct.pack_into("<Q", data, at, child)
    struct.pack_into("<Q", data, 0x28, len(data))
    return bytes(data)


@pytest.mark.parametrize("levels", [1, pytest.param(6, marks=pytest.mark.peers)])
def test_chunks_that_a_tree_leads_to_again_and_again_end(levels, tmp_path, measured, monkeypatch):
    monkeypatch.setattr(budget, "WORK", budget.Limit(1, 200_000))  # a fifth: memory is traced here, which takes longer
    (tmp_path / "file").write_bytes(towering(levels, 60 if levels > 1 else 10))
    contents = measured(tmp_path / "file", 12_000_000)
    if levels == 1:  # ten times 64 chunks of a few bytes
        assert contents.found
    else:
        assert "layers/lstm/cell/vars/0 would" in contents.refused[0].reason


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_one_array_under_many_names_counts_each_time(kind, tmp_path, measured):
    count, cell = 60, named("", kernels(new(0, 180, 180)[0]))
    weights = io.BytesIO()
    layers = [layer("LSTM", f"l{n}", units=180) for n in range(count)]
    with h5py.File(weights, "w") as file:
        if kind == "h5":
            file.attrs["keras_version"], file.attrs["layer_names"] = b"2.3.1", [f"l{n}".encode() for n in range(count)]
            group = file.create_group("l0")
            group.attrs["weight_names"] = [name.encode() for name in cell]
            for name, array in cell.items():
                group[name] = array
            for n in range(1, count):
                file[f"l{n}"] = group
        else:
            group = file.create_group("layers/lstm/cell/vars")
            for number, array in enumerate(cell.values()):
                group[str(number)] = array
            for n in range(1, count):
                file[f"layers/lstm_{n}"] = file["layers/lstm"]
    if kind == "h5":
        (tmp_path / "file").write_bytes(weights.getvalue())
    else:
        with zipfile.ZipFile(tmp_path / "file", "w") as target:
            target.writestr("config.json", json.dumps(sequential(*layers, module="keras")))
            target.writestr("model.weights.h5", weights.getvalue())
    contents = measured(tmp_path / "file")
    assert 3 <= len(contents.found) < 33
    assert len(contents.found) + len(contents.refused) == count
    assert "would bring what it takes to" in contents.refused[0].reason


# Configurations.


def with_text(path, config, metadata="{}", method=zipfile.ZIP_DEFLATED):
    source = archive(path, {"layers/lstm/cell": ("cell", kernels(new()[0]))}, sequential(lstm_layer("top")))
    with zipfile.ZipFile(source) as old:
        weights = old.read("model.weights.h5")
    with zipfile.ZipFile(path, "w", method) as target:
        target.writestr("metadata.json", metadata)
        target.writestr("config.json", config)
        target.writestr("model.weights.h5", weights)
    return path


LONG = 2**23
TEXTS = {
    "objects": '{"a":[' + "{}," * (LONG // 3) + "0]}",
    "one text": '{"a":"' + "x" * LONG + '"}',
    "blanks": " " * LONG + "{}",
    "numbers": "[" + "0," * (LONG // 2) + "0]",
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_long_configuration_and_as_much_metadata_are_refused_before_they_are_unpacked(case, tmp_path, measured):
    with_text(tmp_path / "file", TEXTS[case], TEXTS[case])
    problem = measured(tmp_path / "file", 2_000_000)
    assert "'config.json' would bring what it takes to 8" in str(problem)


@pytest.mark.parametrize("case", TEXTS)
def test_the_longest_configuration_that_is_unpacked_takes_no_more_than_it_may(case, tmp_path, measured):
    text = TEXTS[case][: LONG // 4] if case == "blanks" else TEXTS[case].replace(TEXTS[case][6 : -LONG // 4], "")
    with_text(tmp_path / "file", text, text)
    assert isinstance(measured(tmp_path / "file", 25_000_000), gw.FileError)


def nested(depth):
    found = lstm_layer("x")
    for number in range(depth):
        found = layer("Bidirectional", f"b{number}", layer=found)
    return found


LAYERS = {
    "directions within directions": lambda: [nested(45)],
    "many layers": lambda: [layer("Dense", f"d{n}") for n in range(2500)],
    "many layers in one": lambda: [sequential(*(lstm_layer(f"l{n}") for n in range(250)))],
    "layers deep within each other": lambda: [deep(48, 2500)],
    "many calls": lambda: [layer("Dense", "d") | {"inbound_nodes": [[["d", 0, 0]]] * 7500}],
}


def deep(depth, count):
    found = [layer("A", "a") for _ in range(count)]
    for number in range(depth):
        found = [layer("Sequential", f"{number:0200d}", layers=found)]
    return found[0]


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("kind", ["h5", pytest.param("keras", marks=pytest.mark.peers)])
def test_a_configuration_of_too_many_layers_is_answered_or_refused(kind, case, tmp_path, measured):
    config = sequential(*LAYERS[case](), module="keras")
    if case == "many calls":
        config["config"] |= {"input_layers": [["d", 0, 0]], "output_layers": [["d", 0, 0]]}
    if kind == "keras":
        with_text(tmp_path / "file", json.dumps(config))
    else:
        legacy(tmp_path / "file", {"top": named("top/", kernels(new()[0]), ":0")}, config=config)
    measured(tmp_path / "file", 50_000_000)


def test_many_layers_by_many_names_are_found_one_by_one(tmp_path, measured):
    count = 100
    path = legacy(tmp_path / "file", {"l0": named("x/", kernels(new()[0]), ":0")}, config={})
    with h5py.File(path, "r+") as file:
        names = [f"l{n}" for n in range(count)]
        for name in names[1:]:
            file[f"model_weights/{name}"] = file["model_weights/l0"]
        file["model_weights"].attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["model_config"] = json.dumps(sequential(*map(lstm_layer, names)))
    measured(path, 25_000_000)


# Structure.


def circles(file):
    for name in "abcdef":
        file[name] = file["/"]


def one_group(file):
    group = file.create_group("layers/a")
    for n in range(40):
        group.create_group(f"{n}/vars")
    for n in range(150):
        file[f"layers/b{n}"] = group


def one_attribute(file):
    group = file.create_group("a")
    for n in range(100):
        group.attrs[f"{n}"] = "x" * 10
    for n in range(200):
        file[f"b{n}"] = group
    file.attrs["layer_names"] = [f"b{n}".encode() for n in range(200)]


def one_text(file):
    file.attrs.create("layer_names", ["x"] * 4000, dtype=h5py.string_dtype())
    file.create_group("x")


def huge_attributes(file):
    for n in range(50):
        file.attrs[f"{n}"] = np.zeros(20_000, "f4")


STRUCTURES = (circles, one_group, huge_attributes, one_attribute, one_text)


@pytest.mark.parametrize("library", ["earliest", pytest.param("latest", marks=pytest.mark.peers)])
@pytest.mark.parametrize("write", thinned(STRUCTURES, 3))
def test_structure_that_leads_to_one_place_many_times_ends(write, library, tmp_path, measured, monkeypatch):
    monkeypatch.setattr(budget, "WORK", budget.Limit(1, 40_000))  # less still: memory is traced here
    if write is huge_attributes:  # too large for a header
        library = "latest"
    with h5py.File(tmp_path / "file", "w", libver=library) as file:
        write(file)
    measured(tmp_path / "file", 12_000_000)


def test_an_axis_too_long_beside_none_is_refused_or_empty(tmp_path, measured):
    with h5py.File(tmp_path / "file", "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (0, 2**61), "f4")
    assert isinstance(measured(tmp_path / "file"), gw.FileError)
