"""Doors: each format has its own, with the verbs `read` and `write`; a file's first bytes say which door it goes by."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from gatewise import storage
from gatewise.errors import CapacityError, FileError, GatewiseError
from gatewise.interop import own
from gatewise.interop.found import Contents
from gatewise.interop.own import write as save
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.trace import LSTMTrace, Trace

__all__ = ["inspect", "load", "load_network", "load_trace", "save"]

Path = str | os.PathLike[str]
HEAD = 4096  # bytes that a door is shown of a file, to say whether it is one of its own
DOORS = ("own", "torch", "keras", "json_models", "onnx")  # in the order in which they are asked


def inspect(path: Path, **omitted: Any) -> Contents:
    """Return what is in a file: every LSTM, what else matters, and what cannot be read and why.

    Parameters
    ----------
    path : path
        Of gatewise, PyTorch (``.pt``, ``.pth``, ``.bin``, ``.pkl``, TorchScript, ``.safetensors``), Keras (``.keras``,
        ``.h5``), ONNX, or JSON as RTNeural, Neural Amp Modeler and ICU write it. Its name does not matter: the first
        bytes say what it is.
    **omitted
        What the file leaves out, by the names that the door of its format knows.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option is given that files of this format do not leave out.
    MissingExtraError
        If the library that reads its container is not installed.
    """
    source = storage.readable(path)
    with open(source, "rb") as file:
        head = file.read(HEAD)
    if not head:
        raise FileError(f"cannot read {source}: it is empty")
    for name in DOORS:
        door = import_module(f"gatewise.interop.{name}")
        if door.recognises(source, head):
            return _found(door, source, omitted)
    raise FileError(
        f"cannot read {source}: it is none of gatewise, PyTorch, safetensors, Keras, ONNX or a JSON model that is known"
    )


def _found(door: Any, source: Any, omitted: dict[str, Any]) -> Contents:
    try:
        contents: Contents = door.contents(source, omitted)
    except GatewiseError:
        raise
    except MemoryError:
        raise CapacityError(f"reading {source} takes more memory than there is") from None
    except RecursionError:
        raise FileError(f"cannot read {source}: it is nested too deeply") from None
    return contents


def load(path: Path, name: str | None = None, **omitted: Any) -> LSTM:
    """Return an LSTM that a file holds; of a network, its LSTM. No framework is needed.

    Parameters
    ----------
    path, **omitted
        As in `inspect`.
    name : str, optional
        Which one, where there are several.

    Raises
    ------
    FileError
        If the file cannot be read, or holds no LSTM that can.
    OptionError
        If there are several and none is named, or there is none of that name.

    Warns
    -----
    WeightsWarning
        If weights are not finite, or were stored in fewer bits than the runtime's own answers come from.
    """
    return inspect(path, **omitted).pick(name).lstm


def load_network(
    path: Path,
    name: str | None = None,
    *,
    embedding: str | None = None,
    head: str | None = None,
    reads: str | None = None,
    **omitted: Any,
) -> Network:
    """Return the network that a file holds.

    Parameters
    ----------
    path, name, **omitted
        As in `load`.
    embedding, head : str, optional
        The names of the parts that stand before and after the LSTM, as `inspect` lists them. Where neither is given,
        the file must tell the way itself, as Keras' configurations and JSON models do.
    reads : {"every", "last"}, optional
        What the head reads, where parts are named; "every" by default.

    Raises
    ------
    FileError
        If the file cannot be read, does not tell the way, or holds what a `Network` cannot express: a convolution …
    """
    contents = inspect(path, **omitted)
    if embedding is not None or head is not None or reads is not None or contents.network is None:
        if contents.network is None and embedding is None and head is None:
            parts = ", ".join(repr(one.name) for one in contents.parts if one.weight is not None)[:400] or "none"
            raise FileError(
                f"{contents.path} ({contents.format}) does not tell the way through its network;"
                f" name its head, its embedding, or both: {parts}"
            )
        return contents.made(name, embedding, head, reads or "every")
    return contents.network()


def load_trace(path: Path) -> Trace | LSTMTrace:
    """Return the trace that a file holds, of a cell or of an LSTM.

    Raises
    ------
    FileError
        If the file cannot be read, or holds something else.
    """
    found = own.read(path)
    if isinstance(found, (Trace, LSTMTrace)):
        return found
    raise FileError(f"{os.fspath(path)} holds {own.describe(found)}, not a trace")
