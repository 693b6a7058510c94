"""How a functional model connects its layers: what each is called with, and from which outputs of which layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatewise.errors import FileError
from gatewise.interop.keras.config import Layer, clean

DEEPEST = 8  # lists within each other
Comparison = tuple[str, str, float]  # of tokens or of features, of which layer, with which number


@dataclass(frozen=True, eq=False)
class KerasCall:
    """One call of a layer.

    Attributes
    ----------
    sources : tuple of str
        The layers whose outputs it takes, without those that only compute its mask.
    outputs : tuple of int
        Which of its outputs each of these gives; -1 where the file does not say.
    positional : list
        What it is called with, as the file has it: Keras 3's alone.
    arguments : mapping of str to object
        What it is given by name, as the file has it.
    masks_stated : bool
        Whether the arguments include masks that layers compute, as Keras 3 writes them.
    """

    sources: tuple[str, ...]
    outputs: tuple[int, ...]
    positional: list[Any] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    masks_stated: bool = False


def calls(layer: Layer) -> list[KerasCall]:
    """Return the calls of a layer; those of an input are none.

    Raises
    ------
    FileError
        If the configuration does not state them.
    """
    if not isinstance(layer.inbound, list):
        raise FileError(f"{layer.name!r} does not say what comes before it")
    return [_call(layer, node) for node in layer.inbound]


def _call(layer: Layer, node: Any) -> KerasCall:
    if isinstance(node, dict):
        positional, arguments = node.get("args"), node.get("kwargs")
        given = _histories(positional)
        return KerasCall(
            tuple(clean(one[0]) for one in given),
            tuple(_output(one) for one in given),
            positional if isinstance(positional, list) else [],
            arguments if isinstance(arguments, dict) else {},
            masks_stated=True,
        )
    if not isinstance(node, list):
        raise FileError(f"{layer.name!r} does not say what comes before it")
    entries = [node] if node and isinstance(node[0], str) else node  # Keras 1 and 2: [[name, node, tensor, arguments]]
    arguments = {}
    for one in entries:
        if isinstance(one, list) and len(one) > 3 and isinstance(one[3], dict):
            arguments |= {name: value for name, value in one[3].items() if value is not None}
    found = _listed(entries)
    return KerasCall(tuple(clean(one[0]) for one in found), tuple(_output(one) for one in found), arguments=arguments)


def named(given: Any) -> list[tuple[str, int]]:
    """Return the layers that a list of inputs or outputs names, each with which of its outputs it is."""
    return [(clean(one[0]), _output(one)) for one in _listed(given)]


def _listed(given: Any) -> list[list[Any]]:
    """Return the entries of a list of inputs or outputs: [name, node, output] or a list of such."""
    if isinstance(given, dict):
        given = list(given.values())
    if isinstance(given, list) and given and isinstance(given[0], str):
        given = [given]
    if not isinstance(given, list):
        return []
    return [one for one in given if isinstance(one, list) and one and isinstance(one[0], str)]


def _output(entry: list[Any]) -> int:
    """Return which output of a layer an entry (name, node, output) means."""
    return entry[2] if len(entry) > 2 and isinstance(entry[2], int) and entry[2] >= 0 else -1


def tensors(given: Any) -> list[str]:
    """Return the layers whose outputs are in an argument of Keras 3's."""
    return [clean(one[0]) for one in _histories(given)]


def _histories(given: Any, depth: int = 0) -> list[list[Any]]:
    """Return what an argument of Keras 3's says of the tensors in it: (name, node, output) each."""
    if depth > DEEPEST:
        raise FileError("its configuration is nested too deeply")
    if isinstance(given, list):
        return [name for one in given for name in _histories(one, depth + 1)]
    if isinstance(given, dict) and given.get("class_name") == "__keras_tensor__":
        config = given.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        if isinstance(history, list) and history and isinstance(history[0], str):
            return [history]
        raise FileError("its configuration has an input that refers to no layer")
    return []


# Masks.


def made_masks(layers: Iterable[Layer], chain: Iterable[Layer]) -> set[str]:
    """Return the operations among layers that compute the mask of an Embedding or a Masking from its input."""
    own = {mask_of(one, calls(one)[0].sources) for one in chain if calls(one)}
    return {name for name, mask in compared(layers).items() if mask in own}


def compared(layers: Iterable[Layer]) -> dict[str, Comparison]:
    """Return the operations that compare with a number, as a mask is made: of tokens, or of all features of a step."""
    tokens, features = dict[str, Comparison](), dict[str, Comparison]()
    operations = [one for one in layers if one.own and one.kind in ("NotEqual", "Any") and len(calls(one)) == 1]
    for one in operations:
        (call,) = calls(one)
        value = call.positional[1] if len(call.positional) == 2 else None
        if one.kind == "NotEqual" and len(call.sources) == 1 and isinstance(value, (int, float)):
            tokens[one.name] = "tokens", call.sources[0], value
    for one in operations:
        (call,) = calls(one)
        over_features = one.kind == "Any" and one.config.get("axis") in (-1, [-1]) and not one.flag("keepdims")
        if over_features and len(call.sources) == 1 and call.sources[0] in tokens:
            features[one.name] = "features", *tokens[call.sources[0]][1:]
    return tokens | features


def mask_of(layer: Layer, sources: tuple[str, ...]) -> Comparison | None:
    """Return what an Embedding or a Masking compares, if it makes a mask of the one layer that it takes."""
    value = layer.config.get("mask_value", 0.0)
    if len(sources) == 1 and layer.kind == "Embedding" and layer.flag("mask_zero"):
        return "tokens", sources[0], 0
    if len(sources) == 1 and layer.kind == "Masking" and isinstance(value, (int, float)):
        return "features", sources[0], value
    return None
