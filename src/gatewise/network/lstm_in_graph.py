"""LSTMInGraph: one LSTM of a graph with everything around it, in the place of a `Network`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gatewise.activations import SIGMOID, Activation
from gatewise.arrays import Array
from gatewise.errors import OptionError, shown
from gatewise.layers.lstm import lstm_of
from gatewise.layers.stack import States
from gatewise.network import running
from gatewise.network.dense import SOFTMAX, Linear
from gatewise.network.graph import Graph, Input
from gatewise.network.graph_network import GraphTrace
from gatewise.network.network import Network, NetworkTrace
from gatewise.network.operations import AnyArray
from gatewise.network.running import GraphRun
from gatewise.records.labels import NO_LABELS
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace

CLASSES: Mapping[str, Activation | str] = {"softmax": SOFTMAX, "sigmoid": SIGMOID}  # the operations of classes
SAME = 1e-5  # of the largest number: the readouts of two steps that differ by less are the same
Places = npt.NDArray[np.intp]
PROBED = 3  # steps whose readouts are compared


@dataclass(frozen=True)
class AxisPlace:
    """The axes of time and of sequences of a value, and whether the number of sequences is fixed."""

    time: int | None
    batch: int | None
    size: int | None = None  # of the batch, if it is fixed

    def in_order(self, array: AnyArray) -> AnyArray:
        """Return a value as (time, batch, feature), without the time if it has none."""
        front = [axis for axis in (self.time, self.batch) if axis is not None]
        moved = np.moveaxis(array, front, range(len(front)))
        if self.batch is None:
            moved = np.expand_dims(moved, len(front))
        return moved.reshape(*moved.shape[: 1 + (self.time is not None)], -1)

    def back(self, array: AnyArray, like: AnyArray) -> AnyArray:
        """Return numbers (time, batch, feature) on the axes of the value."""
        front = [axis for axis in (self.time, self.batch) if axis is not None]
        rest = [size for axis, size in enumerate(like.shape) if axis not in front]
        lead = array.shape[: 1 + (self.time is not None)]
        lead = lead if self.batch is not None else lead[:-1]
        return np.moveaxis(array.reshape(*lead, *rest), range(len(front)), front)


def place_of_axes(axes: Sequence[str] | None, shape: Sequence[int], steps: int, batch: int) -> AxisPlace | None:
    """Return where a value has its time and its sequences, by the names of its axes or else by their sizes.

    None if it has no axis of so many steps, or several may be.
    """
    if axes is not None and "time" in axes:
        time = axes.index("time")
        at = axes.index("batch") if "batch" in axes else None
    else:
        times = [axis for axis, size in enumerate(shape) if size == steps]
        if len(times) != 1:
            return None
        time, at = times[0], None
        if len(shape) > 1:
            others = [axis for axis, size in enumerate(shape) if size == batch and axis != time]
            at = others[0] if others else None
    if shape[time] != steps or (batch if at is None else shape[at]) != (1 if at is None else batch):
        return None
    return AxisPlace(time, at)


class LSTMInGraph(Network):
    """One LSTM of a graph with everything that is before, after and beside it.

    It stands for a `Network` in questions about a run: its input (time, batch, feature) has the features of all inputs
    that have the steps of the LSTM, and its output is the first one that the graph returns.

    Parameters
    ----------
    trace : GraphTrace
    name : str
        Of the LSTM.

    Attributes
    ----------
    graph : GraphNetwork
    name : str

    Raises
    ------
    OptionError
        If no input or no output of the network has a step for each step of the LSTM.
    """

    is_in_graph = True

    def __init__(self, trace: GraphTrace, name: str) -> None:
        self.graph, self.name = trace.network, name
        lstm: LSTMTrace = trace[name]
        self._nodes, steps, batch = self.graph._groups[name], lstm.num_steps, lstm.batch_size
        values, axes = trace.run.values, self.graph._axes
        self._ports: dict[str, AxisPlace] = {}
        self._others: dict[str, tuple[AnyArray, int | None]] = {}
        for port in self.graph.graph.inputs:
            value, named = values[port.name], axes.get(port.name)
            place = place_of_axes(named, value.shape, steps, batch)
            if place is not None:
                fixed = None if port.shape is None or place.batch is None else port.shape[place.batch]
                self._ports[port.name] = replace(place, size=fixed if place.batch is not None else 1)
            else:
                at = named.index("batch") if named and "batch" in named else None
                if at is None and batch > 1:
                    at = next((axis for axis, size in enumerate(value.shape) if size == batch), None)
                self._others[port.name] = (value, at)
        if not self._ports:
            raise OptionError(
                f"no input of the network has a step for each of the {steps:,} steps of the LSTM {shown(name)!r}"
            )
        self._like = {port: values[port] for port in self._ports}
        self._end, self._end_name = self.graph.graph.outputs[0], self.graph.graph.output_names[0]
        y = trace.run.value(self._end)
        if y.dtype.kind != "f":
            raise OptionError(f"the output {shown(self._end_name)!r} of the network holds {y.dtype}, not numbers")
        end = place_of_axes(axes.get(self._end), y.shape, steps, batch)
        if end is None:
            named = axes.get(self._end)
            at = named.index("batch") if named and "batch" in named else None
            at = next((n for n, size in enumerate(y.shape) if size == batch), None) if at is None else at
            if at is None and batch > 1:
                raise OptionError(f"the output {shown(self._end_name)!r} of the network has no axis for sequences")
            end = AxisPlace(None, at)
        self._place = end
        maker = self.graph.graph.makers.get(self._end)
        self.activation = CLASSES.get(maker.op) if maker is not None else None
        self._before = maker.inputs[0] if maker is not None and self.activation is not None else self._end
        self._num_outputs = end.in_order(y).shape[-1]
        self._trace = trace
        names = self.graph.labels
        fitting = names.replace(
            features=names.features if len(names.features or ()) == self.num_features else None,
            outputs=names.outputs if len(names.outputs or ()) == self._num_outputs else None,
        )
        super().__init__(lstm_of(lstm), reads="every" if end.time is not None else "last", labels=fitting)
        self.provenance = self.graph.provenance

    # What it is.

    @property
    def num_features(self) -> int:
        """The number of features of all inputs that have its steps."""
        return sum(place.in_order(self._like[name]).shape[-1] for name, place in self._ports.items())

    @property
    def num_outputs(self) -> int:
        """The number of outputs at a step."""
        return int(self._num_outputs)

    @property
    def num_parameters(self) -> int:
        """The number of parameters of the whole graph."""
        return self.graph.num_parameters

    @cached_property
    def work(self) -> float:
        """The work of a run of one sequence, in nanoseconds, about: what its operations say that they take."""
        run = self._trace.run
        total = sum(
            node.row.cost(*(run.value(name) if name else None for name in node.inputs), **node.settings).steps
            for node in self._whole.nodes
            if run.values.keys() >= {*node.outputs} and node.op != "choose"
        )
        lstm: LSTMTrace = self._trace[self.name]
        return total / max(1, lstm.batch_size)

    @property
    def has_tokens(self) -> bool:
        """Whether an input holds whole numbers, for which there is no gradient."""
        return any(like.dtype.kind != "f" for like in self._like.values())

    @property
    def outputs_are_states(self) -> bool:
        """Whether the outputs are hidden states of the LSTM."""
        return self._end == self._nodes[-1]

    @property
    def is_read_elsewhere(self) -> bool:
        """Whether something else than the next layer reads the output of a lower layer of the LSTM."""
        inner = set(self._nodes[:-1])
        return any(
            inner.intersection(node.inputs) and node.name not in self._nodes for node in self.graph.graph.nodes
        ) or bool(inner.intersection(self.graph.graph.outputs))

    def of_sequences(self, places: Any) -> Self:
        """Return the network with the other inputs of these sequences, which may be repeated."""
        if not any(axis is not None for _, axis in self._others.values()):
            return self
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._others = {
            name: (array if axis is None else np.take(array, np.arange(array.shape[axis])[places], axis), axis)
            for name, (array, axis) in self._others.items()
        }
        return other

    def without_activation(self) -> Self:
        """Return the network whose output is that before the probabilities of its classes."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name in ("_whole", "_tail"):
            other.__dict__.pop(name, None)
        other._end, other.activation = self._before, None
        return other

    def replace(self, **parts: Any) -> Self:
        """Return the network itself, whose parts are those of its graph."""
        return self

    def __repr__(self) -> str:
        return f"<LSTMInGraph: {shown(self.name, 60)!r} of {self.graph!r}>"

    # Runs.

    @cached_property
    def _whole(self) -> Graph:
        """The part of the graph that the LSTM and the output need."""
        return _pruned(self.graph.graph, [self._end, *self._nodes])

    @cached_property
    def _tail(self) -> Graph:
        """The part of the graph that the output needs, where the LSTM's output and final states are inputs."""
        inputs = [name for node in self._nodes for name in self.graph.nodes[node].outputs]
        return _pruned(self.graph.graph, [self._end], inputs)

    def feeds(self, x: Array) -> dict[str, AnyArray]:
        """Return an input (time, batch, feature) as the inputs of the graph."""
        result, first = {}, 0
        for name, place in self._ports.items():
            like = self._like[name]
            count = place.in_order(like).shape[-1]
            part = x[..., first : first + count].astype(like.dtype, copy=False)
            result[name], first = place.back(part, like), first + count
        return result | {name: array for name, (array, _) in self._others.items()}

    def blocks(self, count: int) -> Iterator[Places]:
        """Yield the sequences that the graph runs at a time: all of them, or as many as its file fixes.

        If the last ones are fewer, the very last is repeated. Whoever joins the runs leaves out the repetitions.
        """
        size = next((place.size for place in self._ports.values() if place.size is not None), count)
        yield from (np.minimum(np.arange(n, n + size), count - 1) for n in range(0, count, size))

    def input_of(self, trace: GraphTrace) -> Array:
        """Return the input (time, batch, feature) of a run of the graph."""
        parts = [place.in_order(trace.run.values[name]) for name, place in self._ports.items()]
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def output_in(self, run: GraphRun, *, raw: bool = False) -> Array:
        """Return the output (time, batch, output) of a run, or (batch, output) without time; `raw` before classes."""
        return self._place.in_order(run.value(self._before if raw else self._end))

    def runs(self, x: Array) -> Iterator[tuple[Places, GraphRun]]:
        """Run the graph over an input (time, batch, feature); yield the runs of blocks of its sequences."""
        for block in self.blocks(x.shape[1]):
            yield block, running.trace(self._whole, self.of_sequences(block).feeds(x[:, block]))

    def trace_in(self, run: GraphRun) -> LSTMTrace:
        """Return the trace of the LSTM in a run of the graph."""
        return GraphTrace(self.graph, run).lstms[self.name]

    def features(self, x: Array) -> Array:
        """Return the LSTM's own input for an input (time, batch, feature)."""
        parts = [np.asarray(self.trace_in(run).first.input) for _, run in self.runs(x)]
        return np.concatenate(parts, axis=1)[:, : x.shape[1]]

    def tail_runs(self, y: Array, finals: States, x: Array) -> Iterator[tuple[Places, GraphRun]]:
        """Run what comes after the LSTM, for its output and its final states; yield the runs of blocks of sequences."""
        if self.is_read_elsewhere:
            raise OptionError(f"the network reads the LSTM {shown(self.name)!r} between its layers")
        inputs = {port.name for port in self._tail.inputs}
        for block in self.blocks(y.shape[1]):
            feeds = self.of_sequences(block).feeds(x[:, block])
            feeds[self._nodes[-1]] = y[:, block]
            for node, row in zip(self._nodes, finals, strict=True):
                feeds[f"{node}.h"], feeds[f"{node}.c"] = (np.stack([s[n][block] for s in row]) for n in (0, 1))
            yield block, running.trace(self._tail, {name: feeds[name] for name in inputs})

    def outputs_after(self, y: Array, finals: States, x: Array, *, raw: bool = False) -> Array:
        """Return the output for an output (time, batch, ·) and final states of the LSTM, and an input."""
        parts = [self.output_in(run, raw=raw) for _, run in self.tail_runs(y, finals, x)]
        outputs = np.concatenate(parts, axis=int(self.reads == "every"))
        return outputs[:, : y.shape[1]] if self.reads == "every" else outputs[: y.shape[1]]

    def predict(self, read: Array, x: Any) -> Array:
        """Return the output for an output of the LSTM, whose final states are those of the run."""
        finals = tuple(
            tuple(State(*(_repeated(part, read.shape[1]) for part in state)) for state in row)
            for row in self._trace[self.name].state
        )
        return self.outputs_after(read, finals, np.asarray(x))

    def gradients_after(self, y: Array, finals: States, x: Array, dy: Array) -> tuple[Array, States]:
        """Return the gradients with respect to the LSTM's output and final states, given those of the raw output."""
        of_y, of_finals = (
            np.zeros_like(y),
            tuple(tuple(State(*(np.zeros_like(part) for part in state)) for state in row) for row in finals),
        )
        axis = int(self.reads == "every")
        for block, run in self.tail_runs(y, finals, x):
            like = run.value(self._before)
            if self._before not in self._tail.makers:  # the output is the LSTM's
                of_y[:, block] = dy[:, block]
                continue
            places = np.unique(block)  # without repetitions, which have no gradient
            part = self._place.back(_of_block(dy, block, axis), like)
            results = running.backward_through(run, {self._before: part}).values
            of_y[:, places] = results[self._nodes[-1]][:, : len(places)] if self._nodes[-1] in results else 0
            for node, row in zip(self._nodes, of_finals, strict=True):
                for place, state in enumerate(row):
                    for end, array in zip("hc", state, strict=True):
                        name = f"{node}.{end}"
                        array[places] = results[name][place][: len(places)] if name in results else 0
        return of_y, of_finals

    def gradient_of_input(self, run: NetworkTrace, dy: Array) -> Array:
        """Return the gradient (time, batch, ·) of the raw output with respect to the input, given that of the output.

        If an input holds tokens, it is with respect to the LSTM's own input.
        """
        x = np.asarray(run.input)
        parts, axis = [], int(self.reads == "every")
        for block, graph_run in self.runs(x):
            like = graph_run.value(self._before)
            part = self._place.back(_of_block(dy, block, axis), like)
            results = running.backward_through(graph_run, {self._before: part}).values
            if self.has_tokens:
                value = self.graph.nodes[self._nodes[0]].inputs[0]
                parts.append(results.get(value, np.zeros_like(graph_run.value(value))))
                continue
            pieces = [
                place.in_order(results.get(name, np.zeros_like(graph_run.value(name))))
                for name, place in self._ports.items()
            ]
            parts.append(np.concatenate(pieces, axis=-1))
        return np.concatenate(parts, axis=1)[:, : x.shape[1]]

    # What needs more than a graph.

    def readout(self, question: str) -> tuple[Linear | None, Array | None]:
        """Return the output before its classes as one linear layer of the LSTM's output at the same step.

        OptionError, whose sentence begins with `question`, says why a network has none.
        """
        why = f"{question} is not for this network, because"
        if not running.is_affine_after(self.graph.graph, self._nodes[-1], [self._before]):
            raise OptionError(f"{why} its output is not affine in the output of its LSTM {shown(self.name)!r}")
        lstm: LSTMTrace = self._trace[self.name]
        y, finals, x = lstm.output, lstm.state, self.input_of(self._trace)
        if y.ndim != 3:
            raise OptionError(f"{why} its LSTM {shown(self.name)!r} does not merge its directions")
        raw, results = self.outputs_after(y, finals, x, raw=True), []
        for step in np.unique(np.linspace(0, len(y) - 1, PROBED).astype(int)):
            rows = []
            for output in range(self.num_outputs):
                dy = np.zeros_like(raw)
                dy[(step, 0, output) if self.reads == "every" else (0, output)] = 1
                of_y, of_finals = self.gradients_after(y, finals, x, dy)
                row = of_y[step if self.reads == "every" else -1, 0].copy()
                if self.reads == "last":
                    row += np.concatenate([state.h[0] for state in of_finals[-1]])
                elsewhere = np.abs(of_y).sum() - np.abs(of_y[step if self.reads == "every" else -1, 0]).sum()
                elsewhere += sum(np.abs(s.c).sum() for r in of_finals for s in r)
                if elsewhere > SAME * max(1e-30, float(np.abs(row).max())):
                    raise OptionError(f"{why} its output at a step reads other steps of {shown(self.name)!r}")
                rows.append(row)
            weight = np.stack(rows)
            read = y[step, 0] if self.reads == "every" else _merged_last(finals)
            value = raw[step, 0] if self.reads == "every" else raw[0]
            results.append((weight, value - weight @ read))
        weight, bias = results[0]
        size = max(1.0, float(np.abs(raw).max()))
        for other, shift in results[1:]:
            if np.abs(other - weight).max() > SAME * np.abs(weight).max() or np.abs(shift - bias).max() > SAME * size:
                raise OptionError(f"{why} its output also depends on more than its LSTM {shown(self.name)!r}")
        return Linear(weight, bias, self.activation), None


