"""The quantities of a run, each with its equation and its tolerance, in the order of computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import OptionError
from gatewise.grading import names
from gatewise.margins import LARGEST, is_in_range
from gatewise.records.edited_steps import effects_of
from gatewise.records.run_record import RunRecord
from gatewise.records.step import Step
from gatewise.records.trace import Trace
from gatewise.render import text
from gatewise.symbolic import formula as tree
from gatewise.symbolic.evaluation import Ranks, evaluate, rank
from gatewise.symbolic.formula import (
    COLUMNS,
    FEATURES,
    OVER_A_VECTOR,
    RECURRENT,
    UNITS,
    Concatenation,
    Formula,
    Number,
    Slice,
    Symbol,
    X,
    rebuild,
    symbols,
)
from gatewise.symbolic.program import Assignment
from gatewise.walkthrough.bound import BoundStep, bind_backward, over_all_steps
from gatewise.walkthrough.notation import DEFAULT
from gatewise.walkthrough.parts import WorkedEquation

RELATIVE_ROUNDING, MIN_ROUNDED = (
    1e-9,
    1e-3,
)  # the relative error of a rounded double, and the least size it is relative to
# Single precision rounds each number by at most 2^-24 of it; a computed number is off by a few times that.
SINGLE_ROUNDING = 4 * 2.0**-24
SINGLE_SHARE, MIN_SINGLE = (
    8 * SINGLE_ROUNDING,
    1e-2,
)  # of a whole computation; where terms cancel, of a number of this size
_BY_ENTRY = (Symbol, Number, tree.Sum, tree.Negative, tree.Product, tree.Quotient, tree.Power, tree.Slope)


def rounding(values: Array) -> Array:
    """Return the tolerance of numbers for the rounding of doubles, on any CPU."""
    tolerance: Array = RELATIVE_ROUNDING * (np.abs(values) + MIN_ROUNDED)
    return tolerance


def single_precision_error(values: Array) -> Array:
    """Return the tolerance of hand-checked numbers that were computed in single precision throughout."""
    tolerance: Array = SINGLE_SHARE * np.maximum(np.nan_to_num(np.abs(values)), MIN_SINGLE)
    return tolerance


def propagate(
    formula: Formula, env: Mapping[Symbol, Array], tolerances: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array]:
    """Return the value and tolerance of a hand-worked formula, by first-order error propagation.

    In entrywise parts each symbol is moved by its tolerance, and the differences are added. In products with matrices
    and the like the magnitudes of the terms of each entry are added. Every number may also be rounded to single
    precision. The tolerance of an exact symbol is None.
    """
    env, tolerances, ranks = dict(env), dict(tolerances), {symbol: ranks[symbol] for symbol in env}

    def replace_by_symbol(node: Formula) -> Formula | None:
        """Replace a part of a hand-worked formula whose entries mix by a symbol with its value and tolerance."""
        if isinstance(node, _BY_ENTRY) or (isinstance(node, tree.FunctionCall) and node.name not in OVER_A_VECTOR):
            return None
        placeholder = Symbol("held", str(len(env)))
        ranks[placeholder] = rank(node, ranks)
        env[placeholder], tolerances[placeholder] = _propagate_jointly(node, env, tolerances, ranks)
        return placeholder

    entrywise = rebuild(formula, replace_by_symbol)
    value = np.asarray(evaluate(entrywise, env, ranks), dtype=np.float64)
    total = np.zeros_like(value)
    for symbol in symbols(entrywise):
        single_error, tolerance = SINGLE_ROUNDING * np.abs(env[symbol]), tolerances[symbol]
        shifted = env[symbol] + (single_error if tolerance is None else tolerance + single_error)
        total = total + np.abs(evaluate(entrywise, {**env, symbol: shifted}, ranks) - value)
    return value, total


def _propagate_jointly(
    node: Formula, env: Mapping[Symbol, Array], tolerances: Mapping[Symbol, Array | None], ranks: Ranks
) -> tuple[Array, Array | None]:
    """Return the value and the error tolerance of a part whose entries mix: a matrix product, a slice, a mean."""
    spread = partial(propagate, env=env, tolerances=tolerances, ranks=ranks)
    match node:
        case tree.MatMul(left, right):
            matrix, (value, tolerance) = evaluate(left, env, ranks), spread(right)
            return value @ matrix.mT, (tolerance + SINGLE_ROUNDING * np.abs(value)) @ np.abs(matrix).mT
        case tree.Outer(left, right):
            (left_value, left_error), (right_value, right_error) = spread(left), spread(right)
            left_value, left_error = left_value[..., None], left_error[..., None]
            right_value, right_error = right_value[..., None, :], right_error[..., None, :]
            return left_value * right_value, np.abs(left_value) * right_error + left_error * np.abs(right_value)
        case tree.Slice(vector, int(start), int(stop)):
            vector_tolerance = tolerances[vector]
            return env[vector][..., start:stop], None if vector_tolerance is None else vector_tolerance[..., start:stop]
        case tree.Concatenation(parts):
            values, errors = zip(*map(spread, parts), strict=True)
            return np.concatenate(values, axis=-1), np.concatenate(errors, axis=-1)
        case tree.FunctionCall(name, (argument,)):
            value, tolerance = spread(argument)
            total = np.mean(tolerance, axis=-1) if name == "mean" else np.sum(tolerance, axis=-1)
            return OVER_A_VECTOR[name].compute(value, axis=-1), total
        case tree.Holds(left, _, right):  # the side of a kink: either where rounding may bring the number over
            (left_value, left_error), (right_value, right_error) = spread(left), spread(right)
            within = left_error + right_error + rounding(left_value) + rounding(right_value)
            may_change = np.abs(left_value - right_value) <= within
            return evaluate(node, env, ranks), np.where(may_change, 1.0, 0.0)
    return evaluate(node, env, ranks), None  # constants


SymbolAtStep = tuple[Symbol, int | None]  # a symbol at a step; None for parameters and for sums over all steps


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of a run."""

    name: str  # on a sheet: f, or f[1] if there are several steps
    symbol: Symbol
    step: int | None  # the step it belongs to; None for a sum over all steps
    right: Formula  # the right side of its equation
    over: str  # the axis of its entries, or of its rows
    across: str  # that of its columns
    rank: int  # the number of its axes, without the batch
    summed: bool  # over the batch: the gradient with respect to a parameter
    backward: bool  # whether it belongs to the backward pass
    key: Array  # its correct value: (·,), (batch, ·) for several sequences, or for a gradient the parameter's shape
    products: tuple[str, ...] = ()  # the names of its products with a matrix, in the order of their sum
    term: Formula | None = None  # of a sum over all steps: what a step adds to it
    asked: bool = True  # whether a sheet may have it: not the input, nor a state that a step takes from its neighbour

    @property
    def place(self) -> SymbolAtStep:
        """Its symbol and its step."""
        return self.symbol, self.step

    @property
    def equation(self) -> str:
        """Its equation as text, with the definition of the terms of a sum over all steps."""
        term = self.term and f" ({text.formula(self.first_term)} = {text.formula(self.term)})"
        return f"{text.formula(self.symbol)} = {text.formula(self.right)}{term or ''}"

    @property
    def first_term(self) -> Symbol:
        """The symbol of the first term of a sum over all steps."""
        return replace(self.symbol, time=0)

    @property
    def total(self) -> bool:
        """Whether it is a sum over all steps."""
        return self.step is None

    @property
    def copied(self) -> bool:
        """Whether it is copied from other quantities, not computed."""
        return isinstance(self.right, (Concatenation, Slice, Symbol))

    @cached_property
    def assignment(self) -> Assignment:
        """Its equation as part of a program."""
        return Assignment(self.symbol, self.right, (self.over, self.across)[: self.rank], self.summed)


