"""The native engine: every kernel computes the reference at every size, and no bit of it depends on how it was run."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.engine import native
from gatewise.keep import Keep

pytestmark = pytest.mark.skipif(native.MISSING is not None, reason=f"no native engine: {native.MISSING}")

KERNELS = native.kernels()
DTYPES = (np.float32, np.float64)
VARIANTS = [name for name in cases.VARIANTS if native.refusal(cases.run_of(name).p) is None]
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_variant = pytest.mark.parametrize("variant", VARIANTS)

# Around the lanes of every instruction set (2 to 16), the rows of a block (3, 6), and where units are shared out.
SIZES = [
    (1, 1, 1),
    (1, 2, 3),
    (2, 3, 4),
    (3, 7, 5),
    (7, 8, 2),
    (12, 15, 9),
    (1, 16, 17),
    (6, 31, 1),
    (13, 33, 20),
    (2, 65, 70),
]


@pytest.fixture(autouse=True)
def _threads():
    """Leave the number of threads as it was."""
    before = native.num_threads()
    yield
    gw.set_num_threads(before)


def everything(run, **options):
    """Run there and back and return every array that comes out, by name."""
    trace = run.trace(**options)
    rng = np.random.default_rng(7)
    end = gw.State(*(rng.normal(size=array.shape).astype(array.dtype) for array in trace.final))
    found = gw.backward(trace, rng.normal(size=trace.hidden_state.shape).astype(trace.hidden_state.dtype), end)
    states = {f"{when}.{name}": array for when in ("final",) for name, array in getattr(trace, when)._asdict().items()}
    gradients = {f"d{name}": array for name, array in found.parameters.items()}
    return {**trace.arrays, **states, **gradients, "dx": found.x, "dh": found.state.h, "dc": found.state.c}


def assert_close(found, expected, dtype):
    """Hold every array against the float64 reference's: within rounding, relative to its largest entry."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        scale = np.nanmax(np.abs(array), initial=1)
        np.testing.assert_allclose(
            found[name], array, rtol=0, atol=2000 * np.finfo(dtype).eps * scale, err_msg=name, equal_nan=True
        )


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def in_float64(run):
    masks = run.masks and gw.Masks(**{n: np.asarray(a, np.float64) for n, a in run.masks.arrays().items()})
    state = gw.State(*(array.astype(np.float64) for array in run.state))
    return run.replace(p=run.p.astype(np.float64), x=run.x.astype(np.float64), state=state, masks=masks)


@every_kernel
@every_dtype
@every_variant
@pytest.mark.parametrize("projection", cases.PROJECTIONS)
@pytest.mark.parametrize("direction", cases.DIRECTIONS)
@pytest.mark.parametrize("noise", [False, True], ids=["no noise", "noise"])
def test_every_kernel_computes_the_reference(monkeypatch, kernel, dtype, variant, projection, direction, noise):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    for live in cases.LIVES:
        run = cases.run_of(
            variant, projection=projection, direction=direction, noise=noise, live=live, dtype=dtype, batch=7, hidden=21
        )
        found = everything(run, engine="native")
        assert_close(found, everything(in_float64(run), engine="reference"), dtype)
        assert all(array.dtype == dtype for array in found.values())


@every_kernel
@every_dtype
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("projection", ["unprojected", "projected"])
def test_every_kernel_computes_the_reference_at_every_size(monkeypatch, kernel, dtype, size, projection):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    inputs, hidden, batch = size
    for variant in ("plain", "peephole, coupling, clips"):
        run = cases.run_of(
            variant, inputs=inputs, hidden=hidden, batch=batch, projection=projection, dtype=dtype, time=4
        )
        assert_close(everything(run, engine="native"), everything(in_float64(run), engine="reference"), dtype)


@every_dtype
@pytest.mark.parametrize("subject", range(40))
def test_any_shape_and_variant_computes_the_reference(monkeypatch, dtype, subject):
    rng = np.random.default_rng(subject)
    monkeypatch.setenv("GATEWISE_KERNEL", str(rng.choice(KERNELS)))
    gw.set_num_threads(int(rng.integers(1, 4)))
    run = cases.run_of(
        str(rng.choice(VARIANTS)),
        projection=str(rng.choice(list(cases.PROJECTIONS))),
        direction=str(rng.choice(cases.DIRECTIONS)),
        live=str(rng.choice(cases.LIVES)),
        noise=bool(rng.integers(2)),
        time=int(rng.integers(2, 12)),
        batch=int(rng.integers(1, 40)),
        inputs=int(rng.integers(1, 70)),
        hidden=int(rng.integers(2, 140)),
        dtype=dtype,
        seed=subject,
    )
    assert_close(everything(run, engine="native"), everything(in_float64(run), engine="reference"), dtype)


