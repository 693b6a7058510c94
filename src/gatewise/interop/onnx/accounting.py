"""The ledger of an ONNX file: what its LSTMs and layers are made of, and what is left out before and after them.

A layer uses every node between the names at which it was found to begin and to end, and the tensors that these read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatewise.errors import join_names, shown
from gatewise.interop.contents import Refused, StoredLSTM
from gatewise.interop.graphs import GraphNames
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import StoredCell
from gatewise.interop.onnx.chain import Chain
from gatewise.interop.onnx.edges import is_identity, trace_back
from gatewise.interop.onnx.file import OnnxFile
from gatewise.interop.onnx.lstm import is_zeros
from gatewise.interop.onnx.lstm_outputs import LstmOutput
from gatewise.interop.onnx.operators import OPERATORS
from gatewise.interop.onnx.parts import Part
from gatewise.interop.onnx.reach import AROUND, Reach, Root, argument_outside, defined_value, is_input, source_of
from gatewise.interop.onnx.scopes import INPUTS, SIZES, OnnxNode, OnnxValue
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.showing import with_article

Key = OnnxNode | OnnxValue  # a value is a tensor or an input of the graph
MOST = 3  # LSTMs that a reason names
ROLES_OF_RUNS = ("sequence_lens", "initial_h", "initial_c")
RUNS = {"state": "initial_state", "lengths": "sequence_lens"}  # entries of an LSTM, by the place of what gives them
RECURRENT = ("LSTM", "GRU", "RNN")
PLACES = {  # of a node that is left out: where it is, and what it would change
    "X": ("before", "it changes the numbers that the LSTM receives"),
    "state": ("on the way to the initial state of", "it makes the state that the LSTM starts from, here zeros"),
    "lengths": ("on the way to the lengths of", "it says after how many steps each sequence ends; here all are run"),
    "after": ("after", "it changes the numbers that the LSTM puts out"),
    AROUND: ("around", "it decides whether the LSTM runs, and how often"),
}
MOVES_BEFORE = ("Identity", "Squeeze", "Unsqueeze")
MOVES_AFTER = (*MOVES_BEFORE, *("Gather", "Slice", "Expand", "Reshape", "Transpose", "Split", "Flatten", "Concat"))


@dataclass(frozen=True)
class Extent:
    """The part of an ONNX graph from `ends` back to `stops`, which a layer of that name uses."""

    layer: str
    ends: Sequence[OnnxValue]
    stops: Collection[OnnxValue] = ()
    nodes: Sequence[OnnxNode] = ()  # others


def is_recurrent(node: OnnxNode) -> bool:
    """Say whether an ONNX node is a recurrent layer, of ONNX's own operators or by the name of another's."""
    operator = node.operator
    return operator in RECURRENT or (any(word in operator for word in RECURRENT) and not node.is_standard)


class Uses:
    """The layers that use the nodes, tensors and inputs of an ONNX model; the first that uses one has it."""

    def __init__(self, extents: Iterable[Extent]) -> None:
        self.layers: dict[Key, str] = {}
        self._keys: dict[str, dict[Key, None]] = {}
        for extent in extents:
            keys = self._keys.setdefault(extent.layer, {})
            for key in (*extent.nodes, *upstream(extent.ends, extent.stops)):
                self.layers.setdefault(key, extent.layer)
                keys[key] = None

    def entries(self, *layers: str) -> tuple[str, ...]:
        """Return the names of what layers of an ONNX model are made of."""
        names: dict[str, None] = {}
        for key in (key for layer in layers for key in self._keys.get(layer, ())):
            names[name_of(key)] = None
            if isinstance(key, OnnxNode) and is_recurrent(key):
                names |= {f"{name_of(key)}.{attribute.name}": None for attribute in key.proto.attribute}
        return tuple(names)


def extents_of(
    graph: LstmGraph,
    cells: Sequence[StoredCell],
    parts: Sequence[Part],
    chain: Chain | None,
    names: Mapping[OnnxNode, str],
) -> Iterator[Extent]:
    """Yield the parts of an ONNX model that its LSTMs, its layers and its network use.

    `names` has the name of each LSTM in the contents of the file, by its node or the last of its nodes.
    """
    held: dict[OnnxNode, list[tuple[str, LstmOutput]]] = {}
    for traced in graph.traced.values():
        for key, output in traced.items():
            held.setdefault(output.node, []).append((key, output))
    for node in graph.singles:
        yield from _extents_of_node(graph, node, names, held.get(node, []))
    for nodes, stack in graph.stacks.items():
        yield Extent(names[nodes[-1]], *_final_states(nodes, stack))
        known = stack.graph or GraphNames()
        for node, *given in zip(nodes, known.h0, known.c0, strict=True):
            roles = [role for role, name in zip(("initial_h", "initial_c"), given, strict=True) if name is not None]
            yield Extent(names[node], [OnnxValue(node.scope, node.input(role)) for role in roles])
    for cell in cells:
        yield _extent_of_cell(cell, names[cell.node])
        for value in (value for values in cell.reads.values() for value in values):
            source = source_of(value)
            yield Extent(names[cell.node], [value], [] if is_input(source) else [source])
    for part in parts:
        if part.layer.weight is not None:
            data = OnnxValue(part.node.scope, part.node.inputs[1 if part.layer.kind == "embedding" else 0])
            stops = [] if is_input(data) else [data]
            yield Extent(part.layer.name, [OnnxValue(part.node.scope, part.output)], stops)
    if chain is not None:
        top, bottom = chain.nodes[-1], chain.nodes[0]
        yield Extent(names[top], [OnnxValue(top.scope, chain.end)], graph.ends(top))
        yield Extent(names[bottom], [OnnxValue(bottom.scope, bottom.input("X"))])


def _extents_of_node(
    graph: LstmGraph, node: OnnxNode, names: Mapping[OnnxNode, str], held: Iterable[tuple[str, LstmOutput]]
) -> Iterator[Extent]:
    """Yield the parts of an ONNX model that an LSTM node uses: weights, what it reads, and where its output goes.

    `held` are the names that hold its output.
    """
    single, scope, name = graph.singles[node], node.scope, names[node]
    wanted = [role for role in INPUTS[1:] if role not in ROLES_OF_RUNS]
    known = single.graph or GraphNames()
    if known.lengths is not None:
        wanted.append("sequence_lens")
    for role, given in (("initial_h", known.h0[0]), ("initial_c", known.c0[0])):
        if given is not None or single.state is not None or is_zeros(scope, node.input(role)):
            wanted.append(role)
    yield Extent(name, [OnnxValue(scope, node.input(role)) for role in wanted], nodes=[node])
    if node in graph.unrolled:
        yield _extent_of_cell(graph.unrolled[node], name)
    x = OnnxValue(scope, node.input("X"))
    sources = [trace_back(scope, x.name, exchanges=True).source]
    if node in graph.below:
        sources = graph.ends(graph.below[node].node)
    elif is_input(sources[0]):
        sources = []
    yield Extent(name, [x], sources)
    results = [key for key, output in held if output.is_result(single.lstm.merge[-1])]
    yield Extent(name, [OnnxValue(scope, result) for result in results], graph.ends(node))
    yield Extent(name, *_final_states([node], single))


def _extent_of_cell(cell: StoredCell, name: str) -> Extent:
    """Return the part of an ONNX model that a cell of standard operators uses, with the Scan in whose body it is."""
    scope = cell.node.scope
    scan = [scope.owner] if scope.carried and scope.owner is not None else []
    return Extent(name, cell.ends, [value for values in cell.reads.values() for value in values], scan)


def nodes_of_cell(cell: StoredCell) -> list[OnnxNode]:
    """Return the nodes of an ONNX graph that compute a cell of standard operators, one that it puts out first."""
    extent = _extent_of_cell(cell, "")
    return [key for key in upstream(extent.ends, extent.stops) if isinstance(key, OnnxNode)]


def _final_states(nodes: Sequence[OnnxNode], stored: StoredLSTM) -> tuple[list[OnnxValue], list[OnnxValue]]:
    """Return the outputs of an ONNX graph that are an LSTM's final states, and those of its nodes."""
    known, scope = stored.graph or GraphNames(), nodes[0].scope
    ends = [OnnxValue(scope, name) for name in (*known.hn, *known.cn) if name is not None]
    return ends, [OnnxValue(scope, name) for node in nodes for name in node.outputs[1:3]]


