"""The containers of PyTorch: zip archives, TorchScript, the stream of pickles from before 1.6, safetensors.

Each becomes a flat dictionary of tensors by the path through the dictionaries and objects that hold them. Numbers are
read on demand, so that an optimizer's state or a large embedding costs nothing.
The layouts follow `torch.serialization`.
"""

from __future__ import annotations

import io
import json
import re
import struct
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gatewise.errors import FileError, reason
from gatewise.files.budget import Budget
from gatewise.files.storage import is_safetensors
from gatewise.interop import unread
from gatewise.interop.containers import pickles, zips
from gatewise.interop.containers.pickles import PickledObject
from gatewise.interop.containers.tensors import (
    AXES,
    SharedStorage,
    Storage,
    Tensor,
    bytes_per_number,
    contiguous_tensor,
    is_count,
    ordered_storage,
    unreadable_tensor,
)
from gatewise.interop.ledger import CODE, LedgerEntry
from gatewise.interop.torch import exported, torchscript
from gatewise.interop.torch.content import ModuleFacts, TorchFile
from gatewise.interop.torch.described import MAGIC, describe_file, describe_tensor, is_storage, storage_kind
from gatewise.interop.torch.forward_code import Forward

if TYPE_CHECKING:
    from gatewise.network.graph import Graph

READ = 1000  # bytes that are read in a microsecond
TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "bf16"}  # of safetensors


def open_file(path: Path, budget: Budget, stack: ExitStack) -> TorchFile:
    """Return the tensors of a PyTorch or safetensors file, by its first bytes; it stays open until `stack` ends."""
    head = _bytes_at(path, 0, 16)
    if is_safetensors(head):
        return TorchFile("safetensors", _read_safetensors(path, budget))
    if head.startswith(b"PK"):
        return _open_zip(path, budget, stack)
    with open(path, "rb") as file:
        return _open_stream(file, budget, stack)


