"""Run an ONNX model in onnxruntime, and trace its LSTMs: their inputs and outputs are added to the model's outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.errors import FileError, GatewiseError, OptionError, join_names, reason, shown
from gatewise.files.budget import Budget
from gatewise.interop.captured import Captured, difference
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.interop.onnx import packages
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.lstm import QUANTISED
from gatewise.interop.onnx.reading import read_model
from gatewise.interop.onnx.scopes import INPUTS, OnnxNode, label_of
from gatewise.interop.onnx.states import read_state, write_state

OUTPUTS = ("Y", "Y_h", "Y_c")
_EXPOSED = ("X", "sequence_lens", "initial_h", "initial_c")  # of its inputs


class _ExposedValue(NamedTuple):
    """A value that the model is made to output: the number of its LSTM, its role there, and its name in the model."""

    lstm: int
    role: str
    name: str


def capture_model(
    model: Any,
    path: Path | None,
    inputs: Sequence[npt.ArrayLike],
    named: Mapping[str, npt.ArrayLike],
    budget: Budget,
) -> tuple[Captured, ...]:
    """Run an ONNX model and return the trace of each LSTM in it; `path` is None of a model in memory."""
    onnx, runtime = packages.import_onnx(), packages.import_onnxruntime()
    where = "the model" if path is None else str(path)
    budget.hold(2 * budget.size, 1, f"running {where}")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _load_tensors(OnnxFile(copy, path, {}, budget), where)
    by_name = _inputs_by_name(copy, where, inputs, named)
    try:
        arrays = {name: np.asarray(array) for name, array in by_name.items()}
    except ValueError:
        raise OptionError("inputs must be arrays whose rows have equal lengths") from None
    real = {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}
    contents, nodes = read_model(copy, path, real, budget, single=True)  # weights may be among the inputs
    exposer = _Exposer(onnx, copy)
    values = exposer.expose_graph(copy.graph)
    why = f"; out of reach: {', '.join(exposer.unreachable[:5])}" if exposer.unreachable else ""
    if not values:
        raise FileError(f"no LSTM in {where} can be captured, because none has inputs that can be observed{why}")
    for value in values:
        copy.graph.output.append(onnx.ValueInfoProto(name=value.name))
    results = _run_in_onnxruntime(runtime, copy, where, arrays, [value.name for value in values])
    records: dict[int, dict[str, AnyArray]] = {}
    for value, array in zip(values, results, strict=True):
        records.setdefault(value.lstm, {})[value.role] = array
    calls = []
    for number, record in sorted(records.items()):
        if record["X"].size and record["Y"].size:
            calls.append(_trace_call(_lstm_of(contents, nodes, *exposer.nodes[number]), record))
    if not calls:
        raise FileError(f"no LSTM in {where} could be captured, because none ran{why}")
    return tuple(replace(call, notes=(*call.notes, f"not captured{why}")) for call in calls) if why else tuple(calls)


def _load_tensors(file: OnnxFile, where: str) -> None:
    """Put external tensors into an ONNX model: onnxruntime would look for their files by itself."""
    try:
        for tensor in (tensor for tensor in _tensors_in(file.model) if tensor.data_location):
            data = file.read_outside(tensor)
            file.hold(2 * len(data), 1, "running it")
            tensor.raw_data = data
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    except NotConstant as problem:
        raise FileError(f"cannot run {where}: of one of its tensors, {problem}") from None


def _tensors_in(message: Any) -> Iterator[Any]:
    """Yield every tensor in a part of an ONNX model."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from [part] if field.message_type.name == "TensorProto" else _tensors_in(part)


class _Exposer:
    """Adds outputs to graphs; in the branches of an If, to both, since they must have as many."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx, self.nodes, self.unreachable, self._count = onnx, list[tuple[Any, str]](), list[str](), 0
        self.functions = {(function.domain, function.name) for function in model.functions}  # of whatever overload

    def expose_graph(self, graph: Any) -> list[_ExposedValue]:
        """Let an ONNX graph compute copies of its LSTMs' inputs and outputs; return these, to be made outputs."""
        values: list[_ExposedValue] = []
        for node in list(graph.node):
            if node.op_type in ("LSTM", QUANTISED):
                values += self._expose_lstm(node, graph)
            elif node.op_type == "If":
                values += self._expose_branches(node)
            else:
                self._note_unreachable(node)
        return values

    def _new_name(self) -> str:
        self._count += 1
        return f"gatewise/shown/{self._count}"

    def _expose_lstm(self, node: Any, graph: Any) -> list[_ExposedValue]:
        """Add nodes to an ONNX graph that copy the inputs and outputs of an LSTM in it, and return the copies."""
        number = len(self.nodes)
        self.nodes.append((node, label_of(node)))
        while len(node.output) < 3:
            node.output.append("")
        for position in range(3):
            node.output[position] = node.output[position] or self._new_name()
        names = {role: name for role, name in zip(INPUTS, node.input, strict=False) if role in _EXPOSED}
        names |= dict(zip(OUTPUTS, node.output, strict=True))
        values = []
        for role, name in names.items():
            if name:
                values.append(_ExposedValue(number, role, self._new_name()))
                graph.node.append(self.onnx.helper.make_node("Identity", [name], [values[-1].name]))
        return values

    def _expose_branches(self, node: Any) -> list[_ExposedValue]:
        """Let both branches of an ONNX If output what either exposes: the other, an empty array."""
        helper = self.onnx.helper
        names = ("then_branch", "else_branch")
        branches = {attribute.name: attribute.g for attribute in node.attribute if attribute.name in names}
        values_of = {name: self.expose_graph(branch) for name, branch in branches.items()}
        result: list[_ExposedValue] = []
        for name, values in values_of.items():
            for value in values:
                for other, branch in branches.items():
                    inner = value.name
                    if other != name:
                        inner = self._new_name()
                        rank = {"sequence_lens": 1, "Y": 4}.get(value.role, 3)
                        kind = "INT32" if value.role == "sequence_lens" else "FLOAT"
                        empty = helper.make_tensor("", getattr(self.onnx.TensorProto, kind), [0] * rank, [])
                        branch.node.append(helper.make_node("Constant", [], [inner], value=empty))
                    branch.output.append(self.onnx.ValueInfoProto(name=inner))
                node.output.append(self._new_name())
                result.append(value._replace(name=node.output[-1]))
        return result

    def _note_unreachable(self, node: Any) -> None:
        """Note the LSTMs of an ONNX node's loop bodies or function, which cannot be captured."""
        if (node.domain, node.op_type) in self.functions:
            self.unreachable.append(f"the function {shown(node.op_type, 40)}")
        for attribute in node.attribute:
            for inner in attribute.g.node if attribute.HasField("g") else []:
                if inner.op_type == "LSTM":
                    self.unreachable.append(f"{shown(inner.name or inner.op_type, 40)} in a {shown(node.op_type, 40)}")


