"""The network of a file whose whole model is read as a graph of operations."""

from __future__ import annotations

from collections.abc import Sequence

from gatewise.errors import FileError, GatewiseError, shown
from gatewise.interop.contents import Contents, not_finite_sentence
from gatewise.interop.ledger import LedgerEntry
from gatewise.network.graph import Graph, Node
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.written_cells import with_lstm_nodes


def graph_network(contents: Contents, *, strict: bool = False, complete: bool = False) -> GraphNetwork:
    """Return the network of a file, as a graph.

    Operations that gatewise lacks are part of it: what needs their values is refused when it is asked for.

    Parameters
    ----------
    contents : Contents
    strict : bool
        Refuse a graph with any operation that gatewise lacks, and weights that its runtime uses in a lower precision.
    complete : bool
        Refuse a graph with any output that cannot be computed.

    Raises
    ------
    FileError
        If the file cannot be read as a graph; if nothing of it can be computed; or if `strict` or `complete` refuses.
    """
    if contents.graph is None:
        raise FileError(f"{contents.path} ({contents.format}) does not say how its layers are connected")
    graph = with_lstm_nodes(contents.graph())
    unknown = blocked(graph)
    useless = all(value in unknown for value in graph.outputs) and not any(
        name not in unknown for node in graph.nodes if node.op == "lstm" for name in node.outputs
    )
    is_incomplete = complete and any(value in unknown for value in graph.outputs)
    if unknown and (strict or is_incomplete or useless or not graph.nodes):
        node = next(iter(unknown.values()))
        why = f"{node.title}: {node.settings['kind']} is not supported: {node.settings['why']}"
        raise FileError(f"cannot read {contents.path}: {why}")
    for stored in contents.lstms if strict else ():
        if stored.warns:
            raise FileError(f"cannot read {stored.name!r} in {contents.path} with strict=True: {stored.warns[0]}")
    network = GraphNetwork(graph)
    network.provenance = next((stored.lstm.provenance for stored in contents.lstms), None)
    return network


def graph_ledger(contents: Contents) -> Sequence[LedgerEntry]:
    """Return the ledger of a file as its graph has it: what no node uses is left out, and what gatewise lacks.

    If the graph cannot be read, it is the ledger of the LSTMs alone.
    """
    if contents.graph is None:
        return contents.ledger
    try:
        graph = contents.graph()
    except GatewiseError:
        return contents.ledger
    lacking = {name: node for node in graph.nodes if node.op == "unknown" for name in (node.name, node.layer) if name}
    layers = {node.layer for node in graph.nodes}
    entries = []
    for entry in contents.ledger:
        node = lacking.get(entry.name)
        if node is not None:
            reason = f"gatewise lacks {node.settings['kind']}: {node.settings['why']}"
            entry = entry._replace(reason=shown(reason, 300), effect="nothing that needs its value can run")
        elif entry.effect and (entry.kind != "tensor" or entry.name in graph.constants or entry.layer in layers):
            entry = entry._replace(layer=entry.layer or entry.name, reason="", effect="", lstms=())
        entries.append(entry)
    return entries


def cautions(contents: Contents) -> list[str]:
    """Return sentences to read before the numbers of a graph are used: weights that are not finite, or quantised."""
    sentences = []
    for stored in contents.lstms:
        sentences += [not_finite_sentence(stored.name, stored.non_finite)] if stored.non_finite else []
        sentences += [f"{stored.name}: {text}" for text in stored.warns]
    return [f"{contents.path}: {text}" for text in dict.fromkeys(sentences)]


def blocked(graph: Graph) -> dict[str, Node]:
    """Return the values that cannot be computed, each with the first unknown operation that it needs.

    A value that is chosen as the model runs is not among them, since the other side may be chosen.
    """
    result: dict[str, Node] = {}
    for node in graph.nodes:
        reads = node.inputs[:1] if node.op == "choose" else node.inputs
        cause = node if node.op == "unknown" else next((result[name] for name in reads if name in result), None)
        if cause is not None:
            result |= dict.fromkeys(node.outputs, cause)
    return result
