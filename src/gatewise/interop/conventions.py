"""Where every framework's weights become gatewise's, and back: the order of the gates, the axes, the biases.

Every door brings its arrays into one form, *stacked*: the gates' matrices one below another in the framework's own
order, (4 · hidden, input) and (4 · hidden, recurrent), as PyTorch and ONNX have them. The rest happens here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from gatewise import gates
from gatewise.arrays import Array
from gatewise.errors import ShapeError
from gatewise.parameters import Parameters, Variant


class Stacked(NamedTuple):
    """The arrays of one cell in a framework's order of the gates.

    Attributes
    ----------
    input_weight : array (4 · hidden, input)
    recurrent_weight : array (4 · hidden, recurrent)
    bias : array (4 · hidden,)
    peephole : array (3 · hidden,) or None
        In the framework's order without the candidate.
    projection : array (recurrent, hidden) or None
    """

    input_weight: Array
    recurrent_weight: Array
    bias: Array
    peephole: Array | None = None
    projection: Array | None = None


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
    """Return the parameters of a cell, given in a framework's order.

    Parameters
    ----------
    framework : str
        A key of `gatewise.gates.ORDERS`.
    input_weight, recurrent_weight, peephole, projection
        As in `Stacked`.
    biases : sequence of array (4 · hidden,)
        They are summed; none is zeros.
    variant : Variant, optional

    Raises
    ------
    ShapeError
        If the shapes do not agree.
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
    for one in biases:
        if one.shape != (rows,):
            raise ShapeError(f"a bias has shape {one.shape}; it must be ({rows},)")
    with np.errstate(all="ignore"):
        bias = np.asarray(reduce(np.add, biases)) if biases else np.zeros(rows, input_weight.dtype)

    def by_gate(array: Array) -> Array:
        return gates.reorder(array.reshape(4, hidden, *array.shape[1:]), framework)

    if peephole is not None:
        if peephole.shape != (3 * hidden,):
            raise ShapeError(f"the peepholes have shape {peephole.shape}; it must be ({3 * hidden},)")
        order = gates.ORDERS[framework].replace("g", "")
        peephole = peephole.reshape(3, hidden)[[order.index(letter) for letter in gates.PEEPHOLES]]
    return Parameters(
        np.concatenate([by_gate(recurrent_weight), by_gate(input_weight)], axis=-1),
        by_gate(bias),
        variant or Variant(),
        peephole,
        projection,
    )


def stacked(framework: str, p: Parameters) -> Stacked:
    """Return the arrays of a cell in a framework's order; what `parameters` reads."""

    def in_order(array: Array) -> Array:
        found = gates.reorder(array, "gatewise", framework)
        return np.ascontiguousarray(found.reshape(4 * p.hidden_size, *array.shape[2:]))

    peephole = None
    if p.peephole is not None:
        order = gates.ORDERS[framework].replace("g", "")
        peephole = p.peephole[[gates.PEEPHOLES.index(letter) for letter in order]].reshape(-1)
    return Stacked(in_order(p.input_weight), in_order(p.recurrent_weight), in_order(p.bias), peephole, p.projection)
