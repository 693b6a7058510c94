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
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, ShapeError, shown
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.containers import pickled_arrays, pickles
from gatewise.interop.containers.pickles import Global, Object
from gatewise.interop.found import Contents, Found, Part, Refused, omissions
from gatewise.interop.torch.described import kind_of
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import SOFTMAX, Linear, Network
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
    """Say whether a file is a pickle that begins with a class of madmom's."""
    return head[:1] in (b"\x80", b"c", b"(") and b"madmom." in head[:256]


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    omissions(name, omitted, ())
    budget, calls = Budget.of(path), dict[str, None]()
    try:
        with open(path, "rb") as file:
            content = pickles.read(file, budget, calls)
        networks = list(_networks(content, budget))
    except FileError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None
    listed = [_Listed(prefix, layers, budget) for prefix, layers in networks]
    budget.end()
    network = partial(_network, name, listed[0]) if len(listed) == 1 else None
    return Contents(
        name,
        "madmom",
        tuple(one for each in listed for one in each.found),
        tuple(one for each in listed for one in each.parts),
        tuple(one for each in listed for one in each.refused),
        network,
        holds="it holds no LSTM layer" if listed else f"it holds no network of madmom's, but {kind_of(content)}",
        calls=tuple(calls),
    )


# What a pickle describes.


def _kind(one: Any) -> str:
    """Return the full name of the class of an object, or an empty text."""
    maker = getattr(one, "maker", None)
    if maker == Global("copy_reg", "_reconstructor") and isinstance(one.args, tuple) and one.args:
        maker = one.args[0]  # as protocols 0 and 1 have it
    return ".".join(maker) if isinstance(maker, Global) else ""


def _layer_kind(one: Any) -> str:
    return _kind(one).removeprefix(f"{PACKAGE}.layers.")


def _attributes(one: Any) -> dict[str, Any]:
    return one.state if isinstance(one, Object) and isinstance(one.state, dict) else {}


def _networks(content: Any, budget: Budget) -> Iterator[tuple[str, list[Any]]]:
    """Go through the networks of a pickle, which processors may hold; each with a prefix for its names."""
    ahead: list[tuple[str, int, Any]] = [("", 0, content)]
    seen: set[int] = set()
    while ahead:
        path, depth, one = ahead.pop()
        if id(one) in seen or depth > DEEPEST or not isinstance(one, (Object, list, tuple)):
            continue
        seen.add(id(one))
        layers = _attributes(one).get("layers")
        if _kind(one) == f"{PACKAGE}.NeuralNetwork" and isinstance(layers, list):
            yield f"{path}layers.", layers
        elif _layer_kind(one) in ("LSTMLayer", "BidirectionalLayer"):
            yield path, [one]
        else:
            inner = _attributes(one).get("processors") if isinstance(one, Object) else one
            if isinstance(inner, (list, tuple)):
                budget.count(len(inner), "entries")
                ahead += reversed([(f"{path}{number}.", depth + 1, each) for number, each in enumerate(inner)])


def _array(owner: Mapping[str, Any], name: str, budget: Budget) -> Array | None:
    given = owner.get(name)
    if given is None:
        return None
    tensor = pickled_arrays.described(given, budget) if isinstance(given, Object) else None
    if tensor is None:
        raise FileError(f"its {name} is no array")
    try:
        return tensor.array()
    except FileError as problem:
        raise FileError(f"its {name}: {problem}") from None


def _activation(owner: Mapping[str, Any], allowed: Sequence[str]) -> str:
    given = owner.get("activation_fn")
    name = ".".join(given) if isinstance(given, Global) else _kind(given)
    if (found := ACTIVATIONS.get(name)) is None or found not in allowed:
        said = shown(name) if name else "not named"
        raise FileError(f"its activation_fn is {said}; those of madmom that are read here: {', '.join(allowed)}")
    return found


# The layers.


