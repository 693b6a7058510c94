"""One mistake as an edit of a program: a part of a formula, and what stands in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gatewise.symbolic.formula import Formula, Symbol, parts
from gatewise.symbolic.program import Assignment, Program

Path = tuple[int, ...]
LIKELY, STRUCTURAL, ONE_ENTRY = "likely", "structural", "one entry"
TIERS = (LIKELY, STRUCTURAL, ONE_ENTRY)  # in which causes are named


@dataclass(frozen=True)
class Edit:
    """One edit of a program.

    Attributes
    ----------
    kind : str
        The class of mistakes that it belongs to.
    words : str
        What was done; ``{}`` stands for the quantities, or for the steps, in which it was. Edits of one kind with the
        same words are one mistake, made in several places.
    target : Symbol
        The left side of the equation that is edited, or what a step takes from its neighbour.
    path : tuple of int
        Where in the right side: which part of it, which part of that, and so on; the whole where it is empty.
    tree : Formula
        What stands there instead.
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

    def made(self, right: Formula) -> Formula:
        """Return the right side of the equation with this edit made in it."""
        return put(right, self.path, self.tree)


@dataclass(frozen=True)
class Scene:
    """What edits are made in: a program, and how many entries of the combined input are h, before x, and in all."""

    program: Program
    recurrent: int
    columns: int

    def knows(self, symbol: Symbol, one: Assignment) -> bool:
        """Tell whether a quantity of the program is known before an equation of it."""
        order = self.program.order
        if symbol not in order:
            return symbol in self.program.axes
        return order[symbol] < order[one.left]


def places(formula: Formula, path: Path = ()) -> Iterator[tuple[Path, Formula]]:
    """Go through a formula and all that it is made of, each with its path."""
    yield path, formula
    for n, part in enumerate(parts(formula)):
        yield from places(part, (*path, n))


def put(formula: Formula, path: Path, tree: Formula) -> Formula:
    """Return a formula with another tree at a path."""
    if not path:
        return tree
    first, *rest = path
    return _with_part(formula, first, put(parts(formula)[first], tuple(rest), tree))


def _with_part(formula: Formula, which: int, part: Formula) -> Formula:
    count = 0
    for name in map(str, formula.__match_args__):
        value = getattr(formula, name)
        for k, one in enumerate(value if isinstance(value, tuple) else (value,)):
            if not isinstance(one, Formula):
                continue
            if count == which:
                new = (*value[:k], part, *value[k + 1 :]) if isinstance(value, tuple) else part
                return replace(formula, **{name: new})
            count += 1
    raise IndexError(which)
