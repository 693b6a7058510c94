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
from gatewise.interop.found import Contents, Found, Part, Refused, distinct, omissions
from gatewise.interop.keras import chain, files, named
from gatewise.interop.keras.bare import Listed, Options, from_runs, from_tree, linear
from gatewise.interop.keras.config import Layer, Version, model
from gatewise.interop.keras.configured import configured
from gatewise.interop.keras.files import Source, Tensor
from gatewise.interop.keras.layer_graph import LayerNode, is_recurrent, layer_nodes
from gatewise.interop.keras.stacks import group_stacks
from gatewise.interop.keras.weights import bind_layers, bind_tree
from gatewise.interop.keras.writing import MODEL

OPTIONS = ("activation", "recurrent_activation", "go_backwards", "merge", "config")


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`.

    Parameters
    ----------
    path : path
    omitted : mapping
        What a file of weights alone leaves out. ``activation`` and ``recurrent_activation``: an `Activation` or the
        name of one in Keras' words; without them, those that were the file's version's defaults. ``go_backwards``:
        bool. ``merge``: of the directions of a Bidirectional, ``concat``, ``sum``, ``mul``, ``ave`` or None. Or
        ``config``: the path of a file with what ``model.to_json()`` returns, which says all of this, and how the layers
        are connected.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option has a value that is not allowed, or the file itself says what it names.
    """
    name = os.fspath(path)
    omissions(name, omitted, OPTIONS)
    try:
        with files.reading(Path(path)) as source:
            version = Version.parse(source.version)
            options = Options(omitted, version, source.budget)
            config = source.config
            if config is None and "config" in omitted:
                options.used.add("config")
                config = _described(omitted["config"], source)
                if not version.numbers and isinstance(config, dict) and isinstance(config.get("keras_version"), str):
                    version = options.version = Version.parse(config["keras_version"])
            root = None if config is None else model(config, source.budget)
            if config is not None and not version.numbers:
                version = options.version = _guessed(root, config)
            if root is None or not root.holds_layers:  # weights alone, or a class whose code is not in the file
                listed = from_tree(source, options) if source.layers is None else from_runs(options, source.layers)
            else:
                listed, nodes = _listed(source, options, root)
    except FileError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None
    except RecursionError:
        raise FileError(f"cannot read {name}: it is nested too deeply") from None
    options.require_used(name)
    kinds = {"keras": "model", "h5": "model in HDF5", "weights": "weights alone", "tree": "weights alone"}
    label = f"{version}, {kinds[source.kind]}"
    found, parts, refused = listed
    if root is None or not root.holds_layers:
        return Contents(name, label, found, parts, refused)
    network = partial(chain.network, name, root, version, found, parts, refused)
    joined = partial(named.network, name, nodes, version, found, parts)
    if root.name == MODEL and found and found[-1].stacked:  # gatewise wrote it as one, and returns its steps in order
        nodes.recurrent["lstm"] = nodes.recurrent[found[-1].name]
        found = (replace(found[-1], name="lstm", stacked=False, time_reversed=False),)
    return Contents(name, label, found, parts, refused, network, joined=joined)


def _described(path: Any, source: Source) -> Any:
    """Return the configuration in a file of its own, which belongs to this one."""
    if not isinstance(path, (str, os.PathLike)):
        raise OptionError(f"config must be the path of a file with a model's configuration, not {path!r}")
    found = storage.readable(path)
    size = os.stat(found).st_size
    source.budget.grow(size)
    source.budget.hold(size, 1, f"reading {found}")
    try:
        config = files.document(found.read_bytes().decode(), source.budget)
    except UnicodeDecodeError:
        raise FileError(f"{found} is not JSON: its text is not UTF-8") from None
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise FileError(f"{found} holds no configuration of a Keras model, as model.to_json() returns it")
    return config


def _guessed(root: Layer | None, config: Any) -> Version:
    """Return the generation of a file that does not say its version, by the words of its configuration."""
    if isinstance(config, dict) and "module" in config:
        return Version(None, (3,))
    leaves = [] if root is None else [leaf.config for leaf in root.leaves()]
    old = any("inner_activation" in one or ("output_dim" in one and "units" not in one) for one in leaves)
    return Version(None, (1,)) if old and any("inner_activation" in one for one in leaves) else Version(None, (2, 4))


def _listed(source: Source, options: Options, root: Layer) -> tuple[Listed, named.NamedNodes]:
    """Return what a model holds, and where in it."""
    if source.layers is not None:
        bound, problems = bind_layers(root, source.layers, source.budget)
    elif source.tree is not None:
        bound, problems = bind_tree(root, source.tree), {}
    of: dict[LayerNode, Found] = {}
    parts: dict[LayerNode, Part] = {}
    refused: list[Refused] = []
    for place in layer_nodes(root):
        layer = place.layer
        try:
            if is_recurrent(layer):
                of[place] = configured(place, bound, options, problems.get(layer))
            elif layer.kind != "InputLayer":
                parts[place] = _part(place, bound.get(layer, ()))
        except (GatewiseError, ValueError, OverflowError) as problem:
            refused.append(Refused(place.name, str(problem)))
    found = distinct(of.values())
    stacks = group_stacks(dict(zip(of, found, strict=True)), source.budget)
    every: list[Found] = list(stacks.values())
    if len(stacks) == 1 and every[0].lstm.num_layers == sum(one.lstm.num_layers for one in found) and not refused:
        every = [replace(every[0], stacked=True)]
    every = list(distinct([*found, *every]))
    rows = [*((place,) for place in of), *stacks]
    recurrent = {one.name: row for one, row in zip(every, rows, strict=True)}
    nodes = named.NamedNodes(recurrent, {place.name: place for place in parts})
    return (tuple(every), tuple(parts.values()), tuple(refused)), nodes


def _part(place: LayerNode, tensors: Sequence[Tensor]) -> Part:
    layer = place.layer
    if layer.own and layer.kind == "Embedding" and tensors and len(tensors[0].shape) == 2:
        return Part(place.name, "embedding", tensors[0].shape, tensors[0].read)
    if layer.own and layer.kind == "Dense" and tensors and len(tensors[0].shape) == 2:
        return linear(place.name, tensors)
    return Part(place.name, layer.kind, ())
