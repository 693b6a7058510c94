"""Can it say that at all? The largest output that bounded states and a linear head allow; how a run falls short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, index, numbers, quiet, require_memory
from gatewise.errors import OptionError, ShapeError, join_names
from gatewise.insight.answer import Answer
from gatewise.insight.naming import at_step, sequence_name, sequence_of, times_of
from gatewise.insight.readout import Model, model_of
from gatewise.insight.retention import pieces, require_finite
from gatewise.layers import LSTM
from gatewise.network import Linear, Network, NetworkTrace
from gatewise.records.labels import NO_LABELS, Measure
from gatewise.records.trace import LSTMTrace, Trace

LAW = "an output and what it lost add up to the ceiling, which no input exceeds"
LOSSES = {  # and what a sentence calls them
    "lost_to_readout": "units on the wrong side of zero",
    "lost_to_cell": "cell states short of their bound",
    "lost_to_gate": "output gates that are not fully open",
    "lost_to_other": "the projection's clip or zoneout",
}


@dataclass(frozen=True, eq=False, repr=False)
class Ceiling(Answer):
    """What a model can say at most, and what a run lost of it; all in the data's unit.

    Attributes
    ----------
    ceiling, floor : array (output,)
        The largest and the smallest output that states within their bounds allow.
    output : array (time, output) or None
        What the run put out, NaN at steps that are not valid; None where there was no run. A network that reads the
        last states has one time.
    losses : dict of array (time, output)
        What was lost at each step: to the readout, to the cell state, to the output gate, and to what comes between a
        unit and its hidden state, where anything does.
    outputs : tuple of str
        The names of the outputs.
    measures : tuple of Measure
        What each output measures, and in which unit; its name where that is not known.
    sequence : str
        The name of the sequence; empty where there is only one, or no run.
    times : array (time,)
        Dates, names, or the numbers of the steps.
    valid : boolean array (time,) or None
        Which steps are valid; None means all.
    """

    ceiling: Array
    floor: Array
    output: Array | None
    losses: dict[str, Array]
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    sequence: str
    times: npt.NDArray[Any]
    valid: Mask | None


@quiet
def ceiling(
    subject: NetworkTrace | LSTMTrace | Network | LSTM,
    head: Linear | None = None,
    *,
    output: int | str | None = None,
    sequence: int | str | None = None,
    scale: npt.ArrayLike = 1.0,
    shift: npt.ArrayLike = 0.0,
) -> Ceiling:
    """Return the largest output that bounded states and a linear head allow, and what a run lost of it.

    A hidden state lies between -1 and 1, so y = W h + b never exceeds Σ|W_k| + b. Baste et al., "Unveiling the limits
    of deep learning models in hydrological extrapolation tasks" (2025), found an LSTM for discharge that can never
    reach 73 mm/d, whatever it rains.

    Parameters
    ----------
    subject : NetworkTrace, LSTMTrace, Network or LSTM
        Of a network or an LSTM without a run there are only the bounds.
    head : Linear, optional
        That of an LSTM or its trace; without one, its hidden states are the outputs.
    output : int or str, optional
        Which of the outputs, by place or by name; all by default.
    sequence : int or str, optional
        Which sequence of the batch, or its name; by default that in which an output comes closest to its ceiling.
    scale, shift : float or array (output,)
        The data is scale · y + shift, where the target was scaled in training; scale is positive.

    Returns
    -------
    Ceiling
        With a row for each output: ``output``, ``floor``, ``ceiling``; of a run, one for each step and output, with
        ``time``, ``value``, and what was lost: ``lost_to_readout``, ``lost_to_cell``, ``lost_to_gate``, and where the
        cell has them ``lost_to_other``.

    Raises
    ------
    OptionError
        If the states have no bound (relu on the cell state, unless it is clipped), two directions are multiplied after
        a projection, the scale is not positive, there is no such output or sequence, or no step of it is valid.
    ShapeError
        If a head, a scale or a shift does not fit.
    NotKeptError
        If the trace did not keep everything.
    CapacityError
        If the answer would not fit into memory: up to 18 numbers for each step and output.

    Notes
    -----
    A unit's hidden state is o t, t = tanh(c). Each factor lies in the range of its nonlinearity, and in a smaller one
    under a clip of the gates or the cell state, under layer norm (n standardised numbers are at most sqrt(n - 1)), with
    coupled gates (c is a mean of candidates), and with forget gates below 1 (a geometric series). The largest w o t in
    these ranges is w o* t*. Of it a unit loses w o* t* - w o t: where w o* t is negative, all of it to the *readout*,
    since its sign is against the output; else w o* (t* - t) to the *cell state* and w t (o* - o) to the *gate*. A
    projection multiplies the head's weight. Its clip, and zoneout, bound the hidden states one by one, and what they
    change is a loss of its own. The losses pass through a head's nonlinearity one after the other, in this order; of a
    softmax, the numbers before it are given.

    Law: the output and what it lost add up to the ceiling, and no input from the same initial state exceeds it. Time is
    linear in steps, units and outputs; memory in addition to the answer is bounded.

    Examples
    --------
    >>> lstm = gw.LSTM(1, 2, rng=0, dtype=np.float64)
    >>> network = gw.Network(lstm, head=gw.Linear(np.array([[40.0, -20.0]]), np.array([1.5])))
    >>> print(ceiling(network))
    No input can bring the output above 61.5, or below -58.5.
    """
    model = model_of(subject, head)
    measures = _measures(subject, len(model.bias), model.softmax)
    places = _chosen(output, list(measures))
    factor, offset = _scaling(scale, shift, len(measures), places)
    named = [list(measures.items())[place] for place in places]
    network = getattr(subject, "network", subject)
    asked = _Asked(
        model.only(places),
        tuple(name for name, _ in named),
        tuple(one for _, one in named),
        factor,
        offset,
        isinstance(network, Network) and network.skip > 0,
    )
    if not np.isfinite(asked.bounds).all():
        raise OptionError(
            "there is no ceiling that is a finite number: the head's numbers are too large, or not finite"
        )
    if model.lstm is not None:
        model.lstm.require_unedited("what was lost of a ceiling")
        return _of_a_run(asked, next(iter(model.lstm.layers[-1].values())), sequence)
    if sequence is not None:
        raise OptionError("there is no sequence to choose without a run")
    floor, high = asked.bounds
    return Ceiling(
        columns={"output": np.array(asked.outputs), "floor": floor, "ceiling": high},
        sentence=f"{asked.bounded(0)}, or below {_amount(floor[0], asked.measures[0])}.",
        law=LAW,
        residual=float("nan"),
        ceiling=high,
        floor=floor,
        output=None,
        losses={},
        outputs=asked.outputs,
        measures=asked.measures,
        sequence="",
        times=np.empty(0),
        valid=None,
    )


@dataclass(frozen=True)
class _Asked:
    """A model with the outputs that are asked for, in the data's unit: factor · y + offset."""

    model: Model
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    factor: Array
    offset: Array
    skipped: bool  # whether a skip connection, which is bounded by nothing, is left out

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """The floor and the ceiling of each output."""
        low, high = (self.factor * self.model.through(end) + self.offset for end in self.model.limits)
        return low, high

    @property
    def width(self) -> Array:
        """How far the ceiling is above the floor; 1 where it is not."""
        floor, high = self.bounds
        return np.where(high > floor, high - floor, 1.0)

    def said(self, sequence: int) -> Array:
        """Return what the run put out in a sequence (time, output)."""
        return self.factor * self.model.said(sequence) + self.offset

    def bounded(self, place: int) -> str:
        """Return the half of a sentence that says what the ceiling of an output is."""
        one = self.measures[place]
        what = "the output" if one.quantity == "output" else one.quantity
        what += ", without the skip connection," if self.skipped else ""
        return f"No input can bring {what} above {_amount(self.bounds[1][place], one)}"


