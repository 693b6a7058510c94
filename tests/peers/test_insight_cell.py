"""Questions about a cell on long runs, in little memory, and ceilings against a determined search."""

from __future__ import annotations

import tracemalloc

import cases
import numpy as np
import planted
import pytest

import gatewise as gw
from gatewise import insight

pytestmark = pytest.mark.peers
GIGABYTE = 10**9


@pytest.fixture(scope="module", params=["memory", "file"])
def long_run(request, tmp_path_factory):
    """Return the trace of 100,000 steps of 128 units, in memory and mapped from a file."""
    x = np.random.default_rng(0).normal(size=(100_000, 1, 8)).astype(np.float32)
    out = tmp_path_factory.mktemp("long") / "trace" if request.param == "file" else None
    return gw.LSTM(8, 128, rng=0).trace(x, out=out)


QUESTIONS = {
    "saturation": lambda trace: insight.saturation(trace[0]),
    "timescales": lambda trace: insight.timescales(trace[0]),
    "contributions": lambda trace: insight.contributions(trace[0]),
    "attention": lambda trace: insight.attention(trace[0], every=100),
    "ceiling": lambda trace: insight.ceiling(trace, gw.Linear(np.ones((1, 128), np.float32))),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_long_run_is_answered_in_less_than_a_gigabyte(question, long_run):
    tracemalloc.start()
    found = QUESTIONS[question](long_run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < GIGABYTE
    assert np.isnan(found.residual) or found.residual < 1e-3  # in float32
    costs = {"contributions": insight.cost_of_contributions(long_run[0])}
    costs["attention"] = insight.cost_of_attention(long_run[0], every=100)
    if question in costs:
        assert peak < 1.3 * costs[question].memory + 2**21


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "variant", [name for name in cases.VARIANTS if name not in ("softsign, relu", "leaky relu, affine")]
)
def test_no_ascent_climbs_over_the_ceiling(variant, seed):
    """Adam on the input, from small and from large inputs."""
    rng = np.random.default_rng(seed)
    p = cases.parameters(cases.VARIANTS[variant], rng, inputs=2, hidden=3, projection=2 if seed % 3 == 2 else None)
    lstm, head = gw.LSTM.from_cells(p), gw.Linear(rng.normal(size=(1, p.recurrent_size)), rng.normal(size=1))
    found = insight.ceiling(lstm, head)
    x = rng.normal(0, 10.0 ** rng.uniform(-1, 2, (1, 8, 1)), (12, 8, 2))
    m, v, best = np.zeros_like(x), np.zeros_like(x), -np.inf
    for n in range(1, 60):
        trace = lstm.trace(x)
        y = head(trace.output)
        y = y[np.isfinite(y)]
        best = max(best, y.max())
        assert (found.floor - 1e-9 <= y).all()
        assert (y <= found.ceiling + 1e-9).all()
        dy = np.zeros_like(trace.output)
        dy[-1] = head.weight[0]
        g = np.nan_to_num(gw.backward(trace, dy).x)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        x = x + 0.5 * (m / (1 - 0.9**n)) / (np.sqrt(v / (1 - 0.99**n)) + 1e-12)
    assert best <= found.ceiling + 1e-9


def test_an_ascent_comes_to_a_planted_ceiling():
    network, limit = planted.rain_gauge()
    x = np.ones((80, 1))
    for _ in range(100):
        trace = network.trace(x)
        dy = np.zeros_like(trace.output)
        dy[-1] = 1
        x = x + 5 * np.sign(gw.backward(trace, dy).lstm.x)
    assert limit - 1e-3 < float(trace.output.max()) <= limit
