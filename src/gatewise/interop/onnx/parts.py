"""Other layers of an ONNX graph that a network may use: linear layers and embeddings, by their tensors' names.

A linear layer's bias and its nonlinearity may come after operators that move its numbers without changing them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import FileError, shown
from gatewise.interop.containers.tensors import to_float
from gatewise.interop.contents import StoredLayer
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.file import dims_of
from gatewise.interop.onnx.nonlinearities import MICROSOFT, MOST, fused_activation, is_elementwise_node, nonlinearity_at
from gatewise.interop.onnx.scopes import DEEPEST, OnnxNode, OnnxScope, OnnxValue
from gatewise.network import SOFTMAX

MATRICES = ("Gather", "MatMul", "Gemm", "FusedGemm", "FusedMatMul")
QUANTISED = ("QLinearMatMul", "MatMulInteger", "QGemm", "DynamicQuantizeMatMul", "MatMulNBits")


@dataclass(frozen=True)
class Matrix:
    """A matrix of a linear layer or an embedding, whose numbers are in the file."""

    scope: OnnxScope  # of the node that reads it
    source: str  # the name that the node reads
    name: str  # of the tensor, in the graph that holds it
    shape: tuple[int, int]  # as a network has it: (output, features), or (vocabulary, size)
    transposed: bool = False  # whether the file has the axes the other way round
    bias: str = ""  # the name of the bias that the same node adds
    scale: float = 1.0  # by which the same node multiplies it

    def read(self) -> Array:
        """Return the numbers in the shape of a network's."""
        array = read_tensor(self.scope, self.source)
        if self.scale != 1:
            array = array * array.dtype.type(self.scale)
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
    """Return the matrix of an ONNX Gather from a table, a MatMul or a Gemm, fused or not; None of other nodes.

    NotConstant if its numbers are not in the file, or are no matrix; IndexError if the node lacks an input.
    """
    fused = node.proto.domain == MICROSOFT and node.operator.startswith("Fused")
    if node.operator not in MATRICES or not (node.is_standard or fused):
        return None
    attributes, inputs = node.attributes, node.inputs
    if node.operator == "Gather" and attributes.get("axis", "i", 0) == 0:
        return _named_matrix(node, inputs[0], transposed=False)
    if node.operator == "MatMul":
        return _named_matrix(node, inputs[1], transposed=True)
    plain = not any(attributes.get(name, "i", 0) for name in ("transA", "transBatchA", "transBatchB"))
    bias = inputs[2] if len(inputs) > 2 else ""
    fits = node.operator in ("Gemm", "FusedGemm") and (not bias or attributes.get("beta", "f", 1.0) == 1)
    if plain and (fits or (node.operator == "FusedMatMul" and not bias)):
        matrix = _named_matrix(node, inputs[1], transposed=not attributes.get("transB", "i", 0), bias=bias)
        return replace(matrix, scale=attributes.get("alpha", "f", 1.0))
    return None


def _named_matrix(node: OnnxNode, name: str, *, transposed: bool, bias: str = "") -> Matrix:
    """Return the matrix that an ONNX node reads under a name; NotConstant if it is not one of floats."""
    scope, inner = node.scope.resolve(name)
    shape, dtype = _shape_and_type(scope, inner)
    if len(shape) != 2 or min(shape) < 1 or not _is_floating(dtype):
        raise NotConstant("it is not a matrix of numbers")
    rows, columns = shape[::-1] if transposed else shape
    return Matrix(node.scope, name, inner, (rows, columns), transposed, bias)


@cache
def _is_floating(dtype: np.dtype[Any]) -> bool:
    """Say whether a type of NumPy is one of a network's weights; its name takes long to make."""
    return dtype.name in ("float16", "bfloat16", "float32", "float64")


