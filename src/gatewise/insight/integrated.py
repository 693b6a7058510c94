"""Integrated gradients along a straight line from a baseline to the run; see `attribution`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, chunks, index, numbers, require_memory, size
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.insight.backward_pass import NUMBERS, back_through, through_cell
from gatewise.insight.target import Target
from gatewise.layers.lstm import lstm_of, of_cells
from gatewise.layers.stack import States, map_states
from gatewise.progress import working
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")


def quadrature(rule: str, points: int) -> tuple[Array, Array]:
    """Return an integration rule's nodes on [0, 1], and their weights; raise OptionError if it needs more nodes."""
    one_of("rule", rule, RULES)
    count = size("points", points, least=1 if rule == "gausslegendre" else 2)
    if rule == "gausslegendre":
        require_memory(2 * count * count, 8, f"the rule of Gauss and Legendre with {count:,} points")
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return (nodes + 1) / 2, weights / 2
    weights = np.full(count, 1 / count)
    if rule == "riemann_trapezoid":  # as Captum has it: the whole weight is 1 - 1 / points
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, count), weights
    return (np.arange(count) + {"riemann_left": 0, "riemann_right": 1, "riemann_middle": 0.5}[rule]) / count, weights


def run_of(target: Target, x: Array, along: Array, keep: str | None = None) -> LSTMTrace:
    """Return a run over inputs (time, batch, features), from the initial states scaled by `along`."""
    lstm, valid = target.lstm, target.first.valid
    return lstm_of(lstm).trace(
        x,
        map_states(lambda part: along[:, None].astype(part.dtype) * part, of_cells(lstm, "initial")),
        mask=None if valid is None else np.broadcast_to(valid, x.shape[:2]),
        dropout=of_cells(lstm, "dropout"),
        masked_output=lstm.masked_output,
        keep=keep,
    )


def value_of(target: Target, run: LSTMTrace) -> Array:
    """Return the value of the target in each sequence of a run (batch,)."""
    if target.in_graph is not None:
        return target.in_graph.value_of(run)
    return target.of([run.layers[-1][way].hidden_state[place] for way, place in target.places.items()])


def gradients_in(
    run: LSTMTrace, target: Target, done: Callable[[int], None] = lambda count: None
) -> tuple[Array, States]:
    """Return the gradients of the target in each sequence of a run, for the input and the initial states."""
    if target.in_graph is not None:
        return target.in_graph.gradients_in(run, done)
    return back_through(run, target.places, target.weight[None], lambda cell, d: through_cell(run[cell], d, done))


def baseline_of(target: Target, baseline: npt.ArrayLike | None, x: Array | None = None) -> Array:
    """Return a baseline as an input (time, features), by default of the LSTM, in float64."""
    x = target.x if x is None else x
    if baseline is None:
        return np.zeros_like(x)
    network = target.network
    if network is not None and network.embedding is not None and isinstance(baseline, (int, np.integer)):
        table = network.embedding
        return np.broadcast_to(table[index("token", baseline, len(table), "the embedding")].astype(np.float64), x.shape)
    array = numbers("the baseline", baseline, np.float64)
    if array.shape not in ((), x.shape[1:], x.shape):
        raise ShapeError(f"the baseline has shape {array.shape}; it must be {x.shape} or {x.shape[1:]}")
    if not np.isfinite(array).all():
        raise OptionError("the baseline must hold finite numbers")
    return np.broadcast_to(array, x.shape)


def integrated_gradients(
    target: Target, points: int, rule: str = "gausslegendre", baseline: npt.ArrayLike | None = None
) -> tuple[Array, States, float, float]:
    """Return the integrated gradients of the input (time, features) and initial states, and the baseline's output.

    The last is how far a step's share by every other point is at most from that by the points between them.
    """
    nodes, weights = quadrature(rule, points)
    x, start = target.x, baseline_of(target, baseline)
    dtype = target.first.parameters.dtype
    widest = max(6 * cell.parameters.hidden_size for cell in target.lstm.cells().values())
    total, unlike = np.zeros_like(x), np.zeros_like(x)
    signs = np.where(np.arange(points) % 2, -2.0, 2.0)
    states = tuple(
        tuple(State(*(np.zeros(part.shape[1]) for part in cell.initial)) for cell in layer.values())
        for layer in target.lstm.layers
    )

    def inputs(along: Array) -> Array:
        batch: Array = (start[:, None] + along[:, None] * (x - start)[:, None]).astype(dtype)
        return batch

    keep = None if target.in_graph is not None else "hidden_state"
    with working("integrating gradients", points + 1) as done:
        at_baseline = float(value_of(target, run_of(target, inputs(np.zeros(1)), np.zeros(1), keep))[0])
        done(1)
        for part in chunks(points, len(x) * widest, NUMBERS):
            along, counts = nodes[part], weights[part]
            dx, dstates = gradients_in(run_of(target, inputs(along), along), target)
            total += np.einsum("tbf,b->tf", dx, counts)
            unlike += np.einsum("tbf,b->tf", dx, counts * signs[part])
            for state, gradient in zip(chain(*states), chain(*dstates), strict=True):
                state.h[...] += counts @ gradient.h
                state.c[...] += counts @ gradient.c
            done(part.stop - part.start)
    halves = float(np.abs(((x - start) * unlike).sum(1)).max(initial=0.0))
    return (x - start) * total, times_initial(target, states), at_baseline, halves


def times_initial(target: Target, gradients: States) -> States:
    """Return gradient times value of a run's initial states, the batch axis removed."""
    return tuple(
        tuple(
            State(*(part[0] * np.reshape(d, part[0].shape) for part, d in zip(cell.initial, state, strict=True)))
            for cell, state in zip(layer.values(), row, strict=True)
        )
        for layer, row in zip(target.lstm.layers, gradients, strict=True)
    )
