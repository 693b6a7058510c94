"""Keras' weights: the arrays of each layer, and the parameters of a cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.keras.config import Layer, clean
from gatewise.interop.keras.files import CONTAINERS, KerasTensor, WeightGroup
from gatewise.parameters import Parameters, Variant

ONE_OF_TWELVE = re.compile(r"(?:(.*)_)?([WUb])_([ifco])(?:_\d+)?", re.DOTALL)
OF_KERAS_1 = re.compile(r"(?:(.*)_)?([WUb])", re.DOTALL)
NUMBERED = re.compile(r"(.*?)(?:_\d+)?", re.DOTALL)
ORDER_1 = "icfo"  # in which Keras 1 has its gates' arrays
AUTO_NUMBER = re.compile(r"_\d+$")
RECURRENT_ROLES = {"recurrent_kernel", "U", "U_i"}


@dataclass(frozen=True, eq=False)
class WeightRun:
    """Arrays of a layer, or of a cell in it, that follow each other in a file."""

    folder: str  # the folder of the cell's layer
    owner: str  # the name of the cell's folder, or of its layer, within the file's layer
    tensors: tuple[KerasTensor, ...]
    roles: tuple[str, ...]  # of each by its name: "kernel", for example

    @property
    def recurrent(self) -> bool:
        """Whether they are a recurrent cell's."""
        named = bool(RECURRENT_ROLES & set(self.roles)) and len(self.tensors) in (2, 3, 12)
        return named and all(len(tensor.shape) > 0 for tensor in self.tensors) and len(self.tensors[1].shape) >= 2

    @property
    def inputs(self) -> int:
        """How many features the cell takes."""
        return self.tensors[0].shape[0]

    @property
    def units(self) -> int:
        """How many units the cell has."""
        return self.tensors[1].shape[0]


def weight_runs(tensors: Sequence[KerasTensor], layer: str) -> list[WeightRun]:
    """Return a Keras layer's arrays, in the file's order, cut where another cell or layer begins."""
    folders: list[tuple[str, list[KerasTensor], list[str]]] = []
    for tensor in tensors:
        folder, _, base = _name_within(tensor.name, layer).rpartition("/")
        base = base.partition(":")[0]
        if (match := ONE_OF_TWELVE.fullmatch(base)) is not None:
            owner, role = match[1] or "", f"{match[2]}_{match[3]}"
        elif (match := OF_KERAS_1.fullmatch(base)) is not None:
            owner, role = match[1] or "", match[2]
        else:
            numbered = NUMBERED.fullmatch(base)
            owner, role = "", base if numbered is None else numbered[1]
        folder = f"{folder}/{owner}".strip("/")
        if not folders or folders[-1][0] != folder or role in folders[-1][2]:
            folders.append((folder, [], []))
        folders[-1][1].append(tensor)
        folders[-1][2].append(role)
    result = []
    for folder, arrays, roles in folders:
        parent = folder.rpartition("/")[0] if "cell" in folder.rpartition("/")[2] else folder
        result.append(
            WeightRun(parent, folder.partition("/")[0] if "/" not in parent else parent, tuple(arrays), tuple(roles))
        )
    return result


