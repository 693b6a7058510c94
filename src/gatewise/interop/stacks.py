"""LSTMs that read one another, as one LSTM of several layers; and an LSTM with the dense layers around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gatewise.arrays import Array
from gatewise.cell import LSTMCell
from gatewise.errors import FileError, GatewiseError
from gatewise.files.budget import Budget
from gatewise.interop.contents import StoredLSTM
from gatewise.layers import LSTM
from gatewise.network import Branch, Linear, Network

STEPS = 50  # of work that a layer of a stack takes
Node = TypeVar("Node")


class LayerStack:
    """LSTMs as the layers of one, added from the lowest to the highest; `merges` says how each merges its directions.

    `forward` says whether the steps that leave the last layer come in the order of the input.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[LSTMCell, ...]] = []
        self.merges: list[str] = []
        self.directions: tuple[str, ...] = ()
        self.forward = True

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, name: str, lstm: LSTM, *, masked: bool = False, reverses: bool = False) -> None:
        """Add an LSTM of a file above the others of a stack; one that runs in another direction is refused.

        `masked` says whether a mask arrives at it; `reverses`, whether it returns its steps in the order in which it
        computes them: the last first, of one that runs backward.
        """
        directions = lstm.directions
        if lstm.bidirectional:
            if not self.forward:
                raise FileError(f"{name!r} receives its steps in reverse order")
        elif reverses:
            if masked and self.rows and not self.forward:
                raise FileError(f"{name!r} receives its steps in reverse order, but the mask in their own")
            forward = self.forward != (directions == ("backward",))
            directions = ("forward",) if forward else ("backward",)
        if self.rows and directions != self.directions:
            words = " and ".join(directions), " and ".join(self.directions)
            raise FileError(f"{name!r} runs {words[0]}, the LSTM before it {words[1]}; a network has one LSTM")
        self.forward = not reverses or lstm.bidirectional or directions == ("forward",)
        self.directions = directions
        self.rows += lstm.layers
        self.merges += lstm.merge

    def reverse_steps(self, name: str, masked: bool) -> None:
        """Reverse the steps that leave a stack of LSTMs, as a layer of that name in the file does.

        Where a mask goes with the steps, it is refused: the mask stays as it is.
        """
        if masked:
            raise FileError(f"{name!r} reverses the steps, which a network does not")
        self.forward = not self.forward

    def lstm(self) -> LSTM:
        """Return the stacked layers as one LSTM, in the first's precision; GatewiseError if they do not fit."""
        dtype = self.rows[0][0].dtype
        rows = [[_cast_cell(cell, dtype) for cell in row] for row in self.rows]
        both = len(self.directions) == 2
        return LSTM.from_cells(rows, direction=self.directions[0], merge=self.merges if both else "concat")


def _cast_cell(cell: LSTMCell, dtype: np.dtype[Any]) -> LSTMCell:
    """Return a cell in a precision, without its labels; weights that have it already are shared."""
    parameters = cell.parameters
    return LSTMCell.from_parameters(parameters if parameters.dtype == dtype else parameters.astype(dtype))


def stacks_of(
    below: Mapping[Node, Node],
    lstms: Mapping[Node, StoredLSTM],
    extend: Callable[[LayerStack, Node], None],
    budget: Budget,
    inner_notes: str,
    tallest: int | None = None,
) -> dict[tuple[Node, ...], StoredLSTM]:
    """Return the stacked LSTMs of a model's graph, each stack as one LSTM, by its nodes from the lowest layer on.

    `below` has the LSTM that each reads, if it reads one. `extend` adds the LSTM of a node to a stack; it raises
    `FileError` where that must begin another stack. Notes that begin with `inner_notes` hold of the last layer alone.
    Stacks higher than `tallest`, and LSTMs that read themselves, are left out; without it there must be no circles.
    """
    stacks: dict[tuple[Node, ...], StoredLSTM] = {}
    for nodes in _chains_of_lstms(below, budget, tallest):
        pieces: list[tuple[list[Node], LayerStack]] = []
        for node in nodes:
            members, stack = pieces[-1] if pieces else ([], LayerStack())
            forward = stack.forward
            try:
                extend(stack, node)
            except FileError:
                stack.forward = forward  # it may have been reversed for the node
                members, stack = [], LayerStack()
                extend(stack, node)
            if not members:
                pieces.append((members, stack))
            members.append(node)
        for members, stack in pieces:
            layers = [lstms[node] for node in members]
            if len(members) > 1:
                with suppress(GatewiseError):  # they do not fit each other
                    stacks.setdefault(tuple(members), _combine_layers(layers, stack, inner_notes))
    return stacks


def _chains_of_lstms(below: Mapping[Node, Node], budget: Budget, tallest: int | None) -> Iterator[list[Node]]:
    """Yield the chains of a model's LSTM nodes, each the input of the next, up to each that no other reads."""
    read = set(below.values())
    for top in [node for node in below if node not in read]:
        chain = [top]
        while chain[-1] in below and (tallest is None or len(chain) < tallest):
            budget.work(STEPS, "stacking its LSTMs")  # many may stand on the same
            budget.count(1, "layers in stacks")
            chain.append(below[chain[-1]])
        if chain[-1] not in below:
            yield chain[::-1]


def stacked_layers(layers: Sequence[StoredLSTM]) -> StoredLSTM:
    """Return a file's LSTMs that read one another as one LSTM; GatewiseError if they do not fit each other."""
    if len(layers) == 1:
        return layers[0]
    stack = LayerStack()
    for layer in layers:
        stack.add(layer.name, layer.lstm)
    return _combine_layers(layers, stack)


def _combine_layers(
    layers: Sequence[StoredLSTM], stack: LayerStack, inner_notes: str | tuple[str, ...] = ()
) -> StoredLSTM:
    """Return the LSTM of stacked LSTMs of a file, with their descriptions and initial states.

    Layers for which the file holds no state start from zeros, unless it holds none for any.
    """
    first, last = layers[0], layers[-1]
    states = [layer.state[0] for layer in layers if layer.state is not None]
    batch = len(states[0][0].h) if states else 0
    notes = [note for layer in layers[:-1] for note in layer.notes if not note.startswith(inner_notes)]
    return replace(
        first,
        name=" → ".join(layer.name for layer in layers),
        lstm=stack.lstm(),
        where=", ".join(layer.where for layer in layers),
        notes=tuple(dict.fromkeys([*notes, *last.notes])),
        state=tuple((layer.state or layer.lstm.zero_state(batch))[0] for layer in layers) if states else None,
        time_reversed=not stack.forward,
        warns=tuple(dict.fromkeys(text for layer in layers for text in layer.warns)),
        combines=tuple(layer.name for layer in layers),
        eight_bits=any(layer.eight_bits for layer in layers),
        masked_output=last.masked_output,
    )


def network_around(
    lstm: LSTM, embedding: Array | None, before: Sequence[Linear], head: Sequence[Linear], **options: Any
) -> Network:
    """Return the network of a file's LSTM, the dense layers before it and its head's, in the LSTM's precision."""
    before, head = ([layer.astype(lstm.dtype) for layer in layers] for layers in (before, head))
    return Network(
        lstm,
        embedding=None if embedding is None else embedding.astype(lstm.dtype),
        branches=[Branch(range(before[0].weight.shape[1]), before)] if before else (),
        head=head,
        **options,
    )
