"""The points of each line of an exercise, from a table that the teacher may change."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from gatewise.errors import FileError
from gatewise.errors import shown as shorten
from gatewise.files import storage, tables
from gatewise.number_text import parse_number

MOST = 1e6
HEAD = "quantity"


def read(path: str | os.PathLike[str], asked: Sequence[str]) -> dict[str, float]:
    """Return the points of each asked line of an exercise, from a table; a line left out has none.

    A name without its step, such as ``f``, stands for the line of every step. Raise FileError if the table cannot be
    read, names a line that is not asked, or has points that are no numbers from 0.
    """
    source = storage.readable(path)
    content = storage.read_text(source, of_windows=True)
    rows = [row for row in tables.rows(source, content) if any(row[1])]
    if rows and rows[0][1][0].lower() == HEAD:
        del rows[0]
    points_by_line: dict[str, float] = {}
    numbers = tables.numerals(source, content, [(line, cells[1:]) for line, cells in rows])
    for (line, (name, *_)), (_, cells) in zip(rows, numbers, strict=True):
        lines = [name] if name in asked else [line_name for line_name in asked if line_name.partition("[")[0] == name]
        if not lines:
            allowed = ", ".join(asked if len(asked) <= 24 else [*asked[:20], "…", asked[-1]])
            fault = f"line {line} has {shorten(name, 40)!r}, which is not asked; allowed: {allowed}"
            raise FileError(f"cannot read {source}: {fault}")
        if any(line_name in points_by_line for line_name in lines):
            raise FileError(f"cannot read {source}: line {line} has {shorten(name, 40)!r} again")
        points_by_line |= dict.fromkeys(
            lines, _parse_points(cells[0] if cells else "", f"cannot read {source}: line {line}")
        )
    if not any(points_by_line.values()):
        raise FileError(f"cannot read {source}: no line in it is worth any points")
    return dict.fromkeys(asked, 0.0) | points_by_line


def _parse_points(cell: str, where: str) -> float:
    """Return the points in a cell of a teacher's table, or raise a FileError that begins with `where`."""
    try:
        value = parse_number(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:
        raise FileError(f"{where} must have points from 0 to {MOST:,.0f}, not {shorten(cell, 40)!r}")
    return value


def format_points(value: float) -> str:
    """Return points as text: 3, or 2.5."""
    return f"{round(value, 6):.12g}"
