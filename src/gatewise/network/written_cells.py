"""LSTM cells that a graph spells out in elementary operations, put back as LSTM nodes, so that they can be traced.

Steps that follow one another become one node of as many steps. Where nothing matches, the graph stays as it is; where
something does, a run of both graphs must give the same numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError
from gatewise.layers import LSTM
from gatewise.network.graph import Graph, Input, Node
from gatewise.network.graph_axes import SIZES
from gatewise.network.limits import PROBE_NUMBERS, RunLimits
from gatewise.network.operations import AnyArray
from gatewise.network.running import trace
from gatewise.parameters import Parameters

# Operations whose output has as many axes as their first input.
KEEPING = {"linear", "sigmoid", "tanh", "relu", "slice", "split", "chunk", "transpose", "cast", "identity", "concat"}
STEP = Counter(stack=1, unsqueeze=2, lstm=1, gather=1, squeeze=1)  # the nodes of one step of an LSTM
MAX_TERMS = 16  # of the sum in a gate
MAX_CELLS = 5_000
CLOSE = 1e-4  # of the largest number, between the two graphs


class Factor(NamedTuple):
    """What a product multiplies: a value, or one place of an axis of it."""

    value: str
    place: int | None = None
    axis: int = 0


Sum = tuple[dict[Factor, Array], AnyArray]  # products with constant weights, and a bias


@dataclass(frozen=True, eq=False)
class CellStep:
    """One step of a cell: the weights of what it reads (4, hidden, ·), its bias, and its values by name.

    `h` is None where the previous hidden state is zeros, so that its weights are not seen. `flat` says that its
    values are known to have the axes (batch, feature).
    """

    weights: Mapping[Factor, Array]
    bias: Array
    h: Factor | None
    c: str
    new_h: str
    new_c: str
    flat: bool

    @property
    def x(self) -> Factor:
        """The input of the step."""
        return next(source for source in self.weights if source != self.h)


def with_lstm_nodes(graph: Graph) -> Graph:
    """Return a graph in which written-out LSTM cells are LSTM nodes; the graph itself if there are none."""
    counts = Counter(node.op for node in graph.nodes)
    if not (counts["sigmoid"] >= 3 and counts["tanh"] >= 2) or counts["tanh"] > 2 * MAX_CELLS:
        return graph
    try:
        runs = list(_Finder(graph).runs())
        if not runs:
            return graph
        result = _rewritten(graph, runs)
        flat = all(step.flat for run in runs for step in run)
        same = all(_same_steps(graph, result, run) for run in runs) if flat else _same(graph, result)
    except (GatewiseError, ValueError, IndexError, TypeError):  # it only resembles cells
        return graph
    return result if same else graph


class _Finder:
    """Finds the steps of cells in a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.makers, self.constants = graph, graph.makers, graph.constants
        self._sums: dict[str, Sum | None] = {}
        self.ranks = _ranks(graph)

    def made_by(self, name: str, *ops: str) -> Node | None:
        node = self.makers.get(name)
        return node if node is not None and node.op in ops and len(node.outputs) >= 1 else None

    def factors(self, name: str, op: str) -> Iterator[tuple[str, str]]:
        """Yield the two inputs of a sum or a product, in both orders."""
        if (node := self.made_by(name, op)) is not None:
            yield from permutations(node.inputs)

    def step(self, end: Node) -> CellStep | None:
        """Return the step of a cell whose hidden state this product is; None if it is none."""
        for o, squashed in self.factors(end.outputs[0], "mul"):
            if (tanh := self.made_by(squashed, "tanh")) is None or self.made_by(o, "sigmoid") is None:
                continue
            new_c = tanh.inputs[0]
            for kept, written in self.factors(new_c, "add"):
                for (f, c), (i, g) in product(self.factors(kept, "mul"), self.factors(written, "mul")):
                    gates = [self.made_by(name, "sigmoid") for name in (i, f)]
                    gates += [self.made_by(g, "tanh"), self.made_by(o, "sigmoid")]
                    if all(gate is not None for gate in gates):
                        sums = [gate.inputs[0] for gate in gates if gate is not None]
                        if (cell_step := self.of_gates(sums, c, end.outputs[0], new_c)) is not None:
                            return cell_step
        return None

    def of_gates(self, sums: Sequence[str], c: str, new_h: str, new_c: str) -> CellStep | None:
        """Return the step whose gates have these sums, in the order input gate, forget gate, candidate, output gate."""
        terms = [self.terms(name) for name in sums]
        if any(term is None for term in terms):
            return None
        weights = [term[0] for term in terms if term is not None]
        biases = [term[1] for term in terms if term is not None]
        sources = list(dict.fromkeys(source for term in weights for source in term))
        if not 1 <= len(sources) <= 2 or any(term.keys() != set(sources) for term in weights):
            return None
        try:
            stacked = {source: np.stack([term[source] for term in weights]) for source in sources}
            bias = np.stack([np.broadcast_to(term, (len(weights[0][sources[0]]),)) for term in biases])
        except ValueError:
            return None
        h = self.recurrent(stacked, c) if len(sources) == 2 else None
        if len(sources) == 2 and h is None:
            return None
        return CellStep(stacked, bias, h, c, new_h, new_c, self.ranks.get(sums[0]) == 2)

    def recurrent(self, weights: Mapping[Factor, Array], c: str) -> Factor | None:
        """Return the hidden state of two inputs: it has a square matrix, and comes from where the cell state does."""
        square = [source for source, array in weights.items() if array.shape[1] == array.shape[2]]
        if len(square) < 2:
            return square[0] if square else None
        origin = self.origin(c)
        return next(
            (source for source in square if source.place is None and self.origin(source.value) == origin), square[0]
        )

    def origin(self, name: str) -> str:
        """Return where a state comes from: the cell that made it, or what it is a part of."""
        node = self.makers.get(name)
        if node is None:
            return "constant" if name in self.constants else name
        if node.op == "mul" and (
            tanh := next(filter(None, (self.made_by(read, "tanh") for read in node.inputs)), None)
        ):
            return tanh.inputs[0]  # of h, the new c
        if node.op in ("gather", "slice", "squeeze", "split", "chunk", "unsqueeze", "expand", "fill"):
            return node.inputs[0]
        return name

    def terms(self, name: str, *, cut: bool = False) -> Sum | None:
        """Return a sum as products with constant weights (rows, ·), and a bias; None if it is something else.

        `cut` says that it is a part of a larger one, which is not a part of another.
        """
        if name not in self._sums:
            self._sums[name] = self._terms(name, cut)
        return self._sums[name]

    def _terms(self, name: str, cut: bool) -> Sum | None:
        weights: dict[Factor, Array] = {}
        bias: AnyArray = np.zeros((), np.float32)
        waiting: list[tuple[str, Factor | None]] = [(name, None)]
        for _ in range(MAX_TERMS):
            if not waiting:
                break
            value, taken = waiting.pop()
            node = self.makers.get(value)
            if value in self.constants:
                if (row := _row(self.constants[value])) is None:
                    return None
                bias = bias + row
            elif node is None:
                return None
            elif node.op == "add":
                waiting += [(read, taken) for read in node.inputs]
            elif node.op in ("linear", "matmul") and node.inputs[1] in self.constants:
                weight = self.constants[node.inputs[1]]
                weight = weight.T if node.op == "matmul" else weight
                source = Factor(node.inputs[0]) if taken is None else taken._replace(value=node.inputs[0])
                if weight.ndim != 2 or source in weights:
                    return None
                weights[source] = weight
                if node.inputs[2:]:
                    if (row := _row(self.constants.get(node.inputs[2]))) is None:
                        return None
                    bias = bias + row
            elif taken is None and node.op in ("split", "chunk", "slice"):
                part, whole = self.part(node, value), None if cut else self.terms(node.inputs[0], cut=True)
                if part is None or whole is None or len({len(weight) for weight in whole[0].values()}) != 1:
                    return None
                rows = part(len(next(iter(whole[0].values()))))
                if weights.keys() & whole[0].keys():
                    return None
                weights |= {source: weight[rows] for source, weight in whole[0].items()}
                bias = bias + (whole[1][rows] if whole[1].ndim else whole[1])
            elif node.op == "gather" and taken is None and (place := self.constants.get(node.inputs[1])) is not None:
                if place.ndim or place.dtype.kind not in "iu":
                    return None
                waiting.append((node.inputs[0], Factor("", int(place), node.settings["axis"])))
            else:
                return None
        return (weights, bias) if weights and not waiting else None

    def part(self, node: Node, output: str) -> Any:
        """Return a function from the number of rows to those that an output of a Split or Slice takes; or None."""
        last = (-1, self.ranks.get(node.inputs[0], 2) - 1)
        if node.op == "chunk" and node.settings["axis"] in last:
            count, place = node.settings["count"], node.outputs.index(output)
            return lambda rows: slice(place * -(-rows // count), (place + 1) * -(-rows // count))
        arrays = [self.constants.get(name) for name in node.inputs[1:]]
        if any(array is None for array in arrays):
            return None
        if node.op == "split" and node.settings["axis"] in last:
            ends = np.cumsum(arrays[0]).tolist()  # type: ignore[arg-type]
            place = node.outputs.index(output)
            return lambda rows: slice([0, *ends][place], ends[place])
        if node.op == "slice" and all(array.size == 1 for array in arrays if array is not None):
            start, end, axis, step = (int(array.item()) for array in arrays if array is not None)
            return (lambda rows: slice(start, end)) if axis in last and step == 1 else None
        return None

    def runs(self) -> Iterator[list[CellStep]]:
        """Yield the steps of each LSTM, one after another."""
        ends = [node for node in self.graph.nodes if node.op == "mul"]
        steps = [cell_step for node in ends if (cell_step := self.step(node)) is not None]
        follower = {step.c: step for step in reversed(steps)}
        numbers = {step.new_h: number for number, step in enumerate(steps)}
        readers = Counter(name for node in self.graph.nodes for name in node.inputs) + Counter(self.graph.outputs)
        depends = self._dependencies(steps)
        taken = set[str]()
        for number, first in enumerate(steps):
            if first.new_h in taken:
                continue
            run, bits = [first], 1 << number
            while True:
                last = run[-1]
                after = follower.get(last.new_c)
                follows = (
                    after is not None
                    and after.h == Factor(last.new_h)
                    and readers[last.new_c] == 2  # the next step, and the tanh of this one
                    and not depends.get(after.x.value, 0) & bits
                    and _same_weights(after, run)
                )
                if after is None or not follows:
                    break
                run.append(after)
                bits |= 1 << numbers[after.new_h]
            if any(step.h is not None for step in run):
                taken.update(step.new_h for step in run)
                yield run

    def _dependencies(self, steps: Sequence[CellStep]) -> dict[str, int]:
        """Return for each value a bit for every step that it depends on."""
        own = {name: 1 << number for number, step in enumerate(steps) for name in (step.new_h, step.new_c)}
        bits_of: dict[str, int] = {}
        for node in self.graph.nodes:
            bits = 0
            for name in node.inputs:
                bits |= bits_of.get(name, 0)
            for name in node.outputs:
                if total := bits | own.get(name, 0):
                    bits_of[name] = total
        return bits_of


def _ranks(graph: Graph) -> dict[str, int]:
    """Return the number of axes of each value of which it is plain."""
    ranks = {name: array.ndim for name, array in graph.constants.items()}
    ranks |= {port.name: len(port.shape) for port in graph.inputs if port.shape is not None}
    for node in graph.nodes:
        read = [ranks.get(name) for name in node.inputs]
        rank = read[0] if read else None
        if rank is None and node.op in ("split", "chunk") and node.settings["axis"] == 1 and len(node.outputs) == 4:
            rank = ranks[node.inputs[0]] = 2  # of a last axis, where it cuts gates
        elif rank is None:
            continue
        elif node.op in ("squeeze", "unsqueeze") and node.settings["axes"] is not None:
            rank += len(node.settings["axes"]) * (1 if node.op == "unsqueeze" else -1)
        elif node.op == "gather" and read[1] is not None:
            rank += read[1] - 1
        elif node.op in ("add", "mul", "sub") and read[1] is not None:
            rank = max(rank, read[1])
        elif node.op not in KEEPING:
            continue
        ranks |= dict.fromkeys(node.outputs, rank)
    return ranks


def _row(array: AnyArray | None) -> AnyArray | None:
    """Return a bias on one axis; of several equal rows, one. None if it is none."""
    if array is None or array.dtype.kind != "f":
        return None
    if array.ndim > 1:
        rows = array.reshape(-1, array.shape[-1])
        if not len(rows) or (rows != rows[0]).any():
            return None
        array = rows[0]
    return array


def _same_weights(step: CellStep, run: Sequence[CellStep]) -> bool:
    """Say whether a step has the weights of the steps before it; those of a first one from zeros are partly unseen."""
    pairs = [(step.weights[step.x], other.weights[other.x]) for other in run[:1]]
    pairs += [(step.bias, other.bias) for other in run[:1]]
    other = run[-1]
    if step.h is not None and other.h is not None:
        pairs.append((step.weights[step.h], other.weights[other.h]))
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in pairs)


@dataclass(frozen=True)
class WrittenStep:
    """A graph that is one step of an LSTM: its LSTM, and which of its two states is the hidden one."""

    lstm: LSTM
    h: int


def step_of_body(body: Graph, states: int) -> WrittenStep | None:
    """Return the step of an LSTM that a graph is: of two states and an input, it returns the states, and h again."""
    joined = with_lstm_nodes(body)
    nodes = {node.op: node for node in joined.nodes if node.op != "identity"}
    if joined is body or states != 2 or Counter(node.op for node in joined.nodes if node.op != "identity") != STEP:
        return None
    lstm, end, last = nodes["lstm"], nodes["gather"].outputs[0], nodes["squeeze"].outputs[0]
    starts = [joined.makers[name].inputs[0] if name else "" for name in lstm.inputs[1:3]]
    names = [port.name for port in body.inputs]
    if sorted(starts) != sorted(names[:2]) or joined.makers[lstm.inputs[0]].inputs != (names[2],):
        return None
    h = names.index(starts[0])
    ends = [end, last] if h == 0 else [last, end]
    outputs = [_named_first(joined, name) for name in body.outputs]
    if outputs[:2] != ends or any(name != end for name in outputs[2:]):
        return None
    return WrittenStep(lstm.settings["lstm"], h)


def _named_first(graph: Graph, name: str) -> str:
    """Return the value that another is the identity of."""
    while (node := graph.makers.get(name)) is not None and node.op == "identity":
        name = node.inputs[0]
    return name


# Rewriting.


def _rewritten(graph: Graph, runs: Sequence[Sequence[CellStep]]) -> Graph:
    """Return a graph in which the steps of each LSTM are one node."""
    taken = {one.name for one in graph.inputs} | graph.constants.keys() | graph.makers.keys()
    taken |= {node.name for node in graph.nodes}
    nodes = {node.name: node for node in graph.nodes}
    constants = dict(graph.constants)
    lstms: list[tuple[list[AnyArray], LSTM]] = []

    def fresh(stem: str) -> str:
        name, number = stem, 1
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        return name

    def add(stem: str, op: str, inputs: Sequence[str], layer: str, **settings: Any) -> Node:
        name = fresh(stem)
        outputs = (name, fresh(f"{name}.h"), fresh(f"{name}.c")) if op == "lstm" else (name,)
        nodes[name] = Node(name, op, tuple(inputs), outputs, settings, layer)
        return nodes[name]

    def constant(stem: str, value: Any) -> str:
        name = fresh(stem)
        constants[name] = np.asarray(value)
        return name

    for run in runs:
        lstm = _lstm_of(run, lstms)
        layer = graph.makers[run[0].new_h].layer or graph.makers[run[0].new_h].name
        stem = layer.rpartition("/")[0] or "lstm"
        steps = []
        for step in run:
            value = step.x.value
            if step.x.place is not None:
                place = constant(f"{stem}.place", np.int64(step.x.place))
                value = add(f"{stem}.x", "gather", [value, place], stem, axis=step.x.axis).outputs[0]
            steps.append(value)
        sequence = add(f"{stem}.steps", "stack", steps, stem, axis=0)
        states = [
            ""
            if name is None or _is_zeros(graph, name)
            else add(f"{stem}.start", "unsqueeze", [name], stem, axes=(0,)).outputs[0]
            for name in (None if run[0].h is None else run[0].h.value, run[0].c)
        ]
        node = add(stem, "lstm", [sequence.outputs[0], *states], stem, lstm=lstm)
        for number, step in enumerate(run):
            read = node.outputs[0], constant(f"{stem}.place", np.int64(number))
            maker = graph.makers[step.new_h]
            nodes[maker.name] = replace(maker, op="gather", inputs=read, settings={"axis": 0})
        maker = graph.makers[run[-1].new_c]
        nodes[maker.name] = replace(maker, op="squeeze", inputs=(node.outputs[2],), settings={"axes": (0,)})
    return _sorted(replace(graph, nodes=(), constants={}, outputs=()), nodes, constants, graph)


def _is_zeros(graph: Graph, name: str) -> bool:
    return name in graph.constants and not graph.constants[name].any()


def _lstm_of(run: Sequence[CellStep], known: list[tuple[list[AnyArray], LSTM]]) -> LSTM:
    """Return the LSTM of a run of steps: the same one for the same weights."""
    step = next(step for step in run if step.h is not None)
    assert step.h is not None
    arrays = [step.weights[step.h], step.weights[step.x], step.bias]
    for others, lstm in known:
        if all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True)):
            return lstm
    weight = np.concatenate(arrays[:2], axis=2)
    lstm = LSTM.from_cells(Parameters(weight, step.bias.astype(weight.dtype)))
    known.append((arrays, lstm))
    return lstm


