"""Neural Amp Modeler's ``.nam`` files.

An LSTM has one flat list of numbers: for each layer the matrix (4 · hidden, input + hidden) of [x; h] row by row in
the order i, f, g, o, the bias, and the hidden and the cell state that it starts from; then the head's weight row by
row, and its bias (NeuralAmpModelerCore, ``lstm.cpp``). The state is what the trainer found after a second of silence
(neural-amp-modeler, ``recurrent.py``). A container has a whole model for each of several sizes, in the order of their
sizes; its player uses the last one unless it is told otherwise (``container.cpp``).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.containers.json_document import array, count, describe, entry, to_float32
from gatewise.interop.contents import Contents, Refused, StoredItem, StoredLSTM, held_layer, listing
from gatewise.interop.json_models.parts import finite_number, sample_rate_note, version_suffix
from gatewise.layers import LSTM
from gatewise.network import Linear, Network
from gatewise.records.step import State

CONTAINER = "SlimmableContainer"
CONVENTION = "Neural Amp Modeler: gates i f g o, one matrix of [x; h], one bias"
SILENCE = (
    "the model starts from the state in the file, which a second of silence leaves: its network does, and the LSTM"
    " alone where it is given as the state of a run",
    "its player may run half a second of silence first",
)


def contents(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the contents of a JSON model of Neural Amp Modeler."""
    architecture = entry(document, "architecture", str, "the model")
    read = _read_container if architecture == CONTAINER else _read_model
    return replace(read(document, path, budget), format=f"Neural Amp Modeler{version_suffix(document.get('version'))}")


def _read_container(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the contents of a Neural Amp Modeler file of several sizes: each is a complete model."""
    models = entry(entry(document, "config", dict, "the model"), "submodels", list, "its config")
    items: list[StoredItem] = []
    for place, submodel in enumerate(models):
        name = f"submodels.{place}"
        if not isinstance(submodel, dict):
            raise FileError(f"{name} must be an object, not {describe(submodel)}")
        last = _read_model(entry(submodel, "model", dict, name), path, budget)
        items += [replace(stored, name=f"{name}.{stored.name}") for stored in last.lstms]
        items += [replace(layer, name=f"{name}.{layer.name}") for layer in last.parts]
        items += [Refused(name, refusal.reason) for refusal in last.refused]
    if not models:
        raise FileError("it has no submodels")

    def refuse_network() -> Network:
        raise FileError(f"its player uses {name}, and of that {last.refused[0].reason}")

    return Contents(path, "", *listing(items), last.network or refuse_network)


def _read_model(document: dict[str, Any], path: str, budget: Budget) -> Contents:
    """Return the LSTM, the head and the network of one model of Neural Amp Modeler, from its flat weights."""
    architecture = entry(document, "architecture", str, "the model")
    if architecture != "LSTM":
        return Contents(
            path, "", refused=(Refused("model", f"its architecture is {describe(architecture)}, not LSTM"),)
        )
    config = entry(document, "config", dict, "the model")
    layers, inputs, hidden = (count(config, name, "its config") for name in ("num_layers", "input_size", "hidden_size"))
    outputs = count(config, "out_channels", "its config") if "out_channels" in config else 1
    if "in_channels" in config and (channels := count(config, "in_channels", "its config")) != inputs:
        raise FileError(f"its config has {describe(channels)} in_channels, but an input_size of {describe(inputs)}")
    flat = array("weights", entry(document, "weights", list, "the model"), budget)
    sizes = [4 * hidden * (inputs + hidden + 1) + 2 * hidden, 4 * hidden * (2 * hidden + 1) + 2 * hidden]
    needed = sizes[0] + (layers - 1) * sizes[1] + outputs * (hidden + 1)
    if flat.shape != (needed,):
        raise FileError(
            f"it has {describe(len(flat))} weights; {describe(layers)} layers of {describe(hidden)} units"
            f" for {describe(inputs)} features have {describe(needed)}"
        )
    numbers = to_float32(flat)

    def take_array(*shape: int) -> Array:
        nonlocal numbers
        values, numbers = np.split(numbers, [prod(shape)])
        return values.reshape(shape)

    cells, states = [], []
    for place in range(layers):
        features = hidden if place else inputs
        weight, bias = take_array(4 * hidden, features + hidden), take_array(4 * hidden)
        cells.append(conventions.parameters("pytorch", weight[:, :features], weight[:, features:], [bias]))
        states.append((State(take_array(1, hidden), take_array(1, hidden)),))
    head = Linear(take_array(outputs, hidden), take_array(outputs))
    lstm = LSTM.from_cells(cells)
    stored = StoredLSTM("lstm", lstm, CONVENTION, "weights", (*SILENCE, *_metadata_notes(document)), tuple(states))
    parts = (held_layer("head", head),)
    start = conventions.first_sequence(tuple(states))
    return Contents(path, "", (stored,), parts, network=lambda: Network(lstm, head=head, initial=start))


def _metadata_notes(document: dict[str, Any]) -> tuple[str, ...]:
    """Return notes on a Neural Amp Modeler file: its sample rate, and the loudness that players even out."""
    metadata = document.get("metadata")
    loudness = finite_number(metadata.get("loudness")) if isinstance(metadata, dict) else None
    loud = () if loudness is None else (f"its player may even out its loudness, {loudness:.1f} dB",)
    return (*sample_rate_note(document.get("sample_rate")), *loud)
