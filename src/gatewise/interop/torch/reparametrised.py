"""Weights that PyTorch computes before each run: weight_norm is computed here, other kinds are named.

``torch.nn.utils.weight_norm`` keeps ``weight_g`` and ``weight_v`` for a weight, and its successor among the
parametrizations keeps ``parametrizations.weight.original0`` and ``original1``. The weight is g · v / ‖v‖, the norm
taken over all axes but the one that g has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.interop.containers.tensors import Storage, Tensor, bytes_per_number, contiguous_tensor, numbers_of

NORMED = "weight_norm: its weights are g · v / ‖v‖"
PARAMETRIZED = re.compile(r"((?:.*\.)?)parametrizations\.([^.]+)\.(.+)", re.DOTALL)
ROWS = 64  # that are computed at once
ADVICE = "remove it from the model before its state dict is saved"
Tensors = Mapping[str, Tensor | Array]


class PlainTensors(NamedTuple):
    """Tensors under their names without parametrizations, and why some cannot be computed.

    `sources` has the names in the file of those, and of what weight_norm computes.
    """

    tensors: dict[str, Tensor | Array]
    problems: dict[str, str]
    sources: dict[str, tuple[str, ...]]

    def in_file(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names in the file of tensors."""
        return tuple(dict.fromkeys(source for name in names for source in self.sources.get(name, (name,))))


def undo_parametrisations(tensors: Tensors) -> PlainTensors:
    """Return PyTorch's tensors by the names of the weights that a run uses, computed if necessary."""
    result = PlainTensors(dict(tensors), {}, {})
    parts: dict[str, dict[str, str]] = {}
    for name in tensors:
        if (match := PARAMETRIZED.fullmatch(name)) is not None:
            parts.setdefault(match[1] + match[2], {})[match[3]] = name
        elif name.endswith("_g") and f"{name[:-1]}v" in tensors:
            _add_normed_weight(result, name[:-2], tensors[name], tensors[f"{name[:-1]}v"])
            result.sources[name[:-2]] = (name, f"{name[:-1]}v")
        elif name.endswith("_orig"):
            stem = name.removesuffix("_orig")
            for end, kind in (("_u", "spectral_norm"), ("_mask", "pruning (torch.nn.utils.prune)")):
                if f"{stem}{end}" in tensors:
                    result.problems[stem] = f"it is computed by {kind} before each run; {ADVICE}"
                    result.sources[stem] = (name, f"{stem}{end}")
    for weight, names in parts.items():
        result.sources[weight] = tuple(names.values())
        g, v = (tensors.get(names.get(name, "")) for name in ("original0", "original1"))
        if g is None or v is None or len(names) > 2 or not _add_normed_weight(result, weight, g, v):
            spectral = {"0._u", "0._v"} <= names.keys()
            kind = "spectral_norm" if spectral else "a parametrization that the file does not name"
            result.problems[weight] = f"it is computed by {kind} before each run; {ADVICE} (remove_parametrizations)"
    return result


def _add_normed_weight(result: PlainTensors, name: str, g: Tensor | Array, v: Tensor | Array) -> bool:
    """Add the weight that PyTorch's weight_norm computes from g and v, and return whether their shapes fit."""
    fits = len(v.shape) >= 2 and (not g.shape or len(g.shape) == len(v.shape))
    if not fits or any(norm_size not in (1, size) for norm_size, size in zip(g.shape, v.shape, strict=False)):
        return False
    if not (isinstance(g, Tensor) and isinstance(v, Tensor)):
        result.tensors[name] = _weight_norm(numbers_of(g), numbers_of(v))
    elif v.floating and g.floating:
        kind = "<f8" if v.kind == "<f8" else "<f4"

        def read(size: int) -> memoryview:
            if v.budget is not None:
                v.budget.hold(math.prod(v.shape), bytes_per_number(kind), "what weight_norm computes")
            return _weight_norm(g.array(), v.array()).reshape(-1).view(np.uint8).data[:size]

        result.tensors[name] = contiguous_tensor(v.shape, Storage(kind, math.prod(v.shape), read), v.budget)
    else:
        result.tensors[name] = v if g.floating else g  # its words say why it cannot be read
    return True


def _weight_norm(g: Array, v: Array) -> Array:
    """Return PyTorch's weight_norm, g · v / ‖v‖, computed in float64, a few rows at a time: weights may be large."""
    if g.ndim != v.ndim:  # one norm of all
        g = g.reshape((1,) * v.ndim)
    axes = tuple(axis for axis in range(v.ndim) if g.shape[axis] == 1)
    row_blocks = [slice(first, first + ROWS) for first in range(0, len(v), ROWS)]
    product = np.empty_like(v)
    with np.errstate(all="ignore"):
        norms = np.zeros(g.shape)
        for rows in row_blocks:
            norms[rows if g.shape[0] > 1 else slice(None)] += np.square(v[rows].astype(np.float64)).sum(
                axes, keepdims=True
            )
        scale = g / np.sqrt(norms)
        for rows in row_blocks:
            product[rows] = v[rows] * (scale[rows] if g.shape[0] > 1 else scale)
    return product
