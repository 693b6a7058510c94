"""A stream of a network that is a graph: it is fed step by step, and what it remembers is carried from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gatewise.arrays import array_of, size
from gatewise.errors import OptionError, ShapeError, join_names, shown
from gatewise.layers import LSTM
from gatewise.layers.stream import CarriedState, Stream
from gatewise.network.graph import Graph, Node
from gatewise.network.operations import AnyArray
from gatewise.network.step_graph import Carried, step_graph
from gatewise.records.step import State


class HasGraph(Protocol):
    """A `GraphNetwork`."""

    graph: Graph


Operation = tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]


class GraphStream(CarriedState):
    """A causal network that is fed step by step, or in blocks of steps, and carries its state from call to call.

    Before the first step, single steps are compared with whole runs. LSTMs run in the engine that a `Stream` has. Their
    states are those of a whole run, bit for bit, unless a large product comes before them: the order of its additions
    depends on the number of steps. Then everything agrees within rounding.

    A stream is used by one thread at a time, can be pickled and copied, and its ``state`` can be set.

    Parameters
    ----------
    network : GraphNetwork
    batch_size : int, optional
        How many sequences run in parallel; by default there is one, and arrays have no batch axis.
    engine : str
        ``auto``, or the name of one of `gatewise.engines()`.

    Raises
    ------
    OptionError
        If the network is not causal: the error names the node.

    Examples
    --------
    >>> from gatewise.network.graph import Builder
    >>> from gatewise.network.graph_network import GraphNetwork
    >>> build = Builder()
    >>> y, h, c = build.add("lstm", build.input("x", (None, None, 3)), lstm=gw.LSTM(3, 4, rng=0), name="encoder")
    >>> stream = GraphNetwork(build.graph([build.add("softmax", y, axis=-1, name="scores")])).stream()
    >>> stream.push(np.ones(3)).shape, stream.push(np.ones((5, 3))).shape
    ((4,), (5, 4))
    """

    def __init__(self, network: HasGraph, batch_size: int | None = None, *, engine: str = "auto") -> None:
        super().__init__(network, None if batch_size is None else size("batch_size", batch_size, least=1), engine)
        self.network = network
        self._step = step_graph(network.graph, 1 if batch_size is None else batch_size)
        graph, values = self._step.graph, self._step.run.values
        self._places = {name: place for place, name in enumerate(values)}
        self._values: list[Any] = list(values.values())
        self._lstms: dict[str, Stream] = {}
        self._plan = [self._operation(node) for node in graph.nodes]
        self.engine = next((stream.engine for stream in self._lstms.values()), "reference")
        self._carried = [state for state in self._step.states if not state.lstm]
        ends = graph.outputs[: len(self._step.outputs)]
        self._ends = [self._places[name] for name in ends]
        following = dict(zip(self._step.states, graph.outputs[len(ends) :], strict=True))
        self._followers = [(self._places[state.name], self._places[following[state]]) for state in self._carried]
        self._ports = [self._port(name, axis) for name, axis in self._step.inputs.items()]
        self.reset()

    def _operation(self, node: Node) -> Operation:
        """Return the function that computes a node in a step, and the places that it reads and writes."""
        places = self._places
        if node.op == "lstm":
            lstm: LSTM = node.settings["lstm"]
            batch = self._step.run.values[node.inputs[0]].shape[1]
            stream = self._lstms[node.name] = lstm.stream(batch, engine=self._choice)
            reads = {name for other in self._step.graph.nodes for name in other.inputs}
            reads |= set(self._step.graph.outputs[: len(self._step.outputs)])
            needs_state = not reads.isdisjoint(node.outputs[1:])
            function = partial(_push_lstm, stream, needs_state)
            count = 3 if needs_state else 1
            return function, (places[node.inputs[0]],), tuple(places[name] for name in node.outputs[:count])
        forward = partial(node.row.forward, **node.settings) if node.settings else node.row.forward
        if "" in node.inputs:
            forward = partial(_with_gaps, forward, [bool(name) for name in node.inputs])
        return forward, tuple(places[n] for n in node.inputs if n), tuple(places[n] for n in node.outputs)

    def _port(self, name: str, time: int | None) -> tuple[str, int, int | None, int | None, tuple[int, ...], Any]:
        """Return an input's name and place, its axes of time and batch, and the shape and the type of a step."""
        array = self._step.run.values[name]
        batch = self._step.batch.get(name) if self.batch_size is None else None
        gone = (time, batch)
        shape = tuple(length for axis, length in enumerate(array.shape) if axis not in gone)
        return name, self._places[name], time, batch, shape, array.dtype

    @property
    def state(self) -> Mapping[str, AnyArray]:
        """What the next step starts from: arrays of its own, by name. h and c of an LSTM are (1, batch, units)."""
        states: dict[str, AnyArray] = {}
        for state in self._step.states:
            if state.lstm:
                ((pair,),) = self._lstms[state.lstm].state
                states[state.name] = np.asarray(pair.c if _is_cell(state) else pair.h)[None].copy()
            else:
                states[state.name] = np.array(self._values[self._places[state.name]])
        return states

    @state.setter
    def state(self, state: Mapping[str, npt.ArrayLike]) -> None:
        names = [item.name for item in self._step.states]
        if set(state) != set(names):
            raise OptionError(f"the state must have {join_names(map(repr, names))}, not {join_names(map(repr, state))}")
        arrays = {}
        for item in self._step.states:
            arrays[item.name] = np.array(array_of(item.name, state[item.name]), item.initial.dtype)
            if arrays[item.name].shape != item.initial.shape:
                expected, actual = item.initial.shape, arrays[item.name].shape
                raise ShapeError(f"{shown(item.name, 60)} has shape {actual}; it must be {expected}")
            if not item.lstm:
                self._values[self._places[item.name]] = arrays[item.name]
        for name, stream in self._lstms.items():
            own = {_is_cell(item): arrays[item.name][0] for item in self._step.states if item.lstm == name}
            stream.state = ((State(own[False], own[True]),),)

    @property
    def is_finite(self) -> bool:
        """Whether every number of the state is finite; if not, `reset` or set the state."""
        return all(stream.is_finite for stream in self._lstms.values()) and all(
            bool(np.isfinite(self._values[place]).all()) for place, _ in self._followers
        )

    def reset(self) -> None:
        """Set the state to that before the first step."""
        self.state = self._step.initial

    def push(self, *inputs: npt.ArrayLike) -> Any:
        """Feed one step of every input, or a block of several steps, and return the output, or a tuple of outputs.

        Parameters
        ----------
        *inputs : array
            On the axes of the file, without the axis of time for a single step, and without that of the batch unless
            the stream has a ``batch_size``. Inputs that are the initial state of an LSTM are left out: the stream
            carries it.

        Returns
        -------
        array or tuple of array
            On the axes of the file, without those that the inputs lack. An output of the last step alone is that of the
            last step of a block.

        Raises
        ------
        ShapeError
            If a shape is none of these; the state is left as it was.
        """
        if len(inputs) != len(self._ports):
            names = join_names((repr(port[0]) for port in self._ports), "and")
            raise OptionError(f"the stream takes {len(self._ports)} inputs ({names}), not {len(inputs)}")
        steps, fed = self._settled(inputs)
        rows = []
        with np.errstate(all="ignore"):
            for step in range(1 if steps is None else steps):
                for (_, place, time, *_), array in zip(self._ports, fed, strict=True):
                    whole = steps is None or time is None
                    self._values[place] = array if whole else array.take([step], time)
                rows.append(self._run())
        results = []
        for place, (name, time) in enumerate(self._step.outputs.items()):
            parts = [row[place] for row in rows]
            if time is None or len(parts) == 1:
                y = parts[-1] if parts else self._values[self._ends[place]].take([], time or 0)
            else:
                y = np.concatenate(parts, time)
            batch = self._step.batch.get(name) if self.batch_size is None else None
            gone = tuple(axis for axis in (time if steps is None else None, batch) if axis is not None)
            results.append(np.array(y.squeeze(gone) if gone else y))
        return results[0] if len(results) == 1 else tuple(results)

    def _settled(self, inputs: Sequence[npt.ArrayLike]) -> tuple[int | None, list[AnyArray]]:
        """Return the number of steps, None for a single one, and the inputs on the axes of the file."""
        fed, counts = list[AnyArray](), set[int | None]()
        for (name, _, time, batch, shape, dtype), value in zip(self._ports, inputs, strict=True):
            array = array_of(name, value)
            if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and dtype.kind != "f"):
                raise OptionError(f"{shown(name, 60)} must be {dtype}, not {array.dtype}")
            array = array.astype(dtype, copy=False)
            at = None if time is None else time - (batch is not None and batch < time)
            if array.shape == shape:
                counts |= set() if at is None else {None}
                array = array if at is None else np.expand_dims(array, at)
            elif at is not None and array.shape == (*shape[:at], *array.shape[at : at + 1], *shape[at:]):
                counts.add(array.shape[at])
            else:
                several = "" if at is None else f" or ({', '.join(map(str, (*shape[:at], 'time', *shape[at:])))})"
                raise ShapeError(f"{shown(name, 60)} has shape {array.shape}; this stream takes {shape}{several}")
            fed.append(array if batch is None else np.expand_dims(array, batch))
        if len(counts) != 1:
            raise ShapeError("the inputs of a stream must have as many steps each")
        return counts.pop(), fed

    def _run(self) -> list[AnyArray]:
        """Run one step, whose inputs are in their places."""
        values = self._values
        for function, reads, writes in self._plan:
            results = function(*[values[place] for place in reads])
            if len(writes) == 1:
                values[writes[0]] = results[0] if isinstance(results, tuple) else results
            else:
                for place, array in zip(writes, results, strict=False):
                    values[place] = array
        rows = [values[place] for place in self._ends]
        for (place, _), array in zip(self._followers, [values[place] for _, place in self._followers], strict=True):
            values[place] = array
        return rows


def _push_lstm(stream: Stream, needs_state: bool, x: AnyArray) -> Any:
    y = stream.push(x[0])[None]
    if not needs_state:
        return y
    ((pair,),) = stream.state
    return y, pair.h[None], pair.c[None]


def _with_gaps(function: Callable[..., Any], kept: Sequence[bool], *arrays: AnyArray) -> Any:
    """Call an operation of which some inputs are left out."""
    rest = iter(arrays)
    return function(*(next(rest) if there else None for there in kept))


def _is_cell(state: Carried) -> bool:
    return state.name.endswith(".c0")
