"""What steps take from each other: states that are not carried, inputs of another step, sums over all steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatewise.grading.edits.edit import LIKELY, STRUCTURAL, Edit
from gatewise.symbolic.formula import ZERO, Formula, Number, Sum, Symbol, add, times
from gatewise.symbolic.program import Carry, Program
from gatewise.symbolic.symbols import X

_STATE = "state not carried"
_EXCHANGED = "the cell state and the hidden state of the step before are exchanged in {}"
_EXCHANGED_BACK = "the gradients of the cell state and the hidden state are exchanged in {}"


def of_carries(program: Program, at: int, steps: int) -> Iterator[Edit]:
    """Go through what may be wrong with what a step takes from its neighbours, and with its input."""
    axes = program.axes
    for carries, by in ((program.carry, -1), (program.carry_backward, 1)):
        if not 0 <= at + by < steps:
            continue
        for carry in carries:
            others = [one for one in carries if one != carry and axes[one.source] == axes[carry.source]]
            forward = _forward(carry, others, at) if by < 0 else _backward(carry, others, at, steps)
            for kind, told, tree in forward:
                yield Edit(kind, told, carry.into, (), tree, LIKELY, at)
    yield from _inputs(at, steps)


def _there(symbol: Symbol, at: int) -> Symbol:
    return replace(symbol, time=at)


def _forward(carry: Carry, others: list[Carry], at: int) -> Iterator[tuple[str, str, Formula]]:
    before, first = _there(carry.source, at - 1), _there(carry.into, 0)
    yield _STATE, "the initial state is used again instead of the state of the step before in {}", first
    yield _STATE, "zero is used instead of the state of the step before in {}", times(ZERO, before)
    older = _there(carry.source, at - 2) if at > 1 else first
    yield "state of two steps ago", "the state of two steps ago is used for {}", older
    for other in others:
        called = "cell state" if other.source.base == "c" else "hidden state"
        yield (
            "cell and hidden exchanged",
            f"the {called} of the step before is used for {{}}",
            _there(other.source, at - 1),
        )
        yield "cell and hidden exchanged", _EXCHANGED, _there(other.source, at - 1)


def _backward(carry: Carry, others: list[Carry], at: int, steps: int) -> Iterator[tuple[str, str, Formula]]:
    after, last = _there(carry.source, at + 1), _there(carry.into, steps - 1)
    instead = "is used instead of what the step after passes back in {}"
    yield "gradient not carried", f"zero {instead}", times(ZERO, after)
    yield "gradient not carried", f"the gradient at the last step {instead}", last
    yield "loss at every step", "the gradient of the loss at the last step is added again in {}", add(after, last)
    for other in others:
        source = _there(other.source, at + 1)
        called = "cell state" if other.source.base == "c" else "hidden state"
        yield "cell and hidden exchanged", f"the gradient of the {called} is used for {{}}", source
        yield "cell and hidden exchanged", _EXCHANGED_BACK, source


def _inputs(at: int, steps: int) -> Iterator[Edit]:
    for other in range(steps):
        if other != at:
            told = f"the input of step {other} is used for {{}}"
            yield Edit("input of another step", told, X, (), _there(X, other), LIKELY, at)
    if steps > 1:
        turned = _there(X, steps - 1 - at)
        yield Edit("inputs reversed", "the inputs are taken in reverse order", X, (), turned, LIKELY, at)
        if at:
            told = "the input of step 0 is used at every step"
            yield Edit("same input at every step", told, X, (), _there(X, 0), LIKELY, at)


def of_totals(left: Symbol, right: Formula) -> Iterator[Edit]:
    """Go through what may be wrong with a sum over all steps, of which the last one comes first."""
    if not isinstance(right, Sum):
        return
    kind, steps = "sum over the steps missing", len(right.terms)
    names = {0: "the last step", steps - 1: "the first step"}
    for n, term in enumerate(right.terms):
        which = names.get(n, f"step {steps - 1 - n}")
        yield Edit(kind, f"only {which} is counted in {{}}", left, (), term, LIKELY)
    mean = times(Number(1 / steps), right)
    yield Edit(kind, "the mean over the steps is taken instead of the sum in {}", left, (), mean, LIKELY)
    if steps > 2:
        for n in range(steps):
            which = names.get(n, f"step {steps - 1 - n}")
            rest = add(*right.terms[:n], *right.terms[n + 1 :])
            yield Edit("step missing", f"{which} is missing from {{}}", left, (), rest, STRUCTURAL)
