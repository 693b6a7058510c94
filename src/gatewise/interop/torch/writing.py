"""A state dict as the zip archive that `torch.load` reads, written without PyTorch.

The archive holds the numbers of each tensor in a member of its own, and a pickle that describes them. The pickle is
assembled from its few operations (see the standard library's `pickletools`): the classes that it names need not
exist where it is written.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

from gatewise.arrays import Array
from gatewise.files import storage

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage"}
FOLDER = "archive"


def write_archive(path: str | os.PathLike[str], arrays: Mapping[str, Array], *, overwrite: bool | None = None) -> None:
    """Write arrays by name as a PyTorch file; an existing file is replaced completely, or not at all."""
    with (
        storage.beside(path, overwrite=overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        _add_member(archive, "data.pkl", pickle_of(arrays))
        _add_member(archive, "byteorder", b"little")
        for key, array in enumerate(arrays.values()):
            _add_member(archive, f"data/{key}", np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        _add_member(archive, "version", b"3\n")


def _add_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{name}"), data)  # always of the same date: the same bytes each time


def pickle_of(arrays: Mapping[str, Array]) -> bytes:
    """Return the pickle of an OrderedDict of PyTorch tensors, for the file that torch.load reads."""
    parts = [b"\x80\x02", _global_bytes("collections", "OrderedDict"), b")R("]  # protocol 2; an empty one; a mark
    for key, (name, array) in enumerate(arrays.items()):
        strides = [int(np.prod(array.shape[n + 1 :])) for n in range(array.ndim)]
        stored = (
            b"("
            + _text_bytes("storage")
            + _global_bytes("torch", STORAGES[array.dtype.name])
            + _text_bytes(str(key))
            + _text_bytes("cpu")
            + _number_bytes(array.size)
            + b"tQ"  # the tuple is the identity of a storage
        )
        sizes, steps = (b"(" + b"".join(map(_number_bytes, numbers)) + b"t" for numbers in (array.shape, strides))
        hooks = _global_bytes("collections", "OrderedDict") + b")R"
        rebuilt = _global_bytes("torch._utils", "_rebuild_tensor_v2") + b"(" + stored + _number_bytes(0) + sizes + steps
        parts.append(_text_bytes(name) + rebuilt + b"\x89" + hooks + b"tR")  # requires no gradient
    return b"".join(parts) + b"u."


def _global_bytes(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text_bytes(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _number_bytes(value: int) -> bytes:
    """Return the bytes of a pickle that put an integer on its stack."""
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little")
    return b"\x8a" + bytes([len(data)]) + data
