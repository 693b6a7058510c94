"""Sheets of numbers by name: JSON, CSV and NumPy archives, with the digits that were written."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import FileError, one_of
from gatewise.storage import readable

SUFFIXES = (".json", ".csv", ".npz")
LARGEST = 64 << 20  # bytes of a sheet; no person fills a larger one
MOST_DIGITS = 15  # that a double holds
_HEADS = ("quantity", "name")  # of a first line of column heads
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")  # no nan, no inf, no underscores


@dataclass(frozen=True, eq=False)
class Answer:
    """The numbers written for one quantity.

    Attributes
    ----------
    values : array
        NaN where nothing is written.
    tolerance : array
        Half of the last digit written, of each.
    place : str
        Where they stand: ``line 3``, or the quantity's name.
    """

    values: Array
    tolerance: Array
    place: str

    @property
    def blank(self) -> bool:
        """Whether nothing is written."""
        return bool(np.isnan(self.values).all())


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a file holds: answers by name, and what stands beside them.

    Attributes
    ----------
    answers : dict of str to Answer
    source : str
        The file's name.
    more : dict
        Of a JSON file that holds more than answers: the rest.
    """

    answers: dict[str, Answer]
    source: str
    more: dict[str, Any] = field(default_factory=dict)


def read(path: str | os.PathLike[str], part: str = "answers") -> Sheet:
    """Return the numbers of a sheet; of a JSON file with an object called `part`, those in it.

    Raises
    ------
    FileError
        If it cannot be read, or holds something that is not a finite number.
    """
    source = readable(path)
    suffix = source.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileError(f"cannot read {source}: a sheet is a file ending in {', '.join(SUFFIXES)}")
    if source.stat().st_size > LARGEST:
        raise FileError(f"cannot read {source}: a sheet has at most {LARGEST >> 20} MiB")
    if suffix == ".npz":
        sheet = Sheet(_npz(source), str(source))
    else:
        try:
            text = source.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise FileError(f"cannot read {source}: it is not text in UTF-8") from None
        sheet = Sheet(_csv(source, text), str(source)) if suffix == ".csv" else _json(source, text, part)
    if not sheet.answers:
        raise FileError(f"cannot read {source}: it holds no quantity")
    return sheet


def of_mapping(given: Mapping[str, npt.ArrayLike], digits: int | None = None) -> Sheet:
    """Return a sheet of arrays by name; `digits` says to how many decimals they are rounded."""
    arrays = {}
    for name, values in given.items():
        try:
            array = np.asarray(values)
            arrays[str(name)] = array if array.dtype.kind == "f" else array.astype(np.float64)
        except (TypeError, ValueError):
            raise FileError(f"the answer {name!r} must be numbers, all rows equally long") from None
        if np.isinf(arrays[str(name)]).any():
            raise FileError(f"the answer {name!r} must hold finite numbers")
    return Sheet(_of_arrays(arrays, digits), "the answers")


def _of_arrays(arrays: Mapping[str, npt.NDArray[Any]], digits: int | None = None) -> dict[str, Answer]:
    """Return the answers that arrays hold.

    How many decimals were written is not kept in an array; they are taken to be as many as the longest number of all
    needs. What was computed in single precision is right within its rounding.
    """
    if digits is None:
        written = [_decimals(str(value)) for array in arrays.values() for value in array.reshape(-1) if value == value]
        digits = min(max(written, default=0), MOST_DIGITS)
    answers = {}
    for name, array in arrays.items():
        tolerance = np.full(array.shape, 0.5 * 10.0**-digits)
        if array.dtype.itemsize < 8:
            tolerance = np.maximum(tolerance, 16 * np.finfo(array.dtype).eps * np.maximum(np.abs(array), 1e-2))
        answers[name] = Answer(array.astype(np.float64), tolerance.astype(np.float64), name)
    return answers


def _decimals(text: str) -> int:
    exponent = Decimal(text).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


# JSON.


