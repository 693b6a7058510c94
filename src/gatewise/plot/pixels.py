"""Fewer points than a long run has steps: of each pixel's, the least and the greatest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array

MOST_POINTS = 2000  # of a line: about two for each pixel of its width


def edges_of(places: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the edges between places on an axis, one more than there are places."""
    if len(places) < 2:
        return np.concatenate([places - 0.5, places + 0.5])
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[places[0] - (middle[0] - places[0])], middle, [places[-1] + (places[-1] - middle[-1])]])


def bins(places: npt.NDArray[Any], most: int) -> npt.NDArray[np.intp]:
    """Return the first step of each of ``most // 2`` equal parts of an axis, and the one after its last.

    A part without a step of its own has the step that it is nearest to, or none where that is far away: where dates
    have a gap.
    """
    count = len(places)
    if even(places):
        marks = np.linspace(0, count, most // 2 + 1).astype(np.intp)
        return np.stack([marks[:-1], np.maximum(marks[1:], marks[:-1] + 1)], axis=1)
    edges, reach = edges_of(places), 0.75 * np.median(np.diff(places))
    marks = np.linspace(edges[0], edges[-1], most // 2 + 1)
    left, right = marks[:-1], marks[1:]
    first = np.searchsorted(edges, left, "right") - 1
    stop = np.maximum(np.searchsorted(edges, right, "left"), first + 1)
    gap = np.searchsorted(places + reach, left, "right") >= np.searchsorted(places - reach, right, "left")
    found: npt.NDArray[np.intp] = np.stack([first, np.where(gap, first, stop)], axis=1).clip(0, count)
    return found


def even(places: npt.NDArray[Any]) -> bool:
    """Whether places lie at equal distances."""
    apart = np.diff(places)
    return len(places) < 3 or bool(np.ptp(apart) <= 1e-3 * abs(apart.mean()))


def reduced(values: Array, most: int = MOST_POINTS) -> npt.NDArray[np.intp]:
    """Return which steps of a long series a picture shows: of each pixel's, that of the least and of the greatest.

    Parameters
    ----------
    values : array (time,)
        NaN is passed over.
    most : int
        How many steps to show at most.

    Returns
    -------
    array of int
        The steps, in order; all of them where there are not too many.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    bounds = np.linspace(0, count, most // 2 + 1).astype(np.intp)
    found = []
    for first, stop in pairwise(bounds):
        part = values[first:stop]
        low = first + int(np.argmin(np.where(np.isnan(part), np.inf, part)))
        high = first + int(np.argmax(np.where(np.isnan(part), -np.inf, part)))
        found += sorted((low, high))
    return np.array(found, np.intp)


def heat(values: Array, most: int = MOST_POINTS, places: npt.NDArray[Any] | None = None) -> Array:
    """Return a series (time, rows) as at most `most` columns, in which no row loses an extreme.

    Each pixel's steps become two columns, with the least and the greatest value of each row, in the order in which
    they occur. Steps that lie unevenly on the axis, at `places`, become columns of equal width.
    """
    uneven = places is not None and not even(places)
    if len(values) <= most and not uneven:
        return values
    bounds = bins(np.arange(len(values)) if places is None else places, most)
    shown = np.empty((2 * len(bounds), values.shape[1]))
    for place, (first, stop) in enumerate(bounds):
        part = values[first:stop] if stop > first else np.full((1, values.shape[1]), np.nan)
        none = np.isnan(part)
        low, high = np.where(none, np.inf, part), np.where(none, -np.inf, part)
        down = low.argmin(0) > high.argmax(0)
        pair = np.stack([low.min(0), high.max(0)])
        pair[:, none.all(0)] = np.nan
        shown[2 * place : 2 * place + 2] = np.where(down, pair[::-1], pair)
    return shown
