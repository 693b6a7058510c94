"""ONNX models of an LSTM: one node LSTM for each layer, or every gate of every step from standard operators.

The operator LSTM cannot express every `Variant`; `plain_reason` says what it lacks. A graph of standard operators can.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.arrays import Array, size
from gatewise.errors import OptionError
from gatewise.interop import conventions
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.node_layers import node_arrays, node_layer, plain_reason
from gatewise.interop.onnx.scan_layers import scan_layer
from gatewise.layers import LSTM
from gatewise.records.gradients import LSTMGradients

OPSETS = (14, 22)
INEXPRESSIBLE = "ONNX's operator LSTM cannot express this LSTM"
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf's own limit, less all else


def model_of(lstm: LSTM, *, gates: bool, opset: int) -> Any:
    """Return the model; see `gatewise.interop.onnx.write`."""
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
        end = _ending(lstm, layer)
        outputs = (scan_layer if gates else node_layer)(graph, lstm, layer, name, end)
        name = _merge_directions(graph, outputs, lstm.merge[layer], f"layer{end}", len(row))
    graph.node("Identity", [name], "Y")
    apart = lstm.bidirectional and lstm.merge[-1] == "none"
    graph.output("Y", ["time", "batch", *((2,) if apart else ()), lstm.output_size], first=True)
    return graph.model(opset)


def _ending(lstm: LSTM, layer: int) -> str:
    """Return the ending of the names of a layer's tensors."""
    return f"_{layer}" if lstm.num_layers > 1 else ""


def write_gradients(gradients: LSTMGradients, lstm: LSTM) -> dict[str, Array]:
    """Return the gradients of an LSTM's parameters by the names of the initializers of the model that `write` makes.

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
        named |= {f"{name}{_ending(lstm, layer)}": array for name, array in arrays.items()}
    return named


def _merge_directions(graph: Graph, outputs: list[str], how: str, name: str, directions: int) -> str:
    """Return the name of a layer's output, its directions merged; with ``none``, they are an axis."""
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
