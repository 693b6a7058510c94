"""One step of a causal network as a graph: what it must remember of earlier steps comes in as states, and goes out.

A run of two lengths shows which axis of each value is time. Each node is then rewritten for a single step: LSTMs take
their state, convolutions the steps before, and a value that another waits for is delayed. What needs later steps, or
all of them, is refused by the name of its node, and the result is compared with whole runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.errors import GatewiseError, OptionError, shown
from gatewise.layers import LSTM
from gatewise.network.graph import Builder, Graph, Input, Node, evaluate
from gatewise.network.graph_axes import axes_of
from gatewise.network.limits import RunLimits
from gatewise.network.operations import AnyArray
from gatewise.network.running import GraphRun, run, trace

MOVES = {
    *("gather", "slice", "split", "chunk", "squeeze", "unsqueeze", "reshape", "transpose", "swap", "move", "identity"),
    *("stack", "concat", "expand", "flatten"),
}
WINDOWED = ("conv", "max_pool", "mean_pool")
LENGTHS = (11, 8)  # of the runs that a step graph is made from and compared with
CLOSE = 1e-4  # of the largest output: how far a step may be from a whole run, in float32


@dataclass(frozen=True, eq=False)
class Carried:
    """What a network remembers from one step to the next.

    Attributes
    ----------
    name : str
        The input of the step graph that holds it.
    following : str
        The output that holds it after the step.
    initial : array
        Before the first step.
    lstm : str
        The LSTM node whose state it is, or empty.
    """

    name: str
    following: str
    initial: AnyArray
    lstm: str = ""


@dataclass(frozen=True, eq=False)
class StepGraph:
    """One step of a network.

    Attributes
    ----------
    graph : Graph
        Its inputs are one step of each input, with an axis of time of size 1, then the states; its outputs one step of
        each output, then the states after it.
    inputs, outputs : mapping of str to int or None
        The axis of time of each input and output, by name; None where there is none.
    states : tuple of Carried
    batch : mapping of str to int or None
        The axis of the batch of each input and output.
    run : GraphRun
        A run of one step of zeros, which tells the shape of every value.
    examples : tuple of (mapping of str to array, tuple of array)
        Inputs of whole runs, and the outputs of the network, which single steps must give too.
    """

    graph: Graph
    inputs: Mapping[str, int | None]
    outputs: Mapping[str, int | None]
    states: tuple[Carried, ...]
    batch: Mapping[str, int | None]
    run: GraphRun
    examples: tuple[tuple[Mapping[str, AnyArray], tuple[AnyArray, ...]], ...] = ()

    @property
    def initial(self) -> dict[str, AnyArray]:
        """The states before the first step, by name."""
        return {state.name: state.initial for state in self.states}


def step_graph(graph: Graph, batch_size: int = 1) -> StepGraph:
    """Return one step of a network, of so many sequences; OptionError names the node that is not causal."""
    for node in graph.nodes:
        if node.op == "unknown":
            raise OptionError(f"{node.title} is not supported: {node.settings['why']}")
    causal, pairs = _without_state_inputs(graph)
    causal = _relaxed(_with_plain_states(causal))
    axes = axes_of(causal)
    timed = [port.name for port in causal.inputs if "time" in axes.get(port.name, ())]
    if not timed:
        raise OptionError("gatewise cannot tell which axis of the network's inputs is time, or its size is fixed")
    stepped = _Steps(causal, axes, batch_size).rewritten(pairs)
    return _compared(causal, axes, stepped, batch_size)


# Inputs.


def _without_state_inputs(graph: Graph) -> tuple[Graph, frozenset[str]]:
    """Return a graph without inputs that are initial states of LSTMs alone, and the values made of final states.

    The stream carries what these inputs and values would carry.
    """
    dropped, empty = set[str](), set[str]()
    for port in graph.inputs:
        flowing, fits, reaches = {port.name}, True, False
        for node in graph.nodes:
            hit = [name in flowing for name in node.inputs]
            if node.op == "lstm" and any(hit):
                fits &= not hit[0] and not any(hit[3:])
                reaches = True
            elif any(hit):
                fits &= node.op in MOVES
                flowing.update(node.outputs)
        if fits and reaches and flowing.isdisjoint(graph.outputs):
            dropped.add(port.name)
            empty |= flowing
    if not dropped:
        return graph, frozenset()
    nodes = [
        replace(node, inputs=tuple("" if name in empty else name for name in node.inputs))
        if node.op == "lstm"
        else node
        for node in graph.nodes
        if node.op == "lstm" or empty.isdisjoint(node.outputs)
    ]
    finals = {name for node in graph.nodes if node.op == "lstm" for name in node.outputs[1:]}
    for node in graph.nodes:
        if node.op in MOVES and all(name in finals or name in graph.constants for name in node.inputs if name):
            finals.update(node.outputs)
    inputs = tuple(port for port in graph.inputs if port.name not in dropped)
    return replace(graph, inputs=inputs, nodes=tuple(nodes)), frozenset(finals)


def _with_plain_states(graph: Graph) -> Graph:
    """Return a graph in which states that do not depend on the inputs' numbers are one for all sequences, or none."""
    lstms = [node for node in graph.nodes if node.op == "lstm" and any(node.inputs[1:3])]
    if not lstms or any(port.shape is None for port in graph.inputs):
        return graph
    zeros_run = _zeros_run(graph, graph, 0, 0)
    constants, replaced = dict(graph.constants), dict[str, tuple[str, ...]]()
    for node in lstms if zeros_run is not None else ():
        inputs = list(node.inputs)
        for place, name in enumerate(inputs[1:3], 1):
            if not name or depends_on_inputs(graph, name) or zeros_run is None or name not in zeros_run.values:
                continue
            state = zeros_run.values[name]
            if state.ndim == 3 and (state == state[:, :1]).all():
                inputs[place] = f"{node.name}.initial_{'hc'[place - 1]}" if state.any() else ""
                constants |= {inputs[place]: state[:, :1]} if state.any() else {}
        replaced[node.name] = tuple(inputs)
    nodes = [replace(node, inputs=replaced.get(node.name, node.inputs)) for node in graph.nodes]
    needed, remaining = set(graph.outputs), list[Node]()
    for node in reversed(nodes):
        if node.op == "lstm" or needed.intersection(node.outputs):
            remaining.append(node)
            needed.update(node.inputs)
    return replace(graph, constants=constants, nodes=tuple(reversed(remaining)))


