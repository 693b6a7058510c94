"""Small files of Keras' and HDF5 made to be expensive."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hostile.row import Hostile
from keras_files import archive, h5py, kernels, layer, legacy, lstm_layer, named, new, sequential

# Arrays.


def zeros(file, units=512, inputs=1792):
    """Write the arrays of a cell, of zeros that are packed a thousand to one."""
    group = file.create_group("layers/lstm/cell/vars")
    for number, shape in enumerate([(inputs, 4 * units), (units, 4 * units), (4 * units,)]):
        group.create_dataset(str(number), shape, "f4", chunks=True, compression="gzip")[...] = 0


def write(path: Path, weights: bytes, *layers: dict, kind: str, method: int = zipfile.ZIP_STORED) -> None:
    """Write weights alone, or an archive with them and with a configuration of these layers."""
    if kind == "h5":
        path.write_bytes(weights)
        return
    with zipfile.ZipFile(path, "w", method) as target:
        target.writestr("metadata.json", json.dumps({"keras_version": "3.4.1"}))
        target.writestr("config.json", json.dumps(sequential(*layers, module="keras")))
        target.writestr("model.weights.h5", weights)


def packed_zeros(path: Path, kind: str) -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        zeros(file)
    write(path, weights.getvalue(), lstm_layer("top"), kind=kind)


def packed_twice(path: Path) -> None:
    """Write packed weights within an archive that packs them again."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("x", data=np.zeros(2**22, np.float32))
    write(path, weights.getvalue(), lstm_layer("top"), kind="keras", method=zipfile.ZIP_DEFLATED)


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


MANY = 60


def many_names(path: Path, kind: str) -> None:
    """Write one array under many names."""
    cell = named("", kernels(new(0, 180, 180)[0]))
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        if kind == "h5":
            file.attrs["keras_version"], file.attrs["layer_names"] = b"2.3.1", [f"l{n}".encode() for n in range(MANY)]
            group = file.create_group("l0")
            group.attrs["weight_names"] = [name.encode() for name in cell]
            for name, array in cell.items():
                group[name] = array
            for n in range(1, MANY):
                file[f"l{n}"] = group
        else:
            group = file.create_group("layers/lstm/cell/vars")
            for number, array in enumerate(cell.values()):
                group[str(number)] = array
            for n in range(1, MANY):
                file[f"layers/lstm_{n}"] = file["layers/lstm"]
    write(path, weights.getvalue(), *(layer("LSTM", f"l{n}", units=180) for n in range(MANY)), kind=kind)


GROWS = "would bring what it takes to"
ARRAYS = [
    *(
        Hostile(
            "Keras",
            f"packed zeros, {kind}",
            partial(packed_zeros, kind=kind),
            f"^0 found; .*vars/0 {GROWS} 14",
            2 * 10**7,
        )
        for kind in ("h5", "keras")
    ),
    Hostile(
        "Keras", "packed twice", packed_twice, f"^refused: .*its member 'model.weights.h5' {GROWS} 16 MiB", 6_000_000
    ),
    *(  # a fifth of the work: memory is traced, which takes longer
        Hostile(
            "Keras",
            f"chunks of a tree of {levels} levels that leads to them again and again",
            lambda path, levels=levels, entries=entries: path.write_bytes(towering(levels, entries)),
            answer,
            most=12_000_000,
            work=200_000,
            peers=levels > 1,
        )
        for levels, entries, answer in ((1, 10, "^1 found; $"), (6, 60, "vars/0 would"))
    ),
    *(
        Hostile(
            "Keras",
            f"one array of many names, {kind}",
            partial(many_names, kind=kind),
            rf"^([3-9]|[12]\d|3[0-2]) found; .*{GROWS}",
            most=60_000_000,
            lstms=MANY,
        )
        for kind in ("h5", "keras")
    ),
]

# Configurations.


