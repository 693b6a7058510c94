"""The run of a model as a long table: a row for each number, with the names of its step, sequence, cell and unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np

from gatewise.arrays import chunks
from gatewise.files.tables import csv_text, write_rows
from gatewise.network import Run
from gatewise.progress import working
from gatewise.records.labelled_arrays import Frame
from gatewise.records.labels import Labels

HEADS = ("time", "sequence", "layer", "direction", "quantity", "unit", "value")
PIECE = 2**18  # numbers that are written at a time


def write_long_table(file: TextIO, trace: Run, series: tuple[Any, Labels] | None = None) -> None:
    """Write a run to an open file as comma-separated text, in order of time and in little memory.

    An empty cell stands for a number that is not there: of a gate at a step that is not valid, of the time of an output
    at the end of a sequence. `series` are the outputs (time, batch, output) of a series in windows, and its labels: the
    quantity ``series output``.
    """
    write_rows(file, [HEADS])
    run: Any = trace.stored
    labels, sequences = run.labels, run.labels.sequences or range(run.batch_size)
    _write_rows(file, _frame_of_steps(run, sequences))
    if run.network is not None and run.network.reads == "last":
        _write_rows(file, _frame_of_output("y", run.output[None], [""], sequences, labels))
    if series is not None:
        outputs, of_series = series
        times = range(len(outputs)) if of_series.times is None else of_series.times
        _write_rows(file, _frame_of_output("series output", outputs, times, sequences, of_series))


def _frame_of_steps(run: Any, sequences: Sequence[Any]) -> Frame:
    """Return the columns of a run at its kept steps: inputs, the quantities of each cell, and the output ``y``.

    The network's own input, where it is not the LSTM's, and ``y`` belong to no layer.
    """
    lstm, network = run.lstm, run.network
    every = slice(None, None, lstm.first.keep.every)
    frame = Frame(lstm.first.times, sequences)
    if network is not None and run.tokens is not None:
        frame.add(("", "", "token"), run.tokens[every, :, None], [""])
    elif network is not None and run.input is not None:
        names = run.labels.features or [f"x{place}" for place in range(run.input.shape[-1])]
        frame.add(("", "", "input"), run.input[every], names)
    for (layer, way), cell in lstm.cells().items():
        frame.add_cell(cell, layer, way, with_input=cell is lstm.first)
    if network is None:
        frame.add(("", "", "y"), lstm.kept_output, lstm.labels.outputs)
    elif network.reads == "every":
        frame.add(("", "", "y"), run.output[every], run.labels.outputs)
    return frame


def _frame_of_output(name: str, output: Any, times: Sequence[Any], sequences: Sequence[Any], labels: Labels) -> Frame:
    """Return the columns of an output at steps of its own."""
    frame = Frame(times, sequences)
    frame.add(("", "", name), output, labels.outputs)
    return frame


def _write_rows(file: TextIO, frame: Frame) -> None:
    """Write the numbers of a run, a row for each."""
    middles = [_cells(*name) for name in frame.names]
    names, width = [_cells(name) for name in frame.sequences], len(frame.sequences) * len(middles)
    with working("writing", len(frame.times) * width) as done:
        for piece in chunks(len(frame.times), width, PIECE):
            numbers = np.concatenate([block[piece].astype(str) for block in frame.blocks], axis=2)
            numbers[numbers == "nan"] = ""
            for time, of_step in zip(frame.times[piece], numbers, strict=True):
                for name, row in zip(names, of_step.tolist(), strict=True):
                    head = f"{_cells(time)},{name},"
                    file.writelines([f"{head}{middle},{number}\n" for middle, number in zip(middles, row, strict=True)])
            done((piece.stop - piece.start) * width)


def _cells(*values: Any) -> str:
    """Return cells of a table as text, quoted where that is needed."""
    return "" if values == ("",) else csv_text([values]).removesuffix("\n")
