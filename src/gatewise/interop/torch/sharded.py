"""Models in several files: Hugging Face's index names the file of each tensor.

It is a JSON object whose ``weight_map`` has the name of a file for the name of each tensor. The files must lie in the
folder of the index.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import beside, json_document
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.torch.content import TorchFile
from gatewise.interop.torch.files import open_file
from gatewise.showing import counted

MAP = "weight_map"
LOCATING = 50  # microseconds


def is_index(head: bytes) -> bool:
    """Return whether a file with these first bytes is the index of a model in several files."""
    return json_document.may_be_json(head) and f'"{MAP}"'.encode() in head


def open_index(path: Path, budget: Budget, stack: ExitStack) -> TorchFile:
    """Return the PyTorch tensors of all files that an index names; each file must have those tensors."""
    document = json_document.read_document(path, budget)
    if not isinstance(document, dict):
        raise FileError(f"its JSON is {json_document.describe(document)}; an index is an object")
    places = json_document.entry(document, MAP, dict, "the index")
    shards: dict[str, TorchFile] = {}
    open_files: dict[Path, TorchFile] = {}  # a file may have several names
    tensors: dict[str, Tensor] = {}
    for name, place in places.items():
        if not isinstance(place, str):
            raise FileError(
                f"its index has {json_document.describe(place)} for {shown(name)!r}, not the name of a file"
            )
        if place not in shards:
            shards[place] = _open_shard(path.parent, place, open_files, budget, stack)
        if name not in shards[place].tensors:
            raise FileError(f"its index says that {shown(name)!r} is in {shown(place)!r}, which does not have it")
        tensors[name] = shards[place].tensors[name]
    kinds = dict.fromkeys(shard.format for shard in open_files.values())
    calls = dict.fromkeys(call for shard in open_files.values() for call in shard.calls)
    classes = {path: kind for shard in open_files.values() for path, kind in shard.classes.items()}
    facts = {path: fact for shard in open_files.values() for path, fact in shard.facts.items()}
    kind_of_file = f"{' and '.join(kinds) or 'an index'}, in {counted(len(open_files), 'file')}"
    return TorchFile(kind_of_file, tensors, classes, facts, tuple(calls))


def _open_shard(
    folder: Path, name: str, open_files: dict[Path, TorchFile], budget: Budget, stack: ExitStack
) -> TorchFile:
    """Return the tensors of a file that a PyTorch index names; each file is opened once."""
    budget.work(LOCATING, "finding the files of its index")
    start = f"some of its weights are in {shown(name)!r}"
    try:
        path = beside.locate(folder, name)
    except FileError as problem:
        raise FileError(f"{start}, {problem}") from None
    if path not in open_files:
        try:
            budget.grow(path.stat().st_size)
            open_files[path] = open_file(path, budget, stack)
        except FileError as problem:
            raise FileError(f"{start}, but {problem}") from None
        except OSError:
            raise FileError(f"{start}, which cannot be opened") from None
    return open_files[path]
