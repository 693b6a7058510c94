"""Other layers of an ONNX graph that a network may use: linear layers and embeddings, by their tensors' names.

A linear layer's bias and its nonlinearity may come after operators that move its numbers without changing them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, shown
from gatewise.interop.containers.floats import real
from gatewise.interop.found import Part
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.file import dims_of
from gatewise.interop.onnx.scopes import DEEPEST, Scope
from gatewise.interop.onnx.sites import Site

QUANTISED = ("QLinearMatMul", "MatMulInteger", "QGemm", "DynamicQuantizeMatMul", "MatMulNBits")
ACTIVATIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softmax": "softmax"}
Readers = Mapping[str, list[Site]]


def parts_of(sites: Iterable[Site], outputs: Collection[str]) -> tuple[Part, ...]:
    """Return every Gemm, MatMul with what is added to it, and Gather whose tensors are in the file.

    `outputs` are those of the main graph.
    """
    found: dict[str, Part] = {}
    readers: dict[int, dict[str, list[Site]]] = {}
    every = list(sites)
    for site in every:
        of_scope = readers.setdefault(id(site.scope), {})
        for name in site.node.input:
            if name and site.node.op_type != "Shape":  # which does not look at the numbers
                of_scope.setdefault(name, []).append(site)
    for site in every:
        try:
            part = _part(site, readers[id(site.scope)], () if site.scope.parent else outputs)
        except (NotConstant, IndexError):
            continue
        if part is not None:
            found.setdefault(part.name, part)
    return tuple(found.values())


def _part(site: Site, readers: Readers, outputs: Collection[str]) -> Part | None:
    node, attributes, scope = site.node, site.attributes, site.scope
    if node.op_type in QUANTISED:
        return Part(site.label, f"quantised linear layer ({node.op_type})", ())
    if node.op_type == "Gather" and attributes.get("axis", "i", 0) == 0:
        name, shape = matrix_of(scope, node.input[0])
        return Part(name, "embedding", shape, reader_of(scope, node.input[0], False))
    last = site
    if node.op_type == "Gemm":
        name, shape = matrix_of(scope, node.input[1])
        turned = not attributes.get("transB", "i", 0)
        plain = attributes.get("alpha", "f", 1.0) == attributes.get("beta", "f", 1.0) == 1
        if attributes.get("transA", "i", 0) or not plain:
            return None
        added = node.input[2] if len(node.input) > 2 else ""
    elif node.op_type == "MatMul":
        (name, shape), turned, added = matrix_of(scope, node.input[1]), True, ""
        moved, after = _moved(site, readers, outputs, shape[1])
        if len(after) == 1 and after[0].node.op_type == "Add" and len(after[0].node.input) == 2:
            others = [one for one in after[0].node.input if one != moved.node.output[0]]
            if len(others) == 1 and is_bias(scope, others[0], shape[1]):
                added, last = others[0], after[0]
    else:
        return None
    shape = shape[::-1] if turned else shape
    if added and not is_bias(scope, added, shape[0]):
        return None
    bias = reader_of(scope, added, False) if added else None
    last, after = _moved(last, readers, outputs, shape[0])
    activation = None
    if len(after) == 1 and last.node.output[0] not in outputs:
        activation = _activation(after[0], flat=last is site and node.op_type == "Gemm", size=shape[0])
    kind = "linear layer"
    if after and activation is None:
        kind += f", whose output goes to {', '.join(dict.fromkeys(one.node.op_type for one in after[:8]))}"
    return Part(
        name,
        kind,
        shape,
        reader_of(scope, node.input[1], turned),
        bias and (lambda: bias().reshape(-1)),
        activation,
    )


def _moved(site: Site, readers: Readers, outputs: Collection[str], size: int) -> tuple[Site, list[Site]]:
    """Return the last node that only passes on a node's numbers, its last axis in place, and what reads them."""
    made = site.scope.made.get(site.node.output[0])
    if made is None or made[0] is not site.node:  # another node makes that name again
        return site, []
    for _ in range(DEEPEST):
        name = site.node.output[0]
        after = readers.get(name, [])
        if name in outputs or len(after) != 1 or not _keeps_last_axis(after[0], name, size):
            break
        site = after[0]
    return site, after


def _keeps_last_axis(site: Site, name: str, size: int) -> bool:
    node = site.node
    if node.input[0] != name:  # asked first: a hostile node may have many inputs, and many attributes
        return False
    attributes = site.attributes
    if node.op_type == "Transpose":
        order = attributes.get("perm", "ints", [])
        return bool(order) and order[-1] == len(order) - 1
    if node.op_type == "Reshape":
        try:
            shape = attributes.get("shape", "ints") or site.scope.value(node.input[1]).reshape(-1)
        except NotConstant:
            return True  # made as the model runs, of the sizes before the last
        return len(shape) > 0 and shape[-1] in (-1, size)
    return node.op_type in ("Identity", "Squeeze")  # an axis of one number may go


def _activation(site: Site, *, flat: bool, size: int) -> str | None:
    """Return the nonlinearity of a node as `Linear` calls it, if it is one: softmax over the last axis alone.

    `flat` says that the node is given two axes.
    """
    if len(site.node.input) != 1:
        return None
    if site.node.op_type == "Softmax":
        axis = site.attributes.get("axis", "i", -1 if site.scope.file.opset >= 13 else 1)
        if size == 1 or not (axis == -1 or (flat and axis == 1)):
            return None
    return ACTIVATIONS.get(site.node.op_type)


def matrix_of(scope: Scope, given: str) -> tuple[str, tuple[int, int]]:
    """Return the name and the shape of a matrix of numbers in the file."""
    owner, name = scope.owner(given)
    tensor = owner.held.get(name)
    if tensor is not None:
        shape, dtype = dims_of(tensor), owner.file.dtype(tensor.data_type)
    else:
        array = owner.value(name)
        shape, dtype = array.shape, array.dtype
    if len(shape) != 2 or min(shape) < 1 or dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise NotConstant("it is not a matrix of numbers")
    return name, (shape[0], shape[1])


def is_bias(scope: Scope, name: str, size: int) -> bool:
    """Say whether a name is a vector of so many numbers in the file."""
    try:
        owner, inner = scope.owner(name)
        held = owner.held.get(inner)
        shape = dims_of(held) if held is not None else owner.value(inner).shape
    except NotConstant:
        return False
    return shape in ((size,), (1, size))


def reader_of(scope: Scope, name: str, turned: bool) -> Callable[[], Array]:
    """Return a function that reads a tensor when it is wanted."""

    def read() -> Array:
        try:
            array = np.require(real(scope.value(name)), requirements="A")  # in the file it may lie anywhere
        except NotConstant as problem:
            raise FileError(f"cannot read {shown(name)!r}: {problem}") from None
        return array.T if turned else array

    return read