def _name_within(name: str, layer: str) -> str:
    """Return the name of a Keras array within its layer."""
    for prefix in (f"model_weights/{layer}/", f"{layer}/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


Bound = dict[Layer, tuple[KerasTensor, ...]]


def bind_layers(
    root: Layer, layers: Mapping[str, Sequence[KerasTensor]], budget: Budget
) -> tuple[Bound, dict[Layer, str]]:
    """Return the arrays of each layer of a Keras model, given weights by the names of the outermost layers.

    Within a layer that holds others, they are distinguished by names, else by their order. A layer for which neither
    is possible is among the problems, with the reason.
    """
    bound: Bound = {}
    problems: dict[Layer, str] = {}
    names = {clean(name): name for name in reversed(list(layers))}  # of those that look alike, the first
    for _, child in root.children:
        name = names.get(child.name, "")
        tensors = layers[name] if child.name in names else None
        leaves = list(child.leaves())
        if tensors is None:
            problems |= dict.fromkeys(_with_descendants(child), "the file has no weights of it")
        elif leaves == [child]:
            bound[child] = tuple(tensors)
        else:
            of_layer = weight_runs(tensors, name)
            budget.work(len(leaves) * (len(of_layer) + 1), "finding the arrays of its layers")
            alone = len(leaves) == len(of_layer) == 1
            bound |= {leaves[0]: of_layer[0].tensors} if alone else _bind_by_name(leaves, of_layer)
            cells = [leaf for leaf in leaves if _is_cell(leaf)]
            if any(cell not in bound for cell in cells) or len({bound[cell] for cell in cells}) != len(cells):
                recurrent = [run for run in of_layer if run.recurrent]
                if len(recurrent) == len(cells):
                    cells.sort(key=lambda cell: not cell.trainable)  # Keras writes those that are trained first
                    bound |= {cell: run.tensors for cell, run in zip(cells, recurrent, strict=True)}
                else:
                    words = f"its arrays cannot be distinguished: {len(recurrent)} cells for {len(cells)} layers"
                    problems |= dict.fromkeys(_with_descendants(child), words)
    return bound, problems


def _with_descendants(layer: Layer) -> list[Layer]:
    """Return a layer and all that it holds."""
    return [layer] + [inner for _, child in layer.children for inner in _with_descendants(child)]


def _is_cell(layer: Layer) -> bool:
    return any(word in layer.kind for word in ("LSTM", "GRU", "RNN"))


def _bind_by_name(leaves: Sequence[Layer], of_layer: Sequence[WeightRun]) -> Bound:
    """Return the arrays of the Keras layers whose names are those of just one folder of the file."""
    bound: Bound = {}
    for leaf in leaves:
        within = [run for run in of_layer if f"/{leaf.name}/" in f"/{run.tensors[0].name.rpartition('/')[0]}/"]
        same = within or [run for run in of_layer if run.owner == leaf.name]
        if len(same) == 1:
            bound[leaf] = same[0].tensors
    return bound


DENSE_IN_ATTENTION = ("query_dense", "key_dense", "value_dense", "output_dense")  # of a MultiHeadAttention


def bind_tree(root: Layer, tree: WeightGroup) -> Bound:
    """Return the arrays of each layer of a Keras model, given a tree of weights as Keras 3 writes it."""
    bound: Bound = {}

    def bind_layer(layer: Layer, node: WeightGroup | None) -> None:
        """Bind a Keras layer, and the layers in it, to the arrays of a node of the weight tree and its children."""
        if node is None:
            return
        if not layer.children:
            inner = [node.children[name] for name in DENSE_IN_ATTENTION if name in node.children]
            own = node.children.get("cell", node).tensors
            bound[layer] = (*own, *(tensor for group in inner for tensor in group.tensors))
        containers = [node.children[name].children for name in (*CONTAINERS, "cells") if name in node.children]
        members = containers[0] if containers else {}
        by_name: dict[str | None, list[WeightGroup]] = {}
        for member in members.values():
            by_name.setdefault(member.name, []).append(member)
        listed = [child for attribute, child in layer.children if attribute in ("layers", "cells")]
        keys = dict(zip(listed, member_keys(listed), strict=True))
        for attribute, child in layer.children:
            if child in keys:
                same = by_name.get(child.name, [])  # the member of its name, or else at its position
                group = same[0] if len(same) == 1 else members.get(keys[child], members.get(child.name))
                if attribute == "layers" and group is not None and not are_same(child.name, group.name or child.name):
                    theirs = clean(group.name or "")
                    raise FileError(
                        f"its weights of the layer {theirs!r} are in the place of {child.name!r} in its configuration:"
                        " that is of another model"
                    )
                bind_layer(child, group)
            else:
                bind_layer(child, node.children.get(attribute))

    bind_layer(root, tree)
    return bound


def are_same(name: str, other: str) -> bool:
    """Return whether the names of two Keras layers differ at most by the number that Keras appends."""
    return AUTO_NUMBER.sub("", name) == AUTO_NUMBER.sub("", clean(other))


def member_keys(layers: Iterable[Layer]) -> Iterator[str]:
    """Yield the keys of layers in a tree of Keras' weights: their classes, with numbers for those that come again."""
    counts = Counter[str]()
    for layer in layers:
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer.kind))
        stem = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        yield f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1


def shape_problem(tensors: Sequence[KerasTensor]) -> str | None:
    """Return the reason why Keras arrays are not those of an LSTM's cell; None if they may be."""
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


