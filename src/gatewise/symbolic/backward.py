"""The equations of the backward pass of one step: those of `forward`, differentiated, from the last to the first.

They are those of `gatewise.adjoints`, as formulas (back-propagation through time: Werbos, 1990).
"""

from __future__ import annotations

from collections.abc import Iterator

from gatewise.gates import PEEPHOLES
from gatewise.symbolic.formula import (
    ALL_GATES,
    C_CLIP,
    C_NORM,
    C_PREV,
    COLUMNS,
    D_H,
    D_X,
    DC_NEXT,
    DC_PREV,
    DH,
    DH_NEXT,
    DH_PREV,
    DX,
    DY,
    DZ,
    FEATURES,
    H_NEW,
    K_C,
    K_H,
    ONE,
    RECURRENT,
    UNITS,
    Z_H,
    Z_X,
    C,
    Concatenation,
    F,
    Formula,
    FunctionCall,
    G,
    H,
    Holds,
    I,
    M,
    MatMul,
    Negative,
    Number,
    O,
    Outer,
    Quotient,
    R,
    Slice,
    Symbol,
    Transpose,
    Z,
    add,
    d,
    less,
    times,
)
from gatewise.symbolic.forward import deviation, scaled, standardised, vectors, weights
from gatewise.symbolic.nonlinearities import apply, slope
from gatewise.symbolic.program import Assignment, Form


def backward(form: Form, acting: Form) -> tuple[Assignment, ...]:
    """Return the equations of the backward pass of an LSTM step, each after those that it needs.

    `acting` is the form of the weights through which gradients pass.

    First what arrives at the hidden state, from this step's output and from the step after; then back through the
    hidden state, the output gate (before the cell state, since it may see the new one), the cell state and the other
    gates; then the gradients of the parameters; at last those of the input and the previous state.
    """
    gates = [k for k in form.weighted_gates if k != "o"]
    return (
        Assignment(DH, add(DY, DH_NEXT), (form.hidden,)),
        *_edited(form, H, DH, form.hidden),
        *_hidden_state(form),
        Assignment(d(O), times(d(form.produced), _output(form))),
        *_edited(form, O, d(O)),
        *_gate(form, "o"),
        *_cell_state(form),
        *(line for k in gates for line in _gate(form, k)),
        *(line for base in "uw" if form.haste for line in _sums(form, base)),
        *_parameters(form),
        *_previous(acting),
    )


def _output(form: Form) -> Formula:
    """Return the nonlinearity of the cell state."""
    return apply(form.variant.activation("c"), form.output_cell)


def _within(symbol: Symbol, bound: float) -> Holds:
    """Return 1 where a number was not clipped: the derivative of a clip."""
    return Holds(FunctionCall("abs", (symbol,)), "≤", Number(bound))


def _edited(form: Form, symbol: Symbol, arrived: Symbol, axis: str = UNITS) -> Iterator[Assignment]:
    """Yield the equation of the gradient that passes an edit: times its scale (0 where it is set), in its bounds."""
    k = symbol.base
    if not (edits := form.edits(k)):
        return
    slope: list[Formula] = [Symbol("scale", k)] if "scale" in edits else []
    if "clamp" in edits:
        q = scaled(form, symbol)
        slope += [Holds(Symbol("low", k), "≤", q), Holds(q, "≤", Symbol("high", k))]
    yield Assignment(d(form.computed(symbol)), times(arrived, *slope), (axis,))


def _hidden_state(form: Form) -> Iterator[Assignment]:
    """Yield the equations of the backward pass through zoneout, the projection and its clip."""
    if "zoneout_hidden" in form.dropout:
        yield Assignment(d(H_NEW), times(less(ONE, K_H), d(form.computed(H))), (form.hidden,))
    if not form.projected:
        return
    if (bound := form.variant.projection_clip) is not None:
        right = times(d(form.hidden_new), _within(form.raw_hidden, bound))
        yield Assignment(d(form.raw_hidden), right, (form.hidden,))
    yield Assignment(d(M), MatMul(Transpose(R), d(form.raw_hidden)))


