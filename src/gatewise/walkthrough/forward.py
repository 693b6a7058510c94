"""One step forward, in sections: from the input to the hidden state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.equations import mean
from gatewise.gates import LETTERS, NAMES, PEEPHOLES, index
from gatewise.step import Step
from gatewise.symbolic.formula import (
    ONE,
    TWO,
    Call,
    Formula,
    MatMul,
    Number,
    Power,
    Product,
    Quotient,
    Stack,
    Symbol,
    add,
    apply,
    less,
    times,
)
from gatewise.walkthrough import meaning
from gatewise.walkthrough.notation import Notation
from gatewise.walkthrough.parts import (
    ALL_GATES,
    COLUMNS,
    FEATURES,
    RECURRENT,
    UNITS,
    Block,
    Equation,
    Opened,
    Section,
    Sentence,
    Table,
)

TITLES = {"i": "Input gate", "f": "Forget gate", "g": "Candidate", "o": "Output gate"}
PURPOSES = {
    "i": "how much of the candidate each unit lets in",
    "f": "how much of its old memory each unit keeps",
    "g": "what each unit would write into its memory",
    "o": "how much of its memory each unit shows",
}
X, H_PREV, C_PREV, Z = Symbol("x"), Symbol("h_prev"), Symbol("c_prev"), Symbol("z")
Z_H, Z_X, D_H, D_X = Symbol("z", "h"), Symbol("z", "x"), Symbol("mask", "h"), Symbol("mask", "x")
I, F, G, O, C, H = (Symbol(letter) for letter in "ifgoch")
OPENNESS = ("sigmoid", "hard_sigmoid")  # nonlinearities that lie between 0 and 1


class ForwardWalk:
    """The sections of one step. Each equation is written in symbols, with what they stand for in this step."""

    def __init__(
        self, step: Step, units: tuple[int, ...] | None, notation: Notation, time: str | None = None, at: int = 0
    ) -> None:
        self.step, self.p, self.M, self.time, self.at = step, step.parameters, step.moment, time, at
        self.units = tuple(range(self.p.hidden_size)) if units is None else units
        self.opened = units is not None
        self.masks, self.notation = step.moment.masks, notation
        self.names = axes(step)
        self.split = split(step, notation)
        self.h: Formula = H_PREV  # the two parts of the combined input, under their dropout
        self.x: Formula = X
        self.seen: dict[Symbol, Any] = {H_PREV: self.M.h_prev[0], X: self.M.x[0]}
        if self.masks.recurrent is not None:
            self.h, self.seen[D_H] = times(H_PREV, D_H), self.masks.recurrent[0]
        if self.masks.input is not None:
            self.x, self.seen[D_X] = times(X, D_X), self.masks.input[0]

    def sections(self) -> list[Section]:
        """Return the sections in the order of the notation; with peepholes the output gate comes after the
        new cell state, which it sees.
        """
        with np.errstate(all="ignore"):
            gates = {letter: self._gate(letter) for letter in self.notation.order}
            cell = [self._cell_state()]
            late = [gates.pop("o")] if self.p.peephole is not None else []
            one, other = self.p.variant.coupled, "i" if self.p.variant.coupled == "f" else "f"
            if one and list(gates).index(one) < list(gates).index(other):  # it is 1 - the other: after it
                gates[one] = gates.pop(one)
            found = [self._input(), *self._combined()]
            if self.p.variant.layer_norm == "haste":
                found.append(self._sums())
            return [*found, *gates.values(), *cell, *late, self._hidden_state()]

    def _section(self, key: str, title: str, blocks: Sequence[Block]) -> Section:
        return Section(key, title, tuple(blocks), self.time, self.at)

    def _named(self, k: int) -> str:
        return self.names[UNITS][k]

    def _input(self) -> Section:
        step, names = self.step, self.names
        blocks: list[Block] = [Table(("The input ", X), names[FEATURES], ((X, tuple(step.x)),))]
        h, c = (H_PREV, tuple(step.previous.h)), (C_PREV, tuple(step.previous.c))
        if self.p.projection is None:
            blocks.append(Table("The previous hidden state and cell state", names[UNITS], (h, c)))
        else:
            blocks.append(Table("The previous hidden state", names[RECURRENT], (h,)))
            blocks.append(Table("The previous cell state", names[UNITS], (c,)))
        told = (X, " is new; ", H_PREV, " is what the cell put out one step ago, ", C_PREV, " what it remembers.")
        blocks.append(Sentence(told))
        return self._section("input", "The input and the previous state", blocks)

    def _combined(self) -> list[Section]:
        """The combined input, or where h and x go apart, each under its dropout mask, if it has one."""
        M, blocks = self.M, list[Block]()
        for symbol, which in ((D_H, "recurrent"), (D_X, "input")):
            if symbol in self.seen:
                blocks.append(Sentence((symbol, f" is the dropout mask of the {which} part.")))
        if self.split:
            for left, right, value, over in ((Z_H, self.h, M.z_h, RECURRENT), (Z_X, self.x, M.z_x, FEATURES)):
                if isinstance(right, Product):
                    env = {symbol: self.seen[symbol] for symbol in right.factors if isinstance(symbol, Symbol)}
                    blocks.append(Equation(left, right, env, value[0], self.recurrent(over)))
            return [self._section("combined_input", "The input and h under dropout", blocks)] if blocks else []
        blocks.append(Equation(Z, Stack((self.h, self.x)), dict(self.seen), M.z[0], COLUMNS, worked=False))
        blocks.append(Table("", self.names[COLUMNS], ((Z, tuple(M.z[0])),)))
        above, below = self.p.recurrent_size, self.p.input_size
        says = f"Above is what the cell put out one step ago ({above}), below what is new ({below})."
        blocks.append(Sentence(says))
        return [self._section("combined_input", "The combined input: what every gate sees", blocks)]

    def recurrent(self, over: str) -> str:
        """Return what the hidden state goes over: the units, unless it is projected."""
        return UNITS if over == RECURRENT and self.p.projection is None else over

    def parts(self) -> tuple[tuple[Symbol, Any, Symbol, Any, str], ...]:
        """Return the recurrent matrices and the input's, each with the vector it multiplies and what that goes over:
        where they go apart.
        """
        h, x = (Z_H if D_H in self.seen else H_PREV), (Z_X if D_X in self.seen else X)
        U, W = Symbol("U"), Symbol("W")
        return (U, self.M.U, h, self.M.z_h[0], RECURRENT), (W, self.p.input_weight, x, self.M.z_x[0], FEATURES)

    def _sums(self) -> Section:
        """The sums of all gates, which Haste's layer norm standardises together."""
        M, p = self.M, self.p
        own = [k for k in LETTERS if k in p.variant.own]
        blocks: list[Block] = []
        opened: list[Block] = []
        for base, value, (matrix, weights, vector, seen, over) in zip("uw", (M.u, M.w), self.parts(), strict=True):
            for k in own:
                W = replace(matrix, sub=k)
                env = {W: weights[index(k)], vector: seen}
                products = self.names[over]
                blocks.append(Equation(Symbol(base, k), MatMul(W, vector), env, value[index(k), 0], products=products))
                if self.opened:
                    part = "recurrent" if base == "u" else "input"
                    opened += [
                        Opened(Symbol(base, k), n, self.step.terms(NAMES[index(k)], n, part=part)) for n in self.units
                    ]
            everything = np.concatenate([value[index(k), 0] for k in own])
            parts = Stack(tuple(Symbol(base, k) for k in own))
            env = {Symbol(base, k): value[index(k), 0] for k in own}
            blocks.append(Equation(Symbol(base), parts, env, everything, ALL_GATES, worked=False))
            blocks += self._moments(base, everything)
        blocks += opened
        blocks.append(
            Sentence(
                ("Layer norm brings ", Symbol("u"), " and ", Symbol("w"), ", each by itself, to mean 0 and variance 1.")
            )
        )
        return self._section("sums", "The recurrent sums u and the input's sums w, across all gates", blocks)

    def _moments(self, base: str, values: Any, sub: str = "") -> list[Equation]:
        """Return the equations of a vector's mean and variance."""
        symbol, mu, var = Symbol(base, sub), Symbol("μ", sub or base), Symbol("v", sub or base)
        average = mean(values)[0]
        square = Power(less(symbol, mu), TWO)
        variance = mean((values - average) ** 2)[0]
        return [
            Equation(mu, Call("mean", (symbol,)), {symbol: values}, average),
            Equation(var, Call("mean", (square,)), {symbol: values, mu: average}, variance),
        ]

    def _standardised(
        self, base: str, values: Any, sub: str = "", whole: Any = None
    ) -> tuple[Formula, dict[Symbol, Any]]:
        """Return (q - μ) / sqrt(v + ε), μ and v being those of `whole`, and what its symbols stand for."""
        name = sub if whole is None else ""
        symbol, mu, var = Symbol(base, sub), Symbol("μ", name or base), Symbol("v", name or base)
        everything = values if whole is None else whole
        average = mean(everything)[0]
        env = {symbol: values, mu: average, var: mean((everything - average) ** 2)[0]}
        epsilon = Number(self.M.epsilon)
        return Quotient(less(symbol, mu), Call("sqrt", (add(var, epsilon),))), env

    def _gate(self, k: str) -> Section:
        M, variant = self.M, self.p.variant
        gate, blocks = Symbol(k), list[Block]()
        value = getattr(M, k)[0]
        if k == variant.coupled:
            other = I if k == "f" else F
            env: dict[Symbol, Any] = {other: getattr(M, other.base)[0]}
            blocks.append(Equation(gate, less(ONE, other), env, value, openness=True))
        else:
            blocks += self._preactivation(k)
            activation = variant.activation(k)
            a = Symbol("a", k)
            openness = activation.name in OPENNESS
            blocks.append(Equation(gate, apply(activation, a), {a: M.a(k)[0]}, value, openness=openness))
            blocks += self._opened(a, NAMES[index(k)])
        blocks.append(Sentence(meaning.gate(self.step, k, self.units, self._named)))
        return self._section(NAMES[index(k)], f"{TITLES[k]}: {PURPOSES[k]}", blocks)

    def _preactivation(self, k: str) -> Iterator[Block]:
        """The equations from the combined input to a gate's pre-activation."""
        p, M, variant, row = self.p, self.M, self.p.variant, index(k)
        W, b, q = Symbol("W", k), Symbol("b", k), Symbol("q", k)
        biases: dict[Symbol, Any] = {b: p.bias[row]}
        if self.notation.two_biases:
            biases[Symbol("b2", k)] = np.zeros_like(p.bias[row])
        terms: list[Formula] = [MatMul(W, Z)]
        env: dict[Symbol, Any] = {W: M.W[row], Z: M.z[0]}
        products = self.names[COLUMNS]
        if self.masks.weight is not None:
            yield Sentence((Symbol("U" if self.split else "W", k), " is shown under its DropConnect mask."))
        if p.norm_gain is not None and variant.layer_norm == "haste":
            env, terms, products = {}, [], ()
            for base, gain, sums in (("u", p.norm_gain[0], M.u), ("w", p.norm_gain[1], M.w)):
                whole = np.concatenate([sums[index(one), 0] for one in variant.own])
                formula, symbols = self._standardised(base, sums[row, 0], k, whole)
                gamma = Symbol("γ", f"{base}{k}")
                env |= {gamma: gain[row], **symbols}
                terms.append(times(gamma, formula))
        elif self.split:
            env, terms = {}, []
            for matrix, weights, vector, seen, _ in reversed(self.parts()):
                matrix = replace(matrix, sub=k)
                env |= {matrix: weights[row], vector: seen}
                terms.append(MatMul(matrix, vector))
            products = self.names[FEATURES] + self.names[RECURRENT]
        elif self.notation.inline:
            terms, env = [MatMul(W, Stack((self.h, self.x)))], {W: M.W[row], **self.seen}
        if p.peephole is not None and k in PEEPHOLES:
            peephole, seen = Symbol("p", k), C_PREV if k != "o" else self.new_cell()
            env |= {peephole: p.peephole[PEEPHOLES.index(k)], seen: M.seen(k)[0]}
            terms.append(times(peephole, seen))
        if p.norm_gain is not None and variant.layer_norm == "gates":
            yield Equation(q, add(*terms), env, M.q(k)[0], products=products)
            yield from self._moments("q", M.q(k)[0], k)
            formula, symbols = self._standardised("q", M.q(k)[0], k)
            gamma = Symbol("γ", k)
            terms, env, products = [times(gamma, formula)], {gamma: p.norm_gain[row], **symbols}, ()
        a, raw = Symbol("a", k), Symbol("a", f"{k},raw")
        bound = variant.gate_clip
        if len(biases) > 1 and len(terms) > 1 and isinstance(terms[1], MatMul):  # each beside its own product
            first, second = biases
            terms = [terms[0], first, terms[1], second, *terms[2:]]
        else:
            terms += biases
        yield Equation(a if bound is None else raw, add(*terms), env | biases, M.unclipped(k)[0], products=products)
        if bound is not None:
            yield Equation(a, clip(raw, bound), {raw: M.unclipped(k)[0]}, M.a(k)[0])

    def new_cell(self) -> Symbol:
        """The name of the new cell state before any zoneout."""
        return C if self.masks.zoneout_cell is None else Symbol("c_new")

    def _cell_state(self) -> Section:
        M, blocks = self.M, list[Block]()
        bound, new, raw = self.p.variant.cell_clip, self.new_cell(), Symbol("c_raw")
        env = {F: M.f[0], C_PREV: M.c_prev[0], I: M.i[0], G: M.g[0]}
        formula = add(times(F, C_PREV), times(I, G))
        blocks.append(Equation(new if bound is None else raw, formula, env, M.c_raw[0]))
        if bound is not None:
            blocks.append(Equation(new, clip(raw, bound), {raw: M.c_raw[0]}, M.c_new[0]))
        if self.masks.zoneout_cell is not None:
            blocks.append(self._zoneout(C, C_PREV, new, self.masks.zoneout_cell[0], M.c_prev[0], M.c_new[0], M.c[0]))
        blocks += self._opened(C, "cell_state")
        blocks.append(Sentence(meaning.cell_state(self.step, self.units, self._named)))
        return self._section("cell_state", "The new cell state: what is kept and what is new", blocks)

    def _hidden_state(self) -> Section:
        p, M, blocks = self.p, self.M, list[Block]()
        c, v, m, R = self.new_cell(), Symbol("c_norm"), Symbol("m"), Symbol("R")
        value = M.v[0]
        if p.cell_norm is not None:
            blocks += self._moments(c.base, M.c_new[0])
            formula, env = self._standardised(c.base, M.c_new[0])
            gamma, beta = Symbol("γ", "c"), Symbol("β", "c")
            env |= {gamma: p.cell_norm[0], beta: p.cell_norm[1]}
            blocks.append(Equation(v, add(times(gamma, formula), beta), env, value))
            c = v
        names = [m] if p.projection is not None else []
        zoned, bound = self.masks.zoneout_hidden is not None, p.variant.projection_clip
        after = Symbol("h_new") if zoned else H
        formula = times(O, apply(p.variant.activation("c"), c))
        blocks.append(Equation(names[0] if names else after, formula, {O: M.o[0], c: value}, M.m[0]))
        if p.projection is not None:
            raw = Symbol("h_raw")
            env, left = {R: p.projection, m: M.m[0]}, after if bound is None else raw
            blocks.append(Equation(left, MatMul(R, m), env, M.r_raw[0], products=self.names[UNITS]))
            if bound is not None:
                blocks.append(Equation(after, clip(raw, bound), {raw: M.r_raw[0]}, M.r[0]))
        if zoned and self.masks.zoneout_hidden is not None:
            blocks.append(self._zoneout(H, H_PREV, after, self.masks.zoneout_hidden[0], M.h_prev[0], M.r[0], M.h[0]))
        units, name = self.units, self._named
        if p.projection is None:
            blocks += self._opened(H, "hidden_state")
        else:
            units, name = tuple(range(p.recurrent_size)), "h{}".format
            if self.opened:  # a projected entry takes from every unit: all are opened
                blocks += [Opened(H, k, self.step.terms("hidden_state", k), RECURRENT) for k in units]
            below = {H, after, Symbol("h_raw")}
            blocks = [replace(b, over=RECURRENT) if isinstance(b, Equation) and b.left in below else b for b in blocks]
        blocks.append(Sentence(meaning.hidden_state(self.step, units, name)))
        return self._section("hidden_state", "The new hidden state: what the cell puts out", blocks)

    def _zoneout(
        self, left: Symbol, old: Symbol, new: Symbol, kept: Any, before: Any, after: Any, value: Any
    ) -> Equation:
        share = Symbol("k", left.base)
        formula = add(times(share, old), Product((less(ONE, share), new)))
        return Equation(left, formula, {share: kept, old: before, new: after}, value)

    def _opened(self, left: Symbol, quantity: str) -> list[Block]:
        if not self.opened:
            return []
        return [Opened(left, k, self.step.terms(quantity, k)) for k in self.units]


def axes(step: Step) -> dict[str, tuple[str, ...]]:
    """Return what vectors and matrices of a step go over, and what each entry is called."""
    p, labels = step.parameters, step.labels
    units = tuple(labels.unit(k) if labels.units is not None else f"unit {k}" for k in range(p.hidden_size))
    columns = tuple(step.column_names())
    every = tuple(f"{k}: {unit}" for k in LETTERS if k in p.variant.own for unit in units)
    return {
        UNITS: units,
        RECURRENT: columns[: p.recurrent_size],
        FEATURES: columns[p.recurrent_size :],
        COLUMNS: columns,
        ALL_GATES: every,
    }


def split(step: Step, notation: Notation) -> bool:
    """Tell whether h and x are multiplied apart, so that there is no combined input."""
    return notation.split or step.parameters.variant.layer_norm == "haste"


def clip(symbol: Symbol, bound: float) -> Call:
    """Return a number between two bounds."""
    return Call("clip", (symbol, Number(-bound), Number(bound)))
