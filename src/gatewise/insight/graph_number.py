"""GraphNumber: an output of a graph at a step, as a function of the LSTM's run and of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.layers import backward
from gatewise.layers.stack import States
from gatewise.margins import rounding_margin
from gatewise.network.lstm_in_graph import LSTMInGraph, RunInGraph
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace


@dataclass(frozen=True, eq=False)
class GraphNumber:
    """An output of a graph before its classes, in the run of one sequence.

    Attributes
    ----------
    run : RunInGraph
        The run of that sequence, with a batch of one.
    output : int
    step : int or None
        None for an output at the end of the sequence.
    start : int
        The step of the whole run at which runs of the LSTM begin.
    """

    run: RunInGraph
    output: int
    step: int | None
    start: int = 0

    @property
    def network(self) -> LSTMInGraph:
        """The LSTM with everything around it."""
        network: Any = self.run.network
        return network  # type: ignore[no-any-return]

    @cached_property
    def reads_every_step(self) -> bool:
        """Whether steps on the other side of its own can change it: tested by turning their order."""
        if self.step is None:
            return True
        x = np.array(self.run.input)
        if self.network.lstm.directions == ("backward",):
            x[: self.step] = x[: self.step][::-1].copy()
        else:
            x[self.step + 1 :] = x[self.step + 1 :][::-1].copy()
        a, b = (self.value_at(each)[0] for each in (x, np.asarray(self.run.input)))
        return bool(abs(a - b) > rounding_margin(np.array([a, b]), self.run.output.dtype))

    def from_step(self, start: int) -> GraphNumber:
        """Return the number of runs of the LSTM that begin so many steps later."""
        return replace(self, start=self.start + start)

    def value_of(self, lstm: LSTMTrace, x: Array | None = None) -> Array:
        """Return the number (run,) for runs of the LSTM over some steps, by default at this run's input."""
        raw = self._network_of(lstm.batch_size).outputs_after(*self._around(lstm), self._input(lstm, x), raw=True)
        return self._chosen(raw)

    def value_at(self, x: Array) -> Array:
        """Return the number (run,) for other inputs (time, run, feature) of the whole network."""
        network = self._network_of(x.shape[1])
        raw = [network.output_in(run, raw=True) for _, run in network.runs(x)]
        axis = int(self.step is not None)
        return self._chosen(np.take(np.concatenate(raw, axis=axis), np.arange(x.shape[1]), axis))

    def features_at(self, x: Array) -> Array:
        """Return the LSTM's own input for other inputs of the whole network."""
        return self._network_of(x.shape[1]).features(x)

    def gradients_in(self, lstm: LSTMTrace, done: Callable[[int], None] = lambda count: None) -> tuple[Array, States]:
        """Return the gradients of the number in each run of the LSTM, for its input and its initial states."""
        y, finals = self._around(lstm)
        x, network = self._input(lstm, None), self._network_of(lstm.batch_size)
        steps, count = lstm.num_steps, lstm.batch_size
        dy = np.zeros((*([len(y)] if self.step is not None else []), count, network.num_outputs), y.dtype)
        self._rows(dy)[:] = 1
        of_y, of_finals = network.gradients_after(y, finals, x, dy)
        ends = tuple(
            tuple(
                end if self._reaches_end(way, steps) else State(*(np.zeros_like(part) for part in end))
                for way, end in zip(lstm.directions, row, strict=True)
            )
            for row in of_finals
        )
        gradients = backward(lstm, of_y[self.start : self.start + steps], ends)
        done(steps * len(lstm.cells()))
        return np.asarray(gradients.x, np.float64), gradients.state

    def _reaches_end(self, way: str, steps: int) -> bool:
        return self.start == 0 if way == "backward" else self.start + steps == self.run.num_steps

    def _around(self, lstm: LSTMTrace) -> tuple[Array, States]:
        """Return the LSTM's output over all steps and its final states, with those of runs over some steps."""
        count, steps = lstm.batch_size, lstm.num_steps
        y = np.repeat(self.run.lstm.output, count, axis=1)
        y[self.start : self.start + steps] = lstm.output
        finals = tuple(
            tuple(
                new if self._reaches_end(way, steps) else State(*(np.repeat(part, count, 0) for part in old))
                for way, old, new in zip(lstm.directions, row, others, strict=True)
            )
            for row, others in zip(self.run.lstm.state, lstm.state, strict=True)
        )
        return y, finals

    def _input(self, lstm: LSTMTrace, x: Array | None) -> Array:
        return np.repeat(np.asarray(self.run.input), lstm.batch_size, axis=1) if x is None else x

    def _network_of(self, count: int) -> LSTMInGraph:
        return self.network.of_sequences(np.zeros(count, int))

    def _rows(self, raw: Array) -> Array:
        return raw[..., self.output] if self.step is None else raw[self.step, :, self.output]

    def _chosen(self, raw: Array) -> Array:
        return self._rows(raw).astype(np.float64)
