"""A runtime's answers, validated: each array by its name, their precision, and the initial state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, array_of, numbers, time_first
from gatewise.diagnostics.rounding import DIGITS, name_of
from gatewise.errors import OptionError, ShapeError
from gatewise.layers import LSTM
from gatewise.layers.arguments import is_nested, nesting, settled_state
from gatewise.layers.stack import States, map_states


def nested_start(lstm: LSTM, state: States, batch: int) -> States:
    """Return the initial state of a runtime to verify with a batch axis, in the form that the LSTM takes."""
    if batch == 1 and is_nested(state, lstm.layers, lambda pair: [np.ndim(part) for part in pair] == [1, 1]):
        state = map_states(lambda part: array_of("the state", part)[None], state)
    return settled_state(lstm, state, batch)


def named_claims(
    lstm: LSTM, y: Any, final: Any, time: int, batch: int, axes: Sequence[str], outputs: int | None = None
) -> tuple[dict[str, Array], str]:
    """Return a runtime's answers to verify, by name, and their precision; a network has `outputs` of its own."""
    claims: dict[str, npt.NDArray[Any]] = {}
    if y is not None:
        name, claims_y = _claimed_y(lstm, _array("y", y, (axes,)), time, batch, axes, outputs)
        claims[name] = claims_y
    if final is not None:
        if not is_nested(final, lstm.layers):
            raise ShapeError(f"the final state must have {nesting(lstm)}, each a pair (h, c)")
        zeros = lstm.zero_state(batch)
        for number, row in enumerate(final):
            for place, direction in enumerate(lstm.directions):
                for letter, part in zip("hc", row[place], strict=True):
                    if part is None:
                        continue
                    name = name_of(f"{letter}n", lstm, number, direction)
                    array, shape = _array(name, part), getattr(zeros[number][place], letter).shape
                    if array.ndim == 1 and batch == 1:
                        array = array[None]
                    if array.shape != shape:
                        raise ShapeError(f"{name} has shape {np.shape(part)}; it must be {shape}")
                    claims[name] = array
    if not claims:
        raise OptionError("there is nothing to verify: pass y, or the final states")
    names = {precision_of(array) for array in claims.values()}
    precision = next(name for name in DIGITS if name in names)
    return {name: array.astype(np.float64) for name, array in claims.items()}, precision


def _array(name: str, value: Any, orders: Sequence[Sequence[str]] = ()) -> npt.NDArray[Any]:
    array = array_of(name, value, orders)
    return array if array.dtype == np.float16 else numbers(name, array)


def precision_of(array: npt.NDArray[Any]) -> str:
    """Return the precision in which a runtime computed an array: the narrowest that holds all its numbers."""
    with np.errstate(all="ignore"):
        single = array.astype(np.float32)
        if not np.array_equal(single, array, equal_nan=True):
            return "float64"
        half = single.astype(np.float16)
    if array.dtype == np.float16 or not array.any():
        return "float16" if array.dtype == np.float16 else "float32"
    if not (single.view(np.uint32) & 0xFFFF).any():  # the bits that bfloat16 lacks
        return "bfloat16"
    return "float16" if np.array_equal(half, array, equal_nan=True) else "float32"


def _claimed_y(lstm: LSTM, y: Any, time: int, batch: int, axes: Sequence[str], outputs: int | None) -> tuple[str, Any]:
    """Return the name of a runtime's output, and it as (time, batch, ·), or the last step's as (batch, ·)."""
    size = outputs or lstm.output_size * (2 if lstm.merge[-1] == "none" and lstm.bidirectional else 1)
    is_time_first = list(axes).index("time") < (list(axes).index("batch") if "batch" in axes else len(axes))
    if y.ndim == 4:
        by_direction = y.transpose(0, 2, 1, 3) if is_time_first else y.transpose(1, 0, 2, 3)
        if by_direction.shape == (time, batch, len(lstm.directions), size // len(lstm.directions)):
            return "y", by_direction.reshape(time, batch, size)
    elif y.ndim in (2, 3):
        names = [name for name in axes if y.ndim == 3 or name != "batch"]
        if y.ndim == 3 or batch == 1:
            ordered = time_first(y, [*names, "batch"] if "batch" not in names else names, "y")
            if ordered.shape == (time, batch, size):
                return "y", ordered
    if y.ndim == 2 and "batch" in axes and list(axes).index("feature") < list(axes).index("batch"):
        y = y.T
    if y.shape == (batch, size) or (batch == 1 and y.shape == (size,)):
        return "last y", y.reshape(batch, size)
    shape = [{"time": time, "batch": batch, "feature": size}[name] for name in axes]
    raise ShapeError(f"y has shape {y.shape}; it must be ({', '.join(map(str, shape))}) ({', '.join(axes)})")
