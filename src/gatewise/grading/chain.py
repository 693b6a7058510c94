"""The quantities of a run, each with its equation, in the order in which they follow from each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.grading import names, spreading
from gatewise.records.edited_steps import effects_of
from gatewise.records.step import Step
from gatewise.records.trace import Trace
from gatewise.render import text
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Concatenation, Formula, Slice, Symbol, symbols
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import COLUMNS, FEATURES, RECURRENT, UNITS, X
from gatewise.walkthrough.bound import BoundStep, bind_backward, over_all_steps
from gatewise.walkthrough.notation import DEFAULT
from gatewise.walkthrough.parts import Equation

ROUNDING, LEAST_ROUNDED = 1e-9, 1e-3  # the share of a number that doubles may be off by, and the size it is taken of

Place = tuple[Symbol, int | None]  # a symbol at a step; None for what all steps share, and for sums over all of them


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of a run.

    Attributes
    ----------
    name : str
        Its name on a sheet: ``f``, or ``f[1]`` where there are several steps.
    symbol : Symbol
    at : int or None
        The step it belongs to; None for a sum over all steps.
    right : Formula
        What it is computed from.
    over, across : str
        What its entries, or its rows and columns, run over.
    rank : int
        How many axes it has of its own.
    summed : bool
        Whether it is summed over the batch: the gradient with respect to a parameter.
    backward : bool
        Whether it belongs to the backward pass.
    key : array
        Its correct value: (·,), (batch, ·) for several sequences, or the parameter's shape for its gradient.
    products : tuple of str
        What its products with a matrix are called, in the order in which they are summed.
    asked : bool
        Whether a sheet may have it: not the input, nor what a step takes from its neighbours.
    """

    name: str
    symbol: Symbol
    at: int | None
    right: Formula
    over: str
    across: str
    rank: int
    summed: bool
    backward: bool
    key: Array
    products: tuple[str, ...] = ()
    asked: bool = True

    @property
    def place(self) -> Place:
        """Which symbol it is, at which step."""
        return self.symbol, self.at

    @property
    def equation(self) -> str:
        """Its equation as text."""
        return f"{text.formula(self.symbol)} = {text.formula(self.right)}"

    @property
    def total(self) -> bool:
        """Whether it is a sum over all steps."""
        return self.at is None

    @property
    def copied(self) -> bool:
        """Whether it is copied from others, not computed."""
        return isinstance(self.right, (Concatenation, Slice, Symbol))

    @cached_property
    def assignment(self) -> Assignment:
        """Its equation as part of a program."""
        return Assignment(self.symbol, self.right, (self.over, self.across)[: self.rank], self.summed)


@dataclass
class Values:
    """Assumed values of quantities, (batch, ·) but for sums over the batch, and how far off each may be."""

    value: dict[Place, Array] = field(default_factory=dict)
    tolerance: dict[Place, Array] = field(default_factory=dict)


