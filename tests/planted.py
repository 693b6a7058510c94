"""Memories that were planted: cells set by hand of which it is known what they remember, for how long, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import gatewise as gw

SURE = 40.0  # a sigmoid of it is 1, of its negative almost 0


class Planted(NamedTuple):
    """An LSTM of one cell, an input (time, input), and what is known of its run."""

    lstm: gw.LSTM
    x: np.ndarray
    known: dict[str, float]


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
