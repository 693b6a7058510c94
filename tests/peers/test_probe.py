"""Probes beside scikit-learn's ridge regressions, and its permutation test, which a random walk fools."""

from __future__ import annotations

import numpy as np
import pytest
from planted import leaky_bucket

import gatewise as gw
from gatewise import insight

pytest.importorskip("sklearn")
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_predict, permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("penalty", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_probe_predicts_what_scikit_learn_s_ridge_does(penalty, seed):
    lstm, rain, storage = leaky_bucket(300, 4, others=20, seed=seed)
    trace = lstm.trace(rain)[0]
    noise = np.random.default_rng(seed).normal(0, storage.std(), storage.shape).cumsum(0)
    for values in (storage, storage + noise):
        found = insight.probe(trace, values, folds=4, penalty=penalty, draws=2)
        groups = np.broadcast_to(np.arange(4), values.shape).ravel()
        model = make_pipeline(StandardScaler(), Ridge(penalty * 900))
        states, given = trace.cell_state.reshape(1200, -1), values.ravel()
        expected = cross_val_predict(model, states, given, groups=groups, cv=LeaveOneGroupOut())
        np.testing.assert_allclose(found.predicted.ravel(), expected, rtol=1e-6, atol=1e-6 * np.abs(given).max())
        assert found.r_squared == pytest.approx(r2_score(given, expected), abs=1e-8)
        whole = make_pipeline(StandardScaler(), Ridge(penalty * 1200)).fit(states, given)
        np.testing.assert_allclose(
            states @ found.coefficients + found.intercept, whole.predict(states), rtol=1e-6, atol=1e-6
        )


def test_random_walks_fool_a_permutation_test_and_not_shifts():
    lstm, rain, _ = leaky_bucket(200)
    trace = lstm.trace(rain)[0]
    model = make_pipeline(StandardScaler(), Ridge(0.2))
    shifts, permutations = [], []
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=200).cumsum()
        shifts.append(insight.probe(trace, values, penalty=1e-3, draws=40).p_value)
        options = {"cv": KFold(5, shuffle=True, random_state=0), "n_permutations": 40, "random_state": 0}
        permutations.append(permutation_test_score(model, trace.cell_state[:, 0], values, **options)[2])
    assert np.mean(np.array(shifts) <= 0.05) < 0.15
    assert np.mean(np.array(permutations) <= 0.05) > 0.5


def drifting(kind, rng, steps):
    """Return values over time that know nothing of any cell."""
    noise, clock = rng.normal(size=steps), np.linspace(-1, 1, steps)
    if kind == "autoregression":
        for t in range(1, steps):
            noise[t] += 0.95 * noise[t - 1]
        return noise
    return {
        "noise": noise,
        "walk": noise.cumsum(),
        "smooth walk": noise.cumsum().cumsum(),
        "line": 2 * clock + noise,
        "curve": 2 * clock**2 + clock + noise / 2,
        "rise": 1 / (1 + np.exp(-6 * (clock - rng.uniform(-0.5, 0.5)))) + 0.1 * noise,
        "step": (clock > rng.uniform(-0.6, 0.6)) + 0.2 * noise,
        "season": np.sin(2 * np.pi * (np.arange(steps) / rng.uniform(20, 45) + rng.random())) + 0.3 * noise,
    }[kind]


KINDS = ("noise", "autoregression", "walk", "smooth walk", "line", "curve", "rise", "step", "season")


def test_of_what_drifts_by_itself_a_twentieth_is_found():
    """Of 900 random cells, some of whose units forget slowly, over inputs that drift, and values of nine kinds."""
    found = []
    for seed in range(900):
        rng = np.random.default_rng(seed)
        cell = gw.LSTM(2, 12, rng=seed, dtype=np.float64)[0].parameters
        weight, bias = np.array(cell.weight) * rng.uniform(0.5, 2), np.array(cell.bias)
        bias[1] += rng.uniform(0, 4, 12)
        x = np.stack([drifting(rng.choice(["noise", "walk", "line", "curve"]), rng, 160) for _ in range(2)], axis=1)
        trace = gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace((x - x.mean(0)) / x.std(0))[0]
        probe = insight.probe(trace, drifting(KINDS[seed % 9], rng, 160), draws=79)
        found.append((probe.columns["p_value"].min() <= 0.05, probe.p_value <= 0.05 and probe.r_squared > 0))
    units, probes = np.mean(found, axis=0)

    assert 0.01 < units < 0.06
    assert probes < 0.06
