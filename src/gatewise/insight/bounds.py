"""Ranges of the gates, the cell state and the output of a cell over all possible inputs.

Nonlinearities are monotonic: the range of a gate ends at its values at the ends of its pre-activation's range. A
pre-activation is unbounded, as the input is, unless it is clipped or standardised: of n numbers with mean 0 and
variance 1, none exceeds sqrt(n - 1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatewise import gates
from gatewise.activations import Activation
from gatewise.arrays import Array, quiet
from gatewise.errors import OptionError
from gatewise.parameters import Parameters


class Range(NamedTuple):
    """The least and the greatest value of each unit (hidden,)."""

    low: Array
    high: Array


class Box(NamedTuple):
    """The ranges of the two factors of a unit's hidden state: its output gate o, and t = tanh(c)."""

    gate: Range
    cell: Range

    def largest(self, sign: int) -> tuple[Array, Array]:
        """Return the o and the t of each LSTM unit whose product, times `sign`, is largest in the box."""
        corners = [(o, t) for o in reversed(self.gate) for t in reversed(self.cell)]
        best = np.argmax([sign * o * t for o, t in corners], axis=0)
        factors = np.array([np.broadcast_arrays(o, t) for o, t in corners])
        return factors[best, 0, np.arange(best.size)], factors[best, 1, np.arange(best.size)]

    def product(self, other: Box) -> Box:
        """Return the ranges of the products of two cells' factors."""
        return Box(_product_range(self.gate, other.gate), _product_range(self.cell, other.cell))


@quiet
def box_of(p: Parameters, initial: Array) -> Box:
    """Return the bounds of o and tanh(c), given `initial` cell states (batch, hidden), or raise OptionError."""
    if not len(initial):
        raise OptionError("a ceiling needs a sequence; this run has none")
    gate, c = _gate_range(p, "o"), _cell_state_range(p, initial)
    if p.cell_norm is not None:
        c = _standardised_range(p.hidden_size, p.cell_norm[0], p.cell_norm[1])
    if (clip := p.variant.output_clip) is not None:
        c = Range(*(np.clip(end, -clip, clip) for end in c))
    cell = _activated_range(p.variant.activation("c"), c)
    for name, letter, bounds in (("output gate", "o", gate), ("cell state", "c", cell)):
        if not np.isfinite(bounds).all():
            activation = p.variant.activation(letter)
            raise OptionError(
                f"there is no ceiling, because the {name} of this cell has {activation}, which is not bounded"
            )
    return Box(gate, cell)


def _activated_range(activation: Activation, bounds: Range) -> Range:
    ends = [activation(end) for end in bounds]
    return Range(np.minimum(*ends), np.maximum(*ends))


def _product_range(first: Range, second: Range) -> Range:
    """Return the range of a product; 0 · ∞ is ignored, since another corner is then infinite."""
    corners = np.array([a * b for a in first for b in second])
    return Range(np.nanmin(corners, axis=0), np.nanmax(corners, axis=0))


def _standardised_range(count: int, gain: Array, bias: Array) -> Range:
    most = np.abs(gain.astype(np.float64)) * np.sqrt(count - 1)
    return Range(bias - most, bias + most)


def _gate_range(p: Parameters, letter: str) -> Range:
    """Return the range that a gate of an LSTM cell can have after its nonlinearity."""
    variant = p.variant
    if letter == variant.coupled:
        low, high = _gate_range(p, {"f": "i", "i": "f"}[letter])
        return Range(1 - high, 1 - low)
    place = gates.index(letter)
    bias = p.bias[place].astype(np.float64)
    sums = Range(np.full_like(bias, -np.inf), np.full_like(bias, np.inf))
    if variant.layer_norm == "gates" and p.norm_gain is not None:
        sums = _standardised_range(p.hidden_size, p.norm_gain[place], bias)
    elif variant.layer_norm == "haste" and p.norm_gain is not None and (p.peephole is None or letter == "g"):
        sums = _standardised_range(p.hidden_size * len(variant.own), np.abs(p.norm_gain[:, place]).sum(0), bias)
    if (clip := variant.gate_clip) is not None:
        sums = Range(*(np.clip(end, -clip, clip) for end in sums))
    return _activated_range(variant.activation(letter), sums)


def _cell_state_range(p: Parameters, initial: Array) -> Range:
    """Return the range of c = f c + i g: of a mean if the gates are coupled, else of a geometric series if f < 1.

    Zoneout mixes c with the state before, which does not change the range.
    """
    i, f, g = (_gate_range(p, letter) for letter in "ifg")
    start = Range(initial.min(0).astype(np.float64), initial.max(0).astype(np.float64))
    if p.variant.coupled:
        bounded = (f.low >= 0) & (f.high <= 1)
        series = g
    else:
        bounded = (f.low >= 0) & (f.high < 1)
        wrote = _product_range(i, g)
        series = Range(np.minimum(wrote.low, 0) / (1 - f.high), np.maximum(wrote.high, 0) / (1 - f.high))
    low = np.where(bounded, np.minimum(series.low, start.low), -np.inf)
    high = np.where(bounded, np.maximum(series.high, start.high), np.inf)
    if (clip := p.variant.cell_clip) is not None:
        low, high = np.clip(low, -clip, clip), np.clip(high, -clip, clip)
    return Range(low, high)
