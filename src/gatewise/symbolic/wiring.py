"""How cells are wired: layers and directions, their merging, an embedding before them and a head after them, as data.

A wiring is to an LSTM or a network what a program is to a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatewise.arrays import Array
from gatewise.parameters import Parameters
from gatewise.records.step import State
from gatewise.symbolic.formula import TWO, Concatenation, Formula, Quotient, Slice, Symbol, add, d, times
from gatewise.symbolic.heads import OUTPUT, READ_AXIS, Head
from gatewise.symbolic.program import Assignment, Program, sized

FORWARD, BACKWARD = Symbol("h", "forward"), Symbol("h", "backward")  # the outputs of the two directions
MERGED = OUTPUT  # the output of a layer
E = Symbol("E")  # the embedding
MERGED_AXIS, ONE_DIRECTION = READ_AXIS, "one direction"  # what the vectors here run over


@dataclass(frozen=True, eq=False)
class WiredCell:
    """A cell in its place: its program, its numbers, and its direction in time."""

    program: Program
    parameters: Parameters
    direction: str = "forward"

    @property
    def sized(self) -> Program:
        """The program for cells of this size."""
        p = self.parameters
        return sized(self.program, p.recurrent_size, p.recurrent_size + p.input_size)


@dataclass(frozen=True, eq=False)
class Wiring:
    """An LSTM, with what may come before and after it.

    Attributes
    ----------
    cells : tuple of tuple of WiredCell
        ``[layer][direction]``.
    merge : tuple of str
        How each layer's directions become one output.
    masked_output : {"zeros", "repeat"}
        The output of a direction at steps that are not valid.
    embedding : array (vocabulary, input) or None
    marked : float or None
        The token, or the value of all features, that marks a step that is not valid.
    initial : tuple of tuple of State, or None
        What every sequence starts from where nothing else is given.
    reads : {"every", "last"}
        Whether the head reads the output of every step or the last hidden states, merged.
    head : Head or None
    """

    cells: tuple[tuple[WiredCell, ...], ...]
    merge: tuple[str, ...] = ("concat",)
    masked_output: str = "zeros"
    embedding: Array | None = None
    marked: float | None = None
    initial: tuple[tuple[State, ...], ...] | None = None
    reads: str = "every"
    head: Head | None = None

    @property
    def programs(self) -> dict[Program, Parameters]:
        """The programs of the cells in their sizes, each once, with the parameters of a cell that runs it."""
        programs: dict[Program, Parameters] = {}
        for cell in (cell for layer in self.cells for cell in layer):
            programs.setdefault(cell.sized, cell.parameters)
        return programs


def merging(how: str, directions: int) -> tuple[Assignment, ...]:
    """Return the equation that merges the outputs of a layer's directions; none if they are not merged."""
    if directions == 1:
        return (Assignment(MERGED, FORWARD, (MERGED_AXIS,)),)
    both: dict[str, Formula] = {
        "concat": Concatenation((FORWARD, BACKWARD)),
        "sum": add(FORWARD, BACKWARD),
        "mul": times(FORWARD, BACKWARD),
        "average": Quotient(add(FORWARD, BACKWARD), TWO),
    }
    return (Assignment(MERGED, both[how], (MERGED_AXIS,)),) if how != "none" else ()


def unmerging(how: str, directions: int) -> tuple[Assignment, ...]:
    """Return the equations of the backward pass of `merging`: the gradients of the two directions' outputs."""
    dy = d(MERGED)
    if directions == 1:
        return (Assignment(d(FORWARD), dy, (ONE_DIRECTION,)),)
    parts: dict[str, tuple[Formula, Formula]] = {
        "concat": (Slice(dy, 0, ONE_DIRECTION), Slice(dy, ONE_DIRECTION, MERGED_AXIS)),
        "sum": (dy, dy),
        "mul": (times(dy, BACKWARD), times(dy, FORWARD)),
        "average": (Quotient(dy, TWO), Quotient(dy, TWO)),
    }
    if how == "none":
        return ()
    outputs = zip((FORWARD, BACKWARD), parts[how], strict=True)
    return tuple(Assignment(d(output), part, (ONE_DIRECTION,)) for output, part in outputs)