def roots_of(graph: LstmGraph, cells: Sequence[StoredCell], names: Mapping[OnnxNode, str]) -> list[Root]:
    """Return the LSTMs of an ONNX model as the roots of the ways through it."""
    of_operators = [*cells, *graph.unrolled.values()]
    roots = [Root(names[cell.node], nodes_of_cell(cell), cell.reads) for cell in of_operators]
    for node in graph.singles.keys() - graph.unrolled.keys():
        reads = {"X": ["X"], "state": ["initial_h", "initial_c"], "lengths": ["sequence_lens"]}
        values = {key: [OnnxValue(node.scope, node.input(role)) for role in roles] for key, roles in reads.items()}
        roots.append(Root(names[node], [node], values))
    return roots


def upstream(ends: Iterable[OnnxValue], stops: Collection[OnnxValue] = ()) -> Iterator[Key]:
    """Yield what ONNX names are computed from: nodes, tensors and inputs; nothing before `stops`, or before sizes."""
    seen: set[Key] = {value for stop in stops if (value := defined_value(*stop)) is not None}
    left = [*ends]
    while left:
        value = defined_value(*left.pop())
        if value is None or value in seen:
            continue
        seen.add(value)
        scope, name = value
        if name not in scope.computed or name in scope.tensors:
            if (outer := argument_outside(scope, name)) is not None:
                left.append(outer)
            else:
                yield value
            continue
        node = scope.computed[name].node
        if node not in seen:
            seen.add(node)
            yield node
            if node.operator not in SIZES:
                left += [OnnxValue(scope, given) for given in node.inputs]


