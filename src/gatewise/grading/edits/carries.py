"""Mistakes between steps: states that are not carried, inputs of another step, sums over all steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatewise.grading.edits.edit import LIKELY, EquationEdit, replace_item
from gatewise.symbolic.formula import ZERO, Formula, Number, Sum, Symbol, add, times
from gatewise.symbolic.program import Carry, Program
from gatewise.symbolic.symbols import X

_STATE, _GRADIENT, _EXCHANGED = "state not carried", "gradient not carried", "cell and hidden exchanged"


def carry_edits(program: Program, into: Symbol, step: int, steps: int) -> Iterator[EquationEdit]:
    """Yield people's mistakes in a state or gradient that a step takes from its neighbour, or in its input."""
    if into == X:
        yield from _wrong_inputs(step, steps)
    for carries in (program.carry, program.carry_backward):
        for carry in (carry for carry in carries if carry.into == into):
            yield from _wrong_gradients(carry, step, steps) if into.d else _wrong_states(carry, step)
            for other in carries:
                if other != carry and program.axes[other.source] == program.axes[carry.source]:
                    yield from _exchanged_states(other.source, step)


def _at_step(symbol: Symbol, step: int) -> Symbol:
    return replace(symbol, time=step)


def _wrong_states(carry: Carry, step: int) -> Iterator[EquationEdit]:
    before, first = _at_step(carry.source, step - 1), _at_step(carry.into, 0)
    instead = "instead of the state of the step before in {}"
    yield EquationEdit(_STATE, f"the initial state is used again {instead}", first, LIKELY)
    yield EquationEdit(_STATE, f"zero is used {instead}", times(ZERO, before), LIKELY)
    older = _at_step(carry.source, step - 2) if step > 1 else first
    yield EquationEdit("state of two steps ago", "the state of two steps ago is used for {}", older, LIKELY)


def _wrong_gradients(carry: Carry, step: int, steps: int) -> Iterator[EquationEdit]:
    """Yield the mistakes that take something else for the gradient from the step after."""
    after, last = _at_step(carry.source, step + 1), _at_step(carry.into, steps - 1)
    instead = "is used instead of what the step after passes back in {}"
    yield EquationEdit(_GRADIENT, f"zero {instead}", times(ZERO, after), LIKELY)
    yield EquationEdit(_GRADIENT, f"the gradient at the last step {instead}", last, LIKELY)
    clause = "the gradient of the loss at the last step is added again in {}"
    yield EquationEdit("loss at every step", clause, add(after, last), LIKELY)


def _exchanged_states(source: Symbol, step: int) -> Iterator[EquationEdit]:
    """Yield the mistakes that take a neighbour's cell state for its hidden state, or the other way around."""
    name = "cell state" if source.base == "c" else "hidden state"
    clauses = f"the {name} of the step before is used", "the cell state and the hidden state of the step before are"
    if source.d:
        clauses = f"the gradient of the {name} is used", "the gradients of the cell state and the hidden state are"
    for clause in (f"{clauses[0]} for {{}}", f"{clauses[1]} exchanged in {{}}"):
        yield EquationEdit(_EXCHANGED, clause, _at_step(source, step + (1 if source.d else -1)), LIKELY)


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
