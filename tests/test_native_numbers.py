"""Every kernel of the native engine computes the reference, at every size; its nonlinearities are exact."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from native_subjects import (
    DTYPES,
    KERNELS,
    VARIANTS,
    assert_same_bits,
    covering,
    every_dtype,
    every_kernel,
    every_variant,
    everything,
    needs_native,
    threads,
)
from pairwise import thinned

import gatewise as gw
from gatewise.engine import native
from gatewise.records.keep import Keep

pytestmark = needs_native

# Around the lanes of every instruction set (2 to 16), the rows of a block (3, 6), and where units are shared.
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


def assert_close(found, expected, dtype):
    """Assert that every array is the float64 reference's, within rounding, relative to its largest entry."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        scale = np.nanmax(np.abs(array), initial=1)
        np.testing.assert_allclose(
            found[name], array, rtol=0, atol=2000 * np.finfo(dtype).eps * scale, err_msg=name, equal_nan=True
        )


def in_float64(run):
    dropout = run.dropout and gw.DropoutMasks(**{n: np.asarray(a, np.float64) for n, a in run.dropout.arrays().items()})
    state = gw.State(*(array.astype(np.float64) for array in run.state))
    return run.replace(p=run.p.astype(np.float64), x=run.x.astype(np.float64), state=state, dropout=dropout)


@covering(
    strength=3,
    kernel=KERNELS,
    dtype=DTYPES,
    variant=VARIANTS,
    projection=list(cases.PROJECTIONS),
    direction=cases.DIRECTIONS,
    valid=cases.VALID,
    dropout=[False, True],
)
def test_every_kernel_computes_the_reference(
    monkeypatch, kernel, dtype, variant, projection, direction, valid, dropout
):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    run = cases.run_of(
        variant,
        projection=projection,
        direction=direction,
        valid=valid,
        dropout=dropout,
        dtype=dtype,
        batch=7,
        hidden=21,
    )
    found = everything(run, engine="native")
    assert_close(found, everything(in_float64(run), engine="reference"), dtype)
    assert all(array.dtype == dtype for array in found.values())


@covering(
    kernel=KERNELS,
    dtype=DTYPES,
    size=SIZES,
    projection=["unprojected", "projected"],
    variant=["plain", "peephole, coupling, clips"],
)
def test_every_kernel_computes_the_reference_at_every_size(monkeypatch, kernel, dtype, size, projection, variant):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    inputs, hidden, batch = size
    run = cases.run_of(variant, inputs=inputs, hidden=hidden, batch=batch, projection=projection, dtype=dtype, time=4)
    assert_close(everything(run, engine="native"), everything(in_float64(run), engine="reference"), dtype)


@pytest.mark.parametrize("subject", range(40))
@pytest.mark.parametrize("dtype", thinned(DTYPES))
def test_any_shape_and_variant_computes_the_reference(monkeypatch, dtype, subject):
    rng = np.random.default_rng(subject)
    monkeypatch.setenv("GATEWISE_KERNEL", str(rng.choice(KERNELS)))
    count = int(rng.integers(1, 4))
    run = cases.run_of(
        str(rng.choice(VARIANTS)),
        projection=str(rng.choice(list(cases.PROJECTIONS))),
        direction=str(rng.choice(cases.DIRECTIONS)),
        valid=str(rng.choice(cases.VALID)),
        dropout=bool(rng.integers(2)),
        time=int(rng.integers(2, 12)),
        batch=int(rng.integers(1, 40)),
        inputs=int(rng.integers(1, 70)),
        hidden=int(rng.integers(2, 140)),
        dtype=dtype,
        seed=subject,
    )
    with threads(count):
        found = everything(run, engine="native")
    assert_close(found, everything(in_float64(run), engine="reference"), dtype)


@every_variant
@pytest.mark.parametrize(
    "keep", [Keep(("forget_gate",), (20, 3, 3, 0), 2), Keep(("output_gate", "candidate"), None, 3)]
)
def test_keeping_less_keeps_the_same_numbers(variant, keep):
    run = cases.run_of(variant, hidden=21, time=7, valid="mask")
    whole = run.trace(engine="native")
    less = run.trace(engine="native", keep=keep.quantities, units=keep.units, every=keep.every)
    for name in keep.quantities:
        kept = whole.quantity(name)[:: keep.every]
        expected = kept if keep.units is None else kept[..., list(keep.units)]
        np.testing.assert_array_equal(less.quantity(name), expected)


def test_every_may_be_larger_than_any_run():
    trace = gw.LSTM(3, 5, rng=0).trace(np.ones((4, 1, 3)), keep="forget_gate", every=2**63)
    assert trace[0].forget_gate.shape == (1, 1, 5)


def applied(kernel, name, a):
    y = np.empty_like(a)
    native._native.apply(kernel, name, 0.0, 0.0, a, y)
    return y


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


@every_kernel
@every_dtype
def test_a_decaying_state_ends_in_zero_and_the_caller_keeps_subnormal_numbers(monkeypatch, kernel, dtype):
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    tiny = np.finfo(dtype).tiny
    p = gw.Parameters(np.zeros((4, 3, 4), dtype), np.zeros((4, 3), dtype))  # every gate is 1/2: c halves at each step
    state = gw.State(np.zeros((1, 3), dtype), np.full((1, 3), 4 * tiny, dtype))
    trace = gw.LSTM.from_cells(p).trace(np.zeros((8, 1, 1), dtype), [[state]], engine="native")[0]
    assert trace.cell_state[:, 0, 0].tolist() == [2 * tiny, tiny, 0, 0, 0, 0, 0, 0]
    assert dtype(tiny) / 4 > 0  # the caller's arithmetic is as it was


# No bit depends on how the engine was run: on threads, splits or what is kept.


@covering(kernel=KERNELS, dtype=DTYPES, variant=VARIANTS, shape=[(300, 1, 3, 150), (5, 40, 3, 37), (3, 9, 100, 33)])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, kernel, dtype, variant, shape):
    """For one sequence, whose units are shared; and for many, which are shared themselves."""
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    steps, batch, inputs, hidden = shape
    valid = "mask" if batch > 1 else "all valid"
    run = cases.run_of(
        variant, time=steps, batch=batch, inputs=inputs, hidden=hidden, dtype=dtype, valid=valid, dropout=batch > 1
    )
    found = []
    for count in (1, 2, 3):
        with threads(count):
            found.append(everything(run, engine="native"))
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])


@pytest.mark.skipif(len(KERNELS) < 3, reason="this machine has no two kernels with fused multiply-add")
@every_dtype
@every_variant
def test_kernels_that_round_once_give_the_same_bits(monkeypatch, dtype, variant):
    run = cases.run_of(
        variant, time=20, batch=7, inputs=5, hidden=37, dtype=dtype, dropout=True, projection="projected"
    )
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
    np.testing.assert_array_equal(lstm.trace(x).output, y)
    stream = lstm.stream()
    assert stream.engine == "native"
    np.testing.assert_array_equal(np.stack([stream.push(step) for step in x]), y)
    stream.reset()
    np.testing.assert_array_equal(np.concatenate([stream.push(x[:7]), stream.push(x[7:])]), y)
    for (one,), (end,) in zip(stream.state, state, strict=True):
        np.testing.assert_array_equal(one.h, end.h)
        np.testing.assert_array_equal(one.c, end.c)
