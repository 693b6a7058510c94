"""A layer as one node of ONNX's operator LSTM, and what that operator cannot express."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.interop import conventions
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.lstm import ACTIVATIONS, DIRECTIONS, number
from gatewise.layers import LSTM
from gatewise.parameters import Parameters

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


def node_arrays(cells: Sequence[Parameters], second_bias: Callable[[Array], Array]) -> dict[str, Array]:
    """Return W, R, B and, where there are peepholes, P of a node LSTM, given the cell of each direction.

    `second_bias` makes the bias of the recurrent sums of our one bias.
    """
    stacked = [conventions.stacked("onnx", p) for p in cells]
    found = {
        "W": np.stack([one.input_weight for one in stacked]),
        "R": np.stack([one.recurrent_weight for one in stacked]),
        "B": np.stack([np.concatenate([one.bias, second_bias(one.bias)]) for one in stacked]),
    }
    peepholes = [one.peephole for one in stacked if one.peephole is not None]
    return found | {"P": np.stack(peepholes)} if peepholes else found


def node_layer(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a node LSTM; return the names of its directions' outputs."""
    cells = [cell.parameters for cell in lstm.layers[layer]]
    hidden, variant = cells[0].hidden_size, cells[0].variant
    held = {name: graph.constant(one, f"{name}{end}") for name, one in node_arrays(cells, np.zeros_like).items()}
    inputs = [x, held["W"], held["R"], held["B"], ""]
    inputs += [graph.input(f"{one}0{end}", [len(cells), "batch", hidden]) for one in "hc"]
    if "P" in held:
        inputs.append(held["P"])
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
