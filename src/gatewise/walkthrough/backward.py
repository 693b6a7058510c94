"""Steps backward, in sections: from the loss to everything that it comes from (back-propagation through time)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, numbers
from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.errors import OptionError, ShapeError
from gatewise.gates import NAMES, PEEPHOLES, index
from gatewise.step import Term, Terms
from gatewise.symbolic.formula import (
    ONE,
    Call,
    Formula,
    Holds,
    MatMul,
    Negative,
    Number,
    Outer,
    Part,
    Product,
    Quotient,
    Stack,
    Sum,
    Symbol,
    Transpose,
    add,
    apply,
    evaluate,
    less,
    nodes,
    slope,
    substitute,
    times,
)
from gatewise.walkthrough import meaning
from gatewise.walkthrough.forward import C_PREV, D_H, D_X, H_PREV, Z_H, Z_X, F, ForwardWalk, G, H, I, O, X, Z
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
    Words,
)

DC_NEXT = Symbol("c_next", d=True)


def d(symbol: Symbol) -> Symbol:
    """Return the derivative of the loss by a symbol."""
    return replace(symbol, d=True)


DH, DH_PREV, DC_PREV, DX, DZ = (d(symbol) for symbol in (H, H_PREV, C_PREV, X, Z))


class BackwardWalk:
    """The sections of a run, from its last step to its first."""

    def __init__(
        self, walks: Sequence[ForwardWalk], times: Sequence[str], dh: npt.ArrayLike | None, dc: npt.ArrayLike | None
    ) -> None:
        first = walks[0]
        self.parameters: frozenset[Symbol] = frozenset()  # the derivatives by parameters
        self.walks, self.times, self.names = walks, times, first.names
        self.given = dh is not None or dc is not None
        self.after = "all steps" if len(walks) > 1 else None  # the heading of what comes of all of them
        p = first.p
        self.dh = _arriving("dh", dh, np.ones(p.recurrent_size))
        self.dc = _arriving("dc", dc, np.zeros(p.hidden_size))
        for before, after in pairwise(walks):
            follows = before.p is after.p
            for was, now in zip(before.step.state, after.step.previous, strict=True):
                follows = follows and np.array_equal(was, now, equal_nan=True)
            if not follows:
                raise OptionError("the walk back needs steps of one run, each beginning where the one before it ended")

    def sections(self) -> list[Section]:
        """Return what happened forward, in brief; the loss; the steps back; what comes of all of them; the check."""
        with np.errstate(all="ignore"):
            return [*self.run(), self._check()]

    def run(self) -> list[Section]:
        """Return the sections without the check."""
        with np.errstate(all="ignore"):
            steps = [_StepBack(walk) for walk in self.walks]
            sections = [self._loss(), *(step.forward() for step in steps)]
            dh, dc = self.dh, self.dc
            for step in reversed(steps):
                sections += step.sections(dh, dc)
                dh, dc = step.env[DH_PREV], step.env[DC_PREV]
            self.parameters = frozenset(equation.left for equation in steps[0].parameters)
            return [*sections, self._all_steps(steps), self._through_time(steps)] if len(steps) > 1 else sections

    def _loss(self) -> Section:
        loss = (
            ("The loss is given by its derivatives.",)
            if self.given
            else ("The loss is the sum of the last ", H, ", so that its derivative by each entry is 1.")
        )
        derivative = ("A d before a symbol stands for the derivative of the loss by it: ", DH, " is that by ", H, ".")
        part = (DC_PREV, " is the part along the cell state; what goes through ", H_PREV, " joins it a step earlier.")
        blocks = (Sentence(loss), Sentence(derivative), Sentence(part))
        return Section("loss", "The loss: where the way back begins", blocks)

    def _all_steps(self, steps: Sequence[_StepBack]) -> Section:
        """The gradients of the parameters: the sums over all steps."""
        told = "The parameters are the same at every step: their gradients add up. In brackets stands which step it is."
        blocks: list[Block] = [Sentence(told)]
        for equation in steps[0].parameters:
            env = {
                replace(equation.left, time=n): step.env[equation.left] for n, step in reversed(list(enumerate(steps)))
            }
            total = sum(env.values())
            blocks.append(replace(equation, right=add(*env), env=env, value=total, products=()))
        return Section("all_steps", f"The gradients of all {len(steps)} steps", tuple(blocks), self.after)

    def _through_time(self, steps: Sequence[_StepBack]) -> Section:
        """How much of the cell state's gradient the forget gates let through."""
        shown = self.walks[0].units[:4]
        carried = np.ones(len(self.names[UNITS]))
        rows: dict[int, list[Any]] = {k: [] for k in shown}
        for step, time in reversed(list(zip(steps, self.times, strict=True))):
            reached, carried = carried, carried * step.kept
            for k in shown:
                numbers = (step.kept[k], carried[k], step.env[step.new][k], step.env[DC_PREV][k])
                rows[k].append((time, numbers))
        plain = steps[0].keeps_by_gate
        heads = (F if plain else "kept", ("product of ", F if plain else "it"), steps[0].new, DC_PREV)
        blocks: list[Block] = [
            Table(self.names[UNITS][k], heads, tuple(rows[k]), (0,), digits=6, whole=True) for k in shown
        ]
        rest = len(self.walks[0].units) - len(shown)
        if rest:
            blocks.append(Sentence(f"… and {rest} more units (--unit K, or unit=K, shows one)."))
        named = self.names[UNITS].__getitem__
        blocks.append(Sentence(meaning.carried(self.times[-1], self.times[0], reached, shown, named)))
        told: Words
        if plain:
            told = ("Along the cell state alone, ", DC_PREV, " is ", F, " times what arrives.")
        else:
            told = ("Kept is what ", F, ", the clip and zoneout together let through along the cell state alone.")
        blocks.append(Sentence(told))
        title = "The way through time: the running product of forget gates"
        return Section("through_time", title, tuple(blocks), self.after)

    def _check(self) -> Section:
        compared = gradient_check([walk.step for walk in self.walks], self.dh, self.dc)
        names: dict[str, Symbol] = {"x": X, "h_prev": H_PREV, "c_prev": C_PREV}
        rows = tuple((names.get(one.name, one.name), (one.entries, one.of, one.largest, one.error)) for one in compared)
        heads = ("compared", "of", "largest gradient", "largest error")
        blocks = (Table("", heads, rows, digits=3, whole=True), Sentence(meaning.compared(compared)))
        return Section("gradient_check", "The check: against central differences of the loss", blocks, self.after)


