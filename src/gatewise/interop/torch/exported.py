"""Programs of torch.export (.pt2): zip archives whose weights are raw bytes with JSON beside them.

========================  ==========================================  ==================================
written by                the program                                 its weights
========================  ==========================================  ==================================
PyTorch before 2.8        ``serialized_exported_program.json``        ``serialized_state_dict.pt``
PyTorch 2.8               ``models/model.json``                       ``data/weights/model.pt``
later ones                ``models/model.json``                       ``data/weights/weight_0`` …, named by
                                                                      ``model_weights_config.json``
========================  ==========================================  ==================================

The layouts follow `torch.export.pt2_archive` and `torch._export.serde.schema`. A ``.pt`` is an archive of torch.save.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import json_document, zips
from gatewise.interop.containers.tensors import (
    AXES,
    SharedStorage,
    Tensor,
    bytes_per_number,
    is_count,
    ordered_storage,
    unreadable_tensor,
)
from gatewise.interop.graphs import GraphInput
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.content import ModuleFacts, TorchFile
from gatewise.interop.torch.program_graph import at, read_program

PROGRAM = re.compile(r"((?:[^/]+/)?)(?:models/([^/]+)\.json|serialized_exported_program\.json)")
KINDS = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "<u1", 13: "bf16"}
DTYPES = {code: np.dtype(kind).name for code, kind in KINDS.items() if kind != "bf16"} | {12: "bool", 13: "bfloat16"}
STRIDED = 7  # the layout of an ordinary tensor
OpenMember = Callable[[str], TorchFile]  # opens a member that torch.save wrote


def programs_in(names: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Return the folder and the name of each program of torch.export in a zip archive, from its members' names."""
    return [(match[1], match[2]) for name in names if (match := PROGRAM.fullmatch(name)) is not None]


def open_programs(
    archive: zips.ZipMembers, budget: Budget, order: bytes, shared: SharedStorage, open_member: OpenMember
) -> TorchFile:
    """Return the tensors of all programs of torch.export in an archive; of several, each name begins with its own."""
    programs = programs_in(archive.names)
    tensors: dict[str, Tensor] = {}
    classes: dict[str, str] = {}
    facts: dict[str, ModuleFacts] = {}
    formats: dict[str, None] = {}
    nodes: list[LedgerEntry] = []
    inputs: list[GraphInput] = []
    for folder, name in programs:
        weights: dict[str, Tensor] = {}
        if name is None:
            document = json_document.parse_document(archive.member(f"{folder}serialized_exported_program.json"), budget)
            for part in ("serialized_state_dict", "serialized_constants"):
                weights |= _pickled_tensors(archive, f"{folder}{part}", open_member)
        else:
            document = json_document.parse_document(archive.member(f"{folder}models/{name}.json"), budget)
            for part in ("weights", "constants"):
                weights |= _pickled_tensors(archive, f"{folder}data/{part}/{name}", open_member)
                payload = Payload(archive, f"{folder}data/{part}/", order, shared, budget)
                weights |= payload.tensors(f"{name}_{part}_config.json", open_member)
        program = read_program(document, weights, budget)
        start = f"{name}." if len(programs) > 1 else ""
        tensors |= {f"{start}{key}": tensor for key, tensor in weights.items()}
        classes |= {f"{start}{key}".removesuffix("."): kind for key, kind in program.classes.items()}
        facts |= {f"{start}{key}".removesuffix("."): fact for key, fact in program.facts.items()}
        labels = {prefix: f"{start}{prefix}".removesuffix(".") or "lstm" for prefix in program.facts}
        nodes += [
            node._replace(
                name=f"{start}{node.name}",
                layer=f"{start}{node.layer}".removesuffix("."),
                lstms=tuple(labels[prefix] for prefix in node.lstms),
            )
            for node in program.nodes
        ]
        inputs += _inputs_of(document, start)
        version = at(document, "torch_version")
        formats[f"torch.export, by PyTorch {version}" if isinstance(version, str) else "torch.export"] = None
    return TorchFile(" and ".join(formats), tensors, classes, facts, nodes=tuple(nodes), inputs=tuple(inputs))


