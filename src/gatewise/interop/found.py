"""What a reader finds in a file: each LSTM with its name and conventions, other layers, and what cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError, WeightsWarning, join_names, one_of, shown
from gatewise.interop.graph_io import GraphNames
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.network import Linear, Network, Run
from gatewise.network.parts import READS
from gatewise.showing import brief, counted, inline

LINE = 500  # characters of a note, a reason or a place


def _print_safely(record: Any, *names: str) -> None:
    """Make the strings of a record fit for one line: most of them come from a file."""
    for name in names:
        most = 120 if name in ("name", "kind", "format") else LINE
        object.__setattr__(record, name, shown(getattr(record, name), most))


@dataclass(frozen=True, eq=False)
class Found:
    """One LSTM in a file.

    Attributes
    ----------
    name : str
        What `gatewise.load` takes as `name`.
    lstm : LSTM
        The LSTM, in gatewise's conventions.
    convention : str
        The file's conventions in words: the framework, its gate order, its biases.
    where : str
        Where the weights are in the file.
    notes : tuple of str
        What was assumed or left out, and what to know before numbers are compared.
    state : tuple of tuple of State, optional
        The initial state in the file, ``[layer][direction]``, each with a batch axis.
    batch_first : bool, optional
        Whether the framework's axes are (batch, time, feature); None where the file does not say.
    time_reversed : bool
        Whether the framework returns the last step first (Keras' ``go_backwards``); gatewise always returns outputs in
        the input's time.
    warns : tuple of str
        What `pick` warns of: why the file's own runtime computes slightly different numbers.
    stacked : bool
        Whether it combines all the other LSTMs of the file into one of several layers, which is the one that is picked
        if no name is given.
    combines : tuple of str
        The names of the LSTMs that it stacks, from the first layer on, where it is several of the file's.
    eight_bits : bool
        Whether its weights are 8-bit integers in the file, for a runtime that rounds what they meet to 8 bits too.
    graph : GraphNames, optional
        For an LSTM node of ONNX: the graph's inputs and outputs that belong to it.
    masked : bool, optional
        For a Keras layer: whether a mask arrives at it, so that its runs need ``mask=``; None where the file does not
        say.
    masked_output : {"zeros", "repeat"}, optional
        For a Keras layer: what it returns at masked steps, zeros or its previous output; None where the file does not
        say. `LSTM` takes it under the same name.
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

    def __post_init__(self) -> None:
        _print_safely(self, "name", "convention", "where")
        for name in ("notes", "warns"):
            object.__setattr__(self, name, tuple(shown(text, LINE) for text in getattr(self, name)))

    def _repr_html_(self) -> str:
        return inline(self)

    @property
    def bad(self) -> tuple[str, ...]:
        """Which of its arrays hold NaN or infinity, and how many: a sentence for each."""
        sentences = []
        for (layer, direction), cell in self.lstm.cells().items():
            for name, array in cell.parameters.arrays().items():
                rows = array if array.ndim > 2 else [array]  # a gate at a time: weights may be large
                if count := sum(int(np.count_nonzero(~np.isfinite(one))) for one in rows):
                    sentences.append(f"{count} of {array.size} numbers in {name} of layer {layer}, {direction}")
        return tuple(sentences)


@dataclass(frozen=True, eq=False)
class Part:
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
        The nonlinearity of a linear layer, where the file states it: see `Linear`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight: Callable[[], Array] | None = field(default=None, repr=False)
    bias: Callable[[], Array] | None = field(default=None, repr=False)
    activation: Activation | str | None = None

    def __post_init__(self) -> None:
        _print_safely(self, "name", "kind")


@dataclass(frozen=True)
class Refused:
    """A recurrent layer, or a file's whole content, that cannot be read.

    Attributes
    ----------
    name : str
    reason : str
        Why not, as the rest of a sentence that begins with the name.
    """

    name: str
    reason: str

    def __post_init__(self) -> None:
        _print_safely(self, "name", "reason")


@dataclass(frozen=True, eq=False)
class Joined:
    """The network of named layers, as a file connects them.

    Attributes
    ----------
    network : Network
    used : frozenset of str
        The other layers that are in it, or change nothing when a network is run.
    reads : str
        What the file says that is read of the LSTM: see `Network`.
    untold : bool
        Whether a mask arrives at the LSTM that the network does not make.
    """

    network: Network
    used: frozenset[str]
    reads: str
    untold: bool = False


class _BuiltOnce:
    """A function that builds a network; it runs once, and its network or its `FileError` is remembered.

    Parameters
    ----------
    build : callable
    """

    def __init__(self, build: Callable[[], Network]) -> None:
        self.build = build
        self.network: Network | None = None
        self.refusal: FileError | None = None

    def __call__(self) -> Network:
        if self.refusal is not None:
            raise self.refusal.with_traceback(None)
        if self.network is None:
            try:
                self.network = self.build()
            except FileError as problem:
                self.refusal = problem
                raise
        return self.network


@dataclass(frozen=True, eq=False, repr=False)
class Contents:
    """What is in a file.

    Attributes
    ----------
    path : str
    format : str
        In words, with the version where the file says it.
    found : tuple of Found
        The LSTMs.
    parts : tuple of Part
        Other layers, such as an embedding or a head.
    refused : tuple of Refused
        What cannot be read, and why.
    network : callable, optional
        Returns the whole network, where the file says how its layers are connected; raises `FileError` for what a
        `Network` cannot express. The network is built once; later calls return the same one.
    holds : str
        What the file holds, in words, if it has none of these.
    calls : tuple of str
        For a pickle: the classes and functions that unpickling would have called. None of them is ever imported.
    trace : Trace, LSTMTrace or NetworkTrace, optional
        The run in a file of gatewise's own that holds a trace.
    joined : callable, optional
        Returns, as `Joined`, the network of an LSTM, an embedding or None and a head or None, given by their names, and
        of what is to be read, where the file says how its layers are connected; raises `FileError` if these are not, or
        if there is something between that a `Network` cannot express.
    """

    path: str
    format: str
    found: tuple[Found, ...] = ()
    parts: tuple[Part, ...] = ()
    refused: tuple[Refused, ...] = ()
    network: Callable[[], Network] | None = None
    holds: str = "it holds no weights"
    calls: tuple[str, ...] = ()
    joined: Callable[..., Any] | None = None
    trace: Run | None = None

    def __post_init__(self) -> None:
        _print_safely(self, "format", "holds")
        if self.network is not None and not isinstance(self.network, _BuiltOnce):
            object.__setattr__(self, "network", _BuiltOnce(self.network))
        object.__setattr__(self, "calls", tuple(map(shown, self.calls)))

    def __repr__(self) -> str:
        lines = [f"{one.name}: {one.lstm!r}" for one in self.found[:5]]
        if (more := len(self.found) - len(lines)) > 0:
            lines.append(f"and {counted(more, 'more LSTM')}")
        for what, names in (
            ("other layers", [one.name for one in self.parts]),
            ("not to be read", [one.name for one in self.refused]),
            ("called by unpickling", self.calls),
        ):
            if names:
                lines.append(f"{what} ({len(names):,}): {join_names(map(repr, names))}")
        return brief(f"Contents: {shown(self.path, LINE)}, {self.format}", dict.fromkeys(lines or [self.holds]))

    def _repr_html_(self) -> str:
        return inline(self)

    def pick(self, name: str | None = None) -> Found:
        """Return the LSTM of that name; without one, the only LSTM, or the one that stacks all the others.

        It warns of weights that are not finite, and of those that the file's own runtime uses at another precision.

        Raises
        ------
        FileError
            If there is none, or it is one that cannot be read.
        OptionError
            If there are several and no name is given, or there is none of that name.
        """
        names = join_names(repr(lstm.name) for lstm in self.found)
        if name is not None:
            for refused in self.refused:
                if refused.name == name and not any(one.name == name for one in self.found):
                    raise FileError(f"cannot read {name!r} in {self.path}: {refused.reason}")
        if not self.found:
            raise FileError(f"{self.path} ({self.format}) holds no LSTM that can be read: {self._instead()}")
        stacked = [one for one in self.found if one.stacked] if name is None else []
        if name is None and len(self.found) > 1 and len(stacked) != 1:
            raise OptionError(f"{self.path} holds {len(self.found)} LSTMs; name one of them: {names}")
        chosen = stacked if len(stacked) == 1 else [one for one in self.found if name in (None, one.name)]
        if not chosen:
            raise OptionError(f"there is no LSTM {name!r} in {self.path}; it has {names}")
        warn_of(f"{self.path}: {chosen[0].name}", chosen[0].bad)
        for text in chosen[0].warns:
            warnings.warn(f"{self.path}: {chosen[0].name}: {text}", WeightsWarning, stacklevel=3)
        return chosen[0]

    def _instead(self) -> str:
        reasons = [f"{refused.name}: {refused.reason}" for refused in self.refused]
        parts = [f"{part.name} ({part.kind}, {part.shape})" for part in self.parts]
        return join_names(reasons or parts, most=6, separator="; ") or self.holds

    def made(self, name: str | None, embedding: str | None, head: str | None, reads: str | None = None) -> Network:
        """Return the network of an LSTM and the layers that are named as its embedding and head.

        What the file says of them is kept: masked steps, what is read of the LSTM, layers between it and the head. It
        warns of layers that are left out, of masks that a call must give, and where `reads` is not what the file says.

        Raises
        ------
        OptionError
            If no layer is named, of a file that says itself how its layers are connected.
        """
        if embedding is None and head is None and self.network is not None:
            raise OptionError(
                f"reads goes with the name of an embedding or a head; {self.path} says itself what its layers read"
            )
        found = self.pick(name)
        lstm, table, linear = found.lstm, None, None
        if embedding is not None:
            table, _ = self._read(embedding, "embedding", lstm)
        if head is not None:
            weight, part = self._read(head, "head", lstm)
            bias = None if part.bias is None else part.bias().astype(lstm.dtype)
            linear = Linear(weight, bias, part.activation)
        used = {one for one in (embedding, head) if one is not None}
        says = []
        if self.joined is None:
            network = Network(lstm, embedding=table, head=linear, reads=reads or "every")
        else:
            asked = None if reads is None else one_of("reads", reads, READS)
            joined: Joined = self.joined(found.name, embedding, head, asked)
            network = joined.network
            used |= joined.used
            if network.reads != joined.reads:
                says.append(f"the network reads {network.reads}, as asked for; in the file, it is {joined.reads}")
            if joined.untold:
                says.append("a mask arrives at the LSTM which the network does not make: give mask=… with each call")
        if left := [one.name for one in self.parts if one.name not in used]:
            says.append(f"the network leaves out {join_names(map(repr, left))}, which the file also holds")
        for one in says:
            warnings.warn(f"{self.path}: {one}", WeightsWarning, stacklevel=3)
        return network

    def _read(self, name: str, purpose: str, lstm: LSTM) -> tuple[Array, Part]:
        usable = [one for one in self.parts if one.weight is not None]
        for one in usable:
            if one.name == name and one.weight is not None:
                weight = one.weight().astype(lstm.dtype)
                bad = int(np.count_nonzero(~np.isfinite(weight)))
                warn_of(f"{self.path}: {name}", [f"{bad} of {weight.size} numbers"] * bool(bad))
                return weight, one
        names = join_names(repr(part.name) for part in usable) or "none"
        raise OptionError(f"there is no {purpose} {name!r} in {self.path}; it has {names}")


def warn_of(what: str, bad: Sequence[str]) -> None:
    """Warn of weights that are not finite numbers."""
    if bad:
        warnings.warn(f"{what} has weights that are not finite: {'; '.join(bad)}", WeightsWarning, stacklevel=4)


def distinct(found: Iterable[Found]) -> tuple[Found, ...]:
    """Return what was found with distinct names: #2, #3 … are appended to those that occur again."""
    seen: dict[str, int] = {}
    result = []
    for one in found:
        count = seen[one.name] = seen.get(one.name, 0) + 1
        result.append(one if count == 1 else replace(one, name=f"{one.name}#{count}"))
    return tuple(result)


def omissions(path: str, given: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise OptionError for an option that files of this format do not take."""
    for name in given:
        if name not in allowed:
            what = f"allowed: {', '.join(map(shown, allowed[:20]))}" if allowed else "a file of this format takes none"
            raise OptionError(f"there is no option {shown(name)!r} for {path}; {what}")
