"""The sentences of a walkthrough: wordings as data, each with its condition, and the formulas that fill them."""

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
from gatewise.symbolic.formula import (
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
    ONE,
    ZERO,
    C,
    F,
    Formula,
    FunctionCall,
    G,
    H,
    Holds,
    I,
    M,
    Number,
    O,
    Product,
    Quotient,
    Sum,
    Symbol,
    X,
    add,
    d,
    less,
    times,
)
from gatewise.symbolic.program import Program
from gatewise.walkthrough.numbers import number, percent
from gatewise.walkthrough.parts import Words, WorkedEquation

SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
FORMATS: Mapping[str, Callable[[Any], str]] = {"number": lambda value: number(value, 4), "percent": percent}

# Up to how many units each has a sentence, and the sentences about more.
MAX_UNITS = 4
EACH = {
    "listed": "{listed}.",
    "unfinite": "Of {count} units at least one has no finite value: {name} ({what}).",
    "alike": "All {count} units are alike: {name} {said} ({what}).",
    "extremes": "Of {count} units, {most} {most_said}, the most, and {least} {least_said}, the least ({what}).",
}


@dataclass(frozen=True)
class Wording:
    """Words, and their condition: a formula that is not 0, or none."""

    words: str
    when: Formula | None = None

    def holds(self, values: Mapping[Symbol, Any]) -> bool:
        """Return whether the condition holds for values of its variables."""
        return self.when is None or bool(evaluate(self.when, values))


@dataclass(frozen=True)
class SentencePattern:
    """A sentence about one unit: of each part, the first wording whose condition holds."""

    parts: tuple[tuple[Wording, ...], ...]
    quantity: str = ""  # the name of the values that are compared where there are many units
    begins: bool = True  # whether a sentence begins with it

    def fill(self, **values: Any) -> str:
        """Return a walkthrough's sentence about one unit: of each part the first wording that holds for the values."""
        named = {Symbol(name): value for name, value in values.items()}
        with np.errstate(all="ignore"):
            wordings = (next((wording for wording in cases if wording.holds(named)), None) for cases in self.parts)
            return "".join(fill_slots(wording.words, values) for wording in wordings if wording is not None)


def fill_slots(words: str, values: Mapping[str, Any]) -> str:
    r"""Return the words of a sentence with values in their slots.

    Examples
    --------
    >>> fill_slots("{name} keeps {share:percent}.", {"name": "latch", "share": 0.5})
    'latch keeps 50.0\xa0%.'
    """
    return SLOT.sub(lambda slot: FORMATS.get(slot[2], str)(values[slot[1]]), words)


# Conditions; a product of some holds where all of them do.


def _not(condition: Formula) -> Formula:
    return less(ONE, condition)


def _any(*conditions: Formula) -> Formula:
    return Holds(add(*conditions), ">", ZERO)


def _finite(value: Formula) -> Formula:
    return Holds(less(value, value), "≤", ZERO)


def _is_share(value: Formula) -> Formula:
    return times(Holds(ZERO, "≤", value), Holds(value, "≤", ONE))


# Forward.

_VALUE = Symbol("value")
_SHARE = _is_share(_VALUE)
_IS_NAN = Wording("is NaN, because something that it is computed from is NaN", _not(Holds(_VALUE, "≤", _VALUE)))
_CLOSED = Wording(" (its gate is nearly closed)", times(_SHARE, Holds(_VALUE, "≤", Number(0.1))))
_OPEN = Wording(" (its gate is nearly open)", times(_SHARE, Holds(Number(0.9), "≤", _VALUE)))


def _gate_pattern(share: str, multiple: str, quantity: str) -> SentencePattern:
    """Return the pattern of the sentence about a gate: its share or multiple, and if it is nearly closed or open."""
    return SentencePattern(
        ((_IS_NAN, Wording(share, _SHARE), Wording(f"{multiple} {{value:number}}")), (_CLOSED, _OPEN)), quantity
    )


GATES = {
    "f": _gate_pattern(
        "keeps {value:percent} of its old cell state", "multiplies its old cell state by", "forget gate"
    ),
    "i": _gate_pattern("lets in {value:percent} of its candidate", "multiplies its candidate by", "input gate"),
    "g": SentencePattern(
        (
            (
                _IS_NAN,
                Wording("proposes to raise its cell state ({value:number})", Holds(_VALUE, ">", ZERO)),
                Wording("proposes to lower its cell state ({value:number})", Holds(_VALUE, "<", ZERO)),
                Wording("proposes no change of its cell state ({value:number})"),
            ),
        ),
        "candidate",
    ),
}
HIDDEN_STATE = SentencePattern(((Wording("outputs {value:number}"),),), "new hidden state")


def output_gate(activation: str) -> SentencePattern:
    """Return the pattern of the sentence about an output gate; its share is of the cell state under a nonlinearity."""
    share = f"outputs {{value:percent}} of the {activation} of its cell state"
    return _gate_pattern(share, "multiplies its output by", "output gate")


