"""Sizes in an ONNX graph: those of axes, and the shapes that it computes of them for its Reshapes.

A size is a number where the graph says it, and else stands for an axis: two that are equal are the same size.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

from gatewise.interop.onnx.attributes import LOOKING, NotConstant
from gatewise.interop.onnx.file import dims_of
from gatewise.interop.onnx.scopes import DEEPEST, Scope

Size = int | tuple[Hashable, ...]
AXES = 8  # of an array whose sizes are asked for
ELEMENTWISE = ("Identity", "Cast", "Dropout", "Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "LayerNormalization")


class Sizes:
    """The sizes in the graphs of one file, found when they are asked for."""

    def __init__(self) -> None:
        self._learned: dict[tuple[int, str], tuple[Size, ...]] = {}
        self._declared: dict[int, dict[str, tuple[Size, ...]]] = {}
        self._known: dict[tuple[int, str, int], Size] = {}
        self._vectors: dict[tuple[int, str], list[Size] | None] = {}

    def learn(self, scope: Scope, name: str, sizes: Sequence[Size]) -> None:
        """Take the sizes of an array, whose node does not tell them by itself."""
        self._learned[id(scope), name] = tuple(sizes)

    def of(self, scope: Scope, name: str, axis: int, depth: int = 0) -> Size:
        """Return the size of an axis."""
        try:
            scope, name = scope.owner(name)
        except NotConstant:
            return id(scope), name, axis
        key = id(scope), name, axis
        if key not in self._known:
            scope.file.budget.work(2, LOOKING)
            self._known[key] = key  # where it depends on itself
            found = None if depth > DEEPEST else self._found(scope, name, axis, depth)
            self._known[key] = key if found is None else found
        return self._known[key]

    def _found(self, scope: Scope, name: str, axis: int, depth: int) -> Size | None:
        if (id(scope), name) in self._learned:
            learned = self._learned[id(scope), name]
            return learned[axis] if axis < len(learned) else None
        if name in scope.held:
            dims = dims_of(scope.held[name])
            return dims[axis] if axis < len(dims) else None
        if name in scope.made:
            node, place = scope.made[name]
            try:
                if place == 0 and (found := self._made(scope, node, axis, depth)) is not None:
                    return found
            except (NotConstant, IndexError):
                pass
        declared = self._shape(scope, name)
        return declared[axis] if declared is not None and axis < len(declared) else None

    def _made(self, scope: Scope, node: Any, axis: int, depth: int) -> Size | None:
        """Return a size of the first output of a node, by the sizes of what it is given."""
        given, attributes = node.input, scope.attributes_of(node)
        if node.op_type in ELEMENTWISE:
            return self.of(scope, given[0], axis, depth + 1)
        if node.op_type == "Transpose" and (order := attributes.get("perm", "ints")) is not None:
            return self.of(scope, given[0], order[axis], depth + 1)
        if node.op_type == "LSTM" and not attributes.get("layout", "i", 0):
            r = self._shape(scope, given[2])
            if axis in (0, 2):
                return self.of(scope, given[0], axis // 2, depth + 1)
            return None if r is None or len(r) != 3 else r[0] if axis == 1 else r[2]
        if node.op_type == "Gather" and attributes.get("axis", "i", 0) == 0 and axis < 2:  # an embedding of tokens
            return self.of(scope, given[1], axis, depth + 1) if self._rank(scope, given[0]) == 2 else None
        if node.op_type == "MatMul" and axis < 2:  # of three axes with a matrix
            return self.of(scope, given[0], axis, depth + 1) if self._rank(scope, given[1]) == 2 else None
        if node.op_type in ("Add", "Sub", "Mul", "Div"):  # with a vector or a number
            ranks = [self._rank(scope, one) for one in given]
            others = [one for one, rank in zip(given, ranks, strict=True) if rank is None or rank > 1]
            return self.of(scope, others[0], axis, depth + 1) if len(others) == 1 else None
        return None

    def _shape(self, scope: Scope, name: str) -> tuple[Size, ...] | None:
        """Return the sizes that the graph states of an array: of its inputs, its tensors, and in between."""
        try:
            scope, name = scope.owner(name)
            if name in scope.held:
                return dims_of(scope.held[name])
        except NotConstant:
            return None
        if id(scope) not in self._declared:
            self._declared[id(scope)] = {}
            if scope.parent is None and not scope.bound:
                graph = scope.file.model.graph
                stated = [*graph.value_info, *graph.output, *graph.input]
                scope.file.budget.work(2 * len(stated), LOOKING)
                for one in stated:
                    if one.type.HasField("tensor_type") and one.type.tensor_type.HasField("shape"):
                        dims = one.type.tensor_type.shape.dim[:AXES]
                        sizes = [dim.dim_value if dim.dim_value > 0 else None for dim in dims]
                        self._declared[id(scope)][one.name] = tuple(
                            (id(scope), one.name, axis) if size is None else size for axis, size in enumerate(sizes)
                        )
        return self._declared[id(scope)].get(name)

    def _rank(self, scope: Scope, name: str) -> int | None:
        """Return how many axes an array has."""
        try:
            owner, inner = scope.owner(name)
        except NotConstant:
            return None
        if (id(owner), inner) in self._learned:
            return len(self._learned[id(owner), inner])
        if inner in owner.made:
            node, place = owner.made[inner]
            try:
                if node.op_type == "Constant":
                    return owner.value(inner).ndim
                if node.op_type == "Transpose":
                    return len(owner.attributes_of(node).get("perm", "ints")) or None
                if node.op_type == "LSTM" and place == 0:
                    return 4
            except (NotConstant, TypeError):
                return None
        shape = self._shape(owner, inner)
        return None if shape is None else len(shape)

    def vector(self, scope: Scope, name: str, depth: int = 0) -> list[Size] | None:
        """Return the numbers of a vector of sizes, or of one size, where all are known."""
        try:
            scope, name = scope.owner(name)
        except NotConstant:
            return None
        key = id(scope), name
        if key not in self._vectors:
            self._vectors[key] = None  # where it depends on itself
            scope.file.budget.work(2, LOOKING)
            with suppress(NotConstant, IndexError):
                self._vectors[key] = self._vector(scope, name, depth + 1) if depth < DEEPEST else None
        return self._vectors[key]

    def _vector(self, scope: Scope, name: str, depth: int) -> list[Size] | None:
        try:
            array = scope.value(name)
        except NotConstant:
            node, place = scope.made.get(name, (None, 0))
            if node is None or place or len(node.input) > AXES:
                return None
            found = self._computed(scope, node, depth)
            return None if found is None or len(found) > AXES else found
        few = array.dtype.kind in "iu" and array.size <= AXES
        return [int(one) for one in array.reshape(-1)] if few else None

    def _computed(self, scope: Scope, node: Any, depth: int) -> list[Size] | None:
        attributes = scope.attributes_of(node)
        if node.op_type == "Shape":
            start, end = attributes.get("start", "i", 0), attributes.get("end", "i")
            rank = self._rank(scope, node.input[0])
            if rank is None and (start < 0 or end is None or not 0 <= end <= AXES):
                return None
            axes = range(AXES if rank is None else rank)[slice(start, end)]
            return [self.of(scope, node.input[0], axis, depth) for axis in axes]
        found = [one for name in node.input if (one := self.vector(scope, name, depth)) is not None]
        if not found or len(found) < len(node.input):
            return None
        first, others = found[0], [size for one in found[1:] for size in one]
        numbers = [one for one in others if isinstance(one, int)]
        if node.op_type == "Slice" and len(numbers) == len(found) - 1 and numbers[2:] in ([], [0], [0, 1]):
            return first[numbers[0] : numbers[1]]
        if node.op_type == "Gather" and numbers == others:
            return [first[one] for one in numbers]
        if node.op_type == "Concat":
            return [*first, *others]
        if node.op_type == "Mul" and len(first) == len(others) == len(numbers) == 1 and isinstance(first[0], int):
            return [first[0] * numbers[0]]
        moved = node.op_type in ("Squeeze", "Unsqueeze", "Reshape") and len(first) == 1
        return first if moved or node.op_type in ("Identity", "Cast") else None
