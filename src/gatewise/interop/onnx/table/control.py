"""ONNX operators that have graphs in them: If, Scan and Loop."""

from __future__ import annotations

from typing import Any

from gatewise.interop.onnx.table.call import FileNode, Values, ints, reads
from gatewise.layers import LSTM
from gatewise.network import loops
from gatewise.network.graph import Graph, Unsupported
from gatewise.network.written_cells import WrittenStep, step_of_body


@reads("If")
def read_if(call: FileNode) -> Values:
    """Return the branch that the condition chooses: now if it is known, or else as the model runs."""
    call.ignore("then_branch", "else_branch")
    graphs = dict(call.attributes.graphs())
    if not {"then_branch", "else_branch"} <= graphs.keys():
        raise Unsupported("it lacks a branch")
    condition = call.build.value(call.needed())
    if condition is not None:
        name = "then_branch" if condition.all() else "else_branch"
        return call.scope.body(graphs[name], f"{call.name}.{name}")
    sides = [call.scope.body(graphs[name], f"{call.name}.{name}") for name in ("then_branch", "else_branch")]
    return [call.add("choose", call.needed(), a, b) for a, b in zip(*sides, strict=True)]


def _body_of(call: FileNode) -> tuple[Graph, list[str]]:
    call.ignore("body")
    graphs = dict(call.attributes.graphs())
    if "body" not in graphs:
        raise Unsupported("it lacks its body")
    return call.scope.closed_body(graphs["body"], f"{call.name}.body")


@reads("Scan")
def read_scan(call: FileNode) -> Values:
    """Return the final states and the outputs of a body that runs for each step of some sequences."""
    if call.opset < 9:
        raise Unsupported("before opset 9 it has a batch of its own")
    body, captured = _body_of(call)
    count = call.get("num_scan_inputs", "i", 0)
    states = len(call.inputs) - count
    results = len(body.outputs) - states
    if not 1 <= count <= len(call.inputs) or results < 0 or not all(call.inputs):
        raise Unsupported("its inputs and outputs do not fit its body")
    if len(body.inputs) != len(call.inputs) + len(captured):
        raise Unsupported(f"its body has {len(body.inputs) - len(captured)} inputs; it has {len(call.inputs)}")
    read, makes = _orders(call, "input", count), _orders(call, "output", results)
    step = step_of_body(body, states) if states == 2 and count == 1 and not captured else None
    if step is not None:
        return _lstm_of_scan(call, step, read[0], makes)
    settings = {"body": body, "states": states, "reads": read, "makes": makes}
    return call.add("scan", *call.inputs, *captured, outputs=len(body.outputs), **settings)


def _orders(call: FileNode, kind: str, count: int) -> tuple[loops.Order, ...]:
    """Return the axis of each sequence that a Scan reads or makes, and whether it comes from the end."""
    axes = call.get(f"scan_{kind}_axes", "ints", [0] * count)
    ways = call.get(f"scan_{kind}_directions", "ints", [0] * count)
    if len(axes) != count or len(ways) != count or not set(ways) <= {0, 1}:
        raise Unsupported(f"its scan_{kind}_axes are {axes}, its scan_{kind}_directions {ways}")
    return tuple((axis, way == 1) for axis, way in zip(axes, ways, strict=True))


def _lstm_of_scan(call: FileNode, step: WrittenStep, read: loops.Order, makes: tuple[loops.Order, ...]) -> Values:
    """Return the outputs of a Scan whose body is one step of an LSTM, as those of an LSTM node."""
    axis, reverse = read
    x = call.needed(2)
    x = call.add("move", x, source=axis, target=0) if axis else x
    states = [call.add("unsqueeze", call.inputs[place], axes=(0,)) for place in (step.h, 1 - step.h)]
    lstm = LSTM.from_cells(step.lstm.layers, direction="backward" if reverse else "forward")
    y, *ends = call.add("lstm", x, *states, lstm=lstm, name=call.label)
    h, c = (call.add("squeeze", item, axes=(0,)) for item in ends)
    outputs: list[Any] = [h, c] if step.h == 0 else [c, h]
    for axis, way in makes:
        results = call.add("flip", y, axes=(0,)) if way != reverse else y  # an LSTM's outputs are in the input's order
        outputs.append(call.add("move", results, source=0, target=axis) if axis else results)
    return outputs


@reads("Loop")
def read_loop(call: FileNode) -> Values:
    """Return the final states and the outputs of a body that runs while a condition holds."""
    body, captured = _body_of(call)
    states = len(call.inputs) - 2
    if states < 0 or len(body.outputs) <= states or len(body.inputs) != len(call.inputs) + len(captured):
        raise Unsupported("its inputs and outputs do not fit its body")
    if not all(call.inputs[2:]):
        raise Unsupported("it lacks an input")
    most = call.add("reshape", call.inputs[0], ints()) if call.inputs[0] else ""
    settings = {"body": body, "states": states, "outputs": len(body.outputs) - 1}
    return call.add("loop", most, *call.inputs[1:], *captured, **settings)
