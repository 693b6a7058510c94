"""Which inputs and outputs of an ONNX graph belong to an LSTM, followed through operators that change no number.

The states of several layers may be one array, as PyTorch's are: each layer takes a slice of it, and what they end in is
put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gatewise.interop.found import Found, GraphNames
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.scopes import DEEPEST, Scope
from gatewise.interop.onnx.sites import Site
from gatewise.interop.onnx.sizes import Sizes

SWAPPED = [1, 0, 2]  # the permutation that exchanges time and batch
Names = tuple[str, ...]
FinalOutputs = dict[tuple[int, Names], str]  # by the identity of a scope, and the names in it that are side by side
MOST = 256  # states side by side
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
    scope, name, swapped = _followed(site.scope, site.input(what), swaps if what == "X" else _never)
    return _outer_input(scope, name) if name else None, swapped


def _followed(scope: Scope, name: str, also: Callable[[Scope, Any], bool]) -> tuple[Scope, str, bool]:
    """Follow a name back through what changes no number; say whether that went through an odd number of `also`."""
    odd = False
    for _ in range(DEEPEST):
        source = scope.source(name) if name else None
        if source is None or source[2] != 0 or not source[1].input:
            break
        inner, node, _ = source
        try:
            if also(inner, node):
                odd = not odd
            elif not passes(inner, node):
                break
        except NotConstant:
            break
        scope, name = inner, node.input[0]
    return scope, name, odd


def _never(scope: Scope, node: Any) -> bool:
    return False


def _rows(site: Site, what: str) -> tuple[str, int, int] | None:
    """Return the graph's input whose rows are a node's initial state, and from which to which, if it takes a part."""
    scope, name, _ = _followed(site.scope, site.input(what), _never)
    source = scope.source(name) if name else None
    if source is None or source[1].op_type != "Slice":
        return None
    inner, node, _ = source
    try:
        start, end, *more = (int(inner.value(one).item()) for one in node.input[1:])
    except (NotConstant, ValueError, TypeError):
        return None
    scope, name, _ = _followed(inner, node.input[0], _never)
    found = _outer_input(scope, name)
    return None if found is None or more[:1] not in ([], [0]) or more[1:] not in ([], [1]) else (found, start, end)


def _state(site: Site, what: str, sizes: Sizes) -> str | None:
    """Return the graph's input that is a node's initial state, all of it."""
    part = _rows(site, what)
    if part is None:
        return _input(site, what)[0]
    rows = sizes.of(root_of(site.scope), part[0], 0)
    return part[0] if part[1] == 0 and isinstance(rows, int) and part[2] >= rows else None


def _of_all(sites: Sequence[Site], what: str, directions: int, sizes: Sizes) -> tuple[str | None, ...]:
    """Return the graph's input that holds the initial states of all layers, one after another, for each of them."""
    parts = [_rows(site, what) for site in sites]
    names = {part and part[0] for part in parts}
    name = names.pop() if len(names) == 1 else None
    if name is not None:
        rows = sizes.of(root_of(sites[0].scope), name, 0)
        ends = [(part[1], part[2]) for part in parts if part]
        wanted = [(directions * layer, directions * (layer + 1)) for layer in range(len(sites))]
        over = ends[-1][1] > wanted[-1][1] and rows == wanted[-1][1]  # to the end, wherever that is
        fits = not isinstance(rows, int) or rows == wanted[-1][1]
        if fits and (ends == wanted or (over and [*ends[:-1], (ends[-1][0], rows)] == wanted)):
            return (name,) * len(sites)
    return (None,) * len(sites)


def root_of(scope: Scope) -> Scope:
    """Return the scope of the main graph."""
    for _ in range(2 * DEEPEST):
        outer = scope.parent or next((one for one, _ in scope.bound.values()), None)
        if outer is None:
            break
        scope = outer
    return scope


