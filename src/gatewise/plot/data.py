"""The records of pictures: `gatewise.plot.data.NAME` returns the record that `gatewise.plot.NAME` draws.

Examples
--------
>>> from gatewise.examples import latch
>>> trace = latch().trace()
>>> gw.plot.data.gates(trace[0]).values.shape
(7, 1)
"""

from __future__ import annotations

from typing import Any

from gatewise.plot.picture import PICTURES


def _records() -> dict[str, Any]:
    """Return the functions that compute records, by the names of their pictures, and the classes of the records."""
    classes = {picture.record.__name__: picture.record for picture in PICTURES.values()}
    return classes | {name: picture.data for name, picture in PICTURES.items()}


def __getattr__(name: str) -> Any:
    records = _records()
    if name not in records:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return records[name]


def __dir__() -> list[str]:
    return sorted(_records())
