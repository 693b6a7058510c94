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
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gatewise.errors import CapacityError, FileError, shown
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
from gatewise.interop.torch.content import TorchFile
from gatewise.interop.torch.program_graph import TYPES, Program, at, list_at
from gatewise.network.graph import Graph

PROGRAM = re.compile(r"((?:[^/]+/)?)(?:models/([^/]+)\.json|serialized_exported_program\.json)")
MAX_TARGETS = 50_000  # nodes of one program
STRIDED = 7  # the layout of an ordinary tensor


def programs_in(names: tuple[str, ...]) -> list[re.Match[str]]:
    """Return the members of a zip archive that are programs of torch.export, each with its folder and its name."""
    return [match for name in names if (match := PROGRAM.fullmatch(name)) is not None]


class ProgramArchive(NamedTuple):
    """A zip archive with programs of torch.export; `open_member` opens a member that torch.save wrote."""

    archive: zips.ZipMembers
    budget: Budget
    order: bytes
    shared: SharedStorage
    open_member: Callable[[str], TorchFile]

    def read(self) -> TorchFile:
        """Return the tensors of all programs in the archive; of several, each name begins with its own."""
        programs = programs_in(self.archive.names)
        content = TorchFile("", {})
        formats: dict[str, None] = {}
        for match in programs:
            document = self._document(match[0])
            start = f"{match[2]}." if len(programs) > 1 else ""
            weights = {f"{start}{name}": tensor for name, tensor in self._weights(match[1], match[2]).items()}
            program = Program(document, weights, self.budget, start)
            version = at(document, "torch_version")
            formats[f"torch.export, by PyTorch {version}" if isinstance(version, str) else "torch.export"] = None
            content = TorchFile(
                " and ".join(formats),
                {**content.tensors, **weights},
                {**content.classes, **program.classes},
                {**content.facts, **program.facts},
                nodes=(*content.nodes, *program.ledger()),
                inputs=(*content.inputs, *program.inputs),
                graph=self.graph,
            )
        return content

    def graph(self) -> Graph:
        """Return the graph of the program in the archive; FileError if there are several."""
        from gatewise.interop.torch.aten import graph_of_program

        programs = programs_in(self.archive.names)
        if len(programs) > 1:
            raise FileError(f"it holds {len(programs)} programs; a network is one")
        document = self._document(programs[0][0])
        return graph_of_program(document, self._weights(programs[0][1], programs[0][2]), self.budget)

    def _document(self, member: str) -> Any:
        """Return a program as JSON describes it; CapacityError if it has too many nodes."""
        text = self.archive.member(member)
        if (targets := text.count(b'"target"')) > MAX_TARGETS:
            raise CapacityError(f"a program of {targets:,} nodes is too large; up to {MAX_TARGETS:,} are allowed")
        return json_document.parse_document(text, self.budget)

    def _weights(self, folder: str, name: str | None) -> dict[str, Tensor]:
        """Return the tensors of the program of a name; one from before PyTorch 2.8 has none."""
        if name is None:
            stems = (f"{folder}serialized_state_dict", f"{folder}serialized_constants")
            return self._saved(stems[0]) | self._saved(stems[1])
        tensors: dict[str, Tensor] = {}
        for part in ("weights", "constants"):
            place = f"{folder}data/{part}/"
            tensors |= self._saved(f"{place}{name}") | self._raw(place, f"{name}_{part}_config.json")
        return tensors

    def _saved(self, stem: str) -> dict[str, Tensor]:
        """Return the tensors of a member that torch.save wrote (PyTorch 2.1 called it .json), if it is there."""
        member = next((stem + suffix for suffix in (".pt", ".json") if stem + suffix in self.archive), None)
        return {} if member is None else {**self.open_member(member).tensors}

    def _raw(self, folder: str, config: str) -> dict[str, Tensor]:
        """Return the tensors that a JSON member of a folder names; one that is a pickled object by itself as such."""
        if folder + config not in self.archive:
            return {}
        document = json_document.parse_document(self.archive.member(folder + config), self.budget)
        entries = at(document, "config")
        if not isinstance(entries, dict):
            raise FileError(f"its {shown(config)} lists no tensors")
        tensors: dict[str, Tensor] = {}
        for name, entry in entries.items():
            member = f"{folder}{at(entry, 'path_name')}"
            if member not in self.archive:
                tensors[name] = unreadable_tensor(f"its numbers are missing: there is no member {shown(member)!r}")
            elif at(entry, "use_pickle") is True:
                inner = [*self.open_member(member).tensors.values()]
                tensors[name] = inner[0] if len(inner) == 1 else unreadable_tensor("it is a pickled object")
            else:
                tensors[name] = self._raw_tensor(member, at(entry, "tensor_meta"))
        return tensors

    def _raw_tensor(self, member: str, meta: Any) -> Tensor:
        """Return the tensor whose numbers are a member, in the shape and the strides that JSON gives."""
        kind = at(meta, "dtype")
        numpy_kind = TYPES.get(kind) if isinstance(kind, int) else None
        sizes, strides = ([at(size, "as_int") for size in list_at(meta, key)] for key in ("sizes", "strides"))
        offset = at(meta, "storage_offset", "as_int")
        if len(sizes) != len(strides) or len(sizes) > AXES or not all(map(is_count, (offset, *sizes, *strides))):
            return unreadable_tensor("its shape or its strides are invalid")
        if numpy_kind is None or at(meta, "layout") != STRIDED:
            return unreadable_tensor("its numbers are of a type or a layout that is not supported")
        count = self.archive.size(member) // bytes_per_number(numpy_kind)
        storage = ordered_storage(numpy_kind, count, partial(self.shared.read, member), self.order, self.budget)
        return Tensor(tuple(sizes), tuple(strides), offset, numpy_kind, storage, self.budget)
