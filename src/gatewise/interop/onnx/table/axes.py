"""ONNX operators that move numbers: axes, parts, repetitions, padding, and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.interop.onnx.table.call import END, FileNode, Values, ints, reads
from gatewise.network.graph import Unsupported


@reads("Reshape")
def read_reshape(call: FileNode) -> Values:
    """Return the numbers in another shape."""
    return call.add("reshape", call.needed(), call.needed(1), zeros=call.flag("allowzero"))


@reads("Transpose")
def read_transpose(call: FileNode) -> Values:
    """Return the axes in another order."""
    order = call.get("perm", "ints")
    return call.add("transpose", call.needed(), order=None if order is None else tuple(order))


@reads("Squeeze", "Unsqueeze")
def read_squeeze(call: FileNode) -> Values:
    """Return the numbers without some axes of size 1, or with new ones."""
    axes = call.ints(1, "axes")
    if call.kind == "Unsqueeze" and axes is None:
        raise Unsupported("it lacks its axes")
    return call.add(call.kind.lower(), call.needed(), axes=axes)


@reads("Flatten")
def read_flatten(call: FileNode) -> Values:
    """Return two axes."""
    return call.add("flatten", call.needed(), start=call.get("axis", "i", 1))


@reads("Concat")
def read_concat(call: FileNode) -> Values:
    """Return inputs one behind another."""
    axis = call.get("axis", "i")
    if axis is None:
        raise Unsupported("it lacks its axis")
    return call.add("concat", *(call.needed(place) for place in range(len(call.inputs))), axis=axis)


@reads("Split")
def read_split(call: FileNode) -> Values:
    """Return parts of an axis, of given sizes or of equal ones."""
    count, axis = len(call.outputs), call.get("axis", "i", 0)
    parts = call.get("num_outputs", "i", count)
    if parts != count:
        raise Unsupported(f"it says that it has {parts} outputs, and has {count}")
    if call.input(1):
        return call.add("split", call.needed(), call.needed(1), axis=axis, outputs=count)
    return call.add("chunk", call.needed(), count=count, axis=axis, outputs=count)


@reads("Slice")
def read_slice(call: FileNode) -> Values:
    """Return a part of some axes; by default of the first ones, in steps of 1."""
    x, starts, ends, axes, steps = (call.input(place) for place in range(5))
    if not starts or not ends:
        raise Unsupported("it lacks its bounds")
    if not axes:
        count = call.add("reduce_prod", call.add("shape", starts))
        axes = call.add("range", np.int64(0), count, np.int64(1))
    if not steps:
        ones = call.add("affine", axes, alpha=0, beta=1)
        return call.add("slice", x, starts, ends, axes, ones)
    return call.add("slice", x, starts, ends, axes, steps)


@reads("Gather", "GatherElements")
def read_gather(call: FileNode) -> Values:
    """Return rows of an axis, or numbers, by their places."""
    op = "gather" if call.kind == "Gather" else "gather_elements"
    return call.add(op, call.needed(), call.needed(1), axis=call.get("axis", "i", 0))


@reads("Pad")
def read_pad(call: FileNode) -> Values:
    """Return more numbers before and after axes: all of them, or those that are given."""
    mode = call.get("mode", "s", b"constant")
    value = call.input(2)
    if not call.input(3):
        return call.add("pad", call.needed(), call.needed(1), *([value] if value else []), mode=mode)
    axes, pads, x = call.ints(3, "axes"), call.ints(1, "pads"), call.needed()
    assert axes is not None
    if pads is None or len(pads) != 2 * len(axes):
        raise Unsupported("its pads do not fit its axes")
    if any(axis < 0 for axis in axes) and any(axis >= 0 for axis in axes):
        raise Unsupported("its axes count from both ends")
    rank = call.add("shape", call.add("shape", x))  # an array of one number
    count = max(axes) + 1 if min(axes, default=0) >= 0 else -min(axes)
    part = np.zeros((2, count), np.int64)
    for place, axis in enumerate(axes):
        part[:, axis] = pads[place], pads[place + len(axes)]
    rest = call.add("fill", call.add("sub", rank, ints(count)), np.int64(0))
    halves: list[Any] = []
    for row in part:
        halves += [rest, row] if axes and axes[0] < 0 else [row, rest]
    return call.add("pad", x, call.add("concat", *halves, axis=0), *([value] if value else []), mode=mode)


@reads("Shape")
def read_shape(call: FileNode) -> Values:
    """Return the sizes of the axes, or of some."""
    shape = call.add("shape", call.needed())
    start, end = call.get("start", "i", 0), call.get("end", "i", END)
    if start == 0 and end == END:
        return shape
    return call.add("slice", shape, ints(start), ints(end), ints(0), ints(1))


@reads("Size")
def read_size(call: FileNode) -> Values:
    """Return the number of numbers."""
    return call.add("reduce_prod", call.add("shape", call.needed()))


@reads("Range")
def read_range(call: FileNode) -> Values:
    """Return numbers from a start on, in equal steps."""
    return call.add("range", *call.inputs)


@reads("ConstantOfShape")
def read_constant_of_shape(call: FileNode) -> Values:
    """Return one number in a shape."""
    value = call.get("value", "t")
    number = np.zeros(1, np.float32) if value is None else call.scope.file.array(value)
    return call.add("fill", call.needed(), number)


@reads("OneHot")
def read_one_hot(call: FileNode) -> Values:
    """Return one of two values at each place of a new axis."""
    depth = call.number(1, "depth")
    if depth is None or depth != int(depth):
        raise Unsupported("it lacks its depth")
    indices = call.add("cast", call.needed(), dtype="int64")
    return call.add("one_hot", indices, call.needed(2), depth=int(depth), axis=call.get("axis", "i", -1))


@reads("Trilu")
def read_trilu(call: FileNode) -> Values:
    """Return the upper or the lower triangle of matrices."""
    return call.add("triangle", call.needed(), offset=call.number(1, "k", 0), upper=call.flag("upper", True))