class Chain:
    """All quantities of a run of one cell, forward and backward.

    Parameters
    ----------
    thing : Step, sequence of Step, a list of such sequences, or Trace
        A trace stands for all sequences of its batch; every step must be valid.
    dh, dc : array, optional
        As for `gatewise.walk`; the same for every sequence, or (batch, ·).

    Attributes
    ----------
    lines : tuple of Quantity
        Everything in order, also what a step takes from its neighbours, and its input.
    quantities : tuple of Quantity
        Those of them that a sheet may have.
    given : dict of Place to array
        The parameters, (batch, ·) inputs, and what arrives at the first and last step.
    """

    def __init__(
        self,
        thing: Step | Sequence[Step] | Sequence[Sequence[Step]] | Trace,
        dh: npt.ArrayLike | None = None,
        dc: npt.ArrayLike | None = None,
    ) -> None:
        self.sequences = sequences_of(thing)
        self.batch, self.steps = len(self.sequences), len(self.sequences[0])
        if self.sequences[0][0].moment.dropout.arrays():
            raise OptionError("a sheet cannot be checked against a run with dropout masks")
        if any(effects_of(step.moment) for sequence in self.sequences for step in sequence):
            raise OptionError("a sheet cannot be checked against a run with edits")
        self.bound = [
            [BoundStep(step, None, DEFAULT, None, at) for at, step in enumerate(sequence)]
            for sequence in self.sequences
        ]
        for sequence, steps in enumerate(self.bound):
            bind_backward(steps, *(_of_sequence(given, sequence) for given in (dh, dc)))
        self.program = self.bound[0][0].program
        self.given = dict(self._given())
        with np.errstate(all="ignore"):
            self.lines = tuple(self._lines())
        self.quantities = tuple(line for line in self.lines if line.asked)
        self.makers = {line.place: line for line in self.lines}
        self.by_name = {quantity.name: quantity for quantity in self.quantities}
        self.names = self.bound[0][0].names
        self.memo: dict[str, Any] = {}  # what the search for causes keeps, which is the same for every sheet
        self.inputs = {line.place: tuple(self._inputs(line)) for line in self.lines}
        for quantity in self.quantities:
            if not np.isfinite(quantity.key).all():
                raise OptionError(f"{quantity.name} is not finite in this run: no sheet can be checked against it")

    @property
    def parameters(self) -> frozenset[Symbol]:
        """The symbols of the parameters."""
        return frozenset(symbol for symbol, at in self.given if at is None)

    def _given(self) -> Iterator[tuple[Place, Array]]:
        """Go through what is given: the same at every step, or at one of them for every sequence."""
        scopes = [[step.scope.known for step in steps] for steps in self.bound]
        for one in self.program.given:
            if one.kind == "parameter":
                yield (one.symbol, None), np.asarray(scopes[0][0][one.symbol], np.float64)
                continue
            link = self.program.links.get(one.symbol)
            for at in range(self.steps):
                if link is None or not 0 <= at + link[1] < self.steps:
                    values = [np.asarray(steps[at][one.symbol], np.float64) for steps in scopes]
                    yield (one.symbol, at), np.stack(values)

    def _lines(self) -> Iterator[Quantity]:
        """Go through the run: every step forward, every step backward, and the sums over all steps."""
        for at in range(self.steps):
            yield from self._taken(at, -1)
            yield from (self._quantity(one, at) for one in self.program.forward)
        for at in reversed(range(self.steps)):
            yield from self._taken(at, 1)
            yield from (self._quantity(one, at) for one in self.program.backward)
        if self.steps > 1:
            yield from (self._total(one) for one in self.program.backward if one.sums)

    def _taken(self, at: int, by: int) -> Iterator[Quantity]:
        """Go through what a step takes from its neighbour, and forward its input."""
        taken = {X: (X, 0)} if by < 0 else {}
        taken |= {into: link for into, link in self.program.links.items() if link[1] == by}
        for into, (source, back) in taken.items():
            if 0 <= at + back < self.steps:
                axis = self.program.axes[into][0]
                right = replace(source, time=at + back)
                yield Quantity(
                    self._name(into, at), into, at, right, axis, UNITS, 1, False, by > 0, np.zeros(0), asked=False
                )

    def _name(self, symbol: Symbol, at: int | None) -> str:
        return text.formula(symbol) + (f"[{at}]" if self.steps > 1 and at is not None else "")

    def _quantity(self, one: Assignment, at: int) -> Quantity:
        return self._made(one, at, [steps[at].equation(one) for steps in self.bound])

    def _total(self, one: Assignment) -> Quantity:
        """The gradient with respect to a parameter: the sum over all steps."""
        return self._made(one, None, [over_all_steps(steps, one) for steps in self.bound])

    def _made(self, one: Assignment, at: int | None, equations: Sequence[Equation]) -> Quantity:
        first, values = equations[0], [np.asarray(equation.value, np.float64) for equation in equations]
        key = sum(values) if one.sums else values[0] if self.batch == 1 else np.stack(values)
        return Quantity(
            self._name(one.left, at),
            one.left,
            at,
            first.right,
            first.over,
            first.across,
            len(one.axes),
            one.sums,
            one in self.program.backward,
            np.asarray(key),
            first.products,
        )

    def _inputs(self, line: Quantity) -> Iterator[Quantity]:
        """Go through the lines that an equation uses."""
        for symbol in symbols(line.right):
            maker = self.makers.get(self.place(symbol, line.at))
            if maker is not None and maker is not line:
                yield maker

    def named(self, name: str) -> Quantity | None:
        """Return the quantity with a name, or with another name that people give it."""
        found = names.find(name, self.by_name)
        return None if found is None else self.by_name[found]

    # Values.

    def place(self, symbol: Symbol, at: int | None) -> Place:
        """Return what a symbol in an equation of a step stands for."""
        if symbol.time is not None:
            return replace(symbol, time=None), symbol.time
        return (symbol, None) if (symbol, None) in self.given else (symbol, at)

    def find(self, symbol: Symbol, at: int | None, values: Mapping[Place, Array]) -> Array:
        """Return the assumed value of a symbol of an equation, or what is given.

        Raises
        ------
        KeyError
            If there is no such value.
        """
        place = self.place(symbol, at)
        if symbol.time is not None and place in self.given:
            return self.given[place]
        found = values.get(place)
        return self.given[place] if found is None else found

    def compute(
        self, line: Quantity, values: Values, right: Formula | None = None, slack: bool = True
    ) -> tuple[Array, Array]:
        """Return a quantity, (batch, ·) but for sums over the batch, and how far off it may be.

        Parameters
        ----------
        line : Quantity
        values : Values
            Of what it is computed from.
        right : Formula, optional
            Another formula in the place of its own.
        slack : bool
            Whether to compute how far off it may be; otherwise that is 0.

        Raises
        ------
        KeyError
            If there is no value of a symbol of the formula.
        ValueError
            If the sizes in it do not agree.
        """
        formula = line.right if right is None else right
        env = {symbol: self.find(symbol, line.at, values.value) for symbol in symbols(formula)}
        ranks = self.program.ranks
        with np.errstate(all="ignore"):
            if slack:
                tolerances = {symbol: values.tolerance.get(self.place(symbol, line.at)) for symbol in env}
                value, off = spreading.spread(formula, env, tolerances, ranks)
            else:
                value = np.asarray(evaluate(formula, env, ranks), dtype=np.float64)
                off = np.zeros(())
        if line.summed and not line.total:
            value, off = value.sum(0), off.sum(0) if off.ndim else off
        return value, np.broadcast_to(off, value.shape)

    def unsummed(self, line: Quantity, values: Values) -> Array:
        """Return a gradient with respect to a parameter for each sequence of the batch."""
        env = {symbol: self.find(symbol, line.at, values.value) for symbol in symbols(line.right)}
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(line.right, env, self.program.ranks))

    def whole(self, quantity: Quantity, values: Array) -> Array:
        """Return the numbers of a sheet with an axis for the batch, where the quantity has one."""
        return values if quantity.summed or quantity.total or self.batch > 1 else values[None]

    def sheet(self, quantity: Quantity, values: Array) -> Array:
        """Return values in the shape that they have on a sheet."""
        return values if quantity.summed or quantity.total or self.batch > 1 else values[0]

    def shapes(self, quantity: Quantity) -> set[tuple[int, ...]]:
        """Return the shapes that a product of other vectors would have in the place of a quantity's own."""
        sizes = {len(self.names[axis]) for axis in (UNITS, RECURRENT, FEATURES, COLUMNS)}
        if quantity.rank == 2:
            return {(rows, columns) for rows in sizes for columns in sizes}
        return {(*quantity.key.shape[:-1], size) for size in sizes if quantity.rank}

    def entry(self, quantity: Quantity, place: tuple[int, ...]) -> str:
        """Say which entry of a quantity's key it is."""
        found = []
        if self.batch > 1 and not quantity.summed and not quantity.total:
            found.append(f"sequence {place[0]}")
            place = place[1:]
        for over, k in zip((quantity.over, quantity.across), place, strict=False):
            found.append(self.names[over][k])
        return ", ".join(found)


