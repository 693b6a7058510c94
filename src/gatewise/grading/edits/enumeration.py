"""Every edit of a program's equations, each once, and the mistakes that are made between steps."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any

from gatewise.grading.edits import symbols, terms
from gatewise.grading.edits.edit import LIKELY, TIERS, EditContext, EquationEdit, EquationEdits, replace_item
from gatewise.symbolic.formula import ZERO, Formula, Number, Slice, Sum, Symbol, X, add, nodes, rebuild, times
from gatewise.symbolic.formula import symbols as formula_symbols
from gatewise.symbolic.program import Assignment, Carry, Program, at_ends, with_ends

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
                    # The mistakes that take a neighbour's cell state for its hidden state, or the other way around.
                    name = "cell state" if other.source.base == "c" else "hidden state"
                    clauses = (
                        f"the {name} of the step before is used",
                        "the cell state and the hidden state of the step before are",
                    )
                    if other.source.d:
                        clauses = (
                            f"the gradient of the {name} is used",
                            "the gradients of the cell state and the hidden state are",
                        )
                    for clause in (f"{clauses[0]} for {{}}", f"{clauses[1]} exchanged in {{}}"):
                        yield EquationEdit(
                            _EXCHANGED, clause, _at_step(other.source, step + (1 if other.source.d else -1)), LIKELY
                        )


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


def _wrong_inputs(step: int, steps: int) -> Iterator[EquationEdit]:
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


KINDS: tuple[EquationEdits, ...] = (  # the simplest in a learner's terms first
    terms.change_factors,
    terms.change_terms,
    terms.drop_input_part,
    terms.leave_out_gate,
    symbols.skip_gate_derivatives,
    terms.change_derivatives,
    terms.change_nonlinearities,
    symbols.reorder_combined_input,
    symbols.take_old_state,
    symbols.substitute_quantity,
    terms.change_signs_and_powers,
    terms.lose_signs,
    terms.add_nonlinearity,
    terms.multiply_inside,
    symbols.transpose_weights,
    symbols.transpose_in_gradient,
    symbols.exchange_gates,
    terms.insert_factors_and_states,
    terms.change_operations,
    terms.repeat_nonlinearities,
    terms.misplace_bracket,
)
SYMBOLIC_SIZES = 20, 50, 30  # where parts of vectors begin and end: in these alone edits of two sizes differ


@lru_cache(64)
def enumerate_edits(context: EditContext) -> Mapping[Symbol, Sequence[EquationEdit]]:
    """Return every mistake that people make in a cell's equations, the likeliest of each equation first.

    Of equal edits of an equation with the same words, the first is returned. Edits with the same words are together one
    mistake, made in several equations.
    """
    sizes = context.recurrent, context.columns, context.columns - context.recurrent
    neutral = with_ends(context.program, dict(zip(sizes[:2], SYMBOLIC_SIZES[:2], strict=True)))
    program = _shared_program(*(getattr(neutral, field.name) for field in fields(neutral)))
    ends: dict[int | str, int] = dict(zip(SYMBOLIC_SIZES, sizes, strict=True))
    any_size = _edits_of_any_size(EditContext(program, *SYMBOLIC_SIZES[:2]))
    return {left: [_resize_edit(edit, ends) for edit in edits] for left, edits in any_size.items()}


@lru_cache(16)
def _shared_program(*parts: Any) -> Program:
    """Return the one program of these parts: programs are compared by identity."""
    return Program(*parts)


def _resize_edit(edit: EquationEdit, ends: Mapping[int | str, int]) -> EquationEdit:
    """Return a mistake for cells of another size: with other ends of the vector parts in its formula."""
    if not any(isinstance(node, Slice) for node in nodes(edit.right)):
        return edit
    return replace(edit, right=rebuild(edit.right, partial(at_ends, ends=ends)))


@lru_cache(16)
def _edits_of_any_size(context: EditContext) -> Mapping[Symbol, Sequence[EquationEdit]]:
    """Return every possible mistake in each equation of a program of placeholder sizes, the likeliest first."""
    return {
        left: sorted(_edits_of_equation(context, equation), key=lambda edit: TIERS.index(edit.tier))
        for left, equation in context.program.assignments.items()
    }


def _edits_of_equation(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield each possible mistake in one equation once, if it changes the result and uses known quantities."""
    right, seen = context.fingerprint(equation.right), set[Hashable]()
    for mistakes in KINDS:
        for edit in mistakes(context, equation):
            if all(context.is_known_before(symbol, equation) for symbol in formula_symbols(edit.right)):
                fingerprint = context.fingerprint(edit.right)
                if fingerprint != right and (edit.words, fingerprint) not in seen:
                    seen.add((edit.words, fingerprint))
                    yield replace(edit, fingerprint=fingerprint)
