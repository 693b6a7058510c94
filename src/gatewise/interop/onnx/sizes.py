"""Sizes in an ONNX graph: those of axes, and the shapes that it computes of them for its Reshapes.

A size is a number where the graph states it. Else a number from OPEN down stands for it, and two that are equal are
the same size.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from gatewise.interop.onnx.attributes import LOOKING, NotConstant
from gatewise.interop.onnx.edges import flipped_axis
from gatewise.interop.onnx.file import AnyArray, dims_of
from gatewise.interop.onnx.nonlinearities import ACTIVATIONS, FUSED_BIAS, WITH_ALPHA
from gatewise.interop.onnx.operators import OPEN
from gatewise.interop.onnx.scopes import DEEPEST, NodeOutput, OnnxNode, OnnxScope, OnnxValue

AXES = 8  # of an array whose sizes are asked for
KEEPING = {  # operators whose output has the shape of their first input
    *(*ACTIVATIONS, *WITH_ALPHA, *FUSED_BIAS, "Gelu", "PRelu", "Identity", "Cast", "Dropout", "LayerNormalization"),
    *("Log", "Abs", "Neg", "Erf", "Sqrt", "Reciprocal", "Clip"),
}


class Sizes:
    """The sizes in the graphs of one file, computed when they are asked for."""

    def __init__(self) -> None:
        self._learned: dict[OnnxValue, tuple[int, ...]] = {}
        self._declared: dict[OnnxScope, dict[str, tuple[int | None, ...]]] = {}
        self._known: dict[tuple[OnnxScope, str, int], int] = {}
        self._noted: list[tuple[OnnxValue, Iterable[int]]] = []

    def learn(self, scope: OnnxScope, name: str, sizes: Iterable[int]) -> None:
        """Keep the sizes of an array that do not follow from its node alone; they are not computed before any is."""
        self._noted.append((OnnxValue(scope, name), sizes))

    def _compute_learned(self) -> None:
        """Compute the sizes that were learned since the last time, in order: each may follow from those before."""
        noted, self._noted = self._noted, []
        for value, sizes in noted:
            self._learned[value] = tuple(sizes)

    def of_axis(self, scope: OnnxScope, name: str, axis: int, depth: int = 0) -> int:
        """Return the size of an axis in an ONNX graph, or the negative number that stands for one left open."""
        self._compute_learned()
        value = scope.defined(name) or OnnxValue(scope, name)
        key = *value, axis
        if key not in self._known:
            scope.file.budget.work(2, LOOKING)
            self._known[key] = OPEN - len(self._known)  # where it is left open, or depends on itself
            size = None if depth > DEEPEST else self._axis_size(value, axis, depth)
            if size is not None:
                self._known[key] = size
        return self._known[key]

    def _axis_size(self, value: OnnxValue, axis: int, depth: int) -> int | None:
        """Return an axis's size as learned, implied by its ONNX node or declared by the graph; None if unknown."""
        source = value.scope.source(value.name)
        if source is not None and value not in self._learned:
            with suppress(NotConstant, IndexError):
                if (size := self._computed_size(source, axis, depth)) is not None:
                    return size
        shape = self._shape(value) or ()
        return shape[axis] if axis < len(shape) else None

    def _computed_size(self, source: NodeOutput, axis: int, depth: int) -> int | None:
        """Return the size of an axis of what an ONNX node computes, by the sizes of its inputs; None if unknown."""
        node, inputs, attributes = source.node, source.node.inputs, source.node.attributes
        scope = node.scope

        def size(number: int, axis: int) -> int:
            return self.of_axis(scope, inputs[number], axis, depth + 1)

        if source.position:
            state = node.operator == "LSTM" and axis == 1 and not attributes.get("layout", "i", 0)
            return size(0, 1) if state else None
        match node.operator:
            case operator if operator in KEEPING:
                return size(0, axis)
            case "Transpose" if (order := attributes.get("perm", "ints")) is not None:
                return size(0, order[axis])
            case "LSTM" if not attributes.get("layout", "i", 0):
                if axis in (0, 2):
                    return size(0, axis // 2)
                r = self._shape(scope.resolve(inputs[2]))
                return None if r is None or len(r) != 3 else r[0] if axis == 1 else r[2]
            case "Gather" if attributes.get("axis", "i", 0) == 0 and axis < 2:  # an embedding of tokens
                return size(1, axis) if self._array_rank(scope, inputs[0]) == 2 else None
            case "Slice" if flipped_axis(node) is not None:
                return size(0, axis)
            case "Concat" if axis < 2 and attributes.get("axis", "i") in (-1, 2):  # of features
                return size(0, axis)
            case "Squeeze" if len(dropped := self._squeezed_axes(node)) == 1 and dropped[0] >= 0:
                return size(0, axis + (axis >= dropped[0]))
            case "Reshape" if (shape := self.shape_of_reshape(node)) is not None and shape[axis] != -1:
                return size(0, axis) if shape[axis] == 0 else shape[axis]
            case "MatMul" | "FusedMatMul" if axis < 2:  # of three axes with a matrix
                return size(0, axis) if self._array_rank(scope, inputs[1]) == 2 else None
            case "Add" | "Sub" | "Mul" | "Div" | "Where" | "Less" | "Greater":  # with a vector, or of one size
                ranks = [self._array_rank(scope, name) for name in inputs]
                others = [number for number, rank in enumerate(ranks) if rank is None or rank > 1]
                sizes = {size(number, axis) for number in others[:3]}
                return sizes.pop() if len(sizes) == 1 else None
        return None

    def _shape(self, value: OnnxValue) -> tuple[int | None, ...] | None:
        """Return the shape of an array as learned, or stated by the ONNX graph; None for an axis that is left open."""
        scope, name = value
        if value in self._learned:
            return self._learned[value]
        if name in scope.tensors:
            with suppress(NotConstant):
                return dims_of(scope.tensors[name])
            return None
        if scope not in self._declared:
            declared = self._declared[scope] = {}
            if scope.parent is None and not scope.bound:
                graph = scope.file.model.graph
                infos = [*graph.value_info, *graph.output, *graph.input]
                scope.file.budget.work(2 * len(infos), LOOKING)
                for info in infos:
                    if info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape"):
                        dims = info.type.tensor_type.shape.dim[:AXES]
                        declared[info.name] = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in dims)
        return self._declared[scope].get(name)

    def _array_rank(self, scope: OnnxScope, name: str, depth: int = 0) -> int | None:
        """Return the number of axes of an array in an ONNX graph; None if unknown."""
        with suppress(NotConstant):
            if (shape := self._shape(scope.resolve(name))) is not None:
                return len(shape)
            node, position = scope.source(name) or (None, 0)
            if node is not None and node.operator == "Constant":
                return scope.value(name).ndim
            if node is not None and node.operator == "Transpose":
                return len(node.attributes.get("perm", "ints", [])) or None
            if node is not None and node.operator == "LSTM":
                return 3 if position else 4
            if node is not None and node.operator in KEEPING and node.inputs and depth < DEEPEST:
                return self._array_rank(node.scope, node.inputs[0], depth + 1)
        return None

    def shape_vector(self, scope: OnnxScope, name: str) -> list[int] | None:
        """Return the sizes in a shape that an ONNX graph computes, or in one size of it; None unless all are known.

        -1 stands for a product of sizes that are left open, as for what is left in a shape.
        """
        self._compute_learned()
        return self._sizes_in(scope, name) or self._vector_with_product(scope, name)

    def _sizes_in(self, scope: OnnxScope, name: str) -> list[int] | None:
        """Return the sizes that an ONNX name holds; None unless all are known."""
        try:
            array = scope.value(name, shape_of=self._shape_of)
        except NotConstant:
            return None
        few = array.dtype.kind in "iu" and array.size <= AXES
        return [int(size) for size in array.reshape(-1)] if few else None

    def _vector_with_product(self, scope: OnnxScope, name: str) -> list[int] | None:
        """Return the sizes that an ONNX Concat puts together, of which one may be a product: -1 stands for it."""
        joined = next((node for node, _ in scope.upstream(name) if node.operator not in ("Identity", "Cast")), None)
        if joined is None or joined.operator != "Concat":
            return None
        sizes: list[int] = []
        for piece in joined.inputs[:AXES]:
            computed = (node.operator for node, _ in joined.scope.upstream(piece))
            product = next((name for name in computed if name not in ("Unsqueeze", "Cast")), "") == "ReduceProd"
            known = self._sizes_in(joined.scope, piece) or ([-1] if product else None)
            if known is None:
                return None
            sizes += known
        return sizes if sizes.count(-1) < 2 else None

    def _squeezed_axes(self, node: OnnxNode) -> list[int]:
        """Return the axes that an ONNX Squeeze drops; none if they are not stated."""
        axes: list[int] | None = node.attributes.get("axes", "ints")
        return axes or (self.shape_vector(node.scope, node.inputs[1]) if len(node.inputs) > 1 else None) or []

    def shape_of_reshape(self, node: OnnxNode) -> list[int] | None:
        """Return the shape that an ONNX Reshape is given, as `shape_vector`; 0 and -1 stand for what they do there."""
        if len(node.inputs) > 1:
            return self.shape_vector(node.scope, node.inputs[1])
        shape: list[int] | None = node.attributes.get("shape", "ints")
        return shape

    def _shape_of(self, node: OnnxNode, depth: int) -> AnyArray:
        """Return the sizes that an ONNX node Shape gives; NotConstant if they may be of any number of axes."""
        name = node.inputs[0] if node.inputs else ""
        start, end = node.attributes.get("start", "i", 0), node.attributes.get("end", "i")
        rank = self._array_rank(node.scope, name)
        if rank is None and (start < 0 or end is None or not 0 <= end <= AXES):
            raise NotConstant("it is the shape of an array of any number of axes")
        axes = range(AXES if rank is None else rank)[slice(start, end)]
        return np.array([self.of_axis(node.scope, name, axis, depth) for axis in axes], np.int64)
