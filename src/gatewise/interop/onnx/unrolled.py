"""An LSTM whose steps an exporter wrote one after another, as Keras does by PyTorch, made a node LSTM again.

Each step is a cell: z = Gather(X · W + b, step) + h · U, four Slices of z, and the equations of `cells`. The graph that
is read has a node LSTM in the place of all steps, and under the names of its outputs what the steps put out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gatewise import gates
from gatewise.errors import GatewiseError
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import CELL_STATE, match_name, output_of
from gatewise.interop.onnx.edges import trace_back
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.lstm import is_zeros
from gatewise.interop.onnx.lstm_outputs import stated_axes
from gatewise.interop.onnx.operators import OPEN
from gatewise.interop.onnx.scopes import OnnxNode, label_of, nodes_of
from gatewise.interop.onnx.sizes import Sizes

STEPS = 300  # of work that one step takes
LEAST = 2  # steps of an LSTM


class _Step(NamedTuple):
    """One step of an unrolled LSTM: its last node, and the names of what it reads and makes."""

    end: OnnxNode
    inputs: str  # X · W + b of all steps
    place: int  # of the step among them
    weight: str  # U
    h: str
    c: str
    new_c: str
    order: str  # of its gates


class RolledUp(NamedTuple):
    """A model with a node LSTM for each unrolled one, and what was there instead.

    `entries` are those of its ledger for what the nodes take the place of, `made` the names that the file does not
    have; `notes` says of each LSTM, by its name, how the file has it.
    """

    model: Any
    entries: list[LedgerEntry]
    made: set[str]
    notes: dict[str, str]

    def with_entries(self, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
        """Yield the ledger of the file, given that of the model."""
        yield from self.entries
        yield from (entry for entry in entries if entry.name not in self.made)


def roll_up(file: OnnxFile) -> RolledUp:
    """Return an ONNX model with a node LSTM for each unrolled one; the model as it is if there is none."""
    counts = Counter(node.op_type for node in file.model.graph.node)
    if counts["Sigmoid"] >= 3 * LEAST and counts["Tanh"] >= 2 * LEAST and counts["Slice"] >= 4 * LEAST:
        try:
            return _rolled_up(file)
        except (NotConstant, IndexError, ValueError, TypeError) as problem:  # in what is no such LSTM
            if isinstance(problem, GatewiseError):
                raise
    return RolledUp(file.model, [], set(), {})


def _rolled_up(file: OnnxFile) -> RolledUp:
    """Return an ONNX model with a node LSTM for each unrolled one, as `roll_up`; it may be of any nodes."""
    model = file.model
    scope = next(nodes_of(file)).scope
    found = [step for node in scope.nodes if node.operator == "Mul" and (step := _step_at(node)) is not None]
    after, ends = {step.h: step for step in found}, {step.end.outputs[0] for step in found}
    sizes, rolled, entries, notes = Sizes(), type(model)(), list[LedgerEntry](), dict[str, str]()
    rolled.CopyFrom(model)
    for first in (step for step in found if step.h not in ends):
        run = [first]
        while len(run) <= len(found) and (step := after.get(run[-1].end.outputs[0])) is not None:
            run.append(step)
        if not _is_whole_run(run, sizes):
            continue
        file.budget.work(4 * len(rolled.graph.node), "reading its unrolled LSTMs")
        before, nodes = _alive(rolled.graph), [(set(node.output), label_of(node)) for node in rolled.graph.node]
        if (label := _put_node(rolled, file, run)) is None:
            continue
        notes[label] = f"the file has its {len(run)} steps one after another; here they are one LSTM of as many as come"
        for name in _collected(run):
            steps = (len(run), sizes.of_axis(scope, first.inputs, 1), len(scope.value(first.weight)))
            sizes.learn(scope, name, steps)
        dead = before - _alive(rolled.graph)
        replaced = dead | {run[-1].end.outputs[0], *_collected(run)}
        entries += [LedgerEntry(name, "node", label) for outputs, name in nodes if outputs & replaced]
        entries += [LedgerEntry(each.name, "tensor", label) for each in rolled.graph.initializer if each.name in dead]
        kept = [node for node in rolled.graph.node if not set(node.output) & dead]
        tensors = [tensor for tensor in rolled.graph.initializer if tensor.name not in dead]
        for kind, others in (("node", kept), ("initializer", tensors)):
            del getattr(rolled.graph, kind)[:]
            getattr(rolled.graph, kind).extend(others)
    names = [{each.name for each in (*graph.node, *graph.initializer)} for graph in (model.graph, rolled.graph)]
    made = {*notes, *(f"{label}.hidden_size" for label in notes), *(names[1] - names[0])}
    return RolledUp(rolled, entries, made, notes) if notes else RolledUp(model, [], set(), {})


def _step_at(end: OnnxNode) -> _Step | None:
    """Return the step of an unrolled LSTM that ends in an ONNX Mul; None if there is none."""
    scope = end.scope
    for o, tanh in (end.inputs, end.inputs[::-1]) if len(end.inputs) == 2 else ():
        gate, squashed = output_of(scope, o, "Sigmoid"), output_of(scope, tanh, "Tanh")
        if gate is None or squashed is None:
            continue
        new_c = trace_back(scope, squashed.node.inputs[0]).source.name
        for values in match_name(scope, new_c, CELL_STATE):
            scope.file.budget.work(STEPS, "reading its unrolled LSTMs")
            parts = {letter: values[letter].name for letter in "ifg"} | {"o": gate.node.inputs[0]}
            step = _step_of_gates(end, parts, values["c"].name, new_c)
            if step is not None:
                return step
    return None


def _step_of_gates(end: OnnxNode, parts: dict[str, str], c: str, new_c: str) -> _Step | None:
    """Return a step of an unrolled LSTM, given the names of its gates' sums and its cell states."""
    scope = end.scope
    slices = {letter: output_of(scope, name, "Slice") for letter, name in parts.items()}
    sums = {trace_back(scope, source.node.inputs[0]).source.name for source in slices.values() if source is not None}
    total = output_of(scope, next(iter(sums)), "Add") if len(sums) == 1 and None not in slices.values() else None
    if total is None or len(total.node.inputs) != 2:
        return None
    for recurrent, taken in (total.node.inputs, total.node.inputs[::-1]):
        product, step = output_of(scope, recurrent, "MatMul"), output_of(scope, taken, "Gather")
        if product is None or step is None:
            continue
        try:
            place, weight = scope.value(step.node.inputs[1]), scope.value(product.node.inputs[1])
            starts = {
                letter: _bounds(source.node, next(iter(sums)), weight.shape[1])
                for letter, source in slices.items()
                if source is not None
            }
        except (NotConstant, IndexError):
            return None
        hidden = len(weight)
        order = "".join(sorted(starts, key=lambda letter: starts[letter]))
        expected = [(hidden * number, hidden * (number + 1)) for number in range(4)]
        if place.ndim or step.node.attributes.get("axis", "i", 0) or [starts[letter] for letter in order] != expected:
            return None
        h = trace_back(scope, product.node.inputs[0]).source.name
        inputs, old_c = step.node.inputs[0], trace_back(scope, c).source.name
        return _Step(end, inputs, int(place), product.node.inputs[1], h, old_c, new_c, order)
    return None


