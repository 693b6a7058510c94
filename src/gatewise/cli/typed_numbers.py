"""Numbers on the command line: with commas between them, or in a .csv or .npy file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gatewise.arrays import Array
from gatewise.cli.printing import print_notes
from gatewise.errors import FileError, OptionError, ShapeError, shown
from gatewise.files import tables
from gatewise.number_text import parse_number
from gatewise.opening.number_files import load_npy, read_csv
from gatewise.records.named_numbers import NamedNumbers
from gatewise.records.times import TimeRules

SUFFIXES = (".csv", ".npy")


def numbers_from(option: str, text: str, *, sort_time: bool = False) -> NamedNumbers:
    """Return the numbers of a command-line option, typed or in a file, in order of time; print notes on the times."""
    if text.lower().endswith(SUFFIXES):
        path = Path(text)
        data = read_csv(path) if text.lower().endswith(".csv") else load_npy(path)
    else:
        data = _parse_numbers(option, text)
    data = data.in_time_order(text, TimeRules(sort_time), FileError)
    print_notes(data.notes)
    if data.values.ndim not in (1, 2) or data.values.size == 0:
        raise ShapeError(f"{option} has shape {data.values.shape}; it must be one row of numbers, or (time, feature)")
    bad = ~np.isfinite(data.values)
    if bad.any():
        place = np.argwhere(bad)[0]
        value = data.values[tuple(place)]
        where = f"entry {place[-1]}" + (f" of row {place[0]}" if len(place) == 2 else "")
        raise OptionError(f"{option} must hold finite numbers, but {where} (counted from 0) is {value}")
    return data


def _parse_numbers(option: str, text: str) -> NamedNumbers:
    """Return the numbers typed for a command-line option, read by the same rule as a line of a table."""
    try:
        ((_, cells),) = tables.numerals(option, text, tables.rows(option, text))
        return NamedNumbers(np.array([parse_number(cell) for cell in cells]))
    except FileError as problem:
        raise OptionError(str(problem).removeprefix("cannot read ")) from None
    except ValueError:
        raise OptionError(
            f"{option} must be numbers with commas between them, or a .csv or .npy file, not {shown(text)!r}"
        ) from None


def vector(option: str, text: str) -> Array:
    """Return the numbers of a command-line option as one row; a file may hold it as a row or as a column."""
    values = numbers_from(option, text).values
    if values.ndim == 2 and 1 not in values.shape:
        raise ShapeError(f"{option} has shape {values.shape}; it must be one row of numbers")
    return values.reshape(-1)
