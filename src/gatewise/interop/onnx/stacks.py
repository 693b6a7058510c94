"""How the directions of an ONNX LSTM become one array again, and which LSTMs stand one upon another.

The operator puts out Y (time, direction, batch, hidden). Exporters bring the directions together with a few
operators; each name of a graph is followed through them, from Y on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gatewise.errors import GatewiseError
from gatewise.interop.found import Found
from gatewise.interop.onnx.constants import Attributes, NotConstant, Scope
from gatewise.interop.onnx.lstm import APART, Site
from gatewise.layers import LSTM
from gatewise.layers.settling import States

TALLEST = 256  # how many LSTMs may stand one upon another


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
    attributes = Attributes(node, scope.attributes)
    if attribute in attributes:
        found: list[float] | None = attributes.get(attribute, "ints")
        return found
    return _constant(scope, node.input[1]) if len(node.input) > 1 else None


def _follow(scope: Scope, node: Any, known: Mapping[str, _From], lstms: Mapping[int, Found]) -> _From | None:
    """Return what the first output of a node is of an LSTM's output, given what its inputs are."""
    given = [known.get(name) for name in node.input]
    first = next((one for one in given if one is not None), None)
    if first is None:
        return None
    site, what = first
    lstm = lstms[id(site.node)].lstm
    wide = len(lstm.directions) * lstm.hidden_size
    attributes = Attributes(node, scope.attributes)
    if node.op_type in ("Identity", "Dropout", "Cast"):
        return first
    if node.op_type == "Transpose" and what == "y" and attributes.get("perm", "ints") == [0, 2, 1, 3]:
        return _From(site, "turned")
    if node.op_type == "Reshape" and what == "turned":
        shape = _ints(scope, node, "shape")
        if shape is not None and len(shape) == 3 and shape[2] in (-1, wide):
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
    if node.op_type == "Mul" and what == "sum" and _constant(scope, node.input[1]) == [0.5]:
        return _From(site, "average")
    return None


def arranged(sites: Sequence[Site], found: Sequence[Found], outputs: Sequence[str]) -> tuple[list[Found], list[Found]]:
    """Return the LSTMs of single nodes with their merges, and those that stand one upon another as stacks.

    Parameters
    ----------
    sites, found : sequences of equal lengths
    outputs : sequence of str
        Of the main graph.
    """
    lstms = {id(site.node): one for site, one in zip(sites, found, strict=True) if not one.batch_first}
    of_scope: dict[int, tuple[Scope, list[Site]]] = {}
    for site in sites:
        if id(site.node) in lstms:
            of_scope.setdefault(id(site.scope), (site.scope, []))[1].append(site)
    ways: dict[int, str] = {}
    below: dict[int, _From] = {}
    for scope, here in of_scope.values():
        known = {site.node.output[0]: _From(site, "y") for site in here if site.node.output and site.node.output[0]}
        nodes = {id(site.node): site for site in here}
        for node in scope.nodes:
            if id(node) in nodes:
                if (feeds := known.get(node.input[0])) is not None and feeds.what in (
                    "concat",
                    "sum",
                    "mul",
                    "average",
                ):
                    below[id(node)] = feeds
                continue
            followed = _quietly(scope, node, known, lstms)
            if followed is not None and node.output:
                known[node.output[0]] = followed
                if followed.what in ("concat", "sum", "mul", "average"):
                    ways[id(followed.site.node)] = followed.what
        if scope.parent is None:
            for name in outputs:
                if name in known and known[name].what == "turned" and id(known[name].site.node) not in ways:
                    ways[id(known[name].site.node)] = "none"
    singles = [_merged(one, ways.get(id(site.node))) for site, one in zip(sites, found, strict=True)]
    by_node = {id(site.node): one for site, one in zip(sites, singles, strict=True)}
    carrying = {id(feeds.site.node) for feeds in below.values()}
    stacks = []
    for site in sites:
        if id(site.node) in below and id(site.node) not in carrying:
            chain = [site]
            while id(chain[0].node) in below and len(chain) < TALLEST:
                chain.insert(0, below[id(chain[0].node)][0])
            if (stack := _stack(chain, [by_node[id(one.node)] for one in chain], below)) is not None:
                stacks.append(stack)
    return singles, stacks


def _quietly(scope: Scope, node: Any, known: Mapping[str, _From], lstms: Mapping[int, Found]) -> _From | None:
    try:
        return _follow(scope, node, known, lstms)
    except (NotConstant, IndexError):
        return None


def _merged(found: Found, way: str | None) -> Found:
    """Return an LSTM whose directions are merged as the graph does it."""
    if way is None or not found.lstm.bidirectional:
        return found
    notes = tuple(one for one in found.notes if one != APART)
    return replace(found, lstm=LSTM.from_cells(found.lstm.layers, merge=way), notes=notes)


def _stack(chain: Sequence[Site], found: Sequence[Found], below: Mapping[int, _From]) -> Found | None:
    """Return several LSTMs of one direction or of two, one upon another, as one; None where they do not make one."""
    if id(chain[0].node) in below:  # taller, or one upon itself
        return None
    if len({one.lstm.directions for one in found}) > 1 or len({site.input("sequence_lens") for site in chain}) > 1:
        return None
    merges = [below[id(site.node)][1] for site in chain[1:]] + [found[-1].lstm.merge[-1]]
    try:
        lstm = LSTM.from_cells(
            [one.lstm.layers[0] for one in found], direction=found[0].lstm.directions[0], merge=merges
        )
    except GatewiseError:
        return None
    state: States | None = None
    if all(one.state is not None for one in found):
        state = tuple(one.state[0] for one in found if one.state is not None)
    return Found(
        " → ".join(one.name for one in found),
        lstm,
        found[0].convention,
        ", ".join(one.where for one in found),
        tuple(dict.fromkeys(note for one in found for note in one.notes)),
        state,
        found[0].batch_first,
    )
