"""The backward pass, in sections: what arrives at each step, one step back, and back-propagation through time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise import adjoints
from gatewise.arrays import Array
from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.records.step import Term, Terms, ranked
from gatewise.symbolic.cell import StepValues
from gatewise.symbolic.evaluation import evaluate, substitute
from gatewise.symbolic.formula import (
    C_PREV,
    COLUMNS,
    DC_NEXT,
    DC_PREV,
    DH,
    DH_NEXT,
    DH_PREV,
    DY,
    DZ,
    FEATURES,
    H_PREV,
    RECURRENT,
    UNITS,
    C,
    F,
    H,
    Product,
    Sum,
    Symbol,
    X,
    d,
)
from gatewise.symbolic.program import Assignment
from gatewise.walkthrough import grouping, sentences, setting
from gatewise.walkthrough.bound import BoundStep, last_gradients, over_all_steps
from gatewise.walkthrough.lazy import END_ROWS, MAX_KEPT, MAX_WORKED
from gatewise.walkthrough.parts import Block, Expanded, NumberTable, Section, Sentence, Words, WorkedEquation
from gatewise.walkthrough.sentences import carried_share_sentence, gradient_check_sentence
from gatewise.walkthrough.setting import Maker


class RunGradients(NamedTuple):
    """The gradients of a backward pass over a whole run."""

    parameters: dict[str, Array]  # by the names of `Parameters`
    arriving: dict[int, Mapping[Symbol, Any]]  # at some of the steps
    carried: dict[int, Array]  # of a gradient at the last cell state, the share that reaches these along it alone


class Arriving:
    """The gradients that arrive at the steps of a run from the steps after them.

    From a step to the one before it, they are what the program of the step says. Over many steps at a time they are
    computed by `gatewise.adjoints`, and no step is bound to its program. `last` arrives at the states of the last step.
    What arrives at `steps_to_keep` of a long run is computed in one pass. `share_of` returns the share of the gradient
    at its cell state that a step passes on along the cell state alone.
    """

    def __init__(
        self,
        steps: Sequence[BoundStep],
        last: tuple[Array, Array],
        steps_to_keep: Iterable[int] = (),
        share_of: Callable[[BoundStep], Array] | None = None,
    ) -> None:
        """Prepare the backward pass of a run, whose gradients are computed step by step when asked for."""
        self.steps, self.share_of = steps, share_of
        self.carry = steps[0].program.carry_backward
        self.end, self.steps_to_keep = len(steps) - 1, frozenset(steps_to_keep)
        self.known = {self.end: self._by_symbol(*last)}

    def _by_symbol(self, dh: Array, dc: Array) -> Mapping[Symbol, Any]:
        return dict(zip((carry.into for carry in self.carry), (dh, dc), strict=True))

    def __call__(self, at: int) -> Mapping[Symbol, Any]:
        """Return the gradients that arrive at a step of a run from the step after it, computed when first needed."""
        if at in self.steps_to_keep:
            return self.total.arriving[at]
        nearest = min(place for place in self.known if place >= at)
        if nearest - at >= MAX_KEPT:  # without binding the steps between
            dh, dc = self.known[nearest].values()
            for place in range(nearest, at, -1):
                dh, dc, _ = self._gradients_of_step_before(place, dh, dc)
            self._keep_gradients(at, self._by_symbol(dh, dc))
            nearest = at
        with np.errstate(all="ignore"):
            while nearest > at:
                scope, nearest = self.steps[nearest].scope, nearest - 1
                self._keep_gradients(nearest, {carry.into: scope[carry.source] for carry in self.carry})
        return self.known[at]

    def _keep_gradients(self, at: int, arriving: Mapping[Symbol, Any]) -> None:
        """Keep the gradients that arrive at a step of a run, and forget those that were kept first."""
        self.known[at] = arriving
        if len(self.known) > 2 * MAX_KEPT:
            del self.known[next(place for place in self.known if place != self.end)]

    def _gradients_of_step_before(self, at: int, dh: Array, dc: Array) -> tuple[Array, Array, Mapping[str, Array]]:
        """Return the gradients that a step passes on to the step before, and its terms of those of the parameters."""
        with np.errstate(all="ignore"):
            step = self.steps[at]
            dh = dh if step.dy is None else dh + step.dy
            gradients = adjoints.step(step.step.moment, dh[None], dc[None])
        return gradients.h_prev[0], gradients.c_prev[0], gradients.parameters

    @cached_property
    def total(self) -> RunGradients:
        """The gradients of a backward pass over all steps: of the parameters, and those at the steps to keep."""
        parameters = {name: np.zeros_like(array) for name, array in self.steps[0].p.arrays().items()}
        total = RunGradients(parameters, {}, {})
        dh, dc = self.known[self.end].values()
        carried = np.ones(self.steps[0].p.hidden_size)
        for at in range(self.end, -1, -1):
            if at in self.steps_to_keep:
                total.arriving[at], total.carried[at] = self._by_symbol(dh, dc), carried
            dh, dc, added = self._gradients_of_step_before(at, dh, dc)
            for name, array in added.items():
                parameters[name] = parameters[name] + array
            if self.share_of is not None:
                carried = carried * self.share_of(self.steps[at])
        return total


SECTION_TITLES = {
    "d_hidden_state": "Back through the hidden state",
    "d_cell_state": "Back through the cell state, to everything it is computed from",
    "d_sums": "Back through the layer norm, across all gates",
    "d_weights": "The gradients with respect to the weights and biases",
    "d_previous": "The gradients with respect to the input and the previous state",
}


def forward_in_brief(step: BoundStep) -> Section:
    """Return the walkthrough's section of a step's forward pass in brief: its equations and their values."""
    equations = [step.equation(equation) for equation in step.program.forward]
    blocks: list[Block] = [replace(equation, worked=False) for equation in equations]
    for over in (COLUMNS, FEATURES, RECURRENT, UNITS):
        rows = tuple(
            (equation.left, tuple(equation.value))
            for equation in equations
            if equation.over == over and np.ndim(equation.value) == 1
        )
        if rows:
            blocks.append(NumberTable("", step.names[over], rows, whole=True))
    single = tuple((equation.left, (equation.value,)) for equation in equations if np.ndim(equation.value) == 0)
    if single:
        blocks.append(NumberTable("", ("over all units",), single, whole=True))
    return step.section("forward", "The forward pass of this step, in brief", blocks, "forward")


def step_sections(step: BoundStep) -> list[Section]:
    """Return the walkthrough's sections of the backward pass of a step."""
    equations = grouping.backward_by_section(step.program.backward)
    sections_of_step = [_arriving_section(step, equations.pop("arriving", ()))]
    for key, assignments in equations.items():
        blocks = step.equations(assignments)
        blocks += _explanation_blocks(step, key, [block for block in blocks if isinstance(block, WorkedEquation)])
        title = SECTION_TITLES.get(key) or f"Back through the {key.removeprefix('d_').replace('_', ' ')}"
        sections_of_step.append(step.section(key, title, blocks, "backward"))
    return sections_of_step


