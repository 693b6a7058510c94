"""The model of a run: out of a file or an object in memory, with the network that its LSTM belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gatewise.cell import LSTMCell
from gatewise.errors import FileError, OptionError
from gatewise.interop import inspect
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.interop.own import contents_of
from gatewise.layers import LSTM
from gatewise.network import Network

KINDS = "the path of a model or a trace, an LSTM, a Network, Contents, StoredLSTM, Captured or a trace"


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """An LSTM, with the file that it comes from and the network that it belongs to.

    Attributes
    ----------
    contents : Contents
    found : StoredLSTM
        The LSTM and what its file says of it.
    network : Network or None
    notes : tuple of str
        Sentences about the network: why there is none, though the file describes one.
    """

    contents: Contents
    found: StoredLSTM
    network: Network | None = None
    notes: tuple[str, ...] = ()

    @property
    def lstm(self) -> LSTM:
        """The LSTM."""
        return self.found.lstm

    @property
    def feature_network(self) -> Network | None:
        """The network, if its features pass through a scaling or dense layers before the LSTM; else None."""
        network = self.network
        return network if network is not None and (network.inputs is not None or network.branches) else None


def contents_from(model: object, settings: Mapping[str, Any] | None = None) -> Contents:
    """Return a model that `open_run` is given, a path or an object, as the contents of a file.

    `settings` are what a file leaves out, as in `gatewise.inspect`.
    """
    if isinstance(model, Contents):
        return model
    if isinstance(model, (str, os.PathLike)):
        return inspect(model, **dict(settings or {}))
    if isinstance(model, StoredLSTM):
        return Contents("the model", model.convention, (model,))
    if isinstance(model, LSTMCell):
        model = LSTM.from_cells(model)
    if isinstance(model, (LSTM, Network)):
        return contents_of(model, "the model", "in memory", batch_first=False)
    raise OptionError(f"open_run takes {KINDS}, not {type(model).__name__}")


def opened_model(contents: Contents, entry: StoredLSTM) -> OpenedModel:
    """Return an LSTM of a model's file with the network made of the very same cells, or a note why there is none."""
    if contents.network is None:
        return OpenedModel(contents, entry)
    try:
        network = contents.network()
    except FileError as refusal:  # a Network cannot express how the file connects its layers
        return OpenedModel(contents, entry, notes=(str(refusal),))
    return OpenedModel(contents, entry, network if _have_same_cells(network.lstm, entry.lstm) else None)


def _have_same_cells(lstm: LSTM, other: LSTM) -> bool:
    """Whether an LSTM of an opened file and that of its network are made of the same objects in the same way."""
    cells, others = lstm.cells(), other.cells()
    same = cells.keys() == others.keys() and lstm.merge == other.merge
    return same and all(cell.parameters is others[place].parameters for place, cell in cells.items())


def with_layers(
    contents: Contents, name: str | None, embedding: str | None, head: str | None, reads: str | None
) -> Contents:
    """Return contents whose network has the layers of these names around its LSTM; see `gatewise.load_network`."""
    if embedding is None and head is None and reads is None:
        return contents
    network = contents.build_network(name, embedding, head, reads or "every")
    return replace(contents, network=lambda: network)
