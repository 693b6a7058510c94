"""Keras' files of every generation: every LSTM in them, the layers around it, and the whole network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, GatewiseError, OptionError
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop.contents import (
    Contents,
    Listing,
    Refused,
    StoredLayer,
    StoredLSTM,
    check_options,
    with_distinct_names,
)
from gatewise.interop.keras import chain, files
from gatewise.interop.keras.accounting import foreign_arrays, layer_entries, ledger_of, refuse_with_foreign
from gatewise.interop.keras.bare_weights import Options, embedding_part, linear_part, recognise_layers, recognise_tree
from gatewise.interop.keras.config import Layer, Version, model
from gatewise.interop.keras.files import KerasTensor, Source
from gatewise.interop.keras.graph_reader import Weights
from gatewise.interop.keras.inputs import inputs_of
from gatewise.interop.keras.layer_graph import ConfiguredLayers, LayerNode, graph_of, is_recurrent
from gatewise.interop.keras.lstm_layers import configured_lstm, group_stacks
from gatewise.interop.keras.matching import match_names
from gatewise.interop.keras.table import graph_of_model
from gatewise.interop.keras.weights import bind_layers, bind_tree, require_stated_bias
from gatewise.interop.keras.writing import MODEL
from gatewise.interop.refusals import reading
from gatewise.network.graph import Graph

OPTIONS = ("activation", "recurrent_activation", "go_backwards", "merge", "config")


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the LSTMs and the other layers in a Keras file; see `gatewise.interop.inspect`.

    Parameters
    ----------
    path : path
    omitted : mapping
        Settings that a file of weights alone leaves out. ``activation`` and ``recurrent_activation``: an `Activation`,
        or the name of one in Keras' words; without them, the defaults of the file's version. ``go_backwards``: bool.
        ``merge``: of the directions of a Bidirectional, ``concat``, ``sum``, ``mul``, ``ave`` or None. Or
        ``config``: the path of a file with the text of ``model.to_json()``, which states all of this, and how the
        layers are connected.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option has a value that is not allowed, or the file itself states that setting.
    """
    name = os.fspath(path)
    check_options(name, omitted, OPTIONS)
    with reading(name), files.open_source(Path(path)) as source:
        options = Options(omitted, Version.parse(source.version), source.budget)
        config = source.config
        if config is None and "config" in omitted:
            options.used.add("config")
            config = _read_config(omitted["config"], source)
            if not options.version.numbers and isinstance(config.get("keras_version"), str):
                options.version = Version.parse(config["keras_version"])
        root = None if config is None else model(config, source.budget)
        if root is not None and not options.version.numbers:
            options.version = _version_by_words(root, config)
        layers, rows = None, dict[str, tuple[LayerNode, ...]]()
        if root is not None and root.holds_layers:
            renamed = match_names(root, source) if "config" in options.used else {}
            layers = _read_layers(source, options, root, renamed)
            lstms, rows = _with_stacks(layers, source.budget)
            parts, refused = tuple(layers.parts.values()), tuple(layers.refused.values())
        elif source.layers is not None:  # weights alone, or a class whose code is not in the file
            lstms, parts, refused = _without_foreign(source, recognise_layers(options, source.layers))
        else:
            lstms, parts, refused = _without_foreign(source, recognise_tree(options, source.tree))
        if root is not None and root.name == MODEL and lstms and lstms[-1].stacked:  # gatewise wrote it as one LSTM
            rows = {"lstm": rows[lstms[-1].name]}
            entries = tuple(entry for stored in lstms for entry in stored.entries)
            lstms = (replace(lstms[-1], name="lstm", stacked=False, time_reversed=False, entries=entries),)
        known = [*options.entries(lstms, parts if layers is None else ())]
        if layers is not None:
            known += layer_entries(layers, source.budget)
        ledger = ledger_of(source, (*lstms, *parts, *refused), known)
    options.require_used(name)
    kinds = {"keras": "model", "h5": "model in HDF5", "weights": "weights alone", "tree": "weights alone"}
    label = f"{options.version}, {kinds[source.kind]}"
    if layers is None:
        return Contents(name, label, lstms, parts, refused, ledger=ledger)
    network, joined = partial(chain.network, layers), partial(chain.joined_network, layers, rows)
    inputs = inputs_of(layers.root, layers.nodes)
    graph = partial(read_graph, Path(path), omitted)
    return Contents(
        name, label, lstms, parts, refused, network, joined=joined, inputs=inputs, ledger=ledger, graph=graph
    )


def read_graph(path: Path, omitted: Mapping[str, Any]) -> Graph:
    """Return the graph of a Keras model in a file; layers that the table lacks become unknown nodes.

    Parameters
    ----------
    path : path
    omitted : mapping
        As of `contents`.

    Raises
    ------
    FileError
        If the file cannot be read, or holds weights alone.
    """
    name = os.fspath(path)
    check_options(name, omitted, OPTIONS)
    with reading(name, GatewiseError), files.open_source(path) as source:
        options, config = Options(omitted, Version.parse(source.version), source.budget), source.config
        if config is None and "config" in omitted:
            options.used.add("config")
            config = _read_config(omitted["config"], source)
        if config is None:
            raise FileError(
                "it only holds weights. Pass config=…, a file with the text of model.to_json(), to connect its layers"
            )
        root = model(config, source.budget)
        if not options.version.numbers:
            options.version = _version_by_words(root, config)
        if "config" in options.used:
            match_names(root, source)
        return graph_of_model(root, _weights_of(source, root), options)


