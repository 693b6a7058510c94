"""A network that is a graph of operations, run over labelled data: one LSTM of it, and all its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask
from gatewise.errors import OptionError, join_names, shown
from gatewise.layers.arguments import valid_steps
from gatewise.layers.lstm import lstm_of, of_cells
from gatewise.layers.stack import States
from gatewise.network import running
from gatewise.network.graph_axes import probed
from gatewise.network.graph_network import GraphNetwork, GraphTrace
from gatewise.network.lstm_in_graph import AxisPlace, LSTMInGraph, RunInGraph, place_of_axes
from gatewise.opening.whole_model import STATE_NAME


@dataclass(frozen=True, eq=False, repr=False)
class GraphModelRun(RunInGraph):
    """The run of one LSTM of a graph over a sequence, with all outputs of the graph by name.

    They are (time, batch, output), or (batch, output) if the graph has one for a whole sequence.
    """

    outputs: Mapping[str, Array] = field(default_factory=dict)


class GraphModel(LSTMInGraph):
    """One LSTM of a graph with everything around it, for runs over labelled data.

    Parameters
    ----------
    graph : GraphNetwork
    name : str, optional
        Of the LSTM; by default the only one.

    Raises
    ------
    OptionError
        If there are several LSTMs and no name, or if an input or an output does not go with the LSTM's steps.
    """

    def __init__(self, graph: GraphNetwork, name: str | None = None) -> None:
        name = graph._only_lstm("apply") if name is None else name
        if name not in graph.lstms:
            raise OptionError(f"there is no LSTM {shown(name)!r}; there are {join_names(map(repr, graph.lstms))}")
        example = probed(graph.graph)
        if example is None:
            raise OptionError("gatewise cannot tell the sizes of the network's inputs, for no small input runs")
        super().__init__(GraphTrace(graph, example, graph.labels), name)
        for port in graph.graph.inputs:
            if port.name in self._others and not (port.dtype.kind == "f" and STATE_NAME.fullmatch(port.name)):
                raise OptionError(
                    f"the input {shown(port.name, 60)!r} of the network has no steps, and the data hold steps alone"
                )
        kinds = {like.dtype.kind == "f" for like in self._like.values()}
        if len(kinds) > 1:
            raise OptionError(f"the network takes tokens and features ({join_names(self._ports)}); data hold either")
        steps, batch = self._trace[name].num_steps, self._trace[name].batch_size
        self._places: dict[str, AxisPlace] = {}
        for output, value in zip(graph.graph.output_names, graph.graph.outputs, strict=True):
            y, axes = example.value(value), graph._axes.get(value)
            place = place_of_axes(axes, y.shape, steps, batch)
            if place is None and axes and "time" in axes and (count := y.shape[axes.index("time")]) > 1:
                raise OptionError(f"the output {shown(output, 60)!r} has {count} values for {steps} steps")
            if place is None:
                at = list(axes).index("batch") if axes and "batch" in axes else None
                at = next((n for n, size in enumerate(y.shape) if size == batch), None) if at is None else at
                place = AxisPlace(None, at)
            self._places[output] = place

    def example_run(self, engine: str, options: Mapping[str, Any]) -> GraphModelRun:
        """Return a run of a few steps of one sequence."""
        like = np.concatenate([place.in_order(self._like[name])[:, :1] for name, place in self._ports.items()], -1)
        run: GraphModelRun = self.trace(like[..., 0] if self.has_tokens else like, engine=engine, **options)
        return run

    def trace(
        self,
        x: npt.ArrayLike,
        state: States | None = None,
        *,
        engine: str = "auto",
        lengths: Any = None,
        mask: Any = None,
        **options: Any,
    ) -> GraphModelRun:
        """Run the graph over the valid steps of sequences, which must be one stretch; see `Network.trace`.

        Parameters
        ----------
        x : array (time, feature) or (time, batch, feature), or without features if it holds tokens
        state : nested sequence of State, optional
            The initial state of the LSTM.
        engine : str
            ``auto``, or the one that it chooses.
        lengths, mask : array, optional
            Of a single sequence.
        **options
            ``keep``, ``units`` and ``every``.
        """
        if engine not in ("auto", self._trace[self.name].first.engine):
            raise OptionError(
                f"engine must be auto, not {engine!r}: the LSTMs of a graph run on the engine that they choose"
            )
        array = np.asarray(x)
        array = array[..., None] if self.has_tokens else array
        array = array if array.ndim == 3 else array[:, None]
        valid = valid_steps(None if lengths is None else np.atleast_1d(lengths), mask, array.shape[0], array.shape[1])
        first, stop = _stretch(valid, len(array))
        graph_run = self._run_over(array[first:stop], state) if stop > first else None
        count, outputs = array.shape[1], {}
        for name, place in self._places.items():
            value = (self._trace.run if graph_run is None else graph_run).value(self._value_of(name))
            y = place.in_order(value)
            y = y if y.dtype.kind == "f" else y.astype(np.float64)
            padded = np.full((*[len(array)] * (place.time is not None), count, y.shape[-1]), np.nan, y.dtype)
            if graph_run is not None and place.time is None:
                padded[:] = y[:count]
            elif graph_run is not None:
                padded[first:stop] = y[:, :count]
            outputs[name] = padded
        lstm = self._trace[self.name] if graph_run is None else self.trace_in(graph_run)
        cells = lstm_of(lstm)
        inputs = np.zeros((len(array), count, cells.input_size), cells.dtype)
        start = None
        if graph_run is not None:
            inputs[first:stop] = np.asarray(lstm.first.input)[:, :count]
            start = tuple(
                tuple(type(pair)(*(part[:count] for part in pair)) for pair in row) for row in of_cells(lstm, "initial")
            )
        record = cells.trace(inputs, start, mask=valid, **options)
        read = record.output if self.reads == "every" else np.concatenate([s.h for s in record.state[-1]], -1)
        y = next(iter(outputs.values()))
        return GraphModelRun(self, record, None, read, y, self.labels, array, outputs)

    def _value_of(self, output: str) -> str:
        graph = self.graph.graph
        return graph.outputs[list(graph.output_names).index(output)]

    def _run_over(self, x: Array, state: States | None) -> running.GraphRun:
        """Run the graph over sequences (time, batch, feature), repeated until they are as many as its file fixes."""
        graph, block = self.graph.graph, next(self.blocks(x.shape[1]))
        if len(block) < x.shape[1]:
            raise OptionError(f"the file fixes {len(block)} sequences for a run; {x.shape[1]} are too many")
        feeds = super().feeds(x[:, block])
        for name, (array, axis) in self._others.items():
            feeds[name] = array if axis is None else np.repeat(array.take([0], axis), len(block), axis)
        feeds = {port.name: port.read(feeds[port.name]) for port in graph.inputs}
        if state is not None:
            given = self.graph._given_state(self.name, state)
            graph = running.with_states(graph, tuple(given))
            for node, pair in given.items():
                feeds |= {f"{node}.{part}0": np.repeat(array[:, :1], len(block), 1) for part, array in pair.items()}
        return running.trace(graph, feeds)


def _stretch(valid: Mask | None, steps: int) -> tuple[int, int]:
    """Return the first valid step and the one after the last; OptionError if others are between."""
    if valid is None:
        return 0, steps
    present = np.flatnonzero(valid.any(1))
    if not len(present):
        return 0, 0
    first, stop = int(present[0]), int(present[-1]) + 1
    if not valid[first:stop].all():
        raise OptionError(
            "a graph of operations needs the valid steps of a sequence one after the other, and some miss"
        )
    return first, stop
