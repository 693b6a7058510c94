"""How close two answers must be."""

from __future__ import annotations

import numpy as np


def distance(got, want) -> float:
    """Return the largest difference, relative to the largest entry of `want` where that is above 1."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    return float(np.abs(got - want).max(initial=0) / max(1, np.abs(want).max(initial=0)))


def assert_agree(got: dict, want: dict, tolerance: float) -> None:
    """Hold every array of `got` against that of the same name in `want`, and name those that are too far."""
    assert got.keys() == want.keys()
    far = {name: found for name in want if not (found := distance(got[name], want[name])) <= tolerance}
    assert not far, f"further apart than {tolerance:.1e}: {far}"