@dataclass(frozen=True, eq=False)
class _Row:
    """An LSTM layer: the cells of its directions, and the states that they start from where these are not zeros."""

    name: str
    cells: tuple[Parameters, ...]
    state: tuple[State, ...] | None


class _Listed:
    """The layers of one network, each as what it is.

    Attributes
    ----------
    found, parts, refused : lists
    chain : list of _Row, Linear or str
        The layers in their order; for one that cannot be used, why.
    """

    def __init__(self, prefix: str, layers: list[Any], budget: Budget) -> None:
        self.found: list[Found] = []
        self.parts: list[Part] = []
        self.refused: list[Refused] = []
        self.chain: list[_Row | Linear | str] = []
        budget.count(len(layers), "layers")
        for number, layer in enumerate(layers):
            name, kind = (f"{prefix}{number}" if prefix else "lstm"), _layer_kind(layer)
            try:
                self._add(name, kind, layer, budget)
            except (GatewiseError, ValueError) as problem:
                self.refused.append(Refused(name, str(problem)))
                self.chain.append(f"{name} cannot be read: {problem}")
        rows = [list(group) for isrow, group in groupby(self.chain, lambda one: isinstance(one, _Row)) if isrow]
        self.found += [_found((row,), False) for group in rows for row in group]
        if len(rows) == 1 and len(rows[0]) > 1:
            with suppress(GatewiseError):  # layers of one direction and of two
                self.found.append(_found(rows[0], True))

    def _add(self, name: str, kind: str, layer: Any, budget: Budget) -> None:
        if kind in ("LSTMLayer", "BidirectionalLayer"):
            self.chain.append(_row(name, layer, budget))
        elif kind == "FeedForwardLayer":
            linear = _linear(layer, budget)
            weight, bias = linear.weight, np.asarray(linear.bias)
            self.parts.append(Part(name, "linear layer", weight.shape, lambda: weight, lambda: bias, linear.activation))
            self.chain.append(linear)
        elif kind in ("RecurrentLayer", "GRULayer"):
            raise FileError(f"it is a {kind} of madmom's, which is no LSTM")
        else:
            said = shown(_kind(layer) or "something else", 80)
            self.parts.append(Part(name, f"layer of the class {said}", ()))
            self.chain.append(f"{name} is of the class {said}")


def _found(rows: Sequence[Any], stacked: bool) -> Found:
    states = tuple(row.state for row in rows)
    state: States | None = None
    if any(one is not None for one in states):
        state = tuple(
            tuple(State(*(np.asarray(part)[None] for part in one)) for one in row.state or _zeros(row)) for row in rows
        )
    name = " → ".join(row.name for row in rows)
    return Found(name, LSTM.from_cells([row.cells for row in rows]), CONVENTION, name, (), state, stacked=stacked)


def _zeros(row: _Row) -> tuple[State, ...]:
    return tuple(State(*(np.zeros(p.hidden_size, p.dtype) for _ in "hc")) for p in row.cells)


def _row(name: str, layer: Any, budget: Budget) -> _Row:
    given = _attributes(layer)
    both = [layer] if _layer_kind(layer) == "LSTMLayer" else [given.get("fwd_layer"), given.get("bwd_layer")]
    for one in both:
        if _layer_kind(one) != "LSTMLayer":
            raise FileError(f"its directions are of the class {shown(_kind(one) or 'of nothing', 80)}, not LSTMLayer")
    cells = tuple(_cell(one, budget) for one in both)
    starts = tuple(
        State(
            *(
                np.zeros(p.hidden_size, p.dtype) if found is None else np.broadcast_to(found, (p.hidden_size,))
                for found in (_array(_attributes(one), key, budget) for key in ("init", "cell_init"))
            )
        )
        for one, p in zip(both, cells, strict=True)
    )
    zero = all(not part.any() for one in starts for part in one)
    return _Row(name, cells, None if zero else starts)


