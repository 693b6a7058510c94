"""Operators of ONNX that are folded: computed of constants with NumPy, once the size of the result is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gatewise.errors import shown
from gatewise.interop.onnx.attributes import Attributes, NotConstant
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.symbolic.formula import FUNCTIONS, RELATIONS

_SIZES = (np.int32, np.int64)  # types of sizes
OPEN = -(2**30)  # numbers from here down to -2**31 stand for sizes that a graph leaves open
# Operators that only move numbers of their first input, or repeat them.
MOVING = ("Gather", "Slice", "Identity", "Expand", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Split", "Cast")


class OperatorCall:
    """An operator with the values of its inputs; `output` is the position of the output that is computed."""

    def __init__(
        self, file: OnnxFile, node: Any, attributes: Attributes, inputs: list[AnyArray | None], output: int
    ) -> None:
        self.file, self.node, self.attributes, self.inputs, self.output = file, node, attributes, inputs, output

    def input(self, number: int) -> AnyArray:
        """Return an input of an ONNX operator; NotConstant if it is missing."""
        if number >= len(self.inputs) or (array := self.inputs[number]) is None:
            raise NotConstant(f"{self.node.op_type} lacks its input {number}")
        return array

    def ints(self, attribute: str, number: int) -> list[int] | None:
        """Return integers that are an ONNX attribute in older opsets, and an input in newer ones."""
        if attribute in self.attributes:
            integers: list[int] = self.attributes.get(attribute, "ints")
            return integers
        if number < len(self.inputs) and (array := self.inputs[number]) is not None:
            if array.dtype.kind not in "iu" or array.size > 1024:
                raise NotConstant(f"{self.node.op_type} is given {attribute} of type {array.dtype}")
            return [int(number) for number in array.reshape(-1)]
        return None

    def axes(self) -> tuple[int, ...] | None:
        """Return the axes that an ONNX operator is given; None if there are none."""
        axes = self.ints("axes", 1)
        return None if axes is None else tuple(axes)

    def refuse_open_sizes(self) -> None:
        """Raise NotConstant if an ONNX operator, other than to move it, uses what stands for an open size."""
        operator = self.node.op_type
        moves = operator in MOVING and (
            operator != "Cast" or self.file.dtype(self.attributes.get("to", "i", 0)) in _SIZES
        )
        moved = len(self.inputs) if operator == "Concat" else int(moves)
        for array in self.inputs[moved:]:
            if array is not None and array.dtype.kind == "i" and array.size:
                self.file.budget.work(array.size // 256, "computing its constants")
                if _least(array) <= OPEN and ((array <= OPEN) & (array > -(2**31))).any():
                    raise NotConstant(f"{operator} is given a size that is left open")


def _least(array: AnyArray) -> Any:
    """Return the smallest number of an array, mostly of one number."""
    return array.item() if array.size == 1 else array.min()


def _fold_constant(call: OperatorCall) -> AnyArray:
    """Return the array of ONNX's Constant, from whichever attribute holds it."""
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


