"""Formulas and numbers as JSON has them: objects, lists, strings, numbers, booleans, null; arrays also in base64."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.symbolic.formula import Formula, Symbol


def tree(node: Any, symbol: Callable[[Symbol], dict[str, Any]]) -> Any:
    """Return a formula as nested objects: what kind of node each is, and its fields; `symbol` says what a symbol is."""
    match node:
        case Symbol():
            return {"node": "symbol", **symbol(node)}
        case Formula():
            inner = {field.name: tree(getattr(node, field.name), symbol) for field in fields(node)}
            return {"node": node.kind, **inner}
        case Activation():
            return {"name": node.name, "alpha": node.alpha, "beta": node.beta}
        case tuple():
            return [tree(part, symbol) for part in node]
        case str() | bool() | None:
            return node
    return numbers(node)


def numbers(value: Any) -> Any:
    """Return a number, a vector or a matrix as JSON's numbers; those that JSON has not, as strings.

    Examples
    --------
    >>> numbers(np.array([0.1, np.nan, -np.inf])), numbers(np.float32(0.1))
    ([0.1, 'nan', '-inf'], 0.10000000149011612)
    """
    if np.ndim(value):
        return [numbers(entry) for entry in value]
    plain = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    return plain if math.isfinite(plain) else str(plain)


def packed(value: Any) -> dict[str, Any]:
    """Return an array as a page holds it: its shape, type and bytes; float32 as it is, anything else as float64.

    Examples
    --------
    >>> packed(np.float32([[1, -2]]))
    {'shape': [1, 2], 'dtype': '<f4', 'base64': 'AACAPwAAAMA='}
    """
    array = np.asarray(value)
    dtype = "<f4" if array.dtype == np.float32 else "<f8"
    raw = np.ascontiguousarray(array, dtype).tobytes()
    return {"shape": list(array.shape), "dtype": dtype, "base64": b64encode(raw).decode("ascii")}
