"""The program of a cell of any variant: what is given, the equations forward and backward, and what is carried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from gatewise.parameters import array_declarations, named_rows
from gatewise.symbolic.backward import backward
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.forward import forward
from gatewise.symbolic.program import EDIT, GRADIENT, INPUT, MASK, PARAMETER, STATE, Carry, Form, Program, ProgramInput
from gatewise.symbolic.symbols import (
    C_PREV,
    COLUMNS,
    DC_NEXT,
    DC_PREV,
    DH,
    DH_NEXT,
    DH_PREV,
    DY,
    FEATURES,
    H_PREV,
    MASKS,
    RECURRENT,
    UNITS,
    C,
    H,
    X,
    symbol_named,
)

_AXES = {"hidden": UNITS, "columns": COLUMNS, "recurrent": RECURRENT}  # of declared arrays


@lru_cache(256)
def program(form: Form, *, last_states: bool = False, dropped_weights: bool = False) -> Program:
    """Return the equations of a cell as a program, written as the form says.

    `last_states`: for a loss that depends on the last states alone, all that arrives at h is carried to it.
    `dropped_weights`: weights are those that DropConnect leaves; their gradients are as they were.
    """
    acting = replace(form, dropout=form.dropout - {"weight"}) if dropped_weights else form
    arriving = DH if last_states else DH_NEXT
    return Program(
        form,
        tuple(_inputs(form, arriving)),
        forward(acting),
        tuple(line for line in backward(form, acting) if line.left != arriving),
        (Carry(H_PREV, H), Carry(C_PREV, C)),
        (Carry(arriving, DH_PREV), Carry(DC_NEXT, DC_PREV)),
    )


def _inputs(form: Form, arriving: Symbol) -> Iterator[ProgramInput]:
    """Yield what a cell's program takes: input, states, parameters, masks, edits and arriving gradients."""
    hidden, variant = form.hidden, form.variant
    yield ProgramInput(X, (FEATURES,), INPUT)
    yield ProgramInput(H_PREV, (hidden,), STATE)
    yield ProgramInput(C_PREV, (UNITS,), STATE)
    yield from (ProgramInput(symbol, axes, PARAMETER) for symbol, axes in _parameters(form))
    for (name, symbol), axis in zip(MASKS.items(), (hidden, FEATURES, UNITS, hidden), strict=True):
        if name in form.dropout:
            yield ProgramInput(symbol, (axis,), MASK)
    if "weight" in form.dropout:
        yield from (
            ProgramInput(Symbol("D", k), (UNITS, RECURRENT if form.apart else COLUMNS), MASK) for k in variant.own
        )
    for letter, how in sorted(form.edited):
        names = ("low", "high") if how == "clamp" else (how,)
        yield from (ProgramInput(Symbol(name, letter), (hidden if letter == "h" else UNITS,), EDIT) for name in names)
    if arriving == DH_NEXT:
        yield ProgramInput(DY, (hidden,), GRADIENT)
    yield ProgramInput(arriving, (hidden,), GRADIENT)
    yield ProgramInput(DC_NEXT, (UNITS,), GRADIENT)


def _parameters(form: Form) -> Iterator[tuple[Symbol, tuple[str, ...]]]:
    """Yield the symbol of each parameter of a cell's program, with its axes."""
    for name, array, _ in named_rows(form.variant):
        symbol = symbol_named(name)
        if array == "weight" and form.apart:
            yield symbol, (UNITS, FEATURES)
            yield Symbol("U", symbol.sub), (UNITS, RECURRENT)
        elif array != "projection" or form.projected:
            axes = tuple(_AXES[axis] for axis in array_declarations(form.variant)[array].axes)
            yield symbol, axes
            if array == "bias" and form.two_biases:
                yield Symbol("b2", symbol.sub), axes
