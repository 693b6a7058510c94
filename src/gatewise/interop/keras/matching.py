"""A configuration that is given beside Keras' weights: the names of its layers, compared with those of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatewise.errors import FileError, join_names
from gatewise.interop.keras.config import Layer, clean
from gatewise.interop.keras.files import CONTAINERS, Source, WeightGroup
from gatewise.interop.keras.layer_graph import is_identity, is_recurrent
from gatewise.interop.keras.weights import are_same, member_keys


def match_names(root: Layer, source: Source) -> dict[str, str]:
    """Give the weights of a Keras file the names of a configuration's layers, and return the old names by the new.

    As Keras' `load_weights`, it goes by their order, but only where names differ by the number that Keras appends to
    them (lstm and lstm_1). Any other difference is a FileError: the configuration is another model's.
    """
    children = [child for _, child in root.children if child.kind != "InputLayer"]
    if source.layers is not None:
        names = [name for name, tensors in source.layers.items() if tensors]
        pairs = _pairs_in_order(children, names)
        tensors_of = dict(source.layers)
        source.layers |= {child.name: tensors_of[name] for child, name in pairs}
        return {child.name: clean(name) for child, name in pairs}
    containers = [source.tree.children[name] for name in CONTAINERS if source.tree and name in source.tree.children]
    members = containers[0].children if containers else {}
    places = zip(member_keys(children), children, strict=True)
    keys = {key if key in members else child.name: child for key, child in places}
    stored = {key: member.name or "" for key, member in members.items() if key in keys or _has_arrays(member)}
    wrong = [key for key, child in keys.items() if key not in members and _has_weights(child)]
    wrong += [key for key, name in stored.items() if key not in keys or (name and not are_same(keys[key].name, name))]
    if wrong:
        raise _refusal([name or key for key, name in stored.items()], [child.name for child in keys.values()])
    renamed = {keys[key].name: clean(name) for key, name in stored.items() if name not in ("", keys[key].name)}
    for key in stored if renamed else ():
        members[key] = replace(members[key], name=keys[key].name)
    return renamed


def _pairs_in_order(children: Sequence[Layer], names: Sequence[str]) -> list[tuple[Layer, str]]:
    """Return the layers of a configuration with the names of Keras' weights that differ from theirs, in their order."""
    weighted = [child for child in children if _has_weights(child)]
    own = {child.name for child in children}
    if {clean(name) for name in names} <= own and {child.name for child in weighted} <= {clean(name) for name in names}:
        return []
    for layers in (weighted, [child for child in children if not is_identity(child)]):
        pairs = [*zip(layers, names, strict=False)]
        if len(layers) == len(names) and all(are_same(child.name, name) for child, name in pairs):
            return pairs
    raise _refusal(names, [child.name for child in weighted])


def _refusal(names: Sequence[str], described: Sequence[str]) -> FileError:
    """Return the error of a configuration of other layers than those whose weights are in the file."""
    stored, others = (
        join_names((repr(clean(name)) for name in group), most=8) or "none" for group in (names, described)
    )
    return FileError(f"its weights are of the layers {stored}, and the configuration is of {others}: of another model")


def _has_weights(layer: Layer) -> bool:
    """Return whether a Keras layer is one of those that always have weights."""
    return any(is_recurrent(leaf) or leaf.kind in ("Dense", "Embedding") for leaf in layer.leaves())


def _has_arrays(group: WeightGroup) -> bool:
    """Return whether there are arrays in a group of Keras' weights."""
    return bool(group.tensors) or any(map(_has_arrays, group.children.values()))
