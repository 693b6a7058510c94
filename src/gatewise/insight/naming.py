"""What the units and the steps of a trace are called in answers and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.trace import Trace


def unit_names(trace: Trace) -> list[str]:
    """Return the names of the hidden units that a trace kept."""
    kept = trace.keep.units or range(trace.parameters.hidden_size)
    return [trace.labels.unit(unit) for unit in kept]


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
