"""ONNX models of an LSTM: one node LSTM for each layer, or every gate of every step from standard operators.

The operator LSTM cannot say all that a `Variant` can; `plain_reason` says what it lacks. A graph of standard operators
has every variant.
"""

from __future__ import annotations

from typing import Any

from gatewise.arrays import size
from gatewise.errors import OptionError
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.node_layers import node_layer, plain_reason
from gatewise.interop.onnx.scan_layers import scan_layer
from gatewise.layers import LSTM

OPSETS = (14, 22)
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf's own limit, less all else


def model_of(lstm: LSTM, *, gates: bool, opset: int) -> Any:
    """Return the model; see `gatewise.interop.onnx.write`."""
    if not isinstance(lstm, LSTM):
        raise OptionError(f"write takes an LSTM, not {type(lstm).__name__}")
    if not OPSETS[0] <= size("opset", opset) <= OPSETS[1]:
        raise OptionError(f"opset must lie between {OPSETS[0]} and {OPSETS[1]}, but is {opset}")
    if not gates and (reason := plain_reason(lstm)):
        raise OptionError(f"ONNX's operator LSTM cannot express this LSTM: {reason}; with gates=True it can be written")
    if lstm.num_parameters * lstm.dtype.itemsize > LARGEST:
        raise OptionError(
            f"an ONNX file holds less than 2 GiB; this LSTM has {lstm.num_parameters:,} numbers of {lstm.dtype}"
        )
    graph = Graph(lstm.dtype)
    name, features = "X", lstm.input_size
    graph.input("X", ["time", "batch", features])
    for layer, row in enumerate(lstm.layers):
        end = f"_{layer}" if lstm.num_layers > 1 else ""
        outputs = (scan_layer if gates else node_layer)(graph, lstm, layer, name, end)
        name = _merged(graph, outputs, lstm.merge[layer], f"layer{end}", len(row))
    graph.node("Identity", [name], "Y")
    graph.output("Y", ["time", "batch", *((2,) if name.endswith("apart") else ()), lstm.output_size], first=True)
    return graph.model(opset)


def _merged(graph: Graph, outputs: list[str], how: str, name: str, directions: int) -> str:
    """Return the name of a layer's output, its directions merged; ``none`` gives a name that ends in ``apart``."""
    if directions == 1:
        return outputs[0]
    if how == "concat":
        return graph.node("Concat", outputs, f"{name}_output", axis=2)
    if how in ("sum", "mul"):
        return graph.node("Add" if how == "sum" else "Mul", outputs, f"{name}_output")
    if how == "average":
        return graph.node("Mul", [graph.node("Add", outputs), graph.constant(0.5)], f"{name}_output")
    axis = graph.constant([2])
    parts = [graph.node("Unsqueeze", [one, axis]) for one in outputs]
    return graph.node("Concat", parts, f"{name}_apart", axis=2)
