"""Keras' files in their parts: the configuration, if there is one, and the weights of each layer in order.

Four layouts. ``.keras``: a zip archive with ``config.json``, ``metadata.json`` and ``model.weights.h5``. ``.h5`` of a
whole model: the configuration is the attribute ``model_config``, the weights are under ``model_weights``. Weights
alone of Keras 1 and 2: the attributes ``layer_names`` and, in each layer, ``weight_names`` give their order. Weights
alone of Keras 3 (and the ``model.weights.h5`` in an archive): a tree of objects, each with its arrays ``vars/0`` …
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from gatewise.arrays import Array
from gatewise.errors import FileError, reason, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import hdf5, zips
from gatewise.interop.containers.hdf5 import MAGIC, Dataset, Group
from gatewise.interop.containers.json_document import object_without_repeats
from gatewise.interop.containers.tensors import to_float

MEMBERS = CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
STEPS = 3  # microseconds that an object, a list or a text of a configuration takes
Member = TypeVar("Member")
NODE = 600  # bytes that an object in a tree of weights takes
DEPTH = 60  # of groups within each other
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3, of Keras 2.12
OF_TRAINING = {"optimizer", "optimizer_weights", "_distribute_strategy"}  # groups that no layer reads


@dataclass(frozen=True, eq=False)
class KerasTensor:
    """An array in a file, by its path there, or of a live layer."""

    name: str
    shape: tuple[int, ...]
    kind: str  # of its numbers: float16, bfloat16, float32, float64, or in words
    read: Callable[[], Array]  # returns them as float64, or as float32 if they have fewer bits


def entries_of(tensors: Iterable[KerasTensor]) -> tuple[str, ...]:
    """Return the names of the arrays of a Keras file in its ledger: their paths from the root."""
    return tuple(f"/{tensor.name}" for tensor in tensors)


@dataclass(frozen=True, eq=False)
class WeightGroup:
    """An object in a tree of weights: its arrays in order, and the objects in it by name."""

    path: str
    name: str | None = None
    tensors: tuple[KerasTensor, ...] = ()
    children: dict[str, WeightGroup] = field(default_factory=dict)


@dataclass(eq=False)
class Source:
    """A file in its parts; its budget ends with the inspection."""

    path: Path
    budget: Budget
    kind: str = "tree"  # "keras", "h5", "weights" (Keras 1 and 2), or "tree" (weights alone, of Keras 3)
    version: str | None = None
    config: Any = None
    layers: dict[str, tuple[KerasTensor, ...]] | None = None  # the weights by layer, of an .h5
    tree: WeightGroup | None = None  # the weights of other files
    # Of the HDF5 part, by their paths; None is an array of training that nobody looks at.
    members: dict[str, Group | Dataset | FileError | None] = field(default_factory=dict)
    archive: zips.ZipMembers | None = None
    open_stream: BinaryIO | None = field(default=None, repr=False)  # of the HDF5 part, during the inspection

    @contextmanager
    def hdf5_stream(self) -> Iterator[BinaryIO]:
        """Yield a stream of a Keras file's HDF5 part, opened if it is not open already."""
        if self.open_stream is not None:
            yield self.open_stream
            return
        with open(self.path, "rb") if self.archive is None else self.archive.stream(WEIGHTS) as stream:
            yield stream


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Yield the parts of a Keras file, which stays open for the block; errors lack the file's name."""
    with open(path, "rb") as file:
        zipped = not file.read(len(MAGIC)).startswith(MAGIC)
    budget = Budget.of(path)
    source = Source(path, budget, "keras" if zipped else "h5")
    if zipped:
        source.archive = zips.ZipMembers(path, budget)
        source.config = parse_json(source.archive.member(CONFIG), budget)
        metadata = parse_json(source.archive.member(METADATA), budget) if METADATA in source.archive else {}
        if isinstance(metadata, dict) and isinstance(metadata.get("keras_version"), str):
            source.version = metadata["keras_version"]
    with source.hdf5_stream() as stream:
        source.open_stream = stream
        try:
            root = source.members[""] = hdf5.open_root(stream, budget)
            if zipped:
                source.tree = _read_group(source, root, 0, strict=True)
            else:
                _read_hdf5(source, root)
            yield source
        finally:
            source.open_stream = None
            budget.end()


def _read_group(source: Source, group: Group, depth: int, strict: bool) -> WeightGroup:
    """Return an HDF5 group as one in a tree of Keras 3 weights, and note all that is in it; `depth` are around it.

    If it is not `strict`, the file has a list of its weights: there is no tree, and what cannot be read may be unused.
    """
    if depth > DEPTH:
        raise FileError(f"it nests more than {DEPTH} groups")
    node = WeightGroup(group.path)
    for key in group.links:
        path = f"{group.path}/{key}" if group.path else key
        of_training = not OF_TRAINING.isdisjoint(path.split("/"))
        source.budget.work(10, "the tree of its weights")
        source.budget.hold(NODE + len(path), 1, "the tree of its weights")
        if of_training and group.path.endswith("/vars"):
            source.members[path] = None
            continue
        try:
            member: Group | Dataset | FileError = group[key]
        except FileError as problem:
            if strict and not of_training:
                raise
            member = problem
        source.members[path] = member
        if isinstance(member, Group):
            inner = _read_group(source, member, depth + 1, strict)
            if key == "vars" and strict and not of_training:
                stated = member.attributes.get("name")
                name = stated if isinstance(stated, str) else None
                node = replace(node, name=name, tensors=_numbered_tensors(source, member))
            elif not of_training:
                _add_child(node.children, key.split("\\")[:DEPTH], inner)
    return node


