"""Keras' weights without a configuration: LSTMs are recognised by their arrays, and options fill in the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gatewise.activations import Activation
from gatewise.errors import FileError, GatewiseError, OptionError
from gatewise.files.budget import Budget
from gatewise.interop.found import Found, Part, Refused, distinct
from gatewise.interop.keras.config import MERGES, Version, activation, chosen, clean, variant_of
from gatewise.interop.keras.files import Node, Source, Tensor
from gatewise.interop.keras.weights import Run, cell, runs, shape_kind
from gatewise.layers import LSTM
from gatewise.parameters import Parameters, Variant

Listed = tuple[tuple[Found, ...], tuple[Part, ...], tuple[Refused, ...]]


class Options:
    """Options for what a file leaves out, which of them were needed, and what reading it may cost."""

    def __init__(self, given: Mapping[str, Any], version: Version, budget: Budget) -> None:
        self.given, self.version, self.used, self.budget = dict(given), version, set[str](), budget
        self.activations = {
            name: chosen(given[name], version) for name in ("activation", "recurrent_activation") if name in given
        }
        if "go_backwards" in given and not isinstance(given["go_backwards"], bool):
            raise OptionError(f"go_backwards must be True or False, not {given['go_backwards']!r}")
        if "merge" in given and not (given["merge"] is None or given["merge"] in tuple(MERGES)):
            raise OptionError(f"there is no merge {given['merge']!r}; allowed: concat, sum, mul, ave, None")

    def activation(self, name: str, default: str, notes: list[str]) -> Activation | None:
        """Return an activation that the file does not state."""
        self.used.add(name)
        if name in self.activations:
            return self.activations[name]
        unsure = name == "recurrent_activation" and self.version.tensorflow and self.version.numbers == (2, 2, 4)
        other = " (TensorFlow 1 wrote this version too, and meant hard_sigmoid)" if unsure else ""
        notes.append(f"the file does not say its {name}: {default}, the default of {self.version}, is assumed{other}")
        return activation(default, self.version)

    def require_used(self, path: str) -> None:
        """Raise OptionError for an option that nothing in the file needed."""
        for name in self.given:
            if name not in self.used:
                raise OptionError(f"{name} is given, but no LSTM in {path} needs it")


def linear(name: str, tensors: Sequence[Tensor]) -> Part:
    """Return a linear layer of a kernel (features, output), and a bias where there is one."""
    kernel = tensors[0]
    bias = tensors[1].read if len(tensors) > 1 and tensors[1].shape == kernel.shape[1:] else None
    return Part(name, "linear layer", kernel.shape[::-1], lambda: kernel.read().T, bias)


def joined(columns: Sequence[Sequence[Parameters]], merge: str, backward: bool) -> LSTM:
    """Return an LSTM of the cells of each direction; of one precision where theirs differ."""
    widest = max((one.dtype for column in columns for one in column), key=lambda dtype: dtype.itemsize)
    rows = [[one if one.dtype == widest else one.astype(widest) for one in row] for row in zip(*columns, strict=True)]
    merges = [merge] * len(rows) if len(columns) == 2 else "concat"
    return LSTM.from_cells(rows, direction="backward" if backward else "forward", merge=merges)


def common(tensors: Sequence[Tensor]) -> str:
    """Return the group that holds arrays."""
    return clean(os.path.commonpath([os.path.dirname("/" + one.name) for one in tensors])[1:] or "/")


def from_runs(options: Options, layers: Mapping[str, Sequence[Tensor]]) -> Listed:
    """Return what the weights of Keras 1 and 2 hold, given by layer."""
    found: list[Found] = []
    parts: list[Part] = []
    refused: list[Refused] = []
    for layer, tensors in layers.items():
        of = runs(tensors, layer)
        recurrent = [one for one in of if one.recurrent]
        for one in of:
            if not one.recurrent:
                parts += _unconfigured_part(one, layer, len(of))
        for group in _grouped(recurrent, layer, options):
            name = clean(layer if len(group) == len(recurrent) else f"{layer}/{group[0].owner}")
            _unconfigured(name, group, layer, options, found, refused)
    return distinct(found), tuple(parts), tuple(refused)


def _unconfigured_part(one: Run, layer: str, count: int) -> list[Part]:
    name = clean(layer if count == 1 else f"{layer}/{one.owner}".rstrip("/"))
    tensors = list(one.tensors)
    if one.roles[0] == "embeddings" and len(tensors[0].shape) == 2:
        return [Part(name, "embedding", tensors[0].shape, tensors[0].read)]
    if len(tensors[0].shape) == 2 and (len(tensors) == 1 or (len(tensors) == 2 and len(tensors[1].shape) == 1)):
        kind = "embedding" if "embedding" in name else "linear"
        if kind == "embedding" and len(tensors) == 1:
            return [Part(name, "embedding", tensors[0].shape, tensors[0].read)]
        return [linear(name, tensors)]
    return [Part(name, f"layer with {', '.join(map(clean, one.roles[:6]))}", ())]


def _grouped(recurrent: Sequence[Run], layer: str, options: Options) -> Iterator[tuple[Run, ...]]:
    """Yield the runs of arrays that make one LSTM: two directions, the cells of a stack, or each on its own."""
    rest = list(recurrent)
    while rest:
        one = rest.pop(0)
        if rest and _are_directions(one, rest[0], layer, options):
            yield one, rest.pop(0)
            continue
        stack = [one]
        while rest and rest[0].owner == one.owner and rest[0].inputs == stack[-1].units and _same_place(one, rest[0]):
            stack.append(rest.pop(0))
        yield tuple(stack)


def _same_place(one: Run, other: Run) -> bool:
    """Say whether two cells belong to the same layer."""
    return one.place == other.place


def _are_directions(one: Run, other: Run, layer: str, options: Options) -> bool:
    if one.inputs != other.inputs:
        return False
    if "forward" in one.place + one.owner and "backward" in other.place + other.owner:
        return True
    same = one.place == other.place
    return same and (
        "bidirectional" in f"{layer}/{one.place}".lower() or one.inputs != one.units or "merge" in options.given
    )


def _unconfigured(
    name: str, group: Sequence[Run], layer: str, options: Options, found: list[Found], refused: list[Refused]
) -> None:
    notes: list[str] = []
    try:
        for one in group:
            if (reason := shape_kind(one.tensors)) is not None:
                raise FileError(reason)
        both = len(group) == 2 and _are_directions(group[0], group[1], layer, options)
        cells, styles, tensors = [], set[str](), [tensor for one in group for tensor in one.tensors]
        for one in group:
            fused = one.tensors[-1].shape == (8 * one.units,)
            if fused:
                variant = Variant()
            else:
                inner = options.activation("activation", "tanh", notes)
                outer = options.activation("recurrent_activation", options.version.recurrent_activation(), notes)
                variant = variant_of(inner, outer)
            parameters, style = cell(one.tensors, variant, {}, options.budget)
            cells.append(parameters)
            styles.add(style)
        backward, merge = False, "concat"
        if both:
            options.used.add("merge")
            merge = MERGES[options.given.get("merge", "concat")]
            if "merge" not in options.given:
                notes.append("the file does not say how its directions are merged: concat, the default, is assumed")
        else:
            options.used.add("go_backwards")
            backward = options.given.get("go_backwards", False)
            if "go_backwards" not in options.given:
                notes.append("the file does not say its direction: forward, the default, is assumed")
        lstm = joined([[one] for one in cells] if both else [cells], merge, backward)
    except (GatewiseError, ValueError, OverflowError) as problem:
        refused.append(Refused(name, str(problem)))
        return
    convention = f"{options.version}: {', '.join(sorted(styles))}"
    one_of = dict.fromkeys(notes)
    found.append(
        Found(name, lstm, convention, common(tensors), tuple(one_of), batch_first=True, time_reversed=backward)
    )


def from_tree(source: Source, options: Options) -> Listed:
    """Return what a tree of weights holds: cells are known by the shapes of their arrays."""
    found: list[Found] = []
    parts: list[Part] = []
    refused: list[Refused] = []

    def cells_of(node: Node) -> list[Node]:
        inner = node.children.get("cell")
        if inner is None:
            return []
        stack = inner.children.get("cells")
        return [one for _, one in natural(stack.children)] if stack is not None else [inner]

    def as_runs(node: Node) -> tuple[Run, ...]:
        return tuple(Run(node.path, "", one.tensors, ("kernel", "recurrent_kernel", "bias")) for one in cells_of(node))

    def walk(node: Node, key: str) -> None:
        name = clean(node.name or node.path or "model")
        forward, backward = (node.children.get(f"{one}_layer") for one in ("forward", "backward"))
        if forward is not None and backward is not None:
            group = (*as_runs(forward), *as_runs(backward))
            sides = ("forward", "backward")
            if len(group) == 2:
                group = tuple(replace(one, place=f"{one.place}/{side}") for one, side in zip(group, sides, strict=True))
                _unconfigured(name, group, "bidirectional", options, found, refused)
            elif group:
                refused.append(
                    Refused(name, "each of its directions stacks cells, and they are merged only at the end")
                )
            return
        group = as_runs(node)
        if group and all(one.recurrent for one in group):
            _unconfigured(name, group, key, options, found, refused)
            return
        own = Run(node.path, "", node.tensors, ("kernel", "recurrent_kernel", "bias"))
        if own.recurrent and shape_kind(own.tensors) is None:
            _unconfigured(name, (own,), key, options, found, refused)
        elif own.tensors and len(own.tensors[0].shape) == 2:
            alone = len(own.tensors) == 1
            if alone and "embedding" in key:
                parts.append(Part(name, "embedding", own.tensors[0].shape, own.tensors[0].read))
            elif alone or own.tensors[1].shape == own.tensors[0].shape[1:]:
                parts.append(linear(name, own.tensors))
        for inner, child in natural(node.children):
            walk(child, inner)

    if source.tree is not None:
        walk(source.tree, "")
    return distinct(found), tuple(parts), tuple(refused)


def natural(children: Mapping[str, Node]) -> list[tuple[str, Node]]:
    """Return members in the order of their numbers: lstm, lstm_1, …, lstm_10."""

    def key(item: tuple[str, Node]) -> tuple[str, int]:
        stem, _, number = item[0].rpartition("_")
        return (stem, int(number)) if stem and number.isdecimal() and len(number) < 9 else (item[0], -1)

    return sorted(children.items(), key=key)
