"""Sheets of named numbers: JSON, CSV and NumPy archives, with the number of digits that were written."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise import tables
from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError, one_of
from gatewise.render.text import clean
from gatewise.storage import npz_names, read_npz, read_text, readable

SUFFIXES = (".json", ".csv", ".npz")
LARGEST = 16 << 20  # bytes of a sheet; nobody fills in a larger one
MOST_NUMBERS = 2_000_000  # of one quantity
SINGLE = 16 * float(np.finfo(np.float32).eps)  # how far off, relatively, single precision may be
SMALL = 1e-2  # below this, the error of a sum in single precision is that of its terms
MOST_DIGITS = 15  # decimal digits that a double holds
_HEADS = ("quantity", "name")  # the first cell of a line of column heads
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")  # no nan, no inf, no underscores
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


@dataclass(frozen=True, eq=False)
class Answer:
    """The numbers written for one quantity.

    Attributes
    ----------
    values : array
        NaN where nothing is written.
    tolerance : array
        Half of the last digit written of each number.
    place : str
        Where they are: ``line 3``, or the quantity's name.
    """

    values: Array
    tolerance: Array
    place: str

    @property
    def blank(self) -> bool:
        """Whether nothing is written."""
        return bool(np.isnan(self.values).all())


@dataclass(frozen=True)
class Fault:
    """What on a sheet could not be read; it costs that line alone.

    Attributes
    ----------
    place : str
        Where it is: ``line 3``, or empty where there are no lines.
    name : str
        The quantity that it is about, as it was written; empty where that is unknown.
    says : str
        What is wrong, without a full stop.
    """

    place: str
    name: str
    says: str

    def __str__(self) -> str:
        return f"{self.place}: {self.says}" if self.place else self.says


@dataclass(frozen=True, eq=False)
class Sheet:
    """The content of a file: answers by name, and whatever else it holds.

    Attributes
    ----------
    answers : dict of str to Answer
    source : str
        The file's name.
    single : bool
        Whether it was computed in single precision.
    more : dict
        In a JSON file with an object of answers, everything beside it.
    faults : tuple of Fault
        What could not be read.
    """

    answers: dict[str, Answer]
    source: str
    single: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def read(path: str | os.PathLike[str], part: str = "answers") -> Sheet:
    """Return the numbers of a sheet; in a JSON file with an object called `part`, only those in it.

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
        raise FileError(f"cannot read {source}: a sheet may have at most {LARGEST >> 20} MiB")
    if suffix == ".npz":
        sheet = _npz(source)
    else:
        text = read_text(source)
        sheet = _settled(Sheet(_csv(source, text), str(source)) if suffix == ".csv" else _json(source, text, part))
    if not sheet.answers:
        raise FileError(f"cannot read {source}: there is no quantity in it")
    return sheet


def of_mapping(given: Mapping[str, npt.ArrayLike], digits: int | None = None) -> Sheet:
    """Return a sheet of named arrays; `digits` says to how many decimals they are rounded."""
    if digits is not None and (isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 300):
        raise OptionError(f"digits must be an integer from 0 to 300, not {digits!r}")
    arrays = {}
    for key, values in given.items():
        name = _shown(str(key))
        try:
            array = np.asarray(values)
            if array.dtype.kind in "iuO":  # None stands for a blank
                array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            raise FileError(f"the answer {name} must be numbers, all rows equally long") from None
        if array.dtype.kind != "f":
            raise FileError(f"the answer {name} must be numbers, but is of type {array.dtype}")
        if np.isinf(array).any():
            raise FileError(f"the answer {name} must hold finite numbers")
        arrays[str(key)] = array
    return _of_arrays(arrays, "the answers", digits)


