"""Memories that were planted: nets set by hand whose answers are known."""

from __future__ import annotations

import numpy as np

import gatewise as gw
from gatewise.examples import latch

SURE = 40.0  # a sigmoid of it is 1, of its negative almost 0


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
