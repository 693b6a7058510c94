"""Runs of a model in which steps of the input, or the state before one, are exchanged, and what then differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.activations import Activation
from gatewise.arrays import Array, Mask, chunks
from gatewise.insight.retention import retention_of
from gatewise.layers import LSTM
from gatewise.margins import TIE, largest_first, rounding_margin
from gatewise.network import SOFTMAX, Network, NetworkTrace
from gatewise.progress import working
from gatewise.records.labels import NO_LABELS
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace

MOST = 2**22  # numbers of a batch of runs, about
MOST_OUTPUTS = 16  # that are looked at: of more, those that vary most
MOST_KEPT = 2**16  # steps of all outputs that are looked at: of long runs, fewer are
PEAK = 0.1 * (1 - TIE)  # of the largest difference: a smaller one does not show any more
PART = 0.9 * (1 - TIE)  # of the sum of all differences
LATE = 0.1  # of the lags, the last ones: a change lasts to the end if they have so much of it,
TAIL = 0.05 * (1 + TIE)  # in all, or `PEAK` at most
HALF = 0.5 * (1 + TIE)  # of the weight: if no more is left when the last exchange ends, none is taken to last longer
FEW = 0.05 * (1 - TIE)  # of the weight of the exchanges: a lag that fewer reach is not one that was looked at

Places = npt.NDArray[np.intp]


class Steps(NamedTuple):
    """Steps of sequences in a batch."""

    times: Places
    sequences: Places

    def of(self, which: Any) -> Steps:
        """Return some of the steps."""
        return Steps(self.times[which], self.sequences[which])


class Swaps(NamedTuple):
    """Exchanges, each in a run of its own.

    The input of so many `steps` from the step `at` on goes so large a `part` of the way to that of the steps from
    `source` on. Or instead, if `states`, the state before the step becomes the one before the other.
    """

    at: Steps
    source: Steps
    steps: int = 1
    part: float = 1.0
    states: bool = False

    def of(self, which: Any) -> Swaps:
        """Return some of the exchanges."""
        return self._replace(at=self.at.of(which), source=self.source.of(which))


class Lasting(NamedTuple):
    """How long each exchange shows in each of several quantities.

    Attributes
    ----------
    lags : array of int (exchange, quantity)
        The later of two lags: the last one with a tenth of the largest difference or more, and the one by which nine
        tenths of all differences have come.
    sums : array (exchange, quantity)
        The differences of all lags together.
    lasts : boolean array (exchange, quantity)
        Whether it still shows in the last tenth of the lags that were seen, so that it may last longer.
    """

    lags: Places
    sums: Array
    lasts: Mask

    @classmethod
    def of_differences(cls, d: Array, last_lags: Places | None = None) -> Lasting:
        """Return how long differences (lag, exchange, quantity) show.

        `last_lags` (exchange,) has the last lag for which the sequence is long enough; the differences after it are 0.
        """
        sums, largest, end = d.sum(0, dtype=np.float64), d.max(0), len(d) - 1
        last_lags = np.full(d.shape[1], end) if last_lags is None else np.minimum(last_lags, end)
        last = end - np.argmax((d >= PEAK * largest)[::-1], axis=0)
        part = (np.cumsum(d, axis=0, dtype=np.float64) < PART * sums).sum(0)
        lags = np.maximum(last, np.minimum(part, end))
        late = np.where(late_lags(last_lags, len(d))[..., None], d, 0)
        reaches = (late.sum(0, dtype=np.float64) > TAIL * sums) | (late.max(0) > PEAK * largest)
        lasts = reaches & (end > 0) & (sums > 0)
        return cls(np.where(sums > 0, lags, 0), sums, lasts)

    @classmethod
    def joined(cls, parts: Sequence[Lasting]) -> Lasting:
        """Return all exchanges of several parts."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def quantile(self, share: float) -> tuple[Places, Mask]:
        """Return the lag of each quantity within which so much of the weight of the exchanges ends, and if more last.

        An exchange that still shows when its sequence ends counts only up to there: Kaplan and Meier, "Nonparametric
        estimation from incomplete observations" (1958). If more than the rest lasts as far as was seen, the lag is the
        largest one that exchanges with a twentieth of the weight reach.
        """
        order = np.argsort(self.lags, axis=0, kind="stable")
        lags, weights, lasts = (np.take_along_axis(array, order, 0) for array in self)
        at_risk = np.cumsum(weights[::-1], axis=0)[::-1]
        total = at_risk[:1]
        # Those that end at a lag are taken from all that were seen so far, which those that last do, too.
        ends = np.where(lasts, 0, weights)
        lags_found, more = np.zeros(lags.shape[1], np.intp), np.ones(lags.shape[1], bool)
        for quantity in range(lags.shape[1]):
            each, first = np.unique(lags[:, quantity], return_index=True)
            ended = np.add.reduceat(ends[:, quantity], first)
            remaining = at_risk[first, quantity]
            left = np.cumprod(1 - ended / np.where(remaining > 0, remaining, 1))
            below = np.flatnonzero(left <= 1 - (1 - TIE) * share)
            if not len(below) and ended[-1] and left[-1] <= HALF:  # nothing was seen to last longer
                below = np.array([len(each) - 1])
            enough = np.flatnonzero(remaining >= FEW * total[0, quantity])
            more[quantity] = not len(below) and total[0, quantity] > 0
            lags_found[quantity] = each[below[0]] if len(below) else each[enough[-1]] * (total[0, quantity] > 0)
        return lags_found, more


