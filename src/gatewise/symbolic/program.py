"""The program of a cell: ordered assignments, symbol ← formula, forward and backward, as data.

A program is what a variant computes in one step, with what it carries from step to step. It holds no data, no titles
and no sentences; its constants are those of the variant's switches. `cell.program` makes one of a `Form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

from gatewise.parameters import Variant
from gatewise.symbolic.formula import (
    C_CLIP,
    C_NEW,
    C_NORM,
    C_RAW,
    COLUMNS,
    COMPUTED,
    H_NEW,
    H_RAW,
    RECURRENT,
    UNITS,
    C,
    Formula,
    H,
    M,
    Slice,
    Symbol,
    rebuild,
    symbols,
)

# Kinds of inputs.
INPUT, STATE, PARAMETER, MASK, GRADIENT, EDIT = "input", "state", "parameter", "mask", "gradient", "edit"


@dataclass(frozen=True)
class ProgramInput:
    """A quantity that comes from outside.

    Attributes
    ----------
    symbol : Symbol
    axes : tuple of str
        The kinds of its own axes: see `symbols`.
    kind : {"input", "state", "parameter", "mask", "gradient", "edit"}
    """

    symbol: Symbol
    axes: tuple[str, ...]
    kind: str


class _AtAnyStep(dict[Symbol, int]):
    """What is known of symbols, and so of each of them at any step."""

    def __missing__(self, symbol: Symbol) -> int:
        if symbol.time is None:
            raise KeyError(symbol)
        return self.setdefault(symbol, self[replace(symbol, time=None)])


@dataclass(frozen=True)
class Assignment:
    """A quantity, and the formula that gives it.

    Attributes
    ----------
    left : Symbol
    right : Formula
        Of symbols that are given, carried or assigned before.
    axes : tuple of str
        The kinds of its own axes; none for a single number.
    sums : bool
        Whether it is added over time and batch: the gradient of a parameter.
    """

    left: Symbol
    right: Formula
    axes: tuple[str, ...] = (UNITS,)
    sums: bool = False


@dataclass(frozen=True)
class Carry:
    """What a step takes from the one before it (backward: after it): `into` there is `source` here."""

    into: Symbol
    source: Symbol


@dataclass(frozen=True)
class Form:
    """Which equations a program has, and how they are written.

    Attributes
    ----------
    variant : Variant
    projected : bool
        Whether the hidden state is projected.
    dropout : frozenset of str
        Which of the masks of `gatewise.equations.DropoutMasks` there are.
    split : bool
        Whether x and h each have a matrix of their own, so that there is no combined input.
    inline : bool
        Whether the combined input is written out in each gate.
    two_biases : bool
        Whether the parts of x and of h each have a bias.
    order : str
        In which it goes through the gates.
    edited : frozenset of (str, str)
        What edits do to which gates and states (by letter) in a step: ``scale`` them (where a value is given, by 0),
        ``clamp`` them, or ``set`` them to given values.
    """

    variant: Variant
    projected: bool = False
    dropout: frozenset[str] = frozenset()
    split: bool = False
    inline: bool = False
    two_biases: bool = False
    order: str = "ifgo"
    edited: frozenset[tuple[str, str]] = frozenset()

    @property
    def haste(self) -> bool:
        """Whether layer norm standardises the sums of all gates together: then x and h are multiplied apart."""
        return self.variant.layer_norm == "haste"

    @property
    def apart(self) -> bool:
        """Whether h and x are multiplied separately, so that there is no combined input."""
        return self.split or self.haste

    @property
    def weighted_gates(self) -> str:
        """The gates that have weights of their own, in this form's order."""
        return "".join(k for k in self.order if k in self.variant.own)

    @property
    def hidden(self) -> str:
        """What the hidden state runs over: the units, unless it is projected."""
        return RECURRENT if self.projected else UNITS

    # The symbols of quantities between which a switch, a mask or an edit may come.

    @property
    def cell(self) -> Symbol:
        """The new cell state before any zoneout, as the output gate sees it."""
        return C_NEW if "zoneout_cell" in self.dropout else C

    def edits(self, letter: str) -> tuple[str, ...]:
        """Return the edits that act on a gate or a state."""
        return tuple(how for how in ("scale", "clamp", "set") if (letter, how) in self.edited)

    def computed(self, symbol: Symbol) -> Symbol:
        """Return the symbol of a quantity before any edit."""
        return Symbol(symbol.base, COMPUTED) if self.edits(symbol.base) else symbol

    @property
    def raw_cell(self) -> Symbol:
        """The new cell state before any clip: f * c_prev + i * g."""
        return self.computed(self.cell) if self.variant.cell_clip is None else C_RAW

    @property
    def keeps_by_gate(self) -> bool:
        """Whether the forget gate alone says what is kept along the cell state, with no clip or zoneout beside it."""
        return self.raw_cell == C

    @property
    def output_cell(self) -> Symbol:
        """The new cell state as the output's nonlinearity meets it."""
        return self.unclipped_output_cell if self.variant.output_clip is None else C_CLIP

    @property
    def unclipped_output_cell(self) -> Symbol:
        """The new cell state for the output's nonlinearity, before any clip."""
        return C_NORM if self.haste else self.cell

    @property
    def hidden_new(self) -> Symbol:
        """The new hidden state before any zoneout and edit."""
        return H_NEW if "zoneout_hidden" in self.dropout else self.computed(H)

    @property
    def raw_hidden(self) -> Symbol:
        """The new hidden state before the clip of a projection."""
        return self.hidden_new if self.variant.projection_clip is None else H_RAW

    @property
    def produced(self) -> Symbol:
        """The output gate times the nonlinearity of the cell state, before any projection."""
        return M if self.projected else self.hidden_new

    def unclipped(self, k: str) -> Symbol:
        """Return the pre-activation of a gate before any clip."""
        return Symbol("a", k if self.variant.gate_clip is None else f"{k},raw")

    def weighted(self, k: str) -> Symbol:
        """Return the sum of a gate's products with its weights, as far as it has a name of its own."""
        return Symbol("q", k) if self.variant.layer_norm == "gates" else self.unclipped(k)


