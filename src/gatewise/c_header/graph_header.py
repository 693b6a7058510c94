"""A network that is a graph of operations as a header of C: its step, its test run, and its comment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.c_header.document import LEAST, TIMES, HeaderParts, Interface, TestRun, assembled
from gatewise.c_header.graph_code import GraphCode
from gatewise.errors import OptionError, shown
from gatewise.network.graph import Graph, Node
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.operations import AnyArray
from gatewise.network.running import run
from gatewise.network.step_graph import StepGraph

NUMBERS = 512  # of a test run's input, about


def graph_parts(step: StepGraph, name: str) -> tuple[HeaderParts, GraphCode, TestRun, float]:
    """Return the header of a step but for its comment, its code, the run that it is tested with, and its error.

    The error is that of NumPy's float32 in the run. OptionError names the node that has no form in C.
    """
    step = _in_precision(step, np.float32)
    _require_finite(step)
    code = GraphCode(name, step)
    test, error = _test_run(step, code)
    body = [
        f"    {name.upper()}_ALIGNED {name}_work work;",
        f"    {name}_work *const t = &work;",
        *code.body,
    ]
    turns = any("s->turn" in stage.text for stage in code.stages)
    body += ["    s->turn ^= 1u;"] * turns
    if not any("gates" in line for line in code.body):
        body.append("    (void)gates;")
    initial = code.initial if code.initial.any() else None
    interface = Interface(name, code.inputs, code.outputs, code.gates, code.states, turns, initial, None, test)
    tables = dict(code.tables)
    if initial is not None:
        tables[f"{name}_initial"] = initial
    parts = assembled(interface, code.stages, tables, code.work, body, code.functions, code.places)
    return parts, code, test, error


def signature(network: GraphNetwork, code: GraphCode) -> Iterator[str]:
    """Yield where each input and output is in a step, with its names and units."""
    labels, step = network.labels, code.step
    for letter, values, names in (
        ("x", [(port.name, port.name) for port in step.graph.inputs[: len(step.inputs)]], labels.features),
        ("y", list(zip(step.outputs, step.graph.outputs, strict=False)), labels.outputs),
    ):
        at = 0
        for title, value in values:
            size = code.size(value)
            place = f"{letter}[{at}]" if size == 1 else f"{letter}[{at}..{at + size - 1}]"
            whole = code.types[value].kind in "iu"
            yield f"{place}: {shown(title, 60)}{', whole numbers' * whole}"
            at += size
        if names:
            units = {item.quantity: item.unit for item in labels.measures.values()}
            described = (f"{item} ({units[item]})" if units.get(item) else item for item in names)
            yield f"{'Inputs' if letter == 'x' else 'Outputs'}: {', '.join(described)}"


def _require_finite(step: StepGraph) -> None:
    graph = step.graph
    arrays = [*graph.constants.values()]
    arrays += [a for lstm in graph.lstms.values() for a in lstm.layers[0][0].parameters.arrays().values()]
    if not all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f"):
        raise OptionError("this network has NaN, infinity or numbers beyond float32, which a header cannot hold")


def _in_precision(step: StepGraph, dtype: Any) -> StepGraph:
    """Return a step whose floating-point numbers are all of one type."""

    def converted(array: AnyArray) -> AnyArray:
        return array.astype(dtype) if array.dtype.kind == "f" else array

    nodes = list[Node]()
    for node in step.graph.nodes:
        settings = dict(node.settings)
        if node.op == "lstm":
            settings["lstm"] = settings["lstm"].astype(dtype)
        elif node.op == "cast" and np.dtype(settings["dtype"]).kind == "f":
            settings["dtype"] = np.dtype(dtype).name
        nodes.append(replace(node, settings=settings))
    inputs = tuple(
        replace(port, dtype=np.dtype(dtype) if port.dtype.kind == "f" else port.dtype) for port in step.graph.inputs
    )
    with np.errstate(over="ignore"):
        constants = {name: converted(array) for name, array in step.graph.constants.items()}
    states = tuple(replace(state, initial=converted(state.initial)) for state in step.states)
    graph = replace(step.graph, inputs=inputs, nodes=tuple(nodes), constants=constants)
    return replace(step, graph=graph, states=states)


def _test_run(step: StepGraph, code: GraphCode) -> tuple[TestRun, float]:
    """Return the run that a header is tested with, and the error of NumPy's float32 in it."""
    rng, ports = np.random.default_rng(0), step.graph.inputs[: len(step.inputs)]
    steps = max(4, min(64, NUMBERS // max(code.inputs, 1)))
    fed = []
    for _ in range(steps):
        feeds = {}
        for port in ports:
            shape = code.shapes[port.name]
            drawn = (
                rng.normal(size=shape)
                if port.dtype.kind == "f"
                else rng.integers(0, _count(step.graph, port.name), shape)
            )
            feeds[port.name] = drawn.astype(np.float32 if port.dtype.kind == "f" else port.dtype)
        fed.append(feeds)
    runs = [_stepped(_in_precision(step, kind), fed) for kind in (np.float64, np.float32)]
    (y, state), (narrow_y, narrow_state) = runs
    off = [np.abs(a - b) / (1 + np.abs(a)) for a, b in ((y, narrow_y), (state, narrow_state))]
    error = float(max((array.max(initial=0) for array in off), default=0.0))
    x = np.stack([np.concatenate([feeds[port.name].reshape(-1) for port in ports]) for feeds in fed])
    return TestRun(x.astype(np.float64), y, state, max(LEAST, TIMES * error)), error


def _count(graph: Graph, name: str) -> int:
    """Return the number of whole numbers that an input may be: the rows of the smallest table that it takes rows of."""
    flowing, counts = {name}, [2**31]
    for node in graph.nodes:
        if flowing.intersection(node.inputs):
            if node.op == "gather" and node.inputs[1] in flowing and node.inputs[0] in graph.constants:
                counts.append(graph.constants[node.inputs[0]].shape[node.settings["axis"]])
            else:
                flowing.update(node.outputs)
    return min(counts) if len(counts) > 1 else 2


def _stepped(step: StepGraph, fed: list[dict[str, AnyArray]]) -> tuple[AnyArray, AnyArray]:
    """Return the outputs of each step in a row, and the state after the last."""
    states, count, rows = step.initial, len(step.outputs), []
    kinds = {port.name: port.dtype for port in step.graph.inputs}
    for feeds in fed:
        found = run(step.graph, {**{name: array.astype(kinds[name]) for name, array in feeds.items()}, **states})
        rows.append(np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in found[:count]]))
        states = dict(zip(states, found[count:], strict=True))
    last = [np.asarray(part, np.float64).reshape(-1) for part in states.values()]
    return np.stack(rows), np.concatenate(last) if last else np.zeros(0)
