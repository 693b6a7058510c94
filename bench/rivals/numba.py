"""Numba: the equations as loops, compiled. Loops multiply a single sequence, BLAS a batch, which threads share."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of SciPy's BLAS, which is loaded later: the threads are Numba's alone

import math

import numba
import numpy as np
import scipy.linalg  # noqa: F401 - whose BLAS Numba calls

from bench.problems import Answer, Array, Problem, Run, Way
from bench.start import starting

START = """
import math
import numba, numpy as np

@numba.njit
def sigmoid(a):
    return 1 / (1 + math.exp(-a))

@numba.njit
def step(x, h, c, inputs, recurrent, bias):
    a = x @ inputs + h @ recurrent + bias
    n = len(h)
    for j in range(n):
        c[j] = sigmoid(a[n + j]) * c[j] + sigmoid(a[j]) * math.tanh(a[2 * n + j])
        h[j] = sigmoid(a[3 * n + j]) * math.tanh(c[j])

step(*(np.zeros(shape, np.float32) for shape in ((8,), (32,), (32,), (8, 128), (32, 128), (128,))))
"""

_compiled = numba.njit(fastmath=True, error_model="numpy")


def version() -> str:
    """Return the version."""
    return numba.__version__


@_compiled
def _add_product(a: Array, z: Array, weight: Array) -> None:
    """Add z (n,) · weight (n, 4 hidden) to a (4 hidden,), four rows of the weights at a time."""
    whole = len(z) // 4 * 4
    for k in range(0, whole, 4):
        z0, z1, z2, z3 = z[k], z[k + 1], z[k + 2], z[k + 3]
        for j in range(len(a)):
            a[j] += (z0 * weight[k, j] + z1 * weight[k + 1, j]) + (z2 * weight[k + 2, j] + z3 * weight[k + 3, j])
    for k in range(whole, len(z)):
        for j in range(len(a)):
            a[j] += z[k] * weight[k, j]


@_compiled
def _sigmoid(a: np.float32) -> np.float32:
    one = np.float32(1)
    return one / (one + math.exp(-a))


@_compiled
def _cell(a: Array, h: Array, c: Array) -> None:
    """Compute one step of a sequence from pre-activations (4 hidden,), which become the gates."""
    n = len(h)
    for j in range(n):
        i, f = _sigmoid(a[j]), _sigmoid(a[n + j])
        g, o = math.tanh(a[2 * n + j]), _sigmoid(a[3 * n + j])
        c[j] = f * c[j] + i * g
        h[j] = o * math.tanh(c[j])
        a[j], a[n + j], a[2 * n + j], a[3 * n + j] = i, f, g, o


@_compiled
def _step(x: Array, h: Array, c: Array, inputs: Array, recurrent: Array, bias: Array, a: Array) -> None:
    a[:] = bias
    _add_product(a, x, inputs)
    _add_product(a, h, recurrent)
    _cell(a, h, c)


@_compiled
def _run_rows(
    x: Array,
    state: tuple[Array, Array],
    weights: tuple[Array, Array, Array],
    rows: slice,
    y: Array,
    gates: Array,
    cells: Array,
) -> None:
    """Run some sequences over time; fill gates (time or 1, batch, 4 hidden) and cells (time or 1, batch, hidden)."""
    inputs, recurrent, bias = weights
    h, c = state[0][rows].copy(), state[1][rows].copy()
    product = np.empty((len(h), len(bias)), np.float32)
    for t in range(len(x)):
        a = gates[t % len(gates), rows]
        if len(h) == 1:
            _step(x[t, rows][0], h[0], c[0], inputs, recurrent, bias, a[0])
        else:
            np.dot(x[t, rows], inputs, product)
            a[:] = product
            np.dot(h, recurrent, product)
            for row in range(len(h)):
                a[row] += product[row] + bias
                _cell(a[row], h[row], c[row])
        y[t, rows] = h
        cells[t % len(cells), rows] = c


@numba.njit(fastmath=True, error_model="numpy", parallel=True)
def _run(
    x: Array,
    state: tuple[Array, Array],
    weights: tuple[Array, Array, Array],
    parts: int,
    y: Array,
    gates: Array,
    cells: Array,
) -> None:
    batch = x.shape[1]
    for part in numba.prange(parts):
        rows = slice(part * batch // parts, (part + 1) * batch // parts)
        _run_rows(x, state, weights, rows, y, gates, cells)


def _weights(problem: Problem) -> tuple[Array, Array, Array]:
    inputs, recurrent, bias = problem.stacked()
    return np.ascontiguousarray(inputs.T), np.ascontiguousarray(recurrent.T), bias


def stream(problem: Problem) -> Run:
    """One step of one sequence."""
    x, h, c = problem.x[0, 0], problem.h[0].copy(), problem.c[0].copy()
    weights = _weights(problem)
    a = np.empty_like(weights[2])
    return Run(lambda: _step(x, h, c, *weights, a), lambda: {"y": h[None, None]})


def _sequence(problem: Problem, kept: int) -> Run:
    """Return a run over a sequence that keeps the gates and cell states of so many steps."""
    case = problem.case
    y = np.empty_like(problem.dy)
    gates = np.empty((kept, case.batch, 4 * case.hidden_size), np.float32)
    cells = np.empty((kept, case.batch, case.hidden_size), np.float32)
    shared = problem.threads > 1 and case.batch > 1
    run, how = (_run, problem.threads) if shared else (_run_rows, slice(0, case.batch))
    given = problem.x, (problem.h, problem.c), _weights(problem), how, y, gates, cells

    def answer() -> Answer:
        seen = {"gates": gates.reshape(kept, case.batch, 4, -1), "cell_state": cells}
        return {"y": y} | (seen if kept == case.time else {})

    return Run(lambda: run(*given), answer)


def infer(problem: Problem) -> Run:
    """A whole sequence."""
    return _sequence(problem, 1)


def trace(problem: Problem) -> Run:
    """A whole sequence, whose gates and cell states are kept."""
    return _sequence(problem, problem.case.time)


WAYS = (
    Way("Numba", "stream", stream),
    Way("Numba", "infer", infer),
    Way("Numba", "trace", trace),
    Way("Numba", "start", starting(START, "numba")),
)
