"""Memories that were planted: nets set by hand whose answers are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import gatewise as gw
from gatewise.examples import latch

SURE = 40.0  # a sigmoid of it is 1, of its negative almost 0


class Planted(NamedTuple):
    """An LSTM of one cell, an input (time, input), and what is known of its run."""

    lstm: gw.LSTM
    x: np.ndarray
    known: dict[str, float]


def leaky_bucket(steps, batch=1, *, keep=0.95, others=3, seed=0):
    """Return an LSTM whose unit 0 holds what rain leaves in a leaky bucket, the rain (time, batch, 1), the storage.

    The other units have random weights from the rain and from each other.
    """
    rng = np.random.default_rng(seed)
    hidden = 1 + others
    weight, bias = rng.normal(0, 0.7, (4, hidden, hidden + 1)), rng.normal(0, 0.7, (4, hidden))
    weight[:, 0], bias[:, 0] = 0, 0
    bias[1, 0], bias[0, 0] = np.log(keep / (1 - keep)), 30  # it keeps so much, and takes in everything
    weight[2, 0, hidden] = 1e-4  # where tanh is a line
    rain = rng.gamma(0.3, 5, (steps, batch, 1))
    storage = np.zeros((steps, batch))
    for t in range(steps):
        storage[t] = keep * (storage[t - 1] if t else 0) + rain[t, :, 0]
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), rain, storage


def bracket_detector(lengths, *, others=3, seed=0):
    """Return an LSTM whose unit 1 is on inside brackets, its input (time, batch, 2), and the brackets.

    The features are an opening and a closing bracket. For each sequence, `lengths` has pairs of (steps outside, steps
    inside). Unit 1 is on from the opening bracket to the step before the closing one; unit 0 is always on.
    """
    rng = np.random.default_rng(seed)
    hidden, steps = 2 + others, max(sum(map(sum, one)) for one in lengths) + 4
    weight, bias = rng.normal(0, 0.4, (4, hidden, hidden + 2)), rng.normal(0, 0.4, (4, hidden))
    weight[:, :2], bias[:, :2] = 0, 0
    bias[:, 0] = 9  # always on
    bias[0, 1], weight[0, 1, hidden] = -9, 18  # an opening bracket writes 1
    bias[1, 1], weight[1, 1, hidden:] = 9, (-18, -18)  # either bracket erases
    bias[2, 1] = bias[3, 1] = 9
    x, places = np.zeros((steps, len(lengths), 2)), []
    for sequence, pairs in enumerate(lengths):
        t = 0
        for outside, inside in pairs:
            x[t + outside, sequence, 0] = x[t + outside + inside, sequence, 1] = 1
            places.append((sequence, t + outside, t + outside + inside))
            t += outside + inside
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), x, places


def rain_gauge(weight=60.0, bias=1.3, keep=0.9, scale=0.05):
    """Return a network that puts out what is in a leaky bucket, and the discharge that it can never exceed.

    One unit takes in the rain, loses a share at each step, and is read by tanh(c): however much it rains, the output
    stays below weight + bias. The other is always empty.
    """
    w, b = np.zeros((4, 2, 3)), np.zeros((4, 2))
    b[0], b[3] = 30, 30
    b[1] = np.log(keep / (1 - keep))
    w[2, 0, 2] = scale
    lstm = gw.LSTM.from_cells(gw.Parameters(w, b))
    return gw.Network(lstm, head=gw.Linear(np.array([[weight, 0.0]]), np.array([bias]))), weight + bias


def bucket(timescale: float = 20.0, steps: int = 60) -> Planted:
    """A leaky bucket: rain is added to one unit, which loses the same share of its content at every step."""
    forget = np.exp(-1 / timescale)
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))  # gates i f g o; columns h, rain
    bias[:, 0] = [SURE, np.log(forget / (1 - forget)), 0, SURE]
    weight[2, 0, 1] = 1.0
    x = np.random.default_rng(0).exponential(0.02, (steps, 1))
    return Planted(gw.LSTM.from_cells(gw.Parameters(weight, bias)), x, {"timescale": timescale, "forget": forget})


def counter(steps: int = 60) -> Planted:
    """A cell that forgets nothing and adds nearly 0.1 wherever the input is 1: any count is held."""
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[:, 0] = [-SURE, SURE, np.arctanh(0.1), SURE]
    weight[0, 0, 1] = 2 * SURE
    x = np.random.default_rng(0).integers(0, 2, (steps, 1)).astype(float)
    return Planted(gw.LSTM.from_cells(gw.Parameters(weight, bias)), x, {"each": 0.1})


def bistable(gain: float = 4.0, steps: int = 60) -> Planted:
    """A cell that writes what it says, gain times: it rests at ± `content`, where c = tanh(gain · tanh(c)), not at 0.

    Half of a content is kept and half written, so that the eigenvalue at 0 is (1 + gain) / 2.
    """
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    weight[2, 0] = gain, 1.0
    bias[3] = SURE
    content = 1.0
    for _ in range(200):
        content = np.tanh(gain * np.tanh(content))
    x = np.zeros((steps, 1))
    x[0] = 1
    lstm = gw.LSTM.from_cells(gw.Parameters(weight, bias))
    return Planted(lstm, x, {"content": float(content), "growth": (1 + gain) / 2})


def held_bit(steps=12, write=3, seed=0):
    """Return an LSTM that holds the bit of one step until it is released at the last, and its input (time, 3).

    Bits come at every step; only that of `write` is written.
    """
    x = np.zeros((steps, 3))
    x[:, 0] = np.random.default_rng(seed).choice([-1.0, 1.0], steps)
    x[write, 0] = x[write, 1] = x[-1, 2] = 1
    return gw.LSTM.from_cells(latch().cell), x


def tally(steps=12, seed=0):
    """Return an LSTM that adds 0.1 for each event, forgets nothing and puts out its cell, and the events (time, 1)."""
    weight, bias = np.zeros((4, 1, 2)), np.zeros((4, 1))
    bias[:, 0] = SURE, SURE, 0, SURE
    weight[2, 0, 1] = np.arctanh(0.1)
    x = np.random.default_rng(seed).integers(0, 2, (steps, 1)).astype(float)
    return gw.LSTM.from_cells(gw.Parameters(weight, bias, variant=gw.Variant(cell_activation="affine:1,0"))), x


def distracted(steps=12, signal=4, seed=0):
    """Return a network that reads a unit that holds a signal, not the one that noise goes to, and its input (time, 2).

    The first feature is the signal, of one step; the second is noise, which is larger.
    """
    weight, bias = np.zeros((4, 2, 4)), np.zeros((4, 2))
    bias[[0, 1, 3]] = SURE
    weight[2, 0, 2] = weight[2, 1, 3] = 1
    x = np.zeros((steps, 2))
    x[signal, 0], x[:, 1] = 0.5, np.random.default_rng(seed).normal(0, 5, steps)
    return gw.Network(gw.LSTM.from_cells(gw.Parameters(weight, bias)), head=gw.Linear(np.array([[1.0, 0.0]]))), x
