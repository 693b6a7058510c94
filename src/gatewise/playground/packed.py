"""Arrays as a page holds them: their bytes, in base64."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np


def packed(value: Any) -> dict[str, Any]:
    """Return an array as the page holds it: its shape, type and bytes; float32 as it is, anything else as float64.

    Examples
    --------
    >>> packed(np.float32([[1, -2]]))
    {'shape': [1, 2], 'dtype': '<f4', 'base64': 'AACAPwAAAMA='}
    """
    array = np.asarray(value)
    dtype = "<f4" if array.dtype == np.float32 else "<f8"
    raw = np.ascontiguousarray(array, dtype).tobytes()
    return {"shape": list(array.shape), "dtype": dtype, "base64": b64encode(raw).decode("ascii")}
