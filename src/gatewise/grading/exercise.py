"""Exercises: numbers for a pocket calculator, different for each student, and the quantities that are asked."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

import numpy as np

from gatewise.arrays import Array
from gatewise.arrays import size as size_of
from gatewise.errors import CapacityError, OptionError, one_of
from gatewise.grading.chain import Chain, Quantity
from gatewise.grading.problem import Problem
from gatewise.languages.language import require_language
from gatewise.layers import LSTM
from gatewise.parameters import Parameters, Variant, array_shapes
from gatewise.records.step import State
from gatewise.records.trace import Trace

Line = TypeVar("Line")
WORKED = ("none", "partly", "all")


def split_lines(lines: Sequence[Line], worked: str) -> tuple[list[Line], list[Line]]:
    """Split lines into the first ones, which are worked for the student, and those that are asked.

    Examples
    --------
    >>> [split_lines("zifgoch", worked)[1] for worked in WORKED]
    [['z', 'i', 'f', 'g', 'o', 'c', 'h'], ['g', 'o', 'c', 'h'], ['h']]
    """
    count = {"none": 0, "partly": len(lines) // 2, "all": len(lines) - 1}[worked]
    return list(lines[:count]), list(lines[count:])


WORKED_DECIMALS = 4  # of the lines that are worked for the student
ASKED_DECIMALS = 4  # of the numbers that the student works out, at least
MAX_DRAWS = 100  # draws for one student, until nothing in them hides a mistake
MAX_PRODUCTS = 200_000  # products in all draws: of a large cell fewer are tried
MAX_PREACTIVATION = 3.0  # of the pre-activations: beyond it a gate hardly moves
MIN_OPENNESS = 0.02  # no gate is closer than this to 0 or to 1
MIN_GATE_DIFFERENCE = 0.05  # by how much two gates differ in some unit, so that it shows when they are exchanged
BOUND_TOLERANCE = 1e-9  # of numbers of few decimals: one that is at a bound stays within it, however its sum is rounded
MIN_TANH_DIFFERENCE = (
    0.002  # by how much tanh(c) differs from c in some unit, so that it shows when the tanh is left out
)


@dataclass(frozen=True)
class Plan:
    """The choices of an exercise.

    Each student's numbers are drawn from the seed and the student's name: whoever knows both can make the key.
    """

    input_size: int = 3
    hidden_size: int = 2
    steps: int = 1
    batch: int = 1
    projection_size: int | None = None
    backward: bool = False  # whether the backward pass is asked too
    digits: int = 1  # the significant digits of the given numbers; few, so that they can be used by hand
    worked: str = "none"  # lines worked for the student: none, the first half (partly), or all but the last
    require_decimals: bool = True  # whether a number with fewer decimals than asked earns no point
    seed: int = 0
    lang: str = "en"  # of the hand-outs
    variant: Variant = field(default_factory=Variant)

    def __post_init__(self) -> None:
        for name in ("input_size", "hidden_size", "steps", "batch", "digits"):
            size_of(name, getattr(self, name))
        one_of("worked", self.worked, WORKED)
        require_language(self.lang)
        if self.digits > 8:
            raise OptionError(f"digits must be from 1 to 8, not {self.digits}")
        if self.seed < 0:
            raise OptionError(f"seed must be a non-negative integer, not {self.seed}")
        if self.projection_size is not None and not 1 <= self.projection_size <= self.hidden_size:
            allowed = f"from 1 to hidden_size, {self.hidden_size}"
            raise OptionError(f"projection_size must be {allowed}, but is {self.projection_size}")
        columns = self.hidden_size + self.input_size
        if 4 * self.hidden_size * columns > 20_000 or self.steps * self.batch > 1_000:
            raise CapacityError("an exercise has at most 20,000 weights, and 1,000 steps in all sequences together")

    def problem(self, student: str) -> Problem:
        """Return a student's own numbers, which depend on nothing but the plan and the student's name.

        Numbers are drawn until no gate is saturated and every exchange of two gates shows; if no draw is like that, as
        for a very large cell, the best draw is used.
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(student.encode())])
        products = 4 * self.hidden_size * (self.hidden_size + self.input_size) * self.steps * self.batch
        best, fewest = None, 0
        for _ in range(max(1, min(MAX_DRAWS, MAX_PRODUCTS // products))):
            recurrent = self.projection_size or self.hidden_size
            columns = recurrent + self.input_size
            unit = 10**self.digits
            grid = (
                np.arange(unit // 10, unit + 1) / unit
            )  # 0.1, 0.2, ..., 1; none is 0, since that could hide a mistake
            small = grid[: max(1, int(len(grid) * min(1.0, (12 / columns) ** 0.5)))]  # the longer a sum, the smaller

            def draw(*shape: int, values: Array = grid, repeats: bool = True) -> Array:
                """Return random numbers of either sign for a student; in a row each only once, unless it `repeats`."""
                numbers: Array = rng.choice(values, shape)
                if not repeats and shape[-1] <= len(values):
                    numbers = rng.permuted(np.tile(values, (*shape[:-1], 1)), axis=-1)[..., : shape[-1]]
                numbers *= rng.choice((-1.0, 1.0), shape)
                return numbers

            shapes = array_shapes(self.variant, self.input_size, self.hidden_size, recurrent)
            arrays = {
                name: draw(*shape, values=small if name == "weight" else grid)
                for name, shape in shapes.items()
                if shape
            }
            if self.projection_size is not None:
                arrays["projection"] = draw(recurrent, self.hidden_size)
            first = draw(self.batch, columns, values=grid[:-1], repeats=False)  # so that exchanged entries show
            h, x = first[:, :recurrent], draw(self.steps, self.batch, self.input_size)
            x[0] = first[:, recurrent:]
            state = State(h, draw(self.batch, self.hidden_size))
            dh, dc = np.ones((self.batch, recurrent)), np.zeros((self.batch, self.hidden_size))
            candidate = Problem(Parameters(variant=self.variant, **arrays), x, state, dh, dc)
            flaws = _count_flaws(candidate)
            if best is None or flaws < fewest:
                best, fewest = candidate, flaws
            if not flaws:
                break
        assert best is not None
        return best


def _count_flaws(problem: Problem) -> int:
    """Return the number of places where a student's problem has a saturated gate, or would hide a mistake."""
    trace: Trace = LSTM.from_cells(problem.parameters).trace(problem.x, ((problem.state,),), engine="reference")[0]
    gates = np.moveaxis(trace.gates, 2, 0)  # (gate, time, batch, hidden)
    sigmoids = [gates[0], gates[1], gates[3]]
    flaws = int((np.abs(trace.preactivations) > MAX_PREACTIVATION + BOUND_TOLERANCE).sum())
    flaws += sum(int((np.minimum(gate, 1 - gate) < MIN_OPENNESS - BOUND_TOLERANCE).sum()) for gate in sigmoids)
    pairs = [*combinations(gates, 2), (trace.cell_state, trace.previous.c)]
    flaws += sum(
        int((np.abs(first - second).max(-1) < MIN_GATE_DIFFERENCE - BOUND_TOLERANCE).sum()) for first, second in pairs
    )
    flaws += int(
        (np.abs(trace.activated_cell_state - trace.cell_state).max(-1) < MIN_TANH_DIFFERENCE - BOUND_TOLERANCE).sum()
    )
    equal_states = problem.state.h.shape == problem.state.c.shape and (problem.state.h == problem.state.c).all(-1)
    return flaws + int(np.sum(equal_states))


def asked_quantities(chain: Chain, backward: bool) -> list[Quantity]:
    """Return the quantities that a student's sheet asks for, without the terms of sums over steps."""
    return [
        quantity
        for quantity in chain.quantities
        if (backward or not quantity.backward) and (quantity.total or not quantity.summed or chain.steps == 1)
    ]


def worked_numbers(quantity: Quantity) -> Array:
    """Return the numbers of a line that is worked for the student, as they are printed."""
    rounded: Array = np.round(quantity.key, WORKED_DECIMALS) + 0.0  # no -0
    return rounded
