"""An LSTM whose steps an exporter wrote one after another, as Keras does by PyTorch, found as one LSTM.

Each step is a cell: z = Gather(X · W + b, step) + h · U, four Slices of z, and the equations of `cells`. The node X · W
stands for the LSTM. Steps that read X from the end are its backward direction, if others read it from the beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from gatewise.errors import GatewiseError
from gatewise.interop.graphs import Axis, Edge, Layout
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import (
    CellMatch,
    StoredCell,
    cell_matches,
    cell_parameters,
    match_name,
    order_of,
    output_of,
    preactivation_terms,
    stored_cell,
)
from gatewise.interop.onnx.edges import trace_back
from gatewise.interop.onnx.lstm import is_zeros
from gatewise.interop.onnx.lstm_outputs import (
    BACKWARD,
    ONE_DIRECTION,
    LstmDirection,
    LstmOutput,
    stated_axes,
    without_direction,
)
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope, OnnxValue
from gatewise.interop.onnx.sizes import Sizes
from gatewise.layers import LSTM
from gatewise.parameters import Parameters

LEAST = 2  # steps of an LSTM
_SUMS = ("Add", ("MatMul", "h"), ("Gather", "x"))


class _Step(NamedTuple):
    """One step of an unrolled LSTM: its cell, its old states, its place among the inputs, and what all steps share."""

    cell: CellMatch
    h: OnnxValue
    c: OnnxValue
    place: int
    shared: tuple[OnnxValue, str, str]  # X · W + b of all steps, U, and the order of the gates


@dataclass(frozen=True, eq=False)
class _Run:
    """All steps of one direction: X · W, the parameters, the edge of X, and the names of all outputs together."""

    node: OnnxNode
    steps: Sequence[_Step]
    cell: Parameters
    x: Edge[OnnxValue]
    collected: Sequence[str]


def unrolled_lstms(scope: OnnxScope, sizes: Sizes) -> dict[OnnxNode, StoredCell]:
    """Return the LSTMs of an ONNX graph whose steps stand one after another, by the node that stands for each."""
    counts = Counter(node.operator for node in scope.nodes)
    if counts["Sigmoid"] >= 3 * LEAST and counts["Tanh"] >= 2 * LEAST and counts["Slice"] >= 4 * LEAST:
        try:
            return {runs[0].node: _lstm_of(runs) for runs in _directions(_runs(scope, sizes))}
        except (NotConstant, IndexError, ValueError, TypeError) as problem:  # in what is no such LSTM
            if isinstance(problem, GatewiseError):
                raise
    return {}


def _runs(scope: OnnxScope, sizes: Sizes) -> list[_Run]:
    """Return the directions of LSTMs in an ONNX graph whose steps stand one after another."""
    steps = [step for node in scope.nodes if node.operator == "Mul" and (step := _step_at(node)) is not None]
    after = {step.h: step for step in steps}
    ends = {OnnxValue(scope, step.cell.end.outputs[0]) for step in steps}
    collected, runs = _collected_states(scope), list[_Run]()
    for first in (step for step in steps if step.h not in ends):
        members = [first]
        while len(members) <= len(steps):
            step = after.get(OnnxValue(scope, members[-1].cell.end.outputs[0]))
            if step is None:
                break
            members.append(step)
        if (run := _whole_run(members, sizes, collected)) is not None:
            runs.append(run)
    return runs


def _step_at(end: OnnxNode) -> _Step | None:
    """Return the step of an unrolled LSTM that ends in an ONNX Mul; None if there is none."""
    for cell in cell_matches(end, "Slice"):
        for values in match_name(*cell.sums, _SUMS):
            product, taken = (
                values[operator].scope.computed[values[operator].name].node for operator in ("MatMul", "Gather")
            )
            try:
                place, weight = end.scope.value(taken.inputs[1]), end.scope.value(product.inputs[1])
                order = order_of(cell, weight.shape[1])
            except (NotConstant, ValueError, IndexError):
                return None
            if place.ndim or taken.attributes.get("axis", "i", 0):
                return None
            h, c, inputs = (trace_back(*value).source for value in (values["h"], cell.previous_c, values["x"]))
            return _Step(cell, h, c, int(place), (inputs, product.inputs[1], order))
    return None


def _collected_states(scope: OnnxScope) -> dict[tuple[OnnxValue, ...], list[str]]:
    """Return the names of an ONNX graph that hold several arrays one after another, by the names of these."""
    collected: dict[tuple[OnnxValue, ...], list[str]] = {}
    for node in scope.nodes:
        if node.operator == "Concat" and node.attributes.get("axis", "i", 1) == 0:
            steps = [output_of(scope, name, "Unsqueeze") for name in node.inputs]
            names = [step.node.inputs[0] for step in steps if step is not None and stated_axes(step.node) == [0]]
            if len(names) == len(steps):
                sources = tuple(trace_back(scope, name).source for name in names)
                collected.setdefault(sources, []).append(node.outputs[0])
    return collected


def _whole_run(
    steps: Sequence[_Step], sizes: Sizes, collected: Mapping[tuple[OnnxValue, ...], list[str]]
) -> _Run | None:
    """Return steps of an ONNX graph as one direction of an LSTM, from a state of zeros on; None if they are none."""
    first, (inputs, recurrent, order) = steps[0], steps[0].shared
    scope = first.cell.end.scope
    linked = all(later.c == earlier.cell.c for earlier, later in pairwise(steps))
    entire = len(steps) >= LEAST and [step.place for step in steps] == [*range(len(steps))]
    same = all(step.shared == first.shared for step in steps)
    if not (linked and entire and same and is_zeros(*first.h) and is_zeros(*first.c)):
        return None
    terms, biases = preactivation_terms(inputs)
    u, w, node = scope.value(recurrent), terms[0].weight, terms[0].node
    if len(terms) > 1 or not u.ndim == w.ndim == 2 or not u.shape[1] == w.shape[1] == 4 * len(u):
        return None
    x = trace_back(scope, node.inputs[0], exchanges=True, flips=True)
    time, batch = x.layout.index(Axis.TIME), x.layout.index(Axis.BATCH)
    if sizes.of_axis(*x.source, time) != len(steps):
        return None
    names = collected.get(tuple(OnnxValue(scope, step.cell.end.outputs[0]) for step in steps), [])
    for name in names:
        sizes.learn(scope, name, (len(steps), sizes.of_axis(*x.source, batch), len(u)))
    cell = cell_parameters(scope.file, order, w, u, biases)
    return _Run(node, steps, cell, x, names)


def _directions(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Return the runs of each LSTM: two that go through the same input in both ways are one."""
    lstms: list[list[_Run]] = []
    forward: dict[tuple[OnnxValue, Layout, int], list[list[_Run]]] = {}
    for run in runs:
        waiting = forward.setdefault((run.x.source, run.x.layout, run.cell.hidden_size), [])
        if run.x.reversed and waiting:
            waiting.pop(0).append(run)
            continue
        lstms.append([run])
        if not run.x.reversed:
            waiting.append(lstms[-1])
    return lstms


def _lstm_of(runs: Sequence[_Run]) -> StoredCell:
    """Return the LSTM of one direction or two whose steps stand one after another in an ONNX graph."""
    first = runs[0]
    node, count = first.node, len(first.steps)
    lstm = LSTM.from_cells([[run.cell for run in runs]], direction="backward" if first.x.reversed else "forward")
    outputs: dict[str, LstmOutput] = {}
    for place, run in enumerate(runs):
        directions, last = (LstmDirection(node, place, lstm),), run.steps[-1].cell
        steps = LstmOutput(directions, BACKWARD[0] if run.x.reversed else ONE_DIRECTION)
        outputs |= {name: without_direction(steps) for name in run.collected}
        for kind, name in ((1, last.end.outputs[0]), (2, last.c.name)):
            outputs[name] = without_direction(LstmOutput(directions, ONE_DIRECTION[1:], kind=kind))
    note = f"the file has its {count} steps one after another; here they are one LSTM of as many as come"
    stored = stored_cell(node.label, lstm, node, first.steps[0].shared[2], note)
    return StoredCell(stored, node, {"X": [run.x.source for run in runs]}, outputs)
