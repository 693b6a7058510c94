"""Sheets of named numbers: readers of every format, the answers on them, and the lines that a sheet asks for."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import FileError, OptionError
from gatewise.files.storage import npz_names, read_npz, read_text, readable
from gatewise.files.workbook import worksheets
from gatewise.grading import layouts
from gatewise.grading.layouts import SheetPiece
from gatewise.grading.numerals import MAX_NUMBERS, DecimalMarks, Nested, is_number, iterate_numerals, parse_numbers
from gatewise.render.text import clean


@dataclass(frozen=True)
class Asked:
    """The lines that a sheet asks for, by name, and the decimals of each number; None if it does not say.

    If the decimals are `required`, a coarser number earns no point.
    """

    names: Collection[str] | None = None
    decimals: int | None = None
    required: bool = True


ANYTHING = Asked()


TYPE_NUMBERS = "type its numbers into the .csv file or the notebook that was handed out"
COPY_NUMBERS = "copy its numbers into the .csv file or the notebook that was handed out"
SAVE_AS_SHEET = "save it as CSV or as an Excel workbook (.xlsx)"
FOREIGN_FILES = (  # what it is, the way out, and the endings of its names
    ("a PDF", TYPE_NUMBERS, ".pdf"),
    ("a photo", TYPE_NUMBERS, ".jpg .jpeg .png .heic .heif .webp .gif .tif .tiff .bmp"),
    ("a Word document", COPY_NUMBERS, ".docx .doc .rtf"),
    ("an OpenDocument text", COPY_NUMBERS, ".odt"),
    ("a Pages document", COPY_NUMBERS, ".pages"),
    ("a presentation", COPY_NUMBERS, ".pptx .ppt .odp .key"),
    ("a web page", COPY_NUMBERS, ".html .htm .mhtml"),
    ("an OpenDocument spreadsheet", SAVE_AS_SHEET, ".ods"),
    ("a Numbers spreadsheet", SAVE_AS_SHEET, ".numbers"),
    ("an old or a protected Excel workbook", SAVE_AS_SHEET, ".xls .xlsm .xlsb"),
    ("a link, not a file", "hand in the file itself", ".url .webloc .lnk .gdoc .gsheet .desktop"),
    ("an archive", "unpack it", ".zip .rar .7z .gz .tar"),
)
FILE_SIGNATURES = {  # of files, in small letters, by the ending that each should have had
    ".pdf": (b"%pdf",),
    ".jpg": (b"\xff\xd8\xff", b"\x89png", b"gif8"),
    ".xls": (b"\xd0\xcf\x11\xe0",),
    ".rtf": (b"{\\rtf",),
    ".html": (b"<!doctype html", b"<html"),
    ".url": (b"[internetshortcut]",),
    ".rar": (b"rar!", b"7z\xbc\xaf"),
}
ARCHIVE_MEMBERS = {
    "xl/workbook.xml": ".xlsx",
    "word/document.xml": ".docx",
    "Index/Document.iwa": ".numbers",
}  # of an archive


def kind_of(path: Path) -> str:
    """Return the ending that the content of a file should have; empty if the content does not tell."""
    with open(path, "rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"pk\x03\x04"):
        return next((ending for ending, beginnings in FILE_SIGNATURES.items() if head.startswith(beginnings)), "")
    import zipfile  # its own imports take longer than the rest of this file

    with suppress(Exception), zipfile.ZipFile(path) as archive:  # whatever zipfile raises at a damaged one
        return next((ARCHIVE_MEMBERS[name] for name in archive.namelist() if name in ARCHIVE_MEMBERS), ".zip")
    return ".zip"


def refusal_of(ending: str) -> str:
    """Return the kind of a file that cannot be a sheet, and the way out; empty for the ending of a sheet."""
    return next((f"this is {kind}; {way_out}" for kind, way_out, known in FOREIGN_FILES if ending in known.split()), "")


@dataclass(frozen=True, eq=False)
class SheetAnswer:
    """The numbers written for one quantity."""

    values: Array  # NaN where nothing is written
    tolerance: Array  # half of the last digit written of each number
    place: str  # line 3, or the quantity's name

    @property
    def blank(self) -> bool:
        """Whether nothing is written."""
        return bool(np.isnan(self.values).all())

    def excess(self, values: Array, slack: Array) -> Array:
        """Return by how much more than their own tolerance and `slack` the written numbers differ from others."""
        with np.errstate(invalid="ignore"):
            excess = np.abs(self.values - values) - self.tolerance - slack
        return np.where(np.isfinite(self.values), np.where(np.isnan(excess), np.inf, excess), -1.0)

    def agrees(self, values: Array, slack: Array) -> bool:
        """Return whether the written numbers equal others to within their own tolerance and `slack`."""
        return bool((self.excess(values, slack) <= 0).all())


@dataclass(frozen=True)
class Fault:
    """A line of a sheet that could not be read.

    Attributes
    ----------
    place : str
        ``line 3``, ``cell 5`` of a notebook, or empty if the sheet has neither.
    name : str
        The quantity as it was written; empty if unknown.
    says : str
        The fault, without a full stop.
    has_numbers : bool
        Whether the line has numbers like those of a quantity. A heading has none, or a single whole one.
    """

    place: str
    name: str
    says: str
    has_numbers: bool = True

    def __str__(self) -> str:
        name = "" if quoted(self.name) in self.says else short(self.name)  # told once
        return ": ".join(part for part in (self.place, name, self.says) if part)


@dataclass(frozen=True, eq=False)
class Sheet:
    """The content of a file: answers by name, and everything else."""

    answers: dict[str, SheetAnswer]
    source: str  # the file's name
    more: dict[str, Any] = field(default_factory=dict)  # in a JSON file what is beside the object of answers
    faults: tuple[Fault, ...] = ()


def short(text: str) -> str:
    """Return text on one line, shortened if it is long."""
    return clean(text[:60]) + ("…" if len(text) > 60 else "")


def quoted(text: str) -> str:
    """Return text in quotes, on one line, shortened if it is long."""
    return repr(short(text))


BLANK = (math.nan, 0.0)


class SheetBuilder:
    """Collects the answers of a sheet, and the lines that could not be read."""

    def __init__(self, place: str = "line") -> None:
        self.place = place  # what the numbers of its lines count: the line, a cell, the line of a worksheet
        self.answers: dict[str, SheetAnswer] = {}
        self.faults: list[Fault] = []

    def sheet(self, source: Path, more: dict[str, Any] | None = None) -> Sheet:
        """Return the sheet that was read, with the faults in the order of its lines."""
        faults = sorted(self.faults, key=lambda fault: int(fault.place.rpartition(" ")[2]))
        return Sheet(self.answers, str(source), more=more or {}, faults=tuple(faults))

    def fault(self, name: str, line: int, says: str, *, has_numbers: bool = True) -> None:
        """Add a fault."""
        self.faults.append(Fault(f"{self.place} {line}", short(name), says, has_numbers))

    def add(self, name: str, answer: SheetAnswer, line: int) -> None:
        """Add the answer for one quantity of a sheet; the first one counts, unless that is blank."""
        first = self.answers.setdefault(name, answer)
        if first.blank:
            self.answers[name] = answer
        elif first is not answer and not answer.blank and not np.array_equal(first.values, answer.values, True):
            has_numbers = max(first.values.size, answer.values.size) > 1
            self.fault(name, line, f"{quoted(name)} is written again, with other numbers", has_numbers=has_numbers)

    def add_text(self, source: Path, text: str, separator: str | None = None) -> None:
        """Add all answers in the text of a hand-worked sheet, in any of its layouts; `separator` is that of cells."""
        pieces = list(layouts.iterate_pieces(source, text, separator))
        cells = [self._parse_piece(piece) for piece in pieces]
        marks = DecimalMarks(numeral for nested in cells if nested is not None for numeral in iterate_numerals(nested))
        stacks: dict[tuple[str, int], list[tuple[SheetPiece, Nested]]] = {}  # the lines of each answer
        stack = 0
        for before, piece, nested in zip([None, *pieces], pieces, cells, strict=False):
            stack += before is None or not (before.row and piece.row and before.name == piece.name)
            if nested is not None:
                stacks.setdefault((piece.name, stack if piece.unit is None else 0), []).append((piece, nested))
        for lines in stacks.values():
            self._add_stack(lines, marks)

    def _parse_piece(self, piece: SheetPiece) -> Nested | None:
        """Return the numerals in a piece of a sheet; None, with a fault added, if they cannot be read."""
        try:
            if piece.says or not any(map(str.isalpha, piece.name)):
                raise ValueError(piece.says or f"{quoted(piece.name)} is not the name of a quantity")
            if piece.cells in ([layouts.NOT_RUN], [layouts.COMPUTED]):
                raise ValueError(piece.cells[0])
            if isinstance(piece.cells, str):
                return parse_numbers(piece.cells)
            filled = [cell for cell in piece.cells if cell]
            return parse_numbers(filled[0]) if len(filled) == 1 and filled[0].endswith(("]", ")")) else piece.cells
        except ValueError as problem:
            self.fault(piece.name, piece.line, str(problem), has_numbers=_has_numbers(piece.cells))
            return None

    def _add_array(self, name: str, nested: Nested, line: int, marks: DecimalMarks) -> None:
        """Add the answer for a quantity of a sheet whose numbers are written in one place."""
        try:
            self.add(name, answer_of(nested, f"{self.place} {line}", marks.number), line)
        except ValueError as problem:
            self.fault(name, line, str(problem), has_numbers=_has_numbers([*iterate_numerals(nested)]))

    def _add_stack(self, lines: Sequence[tuple[SheetPiece, Nested]], marks: DecimalMarks) -> None:
        """Add the answer for a quantity with a line for each row or unit; of several, what cannot be read is blank."""
        (first, nested), *others = lines
        if first.unit is None and not others:
            self._add_array(first.name, nested, first.line, marks)
            return
        stacked, labels = SheetBuilder(self.place), dict[int, str]()
        for row, (piece, nested) in enumerate(lines):
            index = row if piece.unit is None else piece.unit
            labels[index] = f"unit {index}"
            items = nested if isinstance(nested, list) else [nested]
            if any(isinstance(item, list) for item in items) or (piece.unit is not None and len(items) > 1):
                stacked.fault("", piece.line, f"{labels[index]} has several numbers")
            else:
                stacked._add_array(labels[index], items, piece.line, marks)
        self.faults += [replace(fault, name=short(first.name)) for fault in stacked.faults]
        last, width = max(labels), max((answer.values.size for answer in stacked.answers.values()), default=0)
        missing = [index for index in range(min(labels, default=0) == 1, last) if index not in labels]
        if missing and stacked.answers:
            self.fault(
                first.name, first.line, f"unit {missing[0]} of {quoted(first.name)} is missing before unit {last}"
            )
        elif len(lines) * width > MAX_NUMBERS:
            self.fault(first.name, first.line, f"{quoted(first.name)} has more than {MAX_NUMBERS:,} numbers")
        elif stacked.answers:
            table = np.full((2, len(labels), max(width, 1)), np.nan)
            for row, index in enumerate(sorted(labels)):
                if (answer := stacked.answers.get(labels[index])) is not None:
                    table[:, row, : answer.values.size] = answer.values, answer.tolerance
            values, tolerance = table if first.unit is None else table[..., 0]
            self.add(
                first.name, SheetAnswer(values, np.nan_to_num(tolerance), f"{self.place} {first.line}"), first.line
            )


def _has_numbers(cells: str | Sequence[str]) -> bool:
    """Return whether a line has several numbers, or one that is not whole, as no heading has."""
    words = re.split(r"[\s;|\[\]()]+", cells if isinstance(cells, str) else " ".join(cells))
    numbers = [word for word in words if is_number(word)]
    return len(numbers) > 1 or any(not word.isdecimal() for word in numbers)


def answer_of(nested: Nested, place: str, number: Callable[[str], tuple[float, float] | None]) -> SheetAnswer:
    """Return nested lists of numerals as the answer of a sheet: an array of numbers and their tolerances."""
    shape: list[int] = []
    inner = nested
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else ""
    items = [nested]
    for size in shape:
        if not all(isinstance(row, list) and len(row) == size for row in items):
            raise ValueError("its rows are not equally long")
        items = [item for row in items for item in row]
    if len(items) > MAX_NUMBERS:
        raise ValueError(f"it has more than {MAX_NUMBERS:,} numbers")
    if any(isinstance(item, list) for item in items):
        raise ValueError("its rows are not equally long")
    numbers = np.array([number(item) or BLANK for item in items], dtype=np.float64).reshape(-1, 2)
    return SheetAnswer(numbers[:, 0].reshape(shape), numbers[:, 1].reshape(shape), place)


TEMPLATE_SUFFIXES = (".json", ".csv", ".npz")  # of an empty sheet to fill in
SUFFIXES = (*TEMPLATE_SUFFIXES, ".xlsx", ".ipynb", ".tsv", ".txt", ".md")
MAX_BYTES = 16 << 20  # bytes of a sheet; nobody fills in a larger one
DOUBLE_DIGITS = 15  # decimal digits that a double holds
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
    if source.stat().st_size > MAX_BYTES:
        raise FileError(f"cannot read {source}: a sheet may have at most {MAX_BYTES >> 20} MiB")
    content = kind_of(source)
    if suffix in SUFFIXES and content and not (suffix in (".npz", ".xlsx") and content == ".zip"):
        suffix = content  # a workbook or a photo, say, that is called .csv
    if refusal := refusal_of(suffix):
        raise FileError(f"cannot read {source}: {refusal}")
    if suffix not in SUFFIXES:
        raise FileError(f"cannot read {source}: a sheet is a file ending in {', '.join(SUFFIXES)}")
    if not source.stat().st_size:
        raise FileError(f"cannot read {source}: it is empty")
    if suffix == ".npz":
        # The arrays in an .npz file that hold numbers; each other one is a fault of the sheet.
        arrays, faults = {}, []
        for name in npz_names(source):
            try:
                array = read_npz(source, [name], most=MAX_BYTES)[name]
                if says := _reason_against(array):
                    raise FileError(f"{quoted(name)} {says}")
                arrays[name] = array
            except FileError as problem:
                faults.append(Fault("", short(name), str(problem).removeprefix(f"cannot read {source}: ")))
        sheet = replace(_sheet_of_arrays(arrays, str(source)), faults=tuple(faults))
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


def _read_workbook(source: Path) -> Sheet:
    filled = SheetBuilder()
    for number, (name, text) in enumerate(worksheets(source)):
        filled.place = f"{short(name)}, line" if number else "line"
        filled.add_text(source, _IN_A_NAME.sub(r"\1_\2", text), "\t")
    return filled.sheet(source)


def _read_notebook(source: Path) -> Sheet:
    try:
        text = layouts.text_of(read_text(source))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise FileError(f"cannot read {source}: it is not an intact notebook") from None
    if not text.strip():
        raise FileError(f"cannot read {source}: it is not the notebook that was handed out; {COPY_NUMBERS}")
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
        decimals = min(most if exact_decimals is None else exact_decimals, DOUBLE_DIGITS)
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
