"""How far rounding alone carries a run: what two runtimes that are both right may differ by, number by number.

Two runtimes never agree in the last bits: they sum in different orders and have different exponentials. How far that
alone can carry them apart is measured. The LSTM is run in float64, which is taken as the truth, and then again and
again with every sum, nonlinearity and product moved at random by as much as a runtime of the given precision may
round it; the recurrence carries these errors on as it carries those of the runtime (Parker, "Monte Carlo Arithmetic",
1997).

The rounding of a sum a = t_1 + … + t_n, one term after another, is that of its partial sums. Those of terms of random
sign grow with the root of their number, those of terms of one sign with their number, so that its standard deviation
is taken as u sqrt((Σ|t|)² / 2 + n a² / 3), where u is the unit roundoff (Higham, "Accuracy and Stability of Numerical
Algorithms", 2002, chapter 4, has the bounds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Mask, require_memory
from gatewise.engine.reference import live_rows
from gatewise.equations import Moment
from gatewise.layers import LSTM
from gatewise.layers.merging import merge, shown
from gatewise.layers.stack import States
from gatewise.step import State

SAMPLES = 16, 6  # runs in which everything is moved; in large ones, whose many numbers tell more
LARGE = 1e9  # additions and multiplications of one run, from which on it is large
AT_ONCE = 2**25  # numbers of one array of such runs that are held at a time
DIGITS = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}  # unit roundoff


@dataclass(frozen=True, eq=False)
class Case:
    """What runs: an LSTM in float64, on what, from where."""

    lstm: LSTM
    x: Array
    state: States | None
    valid: Mask | None
    masked_output: str = "zeros"

    def answers(self, engine: str = "auto") -> dict[str, Array]:
        """Return all that a run may be asked for, by name."""
        y, final = self.lstm(self.x, self.state, mask=self.valid, masked_output=self.masked_output, engine=engine)
        return named(self.lstm, y, final)


def named(lstm: LSTM, y: Array, final: States) -> dict[str, Array]:
    """Return what a run may be asked for, by name; ``y`` with directions that are apart side by side."""
    found = {"y": y.reshape(*y.shape[:2], math.prod(y.shape[2:]))}
    top = [one.h for one in final[-1]]
    last = merge(top, lstm.merge[-1])
    found["last y"] = last.reshape(len(last), math.prod(last.shape[1:]))
    for number, row in enumerate(final):
        for direction, one in zip(lstm.directions, row, strict=True):
            found |= {name_of("hn", lstm, number, direction): one.h, name_of("cn", lstm, number, direction): one.c}
    return found


def name_of(name: str, lstm: LSTM, layer: int, direction: str) -> str:
    """Return the name of a state of one cell."""
    said = [f"layer {layer}"] * (lstm.num_layers > 1) + [direction] * lstm.bidirectional
    return f"{name} of {', '.join(said)}" if said else name


class _Rounded(Moment):
    """One step in which everything that is computed is moved by about as much as it may be rounded.

    Its rows are those of several runs, one run after another. The sums' terms are of one size in all of them, which is
    computed for the first.
    """

    rng: np.random.Generator
    roundoff: float
    runs: int
    sizes: dict[str, Array]  # |W| and the like of the cell

    def _moved(self, value: Array, by: Array) -> Array:
        moved: Array = value + self.roundoff * by * self.rng.standard_normal(value.shape, np.float32)
        return moved

    def _sum(self, value: Array, z: Array, weight: Array, name: str) -> Array:
        """Return a sum of the products of z and a weight, moved."""
        if name not in self.sizes:
            self.sizes[name] = np.abs(weight.mT)
        terms = np.abs(z[: len(z) // self.runs]) @ self.sizes[name]
        terms = np.concatenate([terms] * self.runs, axis=-2)
        return self._moved(value, np.sqrt(terms**2 / 2 + weight.shape[-1] / 3 * value**2))

    @cached_property
    def s(self) -> Array:
        """The weighted sums."""
        if self.p.norm_gain is None or self.p.variant.layer_norm != "haste":
            return self._sum(self.z @ self.W.mT, self.z, self.W, "W")
        recurrent, inputs = self.p.recurrent_weight, self.p.input_weight
        self.__dict__["u"] = self._sum(self.z_h @ recurrent.mT, self.z_h, recurrent, "u")
        self.__dict__["w"] = self._sum(self.z_x @ inputs.mT, self.z_x, inputs, "w")
        gain_u, gain_w = self.p.norm_gain[:, :, None]
        parts = self.across_gates(self.u) * gain_u, self.across_gates(self.w) * gain_w
        return self._moved(parts[0] + parts[1], 4 * (np.abs(parts[0]) + np.abs(parts[1])))

    def unclipped(self, k: str) -> Array:
        """The pre-activation."""
        normed = self.n(k)
        more = 1.0
        if self.p.variant.layer_norm == "gates":
            more = 4.0
        return self._moved(normed + gates.of(self.p.bias, k), more * np.abs(normed) + np.abs(gates.of(self.p.bias, k)))

    def gate(self, k: str) -> Array:
        """The gate."""
        y = super().gate(k)
        # The exponential of one runtime is another's: a few units in the last place, or of the last place of 1.
        return self._moved(y, 2 * np.abs(y) + 0.5)

    @cached_property
    def c_raw(self) -> Array:
        """The new cell state."""
        kept, new = self.f * self.c_prev, self.i * self.g
        return self._moved(kept + new, np.abs(kept) + np.abs(new))

    @cached_property
    def t(self) -> Array:
        """The nonlinearity of the cell state."""
        v = self.v if self.p.cell_norm is None else self._moved(self.v, 4 * np.abs(self.v))
        y = self.p.variant.activation("c")(v)
        return self._moved(y, 2 * np.abs(y) + np.minimum(np.abs(v), 0.5))

    @cached_property
    def r_raw(self) -> Array:
        """The hidden state, projected where it is."""
        m = self._moved(self.m, np.abs(self.m))
        return (
            m if self.p.projection is None else self._sum(m @ self.p.projection.T, m, self.p.projection, "projection")
        )


def spread(case: Case, truth: dict[str, Array], names: Sequence[str], u: float, seed: int) -> dict[str, Array]:
    """Return by how much rounding moves each number: its standard deviation, half of it that of its row's units."""
    rng = np.random.default_rng(seed)
    time, batch = case.x.shape[:2]
    widest = max(cell.recurrent_size for row in case.lstm.layers for cell in row)
    least = max(time * batch * widest, 1)
    require_memory(3 * least, 8, f"verifying {time} steps of {batch} rows")
    work = sum(2.0 * cell.parameters.weight.size for row in case.lstm.layers for cell in row) * time * batch
    samples = SAMPLES[work > LARGE]
    at_once = max(1, min(samples, AT_ONCE // least))
    squares = {name: np.zeros(truth[name].shape) for name in names}
    done = 0
    while done < samples:
        count = min(at_once, samples - done)
        found = _moved_run(case, count, u, rng)
        for name in names:
            shape = truth[name].shape
            rows = found[name].reshape(*shape[:-2], count, *shape[-2:])
            squares[name] += ((rows - truth[name][..., None, :, :]) ** 2).sum(axis=-3)
        done += count
    found = {}
    for name, total in squares.items():
        variance = total / samples
        found[name] = np.sqrt((variance + variance.mean(axis=-1, keepdims=True)) / 2)
    return found


def _moved_run(case: Case, count: int, u: float, rng: np.random.Generator) -> dict[str, Array]:
    """Return the answers of `count` runs in which everything is moved, side by side as rows."""
    lstm, x = case.lstm, np.tile(case.x, (1, count, 1))
    valid = None if case.valid is None else np.tile(case.valid, (1, count))
    start = case.lstm.zero_state(case.x.shape[1]) if case.state is None else case.state
    finals = []
    for number, row in enumerate(lstm.layers):
        outputs, ends = [], []
        for cell, direction, initial in zip(row, lstm.directions, start[number], strict=True):
            reverse, (h, c) = direction == "backward", (np.tile(part, (count, 1)) for part in initial)
            hidden, sizes = np.empty((*x.shape[:2], cell.recurrent_size)), dict[str, Array]()
            for t in reversed(range(len(x))) if reverse else range(len(x)):
                rows = live_rows(valid, t)
                M = _Rounded(cell.parameters, x[t, rows], h[rows], c[rows])
                M.rng, M.roundoff, M.runs, M.sizes = rng, u, count, sizes
                h[rows], c[rows] = M.h, M.c
                hidden[t] = h
            outputs.append(shown(hidden, valid, case.masked_output, reverse=reverse))
            ends.append(State(h, c))
        x = merge(outputs, lstm.merge[number])
        finals.append(tuple(ends))
    return named(lstm, x, tuple(finals))
