"""The network of an LSTM, an embedding and a head that a caller names, connected as in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gatewise.errors import FileError
from gatewise.interop.graphs import JoinedNetwork
from gatewise.interop.keras.chain import Builder
from gatewise.interop.keras.layer_graph import LayerNode, is_identity, is_recurrent
from gatewise.showing import with_article


@dataclass(frozen=True)
class NamedNodes:
    """The layers of a model by their names: of each LSTM, and of each stack, its layers; and the others."""

    recurrent: dict[str, tuple[LayerNode, ...]]  # of each LSTM, and of each stack, its layers
    others: Mapping[str, LayerNode]


def network(
    new_builder: Callable[[], Builder],
    nodes: NamedNodes,
    name: str,
    embedding: str | None,
    head: str | None,
    reads: str | None,
) -> JoinedNetwork:
    """Return the network of a Keras model's named embedding (if any), LSTM and head (if any).

    Layers that are not connected, and what a `Network` cannot express between them, are refused.
    """
    builder, rows = new_builder(), nodes.recurrent[name]
    used = {name for name, node in nodes.others.items() if is_identity(node.layer)}
    if embedding is not None:
        _add_embedding(builder, nodes.others[embedding], rows[0], used)
    elif (source := rows[0].input.source) is not None and source.layer.kind == "Masking":
        _add_layers(builder, [source], used)
    names = {row: name for name, row in nodes.recurrent.items()}
    for node in rows:
        if node.input.reversed and builder.stack:
            builder.stack.reverse_steps(node.name, node.masked)
        builder.add(names[node,], node.layer)
    stated = "every" if builder.sequences else "last"
    if head is not None:
        after = _path_between(rows[-1], nodes.others[head])
        if after[0].input.reversed:
            builder.stack.reverse_steps(after[0].name, rows[-1].masked)
        _add_layers(builder, after, used)
    foreign_mask = rows[0].masked and builder.masked is None
    return JoinedNetwork(builder.network(reads), frozenset(used), stated, foreign_mask)


def _add_embedding(builder: Builder, embedding: LayerNode, lstm: LayerNode, used: set[str]) -> None:
    """Add a Keras embedding to a network; raise FileError if a layer is between it and the LSTM."""
    between = _path_between(embedding, lstm)[:-1]
    if between:
        raise FileError(
            f"{between[0].name!r} is {with_article(between[0].layer.kind)}, which a network does not have between"
            f" {embedding.name!r} and {lstm.name!r}"
        )
    if lstm.input.reversed:
        raise FileError(f"{lstm.name!r} receives its steps in reverse order")
    _add_layers(builder, [embedding], used)


def _add_layers(builder: Builder, nodes: Sequence[LayerNode], used: set[str]) -> None:
    """Add Keras layers to a network, and their names to those that are used."""
    for node in nodes:
        builder.add(node.name, node.layer)
        used.add(node.name)


def _path_between(first: LayerNode, last: LayerNode) -> list[LayerNode]:
    """Return the Keras layers after the first up to the last, if each reads only the one before it."""
    path = [last]
    while (source := path[-1].input.source) is not first:
        reader = path[-1]
        if source is None:
            why = (
                f": {reader.name!r} ({with_article(reader.layer.kind)}) takes more than one output"
                if reader.has_more_inputs
                else ""
            )
            raise FileError(f"{last.name!r} does not follow {first.name!r}{why}")
        if is_recurrent(source.layer):
            raise FileError(f"{last.name!r} reads {source.name!r}, and not {first.name!r}")
        if reader.input.reversed:
            raise FileError(f"the steps that {reader.name!r} receives are reversed, which a network does not do there")
        path.append(source)
    return path[::-1]
