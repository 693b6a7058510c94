"""Every edit of a program, each once: the mistakes that people make in an equation, kind by kind."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

from gatewise.grading.edits import functions, matrices, symbols, terms
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.edit import TIERS, EquationEdits, ProgramEdit, Scene
from gatewise.symbolic.formula import Formula, Slice, nodes, rebuild
from gatewise.symbolic.formula import symbols as formula_symbols
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.rewrites import at_ends, with_ends

KINDS: tuple[EquationEdits, ...] = (  # the likeliest first
    matrices.reorder_combined_input,
    symbols.take_old_state,
    symbols.substitute_quantity,
    symbols.exchange_gates,
    symbols.skip_gate_derivatives,
    functions.change_derivatives,
    terms.change_factors,
    terms.change_terms,
    terms.drop_input_part,
    functions.change_nonlinearities,
    functions.add_nonlinearity,
    functions.multiply_inside,
    terms.change_signs_and_powers,
    matrices.transpose_weights,
    matrices.transpose_in_gradient,
    terms.insert_factors_and_states,
    terms.change_operations,
    terms.multiply_by_bias,
    functions.repeat_nonlinearities,
    terms.misplace_bracket,
    matrices.skip_transposition,
)


class PossibleEdit(NamedTuple):
    """An edit, the right side that it makes, and the canonical form of that."""

    edit: ProgramEdit
    right: Formula
    form: Hashable


@lru_cache(64)
def enumerate_edits(scene: Scene) -> tuple[PossibleEdit, ...]:
    """Return every mistake that people make in a cell's equations as an edit, the likeliest first.

    Of equal edits of an equation with the same words, the first is returned. Edits of one kind with the same words are
    together one mistake, made in several equations.
    """
    sizes = _part_ends(scene.recurrent, scene.columns)
    neutral = with_ends(scene.program, dict(zip(sizes[:2], ANY_SIZE[:2], strict=True)))
    program = _shared_program(*(getattr(neutral, field.name) for field in fields(neutral)))
    ends: dict[int | str, int] = dict(zip(ANY_SIZE, sizes, strict=True))
    return tuple(_resize_edit(possible, ends) for possible in _edits_of_any_size(Scene(program, *ANY_SIZE[:2])))


def _part_ends(recurrent: int, columns: int) -> tuple[int, int, int]:
    """Return the indices at which parts of vectors may begin and end."""
    return recurrent, columns, columns - recurrent


ANY_SIZE = _part_ends(10**6, 3 * 10**6)  # edits of two sizes differ in the ends of parts alone


@lru_cache(16)
def _shared_program(*parts: Any) -> Program:
    """Return the one program of these parts: programs are compared by identity."""
    return Program(*parts)


def _resize_edit(possible: PossibleEdit, ends: Mapping[int | str, int]) -> PossibleEdit:
    """Return a mistake for cells of another size: with other ends of the vector parts in its formula."""
    if not any(isinstance(node, Slice) for node in nodes(possible.right)):
        return possible
    tree, right = (rebuild(formula, partial(at_ends, ends=ends)) for formula in (possible.edit.tree, possible.right))
    return PossibleEdit(replace(possible.edit, tree=tree), right, canonical(right))


@lru_cache(16)
def _edits_of_any_size(scene: Scene) -> tuple[PossibleEdit, ...]:
    """Return every possible mistake in a program of placeholder sizes, the likeliest first."""
    possible_edits = [
        possible for equation in scene.program.assignments.values() for possible in _edits_of_equation(scene, equation)
    ]
    return tuple(sorted(possible_edits, key=lambda possible: TIERS.index(possible.edit.tier)))


def _edits_of_equation(scene: Scene, equation: Assignment) -> Iterator[PossibleEdit]:
    """Yield each possible mistake in one equation once, if it changes the result and uses known quantities."""
    right, seen_forms = canonical(equation.right), set[Hashable]()
    for mistakes in KINDS:
        for edit in mistakes(scene, equation):
            new = edit.apply_to(equation.right)
            form = canonical(new)
            is_computable = all(scene.is_known_before(symbol, equation) for symbol in formula_symbols(new))
            if is_computable and form != right and (edit.words, form) not in seen_forms:
                seen_forms.add((edit.words, form))
                yield PossibleEdit(edit, new, form)
