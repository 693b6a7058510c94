"""The containers of PyTorch: zip archives, TorchScript, the stream of pickles from before 1.6, safetensors.

Each becomes a flat dictionary of tensors by the path through the dictionaries and objects that hold them. A tensor is
only described at first; its numbers are read when it is asked for, so that an optimizer's state or a large embedding
costs nothing. The layouts follow `torch.serialization`.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop import unread
from gatewise.interop.containers import pickles, safetensors, zips
from gatewise.interop.containers.tensors import Shared, Storage, Tensor, is_count, itemsize
from gatewise.interop.torch.described import MAGIC, flatten, kind_of
from gatewise.interop.torch.storages import is_storage, native, persistent, storage_kind

READ = 1000  # bytes that are read in a microsecond


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
    content : str
        What a pickle describes, in words.
    """

    format: str
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)
    batch_first: Mapping[str, bool] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    content: str = ""


def open_archive(path: Path, head: bytes, budget: Budget, stack: ExitStack) -> Archive:
    """Return the tensors of a file, by what it begins with; what is read of it is kept open until `stack` ends.

    Raises
    ------
    FileError
        If it is incomplete, or of an unknown form.
    """
    if head.startswith(b"PK"):
        return _zip(path, budget, stack)
    with open(path, "rb") as file:
        return _stream(file, budget, stack)


def open_safetensors(path: Path, budget: Budget) -> Archive:
    """Return the tensors of a safetensors file by their names.

    Raises
    ------
    FileError
        If it is incomplete.
    """
    return Archive("safetensors", safetensors.read(path, budget))


# Zip: since PyTorch 1.6, and TorchScript.


def _zip(path: Path, budget: Budget, stack: ExitStack) -> Archive:
    archive = stack.enter_context(zips.Archive(path, budget))
    main = [name for name in archive.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(main) != 1:
        known = unread.of_members(archive.names)
        raise FileError(known or "it is a zip archive without a data.pkl: not one of PyTorch's")
    folder = main[0].partition("/")[0]
    description = archive.member(main[0])
    order = archive.member(f"{folder}/byteorder", 16) if f"{folder}/byteorder" in archive.names else b"little"
    if order.strip() not in (b"little", b"big"):
        raise FileError(f"its byte order is {order[:16]!r}; it must be little or big")
    shared = Shared(lambda key: archive.member(f"{folder}/data/{key}"))
    stack.callback(shared.close)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count = identity[:5]
        return Storage(storage_kind(kind), count, lambda size: native(shared.read(key, size), kind, order, budget))

    calls: dict[str, None] = {}
    content = pickles.read(io.BytesIO(description), budget, calls)
    found = flatten(content, storage, budget)
    if not any(name.startswith(f"{folder}/code/") for name in archive.names):
        return Archive("PyTorch", *found, tuple(calls), kind_of(content))
    tensors, classes, said = found
    code = Code(archive, f"{folder}/code")
    said |= {
        at: value for at, kind in classes.items() if kind.endswith(".LSTM") and (value := code.says(kind)) is not None
    }
    return Archive("TorchScript", tensors, classes, said, tuple(calls), kind_of(content))


class Code:
    """What the code of classes says that their batch_first is; the code is text here, and is not run."""

    def __init__(self, archive: zips.Archive, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._files: dict[str, dict[str, bool]] = {}

    def says(self, kind: str) -> bool | None:
        """Return the batch_first of a class by its full name, or None where its code does not say."""
        module, _, name = kind.rpartition(".")
        if module not in self._files:
            self._files[module] = self._read(module)
        return self._files[module].get(name)

    def _read(self, module: str) -> dict[str, bool]:
        try:
            data = self._archive.member(f"{self._folder}/{module.replace('.', '/')}.py")
        except FileError:
            return {}
        found: dict[str, bool] = {}
        name = ""
        for line in data.decode("utf-8", "replace").splitlines():
            if (begins := re.match(r"class (\w+)\(", line)) is not None:
                name = begins[1]
            elif (said := re.fullmatch(r" +batch_first : Final\[bool\] = (True|False)", line)) is not None:
                found.setdefault(name, said[1] == "True")
        return found


# The stream of pickles: before 1.6, and pickles that PyTorch did not write.


def _stream(file: BinaryIO, budget: Budget, stack: ExitStack) -> Archive:
    calls: dict[str, None] = {}
    first = pickles.read(file, budget, calls)
    if first != MAGIC:
        return Archive("pickle", *flatten(first, lambda _: None, budget), tuple(calls), kind_of(first))
    pickles.read(file, budget, calls)  # the version of the protocol
    system = pickles.read(file, budget, calls)
    order = b"big" if isinstance(system, dict) and system.get("little_endian") is False else b"little"
    content = pickles.read(file, budget, calls)
    keys = pickles.read(file, budget, calls)
    if not isinstance(keys, list):
        raise FileError("its storages are not listed")
    identities = [one.identity for one in persistent(content, budget) if is_storage(one.identity)]
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

    def fetch(place: Any) -> bytes:
        begin, length = place
        budget.work(length // READ, "reading its storages")
        with open(source, "rb") as again:
            again.seek(begin)
            return again.read(length)

    shared = Shared(fetch)
    stack.callback(shared.close)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count, *rest = identity
        begin, length = places.get(key, (0, 0))
        if rest and isinstance(rest[0], tuple) and len(rest[0]) == 3 and all(map(is_count, rest[0][1:])):
            _, offset, count = rest[0]  # a view of another storage
            skipped = offset * itemsize(storage_kind(kind))
            begin, length = begin + skipped, max(0, length - skipped)
        return Storage(
            storage_kind(kind), count, lambda size: native(shared.read((begin, length), size), kind, order, budget)
        )

    tensors = flatten(content, storage, budget)
    return Archive("PyTorch, the form before 1.6", *tensors, tuple(calls), kind_of(content))
