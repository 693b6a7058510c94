"""How an ONNX graph merges the directions of an LSTM, and which LSTMs are stacked.

The operator returns Y (time, direction, batch, hidden). Exporters bring the directions together with a few
operators; each name of a graph is followed through them, from Y on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import GatewiseError
from gatewise.files.budget import Budget
from gatewise.interop.found import Found
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.chain import Whole
from gatewise.interop.onnx.graph_names import BATCH_FIRST, final_outputs, of_node, of_stack, passes, swaps
from gatewise.interop.onnx.lstm import APART, OUTSIDE
from gatewise.interop.onnx.scopes import Scope
from gatewise.interop.onnx.sites import Site
from gatewise.interop.onnx.sizes import Sizes
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.records.step import State

TALLEST = 256  # layers of a stack
STEPS = 50  # of work that one of them takes
MOST = 200  # names that are looked through for where a state comes from
MERGED = ("concat", "sum", "mul", "average")
Key = tuple[int, int]  # of a `Site`


class _From(NamedTuple):
    """What a name is of an LSTM's output: y, turned (time, batch, direction, ·), a direction, or merged in a way."""

    site: Site
    what: str


def _constant(scope: Scope, name: str) -> list[float] | None:
    try:
        array = scope.value(name)
    except NotConstant:
        return None
    return [float(one) for one in array.reshape(-1)] if array.size <= 8 and array.dtype.kind in "iuf" else None


def _ints(scope: Scope, node: Any, attribute: str) -> list[float] | None:
    attributes = scope.attributes_of(node)
    if attribute in attributes:
        found: list[float] | None = attributes.get(attribute, "ints")
        return found
    return _constant(scope, node.input[1]) if len(node.input) > 1 else None


def _side_by_side(scope: Scope, node: Any, site: Site, wide: int, sizes: Sizes) -> bool:
    """Say whether a Reshape of turned (time, batch, direction, ·) leaves time and batch as they are.

    Sizes given as numbers tell that where the graph says how many steps or sequences there are: what is left over
    goes to the other axis.
    """
    if len(node.input) > 1:
        shape = sizes.vector(scope, node.input[1])
    else:
        shape = scope.attributes_of(node).get("shape", "ints")
    if shape is None or len(shape) != 3 or shape.count(-1) > 1:
        return False
    copied = not scope.attributes_of(node).get("allowzero", "i", 0)
    time, batch, features = shape
    as_time = time in (sizes.of(site.scope, site.input("X"), 0), 0 if copied else None)
    as_batch = batch in (*_batches(site, sizes), 0 if copied else None)
    if features == -1:
        return as_time and as_batch
    return features == wide and (as_time or as_batch)


def _batches(site: Site, sizes: Sizes) -> tuple[Any, ...]:
    """Return the size of a node's batch, by its input and by an initial state in the file."""
    start = site.input("initial_h")
    held = [sizes.of(site.scope, start, 1)] if start else []
    return sizes.of(site.scope, site.input("X"), 1), *held


