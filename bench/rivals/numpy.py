"""Plain NumPy: the equations as written, the input's part as one product in advance."""

from __future__ import annotations

import numpy as np

from bench.problems import Answer, Array, Problem, Run, Way, unstacked
from bench.start import starting

START = """
import numpy as np

def sigmoid(a):
    return 1 / (1 + np.exp(-a))

x, h, c, inputs, recurrent, bias = (
    np.zeros(shape, np.float32) for shape in ((8,), (32,), (32,), (8, 128), (32, 128), (128,))
)
i, f, g, o = np.split(x @ inputs + h @ recurrent + bias, 4)
c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
h = sigmoid(o) * np.tanh(c)
"""


def version() -> str:
    """Return the version, and the BLAS below it."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{np.__version__} ({blas['name']} {blas['version']})"


def _sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def _cell(a: Array, c: Array) -> tuple[Array, Array, Array]:
    """Return gates (batch, 4, hidden), new cell state and new hidden state from pre-activations (batch, 4 hidden)."""
    a = a.reshape(len(c), 4, -1)
    gates = _sigmoid(a)
    gates[:, 2] = np.tanh(a[:, 2])
    i, f, g, o = gates.swapaxes(0, 1)
    c = f * c + i * g
    return gates, c, o * np.tanh(c)


def _run(problem: Problem, weights: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return gates, cell states and outputs of all steps."""
    inputs, recurrent, bias = weights
    h, c = problem.h, problem.c
    gates = np.empty((*problem.dy.shape[:2], 4, len(recurrent.T)), np.float32)
    cells, y = np.empty_like(problem.dy), np.empty_like(problem.dy)
    for t, a in enumerate(problem.x @ inputs.T + bias):
        gates[t], c, h = _cell(a + h @ recurrent.T, c)
        cells[t], y[t] = c, h
    return gates, cells, y


def _back(problem: Problem, weights: tuple[Array, Array, Array], run: tuple[Array, Array, Array]) -> Answer:
    """Return the gradients: those of the pre-activations step by step, the others as large products at the end."""
    inputs, recurrent, _ = weights
    gates, cells, y = run
    da = np.empty((*problem.dy.shape[:2], len(recurrent)), np.float32)
    dh, dc = np.zeros_like(problem.h), np.zeros_like(problem.c)
    before = np.concatenate([problem.c[None], cells[:-1]])
    for t in reversed(range(len(y))):
        i, f, g, o = gates[t].swapaxes(0, 1)
        tanh_c = np.tanh(cells[t])
        dh = dh + problem.dy[t]
        dc = dc + dh * o * (1 - tanh_c**2)
        parts = dc * g * i * (1 - i), dc * before[t] * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)
        da[t] = np.concatenate(parts, axis=1)
        dh, dc = da[t] @ recurrent, dc * f
    flat = da.reshape(-1, len(recurrent))
    h = np.concatenate([problem.h[None], y[:-1]]).reshape(len(flat), -1)
    weight = unstacked(flat.T @ problem.x.reshape(len(flat), -1), flat.T @ h)
    return {"d_weight": weight, "d_bias": flat.sum(0).reshape(4, -1), "d_x": da @ inputs}


def stream(problem: Problem) -> Run:
    """One step of one sequence."""
    inputs, recurrent, bias = problem.stacked()
    weight = np.concatenate([inputs, recurrent], axis=1).T.copy()
    x, h, c = problem.x[0], problem.h, problem.c

    def call() -> None:
        nonlocal h, c
        _, c, h = _cell(np.concatenate([x, h], axis=1) @ weight + bias, c)

    return Run(call, lambda: {"y": h[None]})


def infer(problem: Problem) -> Run:
    """A whole sequence; keeping the gates costs next to nothing here."""
    weights = problem.stacked()
    run: tuple = ()

    def call() -> None:
        nonlocal run
        run = _run(problem, weights)

    return Run(call, lambda: dict(zip(("gates", "cell_state", "y"), run, strict=True)))


def train(problem: Problem) -> Run:
    """A whole sequence, and its backward pass."""
    weights = problem.stacked()
    found: Answer = {}

    def call() -> None:
        nonlocal found
        run = _run(problem, weights)
        found = {"y": run[2]} | _back(problem, weights, run)

    return Run(call, lambda: found)


WAYS = (
    Way("NumPy", "stream", stream),
    Way("NumPy", "infer", infer),
    Way("NumPy", "train", train),
    Way("NumPy", "trace", infer),
    Way("NumPy", "start", starting(START, "numpy")),
)
