"""Conversion of every framework's weights, states and gradients to gatewise's and back: gate order, axes, biases.

Every reader brings its arrays into one form, *stacked*: the gates' matrices one below another in the framework's own
order, (4 · hidden, input) and (4 · hidden, recurrent), as PyTorch and ONNX have them. The rest happens here, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from gatewise import gates
from gatewise.arrays import Array, Unshared
from gatewise.errors import OptionError, ShapeError
from gatewise.layers import LSTM
from gatewise.layers.arguments import nesting, settled_state
from gatewise.layers.stack import States
from gatewise.parameters import Parameters, Variant
from gatewise.records.gradients import LSTMGradients
from gatewise.records.step import State
from gatewise.showing import counted


class Stacked(NamedTuple):
    """The arrays of one cell in a framework's order of the gates."""

    input_weight: Array  # (4 · hidden, input)
    recurrent_weight: Array  # (4 · hidden, recurrent)
    bias: Array  # (4 · hidden,)
    peephole: Array | None = None  # (3 · hidden,), without the candidate
    projection: Array | None = None  # (recurrent, hidden)


def parameters(
    framework: str,
    input_weight: Array,
    recurrent_weight: Array,
    biases: Sequence[Array],
    *,
    peephole: Array | None = None,
    projection: Array | None = None,
    variant: Variant | None = None,
) -> Parameters:
    """Return the parameters of a cell from weights in a framework's gate order: a key of `gatewise.gates.ORDERS`.

    The arrays are those of `Stacked`; the biases (4 · hidden,) are summed, and zero if there are none.
    """
    if input_weight.ndim != 2 or recurrent_weight.ndim != 2:
        raise ShapeError(f"weights must have two axes, not shapes {input_weight.shape} and {recurrent_weight.shape}")
    rows, inputs = input_weight.shape
    recurrent = recurrent_weight.shape[1]
    hidden = recurrent if projection is None else projection.shape[-1]
    if projection is not None and projection.shape != (recurrent, hidden):
        raise ShapeError(f"the projection has shape {projection.shape}; it must be ({recurrent}, hidden)")
    if 0 in (rows, inputs, recurrent) or rows != 4 * hidden or len(recurrent_weight) != rows:
        raise ShapeError(
            f"the weights have shapes {input_weight.shape} and {recurrent_weight.shape}; for {hidden} units they must"
            f" be ({4 * hidden}, input) and ({4 * hidden}, {recurrent})"
        )
    for bias_part in biases:
        if bias_part.shape != (rows,):
            raise ShapeError(f"a bias has shape {bias_part.shape}; it must be ({rows},)")
    with np.errstate(all="ignore"):
        bias = np.asarray(reduce(np.add, biases)) if biases else np.zeros(rows, input_weight.dtype)
    if peephole is not None:
        if peephole.shape != (3 * hidden,):
            raise ShapeError(f"the peepholes have shape {peephole.shape}; it must be ({3 * hidden},)")
        order = gates.ORDERS[framework].replace("g", "")
        peephole = peephole.reshape(3, hidden)[[order.index(letter) for letter in gates.PEEPHOLES]]
    # Filled gate by gate without another copy: weights may be large.
    weight = Unshared((4, hidden, recurrent + inputs), np.result_type(recurrent_weight, input_weight))
    for place, row in enumerate(gates.ORDERS[framework].index(letter) for letter in gates.ORDERS["gatewise"]):
        weight[place, :, :recurrent] = recurrent_weight[row * hidden : (row + 1) * hidden]
        weight[place, :, recurrent:] = input_weight[row * hidden : (row + 1) * hidden]
    bias = gates.reorder(bias.reshape(4, hidden), framework)
    return Parameters(weight.settled(), bias, variant or Variant(), peephole, projection)


def stacked(framework: str, p: Parameters) -> Stacked:
    """Return the weights of a cell in a framework's gate order: the inverse of `parameters`."""

    def in_order(array: Array) -> Array:
        reordered = gates.reorder(array, "gatewise", framework)
        return np.ascontiguousarray(reordered.reshape(4 * p.hidden_size, *array.shape[2:]))

    peephole = None
    if p.peephole is not None:
        order = gates.ORDERS[framework].replace("g", "")
        peephole = p.peephole[[gates.PEEPHOLES.index(letter) for letter in order]].reshape(-1)
    return Stacked(in_order(p.input_weight), in_order(p.recurrent_weight), in_order(p.bias), peephole, p.projection)


