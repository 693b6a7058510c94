"""The page trains as a textbook's rule and Python's own backward pass do, update by update, and learns the latch."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import numpy as np
import page_cases
import pytest
import training
from peers import node
from training import STEPS, Settings

from gatewise.playground.sequence_run import sequence_run_of

pytestmark = pytest.mark.peers
UPDATES = 100
EACH, CHAIN = 1e-12, 1e-9  # of each tensor's largest entry: one update, and a hundred
ROUNDED = 1e-15  # of an output of about 1: an error that is nearly 0 is known no better
LEARNED, OFF = 2e-3, 0.1  # the mean squared error of a latch that has learned, and how far a released bit may be off
SETTINGS = [
    Settings("latch" if task else "echo", 7, optimiser, 0.02 if optimiser == "adam" else 0.5, clip, bias, seed)
    for seed, (task, optimiser, clip) in enumerate(product((0, 1), ("adam", "descent"), (0.0, 0.05, 0.6)))
    for bias in (seed % 3 - 1,)
]


def answers(folder: Path, model, cases: list[dict]) -> list[dict]:
    """Return what the page's training makes of settings, in node."""
    document = page_cases.document_of(sequence_run_of(model, np.zeros((STEPS, 3)), 0, {}))
    return node.answer("training.mjs", folder, {"document": document, "cases": cases})


def off(found: list[float], expected: np.ndarray, pieces: list[slice]) -> float:
    """Return the largest difference over the largest entry of each parameter."""
    differences = np.abs(np.array(found) - expected)
    return max(np.max(differences[piece]) / np.max(np.abs(expected[piece])) for piece in pieces)


@pytest.mark.parametrize("layers", [1, 2])
def test_each_of_a_hundred_updates_is_the_textbooks_and_so_is_their_chain(tmp_path, layers):
    model = training.network(4, layers)
    pieces = training.pieces(model)
    cases, updates, chains = [], [], []
    for settings in SETTINGS:
        begin = training.start(model, settings)
        chains.append([*training.updates(model, settings, begin, UPDATES)])
        drawn = np.random.default_rng(settings.seed).normal(scale=0.1, size=begin.weights.shape)  # no bias is nearly 0
        updates.append([*training.updates(model, settings, replace(begin, weights=begin.weights + drawn), UPDATES)])
        cases.append({"settings": asdict(settings), "states": [listed(one.before) for one in updates[-1]]})
        cases[-1]["count"] = UPDATES
    clipped = 0
    for settings, each, chain, answer in zip(SETTINGS, updates, chains, answers(tmp_path, model, cases), strict=True):
        for number, made in zip((-1, 0, 1, 7), answer["sequences"], strict=True):
            x, target = training.sequence(settings, STEPS, number)
            assert np.array_equal(np.reshape(made["x"], (STEPS, 3)), x)
            assert np.array_equal(np.array(made["target"], float), target, equal_nan=True)
        for one, update in zip(each, answer["updates"], strict=True):
            assert off(update["weights"], one.after.weights, pieces) <= EACH
            for name, expected in (("loss", one.loss), ("gradient", one.gradient), ("mean", one.after.mean)):
                assert np.allclose(update[name], expected, rtol=0, atol=EACH * np.max(np.abs(expected)) + ROUNDED)
            assert np.allclose(update["square"], one.after.square, rtol=1e-9, atol=ROUNDED**2)
            clipped += 0 < settings.clip < update["norm"]
        made = answer["chain"]
        assert made["first"] == chain[0].before.weights.tolist()
        assert off(made["last"], chain[-1].after.weights, pieces) <= CHAIN
        assert made["again"] == made["last"]
        assert np.allclose(made["losses"], [one.loss for one in chain], rtol=1e-7, atol=0)
    assert 100 < clipped < len(SETTINGS) * UPDATES


def listed(state: training.State) -> dict:
    """Return a state as JSON has it."""
    return {name: np.asarray(value).tolist() for name, value in asdict(state).items()}


def test_the_latch_is_learned_by_nine_of_ten_seeds(tmp_path):
    cases = [{"settings": asdict(replace(Settings(), seed=seed)), "learned": 2000} for seed in range(1, 11)]
    found = answers(tmp_path, training.network(), cases)
    assert [answer["at"] for answer in found] == [2000] * 10
    assert sum(answer["worst"] <= OFF and answer["loss"] <= LEARNED for answer in found) >= 9


def test_a_long_echo_is_learned_with_an_open_forget_gate_alone(tmp_path):
    settings = [Settings("echo", 20, bias=bias, seed=seed) for bias in (0, 2) for seed in range(1, 6)]
    found = answers(tmp_path, training.network(), [{"settings": asdict(one), "learned": 1000} for one in settings])
    assert all(answer["loss"] > 0.5 for answer in found[:5])
    assert all(answer["worst"] <= OFF for answer in found[5:])
