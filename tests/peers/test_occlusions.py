"""Steps that an occlusion names, on many networks: those that were planted, and more than other random sets."""

from __future__ import annotations

import numpy as np
import planted
import pytest

from gatewise import insight

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("seed", range(30))
def test_of_a_gate_that_opens_at_every_seventh_step_that_step_is_named_for_all_targets(seed):
    lstm, x = planted.gated(seed=seed)
    trace = lstm.trace(x)
    named = [insight.occlusion(trace, t=t, rng=seed).named for t in range(12, 60)]
    assert sum(steps == (t - (t - 6) % 7,) for t, steps in zip(range(12, 60), named, strict=True)) >= 47
    assert all(set(steps) <= {t - (t - 6) % 7} for t, steps in zip(range(12, 60), named, strict=True))


def test_what_is_named_changes_it_more_than_other_random_sets_and_other_rows_show():
    counts = {"named": 0, "rivals": 0}
    for seed in range(60):
        lstm, x = planted.steep(seed)
        found = insight.occlusion(lstm.trace(x), rng=seed)
        counts["rivals"] += found.rivals > 0
        assert not (found.rivals and found.named)
        if not found.named:
            assert "no step stands out" in str(found)
            continue
        counts["named"] += 1
        rng = np.random.default_rng(1000 + seed)
        others = [step for step in range(30) if step not in found.named]
        sets = [found.named, *(rng.choice(others, len(found.named), replace=False) for _ in range(200))]
        inputs = np.repeat(x[:, None], 30 * len(sets), axis=1)
        for place, steps in enumerate(sets):
            inputs[list(steps), 30 * place : 30 * (place + 1)] = x
        sizes = np.abs(lstm(inputs)[0][-1, :, 0] - lstm(x)[0][-1, 0]).reshape(len(sets), 30).mean(1)
        assert (sizes[1:] >= sizes[0]).mean() <= 0.02  # of 200 others, none did
    assert counts["named"] > 30
    assert counts["rivals"] > 10
