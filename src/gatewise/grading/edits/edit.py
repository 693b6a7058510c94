"""A mistake as an edit of an equation: one part of its formula is replaced."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gatewise.arrays import Array
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import Formula, Symbol, parts, with_parts
from gatewise.symbolic.program import Assignment, Program
from gatewise.symbolic.symbols import COLUMNS, FEATURES, RECURRENT

SCALES = (1.0, 1.0, 1e3)  # of the numbers that right sides are compared for: the last is beyond any clip
SAME = 1e-10  # of a number, and of its scale squared: right sides whose numbers differ by less are the same
Path = tuple[int, ...]  # to a part of a formula: the index of a part, of a part of that, and so on
LIKELY, STRUCTURAL, ONE_ENTRY = "likely", "structural", "one entry"
TIERS = (LIKELY, STRUCTURAL, ONE_ENTRY)  # in which causes are named
POSSIBLE = "possible"  # the tier of a slip in one entry that unrelated numbers would fit, too


@dataclass(frozen=True)
class EquationEdit:
    """What a mistake makes of an equation.

    Its words are a clause in which ``{}`` stands for the quantities or steps that have the mistake. Edits with the
    same words are one mistake, made in several places.
    """

    kind: str
    words: str
    right: Formula  # the new right side; of an edit of a part, what that becomes
    tier: str = STRUCTURAL
    form: object = None  # shared by right sides that give the same numbers


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

    @cached_property
    def _points(self) -> list[dict[Symbol, Array]]:
        """Numbers for all symbols: from 0 to 1, of either sign (but for variances), and so large that clips show."""
        rng, units = np.random.default_rng(0), self.recurrent + self.program.form.projected
        sizes = {RECURRENT: self.recurrent, COLUMNS: self.columns, FEATURES: self.columns - self.recurrent}
        shapes = {symbol: [sizes.get(axis, units) for axis in axes] for symbol, axes in self.program.axes.items()}
        return [
            {s: scale * rng.uniform(least if shape or s.d else 0.0, 1.0, shape) for s, shape in shapes.items()}
            for least, scale in zip((0.0, -1.0, -1.0), SCALES, strict=True)
        ]

    @cached_property
    def _forms(self) -> dict[tuple[int, ...], list[tuple[float, int, Array]]]:
        """The numbers that right sides gave, by their shape: sorted by the first number, each with its form."""
        return {}

    def form_of(self, right: Formula) -> Hashable:
        """Return a value that right sides share if they give the same numbers, but for rounding.

        If sizes disagree, it is the right side.
        """
        try:
            with np.errstate(all="ignore"):
                found = np.array([evaluate(right, point) for point in self._points], np.float64)
        except ValueError:
            return right
        found[-1] /= SCALES[-1] ** 2
        numbers = np.nan_to_num(found, nan=1e299, posinf=1e300, neginf=-1e300)
        known, first = self._forms.setdefault(numbers.shape, []), float(numbers.flat[0])
        within = 2 * SAME * (abs(first) + 1)
        start, stop = bisect_left(known, (first - within,)), bisect_right(known, (first + within, math.inf))
        for _, form, others in known[start:stop]:
            if (np.abs(numbers - others) <= SAME * (np.abs(others) + 1)).all():
                return numbers.shape, form
        insort(known, (first, len(known), numbers))
        return numbers.shape, len(known) - 1


def subformulas(formula: Formula, path: Path = ()) -> Iterator[tuple[Path, Formula]]:
    """Yield a formula and all its parts, each with its path: the places where a mistake can be made."""
    yield path, formula
    for n, part in enumerate(parts(formula)):
        yield from subformulas(part, (*path, n))


def replace_part(formula: Formula, path: Path, part: Formula) -> Formula:
    """Return a formula whose part at a path is replaced, as a mistake does."""
    if not path:
        return part
    first, *rest = path
    pieces = parts(formula)
    return with_parts(formula, [*replace_item(pieces, first, replace_part(pieces[first], tuple(rest), part))])


def replace_item(items: tuple[Formula, ...], n: int, *instead: Formula) -> tuple[Formula, ...]:
    """Return terms or factors with others in the place of one of them, or without it."""
    return (*items[:n], *instead, *items[n + 1 :])


EquationEdits = Callable[[Scene, Assignment], Iterator[EquationEdit]]


def of_each_part(edits: Callable[[Scene, Assignment, Path, Formula], Iterator[EquationEdit]]) -> EquationEdits:
    """Decorate a function that yields the mistakes in one part of an equation: apply it to every part."""

    def edits_of_equation(scene: Scene, equation: Assignment) -> Iterator[EquationEdit]:
        for path, node in subformulas(equation.right):
            for edit in edits(scene, equation, path, node):
                yield replace(edit, right=replace_part(equation.right, path, edit.right))

    return edits_of_equation
