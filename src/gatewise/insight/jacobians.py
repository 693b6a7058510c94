"""Exact Jacobians of runs: the backward pass of an engine, with each row of the Jacobian as a sequence.

All computations are in float64: derivatives over many steps soon leave the range of float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from gatewise import adjoints
from gatewise.arrays import Array, chunks, quiet
from gatewise.engine import choose
from gatewise.equations import NO_DROPOUT, DropoutMasks
from gatewise.insight.backward_pass import back_through, through_cell
from gatewise.network import NetworkTrace
from gatewise.network.backward import gradients_before_lstm
from gatewise.parameters import Parameters
from gatewise.progress import working
from gatewise.records.nesting import Cell
from gatewise.records.step import State
from gatewise.records.trace import Trace

NUMBERS = 2**21  # in one array of a chunk
BETWEEN = 2**25  # in one array of gradients between two layers
TINY = float(np.finfo(np.float64).tiny)  # smaller numbers make arithmetic slow, and count as zero


class Norms(NamedTuple):
    """Frobenius norms of Jacobians at each step s (time,), zero at steps without an effect; of a model the first three.

    The norms are those of an output, which in a cell is h_T.
    """

    inputs: Array  # with respect to each feature of x_s (time, feature)
    combined: Array  # a combination of the rows with respect to x_s (time, input)
    terms: Array  # the same of their absolute values
    hidden_state: Array | None = None  # of ∂h_T/∂h_s
    cell_state: Array | None = None  # of ∂c_T/∂c_s
    along: Array | None = None  # ∂c_T/∂c_s along the cell, with all gates held (time, hidden)


def parameters_in_float64(trace: Trace) -> Parameters:
    """Return the parameters of a cell's run in float64, with its DropConnect mask applied."""
    p, mask = trace.parameters.astype(np.float64), trace.dropout.weight
    if mask is None:
        return p
    weight = p.weight.copy()
    weight[..., : p.recurrent_size] *= mask
    return p.replace(weight=weight)


def repeat_sequences(piece: Trace, count: int, parameters: Parameters) -> Trace:
    """Return a cell's trace with each sequence repeated `count` times, in float64, as are the `parameters`."""

    def repeat(array: Array, axis: int) -> Array:
        return np.repeat(np.asarray(array, np.float64), count, axis)

    masks = {n: repeat(a, 1) for n, a in piece.dropout.arrays().items() if n != "weight"}
    return replace(
        piece,
        parameters=parameters,
        initial=State(*(repeat(array, 0) for array in piece.initial)),
        final=State(*(repeat(array, 0) for array in piece.final)),
        arrays={name: repeat(array, 1) for name, array in piece.arrays.items()},
        input=repeat(piece.require("a Jacobian"), 1),
        valid=None if piece.valid is None else np.repeat(piece.valid, count, 1),
        dropout=DropoutMasks(**masks) if masks else NO_DROPOUT,
    )


def rows_back(piece: Trace, dhidden: Array | None, rows: State, parameters: Parameters) -> tuple[Array, State]:
    """Return the rows of a Jacobian with respect to the input and the first state of some steps of a cell's run.

    `rows` are those with respect to the state at the end, for each sequence: arrays (sequences · rows, ·). `dhidden`
    are rows with respect to the hidden states of the steps (time, sequences · rows, recurrent); None for zeros.
    """
    count = len(rows.h) // piece.batch_size
    if dhidden is None:
        dhidden = np.zeros((len(piece), *rows.h.shape))
    if not (dhidden.any() or rows.h.any() or rows.c.any()):  # all derivatives have vanished
        return np.zeros((len(piece), len(rows.h), parameters.input_size)), rows
    gradients = choose("auto", parameters).backward(repeat_sequences(piece, count, parameters), dhidden, rows)
    return gradients.x, gradients.state