def _weights_of(source: Source, root: Layer) -> Weights:
    """Return the arrays of each layer of a model."""
    if source.layers is not None:
        return Weights(*bind_layers(root, source.layers, source.budget))
    assert source.tree is not None
    return Weights(bind_tree(root, source.tree), {})


def _read_config(path: Any, source: Source) -> dict[str, Any]:
    """Return a Keras model's configuration out of another file than its weights."""
    if not isinstance(path, (str, os.PathLike)):
        raise OptionError(f"config must be the path of a file with a model's configuration, not {path!r}")
    file = storage.readable(path)
    size = os.stat(file).st_size
    source.budget.grow(size)
    source.budget.hold(size, 1, f"reading {file}")
    try:
        config = files.parse_json(file.read_bytes().decode(), source.budget)
    except UnicodeDecodeError:
        raise FileError(f"{file} is not JSON: its text is not UTF-8") from None
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise FileError(f"{file} holds no configuration of a Keras model, as model.to_json() returns it")
    return config


def _version_by_words(root: Layer, config: Mapping[str, Any]) -> Version:
    """Return the generation of a Keras file that does not state its version, by its configuration's words."""
    if "module" in config:
        return Version(None, (3,))
    first = any("inner_activation" in leaf.config for leaf in root.leaves())
    return Version(None, (1,) if first else (2, 4))


def _without_foreign(source: Source, layers: Listing) -> Listing:
    """Return the layers of a Keras file of weights alone; LSTMs with foreign arrays among their own are refused."""
    lstms, parts, refused = layers
    kept, more = refuse_with_foreign(dict(enumerate(lstms)), foreign_arrays(source, lstms))
    return tuple(kept.values()), parts, (*more.values(), *refused)


def _read_layers(source: Source, options: Options, root: Layer, renamed: Mapping[str, str]) -> ConfiguredLayers:
    """Return the layers of a Keras model, each read or refused, with all its arrays."""
    bound, problems = _weights_of(source, root)
    lstms: dict[LayerNode, StoredLSTM] = {}
    parts: dict[LayerNode, StoredLayer] = {}
    refused: dict[LayerNode, Refused] = {}
    nodes, output = graph_of(root)
    for node in nodes:
        try:
            if is_recurrent(node.layer):
                stored = configured_lstm(node, bound, options, problems.get(node.layer))
                name = renamed.get(node.name)
                note = f"its weights are those of {name!r}: Keras numbers layers anew, and loads them by their order"
                lstms[node] = replace(stored, notes=(*stored.notes, note)) if name else stored
            elif node.layer.kind != "InputLayer":
                parts[node] = _stored_layer(node, bound.get(node.layer, ()))
        except (GatewiseError, ValueError, OverflowError) as problem:
            refused[node] = Refused(node.name, str(problem))
    singles = dict(zip(lstms, with_distinct_names(lstms.values()), strict=True))
    foreign = foreign_arrays(source, (*singles.values(), *parts.values()))
    kept, more = refuse_with_foreign(singles, foreign)
    return ConfiguredLayers(root, options.version, nodes, output, kept, parts, refused | more, bound, foreign)


def _with_stacks(
    layers: ConfiguredLayers, budget: Budget
) -> tuple[tuple[StoredLSTM, ...], dict[str, tuple[LayerNode, ...]]]:
    """Return a Keras model's LSTMs with their stacks, and the layers of each by its name."""
    singles = layers.lstms.values()
    stacks = group_stacks(layers.lstms, budget)
    combined = list(stacks.values())
    num_layers = sum(single.lstm.num_layers for single in singles)
    if len(stacks) == 1 and combined[0].lstm.num_layers == num_layers and not layers.refused:
        combined = [replace(combined[0], stacked=True)]
    every = with_distinct_names([*singles, *combined])
    rows = [*((node,) for node in layers.lstms), *stacks]
    return every, {lstm.name: row for lstm, row in zip(every, rows, strict=True)}


def _stored_layer(node: LayerNode, tensors: Sequence[KerasTensor]) -> StoredLayer:
    """Return a Keras layer that is not recurrent, with its arrays if a network may use it."""
    layer = node.layer
    if layer.is_keras and layer.kind in ("Embedding", "Dense") and tensors and len(tensors[0].shape) == 2:
        units = layer.config.get("output_dim" if layer.kind == "Embedding" else "units")
        if isinstance(units, int) and units != tensors[0].shape[1]:
            raise FileError(f"its configuration says {units} units, its weights {tensors[0].shape[1]}")
        if layer.kind == "Dense":
            require_stated_bias(layer.config, len(tensors) > 1)
        return (embedding_part if layer.kind == "Embedding" else linear_part)(node.name, tensors)
    return StoredLayer(node.name, layer.kind, ())