def _bytes_at(path: Path, begin: int, length: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(begin)
        return file.read(length)


# Safetensors.


def _read_safetensors(path: Path, budget: Budget) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name; their numbers are read when they are used."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    try:
        with open(path, "rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            text = raw.read(length)
            budget.parse(text, "its header")
            header = json.loads(text)
        with safe_open(path, framework="numpy") as file:  # which looks at the whole header
            names = list(file.keys())
        budget.count(len(names), "tensors")
        for name in names:
            tensors[name] = _header_tensor(path, 8 + length, header[name], budget)
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, OverflowError, KeyError, RecursionError) as problem:
        raise FileError(f"it is not an intact safetensors file ({reason(problem)})") from None
    return tensors


def _header_tensor(path: Path, begin: int, entry: dict[str, Any], budget: Budget) -> Tensor:
    """Return the tensor of an entry in the header of a safetensors file; its numbers begin at `begin`."""
    kind, shape, (first, end) = TYPES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if kind is None:
        return unreadable_tensor(f"its numbers are {entry['dtype']}, which is not supported")
    if len(shape) > AXES:
        return unreadable_tensor(f"it has {len(shape)} axes; at most {AXES} are read")

    def read(size: int) -> bytes:
        return _bytes_at(path, begin + first, min(size, end - first))

    return contiguous_tensor(shape, Storage(kind, (end - first) // bytes_per_number(kind), read), budget)


# Zip: since PyTorch 1.6, and TorchScript.


def _open_zip(source: Path | BinaryIO, budget: Budget, stack: ExitStack) -> TorchFile:
    """Return the tensors of a PyTorch file that is a zip archive, as torch.save, torch.jit and torch.export write."""
    archive = stack.enter_context(zips.ZipMembers(source, budget))
    main = [name for name in archive.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    programs = [] if main else exported.programs_in(archive.names)
    if len(main) != 1 and not programs:
        known = unread.archive_refusal(archive.names)
        raise FileError(known or "it is a zip archive without a data.pkl: not one of PyTorch's")
    folder = main[0].rpartition("data.pkl")[0] if main else programs[0][1]
    order = archive.member(f"{folder}byteorder", 16) if f"{folder}byteorder" in archive else b"little"
    if order.strip() not in (b"little", b"big"):
        raise FileError(f"its byte order is {order[:16]!r}; it must be little or big")
    shared = SharedStorage(lambda key: archive.member(str(key)))
    stack.callback(shared.close)
    if programs:

        def open_member(name: str) -> TorchFile:
            return _open_zip(io.BytesIO(archive.member(name)), budget, stack)

        return exported.ProgramArchive(archive, budget, order, shared, open_member).read()

    def storage(identity: Any, part: str = "data") -> Storage | None:
        """Return the storage with this identity, whose numbers are a member of the archive."""
        _, kind, key, _, count = identity[:5]
        return ordered_storage(storage_kind(kind), count, partial(shared.read, f"{folder}{part}/{key}"), order, budget)

    calls: dict[str, None] = {}
    content = pickles.read_pickle(io.BytesIO(archive.member(main[0])), budget, calls)
    file = describe_file("PyTorch", content, storage, budget, calls)
    code = torchscript.Code(archive, f"{folder}code/", file.classes)
    if not code.texts:
        return file
    tensors = {**file.tensors}
    constants = None
    if f"{folder}constants.pkl" in archive:
        constants = pickles.read_pickle(io.BytesIO(archive.member(f"{folder}constants.pkl")), budget, calls)
        held = {torchscript.CONSTANTS: constants}
        tensors |= describe_file("PyTorch", held, partial(storage, part="constants"), budget).tensors
    facts = {**file.facts, **code.facts(file.tensors)}
    forward, refusal = None, ""
    try:
        forward = Forward(content, code.texts, tensors)
        path = forward.lstm or ""
        facts[path] = replace(facts.get(path, ModuleFacts()), state_by="graph", state=forward.states)
        node = LedgerEntry(CODE.name, CODE.kind)
    except FileError as problem:
        refusal = str(problem)
        node = CODE._replace(reason=f"{CODE.reason}: {problem}")
    traced = f"{folder}traced_inputs.pkl"

    def graph() -> Graph:
        from gatewise.interop.torch.script_graph import ScriptFile, graph_of_script
        from gatewise.interop.torch.script_source import ScriptSource
        from gatewise.interop.torch.script_state import KeepsState

        def describe(node: PickledObject) -> Tensor | None:
            part = "constants" if id(node) in constant_nodes else "data"
            return describe_tensor(node, partial(storage, part=part), budget)

        constant_nodes = {id(node) for node in constants} if isinstance(constants, (list, tuple)) else set()
        inputs = pickles.read_pickle(io.BytesIO(archive.member(traced)), budget) if traced in archive else None
        source = ScriptSource(archive, f"{folder}code/", budget)
        kinds = [tensor.kind for tensor in tensors.values() if tensor.floating]
        dtype = "float64" if kinds[:1] == ["<f8"] else "float32"
        try:
            return graph_of_script(ScriptFile(content, source, constants, inputs, describe, dtype, budget))
        except KeepsState as problem:  # which a network of one LSTM can express, if its code has the usual form
            raise FileError(f"{problem}, and {refusal}") from None

    return replace(
        file,
        graph=graph if isinstance(content, PickledObject) else None,
        format="TorchScript",
        tensors=tensors,
        facts=facts,
        calls=tuple(calls),
        nodes=(node,),
        forward=forward,
        inputs=code.inputs(),
    )


# The stream of pickles: before 1.6, and pickles that PyTorch did not write.


def _open_stream(file: BinaryIO, budget: Budget, stack: ExitStack) -> TorchFile:
    """Return the tensors of a PyTorch file that is a series of pickles, as torch.save wrote before 1.6."""
    calls: dict[str, None] = {}
    first = pickles.read_pickle(file, budget, calls)
    if first != MAGIC:
        return describe_file("pickle", first, lambda _: None, budget, calls)
    pickles.read_pickle(file, budget, calls)  # the version of the protocol
    system = pickles.read_pickle(file, budget, calls)
    order = b"big" if isinstance(system, dict) and system.get("little_endian") is False else b"little"
    references: list[pickles.PersistentId] = []
    content = pickles.read_pickle(file, budget, calls, references)
    keys = pickles.read_pickle(file, budget, calls)
    if not isinstance(keys, list):
        raise FileError("its storages are not listed")
    kinds = {identity[2]: storage_kind(identity[1]) for (identity,) in references if is_storage(identity)}
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
        return _bytes_at(source, begin, length)

    shared = SharedStorage(fetch)
    stack.callback(shared.close)

    def storage(identity: Any) -> Storage | None:
        """Return the storage with this identity, whose numbers stand behind the pickles of the file."""
        _, kind, key, _, count, *rest = identity
        begin, length = places.get(key, (0, 0))
        if rest and isinstance(rest[0], tuple) and len(rest[0]) == 3 and all(map(is_count, rest[0][1:])):
            _, offset, count = rest[0]  # a view of another storage
            skipped = offset * bytes_per_number(storage_kind(kind))
            begin, length = begin + skipped, max(0, length - skipped)
        return ordered_storage(storage_kind(kind), count, partial(shared.read, (begin, length)), order, budget)

    return describe_file("PyTorch, the form before 1.6", content, storage, budget, calls)
