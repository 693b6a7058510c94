"""The traces of an LSTM as named arrays and plain data: what `storage` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers.merging import MASKED_OUTPUTS, merged_size, merges
from gatewise.record import Arrays, Header, header, taken, trace_from, trace_record
from gatewise.trace import DIRECTIONS, LSTMTrace


def lstm_trace_record(trace: LSTMTrace) -> tuple[Arrays, Header]:
    """Return the traces of an LSTM as arrays and a file's header."""
    arrays: Arrays = {"output": trace.output}
    layers: list[dict[str, Header]] = []
    for number, layer in enumerate(trace.layers):
        layers.append({})
        for direction, cell in layer.items():
            found, layers[-1][direction] = trace_record(cell, f"layers.{number}.{direction}.")
            arrays |= found
    return arrays, header(
        "lstm_trace",
        layers=layers,
        merge=list(trace.merge),
        masked_output=trace.masked_output,
        batched=trace.batched,
    )


def lstm_trace_from(arrays: Mapping[str, Array], head: Mapping[str, Any]) -> LSTMTrace:
    """Return the traces that `lstm_trace_record` took apart."""
    layers = []
    for number, row in enumerate(head["layers"]):
        if not row or set(row) - set(DIRECTIONS) or set(row) != set(head["layers"][0]):
            raise OptionError(f"layer {number} has the directions {', '.join(row) or 'none'}")
        layer = {d: trace_from(arrays, row[d], f"layers.{number}.{d}.") for d in DIRECTIONS if d in row}
        for direction, trace in layer.items():
            if trace.direction != direction:
                raise OptionError(f"the {direction} trace of layer {number} runs {trace.direction}")
        layers.append(layer)
    if not layers:
        raise ShapeError("there is no layer")
    ways = merges(head["merge"], len(layers))
    top = list(layers[-1].values())
    apart = (2,) if ways[-1] == "none" and len(top) == 2 else ()
    last = merged_size(ways[-1], [trace.parameters.recurrent_size for trace in top])
    return LSTMTrace(
        tuple(layers),
        taken(arrays, "output", (top[0].time, top[0].batch, *apart, last)),
        ways,
        one_of("masked output", head["masked_output"], MASKED_OUTPUTS),
        bool(head["batched"]),
    )