def _inputs_of(document: Any, start: str) -> Iterator[GraphInput]:
    """Yield the tensors that a program of torch.export takes, their names beginning with `start`."""
    specs = at(document, "graph_module", "signature", "input_specs")
    for spec in specs if isinstance(specs, list) else ():
        name = at(spec, "user_input", "arg", "as_tensor", "name")
        if isinstance(name, str):
            value = at(document, "graph_module", "graph", "tensor_values", name)
            sizes, kind = at(value, "sizes"), at(value, "dtype")
            shape = tuple(at(size, "as_int") for size in sizes) if isinstance(sizes, list) else None
            known = None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
            yield GraphInput(f"{start}{name}", known, DTYPES.get(kind) if isinstance(kind, int) else None)


def _pickled_tensors(archive: zips.ZipMembers, stem: str, open_member: OpenMember) -> dict[str, Tensor]:
    """Return the tensors of a member that torch.save wrote (PyTorch 2.1 called it .json), if it is there."""
    member = next((stem + suffix for suffix in (".pt", ".json") if stem + suffix in archive), None)
    return {} if member is None else dict(open_member(member).tensors)


class Payload(NamedTuple):
    """A folder of a program with tensors as raw bytes."""

    archive: zips.ZipMembers
    folder: str
    order: bytes
    shared: SharedStorage
    budget: Budget

    def tensors(self, config: str, open_member: OpenMember) -> dict[str, Tensor]:
        """Return the tensors that a JSON member of the folder names; one that is a pickled object by itself as such."""
        if self.folder + config not in self.archive:
            return {}
        document = json_document.parse_document(self.archive.member(self.folder + config), self.budget)
        entries = at(document, "config")
        if not isinstance(entries, dict):
            raise FileError(f"its {shown(config)} lists no tensors")
        tensors: dict[str, Tensor] = {}
        for name, entry in entries.items():
            member = f"{self.folder}{at(entry, 'path_name')}"
            if member not in self.archive:
                tensors[name] = unreadable_tensor(f"its numbers are missing: there is no member {shown(member)!r}")
            elif at(entry, "use_pickle") is True:
                inner = [*open_member(member).tensors.values()]
                tensors[name] = inner[0] if len(inner) == 1 else unreadable_tensor("it is a pickled object")
            else:
                tensors[name] = self._raw_tensor(member, at(entry, "tensor_meta"))
        return tensors

    def _raw_tensor(self, member: str, meta: Any) -> Tensor:
        """Return the tensor whose numbers are a member, in the shape and the strides that JSON gives."""
        kind = at(meta, "dtype")
        numpy_kind = KINDS.get(kind) if isinstance(kind, int) else None
        sizes, strides = ([at(size, "as_int") for size in _list(meta, key)] for key in ("sizes", "strides"))
        offset = at(meta, "storage_offset", "as_int")
        if len(sizes) != len(strides) or len(sizes) > AXES or not all(map(is_count, (offset, *sizes, *strides))):
            return unreadable_tensor("its shape or its strides are invalid")
        if numpy_kind is None or at(meta, "layout") != STRIDED:
            return unreadable_tensor("its numbers are of a type or a layout that is not supported")
        count = self.archive.size(member) // bytes_per_number(numpy_kind)
        storage = ordered_storage(numpy_kind, count, partial(self.shared.read, member), self.order, self.budget)
        return Tensor(tuple(sizes), tuple(strides), offset, numpy_kind, storage, self.budget)


def _list(owner: Any, key: str) -> list[Any]:
    """Return a list of a JSON object; an empty one if it has none of that name."""
    value = at(owner, key)
    return value if isinstance(value, list) else []
