"""How a functional model connects its layers: what each is called with, and from which layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatewise.errors import FileError
from gatewise.interop.keras.config import Layer, clean

DEEPEST = 8  # lists within each other


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer.

    Attributes
    ----------
    sources : tuple of str
        The layers whose outputs it takes, without those that only compute its mask.
    positional : list
        What it is called with, as the file has it: Keras 3's alone.
    arguments : mapping of str to object
        What it is given by name, as the file has it.
    masks_stated : bool
        Whether the arguments include masks that layers compute, as Keras 3 writes them.
    """

    sources: tuple[str, ...]
    positional: list[Any] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    masks_stated: bool = False


def calls(layer: Layer) -> list[Call]:
    """Return the calls of a layer; those of an input are none.

    Raises
    ------
    FileError
        If the configuration does not state them.
    """
    if not isinstance(layer.inbound, list):
        raise FileError(f"{layer.name!r} does not say what comes before it")
    return [_call(layer, node) for node in layer.inbound]


def _call(layer: Layer, node: Any) -> Call:
    if isinstance(node, dict):
        positional, arguments = node.get("args"), node.get("kwargs")
        return Call(
            tuple(tensors(positional)),
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
    return Call(tuple(clean(name) for name in named(entries)), arguments=arguments)


def named(given: Any) -> list[str]:
    """Return the layers that a list of inputs or outputs names: [name, 0, 0] or a list of such."""
    if isinstance(given, dict):
        given = list(given.values())
    if isinstance(given, list) and given and isinstance(given[0], str):
        given = [given]
    if not isinstance(given, list):
        return []
    return [one[0] for one in given if isinstance(one, list) and one and isinstance(one[0], str)]


def tensors(given: Any, depth: int = 0) -> list[str]:
    """Return the layers whose outputs are in an argument of Keras 3's."""
    if depth > DEEPEST:
        raise FileError("its configuration is nested too deeply")
    if isinstance(given, list):
        return [name for one in given for name in tensors(one, depth + 1)]
    if isinstance(given, dict) and given.get("class_name") == "__keras_tensor__":
        config = given.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        if isinstance(history, list) and history and isinstance(history[0], str):
            return [clean(history[0])]
        raise FileError("its configuration has an input that refers to no layer")
    return []


# Masks.


def made_masks(layers: Iterable[Layer], chain: Iterable[Layer]) -> set[str]:
    """Return the operations among layers that compute the mask of an Embedding or a Masking from its input."""
    tokens, features = dict[str, tuple[str, float]](), dict[str, tuple[str, float]]()
    operations = [one for one in layers if one.own and one.kind in ("NotEqual", "Any") and len(calls(one)) == 1]
    for one in operations:
        (call,) = calls(one)
        value = call.positional[1] if len(call.positional) == 2 else None
        if one.kind == "NotEqual" and len(call.sources) == 1 and isinstance(value, (int, float)):
            tokens[one.name] = call.sources[0], value
    for one in operations:
        (call,) = calls(one)
        over_features = one.kind == "Any" and one.config.get("axis") in (-1, [-1]) and not one.flag("keepdims")
        if over_features and len(call.sources) == 1 and call.sources[0] in tokens:
            features[one.name] = tokens[call.sources[0]]
    of_tokens, of_features = set[tuple[str, float]](), set[tuple[str, float]]()
    for one in chain:
        sources = calls(one)[0].sources if calls(one) else ()
        value = one.config.get("mask_value", 0.0)
        if one.kind == "Embedding" and one.flag("mask_zero"):
            of_tokens |= {(source, 0) for source in sources}
        elif one.kind == "Masking" and isinstance(value, (int, float)):
            of_features |= {(source, value) for source in sources}
    return {name for name, made in tokens.items() if made in of_tokens} | {
        name for name, made in features.items() if made in of_features
    }
