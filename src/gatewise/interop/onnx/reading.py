"""The contents of an ONNX model: its LSTMs, those that are stacked as one, and the layers around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from gatewise import gates as gate_names
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, one_of, shown
from gatewise.files.budget import Budget
from gatewise.interop.contents import Contents, Refused, StoredLSTM, check_options, with_distinct_names
from gatewise.interop.graphs import BATCH_FIRST
from gatewise.interop.ledger import Item, OnDemand
from gatewise.interop.onnx.accounting import Account, is_recurrent, name_of
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import StoredCell, cell_at, unrecognised_cells
from gatewise.interop.onnx.chain import ChainWalk, follow_input, refusing_by_name
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.graph_names import graph_input
from gatewise.interop.onnx.lstm import QUANTISED_OPERATOR, read_node
from gatewise.interop.onnx.named_layers import NamedNodes
from gatewise.interop.onnx.parts import Part, parts_of
from gatewise.interop.onnx.reach import Key, upstream
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope, OnnxValue, nodes_of
from gatewise.interop.onnx.sizes import Sizes
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.interop.onnx.unrolled import unrolled_lstms
from gatewise.interop.refusals import reading

PRODUCER = "gatewise"
GATES = (*gate_names.NAMES, "cell_state", "hidden_state")  # with which outputs of gatewise's begin beside Y
CLIPS = ("gates", "all")
STEPS = 200  # of work that one LSTM takes, besides its numbers


def read_model(
    model: Any,
    source: Path | None,
    omitted: Mapping[str, Any],
    budget: Budget,
    kept_out: Sequence[memoryview] = (),
    *,
    single: bool = False,
) -> tuple[Contents, list[OnnxNode]]:
    """Return the contents of an ONNX model, and its LSTMs' nodes; with `single`, stacked ones are not combined."""
    path = "the model" if source is None else str(source)
    tensors = {proto.name for proto in model.graph.initializer}
    names = sorted((proto.name for proto in model.graph.input), key=lambda name: name in tensors)
    arrays, clip = split_options(path, omitted, names)
    outputs = dict.fromkeys(proto.name for proto in model.graph.output)
    gates = [name for name in outputs if model.producer_name == PRODUCER and name.startswith(GATES)]
    outputs = dict.fromkeys(name for name in outputs if name not in gates)
    file = OnnxFile(model, source, arrays, budget, kept_out, clip)

    def on_demand(make: Callable[[], Iterable[Item]], *left_out: Callable[[], Iterable[Item]]) -> OnDemand[Item]:
        def checked(make: Callable[[], Iterable[Item]]) -> list[Item]:
            with reading(path, GatewiseError):
                return [*make()]

        return OnDemand(*(partial(checked, each) for each in (make, *left_out)))

    def entries(*layers: str) -> OnDemand[str]:
        return on_demand(lambda: account.entries(*layers))

    with reading(path, GatewiseError), np.errstate(all="ignore"):  # NaN and infinity are kept
        nodes, sizes = list(nodes_of(file)), Sizes()
        main = file.scopes[0]
        needed = {*upstream(OnnxValue(main, name) for name in outputs)} if gates else set()
        keys: list[Key] = [*nodes, *(OnnxValue(main, name) for name in main.tensors)] if gates else []
        of_gates = {key for key in keys if key not in needed and key.scope.owner not in needed}
        read = [node for node in nodes if node not in of_gates]
        unrolled = {} if single else unrolled_lstms(file.scopes[0], sizes)
        steps = {node for cell in unrolled.values() for node in cell.nodes}
        others = [node for node in read if node not in steps or node in unrolled]
        lstms = _read_lstms(others, budget, unrolled)
        graph = LstmGraph(lstms.of_nodes, outputs, budget, unrolled, sizes)
        refused = (*lstms.refused, *unrecognised_cells(others, lstms.scopes))
        parts = parts_of(read, outputs, entries, steps)
        named = _named_nodes(model, graph, lstms, parts, stacks_all=not refused, single=single)
        named = replace(named, of_gates=of_gates)
        every = [*named.lstms.values()]
        connected = graph.sole is not None and not refused and not single
        connected = connected and (len(every) == 1 or every[-1].stacked)
        account = Account(file, nodes, named, lstms.refused_nodes, connected=connected)
    layers = {part.layer.name: part.layer for part in reversed(parts)}
    contents = Contents(
        path,
        _format_in_words(model, file),
        tuple(replace(stored, entries=entries(*named.names_in(stored.name))) for stored in every),
        tuple(reversed(layers.values())),
        refused,
        (lambda: named.chain.network()) if connected else None,
        joined=named.network,
        inputs=tuple(graph_input(proto, every) for proto in model.graph.input if proto.name not in tensors),
        ledger=on_demand(account.ledger, account.left_out),
        outputs=tuple(outputs)[: 1 if model.producer_name == PRODUCER else None],  # its others are gates and states
    )
    return contents, [*lstms.of_nodes]


