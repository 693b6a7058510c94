"""The quantities of a run, each with its equation, in the order in which they follow from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.acting import effects_of
from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.grading import names
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
    symbols,
)
from gatewise.symbolic.program import Assignment
from gatewise.trace import Trace
from gatewise.walkthrough.bound import BoundStep, bind_backward, over_all_steps
from gatewise.walkthrough.notation import DEFAULT
from gatewise.walkthrough.parts import Equation

ALIASES = names.WORDS
Key = tuple[Symbol, int | None, int | None]  # the step and the sequence; None for what all of them share
Rewrite = Callable[[Equation], tuple[Formula, Mapping[Symbol, Any]] | None]


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of a run.

    Attributes
    ----------
    name : str
        Its name on a sheet: ``f``, or ``f[1]`` where there are several steps.
    equations : tuple of Equation
        One for each sequence of the batch; a single one where the quantity is a sum over all steps.
    at : int or None
        The step it belongs to; None for a sum over all steps.
    summed : bool
        Whether it is summed over the batch: the gradient with respect to a parameter.
    backward : bool
        Whether it belongs to the backward pass.
    key : array
        Its correct value: (·,), (batch, ·) for several sequences, or the parameter's shape for its gradient.
    """

    name: str
    equations: tuple[Equation, ...]
    at: int | None
    summed: bool
    backward: bool
    key: Array

    @property
    def symbol(self) -> Symbol:
        """The left side of its equation."""
        return self.equations[0].left

    @property
    def equation(self) -> str:
        """Its equation as text."""
        return f"{text.formula(self.symbol)} = {text.formula(self.equations[0].right)}"

    @property
    def total(self) -> bool:
        """Whether it is a sum over all steps."""
        return self.at is None


@dataclass
class Values:
    """Assumed values of quantities, and how far off each may be."""

    value: MutableMapping[Key, Any] = field(default_factory=dict)
    tolerance: MutableMapping[Key, Any] = field(default_factory=dict)


