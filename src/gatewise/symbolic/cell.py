"""The program of a cell of any variant: what is given, the equations forward and backward, and what is carried."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gatewise.gates import LETTERS, PEEPHOLES
from gatewise.symbolic import rewrites
from gatewise.symbolic.backward import backward
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.forward import forward
from gatewise.symbolic.program import EDIT, GRADIENT, INPUT, MASK, PARAMETER, STATE, Carry, Form, Program, ProgramInput
from gatewise.symbolic.symbols import (
    C_PREV,
    COLUMNS,
    D_H,
    D_X,
    DC_NEXT,
    DC_PREV,
    DH_NEXT,
    DH_PREV,
    DY,
    FEATURES,
    H_PREV,
    K_C,
    K_H,
    RECURRENT,
    UNITS,
    C,
    H,
    R,
    X,
)


@lru_cache(256)
def program(form: Form) -> Program:
    """Return the program of a form: that of the combined input, rewritten as the form says."""
    made = Program(
        form,
        tuple(_given(form)),
        forward(form),
        backward(form),
        (Carry(H_PREV, H), Carry(C_PREV, C)),
        (Carry(DH_NEXT, DH_PREV), Carry(DC_NEXT, DC_PREV)),
    )
    for switch, rewrite in rewrites.REWRITES.items():
        if getattr(form, switch):
            made = rewrite(made)
    return made


def _given(form: Form) -> Iterator[ProgramInput]:
    hidden, variant = form.hidden, form.variant
    yield ProgramInput(X, (FEATURES,), INPUT)
    yield ProgramInput(H_PREV, (hidden,), STATE)
    yield ProgramInput(C_PREV, (UNITS,), STATE)
    yield from (ProgramInput(symbol, axes, PARAMETER) for symbol, axes in _parameters(form))
    for name, symbol, axis in (
        ("recurrent", D_H, hidden),
        ("input", D_X, FEATURES),
        ("zoneout_cell", K_C, UNITS),
        ("zoneout_hidden", K_H, hidden),
    ):
        if name in form.dropout:
            yield ProgramInput(symbol, (axis,), MASK)
    if "weight" in form.dropout:
        yield from (
            ProgramInput(Symbol("D", k), (UNITS, RECURRENT if form.haste else COLUMNS), MASK) for k in variant.own
        )
    for letter, how in sorted(form.edited):
        names = ("low", "high") if how == "clamp" else (how,)
        yield from (ProgramInput(Symbol(name, letter), (hidden if letter == "h" else UNITS,), EDIT) for name in names)
    yield ProgramInput(DY, (hidden,), GRADIENT)
    yield ProgramInput(DH_NEXT, (hidden,), GRADIENT)
    yield ProgramInput(DC_NEXT, (UNITS,), GRADIENT)


def _parameters(form: Form) -> Iterator[tuple[Symbol, tuple[str, ...]]]:
    variant = form.variant
    for k in (k for k in LETTERS if k in variant.own):
        if form.haste:
            yield Symbol("W", k), (UNITS, FEATURES)
            yield Symbol("U", k), (UNITS, RECURRENT)
        else:
            yield Symbol("W", k), (UNITS, COLUMNS)
        yield Symbol("b", k), (UNITS,)
        if variant.peephole != "none" and k in PEEPHOLES:
            yield Symbol("p", k), (UNITS,)
        for name in {"none": (), "gates": (k,), "haste": (f"u{k}", f"w{k}")}[variant.layer_norm]:
            yield Symbol("γ", name), (UNITS,)
    if form.haste:
        yield Symbol("γ", "c"), (UNITS,)
        yield Symbol("β", "c"), (UNITS,)
    if form.projected:
        yield R, (RECURRENT, UNITS)