def _bounds(node: OnnxNode, sums: str, width: int) -> tuple[int, int]:
    """Return where an ONNX Slice of a gate's sums begins and ends, along their last axis; NotConstant if unknown."""
    scope = node.scope

    def shape_of(shape: OnnxNode, _: int) -> AnyArray:
        if trace_back(shape.scope, shape.inputs[0]).source.name != sums:
            raise NotConstant("it is the shape of another array")
        return np.array([OPEN, width], np.int64)

    start, end, axis, *step = [scope.value(name, shape_of=shape_of) for name in node.inputs[1:]]
    if any(value.size != 1 for value in (start, end, axis)) or axis.item() not in (1, -1) or any(s != 1 for s in step):
        raise NotConstant("it is no part of the last axis")
    return int(start.item()), min(int(end.item()), width)


def _is_whole_run(run: Sequence[_Step], sizes: Sizes) -> bool:
    """Say whether steps of an ONNX graph are all those of one LSTM, from a state of zeros on."""
    first, scope = run[0], run[0].end.scope
    if len(run) < LEAST or not (is_zeros(scope, first.h) and is_zeros(scope, first.c)):
        return False
    same = all(step[1:2] + step[3:4] + step[7:] == first[1:2] + first[3:4] + first[7:] for step in run)
    linked = all(later.c == earlier.new_c for earlier, later in pairwise(run))
    entire = sizes.of_axis(scope, first.inputs, 0) == len(run) and [step.place for step in run] == [*range(len(run))]
    return same and linked and entire


