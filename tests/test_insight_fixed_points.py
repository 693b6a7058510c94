"""Where does it come to rest? What a step leaves as it is, the spectrum around it, and memories that were planted."""

from __future__ import annotations

import re

import cases
import numpy as np
import planted
import pytest
import walks
from pairwise import pairs

import gatewise as gw
from gatewise import insight

FEW = {"starts": 3, "settle": 10}


def steps_from(cell, x, state, count):
    for _ in range(count):
        state = cell.step(x, state).state
    return state


def jacobian_by_differences(cell, x, h, c, by=1e-6):
    state, split = np.concatenate([h, c]), len(h)
    columns = []
    for k in range(len(state)):
        ends = []
        for sign in (1, -1):
            moved = state.copy()
            moved[k] += sign * by
            ends.append(np.concatenate(cell.step(x, gw.State(moved[:split], moved[split:])).state))
        columns.append((ends[0] - ends[1]) / (2 * by))
    return np.array(columns).T


@pairs(
    variant=cases.VARIANTS,
    projection=["unprojected", "projected"],
    allowed=walks.projected,
    rest=pytest.mark.peers,
    strength=1,
)
def test_a_step_maps_each_point_onto_itself_and_its_jacobian_is_that_of_differences(variant, projection):
    p = cases.run_of(variant, projection=projection, hidden=3).p
    cell, x = gw.LSTMCell.from_parameters(p), np.array([0.3, -0.2])
    found = insight.fixed_points(cell, x, **FEW)
    assert found.residual <= 1e-10
    assert found.converged == found.counts.sum()
    for point, (h, c) in enumerate(zip(found.hidden_state, found.cell_state, strict=True)):
        after = cell.step(x, gw.State(h, c)).state
        assert max(np.abs(after.h - h).max(), np.abs(after.c - c).max()) <= 1e-10
        expected = jacobian_by_differences(cell, x, h, c)
        np.testing.assert_allclose(found.jacobians[point], expected, atol=1e-6)
        sizes = np.sort(np.abs(np.linalg.eigvals(found.jacobians[point])))[::-1]
        np.testing.assert_allclose(np.abs(found.eigenvalues[point]), sizes, atol=1e-12)


def test_every_variant_of_a_seed_has_a_point_somewhere():
    """So that the law above is about something."""
    points = [len(insight.fixed_points(gw.LSTMCell(2, 3, rng=n), **FEW).kinds) for n in range(5)]
    assert min(points) >= 1


def near(cell, x, found, point, by, rng, count):
    """Return how far a run that starts `by` away from a point is from it after some steps."""
    h, c = found.hidden_state[point], found.cell_state[point]
    start = gw.State(h + by * rng.normal(size=h.shape), c + by * rng.normal(size=c.shape))
    end = steps_from(cell, x, start, count)
    return max(np.abs(end.h - h).max(), np.abs(end.c - c).max())


def test_a_run_that_starts_near_a_stable_point_returns_to_it_and_near_a_saddle_leaves_it():
    lstm = planted.bistable().lstm
    cell, rng = lstm.layers[0][0], np.random.default_rng(0)
    found = insight.fixed_points(lstm)
    for point, kind in enumerate(found.kinds):
        away = near(cell, [0.0], found, point, 1e-3, rng, 40)
        assert away < 1e-9 if kind == "stable" else away > 0.5


# Planted memories.


@pytest.mark.parametrize("given", ["cell", "lstm", "trace"])
def test_the_bistable_cell_rests_at_two_points_with_a_saddle_between(given):
    lstm, x, known = planted.bistable()
    subject = {"cell": lstm.layers[0][0], "lstm": lstm, "trace": lstm.trace(x)[0]}[given]
    found = insight.fixed_points(subject)
    assert sorted(found.kinds) == ["saddle", "stable", "stable"]
    by_content = np.argsort(found.cell_state[:, 0])
    np.testing.assert_allclose(found.cell_state[by_content, 0], known["content"] * np.array([-1, 0, 1]), atol=1e-12)
    assert found.kinds[by_content[1]] == "saddle"
    assert found.eigenvalues[by_content[1], 0].real == pytest.approx(known["growth"])
    assert "3 fixed points (2 stable, 1 saddle)" in str(found)
    assert str(found).endswith("there may be others.")


def test_an_input_that_is_strong_enough_leaves_the_bistable_cell_one_point():
    found = insight.fixed_points(planted.bistable().lstm, [6.0])
    assert found.kinds == ("stable",)
    assert found.x.tolist() == [6.0]


@pytest.mark.parametrize("timescale", [2.0, 20.0, 2000.0])
def test_the_bucket_runs_dry_with_the_timescale_that_was_planted(timescale):
    found = insight.fixed_points(planted.bucket(timescale).lstm)
    assert found.kinds == ("stable",)
    assert found.columns["time_constant"][0] == pytest.approx(timescale, rel=1e-9)
    np.testing.assert_allclose(found.cell_state, 0, atol=1e-9)


def test_the_bucket_under_steady_rain_holds_what_a_geometric_series_says():
    lstm, _, known = planted.bucket()
    found = insight.fixed_points(lstm, [0.05])
    assert found.cell_state[0, 0] == pytest.approx(np.tanh(0.05) / (1 - known["forget"]))


def test_the_counter_may_rest_anywhere():
    found = insight.fixed_points(planted.counter().lstm, starts=4)
    assert set(found.kinds) == {"neutral"}
    assert len(found.kinds) > 4
    assert np.isposinf(found.columns["time_constant"]).all()
    assert "neutral" in str(found)


