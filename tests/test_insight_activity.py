"""Which units move: NumPy's standard deviation, whatever is valid and however it is cut."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import gatewise as gw
from gatewise.insight import activity


@pytest.mark.parametrize("projection_size", [None, 2])
def test_it_is_the_deviation_of_the_valid_steps_in_any_pieces(projection_size, monkeypatch):
    x = np.random.default_rng(0).normal(size=(20, 3, 2))
    trace = gw.LSTM(2, 5, rng=0, projection_size=projection_size).trace(x, lengths=[20, 1, 7])[0]
    rows = trace.unprojected_state[trace.valid].astype(float)
    for chunk in (1, 40, 1 << 22):
        monkeypatch.setattr(sys.modules["gatewise.insight.activity"], "CHUNK", chunk)
        found = activity(trace)
        np.testing.assert_allclose(found.deviation, rows.std(0), rtol=1e-12)
        np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-12)
    most, least = rows.std(0).argmax(), rows.std(0).argmin()
    assert str(found).startswith(f"Of the 5 units, unit {most} moves most (")
    assert f"and unit {least} least (" in str(found)
