"""Files of every kind that is read, each with one thing added: it must be refused, or be in the ledger.

`python -m tests.additions --count 2000` tries so many, and prints what was not accounted for.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hydrology
import json_documents
import keras_files
import madmom_models as madmom
import numpy as np
import onnx_models
import pytest
import torch_programs

import gatewise as gw
from gatewise.files import storage
from gatewise.interop import torch
from gatewise.interop.torch.writing import write_archive
from tests import test_torch_files, test_torch_sharded

h5py, onnx = keras_files.h5py, pytest.importorskip("onnx")
WORDS = (
    "scale",
    "ln.weight",
    "lora_A.weight",
    "weight_ci",
    "h0",
    "bias",
    "zoneout",
    "bn.running_mean",
    "alpha",
    "gamma",
)
SHAPES = ((1,), (4,), (16, 4), (2, 4), (3, 3, 3), ())


class Addition(NamedTuple):
    """A file with one thing added, how its name in the ledger ends, and what holds it."""

    path: Path
    name: str
    within: str = ""


Add = Callable[[Path, random.Random], Addition]


def array_of(chance: random.Random) -> Any:
    shape = chance.choice(SHAPES)
    return np.random.default_rng(chance.randrange(99)).normal(size=shape).astype(np.float32)


def name_of(chance: random.Random, known: Any) -> str:
    """Return a name that a file of tensors does not have yet: within its LSTM, beside it, or elsewhere."""
    while True:
        name = chance.choice(["rnn.", "rnn.inner.", "head.", "other.", ""]) + chance.choice(WORDS)
        if name not in known:
            return name


def tensors(write: Callable[[Path, dict[str, Any]], Any]) -> Add:
    """Return how a tensor is added to an LSTM and a head by PyTorch's names, in files that `write` writes."""

    def add(folder: Path, chance: random.Random) -> Addition:
        arrays = {f"rnn.{name}": array for name, array in torch.state_dict(gw.LSTM(3, 4, rng=0)).items()}
        arrays |= {"head.weight": np.ones((2, 4), np.float32), "head.bias": np.ones(2, np.float32)}
        name = name_of(chance, arrays)
        path = folder / "model.bin"
        return Addition(write(path, arrays | {name: array_of(chance)}) or path, name)

    return add


def in_index(path: Path, arrays: dict[str, Any]) -> Path:
    places = {name: number % 2 for number, name in enumerate(arrays)}
    files = [f"model-0000{number + 1}-of-00002.safetensors" for number in range(2)]
    for number, name in enumerate(files):
        held = {key: np.ascontiguousarray(array) for key, array in arrays.items() if places[key] == number}
        test_torch_sharded.save_file(held, path.parent / name)
    index = path.parent / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {key: files[number] for key, number in places.items()}}))
    return index


def to_npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path.with_suffix(".npz"), **arrays)
    return path.with_suffix(".npz")


def own(folder: Path, chance: random.Random) -> Addition:
    path = folder / "model.safetensors"
    gw.save(gw.Network(gw.LSTM(3, 4, rng=0), head=gw.Linear(np.ones((2, 4), np.float32))), path)
    arrays, header = storage.read(path)
    name = chance.choice(WORDS)
    if chance.random() < 0.5:
        arrays[name] = array_of(chance)
    else:
        chance.choice([header, header["lstm"], header["lstm"]["layers"][0][0]])[name] = 1.5
    storage.write(path, arrays, header)
    return Addition(path, name)


