"""Contextual decomposition: a run split into the contribution of some steps and the rest; see `decomposition`.

Every quantity is a pair β + γ, for several sets of steps (phrases) at once. A nonlinearity of β + γ + b gives b its
value at b alone; β and γ get the mean of their increments in both orders (Shapley).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array, Mask, chunks
from gatewise.equations import Moment
from gatewise.gates import PEEPHOLES
from gatewise.insight.answer import relative_error
from gatewise.insight.backward_pass import NUMBERS
from gatewise.insight.target import Target
from gatewise.layers.merging import direction_output, merge
from gatewise.progress import working
from gatewise.records.trace import Trace

MOST = 64  # phrases at once: more would leave the processor's caches, and start at distant steps
Function = Callable[[Array], Array]


class Pair(NamedTuple):
    """A quantity as the sum of the contribution of a phrase, and the rest."""

    phrase: Array
    rest: Array

    def map(self, linear: Function) -> Pair:
        """Return a linear function of both parts."""
        return Pair(linear(self.phrase), linear(self.rest))

    def plus(self, other: Pair) -> Pair:
        """Return the sum with another pair, part by part."""
        return Pair(self.phrase + other.phrase, self.rest + other.rest)


def split_function(function: Function, pair: Pair, bias: Array | float = 0.0) -> tuple[Pair, Array]:
    """Split a nonlinearity of β + γ + b, phrase, rest and bias, into the parts of phrase and rest, and of the bias."""
    alone, both = function(np.asarray(bias)), function(pair.phrase + pair.rest + bias)
    first, second = function(pair.phrase + bias), function(pair.rest + bias)
    return Pair((first - alone + both - second) / 2, (second - alone + both - first) / 2), alone


class Phrases(NamedTuple):
    """The steps of each phrase (phrase, time), and whether the initial states belong to it (phrase,)."""

    steps: Mask
    initial: Mask


def run_cell(trace: Trace, x: Pair | None, phrases: Phrases, at: int | None = None) -> Pair:
    """Return the hidden states (time, phrase, recurrent) of a cell's run, decomposed into phrase and rest.

    `x` is the decomposed input (time, phrase, input); None for the input of the run, whose steps belong to phrases.
    `at` is the only step whose hidden states (phrase, recurrent) are returned; by default all are.
    """
    forward = trace.direction == "forward"
    active = phrases.steps.any(0) | phrases.initial.any()
    if x is not None:
        active |= x.phrase.any((1, 2))
    first, stop = _steps_to_run(np.flatnonzero(active), len(trace), at, forward=forward)
    size = (len(phrases.initial), trace.parameters.recurrent_size)
    hidden = Pair(*(np.zeros((len(trace) if at is None else 1, *size)) for _ in range(2)))
    hidden.rest[...] = trace.hidden_state if at is None else trace.hidden_state[at]  # before the first phrase
    run = trace[first:stop]
    states = [
        Pair(np.where(phrases.initial[:, None], part, 0.0), np.where(phrases.initial[:, None], 0.0, part))
        for part in (array[0].astype(np.float64) for array in run.initial)
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
                step_input = _split_input(here, n, within) if x is None else Pair(x.phrase[t], x.rest[t])
                states = cell.step(int(places[n]), step_input, states, within)
            if at in (None, t):
                hidden.phrase[0 if at == t else t], hidden.rest[0 if at == t else t] = states[0]
    return hidden if at is None else Pair(hidden.phrase[0], hidden.rest[0])


def _steps_to_run(active: npt.NDArray[np.intp], steps: int, at: int | None, *, forward: bool) -> tuple[int, int]:
    """Return the steps that a decomposition must run, as bounds: from the first phrase to the returned step."""
    if not active.size:
        return 0, 0
    if forward:
        return int(active[0]), steps if at is None else max(at + 1, int(active[0]))
    return min(at or 0, int(active[-1]) + 1), int(active[-1]) + 1


def _split_input(trace: Trace, n: int, within: Mask) -> Pair:
    x = trace.require("a decomposition")[n, 0].astype(np.float64)
    return Pair(np.where(within, x, 0.0), np.where(within, 0.0, x))


class DecomposedSteps:
    """Decomposed steps of a cell, with their output gates held."""

    def __init__(self, moment: Moment) -> None:
        p, wide = moment.p, np.float64
        self.parameters, self.variant, self.dropout = p, p.variant, moment.dropout
        self.weight = moment.W.astype(wide)
        self.bias = p.bias.astype(wide)
        self.peephole = None if p.peephole is None else p.peephole.astype(wide)
        self.projection = None if p.projection is None else p.projection.astype(wide)
        self.output_gate = moment.o.astype(wide)

    def gate(self, letter: str, z: Pair, c: Pair) -> tuple[Pair, Array]:
        """Return a cell's gate decomposed into phrase and rest, and the part of its bias."""
        place = gates.index(letter)
        sums = z.map(lambda part: part @ self.weight[place].T)
        if self.peephole is not None and letter in PEEPHOLES:
            peephole = self.peephole[PEEPHOLES.index(letter)]
            sums = sums.plus(c.map(lambda part: part * peephole))
        activation, clip = self.variant.activation(letter), self.variant.gate_clip
        return split_function(
            activation if clip is None else lambda a: activation(np.clip(a, -clip, clip)), sums, self.bias[place]
        )

    def step(self, n: int, x: Pair, states: list[Pair], within: Mask) -> list[Pair]:
        """Return the LSTM cell's states after step `n`, decomposed into phrase and rest."""
        h, c = states
        masks = {name: array[n] for name, array in self.dropout.arrays().items() if name != "weight"}
        masked_h = h if "recurrent" not in masks else h.map(lambda part: part * masks["recurrent"])
        masked_x = x if "input" not in masks else x.map(lambda part: part * masks["input"])
        z = Pair(*(np.concatenate(two, axis=-1) for two in zip(masked_h, masked_x, strict=True)))
        coupled = self.variant.coupled
        gate = {letter: self.gate(letter, z, c) for letter in "if" if letter != coupled}
        if coupled:
            (pair, alone), *_ = gate.values()
            gate[coupled] = (pair.map(np.negative), 1 - alone)
        new_c = self._decomposed_write(gate["i"], self.gate("g", z, c), within)
        new_c = new_c.plus(_product(*gate["f"], c))
        if (bound := self.variant.cell_clip) is not None:
            new_c, _ = split_function(lambda part: np.clip(part, -bound, bound), new_c)
        activation, most = self.variant.activation("c"), self.variant.output_clip
        activated_c, alone = split_function(
            activation if most is None else lambda part: activation(np.clip(part, -most, most)), new_c
        )
        new_h = Pair(activated_c.phrase, activated_c.rest + alone).map(lambda part: part * self.output_gate[n])
        if (projection := self.projection) is not None:
            new_h = new_h.map(lambda part: part @ projection.T)
            if (limit := self.variant.projection_clip) is not None:
                new_h, _ = split_function(lambda part: np.clip(part, -limit, limit), new_h)
        after = []
        for name, old, new in (("zoneout_hidden", h, new_h), ("zoneout_cell", c, new_c)):
            if (mask := masks.get(name)) is not None:
                new = Pair(*(mask * a + (1 - mask) * b for a, b in zip(old, new, strict=True)))
            after.append(new)
        return after

    @staticmethod
    def _decomposed_write(gate: tuple[Pair, Array], candidate: tuple[Pair, Array], within: Mask) -> Pair:
        """Return i g of a step, decomposed; the product of the two biases belongs to the phrases of the step."""
        (i, i_alone), (g, g_alone) = gate, candidate
        biases = i_alone * g_alone
        of_phrase = (i.phrase + i_alone) * g.phrase + i.phrase * g_alone
        rest = i.rest * (g.phrase + g.rest + g_alone) + (i.phrase + i_alone) * g.rest
        return Pair(of_phrase + np.where(within, biases, 0.0), rest + np.where(within, 0.0, biases))


