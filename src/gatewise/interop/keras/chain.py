"""A Keras model as a `Network`: an embedding or dense layers, LSTMs, and a head of dense layers, in a chain.

Only its last layer may add the input of the model: a skip connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.interop.contents import Refused, StoredLayer, StoredLSTM
from gatewise.interop.keras.config import Layer, Version, activation, clean, masked_output, named_function
from gatewise.interop.keras.layer_calls import calls, mask_operations, outputs_in, tensors
from gatewise.interop.keras.layer_graph import is_identity, is_reversal
from gatewise.interop.stacks import LayerStack, network_around
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network
from gatewise.showing import with_article

MASK_MAKERS = {"NotEqual", "Any"}  # operations that only compute masks
ACTIVATIONS = ("Activation", "Softmax", "ReLU", "LeakyReLU", "ELU")  # layers that only apply a nonlinearity
OF_DENSE = {  # gatewise's names of the functions that dense layers alone have
    **{name: name for name in ("gelu", "mish", SOFTMAX)},
    **dict.fromkeys(("silu", "swish"), "silu"),
    **dict.fromkeys(("hard_silu", "hard_swish"), "hard_swish"),
}
RECURRENT = ("LSTM", "CuDNNLSTM", "RNN", "Bidirectional")


def network(new_builder: Callable[[], Builder], root: Layer) -> Network:
    """Return the network that a Keras configuration describes; a layer that no `Network` has is refused by name."""
    builder = new_builder()
    for name, layer, added in layers_in_order(root):
        if layer.kind in RECURRENT and layer.forward_layer.flag("return_state"):
            raise FileError(f"{name!r} ({with_article(layer.kind)}) also returns its states")
        builder.add(name, layer, added)
    return builder.network()


# The layers in the order in which they run.


def layers_in_order(model: Layer, prefix: str = "", at_start: bool = True) -> list[tuple[str, Layer, bool]]:
    """Return a Keras model's layers, and of each whether it adds the outer model's input: this one's, if `at_start`."""
    if not model.is_keras:
        raise FileError(f"{model.name!r} is a model of a custom class, whose code is not in the file")
    children = [child for _, child in model.children]
    ordered, adds = (children, set[Layer]()) if model.kind == "Sequential" else _chain_of(model, children, at_start)
    chain: list[tuple[str, Layer, bool]] = []
    for child in ordered:
        name = f"{prefix}/{child.name}" if prefix else child.name
        chain += layers_in_order(child, name, at_start) if child.holds_layers else [(name, child, child in adds)]
        at_start = at_start and is_identity(child)
    return chain


def _chain_of(model: Layer, children: Sequence[Layer], at_start: bool) -> tuple[list[Layer], set[Layer]]:
    """Return a functional Keras model's layers from its input to its output, if each reads the one before it alone.

    Identities at the input are left out. The layers that also add the input of the model are returned as well.
    """
    by_name = {child.name: child for child in children}
    if len(by_name) != len(children):
        raise FileError("two of its layers have the same name")
    ends, starts = (
        {name for name, _ in outputs_in(model.config.get(key))} for key in ("output_layers", "input_layers")
    )
    if len(ends) != 1 or len(starts) != 1:
        raise FileError(f"it has {len(starts)} inputs and {len(ends)} outputs; a network has one of each")
    end, start = ends.pop(), starts.pop()
    layers = [child for child in children if child.kind not in MASK_MAKERS]
    source_of_entry = _entries(layers, start)
    chain = dict[str, Layer]()  # from the output back
    adds = set[Layer]()
    read = [name := end]
    while name not in source_of_entry:
        if name not in by_name or name in chain:
            raise FileError(f"its layers do not connect an input with {end!r}")
        layer = chain[name] = by_name[name]
        sources = _source_layers(layer)
        others = [source for source in sources if source not in source_of_entry]
        read += sources
        if not sources:
            if name == start:
                break
            raise FileError(f"{_label(layer)} reads no other layer, and is not the input of the model")
        if at_start and layer.is_keras and layer.kind == "Add" and (len(sources), len(others)) == (2, 1):
            adds.add(layer)
        elif len(sources) > 1:
            raise FileError(f"{_label(layer)} has {len(sources)} inputs; a network has no branches")
        name = (others or sources)[0]
    used = set(chain)
    for source in read:
        entry: str | None = source
        while entry is not None and entry not in used:
            used.add(entry)
            entry = source_of_entry[entry]
    for layer in layers:
        if layer.name not in used:
            raise FileError(f"{_label(layer)} is not between its input and its output; a network has no branches")
    computed = mask_operations(children, chain.values())
    for layer in (*(by_name[entry] for entry in source_of_entry), *chain.values()):
        for call in calls(layer):
            mask = call.arguments.get("mask")
            masks = tensors(mask)
            if mask is not None and (len(masks) != 1 or masks[0] not in computed):
                raise FileError(f"{_label(layer)} is given an explicit mask")
    return list(chain.values())[::-1], adds


