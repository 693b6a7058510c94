"""ONNX models of an LSTM: one node LSTM for each layer, or every gate of every step from standard operators.

The operator LSTM cannot express every `Variant`; `plain_reason` says what it lacks. A graph of standard operators can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewise import gates as gate_names
from gatewise.activations import Activation
from gatewise.arrays import Array, size
from gatewise.errors import OptionError
from gatewise.interop import conventions
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.lstm import ACTIVATIONS, DIRECTIONS, number
from gatewise.interop.onnx.scan_cell import fill_scan_body
from gatewise.layers import LSTM
from gatewise.parameters import Parameters
from gatewise.records.gradients import LSTMGradients

OPSETS = (14, 22)
INEXPRESSIBLE = "ONNX's operator LSTM cannot express this LSTM"
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf's own limit, less all else


def model_of(lstm: LSTM, *, gates: bool, opset: int) -> Any:
    """Return an LSTM as an ONNX model; see `gatewise.interop.onnx.write`."""
    if not isinstance(lstm, LSTM):
        raise OptionError(f"write takes an LSTM, not {type(lstm).__name__}")
    if not OPSETS[0] <= size("opset", opset) <= OPSETS[1]:
        raise OptionError(f"opset must lie between {OPSETS[0]} and {OPSETS[1]}, but is {opset}")
    if not gates and (reason := plain_reason(lstm)):
        raise OptionError(f"{INEXPRESSIBLE}: {reason}; with gates=True it can be written")
    if lstm.num_parameters * lstm.dtype.itemsize > LARGEST:
        raise OptionError(
            f"an ONNX file holds less than 2 GiB; this LSTM has {lstm.num_parameters:,} numbers of {lstm.dtype}"
        )
    graph = Graph(lstm.dtype)
    name, features = "X", lstm.input_size
    graph.input("X", ["time", "batch", features])
    for layer, row in enumerate(lstm.layers):
        end = _name_ending(lstm, layer)
        outputs = (add_scans if gates else add_lstm_node)(graph, lstm, layer, name, end)
        name = _merge_directions(graph, outputs, lstm.merge[layer], f"layer{end}", len(row))
    graph.node("Identity", [name], "Y")
    apart = lstm.bidirectional and lstm.merge[-1] == "none"
    graph.output("Y", ["time", "batch", *((2,) if apart else ()), lstm.output_size], first=True)
    return graph.model(opset)


def _name_ending(lstm: LSTM, layer: int) -> str:
    """Return the ending of the names of a layer's ONNX tensors."""
    return f"_{layer}" if lstm.num_layers > 1 else ""


def write_gradients(gradients: LSTMGradients, lstm: LSTM) -> dict[str, Array]:
    """Return the gradients of an LSTM's parameters by the initializers' names in the ONNX model that `write` makes.

    Parameters
    ----------
    gradients : LSTMGradients
        Of a run of `lstm`: see `gatewise.backward`.
    lstm : LSTM

    Returns
    -------
    dict of str to array
        ``W``, ``R``, ``B`` and, where there are peepholes, ``P``, in the shapes of the operator LSTM; of several layers
        ``W_0``, ``W_1`` … Both halves of B have the same gradient, since they are added.

    Raises
    ------
    OptionError
        If the operator LSTM cannot express the LSTM, or the gradients are not those of its layers and directions.
    ShapeError
        If they are those of an LSTM of other sizes.

    Examples
    --------
    >>> import numpy as np, gatewise as gw
    >>> lstm = gw.LSTM(3, 2, rng=0)
    >>> gradients = gw.backward(lstm.trace(np.ones((5, 3))), np.ones((5, 2)))
    >>> {name: array.shape for name, array in write_gradients(gradients, lstm).items()}
    {'W': (1, 8, 3), 'R': (1, 8, 2), 'B': (1, 16)}
    """
    if reason := plain_reason(lstm):
        raise OptionError(f"{INEXPRESSIBLE}: {reason}")
    named: dict[str, Array] = {}
    for layer, row in enumerate(conventions.gradients_as_parameters(lstm, gradients).layers):
        arrays = node_arrays([cell.parameters for cell in row], np.copy)
        named |= {f"{name}{_name_ending(lstm, layer)}": array for name, array in arrays.items()}
    return named


