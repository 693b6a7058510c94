"""Other layers of an ONNX graph that a network may use: linear layers and embeddings, by their tensors' names.

A linear layer's bias and its nonlinearity may come after operators that move its numbers without changing them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, shown
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import StoredLayer
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.file import dims_of
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope

QUANTISED = ("QLinearMatMul", "MatMulInteger", "QGemm", "DynamicQuantizeMatMul", "MatMulNBits")
ACTIVATIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softmax": "softmax"}


@dataclass(frozen=True)
class Matrix:
    """A matrix of a linear layer or an embedding, whose numbers are in the file."""

    scope: OnnxScope  # of the node that reads it
    source: str  # the name that the node reads
    name: str  # of the tensor, in the graph that holds it
    shape: tuple[int, int]  # as a network has it: (output, features), or (vocabulary, size)
    transposed: bool = False  # whether the file has the axes the other way round
    bias: str = ""  # the name of the bias that the same node adds

    def read(self) -> Array:
        """Return the numbers in the shape of a network's."""
        array = read_tensor(self.scope, self.source)
        return array.T if self.transposed else array

    def has_bias(self, name: str) -> bool:
        """Say whether a name in an ONNX graph can be the matrix's bias: a vector in the file, one number an output."""
        try:
            scope, inner = self.scope.resolve(name)
            tensor = scope.tensors.get(inner)
            shape = scope.value(inner).shape if tensor is None else dims_of(tensor)
        except NotConstant:
            return False
        return shape in ((self.shape[0],), (1, self.shape[0]))


def matrix_of(node: OnnxNode) -> Matrix | None:
    """Return the matrix of an ONNX Gather from a table, a MatMul or a Gemm; None of other nodes.

    NotConstant if its numbers are not in the file, or are no matrix; IndexError if the node lacks an input.
    """
    attributes, inputs = node.attributes, node.inputs
    if node.operator == "Gather" and attributes.get("axis", "i", 0) == 0:
        return _named_matrix(node, inputs[0], transposed=False)
    if node.operator == "MatMul":
        return _named_matrix(node, inputs[1], transposed=True)
    scales = [attributes.get(name, "f", 1.0) for name in ("alpha", "beta")]
    if node.operator == "Gemm" and scales == [1, 1] and not attributes.get("transA", "i", 0):
        bias = inputs[2] if len(inputs) > 2 else ""
        return _named_matrix(node, inputs[1], transposed=not attributes.get("transB", "i", 0), bias=bias)
    return None


def _named_matrix(node: OnnxNode, name: str, *, transposed: bool, bias: str = "") -> Matrix:
    """Return the matrix that an ONNX node reads under a name; NotConstant if it is not one of floats."""
    scope, inner = node.scope.resolve(name)
    tensor = scope.tensors.get(inner)
    if tensor is not None:
        shape, dtype = dims_of(tensor), scope.file.dtype(tensor.data_type)
    else:
        array = scope.value(inner)
        shape, dtype = array.shape, array.dtype
    if len(shape) != 2 or min(shape) < 1 or dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise NotConstant("it is not a matrix of numbers")
    rows, columns = shape[::-1] if transposed else shape
    return Matrix(node.scope, name, inner, (rows, columns), transposed, bias)


def read_tensor(scope: OnnxScope, name: str) -> Array:
    """Return the numbers of an ONNX tensor; `FileError` if the file does not have them."""
    try:
        return np.require(to_float(scope.value(name)), requirements="A")  # in the file it may not be aligned
    except NotConstant as problem:
        raise FileError(f"cannot read {shown(name)!r}: {problem}") from None


def parts_of(nodes: Sequence[OnnxNode], outputs: Collection[str]) -> tuple[StoredLayer, ...]:
    """Return an ONNX model's linear layers and embeddings: every Gemm, MatMul and Gather of tensors in the file.

    `outputs` are those of the main graph.
    """
    parts: dict[str, StoredLayer] = {}
    readers: dict[OnnxScope, dict[str, list[OnnxNode]]] = {}
    for node in nodes:
        of_scope = readers.setdefault(node.scope, {})
        for name in node.inputs:
            if name and node.operator != "Shape":  # which does not look at the numbers
                of_scope.setdefault(name, []).append(node)
    for node in nodes:
        try:
            part = _stored_layer(node, _Readers(readers[node.scope], () if node.scope.parent else outputs))
        except (NotConstant, IndexError):
            continue
        if part is not None:
            parts.setdefault(part.name, part)
    return tuple(parts.values())