def _put_node(model: Any, file: OnnxFile, run: Sequence[_Step]) -> str | None:
    """Put a node LSTM in the place of the steps of an unrolled one, and return its name; None if it is none."""
    last, scope, graph = run[-1], run[-1].end.scope, model.graph
    summed = output_of(scope, last.inputs, "MatMul", "Add")
    bias = None
    if summed is not None and summed.node.operator == "Add":
        for product, constant in (summed.node.inputs, summed.node.inputs[::-1]):
            if (matrix := output_of(scope, product, "MatMul")) is not None:
                summed, bias = matrix, scope.value(constant)
                break
    if summed is None or summed.node.operator != "MatMul":
        return None
    recurrent, weight = scope.value(last.weight), scope.value(summed.node.inputs[1])
    hidden = len(recurrent)
    if not recurrent.ndim == weight.ndim == 2 or not recurrent.shape[1] == weight.shape[1] == 4 * hidden:
        return None
    file.hold(4 * (weight.size + recurrent.size), recurrent.itemsize)
    places = [last.order.index(letter) for letter in gates.ORDERS["onnx"]]

    def as_onnx(array: AnyArray) -> AnyArray:
        return np.concatenate([array.T[hidden * place : hidden * (place + 1)] for place in places])[None]

    biases = np.zeros((1, 8 * hidden), recurrent.dtype)
    if bias is not None:
        biases[:, : 4 * hidden] = as_onnx(bias.reshape(1, -1))[..., 0]
    label, make, helper = summed.node.label, file.onnx.helper.make_node, file.onnx.numpy_helper
    names = [f"{label}: {what}" for what in ("W", "R", "B", "Y", "Y_h")]
    arrays = as_onnx(weight), as_onnx(recurrent), biases
    graph.initializer.extend(helper.from_array(array, name) for array, name in zip(arrays, names, strict=False))
    squeezed = {last.end.outputs[0]: (names[4], 0), **dict.fromkeys(_collected(run), (names[3], 1))}
    nodes = [make("LSTM", [summed.node.inputs[0], *names[:3]], names[3:], name=label, hidden_size=hidden)]
    for name, (source, axis) in squeezed.items():
        if file.opset >= 13:
            graph.initializer.append(helper.from_array(np.array([axis]), f"{name}: axis"))
            nodes.append(make("Squeeze", [source, f"{name}: axis"], [name], name=f"{name}: steps"))
        else:
            nodes.append(make("Squeeze", [source], [name], name=f"{name}: steps", axes=[axis]))
    others = [node for node in graph.node if not set(node.output) & squeezed.keys()]
    at = 1 + max(number for number, node in enumerate(others) if set(node.output) & set(run[-2].end.outputs))
    del graph.node[:]
    graph.node.extend([*others[:at], *nodes, *others[at:]])
    return label


def _collected(run: Sequence[_Step]) -> list[str]:
    """Return the names of an ONNX graph that hold the hidden states of all steps, one after another."""
    ends = [step.end.outputs[0] for step in run]
    names = []
    for node in run[0].end.scope.nodes:
        if node.operator == "Concat" and len(node.inputs) == len(run) and node.attributes.get("axis", "i", 1) == 0:
            steps = [source for name in node.inputs if (source := output_of(node.scope, name, "Unsqueeze")) is not None]
            first_axis = all(stated_axes(step.node) == [0] for step in steps)
            if first_axis and [trace_back(node.scope, step.node.inputs[0]).source.name for step in steps] == ends:
                names.append(node.outputs[0])
    return names


def _alive(graph: Any) -> set[str]:
    """Return the names on which the outputs of an ONNX graph depend; all, if nodes have graphs of their own."""
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return {name for node in graph.node for name in node.output}
    alive = {info.name for info in graph.output}
    for node in reversed(graph.node):
        if alive & set(node.output):
            alive |= set(node.input)
    return alive
