"""The parts of a walkthrough: plain data that every format renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import call
from os import PathLike
from typing import Any, Protocol

from gatewise import showing
from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.parameters import Parameters
from gatewise.records.step import Step, Terms
from gatewise.symbolic.evaluation import Env
from gatewise.symbolic.formula import COLUMNS, UNITS, Formula, Symbol
from gatewise.symbolic.program import Assignment, Form, Program
from gatewise.walkthrough.numbers import DIGITS, with_decimals

Words = str | Symbol | tuple[str | Symbol, ...]  # text, with symbols in it


@dataclass(frozen=True, eq=False)
class WorkedEquation:
    """One equation, the values of its symbols, and its result.

    Attributes
    ----------
    left : Symbol
    right : Formula
    env : dict of Symbol to array
        Vectors (n,), matrices (n, m) and single numbers.
    value : array or number
        The value of `left`: a vector, a number, or a matrix.
    over : str
        What the entries of a vector, or the rows of a matrix, belong to: a key of `Walkthrough.names`.
    across : str
        What the columns of a matrix belong to.
    worked : bool
        Whether numbers go into it, entry by entry.
    openness : bool
        Whether the value says how far a gate is open, from 0 to 1.
    products : tuple of str
        What the products with a matrix are called, in the order in which they are summed.
    """

    left: Symbol
    right: Formula
    env: Mapping[Symbol, Any]
    value: Any
    over: str = UNITS
    across: str = COLUMNS
    worked: bool = True
    openness: bool = False
    products: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NumberTable:
    """Rows of numbers under column heads.

    Attributes
    ----------
    title : Words
    columns : tuple of Words
    rows : sequence of (Words, sequence of float)
        Each row's name and numbers.
    openness : tuple of int
        Which columns say how far a gate is open.
    digits : int
        Decimals to show.
    whole : bool
        Whether every row is shown, however many there are.
    left_out : int
        How many rows before the last one are not there: those of the steps between the first and the last of a long
        walk.
    """

    title: Words
    columns: tuple[Words, ...]
    rows: Sequence[tuple[Words, Sequence[Any]]]
    openness: tuple[int, ...] = ()
    digits: int = DIGITS
    whole: bool = False
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Facts:
    """Names and what they are: sizes, switches, where the numbers come from."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Definition:
    """The formula of a nonlinearity, or of its derivative."""

    name: str
    right: Formula


@dataclass(frozen=True, eq=False)
class Expanded:
    """Every product in the sum behind one number: of a unit, or of another entry (`over`, a key of the names)."""

    left: Symbol
    unit: int
    terms: Terms
    over: str = UNITS


@dataclass(frozen=True, eq=False)
class Sentence:
    """What a number means here, in plain words."""

    text: Words


Block = WorkedEquation | NumberTable | Facts | Definition | Expanded | Sentence


@dataclass(frozen=True, eq=False)
class Section:
    """One section of the walk.

    Attributes
    ----------
    key : str
        What it shows: ``activations``, ``sizes``, ``weights``, ``sequence``, ``input``, ``combined_input``, a gate,
        ``cell_state``, ``hidden_state``, ``sums``; of a backward pass ``loss``, ``forward``, ``arriving``,
        ``d_hidden_state``, ``d_cell_state``, ``d_`` and a gate, ``d_sums``, ``d_weights``, ``d_previous``,
        ``all_steps``, ``through_time``, ``gradient_check``; ``left_out`` for steps that are not shown.
    title : str
    blocks : tuple of Block
    time : str or None
        The name of the step it belongs to, where there are several.
    at : int or None
        Which of the steps it belongs to, from 0.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]
    time: str | None = None
    at: int | None = None


class Bound(Protocol):
    """A step with its program, in gatewise's own symbols: see `gatewise.walkthrough.bound.BoundStep`."""

    step: Step
    p: Parameters
    time: str | None

    @property
    def form(self) -> Form:
        """How its program is written."""

    @property
    def program(self) -> Program:
        """The program that it ran."""

    @property
    def has_dy(self) -> bool:
        """Whether the loss depends on the output of this step itself."""

    @property
    def scope(self) -> Env:
        """The values of its symbols."""

    def equation(self, line: Assignment) -> WorkedEquation:
        """Return an assignment of the program with its numbers."""


@dataclass(frozen=True, eq=False)
class Walkthrough:
    """A run of a cell, worked through line by line. Printed, it is text.

    Attributes
    ----------
    title : str
    sections : sequence of Section
        Built on access: the sections of a long run cost time and memory only if they are read.
    steps : sequence of Bound
        All steps of the run, shown or not: the program of each, and the values of its symbols.
    names : dict of str to tuple of str
        The axes of vectors and matrices, and the name of each entry: ``units``, ``recurrent`` (the hidden state,
        where it is projected), ``features``, ``columns`` (of the combined input) and ``all gates``.
    units : tuple of int or None
        The units that are expanded, or None for all.
    backward : bool
        Whether it shows the backward pass.
    notation : str
        Whose symbols it is written in.
    rows : bool
        Whether vectors are rows, as in Keras, and not columns.
    shown : sequence of int
        Which of the steps are worked through line by line, in the order in which they ran.
    digits : int
        The most decimals that a number is shown with.
    folded : bool
        Whether text shows the first and the last of its steps only, and says how to see the others.
    again : callable, optional
        Makes the same walkthrough again. A pickle or a copy holds this call instead of the sections.

    Examples
    --------
    >>> from gatewise.examples import lesson
    >>> cell, x, state, _ = lesson()
    >>> walkthrough = gw.walk(cell.step(x[0], state))
    >>> len(walkthrough.sections), str(walkthrough).splitlines()[0]
    (11, 'An LSTM cell, one step line by line')
    """

    title: str
    sections: Sequence[Section]
    steps: Sequence[Bound]
    names: Mapping[str, tuple[str, ...]]
    units: tuple[int, ...] | None = None
    backward: bool = False
    notation: str = "gatewise"
    rows: bool = False
    shown: Sequence[int] = (0,)
    digits: int = DIGITS
    folded: bool = False
    again: Callable[[], Walkthrough] | None = field(default=None, init=False)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return super().__reduce__() if self.again is None else (call, (self.again,))

    def render(self, format: str = "text", *, program: bool = False) -> str:
        """Return the walkthrough as text, Markdown, LaTeX, a web page, a notebook or JSON.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "html", "notebook", "json"}
        program : bool
            In JSON, write the program of the cell with its wiring, parameters and inputs instead of the sections: a
            reader can compute from it what those show, and it is much smaller.

        Raises
        ------
        OptionError
            If there is no such format, or `program` is given with another than JSON, or for steps that are not one run.
        """
        if program and format != "json":
            raise OptionError(f"the program is written in JSON only, not as {format!r}")
        options = {"program": True} if program else {}
        return with_decimals(self.digits, showing.show, self, format, **options)

    def save(self, path: str | PathLike[str], format: str | None = None, *, program: bool = False) -> None:
        """Write the walkthrough to a file, completely or not at all.

        Parameters
        ----------
        path : path
        format, program
            As for `render`; the format is by default what the name ends in: .txt, .md, .tex, .html, .ipynb or .json.

        Raises
        ------
        OptionError
            If there is no such format, or the name does not say which.
        FileError
            If the file cannot be written.
        """
        storage.write_text(path, self.render(format or showing.format_of(path), program=program))

    def __str__(self) -> str:
        return self.render("text")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return with_decimals(self.digits, showing.inline, self)
