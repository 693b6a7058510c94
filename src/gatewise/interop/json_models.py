"""Models in JSON: RTNeural's, Neural Amp Modeler's, ICU's word segmenters, and dumps of a state dict.

- RTNeural has Keras' arrays: kernels (input, 4 · units) with the gates i, f, c, o along the columns. Its runtime knows
  no other activations than sigmoid and tanh, whatever the file says (RTNeural, ``lstm.tpp`` and ``model_loader.h``).
- Neural Amp Modeler has one flat list of numbers: for each layer the matrix (4 · hidden, input + hidden) of [x; h] row
  by row in the order i, f, g, o, the bias, and the hidden and the cell state that it starts from, both learned; then
  the head's weight and bias (NeuralAmpModelerCore, ``lstm.cpp``).
- ICU's segmenters have nine matrices: the embedding, kernel, recurrent kernel and bias forward and backward, in Keras'
  order, and a dense layer with softmax.
- A dump of a PyTorch state dict has nested lists by PyTorch's names, at the top or under ``state_dict``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.budget import Budget
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError
from gatewise.interop import conventions
from gatewise.interop.containers.json_document import array, begins, count, entry, said, single
from gatewise.interop.containers.json_document import read as read_document
from gatewise.interop.found import Contents, Found, Part, Refused, omissions
from gatewise.interop.torch import grouping
from gatewise.layers import LSTM
from gatewise.network import SOFTMAX, Linear, Network
from gatewise.parameters import Parameters
from gatewise.step import State

KERAS = "gates i f c o along the columns, one bias"
PLAYERS = ("in_skip", "in_gain", "out_gain")  # the input added to the output, and gains, as AIDA-X has them
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")  # of RTNeural's dense layers; elu has alpha 1
MATRICES = tuple(f"mat{number}" for number in range(1, 10))


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file begins like a JSON object or list."""
    return begins(head)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    omissions(name, omitted, ())
    try:
        budget = Budget.of(path)
        document = read_document(Path(path), budget)
        if not isinstance(document, dict):
            raise FileError(f"its JSON is {said(document)}; a model is an object")
        for known, reader in READERS:
            if known(document):
                return replace(reader(document, name, budget), path=name)
        if "class_name" in document and "config" in document:
            raise FileError("it is a description of a Keras model, without its weights")
        keys = ", ".join(said(key) for key in list(document)[:5]) or "nothing"
        raise FileError(
            f"its JSON has {keys}{' …' if len(document) > 5 else ''}, and is not a model of RTNeural, Neural Amp"
            " Modeler or ICU, nor a state dict of PyTorch"
        )
    except CapacityError:
        raise
    except GatewiseError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None


def _version(value: object) -> str:
    """Return a version or a name as a file gives it, where it is nothing odd, behind a blank."""
    return f" {value}" if isinstance(value, str) and re.fullmatch(r"[\w.+-]{1,60}", value, re.ASCII) else ""


def _cell(kernel: Array, recurrent: Array, bias: Array) -> Parameters:
    """Return a cell of Keras' arrays; those that are no matrices are left to the conventions to refuse."""
    return conventions.parameters("keras", single(kernel).T, single(recurrent).T, [single(bias)])


# RTNeural.


@dataclass(frozen=True)
class _Layer:
    """A layer of RTNeural's: what it is called here, its type, and its arrays, or why they cannot be read."""

    name: str
    kind: str
    activation: str
    cell: Parameters | None = None
    weight: Array | None = None
    bias: Array | None = None
    problem: str = ""


