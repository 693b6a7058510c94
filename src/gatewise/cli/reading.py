"""What a person types or names in place of numbers: a comma-separated token, or a .csv or .npy file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatewise.arrays import Array, numbers
from gatewise.errors import FileError, OptionError, ShapeError
from gatewise.storage import readable

SUFFIXES = (".csv", ".npy")
TIMES = ("", "time", "times", "date", "datetime", "timestamp", "step", "t", "index")  # heads of a column of times


@dataclass(frozen=True, eq=False)
class Given:
    """Numbers with the names that came with them.

    Attributes
    ----------
    values : array
        One dimension for a vector, two (time, feature) for a sequence.
    features, times : tuple of str or None
    """

    values: Array
    features: tuple[str, ...] | None = None
    times: tuple[str, ...] | None = None


def read(what: str, text: str) -> Given:
    """Return the numbers that `text` holds or names.

    Raises
    ------
    FileError
        If a file cannot be read.
    OptionError
        If something is not a finite number.
    """
    if text.lower().endswith(SUFFIXES):
        given = _csv(Path(text)) if text.lower().endswith(".csv") else Given(_npy(Path(text)))
    else:
        try:
            given = Given(np.array([float(number) for number in text.split(",")]))
        except ValueError:
            raise OptionError(
                f"{what} must be numbers with commas between them, or a .csv or .npy file, not {text!r}"
            ) from None
    if given.values.ndim not in (1, 2) or given.values.size == 0:
        raise ShapeError(f"{what} has shape {given.values.shape}; it must be one row of numbers, or (time, feature)")
    if not np.isfinite(given.values).all():
        place = np.argwhere(~np.isfinite(given.values))[0]
        value = given.values[tuple(place)]
        where = f"entry {place[-1]}" + (f" of row {place[0]}" if len(place) == 2 else "")
        raise OptionError(f"{what} must hold finite numbers, but {where} (counted from 0) is {value}")
    return given


def vector(what: str, text: str) -> Array:
    """Return one row of numbers; a file may hold it as a row or as a column."""
    values = read(what, text).values
    if values.ndim == 2 and 1 not in values.shape:
        raise ShapeError(f"{what} has shape {values.shape}; it must be one row of numbers")
    return values.reshape(-1)


def _npy(path: Path) -> Array:
    readable(path)
    try:
        # Mapped, so that a shape the file cannot hold is refused before memory is taken for it.
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError) as problem:
        raise FileError(f"cannot read {path}: it is not a whole .npy file ({_first_line(problem)})") from None
    if not isinstance(loaded, np.ndarray):
        raise FileError(f"cannot read {path}: it is an archive of several arrays; give a .npy file with one")
    return np.array(numbers(str(path), loaded))


def _csv(path: Path) -> Given:
    readable(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(csv.reader(file), 1)]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise FileError(f"cannot read {path}: it is not comma-separated text ({_first_line(problem)})") from None
    rows = [(number, row) for number, row in rows if row not in ([], [""])]
    if not rows:
        raise FileError(f"cannot read {path}: it holds no row")
    heads = None
    if not any(_is_number(cell) for cell in rows[0][1]) and any(rows[0][1]):
        heads, rows = rows[0][1], rows[1:]
        if not rows:
            raise FileError(f"cannot read {path}: it holds names of columns and no row of numbers with commas")
    width = len(heads or rows[0][1])
    times: list[str] | None = [] if heads is not None and width > 1 and _are_times(heads[0], rows[0][1][0]) else None
    values = []
    for number, row in rows:
        if len(row) != width:
            raise FileError(f"cannot read {path}: line {number} has {len(row)} entries, not {width}")
        if times is not None:
            times.append(row[0])
            row = row[1:]
        try:
            values.append([float(cell) for cell in row])
        except ValueError:
            wrong = next(cell for cell in row if not _is_number(cell))
            raise FileError(f"cannot read {path}: line {number} has {wrong!r}, which is not a number") from None
    if times is not None and heads is not None:
        heads = heads[1:]
    return Given(np.array(values), tuple(heads) if heads else None, tuple(times) if times is not None else None)


def _are_times(head: str, first: str) -> bool:
    """Tell whether a first column holds times and not a feature: by its name, by having none, or by its entries."""
    return head.lower() in TIMES or not _is_number(first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
