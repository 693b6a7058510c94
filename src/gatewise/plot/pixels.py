"""Reduction of long runs to the pixels of a picture: each pixel keeps its least and its greatest value."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask

MOST_POINTS = 2000  # of a line: about two for each pixel


def edges_of(places: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the edges (places + 1,) of a picture's cells around places on an axis."""
    if len(places) < 2:
        return np.concatenate([places - 0.5, places + 0.5])
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[places[0] - (middle[0] - places[0])], middle, [places[-1] + (places[-1] - middle[-1])]])


def spans_of(on: Mask) -> npt.NDArray[np.intp]:
    """Return the spans (span, 2) of neighbouring steps that are on: the first, and the step after the last."""
    return np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int))).reshape(-1, 2)


def pixel_bins(places: npt.NDArray[Any], most: int) -> npt.NDArray[np.intp]:
    """Return the first step of each of ``most // 2`` equal parts of a time axis, and the step after its last.

    A part without a step gets the nearest step, or none if that is far away, as in a gap of dates.
    """
    count = len(places)
    if is_even(places):
        marks = np.linspace(0, count, most // 2 + 1).astype(np.intp)
        return np.stack([marks[:-1], np.maximum(marks[1:], marks[:-1] + 1)], axis=1)
    edges, reach = edges_of(places), 0.75 * np.median(np.diff(places))
    marks = np.linspace(edges[0], edges[-1], most // 2 + 1)
    left, right = marks[:-1], marks[1:]
    first = np.searchsorted(edges, left, "right") - 1
    stop = np.maximum(np.searchsorted(edges, right, "left"), first + 1)
    gap = np.searchsorted(places + reach, left, "right") >= np.searchsorted(places - reach, right, "left")
    bounds: npt.NDArray[np.intp] = np.stack([first, np.where(gap, first, stop)], axis=1).clip(0, count)
    return bounds


def is_even(places: npt.NDArray[Any]) -> bool:
    """Say whether places lie at equal distances."""
    distances = np.diff(places)
    return len(places) < 3 or bool(np.ptp(distances) <= 1e-3 * abs(distances.mean()))


def extreme_steps(values: Array, most: int = MOST_POINTS) -> npt.NDArray[np.intp]:
    """Return the steps of each pixel's least and greatest value in a series, in order; all if at most `most`."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    bounds = np.linspace(0, count, most // 2 + 1).astype(np.intp)
    steps = []
    for first, stop in pairwise(bounds):
        part = values[first:stop]
        low = first + int(np.argmin(np.where(np.isnan(part), np.inf, part)))
        high = first + int(np.argmax(np.where(np.isnan(part), -np.inf, part)))
        steps += sorted((low, high))
    return np.array(steps, np.intp)


def pixel_ranges(places: npt.NDArray[Any], values: Array, most: int) -> tuple[Array, ...]:
    """Return of each of at most `most` equal parts of a series its first place, least, median and greatest value."""
    width = -(-len(values) // most)
    parts = np.pad(values, (0, -len(values) % width), constant_values=np.nan).reshape(-1, width)
    ordered, last = np.sort(parts, axis=1), np.maximum((~np.isnan(parts)).sum(1) - 1, 0)
    rows = np.arange(len(parts))
    return places[::width], ordered[:, 0], ordered[rows, last // 2], ordered[rows, last]


def keep_extremes(values: Array, most: int = MOST_POINTS, places: npt.NDArray[Any] | None = None) -> Array:
    """Return a series (time, rows) to draw with at most `most` steps, in which no row loses an extreme.

    The steps of each pixel become two, with the least and the greatest value of each row in the order in which they
    occur. Steps at uneven `places` on the axis become steps of equal width.
    """
    uneven = places is not None and not is_even(places)
    if len(values) <= most and not uneven:
        return values
    bounds = pixel_bins(np.arange(len(values)) if places is None else places, most)
    reduced = np.empty((2 * len(bounds), values.shape[1]))
    for place, (first, stop) in enumerate(bounds):
        part = values[first:stop] if stop > first else np.full((1, values.shape[1]), np.nan)
        none = np.isnan(part)
        low, high = np.where(none, np.inf, part), np.where(none, -np.inf, part)
        down = low.argmin(0) > high.argmax(0)
        pair = np.stack([low.min(0), high.max(0)])
        pair[:, none.all(0)] = np.nan
        reduced[2 * place : 2 * place + 2] = np.where(down, pair[::-1], pair)
    return reduced
