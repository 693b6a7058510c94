"""The run of a model as a long table: a row for each number, with the names of its step, sequence, cell and unit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TextIO

import numpy as np

from gatewise.arrays import chunks
from gatewise.network import Run
from gatewise.progress import working
from gatewise.records.labels import Labels

HEADS = ("time", "sequence", "layer", "direction", "quantity", "unit", "value")
PIECE = 2**18  # numbers that are written at a time


class TableQuantity(NamedTuple):
    """A quantity of a run (time, batch, ·) in a long table: what its rows say, and the names of its entries."""

    layer: int | str
    direction: str
    name: str
    units: Sequence[Any]
    array: Any


def table_quantities(trace: Run) -> Iterator[TableQuantity]:
    """Yield the quantities of a run at its kept steps: inputs, those of each cell, and the output ``y`` of each step.

    The network's own input, where it is not the LSTM's, and ``y`` belong to no layer.
    """
    run: Any = trace.stored
    lstm, network = run.lstm, run.network
    every = slice(None, None, lstm.first.keep.every)
    if network is not None and run.tokens is not None:
        yield TableQuantity("", "", "token", [""], run.tokens[every, :, None])
    elif network is not None and run.input is not None:
        names = run.labels.features or [f"x{place}" for place in range(run.input.shape[-1])]
        yield TableQuantity("", "", "input", names, run.input[every])
    for (layer, way), cell in lstm.cells().items():
        p = cell.parameters
        if cell.input is not None and cell is lstm.first:
            yield TableQuantity(layer, way, "input", [cell.labels.feature(n) for n in range(p.input_size)], cell.input)
        for name in cell.distinct():
            projected = p.projection is not None and name == "hidden_state"
            units = range(p.recurrent_size) if projected else cell.unit_names
            yield TableQuantity(layer, way, name, units, cell.quantity(name))
    if network is None:
        yield _output_quantity("y", lstm.kept_output, lstm.labels)
    elif network.reads == "every":
        yield _output_quantity("y", run.output[every], run.labels)


def _output_quantity(name: str, output: Any, labels: Labels) -> TableQuantity:
    """Return the outputs of a run as a quantity of a long table; directions that are not merged follow each other."""
    array = output.reshape(*output.shape[:2], -1)
    names = labels.outputs
    return TableQuantity(
        "", "", name, names if names and len(names) == array.shape[2] else range(array.shape[2]), array
    )


def write_long_table(file: TextIO, trace: Run, series: tuple[Any, Labels] | None = None) -> None:
    """Write a run to an open file as comma-separated text, in order of time and in little memory.

    An empty cell stands for a number that is not there: of a gate at a step that is not valid, of the time of an output
    at the end of a sequence. `series` are the outputs (time, batch, output) of a series in windows, and its labels: the
    quantity ``series output``.
    """
    csv.writer(file, lineterminator="\n").writerow(HEADS)
    run: Any = trace.stored
    labels: Labels = run.labels
    sequences = labels.sequences or range(run.batch_size)
    _write_rows(file, run.lstm.first.times, sequences, [*table_quantities(trace)])
    if run.network is not None and run.network.reads == "last":
        _write_rows(file, [""], sequences, [_output_quantity("y", run.output[None], labels)])
    if series is not None:
        outputs, of_series = series
        times = range(len(outputs)) if of_series.times is None else of_series.times
        _write_rows(file, times, sequences, [_output_quantity("series output", outputs, of_series)])


def _write_rows(
    file: TextIO, times: Sequence[Any], sequences: Sequence[Any], quantities: Sequence[TableQuantity]
) -> None:
    """Write the rows of quantities over the same steps."""
    middles = [
        _cells(quantity.layer, quantity.direction, quantity.name, unit)
        for quantity in quantities
        for unit in quantity.units
    ]
    names, width = [_cells(name) for name in sequences], len(sequences) * len(middles)
    with working("writing", len(times) * width) as done:
        for piece in chunks(len(times), width, PIECE):
            texts = [quantity.array[piece].astype(str) for quantity in quantities]
            numbers = np.concatenate(texts, axis=2)
            numbers[numbers == "nan"] = ""
            for time, of_step in zip(times[piece], numbers, strict=True):
                for name, row in zip(names, of_step.tolist(), strict=True):
                    head = f"{_cells(time)},{name},"
                    file.writelines([f"{head}{middle},{number}\n" for middle, number in zip(middles, row, strict=True)])
            done((piece.stop - piece.start) * width)


def _cells(*values: Any) -> str:
    """Return cells of a table as text, quoted where that is needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if value == "" else str(value) for value in values])
    return "" if values == ("",) else text.getvalue()
