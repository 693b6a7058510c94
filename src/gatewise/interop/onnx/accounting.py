"""The ledger of an ONNX file: what its LSTMs and layers are made of, and what is left out before and after them.

A layer uses every node between the names at which it was found to begin and to end, and the tensors that these read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

from gatewise.errors import FileError, join_names, shown
from gatewise.interop.contents import Refused
from gatewise.interop.graphs import GraphNames
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import StoredCell
from gatewise.interop.onnx.edges import is_identity, trace_sequence
from gatewise.interop.onnx.file import OnnxFile
from gatewise.interop.onnx.lstm import is_zeros
from gatewise.interop.onnx.named_layers import NamedNodes
from gatewise.interop.onnx.operators import MOVING, OPERATORS
from gatewise.interop.onnx.reach import AROUND, Key, Reach, Root, source_of, upstream
from gatewise.interop.onnx.scopes import INPUTS, OnnxNode, OnnxValue
from gatewise.showing import with_article

MOST = 3  # LSTMs that a reason names
STATES = ("initial_h", "initial_c")
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
MOVES_AFTER = {*MOVING, "Flatten", "Concat"} - {"Cast"}


class Extent(NamedTuple):
    """The part of an ONNX graph from `ends` back to `stops`, which a layer of that name uses."""

    layer: str
    ends: Iterable[OnnxValue] = ()
    stops: Iterable[OnnxValue] = ()
    others: Sequence[Key] = ()


def is_recurrent(node: OnnxNode) -> bool:
    """Say whether an ONNX node is a recurrent layer, of ONNX's own operators or by the name of another's."""
    operator = node.operator
    return operator in RECURRENT or (not node.is_standard and any(word in operator for word in RECURRENT))


def name_of(key: Key) -> str:
    """Return the name of a node, a tensor or an input in the ledger of an ONNX file."""
    return key.full_label if isinstance(key, OnnxNode) else "/".join((*key.scope.path, key.name))


def _extents_of(named: NamedNodes) -> Iterator[Extent]:
    """Yield the parts of an ONNX model that its LSTMs and its layers use."""
    graph, names = named.graph, named.names
    results: dict[OnnxNode, list[OnnxValue]] = {}
    for scope, traced in graph.traced.items():
        for name, output in traced.items():
            if output.is_result(graph.singles[output.node].lstm.merge[-1]):
                results.setdefault(output.node, []).append(OnnxValue(scope, name))
    for node, single in graph.singles.items():
        known = single.graph or GraphNames()
        given = {"sequence_lens": known.lengths, "initial_h": known.h0[0], "initial_c": known.c0[0]}
        wanted = [role for role in INPUTS[1:] if given.get(role, role) is not None]
        wanted += ["sequence_lens"] * (single.lengths is not None)
        wanted += [role for role in STATES if single.state is not None or is_zeros(node.scope, node.input(role))]
        yield Extent(names[node], _inputs(node, wanted), others=[node])
        if node in graph.unrolled:
            yield _extent_of_cell(names[node], graph.unrolled[node])
        (x,), lower = _inputs(node, ["X"]), graph.below.get(node)
        sources = [trace_sequence(*x).source] if lower is None else graph.ends(lower.node)
        yield Extent(names[node], [x], sources)
        yield Extent(names[node], [*results.get(node, ()), *_final_states(node, known)], graph.ends(node))
    for nodes, stack in graph.stacks.items():
        known = stack.graph or GraphNames()
        ends = [end for node in nodes for end in graph.ends(node)]
        yield Extent(names[nodes[-1]], _final_states(nodes[0], known), ends)
        for node, *states in zip(nodes, known.h0, known.c0, strict=True):
            roles = [role for role, state in zip(STATES, states, strict=True) if state is not None]
            yield Extent(names[node], _inputs(node, roles))
    for name, cell in named.cells.items():
        yield _extent_of_cell(name, cell)
        yield from (Extent(name, [value], [source_of(value)]) for values in cell.reads.values() for value in values)
    for part in named.parts:
        if part.layer.weight is not None:
            yield Extent(part.layer.name, [OnnxValue(part.node.scope, part.output)], [part.data])
    yield from (Extent(name, others=[*named.of_gates]) for name in [*names.values()][:1])


def _extents_of_chain(named: NamedNodes) -> Iterator[Extent]:
    """Yield the parts of an ONNX model that the network of its LSTM uses, besides those of its layers."""
    chain = named.chain
    bottom, top = chain.nodes[0], chain.nodes[-1]
    yield Extent(named.names[top], [OnnxValue(top.scope, chain.end)], named.graph.ends(top))
    yield Extent(named.names[bottom], _inputs(bottom, ["X"]))


def _extent_of_cell(name: str, cell: StoredCell) -> Extent:
    """Return the part of an ONNX model that a cell of standard operators uses, with the Scan in whose body it is."""
    scope = cell.node.scope
    scan = [scope.owner] if scope.carried and scope.owner is not None else []
    return Extent(name, others=[*scan, *cell.keys])


def _inputs(node: OnnxNode, roles: Iterable[str]) -> list[OnnxValue]:
    """Return the names that an ONNX LSTM reads in some roles."""
    return [OnnxValue(node.scope, node.input(role)) for role in roles]


def _final_states(node: OnnxNode, known: GraphNames) -> list[OnnxValue]:
    """Return the outputs of an ONNX graph that are an LSTM's final states, given one of its nodes."""
    return [OnnxValue(node.scope, name) for name in (*known.hn, *known.cn) if name is not None]


