"""What the tests of the native engine share: its kernels, the variants it supports, and all results of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cases
import numpy as np
import pytest
from pairwise import cover

import gatewise as gw
from gatewise.engine import native

needs_native = pytest.mark.skipif(native.MISSING is not None, reason=f"no native engine: {native.MISSING}")

ENGINES = [engine.name for engine in gw.engines() if engine.available]
KERNELS = native.kernels() or ("none",)  # without a native engine, all their tests are skipped
DTYPES = (np.float32, np.float64)
VARIANTS = [name for name in cases.VARIANTS if native.refusal(cases.run_of(name).p) is None] or ["plain"]
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def covering(strength: int = 2, **factors):
    """Parametrize a test by cases in which all values of any `strength` factors meet."""
    cases = [tuple(case.values()) for case in cover(factors, strength)]
    return pytest.mark.parametrize(list(factors), cases, ids=lambda value: getattr(value, "__name__", str(value)))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run on so many threads at most, and restore their number."""
    before = native.num_threads()
    gw.set_num_threads(count)
    try:
        yield
    finally:
        gw.set_num_threads(before)


def everything(run, **options):
    """Run forward and backward, and return every array that comes out, by name."""
    trace = run.trace(**options)
    rng = np.random.default_rng(7)
    end = gw.State(*(rng.normal(size=array.shape).astype(array.dtype) for array in trace.final))
    found = gw.backward(trace, rng.normal(size=trace.hidden_state.shape).astype(trace.hidden_state.dtype), end)
    states = {f"final.{name}": array for name, array in trace.final._asdict().items()}
    gradients = {f"d{name}": array for name, array in found.parameters.items()}
    return {**trace.arrays, **states, **gradients, "dx": found.x, "dh": found.state.h, "dc": found.state.c}


def assert_same_bits(found, expected):
    """Assert that arrays of the same name are equal bit for bit."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
