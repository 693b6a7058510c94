"""The quantities of a run in the order in which they follow from each other, each with its equation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.gates import LETTERS, NAMES
from gatewise.render import text
from gatewise.step import Step
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import (
    Call,
    Formula,
    Holds,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Slope,
    Sum,
    Symbol,
    nodes,
    rebuild,
)
from gatewise.symbolic.program import Assignment
from gatewise.trace import Trace
from gatewise.walkthrough.bound import BoundStep, bind_backward, over_all_steps
from gatewise.walkthrough.notation import DEFAULT
from gatewise.walkthrough.parts import Equation

ALIASES = {name: letter for letter, name in zip(LETTERS, NAMES, strict=True)} | {
    "combined_input": "z",
    "cell_state": "c",
    "hidden_state": "h",
    "c_tilde": "g",
}
Key = tuple[Symbol, int | None, int | None]  # which step, which row; None for what all of them share
Rewrite = Callable[[Equation], tuple[Formula, Mapping[Symbol, Any]] | None]


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of a run.

    Attributes
    ----------
    name : str
        As on a sheet: ``f``, or ``f[1]`` where there are several steps.
    equations : tuple of Equation
        Of each row of the batch; one, where the quantity is a sum over all steps.
    at : int or None
        Which step it belongs to.
    summed : bool
        Whether it is the sum over the rows: the gradient of a parameter.
    backward : bool
        Whether it belongs to the way back.
    key : array
        What it is: (·,), (batch, ·) where there are several rows, and a parameter's own shape for its gradient.
    """

    name: str
    equations: tuple[Equation, ...]
    at: int | None
    summed: bool
    backward: bool
    key: Array

    @property
    def symbol(self) -> Symbol:
        """What its equation gives."""
        return self.equations[0].left

    @property
    def total(self) -> bool:
        """Whether it is a sum over all steps."""
        return self.at is None


@dataclass
class Values:
    """What quantities are taken to be, and how far from that they may be."""

    value: MutableMapping[Key, Any] = field(default_factory=dict)
    tolerance: MutableMapping[Key, Any] = field(default_factory=dict)


