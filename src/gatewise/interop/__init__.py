"""Readers and writers: each framework has a package with `read` and `write`; `load` finds the one for a file."""

from __future__ import annotations

from typing import Any

from gatewise.errors import FileError, join_names
from gatewise.interop.captured import Captured
from gatewise.interop.contents import Contents, Refused, StoredLayer, StoredLSTM
from gatewise.interop.formats import Path, capture, inspect
from gatewise.interop.graphs import GraphNames
from gatewise.interop.own import write as save
from gatewise.network import Network

__all__ = [
    "Captured",
    "Contents",
    "GraphNames",
    "Refused",
    "StoredLSTM",
    "StoredLayer",
    "capture",
    "inspect",
    "load",
    "load_network",
    "save",
]


def load(path: Path, name: str | None = None, **omitted: Any) -> Any:
    """Return an LSTM from a file, or the trace in the file of a trace. No framework is needed.

    If the file holds a network, the network's LSTM is returned.

    A live PyTorch module or Keras model is read by `gatewise.interop.torch.read` or `gatewise.interop.keras.read`.

    Parameters
    ----------
    path, **omitted
        As in `inspect`.
    name : str, optional
        The name of the LSTM, if the file holds several.

    Returns
    -------
    LSTM, or LSTMTrace or Trace

    Raises
    ------
    FileError
        If the file cannot be read, or holds neither a readable LSTM nor a trace.
    OptionError
        If there are several and none is named, if there is none of that name, or if `path` is not a path.

    Warns
    -----
    WeightsWarning
        If weights are not finite, or were stored at a lower precision than the one the file's runtime computes with.
    """
    contents = inspect(path, **omitted)
    if contents.trace is not None and name is None:
        return contents.trace
    return contents.pick(name).lstm


def load_network(
    path: Path,
    name: str | None = None,
    *,
    embedding: str | None = None,
    head: str | None = None,
    reads: str | None = None,
    **omitted: Any,
) -> Network:
    """Return the network in a file: an optional embedding, the LSTM, and an optional head.

    Parameters
    ----------
    path, name, **omitted
        As in `load`.
    embedding, head : str, optional
        The names of the layers before and after the LSTM, as `inspect` lists them. If neither is given, the file must
        say how its layers are connected, as Keras' configurations, ONNX graphs and JSON models do. Layers that are
        named of a Keras model must be connected there too: dense layers between the LSTM and the head are part of the
        network, and anything else between is refused.
    reads : {"every", "last"}, optional
        Whether the head reads every step or the last alone, where layers are named; by default what the file says
        (Keras' ``return_sequences``), and else "every". Where it says something else, it warns. Without names it is
        refused where the file says how its layers are connected.

    Raises
    ------
    FileError
        If the file cannot be read, does not say how its layers are connected, or holds what a `Network` cannot
        express, a convolution for example.

    Warns
    -----
    WeightsWarning
        As `load` does; and where layers are named, of layers that are left out, of `reads` that is not what the file
        says, and of a mask that the LSTM has in the file, but not from the named layers.
    """
    contents = inspect(path, **omitted)
    if embedding is not None or head is not None or (reads is not None and contents.network is not None):
        return contents.build_network(name, embedding, head, reads)
    if contents.network is not None:
        return contents.network()
    if not contents.lstms:
        contents.pick(name)  # which says what the file holds instead
    source = f"{contents.path} ({contents.format})"
    if not contents.parts:
        raise FileError(f"{source} holds {'an LSTM' if len(contents.lstms) == 1 else 'LSTMs'}, not a network")
    parts = join_names(repr(part.name) for part in contents.parts if part.weight is not None)
    raise FileError(
        f"{source} does not say how its layers are connected; name the network's head, its embedding, or both;"
        f" there are: {parts or 'none'}"
    )
