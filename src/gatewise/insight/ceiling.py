"""Can it reach that output? The largest output of bounded states and a linear head, and the losses of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, quiet, require_memory
from gatewise.errors import OptionError, join_names
from gatewise.insight import naming
from gatewise.insight.answer import Answer, StepTable, relative_error
from gatewise.insight.readout import ReadoutModel, model_of, scale_and_shift
from gatewise.insight.retention import pieces, require_finite
from gatewise.layers import LSTM
from gatewise.margins import first_largest, largest_first
from gatewise.network import Linear, Network, NetworkTrace
from gatewise.records.labels import NO_LABELS, Measure
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

BEFORE_SOFTMAX = ", before the softmax"
WITHOUT_SKIP = ", without the skip connection,"
LAW = "an output and its losses add up to the ceiling, which no input exceeds"
LOSSES = {  # with their names in a sentence
    "lost_to_readout": "units on the wrong side of zero",
    "lost_to_cell": "cell states short of their bound",
    "lost_to_gate": "output gates that are not fully open",
    "lost_to_clip": "the projection's clip",
    "lost_to_zoneout": "zoneout",
}
NEAR = 0.001  # of the range of a nonlinearity: a ceiling so close to its end is none of the model's own
ROUNDING = 1e-6  # of the distance from the floor to the ceiling
FAR = 1e300  # a sum at which every nonlinearity is at its end


@dataclass(frozen=True, eq=False, repr=False)
class Ceiling(Answer, StepTable):
    """The largest possible output of a model, and the losses of a run, in the data's unit.

    Attributes
    ----------
    ceiling, floor : array (output,)
        The largest and the smallest output that bounded states allow.
    output : array (time, output) or None
        The output of the run, NaN at invalid steps; None without a run. A network that reads the last states has one
        time.
    losses : dict of array (time, output)
        The losses at each step: to the readout, to the cell state, to the output gate, and to the projection's clip and
        zoneout, where they are. The last two are negative where they keep a state from falling further.
    own_range : boolean array (output,)
        Whether the ceiling is where the nonlinearity ends, as 1 of a sigmoid or a hidden state: no finding about the
        model.
    outputs : tuple of str
        The names of the outputs.
    measures : tuple of Measure
        The measure of each output; its name if the measure is unknown.
    sequence : str
        The name of the sequence; empty for the only sequence, or without a run.
    times, valid : arrays (time,)
        Dates, names, or the numbers of the steps; and True at valid steps, or None if all are valid.

    Examples
    --------
    >>> network = gw.Network(gw.LSTM(1, 2, rng=0, dtype=np.float64), head=gw.Linear([[40.0, -20.0]], [1.5]))
    >>> answer = gw.insight.ceiling(network)
    >>> answer.floor, answer.ceiling
    (array([-58.5]), array([61.5]))
    """

    ceiling: Array
    floor: Array
    output: Array | None
    losses: dict[str, Array]
    own_range: Mask
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    sequence: str


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
    """Return the largest output that bounded states and a linear head allow, and the losses of a run.

    A hidden state lies between -1 and 1, so y = W h + b never exceeds Σ|W_k| + b. Baste et al., "Unveiling the limits
    of deep learning models in hydrological extrapolation tasks" (2025), found an LSTM for discharge that can never
    reach 73 mm/d, whatever the rain.

    Parameters
    ----------
    subject : NetworkTrace, LSTMTrace, Network or LSTM
        A network or an LSTM without a run has only the bounds.
    head : Linear, optional
        The head of an LSTM or its trace; without a head, the hidden states are the outputs.
    output : int or str, optional
        The place or the name of an output; all by default.
    sequence : int or str, optional
        The place of a sequence in the batch, or its name; by default the one with an output closest to its ceiling.
    scale, shift : float or array (output,)
        The data is scale · y + shift if the target was scaled in training; scale is positive.

    Returns
    -------
    Ceiling
        With a row for each output: ``output``, ``floor``, ``ceiling``; of a run, one for each step and output, with
        ``time``, ``value``, and the losses ``lost_to_readout``, ``lost_to_cell``, ``lost_to_gate``, and of a model with
        them ``lost_to_clip`` and ``lost_to_zoneout``.

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
    A unit's hidden state is o t, t = tanh(c). Each factor lies in the range of its nonlinearity. The range is smaller
    under a clip of the gates or the cell state, under layer norm (n standardised numbers are at most sqrt(n - 1)), with
    coupled gates (c is a mean of candidates), and with forget gates below 1 (a geometric series). The largest w o t in
    these ranges is w o* t*, and a unit loses w o* t* - w o t. If w o* t is negative, all of it is lost to the
    *readout*: the unit is on the wrong side of zero. Else w o* (t* - t) is lost to the *cell state*, and w t (o* - o)
    to the *gate*. A projection multiplies the head's weight. Its clip, and zoneout, bound each hidden state, and their
    effect is a loss by itself. The losses pass through a head's nonlinearity in this order; a softmax is left out.

    Law: the output and its losses add up to the ceiling, and no input from the same initial state exceeds it. Time is
    linear in steps, units and outputs; memory in addition to the answer is bounded.

    Examples
    --------
    >>> lstm = gw.LSTM(1, 2, rng=0, dtype=np.float64)
    >>> network = gw.Network(lstm, head=gw.Linear(np.array([[40.0, -20.0]]), np.array([1.5])))
    >>> print(ceiling(network))
    No input can bring the output above 61.5, or below -58.5.
    """
    model = model_of(subject, head)
    measures = _output_measures(subject, len(model.bias), model.softmax)
    places = list(range(len(measures))) if output is None else [naming.output_of(output, list(measures), len(measures))]
    factor, offset = scale_and_shift(scale, shift, len(measures), places)
    named = [list(measures.items())[place] for place in places]
    network = getattr(subject, "network", subject)
    scaled = _ScaledModel(
        model.only(places),
        tuple(name for name, _ in named),
        tuple(measure for _, measure in named),
        factor,
        offset,
        isinstance(network, Network) and network.skip > 0,
    )
    if not np.isfinite(scaled.bounds).all():
        raise OptionError("the ceiling is not a finite number: the head's numbers are too large, or not finite")
    if model.lstm is None and sequence is not None:
        raise OptionError("a model without a run has no sequences. Leave out sequence.")
    floor, high = scaled.bounds
    answer = Ceiling(
        columns={"output": np.array(scaled.outputs), "floor": floor, "ceiling": high},
        sentence=f"{scaled.ceiling_clause(0)}, or below {_amount(floor[0], scaled.measures[0])}.",
        reading=("Proved: from the ranges of gates and cell states and the weights that read them, for any input.",),
        law=LAW,
        ceiling=high,
        floor=floor,
        output=None,
        losses={},
        own_range=scaled.own_range,
        outputs=scaled.outputs,
        measures=scaled.measures,
        sequence="",
        times=np.empty(0),
        valid=None,
    )
    if model.lstm is None:
        return answer
    model.lstm.require_unedited("the loss of a ceiling")
    return _with_losses(answer, scaled, next(iter(model.lstm.layers[-1].values())), sequence)


@dataclass(frozen=True)
class _ScaledModel:
    """A model with the chosen outputs, in the data's unit: factor · y + offset."""

    model: ReadoutModel
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    factor: Array
    offset: Array
    skipped: bool  # whether an unbounded skip connection is left out

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """The floor and the ceiling of each output."""
        low, high = (self.factor * self.model.output_map(end) + self.offset for end in self.model.limits)
        return low, high

    @property
    def width(self) -> Array:
        """The distance from the floor to the ceiling; 1 if it is 0."""
        floor, high = self.bounds
        return np.where(high > floor, high - floor, 1.0)

    def run_output(self, sequence: int) -> Array:
        """Return the output (time, output) of the run in a sequence."""
        return self.factor * self.model.run_output(sequence) + self.offset

    @cached_property
    def own_range(self) -> Mask:
        """Whether the ceiling of each output is the end of its nonlinearity's range."""
        model = self.model
        low, top = (model.output_map(np.full(len(model.bias), end)) for end in (-FAR, FAR))
        high = model.output_map(model.limits.high)
        is_state = (np.abs(model.weight).sum(1) == 1) & (model.bias == 0) & (top == FAR)
        return np.asarray((high >= top - NEAR * (top - low)) | (is_state & (high == 1)))

    def ceiling_clause(self, place: int) -> str:
        """Return the clause of a sentence about the ceiling of an output: the largest value that it can have."""
        measure = self.measures[place]
        name = f"the {measure.quantity}" if measure.quantity.partition(",")[0] == "output" else measure.quantity
        name = name.replace(BEFORE_SOFTMAX, f"{BEFORE_SOFTMAX},")
        name += WITHOUT_SKIP if self.skipped else ""
        own = ", about where its own nonlinearity ends" if self.own_range[place] else ""
        return f"No input can bring {name} above {_amount(self.bounds[1][place], measure)}{own}"