def _follow(
    scope: Scope, node: Any, known: Mapping[str, _From], lstms: Mapping[Key, Found], sizes: Sizes
) -> _From | None:
    """Return what the first output of a node is of an LSTM's output, given what its inputs are."""
    given = [known.get(name) for name in node.input]
    first = next((one for one in given if one is not None), None)
    if first is None:
        return None
    site, what = first
    lstm = lstms[site.key].lstm
    wide = len(lstm.directions) * lstm.hidden_size
    attributes = scope.attributes_of(node)
    if node.op_type in ("Identity", "Dropout", "Cast"):
        return first if given[0] is not None and passes(scope, node) else None
    if what in MERGED and swaps(scope, node):
        return _From(site, what + BATCH_FIRST)
    if node.op_type == "Transpose" and what == "y" and attributes.get("perm", "ints") == [0, 2, 1, 3]:
        return _From(site, "turned")
    if node.op_type == "Reshape" and what == "turned" and _side_by_side(scope, node, site, wide, sizes):
        time, batch = (sizes.of(site.scope, site.input("X"), axis) for axis in (0, 1))
        sizes.learn(scope, node.output[0], (time, batch, wide))
        return _From(site, "concat")
    if node.op_type == "Squeeze" and len(lstm.directions) == 1:
        axes = _ints(scope, node, "axes")
        if (what, axes) in (("y", [1]), ("y", [-3]), ("turned", [2]), ("turned", [-2])):
            return _From(site, "concat")
    if node.op_type == "Gather" and what == "y" and attributes.get("axis", "i", 0) in (1, -3):
        place = _constant(scope, node.input[1])
        if place in ([0], [1]):
            return _From(site, f"direction {int(place[0])}")
    if node.op_type == "Unsqueeze" and what.startswith("direction") and _ints(scope, node, "axes") in ([2], [-2]):
        return _From(site, what.replace("direction", "unmerged"))
    if node.op_type == "Concat" and given == [(site, "unmerged 0"), (site, "unmerged 1")]:
        return _From(site, "turned") if attributes.get("axis", "i", 1) in (2, -2) else None
    both = [(site, "direction 0"), (site, "direction 1")]
    if node.op_type == "Concat" and given == both and attributes.get("axis", "i", 1) in (2, -1):
        return _From(site, "concat")
    if node.op_type in ("Add", "Mul") and given == both:
        return _From(site, "sum" if node.op_type == "Add" else "mul")
    if what == "sum" and len(given) == 2 and None in given:
        half = _constant(scope, node.input[given.index(None)])
        if (node.op_type, half) == ("Mul", [0.5]) or (node.op_type, half, given[1]) == ("Div", [2], None):
            return _From(site, "average")
    return None


def arranged(
    sites: Sequence[Site], found: Sequence[Found], outputs: Iterable[str], budget: Budget
) -> tuple[list[Found], list[Found], list[Whole]]:
    """Return the LSTMs of single nodes with their merges, those that are stacked as one, and the one that is all.

    Parameters
    ----------
    sites, found : sequences of equal lengths
    outputs : iterable of str
        Of the main graph.
    budget : Budget
    """
    places = {name: place for place, name in enumerate(outputs)}
    lstms = {site.key: one for site, one in zip(sites, found, strict=True) if not one.batch_first}
    names: dict[Key, dict[str, str]] = {site.key: {} for site in sites}
    of_scope: dict[int, tuple[Scope, list[Site]]] = {}
    for site in sites:
        if site.key in lstms:
            of_scope.setdefault(id(site.scope), (site.scope, []))[1].append(site)
    merges_of: dict[Key, set[str]] = {}
    below: dict[Key, _From] = {}
    sizes = Sizes()
    for scope, here in of_scope.values():
        known = {site.node.output[0]: _From(site, "y") for site in here if site.node.output and site.node.output[0]}
        nodes = {id(site.node): site for site in here}
        for node in scope.nodes:
            if id(node) in nodes:
                feeds = known.get(node.input[0])
                if feeds is not None and feeds.what in MERGED and not _carried(nodes[id(node)], lstms, budget):
                    below[nodes[id(node)].key] = feeds
                continue
            followed = _quietly(scope, node, known, lstms, sizes)
            if followed is not None and node.output:
                known[node.output[0]] = followed
                if followed.what in MERGED:
                    merges_of.setdefault(followed.site.key, set()).add(followed.what)
        if scope.parent is None:
            for name, one in known.items():
                names[one.site.key][name] = one.what
            for name in places.keys() & known.keys():
                if known[name].what == "turned":
                    merges_of.setdefault(known[name].site.key, {"none"})
    merged = [_merged(one, merges_of.get(site.key, set())) for site, one in zip(sites, found, strict=True)]
    finals = final_outputs(sites, places)
    singles = [
        replace(one, graph=of_node(site, one.lstm.merge[0], places, finals, names[site.key], sizes))
        for site, one in zip(sites, merged, strict=True)
    ]
    by_key = {site.key: one for site, one in zip(sites, singles, strict=True)}
    carrying = {feeds.site.key for feeds in below.values()}
    stacks: dict[tuple[Key, ...], Found] = {}
    wholes = [Whole((site,), names[site.key], [*places]) for site in sites] if len(sites) == 1 else []
    for top in (site for site in sites if site.key in below and site.key not in carrying):
        chain = [top]
        while chain[-1].key in below and len(chain) < TALLEST:
            chain.append(below[chain[-1].key].site)
        budget.work(STEPS * len(chain), "stacking its LSTMs")  # many may stand on the same
        budget.count(len(chain), "layers in stacks")
        if chain[-1].key in below:  # too many layers, or one that feeds itself
            continue
        for part in _alike(chain[::-1], by_key):
            parts = [by_key[one.key] for one in part]
            if (stack := _stack(part, parts, below)) is not None:
                graph = of_stack(part, parts, finals, sizes)
                stacks.setdefault(tuple(one.key for one in part), replace(stack, graph=graph))
                if len(part) == len(sites):
                    wholes.append(Whole(part, names[part[-1].key], [*places]))
    return singles, list(stacks.values()), wholes


