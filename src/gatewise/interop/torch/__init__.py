"""PyTorch: read and write its files and live modules, translate states and gradients, and capture live models.

PyTorch's `nn.LSTM` has its gates in the order i, f, g, o, two biases that are added, and one matrix for the input
and one for the hidden state, called ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``, with
``_reverse`` for the backward direction and ``weight_hr_l0`` for a projection; `nn.LSTMCell` has them without ``_l0``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, join_names, shown
from gatewise.files import storage
from gatewise.files.budget import Budget
from gatewise.interop import conventions
from gatewise.interop.containers import zips
from gatewise.interop.contents import Contents, check_options
from gatewise.interop.formats import HEAD, inspect
from gatewise.interop.refusals import reading
from gatewise.interop.torch.files import open_file
from gatewise.interop.torch.grouping import group_tensors
from gatewise.interop.torch.live import build_module, capture, lstm_of
from gatewise.interop.torch.names import KINDS
from gatewise.interop.torch.sharded import is_index, open_index
from gatewise.interop.torch.states import read_state, write_state
from gatewise.interop.torch.writing import write_archive
from gatewise.layers import LSTM
from gatewise.records.gradients import LSTMGradients

if TYPE_CHECKING:
    import torch

    from gatewise.network.graph import Graph

__all__ = [
    "capture",
    "contents",
    "group_tensors",
    "read",
    "read_graph",
    "read_state",
    "recognises",
    "state_dict",
    "write",
    "write_gradients",
    "write_state",
]

SUFFIXES = (".pt", ".pth", ".bin", ".pkl")
SHARD = re.compile(r"-\d{5}-of-(?!00001)(\d{5})\.\w+$")  # as Hugging Face names the files of a model in several
OLD = tuple(bytes([first]) for first in b"(]})cilIFSVN")  # how a pickle of the protocols 0 and 1 may begin


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a file is a zip archive of PyTorch's, a pickle, safetensors, or the index of several files."""
    if head.startswith(zips.SIGNATURE):
        return zips.first_member(head) not in ("config.json", "metadata.json", "model.weights.h5")  # as Keras begins
    if storage.is_safetensors(head) or is_index(head):
        return True
    modern = head[:1] == b"\x80" and head[1:2] <= b"\x05"
    return modern or (Path(path).suffix in SUFFIXES and head[:1] in OLD)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a PyTorch or safetensors file; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    check_options(name, omitted, ())
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if (shard := SHARD.search(name)) is not None:  # its LSTM would look complete, and lack layers or biases
        raise FileError(
            f"cannot read {name}: it is one of {int(shard[1])} files of a model, and an LSTM may be in several. Give"
            " the index (….index.json) or the folder."
        )
    budget = Budget.of(path)
    with ExitStack() as stack:
        stack.callback(budget.end)
        with reading(name):
            archive = (open_index if is_index(head) else open_file)(Path(path), budget, stack)
        grouped = group_tensors(archive.tensors, archive.classes, archive.facts, connected=bool(archive.nodes))
    lstms, layers, refused, tensors = grouped
    count = len(archive.tensors)
    names = join_names((shown(name, 60) for name in archive.tensors), most=4)
    holds = "it holds no tensors" + (f", but {archive.content}" if archive.content else "")
    if count:
        holds = f"none of its {count} tensors has a name of an LSTM's ({names})"
    kind = archive.format if count or archive.format != "pickle" else "a pickle"
    known = Contents(
        name, kind, lstms, layers, refused, holds=holds, calls=archive.calls, ledger=tensors + archive.nodes
    )
    if (forward := archive.forward) is not None:
        ledger = forward.account(known.ledger)
        parts, network = (*layers, *forward.parts()), partial(forward.network, lstms)
        known = replace(known, network=network, parts=parts, ledger=ledger)
    graph = None if archive.graph is None else partial(read_graph, Path(path), omitted)
    return replace(known, epoch=archive.epoch, inputs=archive.inputs, graph=graph)


def read_graph(path: Path, omitted: Mapping[str, Any]) -> Graph:
    """Return the graph of a program of torch.export in a file; operators that the table lacks become unknown nodes.

    Raises
    ------
    FileError
        If the file cannot be read, or is not a program.
    """
    name = os.fspath(path)
    check_options(name, omitted, ())
    budget = Budget.of(path)
    with ExitStack() as stack:
        stack.callback(budget.end)
        with reading(name, GatewiseError):
            program = open_file(path, budget, stack).graph
            if program is None:
                raise FileError("it does not say how its layers are connected")
            return program()


