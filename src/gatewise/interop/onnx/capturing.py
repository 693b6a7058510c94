"""An ONNX model run in onnxruntime, with the inputs and outputs of every LSTM in it added to the model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.errors import FileError, GatewiseError, OptionError, join_names, reason, shown
from gatewise.files.budget import Budget
from gatewise.interop.captured import Captured, difference
from gatewise.interop.found import Contents, Found
from gatewise.interop.onnx import external, packages
from gatewise.interop.onnx.attributes import NotConstant
from gatewise.interop.onnx.file import AnyArray, OnnxFile
from gatewise.interop.onnx.lstm import QUANTISED
from gatewise.interop.onnx.reading import read_model
from gatewise.interop.onnx.scopes import OnnxNode, label_of
from gatewise.interop.onnx.states import read_state, write_state

TAKEN = ("X", "sequence_lens", "initial_h", "initial_c")
PUT_OUT = ("Y", "Y_h", "Y_c")
_INPUTS = {"X": 0, "sequence_lens": 4, "initial_h": 5, "initial_c": 6}


class _Shown(NamedTuple):
    """A value of a node that the model is made to output: of which node, which value, under which name."""

    node: int
    what: str
    name: str


def captured(
    model: Any,
    path: Path | None,
    inputs: Sequence[npt.ArrayLike],
    named: Mapping[str, npt.ArrayLike],
    budget: Budget,
) -> tuple[Captured, ...]:
    """Return what `gatewise.interop.onnx.capture` promises; without a path for a model in memory."""
    onnx, runtime = packages.reader(), packages.runtime()
    where = "the model" if path is None else str(path)
    budget.hold(2 * budget.size, 1, f"running {where}")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _bring_in(OnnxFile(copy, path, {}, budget), where)
    by_name = _by_name(copy, where, inputs, named)
    try:
        given = {name: np.asarray(array) for name, array in by_name.items()}
    except ValueError:
        raise OptionError("inputs must be arrays whose rows have equal lengths") from None
    real = {name: array for name, array in given.items() if array.dtype.kind in "fiub"}
    contents, places = read_model(copy, path, real, budget, single=True)  # weights may be among the inputs
    exposing = _Exposing(onnx, copy)
    shown = exposing.graph(copy.graph)
    why = f"; out of reach: {', '.join(exposing.hidden[:5])}" if exposing.hidden else ""
    if not shown:
        raise FileError(f"no LSTM in {where} can be captured: the inputs of none can be observed{why}")
    for one in shown:
        copy.graph.output.append(onnx.ValueInfoProto(name=one.name))
    results = _run(runtime, copy, where, given, [one.name for one in shown])
    records: dict[int, dict[str, AnyArray]] = {}
    for one, array in zip(shown, results, strict=True):
        records.setdefault(one.node, {})[one.what] = array
    found = []
    for number, record in sorted(records.items()):
        if record["X"].size and record["Y"].size:
            found.append(_captured(_found(contents, places, *exposing.nodes[number]), record))
    if not found:
        raise FileError(f"no LSTM in {where} could be captured: none ran{why}")
    return tuple(found)


def _bring_in(file: OnnxFile, where: str) -> None:
    """Put the numbers of tensors that lie beside a model into it: the runtime would look for them by itself."""
    try:
        for tensor in external.tensors(file.model):
            data = file.outside(tensor)
            file.hold(2 * len(data), 1, "running it")
            tensor.raw_data = data
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    except NotConstant as problem:
        raise FileError(f"cannot run {where}: of one of its tensors, {problem}") from None


class _Exposing:
    """Adds outputs to graphs; in the branches of an If, to both, since they must have as many."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx, self.nodes, self.hidden, self._count = onnx, list[tuple[Any, str]](), list[str](), 0
        self.functions = {(one.domain, one.name) for one in model.functions}  # of whatever overload

    def graph(self, graph: Any) -> list[_Shown]:
        """Expose the inputs and outputs of a graph's LSTMs; return the names that it can output now."""
        shown: list[_Shown] = []
        added: list[Any] = []
        for node in graph.node:
            added.append(node)
            if node.op_type in ("LSTM", QUANTISED):
                shown += self._lstm(node, added)
            elif node.op_type == "If":
                shown += self._if(node)
            else:
                self._note_hidden(node)
        if shown:
            copies = [self._copy(one) for one in added]
            del graph.node[:]
            graph.node.extend(copies)
        return shown

    def _copy(self, node: Any) -> Any:
        copy = self.onnx.NodeProto()
        copy.CopyFrom(node)
        return copy

    def _name(self) -> str:
        self._count += 1
        return f"gatewise/shown/{self._count}"

    def _lstm(self, node: Any, added: list[Any]) -> list[_Shown]:
        number = len(self.nodes)
        self.nodes.append((node, label_of(node)))
        while len(node.output) < 3:
            node.output.append("")
        for place in range(3):
            node.output[place] = node.output[place] or self._name()
        names = {what: node.input[place] for what, place in _INPUTS.items() if place < len(node.input)}
        names |= dict(zip(PUT_OUT, node.output, strict=True))
        shown = []
        for what, name in names.items():
            if name:
                shown.append(_Shown(number, what, self._name()))
                added.append(self.onnx.helper.make_node("Identity", [name], [shown[-1].name]))
        return shown

    def _if(self, node: Any) -> list[_Shown]:
        """Let both branches output what either exposes: the one that lacks it, an empty array."""
        helper = self.onnx.helper
        branches = {one.name: one.g for one in node.attribute if one.name in ("then_branch", "else_branch")}
        shown = {name: self.graph(branch) for name, branch in branches.items()}
        result: list[_Shown] = []
        for name, own in shown.items():
            for one in own:
                for other, branch in branches.items():
                    inner = one.name
                    if other != name:
                        inner = self._name()
                        rank = {"sequence_lens": 1, "Y": 4}.get(one.what, 3)
                        kind = "INT32" if one.what == "sequence_lens" else "FLOAT"
                        empty = helper.make_tensor("", getattr(self.onnx.TensorProto, kind), [0] * rank, [])
                        branch.node.append(helper.make_node("Constant", [], [inner], value=empty))
                    branch.output.append(self.onnx.ValueInfoProto(name=inner))
                node.output.append(self._name())
                result.append(one._replace(name=node.output[-1]))
        return result

    def _note_hidden(self, node: Any) -> None:
        """Keep the names of LSTMs in bodies that run many times, or in functions."""
        if (node.domain, node.op_type) in self.functions:
            self.hidden.append(f"what is in the function {shown(node.op_type, 40)}")
        for attribute in node.attribute:
            for inner in attribute.g.node if attribute.HasField("g") else []:
                if inner.op_type == "LSTM":
                    self.hidden.append(f"{shown(inner.name or inner.op_type, 40)} in a {shown(node.op_type, 40)}")


