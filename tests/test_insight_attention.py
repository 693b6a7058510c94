"""Attention: rows that add up to the cell state, windows and blocks of them, and what they cost."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import insight
from gatewise.examples import latch

SUMS = [name for name, switches in cases.VARIANTS.items() if "cell_clip" not in switches]


def random_trace(direction="forward", time=7, **options):
    return cases.run_of("plain", direction=direction, time=time, **options).trace()


@pairs(variant=SUMS, **cases.RUNS, thin=True)
def test_a_row_adds_up_to_the_cell_state(variant, projection, direction, valid, dropout):
    run = cases.run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=5)
    trace = run.trace()
    one = insight.attention(trace, 1, unit=2)
    assert one.residual < 1e-10
    np.testing.assert_allclose(one.weights.sum(1) + one.initial, trace.cell_state[:, 1, 2], atol=1e-11)
    found = insight.attention(trace, 1)
    assert found.residual < 1e-10
    np.testing.assert_allclose(found.weights.sum(1) + found.initial, 1, atol=1e-12)
    for t in range(5):
        wrote = insight.contributions(trace, t, 1)
        np.testing.assert_allclose(one.weights[t], wrote.by_step[:, 2], atol=1e-12)
        np.testing.assert_allclose(found.initial[t], wrote.columns["share"][0], atol=1e-12)
        np.testing.assert_allclose(found.weights[t], wrote.columns["share"][1:], atol=1e-12)


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_a_window_takes_what_was_there_before_as_initial(direction):
    trace = random_trace(direction)
    whole, part = insight.attention(trace, unit=1), insight.attention(trace, unit=1, start=2, stop=6)
    np.testing.assert_allclose(part.weights, whole.weights[2:6, 2:6], atol=1e-14)
    before = slice(None, 2) if direction == "forward" else slice(6, None)
    np.testing.assert_allclose(part.initial, whole.initial[2:6] + whole.weights[2:6, before].sum(1), atol=1e-14)
    np.testing.assert_array_equal(part.times, [2, 3, 4, 5])


@pytest.mark.parametrize(("direction", "last"), [("forward", [2, 5, 6]), ("backward", [0, 1, 4])])
def test_a_block_of_steps_has_one_row_and_one_column(direction, last):
    trace = random_trace(direction)
    whole, blocks = insight.attention(trace, unit=1), insight.attention(trace, unit=1, every=3)
    np.testing.assert_array_equal(blocks.times, last)
    cuts = [0, 3, 6] if direction == "forward" else [0, 1, 4]
    np.testing.assert_allclose(blocks.weights, np.add.reduceat(whole.weights, cuts, axis=1)[last], atol=1e-14)
    np.testing.assert_allclose(blocks.initial, whole.initial[last], atol=1e-14)
    shares = insight.attention(trace, every=3)
    np.testing.assert_allclose(shares.weights.sum(1) + shares.initial, 1, atol=1e-12)


def test_the_latch_attends_to_the_step_at_which_it_wrote():
    cell, x, *_ = latch()
    trace = gw.LSTM.from_cells(cell).trace(x)[0]
    found = insight.attention(trace)
    assert (found.weights[:, 0] > 0.999).all()
    assert str(found) == "The largest share of the cell state at step 6, 100 %, was written at step 0."
    assert str(insight.attention(trace, every=4)).endswith("was written in the block of 4 steps that ends at step 3.")
    assert str(insight.attention(trace, start=3)).endswith("100 %, is left of what was there before.")


def test_of_a_cell_that_nothing_was_written_to_every_share_is_zero():
    p = gw.Parameters(np.zeros((4, 1, 2)), np.zeros((4, 1)))
    found = insight.attention(gw.LSTM.from_cells(p).trace(np.zeros((3, 1)))[0])
    assert not found.weights.any()
    assert str(found) == "The cell state at step 2 is zero: nothing was written."


def test_the_table_has_a_column_for_each_step_whatever_they_are_called():
    cell, x, *_ = latch()
    times = ["a", "b", "a", "time", "c", "d", "e"]
    found = insight.attention(gw.LSTM.from_cells(cell).trace(x, labels=gw.Labels(times=times))[0])
    assert len(found.columns) == 2 + 7
    assert found.columns["time"].tolist() == times
    np.testing.assert_array_equal(found.columns["2: a"], found.weights[:, 2])


def test_attention_needs_no_other_units_than_those_that_were_kept():
    run = cases.run_of("plain", time=6)
    some, whole = run.trace(units=[3, 1]), run.trace()
    np.testing.assert_array_equal(insight.attention(some, unit=1).weights, insight.attention(whole, unit=1).weights)
    assert insight.attention(some, unit=0).unit == "3"


def test_blocks_cost_less():
    trace = random_trace()
    cost, less = insight.cost_of_attention(trace), insight.cost_of_attention(trace, every=3)
    assert less.work < cost.work
    assert less.memory < cost.memory


def test_many_rows_are_asked_for():
    trace = gw.LSTM(1, 2, rng=0).trace(np.ones((2001, 1)))[0]
    with cases.refusal("2,001 rows", "every=2", "start and stop", "long=True", by=gw.OptionError):
        insight.attention(trace)
    assert len(insight.attention(trace, every=2).times) == 1001
    assert len(insight.attention(trace, long=True).times) == 2001


REFUSED = {
    "no such sequence": ({"sequence": 3}, "sequence 3"),
    "no such unit": ({"unit": 4}, "unit 4"),
    "a step that is none": ({"start": 1.5}, "start"),
    "an empty window": ({"start": 3, "stop": 3}, "start < stop"),
    "beyond the end": ({"stop": 9}, "stop <= 7"),
    "blocks of none": ({"every": 0}, "every"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_part_of_the_trace_is_refused_in_one_sentence(case):
    options, part = REFUSED[case]
    with cases.refusal(part, by=gw.OptionError):
        insight.attention(random_trace(), **options)
