"""Readers of sheets of named numbers: text in any layout, JSON, workbooks, notebooks and NumPy archives."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.errors import FileError, OptionError
from gatewise.files.storage import npz_names, read_npz, read_text, readable
from gatewise.files.workbook import worksheets
from gatewise.grading import foreign, notebooks
from gatewise.grading.answers import Fault as Fault
from gatewise.grading.answers import Sheet as Sheet
from gatewise.grading.answers import SheetAnswer as SheetAnswer
from gatewise.grading.answers import SheetBuilder, answer_of, quoted, short
from gatewise.grading.numerals import DecimalMarks, Nested, parse_numbers

EMPTY = (".json", ".csv", ".npz")  # of an empty sheet to fill in
SUFFIXES = (*EMPTY, ".xlsx", ".ipynb", ".tsv", ".txt", ".md")
LARGEST = 16 << 20  # bytes of a sheet; nobody fills in a larger one
MOST_DIGITS = 15  # decimal digits that a double holds
_IN_A_NAME = re.compile(r"(_\{?\w),[ ]?((?:raw|u|w)\b|\w{1,6}\})")  # a comma within a name: a_f,raw or a_{f,0}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<literal>[^\s\[\]{},:"]+(?: +[^\s\[\]{},:"]+)*)')
_JSON_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity")
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


def read(path: str | os.PathLike[str], part: str = "answers") -> Sheet:
    """Return the numbers of a sheet; in a JSON file with an object called `part`, only those in it.

    Single lines that cannot be read become its faults; raise FileError if nothing can be read.
    """
    source = readable(path)
    suffix = source.suffix.lower()
    if source.stat().st_size > LARGEST:
        raise FileError(f"cannot read {source}: a sheet may have at most {LARGEST >> 20} MiB")
    content = foreign.kind_of(source)
    if suffix in SUFFIXES and content and not (suffix in (".npz", ".xlsx") and content == ".zip"):
        suffix = content  # a workbook or a photo, say, that is called .csv
    if refusal := foreign.refusal_of(suffix):
        raise FileError(f"cannot read {source}: {refusal}")
    if suffix not in SUFFIXES:
        raise FileError(f"cannot read {source}: a sheet is a file ending in {', '.join(SUFFIXES)}")
    if not source.stat().st_size:
        raise FileError(f"cannot read {source}: it is empty")
    if suffix == ".npz":
        sheet = _read_archive(source)
    elif suffix == ".json":
        sheet = _read_json_sheet(source, part)
    elif suffix == ".ipynb":
        sheet = _read_notebook(source)
    elif suffix == ".xlsx":
        sheet = _read_workbook(source)
    else:
        filled = SheetBuilder()
        filled.add_text(source, _IN_A_NAME.sub(r"\1_\2", read_text(source, of_windows=True)))
        sheet = filled.sheet(source)
    if not sheet.answers:
        why = str(sheet.faults[0]) if sheet.faults else "there is no quantity in it"
        raise FileError(f"cannot read {source}: {why}")
    return sheet


def _read_archive(source: Path) -> Sheet:
    """Return the arrays in an .npz file that hold numbers; each other one is a fault of the sheet."""
    arrays, faults = {}, []
    for name in npz_names(source):
        try:
            array = read_npz(source, [name], most=LARGEST)[name]
            if says := _reason_against(array):
                raise FileError(f"{quoted(name)} {says}")
            arrays[name] = array
        except FileError as problem:
            faults.append(Fault("", short(name), str(problem).removeprefix(f"cannot read {source}: ")))
    return replace(_sheet_of_arrays(arrays, str(source)), faults=tuple(faults))


def _read_workbook(source: Path) -> Sheet:
    """Return the numbers in all worksheets of an Excel workbook."""
    filled = SheetBuilder()
    for number, (name, text) in enumerate(worksheets(source)):
        filled.place = f"{short(name)}, line" if number else "line"
        filled.add_text(source, _IN_A_NAME.sub(r"\1_\2", text), "\t")
    return filled.sheet(source)


def _read_notebook(source: Path) -> Sheet:
    """Return the numbers in the notebook of an exercise."""
    try:
        text = notebooks.text_of(read_text(source))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise FileError(f"cannot read {source}: it is not an intact notebook") from None
    if not text.strip():
        raise FileError(f"cannot read {source}: it is not the notebook that was handed out; {foreign.COPY}")
    filled = SheetBuilder("cell")
    filled.add_text(source, text, "\t")
    return filled.sheet(source)


def sheet_of_mapping(arrays_by_name: Mapping[str, npt.ArrayLike], digits: int | None = None) -> Sheet:
    """Return a sheet of named arrays; `digits` says to how many decimals they are rounded."""
    if digits is not None and (isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 300):
        raise OptionError(f"digits must be an integer from 0 to 300, not {digits!r}")
    arrays = {}
    for name, values in arrays_by_name.items():
        try:
            array = np.asarray(values)
            arrays[str(name)] = array.astype(np.float64) if array.dtype.kind == "O" else array  # None is a blank
        except (TypeError, ValueError, OverflowError):
            raise FileError(f"the answer {quoted(str(name))} must be numbers, all rows equally long") from None
    for name, array in arrays.items():
        if says := _reason_against(array):
            raise FileError(f"the answer {quoted(name)} {says}")
    return _sheet_of_arrays(arrays, "the answers", digits)


def _reason_against(array: npt.NDArray[Any]) -> str:
    """Return why an array is no answer: it holds other things than finite numbers, or too large ones; else nothing."""
    if array.dtype.kind not in "fiu":
        return f"must be numbers, but is of type {array.dtype}"
    if np.isinf(array).any():
        return "must hold finite numbers"
    with np.errstate(over="ignore"):
        return "holds a number that is too large" if np.isinf(array.astype(np.float64)).any() else ""


def _sheet_of_arrays(arrays: Mapping[str, npt.NDArray[Any]], source: str, digits: int | None = None) -> Sheet:
    """Return a sheet of arrays of finite numbers.

    The decimals to which an array was rounded are unknown: as many are assumed as its longest number needs, or, for an
    array of zeros, the longest number of all arrays.
    """
    arrays = {name: array if array.dtype.kind == "f" else array.astype(np.float64) for name, array in arrays.items()}
    needed = {
        name: max(
            (_count_decimals(str(value)) for value in array.reshape(-1) if value == value and value), default=None
        )
        for name, array in arrays.items()
    }
    most = max((count for count in needed.values() if count is not None), default=0)
    answers = {}
    for name, array in arrays.items():
        exact_decimals = needed[name] if digits is None else digits
        decimals = min(most if exact_decimals is None else exact_decimals, MOST_DIGITS)
        answers[name] = SheetAnswer(array.astype(np.float64), np.full(array.shape, 0.5 * 10.0**-decimals), name)
    return Sheet(answers, source)


def _count_decimals(text: str) -> int:
    """Return the number of decimals of a number on a sheet; 0 for an integer."""
    exponent = Decimal(text).as_tuple().exponent
    is_integer = text.endswith(".0")
    return 0 if is_integer or not isinstance(exponent, int) else -exponent


# JSON.


class _JsonObject(dict[str, Any]):
    """A JSON object; if a name occurs twice, the first counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Keep the first number of each name in a JSON sheet, and the later ones in `repeated`."""
        super().__init__()
        self.repeated: list[tuple[str, Any]] = []
        for name, value in pairs:
            if name in self:
                self.repeated.append((name, value))
            else:
                self[name] = value


def _read_json_sheet(source: Path, part: str) -> Sheet:
    """Return the numbers of a sheet in JSON; if it has an object called `part`, those in it."""
    text = read_text(source, of_windows=True)
    if not text.strip():
        raise FileError(f"cannot read {source}: it is empty")
    try:
        try:
            data = _parse_json(text)
        except json.JSONDecodeError:
            data = _parse_json(_TOKEN.sub(_quote_literal, text))  # one bad number costs its line alone
            if not isinstance(data, _JsonObject):
                raise
    except json.JSONDecodeError as problem:
        raise FileError(f"cannot read {source}: line {problem.lineno} is not JSON ({problem.msg})") from None
    except RecursionError:
        raise FileError(f"cannot read {source}: it is not JSON of numbers: its lists are nested too deeply") from None
    if not isinstance(data, _JsonObject):
        raise FileError(f'cannot read {source}: it must be an object of quantities, like {{"f": [0.49, 0.5]}}')
    more: dict[str, Any] = {}
    if isinstance(data.get(part), _JsonObject):
        more = {key: value for key, value in data.items() if key != part}
        data = data[part]
    lines, filled = _key_lines(text), SheetBuilder()
    for name, value in [*data.items(), *data.repeated]:
        line = lines.get(name, 1)
        try:
            numerals = parse_numbers(value) if isinstance(value, str) else _nested_numerals(value)
            filled.add(name, answer_of(numerals, f"line {line}", DecimalMarks([]).number), line)
        except ValueError as problem:
            filled.fault(name, line, str(problem))
    return filled.sheet(source, more)


def _parse_json(text: str) -> Any:
    return json.loads(
        text, parse_float=_parse_exact, parse_int=_parse_exact, parse_constant=str, object_pairs_hook=_JsonObject
    )


def _quote_literal(token: re.Match[str]) -> str:
    """Return a token of a JSON sheet, in quotes if it is what JSON does not know, such as .5, +3 or 1_000."""
    literal = token["literal"]
    if literal is None or _JSON_LITERAL.fullmatch(literal):
        return token[0]
    return json.dumps(literal)


def _parse_exact(token: str) -> Decimal | str:
    """Return a number in a JSON sheet with the digits that it is written with."""
    try:
        return Decimal(token)
    except InvalidOperation:  # its exponent has no end
        return token


def _nested_numerals(value: Any) -> Nested:
    """Return an answer in a JSON sheet as nested lists of numerals."""
    match value:
        case None:
            return ""
        case str():
            return value
        case Decimal():
            return str(value)
        case list():
            return [_nested_numerals(item) for item in value]
    raise ValueError(f"{json.dumps(value, default=str)[:60]} is not a number")


def _key_lines(text: str) -> dict[str, int]:
    """Return the line of each key in a JSON sheet; for a repeated key, the last one."""
    lines_by_key, line, at = dict[str, int](), 1, 0
    for match in _KEY.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        with suppress(ValueError):  # within a text that only looks like a key
            lines_by_key[json.loads(f'"{match[1]}"')] = line
    return lines_by_key