# States.


def iterate_arrays(nested: Any) -> Iterator[Any]:
    """Yield the arrays or tensors in a framework's nested lists and tuples; None is skipped."""
    if isinstance(nested, (list, tuple)):
        for item in nested:
            yield from iterate_arrays(item)
    elif nested is not None:
        yield nested


def nested_state(lstm: LSTM, flat: Sequence[Array]) -> States:
    """Return a state ``[layer][direction]`` from a framework's flat list h, c, h, c, …, (batch, size) each.

    The first layer's forward direction comes first, then its backward direction, then the next layer. The batch axis is
    missing from all or from none.
    """
    needed = 2 * len(lstm.cells())
    if len(flat) != needed:
        raise ShapeError(
            f"the state has {counted(len(flat), 'array')}; it must have {needed}, h and c for {nesting(lstm)}"
        )
    pairs = [State(h, c) for h, c in zip(flat[::2], flat[1::2], strict=True)]
    directions = len(lstm.directions)
    rows = [pairs[start : start + directions] for start in range(0, len(pairs), directions)]
    return settled_state(lstm, rows, len(pairs[0].h) if pairs[0].h.ndim == 2 else None)


def first_sequence(states: States) -> States:
    """Return the states of the first sequence of a batch, without a batch axis."""
    return tuple(tuple(State(state.h[0], state.c[0]) for state in row) for row in states)


def has_one_state(states: States) -> bool:
    """Say whether all sequences of a batch have the same states."""
    return all((part == part[:1]).all() for row in states for state in row for part in (state.h, state.c))


def state_lists(state: States, *, batched: bool = False) -> list[list[State]]:
    """Return a state ``[layer][direction]`` as lists of `State`, for a framework; `batched` requires a batch axis."""
    try:
        lists = not any(isinstance(part, (State, np.ndarray)) for part in (state, *state))
        rows = [[State(*map(np.asarray, pair)) for pair in row] for row in state] if lists else []
    except (TypeError, ValueError):
        rows = []
    if not rows or not all(rows):
        raise OptionError("a state must be nested [layer][direction], with a State(h, c) for each")
    axes = {part.ndim for row in rows for pair in row for part in pair}
    if len(axes) > 1 or not axes <= ({2} if batched else {1, 2}):
        shapes = sorted({part.shape for row in rows for pair in row for part in pair})
        raise ShapeError(
            f"the state has arrays of shapes {shapes[:4]}; they must be (batch, size)"
            + ("" if batched else ", or all (size,)")
        )
    return rows


# Gradients.


def gradients_as_parameters(lstm: LSTM, gradients: LSTMGradients) -> LSTM:
    """Return an LSTM whose weights are gradients: both have the same shapes, so writers map them alike."""
    if not isinstance(gradients, LSTMGradients):
        raise OptionError(f"write_gradients takes LSTMGradients, not {type(gradients).__name__}")
    cells, gradient_cells = lstm.cells(), gradients.cells()
    if list(cells) != list(gradient_cells):
        raise OptionError(f"the gradients are of another LSTM; this one has {nesting(lstm)}")
    rows = []
    for layer in range(lstm.num_layers):
        row = []
        for direction in lstm.directions:
            p, gradient_arrays = cells[layer, direction].parameters, gradient_cells[layer, direction].parameters
            shapes = [
                {name: array.shape for name, array in named_arrays.items()}
                for named_arrays in (p.arrays(), gradient_arrays)
            ]
            if shapes[0] != shapes[1]:
                raise ShapeError(
                    f"the gradients of layer {layer}, {direction}, have shapes {shapes[1]}, not {shapes[0]}"
                )
            row.append(p.replace(**gradient_arrays))
        rows.append(row)
    return LSTM.from_cells(rows, direction=lstm.directions[0], merge=lstm.merge)