def split_options(path: str, options: Mapping[str, Any], names: Sequence[str]) -> tuple[dict[str, AnyArray], str]:
    """Return the arrays of a model's inputs among a reader's options, and what the attribute clip bounds."""
    clip = options.get("clip", "gates")
    if "clip" not in names or isinstance(clip, str):
        one_of("clip", clip, CLIPS)
        options = {name: value for name, value in options.items() if name != "clip"}
    check_options(path, options, (*names, "clip"))
    return {name: input_array(name, array) for name, array in options.items()}, clip


def _named_nodes(
    model: Any, graph: LstmGraph, lstms: _ReadLstms, parts: Sequence[Part], *, stacks_all: bool, single: bool
) -> NamedNodes:
    """Return the LSTMs of an ONNX model as its contents list them, each with its nodes.

    `stacks_all` says whether a stack may stand for all of them, `single` that there are to be no stacks.
    """
    singles = [*graph.singles.values(), *(cell.stored for cell in lstms.cells)]
    stacks = {} if single else dict(graph.stacks)
    if len(stacks) == 1 and len(singles) == next(iter(stacks.values())).lstm.num_layers:
        if model.producer_name == PRODUCER:  # gatewise wrote it as one LSTM
            singles, stacks = [], {nodes: replace(stack, name="lstm") for nodes, stack in stacks.items()}
        else:
            stacks = {nodes: replace(stack, stacked=stacks_all) for nodes, stack in stacks.items()}
    walk_before = cache(partial(follow_input, sizes=graph.sizes))
    every = with_distinct_names([*singles, *stacks.values()])
    bottoms = [*([node] for node in graph.singles if singles), *([] for _ in lstms.cells if singles), *stacks]
    every = tuple(_with_input_axes(stored, nodes, walk_before) for stored, nodes in zip(every, bottoms, strict=True))
    ends = [*graph.singles, *(cell.node for cell in lstms.cells)]
    names = {node: every[number].name if singles else every[0].name for number, node in enumerate(ends)}
    nodes: dict[str, Sequence[OnnxNode]] = {names[node]: [node] for node in graph.singles}
    nodes |= {stored.name: members for stored, members in zip(every[len(singles) :], stacks, strict=True)}
    cells = {names[cell.node]: cell for cell in lstms.cells}
    return NamedNodes(graph, {stored.name: stored for stored in every}, names, nodes, cells, parts, walk_before)


def _with_input_axes(
    stored: StoredLSTM, nodes: Sequence[OnnxNode], walk_before: Callable[[OnnxNode], ChainWalk]
) -> StoredLSTM:
    """Return an LSTM whose names in the ONNX graph say which axes an input has that goes through layers before it."""
    names = stored.graph
    if names is None or names.x is not None or not nodes:
        return stored

    def is_batch_first() -> bool:
        try:
            with refusing_by_name(), np.errstate(all="ignore"):
                return (walk_before(nodes[0]).layout == BATCH_FIRST) != bool(stored.batch_first)
        except FileError:
            return names.x_batch_first

    named = replace(names, x_batch_first=is_batch_first)  # type: ignore[arg-type]  # as `FlagOnDemand` takes it
    return replace(stored, graph=named)