def cell_of(
    tensors: Sequence[KerasTensor], config: Mapping[str, Any], variant: Variant, budget: Budget
) -> tuple[Parameters, str]:
    """Return the parameters of a Keras cell, charged to a budget, and the convention of its arrays in words."""
    if len(tensors) == 12:
        (kernel, recurrent, biases), style = _from_twelve_arrays(tensors)
    elif len(tensors) in (2, 3):
        (kernel, recurrent, biases), style = _from_three_arrays(tensors)
    elif not tensors:
        raise FileError("the file has no weights in its place; they may be shared with another layer")
    else:
        raise FileError(f"it has {len(tensors)} arrays in the file; an LSTM has 2, 3 or, in Keras 1, 12")
    units = config.get("units", config.get("output_dim"))
    if isinstance(units, int) and units != recurrent.shape[1]:
        raise FileError(f"its configuration says {units} units, its weights {recurrent.shape[1]}")
    require_stated_bias(config, bool(biases))
    arrays = (kernel, recurrent, *biases)
    widest = max((array.dtype for array in arrays), key=lambda dtype: dtype.itemsize)
    numbers = sum(array.size for array in arrays)
    budget.work(500, "its cells")
    budget.hold(3 * numbers, widest.itemsize, "a cell of its weights")  # of one precision, side by side, and locked
    kernel, recurrent, *biases = (array.astype(widest, copy=False) for array in arrays)
    if not biases:
        style += ", without biases"
    return conventions.parameters("keras", kernel, recurrent, biases, variant=variant), style


def require_stated_bias(config: Mapping[str, Any], has_bias: bool) -> None:
    """Raise FileError for a Keras layer that has a bias where its configuration says that it has none, or lacks one."""
    stated = config.get("use_bias")
    if isinstance(stated, bool) and stated != has_bias:
        raise FileError(
            f"its configuration says use_bias {str(stated).lower()}, but its weights {'have' if has_bias else 'lack'}"
            " a bias: one of the two is of another model"
        )


Arrays = tuple[Array, Array, list[Array]]


def _from_three_arrays(tensors: Sequence[KerasTensor]) -> tuple[Arrays, str]:
    """Return the arrays of a cell of Keras 2 or 3, or of cuDNN, as `conventions.parameters` takes them; their style."""
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
        pair = tensors[2].read()
        arrays = (blocks.reshape(-1, inputs), across.reshape(-1, units), [pair[: 4 * units], pair[4 * units :]])
        return arrays, "gates i f c o, two biases, which are summed, kernels in cuDNN's blocks"
    biases = [tensors[2].read()] if bias is not None else []
    return (kernel_.T, recurrent_.T, biases), "gates i f c o, one bias, kernels transposed"


def _from_twelve_arrays(tensors: Sequence[KerasTensor]) -> tuple[Arrays, str]:
    """Return the arrays of a cell of Keras 1, which has three for each gate, side by side; and their style."""
    names = [ONE_OF_TWELVE.fullmatch(tensor.name.rpartition("/")[2].partition(":")[0]) for tensor in tensors]
    by_role = {match[2] + match[3]: tensor for match, tensor in zip(names, tensors, strict=True) if match is not None}
    if len(by_role) != 12:
        by_role = {kind + gate: tensors[3 * n + k] for n, gate in enumerate(ORDER_1) for k, kind in enumerate("WUb")}
    units = by_role["bi"].shape[0] if len(by_role["bi"].shape) == 1 else 0
    inputs = by_role["Wi"].shape[0] if len(by_role["Wi"].shape) == 2 else 0
    shapes = {"W": (inputs, units), "U": (units, units), "b": (units,)}
    for role, tensor in by_role.items():
        if tensor.shape != shapes[role[0]] or 0 in tensor.shape:
            raise FileError(f"its array {role[0]}_{role[1]} has shape {tensor.shape}; it must be {shapes[role[0]]}")
    kernel, recurrent = (np.concatenate([by_role[kind + gate].read() for gate in "ifco"], axis=1) for kind in "WU")
    bias = np.concatenate([by_role["b" + gate].read() for gate in "ifco"])
    return (kernel.T, recurrent.T, [bias]), "twelve arrays of the gates i c f o, transposed"
