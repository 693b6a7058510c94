"""Streams: an LSTM fed step by step is the whole call."""

from __future__ import annotations

import tracemalloc

import cases
import numpy as np
import pytest
from native_subjects import ENGINES, needs_native
from stacks import ZEROS, assert_same_state, fed, random_lstm

import gatewise as gw


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_a_stream_fed_step_by_step_is_the_whole_call(variant):
    lstm = gw.LSTM(2, 4, num_layers=2, variant=gw.Variant(**cases.VARIANTS[variant]), dtype=np.float64, rng=0)
    x = np.random.default_rng(0).normal(size=(6, 2))
    whole, end = lstm(x)
    stream = lstm.stream()
    np.testing.assert_array_equal(np.stack([stream.push(step) for step in x]), whole)
    assert_same_state(stream.state, end)


@cases.meeting(
    sizes=[(6,), (1, 5), (2, 0, 4), (1,) * 6],
    batch=[None, 0, 1, 3],
    dtype=[np.float32, np.float64],
    engine=ENGINES,
    layers=[1, 2],
    projection=[None, 2],
    masked=[False, True],
)
def test_a_stream_fed_in_chunks_is_the_whole_call(sizes, batch, dtype, engine, layers, projection, masked):
    """At a step that is not valid the state stays, zeros are put out, and what is fed there matters nothing."""
    lstm, rng = random_lstm(num_layers=layers, projection_size=projection, dtype=dtype), np.random.default_rng(0)
    x = rng.normal(size=(6, 2) if batch is None else (6, batch, 2)).astype(dtype)
    options = {"mask": rng.random(x.shape[:-1]) < 0.6} if masked else {}
    whole, end = lstm(x, engine=engine, **options)
    stream, out = lstm.stream(batch, engine=engine), np.empty_like(whole)
    if masked:
        x = np.where(options["mask"][..., None], x, np.nan)
    np.testing.assert_array_equal(fed(stream, x, sizes, out=out, **options), whole)
    np.testing.assert_array_equal(out, whole)
    assert_same_state(stream.state, end)


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_single_step_takes_a_mask_without_time(batch, engine):
    stream = random_lstm().stream(batch, engine=engine)
    x = np.ones((2,) if batch is None else (batch, 2))
    stream.push(x)
    before = stream.state
    assert not stream.push(x, mask=np.zeros(x.shape[:-1], bool)).any()
    assert_same_state(stream.state, before)
    other = random_lstm().stream(batch, engine=engine)
    other.push(x)
    np.testing.assert_array_equal(stream.push(x, mask=np.ones(x.shape[:-1], bool)), other.push(x))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mask", [[True], [True, False, True], np.ones(2), "yes", [[True, True]]])
def test_a_mask_that_does_not_fit_is_refused_and_the_state_left_as_it_was(mask, engine):
    stream = random_lstm().stream(engine=engine)
    stream.push([1, 2])
    before = stream.state
    with cases.refusal("mask", "(2,)", by=gw.ShapeError):
        stream.push([[1, 2], [3, 4]], mask=mask)
    assert_same_state(stream.state, before)


def test_the_state_of_a_stream_can_be_taken_and_put_back_or_set_to_zeros():
    stream = random_lstm(num_layers=2).stream()
    first = stream.push([1, 2])
    taken = stream.state
    copy = [[gw.State(one.h.copy(), one.c.copy()) for one in layer] for layer in taken]
    later = stream.push([3, 4])
    assert_same_state(taken, copy)  # pushing on does not change what was taken
    stream.state = taken
    np.testing.assert_array_equal(stream.push([3, 4]), later)
    assert (stream.push([1, 2]) != first).all()
    stream.reset()
    np.testing.assert_array_equal(stream.push([1, 2]), first)


def test_a_state_may_lie_in_memory_in_any_order():
    lstm, x = random_lstm(), np.ones((3, 2))
    h, c = np.random.default_rng(0).normal(size=(2, 3, 3))
    stream = lstm.stream(3)
    stream.state = [[gw.State(np.asfortranarray(h), np.broadcast_to(c[0], (3, 3)))]]
    other = lstm.stream(3)
    other.state = [[gw.State(h, np.array([c[0]] * 3))]]
    np.testing.assert_array_equal(stream.push(x), other.push(x))


def test_a_state_that_is_set_is_no_longer_the_caller_s():
    stream = random_lstm().stream()
    mine = [[gw.State(np.ones(3), np.ones(3))]]
    stream.state = mine
    expected = stream.push([1, 2])
    stream.state = mine
    mine[0][0].h[...] = 99
    np.testing.assert_array_equal(stream.push([1, 2]), expected)


