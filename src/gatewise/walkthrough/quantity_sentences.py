"""Sentences about a program's quantities, with the formulas that fill them.

The sentences themselves are data, in `gatewise.walkthrough.sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.diagnostics.gradient_check import Compared
from gatewise.gates import NAMES, index
from gatewise.margins import TIE, first_largest
from gatewise.records.edited_steps import EditEffect
from gatewise.showing import counted
from gatewise.symbolic.evaluation import Env, evaluate
from gatewise.symbolic.formula import Formula, Product, Quotient, Sum, Symbol, less, times
from gatewise.symbolic.program import Program
from gatewise.symbolic.symbols import (
    C_PREV,
    D_H,
    D_X,
    DC_NEXT,
    DC_PREV,
    DH,
    DH_NEXT,
    DY,
    H_PREV,
    K_C,
    C,
    F,
    G,
    H,
    I,
    M,
    O,
    X,
    d,
)
from gatewise.walkthrough import sentences as patterns
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Words, WorkedEquation
from gatewise.walkthrough.sentences import SentencePattern, fill_slots

UnitNames = Callable[[int], str]


@dataclass(frozen=True)
class QuantitySentence:
    """A sentence about the units of a program.

    The variables in its pattern are formulas of symbols of the program; ``extreme`` is compared where there are many
    units. It is `of` a vector, whose entries are the units'.
    """

    pattern: SentencePattern
    variables: Mapping[str, Formula]
    of: Symbol

    def describe(self, values: Env, units: Sequence[int], names: UnitNames) -> str:
        """Return the walkthrough's sentence about each unit, or of many units, about the least and the greatest.

        `values` are those of the program's symbols in one step; `names` returns the name of a unit.
        """
        variables = {name: np.asarray(evaluate(formula, values)) for name, formula in self.variables.items()}

        def describe_unit(k: int) -> str:
            entries = {name: array if array.ndim == 0 else array[k] for name, array in variables.items()}
            return self.pattern.fill(**entries)

        if len(units) <= patterns.MOST:
            listed = "; ".join(f"{_subject(names(k))} {describe_unit(k)}" for k in units)
            text = fill_slots(patterns.EACH["listed"], {"listed": listed})
            is_opening = self.pattern.begins and text.startswith("unit ")
            return text[0].upper() + text[1:] if is_opening else text
        compared, slots = variables["extreme"], {"count": len(units), "what": self.pattern.quantity}
        if not np.isfinite(compared).all():
            bad = int(np.flatnonzero(~np.isfinite(compared))[0])
            return fill_slots(patterns.EACH["unfinite"], slots | {"name": names(bad)})
        least, most = first_largest(-compared), first_largest(compared)
        if least == most:
            return fill_slots(patterns.EACH["alike"], slots | {"name": names(least), "said": describe_unit(least)})
        slots |= {"most": names(most), "most_said": describe_unit(most), "least": names(least)}
        return fill_slots(patterns.EACH["extremes"], slots | {"least_said": describe_unit(least)})


def _subject(name: str) -> str:
    """Return the name of a unit as the subject of a sentence: unit 0, or unit latch."""
    return name if re.match(r"unit |h\d+$", name) else f"unit {name}"


# Sentences that are the same whatever the numbers are.

INPUT: Words = (
    X,
    " is the new input, ",
    H_PREV,
    " is the previous output, and ",
    C_PREV,
    " is the previous memory.",
)
FROM_LATER = " from the next step, or from the loss if there is none."
ARRIVING: Words = (
    DH,
    " is the gradient that arrives at the hidden state, ",
    DC_NEXT,
    " the one at the cell state; both come",
    FROM_LATER,
)
ARRIVING_AT_OUTPUT: Words = (
    DY,
    " is the gradient of the loss with respect to the output of this step itself; ",
    DH_NEXT,
    " and ",
    DC_NEXT,
    " come",
    FROM_LATER,
)


SUMS: Words = ("Layer norm brings ", Symbol("u"), " and ", Symbol("w"), " separately to mean 0 and variance 1.")


def masks(program: Program) -> list[Words]:
    """Return a sentence for each dropout mask of a program."""
    pairs = ((mask, of) for mask, of in ((D_H, H_PREV), (D_X, X)) if mask in program.axes)
    return [(mask, " is the dropout mask on ", of, ".") for mask, of in pairs]


def combined(program: Program, recurrent: int, inputs: int) -> Words:
    """Return the walkthrough's sentence about the entries of the combined input, in a cell of these sizes."""
    first, last = (n if n > 1 else "" for n in (recurrent, inputs))
    h, x = (" under its dropout mask" if mask in program.axes else "" for mask in (D_H, D_X))
    of_h = (f"The first {first} entries are " if first else "The first entry is ", H_PREV)
    of_x = (f"{h}, the last {last} are " if last else f"{h}, the last is ", X)
    return (*of_h, *of_x, f"{x}.")


