"""Every edit of a program, each once: what people do to an equation, one kind after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache

from gatewise.grading.edits import functions, matrices, symbols, terms
from gatewise.grading.edits.canonical import canonical
from gatewise.grading.edits.edit import TIERS, Edit, Scene
from gatewise.symbolic.formula import symbols as formula_symbols
from gatewise.symbolic.program import Assignment

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


@lru_cache(64)
def edits(scene: Scene) -> tuple[Edit, ...]:
    """Return every edit of a program that changes something, the likeliest first.

    Equal edits of an equation are told once, in the words of the first; those of one kind with the same words are kept,
    since together they are one mistake, made in several equations.
    """
    found = [edit for one in scene.program.assignments.values() for edit in _of_one(scene, one)]
    return tuple(sorted(found, key=lambda edit: TIERS.index(edit.tier)))


def _of_one(scene: Scene, one: Assignment) -> Iterator[Edit]:
    right, seen = canonical(one.right), set[Hashable]()
    for kind in KINDS:
        for edit in kind(scene, one):
            new = edit.made(one.right)
            made = canonical(new)
            known = all(scene.knows(symbol, one) for symbol in formula_symbols(new))
            if known and made != right and (edit.words, made) not in seen:
                seen.add((edit.words, made))
                yield edit
