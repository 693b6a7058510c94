"""Products: of matrices, linear layers, convolutions, and pools, which have the windows of a convolution."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from gatewise.network.dense import preactivations
from gatewise.network.operations.table import AnyArray, Estimate, Gradients, broadcast_shape, operation, unbroadcast


def _matmul_cost(a: AnyArray, b: AnyArray) -> Estimate:
    rows, columns = (a.shape[-2] if a.ndim > 1 else 1), (b.shape[-1] if b.ndim > 1 else 1)
    numbers = math.prod(broadcast_shape(a.shape[:-2], b.shape[:-2])) * rows * columns
    return Estimate(numbers, 2 * numbers * (a.shape[-1] if a.ndim else 1))


def _matmul_vjp(g: AnyArray, y: AnyArray, a: AnyArray, b: AnyArray) -> Gradients:
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    g = np.expand_dims(g, -1) if b.ndim == 1 else g
    g = np.expand_dims(g, -2) if a.ndim == 1 else g
    da, db = g @ right.swapaxes(-1, -2), left.swapaxes(-1, -2) @ g
    return unbroadcast(da, left).reshape(a.shape), unbroadcast(db, right).reshape(b.shape)


@operation("matmul", _matmul_vjp, _matmul_cost, affine="each")
def matmul(a: AnyArray, b: AnyArray) -> AnyArray:
    """Return the product of two matrices, or of stacks of them."""
    return np.asarray(np.matmul(a, b))


def _linear_cost(x: AnyArray, w: AnyArray, b: AnyArray | None = None) -> Estimate:
    numbers = x.size // max(x.shape[-1], 1) * len(w)
    return Estimate(2 * numbers, 2 * numbers * x.shape[-1])


def _linear_vjp(g: AnyArray, y: AnyArray, x: AnyArray, w: AnyArray, b: AnyArray | None = None) -> Gradients:
    rows, inputs = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return g @ w, rows.T @ inputs, None if b is None else rows.sum(0)


@operation("linear", _linear_vjp, _linear_cost, time="axes", affine="each")
def linear(x: AnyArray, w: AnyArray, b: AnyArray | None = None) -> AnyArray:
    """Return W x + b over the last axis; W is (output, input)."""
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1] or (b is not None and b.shape != w.shape[:1]):
        raise ValueError("a linear layer takes features, a weight (output, features) and a bias (output,)")
    b = np.zeros(len(w), w.dtype) if b is None else b
    if not x.dtype == w.dtype == b.dtype or w.dtype.char not in "fd":
        return np.asarray(np.matmul(x, w.T) + b)
    return preactivations(x, np.ascontiguousarray(w), np.ascontiguousarray(b))


# Sums of products by the letters of their axes.

MAX_COLUMNS = 2**22  # numbers of all windows side by side; of more, one product for each place of the kernel
EQUATION = re.compile(r"[A-Za-z]*(,[A-Za-z]*)*->[A-Za-z]*")


def _terms(equation: str, arrays: tuple[AnyArray, ...]) -> tuple[list[str], str, dict[str, int]]:
    """Return the letters of the inputs and of the output of an equation, and the size of each letter."""
    if not EQUATION.fullmatch(equation):
        raise ValueError(f"the equation {equation!r} is not supported")
    left, out = equation.split("->")
    terms, sizes = left.split(","), dict[str, int]()
    if len(terms) != len(arrays) or any(len(term) != item.ndim for term, item in zip(terms, arrays, strict=True)):
        raise ValueError(f"the equation {equation!r} does not fit its inputs")
    for term, array in zip(terms, arrays, strict=True):
        for letter, size in zip(term, array.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return terms, out, sizes


def _einsum_cost(*arrays: AnyArray, equation: str) -> Estimate:
    _, out, sizes = _terms(equation, arrays)
    return Estimate(math.prod(sizes.get(letter, 1) for letter in out), 5 * math.prod(sizes.values()))


def _einsum_vjp(g: AnyArray, y: AnyArray, *arrays: AnyArray, equation: str) -> Gradients:
    terms, out, _ = _terms(equation, arrays)
    gradients = []
    for place, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        others = [item for n, item in enumerate(terms) if n != place]
        rest = [array for n, array in enumerate(arrays) if n != place]
        missing = [letter for letter in term if letter not in "".join([out, *others])]
        if len(set(term)) < len(term):
            raise NotImplementedError(f"the gradient of {equation!r}, which takes a diagonal, is not supported")
        ones = [np.ones(array.shape[term.index(letter)], array.dtype) for letter in missing]
        left = ",".join([out, *others, *missing])
        gradients.append(np.einsum(f"{left}->{term}", g, *rest, *ones).astype(array.dtype, copy=False))
    return tuple(gradients)


@operation("einsum", _einsum_vjp, _einsum_cost, affine="each")
def einsum(*arrays: AnyArray, equation: str) -> AnyArray:
    """Return the sum of products that Einstein's notation describes, with an output and without dots."""
    _terms(equation, arrays)
    return np.asarray(np.einsum(equation, *arrays))


