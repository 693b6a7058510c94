"""The equations of one step forward, from the input to the hidden state: those of `gatewise.equations`, as formulas."""

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
    FEATURES,
    H_NEW,
    H_PREV,
    K_C,
    K_H,
    ONE,
    TWO,
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
    I,
    M,
    MatMul,
    Number,
    O,
    Power,
    Product,
    Quotient,
    R,
    Symbol,
    X,
    Z,
    add,
    less,
    times,
)
from gatewise.symbolic.nonlinearities import apply
from gatewise.symbolic.program import Assignment, Form


def forward(form: Form) -> tuple[Assignment, ...]:
    """Return the equations of an LSTM step forward, each after those that it needs.

    The gates come in the form's order; a coupled gate after the other, and with peepholes the output gate after the new
    cell state, which it sees.
    """
    gates = {k: tuple(_gate(form, k)) for k in form.order}
    late = gates.pop("o") if form.variant.peephole != "none" else ()
    coupled, other = form.variant.coupled, "i" if form.variant.coupled == "f" else "f"
    if coupled and list(gates).index(coupled) < list(gates).index(other):
        gates[coupled] = gates.pop(coupled)
    lines = [*_combined(form), *(_sums(form) if form.haste else ())]
    for equations in gates.values():
        lines += equations
    return (*lines, *_cell_state(form), *late, *_hidden_state(form))


def _masked(form: Form) -> tuple[Formula, Formula]:
    h = times(H_PREV, D_H) if "recurrent" in form.dropout else H_PREV
    x = times(X, D_X) if "input" in form.dropout else X
    return h, x


def vectors(form: Form) -> tuple[Symbol, Symbol]:
    """Return the symbols of h and x where they are multiplied separately."""
    return (Z_H if "recurrent" in form.dropout else H_PREV), (Z_X if "input" in form.dropout else X)


def weights(form: Form, base: str, k: str) -> Formula:
    """Return the weights of a gate as they act: under their DropConnect mask if they have one."""
    dropped = "weight" in form.dropout and base == ("U" if form.apart else "W")
    return times(Symbol(base, k), Symbol("D", k)) if dropped else Symbol(base, k)


def _combined(form: Form) -> Iterator[Assignment]:
    """Yield the equation of the combined input z = [h; x], or those of h and x under masks where they go apart."""
    if not form.apart:
        yield Assignment(Z, Concatenation(_masked(form)), (COLUMNS,))
        return
    for left, right, axis in zip((Z_H, Z_X), _masked(form), (form.hidden, FEATURES), strict=True):
        if isinstance(right, Product):
            yield Assignment(left, right, (axis,))


def _sums(form: Form) -> Iterator[Assignment]:
    """Yield the equations of the sums of all gates, which Haste's layer norm standardises together."""
    gates = form.weighted_gates
    for base, matrix, vector in zip("uw", "UW", vectors(form), strict=True):
        for k in gates:
            yield Assignment(Symbol(base, k), MatMul(weights(form, matrix, k), vector))
        yield Assignment(Symbol(base), Concatenation(tuple(Symbol(base, k) for k in gates)), (ALL_GATES,))
        yield from _moments(Symbol(base), base)


def _moments(q: Symbol, name: str) -> Iterator[Assignment]:
    """Yield the equations of a vector's mean μ and variance v, for layer norm."""
    mu = Symbol("μ", name)
    yield Assignment(mu, FunctionCall("mean", (q,)), ())
    yield Assignment(Symbol("v", name), FunctionCall("mean", (Power(less(q, mu), TWO),)), ())


def standardised(form: Form, q: Symbol, name: str) -> Quotient:
    """Return (q - μ) / sqrt(v + ε) (Ba, Kiros and Hinton, "Layer Normalization", 2016)."""
    return Quotient(less(q, Symbol("μ", name)), deviation(form, name))


def deviation(form: Form, name: str) -> Formula:
    """Return sqrt(v + ε)."""
    return FunctionCall("sqrt", (add(Symbol("v", name), Number(form.variant.epsilon or 0.0)),))


