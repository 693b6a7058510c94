"""The names of an ONNX graph: the node that computes each, and its value where the file determines it.

A name is looked up in the graph itself, then in the graphs around it. Constants are folded when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gatewise.errors import FileError, reason, shown
from gatewise.interop.onnx.attributes import LOOKING, Attributes, NotConstant
from gatewise.interop.onnx.file import AnyArray, OnnxFile, tensors_of
from gatewise.interop.onnx.operators import OPERATORS, OperatorCall

DEEPEST = 100  # how many operators may follow one another, and how deep graphs may be nested
INPUTS = (  # of the operator LSTM
    *("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
    *("W_scale", "W_zero_point", "R_scale", "R_zero_point"),  # of the quantised kind alone
)
SIZES = ("Shape", "Size")  # operators that look at no number

ShapeOf = Callable[["OnnxNode", int], AnyArray]  # of a node Shape, and the depth at which it is computed


class OnnxValue(NamedTuple):
    """A name with the scope that it belongs to."""

    scope: OnnxScope
    name: str


class NodeOutput(NamedTuple):
    """An output of a node, by its position."""

    node: OnnxNode
    position: int


class OnnxNode:
    """A node with the graph that it belongs to: of a function, with one call of it; `number` is its place there.

    `operator` is the name of its operator, of whatever domain; `is_standard` says whether it is one of ONNX itself.
    Names in `inputs` and `outputs` are empty where one is left out.
    """

    __slots__ = ("_attributes", "inputs", "is_standard", "number", "operator", "outputs", "proto", "scope")

    def __init__(self, scope: OnnxScope, proto: Any, number: int) -> None:
        self.scope, self.proto, self.number = scope, proto, number
        self.operator: str = proto.op_type
        self.is_standard: bool = proto.domain in ("", "ai.onnx")
        self.inputs: Sequence[str] = tuple(proto.input)
        self.outputs: Sequence[str] = tuple(proto.output)
        self._attributes: Attributes | None = None

    @property
    def attributes(self) -> Attributes:
        """Its attributes."""
        if self._attributes is None:
            self._attributes = Attributes(self.proto, self.scope.file.budget, self.scope.attributes)
        return self._attributes

    @property
    def file(self) -> OnnxFile:
        """The file that it is in."""
        return self.scope.file

    @property
    def label(self) -> str:
        """Its name, or that of its first output, fit for a line."""
        return label_of(self.proto)

    @property
    def full_label(self) -> str:
        """Its label after those of the nodes in whose bodies it is."""
        return "/".join((*self.scope.path, self.label))

    def input(self, role: str) -> str:
        """Return the name of one of its `INPUTS`; empty where it is left out."""
        position = INPUTS.index(role)
        return self.inputs[position] if position < len(self.inputs) else ""

    def constant(self, role: str) -> AnyArray | None:
        """Return the array of an ONNX LSTM's input by its role, such as W; None where it is left out."""
        name = self.input(role)
        if not name:
            return None
        try:
            return self.scope.value(name)
        except NotConstant as problem:
            source = self.scope.graph_input(name)
            if source is not None and source.name not in self.scope.file.omitted:
                raise NotConstant(
                    f"its {role} is the graph's input {shown(source.name)!r}, whose array can be given by that name"
                ) from None
            raise NotConstant(f"of its {role}: {problem}") from None


def label_of(proto: Any) -> str:
    """Return the name of a node, or that of its first output, fit for a line."""
    return shown(str(proto.name or next((name for name in proto.output if name), proto.op_type)))