def _with_losses(answer: Ceiling, scaled: _ScaledModel, cell: Trace, sequence: int | str | None) -> Ceiling:
    """Return a ceiling of an output with the losses of a run; `cell` is a trace of the last layer."""
    cell.require("the loss of a ceiling")
    high = answer.ceiling
    sequence = _sequence_nearest_ceiling(scaled, cell) if sequence is None else naming.sequence_of(cell, sequence)
    when, valid = _output_steps(scaled.model, cell, sequence)
    output = scaled.run_output(sequence)
    require_finite(output[valid], "a ceiling")
    losses = _losses_by_cause(scaled, sequence, len(output))
    for array in (output, *losses.values()):
        array[~valid] = np.nan
    terms = np.abs(high) + np.abs(output) + sum(map(np.abs, losses.values()))
    off = high - output - sum(losses.values())
    times, count = naming.times_of(cell)[when], len(high)
    above = int((output[valid] > high + ROUNDING * scaled.width).any(1).sum()) or "none"
    return replace(
        answer,
        columns={
            "time": np.repeat(times, count),
            "output": np.tile(scaled.outputs, len(times)),
            "value": output.ravel(),
            "floor": np.tile(answer.floor, len(times)),
            "ceiling": np.tile(high, len(times)),
            **{name: loss.ravel() for name, loss in losses.items()},
        },
        sentence=_ceiling_sentence(scaled, output, losses, cell, sequence, when),
        residual=relative_error(off[valid], terms[valid]),
        output=output,
        losses=losses,
        reading=(f"{answer.reading[0][:-1]}; of {counted(int(valid.sum()), 'step')} of the run, {above} exceed it.",),
        sequence=naming.sequence_name(cell, sequence),
        times=times,
        valid=None if valid.all() else valid,
    )


