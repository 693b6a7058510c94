"""Sizes in an ONNX graph: those of axes, and the shapes that it computes of them for its Reshapes.

A size is a number where the graph states it; otherwise it stands for an axis, and two that are equal are the same size.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress

from gatewise.interop.onnx.attributes import LOOKING, NotConstant
from gatewise.interop.onnx.file import dims_of
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope, OnnxValue

Size = int | tuple[Hashable, ...]
AXES = 8  # of an array whose sizes are asked for
ELEMENTWISE = ("Identity", "Cast", "Dropout", "Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "LayerNormalization")


class Sizes:
    """The sizes in the graphs of one file, computed when they are asked for."""

    def __init__(self) -> None:
        self._learned: dict[OnnxValue, tuple[Size, ...]] = {}
        self._declared: dict[OnnxScope, dict[str, tuple[Size, ...]]] = {}
        self._known: dict[tuple[OnnxScope, str, int], Size] = {}
        self._vectors: dict[OnnxValue, list[Size] | None] = {}

    def learn(self, scope: OnnxScope, name: str, sizes: Sequence[Size]) -> None:
        """Keep the sizes of an array that do not follow from its node alone."""
        self._learned[OnnxValue(scope, name)] = tuple(sizes)

    def of_axis(self, scope: OnnxScope, name: str, axis: int, depth: int = 0) -> Size:
        """Return the size of an axis in an ONNX graph: a number, or a stand-in for one that the graph leaves open."""
        try:
            value = scope.resolve(name)
        except NotConstant:
            return scope, name, axis
        key = *value, axis
        if key not in self._known:
            value.scope.file.budget.work(2, LOOKING)
            self._known[key] = key  # where it depends on itself
            size = None if depth > DEEPEST else self._axis_size(value, axis, depth)
            self._known[key] = key if size is None else size
        return self._known[key]

    def _axis_size(self, value: OnnxValue, axis: int, depth: int) -> Size | None:
        """Return an axis's size as learned, implied by its ONNX node or declared by the graph; None if unknown."""
        shape = self._learned.get(value)
        if shape is None and value.name in value.scope.tensors:
            shape = dims_of(value.scope.tensors[value.name])
        if shape is None:
            node, position = value.scope.computed.get(value.name, (None, 0))
            with suppress(NotConstant, IndexError):
                if node is not None and position == 0 and (size := self._computed_size(node, axis, depth)) is not None:
                    return size
            shape = self._declared_shape(value.scope, value.name) or ()
        return shape[axis] if axis < len(shape) else None

    def _computed_size(self, node: OnnxNode, axis: int, depth: int) -> Size | None:
        """Return the size of an axis of an ONNX node's first output, by the sizes of its inputs; None if unknown."""
        scope, inputs, attributes = node.scope, node.inputs, node.attributes

        def size(number: int, axis: int) -> Size:
            return self.of_axis(scope, inputs[number], axis, depth + 1)

        match node.operator:
            case operator if operator in ELEMENTWISE:
                return size(0, axis)
            case "Transpose" if (order := attributes.get("perm", "ints")) is not None:
                return size(0, order[axis])
            case "LSTM" if not attributes.get("layout", "i", 0):
                r = self._declared_shape(scope, inputs[2])
                if axis in (0, 2):
                    return size(0, axis // 2)
                return None if r is None or len(r) != 3 else r[0] if axis == 1 else r[2]
            case "Gather" if attributes.get("axis", "i", 0) == 0 and axis < 2:  # an embedding of tokens
                return size(1, axis) if self._array_rank(scope, inputs[0]) == 2 else None
            case "MatMul" if axis < 2:  # of three axes with a matrix
                return size(0, axis) if self._array_rank(scope, inputs[1]) == 2 else None
            case "Add" | "Sub" | "Mul" | "Div":  # with a vector or a number
                ranks = [self._array_rank(scope, name) for name in inputs]
                others = [number for number, rank in enumerate(ranks) if rank is None or rank > 1]
                return size(others[0], axis) if len(others) == 1 else None
        return None

    def _declared_shape(self, scope: OnnxScope, name: str) -> tuple[Size, ...] | None:
        """Return the shape that the ONNX graph states of an array: an input, a tensor, an output, or one in between."""
        try:
            scope, name = scope.resolve(name)
            if name in scope.tensors:
                return dims_of(scope.tensors[name])
        except NotConstant:
            return None
        if scope not in self._declared:
            declared = self._declared[scope] = {}
            if scope.parent is None and not scope.bound:
                graph = scope.file.model.graph
                infos = [*graph.value_info, *graph.output, *graph.input]
                scope.file.budget.work(2 * len(infos), LOOKING)
                for info in infos:
                    if info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape"):
                        dims = enumerate(info.type.tensor_type.shape.dim[:AXES])
                        declared[info.name] = tuple(
                            dim.dim_value if dim.dim_value > 0 else (scope, info.name, axis) for axis, dim in dims
                        )
        return self._declared[scope].get(name)

    def _array_rank(self, scope: OnnxScope, name: str) -> int | None:
        """Return the number of axes of an array in an ONNX graph; None if unknown."""
        try:
            value = scope.resolve(name)
            if value in self._learned:
                return len(self._learned[value])
            node, position = value.scope.computed.get(value.name, (None, 0))
            if node is not None and node.operator == "Constant":
                return value.scope.value(value.name).ndim
            if node is not None and node.operator == "Transpose":
                return len(node.attributes.get("perm", "ints")) or None
        except (NotConstant, TypeError):
            return None
        if node is not None and node.operator == "LSTM" and position == 0:
            return 4
        shape = self._declared_shape(*value)
        return None if shape is None else len(shape)

    def shape_vector(self, scope: OnnxScope, name: str, depth: int = 0) -> list[Size] | None:
        """Return the sizes in a shape that an ONNX graph computes, or in one size of it; None unless all are known."""
        try:
            value = scope.resolve(name)
        except NotConstant:
            return None
        if value not in self._vectors:
            self._vectors[value] = None  # where it depends on itself
            value.scope.file.budget.work(2, LOOKING)
            with suppress(NotConstant, IndexError):
                self._vectors[value] = self._read_shape_vector(value, depth + 1) if depth < DEEPEST else None
        return self._vectors[value]

    def _read_shape_vector(self, value: OnnxValue, depth: int) -> list[Size] | None:
        """Return the sizes in a shape of an ONNX graph, constant or computed; None unless all are known."""
        try:
            array = value.scope.value(value.name)
        except NotConstant:
            node, position = value.scope.computed.get(value.name, (None, 0))
            if node is None or position or len(node.inputs) > AXES:
                return None
            sizes = self._computed_shape_vector(node, depth)
            return None if sizes is None or len(sizes) > AXES else sizes
        few = array.dtype.kind in "iu" and array.size <= AXES
        return [int(size) for size in array.reshape(-1)] if few else None

    def _computed_shape_vector(self, node: OnnxNode, depth: int) -> list[Size] | None:
        """Return the sizes in a shape that an ONNX node computes of an array's sizes, or of other shapes."""
        if node.operator == "Shape":
            start, end = node.attributes.get("start", "i", 0), node.attributes.get("end", "i")
            rank = self._array_rank(node.scope, node.inputs[0])
            if rank is None and (start < 0 or end is None or not 0 <= end <= AXES):
                return None
            axes = range(AXES if rank is None else rank)[slice(start, end)]
            return [self.of_axis(node.scope, node.inputs[0], axis, depth) for axis in axes]
        vectors = [self.shape_vector(node.scope, name, depth) for name in node.inputs]
        if not vectors or None in vectors:
            return None
        first, *other_vectors = [vector for vector in vectors if vector is not None]
        others = [size for vector in other_vectors for size in vector]
        numbers = [size for size in others if isinstance(size, int)]
        match node.operator:
            case "Slice" if len(numbers) == len(other_vectors) and numbers[2:] in ([], [0], [0, 1]):
                return first[numbers[0] : numbers[1]]
            case "Gather" if numbers == others:
                return [first[number] for number in numbers]
            case "Concat":
                return [*first, *others]
            case "Mul" if len(first) == len(others) == len(numbers) == 1 and isinstance(first[0], int):
                return [first[0] * numbers[0]]
            case "Squeeze" | "Unsqueeze" | "Reshape" if len(first) == 1:
                return first
            case "Identity" | "Cast":
                return first
        return None
