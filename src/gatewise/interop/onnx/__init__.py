"""ONNX: read and write its files, translate states and gradients, and capture models as onnxruntime runs them.

The operator `LSTM` is read in every form that it has (https://onnx.ai/onnx/operators/onnx__LSTM.html), and the
quantised one of onnxruntime, `DynamicQuantizeLSTM`. The package onnx reads the container; no runtime is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop.captured import Captured
from gatewise.interop.contents import Contents
from gatewise.interop.onnx import packages
from gatewise.interop.onnx.capturing import capture_model
from gatewise.interop.onnx.parsing import parse_model, parse_without_arrays
from gatewise.interop.onnx.reading import read_model
from gatewise.interop.onnx.states import read_state, write_state
from gatewise.interop.onnx.writing import model_of, write_gradients
from gatewise.layers import LSTM
from gatewise.network import Network

if TYPE_CHECKING:
    import onnx

    from gatewise.network.graph import Graph
    from gatewise.network.graph_network import GraphNetwork

__all__ = [
    "capture",
    "contents",
    "read",
    "read_state",
    "recognises",
    "write",
    "write_gradients",
    "write_state",
]

# ModelProto: ir_version, a small integer, and the tag of another of its fields.
_HEAD = re.compile(rb"\x08[\x01-\x40](?:[\x12\x1a\x22\x28\x32\x3a\x42\x72]|\xa2\x01|\xca\x01|\xd2\x01|$)", re.DOTALL)


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file begins as an ONNX model does, or has its suffix; ONNX has no magic number."""
    return _HEAD.match(head) is not None or Path(path).suffix.lower() in (".onnx", ".ort") or head[4:8] == b"ORTM"


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the LSTMs and the other layers in an ONNX file; see `gatewise.interop.inspect`.

    `omitted` may give arrays of the model's inputs by their names, where W, R, B, P or the initial state are inputs of
    the graph, and `clip` as `read` takes it.
    """
    source = Path(path)
    budget = Budget.of(source)
    model, kept_out = parse_without_arrays(source, budget)
    found = read_model(model, source, omitted, budget, kept_out)[0]
    return replace(found, graph=partial(_graph, source, omitted))


def _graph(source: Path, given: Mapping[str, Any]) -> Graph:
    from gatewise.interop.onnx.graph_reader import read_graph  # which most files do without

    return read_graph(source, given)


def read(
    source: str | os.PathLike[str] | onnx.ModelProto, name: str | None = None, **omitted: npt.ArrayLike | str
) -> LSTM:
    """Return an LSTM of an ONNX file, or of a model in memory.

    Parameters
    ----------
    source : path or onnx.ModelProto
    name : str, optional
        The name of the LSTM, if there are several.
    **omitted : array
        Arrays of the model's inputs by their names, where weights are inputs of the graph. Also ``clip``: what the
        attribute of that name bounds. With ``"gates"``, the default, these are the gates' pre-activations, as in
        onnxruntime. With ``"all"``, it is also the input of the nonlinearity h, as the specification can be read.

    Raises
    ------
    FileError
        If it cannot be read, or holds no readable LSTM.
    OptionError
        If there are several and none is named, or there is none of that name.
    """
    if isinstance(source, (str, os.PathLike)):
        return contents(storage.readable(source), omitted).pick(name).lstm
    model = _model_proto("read", source)
    return read_model(model, None, omitted, Budget(model.ByteSize()))[0].pick(name).lstm


def write(
    model: Network | LSTM | GraphNetwork,
    path: str | os.PathLike[str] | None = None,
    *,
    gates: bool = False,
    stream: bool = False,
    opset: int | None = None,
    overwrite: bool = False,
) -> onnx.ModelProto:
    """Write a network or an LSTM as an ONNX model, and return the model.

    Parameters
    ----------
    model : Network, LSTM or GraphNetwork
    path : path, optional
        Of the file; by default none is written.
    gates : bool
        Every gate, the cell state and the hidden state of every step are outputs, too. A cell that the operator LSTM
        cannot express is written in standard operators then.
    stream : bool
        One step, with the state as inputs and outputs.
    opset : int, optional
        14 to 22, by default 17; of a GraphNetwork 20 to 22, by default 20.
    overwrite : bool
        Replace `path` even if it was read: see `gatewise.save`.

    Returns
    -------
    onnx.ModelProto
        Its inputs are X (time, batch, input), or tokens (time, batch), and h0 and c0 of each layer (direction, batch,
        ·) unless the network has an initial state; its outputs Y, as the network returns it, and hn and cn of each
        layer. With several layers their names end in ``_0``, ``_1`` … With `stream` they are X and Y without the time,
        and h_in, c_in, h_out and c_out (layer, batch, ·), of each layer by itself where layers differ in size. With
        `gates` also input_gate, forget_gate, candidate, output_gate, cell_state and hidden_state (time, batch, ·); with
        several cells, their names end in the layer and the direction: ``forget_gate_0_backward``. Windows are not in
        it. A GraphNetwork keeps the names and axes of its inputs and outputs. Names of features and outputs, and their
        units, are metadata: JSON under ``features``, ``outputs`` and ``units``.

    Raises
    ------
    OptionError
        If ONNX cannot express it; nothing is written then.
    FileError
        If the file cannot be written; an existing one is then left as it was.
    """
    proto: onnx.ModelProto = _model(model, gates=gates, stream=stream, opset=opset)
    if path is not None:
        with storage.beside(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(proto.SerializeToString())
    return proto


def _model(model: Any, *, gates: bool, stream: bool, opset: int | None) -> Any:
    if isinstance(model, (Network, LSTM)):
        return model_of(model, gates=gates, stream=stream, opset=17 if opset is None else opset)
    from gatewise.interop.onnx.graph_writing import model_of_graph  # which most files do without
    from gatewise.network.graph_network import GraphNetwork

    if not isinstance(model, GraphNetwork):
        raise OptionError(f"write takes a Network, an LSTM or a GraphNetwork, not {type(model).__name__}")
    if gates:
        raise OptionError("gates=True writes the gates of an LSTM or a Network; this network is a graph of operations")
    return model_of_graph(model, stream=stream, opset=20 if opset is None else opset)


def capture(
    model: str | os.PathLike[str] | onnx.ModelProto, /, *inputs: npt.ArrayLike, **named: npt.ArrayLike
) -> tuple[Captured, ...]:
    """Run a model in onnxruntime and return the trace of every LSTM in it that ran, at the inputs it received.

    Parameters
    ----------
    model : path or onnx.ModelProto
    *inputs : array
        The model's inputs in the graph's order; inputs that have a value in the file are skipped.
    **named : array
        Inputs by name, ``**{"input.1": x}`` where a name is not a Python identifier.

    Returns
    -------
    tuple of Captured
        In the order of the graph. LSTMs in the branches of an If are among them where the branch was taken; those in
        the bodies of Loop and Scan, and in functions, are not.

    Raises
    ------
    OptionError
        If an input is missing, given twice, or none of the model's.
    FileError
        If the model cannot be read or run, or no LSTM in it can be captured.
    MissingExtraError
        If onnxruntime is not installed.
    """
    if isinstance(model, (str, os.PathLike)):
        source = storage.readable(model)
        budget = Budget.of(source)
        return capture_model(parse_model(source, budget), source, inputs, named, budget)
    proto = _model_proto("capture", model)
    return capture_model(proto, None, inputs, named, Budget(proto.ByteSize()))


def _model_proto(verb: str, model: Any) -> Any:
    if not isinstance(model, packages.import_onnx().ModelProto):
        raise OptionError(f"{verb} takes the path of an ONNX file or an onnx.ModelProto, not {type(model).__name__}")
    return model
