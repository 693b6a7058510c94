"""Edges of an ONNX graph: identities are dropped, and an exchange of time and batch is the layout of the edge."""

from __future__ import annotations

from gatewise.interop.graphs import TIME_FIRST, Axis, Edge, exchange_time_and_batch
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.operators import MOVING
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope, OnnxValue

EXCHANGE = [1, 0, 2]  # the permutation of time and batch
NARROW, WIDE = (10, 16), (1, 11)  # types by their numbers in the format: float16 and bfloat16, float32 and float64


def is_identity(node: OnnxNode) -> bool:
    """Say whether an ONNX node returns the numbers of its first input, but for rounding; NotConstant if unknown.

    A Cast to half precision is one, since an LSTM may compute in it; the Cast back is not, of numbers rounded between.
    """
    if node.operator == "Cast":
        kind = node.attributes.get("to", "i")
        return kind in NARROW or (kind in WIDE and _cast_before(node) not in NARROW)
    if node.operator == "Dropout":  # which drops nothing unless its third input marks a training run
        if len(node.inputs) < 3 or not node.inputs[2]:
            return True
        training = node.scope.value(node.inputs[2])
        return training.size == 1 and not training.any()
    return node.operator == "Identity"


def _cast_before(node: OnnxNode) -> int | None:
    """Return the type to which the numbers of an ONNX node were cast before, by its number; None if they were not."""
    for before, _ in node.scope.upstream(node.inputs[0]):
        if not (before.is_standard and before.operator in MOVING):
            break
        if before.operator == "Cast":
            return int(before.attributes.get("to", "i"))
    return None


def is_exchange(node: OnnxNode) -> bool:
    """Say whether a node exchanges time and batch."""
    return bool(node.operator == "Transpose" and node.attributes.get("perm", "ints") == EXCHANGE)


def flipped_axis(node: OnnxNode) -> int | None:
    """Return the axis that an ONNX Slice reverses; None of other nodes."""
    if node.operator != "Slice" or len(node.inputs) != 5:
        return None
    try:
        start, end, axis, step = (int(node.scope.value(name).item()) for name in node.inputs[1:])
    except (NotConstant, ValueError, TypeError):
        return None
    return axis if start == step == -1 and end <= -(2**31) else None


def origin(scope: OnnxScope, name: str) -> OnnxValue:
    """Return the array of an ONNX graph whose numbers a name has, all or some, in whatever shape."""
    for node, _ in scope.upstream(name):
        if not (node.is_standard and node.operator in MOVING):
            break
        scope, name = node.scope, node.inputs[0]
    return OnnxValue(scope, name)


def equal_source(scope: OnnxScope, name: str) -> OnnxValue:
    """Return the first name of an ONNX graph with the same numbers as a name, in the same places."""
    for node, position in scope.upstream(name):
        try:
            if position != 0 or not is_identity(node):
                break
        except NotConstant:
            break
        scope, name = node.scope, node.inputs[0]
    return OnnxValue(scope, name)


def trace_sequence(scope: OnnxScope, name: str, *, flips: bool = False) -> Edge[OnnxValue]:
    """Return the edge of an ONNX graph that ends in a name; its source is the first name with the same numbers.

    It carries (time, batch, feature) or (batch, time, feature), which may be exchanged on the way; with `flips`, its
    steps may be reversed.
    """
    layout, reverse = TIME_FIRST, False
    for node, position in scope.upstream(name):
        try:
            if position != 0:
                break
            if is_exchange(node):
                layout = exchange_time_and_batch(layout)
            elif flips and flipped_axis(node) == layout.index(Axis.TIME):
                reverse = not reverse
            elif not is_identity(node):
                break
        except NotConstant:
            break
        scope, name = node.scope, node.inputs[0]
    return Edge(OnnxValue(scope, name), layout, reverse)