def _arriving_section(step: BoundStep, equations: tuple[Assignment, ...]) -> Section:
    at_h = (DY, DH_NEXT) if step.has_dy else (DH,)
    blocks: list[Block] = [
        NumberTable("", step.names[step.form.hidden], tuple((symbol, tuple(step.scope[symbol])) for symbol in at_h)),
        NumberTable("", step.names[UNITS], ((DC_NEXT, tuple(step.scope[DC_NEXT])),)),
        *step.equations(equations),
    ]
    blocks.append(Sentence(sentences.ARRIVING_AT_OUTPUT if step.has_dy else sentences.ARRIVING))
    return step.section("arriving", "The gradients that arrive", blocks, "backward")


def _explanation_blocks(step: BoundStep, key: str, equations: list[WorkedEquation]) -> list[Block]:
    """Return the blocks below a backward section's equations: the products of a sum, and what the numbers mean."""
    blocks: list[Block] = []
    if key == "d_weights":
        weights = [equation for equation in equations if np.ndim(equation.value) == 2 and equation.left.base in "WU"]
        blocks.append(Sentence(sentences.largest_weight_gradient(weights, step.names)))
    if key == "d_previous":
        left = DH_PREV if step.form.apart else DZ
        blocks += _products_blocks(step, next(equation for equation in equations if equation.left == left))
    if (sentence := sentences.quantity_sentences(step.program).get(key)) is not None:
        blocks.append(Sentence(sentence.describe(step.scope, step.units, step.named)))
    return blocks


