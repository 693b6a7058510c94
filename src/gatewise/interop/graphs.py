"""Graphs of models in one form for every format: edges that skip what changes no number, and the layout they carry.

A reader traces each input of a node back to the node that computed it. Identities are dropped, and operators that
only move axes or reverse steps become the layout of the edge; matchers then see one form of every graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from gatewise.errors import shown
from gatewise.network import Network

Source = TypeVar("Source")


class Axis(Enum):
    """An axis of an array that an edge carries."""

    TIME = auto()
    REVERSED = auto()  # time, the last step first
    BATCH = auto()
    DIRECTION = auto()
    HIDDEN = auto()
    FEATURE = auto()


Layout = tuple[Axis, ...]
TIME_FIRST: Layout = (Axis.TIME, Axis.BATCH, Axis.FEATURE)
BATCH_FIRST: Layout = (Axis.BATCH, Axis.TIME, Axis.FEATURE)


@dataclass(frozen=True, eq=False)
class Edge(Generic[Source]):
    """An input of a node, traced back to its source."""

    source: Source  # where its numbers were computed: a node, or a name with its graph
    layout: Layout = TIME_FIRST  # the axes at the source, where the edge ends in an array (time, batch, feature)
    reversed: bool = False  # whether its steps come in the reverse of the order in which the source gives them
    mask: Hashable = None  # stands for the mask that comes with it: equal for two that are known to be the same


def exchange_time_and_batch(layout: Layout) -> Layout:
    """Return a layout of three axes with time and batch exchanged."""
    return (layout[1], layout[0], layout[2])


@dataclass(frozen=True, eq=False)
class JoinedNetwork:
    """The network of named layers, as a file connects them."""

    network: Network
    used: frozenset[str]  # the other layers that it includes, or that change nothing in a run
    reads: str  # the steps of the LSTM that are read, as the file says
    has_foreign_mask: bool = False  # whether a mask arrives at the LSTM that the network does not make


@dataclass(frozen=True)
class GraphInput:
    """An input of a whole model, as its file declares it.

    Attributes
    ----------
    name : str
    shape : tuple of int, str or None, or None
        Its sizes: the name of one that may be any where the file names it, else None. None where no shape is declared.
    dtype : str or None
        The type of its numbers, as NumPy calls it.
    axes : tuple of str or None
        The meaning of each axis (``time``, ``batch``, ``feature``); None where the file does not say.
    """

    name: str
    shape: tuple[int | str | None, ...] | None = None
    dtype: str | None = None
    axes: tuple[str, ...] | None = None

    def __str__(self) -> str:
        sizes = () if self.shape is None else ("any" if size is None else str(size) for size in self.shape)
        return shown(self.name if self.shape is None else f"{self.name} ({', '.join(sizes)})", 200)

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of a shape can be this input of a whole model; any can where no shape is declared."""
        if self.shape is None:
            return True
        sizes = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(size == n for size, n in sizes if isinstance(size, int))


def axes_in_order(rank: int, *, batch_first: bool) -> tuple[str, ...] | None:
    """Return the axes of a sequence's array with two axes or three, the batch or the time first; None of others."""
    first = ("batch", "time") if batch_first else ("time", "batch")
    return (*first, *["feature"] * (rank - 2)) if rank in (2, 3) else None


class FlagOnDemand:
    """A field of a frozen record, False by default, or given as a function that is called when it is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type | None = None) -> bool:
        flag: bool | Callable[[], bool] = record is not None and vars(record)[self._name]
        if callable(flag):
            flag = vars(record)[self._name] = flag()
        return flag

    def __set__(self, record: Any, flag: bool | Callable[[], bool]) -> None:
        vars(record)[self._name] = flag


@dataclass(frozen=True)
class GraphNames:
    """The inputs and outputs of an ONNX graph that belong to an LSTM, by name.

    A name is None where the LSTM has none in the graph: it is left out, or other operators stand between.

    Attributes
    ----------
    x : str or None
        The graph's input that is the LSTM's input.
    lengths : str or None
        The input that holds the lengths of the sequences (``sequence_lens``).
    h0, c0 : tuple of str or None
        The inputs that are the initial states (``initial_h``, ``initial_c``), one for each layer. A name that comes at
        every layer is of one input that holds the states of all, one after another on its first axis, as PyTorch's do.
    y : str or None
        The output that is the LSTM's output, its directions merged as `LSTM.merge` says.
    hn, cn : tuple of str or None
        The outputs that are the final states (``Y_h``, ``Y_c``), one for each layer, in the same way.
    x_batch_first, y_batch_first : bool
        Whether x, or y, has the axes (batch, time, feature) in the graph; else they are (time, batch, feature). Where
        an embedding or dense layers are before the LSTM, this is of their input, though x is None.
    """

    x: str | None = None
    lengths: str | None = None
    h0: tuple[str | None, ...] = (None,)
    c0: tuple[str | None, ...] = (None,)
    y: str | None = None
    hn: tuple[str | None, ...] = (None,)
    cn: tuple[str | None, ...] = (None,)
    x_batch_first: bool = FlagOnDemand()  # type: ignore[assignment]  # which is read as one
    y_batch_first: bool = False

    def __post_init__(self) -> None:
        """Make the names from an ONNX graph printable on one line."""
        for attribute, value in [*vars(self).items()]:
            if isinstance(value, str):
                object.__setattr__(self, attribute, shown(value))
            elif isinstance(value, tuple):
                object.__setattr__(self, attribute, tuple(name if name is None else shown(name) for name in value))
