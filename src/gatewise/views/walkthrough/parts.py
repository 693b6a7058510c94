"""The parts of a walkthrough: plain data that every face renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatewise.step import Terms
from gatewise.views.walkthrough.formula import Formula, Symbol


@dataclass(frozen=True, eq=False)
class Equation:
    """One equation, what its symbols stand for, and what it gives.

    Attributes
    ----------
    left : Symbol
    right : Formula
    env : dict of Symbol to array
        Vectors (n,), matrices (n, m) and single numbers.
    value : array or number
        What `left` stands for.
    openness : bool
        Whether the value tells how far a gate is open, from 0 to 1.
    whole : bool
        Whether the equation makes one vector as a whole, so that no numbers go into it unit by unit.
    projected : bool
        Whether the value belongs to the projected hidden state, not to the units.
    """

    left: Symbol
    right: Formula
    env: Mapping[Symbol, Any]
    value: Any
    openness: bool = False
    whole: bool = False
    projected: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers under column heads.

    Attributes
    ----------
    title : str
        A symbol or a few words.
    columns : tuple of str
    rows : tuple of (str, sequence of float)
        Each row's name and numbers.
    openness : tuple of int
        Which columns tell how far a gate is open.
    digits : int
        Decimals to show.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, Sequence[Any]], ...]
    openness: tuple[int, ...] = ()
    digits: int = 8


@dataclass(frozen=True, eq=False)
class Facts:
    """Names and what they are: sizes, switches, where the numbers come from."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Definition:
    """The formula of a nonlinearity."""

    name: str
    right: Formula


@dataclass(frozen=True, eq=False)
class Opened:
    """Every product in the sum behind one number of one unit, or of one entry of the projected hidden state."""

    left: Symbol
    unit: int
    terms: Terms
    projected: bool = False


@dataclass(frozen=True, eq=False)
class Sentence:
    """What a number means here, in plain words."""

    text: str


Block = Equation | Table | Facts | Definition | Opened | Sentence


@dataclass(frozen=True, eq=False)
class Section:
    """One station of the walk.

    Attributes
    ----------
    key : str
        What it is about: ``activations``, ``sizes``, ``weights``, ``sequence``, ``input``, ``combined_input``, a gate,
        ``cell_state``, ``hidden_state``, ``sums``.
    title : str
    blocks : tuple of Block
    time : str or None
        The name of the step it belongs to, where there are several.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]
    time: str | None = None


@dataclass(frozen=True, eq=False)
class Walkthrough:
    """A run of a cell, worked through line by line. Printed, it is text.

    Attributes
    ----------
    title : str
    sections : tuple of Section
    units : tuple of int or None
        The units that are opened, or None for all.
    unit_names : tuple of str
    """

    title: str
    sections: tuple[Section, ...]
    units: tuple[int, ...] | None = None
    unit_names: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        from gatewise.views.walkthrough import text

        return text.plain(self)

    __repr__ = __str__
