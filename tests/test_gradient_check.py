"""The gradient check finds right gradients right, and wrong ones wrong."""

from __future__ import annotations

import cases
import numpy as np
import walks
from pairwise import pairs

import gatewise as gw
from gatewise import adjoints
from gatewise.diagnostics.gradient_check import gradient_check
from gatewise.parameters import array_shapes


def steps_of(variant: str, time: int = 2, **options) -> list[gw.Step]:
    trace = cases.run_of(variant, time=time, batch=1, **options).trace()
    return [trace.step(t) for t in range(time)]


@pairs(variant=cases.VARIANTS, projection=("unprojected", "projected"), thin=walks.projected)
def test_right_gradients_agree_with_central_differences(variant, projection):
    steps = steps_of(variant, projection=projection)
    p, rng = steps[0].parameters, np.random.default_rng(1)
    found = gradient_check(steps, rng.normal(size=p.recurrent_size), rng.normal(size=p.hidden_size))
    assert [one.name for one in found] == ["x", "h_prev", "c_prev", *p.arrays()]
    for one in found:
        assert one.entries == min(one.of, 64), one.name
        assert one.error <= 1e-6 * one.largest + 1e-9, one


def test_a_wrong_gradient_is_seen(monkeypatch):
    steps = steps_of("plain")
    right = adjoints._gate_derivatives

    def wrong(M, k, dy):
        return tuple(1.01 * one for one in right(M, k, dy)) if k == "f" else right(M, k, dy)

    monkeypatch.setattr(adjoints, "_gate_derivatives", wrong)
    found = {one.name: one for one in gradient_check(steps, np.ones(4), np.zeros(4))}
    assert found["weight"].relative > 1e-3
    assert found["bias"].relative > 1e-3


def test_of_a_large_array_some_entries_are_compared_and_the_same_ones_again():
    steps = steps_of("plain", time=1, hidden=12, inputs=9)
    size = np.prod(array_shapes(gw.Variant(), 9, 12, 12)["weight"])
    for _ in range(2):
        weight = next(one for one in gradient_check(steps, np.ones(12), np.zeros(12)) if one.name == "weight")
        assert (weight.of, weight.entries) == (size, 64)
        assert weight.relative < 1e-7


def test_a_cell_in_single_precision_is_compared_within_its_rounding():
    steps = steps_of("plain", dtype=np.float32)
    for one in gradient_check(steps, np.ones(4, np.float32), np.zeros(4, np.float32)):
        assert one.error <= 1e-5 * max(one.largest, 1e-2), one


def test_what_has_no_gradient_has_no_error():
    step = gw.LSTMCell.from_parameters(gw.Parameters(np.zeros((4, 2, 3)), np.zeros((4, 2)))).step([1.0])
    assert all(one.error == one.relative == 0 for one in gradient_check([step], np.zeros(2), np.zeros(2)))
