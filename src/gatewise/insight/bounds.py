"""How far the states of a cell can go, whatever its input: the ranges of its gates, its cell state and its output.

Every nonlinearity is monotonic, so that the range of a gate lies between its values at the ends of its pre-activation's
range. An input is unbounded, and so is a pre-activation, unless it is clipped or standardised: of n numbers with mean 0
and variance 1, none exceeds sqrt(n - 1).
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
        """Return the o and the t of each unit whose product, times a sign, is the largest."""
        corners = [(o, t) for o in reversed(self.gate) for t in reversed(self.cell)]
        best = np.argmax([sign * o * t for o, t in corners], axis=0)
        found = np.array([np.broadcast_arrays(o, t) for o, t in corners])
        return found[best, 0, np.arange(best.size)], found[best, 1, np.arange(best.size)]

    def product(self, other: Box) -> Box:
        """Return the ranges of the products of two cells' factors."""
        return Box(_product(self.gate, other.gate), _product(self.cell, other.cell))


@quiet
def box_of(p: Parameters, initial: Array) -> Box:
    """Return the ranges of a cell's output gate and activated cell state.

    Parameters
    ----------
    p : Parameters
    initial : array (batch, hidden)
        The cell states from which it may start.

    Raises
    ------
    OptionError
        If one of them has no bound.
    """
    if not len(initial):
        raise OptionError("a ceiling needs a sequence; this run has none")
    gate, c = _gate(p, "o"), _cell_state(p, initial)
    if p.cell_norm is not None:
        c = _standardised(p.hidden_size, p.cell_norm[0], p.cell_norm[1])
    cell = _through(p.variant.activation("c"), c)
    for what, letter, found in (("output gate", "o", gate), ("cell state", "c", cell)):
        if not np.isfinite(found).all():
            used = p.variant.activation(letter)
            raise OptionError(f"there is no ceiling where states have no bound: the {what} of this cell has {used}")
    return Box(gate, cell)


def _through(activation: Activation, given: Range) -> Range:
    ends = [activation(end) for end in given]
    return Range(np.minimum(*ends), np.maximum(*ends))


def _product(one: Range, other: Range) -> Range:
    """Return the range of a product; 0 · ∞ is passed over, since another corner says more."""
    corners = np.array([a * b for a in one for b in other])
    return Range(np.nanmin(corners, axis=0), np.nanmax(corners, axis=0))


def _standardised(count: int, gain: Array, bias: Array) -> Range:
    most = np.abs(gain.astype(np.float64)) * np.sqrt(count - 1)
    return Range(bias - most, bias + most)


def _gate(p: Parameters, letter: str) -> Range:
    """Return the range of a gate after its nonlinearity."""
    variant = p.variant
    if letter == variant.coupled:
        low, high = _gate(p, {"f": "i", "i": "f"}[letter])
        return Range(1 - high, 1 - low)
    place = gates.index(letter)
    bias = p.bias[place].astype(np.float64)
    seen = Range(np.full_like(bias, -np.inf), np.full_like(bias, np.inf))
    if variant.layer_norm == "gates" and p.norm_gain is not None:
        seen = _standardised(p.hidden_size, p.norm_gain[place], bias)
    elif variant.layer_norm == "haste" and p.norm_gain is not None and (p.peephole is None or letter == "g"):
        seen = _standardised(p.hidden_size * len(variant.own), np.abs(p.norm_gain[:, place]).sum(0), bias)
    if (clip := variant.gate_clip) is not None:
        seen = Range(*(np.clip(end, -clip, clip) for end in seen))
    return _through(variant.activation(letter), seen)


def _cell_state(p: Parameters, initial: Array) -> Range:
    """Return the range of c = f c + i g: that of a mean under coupling, else of a geometric series where f < 1.

    Zoneout, which mixes it with the state before, leaves the range as it is.
    """
    i, f, g = (_gate(p, letter) for letter in "ifg")
    start = Range(initial.min(0).astype(np.float64), initial.max(0).astype(np.float64))
    if p.variant.coupled:
        bounded = (f.low >= 0) & (f.high <= 1)
        series = g
    else:
        bounded = (f.low >= 0) & (f.high < 1)
        wrote = _product(i, g)
        series = Range(np.minimum(wrote.low, 0) / (1 - f.high), np.maximum(wrote.high, 0) / (1 - f.high))
    low = np.where(bounded, np.minimum(series.low, start.low), -np.inf)
    high = np.where(bounded, np.maximum(series.high, start.high), np.inf)
    if (clip := p.variant.cell_clip) is not None:
        low, high = np.clip(low, -clip, clip), np.clip(high, -clip, clip)
    return Range(low, high)
