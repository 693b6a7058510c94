"""What work takes, said before it begins: memory and seconds."""

from __future__ import annotations

import sys

import numpy as np

from gatewise.layers import LSTM
from gatewise.records.keep import Keep

LARGE = 64 * 2**20  # bytes from which on the size is said beforehand
LONG = 10.0  # seconds from which on they are said, too
RATE = 5e9  # additions and multiplications a second: what the native engine does on one core, about


def bytes_kept(lstm: LSTM, keep: Keep, time: int, batch: int, *, on_file: bool) -> int:
    """Return how many bytes a trace keeps; in a file, each cell's input is stored with what it kept."""
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
    """Return about how long a run takes."""
    work = sum(8.0 * cell.parameters.weight.size / 4 for row in lstm.layers for cell in row)
    return time * batch * work / RATE


def foretell(what: str, about: float, size: float = 0) -> None:
    """Say on standard error what work takes, where that is much.

    Parameters
    ----------
    what : str
        What it does, and what of `size`: "the run keeps 2 GiB of 100 steps".
    about : float
        Seconds.
    size : float
        Bytes.
    """
    if size > LARGE or about > LONG:
        long = f", and takes about {about:,.0f} s" if about > 1 else ""
        print(f"gatewise: {what}{long}", file=sys.stderr)