def _of_a_run(asked: _Asked, cell: Trace, sequence: int | str | None) -> Ceiling:
    """Return the bounds with what a run lost of them; `cell` is one of the last layer."""
    cell.require("what was lost of a ceiling")
    floor, high = asked.bounds
    sequence = _closest(asked, cell) if sequence is None else sequence_of(cell, sequence)
    when, valid = _steps(asked.model, cell, sequence)
    said = asked.said(sequence)
    require_finite(said[valid], "a ceiling")
    losses = _losses(asked, sequence, len(said))
    for array in (said, *losses.values()):
        array[~valid] = np.nan
    terms = np.abs(high) + np.abs(said) + sum(map(np.abs, losses.values()))
    off = np.abs(high - said - sum(losses.values())) / np.where(terms > 0, terms, 1.0)
    times, count = times_of(cell)[when], len(high)
    return Ceiling(
        columns={
            "time": np.repeat(times, count),
            "output": np.tile(asked.outputs, len(times)),
            "value": said.ravel(),
            "floor": np.tile(floor, len(times)),
            "ceiling": np.tile(high, len(times)),
            **{name: loss.ravel() for name, loss in losses.items()},
        },
        sentence=_sentence(asked, said, losses, cell, sequence, when),
        law=LAW,
        residual=float(np.nanmax(off)),
        ceiling=high,
        floor=floor,
        output=said,
        losses=losses,
        outputs=asked.outputs,
        measures=asked.measures,
        sequence=sequence_name(cell, sequence),
        times=times,
        valid=None if valid.all() else valid,
    )