class Chain:
    """All quantities of a run of one cell, forward and backward.

    Parameters
    ----------
    thing : Step, sequence of Step, a list of such sequences, or Trace
        A trace stands for all sequences of its batch; every step must be valid.
    dh, dc : array, optional
        As for `gatewise.walk`; the same for every sequence, or (batch, ·).
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
        self.given: dict[Key, Any] = {}
        with np.errstate(all="ignore"):
            self.quantities = tuple(self._quantities())
        self.makers = {(quantity.symbol, quantity.at): quantity for quantity in self.quantities}
        self.inputs = {one.name: tuple(self._inputs(one)) for one in self.quantities}  # what each equation takes
        self.names = self.bound[0][0].names
        self.memo: dict[Any, Any] = {}  # a cache for the search for causes, which is the same for every sheet
        self.by_name = {quantity.name: quantity for quantity in self.quantities}
        for quantity in self.quantities:
            if not np.isfinite(quantity.key).all():
                raise OptionError(f"{quantity.name} is not finite in this run: no sheet can be checked against it")

    def _quantities(self) -> Iterator[Quantity]:
        """Go through the run: every step forward, every step backward, and the sums over all steps."""
        for at in range(self.steps):
            yield from (self._quantity(one, at) for one in self.program.forward)
        for at in reversed(range(self.steps)):
            yield from (self._quantity(one, at) for one in self.program.backward)
        if self.steps > 1:
            yield from (self._total(one) for one in self.program.backward if one.sums)

    def _quantity(self, one: Assignment, at: int) -> Quantity:
        sequences = tuple(steps[at].equation(one) for steps in self.bound)
        for sequence, equation in enumerate(sequences):
            for symbol, value in equation.env.items():
                if symbol not in self.program.assignments:
                    self.given.setdefault((symbol, at, sequence), value)
        values = [equation.value for equation in sequences]
        key = sum(values) if one.sums else values[0] if self.batch == 1 else np.stack(values)
        name = text.formula(one.left) + (f"[{at}]" if self.steps > 1 else "")
        return Quantity(name, sequences, at, one.sums, one in self.program.backward, np.asarray(key))

    def _total(self, one: Assignment) -> Quantity:
        """The gradient with respect to a parameter: the sum over all steps."""
        every = [over_all_steps(steps, one) for steps in self.bound]
        key = sum(equation.value for equation in every)
        return Quantity(text.formula(one.left), (every[0],), None, True, True, np.asarray(key))

    def named(self, name: str) -> Quantity | None:
        """Return the quantity with a name, or with another name that people give it."""
        found = names.find(name, self.by_name)
        return None if found is None else self.by_name[found]

    def places(self, quantity: Quantity) -> list[int | None]:
        """Return for which sequences a quantity is kept: None, all of them together, where it is a sum over them."""
        return [None] if quantity.summed or quantity.total else list(range(self.batch))

    def find(self, symbol: Symbol, at: int | None, sequence: int | None, values: Values) -> tuple[Any, Any]:
        """Return the assumed value of a symbol of an equation, and how far off it may be."""
        key: Key
        if symbol.time is not None:
            key = (Symbol(symbol.base, symbol.sub, symbol.d), symbol.time, None)
            return values.value[key], values.tolerance[key]
        key = symbol, at, sequence
        if (found := values.value.get(key)) is not None:
            return found, values.tolerance[key]
        if at is not None and symbol in self.program.links:
            source, by = self.program.links[symbol]
            if 0 <= at + by < self.steps:
                return values.value[source, at + by, sequence], values.tolerance[source, at + by, sequence]
        return self.given[symbol, at, sequence], 0.0

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
        """Return a quantity for each sequence, from the assumed values of the others, and how far off it may be.

        `rewrite` may replace its formula; where it returns None instead, so does this method.
        """
        found = []
        sequences: Sequence[int | None] = [None] if quantity.total else range(self.batch)
        for sequence, equation in zip(sequences, quantity.equations, strict=True):
            formula: Formula = equation.right
            extra: dict[Symbol, Any] = {}
            if rewrite is not None:
                other = rewrite(equation)
                if other is None:
                    return None
                formula, extra = other[0], dict(other[1])
            env, tolerances = dict(extra), {}
            for symbol in symbols(formula):
                if symbol not in env:
                    try:
                        env[symbol], tolerances[symbol] = self.find(symbol, quantity.at, sequence, values)
                    except KeyError:
                        return None  # it uses something that this step does not have yet
            with np.errstate(all="ignore"):
                try:
                    value = np.asarray(evaluate(formula, env), dtype=np.float64)
                except ValueError:
                    if rewrite is None:
                        raise
                    return None  # a replaced formula may use symbols of a different size
                found.append((value, spread(formula, env, tolerances, value) if slack else np.zeros(value.shape)))
        return found

    def _inputs(self, quantity: Quantity) -> Iterator[Quantity]:
        """Go through the quantities that an equation uses."""
        for symbol in symbols(quantity.equations[0].right):
            maker = self.maker(symbol, quantity.at)
            if maker is not None:
                yield maker

    def together(self, quantity: Quantity, computed: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        """Return a quantity of all sequences as one array: summed, stacked, or the only one."""
        values, slacks = ([one[n] for one in computed] for n in (0, 1))
        if quantity.summed or quantity.total:
            return np.asarray(sum(values)), np.asarray(sum(slacks))
        if self.batch == 1:
            return values[0], slacks[0]
        return np.stack(values), np.stack(slacks)

    def keep(self, kept: Values, quantity: Quantity, value: Array, tolerance: Array) -> None:
        """Assume a quantity's value for each sequence; as a whole where it is a sum over them."""
        if quantity.summed or quantity.total:
            places: list[tuple[int | None, Array, Array]] = [(None, value, tolerance)]
        elif self.batch == 1:
            places = [(0, value, tolerance)]
        else:
            places = [(sequence, value[sequence], tolerance[sequence]) for sequence in range(self.batch)]
        for sequence, one, margin in places:
            kept.value[quantity.symbol, quantity.at, sequence] = one
            kept.tolerance[quantity.symbol, quantity.at, sequence] = margin


def rounding(value: Array) -> Array:
    """Return how far off a number may be because doubles are rounded."""
    return 1e-9 * (np.abs(value) + 1e-3)


def _of_sequence(given: npt.ArrayLike | None, sequence: int) -> npt.ArrayLike | None:
    return given if given is None or np.ndim(given) < 2 else np.asarray(given)[sequence]


_BY_ENTRY = (Symbol, Number, Sum, Negative, Product, Quotient, Power, Holds, Slope)


def spread(formula: Formula, env: Mapping[Symbol, Any], tolerances: Mapping[Symbol, Any], value: Array) -> Array:
    """Return how far off a formula's value may be, to first order, when its symbols may be off by their tolerances."""
    held: dict[Symbol, Any] = {}

    def hold(node: Formula) -> Formula | None:
        """Fix on which side of a kink each number is: rounding is assumed not to change it."""
        if not isinstance(node, Holds):
            return None
        symbol = Symbol("held", str(len(held)))
        held[symbol] = evaluate(node, env)
        return symbol

    total = np.zeros_like(value)
    if not any(map(np.any, tolerances.values())):
        return total
    if any(isinstance(node, Holds) for node in nodes(formula)):
        formula = rebuild(formula, hold)
        env = {**env, **held}
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
