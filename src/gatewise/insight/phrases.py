"""Contextual decomposition: a run split into what some steps contribute and the rest; see `decomposition`.

Every quantity is a pair β + γ, for several choices of steps (phrases) at once. A nonlinearity of β + γ + b gives b its
value at b alone, and shares what β and γ add between them: the mean over both orders of adding them (Shapley).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array, Mask, chunks
from gatewise.equations import Moment
from gatewise.gates import PEEPHOLES
from gatewise.insight.backward_pass import NUMBERS
from gatewise.insight.target import Target
from gatewise.layers.merging import merge, shown
from gatewise.records.trace import Trace

MOST = 64  # phrases at once: more would leave the processor's caches, and begin at steps too far apart
Function = Callable[[Array], Array]


class Pair(NamedTuple):
    """A quantity as the sum of two: what a phrase contributes, and the rest."""

    phrase: Array
    rest: Array

    def map(self, linear: Function) -> Pair:
        """Return both parts of a linear function of the sum."""
        return Pair(linear(self.phrase), linear(self.rest))

    def plus(self, other: Pair) -> Pair:
        """Return the sum of two such quantities, part by part."""
        return Pair(self.phrase + other.phrase, self.rest + other.rest)


def shared(function: Function, pair: Pair, bias: Array | float = 0.0) -> tuple[Pair, Array]:
    """Return the parts of a nonlinearity of β + γ + b: those of β and γ, and that of b."""
    alone, both = function(np.asarray(bias)), function(pair.phrase + pair.rest + bias)
    first, second = function(pair.phrase + bias), function(pair.rest + bias)
    return Pair((first - alone + both - second) / 2, (second - alone + both - first) / 2), alone


class Phrases(NamedTuple):
    """Which steps belong to each phrase (phrase, time), and whether the initial states do (phrase,)."""

    steps: Mask
    initial: Mask


def run_cell(trace: Trace, x: Pair | None, phrases: Phrases, at: int | None = None) -> Pair:
    """Return the hidden states (time, phrase, recurrent) of a cell's run, decomposed.

    Parameters
    ----------
    trace : Trace
        A run of one sequence.
    x : Pair or None
        The decomposed input (time, phrase, input); None where it is the run's own, of which steps belong to phrases.
    phrases : Phrases
    at : int, optional
        The step of which alone the hidden states (phrase, recurrent) are wanted.
    """
    forward = trace.direction == "forward"
    begun = phrases.steps.any(0) | phrases.initial.any()
    if x is not None:
        begun |= x.phrase.any((1, 2))
    first, stop = _bounds(np.flatnonzero(begun), len(trace), at, forward=forward)
    size = (len(phrases.initial), trace.parameters.recurrent_size)
    hidden = Pair(*(np.zeros((len(trace) if at is None else 1, *size)) for _ in range(2)))
    hidden.rest[...] = trace.hidden_state if at is None else trace.hidden_state[at]  # as long as no phrase has begun
    run = trace[first:stop]
    states = [
        Pair(np.where(phrases.initial[:, None], part, 0.0), np.where(phrases.initial[:, None], 0.0, part))
        for part in (one[0].astype(np.float64) for one in run.initial)
    ]
    on = np.ones(len(run), bool) if run.valid is None else run.valid[:, 0]
    for part in chunks(len(run), 20 * trace.final.c.size, NUMBERS, reverse=not forward):
        here = run[part]
        places = np.cumsum(on[part]) - 1
        cell = DecomposedSteps(here.moment((np.flatnonzero(on[part]), 0)))
        for n in range(len(here)) if forward else reversed(range(len(here))):
            t = first + part.start + n
            within = phrases.steps[:, t, None]
            if on[part.start + n]:
                given = _own(here, n, within) if x is None else Pair(x.phrase[t], x.rest[t])
                states = cell.step(int(places[n]), given, states, within)
            if at in (None, t):
                hidden.phrase[0 if at == t else t], hidden.rest[0 if at == t else t] = states[0]
    return hidden if at is None else Pair(hidden.phrase[0], hidden.rest[0])


def _bounds(begun: npt.NDArray[np.intp], steps: int, at: int | None, *, forward: bool) -> tuple[int, int]:
    """Return the steps that have to be run: from the first of a phrase to the one that is wanted."""
    if not begun.size:
        return 0, 0
    if forward:
        return int(begun[0]), steps if at is None else max(at + 1, int(begun[0]))
    return min(at or 0, int(begun[-1]) + 1), int(begun[-1]) + 1


def _own(trace: Trace, n: int, within: Mask) -> Pair:
    x = trace.require("a decomposition")[n, 0].astype(np.float64)
    return Pair(np.where(within, x, 0.0), np.where(within, 0.0, x))


class DecomposedSteps:
    """Steps of a cell, with their output gates as they were, and all else decomposed."""

    def __init__(self, moment: Moment) -> None:
        p, wide = moment.p, np.float64
        self.parameters, self.variant, self.dropout = p, p.variant, moment.dropout
        self.weight = moment.W.astype(wide)
        self.bias = p.bias.astype(wide)
        self.peephole = None if p.peephole is None else p.peephole.astype(wide)
        self.projection = None if p.projection is None else p.projection.astype(wide)
        self.output_gate = moment.o.astype(wide)

    def gate(self, name: str, z: Pair, c: Pair) -> tuple[Pair, Array]:
        """Return a gate, decomposed, and the part of its bias."""
        place, letter = gates.index(name), gates.LETTERS[gates.index(name)]
        sums = z.map(lambda part: part @ self.weight[place].T)
        if self.peephole is not None and letter in PEEPHOLES:
            seen = self.peephole[PEEPHOLES.index(letter)]
            sums = sums.plus(c.map(lambda part: part * seen))
        activation, clip = self.variant.activation(letter), self.variant.gate_clip
        return shared(
            activation if clip is None else lambda a: activation(np.clip(a, -clip, clip)), sums, self.bias[place]
        )

    def step(self, n: int, x: Pair, states: list[Pair], within: Mask) -> list[Pair]:
        """Return the states after step `n`, decomposed."""
        h, c = states
        masks = {name: array[n] for name, array in self.dropout.arrays().items() if name != "weight"}
        seen_h = h if "recurrent" not in masks else h.map(lambda part: part * masks["recurrent"])
        seen_x = x if "input" not in masks else x.map(lambda part: part * masks["input"])
        z = Pair(*(np.concatenate(two, axis=-1) for two in zip(seen_h, seen_x, strict=True)))
        gate = {name: self.gate(name, z, c) for name in ("input_gate", "forget_gate") if not self._coupled(name)}
        for name, other in (("input_gate", "forget_gate"), ("forget_gate", "input_gate")):
            if self._coupled(name):
                pair, alone = gate[other]
                gate[name] = (pair.map(np.negative), 1 - alone)
        new_c = self._written(gate["input_gate"], self.gate("candidate", z, c), within)
        new_c = new_c.plus(_product(*gate["forget_gate"], c))
        if (bound := self.variant.cell_clip) is not None:
            new_c, _ = shared(lambda part: np.clip(part, -bound, bound), new_c)
        shown_c, alone = shared(self.variant.activation("c"), new_c)
        new_h = Pair(shown_c.phrase, shown_c.rest + alone).map(lambda part: part * self.output_gate[n])
        if (projection := self.projection) is not None:
            new_h = new_h.map(lambda part: part @ projection.T)
            if (limit := self.variant.projection_clip) is not None:
                new_h, _ = shared(lambda part: np.clip(part, -limit, limit), new_h)
        after = []
        for name, old, new in (("zoneout_hidden", h, new_h), ("zoneout_cell", c, new_c)):
            if (kept := masks.get(name)) is not None:
                new = Pair(*(kept * a + (1 - kept) * b for a, b in zip(old, new, strict=True)))
            after.append(new)
        return after

    def _coupled(self, name: str) -> bool:
        return gates.LETTERS[gates.index(name)] == self.variant.coupled

    @staticmethod
    def _written(gate: tuple[Pair, Array], candidate: tuple[Pair, Array], within: Mask) -> Pair:
        """Return what a step writes; the product of the two biases belongs to the phrases of the step."""
        (i, i_alone), (g, g_alone) = gate, candidate
        biases = i_alone * g_alone
        of_phrase = (i.phrase + i_alone) * g.phrase + i.phrase * g_alone
        rest = i.rest * (g.phrase + g.rest + g_alone) + (i.phrase + i_alone) * g.rest
        return Pair(of_phrase + np.where(within, biases, 0.0), rest + np.where(within, 0.0, biases))


def _product(gate: Pair, alone: Array, signal: Pair) -> Pair:
    """Return a gate times a signal: the phrase's part is what is free of the rest."""
    open_ = gate.phrase + alone
    return Pair(open_ * signal.phrase, open_ * signal.rest + gate.rest * (signal.phrase + signal.rest))


