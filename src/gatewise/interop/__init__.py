"""Readers and writers: each framework has a package with `read` and `write`; `load` finds the one for a file.

Examples
--------
>>> import tempfile
>>> from gatewise.interop import torch
>>> with tempfile.TemporaryDirectory() as folder:
...     torch.write(gw.LSTM(3, 2, rng=0), f"{folder}/model.safetensors")
...     lstm = gw.load(f"{folder}/model.safetensors")
>>> lstm
LSTM(input_size=3, hidden_size=2, dtype=float32)
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gatewise.errors import FileError, OptionError, WeightsWarning, join_names
from gatewise.interop.captured import Captured
from gatewise.interop.chosen_layers import chosen_network, fitting_layers, run_sentences
from gatewise.interop.contents import Contents, Refused, StoredLayer, StoredLSTM
from gatewise.interop.formats import FRAMEWORKS, Path, capture, inspect, package
from gatewise.interop.graphs import GraphInput, GraphNames
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.own import write as save
from gatewise.network import Network

if TYPE_CHECKING:
    from gatewise.network.graph_network import GraphNetwork

__all__ = [
    "Captured",
    "Contents",
    "GraphInput",
    "GraphNames",
    "LedgerEntry",
    "Refused",
    "StoredLSTM",
    "StoredLayer",
    "capture",
    "inspect",
    "load",
    "load_network",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in FRAMEWORKS:  # packages of their own, imported on first access: gw.interop.torch.read
        return package(name)
    raise AttributeError(f"module 'gatewise.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *FRAMEWORKS])


def load(path: Path, name: str | None = None, *, strict: bool = False, **omitted: Any) -> Any:
    """Return an LSTM from a file, or the trace in the file of a trace. No framework is needed.

    If the file holds a network, the network's LSTM is returned.

    A live PyTorch module or Keras model is read by `gatewise.interop.torch.read` or `gatewise.interop.keras.read`.

    Parameters
    ----------
    path, **omitted
        As in `inspect`.
    name : str, optional
        The name of the LSTM, if the file holds several.
    strict : bool
        Refuse what is else a warning: anything left out that lies on the way to the LSTM or from it, or under its name.

    Returns
    -------
    LSTM, or LSTMTrace or Trace

    Raises
    ------
    FileError
        If the file cannot be read, holds neither a readable LSTM nor a trace, or is refused by `strict`.
    OptionError
        If there are several and none is named, if there is none of that name, or if `path` is not a path.

    Warns
    -----
    WeightsWarning
        If weights are not finite, or were stored at a lower precision than the one the file's runtime computes with;
        of what is left out, as `Contents.ledger` has it, and of an initial state or lengths of sequences in the file,
        which an LSTM does not carry.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.save(gw.LSTM(3, 2, rng=0), f"{folder}/model.safetensors")
    ...     lstm = gw.load(f"{folder}/model.safetensors")
    >>> lstm
    LSTM(input_size=3, hidden_size=2, dtype=float32)
    """
    contents = inspect(path, **omitted)
    if contents.trace is not None and name is None:
        return contents.trace
    stored = contents.pick(name, strict=strict)
    for sentence in run_sentences(stored):
        if strict:
            raise FileError(f"cannot read {contents.path} with strict=True: {sentence}")
        warnings.warn(f"{contents.path}: {sentence}", WeightsWarning, stacklevel=2)
    return stored.lstm


def load_network(
    path: Path,
    name: str | None = None,
    *,
    embedding: str | None = None,
    head: str | None = None,
    reads: str | None = None,
    strict: bool = False,
    **omitted: Any,
) -> Network | GraphNetwork:
    """Return the network in a file: a `Network` around one LSTM, or a graph of operations.

    A file that says how its layers are connected is read as a `GraphNetwork` if a `Network` would leave something out
    of it, or cannot express it. You call that as the framework calls its model, on the axes of the file.

    Parameters
    ----------
    path, name, strict, **omitted
        As in `load`; `strict` also refuses a network that leaves layers of the file out, and one that is inferred.
    embedding, head : str, optional
        The names of the layers before and after the LSTM, as `inspect` lists them, or ``none``. If neither is given,
        the file says how its layers are connected, as Keras' configurations, ONNX graphs and JSON models do, or holds
        at most one layer whose size fits in each place, and nothing else. Layers that are named of a Keras model must
        be connected there too: dense layers between the LSTM and the head are part of the network, and anything else
        between is refused.
    reads : {"every", "last"}, optional
        Whether the head reads every step or the last alone, where layers are named; by default what the file says
        (Keras' ``return_sequences``), and else "every". Where it says something else, it warns. Without names it is
        refused where the file says how its layers are connected.

    Raises
    ------
    FileError
        If the file cannot be read, does not say how its layers are connected, or holds no more than operations that
        gatewise lacks; with `strict`, any such operation.

    Warns
    -----
    WeightsWarning
        As `load` does; where layers are inferred; and where they are named, of layers that are left out, of `reads`
        that is not what the file says, and of a mask that the LSTM has in the file, but not from the named layers.

    Examples
    --------
    >>> import tempfile
    >>> network = gw.Network(gw.LSTM(3, 2, rng=0, dtype=np.float64), head=gw.Linear(np.ones((1, 2))))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.save(network, f"{folder}/network.safetensors")
    ...     y, _ = gw.load_network(f"{folder}/network.safetensors")(np.ones((5, 3)))
    >>> np.array_equal(y, network(np.ones((5, 3)))[0])
    True
    """
    return network_of(inspect(path, **omitted), name, embedding, head, reads, strict=strict)


def network_of(
    contents: Contents,
    name: str | None = None,
    embedding: str | None = None,
    head: str | None = None,
    reads: str | None = None,
    *,
    strict: bool = False,
) -> Network | GraphNetwork:
    """Return the network of a file that was inspected; see `load_network`."""
    if contents.graph is None or (name, embedding, head, reads) != (None, None, None, None):
        return _framed_network(contents, name, embedding, head, reads, strict=strict)
    frame = None
    with suppress(FileError):
        frame = None if contents.network is None else contents.network()
    if frame is not None and len(contents.outputs) <= 1 and not any(map(contents.left_out, contents.lstms)):
        return _framed_network(contents, None, None, None, None, strict=strict)
    from gatewise.interop.graph_networks import cautions, graph_network  # which most files do without

    try:
        network = graph_network(contents, strict=strict, complete=frame is not None)
    except FileError as problem:
        if frame is None and (contents.network is not None or contents.format == "TorchScript"):
            raise  # the code of TorchScript says more than what its layers look like
        try:
            return _framed_network(contents, None, None, None, None, strict=strict)
        except (FileError, OptionError):
            raise problem from None
    for text in cautions(contents):
        warnings.warn(text, WeightsWarning, stacklevel=2)
    return network


def _framed_network(
    contents: Contents, name: str | None, embedding: str | None, head: str | None, reads: str | None, *, strict: bool
) -> Network:
    """Return the network of a file that has the fixed shape of `Network`."""
    network = chosen_network(contents, name, embedding, head, reads, strict=strict)
    if network is not None:
        return network
    if contents.network is not None:
        network = contents.network()
        for names in [one.graph for one in contents.lstms if one.graph is not None and one.graph.lengths][:1]:
            sentence = f"it takes the lengths of its sequences as {names.lengths!r}: give lengths=… with each call"
            warnings.warn(f"{contents.path}: {sentence}, or every step is run", WeightsWarning, stacklevel=3)
        for stored in [one for one in contents.lstms if one.stacked] or contents.lstms:
            contents.pick(stored.name, strict=strict)
        return network
    fitting = fitting_layers(contents, contents.find(name), strict=strict)
    source = f"{contents.path} ({contents.format})"
    if not contents.parts:
        raise FileError(f"{source} holds {'an LSTM' if len(contents.lstms) == 1 else 'LSTMs'}, not a network")
    if fitting.only is not None and (network := chosen_network(contents, name, *fitting.only, reads)) is not None:
        sentence = fitting.inference_sentence(*fitting.only)
        warnings.warn(f"{contents.path}: {sentence}", WeightsWarning, stacklevel=3)
        return network
    parts = join_names(repr(part.name) for part in contents.parts if part.weight is not None)
    fits = f"; those that fit: {fitting.options}" if fitting.options else ""
    raise FileError(
        f"cannot read a network in {source}: {fitting.why}. Choose the network's head, its"
        f" embedding, or both, by name: {parts or 'none'}{fits}"
    )
