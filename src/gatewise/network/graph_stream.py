"""A stream of a network that is a graph: it is fed step by step, and what it remembers is carried from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gatewise.arrays import array_of, size
from gatewise.engine import native
from gatewise.errors import OptionError, ShapeError, join_names, one_of, shown
from gatewise.layers import LSTM
from gatewise.layers.stream import CarriedState, Stream
from gatewise.network.graph import Graph, Node
from gatewise.network.operations import AnyArray
from gatewise.network.step_graph import Carried, StepGraph, require_whole_run, step_graph
from gatewise.network.step_program import native_program
from gatewise.records.step import State


class HasGraph(Protocol):
    """A `GraphNetwork`."""

    graph: Graph


class GraphStream(CarriedState):
    """A causal network that is fed step by step, or in blocks of steps, and carries its state from call to call.

    Before the first step, single steps are compared with whole runs. The native engine runs a whole step in C++, in
    about a microsecond for two small LSTMs. NumPy computes the steps if an operation has no native form. Then the LSTMs
    alone run in the engine that a `Stream` has, and ``not_native`` names the operation.

    States of an LSTM are those of a whole run, bit for bit, if it reads the inputs, also through linear layers of up to
    1,024 weights. Otherwise everything agrees within rounding: other sums are added in an order of their own.

    A stream is used by one thread at a time, can be pickled and copied, and its ``state`` can be set.

    Parameters
    ----------
    network : GraphNetwork
    batch_size : int, optional
        How many sequences run in parallel; by default there is one, and arrays have no batch axis.
    engine : str
        ``auto``, or the name of one of `gatewise.engines()`.

    Attributes
    ----------
    engine : str
        ``native`` if steps run in C++, and ``reference`` if NumPy computes them.
    not_native : str or None
        Why they do not run in C++.

    Raises
    ------
    OptionError
        If the network is not causal, or ``engine="native"`` cannot run an operation: the error names the node.

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
        one_of("engine", engine, ("auto", native.NAME, "reference"))
        self.network, self.not_native = network, None
        self._step = step_graph(network.graph, 1 if batch_size is None else batch_size)
        self._ports = [_port(self._step, name, axis, batch_size) for name, axis in self._step.inputs.items()]
        self._steps: _NumpySteps | _NativeSteps
        try:
            if engine == "reference":
                raise OptionError("you asked for engine='reference'")
            self._steps = _NativeSteps(self._step, self.batch_size, self._ports)
            self.push = self._steps.program.push  # type: ignore[method-assign]  # straight into C++
        except OptionError as refusal:
            if engine == native.NAME:
                raise OptionError(f"{refusal}. Without engine='native', NumPy computes the steps") from None
            self.not_native = str(refusal)
            self._steps = _NumpySteps(self._step, engine)
        self.engine = self._steps.name
        self.reset()

    @property
    def state(self) -> Mapping[str, AnyArray]:
        """What the next step starts from: arrays of its own, by name. h and c of an LSTM are (1, batch, units)."""
        return self._steps.state()

    @state.setter
    def state(self, state: Mapping[str, npt.ArrayLike]) -> None:
        names = [item.name for item in self._step.states]
        if set(state) != set(names):
            raise OptionError(f"the state must have {join_names(map(repr, names))}, not {join_names(map(repr, state))}")
        arrays = {}
        for item in self._step.states:
            arrays[item.name] = np.array(array_of(item.name, state[item.name]), item.initial.dtype, order="C")
            if arrays[item.name].shape != item.initial.shape:
                expected, actual = item.initial.shape, arrays[item.name].shape
                raise ShapeError(f"{shown(item.name, 60)} has shape {actual}; it must be {expected}")
        self._steps.set_state(arrays)

    @property
    def is_finite(self) -> bool:
        """Whether every number of the state is finite; if not, `reset` or set the state."""
        return self._steps.is_finite

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
        steps, fed = _settled(self._ports, inputs)
        assert isinstance(self._steps, _NumpySteps)
        results = []
        for y, (name, time) in zip(self._steps.push(self._ports, steps, fed), self._step.outputs.items(), strict=True):
            batch = self._step.batch.get(name) if self.batch_size is None else None
            gone = tuple(
                axis for axis in (time if steps is None else None, batch) if axis is not None and y.shape[axis] == 1
            )
            results.append(np.array(y.squeeze(gone) if gone else y))
        return results[0] if len(results) == 1 else tuple(results)


