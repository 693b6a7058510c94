"""Networks that are read as graphs of operations, opened: from files and in memory, with the inputs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import AXES, axis_names
from gatewise.diagnostics.graph_verification import verify_graph
from gatewise.diagnostics.verification import Verification
from gatewise.errors import FileError, OptionError, ShapeError, join_names, shown
from gatewise.interop.contents import Contents
from gatewise.interop.graph_networks import graph_network
from gatewise.network.graph import Input
from gatewise.network.graph_network import GraphNetwork
from gatewise.opening.answers import Answers
from gatewise.opening.inputs import InputNumbers
from gatewise.opening.preparing import InputOptions, read_features
from gatewise.records.named_numbers import is_labelled


def graph_network_of(contents: Contents) -> GraphNetwork | None:
    """Return the network of a file that only a graph describes; None if a `Network` does, or nothing."""
    with suppress(FileError):
        return graph_network(contents) if contents.is_only_a_graph else None
    return None


def feeds_of(network: GraphNetwork, data: InputNumbers, axes: Any) -> dict[str, Any]:
    """Return the numbers of an opened input as the inputs of a network, by name, on the axes of its file.

    Raise OptionError or ShapeError if they do not fit.
    """
    inputs = network.graph.inputs
    if data.several is not None:
        named = dict(data.several)
        if unknown := [name for name in named if name not in network.inputs]:
            raise OptionError(f"{data.source} holds {shown(unknown[0])!r}; the network takes {_takes(network)}")
    elif len(inputs) != 1:
        raise OptionError(f"the network takes {_takes(network)}. Give them by name, in an .npz file or a mapping.")
    else:
        assert data.single is not None
        named = {inputs[0].name: data.single.values}
    known = {item.name: item for item in inputs}
    order = None if axes is None else axis_names(axes, "--axes")
    if data.table or data.axes is not None:
        order = AXES  # which tables and labelled data have been put in
    return {name: _on_file_axes(network, known[name], np.asarray(array), order) for name, array in named.items()}


def _takes(network: GraphNetwork) -> str:
    return join_names((f"{shown(port.name, 40)} {port.shape_in_words}" for port in network.graph.inputs), "and")


def _on_file_axes(network: GraphNetwork, item: Input, array: Any, order: tuple[str, ...] | None) -> Any:
    """Return an input on the axes of the file, with a batch of one sequence where it has none."""
    axes = network.inputs[item.name].axes
    if item.shape is None or axes is None or "time" not in axes:
        return array
    present = [name for name in order or axes if name in axes]
    if array.ndim == len(axes) - 1:
        present.remove("batch")
    elif array.ndim == len(axes) + 1 and array.shape[-1] == 1:
        array = array[..., 0]  # a column of tokens
    if array.ndim != len(present):
        return array  # the network says what is wrong with it
    if "batch" not in present:
        array, present = array[None], ["batch", *present]
    return array.transpose([present.index(name) for name in axes])


def outputs_of(network: GraphNetwork, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return a runtime's answers as outputs of a network by name: ``y`` is the first."""
    first = network.graph.output_names[0]
    return {first if name == "y" and name not in network.outputs else name: array for name, array in arrays.items()}


def verify_outputs(
    network: GraphNetwork, feeds: Mapping[str, Any], outputs: Mapping[str, Any], order: Any, seed: int
) -> Verification:
    """Return the verification of a network's outputs, which are given in an order of axes; see `verify_graph`."""
    provided = {}
    batches = {
        name: port.axes.index("batch")
        for name, port in network.inputs.items()
        if port.axes is not None and "batch" in port.axes
    }
    single = all(np.shape(feeds[name])[axis : axis + 1] == (1,) for name, axis in batches.items() if name in feeds)
    for name, array in outputs.items():
        port = network.outputs.get(name)
        axes = None if port is None else port.axes
        provided[name] = np.asarray(array)
        if order is not None and axes is not None and "" not in axes:
            present = [axis for axis in order if axis in axes]
            if provided[name].ndim == len(axes) - 1 and "batch" in present:
                present.remove("batch")
                provided[name], present = provided[name][None], ["batch", *present]
            if provided[name].ndim == len(axes):
                provided[name] = provided[name].transpose([present.index(axis) for axis in axes])
        elif axes is not None and "batch" in axes and provided[name].ndim == len(axes) - 1 and single:
            provided[name] = np.expand_dims(provided[name], axes.index("batch"))
    return verify_graph(network, feeds, provided, seed)


def compare_network(
    contents: Contents, input: Any, answers: Answers, options: InputOptions, seed: int
) -> Verification | None:
    """Return the verification of a file's network by its graph; None if the input or the answers are others."""
    others = (options.lengths, options.state, options.embedding, options.head, options.reads)
    if "y" not in answers.arrays or any(item is not None for item in others) or options.input_of == "lstm":
        return None
    if (network := graph_network_of(contents)) is None:
        return None
    data = read_features(None, contents.path, input, options)
    try:
        feeds = feeds_of(network, data, options.axes)
        order = options.axes if answers.axes is None else answers.axes
        if data.table and order is None:
            order = AXES
        result = verify_outputs(
            network, feeds, outputs_of(network, answers.arrays), None if order is None else axis_names(order), seed
        )
    except (OptionError, ShapeError):
        if options.input_of == "model":
            raise
        return None
    return replace(result, notes=(*answers.notes, *result.notes))


def verify_network(network: GraphNetwork, x: Any, y: Any, axes: Any, seed: int) -> Verification:
    """Return the verification of a network in memory: `x` and `y` are arrays, sequences of them, or mappings."""
    order = None if axes is None else axis_names(axes)
    inputs = _by_name(x, [item.name for item in network.graph.inputs], "x")
    known = {port.name: port for port in network.graph.inputs}
    feeds = {
        name: _on_file_axes(network, known[name], np.asarray(array), order) if name in known else array
        for name, array in inputs.items()
    }
    outputs = {} if y is None else _by_name(y, list(network.graph.output_names), "y")
    return verify_outputs(network, feeds, outputs_of(network, outputs), order, seed)


def _by_name(value: Any, names: Sequence[str], subject: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and not is_labelled(value):
        return dict(value)
    several = list(value) if isinstance(value, (tuple, list)) and len(names) > 1 else [value]
    if len(several) > len(names):
        raise OptionError(f"{subject} has {len(several)} arrays; the network has {join_names(map(repr, names))}")
    return dict(zip(names, several, strict=False))