class Chain:
    """All quantities of a run of one cell, forward and back.

    Parameters
    ----------
    thing : Step, sequence of Step, rows of them, or Trace
        Of a trace, all rows, which must all be valid.
    dh, dc : array, optional
        As for `gatewise.walk`; for every row the same, or (batch, ·).
    """

    def __init__(
        self,
        thing: Step | Sequence[Step] | Sequence[Sequence[Step]] | Trace,
        dh: npt.ArrayLike | None = None,
        dc: npt.ArrayLike | None = None,
    ) -> None:
        self.rows = rows_of(thing)
        self.batch, self.steps = len(self.rows), len(self.rows[0])
        if self.rows[0][0].moment.dropout.arrays():
            raise OptionError("a sheet has no place for the noise of training: check a run without masks")
        self.bound = [[BoundStep(step, None, DEFAULT, None, at) for at, step in enumerate(row)] for row in self.rows]
        for row, steps in enumerate(self.bound):
            bind_backward(steps, *(_of_row(given, row) for given in (dh, dc)))
        self.program = self.bound[0][0].program
        self.given: dict[Key, Any] = {}
        with np.errstate(all="ignore"):
            self.quantities = tuple(self._quantities())
        self.makers = {(quantity.symbol, quantity.at): quantity for quantity in self.quantities}
        self.inputs = {one.name: tuple(self._inputs(one)) for one in self.quantities}  # what each equation takes
        self.names = self.bound[0][0].names
        self.memo: dict[Any, Any] = {}  # of the search for causes, which asks the same of every sheet
        self.by_name = {quantity.name: quantity for quantity in self.quantities}
        for quantity in self.quantities:
            if not np.isfinite(quantity.key).all():
                raise OptionError(f"{quantity.name} is not finite in this run: no sheet can be checked against it")

    def _quantities(self) -> Iterator[Quantity]:
        """Go through the run: every step forward, every step back, and the sums over all steps."""
        for at in range(self.steps):
            yield from (self._quantity(one, at) for one in self.program.forward)
        for at in reversed(range(self.steps)):
            yield from (self._quantity(one, at) for one in self.program.backward)
        if self.steps > 1:
            yield from (self._total(one) for one in self.program.backward if one.sums)

    def _quantity(self, one: Assignment, at: int) -> Quantity:
        rows = tuple(steps[at].equation(one) for steps in self.bound)
        for row, equation in enumerate(rows):
            for symbol, value in equation.env.items():
                if symbol not in self.program.assignments:
                    self.given.setdefault((symbol, at, row), value)
        values = [equation.value for equation in rows]
        key = sum(values) if one.sums else values[0] if self.batch == 1 else np.stack(values)
        name = text.formula(one.left) + (f"[{at}]" if self.steps > 1 else "")
        return Quantity(name, rows, at, one.sums, one in self.program.backward, np.asarray(key))

    def _total(self, one: Assignment) -> Quantity:
        """The gradient of a parameter: the sum over all steps."""
        every = [over_all_steps(steps, one) for steps in self.bound]
        key = sum(equation.value for equation in every)
        return Quantity(text.formula(one.left), (every[0],), None, True, True, np.asarray(key))

    def named(self, name: str) -> Quantity | None:
        """Return the quantity of a name, or of one of the words that mean it."""
        if name in self.by_name:
            return self.by_name[name]
        base, bracket, rest = name.partition("[")
        if self.steps == 1 and rest == "0]":  # the only step
            bracket = rest = ""
        base = base.removesuffix("_t") if base + bracket + rest not in self.by_name else base
        base = base.replace("gamma", "γ").replace("beta", "β").replace("mu", "μ")
        return self.by_name.get(ALIASES.get(base, base) + bracket + rest)

    def places(self, quantity: Quantity) -> list[int | None]:
        """Return for which rows a quantity is kept: for all of them together, where it is a sum over them."""
        return [None] if quantity.summed or quantity.total else list(range(self.batch))

    def find(self, symbol: Symbol, at: int | None, row: int | None, values: Values) -> tuple[Any, Any]:
        """Return what a symbol of an equation is taken to be, and how far from that it may be."""
        if symbol.time is not None:
            key: Key = (Symbol(symbol.base, symbol.sub, symbol.d), symbol.time, None)
            return values.value[key], values.tolerance[key]
        if (symbol, at, row) in values.value:
            return values.value[symbol, at, row], values.tolerance[symbol, at, row]
        if at is not None and symbol in self.program.links:
            source, by = self.program.links[symbol]
            if 0 <= at + by < self.steps:
                return values.value[source, at + by, row], values.tolerance[source, at + by, row]
        return self.given[symbol, at, row], 0.0

    def maker(self, symbol: Symbol, at: int | None) -> Quantity | None:
        """Return the quantity that a symbol in an equation of a step stands for, or None where it is given."""
        if symbol.time is not None:
            return self.makers.get((Symbol(symbol.base, symbol.sub, symbol.d), symbol.time))
        if (symbol, at) in self.makers or at is None or symbol not in self.program.links:
            return self.makers.get((symbol, at))
        source, by = self.program.links[symbol]
        return self.makers.get((source, at + by))

    def compute(
        self, quantity: Quantity, values: Values, rewrite: Rewrite | None = None, slack: bool = True
    ) -> list[tuple[Any, Any]] | None:
        """Return a quantity, row by row, from what the others are taken to be, and how far from that it may be.

        `rewrite` may put another formula in the place of its own; None is returned where it has none to put.
        """
        found = []
        rows: Sequence[int | None] = [None] if quantity.total else range(self.batch)
        for row, equation in zip(rows, quantity.equations, strict=True):
            formula: Formula = equation.right
            extra: dict[Symbol, Any] = {}
            if rewrite is not None:
                other = rewrite(equation)
                if other is None:
                    return None
                formula, extra = other[0], dict(other[1])
            env, tolerances = dict(extra), {}
            for symbol in nodes(formula):
                if isinstance(symbol, Symbol) and symbol not in env:
                    try:
                        env[symbol], tolerances[symbol] = self.find(symbol, quantity.at, row, values)
                    except KeyError:
                        return None  # it takes something that this step does not have yet
            with np.errstate(all="ignore"):
                try:
                    value = np.asarray(evaluate(formula, env), dtype=np.float64)
                except ValueError:
                    if rewrite is None:
                        raise
                    return None  # what another formula takes may be of another size
                found.append((value, spread(formula, env, tolerances, value) if slack else np.zeros_like(value)))
        return found

    def _inputs(self, quantity: Quantity) -> Iterator[Quantity]:
        """Go through the quantities that an equation takes."""
        for symbol in dict.fromkeys(node for node in nodes(quantity.equations[0].right) if isinstance(node, Symbol)):
            maker = self.maker(symbol, quantity.at)
            if maker is not None:
                yield maker

    def together(self, quantity: Quantity, computed: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        """Return the rows of a quantity as one array: summed, stacked, or the only one."""
        values, slacks = ([one[n] for one in computed] for n in (0, 1))
        if quantity.summed or quantity.total:
            return np.asarray(sum(values)), np.asarray(sum(slacks))
        if self.batch == 1:
            return values[0], slacks[0]
        return np.stack(values), np.stack(slacks)

    def keep(self, kept: Values, quantity: Quantity, value: Array, tolerance: Array) -> None:
        """Take a quantity to be what is given, row by row; as a whole where it is a sum over the rows."""
        if quantity.summed or quantity.total:
            places: list[tuple[int | None, Array, Array]] = [(None, value, tolerance)]
        elif self.batch == 1:
            places = [(0, value, tolerance)]
        else:
            places = [(row, value[row], tolerance[row]) for row in range(self.batch)]
        for row, one, room in places:
            kept.value[quantity.symbol, quantity.at, row] = one
            kept.tolerance[quantity.symbol, quantity.at, row] = room


def rounding(value: Array) -> Array:
    """Return how far a number may be off by the rounding of doubles."""
    return 1e-9 * (np.abs(value) + 1e-3)


def _of_row(given: npt.ArrayLike | None, row: int) -> npt.ArrayLike | None:
    return given if given is None or np.ndim(given) < 2 else np.asarray(given)[row]


_BY_ENTRY = (Symbol, Number, Sum, Negative, Product, Quotient, Power, Holds, Slope)


def spread(formula: Formula, env: Mapping[Symbol, Any], tolerances: Mapping[Symbol, Any], value: Array) -> Array:
    """Return how far a formula may be from its value when its symbols may be so far from theirs: to first order."""
    held: dict[Symbol, Any] = {}

    def hold(node: Formula) -> Formula | None:
        """Which side of a kink a number is on is not a matter of its rounding."""
        if not isinstance(node, Holds):
            return None
        symbol = Symbol("held", str(len(held)))
        held[symbol] = evaluate(node, env)
        return symbol

    formula = rebuild(formula, hold)
    env = {**env, **held}
    total = np.zeros_like(value)
    by_entry = all(
        isinstance(node, _BY_ENTRY) or (isinstance(node, Call) and node.name != "mean") for node in nodes(formula)
    )
    for symbol, tolerance in tolerances.items():
        tolerance = np.broadcast_to(tolerance, np.shape(env[symbol]))
        if not np.any(tolerance):
            continue
        if by_entry:
            total += np.abs(evaluate(formula, {**env, symbol: env[symbol] + tolerance}) - value)
            continue
        for place in np.argwhere(tolerance):
            moved = np.array(env[symbol], dtype=np.float64)
            moved[tuple(place)] += tolerance[tuple(place)]
            total += np.abs(evaluate(formula, {**env, symbol: moved}) - value)
    return total


def rows_of(thing: Step | Sequence[Step] | Sequence[Sequence[Step]] | Trace) -> list[list[Step]]:
    """Return the steps of each row of a run."""
    if isinstance(thing, Step):
        return [[thing]]
    if isinstance(thing, Trace):
        if thing.valid is not None and not thing.valid.all():
            raise OptionError("a sheet is for rows that are equally long: check a run without lengths or a mask")
        order = range(len(thing)) if thing.direction == "forward" else range(len(thing) - 1, -1, -1)
        rows = [[thing.step(t, row) for t in order] for row in range(thing.batch_size)]
    elif isinstance(thing, Sequence) and thing and all(isinstance(one, Step) for one in thing):
        rows = [list(thing)]  # type: ignore[arg-type]
    elif isinstance(thing, Sequence) and all(isinstance(row, Sequence) for row in thing):
        rows = [list(row) for row in thing]  # type: ignore[arg-type]
    else:
        raise OptionError(f"a sheet is checked against a Step, some of them or a Trace, not {type(thing).__name__}")
    if not rows or not rows[0]:
        raise OptionError("there is no step to check against")
    return rows
