"""Mistakes between steps: states that are not carried, inputs of another step, sums over all steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatewise.grading.edits.edit import LIKELY, EquationEdit, replace_item
from gatewise.symbolic.formula import ZERO, Formula, Number, Sum, Symbol, add, times
from gatewise.symbolic.program import Carry, Program
from gatewise.symbolic.symbols import X

_STATE = "state not carried"
_EXCHANGED = "the cell state and the hidden state of the step before are exchanged in {}"
_EXCHANGED_BACK = "the gradients of the cell state and the hidden state are exchanged in {}"


def carry_edits(program: Program, into: Symbol, step: int, steps: int) -> Iterator[EquationEdit]:
    """Yield people's mistakes in a state or gradient that a step takes from its neighbour, or in its input."""
    if into == X:
        yield from _wrong_inputs(step, steps)
    axes = program.axes
    for carries in (program.carry, program.carry_backward):
        for carry in (carry for carry in carries if carry.into == into):
            others = [other for other in carries if other != carry and axes[other.source] == axes[carry.source]]
            sources = _wrong_gradients(carry, others, step, steps) if into.d else _wrong_states(carry, others, step)
            for kind, clause, source in sources:
                yield EquationEdit(kind, clause, source, LIKELY)


def _at_step(symbol: Symbol, step: int) -> Symbol:
    return replace(symbol, time=step)


def _wrong_states(carry: Carry, others: list[Carry], step: int) -> Iterator[tuple[str, str, Formula]]:
    """Yield what people take for the state of the step before: a mistake's kind, its words and the formula."""
    before, first = _at_step(carry.source, step - 1), _at_step(carry.into, 0)
    yield _STATE, "the initial state is used again instead of the state of the step before in {}", first
    yield _STATE, "zero is used instead of the state of the step before in {}", times(ZERO, before)
    older = _at_step(carry.source, step - 2) if step > 1 else first
    yield "state of two steps ago", "the state of two steps ago is used for {}", older
    for other in others:
        name = "cell state" if other.source.base == "c" else "hidden state"
        yield (
            "cell and hidden exchanged",
            f"the {name} of the step before is used for {{}}",
            _at_step(other.source, step - 1),
        )
        yield "cell and hidden exchanged", _EXCHANGED, _at_step(other.source, step - 1)


def _wrong_gradients(carry: Carry, others: list[Carry], step: int, steps: int) -> Iterator[tuple[str, str, Formula]]:
    """Yield what people take for the gradient from the step after: a mistake's kind, its words and the formula."""
    after, last = _at_step(carry.source, step + 1), _at_step(carry.into, steps - 1)
    instead = "is used instead of what the step after passes back in {}"
    yield "gradient not carried", f"zero {instead}", times(ZERO, after)
    yield "gradient not carried", f"the gradient at the last step {instead}", last
    yield "loss at every step", "the gradient of the loss at the last step is added again in {}", add(after, last)
    for other in others:
        source = _at_step(other.source, step + 1)
        name = "cell state" if other.source.base == "c" else "hidden state"
        yield "cell and hidden exchanged", f"the gradient of the {name} is used for {{}}", source
        yield "cell and hidden exchanged", _EXCHANGED_BACK, source


def _wrong_inputs(step: int, steps: int) -> Iterator[EquationEdit]:
    """Yield the mistakes that give a step of the LSTM the input of another step."""
    for other in range(steps):
        if other != step:
            clause = f"the input of step {other} is used for {{}}"
            yield EquationEdit("input of another step", clause, _at_step(X, other), LIKELY)
    if steps > 1:
        reversed_input = _at_step(X, steps - 1 - step)
        yield EquationEdit("inputs reversed", "the inputs are taken in reverse order", reversed_input, LIKELY)
        if step:
            clause = "the input of step 0 is used at every step"
            yield EquationEdit("same input at every step", clause, _at_step(X, 0), LIKELY)


def total_edits(right: Formula) -> Iterator[EquationEdit]:
    """Yield people's mistakes in a gradient summed over all steps, whose first term is the last step's."""
    if not isinstance(right, Sum):
        return
    kind, steps = "sum over the steps missing", len(right.terms)
    names = {0: "the last step", steps - 1: "the first step"}
    for n, term in enumerate(right.terms):
        name = names.get(n, f"step {steps - 1 - n}")
        yield EquationEdit(kind, f"only {name} is counted in {{}}", term, LIKELY)
    mean = times(Number(1 / steps), right)
    yield EquationEdit(kind, "the mean over the steps is taken instead of the sum in {}", mean, LIKELY)
    if steps > 2:
        for n in range(steps):
            name = names.get(n, f"step {steps - 1 - n}")
            other_terms = add(*replace_item(right.terms, n))
            yield EquationEdit("step missing", f"{name} is missing from {{}}", other_terms)
