"""The spread of rounding: the differences that two correct runtimes may have, number by number.

Two runtimes never agree in the last bits: they sum in different orders and compute exponentials differently. How large
a difference that alone can make is measured. The LSTM is run in float64, which is taken as the truth, and then several
times with every sum, nonlinearity and product perturbed at random by as much as a runtime of the given precision may
round it; the recurrence propagates these errors as it propagates those of the runtime (Parker, "Monte Carlo
Arithmetic", 1997).

The rounding error of a sum a = t_1 + … + t_n, added one term after another, is that of its partial sums. These grow
with the square root of n where the signs of the terms are random, and with n where all signs are equal; the standard
deviation is therefore taken as u sqrt((Σ|t|)² / 2 + n a² / 3), where u is the unit roundoff (Higham, "Accuracy and
Stability of Numerical Algorithms", 2002, chapter 4, has the bounds).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask, require_memory
from gatewise.engine.reference import valid_rows
from gatewise.equations import Moment
from gatewise.layers import LSTM
from gatewise.layers.merging import direction_output, merge
from gatewise.layers.stack import States, map_states
from gatewise.parameters import Parameters
from gatewise.records.step import State

SAMPLES = 16, 6  # perturbed runs; fewer where one is large, since its many numbers say more
LARGE = 1e9  # additions and multiplications above which one run is large
AT_ONCE = 2**25  # numbers that one array of such runs may hold at a time
DIGITS = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}  # unit roundoff


@dataclass(frozen=True, eq=False)
class Case:
    """A run to verify: an LSTM in float64, its input, its initial state and its valid steps."""

    lstm: LSTM
    x: Array
    state: States | None
    valid: Mask | None
    masked_output: str = "zeros"

    def answers(self, engine: str = "auto") -> dict[str, Array]:
        """Return the answers of the run by name: its outputs and final states."""
        y, final = self.lstm(self.x, self.state, mask=self.valid, masked_output=self.masked_output, engine=engine)
        return self.named_answers(y, final)

    def named_answers(self, y: Array, final: States, perturbation: Perturbation | None = None) -> dict[str, Array]:
        """Return answers by name; an LSTM adds no perturbation to them."""
        return answers_by_name(self.lstm, y, final)


class Perturbation(NamedTuple):
    """The source of random perturbations, and their size relative to a number: the unit roundoff."""

    rng: np.random.Generator
    roundoff: float


def answers_by_name(lstm: LSTM, y: Array, final: States) -> dict[str, Array]:
    """Return an LSTM's answers by name, to compare with a runtime's; in ``y``, unmerged directions are concatenated."""
    answers = {"y": y.reshape(*y.shape[:2], math.prod(y.shape[2:]))}
    top = [end.h for end in final[-1]]
    last = merge(top, lstm.merge[-1])
    answers["last y"] = last.reshape(len(last), math.prod(last.shape[1:]))
    for number, row in enumerate(final):
        for direction, end in zip(lstm.directions, row, strict=True):
            answers |= {name_of("hn", lstm, number, direction): end.h, name_of("cn", lstm, number, direction): end.c}
    return answers


def name_of(name: str, lstm: LSTM, layer: int, direction: str) -> str:
    """Return the name of a state of one cell."""
    places = [f"layer {layer}"] * (lstm.num_layers > 1) + [direction] * lstm.bidirectional
    return f"{name} of {', '.join(places)}" if places else name


class _Perturbed(Moment):
    """One step in which every result is perturbed by about as much as rounding may change it.

    Its batch holds the sequences of several runs, one run after another. The size of the sums' terms is the same in all
    of them, and is computed for the first run only.
    """

    rng: np.random.Generator
    roundoff: float
    runs: int
    sizes: dict[str, Array]  # |W| and the like of the cell

    def _perturbed(self, value: Array, by: Array) -> Array:
        perturbed: Array = value + self.roundoff * by * self.rng.standard_normal(value.shape, np.float32)
        return perturbed

    def _perturbed_sum(self, value: Array, z: Array, weight: Array, name: str) -> Array:
        """Return a product of z and a weight with random errors, as large as rounding may make them."""
        if name not in self.sizes:
            self.sizes[name] = np.abs(weight.mT)
        terms = np.abs(z[: len(z) // self.runs]) @ self.sizes[name]
        terms = np.concatenate([terms] * self.runs, axis=-2)
        return self._perturbed(value, np.sqrt(terms**2 / 2 + weight.shape[-1] / 3 * value**2))

    @cached_property
    def s(self) -> Array:
        """The weighted sums of all gates, perturbed by rounding."""
        if self.p.norm_gain is None or self.p.variant.layer_norm != "haste":
            return self._perturbed_sum(self.z @ self.W.mT, self.z, self.W, "W")
        recurrent, inputs = self.p.recurrent_weight, self.p.input_weight
        self.__dict__["u"] = self._perturbed_sum(self.z_h @ recurrent.mT, self.z_h, recurrent, "u")
        self.__dict__["w"] = self._perturbed_sum(self.z_x @ inputs.mT, self.z_x, inputs, "w")
        gain_u, gain_w = self.p.norm_gain[:, :, None]
        parts = self.across_gates(self.u) * gain_u, self.across_gates(self.w) * gain_w
        return self._perturbed(parts[0] + parts[1], 4 * (np.abs(parts[0]) + np.abs(parts[1])))

    def unclipped(self, k: str) -> Array:
        """Return the pre-activation of gate `k`, perturbed by rounding."""
        normed, bias = self.n(k), gates.of(self.p.bias, k)
        ulps = 4.0 if self.p.variant.layer_norm == "gates" else 1.0
        return self._perturbed(normed + bias, ulps * np.abs(normed) + np.abs(bias))

    def gate(self, k: str) -> Array:
        """Return gate `k`, perturbed by rounding."""
        y = super().gate(k)
        # The exponentials of two runtimes differ by a few units in the last place, or in the last place of 1.
        return self._perturbed(y, 2 * np.abs(y) + 0.5)

    @cached_property
    def c_raw(self) -> Array:
        """The new cell state."""
        remaining, new = self.f * self.c_prev, self.i * self.g
        return self._perturbed(remaining + new, np.abs(remaining) + np.abs(new))

    @cached_property
    def t(self) -> Array:
        """The nonlinearity of the cell state, perturbed by rounding."""
        v = self.v if self.p.cell_norm is None else self._perturbed(self.v, 4 * np.abs(self.v))
        y = self.p.variant.activation("c")(v)
        return self._perturbed(y, 2 * np.abs(y) + np.minimum(np.abs(v), 0.5))

    @cached_property
    def r_raw(self) -> Array:
        """The hidden state, after the projection if there is one, perturbed by rounding."""
        m = self._perturbed(self.m, np.abs(self.m))
        projection = self.p.projection
        return m if projection is None else self._perturbed_sum(m @ projection.T, m, projection, "projection")


def run_layers(
    case: Case,
    x: Array,
    start: States,
    valid: Mask | None,
    enter: Callable[[Array], Array],
    begin: Callable[[int, int, Parameters, Array, Array], Callable[[int, Any, Array, Array], Moment]],
) -> tuple[Array, States]:
    """Return the output and final states of a verified LSTM's run, whose steps the caller computes.

    `enter` changes the input of a layer. `begin` takes the layer and the place of the direction of a cell, its
    parameters, its input and its initial hidden state; it returns the function that computes a step t of some sequences
    from both states of all sequences.
    """
    lstm, finals = case.lstm, []
    for number, row in enumerate(lstm.layers):
        outputs, ends, x = [], [], enter(x)
        for place, (cell, direction) in enumerate(zip(row, lstm.directions, strict=True)):
            reverse, (h, c) = direction == "backward", map(np.array, start[number][place])
            hidden = np.empty((*x.shape[:2], cell.recurrent_size))
            step = begin(number, place, cell.parameters, x, h)
            for t in reversed(range(len(x))) if reverse else range(len(x)):
                rows = valid_rows(valid, t)
                M = step(t, rows, h, c)
                h[rows], c[rows] = M.h, M.c
                hidden[t] = h
            outputs.append(direction_output(hidden, valid, case.masked_output, reverse=reverse))
            ends.append(State(h, c))
        x = merge(outputs, lstm.merge[number])
        finals.append(tuple(ends))
    return x, tuple(finals)


def rounding_deviations(
    case: Case, truth: dict[str, Array], names: Sequence[str], u: float, seed: int, steps: int = 0
) -> dict[str, Array]:
    """Return the standard deviation that rounding gives each answer, pooled half with that of all units.

    With `steps`, the input and the hidden state are rounded to so many steps over their range before each product.
    """
    rng = np.random.default_rng(seed)
    time, batch = case.x.shape[:2]
    widest = max(cell.recurrent_size for row in case.lstm.layers for cell in row)
    least = max(time * batch * widest, 1)
    require_memory(3 * least, 8, f"verifying {time} steps of {batch} sequences")
    work = sum(2.0 * cell.parameters.weight.size for row in case.lstm.layers for cell in row) * time * batch
    samples = SAMPLES[work > LARGE]
    at_once = max(1, min(samples, AT_ONCE // least))
    squares = {name: np.zeros(truth[name].shape) for name in names}
    done = 0
    while done < samples:
        count = min(at_once, samples - done)
        answers = _perturbed_run(case, count, u, rng, steps)
        for name in names:
            shape = truth[name].shape
            runs = answers[name].reshape(*shape[:-2], count, *shape[-2:])
            squares[name] += ((runs - truth[name][..., None, :, :]) ** 2).sum(axis=-3)
        done += count
    answers = {}
    for name, total in squares.items():
        variance = total / samples
        known = ~np.isnan(variance)  # a NaN in one direction says nothing about the rounding of the other
        mean = variance.sum(axis=-1, where=known, keepdims=True) / np.maximum(known.sum(axis=-1, keepdims=True), 1)
        answers[name] = np.sqrt((variance + mean) / 2)
    return answers


def _perturbed_run(case: Case, count: int, u: float, rng: np.random.Generator, steps: int) -> dict[str, Array]:
    """Return the answers of `count` runs of a model perturbed by rounding, all in one batch."""
    return case.named_answers(*perturbed_outputs(case, count, u, rng, steps), Perturbation(rng, u))


def perturbed_outputs(
    case: Case, count: int, u: float, rng: np.random.Generator, steps: int = 0
) -> tuple[Array, States]:
    """Return the output and the final states of `count` runs of an LSTM perturbed by rounding, all in one batch."""

    def rough(array: Array) -> Array:
        """Return an array with random errors, as of a runtime that rounds it to `steps` steps over its range."""
        if not steps or not array.size:
            return array
        step = (max(float(array.max()), 0) - min(float(array.min()), 0)) / steps
        perturbed: Array = array + step * (rng.random(array.shape) - 0.5)
        return perturbed

    def begin(number: int, place: int, p: Parameters, x: Array, _: Array) -> Callable[[int, Any, Array, Array], Moment]:
        """Return the function that computes a perturbed step of one cell."""
        sizes: dict[str, Array] = {}

        def step(t: int, rows: Any, h: Array, c: Array) -> Moment:
            M = _Perturbed(p, x[t, rows], rough(h)[rows], c[rows])
            M.rng, M.roundoff, M.runs, M.sizes = rng, u, count, sizes
            return M

        return step

    valid = None if case.valid is None else np.tile(case.valid, (1, count))
    start = case.lstm.zero_state(case.x.shape[1]) if case.state is None else case.state
    start = map_states(lambda part: np.tile(part, (count, 1)), start)
    return run_layers(case, np.tile(case.x, (1, count, 1)), start, valid, rough, begin)
