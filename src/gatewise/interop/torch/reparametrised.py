"""Weights that PyTorch computes from others before each run: those of weight_norm are computed, others named.

``torch.nn.utils.weight_norm`` keeps ``weight_g`` and ``weight_v`` for a weight, and its successor among the
parametrizations keeps ``parametrizations.weight.original0`` and ``original1``. The weight is g · v / ‖v‖, the norm
taken over all axes but the one that g has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.interop.containers.floats import real
from gatewise.interop.containers.tensors import Storage, Tensor, itemsize

NORMED = "weight_norm: its weights are g · v / ‖v‖"
PARAMETRIZED = re.compile(r"((?:.*\.)?)parametrizations\.([^.]+)\.(.+)", re.DOTALL)
ROWS = 64  # that are computed at once
RATHER = "remove it from the model before its state dict is saved"
Tensors = Mapping[str, Tensor | Array]


class Plain(NamedTuple):
    """Tensors under the names that they have without parametrizations.

    Attributes
    ----------
    tensors : dict of str to tensor or array
    normed : set of str
        Those that weight_norm computes.
    odd : dict of str to str
        Why a weight cannot be computed, by its name.
    """

    tensors: dict[str, Tensor | Array]
    normed: set[str]
    odd: dict[str, str]


def plain(tensors: Tensors) -> Plain:
    """Return tensors by the names of the weights that they are, or that are computed from them."""
    found = Plain(dict(tensors), set(), {})
    parts: dict[str, dict[str, str]] = {}
    for name in tensors:
        if (match := PARAMETRIZED.fullmatch(name)) is not None:
            parts.setdefault(match[1] + match[2], {})[match[3]] = name
        elif name.endswith("_g") and f"{name[:-1]}v" in tensors:
            _norm(found, name[:-2], tensors[name], tensors[f"{name[:-1]}v"])
        elif name.endswith("_orig"):
            stem = name.removesuffix("_orig")
            for end, kind in (("_u", "spectral_norm"), ("_mask", "pruning (torch.nn.utils.prune)")):
                if f"{stem}{end}" in tensors:
                    found.odd[stem] = f"it is computed by {kind} before each run; {RATHER}"
    for weight, names in parts.items():
        if names.keys() == {"original0", "original1"}:
            _norm(found, weight, tensors[names["original0"]], tensors[names["original1"]])
        if weight not in found.normed:
            spectral = {"0._u", "0._v"} <= names.keys()
            kind = "spectral_norm" if spectral else "a parametrization that the file does not name"
            found.odd[weight] = f"it is computed by {kind} before each run; {RATHER} (remove_parametrizations)"
    return found


def _norm(found: Plain, name: str, g: Tensor | Array, v: Tensor | Array) -> None:
    """Add the weight that weight_norm makes of g and v, where their shapes are such."""
    fits = len(v.shape) >= 2 and (not g.shape or len(g.shape) == len(v.shape))
    if not fits or any(one not in (1, size) for one, size in zip(g.shape, v.shape, strict=False)):
        return
    found.normed.add(name)
    if not (isinstance(g, Tensor) and isinstance(v, Tensor)):
        found.tensors[name] = _product(_array(g), _array(v))
    elif v.floating and g.floating:
        kind = "<f8" if v.kind == "<f8" else "<f4"

        def read(size: int) -> memoryview:
            if v.budget is not None:
                v.budget.hold(math.prod(v.shape), itemsize(kind), "what weight_norm computes")
            return _product(g.array(), v.array()).reshape(-1).view(np.uint8).data[:size]

        held = Storage(kind, math.prod(v.shape), read)
        strides = tuple(accumulate(v.shape[:0:-1], mul, initial=1))[::-1]
        found.tensors[name] = Tensor(v.shape, strides, 0, kind, held, v.budget)
    else:
        found.tensors[name] = v if g.floating else g  # which says why it cannot be read


def _array(one: Tensor | Array) -> Array:
    return one.array() if isinstance(one, Tensor) else real(one)


def _product(g: Array, v: Array) -> Array:
    """Return g · v / ‖v‖, computed in float64, a few rows at a time: weights may be large."""
    if g.ndim != v.ndim:  # one norm of all
        g = g.reshape((1,) * v.ndim)
    axes = tuple(axis for axis in range(v.ndim) if g.shape[axis] == 1)
    blocks = [slice(first, first + ROWS) for first in range(0, len(v), ROWS)]
    found = np.empty_like(v)
    with np.errstate(all="ignore"):
        norms = np.zeros(g.shape)
        for rows in blocks:
            norms[rows if g.shape[0] > 1 else slice(None)] += np.square(v[rows].astype(np.float64)).sum(
                axes, keepdims=True
            )
        scale = g / np.sqrt(norms)
        for rows in blocks:
            found[rows] = v[rows] * (scale[rows] if g.shape[0] > 1 else scale)
    return found