@dataclass(frozen=True, eq=False)  # each is made once, and compared by identity
class Program:
    """What a cell computes in one step, and what it carries from step to step.

    Attributes
    ----------
    form : Form
    given : tuple of Given
    forward, backward : tuple of Assignment
        Each after those that it needs.
    carry, carry_backward : tuple of Carry
    """

    form: Form
    given: tuple[ProgramInput, ...]
    forward: tuple[Assignment, ...]
    backward: tuple[Assignment, ...]
    carry: tuple[Carry, ...]
    carry_backward: tuple[Carry, ...]

    @cached_property
    def assignments(self) -> dict[Symbol, Assignment]:
        """Every assignment by what it gives."""
        return {line.left: line for line in (*self.forward, *self.backward)}

    @cached_property
    def order(self) -> dict[Symbol, int]:
        """Which of the assignments gives a symbol, counted from the first."""
        return {left: n for n, left in enumerate(self.assignments)}

    @cached_property
    def symbols(self) -> dict[Symbol, tuple[Symbol, ...]]:
        """What every assignment takes, by what it gives."""
        return {left: symbols(line.right) for left, line in self.assignments.items()}

    @cached_property
    def axes(self) -> dict[Symbol, tuple[str, ...]]:
        """The kinds of the axes of every quantity of the program."""
        return {quantity.symbol: quantity.axes for quantity in self.given} | {
            s: quantity.axes for s, quantity in self.assignments.items()
        }

    @cached_property
    def ranks(self) -> dict[Symbol, int]:
        """How many axes every quantity has of its own, also where a symbol says at which step."""
        return _AtAnyStep({symbol: len(axes) for symbol, axes in self.axes.items()})

    @cached_property
    def links(self) -> dict[Symbol, tuple[Symbol, int]]:
        """What a step takes from its neighbours: for each symbol here, the one there, and -1 (before) or 1 (after)."""
        before = {carry.into: (carry.source, -1) for carry in self.carry}
        return before | {carry.into: (carry.source, 1) for carry in self.carry_backward}

    def of_kind(self, kind: str) -> tuple[Symbol, ...]:
        """Return the inputs of one kind."""
        return tuple(quantity.symbol for quantity in self.given if quantity.kind == kind)


@lru_cache(256)
def sized(program: Program, recurrent: int, columns: int) -> Program:
    """Return a program for a cell of these sizes: its slices of vectors begin and end at numbers."""
    return with_ends(program, {RECURRENT: recurrent, COLUMNS: columns})


def with_ends(program: Program, ends: Mapping[int | str, int]) -> Program:
    """Return a program whose slices of vectors begin and end at other places, by name or number."""
    change = partial(at_ends, ends=ends)
    return replace(
        program, backward=tuple(replace(line, right=rebuild(line.right, change)) for line in program.backward)
    )


def at_ends(node: Formula, ends: Mapping[int | str, int]) -> Formula | None:
    """Return a slice of a vector that begins and ends at other places, or None for another node: for `rebuild`."""
    if not isinstance(node, Slice):
        return None
    return Slice(node.vector, *(ends.get(end, end) for end in (node.start, node.stop)))
