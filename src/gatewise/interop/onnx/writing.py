"""ONNX models of a network or an LSTM: one node LSTM for each layer, or every gate of every step as well.

The operator LSTM cannot express every `Variant`; `plain_reason` says what it lacks. A graph of standard operators can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gatewise import gates as gate_names
from gatewise.activations import Activation
from gatewise.arrays import Array, size
from gatewise.errors import OptionError
from gatewise.interop import conventions
from gatewise.interop.onnx.accumulation import add_accumulation, can_accumulate
from gatewise.interop.onnx.building import GraphWriter
from gatewise.interop.onnx.lstm import ACTIVATIONS, DIRECTIONS, number
from gatewise.interop.onnx.translation import CellTranslation, add_head, add_scan
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.network.wired import dense_of, head_of
from gatewise.parameters import Parameters
from gatewise.records.gradients import LSTMGradients
from gatewise.symbolic.formula import C_PREV, H_PREV, X
from gatewise.symbolic.heads import Head

OPSETS = (14, 22)
INEXPRESSIBLE = "ONNX's operator LSTM cannot express this LSTM"
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf's own limit, less all else


def model_of(model: LSTM | Network, *, gates: bool, stream: bool, opset: int) -> Any:
    """Return a network or an LSTM as an ONNX model; see `gatewise.interop.onnx.write`."""
    if not isinstance(model, (LSTM, Network)):
        raise OptionError(f"write takes a Network or an LSTM, not {type(model).__name__}")
    network = model if isinstance(model, Network) else Network(model)
    _require_expressible(network, gates=gates, stream=stream, opset=opset)
    lstm = network.lstm
    graph = GraphWriter(lstm.dtype)
    steps: list[str | int] = ["batch"] if stream else ["time", "batch"]
    features = [network.num_features] if network.embedding is None else []
    x = graph.input("X", [*steps, *features], None if features else np.int64)
    read, scaled = _add_before(graph, network, x)
    axis = graph.constant([0]) if stream else ""
    read = graph.node("Unsqueeze", [read, axis]) if stream else read
    groups = _state_groups(lstm, stream=stream)
    starts, finals = _add_start(graph, network, groups, x, stream=stream), list[Sequence[str]]()
    for layer in range(lstm.num_layers):
        outputs, final = add_layer(graph, lstm, layer, read, starts[layer], gates=gates, stream=stream)
        read = merge_directions(graph, outputs, lstm.merge[layer], f"layer{_name_ending(lstm, layer)}")
        finals.append(final)
    _add_final(graph, lstm, groups, finals, stream=stream)
    if stream:
        read = graph.node("Squeeze", [read, axis])
    elif network.reads == "last":
        places = map(graph.constant, range(len(lstm.directions)))
        ends = [graph.node("Gather", [final[0], place], axis=0) for place in places]
        read = merge_directions(graph, ends, lstm.merge[-1], "last")
    if (head := head_of(network)) is not None:
        read = add_head(graph, head, read, "head", graph.slice(scaled, 0, network.skip, -1) if network.skip else "")
    graph.node("Identity", [read], "Y")
    apart = (2,) if lstm.bidirectional and lstm.merge[-1] == "none" else ()
    graph.output("Y", [*(steps if network.reads == "every" else ["batch"]), *apart, network.num_outputs], first=True)
    return graph.model(opset)


def _add_before(graph: GraphWriter, network: Network, x: str) -> tuple[str, str]:
    """Add what a network has before its LSTM; return the names of the LSTM's input, and of the scaled features."""
    if network.embedding is not None:
        return graph.node("Gather", [graph.constant(network.embedding, "embedding"), x]), x
    if (scaling := network.inputs) is not None:  # in double precision, since centers may be large
        kinds = [graph.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in (np.float64, graph.dtype)]
        center, scale = (graph.constant(array, dtype=np.float64) for array in (scaling.center, scaling.scale))
        centered = graph.node("Sub", [graph.node("Cast", [x], to=kinds[0]), center])
        x = graph.node("Cast", [graph.node("Div", [centered, scale])], to=kinds[1])
    ends = []
    for place, branch in enumerate(network.branches):
        end = graph.node("Gather", [x, graph.constant(branch.features)], axis=-1)
        ends.append(add_head(graph, Head(dense_of(branch.layers)), end, f"branch{place}") if branch.layers else end)
    return graph.node("Concat", ends, axis=-1) if ends else x, x


