"""Graphs of models in one form for every format: edges that skip what changes no number, and the layout they carry.

A reader traces each input of a node back to the node that computed it. Identities are dropped, and operators that
only move axes or reverse steps become the layout of the edge; matchers then see one form of every graph.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

Source = TypeVar("Source")


class Axis(Enum):
    """An axis of an array that an edge carries."""

    TIME = auto()
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
    dropped: tuple[Source, ...] = ()  # the nodes or names between, which change no number, its reader's side first


def exchange_time_and_batch(layout: Layout) -> Layout:
    """Return a layout of three axes with time and batch exchanged."""
    return (layout[1], layout[0], layout[2])
