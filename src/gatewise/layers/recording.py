"""The traces of an LSTM as named arrays and plain data: what `storage` writes, after the run or during it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from gatewise.arrays import Array
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.files import storage
from gatewise.layers.merging import MASKED_OUTPUTS, merged_size, merges
from gatewise.layers.run import RunPlan, run
from gatewise.records import named_arrays
from gatewise.records.keep import DIRECTIONS
from gatewise.records.named_arrays import Arrays, Header, take_array, trace_from
from gatewise.records.nesting import Cell, array_prefix, map_cells
from gatewise.records.trace import LSTMTrace, Trace


def lstm_trace_record(trace: LSTMTrace) -> tuple[Arrays, Header]:
    """Return the trace of an LSTM's layers as arrays and plain data, for a file."""
    arrays: Arrays = {"output": trace.stored_output}

    def record(key: Cell, cell: Trace) -> Header:
        cell_arrays, head = named_arrays.trace_record(cell, array_prefix(key))
        arrays.update(cell_arrays)
        return head

    layers = map_cells(record, trace.layers)
    return arrays, _head(layers, trace.merge, trace.masked_output, batched=trace.batched)


def plan_record(plan: RunPlan) -> tuple[dict[str, storage.Shape], Header]:
    """Return the shapes and types of the arrays that an LSTM's run will leave in a file, and the data beside them."""
    arguments, dtype = plan.arguments, plan.arguments.x.dtype
    shapes: dict[str, storage.Shape] = {name: (shape, dtype) for name, shape in plan.array_shapes().items()}

    def record(key: Cell, cell: Trace) -> Header:
        """Add the shapes of a cell's arrays to `shapes`; return the plain data of its trace."""
        prefix = array_prefix(key)
        arrays, head = named_arrays.record_before_run(cell, prefix)
        shapes.update({name: (array.shape, array.dtype) for name, array in arrays.items()})
        shapes[f"{prefix}final.hidden_state"] = (cell.initial.h.shape, dtype)
        shapes[f"{prefix}final.cell_state"] = (cell.initial.c.shape, dtype)
        if cell.keep.everything:
            shapes[f"{prefix}input"] = ((*arguments.x.shape[:2], cell.parameters.input_size), dtype)
        return head

    layers = map_cells(record, plan.layers)
    return shapes, _head(layers, plan.merge, arguments.masked_output, batched=arguments.batched)


def _head(layers: Sequence[dict[str, Header]], merge: Sequence[str], masked_output: str, *, batched: bool) -> Header:
    return {"layers": list(layers), "merge": list(merge), "masked_output": masked_output, "batched": batched}


def trace_to_file(plan: RunPlan, path: str | os.PathLike[str]) -> LSTMTrace:
    """Run an LSTM with the kept arrays in a file, and return the traces that read from it."""
    shapes, head = plan_record(plan)
    head = named_arrays.header("lstm_trace", **head)
    with storage.writing(path, shapes, head) as views:
        trace = plan.trace(*run(plan, plan.arguments.x, views))
        for name, array in lstm_trace_record(trace)[0].items():
            if array is not views[name]:
                views[name][...] = array
    return lstm_trace_from(storage.mapped(path, shapes, head), head)


def lstm_trace_from(arrays: Mapping[str, Array], head: Mapping[str, Any]) -> LSTMTrace:
    """Return the traces of an LSTM from the arrays and plain data of `lstm_trace_record`."""
    layers = []
    for number, row in enumerate(head["layers"]):
        if not row or set(row) - set(DIRECTIONS) or set(row) != set(head["layers"][0]):
            raise OptionError(f"layer {number} has the directions {', '.join(row) or 'none'}")
        layer = {
            direction: trace_from(arrays, row[direction], array_prefix((number, direction)), batched=head["batched"])
            for direction in DIRECTIONS
            if direction in row
        }
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
        take_array(arrays, "output", (top[0].num_steps, top[0].batch_size, *apart, last)),
        ways,
        one_of("masked_output", head["masked_output"], MASKED_OUTPUTS),
    )
