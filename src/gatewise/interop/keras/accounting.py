"""The ledger of a Keras file: its arrays, its layers, and the settings of these."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.hdf5 import Group
from gatewise.interop.contents import Refused, StoredItem, StoredLSTM
from gatewise.interop.keras import layer_graph
from gatewise.interop.keras.chain import ACTIVATIONS, MASK_MAKERS, activation_of
from gatewise.interop.keras.config import Layer, clean, compute_type
from gatewise.interop.keras.files import MEMBERS, OF_TRAINING, Source, entries_of
from gatewise.interop.keras.layer_graph import ConfiguredLayers, LayerNode, is_identity, is_recurrent
from gatewise.interop.ledger import UNKNOWN, Ledger, LedgerEntry, account
from gatewise.showing import with_article

Key = TypeVar("Key")
NOT_ITS_OWN = "no layer of this kind has it"
OF_TRAINING_ALONE = "it serves training alone"
# Attributes that say how a file is made, and by which Keras.
OF_FORMAT = re.compile(r"keras_version|backend|model_config|(?:layer|weight)_names\d*|name")
IDLE, WITH_LAYER = "it changes no number of a run", "its layer is left out"
NESTED = {"name", "layer", "layers", "cell", "cells", "backward_layer"}  # settings that are names or layers themselves
# Settings that act in training, say how Keras computes or restate a shape.
IDLE_SETTINGS = re.compile(
    r".+_(?:initializer|regularizer|constraint)|(?:recurrent_)?dropout(?:_[WU])?|(?:inner_)?init|forget_bias_init"
    r"|unit_forget_bias|trainable|seed|unroll|implementation|consume_less|use_cudnn|autocast|lora_(?:rank|alpha)"
    r"|(?:batch_|build_)?input_(?:shape|length|dtype)|input_dim|batch_size"
)
OF_RECURRENT = {
    *("units", "output_dim", "activation", "recurrent_activation", "inner_activation", "use_bias", "merge_mode"),
    *("return_sequences", "return_state", "go_backwards", "stateful", "time_major", "zero_output_for_mask"),
}
USED = {  # settings that are used, by the kind of their layer
    "Embedding": {"input_dim", "output_dim", "mask_zero"},
    "Dense": {"units", "output_dim", "activation", "use_bias", "bias"},
    "Masking": {"mask_value"},
    "Activation": {"activation"},
    "Softmax": {"axis"},
    "ReLU": {"negative_slope", "max_value", "threshold"},
    "LeakyReLU": {"alpha", "negative_slope"},
    "ELU": {"alpha"},
    "Flip": {"axis"},
    "Any": {"axis", "keepdims"},
    "Sequential": set[str](),
    "Functional": {"input_layers", "output_layers"},
}


FIRST = {"Embedding", "Masking"}  # layers that a network has before all others, if at all
NONE = frozenset[str]()


class Position(NamedTuple):
    """Which LSTMs read a layer, directly or not, and which it reads, as bits; the kinds of the layers that it reads."""

    readers: int
    sources: int
    kinds_before: frozenset[str]

    @property
    def words(self) -> tuple[str, str]:
        """Where that is, and what a layer changes there."""
        if self.readers and self.sources:
            return "between LSTMs", "it changes what the second reads"
        if self.readers:
            return "before an LSTM", "it changes what the LSTM reads"
        return "after an LSTM", "it changes what follows from the LSTM's output"


def positions(nodes: Sequence[LayerNode], lstms: Collection[LayerNode]) -> dict[LayerNode, Position]:
    """Return the position of each layer of a Keras model with respect to its LSTMs.

    The bits are numbered as `lstms`.
    """
    bits = {node: 1 << number for number, node in enumerate(lstms)}
    above, below, kinds = dict.fromkeys(nodes, 0), dict.fromkeys(nodes, 0), dict.fromkeys(nodes, NONE)
    for node in nodes:  # each comes after what it reads
        for source in node.input.nodes:
            below[node] |= below[source] | bits.get(source, 0)
            kinds[node] |= kinds[source] | {source.layer.kind} & {*FIRST, "Dense"}
    for node in reversed(nodes):
        for source in node.input.nodes:
            above[source] |= above[node] | bits.get(node, 0)
    return {node: Position(above[node], below[node], kinds[node]) for node in nodes}


def has_place(node: LayerNode, position: Position) -> bool:
    """Return whether a `Network` may have a Keras layer on the way of an LSTM where it is."""
    layer, source = node.layer, node.input.source
    between = bool(position.readers and position.sources)
    if not layer.is_keras:
        return False
    if is_identity(layer) or layer.kind in MASK_MAKERS:
        return True
    if layer_graph.is_reversal(layer):
        return source is not None and is_recurrent(source.layer)
    if layer.kind in ACTIVATIONS:
        return source is not None and source.layer.kind == "Dense" and not between
    if layer.kind in FIRST:
        return not position.sources and not position.kinds_before
    if layer.kind == "Dense":
        return not between and not (position.readers and position.kinds_before & FIRST)
    return node.input.adds_input and not position.readers


def ledger_of(source: Source, items: Sequence[StoredItem], known: Sequence[LedgerEntry]) -> Ledger:
    """Return the ledger of a Keras file: `known` are the entries of its settings and its layers."""
    names = {f"/{path}": "tensor" for path, member in source.members.items() if not isinstance(member, Group)}
    return account(names, items, (*_idle_arrays(source), *_rest_of_file(source), *known))


def _idle_arrays(source: Source) -> Iterator[LedgerEntry]:
    """Yield the arrays of a Keras file that no run reads, and those that cannot be read."""
    listed = {name for tensors in (source.layers or {}).values() for name in entries_of(tensors)}
    for path, member in source.members.items():
        name = f"/{path}"
        if isinstance(member, FileError):
            yield LedgerEntry(name, reason=str(member), effect=UNKNOWN)
        elif isinstance(member, Group):
            continue
        elif OF_TRAINING.intersection(path.split("/")) or "/seed_generator" in name:
            yield LedgerEntry(name, reason=OF_TRAINING_ALONE)
        elif source.layers is not None and name not in listed:
            yield LedgerEntry(name, reason="no weight_names list it: Keras does not read it either")


def _rest_of_file(source: Source) -> Iterator[LedgerEntry]:
    """Yield what else a Keras file holds: attributes of its HDF5 part, and members of its archive."""
    for path, member in source.members.items():
        try:
            names = () if member is None or isinstance(member, FileError) else (*member.attributes,)
        except FileError as problem:
            yield LedgerEntry(f"/{path}.attributes", "attribute", reason=str(problem), effect=UNKNOWN)
            continue
        for name in names:
            if name == "training_config":
                yield LedgerEntry(f"/{path}.{name}", "attribute", reason=OF_TRAINING_ALONE)
            elif not OF_FORMAT.fullmatch(name):
                reason = "no attribute of Keras' files that is known has this name"
                yield LedgerEntry(f"/{path}.{clean(name)}", "attribute", reason=reason, effect=UNKNOWN)
    for name in () if source.archive is None else source.archive.names:
        if name not in MEMBERS:
            yield LedgerEntry(
                clean(name), "attribute", reason="no layer that is read has a file of this name", effect=UNKNOWN
            )


def foreign_arrays(source: Source, items: Iterable[StoredItem]) -> dict[str, list[str]]:
    """Return the arrays of a Keras file that lie among those of a layer and are not its own, by the layer's name."""
    owners: dict[str, str] = {}
    known, foreign = {entry.name for entry in _idle_arrays(source)}, dict[str, list[str]]()
    for item in items:
        known.update(item.entries)
        folder = os.path.commonpath([entry.rpartition("/")[0] for entry in item.entries]) if item.entries else ""
        while source.layers is None and folder.count("/") > 1 and folder.endswith(("/vars", "/cell", "/cells")):
            folder = folder.rpartition("/")[0]
        owners[folder] = item.name
    for path, member in source.members.items():
        if isinstance(member, Group) or (name := f"/{path}") in known:
            continue
        folder = name.rpartition("/")[0]
        if source.layers is not None:  # there, several layers may have one folder
            folder = folder.rpartition("/")[0]
        while folder and folder not in owners:
            folder = folder.rpartition("/")[0]
        if folder:
            foreign.setdefault(owners[folder], []).append(name)
    return foreign