def _of_arrays(arrays: Mapping[str, npt.NDArray[Any]], source: str, digits: int | None = None) -> Sheet:
    """Return a sheet of arrays.

    An array does not say to how many decimals it was rounded; that is taken to be as many as its longest number needs,
    or, for an array of zeros, the longest number of all arrays.
    """
    needed = {
        name: max((_decimals(str(value)) for value in array.reshape(-1) if value == value and value), default=None)
        for name, array in arrays.items()
    }
    most = max((one for one in needed.values() if one is not None), default=0)
    answers = {}
    for name, array in arrays.items():
        found = needed[name] if digits is None else digits
        decimals = min(most if found is None else found, MOST_DIGITS)
        with np.errstate(over="ignore"):
            values = array.astype(np.float64)
        if np.isinf(values).any():
            raise FileError(f"{source}: {_shown(name)} holds a number that is too large")
        answers[name] = Answer(values, np.full(array.shape, 0.5 * 10.0**-decimals), name)
    single = bool(arrays) and all(array.dtype.itemsize < 8 for array in arrays.values())
    return _in_single(Sheet(answers, source)) if single else _settled(Sheet(answers, source))


def _settled(sheet: Sheet) -> Sheet:
    """Return a sheet with the tolerance of single precision if all its numbers are written as float32 numbers are."""
    values = np.concatenate([answer.values.reshape(-1) for answer in sheet.answers.values()] or [np.zeros(0)])
    tolerances = np.concatenate([answer.tolerance.reshape(-1) for answer in sheet.answers.values()] or [np.zeros(0)])
    written = np.isfinite(values) & (values != 0)
    values, tolerances = values[written], tolerances[written]
    if len(values) < 2 or np.median(tolerances) > 1e-8 or np.abs(values).max() > 1e30:
        return sheet
    rounded = values.astype(np.float32)
    shortest = np.array([float(str(value)) for value in rounded])
    return _in_single(sheet) if ((values == rounded) | (values == shortest)).all() else sheet


def _in_single(sheet: Sheet) -> Sheet:
    answers = {
        name: replace(answer, tolerance=np.maximum(answer.tolerance, single(answer.values)))
        for name, answer in sheet.answers.items()
    }
    return replace(sheet, answers=answers, single=True)


def single(values: Array) -> Array:
    """Return how far off numbers computed in single precision may be."""
    found: Array = SINGLE * np.maximum(np.nan_to_num(np.abs(values)), SMALL)
    return found


def _shown(text: str) -> str:
    """Return text in quotes, shortened if it is long."""
    return repr(clean(text[:60]) + ("…" if len(text) > 60 else ""))


def _decimals(text: str) -> int:
    """Return how many decimals a number has; an integer has none."""
    exponent = Decimal(text).as_tuple().exponent
    whole = text.endswith(".0")
    return 0 if whole or not isinstance(exponent, int) else -exponent


# JSON.


def _json(source: Path, text: str, part: str) -> Sheet:
    def constant(token: str) -> Any:
        line = text.count("\n", 0, text.find(token)) + 1
        raise FileError(
            f"cannot read {source}: line {line} has {token}, which is not a finite number (null stands for a blank)"
        )

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for name, _ in items:
            if name in seen:
                raise FileError(f"cannot read {source}: line {_lines(text).get(name, 1)} has {_shown(name)} again")
            seen.add(name)
        return dict(items)

    if not text.strip():
        raise FileError(f"cannot read {source}: it is empty")
    try:
        data = json.loads(
            text, parse_float=Decimal, parse_int=Decimal, parse_constant=constant, object_pairs_hook=pairs
        )
    except json.JSONDecodeError as problem:
        raise FileError(f"cannot read {source}: line {problem.lineno} is not JSON ({problem.msg})") from None
    except RecursionError:
        raise FileError(f"cannot read {source}: it is not JSON of numbers: its lists are nested too deeply") from None
    except (InvalidOperation, ValueError) as problem:
        raise FileError(f"cannot read {source}: it is not JSON that holds numbers ({type(problem).__name__})") from None
    if not isinstance(data, dict):
        raise FileError(f'cannot read {source}: it must be an object of quantities, like {{"f": [0.49, 0.5]}}')
    more: dict[str, Any] = {}
    if isinstance(data.get(part), dict):
        more = {key: value for key, value in data.items() if key != part}
        data = data[part]
    lines = _lines(text)
    answers = {name: _nested(source, name, value, f"line {lines.get(name, 1)}") for name, value in data.items()}
    return Sheet(answers, str(source), more=more)


