"""A Keras model as a `Network`, where its layers are an embedding, LSTMs and a linear head in a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError
from gatewise.interop.found import Found, Part, Refused
from gatewise.interop.keras.config import Layer, Version, activation, clean, masked_output
from gatewise.interop.keras.inbound import calls, made_masks, named, tensors
from gatewise.interop.keras.places import is_identity
from gatewise.interop.keras.stacks import Rows
from gatewise.network import SOFTMAX, Linear, Network

MASK_MAKERS = {"NotEqual", "Any"}  # operations that only say which steps are masked
RECURRENT = ("LSTM", "CuDNNLSTM", "RNN", "Bidirectional")


def network(
    path: str,
    root: Layer,
    version: Version,
    found: Sequence[Found],
    parts: Sequence[Part],
    refused: Sequence[Refused],
) -> Network:
    """Return the network that a configuration describes.

    Raises
    ------
    FileError
        If it holds what a `Network` cannot express, by the name and class of the layer.
    """
    try:
        builder = _Builder(version, found, parts, refused)
        for name, layer in _chain(root, ""):
            builder.add(name, layer)
        return builder.network()
    except FileError as problem:
        raise FileError(f"cannot read {path} as a network: {problem}") from None
    except GatewiseError as problem:
        raise FileError(f"cannot read {path} as a network: its parts do not fit together: {problem}") from None


# The layers in the order in which they run.


def _chain(model: Layer, prefix: str) -> list[tuple[str, Layer]]:
    if not model.own:
        raise FileError(f"{model.name!r} is a model of a custom class, whose code is not in the file")
    children = [child for _, child in model.children]
    ordered = children if model.kind == "Sequential" else _followed(model, children)
    chain: list[tuple[str, Layer]] = []
    for child in ordered:
        name = f"{prefix}/{child.name}" if prefix else child.name
        chain += _chain(child, name) if child.holds_layers else [(name, child)]
    return chain


def _followed(model: Layer, children: Sequence[Layer]) -> list[Layer]:
    """Return the layers of a functional model from its input to its output, where each has just one before it."""
    by_name = {child.name: child for child in children}
    if len(by_name) != len(children):
        raise FileError("two of its layers have the same name")
    ends = {name for name, _ in named(model.config.get("output_layers"))}
    starts = {name for name, _ in named(model.config.get("input_layers"))}
    if len(ends) != 1 or len(starts) != 1:
        raise FileError(f"it has {len(starts)} inputs and {len(ends)} outputs; a network has one of each")
    here, chain = ends.pop(), dict[Layer, None]()
    while True:
        layer = by_name.get(here)
        if layer is None or layer in chain:
            raise FileError(f"its layers do not connect an input with {next(iter(chain)).name if chain else here!r}")
        chain[layer] = None
        sources = _sources(layer)
        if not sources:
            break
        if len(sources) > 1:
            raise FileError(f"{layer.name!r} (a {layer.kind}) has {len(sources)} inputs; a network has no branches")
        here = sources[0]
    for child in children:
        if child not in chain and child.kind not in MASK_MAKERS:
            raise FileError(
                f"{child.name!r} (a {child.kind}) is not between its input and its output; a network has no branches"
            )
    made = made_masks(children, chain)
    for layer in chain:
        for call in calls(layer):
            mask = call.arguments.get("mask")
            masks = tensors(mask)
            if mask is not None and (len(masks) != 1 or masks[0] not in made):
                raise FileError(f"{layer.name!r} (a {layer.kind}) is given an explicit mask")
    return list(chain)[::-1]


def _sources(layer: Layer) -> tuple[str, ...]:
    """Return the layers whose outputs a layer takes, without those that only make its mask."""
    found = calls(layer)
    if len(found) > 1:
        raise FileError(f"{layer.name!r} (a {layer.kind}) is used {len(found)} times")
    for call in found:
        for name, value in call.arguments.items():
            if name not in ("mask", "training") and value is not None:
                raise FileError(f"{layer.name!r} (a {layer.kind}) is also given {clean(name)!r}")
    return found[0].sources if found else ()


# What they make.


class _Builder:
    """Builds a network layer by layer, from the input on."""

    def __init__(
        self, version: Version, found: Sequence[Found], parts: Sequence[Part], refused: Sequence[Refused]
    ) -> None:
        self.version = version
        self.found = {one.name: one for one in found}
        self.parts = {one.name: one for one in parts}
        self.refused = {one.name: one for one in refused}
        self.embedding: Array | None = None
        self.masked: float | None = None
        self.rows = Rows()
        self.last: tuple[str, Layer] | None = None
        self.head: Linear | None = None
        self.plain_head = False  # whether the head may still be given its activation by a layer of its own

    def add(self, name: str, layer: Layer) -> None:
        """Add the next layer."""
        kind = layer.kind
        if not layer.own:
            raise FileError(f"{name!r} is a {kind}, whose code is not in the file")
        if is_identity(layer):
            return
        if kind == "Embedding" and not self.rows and self.embedding is None and self.masked is None:
            self._embed(name, layer)
        elif kind == "Masking" and not self.rows and self.embedding is None:
            self.masked = _number(layer, "mask_value")
        elif kind in RECURRENT and self.head is None:
            self._run(name, layer)
        elif kind == "Flip" and self.rows and self.head is None and layer.config.get("axis") in (1, [1], -2):
            self.rows.flip(name, self.masked is not None or not self._sequences())
        elif kind in ("Dense", "TimeDistributed") and self.rows and self.head is None:
            self._add_head(name, layer)
        elif kind in ("Activation", "Softmax") and self.head is not None and self.plain_head:
            given = SOFTMAX if kind == "Softmax" else layer.config.get("activation")
            self.head = Linear(self.head.weight, self.head.bias, self._activation(name, given))
            self.plain_head = False
        else:
            where = "after the head" if self.head is not None else "after the LSTM" if self.rows else "before the LSTM"
            raise FileError(f"{name!r} is a {kind}, which a network does not have {where}")

    def _embed(self, name: str, layer: Layer) -> None:
        part = self.parts.get(name)
        if part is None or part.weight is None:
            raise FileError(f"the weights of {name!r} cannot be read")
        self.embedding = part.weight()
        if layer.flag("mask_zero"):
            self.masked = 0.0

    def _sequences(self) -> bool:
        if self.last is None:
            return True
        layer = self.last[1]
        return (layer.children[0][1] if layer.kind == "Bidirectional" else layer).flag("return_sequences")

    def _run(self, name: str, layer: Layer) -> None:
        found = self.found.get(name)
        if found is None:
            reason = self.refused[name].reason if name in self.refused else "its weights are not there"
            raise FileError(f"{name!r} cannot be read: {reason}")
        if not self._sequences():
            raise FileError(f"{name!r} follows an LSTM that returns only its last step")
        inner = layer.children[0][1] if layer.kind == "Bidirectional" else layer
        if inner.flag("return_state"):
            raise FileError(f"{name!r} (a {layer.kind}) also returns its states")
        self.rows.add(name, found.lstm, self.masked is not None)
        self.last = (name, layer)

    def _add_head(self, name: str, layer: Layer) -> None:
        dense = layer.children[0][1] if layer.kind == "TimeDistributed" and layer.children else layer
        if dense.kind != "Dense" or not dense.own:
            raise FileError(f"{name!r} is a TimeDistributed {dense.kind}, which a network does not have")
        part = self.parts.get(name)
        if part is None or part.weight is None:
            raise FileError(f"the weights of {name!r} cannot be read")
        given = dense.config.get("activation")
        self.plain_head = given in (None, "linear")
        bias = None if part.bias is None else part.bias()
        self.head = Linear(part.weight(), bias, self._activation(name, given))

    def _activation(self, name: str, given: Any) -> Activation | str | None:
        word = given.get("config") if isinstance(given, dict) and given.get("class_name") == "function" else given
        if word == SOFTMAX or (isinstance(given, dict) and given.get("class_name") == "Softmax"):
            return SOFTMAX
        try:
            return activation(given, self.version)
        except FileError as problem:
            raise FileError(f"the activation of {name!r} is not supported: {problem}") from None

    def network(self) -> Network:
        """Return the network."""
        if self.last is None:
            raise FileError("there is no LSTM between its input and its output")
        layer = self.last[1]
        sequences = self._sequences()
        if sequences and not self.rows.forward:
            raise FileError(f"{self.last[0]!r} returns its steps in reverse order (go_backwards)")
        lstm, head = self.rows.lstm(), self.head
        dtype = lstm.dtype
        if head is not None and head.weight.dtype != dtype:
            head = Linear(
                head.weight.astype(dtype), None if head.bias is None else head.bias.astype(dtype), head.activation
            )
        return Network(
            lstm,
            embedding=None if self.embedding is None else self.embedding.astype(dtype),
            head=head,
            reads="every" if sequences else "last",
            masked=self.masked,
            masked_output=masked_output(layer, self.version),
        )


def _number(layer: Layer, name: str) -> float:
    value = layer.config.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileError(f"the {name} of {layer.name!r} is {clean(value)}, which is not a number")
    return float(value)
