"""Comma-separated text: a file, or what it holds, as rows of cells."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable

from gatewise.errors import FileError, reason
from gatewise.storage import readable

Row = tuple[int, list[str]]


def rows(
    path: str | os.PathLike[str], text: str | None = None, *, marks: str = ",", what: str = "comma-separated text"
) -> list[Row]:
    """Return the rows of a CSV file but for empty lines, each with the line that it begins on, from 1, and its cells.

    The text is UTF-8, with a byte order mark or without. Cells may stand in double quotes; blanks around them go.

    Parameters
    ----------
    path : path
    text : str, optional
        What the file holds, where it has been read already.
    marks : str
        What may stand between the columns; of several, the one that the first line has most of.
    what : str
        What the file must be; named in the error.

    Raises
    ------
    FileError
        If it cannot be read, or is not such text.
    """
    try:
        if text is not None:
            return _rows(io.StringIO(text, newline=""), marks[0])
        with open(readable(path), encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            return _rows(file, max(marks, key=first.count))
    except FileError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise FileError(f"cannot read {path}: it is not {what} ({reason(problem)})") from None


def _rows(lines: Iterable[str], mark: str) -> list[Row]:
    found, reader, begins = [], csv.reader(lines, delimiter=mark), 1
    for row in reader:
        cells = [cell.strip() for cell in row]
        if cells not in ([], [""]):
            found.append((begins, cells))
        begins = reader.line_num + 1
    return found