def cell_state(clip: float | None, zoneout: bool) -> SentencePattern:
    """Return the pattern of the sentence about a cell state: its change, and how much is old and new."""
    parts = [(Wording("goes from {before:number} to {value:number}: {old:number} is kept, {new:number} is new"),)]
    if clip is not None:
        beyond = Holds(FunctionCall("abs", (Symbol("raw"),)), ">", Number(clip))
        parts.append((Wording(", clipped to {clipped:number}", beyond),))
    if zoneout:
        parts.append((Wording(", and zoneout keeps {kept:percent} of the old cell state"),))
    return SentencePattern(tuple(parts), "new cell state")


# Backward.

_BEFORE, _SLOPE, _ARRIVED, _PASSED = (Symbol(name) for name in ("before", "slope", "arrived", "passed"))


def _gate_gradient_pattern(change: str) -> SentencePattern:
    """Return the pattern of the sentence about a gate's gradient: if `change` raises or lowers the loss."""
    known = times(_finite(_BEFORE), _finite(_SLOPE))
    unknown = "has no finite gradient, because something that it is computed from is not finite"
    return SentencePattern(
        (
            (
                Wording(unknown, _not(known)),
                Wording("passes on {slope:percent} of its gradient, {before:number}", _is_share(_SLOPE)),
                Wording("passes on {slope:number} times its gradient, {before:number}"),
            ),
            (
                Wording("", _not(known)),
                Wording(f" ({change} raises the loss)", Holds(_BEFORE, ">", ZERO)),
                Wording(f" ({change} lowers the loss)", Holds(_BEFORE, "<", ZERO)),
                Wording(f" ({change} does not change the loss)"),
            ),
        ),
        "gradient with respect to the pre-activation",
    )


GATES_BACKWARD = {
    k: _gate_gradient_pattern("a larger candidate" if k == "g" else "opening this gate further") for k in "ifgo"
}
CELL_BACKWARD = SentencePattern(
    (
        (
            Wording(
                "receives {value:number}: {later:number} along the cell state and {through:number} through this"
                " step's h"
            ),
        ),
    ),
    "gradient with respect to the cell state",
)
PREVIOUS_BACKWARD = SentencePattern(
    (
        (
            Wording(
                "passes on {passed:number} to the previous cell state",
                _any(Holds(FunctionCall("abs", (_ARRIVED,)), "≤", ZERO), _not(_finite(Symbol("share")))),
            ),
            Wording(
                "passes on {share:percent} of its gradient, {arrived:number}, to the previous cell state",
                _is_share(Symbol("share")),
            ),
            Wording("passes on {share:number} times its gradient, {arrived:number}, to the previous cell state"),
        ),
    ),
    "gradient with respect to the previous cell state",
)
CARRIED = SentencePattern(
    (
        (
            Wording("carries {value:percent}", _SHARE),
            Wording("carries {value:number} times as much"),
        ),
        (
            Wording(" (it survives)", Holds(Number(0.5), "≤", FunctionCall("abs", (_VALUE,)))),
            Wording(" (it fades)", Holds(FunctionCall("abs", (_VALUE,)), "≤", Number(0.1))),
        ),
    ),
    "product over the later steps",
    begins=False,
)
CARRIED_FROM = "This share of a gradient at the cell state of {last} reaches the cell state of {first}: "
WEIGHTS = {
    "unfinite": "Not all of these gradients are finite.",
    "none": "All gradients with respect to the weights are 0: to first order, no weight changes the loss.",
    "largest": "The largest gradient with respect to a weight is that for {column} in the {gate} of {unit}"
    " ({value:number}).",
}

# What happens in a step: the change of the memory, and the output.

_AMOUNTS = times(*(_is_share(gate) for gate in (I, F, O)))
_LETS_IN, _KEEPS, _PUTS_OUT = (Holds(Number(0.9), "≤", gate) for gate in (I, F, O))
_SHUTS_OUT, _FORGETS, _WITHHOLDS = (Holds(gate, "≤", Number(0.1)) for gate in (I, F, O))
_GATES_NOW = "its forget gate keeps {f:percent} of the cell state, its input gate lets in {i:percent} of the candidate"
MOMENT = SentencePattern(
    (
        (
            Wording("{name} goes from {before:number} to {c:number}", _not(_AMOUNTS)),
            Wording(f"{{name}} adds to what it holds: {_GATES_NOW}, {{g:number}}", times(_LETS_IN, _KEEPS)),
            Wording(
                "{name} writes {g:number}: its input gate lets in {i:percent} of it, and its forget gate keeps"
                " {f:percent} of what was there",
                times(_LETS_IN, _FORGETS),
            ),
            Wording(
                "{name} holds {c:number}: its forget gate keeps {f:percent} of what was there, and its input gate lets"
                " in {i:percent} of the candidate",
                times(_KEEPS, _SHUTS_OUT),
            ),
            Wording(f"{{name}} erases: {_GATES_NOW}", times(_FORGETS, _SHUTS_OUT)),
            Wording(f"{{name}} mixes old and new: {_GATES_NOW}, {{g:number}}"),
        ),
        (
            Wording(". It outputs {h:number}.", _not(_AMOUNTS)),
            Wording(". It releases {h:number}: its output gate is {o:percent} open.", _PUTS_OUT),
            Wording(". It outputs almost nothing: its output gate is {o:percent} open.", _WITHHOLDS),
            Wording(". It outputs {h:number}: its output gate is {o:percent} open."),
        ),
    ),
    "new cell state",
)


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

        if len(units) <= MAX_UNITS:
            listed = "; ".join(f"{_subject(names(k))} {describe_unit(k)}" for k in units)
            text = fill_slots(EACH["listed"], {"listed": listed})
            is_opening = self.pattern.begins and text.startswith("unit ")
            return text[0].upper() + text[1:] if is_opening else text
        compared, slots = variables["extreme"], {"count": len(units), "what": self.pattern.quantity}
        if not np.isfinite(compared).all():
            bad = int(np.flatnonzero(~np.isfinite(compared))[0])
            return fill_slots(EACH["unfinite"], slots | {"name": names(bad)})
        least, most = first_largest(-compared), first_largest(compared)
        if least == most:
            return fill_slots(EACH["alike"], slots | {"name": names(least), "said": describe_unit(least)})
        slots |= {"most": names(most), "most_said": describe_unit(most), "least": names(least)}
        return fill_slots(EACH["extremes"], slots | {"least_said": describe_unit(least)})


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


