"""Runs of a model in which steps of its input are exchanged for others of the data, and what that changes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.backward_pass import NUMBERS
from gatewise.insight.integrated import baseline_of, run_of, value_of
from gatewise.insight.naming import output_of
from gatewise.insight.target import Output, Target
from gatewise.margins import EPSILONS
from gatewise.network import Network
from gatewise.progress import working
from gatewise.records.step import State
from gatewise.records.trace import Trace

DRAWS = 16  # rows for which each step is exchanged
MOST_ROWS = 2**14  # rows of the data among which these are chosen
TINY = 1e-30  # a change of the output that may be rounding, however small its terms are

Places = npt.NDArray[np.intp]


class OccludedRuns:
    """The runs of one sequence in which some steps of the input are exchanged for rows of the data, or for a baseline.

    Attributes
    ----------
    aim : Target
        The number to explain, with what a skip connection adds to it.
    looked : array of int
        The steps that are looked at.
    x : array (time, feature)
        The input in the units of the data; of tokens, the rows of the embedding. 0 at invalid steps.
    rows : array (source, step, feature)
        For which the steps that are looked at are exchanged: the same for each, but for a baseline, and the nearest
        other row in the place of one that is drawn for a step that has it.
    shares : array (source,)
        How often the data have each row.
    num_drawn : int
        How many of them, the last ones, stand for all rows that are not among the others.
    num_data : int
        The rows of the data.
    """

    def __init__(self, run: Any, aim: Target, looked: Places, output: Output, baseline: Any, rng: Any) -> None:
        lstm, given = run.lstm, None if run.network is None else run.input  # if it is not simply what the LSTM is given
        data = lstm.first.require("an occlusion") if given is None else given
        valid = np.ones(data.shape[:2], bool) if lstm.first.valid is None else lstm.first.valid
        self.x = np.where(valid[:, aim.sequence, None], data[:, aim.sequence], 0.0).astype(np.float64)
        if baseline is None:
            places = np.argwhere(valid)
            places = places[:: -(-len(places) // MOST_ROWS)]
            rows = data[places[:, 0], places[:, 1]].astype(np.float64)
            rows = rows[np.isfinite(rows).all(1)]
            chosen, neighbours, self.shares = _drawn_rows(rows, rng)
            self.num_drawn, self.num_data = len(neighbours), len(rows)
            self.rows = np.repeat(chosen[:, None], len(looked), axis=1)
            drawn = self.rows[len(chosen) - len(neighbours) :]
            which, steps = np.nonzero((drawn == self.x[looked]).all(-1))
            drawn[which, steps] = neighbours[which]
        else:
            self.rows, self.shares = baseline_of(aim, baseline, self.x)[None, looked], np.ones(1)
            self.num_drawn, self.num_data = 0, 1
            if not np.isfinite(self.rows.astype(aim.first.parameters.dtype)).all():
                raise OptionError(f"the baseline must hold numbers that {aim.first.parameters.dtype} can represent")
            if _is_mark(aim.network, baseline, self.rows):
                raise OptionError("the baseline is the value that masks a step of this network. Choose another.")
        self.looked, self.skip = looked, _skip(run, aim, output)
        if self.skip is None:
            self.aim = aim
        else:
            name, added = aim.name.replace(", without the skip connection,", ""), self.added(self.x[:, None], 0)
            self.aim = replace(aim, name=name, value=aim.value + float(added[0]))

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return the steps to run, from the first to before the last, where steps between these are exchanged."""
        if self.aim.in_graph is not None:  # what is around the LSTM may carry a step to any other one
            return 0, len(self.x)
        ends, ways = sorted(self.aim.places.values()), self.aim.lstm.directions
        if len(ways) == 1:
            return (first, max(ends[0], last) + 1) if ways == ("forward",) else (min(ends[0], first), last + 1)
        if ends[0] != ends[-1]:
            return 0, len(self.x)
        first, last, beyond = int(self.looked[0]), int(self.looked[-1]), len(self.looked)
        return max(0, first - beyond), min(len(self.x), last + 1 + beyond)

    @cached_property
    def widest(self) -> slice:
        """The steps to run where all that are looked at are exchanged."""
        return slice(*self.span(int(self.looked[0]), int(self.looked[-1])))

    def run(self, x: Array, start: int, states: Any = None) -> Array:
        """Return the number (run,) for inputs (time, run, feature) from a step on, or also from `states` of cells."""
        aim, steps, network = self.aim, slice(start, start + len(x)), self.aim.network
        if aim.in_graph is not None:
            every = np.repeat(self.x[:, None], x.shape[1], axis=1)
            every[steps] = x
            if states is None:
                return aim.in_graph.value_at(every)
            aim = replace(aim, in_graph=aim.in_graph.from_step(start))
        layers = tuple({way: cell[steps] for way, cell in row.items()} for row in aim.lstm.layers)
        if states is not None:
            whole = zip(layers, aim.lstm.layers, strict=True)
            layers = tuple({way: replace(part[way], initial=states(row[way])) for way in row} for part, row in whole)
        lstm = replace(aim.lstm, layers=layers, stored_output=aim.lstm.stored_output[steps])
        here = replace(aim, lstm=lstm, places={way: place - start for way, place in aim.places.items()})
        if aim.in_graph is not None:
            features = aim.in_graph.features_at(every)[steps]
            return aim.in_graph.value_of(run_of(here, features, np.ones(x.shape[1])), every)
        inner: Any = x if network is None or network.embedding is not None else network.embed(x)[0]
        run = run_of(here, inner.astype(aim.first.parameters.dtype), np.ones(x.shape[1]), "hidden_state")
        return value_of(here, run) + self.added(x, start)

    def added(self, x: Array, start: int) -> Array:
        """Return what a skip connection adds to the number (run,), for inputs (time, run, feature) from a step on."""
        if self.skip is None:
            return np.zeros(x.shape[1])
        feature, factor, network, step = self.skip
        return factor * network.scaled(x[step - start, None])[0, :, feature].astype(np.float64)

    @cached_property
    def base(self) -> float:
        """The number where nothing is exchanged."""
        return float(self.run(self.x[self.widest, None], self.widest.start)[0])

    @cached_property
    def nothing(self) -> float:
        """A change of the number that may be one of rounding."""
        terms = float(np.abs(self.aim.weight * self.aim.output).sum())
        return max(TINY, EPSILONS * float(np.finfo(self.aim.first.parameters.dtype).eps) * terms)

    def changes(self, values: Array) -> Array:
        """Return the changes of the number, with 0 for what may be rounding."""
        if not np.isfinite(values).all():
            raise OptionError(
                "an occlusion needs finite outputs, but the output is not finite once the input is exchanged"
            )
        d = values - self.base
        return np.where(np.abs(d) > self.nothing, d, 0.0)

    def without(self, changes: Any) -> Any:
        """Return the number after changes, with 0 for what may be rounding."""
        values = self.aim.value + changes
        return np.where(np.abs(values) > self.nothing, values, 0.0)

    def of_sets(self, sets: Places, most: int = DRAWS) -> tuple[Array, Array]:
        """Return the changes (set, source) where steps of a set (set, member) become those of a source, and weights.

        A weight is how often other steps have the source: 0 where all steps of the set have it, too. If there are more
        than `most` sources, so many are taken, in proportion to their shares.
        """
        picks, shares, certain = np.arange(len(self.rows)), self.shares, len(self.rows) - self.num_drawn
        if len(picks) > most:
            picks = np.searchsorted(np.cumsum(shares)[:-1], (np.arange(most) + 0.5) / most)
            shares, certain = np.full(most, 1 / most), 0
        rows = self.rows[picks]
        members = np.searchsorted(self.looked, sets)
        differs = np.stack([(rows[:, of_set] != self.x[self.looked[of_set]]).any((1, 2)) for of_set in members])
        weights = shares * differs
        weights[~differs[:, :certain].all(1)] *= self.num_data / max(1, self.num_data - 1)  # of other steps
        return self.changes(self._values(sets, rows, members)), weights

    def _values(self, sets: Places, rows: Array, members: Places) -> Array:
        """Return the number (set, source) where the steps of each set become rows (source, member, feature)."""
        count, sources = len(sets), len(rows)
        values = np.empty((count, sources))
        order = np.argsort(-sets.max(1) if self.aim.lstm.directions == ("backward",) else sets.min(1), kind="stable")
        numbers = self.x.shape[1] + sum(6 * cell.parameters.hidden_size for cell in self.aim.lstm.cells().values())
        done = 0
        with working(f"running {count * sources:,} exchanges of the input", count) as advance:
            while done < count:
                start, stop = self.span(sets[order[done]].min(), sets[order[done]].max())
                some = order[done : done + max(1, NUMBERS // ((stop - start) * sources * numbers))]
                x = np.repeat(self.x[start:stop, None], len(some) * sources, axis=1)
                by_set = x.reshape(stop - start, len(some), sources, -1)
                taken = rows[:, members[some]].transpose(1, 2, 0, 3)
                by_set[sets[some] - start, np.arange(len(some))[:, None]] = taken
                values[some] = self.run(x, start).reshape(len(some), sources)
                done += len(some)
                advance(len(some))
        return values

    def error(self, parts: Array) -> Array:
        """Return the standard error of the sum of parts (…, source)."""
        drawn = parts[..., parts.shape[-1] - self.num_drawn :]
        return np.sqrt(self.num_drawn * drawn.var(-1, ddof=1)) if self.num_drawn > 1 else np.zeros(parts.shape[:-1])

    def by_features(self, rng: np.random.Generator) -> Array:
        """Return the changes (feature, draw) where a feature is exchanged at all steps that are looked at."""
        picks = rng.choice(len(self.rows), (len(self.looked), DRAWS), p=self.shares / self.shares.sum())
        taken = self.rows[picks, np.arange(len(picks))[:, None]]
        values, start = np.empty((self.x.shape[1], DRAWS)), self.widest.start
        for feature in range(len(values)):
            x = np.repeat(self.x[self.widest, None], DRAWS, axis=1)
            x[self.looked - start, :, feature] = taken[..., feature]
            values[feature] = self.run(x, start)
        return self.changes(values)

    @cached_property
    def by_pasts(self) -> Array:
        """The changes (past,) where the states before all these steps are those at other steps of the run."""
        ways = self.aim.lstm.directions
        first, last = self.widest.start * ("forward" not in ways), self.widest.stop
        last = len(self.x) if "backward" in ways else last
        edges = np.unique(np.linspace(first, last, DRAWS + 1).astype(np.intp))

        def states(cell: Trace) -> State:
            """Return the states of a cell at these edges of its steps."""
            pasts = [cell[edge:edge].initial for edge in edges]
            return State(*(np.concatenate(parts) for parts in zip(*pasts, strict=True)))

        x = np.repeat(self.x[self.widest, None], len(edges), axis=1)
        return self.changes(self.run(x, self.widest.start, states))


def _drawn_rows(data: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return rows of the data (row, feature), all if they are few, else a sample; the nearest to each drawn; shares.

    A row of a sixteenth of the data is in a sample for certain, but for eight at most. The others are ordered, cut into
    as many equal parts as rows are drawn, and each part gives one. The drawn rows are the last ones.
    """
    rows, counts = np.unique(data, axis=0, return_counts=True)
    shares = counts / len(data)
    if len(rows) < 2:
        raise OptionError("the input is the same at every step, so there is nothing to exchange. Pass a baseline.")
    if len(rows) <= DRAWS:
        return rows, rows[:0], shares
    frequent = np.argsort(-counts, kind="stable")[: DRAWS // 2]
    frequent = frequent[shares[frequent] >= 1 / DRAWS]
    rare, tiny = np.setdiff1d(np.arange(len(rows)), frequent), np.finfo(np.float64).tiny
    scaled = rows[rare] / np.maximum(np.abs(rows).max(0), tiny)
    scaled = (scaled - scaled.mean(0)) / np.maximum(scaled.std(0), tiny)
    order = np.argsort(scaled @ rng.normal(size=scaled.shape[1]), kind="stable")
    count, ends = DRAWS - len(frequent), np.cumsum(shares[rare[order]])
    drawn = order[np.searchsorted(ends[:-1], ends[-1] * (np.arange(count) + rng.random(count)) / count)]
    distances = [((scaled - scaled[place]) ** 2).sum(1) for place in drawn]
    others = [np.arange(len(scaled)) != place for place in drawn]
    neighbours = [int(np.where(other, off, np.inf).argmin()) for other, off in zip(others, distances, strict=True)]
    shares = np.concatenate([shares[frequent], np.full(count, ends[-1] / count)])
    return rows[np.concatenate([frequent, rare[drawn]])], rows[rare[neighbours]], shares


def _is_mark(network: Network | None, baseline: Any, rows: Array) -> bool:
    """Return whether a network takes steps that become a baseline, or some of its rows, for masked."""
    if network is None or network.masked is None:
        return False
    if network.embedding is not None:
        return isinstance(baseline, (int, np.integer)) and bool(baseline == network.masked)
    return bool((rows == network.masked).all(-1).any())


def _skip(run: Any, aim: Target, output: Output) -> tuple[int, float, Network, int] | None:
    """Return the feature that a skip connection adds to a number, its factor, and where; None if none does."""
    network, step = aim.network, aim.step
    if network is None or not network.skip or step is None or aim.before:
        return None
    if not isinstance(output, (int, np.integer, str)):
        return None
    place = output_of(output, run.labels.outputs, network.num_outputs)
    factor = 1.0 if network.outputs is None else float(network.outputs.scale[place])
    return min(place, network.skip - 1), factor, network, step