@dataclass
class AssumedValues:
    """Assumed values of quantities, (batch, ·) but for sums over the batch, and the tolerance of each.

    `given` holds the values that need not be assumed: see `Chain`.
    """

    given: Mapping[SymbolAtStep, Array]
    value: dict[SymbolAtStep, Array] = field(default_factory=dict)
    tolerance: dict[SymbolAtStep, Array] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return len(self.given[X, 0])

    def copy(self) -> AssumedValues:
        """Return the same values, to change some of them."""
        return AssumedValues(self.given, dict(self.value), dict(self.tolerance))


class Chain:
    """All quantities of a run of one cell, forward and backward.

    A trace stands for all sequences of its batch; every step must be valid. `dh` and `dc` are those of `gatewise.walk`,
    the same for every sequence, or (batch, ·).
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
            [BoundStep(step, None, DEFAULT, None, number) for number, step in enumerate(sequence)]
            for sequence in self.sequences
        ]
        for sequence, steps in enumerate(self.bound):
            bind_backward(steps, *(g if g is None or np.ndim(g) < 2 else np.asarray(g)[sequence] for g in (dh, dc)))
        self.program = self.bound[0][0].program
        # The parameters, the inputs (batch, ·), the initial states and the gradients of the final states:
        self.given = dict(self._inputs_of_run())
        with np.errstate(all="ignore"):
            self.lines = tuple(self._all_lines())  # with inputs, and states that a step takes from its neighbours
        self.quantities = tuple(line for line in self.lines if line.asked)  # that a sheet may have
        self.makers = {line.place: line for line in self.lines}
        self.by_name = {quantity.name: quantity for quantity in self.quantities}
        self.names = self.bound[0][0].names
        self.memo: dict[str, Any] = {}  # for the search for causes: the same for every sheet
        self.inputs = {line.place: tuple(self._makers_of(line)) for line in self.lines}
        numbers = [(text.formula(symbol), array) for (symbol, _), array in self.given.items()]
        for name, array in [*numbers, *((quantity.name, quantity.key) for quantity in self.quantities)]:
            if not is_in_range(array, self.dtype):
                most = f"NaN, or a number above {LARGEST[self.dtype.name]:g} in size"
                raise OptionError(f"{name} has {most}: no sheet can be checked against this run")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision in which the run was computed."""
        return self.sequences[0][0].parameters.weight.dtype

    def rounding(self, values: Array) -> Array:
        """Return the tolerance of numbers for the rounding of the run: an exact number is not further off."""
        return rounding(values) if self.dtype == np.float64 else single_precision_error(values)

    def _inputs_of_run(self) -> Iterator[tuple[SymbolAtStep, Array]]:
        """Yield what a sheet's run is given: parameters, and inputs that no step computes, for all sequences."""
        scopes = [[step.scope.known for step in steps] for steps in self.bound]
        for source in self.program.given:
            if source.kind == "parameter":
                yield (source.symbol, None), np.asarray(scopes[0][0][source.symbol], np.float64)
                continue
            _, shift = self.program.links.get(source.symbol, (None, self.steps))  # unlinked: always beyond the run
            for step in range(self.steps):
                if not 0 <= step + shift < self.steps:
                    values = [np.asarray(sequence[step][source.symbol], np.float64) for sequence in scopes]
                    yield (source.symbol, step), np.stack(values)

    def _all_lines(self) -> Iterator[Quantity]:
        """Yield every quantity of a hand-worked run: steps forward, steps backward, and the sums over all steps."""
        for step in range(self.steps):
            yield from self._lines_from_neighbour(step, -1)
            yield from self._quantities_of_step(self.program.forward, step)
        for step in reversed(range(self.steps)):
            yield from self._lines_from_neighbour(step, 1)
            yield from self._quantities_of_step(self.program.backward, step)
        for assignment in self.program.backward:
            if self.steps > 1 and assignment.sums:
                equations = [over_all_steps(steps, assignment) for steps in self.bound]
                yield self._make_quantity(assignment, None, equations)

    def _lines_from_neighbour(self, step: int, neighbour: int) -> Iterator[Quantity]:
        """Yield the lines of a hand-worked run that a step takes from its neighbour, and forward its input."""
        sources = {X: (X, 0)} if neighbour < 0 else {}
        links = self.program.links.items()
        sources |= {into: (source, shift) for into, (source, shift) in links if shift == neighbour}
        for into, (source, shift) in sources.items():
            if 0 <= step + shift < self.steps:
                axis = self.program.axes[into][0]
                right = replace(source, time=step + shift)
                name, backward = self._sheet_name(into, step), neighbour > 0
                yield Quantity(name, into, step, right, axis, UNITS, 1, False, backward, np.zeros(0), asked=False)

    def _sheet_name(self, symbol: Symbol, step: int | None) -> str:
        return text.formula(symbol) + (f"[{step}]" if self.steps > 1 and step is not None else "")

    def _quantities_of_step(self, assignments: Sequence[Assignment], step: int) -> Iterator[Quantity]:
        for line in assignments:
            yield self._make_quantity(line, step, [steps[step].equation(line) for steps in self.bound])

    def _make_quantity(self, assignment: Assignment, step: int | None, equations: Sequence[WorkedEquation]) -> Quantity:
        first, values = equations[0], [np.asarray(equation.value, np.float64) for equation in equations]
        key = sum(values) if assignment.sums else values[0] if self.batch == 1 else np.stack(values)
        return Quantity(
            self._sheet_name(assignment.left, step),
            assignment.left,
            step,
            first.right,
            first.over,
            first.across,
            len(assignment.axes),
            assignment.sums,
            assignment in self.program.backward,
            np.asarray(key),
            first.products,
            rebuild(assignment.right, self._at_first_step) if step is None else None,
        )

    def _at_first_step(self, node: Formula) -> Formula | None:
        """Return a symbol of an equation as that of step 0; None for a parameter and other nodes."""
        return replace(node, time=0) if isinstance(node, Symbol) and (node, None) not in self.given else None

    def _makers_of(self, line: Quantity) -> Iterator[Quantity]:
        """Yield the lines of a hand-worked run whose results an equation uses."""
        for symbol in symbols(line.right):
            maker = self.makers.get(self.locate(symbol, line.step))
            if maker is not None and maker is not line:
                yield maker

    def named(self, name: str) -> Quantity | None:
        """Return the quantity with a name, in any spelling that people use; None if there is none."""
        known_name = names.find(name, self.by_name)
        return None if known_name is None else self.by_name[known_name]

    # Values of quantities

    def locate(self, symbol: Symbol, step: int | None) -> SymbolAtStep:
        """Return the symbol and step of the line of a hand-worked run that a symbol of an equation stands for."""
        if symbol.time is not None:
            return replace(symbol, time=None), symbol.time
        return (symbol, None) if (symbol, None) in self.given else (symbol, step)

    def find(self, symbol: Symbol, step: int | None, values: AssumedValues) -> Array:
        """Return the value of a symbol in a hand-worked run, assumed or given; a KeyError says that there is none."""
        place = self.locate(symbol, step)
        if symbol.time is not None and place in values.given:
            return values.given[place]
        value = values.value.get(place)
        return values.given[place] if value is None else value

    def compute(
        self, line: Quantity, values: AssumedValues, right: Formula | None = None, *, summed: bool = True
    ) -> tuple[Array, Array]:
        """Return a line of a hand-worked run, (batch, ·) but for sums over it, and its tolerance, by any right side.

        Without `summed`, sums over the batch are not taken. A KeyError says that a symbol of the formula has no value,
        a ValueError that the sizes in it do not agree.
        """
        right = line.right if right is None else right
        env = {symbol: self.find(symbol, line.step, values) for symbol in symbols(right)}
        tolerances = {symbol: values.tolerance.get(self.locate(symbol, line.step)) for symbol in env}
        with np.errstate(all="ignore"):
            value_and_error = propagate(right, env, tolerances, self.program.ranks)
        value, tolerance = (self.with_batch_axis(array, line, right, values.batch) for array in value_and_error)
        sums = summed and line.summed and not line.total
        return (value.sum(0), tolerance.sum(0)) if sums else (value, tolerance)

    def with_batch_axis(self, value: Array, line: Quantity, right: Formula, batch: int) -> Array:
        """Return the value of a hand-worked line with an axis for the sequences, also if it has parameters alone."""
        if line.total or value.ndim > rank(right, self.program.ranks):
            return value
        return np.broadcast_to(value, (batch, *value.shape))

    def with_batch(self, quantity: Quantity, values: Array) -> Array:
        """Return the numbers of a sheet with an axis for the batch, if the quantity has one."""
        return values if quantity.summed or self.batch > 1 else values[None]

    def on_sheet(self, quantity: Quantity, values: Array) -> Array:
        """Return values in the shape that they have on a sheet."""
        return values if quantity.summed or self.batch > 1 else values[0]

    def shapes(self, quantity: Quantity) -> set[tuple[int, ...]]:
        """Return the shapes that a person's numbers for a quantity could have if other vectors were used."""
        sizes = {len(self.names[axis]) for axis in (UNITS, RECURRENT, FEATURES, COLUMNS)}
        if quantity.rank == 2:
            return {(rows, columns) for rows in sizes for columns in sizes}
        return {(*quantity.key.shape[:-1], size) for size in sizes if quantity.rank}

    def entry(self, quantity: Quantity, place: tuple[int, ...]) -> str:
        """Return the name of an entry of a quantity on a sheet: its sequence, unit and column."""
        parts = []
        if self.batch > 1 and not quantity.summed:
            parts.append(f"sequence {place[0]}")
            place = place[1:]
        for over, k in zip((quantity.over, quantity.across), place, strict=False):
            parts.append(self.names[over][k])
        return ", ".join(parts)