# The choice of outputs, sequence and steps.


def _output_measures(subject: Any, count: int, softmax: bool) -> dict[str, Measure]:
    """Return the quantity and unit of each output of a model, by the output's name."""
    labels = NO_LABELS if isinstance(subject, LSTM) else subject.labels
    names = labels.outputs or (["output"] if count == 1 else [f"output {place}" for place in range(count)])
    phrase: Callable[[str], str] = naming.output_phrase if labels.outputs else str
    before = BEFORE_SOFTMAX if softmax else ""
    return {name: labels.measures.get(name, Measure(f"{phrase(name)}{before}")) for name in names}


def _sequence_nearest_ceiling(scaled: _ScaledModel, cell: Trace) -> int:
    """Return the sequence of a run in which an output comes closest to its ceiling, relative to its range."""
    distances = np.full(cell.batch_size, np.inf)
    for sequence in range(cell.batch_size):
        if len(on := naming.valid_places(cell, sequence)):
            output = scaled.run_output(sequence)
            output = output[on] if scaled.model.reads == "every" else output
            distances[sequence] = ((scaled.bounds[1] - output.max(0)) / scaled.width).min()
    return first_largest(-distances)


def _output_steps(model: ReadoutModel, cell: Trace, sequence: int) -> tuple[npt.NDArray[np.intp], Mask]:
    """Return the steps at which a model has outputs, and a mask of the valid ones."""
    last = naming.valid_step(cell, None, sequence, "a ceiling of a run")
    if model.reads == "every":
        return np.arange(len(cell)), np.ones(len(cell), bool) if cell.valid is None else cell.valid[:, sequence]
    return np.array([last]), np.ones(1, bool)


# Losses.