def depends_on_inputs(graph: Graph, value: str) -> bool:
    """Say whether a value is made of the network's inputs, and not of their shapes alone."""
    inputs, waiting, visited = {port.name for port in graph.inputs}, [value], set[str]()
    while waiting:
        name = waiting.pop()
        if name in inputs:
            return True
        node = graph.makers.get(name)
        if node is not None and node.op != "shape" and node.name not in visited:
            visited.add(node.name)
            waiting += node.inputs
    return False


def _relaxed(graph: Graph) -> Graph:
    """Return a graph whose fixed sizes are free where it runs at another size, of which its LSTMs run more steps."""
    if any(port.shape is None for port in graph.inputs):
        return graph
    for place in range(max((len(port.shape or ()) for port in graph.inputs), default=0)):
        if all(len(port.shape or ()) <= place or (port.shape or ())[place] is None for port in graph.inputs):
            continue
        free = replace(graph, inputs=tuple(_freed(port, place) for port in graph.inputs))
        runs = [_zeros_run(free, graph, place, more) for more in (0, 3)]
        if all(item is not None and item.lstms for item in runs):
            sizes = [
                [item.values[node.inputs[0]].shape[:2] for node in graph.nodes if node.op == "lstm"]
                for item in runs
                if item is not None
            ]
            if sizes[0] != sizes[1]:
                graph = free
    return graph


def _freed(port: Input, place: int) -> Input:
    shape = port.shape or ()
    return replace(port, shape=(*shape[:place], None, *shape[place + 1 :])) if place < len(shape) else port


