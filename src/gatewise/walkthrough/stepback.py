"""The backward pass of one step, in sections: from what arrives at its states to everything that went into it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.records.step import Term, Terms, ranked
from gatewise.symbolic.binding import StepValues
from gatewise.symbolic.evaluation import evaluate, substitute
from gatewise.symbolic.formula import Product, Sum
from gatewise.symbolic.program import Assignment
from gatewise.symbolic.symbols import (
    COLUMNS,
    DC_NEXT,
    DC_PREV,
    DH,
    DH_NEXT,
    DH_PREV,
    DY,
    DZ,
    FEATURES,
    RECURRENT,
    UNITS,
    F,
    d,
)
from gatewise.walkthrough import grouping, quantity_sentences
from gatewise.walkthrough.bound import BoundStep
from gatewise.walkthrough.parts import Block, Expanded, NumberTable, Section, Sentence, WorkedEquation

TITLES = {
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


def sections(step: BoundStep) -> list[Section]:
    """Return the walkthrough's sections of the backward pass of a step."""
    equations = grouping.backward(step.program.backward)
    sections_of_step = [_arriving_section(step, equations.pop("arriving", ()))]
    for key, assignments in equations.items():
        blocks = step.equations(assignments)
        blocks += _explanation_blocks(step, key, [block for block in blocks if isinstance(block, WorkedEquation)])
        title = TITLES.get(key) or f"Back through the {key.removeprefix('d_').replace('_', ' ')}"
        sections_of_step.append(step.section(key, title, blocks, "backward"))
    return sections_of_step


def _arriving_section(step: BoundStep, equations: tuple[Assignment, ...]) -> Section:
    """Return the section of the gradients that arrive at a step, its output's too if the loss depends on it."""
    at_h = (DY, DH_NEXT) if step.has_dy else (DH,)
    blocks: list[Block] = [
        NumberTable("", step.names[step.form.hidden], tuple((symbol, tuple(step.scope[symbol])) for symbol in at_h)),
        NumberTable("", step.names[UNITS], ((DC_NEXT, tuple(step.scope[DC_NEXT])),)),
        *step.equations(equations),
    ]
    blocks.append(Sentence(quantity_sentences.ARRIVING_AT_OUTPUT if step.has_dy else quantity_sentences.ARRIVING))
    return step.section("arriving", "The gradients that arrive", blocks, "backward")


def _explanation_blocks(step: BoundStep, key: str, equations: list[WorkedEquation]) -> list[Block]:
    """Return the blocks below a backward section's equations: the products of a sum, and what the numbers mean."""
    blocks: list[Block] = []
    if key == "d_weights":
        weights = [equation for equation in equations if np.ndim(equation.value) == 2 and equation.left.base in "WU"]
        blocks.append(Sentence(quantity_sentences.largest_weight_gradient(weights, step.names)))
    if key == "d_previous":
        left = DH_PREV if step.form.apart else DZ
        blocks += _products_blocks(step, next(equation for equation in equations if equation.left == left))
    if (sentence := quantity_sentences.quantity_sentences(step.program).get(key)) is not None:
        blocks.append(Sentence(sentence.describe(step.scope, step.units, step.named)))
    return blocks


def carried_share(step: BoundStep) -> Any:
    """Return the share of the cell state's gradient that goes on to the step before along the cell state alone.

    It is the gradient of the previous cell state when 1 arrives at this one, and nothing at hidden state and gates.
    """
    cell, ones = d(step.form.cell), np.ones_like(step.scope[F])
    known = {symbol: value for symbol, value in step.scope.known.items() if not symbol.d}
    known |= {DC_NEXT: ones, **{d(step.form.weighted(k)): 0 * ones for k in step.form.weighted_gates}}
    known[cell] = evaluate(quantity_sentences.along_the_cell(step.program), StepValues(step.program, step.p, known))
    return StepValues(step.program, step.p, known)[DC_PREV]


def _products_blocks(step: BoundStep, equation: WorkedEquation) -> list[Block]:
    """Return every product in the gradients of the expanded units' hidden states, as a walkthrough's blocks."""
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
