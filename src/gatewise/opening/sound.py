"""Sound in .wav files as numbers between -1 and 1, and samples cut into frames."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, quiet, require_memory
from gatewise.errors import FileError, OptionError, reason, shown
from gatewise.files.storage import guarded, nonempty
from gatewise.number_text import parse_integer

EXTENSIBLE = 0xFFFE  # a format whose number follows later
MAX_FRAME = 2**30  # samples of a row: hours of sound


@quiet
def samples(path: Path) -> tuple[Array, int]:
    """Return the samples (time, channel) of a .wav file, and their number in a second.

    Those of integers (8, 16, 24 or 32 bits) are divided by the largest of their kind, so that they lie between -1 and
    1; floats are as they are.
    """
    source = nonempty(path)
    with guarded(path), open(source, "rb") as file:
        try:
            data, rate = _stored_samples(file, source.stat().st_size)
        except (ValueError, struct.error) as problem:
            raise FileError(f"cannot read {path}: it is not an intact .wav file ({reason(problem)})") from None
    if not data.size or rate <= 0:
        raise FileError(f"cannot read {path}: it holds no samples")
    require_memory(data.size, 24, f"reading {path}")
    values: Array = data.astype(np.float64)
    if data.dtype.kind == "u":
        values = (values - 128) / 128
    elif data.dtype.kind == "i":
        values = values / -float(np.iinfo(data.dtype).min)
    return values, rate


def _stored_samples(file: BinaryIO, size: int) -> tuple[npt.NDArray[Any], int]:
    """Return the samples (time, channel) of an open .wav file, and their number in a second, or raise ValueError.

    A file is a list of chunks, each a name, a length and that many bytes; the format comes before the samples.
    """
    kind, length, form = struct.unpack("<4sI4s", file.read(12))
    order = ">" if kind == b"RIFX" else "<"
    if kind not in (b"RIFF", b"RIFX", b"RF64") or form != b"WAVE":
        raise ValueError("it does not begin as one")
    if kind != b"RF64" and struct.unpack(f"{order}I", struct.pack("<I", length))[0] + 8 > size:
        raise ValueError("it ends early")
    layout, large = b"", 0
    while True:
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        begin = file.tell()
        if name == b"data" and kind == b"RF64" and length == 2**32 - 1:
            length = large
        if length > size - begin:
            raise ValueError(f"a part of it should have {length:,} bytes, and there are {size - begin:,}")
        if name == b"data":
            return _parse_samples(file, length, order, layout)
        content = file.read(min(length, 40))
        if name == b"ds64":
            (large,) = struct.unpack_from("<Q", content, 8)
        elif name == b"fmt ":
            layout = content
        file.seek(begin + length + length % 2)


def _parse_samples(file: BinaryIO, length: int, order: str, layout: bytes) -> tuple[npt.NDArray[Any], int]:
    """Return the next bytes of a .wav file as samples, and the rate; `layout` is the content of its format chunk."""
    tag, channels, rate, _, block, bits = struct.unpack_from(f"{order}HHIIHH", layout)
    if tag == EXTENSIBLE and len(layout) == 40:
        (tag,) = struct.unpack_from(f"{order}H", layout, 24)
    width = block // channels if channels else 0
    kind = {1: "u" if bits <= 8 else "i", 3: "f"}.get(tag, "?") + str(width)
    if kind not in ("u1", "i2", "i3", "i4", "i8", "f4", "f8") or block != channels * width or bits > 8 * width:
        raise ValueError(f"its samples have {bits} bits in the format {tag}; integers and floats are read")
    if length % block:
        raise ValueError(f"its samples take {block} bytes each, and {length:,} bytes are there")
    if kind != "i3":
        return np.fromfile(file, f"{order}{kind}", length // width).reshape(-1, channels), rate
    padded = np.zeros((length // 3, 4), np.uint8)  # the lowest byte is zero
    first = 1 if order == "<" else 0
    padded[:, first : first + 3] = np.fromfile(file, np.uint8, length).reshape(-1, 3)
    return padded.view(f"{order}i4").reshape(-1, channels), rate


def frames(values: Array, frames: str | int | Sequence[int]) -> tuple[Array, int]:
    """Return samples of sound (time, 1) as rows (frame, size), and the samples between the beginnings of two rows.

    `frames` is SIZE, or SIZE,HOP: where rows overlap, the first begins with zeros and the last sample of each row is
    new. The last row is filled up with zeros.
    """
    text = frames if isinstance(frames, str) else ",".join(map(str, np.atleast_1d(frames)))
    parts = text.split(",")
    try:
        size, hop = parse_integer(parts[0]), parse_integer(parts[-1])
    except ValueError:
        size = hop = 0
    if len(parts) > 2 or min(size, hop) < 1:
        raise OptionError(f"--frames must be SIZE or SIZE,HOP, in samples, not {shown(text)!r}")
    if hop > size:
        raise OptionError(f"--frames would skip samples: its HOP, {hop}, must be at most its SIZE, {size}")
    if size > MAX_FRAME:
        raise OptionError(f"--frames may have at most {MAX_FRAME:,} samples in a row, not {size:,}")
    if values.ndim != 2 or values.shape[1] != 1:
        raise OptionError(f"--frames needs sound of one channel, or one column of numbers, not shape {values.shape}")
    count = -(-len(values) // hop)
    require_memory(count * (size + hop), 8, f"rows of {size:,} samples")
    padded = np.zeros((size - hop) + count * hop)
    padded[size - hop : size - hop + len(values)] = values[:, 0]
    rows: Any = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return rows[:count].copy(), hop
