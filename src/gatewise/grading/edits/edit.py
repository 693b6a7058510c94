"""A mistake as an edit of a program: one part of a formula is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gatewise.symbolic.formula import Formula, Symbol, parts, with_parts
from gatewise.symbolic.program import Assignment, Program

Path = tuple[int, ...]
LIKELY, STRUCTURAL, ONE_ENTRY = "likely", "structural", "one entry"
TIERS = (LIKELY, STRUCTURAL, ONE_ENTRY)  # in which causes are named


@dataclass(frozen=True)
class ProgramEdit:
    """An edit of a program.

    Its words are a clause in which ``{}`` stands for the quantities or steps that have the mistake. Edits of one kind
    with the same words are one mistake, made in several places.
    """

    kind: str
    words: str
    target: Symbol  # the left side of the edited equation, or a state that a step takes from its neighbour
    path: Path  # in the right side: the index of a part, of a part of that, and so on; all of it if empty
    tree: Formula  # the replacement
    tier: str = STRUCTURAL

    def apply_to(self, right: Formula) -> Formula:
        """Return the equation's right side with this edit."""
        return replace_part(right, self.path, self.tree)


class PartEdit(NamedTuple):
    """An edit of one part of an equation; see `ProgramEdit`."""

    kind: str
    words: str
    tree: Formula
    tier: str = STRUCTURAL


@dataclass(frozen=True)
class Scene:
    """A program to edit, and the sizes of h and of all of the combined input [h; x]."""

    program: Program
    recurrent: int
    columns: int

    def is_known_before(self, symbol: Symbol, equation: Assignment) -> bool:
        """Return whether a person who works out an equation can already know a quantity."""
        order = self.program.order
        if symbol not in order:
            return symbol in self.program.axes
        return order[symbol] < order[equation.left]


def subformulas(formula: Formula, path: Path = ()) -> Iterator[tuple[Path, Formula]]:
    """Yield a formula and all its parts, each with its path: the places where a mistake can be made."""
    yield path, formula
    for n, part in enumerate(parts(formula)):
        yield from subformulas(part, (*path, n))


def replace_part(formula: Formula, path: Path, tree: Formula) -> Formula:
    """Return a formula whose part at a path is replaced, as a mistake does."""
    if not path:
        return tree
    first, *rest = path
    pieces = list(parts(formula))
    pieces[first] = replace_part(pieces[first], tuple(rest), tree)
    return with_parts(formula, pieces)


EquationEdits = Callable[[Scene, Assignment], Iterator[ProgramEdit]]


def of_each_part(edits: Callable[[Scene, Assignment, Path, Formula], Iterator[PartEdit]]) -> EquationEdits:
    """Decorate a function that yields the mistakes in one part of an equation: apply it to every part."""

    def edits_of_equation(scene: Scene, equation: Assignment) -> Iterator[ProgramEdit]:
        """Yield the mistakes in every part of an equation, as edits of its program."""
        for path, node in subformulas(equation.right):
            for kind, words, tree, tier in edits(scene, equation, path, node):
                yield ProgramEdit(kind, words, equation.left, path, tree, tier)

    return edits_of_equation
