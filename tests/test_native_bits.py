"""No bit of the native engine depends on how it was run: on threads, splits or what is kept."""

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

import gatewise as gw

pytestmark = needs_native


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
