"""From a step to the parts of its walkthrough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.arrays import index as index_of
from gatewise.equations import mean
from gatewise.errors import OptionError
from gatewise.gates import LETTERS, NAMES, PEEPHOLES, index
from gatewise.parameters import Parameters
from gatewise.step import Step
from gatewise.trace import LSTMTrace, Trace
from gatewise.views.walkthrough import meaning
from gatewise.views.walkthrough.formula import (
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
    definition,
    less,
    times,
)
from gatewise.views.walkthrough.parts import (
    Block,
    Definition,
    Equation,
    Facts,
    Opened,
    Section,
    Sentence,
    Table,
    Walkthrough,
)

ORDER = "figo"  # in which the worked example goes through the gates
TITLES = {"i": "Input gate", "f": "Forget gate", "g": "Candidate", "o": "Output gate"}
PURPOSES = {
    "i": "how much of the candidate each unit lets in",
    "f": "how much of its old memory each unit keeps",
    "g": "what each unit would write into its memory",
    "o": "how much of its memory each unit shows",
}
X, H_PREV, C_PREV, Z = Symbol("x"), Symbol("h_prev"), Symbol("c_prev"), Symbol("z")
I, F, G, O, C, H = (Symbol(letter) for letter in "ifgoch")
OPENNESS = ("sigmoid", "hard_sigmoid")  # nonlinearities that lie between 0 and 1
TABLE = (-2, -1, 0, 1, 2)  # where the worked example prints the activations


def walk(
    thing: Step | Sequence[Step] | Trace,
    *,
    unit: int | None = None,
    batch: int = 0,
    facts: Mapping[str, object] | None = None,
) -> Walkthrough:
    """Walk through one step, or several, line by line: equation, shapes, numbers, meaning.

    Parameters
    ----------
    thing : Step, sequence of Step, or Trace
        Of a trace, all steps of one row that took place.
    unit : int, optional
        Open one unit: show every product of its sums, largest contribution first. Negative counts from the end.
    batch : int
        Which row of a trace.
    facts : mapping, optional
        What else is known of the cell, shown among its sizes (where its numbers come from, say).

    Returns
    -------
    Walkthrough
        Printed, it is text.

    Raises
    ------
    OptionError
        If there is nothing to walk through, or no such unit.
    NotKeptError
        If a trace did not keep everything.

    Examples
    --------
    >>> cell = gw.LSTMCell.random(3, 2, init="notebook", scale=0.01, seed=1010)
    >>> step = cell.step([0.5, 0.8, 0.2], gw.State([0.3, 0.4], [0.2, 0.3]))
    >>> print(walk(step).sections[5].title)
    Forget gate: how much of its old memory each unit keeps
    """
    steps = _steps(thing, batch)
    first = steps[0]
    p, units = first.parameters, None
    if unit is not None:
        units = (index_of("unit", unit, p.hidden_size, "this cell"),)
    sections = [_activations(p), _sizes(first, facts or {}), _weights(first, units)]
    if len(steps) > 1:
        sections.append(_sequence(steps, units))
    for number, step in enumerate(steps):
        time = _time_name(step, number) if len(steps) > 1 else None
        sections += _StepWalk(step, units, time).sections()
    many = f"{len(steps)} steps" if len(steps) > 1 else "one step"
    names = tuple(_unit_name(first, k) for k in range(p.hidden_size))
    return Walkthrough(f"An LSTM cell, {many} line by line", tuple(sections), units, names)


def _steps(thing: object, batch: int) -> list[Step]:
    if isinstance(thing, Step):
        return [thing]
    if isinstance(thing, Trace):
        batch = index_of("row", batch, thing.batch, "this trace")
        times = range(len(thing)) if thing.live is None else np.flatnonzero(thing.live[:, batch]).tolist()
        order = times if thing.direction == "forward" else list(reversed(times))
        steps = [thing.step(t, batch) for t in order]
    elif isinstance(thing, LSTMTrace):
        raise OptionError("walk takes the trace of one cell, such as trace[0] or trace[0, 'backward']")
    elif isinstance(thing, Sequence) and all(isinstance(one, Step) for one in thing):
        steps = list(thing)
    else:
        raise OptionError(f"walk takes a Step, a sequence of them or a Trace, not {type(thing).__name__}")
    if not steps:
        raise OptionError("there is no step to walk through")
    return steps


def _unit_name(step: Step, k: int) -> str:
    name = step.labels.unit(k)
    return name if step.labels.units is not None else f"unit {name}"


# What is the same at every step.


def _activations(p: Parameters) -> Section:
    used = [p.variant.activation(letter) for letter in LETTERS if letter in p.variant.own]
    used.append(p.variant.activation("c"))
    distinct = list(dict.fromkeys(used))
    blocks: list[Block] = []
    rows = []
    a = Symbol("a")
    with np.errstate(all="ignore"):
        for activation in distinct:
            name = apply(activation, a).name
            blocks.append(Definition(name, definition(activation)))
            values = activation(np.array(TABLE, np.float64))
            rows.append((f"{name}(a)", tuple(float(value) for value in values)))
    blocks.append(Table("", tuple(f"a = {at}" for at in TABLE), tuple(rows)))
    if "sigmoid" in {activation.name for activation in distinct}:
        blocks.append(Sentence("A gate through σ lies between 0, shut, and 1, open; a sum of 0 opens it by half."))
    return Section("activations", "The nonlinearities", tuple(blocks))


def _sizes(step: Step, facts: Mapping[str, object]) -> Section:
    p = step.parameters
    items = [("input size", str(p.input_size)), ("hidden size", str(p.hidden_size))]
    if p.projection is not None:
        items.append(("projected to", str(p.recurrent_size)))
    items.append(("parameters", f"{p.count:,}"))
    items += [(name.replace("_", " "), str(value)) for name, value in p.variant.differences().items()]
    items += [(name, str(value)) for name, value in facts.items()]
    seen = p.recurrent_size + p.input_size
    each = f"Each of the {p.hidden_size} units" if p.hidden_size > 1 else "The unit"
    says = f"{each} has a cell state, its memory, and gates that see {seen} numbers: h_prev and x."
    return Section("sizes", "The cell", (Facts(tuple(items)), Sentence(says)))


def _weights(step: Step, units: tuple[int, ...] | None) -> Section:
    p, columns = step.parameters, tuple(step.column_names())
    shown = range(p.hidden_size) if units is None else units
    blocks: list[Block] = []

    def matrix(title: str, array: Any, heads: tuple[str, ...], rows: Sequence[int], name: Any) -> None:
        blocks.append(Table(title, heads, tuple((name(k), array[k]) for k in rows)))

    def unit(k: int) -> str:
        return _unit_name(step, k)

    for letter in ORDER:
        if letter in p.variant.own:
            k = index(letter)
            with_bias = np.column_stack([p.weight[k], p.bias[k]])
            matrix(f"{TITLES[letter]}: W_{letter} and b_{letter}", with_bias, (*columns, "bias"), shown, unit)
    if p.peephole is not None:
        heads = tuple(f"p_{letter}" for letter in PEEPHOLES)
        matrix("Peepholes: what each gate takes of the cell state", p.peephole.T, heads, shown, unit)
    if p.variant.layer_norm == "gates" and p.norm_gain is not None:
        matrix("Gains of the layer norm", p.norm_gain.T, tuple(f"γ_{k}" for k in LETTERS), shown, unit)
    if p.cell_norm is not None and p.norm_gain is not None:
        both = np.concatenate([p.norm_gain[0], p.norm_gain[1], p.cell_norm]).T
        heads = (*(f"γ_u{k}" for k in LETTERS), *(f"γ_w{k}" for k in LETTERS), "γ_c", "β_c")
        matrix("Gains of the layer norm", both, heads, shown, unit)
    if p.projection is not None:
        heads = tuple(f"m{k}" for k in range(p.hidden_size))
        matrix("Projection: R", p.projection, heads, range(p.recurrent_size), lambda k: f"h{k}")
    blocks.append(Sentence("A row belongs to a unit, a column to the entry of the combined input it multiplies."))
    return Section("weights", "The weights and biases of each gate", tuple(blocks))


def _sequence(steps: Sequence[Step], units: tuple[int, ...] | None) -> Section:
    p, labels = steps[0].parameters, steps[0].labels
    shown = list(range(p.hidden_size) if units is None else units)[:4]
    inputs = range(p.input_size) if p.input_size <= 3 else ()
    blocks: list[Block] = []
    last = "m" if p.projection is not None else "h"
    for k in shown:
        rows = []
        for number, step in enumerate(steps):
            M = step.moment
            gates = [M.i[0, k], M.f[0, k], M.g[0, k], M.o[0, k], M.c[0, k], (M.m if last == "m" else M.h)[0, k]]
            rows.append((_time_name(step, number), (*(step.x[n] for n in inputs), *gates)))
        heads = (*(labels.feature(n) for n in inputs), "i", "f", "g", "o", "c", last)
        start = len(inputs)
        blocks.append(Table(_unit_name(steps[0], k), heads, tuple(rows), (start, start + 1, start + 3), digits=4))
    if len(shown) < p.hidden_size and units is None:
        blocks.append(Sentence(f"… and {p.hidden_size - len(shown)} more units (--unit K, or unit=K, shows one)."))
    return Section("sequence", f"The {len(steps)} steps at a glance", tuple(blocks))


def _time_name(step: Step, number: int) -> str:
    return step.name or f"step {number if step.time is None else step.time}"


class _StepWalk:
    """The sections of one step. Each equation is written in symbols, with what they stand for in this step."""

    def __init__(self, step: Step, units: tuple[int, ...] | None, time: str | None) -> None:
        self.step, self.p, self.M, self.time = step, step.parameters, step.moment, time
        self.units = tuple(range(self.p.hidden_size)) if units is None else units
        self.opened = units is not None
        self.masks = step.moment.masks

    def sections(self) -> list[Section]:
        """Return the sections in the order of the worked example; with peepholes the output gate comes after the
        new cell state, which it sees.
        """
        with np.errstate(all="ignore"):
            gates = {letter: self._gate(letter) for letter in ORDER}
            cell = [self._cell_state()]
            late = [gates.pop("o")] if self.p.peephole is not None else []
            if self.p.variant.coupled == "f":  # it is 1 - i: after i
                gates["f"] = gates.pop("f")
            found = [self._input(), self._combined()]
            if self.p.variant.layer_norm == "haste":
                found.append(self._sums())
            return [*found, *gates.values(), *cell, *late, self._hidden_state()]

    def _section(self, key: str, title: str, blocks: Sequence[Block]) -> Section:
        return Section(key, title, tuple(blocks), self.time)

    def _named(self, k: int) -> str:
        return _unit_name(self.step, k)

    def _input(self) -> Section:
        step, p = self.step, self.p
        features = tuple(step.labels.feature(k) for k in range(p.input_size))
        same = p.projection is None
        units = range(p.hidden_size)
        blocks: list[Block] = [Table("The input x", features, (("x", tuple(step.x)),))]
        if same:
            rows = (("h_prev", tuple(step.previous.h)), ("c_prev", tuple(step.previous.c)))
            blocks.append(Table("The previous hidden state and cell state", tuple(map(self._named, units)), rows))
        else:
            heads = tuple(f"h{k}" for k in range(p.recurrent_size))
            blocks.append(Table("The previous hidden state", heads, (("h_prev", tuple(step.previous.h)),)))
            cells = (("c_prev", tuple(step.previous.c)),)
            blocks.append(Table("The previous cell state", tuple(map(self._named, units)), cells))
        blocks.append(Sentence("x is new; h_prev is what the cell put out one step ago, c_prev what it remembers."))
        return self._section("input", "The input and the previous state", blocks)

    def _combined(self) -> Section:
        M, blocks = self.M, list[Block]()
        h: Formula = H_PREV
        x: Formula = X
        env: dict[Symbol, Any] = {H_PREV: M.h_prev[0], X: M.x[0]}
        for mask, name, which in ((self.masks.recurrent, "h", "recurrent"), (self.masks.input, "x", "input")):
            if mask is not None:
                symbol = Symbol("d", name)
                env[symbol] = mask[0]
                h, x = (times(H_PREV, symbol), x) if which == "recurrent" else (h, times(X, symbol))
                blocks.append(Sentence(f"d_{name} is the dropout mask of the {which} part."))
        blocks.append(Equation(Z, Stack((h, x)), env, M.z[0], whole=True))
        blocks.append(Table("", tuple(self.step.column_names()), (("z", tuple(M.z[0])),)))
        above, below = self.p.recurrent_size, self.p.input_size
        says = f"Above is what the cell put out one step ago ({above}), below what is new ({below})."
        blocks.append(Sentence(says))
        return self._section("combined_input", "The combined input: what every gate sees", blocks)

    def _sums(self) -> Section:
        """The sums of all gates, which Haste's layer norm standardises together."""
        M, p = self.M, self.p
        own = [k for k in LETTERS if k in p.variant.own]
        blocks: list[Block] = []
        opened: list[Block] = []
        for base, matrix, vector, value in (("u", "U", H_PREV, M.u), ("w", "W", X, M.w)):
            seen = M.z_h[0] if vector is H_PREV else M.z_x[0]
            weights = M.U if vector is H_PREV else p.input_weight
            vector = Symbol("z", "h" if vector is H_PREV else "x") if self._dropped(vector) else vector
            for k in own:
                env = {Symbol(matrix, k): weights[index(k)], vector: seen}
                formula = MatMul(Symbol(matrix, k), vector)
                blocks.append(Equation(Symbol(base, k), formula, env, value[index(k), 0]))
                if self.opened:
                    part = "recurrent" if base == "u" else "input"
                    opened += [
                        Opened(Symbol(base, k), n, self.step.terms(NAMES[index(k)], n, part=part)) for n in self.units
                    ]
            everything = np.concatenate([value[index(k), 0] for k in own])
            parts = Stack(tuple(Symbol(base, k) for k in own))
            env = {Symbol(base, k): value[index(k), 0] for k in own}
            blocks.append(Equation(Symbol(base), parts, env, everything, whole=True))
            blocks += self._moments(base, everything)
        blocks += opened
        blocks.append(Sentence("Layer norm brings u and w, each by itself, to mean 0 and variance 1."))
        return self._section("sums", "The recurrent sums u and the input's sums w, across all gates", blocks)

    def _dropped(self, vector: Symbol) -> bool:
        return (self.masks.recurrent if vector is H_PREV else self.masks.input) is not None

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
            blocks.append(Equation(gate, apply(activation, a), {a: M.a(k)[0]}, value, openness))
            blocks += self._opened(a, NAMES[index(k)])
        blocks.append(self._meaning(meaning.gate(self.step, k, self.units, self._named)))
        return self._section(NAMES[index(k)], f"{TITLES[k]}: {PURPOSES[k]}", blocks)

    def _preactivation(self, k: str) -> Iterator[Block]:
        """The equations from the combined input to a gate's pre-activation."""
        p, M, variant, row = self.p, self.M, self.p.variant, index(k)
        W, b, q = Symbol("W", k), Symbol("b", k), Symbol("q", k)
        env: dict[Symbol, Any] = {W: M.W[row], Z: M.z[0], b: p.bias[row]}
        terms: list[Formula] = [MatMul(W, Z)]
        if self.masks.weight is not None:
            yield Sentence(f"W_{k} is shown under its DropConnect mask.")
        if p.norm_gain is not None and variant.layer_norm == "haste":
            del env[W], env[Z]
            terms = []
            for base, gain, sums in (("u", p.norm_gain[0], M.u), ("w", p.norm_gain[1], M.w)):
                whole = np.concatenate([sums[index(one), 0] for one in variant.own])
                formula, symbols = self._standardised(base, sums[row, 0], k, whole)
                gamma = Symbol("γ", f"{base}{k}")
                env |= {gamma: gain[row], **symbols}
                terms.append(times(gamma, formula))
        if p.peephole is not None and k in PEEPHOLES:
            peephole, seen = Symbol("p", k), C_PREV if k != "o" else self._seen_cell()
            env |= {peephole: p.peephole[PEEPHOLES.index(k)], seen: M.seen(k)[0]}
            terms.append(times(peephole, seen))
        if p.norm_gain is not None and variant.layer_norm == "gates":
            bias = env.pop(b)
            yield Equation(q, add(*terms), env, M.q(k)[0])
            yield from self._moments("q", M.q(k)[0], k)
            formula, symbols = self._standardised("q", M.q(k)[0], k)
            gamma = Symbol("γ", k)
            terms, env = [times(gamma, formula)], {gamma: p.norm_gain[row], b: bias, **symbols}
        a, raw = Symbol("a", k), Symbol("a", f"{k},raw")
        clip = variant.gate_clip
        yield Equation(a if clip is None else raw, add(*terms, b), env, M.unclipped(k)[0])
        if clip is not None:
            yield Equation(a, _clip(raw, clip), {raw: M.unclipped(k)[0]}, M.a(k)[0])

    def _seen_cell(self) -> Symbol:
        """The name of the new cell state before any zoneout."""
        return C if self.masks.zoneout_cell is None else Symbol("c_new")

    def _cell_state(self) -> Section:
        M, blocks = self.M, list[Block]()
        clip, new, raw = self.p.variant.cell_clip, self._seen_cell(), Symbol("c_raw")
        env = {F: M.f[0], C_PREV: M.c_prev[0], I: M.i[0], G: M.g[0]}
        formula = add(times(F, C_PREV), times(I, G))
        blocks.append(Equation(new if clip is None else raw, formula, env, M.c_raw[0]))
        if clip is not None:
            blocks.append(Equation(new, _clip(raw, clip), {raw: M.c_raw[0]}, M.c_new[0]))
        if self.masks.zoneout_cell is not None:
            blocks.append(self._zoneout(C, C_PREV, new, self.masks.zoneout_cell[0], M.c_prev[0], M.c_new[0], M.c[0]))
        blocks += self._opened(C, "cell_state")
        blocks.append(self._meaning(meaning.cell_state(self.step, self.units, self._named)))
        return self._section("cell_state", "The new cell state: what is kept and what is new", blocks)

    def _hidden_state(self) -> Section:
        p, M, blocks = self.p, self.M, list[Block]()
        c, v, m, R = self._seen_cell(), Symbol("c_norm"), Symbol("m"), Symbol("R")
        value = M.v[0]
        if p.cell_norm is not None:
            blocks += self._moments(c.base, M.c_new[0])
            formula, env = self._standardised(c.base, M.c_new[0])
            gamma, beta = Symbol("γ", "c"), Symbol("β", "c")
            env |= {gamma: p.cell_norm[0], beta: p.cell_norm[1]}
            blocks.append(Equation(v, add(times(gamma, formula), beta), env, value))
            c = v
        names = [m] if p.projection is not None else []
        zoned, clip = self.masks.zoneout_hidden is not None, p.variant.projection_clip
        after = Symbol("h_new") if zoned else H
        formula = times(O, apply(p.variant.activation("c"), c))
        blocks.append(Equation(names[0] if names else after, formula, {O: M.o[0], c: value}, M.m[0]))
        if p.projection is not None:
            raw = Symbol("h_raw")
            projected = Equation(after if clip is None else raw, MatMul(R, m), {R: p.projection, m: M.m[0]}, M.r_raw[0])
            blocks.append(projected)
            if clip is not None:
                blocks.append(Equation(after, _clip(raw, clip), {raw: M.r_raw[0]}, M.r[0]))
        if zoned and self.masks.zoneout_hidden is not None:
            blocks.append(self._zoneout(H, H_PREV, after, self.masks.zoneout_hidden[0], M.h_prev[0], M.r[0], M.h[0]))
        units, name = self.units, self._named
        if p.projection is None:
            blocks += self._opened(H, "hidden_state")
        else:
            units, name = tuple(range(p.recurrent_size)), "h{}".format
            if self.opened:  # a projected entry takes from every unit: all are opened
                blocks += [Opened(H, k, self.step.terms("hidden_state", k), projected=True) for k in units]
            below = {H, after, Symbol("h_raw")}
            blocks = [replace(b, projected=True) if isinstance(b, Equation) and b.left in below else b for b in blocks]
        blocks.append(self._meaning(meaning.hidden_state(self.step, units, name)))
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

    def _meaning(self, text: str) -> Sentence:
        return Sentence(text[0].upper() + text[1:] if text.startswith(("unit ", "of ")) else text)


def _clip(symbol: Symbol, bound: float) -> Call:
    return Call("clip", (symbol, Number(-bound), Number(bound)))