def _rtneural(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    layers = []
    shape = entry(document, "in_shape", list, "the model")
    features = _last(shape)
    for number, given in enumerate(entry(document, "layers", list, "the model")):
        layers.append(_rtneural_layer(f"layers.{number}", given, features, budget))
        features = _last(given["shape"])
    asked = [f"{name} {said(document[name])}" for name in PLAYERS if document.get(name) not in (None, 0)]
    more = f"the file asks for processing beyond its layers: {', '.join(asked)}" if asked else ""
    found, parts, refused = [], [], []
    for layer in layers:
        if layer.cell is not None:
            notes = [f"the file says activation {said(layer.activation)}; RTNeural's LSTM has tanh"]
            notes = (notes if layer.activation != "tanh" else []) + ([more] if more else [])
            lstm = LSTM.from_cells(layer.cell)
            found.append(Found(layer.name, lstm, f"RTNeural, from Keras: {KERAS}", layer.name, tuple(notes)))
        elif layer.problem:
            refused.append(Refused(layer.name, layer.problem))
        elif layer.weight is not None and layer.bias is not None:
            parts.append(_part(layer.name, "linear layer", layer.weight, layer.bias, layer.activation))
        else:
            parts.append(Part(layer.name, f"layer of type {said(layer.kind)}", ()))

    def network() -> Network:
        try:
            return _rtneural_network(layers, more)
        except FileError as problem:
            raise FileError(f"cannot make a network of {path}: {problem}") from None

    return Contents(path, "RTNeural", tuple(found), tuple(parts), tuple(refused), network)


def _last(shape: object) -> int:
    last = shape[-1] if isinstance(shape, list) and shape else None
    if not isinstance(last, int) or isinstance(last, bool) or last < 1:
        raise FileError(f"a shape must end in the number of features, not in {said(last)}")
    return last


def _rtneural_layer(name: str, given: object, features: int, budget: Budget) -> _Layer:
    if not isinstance(given, dict):
        raise FileError(f"{name} must be an object, not {said(given)}")
    kind = entry(given, "type", str, name)
    size = _last(entry(given, "shape", list, name))
    activation = entry(given, "activation", str, name) if "activation" in given else ""
    layer = _Layer(name, kind, activation)
    if kind == "gru":
        return replace(layer, problem="it is a GRU")
    if kind not in ("lstm", "dense", "time-distributed-dense"):
        return layer
    try:
        weights = entry(given, "weights", list, "it")
        arrays = [array(f"weights[{place}]", one, budget) for place, one in enumerate(weights)]
        if kind == "lstm":
            if activation not in ("", "tanh"):
                raise OptionError(f"its activation is {said(activation)}; RTNeural's LSTM has only tanh")
            if len(arrays) != 3:
                raise FileError(f"it has {len(arrays)} arrays; they must be kernel, recurrent kernel and bias")
            cell = _cell(*arrays)
            if (cell.input_size, cell.hidden_size) != (features, size):
                raise FileError(
                    f"its weights are for {cell.input_size} features and {cell.hidden_size} units;"
                    f" the shapes in the file say {features} and {size}"
                )
            return replace(layer, cell=cell)
        if [one.shape for one in arrays] != [(features, size), (size,)]:
            shapes = ", ".join(str(one.shape) for one in arrays[:5]) or "none"
            raise FileError(f"its weights have shapes {shapes}; they must be ({features}, {size}) and ({size},)")
        if activation and activation not in ACTIVATIONS:
            raise OptionError(f"its activation is {said(activation)}; RTNeural knows {', '.join(ACTIVATIONS)}")
        return replace(layer, weight=single(arrays[0].T), bias=single(arrays[1]))
    except GatewiseError as problem:
        return replace(layer, problem=str(problem))


def _rtneural_network(layers: list[_Layer], more: str) -> Network:
    cells = []
    rest = list(layers)
    while rest and rest[0].cell is not None:
        cells.append(rest.pop(0).cell)
    for layer in rest:
        if layer.problem:
            raise FileError(f"{layer.name} cannot be read: {layer.problem}")
    if not cells:
        first = f"{rest[0].name} of type {said(rest[0].kind)} comes first" if rest else "there is none"
        raise FileError(f"a network begins with its LSTM; {first}")
    for layer in rest[:1]:
        if layer.weight is None:
            raise FileError(f"an LSTM is followed by a linear layer; {layer.name} is of type {said(layer.kind)}")
    if len(rest) > 1:
        raise FileError(f"a network ends with one linear layer; {rest[1].name} of type {said(rest[1].kind)} follows it")
    if more:
        raise FileError(f"a network is its layers alone; {more}")
    head = None
    if rest and rest[0].weight is not None:
        head = Linear(rest[0].weight, rest[0].bias, rest[0].activation or None)
    return Network(LSTM.from_cells(cells), head=head)


def _part(name: str, kind: str, weight: Array, bias: Array | None = None, activation: str = "") -> Part:
    reader = None if bias is None else lambda: bias
    return Part(name, kind, weight.shape, lambda: weight, reader, activation or None)


# Neural Amp Modeler.


def _nam(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    kind = f"Neural Amp Modeler{_version(document.get('version'))}"
    architecture = entry(document, "architecture", str, "the model")
    if architecture != "LSTM":
        reason = f"its architecture is {said(architecture)}, not LSTM"
        return Contents(path, kind, refused=(Refused("model", reason),))
    config = entry(document, "config", dict, "the model")
    layers, inputs, hidden = (count(config, name, "its config") for name in ("num_layers", "input_size", "hidden_size"))
    flat = array("weights", entry(document, "weights", list, "the model"), budget)
    sizes = [4 * hidden * (inputs + hidden + 1) + 2 * hidden, 4 * hidden * (2 * hidden + 1) + 2 * hidden]
    needed = sizes[0] + (layers - 1) * sizes[1] + hidden + 1
    if flat.shape != (needed,):
        raise FileError(
            f"it has {said(len(flat))} weights; {said(layers)} layers of {said(hidden)} units for {said(inputs)}"
            f" features have {said(needed)}"
        )
    numbers = single(flat)

    def take(*shape: int) -> Array:
        nonlocal numbers
        taken, numbers = np.split(numbers, [prod(shape)])
        return taken.reshape(shape)

    cells, states = [], []
    for number in range(layers):
        features = hidden if number else inputs
        weight, bias = take(4 * hidden, features + hidden), take(4 * hidden)
        cells.append(conventions.parameters("pytorch", weight[:, :features], weight[:, features:], [bias]))
        states.append((State(take(1, hidden), take(1, hidden)),))
    head = Linear(take(1, hidden), take(1))
    lstm = LSTM.from_cells(cells)
    found = Found(
        "lstm",
        lstm,
        "Neural Amp Modeler: gates i f g o, one matrix of [x; h], one bias",
        "weights",
        (
            "the model starts from a state that was learned, not from zeros: its network does, and the LSTM alone where"
            " it is given as the state of a run",
            "its player may run half a second of silence first",
        ),
        tuple(states),
    )
    parts = (_part("head", "linear layer", head.weight, head.bias),)
    start = tuple(tuple(State(one.h[0], one.c[0]) for one in row) for row in states)
    return Contents(path, kind, (found,), parts, network=lambda: Network(lstm, head=head, initial=start))


# ICU.


def _icu(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    table, *kernels, weight, bias = (_matrix(document, name, budget) for name in MATRICES)
    forward, backward = _cell(*kernels[:3]), _cell(*kernels[3:])
    lstm = LSTM.from_cells([(forward, backward)])
    head = Linear(single(weight.T), single(bias), SOFTMAX)
    network = Network(lstm, embedding=single(table), head=head)
    found = Found("lstm", lstm, f"ICU, from Keras: {KERAS}, directions side by side", "mat2 to mat7")
    parts = (
        _part("embedding", "embedding", single(table)),
        _part("head", "linear layer", head.weight, head.bias, SOFTMAX),
    )
    kind = f"ICU word segmenter{_version(document.get('model'))}"
    return Contents(path, kind, (found,), parts, network=lambda: network)


def _matrix(document: dict[str, Any], name: str, budget: Budget) -> Array:
    one = entry(document, name, dict, "the model")
    dim = entry(one, "dim", list, name)
    if not 1 <= len(dim) <= 2 or not all(type(n) is int and n > 0 for n in dim):
        raise FileError(f"'dim' of {name} must be one or two integers, not {said(dim)}")
    data = array(f"'data' of {name}", entry(one, "data", list, name), budget)
    if data.shape != (prod(dim),):
        raise FileError(f"'data' of {name} has shape {data.shape}; its dim asks for {said(prod(dim))} numbers")
    return data.reshape(dim)


# PyTorch's state dict.


def _state_dict(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    inner = document.get("state_dict")
    named = inner if isinstance(inner, dict) else document
    tensors = {name: array(said(name), value, budget) for name, value in named.items() if _is_tensor(name)}
    # What was float32 is so again; numbers that float32 does not hold stay as they are.
    if all(np.array_equal(single(one), one, equal_nan=True) for one in tensors.values()):
        tensors = {name: single(one) for name, one in tensors.items()}
    found, parts, refused = grouping.grouped(tensors)
    data = document.get("model_data")
    if isinstance(data, dict) and data.get("skip"):
        note = "the network adds its input to its output (skip)"
        found = tuple(replace(one, notes=(*one.notes, note)) for one in found)
    return Contents(path, "PyTorch's state dict in JSON", found, parts, refused)


def _is_tensor(name: str) -> bool:
    return name.rpartition(".")[2] in ("weight", "bias") or grouping.NAME.fullmatch(name) is not None


def _has_tensors(document: dict[str, Any]) -> bool:
    inner = document.get("state_dict")
    return any(_is_tensor(name) for name in (inner if isinstance(inner, dict) else document))


# In the order in which they are asked.
READERS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any], str, Budget], Contents]], ...] = (
    (lambda document: "in_shape" in document and "layers" in document, _rtneural),
    (lambda document: "architecture" in document and "weights" in document, _nam),
    (lambda document: document.keys() >= set(MATRICES), _icu),
    (_has_tensors, _state_dict),
)
