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


def sampled(seed, period=7, steps=60):
    """Return a network that puts out what a gate let in when it last opened, its input (time, 2), and those steps.

    The first feature is let in where the second is 1, at every seventh step; other units read and move at random.
    """
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(0, 0.5, (4, 5, 7)), rng.normal(0, 0.5, (4, 5))
    weight[:, 0], bias[:, 0] = 0, (-20, 20, 0, 20)
    weight[0, 0, 6], weight[1, 0, 6], weight[2, 0, 5] = 40, -40, 1
    x = np.zeros((steps, 2))
    x[:, 0] = rng.uniform(-1, 1, steps)
    x[rng.integers(0, period) :: period, 1] = 1
    network = gw.Network(gw.LSTM.from_cells(gw.Parameters(weight, bias)), head=gw.Linear(np.eye(1, 5)))
    return network, x, np.flatnonzero(x[:, 1])


# Memories of known length, among other units and layers.


class Memory(NamedTuple):
    """A network whose output shows one memory, its input (time, feature), and what is known of it.

    A change of the input shows for `least` to `most` steps, in the cell state of the unit at `place` (layer, unit),
    where it lives `through` c, h or both.
    """

    network: gw.Network
    x: np.ndarray
    least: int
    most: int
    place: tuple[int, int]
    through: str


def gate_arrays(hidden, inputs):
    """Return weights and biases of a cell that takes in nothing, keeps nothing and puts out everything."""
    weight, bias = np.zeros((4, hidden, hidden + inputs)), np.zeros((4, hidden))
    bias[:, :] = np.array([SURE, -SURE, 0, SURE])[:, None]
    return weight, bias


def held_in_c():
    """A unit that keeps its bit along the cell until the second feature writes the first in its place."""
    weight, bias = gate_arrays(1, 2)
    bias[0], bias[1] = -SURE, SURE
    weight[0, 0, 2], weight[1, 0, 2], weight[2, 0, 1] = 2 * SURE, -2 * SURE, SURE
    return weight, bias


def held_in_h():
    """A unit that forgets at once, and writes its own bit again at each step, until the first feature is ±1."""
    weight, bias = gate_arrays(1, 2)
    weight[2, 0, :2] = 10.0, SURE
    return weight, bias


def held_for_a_gate():
    """The unit of `held_in_c`, and one that is always 1 and comes out where the other one's bit is 1."""
    weight, bias = gate_arrays(2, 2)
    own, own_bias = held_in_c()
    weight[:, 0, 2:], bias[:, 0] = own[:, 0, 1:], own_bias[:, 0]
    bias[2, 1], bias[3, 1], weight[3, 1, 0] = 1, 0, SURE
    return weight, bias


def fading(timescale=15.0):
    """A unit that keeps the same part of its content at every step."""
    weight, bias = gate_arrays(1, 2)
    bias[1] = -np.log(np.expm1(1 / timescale))
    weight[2, 0, 1] = 1e-3
    return weight, bias


def counting():
    """A unit that adds up the first feature, and forgets nothing."""
    weight, bias = gate_arrays(1, 2)
    bias[1] = SURE
    weight[2, 0, 1] = 1e-3
    return weight, bias


def changing_sign():
    """A unit that is kept along the cell where the second feature is 0, and changes its sign through h where it is 1.

    Its first sign is that of the first feature at the first step, where the second is 1.
    """
    weight, bias = gate_arrays(1, 2)
    bias[0], bias[1] = -SURE, SURE
    weight[0, 0, 2], weight[1, 0, 2], weight[2, 0, :2] = 2 * SURE, -2 * SURE, (-10.0, 0.2)
    return weight, bias


MEMORIES = {
    "held in c": (held_in_c, "c"),
    "held in h": (held_in_h, "h"),
    "held for a gate": (held_for_a_gate, "c"),
    "fading": (fading, "c"),
    "counting": (counting, "c"),
    "changing sign": (changing_sign, "both"),
}


