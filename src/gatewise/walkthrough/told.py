"""What is said of a program's quantities: of each unit, a saying of `sentences` with the formulas of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatewise.gates import NAMES, index
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
from gatewise.walkthrough.parts import Words
from gatewise.walkthrough.sentences import (
    CARRIED,
    CELL_BACKWARD,
    GATES,
    GATES_BACKWARD,
    HIDDEN_STATE,
    MOMENT,
    PREVIOUS_BACKWARD,
    Saying,
    cell_state,
)


@dataclass(frozen=True)
class Told:
    """A saying about the units of a program.

    Attributes
    ----------
    saying : Saying
    variables : dict of str to Formula
        Of symbols of the program; ``extreme`` is what is compared where there are many units.
    of : Symbol
        The vector whose entries it is said of.
    """

    saying: Saying
    variables: Mapping[str, Formula]
    of: Symbol


# Of all units alike, whatever their numbers are.

INPUT: Words = (
    X,
    " is the new input, ",
    H_PREV,
    " what the cell put out one step ago, and ",
    C_PREV,
    " its memory of the past.",
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
    """Return what the dropout masks of a program are, each in a sentence."""
    pairs = ((mask, of) for mask, of in ((D_H, H_PREV), (D_X, X)) if mask in program.axes)
    return [(mask, " is the dropout mask on ", of, ".") for mask, of in pairs]


def combined(program: Program, recurrent: int, inputs: int) -> Words:
    """Return what the entries of the combined input are, in a cell of these sizes."""
    first, last = (n if n > 1 else "" for n in (recurrent, inputs))
    h, x = (" under its dropout mask" if mask in program.axes else "" for mask in (D_H, D_X))
    of_h = (f"The first {first} entries are " if first else "The first entry is ", H_PREV)
    of_x = (f"{h}, the last {last} are " if last else f"{h}, the last is ", X)
    return (*of_h, *of_x, f"{x}.")


# Of each unit.


def passed_on(program: Program, symbol: Symbol) -> Formula:
    """Return what a product has beside its first factor: how much of that is passed on."""
    right = program.assignments[symbol].right
    assert isinstance(right, Product)
    return times(*right.factors[1:])


def along_the_cell(program: Program) -> Formula:
    """Return what arrives at the new cell state from the step after; the rest comes through this step's h."""
    right = program.assignments[d(program.form.cell)].right
    assert isinstance(right, Sum)
    return right.terms[0]


def kept_and_new(program: Program) -> tuple[Formula, Formula]:
    """Return what of the old cell state is kept, and what is new."""
    right = program.assignments[program.form.raw_cell].right
    assert isinstance(right, Sum)
    kept, new = right.terms
    return kept, new


def of_program(program: Program) -> dict[str, Told]:
    """Return what is said of a program's units, by the key of the section that says it."""
    form = program.form
    found = {NAMES[index(k)]: Told(GATES[k], {"value": Symbol(k), "extreme": Symbol(k)}, Symbol(k)) for k in "ifgo"}
    old, new = kept_and_new(program)
    variables: dict[str, Formula] = {"before": C_PREV, "value": C, "extreme": C, "old": old, "new": new}
    if form.variant.cell_clip is not None:
        variables |= {"raw": form.raw_cell, "clipped": form.cell}
    if "zoneout_cell" in form.dropout:
        variables["kept"] = K_C
    said = cell_state(form.variant.cell_clip, "zoneout_cell" in form.dropout)
    found["cell_state"] = Told(said, variables, C)
    found["hidden_state"] = Told(HIDDEN_STATE, {"value": H, "extreme": H}, H)
    for k in form.own:
        before, slope = d(form.computed(Symbol(k))), passed_on(program, d(Symbol("a", k)))
        if form.variant.gate_clip is not None:
            slope = times(slope, passed_on(program, d(form.unclipped(k))))
        variables = {"before": before, "slope": slope, "extreme": times(before, slope)}
        found[f"d_{NAMES[index(k)]}"] = Told(GATES_BACKWARD[k], variables, d(Symbol("a", k)))
    total, later = d(form.cell), along_the_cell(program)
    variables = {"value": total, "extreme": total, "later": later, "through": less(total, later)}
    found["d_cell_state"] = Told(CELL_BACKWARD, variables, total)
    arrived = d(form.raw_cell)
    share = Quotient(DC_PREV, arrived)
    variables = {"arrived": arrived, "passed": DC_PREV, "share": share, "extreme": DC_PREV}
    found["d_previous"] = Told(PREVIOUS_BACKWARD, variables, DC_PREV)
    return found


def moment(program: Program) -> Told:
    """Return what happens in a unit at a step; what it puts out is that before any projection."""
    put_out = M if program.form.projected else H
    return Told(MOMENT, {"i": I, "f": F, "g": G, "o": O, "before": C_PREV, "c": C, "h": put_out}, C)


def carried() -> Told:
    """Return what is said of the share of a gradient that reaches an earlier step: ``value``, which is no symbol."""
    value = Symbol("value")
    return Told(CARRIED, {"value": value, "extreme": value}, C)
