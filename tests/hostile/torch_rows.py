"""Small files of PyTorch's that are made to be expensive."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile.row import Hostile

from gatewise.interop.torch import writing

SMALL_BUDGETS = True  # those of `budgets`
LARGEST = 2**21  # bytes of a file
MOST = 120 * 2**20  # bytes of the process that reads them, Python and its packages included


def number(value: int) -> bytes:
    """Return the operation that puts a number on the stack."""
    return b"J" + value.to_bytes(4, "little") if value < 2**31 else b"\x8a\x09" + value.to_bytes(9, "little")


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def tensor(key: str, count: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """Return the operations that describe a tensor of float32."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"tQ"
    sizes, steps = (b"(" + b"".join(map(number, one)) + b"t" for one in (shape, strides))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + sizes + steps + b"\x89)tR"


def archive(
    path: Path, entries: dict[str, bytes], storages: dict[str, bytes], code: dict[str, str] | None = None, packed=True
) -> Path:
    """Write an archive whose description is a dictionary of these entries."""
    description = b"\x80\x02}(" + b"".join(text(name) + made for name, made in entries.items()) + b"u."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", description)
        for key, data in storages.items():
            file.writestr(f"archive/data/{key}", data)
        for name, content in (code or {}).items():
            file.writestr(f"archive/code/{name}", content)
    return path


def lstm(name: str, key: Callable[[str], str], count: int, units: int, strides: tuple[int, int]) -> dict[str, bytes]:
    """Return the tensors of an LSTM whose matrices are described with these strides."""
    return {
        f"{name}.{kind}_l0": tensor(key(kind), count, (4 * units, units), strides)
        for kind in ("weight_ih", "weight_hh")
    }


def many_over_one_number(path: Path) -> Path:
    entries: dict[str, bytes] = {}
    for n in range(300):
        entries |= lstm(f"l{n}", lambda _: "0", 1, 500, (0, 0))
    return archive(path, entries, {"0": bytes(4)})


def many_members(path: Path) -> Path:
    entries: dict[str, bytes] = {}
    for n in range(500):
        entries |= lstm(f"l{n}", lambda kind, n=n: f"{n}{kind}", 4, 1, (1, 1))
    keys = [f"{n}{kind}" for n in range(500) for kind in ("weight_ih", "weight_hh")]
    return archive(path, entries, dict.fromkeys(keys, bytes(16)), packed=False)


def many_operations(path: Path) -> Path:
    return archive(path, {"a": b"N" + b"0N" * 1_200_000}, {})


def much_code(path: Path) -> Path:
    names = [f"m.n{n}.LSTM" for n in range(100)]
    entries = {name: b"c__torch__.m\nLSTM\n)\x81}" + text("w") + tensor("0", 1, (1,), (1,)) + b"sb" for name in names}
    source = "class LSTM(Module):\n" + "  training : bool\n" * 112_000
    return archive(path, entries, {"0": bytes(4)}, {"__torch__/m.py": source})


def a_stride_beyond_all(path: Path) -> Path:
    return archive(path, lstm("l", lambda _: "0", 4, 1, (1, 2**62 - 1)), {"0": bytes(16)})


def one_unpacked_for_each(path: Path) -> Path:
    entries: dict[str, bytes] = {}
    for n in range(500):
        entries |= lstm(f"l{n}", lambda _: "0", 2**20, 1, (1, 1))
    return archive(path, entries, {"0": bytes(2**23 - 2**19)})


def two_unpacked_in_turns(path: Path) -> Path:
    entries: dict[str, bytes] = {}
    for n in range(500):
        entries |= lstm(f"l{n}", lambda kind: str(int(kind == "weight_ih")), 2**19, 1, (1, 1))
    return archive(path, entries, {"0": bytes(2**21), "1": bytes(2**21)})


def one_dictionary_copied_by_each(path: Path) -> Path:
    large = b"}(" + b"".join(number(n) + b"N" for n in range(20_000)) + b"uq\x00"
    return archive(path, {"a": large, "b": b"](" + b"ccollections\nOrderedDict\nh\x00\x85R" * 4000 + b"e"}, {})


def one_state_of_many(path: Path) -> Path:
    large = b"}(" + b"".join(text(str(n)) + b"]" for n in range(2000)) + b"uq\x00"
    return archive(path, {"a": large, "b": b"](" + b"cm\nK\n)\x81h\x00b" * 4000 + b"e"}, {})


def long_names(path: Path) -> Path:
    long = text("n" * 1_000_000) + b"q\x00"
    return archive(path, {"a": long, "b": b"}(h\x00" * 90 + b"](" + b"]" * 1000 + b"e" + b"u" * 90}, {})


def classes_with_long_names(path: Path) -> Path:
    long = text("n" * 2_000_000) + b"q\x00"
    return archive(path, {"a": long, "b": b"](" + b"h\x00h\x00\x93)\x81" * 3000 + b"e"}, {})


def a_key_of_many_digits(path: Path) -> Path:
    digits = 10_000
    return archive(path, {"a": b"}\x8b" + digits.to_bytes(4, "little") + b"\x7f" * digits + b"]s"}, {})


def nothing_of_a_great_shape(path: Path) -> Path:
    entries = {
        f"l.{kind}_l0": tensor("0", 4, shape, (1, 1))
        for kind, shape in (("weight_ih", (4, 0)), ("weight_hh", (0, 2**62 - 1)))
    }
    return archive(path, entries, {"0": bytes(16)})


def an_array_copied_for_each(path: Path) -> Path:
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tS'b'\ntR(K\x01(J\x00\x00\x04\x00t"
        b"cnumpy\ndtype\n(S'f4'\nK\x00K\x01tR(K\x03S'>'\nNNNtb\x89h\x00tb"
    )
    data = b"B" + (2**20).to_bytes(4, "little") + bytes(2**20) + b"q\x00"
    return archive(path, {"a": data, "b": b"](" + array * 500 + b"e"}, {})


def norms_over_one_number(path: Path) -> Path:
    entries: dict[str, bytes] = {}
    for n in range(300):
        for kind in ("weight_ih", "weight_hh"):
            entries[f"l{n}.{kind}_l0_g"] = tensor("0", 1, (2000, 1), (0, 0))
            entries[f"l{n}.{kind}_l0_v"] = tensor("0", 1, (2000, 500), (0, 0))
    return archive(path, entries, {"0": bytes(4)})


def an_index_with_many_names_for_one_file(path: Path) -> Path:
    names = ["".join(one) + f"{path.stem}.bin" for one in itertools.product(("./", ".//"), repeat=10)]
    arrays = {f"t{number}": np.ones(1, np.float32) for number in range(len(names))}
    writing.write_archive(path.with_suffix(".bin"), arrays)
    path.write_text(json.dumps({"weight_map": dict(zip(arrays, names, strict=True))}), encoding="utf-8")
    return path


ANSWERS = {many_operations: "it has too many operations of pickles for a file of"}
ROWS = [
    Hostile("PyTorch", write.__name__.replace("_", " "), write, ANSWERS.get(write, ""))
    for write in (
        many_over_one_number,
        many_members,
        many_operations,
        much_code,
        a_stride_beyond_all,
        one_unpacked_for_each,
        two_unpacked_in_turns,
        one_dictionary_copied_by_each,
        one_state_of_many,
        long_names,
        classes_with_long_names,
        a_key_of_many_digits,
        nothing_of_a_great_shape,
        an_array_copied_for_each,
        norms_over_one_number,
        an_index_with_many_names_for_one_file,
    )
]