def by_influence(trace: GraphTrace) -> dict[str, float]:
    """Return the change of the outputs where each LSTM outputs its mean instead, the most influential LSTM first.

    A change is the root of the mean square, in standard deviations of the outputs.
    """
    sizes = {}
    for name, lstm in trace.lstms.items():
        mean = np.broadcast_to(lstm.output.mean((0, 1), dtype=np.float64), lstm.output.shape)
        after, total = trace.rerun(**{name: mean}).run, 0.0
        for output in trace.network.graph.outputs:
            if (y := trace.run.values.get(output)) is not None and y.dtype.kind == "f" and output in after.values:
                spread = float(y.std(dtype=np.float64)) or 1.0
                total += float(np.square((after.values[output] - y) / spread, dtype=np.float64).mean())
        sizes[name] = total**0.5
    order = sorted(sizes, key=lambda name: -sizes[name] if np.isfinite(sizes[name]) else 0.0)
    return {name: sizes[name] for name in order}


def _of_block(dy: Array, block: Places, axis: int) -> Array:
    """Return the gradients of a block of sequences, with zeros for those that only fill it up."""
    part = np.take(dy, block, axis)
    repeated = np.append(False, block[1:] == block[:-1])
    part[(slice(None),) * axis + (repeated,)] = 0
    return part


