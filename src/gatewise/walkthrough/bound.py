"""A step with its program: every quantity as a part of a walkthrough, in symbols and with the step's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, numbers
from gatewise.errors import OptionError, ShapeError
from gatewise.gates import LETTERS
from gatewise.margins import rounding_margin
from gatewise.records.step import Step
from gatewise.symbolic import cell
from gatewise.symbolic.cell import StepValues, program
from gatewise.symbolic.formula import (
    ALL_GATES,
    COLUMNS,
    DY,
    FEATURES,
    RECURRENT,
    UNITS,
    Concatenation,
    FunctionCall,
    MatMul,
    Symbol,
    Transpose,
    add,
    nodes,
)
from gatewise.symbolic.program import Assignment, Form, Program
from gatewise.walkthrough.notation import Notation
from gatewise.walkthrough.parts import Block, Bound, Expanded, Section, WorkedEquation

OPENNESS = ("sigmoid", "hard_sigmoid")  # nonlinearities that lie between 0 and 1


class _ArrivingValues(StepValues):
    """The values of a step's symbols; the gradients from the step after it are computed when they are needed."""

    arriving: Callable[[], Mapping[Symbol, Any]] | None = None

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self.known and symbol not in self.program.assignments and self.arriving is not None:
            self.known.update(self.arriving())
        return super().__getitem__(symbol)


class BoundStep:
    """A step, the program that it ran in the form of a notation, and the numbers of both.

    The step is bound to its program when a number is needed. `units` are expanded, or none if None. `time` is the name
    of the step where there are several, `at` its place. `dy` (recurrent,) is the gradient of the loss with respect to
    this step's output; without it, the loss depends on the last states alone. `arriving` returns the gradients that
    arrive from the step after it.
    """

    def __init__(
        self,
        step: Step,
        units: tuple[int, ...] | None,
        notation: Notation,
        time: str | None = None,
        at: int = 0,
        dy: Array | None = None,
        arriving: Callable[[], Mapping[Symbol, Any]] | None = None,
    ) -> None:
        """Hold a step of a walkthrough with its notation; its program is bound when a number is needed."""
        self.step, self.p, self.M, self.time, self.at = step, step.parameters, step.moment, time, at
        self.units = tuple(range(self.p.hidden_size)) if units is None else units
        self.expanded = units is not None
        self.dropout, self.notation = step.moment.dropout, notation
        self.dy, self._arriving = dy, arriving

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the gradients that arrive, instead of what computes them."""
        kept = {name: value for name, value in vars(self).items() if name not in ("names", "form", "scope")}
        return kept | {"_arriving": None if self._arriving is None else partial(dict, self._arriving())}

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the entries along each axis."""
        return axes(self.step, self.notation.order)

    @cached_property
    def form(self) -> Form:
        """The form of the program."""
        return cell.form_of(self.p, self.dropout, edited=cell.edited(self.M), **self.notation.form)

    @property
    def program(self) -> Program:
        """The program that the step ran."""
        return self.scope.program

    @cached_property
    def scope(self) -> StepValues:
        """The values of the symbols of the step's program, in the form that the notation gives it."""
        written = program(self.form, last_states=self.dy is None, dropped_weights=True)
        with np.errstate(all="ignore"):  # infinity and NaN go through as they are
            known = cell.step_values(self.M, written)
        scope = _ArrivingValues(written, self.p, known if self.dy is None else known | {DY: self.dy})
        scope.arriving = self._arriving
        return scope

    @property
    def has_dy(self) -> bool:
        """Whether the loss depends on the output of this step itself."""
        return self.dy is not None

    def named(self, k: int) -> str:
        """Return the name of a unit."""
        return self.names[UNITS][k]

    def equation(self, line: Assignment) -> WorkedEquation:
        """Return an assignment of the program as a worked equation, with the numbers of the step."""
        value = self.scope[line.left]
        if line.left == self.form.raw_cell:  # the sum itself: an engine may have rounded what it kept in another way
            value = self.M.c_raw[0]
        # Masks come last, so that `gatewise.render.layout.shapes` finds the shapes of what they multiply.
        used = sorted(self.program.symbols[line.left], key=lambda symbol: symbol.base == "mask")
        over, across = (*line.axes, *(UNITS, COLUMNS)[len(line.axes) :])
        return WorkedEquation(
            line.left,
            line.right,
            {symbol: self.scope[symbol] for symbol in used},
            value,
            over,
            across,
            worked=not isinstance(line.right, Concatenation),
            openness=self._is_an_amount(line, value),
            products=tuple(self._products(line)),
        )

    def equations(self, assignments: Sequence[Assignment]) -> list[Block]:
        """Return assignments with their numbers."""
        return [self.equation(line) for line in assignments]

    def _is_an_amount(self, line: Assignment, value: Any) -> bool:
        """Return whether an assignment is of a gate between 0 and 1, so that its value says how far it is open."""
        if line.left.base not in LETTERS or line.left.d:
            return False
        if self.form.computed(line.left) != line.left:  # edited: between 0 and 1 if it is computed so, and stays so
            computed = self.program.assignments[self.form.computed(line.left)]
            margin = rounding_margin(np.asarray(value))
            return self._is_an_amount(computed, value) and bool(((value >= -margin) & (value <= 1 + margin)).all())
        right = line.right
        return not isinstance(right, FunctionCall) or (
            right.activation is not None and right.activation.name in OPENNESS
        )

    def _products(self, line: Assignment) -> Iterator[str]:
        """Yield the names of the products of matrices and vectors, in the order in which they are summed."""
        for k, axis in _axes_of_products(self.program)[line.left]:
            yield from (f"{k}: {name}" for name in self.names[axis]) if k else self.names[axis]

    def section(self, key: str, title: str, blocks: Sequence[Block], which: str = "") -> Section:
        """Return a section of this step, in its forward or backward pass where `which` says so."""
        time = self.time if self.time is None or not which else f"{self.time}, {which}"
        return Section(key, title, tuple(blocks), time, self.at)

    def terms(self, left: Symbol, quantity: str) -> list[Block]:
        """Return every product in a quantity of the expanded units, as blocks of a walkthrough."""
        if not self.expanded:
            return []
        return [Expanded(left, k, self.step.terms(quantity, k)) for k in self.units]