# Of each unit.


def passed_on(program: Program, symbol: Symbol) -> Formula:
    """Return the factors of a gradient behind the first, as a product: the share of the first that it passes on."""
    right = program.assignments[symbol].right
    assert isinstance(right, Product)
    return times(*right.factors[1:])


def along_the_cell(program: Program) -> Formula:
    """Return the term of the cell state's gradient that comes from the next step, not through this step's h."""
    right = program.assignments[d(program.form.cell)].right
    assert isinstance(right, Sum)
    return right.terms[0]


@lru_cache(256)
def quantity_sentences(program: Program) -> Mapping[str, QuantitySentence]:
    """Return a walkthrough's sentences about a program's units, by the key of the section that they are in."""
    form = program.form
    gates = patterns.GATES | {"o": patterns.output_gate(form.variant.activation("c").name)}
    sentences = {
        NAMES[index(k)]: QuantitySentence(gates[k], {"value": Symbol(k), "extreme": Symbol(k)}, Symbol(k))
        for k in "ifgo"
    }
    raw = program.assignments[form.raw_cell].right
    assert isinstance(raw, Sum)
    old, new = raw.terms
    variables: dict[str, Formula] = {"before": C_PREV, "value": C, "extreme": C, "old": old, "new": new}
    if form.variant.cell_clip is not None:
        variables |= {"raw": form.raw_cell, "clipped": form.cell}
    if "zoneout_cell" in form.dropout:
        variables["kept"] = K_C
    pattern = patterns.cell_state(form.variant.cell_clip, "zoneout_cell" in form.dropout)
    sentences["cell_state"] = QuantitySentence(pattern, variables, C)
    sentences["hidden_state"] = QuantitySentence(patterns.HIDDEN_STATE, {"value": H, "extreme": H}, H)
    for k in form.weighted_gates:
        before, slope = d(form.computed(Symbol(k))), passed_on(program, d(Symbol("a", k)))
        if form.variant.gate_clip is not None:
            slope = times(slope, passed_on(program, d(form.unclipped(k))))
        variables = {"before": before, "slope": slope, "extreme": times(before, slope)}
        sentences[f"d_{NAMES[index(k)]}"] = QuantitySentence(patterns.GATES_BACKWARD[k], variables, d(Symbol("a", k)))
    total, later = d(form.cell), along_the_cell(program)
    variables = {"value": total, "extreme": total, "later": later, "through": less(total, later)}
    sentences["d_cell_state"] = QuantitySentence(patterns.CELL_BACKWARD, variables, total)
    arrived = d(form.raw_cell)
    share = Quotient(DC_PREV, arrived)
    variables = {"arrived": arrived, "passed": DC_PREV, "share": share, "extreme": DC_PREV}
    sentences["d_previous"] = QuantitySentence(patterns.PREVIOUS_BACKWARD, variables, DC_PREV)
    return sentences


def moment_sentence(program: Program) -> QuantitySentence:
    """Return the sentence about a unit in one step: its memory, and its output before any projection."""
    output = M if program.form.projected else H
    return QuantitySentence(patterns.MOMENT, {"i": I, "f": F, "g": G, "o": O, "before": C_PREV, "c": C, "h": output}, C)


SHARE = Symbol("value")  # of a gradient, that reaches an earlier step; no symbol of a program
CARRIED_SENTENCE = QuantitySentence(patterns.CARRIED, {"value": SHARE, "extreme": SHARE}, C)