def _inputs_by_name(
    model: Any, where: str, inputs: Sequence[npt.ArrayLike], named: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.ArrayLike]:
    """Return the arrays for an ONNX model by the names of its inputs; each is given once, and none is missing."""
    names = [proto.name for proto in model.graph.input]
    tensors = {proto.name for proto in model.graph.initializer}
    needed = [name for name in names if name not in tensors]
    has = f"{where} has {len(needed)} inputs: {_short_list(needed)}"
    if len(inputs) > len(needed):
        raise OptionError(f"{len(inputs)} inputs are given by position; {has}")
    if any(isinstance(array, Mapping) for array in inputs):
        raise OptionError(f"pass inputs by name as capture(model, **inputs), not as one mapping; {has}")
    by_name = dict(zip(needed, inputs, strict=False))
    for name in named:
        if name in by_name:
            raise OptionError(f"the input {shown(name)!r} is given twice, by position and by name; {has}")
        if name not in names:
            raise OptionError(f"{where} has no input {shown(name)!r}; it has {_short_list(names)}")
    by_name |= named
    for name in needed:
        if name not in by_name:
            raise OptionError(f"the input {shown(name)!r} is missing; {has}")
    return by_name


def _short_list(names: Sequence[str]) -> str:
    """Return names in a line of at most 200 characters."""
    return shown(join_names(map(shown, names)), 200)


def _run_in_onnxruntime(
    runtime: Any, model: Any, where: str, inputs: dict[str, AnyArray], outputs: list[str]
) -> list[AnyArray]:
    """Return the named outputs of an ONNX model, computed by onnxruntime without optimisations."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4  # the same numbers on every machine
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        arrays: list[AnyArray] = session.run(outputs, inputs)
    except Exception as problem:  # onnxruntime's errors have no common base
        raise FileError(f"onnxruntime cannot run {where}: {reason(problem, 300)}") from None
    return arrays


def _lstm_of(contents: Contents, nodes: Sequence[OnnxNode], proto: Any, label: str) -> StoredLSTM:
    """Return the LSTM read from an ONNX node: names need not be unique, not even in one graph."""
    for node, lstm in zip(nodes, contents.lstms, strict=False):
        if node.proto is proto:
            return lstm
    why = [refused.reason for refused in contents.refused if f"/{refused.name}".endswith(f"/{label}")]
    raise FileError(f"cannot read {label!r} in {contents.path}: {shown(why[0], 200) if why else 'it was not found'}")


def _trace_call(source: StoredLSTM, record: Mapping[str, AnyArray]) -> Captured:
    """Return the trace of an LSTM at the inputs in `record`, compared with the outputs that onnxruntime computed."""
    lstm, directions = source.lstm, len(source.lstm.directions)
    notes = [*source.warns]
    x, y = record["X"], record["Y"]
    zeros = np.zeros((directions, x.shape[1], lstm.hidden_size), lstm.dtype)
    state = read_state((record.get("initial_h", zeros), record.get("initial_c", zeros)), lstm)
    lengths = record.get("sequence_lens")
    try:
        trace = lstm.trace(x, state, lengths=lengths)
    except GatewiseError as problem:
        raise FileError(f"{source.name!r} cannot be run at its inputs: {problem}") from None
    traced = [np.stack([trace[0, direction].hidden_state for direction in lstm.directions], axis=1)]
    if lengths is not None:
        traced[0] = np.where((np.arange(len(x))[:, None] < lengths)[:, None, :, None], traced[0], 0)
    traced += write_state(trace.state)[0]
    computed = [y, record["Y_h"], record["Y_c"]]
    if lengths is not None and (lengths == 0).any():
        notes.append("final states of sequences of length 0 were not compared: onnxruntime's are zeros")
        traced, computed = (
            [arrays[0], *(state[:, lengths > 0] for state in arrays[1:])] for arrays in (traced, computed)
        )
    return Captured(source.name, 0, trace, difference(zip(traced, computed, strict=True)), tuple(notes))
