"""Every edit of a program's equations, each once: the mistakes that people make, kind by kind."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any

from gatewise.grading.edits import functions, matrices, symbols, terms
from gatewise.grading.edits.edit import TIERS, EquationEdit, EquationEdits, Scene
from gatewise.symbolic.formula import Slice, Symbol, nodes, rebuild
from gatewise.symbolic.formula import symbols as formula_symbols
from gatewise.symbolic.program import Assignment, Program, at_ends, with_ends

KINDS: tuple[EquationEdits, ...] = (  # the simplest in a learner's terms first
    terms.change_factors,
    terms.change_terms,
    terms.drop_input_part,
    terms.leave_out_gate,
    symbols.skip_gate_derivatives,
    functions.change_derivatives,
    functions.change_nonlinearities,
    matrices.reorder_combined_input,
    symbols.take_old_state,
    symbols.substitute_quantity,
    terms.change_signs_and_powers,
    terms.lose_signs,
    functions.add_nonlinearity,
    functions.multiply_inside,
    matrices.transpose_weights,
    matrices.transpose_in_gradient,
    symbols.exchange_gates,
    terms.insert_factors_and_states,
    terms.change_operations,
    functions.repeat_nonlinearities,
    terms.misplace_bracket,
)
ANY_SIZE = 20, 50, 30  # where parts of vectors begin and end: in these alone edits of two sizes differ


@lru_cache(64)
def enumerate_edits(scene: Scene) -> Mapping[Symbol, Sequence[EquationEdit]]:
    """Return every mistake that people make in a cell's equations, the likeliest of each equation first.

    Of equal edits of an equation with the same words, the first is returned. Edits with the same words are together one
    mistake, made in several equations.
    """
    sizes = scene.recurrent, scene.columns, scene.columns - scene.recurrent
    neutral = with_ends(scene.program, dict(zip(sizes[:2], ANY_SIZE[:2], strict=True)))
    program = _shared_program(*(getattr(neutral, field.name) for field in fields(neutral)))
    ends: dict[int | str, int] = dict(zip(ANY_SIZE, sizes, strict=True))
    any_size = _edits_of_any_size(Scene(program, *ANY_SIZE[:2]))
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
def _edits_of_any_size(scene: Scene) -> Mapping[Symbol, Sequence[EquationEdit]]:
    """Return every possible mistake in each equation of a program of placeholder sizes, the likeliest first."""
    return {
        left: sorted(_edits_of_equation(scene, equation), key=lambda edit: TIERS.index(edit.tier))
        for left, equation in scene.program.assignments.items()
    }


def _edits_of_equation(scene: Scene, equation: Assignment) -> Iterator[EquationEdit]:
    """Yield each possible mistake in one equation once, if it changes the result and uses known quantities."""
    right, seen_forms = scene.form_of(equation.right), set[Hashable]()
    for mistakes in KINDS:
        for edit in mistakes(scene, equation):
            if all(scene.is_known_before(symbol, equation) for symbol in formula_symbols(edit.right)):
                form = scene.form_of(edit.right)
                if form != right and (edit.words, form) not in seen_forms:
                    seen_forms.add((edit.words, form))
                    yield replace(edit, form=form)
