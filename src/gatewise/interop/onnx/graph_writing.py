"""A network that is a graph of operations as an ONNX model: each node by the form that its row of the table has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import size
from gatewise.errors import GatewiseError, OptionError
from gatewise.interop.onnx.building import GraphWriter
from gatewise.interop.onnx.translation import add_scan
from gatewise.interop.onnx.writing import LARGEST, add_lstm_node, merge_directions, plain_reason
from gatewise.layers import LSTM
from gatewise.network.graph import Graph, Node
from gatewise.network.graph_axes import probed
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.operations import AnyArray
from gatewise.network.running import GraphRun
from gatewise.network.step_graph import depends_on_inputs, step_graph

OPSETS = (20, 22)  # from the first that has every operator which the forms use
Axes = Mapping[str, tuple[str, ...]]


def model_of_graph(network: GraphNetwork, *, stream: bool, opset: int) -> Any:
    """Return a network that is a graph as an ONNX model; OptionError names the node that ONNX cannot express."""
    if not OPSETS[0] <= size("opset", opset) <= OPSETS[1]:
        raise OptionError(f"a graph of operations needs an opset between {OPSETS[0]} and {OPSETS[1]}, not {opset}")
    if network.graph.num_parameters * 4 > LARGEST:
        raise OptionError(f"an ONNX file holds less than 2 GiB; this model has {network.num_parameters:,} numbers")
    if stream:
        step = step_graph(network.graph)
        sizes = {name: array.shape for name, array in step.run.values.items()}
        inputs = tuple(replace(port, shape=sizes[port.name]) for port in step.graph.inputs)
        writer = _forms(replace(step.graph, inputs=inputs), {}, causal=False)
        for state in step.states:
            writer.add_default(state.name, state.initial)
            writer.states.append((state.name, state.following, state.initial))
    else:
        axes = {name: port.axes or () for name, port in (*network.inputs.items(), *network.outputs.items())}
        writer = _forms(network.graph, axes, causal=_is_causal(network.graph))
    model = writer.target.model(opset)
    states = [
        {"input": name, "output": after, "initial": initial.tolist() if initial.any() else "zeros"}
        for name, after, initial in writer.states
    ]
    for key, value in (metadata_of(network) | ({"states": json.dumps(states)} if states else {})).items():
        model.metadata_props.add(key=key, value=value)
    return model


def _is_causal(graph: Graph) -> bool:
    try:
        step_graph(graph)
    except GatewiseError:
        return False
    return True


def metadata_of(network: Any) -> dict[str, str]:
    """Return the names and units of a network's inputs and outputs, as the metadata of an ONNX model: JSON by key."""
    labels = network.labels
    units = {name: measure.unit for name, measure in labels.measures.items() if measure.unit}
    found = {"features": labels.features, "outputs": labels.outputs, "units": units}
    return {key: json.dumps(value if key == "units" else list(value)) for key, value in found.items() if value}


def _forms(graph: Graph, axes: Axes, *, causal: bool) -> _GraphForms:
    """Return the operators of a graph; `axes` are those of inputs and outputs, where they are known."""
    run = probed(graph)
    if run is None:
        raise OptionError("a run of the graph is needed to know the types of its values, and it cannot be run")
    forms = _GraphForms(graph, run, causal=causal)
    forms.write_all(axes)
    return forms