@lru_cache(256)
def _axes_of_products(program: Program) -> dict[Symbol, list[tuple[str, str]]]:
    sums: dict[Symbol, list[tuple[str, str]]] = {}
    for left, line in program.assignments.items():
        sums[left] = []
        for node in nodes(line.right):
            match node:
                case MatMul(Transpose(Symbol(sub=k) as matrix)):
                    sums[left].append((k, program.axes[matrix][0]))
                case MatMul(Symbol() as matrix):
                    sums[left].append(("", program.axes[matrix][1]))
    return sums


def bind_backward(
    steps: Sequence[BoundStep], dh: npt.ArrayLike | None, dc: npt.ArrayLike | None
) -> tuple[Array, Array]:
    """Bind to each step of a run the gradients that arrive from the step after it; return those at the last step.

    `dh` and `dc` are the gradients of the loss with respect to the last states: see `last_gradients`.
    """
    last = last_gradients(steps[0], dh, dc)
    require_one_run(steps)
    carry = steps[0].program.carry_backward
    arriving = dict(zip((entry.into for entry in carry), last, strict=True))
    with np.errstate(all="ignore"):
        for step in reversed(steps):
            step.scope.known.update(arriving)
            arriving = {entry.into: step.scope[entry.source] for entry in carry}
    return last


def last_gradients(step: BoundStep, dh: npt.ArrayLike | None, dc: npt.ArrayLike | None) -> tuple[Array, Array]:
    """Return the gradients from which a backward walk starts: by default zeros; without `dy` ones for `dh`."""
    p = step.p
    default = np.ones(p.recurrent_size) if step.dy is None else np.zeros(p.recurrent_size)
    return _checked_gradient("dh", dh, default), _checked_gradient("dc", dc, np.zeros(p.hidden_size))


def over_all_steps(steps: Sequence[Bound], line: Assignment) -> WorkedEquation:
    """Return the gradient of a parameter as a worked equation: the sum over all steps, the last step first."""
    env = {replace(line.left, time=at): step.scope[line.left] for at, step in reversed(list(enumerate(steps)))}
    equation = steps[0].equation(line)
    return replace(equation, right=add(*env), env=env, value=sum(env.values()), products=())


def are_one_run(steps: Sequence[Bound]) -> bool:
    """Return whether steps to walk through are one run: the same cell, each beginning where the last one ended."""
    return all(
        before.p is after.p
        and all(
            np.array_equal(was, now, equal_nan=True)
            for was, now in zip(before.step.state, after.step.previous, strict=True)
        )
        for before, after in pairwise(steps)
    )


def require_one_run(steps: Sequence[Bound]) -> None:
    """Raise OptionError for steps that are not those of one run."""
    if not are_one_run(steps):
        raise OptionError("a backward pass takes the steps of one run, each beginning where the one before it ended")


def _checked_gradient(name: str, gradient: npt.ArrayLike | None, default: Array) -> Array:
    """Return a gradient at the last step as an array, or its default; refuse one of another shape."""
    if gradient is None:
        return default
    array = numbers(name, gradient)
    if array.shape != default.shape:
        raise ShapeError(f"{name} has shape {array.shape}; this cell takes {default.shape}")
    return array


def axes(step: Step, order: str) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the entries along each axis of a step's vectors and matrices, with the gates in an order."""
    p, labels = step.parameters, step.labels
    units = tuple(labels.unit(k) if labels.units is not None else f"unit {k}" for k in range(p.hidden_size))
    columns = tuple(step.column_names())
    every = tuple(f"{k}: {unit}" for k in order if k in p.variant.own for unit in units)
    return {
        UNITS: units,
        RECURRENT: columns[: p.recurrent_size],
        FEATURES: columns[p.recurrent_size :],
        COLUMNS: columns,
        ALL_GATES: every,
    }