@every_kernel
@every_dtype
@every_variant
@pytest.mark.parametrize("shape", [(300, 1, 3, 150), (5, 40, 3, 37), (3, 9, 100, 33)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, kernel, dtype, variant, shape):
    """Of one row, whose units are shared out; of many, which are themselves."""
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    steps, batch, inputs, hidden = shape
    live = "mask" if batch > 1 else "all live"
    run = cases.run_of(
        variant, time=steps, batch=batch, inputs=inputs, hidden=hidden, dtype=dtype, live=live, noise=batch > 1
    )
    found = []
    for threads in (1, 2, 3):
        gw.set_num_threads(threads)
        found.append(everything(run, engine="native"))
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])


@pytest.mark.skipif(len(KERNELS) < 3, reason="this machine has no two kernels with fused multiply-add")
@every_dtype
@every_variant
def test_kernels_that_round_once_give_the_same_bits(monkeypatch, dtype, variant):
    run = cases.run_of(variant, time=20, batch=7, inputs=5, hidden=37, dtype=dtype, noise=True, projection="projected")
    found = []
    for kernel in KERNELS[:2]:
        monkeypatch.setenv("GATEWISE_KERNEL", kernel)
        found.append(everything(run, engine="native"))
    assert_same_bits(found[1], found[0])


@every_kernel
@every_dtype
@pytest.mark.parametrize("hidden", [3, 16, 70])
def test_a_stream_a_run_and_a_trace_give_the_same_bits(monkeypatch, kernel, dtype, hidden):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    lstm = gw.LSTM(5, hidden, num_layers=2, rng=0, dtype=dtype)
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(dtype)
    y, state = lstm(x)
    np.testing.assert_array_equal(lstm.trace(x).output[:, 0], y)
    stream = lstm.stream()
    assert stream.engine == "native"
    np.testing.assert_array_equal(np.stack([stream.push(step) for step in x]), y)
    stream.reset()
    np.testing.assert_array_equal(np.concatenate([stream.push(x[:7]), stream.push(x[7:])]), y)
    for (one,), (end,) in zip(stream.state, state, strict=True):
        np.testing.assert_array_equal(one.h, end.h)
        np.testing.assert_array_equal(one.c, end.c)


# The nonlinearities by themselves.


@every_kernel
@every_dtype
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exponential"])
def test_a_nonlinearity_is_at_most_2_ulp_off(kernel, dtype, name):
    rng = np.random.default_rng(0)
    tiny = np.finfo(dtype).tiny
    reach = 90 if dtype == np.float32 else 710
    a = np.concatenate([rng.uniform(-reach, reach, 40_000), rng.uniform(-2, 2, 40_000), rng.uniform(-30, 30, 40_000)])
    a = np.concatenate([a, np.exp(rng.uniform(np.log(tiny), 3, 40_000)) * rng.choice([-1, 1], 40_000)]).astype(dtype)
    wide = a.astype(np.longdouble if dtype == np.float64 else np.float64)
    with np.errstate(all="ignore"):
        expected = {"sigmoid": 1 / (1 + np.exp(-wide)), "tanh": np.tanh(wide), "exponential": np.exp(wide)}[name]
        rounded = expected.astype(dtype)
        found = applied(kernel, name, a)
        normal = (np.abs(rounded) >= tiny) & np.isfinite(rounded)
        error = np.abs(found[normal] - expected[normal]) / np.spacing(np.abs(rounded[normal]))
    assert error.max() <= 2
    np.testing.assert_array_equal(found[~normal & (np.abs(rounded) < tiny)], 0)


def applied(kernel, name, a):
    y = np.empty_like(a)
    native._native.apply(kernel, name, 0.0, 0.0, a, y)
    return y


