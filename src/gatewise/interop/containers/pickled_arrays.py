"""NumPy's arrays in pickles, as tensors: nothing is built before its numbers are read."""

from __future__ import annotations

import re
from typing import Any

from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import PickledObject, as_bytes
from gatewise.interop.containers.tensors import (
    Storage,
    Tensor,
    contiguous_tensor,
    is_count,
    to_little_endian,
    unreadable_tensor,
)

FILLED = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
AT_ONCE = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1")  # of numbers, whose bytes are looked at


def describe_array(node: PickledObject, budget: Budget) -> Tensor | None:
    """Return NumPy's array that an object in a pickle describes, in either of two forms; None for other objects."""
    if not node.made_by(*FILLED, *AT_ONCE):
        return None
    if node.made_by(*FILLED):
        if not (isinstance(node.state, tuple) and len(node.state) == 5):
            return unreadable_tensor("its array is incomplete")
        _, shape, dtype, fortran, content = node.state
    else:
        if not (isinstance(node.args, tuple) and len(node.args) == 4):
            return unreadable_tensor("its array is incomplete")
        content, dtype, shape, fortran = node.args
        fortran = fortran == "F"
    if not (isinstance(dtype, PickledObject) and isinstance(dtype.args, tuple) and dtype.args):
        return unreadable_tensor("its array is of an unknown type")
    kind, data = dtype.args[0], as_bytes(content, budget)
    if isinstance(kind, str) and kind.startswith("O"):
        return unreadable_tensor("it is an array of Python objects")
    if not isinstance(kind, str) or not re.fullmatch(r"[fiub][1248]", kind) or data is None:
        return unreadable_tensor("its array is of an unknown type")
    dtype_state: Any = dtype.state
    order = dtype_state[1] if isinstance(dtype_state, tuple) and len(dtype_state) > 1 else "<"
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(map(is_count, shape)):
        return unreadable_tensor("its shape is invalid")
    width = int(kind[1:])
    if order == ">":
        budget.hold(len(data), 1, "an array in a pickle")
        data = to_little_endian(data, width)
    numbers, known = data, f"<{kind}" if kind in KINDS else None
    storage = Storage(known, len(numbers) // width, lambda size: memoryview(numbers)[:size])
    return contiguous_tensor(shape, storage, budget, fortran=bool(fortran))
