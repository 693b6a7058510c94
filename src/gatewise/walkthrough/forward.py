"""One step forward, in sections: from the input to the hidden state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatewise.gates import NAMES
from gatewise.records.edited_steps import effects_of
from gatewise.symbolic.formula import C_PREV, COLUMNS, FEATURES, H_PREV, RECURRENT, UNITS, C, H, Symbol, X, Z
from gatewise.symbolic.program import Assignment
from gatewise.walkthrough import grouping
from gatewise.walkthrough.bound import BoundStep
from gatewise.walkthrough.parts import Block, Expanded, NumberTable, Section, Sentence
from gatewise.walkthrough.sentences import (
    INPUT,
    SUMS,
    UnitNames,
    combined,
    dropout_masks_of,
    edits_sentence,
    quantity_sentences,
)

TITLES = {name: name.replace("_", " ").capitalize() for name in NAMES}
PURPOSES = {
    "input_gate": "how much of the candidate each unit lets in",
    "forget_gate": "how much of the old cell state each unit keeps",
    "candidate": "what each unit would write into its cell state",
    "output_gate": "how much of its memory each unit reveals",
}
Equations = tuple[Assignment, ...]


def sections(bound: BoundStep) -> list[Section]:
    """Return the walkthrough's sections of a step forward, in the order in which its program comes to them."""
    makers: dict[str, Callable[[BoundStep, Equations], Section]] = {
        "combined_input": _combined_input_section,
        "sums": _sums_section,
        "cell_state": _cell_state_section,
        "hidden_state": _hidden_state_section,
    }
    with np.errstate(all="ignore"):
        sections_of_step = [_input_section(bound)]
        for key, equations in grouping.forward_by_section(bound.program.forward).items():
            sections_of_step.append(
                makers[key](bound, equations) if key in makers else _gate_section(bound, key, equations)
            )
    return sections_of_step


def _input_section(bound: BoundStep) -> Section:
    step, names = bound.step, bound.names
    blocks: list[Block] = [NumberTable(("The input ", X), names[FEATURES], ((X, tuple(step.x)),))]
    h, c = (H_PREV, tuple(step.previous.h)), (C_PREV, tuple(step.previous.c))
    if bound.p.projection is None:
        blocks.append(NumberTable("The previous hidden state and cell state", names[UNITS], (h, c)))
    else:
        blocks.append(NumberTable("The previous hidden state", names[RECURRENT], (h,)))
        blocks.append(NumberTable("The previous cell state", names[UNITS], (c,)))
    blocks.append(Sentence(INPUT))
    return bound.section("input", "The input and the previous state", blocks)


def _combined_input_section(bound: BoundStep, equations: Equations) -> Section:
    blocks: list[Block] = [Sentence(words) for words in dropout_masks_of(bound.program)]
    blocks += bound.equations(equations)
    if bound.form.apart:
        return bound.section("combined_input", "The input and the previous hidden state under dropout", blocks)
    blocks.append(NumberTable("", bound.names[COLUMNS], ((Z, tuple(bound.scope[Z])),)))
    blocks.append(Sentence(combined(bound.program, bound.p.recurrent_size, bound.p.input_size)))
    return bound.section("combined_input", "The combined input: what every gate sees", blocks)


def _sums_section(bound: BoundStep, equations: Equations) -> Section:
    blocks = bound.equations(equations)
    for line in equations:
        base, k = line.left.base, line.left.sub
        if bound.expanded and base in ("u", "w") and k:
            gate, part = NAMES["ifgo".index(k)], "recurrent" if base == "u" else "input"
            blocks += [Expanded(line.left, n, bound.step.terms(gate, n, part=part)) for n in bound.units]
    blocks.append(Sentence(SUMS))
    return bound.section("sums", "The recurrent sums u and the input sums w of all gates", blocks)


def _gate_section(bound: BoundStep, name: str, equations: Equations) -> Section:
    """Return the walkthrough's section of one gate: its equations, products, edits, and their meaning."""
    k = equations[-1].left.base
    coupled = k == bound.p.variant.coupled
    blocks: list[Block] = []
    if bound.dropout.weight is not None and not coupled:
        matrix = Symbol("U" if bound.form.apart else "W", k)
        blocks.append(Sentence((matrix, " is shown with its DropConnect mask applied.")))
    blocks += bound.equations(equations)
    if not coupled:
        blocks += bound.terms(Symbol("a", k), name)
    return _explained_section(bound, name, f"{TITLES[name]}: {PURPOSES[name]}", blocks, k, bound.units, bound.named)


def _cell_state_section(bound: BoundStep, equations: Equations) -> Section:
    """Return the walkthrough's section of the new cell state: equations, products, edits, meaning."""
    blocks = [*bound.equations(equations), *bound.terms(C, "cell_state")]
    title = "The new cell state: what is kept and what is new"
    return _explained_section(bound, "cell_state", title, blocks, "c", bound.units, bound.named)


def _hidden_state_section(bound: BoundStep, equations: Equations) -> Section:
    """Return the walkthrough's section of the new hidden state; if projected, of its projection's entries."""
    blocks = bound.equations(equations)
    units: Sequence[int] = bound.units
    name: UnitNames = bound.named
    if bound.p.projection is None:
        blocks += bound.terms(H, "hidden_state")
    else:
        units, name = range(bound.p.recurrent_size), "h{}".format
        if bound.expanded:  # a projected entry takes from every unit: all are expanded
            blocks += [Expanded(H, k, bound.step.terms("hidden_state", k), RECURRENT) for k in units]
    title = "The new hidden state: what the cell outputs"
    return _explained_section(bound, "hidden_state", title, blocks, "h", units, name)


def _explained_section(
    bound: BoundStep, key: str, title: str, blocks: list[Block], letter: str, units: Sequence[int], names: UnitNames
) -> Section:
    """Return the walkthrough's section of a quantity: its blocks, what edits did to it, and what its numbers mean."""
    if (effect := effects_of(bound.M).get(letter)) is not None:
        sentence = edits_sentence(effect, bound.M.before_edits(letter), units, names)
        blocks += [Sentence(sentence)] if sentence else []
    blocks.append(Sentence(quantity_sentences(bound.program)[key].describe(bound.scope, units, names)))
    return bound.section(key, title, blocks)