def share_of_cell_gradient(step: BoundStep) -> Any:
    """Return the share of the cell state's gradient that goes on to the step before along the cell state alone.

    It is the gradient of the previous cell state when 1 arrives at this one, and nothing at hidden state and gates.
    """
    cell, ones = d(step.form.cell), np.ones_like(step.scope[F])
    known = {symbol: value for symbol, value in step.scope.known.items() if not symbol.d}
    known |= {DC_NEXT: ones, **{d(step.form.weighted(k)): 0 * ones for k in step.form.weighted_gates}}
    known[cell] = evaluate(sentences.along_the_cell(step.program), StepValues(step.program, step.p, known))
    return StepValues(step.program, step.p, known)[DC_PREV]


def _products_blocks(step: BoundStep, equation: WorkedEquation) -> list[Block]:
    if not step.expanded or not equation.products:
        return []
    entries = step.units if step.p.projection is None else range(step.p.recurrent_size)
    blocks: list[Block] = []
    for k in entries:
        terms = []
        numbers = substitute(equation.right, equation.env, k)
        factors = [term for term in numbers.terms if isinstance(term, Product)] if isinstance(numbers, Sum) else []
        for name, product in zip(equation.products, factors, strict=False):
            weight, value = (float(evaluate(factor, {})) for factor in product.factors)
            terms.append(Term(name, weight, value, weight * value))
        largest_first = ranked(terms, step.p.weight.dtype)
        total = sum(term.product for term in largest_first)
        blocks.append(Expanded(equation.left, k, Terms(largest_first, total, "gradient"), equation.over))
    return blocks


MIN_CHECKED_STEPS = 1_000  # steps of a run that are always checked against differences


