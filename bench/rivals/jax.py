"""JAX: `lax.scan` over a cell with or without its gates, compiled; the input's part is one product in advance."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bench.cases import SCAN
from bench.problems import Answer, Problem, Run, Way, unstacked
from bench.start import starting

jax.config.update("jax_cpu_enable_async_dispatch", False)

START = """
import jax, jax.numpy as jnp

@jax.jit
def step(x, h, c, inputs, recurrent, bias):
    i, f, g, o = jnp.split(x @ inputs + h @ recurrent + bias, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c

shapes = (1, 8), (1, 32), (1, 32), (8, 128), (32, 128), (128,)
step(*map(jnp.zeros, shapes))[0].block_until_ready()
"""

Weights = tuple[jax.Array, jax.Array, jax.Array]  # (input, 4 hidden), (hidden, 4 hidden), (4 hidden,)


def version() -> str:
    """Return the version."""
    return jax.__version__


def _cell(recurrent: jax.Array, h: jax.Array, c: jax.Array, a_x: jax.Array) -> tuple[jax.Array, ...]:
    a_i, a_f, a_g, a_o = jnp.split(a_x + h @ recurrent, 4, -1)
    i, f, g, o = jax.nn.sigmoid(a_i), jax.nn.sigmoid(a_f), jnp.tanh(a_g), jax.nn.sigmoid(a_o)
    c = f * c + i * g
    return o * jnp.tanh(c), c, i, f, g, o


def _step(weights: Weights, x: jax.Array, h: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    inputs, recurrent, bias = weights
    return _cell(recurrent, h, c, x @ inputs + bias)[:2]


def _outputs(weights: Weights, x: jax.Array, h: jax.Array, c: jax.Array) -> jax.Array:
    inputs, recurrent, bias = weights

    def body(state: tuple[jax.Array, jax.Array], a_x: jax.Array) -> tuple:
        h, c, *_ = _cell(recurrent, *state, a_x)
        return (h, c), h

    return jax.lax.scan(body, (h, c), x @ inputs + bias)[1]


def _traced(weights: Weights, x: jax.Array, h: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    inputs, recurrent, bias = weights

    def body(state: tuple[jax.Array, jax.Array], a_x: jax.Array) -> tuple:
        h, c, *gates = _cell(recurrent, *state, a_x)
        return (h, c), (h, jnp.stack(gates, 1), c)

    return jax.lax.scan(body, (h, c), x @ inputs + bias)[1]


def _gradients(weights: Weights, x: jax.Array, h: jax.Array, c: jax.Array, dy: jax.Array) -> tuple:
    y, back = jax.vjp(lambda weights, x: _outputs(weights, x, h, c), weights, x)
    return y, *back(dy)


def _given(problem: Problem) -> tuple[Weights, jax.Array, jax.Array, jax.Array]:
    inputs, recurrent, bias = problem.stacked()
    return tuple(map(jnp.asarray, (inputs.T, recurrent.T, bias))), *map(jnp.asarray, (problem.x, problem.h, problem.c))


def stream(problem: Problem) -> Run:
    """One compiled step, whose state is donated to the next."""
    weights, x, *state = _given(problem)
    x, step = x[0], jax.jit(_step, donate_argnums=(2, 3))

    def call() -> None:
        nonlocal state
        state = step(weights, x, *state)
        state[0].block_until_ready()

    return Run(call, lambda: {"y": np.asarray(state[0])[None]})


def infer(problem: Problem) -> Run:
    """A whole sequence."""
    given, run = _given(problem), jax.jit(_outputs)
    y = given[1]

    def call() -> None:
        nonlocal y
        y = run(*given).block_until_ready()

    return Run(call, lambda: {"y": np.asarray(y)})


def trace(problem: Problem) -> Run:
    """A whole sequence, with all gates and the cell state stacked by the scan."""
    given, run = _given(problem), jax.jit(_traced)
    found: tuple = ()

    def call() -> None:
        nonlocal found
        found = jax.block_until_ready(run(*given))

    return Run(call, lambda: dict(zip(("y", "gates", "cell_state"), map(np.asarray, found), strict=True)))


def train(problem: Problem) -> Run:
    """A training step by reverse-mode differentiation of the scan."""
    given, run = (*_given(problem), jnp.asarray(problem.dy)), jax.jit(_gradients)
    found: tuple = ()

    def call() -> None:
        nonlocal found
        found = jax.block_until_ready(run(*given))

    def answer() -> Answer:
        y, (inputs, recurrent, bias), dx = jax.tree.map(np.asarray, found)
        return {"y": y, "d_weight": unstacked(inputs.T, recurrent.T), "d_bias": bias.reshape(4, -1), "d_x": dx}

    return Run(call, answer)


WAYS = (
    Way(SCAN, "stream", stream),
    Way(SCAN, "infer", infer),
    Way(SCAN, "train", train),
    Way(SCAN, "trace", trace),
    Way(SCAN, "start", starting(START, "jax")),
)
