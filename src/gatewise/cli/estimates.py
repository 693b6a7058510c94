"""What a run takes, said before it begins: memory and seconds; and that it goes on, while it does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gatewise.keep import Keep
from gatewise.layers import LSTM

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


def in_bytes(count: float) -> str:
    """Return a number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


@contextmanager
def waiting(expected: float, what: str) -> Iterator[None]:
    """Show on a terminal that work is going on, and since when, where it takes more than about a second."""
    if expected < 1 or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(f"tracing {what}", total=None)
        yield