def _product(gate: Pair, alone: Array, signal: Pair) -> Pair:
    """Return a gate times a signal; the phrase gets the terms without the rest."""
    open_ = gate.phrase + alone
    return Pair(open_ * signal.phrase, open_ * signal.rest + gate.rest * (signal.phrase + signal.rest))


def merge_pairs(outputs: list[Pair], how: str) -> Pair:
    """Return the decomposed merge of both directions; in a product, the phrase gets the product of its parts."""
    parts = [list(part) for part in zip(*outputs, strict=True)]
    if how != "mul" or len(outputs) == 1:
        return Pair(*(merge(part, how) for part in parts))
    (a, b), (c, d) = parts
    return Pair(a * b, c * (b + d) + a * d)


def _layer_output(hidden: Pair, cell: Trace, how: str) -> Pair:
    """Return the output of a direction, with zeros or its last output at invalid steps."""
    return hidden.map(lambda part: direction_output(part, cell.valid, how, reverse=cell.direction == "backward"))


def decompose(target: Target, phrases: Phrases) -> Pair:
    """Return the output to explain, decomposed for each phrase (phrase,); the head's bias belongs to the rest."""
    x: Pair | None = None
    *below, top = zip(target.lstm.layers, target.lstm.merge, strict=True)
    for layer, way in below:
        hidden = {d: run_cell(cell, x, phrases) for d, cell in layer.items()}
        how = target.lstm.masked_output
        x = merge_pairs([_layer_output(states, layer[d], how) for d, states in hidden.items()], way)
    read = [run_cell(cell, x, phrases, target.places[d]) for d, cell in top[0].items()]
    y = merge_pairs(read, target.lstm.merge[-1])
    value = y.map(lambda part: (part * target.weight).reshape(len(part), -1).sum(-1))
    return Pair(value.phrase, value.rest + target.bias)


def relevant_steps(target: Target) -> list[int]:
    """Return the steps that can have a share in an output: in one direction, those after it have none."""
    relevant = np.ones(target.lstm.num_steps, bool) if target.valid is None else target.valid.copy()
    if target.lstm.directions == ("forward",):
        relevant[max(target.places.values()) + 1 :] = False
    elif target.lstm.directions == ("backward",):
        relevant[: min(target.places.values())] = False
    return np.flatnonzero(relevant).tolist()


def decompose_each(target: Target, choices: Sequence[int]) -> tuple[Array, float]:
    """Return the part of an output that each step contributes alone, of -1 the initial states; and the law's error."""
    parts, residual = np.zeros(len(choices)), 0.0
    with working("decomposing", len(choices)) as done:
        for piece in chunks(len(choices), 1, _phrases_at_once(target)):
            some = np.array(choices[piece])
            pair = decompose(target, Phrases(some[:, None] == np.arange(target.lstm.num_steps), some == -1))
            parts[piece] = pair.phrase
            sizes = np.abs(pair.phrase) + np.abs(pair.rest) + abs(target.value)
            residual = max(residual, relative_error(pair.phrase + pair.rest - target.value, sizes))
            done(len(some))
    return parts, residual


def _phrases_at_once(target: Target) -> int:
    """Return the number of phrases whose decompositions fit into memory: layers below the last keep every step."""
    sizes = [
        2 * target.lstm.num_steps * cell.parameters.recurrent_size
        for (n, _), cell in target.lstm.cells().items()
        if n < target.lstm.num_layers - 1
    ]
    return max(1, min(MOST, NUMBERS // max([1, *sizes])))
