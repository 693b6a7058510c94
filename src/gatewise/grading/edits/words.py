"""Names of quantities in the words of a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gatewise.errors import join_names
from gatewise.gates import LETTERS, NAMES
from gatewise.grading.edits.edit import EquationEdit
from gatewise.render import text
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.symbols import C_PREV, H_PREV, C, H, M, X, Z

MOST_NAMES = 5  # of a list in a sentence
GATE_NAMES = dict(zip(LETTERS, (name.replace("_", " ") for name in NAMES), strict=True))
_NAMED = {
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
    if symbol in _NAMED:
        return f"{_NAMED[symbol]} {name}"
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
    return clause, general, f", for k = {join_names(_unique(gates), 'and', most=MOST_NAMES)}"


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
