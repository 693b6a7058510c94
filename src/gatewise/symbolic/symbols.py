"""The symbols of the equations, and what their vectors and matrices run over."""

from __future__ import annotations

from dataclasses import replace

from gatewise.symbolic.formula import Symbol

# What a vector runs over: units, entries of the hidden state, features, entries of the combined input, or the units of
# every gate one after the other.
UNITS, RECURRENT, FEATURES, COLUMNS, ALL_GATES = "units", "recurrent", "features", "columns", "all gates"

X, H_PREV, C_PREV, Z = Symbol("x"), Symbol("h_prev"), Symbol("c_prev"), Symbol("z")
Z_H, Z_X = Symbol("z", "h"), Symbol("z", "x")  # the two parts of the combined input, where they go apart
D_H, D_X = Symbol("mask", "h"), Symbol("mask", "x")  # their dropout masks
K_H, K_C = Symbol("k", "h"), Symbol("k", "c")  # what zoneout keeps
MASKS = {"recurrent": D_H, "input": D_X, "zoneout_cell": K_C, "zoneout_hidden": K_H}  # by `DropoutMasks`' names
I, F, G, O, C, H = (Symbol(letter) for letter in "ifgoch")
C_RAW, C_NEW, C_NORM = Symbol("c_raw"), Symbol("c_new"), Symbol("c_norm")  # before its clip, zoneout; normalised
OF_EDITS = ("scale", "low", "high", "set")  # of a gate or a state: what edits do to it
COMPUTED = "computed"  # below a gate or a state: as its equation gives it, before an edit
M, R, H_RAW, H_NEW = Symbol("m"), Symbol("R"), Symbol("h_raw"), Symbol("h_new")


def symbol_named(name: str) -> Symbol:
    """Return the symbol of a name with an underscore before what stands below its letter: W_f."""
    base, _, sub = name.partition("_")
    return Symbol(base, sub)


def d(symbol: Symbol) -> Symbol:
    """Return the gradient of the loss with respect to a symbol."""
    return replace(symbol, d=True)


DX, DZ, DH, DH_PREV, DC_PREV = d(X), d(Z), d(H), d(H_PREV), d(C_PREV)
DY = Symbol("y", d=True)  # with respect to the output of a step itself
DH_NEXT, DC_NEXT = Symbol("h_next", d=True), Symbol("c_next", d=True)  # what arrives from the step after
