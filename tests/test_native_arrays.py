"""Which arrays the native engine takes, writes to and leaves alone: of earlier calls, of the caller, of streams."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import cases
import numpy as np
import pytest
from native_subjects import DTYPES, covering, needs_native, threads

import gatewise as gw
from gatewise.engine import native

pytestmark = needs_native


def reused(lstm, x, **options):
    """Return a trace and its gradients, made of an earlier call's."""
    first = lstm.trace(x[::-1], **options)
    back = gw.backward(first, np.ones_like(first.output))
    again = lstm.trace(x, out=first, **options)
    return first, back, again, gw.backward(again, np.ones_like(again.output), out=back)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 6]])
def test_out_takes_the_arrays_of_an_earlier_call_and_changes_no_number(engine, bidirectional, lengths):
    lstm = gw.LSTM(3, 5, num_layers=2, bidirectional=bidirectional, rng=0)
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32)
    options = {"engine": engine, "lengths": lengths}
    first, back, again, gradients = reused(lstm, x, **options)
    fresh = lstm.trace(x, **options)
    expected = gw.backward(fresh, np.ones_like(fresh.output))
    for mine, other, old in zip(*(one.cells().values() for one in (again, fresh, first)), strict=True):
        for name, array in other.arrays.items():
            np.testing.assert_array_equal(mine.arrays[name], array)
            assert np.shares_memory(mine.arrays[name], old.arrays[name])
            assert not mine.arrays[name].flags.writeable
    np.testing.assert_array_equal(again.output, fresh.output)
    np.testing.assert_array_equal(again.layers[0]["forward"].input, x)
    for mine, other, old in zip(*(one.cells().values() for one in (gradients, expected, back)), strict=True):
        for name, array in other.parameters.items():
            np.testing.assert_array_equal(mine.parameters[name], array)
            assert mine.parameters[name] is old.parameters[name]
    np.testing.assert_array_equal(gradients.x, expected.x)
    y = np.empty_like(fresh.output)
    found, _ = lstm(x, out=y, **options)
    np.testing.assert_array_equal(y, fresh.output)
    assert np.shares_memory(found, y)


def test_out_of_a_run_with_all_steps_serves_one_with_lengths_and_the_other_way_round():
    lstm, x = gw.LSTM(3, 5, rng=0), np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32)
    for first, second in (({}, {"lengths": [2, 6]}), ({"lengths": [2, 6]}, {})):
        expected = lstm.trace(x, **second)
        found = lstm.trace(x, out=lstm.trace(x, **first), **second)
        np.testing.assert_array_equal(found.output, expected.output)
        np.testing.assert_array_equal(found[0].hidden_state, expected[0].hidden_state)


def test_out_without_a_batch_axis_keeps_the_caller_s_shape():
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((6, 3), np.float32)
    y = np.empty((6, 5), np.float32)
    assert lstm(x, out=y)[0].shape == (6, 5)
    np.testing.assert_array_equal(y, lstm(x)[0])


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_out_may_be_what_is_read(engine, num_layers):
    lstm = gw.LSTM(40, 40, num_layers=num_layers, rng=0)
    x = np.random.default_rng(0).normal(size=(6, 7, 40)).astype(np.float32)
    expected, options = lstm.trace(x, engine=engine), {"engine": engine}
    y = x.copy()
    assert np.shares_memory(lstm(y, out=y, **options)[0], y)
    np.testing.assert_array_equal(y, expected.output)
    for keep in (None, "hidden_state"):
        earlier = lstm.trace(x, keep=keep, **options)
        again = lstm.trace(earlier.output, keep=keep, out=earlier, **options)
        np.testing.assert_array_equal(again.output, lstm(expected.output, **options)[0])
    dy = np.ones_like(x)
    gradients = gw.backward(expected, dy)
    twice = gw.backward(expected, gradients.x, gradients.state)
    found = gw.backward(expected, gradients.x, gradients.state, out=gradients)
    np.testing.assert_array_equal(found.x, twice.x)
    np.testing.assert_array_equal(found[0].weight, twice[0].weight)
    np.testing.assert_array_equal(found.state[0][0].c, twice.state[0][0].c)


@pytest.mark.parametrize(
    ("out", "parts"),
    [
        (np.empty((6, 2, 4), np.float32), ["(6, 2, 5)", "(6, 2, 4)"]),
        (np.empty((6, 2, 5)), ["float32", "float64"]),
        (np.empty((5, 2, 6), np.float32).T, ["C-contiguous"]),
        ([1, 2], ["list"]),
    ],
)
def test_an_out_that_does_not_fit_is_refused_in_one_sentence(out, parts):
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((6, 2, 3), np.float32)
    with cases.refusal("out", *parts, by=gw.GatewiseError):
        lstm(x, out=out)


