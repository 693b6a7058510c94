"""The program of a cell of any variant, and the values of its symbols: parameters, masks and what a step keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.equations import DropoutMasks, Moment
from gatewise.gates import index
from gatewise.parameters import Parameters, Variant, array_declarations, named_rows
from gatewise.records.edited_steps import effects_of
from gatewise.symbolic.backward import backward
from gatewise.symbolic.evaluation import evaluate
from gatewise.symbolic.formula import (
    ALL_GATES,
    C_PREV,
    COLUMNS,
    COMPUTED,
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
    Symbol,
    X,
    symbol_named,
)
from gatewise.symbolic.forward import forward
from gatewise.symbolic.program import (
    EDIT,
    GRADIENT,
    INPUT,
    MASK,
    PARAMETER,
    STATE,
    Carry,
    Form,
    Program,
    ProgramInput,
    sized,
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


Place = tuple[str, tuple[Any, ...]]


class StepValues:
    """The values of the symbols of one step, computed when they are first needed, and kept.

    Parameters
    ----------
    program : Program
    p : Parameters
    known : dict of Symbol to array
        Inputs, parameters and states, and quantities that need not be computed again.
    leading : bool
        Whether arrays have leading axes, such as that of a batch.
    """

    def __init__(self, program: Program, p: Parameters, known: dict[Symbol, Any], *, leading: bool = False) -> None:
        self.program = sized(program, p.recurrent_size, p.recurrent_size + p.input_size)
        self.known, self.ranks = known, program.ranks if leading else None

    def __getitem__(self, symbol: Symbol) -> Any:
        if symbol not in self.known:
            self.known[symbol] = evaluate(self.program.assignments[symbol].right, self, self.ranks)
        return self.known[symbol]


def edited(moment: Moment) -> frozenset[tuple[str, str]]:
    """Return the edits that act on a step's quantities: pairs of a letter and how, as `Form.edited` has them."""
    effects = set()
    for letter, effect in effects_of(moment).items():
        bounded = np.isfinite(effect.low).any() or np.isfinite(effect.high).any()
        done = {"scale": (effect.scale != 1).any(), "clamp": bounded, "set": effect.fixed.any()}
        effects |= {(letter, how) for how, any_ in done.items() if any_}
    return frozenset(effects)


def form_of(p: Parameters, dropout: DropoutMasks, **written: Any) -> Form:
    """Return the form of a cell's program; `written` says how: split, inline, two_biases, order."""
    return Form(p.variant, p.projection is not None, frozenset(dropout.arrays()), **written)


def size_of_axes(p: Parameters) -> dict[str, int]:
    """Return the length of each kind of axis in a cell of these parameters."""
    return {
        UNITS: p.hidden_size,
        RECURRENT: p.recurrent_size,
        FEATURES: p.input_size,
        COLUMNS: p.recurrent_size + p.input_size,
        ALL_GATES: len(p.variant.own) * p.hidden_size,
    }


def place_of_symbol(form: Form, symbol: Symbol, recurrent: int) -> Place | None:
    """Return the array of `Parameters` that holds a symbol, and the position there.

    A second bias is in none: gatewise keeps the sum of the two in the first.
    """
    row = _rows(form.variant).get(replace(symbol, base="W") if symbol.base == "U" else symbol)
    if row is None or row[0] != "weight":
        return row
    columns = slice(recurrent) if symbol.base == "U" else slice(recurrent if form.apart else 0, None)
    return "weight", (*row[1], slice(None), columns)


@lru_cache(256)
def _rows(variant: Variant) -> dict[Symbol, Place]:
    return {symbol_named(name): (array, position) for name, array, position in named_rows(variant)}


def parameter_values(form: Form, p: Parameters) -> dict[Symbol, Array]:
    """Return the values of a program's parameters, by symbol."""
    arrays, values = p.arrays(), dict[Symbol, Array]()
    for symbol in program(form).of_kind(PARAMETER):
        where = place_of_symbol(form, symbol, p.recurrent_size)
        values[symbol] = np.zeros_like(p.bias[0]) if where is None else arrays[where[0]][where[1]]
    return values


def mask_values(form: Form, p: Parameters, masks: DropoutMasks) -> dict[Symbol, Array]:
    """Return the values of a program's dropout masks by symbol, with whatever leading axes they have."""
    arrays = masks.arrays()
    values = {symbol: arrays[name] for name, symbol in MASKS.items() if name in form.dropout}
    for k in p.variant.own if "weight" in form.dropout else "":
        dropped = np.broadcast_to(arrays["weight"], p.recurrent_weight.shape)[index(k)]
        if not form.apart:  # of the combined input's weights, those of x are all there
            dropped = np.concatenate([dropped, np.ones_like(p.input_weight[0])], axis=-1)
        values[Symbol("D", k)] = dropped
    return values


def step_values(moment: Moment, program: Program) -> dict[Symbol, Any]:
    """Return the values of a program's symbols in one step of one sequence, as far as the step itself has them:
    what a trace kept is taken as it was computed. Weights are those that act, under DropConnect where there is some.
    """
    form, p = program.form, moment.p
    values: dict[Symbol, Any] = {X: moment.x[0], H_PREV: moment.h_prev[0], C_PREV: moment.c_prev[0]}
    values |= parameter_values(form, p)
    for symbol, mask in mask_values(form, p, moment.dropout).items():
        values[symbol] = mask if symbol.base == "D" else mask[0]
    if moment.dropout.weight is not None:
        base, acting = ("U", moment.U) if form.apart else ("W", moment.W)
        values |= {Symbol(base, k): acting[index(k)] for k in p.variant.own}
    for k, effect in effects_of(moment).items():
        named = {"scale": effect.scale, "set": effect.value, "low": effect.low, "high": effect.high}
        values |= {Symbol(name, k): value[0] for name, value in named.items()}
    for line in program.forward:
        if (value := _of_moment(moment, line.left)) is not None:
            values[line.left] = value[0]
    return values


def _of_moment(M: Moment, symbol: Symbol) -> Any:
    """Return the values of a formula's symbol in a step; None for means, variances and sums of all gates."""
    base, k = symbol.base, symbol.sub.partition(",")[0]
    if k == COMPUTED:
        return M.before_edits(base)
    match base:
        case "z":
            return {"": M.z, "h": M.z_h, "x": M.z_x}[k]
        case "u" | "w":
            return getattr(M, base)[index(k)] if k else None
        case "q":
            return M.q(k)
        case "a":
            return M.a(k) if k == symbol.sub else M.unclipped(k)
        case "i" | "f" | "g" | "o" | "c_raw" | "c_new" | "m":
            return getattr(M, base)
        case "c":
            return M.c_new if M.dropout.zoneout_cell is None else M.c
        case "c_norm":
            return M.v_raw
        case "c_clip":
            return M.v
        case "h_raw":
            return M.r_raw
        case "h_new":
            return M.r
        case "h":
            return M.h if M.dropout.zoneout_hidden is not None or "h" in effects_of(M) else M.r
    return None