def test_a_cell_that_turns_has_the_period_that_was_planted():
    """Two units that write the other's content, one of them its negative: a rotation by 90° that decays."""
    weight, bias = np.zeros((4, 2, 3)), np.zeros((4, 2))
    bias[[0, 3]], bias[1] = 40, -40  # what is written replaces what was there
    weight[2, 0, 1], weight[2, 1, 0] = 0.9, -0.9
    found = insight.fixed_points(gw.LSTMCell.from_parameters(gw.Parameters(weight, bias)))
    assert found.columns["period"][0] == pytest.approx(4)
    assert found.columns["time_constant"][0] == pytest.approx(-1 / np.log(0.9))


# Starts.


def test_half_of_the_starts_are_states_of_the_trace_and_its_dates_give_the_unit():
    lstm, x, _ = planted.bistable()
    trace = lstm.trace(x, labels=gw.Labels(times=np.datetime64("2001-01-01") + np.arange(len(x))))[0]
    found = insight.fixed_points(lstm, trace=trace, starts=8, settle=0)
    assert "time_constant_days" in found.columns
    assert " days;" in str(found)
    assert found.starts >= 8


@pytest.mark.parametrize(
    ("plant", "where"), [(planted.bistable, "point 0 (60)"), (lambda: planted.bucket(2000.0), "else")]
)
def test_where_the_states_of_a_run_go_while_the_input_is_held_is_tried(plant, where):
    lstm, x, _ = plant()
    trace = lstm.trace(x[:, None])[0]
    found = insight.fixed_points(trace, starts=2 * len(x), rng=1)  # so that every state of the run is a start
    (sentence,) = [sentence for sentence in found.reading if sentence.startswith("Tested")]
    states = (trace.hidden_state[:, 0], trace.cell_state[:, 0])
    _, ends = lstm(np.zeros((1000, len(x), x.shape[-1])), ((states,),))
    off = np.abs(ends[0][0].c - found.cell_state[:, 0])  # (state, point)
    counts = [int((off[:, point] < 0.01).sum()) for point, kind in enumerate(found.kinds) if kind == "stable"]
    assert where in sentence
    assert sentence.startswith(f"Tested: {len(x)} states of the run")
    assert [int(count) for count in re.findall(r"point \d+ \((\d+)\)", sentence)] == [n for n in counts if n]
    assert ("elsewhere" in sentence) == (0 < sum(counts) < len(x))


def test_a_masked_trace_gives_its_valid_states_alone():
    lstm, x, _ = planted.bistable()
    trace = lstm.trace(np.stack([x, x], 1), lengths=[5, 0])[0]
    assert insight.fixed_points(trace, starts=40, settle=0).converged > 0


def test_the_same_seed_finds_the_same():
    cell = gw.LSTMCell(2, 5, rng=0)
    assert insight.fixed_points(cell, **FEW, rng=3).to_csv() == insight.fixed_points(cell, **FEW, rng=3).to_csv()


def test_a_cell_without_a_fixed_point_says_that_none_was_found():
    variant = gw.Variant(forget_activation="affine:0,1", candidate_activation="affine:0,1")  # c + i
    found = insight.fixed_points(gw.LSTMCell(1, 1, variant=variant, rng=0), **FEW)  # and 10^300 + i is 10^300
    assert found.converged == 0
    assert str(found) == "None of 6 starts led to a fixed point; there may still be some."
    assert found.to_dataframe().shape[0] == 0
    assert found.eigenvalues.shape == (0, 2)


def test_the_table_has_a_row_for_each_point():
    found = insight.fixed_points(planted.bistable().lstm)
    assert list(found.to_dataframe()["kind"]) == list(found.kinds)
    assert found.to_csv().splitlines()[0] == ("point,kind,starts,residual,spectral_radius,time_constant,period,growing")


# What is refused.

LSTM = gw.LSTM(2, 3, rng=0)
OTHER = gw.LSTM(2, 3, rng=1).trace(np.ones((4, 2)))
SPOILED = LSTM.layers[0][0].parameters.replace(bias=np.full((4, 3), np.nan))


@pytest.mark.parametrize(
    ("given", "options", "parts"),
    [
        (gw.LSTM(2, 3, num_layers=2), {}, ["2 cells", "Pass one of them"]),
        (gw.LSTM(2, 3, bidirectional=True), {}, ["2 cells", "Pass one of them"]),
        (gw.Network(LSTM), {}, ["LSTMCell", "Network"]),
        (gw.LSTM(2, 3, num_layers=2).trace(np.ones((2, 2))), {}, ["2 cells", "trace of one cell"]),
        (LSTM, {"trace": LSTM}, ["LSTMTrace", "not LSTM"]),
        (LSTM, {"trace": OTHER[0]}, ["another cell"]),
        (LSTM, {"x": [1.0]}, ["(1,)", "(2,)"]),
        (LSTM, {"x": [np.nan, 0]}, ["NaN"]),
        (LSTM, {"x": ["a", "b"]}, ["real numbers"]),
        (LSTM, {"starts": 0}, ["starts"]),
        (LSTM, {"settle": -1}, ["settle"]),
        (LSTM, {"rng": "seed"}, ["rng"]),
        (LSTM, {"tolerance": 0}, ["tolerance"]),
        (LSTM, {"merge": "near"}, ["merge"]),
        (gw.LSTMCell.from_parameters(SPOILED), {}, ["the cell's weights", "NaN"]),
    ],
)
def test_bad_questions_get_one_sentence(given, options, parts):
    with cases.refusal(*parts, by=(gw.OptionError, gw.ShapeError)):
        insight.fixed_points(given, **options)
