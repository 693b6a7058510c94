"""An ONNX model as a graph of operations: its names, its nodes by the table, its functions and bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, GatewiseError, OptionError, ShapeError, shown
from gatewise.files.budget import Budget, HostileFileError
from gatewise.interop.onnx.attributes import Attributes, DamagedTensor, NotConstant
from gatewise.interop.onnx.file import OnnxFile, tensors_of
from gatewise.interop.onnx.parsing import parse_without_arrays
from gatewise.interop.onnx.reading import split_options
from gatewise.interop.onnx.scopes import DEEPEST, label_of
from gatewise.interop.onnx.table import FileNode, read_node
from gatewise.interop.refusals import reading
from gatewise.network.graph import Builder, Graph, Unsupported
from gatewise.network.limits import MAX_NODES


def read_graph(source: Path, provided: Mapping[str, Any]) -> Graph:
    """Return the graph of an ONNX file; `provided` has arrays of the model's inputs by name, which become constants.

    Raise FileError if the file cannot be read. Operators that the table lacks become unknown nodes.
    """
    budget = Budget.of(source)
    model, kept_out = parse_without_arrays(source, budget)
    with reading(str(source), GatewiseError):
        arrays, clip = split_options(str(source), provided, [proto.name for proto in model.graph.input])
        return graph_of_model(OnnxFile(model, source, arrays, budget, kept_out, clip))


def graph_of_model(file: OnnxFile) -> Graph:
    """Return the graph of an ONNX model."""
    proto, build = file.model.graph, Builder(file.budget)
    scope = GraphScope(file, build)
    scope.declare(proto)
    if len(proto.node) > MAX_NODES:
        raise FileError(f"the graph of {len(proto.node):,} nodes is too large; up to {MAX_NODES:,} can be run")
    for port in proto.input:
        if port.name in file.omitted:
            scope.names[port.name] = build.constant(file.omitted[port.name], port.name)
        elif port.name not in scope.tensors:
            scope.names[port.name] = _input_of(file, build, port)
    scope.read(proto.node)
    ends = [scope.value(item.name) for item in proto.output]
    return build.graph(ends, names=[port.name for port in proto.output])


def _input_of(file: OnnxFile, build: Builder, proto: Any) -> str:
    """Add an input of the model to the builder; FileError if it is no array of numbers that NumPy has."""
    tensor = proto.type.tensor_type
    if not proto.type.HasField("tensor_type"):
        raise FileError(f"its input {shown(proto.name)!r} is no array")
    try:
        dtype = file.dtype(tensor.elem_type)
    except NotConstant as problem:
        raise FileError(f"its input {shown(proto.name)!r} cannot be given: {problem}") from None
    if tensor.elem_type == file.onnx.TensorProto.BFLOAT16:
        raise FileError(f"its input {shown(proto.name)!r} is bfloat16, which NumPy does not have")
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    shape = [None if size < 0 else size for size in sizes]
    return build.input(proto.name, shape if tensor.HasField("shape") else None, dtype)


class GraphScope:
    """The names of one ONNX graph or function call, each with the value in the builder that it stands for.

    `tensors` become constants when they are first read; `parent` is the graph around whose names it sees, `root` the
    one that it was reached from.
    """

    def __init__(
        self,
        file: OnnxFile,
        build: Builder,
        root: GraphScope | None = None,
        parent: GraphScope | None = None,
        attributes: Attributes | None = None,
        path: tuple[str, ...] = (),
    ) -> None:
        self.file, self.build, self.parent, self.attributes, self.path = file, build, parent, attributes, path
        self.outer: GraphScope | None = None  # of a body that runs at each step, in a graph of its own
        self.captures: dict[str, str] = {}  # what such a body reads outside, and its inputs for it
        self.names: dict[str, str] = {}
        self.tensors: dict[str, Any] = {}
        self.labels: set[str] = set() if root is None else root.labels  # of the nodes of all graphs
        if len(path) > DEEPEST:
            raise FileError(f"its graphs are nested more than {DEEPEST} deep")

    def declare(self, proto: Any) -> None:
        """Take the initializers of a graph; FileError if two have one name."""
        self.file.charge_nodes(
            proto, proto.node, proto.initializer, proto.input, proto.output, proto.sparse_initializer
        )
        self.tensors = tensors_of(proto.initializer)
        for tensor in proto.sparse_initializer:
            self.names[tensor.values.name] = self.unknown("sparse tensor", "it is stored by its places", [])[0]

    def value(self, name: str) -> str:
        """Return the value of a name in the builder; FileError if there is none."""
        scope: GraphScope | None = self
        while scope is not None:
            self.file.budget.work(1, "looking through its graphs")
            if name in scope.names:
                return scope.names[name]
            if name in scope.tensors:
                scope.names[name] = scope.array(scope.tensors[name])
                return scope.names[name]
            if scope.outer is not None:
                scope.names[name] = scope.captured(name)
                return scope.names[name]
            scope = scope.parent
        raise HostileFileError(f"there is nothing named {shown(name)!r} where it is read")

    def define(self, name: str, value: str) -> None:
        """Let a name of the graph stand for a value; FileError if it stands for another."""
        if name in self.names or name in self.tensors:
            raise HostileFileError(f"it has two values named {shown(name)!r}")
        if name:
            self.names[name] = value

    def array(self, tensor: Any) -> str:
        """Return an initializer as a constant; as an unknown value if it cannot be read."""
        try:
            return self.build.constant(self.file.array(tensor), tensor.name)
        except DamagedTensor as problem:
            raise HostileFileError(f"its tensor {shown(tensor.name)!r} is damaged: {problem}") from None
        except NotConstant as problem:
            return self.unknown("tensor", str(problem), [], tensor.name)[0]

    def unknown(self, kind: str, why: str, inputs: Sequence[str], name: str = "", outputs: int = 1) -> tuple[str, ...]:
        """Add a node that stands for what gatewise cannot compute."""
        return self.build.unknown(kind, why, *inputs, name=name, outputs=max(1, outputs))

    def read(self, nodes: Sequence[Any]) -> None:
        """Read nodes, each after those whose outputs it reads."""
        for proto in nodes:
            label = label_of(proto)
            if label in self.labels:  # as often in the two branches of an If
                label = "/".join((*self.path, label))
            self.labels.add(label)
            function = self.file.function(proto)
            if function is not None:
                self.call(proto, function, label)
                continue
            kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
            with self.build.layer(label):
                values = self.outputs(proto, kind, label)
            for name, value in zip(proto.output, values, strict=False):
                self.define(name, value)

    def outputs(self, proto: Any, kind: str, label: str) -> Sequence[str]:
        """Return the values of a node's outputs; those that cannot be expressed are unknown."""
        inputs = [self.value(name) for name in proto.input if name]
        count = len(proto.output)
        try:
            attributes = Attributes(proto, self.file.budget, self.attributes)
            results = read_node(FileNode(self, proto, attributes, kind, label))
            if results and results[0].startswith(f"{label}."):  # it was made for this node
                old, named = results[0], self.build.rename(results[0], label)
                results = [named + item[len(old) :] if f"{item}.".startswith(f"{old}.") else item for item in results]
        except (Unsupported, NotConstant, OptionError, ShapeError) as problem:
            return self.unknown(kind, str(problem), inputs, label, count)
        if missing := count - len(results):
            why = f"of its outputs, gatewise computes only {len(results)}"
            results += (
                self.unknown(kind, why, inputs, f"{label}.others", missing) if any(proto.output[-missing:]) else []
            )
        return results

    def call(self, proto: Any, function: Any, label: str) -> None:
        """Read a call of one of the file's functions, node by node."""
        file = self.file
        file.charge_nodes(function, function.node, function.input, function.attribute_proto)
        attributes = Attributes(proto, file.budget, self.attributes, function.attribute_proto)
        inner = GraphScope(file, self.build, self, None, attributes, (*self.path, label_of(proto)))
        provided = [self.value(name) if name else "" for name in proto.input]
        provided += [""] * (len(function.input) - len(provided))
        inner.names = dict(zip(function.input, provided, strict=False))
        inner.read(function.node)
        for name, result in zip(proto.output, function.output, strict=False):
            self.define(name, inner.value(result) if name else "")

    def captured(self, name: str) -> str:
        """Return the value in a body of a name outside: an array, or an input of its own."""
        assert self.outer is not None
        value = self.outer.value(name)
        if value not in self.captures:
            array = self.outer.build.value(value)
            if array is not None:
                return self.build.constant(array, value)
            self.captures[value] = self.build.input(value)
        return self.captures[value]

    def closed_body(self, graph: Any, label: str) -> tuple[Graph, list[str]]:
        """Return a body with inputs as a graph of its own, and the values outside that it reads besides them.

        Raise Unsupported if gatewise lacks an operation of it.
        """
        inner = GraphScope(self.file, Builder(self.build.limits), self, None, self.attributes, (*self.path, label))
        inner.outer = self
        inner.declare(graph)
        for port in graph.input:
            inner.names[port.name] = _input_of(self.file, inner.build, port)
        inner.read(graph.node)
        ends = [inner.value(item.name) for item in graph.output]
        results = inner.build.graph(ends)
        for node in results.nodes:
            if node.op == "unknown":
                raise Unsupported(f"of its body, {node.title} is not supported: {node.settings['why']}")
        return results, list(inner.captures)

    def body(self, graph: Any, label: str) -> list[str]:
        """Read the nodes of a body without inputs of its own, such as a branch of an If; return its outputs."""
        inner = GraphScope(self.file, self.build, self, self, self.attributes, (*self.path, label))
        inner.declare(graph)
        inner.read(graph.node)
        return [inner.value(item.name) for item in graph.output]
