"""Doors: each format has its own, with the verbs `read` and `write`; a file's first bytes say which door it goes by."""

from __future__ import annotations

import os
from typing import Any

from gatewise.errors import FileError
from gatewise.interop import own
from gatewise.interop.formats import Path, inspect
from gatewise.interop.own import write as save
from gatewise.layers import LSTM
from gatewise.lstm_trace import LSTMTrace
from gatewise.network import Network
from gatewise.trace import Trace

__all__ = ["inspect", "load", "load_network", "load_trace", "save"]


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