class _GraphForms:
    """Writes the nodes of a graph: the `Writer` of the forms in the table.

    The states of LSTMs in a `causal` graph become inputs with a default, and outputs.
    """

    def __init__(self, graph: Graph, run: GraphRun, *, causal: bool) -> None:
        self.graph, self.run, self.causal = graph, run, causal
        self.states: list[tuple[str, str, AnyArray]] = []  # names of inputs and outputs, and the defaults
        self.values: dict[str, AnyArray] = dict(run.values)
        known = {port.name for port in graph.inputs} | set(run.values) | set(graph.makers)
        prefix = "gatewise"
        while any(name.startswith(f"{prefix}.") for name in known):  # as those of a file that was written here
            prefix += "_"
        self.target = GraphWriter(_main_type(graph), prefix=f"{prefix}.")
        self.helper = self.target.onnx.helper
        ends = dict(zip(graph.output_names, graph.outputs, strict=True))
        self.renamed = {name: f"{prefix}.{name}" for name in known if ends.get(name, name) != name}
        self.stored = set[str]()

    # What forms use.

    def emit(self, operator: str, inputs: Sequence[Any], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add an operator, and return its first output. Inputs that are no names become arrays."""
        names = [self.name(item) if isinstance(item, str) else self._array(np.asarray(item)) for item in inputs]
        while names and not names[-1]:
            names.pop()
        results = [self.name(item) for item in outputs]
        return self.target.node(operator, names, *results, name=results[0] if results else "", **attributes)

    def rank(self, value: str) -> int:
        """Return the number of axes of a value."""
        return self.values[value].ndim

    def dtype(self, value: str) -> np.dtype[Any]:
        """Return the type of a value's numbers."""
        return self.values[value].dtype

    def constant(self, value: str) -> AnyArray | None:
        """Return the array of a value that is one; else None."""
        return self.graph.constants.get(value)

    def type_number(self, dtype: Any) -> int:
        """Return ONNX's number of a type."""
        return int(self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def name(self, value: str) -> str:
        """Return the name in the model of a value, whose array is added when it is first read."""
        result = self.renamed.get(value, value)
        if value in self.graph.constants and value not in self.stored:
            self.stored.add(value)
            self._array(self.graph.constants[value], result)
        return result

    def _array(self, array: AnyArray, name: str = "") -> str:
        name = name or self.target.new_name("constant")
        array = np.ascontiguousarray(array).reshape(array.shape)  # which makes numbers without axes arrays of one
        self.target.constants.append(self.target.onnx.numpy_helper.from_array(array, name))
        return name

    # The graph.

    def add_default(self, name: str, array: AnyArray) -> None:
        """Let an input have an array where a caller gives none."""
        self._array(array, name)

    def write_all(self, axes: Axes) -> None:
        """Write every node."""
        graph, target = self.graph, self.target
        for port in graph.inputs:
            target.input(self.name(port.name), _sizes(port.shape, axes.get(port.name, ())), port.dtype)
        for node in graph.nodes:
            self._node(node)
        for name, value in zip(graph.output_names, graph.outputs, strict=True):
            if self.name(value) != name or value in graph.constants or value not in graph.makers:
                target.node("Identity", [self.name(value)], name)
            target.output(name, _sizes((None,) * self.rank(value), axes.get(name, ())), self.dtype(value))
        for _, after, initial in self.states:
            target.output(after, [1, "batch", initial.shape[2]], initial.dtype)

    def _node(self, node: Node) -> None:
        form = node.row.onnx
        if missing := [name for name in (*node.inputs, *node.outputs) if name and name not in self.values]:
            why = f": {node.settings['kind']} is not supported" if node.op == "unknown" else ""
            raise OptionError(f"{node.title} cannot be written as ONNX{why or f': a run has no {missing[0]!r}'}")
        if node.op == "lstm":
            self._lstm(node)
        elif form is None:
            raise OptionError(f"{node.title} cannot be written as ONNX, which has no such operator")
        elif isinstance(form, str):
            self.emit(form, node.inputs, node.outputs)
        else:
            form(self, node)

    def _lstm(self, node: Node) -> None:
        """Write an LSTM: as the operator, or as a Scan of its equations if that lacks something."""
        lstm: LSTM = node.settings["lstm"]
        x, h, c, valid = (*node.inputs, "", "", "")[:4]
        reason, target = plain_reason(lstm), self.target
        if valid and (reason or self.dtype(valid).kind == "b"):
            what = reason or "a mask of steps"
            raise OptionError(f"{node.title} cannot be written as ONNX: it has {what} and sequences of unequal lengths")
        if valid:
            valid = self.emit("Cast", [valid], to=self.type_number(np.int32))
        batch = self.emit("Gather", [self.emit("Shape", [x]), np.array([1])])
        starts = []
        for state, part, letter in ((h, "recurrent_size", "h"), (c, "hidden_size", "c")):
            width = getattr(lstm.layers[0][0], part)
            initial = self._initial(state, lstm, width)
            if not state and not reason and initial is None:
                starts.append("")
                continue
            shape = self.emit("Concat", [np.array([len(lstm.directions)]), batch, np.array([width])], axis=0)
            start: Any = state or np.zeros((), lstm.dtype)
            if initial is not None:
                start = f"{node.name}.{letter}0"
                target.input(start, [1, "batch", width], lstm.dtype)
                self.add_default(start, initial)
                self.states.append((start, f"{node.name}.{letter}n", initial))
            starts.append(self.emit("Expand", [start, shape]))
        named = [self.name(item) for item in node.outputs]
        merge = lstm.merge[0]
        if not reason:
            end = f".{target.prefix}{node.name}"
            outputs, finals = add_lstm_node(target, lstm, self.name(x), starts, end, valid)
        else:
            outputs, ends = [], []
            for place, cell in enumerate(lstm.layers[0]):
                own_h, own_c = (
                    self.emit("Slice", [start, *map(np.array, ([place], [place + 1], [0]))]) for start in starts
                )
                backward = lstm.directions[place] == "backward"
                name = f"{node.name}.{lstm.directions[place]}"
                *_, output, last_c, last_h = add_scan(
                    target, cell.parameters, own_h, own_c, self.name(x), name, backward=backward
                )
                outputs.append(output)
                ends.append((last_h, last_c))
            finals = [self.emit("Concat", parts, axis=0) for parts in zip(*ends, strict=True)]
        y = merge_directions(target, outputs, merge, target.new_name("merged"))
        for value, name in zip((y, *finals), named, strict=False):
            target.node("Identity", [value], name)
        for (name, after, _), value in zip(self.states[-2:], finals, strict=False):
            if name.startswith(f"{node.name}."):
                target.node("Identity", [value], after)

    def _initial(self, state: str, lstm: LSTM, width: int) -> AnyArray | None:
        """Return the default of an input that is an LSTM's initial state; None if it becomes none."""
        if not self.causal:
            return None
        if not state:
            return np.zeros((1, 1, width), lstm.dtype)
        array = self.values[state]
        if depends_on_inputs(self.graph, state) or array.ndim != 3 or (array != array[:, :1]).any():
            return None
        return array[:, :1].astype(lstm.dtype)


def _main_type(graph: Graph) -> np.dtype[Any]:
    """Return the type of the graph's LSTMs, which their equations are written in."""
    return next((lstm.dtype for lstm in graph.lstms.values()), np.dtype(np.float32))


def _sizes(shape: Sequence[int | None] | None, axes: Sequence[str]) -> list[Any] | None:
    """Return the sizes of an array as ONNX declares them: the free ones by the names of their axes."""
    if shape is None:
        return None
    names = [axis if axis in ("time", "batch") else None for axis in axes] if axes else [None] * len(shape)
    return [name if length is None else length for length, name in zip(shape, names, strict=True)]
