"""Which section of a walkthrough shows a quantity, and in which order a program comes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from gatewise.gates import LETTERS, NAMES, index
from gatewise.symbolic.formula import COMPUTED, DH, Symbol
from gatewise.symbolic.program import Assignment, Program

BySection = dict[str, tuple[Assignment, ...]]


def forward_by_section(assignments: Iterable[Assignment]) -> BySection:
    """Return the equations of a step forward by the key of their section, in the order of the program."""
    return _group_by_section(assignments, _forward_section)


def backward_by_section(assignments: Iterable[Assignment]) -> BySection:
    """Return the equations of a step backward by the key of their section, in the order of the program."""
    return _group_by_section(assignments, _backward_section)


@lru_cache(256)
def of_section(program: Program, key: str) -> tuple[Assignment, ...]:
    """Return the equations that a walkthrough's section shows; none, where it is about something else."""
    if key == "forward":  # all of them, in brief
        return program.forward
    return (forward_by_section(program.forward) | backward_by_section(program.backward)).get(key, ())


def _group_by_section(assignments: Iterable[Assignment], key: Callable[[Assignment], str]) -> BySection:
    sections: dict[str, list[Assignment]] = {}
    for line in assignments:
        sections.setdefault(key(line), []).append(line)
    return {name: tuple(equations) for name, equations in sections.items()}


def _forward_section(line: Assignment) -> str:
    base, sub = line.left.base, line.left.sub
    if base == "z":
        return "combined_input"
    if base in ("u", "w") or (base in ("μ", "v") and sub in ("u", "w")):
        return "sums"
    if k := _gate_of(line.left):
        return NAMES[index(k)]
    return "cell_state" if base in ("c", "c_raw", "c_new") else "hidden_state"


def _backward_section(line: Assignment) -> str:
    left = line.left
    if line.sums:
        return "d_weights"
    if left == DH:
        return "arriving"
    if left.base in ("h", "h_new", "h_raw") or (left.base == "m" and left.d):
        return "d_hidden_state"
    if left.base in ("z", "x", "h_prev", "c_prev"):
        return "d_previous"
    if left.base in ("u", "w", "m") or (left.base == "n" and left.sub[0] in "uw"):
        return "d_sums"
    if left.base == "o" or (left.base not in LETTERS and _gate_of(left)):
        return f"d_{NAMES[index(_gate_of(left) or left.sub[:1])]}"
    return "d_cell_state"


def _gate_of(symbol: Symbol) -> str:
    """Return the letter of the gate that a quantity belongs to; nothing where it belongs to none."""
    letter = symbol.base if symbol.sub == COMPUTED else symbol.sub.partition(",")[0] or symbol.base
    return letter if len(letter) == 1 and letter in LETTERS else ""