def refuse_with_foreign(
    lstms: Mapping[Key, StoredLSTM], foreign: Mapping[str, Sequence[str]]
) -> tuple[dict[Key, StoredLSTM], dict[Key, Refused]]:
    """Return the LSTMs of a Keras file without foreign arrays among their own, and the refusals of the others."""
    refused = {}
    for key, stored in lstms.items():
        if arrays := foreign.get(stored.name):
            reason = f"it has the array {shown(arrays[0])}, which Keras' LSTM has not: it may compute something else"
            refused[key] = Refused(stored.name, reason, (*stored.entries, *arrays))
    return {key: stored for key, stored in lstms.items() if key not in refused}, refused


# The layers of a configuration, and their settings.


def layer_entries(layers: ConfiguredLayers, budget: Budget) -> Iterator[LedgerEntry]:
    """Yield the layers of a Keras model with their settings, each used, or left out with its reason and effect."""
    names = [stored.name for stored in layers.lstms.values()]
    places = positions(layers.nodes, layers.lstms)
    yield from _model_settings(layers.root, layers.root.name)
    for node in layers.nodes:
        position = places[node]
        budget.hold(len(names), 8, "the list of its settings")
        budget.work(5 * len(node.layer.config), "the list of its settings")
        mask = position.readers | position.sources
        connected = tuple(name for number, name in enumerate(names) if mask >> number & 1)
        entry = _node_entry(node, layers, position, connected)
        yield entry
        stored, part = layers.lstms.get(node), layers.parts.get(node)
        if entry.reason and not is_identity(node.layer) and (part is None or part.weight is None):
            for name in layers.entries_of(node):
                yield LedgerEntry(name, "tensor", node.name, WITH_LAYER)
            left_out = WITH_LAYER
        else:
            left_out = IDLE if is_identity(node.layer) else ""
            own = () if part is None else part.entries
            others = () if stored is not None else {*layers.entries_of(node), *layers.foreign.get(node.name, ())}
            for name in sorted({*others} - {*own}):
                yield LedgerEntry(name, "tensor", node.name, NOT_ITS_OWN, UNKNOWN, connected)
        concerned = connected if stored is None else (stored.name,)
        yield from _settings(node.outer, node.name, left_out, concerned)
        if stored is not None:
            yield from _inputs(node, stored.name)


