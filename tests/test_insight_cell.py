"""What a cell does, remembers and holds: dead units, traces that kept less, long traces in pieces, costs."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise import arrays, insight
from gatewise.examples import latch


def still_units():
    """Return the trace of a cell whose unit 0 follows the input, unit 1 is constant and unit 2's output gate shut."""
    weight, bias = np.zeros((4, 3, 4)), np.zeros((4, 3))
    weight[2, :, 3] = 1, 0, 1
    bias[1], bias[3, 2] = -40, -40
    bias[2, 1] = 0.5
    x = np.random.default_rng(0).normal(size=(20, 2, 1))
    return gw.LSTM.from_cells(gw.Parameters(weight, bias)).trace(x)[0]


# Dead units.


def test_a_unit_whose_hidden_state_does_not_move_is_dead():
    trace = still_units()
    found = insight.saturation(trace)
    assert found.dead.tolist() == [False, True, True]
    np.testing.assert_allclose(found.moves, np.ptp(trace.hidden_state.reshape(-1, 3), axis=0))
    assert found.columns["dead"].tolist() == [False, True, True] * 3
    assert str(found).endswith("; 2 units are dead: 1 and 2.")


def test_the_bound_of_a_dead_unit_is_the_user_s():
    trace = still_units()
    most = float(np.ptp(trace.hidden_state[..., 0]))
    assert insight.saturation(trace, still=most).dead.all()
    assert insight.saturation(trace, still=0).dead.tolist() == [False, True, False]


def test_a_single_step_shows_no_unit_dead():
    found = insight.saturation(still_units()[:1, :1])
    assert not found.dead.any()
    assert not found.moves.any()


def test_a_unit_that_moves_only_where_no_step_is_valid_is_dead():
    run = cases.run_of("plain", time=8, batch=1)
    mask = np.zeros((8, 1), bool)
    mask[3:5] = True
    trace = run.lstm.trace(np.ones_like(run.x), [[gw.State(*(0 * one for one in run.state))]], mask=mask)[0]
    move = np.abs(np.diff(trace.hidden_state[3:5, 0], axis=0))[0]
    np.testing.assert_allclose(insight.saturation(trace).moves, move)


def test_what_is_dead_is_not_told_where_no_hidden_state_was_kept():
    trace = cases.run_of("plain").trace(keep=("input_gate", "forget_gate", "output_gate"))
    found = insight.saturation(trace)
    assert found.dead is None
    assert "dead" not in found.columns


# Traces that kept less.


@pytest.mark.parametrize("ask", [insight.saturation, insight.timescales])
@pytest.mark.parametrize("dropout", [False, True])
def test_some_units_and_steps_answer_as_the_same_of_the_whole(ask, dropout):
    run = cases.run_of("plain", valid="mask", dropout=dropout, time=9)
    some = ask(run.trace(units=[2, 0], every=2))
    whole = run.trace()
    keep = gw.DropoutMasks(**{name: a[::2] for name, a in whole.dropout.arrays().items() if name != "weight"})
    half = gw.Trace(
        whole.parameters, whole.initial, whole.final, 5, {n: a[::2] for n, a in whole.arrays.items()}, None,
        valid=whole.valid[::2], dropout=keep,
    )  # fmt: skip
    expected = ask(half)
    for name, column in some.columns.items():
        by_unit = expected.columns[name].reshape(-1, 4)[:, [2, 0]].ravel()
        assert column.tolist() == by_unit.tolist()


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_who_wrote_some_units_needs_no_others(direction):
    run = cases.run_of("plain", direction=direction, dropout=True, time=6)
    some, whole = insight.contributions(run.trace(units=[3, 1])), insight.contributions(run.trace())
    np.testing.assert_array_equal(some.by_step, whole.by_step[:, [3, 1]])
    np.testing.assert_array_equal(some.initial, whole.initial[[3, 1]])
    assert some.units == ("3", "1")


@pytest.mark.parametrize("ask", [insight.contributions, insight.attention])
def test_who_wrote_the_cell_needs_every_step(ask):
    with cases.refusal("every step", "1 in 2", by=gw.OptionError):
        ask(cases.run_of("plain").trace(every=2))


# Long traces.


@pytest.mark.parametrize(
    ("ask", "cost_of", "parts"),
    [
        (insight.contributions, insight.cost_of_contributions, ("6 steps",)),
        (insight.attention, insight.cost_of_attention, ("attention of 6 steps", "every")),
    ],
)
def test_a_cost_is_known_beforehand_and_refused_where_it_is_too_high(ask, cost_of, parts, monkeypatch):
    trace = cases.run_of("plain", time=6).trace()
    cost = cost_of(trace)
    assert cost.memory >= 8 * 6 * 4
    assert "MB of memory" in str(cost)
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(arrays, "available_memory", lambda: cost.memory - 1)
    with cases.refusal(*parts, by=gw.CapacityError):
        ask(trace)


# Names, and what is no number.


def test_contributions_name_the_sequence_and_the_date():
    cell, x, *_ = latch()
    days = np.datetime64("2001-01-01") + np.arange(7)
    labels = gw.Labels(times=days, sequences=["rest", "held"])
    trace = gw.LSTM.from_cells(cell).trace(np.stack([0 * x, x], axis=1), labels=labels)[0]
    found = insight.contributions(trace, sequence=1)
    assert str(found) == "Of the cell state of held on 2001-01-07, 100 % was written on 2001-01-01."
    assert found.columns["time"].tolist()[:2] == ["initial state", "2001-01-01"]
    np.testing.assert_array_equal(found.times, days)
    assert found.step == 6


@pytest.mark.parametrize("options", [{"still": -1}, {"still": np.nan}, {"low": "a"}, {"high": None}])
def test_a_bound_that_is_none_is_refused(options):
    with cases.refusal(next(iter(options)), by=gw.OptionError):
        insight.saturation(still_units(), **options)
