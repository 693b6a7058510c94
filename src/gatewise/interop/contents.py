"""The contents of a file: its LSTMs with their names and conventions, other layers, and refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from operator import call
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, WeightsWarning, join_names, shown
from gatewise.files.budget import HostileFileError
from gatewise.interop import ledger as ledgers
from gatewise.interop.graphs import GraphInput, GraphNames
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.refusals import FileGraph, FileNetwork
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Linear, Network, Run
from gatewise.showing import brief, counted, inline

if TYPE_CHECKING:
    from gatewise.network.graph import Graph

LINE = 500  # characters of a note, a reason or a place
MASKED = "a mask arrives at it"  # how the note begins of an LSTM that needs mask=… where no network makes it


def _print_safely(record: Any, *names: str) -> None:
    """Make the strings of a record about a file printable on one line: most of them come from the file."""
    for name in names:
        most = 120 if name in ("name", "kind", "format") else LINE
        object.__setattr__(record, name, shown(getattr(record, name), most))


@dataclass(frozen=True, eq=False)
class StoredLSTM:
    """One LSTM in a file.

    Attributes
    ----------
    name : str
        The `name` for `gatewise.load`.
    lstm : LSTM
        The LSTM, in gatewise's conventions.
    convention : str
        The file's conventions in words: the framework, its gate order, its biases.
    where : str
        The place of the weights in the file.
    notes : tuple of str
        Assumptions, omissions, and notes to read before numbers are compared.
    state : tuple of tuple of State, optional
        The initial state in the file, ``[layer][direction]``, each with a batch axis.
    batch_first : bool, optional
        Whether the framework's axes are (batch, time, feature); None if the file does not say.
    time_reversed : bool
        Whether the framework returns the last step first (Keras' ``go_backwards``); gatewise always returns outputs in
        the input's time.
    warns : tuple of str
        Warnings of `pick`: why the file's runtime computes slightly different numbers.
    stacked : bool
        Whether it stacks all the other LSTMs of the file as layers; it is picked if no name is given.
    combines : tuple of str
        The names of the LSTMs that it stacks, from the first layer on; empty if it stacks none.
    eight_bits : bool
        Whether its weights are 8-bit integers in the file, for a runtime that also rounds the other factors to 8 bits.
    graph : GraphNames, optional
        For an LSTM node of ONNX: the graph's inputs and outputs that belong to it.
    masked : bool, optional
        For a Keras layer: whether a mask arrives at it, so that its runs need ``mask=``; None if the file does not say.
    masked_output : {"zeros", "repeat"}, optional
        For a Keras layer: its output at masked steps, zeros or the previous output; None if the file does not say.
        `LSTM` takes it under the same name.
    entries : sequence of str
        The names of what it is made of in the file, as in `Contents.ledger`.
    lengths : tuple of int, optional
        The number of valid steps of each sequence, if the file fixes it (a constant ``sequence_lens`` of ONNX).
        `gatewise.open_run` takes them unless others are given.
    reads_input : bool
        For a Keras layer: whether its input is that of the whole model, as it is.
    """

    name: str
    lstm: LSTM
    convention: str
    where: str
    notes: tuple[str, ...] = ()
    state: States | None = None
    batch_first: bool | None = None
    time_reversed: bool = False
    warns: tuple[str, ...] = ()
    stacked: bool = False
    combines: tuple[str, ...] = ()
    eight_bits: bool = False
    graph: GraphNames | None = None
    masked: bool | None = None
    masked_output: str | None = None
    entries: Sequence[str] = ()
    lengths: tuple[int, ...] | None = None
    reads_input: bool = False

    def __post_init__(self) -> None:
        _print_safely(self, "name", "convention", "where")
        for name in ("notes", "warns"):
            object.__setattr__(self, name, tuple(shown(text, LINE) for text in getattr(self, name)))

    def _repr_html_(self) -> str:
        return inline(self)

    @property
    def non_finite(self) -> tuple[str, ...]:
        """A sentence for each array of a file's LSTM with NaN or infinity, with their count."""
        sentences = []
        for (layer, direction), cell in self.lstm.cells().items():
            for name, array in cell.parameters.arrays().items():
                rows = array if array.ndim > 2 else [array]  # a gate at a time: weights may be large
                if count := sum(int(np.count_nonzero(~np.isfinite(row))) for row in rows):
                    sentences.append(f"{count} of {array.size} numbers in {name} of layer {layer}, {direction}")
        return tuple(sentences)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """Another layer in a file, which may be the embedding or the head of a network.

    Attributes
    ----------
    name : str
    kind : str
        In words: ``linear layer``, ``embedding``, ``embedding or linear layer without bias``, or the framework's word.
    shape : tuple of int
        The shape of its weight: (output, input), or (vocabulary, size) for an embedding.
    weight : callable, optional
        Returns the weight in this shape; None if no `Network` can use the layer.
    bias : callable, optional
        Returns the bias, if there is one.
    activation : Activation or str, optional
        The nonlinearity of a linear layer, if the file states it: see `Linear`.
    reads : {"every", "last"}, optional
        The steps of an LSTM that a linear layer reads, if the file states them and does not connect its layers.
    entries : sequence of str
        The names of what it is made of in the file, as in `Contents.ledger`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight: Callable[[], Array] | None = field(default=None, repr=False)
    bias: Callable[[], Array] | None = field(default=None, repr=False)
    activation: Activation | str | None = None
    entries: Sequence[str] = ()
    reads: str | None = None

    def __post_init__(self) -> None:
        _print_safely(self, "name", "kind")


def held_layer(name: str, layer: Linear | Array, entries: tuple[str, ...] = ()) -> StoredLayer:
    """Return the description of a dense layer or an embedding of a model's file that a reader has in memory."""
    if not isinstance(layer, Linear):
        return StoredLayer(name, "embedding", layer.shape, partial(np.asarray, layer), entries=entries)
    weight, bias = (partial(np.asarray, array) for array in (layer.weight, layer.bias))
    return StoredLayer(name, "linear layer", layer.weight.shape, weight, bias, layer.activation, entries)


@dataclass(frozen=True)
class Refused:
    """A recurrent layer, or a file's whole content, that cannot be read.

    Attributes
    ----------
    name : str
    reason : str
        The reason, as the rest of a sentence that begins with the name.
    entries : tuple of str
        The names of what it is made of in the file, as in `Contents.ledger`.
    may_be_lstm : bool
        Whether it may be one more LSTM, in a form that is not recognised: then no LSTM is the only one of the file.
    """

    name: str
    reason: str
    entries: tuple[str, ...] = ()
    may_be_lstm: bool = False

    def __post_init__(self) -> None:
        _print_safely(self, "name", "reason")


StoredItem = StoredLSTM | StoredLayer | Refused
Listing = tuple[tuple[StoredLSTM, ...], tuple[StoredLayer, ...], tuple[Refused, ...]]


@dataclass(frozen=True, eq=False, repr=False)
class Contents:
    """The contents of a file.

    Attributes
    ----------
    path : str
    format : str
        In words, with the version if the file states it.
    lstms : tuple of StoredLSTM
        The LSTMs.
    parts : tuple of StoredLayer
        Other layers, such as an embedding or a head.
    refused : tuple of Refused
        The layers that cannot be read, with the reasons.
    network : callable, optional
        Returns the complete network, if the file says how its layers are connected; raises `FileError` for parts that a
        `Network` cannot express. The network is built once; later calls return the same one.
    holds : str
        A description of the content, if it has none of these.
    calls : tuple of str
        For a pickle: the classes and functions that unpickling would have called. None of them is ever imported.
    trace : Trace, LSTMTrace or NetworkTrace, optional
        The run, if the file holds a trace.
    inputs : tuple of GraphInput
        The inputs of the whole model, if the file declares them.
    joined : callable, optional
        Takes the names of an LSTM, of an embedding or None, and of a head or None, and `reads`; returns their
        `JoinedNetwork` as the file connects them. Raises `FileError` if they are not connected, or if a layer between
        them cannot be expressed.
    epoch : int, optional
        The epoch of the training after which the weights were stored, if the file states it.
    outputs : tuple of str
        The outputs of the whole model, if the file declares them.
    graph : callable, optional
        Returns the whole model as a graph of operations, if the file says what it computes. What gatewise lacks is an
        unknown node of it.
    ledger : sequence of LedgerEntry
        Each tensor, node, attribute and input of the file: the layer that uses it, or why it is left out and what it
        would change.
    again : callable, optional
        Inspects the file again. A pickle or a copy holds this call instead of the contents, so it needs the file.
    """

    path: str
    format: str
    lstms: tuple[StoredLSTM, ...] = ()
    parts: tuple[StoredLayer, ...] = ()
    refused: tuple[Refused, ...] = ()
    network: Callable[[], Network] | None = None
    holds: str = "it holds no weights"
    calls: tuple[str, ...] = ()
    joined: Callable[..., Any] | None = None
    trace: Run | None = None
    epoch: int | None = None
    ledger: Sequence[LedgerEntry] = ()
    inputs: tuple[GraphInput, ...] = ()
    outputs: tuple[str, ...] = ()
    graph: Callable[[], Graph] | None = None
    again: Callable[[], Contents] | None = field(default=None, init=False)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return super().__reduce__() if self.again is None else (call, (self.again,))

    def __post_init__(self) -> None:
        _print_safely(self, "format", "holds")
        if self.network is not None and not isinstance(self.network, FileNetwork):
            object.__setattr__(self, "network", FileNetwork(self.path, self.network))
        if self.graph is not None and not isinstance(self.graph, FileGraph):
            object.__setattr__(self, "graph", FileGraph(self.graph))
        object.__setattr__(self, "calls", tuple(map(shown, self.calls)))

    def __repr__(self) -> str:
        lines = [f"{stored.name}: {stored.lstm!r}" for stored in self.lstms[:5]]
        if (more := len(self.lstms) - len(lines)) > 0:
            lines.append(f"and {counted(more, 'more LSTM')}")
        for title, names in (
            ("other layers", [layer.name for layer in self.parts]),
            ("not to be read", [refusal.name for refusal in self.refused]),
            ("left out", [entry.name for entry in self.ledger if not entry.used]),
            ("called by unpickling", self.calls),
        ):
            if names:
                lines.append(f"{title} ({len(names):,}): {join_names(map(repr, names))}")
        return brief(f"Contents: {shown(self.path, LINE)}, {self.format}", dict.fromkeys(lines or [self.holds]))

    def _repr_html_(self) -> str:
        return inline(self)

    def pick(self, name: str | None = None, *, strict: bool = False) -> StoredLSTM:
        """Return a file's LSTM of that name; without one, the only LSTM, or the one that stacks all the others.

        It warns of weights that are not finite, or that the file's runtime uses at another precision, and of what is
        left out of the file that would change its numbers, its input or its output; `strict` refuses the last two.

        Raises
        ------
        FileError
            If there is none, or if it cannot be read.
        OptionError
            If there are several and no name is given, or there is none of that name.
        """
        stored = self.find(name, strict=strict)
        for text in self.cautions(stored):
            warnings.warn(text, WeightsWarning, stacklevel=3)
        return stored

    def find(self, name: str | None = None, *, strict: bool = False) -> StoredLSTM:
        """Return the LSTM that `pick` returns, without its warnings, which `cautions` has."""
        names = join_names(repr(lstm.name) for lstm in self.lstms)
        chosen = [stored for stored in self.lstms if stored.name == name]
        for refused in self.refused if not chosen else ():
            if refused.name == name:
                raise FileError(f"cannot read {name!r} in {self.path}: {refused.reason}")
        if not self.lstms:
            raise FileError(f"{self.path} ({self.format}) holds no LSTM that can be read: {self._describe_rest()}")
        if name is None:
            for refused in self.refused:
                if refused.may_be_lstm:
                    raise OptionError(
                        f"{self.path}: {refused.name}: {refused.reason}. Choose an LSTM by its name: {names}"
                    )
            chosen = [stored for stored in self.lstms if stored.stacked or len(self.lstms) == 1]
            if len(chosen) != 1:
                raise OptionError(f"{self.path} holds {len(self.lstms)} LSTMs. Choose one by its name: {names}")
        if not chosen:
            raise OptionError(f"there is no LSTM {name!r} in {self.path}; it has {names}")
        if strict and (reasons := self._reservations(chosen[0])):
            raise FileError(f"cannot read {chosen[0].name!r} in {self.path} with strict=True: {'; '.join(reasons)}")
        return chosen[0]

    def cautions(self, stored: StoredLSTM) -> tuple[str, ...]:
        """Return what to know before the numbers of a file's LSTM are used: its warnings, and what is left out."""
        finite = [not_finite_sentence(stored.name, stored.non_finite)] if stored.non_finite else []
        reservations = (f"{stored.name}: {text}" for text in self._reservations(stored))
        return tuple(f"{self.path}: {text}" for text in (*finite, *reservations))

    def _reservations(self, stored: StoredLSTM) -> tuple[str, ...]:
        """Return why the numbers of a file's LSTM may differ from its runtime's, as clauses."""
        left_out = self.left_out(stored)
        return (*stored.warns, f"left out: {ledgers.clauses(left_out)}") if left_out else stored.warns

    def left_out(self, stored: StoredLSTM) -> list[LedgerEntry]:
        """Return what is left out of the file and would change the numbers of an LSTM, its input or its output."""
        return ledgers.concerning(self.ledger, (stored.name, *stored.combines))

    @property
    def is_only_a_graph(self) -> bool:
        """Whether the file describes its whole model as a graph, and not as a `Network`."""
        if self.graph is None:
            return False
        if self.network is not None:
            with suppress(FileError):
                self.network()
                return False
        return True

    def require_sound(self) -> None:
        """Refuse a file whose graph contradicts itself or asks for too much; what gatewise only lacks is no reason.

        Raises
        ------
        FileError
            If the graph has a circle, for example, or reads a name that nothing has.
        CapacityError
            If it has too many nodes.
        """
        if self.graph is not None and self.is_only_a_graph:
            try:
                self.graph()
            except (HostileFileError, CapacityError):
                raise
            except GatewiseError:
                return

    def _describe_rest(self) -> str:
        reasons = [f"{refused.name}: {refused.reason}" for refused in self.refused]
        parts = [f"{part.name} ({part.kind}, {part.shape})" for part in self.parts]
        return join_names(reasons or parts, most=6, separator="; ") or self.holds


def not_finite_sentence(owner: str, sentences: Sequence[str]) -> str:
    """Return a sentence on weights that are not finite numbers."""
    return f"{owner} has weights that are not finite: {'; '.join(sentences)}"


def with_distinct_names(lstms: Iterable[StoredLSTM]) -> tuple[StoredLSTM, ...]:
    """Return the LSTMs of a file with distinct names: #2, #3 … are appended to repeated ones."""
    counts: dict[str, int] = {}
    result = []
    for stored in lstms:
        count = counts[stored.name] = counts.get(stored.name, 0) + 1
        result.append(stored if count == 1 else replace(stored, name=f"{stored.name}#{count}"))
    return tuple(result)


def listing(items: Iterable[StoredItem]) -> Listing:
    """Return the layers of a file by their kind, as `Contents` takes them; the LSTMs get distinct names."""
    layers = [*items]
    lstms = with_distinct_names(layer for layer in layers if isinstance(layer, StoredLSTM))
    parts = tuple(layer for layer in layers if isinstance(layer, StoredLayer))
    return lstms, parts, tuple(layer for layer in layers if isinstance(layer, Refused))


def check_options(path: str, options: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuse an option of a reader that files of this format do not take."""
    for name in options:
        if name not in allowed:
            hint = f"allowed: {', '.join(map(shown, allowed[:20]))}" if allowed else "a file of this format takes none"
            raise OptionError(f"there is no option {shown(name)!r} for {path}; {hint}")
