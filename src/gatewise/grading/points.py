"""What each line of an exercise is worth: a table of quantities and points, which the teacher may change."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from gatewise.errors import FileError
from gatewise.errors import shown as printed
from gatewise.files import storage, tables

MOST = 1e6
HEAD = "quantity"


def read(path: str | os.PathLike[str], asked: Sequence[str]) -> dict[str, float]:
    """Return the points of each line that is asked; one that the file leaves out counts nothing.

    A name without its step, such as ``f``, stands for the line of every step.

    Raises
    ------
    FileError
        If it cannot be read, names a line that is not asked, or has something else than points from 0.
    """
    source = storage.readable(path)
    content = storage.read_text(source)
    rows = [row for row in tables.rows(source, content) if any(row[1])]
    if rows and rows[0][1][0].lower() == HEAD:
        del rows[0]
    found: dict[str, float] = {}
    numbers = tables.numerals(source, content, [(line, cells[1:]) for line, cells in rows])
    for (line, (name, *_)), (_, cells) in zip(rows, numbers, strict=True):
        names = [one for one in asked if name in (one, one.partition("[")[0])]
        if name in asked:
            names = [name]
        if not names:
            allowed = ", ".join(asked if len(asked) <= 24 else [*asked[:20], "…", asked[-1]])
            told = f"line {line} has {printed(name, 40)!r}, which is not asked; allowed: {allowed}"
            raise FileError(f"cannot read {source}: {told}")
        if any(one in found for one in names):
            raise FileError(f"cannot read {source}: line {line} has {printed(name, 40)!r} again")
        found |= dict.fromkeys(names, _points(cells[0] if cells else "", f"cannot read {source}: line {line}"))
    if not any(found.values()):
        raise FileError(f"cannot read {source}: no line in it is worth any points")
    return dict.fromkeys(asked, 0.0) | found


def _points(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST or "_" in cell:
        raise FileError(f"{where} must have points from 0 to {MOST:,.0f}, not {printed(cell, 40)!r}")
    return value


def shown(value: float) -> str:
    """Return points as they are written: 3, or 2.5."""
    return f"{round(value, 6):.12g}"