def _sorted(empty: Graph, nodes: Mapping[str, Node], constants: Mapping[str, AnyArray], graph: Graph) -> Graph:
    """Return a graph of nodes in an order in which they run, without those that nothing needs."""
    makers = {name: node for node in nodes.values() for name in node.outputs}
    needed = set[str]()
    waiting = [*graph.outputs, *(node.outputs[0] for node in nodes.values() if node.op == "lstm")]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in needed:
            needed.add(node.name)
            waiting += node.inputs
    order = TopologicalSorter(
        {name: [makers[read].name for read in nodes[name].inputs if read in makers] for name in nodes if name in needed}
    )
    kept = [nodes[name] for name in order.static_order()]
    read = {name for node in kept for name in node.inputs} | set(graph.outputs)
    arrays = {name: array for name, array in constants.items() if name in read}
    return replace(empty, nodes=tuple(kept), constants=arrays, outputs=graph.outputs, output_names=graph.output_names)


def _same_steps(graph: Graph, other: Graph, run: Sequence[CellStep]) -> bool:
    """Say whether the steps of one LSTM give the same numbers in two graphs, for inputs and states that are drawn."""
    ends = tuple(name for name in (*(step.new_h for step in run), run[-1].new_c) if name in other.makers)
    start, size = graph.constants.get(run[0].c), run[0].bias.shape[1]
    batch = len(start) if start is not None and start.ndim == 2 and len(start) > 1 else None  # fixed by the file
    shapes: dict[str, tuple[int | None, ...]] = {}
    for step in run:
        if step.x.place is not None:
            return _same(graph, other)
        shapes[step.x.value] = (batch, step.weights[step.x].shape[2])
    first = run[0]
    shapes |= {name: (batch, size) for name in (first.c, "" if first.h is None else first.h.value) if name}
    inputs = tuple(Input(name, shape) for name, shape in shapes.items() if name not in graph.constants)
    cut = []
    for candidate in (graph, other):
        known, needed = {source.name for source in inputs}, set(ends)
        nodes = []
        for node in reversed(candidate.nodes):
            if needed.intersection(node.outputs) and not known.intersection(node.outputs):
                nodes.append(node)
                needed.update(node.inputs)
        arrays = {name: array for name, array in candidate.constants.items() if name in needed}
        cut.append(Graph(inputs, arrays, tuple(reversed(nodes)), ends))
    return _same(*cut)


def _same(graph: Graph, other: Graph) -> bool:
    """Say whether two graphs give the same numbers for an input that is drawn."""
    rng, feeds = np.random.default_rng(0), {}
    for port in graph.inputs:
        if port.shape is None or len(port.shape) > len(SIZES[0]):
            return False
        shape = [SIZES[0][place] if size is None else size for place, size in enumerate(port.shape)]
        if math.prod(max(1, size) for size in shape) > PROBE_NUMBERS:
            return False
        if port.dtype.kind == "f":
            feeds[port.name] = rng.standard_normal(shape).astype(port.dtype)
        else:
            feeds[port.name] = np.zeros(shape, port.dtype)
    try:
        first, second = (trace(candidate, feeds, RunLimits.of_probe()) for candidate in (graph, other))
        pairs = list(zip(first.outputs, second.outputs, strict=True))
    except GatewiseError:
        return False
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=CLOSE, atol=CLOSE * max(1.0, np.abs(a).max(initial=0)))
        for a, b in pairs
    )
