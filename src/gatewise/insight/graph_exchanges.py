"""Exchanges of steps in a graph, in whose runs everything after, before and beside the LSTM is computed again."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.insight.exchanges import Exchanges, Swaps
from gatewise.layers.lstm import lstm_of
from gatewise.network.lstm_in_graph import LSTMInGraph
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import Trace

FEW = 50  # exchanges of which each is a whole run, where more are run at the LSTM alone to choose among them
MAX_WORK = 5 * 10**11  # of all whole runs, at most
RUNS = 1000  # of the whole network, about


class GraphExchanges(Exchanges):
    """A run of an LSTM in a graph, and the runs that it becomes where something is exchanged.

    An exchange of the input runs the whole network again, since other steps may read the step as well. Which exchanges
    are made is chosen by what they change in the LSTM's own step.
    """

    network: LSTMInGraph

    @classmethod
    def of_graph(cls, run: Any) -> GraphExchanges:
        """Return a run with a batch axis, that kept everything, as one in which steps can be exchanged.

        OptionError says why its steps cannot be: the network has one output at the end, or the runs would take long.
        """
        network = run.network
        why = "a horizon of the output is not for this network, because"
        if network.reads != "every":
            raise OptionError(f"{why} it has no output for each step. Ask about its LSTM, as trace.lstm.")
        exchanges = cls(network, run.lstm, np.asarray(run.input), run.labels.outputs)
        if RUNS * network.work > MAX_WORK:
            raise OptionError(f"{why} {RUNS:,} runs over {run.num_steps:,} steps take too long. Give it fewer steps.")
        return exchanges

    @cached_property
    def is_bidirectional(self) -> bool:
        """Whether an exchange may show at earlier steps, too: tested in the middle of the run."""
        if len(self.x) < 2:
            return False
        changed, middle = np.array(self.x), len(self.x) // 2
        changed[middle] = self.x[middle - 1] if (self.x[middle] != self.x[middle - 1]).any() else self.x[0]
        y, c = self._runs_of(changed, np.arange(self.x.shape[1]))
        complete = self._runs_of(self.x, np.arange(self.x.shape[1]))
        return any(bool((a[:middle] != b[:middle]).any()) for a, b in zip((y, c), complete, strict=True))

    @cached_property
    def cells(self) -> dict[Cell, Trace]:
        """The traces of the cells, by layer and direction."""
        return dict(self.trace.cells())

    @cached_property
    def y(self) -> Array:
        """The outputs (time, batch, output), of classes before their probabilities."""
        return self._runs_of(self.x, np.arange(self.x.shape[1]))[0]

    @cached_property
    def features(self) -> Array:
        """The LSTM's own input (time, batch, feature)."""
        return self.trace.require("an exchange of steps")

    def one_step(self, swaps: Swaps) -> Array:
        """Return the differences (exchange, unit) of the cell states that each exchange makes in its own step.

        Of many exchanges, those that the LSTM's own input at the other step makes.
        """
        self._is_choosing = len(swaps.at.times) > FEW
        try:
            return super().one_step(swaps)
        finally:
            self._is_choosing = False

    _is_choosing = False

    def _run(self, swaps: Swaps, first: int, last: int, x: Array | None = None) -> tuple[Array, Array]:
        """Return outputs and cell states (time, exchange, ·) from `first` to `last` steps after each exchange.

        `x` (time, exchange, feature) is what these steps are given, but for the exchanges; by default the run's input.
        """
        if x is None and (swaps.states or self._is_choosing):
            return self._run_of_lstm(swaps, first, last)
        (steps, which), rows = self._steps(swaps, first, last)[0], np.arange(len(swaps.at.times))
        complete = np.array(self.x[:, which])
        if x is not None:
            there = ~self._beyond(swaps, first, last)
            complete[steps[there], np.broadcast_to(rows, steps.shape)[there]] = x[there]
        exchanged = swaps.at.times + np.arange(swaps.steps)[:, None], rows
        sources = self.x[swaps.source.times + np.arange(swaps.steps)[:, None], swaps.source.sequences]
        here = complete[exchanged]
        complete[exchanged] = sources if swaps.part == 1 else here + complete.dtype.type(swaps.part) * (sources - here)
        y, c = self._runs_of(complete, which)
        return y[steps, rows], c[steps, rows]

    def _runs_of(self, x: Array, which: Any) -> tuple[Array, Array]:
        """Return outputs and cell states (time, sequence, ·) of runs over inputs, of the sequences `which`."""
        network, outputs, states = self.network.of_sequences(which), [], []
        for _, run in network.runs(x):
            cells = network.trace_in(run).cells().values()
            outputs.append(network.output_in(run, raw=True))
            states.append(np.concatenate([cell.cell_state for cell in cells], axis=-1))
        count = x.shape[1]
        return np.concatenate(outputs, axis=1)[:, :count], np.concatenate(states, axis=1)[:, :count]

    def _run_of_lstm(self, swaps: Swaps, first: int, last: int) -> tuple[Array, Array]:
        """Return the same, where only the LSTM runs again: from other states, or over its own input of other steps."""
        (steps, which), inside = self._steps(swaps, first, last)
        rows = np.arange(len(which))
        features, lstm = np.array(self.features[steps, which]), lstm_of(self.trace)
        start: list[list[State]] = [[] for _ in range(lstm.num_layers)]
        for (layer, way), state in self.states.items():
            source = swaps.source if swaps.states and way == "forward" else swaps.at
            edge = np.clip(source.times + (first if way == "forward" else last + 2), 0, len(self.x) + 1)
            start[layer].append(State(*(array[edge, source.sequences] for array in state)))
        if not swaps.states:
            features[-first] = self.features[swaps.source.times, swaps.source.sequences]
        options: dict[str, Any] = {} if inside.all() else {"mask": inside}
        trace = lstm.trace(features, tuple(map(tuple, start)), keep=("cell_state",), **options)
        c = np.concatenate([cell.cell_state for cell in trace.cells().values()], axis=-1)
        if not swaps.states:
            return np.zeros((len(c), len(which), self.y.shape[-1]), self.y.dtype), c
        y, finals = np.array(self.trace.output[:, which]), self._finals_of(which)
        y[steps[inside], np.broadcast_to(rows, steps.shape)[inside]] = trace.output[inside]
        outputs = self.network.of_sequences(which).outputs_after(y, finals, self.x[:, which], raw=True)
        return outputs[steps, rows], c

    def _finals_of(self, which: Any) -> Any:
        return tuple(tuple(State(*(part[which] for part in state)) for state in row) for row in self.trace.state)