def _json(source: Path, text: str, part: str) -> Sheet:
    def number(token: str) -> Decimal:
        return Decimal(token)

    def constant(token: str) -> Any:
        raise FileError(f"cannot read {source}: {token} is not a finite number (null stands for a blank)")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        for name in names:
            if names.count(name) > 1:
                raise FileError(f"cannot read {source}: line {_line_of(text, name, last=True)} has {name!r} again")
        return dict(items)

    if not text.strip():
        raise FileError(f"cannot read {source}: it is empty")
    try:
        data = json.loads(text, parse_float=number, parse_int=number, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as problem:
        raise FileError(f"cannot read {source}: line {problem.lineno} is not JSON ({problem.msg})") from None
    except (RecursionError, InvalidOperation, ValueError) as problem:
        raise FileError(f"cannot read {source}: it is not JSON that holds numbers ({type(problem).__name__})") from None
    if not isinstance(data, dict):
        raise FileError(f'cannot read {source}: it must be an object of quantities, like {{"f": [0.49, 0.5]}}')
    more: dict[str, Any] = {}
    if isinstance(data.get(part), dict):
        more = {key: value for key, value in data.items() if key != part}
        data = data[part]
    answers = {}
    for name, value in data.items():
        place = f"line {_line_of(text, name)}"
        answers[name] = _nested(source, name, value, place)
    return Sheet(answers, str(source), more)


def _line_of(text: str, name: str, last: bool = False) -> int:
    """Return the line in which a key of a JSON text stands."""
    token = json.dumps(name)
    found = text.rfind(token) if last else text.find(token)
    if found < 0:
        token = json.dumps(name, ensure_ascii=False)
        found = text.rfind(token) if last else text.find(token)
    return text.count("\n", 0, max(found, 0)) + 1


def _nested(source: Path, name: str, value: Any, place: str) -> Answer:
    """Return the answer that nested lists of numbers and nulls hold."""
    if value is None:
        return Answer(np.array(np.nan), np.array(0.0), place)
    shape: list[int] = []
    inner = value
    while isinstance(inner, list) and len(shape) < 4:
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = value if shape else [value]
    for size in shape[1:]:
        if not all(isinstance(row, list) and len(row) == size for row in flat):
            raise FileError(f"cannot read {source}: {place}: the rows of {name!r} are not equally long")
        flat = [one for row in flat for one in row]
    for one in flat:
        if one is not None and not isinstance(one, Decimal):
            kind = "a list" if isinstance(one, list) else json.dumps(one, default=str)
            raise FileError(f"cannot read {source}: {place}: {name!r} holds {kind}, which is not a number")
    return _answer(source, name, flat, tuple(shape), place)


def _answer(source: Path, name: str, flat: list[Decimal | None], shape: tuple[int, ...], place: str) -> Answer:
    values = np.array([math.nan if one is None else float(one) for one in flat], dtype=np.float64)
    if np.isinf(values).any():
        raise FileError(f"cannot read {source}: {place}: {name!r} holds a number that is too large")
    tolerance = np.array([0.0 if one is None else 0.5 * 10.0 ** -_written(one) for one in flat], dtype=np.float64)
    return Answer(values.reshape(shape), tolerance.reshape(shape), place)


def _written(number: Decimal) -> int:
    """Return how many decimals are written of a number; negative where its last digit stands for tens or more."""
    exponent = number.as_tuple().exponent
    return max(-300, min(-exponent, 300)) if isinstance(exponent, int) else 0


# CSV: a line a vector, its name first; lines of one name that follow each other are the rows of a matrix.


def _csv(source: Path, text: str) -> dict[str, Answer]:
    lines: dict[str, list[tuple[int, list[Decimal | None]]]] = {}
    last = None
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as problem:
        raise FileError(f"cannot read {source}: it is not comma-separated text ({problem})") from None
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (not lines and cells[0].lower() in _HEADS):
            continue
        name = cells[0]
        if not name:
            raise FileError(f"cannot read {source}: line {number} has no name of a quantity before its numbers")
        if name in lines and name != last:
            raise FileError(f"cannot read {source}: line {number} has {name!r} again")
        last = name
        lines.setdefault(name, []).append((number, [_cell(source, number, cell) for cell in cells[1:]]))
    answers = {}
    for name, found in lines.items():
        first = found[0][0]
        width = max(len(row) for _, row in found)
        if width == 0:
            answers[name] = Answer(np.array(np.nan), np.array(0.0), f"line {first}")
            continue
        table = [[*row, *[None] * (width - len(row))] for _, row in found]
        flat = [cell for row in table for cell in row]
        shape = (width,) if len(table) == 1 else (len(table), width)
        answers[name] = _answer(source, name, flat, shape, f"line {first}")
    return answers


def _cell(source: Path, number: int, cell: str) -> Decimal | None:
    if cell.strip("_ ") == "":
        return None
    if not _NUMBER.fullmatch(cell):
        raise FileError(f"cannot read {source}: line {number} has {cell!r}, which is not a number")
    return Decimal(cell)


# NumPy archives.


def _npz(source: Path) -> dict[str, Answer]:
    try:
        with zipfile.ZipFile(source) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise FileError(f"cannot read {source}: unpacked, a sheet has at most {LARGEST >> 20} MiB")
        with np.load(source, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except FileError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, MemoryError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise FileError(f"cannot read {source}: it is not a whole .npz file ({reason})") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise FileError(f"cannot read {source}: {name!r} must be numbers, but is of type {array.dtype}")
        if np.isinf(array).any():
            raise FileError(f"cannot read {source}: {name!r} must hold finite numbers")
    return _of_arrays(
        {name: array if array.dtype.kind == "f" else array.astype(np.float64) for name, array in arrays.items()}
    )


def suffix_of(path: Path) -> str:
    """Return which kind of sheet a name asks for."""
    return one_of("kind of sheet", path.suffix.lower(), SUFFIXES)
