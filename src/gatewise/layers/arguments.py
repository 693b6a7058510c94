"""The arguments of a call, checked: axes, precision, states, which steps are valid, and the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import SEQUENCE, Array, Mask, numbers
from gatewise.equations import DropoutMasks
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.merging import MASKED_OUTPUTS
from gatewise.layers.stack import Stack, States, map_states
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.named_input import ordered_array
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
    """Return the arguments of an LSTM's call, checked and completed; see `LSTM.__call__`."""
    one_of("masked_output", masked_output, MASKED_OUTPUTS)
    sequence = numbers("x", x, stack.dtype, SEQUENCE)
    n = stack.input_size
    if sequence.ndim not in (2, 3) or sequence.shape[-1] != n:
        raise ShapeError(f"x has shape {sequence.shape}; it must be (time, batch, {n}) or (time, {n})")
    batched = sequence.ndim == 3
    if not batched:
        sequence = sequence[:, None]
    time, batch = sequence.shape[:2]
    states = stack.zero_state(batch) if state is None else settled_state(stack, state, batch if batched else None)
    if state is not None and not batched:
        states = map_states(lambda array: array[None], states)
    if dropout is not None and not is_nested(
        dropout, stack.layers, lambda masks: masks is None or isinstance(masks, DropoutMasks)
    ):
        raise ShapeError(f"dropout must have {nesting(stack)}, each DropoutMasks or None")
    return Arguments(sequence, states, valid_steps(lengths, mask, time, batch), dropout, masked_output, batched, engine)


def is_nested(value: Any, layers: Sequence[Sized], fits: Callable[[Any], bool] = lambda pair: len(pair) == 2) -> bool:
    """Say whether a value has a fitting part for each cell of an LSTM's `layers`: by default a pair (h, c)."""
    try:
        return list(map(len, value)) == list(map(len, layers)) and all(fits(part) for row in value for part in row)
    except TypeError:
        return False


def nesting(stack: Stack | LSTMTrace) -> str:
    """Return the nesting of an LSTM's states in words: "2 layers of 1 direction"."""
    return f"{counted(stack.num_layers, 'layer')} of {counted(len(stack.directions), 'direction')}"


def settled_state(stack: Stack, state: Any, batch: int | None) -> States:
    """Return a copy of a state in the LSTM's nesting, sizes and dtype, or raise ShapeError."""
    if not is_nested(state, stack.layers):
        raise ShapeError(
            f"the state must have {nesting(stack)}, each a State(h, c);"
            " gatewise.interop.torch, .keras and .onnx convert the states of their frameworks with read_state"
        )
    layers: list[tuple[State, ...]] = []
    for number, (pairs, zeros) in enumerate(zip(state, stack.zero_state(batch), strict=True)):
        row = []
        for pair, zero, direction in zip(pairs, zeros, stack.directions, strict=True):
            parts = []
            for name, part, expected in zip("hc", pair, zero, strict=True):
                parts.append(np.array(numbers(name, part, stack.dtype), order="C"))
                if (shape := parts[-1].shape) != expected.shape:
                    place = f"{name} of layer {number}, {direction},"
                    raise ShapeError(f"{place} has shape {shape}; it must be {expected.shape}")
            row.append(State(*parts))
        layers.append(tuple(row))
    return tuple(layers)


def unbatched(state: Iterable[Iterable[State]]) -> States:
    """Return the states of a batch of one without the batch axis."""
    return tuple(tuple(State(h[0], c[0]) for h, c in layer) for layer in state)


def valid_steps(lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None, time: int, batch: int) -> Mask | None:
    """Return the valid steps (time, batch) of an LSTM's input from lengths or a mask, or None if all are valid."""
    if lengths is not None and mask is not None:
        raise OptionError("give lengths or a mask, not both")
    if lengths is not None:
        counts = ordered_array("lengths", lengths, ("batch",))
        if counts.shape != (batch,) or counts.dtype.kind not in "iu":
            raise ShapeError(f"lengths must be {batch} integers, one for each sequence, not {lengths!r}")
        if counts.size and not 0 <= counts.min() <= counts.max() <= time:
            raise OptionError(f"lengths must lie between 0 and {time}, the number of steps, but are {counts.tolist()}")
        return np.arange(time)[:, None] < counts
    if mask is not None:
        valid = ordered_array("mask", mask, ("time", "batch"))
        if valid.dtype != np.bool_ or valid.shape not in {(time, batch), (time,)}:
            raise ShapeError(f"mask must be boolean of shape ({time}, {batch}), not {valid.dtype} of {valid.shape}")
        return np.array(np.broadcast_to(valid if valid.ndim == 2 else valid[:, None], (time, batch)))
    return None


def settled_labels(
    stack: Stack, labels: Labels | Sequence[Labels] | None, time: int, batch: int
) -> Sequence[Sequence[Labels]]:
    """Return the labels of each cell of an LSTM's run: the caller's, completed by the LSTM's."""
    nested = stack.labels
    if labels is not None:
        pairs = zip(_of_each_layer(stack, labels), stack.layers, strict=True)
        nested = stack.named([[names.or_else(cell.labels) for cell in row] for names, row in pairs])
        for layer, row in zip(nested, stack.layers, strict=True):
            for names, cell in zip(layer, row, strict=True):
                names.require(features=cell.input_size, units=cell.hidden_size)
        for names in nested[-1]:
            names.require(outputs=stack.output_size)
    for names in (names for row in nested for names in row if names is not NO_LABELS):
        names.require(sequences=batch, times=time)
    return nested


def _of_each_layer(stack: Stack, names: Labels | Sequence[Labels]) -> Sequence[Labels]:
    """Return the caller's labels of an LSTM's run, one for each layer."""
    if isinstance(names, Labels):
        single = names
        if single.units is not None and stack.num_layers > 1:
            raise OptionError("this LSTM has several layers. To name units, pass one Labels for each layer.")
        first, last = single.replace(outputs=None), single.replace(features=None)
        between = [last.replace(outputs=None)] * (stack.num_layers - 2)
        names = [single] if stack.num_layers == 1 else [first, *between, last]
    if not isinstance(names, Sequence) or not all(isinstance(labels, Labels) for labels in names):
        raise OptionError(f"labels must be Labels, or one for each layer, not {names!r}")
    if len(names) != stack.num_layers:
        raise ShapeError(f"there are {len(names)} labels for {counted(stack.num_layers, 'layer')}")
    return names