def _roots(named: NamedNodes) -> Iterator[Root]:
    """Yield the LSTMs of an ONNX model as the roots of the ways through it."""
    for cell in (*named.cells.values(), *named.graph.unrolled.values()):
        yield Root(named.names[cell.node], cell.nodes, cell.reads)
    roles = {"X": ["X"], "state": STATES, "lengths": ["sequence_lens"]}
    for node in named.graph.singles:
        if node not in named.graph.unrolled:
            yield Root(named.names[node], [node], {place: _inputs(node, names) for place, names in roles.items()})


class Uses:
    """The layers that use the nodes, tensors and inputs of an ONNX model; the first that uses one has it."""

    def __init__(self) -> None:
        self.layers: dict[Key, str] = {}
        self.keys: dict[str, dict[Key, None]] = {}

    def add(self, extents: Iterable[Extent]) -> None:
        """Add the parts of an ONNX model that layers use."""
        for extent in extents:
            keys = self.keys.setdefault(extent.layer, {})
            for key in (*extent.others, *upstream(extent.ends, extent.stops)):
                self.layers.setdefault(key, extent.layer)
                keys[key] = None


@lru_cache
def _in_words(place: str, lstms: Sequence[str]) -> str:
    """Return a place in an ONNX model with the LSTMs to which it is related, some of them by name."""
    return f"{place} {join_names(map(repr, lstms), 'and', most=MOST)}"