def name_of(key: Key) -> str:
    """Return the name of a node, a tensor or an input in the ledger of an ONNX file."""
    return key.full_label if isinstance(key, OnnxNode) else "/".join((*key.scope.path, key.name))


def entries_of(
    file: OnnxFile,
    nodes: Sequence[OnnxNode],
    uses: Uses,
    roots: Sequence[Root],
    refused: Mapping[OnnxNode, Refused],
    *,
    entire: bool = True,
) -> Iterator[LedgerEntry]:
    """Yield the ledger of an ONNX file: nodes, the attributes of those that are recurrent, tensors and inputs.

    Without `entire`, no more than what may concern an LSTM: the nodes, states and lengths that no layer uses.
    """
    main = file.scopes[0]
    listed = nodes if entire else [node for node in nodes if node not in uses.layers and node not in refused]
    reach = Reach(main, nodes if listed else (), roots)
    for node in listed:
        entry = _node_entry(node, uses, reach, refused)
        yield entry
        if is_recurrent(node):
            for attribute in node.proto.attribute:
                name = f"{entry.name}.{attribute.name}"
                yield LedgerEntry(name, "attribute", entry.layer, entry.reason, entry.effect)
    yield from {entry.name: entry for entry in _entries_of_runs(reach)}.values()
    for scope in file.scopes:
        for name in (*scope.tensors, *scope.sparse):
            if entire or reach.places_of_tensor(OnnxValue(scope, name)):
                yield _value_entry(OnnxValue(scope, name), "tensor", uses, reach)
    for name in main.arguments if entire else ():
        yield _value_entry(OnnxValue(main, name), "input", uses, reach)