def _require_expressible(network: Network, *, gates: bool, stream: bool, opset: int) -> None:
    """Raise OptionError for what ONNX, or this form of it, cannot express of a network."""
    lstm = network.lstm
    if not OPSETS[0] <= size("opset", opset) <= OPSETS[1]:
        raise OptionError(f"opset must lie between {OPSETS[0]} and {OPSETS[1]}, but is {opset}")
    if network.masked is not None:
        raise OptionError(f"this network masks steps by the value {network.masked:g}, which ONNX cannot express")
    if stream and lstm.directions != ("forward",):
        raise OptionError(f"a stream only runs forward, but this LSTM runs {' and '.join(lstm.directions)}")
    if stream and network.initial is not None:
        raise OptionError(
            "a stream starts from h_in and c_in, but this network has an initial state. Write it without stream."
        )
    if not gates and (reason := plain_reason(lstm)):
        raise OptionError(f"{INEXPRESSIBLE}: {reason}. Write it with gates=True.")
    for layer, row in enumerate(lstm.layers):
        sizes = {"h": [cell.recurrent_size for cell in row], "c": [cell.hidden_size for cell in row]}
        if any(len(set(of_state)) > 1 for of_state in sizes.values()):
            raise OptionError(
                f"the directions of layer {layer} have sizes {sizes}; ONNX's initial states need equal sizes"
            )
    if network.num_parameters * lstm.dtype.itemsize > LARGEST:
        raise OptionError(
            f"an ONNX file holds less than 2 GiB; this model has {network.num_parameters:,} numbers of {lstm.dtype}"
        )


def _state_groups(lstm: LSTM, *, stream: bool) -> dict[str, range]:
    """Return the layers whose states are one input of an ONNX graph, by the ending of its name.

    Those of a stream are all layers, as in PyTorch, unless they differ in size; else it is each layer by itself.
    """
    sizes = {(row[0].recurrent_size, row[0].hidden_size) for row in lstm.layers}
    if stream and len(sizes) == 1:
        return {"": range(lstm.num_layers)}
    return {_name_ending(lstm, layer): range(layer, layer + 1) for layer in range(lstm.num_layers)}


def _add_start(
    graph: GraphWriter, network: Network, groups: Mapping[str, range], x: str, *, stream: bool
) -> list[list[str]]:
    """Add the initial states, as inputs or those of the network; return h and c (direction, batch, ·) by layer."""
    starts: list[list[str]] = [[] for _ in network.lstm.layers]
    if network.initial is not None:
        one = graph.constant([1])
        batch = graph.node("Concat", [one, graph.slice(graph.node("Shape", [x]), 1, 2), one], axis=0)
        for start, states in zip(starts, network.initial, strict=True):
            for arrays in zip(*states, strict=True):
                start.append(graph.node("Expand", [graph.constant(np.stack(arrays)[:, None]), batch]))
        return starts
    for end, layers in groups.items():
        row = network.lstm.layers[layers[0]]
        for letter, width in (("h", row[0].recurrent_size), ("c", row[0].hidden_size)):
            name = graph.input(f"{letter}{'_in' if stream else 0}{end}", [len(layers) * len(row), "batch", width])
            for layer in layers:
                starts[layer].append(graph.slice(name, layer, layer + 1) if len(layers) > 1 else name)
    return starts


def _add_final(
    graph: GraphWriter, lstm: LSTM, groups: Mapping[str, range], finals: Sequence[Sequence[str]], *, stream: bool
) -> None:
    """Make final states outputs of the graph, named after the inputs of initial ones."""
    for end, layers in groups.items():
        row = lstm.layers[layers[0]]
        for place, width in enumerate((row[0].recurrent_size, row[0].hidden_size)):
            name, parts = f"{'hc'[place]}{'_out' if stream else 'n'}{end}", [finals[layer][place] for layer in layers]
            graph.node("Concat", parts, name, axis=0) if len(parts) > 1 else graph.node("Identity", parts, name)
            graph.output(name, [len(layers) * len(row), "batch", width])


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
    """
    if reason := plain_reason(lstm):
        raise OptionError(f"{INEXPRESSIBLE}: {reason}")
    named: dict[str, Array] = {}
    for layer, row in enumerate(conventions.gradients_as_parameters(lstm, gradients).layers):
        arrays = node_arrays([cell.parameters for cell in row], np.copy)
        named |= {f"{name}{_name_ending(lstm, layer)}": array for name, array in arrays.items()}
    return named


def merge_directions(graph: GraphWriter, outputs: list[str], how: str, name: str) -> str:
    """Return the name of a layer's ONNX output, its directions merged; with ``none``, they are an axis."""
    if len(outputs) == 1:
        return outputs[0]
    if how == "concat":
        return graph.node("Concat", outputs, f"{name}_output", axis=-1)
    if how in ("sum", "mul"):
        return graph.node("Add" if how == "sum" else "Mul", outputs, f"{name}_output")
    if how == "average":
        return graph.node("Mul", [graph.node("Add", outputs), graph.constant(0.5)], f"{name}_output")
    axis = graph.constant([-2])
    parts = [graph.node("Unsqueeze", [output, axis]) for output in outputs]
    return graph.node("Concat", parts, f"{name}_apart", axis=-2)


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


