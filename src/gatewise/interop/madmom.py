"""Pickled networks of madmom, read without madmom: LSTM layers with peepholes, and the layers after them.

Each gate has its own arrays (`madmom.ml.nn.layers`): ``weights`` (input, hidden) and ``recurrent_weights`` (hidden,
hidden), whose rows are multiplied from the left, ``bias`` and ``peephole_weights``. Input and forget gate see the old
cell state, the output gate the new one. The backward layer of a `BidirectionalLayer` runs from the last frame to the
first, and its output, in the order of the frames, stands behind that of the forward layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, ShapeError, shown
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.containers import pickled_arrays, pickles
from gatewise.interop.containers.lookups import Lookups
from gatewise.interop.containers.pickles import GlobalName, PickledObject
from gatewise.interop.contents import (
    Contents,
    Refused,
    StoredItem,
    StoredLayer,
    StoredLSTM,
    check_options,
    held_layer,
    listing,
)
from gatewise.interop.ledger import looked_up_entries, owners_by_prefix
from gatewise.interop.refusals import reading
from gatewise.interop.stacks import stacked_layers
from gatewise.interop.torch.described import describe_content
from gatewise.layers import LSTM
from gatewise.network import Linear, Network
from gatewise.parameters import Parameters, Variant
from gatewise.records.step import State

PACKAGE = "madmom.ml.nn"
GATES = ("input_gate", "forget_gate", "cell", "output_gate")  # in gatewise's order
ACTIVATIONS = {f"{PACKAGE}.activations.{name}": name for name in ("sigmoid", "tanh", "relu", "elu", "softmax")} | {
    f"{PACKAGE}.activations.linear": "affine:1,0"
}
CONVENTION = "madmom: four gates of their own arrays, inputs along the rows, one bias"
DEEPEST = 20  # processors within each other


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a file is a pickle that begins with a class of madmom's."""
    return head[:1] in (b"\x80", b"c", b"(") and b"madmom." in head[:256]


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a madmom pickle; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    check_options(name, omitted, ())
    budget, calls = Budget.of(path), dict[str, None]()
    with reading(name), open(path, "rb") as file:
        content = pickles.read_pickle(file, budget, calls)
        networks = list(_find_networks(content, budget))
    read = [_read_network(prefix, layers, budget) for prefix, layers in networks]
    budget.end()
    network = partial(_build_network, read[0][1]) if len(read) == 1 else None
    holds = "no LSTM layer" if read else f"no network of madmom's, but {describe_content(content)}"
    items = [item for items, _ in read for item in items]
    # frame by frame (online), it computes the same
    entries = ((path, used or path.rpartition(".")[2] == "online") for path, used in _walk_attributes(content))
    lstms = [item.name for item in items if isinstance(item, StoredLSTM) and not item.combines]
    owner = owners_by_prefix(item.name for item in items)
    unknown = "no attribute of this name is known in such an object"
    ledger = tuple(looked_up_entries(entries, owner, lstms, unknown))
    return Contents(
        name, "madmom", *listing(items), network, holds=f"it holds {holds}", calls=tuple(calls), ledger=ledger
    )


# The objects of a pickle


def _class_name(node: Any) -> str:
    """Return the full name of the class of an object in a madmom pickle, or an empty text."""
    maker = getattr(node, "maker", None)
    if maker == GlobalName("copy_reg", "_reconstructor") and isinstance(node.args, tuple) and node.args:
        maker = node.args[0]  # as protocols 0 and 1 have it
    return ".".join(maker) if isinstance(maker, GlobalName) else ""


def _layer_class(node: Any) -> str:
    return _class_name(node).removeprefix(f"{PACKAGE}.layers.")