@pytest.mark.parametrize(
    ("batch", "x", "parts"),
    [
        (None, np.zeros(3), ["(3,)", "(2,) or (time, 2)"]),
        (None, np.zeros((4, 1, 2)), ["(4, 1, 2)", "(2,) or (time, 2)"]),
        (None, 5.0, ["()", "(2,)"]),
        (3, np.zeros(2), ["(2,)", "(3, 2) or (time, 3, 2)"]),
        (3, np.zeros((2, 2)), ["(2, 2)", "(3, 2) or (time, 3, 2)"]),
        (3, np.zeros((4, 2, 2)), ["(4, 2, 2)", "(time, 3, 2)"]),
        (None, "text", ["x", "real numbers"]),
        (None, [[1, 2], [3]], ["x", "equal lengths"]),
    ],
)
def test_a_stream_refuses_a_wrong_step_in_one_sentence_and_keeps_its_state(batch, x, parts):
    stream = random_lstm().stream(batch)
    stream.push(np.ones(2) if batch is None else np.ones((3, 2)))
    before = stream.state
    with cases.refusal(*parts, by=gw.GatewiseError):
        stream.push(x)
    assert_same_state(stream.state, before)


@pytest.mark.parametrize("state", [5, [], [[gw.State(np.zeros(2), np.zeros(3))]], [[ZEROS]]])
def test_a_stream_refuses_a_wrong_state_in_one_sentence_and_keeps_its_own(state):
    stream = random_lstm().stream()
    stream.push([1, 2])
    before = stream.state
    with cases.refusal(by=gw.ShapeError):
        stream.state = state
    assert_same_state(stream.state, before)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"direction": "backward"}])
def test_a_stream_runs_forward_only(options):
    with cases.refusal("only runs forward", "backward", by=gw.OptionError):
        random_lstm(**options).stream()


@pytest.mark.parametrize("options", [{"engine": "fast"}, {"batch_size": -1}, {"batch_size": 1.5}])
def test_a_wrong_stream_is_refused_when_it_is_made(options):
    with cases.refusal(*options, repr(next(iter(options.values()))), by=gw.OptionError):
        random_lstm().stream(**options)


def all_finite(state):
    """Return whether every number of a state is finite."""
    return all(np.isfinite(array).all() for layer in state for one in layer for array in one)


STRANGE = [np.nan, np.inf, -np.inf]
KINDS_OF_STREAM = {
    "batch": [None, 1, 3],
    "dtype": [np.float32, np.float64],
    "engine": ENGINES,
    "layers": [1, 3],
    "projection": [None, 2],
}


@cases.meeting(strange=STRANGE, **KINDS_OF_STREAM)
def test_a_stream_finds_a_number_of_its_state_that_is_not_finite(strange, batch, dtype, engine, layers, projection):
    lstm = random_lstm(hidden_size=9, num_layers=layers, projection_size=projection, dtype=dtype)
    stream = lstm.stream(batch, engine=engine)
    largest = [[gw.State(*(np.full_like(a, np.finfo(dtype).max) for a in one)) for one in row] for row in stream.state]
    for array in (array for (one,) in largest for array in one):
        for place in np.ndindex(array.shape):
            kept, array[place] = array[place], strange
            stream.state = largest
            assert stream.is_finite is False
            array[place] = -kept
            stream.state = largest
            assert stream.is_finite is True


@cases.meeting(strange=STRANGE, **KINDS_OF_STREAM | {"engine": ["auto", "reference"]}, variant=cases.VARIANTS)
def test_a_nan_in_the_input_stays_until_the_reset(strange, batch, dtype, engine, layers, projection, variant):
    options = {"variant": gw.Variant(**cases.VARIANTS[variant]), "projection_size": projection, "dtype": dtype}
    lstm = random_lstm(hidden_size=9, num_layers=layers, **options)
    stream = lstm.stream(batch, engine=engine)
    calm = np.random.default_rng(0).normal(size=(4, 2) if batch is None else (4, batch, 2)).astype(dtype)
    first = stream.push(calm)
    stream.reset()
    for place in np.ndindex(calm.shape):
        x = calm.copy()
        x[place] = strange
        stream.push(x)
        assert stream.is_finite is all_finite(stream.state)
        if np.isnan(strange):
            assert stream.is_finite is False
            after = stream.push(calm)
            assert np.isnan(after if batch is None else after[:, place[1]]).all()
            assert stream.is_finite is False
        stream.reset()
        assert stream.is_finite is True
        np.testing.assert_array_equal(stream.push(calm), first)
        stream.reset()


@needs_native
def test_whether_a_state_is_finite_is_found_without_a_copy_of_it():
    stream = gw.LSTM(2, 512, rng=0).stream(8)
    tracemalloc.start()
    try:
        assert all(stream.is_finite for _ in range(100))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * 512  # a row of the state alone takes half of it
