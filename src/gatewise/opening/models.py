"""The model of a run: out of a file or an object in memory, with the network that its LSTM belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.cell import LSTMCell
from gatewise.errors import FileError, OptionError
from gatewise.interop import inspect
from gatewise.interop.chosen_layers import NO_LAYER, chosen_network, fitting_layers
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.interop.own import contents_of
from gatewise.layers import LSTM
from gatewise.network import Network

if TYPE_CHECKING:
    from gatewise.network.graph_network import GraphNetwork

KINDS = "the path of a model or a trace, an LSTM, a Network, a GraphNetwork, Contents, StoredLSTM, Captured or a trace"

IN_MEMORY = "the model"  # in the place of a path


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
    options : str
        The options that name the layers which fit the LSTM, where the file does not connect them and several readings
        are possible.
    """

    contents: Contents
    found: StoredLSTM
    network: Network | None = None
    notes: tuple[str, ...] = ()
    options: str = ""

    @property
    def lstm(self) -> LSTM:
        """The LSTM."""
        return self.found.lstm

    @property
    def feature_network(self) -> Network | None:
        """The network, if its features pass through a scaling or dense layers before the LSTM; else None."""
        network = self.network
        return network if network is not None and (network.inputs is not None or network.branches) else None


def contents_from(model: object, settings: Mapping[str, Any] | None = None, taker: str = "open_run") -> Contents:
    """Return a model that a function of the name `taker` is given, a path or an object, as the contents of a file.

    `settings` are what a file leaves out, as in `gatewise.inspect`.
    """
    if isinstance(model, (str, os.PathLike)):
        return inspect(model, **dict(settings or {}))
    if settings:
        raise OptionError("settings are for a model's file. Leave them out for a model in memory.")
    if isinstance(model, Contents):
        return model
    if isinstance(model, StoredLSTM):
        return Contents("the model", model.convention, (model,))
    if isinstance(model, LSTMCell):
        model = LSTM.from_cells(model)
    if isinstance(model, (LSTM, Network)):
        return contents_of(model, "the model", "in memory", batch_first=False)
    from gatewise.network.graph_network import GraphNetwork  # which most runs do without

    if isinstance(model, GraphNetwork):
        return contents_of_graph(model)
    raise OptionError(f"{taker} takes {KINDS}, not {type(model).__name__}")


def contents_of_graph(network: GraphNetwork) -> Contents:
    """Return a network in memory as the contents of a file."""
    lstms = tuple(StoredLSTM(name, lstm, "a graph of operations", "in memory") for name, lstm in network.lstms.items())
    return Contents(IN_MEMORY, "a graph of operations", lstms, graph=lambda: network.graph)


def opened_model(contents: Contents, entry: StoredLSTM, named: Network | None = None) -> OpenedModel:
    """Return an LSTM of a model's file with its network, or a note why there is none.

    It is that of `named` layers, else the one that the file describes, if it is made of the very same cells.
    """
    try:
        network = contents.network() if named is None and contents.network is not None else named
    except FileError as refusal:  # a Network cannot express how the file connects its layers
        return OpenedModel(contents, entry, notes=(str(refusal),))
    same = network is not None and _have_same_cells(network.lstm, entry.lstm)
    return OpenedModel(contents, entry, network if same else None)


def _have_same_cells(lstm: LSTM, other: LSTM) -> bool:
    """Whether an LSTM of an opened file and that of its network are made of the same objects in the same way."""
    cells, others = lstm.cells(), other.cells()
    same = cells.keys() == others.keys() and lstm.merge == other.merge
    return same and all(cell.parameters is others[place].parameters for place, cell in cells.items())


def with_fitting_layers(
    model: OpenedModel, values: Any, reads: str | None, *, strict: bool, lstm_only: bool = False
) -> OpenedModel:
    """Return a model with the network of the layers of its file that alone fit its LSTM and its input, and a note.

    An embedding is taken where the input holds whole numbers that are not the LSTM's own features; whole numbers that
    may be these are, and the note says how to take them as tokens. Where several layers fit, the note lists them as
    options. A model whose file connects its layers stays as it is, and with `lstm_only` there is no head.
    """
    contents, entry = model.contents, model.found
    fitting = fitting_layers(contents, entry, strict=strict)
    if contents.network is not None or not fitting.options:
        return model
    are_features = values.ndim > 1 and values.shape[-1] == entry.lstm.input_size
    are_whole = bool((values == np.rint(values)).all())
    if fitting.only is None:
        sentence = f"the LSTM is run alone: {fitting.why}; these fit it: {fitting.options}"
        return replace(model, notes=(*model.notes, sentence), options=fitting.options)
    table, head = fitting.only
    embedding, head = None if are_features or not are_whole else table, None if lstm_only else head
    if table is not None and are_features and are_whole:
        options = f"--embedding {table}" + (f" --head {head}" if head is not None else "")
        model = replace(model, notes=(*model.notes, f"the input is read as features; {options} reads it as tokens"))
    if embedding is None and head is None:
        return model
    network = chosen_network(contents, entry.name, embedding or NO_LAYER, head or NO_LAYER, reads)
    return replace(model, network=network, notes=(*model.notes, fitting.inference_sentence(embedding, head)))