def _gate(form: Form, k: str) -> Iterator[Assignment]:
    gate, a, raw = form.computed(Symbol(k)), Symbol("a", k), form.unclipped(k)
    yield Assignment(d(a), times(d(gate), slope(form.variant.activation(k), gate)))
    if form.variant.gate_clip is not None:
        yield Assignment(d(raw), times(d(a), _within(raw, form.variant.gate_clip)))
    if form.variant.layer_norm == "gates":
        q = Symbol("q", k)
        yield from _standardised(form, q, Symbol("n", k), Symbol("γ", k), d(raw), k, d(q))


def _standardised(
    form: Form, q: Symbol, n: Symbol, gain: Symbol, arrived: Symbol, name: str, left: Symbol
) -> Iterator[Assignment]:
    """Yield the backward pass of layer norm, gain * (q - mean) / sqrt(variance + ε), from `arrived` to `left`."""
    yield Assignment(n, standardised(form, q, name))
    yield Assignment(d(n), times(gain, arrived))
    along = times(n, FunctionCall("mean", (times(d(n), n),)))
    over = add(d(n), Negative(FunctionCall("mean", (d(n),))), Negative(along))
    yield Assignment(left, Quotient(over, deviation(form, name)))


def _cell_state(form: Form) -> Iterator[Assignment]:
    variant, cell = form.variant, form.cell
    through: Formula = times(d(form.produced), O, slope(variant.activation("c"), _output(form)))
    if variant.output_clip is not None:
        yield Assignment(d(C_CLIP), through)
        through = times(d(C_CLIP), _within(form.unclipped_output_cell, variant.output_clip))
    if form.haste:
        yield Assignment(d(C_NORM), through)
        share = d(Symbol("c_seen"))
        yield from _standardised(form, cell, Symbol("n", cell.base), Symbol("γ", "c"), d(C_NORM), cell.base, share)
        through = share
    arrived: Formula = DC_NEXT
    if "zoneout_cell" in form.dropout:
        yield from _edited(form, C, DC_NEXT)
        arrived = times(less(ONE, K_C), _at_cell(form))
    terms = [arrived, through]
    if variant.peephole != "none":
        terms.append(times(d(form.weighted("o")), Symbol("p", "o")))
    yield Assignment(d(cell), add(*terms))
    if cell == C:
        yield from _edited(form, C, d(C))
    raw = d(form.raw_cell)
    if variant.cell_clip is not None:
        yield Assignment(raw, times(d(form.computed(cell)), _within(form.raw_cell, variant.cell_clip)))
    coupled, other = (I, F) if variant.coupled == "i" else (F, I)
    passed = {F: C_PREV, I: G}  # what each gate lets through
    if variant.coupled and not form.edits(coupled.base):
        yield Assignment(d(other), times(raw, less(passed[other], passed[coupled])))
    else:
        yield Assignment(d(coupled), times(raw, passed[coupled]))
        yield from _edited(form, coupled, d(coupled))
        both = less(times(raw, passed[other]), d(form.computed(coupled)))
        yield Assignment(d(other), both if variant.coupled else times(raw, passed[other]))
    yield from _edited(form, other, d(other))
    yield Assignment(d(G), times(raw, I))
    yield from _edited(form, G, d(G))


def _at_cell(form: Form) -> Symbol:
    """Return the gradient with respect to the cell state at the end of a step with zoneout, before any edit."""
    return d(form.computed(C)) if form.edits("c") else DC_NEXT


def _sums(form: Form, base: str) -> Iterator[Assignment]:
    """Yield the backward pass of Haste's layer norm, across all gates, of the recurrent sums u or the input sums w."""
    stacked = Symbol("n", base)
    for k in form.weighted_gates:
        n = Symbol("n", f"{base}{k}")
        yield Assignment(n, standardised(form, Symbol(base, k), base))
        yield Assignment(d(n), times(Symbol("γ", f"{base}{k}"), d(form.unclipped(k))))
    every = tuple(Symbol("n", f"{base}{k}") for k in form.weighted_gates)
    yield Assignment(stacked, Concatenation(every), (ALL_GATES,))
    yield Assignment(d(stacked), Concatenation(tuple(d(n) for n in every)), (ALL_GATES,))
    first, second = Symbol("m", f"1,{base}"), Symbol("m", f"2,{base}")
    yield Assignment(first, FunctionCall("mean", (d(stacked),)), ())
    yield Assignment(second, FunctionCall("mean", (times(d(stacked), stacked),)), ())
    for k, n in zip(form.weighted_gates, every, strict=True):
        over = add(d(n), Negative(first), Negative(times(n, second)))
        yield Assignment(d(Symbol(base, k)), Quotient(over, deviation(form, base)))