# Windows over the axes after (batch, channel).

Place = tuple[Any, tuple[Any, ...]]


def window_sizes(x: AnyArray, kernel: Any, strides: Any, dilations: Any) -> tuple[int, ...]:
    """Return the number of windows along each axis after (batch, channel)."""
    if not len(kernel) == len(strides) == len(dilations) == x.ndim - 2:
        raise ValueError(f"a kernel on {len(kernel)} axes does not fit an input on {x.ndim} axes")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise ValueError("sizes, strides and dilations of a kernel are at least 1")
    sizes = tuple(
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    )
    if min(sizes, default=1) < 1:
        raise ValueError(f"the kernel {tuple(kernel)} is larger than its input {x.shape[2:]}")
    return sizes


def _places(sizes: tuple[int, ...], kernel: Any, strides: Any, dilations: Any) -> Iterator[Place]:
    """Yield each place of a kernel, and the part of the input that it meets in all windows."""
    for at in product(*map(range, kernel)):
        ranges = zip(at, dilations, strides, sizes, strict=True)
        yield at, (..., *(slice(p * d, p * d + s * (n - 1) + 1, s) for p, d, s, n in ranges))


def conv_windows(x: AnyArray, kernel: Any, strides: Any, dilations: Any) -> AnyArray:
    """Return the windows that a kernel meets in (batch, channel, …): a view (batch, channel, window…, place…)."""
    axes = tuple(range(2, x.ndim))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    view: Any = np.lib.stride_tricks.sliding_window_view(x, spans, axes)
    windows: AnyArray = view[(..., *(slice(None, None, step) for step in (*strides, *dilations)))]
    return windows


def _grouped(x: AnyArray, groups: int) -> AnyArray:
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _conv_cost(x: AnyArray, w: AnyArray, b: Any = None, *, strides: Any, dilations: Any, groups: int) -> Estimate:
    windows = len(x) * math.prod(window_sizes(x, w.shape[2:], strides, dilations))
    numbers = 3 * windows * len(w) + 2 * min(windows * x.shape[1] * math.prod(w.shape[2:]), MAX_COLUMNS)
    return Estimate(numbers, 4 * windows * w.size + 20_000 * math.prod(w.shape[2:]))


def _conv_vjp(
    g: AnyArray, y: AnyArray, x: AnyArray, w: AnyArray, b: Any = None, *, strides: Any, dilations: Any, groups: int
) -> Gradients:
    dx, dw, grouped_g = np.zeros_like(x), np.zeros_like(w), _grouped(g, groups)
    grouped_w = w.reshape(groups, -1, *w.shape[1:])
    rows = grouped_g.reshape(*grouped_g.shape[:3], -1)
    for at, where in _places(g.shape[2:], w.shape[2:], strides, dilations):
        dx[where] += np.einsum("bgo...,goc->bgc...", grouped_g, grouped_w[(..., *at)]).reshape(dx[where].shape)
        columns = _grouped(x[where], groups)
        columns = columns.reshape(*columns.shape[:3], -1)
        dw[(..., *at)] = np.einsum("bgos,bgcs->goc", rows, columns).reshape(w.shape[:2])
    return dx, dw, None if b is None else g.sum(axis=(0, *range(2, g.ndim)))