def _format_in_words(model: Any, file: OnnxFile) -> str:
    """Return the format of a model in words, with its producer."""
    producer = " ".join(text for text in (model.producer_name, model.producer_version) if text)
    return f"ONNX, opset {file.opset}" + (f", by {shown(producer, 80)}" if producer else "")


def input_array(name: str, value: Any) -> AnyArray:
    """Return the array that a caller gives for an ONNX model's input; OptionError if it holds no real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise OptionError(f"{name} must be an array whose rows have equal lengths") from None
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise OptionError(f"{name} must hold real numbers, not {array.dtype}")
    return array


@dataclass(eq=False)
class _ReadLstms:
    """The LSTMs of a model: of single nodes, of standard operators, those that cannot be read.

    `scopes` are those with operators that were read, or refused, as a cell.
    """

    of_nodes: dict[OnnxNode, StoredLSTM] = field(default_factory=dict)
    cells: list[StoredCell] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    refused_nodes: dict[OnnxNode, Refused] = field(default_factory=dict)
    scopes: set[OnnxScope] = field(default_factory=set)

    def refuse(self, node: OnnxNode, name: str, reason: str) -> None:
        """Refuse an ONNX node as an LSTM of that name."""
        self.refused.append(Refused(name, reason, (name_of(node),)))
        self.refused_nodes[node] = self.refused[-1]


def _read_lstms(nodes: Sequence[OnnxNode], budget: Budget, unrolled: Mapping[OnnxNode, StoredCell]) -> _ReadLstms:
    """Read every recurrent ONNX node, and every Mul that ends an LSTM cell of standard operators.

    `unrolled` are the LSTMs whose steps stand one after another.
    """
    lstms = _ReadLstms()
    labels = Counter(node.label for node in nodes if is_recurrent(node))
    budget.work(STEPS * labels.total(), "reading its recurrent nodes")
    for node in nodes:
        recurrent = is_recurrent(node)
        if node in unrolled:
            lstms.of_nodes[node] = unrolled[node].stored
        if not recurrent and node.operator != "Mul":
            continue
        name = node.label if labels[node.label] < 2 else node.full_label
        try:
            if recurrent and _is_known(node):
                lstms.of_nodes[node] = read_node(node, name)
            elif recurrent:
                lstms.refuse(node, name, _refusal_reason(node))
            elif (cell := cell_at(node, name)) is not None:
                lstms.cells.append(cell)
                lstms.scopes.add(node.scope)
        except CapacityError:
            raise
        except (NotConstant, GatewiseError) as problem:
            kind = "its LSTM" if recurrent else "its LSTM of standard operators"
            lstms.refuse(node, name, f"{kind} cannot be read: {problem}")
            lstms.scopes.add(node.scope)
        except MemoryError:
            raise CapacityError(f"{name} would take more memory than is available") from None
    return lstms


def _is_known(node: OnnxNode) -> bool:
    """Say whether an ONNX node is an LSTM of ONNX's own operator, or of onnxruntime's quantised one."""
    return node.operator == "LSTM" if node.is_standard else (node.operator, node.proto.domain) == QUANTISED_OPERATOR


def _refusal_reason(node: OnnxNode) -> str:
    """Return the reason why a recurrent ONNX node that is no LSTM is refused."""
    if node.operator in ("GRU", "RNN") and node.is_standard:
        return f"it is a {node.operator}, not an LSTM"
    return f"it is an operator {shown(node.operator)} of {shown(node.proto.domain)}, which is unknown"