def _gate(form: Form, k: str) -> Iterator[Assignment]:
    """Yield the equations of one gate: its weighted sum, pre-activation, nonlinearity and edits, or 1 - the other."""
    variant, gate = form.variant, Symbol(k)
    if k == variant.coupled:
        yield Assignment(form.computed(gate), less(ONE, I if k == "f" else F))
        yield from _edited(form, gate)
        return
    terms = _products(form, k)
    if variant.peephole != "none" and k in PEEPHOLES:
        terms.append(times(Symbol("p", k), form.cell if k == "o" else C_PREV))
    if variant.layer_norm == "gates":
        q = Symbol("q", k)
        yield Assignment(q, add(*terms))
        yield from _moments(q, k)
        terms = [times(Symbol("γ", k), standardised(form, q, k))]
    a, raw = Symbol("a", k), form.unclipped(k)
    bias, second = Symbol("b", k), Symbol("b2", k)
    if not form.two_biases:
        terms.append(bias)
    elif form.split and variant.layer_norm == "none":  # each behind its product
        terms = [terms[0], bias, terms[1], second, *terms[2:]]
    else:
        terms += [bias, second]
    yield Assignment(raw, add(*terms))
    if variant.gate_clip is not None:
        yield Assignment(a, _clip(raw, variant.gate_clip))
    yield Assignment(form.computed(gate), apply(variant.activation(k), a))
    yield from _edited(form, gate)


def _products(form: Form, k: str) -> list[Formula]:
    """Return the products of a gate's weights with the combined input, or with x and h where they go apart."""
    if form.haste:
        return [times(Symbol("γ", f"{base}{k}"), standardised(form, Symbol(base, k), base)) for base in "uw"]
    if form.split:
        h, x = vectors(form)
        return [MatMul(weights(form, "W", k), x), MatMul(weights(form, "U", k), h)]
    return [MatMul(weights(form, "W", k), Concatenation(_masked(form)) if form.inline else Z)]


def scaled(form: Form, symbol: Symbol) -> Formula:
    """Return an edited quantity before its clamp: as it is computed, times its scale if an edit has one."""
    computed = form.computed(symbol)
    return times(Symbol("scale", symbol.base), computed) if "scale" in form.edits(symbol.base) else computed


def _edited(form: Form, symbol: Symbol, axis: str = UNITS) -> Iterator[Assignment]:
    """Yield the equation of an edited quantity q: clip(scale * q, low, high) + set."""
    k = symbol.base
    if not (edits := form.edits(k)):
        return
    edited = scaled(form, symbol)
    if "clamp" in edits:
        edited = FunctionCall("clip", (edited, Symbol("low", k), Symbol("high", k)))
    yield Assignment(symbol, add(edited, Symbol("set", k)) if "set" in edits else edited, (axis,))


def _cell_state(form: Form) -> Iterator[Assignment]:
    new = form.cell
    yield Assignment(form.raw_cell, add(times(F, C_PREV), times(I, G)))
    if form.variant.cell_clip is not None:
        yield Assignment(form.computed(new), _clip(form.raw_cell, form.variant.cell_clip))
    if new != C:
        yield Assignment(form.computed(C), _zoneout(K_C, C_PREV, new))
    yield from _edited(form, C)


def _hidden_state(form: Form) -> Iterator[Assignment]:
    """Yield the equations of the new hidden state, with layer norm, projection, clip, zoneout and edits."""
    variant, new = form.variant, form.hidden_new
    if form.haste:
        name = form.cell.base
        yield from _moments(form.cell, name)
        normed = times(Symbol("γ", "c"), standardised(form, form.cell, name))
        yield Assignment(C_NORM, add(normed, Symbol("β", "c")))
    if variant.output_clip is not None:
        yield Assignment(C_CLIP, _clip(form.unclipped_output_cell, variant.output_clip))
    axes = (form.hidden,)
    yield Assignment(form.produced, times(O, apply(variant.activation("c"), form.output_cell)))
    if form.projected:
        yield Assignment(form.raw_hidden, MatMul(R, M), axes)
        if variant.projection_clip is not None:
            yield Assignment(new, _clip(form.raw_hidden, variant.projection_clip), axes)
    if new == H_NEW:
        yield Assignment(form.computed(H), _zoneout(K_H, H_PREV, new), axes)
    yield from _edited(form, H, form.hidden)


def _zoneout(share: Symbol, old: Symbol, new: Symbol) -> Formula:
    return add(times(share, old), times(less(ONE, share), new))


def _clip(symbol: Symbol, bound: float) -> FunctionCall:
    return FunctionCall("clip", (symbol, Number(-bound), Number(bound)))
