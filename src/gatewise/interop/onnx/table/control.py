"""ONNX operators that have graphs in them: If."""

from __future__ import annotations

from gatewise.interop.onnx.table.call import Call, Values, reads
from gatewise.network.graph import Unsupported


@reads("If")
def read_if(call: Call) -> Values:
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