def node_attributes(lstm: LSTM) -> dict[str, Any]:
    """Return the attributes of the ONNX node of an LSTM of one layer."""
    (row,) = lstm.layers
    cells = [cell.parameters for cell in row]
    attributes: dict[str, Any] = {"hidden_size": cells[0].hidden_size, "direction": _DIRECTION[lstm.directions]}
    activations = [p.variant.activation(letter) for p in cells for letter in "ogc"]
    attributes["activations"] = [_ONNX_NAMES[activation.name] for activation in activations]
    for letter in ("alpha", "beta"):
        values = [getattr(activation, letter) for activation in activations]
        if constants := [value for value in values if value is not None]:
            attributes[f"activation_{letter}"] = constants
    variant = cells[0].variant
    if variant.gate_clip is not None:
        attributes["clip"] = variant.gate_clip
    if variant.coupled:
        attributes["input_forget"] = 1
    return attributes


def add_layer(
    graph: GraphWriter, lstm: LSTM, layer: int, x: str, start: Sequence[str], *, gates: bool, stream: bool
) -> tuple[list[str], Sequence[str]]:
    """Add a layer to an ONNX graph; return the names of its directions' outputs, and of its final h and c.

    Where the operator LSTM is enough, `gates` are computed beside it of all steps at once; else the steps are written.
    """
    row, end = lstm.layers[layer], _name_ending(lstm, layer)
    alone = LSTM.from_cells([row], direction=lstm.directions[0])
    is_node = not plain_reason(alone)
    if gates:  # of which runtimes have none in double precision
        is_node &= lstm.dtype == np.float32 and (stream or all(can_accumulate(cell.variant) for cell in row))
    outputs, finals = add_lstm_node(graph, alone, x, start, end) if is_node else ([], [])
    written: list[list[str]] = []
    for place, cell in enumerate(row if gates else ()):
        p, backward = cell.parameters, lstm.directions[place] == "backward"
        name = "cell" if lstm.num_layers * len(row) == 1 else f"cell_{layer}_{lstm.directions[place]}"
        h, c = (graph.node("Gather", [state, graph.constant([place])], axis=0) for state in start)
        stored = _stored_of_node(graph, p, end, place) if is_node else None
        if stream:
            values = CellTranslation(graph, {X: x, H_PREV: h, C_PREV: c}, p, stored=stored).translate_program(name)
        elif is_node:
            accumulate = partial(add_accumulation, graph, c=c, backward=backward)
            others = graph.slice(outputs[place], *((1, 2**62) if backward else (0, -1)))  # before each step
            h = graph.node("Concat", [others, h] if backward else [h, others], axis=0)
            values = CellTranslation(graph, {X: x, H_PREV: h}, p, stored=stored).translate_program(name, accumulate)
        else:
            values = add_scan(graph, p, h, c, x, name, backward=backward)
        written.append(values)
        for quantity, value in zip((*gate_names.NAMES, "cell_state", "hidden_state"), values, strict=False):
            output = f"{quantity}{name.removeprefix('cell')}"
            graph.node(*(("Squeeze", [value, graph.constant([0])]) if stream else ("Identity", [value])), output)
            width = p.recurrent_size if quantity == "hidden_state" else p.hidden_size
            graph.output(output, ["batch", width] if stream else ["time", "batch", width])
    if is_node:
        return outputs, finals
    last = [[values[place] for values in written] for place in (-1, -2)]
    return [values[5] for values in written], [graph.node("Concat", parts, axis=0) for parts in last]


def _stored_of_node(graph: GraphWriter, p: Parameters, end: str, place: int) -> tuple[str, str]:
    """Return the names of all gates' weights of z, as columns, and of their bias, in the tensors of an LSTM node."""
    W, R, B = (graph.node("Gather", [f"{role}{end}", graph.constant(place)], axis=0) for role in "WRB")
    weight = graph.node("Transpose", [graph.node("Concat", [R, W], axis=1)], perm=[1, 0])
    return weight, graph.slice(B, 0, 4 * p.hidden_size)


def add_lstm_node(
    graph: GraphWriter, lstm: LSTM, x: str, start: Sequence[str], end: str, lengths: str = ""
) -> tuple[list[str], list[str]]:
    """Add an LSTM of one layer as a node; return the names of its directions' outputs, and of its final h and c."""
    (row,) = lstm.layers
    cells = [cell.parameters for cell in row]
    names = {role: graph.constant(array, f"{role}{end}") for role, array in node_arrays(cells, np.zeros_like).items()}
    inputs = [x, names["W"], names["R"], names["B"], lengths, *start]
    if "P" in names:
        inputs.append(names["P"])
    raw, finals = f"layer{end}_raw", [graph.new_name(f"final_{letter}") for letter in "hc"]
    graph.node(
        "LSTM",
        inputs,
        *(raw, *finals),
        name=f"lstm{end}",
        **node_attributes(lstm),
    )
    if len(cells) == 1:
        return [graph.node("Squeeze", [raw, graph.constant([1])])], finals
    return [graph.node("Gather", [raw, graph.constant(position)], axis=1) for position in range(2)], finals
