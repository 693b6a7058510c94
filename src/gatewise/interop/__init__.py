"""Doors: each format has its own, with the verbs `read` and `write`."""

from __future__ import annotations

import os

from gatewise.errors import FileError
from gatewise.interop import own
from gatewise.interop.own import write as save
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.trace import LSTMTrace, Trace

__all__ = ["load", "load_network", "load_trace", "save"]


def load(path: str | os.PathLike[str]) -> LSTM:
    """Return the LSTM that a file holds; of a network, its LSTM.

    Raises
    ------
    FileError
        If the file cannot be read, or holds something else.
    """
    found = own.read(path)
    if isinstance(found, Network):
        return found.lstm
    if isinstance(found, LSTM):
        return found
    raise FileError(f"{os.fspath(path)} holds {own.describe(found)}, not an LSTM; load_trace reads it")


def load_network(path: str | os.PathLike[str]) -> Network:
    """Return the network that a file holds.

    Raises
    ------
    FileError
        If the file cannot be read, or holds something else.
    """
    found = own.read(path)
    if isinstance(found, Network):
        return found
    raise FileError(f"{os.fspath(path)} holds {own.describe(found)}, not a network")


def load_trace(path: str | os.PathLike[str]) -> Trace | LSTMTrace:
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