def _zeros_run(free: Graph, graph: Graph, place: int, more: int) -> GraphRun | None:
    """Return a run of zeros with one axis longer than the file says; None if it fails."""
    feeds = {}
    for port in graph.inputs:
        shape = [7 if size is None else size for size in port.shape or ()]
        if place < len(shape):
            shape[place] += more
        feeds[port.name] = np.zeros(shape, port.dtype)
    try:
        return trace(free, feeds, RunLimits.of_probe())
    except GatewiseError:
        return None


def example(
    graph: Graph, axes: Mapping[str, Sequence[str]], steps: int, batch: int, rng: Any = None
) -> dict[str, AnyArray]:
    """Return inputs of so many steps and sequences: zeros, or drawn; OptionError if a size is not known."""
    feeds = {}
    for port in graph.inputs:
        known = axes.get(port.name) or ("",) * len(port.shape or ())
        if port.shape is None:
            raise OptionError(f"the number of axes of the input {shown(port.name, 60)!r} is not known")
        shape = []
        for size, kind in zip(port.shape, known, strict=True):
            length = steps if kind == "time" else batch if kind == "batch" else size
            if length is None:
                raise OptionError(f"a size of the input {shown(port.name, 60)!r} is not known")
            shape.append(length)
        if rng is None:
            drawn = np.zeros(shape)
        else:
            drawn = rng.normal(size=shape) if port.dtype.kind == "f" else rng.integers(0, 2, shape)
        feeds[port.name] = drawn.astype(port.dtype)
    return feeds


# Steps.


@dataclass(frozen=True)
class _Timing:
    """How a value runs along time: at step t its entry t - delay is there; `prefix` has those before the first step."""

    axis: int
    delay: int = 0
    prefix: AnyArray | None = None


