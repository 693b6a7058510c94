"""Names of the sequences, units and steps of a trace in answers and pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import index
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.records.places import place_of, step_place, step_slice
from gatewise.records.trace import LSTMTrace, Trace

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
    """Return the place of a sequence in a trace's batch from its number or its name."""
    return place_of("sequence", sequence, trace.batch_size, trace.labels.sequences, "this trace")


def step_of(trace: Trace, t: Any) -> int:
    """Return the place of a trace's kept step from its number (negative from the end), its date or its name."""
    return step_place(t, len(trace), None if trace.labels.times is None else trace.times, "this trace")


def steps_of(trace: Trace, start: Any, stop: Any) -> tuple[Any, Any]:
    """Return the ends of a slice of a trace's kept steps as numbers; one by its date or name has the last step, too."""
    return step_slice(start, stop, len(trace), None if trace.labels.times is None else trace.times, "this trace")


def valid_places(trace: Trace, sequence: int) -> npt.NDArray[np.intp]:
    """Return the valid steps of a sequence of a trace that kept every step."""
    return np.arange(len(trace)) if trace.valid is None else np.flatnonzero(trace.valid[:, sequence])


def valid_step(trace: Trace, t: Any, sequence: int, purpose: str) -> int:
    """Return the place of a valid step, by default the last in the run's direction, or raise OptionError."""
    places = valid_places(trace, sequence)
    if not len(places):
        raise OptionError(f"{purpose} needs at least one valid step; sequence {sequence} of this trace has none")
    if t is None:
        return int(places[-1 if trace.direction == "forward" else 0])
    step = step_of(trace, t)
    if step not in places:
        raise OptionError(
            f"step {step} of sequence {sequence} is not valid: it is masked, or beyond the sequence's length"
        )
    return step


def final_places(lstm: LSTMTrace) -> dict[str, int]:
    """Return the step at which each direction of an LSTM's run ends."""
    return {way: lstm.num_steps - 1 if way == "forward" else 0 for way in lstm.directions}


def output_of(output: object, names: Sequence[str] | None, count: int) -> int:
    """Return the place of an output of a model from its number (also as text) or its name."""
    return place_of("output", output, count, names, "this model")


def output_phrase(name: str) -> str:
    """Return an output's name for a sentence: output q, or output ")" of a name without letters and digits."""
    is_quoted = len(name) > 2 and name[0] == name[-1] and name[0] in "'\""
    return f"output {name}" if is_quoted or any(letter.isalnum() for letter in name) else f'output "{name}"'


def unit_of(units: Sequence[str], unit: int | str) -> int:
    """Return the place of the unit that a question is about among those that a trace kept, by its number or name."""
    if not isinstance(unit, str):
        return index("unit", unit, len(units), "this trace")
    return units.index(one_of("unit", unit, tuple(units)))


def unit_names(trace: Trace) -> list[str]:
    """Return the names of the hidden units that a trace kept."""
    return [str(name) for name in trace.unit_names]


def state_names(trace: Trace, quantity: str) -> list[str]:
    """Return the names of the entries of a state; those of a projected hidden state are h0, h1, …."""
    if quantity == "hidden_state" and trace.parameters.projection is not None:
        return [f"h{k}" for k in range(trace.parameters.recurrent_size)]
    return unit_names(trace)


def token_names(tokens: npt.NDArray[Any], vocabulary: Sequence[str] | Mapping[int, str] | None) -> npt.NDArray[Any]:
    """Return the words of tokens from a vocabulary, or their numbers without one."""
    if vocabulary is None:
        return np.array([str(token) for token in tokens])
    if isinstance(vocabulary, str) or not isinstance(vocabulary, (Sequence, Mapping)):
        raise OptionError(f"vocabulary must be a list of words, or a mapping of numbers to words, not {vocabulary!r}")
    try:
        return np.array([str(vocabulary[int(token)]) for token in tokens])
    except (KeyError, IndexError):
        raise ShapeError(f"the vocabulary has no word for one of the tokens {min(tokens)} to {max(tokens)}") from None


def times_of(trace: Trace) -> npt.NDArray[Any]:
    """Return what an answer calls a trace's kept steps: their dates or names, else their numbers."""
    return np.array(trace.times)


