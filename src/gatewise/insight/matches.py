"""Where else does it do this? The stretches of steps in which the same units are on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, chunks, finite_number, index, size
from gatewise.errors import NotKeptError, OptionError, one_of
from gatewise.insight.answer import Answer
from gatewise.insight.naming import sequence_of, state_names, steps_of, times_of
from gatewise.insight.retention import of_one_cell, require_finite, valid_steps
from gatewise.margins import rounding_margin
from gatewise.progress import working
from gatewise.records.trace import Trace
from gatewise.showing import counted

LAW = "the share of the units that agree times the overlap of the lengths is the score"
STATES = ("cell_state", "hidden_state")
NUMBERS = 1 << 22  # in a chunk


@dataclass(frozen=True, eq=False, repr=False)
class Matches(Answer):
    """The stretches of steps in which the units of a chosen stretch are on.

    Attributes
    ----------
    units : tuple of str
        The units that are on throughout the chosen stretch.
    start, stop : int
        The chosen stretch: its first step, and the step after its last.
    sequence : int
        The sequence of the chosen stretch.
    threshold : float
    quantity : {"cell_state", "hidden_state"}
    times : array (time,)
        Dates, names, or the numbers of the steps.
    sequences : tuple of str
        The names of all sequences.
    places : array of int (matches, 3)
        The sequence of each match, its first step, and the step after its last.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> trace = latch().trace()
    >>> gw.insight.matches(trace[0], 0, 7, quantity="cell_state").units
    ('latch',)
    """

    units: tuple[str, ...]
    start: int
    stop: int
    sequence: int
    threshold: float
    quantity: str
    times: npt.NDArray[Any]
    sequences: tuple[str, ...]
    places: npt.NDArray[np.intp]


class _Stretch(NamedTuple):
    """A stretch of steps in a sequence, its score, and the number of units that are on throughout."""

    score: float
    start: int
    stop: int
    on: int


def matches(
    trace: Trace,
    start: Any,
    stop: Any,
    *,
    sequence: int | str = 0,
    quantity: str = "hidden_state",
    threshold: float = 0.3,
    edges: bool = False,
    least: float = 0.5,
    most: int = 100,
) -> Matches:
    """Return the other stretches of steps in which the units of a chosen stretch are on.

    Strobelt, Gehrmann, Pfister and Rush, "LSTMVis: A Tool for Visual Analysis of Hidden State Dynamics in Recurrent
    Neural Networks" (2018), select and match: a unit is selected if its state is at least the threshold at every step
    of the chosen stretch. Other stretches of any sequence in which selected units are on are ranked.

    Parameters
    ----------
    trace : Trace
        A run of one cell that kept the state.
    start, stop : int, str or date
        The chosen stretch: its first step, and the step after its last, or its last by its date or name; negative
        numbers count from the end. Steps are counted among the kept ones.
    sequence : int or str
        The sequence of the chosen stretch, by place or name.
    quantity : {"hidden_state", "cell_state"}
    threshold : float
        A unit is on if its state is at least this. At invalid steps no unit is on.
    edges : bool
        Whether a unit must be off, or the step not valid, before a stretch and after it.
    least : float
        The least share of the selected units that must be on, 0 < least <= 1.
    most : int
        The largest number of matches, the best ones.

    Returns
    -------
    Matches
        With a row for each match, the best first: ``sequence``, ``start``, ``stop`` (the step after the last),
        ``from`` and ``to`` (the names of its first and last step), ``units_on`` (the number of selected units that are
        on throughout) and ``score``. Matches overlap neither each other nor the chosen stretch.

    Raises
    ------
    OptionError
        If there is no such stretch, sequence or state, no unit is on throughout, or this is not the trace of one cell.
    NotKeptError
        If the trace did not keep the state.

    Notes
    -----
    Law: score = (units on throughout / units selected) · min(n, m) / max(n, m), for stretches of n and m steps: 1 means
    the same units for equally long. Time is linear in the number of steps times the number of selected units; memory is
    one bit for each of them.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> twice = np.concatenate([x, np.zeros((5, 3)), x])
    >>> twice[7, 1] = 1  # writes a bit that is 0
    >>> found = matches(gw.LSTM.from_cells(cell).trace(twice)[0], 0, 7, quantity="cell_state", edges=True)
    >>> print(found)
    One unit has a cell state of at least 0.3 throughout steps 0 to 6; it is on throughout one other stretch: steps 12 \