def rounding(value: Array) -> Array:
    """Return the tolerance of numbers for the rounding of doubles."""
    return ROUNDING * (np.abs(value) + LEAST_ROUNDED)


def _of_sequence(given: npt.ArrayLike | None, sequence: int) -> npt.ArrayLike | None:
    return given if given is None or np.ndim(given) < 2 else np.asarray(given)[sequence]


def sequences_of(thing: Step | Sequence[Step] | Sequence[Sequence[Step]] | Trace) -> list[list[Step]]:
    """Return the steps of each sequence of a run."""
    if isinstance(thing, Step):
        return [[thing]]
    if isinstance(thing, Trace):
        if thing.valid is not None and not thing.valid.all():
            raise OptionError("a sheet is for sequences of equal length: check a run without lengths or a mask")
        order = range(len(thing)) if thing.direction == "forward" else range(len(thing) - 1, -1, -1)
        sequences = [[thing.step(t, sequence) for t in order] for sequence in range(thing.batch_size)]
    elif isinstance(thing, Sequence) and thing and all(isinstance(one, Step) for one in thing):
        sequences = [list(thing)]  # type: ignore[arg-type]
    elif isinstance(thing, Sequence) and all(isinstance(sequence, Sequence) for sequence in thing):
        sequences = [list(sequence) for sequence in thing]  # type: ignore[arg-type]
    else:
        raise OptionError(f"a sheet is checked against a Step, a list of Steps or a Trace, not {type(thing).__name__}")
    if not sequences or not sequences[0]:
        raise OptionError("there is no step to check against")
    return sequences