def _outer_input(scope: Scope, name: str) -> str | None:
    """Return a name that is an input of the main graph, and not one that has a value in the file."""
    try:
        scope, name = scope.owner(name)
    except NotConstant:
        return None
    return name if scope.parent is None and name in scope.inputs and name not in scope.held else None


def final_outputs(sites: Iterable[Site], outputs: Iterable[str]) -> FinalOutputs:
    """Return which of the graph's outputs each final state is, or those of several nodes side by side."""
    of_scope: dict[int, tuple[Scope, dict[str, Names]]] = {}
    for site in sites:
        if site.scope.parent is None:
            _, same = of_scope.setdefault(id(site.scope), (site.scope, {}))
            same |= {name: (name,) for name in site.node.output[1:3] if name}
    found: FinalOutputs = {}
    for key, (scope, same) in of_scope.items():
        for node in scope.nodes:
            if not (node.input and node.output and node.input[0] in same):
                continue
            with suppress(NotConstant):
                if node.op_type in ("Identity", "Cast") and passes(scope, node):
                    same[node.output[0]] = same[node.input[0]]
                elif node.op_type == "Concat" and scope.attributes_of(node).get("axis", "i", 1) in (0, -3):
                    parts = [same[name] for name in node.input[:MOST] if name in same]
                    if len(parts) == len(node.input) and sum(map(len, parts)) <= MOST:
                        same[node.output[0]] = tuple(name for part in parts for name in part)
        for name in outputs:
            if name in same:
                found.setdefault((key, same[name]), name)
    return found


def _final(sites: Sequence[Site], place: int, finals: FinalOutputs) -> str | None:
    """Return the graph's output that one of the final states of nodes is, side by side."""
    names = tuple(site.node.output[place] if len(site.node.output) > place else "" for site in sites)
    return finals.get((id(sites[0].scope), names))


def _first(outputs: Mapping[str, int], same: Iterable[str]) -> str | None:
    """Return the first of the graph's outputs, given with their places, among names of one thing."""
    return min((name for name in same if name in outputs), key=outputs.__getitem__, default=None)


def of_node(
    site: Site, merge: str, outputs: Mapping[str, int], finals: FinalOutputs, known: Mapping[str, str], sizes: Sizes
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
    sizes : Sizes
    """
    x, x_batch_first = _input(site, "X")
    wanted = "turned" if merge == "none" else merge
    y = _first(outputs, {name for name, what in known.items() if what == wanted})
    swapped = _first(outputs, {name for name, what in known.items() if what == wanted + BATCH_FIRST})
    return GraphNames(
        x=x,
        lengths=_input(site, "sequence_lens")[0],
        h0=(_state(site, "initial_h", sizes),),
        c0=(_state(site, "initial_c", sizes),),
        y=y or swapped,
        hn=(_final([site], 1, finals),),
        cn=(_final([site], 2, finals),),
        x_batch_first=x_batch_first,
        y_batch_first=y is None and swapped is not None,
    )


def of_stack(sites: Sequence[Site], found: Sequence[Found], finals: FinalOutputs, sizes: Sizes) -> GraphNames:
    """Return the names of nodes that are stacked, given the first layer's first, by those of each."""
    names = [one.graph or GraphNames() for one in found]
    first, last, directions = names[0], names[-1], len(found[0].lstm.directions)
    states: dict[str, tuple[str | None, ...]] = {}
    for field, place in (("h0", "initial_h"), ("c0", "initial_c"), ("hn", 1), ("cn", 2)):
        states[field] = tuple(name for one in names for name in getattr(one, field))
        if not any(states[field]):
            if isinstance(place, str):
                states[field] = _of_all(sites, place, directions, sizes)
            else:
                states[field] = (_final(sites, place, finals),) * len(sites)
    return GraphNames(
        x=first.x,
        lengths=first.lengths,
        y=last.y,
        x_batch_first=first.x_batch_first,
        y_batch_first=last.y_batch_first,
        **states,
    )
