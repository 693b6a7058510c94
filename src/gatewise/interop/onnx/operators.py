"""Operators of ONNX that are folded: computed of constants with NumPy, once the size of the result is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gatewise.errors import shown
from gatewise.interop.onnx.attributes import Attributes, NotConstant
from gatewise.interop.onnx.file import AnyArray, OnnxFile


class OperatorCall:
    """An operator with the values of its inputs; `place` is the position of the output that is computed."""

    def __init__(
        self, file: OnnxFile, node: Any, attributes: Attributes, inputs: list[AnyArray | None], place: int
    ) -> None:
        self.file, self.node, self.attributes, self.inputs, self.place = file, node, attributes, inputs, place

    def input(self, number: int) -> AnyArray:
        """Return an input that must be there."""
        if number >= len(self.inputs) or (array := self.inputs[number]) is None:
            raise NotConstant(f"{self.node.op_type} lacks its input {number}")
        return array

    def ints(self, attribute: str, number: int) -> list[int] | None:
        """Return integers that are an attribute in older opsets, and an input in newer ones."""
        if attribute in self.attributes:
            integers: list[int] = self.attributes.get(attribute, "ints")
            return integers
        if number < len(self.inputs) and (array := self.inputs[number]) is not None:
            if array.dtype.kind not in "iu" or array.size > 1024:
                raise NotConstant(f"{self.node.op_type} is given {attribute} of type {array.dtype}")
            return [int(number) for number in array.reshape(-1)]
        return None

    def room(self, count: int, itemsize: int) -> None:
        """Take the memory of the result off the budget."""
        self.file.hold(count, itemsize)


def _constant(call: OperatorCall) -> AnyArray:
    get = call.attributes.get
    if "value" in call.attributes:
        return call.file.array(get("value", "t"))
    for name, field, dtype in (
        *(("value_float", "f", np.float32), ("value_floats", "floats", np.float32)),
        *(("value_int", "i", np.int64), ("value_ints", "ints", np.int64)),
    ):
        if name in call.attributes:
            return np.asarray(get(name, field), dtype)
    raise NotConstant(f"it is a Constant with {', '.join(map(shown, sorted(call.attributes.names()))) or 'no value'}")


def _squeeze(call: OperatorCall) -> AnyArray:
    axes = call.ints("axes", 1)
    return np.squeeze(call.input(0), None if axes is None else tuple(axes))


def _unsqueeze(call: OperatorCall) -> AnyArray:
    axes = call.ints("axes", 1) or []
    return np.expand_dims(call.input(0), tuple(axes))


def _reshape(call: OperatorCall) -> AnyArray:
    array, shape = call.input(0), call.ints("shape", 1)
    if shape is None:
        raise NotConstant("Reshape lacks its shape")
    if not call.attributes.get("allowzero", "i", 0):
        shape = [array.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    call.room(array.size, array.itemsize)
    return array.reshape(shape)


def _transpose(call: OperatorCall) -> AnyArray:
    return np.transpose(call.input(0), call.attributes.get("perm", "ints"))


def _slice(call: OperatorCall) -> AnyArray:
    array = call.input(0)
    starts, ends = call.ints("starts", 1), call.ints("ends", 2)
    if starts is None or ends is None or len(starts) != len(ends):
        raise NotConstant("Slice lacks its bounds")
    axes = call.ints("axes", 3) or list(range(len(starts)))
    steps = call.ints("steps", 4) or [1] * len(starts)
    where = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        where[axis] = slice(start, end, step)
    return array[tuple(where)]


def _split(call: OperatorCall) -> AnyArray:
    array, axis = call.input(0), call.attributes.get("axis", "i", 0)
    length, parts = array.shape[axis], call.ints("split", 1)
    if parts is None:
        count = call.attributes.get("num_outputs", "i", len(call.node.output))
        if not 0 < count <= len(call.node.output):
            raise NotConstant(f"Split has {len(call.node.output)} outputs, and says that there are {count}")
        each = -(-length // count)
        parts = [each] * (count - 1) + [length - each * (count - 1)]
    if sum(parts) != length or min(parts) < 0:
        raise NotConstant(f"Split cannot cut {length} into {parts[:8]}")
    call.file.budget.work(len(parts) // 16, "cutting its constants")
    start = sum(parts[: call.place])
    return np.moveaxis(np.moveaxis(array, axis, 0)[start : start + parts[call.place]], 0, axis)


def _concat(call: OperatorCall) -> AnyArray:
    arrays = [call.input(number) for number in range(len(call.inputs))]
    call.room(sum(array.size for array in arrays), max(array.itemsize for array in arrays))
    if len({array.dtype for array in arrays}) > 1:
        raise NotConstant("Concat is given several types")
    return np.concatenate(arrays, call.attributes.get("axis", "i", 1))


def _cast(call: OperatorCall) -> AnyArray:
    dtype, array = call.file.dtype(call.attributes.get("to", "i", 0)), call.input(0)
    call.room(array.size, dtype.itemsize)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _expand(call: OperatorCall) -> AnyArray:
    array, sizes = call.input(0), call.ints("shape", 1) or []
    shape = np.broadcast_shapes(array.shape, tuple(sizes)) if all(size >= 0 for size in sizes) else ()
    call.room(math.prod(shape), array.itemsize)
    return np.broadcast_to(array, shape)


def _constant_of_shape(call: OperatorCall) -> AnyArray:
    shape = call.ints("shape", 0) or []
    value = np.zeros(1, np.float32)
    if "value" in call.attributes:
        value = call.file.array(call.attributes.get("value", "t"))
    if any(size < 0 for size in shape) or value.size != 1:
        raise NotConstant("ConstantOfShape has invalid inputs")
    call.room(math.prod(shape), value.itemsize)
    return np.full(shape, value.reshape(-1)[0], value.dtype)


OPERATORS: dict[str, Callable[[OperatorCall], AnyArray]] = {
    "Constant": _constant,
    "Identity": lambda call: call.input(0),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Cast": _cast,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
}