def _merged_last(finals: States) -> Array:
    return np.concatenate([state.h[0] for state in finals[-1]])


def _repeated(part: Array, count: int) -> Array:
    """Return the states of a run for as many sequences, each in its turn."""
    return np.resize(part, (count, *part.shape[1:]))


def _pruned(graph: Graph, ends: Iterable[str], inputs: Iterable[str] = ()) -> Graph:
    """Return the part of a graph that some values need, where some others become inputs."""
    cut, needed, nodes = set(inputs), set(ends), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs) and cut.isdisjoint(node.outputs):
            nodes.append(node)
            needed.update(name for name in node.inputs if name)
    ports = tuple(port for port in graph.inputs if port.name in needed)
    ports += tuple(Input(name) for name in inputs if name in needed)
    constants = {name: array for name, array in graph.constants.items() if name in needed}
    return Graph(ports, constants, tuple(reversed(nodes)), tuple(ends))


@dataclass(frozen=True, eq=False, repr=False)
class RunInGraph(NetworkTrace):
    """The run of one LSTM of a graph, with everything around it."""

    def _only(self, which: slice) -> RunInGraph:
        """Return the run of the single sequence `which`, with a batch axis."""
        run = super()._only(which)
        assert isinstance(run, RunInGraph)
        network: Any = run.network
        return replace(run, network=network.of_sequences([which.start]))


def run_in_graph(trace: GraphTrace, name: str) -> RunInGraph:
    """Return the run of one LSTM of a graph with everything around it, as a run of a network.

    Raises
    ------
    OptionError
        If the network's steps are not those of the LSTM.
    """
    network = LSTMInGraph(trace, name)
    lstm, x, y = trace[name], network.input_of(trace), network.output_in(trace.run)
    is_tokens = all(like.dtype.kind in "iu" for like in network._like.values()) and x.shape[-1] == 1
    tokens: Any = x[..., 0] if is_tokens else None
    read = lstm.output if network.reads == "every" else np.concatenate([s.h for s in lstm.state[-1]], -1)
    labels = trace.labels if trace.labels is not NO_LABELS else lstm.labels
    if (features := labels.features) is not None and len(features) != network.num_features:
        labels = labels.replace(features=None)
    return RunInGraph(network, lstm, tokens, read, y, labels, x)