@every_kernel
@every_dtype
def test_nonlinearities_are_exact_where_they_are_known(kernel, dtype):
    a = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(applied(kernel, "sigmoid", a), np.array([0.5, 0.5, 1, 0, np.nan], dtype))
    np.testing.assert_array_equal(applied(kernel, "tanh", a), np.array([0, 0, 1, -1, np.nan], dtype))
    np.testing.assert_array_equal(applied(kernel, "exponential", a), np.array([1, 1, np.inf, 0, np.nan], dtype))
    assert np.signbit(applied(kernel, "tanh", a)[:2]).tolist() == [False, True]
    x = np.random.default_rng(0).normal(0, 3, 1000).astype(dtype)
    np.testing.assert_array_equal(applied(kernel, "tanh", -x), -applied(kernel, "tanh", x))


# Numbers below the smallest normal one.


@every_kernel
@every_dtype
def test_a_state_that_decays_ends_in_zero_and_the_caller_keeps_his_small_numbers(monkeypatch, kernel, dtype):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    tiny = np.finfo(dtype).tiny
    p = gw.Parameters(np.zeros((4, 3, 4), dtype), np.zeros((4, 3), dtype))  # every gate is 1/2: c halves at each step
    state = gw.State(np.zeros((1, 3), dtype), np.full((1, 3), 4 * tiny, dtype))
    trace = gw.LSTM.from_cells(p).trace(np.zeros((8, 1, 1), dtype), [[state]], engine="native")[0]
    assert trace.cell_state[:, 0, 0].tolist() == [2 * tiny, tiny, 0, 0, 0, 0, 0, 0]
    assert dtype(tiny) / 4 > 0  # the caller's arithmetic is as it was


# The memory of earlier calls.


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
    for mine, other, old in zip(again, fresh, first, strict=True):
        for name, array in other.arrays.items():
            np.testing.assert_array_equal(mine.arrays[name], array)
            assert np.shares_memory(mine.arrays[name], old.arrays[name])
            assert not mine.arrays[name].flags.writeable
    np.testing.assert_array_equal(again.output, fresh.output)
    np.testing.assert_array_equal(again[0].input, x)
    for mine, other, old in zip(gradients, expected, back, strict=True):
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
        (np.empty((5, 2, 6), np.float32).T, ["one piece"]),
        ([1, 2], ["list"]),
    ],
)
def test_an_out_that_does_not_fit_is_refused_in_one_sentence(out, parts):
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((6, 2, 3), np.float32)
    with pytest.raises(gw.GatewiseError) as caught:
        lstm(x, out=out)
    cases.one_sentence(caught.value, "out", *parts)


def test_a_trace_or_gradients_of_another_shape_are_refused_as_out(tmp_path):
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((6, 2, 3), np.float32)
    trace = lstm.trace(x)
    gradients = gw.backward(trace)
    for other in (lstm.trace(x[:4]), lstm.trace(x, keep="forget_gate"), gw.LSTM(3, 4, rng=0).trace(x)):
        with pytest.raises(gw.ShapeError) as caught:
            lstm.trace(x, out=other)
        cases.one_sentence(caught.value, "out does not fit")
        assert not any(array.flags.writeable for array in other[0].arrays.values())
    with pytest.raises(gw.ShapeError) as caught:
        gw.backward(lstm.trace(x[:4]), out=gradients)
    cases.one_sentence(caught.value, "out does not fit", "gradients", "x")
    with pytest.raises(gw.OptionError) as caught:
        gw.backward(trace, out=trace)
    cases.one_sentence(caught.value, "out", "LSTMGradients")
    with pytest.raises(gw.OptionError) as caught:
        lstm.trace(x, out=lstm.trace(x, out=tmp_path / "trace.safetensors"))
    cases.one_sentence(caught.value, "out", "file")


