"""gatewise's own files: safetensors with one JSON header that names every convention."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gatewise import storage
from gatewise.activations import Activation
from gatewise.cell import LSTMCell
from gatewise.errors import FileError, OptionError
from gatewise.interop.found import Contents, Found, Part, Refused, omissions
from gatewise.labels import Labels
from gatewise.layers import LSTM
from gatewise.layers.recording import lstm_trace_from, lstm_trace_record
from gatewise.layers.stack import States
from gatewise.lstm_trace import LSTMTrace
from gatewise.network import Linear, Network
from gatewise.record import checked, header, parameters_from, parameters_record, trace_from, trace_record
from gatewise.step import State
from gatewise.trace import Trace

Path = str | os.PathLike[str]
FORMAT = "gatewise"
FOREIGN = {".pt": "torch", ".pth": "torch", ".onnx": "onnx", ".keras": "keras", ".h5": "keras"}
_KINDS = {
    "lstm": "an LSTM",
    "network": "a network",
    "trace": "the trace of a cell",
    "lstm_trace": "the trace of an LSTM",
}


def write(thing: LSTM | LSTMCell | Network | Trace | LSTMTrace, path: Path) -> None:
    """Write an LSTM, a cell (as an LSTM of one layer), a network or a trace to a file of gatewise's own format.

    Parameters
    ----------
    thing : LSTM, LSTMCell, Network, Trace or LSTMTrace
    path : path
        Of a safetensors file, which `load`, `load_network` or `load_trace` reads.

    Raises
    ------
    OptionError
        If it is none of these, or the name is that of another framework's file.
    FileError
        If the file cannot be written; an existing one is then left as it was.
    """
    if (suffix := storage.path_of(path).suffix.lower()) in FOREIGN:
        raise OptionError(
            f"save writes gatewise's own format (.safetensors), not {suffix}; gatewise.interop.{FOREIGN[suffix]}.write"
            " writes that"
        )
    if isinstance(thing, LSTMCell):
        thing = LSTM.from_cells(thing)
    if isinstance(thing, LSTM):
        arrays, content = _lstm_record(thing)
        head = header("lstm", lstm=content)
    elif isinstance(thing, Network):
        arrays, content = _lstm_record(thing.lstm)
        if thing.embedding is not None:
            arrays["embedding"] = thing.embedding
        if thing.head is not None:
            arrays |= {"head.weight": thing.head.weight, "head.bias": thing.head.bias}
        for place, one in _places(thing.lstm, thing.initial):
            arrays |= {f"initial.{place}.hidden_state": one.h, f"initial.{place}.cell_state": one.c}
        head = header("network", lstm=content, reads=thing.reads, **_network_record(thing))
    elif isinstance(thing, Trace):
        arrays, content = trace_record(thing)
        head = header("trace", trace=content)
    elif isinstance(thing, LSTMTrace):
        arrays, head = lstm_trace_record(thing)
    else:
        what = f"{type(thing).__module__}.{type(thing).__qualname__}"
        raise OptionError(f"save takes an LSTM, LSTMCell, Network, Trace or LSTMTrace of gatewise's, not {what}")
    storage.write(path, arrays, head)


def read(path: Path) -> LSTM | Network | Trace | LSTMTrace:
    """Return what a file holds.

    Raises
    ------
    FileError
        If it cannot be read, or does not hold what its header says.
    """
    arrays, head = storage.read(path)
    kind = head.get("kind")

    def build() -> LSTM | Network | Trace | LSTMTrace:
        if kind == "lstm":
            return _lstm_from(arrays, head["lstm"])
        if kind == "network":
            return _network_from(arrays, head)
        if kind == "trace":
            return trace_from(arrays, head["trace"])
        if kind == "lstm_trace":
            return lstm_trace_from(arrays, head)
        raise OptionError(f"it holds {kind!r}; this version reads {', '.join(_KINDS)}")

    return checked(os.fspath(path), head, build)


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is safetensors with gatewise's header."""
    return storage.is_safetensors(head) and storage.written_here(path)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`."""
    omissions(os.fspath(path), omitted, ())
    name, thing = os.fspath(path), read(path)

    def no_network() -> Network:
        raise FileError(f"{name} holds {describe(thing)}, not a network")

    if isinstance(thing, (Trace, LSTMTrace)):
        refused = Refused("trace", f"it is {describe(thing)}, not an LSTM; load_trace reads it")
        return Contents(name, FORMAT, refused=(refused,), network=no_network)
    network = thing if isinstance(thing, Network) else Network(thing)
    found = Found("lstm", network.lstm, "gatewise: gates i f g o, one bias", "the whole file")
    parts = []
    if (table := network.embedding) is not None:
        parts.append(Part("embedding", "embedding", table.shape, lambda: table))
    if (linear := network.head) is not None:
        bias = np.asarray(linear.bias)
        parts.append(
            Part("head", "linear layer", linear.weight.shape, lambda: linear.weight, lambda: bias, linear.activation)
        )
    whole = network if thing is network else None
    return Contents(name, FORMAT, (found,), tuple(parts), network=no_network if whole is None else lambda: whole)


def describe(thing: object) -> str:
    """Return in words which kind of content something read from a file is."""
    kinds = {LSTM: "lstm", Network: "network", Trace: "trace", LSTMTrace: "lstm_trace"}
    return _KINDS[kinds[type(thing)]]


def _lstm_record(lstm: LSTM) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays: dict[str, Any] = {}
    layers = []
    for number, row in enumerate(lstm.layers):
        cells = []
        for cell, direction in zip(row, lstm.directions, strict=True):
            found, variant = parameters_record(cell.parameters, f"layers.{number}.{direction}.")
            arrays |= found
            cells.append({"variant": variant, "labels": cell.labels.to_json()})
        layers.append(cells)
    return arrays, {"layers": layers, "directions": list(lstm.directions), "merge": list(lstm.merge)}


def _network_record(network: Network) -> dict[str, Any]:
    """Return what a network has besides its arrays and the head's way to read; nothing that is at its default."""
    found: dict[str, Any] = {}
    activation = None if network.head is None else network.head.activation
    if isinstance(activation, Activation):
        found["activation"] = {"name": activation.name, "alpha": activation.alpha, "beta": activation.beta}
    elif activation is not None:
        found["activation"] = activation
    if network.masked is not None:
        found |= {"masked": network.masked, "masked_output": network.masked_output}
    return found


def _places(lstm: LSTM, states: States | None) -> Iterator[tuple[str, State]]:
    """Go through states with the name of each one's place."""
    for number, row in enumerate(states or ()):
        for direction, one in zip(lstm.directions, row, strict=True):
            yield f"{number}.{direction}", one


def _network_from(arrays: dict[str, Any], head: Mapping[str, Any]) -> Network:
    activation = head.get("activation")
    if isinstance(activation, Mapping):
        activation = Activation(**activation)
    linear = None
    if "head.weight" in arrays:
        linear = Linear(arrays["head.weight"], arrays["head.bias"], activation)
    elif activation is not None:
        raise OptionError("it names an activation, but has no head")
    lstm, initial = _lstm_from(arrays, head["lstm"]), None
    if any(name.startswith("initial.") for name in arrays):
        initial = tuple(
            tuple(
                State(*(arrays[f"initial.{n}.{d}.{part}"] for part in ("hidden_state", "cell_state")))
                for d in lstm.directions
            )
            for n in range(lstm.num_layers)
        )
    return Network(
        lstm,
        embedding=arrays.get("embedding"),
        head=linear,
        reads=head["reads"],
        masked=head.get("masked"),
        masked_output=head.get("masked_output", "zeros"),
        initial=initial,
    )


def _lstm_from(arrays: dict[str, Any], content: dict[str, Any]) -> LSTM:
    directions = content["directions"]
    if directions not in (["forward"], ["backward"], ["forward", "backward"]):
        raise OptionError(f"there are no directions {directions!r}")
    rows = [
        tuple(
            LSTMCell.from_parameters(
                parameters_from(arrays, f"layers.{number}.{direction}.", cell["variant"]),
                Labels.from_json(cell["labels"]),
            )
            for direction, cell in zip(directions, cells, strict=True)
        )
        for number, cells in enumerate(content["layers"])
    ]
    return LSTM.from_cells(rows, direction=directions[0], merge=content["merge"])
