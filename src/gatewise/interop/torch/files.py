"""The containers of PyTorch: zip archives, TorchScript, the stream of pickles from before 1.6, safetensors.

Each becomes a flat dictionary of tensors by the path through the dictionaries and objects that hold them. Numbers are
read on demand, so that an optimizer's state or a large embedding costs nothing.
The layouts follow `torch.serialization`.
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
from gatewise.files.storage import is_safetensors
from gatewise.interop import unread
from gatewise.interop.containers import pickles, safetensors, zips
from gatewise.interop.containers.tensors import SharedStorage, Storage, Tensor, bytes_per_number, is_count
from gatewise.interop.torch.described import MAGIC, describe_content, flatten
from gatewise.interop.torch.storages import in_little_endian, is_storage, iterate_references, storage_kind

READ = 1000  # bytes that are read in a microsecond


@dataclass(frozen=True, eq=False)
class TorchFile:
    """The content of a PyTorch file."""

    format: str  # in words
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)  # of each object that holds tensors, by path
    batch_first: Mapping[str, bool] = field(default_factory=dict)  # of an object, by path
    calls: tuple[str, ...] = ()  # the classes and functions that unpickling would have called
    content: str = ""  # of a pickle, in words


def open_file(path: Path, head: bytes, budget: Budget, stack: ExitStack) -> TorchFile:
    """Return the tensors of a file, whose kind its first bytes tell; it stays open until `stack` ends."""
    if is_safetensors(head):
        return TorchFile("safetensors", safetensors.read_tensors(path, budget))
    if head.startswith(b"PK"):
        return _open_zip(path, budget, stack)
    with open(path, "rb") as file:
        return _open_stream(file, budget, stack)


# Zip: since PyTorch 1.6, and TorchScript.


def _open_zip(path: Path, budget: Budget, stack: ExitStack) -> TorchFile:
    archive = stack.enter_context(zips.ZipMembers(path, budget))
    main = [name for name in archive.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(main) != 1:
        known = unread.archive_refusal(archive.names)
        raise FileError(known or "it is a zip archive without a data.pkl: not one of PyTorch's")
    folder = main[0].partition("/")[0]
    description = archive.member(main[0])
    order = archive.member(f"{folder}/byteorder", 16) if f"{folder}/byteorder" in archive.names else b"little"
    if order.strip() not in (b"little", b"big"):
        raise FileError(f"its byte order is {order[:16]!r}; it must be little or big")
    shared = SharedStorage(lambda key: archive.member(f"{folder}/data/{key}"))
    stack.callback(shared.close)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count = identity[:5]
        return Storage(
            storage_kind(kind), count, lambda size: in_little_endian(shared.read(key, size), kind, order, budget)
        )

    calls: dict[str, None] = {}
    content = pickles.read_pickle(io.BytesIO(description), budget, calls)
    flat = flatten(content, storage, budget)
    if not any(name.startswith(f"{folder}/code/") for name in archive.names):
        return TorchFile("PyTorch", *flat, tuple(calls), describe_content(content))
    tensors, classes, batch_first = flat
    code = ClassCode(archive, f"{folder}/code")
    batch_first |= {
        path: value
        for path, kind in classes.items()
        if kind.endswith(".LSTM") and (value := code.batch_first_of(kind)) is not None
    }
    return TorchFile("TorchScript", tensors, classes, batch_first, tuple(calls), describe_content(content))


class ClassCode:
    """The batch_first of classes, from their code, which is only text here and is never run."""

    def __init__(self, archive: zips.ZipMembers, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._settings: dict[str, dict[str, bool]] = {}

    def batch_first_of(self, kind: str) -> bool | None:
        """Return the batch_first of a class by its full name, or None if its code does not say."""
        module, _, name = kind.rpartition(".")
        if module not in self._settings:
            self._settings[module] = self._read_module(module)
        return self._settings[module].get(name)

    def _read_module(self, module: str) -> dict[str, bool]:
        try:
            data = self._archive.member(f"{self._folder}/{module.replace('.', '/')}.py")
        except FileError:
            return {}
        settings: dict[str, bool] = {}
        name = ""
        for line in data.decode("utf-8", "replace").splitlines():
            if (class_line := re.match(r"class (\w+)\(", line)) is not None:
                name = class_line[1]
            elif (setting := re.fullmatch(r" +batch_first : Final\[bool\] = (True|False)", line)) is not None:
                settings.setdefault(name, setting[1] == "True")
        return settings


# The stream of pickles: before 1.6, and pickles that PyTorch did not write.


def _open_stream(file: BinaryIO, budget: Budget, stack: ExitStack) -> TorchFile:
    calls: dict[str, None] = {}
    first = pickles.read_pickle(file, budget, calls)
    if first != MAGIC:
        return TorchFile("pickle", *flatten(first, lambda _: None, budget), tuple(calls), describe_content(first))
    pickles.read_pickle(file, budget, calls)  # the version of the protocol
    system = pickles.read_pickle(file, budget, calls)
    order = b"big" if isinstance(system, dict) and system.get("little_endian") is False else b"little"
    content = pickles.read_pickle(file, budget, calls)
    keys = pickles.read_pickle(file, budget, calls)
    if not isinstance(keys, list):
        raise FileError("its storages are not listed")
    identities = [
        reference.identity for reference in iterate_references(content, budget) if is_storage(reference.identity)
    ]
    kinds = {identity[2]: storage_kind(identity[1]) for identity in identities}
    places: dict[str, tuple[int, int]] = {}
    position = file.tell()
    end = file.seek(0, io.SEEK_END)
    for key in keys:  # the storages follow one another, each after the count of its numbers
        file.seek(position)
        head, kind = file.read(8), kinds.get(key) if isinstance(key, str) else None
        if len(head) < 8 or kind is None:
            break
        (count,) = struct.unpack(">q" if order == b"big" else "<q", head)
        if not 0 <= count <= (end - position) // bytes_per_number(kind):
            places[key] = (position + 8, end - position - 8)
            break
        places[key] = (position + 8, count * bytes_per_number(kind))
        position += 8 + count * bytes_per_number(kind)
    source = Path(file.name)

    def fetch(place: Any) -> bytes:
        begin, length = place
        budget.work(length // READ, "reading its storages")
        with open(source, "rb") as again:
            again.seek(begin)
            return again.read(length)

    shared = SharedStorage(fetch)
    stack.callback(shared.close)

    def storage(identity: Any) -> Storage | None:
        if not is_storage(identity):
            return None
        _, kind, key, _, count, *rest = identity
        begin, length = places.get(key, (0, 0))
        if rest and isinstance(rest[0], tuple) and len(rest[0]) == 3 and all(map(is_count, rest[0][1:])):
            _, offset, count = rest[0]  # a view of another storage
            skipped = offset * bytes_per_number(storage_kind(kind))
            begin, length = begin + skipped, max(0, length - skipped)
        return Storage(
            storage_kind(kind),
            count,
            lambda size: in_little_endian(shared.read((begin, length), size), kind, order, budget),
        )

    tensors = flatten(content, storage, budget)
    return TorchFile("PyTorch, the form before 1.6", *tensors, tuple(calls), describe_content(content))
