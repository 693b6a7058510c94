"""Margins wider than rounding: what ties, what is in range, and that noise within a margin turns nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gatewise as gw
from gatewise.grading.edits.edit import EditContext
from gatewise.grading.hand_ins import MIN_COMMON_DIGITS
from gatewise.insight.drawn_exchanges import DrawnExchanges
from gatewise.insight.fixed_points import fixed_points
from gatewise.insight.memory import first_slowest
from gatewise.insight.ridge import PENALTIES, Sums, choose_penalty
from gatewise.margins import EPSILONS, LARGEST, TIE, first_largest, is_in_range, largest_first, rounding_margin
from gatewise.symbolic.cell import program
from gatewise.symbolic.formula import COLUMNS, RECURRENT, C, F, G, I, Number, Sum, times
from gatewise.symbolic.program import Form, with_ends

NOISE = [np.random.default_rng(seed).uniform(-1, 1, 200) for seed in range(20)]
TIED = np.repeat(np.random.default_rng(9).permutation(np.arange(-4.0, 36.0)), 5)  # each number five times


def test_the_first_of_several_largest_numbers_is_taken_whatever_the_noise() -> None:
    place = int(np.argmax(TIED))
    assert [first_largest(TIED + TIE / 3 * TIED.max() * noise) for noise in NOISE] == [place] * len(NOISE)
    assert [first_largest(TIED + 1e-9 * noise, within=1e-8) for noise in NOISE] == [place] * len(NOISE)


def test_numbers_that_tie_stay_in_their_order_whatever_the_noise() -> None:
    order = np.argsort(-TIED, kind="stable").tolist()
    for noise in NOISE:
        assert largest_first(TIED + TIE / 3 * TIED.max() * noise).tolist() == order
        assert largest_first(TIED + 1e-11 * noise, dtype=np.float64).tolist() == order
        assert largest_first(TIED + 1e-6 * noise, 12).tolist() == order[:12]


@pytest.mark.parametrize("noise", NOISE[:5])
def test_numbers_of_any_size_tie_with_those_as_large(noise: np.ndarray) -> None:
    sizes = 10.0 ** np.repeat(np.arange(-20, 20), 5)
    order = np.argsort(-sizes, kind="stable").tolist()
    assert largest_first(sizes * (1 + TIE / 3 * noise), relative=True).tolist() == order


def test_numbers_that_are_further_apart_are_in_the_order_of_their_sizes() -> None:
    numbers = np.random.default_rng(0).permutation(np.linspace(1, 2, 1000))
    assert largest_first(numbers).tolist() == np.argsort(-numbers).tolist()
    assert first_largest(numbers) == np.argmax(numbers)
    close = np.array([1.0, 1 + 1e-8, 1 - 1e-8])
    assert largest_first(close, dtype=np.float64).tolist() == [1, 0, 2]


def test_nan_is_last_and_infinity_first() -> None:
    assert largest_first([np.nan, 1, np.inf, -np.inf, 2, np.inf]).tolist() == [2, 5, 4, 1, 0, 3]
    assert first_largest([np.nan, 1, np.inf, np.inf]) == 2
    assert first_largest([np.nan, -3, -2]) == 2
    assert largest_first([]).tolist() == []


def test_a_margin_is_that_of_the_precision_and_of_the_largest_finite_number() -> None:
    numbers = np.array([[1, -8], [np.inf, 2]], np.float32)
    eps = np.finfo(np.float32).eps
    assert rounding_margin(numbers) == EPSILONS * eps * 8
    np.testing.assert_array_equal(rounding_margin(numbers, axis=0), EPSILONS * eps * np.array([1, 8]))
    assert rounding_margin(numbers.astype(np.float64), np.float32) == EPSILONS * eps * 8


@pytest.mark.parametrize("name", LARGEST)
def test_no_product_of_five_numbers_in_range_overflows_nor_a_sum_of_many(name: str) -> None:
    largest = np.dtype(name).type(LARGEST[name])
    assert np.isfinite(largest**5 * 1000)
    assert is_in_range([largest, -largest], np.dtype(name))
    assert not is_in_range([2 * largest], np.dtype(name))
    assert not is_in_range([np.nan], np.dtype(name))


# Where they are used.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_runs_differ_by_less_than_the_margin(dtype: str) -> None:
    """The margin rests on this: the engines differ as two CPUs do."""
    for hidden, layers in ((4, 1), (64, 1), (96, 2)):
        lstm = gw.LSTM(8, hidden, num_layers=layers, rng=1, dtype=dtype)
        x = np.random.default_rng(0).normal(size=(200, 2, 8))
        runs = [lstm.trace(x, engine=engine) for engine in ("auto", "reference")]
        for cell, other in zip(*(run.cells().values() for run in runs), strict=True):
            for name in ("forget_gate", "cell_state", "hidden_state"):
                numbers = cell.quantity(name)
                assert np.abs(numbers - other.quantity(name)).max() < rounding_margin(numbers) / 3


def test_right_sides_that_give_the_same_numbers_in_another_order_are_one_mistake() -> None:
    context = EditContext(with_ends(program(Form(gw.Variant())), {RECURRENT: 20, COLUMNS: 50}), 20, 50)
    first = Sum((times(F, C), times(I, G), times(F, G)))
    others = [Sum((times(I, G), times(F, G), times(C, F))), Sum((times(F, G), times(G, I), times(F, C)))]
    assert {context.fingerprint(right) for right in others} == {context.fingerprint(first)}
    assert context.fingerprint(times(Number(0), F)) == context.fingerprint(
        times(Number(0), times(Number(-1), F))
    )  # 0 and -0
    assert context.fingerprint(times(Number(1 + 1e-8), F)) != context.fingerprint(F)


def test_weighted_draws_do_not_follow_the_rounding_of_their_weights() -> None:
    weights = np.random.default_rng(3).random(5000) ** 4
    weights[::7] = 0

    def drawn(weights: np.ndarray) -> list[int]:
        return DrawnExchanges(None, np.random.default_rng(1)).chosen(weights, 300).tolist()  # type: ignore[arg-type]

    expected = drawn(weights)
    assert len(set(expected)) == 300
    assert weights[expected].all()
    for noise in NOISE:
        assert drawn(weights * (1 + 1e-7 * np.resize(noise, 5000))) == expected
    assert drawn(np.where(np.arange(5000) < 10, 1.0, 0.0)) != expected
    assert sorted(drawn(np.where(np.arange(5000) < 10, 1.0, 0.0))) == list(range(10))


def test_weighted_draws_are_in_proportion_to_their_weights() -> None:
    counts = np.zeros(3)
    for seed in range(2000):
        counts[DrawnExchanges(None, np.random.default_rng(seed)).chosen(np.array([1.0, 2.0, 5.0]), 1)] += 1  # type: ignore[arg-type]
    np.testing.assert_allclose(counts / counts.sum(), [1 / 8, 2 / 8, 5 / 8], atol=0.04)


def test_a_forget_gate_that_rounds_to_one_or_just_below_never_forgets() -> None:
    bias = np.zeros((4, 3), np.float32)
    bias[1] = 17, 16.5, 8
    cell = gw.Parameters(np.zeros((4, 3, 4), np.float32), bias)
    answer = gw.insight.timescales(gw.LSTM.from_cells(cell).trace(np.zeros((50, 1), np.float32))[0])
    assert np.isinf(answer.timescale).tolist() == [True, True, False]
    assert first_slowest(answer.timescale) == 0
    assert "resets, between" not in str(answer)


def test_units_without_resets_have_none_between_which_they_are_slower() -> None:
    trace = gw.LSTM(2, 40, rng=4).trace(np.random.default_rng(0).normal(size=(333, 2)))[0]
    answer = gw.insight.timescales(trace)
    assert not answer.columns["resets"].any()
    assert "resets" not in str(answer)


def test_of_ridge_penalties_that_predict_as_well_the_smallest_is_taken() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = (x @ [[1.0], [2.0], [-1.0]]) + 1e-14 * rng.normal(size=(400, 1))
    halves = []
    for half in (slice(None, 200), slice(200, None)):
        sums = Sums.zeros(1, 3, 1)
        sums.add(0, x[half], y[half])
        halves.append(sums.of(np.ones(1, bool)))
    assert choose_penalty(halves).tolist() == [PENALTIES[0]]


def test_eigenvalues_of_one_size_come_in_the_order_of_their_real_parts() -> None:
    weight, bias = np.zeros((4, 2, 3)), np.zeros((4, 2))
    bias[3], weight[2, :, :2] = 40, [[0, 2], [2, 0]]  # of the map of h alone: 1 and -1 times a number
    for noise in NOISE[:5]:
        moved = weight + 1e-15 * noise[:24].reshape(4, 2, 3)
        points = fixed_points(gw.LSTM.from_cells(gw.Parameters(moved, bias)), starts=4)
        origin = int(np.argmin(np.abs(points.cell_state).max(1)))
        values = points.eigenvalues[origin]
        within = 1e-9 * abs(values[0])
        for first, second in pairwise(values):
            assert abs(first) >= abs(second) - within
            assert abs(first) > abs(second) + within or first.real >= second.real - within


def test_eight_digits_are_eight_in_any_arithmetic() -> None:
    digits = -np.log10(2 * np.array([0.5e-4, 0.5e-4]))
    for epsilons in (-4, 0, 4):
        assert (digits * (1 + epsilons * np.finfo(float).eps)).sum() >= MIN_COMMON_DIGITS
    assert MIN_COMMON_DIGITS > 7.99