def _by_name(
    model: Any, where: str, inputs: Sequence[npt.ArrayLike], named: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.ArrayLike]:
    """Return what a model is given, by its inputs' names.

    Raises
    ------
    OptionError
        If an input is missing or given twice, or one is given that the model does not have.
    """
    names = [one.name for one in model.graph.input]
    held = {one.name for one in model.graph.initializer}
    needed = [name for name in names if name not in held]
    has = f"{where} has {len(needed)} inputs: {_few(needed)}"
    if len(inputs) > len(needed):
        raise OptionError(f"{len(inputs)} inputs are given by position; {has}")
    if any(isinstance(one, Mapping) for one in inputs):
        raise OptionError(f"inputs by name are given as capture(model, **inputs), not as one mapping; {has}")
    given = dict(zip(needed, inputs, strict=False))
    for name in named:
        if name in given:
            raise OptionError(f"the input {shown(name)!r} is given twice, by position and by name; {has}")
        if name not in names:
            raise OptionError(f"{where} has no input {shown(name)!r}; it has {_few(names)}")
    given |= named
    for name in needed:
        if name not in given:
            raise OptionError(f"the input {shown(name)!r} is missing; {has}")
    return given


def _few(names: Sequence[str]) -> str:
    """Return names in a line that is not long."""
    return shown(join_names(map(shown, names)), 200)


def _run(runtime: Any, model: Any, where: str, inputs: dict[str, AnyArray], outputs: list[str]) -> list[AnyArray]:
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4  # the same numbers on every machine
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found: list[AnyArray] = session.run(outputs, inputs)
    except Exception as problem:  # onnxruntime's errors have no base of their own
        raise FileError(f"onnxruntime cannot run {where}: {reason(problem, 300)}") from None
    return found


def _found(contents: Contents, places: list[OnnxNode], node: Any, label: str) -> Found:
    """Return the LSTM of a node: names need not be unique, not even in one graph."""
    for site, found in zip(places, contents.found, strict=False):
        if site.proto is node:
            return found
    why = [one.reason for one in contents.refused if one.name == label or one.name.endswith(f"/{label}")]
    raise FileError(f"cannot read {label!r} in {contents.path}: {shown(why[0], 200) if why else 'it was not found'}")


def _captured(found: Found, record: Mapping[str, AnyArray]) -> Captured:
    lstm, directions = found.lstm, len(found.lstm.directions)
    notes: list[str] = []
    x, y = record["X"], record["Y"]
    zeros = np.zeros((directions, x.shape[1], lstm.hidden_size), lstm.dtype)
    state = read_state((record.get("initial_h", zeros), record.get("initial_c", zeros)), lstm)
    lengths = record.get("sequence_lens")
    try:
        trace = lstm.trace(x, state, lengths=lengths)
    except GatewiseError as problem:
        raise FileError(f"{found.name!r} cannot be run at its inputs: {problem}") from None
    got = [np.stack([trace[0, one].hidden_state for one in lstm.directions], axis=1)]
    if lengths is not None:
        got[0] = np.where((np.arange(len(x))[:, None] < lengths)[:, None, :, None], got[0], 0)
    got += write_state(trace.state)[0]
    want = [y, record["Y_h"], record["Y_c"]]
    if lengths is not None and (lengths == 0).any():
        notes.append("final states of sequences of length 0 were not compared: onnxruntime's are zeros")
        got, want = ([a[0], *(one[:, lengths > 0] for one in a[1:])] for a in (got, want))
    return Captured(found.name, 0, trace, difference(zip(got, want, strict=True)), tuple(notes))