def _stored_tensor(source: Source, dataset: Dataset) -> KerasTensor:
    """Return an array of a Keras file, which is read on demand."""

    def read() -> Array:
        """Return the numbers of the array as float64, or as float32 if they have fewer bits."""
        if stored.kind not in ("float", "bfloat16"):
            raise FileError(f"{dataset.path} holds {stored.kind}, not floats: it may be quantised")
        with source.hdf5_stream() as stream:
            array: Array = replace(dataset, file=dataset.file.reopen(stream, source.budget)).read()
            if array.dtype.itemsize < 4:
                source.budget.hold(array.size, 4, shown(dataset.path))
        return to_float(array)

    stored = dataset.type
    kind = f"float{8 * stored.size}" if stored.kind == "float" else stored.kind
    return KerasTensor(dataset.path, dataset.shape, kind, read)


def parse_json(text: bytes | str, budget: Budget) -> Any:
    """Return the JSON of a Keras configuration; its objects and the work of reading it are charged to a budget."""
    budget.work(STEPS * budget.parse(text, "its configuration"), "its configuration")
    try:
        return json.loads(text, object_pairs_hook=partial(object_without_repeats, kind=dict))
    except FileError:
        raise
    except RecursionError:
        raise FileError("its configuration is nested too deeply") from None
    except ValueError as problem:
        raise FileError(f"its configuration is not JSON ({reason(problem)})") from None


# HDF5 of Keras 1 and 2, and of whole models.


def _read_hdf5(source: Source, root: Group) -> None:
    """Fill in the configuration, the version and the weights of a Keras file that is HDF5."""
    weights = root
    if "model_weights" in root:
        member = root["model_weights"]
        if not isinstance(member, Group):
            raise FileError("its 'model_weights' is an array, not a group")
        weights = member
    elif "nb_layers" in root.attributes:
        raise FileError("it was written by Keras before 1.0, which is not supported")
    config = root.attributes.get("model_config")
    if isinstance(config, str):
        source.config = parse_json(config, source.budget)
    for holder in (root, weights):
        version = holder.attributes.get("keras_version")
        if isinstance(version, str) and source.version is None:
            source.version = version[:40]
    names = _stored_names(weights, "layer_names")
    tree = _read_group(source, root, 0, strict=names is None)
    if names is None:
        source.kind = "tree" if source.config is None else "h5"
        source.tree = tree
        return
    source.kind = "weights" if source.config is None else "h5"
    source.layers = {}
    for name in names:
        group = _member_at(source, weights, name, Group, f"the layer {name[:100]!r} is an array, not a group")
        tensors = []
        for weight in _stored_names(group, "weight_names") or ():
            refusal = f"the weight {weight[:100]!r} of the layer {name[:100]!r} is a group, not an array"
            tensors.append(_stored_tensor(source, _member_at(source, group, weight, Dataset, refusal)))
        source.layers[name] = tuple(tensors)


def _stored_names(group: Group, attribute: str) -> list[str] | None:
    """Return the list of names in an HDF5 attribute, which Keras cuts into numbered pieces if long; None without it."""
    attributes = group.attributes
    numbered = takewhile(attributes.__contains__, (f"{attribute}{number}" for number in count()))
    keys = [attribute] if attribute in attributes else [*numbered]
    names: list[str] = []
    for piece in (attributes[key] for key in keys):
        if isinstance(piece, list):
            names += piece
        elif piece is not None and getattr(piece, "size", True):  # an empty list is stored as an empty array of numbers
            raise FileError(f"the {attribute} of {group.path or 'the file'} are not names")
    return names if keys else None


def _member_at(source: Source, group: Group, path: str, kind: type[Member], refusal: str) -> Member:
    """Return the group or the array at a path below a group of a Keras HDF5 file; another kind there is refused."""
    member = source.members.get(f"{group.path}/{path.strip('/')}".lstrip("/"))
    if member is None:
        raise FileError(f"there is no {path[:200]!r} in {group.path or 'the file'}")
    if isinstance(member, FileError):
        raise member
    if not isinstance(member, kind):
        raise FileError(refusal)
    return member


# The tree of objects of Keras 3.


def _add_child(children: dict[str, WeightGroup], path: list[str], node: WeightGroup) -> None:
    """Put a group of a Keras weight tree among others; one saved on Windows may have a path as its name."""
    if len(path) > 1:
        inner = children.setdefault(path[0], WeightGroup(node.path))
        _add_child(inner.children, path[1:], node)
    else:
        existing = children.get(path[0])
        children[path[0]] = node if existing is None else replace(node, children=existing.children | node.children)


def _numbered_tensors(source: Source, group: Group) -> tuple[KerasTensor, ...]:
    """Return the arrays of a Keras HDF5 group whose names are numbers, in their order."""
    keys = sorted((key for key in group.links if key.isdecimal() and len(key) < 6), key=int)
    members = [source.members[f"{group.path}/{key}"] for key in keys]
    return tuple(_stored_tensor(source, member) for member in members if isinstance(member, Dataset))