def _lines(text: str) -> dict[str, int]:
    """Return the line of each key in a JSON text; for a repeated key, the last one."""
    found, line, at = dict[str, int](), 1, 0
    for match in _KEY.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        with suppress(ValueError):  # within a text that only looks like a key
            found[json.loads(f'"{match[1]}"')] = line
    return found


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
            raise FileError(f"cannot read {source}: {place}: the rows of {_shown(name)} are not equally long")
        flat = [one for row in flat for one in row]
    for one in flat:
        if one is not None and not isinstance(one, Decimal):
            kind = "a list" if isinstance(one, list) else json.dumps(one, default=str)[:60]
            raise FileError(f"cannot read {source}: {place}: {_shown(name)} holds {kind}, which is not a number")
    return _answer(source, name, flat, tuple(shape), place)


def _answer(source: Path, name: str, flat: list[Decimal | None], shape: tuple[int, ...], place: str) -> Answer:
    values = np.array([math.nan if one is None else float(one) for one in flat], dtype=np.float64)
    if np.isinf(values).any():
        raise FileError(f"cannot read {source}: {place}: {_shown(name)} holds a number that is too large")
    tolerance = np.array([0.0 if one is None else 0.5 * 10.0 ** -_written(one) for one in flat], dtype=np.float64)
    return Answer(values.reshape(shape), tolerance.reshape(shape), place)


def _written(number: Decimal) -> int:
    """Return how many decimals a number is written with; negative where its last digit stands for tens or more."""
    exponent = number.as_tuple().exponent
    if number == 0 and isinstance(exponent, int):
        exponent = min(exponent, 0)
    return max(-300, min(-exponent, 300)) if isinstance(exponent, int) else 0


# CSV: a line is a vector with its name first; consecutive lines with one name are the rows of a matrix.


def _csv(source: Path, text: str) -> dict[str, Answer]:
    lines: dict[str, list[tuple[int, list[Decimal | None]]]] = {}
    last = None
    rows = [
        (number, cells) for number, cells in tables.rows(source, text) if any(cells) and not cells[0].startswith("#")
    ]
    if rows and rows[0][1][0].lower() in _HEADS:
        del rows[0]
    written = tables.numerals(source, text, [(number, cells[1:]) for number, cells in rows])
    for (number, (name, *_)), (_, numbers) in zip(rows, written, strict=True):
        if not name:
            raise FileError(f"cannot read {source}: line {number} does not start with the name of a quantity")
        if name in lines and name != last:
            raise FileError(f"cannot read {source}: line {number} has {_shown(name)} again")
        last = name
        lines.setdefault(name, []).append((number, [_cell(source, number, cell) for cell in numbers]))
    answers = {}
    for name, found in lines.items():
        first = found[0][0]
        width = max(len(row) for _, row in found)
        if width * len(found) > MOST_NUMBERS:
            raise FileError(
                f"cannot read {source}: line {first}: {_shown(name)} has more than {MOST_NUMBERS:,} numbers"
            )
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
        raise FileError(f"cannot read {source}: line {number} has {_shown(cell)}, which is not a number")
    return Decimal(cell)


# NumPy archives.


def _npz(source: Path) -> Sheet:
    arrays = read_npz(source, npz_names(source), most=LARGEST)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise FileError(f"cannot read {source}: {_shown(name)} must be numbers, but is of type {array.dtype}")
        if np.isinf(array).any():
            raise FileError(f"cannot read {source}: {_shown(name)} must hold finite numbers")
    floats = {name: array if array.dtype.kind == "f" else array.astype(np.float64) for name, array in arrays.items()}
    return _of_arrays(floats, str(source))


def suffix_of(path: Path) -> str:
    """Return which the ending of a sheet's name a name asks for."""
    return one_of("the ending of a sheet's name", path.suffix.lower(), SUFFIXES)