def _shape_and_type(scope: OnnxScope, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an ONNX constant, given its scope; those of a tensor without reading its numbers."""
    if (tensor := scope.tensors.get(name)) is not None:
        return dims_of(tensor), scope.file.dtype(tensor.data_type)
    source = scope.source(name)
    if source is not None and source.node.operator == "DequantizeLinear":
        values = map(source.node.scope.resolve, source.node.inputs[:2])
        integers, scale = (value.scope.tensors.get(value.name) for value in values)
        if integers is not None and scale is not None:
            return dims_of(integers), scope.file.dtype(scale.data_type)
    array = scope.value(name)
    return array.shape, array.dtype


def read_tensor(scope: OnnxScope, name: str) -> Array:
    """Return the numbers of an ONNX tensor; `FileError` if the file does not have them."""
    try:
        return np.require(to_float(scope.value(name)), requirements="A")  # in the file it may not be aligned
    except NotConstant as problem:
        raise FileError(f"cannot read {shown(name)!r}: {problem}") from None


@dataclass(frozen=True)
class Part:
    """A layer in an ONNX graph: its node, what that reads, and the name of its output with bias and nonlinearity."""

    layer: StoredLayer
    node: OnnxNode
    data: OnnxValue
    output: str


def parts_of(
    nodes: Sequence[OnnxNode],
    outputs: Collection[str],
    entries: Callable[[str], Sequence[str]],
    steps: Collection[OnnxNode],
) -> list[Part]:
    """Return an ONNX model's linear layers and embeddings: every Gemm, MatMul and Gather of tensors in the file.

    `outputs` are those of the main graph; `entries` returns what a layer of that name is made of; `steps` are nodes of
    LSTMs, which are no other layers.
    """
    parts: list[Part] = []
    readers: dict[OnnxScope, _Readers] = {}
    for node in nodes:
        if (of_scope := readers.get(node.scope)) is None:
            of_scope = readers[node.scope] = _Readers({}, () if node.scope.parent else outputs)
        for name in node.inputs if node.operator != "Shape" else ():  # which does not look at the numbers
            if name:
                of_scope.by_name.setdefault(name, []).append(node)
    for node in (node for node in nodes if node not in steps):
        try:
            part = _stored_layer(node, readers[node.scope], entries)
        except (NotConstant, IndexError):
            continue
        if part is not None:
            parts.append(part)
    return parts


def _stored_layer(node: OnnxNode, readers: _Readers, entries: Callable[[str], Sequence[str]]) -> Part | None:
    """Return the embedding or the linear layer of an ONNX node, with the bias and the nonlinearity after it."""
    if node.operator in QUANTISED:
        kind = f"quantised linear layer ({node.operator})"
        layer = StoredLayer(node.label, kind, (), entries=entries(node.label))
        return Part(layer, node, OnnxValue(node.scope, node.inputs[0]), node.outputs[0])
    matrix = matrix_of(node)
    if matrix is None:
        return None
    used = entries(matrix.name)
    if node.operator == "Gather":
        layer = StoredLayer(matrix.name, "embedding", matrix.shape, matrix.read, entries=used)
        return Part(layer, node, OnnxValue(node.scope, node.inputs[1]), node.outputs[0])
    last, bias, size = node, matrix.bias, matrix.shape[0]
    if node.operator in ("MatMul", "FusedMatMul"):
        product, after = readers.follow(node, size)
        if len(after) == 1 and after[0].operator == "Add" and len(after[0].inputs) == 2:
            others = [name for name in after[0].inputs if name != product.outputs[0]]
            if len(others) == 1 and matrix.has_bias(others[0]):
                bias, last = others[0], after[0]
    if bias and not matrix.has_bias(bias):
        return None
    flat = last is node and node.operator in ("Gemm", "FusedGemm")
    fused = fused_activation(node) if node.operator == "FusedGemm" else None
    if node.operator == "FusedGemm" and fused is None:
        return None
    last, after = readers.follow(last, size)
    activation, output = fused, last.outputs[0]
    if fused is None and after and output not in readers.outputs:
        activation, output = _activation_after(last, after, readers, flat=flat, size=size)
    kind, source = "linear layer", node.scope.source(node.inputs[1])
    if source is not None and source.node.operator == "DequantizeLinear":
        kind += ", dequantised (onnxruntime may fuse it into a layer of 8-bit integers, which also rounds its input)"
    if after and activation is None:
        kind += f", whose output goes to {', '.join(dict.fromkeys(reader.operator for reader in after[:8]))}"
    read_bias = (lambda: read_tensor(node.scope, bias).reshape(-1)) if bias else None
    layer = StoredLayer(matrix.name, kind, matrix.shape, matrix.read, read_bias, activation, used)
    return Part(layer, node, OnnxValue(node.scope, node.inputs[0]), output)


@dataclass(frozen=True)
class _Readers:
    """The nodes that read each name of a graph, and the names that it returns."""

    by_name: dict[str, list[OnnxNode]]
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


def _activation_after(
    last: OnnxNode, after: Sequence[OnnxNode], readers: _Readers, *, flat: bool, size: int
) -> tuple[Activation | str | None, str]:
    """Return the nonlinearity after an ONNX linear layer as `Linear` calls it, and the name of its output.

    It is softmax over the last axis alone. `after` are the nodes that read the layer; all of them belong to it. `flat`
    says that its output has two axes.
    """
    nodes, ends, argument = list(after), list[OnnxNode](), last.outputs[0]
    known = {argument}
    for node in nodes:
        seen = not node.outputs or node.outputs[0] in known
        if seen or not all(name in known or _is_constant(node.scope, name) for name in node.inputs):
            continue  # it reads something else, or a node that comes later: then it is among them again
        ends.append(node)
        known.add(node.outputs[0])
        if len(nodes) < MOST and is_elementwise_node(node):
            nodes += readers.by_name.get(node.outputs[0], [])[: MOST - len(nodes)]
    for node in reversed(ends):  # the first may be a part of the last
        try:
            nonlinearity = nonlinearity_at(node)
        except NotConstant:  # of a PRelu, for example
            continue
        if nonlinearity is not None and nonlinearity.argument == argument and nonlinearity.nodes >= set(after):
            activation = nonlinearity.activation
            if activation == SOFTMAX and (size == 1 or softmax_axis(node) not in (-1, 1 if flat else -1)):
                break
            return activation, node.outputs[0]
    return None, argument


def _is_constant(scope: OnnxScope, name: str, steps: int = 5) -> bool:
    """Say whether a name of an ONNX graph is left out, in the file, or computed in a few steps from what is in it."""
    source = scope.computed.get(name)
    return source is None or (steps > 0 and all(_is_constant(scope, given, steps - 1) for given in source.node.inputs))


def softmax_axis(node: OnnxNode) -> int:
    """Return the axis of a Softmax; its default changed in opset 13."""
    return int(node.attributes.get("axis", "i", -1 if node.scope.file.opset >= 13 else 1))
