"""The arguments of a call, checked: axes, precision, states, which steps are valid, and the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, array_of, numbers
from gatewise.dropout import DropoutMasks
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.merging import MASKED_OUTPUTS
from gatewise.layers.stack import Stack, States
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace
from gatewise.showing import counted

NestedDropout = Sequence[Sequence[DropoutMasks | None]]


class Arguments(NamedTuple):
    """One call's input: axes (time, batch, feature), one dtype, every size checked."""

    x: Array
    state: States
    valid: Mask | None
    dropout: NestedDropout | None
    masked_output: str
    batched: bool
    engine: str


def settle(
    stack: Stack,
    x: npt.ArrayLike,
    state: States | None = None,
    *,
    lengths: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    dropout: NestedDropout | None = None,
    masked_output: str = "zeros",
    engine: str = "auto",
) -> Arguments:
    """Return what a call of an LSTM was given, settled; see there for what is allowed."""
    one_of("masked_output", masked_output, MASKED_OUTPUTS)
    sequence = numbers("x", x, stack.dtype)
    n = stack.input_size
    if sequence.ndim not in (2, 3) or sequence.shape[-1] != n:
        raise ShapeError(f"x has shape {sequence.shape}; it must be (time, batch, {n}) or (time, {n})")
    batched = sequence.ndim == 3
    if not batched:
        sequence = sequence[:, None]
    time, batch = sequence.shape[:2]
    whole = stack.zero_state(batch) if state is None else settled_state(stack, state, batch if batched else None)
    if state is not None and not batched:
        whole = tuple(tuple(State(one.h[None], one.c[None]) for one in layer) for layer in whole)
    if dropout is not None:
        _require_nested(stack, dropout)
    return Arguments(sequence, whole, valid_steps(lengths, mask, time, batch), dropout, masked_output, batched, engine)


def _require_nested(stack: Stack, dropout: Any) -> None:
    try:
        fits = [len(row) for row in dropout] == [len(row) for row in stack.layers]
        fits = fits and all(one is None or isinstance(one, DropoutMasks) for row in dropout for one in row)
    except TypeError:
        fits = False
    if not fits:
        raise ShapeError(f"dropout must have {nesting(stack)}, each DropoutMasks or None")


def nesting(stack: Stack | LSTMTrace) -> str:
    """Say how the states of an LSTM are nested."""
    return f"{counted(stack.num_layers, 'layer')} of {counted(len(stack.directions), 'direction')}"


def settled_state(stack: Stack, state: Any, batch: int | None) -> States:
    """Return a copy of a state in the LSTM's nesting, sizes and dtype, or raise ShapeError."""
    expected = stack.zero_state(batch)
    try:
        counts = [len(layer) for layer in state]
        nested = all(len(one) == 2 for layer in state for one in layer)
    except TypeError:
        counts, nested = [], False
    if not nested or counts != [len(layer) for layer in expected]:
        raise ShapeError(
            f"the state must have {nesting(stack)}, each a State(h, c);"
            " read_state of gatewise.interop.torch, .keras and .onnx reads what those frameworks stack"
        )
    found: list[tuple[State, ...]] = []
    for number, (given, zeros) in enumerate(zip(state, expected, strict=True)):
        row = []
        for one, zero, direction in zip(given, zeros, stack.directions, strict=True):
            parts = (numbers(name, part, stack.dtype) for name, part in zip("hc", one, strict=True))
            copy = State(*(np.array(part, order="C") for part in parts))
            for name in ("h", "c"):
                shape, wanted = getattr(copy, name).shape, getattr(zero, name).shape
                if shape != wanted:
                    raise ShapeError(f"{name} of layer {number}, {direction}, has shape {shape}; it must be {wanted}")
            row.append(copy)
        found.append(tuple(row))
    return tuple(found)


def unbatched(state: States) -> States:
    """Return the states of a batch of one without the batch axis."""
    return tuple(tuple(State(one.h[0], one.c[0]) for one in layer) for layer in state)


def valid_steps(lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None, time: int, batch: int) -> Mask | None:
    """Return which steps are valid (time, batch), or None where all are."""
    if lengths is not None and mask is not None:
        raise OptionError("give lengths or a mask, not both")
    if lengths is not None:
        counts = _array("lengths", lengths)
        if counts is None or counts.shape != (batch,) or counts.dtype.kind not in "iu":
            raise ShapeError(f"lengths must be {batch} integers, one for each sequence, not {lengths!r}")
        if counts.size and not 0 <= counts.min() <= counts.max() <= time:
            raise OptionError(f"lengths must lie between 0 and {time}, the number of steps, but are {counts.tolist()}")
        return np.arange(time)[:, None] < counts
    if mask is not None:
        valid = _array("mask", mask)
        if valid is None:
            raise ShapeError(f"mask must be boolean of shape ({time}, {batch}), with sequences of equal lengths")
        if valid.dtype != np.bool_ or valid.shape not in {(time, batch), (time,)}:
            raise ShapeError(f"mask must be boolean of shape ({time}, {batch}), not {valid.dtype} of {valid.shape}")
        return np.array(np.broadcast_to(valid if valid.ndim == 2 else valid[:, None], (time, batch)))
    return None


def _array(what: str, given: npt.ArrayLike) -> npt.NDArray[Any] | None:
    try:
        return array_of(what, given)
    except ShapeError:  # sequences of different lengths
        return None


def settled_labels(
    stack: Stack, given: Labels | Sequence[Labels] | None, time: int, batch: int
) -> Sequence[Sequence[Labels]]:
    """Return the labels of each cell of a run: those that are given, else the LSTM's own."""
    found = stack.labels
    if given is not None:
        pairs = zip(_of_each_layer(stack, given), stack.layers, strict=True)
        found = stack.named([[labels.or_else(cell.labels) for cell in row] for labels, row in pairs])
        for names, row in zip(found, stack.layers, strict=True):
            for labels, cell in zip(names, row, strict=True):
                labels.require(features=cell.input_size, units=cell.hidden_size)
        for labels in found[-1]:
            labels.require(outputs=stack.output_size)
    for labels in (labels for row in found for labels in row if labels is not NO_LABELS):
        labels.require(sequences=batch, times=time)
    return found


def _of_each_layer(stack: Stack, given: Labels | Sequence[Labels]) -> Sequence[Labels]:
    """Return the caller's labels, one for each layer."""
    if isinstance(given, Labels):
        one = given
        if one.units is not None and stack.num_layers > 1:
            raise OptionError("names of units need a Labels for each layer where there is more than one")
        last = stack.num_layers - 1
        given = [one.replace(**_elsewhere(number, last)) for number in range(last + 1)] if last else [one]
    if not isinstance(given, Sequence) or not all(isinstance(labels, Labels) for labels in given):
        raise OptionError(f"labels must be Labels, or one for each layer, not {given!r}")
    if len(given) != stack.num_layers:
        raise ShapeError(f"there are {len(given)} labels for {counted(stack.num_layers, 'layer')}")
    return given


def _elsewhere(layer: int, last: int) -> dict[str, None]:
    """Return the kinds of names that do not belong to a layer: features are the first one's, outputs the last one's."""
    return ({"features": None} if layer else {}) | ({} if layer == last else {"outputs": None})