def sequences_of(thing: Step | Sequence[Step] | Sequence[Sequence[Step]] | Trace) -> list[list[Step]]:
    """Return the steps of each sequence of a run, to compare a hand-worked sheet with them."""
    if isinstance(thing, Step):
        return [[thing]]
    if isinstance(thing, RunRecord):
        trace: Trace = thing.only_cell("a sheet")
        if trace.valid is not None and not trace.valid.all():
            raise OptionError("a sheet is for sequences of equal length: check a run without lengths or a mask")
        order = range(len(trace)) if trace.direction == "forward" else range(len(trace) - 1, -1, -1)
        sequences = [[trace.step(t, sequence) for t in order] for sequence in range(trace.batch_size)]
    elif isinstance(thing, Sequence) and thing and all(isinstance(step, Step) for step in thing):
        sequences = [list(thing)]  # type: ignore[arg-type]
    elif isinstance(thing, Sequence) and all(isinstance(sequence, Sequence) for sequence in thing):
        sequences = [list(sequence) for sequence in thing]  # type: ignore[arg-type]
    else:
        raise OptionError(f"a sheet is checked against a Step, a list of Steps or a Trace, not {type(thing).__name__}")
    if not sequences or not sequences[0]:
        raise OptionError("there is no step to check against")
    return sequences
