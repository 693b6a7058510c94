"""Runtimes that round the input and the hidden state to 8 bits before each product make no mistake by that."""

from __future__ import annotations

import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import Parameters
from gatewise.diagnostics.verification import verify
from gatewise.records.step import State


def drawn(seed, inputs=5, hidden=12, time=20, batch=6):
    """Return a cell's weights in gatewise's order, rows in 8 bits, a bias, and an input."""
    rng = np.random.default_rng(seed)
    W = rng.integers(-127, 128, (4, hidden, hidden + inputs)) * np.float32(0.004)
    b = rng.normal(size=(4, hidden)).astype(np.float32) / 2
    return W.astype(np.float32), b, rng.normal(size=(time, batch, inputs)).astype(np.float32)


def to_eight_bits(v):
    """Round to integers from 0 to 255, as onnxruntime does, and back."""
    low, high = min(0, v.min()), max(0, v.max())
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(255))
    zero = np.rint(-np.float32(low) / scale)
    return (np.clip(np.rint(v.astype(np.float32) / scale) + zero, 0, 255) - zero) * np.float64(scale)


def runtime(W, b, x, h, c, together):
    """Return y and the final state of a runtime whose threads have so many sequences each."""
    x, hidden, y = to_eight_bits(x), W.shape[1], []
    W, b = W.astype(np.float64), b.astype(np.float64)
    for step in x:
        rounded = np.concatenate([to_eight_bits(h[n : n + together]) for n in range(0, len(h), together)])
        a = np.einsum("ghj,bj->gbh", W[..., :hidden], rounded) + np.einsum("ghj,bj->gbh", W[..., hidden:], step)
        i, f, g, o = a + b[:, None]
        i, f, o = (1 / (1 + np.exp(-one)) for one in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = (o * np.tanh(c)).astype(np.float32)
        y.append(h)
    return np.array(y), (h, c.astype(np.float32))


def answered(seed, *, together=6, changed=lambda W, b: (W, b)):
    """Return an LSTM, an input, an initial state, and what a runtime of other weights answers."""
    W, b, x = drawn(seed)
    rng = np.random.default_rng(seed + 1)
    h, c = (rng.uniform(-0.5, 0.5, (x.shape[1], W.shape[1])).astype(np.float32) for _ in "hc")
    y, final = runtime(*changed(W, b), x, h, c, together)
    return gw.LSTM.from_cells(Parameters(W, b)), x, ((State(h, c),),), y, [[final]]


@pairs(together=[6, 3, 2, 1], seed=range(3), thin=True)
def test_what_such_a_runtime_computes_is_no_mistake(together, seed):
    lstm, x, state, y, final = answered(seed, together=together)
    assert np.abs(lstm(x, state)[0] - y).max() > 1e-4
    for given in ({"y": y}, {"y": y, "final": final}):
        found = verify(lstm, x, state=state, **given)
        assert (found.verdict, found.causes) == ("rounding", ())
        (note,) = found.notes
        assert "8 bits before each product" in note
        assert (f"{together} sequences together" in note) == (together < 6)
        assert max(one.excess for one in found.differences) < 1


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.peers) for seed in (1, 2))])
def test_where_the_numbers_are_not_the_very_same_what_8_bits_change_is_the_bound(seed):
    lstm, x, state, y, final = answered(seed)
    y = y + np.float32(1e-4) * np.sign(np.random.default_rng(seed).normal(size=y.shape)).astype(np.float32)
    assert verify(lstm, x, y, state=state).verdict == "mistake"
    found = verify(lstm, x, y, state=state, final=final, eight_bits=True)
    assert found.verdict == "rounding"
    assert "a smaller mistake would not be found" in found.notes[0]


MISTAKES = {
    "a bias": lambda W, b: (W, b + np.float32(0.1) * (np.arange(4)[:, None] == 1)),
    "a row": lambda W, b: (W * np.where(np.arange(12) == 3, 0.5, 1)[None, :, None], b),
    "no recurrence": lambda W, b: (W * (np.arange(17) >= 12), b),
}


@pairs(mistake=MISTAKES, eight_bits=[True, False], thin=True)
def test_a_mistake_is_one_all_the_same(mistake, eight_bits):
    lstm, x, state, y, final = answered(0, changed=MISTAKES[mistake])
    assert verify(lstm, x, y, state=state, final=final, eight_bits=eight_bits).verdict == "mistake"


def test_the_cause_of_a_mistake_is_found_under_the_noise_of_8_bits():
    lstm, x, state, y, _ = answered(0, changed=lambda W, b: (W[[0, 1, 3, 2]], b[[0, 1, 3, 2]]))
    found = verify(lstm, x, y, state=state, eight_bits=True)
    assert found.verdict == "mistake"
    assert any("gates" in cause or "order" in cause for cause in found.causes), found.causes


def test_a_runtime_of_whole_numbers_is_not_taken_for_one_of_8_bits():
    W, b, x = drawn(0)
    lstm = gw.LSTM.from_cells(Parameters(W, b))
    y, _ = lstm(x)
    assert verify(lstm, x, y, eight_bits=True).notes == ()
