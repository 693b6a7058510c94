"""Stacks of cells that the laws of runs are held against: random LSTMs, inputs and states, and what they compare."""

from __future__ import annotations

import itertools

import numpy as np

import gatewise as gw

LABELS = gw.Labels(
    features=("rain", "sun"),
    units=("u", "v", "w", "z"),
    sequences=("north", "south", "west"),
    times=[f"day {day}" for day in range(5)],
)
BIDIRECTIONAL = {"input_size": 2, "hidden_size": 4, "bidirectional": True, "dtype": np.float64}
ZEROS = gw.State(np.zeros((3, 3)), np.zeros((3, 3)))


def random_lstm(*, rng=0, **options):
    """Return an LSTM in float64, whose weights are large enough to matter."""
    options = {"input_size": 2, "hidden_size": 3, "dtype": np.float64, **options}
    return gw.LSTM(**options, rng=rng)


def random_x(lstm, time=4, batch=3, seed=1):
    return np.random.default_rng(seed).normal(size=(time, batch, lstm.input_size))


def random_state(lstm, batch, seed=2):
    rng = np.random.default_rng(seed)
    return tuple(
        tuple(gw.State(*(rng.normal(size=array.shape) for array in one)) for one in layer)
        for layer in lstm.zero_state(batch)
    )


def assert_same_state(found, expected):
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        np.testing.assert_array_equal(one.h, other.h)
        np.testing.assert_array_equal(one.c, other.c)


def fed(stream, x, sizes, **options):
    """Push an array in blocks, those of one step as a step, and return what comes out."""
    found, at = [], 0
    for size in sizes:
        block = {name: array[at : at + size] for name, array in options.items()}
        if size == 1:
            found.append(stream.push(x[at], **{name: array[0] for name, array in block.items()})[None])
        else:
            found.append(stream.push(x[at : at + size], **block))
        at += size
    return np.concatenate(found)