def _fold_reshape(call: OperatorCall) -> AnyArray:
    """Return the array that ONNX's Reshape computes of constants: a size of 0 keeps that of the axis."""
    array, shape = call.input(0), call.ints("shape", 1)
    if shape is None:
        raise NotConstant("Reshape lacks its shape")
    if not call.attributes.get("allowzero", "i", 0):
        shape = [array.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    call.file.hold(array.size, array.itemsize)
    return array.reshape(shape)


def _fold_slice(call: OperatorCall) -> AnyArray:
    """Return the array that ONNX's Slice computes of constants."""
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


def _fold_split(call: OperatorCall) -> AnyArray:
    """Return one output of ONNX's Split of a constant."""
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
    start = sum(parts[: call.output])
    return np.moveaxis(np.moveaxis(array, axis, 0)[start : start + parts[call.output]], 0, axis)


def _fold_concat(call: OperatorCall) -> AnyArray:
    """Return the array that ONNX's Concat computes of constants."""
    arrays = [call.input(number) for number in range(len(call.inputs))]
    call.file.hold(sum(array.size for array in arrays), max(array.itemsize for array in arrays))
    if len({array.dtype for array in arrays}) > 1:
        raise NotConstant("Concat is given several types")
    return np.concatenate(arrays, call.attributes.get("axis", "i", 1))


def _fold_cast(call: OperatorCall) -> AnyArray:
    """Return a constant in the type to which ONNX's Cast converts it."""
    dtype, array = call.file.dtype(call.attributes.get("to", "i", 0)), call.input(0)
    call.file.hold(array.size, dtype.itemsize)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _fold_expand(call: OperatorCall) -> AnyArray:
    """Return a constant broadcast to the shape of ONNX's Expand."""
    array, sizes = call.input(0), call.ints("shape", 1) or []
    shape = np.broadcast_shapes(array.shape, tuple(sizes)) if all(size >= 0 for size in sizes) else ()
    call.file.hold(math.prod(shape), array.itemsize)
    return np.broadcast_to(array, shape)


def _fold_constant_of_shape(call: OperatorCall) -> AnyArray:
    """Return the array of ONNX's ConstantOfShape, zeros by default."""
    shape = call.ints("shape", 0) or []
    value = np.zeros(1, np.float32)
    if "value" in call.attributes:
        value = call.file.array(call.attributes.get("value", "t"))
    if any(size < 0 for size in shape) or value.size != 1:
        raise NotConstant("ConstantOfShape has invalid inputs")
    call.file.hold(math.prod(shape), value.itemsize)
    return np.full(shape, value.reshape(-1)[0], value.dtype)


def _fold_gather(call: OperatorCall) -> AnyArray:
    """Return the entries of a constant that ONNX's Gather takes."""
    array, places, axis = call.input(0), call.input(1), call.attributes.get("axis", "i", 0)
    call.file.hold(array.size // max(1, array.shape[axis]) * places.size, array.itemsize)
    return np.take(array, places, axis)


def is_elementwise(operator: str, inputs: int, attributes: Attributes) -> bool:
    """Say whether an ONNX operator with so many inputs computes each number from one of each input, as NumPy does."""
    return inputs in _INPUTS.get(operator, ()) and not attributes  # in the oldest opsets they say what is broadcast


def _fold_elementwise(call: OperatorCall) -> AnyArray:
    """Return what an ONNX operator computes of constants, number by number, in their type."""
    operator, given = call.node.op_type, [array for array in call.inputs if array is not None]
    if not is_elementwise(operator, len(call.inputs), call.attributes) or len(given) < len(call.inputs):
        raise NotConstant(f"{operator} has other inputs or attributes than are computed")
    whole = all(array.dtype.kind in "iu" for array in given)
    small = all(array.size == 1 for array in given)
    count = 1 if small else math.prod(np.broadcast_shapes(*(array.shape for array in given)))
    call.file.hold(2 * count, max(array.itemsize for array in given))
    call.file.budget.work(count // 64, "computing its constants")
    if whole and (operator not in WHOLE or any(array.size and _least(array) < 0 for array in given)):
        raise NotConstant(f"it is {operator} of whole numbers, which gatewise does not compute")
    with np.errstate(all="ignore"):
        result = np.asarray((WHOLE if whole else ELEMENTWISE)[operator](*given))
    dtype = next((array.dtype for array in given if array.dtype.kind != "b"), result.dtype)  # not that of a condition
    return result if result.dtype.kind == "b" else result.astype(dtype, copy=False)


def _fold_reduced(call: OperatorCall) -> AnyArray:
    """Return the products that ONNX's ReduceProd makes of constants along some axes."""
    keep: Any = bool(call.attributes.get("keepdims", "i", 1))  # NumPy's types know True and False, not bool
    return np.asarray(np.prod(call.input(0), call.axes() or None, keepdims=keep), call.input(0).dtype)


def _fold_matmul(call: OperatorCall) -> AnyArray:
    """Return the product of two constant matrices."""
    first, second = call.input(0), call.input(1)
    if first.dtype.kind != "f" or min(first.ndim, second.ndim) < 2:
        raise NotConstant("MatMul is given other arrays than matrices of numbers")
    count = math.prod(np.broadcast_shapes(first.shape[:-2], second.shape[:-2])) * first.shape[-2] * second.shape[-1]
    call.file.hold(count, first.itemsize)
    call.file.budget.work(count * first.shape[-1] // 256, "computing its constants")
    product: AnyArray = np.matmul(first, second)
    return product


def _fold_dequantised(call: OperatorCall) -> AnyArray:
    """Return (x - zero point) · scale of ONNX's DequantizeLinear: of one scale, one along an axis, or one a block."""
    array, scale = call.input(0), call.input(1)
    zero = call.inputs[2] if len(call.inputs) > 2 else None
    axis, block = call.attributes.get("axis", "i", 1), call.attributes.get("block_size", "i", 0)
    if array.dtype.kind not in "iu" or scale.dtype.kind != "f":
        raise NotConstant(f"DequantizeLinear is given {array.dtype} and a scale of {scale.dtype}")
    call.file.hold(3 * array.size, 4)  # integers, numbers, and their scales

    def spread(values: AnyArray) -> AnyArray:
        if block:
            return np.repeat(values, block, axis).take(range(array.shape[axis]), axis)
        return values.reshape([-1 if place == axis % array.ndim else 1 for place in range(array.ndim)])

    along = scale.size > 1 or block > 0
    numbers = array.astype(np.int32)
    if zero is not None:
        numbers -= (spread(zero) if along else zero.reshape(())).astype(np.int32)
    result: AnyArray = numbers.astype(np.float32) * (spread(scale) if along else scale.reshape(()))
    return result.astype(scale.dtype)


# Functions of each number: NumPy's, of as many inputs as they take there.
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{part.operator: part.compute for part in (*FUNCTIONS.values(), *RELATIONS.values()) if part.operator},
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
    "GreaterOrEqual": np.greater_equal,
    "Where": np.where,
    "Clip": lambda a, low=None, high=None: np.clip(a, low, high),
}
_INPUTS: dict[str, tuple[int, ...]] = {
    operator: (getattr(function, "nin", 1),) for operator, function in ELEMENTWISE.items()
}
_INPUTS |= {"Clip": (1, 2, 3), "Where": (3,)}
WHOLE: dict[str, Callable[..., Any]] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.floor_divide}
OPERATORS: dict[str, Callable[[OperatorCall], AnyArray]] = {
    "Constant": _fold_constant,
    "Identity": lambda call: call.input(0),
    "Squeeze": lambda call: np.squeeze(call.input(0), call.axes()),
    "Unsqueeze": lambda call: np.expand_dims(call.input(0), call.axes() or ()),
    "Reshape": _fold_reshape,
    "Transpose": lambda call: np.transpose(call.input(0), call.attributes.get("perm", "ints")),
    "Slice": _fold_slice,
    "Split": _fold_split,
    "Concat": _fold_concat,
    "Cast": _fold_cast,
    "Expand": _fold_expand,
    "ConstantOfShape": _fold_constant_of_shape,
    "Gather": _fold_gather,
    "MatMul": _fold_matmul,
    "ReduceProd": _fold_reduced,
    "DequantizeLinear": _fold_dequantised,
    **dict.fromkeys(ELEMENTWISE, _fold_elementwise),
}
