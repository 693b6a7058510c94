"""Runs of several cells: layers, directions, shapes, states, lengths and masks, and the memory that they take."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest
from stacks import assert_same_state, random_lstm, random_state, random_x

import gatewise as gw
from gatewise.layers.merging import MERGES

every_merge = pytest.mark.parametrize("merge", MERGES)
every_masked_output = pytest.mark.parametrize("masked_output", ["zeros", "repeat"])


# Layers and directions.


def test_a_stack_is_its_layers_one_after_another():
    lstm = random_lstm(num_layers=3, projection_size=2)
    x, state = random_x(lstm), random_state(lstm, 3)
    y, ends = x, []
    for row, start in zip(lstm.layers, state, strict=True):
        y, end = gw.LSTM.from_cells(row[0])(y, [start])
        ends.append(end[0])
    found, state = lstm(x, state)
    np.testing.assert_array_equal(found, y)
    assert_same_state(state, ends)


@every_merge
def test_both_directions_are_one_forward_and_one_over_time_reversed(merge):
    lstm = random_lstm(bidirectional=True, merge=merge)
    x, (ends,) = random_x(lstm), random_state(lstm, 3)
    there, ((first,),) = gw.LSTM.from_cells(lstm[0, "forward"])(x, [[ends[0]]])
    back, ((second,),) = gw.LSTM.from_cells(lstm[0, "backward"])(x[::-1], [[ends[1]]])
    back = back[::-1]
    y, state = lstm(x, [ends])
    expected = {
        "concat": lambda: np.concatenate([there, back], axis=-1),
        "sum": lambda: there + back,
        "mul": lambda: there * back,
        "average": lambda: (there + back) / 2,
        "none": lambda: np.stack([there, back], axis=2),
    }[merge]()
    np.testing.assert_array_equal(y, expected)
    assert_same_state(state, [[first, second]])
    assert y.shape[-1] == lstm.output_size


def test_one_direction_backward_is_over_time_reversed():
    forward = random_lstm(num_layers=2)
    backward = gw.LSTM.from_cells(forward.layers, direction="backward")
    x, state = random_x(forward), random_state(forward, 3)
    expected, ends = forward(x[::-1], state)
    y, found = backward(x, state)
    np.testing.assert_array_equal(y, expected[::-1])
    assert_same_state(found, ends)
    assert backward.directions == ("backward",)
    assert backward[1].parameters is forward[1].parameters


def test_every_layer_may_merge_in_its_own_way():
    lstm = random_lstm(num_layers=3, bidirectional=True, merge=["sum", "concat", "none"])
    assert [cell.input_size for cell in lstm.cells().values()] == [2, 2, 3, 3, 6, 6]
    y, _ = lstm(random_x(lstm))
    assert y.shape == (4, 3, 2, 3)


def test_the_directions_may_have_different_sizes_where_they_are_put_side_by_side():
    small, large = gw.LSTMCell(2, 3, rng=0, dtype=np.float64), gw.LSTMCell(2, 5, rng=1, dtype=np.float64)
    lstm = gw.LSTM.from_cells([(small, large)])
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    trace = lstm.trace(x)
    np.testing.assert_array_equal(trace.output[..., :3], gw.LSTM.from_cells(small)(x)[0])
    np.testing.assert_array_equal(trace.output[..., 3:], gw.LSTM.from_cells(large)(x[::-1])[0][::-1])
    found = gw.backward(trace, np.ones((4, 2, 8)))
    assert found[0, "backward"].weight.shape == large.parameters.weight.shape


def test_each_cell_is_given_dropout_masks_of_its_own():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    x, rng = random_x(lstm), np.random.default_rng(3)
    dropout = [[cases.dropout_of(cell.parameters, 4, 3, rng) for cell in row] for row in lstm.layers]
    dropout[0][1] = None
    trace = lstm.trace(x, dropout=dropout)
    y = x
    for row, given in zip(lstm.layers, dropout, strict=True):
        there = gw.LSTM.from_cells(row[0])(y, dropout=[[given[0]]])[0]
        back = gw.LSTM.from_cells(row[1], direction="backward")(y, dropout=[[given[1]]])[0]
        y = np.concatenate([there, back], axis=-1)
    np.testing.assert_array_equal(trace.output, y)
    assert not trace[0, "backward"].dropout.arrays()


# Shapes and states.


@every_merge
def test_an_input_without_a_batch_is_a_batch_of_one_and_comes_back_so(merge):
    lstm = random_lstm(num_layers=2, bidirectional=True, merge=("concat", merge))
    x, state = random_x(lstm, batch=1), random_state(lstm, 1)
    bare = tuple(tuple(gw.State(one.h[0], one.c[0]) for one in layer) for layer in state)
    options = {"lengths": [3], "masked_output": "repeat"}
    y, ends = lstm(x, state, **options)
    found, found_ends = lstm(x[:, 0], bare, **options)
    np.testing.assert_array_equal(found, y[:, 0])
    assert_same_state(found_ends, [[gw.State(one.h[0], one.c[0]) for one in layer] for layer in ends])
    np.testing.assert_array_equal(lstm(x[:, 0], bare, mask=[True] * 3 + [False], masked_output="repeat")[0], found)

    trace, other = lstm.trace(x[:, 0], bare, **options), lstm.trace(x, state, **options)
    dy, dstate = np.ones_like(y), random_state(lstm, 1, seed=8)
    bare_dstate = [[gw.State(one.h[0], one.c[0]) for one in layer] for layer in dstate]
    one, whole = gw.backward(trace, dy[:, 0], bare_dstate), gw.backward(other, dy, dstate)
    np.testing.assert_array_equal(one.x, whole.x[:, 0])
    assert_same_state(one.state, [[gw.State(s.h[0], s.c[0]) for s in layer] for layer in whole.state])
    np.testing.assert_array_equal(one[1, "backward"].weight, whole[1, "backward"].weight)


def test_the_state_that_comes_back_goes_in_again():
    lstm = random_lstm(num_layers=2)
    x = random_x(lstm, time=6)
    whole, end = lstm(x)
    first, between = lstm(x[:2])
    second, found = lstm(x[2:], between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert_same_state(found, end)


def test_a_call_starts_from_zeros_unless_told():
    lstm = random_lstm(num_layers=2, bidirectional=True)
    x = random_x(lstm)
    np.testing.assert_array_equal(lstm(x)[0], lstm(x, lstm.zero_state(3))[0])
    assert not any(array.any() for layer in lstm.zero_state(3) for one in layer for array in one)


def test_plain_lists_are_taken():
    lstm = random_lstm()
    y, _ = lstm([[[1, 2]], [[3, 4]]])
    np.testing.assert_array_equal(y, lstm(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]))[0])


# Lengths and dropout.


@every_masked_output
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_the_mask_of_the_first_steps(masked_output, bidirectional):
    lstm = random_lstm(num_layers=2, bidirectional=bidirectional)
    x, lengths = random_x(lstm), np.array([4, 0, 2])
    mask = np.arange(4)[:, None] < lengths
    found, other = (lstm.trace(x, **o, masked_output=masked_output) for o in ({"lengths": lengths}, {"mask": mask}))
    np.testing.assert_array_equal(found.output, other.output)
    assert_same_state(found.state, other.state)
    np.testing.assert_array_equal(found[0, "forward"].valid, other[0, "forward"].valid)
    dy = np.ones_like(found.output)
    np.testing.assert_array_equal(gw.backward(found, dy).x, gw.backward(other, dy).x)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_padded_row_is_the_row_without_its_padding(bidirectional):
    lstm = random_lstm(num_layers=2, bidirectional=bidirectional)
    x, lengths = random_x(lstm), [4, 1, 2]
    state = random_state(lstm, 3)
    y, ends = lstm(x, state, lengths=lengths)
    for row, length in enumerate(lengths):
        start = [[gw.State(one.h[row], one.c[row]) for one in layer] for layer in state]
        alone, end = lstm(x[:length, row], start)
        np.testing.assert_allclose(y[:length, row], alone, rtol=0, atol=1e-14)
        assert not y[length:, row].any()
        for one, other in zip(itertools.chain(*ends), itertools.chain(*end), strict=True):
            np.testing.assert_allclose(one.h[row], other.h, rtol=0, atol=1e-14)
            np.testing.assert_allclose(one.c[row], other.c, rtol=0, atol=1e-14)


def test_a_masked_run_is_the_run_without_the_masked_steps():
    lstm = random_lstm(bidirectional=True)
    x, mask = random_x(lstm, time=5, batch=1), np.array([False, True, False, True, False])
    y, ends = lstm(x, mask=mask)
    less, expected = lstm(x[mask])
    np.testing.assert_array_equal(y[mask], less)
    assert_same_state(ends, expected)


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
def test_masked_steps_put_out_zeros_or_the_last_output_again(direction):
    lstm = random_lstm(direction=direction)
    x = random_x(lstm, time=6, batch=1)
    state = random_state(lstm, 1)
    mask = np.array([False, True, False, True, True, False])
    y, _ = lstm(x, state, mask=mask)
    repeated, _ = lstm(x, state, mask=mask, masked_output="repeat")
    assert not y[~mask].any()
    assert y[mask].all()
    np.testing.assert_array_equal(repeated[mask], y[mask])
    sources = [None, 1, 1, 3, 4, 4] if direction == "forward" else [1, 1, 3, 3, 4, None]
    for t, source in enumerate(sources):  # before the first output there is nothing to repeat, whatever the state
        np.testing.assert_array_equal(repeated[t], np.zeros_like(y[t]) if source is None else y[source])


def test_each_direction_repeats_its_own_last_output():
    lstm = random_lstm(bidirectional=True)
    x, mask = random_x(lstm, time=3, batch=1), np.array([True, False, True])
    y, _ = lstm(x, mask=mask, masked_output="repeat")
    np.testing.assert_array_equal(y[1, :, :3], y[0, :, :3])
    np.testing.assert_array_equal(y[1, :, 3:], y[2, :, 3:])


# Memory.


def test_memory_is_estimated_before_anything_is_computed(monkeypatch):
    run = cases.run_of("plain", time=200, batch=3)  # whole: 200 · 3 · (4 + 2) · 4 numbers of 8 bytes, 112 KiB

    def never(*_, **__):
        raise AssertionError("the engine ran")

    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 2**16)
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    assert run.trace(keep="forget_gate", every=10).forget_gate.shape == (20, 3, 4)
    monkeypatch.setattr("gatewise.engine.reference.run", never)
    with cases.refusal("200 × 3 (steps × sequences)", "KiB", "64 KiB are available", by=gw.CapacityError):
        run.trace(engine="reference")


def test_the_input_counts_before_a_trace_takes_memory_for_it(monkeypatch):
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 10**6)
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    lstm, x = gw.LSTM(1000, 1, rng=0), np.zeros((1000, 1, 1000), np.float32)
    with cases.refusal("a run of 1000 × 1 (steps", "976.6 KiB are available", by=gw.CapacityError):
        lstm.trace(x)
    assert lstm(x)[0].shape == (1000, 1, 1)