def _parameters(form: Form) -> Iterator[Assignment]:
    """Yield the equation of every parameter's gradient: an outer product, or a product of two vectors."""
    h, x = vectors(form)
    for k in form.weighted_gates:
        if form.apart:
            yield _matrix(form, "W", k, d(_product(form, "w", k)), x, FEATURES)
            yield _matrix(form, "U", k, d(_product(form, "u", k)), h, RECURRENT)
        else:
            yield _matrix(form, "W", k, d(form.weighted(k)), Z, COLUMNS)
        for bias in ("b", "b2")[: 1 + form.two_biases]:
            yield Assignment(d(Symbol(bias, k)), d(form.unclipped(k)), sums=True)
        if form.variant.peephole != "none" and k in PEEPHOLES:
            cell = form.cell if k == "o" else C_PREV
            yield Assignment(d(Symbol("p", k)), times(d(form.weighted(k)), cell), sums=True)
        names = {"none": (), "gates": (k,), "haste": (f"u{k}", f"w{k}")}[form.variant.layer_norm]
        for name in names:
            gain = times(d(form.unclipped(k)), Symbol("n", name))
            yield Assignment(d(Symbol("γ", name)), gain, sums=True)
    if form.haste:
        yield Assignment(d(Symbol("γ", "c")), times(d(C_NORM), Symbol("n", form.cell.base)), sums=True)
        yield Assignment(d(Symbol("β", "c")), d(C_NORM), sums=True)
    if form.projected:
        yield Assignment(d(R), Outer(d(form.raw_hidden), M), (RECURRENT, UNITS), sums=True)


def _product(form: Form, base: str, k: str) -> Symbol:
    """Return the sum that has a gate's product with h (u) or x (w): in Haste's layer norm, that product alone."""
    return Symbol(base, k) if form.haste else form.weighted(k)


def _matrix(form: Form, base: str, k: str, arrived: Symbol, vector: Symbol, across: str) -> Assignment:
    """Return the equation of the gradient of a gate's weights; under DropConnect, of those that acted."""
    right: Formula = Outer(arrived, vector)
    if weights(form, base, k) != Symbol(base, k):
        right = times(right, Symbol("D", k))
    return Assignment(d(Symbol(base, k)), right, (UNITS, across), sums=True)


def _previous(form: Form) -> Iterator[Assignment]:
    """Yield the equations of the gradients of the input and of the previous hidden state and cell state."""
    if form.apart:
        h, x = (
            add(*(MatMul(Transpose(weights(form, matrix, k)), d(_product(form, base, k))) for k in form.weighted_gates))
            for base, matrix in zip("uw", "UW", strict=True)
        )
        if "recurrent" in form.dropout:
            yield Assignment(d(Z_H), h, (form.hidden,))
            h = d(Z_H)
        if "input" in form.dropout:
            yield Assignment(d(Z_X), x, (FEATURES,))
            x = d(Z_X)
    else:
        terms = [MatMul(Transpose(weights(form, "W", k)), d(form.weighted(k))) for k in form.weighted_gates]
        yield Assignment(DZ, add(*terms), (COLUMNS,))
        h, x = Slice(DZ, 0, RECURRENT), Slice(DZ, RECURRENT, COLUMNS)
    h = times(h, D_H) if "recurrent" in form.dropout else h
    x = times(x, D_X) if "input" in form.dropout else x
    if "zoneout_hidden" in form.dropout:
        h = add(h, times(K_H, d(form.computed(H))))
    yield Assignment(DX, x, (FEATURES,))
    yield Assignment(DH_PREV, h, (form.hidden,))
    terms_of_c: list[Formula] = [times(d(form.raw_cell), F)]
    if form.variant.peephole != "none":
        terms_of_c += [times(d(form.weighted(k)), Symbol("p", k)) for k in "fi" if k in form.variant.own]
    if "zoneout_cell" in form.dropout:
        terms_of_c.append(times(K_C, _at_cell(form)))
    yield Assignment(DC_PREV, add(*terms_of_c))
