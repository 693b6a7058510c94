"""The memory and the time that a run takes, estimated beforehand."""

from __future__ import annotations

import numpy as np

from gatewise.layers import LSTM
from gatewise.records.keep import Keep

RATE = 5e9  # additions and multiplications a second: what the native engine does on one core, about


def bytes_kept(lstm: LSTM, keep: Keep, time: int, batch: int, *, on_file: bool) -> int:
    """Return the bytes that a trace keeps; in a file, each cell's input is stored with its quantities."""
    apart = 2 if lstm.bidirectional and lstm.merge[-1] == "none" else 1
    count = time * batch * lstm.output_size * apart
    for number, row in enumerate(lstm.layers):
        for cell in row:
            if keep.everything and (on_file or (number == 0 and cell is row[0])):
                count += time * batch * cell.input_size
            shapes = keep.shapes(cell.parameters, time, batch)
            count += sum(int(np.prod([float(length) for length in shape])) for shape in shapes.values())
    return count * lstm.dtype.itemsize


def seconds(lstm: LSTM, time: int, batch: int) -> float:
    """Return the seconds that a run takes, about."""
    work = sum(8.0 * cell.parameters.weight.size / 4 for row in lstm.layers for cell in row)
    return time * batch * work / RATE