def _attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of an object in a madmom pickle, which remember what is looked up in them."""
    if not isinstance(node, PickledObject) or not isinstance(node.state, dict):
        return {}
    if not isinstance(node.state, Lookups):
        node.state = Lookups(node.state)
    return node.state


def _walk_attributes(content: Any) -> Iterator[tuple[str, bool]]:
    """Yield the path of each attribute in a madmom pickle that was read, and whether it was looked up."""
    pending: list[tuple[str, Any]] = [("", content)]
    visited: set[int] = set()
    while pending:
        path, node = pending.pop()
        state = node.state if isinstance(node, PickledObject) else None
        if isinstance(node, (list, tuple)) and id(node) not in visited:
            inner = [(f"{path}{number}", value) for number, value in enumerate(node)]
        elif isinstance(state, Lookups) and id(node) not in visited:
            inner = [(f"{path}{name}", state.peek(name)) for name in state if name in state.looked_up]
            rest = [name for name in state if name not in state.looked_up and state.peek(name) is not None]
            yield from ((f"{path}{name}", False) for name in rest)
        else:
            yield path.removesuffix("."), True
            continue
        visited.add(id(node))
        pending += [(f"{name}.", value) for name, value in reversed(inner)]


def _find_networks(content: Any, budget: Budget) -> Iterator[tuple[str, list[Any]]]:
    """Yield the networks of a madmom pickle, also inside processors, each with a prefix for its names."""
    pending: list[tuple[str, int, Any]] = [("", 0, content)]
    visited: set[int] = set()
    while pending:
        path, depth, node = pending.pop()
        if id(node) in visited or depth > DEEPEST or not isinstance(node, (PickledObject, list, tuple)):
            continue
        visited.add(id(node))
        layers = _attributes(node).get("layers")
        if _class_name(node) == f"{PACKAGE}.NeuralNetwork" and isinstance(layers, list):
            yield f"{path}layers.", layers
        elif _layer_class(node) in ("LSTMLayer", "BidirectionalLayer"):
            yield path, [node]
        else:
            inner = _attributes(node).get("processors") if isinstance(node, PickledObject) else node
            if isinstance(inner, (list, tuple)):
                budget.count(len(inner), "entries")
                pending += reversed(
                    [(f"{path}{number}.", depth + 1, processor) for number, processor in enumerate(inner)]
                )


def _read_array(owner: Mapping[str, Any], name: str, budget: Budget) -> Array | None:
    """Return the array in an attribute of a pickled madmom layer; None if it is missing."""
    value = owner.get(name)
    if value is None:
        return None
    tensor = pickled_arrays.describe_array(value, budget) if isinstance(value, PickledObject) else None
    if tensor is None:
        raise FileError(f"its {name} is no array")
    try:
        return tensor.array()
    except FileError as problem:
        raise FileError(f"its {name}: {problem}") from None


def _read_activation(owner: Mapping[str, Any], allowed: Sequence[str]) -> str:
    """Return the activation in `activation_fn` of a pickled madmom layer; others than the allowed are refused."""
    function = owner.get("activation_fn")
    name = ".".join(function) if isinstance(function, GlobalName) else _class_name(function)
    if (activation := ACTIVATIONS.get(name)) is None or activation not in allowed:
        name_in_words = shown(name) if name else "not named"
        raise FileError(
            f"its activation_fn is {name_in_words}; those of madmom that are read here: {', '.join(allowed)}"
        )
    return activation


# Layers


Link = StoredLSTM | Linear | str  # of a chain of layers; of an unusable one, the reason


def _read_network(prefix: str, layers: list[Any], budget: Budget) -> tuple[list[StoredItem], list[Link]]:
    """Return the layers of a network in a madmom pickle and the stack of its LSTMs, and the chain of its layers."""
    budget.count(len(layers), "layers")
    items: list[StoredItem] = []
    chain: list[Link] = []
    for number, layer in enumerate(layers):
        name = f"{prefix}{number}" if prefix else "lstm"
        try:
            item, link = _read_layer(name, layer, budget)
        except (GatewiseError, ValueError) as problem:
            item, link = Refused(name, str(problem)), f"{name} cannot be read: {problem}"
        items.append(item)
        chain.append(link)
    lstms = [link for link in chain if isinstance(link, StoredLSTM)]
    runs = [is_lstm for is_lstm, _ in groupby(chain, lambda link: isinstance(link, StoredLSTM)) if is_lstm]
    if len(runs) == 1 and len(lstms) > 1:
        with suppress(GatewiseError):  # layers of one direction and of two
            items.append(replace(stacked_layers(lstms), stacked=True))
    return items, chain


def _read_layer(name: str, layer: Any, budget: Budget) -> tuple[StoredItem, Link]:
    """Return a layer of madmom's, alone and as a link of the network's chain."""
    kind = _layer_class(layer)
    if kind in ("LSTMLayer", "BidirectionalLayer"):
        stored = _read_lstm_layer(name, layer, budget)
        return stored, stored
    if kind == "FeedForwardLayer":
        linear = _read_linear(layer, budget)
        return held_layer(name, linear), linear
    if kind in ("RecurrentLayer", "GRULayer"):
        raise FileError(f"it is a {kind} of madmom's, which is no LSTM")
    class_name = shown(_class_name(layer) or "something else", 80)
    return StoredLayer(name, f"layer of the class {class_name}", ()), f"{name} is of the class {class_name}"


def _read_lstm_layer(name: str, layer: Any, budget: Budget) -> StoredLSTM:
    """Return an LSTM layer of madmom's, of one direction or two, with its initial states unless those are zeros."""
    attributes = _attributes(layer)
    cell_layers = (
        [layer] if _layer_class(layer) == "LSTMLayer" else [attributes.get("fwd_layer"), attributes.get("bwd_layer")]
    )
    for cell_layer in cell_layers:
        if _layer_class(cell_layer) != "LSTMLayer":
            raise FileError(
                f"its directions are of the class {shown(_class_name(cell_layer) or 'of nothing', 80)}, not LSTMLayer"
            )
    cells = tuple(_read_cell(cell_layer, budget) for cell_layer in cell_layers)
    starts = tuple(
        State(
            *(
                np.zeros((1, p.hidden_size), p.dtype) if start is None else np.broadcast_to(start, (1, p.hidden_size))
                for start in (_read_array(_attributes(cell_layer), key, budget) for key in ("init", "cell_init"))
            )
        )
        for cell_layer, p in zip(cell_layers, cells, strict=True)
    )
    state = (starts,) if any(part.any() for start in starts for part in start) else None
    return StoredLSTM(name, LSTM.from_cells([cells]), CONVENTION, name, state=state)


