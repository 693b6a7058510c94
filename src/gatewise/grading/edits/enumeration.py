"""Every edit of a program, each once: what people do to an equation, one kind after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

from gatewise.grading.edits import functions, matrices, symbols, terms
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.edit import TIERS, Edit, Scene
from gatewise.symbolic.formula import Formula, Slice, nodes, rebuild
from gatewise.symbolic.formula import symbols as formula_symbols
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.rewrites import at_ends, with_ends

KINDS: tuple[Callable[[Scene, Assignment], Iterator[Edit]], ...] = (  # the likeliest first
    matrices.combined,
    symbols.not_computed,
    symbols.another_quantity,
    symbols.exchanged,
    symbols.of_their_sums,
    functions.derivatives,
    terms.of_factors,
    terms.of_terms,
    terms.without_a_part,
    functions.nonlinearities,
    functions.order,
    terms.signs_and_powers,
    matrices.transposed,
    terms.put_in,
    terms.other_operations,
    functions.twice,
    terms.brackets,
    matrices.forgotten_transposition,
)


class Possible(NamedTuple):
    """An edit, the right side that it makes, and the canonical form of that."""

    edit: Edit
    right: Formula
    form: Hashable


@lru_cache(64)
def edits(scene: Scene) -> tuple[Possible, ...]:
    """Return every edit of a program that changes something, the likeliest first.

    Equal edits of an equation are told once, in the words of the first; those of one kind with the same words are kept,
    since together they are one mistake, made in several equations.
    """
    sizes = _ends(scene.recurrent, scene.columns)
    neutral = with_ends(scene.program, dict(zip(sizes[:2], ANY_SIZE[:2], strict=True)))
    program = _program(*(getattr(neutral, field.name) for field in fields(neutral)))
    ends: dict[int | str, int] = dict(zip(ANY_SIZE, sizes, strict=True))
    return tuple(_at_ends(possible, ends) for possible in _of_any_size(Scene(program, *ANY_SIZE[:2])))


def _ends(recurrent: int, columns: int) -> tuple[int, int, int]:
    """Return where parts of vectors may begin and end."""
    return recurrent, columns, columns - recurrent


ANY_SIZE = _ends(10**6, 3 * 10**6)  # edits of two sizes differ in the ends of parts alone


@lru_cache(16)
def _program(*parts: Any) -> Program:
    """Return the one program of these parts: programs are compared by identity."""
    return Program(*parts)


def _at_ends(possible: Possible, ends: Mapping[int | str, int]) -> Possible:
    """Return an edit for another size."""
    if not any(isinstance(node, Slice) for node in nodes(possible.right)):
        return possible
    tree, right = (rebuild(one, partial(at_ends, ends=ends)) for one in (possible.edit.tree, possible.right))
    return Possible(replace(possible.edit, tree=tree), right, canonical(right))


@lru_cache(16)
def _of_any_size(scene: Scene) -> tuple[Possible, ...]:
    found = [possible for one in scene.program.assignments.values() for possible in _of_one(scene, one)]
    return tuple(sorted(found, key=lambda possible: TIERS.index(possible.edit.tier)))


def _of_one(scene: Scene, one: Assignment) -> Iterator[Possible]:
    right, seen = canonical(one.right), set[Hashable]()
    for kind in KINDS:
        for edit in kind(scene, one):
            new = edit.made(one.right)
            made = canonical(new)
            known = all(scene.knows(symbol, one) for symbol in formula_symbols(new))
            if known and made != right and (edit.words, made) not in seen:
                seen.add((edit.words, made))
                yield Possible(edit, new, made)
