"""What the units and the steps of a trace are called in answers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import index
from gatewise.errors import OptionError, one_of
from gatewise.records.trace import Trace

UNITS = {  # of dates, by NumPy's abbreviations
    "D": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}


def sequence_of(trace: Trace, sequence: int | str) -> int:
    """Return the place of a sequence in the batch, given its place or its name."""
    if not isinstance(sequence, str):
        return index("sequence", sequence, trace.batch_size, "this trace")
    if trace.labels.sequences is None:
        raise OptionError(f"there is no sequence {sequence!r}; those of this trace have no names")
    return trace.labels.sequences.index(one_of("sequence", sequence, tuple(trace.labels.sequences)))


def step_of(trace: Trace, t: int | str | np.datetime64) -> int:
    """Return the place of a step, given it or its date or name; a negative place counts from the end."""
    if not isinstance(t, (str, np.datetime64)):
        return index("step", t, len(trace), "this trace")
    times = [str(time) for time in trace.labels.times or ()]
    if str(t) not in times:
        has = f"this run has {times[0]} to {times[-1]}" if times else "the steps of this run have numbers alone"
        raise OptionError(f"there is no step {str(t)!r}; {has}")
    return times.index(str(t))


def unit_of(units: Sequence[str], unit: int | str) -> int:
    """Return the place of a unit among those that were kept, given its place or its name."""
    if not isinstance(unit, str):
        return index("unit", unit, len(units), "this trace")
    return units.index(one_of("unit", unit, tuple(units)))


def unit_names(trace: Trace) -> list[str]:
    """Return the names of the hidden units that a trace kept."""
    kept = trace.keep.units or range(trace.parameters.hidden_size)
    return [trace.labels.unit(unit) for unit in kept]


def state_names(trace: Trace, quantity: str) -> list[str]:
    """Return the names of the entries of a state that a trace kept; those of a projected hidden state are not units."""
    if quantity == "hidden_state" and trace.parameters.projection is not None:
        return [f"h{k}" for k in range(trace.parameters.recurrent_size)]
    return unit_names(trace)


def times_of(trace: Trace) -> npt.NDArray[Any]:
    """Return the times of the steps that a trace kept: their dates or names, else their numbers."""
    every = trace.keep.every
    if trace.labels.times is None:
        return trace.start + np.arange(len(trace)) * every
    return np.array(trace.labels.times[::every])


def sequence_name(trace: Trace, sequence: int) -> str:
    """Return what a sequence is called in a sentence: its name, else its number; nothing where there is one only."""
    if trace.labels.sequences is not None:
        return trace.labels.sequences[sequence]
    return f"sequence {sequence}" if trace.batch_size > 1 else ""


def step_names(trace: Trace) -> list[str]:
    """Return what each step of the input's time is called; see `step_name`."""
    return [step_name(trace, t) for t in range(len(trace))]


def step_name(trace: Trace, t: int) -> str:
    """Return what a step is called in a sentence: its date or its name, else its number."""
    return f"step {trace.start + t}" if trace.labels.times is None else str(trace.labels.times[t])


def at_step(trace: Trace, t: int) -> str:
    """Return when a step is, in a sentence: on its date, at its name, or at its number."""
    times = trace.labels.times
    dated = times is not None and isinstance(times[t], np.datetime64)
    return f"{'on' if dated else 'at'} {step_name(trace, t)}"


def lasting(count: float, step: tuple[float, str] | None) -> str:
    """Return a number of steps in words, with how long they last where `step_of_time` tells it: 17 steps (17 days)."""
    about = float(round(count)) if count >= 10 else float(f"{count:.2g}")
    words = "1 step" if about == 1 else f"{_number(about)} steps"
    if step is None:
        return words
    time = about * step[0]
    return f"{words} ({_number(time)} {step[1].removesuffix('s') if time == 1 else step[1]})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def at_time(times: npt.NDArray[Any], place: int) -> str:
    """Return when a step of a record is, in a title; see `at_step`."""
    kind = times.dtype.kind
    return f"{'on' if kind == 'M' else 'at step' if kind in 'iu' else 'at'} {times[place]}"


def step_of_time(trace: Trace) -> tuple[float, str] | None:
    """Return how long a step lasts, and in which unit, where the steps lie at equal distances.

    Their times are dates, or names that are seconds, as of sound: ``0.032 s``.
    """
    times = trace.labels.times
    if times is None or len(times) < 2:
        return None
    if not isinstance(times[0], np.datetime64):
        return _seconds([str(time) for time in times])
    dates = np.array(times)
    steps = np.diff(dates).astype(np.int64)
    return (int(steps[0]), UNITS[np.datetime_data(dates.dtype)[0]]) if (steps == max(steps[0], 1)).all() else None


def _seconds(names: list[str]) -> tuple[float, str] | None:
    """Return how long a step lasts whose names are seconds, to the precision that they are written in."""
    try:
        values = np.array([float(name.removesuffix(" s")) if name.endswith(" s") else np.nan for name in names])
    except ValueError:
        return None
    step = (values[-1] - values[0]) / (len(values) - 1)
    even = np.abs(values - values[0] - step * np.arange(len(values))) <= 1e-5 * np.abs(values).max()
    return (float(f"{step:.6g}"), "seconds") if step > 0 and even.all() else None