def read(source: torch.nn.Module | str | os.PathLike[str], name: str | None = None) -> LSTM:
    """Return the LSTM of a live PyTorch module, or of a file.

    Parameters
    ----------
    source : torch.nn.Module or path
        A `torch.nn.LSTM` or `LSTMCell`, or a module that holds one.
    name : str, optional
        The name of the LSTM in the module or the file, if there are several.

    Raises
    ------
    OptionError
        If the module holds no LSTM, or several and none is named.
    FileError
        If the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return inspect(source).pick(name).lstm
    return lstm_of(source, name)


def write(lstm: LSTM, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> torch.nn.LSTM | None:
    """Write an LSTM as PyTorch's state dict, or return it as a live `torch.nn.LSTM`.

    Parameters
    ----------
    lstm : LSTM
    path : path, optional
        With the suffix ``.safetensors``, or with any other for the zip archive that `torch.load` reads; PyTorch is not
        needed. Without a path the live module is returned.
    overwrite : bool
        Replace `path` even if it was read: see `gatewise.save`.

    Raises
    ------
    OptionError
        If PyTorch cannot express the LSTM; nothing is written then.
    FileError
        If the file cannot be written.
    """
    if not isinstance(lstm, LSTM):
        raise OptionError(f"write takes an LSTM, not {type(lstm).__name__}")
    arrays = state_dict(lstm)
    if path is None:
        return build_module(lstm, arrays)
    if Path(path).suffix == ".safetensors":
        from safetensors.numpy import save

        with storage.beside(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(save(arrays))
    else:
        write_archive(path, arrays, overwrite=overwrite)
    return None


def state_dict(lstm: LSTM) -> dict[str, Array]:
    """Return the arrays of an LSTM by PyTorch's names; gatewise's single bias is ``bias_ih``, and ``bias_hh`` is zero.

    Raises
    ------
    OptionError
        If PyTorch cannot express the LSTM.
    """
    _require_expressible(lstm)
    return _named_arrays(lstm, np.zeros_like)


def write_gradients(gradients: LSTMGradients, lstm: LSTM) -> dict[str, Array]:
    """Return the gradients of an LSTM's parameters by PyTorch's names, as ``parameter.grad`` has them.

    Parameters
    ----------
    gradients : LSTMGradients
        Of a run of `lstm`: see `gatewise.backward`.
    lstm : LSTM

    Returns
    -------
    dict of str to array
        ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` … in PyTorch's shapes. Both biases have the same gradient,
        since they are added.

    Raises
    ------
    OptionError
        If PyTorch cannot express the LSTM, or the gradients are not those of one of its layers and directions.
    ShapeError
        If they are those of an LSTM of other sizes.
    """
    _require_expressible(lstm)
    return _named_arrays(conventions.gradients_as_parameters(lstm, gradients), np.copy)


def _require_expressible(lstm: LSTM) -> None:
    """Refuse an LSTM that PyTorch's cannot express."""
    first = lstm.layers[0][0].parameters
    for number, row in enumerate(lstm.layers):
        for cell in row:
            if switches := cell.parameters.variant.differences():
                name, value = next(iter(switches.items()))
                raise OptionError(f"PyTorch's LSTM has no {name} {value!r}, which layer {number} has")
            sizes = (cell.hidden_size, cell.recurrent_size)
            if sizes != (first.hidden_size, first.recurrent_size):
                raise OptionError(
                    f"PyTorch's LSTM has layers of equal sizes; layer {number} has {sizes}, the first"
                    f" {(first.hidden_size, first.recurrent_size)} (units, projected)"
                )
    if first.projection is not None and first.recurrent_size >= first.hidden_size:
        raise OptionError(
            f"PyTorch's projection must be smaller than the {first.hidden_size} units; this has {first.recurrent_size}"
        )
    if lstm.directions == ("backward",):
        raise OptionError("PyTorch's LSTM has no single backward direction")
    if lstm.bidirectional and set(lstm.merge) != {"concat"}:
        raise OptionError(f"PyTorch's LSTM concatenates its directions; this one has merge {lstm.merge}")


def _named_arrays(lstm: LSTM, second_bias: Callable[[Array], Array]) -> dict[str, Array]:
    """Return the arrays of an LSTM by PyTorch's names; `second_bias` makes bias_hh of our one bias."""
    arrays: dict[str, Array] = {}
    for number, row in enumerate(lstm.layers):
        for cell, direction in zip(row, lstm.directions, strict=True):
            suffix = f"_l{number}" + ("_reverse" if direction == "backward" else "")
            own = conventions.stacked("pytorch", cell.parameters)
            parts = (own.input_weight, own.recurrent_weight, own.bias, second_bias(own.bias))
            arrays |= {f"{kind}{suffix}": part for kind, part in zip(KINDS, parts, strict=True)}
            if own.projection is not None:
                arrays[f"weight_hr{suffix}"] = own.projection
    return arrays
