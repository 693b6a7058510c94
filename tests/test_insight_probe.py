"""Does a unit carry X? Probes of planted memories, and of values that have nothing to do with them."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import cases
import numpy as np
import pytest
from pairwise import pairs
from planted import leaky_bucket

import gatewise as gw
from gatewise import insight


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
    said = "Storage (mm) can be read from the cell state of 4 units: a linear probe explains 100 % of its variance in"
    assert str(found).startswith(f"{said} held-out {held} (p = ")
    assert str(found).endswith("; unit 0 alone has a correlation of 1.00.")


def test_the_coefficients_predict_the_values_from_the_states():
    lstm, rain, storage = leaky_bucket(200, 2)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, storage)
    np.testing.assert_allclose(trace.cell_state @ found.coefficients + found.intercept, storage, atol=0.2)


def test_a_random_walk_is_not_found_where_permutations_would_find_it():
    """Neighbouring steps are alike: the null of a plain permutation is too narrow, that of shifts is not."""
    lstm, rain, _ = leaky_bucket(150)
    trace = lstm.trace(rain)[0]
    states = trace.cell_state[:, 0] - trace.cell_state[:, 0].mean(0)
    states /= np.linalg.norm(states, axis=0)
    by_shifts, by_permutations, best = [], [], []
    for seed in range(30):
        values = walk(seed, 150)
        found = insight.probe(trace, values, draws=60)
        by_shifts.append(found.p_value)
        best.append(found.columns["p_value"].min())
        rng = np.random.default_rng(seed)
        null = np.abs(rng.permuted(np.tile(values, (60, 1)), axis=1) @ states).max(1)
        by_permutations.append((1 + (null >= np.abs(values @ states).max()).sum()) / 61)
    assert np.mean(np.array(by_shifts) <= 0.05) < 0.15
    assert np.mean(np.array(best) <= 0.05) < 0.15
    assert np.mean(np.array(by_permutations) <= 0.05) > 0.5


def test_what_is_not_found_is_said_so():
    lstm, rain, _ = leaky_bucket(150)
    found = insight.probe(lstm.trace(rain)[0], walk(1, 150), name="a walk")
    assert "does not find a walk in the cell state of 4 units: in held-out blocks of steps it explains" in str(found)


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


def test_the_null_is_what_a_probe_of_shifted_values_finds():
    lstm, rain, storage = leaky_bucket(60, 2)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, storage, draws=100)
    assert len(found.null) == 59  # all that there are
    for shift in (1, 20):
        again = insight.probe(trace, np.roll(storage, shift, axis=0), draws=1)
        assert again.r_squared == pytest.approx(found.null[shift - 1], abs=1e-8)


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
    assert "rain, precipitation (mm/d)" in str(insight.probe(trace, rain[..., 0], name="rain")).replace("Rain", "rain")
    series = storage[:, 0].view(Series)
    series.name = "storage"
    assert str(insight.probe(trace, series)).startswith("Storage can be read")
    assert insight.probe(trace, storage).name == "the given quantity"


def test_a_probe_of_a_long_run_says_how_far_it_is(monkeypatch):
    told = []

    @contextmanager
    def working(what, total):
        yield lambda count: told.append((what, total, count))

    monkeypatch.setattr(sys.modules["gatewise.insight.probe"], "working", working)
    lstm, rain, storage = leaky_bucket(50)
    insight.probe(lstm.trace(rain)[0], storage)
    assert {one[:2] for one in told} == {("probing", 100)}
    assert sum(one[2] for one in told) == 100


LSTM, RAIN, STORAGE = leaky_bucket(30, 2)


@pytest.mark.parametrize(
    ("given", "options", "problem", "words"),
    [
        (STORAGE[:-1], {}, gw.ShapeError, ["(29, 2)", "(30, 2)"]),
        (STORAGE.T, {}, gw.ShapeError, ["(2, 30)"]),
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
