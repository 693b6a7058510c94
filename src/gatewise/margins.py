"""Margins wider than rounding, so that no decision depends on the CPU.

CPUs sum in different orders, fuse multiply-adds or don't, and compute exponentials differently. The same run therefore
differs in its last bits. Decisions that read computed numbers leave a margin for that: numbers within it are equal,
and the first of them wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array

EPSILONS = 64  # machine epsilons of the largest number: on two CPUs, a run differs by less (by up to 20, as measured)
TIE = 2.0**-17  # of the largest number, as many epsilons of float32: sizes of a run that differ by less tie
TIE_IN_FLOAT64 = 2.0**-34  # the same where a run is known to be in float64; sums over many steps are included
LARGEST = {"float32": 1e7, "float64": 1e60}  # in size: no sum of products of five such numbers overflows


def rounding_margin(values: Array, dtype: npt.DTypeLike | None = None, axis: Any = None) -> Array:
    """Return a margin wider than the rounding of a run's numbers: 64 machine epsilons of the largest.

    `dtype` is that of the run, by default that of the array. With `axis`, the largest is taken along these axes.
    """
    largest = np.max(np.abs(values), axis=axis, initial=0.0, where=np.isfinite(values))
    margin: Array = EPSILONS * np.finfo(values.dtype if dtype is None else dtype).eps * np.asarray(largest, np.float64)
    return margin


def is_in_range(values: npt.ArrayLike, dtype: np.dtype[Any]) -> bool:
    """Return whether all numbers are at most `LARGEST` in size, so that what is computed of them next is finite."""
    return bool((np.abs(values) <= LARGEST[dtype.name]).all())


def first_largest(sizes: npt.ArrayLike, within: float | None = None) -> int:
    """Return the place of the largest number, in the order of the flat array: of several that tie, the first.

    Numbers tie if they differ by at most `within`, by default `TIE` of the largest magnitude. NaN is never the largest.

    Examples
    --------
    >>> first_largest([0.1, 0.3, 0.1 + 0.2])
    1
    """
    array = np.where(np.isnan(sizes), -np.inf, sizes).ravel()
    most = array.max()
    within = TIE * _largest_magnitude(array) if within is None else within
    return int(np.argmax(array >= most - within if np.isfinite(most) else array == most))


def largest_first(
    sizes: npt.ArrayLike, most: int | None = None, *, dtype: npt.DTypeLike = np.float32, relative: bool = False
) -> npt.NDArray[np.intp]:
    """Return the places of numbers, the largest first, or of the `most` largest; numbers that tie stay in their order.

    Numbers tie if they differ by at most `TIE` of the largest magnitude of all, or less if the `dtype` of the run is
    float64; with `relative`, of the larger of the two, for numbers that are each accurate by itself. NaN comes last.

    Examples
    --------
    >>> largest_first([0.1, 0.1 + 0.2, 0.3, 0.4]).tolist()
    [3, 1, 2, 0]
    """
    array = np.where(np.isnan(sizes), -np.inf, sizes)
    order = np.argsort(-array, kind="stable")
    falling, start, share = -array[order], 0, TIE if dtype == np.float32 else TIE_IN_FLOAT64
    within = share * _largest_magnitude(array)
    count = len(order) if most is None else min(most, len(order))
    while start < count:
        first = falling[start]
        room = share * abs(first) if relative else within
        stop = int(np.searchsorted(falling, first + room if np.isfinite(first) else first, "right"))
        order[start:stop].sort()
        start = stop
    return order[:count]


def _largest_magnitude(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