def late_lags(last_lags: Places, count: int) -> Mask:
    """Return a mask (lag, exchange) of the last tenth of the lags that were seen of each exchange."""
    lag = np.arange(count)[:, None]
    late: Mask = (lag <= last_lags) & (
        lag > last_lags - np.maximum(1, np.round(LATE * (last_lags + 1)).astype(np.intp))
    )
    return late


class Outcome(NamedTuple):
    """The changes that exchanges made.

    Attributes
    ----------
    outputs, ahead : Lasting
        How long they show in the outputs at later steps, and at earlier ones, which only a backward direction reaches.
    units : Lasting
        How long they show in the cell states, in the direction of each cell.
    sizes : array (lag, unit)
        The sums of the absolute differences of the cell states over all exchanges, in the direction of each cell.
    along, anew : array (unit,)
        What the next steps retain of those differences with all gates held, and what they write anew: sums likewise.
    differences : array (lag, exchange, output)
        Those of the outputs; the lags of a bidirectional run begin with the earliest step.
    """

    outputs: Lasting
    ahead: Lasting
    units: Lasting
    sizes: Array
    along: Array
    anew: Array
    differences: Array

    @property
    def sums(self) -> Array:
        """All that each exchange changes in each output."""
        return self.outputs.sums + self.ahead.sums

    def is_cut_off(self, share: float) -> bool:
        """Return whether more than the rest of the weight of exchanges lasts longer than was seen in some output."""
        return any(bool(part.quantile(share)[1].any()) for part in (self.outputs, self.ahead))

    @classmethod
    def joined(cls, parts: Sequence[Outcome]) -> Outcome:
        """Return the changes of all exchanges of several parts."""
        return cls(
            outputs=Lasting.joined([part.outputs for part in parts]),
            ahead=Lasting.joined([part.ahead for part in parts]),
            units=Lasting.joined([part.units for part in parts]),
            sizes=np.sum([part.sizes for part in parts], axis=0),
            along=np.sum([part.along for part in parts], axis=0),
            anew=np.sum([part.anew for part in parts], axis=0),
            differences=np.concatenate([part.differences for part in parts], axis=1),
        )


