"""Keras' weights: which arrays belong to which layer, and how they become gatewise's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.keras.config import Layer, clean
from gatewise.interop.keras.files import CONTAINERS, Node, Tensor
from gatewise.parameters import Parameters, Variant

ONE_OF_TWELVE = re.compile(r"(?:(.*)_)?([WUb])_([ifco])(?:_\d+)?", re.DOTALL)
OF_KERAS_1 = re.compile(r"(?:(.*)_)?([WUb])", re.DOTALL)
NUMBERED = re.compile(r"(.*?)(?:_\d+)?", re.DOTALL)
ORDER_1 = "icfo"  # in which Keras 1 has its gates' arrays
RECURRENT_ROLES = {"recurrent_kernel", "U", "U_i"}


@dataclass(frozen=True, eq=False)
class Run:
    """Arrays of a file that follow each other and belong together.

    Attributes
    ----------
    place : str
        The folder of the cell's layer.
    owner : str
        The name of the cell's folder, or of its layer, within the file's layer.
    tensors : tuple of Tensor
    roles : tuple of str
        What each of them is by its name.
    """

    place: str
    owner: str
    tensors: tuple[Tensor, ...]
    roles: tuple[str, ...]

    @property
    def recurrent(self) -> bool:
        """Whether they are a recurrent cell's."""
        named = bool(RECURRENT_ROLES & set(self.roles)) and len(self.tensors) in (2, 3, 12)
        return named and all(len(one.shape) > 0 for one in self.tensors) and len(self.tensors[1].shape) >= 2

    @property
    def inputs(self) -> int:
        """How many features the cell takes."""
        return self.tensors[0].shape[0]

    @property
    def units(self) -> int:
        """How many units the cell has."""
        return self.tensors[1].shape[0]


def runs(tensors: Sequence[Tensor], layer: str) -> list[Run]:
    """Return a layer's arrays, in the file's order, cut where another cell or layer begins."""
    found: list[tuple[str, str, list[Tensor], list[str]]] = []
    for one in tensors:
        folder, _, base = _within(one.name, layer).rpartition("/")
        base = base.partition(":")[0]
        if (match := ONE_OF_TWELVE.fullmatch(base)) is not None:
            owner, role = match[1] or "", f"{match[2]}_{match[3]}"
        elif (match := OF_KERAS_1.fullmatch(base)) is not None:
            owner, role = match[1] or "", match[2]
        else:
            numbered = NUMBERED.fullmatch(base)
            owner, role = "", base if numbered is None else numbered[1]
        folder = f"{folder}/{owner}".strip("/")
        if not found or found[-1][0] != folder or role in found[-1][3]:
            found.append((folder, owner, [], []))
        found[-1][2].append(one)
        found[-1][3].append(role)
    result = []
    for folder, _, arrays, roles in found:
        place = folder.rpartition("/")[0] if "cell" in folder.rpartition("/")[2] else folder
        result.append(Run(place, folder.partition("/")[0] if "/" not in place else place, tuple(arrays), tuple(roles)))
    return result


