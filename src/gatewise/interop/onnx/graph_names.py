"""The inputs of an ONNX graph, and those of its inputs and outputs that belong to an LSTM: `GraphNames`.

The states of several layers may be one array, as PyTorch's are: each layer takes a slice of it, and their final states
are concatenated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatewise.errors import shown
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.graphs import BATCH_FIRST, GraphInput, GraphNames, Layout, axes_in_order
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.edges import equal_source, trace_sequence
from gatewise.interop.onnx.lstm_outputs import LstmOutput, positions_taken
from gatewise.interop.onnx.scopes import OnnxNode, OnnxValue
from gatewise.interop.onnx.sizes import Sizes
from gatewise.layers import LSTM

TYPE_NAMES = "float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64"
TYPES = dict(enumerate(TYPE_NAMES.split(), 1))  # by their numbers in the format
FinalOutputs = dict[tuple[int, tuple[OnnxNode, ...]], str]  # by the kind of state, and the LSTMs whose states they hold


def graph_input(proto: Any, lstms: Iterable[StoredLSTM]) -> GraphInput:
    """Return an input of an ONNX graph; its axes are known where one of the LSTMs takes it as it is."""
    tensor = proto.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(_axis_size(dim) for dim in tensor.shape.dim)
    orders = {entry.graph.x_batch_first for entry in lstms if entry.graph is not None and entry.graph.x == proto.name}
    known = shape is not None and len(shape) == 3 and len(orders) == 1
    axes = axes_in_order(3, batch_first=orders.pop()) if known else None
    return GraphInput(proto.name, shape, TYPES.get(tensor.elem_type), axes)


def _axis_size(dim: Any) -> int | str | None:
    """Return the size of an axis of an ONNX value, or its name; None where it has neither."""
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value > 0 else None
    return shown(dim.dim_param, 40) or None


def names_of(
    nodes: Sequence[OnnxNode],
    lstm: LSTM,
    results: Mapping[str, LstmOutput],
    outputs: Mapping[str, int],
    finals: FinalOutputs,
    sizes: Sizes,
) -> GraphNames:
    """Return the names in an ONNX graph of an LSTM's inputs and outputs, given its nodes, the lowest layer's first.

    `results` are the names of the main graph that hold its output; `outputs` are those of the main graph, with their
    positions.
    """
    lowest = nodes[0]
    x = trace_sequence(lowest.scope, lowest.input("X"))
    y_of_layout: dict[Layout, str] = {}
    for name in sorted(results.keys() & outputs.keys(), key=outputs.__getitem__):
        if results[name].is_result(lstm.merge[-1]):
            y_of_layout.setdefault(results[name].layout, name)
    batch_first = y_of_layout.pop(BATCH_FIRST, None)
    y = next(iter(y_of_layout.values()), None)
    return GraphNames(
        x=_graph_input(x.source),
        lengths=_graph_input(equal_source(lowest.scope, lowest.input("sequence_lens"))),
        h0=_state_inputs(nodes, "initial_h", len(lstm.directions), sizes),
        c0=_state_inputs(nodes, "initial_c", len(lstm.directions), sizes),
        y=y or batch_first,
        hn=_state_outputs(nodes, 1, finals),
        cn=_state_outputs(nodes, 2, finals),
        x_batch_first=x.layout == BATCH_FIRST,
        y_batch_first=y is None and batch_first is not None,
    )


def _graph_input(value: OnnxValue) -> str | None:
    """Return the input of the main ONNX graph that a value is; None if it has numbers in the file."""
    scope, name = value
    source = scope.graph_input(name) if name else None  # an input may be left out
    return source.name if source is not None and source.name not in source.scope.tensors else None


@dataclass(frozen=True)
class _StateRows:
    """Rows of an input of the main graph, from which an LSTM starts; `size` is the number of all its rows."""

    name: str
    start: int
    end: int
    size: int

    @property
    def entire(self) -> bool:
        """Whether they are all of them."""
        return self.start == 0 and 0 <= self.size <= self.end


def _state_rows(node: OnnxNode, role: str, sizes: Sizes) -> _StateRows | str | None:
    """Return the ONNX graph's input that is a node's initial state: its rows if sliced, its name if taken entirely."""
    value = equal_source(node.scope, node.input(role))
    source = value.scope.source(value.name)
    if source is None or source.node.operator != "Slice":
        return _graph_input(value)
    try:
        axis, places, _ = positions_taken(source.node)
    except NotConstant:
        return None
    name = _graph_input(array := equal_source(source.node.scope, source.node.inputs[0]))
    if name is None or axis != 0 or not isinstance(places, slice) or places.step != 1:
        return None
    return _StateRows(name, places.start, places.stop, sizes.of_axis(*array, 0))


def _state_inputs(nodes: Sequence[OnnxNode], role: str, directions: int, sizes: Sizes) -> tuple[str | None, ...]:
    """Return the ONNX graph's input that is each layer's initial state: its own, or one that holds those of all."""
    rows = [_state_rows(node, role, sizes) for node in nodes]
    names = tuple(
        part.name if isinstance(part, _StateRows) and part.entire else part if isinstance(part, str) else None
        for part in rows
    )
    parts = [part for part in rows if isinstance(part, _StateRows)]
    if any(names) or len(nodes) == 1 or len(parts) < len(nodes) or len({part.name for part in parts}) > 1:
        return names
    size, needed = parts[0].size, directions * len(nodes)
    ends = [min(part.end, size) if size >= 0 else part.end for part in parts]
    in_order = [(part.start, end) for part, end in zip(parts, ends, strict=True)] == [
        (directions * layer, directions * (layer + 1)) for layer in range(len(nodes))
    ]
    return (parts[0].name if in_order and (size == needed or size < 0) else None,) * len(nodes)


def _state_outputs(nodes: Sequence[OnnxNode], position: int, finals: FinalOutputs) -> tuple[str | None, ...]:
    """Return the ONNX graph's output that is each layer's final state: its own, or one that holds those of all."""
    names = tuple(finals.get((position, (node,))) for node in nodes)
    return names if any(names) else (finals.get((position, tuple(nodes))),) * len(nodes)
