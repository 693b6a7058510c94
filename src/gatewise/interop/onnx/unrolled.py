"""An LSTM whose steps an exporter wrote one after another, as Keras does by PyTorch, found as one LSTM.

Each step is a cell: z = Gather(X · W + b, step) + h · U, four Slices of z, and the equations of `cells`. The node X · W
stands for the LSTM. Steps that read X from the end are its backward direction, if others read it from the beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gatewise.errors import GatewiseError
from gatewise.interop.graphs import Axis, Edge, Layout
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import (
    StoredCell,
    cell_matches,
    cell_parameters,
    match_name,
    order_of,
    output_of,
    preactivation_terms,
    stored_cell,
)
from gatewise.interop.onnx.edges import equal_source, trace_sequence
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


class _Moment(NamedTuple):
    """An unrolled LSTM between two of its steps, before the first or after the last."""

    h: OnnxValue
    c: OnnxValue
    place: int  # the number of steps before it
    sums: OnnxValue  # X · W + b of all steps
    recurrent: str  # U
    order: str  # of the gates


class _Run(NamedTuple):
    """All steps of one direction: X · W, the parameters, the edge of X, and the last moment.

    `collected` are the names that hold the hidden states of all steps.
    """

    node: OnnxNode
    cell: Parameters
    x: Edge[OnnxValue]
    last: _Moment
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
    steps = dict(step for node in scope.nodes if node.operator == "Mul" and (step := _step_at(node)) is not None)
    collected, runs = _collected_states(scope), list[_Run]()
    for start in (moment for moment in steps if moment.place == 0):
        moments = [start]
        while (after := steps.get(moments[-1])) is not None:
            moments.append(after)
        if len(moments) > LEAST and is_zeros(*start.h) and is_zeros(*start.c):
            names = collected.get(tuple(moment.h for moment in moments[1:]), [])
            if (run := _whole_run(moments[-1], names, sizes)) is not None:
                runs.append(run)
    return runs


def _step_at(end: OnnxNode) -> tuple[_Moment, _Moment] | None:
    """Return the moments before and after the step of an unrolled LSTM that ends in an ONNX Mul; None if it is none."""
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
            h, c, sums = (equal_source(*value) for value in (values["h"], cell.previous_c, values["x"]))
            before = _Moment(h, c, int(place), sums, product.inputs[1], order)
            return before, before._replace(h=OnnxValue(end.scope, end.outputs[0]), c=cell.c, place=before.place + 1)
    return None


def _collected_states(scope: OnnxScope) -> dict[tuple[OnnxValue, ...], list[str]]:
    """Return the names of an ONNX graph that hold several arrays one after another, by the names of these."""
    collected: dict[tuple[OnnxValue, ...], list[str]] = {}
    for node in scope.nodes:
        if node.operator == "Concat" and node.attributes.get("axis", "i", 1) == 0:
            steps = [output_of(scope, name, "Unsqueeze") for name in node.inputs]
            names = [step.node.inputs[0] for step in steps if step is not None and stated_axes(step.node) == [0]]
            if len(names) == len(steps):
                sources = tuple(equal_source(scope, name) for name in names)
                collected.setdefault(sources, []).append(node.outputs[0])
    return collected


def _whole_run(last: _Moment, collected: Sequence[str], sizes: Sizes) -> _Run | None:
    """Return one direction of an LSTM that starts from zeros, given the last moment; None if it has other steps too."""
    terms, biases = preactivation_terms(last.sums)
    node, w, scope = terms[0].node, terms[0].weight, last.h.scope
    u = scope.value(last.recurrent)
    if len(terms) > 1 or not u.ndim == w.ndim == 2 or not u.shape[1] == w.shape[1] == 4 * len(u):
        return None
    x = trace_sequence(scope, node.inputs[0], flips=True)
    if sizes.of_axis(*x.source, x.layout.index(Axis.TIME)) != last.place:
        return None
    for name in collected:
        sizes.learn(scope, name, (last.place, sizes.of_axis(*x.source, x.layout.index(Axis.BATCH)), len(u)))
    return _Run(node, cell_parameters(scope.file, last.order, w, u, biases), x, last, collected)


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
    lstm = LSTM.from_cells([[run.cell for run in runs]], direction="backward" if first.x.reversed else "forward")
    outputs: dict[str, LstmOutput] = {}
    for place, run in enumerate(runs):
        directions = (LstmDirection(first.node, place, lstm),)
        steps = LstmOutput(directions, BACKWARD[0] if run.x.reversed else ONE_DIRECTION)
        outputs |= {name: without_direction(steps) for name in run.collected}
        for kind, (_, name) in enumerate((run.last.h, run.last.c), 1):
            outputs[name] = without_direction(LstmOutput(directions, ONE_DIRECTION[1:], kind=kind))
    note = f"the file has its {first.last.place} steps one after another; here they are one LSTM of as many as come"
    stored = stored_cell(first.node.label, lstm, first.node, first.last.order, note)
    return StoredCell(stored, first.node, {"X": [run.x.source for run in runs]}, outputs)