def dropout_masks_of(program: Program) -> list[Words]:
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
    gates = GATES | {"o": output_gate(form.variant.activation("c").name)}
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
    pattern = cell_state(form.variant.cell_clip, "zoneout_cell" in form.dropout)
    sentences["cell_state"] = QuantitySentence(pattern, variables, C)
    sentences["hidden_state"] = QuantitySentence(HIDDEN_STATE, {"value": H, "extreme": H}, H)
    for k in form.weighted_gates:
        before, slope = d(form.computed(Symbol(k))), passed_on(program, d(Symbol("a", k)))
        if form.variant.gate_clip is not None:
            slope = times(slope, passed_on(program, d(form.unclipped(k))))
        variables = {"before": before, "slope": slope, "extreme": times(before, slope)}
        sentences[f"d_{NAMES[index(k)]}"] = QuantitySentence(GATES_BACKWARD[k], variables, d(Symbol("a", k)))
    total, later = d(form.cell), along_the_cell(program)
    variables = {"value": total, "extreme": total, "later": later, "through": less(total, later)}
    sentences["d_cell_state"] = QuantitySentence(CELL_BACKWARD, variables, total)
    arrived = d(form.raw_cell)
    share = Quotient(DC_PREV, arrived)
    variables = {"arrived": arrived, "passed": DC_PREV, "share": share, "extreme": DC_PREV}
    sentences["d_previous"] = QuantitySentence(PREVIOUS_BACKWARD, variables, DC_PREV)
    return sentences


def moment_sentence(program: Program) -> QuantitySentence:
    """Return the sentence about a unit in one step: its memory, and its output before any projection."""
    output = M if program.form.projected else H
    return QuantitySentence(MOMENT, {"i": I, "f": F, "g": G, "o": O, "before": C_PREV, "c": C, "h": output}, C)


SHARE = Symbol("value")  # of a gradient, that reaches an earlier step; no symbol of a program
CARRIED_SENTENCE = QuantitySentence(CARRIED, {"value": SHARE, "extreme": SHARE}, C)


def carried_share_sentence(last: str, first: str, share: Array, units: Sequence[int], names: UnitNames) -> str:
    """Return the sentence about the share of a gradient that reaches the first step along the cell state alone."""
    opening = fill_slots(CARRIED_FROM, {"last": last, "first": first})
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
    rest = len(touched) - MAX_UNITS
    more = [f"and {counted(rest, 'more unit')} edited"] if rest > 0 else []
    return f"Edited: {'; '.join([*(describe_edits(k) for k in touched[:MAX_UNITS]), *more])}." if touched else ""


def four_decimals(value: float) -> str:
    """Return a number with four decimals."""
    return number(value, 4)


def largest_weight_gradient(equations: Sequence[WorkedEquation], names: Mapping[str, tuple[str, ...]]) -> str:
    """Return the walkthrough's sentence about the weight with the largest gradient."""
    largest: tuple[float, dict[str, Any]] = (0.0, {})
    for equation in equations:
        sizes = np.abs(equation.value)
        if not np.isfinite(sizes).all():
            return WEIGHTS["unfinite"]
        at = np.unravel_index(first_largest(sizes), sizes.shape)
        if sizes[at] > (1 + TIE) * largest[0]:
            unit, column = names[equation.over][at[0]], names[equation.across][at[1]]
            gate_of = NAMES[index(equation.left.sub)].replace("_", " ")
            slots = {"column": column, "gate": gate_of, "unit": unit, "value": equation.value[at]}
            largest = (float(sizes[at]), slots)
    return fill_slots(WEIGHTS["largest"], largest[1]) if largest[1] else WEIGHTS["none"]


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