# Inputs.


class _Port(NamedTuple):
    """An input: its axes of time and batch, and the shape and the type of a step without them."""

    name: str
    time: int | None
    batch: int | None
    shape: tuple[int, ...]
    dtype: Any


def _port(step: StepGraph, name: str, time: int | None, batch_size: int | None) -> _Port:
    array = step.run.values[name]
    batch = step.batch.get(name) if batch_size is None else None
    shape = tuple(length for axis, length in enumerate(array.shape) if axis not in (time, batch))
    return _Port(name, time, batch, shape, array.dtype)


def _settled(ports: Sequence[_Port], inputs: Sequence[npt.ArrayLike]) -> tuple[int | None, list[AnyArray]]:
    """Return the number of steps, None for a single one, and the inputs on the axes of the file."""
    if len(inputs) != len(ports):
        names = join_names((repr(port.name) for port in ports), "and")
        raise OptionError(f"the stream takes {len(ports)} inputs ({names}), not {len(inputs)}")
    fed, counts = list[AnyArray](), set[int | None]()
    for (name, time, batch, shape, dtype), value in zip(ports, inputs, strict=True):
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


def _push_converted(ports: Sequence[_Port], program: Any, inputs: Sequence[npt.ArrayLike]) -> Any:
    """Feed a native program inputs that need a conversion, or raise their error."""
    steps, fed = _settled(ports, inputs)
    return program.run(steps, [np.ascontiguousarray(array) for array in fed])


# Steps.


class _NativeSteps:
    """A step that runs in the native engine as a whole; OptionError if it does not, or is not what a whole run is."""

    name = native.NAME

    def __init__(self, step: StepGraph, batch_size: int | None, ports: Sequence[_Port]) -> None:
        self.step = step
        self.program = native_program(step, batch_size, partial(_push_converted, ports))
        self.lstms = list(dict.fromkeys(node.name for node in step.graph.nodes if node.op == "lstm"))
        self.carried = [state for state in step.states if not state.lstm]
        self.numbers = np.zeros(sum(state.initial.size for state in self.carried), self._dtype)
        for inputs, outputs in step.examples:
            self.set_state(step.initial)
            steps = next(inputs[name].shape[axis] for name, axis in step.inputs.items() if axis is not None)
            results = self.program.run(steps, [np.ascontiguousarray(inputs[name]) for name in step.inputs])
            results = results if isinstance(results, tuple) else (results,)
            pairs = zip(results, outputs, strict=True)
            require_whole_run(step, [ours.reshape(theirs.shape) for ours, theirs in pairs], outputs)

    @property
    def _dtype(self) -> Any:
        return self.step.run.values[self.step.graph.inputs[0].name].dtype

    def state(self) -> dict[str, AnyArray]:
        states = {state.name: np.empty_like(state.initial) for state in self.step.states}
        self.program.get_carried(self.numbers)
        start = 0
        for state in self.carried:
            part = self.numbers[start : start + state.initial.size]
            states[state.name][...] = part.reshape(state.initial.shape)
            start += state.initial.size
        for number, pair in enumerate(self._pairs(states)):
            self.program.get(number, *pair)
        return states

    def set_state(self, arrays: Mapping[str, AnyArray]) -> None:
        for number, pair in enumerate(self._pairs(arrays)):
            self.program.set(number, *(np.ascontiguousarray(array) for array in pair))
        self.numbers[:] = np.concatenate(
            [self.numbers[:0], *(arrays[state.name].reshape(-1) for state in self.carried)]
        )
        self.program.set_carried(self.numbers)

    def _pairs(self, arrays: Mapping[str, AnyArray]) -> list[list[AnyArray]]:
        """Return h and c of each LSTM (batch, units), in the order of the program."""
        states = [{_is_cell(s): arrays[s.name][0] for s in self.step.states if s.lstm == name} for name in self.lstms]
        return [[pair[False], pair[True]] for pair in states]

    @property
    def is_finite(self) -> bool:
        return bool(self.program.is_finite)