# What is asked for.


def _measures(subject: Any, count: int, softmax: bool) -> dict[str, Measure]:
    """Return the names of the outputs, and what each measures."""
    labels = NO_LABELS if isinstance(subject, LSTM) else subject.labels
    names = labels.outputs or (["output"] if count == 1 else [f"output {place}" for place in range(count)])
    before = ", before the softmax" if softmax else ""
    return {name: labels.measures.get(name, Measure(f"{name}{before}")) for name in names}


def _chosen(output: int | str | None, names: list[str]) -> list[int]:
    if output is None:
        return list(range(len(names)))
    if isinstance(output, str) and output in names:
        return [names.index(output)]
    if isinstance(output, str):
        raise OptionError(f"there is no output {output!r}; this model has {join_names(names, most=8)}")
    return [index("output", output, len(names), "this model")]


def _scaling(scale: npt.ArrayLike, shift: npt.ArrayLike, count: int, places: list[int]) -> tuple[Array, Array]:
    found = []
    for name, given in (("scale", scale), ("shift", shift)):
        array = numbers(name, given, np.float64)
        if array.shape not in ((), (count,)):
            raise ShapeError(
                f"{name} has shape {array.shape}; it must be one number, or one for each of {count} outputs"
            )
        if not np.isfinite(array).all() or (name == "scale" and not (array > 0).all()):
            raise OptionError(f"{name} must be {'positive and ' * (name == 'scale')}finite, not {given!r}")
        found.append(np.broadcast_to(array, (count,))[places])
    return found[0], found[1]


def _closest(asked: _Asked, cell: Trace) -> int:
    """Return the sequence in which an output comes closest to its ceiling, relative to its range."""
    best, found = np.inf, 0
    for sequence in range(cell.batch_size):
        on = np.ones(len(cell), bool) if cell.valid is None else cell.valid[:, sequence]
        if on.any():
            said = asked.said(sequence)
            said = said[on] if asked.model.reads == "every" else said
            room = float(((asked.bounds[1] - said.max(0)) / asked.width).min())
            if room < best:
                best, found = room, sequence
    return found


def _steps(model: Model, cell: Trace, sequence: int) -> tuple[npt.NDArray[np.intp], Mask]:
    """Return the steps whose output is looked at, and which of them are valid."""
    valid = np.ones(len(cell), bool) if cell.valid is None else cell.valid[:, sequence]
    if not valid.any():
        raise OptionError("a ceiling of a run needs a valid step; this sequence has none")
    if model.reads == "every":
        return np.arange(len(cell)), valid
    return np.array([_last(cell, sequence)]), np.ones(1, bool)