def with_text(path, config, metadata="{}", method=zipfile.ZIP_DEFLATED):
    source = archive(path, {"layers/lstm/cell": ("cell", kernels(new()[0]))}, sequential(lstm_layer("top")))
    with zipfile.ZipFile(source) as old:
        weights = old.read("model.weights.h5")
    with zipfile.ZipFile(path, "w", method) as target:
        target.writestr("metadata.json", metadata)
        target.writestr("config.json", config)
        target.writestr("model.weights.h5", weights)


LONG = 2**23
TEXTS = {
    "objects": '{"a":[' + "{}," * (LONG // 3) + "0]}",
    "one text": '{"a":"' + "x" * LONG + '"}',
    "blanks": " " * LONG + "{}",
    "numbers": "[" + "0," * (LONG // 2) + "0]",
}


def most_text(case: str) -> str:
    """Return the longest configuration of a kind that is unpacked."""
    return TEXTS[case][: LONG // 4] if case == "blanks" else TEXTS[case].replace(TEXTS[case][6 : -LONG // 4], "")


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


def many_layers(path: Path, case: str, kind: str) -> None:
    config = sequential(*LAYERS[case](), module="keras")
    if case == "many calls":
        config["config"] |= {"input_layers": [["d", 0, 0]], "output_layers": [["d", 0, 0]]}
    if kind == "keras":
        with_text(path, json.dumps(config))
    else:
        legacy(path, {"top": named("top/", kernels(new()[0]), ":0")}, config=config)


def layers_of_many_names(path: Path, count: int = 100) -> None:
    legacy(path, {"l0": named("x/", kernels(new()[0]), ":0")}, config={})
    with h5py.File(path, "r+") as file:
        names = [f"l{n}" for n in range(count)]
        for name in names[1:]:
            file[f"model_weights/{name}"] = file["model_weights/l0"]
        file["model_weights"].attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["model_config"] = json.dumps(sequential(*map(lstm_layer, names)))


CONFIGURATIONS = [
    *(
        Hostile(
            "Keras",
            f"a long configuration of {case}, and as much metadata",
            lambda path, case=case: with_text(path, TEXTS[case], TEXTS[case]),
            f"^refused: .*'config.json' {GROWS} 8",
            most=2_000_000,
        )
        for case in TEXTS
    ),
    *(
        Hostile(
            "Keras",
            f"the longest configuration of {case} that is unpacked",
            lambda path, case=case: with_text(path, most_text(case), most_text(case)),
            "^refused",
            most=25_000_000,
        )
        for case in TEXTS
    ),
    *(
        Hostile(
            "Keras",
            f"{case}, {kind}",
            partial(many_layers, case=case, kind=kind),
            most=50_000_000,
            peers=kind == "keras",
        )
        for kind in ("h5", "keras")
        for case in LAYERS
    ),
    Hostile("Keras", "layers of many names", layers_of_many_names, most=25_000_000, peers=True),
]

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


def write_structure(path: Path, fill: Callable[[h5py.File], None], library: str) -> None:
    with h5py.File(path, "w", libver=library) as file:
        fill(file)


def long_axis(file):
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", (0, 2**61), "f4")


STRUCTURES = {  # and the oldest form of the file in which each fits
    circles: "earliest",
    one_group: "earliest",
    huge_attributes: "latest",
    one_attribute: "earliest",
    one_text: "earliest",
}
ROWS = [
    *ARRAYS,
    *CONFIGURATIONS,
    *(
        Hostile(
            "Keras",
            f"{fill.__name__.replace('_', ' ')}, {library}",
            partial(write_structure, fill=fill, library=library),
            most=12_000_000,
            work=40_000,
            peers=library != oldest or fill in (one_attribute, one_text),
        )
        for fill, oldest in STRUCTURES.items()
        for library in dict.fromkeys((oldest, "latest"))
    ),
    Hostile(
        "Keras",
        "an axis too long beside none",
        partial(write_structure, fill=long_axis, library="earliest"),
        "^refused",
        most=60_000_000,
    ),
]
