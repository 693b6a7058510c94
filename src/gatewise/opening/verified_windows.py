"""The windows in which a model is evaluated, and the answers of its own runtime to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError
from gatewise.margins import largest_first, rounding_margin
from gatewise.opening.answers import Answers
from gatewise.opening.windows import WindowedSeries
from gatewise.records.labels import Labels
from gatewise.records.times import dates_of
from gatewise.showing import counted

MOST = 16  # windows that are compared in full


class WindowBatch(NamedTuple):
    """Windows of a series as sequences of a batch (step, window, feature), with the answers to their last steps."""

    x: Array
    answers: Answers


def windows_to_verify(series: WindowedSeries, answers: Answers) -> WindowBatch:
    """Return windows of a series with the answers to them: half of them those furthest off, the others spread evenly.

    All windows run for that. The answers have a row for each step or date of the series, or for each window; those to
    steps at which no whole window ends do not count, and neither do NaN.
    """
    if set(answers.arrays) != {"y"}:
        raise OptionError(
            "a model that is evaluated in windows only has outputs. To verify final states, add --continuous."
        )
    outputs, steps = series.outputs, series.windows.steps
    claimed, length = _at_steps(series, answers), counted(steps, "step")
    known = series.ends & ~np.isnan(claimed).any(-1)
    places = np.argwhere(known)
    if not len(places):
        raise OptionError(f"{answers.source} has no answer to a whole window of {length}")
    apart = np.abs(outputs[known] - claimed[known]).max(-1)
    furthest = largest_first(np.where(apart > rounding_margin(outputs[known]), apart, 0), MOST // 2)
    evenly = np.linspace(0, len(places) - 1, MOST // 2).round().astype(int)
    ends, sequences = places[[*dict.fromkeys([*furthest.tolist(), *evenly.tolist()])]].T
    note = (
        f"{len(ends):,} of {counted(len(places), 'window')} of {length} are compared in full, those whose outputs are"
        f" furthest off among them: sequence 0 is the window that ends at {series.when(int(ends[0]))}"
    )
    x = series.x[ends + np.arange(1 - steps, 1)[:, None], sequences]
    arrays = {"y": claimed[ends, sequences]}
    return WindowBatch(x, replace(answers, arrays=arrays, axes=None, notes=(*answers.notes, note)))


def _at_steps(series: WindowedSeries, answers: Answers) -> Array:
    """Return the answers at the steps of a series (time, batch, output); NaN where there are none."""
    y, count = answers.arrays["y"], series.network.num_outputs
    steps, batch = series.ends.shape
    if y.ndim < 3:
        y = y.reshape(len(y), batch, count) if y.size == len(y) * batch * count else y
    if y.ndim != 3 or y.shape[1:] != (batch, count):
        raise ShapeError(
            f"{answers.source} has shape {answers.arrays['y'].shape}; it must be (time, {count}), with"
            f" {counted(batch, 'sequence')} (time, batch, output)"
        )
    places = _places(series, answers, len(y))
    claimed = np.full((steps, *y.shape[1:]), np.nan, y.dtype)
    claimed[places] = y
    return claimed


def _places(series: WindowedSeries, answers: Answers, count: int) -> Any:
    """Return the steps of a series that the rows of the answers belong to: by their times, or by their number."""
    steps, whole = len(series.ends), len(series.ends) - series.windows.steps + 1
    if answers.times is not None and series.times is not None:
        names = Labels(times=dates_of(answers.times)).times or ()
        own, others = (_comparable(times) for times in (series.times, names))
        place_of = {time: place for place, time in enumerate(own)}
        if missing := [name for name, time in zip(names, others, strict=True) if time not in place_of]:
            raise OptionError(f"{answers.source} has an answer for {missing[0]}, which is not a step of the input")
        return [place_of[time] for time in others]
    if count == steps:
        return slice(None)
    if count == whole:
        return slice(steps - whole, None)
    raise ShapeError(
        f"{answers.source} has {counted(count, 'row')}; it must have one for each of {counted(steps, 'step')}, or of"
        f" {counted(whole, 'window')}"
    )


def _comparable(times: Any) -> list[int] | list[str]:
    """Return times as nanoseconds where they are dates, and else as text."""
    array = np.array(list(times))
    if array.dtype.kind != "M":
        return [str(time) for time in times]
    return [int(time) for time in array.astype("datetime64[ns]").astype(np.int64)]