def _carried(site: Site, lstms: Mapping[Key, Found], budget: Budget) -> bool:
    """Whether an LSTM starts from what another gives, as a decoder does: it is then no upper layer of a stack."""
    ahead = [(site.scope, name) for name in (site.input("initial_h"), site.input("initial_c")) if name]
    seen: set[tuple[int, str]] = set()
    while ahead and len(seen) < MOST:
        scope, name = ahead.pop()
        if (id(scope), name) in seen:
            continue
        seen.add((id(scope), name))
        budget.work(STEPS, "looking where states come from")
        if (source := scope.source(name)) is None:
            continue
        scope, node, _ = source
        if (id(scope), id(node)) in lstms:
            return True
        if node.op_type not in ("Shape", "Size"):  # of which only sizes are used
            ahead += [(scope, one) for one in node.input if one]
    return bool(ahead)


def _alike(chain: Sequence[Site], found: Mapping[Key, Found]) -> list[list[Site]]:
    """Return LSTMs that read one another in pieces of several that run in the same directions, over equal lengths."""
    alike = groupby(chain, lambda site: (found[site.key].lstm.directions, site.input("sequence_lens")))
    return [part for _, same in alike if len(part := list(same)) > 1]


def _quietly(
    scope: Scope, node: Any, known: Mapping[str, _From], lstms: Mapping[Key, Found], sizes: Sizes
) -> _From | None:
    try:
        return _follow(scope, node, known, lstms, sizes)
    except (NotConstant, IndexError):
        return None


def _merged(found: Found, merges: set[str]) -> Found:
    """Return an LSTM whose directions are merged as in the graph, if it merges them in one manner only."""
    if "average" in merges:
        merges = merges - {"sum"}  # an intermediate step of it
    if len(merges) != 1 or not found.lstm.bidirectional:
        return found
    notes = tuple(one for one in found.notes if one != APART)
    return replace(found, lstm=LSTM.from_cells(found.lstm.layers, merge=next(iter(merges))), notes=notes)


def _stack(chain: Sequence[Site], found: Sequence[Found], below: Mapping[Key, _From]) -> Found | None:
    """Return stacked LSTMs as one of several layers; None where they do not make one."""
    merges = [below[site.key].what for site in chain[1:]] + [found[-1].lstm.merge[-1]]
    try:
        lstm = LSTM.from_cells(
            [one.lstm.layers[0] for one in found], direction=found[0].lstm.directions[0], merge=merges
        )
    except GatewiseError:
        return None
    notes = dict.fromkeys(note for one in found[:-1] for note in one.notes if note != APART)
    return Found(
        " → ".join(one.name for one in found),
        lstm,
        found[0].convention,
        ", ".join(one.where for one in found),
        tuple(notes | dict.fromkeys(found[-1].notes)),
        _state(found),
        found[0].batch_first,
        combines=tuple(one.name for one in found),
        warns=tuple(dict.fromkeys(text for one in found for text in one.warns)),
        eight_bits=any(one.eight_bits for one in found),
    )


def _state(found: Sequence[Found]) -> States | None:
    """Return the initial state of a stack; layers for which the file holds none start from zeros.

    None where no layer has one, or one is an input of the graph, which a note says.
    """
    given = [one.state[0] for one in found if one.state is not None]
    if not given or any(note.startswith(OUTSIDE) for one in found for note in one.notes):
        return None
    batch = len(given[0][0].h)

    def zeros(lstm: LSTM) -> tuple[State, ...]:
        zero = np.zeros((batch, lstm.hidden_size), lstm.dtype)
        return tuple(State(zero, zero) for _ in lstm.directions)

    return tuple(zeros(one.lstm) if one.state is None else one.state[0] for one in found)