class OnnxScope:
    """The names of one graph, or of one call of a function.

    `inputs` are names that come from outside, `sparse` those of sparse initializers, which are not read; `parent` is
    the graph around, `path` has the names of the nodes around, and `owner` is the node whose body it is; `results` are
    the names that it returns. A call of a function has `attributes`, and the caller's values for its inputs (`bound`).
    Of the body of a Scan, `carried` says which of its outputs each state that comes in is at the next step, `read` for
    each of its sequences by name whether it goes through it from the end, and `made` so for those that it makes.
    """

    def __init__(
        self,
        file: OnnxFile,
        nodes: Iterable[Any],
        initializers: Iterable[Any] = (),
        inputs: Iterable[str] = (),
        sparse: Iterable[str] = (),
        parent: OnnxScope | None = None,
        bound: Mapping[str, OnnxValue] | None = None,
        attributes: Attributes | None = None,
        path: tuple[str, ...] = (),
        carried: Mapping[str, str] | None = None,
        read: Mapping[str, bool] | None = None,
        made: Mapping[str, bool] | None = None,
        owner: OnnxNode | None = None,
        results: Iterable[str] = (),
    ) -> None:
        self.owner, self.results = owner, tuple(results)
        self.arguments = {name: position for position, name in enumerate(inputs)}
        file.scopes.append(self)
        self.file, self.parent, self.path, self.attributes = file, parent, path, attributes
        self.carried, self.read, self.made = dict(carried or {}), dict(read or {}), dict(made or {})
        self.inputs, self.sparse, self.bound = self.arguments.keys(), set(sparse), dict(bound or {})
        self.nodes = [OnnxNode(self, proto, number) for number, proto in enumerate(nodes)]
        self.tensors = tensors_of(initializers)
        self.computed: dict[str, NodeOutput] = {}
        early: list[tuple[OnnxNode, str]] = []  # what nodes read that no earlier one makes
        for node in self.nodes:
            early += [(node, name) for name in node.inputs if name not in self.computed and name not in self.tensors]
            for position, name in enumerate(node.outputs):
                if name in self.computed or name in self.tensors or name in self.arguments:
                    raise FileError(f"it has two values named {shown(name)!r}")
                if name:
                    self.computed[name] = NodeOutput(node, position)
        self._require_made(early)
        self.nonlinearities: dict[OnnxNode, Any] = {}  # that end in its nodes, as they are found
        # By name, and whether sizes are known; None: being computed.
        self._values: dict[tuple[str, bool], AnyArray | NotConstant | None] = {}

    def _require_made(self, early: Iterable[tuple[OnnxNode, str]]) -> None:
        """Raise FileError if a node makes what an earlier one, or itself, reads; other names come from outside."""
        for node, name in early:
            if name in self.computed:
                from gatewise.network.graph import why_unknown  # which most files do without

                reads = {output: each.inputs for each in self.nodes for output in each.outputs if output}
                why = why_unknown(name, [output for output in node.outputs if output], reads)
                raise FileError(f"its node {node.label!r} ({shown(node.operator)}) reads {shown(name)!r}, {why}")

    def resolve(self, name: str) -> OnnxValue:
        """Return an ONNX name with the graph or function call that defines it, as it is called there."""
        scope: OnnxScope | None = self
        for _ in range(2 * DEEPEST):
            self.file.budget.work(2 + len(name) // 256, LOOKING)
            if scope is None:
                raise NotConstant(f"there is nothing named {shown(name)!r}")
            if name in scope.bound:
                scope, name = scope.bound[name]
            elif name in scope.computed or name in scope.tensors or name in scope.inputs or name in scope.sparse:
                return OnnxValue(scope, name)
            else:
                scope = scope.parent
        raise NotConstant(f"the name {shown(name)!r} is nested too deeply")

    def defined(self, name: str) -> OnnxValue | None:
        """Return an ONNX name where it is defined, as `resolve`; None if it is left out or not defined."""
        if not name:
            return None
        if not self.bound and (name in self.computed or name in self.tensors or name in self.inputs):
            return OnnxValue(self, name)
        try:
            return self.resolve(name)
        except NotConstant:
            return None

    def source(self, name: str) -> NodeOutput | None:
        """Return the node output that an ONNX name means, here or in a graph around; None of an input or a tensor."""
        if not self.bound and name in self.computed:  # as nearly always
            return None if name in self.tensors else self.computed[name]
        if not self.bound and (name in self.tensors or name in self.inputs):
            return None
        if (value := self.defined(name)) is None or value.name in value.scope.tensors:
            return None
        return value.scope.computed.get(value.name)

    def graph_input(self, name: str) -> OnnxValue | None:
        """Return the input of the main ONNX graph that a name means, if it is one."""
        value = self.defined(name)
        return value if value and value.scope.parent is None and value.name in value.scope.inputs else None

    def argument_outside(self, name: str) -> OnnxValue | None:
        """Return what an argument of the body of an ONNX node is outside; None of other names."""
        if self.owner is None or name not in self.arguments:
            return None
        position = self.arguments[name]
        given = self.owner.inputs[position : position + 1]
        return OnnxValue(self.owner.scope, given[0]) if given else None

    def upstream(self, name: str) -> Iterator[NodeOutput]:
        """Yield the ONNX nodes from which a name comes, the nearest first, following the first input of each."""
        scope = self
        for _ in range(DEEPEST):
            source = scope.source(name)
            if source is None or not source.node.inputs:
                return
            yield source
            scope, name = source.node.scope, source.node.inputs[0]

    def value(self, name: str, depth: int = 0, shape_of: ShapeOf | None = None) -> AnyArray:
        """Return the array of a name in an ONNX graph, constants folded; NotConstant if it depends on an input.

        `shape_of` returns what a node Shape gives, where sizes are known.
        """
        scope, name = self.defined(name) or self.resolve(name)
        key = name, shape_of is not None
        if depth > DEEPEST:
            raise NotConstant(f"it is computed in more than {DEEPEST} steps")
        if key in scope._values:
            value = scope._values[key]
            if value is None:
                raise NotConstant(f"{shown(name)!r} depends on itself")
            if isinstance(value, NotConstant):
                raise NotConstant(*value.args)
            return value
        scope._values[key] = None
        try:
            array = scope._fold_constants(name, depth, shape_of)
        except NotConstant as problem:
            scope._values[key] = problem
            raise
        scope._values[key] = array
        return array

    def _fold_constants(self, name: str, depth: int, shape_of: ShapeOf | None) -> AnyArray:
        """Return the array of a name of this ONNX graph, computed from constants."""
        if self.parent is None and name in self.inputs and name in self.file.omitted:
            return self.file.omitted[name]
        if name in self.tensors:
            return self.file.array(self.tensors[name])
        if name in self.sparse:
            raise NotConstant(f"it is sparse ({shown(name)!r}), which is not supported")
        if name not in self.computed:
            raise NotConstant(f"it comes from the input {shown(name)!r}")
        node, position = self.computed[name]
        if shape_of is not None and node.operator == "Shape":
            return shape_of(node, depth)
        if not node.is_standard or node.operator not in OPERATORS:
            raise NotConstant(f"it comes from a node {shown(node.operator)} ({shown(node.proto.name or name)!r})")
        self.file.budget.work(10 + len(node.inputs), "computing its constants")
        inputs = [self.value(source, depth + 1, shape_of) if source else None for source in node.inputs]
        call = OperatorCall(self.file, node.proto, node.attributes, inputs, position)
        if shape_of is not None:
            call.refuse_open_sizes()
        try:
            return OPERATORS[node.operator](call)
        except (ValueError, IndexError, TypeError, OverflowError) as problem:
            raise NotConstant(f"{node.operator} cannot be computed ({reason(problem)})") from None


def nodes_of(file: OnnxFile) -> Iterator[OnnxNode]:
    """Yield every node of an ONNX model, the nodes of bodies and functions after the one that has or calls them."""
    around = [_nodes_and_scopes(_scope_of(file, file.model.graph))]  # no recursion: each step would go through all
    while around:
        inner = next(around[-1], None)
        if inner is None:
            around.pop()
        elif isinstance(inner, OnnxNode):
            yield inner
        elif len(around) > DEEPEST:
            raise FileError(f"its graphs are nested more than {DEEPEST} deep")
        else:
            around.append(_nodes_and_scopes(inner))


def _scope_of(file: OnnxFile, graph: Any, owner: OnnxNode | None = None, attribute: str = "") -> OnnxScope:
    """Return the scope of an ONNX graph; where it is the body of a node, `owner` is that node."""
    file.charge_nodes(graph, graph.node, graph.initializer, graph.input, graph.output, graph.sparse_initializer)
    carried: dict[str, str] = {}
    read: dict[str, bool] = {}
    made: dict[str, bool] = {}
    if owner is not None and owner.operator == "Scan":
        with suppress(NotConstant):  # attributes of other types than the operator's
            sequences = owner.attributes.get("num_scan_inputs", "i", 0)
            states = max(0, len(graph.input) - sequences)
            carried = {a.name: b.name for a, b in zip(graph.input[:states], graph.output[:states], strict=False)}
            for kind, ports, ways in (("input", graph.input, read), ("output", graph.output, made)):
                stated = owner.attributes.get(f"scan_{kind}_directions", "ints", [])
                ways |= {port.name: stated[n : n + 1] == [1] for n, port in enumerate(ports[states:])}
    return OnnxScope(
        file,
        graph.node,
        graph.initializer,
        [proto.name for proto in graph.input],
        [proto.values.name for proto in graph.sparse_initializer],
        parent=None if owner is None else owner.scope,
        attributes=None if owner is None else owner.scope.attributes,
        path=() if owner is None else (*owner.scope.path, f"{owner.label}.{shown(attribute)}"),
        carried=carried,
        read=read,
        made=made,
        owner=owner,
        results=[proto.name for proto in graph.output],
    )


def _nodes_and_scopes(scope: OnnxScope) -> Iterator[OnnxNode | OnnxScope]:
    """Yield the nodes of an ONNX graph, after each the graphs in it; for a function call, its graph alone."""
    file = scope.file
    for node in scope.nodes:
        function = file.function(node.proto)
        if function is None:
            yield node
            for name, graph in node.attributes.graphs() if node.proto.attribute else ():
                yield _scope_of(file, graph, node, name)
            continue
        file.charge_nodes(function, function.node, function.input, function.attribute_proto)
        bound = {inner: OnnxValue(scope, outer) for inner, outer in zip(function.input, node.inputs, strict=False)}
        attributes = Attributes(node.proto, file.budget, scope.attributes, function.attribute_proto)
        path = (*scope.path, node.label)
        yield OnnxScope(
            file, function.node, bound=bound, attributes=attributes, path=path, owner=node, results=function.output
        )