def test_a_trace_or_gradients_of_another_shape_are_refused_as_out(tmp_path):
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((6, 2, 3), np.float32)
    trace = lstm.trace(x)
    gradients = gw.backward(trace)
    for other in (lstm.trace(x[:4]), lstm.trace(x, keep="forget_gate"), gw.LSTM(3, 4, rng=0).trace(x)):
        with cases.refusal("out does not fit", by=gw.ShapeError):
            lstm.trace(x, out=other)
        assert not any(array.flags.writeable for array in other[0].arrays.values())
    with cases.refusal("out does not fit", "gradients", "x", by=gw.ShapeError):
        gw.backward(lstm.trace(x[:4]), out=gradients)
    with cases.refusal("out", "LSTMGradients", by=gw.OptionError):
        gw.backward(trace, out=trace)
    with cases.refusal("out", "file", by=gw.OptionError):
        lstm.trace(x, out=lstm.trace(x, out=tmp_path / "trace.safetensors"))


@pytest.mark.subjects(1)
@covering(strength=1, dtype=DTYPES, count=[1, 2])
def test_a_trace_larger_than_the_caches_is_that_of_its_parts_and_serves_as_out(dtype, count):
    lstm, time = gw.LSTM(3, 64, rng=0, dtype=dtype), 800
    x = np.random.default_rng(0).normal(size=(time, 16, 3)).astype(dtype)
    with threads(count):
        whole = lstm.trace(x)
        again = lstm.trace(x, out=lstm.trace(-x))
        first = lstm.trace(x[: time // 3])
        second = lstm.trace(x[time // 3 : 2 * time // 3], first.state)
        third = lstm.trace(x[2 * time // 3 :], second.state)
    for name, array in whole[0].arrays.items():
        np.testing.assert_array_equal(array, np.concatenate([part[0].arrays[name] for part in (first, second, third)]))
        np.testing.assert_array_equal(array, again[0].arrays[name])
        assert not again[0].arrays[name].flags.writeable
    part = replace(whole, layers=({"forward": whole[0][1:]},), stored_output=whole.stored_output[1:])
    with cases.refusal("out", "slice", by=gw.OptionError):
        lstm.trace(x[1:], out=part)


def test_a_trace_in_the_caller_s_own_memory_serves_as_out_and_leaves_that_open():
    lstm, x = gw.LSTM(3, 64, rng=0), np.ones((900, 16, 3), np.float32)
    first, memory = lstm.trace(x), {}
    for name, array in first[0].arrays.items():
        memory[name] = np.empty((1, *array.shape), np.float32)
    cell = replace(first[0], arrays={name: array[0] for name, array in memory.items()})
    lstm.trace(x, out=replace(first, layers=({"forward": cell},), stored_output=cell.hidden_state))
    for name, array in first[0].arrays.items():
        np.testing.assert_array_equal(memory[name][0], array)
        assert memory[name].flags.writeable


def test_a_trace_of_converted_numbers_serves_as_out():
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((4, 3))
    np.testing.assert_array_equal(lstm.trace(x, out=lstm.trace(x * 2)).output, lstm.trace(x).output)


def unaligned(array):
    return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def test_numbers_at_odd_addresses_are_as_good_as_others():
    lstm, x = gw.LSTM(3, 5, rng=0), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(lstm(unaligned(x))[0], lstm(x)[0])
    out = np.empty((4, 5), np.float32)
    np.testing.assert_array_equal(lstm.stream().push(unaligned(x), out=out), lstm(x)[0])
    with cases.refusal("out", "aligned", by=gw.OptionError):
        lstm(x, out=np.frombuffer(bytearray(81), np.float32, offset=1).reshape(4, 5))


def test_what_the_extension_is_given_in_the_wrong_shape_never_reaches_a_pointer():
    """The Python code checks first; this is the last check."""
    cell = native.packed(cases.run_of("plain", dtype=np.float32).p)
    x, h = np.zeros((3, 2, 2), np.float32), np.zeros((3, 2, 4), np.float32)
    states = np.zeros((2, 4), np.float32)
    right = {"x": x, "h0": states, "h": h, "c": states.copy()}

    def forward(**changes):
        record = cell.ForwardRecord()
        for field, value in (right | changes).items():
            setattr(record, field, value)
        cell.forward(record)

    forward()
    for field, wrong in {"x": x[:, :, :1].copy(), "h0": x[0], "h": h[:2], "c": h, "gates": h, "units": [4]}.items():
        with pytest.raises(ValueError, match=r"wrong shape|no such unit"):
            forward(**{field: wrong})
    for changes in ({"every": 0}, {"places": [0, 1, 2, 9]}, {"places": [0]}):
        with pytest.raises(ValueError, match="gates"):
            forward(**changes)
    for field in right:
        absent = cell.ForwardRecord()
        for name in right.keys() - {field}:
            setattr(absent, name, right[name])
        with pytest.raises(ValueError, match=f"{field} "):
            cell.forward(absent)
    for wrong in (x.astype(np.float64), x[::-1], np.asfortranarray(x), None):
        with pytest.raises(TypeError):
            forward(x=wrong)
    locked = h.copy()
    locked.flags.writeable = False
    with pytest.raises(TypeError):
        forward(h=locked)
    with pytest.raises(AttributeError):
        forward(hidden=h)


def test_parts_of_a_network_in_the_wrong_shape_never_reach_a_pointer():
    stream = gw.LSTM(2, 3, rng=0).stream().native
    with pytest.raises(SystemError):
        stream.predict(np.ones(2, np.float32))  # there is nothing around it yet
    layer, bias, scaling = np.ones((3, 3), np.float32), np.ones(3, np.float32), np.ones((3, 3))
    right = {"features": 2, "before": [], "after": [layer, bias], "skip": 0, "inputs": None, "outputs": scaling}
    right["converter"] = print
    stream.surround(**right)
    for name, wrong in {
        "features": [1, 3, -1],
        "before": [[layer, bias], [layer[:2, :2].copy(), bias]],
        "after": [
            [layer[:, :2].copy(), bias],
            [layer[0], bias],
            [layer, bias[:2]],
            [layer, bias, layer[:, :1].copy(), bias],
        ],
        "skip": [-1, 3, 2],
        "inputs": [scaling],
        "outputs": [scaling[:2], scaling[:, :2].copy()],
    }.items():
        for value in wrong:
            with pytest.raises(ValueError, match=r"fit|shape|axes|skip"):
                stream.surround(**{**right, name: value})
    with pytest.raises(TypeError):
        stream.surround(**{**right, "after": [layer.astype(np.float64), bias]})
    assert stream.predict(np.ones(2, np.float32)).shape == (3,)


def test_a_run_that_would_not_fit_into_memory_is_refused_before_it_is_begun():
    lstm = gw.LSTM(1, 2**8, rng=0)
    x = np.broadcast_to(np.float32(0), (2**24, 2**12, 1))
    with pytest.raises(gw.CapacityError):
        lstm.trace(x, engine="native")


# Streams.


@pytest.mark.parametrize("first", [0, 3, 40, 77])
def test_push_may_write_over_what_it_reads(first):
    lstm, other = gw.LSTM(40, 40, rng=0), gw.LSTM(40, 40, rng=0)
    memory = np.random.default_rng(0).normal(size=120).astype(np.float32)
    expected = other.stream().push(memory[40:80].copy())
    np.testing.assert_array_equal(lstm.stream().push(memory[40:80], out=memory[first : first + 40]), expected)


def test_push_writes_where_it_is_told():
    lstm = gw.LSTM(3, 5, rng=0)
    one, other, x = lstm.stream(), lstm.stream(), np.ones(3, np.float32)
    out = np.empty(5, np.float32)
    assert one.push(x, out=out) is out
    np.testing.assert_array_equal(out, other.push(x))
    strided = np.empty(10, np.float32)[::2]
    assert one.push(x, out=strided) is strided
    np.testing.assert_array_equal(strided, other.push(x))
    for wrong in (np.empty(4, np.float32), np.empty(5), [0] * 5):
        before = one.state
        with cases.refusal("out", "(5,)", "float32", by=gw.ShapeError):
            one.push(x, out=wrong)
        np.testing.assert_array_equal(one.state[0][0].h, before[0][0].h)


READ_ONLY = np.frombuffer(np.ones(3, np.float32).tobytes(), np.float32)


@pytest.mark.parametrize(
    "x", [[1, 2, 3], np.ones(3), np.ones(6, np.float32)[::2], np.ones(3, ">f4"), np.ones(3, int), READ_ONLY]
)
def test_push_takes_any_numbers(x):
    lstm = gw.LSTM(3, 5, rng=0)
    np.testing.assert_array_equal(lstm.stream().push(x), lstm.stream().push(np.array(x, np.float32)))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_a_copied_stream_goes_on_from_the_same_state_by_itself(copied):
    lstm, x = gw.LSTM(3, 5, num_layers=2, rng=0), np.ones(3, np.float32)
    stream = lstm.stream()
    stream.push(x)
    other = copied(stream)
    expected = stream.push(x)
    np.testing.assert_array_equal(other.push(x), expected)
    assert other.engine == stream.engine