def dictionaries(value: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return the dictionaries in a JSON document with their paths."""
    found = [(path, value)] if isinstance(value, dict) else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [one for key, below in inner for one in dictionaries(below, f"{path}.{key}".lstrip("."))]


def json_model(kind: str) -> Add:
    def add(folder: Path, chance: random.Random) -> Addition:
        document = json_documents.FORMATS[kind]()
        within, owner = chance.choice(dictionaries(document))
        name = chance.choice([word for word in WORDS if word not in owner])
        owner[name] = chance.choice([1.5, True, "relu", [0.5]])
        path = folder / "model.json"
        path.write_text(json.dumps(document))
        return Addition(path, name, within)

    return add


def madmom_pickle(folder: Path, chance: random.Random) -> Addition:
    draws = np.random.default_rng(0)
    layers = [madmom.lstm(draws, 3, 4), madmom.both(madmom.lstm(draws, 4, 4), madmom.lstm(draws, 4, 4))]
    network = madmom.network(chance.choice(layers[:1]), madmom.linear(draws, 4, 1))
    objects = [network, *network.attributes["layers"]]
    objects += [part for layer in objects[1:] for part in layer.attributes.values() if hasattr(part, "attributes")]
    owner = chance.choice([one for one in objects if one.name[0].isupper() or "layers." in one.name])
    name = chance.choice([word for word in WORDS if word not in owner.attributes])
    owner.attributes[name] = array_of(chance)
    path = folder / "model.pkl"
    path.write_bytes(madmom.pickled(network))
    return Addition(path, name)


def groups_of(file: Any) -> list[Any]:
    found = [file]
    file.visititems(lambda _, one: found.append(one) if isinstance(one, h5py.Group) else None)
    return found


def keras(folder: Path, chance: random.Random) -> Addition:
    """Add an array, or a setting of a recurrent layer, to a file of some generation of Keras."""
    path, name = folder / "model.h5", chance.choice(WORDS).replace(".", "_")
    write, options = chance.choice([*keras_files.GENERATIONS.items()])
    write(path, keras_files.new(**options))
    members = {}
    if zipped := zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = {one: archive.read(one) for one in archive.namelist()}
    data = io.BytesIO(members["model.weights.h5"] if zipped else path.read_bytes())
    with h5py.File(data, "r+") as file:
        config = json.loads(members["config.json"] if zipped else file.attrs.get("model_config", "null"))
        settings = [one for place, one in dictionaries(config) if place.endswith("config") and "units" in one]
        if settings and chance.random() < 0.5:
            chance.choice(settings)[name] = chance.choice([0.5, True, "gelu"])
            if not zipped:
                file.attrs["model_config"] = json.dumps(config)
        else:
            chance.choice(groups_of(file)).create_dataset(name, data=array_of(chance))
    if not zipped:
        path.write_bytes(data.getvalue())
        return Addition(path, name)
    members |= {"config.json": json.dumps(config).encode(), "model.weights.h5": data.getvalue()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return Addition(path, name)


def onnx_graph(folder: Path, chance: random.Random) -> Addition:
    """Add an initializer, an input, an attribute or a node, read by nobody or on an edge of the graph."""
    helper = onnx.helper
    arrays = onnx_models.random_arrays(np.random.default_rng(0))
    model = chance.choice(
        [
            lambda: onnx_models.lstm_model(arrays, hidden_size=4),
            lambda: onnx_models.one_upon_another([("Identity", ["flat"], ["joined"], {})])[0],
        ]
    )()
    graph, name = model.graph, "added"
    kind = chance.choice(["initializer", "input", "attribute", "node", "edge", "edge"])
    if kind == "initializer":
        graph.initializer.append(onnx.numpy_helper.from_array(array_of(chance), name))
    elif kind == "input":
        graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]))
    elif kind == "attribute":
        lstm = chance.choice([node for node in graph.node if node.op_type == "LSTM"])
        lstm.attribute.append(helper.make_attribute(name, chance.choice([1, 0.5, "x"])))
    else:
        readers = [(node, place) for node in graph.node for place, source in enumerate(node.input) if source]
        reader, place = chance.choice(readers)
        source = reader.input[place]
        operator = chance.choice(["Neg", "Exp", "Abs", "Sqrt", "Sin", "Ceil"])
        node = helper.make_node(operator, [source], [name], name=name)
        at = next(number for number, one in enumerate(graph.node) if one is reader)
        graph.node.insert(at, node)
        if kind == "edge":
            graph.node[at + 1].input[place] = name
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return Addition(path, name)


def hydrology_run(folder: Path, chance: random.Random) -> Addition:
    """Add a tensor to the weights of a run of NeuralHydrology, or an entry to its configuration."""
    config = hydrology.settings()
    arrays = hydrology.weights(config, np.random.default_rng(0))
    name = name_of(chance, arrays)
    if chance.random() < 0.5:
        arrays[name] = array_of(chance)
    else:
        name = chance.choice(WORDS)
        config[name] = 0.5
    hydrology.make_run(folder / "run", config, arrays=arrays)
    return Addition(folder / "run", name)


def program(folder: Path, chance: random.Random) -> Addition:
    """Add a tensor or an operator to a program of torch.export."""
    arrays = {f"rnn.{name}": array for name, array in torch.state_dict(gw.LSTM(3, 4, rng=0)).items()}
    nodes = [torch_programs.lstm_node(arrays, "rnn")]
    if chance.random() < 0.3:
        name = "added"
        first = chance.choice(["x", "y"])
        nodes.append(torch_programs.node("aten.relu.default", (name,), self=torch_programs.tensor(first)))
    else:
        name = name_of(chance, arrays)
        arrays[name] = array_of(chance)
    layout = chance.choice(["raw", "2.8", "before"])
    path = folder / "net.pt2"
    path.write_bytes(torch_programs.exported(arrays, torch_programs.graph(arrays, *nodes), layout))
    return Addition(path, name)


FORMATS: dict[str, Add] = {
    "gatewise's own": own,
    "PyTorch": tensors(lambda path, arrays: write_archive(path, arrays)),
    "PyTorch before 1.6": tensors(lambda path, arrays: path.write_bytes(test_torch_files.stream(arrays)) and None),
    "torch.export": program,
    "safetensors": tensors(lambda path, arrays: test_torch_sharded.save_file(arrays, path)),
    "an index": tensors(in_index),
    "npz": tensors(to_npz),
    "pickle": tensors(lambda path, arrays: path.write_bytes(pickle.dumps(arrays)) and None),
    **{f"JSON, {kind}": json_model(kind) for kind in json_documents.FORMATS},
    "madmom": madmom_pickle,
    "Keras": keras,
    "ONNX": onnx_graph,
    "NeuralHydrology": hydrology_run,
}


def outcome(add: Add, folder: Path, chance: random.Random) -> str:
    """Add one thing to a file, and return how that is accounted for; an assertion fails where it is not."""
    addition = add(folder, chance)
    try:
        found = gw.inspect(addition.path)
    except gw.GatewiseError:
        return "refused"
    name = addition.name
    entries = [entry for entry in found.ledger if entry.name.endswith(name) or f"{name} " in entry.name]
    entries = entries or [entry for entry in found.ledger if entry.name == addition.within]
    if any(addition.name in f"{refused.name} {refused.reason}" for refused in found.refused):
        return "refused by name"
    assert entries, f"{addition.name} is not in the ledger of {addition.path}: {[one.name for one in found.ledger]}"
    if all(entry.used for entry in entries):
        layers = {stored.name for stored in (*found.lstms, *found.parts)}
        assert {entry.layer for entry in entries} <= layers, (entries, layers)
        return "used"
    concerned = {name for entry in entries for name in entry.lstms}
    for stored in found.lstms:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.pick(stored.name)
        told = [
            str(one.message).replace(str(addition.path), "") for one in caught
        ]  # a folder's name may have any letters
        said = any(name in sentence or " more (" in sentence for sentence in told)
        assert said == bool(concerned & {stored.name, *stored.combines}), (stored.name, concerned, caught)
    return "left out with a warning" if concerned else "left out"


def rounds(count: int, seed: int = 0, formats: Mapping[str, Add] = FORMATS) -> Counter[tuple[str, str]]:
    """Add something to so many files, of each format in turn, and count the outcomes by format."""
    tally: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        name = [*formats][number % len(formats)]
        with tempfile.TemporaryDirectory() as folder:
            tally[name, outcome(formats[name], Path(folder), random.Random(f"{seed}, {number}"))] += 1
    return tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.additions", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for (name, answer), times in sorted(rounds(given.count, given.seed).items()):
        print(f"{name:<32}{answer:<26}{times:>6}")
