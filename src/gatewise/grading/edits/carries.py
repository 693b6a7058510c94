"""Mistakes between steps: states that are not carried, inputs of another step, sums over all steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, ProgramEdit
from gatewise.symbolic.formula import ZERO, Formula, Number, Sum, Symbol, add, times
from gatewise.symbolic.program import Carry, Program
from gatewise.symbolic.symbols import X

_STATE = "state not carried"
_EXCHANGED = "the cell state and the hidden state of the step before are exchanged in {}"
_EXCHANGED_BACK = "the gradients of the cell state and the hidden state are exchanged in {}"


def carry_edits(program: Program, at: int, steps: int) -> Iterator[ProgramEdit]:
    """Yield the mistakes in the states and gradients that a step takes from its neighbours, and in its input."""
    axes = program.axes
    for carries, by in ((program.carry, -1), (program.carry_backward, 1)):
        if not 0 <= at + by < steps:
            continue
        for carry in carries:
            others = [other for other in carries if other != carry and axes[other.source] == axes[carry.source]]
            sources = _replace_state(carry, others, at) if by < 0 else _replace_gradient(carry, others, at, steps)
            for kind, clause, source in sources:
                yield ProgramEdit(kind, clause, carry.into, (), source, LIKELY)
    yield from _replace_input(at, steps)


def _at_step(symbol: Symbol, at: int) -> Symbol:
    return replace(symbol, time=at)


def _replace_state(carry: Carry, others: list[Carry], at: int) -> Iterator[tuple[str, str, Formula]]:
    before, first = _at_step(carry.source, at - 1), _at_step(carry.into, 0)
    yield _STATE, "the initial state is used again instead of the state of the step before in {}", first
    yield _STATE, "zero is used instead of the state of the step before in {}", times(ZERO, before)
    older = _at_step(carry.source, at - 2) if at > 1 else first
    yield "state of two steps ago", "the state of two steps ago is used for {}", older
    for other in others:
        name = "cell state" if other.source.base == "c" else "hidden state"
        yield (
            "cell and hidden exchanged",
            f"the {name} of the step before is used for {{}}",
            _at_step(other.source, at - 1),
        )
        yield "cell and hidden exchanged", _EXCHANGED, _at_step(other.source, at - 1)


def _replace_gradient(carry: Carry, others: list[Carry], at: int, steps: int) -> Iterator[tuple[str, str, Formula]]:
    after, last = _at_step(carry.source, at + 1), _at_step(carry.into, steps - 1)
    instead = "is used instead of what the step after passes back in {}"
    yield "gradient not carried", f"zero {instead}", times(ZERO, after)
    yield "gradient not carried", f"the gradient at the last step {instead}", last
    yield "loss at every step", "the gradient of the loss at the last step is added again in {}", add(after, last)
    for other in others:
        source = _at_step(other.source, at + 1)
        name = "cell state" if other.source.base == "c" else "hidden state"
        yield "cell and hidden exchanged", f"the gradient of the {name} is used for {{}}", source
        yield "cell and hidden exchanged", _EXCHANGED_BACK, source


def _replace_input(at: int, steps: int) -> Iterator[ProgramEdit]:
    for other in range(steps):
        if other != at:
            clause = f"the input of step {other} is used for {{}}"
            yield ProgramEdit("input of another step", clause, X, (), _at_step(X, other), LIKELY)
    if steps > 1:
        reversed_input = _at_step(X, steps - 1 - at)
        yield ProgramEdit("inputs reversed", "the inputs are taken in reverse order", X, (), reversed_input, LIKELY)
        if at:
            clause = "the input of step 0 is used at every step"
            yield ProgramEdit("same input at every step", clause, X, (), _at_step(X, 0), LIKELY)


def total_edits(left: Symbol, right: Formula) -> Iterator[ProgramEdit]:
    """Yield the mistakes in a sum over all steps, whose first term is the last step's."""
    if not isinstance(right, Sum):
        return
    kind, steps = "sum over the steps missing", len(right.terms)
    names = {0: "the last step", steps - 1: "the first step"}
    for n, term in enumerate(right.terms):
        step = names.get(n, f"step {steps - 1 - n}")
        yield ProgramEdit(kind, f"only {step} is counted in {{}}", left, (), term, LIKELY)
    mean = times(Number(1 / steps), right)
    yield ProgramEdit(kind, "the mean over the steps is taken instead of the sum in {}", left, (), mean, LIKELY)
    if steps > 2:
        for n in range(steps):
            step = names.get(n, f"step {steps - 1 - n}")
            rest = add(*right.terms[:n], *right.terms[n + 1 :])
            yield ProgramEdit("step missing", f"{step} is missing from {{}}", left, (), rest, STRUCTURAL)
