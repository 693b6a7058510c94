"""The nodes of an ONNX model with their graphs, those of bodies and functions included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gatewise.errors import FileError, shown
from gatewise.interop.onnx.attributes import Attributes, NotConstant
from gatewise.interop.onnx.file import AnyArray, File
from gatewise.interop.onnx.scopes import DEEPEST, Scope

INPUTS = (  # of the operator LSTM
    *("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
    *("W_scale", "W_zero_point", "R_scale", "R_zero_point"),  # of the quantised kind alone
)


@dataclass(frozen=True, eq=False)
class Site:
    """One node, and the graph it belongs to."""

    scope: Scope
    node: Any

    @property
    def label(self) -> str:
        """What the node is called."""
        return label_of(self.node)

    @property
    def full_label(self) -> str:
        """The same after the names of the nodes in whose bodies it is."""
        return "/".join((*self.scope.path, self.label))

    @property
    def key(self) -> tuple[int, int]:
        """What it is known by: all calls of one function share its nodes."""
        return id(self.scope), id(self.node)

    @property
    def attributes(self) -> Attributes:
        """Its attributes."""
        return self.scope.attributes_of(self.node)

    def input(self, name: str) -> str:
        """Return what one of its `INPUTS` is called in the graph; empty where it is left out."""
        place = INPUTS.index(name)
        return self.node.input[place] if place < len(self.node.input) else ""

    def constant(self, name: str) -> AnyArray | None:
        """Return the value of one of its `INPUTS`; None where it is left out."""
        given = self.input(name)
        if not given:
            return None
        try:
            return self.scope.value(given)
        except NotConstant as problem:
            try:
                scope, inner = self.scope.owner(given)
            except NotConstant:
                raise NotConstant(f"of its {name}: {problem}") from None
            if scope.parent is None and inner in scope.inputs and inner not in scope.file.omitted:
                raise NotConstant(
                    f"its {name} is the graph's input {shown(inner)!r}, whose array can be given by that name"
                ) from None
            raise NotConstant(f"of its {name}: {problem}") from None


def label_of(node: Any) -> str:
    """Return a node's name, or that of its first output, fit for a line."""
    return shown(str(node.name or next((one for one in node.output if one), node.op_type)))


def scope_of(
    file: File, graph: Any, parent: Scope | None = None, path: tuple[str, ...] = (), owner: Site | None = None
) -> Scope:
    """Return the scope of a graph; where it is the body of a node, `owner` is that node."""
    file.visit(graph, graph.node, graph.initializer, graph.input, graph.output, graph.sparse_initializer)
    carried: dict[str, str] = {}
    backward = False
    if owner is not None and owner.node.op_type == "Scan":
        with suppress(NotConstant):  # attributes of other types than the operator's
            sequences = owner.attributes.get("num_scan_inputs", "i", 0)
            backward = set(owner.attributes.get("scan_input_directions", "ints", [])) == {1}
            states = max(0, len(graph.input) - sequences)
            carried = {a.name: b.name for a, b in zip(graph.input[:states], graph.output[:states], strict=False)}
    return Scope(
        file,
        graph.node,
        graph.initializer,
        [one.name for one in graph.input],
        [one.values.name for one in graph.sparse_initializer],
        parent,
        attributes=None if parent is None else parent.attributes,
        path=path,
        carried=carried,
        backward=backward,
    )


def sites(scope: Scope) -> Iterator[Site]:
    """Give every node of a graph, of the bodies of its nodes, and of the functions that it calls."""
    around = [_of_graph(scope)]  # not called from itself: each of its steps would go through all
    while around:
        inner = next(around[-1], None)
        if inner is None:
            around.pop()
        elif isinstance(inner, Site):
            yield inner
        elif len(around) > DEEPEST:
            raise FileError(f"its graphs are nested more than {DEEPEST} deep")
        else:
            around.append(_of_graph(inner))


def _of_graph(scope: Scope) -> Iterator[Site | Scope]:
    """Give the nodes of a graph, and the graphs in them, each when it has come to it."""
    file = scope.file
    for node in scope.nodes:
        site = Site(scope, node)
        function = file.function(node)
        if function is None:
            yield site
            for name, graph in site.attributes.graphs():
                yield scope_of(file, graph, scope, (*scope.path, f"{site.label}.{shown(name)}"), site)
            continue
        file.visit(function, function.node, function.input, function.attribute_proto)
        bound = {inner: (scope, outer) for inner, outer in zip(function.input, node.input, strict=False)}
        given = Attributes(node, file.budget, scope.attributes, function.attribute_proto)
        yield Scope(file, function.node, bound=bound, attributes=given, path=(*scope.path, site.label))