def _merge_directions(graph: Graph, outputs: list[str], how: str, name: str, directions: int) -> str:
    """Return the name of a layer's ONNX output, its directions merged; with ``none``, they are an axis."""
    if directions == 1:
        return outputs[0]
    if how == "concat":
        return graph.node("Concat", outputs, f"{name}_output", axis=2)
    if how in ("sum", "mul"):
        return graph.node("Add" if how == "sum" else "Mul", outputs, f"{name}_output")
    if how == "average":
        return graph.node("Mul", [graph.node("Add", outputs), graph.constant(0.5)], f"{name}_output")
    axis = graph.constant([2])
    parts = [graph.node("Unsqueeze", [output, axis]) for output in outputs]
    return graph.node("Concat", parts, f"{name}_apart", axis=2)


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
            activations = [variant.activation(letter) for letter in "igoc"]
            constants = [value for activation in activations for value in (activation.alpha, activation.beta)]
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
    """Return W, R, B and, if there are peepholes, P of an ONNX LSTM node, given the cell of each direction.

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


def add_lstm_node(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer to an ONNX graph as a node LSTM; return the names of its directions' outputs."""
    cells = [cell.parameters for cell in lstm.layers[layer]]
    hidden, variant = cells[0].hidden_size, cells[0].variant
    names = {role: graph.constant(array, f"{role}{end}") for role, array in node_arrays(cells, np.zeros_like).items()}
    inputs = [x, names["W"], names["R"], names["B"], ""]
    inputs += [graph.input(f"{state}0{end}", [len(cells), "batch", hidden]) for state in "hc"]
    if "P" in names:
        inputs.append(names["P"])
    activations = [p.variant.activation(letter) for p in cells for letter in "ogc"]
    attributes: dict[str, Any] = {"activations": [_ONNX_NAMES[activation.name] for activation in activations]}
    for letter in ("alpha", "beta"):
        values = [getattr(activation, letter) for activation in activations]
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
    return [graph.node("Gather", [raw, graph.constant(position)], axis=1) for position in range(2)]


def add_scans(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer to an ONNX graph as a Scan for each direction; return the names of their hidden states."""
    finals: list[tuple[str, str]] = []
    outputs: list[str] = []
    row = lstm.layers[layer]
    sizes = {"h": [cell.recurrent_size for cell in row], "c": [cell.hidden_size for cell in row]}
    if any(len(set(of_state)) > 1 for of_state in sizes.values()):
        raise OptionError(f"the directions of layer {layer} have sizes {sizes}; ONNX's initial states need equal ones")
    initial = {state: graph.input(f"{state}0{end}", [len(row), "batch", sizes[state][0]]) for state in "hc"}
    sole_cell = lstm.num_layers * len(row) == 1
    for position, (cell, direction) in enumerate(zip(row, lstm.directions, strict=True)):
        suffix = "" if sole_cell else f"_{layer}_{direction}"
        body = Graph(graph.dtype, graph, f"cell_{layer}_{direction}_")
        results = fill_scan_body(body, cell.parameters, f"cell{suffix}")
        start = [graph.node("Gather", [initial[state], graph.constant(position)], axis=0) for state in "hc"]
        names = [f"{quantity}{suffix}" for quantity in (*gate_names.NAMES, "cell_state", "hidden_state")]
        final = (graph.new_name("final_h"), graph.new_name("final_c"))
        backward = int(direction == "backward")
        graph.node(
            "Scan",
            [*start, x],
            *(*final, *names),
            name=f"cell{suffix}",
            body=body.graph(f"cell{suffix}"),
            num_scan_inputs=1,
            scan_input_directions=[backward],
            scan_output_directions=[backward] * len(results),
        )
        for name in names:
            width = cell.recurrent_size if name == names[-1] else cell.hidden_size
            graph.output(name, ["time", "batch", width])
        finals.append(final)
        outputs.append(names[-1])
    for position, state in enumerate("hc"):
        axis = graph.constant([0])
        parts = [graph.node("Unsqueeze", [final[position], axis]) for final in finals]
        graph.node("Concat", parts, f"{state}n{end}", axis=0)
        graph.output(f"{state}n{end}", [len(row), "batch", sizes[state][0]])
    return outputs