def sequence_name(trace: Trace, sequence: int) -> str:
    """Return the name of a sequence, else its number, for a sentence; empty for the only sequence."""
    if trace.labels.sequences is not None:
        return trace.labels.sequences[sequence]
    return f"sequence {sequence}" if trace.batch_size > 1 else ""


def of_sequence(trace: Trace, sequence: int) -> str:
    """Return the name of a sequence as a part of a sentence: `` of Inn``; empty for the only sequence."""
    name = sequence_name(trace, sequence)
    return f" of {name}" if name else ""


def of_cell(layer: int, direction: str, num_layers: int, num_directions: int) -> str:
    """Return the name of a cell as a part of a sentence: `` of layer 1 (backward)``; empty for the only cell."""
    where = f" of layer {layer}" if num_layers > 1 else ""
    return where + (f" ({direction})" if num_directions > 1 else "")


def step_names(trace: Trace) -> list[str]:
    """Return the names of all steps; see `step_name`."""
    return [step_name(trace, t) for t in range(len(trace))]


def step_name(trace: Trace, t: int) -> str:
    """Return the date or the name of a step, else its number, for a sentence."""
    return f"step {trace.start + t}" if trace.labels.times is None else str(trace.labels.times[t])


def at_step(trace: Trace, t: int) -> str:
    """Return the time of a step with its preposition: on a date, at a name, at step 3."""
    times = trace.labels.times
    dated = times is not None and isinstance(times[t], np.datetime64)
    return f"{'on' if dated else 'at'} {step_name(trace, t)}"


def duration_of(count: float, step: tuple[float, str] | None) -> str:
    """Return a number of steps in words, in the data's own unit if that is known: 17 days, or 17 steps (8.5 hours)."""
    about = float(round(count)) if count >= 10 else float(f"{count:.2g}")
    noun = step_noun(step)
    words = f"1 {noun}" if about == 1 else f"{_number(about)} {noun}s"
    if step is None or noun != "step":
        return words
    time = about * step[0]
    return f"{words} ({_number(time)} {step[1].removesuffix('s') if time == 1 else step[1]})"


def step_noun(step: tuple[float, str] | None) -> str:
    """Return the word for a step of the data, in the singular: day, if steps are days."""
    return step[1].removesuffix("s") if step is not None and step[0] == 1 else "step"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def at_time(times: npt.NDArray[Any], place: int) -> str:
    """Return the time of a step of a record with its preposition, for a title; see `at_step`."""
    kind = times.dtype.kind
    return f"{'on' if kind == 'M' else 'at step' if kind in 'iu' else 'at'} {times[place]}"


_TOKEN = re.compile(r"(character|token) \d+ ['\"]")  # the name of a step of a text: character 41 'x'


def step_duration(trace: Trace) -> tuple[float, str] | None:
    """Return the duration of a trace's step and its unit; None if steps are uneven or have no times.

    Times are dates, or seconds as names, such as those of sound: ``0.032 s``. Where steps are named after a text, the
    unit is a character or a token.
    """
    times = trace.labels.times
    if times is None or len(times) < 2:
        return None
    if not isinstance(times[0], np.datetime64):
        named = _TOKEN.match(str(times[0])), _TOKEN.match(str(times[-1]))
        if named[0] and named[1] and named[0][1] == named[1][1]:
            return 1.0, f"{named[0][1]}s"
        return _step_in_seconds([str(time) for time in times])
    dates = np.array(times)
    steps = np.diff(dates).astype(np.int64)
    return (int(steps[0]), UNITS[np.datetime_data(dates.dtype)[0]]) if (steps == max(steps[0], 1)).all() else None


def _step_in_seconds(names: list[str]) -> tuple[float, str] | None:
    """Return the duration of a step whose names are seconds, to their precision; None for other names."""
    try:
        values = np.array([float(name.removesuffix(" s")) if name.endswith(" s") else np.nan for name in names])
    except ValueError:
        return None
    step = (values[-1] - values[0]) / (len(values) - 1)
    even = np.abs(values - values[0] - step * np.arange(len(values))) <= 1e-5 * np.abs(values).max()
    return (float(f"{step:.6g}"), "seconds") if step > 0 and even.all() else None
