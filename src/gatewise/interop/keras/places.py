"""The layers of a Keras model: their names with those of the models around them, and whether masks arrive."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from gatewise.errors import FileError
from gatewise.interop.keras.config import Layer
from gatewise.interop.keras.inbound import Call, calls

RECURRENT = {
    "GRU": "it is a GRU",
    "CuDNNGRU": "it is a GRU",
    "GRUCell": "it is a GRU's cell",
    "SimpleRNN": "it is a simple recurrent layer without gates",
    "SimpleRNNCell": "it is a cell without gates",
    "ConvLSTM1D": "it is a convolutional LSTM",
    "ConvLSTM2D": "it is a convolutional LSTM",
    "ConvLSTM3D": "it is a convolutional LSTM",
}


@dataclass(frozen=True, eq=False)
class Place:
    """A layer of a model: its name with those of the models around it, and what it is given."""

    name: str
    layer: Layer
    masked: bool = False
    distributed: bool = False
    started: bool = False


Places = Generator[Place, None, bool]


def is_recurrent(layer: Layer) -> bool:
    """Say whether a layer is of interest, whether it can be read or not."""
    kind = layer.kind
    return kind in ("Bidirectional", "LSTMCell", "RNN") or kind in RECURRENT or "LSTM" in kind


def places(model: Layer, prefix: str = "", distributed: bool = False, masked: bool = False) -> Places:
    """Yield the layers of a model, and return whether a mask leaves it, where one may come in."""
    leaving: dict[str, bool] = {}  # whether a mask leaves a layer; all that a layer takes comes before it
    models = {child.name for _, child in model.children if child.holds_layers}
    came_in = masked
    for _, layer in model.children:
        name = f"{prefix}/{layer.name}" if prefix else layer.name
        started = False
        if model.kind == "Functional":
            uses = _calls(layer)
            # Keras 3 states each mask, but not those that enter or leave an inner model.
            flows = {
                source
                for call in uses
                for source in call.sources
                if came_in or not call.masks_stated or source in models
            }
            told = any(call.arguments.get("mask") is not None for call in uses)
            masked = told or any(leaving.get(source, False) for source in flows) or (came_in and not uses)
            started = any(len(call.sources) > 1 or call.arguments.get("initial_state") is not None for call in uses)
        if layer.holds_layers:
            masked = yield from places(layer, name, distributed, masked)
        elif layer.kind == "TimeDistributed" and layer.children:
            inner = layer.children[0][1]
            if inner.holds_layers:
                yield from places(inner, name, True)
            else:
                yield Place(name, inner, masked, True)
        else:
            yield Place(name, layer, masked, distributed, started)
            masked = _mask_after(layer, masked)
        leaving[layer.name] = masked
    return masked


def _calls(layer: Layer) -> list[Call]:
    """Return the calls of a layer, as far as the file says."""
    try:
        return calls(layer)
    except FileError:
        return []


def _mask_after(layer: Layer, masked: bool) -> bool:
    """Say whether a layer passes on a mask: the one that arrived, or one that it computes."""
    if is_recurrent(layer):
        inner = layer.children[0][1] if layer.kind == "Bidirectional" else layer
        return masked and inner.flag("return_sequences")
    return masked or layer.kind == "Masking" or (layer.kind == "Embedding" and layer.flag("mask_zero"))