def _entries(layers: Sequence[Layer], start: str) -> dict[str, str | None]:
    """Return the Keras layers whose output is the model's input, each with the one that it reads: identities alone."""
    sources_of = {layer.name: _source_layers(layer) for layer in layers if is_identity(layer)}
    readers: dict[str, list[str]] = {}
    for name, sources in sources_of.items():
        if len(sources) == 1:
            readers.setdefault(sources[0], []).append(name)
    entries: dict[str, str | None] = {start: None} if sources_of.get(start) == () else {}
    waiting = list(entries)
    while waiting:
        source = waiting.pop()
        entries |= dict.fromkeys(readers.get(source, ()), source)
        waiting += readers.get(source, ())
    return entries


def _label(layer: Layer) -> str:
    return f"{layer.name!r} ({with_article(layer.kind)})"


def _source_layers(layer: Layer) -> tuple[str, ...]:
    """Return the layers whose outputs a Keras layer takes, without those that only compute its mask."""
    uses = calls(layer)
    if len(uses) > 1:
        raise FileError(f"{_label(layer)} is used {len(uses)} times")
    for call in uses:
        for name, value in call.arguments.items():
            if name not in ("mask", "training") and value is not None:
                raise FileError(f"{_label(layer)} is also given {clean(name)!r}")
    return uses[0].sources if uses else ()


# The network of these layers.