def identity(parameters: Parameters, sequences: int = 1) -> State:
    """Return the rows ∂(h, c)/∂(h, c) of each sequence: arrays (sequences · (recurrent + hidden), ·)."""
    rows = np.tile(np.eye(parameters.recurrent_size + parameters.hidden_size), (sequences, 1))
    return State(rows[:, : parameters.recurrent_size], rows[:, parameters.recurrent_size :])


def frobenius_norms(rows: Array, axis: int | tuple[int, ...]) -> Array:
    """Return the Frobenius norms of Jacobians over some axes, without overflow or underflow of squares."""
    largest = np.abs(rows).max(axis, keepdims=True, initial=0)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    norms: Array = largest.squeeze(axis) * np.sqrt((scaled**2).sum(axis))
    return norms


# One cell.


@quiet
def norms_of_cell(trace: Trace, t: int, weights: Array) -> Norms:
    """Return the influence of each step on step `t` of a cell's run, with rows combined by `weights` (recurrent,)."""
    p = parameters_in_float64(trace)
    steps, recurrent = len(trace), p.recurrent_size
    hidden, cell = np.zeros((2, steps))
    inputs, combined, terms = np.zeros((3, steps, p.input_size))
    rows = identity(p)
    with working("finding the influence of each step", t + 1 if trace.direction == "forward" else steps - t) as done:
        for first, stop in _chunks_backward(trace, t, NUMBERS // (8 * p.hidden_size * _width(p))):
            block, s_of = trace[first:stop], range(first, stop)
            hidden_jacobian = _hidden_jacobian(block, p)
            for s in s_of if trace.direction == "backward" else reversed(s_of):
                if trace.valid is not None and not trace.valid[s, 0]:
                    continue
                hidden[s] = frobenius_norms(rows.h[:recurrent], (0, 1))
                cell[s] = frobenius_norms(
                    (rows.c + _hidden_to_cell_rows(rows.h, hidden_jacobian, s - first))[recurrent:], (0, 1)
                )
                dx, rows = rows_back(block[s - first : s - first + 1], None, rows, p)
                for part in rows:
                    part[np.abs(part) < TINY] = 0
                dx = dx[0, :recurrent]
                inputs[s], combined[s], terms[s] = (
                    frobenius_norms(dx, 0),
                    weights @ dx,
                    np.abs(weights) @ np.abs(dx),
                )
            done(stop - first)
            if not (rows.h.any() or rows.c.any()):  # earlier steps have no influence
                break
    return Norms(inputs, combined, terms, hidden, cell, _retained_until(trace, t, p))


def _chunks_backward(trace: Trace, t: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield chunks of a run's steps backward from step `t`: the first step, and the step after the last."""
    length = max(1, length)
    if trace.direction == "forward":
        return ((max(0, stop - length), stop) for stop in range(t + 1, 0, -length))
    return ((first, min(len(trace), first + length)) for first in range(t, len(trace), length))


def _width(p: Parameters) -> int:
    """Return the number of entries of h that depend on one entry of c within a step: one, or all."""
    return 1 if p.projection is None and p.variant.layer_norm == "none" else p.recurrent_size


def _hidden_jacobian(block: Trace, p: Parameters) -> Array | None:
    """Return ∂h_s/∂c_s of a cell within each step (time, recurrent, hidden), or its diagonal (time, 1, hidden).

    None under zoneout: then h does not depend on the cell state after it.
    """
    if block.dropout.zoneout_cell is not None:
        return None
    seeds = np.ones((1, p.recurrent_size)) if _width(p) == 1 else np.eye(p.recurrent_size)
    moment = repeat_sequences(block, 1, p).moment((np.repeat(np.arange(len(block)), len(seeds)), 0))
    dh = np.tile(seeds, (len(block), 1))
    jacobian = adjoints.step(moment, dh, np.zeros((len(dh), p.hidden_size))).c_new
    return jacobian.reshape(len(block), len(seeds), p.hidden_size)


def _hidden_to_cell_rows(rows: Array, hidden_jacobian: Array | None, place: int) -> Array | float:
    """Return the rows of a Jacobian with respect to h of a step as rows with respect to its cell state c."""
    if hidden_jacobian is None:
        return 0.0
    jacobian = hidden_jacobian[place]
    product: Array = rows * jacobian if len(jacobian) == 1 else rows @ jacobian
    return product


def _retained_until(trace: Trace, t: int, p: Parameters) -> Array:
    """Return ∂c_t/∂c_s of a cell's run for each step s, with all gates held (time, hidden)."""
    along = np.zeros((len(trace), p.hidden_size))
    product = np.ones(p.hidden_size)
    for first, stop in _chunks_backward(trace, t, NUMBERS // p.hidden_size):
        block, order = trace[first:stop], np.arange(first, stop)
        order = order if trace.direction == "backward" else order[::-1]
        factors = _retention_with_held_gates(block, p)[order - first]
        since = np.cumprod(np.concatenate([product[None], factors]), axis=0)
        since[since < TINY] = 0
        along[order], product = since[:-1], since[-1]
    return along


def _retention_with_held_gates(block: Trace, p: Parameters) -> Array:
    """Return ∂c/∂c_prev of each step of a cell's run with all gates held (time, hidden): 1 at invalid steps."""
    moment = repeat_sequences(block, 1, p).moment((slice(None), 0))
    derivative, clip = moment.f, p.variant.cell_clip
    if clip is not None:
        derivative = np.where(np.abs(moment.c_raw) <= clip, derivative, 0.0)
    if (zoneout := moment.dropout.zoneout_cell) is not None:
        derivative = zoneout + (1 - zoneout) * derivative
    return derivative if block.valid is None else np.where(block.valid[:, :1], derivative, 1.0)


# A whole model.


@quiet
def norms_of_model(run: NetworkTrace, places: Mapping[str, int], seeds: Array, rows: Array, weights: Array) -> Norms:
    """Return the influence of each step on an output of one sequence: norms of Jacobians by the step's features.

    The output is at the steps `places`, one of each direction. `seeds` and `rows` (row, ·) are the Jacobians of the
    model's output with respect to that before its scaling, and to that of the LSTM; `weights` combine them.
    """
    trace = run.lstm
    parameters = {key: parameters_in_float64(cell) for key, cell in trace.cells().items()}
    widest = 2 * max(max(p.recurrent_size, p.input_size) for p in parameters.values())
    parts = list(chunks(len(rows), trace.num_steps * widest, BETWEEN))
    inputs, combined, terms = np.zeros((3, trace.num_steps, run.network.num_features))
    with working("finding the influence of each step", len(parts) * len(parameters) * trace.num_steps) as done:

        def back(key: Cell, dhidden: Array) -> tuple[Array, State]:
            return through_cell(trace[key], dhidden, done, partial(rows_back, parameters=parameters[key]))

        for part in parts:
            dx, _ = back_through(trace, places, rows[part], back)
            dx = _before_lstm(run, max(places.values()), dx, seeds[part])
            inputs = np.hypot(inputs, frobenius_norms(dx, 1))
            combined += np.einsum("k,tki->ti", weights[part], dx)
            terms += np.einsum("k,tki->ti", np.abs(weights[part]), np.abs(dx))
    return Norms(inputs, combined, terms)


def _before_lstm(run: NetworkTrace, t: int, dx: Array, seeds: Array) -> Array:
    """Return rows of a Jacobian (time, row, ·) with respect to a run's features, from those to its LSTM's input.

    `seeds` (row, output) are those with respect to the output of step `t` before its scaling.
    """
    if run.input is None:  # nothing is before the LSTM, or an embedding
        return dx
    added, skip = None, run.network.skip
    if skip:
        added = np.zeros((*dx.shape[:2], run.network.num_features))
        added[t, :, :skip] = seeds.sum(1, keepdims=True) if skip == 1 else seeds
    return gradients_before_lstm(replace(run, input=np.repeat(run.input, dx.shape[1], 1)), dx, added)[1]