class BackwardWalk:
    """The sections of the steps of one run, called by their `times`, from the last to the first.

    Those `shown` are worked through, given in the order in which they ran. `dh` and `dc` are the gradients of the loss
    with respect to the last states: see `gatewise.walkthrough.bound.last_gradients`.
    """

    def __init__(
        self,
        steps: Sequence[BoundStep],
        times: Sequence[str],
        dh: npt.ArrayLike | None,
        dc: npt.ArrayLike | None,
        shown: Sequence[int],
    ) -> None:
        """Prepare the gradients that arrive at the steps, from those at the last one."""
        first = steps[0]
        self.steps, self.times, self.names = steps, times, first.names
        self.shown, self.whole = shown, len(shown) == len(steps)
        self.given = dh is not None or dc is not None
        self.after = "all steps" if len(steps) > 1 else None  # the heading of what comes of all of them
        self.dh, self.dc = last_gradients(first, dh, dc)
        last = len(steps) - 1
        ending = range(last, max(last - END_ROWS, -1), -1)  # whose rows are shown of many
        steps_to_keep = () if self.whole or len(shown) == 1 else {*shown, *ending, 0}
        self.arriving = Arriving(steps, (self.dh, self.dc), steps_to_keep, self._carried_share)

    def makers(self) -> list[Maker]:
        """Return functions that make the sections of a backward pass; without sums for one step of several."""
        several = len(self.steps) > 1
        back = [partial(self._backward_sections, at) for at in reversed(self.shown)]
        makers: list[Maker] = [self._loss_sections, *(partial(self._forward_in_brief, at) for at in self.shown)]
        makers += setting.with_rest(back, self.shown[::-1], self.times)
        if several and len(self.shown) == 1:
            return makers
        sums = [self._sections_of_sums, self.through_time] if several else []
        return [*makers, *sums, self._gradient_check_sections]

    def _forward_in_brief(self, at: int) -> list[Section]:
        return [forward_in_brief(self.steps[at])]

    def _backward_sections(self, at: int) -> list[Section]:
        return step_sections(self.steps[at])

    def _carried_share(self, step: BoundStep) -> Any:
        """Return the share of its cell state's gradient that a step passes on along the cell state alone."""
        return step.M.f[0] if step.form.keeps_by_gate else share_of_cell_gradient(step)

    def _loss_sections(self) -> list[Section]:
        loss: Words = ("The loss is the sum of the last ", H, ", so its gradient with respect to each entry is 1.")
        if self.steps[0].has_dy:
            of_outputs = ("The loss is given by its gradients: ", DY, " with respect to the output of every step, ")
            loss = (*of_outputs, DH_NEXT, " and ", DC_NEXT, " with respect to the last states.")
        elif self.given:
            loss = ("The loss is given by its gradients with respect to the last ", H, " and ", C, ".")
        d_of = ("A d before a symbol means the gradient of the loss with respect to it: ", DH, " belongs to ", H, ".")
        part = (DC_PREV, " is the part along the cell state; the part through ", H_PREV, " is added one step earlier.")
        blocks = (Sentence(loss), Sentence(d_of), Sentence(part))
        return [Section("loss", "The loss: where the backward pass begins", blocks)]

    def _sections_of_sums(self) -> list[Section]:
        """Return the walkthrough's section of the parameters' gradients: their sums over all steps."""
        words = "The parameters are shared by all steps, so their gradients add up"
        blocks: list[Block]
        if len(self.steps) <= MAX_WORKED:
            lines = [line for line in self.steps[0].program.backward if line.sums]
            term, left = replace(lines[0].left, time=0), lines[0].left
            blocks = [Sentence((f"{words}: ", term, " is the ", left, " of step 0 above, and likewise the others."))]
            blocks += [over_all_steps(self.steps, line) for line in lines]
        else:
            first = self.steps[0]
            blocks = [
                Sentence(f"{words}."),
                *setting.tables(first, first.p.replace(**self.arriving.total.parameters), d),
            ]
        title = f"The gradients summed over all {len(self.steps):,} steps"
        return [Section("all_steps", title, tuple(blocks), self.after)]

    def through_time(self) -> list[Section]:
        """Return the section about the share of the cell state's gradient that the forget gates let through."""
        first = self.steps[0]
        new = d(first.form.cell)
        last = len(self.steps) - 1
        carried = {last: np.ones(len(self.names[UNITS]))}  # of what arrives at the last cell state, what reaches others

        def row_of_step(k: int, place: int) -> tuple[Words, Sequence[Any]]:
            """Return a unit's row for a step: the share it passes on, the product, its cell states' gradients."""
            at = last - place
            step, reached = self.steps[at], self._share_that_reaches(at, carried)
            share = self._carried_share(step)
            return self.times[at], (share[k], (reached * share)[k], step.scope[new][k], step.scope[DC_PREV][k])

        plain = first.form.keeps_by_gate
        heads = (F if plain else "kept", ("product of ", F) if plain else "product", new, DC_PREV)
        blocks = setting.tables_of_units(self.steps, row_of_step, heads, (0,), digits=6, every=self.whole)
        if last:
            reached = self._share_that_reaches(0, carried)
            units = first.units[: setting.MAX_UNITS_AT_A_GLANCE]
            blocks.append(Sentence(carried_share_sentence(self.times[-1], self.times[0], reached, units, first.named)))
        words: Words
        if plain:
            words = ("Along the cell state alone, ", DC_PREV, " is ", F, " times the gradient that arrives.")
        else:
            words = (
                "The share kept is what ",
                F,
                ", the cell clip and zoneout together let through along the cell state.",
            )
        blocks.append(Sentence(words))
        title = "Through time: the running product of the forget gates" if last else "The step backward at a glance"
        return [Section("through_time", title, tuple(blocks), self.after)]

    def _share_that_reaches(self, at: int, carried: dict[int, Any]) -> Any:
        """Return the share of a gradient at the last cell state that reaches the cell state of a step."""
        if at in self.arriving.steps_to_keep:
            return self.arriving.total.carried[at]
        place = min(step for step in carried if step >= at)
        while place > at:
            carried[place - 1] = carried[place] * self._carried_share(self.steps[place])
            place -= 1
        return carried[at]

    def _gradient_check_sections(self) -> list[Section]:
        steps, title = self.steps, "The check: central differences of the loss"
        if not self.whole and len(steps) > MIN_CHECKED_STEPS:
            words = f"Checking {len(steps):,} steps takes long; --every-step, or every_step=True, includes it."
            return [Section("gradient_check", title, (Sentence(words),), self.after)]
        dy = np.stack([step.scope[DY] for step in steps]) if steps[0].has_dy else None
        compared = gradient_check([step.step for step in steps], self.dh, self.dc, dy=dy)
        names: dict[str, Symbol] = {"x": X, "h_prev": H_PREV, "c_prev": C_PREV}
        rows = tuple(
            (
                names.get(comparison.name, comparison.name),
                (comparison.entries, comparison.of, comparison.largest, comparison.error),
            )
            for comparison in compared
        )
        heads = ("compared", "entries", "largest gradient", "largest error")
        blocks = (NumberTable("", heads, rows, digits=3, whole=True), Sentence(gradient_check_sentence(compared)))
        return [Section("gradient_check", title, blocks, self.after)]
