"""What else in an ONNX graph a network may be made with: linear layers and embeddings, by their tensors' names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gatewise.arrays import Array
from gatewise.errors import FileError
from gatewise.interop import conventions
from gatewise.interop.found import Part
from gatewise.interop.onnx.constants import NotConstant, Scope
from gatewise.interop.onnx.lstm import Site

QUANTISED = ("QLinearMatMul", "MatMulInteger", "QGemm", "DynamicQuantizeMatMul", "MatMulNBits")


def parts_of(sites: Iterable[Site]) -> tuple[Part, ...]:
    """Return every Gemm, MatMul with what is added to it, and Gather whose tensors lie in the file."""
    found: dict[str, Part] = {}
    readers: dict[int, dict[str, list[Site]]] = {}
    every = list(sites)
    for site in every:
        of_scope = readers.setdefault(id(site.scope), {})
        for name in site.node.input:
            of_scope.setdefault(name, []).append(site)
    for site in every:
        try:
            part = _part(site, readers[id(site.scope)])
        except (NotConstant, IndexError):
            continue
        if part is not None:
            found.setdefault(part.name, part)
    return tuple(found.values())


def _part(site: Site, readers: dict[str, list[Site]]) -> Part | None:
    node, attributes, scope = site.node, site.attributes, site.scope
    if node.op_type in QUANTISED:
        return Part(site.label, f"quantised linear layer ({node.op_type})", ())
    if node.op_type == "Gather" and attributes.get("axis", "i", 0) == 0:
        name, shape = _matrix(scope, node.input[0])
        return Part(name, "embedding", shape, _reader(scope, node.input[0], False))
    if node.op_type == "Gemm":
        name, shape = _matrix(scope, node.input[1])
        turned = not attributes.get("transB", "i", 0)
        plain = attributes.get("alpha", "f", 1.0) == attributes.get("beta", "f", 1.0) == 1
        if attributes.get("transA", "i", 0) or not plain:
            return None
        added = node.input[2] if len(node.input) > 2 else ""
    elif node.op_type == "MatMul":
        (name, shape), turned, added = _matrix(scope, node.input[1]), True, ""
        after = [one for one in readers.get(node.output[0], [])[:8] if one.node.op_type == "Add"]
        for other in (one for reader in after for one in reader.node.input if one != node.output[0]):
            if _is_bias(scope, other, shape[1]):
                added = other
    else:
        return None
    shape = shape[::-1] if turned else shape
    if added and not _is_bias(scope, added, shape[0]):
        return None
    bias = _reader(scope, added, False) if added else None
    return Part(
        name, "linear layer", shape, _reader(scope, node.input[1], turned), bias and (lambda: bias().reshape(-1))
    )


def _matrix(scope: Scope, given: str) -> tuple[str, tuple[int, int]]:
    """Return the name and the shape of a matrix of numbers that lies in the file."""
    owner, name = scope.owner(given)
    tensor = owner.held.get(name)
    if tensor is not None:
        shape, dtype = tuple(tensor.dims), owner.file.dtype(tensor.data_type)
    else:
        array = owner.value(name)
        shape, dtype = array.shape, array.dtype
    if len(shape) != 2 or min(shape) < 1 or dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise NotConstant("it is no matrix of numbers")
    return name, (shape[0], shape[1])


def _is_bias(scope: Scope, name: str, size: int) -> bool:
    try:
        owner, inner = scope.owner(name)
        held = owner.held.get(inner)
        shape = tuple(held.dims) if held is not None else owner.value(inner).shape
    except NotConstant:
        return False
    return shape in ((size,), (1, size))


def _reader(scope: Scope, name: str, turned: bool) -> Callable[[], Array]:
    """Return a function that reads a tensor when it is wanted."""

    def read() -> Array:
        try:
            array = conventions.real(scope.value(name))
        except NotConstant as problem:
            raise FileError(f"cannot read {name!r}: {problem}") from None
        return array.T if turned else array

    return read
