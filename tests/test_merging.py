"""How directions become one output, what is put out at masked steps, and the adjoints of both."""

from __future__ import annotations

import cases
import numpy as np
import pytest

from gatewise.layers.merging import MERGES, direction_gradient, direction_output, merge, merged_size, unmerge

every_merge = pytest.mark.parametrize("merge", MERGES)
every_masked_output = pytest.mark.parametrize("masked_output", ["zeros", "repeat"])


def test_merges_are_what_their_names_say():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    found = {how: merge([a, b], how).tolist() for how in MERGES}
    assert found == {
        "concat": [[1, 2, 3, 5]],
        "sum": [[4, 7]],
        "mul": [[3, 10]],
        "average": [[2, 3.5]],
        "none": [[[1, 2], [3, 5]]],
    }
    for how in MERGES:
        assert merge([a], how) is a
        assert merged_size(how, [2, 2]) == (4 if how == "concat" else 2)


@every_merge
def test_unmerging_is_the_derivative_of_merging(merge):
    from gatewise.layers import merging

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    dy = rng.normal(size=merging.merge([a, b], merge).shape)
    found = unmerge(dy, [a, b], merge)
    cases.assert_gradient(found[0], cases.differences(lambda a: np.sum(dy * merging.merge([a, b], merge)), a), "a")
    cases.assert_gradient(found[1], cases.differences(lambda b: np.sum(dy * merging.merge([a, b], merge)), b), "b")
    np.testing.assert_array_equal(unmerge(dy, [a], merge)[0], dy)


@every_masked_output
@pytest.mark.parametrize("reverse", [False, True])
def test_unshowing_is_the_derivative_of_showing(masked_output, reverse):
    rng = np.random.default_rng(0)
    hidden, valid = rng.normal(size=(4, 3, 2)), cases.valid_of("mask", 4, 3, rng)
    dy = rng.normal(size=hidden.shape)
    expected = cases.differences(
        lambda h: np.sum(dy * direction_output(h, valid, masked_output, reverse=reverse)), hidden
    )
    cases.assert_gradient(direction_gradient(dy, valid, masked_output, reverse=reverse), expected, "hidden")
    np.testing.assert_array_equal(direction_output(hidden, None, masked_output, reverse=reverse), hidden)