class _Steps:
    """Rewrites a graph for one step."""

    def __init__(self, graph: Graph, axes: Mapping[str, Sequence[str]], batch: int) -> None:
        self.graph, self.axes, self.batch = graph, axes, batch
        runs = [trace(graph, example(graph, axes, steps, batch)) for steps in LENGTHS]
        self.long, self.short = (item.values for item in runs)
        self.build = Builder()
        self.build._taken.update(self.long, graph.makers)
        self.timing: dict[str, _Timing] = {}
        self.last = set[str]()  # values of the last step, which have no axis of time
        self.states: list[Carried] = []
        self.names: dict[str, str] = {}  # of values that another has become

    def rewritten(self, finals: frozenset[str]) -> StepGraph:
        """Return the step graph, without outputs among `finals` unless there are no others."""
        graph, build = self.graph, self.build
        for port in graph.inputs:
            if (axis := self._time_axis(port.name, None)) is not None:
                self.timing[port.name] = _Timing(axis)
        build.inputs += graph.inputs
        build.constants |= graph.constants
        for node in graph.nodes:
            if any(name not in self.long for name in node.outputs):
                continue  # of the side of a choice that is not taken
            self._rewrite(node)
        kept = [n for n, value in enumerate(graph.outputs) if value not in finals] or range(len(graph.outputs))
        names = [graph.output_names[n] for n in kept]
        ends = []
        for n in kept:
            value = graph.outputs[n]
            if value in self.timing:
                value = self._aligned(value, 0, f"the output {shown(graph.output_names[n], 60)!r}")
                self._require_every_step(graph.outputs[n], f"the output {shown(graph.output_names[n], 60)!r}")
            ends.append(self.names.get(value, value))
        step, ends = _folded(build, ends, self.states, example(graph, self.axes, 1, self.batch), [*self.names.values()])
        first = trace(step, {**example(graph, self.axes, 1, self.batch), **{s.name: s.initial for s in self.states}})
        time = {graph.output_names[n]: self._axis_of_output(graph.outputs[n]) for n in kept}
        named = (*(port.name for port in graph.inputs), *names)
        batch = {name: _place("batch", self.axes.get(name, ())) for name in named}
        batch |= {graph.output_names[n]: _place("batch", self.axes.get(graph.outputs[n], ())) for n in kept}
        inputs = {port.name: _place("time", self.axes.get(port.name, ())) for port in graph.inputs}
        return StepGraph(
            replace(step, output_names=(*names, *step.output_names[len(names) :])),
            inputs,
            time,
            tuple(self.states),
            batch,
            first,
        )

    def _axis_of_output(self, value: str) -> int | None:
        return self.timing[value].axis if value in self.timing else None

    def _time_axis(self, name: str, node: Node | None) -> int | None:
        """Return the axis along which a value has another size in the shorter run; None if there is none."""
        pairs = list(zip(self.long[name].shape, self.short[name].shape, strict=True))
        changed = [(place, a - b) for place, (a, b) in enumerate(pairs) if a != b]
        if not changed:
            return None
        title = node.title if node is not None else f"the input {shown(name, 60)!r}"
        if len(changed) > 1:
            raise OptionError(f"{title} relates steps to all others: the network is not causal")
        place, difference = changed[0]
        if difference not in (LENGTHS[0] - LENGTHS[1], self.batch * (LENGTHS[0] - LENGTHS[1])):
            raise OptionError(f"{title} does not give one value for each step")
        return place

    def _rewrite(self, node: Node) -> None:
        """Add what a node does in one step."""
        timed = [name for name in node.inputs if name in self.timing]
        tail = self.last.intersection(node.inputs)
        results = {name: self._time_axis(name, node) for name in node.outputs}
        if node.op == "shape" or not (timed or tail):
            for name, axis in results.items():
                if axis is not None:
                    self.timing[name] = _Timing(axis)
            return self._add(node)
        if timed and tail:
            raise OptionError(f"{node.title} reads the last step beside every step: the network is not causal")
        if tail:
            if any(axis is not None for axis in results.values()):
                raise OptionError(f"{node.title} gives the last step to every step: the network is not causal")
            self.last.update(node.outputs)
            return self._add(node)
        if node.op == "lstm":
            return self._lstm(node)
        first = self.timing[timed[0]]
        if node.op in WINDOWED and first.axis >= 2:
            return self._window(node, first)
        if node.op == "pad" and (pads := self._pads(node)) is not None and any(pads[first.axis :: len(pads) // 2]):
            return self._pad(node, first, pads)
        if node.op == "slice" and self._slices_time(node, first):
            return self._slice(node, first)
        if node.op in ("gather", "split", "chunk", "concat", "cumsum", "flip", "softmax", "log_softmax"):
            axis = node.settings.get("axis", first.axis if node.op == "flip" else None)
            rank = self.long[timed[0]].ndim
            along = axis is not None and timed[0] == node.inputs[0] and axis % rank == first.axis
            if node.op == "flip":
                along = first.axis in [item % rank for item in node.settings["axes"]]
            if node.op == "concat":
                along = axis % rank == first.axis
            if along:
                return self._along_time(node, first, results)
        if node.op.startswith(("reduce_", "arg")) or node.op in ("normalise", "squeeze"):
            self._require_not_along(node, first, timed[0])
        if all(axis is None for axis in results.values()):
            raise OptionError(f"{node.title} needs all steps at once: the network is not causal")
        delay = max(self.timing[name].delay for name in timed)
        inputs = [self._aligned(name, delay, node.title) if name in self.timing else name for name in node.inputs]
        prefix = None if delay >= 0 else self._prefix_of(node, delay)
        for name, axis in results.items():
            if axis is not None:
                self.timing[name] = _Timing(axis, delay, prefix)
        self._add(node, inputs)
        return None

    def _prefix_of(self, node: Node, delay: int) -> AnyArray:
        """Return the values that a node makes of the entries before the first step."""
        arrays = []
        for name in node.inputs:
            timing = self.timing.get(name)
            array = self.graph.constants.get(name)
            if timing is not None and timing.prefix is not None:
                length = timing.prefix.shape[timing.axis]
                array = timing.prefix.take(range(length + delay, length), timing.axis)
            if array is None and name:
                raise OptionError(f"{node.title} joins padding with other values, so the network cannot be streamed")
            arrays.append(array)
        return evaluate(node, arrays, RunLimits(0, 0))[0]

    def _add(self, node: Node, inputs: Sequence[str] | None = None) -> None:
        read = tuple(self.names.get(name, name) for name in (node.inputs if inputs is None else inputs))
        self.build.nodes.append(replace(node, inputs=read))

    def _state(self, initial: AnyArray, stem: str, lstm: str = "") -> tuple[str, str]:
        """Add a state, and return the names of what it is before and after the step."""
        name = self.build.fresh(f"{stem}.state" if not lstm else stem)
        following = self.build.fresh(f"{name}.next")
        self.build.inputs.append(Input(name, initial.shape, initial.dtype))
        self.states.append(Carried(name, following, initial, lstm))
        return name, following

    def _joined(self, value: str, timing: _Timing, length: int) -> str:
        """Return a value with the `length` entries before it, which become a state."""
        read = self.names.get(value, value)
        shape = list(self.long[value].shape)
        shape[timing.axis] = length
        initial = np.zeros(shape, self.long[value].dtype)
        if timing.prefix is not None:
            there = min(length, timing.prefix.shape[timing.axis])
            places = [slice(None)] * initial.ndim
            places[timing.axis] = slice(length - there, None)
            ends = timing.prefix.take(range(-there, 0), timing.axis) if there else initial
            initial[tuple(places)] = ends
        before, following = self._state(initial, value)
        build = self.build
        joined = build.add("concat", before, read, axis=timing.axis, name=build.fresh(f"{value}.joined"))
        self._part(joined, timing.axis, -length, np.iinfo(np.int64).max, following)
        return str(joined)

    def _part(self, value: str, axis: int, start: int, end: int, name: str) -> str:
        bounds = [np.array([number], np.int64) for number in (start, end, axis, 1)]
        read = [self.build.constant(bound) for bound in bounds]
        self.build.nodes.append(Node(name, "slice", (value, *read), (name,)))
        return name

    def _aligned(self, value: str, delay: int, title: str) -> str:
        """Return a value delayed to another's delay; what comes too late is refused."""
        timing = self.timing[value]
        wait = delay - timing.delay
        if wait < 0:
            raise OptionError(f"{title} needs {-wait} later steps: the network is not causal")
        if wait == 0:
            return value
        joined = self._joined(value, timing, wait)
        return self._part(joined, timing.axis, 0, -wait, self.build.fresh(f"{value}.delayed"))

    def _require_every_step(self, value: str, title: str) -> None:
        axis = self.timing[value].axis
        lengths = [item[value].shape[axis] for item in (self.long, self.short)]
        if lengths[0] % LENGTHS[0] or lengths[1] % LENGTHS[1]:
            raise OptionError(f"{title} has {lengths[0]} values for {LENGTHS[0]} steps")

    def _require_not_along(self, node: Node, timing: _Timing, value: str) -> None:
        """Refuse a reduction over time."""
        rank, axes = self.long[value].ndim, node.settings.get("axes", node.settings.get("axis"))
        if node.op == "squeeze" and axes is None:
            return
        along = range(rank) if axes is None else [item % rank for item in np.ravel(axes)]
        if timing.axis in along:
            raise OptionError(f"{node.title} needs all steps at once: the network is not causal")

    def _lstm(self, node: Node) -> None:
        """Add one step of an LSTM from its state."""
        lstm: LSTM = node.settings["lstm"]
        x, h, c, valid = (*node.inputs, "", "", "")[:4]
        if lstm.directions != ("forward",):
            raise OptionError(f"{node.title} runs from the last step to the first: the network is not causal")
        if valid or x not in self.timing or self.timing[x].axis != 0:
            raise OptionError(
                f"{node.title} {'has sequences of unequal lengths' if valid else 'has no steps of its own'}"
            )
        self._require_every_step(x, node.title)
        if self.long[x].shape[0] != LENGTHS[0]:
            raise OptionError(f"{node.title} takes several values for each step")
        read, batch = self._aligned(x, 0, node.title), self.long[x].shape[1]
        names = []
        for value, width, part in ((h, lstm.layers[0][0].recurrent_size, "h"), (c, lstm.layers[0][0].hidden_size, "c")):
            if value and (value in self.timing or depends_on_inputs(self.graph, value)):
                raise OptionError(
                    f"{node.title} starts from a state that the network computes, so the network cannot be streamed"
                )
            dtype = self.long[node.outputs[0]].dtype
            start = self.long[value].astype(dtype) if value else np.zeros((), dtype)
            names.append(
                self._state(np.broadcast_to(start, (1, batch, width)).copy(), f"{node.name}.{part}0", node.name)
            )
        self._add(node, (read, names[0][0], names[1][0]))
        for (_, following), value in zip(names, node.outputs[1:], strict=False):
            self.build.nodes.append(Node(following, "identity", (value,), (following,)))
        self.timing[node.outputs[0]] = _Timing(0)
        self.last.update(node.outputs[1:])

    def _window(self, node: Node, timing: _Timing) -> None:
        """Add a convolution or a pool over the steps before and this one."""
        place = timing.axis - 2
        kernel = node.settings["kernel"] if "kernel" in node.settings else self.long[node.inputs[1]].shape[2:]
        reach = node.settings["dilations"][place] * (kernel[place] - 1)
        if node.settings["strides"][place] != 1:
            raise OptionError(f"{node.title} does not give one value for each step")
        if any(name in self.timing for name in node.inputs[1:]):
            raise OptionError(f"{node.title} has a kernel that changes with the steps")
        x = node.inputs[0]
        joined = self._joined(x, timing, reach) if reach else x
        delay, prefix = timing.delay + reach, None
        if delay < 0 and timing.prefix is not None:
            arrays = [timing.prefix, *(self.graph.constants.get(name) for name in node.inputs[1:])]
            prefix = evaluate(node, arrays, RunLimits(0, 0))[0]
        self.timing[node.outputs[0]] = _Timing(timing.axis, delay, prefix)
        self._add(node, (joined, *node.inputs[1:]))

    def _pads(self, node: Node) -> list[int] | None:
        array = self.long.get(node.inputs[1])
        return None if array is None else [int(item) for item in array]

    def _pad(self, node: Node, timing: _Timing, pads: list[int]) -> None:
        """Take padding before the first step as what was there, and leave out that after the last."""
        half, axis = len(pads) // 2, timing.axis
        before = pads[axis]
        if node.settings.get("mode", "constant") != "constant" or before < 0:
            raise OptionError(f"{node.title} pads the steps with some of their values, or cuts them off")
        other = [0 if place % half == axis else width for place, width in enumerate(pads)]
        name = self.build.constant(np.array(other, np.int64))
        rest = replace(node, inputs=(self.names.get(node.inputs[0], node.inputs[0]), name, *node.inputs[2:]))
        self.build.nodes.append(rest)
        prefix = timing.prefix
        if before:
            shape = list(self.long[node.outputs[0]].shape)
            shape[axis] = before
            value = (
                self.graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(())
            )
            if value is None:
                raise OptionError(f"{node.title} pads the steps with a value that the network computes")
            filling = np.full(shape, value.reshape(()), self.long[node.outputs[0]].dtype)
            prefix = filling if prefix is None else np.concatenate([filling, prefix], axis)
        self.timing[node.outputs[0]] = _Timing(axis, timing.delay - before, prefix)

    def _places(self, node: Node, axis: int, values: Mapping[str, AnyArray]) -> AnyArray:
        """Return the steps that a slice or a gather along time takes of those in a run, in order."""
        x = values[node.inputs[0]]
        places = np.arange(x.shape[axis]).reshape([-1 if n == axis else 1 for n in range(x.ndim)])
        arrays = [np.broadcast_to(places, x.shape), *(values.get(name) for name in node.inputs[1:])]
        taken = evaluate(node, arrays, RunLimits(0, 0))[0]
        return np.array(list(dict.fromkeys(taken.reshape(-1).tolist())))

    def _slices_time(self, node: Node, timing: _Timing) -> bool:
        rank = self.long[node.inputs[0]].ndim
        return timing.axis in [int(item) % rank for item in self.long[node.inputs[3]]]

    def _slice(self, node: Node, timing: _Timing) -> None:
        """Take a part of the steps: all from one on, all up to one, or the last."""
        taken = [self._places(node, timing.axis, values) for values in (self.long, self.short)]
        sizes = [values[node.inputs[0]].shape[timing.axis] for values in (self.long, self.short)]
        if all(len(places) == 1 and places[0] == size - 1 for places, size in zip(taken, sizes, strict=True)):
            return self._last(node, timing)
        long, short = taken
        if (
            not len(long)
            or long[0] != short[0]
            or (np.diff(long) != 1).any()
            or len(long) - len(short) != LENGTHS[0] - LENGTHS[1]
        ):
            raise OptionError(f"{node.title} takes some of the steps: the network cannot be streamed")
        start, keep = int(long[0]), np.iinfo(np.int64).max
        axes = [int(item) % self.long[node.inputs[0]].ndim for item in self.long[node.inputs[3]]]
        bounds = []
        for name, whole in zip(node.inputs[1:3], (0, keep), strict=True):
            array = self.long[name].copy()
            array[axes.index(timing.axis)] = whole
            bounds.append(self.build.constant(array))
        self._add(node, (node.inputs[0], *bounds, *node.inputs[3:]))
        prefix = timing.prefix
        if prefix is not None:
            prefix = prefix.take(range(min(start, prefix.shape[timing.axis]), prefix.shape[timing.axis]), timing.axis)
        self.timing[node.outputs[0]] = _Timing(timing.axis, timing.delay + start, prefix)
        return None

    def _last(self, node: Node, timing: _Timing) -> None:
        """Take the step that is there as the last."""
        self._require_every_step(node.inputs[0], node.title)
        self._add(node, (self._aligned(node.inputs[0], 0, node.title), *node.inputs[1:]))
        self.last.update(node.outputs)

    def _along_time(self, node: Node, timing: _Timing, results: Mapping[str, int | None]) -> None:
        """Add a gather of the last step, or running sums; everything else along time is refused."""
        x = node.inputs[0]
        if node.op == "gather" and node.inputs[1] not in self.timing:
            taken = [self._places(node, timing.axis, values) for values in (self.long, self.short)]
            sizes = [values[x].shape[timing.axis] for values in (self.long, self.short)]
            if all(len(places) == 1 and places[0] == size - 1 for places, size in zip(taken, sizes, strict=True)):
                index = self.build.constant(np.zeros_like(self.long[node.inputs[1]]))
                return self._last(replace(node, inputs=(x, index)), timing)
            raise OptionError(f"{node.title} takes some of the steps: the network cannot be streamed")
        if node.op == "cumsum" and not node.settings.get("reverse") and timing.delay == 0:
            shape = list(self.long[x].shape)
            shape[timing.axis] = 1
            before, following = self._state(np.zeros(shape, self.long[x].dtype), x)
            read = self.names.get(x, x)
            self.build.nodes.append(Node(following, "add", (before, read), (following,)))
            y = before if node.settings.get("exclusive") else following
            self.build.nodes.append(Node(node.name, "identity", (y,), node.outputs))
            self.timing[node.outputs[0]] = _Timing(timing.axis)
            return None
        if node.op == "concat":
            earlier, value = node.inputs[:-1], node.inputs[-1]
            arrays = [self.graph.constants.get(name) for name in earlier]
            if value in self.timing and all(array is not None for array in arrays):
                prefix = np.concatenate([array for array in arrays if array is not None], timing.axis)
                inner = self.timing[value]
                shape = list(self.long[value].shape)
                shape[inner.axis] = prefix.shape[inner.axis]
                there = [np.broadcast_to(prefix, shape), *([] if inner.prefix is None else [inner.prefix])]
                joined = np.concatenate(there, inner.axis)
                self.timing[node.outputs[0]] = _Timing(inner.axis, inner.delay - prefix.shape[inner.axis], joined)
                self.build.nodes.append(
                    Node(node.name, "identity", (self.names.get(value, value),), node.outputs, {}, node.layer)
                )
                return None
        raise OptionError(f"{node.title} needs steps that are not there yet: the network is not causal")


def _place(kind: str, axes: Sequence[str]) -> int | None:
    return list(axes).index(kind) if kind in axes else None


def _folded(
    build: Builder, ends: Sequence[str], states: Sequence[Carried], inputs: Mapping[str, AnyArray], _: Sequence[str]
) -> tuple[Graph, list[str]]:
    """Return the graph of one step in which everything is an array that does not depend on numbers of the inputs."""
    outputs = (*ends, *(state.following for state in states))
    draft = Graph(tuple(build.inputs), build.constants, tuple(build.nodes), outputs)
    values = trace(draft, {**inputs, **{state.name: state.initial for state in states}}).values
    constants, nodes, same = dict(draft.constants), list[Node](), dict[str, str]()
    for node in draft.nodes:
        if node.outputs[0] not in values:
            continue
        read = tuple(same.get(name, name) for name in node.inputs)
        if node.op == "choose" and read[0] in constants:
            same[node.outputs[0]] = read[1 if constants[read[0]].all() else 2]
        elif node.op == "identity":
            same[node.outputs[0]] = read[0]
        elif node.op == "shape" or all(not name or name in constants for name in read):
            constants |= {name: values[name] for name in node.outputs}
        else:
            nodes.append(replace(node, inputs=read))
    ends = [same.get(name, name) for name in outputs]
    needed, remaining = set(ends), list[Node]()
    for node in reversed(nodes):
        if needed & set(node.outputs):
            remaining.append(node)
            needed.update(node.inputs)
    constants = {name: array for name, array in constants.items() if name in needed}
    graph = Graph(draft.inputs, constants, tuple(reversed(remaining)), tuple(ends), outputs)
    return graph, ends


# The comparison.


def _compared(graph: Graph, axes: Mapping[str, Sequence[str]], stepped: StepGraph, batch: int) -> StepGraph:
    """Return a step graph with examples; refuse one that is not what whole runs compute, at two lengths."""
    count, examples = len(stepped.outputs), []
    for steps in LENGTHS:
        feeds = example(graph, axes, steps, batch, np.random.default_rng(steps))
        runs = dict(zip(graph.output_names, run(graph, feeds), strict=True))
        states, results = stepped.initial, []
        for step in range(steps):
            parts = {
                name: array if (axis := stepped.inputs[name]) is None else array.take([step], axis)
                for name, array in feeds.items()
            }
            values = run(stepped.graph, {**parts, **states})
            results.append(values[:count])
            states = dict(zip(states, values[count:], strict=True))
        ours = []
        for place, axis in enumerate(stepped.outputs.values()):
            rows = [row[place] for row in results]
            ours.append(rows[-1] if axis is None else np.concatenate(rows, axis))
        examples.append((feeds, tuple(runs[name] for name in stepped.outputs)))
        require_whole_run(stepped, ours, examples[-1][1])
    return replace(stepped, examples=tuple(examples))


def require_whole_run(stepped: StepGraph, ours: Sequence[AnyArray], expected: Sequence[AnyArray]) -> None:
    """Refuse outputs of single steps that are not those of a whole run; what has no steps is that of its last."""
    for name, mine, theirs in zip(stepped.outputs, ours, expected, strict=True):
        largest = float(np.abs(theirs).max(initial=1)) if theirs.dtype.kind == "f" else 0
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=0, atol=CLOSE * largest, equal_nan=True):
            raise OptionError(
                f"the output {shown(name, 60)!r} of single steps is not that of a whole run: it depends on later"
                " steps, or on how many there are"
            )