def merged(outputs: list[Pair], how: str) -> Pair:
    """Return the directions' outputs as one; of a product, the phrase's part is that of both phrases' parts."""
    parts = [list(part) for part in zip(*outputs, strict=True)]
    if how != "mul" or len(outputs) == 1:
        return Pair(*(merge(part, how) for part in parts))
    (a, b), (c, d) = parts
    return Pair(a * b, c * (b + d) + a * d)


def _put_out(hidden: Pair, cell: Trace, how: str) -> Pair:
    """Return the output of a direction, with zeros or its last output where a step is not valid."""
    return hidden.map(lambda part: shown(part, cell.valid, how, reverse=cell.direction == "backward"))


def decomposed(target: Target, phrases: Phrases) -> Pair:
    """Return the number that is explained, decomposed for each phrase (phrase,); the head's bias is of the rest."""
    x: Pair | None = None
    *below, top = zip(target.lstm.layers, target.lstm.merge, strict=True)
    for layer, way in below:
        hidden = {d: run_cell(cell, x, phrases) for d, cell in layer.items()}
        x = merged([_put_out(one, layer[d], target.lstm.masked_output) for d, one in hidden.items()], way)
    read = [run_cell(cell, x, phrases, target.places[d]) for d, cell in top[0].items()]
    y = merged(read, target.lstm.merge[-1])
    found = y.map(lambda part: (part * target.weight).reshape(len(part), -1).sum(-1))
    return Pair(found.phrase, found.rest + target.bias)


def together(target: Target) -> int:
    """Return how many phrases can be decomposed at once: of layers below the last, every step is kept."""
    kept = [
        2 * target.lstm.num_steps * cell.parameters.recurrent_size
        for (n, _), cell in target.lstm.cells().items()
        if n < target.lstm.num_layers - 1
    ]
    return max(1, min(MOST, NUMBERS // max([1, *kept])))
