"""Running a graph: its outputs, a trace of every value, the trace repeated with values replaced, and gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.errors import GatewiseError, NotKeptError, OptionError, ShapeError, join_names, shown
from gatewise.network.graph import Graph, Input, Node, charge, evaluate, naming, record
from gatewise.network.limits import Limits, RunLimits
from gatewise.network.operations import FLAT, AnyArray
from gatewise.records.gradients import LSTMGradients
from gatewise.records.trace import LSTMTrace

# Inputs.


def feeds_of(graph: Graph, provided: Sequence[Any], named: Mapping[str, Any]) -> dict[str, AnyArray]:
    """Return the arrays of a graph's inputs, given in order or by name.

    Raise OptionError if one is missing, given twice or unknown, or of a wrong type; ShapeError if its shape is wrong.
    """
    names = [port.name for port in graph.inputs]
    if len(provided) > len(names):
        raise OptionError(f"the network takes {len(names)} inputs ({join_names(names)}), not {len(provided)}")
    by_place = dict(zip(names, provided, strict=False))
    for name in named:
        if name not in names:
            raise OptionError(f"the network has no input {shown(name, 60)!r}; it has {join_names(names)}")
        if name in by_place:
            raise OptionError(f"the input {shown(name, 60)!r} is given twice")
    both = {**by_place, **named}
    if missing := [name for name in names if name not in both]:
        raise OptionError(f"the input {shown(missing[0], 60)!r} is missing; the network takes {join_names(names)}")
    return {item.name: item.read(both[item.name]) for item in graph.inputs}


# Values.


def needed_nodes(graph: Graph, ends: Iterable[str], values: Mapping[str, AnyArray]) -> Iterator[Node]:
    """Yield the nodes that some values need, each after those that it reads.

    Of two values to choose from, the chosen one alone is needed; `values` must have what was computed so far.
    """
    stack, done = [*reversed([*ends])], set[str]()
    while stack:
        node = graph.makers.get(stack[-1])
        if node is None or node.name in done:
            stack.pop()
            continue
        read: tuple[str, ...] = node.inputs
        if node.op == "choose":
            condition = values.get(read[0])
            read = read[:1] if condition is None else (read[0], read[1 if condition.all() else 2])
        if missing := [name for name in read if name in graph.makers and graph.makers[name].name not in done]:
            stack += reversed(missing)
            continue
        done.add(node.name)
        yield node


def run(graph: Graph, feeds: Mapping[str, AnyArray]) -> tuple[AnyArray, ...]:
    """Return the outputs of a graph for its inputs."""
    return run_keeping(graph, feeds)[0]


def run_with(graph: Graph, feeds: Mapping[str, AnyArray], limits: Limits) -> tuple[AnyArray, ...]:
    """Return the outputs of a graph, the body of another, within the limits of that."""
    return run_keeping(graph, feeds, (), limits)[0]


def continued_trace(graph: Graph, feeds: Mapping[str, AnyArray], limits: Limits) -> GraphRun:
    """Return a trace of a graph, the body of another, within the limits of that."""
    return _extended(graph, {**graph.constants, **feeds}, {}, limits)


def run_keeping(
    graph: Graph, feeds: Mapping[str, AnyArray], others: Iterable[str] = (), limits: Limits | None = None
) -> tuple[tuple[AnyArray, ...], dict[str, AnyArray]]:
    """Return the outputs of a graph for its inputs, and those of some `others` that were computed on the way.

    What nothing reads any more is let go.
    """
    limits, extra = limits or limits_of(graph, feeds), set(others)
    values = {**graph.constants, **feeds}
    readers = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs) + Counter(extra)
    for node in needed_nodes(graph, graph.outputs, values):
        values |= zip(node.outputs, evaluate(node, _read(node, values), limits), strict=True)
        for name in node.inputs:
            readers[name] -= 1
            gone = None if readers[name] else values.pop(name, None)
            if gone is not None and isinstance(limits, RunLimits):
                limits.release(gone.size)
    return tuple(values[name] for name in graph.outputs), {name: values[name] for name in extra & values.keys()}


def with_states(graph: Graph, lstms: Sequence[str]) -> Graph:
    """Return a graph in which LSTM nodes start from inputs: of a node ``rnn`` they are ``rnn.h0`` and ``rnn.c0``."""
    inputs, nodes = list(graph.inputs), []
    for node in graph.nodes:
        if node.name in lstms:
            states = (f"{node.name}.h0", f"{node.name}.c0")
            inputs += [Input(name, None, node.settings["lstm"].dtype) for name in states]
            node = replace(node, inputs=(node.inputs[0], *states, *node.inputs[3:]))
        nodes.append(node)
    return replace(graph, inputs=tuple(inputs), nodes=tuple(nodes))


def limits_of(graph: Graph, feeds: Mapping[str, AnyArray]) -> RunLimits:
    """Return the limits of a run."""
    return RunLimits(sum(array.size for array in feeds.values()), graph.num_parameters)


def _read(node: Node, values: Mapping[str, AnyArray]) -> list[AnyArray | None]:
    return [values.get(name) for name in node.inputs]


# Traces.


@dataclass(frozen=True, eq=False, repr=False)
class GraphRun:
    """Every value of a run of a graph, and the trace of every LSTM in it.

    Attributes
    ----------
    graph : Graph
    values : mapping of str to array
        By name, in the axes of the graph; those that could not be computed are missing.
    records : mapping of str to object
        Of nodes that keep one, by their names: the trace of an LSTM, the runs of the steps of a loop.
    refused : mapping of str to GatewiseError
        By the name of a node: why it was not computed.
    """

    graph: Graph
    values: Mapping[str, AnyArray]
    records: Mapping[str, Any]
    refused: Mapping[str, GatewiseError] = field(default_factory=dict)

    @cached_property
    def lstms(self) -> Mapping[str, LSTMTrace]:
        """The trace of each LSTM that ran, by the name of its node."""
        return {name: self.records[name] for name in self.graph.lstms if name in self.records}

    def value(self, name: str) -> AnyArray:
        """Return a value by its name; NotKeptError if the run does not have it."""
        if name in self.values:
            return self.values[name]
        if name not in self.graph.makers:
            raise OptionError(f"the network has no value {shown(name, 60)!r}")
        for node in needed_nodes(self.graph, [name], self.values):
            if node.name in self.refused:
                raise NotKeptError(f"this run has no {shown(name, 60)!r}: {self.refused[node.name]}")
        raise NotKeptError(f"this run did not compute {shown(name, 60)!r}")

    @property
    def outputs(self) -> tuple[AnyArray, ...]:
        """The outputs of the graph."""
        return tuple(self.value(name) for name in self.graph.outputs)


def trace(graph: Graph, feeds: Mapping[str, AnyArray], limits: RunLimits | None = None) -> GraphRun:
    """Run a graph and keep every value, within limits.

    Unknown operations, and what needs their values, are left out: `GraphRun.value` says why.
    """
    values = {**graph.constants, **{name: np.array(array) for name, array in feeds.items()}}
    return _extended(graph, values, {}, limits or limits_of(graph, feeds))


def rerun(before: GraphRun, values: Mapping[str, npt.ArrayLike]) -> GraphRun:
    """Return a run with some values replaced, and everything that depends on them computed again.

    Raise OptionError for an unknown name, ShapeError if an array has another shape than the value that it replaces.
    """
    graph, provided = before.graph, dict[str, AnyArray]()
    for name, value in values.items():
        old = before.value(name)
        provided[name] = np.array(value, old.dtype)
        if provided[name].shape != old.shape:
            raise ShapeError(f"{shown(name, 60)} has shape {provided[name].shape}; it must be {old.shape}")
    changed, values_of_run = set(provided), {**before.values, **provided}
    records = dict(before.records)
    for node in graph.nodes:
        if changed.intersection(node.inputs):
            changed.update(node.outputs)
            records.pop(node.name, None)
            for name in node.outputs:
                if name not in provided:
                    values_of_run.pop(name, None)
    return _extended(
        graph, values_of_run, records, limits_of(graph, {port.name: values_of_run[port.name] for port in graph.inputs})
    )


def _extended(graph: Graph, values: dict[str, AnyArray], records: dict[str, Any], limits: Limits) -> GraphRun:
    """Compute the values and the records that are missing."""
    refused: dict[str, GatewiseError] = {}
    without = set[str]()  # values that cannot be computed
    guarded = _guarded(graph)
    ends = [*graph.outputs, *(node.outputs[0] for node in graph.nodes if node.name not in guarded)]
    fixed = set(values)
    for node in needed_nodes(graph, ends, values):
        missing = [name for name in node.outputs if name not in fixed]
        if not missing and (node.row.record is None or node.name in records):
            continue
        chosen = node.inputs
        if node.op == "choose" and (condition := values.get(node.inputs[0])) is not None:
            chosen = (node.inputs[0], node.inputs[1 if condition.all() else 2])
        if without.intersection(chosen):
            without.update(missing)
            continue
        try:
            if node.row.record is not None:
                results, records[node.name] = record(node, _read(node, values), limits)
            else:
                results = evaluate(node, _read(node, values), limits)
        except (OptionError, ShapeError) as problem:
            if node.op != "unknown":
                raise
            refused[node.name] = problem
            without.update(missing)
            continue
        values |= {name: array for name, array in zip(node.outputs, results, strict=True) if name not in fixed}
    return GraphRun(graph, values, records, refused)


def _guarded(graph: Graph) -> set[str]:
    """Return the nodes that are needed for one side of a choice alone."""
    if not any(node.op == "choose" for node in graph.nodes):
        return set()
    free, result = set(graph.outputs), set[str]()
    read = {name for node in graph.nodes for name in node.inputs}
    for node in reversed(graph.nodes):
        if free.intersection(node.outputs) or read.isdisjoint(node.outputs):
            free.update(node.inputs[:1] if node.op == "choose" else node.inputs)
        else:
            result.add(node.name)
    return result


# Gradients.


@dataclass(frozen=True, eq=False, repr=False)
class GraphGradients:
    """The gradients of a loss with respect to every value of a run.

    Attributes
    ----------
    values : mapping of str to array
        By name: of inputs, of the graph's arrays, and of what its nodes made.
    lstms : mapping of str to LSTMGradients
        By the name of the node: with respect to the parameters of its cells, its input and its initial state.
    """

    values: Mapping[str, AnyArray]
    lstms: Mapping[str, LSTMGradients]

    def __getitem__(self, name: str) -> AnyArray:
        if name not in self.values:
            raise OptionError(f"the loss does not depend smoothly on {shown(name, 60)!r}")
        return self.values[name]


def backward_through(run: GraphRun, gradients: Mapping[str, npt.ArrayLike]) -> GraphGradients:
    """Return the gradients of a loss with respect to every value, given those with respect to some values.

    Raise OptionError if an operation on the way has no gradient, ShapeError if a gradient has a wrong shape.
    """
    graph, result = run.graph, dict[str, AnyArray]()
    for name, gradient in gradients.items():
        value = run.value(name)
        result[name] = np.array(gradient, value.dtype)
        if result[name].shape != value.shape:
            raise ShapeError(
                f"the gradient of {shown(name, 60)} has shape {np.shape(gradient)}; it must be {value.shape}"
            )
    limits = limits_of(graph, {port.name: run.values[port.name] for port in graph.inputs})
    smooth, lstms = _smooth(run), dict[str, LSTMGradients]()
    for node in reversed(graph.nodes):
        if not any(name in result for name in node.outputs) or smooth.isdisjoint(node.inputs):
            continue
        if node.row.vjp is None:
            raise OptionError(f"{node.title} has no gradient")
        arrays = _read(node, run.values)
        with naming(node, arrays), np.errstate(all="ignore"):
            charge(node, arrays, limits)
            g = tuple(result.get(name, np.zeros_like(run.values[name])) for name in node.outputs)
            if node.row.record is not None:
                parts = node.row.vjp(g, run.records[node.name], *arrays, **node.settings)
                if node.op == "lstm":
                    lstms[node.name] = parts[-1]
            else:
                several = len(node.outputs) > 1 or node.op in ("split", "chunk")
                y = tuple(run.values[name] for name in node.outputs)
                parts = node.row.vjp(g if several else g[0], y if several else y[0], *arrays, **node.settings)
        for name, part in zip(node.inputs, parts, strict=False):
            if part is not None and name in smooth:
                result[name] = result[name] + part if name in result else np.asarray(part)
    return GraphGradients(result, lstms)


def _smooth(run: GraphRun) -> set[str]:
    """Return the values that are real numbers and depend smoothly on inputs or arrays of the graph."""
    real = {name for name, value in run.values.items() if value.dtype.kind == "f"}
    result = real.intersection([*run.graph.constants, *(port.name for port in run.graph.inputs)])
    for node in run.graph.nodes:
        if node.row.vjp is not FLAT and not result.isdisjoint(node.inputs):
            result.update(real.intersection(node.outputs))
    return result


def is_affine_after(graph: Graph, name: str, outputs: Sequence[str] | None = None) -> bool:
    """Say whether the outputs of a graph are affine in a value, or in the output of an LSTM node of that name.

    If they are, their gradient with respect to it does not depend on the run's numbers after it.
    """
    moved = {name}
    curved = set[str]()
    for node in graph.nodes:
        hit = [item in moved or item in curved for item in node.inputs]
        if not any(hit) or name in node.outputs or node.op == "shape":
            continue
        bent = not curved.isdisjoint(node.inputs)
        alone = sum(hit) == 1
        kind = node.row.affine
        straight = (
            (kind == "all" and not (node.op == "where" and hit[0]))
            or (kind == "each" and alone)
            or (kind == "first" and alone and hit[0])
        )
        (curved if bent or not straight else moved).update(node.outputs)
    return curved.isdisjoint(graph.outputs if outputs is None else outputs)