def _losses_by_cause(scaled: _ScaledModel, sequence: int, steps: int) -> dict[str, Array]:
    """Return the loss to each cause at each step (time, output), from the ceiling down, in the data's unit."""
    model, count = scaled.model, len(scaled.factor)
    names = [*LOSSES][:3]
    names += ["lost_to_clip"] * any(path.clip is not None for path in model.paths)
    names += ["lost_to_zoneout"] * any(path.initial is not None for path in model.paths)
    require_memory((2 * len(names) + 10) * steps * count, 8, f"the losses of {count:,} outputs at {steps:,} steps")
    losses: dict[str, Array] = {name: np.empty((steps, count)) for name in names}
    for when, parts in _unscaled_losses(model, sequence, steps):
        level = np.broadcast_to(model.limits.high, parts[0].shape)
        for name, part in ((name, part) for name, part in zip(LOSSES, parts, strict=True) if name in losses):
            losses[name][when] = scaled.factor * (model.output_map(level) - model.output_map(level - part))
            level = level - part
    return losses


def _unscaled_losses(model: ReadoutModel, sequence: int, steps: int) -> Iterator[tuple[slice, list[Array]]]:
    """Yield pieces of a run's steps with their losses to the ceiling, in the order of `LOSSES`."""
    cells = list(model.lstm.layers[-1].values()) if model.lstm is not None else []
    units = sum(cell.parameters.hidden_size + cell.parameters.input_size for cell in cells) + len(model.bias)
    for when in pieces("looking for what was lost", steps, 6 * units):
        runs = []
        for cell in cells:
            last = naming.valid_step(cell, None, sequence, "a ceiling of a run")
            of_cell = when if model.reads == "every" else slice(last, last + 1)
            runs.append(cell[of_cell, sequence : sequence + 1])
        factors = [
            [array[:, 0].astype(np.float64) for array in (run.output_gate, run.activated_cell_state)] for run in runs
        ]
        if len(model.paths) < len(runs):  # the directions are multiplied
            factors = [[first * second for first, second in zip(*factors, strict=True)]]
        total = [np.zeros((when.stop - when.start, len(model.bias))) for _ in LOSSES]
        for path, (o, t), run in zip(model.paths, factors, runs, strict=False):
            lost = [*path.losses(o, t)]
            if path.bounds_states:
                m = o * t if path.projection is None else (o * t) @ path.projection.T
                clipped = m if path.clip is None else np.clip(m, -path.clip, path.clip)
                high = replace(path, initial=None).limits.high
                lost.append(high - path.unit_limits.high + (m - clipped) @ path.weight.T)
                lost.append(path.limits.high - high + (clipped - run.hidden_state[:, 0]) @ path.weight.T)
            for place, part in enumerate(lost):
                total[place] += part
        yield when, total


# The sentence.


def _amount(value: float, measure: Measure) -> str:
    return f"{value:.4g}{f' {measure.unit}' if measure.unit else ''}"


def _ceiling_sentence(
    scaled: _ScaledModel,
    output: Array,
    losses: Mapping[str, Array],
    cell: Trace,
    sequence: int,
    when: npt.NDArray[np.intp],
) -> str:
    """Return the sentence of a ceiling: the largest output possible, the largest reached, and the losses."""
    best = np.nanmax(output, axis=0)
    place = first_largest((best - scaled.bounds[1]) / scaled.width)
    t = first_largest(output[:, place])
    of = naming.of_sequence(cell, sequence)
    parts = [(float(loss[t, place]), LOSSES[name]) for name, loss in losses.items()]
    parts = [parts[number] for number in largest_first([loss for loss, _ in parts])]
    least = 0.001 * scaled.width[place]
    lost = [f"{loss:.3g} to {cause}" for loss, cause in parts if loss > least]
    less = [f"{-loss:.3g} by {cause}" for loss, cause in parts if loss < -least]
    largest = _amount(best[place], scaled.measures[place])
    where = f"{naming.at_step(cell, int(when[t]))}{of}" if scaled.model.reads == "every" else f"at the end{of}"
    losing = (join_names(lost, "and") or "nothing") + (f", less {join_names(less, 'and')}" if less else "")
    return f"{scaled.ceiling_clause(place)}; here it reaches {largest} at most, {where}, losing {losing}."
