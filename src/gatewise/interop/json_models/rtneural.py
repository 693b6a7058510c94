"""RTNeural's models, as it writes them from Keras, and AIDA-X' with what its player does beside them.

RTNeural has Keras' arrays: kernels (input, 4 · units) with the gates i, f, c, o along the columns. Its runtime knows no
other activations of an LSTM than sigmoid and tanh, whatever the file says (RTNeural, ``lstm.tpp`` and
``model_loader.h``). AIDA-X' player multiplies the first feature by a gain, adds it to the output of the layers, and
multiplies the sum by another gain; gains are in decibels (aidadsp-lv2, ``rt-neural-generic.cpp``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, join_names
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import array, entry, said, single
from gatewise.interop.found import Contents, Found, Part, Refused
from gatewise.interop.json_models.parts import KERAS, at_rate, cell, network_of, number, part
from gatewise.layers import LSTM
from gatewise.network import Branch, Linear, Network, Scaling
from gatewise.parameters import Parameters

PLAYERS = ("in_skip", "in_gain", "out_gain")  # the input added to the output, and gains, as AIDA-X has them
SILENT = -90.0  # decibels at which a gain of AIDA-X is zero
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")  # elu has alpha 1
DENSE = ("dense", "time-distributed-dense")


@dataclass(frozen=True)
class _Layer:
    """A layer of RTNeural's: its name, type, features and activation, and its arrays, or why they cannot be read."""

    name: str
    kind: str
    features: int
    activation: str
    cell: Parameters | None = None
    linear: Linear | None = None
    problem: str = ""


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return what is in a document of RTNeural's."""
    layers = []
    features = _last(entry(document, "in_shape", list, "the model"))
    for place, given in enumerate(entry(document, "layers", list, "the model")):
        layers.append(_layer(f"layers.{place}", given, features, budget))
        features = _last(given["shape"])
    asked = {name: document[name] for name in PLAYERS if document.get(name) not in (None, 0)}
    played = f"its player does more than its layers: {', '.join(f'{name} {said(asked[name])}' for name in asked)}"
    metadata = document.get("metadata")
    rate = metadata.get("samplerate") if isinstance(metadata, dict) else None
    told = (*([played] if asked else []), *at_rate(document.get("samplerate") if rate is None else rate))
    found, parts, refused = [], [], []
    for layer in layers:
        if layer.cell is not None:
            plain = layer.activation == "tanh"
            notes = () if plain else (f"the file says activation {said(layer.activation)}; RTNeural's LSTM has tanh",)
            lstm = LSTM.from_cells(layer.cell)
            found.append(Found(layer.name, lstm, f"RTNeural, from Keras: {KERAS}", layer.name, (*notes, *told)))
        elif layer.problem:
            refused.append(Refused(layer.name, layer.problem))
        elif layer.linear is not None and layer.kind in DENSE:
            linear = layer.linear
            parts.append(part(layer.name, "linear layer", linear.weight, linear.bias, layer.activation))
        else:
            parts.append(Part(layer.name, f"layer of type {said(layer.kind)}", ()))
    made = network_of(path, lambda: _network(layers, asked))
    return Contents(path, "RTNeural", tuple(found), tuple(parts), tuple(refused), made)


def _last(shape: object) -> int:
    last = shape[-1] if isinstance(shape, list) and shape else None
    if not isinstance(last, int) or isinstance(last, bool) or last < 1:
        raise FileError(f"a shape must end in the number of features, not in {said(last)}")
    return last


