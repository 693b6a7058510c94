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


def assert_close(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    """Assert that two tensors are NaN in the same places, and agree within 1e-12 of the largest entry elsewhere."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, name
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), name)
    error, largest = (np.nanmax(np.abs(one), initial=0) for one in (found - expected, expected))
    assert error <= 1e-12 * largest, f"{name}: {error:.3g} off, of {largest:.3g}"
