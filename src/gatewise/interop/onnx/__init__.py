"""The door to ONNX: files read and written, and the traces of a running model's LSTMs.

The operator `LSTM` is read in every form that it has (https://onnx.ai/onnx/operators/onnx__LSTM.html), and the
quantised one of onnxruntime, `DynamicQuantizeLSTM`. The package onnx reads the container; no runtime is needed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise import storage
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError
from gatewise.interop.capture import Captured
from gatewise.interop.found import Contents, Found, Refused, distinct, omissions
from gatewise.interop.onnx.cells import cell_at, unrecognised
from gatewise.interop.onnx.constants import AnyArray, File, NotConstant, library
from gatewise.interop.onnx.lstm import QUANTISED, Site, found_of, scope_of, sites
from gatewise.interop.onnx.parsing import parsed
from gatewise.interop.onnx.parts import parts_of
from gatewise.interop.onnx.stacks import arranged
from gatewise.layers import LSTM

if TYPE_CHECKING:
    import onnx

__all__ = ["capture", "contents", "read", "recognises", "write"]

PRODUCER = "gatewise"
MOST = 4096  # how many LSTMs of one file are looked at
# ModelProto: ir_version, a small whole number, and the tag of another of its fields.
_HEAD = re.compile(rb"\x08[\x01-\x40](?:[\x12\x1a\x22\x28\x32\x3a\x42\x72]|\xa2\x01|\xca\x01|\xd2\x01|$)", re.DOTALL)


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file begins as an ONNX model does, or is called so; ONNX has no magic number."""
    return _HEAD.match(head) is not None or Path(path).suffix.lower() in (".onnx", ".ort") or head[4:8] == b"ORTM"


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`.

    `omitted` may give the arrays of the model's inputs, by their names, where W, R, B, P or the initial state come in
    from outside.
    """
    source = storage.readable(path)
    return _contents(parsed(source), source, omitted)


def read(source: str | os.PathLike[str] | onnx.ModelProto, name: str | None = None, **omitted: npt.ArrayLike) -> LSTM:
    """Return an LSTM of an ONNX file, or of a model in memory.

    Parameters
    ----------
    source : path or onnx.ModelProto
    name : str, optional
        Which one, where there are several.
    **omitted : array
        Of the model's inputs, by their names, where weights come in from outside.

    Raises
    ------
    FileError
        If it cannot be read, or holds no LSTM that can.
    OptionError
        If there are several and none is named, or there is none of that name.
    """
    if isinstance(source, (str, os.PathLike)):
        return contents(Path(source), omitted).pick(name).lstm
    if not isinstance(source, library("onnx").ModelProto):
        raise OptionError(f"read takes a path or an onnx.ModelProto, not {type(source).__name__}")
    return _contents(source, None, omitted).pick(name).lstm


def write(
    lstm: LSTM, path: str | os.PathLike[str] | None = None, *, gates: bool = False, opset: int = 17
) -> onnx.ModelProto:
    """Write an LSTM as an ONNX model, and return the model.

    Parameters
    ----------
    lstm : LSTM
    path : path, optional
        Where to; nowhere by default.
    gates : bool
        False: one node LSTM for each layer. True: a Scan for each cell, of standard operators, which also puts out
        every gate, the cell state and the hidden state of every step.
    opset : int
        14 to 22.

    Returns
    -------
    onnx.ModelProto
        Input X (time, batch, input), and h0 and c0 of each layer (direction, batch, ·); outputs Y, as the LSTM puts it
        out, and hn and cn of each layer. With several layers their names end in ``_0``, ``_1`` … With `gates` also
        input_gate, forget_gate, candidate, output_gate, cell_state and hidden_state (time, batch, ·); with several
        cells, their names end in the layer and the direction: ``forget_gate_0_backward``.

    Raises
    ------
    OptionError
        If ONNX cannot express it; nothing has been written then.
    FileError
        If the file cannot be written; an existing one is then left as it was.
    """
    from gatewise.interop.onnx.writing import model_of

    model: onnx.ModelProto = model_of(lstm, gates=gates, opset=opset)
    if path is not None:
        with storage.beside(path) as temporary:
            temporary.write_bytes(model.SerializeToString())
    return model


def capture(path: str | os.PathLike[str], inputs: Mapping[str, npt.ArrayLike]) -> tuple[Captured, ...]:
    """Run a model in onnxruntime and return the trace of every LSTM in it that ran, at its real inputs.

    Parameters
    ----------
    path : path
    inputs : mapping of str to array
        What the model is given, by its inputs' names.

    Returns
    -------
    tuple of Captured
        In the order of the graph. LSTMs in the branches of If are among them where the branch was taken; those in
        the bodies of Loop and Scan, and in functions, are not.

    Raises
    ------
    FileError
        If the model cannot be read or run, or no LSTM in it can be captured.
    MissingExtraError
        If onnxruntime is not installed.
    """
    from gatewise.interop.onnx.capturing import captured

    source = storage.readable(path)
    return captured(parsed(source), source, inputs)


def _contents(model: Any, source: Path | None, omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a model."""
    return looked_at(model, source, omitted)[0]


def looked_at(
    model: Any, source: Path | None, omitted: Mapping[str, Any], *, single: bool = False
) -> tuple[Contents, list[Site]]:
    """Return what is in a model, and the nodes of the first LSTMs in it; with `single` none is made of several."""
    name = "the model" if source is None else str(source)
    held = {one.name for one in model.graph.initializer}
    names = [one.name for one in model.graph.input]
    omissions(name, omitted, tuple(sorted(names, key=lambda one: one in held)))
    outputs = [one.name for one in model.graph.output]
    file = File(model, source, {key: _given(key, value) for key, value in omitted.items()})
    try:
        everything = list(sites(scope_of(file, model.graph)))
        with np.errstate(all="ignore"):  # NaN and infinity go through as they are
            found, stacks, refused, places, read_in = _lstms(everything, outputs)
        refused += unrecognised(everything, read_in)
        parts = parts_of(everything, outputs)
    except GatewiseError as problem:
        if isinstance(problem, CapacityError):
            raise
        raise FileError(f"cannot read {name}: {problem}") from None
    except RecursionError:
        raise FileError(f"cannot read {name}: it is nested too deeply") from None
    if single:
        stacks = []
    if len(stacks) == 1 and stacks[0].lstm.num_layers == len(found) and not refused:
        stacks = [replace(stacks[0], whole=True)]
    if not single and model.producer_name == PRODUCER and len(stacks) == 1 and len(found) == stacks[0].lstm.num_layers:
        found, stacks = [], [replace(stacks[0], name="lstm", whole=False)]  # what gatewise wrote as one is one
    version = f"ONNX, opset {file.opset}"
    if producer := " ".join(one for one in (model.producer_name, model.producer_version) if one):
        version += f", by {producer[:80]}"
    return Contents(name, version, distinct([*found, *stacks]), parts, tuple(refused)), places


def _given(name: str, value: Any) -> AnyArray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise OptionError(f"{name} must be an array whose rows have equal lengths") from None
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise OptionError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _lstms(
    everything: Sequence[Site], outputs: list[str]
) -> tuple[list[Found], list[Found], list[Refused], list[Site], set[int]]:
    """Return the LSTMs of single nodes and the written-out ones, those that stand one upon another, what cannot be
    read, the single nodes themselves, and the scopes in which any of these are.
    """
    found: list[Found] = []
    refused: list[Refused] = []
    places: list[Site] = []
    cells: list[Found] = []
    read_in: set[int] = set()
    labels = Counter(site.label for site in everything if _is_recurrent(site))
    if labels.total() > MOST:
        raise FileError(f"it has {labels.total():,} recurrent nodes; at most {MOST:,} are read")
    for site in everything:
        recurrent, node = _is_recurrent(site), site.node
        name = site.label if labels[site.label] < 2 else site.full_label
        try:
            if recurrent and node.op_type in ("LSTM", QUANTISED):
                found.append(found_of(site, name))
                places.append(site)
            elif recurrent:
                refused.append(Refused(name, _why(node)))
            elif node.op_type == "Mul" and (cell := cell_at(site, name)) is not None:
                cells.append(cell)
                read_in.add(id(site.scope))
        except CapacityError:
            raise
        except (NotConstant, GatewiseError) as problem:
            refused.append(
                Refused(name, f"{'its LSTM' if recurrent else 'its written-out LSTM'} cannot be read: {problem}")
            )
            read_in.add(id(site.scope))
        except MemoryError:
            raise CapacityError(f"{name} would take more memory than there is") from None
    singles, stacks = arranged(places, found, outputs)
    return [*singles, *cells], stacks, refused, places, read_in


def _is_recurrent(site: Site) -> bool:
    node = site.node
    if node.domain in ("", "ai.onnx"):
        return node.op_type in ("LSTM", "GRU", "RNN")
    return any(word in node.op_type for word in ("LSTM", "GRU", "RNN"))


def _why(node: Any) -> str:
    if node.op_type in ("GRU", "RNN") and node.domain in ("", "ai.onnx"):
        return f"it is a {node.op_type}, not an LSTM"
    return f"it is an operator {node.op_type} of {node.domain}, which is not known"
