"""Floating-point numbers as files keep them, and as the precisions that are computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array


def to_float(array: npt.NDArray[Any]) -> Array:
    """Return an array as float32 or float64; narrower numbers become float32, which changes none."""
    return np.asarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def from_bfloat16(words: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the float32 numbers whose upper halves are these words."""
    return (words.astype(np.uint32) << 16).view(np.float32)
