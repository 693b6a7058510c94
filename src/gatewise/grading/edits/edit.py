"""A mistake as an edit of an equation: one part of its formula is replaced, and the words that say so."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import join_names
from gatewise.gates import LETTERS, NAMES
from gatewise.render import text
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import (
    C_PREV,
    COLUMNS,
    FEATURES,
    H_PREV,
    RECURRENT,
    C,
    Formula,
    H,
    M,
    Symbol,
    X,
    Z,
    parts,
    with_parts,
)
from gatewise.symbolic.program import Assignment, Program

SCALES = (1.0, 1.0, 1e3)  # of the numbers that right sides are compared for: the last is beyond any clip
FINGERPRINT_TOLERANCE = (
    1e-10  # of a number, and of its scale squared: right sides whose numbers differ by less are the same
)
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
    fingerprint: object = None  # shared by right sides that give the same numbers


@dataclass(frozen=True)
class EditContext:
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
    def _probe_values(self) -> list[dict[Symbol, Array]]:
        """Numbers for all symbols: from 0 to 1, of either sign (but for variances), and so large that clips show."""
        rng, units = np.random.default_rng(0), self.recurrent + self.program.form.projected
        sizes = {RECURRENT: self.recurrent, COLUMNS: self.columns, FEATURES: self.columns - self.recurrent}
        shapes = {symbol: [sizes.get(axis, units) for axis in axes] for symbol, axes in self.program.axes.items()}
        return [
            {s: scale * rng.uniform(least if shape or s.d else 0.0, 1.0, shape) for s, shape in shapes.items()}
            for least, scale in zip((0.0, -1.0, -1.0), SCALES, strict=True)
        ]

    @cached_property
    def _fingerprints(self) -> dict[tuple[int, ...], list[tuple[float, int, Array]]]:
        """The numbers that right sides gave, by their shape: sorted by the first number, each with its number."""
        return {}

    def fingerprint(self, right: Formula) -> Hashable:
        """Return a value that right sides share if they give the same numbers, but for rounding.

        If sizes disagree, it is the right side.
        """
        try:
            with np.errstate(all="ignore"):
                found = np.array([evaluate(right, point) for point in self._probe_values], np.float64)
        except ValueError:
            return right
        found[-1] /= SCALES[-1] ** 2
        numbers = np.nan_to_num(found, nan=1e299, posinf=1e300, neginf=-1e300)
        known, first = self._fingerprints.setdefault(numbers.shape, []), float(numbers.flat[0])
        within = 2 * FINGERPRINT_TOLERANCE * (abs(first) + 1)
        start, stop = bisect_left(known, (first - within,)), bisect_right(known, (first + within, math.inf))
        for _, known_number, others in known[start:stop]:
            if (np.abs(numbers - others) <= FINGERPRINT_TOLERANCE * (np.abs(others) + 1)).all():
                return numbers.shape, known_number
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


EquationEdits = Callable[[EditContext, Assignment], Iterator[EquationEdit]]


def for_each_subformula(
    edits: Callable[[EditContext, Assignment, Path, Formula], Iterator[EquationEdit]],
) -> EquationEdits:
    """Decorate a function that yields the mistakes in one part of an equation: apply it to every part."""

    def edits_of_equation(context: EditContext, equation: Assignment) -> Iterator[EquationEdit]:
        for path, node in subformulas(equation.right):
            for edit in edits(context, equation, path, node):
                yield replace(edit, right=replace_part(equation.right, path, edit.right))

    return edits_of_equation


MAX_NAMES = 5  # of a list in a sentence
GATE_NAMES = dict(zip(LETTERS, (name.replace("_", " ") for name in NAMES), strict=True))
_FULL_NAMES = {
    C: "the new cell state",
    C_PREV: "the old cell state",
    H: "the new hidden state",
    H_PREV: "the old hidden state",
    M: "the hidden state before its projection",
    X: "the input",
    Z: "the combined input",
} | {Symbol(letter): f"the {name}" for letter, name in GATE_NAMES.items()}

_OF_GATES = {
    "a": "the pre-activation",
    "W": "the weights",
    "U": "the weights",
    "b": "the bias",
    "p": "the peephole",
    "γ": "the gain",
}


def gate_of(symbol: Symbol) -> str:
    """Return the letter of the gate that a symbol belongs to, to describe a mistake in it; an empty string if none."""
    if symbol.base in LETTERS and not symbol.sub:
        return symbol.base
    letter = symbol.sub.partition(",")[0][-1:]
    return letter if letter in LETTERS else ""


@lru_cache(1 << 14)
def for_any_gate(clause: str, gate: str) -> str:
    """Return the words of a mistake in one gate's equation with the letter k for that gate."""
    if not gate:
        return clause
    clause = clause.replace(f"the {GATE_NAMES[gate]} {gate}", "the gate k")
    return re.sub(rf"(?<![A-Za-z])((?:d?[A-Za-zγ]_[uw]?|d)?){gate}(?![A-Za-z])", r"\1k", clause)


def full_name(symbol: Symbol) -> str:
    """Return a quantity's name in the sentence about a mistake: the forget gate f, the weights W_f, the gradient dc."""
    name = text.formula(symbol)
    if symbol in _FULL_NAMES:
        return f"{_FULL_NAMES[symbol]} {name}"
    if symbol.d:
        return f"the gradient {name}"
    return f"{_OF_GATES[symbol.base]} {name}" if symbol.base in _OF_GATES and symbol.sub else name


def used_clause(symbol: Symbol) -> str:
    """Return a clause about a mistake: the bias b_f is used, the weights W_f are used."""
    name = full_name(symbol)
    return f"{name} {'are' if name.startswith('the weights') else 'is'} used"


def family_key(edit: EquationEdit, left: Symbol, backward: bool) -> tuple[str, bool, bool]:
    """Return the key that all edits of one mistake share: words, direction, and whether they are of gates."""
    gate = gate_of(left)
    return for_any_gate(edit.words, gate), backward, bool(gate)


def family_words(edits: Sequence[tuple[EquationEdit, Symbol]]) -> tuple[str, list[str], str]:
    """Return the words of one mistake, the names of its equations' left sides, and what follows the words.

    In the words ``{}`` stands for the names. If the edits are of several gates, k is the letter of any of them.
    """
    clause = edits[0][0].words
    names = [text.formula(left) for _, left in edits]
    if all(edit.words == clause for edit, _ in edits):
        return clause, _unique(names), ""
    gates = [gate_of(left) for _, left in edits]
    general = _unique(map(for_any_gate, names, gates))
    clause = for_any_gate(clause, gates[0])
    if len(general) * len(_unique(gates)) != len(_unique(names)):
        return clause, _unique(names), ", where k is the gate of each"
    return clause, general, f", for k = {join_names(_unique(gates), 'and', most=MAX_NAMES)}"


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