class Account:
    """The ledger of an ONNX model, made as far as it is asked for.

    `refused` are its recurrent nodes that cannot be read; `connected` says whether the whole graph may be a chain.
    """

    def __init__(
        self,
        file: OnnxFile,
        nodes: Sequence[OnnxNode],
        named: NamedNodes,
        refused: Mapping[OnnxNode, Refused],
        *,
        connected: bool,
    ) -> None:
        self._file, self._nodes, self._named, self._refused, self._connected = file, nodes, named, refused, connected
        self._name_of = cache(name_of)

    def entries(self, *layers: str) -> tuple[str, ...]:
        """Return the names of what layers of an ONNX model are made of."""
        names: dict[str, None] = {}
        for key in (key for layer in layers for key in self._uses.keys.get(layer, ())):
            name = self._name_of(key)
            names[name] = None
            if isinstance(key, OnnxNode) and is_recurrent(key):
                names |= {f"{name}.{attribute.name}": None for attribute in key.proto.attribute}
        return tuple(names)

    def ledger(self) -> Iterator[LedgerEntry]:
        """Yield the ledger: nodes, the attributes of those that are recurrent, tensors and inputs."""
        main, uses = self._file.scopes[0], self._uses
        for node in self._nodes:
            yield from self._node_entries(node, uses)
        yield from self._state_entries()
        tensors = (OnnxValue(scope, name) for scope in self._file.scopes for name in (*scope.tensors, *scope.sparse))
        yield from (self._value_entry(tensor, "tensor", uses) for tensor in tensors)
        yield from (self._value_entry(OnnxValue(main, name), "input", uses) for name in main.arguments)

    def left_out(self) -> Iterator[LedgerEntry]:
        """Yield what of the ledger may concern an LSTM: nodes, states and lengths that no layer uses."""
        if any(entry.lstms for entry in self._entries_left_out(self._uses_of_layers)):
            yield from self._entries_left_out(self._uses)  # only then, since following a chain takes a while

    def _entries_left_out(self, uses: Uses) -> Iterator[LedgerEntry]:
        """Yield what of an ONNX model's ledger may concern an LSTM, given what layers use."""
        for node in self._nodes:
            if node not in uses.layers and node not in self._refused:
                yield from self._node_entries(node, uses)
        yield from self._state_entries()
        tensors = (value for value in self._sources if value.name in (*value.scope.tensors, *value.scope.sparse))
        yield from (self._value_entry(tensor, "tensor", uses) for tensor in tensors)

    @cached_property
    def _uses_of_layers(self) -> Uses:
        """What the LSTMs and other layers of an ONNX model use, without what is between them."""
        uses = Uses()
        uses.add(_extents_of(self._named))
        return uses

    @cached_property
    def _uses(self) -> Uses:
        """What the LSTMs, other layers and the network of an ONNX model use."""
        uses = self._uses_of_layers
        with suppress(FileError):
            uses.add(_extents_of_chain(self._named) if self._connected else ())
        return uses

    @cached_property
    def _roots(self) -> list[Root]:
        return [*_roots(self._named)]

    @cached_property
    def _sources(self) -> dict[OnnxValue, dict[str, tuple[str, ...]]]:
        """The values that are initial states and lengths, with their LSTMs by the place."""
        sources: dict[OnnxValue, dict[str, tuple[str, ...]]] = {}
        for root in self._roots:
            for place in RUNS:
                given = [value for value in root.reads.get(place, ()) if value.name]
                for places in (sources.setdefault(source_of(value), {}) for value in given):
                    places[place] = tuple(dict.fromkeys((*places.get(place, ()), root.name)))
        return sources

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._file.scopes[0], self._nodes, self._roots)

    def _node_entries(self, node: OnnxNode, uses: Uses) -> Iterator[LedgerEntry]:
        """Yield the entry of an ONNX node in the ledger, and those of its attributes if it is recurrent."""
        name, layer, problem = self._name_of(node), uses.layers.get(node), self._refused.get(node)
        if layer is not None:
            entry = LedgerEntry(name, "node", layer)
        elif problem is not None:
            entry = LedgerEntry(name, "node", problem.name, problem.reason, f"{problem.name} cannot be read")
        else:
            entry = LedgerEntry(name, "node", "", *self._reason(node))
        yield entry
        if is_recurrent(node):
            for attribute in node.proto.attribute:
                yield entry._replace(name=f"{name}.{attribute.name}", kind="attribute", lstms=())

    def _reason(self, node: OnnxNode) -> tuple[str, str, tuple[str, ...]] | tuple[str]:
        """Return why no layer uses an ONNX node, and where that changes an LSTM's numbers, how, and of which."""
        kind, reach = with_article(shown(node.operator)), self._reach
        is_constant = not any(node.inputs) and node.is_standard and node.operator in OPERATORS
        if is_constant:
            places = self._sources.get(OnnxValue(node.scope, next(iter(node.outputs), "")), {})
        else:
            places = reach.places_of(node)
        for place, lstms in places.items():
            if not self._only_moves(node, place):
                return f"{kind} {_in_words(PLACES[place][0], lstms)}", PLACES[place][1], lstms
        if places:
            moved = dict.fromkeys(lstm for lstms in places.values() for lstm in lstms)
            return (f"{kind} that only moves numbers of {join_names(moved, 'and', most=MOST)}",)
        reason = "on no way to or from an LSTM" if reach.is_alive(node) else "on which no output of the graph depends"
        return (f"{kind} {'that no layer that is read has' if is_constant else reason}",)

    def _state_entries(self) -> Iterator[LedgerEntry]:
        """Yield the initial states and the lengths of ONNX LSTMs that another recurrent node puts out."""
        inner = {node for root in self._roots for node in root.nodes}
        entries: dict[str, LedgerEntry] = {}
        for value, places in self._sources.items():
            source = value.scope.source(value.name)
            if source is None or not (is_recurrent(source.node) or source.node in inner):
                continue
            for place, lstms in places.items():
                for lstm in lstms:
                    name, reason = f"{lstm}.{RUNS[place]}", f"it comes from {shown(source.node.full_label)!r}"
                    entries[name] = LedgerEntry(name, "input", lstm, reason, PLACES[place][1], (lstm,))
        yield from entries.values()

    def _only_moves(self, node: OnnxNode, place: str) -> bool:
        """Say whether an ONNX node leaves the numbers as they are that it passes to or from an LSTM."""
        reach, operator = self._reach, node.operator
        if not node.is_standard or place == AROUND:
            return False
        try:
            if is_identity(node) or (operator == "Cast" and place == "X" and reach.is_token(node)):
                return True
            if place == "after":
                of_lstm = [reach.mask_after(node.scope, name) > 0 for name in node.inputs]
                return operator in MOVES_AFTER and (all(of_lstm) if operator == "Concat" else of_lstm[0])
            if place == "X":
                swapped = operator == "Transpose" and node.attributes.get("perm", "ints")[:2] == [1, 0]
                return operator in MOVES_BEFORE or swapped
        except (NotConstant, IndexError, TypeError):
            return False
        return place == "state" and operator in MOVES_AFTER and reach.is_given(node)

    def _value_entry(self, value: OnnxValue, kind: str, uses: Uses) -> LedgerEntry:
        """Return the entry of a tensor or an input of an ONNX graph in the ledger."""
        name = self._name_of(value)
        if (layer := uses.layers.get(value)) is not None:
            return LedgerEntry(name, kind, layer)
        for place, lstms in self._sources.get(value, {}).items() if kind == "tensor" else ():
            reason = _in_words("the lengths of" if place == "lengths" else "the initial state of", lstms)
            return LedgerEntry(name, kind, "", reason, PLACES[place][1], lstms)
        if value.name in value.scope.sparse:
            return LedgerEntry(name, kind, "", "it is sparse, which is not read")
        return LedgerEntry(name, kind, "", "no LSTM, and no layer that is read, reads it")
