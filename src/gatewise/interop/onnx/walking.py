"""All nodes of an ONNX model: those of its graph, of the bodies in it, and of the functions that it calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gatewise.errors import FileError, shown
from gatewise.interop.onnx.attributes import Attributes, NotConstant
from gatewise.interop.onnx.file import OnnxFile
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope, OnnxValue


def nodes_of(file: OnnxFile) -> Iterator[OnnxNode]:
    """Yield every node of a model, the nodes of bodies and functions after the one that has or calls them."""
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
    """Return the scope of a graph; where it is the body of a node, `owner` is that node."""
    file.visit(graph, graph.node, graph.initializer, graph.input, graph.output, graph.sparse_initializer)
    carried: dict[str, str] = {}
    backward = False
    if owner is not None and owner.operator == "Scan":
        with suppress(NotConstant):  # attributes of other types than the operator's
            sequences = owner.attributes.get("num_scan_inputs", "i", 0)
            backward = set(owner.attributes.get("scan_input_directions", "ints", [])) == {1}
            states = max(0, len(graph.input) - sequences)
            carried = {a.name: b.name for a, b in zip(graph.input[:states], graph.output[:states], strict=False)}
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
        backward=backward,
    )


def _nodes_and_scopes(scope: OnnxScope) -> Iterator[OnnxNode | OnnxScope]:
    """Yield the nodes of a graph, and after each the graphs in it; for a call of a function, its graph alone."""
    file = scope.file
    for node in scope.nodes:
        function = file.function(node.proto)
        if function is None:
            yield node
            for name, graph in node.attributes.graphs():
                yield _scope_of(file, graph, node, name)
            continue
        file.visit(function, function.node, function.input, function.attribute_proto)
        bound = {inner: OnnxValue(scope, outer) for inner, outer in zip(function.input, node.inputs, strict=False)}
        attributes = Attributes(node.proto, file.budget, scope.attributes, function.attribute_proto)
        yield OnnxScope(file, function.node, bound=bound, attributes=attributes, path=(*scope.path, node.label))
