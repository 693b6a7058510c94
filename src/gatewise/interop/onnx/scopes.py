"""What is constant in an ONNX graph: tensors, and what a few operators make of them, found when asked for.

Names are looked up in the graph itself, then in the graphs around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatewise.errors import reason, shown
from gatewise.interop.onnx.attributes import LOOKING, Attributes, NotConstant
from gatewise.interop.onnx.file import AnyArray, File
from gatewise.interop.onnx.operators import OPERATORS, Call

DEEPEST = 100  # how many operators may follow one another, and how deep graphs may be nested


class Scope:
    """The names of one graph, or of one call of a function.

    Parameters
    ----------
    file : File
    nodes, initializers : sequence of protos
    inputs : iterable of str
        Names that come from outside.
    sparse : iterable of str
        Names of initializers that are sparse, which are not read.
    parent : Scope, optional
        The graph around it.
    bound : mapping, optional
        What a function's inputs are called where it is called: (scope, name).
    attributes : Attributes, optional
        What a function is called with.
    path : tuple of str
        The names of the nodes around it, from the main graph on.
    carried : mapping of str to str, optional
        Of the body of a Scan: which of its outputs each state that comes in is at the next step.
    backward : bool
        Of the body of a Scan: whether it goes through its sequence from the end.
    """

    def __init__(
        self,
        file: File,
        nodes: Sequence[Any],
        initializers: Iterable[Any] = (),
        inputs: Iterable[str] = (),
        sparse: Iterable[str] = (),
        parent: Scope | None = None,
        bound: Mapping[str, tuple[Scope, str]] | None = None,
        attributes: Attributes | None = None,
        path: tuple[str, ...] = (),
        carried: Mapping[str, str] | None = None,
        backward: bool = False,
    ) -> None:
        self.file, self.parent, self.path, self.attributes, self.nodes = file, parent, path, attributes, nodes
        self.carried, self.backward = dict(carried or {}), backward
        self.inputs, self.sparse, self.bound = set(inputs), set(sparse), dict(bound or {})
        self.held = {one.name: one for one in initializers}
        self.made = {name: (node, place) for node in nodes for place, name in enumerate(node.output) if name}
        self._known: dict[str, AnyArray | NotConstant | None] = {}  # None: being asked for

    def attributes_of(self, node: Any) -> Attributes:
        """Return the attributes of one of its nodes."""
        return Attributes(node, self.file.budget, self.attributes)

    def owner(self, name: str) -> tuple[Scope, str]:
        """Return the scope that a name belongs to, and what it is called there."""
        scope: Scope | None = self
        for _ in range(2 * DEEPEST):
            self.file.budget.work(2 + len(name) // 256, LOOKING)
            if scope is None:
                raise NotConstant(f"there is nothing named {shown(name)!r}")
            if name in scope.bound:
                scope, name = scope.bound[name]
            elif any(name in names for names in (scope.held, scope.made, scope.inputs, scope.sparse)):
                return scope, name
            else:
                scope = scope.parent
        raise NotConstant(f"the name {shown(name)!r} is nested too deeply")

    def source(self, name: str) -> tuple[Scope, Any, int] | None:
        """Return the node that makes a name, with its scope and the place of the output, if one does."""
        try:
            scope, name = self.owner(name)
        except NotConstant:
            return None
        return (scope, *scope.made[name]) if name in scope.made and name not in scope.held else None

    def value(self, name: str, depth: int = 0) -> AnyArray:
        """Return the value of a name.

        Raises
        ------
        NotConstant
            If it has none in the file.
        """
        scope, name = self.owner(name)
        if depth > DEEPEST:
            raise NotConstant(f"it is computed in more than {DEEPEST} steps")
        if name in scope._known:
            known = scope._known[name]
            if known is None:
                raise NotConstant(f"{shown(name)!r} depends on itself")
            if isinstance(known, NotConstant):
                raise NotConstant(*known.args)
            return known
        scope._known[name] = None
        try:
            found = scope._found(name, depth)
        except NotConstant as problem:
            scope._known[name] = problem
            raise
        scope._known[name] = found
        return found

    def _found(self, name: str, depth: int) -> AnyArray:
        if self.parent is None and name in self.inputs and name in self.file.omitted:
            return self.file.omitted[name]
        if name in self.held:
            return self.file.array(self.held[name])
        if name in self.sparse:
            raise NotConstant(f"it is sparse ({shown(name)!r}), which is not supported")
        if name not in self.made:
            raise NotConstant(f"it comes from the input {shown(name)!r}")
        node, place = self.made[name]
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise NotConstant(f"it comes from a node {shown(node.op_type)} ({shown(node.name or name)!r})")
        self.file.budget.work(10 + len(node.input), "computing its constants")
        inputs = [self.value(one, depth + 1) if one else None for one in node.input]
        try:
            return OPERATORS[node.op_type](Call(self.file, node, self.attributes_of(node), inputs, place))
        except (ValueError, IndexError, TypeError, OverflowError) as problem:
            raise NotConstant(f"{node.op_type} cannot be computed ({reason(problem)})") from None