class Builder:
    """Builds a network layer by layer, from the input on.

    `masked` is the value of masked steps, as `Network` has it; `before` and `head` are the dense layers before the LSTM
    and after it; `last` is the last recurrent layer with its name; `plain` says whether the last dense layer has no
    activation yet, so that the next layer may be one; `adds`, whether the input is added to the output.
    """

    def __init__(
        self, version: Version, lstms: Sequence[StoredLSTM], parts: Sequence[StoredLayer], refused: Sequence[Refused]
    ) -> None:
        self.version = version
        self.lstms = {lstm.name: lstm for lstm in lstms}
        self.parts = {part.name: part for part in parts}
        self.reasons = {refusal.name: refusal.reason for refusal in refused}
        self.embedding: Array | None = None
        self.masked: float | None = None
        self.before: list[Linear] = []
        self.stack = LayerStack()
        self.last: tuple[str, Layer] | None = None
        self.head: list[Linear] = []
        self.plain = self.adds = False

    @property
    def dense(self) -> list[Linear]:
        """The dense layers to which the next belongs."""
        return self.head if self.stack else self.before

    def add(self, name: str, layer: Layer, adds: bool = False) -> None:
        """Add a Keras layer to the network; `adds` says that it adds the network's input to the last layer's output."""
        kind = layer.kind
        if not layer.is_keras:
            raise FileError(f"{name!r} is {with_article(kind)}, whose code is not in the file")
        if is_identity(layer):
            return
        if self.adds:
            raise FileError(f"{name!r} is {with_article(kind)}, which a network does not have after a skip connection")
        if kind == "Embedding" and not (self.stack or self.before) and self.embedding is None and self.masked is None:
            self.embedding, _ = self._dense_weights(name)
            self.masked = 0.0 if layer.flag("mask_zero") else None
        elif kind == "Masking" and not (self.stack or self.before) and self.embedding is None:
            self.masked = _config_number(layer, "mask_value")
        elif kind in RECURRENT and not self.head:
            self._add_recurrent(name, layer)
        elif is_reversal(layer) and self.stack and not self.head:
            self.stack.reverse_steps(name, self.masked is not None or not self.sequences)
        elif kind in ("Dense", "TimeDistributed") and (self.stack or self.embedding is None):
            self._add_dense(name, layer)
        elif kind in ACTIVATIONS and self.dense and self.plain:
            stated = (
                layer.config.get("activation") if kind == "Activation" else {"class_name": kind, "config": layer.config}
            )
            last = self.dense[-1]
            self.dense[-1] = Linear(last.weight, last.bias, self._linear_activation(name, stated))
            self.plain = False
        elif adds and self.stack:
            self.adds = True
        else:
            where = "after the head" if self.head else "after the LSTM" if self.stack else "before the LSTM"
            raise FileError(f"{name!r} is {with_article(kind)}, which a network does not have {where}")

    @property
    def sequences(self) -> bool:
        """Whether the output of the layers so far has every step."""
        return self.last is None or self.last[1].returns_sequences

    def _add_recurrent(self, name: str, layer: Layer) -> None:
        """Add a recurrent Keras layer to the network's stack."""
        if name not in self.lstms:
            raise FileError(f"{name!r} cannot be read: {self.reasons.get(name, 'its weights are not there')}")
        if not self.sequences:
            raise FileError(f"{name!r} follows an LSTM that returns only its last step")
        self.stack.add(name, self.lstms[name].lstm, masked=self.masked is not None, reverses=True)
        self.last = (name, layer)

    def _add_dense(self, name: str, layer: Layer) -> None:
        """Add a Keras dense layer to the network, in a TimeDistributed or not."""
        dense = layer.children[0][1] if layer.kind == "TimeDistributed" and layer.children else layer
        if dense.kind != "Dense" or not dense.is_keras:
            raise FileError(f"{name!r} is a TimeDistributed {dense.kind}, which a network does not have")
        weight, bias = self._dense_weights(name)
        stated = dense.config.get("activation")
        self.plain = stated in (None, "linear")
        self.dense.append(Linear(weight, bias, self._linear_activation(name, stated)))

    def _dense_weights(self, name: str) -> tuple[Array, Array | None]:
        """Return the weight and the bias of a Keras layer that is no LSTM."""
        part = self.parts.get(name)
        if part is None or part.weight is None:
            raise FileError(f"the weights of {name!r} cannot be read")
        return part.weight(), None if part.bias is None else part.bias()

    def _linear_activation(self, name: str, stated: Any) -> Activation | str | None:
        """Return a Keras layer's activation as `Linear` has it, by its configuration."""
        kind, config = (stated.get("class_name"), stated.get("config")) if isinstance(stated, dict) else ("", None)
        if kind == "Softmax":
            if isinstance(config, dict) and config.get("axis", -1) not in (-1, [-1]):
                raise FileError(f"{name!r} is a Softmax over another axis than the last")
            return SOFTMAX
        try:
            function = named_function(stated)
            if isinstance(function, str) and (name_of_dense := OF_DENSE.get(function.removeprefix("keras>"))):
                return name_of_dense
            return activation(stated, self.version)
        except FileError as problem:
            raise FileError(f"the activation of {name!r} is not supported: {problem}") from None

    def network(self, reads: str | None = None) -> Network:
        """Return the network of the Keras layers added; `reads` takes the place of the file's setting."""
        if self.last is None:
            raise FileError("there is no LSTM between its input and its output")
        layer = self.last[1]
        if (self.sequences or reads == "every") and not self.stack.forward:
            raise FileError(f"{self.last[0]!r} returns its steps in reverse order (go_backwards)")
        lstm = self.stack.lstm()
        return network_around(
            lstm,
            self.embedding,
            self.before,
            self.head,
            reads=reads or ("every" if self.sequences else "last"),
            skip=self._skip_features(lstm) if self.adds else 0,
            masked=self.masked,
            masked_output=masked_output(layer, self.version),
        )

    def _skip_features(self, lstm: LSTM) -> int:
        """Return the number of input features that a Keras skip connection adds: all, or one to each output."""
        features = self.before[0].weight.shape[1] if self.before else lstm.input_size
        outputs = len(self.head[-1].weight) if self.head else lstm.output_size
        if features not in (1, outputs):
            raise FileError(f"it adds {features} features to {outputs} outputs")
        return features


def _config_number(layer: Layer, name: str) -> float:
    """Return a number of a Keras layer's configuration, 0 by default; FileError if it is none."""
    value = layer.config.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileError(f"the {name} of {layer.name!r} is {clean(value)}, which is not a number")
    return float(value)