@dataclass(frozen=True, eq=False)
class Exchanges:
    """A run of a model, and the runs that it becomes where something is exchanged.

    Attributes
    ----------
    network : Network
        It reads every step, takes features, and puts out the logits of classes instead of their probabilities.
    trace : LSTMTrace
        Its run with a batch axis; everything is kept.
    x : array (time, batch, feature)
        What it was given. Of a backward LSTM, this and all other arrays go back in time, as its run does.
    names : sequence of str or None
        Those of the outputs.
    is_reversed : bool
        Whether the arrays go back in time.
    output : int or None
        An output that is looked at, however little it varies.
    """

    network: Network
    trace: LSTMTrace
    x: Array
    names: Sequence[str] | None
    is_reversed: bool = False
    output: int | None = None

    @classmethod
    def of_run(cls, run: LSTMTrace | NetworkTrace, output: int | None = None) -> Exchanges:
        """Return a run that kept everything, with a batch axis, as one in which steps can be exchanged."""
        rows = [[cell.parameters for cell in row.values()] for row in run.lstm.layers]
        is_reversed = run.lstm.directions == ("backward",)
        network = _raw_outputs(run.network, LSTM.from_cells(rows, merge=run.lstm.merge))
        given = run.input if isinstance(run, NetworkTrace) else None  # if it is not simply what the LSTM is given
        x = run.lstm.require("an exchange of steps") if given is None else given
        return cls(network, run.lstm, x[::-1] if is_reversed else x, run.labels.outputs, is_reversed, output)

    @property
    def is_bidirectional(self) -> bool:
        """Whether an exchange may show at earlier steps, too."""
        return self.network.lstm.bidirectional

    @cached_property
    def cells(self) -> dict[Cell, Trace]:
        """The traces of the cells, by layer and by the direction in which they are run here."""
        cells = self.trace.cells()
        return {(layer, "forward"): cell for (layer, _), cell in cells.items()} if self.is_reversed else cells

    @cached_property
    def valid(self) -> Mask | None:
        """The valid steps (time, batch); None if all are."""
        valid = self.trace.first.valid
        return None if valid is None else self._in_order(valid)

    @cached_property
    def y(self) -> Array:
        """The outputs (time, batch, output)."""
        return _side_by_side(self.network.predict(self._in_order(self.trace.output), self.x))

    @cached_property
    def varied(self) -> Places:
        """The outputs that are looked at: all, or of many those that vary most."""
        count = min(MOST_OUTPUTS, max(1, 2 * MOST_KEPT // len(self.y)))
        spread = self.y.std((0, 1))
        if self.output is not None:
            spread[self.output] = np.inf
        return np.sort(largest_first(spread, count))

    @cached_property
    def names_of_varied(self) -> list[str]:
        """The names of these outputs, or their numbers."""
        named = self.names is not None and len(self.names) == self.y.shape[-1]
        return [self.names[place] if named and self.names else str(place) for place in self.varied]

    @cached_property
    def states(self) -> dict[Cell, State]:
        """The states (time + 2, batch, ·) of each cell: its initial one is before the first step and after the last."""
        states = {}
        for key, cell in self.cells.items():
            arrays = (self._in_order(array) for array in (cell.hidden_state, cell.cell_state))
            ends = (part[None] for part in cell.initial)
            states[key] = State(*(np.concatenate([end, array, end]) for array, end in zip(arrays, ends, strict=True)))
        return states

    @cached_property
    def cell_states(self) -> Array:
        """The cell states (time, batch, unit) of all cells."""
        return np.concatenate([state.c[1:-1] for state in self.states.values()], axis=-1)

    @cached_property
    def retention(self) -> Array:
        """The part (time, batch, unit) of each cell state that a step retains with the gates held."""
        parts = [self._in_order(retention_of(cell)) for cell in self.cells.values()]
        return np.concatenate(parts, axis=-1).astype(self.y.dtype)

    @cached_property
    def goes_forward(self) -> Mask:
        """Which units (unit,) are of forward cells."""
        sizes = [cell.parameters.hidden_size for cell in self.cells.values()]
        return np.repeat([way == "forward" for _, way in self.cells], sizes)

    @cached_property
    def num_weights(self) -> int:
        """The number of weights, which is that of multiplications in a step."""
        return sum(cell.parameters.weight.size for cell in self.cells.values())

    @cached_property
    def numbers_of_step(self) -> int:
        """The numbers that the run of an exchange holds of a step."""
        return int(self.x.shape[-1] + 4 * self.y.shape[-1] + 8 * self.cell_states.shape[-1])

    def places(self, count: int = 1) -> Steps:
        """Return the first of `count` valid steps, one after another, wherever they are."""
        valid = np.ones(self.x.shape[:2], bool) if self.valid is None else np.array(self.valid)
        inside = np.arange(len(valid))[:, None] + count - 1 <= self.ends[1]
        for later in range(1, min(count, len(valid))):
            inside[: len(valid) - later] &= valid[later:]
        return Steps(*np.nonzero(valid & inside))

    def last_lags(self, swaps: Swaps) -> tuple[Places, Places]:
        """Return the last lags after and before each exchange (exchange,) that its sequence has a step for."""
        first, last = (end[swaps.at.sequences] for end in self.ends)
        return np.maximum(last - swaps.at.times - swaps.steps + 1, 0), np.maximum(swaps.at.times - first, 0)

    @cached_property
    def ends(self) -> tuple[Places, Places]:
        """The first and the last valid step of each sequence."""
        time, batch = self.x.shape[:2]
        if self.valid is None:
            return np.zeros(batch, np.intp), np.full(batch, time - 1)
        return np.argmax(self.valid, axis=0), time - 1 - np.argmax(self.valid[::-1], axis=0)

    def one_step(self, swaps: Swaps) -> Array:
        """Return the differences (exchange, unit) of the cell states that each exchange makes in its own step."""
        parts = []
        for part in chunks(len(swaps.at.times), self.numbers_of_step, MOST):
            some = swaps.of(part)
            parts.append(np.abs(self._run(some, 0, 0)[1][0] - self.cell_states[some.at]))
        moved = np.concatenate(parts)
        moved[moved < rounding_margin(self.cell_states, axis=(0, 1))] = 0
        return moved

    def outcome(self, swaps: Swaps, lags: int) -> Outcome:
        """Return the changes that exchanges make at the lags up to `lags` from the last step that is exchanged.

        Where a sequence ends before, its other lags are not seen.
        """
        before = lags if self.is_bidirectional and not swaps.states else 0
        last, count = lags + swaps.steps - 1, len(swaps.at.times)
        compared = self.y[..., self.varied], self.cell_states
        floor, floor_of_units = (rounding_margin(array, axis=(0, 1)) for array in compared)
        parts = []
        with working("exchanging steps of the input", count) as done:
            for part in chunks(count, (before + last + 1) * self.numbers_of_step, MOST):
                some = swaps.of(part)
                steps, inside = self._steps(some, -before, last)
                y, c = self._run(some, -before, last)
                outputs, units = np.abs(y[..., self.varied] - compared[0][steps]), c - compared[1][steps]
                outputs[outputs < floor] = 0
                units[np.abs(units) < floor_of_units] = 0
                outputs[~inside] = 0  # there the output is of another step, or of none
                beyond = self._beyond(some, -before, last)
                units[beyond] = 0
                held = self.retention[steps]
                later, earlier = slice(before + swaps.steps - 1, None), slice(before, None, -1)
                along = np.where(self.goes_forward, held[1:] * units[:-1], held[:-1] * units[1:])
                anew = np.where(self.goes_forward, units[1:], units[:-1]) - along
                along[beyond[1:] | beyond[:-1]] = anew[beyond[1:] | beyond[:-1]] = 0
                sizes = np.abs(units)
                ends = self.last_lags(some)
                both = [
                    Lasting.of_differences(sizes[when], end) for when, end in zip((later, earlier), ends, strict=True)
                ]
                parts.append(
                    Outcome(
                        Lasting.of_differences(outputs[later], ends[0]),
                        Lasting.of_differences(outputs[earlier], ends[1]),
                        Lasting(*(np.where(self.goes_forward, *pair) for pair in zip(*both, strict=True))),
                        np.where(self.goes_forward, *(sizes[when].sum(1) for when in (later, earlier))),
                        np.abs(along).sum((0, 1)),
                        np.abs(anew).sum((0, 1)),
                        outputs,
                    )
                )
                done(part.stop - part.start)
        return Outcome.joined(parts)

    def kept_without_end(self, swaps: Swaps, lasts: Places, output: int) -> Mask:
        """Return for each exchange, whose effect on an output stops after a lag, if it goes on without the next input.

        The step after that lag gets the input of the step before it, in the run with the exchange and in that without;
        and in two more runs, so does the step at that lag, since an output may show an input one step later. The effect
        goes on if half of the difference at that lag is left in either.
        """
        last, rows = int(lasts.max()) + 1, np.arange(len(lasts))
        goes_on = np.zeros(len(lasts), bool)
        for earlier in (0, 1):
            x = np.array(self.x[self._steps(swaps, 0, last)[0]])
            source = np.maximum(lasts - earlier, 0)
            for lag in range(1 - earlier, 2):
                x[lasts + lag, rows] = x[source, rows]
            without, y = self._run(swaps, 0, last, x)[0], self._run(swaps._replace(part=0.0), 0, last, x)[0]
            differences = np.abs(without - y)[..., output]
            goes_on |= differences[lasts + 1, rows] >= 0.5 * (1 - TIE) * differences[lasts, rows]
        return goes_on

    def _steps(self, swaps: Swaps, first: int, last: int) -> tuple[tuple[Places, Places], Mask]:
        """Return the steps (time, exchange) from `first` to `last` after each exchange, and which of them are valid.

        Those beyond the ends of the run are its first and its last one, which are not valid there.
        """
        times = swaps.at.times + np.arange(first, last + 1)[:, None]
        steps = np.clip(times, 0, len(self.x) - 1), swaps.at.sequences
        inside: Mask = times == steps[0]
        return steps, inside if self.valid is None else inside & self.valid[steps]

    def _beyond(self, swaps: Swaps, first: int, last: int) -> Mask:
        """Return the steps (time, exchange), from `first` to `last` after each exchange, that the run does not have."""
        times = swaps.at.times + np.arange(first, last + 1)[:, None]
        return (times < 0) | (times >= len(self.x))

    def _run(self, swaps: Swaps, first: int, last: int, x: Array | None = None) -> tuple[Array, Array]:
        """Return outputs and cell states (time, exchange, ·) from `first` to `last` steps after each exchange.

        `x` (time, exchange, feature) is what these runs are given, but for the exchanges; by default the run's input.
        """
        steps, inside = self._steps(swaps, first, last)
        x = np.array(self.x[steps] if x is None else x)
        start: list[list[State]] = [[] for _ in range(self.network.lstm.num_layers)]
        for (layer, way), state in self.states.items():
            from_step = swaps.source if swaps.states and way == "forward" else swaps.at
            edge = np.clip(from_step.times + (first if way == "forward" else last + 2), 0, len(self.x) + 1)
            start[layer].append(State(*(array[edge, from_step.sequences] for array in state)))
        if not swaps.states:
            sources = self.x[swaps.source.times + np.arange(swaps.steps)[:, None], swaps.source.sequences]
            taken = x[-first : swaps.steps - first]
            taken[:] = sources if swaps.part == 1 else taken + x.dtype.type(swaps.part) * (sources - taken)
        options: dict[str, Any] = {} if inside.all() else {"mask": inside}
        trace = self.network.trace(x, tuple(map(tuple, start)), keep=("cell_state",), **options)
        c = [cell.cell_state for cell in trace.lstm.cells().values()]
        return _side_by_side(trace.output), np.concatenate(c, axis=-1)

    def _in_order(self, array: npt.NDArray[Any]) -> Any:
        """Return an array (time, …) in the order in which the steps are run here."""
        return array[::-1] if self.is_reversed else array


def _raw_outputs(network: Network | None, lstm: LSTM) -> Network:
    """Return a network that takes the features of another one with that LSTM, and puts out its logits at every step."""
    if network is None:
        return Network(lstm)
    dense = list(network.dense)
    if dense and dense[-1].activation in (SOFTMAX, Activation("sigmoid")):
        dense[-1] = replace(dense[-1], activation=None)
    inside = {"embedding": None, "masked": None, "initial": None, "outputs": None, "labels": NO_LABELS}
    return network.replace(lstm=lstm, head=dense, reads="every", **inside)


def _side_by_side(y: Array) -> Array:
    """Return outputs (time, batch, output), those of directions that are not merged one behind another."""
    return y.reshape(*y.shape[:2], math.prod(y.shape[2:]))
