"""Operations that move numbers: axes, parts, repetitions and padding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from gatewise.network.operations.table import (
    FLAT,
    AnyArray,
    Estimate,
    Gradients,
    broadcast_shape,
    operation,
    shape_numbers,
    unbroadcast,
)


def _reshape_vjp(g: AnyArray, y: AnyArray, x: AnyArray, shape: AnyArray, zeros: bool = False) -> Gradients:
    return g.reshape(x.shape), None


@operation("reshape", _reshape_vjp, affine="first")
def reshape(x: AnyArray, shape: AnyArray, *, zeros: bool = False) -> AnyArray:
    """Return the same numbers in another shape; a 0 keeps the size of the axis, unless `zeros` are zeros."""
    sizes = [int(size) for size in shape]
    if not zeros:
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return x.reshape(sizes)


def _transpose_vjp(g: AnyArray, y: AnyArray, x: AnyArray, order: Sequence[int] | None = None) -> Gradients:
    return (g.transpose(None if order is None else np.argsort([place % x.ndim for place in order])),)


@operation("transpose", _transpose_vjp, time="each", affine="first")
def transpose(x: AnyArray, *, order: Sequence[int] | None = None) -> AnyArray:
    """Return the axes in another order; by default the last first."""
    return x.transpose(order)


@operation("swap", lambda g, y, x, first, second: (g.swapaxes(first, second),), time="each", affine="first")
def swap(x: AnyArray, *, first: int, second: int) -> AnyArray:
    """Return the numbers with two axes exchanged."""
    return x.swapaxes(first, second)


def _move_vjp(g: AnyArray, y: AnyArray, x: AnyArray, source: int, target: int) -> Gradients:
    return (np.moveaxis(g, target, source),)


@operation("move", _move_vjp, time="each", affine="first")
def move(x: AnyArray, *, source: int, target: int) -> AnyArray:
    """Return the numbers with one axis at another place, and the others in their order."""
    return np.moveaxis(x, source, target)


@operation("squeeze", lambda g, y, x, axes=None: (g.reshape(x.shape),), time="each", affine="first")
def squeeze(x: AnyArray, *, axes: tuple[int, ...] | None = None) -> AnyArray:
    """Return the numbers without these axes of size 1; None takes all of that size."""
    return np.squeeze(x, axes)


@operation("unsqueeze", lambda g, y, x, axes: (g.reshape(x.shape),), time="each", affine="first")
def unsqueeze(x: AnyArray, *, axes: tuple[int, ...]) -> AnyArray:
    """Return the numbers with new axes of size 1, at these places of the result."""
    return np.expand_dims(x, axes)


@operation("flatten", lambda g, y, x, start: (g.reshape(x.shape),), affine="first")
def flatten(x: AnyArray, *, start: int) -> AnyArray:
    """Return two axes: all before `start`, and all from it on."""
    start = start + x.ndim if start < 0 else start
    if not 0 <= start <= x.ndim:
        raise ValueError(f"start {start} does not fit {x.ndim} axes")
    return x.reshape(math.prod(x.shape[:start]), math.prod(x.shape[start:]))


def _expand_cost(x: AnyArray, shape: AnyArray) -> Estimate:
    return shape_numbers(broadcast_shape(x.shape, shape.tolist()))


@operation("expand", lambda g, y, x, shape: (unbroadcast(g, x), None), _expand_cost, time="each", affine="first")
def expand(x: AnyArray, shape: AnyArray) -> AnyArray:
    """Return the numbers repeated along axes of size 1, to a shape that both fit."""
    return np.broadcast_to(x, broadcast_shape(x.shape, shape.tolist()))


def _tile_cost(x: AnyArray, repeats: AnyArray) -> Estimate:
    return shape_numbers([x.size, *repeats.tolist()])


def _tile_vjp(g: AnyArray, y: AnyArray, x: AnyArray, repeats: AnyArray) -> Gradients:
    pairs = zip(repeats.tolist(), x.shape, strict=True)
    split = [size for pair in pairs for size in pair]
    return g.reshape(split).sum(axis=tuple(range(0, len(split), 2))), None


@operation("tile", _tile_vjp, _tile_cost, affine="first")
def tile(x: AnyArray, repeats: AnyArray) -> AnyArray:
    """Return the numbers repeated so often along each axis."""
    if len(repeats) != x.ndim:
        raise ValueError(f"there are {len(repeats)} repeats for {x.ndim} axes")
    return np.tile(x, repeats.tolist())


# Parts.


def _concat_vjp(g: AnyArray, y: AnyArray, *arrays: AnyArray, axis: int) -> Gradients:
    return tuple(np.split(g, np.cumsum([array.shape[axis] for array in arrays])[:-1], axis))


@operation("concat", _concat_vjp, time="axes", affine="all")
def concat(*arrays: AnyArray, axis: int) -> AnyArray:
    """Return arrays one behind another along an axis."""
    return np.concatenate(arrays, axis)


@operation("stack", lambda g, y, *arrays, axis: tuple(np.moveaxis(g, axis, 0)), time="each", affine="all")
def stack(*arrays: AnyArray, axis: int) -> AnyArray:
    """Return arrays on a new axis."""
    return np.stack(arrays, axis)


@operation("split", lambda g, y, x, sizes, axis: (np.concatenate(g, axis), None), time="axes", affine="first")
def split(x: AnyArray, sizes: AnyArray, *, axis: int) -> tuple[AnyArray, ...]:
    """Return parts of an axis, of these sizes."""
    if sizes.sum() != x.shape[axis] or (sizes < 0).any():
        raise ValueError(f"the sizes {sizes.tolist()} do not add up to {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


@operation("chunk", lambda g, y, x, count, axis: (np.concatenate(g, axis),), time="axes", affine="first")
def chunk(x: AnyArray, *, count: int, axis: int) -> tuple[AnyArray, ...]:
    """Return `count` equal parts of an axis; the last may be shorter."""
    each = -(-x.shape[axis] // count)
    return tuple(np.split(x, [each * n for n in range(1, count)], axis))


def _keys(x: AnyArray, bounds: Sequence[AnyArray]) -> tuple[slice, ...]:
    """Return the slice of each axis, given arrays of starts, ends, axes and steps."""
    key = [slice(None)] * x.ndim
    for start, end, axis, step in zip(*(item.tolist() for item in bounds), strict=True):
        key[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return tuple(key)


def _slice_vjp(g: AnyArray, y: AnyArray, x: AnyArray, *bounds: AnyArray) -> Gradients:
    dx = np.zeros_like(x)
    dx[_keys(x, bounds)] = g
    return (dx, *(None,) * len(bounds))


@operation("slice", _slice_vjp, time="axes", affine="first")
def slice_(x: AnyArray, starts: AnyArray, ends: AnyArray, axes: AnyArray, steps: AnyArray) -> AnyArray:
    """Return a part of some axes, as Python's slices do; an end below the axis's start includes its first number."""
    return x[_keys(x, (starts, ends, axes, steps))]


def _gather_cost(x: AnyArray, indices: AnyArray, axis: int) -> Estimate:
    return shape_numbers([indices.size, *x.shape[:axis], *x.shape[axis:][1:]], 2)


def _gather_vjp(g: AnyArray, y: AnyArray, x: AnyArray, indices: AnyArray, axis: int) -> Gradients:
    dx = np.zeros_like(x)
    place: Any = (*[slice(None)] * normalize_axis_index(axis, x.ndim), indices)
    np.add.at(dx, place, g)
    return dx, None


@operation(
    "gather",
    _gather_vjp,
    lambda x, indices, axis: _gather_cost(x, indices, axis % max(x.ndim, 1)),
    time="axes",
    affine="first",
)
def gather(x: AnyArray, indices: AnyArray, *, axis: int) -> AnyArray:
    """Return rows of an axis by their numbers: an embedding, one step, some of the features."""
    return np.take(x, indices, axis)


def _along(x: AnyArray, indices: AnyArray, axis: int) -> tuple[AnyArray, ...]:
    """Return the place of each number that `gather_elements` takes."""
    if indices.ndim != x.ndim:
        raise ValueError(f"there are indices on {indices.ndim} axes for an array of {x.ndim}")
    places: list[Any] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    return tuple(places)


def _gather_elements_vjp(g: AnyArray, y: AnyArray, x: AnyArray, indices: AnyArray, axis: int) -> Gradients:
    dx = np.zeros_like(x)
    np.add.at(dx, _along(x, indices, axis), g)
    return dx, None


@operation("gather_elements", _gather_elements_vjp, time="axes", affine="first")
def gather_elements(x: AnyArray, indices: AnyArray, *, axis: int) -> AnyArray:
    """Return numbers of an axis, each by its own place there."""
    return x[_along(x, indices, axis)]


@operation("flip", lambda g, y, x, axes: (np.flip(g, axes),), time="axes", affine="first")
def flip(x: AnyArray, *, axes: tuple[int, ...]) -> AnyArray:
    """Return the numbers in reverse order along these axes."""
    return np.flip(x, axes)


# Padding.

PAD_MODES = ("constant", "reflect", "edge", "wrap")


def _widths(pads: AnyArray) -> list[tuple[int, int]]:
    """Return the padding before and after each axis."""
    return [(before, after) for before, after in zip(*pads.reshape(2, -1).tolist(), strict=True)]


def _cropped(x: AnyArray, widths: Iterable[tuple[int, int]]) -> AnyArray:
    """Return an array without what negative widths cut off."""
    key = [slice(max(0, -before), size - max(0, -after)) for (before, after), size in zip(widths, x.shape, strict=True)]
    return x[tuple(key)]


def _padded(x: AnyArray, pads: AnyArray, mode: str, value: Any) -> AnyArray:
    if mode not in PAD_MODES:
        raise ValueError(f"there is no mode {mode!r}; known: {', '.join(PAD_MODES)}")
    widths = _widths(pads)
    if len(widths) != x.ndim:
        raise ValueError(f"there are pads for {len(widths)} axes of {x.ndim}")
    positive: Any = [(max(0, before), max(0, after)) for before, after in widths]
    extra: Any = {"constant_values": value} if mode == "constant" else {}
    return _cropped(np.pad(x, positive, mode, **extra), widths)  # type: ignore[call-overload]


def _pad_cost(x: AnyArray, pads: AnyArray, value: AnyArray | None = None, mode: str = "constant") -> Estimate:
    sizes = [
        size + max(0, before) + max(0, after) for size, (before, after) in zip(x.shape, _widths(pads), strict=True)
    ]
    return shape_numbers(sizes, 5)


def _pad_vjp(
    g: AnyArray, y: AnyArray, x: AnyArray, pads: AnyArray, value: AnyArray | None = None, mode: str = "constant"
) -> Gradients:
    places = _padded(np.arange(x.size).reshape(x.shape), pads, mode, x.size)
    dx = np.zeros(x.size + 1, x.dtype)
    np.add.at(dx, places, g)
    dvalue = None if value is None or value.dtype != x.dtype else dx[-1:].reshape(value.shape)
    return dx[:-1].reshape(x.shape), None, dvalue


@operation("pad", _pad_vjp, _pad_cost, time="axes", affine="first")
def pad(x: AnyArray, pads: AnyArray, value: AnyArray | None = None, *, mode: str = "constant") -> AnyArray:
    """Return the numbers with more before and after each axis: `pads` has all of the first, then all of the second.

    Negative pads cut off. `value` is one number, 0 by default, for the mode ``constant``.
    """
    return _padded(x, pads, mode, 0 if value is None else value.reshape(()).astype(x.dtype))


# Sizes, and arrays that are made of them.


@operation("shape", FLAT, lambda x: Estimate(x.ndim, 1), time="each", affine="first")
def shape(x: AnyArray) -> AnyArray:
    """Return the size of each axis."""
    return np.array(x.shape, np.int64)


@operation("fill", FLAT, lambda shape, value: shape_numbers(shape.tolist()), affine="none")
def fill(shape: AnyArray, value: AnyArray) -> AnyArray:
    """Return an array of one number."""
    return np.full(shape.tolist(), value.reshape(()))


def _range_cost(start: AnyArray, stop: AnyArray, step: AnyArray) -> Estimate:
    count = math.ceil((stop.item() - start.item()) / step.item())
    return shape_numbers([count])


@operation("range", FLAT, _range_cost)
def range_(start: AnyArray, stop: AnyArray, step: AnyArray) -> AnyArray:
    """Return the numbers from start, before stop, step by step."""
    return np.arange(start.item(), stop.item(), step.item(), dtype=np.result_type(start, stop, step))


def _one_hot_cost(indices: AnyArray, values: AnyArray, depth: int, axis: int = -1) -> Estimate:
    return shape_numbers([*indices.shape, depth], 3)


@operation("one_hot", FLAT, _one_hot_cost, time="axes")
def one_hot(indices: AnyArray, values: AnyArray, *, depth: int, axis: int = -1) -> AnyArray:
    """Return the second of two values at each index, on a new axis of `depth` numbers, and the first elsewhere.

    Negative indices count from the end; those that do not fit have the first value everywhere.
    """
    places = np.where(indices < 0, indices + depth, indices)
    hit: AnyArray = np.expand_dims(places, axis) == np.arange(depth).reshape(
        [-1 if place == axis % (indices.ndim + 1) else 1 for place in range(indices.ndim + 1)]
    )
    return np.asarray(np.where(hit, values[1], values[0]))


@operation("triangle", lambda g, y, x, offset, upper: (triangle(g, offset=offset, upper=upper),), affine="first")
def triangle(x: AnyArray, *, offset: int, upper: bool) -> AnyArray:
    """Return the lower or the upper triangle of the last two axes, from a diagonal on; the rest is 0."""
    return np.triu(x, offset) if upper else np.tril(x, offset)