def _cell(layer: Any, budget: Budget) -> Parameters:
    given = _attributes(layer)
    gates = [_attributes(given.get(name)) for name in GATES]
    parts: dict[str, list[Array]] = {"weights": [], "recurrent_weights": [], "bias": []}
    for name, gate in zip(GATES, gates, strict=True):
        for key, held in parts.items():
            if (array := _array(gate, key, budget)) is None:
                raise FileError(f"its {name} has no {key}")
            held.append(array)
    hidden = parts["recurrent_weights"][0].shape[-1]
    shapes = {key: {one.shape for one in held} for key, held in parts.items() if key != "bias"}
    if any(len(found) > 1 for found in shapes.values()) or any(len(next(iter(one))) != 2 for one in shapes.values()):
        raise ShapeError(f"its gates have weights of the shapes {sorted(set().union(*shapes.values()))[:8]}")
    budget.hold(4 * sum(one[0].size for one in parts.values()), 8, "its weights")
    biases = [np.broadcast_to(one.reshape(-1), (hidden,)) for one in parts["bias"]]
    peephole = _peephole([gates[0], gates[1], gates[3]], hidden, budget)
    bounded = ("sigmoid", "tanh", "relu", "elu", "affine:1,0")
    named = [_activation(one, bounded) for one in (*gates, given)]
    variant = Variant(
        peephole="none" if peephole is None else "full",
        input_activation=named[0],
        forget_activation=named[1],
        candidate_activation=named[2],
        output_activation=named[3],
        cell_activation=named[4],
    )
    weights, recurrent = (np.concatenate([one.T for one in parts[key]]) for key in ("weights", "recurrent_weights"))
    return conventions.parameters(
        "gatewise", weights, recurrent, [np.concatenate(biases)], peephole=peephole, variant=variant
    )


def _peephole(gates: Sequence[Mapping[str, Any]], hidden: int, budget: Budget) -> Array | None:
    """Return the peepholes of the gates that can have them, zeros for those that have none; None where no gate has."""
    found = [_array(one, "peephole_weights", budget) for one in gates]
    if all(one is None for one in found):
        return None
    rows = [np.zeros(hidden, np.float32) if one is None else one.reshape(-1) for one in found]
    return np.concatenate([np.broadcast_to(one, (hidden,)) for one in rows])


def _linear(layer: Any, budget: Budget) -> Linear:
    given = _attributes(layer)
    weight, bias = (_array(given, name, budget) for name in ("weights", "bias"))
    if weight is None or bias is None or weight.ndim not in (1, 2):
        raise FileError("its weights or its bias are missing, or no matrix")
    matrix = weight.reshape(len(weight), -1).T
    name = "affine:1,0" if given.get("activation_fn") is None else _activation(given, tuple(ACTIVATIONS.values()))
    activation = None if name == "affine:1,0" else SOFTMAX if name == "softmax" else name
    return Linear(np.ascontiguousarray(matrix), np.broadcast_to(bias.reshape(-1), (len(matrix),)).copy(), activation)


def _network(path: str, listed: _Listed) -> Network:
    """Return the whole network: LSTM layers, and linear ones after them."""
    rows = [one for one in listed.chain if isinstance(one, _Row)]
    rest = listed.chain[len(rows) :]
    if not rows or rows != listed.chain[: len(rows)] or not all(isinstance(one, Linear) for one in rest):
        odd = next((one for one in listed.chain if isinstance(one, str)), "LSTM layers do not come first in it")
        raise FileError(f"cannot make a network of {path}: {odd}")
    try:
        found = _found(rows, False)
        initial = found.state and tuple(tuple(State(one.h[0], one.c[0]) for one in row) for row in found.state)
        lstm = next((one.lstm for one in listed.found if one.stacked or len(rows) == 1), found.lstm)
        return Network(lstm, head=[one for one in rest if isinstance(one, Linear)] or None, initial=initial)
    except GatewiseError as problem:
        raise FileError(f"cannot make a network of {path}: {problem}") from None
