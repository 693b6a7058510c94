"""Back-propagation through time over an LSTM's trace: through merges and layers, one cell's engine at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import singledispatch
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from gatewise.arrays import SEQUENCE, Array, array_of, float_type, numbers
from gatewise.engine import choose
from gatewise.errors import OptionError, ShapeError
from gatewise.layers.arguments import is_nested, nesting, unbatched
from gatewise.layers.merging import direction_gradient, direction_output, unmerge
from gatewise.records.gradients import Gradients, LSTMGradients
from gatewise.records.named_input import ordered_array
from gatewise.records.nesting import Cell
from gatewise.records.run_record import RunRecord
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace, Trace

Axes = str | Sequence[str] | None
Split = Callable[[Array, Sequence[Array], str], list[Array]]


@overload
def backward(
    trace: Trace, dy: npt.ArrayLike | None = None, dstate: State | None = None, *, out: Gradients | None = None
) -> Gradients: ...
@overload
def backward(
    trace: LSTMTrace, dy: npt.ArrayLike | None = None, dstate: Any = None, *, out: LSTMGradients | None = None
) -> LSTMGradients: ...
@overload
def backward(
    trace: Any, dy: npt.ArrayLike | None = None, dstate: Any = None, *, out: Any = None, axes: Axes = None
) -> Any: ...
def backward(
    trace: Any, dy: npt.ArrayLike | None = None, dstate: Any = None, *, out: Any = None, axes: Axes = None
) -> Any:
    """Return the gradients of a loss with respect to everything that went into a run: back-propagation through time.

    Parameters
    ----------
    trace : LSTMTrace, Trace or NetworkTrace
        One that keeps everything.
    dy : array, optional
        ∂L/∂y, the gradient with respect to the output, in the output's shape (for a `Trace`: the gradient with respect
        to its hidden states); zeros by default.
    dstate : nested tuple of State, or State, optional
        The gradient with respect to the final state, nested as the trace's; zeros by default.
    out : LSTMGradients or Gradients, optional
        What an earlier call with a trace of the same shapes returned: its arrays are overwritten, no new ones made.
    axes : str or sequence of str, optional
        The order of the axes of `dy`, for example ``batch,time,feature``; a DataArray is read by the names of its
        dimensions. Gradients are (time, batch, feature).

    Returns
    -------
    LSTMGradients, Gradients or NetworkGradients

    Raises
    ------
    NotKeptError
        If the trace did not keep everything.
    ShapeError
        If a size does not match.

    Notes
    -----
    It takes about twice as many floating-point operations as the run did. Source: Werbos, "Backpropagation Through
    Time: What It Does and How to Do It", 1990.

    Examples
    --------
    >>> trace = gw.LSTM(3, 2, rng=0).trace(np.ones((5, 3)))
    >>> gradients = backward(trace, np.ones((5, 2)))
    >>> gradients[0].weight.shape, gradients.x.shape
    ((4, 2, 5), (5, 3))
    """
    if dy is not None and (axes is not None or type(dy) is not np.ndarray) and isinstance(trace, RunRecord):
        timed = trace.network is None or trace.network.reads == "every"
        order = [*["time"] * timed, *["batch"] * trace.batched, "feature"]
        dy = ordered_array("dy", dy, order, axes)
    return gradients_of(trace, dy, dstate, out)


@singledispatch
def gradients_of(trace: Any, dy: npt.ArrayLike | None, dstate: Any, out: Any) -> Any:
    """Return the gradients of one kind of trace; see `backward`."""
    raise OptionError(f"backward takes a Trace, LSTMTrace or NetworkTrace, not {type(trace).__name__}")


@gradients_of.register
def _(trace: Trace, dy: npt.ArrayLike | None, dstate: State | None, out: Gradients | None) -> Gradients:
    """Return the gradients of one cell's run, with or without a batch axis."""
    if dstate is not None and (not isinstance(dstate, (tuple, list)) or len(dstate) != 2):
        raise ShapeError("dstate must be a State(h, c)")
    if out is not None and not isinstance(out, Gradients):
        raise OptionError(f"out must be the Gradients of an earlier call, not {type(out).__name__}")
    if not trace.batched:
        h, c = trace.final
        dy = None if dy is None else gradient_like("dy", dy, trace.hidden_state, SEQUENCE)[:, None]
        if dstate is not None:
            dstate = State(gradient_like("dh", dstate[0], h[0])[None], gradient_like("dc", dstate[1], c[0])[None])
    return _of_cell(trace, dy, dstate, out)


