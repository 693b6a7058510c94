"""RTNeural's models, as it writes them from Keras, and AIDA-X' with the gains and the skip of its player.

RTNeural has Keras' arrays: kernels (input, 4 · units) with the gates i, f, c, o along the columns. Its runtime knows no
other activations of an LSTM than sigmoid and tanh, whatever the file says (RTNeural, ``lstm.tpp`` and
``model_loader.h``). AIDA-X' player multiplies the first feature by a gain, adds it to the output of the layers, and
multiplies the sum by another gain; gains are in decibels (aidadsp-lv2, ``rt-neural-generic.cpp``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, join_names
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import array, describe, entry, to_float32
from gatewise.interop.contents import Contents, Refused, StoredItem, StoredLayer, StoredLSTM, held_layer, listing
from gatewise.interop.json_models.parts import KERAS, finite_number, keras_cell, sample_rate_note
from gatewise.layers import LSTM
from gatewise.network import Branch, Linear, Network, Scaling
from gatewise.parameters import Parameters

PLAYERS = ("in_skip", "in_gain", "out_gain")  # the input added to the output, and gains, as AIDA-X has them
SILENT = -90.0  # decibels at which a gain of AIDA-X is zero
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")  # elu has alpha 1
DENSE = ("dense", "time-distributed-dense")


@dataclass(frozen=True)
class _RTNeuralLayer:
    """An RTNeural layer: name, type, features, activation, and its arrays or the reason why they cannot be read."""

    name: str
    kind: str
    features: int
    activation: str
    cell: Parameters | None = None
    linear: Linear | None = None
    problem: str = ""


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the contents of a JSON model of RTNeural."""
    layers = []
    features = _feature_count(entry(document, "in_shape", list, "the model"))
    for place, layer_entry in enumerate(entry(document, "layers", list, "the model")):
        layers.append(_read_layer(f"layers.{place}", layer_entry, features, budget))
        features = _feature_count(layer_entry["shape"])
    player_options = {name: document[name] for name in PLAYERS if document.get(name) not in (None, 0)}
    amounts = ", ".join(f"{name} {describe(value)}" for name, value in player_options.items())
    player_note = f"its player does more than its layers: {amounts}"
    metadata = document.get("metadata")
    rate = metadata.get("samplerate") if isinstance(metadata, dict) else None
    player_notes = (
        *([player_note] if player_options else []),
        *sample_rate_note(document.get("samplerate") if rate is None else rate),
    )
    items: list[StoredItem] = []
    convention = f"RTNeural, from Keras: {KERAS}"
    for layer in layers:
        if layer.cell is not None:
            notes = list(player_notes)
            if layer.activation != "tanh":
                notes.insert(0, f"the file says activation {describe(layer.activation)}; RTNeural's LSTM has tanh")
            lstm = LSTM.from_cells(layer.cell)
            items.append(StoredLSTM(layer.name, lstm, convention, layer.name, tuple(notes)))
        elif layer.problem:
            items.append(Refused(layer.name, layer.problem))
        elif layer.linear is not None and layer.kind in DENSE:
            items.append(held_layer(layer.name, layer.linear))
        else:
            items.append(StoredLayer(layer.name, f"layer of type {describe(layer.kind)}", ()))
    network = partial(_build_network, layers, player_options)
    return Contents(path, "RTNeural", *listing(items), network)


def _feature_count(shape: object) -> int:
    """Return the number of features in a shape of an RTNeural file: its last entry."""
    last = shape[-1] if isinstance(shape, list) and shape else None
    if not isinstance(last, int) or isinstance(last, bool) or last < 1:
        raise FileError(f"a shape must end in the number of features, not in {describe(last)}")
    return last


def _read_layer(name: str, layer_entry: object, features: int, budget: Budget) -> _RTNeuralLayer:
    """Return a layer of an RTNeural file with its weights, or with the reason why it cannot be read."""
    if not isinstance(layer_entry, dict):
        raise FileError(f"{name} must be an object, not {describe(layer_entry)}")
    kind = entry(layer_entry, "type", str, name)
    size = _feature_count(entry(layer_entry, "shape", list, name))
    activation = entry(layer_entry, "activation", str, name) if "activation" in layer_entry else ""
    layer = _RTNeuralLayer(name, kind, features, activation)
    if kind == "gru":
        return replace(layer, problem="it is a GRU")
    if kind not in ("lstm", "activation", *DENSE):
        return layer
    try:
        if kind != "lstm" and activation and activation not in ACTIVATIONS:
            raise OptionError(f"its activation is {describe(activation)}; RTNeural knows {', '.join(ACTIVATIONS)}")
        if kind == "activation":
            if size != features:
                raise FileError(f"it has {describe(size)} features; the layer before it puts out {describe(features)}")
            return layer
        weights = entry(layer_entry, "weights", list, "it")
        arrays = [array(f"weights[{place}]", values, budget) for place, values in enumerate(weights)]
        if kind == "lstm":
            return replace(layer, cell=_cell_parameters(activation, arrays, features, size))
        if [values.shape for values in arrays] not in ([(features, size), (size,)], [(features, size)]):
            shapes = join_names((array.shape for array in arrays), most=6) or "none"
            raise FileError(f"its weights have shapes {shapes}; they must be ({features}, {size}) and ({size},)")
        bias = to_float32(arrays[1]) if len(arrays) > 1 else None
        return replace(layer, linear=Linear(to_float32(arrays[0].T), bias, activation or None))
    except GatewiseError as problem:
        return replace(layer, problem=str(problem))