def carried_share(last: str, first: str, share: Array, units: Sequence[int], names: UnitNames) -> str:
    """Return the sentence about the share of a gradient that reaches the first step along the cell state alone."""
    opening = fill_slots(patterns.CARRIED_FROM, {"last": last, "first": first})
    return opening + CARRIED_SENTENCE.describe({SHARE: share}, units, names)


def edits_sentence(effect: EditEffect, computed: Array, units: Sequence[int], names: UnitNames) -> str:
    """Return the walkthrough's sentence about a quantity's edited units: the edits, the values before and after."""
    after = effect(computed)[0]

    def describe_edits(k: int) -> str:
        """Return the edits of one unit in words, with its value before and after them."""
        how = ["patched from another run" if effect.patched[0, k] else "set"] if effect.fixed[0, k] else []
        if effect.scale[0, k] != 1 and not how:
            how.append(f"scaled by {four_decimals(effect.scale[0, k])}")
        low, high = effect.low[0, k], effect.high[0, k]
        if np.isfinite(low) and np.isfinite(high):
            how.append(f"clamped between {four_decimals(low)} and {four_decimals(high)}")
        elif np.isfinite(low):
            how.append(f"clamped to at least {four_decimals(low)}")
        elif np.isfinite(high):
            how.append(f"clamped to at most {four_decimals(high)}")
        was, now = four_decimals(computed[0, k]), four_decimals(after[k])
        return f"{names(k)} was {' and '.join(how)}, {f'and stays {now}' if was == now else f'from {was} to {now}'}"

    touched = [k for k in units if effect.touched[0, k]]
    rest = len(touched) - patterns.MOST
    more = [f"and {counted(rest, 'more unit')} edited"] if rest > 0 else []
    return f"Edited: {'; '.join([*(describe_edits(k) for k in touched[: patterns.MOST]), *more])}." if touched else ""


def four_decimals(value: float) -> str:
    """Return a number with four decimals."""
    return number(value, 4)


def largest_weight_gradient(equations: Sequence[WorkedEquation], names: Mapping[str, tuple[str, ...]]) -> str:
    """Return the walkthrough's sentence about the weight with the largest gradient."""
    largest: tuple[float, dict[str, Any]] = (0.0, {})
    for equation in equations:
        sizes = np.abs(equation.value)
        if not np.isfinite(sizes).all():
            return patterns.WEIGHTS["unfinite"]
        at = np.unravel_index(first_largest(sizes), sizes.shape)
        if sizes[at] > (1 + TIE) * largest[0]:
            unit, column = names[equation.over][at[0]], names[equation.across][at[1]]
            gate_of = NAMES[index(equation.left.sub)].replace("_", " ")
            slots = {"column": column, "gate": gate_of, "unit": unit, "value": equation.value[at]}
            largest = (float(sizes[at]), slots)
    return fill_slots(patterns.WEIGHTS["largest"], largest[1]) if largest[1] else patterns.WEIGHTS["none"]


def gradient_check_sentence(comparisons: Sequence[Compared]) -> str:
    """Return the walkthrough's sentence about the agreement of gradients with central differences."""
    if not all(np.isfinite(comparison.error) for comparison in comparisons):
        return "Not all numbers are finite, so there is nothing to compare."
    apart = [comparison.name for comparison in comparisons if not comparison.agrees]
    if apart:
        return (
            f"The gradients with respect to {', '.join(apart)} differ from central differences: a nonlinearity or a"
            " clip has a kink nearby, or the loss curves too strongly for differences of this size."
        )
    sampled = "" if all(comparison.entries == comparison.of for comparison in comparisons) else "sampled "
    errors = [comparison.relative for comparison in comparisons if comparison.visible]
    if not errors:
        return f"The {sampled}gradients are too small for central differences to resolve, and consistent with them."
    small = ", ".join(comparison.name for comparison in comparisons if not comparison.visible and comparison.largest)
    more = f" ({small}: too small for differences to resolve)" if small else ""
    within = f"within {max(errors):.1e} of each array's largest entry"
    return f"The {sampled}gradients agree with central differences {within}{more}."