def _arriving(name: str, given: npt.ArrayLike | None, default: Array) -> Array:
    if given is None:
        return default
    array = numbers(name, given)
    if array.shape != default.shape:
        raise ShapeError(f"{name} has shape {array.shape}; this cell takes {default.shape}")
    return array


class _StepBack:
    """The sections of one step back. Each line is written in symbols and computed as it is written."""

    def __init__(self, walk: ForwardWalk) -> None:
        self.walk, self.p, self.M, self.names = walk, walk.p, walk.M, walk.names
        self.masks, self.units, self.variant = walk.masks, walk.units, walk.p.variant
        self.made = [block for section in walk.sections() for block in section.blocks if isinstance(block, Equation)]
        self.env: dict[Symbol, Any] = {}
        for equation in self.made:
            self.env |= {**equation.env, equation.left: equation.value}
        self.cell = walk.new_cell()  # what the new cell state is called before any zoneout
        self.new = d(self.cell)
        self.named = self.names[UNITS].__getitem__
        self.parameters: list[Equation] = []

    @property
    def keeps_by_gate(self) -> bool:
        """Whether the forget gate alone says how much of the cell state's gradient goes on."""
        return self.variant.cell_clip is None and self.masks.zoneout_cell is None

    @property
    def kept(self) -> Any:
        """How much of the cell state's gradient goes on to the step before, along the cell state alone."""
        kept = self.env[F]
        if self.variant.cell_clip is not None:
            kept = kept * evaluate(within(Symbol("c_raw"), self.variant.cell_clip), self.env)
        if self.masks.zoneout_cell is not None:
            share = self.env[Symbol("k", "c")]
            kept = share + (1 - share) * kept
        return kept

    def line(self, left: Symbol, right: Formula, over: str = UNITS, **more: Any) -> Equation:
        """Return an equation, and keep what it gives for the next ones."""
        env = {node: self.env[node] for node in nodes(right) if isinstance(node, Symbol)}
        if not any(isinstance(node, MatMul) for node in nodes(right)):
            more.pop("products", None)
        self.env[left] = value = evaluate(right, env)
        return Equation(left, right, env, value, over, **more)

    def forward(self) -> Section:
        """Return the step forward in brief: its equations, and what they gave."""
        blocks: list[Block] = [replace(equation, worked=False) for equation in self.made]
        for over in (COLUMNS, FEATURES, RECURRENT, UNITS):
            rows = tuple(
                (one.left, tuple(one.value)) for one in self.made if one.over == over and np.ndim(one.value) == 1
            )
            if rows:
                blocks.append(Table("", self.names[over], rows, whole=True))
        time = None if self.walk.time is None else f"{self.walk.time}, forward"
        single = tuple((one.left, (one.value,)) for one in self.made if np.ndim(one.value) == 0)
        if single:
            blocks.append(Table("", ("over all units",), single, whole=True))
        return Section("forward", "What the step did forward, in brief", tuple(blocks), time, self.walk.at)

    def sections(self, dh: Array, dc: Array) -> list[Section]:
        """Return the way back through the step, given what arrives at its hidden state and its cell state."""
        self.env[DH], self.env[DC_NEXT] = dh, dc
        recurrent = self.walk.recurrent(RECURRENT)
        arriving: list[Block] = [
            Table("", self.names[recurrent], ((DH, tuple(dh)),)),
            Table("", self.names[UNITS], ((DC_NEXT, tuple(dc)),)),
            Sentence((DH, " arrives at the hidden state, ", DC_NEXT, " at the cell state, from what comes after.")),
        ]
        found = [self._section("arriving", "What arrives", arriving)]
        if hidden := self._hidden_state():
            found.append(self._section("d_hidden_state", "Back through the hidden state", hidden))
        activation = self.variant.activation("c")
        self.t = apply(activation, self.shown)
        do = self.line(d(O), times(self.dm, self.t))
        found.append(self._gate("o", [do]))
        found.append(self._section("d_cell_state", "Back through the cell state, to all it is made of", self._cell()))
        for k in self.walk.notation.order.replace("o", ""):
            if k != self.variant.coupled:
                found.append(self._gate(k, []))
        if self.variant.layer_norm == "haste":
            title = "Back through the layer norm, across all gates"
            found.append(self._section("d_sums", title, [*self._sums("u"), *self._sums("w")]))
        found.append(self._section("d_weights", "To the weights and biases", self._weights()))
        found.append(self._section("d_previous", "To the input and the previous state", self._previous()))
        return found

    def _section(self, key: str, title: str, blocks: Iterable[Block]) -> Section:
        time = None if self.walk.time is None else f"{self.walk.time}, back"
        return Section(key, title, tuple(blocks), time, self.walk.at)

    @property
    def shown(self) -> Symbol:
        """The cell state as the output's nonlinearity meets it."""
        return self.cell if self.p.cell_norm is None else Symbol("c_norm")

    @property
    def dm(self) -> Symbol:
        """The derivative by o * tanh(c): by h, unless something comes between."""
        if self.p.projection is not None:
            return d(Symbol("m"))
        return DH if self.masks.zoneout_hidden is None else d(Symbol("h_new"))

    def _hidden_state(self) -> list[Block]:
        """Zoneout, the projection and its clip."""
        blocks: list[Block] = []
        over, arrived = self.walk.recurrent(RECURRENT), DH
        if self.masks.zoneout_hidden is not None:
            new = d(Symbol("h_new"))
            blocks.append(self.line(new, times(less(ONE, Symbol("k", "h")), DH), over))
            arrived = new
        if self.p.projection is not None:
            bound, raw = self.variant.projection_clip, Symbol("h_raw")
            if bound is not None:
                blocks.append(self.line(d(raw), times(arrived, within(raw, bound)), over))
                arrived = d(raw)
            R = Symbol("R")
            blocks.append(self.line(d(Symbol("m")), MatMul(Transpose(R), arrived), products=self.names[RECURRENT]))
        self.projected = arrived
        return blocks

    def _gate(self, k: str, blocks: list[Block]) -> Section:
        """From a gate to its weighted sum."""
        gate, a, activation = Symbol(k), Symbol("a", k), self.variant.activation(k)
        blocks.append(self.line(d(a), times(d(gate), slope(activation, gate))))
        inner = a
        if self.variant.gate_clip is not None:
            inner = Symbol("a", f"{k},raw")
            blocks.append(self.line(d(inner), times(d(a), within(inner, self.variant.gate_clip))))
        if self.variant.layer_norm == "gates":
            blocks += self._standardised(Symbol("q", k), Symbol("n", k), Symbol("γ", k), d(inner), k)
        slopes = evaluate(slope(activation, gate), self.env) * np.ones_like(self.env[gate])
        if self.variant.gate_clip is not None:
            slopes = slopes * evaluate(within(inner, self.variant.gate_clip), self.env)
        told = meaning.gate_back(k, self.env[d(gate)], slopes, self.units, self.named)
        blocks.append(Sentence(told))
        title = f"Back through the {NAMES[index(k)].replace('_', ' ')}"
        return self._section(f"d_{NAMES[index(k)]}", title, blocks)

    def inner(self, k: str) -> Symbol:
        """The derivative by the sum that the bias is added to."""
        return d(Symbol("a", k if self.variant.gate_clip is None else f"{k},raw"))

    def weighted(self, k: str) -> Symbol:
        """The derivative by the sum of products with the weights."""
        return d(Symbol("q", k)) if self.variant.layer_norm == "gates" else self.inner(k)

    def _standardised(
        self, q: Symbol, n: Symbol, gain: Symbol, arrived: Symbol, name: str, left: Symbol | None = None
    ) -> list[Equation]:
        """Back through gain * (q - mean) / sqrt(variance + ε): what remains without its mean and its part along n."""
        lines = [
            self.line(n, self._normed(q, name)),
            self.line(d(n), times(gain, arrived)),
        ]
        along = times(n, Call("mean", (times(d(n), n),)))
        right = Quotient(add(d(n), Negative(Call("mean", (d(n),))), Negative(along)), self._deviation(name))
        return [*lines, self.line(left or d(q), right)]

    def _deviation(self, name: str) -> Formula:
        return Call("sqrt", (add(Symbol("v", name), Number(self.M.epsilon)),))

    def _normed(self, q: Symbol, name: str) -> Formula:
        return Quotient(less(q, Symbol("μ", name)), self._deviation(name))

    def _cell(self) -> list[Block]:
        blocks: list[Block] = []
        activation = self.variant.activation("c")
        through: Formula = times(self.dm, O, slope(activation, self.t))
        if self.p.cell_norm is not None:
            blocks.append(self.line(d(self.shown), through))
            n, gain, share = Symbol("n", self.cell.base), Symbol("γ", "c"), d(Symbol("c_seen"))
            blocks += self._standardised(self.cell, n, gain, d(self.shown), self.cell.base, share)
            through = share
        arrived: Formula = DC_NEXT
        if self.masks.zoneout_cell is not None:
            arrived = times(less(ONE, Symbol("k", "c")), DC_NEXT)
        terms = [arrived, through]
        if self.p.peephole is not None:
            terms.append(times(self.weighted("o"), Symbol("p", "o")))
        blocks.append(self.line(self.new, add(*terms)))
        said = meaning.cell_back(evaluate(arrived, self.env), self.env[self.new], self.units, self.named)
        raw = self.new
        if self.variant.cell_clip is not None:
            raw = d(Symbol("c_raw"))
            blocks.append(self.line(raw, times(self.new, within(Symbol("c_raw"), self.variant.cell_clip))))
        self.raw = raw
        if self.variant.coupled == "f":
            blocks.append(self.line(d(I), times(raw, less(G, C_PREV))))
        elif self.variant.coupled == "i":
            blocks.append(self.line(d(F), times(raw, less(C_PREV, G))))
        else:
            blocks += [self.line(d(F), times(raw, C_PREV)), self.line(d(I), times(raw, G))]
        return [*blocks, self.line(d(G), times(raw, I)), Sentence(said)]

    def _sums(self, base: str) -> list[Block]:
        """Back through Haste's layer norm of the recurrent sums u, or of the input's sums w, across all gates."""
        own, whole, dwhole = self._own(), Symbol("n", base), d(Symbol("n", base))
        blocks: list[Block] = []
        for k in own:
            n, q = Symbol("n", f"{base}{k}"), Symbol(base, k)
            blocks.append(self.line(n, self._normed(q, base)))
            blocks.append(self.line(d(n), times(Symbol("γ", f"{base}{k}"), self.inner(k))))
        stacked = {whole: [Symbol("n", f"{base}{k}") for k in own], dwhole: [d(Symbol("n", f"{base}{k}")) for k in own]}
        for left, parts in stacked.items():
            blocks.append(self.line(left, Stack(tuple(parts)), ALL_GATES, worked=False))
        first, second = Symbol("m", f"1,{base}"), Symbol("m", f"2,{base}")
        blocks.append(self.line(first, Call("mean", (dwhole,))))
        blocks.append(self.line(second, Call("mean", (times(dwhole, whole),))))
        for k in own:
            n = Symbol("n", f"{base}{k}")
            over = add(d(n), Negative(first), Negative(times(n, second)))
            blocks.append(self.line(d(Symbol(base, k)), Quotient(over, self._deviation(base))))
        return blocks

    def _own(self) -> list[str]:
        return [k for k in self.walk.notation.order if k in self.variant.own]

    def _weights(self) -> list[Block]:
        """Every gradient of a parameter, as an outer product or a product of two vectors."""
        blocks: list[Equation] = []
        apart, haste = self.walk.split, self.variant.layer_norm == "haste"
        sides = self.walk.parts() if apart else ()
        for k in self._own():
            if apart:
                for matrix, _, vector, _, over in reversed(sides):
                    q = d(Symbol("u" if over == RECURRENT else "w", k)) if haste else self.weighted(k)
                    self._outer(blocks, replace(matrix, sub=k), q, vector, over)
            else:
                self._outer(blocks, Symbol("W", k), self.weighted(k), Z, COLUMNS)
            blocks.append(self.line(d(Symbol("b", k)), self.inner(k)))
            if self.walk.notation.two_biases:
                blocks.append(self.line(d(Symbol("b2", k)), self.inner(k)))
            if self.p.peephole is not None and k in PEEPHOLES:
                seen = self.cell if k == "o" else C_PREV
                blocks.append(self.line(d(Symbol("p", k)), times(self.weighted(k), seen)))
            if self.variant.layer_norm == "gates":
                blocks.append(self.line(d(Symbol("γ", k)), times(self.inner(k), Symbol("n", k))))
            if haste:
                for base in "uw":
                    n = Symbol("n", f"{base}{k}")
                    blocks.append(self.line(d(Symbol("γ", f"{base}{k}")), times(self.inner(k), n)))
        if self.p.cell_norm is not None:
            n = Symbol("n", self.cell.base)
            blocks.append(self.line(d(Symbol("γ", "c")), times(d(self.shown), n)))
            blocks.append(self.line(d(Symbol("β", "c")), d(self.shown)))
        if self.p.projection is not None:
            right = Outer(self.projected, Symbol("m"))
            blocks.append(self.line(d(Symbol("R")), right, RECURRENT, across=UNITS))
        self.parameters = blocks
        weights = [one for one in blocks if np.ndim(one.value) == 2 and one.left.base in "WU"]
        return [*blocks, Sentence(meaning.weights_back(weights, self.names))]

    def _outer(self, blocks: list[Equation], W: Symbol, q: Symbol, seen: Symbol, across: str) -> None:
        right: Formula = Outer(q, seen)
        if self.masks.weight is not None and W.base == ("U" if self.walk.split else "W"):
            mask = np.broadcast_to(self.masks.weight, self.M.U.shape)[index(W.sub)]
            if not self.walk.split:
                mask = np.concatenate([mask, np.ones_like(self.p.input_weight[0])], axis=-1)
            self.env[Symbol("D", W.sub)] = mask
            right = times(right, Symbol("D", W.sub))
        blocks.append(self.line(d(W), right, across=across))

    def _previous(self) -> list[Block]:
        blocks: list[Block] = []
        recurrent, features = self.walk.recurrent(RECURRENT), FEATURES
        own, haste = self._own(), self.variant.layer_norm == "haste"
        h: Formula
        x: Formula
        if self.walk.split:
            both: list[Formula] = []
            for matrix, weights, _, _, over in self.walk.parts():
                base = ("u" if over == RECURRENT else "w") if haste else ""
                terms = []
                for k in own:
                    self.env[replace(matrix, sub=k)] = weights[index(k)]
                    terms.append(
                        MatMul(Transpose(replace(matrix, sub=k)), d(Symbol(base, k)) if base else self.weighted(k))
                    )
                both.append(add(*terms))
            h, x = both
            products = tuple(f"{k}: {name}" for k in own for name in self.names[UNITS])
            if D_H in self.walk.seen:
                blocks.append(self.line(d(Z_H), h, recurrent, products=products))
                h = d(Z_H)
            if D_X in self.walk.seen:
                blocks.append(self.line(d(Z_X), x, features, products=products))
                x = d(Z_X)
        else:
            terms = [MatMul(Transpose(Symbol("W", k)), self.weighted(k)) for k in own]
            products = tuple(f"{k}: {name}" for k in own for name in self.names[UNITS])
            whole = self.line(DZ, add(*terms), COLUMNS, products=products)
            blocks.append(whole)
            size = self.p.recurrent_size
            h, x = Part(DZ, 0, size), Part(DZ, size, size + self.p.input_size)
        if D_H in self.walk.seen:
            h = times(h, D_H)
        if D_X in self.walk.seen:
            x = times(x, D_X)
        if self.masks.zoneout_hidden is not None:
            h = add(h, times(Symbol("k", "h"), DH))
        blocks.append(self.line(DX, x, features, products=products))
        back = self.line(DH_PREV, h, recurrent, products=products)
        blocks.append(back)
        c: list[Formula] = [times(self.raw, F)]
        if self.p.peephole is not None:
            c += [times(self.weighted(k), Symbol("p", k)) for k in "fi" if k in self.variant.own]
        if self.masks.zoneout_cell is not None:
            c.append(times(Symbol("k", "c"), DC_NEXT))
        blocks.append(self.line(DC_PREV, add(*c)))
        told = meaning.previous_back(self.env[self.raw], self.env[DC_PREV], self.units, self.named)
        return [*blocks, *self._opened(back if self.walk.split else whole), Sentence(told)]

    def _opened(self, equation: Equation) -> list[Block]:
        """Every product in the derivative by the hidden states of the units that are opened; projected, by all."""
        if not self.walk.opened or not equation.products:
            return []
        entries = self.units if self.p.projection is None else range(self.p.recurrent_size)
        found: list[Block] = []
        for k in entries:
            terms = []
            shown = substitute(equation.right, equation.env, k)
            factors = [one for one in shown.terms if isinstance(one, Product)] if isinstance(shown, Sum) else []
            for name, product in zip(equation.products, factors, strict=False):
                weight, value = (float(evaluate(factor, {})) for factor in product.factors)
                terms.append(Term(name, weight, value, weight * value))
            terms.sort(key=lambda term: -abs(term.product))
            total = sum(term.product for term in terms)
            found.append(Opened(equation.left, k, Terms(tuple(terms), total, "derivative"), equation.over))
        return found


def within(symbol: Symbol, bound: float) -> Holds:
    """Return 1 where a number was not clipped: the derivative of a clip."""
    return Holds(Call("abs", (symbol,)), "≤", Number(bound))
