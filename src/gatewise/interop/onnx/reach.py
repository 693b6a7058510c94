"""Which nodes of an ONNX model are on a way to an LSTM or from one, through the bodies of If, Loop and Scan too.

Each node has a set of LSTMs as the bits of an integer: one pass forward and one backward over all nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatewise.interop.onnx.edges import origin
from gatewise.interop.onnx.operators import MOVING
from gatewise.interop.onnx.scopes import SIZES, NodeOutput, OnnxNode, OnnxScope, OnnxValue

AROUND = "around"
ROLES = ("X", "state", "lengths")
ALIVE = 1  # the bit of what an output of the graph depends on
Key = OnnxNode | OnnxValue  # a value is a tensor or an input of the graph


@dataclass(frozen=True)
class Root:
    """An LSTM in an ONNX graph: its name, its nodes, the last first, and the names that they read by role."""

    name: str
    nodes: Sequence[OnnxNode]
    reads: Mapping[str, Sequence[OnnxValue]]


def upstream(ends: Iterable[OnnxValue], stops: Iterable[OnnxValue] = ()) -> Iterator[Key]:
    """Yield what ONNX names are computed from: nodes, tensors and inputs.

    Nothing is before sizes, or before `stops`; inputs of the graph are no stops.
    """
    seen: set[Key | None] = {None, *(stop.scope.defined(stop.name) for stop in stops if not is_input(stop))}
    left = [*ends]
    while left:
        scope, name = left.pop()
        value = scope.defined(name)
        if value is None or value in seen:
            continue
        seen.add(value)
        if (source := scope.source(name)) is not None:
            if source.node not in seen:
                seen.add(source.node)
                yield source.node
                if source.node.operator not in SIZES:
                    left += [OnnxValue(source.node.scope, given) for given in source.node.inputs]
        elif (outer := value.scope.argument_outside(value.name)) is not None:
            left.append(outer)
        else:
            yield value


class Reach:
    """The ways of an ONNX model to its LSTMs and from them."""

    def __init__(self, main: OnnxScope, nodes: Sequence[OnnxNode], roots: Sequence[Root]) -> None:
        self._roots = list(roots)
        self._root_of = {node: number for number, root in enumerate(roots) for node in root.nodes}
        self._bodies: dict[OnnxNode, dict[OnnxScope, None]] = {}
        for node in nodes:
            if (owner := node.scope.owner) is not None:
                self._bodies.setdefault(owner, {})[node.scope] = None
        self._after: dict[OnnxNode, int] = {}
        self._from_body: dict[NodeOutput, int] = {}
        self._before: dict[OnnxNode | NodeOutput | OnnxValue, int] = {}
        self._around: dict[OnnxNode, int] = {}
        self._names_of: dict[tuple[int, int], tuple[str, ...]] = {}
        self._indices: set[OnnxValue] = set()
        for number, root in enumerate(roots):
            scope = root.nodes[0].scope
            while scope.owner is not None:
                self._around[scope.owner] = self._around.get(scope.owner, 0) | 1 << number
                scope = scope.owner.scope
        first = next((place for place, node in enumerate(nodes) if node in self._root_of), len(nodes))
        for node in nodes[first:]:
            self._follow(node)
        for name in main.results:
            self._push(main, name, ALIVE)
        for node in reversed(nodes):
            self._pass_on(node)
            if node.operator == "Gather" and len(node.inputs) > 1:
                self._indices.add(OnnxValue(node.scope, node.inputs[1]))
            elif node.operator in MOVING and node.inputs and node.outputs and self.is_token(node):
                self._indices.add(OnnxValue(node.scope, node.inputs[0]))

    def _follow(self, node: OnnxNode) -> None:
        """Note the LSTMs that an ONNX node is after, given those of the nodes before it."""
        mask = 0
        for name in node.inputs if node not in self._root_of and node.operator not in SIZES else ():
            mask |= self.mask_after(node.scope, name)
        self._after[node] = self._after.get(node, 0) | mask
        owner = node.scope.owner
        while owner is not None and mask:  # whose body reads what is outside of it
            mask &= ~self._around.get(owner, 0)
            self._after[owner] = self._after.get(owner, 0) | mask
            owner = owner.scope.owner

    def mask_after(self, scope: OnnxScope, name: str) -> int:
        """Return the LSTMs from which a name of an ONNX graph comes, as bits."""
        source = scope.source(name)
        if source is None:
            value = scope.defined(name)
            outer = None if value is None else value.scope.argument_outside(value.name)
            return 0 if outer is None else self.mask_after(*outer)
        if (number := self._root_of.get(source.node)) is not None:
            return 1 << number
        mask = self._after.get(source.node, 0)
        if source.node in self._bodies:
            if source not in self._from_body:
                self._from_body[source] = 0
                for value in self._results(source):
                    self._from_body[source] |= self.mask_after(*value)
            mask |= self._from_body[source]
        return mask

    def _results(self, output: NodeOutput) -> list[OnnxValue]:
        """Return the names in the bodies of an ONNX node that become one of its outputs."""
        position = output.position + (output.node.operator == "Loop")  # whose body returns a condition first
        bodies = self._bodies.get(output.node, ())
        return [OnnxValue(body, body.results[position]) for body in bodies if position < len(body.results)]

    def _pass_on(self, node: OnnxNode) -> None:
        """Pass the LSTMs that an ONNX node is before on to what it reads."""
        number = self._root_of.get(node)
        if number is None:
            mask = self._before.get(node, 0)
            for name in node.inputs if mask and node.operator not in SIZES else ():
                self._push(node.scope, name, mask)
            return
        root = self._roots[number]
        for place, role in enumerate(ROLES) if node is root.nodes[0] else ():
            for value in root.reads.get(role, ()):
                self._push(*value, 1 << (1 + len(ROLES) * number + place))

    def _push(self, scope: OnnxScope, name: str, mask: int) -> None:
        """Note that a name of an ONNX graph is before the LSTMs of a mask."""
        left = [OnnxValue(scope, name)]
        while left:
            scope, name = left.pop()
            source = scope.source(name)
            key = scope.defined(name) if source is None else source if source.node in self._bodies else source.node
            if key is None or self._before.get(key, 0) | mask == self._before.get(key, 0):
                continue
            self._before[key] = self._before.get(key, 0) | mask
            if isinstance(key, NodeOutput):
                self._before[key.node] = self._before.get(key.node, 0) | mask
                left += self._results(key)
            elif isinstance(key, OnnxValue) and (outer := key.scope.argument_outside(key.name)) is not None:
                left.append(outer)

    def places_of(self, key: OnnxNode | OnnxValue) -> dict[str, tuple[str, ...]]:
        """Return the LSTMs that a node or a value of an ONNX model is before, after or around, by the place."""
        places: dict[str, tuple[str, ...]] = {}
        before = self._before.get(key, 0)
        masks = {role: before >> (1 + place) for place, role in enumerate(ROLES)}
        for role, mask in masks.items() if before > ALIVE else ():
            if names := self._names(mask, len(ROLES)):
                places[role] = names
        if isinstance(key, OnnxNode):
            if (mask := self._after.get(key, 0)) and self.is_alive(key):
                places["after"] = self._names(mask, 1)
            if mask := self._around.get(key, 0):
                places[AROUND] = self._names(mask, 1)
        return places

    def _names(self, mask: int, stride: int) -> tuple[str, ...]:
        """Return the names of the LSTMs whose bits are set, one in every `stride`."""
        key = mask, stride
        if key not in self._names_of:
            bits = (mask >> (stride * number) & 1 for number in range(len(self._roots)))
            self._names_of[key] = tuple(root.name for root, bit in zip(self._roots, bits, strict=True) if bit)
        return self._names_of[key]

    def is_alive(self, node: OnnxNode) -> bool:
        """Say whether an output of the ONNX graph, or an LSTM, depends on the numbers of a node."""
        return bool(self._before.get(node, 0))

    def is_token(self, node: OnnxNode) -> bool:
        """Say whether what an ONNX node puts out becomes the index of a Gather."""
        return OnnxValue(node.scope, node.outputs[0]) in self._indices

    def is_given(self, node: OnnxNode) -> bool:
        """Say whether an ONNX node moves numbers of an input of the graph that no LSTM receives as its sequence."""
        if not node.inputs:
            return False
        source = source_of(OnnxValue(node.scope, node.inputs[0]))
        return is_input(source) and "X" not in self.places_of(source)


def source_of(value: OnnxValue) -> OnnxValue:
    """Return the array whose numbers a name of an ONNX graph has, all or some, outside of the bodies of nodes too."""
    while True:
        scope, name = origin(*value)
        defined = scope.defined(name) or OnnxValue(scope, name)
        outer = defined.scope.argument_outside(defined.name)
        if outer is None:
            return defined
        value = outer


def is_input(value: OnnxValue) -> bool:
    """Say whether a value is an input of an ONNX graph without a value in the file."""
    source = value.scope.graph_input(value.name)
    return source is not None and source.name not in source.scope.tensors
