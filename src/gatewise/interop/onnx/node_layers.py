"""A layer as one node of ONNX's operator LSTM, and what that operator cannot say of an LSTM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.interop import conventions
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.lstm import ACTIVATIONS, DIRECTIONS, number
from gatewise.layers import LSTM

_ONNX_NAMES = {ours: name for name, (ours, _) in ACTIVATIONS.items()}
_SWITCHES = ("peephole", "coupling", "gate_clip")  # of ours, those that the operator has, beside its activations
_LAYER_NORM = ("layer_norm", "epsilon")
_DIRECTION = {directions: name for name, directions in DIRECTIONS.items()}


def plain_reason(lstm: LSTM) -> str:
    """Say what ONNX's operator LSTM cannot express of an LSTM; nothing where it can be written."""
    for layer, row in enumerate(lstm.layers):
        for cell, direction in zip(row, lstm.directions, strict=True):
            where = f"layer {layer}, {direction}, has "
            p, variant = cell.parameters, cell.variant
            if p.projection is not None:
                return f"{where}a projection"
            for switch, value in variant.differences().items():
                if switch not in (*_SWITCHES, *_LAYER_NORM) and not isinstance(value, Activation):
                    return f"{where}{switch} = {value}"
            if variant.coupling == "input=1-forget":
                return f"{where}coupling {variant.coupling!r}"
            if variant.layer_norm != "none":
                return f"{where}layer norm {variant.layer_norm!r}"
            if len({variant.activation(letter) for letter in variant.own.replace("g", "")}) > 1:
                return f"{where}different activations of its input, forget and output gate"
            for letter in "ifgoc":
                one = variant.activation(letter)
                if one.name not in _ONNX_NAMES:
                    return f"{where}the activation {one.name}"
            numbers = [one for letter in "igoc" for one in _constants(variant.activation(letter)) if one is not None]
            numbers += [] if variant.gate_clip is None else [variant.gate_clip]
            for constant in numbers:
                if p.dtype == np.float64 and number(constant) != constant:
                    return f"{where}the constant {constant!r}, which its 32-bit attributes do not hold exactly"
        first, last = row[0], row[-1]
        for what in ("hidden_size", "peephole", "coupling", "gate_clip"):
            values = [getattr(one if what == "hidden_size" else one.variant, what) for one in (first, last)]
            if values[0] != values[1]:
                return f"the directions of layer {layer} differ in {what}: {values[0]!r} and {values[1]!r}"
    return ""


def node_layer(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a node LSTM; return the names of its directions' outputs."""
    cells = [cell.parameters for cell in lstm.layers[layer]]
    hidden, variant = cells[0].hidden_size, cells[0].variant
    stacked = [conventions.stacked("onnx", p) for p in cells]

    def held(name: str, arrays: Iterable[Any]) -> str:
        return graph.constant(np.stack(list(arrays)), f"{name}{end}")

    w, r = held("W", (one.input_weight for one in stacked)), held("R", (one.recurrent_weight for one in stacked))
    b = held("B", (np.concatenate([one.bias, np.zeros_like(one.bias)]) for one in stacked))
    inputs = [x, w, r, b, "", *(graph.input(f"{one}0{end}", [len(cells), "batch", hidden]) for one in "hc")]
    if variant.peephole == "full":
        inputs.append(held("P", (one.peephole for one in stacked)))
    activations = [p.variant.activation(letter) for p in cells for letter in "ogc"]
    attributes: dict[str, Any] = {"activations": [_ONNX_NAMES[one.name] for one in activations]}
    for place, letter in enumerate(("alpha", "beta")):
        values = [_constants(one)[place] for one in activations]
        if given := [one for one in values if one is not None]:
            attributes[f"activation_{letter}"] = given
    if variant.gate_clip is not None:
        attributes["clip"] = variant.gate_clip
    if variant.coupled:
        attributes["input_forget"] = 1
    raw = f"layer{end}_raw"
    graph.node(
        "LSTM",
        inputs,
        *(raw, f"hn{end}", f"cn{end}"),
        name=f"lstm{end}",
        hidden_size=hidden,
        direction=_DIRECTION[lstm.directions],
        **attributes,
    )
    for one in "hc":
        graph.output(f"{one}n{end}", [len(cells), "batch", hidden])
    if len(cells) == 1:
        return [graph.node("Squeeze", [raw, graph.constant([1])])]
    return [graph.node("Gather", [raw, graph.constant(place)], axis=1) for place in range(2)]


def _constants(activation: Activation) -> tuple[float | None, float | None]:
    return activation.alpha, activation.beta