def _within(name: str, layer: str) -> str:
    """Return the name of an array within its layer."""
    for prefix in (f"model_weights/{layer}/", f"{layer}/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


Bound = dict[Layer, tuple[Tensor, ...]]


def bind_layers(root: Layer, layers: Mapping[str, Sequence[Tensor]], budget: Budget) -> tuple[Bound, dict[Layer, str]]:
    """Return the arrays of each layer of a model, of weights by the names of the outermost layers.

    Within a layer that holds others, they are distinguished by names, else by their order. Where neither can be, the
    layer is among the problems, with the reason.
    """
    bound: Bound = {}
    problems: dict[Layer, str] = {}
    names = {clean(name): name for name in reversed(list(layers))}  # of those that look alike, the first
    for _, child in root.children:
        name = names.get(child.name, "")
        tensors = layers[name] if child.name in names else None
        leaves = list(child.leaves())
        if tensors is None:
            problems |= dict.fromkeys(_holders(child), "the file has no weights of it")
        elif leaves == [child]:
            bound[child] = tuple(tensors)
        else:
            of = runs(tensors, name)
            budget.work(len(leaves) * (len(of) + 1), "finding the arrays of its layers")
            bound |= {leaves[0]: of[0].tensors} if len(leaves) == len(of) == 1 else _by_name(leaves, of)
            cells = [one for one in leaves if _is_cell(one)]
            if any(one not in bound for one in cells) or len({bound[one] for one in cells}) != len(cells):
                recurrent = [one for one in of if one.recurrent]
                if len(recurrent) == len(cells):
                    cells.sort(key=lambda one: not one.trainable)  # Keras writes those that are trained first
                    bound |= {one: run.tensors for one, run in zip(cells, recurrent, strict=True)}
                else:
                    words = f"its arrays cannot be distinguished: {len(recurrent)} cells for {len(cells)} layers"
                    problems |= dict.fromkeys(_holders(child), words)
    return bound, problems


def _holders(layer: Layer) -> list[Layer]:
    """Return a layer and all that it holds."""
    return [layer] + [inner for _, child in layer.children for inner in _holders(child)]


def _is_cell(layer: Layer) -> bool:
    return any(word in layer.kind for word in ("LSTM", "GRU", "RNN"))


def _by_name(leaves: Sequence[Layer], of: Sequence[Run]) -> Bound:
    """Return the arrays of the layers whose names are those of just one folder."""
    found: Bound = {}
    for leaf in leaves:
        same = [run for run in of if any(f"/{leaf.name}/" in f"/{_folder(one.name)}/" for one in run.tensors[:1])] or [
            run for run in of if run.owner == leaf.name
        ]
        if len(same) == 1:
            found[leaf] = same[0].tensors
    return found


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def bind_tree(root: Layer, tree: Node) -> Bound:
    """Return the arrays of each layer of a model, of a tree of weights as Keras 3 writes it."""
    bound: Bound = {}

    def walk(layer: Layer, node: Node | None) -> None:
        if node is None:
            return
        if layer.kind in ("LSTM", "CuDNNLSTM") or (not layer.children and "cell" in node.children):
            inner = node.children.get("cell", node)
            bound[layer] = inner.tensors
        elif not layer.children:
            bound[layer] = node.tensors
        counts: dict[str, int] = {}
        named = dict[str, dict[str | None, list[Node]]]()
        for attribute, child in layer.children:
            if attribute not in ("layers", "cells"):
                walk(child, node.children.get(attribute))
                continue
            stem = snake(child.kind)
            number = counts[stem] = counts.get(stem, -1) + 1
            key = stem if not number else f"{stem}_{number}"
            places = CONTAINERS if attribute == "layers" else ("cells",)
            place = next((one for one in places if one in node.children), None)
            if place is not None:
                held = node.children[place]
                if place not in named:
                    named[place] = _by_their_names(held)
                walk(child, _member(held, named[place].get(child.name, []), child.name, key))

    walk(root, tree)
    return bound


def _by_their_names(held: Node) -> dict[str | None, list[Node]]:
    found: dict[str | None, list[Node]] = {}
    for one in held.children.values():
        found.setdefault(one.name, []).append(one)
    return found


def _member(held: Node, same: Sequence[Node], name: str, key: str) -> Node | None:
    """Return the member for a layer: the one of its name, where there is one alone, else the one at its position."""
    if len(same) == 1:
        return same[0]
    return held.children.get(key, held.children.get(name))


def snake(kind: str) -> str:
    """Return the name of a class as Keras' files have it."""
    words = re.sub(r"\W+", "", kind)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def shape_kind(tensors: Sequence[Tensor]) -> str | None:
    """Return why arrays are not those of an LSTM's cell, or None where they may be."""
    if len(tensors) == 12:
        return None
    if len(tensors) not in (2, 3):
        return f"it has {len(tensors)} arrays; a cell has 2 or 3"
    kernel, recurrent = tensors[0].shape, tensors[1].shape
    if len(kernel) > 2:
        return "it is a convolutional LSTM"
    if len(kernel) != 2 or len(recurrent) != 2:
        return f"its arrays have shapes {kernel} and {recurrent}, which are no cell's"
    if recurrent[1] == 3 * recurrent[0]:
        return "it is a GRU"
    if recurrent[1] == recurrent[0]:
        return "it is a simple recurrent layer without gates"
    return None


def cell(
    tensors: Sequence[Tensor], variant: Variant, config: Mapping[str, Any], budget: Budget
) -> tuple[Parameters, str]:
    """Return the parameters of a cell, which are taken off a budget, and the convention of its arrays in words.

    Raises
    ------
    FileError, ShapeError
        If they are not those of an LSTM's cell.
    """
    if len(tensors) == 12:
        arrays, style = _twelve(tensors)
    elif len(tensors) in (2, 3):
        arrays, style = _three(tensors)
    elif not tensors:
        raise FileError("the file has no weights in its place; they may be shared with another layer")
    else:
        raise FileError(f"it has {len(tensors)} arrays in the file; an LSTM has 2, 3 or, in Keras 1, 12")
    kernel, recurrent, biases = arrays
    units = config.get("units", config.get("output_dim"))
    if isinstance(units, int) and units != recurrent.shape[1]:
        raise FileError(f"its configuration says {units} units, its weights {recurrent.shape[1]}")
    widest = max((one.dtype for one in (kernel, recurrent, *biases)), key=lambda dtype: dtype.itemsize)
    numbers = sum(one.size for one in (kernel, recurrent, *biases))
    budget.work(500, "its cells")
    budget.hold(3 * numbers, widest.itemsize, "a cell of its weights")  # of one precision, side by side, and locked
    kernel, recurrent, *biases = (one.astype(widest, copy=False) for one in (kernel, recurrent, *biases))
    if not biases:
        style += ", without biases"
    return conventions.parameters("keras", kernel, recurrent, biases, variant=variant), style


Arrays = tuple[Array, Array, list[Array]]


def _three(tensors: Sequence[Tensor]) -> tuple[Arrays, str]:
    kernel, recurrent = tensors[0].shape, tensors[1].shape
    if len(kernel) != 2 or len(recurrent) != 2 or recurrent[1] != 4 * recurrent[0] or kernel[1] != recurrent[1]:
        raise FileError(f"its kernels have shapes {kernel} and {recurrent}; they must be (input, 4 · units) and so on")
    inputs, units = kernel[0], recurrent[0]
    if 0 in (inputs, units):
        raise FileError(f"its kernels have shapes {kernel} and {recurrent}: they are empty")
    bias = tensors[2].shape if len(tensors) == 3 else None
    if bias not in (None, (4 * units,), (8 * units,)):
        raise FileError(f"its bias has shape {bias}; for {units} units it must be ({4 * units},) or ({8 * units},)")
    kernel_, recurrent_ = tensors[0].read(), tensors[1].read()
    if bias == (8 * units,):
        # cuDNN's matrices, packed into the shapes of Keras': the blocks of the gates side by side, each not transposed.
        blocks = kernel_.reshape(inputs, 4, units).swapaxes(0, 1).reshape(4, units, inputs)
        across = recurrent_.reshape(units, 4, units).swapaxes(0, 1)
        both = tensors[2].read()
        arrays = (blocks.reshape(-1, inputs), across.reshape(-1, units), [both[: 4 * units], both[4 * units :]])
        return arrays, "gates i f c o, two biases, which are summed, kernels in cuDNN's blocks"
    biases = [tensors[2].read()] if bias is not None else []
    return (kernel_.T, recurrent_.T, biases), "gates i f c o, one bias, kernels transposed"


def _twelve(tensors: Sequence[Tensor]) -> tuple[Arrays, str]:
    names = [ONE_OF_TWELVE.fullmatch(one.name.rpartition("/")[2].partition(":")[0]) for one in tensors]
    by_role = {match[2] + match[3]: one for match, one in zip(names, tensors, strict=True) if match is not None}
    if len(by_role) != 12:
        by_role = {kind + gate: tensors[3 * n + k] for n, gate in enumerate(ORDER_1) for k, kind in enumerate("WUb")}
    units = by_role["bi"].shape[0] if len(by_role["bi"].shape) == 1 else 0
    inputs = by_role["Wi"].shape[0] if len(by_role["Wi"].shape) == 2 else 0
    wanted = {"W": (inputs, units), "U": (units, units), "b": (units,)}
    for role, one in by_role.items():
        if one.shape != wanted[role[0]] or 0 in one.shape:
            raise FileError(f"its array {role[0]}_{role[1]} has shape {one.shape}; it must be {wanted[role[0]]}")
    kernel, recurrent = (np.concatenate([by_role[kind + gate].read() for gate in "ifco"], axis=1) for kind in "WU")
    bias = np.concatenate([by_role["b" + gate].read() for gate in "ifco"])
    return (kernel.T, recurrent.T, [bias]), "twelve arrays of the gates i c f o, transposed"
