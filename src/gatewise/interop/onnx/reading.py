"""The contents of an ONNX model: its LSTMs, those that are stacked as one, and the layers around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import CapacityError, GatewiseError, OptionError, shown
from gatewise.files.budget import Budget
from gatewise.interop.contents import Contents, Refused, StoredLSTM, check_options, with_distinct_names
from gatewise.interop.onnx import chain
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.cells import cell_at, unrecognised_cells
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.graph_names import graph_input
from gatewise.interop.onnx.lstm import QUANTISED, read_node
from gatewise.interop.onnx.parts import parts_of
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope, nodes_of
from gatewise.interop.onnx.stacks import LstmGraph
from gatewise.interop.refusals import reading

PRODUCER = "gatewise"
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
    names = [proto.name for proto in model.graph.input]
    check_options(path, omitted, tuple(sorted(names, key=lambda name: name in tensors)))
    outputs = dict.fromkeys(proto.name for proto in model.graph.output)
    arrays = {name: _input_array(name, array) for name, array in omitted.items()}
    file = OnnxFile(model, source, arrays, budget, kept_out)
    with reading(path, GatewiseError), np.errstate(all="ignore"):  # NaN and infinity are kept
        nodes = list(nodes_of(file))
        lstms = _read_lstms(nodes, budget)
        graph = LstmGraph(lstms.of_nodes, outputs, budget)
        refused = (*lstms.refused, *unrecognised_cells(nodes, lstms.scopes))
        parts = parts_of(nodes, outputs)
    singles = [*graph.singles.values(), *lstms.cells]
    stacks = [] if single else [*graph.stacks.values()]
    if len(stacks) == 1 and stacks[0].lstm.num_layers == len(singles) and not refused:
        stacks = [replace(stacks[0], stacked=True)]
    if model.producer_name == PRODUCER and len(stacks) == 1 and len(singles) == stacks[0].lstm.num_layers:
        singles, stacks = [], [replace(stacks[0], name="lstm", stacked=False)]  # gatewise wrote it as one LSTM
    every, network = with_distinct_names([*singles, *stacks]), None
    if graph.sole is not None and not refused and not single and (len(every) == 1 or every[-1].stacked):
        network = partial(chain.network, graph, graph.sole, every[-1])
    inputs = tuple(graph_input(proto, every) for proto in model.graph.input if proto.name not in tensors)
    words = _format_in_words(model, file)
    return Contents(path, words, every, parts, refused, network, inputs=inputs), [*lstms.of_nodes]


def _format_in_words(model: Any, file: OnnxFile) -> str:
    """Return the format of a model in words, with its producer."""
    producer = " ".join(text for text in (model.producer_name, model.producer_version) if text)
    return f"ONNX, opset {file.opset}" + (f", by {shown(producer, 80)}" if producer else "")


def _input_array(name: str, value: Any) -> AnyArray:
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
    cells: list[StoredLSTM] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    scopes: set[OnnxScope] = field(default_factory=set)


def _read_lstms(nodes: Sequence[OnnxNode], budget: Budget) -> _ReadLstms:
    """Read every recurrent ONNX node, and every Mul that ends an LSTM cell of standard operators."""
    lstms = _ReadLstms()
    labels = Counter(node.label for node in nodes if _is_recurrent(node))
    budget.work(STEPS * labels.total(), "reading its recurrent nodes")
    for node in nodes:
        recurrent = _is_recurrent(node)
        if not recurrent and node.operator != "Mul":
            continue
        name = node.label if labels[node.label] < 2 else node.full_label
        try:
            if recurrent and node.operator in ("LSTM", QUANTISED):
                lstms.of_nodes[node] = read_node(node, name)
            elif recurrent:
                lstms.refused.append(Refused(name, _refusal_reason(node)))
            elif (cell := cell_at(node, name)) is not None:
                lstms.cells.append(cell)
                lstms.scopes.add(node.scope)
        except CapacityError:
            raise
        except (NotConstant, GatewiseError) as problem:
            kind = "its LSTM" if recurrent else "its LSTM of standard operators"
            lstms.refused.append(Refused(name, f"{kind} cannot be read: {problem}"))
            lstms.scopes.add(node.scope)
        except MemoryError:
            raise CapacityError(f"{name} would take more memory than is available") from None
    return lstms


def _is_recurrent(node: OnnxNode) -> bool:
    if node.is_standard:
        return node.operator in ("LSTM", "GRU", "RNN")
    return any(word in node.operator for word in ("LSTM", "GRU", "RNN"))


def _refusal_reason(node: OnnxNode) -> str:
    """Return the reason why a recurrent ONNX node that is no LSTM is refused."""
    if node.operator in ("GRU", "RNN") and node.is_standard:
        return f"it is a {node.operator}, not an LSTM"
    return f"it is an operator {shown(node.operator)} of {shown(node.proto.domain)}, which is unknown"
