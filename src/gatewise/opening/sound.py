"""Sound in .wav files as numbers between -1 and 1, and samples cut into frames."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError, importing, reason
from gatewise.files.storage import readable


def samples(path: Path) -> tuple[Array, int]:
    """Return the samples (time, channel) of a .wav file, and their number in a second.

    Those of integers (8, 16, 24 or 32 bits) are divided by the largest of their kind, so that they lie between -1 and
    1; floats are as they are.
    """
    source = readable(path)
    with importing("scipy", "reading .wav files needs"):
        from scipy.io import wavfile
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a file that ends early
            warnings.filterwarnings("ignore", message=r".*\(non-data\)")  # what other programs add to a file
            rate, data = wavfile.read(source)
    except Exception as problem:  # SciPy's and struct's errors, and warnings of its own
        raise FileError(f"cannot read {path}: it is not an intact .wav file ({reason(problem)})") from None
    if not data.size or rate <= 0:
        raise FileError(f"cannot read {path}: it holds no samples")
    values: Array = data.astype(np.float64)
    if data.dtype.kind == "u":
        values = (values - 128) / 128
    elif data.dtype.kind == "i":
        values = values / -float(np.iinfo(data.dtype).min)
    return values.reshape(len(values), -1), int(rate)


def frames(values: Array, frames: str | int | Sequence[int]) -> tuple[Array, int]:
    """Return samples of sound (time, 1) as rows (frame, size), and the samples between the beginnings of two rows.

    `frames` is SIZE, or SIZE,HOP: where rows overlap, the first begins with zeros and the last sample of each row is
    new. The last row is filled up with zeros.
    """
    text = frames if isinstance(frames, str) else ",".join(map(str, np.atleast_1d(frames)))
    parts = text.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(f"--frames must be SIZE or SIZE,HOP, in samples, not {text!r}")
    size, hop = int(parts[0]), int(parts[-1])
    if hop > size:
        raise OptionError(f"--frames would leave samples out: {hop} lie between frames of {size}")
    if values.ndim != 2 or values.shape[1] != 1:
        raise OptionError(
            f"--frames cuts sound of one channel, or a single column of numbers, not shape {values.shape}"
        )
    count = -(-len(values) // hop)
    padded = np.zeros((size - hop) + count * hop)
    padded[size - hop : size - hop + len(values)] = values[:, 0]
    rows: Any = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return rows[:count].copy(), hop