@operation("conv", _conv_vjp, _conv_cost, affine="each")
def conv(
    x: AnyArray,
    w: AnyArray,
    b: AnyArray | None = None,
    *,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    groups: int,
) -> AnyArray:
    """Return the convolution of (batch, channel, …), unpadded, with a kernel (output, channel / groups, …)."""
    sizes = window_sizes(x, w.shape[2:], strides, dilations)
    if groups < 1 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
        raise ValueError(f"{x.shape[1]} channels in {groups} groups do not fit a kernel of {w.shape}")
    kind = np.result_type(x, w)
    wide = np.result_type(kind, np.float32)  # sums of halves are not added in half precision
    x, grouped = x.astype(wide, copy=False), w.astype(wide, copy=False).reshape(groups, -1, *w.shape[1:])
    batch, outputs, count, places = len(x), grouped.shape[1], math.prod(sizes), math.prod(w.shape[2:])
    if batch * count * x.shape[1] * places <= MAX_COLUMNS:
        # One product of all windows side by side is many times faster than one for each place of the kernel.
        windows = _grouped(conv_windows(x, w.shape[2:], strides, dilations), groups)
        columns = windows.reshape(batch, groups, w.shape[1], count, places).transpose(1, 0, 3, 2, 4)
        rows = columns.reshape(groups, batch * count, w.shape[1] * places)
        products = rows @ grouped.reshape(groups, outputs, w.shape[1] * places).swapaxes(1, 2)
        y: AnyArray = products.reshape(groups, batch, count, outputs).transpose(1, 0, 3, 2)
    else:
        y = np.zeros((batch, groups, outputs, count), wide)
        for at, where in _places(sizes, w.shape[2:], strides, dilations):
            part = _grouped(x[where], groups)
            y += grouped[(..., *at)] @ part.reshape(*part.shape[:3], -1)
    y = y.reshape(len(x), -1, *sizes).astype(kind, copy=False)
    return y if b is None else y + b.reshape(-1, *[1] * len(sizes))


def _pool_cost(x: AnyArray, *, kernel: Any, strides: Any, dilations: Any) -> Estimate:
    windows = math.prod(x.shape[:2]) * math.prod(window_sizes(x, kernel, strides, dilations))
    return Estimate(2 * windows, (2 * windows + 5_000) * math.prod(kernel))


def _max_pool_vjp(g: AnyArray, y: AnyArray, x: AnyArray, *, kernel: Any, strides: Any, dilations: Any) -> Gradients:
    dx, free = np.zeros_like(x), np.ones(g.shape, bool)
    for _, where in _places(g.shape[2:], kernel, strides, dilations):
        hit = free & (x[where] == y)
        dx[where] += np.where(hit, g, 0)
        free &= ~hit
    return (dx,)


@operation("max_pool", _max_pool_vjp, _pool_cost)
def max_pool(x: AnyArray, *, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]) -> AnyArray:
    """Return the largest number of each window of (batch, channel, …)."""
    sizes = window_sizes(x, kernel, strides, dilations)
    return reduce(np.maximum, (x[where] for _, where in _places(sizes, kernel, strides, dilations)))


def _mean_pool_vjp(g: AnyArray, y: AnyArray, x: AnyArray, *, kernel: Any, strides: Any, dilations: Any) -> Gradients:
    dx = np.zeros_like(x)
    for _, where in _places(g.shape[2:], kernel, strides, dilations):
        dx[where] += g / x.dtype.type(math.prod(kernel))
    return (dx,)


@operation("mean_pool", _mean_pool_vjp, _pool_cost, affine="first")
def mean_pool(
    x: AnyArray, *, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> AnyArray:
    """Return the mean of each window of (batch, channel, …)."""
    sizes = window_sizes(x, kernel, strides, dilations)
    y: AnyArray = reduce(np.add, (x[where] for _, where in _places(sizes, kernel, strides, dilations)))
    return np.asarray(y / x.dtype.type(math.prod(kernel)))
