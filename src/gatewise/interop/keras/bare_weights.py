"""Keras' weights without a configuration: LSTMs are recognised by their arrays, and options fill in the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gatewise.activations import Activation
from gatewise.errors import GatewiseError, OptionError
from gatewise.files.budget import Budget
from gatewise.interop.contents import Listing, Refused, StoredItem, StoredLayer, StoredLSTM, listing
from gatewise.interop.keras.config import MERGES, Version, activation, clean, named_activation, variant_of
from gatewise.interop.keras.files import KerasTensor, WeightGroup, entries_of
from gatewise.interop.keras.weights import WeightRun, cell_of, shape_problem, weight_runs
from gatewise.interop.ledger import LedgerEntry
from gatewise.layers import LSTM
from gatewise.parameters import Variant
from gatewise.showing import counted

STACKED_DIRECTIONS = "each of its directions stacks cells, and they are merged only at the end"


EFFECTS = {  # of the settings that a file of weights leaves out
    "activation": "another changes every number",
    "recurrent_activation": "other gates change every number",
    "go_backwards": "backward, it reads from the last step on",
    "merge": "another changes the output",
}
OF_LAYERS = {  # the same of other layers, with what is assumed
    "linear layer": ("activation", "linear", "another changes every number of the layer"),
    "embedding": ("mask_zero", "False", "with True, the model passes over the steps of token 0"),
}
Gaps = dict[str, str]  # what is assumed of each setting that a file leaves out; empty for one that is given


class Options:
    """Options for settings that a file leaves out, which of them were used, and the file's budget.

    `gaps` are the settings of each LSTM that the file leaves out, by the LSTM's entries.
    """

    def __init__(self, values: Mapping[str, Any], version: Version, budget: Budget) -> None:
        self.values, self.version, self.used, self.budget = dict(values), version, set[str](), budget
        self.gaps: dict[tuple[str, ...], Gaps] = {}
        names = ("activation", "recurrent_activation")
        self.activations = {name: named_activation(values[name], version) for name in names if name in values}
        if "go_backwards" in values and not isinstance(values["go_backwards"], bool):
            raise OptionError(f"go_backwards must be True or False, not {values['go_backwards']!r}")
        if "merge" in values and not (values["merge"] is None or values["merge"] in tuple(MERGES)):
            raise OptionError(f"there is no merge {values['merge']!r}; allowed: concat, sum, mul, ave, None")

    def activation(self, name: str, default: str, gaps: Gaps) -> Activation | None:
        """Return an activation that a Keras file does not state, given or the default."""
        self.used.add(name)
        gaps[name] = ""
        if name in self.activations:
            return self.activations[name]
        unsure = name == "recurrent_activation" and self.version.tensorflow and self.version.numbers == (2, 2, 4)
        other = " (in TensorFlow 1, hard_sigmoid)" if unsure else ""
        gaps[name] = f"not in the file: {default}, the default of {self.version}, is assumed{other}"
        return activation(default, self.version)

    def variant(self, config: Mapping[str, Any], gaps: Gaps) -> Variant:
        """Return the variant of a Keras cell by its configuration, or by options where that lacks its activations."""
        stated = [config[name] for name in ("recurrent_activation", "inner_activation") if name in config][:1]
        if "activation" in config:
            inner = activation(config["activation"], self.version)
        else:
            inner = self.activation("activation", "tanh", gaps)
        if stated:
            return variant_of(inner, activation(stated[0], self.version))
        default = self.version.recurrent_activation()
        return variant_of(inner, self.activation("recurrent_activation", default, gaps))

    def setting(self, name: str, default: Any, gaps: Gaps) -> Any:
        """Return a setting that a Keras file does not state, given or the default."""
        self.used.add(name)
        given = name in self.values
        word = "forward" if default is False else default
        gaps[name] = "" if given else f"not in the file: {word}, the default, is assumed"
        return self.values[name] if given else default

    def entries(self, lstms: Iterable[StoredLSTM], parts: Iterable[StoredLayer]) -> Iterator[LedgerEntry]:
        """Yield the settings of LSTMs and layers that a file leaves out, for its ledger: used where they are given."""
        for stored in lstms:
            for name, reason in self.gaps.get(tuple(stored.entries), {}).items():
                effect, concerned = (EFFECTS[name], (stored.name,)) if reason else ("", ())
                yield LedgerEntry(f"{stored.name}.{name}", "attribute", stored.name, reason, effect, concerned)
        for part in parts:
            if part.kind in OF_LAYERS:
                name, default, effect = OF_LAYERS[part.kind]
                reason = f"not in the file: {default}, the default, is assumed"
                yield LedgerEntry(f"{part.name}.{name}", "attribute", part.name, reason, effect, (part.name,))

    def require_used(self, path: str) -> None:
        """Raise OptionError for an option that nothing in the Keras file needed."""
        for name in self.values:
            if name not in self.used:
                raise OptionError(f"{name} is given, but no LSTM in {path} needs it")


class CellWeights(NamedTuple):
    """The arrays of a cell, its variant, and its configuration as far as the file has it."""

    tensors: Sequence[KerasTensor]
    variant: Variant
    config: Mapping[str, Any]


def assemble_lstm(
    name: str,
    columns: Sequence[Sequence[CellWeights]],
    merge: str,
    backward: bool,
    options: Options,
    notes: Sequence[str],
) -> StoredLSTM:
    """Return the LSTM of Keras cells, in the group of the file that holds their arrays.

    `columns` are the cells of each direction, which become cells of one precision; `backward` is of a single direction.
    """
    cells = [[cell_of(*weights, options.budget) for weights in column] for column in columns]
    styles = sorted({style for column in cells for _, style in column})
    widest = max((p.dtype for column in cells for p, _ in column), key=lambda dtype: dtype.itemsize)
    rows = [[p if p.dtype == widest else p.astype(widest) for p, _ in row] for row in zip(*cells, strict=True)]
    merges = [merge] * len(rows) if len(columns) == 2 else "concat"
    lstm = LSTM.from_cells(rows, direction="backward" if backward else "forward", merge=merges)
    tensors = [tensor for column in columns for cell in column for tensor in cell.tensors]
    if narrow := {tensor.kind for tensor in tensors} & {"float16", "bfloat16"}:
        notes = (*notes, f"it is stored in {min(narrow)} and read as float32, which changes no number")
    group = os.path.commonpath([os.path.dirname(f"/{tensor.name}") for tensor in tensors])
    convention = f"{options.version}: {', '.join(styles)}"
    distinct = tuple(dict.fromkeys(notes))
    return StoredLSTM(
        name,
        lstm,
        convention,
        clean(group[1:] or "/"),
        distinct,
        batch_first=True,
        time_reversed=backward,
        entries=entries_of(tensors),
    )


def linear_part(name: str, tensors: Sequence[KerasTensor]) -> StoredLayer:
    """Return a linear layer of a Keras kernel (features, output), and a bias if there is one."""
    kernel = tensors[0]
    has_bias = len(tensors) > 1 and tensors[1].shape == kernel.shape[1:]
    entries, bias = entries_of(tensors[: 1 + has_bias]), tensors[1].read if has_bias else None
    return StoredLayer(name, "linear layer", kernel.shape[::-1], lambda: kernel.read().T, bias, entries=entries)


def embedding_part(name: str, tensors: Sequence[KerasTensor]) -> StoredLayer:
    """Return an embedding of a table (vocabulary, size) in a Keras file."""
    return StoredLayer(name, "embedding", tensors[0].shape, tensors[0].read, entries=entries_of(tensors[:1]))


def recognise_layers(options: Options, layers: Mapping[str, Sequence[KerasTensor]]) -> Listing:
    """Return the LSTMs and other layers in bare weights of Keras 1 and 2, which are listed by layer."""
    items: list[StoredItem] = []
    for layer, tensors in layers.items():
        all_runs = weight_runs(tensors, layer)
        cells = [run for run in all_runs if run.recurrent]
        for run in all_runs:
            if not run.recurrent:
                name = layer if len(all_runs) == 1 else f"{layer}/{run.owner}".rstrip("/")
                items.append(_part_of(clean(name), run))
        for group in _group_cells(cells, layer, options):
            name = clean(layer if len(group) == len(cells) else f"{layer}/{group[0].owner}")
            items.append(_lstm_or_refusal(name, group, layer, options))
    return listing(items)


def recognise_tree(options: Options, tree: WeightGroup | None) -> Listing:
    """Return the LSTMs and other layers in bare weights of Keras 3, a tree of groups."""
    return listing([] if tree is None else _layers_within(tree, "", options))


def _lstm_or_refusal(name: str, cells: Sequence[WeightRun], layer: str, options: Options) -> StoredLSTM | Refused:
    """Return the LSTM of Keras cells, two directions or a stack, or the reason why it is refused.

    The settings that the file leaves out become gaps of the options.
    """
    gaps, entries = Gaps(), entries_of(tensor for run in cells for tensor in run.tensors)
    try:
        for run in cells:
            if (problem := shape_problem(run.tensors)) is not None:
                return Refused(name, problem, entries)
        bidirectional = len(cells) == 2 and _are_directions(cells[0], cells[1], layer, options)
        weights = []
        for run in cells:
            fused = run.tensors[-1].shape == (8 * run.units,)
            weights.append(CellWeights(run.tensors, Variant() if fused else options.variant({}, gaps), {}))
        backward, merge = False, "concat"
        if bidirectional:
            merge = MERGES[options.setting("merge", "concat", gaps)]
        else:
            backward = options.setting("go_backwards", False, gaps)
        columns = [[cell] for cell in weights] if bidirectional else [weights]
        stored = assemble_lstm(name, columns, merge, backward, options, ())
    except (GatewiseError, ValueError, OverflowError) as refusal:
        return Refused(name, str(refusal), entries)
    options.gaps[tuple(stored.entries)] = gaps
    return stored


def _part_of(name: str, run: WeightRun) -> StoredLayer:
    """Return a Keras layer that is no LSTM, by the shapes and names of its arrays."""
    shapes = [tensor.shape for tensor in run.tensors]
    matrix, is_single = len(shapes[0]) == 2, len(shapes) == 1
    if matrix and (run.roles[0] == "embeddings" or (is_single and "embedding" in name)):
        return embedding_part(name, run.tensors)
    if matrix and (is_single or (len(shapes) == 2 and len(shapes[1]) == 1)):
        return linear_part(name, run.tensors)
    return StoredLayer(name, f"layer with {', '.join(map(clean, run.roles[:6]))}", (), entries=entries_of(run.tensors))


def _layers_within(group: WeightGroup, key: str, options: Options) -> Iterator[StoredItem]:
    """Yield the layers in a group of a Keras 3 weight tree, which has that key among the others."""
    name = clean(group.name or group.path or "model")
    sides = {side: group.children.get(f"{side}_layer") for side in ("forward", "backward")}
    if all(inner is not None for inner in sides.values()):
        pairs = [(side, run) for side, inner in sides.items() if inner is not None for run in _cells_in(inner)]
        if len(pairs) == 2:
            runs = [replace(run, folder=f"{run.folder}/{side}") for side, run in pairs]
            yield _lstm_or_refusal(name, runs, "bidirectional", options)
        elif pairs:
            yield Refused(name, STACKED_DIRECTIONS)
        return
    cells = _cells_in(group)
    if cells and all(run.recurrent for run in cells):
        yield _lstm_or_refusal(name, cells, key, options)
        return
    run = _cell_run(group.path, group.tensors)
    if run.recurrent and shape_problem(run.tensors) is None:
        yield _lstm_or_refusal(name, [run], key, options)
    elif run.tensors:
        is_single, is_matrix = len(run.tensors) == 1, len(run.tensors[0].shape) == 2
        if is_matrix and is_single and "embedding" in key:
            yield embedding_part(name, run.tensors)
        elif is_matrix and (is_single or run.tensors[1].shape == run.tensors[0].shape[1:]):
            yield linear_part(name, run.tensors)
        else:
            yield StoredLayer(
                name, f"layer with {counted(len(run.tensors), 'array')}", (), entries=entries_of(run.tensors)
            )
    for inner_key, child in _in_numeric_order(group.children):
        yield from _layers_within(child, inner_key, options)


def _group_cells(cells: Sequence[WeightRun], layer: str, options: Options) -> Iterator[tuple[WeightRun, ...]]:
    """Yield the Keras cells of each LSTM: two directions, the cells of a stack, or one alone."""
    rest = list(cells)
    while rest:
        first = rest.pop(0)
        if rest and _are_directions(first, rest[0], layer, options):
            yield first, rest.pop(0)
            continue
        stack = [first]
        while (
            rest
            and rest[0].inputs == stack[-1].units
            and (rest[0].owner, rest[0].folder) == (first.owner, first.folder)
        ):
            stack.append(rest.pop(0))
        yield tuple(stack)


def _are_directions(first: WeightRun, second: WeightRun, layer: str, options: Options) -> bool:
    """Say whether two Keras cells are the directions of a Bidirectional."""
    if first.inputs != second.inputs:
        return False
    if "forward" in first.folder + first.owner and "backward" in second.folder + second.owner:
        return True
    stated = "bidirectional" in f"{layer}/{first.folder}".lower() or "merge" in options.values
    return first.folder == second.folder and (stated or first.inputs != first.units)


def _cell_run(path: str, tensors: tuple[KerasTensor, ...]) -> WeightRun:
    return WeightRun(path, "", tensors, ("kernel", "recurrent_kernel", "bias"))


def _cells_in(group: WeightGroup) -> list[WeightRun]:
    """Return the cells of a recurrent layer in a tree of Keras weights; none of another layer."""
    inner = group.children.get("cell")
    if inner is None:
        return []
    stack = inner.children.get("cells")
    cells = [inner] if stack is None else [cell for _, cell in _in_numeric_order(stack.children)]
    return [_cell_run(group.path, cell.tensors) for cell in cells]


def _in_numeric_order(children: Mapping[str, WeightGroup]) -> list[tuple[str, WeightGroup]]:
    """Return members of a Keras weight tree in the order of their numbers: lstm, lstm_1, …, lstm_10."""

    def order(item: tuple[str, WeightGroup]) -> tuple[str, int]:
        stem, _, number = item[0].rpartition("_")
        return (stem, int(number)) if stem and number.isdecimal() and len(number) < 9 else (item[0], -1)

    return sorted(children.items(), key=order)