@every_variant
@pytest.mark.parametrize(
    "keep", [Keep(("forget_gate",), (20, 3, 3, 0), 2), Keep(("output_gate", "candidate"), None, 3)]
)
def test_keeping_less_keeps_the_same_numbers(variant, keep):
    run = cases.run_of(variant, hidden=21, time=7, live="mask")
    whole = run.trace(engine="native")
    less = run.trace(engine="native", keep=keep.quantities, units=keep.units, every=keep.every)
    for name in keep.quantities:
        kept = whole.quantity(name)[:: keep.every]
        expected = kept if keep.units is None else kept[..., list(keep.units)]
        np.testing.assert_array_equal(less.quantity(name), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_trace_larger_than_the_caches_is_that_of_its_parts_and_serves_as_out(dtype, threads):
    lstm, time = gw.LSTM(3, 64, rng=0, dtype=dtype), 800
    x = np.random.default_rng(0).normal(size=(time, 16, 3)).astype(dtype)
    before = next(engine for engine in gw.engines() if engine.available).threads
    gw.set_num_threads(threads)
    try:
        whole = lstm.trace(x)
        again = lstm.trace(x, out=lstm.trace(-x))
        first = lstm.trace(x[: time // 3])
        second = lstm.trace(x[time // 3 : 2 * time // 3], first.state)
        third = lstm.trace(x[2 * time // 3 :], second.state)
    finally:
        gw.set_num_threads(before)
    for name, array in whole[0].arrays.items():
        np.testing.assert_array_equal(array, np.concatenate([part[0].arrays[name] for part in (first, second, third)]))
        np.testing.assert_array_equal(array, again[0].arrays[name])
        assert not again[0].arrays[name].flags.writeable
    part = replace(whole, layers=({"forward": whole[0][1:]},), output=whole.output[1:])
    with pytest.raises(gw.OptionError) as caught:
        lstm.trace(x[1:], out=part)
    cases.one_sentence(caught.value, "out", "slice")


def test_a_trace_in_the_caller_s_own_memory_serves_as_out_and_leaves_that_open():
    lstm, x = gw.LSTM(3, 64, rng=0), np.ones((900, 16, 3), np.float32)
    first, memory = lstm.trace(x), {}
    for name, array in first[0].arrays.items():
        memory[name] = np.empty((1, *array.shape), np.float32)
    cell = replace(first[0], arrays={name: array[0] for name, array in memory.items()})
    lstm.trace(x, out=replace(first, layers=({"forward": cell},), output=cell.hidden_state))
    for name, array in first[0].arrays.items():
        np.testing.assert_array_equal(memory[name][0], array)
        assert memory[name].flags.writeable


# Streams.


def unaligned(array):
    return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def test_numbers_at_odd_addresses_are_as_good_as_others():
    lstm, x = gw.LSTM(3, 5, rng=0), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(lstm(unaligned(x))[0], lstm(x)[0])
    out = np.empty((4, 5), np.float32)
    np.testing.assert_array_equal(lstm.stream().push(unaligned(x), out=out), lstm(x)[0])
    with pytest.raises(gw.OptionError) as caught:
        lstm(x, out=np.frombuffer(bytearray(81), np.float32, offset=1).reshape(4, 5))
    cases.one_sentence(caught.value, "out", "aligned")


def test_a_trace_of_converted_numbers_serves_as_out():
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones((4, 3))
    np.testing.assert_array_equal(lstm.trace(x, out=lstm.trace(x * 2)).output, lstm.trace(x).output)


def test_every_may_be_larger_than_any_run():
    trace = gw.LSTM(3, 5, rng=0).trace(np.ones((4, 1, 3)), keep="forget_gate", every=2**63)
    assert trace[0].forget_gate.shape == (1, 1, 5)


NESTED = """
import os, signal, numpy as np, gatewise as gw
lstm, small = gw.LSTM(64, 256, rng=0), gw.LSTM(2, 300, rng=1)
x, other = (np.random.default_rng(0).normal(size=s).astype(np.float32) for s in ((3000, 16, 64), (3, 200, 2)))
trace = lstm.trace(x)
dx = gw.backward(trace, trace.output).x
inner = small.trace(other)
calls = []
def handler(*_):
    calls.append(np.array_equal(small.trace(other).output, inner.output))
    if len(calls) == FORKS:
        os.fork()
    gw.backward(inner, inner.output)
    signal.setitimer(signal.ITIMER_REAL, 0.02)  # the run goes on in between, however slow the machine
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02)
good = np.array_equal(lstm(x)[0], trace.output) and np.array_equal(gw.backward(trace, trace.output).x, dx)
signal.setitimer(signal.ITIMER_REAL, 0)
os.write(1, f"{good} {all(calls)} {len(calls) > 0}\\n".encode())  # in one piece: parent and child share it
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("forks", [0, 1])
def test_a_signal_handler_may_run_an_lstm_and_fork_amid_a_run(forks):
    program = NESTED.replace("FORKS", str(forks))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True"] * 3 * (1 + forks)


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
        with pytest.raises(gw.ShapeError) as caught:
            one.push(x, out=wrong)
        cases.one_sentence(caught.value, "out", "(5,)", "float32")
        np.testing.assert_array_equal(one.state[0][0].h, before[0][0].h)


@pytest.mark.parametrize("x", [[1, 2, 3], np.ones(3), np.ones(6, np.float32)[::2], np.ones(3, ">f4"), np.ones(3, int)])
def test_push_takes_any_numbers(x):
    lstm = gw.LSTM(3, 5, rng=0)
    np.testing.assert_array_equal(lstm.stream().push(x), lstm.stream().push(np.array(x, np.float32)))


def test_a_read_only_step_is_taken_and_left_alone():
    lstm, x = gw.LSTM(3, 5, rng=0), np.ones(3, np.float32)
    x.flags.writeable = False
    assert lstm.stream().push(x).shape == (5,)


@pytest.mark.parametrize("batch", [None, 0, 2])
def test_an_empty_chunk_changes_nothing(batch):
    stream = gw.LSTM(3, 5, rng=0).stream(batch)
    rows = () if batch is None else (batch,)
    stream.push(np.ones((*rows, 3), np.float32))
    before = stream.state
    assert stream.push(np.empty((0, *rows, 3), np.float32)).shape == (0, *rows, 5)
    np.testing.assert_array_equal(stream.state[0][0].c, before[0][0].c)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_a_copied_stream_goes_on_from_the_same_state_by_itself(copied):
    lstm, x = gw.LSTM(3, 5, num_layers=2, rng=0), np.ones(3, np.float32)
    stream = lstm.stream()
    stream.push(x)
    other = copied(stream)
    expected = stream.push(x)
    np.testing.assert_array_equal(other.push(x), expected)
    assert other.engine == stream.engine


def test_many_streams_of_one_model_run_in_many_threads():
    lstm = gw.LSTM(8, 64, num_layers=2, rng=0)
    inputs = np.random.default_rng(0).normal(size=(8, 300, 8)).astype(np.float32)
    expected = [lstm(x)[0] for x in inputs]
    start = threading.Barrier(8)

    def feed(x):
        stream = lstm.stream()
        start.wait()
        return np.stack([stream.push(step) for step in x[:200]] + list(stream.push(x[200:])))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(feed, inputs))
    np.testing.assert_array_equal(found, expected)


def test_whole_runs_of_one_model_run_in_many_threads():
    gw.set_num_threads(2)
    lstm = gw.LSTM(8, 64, rng=0)
    inputs = np.random.default_rng(0).normal(size=(6, 50, 12, 8)).astype(np.float32)
    expected = [lstm(x)[0] for x in inputs]
    with ThreadPoolExecutor(6) as threads:
        for found, right in zip(threads.map(lambda x: lstm(x)[0], inputs), expected, strict=True):
            np.testing.assert_array_equal(found, right)


# The process around it.


def python(code, **environment):
    """Run code in a process of its own; return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr


@every_kernel
def test_the_environment_names_the_kernel(kernel):
    code, out, err = python("import gatewise as gw; print(gw.engines()[0].kernel)", GATEWISE_KERNEL=kernel)
    assert (code, out) == (0, kernel), err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWISE_KERNEL", "sse9"),
        ("GATEWISE_NUM_THREADS", "many"),
        ("GATEWISE_NUM_THREADS", "0"),
        ("GATEWISE_NUM_THREADS", "2x"),
    ],
)
def test_an_environment_that_asks_for_what_is_not_there_is_told_so(name, value):
    code, out, err = python(
        """
        import gatewise as gw
        for asked in (gw.engines, lambda: gw.LSTM(2, 2, rng=0)([[1, 2]])):
            try:
                asked()
            except gw.OptionError as problem:
                print(problem)
        """,
        **{name: value},
    )
    assert code == 0, err
    assert len(out.splitlines()) == 2
    assert all(name in line and value in line for line in out.splitlines())


def test_the_number_of_threads_is_that_of_the_environment_or_of_the_cpus():
    assert python("import gatewise as gw; print(gw.engines()[0].threads)", GATEWISE_NUM_THREADS="3")[1] == "3"
    if hasattr(os, "sched_setaffinity"):
        code = """
            import os
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            import gatewise as gw
            print(gw.engines()[0].threads)
        """
        environment = {name: value for name, value in os.environ.items() if name != "GATEWISE_NUM_THREADS"}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "1"


@pytest.mark.parametrize("count", [0, -1, 1025, 1.5, "2", True])
def test_a_number_of_threads_that_cannot_be_is_refused(count):
    with pytest.raises(gw.OptionError) as caught:
        gw.set_num_threads(count)
    cases.one_sentence(caught.value, "threads", str(count))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own():
    code, out, err = python(
        """
        import os, sys
        import numpy as np, gatewise as gw
        gw.set_num_threads(2)
        lstm, x = gw.LSTM(8, 64, rng=0), np.ones((100, 16, 8), np.float32)
        before = lstm(x)[0]
        child = os.fork()
        same = np.array_equal(lstm(x)[0], before)
        if child == 0:
            os._exit(0 if same else 1)
        print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (code, out) == (0, "True 0"), err


LONG = """
import sys
import numpy as np, gatewise as gw
{body}
print("ready", flush=True)
try:
    while True:
        call()
except KeyboardInterrupt:
    print("stopped", {after}, flush=True)
"""
LONG_CALLS = {
    "one row": ("lstm, x = gw.LSTM(64, 256, rng=0), np.ones((400_000, 64), np.float32); call = lambda: lstm(x)", "0"),
    "one long step": (
        "lstm, x = gw.LSTM(2048, 2048, rng=0), np.ones((1, 4000, 2048), np.float32); call = lambda: lstm(x)",
        "0",
    ),
    "back": (
        "lstm = gw.LSTM(256, 512, rng=0); trace = lstm.trace(np.ones((100, 512, 256), np.float32))\n"
        "call = lambda: gw.backward(trace, trace.output)",
        "0",
    ),
    "stream": (
        "stream, x = gw.LSTM(64, 256, rng=0).stream(), np.ones((400_000, 64), np.float32)\n"
        "stream.push(x[0]); before = stream.state\n"
        "call = lambda: (setattr(stream, 'state', before), stream.push(x))",
        "int(np.array_equal(stream.state[0][0].c, before[0][0].c) - 1)",
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
@pytest.mark.parametrize("call", LONG_CALLS)
def test_a_signal_ends_a_long_run_and_breaks_nothing(call):
    body, after = LONG_CALLS[call]
    process = subprocess.Popen(
        [sys.executable, "-c", LONG.format(body=body, after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    time.sleep(0.3)  # into the run; whatever it is doing then, the signal ends it
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "stopped 0\n", err


def test_a_run_that_would_not_fit_into_memory_is_refused_before_it_is_begun():
    lstm = gw.LSTM(1, 2**8, rng=0)
    x = np.broadcast_to(np.float32(0), (2**24, 2**12, 1))
    with pytest.raises(gw.CapacityError):
        lstm.trace(x, engine="native")


def test_what_the_extension_is_given_in_the_wrong_shape_never_reaches_a_pointer():
    """The Python side has looked before; this is the last look."""
    cell = native.packed(cases.run_of("plain", dtype=np.float32).p)
    x, h = np.zeros((3, 2, 2), np.float32), np.zeros((3, 2, 4), np.float32)
    right = [
        x,
        np.zeros((2, 4), np.float32),
        h,
        np.zeros((2, 4), np.float32),
        False,
        *[None] * 4,
        1,
        [-1] * 4,
        *[None] * 4,
    ]
    cell.forward(*right)
    for place, wrong in [(0, x[:, :, :1].copy()), (1, x[0]), (2, h[:2]), (3, h), (9, 0), (10, [0, 1, 2, 9])]:
        with pytest.raises((ValueError, TypeError)):
            cell.forward(*[wrong if n == place else one for n, one in enumerate(right)])
    for wrong in (x.astype(np.float64), x[::-1], np.asfortranarray(x)):
        with pytest.raises(TypeError):
            cell.forward(wrong, *right[1:])
    locked = h.copy()
    locked.flags.writeable = False
    with pytest.raises(TypeError):
        cell.forward(*right[:2], locked, *right[3:])
