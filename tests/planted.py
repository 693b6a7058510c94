"""Memories that were planted: cells set by hand whose answers are known."""

from __future__ import annotations

import numpy as np

import gatewise as gw


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
