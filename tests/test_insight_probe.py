"""Does a unit carry X? Probes of planted memories, and of values that have nothing to do with them."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager

import cases
import numpy as np
import pytest
from pairwise import pairs
from planted import bracket_detector, leaky_bucket

import gatewise as gw
from gatewise import insight
from gatewise.insight.ridge import ProbeRows


def ridge_by_hand(states, values, groups, penalty):
    """Return what ridge regressions of the other groups predict of each group, from their least squares."""
    predicted = np.empty(len(values))
    for group in np.unique(groups):
        train, test = groups != group, groups == group
        mean, spread = states[train].mean(0), states[train].std(0)
        spread[spread < 1e-9] = 1
        scaled, target = (states - mean) / spread, values[train].mean()
        rows = np.vstack([scaled[train], np.sqrt(penalty * train.sum()) * np.eye(len(mean))])
        weights = np.linalg.lstsq(rows, np.concatenate([values[train] - target, np.zeros(len(mean))]))[0]
        predicted[test] = scaled[test] @ weights + target
    return predicted


class Series(np.ndarray):
    """Numbers with a name, as pandas and xarray have them."""


def walk(seed, *shape):
    """Return a random walk, which knows nothing of any cell."""
    return np.random.default_rng(seed).normal(size=shape).cumsum(0)


@pytest.mark.parametrize(("batch", "by"), [(1, "block"), (3, "block"), (3, "sequence")])
def test_the_storage_of_a_leaky_bucket_is_found_in_the_unit_that_holds_it(batch, by):
    lstm, rain, storage = leaky_bucket(200, batch)
    found = insight.probe(lstm.trace(rain)[0], storage, by=by, name=("storage", "mm"))
    assert found.r_squared > 0.999
    assert found.correlation > 0.999
    assert found.p_value < 0.05
    assert found.residual < 1e-10
    assert np.argmax(np.abs(found.columns["correlation"])) == 0
    assert found.columns["p_value"][0] == found.columns["p_value"].min()
    assert np.argmax(np.abs(found.columns["coefficient"])) == 0
    held = "sequences" if by == "sequence" else "blocks of steps"
    assert str(found).startswith("Unit 0 carries storage (mm): r 1.00 (p < 0.006, best of 4 units); all together")
    assert str(found).endswith(f"explain 100 % of it in held-out {held} (p < 0.006).")
    assert found.best == 0
    assert found.reading[0].startswith("Tested: ")


def test_the_coefficients_predict_the_values_from_the_states():
    lstm, rain, storage = leaky_bucket(200, 2)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, storage)
    np.testing.assert_allclose(trace.cell_state @ found.coefficients + found.intercept, storage, atol=0.2)


def drifting(kind, rng, steps):
    """Return values over time that know nothing of any cell, but are like their own past, or like a clock."""
    noise, clock = rng.normal(size=steps), np.linspace(-1, 1, steps)
    if kind == "noise":
        return noise
    if kind == "walk":
        return noise.cumsum()
    if kind == "line":
        return 2 * clock * rng.choice([-1, 1]) + noise
    return 2 * clock**2 + clock + noise / 2


def random_run(rng, steps, hidden):
    """Return the trace of a random cell, some of whose units forget slowly, over an input that drifts."""
    cell = gw.LSTM(2, hidden, rng=int(rng.integers(2**31)), dtype=np.float64)[0].parameters
    weight, bias = np.array(cell.weight) * rng.uniform(0.5, 2), np.array(cell.bias)
    bias[1] += rng.uniform(0, 4, hidden)
    x = np.stack([drifting(rng.choice(["noise", "walk", "line"]), rng, steps) for _ in range(2)], axis=1)
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace((x - x.mean(0)) / x.std(0))[0]


def largest_of_shifts(states, values, draws, rng):
    """Return whether the best unit is significant by shifts of values that are taken as they are."""
    states = states - states.mean(0)
    states = states / np.linalg.norm(states, axis=0)
    shifts = [0, *rng.choice(np.arange(1, len(values)), draws, replace=False)]
    largest = [np.abs((np.roll(values, shift) - values.mean()) @ states).max() for shift in shifts]
    return (np.array(largest) >= largest[0]).mean() <= 0.05


@pytest.mark.thorough
def test_what_drifts_is_found_no_more_often_than_by_chance():
    """Of states and values that drift apart from each other, plain shifts would find every second."""
    units, probes, plain = [], [], []
    for seed in range(90):
        rng = np.random.default_rng(seed)
        trace, values = random_run(rng, 100, 4), drifting(("walk", "line", "curve")[seed % 3], rng, 100)
        found = insight.probe(trace, values, draws=39, penalty=0.1)
        units.append(found.columns["p_value"].min() <= 0.05)
        probes.append(found.p_value <= 0.05 and found.r_squared > 0)
        plain.append(largest_of_shifts(trace.cell_state, values, 39, rng))
    assert np.mean(units) < 0.12
    assert np.mean(probes) < 0.12
    assert np.mean(plain) > 0.3


def test_brackets_are_found_in_the_unit_that_is_on_inside_them():
    lstm, x, places = bracket_detector([[(5, 9), (7, 12), (3, 6), (8, 4), (6, 9)]])
    inside = np.zeros(len(x))
    for _, opening, closing in places:
        inside[opening:closing] = 1
    drift = np.linspace(0, 3, len(x))
    found = insight.probe(lstm.trace(x)[0], inside, name="being inside brackets")
    assert str(found).startswith("Unit 1 carries being inside brackets: r 1.00 (p < 0.02, best of 5 units)")
    assert insight.probe(lstm.trace(x)[0], inside + drift).columns["p_value"][1] < 0.05


def test_trend_and_past_are_taken_out_of_values_and_states_by_least_squares():
    trace, values = random_run(np.random.default_rng(3), 150, 5), walk(4, 150)
    found, steps, lags = insight.probe(trace, values, draws=149), np.arange(150), range(8)
    rest = values - np.polyval(np.polyfit(steps, values, 1), steps)
    past = np.stack([rest[7 - lag : 149 - lag] for lag in lags], axis=1)
    fits = [np.linalg.lstsq(past[:, :count], rest[8:])[0] for count in lags]
    errors = [np.sum((rest[8:] - past[:, : len(fit)] @ fit) ** 2) for fit in fits]
    fit = min(zip(fits, errors, strict=True), key=lambda pair: 142 * np.log(pair[1]) + 2 * len(pair[0]))[0]
    count = len(fit)
    noise, states = (
        array[count:] - sum(weight * array[count - 1 - lag : 149 - lag] for lag, weight in enumerate(fit))
        for array in (rest, trace.cell_state)
    )
    states -= np.polynomial.polynomial.polyval(steps[count:], np.polyfit(steps[count:], states, 1)[::-1]).T
    correlations = np.array(
        [[np.corrcoef(np.roll(noise, s), unit)[0, 1] for unit in states.T] for s in range(len(noise))]
    )
    np.testing.assert_allclose(found.columns["prewhitened"], correlations[0], atol=1e-3)
    largest = np.abs(correlations[1:]).max(1)
    expected = [(1 + (largest >= abs(r)).sum()) / len(noise) for r in correlations[0]]
    np.testing.assert_allclose(found.columns["p_value"], expected, atol=0.08)
    explained = 100 * (1 - rest.var() / values.var())
    assert f"a line explains {explained:.0f} % of the values, and their last " in found.reading[0]


def test_one_of_many_tests_must_be_as_many_times_rarer():
    lstm, rain, storage = leaky_bucket(150)
    one, many = (insight.probe(lstm.trace(rain)[0], storage, tests=tests) for tests in (1, 5))
    np.testing.assert_allclose(many.columns["p_value"], np.minimum(1, 5 * one.columns["p_value"]))
    assert many.p_value == pytest.approx(5 * one.p_value)
    assert "times 5" in many.reading[0]
    assert "there are too few steps" in str(insight.probe(lstm.trace(rain)[0], walk(1, 150), tests=9))


def test_what_is_not_found_is_said_so_with_how_much_would_have_been():
    lstm, rain, _ = leaky_bucket(150)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, walk(1, 150), name="a walk")
    said = re.fullmatch(
        r"No unit is found to carry a walk: without trend and past, unit (\d), the best of 4 units, has r (\S+)"
        r" \(p = \S+\); an r of (\S+) would have been found\.",
        str(found),
    )
    assert said is not None
    assert found.columns["prewhitened"][int(said[1])] == pytest.approx(float(said[2]), abs=0.01)
    assert abs(float(said[2])) < float(said[3]) < 0.4
    assert "without its trend, nothing is left of it" in str(insight.probe(trace, np.arange(150.0)))
    alike = leaky_bucket(50, 3)[0].trace(leaky_bucket(50, 3)[1])[0]
    assert insight.probe(alike, np.ones((50, 1)) * [0.1, 0.2, 0.3]).columns["p_value"].min() == 1


@pairs(variant=cases.VARIANTS, quantity=["cell_state", "hidden_state"], **cases.RUNS, thin=True)
def test_a_probe_is_the_ridge_of_the_other_sequences_on_every_variant(
    variant, quantity, projection, direction, valid, dropout
):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=12)
    trace = run.trace()
    values = walk(0, 12, 3)
    values[5, 0] = np.nan
    found = insight.probe(trace, values, quantity=quantity, folds=3, draws=5, penalty=0.01, by="sequence")
    on = ~np.isnan(values) if run.valid is None else ~np.isnan(values) & run.valid
    states, groups = trace.quantity(quantity)[on], np.broadcast_to(np.arange(3), (12, 3))[on]
    expected = ridge_by_hand(states, values[on], groups, 0.01)
    np.testing.assert_allclose(found.predicted[on], expected, rtol=1e-6, atol=1e-8)
    assert np.isnan(found.predicted[~on]).all()
    assert found.r_squared == pytest.approx(1 - ((values[on] - expected) ** 2).mean() / values[on].var(), abs=1e-8)
    assert found.residual < 1e-10


def test_what_is_tested_is_the_probe_of_values_and_states_without_lines():
    """Of noise without a past, in sequences that are too short for one to be looked for."""
    lstm, rain, _ = leaky_bucket(19, 3)
    line = np.linalg.qr(np.vander(np.arange(19.0), 2))[0]
    without = np.eye(19) - line @ line.T
    noise, trace = np.random.default_rng(0).normal(size=(19, 3)), lstm.trace(rain)[0]
    found = insight.probe(trace, noise, penalty=0.1)
    assert len(found.null) == 18  # all that there are
    values, states = (without @ noise).ravel(), np.tensordot(without, trace.cell_state, 1).reshape(57, -1)
    errors = values - ridge_by_hand(states, values, np.arange(57) % 3, 0.1)
    assert found.prewhitened == pytest.approx(1 - (errors**2).sum() / (values**2).sum(), abs=1e-6)


def test_shifted_values_are_as_large_as_the_others_and_have_no_line():
    values = np.random.default_rng(0).normal(size=(40, 2))
    usable = np.ones((40, 2), bool)
    usable[25:, 1] = False
    line = np.where(usable, np.arange(40)[:, None] - (usable.sum(0) - 1) / 2, 0)
    line /= np.linalg.norm(line, axis=0)
    shifts = np.broadcast_to([0, 1, 7, 24, 30], (2, 5))
    rows = ProbeRows(np.ones((40, 2, 1)), values, usable, shifts, line, np.random.default_rng(1))
    assert 0.3 < np.abs(rows.slopes[:, 1:]).mean() < 2
    expected = 0
    for sequence, count in enumerate((40, 25)):
        own = line[:count, sequence]
        scaled = (values[:count, sequence] - rows.mean) / rows.scale
        for target, shift in enumerate(shifts[sequence]):
            shifted = np.roll(scaled + rows.slopes[sequence, target] * own, shift)
            expected += (np.arange(5) == target) * ((shifted - own * (own @ shifted)) ** 2).sum()
    np.testing.assert_allclose(rows.sums_by_half(np.zeros((40, 2), int), lambda count: None).yy.sum(0), expected)


def test_sequences_shifted_apart_allow_smaller_p_values():
    """Of short sequences, there are too few shifts that all have in common."""
    lstm, rain, storage = leaky_bucket(8, 12)
    trace = lstm.trace(rain)[0]
    assert insight.probe(trace, storage).p_value >= 1 / 8
    assert insight.probe(trace, storage, shift="apart").p_value < 0.05


def test_blocks_of_neighbouring_steps_are_held_out():
    lstm, rain, storage = leaky_bucket(100)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, storage, folds=4, penalty=0.1, draws=3)
    expected = ridge_by_hand(trace.cell_state[:, 0], storage[:, 0], np.arange(100) // 25, 0.1)
    np.testing.assert_allclose(found.predicted[:, 0], expected, rtol=1e-8)


def test_other_sequences_and_kept_steps_change_nothing():
    lstm, rain, storage = leaky_bucket(120, 3)
    one = insight.probe(lstm.trace(rain, lengths=[120, 100, 60])[0], storage, sequence=1)
    alone = insight.probe(lstm.trace(rain[:100, 1:2])[0], storage[:100, 1])
    np.testing.assert_allclose(one.predicted[:100], alone.predicted, rtol=1e-9)
    assert one.sequences == ("1",)
    less = insight.probe(lstm.trace(rain, keep="cell_state", units=[0, 2], every=3)[0], storage)
    assert less.columns["unit"].tolist() == ["0", "2"]
    np.testing.assert_array_equal(less.values, storage[::3])
    assert less.times.tolist() == list(range(0, 120, 3))


def test_the_same_question_has_the_same_answer():
    lstm, rain, storage = leaky_bucket(300)
    trace = lstm.trace(rain)[0]
    one, other = (insight.probe(trace, storage, draws=20) for _ in range(2))
    assert one.to_csv() == other.to_csv()
    assert one.null.tolist() == other.null.tolist()
    assert insight.probe(trace, storage, draws=20, rng=1).null.tolist() != one.null.tolist()


def test_what_is_probed_for_is_called_by_its_name_and_measure():
    lstm, rain, storage = leaky_bucket(40)
    labels = gw.Labels(features=["rain"], measures={"rain": ("precipitation", "mm/d")})
    trace = lstm.trace(rain, labels=labels)[0]
    assert " rain, precipitation (mm/d)" in str(insight.probe(trace, rain[..., 0], name="rain"))
    series = storage[:, 0].view(Series)
    series.name = "storage"
    assert str(insight.probe(trace, series)).startswith("Unit 0 carries storage: ")
    assert insight.probe(trace, storage).name == "the given quantity"


def test_a_probe_of_a_long_run_says_how_far_it_is(monkeypatch):
    told = []

    @contextmanager
    def working(what, total):
        yield lambda count: told.append((what, total, count))

    monkeypatch.setattr(sys.modules["gatewise.insight.probe"], "working", working)
    lstm, rain, storage = leaky_bucket(50)
    insight.probe(lstm.trace(rain)[0], storage)
    assert {one[:2] for one in told} == {("probing", 150)}
    assert sum(one[2] for one in told) == 150


@pytest.mark.parametrize("left", [1, 2, 5, 6, 100])
def test_a_sequence_that_its_own_past_takes_whole_is_not_held_out(left):
    lstm, rain, _ = leaky_bucket(100, 2)
    found = insight.probe(lstm.trace(rain, lengths=[100, left])[0], walk(1, 100, 2))
    assert found.by == ("sequence" if left > 5 else found.by)
    assert np.isfinite(found.r_squared)


def test_a_p_value_of_a_finding_is_not_said_to_be_below_more_than_its_level():
    lstm, rain, _ = leaky_bucket(20)
    one = gw.LSTM.from_cells(gw.Parameters(np.array(lstm[0].parameters.weight)[:, :1, [0, 4]], np.zeros((4, 1))))
    found = insight.probe(one.trace(rain)[0], one.trace(rain)[0].cell_state[:, :, 0], draws=19)
    assert found.columns["p_value"][0] <= 0.05
    for bound in re.findall(r"p [<=] ([0-9.]+)", str(found)):
        assert float(bound) <= 0.05


LSTM, RAIN, STORAGE = leaky_bucket(30, 2)


@pytest.mark.parametrize(
    ("given", "options", "problem", "words"),
    [
        (STORAGE[:-1], {}, gw.ShapeError, ["(29, 2)", "(30, 2)"]),
        (STORAGE.T, {}, gw.ShapeError, ["(2, 30)"]),
        (STORAGE * 1e300, {}, gw.OptionError, ["variance", "inf"]),
        (STORAGE * 1e-300, {}, gw.OptionError, ["variance", "0"]),
        (STORAGE, {"tests": 0}, gw.OptionError, ["tests"]),
        (np.full((30, 2), np.nan), {}, gw.OptionError, ["none at a valid step"]),
        (np.where(STORAGE > 9, np.inf, 0), {}, gw.OptionError, ["infinite"]),
        (np.ones((30, 2)), {}, gw.OptionError, ["differ", "1"]),
        (np.array([["rain"]]), {}, gw.OptionError, ["real numbers"]),
        (np.where(np.arange(30)[:, None] == 29, STORAGE, np.nan), {}, gw.OptionError, ["more than one step"]),
        (STORAGE, {"folds": 1}, gw.OptionError, ["folds", "2"]),
        (STORAGE, {"folds": 16, "by": "block"}, gw.OptionError, ["16 blocks", "32", "30"]),
        (STORAGE, {"draws": 0}, gw.OptionError, ["draws"]),
        (STORAGE, {"by": "unit"}, gw.OptionError, ["sequence, block"]),
        (STORAGE, {"by": "sequence", "sequence": 0}, gw.OptionError, ["two sequences"]),
        (STORAGE, {"quantity": "forget_gate"}, gw.OptionError, ["cell_state, hidden_state"]),
        (STORAGE, {"sequence": 2}, gw.OptionError, ["no sequence 2"]),
        (STORAGE, {"penalty": -1}, gw.OptionError, ["penalty"]),
        (STORAGE, {"penalty": "none"}, gw.OptionError, ["penalty"]),
        (STORAGE, {"shift": "none"}, gw.OptionError, ["together, apart"]),
        (STORAGE, {"rng": -1}, gw.OptionError, ["rng"]),
        (STORAGE, {"name": 3}, gw.OptionError, ["name"]),
    ],
)
def test_what_cannot_be_probed_is_refused_in_one_sentence(given, options, problem, words):
    with cases.refusal(*words, by=problem):
        insight.probe(LSTM.trace(RAIN)[0], given, **options)