def among(weight, bias, others, order, rng):
    """Return a cell with the units of another one, which read one another alone, and others that read everything."""
    hidden, inputs = weight.shape[1], weight.shape[2] - weight.shape[1]
    size = hidden + others
    all_weights, all_biases = rng.normal(0, 0.5, (4, size, size + inputs)), rng.normal(0, 0.5, (4, size))
    all_weights[:, :hidden], all_biases[:, :hidden] = 0, bias
    all_weights[:, :hidden, :hidden], all_weights[:, :hidden, size:] = weight[..., :hidden], weight[..., hidden:]
    columns = np.concatenate([order, np.arange(size, size + inputs)])
    return gw.Parameters(all_weights[:, order][:, :, columns], all_biases[:, order])


def relay(units, inputs):
    """Return a cell whose first units put out each a number that it is given, a little smaller."""
    weight, bias = gate_arrays(len(units), inputs)
    weight[2, np.arange(len(units)), len(units) + np.array(units)] = 1
    return gw.Parameters(weight, bias)


def memory(kind, *, gap=25, regular=True, where="alone", others=4, steps=400, seed=0, dtype=np.float64):
    """Return a memory of a kind among other units, alone or with a layer above or below it that hands on."""
    rng = np.random.default_rng(seed)
    build, through = MEMORIES[kind]
    weight, bias = build()
    hidden = weight.shape[1]
    order = rng.permutation(hidden + others)
    cell = among(weight, bias, others, order, rng)
    place, read = (int(np.flatnonzero(order == unit)[0]) for unit in (0, hidden - 1))
    gaps = np.full(steps // gap, gap) if regular else rng.integers(gap // 2, 3 * gap // 2, steps // gap)
    writes = np.cumsum(gaps) - gaps[0]
    x = np.zeros((steps, 2))
    x[:, 0] = rng.choice([-1.0, 1.0], steps)
    x[writes[writes < steps], 1] = 1
    if kind == "held in h":
        x[:, 0] *= x[:, 1]
    if kind == "changing sign":
        x[:, 1] = rng.integers(0, 2, steps)
        x[0, 1] = 1
    cells = {"alone": [cell], "above": [relay([0, 1], 2), cell], "below": [cell, relay([read], hidden + others)]}[where]
    head = np.zeros((1, 1 if where == "below" else hidden + others))
    head[0, 0 if where == "below" else read] = 1
    lstm = gw.LSTM.from_cells([each.astype(dtype) for each in cells])
    network = gw.Network(lstm, head=gw.Linear(head.astype(dtype), None))
    least, most = {
        "fading": (33, 35),
        "counting": (steps - steps // 20, steps),
        "changing sign": (steps - steps // 20, steps),
    }.get(kind, (round(0.85 * gap), gap) if regular else (gap, 3 * gap // 2))
    return Memory(network, x.astype(dtype), least, most, (int(where == "above"), place), through)


def gated(steps=60, every=7, seed=0):
    """Return an LSTM whose gate opens at every seventh step to what it is given, and its input (time, 2).

    The first feature is a number, which comes at every step; the second opens the gate.
    """
    weight, bias = np.zeros((4, 1, 3)), np.zeros((4, 1))
    bias[[0, 1, 3]] = [-SURE], [SURE], [SURE]
    weight[[0, 1], 0, 2] = 2 * SURE, -2 * SURE
    weight[2, 0, 1] = 0.5
    x = np.zeros((steps, 2))
    x[:, 0] = np.random.default_rng(seed).normal(size=steps)
    x[every - 1 :: every, 1] = 1
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)), x


def steep(seed):
    """Return an LSTM with large random weights, whose steps act together, and its input (time, feature)."""
    rng = np.random.default_rng(seed)
    lstm = gw.LSTM(3, 6, num_layers=2, rng=seed, dtype=np.float64)
    cells = [cell.parameters for row in lstm.layers for cell in row]
    bias = np.array([0, 2, 0, 0])[:, None]
    steep_cells = [gw.Parameters(weight=3 * cell.weight, bias=cell.bias + bias) for cell in cells]
    return gw.LSTM.from_cells(steep_cells), (rng.random((30, 3)) < 0.2).astype(float)