def _read_cell(layer: Any, budget: Budget) -> Parameters:
    """Return the parameters of one direction of an LSTM layer of madmom's, from its four pickled gates."""
    attributes = _attributes(layer)
    gates = [_attributes(attributes.get(name)) for name in GATES]
    parts: dict[str, list[Array]] = {"weights": [], "recurrent_weights": [], "bias": []}
    for name, gate in zip(GATES, gates, strict=True):
        for key, arrays_of_key in parts.items():
            if (array := _read_array(gate, key, budget)) is None:
                raise FileError(f"its {name} has no {key}")
            arrays_of_key.append(array)
    hidden = parts["recurrent_weights"][0].shape[-1]
    shapes = [{array.shape for array in parts[key]} for key in ("weights", "recurrent_weights")]
    if any(len(of_gates) > 1 or len(min(of_gates)) != 2 for of_gates in shapes):
        raise ShapeError(f"its gates have weights of the shapes {sorted(set().union(*shapes))[:8]}")
    budget.hold(4 * sum(arrays[0].size for arrays in parts.values()), 8, "its weights")
    biases = [np.broadcast_to(bias.reshape(-1), (hidden,)) for bias in parts["bias"]]
    peephole = _read_peepholes([gates[0], gates[1], gates[3]], hidden, budget)
    bounded = ("sigmoid", "tanh", "relu", "elu", "affine:1,0")
    activations = [_read_activation(node, bounded) for node in (*gates, attributes)]
    variant = Variant(
        peephole="none" if peephole is None else "full",
        input_activation=activations[0],
        forget_activation=activations[1],
        candidate_activation=activations[2],
        output_activation=activations[3],
        cell_activation=activations[4],
    )
    weights, recurrent = (np.concatenate([array.T for array in parts[key]]) for key in ("weights", "recurrent_weights"))
    return conventions.parameters(
        "gatewise", weights, recurrent, [np.concatenate(biases)], peephole=peephole, variant=variant
    )


def _read_peepholes(gates: Sequence[Mapping[str, Any]], hidden: int, budget: Budget) -> Array | None:
    """Return the peepholes of madmom's gates, zeros for gates without; None if no gate has any."""
    peepholes = [_read_array(gate, "peephole_weights", budget) for gate in gates]
    if all(array is None for array in peepholes):
        return None
    rows = [np.zeros(hidden, np.float32) if array is None else array.reshape(-1) for array in peepholes]
    return np.concatenate([np.broadcast_to(row, (hidden,)) for row in rows])


def _read_linear(layer: Any, budget: Budget) -> Linear:
    """Return a feed-forward layer of madmom's as a linear layer with its activation."""
    attributes = _attributes(layer)
    weight, bias = (_read_array(attributes, name, budget) for name in ("weights", "bias"))
    if weight is None or bias is None or weight.ndim not in (1, 2):
        raise FileError("its weights or its bias are missing, or no matrix")
    matrix = weight.reshape(len(weight), -1).T
    activation = None
    if attributes.get("activation_fn") is not None:
        name = _read_activation(attributes, tuple(ACTIVATIONS.values()))
        activation = None if name == "affine:1,0" else name
    return Linear(np.ascontiguousarray(matrix), np.broadcast_to(bias.reshape(-1), (len(matrix),)).copy(), activation)


def _build_network(chain: Sequence[Link]) -> Network:
    """Return the whole network of a madmom pickle: LSTM layers, and linear ones after them."""
    lstms = [link for link in chain if isinstance(link, StoredLSTM)]
    head = [link for link in chain if isinstance(link, Linear)]
    if not lstms or chain != [*lstms, *head]:
        odd = next((link for link in chain if isinstance(link, str)), "LSTM layers do not come first in it")
        raise FileError(odd)
    stored = stacked_layers(lstms)
    initial = stored.state and conventions.first_sequence(stored.state)
    return Network(stored.lstm, head=head or None, initial=initial)
