"""What quantities are called where a mistake is told."""

from __future__ import annotations

import re

from gatewise.gates import LETTERS, NAMES
from gatewise.render import text
from gatewise.symbolic.formula import Formula, Symbol
from gatewise.symbolic.program import PARAMETER, Program
from gatewise.symbolic.symbols import C_PREV, H_PREV, C, H, M, X, Z

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


def gate_of(symbol: Symbol) -> str:
    """Return the letter of the gate that a symbol belongs to, or an empty string."""
    if symbol.base in LETTERS and not symbol.sub:
        return symbol.base
    letter = symbol.sub.partition(",")[0][-1:]
    return letter if letter in LETTERS else ""


def neutral(told: str, gate: str) -> str:
    """Return words about the equation of one gate as they are for the same equation of any gate, k."""
    if not gate:
        return told
    told = told.replace(f"the {GATE_NAMES[gate]} {gate}", "the gate k")
    return re.sub(rf"(?<![A-Za-z])((?:d?[A-Za-zγ]_|d)?){gate}(?![A-Za-z])", r"\1k", told)


def the(symbol: Symbol) -> str:
    """Return what a quantity is called in a sentence: the forget gate f, the weights W_f, the gradient dc."""
    shown = text.formula(symbol)
    if symbol in _NAMED:
        return f"{_NAMED[symbol]} {shown}"
    if symbol.d:
        return f"the gradient {shown}"
    named = {"a": "the pre-activation", "W": "the weights", "U": "the weights", "b": "the bias", "p": "the peephole"}
    return f"{named[symbol.base]} {shown}" if symbol.base in named and symbol.sub else shown


def written(formula: Formula) -> str:
    """Return a formula as it stands in a sentence."""
    return the(formula) if isinstance(formula, Symbol) else text.formula(formula)


def parameters(program: Program) -> frozenset[Symbol]:
    """Return the symbols of a program's parameters."""
    return frozenset(program.of_kind(PARAMETER))