Operation = tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]


class _NumpySteps:
    """A step by NumPy's functions, node by node, with a stream for each LSTM."""

    name = "reference"

    def __init__(self, step: StepGraph, engine: str) -> None:
        self.step, self.engine = step, engine
        graph, values = step.graph, step.run.values
        self._places = {name: place for place, name in enumerate(values)}
        self._values: list[Any] = list(values.values())
        self._lstms: dict[str, Stream] = {}
        self._plan = [self._operation(node) for node in graph.nodes]
        self._carried = [state for state in step.states if not state.lstm]
        ends = graph.outputs[: len(step.outputs)]
        self._ends = [self._places[name] for name in ends]
        following = dict(zip(step.states, graph.outputs[len(ends) :], strict=True))
        self._followers = [(self._places[state.name], self._places[following[state]]) for state in self._carried]

    def _operation(self, node: Node) -> Operation:
        """Return the function that computes a node in a step, and the places that it reads and writes."""
        places = self._places
        if node.op == "lstm":
            lstm: LSTM = node.settings["lstm"]
            batch = self.step.run.values[node.inputs[0]].shape[1]
            stream = self._lstms[node.name] = lstm.stream(batch, engine=self.engine)
            reads = {name for other in self.step.graph.nodes for name in other.inputs}
            reads |= set(self.step.graph.outputs[: len(self.step.outputs)])
            needs_state = not reads.isdisjoint(node.outputs[1:])
            function = partial(_push_lstm, stream, needs_state)
            count = 3 if needs_state else 1
            return function, (places[node.inputs[0]],), tuple(places[name] for name in node.outputs[:count])
        forward = partial(node.row.forward, **node.settings) if node.settings else node.row.forward
        if "" in node.inputs:
            forward = partial(_with_gaps, forward, [bool(name) for name in node.inputs])
        return forward, tuple(places[n] for n in node.inputs if n), tuple(places[n] for n in node.outputs)

    def state(self) -> dict[str, AnyArray]:
        states: dict[str, AnyArray] = {}
        for state in self.step.states:
            if state.lstm:
                ((pair,),) = self._lstms[state.lstm].state
                states[state.name] = np.asarray(pair.c if _is_cell(state) else pair.h)[None].copy()
            else:
                states[state.name] = np.array(self._values[self._places[state.name]])
        return states

    def set_state(self, arrays: Mapping[str, AnyArray]) -> None:
        for item in self._carried:
            self._values[self._places[item.name]] = np.array(arrays[item.name])
        for name, stream in self._lstms.items():
            own = {_is_cell(item): arrays[item.name][0] for item in self.step.states if item.lstm == name}
            stream.state = ((State(own[False], own[True]),),)

    @property
    def is_finite(self) -> bool:
        return all(stream.is_finite for stream in self._lstms.values()) and all(
            bool(np.isfinite(self._values[place]).all()) for place, _ in self._followers
        )

    def push(self, ports: Sequence[_Port], steps: int | None, fed: Sequence[AnyArray]) -> list[AnyArray]:
        """Return the outputs on the axes of the file."""
        rows = []
        with np.errstate(all="ignore"):
            for step in range(1 if steps is None else steps):
                for port, array in zip(ports, fed, strict=True):
                    undivided = steps is None or port.time is None
                    self._values[self._places[port.name]] = array if undivided else array.take([step], port.time)
                rows.append(self._run())
        results = []
        for place, time in enumerate(self.step.outputs.values()):
            parts = [row[place] for row in rows]
            if time is None or len(parts) == 1:
                results.append(parts[-1] if parts else self._values[self._ends[place]].take([], time or 0))
            else:
                results.append(np.concatenate(parts, time))
        return results

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