def _node_entry(node: OnnxNode, uses: Uses, reach: Reach, refused: Mapping[OnnxNode, Refused]) -> LedgerEntry:
    """Return the entry of an ONNX node in the ledger."""
    name, kind = name_of(node), with_article(shown(node.operator))
    if (layer := uses.layers.get(node)) is not None:
        return LedgerEntry(name, "node", layer)
    if (problem := refused.get(node)) is not None:
        return LedgerEntry(name, "node", problem.name, problem.reason, f"{problem.name} cannot be read")
    places = reach.places_of(node)
    if not any(node.inputs) and node.is_standard and node.operator in OPERATORS:  # a constant
        places = reach.places_of_tensor(OnnxValue(node.scope, next(iter(node.outputs), "")))
        if not places:
            return LedgerEntry(name, "node", "", f"{kind} that no layer that is read has")
    for place, lstms in places.items():
        if not _only_moves(node, place, reach):
            words, effect = PLACES[place]
            reason = f"{kind} {words} {join_names(map(repr, lstms), 'and', most=MOST)}"
            return LedgerEntry(name, "node", "", reason, effect, lstms)
    if places:
        lstms = tuple(dict.fromkeys(lstm for place in places.values() for lstm in place))
        return LedgerEntry(name, "node", "", f"{kind} that only moves numbers of {join_names(lstms, 'and', most=MOST)}")
    reason = "on no way to or from an LSTM" if reach.is_alive(node) else "on which no output of the graph depends"
    return LedgerEntry(name, "node", "", f"{kind} {reason}")


def _entries_of_runs(reach: Reach) -> Iterator[LedgerEntry]:
    """Yield the initial states and the lengths of ONNX LSTMs that another recurrent node puts out."""
    for (scope, name), places in reach.sources.items():
        source = scope.computed.get(name)
        if source is None or name in scope.tensors or not (is_recurrent(source.node) or reach.is_root(source.node)):
            continue
        for place, lstms in places.items():
            for lstm in lstms:
                reason = f"it comes from {shown(source.node.full_label)!r}"
                yield LedgerEntry(f"{lstm}.{RUNS[place]}", "input", lstm, reason, PLACES[place][1], (lstm,))


def _only_moves(node: OnnxNode, place: str, reach: Reach) -> bool:
    """Say whether an ONNX node leaves the numbers as they are that it passes to or from an LSTM."""
    if not node.is_standard or place == AROUND:
        return False
    try:
        if is_identity(node) or (node.operator == "Cast" and place == "X" and reach.is_token(node)):
            return True
        if place == "after":
            of_lstm = [reach.comes_from_lstm(node.scope, name) for name in node.inputs]
            return node.operator in MOVES_AFTER and (all(of_lstm) if node.operator == "Concat" else of_lstm[0])
        if place == "X":
            swapped = node.operator == "Transpose" and node.attributes.get("perm", "ints")[:2] == [1, 0]
            return node.operator in MOVES_BEFORE or swapped
    except (NotConstant, IndexError, TypeError):
        return False
    return place == "state" and node.operator in MOVES_AFTER and reach.is_given(node)


def _value_entry(value: OnnxValue, kind: str, uses: Uses, reach: Reach) -> LedgerEntry:
    """Return the entry of a tensor or an input of an ONNX graph in the ledger."""
    name = name_of(value)
    if (layer := uses.layers.get(value)) is not None:
        return LedgerEntry(name, kind, layer)
    for place, lstms in reach.places_of_tensor(value).items() if kind == "tensor" else ():
        words = "the lengths" if place == "lengths" else "the initial state"
        reason = f"{words} of {join_names(map(repr, lstms), 'and', most=MOST)}"
        return LedgerEntry(name, kind, "", reason, PLACES[place][1], lstms)
    if value.name in value.scope.sparse:
        return LedgerEntry(name, kind, "", "it is sparse, which is not read")
    return LedgerEntry(name, kind, "", "no LSTM, and no layer that is read, reads it")
