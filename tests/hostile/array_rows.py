"""Small files of NumPy's, and of our own in safetensors, that are damaged or made to be expensive."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from hostile.row import Hostile, inspect_all
from pairwise import each
from safetensors.numpy import save_file

import gatewise as gw
from gatewise.files import storage

LOADERS = (gw.load, gw.load_network, inspect_all)

# NumPy's files.

HEADERS = {
    "an end within a string": "{'descr': '<f4",
    "an end within three quotes": "'''",
    "an end within brackets": "{'descr': ('<f4', (",
    "brackets": "(" * 9000,
    "closed brackets": "[" * 4000 + "]" * 4000,
    "signs": "-" * 9000 + "1",
    "a sum": "+1" * 4000,
    "a power": "{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9,)}",
    "a long number": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
    "a backslash": "\\\n",
    "an odd indentation": "  1\n 2",
    "a NUL": "{'descr': '<f4',\0 'fortran_order': False, 'shape': (1,)}",
    "no text": "\xff\xfe\xfd",
    "a name": "{'descr': x, 'fortran_order': False, 'shape': (1,)}",
    "a call": "__import__('os').abort()",
    "nothing": "",
    "another key": "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
    "a type in types": "{'descr': [('a', [('a', [('a', '<f4')])])], 'fortran_order': False, 'shape': (1,)}",
    "a shape that is no tuple": "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
    "a negative axis": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    "an axis too long beside none": f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**62})}}",
    "an axis beyond every integer": f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**70})}}",
    "an axis that is no number": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "too many axes": f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 200}}}",
}


def npy(header, version=1):
    text = header.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(64)


def write_npy(path: Path, header: str, version: int) -> None:
    path.write_bytes(npy(header, version))


def write_npz(path: Path, header: str, version: int) -> None:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("x.npy", npy(header, version))


def read_npz(names: Sequence[str]) -> Callable[[Path], object]:
    """Return a reader of some members of an archive."""
    return lambda path: storage.read_npz(path, names)


def zeros(path: Path, count: int, **more: np.ndarray) -> None:
    """Write an archive of packed zeros, a MiB and more in each of its members."""
    size = 2**22 if count == 1 else 2**19
    names = ["x"] if count == 1 else [f"x{n}" for n in range(count)]
    with open(path, "wb") as file:
        np.savez_compressed(file, **{name: np.zeros(size, np.float32) for name in names}, **more)


def damaged(case: str, version: int, peers: bool) -> list[Hostile]:
    """Return the rows of a damaged header, in a file and in an archive."""
    write = {"header": HEADERS[case], "version": version}
    name = f"{case}, version {version}"
    return [
        Hostile(
            "npy", name, partial(write_npy, **write), "^refused", readers=(storage.read_npy, *LOADERS), peers=peers
        ),
        Hostile("npz", name, partial(write_npz, **write), "^refused: .*'x'", readers=(read_npz(["x"]),), peers=peers),
    ]


MANY = [f"x{n}" for n in range(10)]
PACKED = [
    Hostile(
        "npz",
        "zeros",
        partial(zeros, count=1, y=np.ones(3)),
        r"'x' would bring what it takes to 16 MiB .* np\.savez stores",
        most=5 * 2**19,
        readers=(read_npz(["y", "x"]),),
    ),
    Hostile("npz", "ten members", partial(zeros, count=10), "'x4' would bring", 25 * 2**19, readers=(read_npz(MANY),)),
    Hostile(
        "npz",
        "a member that is read ten times",
        partial(zeros, count=2),
        "'x0' would bring",
        most=25 * 2**19,
        readers=(read_npz(["x0"] * 10),),
    ),
]

# gatewise's own.


def write_header(path: Path, filling: str) -> None:
    """Write a file whose header is of little but structure."""
    text = ("{" if ":" in filling else '{"a":[') + filling * (312_500 // len(filling))
    text = text.rstrip(",") + ("}" if ":" in filling else "]}")
    save_file({"a": np.zeros(1)}, path, metadata={"gatewise": text})


def write_long_axis(path: Path) -> None:
    """Write an array whose axes are none and too many."""
    array = '{"dtype":"F32","shape":[0,4611686018427387904],"data_offsets":[0,0]}'
    head = f'{{"__metadata__":{{"gatewise":"{{}}"}},"a":{array}}}'.encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)


OURS = [
    *(
        Hostile("safetensors", f"a header of {filling}", partial(write_header, filling=filling), "^refused", 19 * 2**20)
        for filling in ("{},", "[],", '"",', '"a":0,')
    ),
    Hostile("safetensors", "an axis too long beside none", write_long_axis, "^refused"),
]

ROWS = [
    *(
        row
        for case, marks in each({"case": HEADERS, "version": [1, 2, 3]})
        for row in damaged(**case, peers=bool(marks))
    ),
    *PACKED,
    *(replace(row, readers=LOADERS) for row in OURS),
]
