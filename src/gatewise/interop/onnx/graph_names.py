"""Which inputs and outputs of an ONNX graph belong to an LSTM, followed through operators that change no number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gatewise.interop.found import GraphNames
from gatewise.interop.onnx.attributes import Attributes, NotConstant
from gatewise.interop.onnx.scopes import DEEPEST, Scope
from gatewise.interop.onnx.sites import Site

SWAPPED = [1, 0, 2]  # the permutation that exchanges time and batch
BATCH_FIRST = ", batch first"  # what is added to what a name is of an output whose time and batch were exchanged


def passes(scope: Scope, node: Any) -> bool:
    """Say whether a node returns the very numbers that it is given, but for rounding."""
    if node.op_type == "Cast":
        types = scope.file.onnx.TensorProto
        floating = (types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16)
        return Attributes(node, scope.attributes).get("to", "i") in floating
    if node.op_type == "Dropout":  # which drops nothing unless its third input says that this is training
        return len(node.input) < 3 or not node.input[2] or not scope.value(node.input[2]).any()
    return bool(node.op_type == "Identity")


def swaps(scope: Scope, node: Any) -> bool:
    """Say whether a node exchanges time and batch."""
    return bool(node.op_type == "Transpose" and Attributes(node, scope.attributes).get("perm", "ints") == SWAPPED)


def _input(site: Site, what: str) -> tuple[str | None, bool]:
    """Return the graph's input that a node is given, and whether its time and batch are exchanged."""
    scope, name, swapped = site.scope, site.input(what), False
    for _ in range(DEEPEST):
        if not name:
            break
        source = scope.source(name)
        if source is None:
            return _outer_input(scope, name), swapped
        scope, node, _ = source
        try:
            if not passes(scope, node) and not (what == "X" and swaps(scope, node)):
                break
            swapped ^= node.op_type == "Transpose"
        except NotConstant:
            break
        name = node.input[0] if node.input else ""
    return None, False


def _outer_input(scope: Scope, name: str) -> str | None:
    """Return a name that is an input of the main graph, and not one that has a value in the file."""
    try:
        scope, name = scope.owner(name)
    except NotConstant:
        return None
    return name if scope.parent is None and name in scope.inputs and name not in scope.held else None


def _output(site: Site, place: int, outputs: Collection[str]) -> str | None:
    """Return the graph's output that one of a node's outputs is."""
    scope = site.scope
    if scope.parent is not None or len(site.node.output) <= place or not site.node.output[place]:
        return None
    same = {site.node.output[place]}
    for node in scope.nodes:
        if node.input and node.input[0] in same and node.output and node.op_type in ("Identity", "Cast"):
            try:
                same |= {node.output[0]} if passes(scope, node) else set()
            except NotConstant:
                continue
    return _first(outputs, same)


def _first(outputs: Iterable[str], same: Collection[str]) -> str | None:
    return next((name for name in outputs if name in same), None)


def of_node(site: Site, merge: str, outputs: Sequence[str], known: Mapping[str, str]) -> GraphNames:
    """Return the names of a node.

    Parameters
    ----------
    site : Site
    merge : str
        How its directions are merged.
    outputs : sequence of str
        Of the main graph.
    known : mapping of str to str
        What names of the main graph are of the node's output: see `stacks`.
    """
    x, x_batch_first = _input(site, "X")
    wanted = "turned" if merge == "none" else merge
    y = _first(outputs, {name for name, what in known.items() if what == wanted})
    swapped = _first(outputs, {name for name, what in known.items() if what == wanted + BATCH_FIRST})
    return GraphNames(
        x=x,
        lengths=_input(site, "sequence_lens")[0],
        h0=(_input(site, "initial_h")[0],),
        c0=(_input(site, "initial_c")[0],),
        y=y or swapped,
        hn=(_output(site, 1, outputs),),
        cn=(_output(site, 2, outputs),),
        x_batch_first=x_batch_first,
        y_batch_first=y is None and swapped is not None,
    )


def of_stack(names: Sequence[GraphNames]) -> GraphNames:
    """Return the names of nodes that are stacked, given the first layer's first."""
    first, last = names[0], names[-1]
    return GraphNames(
        x=first.x,
        lengths=first.lengths,
        h0=tuple(name for one in names for name in one.h0),
        c0=tuple(name for one in names for name in one.c0),
        y=last.y,
        hn=tuple(name for one in names for name in one.hn),
        cn=tuple(name for one in names for name in one.cn),
        x_batch_first=first.x_batch_first,
        y_batch_first=last.y_batch_first,
    )
