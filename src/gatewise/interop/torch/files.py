"""The containers of PyTorch: zip archives, TorchScript, the stream of pickles from before 1.6, safetensors.

Each becomes a flat dictionary of tensors by the path through the dictionaries and objects that hold them. A tensor is
only described at first; its numbers are read when it is asked for, so that an optimizer's state or a large embedding
costs nothing. The layouts follow `torch.serialization`.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from gatewise.errors import FileError, reason
from gatewise.interop.containers import pickles, safetensors
from gatewise.interop.containers.tensors import Storage, Tensor, itemsize
from gatewise.interop.containers.zips import member
from gatewise.interop.torch.described import MAGIC, flatten
from gatewise.interop.torch.storages import is_count, is_storage, native, persistent, storage_kind

LARGEST_CODE = 1 << 24  # bytes of the code of one class
LARGEST_PICKLE = 1 << 30  # bytes; what describes tensors is far smaller than they are


@dataclass(frozen=True, eq=False)
class Archive:
    """What a file of PyTorch's holds.

    Attributes
    ----------
    format : str
        In words.
    tensors : dict of str to Tensor
    classes : dict of str to str
        The class of each object that holds tensors, by path.
    batch_first : dict of str to bool
        What an object says of its batch_first, by path.
    calls : tuple of str
        What unpickling would have called.
    """

    format: str
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)
    batch_first: Mapping[str, bool] = field(default_factory=dict)
    calls: tuple[str, ...] = ()


def open_archive(path: Path, head: bytes) -> Archive:
    """Return the tensors of a file, by what it begins with.

    Raises
    ------
    FileError
        If it is incomplete, or of an unknown form.
    """
    if head.startswith(b"PK"):
        return _zip(path)
    with open(path, "rb") as file:
        return _stream(file)


def open_safetensors(path: Path) -> Archive:
    """Return the tensors of a safetensors file by their names.

    Raises
    ------
    FileError
        If it is incomplete.
    """
    return Archive("safetensors", safetensors.read(path))


# Zip: since PyTorch 1.6, and TorchScript.


def _zip(path: Path) -> Archive:
    try:
        archive = zipfile.ZipFile(path)
        names = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError, IndexError) as problem:
        raise FileError(f"it is not an intact zip archive ({reason(problem)})") from None
    with archive:
        main = [name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(main) != 1:
            raise FileError("it is a zip archive without a data.pkl: not one of PyTorch's")
        folder = main[0].partition("/")[0]
        description = member(path, main[0], LARGEST_PICKLE, whole=True)
        order = member(path, f"{folder}/byteorder", 16) if f"{folder}/byteorder" in names else b"little"
        if order.strip() not in (b"little", b"big"):
            raise FileError(f"its byte order is {order[:16]!r}; it must be little or big")
        script = any(name.startswith(f"{folder}/code/") for name in names)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count = identity[:5]
        name = f"{folder}/data/{key}"
        return Storage(storage_kind(kind), count, lambda size: native(member(path, name, size), kind, order))

    calls: dict[str, None] = {}
    found = flatten(pickles.read(io.BytesIO(description), calls), storage)
    if not script:
        return Archive("PyTorch", *found, tuple(calls))
    tensors, classes, said = found
    code = {at: _constant(path, f"{folder}/code", kind) for at, kind in classes.items() if kind.endswith(".LSTM")}
    said |= {at: value for at, value in code.items() if value is not None}
    return Archive("TorchScript", tensors, classes, said, tuple(calls))


def _constant(path: Path, folder: str, kind: str) -> bool | None:
    """Return what the code of a class says that its batch_first is; the code is text here, and is not run."""
    module, _, name = kind.rpartition(".")
    try:
        text = member(path, f"{folder}/{module.replace('.', '/')}.py", LARGEST_CODE).decode("utf-8", "replace")
    except FileError:
        return None
    body = re.search(rf"^class {re.escape(name)}\(.*?(?=^class |\Z)", text, re.MULTILINE | re.DOTALL)
    said = body and re.search(r"^ +batch_first : Final\[bool\] = (True|False)$", body[0], re.MULTILINE)
    return said[1] == "True" if said else None


# The stream of pickles: before 1.6, and pickles that PyTorch did not write.


def _stream(file: BinaryIO) -> Archive:
    calls: dict[str, None] = {}
    first = pickles.read(file, calls)
    if first != MAGIC:
        return Archive("pickle", *flatten(first, lambda _: None), tuple(calls))
    pickles.read(file, calls)  # the version of the protocol
    system = pickles.read(file, calls)
    order = b"big" if isinstance(system, dict) and system.get("little_endian") is False else b"little"
    content = pickles.read(file, calls)
    keys = pickles.read(file, calls)
    if not isinstance(keys, list):
        raise FileError("its storages are not listed")
    identities = [one.identity for one in persistent(content) if is_storage(one.identity)]
    kinds = {identity[2]: storage_kind(identity[1]) for identity in identities}
    places: dict[str, tuple[int, int]] = {}
    at = file.tell()
    end = file.seek(0, io.SEEK_END)
    for key in keys:  # the storages follow one another, each after the count of its numbers
        file.seek(at)
        head, kind = file.read(8), kinds.get(key) if isinstance(key, str) else None
        if len(head) < 8 or kind is None:
            break
        (count,) = struct.unpack(">q" if order == b"big" else "<q", head)
        if not 0 <= count <= (end - at) // itemsize(kind):
            places[key] = (at + 8, end - at - 8)
            break
        places[key] = (at + 8, count * itemsize(kind))
        at += 8 + count * itemsize(kind)
    source = Path(file.name)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count, *rest = identity
        begin, length = places.get(key, (0, 0))
        if rest and isinstance(rest[0], tuple) and len(rest[0]) == 3 and all(map(is_count, rest[0][1:])):
            _, offset, count = rest[0]  # a view of another storage
            skipped = offset * itemsize(storage_kind(kind))
            begin, length = begin + skipped, max(0, length - skipped)

        def read(size: int) -> bytes:
            with open(source, "rb") as again:
                again.seek(begin)
                return native(again.read(min(size, length)), kind, order)

        return Storage(storage_kind(kind), count, read)

    return Archive("PyTorch, the form before 1.6", *flatten(content, storage), tuple(calls))
