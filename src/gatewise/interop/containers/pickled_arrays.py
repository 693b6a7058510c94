"""NumPy's arrays in pickles, as they are described there: nothing is built before its numbers are asked for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gatewise.files.budget import Budget
from gatewise.interop.containers.pickles import Object, as_bytes
from gatewise.interop.containers.tensors import Storage, Tensor, is_count, unreadable

FILLED = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
AT_ONCE = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1")  # of numbers, whose bytes are looked at


def described(one: Object, budget: Budget) -> Tensor | None:
    """Return the array that an object stands for, built and then filled or made of its bytes at once; else None."""
    if not one.made_by(*FILLED, *AT_ONCE):
        return None
    if one.made_by(*FILLED):
        if not (isinstance(one.state, tuple) and len(one.state) == 5):
            return unreadable("its array is incomplete")
        _, shape, dtype, fortran, held = one.state
    else:
        if not (isinstance(one.args, tuple) and len(one.args) == 4):
            return unreadable("its array is incomplete")
        held, dtype, shape, fortran = one.args
        fortran = fortran == "F"
    if not (isinstance(dtype, Object) and isinstance(dtype.args, tuple) and dtype.args):
        return unreadable("its array is of an unknown type")
    kind, data = dtype.args[0], as_bytes(held, budget)
    if isinstance(kind, str) and kind.startswith("O"):
        return unreadable("it is an array of Python objects")
    if not isinstance(kind, str) or not re.fullmatch(r"[fiub][1248]", kind) or data is None:
        return unreadable("its array is of an unknown type")
    described: Any = dtype.state
    order = described[1] if isinstance(described, tuple) and len(described) > 1 else "<"
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(map(is_count, shape)):
        return unreadable("its shape is invalid")
    width = int(kind[1:])
    if order == ">":
        budget.hold(len(data), 1, "an array in a pickle")
        data = np.frombuffer(data[: len(data) // width * width], f">u{width}").astype(f"<u{width}").tobytes()
    strides, step = [], 1
    for n in shape if fortran else reversed(shape):
        strides.append(step)
        step *= n
    numbers, known = data, f"<{kind}" if kind in KINDS else None
    return Tensor(
        shape,
        tuple(strides if fortran else reversed(strides)),
        0,
        known,
        Storage(known, len(numbers) // width, lambda size: memoryview(numbers)[:size]),
        budget,
    )
