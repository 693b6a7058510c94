"""Models in several files: the index of Hugging Face's says which file holds which tensor.

It is a JSON object whose ``weight_map`` has the name of a file for the name of each tensor. The files must lie in the
folder of the index.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from gatewise.errors import FileError, shown
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop.containers import beside, json_document
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.torch.files import Archive, open_archive, open_safetensors
from gatewise.showing import counted

MAP = "weight_map"
LOCATING = 50  # microseconds


def is_index(head: bytes) -> bool:
    """Say whether a file that begins so is the index of a model in several files."""
    return json_document.begins(head) and f'"{MAP}"'.encode() in head


def open_index(path: Path, head: bytes, budget: Budget, stack: ExitStack) -> Archive:
    """Return the tensors of all files that an index names.

    Raises
    ------
    FileError
        If it names files that are missing or lie elsewhere, or tensors that they do not have.
    """
    del head  # which has told what it is
    document = json_document.read(path, budget)
    if not isinstance(document, dict):
        raise FileError(f"its JSON is {json_document.said(document)}; an index is an object")
    places = json_document.entry(document, MAP, dict, "the index")
    shards: dict[str, Archive] = {}
    opened: dict[Path, Archive] = {}  # a file may have several names
    tensors: dict[str, Tensor] = {}
    calls: dict[str, None] = {}
    for name, place in places.items():
        if not isinstance(place, str):
            raise FileError(f"its index has {json_document.said(place)} for {shown(name)!r}, not the name of a file")
        if place not in shards:
            shards[place] = _opened(path.parent, place, opened, budget, stack)
            calls |= dict.fromkeys(shards[place].calls)
        if name not in shards[place].tensors:
            raise FileError(f"its index says that {shown(name)!r} is in {shown(place)!r}, which does not have it")
        tensors[name] = shards[place].tensors[name]
    kinds = dict.fromkeys(one.format for one in opened.values())
    held = f"{' and '.join(kinds) or 'an index'}, in {counted(len(opened), 'file')}"
    return Archive(held, tensors, calls=tuple(calls))


def _opened(folder: Path, name: str, opened: dict[Path, Archive], budget: Budget, stack: ExitStack) -> Archive:
    budget.work(LOCATING, "finding the files of its index")
    try:
        path = beside.located(folder, name)
        if path in opened:
            return opened[path]
        budget.grow(path.stat().st_size)
        with open(path, "rb") as file:
            head = file.read(16)
    except (FileError, OSError) as problem:
        said = problem if isinstance(problem, FileError) else "which cannot be opened"
        raise FileError(f"some of its weights are in {shown(name)!r}, {said}") from None
    try:
        whole = storage.is_safetensors(head)
        opened[path] = open_safetensors(path, budget) if whole else open_archive(path, head, budget, stack)
        return opened[path]
    except FileError as problem:
        raise FileError(f"some of its weights are in {shown(name)!r}, but {problem}") from None
