"""gatewise itself, with reused arrays."""

from __future__ import annotations

from functools import partial

import numpy as np

import gatewise as gw
from bench.cases import UNTRACED
from bench.problems import Answer, Problem, Run, Way
from bench.start import starting

START = """
import numpy as np, gatewise as gw
gw.LSTM(8, 32, rng=0).stream().push(np.zeros(8, np.float32))
"""


def version() -> str:
    """Return the version, and the engine that runs with its kernel."""
    engine = next(engine for engine in gw.engines() if engine.available)
    return f"{gw.__version__} ({engine.name}{f' {engine.kernel}' if engine.kernel else ''})"


def _lstm(problem: Problem) -> gw.LSTM:
    gw.set_num_threads(problem.threads)
    return gw.LSTM.from_cells(gw.Parameters(problem.weight, problem.bias))


def stream(problem: Problem) -> Run:
    """`Stream.push`, which keeps the state."""
    stream = _lstm(problem).stream()
    stream.state = ((gw.State(problem.h[0], problem.c[0]),),)
    h = np.empty(problem.case.hidden_size, np.float32)
    return Run(partial(stream.push, problem.x[0, 0], out=h), lambda: {"y": h[None, None]})


def infer(problem: Problem) -> Run:
    """A call; no gate is kept."""
    y = np.empty_like(problem.dy)
    return Run(partial(_lstm(problem), problem.x, out=y), lambda: {"y": y})


def trace(problem: Problem) -> Run:
    """A trace of everything."""
    lstm = _lstm(problem)
    trace = lstm.trace(problem.x)

    def call() -> None:
        nonlocal trace
        trace = lstm.trace(problem.x, out=trace)

    def answer() -> Answer:
        return {"y": trace.output, "gates": trace[0].gates, "cell_state": trace[0].cell_state}

    return Run(call, answer)


def train(problem: Problem) -> Run:
    """A trace, and its backward pass."""
    lstm = _lstm(problem)
    trace = lstm.trace(problem.x)
    gradients = gw.backward(trace, problem.dy)

    def call() -> None:
        nonlocal trace, gradients
        trace = lstm.trace(problem.x, out=trace)
        gradients = gw.backward(trace, problem.dy, out=gradients)

    def answer() -> Answer:
        found = {"d_weight": gradients[0].weight, "d_bias": gradients[0].bias, "d_x": gradients.x}
        return {"y": trace.output} | found

    return Run(call, answer)


WAYS = (
    Way("gatewise", "stream", stream),
    Way("gatewise", "infer", infer),
    Way("gatewise", "train", train),
    Way("gatewise", "trace", trace),
    Way(UNTRACED, "trace", infer, "untraced"),
    Way("gatewise", "start", starting(START, "gatewise")),
)