def _layer(name: str, given: object, features: int, budget: Budget) -> _Layer:
    if not isinstance(given, dict):
        raise FileError(f"{name} must be an object, not {said(given)}")
    kind = entry(given, "type", str, name)
    size = _last(entry(given, "shape", list, name))
    activation = entry(given, "activation", str, name) if "activation" in given else ""
    layer = _Layer(name, kind, features, activation)
    if kind == "gru":
        return replace(layer, problem="it is a GRU")
    if kind not in ("lstm", "activation", *DENSE):
        return layer
    try:
        if kind != "lstm" and activation and activation not in ACTIVATIONS:
            raise OptionError(f"its activation is {said(activation)}; RTNeural knows {', '.join(ACTIVATIONS)}")
        if kind == "activation":
            if size != features:
                raise FileError(f"it has {said(size)} features; the layer before it puts out {said(features)}")
            return layer
        weights = entry(given, "weights", list, "it")
        arrays = [array(f"weights[{place}]", one, budget) for place, one in enumerate(weights)]
        if kind == "lstm":
            return replace(layer, cell=_cell(activation, arrays, features, size))
        if [one.shape for one in arrays] not in ([(features, size), (size,)], [(features, size)]):
            shapes = join_names((array.shape for array in arrays), most=6) or "none"
            raise FileError(f"its weights have shapes {shapes}; they must be ({features}, {size}) and ({size},)")
        bias = single(arrays[1]) if len(arrays) > 1 else None
        return replace(layer, linear=Linear(single(arrays[0].T), bias, activation or None))
    except GatewiseError as problem:
        return replace(layer, problem=str(problem))


def _cell(activation: str, arrays: list[Array], features: int, size: int) -> Parameters:
    if activation not in ("", "tanh"):
        raise OptionError(f"its activation is {said(activation)}; RTNeural's LSTM has only tanh")
    if len(arrays) != 3:
        raise FileError(f"it has {len(arrays)} arrays; they must be kernel, recurrent kernel and bias")
    made = cell(*arrays)
    if (made.input_size, made.hidden_size) != (features, size):
        raise FileError(
            f"its weights are for {made.input_size} features and {made.hidden_size} units;"
            f" the shapes in the file say {features} and {size}"
        )
    return made


def _network(layers: list[_Layer], asked: dict[str, Any]) -> Network:
    before: list[Linear] = []
    cells: list[Parameters] = []
    after: list[Linear] = []
    for place, layer in enumerate(layers):
        if layer.problem:
            raise FileError(f"{layer.name} cannot be read: {layer.problem}")
        if layer.cell is not None:
            if after:
                last = layers[place - 1]
                raise FileError(f"its LSTMs follow one another; {last.name} of type {said(last.kind)} is between them")
            cells.append(layer.cell)
        elif layer.kind == "activation":
            _act(after if cells else before, layer, behind_lstm=bool(cells) and not after)
        elif layer.linear is not None:
            (after if cells else before).append(layer.linear)
        else:
            raise FileError(f"it has LSTMs and linear layers; {layer.name} is of type {said(layer.kind)}")
    if not cells:
        raise FileError("a network has an LSTM; there is none")
    lstm = LSTM.from_cells(cells)
    features = layers[0].features
    branches = [Branch(range(features), before)] if before else []
    outputs = len(after[-1].weight) if after else lstm.output_size
    return Network(lstm, head=after, branches=branches, **_played(asked, features, outputs))


def _act(chain: list[Linear], layer: _Layer, *, behind_lstm: bool) -> None:
    """Put a layer that is an activation alone behind a chain of linear layers."""
    if not layer.activation:
        return
    if behind_lstm:
        chain.append(Linear(np.eye(layer.features, dtype=np.float32), None, layer.activation))
    elif chain and chain[-1].activation is None:
        chain[-1] = replace(chain[-1], activation=layer.activation)
    else:
        raise FileError(f"{layer.name} is an activation that follows neither an LSTM nor a linear layer without one")


def _played(asked: dict[str, Any], features: int, outputs: int) -> dict[str, Any]:
    """Return the parts of a network that are what AIDA-X' player does beside the layers."""
    found: dict[str, Any] = {}
    for name, value in asked.items():
        given = number(value)
        if name == "in_skip":
            if given != 1 or outputs != 1:
                raise FileError(f"in_skip must be 0, or 1 where there is one output of {outputs}, not {said(value)}")
            found["skip"] = 1
            continue
        if given is None or not SILENT < given < -SILENT:
            raise FileError(f"{name} must be between {SILENT:g} and {-SILENT:g} decibels, not {said(value)}")
        gain = 10 ** (given / 20)
        if name == "in_gain":
            found["inputs"] = Scaling(np.zeros(features), np.array([1 / gain] + [1] * (features - 1)))
        else:
            found["outputs"] = Scaling(np.zeros(outputs), np.full(outputs, gain))
    return found
