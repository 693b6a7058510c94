"""The calls of layers in a functional model: the outputs of other layers that each takes, and its other arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatewise.errors import FileError
from gatewise.interop.keras.config import Layer, clean

DEEPEST = 8  # lists within each other
Comparison = tuple[str, str, float]  # of tokens or of features, of which layer, with which number


@dataclass(frozen=True, eq=False)
class KerasCall:
    """One call of a layer."""

    sources: tuple[str, ...]  # the layers whose outputs it takes, without those that only compute its mask
    outputs: tuple[int, ...]  # the number of the output that each of these gives; -1 if the file does not state it
    positional: list[Any] = field(default_factory=list)  # as the file has them: of Keras 3 alone
    arguments: Mapping[str, Any] = field(default_factory=dict)  # by name, as the file has them
    read: frozenset[str] = frozenset()  # the layers whose outputs are in any argument, as a state or a mask too
    masks_stated: bool = False  # whether the arguments include masks that layers compute, as Keras 3 writes them


def calls(layer: Layer) -> list[KerasCall]:
    """Return the calls of a Keras layer, none of an input. A configuration that does not state them is refused."""
    if not isinstance(layer.inbound, list):
        raise FileError(f"{layer.name!r} does not say what comes before it")
    return [_parse_call(layer, node) for node in layer.inbound]


def _parse_call(layer: Layer, node: Any) -> KerasCall:
    """Return a call of a Keras layer, given an entry of its inbound nodes: a dictionary in Keras 3, a list before."""
    positional: list[Any] = []
    arguments: dict[str, Any] = {}
    if isinstance(node, dict):
        entries = _tensor_histories(node.get("args"))
        positional = node["args"] if isinstance(node.get("args"), list) else []
        arguments = node["kwargs"] if isinstance(node.get("kwargs"), dict) else {}
    elif isinstance(node, list):
        entries = [node] if node and isinstance(node[0], str) else node  # [[name, node, tensor, arguments]]
        for entry in entries:
            if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], dict):
                arguments |= {name: value for name, value in entry[3].items() if value is not None}
    else:
        raise FileError(f"{layer.name!r} does not say what comes before it")
    outputs = outputs_in(entries)
    sources, numbers = tuple(name for name, _ in outputs), tuple(number for _, number in outputs)
    read = frozenset((*sources, *(name for value in arguments.values() for name in layers_in(value))))
    return KerasCall(sources, numbers, positional, arguments, read, masks_stated=isinstance(node, dict))


def outputs_in(config: Any) -> list[tuple[str, int]]:
    """Return the Keras layers in a list of entries [name, node, output], or in one, with their outputs' numbers."""
    if isinstance(config, dict):
        config = list(config.values())
    if isinstance(config, list) and config and isinstance(config[0], str):
        config = [config]
    if not isinstance(config, list):
        return []
    entries = [entry for entry in config if isinstance(entry, list) and entry and isinstance(entry[0], str)]
    return [(clean(entry[0]), _output_number(entry)) for entry in entries]


def _output_number(entry: list[Any]) -> int:
    """Return the number of a layer's output in an entry (name, node, output); -1 if it has none."""
    return entry[2] if len(entry) > 2 and isinstance(entry[2], int) and entry[2] >= 0 else -1


def layers_in(argument: Any) -> list[str]:
    """Return the layers whose outputs are in a named argument, as each Keras writes it; none if that is malformed."""
    try:
        tensors = [clean(history[0]) for history in _tensor_histories(argument)]
    except FileError:
        return []
    return tensors or [name for name, _ in outputs_in(argument)]


def _tensor_histories(argument: Any, depth: int = 0) -> list[list[Any]]:
    """Return the history (name, node, output) of each tensor in an argument, as Keras 3 writes it."""
    if depth > DEEPEST:
        raise FileError("its configuration is nested too deeply")
    if isinstance(argument, list):
        return [history for member in argument for history in _tensor_histories(member, depth + 1)]
    if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
        config = argument.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        if isinstance(history, list) and history and isinstance(history[0], str):
            return [history]
        raise FileError("its configuration has an input that refers to no layer")
    return []


# Masks.


def comparisons(calls_of: Mapping[Layer, Sequence[KerasCall]]) -> dict[str, Comparison]:
    """Return the Keras operations that compare tokens, or all features of a step, with a number, as masks do.

    Each layer comes after those that it reads.
    """
    compared: dict[str, Comparison] = {}
    for layer, uses in calls_of.items():
        if not layer.is_keras or len(uses) != 1 or len(uses[0].sources) != 1:
            continue
        (source,), values = uses[0].sources, uses[0].positional[1:]
        if layer.kind == "NotEqual" and len(values) == 1 and isinstance(values[0], (int, float)):
            compared[layer.name] = "tokens", source, values[0]
        over_features = layer.kind == "Any" and layer.config.get("axis") in (-1, [-1]) and not layer.flag("keepdims")
        if over_features and source in compared and compared[source][0] == "tokens":
            compared[layer.name] = "features", *compared[source][1:]
    return compared


def mask_of(layer: Layer, sources: tuple[str, ...]) -> Comparison | None:
    """Return the comparison by which a Keras Embedding or Masking computes a mask of its only input."""
    value = layer.config.get("mask_value", 0.0)
    if len(sources) == 1 and layer.kind == "Embedding" and layer.flag("mask_zero"):
        return "tokens", sources[0], 0
    if len(sources) == 1 and layer.kind == "Masking" and isinstance(value, (int, float)):
        return "features", sources[0], value
    return None
