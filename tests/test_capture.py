"""How far a captured trace is from what its model put out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gatewise.interop.capture import difference

NAN, INF = float("nan"), float("inf")


def pairs(*numbers):
    return [(np.array([one, 0.0]), np.array([other, 0.0])) for one, other in numbers]


@pytest.mark.parametrize("order", list(permutations([(1.0, 1.5), (NAN, 1.0), (0.0, 0.0)])))
def test_a_nan_in_any_of_the_arrays_is_told(order):
    assert np.isnan(difference(pairs(*order)))


@pytest.mark.parametrize("order", list(permutations([(1.0, 1.5), (2.0, 1.0), (0.0, 0.25)])))
def test_the_largest_difference_of_all_arrays_is_told(order):
    assert difference(pairs(*order)) == 1.0


def test_the_same_infinity_is_no_difference_and_another_is_an_infinite_one():
    assert difference(pairs((INF, INF), (-INF, -INF), (1.0, 1.0))) == 0.0
    assert difference(pairs((INF, -INF))) == INF
    assert difference(pairs((INF, 3.0))) == INF


def test_nothing_is_not_apart_and_other_shapes_are_infinitely_apart():
    assert difference([]) == 0.0
    assert difference([(np.zeros((0, 2)), np.zeros((0, 2)))]) == 0.0
    assert difference([(np.zeros(2), np.zeros((2, 1)))]) == INF
