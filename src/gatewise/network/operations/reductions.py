"""Operations over whole axes: sums, means, norms, softmax, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from gatewise.network.operations.table import FLAT, AnyArray, Gradients, add_operation, operation, same_numbers

Axes = tuple[int, ...] | None


def _restored(g: AnyArray, x: AnyArray, axes: Axes, keepdims: bool) -> AnyArray:
    """Return a reduced array with the axes again that are gone."""
    every = tuple(range(x.ndim)) if axes is None else normalize_axis_tuple(axes, x.ndim)
    return g if keepdims else np.expand_dims(g, every)


def _norm(x: AnyArray, axis: Axes, keepdims: bool) -> Any:
    return np.sqrt(np.sum(x * x, axis, keepdims=keepdims))


def _extreme_slope(x: AnyArray, y: AnyArray, axes: Axes) -> Any:
    hit = x == y
    return hit / hit.sum(axis=axes, keepdims=True)  # shared if several are the largest


def _logsumexp(x: AnyArray, axis: Axes, keepdims: bool) -> Any:
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    total = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return total if keepdims else total.reshape(np.sum(x, axis).shape)


def _prod_slope(x: AnyArray, y: AnyArray, axes: Axes) -> AnyArray:
    """Return the product of all others: also where one of them is 0."""
    zeros = (x == 0).sum(axis=axes, keepdims=True)
    others = np.prod(np.where(x == 0, 1, x), axis=axes, keepdims=True)
    alone = np.where(x == 0, others, 0)
    return np.where(zeros == 0, y / np.where(x == 0, 1, x), np.where(zeros == 1, alone, 0))


# Each: the function of NumPy, dy/dx as a function of x, y (with all axes) and the axes, and whether it is affine.
REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[[AnyArray, AnyArray, Axes], Any], str]] = {
    "sum": (np.sum, lambda x, y, axes: np.ones_like(x), "first"),
    "mean": (np.mean, lambda x, y, axes: np.full_like(x, y.size / max(x.size, 1)), "first"),
    "max": (np.max, _extreme_slope, "none"),
    "min": (np.min, _extreme_slope, "none"),
    "prod": (np.prod, _prod_slope, "none"),
    "logsumexp": (_logsumexp, lambda x, y, axes: np.exp(x - y), "none"),
    "norm2": (_norm, lambda x, y, axes: x / np.where(y == 0, 1, y), "none"),
}


def _add_reduction(name: str, function: Callable[..., Any], slope: Callable[..., Any], affine: str) -> None:
    def forward(x: AnyArray, *, axes: Axes = None, keepdims: bool = False) -> AnyArray:
        return np.asarray(function(x, axis=axes, keepdims=keepdims)).astype(x.dtype, copy=False)

    def vjp(g: AnyArray, y: AnyArray, x: AnyArray, axes: Axes = None, keepdims: bool = False) -> Gradients:
        g, y = _restored(g, x, axes, keepdims), _restored(y, x, axes, keepdims)
        return ((g * slope(x, y, axes)).astype(x.dtype, copy=False),)

    add_operation(f"reduce_{name}", forward, vjp, same_numbers(5), time="axes", affine=affine)


for _name, _row in REDUCTIONS.items():
    _add_reduction(_name, *_row)


@operation("reduce_any", FLAT, time="axes")
def reduce_any(x: AnyArray, *, axes: Axes = None, keepdims: bool = False) -> AnyArray:
    """Say whether any number is not 0."""
    return np.asarray(np.any(x, axis=axes, keepdims=keepdims))


@operation("reduce_all", FLAT, time="axes")
def reduce_all(x: AnyArray, *, axes: Axes = None, keepdims: bool = False) -> AnyArray:
    """Say whether no number is 0."""
    return np.asarray(np.all(x, axis=axes, keepdims=keepdims))


def _place_of(function: Callable[..., Any], x: AnyArray, axis: int, keepdims: bool, last: bool) -> Any:
    if not last:
        return np.asarray(function(x, axis, keepdims=keepdims))
    return x.shape[axis] - 1 - np.asarray(function(np.flip(x, axis), axis, keepdims=keepdims))


@operation("argmax", FLAT, time="axes")
def argmax(x: AnyArray, *, axis: int, keepdims: bool = False, last: bool = False) -> AnyArray:
    """Return the place of the largest number along an axis: the first of several, or the last."""
    return np.asarray(_place_of(np.argmax, x, axis, keepdims, last))


@operation("argmin", FLAT, time="axes")
def argmin(x: AnyArray, *, axis: int, keepdims: bool = False, last: bool = False) -> AnyArray:
    """Return the place of the smallest number along an axis: the first of several, or the last."""
    return np.asarray(_place_of(np.argmin, x, axis, keepdims, last))


def _cumsum_vjp(
    g: AnyArray, y: AnyArray, x: AnyArray, axis: int, exclusive: bool = False, reverse: bool = False
) -> Gradients:
    return (cumsum(g, axis=axis, exclusive=exclusive, reverse=not reverse),)


@operation("cumsum", _cumsum_vjp, same_numbers(10), affine="first")
def cumsum(x: AnyArray, *, axis: int, exclusive: bool = False, reverse: bool = False) -> AnyArray:
    """Return the running sums along an axis: without the number itself, or from the end, if asked."""
    ordered = np.flip(x, axis) if reverse else x
    y: AnyArray = np.cumsum(ordered, axis, dtype=x.dtype)
    if exclusive:
        y = y - ordered
    return np.flip(y, axis) if reverse else y


@operation(
    "softmax", lambda g, y, x, axis: (y * (g - (g * y).sum(axis, keepdims=True)),), same_numbers(30), time="axes"
)
def softmax(x: AnyArray, *, axis: int) -> AnyArray:
    """Return exp(x) divided by its sum along an axis."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


@operation(
    "log_softmax", lambda g, y, x, axis: (g - np.exp(y) * g.sum(axis, keepdims=True),), same_numbers(30), time="axes"
)
def log_softmax(x: AnyArray, *, axis: int) -> AnyArray:
    """Return the logarithm of the softmax along an axis."""
    shifted = x - x.max(axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)))


def _normalised(x: AnyArray, axes: tuple[int, ...], epsilon: float) -> tuple[AnyArray, AnyArray]:
    """Return numbers of mean 0 and variance 1, and the factor that gave them their variance."""
    wide = x.astype(np.result_type(x, np.float32), copy=False)  # squares of halves overflow
    centred = wide - wide.mean(axes, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(axes, keepdims=True) + wide.dtype.type(epsilon))
    return (centred * scale).astype(x.dtype, copy=False), scale.astype(x.dtype, copy=False)


def _normalise_vjp(g: AnyArray, y: AnyArray, x: AnyArray, axes: tuple[int, ...], epsilon: float) -> Gradients:
    _, scale = _normalised(x, axes, epsilon)
    return (scale * (g - g.mean(axes, keepdims=True) - y * (g * y).mean(axes, keepdims=True)),)


@operation("normalise", _normalise_vjp, same_numbers(20), time="axes")
def normalise(x: AnyArray, *, axes: tuple[int, ...], epsilon: float) -> AnyArray:
    """Return numbers of mean 0 and variance 1 over these axes: a norm of layers, groups or instances, unscaled."""
    return _normalised(x, axes, epsilon)[0]