def _cell_parameters(activation: str, arrays: list[Array], features: int, size: int) -> Parameters:
    """Return the parameters of an RTNeural LSTM layer, from Keras' kernel, recurrent kernel and bias."""
    if activation not in ("", "tanh"):
        raise OptionError(f"its activation is {describe(activation)}; RTNeural's LSTM has only tanh")
    if len(arrays) != 3:
        raise FileError(f"it has {len(arrays)} arrays; they must be kernel, recurrent kernel and bias")
    parameters = keras_cell(*arrays)
    if (parameters.input_size, parameters.hidden_size) != (features, size):
        raise FileError(
            f"its weights are for {parameters.input_size} features and {parameters.hidden_size} units;"
            f" the shapes in the file say {features} and {size}"
        )
    return parameters


def _build_network(layers: list[_RTNeuralLayer], player_options: dict[str, Any]) -> Network:
    """Return the network of an RTNeural file: linear layers, LSTMs, linear layers, and its player's gains."""
    branch: list[Linear] = []
    cells: list[Parameters] = []
    head: list[Linear] = []
    for place, layer in enumerate(layers):
        if layer.problem:
            raise FileError(f"{layer.name} cannot be read: {layer.problem}")
        if layer.cell is not None:
            if head:
                last = layers[place - 1]
                raise FileError(
                    f"its LSTMs follow one another; {last.name} of type {describe(last.kind)} is between them"
                )
            cells.append(layer.cell)
        elif layer.kind == "activation":
            _append_activation(head if cells else branch, layer, behind_lstm=bool(cells) and not head)
        elif layer.linear is not None:
            (head if cells else branch).append(layer.linear)
        else:
            raise FileError(f"it has LSTMs and linear layers; {layer.name} is of type {describe(layer.kind)}")
    if not cells:
        raise FileError("a network has an LSTM; there is none")
    lstm = LSTM.from_cells(cells)
    features = layers[0].features
    branches = [Branch(range(features), branch)] if branch else []
    outputs = len(head[-1].weight) if head else lstm.output_size
    return Network(lstm, head=head, branches=branches, **_player_parts(player_options, features, outputs))


def _append_activation(chain: list[Linear], layer: _RTNeuralLayer, *, behind_lstm: bool) -> None:
    """Append an RTNeural layer that is only an activation to a chain of linear layers."""
    if not layer.activation:
        return
    if behind_lstm:
        chain.append(Linear(np.eye(layer.features, dtype=np.float32), None, layer.activation))
    elif chain and chain[-1].activation is None:
        chain[-1] = replace(chain[-1], activation=layer.activation)
    else:
        raise FileError(f"{layer.name} is an activation that follows neither an LSTM nor a linear layer without one")


def _player_parts(player_options: dict[str, Any], features: int, outputs: int) -> dict[str, Any]:
    """Return the options of a network for the gains and the skip of an RTNeural file's player, AIDA-X."""
    network_options: dict[str, Any] = {}
    for name, value in player_options.items():
        amount = finite_number(value)
        if name == "in_skip":
            if amount != 1 or outputs != 1:
                raise FileError(f"in_skip must be 0, or 1 if there is one output of {outputs}, not {describe(value)}")
            network_options["skip"] = 1
            continue
        if amount is None or not SILENT < amount < -SILENT:
            raise FileError(f"{name} must be between {SILENT:g} and {-SILENT:g} decibels, not {describe(value)}")
        gain = 10 ** (amount / 20)
        if name == "in_gain":
            network_options["inputs"] = Scaling(np.zeros(features), np.array([1 / gain] + [1] * (features - 1)))
        else:
            network_options["outputs"] = Scaling(np.zeros(outputs), np.full(outputs, gain))
    return network_options
