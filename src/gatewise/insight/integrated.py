"""Integrated gradients along a straight line from a baseline to the run; see `attribution`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, chunks, index, numbers, require_memory, size
from gatewise.equations import DropoutMasks
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.insight.backward_pass import NUMBERS, back_through
from gatewise.insight.target import Target
from gatewise.layers import LSTM
from gatewise.layers.backward import gradients_of
from gatewise.layers.merging import direction_output, merge
from gatewise.layers.stack import States
from gatewise.progress import working
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import Trace

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


class IntegratedRun:
    """Runs of one cell over several inputs, as a batch; gates are computed again when gradients pass back."""

    def __init__(self, cell: Trace, x: Array, along: Array) -> None:
        p, batch = cell.parameters, len(along)
        self.lstm, self.x, self.cell = LSTM.from_cells(p, direction=cell.direction), x, cell
        self.forward = cell.direction == "forward"
        self.valid = None if cell.valid is None else np.broadcast_to(cell.valid, (len(x), batch))
        self.hidden: Array = np.empty((len(x), batch, p.recurrent_size), p.dtype)
        scale = along[:, None].astype(p.dtype)
        state = State(*(scale * part for part in cell.initial))
        self.parts = list(chunks(len(x), 6 * batch * p.hidden_size, NUMBERS, reverse=not self.forward))
        self.states = [state]  # before each part
        for part in self.parts:
            trace = self._trace_of_chunk(part, self.states[-1], "hidden_state")
            self.hidden[part] = trace.hidden_state
            self.states.append(trace.final)

    def _trace_of_chunk(self, part: slice, state: State, keep: str | None = None) -> Trace:
        """Run a chunk of the cell's steps again from a stored state, for integrated gradients."""
        masks = {name: a if name == "weight" else a[part] for name, a in self.cell.dropout.arrays().items()}
        return self.lstm.trace(
            self.x[part],
            ((state,),),
            mask=None if self.valid is None else self.valid[part],
            dropout=[[DropoutMasks(**masks)]] if masks else None,
            keep=keep,
        )[0]

    def back(self, dhidden: Array) -> tuple[Array, State]:
        """Return the gradients of a cell's batch of scaled runs with respect to input and initial state."""
        dx = np.empty(self.x.shape)
        end = State(*map(np.zeros_like, self.states[-1]))
        for part, start in reversed(list(zip(self.parts, self.states, strict=False))):
            gradients = gradients_of(self._trace_of_chunk(part, start), dhidden[part], end, None)
            dx[part], end = gradients.x, gradients.state
        return dx, end


def runs_of(target: Target, x: Array, along: Array) -> dict[Cell, IntegratedRun]:
    """Return runs of all LSTM cells over inputs (time, batch, features), from the initial states scaled by `along`."""
    runs: dict[Cell, IntegratedRun] = {}
    how = target.lstm.masked_output
    for number, (layer, way) in enumerate(zip(target.lstm.layers, target.lstm.merge, strict=True)):
        runs |= {(number, d): IntegratedRun(cell, x, along) for d, cell in layer.items()}
        if number + 1 < target.lstm.num_layers:
            hidden = ((d, runs[number, d].hidden, cell.valid) for d, cell in layer.items())
            x = merge([direction_output(h, valid, how, reverse=d == "backward") for d, h, valid in hidden], way)
    return runs


def value_of(target: Target, runs: Mapping[Cell, IntegratedRun]) -> Array:
    """Return the value of the target in each run (batch,)."""
    top = target.lstm.num_layers - 1
    return target.of([runs[top, way].hidden[place] for way, place in target.places.items()])


def _gradients(target: Target, runs: Mapping[Cell, IntegratedRun]) -> tuple[Array, States]:
    """Return the gradients of the target in each run, with respect to the input and the initial states."""

    def back(cell: Cell, dhidden: Array) -> tuple[Array, State]:
        return runs[cell].back(dhidden)

    def hidden(cell: Cell) -> Array:
        return runs[cell].hidden

    return back_through(target.lstm, target.places, target.weight[None], back, hidden=hidden)


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

    with working("integrating gradients", points + 1) as done:
        at_baseline = float(value_of(target, runs_of(target, inputs(np.zeros(1)), np.zeros(1)))[0])
        done(1)
        for part in chunks(points, len(x) * widest, NUMBERS):
            along, counts = nodes[part], weights[part]
            dx, dstates = _gradients(target, runs_of(target, inputs(along), along))
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