def _of_cell(
    trace: Trace, dy: npt.ArrayLike | None, dstate: State | Sequence[Array] | None, out: Gradients | None
) -> Gradients:
    """Return the gradients of one cell's run, given those of its hidden and final states with a batch axis."""
    trace.require("a gradient")
    hidden, final = trace.arrays["hidden_state"], trace.final
    dhidden = np.zeros_like(hidden) if dy is None else gradient_like("dy", dy, hidden, SEQUENCE)
    if dstate is None:
        dfinal = State(np.zeros_like(final.h), np.zeros_like(final.c))
    else:
        dfinal = State(gradient_like("dh", dstate[0], final.h), gradient_like("dc", dstate[1], final.c))
    if out is not None:
        dhidden, dfinal = unshare(dhidden, [out]), State(*(unshare(array, [out]) for array in dfinal))
    gradients: Gradients = choose(trace.engine, trace.parameters).backward(trace, dhidden, dfinal, out)
    return gradients


@gradients_of.register
def _(trace: LSTMTrace, dy: npt.ArrayLike | None, dstate: Any, out: LSTMGradients | None) -> LSTMGradients:
    """Return the gradients of an LSTM's run, cell by cell from the last layer to the first."""
    if out is not None and (
        not isinstance(out, LSTMGradients)
        or [set(layer) for layer in out.layers] != [set(layer) for layer in trace.layers]
    ):
        raise OptionError("out must be the LSTMGradients of an earlier call with as many layers and directions")
    trace.require("a gradient")
    output, batched = trace.stored_output, trace.batched
    if dy is None:
        dx: Array = np.zeros_like(output)
    else:
        dx = gradient_like("dy", dy, output if batched else output[:, 0], SEQUENCE).reshape(output.shape)
    dstates = final_gradients(trace, dstate)
    if out is not None:
        targets = out.cells().values()
        dx = unshare(dx, targets)
        dstates = [[end and State(*(unshare(array, targets) for array in end)) for end in row] for row in dstates]
    layers: list[dict[str, Gradients]] = [{} for _ in trace.layers]

    def back(cell: Cell, dhidden: Array) -> Array:
        """Pass a gradient through one cell of the LSTM, whose gradients it keeps; return that of its input."""
        number, way = cell
        row = layers[number]
        end = dstates[number][len(row)]  # the cells of a layer come in the order of its directions
        row[way] = _of_cell(trace.layers[number][way], dhidden, end, None if out is None else out.layers[number][way])
        return row[way].x

    dx = pass_back(trace, at_hidden_states(trace, trace.num_layers - 1, dx), back)
    state = tuple(tuple(g.state for g in layer.values()) for layer in layers)
    return LSTMGradients(tuple(layers), *((dx, state) if batched else (dx[:, 0], unbatched(state))))


def pass_back(
    trace: LSTMTrace, at_top: Sequence[Array], back: Callable[[Cell, Array], Array], split: Split = unmerge
) -> Array:
    """Pass an array back through an LSTM's stacked layers, from the last on, and through each cell by `back`."""
    for number in reversed(range(trace.num_layers)):
        parts = [back((number, way), at_way) for way, at_way in zip(trace.layers[number], at_top, strict=True)]
        dx = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        if number:
            at_top = at_hidden_states(trace, number - 1, dx, split)
    return dx


def at_hidden_states(trace: LSTMTrace, number: int, dy: Array, split: Split = unmerge) -> list[Array]:
    """Return an array at the output of a stacked layer as arrays at its directions' hidden states, for a backward pass.

    `split` divides an array at a merged output between the directions, given their outputs.
    """
    layer, how = trace.layers[number], trace.masked_output
    outputs = [
        direction_output(cell.arrays["hidden_state"], cell.valid, how, reverse=way == "backward")
        for way, cell in layer.items()
    ]
    parts = zip(layer.items(), split(dy, outputs, trace.merge[number]), strict=True)
    return [direction_gradient(part, cell.valid, how, reverse=way == "backward") for (way, cell), part in parts]


def final_gradients(trace: LSTMTrace, dstate: Any) -> list[list[State | None]]:
    """Return the gradient with respect to each final state of an LSTM, with a batch axis; None for zeros."""
    if dstate is None:
        return [[None] * len(layer) for layer in trace.layers]
    if not is_nested(dstate, trace.layers):
        raise ShapeError(f"dstate must have {nesting(trace)}, each a State(h, c)")
    if trace.batched:
        return [list(layer) for layer in dstate]
    return [[State(*(array_of("dstate", array)[None] for array in pair)) for pair in layer] for layer in dstate]


def unshare(array: npt.ArrayLike, out: Iterable[Gradients]) -> Array:
    """Return an array of gradients, copied if it shares memory with gradients that will be overwritten."""
    targets = [array for gradients in out for array in (gradients.x, *gradients.state, *gradients.parameters.values())]
    array = array_of("a gradient", array)
    return array.copy() if any(np.may_share_memory(array, target) for target in targets) else array


def gradient_like(name: str, value: npt.ArrayLike, like: Array, orders: Iterable[Sequence[str]] = ()) -> Array:
    """Return a gradient in the dtype of the array that it belongs to; ShapeError unless it has its shape."""
    array = numbers(name, value, float_type(like.dtype), orders)
    if array.shape != like.shape:
        raise ShapeError(f"{name} has shape {array.shape}; it must be {like.shape}")
    return array