def _node_entry(
    node: LayerNode,
    layers: ConfiguredLayers,
    position: Position,
    connected: tuple[str, ...],
) -> LedgerEntry:
    """Return the entry of a layer of a Keras model; one on the way of LSTMs concerns these if a network has it not."""
    name, layer = node.name, node.layer
    if layer.kind == "InputLayer":
        return LedgerEntry(name, "input", name)
    if node in layers.lstms:
        return LedgerEntry(name, "node", layers.lstms[node].name)
    if is_identity(layer):
        return LedgerEntry(name, "node", name, IDLE)
    where, effect = position.words
    if (refusal := layers.refused.get(node)) is not None:
        return LedgerEntry(name, "node", name, refusal.reason, effect if connected else "", connected)
    if not connected:
        is_part = layers.parts[node].weight is not None
        return LedgerEntry(name, "node", name, "" if is_part else "it is on the way of no LSTM that is read")
    reason = f"a network has no {layer.kind} {where}"
    if not layer.is_keras:
        reason = f"its class {layer.kind!r} is not one of Keras' own, and its code is not in the file"
    elif has_place(node, position):
        try:
            if layer.kind in ("Dense", *ACTIVATIONS):
                activation_of(layer, layers.version)
            return LedgerEntry(name, "node", name)
        except FileError as problem:
            reason = str(problem)
    return LedgerEntry(name, "node", name, reason, effect, connected)


def _inputs(node: LayerNode, name: str) -> Iterator[LedgerEntry]:
    """Yield the inputs of a Keras LSTM that the rest of its model computes and no network has: a state, a mask."""
    if node.has_more_inputs:
        reason = "other layers or inputs of the model give it"
        yield LedgerEntry(f"{name}.initial_state", "input", name, reason, "a run starts from zeros without it", (name,))
    mask = node.input.mask
    if isinstance(mask, tuple) and (isinstance(mask[1], str)):
        effect = "every step takes part in a run without it"
        yield LedgerEntry(f"{name}.mask", "input", name, "the model computes or is given it", effect, (name,))


def _model_settings(model: Layer, name: str, prefix: str = "") -> Iterator[LedgerEntry]:
    """Yield the settings of a Keras model and of those in it, whose names begin with the prefix."""
    yield from _settings(model, name, "", ())
    for _, child in layer_graph.without_wrapper(model).children:
        if layer_graph.without_wrapper(child).holds_layers:
            yield from _model_settings(child, f"{prefix}{child.name}", f"{prefix}{child.name}/")


def _settings(
    layer: Layer, name: str, left_out: str, concerned: tuple[str, ...], path: str = ""
) -> Iterator[LedgerEntry]:
    """Yield the settings of a Keras layer, and of the layers in it that no node stands for.

    `left_out` is the reason where the layer itself is left out.
    """
    prefix = f"{name}{path}"
    for key, value in layer.config.items():
        if key in NESTED:
            continue
        reason, effect = (left_out, "") if left_out else _why_left_out(layer, key, value)
        lstms = concerned if effect else ()
        yield LedgerEntry(f"{prefix}.{clean(key)}", "attribute", name, reason, effect, lstms)
    if layer.holds_layers:
        return
    for number, (attribute, child) in enumerate(layer.children):
        if attribute == "backward_layer" and layer.config.get("backward_layer") is None:
            continue  # it is the forward layer's configuration
        place = f"{attribute}.{number}" if attribute == "cells" else attribute
        yield from _settings(child, name, left_out, concerned, f"{path}.{place}")


def _why_left_out(layer: Layer, key: str, value: Any) -> tuple[str, str]:
    """Return the reason why a setting of a Keras layer is left out, and its effect; both are empty if it is used."""
    used = OF_RECURRENT if is_recurrent(layer) or layer.kind == "StackedRNNCells" else USED.get(layer.kind, set[str]())
    if key == "dtype":
        kind = compute_type(layer)
        if "int" in kind.partition("_")[0] or "float8" in kind:
            return f"Keras computes in {kind}", "its numbers are rounded there"
        return "", ""
    if key in used:
        again = key == "stateful" and bool(value)
        return ("a run starts from the state that it is given; in Keras, from where the last batch ended" * again, "")
    if value is None or IDLE_SETTINGS.fullmatch(key):
        return IDLE, ""
    return f"no setting of {with_article(layer.kind)} that is known has this name", UNKNOWN