def _last(cell: Trace, sequence: int) -> int:
    """Return the last valid step of a sequence in the trace's direction."""
    on = np.arange(len(cell)) if cell.valid is None else np.flatnonzero(cell.valid[:, sequence])
    return int(on[-1 if cell.direction == "forward" else 0])


# What was lost.


def _losses(asked: _Asked, sequence: int, steps: int) -> dict[str, Array]:
    """Return what was lost at each step (time, output), in the data's unit: loss by loss through the nonlinearity."""
    model, count = asked.model, len(asked.factor)
    names = list(LOSSES) if any(path.through_states for path in model.paths) else list(LOSSES)[:-1]
    require_memory((2 * len(names) + 10) * steps * count, 8, f"what {count:,} outputs lost at {steps:,} steps")
    found: dict[str, Array] = {name: np.empty((steps, count)) for name in names}
    for when, parts in _parts(model, sequence, steps):
        level = np.broadcast_to(model.limits.high, parts[0].shape)
        for name, part in zip(names, parts, strict=False):
            found[name][when] = asked.factor * (model.through(level) - model.through(level - part))
            level = level - part
    return found


def _parts(model: Model, sequence: int, steps: int) -> Iterator[tuple[slice, list[Array]]]:
    """Go through the steps in pieces, with what they lost to readout, cell state, gate and what is between."""
    cells = list(model.lstm.layers[-1].values()) if model.lstm is not None else []
    units = sum(cell.parameters.hidden_size + cell.parameters.input_size for cell in cells) + len(model.bias)
    for when in pieces("looking for what was lost", steps, 6 * units):
        runs = [
            cell[when if model.reads == "every" else slice(last := _last(cell, sequence), last + 1), _only(sequence)]
            for cell in cells
        ]
        factors = [
            [one[:, 0].astype(np.float64) for one in (run.output_gate, run.activated_cell_state)] for run in runs
        ]
        if len(model.paths) < len(runs):  # the directions are multiplied
            factors = [[one * other for one, other in zip(*factors, strict=True)]]
        total = [np.zeros((when.stop - when.start, len(model.bias))) for _ in LOSSES]
        for path, (o, t), run in zip(model.paths, factors, runs, strict=False):
            lost = [*path.lost(o, t)]
            if path.through_states:
                m = o * t if path.projection is None else (o * t) @ path.projection.T
                between = (m - run.hidden_state[:, 0]) @ path.weight.T
                lost.append(path.limits.high - path.through_units.high + between)
            for place, part in enumerate(lost):
                total[place] += part
        yield when, total


def _only(sequence: int) -> slice:
    return slice(sequence, sequence + 1)


# What is said of it.


def _amount(value: float, measure: Measure) -> str:
    return f"{value:.4g}{f' {measure.unit}' if measure.unit else ''}"


def _sentence(
    asked: _Asked,
    said: Array,
    losses: Mapping[str, Array],
    cell: Trace,
    sequence: int,
    when: npt.NDArray[np.intp],
) -> str:
    best = np.nanmax(said, axis=0)
    place = int(np.argmin((asked.bounds[1] - best) / asked.width))
    t = int(np.nanargmax(said[:, place]))
    of = f" of {name}" if (name := sequence_name(cell, sequence)) else ""
    parts = sorted(((float(loss[t, place]), LOSSES[name]) for name, loss in losses.items()), reverse=True)
    lost = [f"{loss:.3g} to {what}" for loss, what in parts if loss > 0.001 * asked.width[place]]
    largest = _amount(best[place], asked.measures[place])
    where = f"{at_step(cell, int(when[t]))}{of}" if asked.model.reads == "every" else f"at the end{of}"
    losing = join_names(lost, "and") or "nothing"
    return f"{asked.bounded(place)}; in this run it reaches {largest} at most, {where}, losing {losing}."