def _stored_layer(node: OnnxNode, readers: _Readers) -> StoredLayer | None:
    """Return the embedding or the linear layer of an ONNX node, with the bias and the nonlinearity after it."""
    if node.operator in QUANTISED:
        return StoredLayer(node.label, f"quantised linear layer ({node.operator})", ())
    matrix = matrix_of(node)
    if matrix is None:
        return None
    if node.operator == "Gather":
        return StoredLayer(matrix.name, "embedding", matrix.shape, matrix.read)
    last, bias, size = node, matrix.bias, matrix.shape[0]
    if node.operator == "MatMul":
        product, after = readers.follow(node, size)
        if len(after) == 1 and after[0].operator == "Add" and len(after[0].inputs) == 2:
            others = [name for name in after[0].inputs if name != product.outputs[0]]
            if len(others) == 1 and matrix.has_bias(others[0]):
                bias, last = others[0], after[0]
    if bias and not matrix.has_bias(bias):
        return None
    flat = last is node and node.operator == "Gemm"
    last, after = readers.follow(last, size)
    activation = None
    if len(after) == 1 and last.outputs[0] not in readers.outputs:
        activation = _activation_of(after[0], flat=flat, size=size)
    kind = "linear layer"
    if after and activation is None:
        kind += f", whose output goes to {', '.join(dict.fromkeys(reader.operator for reader in after[:8]))}"
    read_bias = (lambda: read_tensor(node.scope, bias).reshape(-1)) if bias else None
    return StoredLayer(matrix.name, kind, matrix.shape, matrix.read, read_bias, activation)


@dataclass(frozen=True)
class _Readers:
    """The nodes that read each name of a graph, and the names that it returns."""

    by_name: Mapping[str, Sequence[OnnxNode]]
    outputs: Collection[str]

    def follow(self, node: OnnxNode, size: int) -> tuple[OnnxNode, Sequence[OnnxNode]]:
        """Return the last ONNX node that only passes on a node's numbers, keeping its last axis, and its readers."""
        source = node.scope.computed.get(node.outputs[0])
        if source is None or source.node is not node:  # another node computes that name again
            return node, []
        for _ in range(DEEPEST):
            name = node.outputs[0]
            after = self.by_name.get(name, [])
            if name in self.outputs or len(after) != 1 or not _keeps_last_axis(after[0], name, size):
                break
            node = after[0]
        return node, after


def _keeps_last_axis(node: OnnxNode, name: str, size: int) -> bool:
    """Say whether an ONNX node only moves the numbers of a name, and keeps its last axis, of that size, the last."""
    if node.inputs[0] != name:  # asked first: a hostile node may have many inputs, and many attributes
        return False
    attributes = node.attributes
    if node.operator == "Transpose":
        order = attributes.get("perm", "ints", [])
        return bool(order) and order[-1] == len(order) - 1
    if node.operator == "Reshape":
        try:
            shape = attributes.get("shape", "ints") or node.scope.value(node.inputs[1]).reshape(-1)
        except NotConstant:
            return True  # computed as the model runs, of the sizes before the last
        return len(shape) > 0 and shape[-1] in (-1, size)
    return node.operator in ("Identity", "Squeeze")  # an axis of one number may go


def _activation_of(node: OnnxNode, *, flat: bool, size: int) -> str | None:
    """Return an ONNX node's nonlinearity as `Linear` calls it, if it is one: softmax over the last axis alone.

    `flat` says that its input has two axes.
    """
    if len(node.inputs) != 1:
        return None
    if node.operator == "Softmax":
        axis = softmax_axis(node)
        if size == 1 or not (axis == -1 or (flat and axis == 1)):
            return None
    return ACTIVATIONS.get(node.operator)


def softmax_axis(node: OnnxNode) -> int:
    """Return the axis of a Softmax; its default changed in opset 13."""
    return int(node.attributes.get("axis", "i", -1 if node.scope.file.opset >= 13 else 1))
