"""Keras' weights without a configuration: LSTMs are recognised by their arrays, and options fill in the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gatewise.activations import Activation
from gatewise.errors import FileError, GatewiseError, OptionError
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
        self.version, self.used, self.budget = version, set[str](), budget
        self.gaps: dict[tuple[str, ...], Gaps] = {}
        names = values.keys() & {"activation", "recurrent_activation"}
        self.values = {**values} | {name: named_activation(values[name], version) for name in names}
        if "go_backwards" in values and not isinstance(values["go_backwards"], bool):
            raise OptionError(f"go_backwards must be True or False, not {values['go_backwards']!r}")
        if "merge" in values and not (values["merge"] is None or values["merge"] in tuple(MERGES)):
            raise OptionError(f"there is no merge {values['merge']!r}; allowed: concat, sum, mul, ave, None")

    def activation(self, name: str, default: str, gaps: Gaps) -> Activation | None:
        """Return an activation that a Keras file does not state, given or the default."""
        unsure = name == "recurrent_activation" and self.version.tensorflow and self.version.numbers == (2, 2, 4)
        other = " (in TensorFlow 1, hard_sigmoid)" if unsure else ""
        assumption = f"{default}, the default of {self.version}, is assumed{other}"
        given: Activation | None = self.setting(name, activation(default, self.version), gaps, assumption)
        return given

    def variant(self, cell: CellWeights, gaps: Gaps) -> Variant:
        """Return the variant of a Keras cell by its configuration, or by options where that lacks its activations."""
        if cell.fused:
            return Variant()
        config = cell.config
        stated = [config[name] for name in ("recurrent_activation", "inner_activation") if name in config][:1]
        if "activation" in config:
            inner = activation(config["activation"], self.version)
        else:
            inner = self.activation("activation", "tanh", gaps)
        if stated:
            return variant_of(inner, activation(stated[0], self.version))
        default = self.version.recurrent_activation()
        return variant_of(inner, self.activation("recurrent_activation", default, gaps))

    def setting(self, name: str, default: Any, gaps: Gaps, assumption: str) -> Any:
        """Return a setting that a Keras file does not state, given or the default."""
        self.used.add(name)
        gaps[name] = "" if name in self.values else f"not in the file: {assumption}"
        return self.values.get(name, default)

    def entries(self, lstms: Iterable[StoredLSTM], parts: Iterable[StoredLayer]) -> Iterator[LedgerEntry]:
        """Yield the settings of LSTMs and layers that a file leaves out, for its ledger: used where they are given."""
        for stored in lstms:
            gaps = self.gaps.get(tuple(stored.entries), {})
            for name, reason in ((name, gaps[name]) for name in EFFECTS if name in gaps):
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
                raise OptionError(f"no LSTM in {path} needs {name}. Leave it out.")


class CellWeights(NamedTuple):
    """The arrays of a cell, and its configuration as far as the file has it."""

    tensors: Sequence[KerasTensor]
    config: Mapping[str, Any]

    @property
    def fused(self) -> bool:
        """Whether they are those of cuDNN, which has no other activations than its own."""
        if "activation" in self.config or len(self.tensors) != 3:
            return False
        _, recurrent, bias = self.tensors
        return bias.shape == tuple(2 * n for n in recurrent.shape[-1:])


def assemble_lstm(
    name: str,
    columns: Sequence[Sequence[CellWeights]],
    merge: str,
    backward: bool,
    options: Options,
    gaps: Gaps,
    notes: Sequence[str] = (),
) -> StoredLSTM:
    """Return the LSTM of Keras cells, in the group of the file that holds their arrays.

    `columns` are the cells of each direction, which become cells of one precision; `backward` is of a single direction.
    `gaps` become those of the options.
    """
    cells = [[cell_of(*cell, options.variant(cell, gaps), options.budget) for cell in column] for column in columns]
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
    entries, distinct = entries_of(tensors), tuple(dict.fromkeys(notes))
    options.gaps[entries] = gaps
    return StoredLSTM(
        name,
        lstm,
        convention,
        clean(group[1:] or "/"),
        distinct,
        batch_first=True,
        time_reversed=backward,
        entries=entries,
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
                key = "embedding" if run.roles[0] == "embeddings" else name
                items.append(_part_of(clean(name), run.tensors, key, ", ".join(map(clean, run.roles[:6]))))
        for group in _group_cells(cells, layer, options):
            name = clean(layer if len(group) == len(cells) else f"{layer}/{group[0].owner}")
            items.append(_lstm_or_refusal(name, group, layer, options))
    return listing(items)


def recognise_tree(options: Options, tree: WeightGroup | None) -> Listing:
    """Return the LSTMs and other layers in bare weights of Keras 3, a tree of groups."""
    return listing([] if tree is None else _layers_within(tree, "", options))


def _lstm_or_refusal(name: str, cells: Sequence[WeightRun], layer: str, options: Options) -> StoredLSTM | Refused:
    """Return the LSTM of Keras cells, two directions or a stack, or the reason why it is refused."""
    gaps = Gaps()
    try:
        for run in cells:
            if (problem := shape_problem(run.tensors)) is not None:
                raise FileError(problem)
        bidirectional = len(cells) == 2 and _are_directions(cells[0], cells[1], layer, options)
        weights = [CellWeights(run.tensors, {}) for run in cells]
        backward, merge = False, "concat"
        if bidirectional:
            merge = MERGES[options.setting("merge", "concat", gaps, "concat, the default, is assumed")]
        else:
            backward = options.setting("go_backwards", False, gaps, "forward, the default, is assumed")
        columns = [[cell] for cell in weights] if bidirectional else [weights]
        return assemble_lstm(name, columns, merge, backward, options, gaps)
    except (GatewiseError, ValueError, OverflowError) as refusal:
        return Refused(name, str(refusal), entries_of(tensor for run in cells for tensor in run.tensors))


def _part_of(name: str, tensors: Sequence[KerasTensor], key: str, description: str) -> StoredLayer:
    """Return a Keras layer that is no LSTM, by the shapes of its arrays; the key of an embedding has that word."""
    matrix, *others = (tensor.shape for tensor in tensors)
    if len(matrix) == 2 and not others and "embedding" in key:
        return embedding_part(name, tensors)
    if len(matrix) == 2 and others in ([], [matrix[1:]]):
        return linear_part(name, tensors)
    return StoredLayer(name, f"layer with {description}", (), entries=entries_of(tensors))


def _layers_within(group: WeightGroup, key: str, options: Options) -> Iterator[StoredItem]:
    """Yield the layers in a group of a Keras 3 weight tree, which has that key among the others."""
    name, children = clean(group.name or group.path or "model"), group.children
    sides = [side for side in ("forward", "backward") if f"{side}_layer" in children]
    if len(sides) == 2:
        runs = [
            replace(run, folder=f"{run.folder}/{side}")
            for side in sides
            for run in _cells_in(children[f"{side}_layer"])
        ]
        if len(runs) == 2:
            yield _lstm_or_refusal(name, runs, "bidirectional", options)
        elif runs:
            yield Refused(name, STACKED_DIRECTIONS, entries_of(tensor for run in runs for tensor in run.tensors))
        return
    cells, run = _cells_in(group), _cell_run(group.path, group.tensors)
    if cells and all(cell.recurrent for cell in cells):
        yield _lstm_or_refusal(name, cells, key, options)
        return
    if run.recurrent and shape_problem(run.tensors) is None:
        yield _lstm_or_refusal(name, [run], key, options)
    elif run.tensors:
        yield _part_of(name, run.tensors, key, counted(len(run.tensors), "array"))
    for inner_key, child in _in_numeric_order(children):
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