to 18.
    """
    trace = of_one_cell(trace)
    one_of("quantity", quantity, STATES)
    if quantity not in trace.keep.quantities:
        raise NotKeptError(f"matches of the {quantity} need a trace that kept it")
    sequence = sequence_of(trace, sequence)
    start, stop = _stretch_bounds(trace, *steps_of(trace, start, stop))
    threshold = finite_number("threshold", threshold)
    finite_number("least", least, "a share of the units above 0 and at most 1", lambda value: 0 < value <= 1)
    size("most", most)
    valid = valid_steps(trace)
    if valid is not None and not valid[start:stop, sequence].all():
        raise OptionError(f"steps {start} to {stop - 1} of sequence {sequence} are not all valid")
    states = trace.quantity(quantity)
    require_finite(states[start:stop, sequence], "a stretch to match")
    around = slice(max(start - 1, 0), stop + 1)
    as_large = threshold - float(rounding_margin(states[start:stop, sequence]))
    on = states[around, sequence] >= as_large
    if valid is not None:
        on &= valid[around, sequence, None]
    chosen = _chosen_units(on, start > 0, stop - start, edges)
    if not len(chosen):
        held = float(states[start:stop, sequence].min(0).max(initial=-np.inf))
        apart = " and off at both edges" if edges else ""
        raise OptionError(
            f"no unit has a {quantity.replace('_', ' ')} of at least {threshold:g} throughout steps {start} to"
            f" {stop - 1}{apart}; the largest that is held there is {held:.3g}"
        )
    with working("matching", len(states) + trace.batch_size) as done:
        packed = _packed_states(states, chosen, as_large, valid, done)
        stretches: list[tuple[int, _Stretch]] = []
        needed = max(1, math.ceil(least * len(chosen) - 1e-9))
        for place in range(trace.batch_size):
            on = np.unpackbits(packed[:, place], axis=-1, count=len(chosen)).view(bool)
            occupied = np.zeros(len(on), bool)
            if place == sequence:
                occupied[start:stop] = True
            stretches += [
                (place, stretch) for stretch in _matching_stretches(on, occupied, stop - start, needed, edges)
            ]
            done(1)
    stretches.sort(key=lambda pair: (-pair[1].score, pair[0], pair[1].start))
    record = Matches(
        columns={},
        sentence="",
        law=LAW,
        units=tuple(np.array(state_names(trace, quantity))[chosen].tolist()),
        start=start,
        stop=stop,
        sequence=sequence,
        threshold=threshold,
        quantity=quantity,
        times=times_of(trace),
        sequences=tuple(map(str, trace.labels.sequences or range(trace.batch_size))),
        places=np.array([(place, found.start, found.stop) for place, found in stretches[:most]], np.intp).reshape(
            -1, 3
        ),
    )
    return _with_table(record, [stretch for _, stretch in stretches[:most]], len(stretches), needed)


def _stretch_bounds(trace: Trace, start: object, stop: object) -> tuple[int, int]:
    """Return the checked first step of the stretch that a question of matches is about, and the step after its last."""
    count = len(trace)
    first = index("step", start, count, "this trace")
    if isinstance(stop, bool) or not isinstance(stop, (int, np.integer)) or not -count < stop <= count:
        raise OptionError(f"stop must be an integer of at most {count}, the number of steps, not {stop!r}")
    last = int(stop) + (count if stop < 0 else 0)
    if last <= first:
        raise OptionError(f"a stretch must have at least one step; {first} to {last} has none")
    return first, last


def _chosen_units(on: Mask, start: int, length: int, edges: bool) -> npt.NDArray[np.intp]:
    """Return the units that are on throughout a stretch, given where they are from the step before it to that after it.

    With `edges`, they are off before and after it.
    """
    chosen = on[start : start + length].all(0)
    if edges:
        chosen &= ~on[:start].any(0) & ~on[start + length :].any(0)
    return np.flatnonzero(chosen)


def _packed_states(
    states: Array, units: npt.NDArray[np.intp], threshold: float, valid: Mask | None, done: Any
) -> npt.NDArray[np.uint8]:
    """Return the steps of a run at which each unit is on (time, batch, units / 8), eight units to a byte."""
    steps, batch, hidden = states.shape
    packed = np.zeros((steps, batch, -(-len(units) // 8)), np.uint8)
    for part in chunks(steps, batch * hidden, NUMBERS):
        on = states[part][..., units] >= threshold
        if valid is not None:
            on &= valid[part, :, None]
        packed[part] = np.packbits(on, axis=-1)
        done(len(on))
    return packed


def _matching_stretches(on: Mask, occupied: Mask, length: int, least: int, edges: bool) -> list[_Stretch]:
    """Return the stretches of a sequence (time, units) in which most units are on, apart, the best first.

    Candidates are, for each number of units, the longest stretches in which at least that many are on.
    """
    count = on.sum(1, dtype=np.intp)
    off = np.concatenate([np.zeros((1, on.shape[1]), np.int32), np.cumsum(~on, axis=0, dtype=np.int32)])
    candidates = []
    for level in np.unique(count[count >= least]):
        change = np.diff(np.concatenate([[False], count >= level, [False]]).astype(np.int8))
        starts, stops = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
        throughout = off[stops] == off[starts]
        if edges:
            throughout &= ~on[np.maximum(starts - 1, 0)] | (starts == 0)[:, None]
            throughout &= ~on[np.minimum(stops, len(on) - 1)] | (stops == len(on))[:, None]
        agree, steps = throughout.sum(1), stops - starts
        score = agree / on.shape[1] * np.minimum(steps, length) / np.maximum(steps, length)
        candidates += [
            _Stretch(*run)
            for run in zip(score.tolist(), starts.tolist(), stops.tolist(), agree.tolist(), strict=True)
            if run[3] >= least
        ]
    best = []
    for stretch in sorted(candidates, key=lambda stretch: (-stretch.score, -stretch.on, stretch.start)):
        if not occupied[stretch.start : stretch.stop].any():
            occupied[stretch.start : stretch.stop] = True
            best.append(stretch)
    return best


def _with_table(record: Matches, stretches: list[_Stretch], total: int, needed: int) -> Matches:
    """Return matching stretches with their table, their sentence and the error of their law."""
    places, times = record.places, record.times
    on = np.array([stretch.on for stretch in stretches], int)
    score = np.array([stretch.score for stretch in stretches], float)
    n, m = places[:, 2] - places[:, 1], record.stop - record.start
    law = on * np.minimum(n, m) / (len(record.units) * np.maximum(n, m))
    columns: dict[str, npt.NDArray[Any]] = {
        "sequence": np.array([record.sequences[place] for place in places[:, 0]], str),
        "start": places[:, 1],
        "stop": places[:, 2],
        "from": times[places[:, 1]],
        "to": times[places[:, 2] - 1],
        "units_on": on,
        "score": score,
    }
    residual = float(np.abs(law - score).max(initial=0.0))
    reading = (
        f"Measured: counted over {counted(len(times), 'step')} of {counted(len(record.sequences), 'sequence')};"
        f" at least {needed:,} of {counted(len(record.units), 'unit')} must be on."
    )
    sentence = _matches_sentence(record, total, needed)
    return replace(record, columns=columns, sentence=sentence, residual=residual, reading=(reading,))


def _matches_sentence(record: Matches, total: int, needed: int) -> str:
    """Return the sentence about matches: the units of the chosen stretch, and the best other stretch."""
    units, times = len(record.units), record.times
    have = "One unit has" if units == 1 else f"{units:,} units have"
    clause = f"{have} a {record.quantity.replace('_', ' ')} of at least {record.threshold:g} throughout"
    clause += f" {_stretch_name(times, record.start, record.stop)};"
    them = "it is" if units == 1 else "all of them are" if needed == units else f"{needed:,} or more of them are"
    if not total:
        return f"{clause} {them} on throughout no other stretch."
    best = _stretch_name(times, *map(int, record.places[0, 1:]))
    best += f" of sequence {record.sequences[record.places[0, 0]]}" if len(record.sequences) > 1 else ""
    where = f"one other stretch: {best}" if total == 1 else f"{total:,} other stretches, the best match being {best}"
    return f"{clause} {them} on throughout {where}."


def _stretch_name(times: npt.NDArray[Any], start: int, stop: int) -> str:
    """Return the name of a stretch of steps for a sentence: ``steps 3 to 7``, or its dates."""
    plain = times.dtype.kind in "iu"
    first, last = str(times[start]), str(times[stop - 1])
    if stop - start == 1:
        return f"step {first}" if plain else first
    return f"steps {first} to {last}" if plain else f"{first} to {last}"
