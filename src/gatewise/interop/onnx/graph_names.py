"""Which inputs and outputs of an ONNX graph belong to an LSTM, followed through operators that change no number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gatewise.interop.found import GraphNames
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.scopes import DEEPEST, Scope
from gatewise.interop.onnx.sites import Site

SWAPPED = [1, 0, 2]  # the permutation that exchanges time and batch
FinalOutputs = dict[tuple[int, str], str]  # by the identity of a scope, and a name in it
BATCH_FIRST = ", batch first"  # what is added to what a name is of an output whose time and batch were exchanged


def passes(scope: Scope, node: Any) -> bool:
    """Say whether a node returns the very numbers that it is given, but for rounding."""
    if node.op_type == "Cast":
        types = scope.file.onnx.TensorProto
        floating = (types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16)
        return scope.attributes_of(node).get("to", "i") in floating
    if node.op_type == "Dropout":  # which drops nothing unless its third input says that this is training
        if len(node.input) < 3 or not node.input[2]:
            return True
        training = scope.value(node.input[2])
        return training.size == 1 and not training.any()
    return bool(node.op_type == "Identity")


def swaps(scope: Scope, node: Any) -> bool:
    """Say whether a node exchanges time and batch."""
    return bool(node.op_type == "Transpose" and scope.attributes_of(node).get("perm", "ints") == SWAPPED)


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


def final_outputs(sites: Iterable[Site], outputs: Iterable[str]) -> FinalOutputs:
    """Return which of the graph's outputs each final state is, by its scope and its name there."""
    of_scope: dict[int, tuple[Scope, dict[str, str]]] = {}
    for site in sites:
        if site.scope.parent is None:
            _, same = of_scope.setdefault(id(site.scope), (site.scope, {}))
            same |= {name: name for name in site.node.output[1:3] if name}
    found: FinalOutputs = {}
    for key, (scope, same) in of_scope.items():
        for node in scope.nodes:
            if node.op_type in ("Identity", "Cast") and node.input and node.output and node.input[0] in same:
                with suppress(NotConstant):
                    if passes(scope, node):
                        same[node.output[0]] = same[node.input[0]]
        for name in outputs:
            if name in same:
                found.setdefault((key, same[name]), name)
    return found


def _final(site: Site, place: int, finals: FinalOutputs) -> str | None:
    """Return the graph's output that one of a node's final states is."""
    return finals.get((id(site.scope), site.node.output[place])) if len(site.node.output) > place else None


def _first(outputs: Mapping[str, int], same: Iterable[str]) -> str | None:
    """Return the first of the graph's outputs, given with their places, among names of one thing."""
    return min((name for name in same if name in outputs), key=outputs.__getitem__, default=None)


def of_node(
    site: Site, merge: str, outputs: Mapping[str, int], finals: FinalOutputs, known: Mapping[str, str]
) -> GraphNames:
    """Return the names of a node.

    Parameters
    ----------
    site : Site
    merge : str
        How its directions are merged.
    outputs : mapping of str to int
        Of the main graph, with their places in it.
    finals : mapping
        What `final_outputs` returns.
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
        hn=(_final(site, 1, finals),),
        cn=(_final(site, 2, finals),),
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
