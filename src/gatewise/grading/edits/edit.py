"""A mistake as an edit of a program: one part of a formula is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gatewise.symbolic.formula import Formula, Symbol, parts
from gatewise.symbolic.program import Assignment, Program

Path = tuple[int, ...]
LIKELY, STRUCTURAL, ONE_ENTRY = "likely", "structural", "one entry"
TIERS = (LIKELY, STRUCTURAL, ONE_ENTRY)  # in which causes are named


@dataclass(frozen=True)
class ProgramEdit:
    """An edit of a program.

    Attributes
    ----------
    kind : str
        Its class of mistakes.
    words : str
        The mistake as a clause; ``{}`` stands for the quantities or steps that have it. Edits of one kind with the
        same words are one mistake, made in several places.
    target : Symbol
        The left side of the edited equation, or the symbol of a state that a step takes from its neighbour.
    path : tuple of int
        Where in the right side: the index of a part, of a part of that, and so on; all of it if empty.
    tree : Formula
        The replacement.
    tier : {"likely", "structural", "one entry"}
    at : int, optional
        The step where it can be made; by default any.
    """

    kind: str
    words: str
    target: Symbol
    path: Path
    tree: Formula
    tier: str = STRUCTURAL
    at: int | None = None

    def apply_to(self, right: Formula) -> Formula:
        """Return the equation's right side with this edit."""
        return replace_part(right, self.path, self.tree)


@dataclass(frozen=True)
class Scene:
    """A program to edit, and the sizes of h and of all of the combined input [h; x]."""

    program: Program
    recurrent: int
    columns: int

    def knows(self, symbol: Symbol, equation: Assignment) -> bool:
        """Return whether a quantity is known before an equation of the program."""
        order = self.program.order
        if symbol not in order:
            return symbol in self.program.axes
        return order[symbol] < order[equation.left]


def subformulas(formula: Formula, path: Path = ()) -> Iterator[tuple[Path, Formula]]:
    """Yield a formula and all its subformulas, each with its path."""
    yield path, formula
    for n, part in enumerate(parts(formula)):
        yield from subformulas(part, (*path, n))


def replace_part(formula: Formula, path: Path, tree: Formula) -> Formula:
    """Return a formula whose part at a path is replaced."""
    if not path:
        return tree
    first, *rest = path
    return _replace_child(formula, first, replace_part(parts(formula)[first], tuple(rest), tree))


def _replace_child(formula: Formula, index: int, part: Formula) -> Formula:
    count = 0
    for name in map(str, formula.__match_args__):
        value = getattr(formula, name)
        for k, node in enumerate(value if isinstance(value, tuple) else (value,)):
            if not isinstance(node, Formula):
                continue
            if count == index:
                new = (*value[:k], part, *value[k + 1 :]) if isinstance(value, tuple) else part
                return replace(formula, **{name: new})
            count += 1
    raise IndexError(index)
