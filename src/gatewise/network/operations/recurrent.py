"""The LSTM as an operation: one layer, in one direction or two, whose record is its trace. And unknown operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.errors import OptionError
from gatewise.layers import LSTM
from gatewise.layers.backward import backward
from gatewise.layers.stack import States
from gatewise.network.operations.table import AnyArray, Estimate, Gradients, add_operation, unbroadcast
from gatewise.records.step import State
from gatewise.records.trace import LSTMTrace

KEPT = 7  # numbers of each step and unit in a trace, and in the output


def _states(lstm: LSTM, h: AnyArray | None, c: AnyArray | None, batch: int) -> States | None:
    """Return states (direction, batch, ·) as an LSTM takes them; those of one sequence serve every sequence."""
    if h is None and c is None:
        return None
    zeros = lstm.zero_state(batch)[0]
    pairs = []
    for place, zero in enumerate(zeros):
        parts = []
        for provided, like in ((h, zero.h), (c, zero.c)):
            if provided is not None and (provided.ndim != 3 or len(provided) != len(zeros)):
                raise ValueError(
                    f"a state has shape {provided.shape}; it must be ({len(zeros)}, {batch}, {like.shape[1]})"
                )
            parts.append(like if provided is None else np.broadcast_to(provided[place], like.shape))
        pairs.append(State(*parts))
    return (tuple(pairs),)


def _stacked(states: Sequence[Sequence[Any]]) -> tuple[AnyArray, AnyArray]:
    """Return the states of the one layer as two arrays (direction, batch, ·)."""
    h, c = zip(*states[0], strict=True)
    return np.stack(h), np.stack(c)


def _valid(valid: AnyArray | None) -> dict[str, Any]:
    return {} if valid is None else {"mask": valid} if valid.dtype == bool else {"lengths": valid}


def _lstm_cost(
    x: AnyArray, h: Any = None, c: Any = None, valid: Any = None, *, lstm: LSTM, **settings: Any
) -> Estimate:
    units = sum(cell.hidden_size for row in lstm.layers for cell in row)
    steps = x.size // max(x.shape[-1] if x.ndim else 1, 1)
    return Estimate(KEPT * steps * units, 2 * steps * lstm.num_parameters)


def lstm_output(
    x: AnyArray,
    h: AnyArray | None = None,
    c: AnyArray | None = None,
    valid: AnyArray | None = None,
    *,
    lstm: LSTM,
    masked_output: str = "zeros",
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return y (time, batch, ·) and the final h and c (direction, batch, ·).

    `valid` has the number of valid steps of each sequence, or is a boolean mask (time, batch).
    """
    _require_batch(x, lstm)
    y, final = lstm(x, _states(lstm, h, c, x.shape[1]), **_valid(valid), masked_output=masked_output)
    return tuple(item.astype(x.dtype, copy=False) for item in (y, *_stacked(final)))  # type: ignore[return-value]


def lstm_record(
    x: AnyArray,
    h: AnyArray | None = None,
    c: AnyArray | None = None,
    valid: AnyArray | None = None,
    *,
    lstm: LSTM,
    masked_output: str = "zeros",
) -> tuple[tuple[AnyArray, ...], LSTMTrace]:
    """Return the outputs of `lstm_output`, and the trace of the run."""
    _require_batch(x, lstm)
    trace = lstm.trace(x, _states(lstm, h, c, x.shape[1]), **_valid(valid), masked_output=masked_output)
    return tuple(item.astype(x.dtype, copy=False) for item in (trace.output, *_stacked(trace.state))), trace


def _require_batch(x: AnyArray, lstm: LSTM) -> None:
    if lstm.num_layers != 1:
        raise ValueError(f"a node is one layer of an LSTM, not {lstm.num_layers}")
    if x.ndim != 3 or x.dtype.kind != "f":
        raise ValueError(f"an LSTM takes numbers (time, batch, feature), not {x.dtype} of {x.shape}")


def _lstm_vjp(
    g: Any, trace: LSTMTrace, x: AnyArray, h: Any = None, c: Any = None, valid: Any = None, **settings: Any
) -> Gradients:
    """Return the gradients with respect to the inputs, and last those of the cells, as `LSTMGradients`."""
    dy, *dfinal = (item.astype(trace.output.dtype, copy=False) for item in g)
    dstate = tuple(State(*pair) for pair in zip(*dfinal, strict=True))
    result = backward(trace, dy, (dstate,))
    of_states = (
        None if state is None else unbroadcast(d, state)
        for state, d in zip((h, c), _stacked(result.state), strict=True)
    )
    return result.x.astype(x.dtype, copy=False), *of_states, None, result


add_operation("lstm", lstm_output, _lstm_vjp, _lstm_cost, time="carry", record=lstm_record)


def unknown(*arrays: AnyArray | None, kind: str, why: str) -> AnyArray:
    """Refuse an operation that the table lacks; `kind` is its name in the file, and `why` a half-sentence."""
    raise OptionError(f"{kind} is not supported: {why}")


add_operation("unknown", unknown, None, lambda *arrays, **settings: Estimate(0, 0))
