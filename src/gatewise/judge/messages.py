"""Messages to an engine's process and back: settings and arrays, without pickles."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
MAX_MESSAGE = 2**31  # bytes that an engine's process may send at once


@dataclass
class CaseMessage:
    """Plain settings, and arrays by name."""

    settings: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, AnyArray] = field(default_factory=dict)


def write_message(stream: IO[bytes], message: CaseMessage) -> None:
    """Write a message to a pipe."""
    body = io.BytesIO()
    np.savez(body, **{f"_{name}": array for name, array in message.arrays.items()})  # type: ignore[arg-type]
    settings, arrays = json.dumps(message.settings).encode(), body.getvalue()
    stream.write(struct.pack("<QQ", len(settings), len(arrays)) + settings + arrays)
    stream.flush()


def read_message(stream: IO[bytes]) -> CaseMessage | None:
    """Return the next message of a pipe, or None if the other end is closed.

    Raises
    ------
    ValueError
        If the bytes are no message.
    """
    head = _exactly(stream, 16)
    if head is None:
        return None
    sizes = struct.unpack("<QQ", head)
    if sum(sizes) > MAX_MESSAGE:
        raise ValueError("the message is too long")
    settings, body = (_exactly(stream, size) for size in sizes)
    if settings is None or body is None:
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return CaseMessage(json.loads(settings), {name[1:]: arrays[name] for name in arrays.files})


def _exactly(stream: IO[bytes], count: int) -> bytes | None:
    """Return so many bytes of a pipe, or None if it ends before."""
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
