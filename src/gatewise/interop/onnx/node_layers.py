"""A layer as a node of ONNX's operator LSTM, and the reasons why an LSTM cannot be written so."""

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

_ONNX_NAMES = {kind: name for name, (kind, _) in ACTIVATIONS.items()}
_SWITCHES = ("peephole", "coupling", "gate_clip")  # of a `Variant`, those that the operator has
_LAYER_NORM = ("layer_norm", "epsilon")
_DIRECTION = {directions: name for name, directions in DIRECTIONS.items()}


def plain_reason(lstm: LSTM) -> str:
    """Return the part of an LSTM that ONNX's operator LSTM cannot express; empty if it can be written."""
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
                if (kind := variant.activation(letter).name) not in _ONNX_NAMES:
                    return f"{where}the activation {kind}"
            constants = [value for letter in "igoc" for value in _constants(variant.activation(letter))]
            for constant in (*constants, variant.gate_clip):
                if constant is not None and p.dtype == np.float64 and number(constant) != constant:
                    return f"{where}the constant {constant!r}, which its 32-bit attributes do not hold exactly"
        first, last = row[0], row[-1]
        for name in ("hidden_size", "peephole", "coupling", "gate_clip"):
            values = [getattr(cell if name == "hidden_size" else cell.variant, name) for cell in (first, last)]
            if values[0] != values[1]:
                return f"the directions of layer {layer} differ in {name}: {values[0]!r} and {values[1]!r}"
    return ""


def node_arrays(cells: Sequence[Parameters], second_bias: Callable[[Array], Array]) -> dict[str, Array]:
    """Return W, R, B and, if there are peepholes, P of a node LSTM, given the cell of each direction.

    `second_bias` returns the bias of the recurrent sums, given the bias of the cell.
    """
    stacked = [conventions.stacked("onnx", p) for p in cells]
    arrays = {
        "W": np.stack([cell.input_weight for cell in stacked]),
        "R": np.stack([cell.recurrent_weight for cell in stacked]),
        "B": np.stack([np.concatenate([cell.bias, second_bias(cell.bias)]) for cell in stacked]),
    }
    peepholes = [cell.peephole for cell in stacked if cell.peephole is not None]
    return arrays | {"P": np.stack(peepholes)} if peepholes else arrays


def node_layer(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a node LSTM; return the names of its directions' outputs."""
    cells = [cell.parameters for cell in lstm.layers[layer]]
    hidden, variant = cells[0].hidden_size, cells[0].variant
    names = {role: graph.constant(array, f"{role}{end}") for role, array in node_arrays(cells, np.zeros_like).items()}
    inputs = [x, names["W"], names["R"], names["B"], ""]
    inputs += [graph.input(f"{state}0{end}", [len(cells), "batch", hidden]) for state in "hc"]
    if "P" in names:
        inputs.append(names["P"])
    activations = [p.variant.activation(letter) for p in cells for letter in "ogc"]
    attributes: dict[str, Any] = {"activations": [_ONNX_NAMES[activation.name] for activation in activations]}
    for place, letter in enumerate(("alpha", "beta")):
        values = [_constants(activation)[place] for activation in activations]
        if constants := [value for value in values if value is not None]:
            attributes[f"activation_{letter}"] = constants
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
    for state in "hc":
        graph.output(f"{state}n{end}", [len(cells), "batch", hidden])
    if len(cells) == 1:
        return [graph.node("Squeeze", [raw, graph.constant([1])])]
    return [graph.node("Gather", [raw, graph.constant(place)], axis=1) for place in range(2)]


def _constants(activation: Activation) -> tuple[float | None, float | None]:
    return activation.alpha, activation.beta
