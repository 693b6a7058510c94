"""The cell states of all steps at once: c = f · c_prev + a, where neither f nor a depends on a cell state.

Two steps in a row are one: (f, a) after (f', a') is (f · f', a + f · a'). Each pass of a Loop joins twice as many, in a
few operators over all steps: runtimes take longer to begin an operator than for its numbers.
"""

from __future__ import annotations

import numpy as np

from gatewise.interop.onnx.building import GraphWriter
from gatewise.parameters import Variant


def can_accumulate(variant: Variant) -> bool:
    """Say whether no gate depends on the cell state, and the forget gate is at most 1: then no product overflows."""
    return variant.peephole == "none" and {variant.activation(k).name for k in "if"} <= {"sigmoid", "hard_sigmoid"}


def add_accumulation(graph: GraphWriter, forget: str, added: str, c: str, *, backward: bool) -> str:
    """Add what computes the cell states (time, batch, ·) to an ONNX graph, given the one before the first step."""
    total = graph.node("Concat", [added, c] if backward else [c, added], axis=0)
    factor = graph.node("Pad", [forget, graph.constant([0, 0, 0, 1, 0, 0] if backward else [1, 0, 0, 0, 0, 0])])
    steps = graph.node("Gather", [graph.node("Shape", [total]), graph.constant(0)], axis=0)
    body = GraphWriter(graph.dtype, graph, graph.new_name("joining") + "_")
    for name, dtype in (("pass", np.int64), ("goes_on", np.bool_)):
        body.input(body.new_name(name), [], dtype)
    factors, totals = (body.input(body.new_name(name), None) for name in ("factors", "totals"))
    span = body.input(body.new_name("span"), [], np.int64)
    length = body.node("Unsqueeze", [span, body.constant([0])])
    bounds = [length, body.constant([2**62])] if backward else [body.constant([0]), body.node("Neg", [length])]
    zeros = [body.constant(np.zeros(count, np.int64)) for count in ((3, 2) if backward else (0, 5))]
    padding = body.node("Concat", [zeros[0], length, zeros[1]], axis=0)
    before = [body.node("Pad", [body.node("Slice", [name, *bounds]), padding]) for name in (factors, totals)]
    doubled = body.node("Add", [span, span])
    body.output(body.node("Less", [doubled, steps]), [], np.bool_)
    body.output(body.node("Mul", [factors, before[0]]), None)
    body.output(body.node("Add", [totals, body.node("Mul", [factors, before[1]])]), None)
    body.output(doubled, [], np.int64)
    outputs = [graph.new_name(name) for name in ("factors", "cell_states", "span")]
    start = ["", graph.constant(True, dtype=np.bool_), factor, total, graph.constant(1)]
    graph.node("Loop", start, *outputs, body=body.graph("joining"))
    return graph.slice(outputs[1], *((0, -1) if backward else (1, 2**62)))
