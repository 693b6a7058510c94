"""Tables in text: the rows and cells of a CSV file, and the numbers in them in Python's spelling.

The separator of the columns is the first of tab, semicolon and comma that occurs, outside double quotes, in the first
line that has any of them. A comma that does not separate is a decimal mark. If a comma could also separate
thousands, or if commas and points both mark decimals, the table is refused.

Every table that gatewise writes is written here, so that no name or label becomes a formula in a spreadsheet.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from gatewise.arrays import require_memory
from gatewise.errors import FileError, reason, shown
from gatewise.files.storage import read_text
from gatewise.number_text import numeral

Row = tuple[int, list[str]]
EACH = 100  # bytes that a character takes in a list of cells, at most
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}  # in the order in which they are looked for
# Patterns are compiled with the first table, not with the program's help.
_FROM_SEPARATOR = r"[\t;,][^\r\n]*"  # the rest of a line
_QUOTED = r'"[^"]*"'
# The places of a text, after a line break, at which a spreadsheet finds a formula: the beginning of the text, and
# whatever follows a mark that separates cells in another country. A number is none. The web page has the same pattern.
_BLANKS = r'(?:[^\S\t\r\n]|["\ufeff\x1c-\x1f])*'
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
FORMULA = rf"(?!\n{_NUMBER}$)([;\t\r\n])(?={_BLANKS}[=+\-@|＝＋－＠｜]|[\t\r])"


def rows(
    path: str | os.PathLike[str],
    text: str | None = None,
    *,
    kind: str = "a table with a line for each row",
    delimiter: str | None = None,
) -> list[Row]:
    """Return the rows of a .csv table as a list; see `iterate_rows`."""
    text = read_text(path) if text is None else text
    require_memory(len(text), EACH, f"reading {path}")
    return [*iterate_rows(path, text, kind=kind, delimiter=delimiter)]


def iterate_rows(
    path: str | os.PathLike[str],
    text: str,
    *,
    kind: str = "a table with a line for each row",
    delimiter: str | None = None,
) -> Iterator[Row]:
    """Yield the rows of a .csv table but for empty lines, each with the number of its first line, and its cells.

    Cells may be in double quotes; surrounding blanks are removed. `text` is the content of the file, `kind` the kind of
    file that it must be, for the error, and `delimiter` the separator if it is known.
    """
    begins = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or separator(text))
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as problem:
        raise FileError(f"cannot read {path}: it is not {kind} ({reason(problem)})") from None


def separator(text: str) -> str:
    """Return the separator of a table's columns; a comma if it has only one."""
    first = re.search(_FROM_SEPARATOR, re.sub(_QUOTED, "", text) if '"' in text else text)
    return next((mark for mark in SEPARATORS if first and mark in first[0]), ",")


def numerals(path: str | os.PathLike[str], text: str, table: Iterable[Row]) -> Iterator[Row]:
    """Yield a .csv table's rows of numbers with decimal points, as `gatewise.number_text.parse_number` reads them.

    `text` is the content of the file, and `table` the rows of those cells that must be numbers, which are gone through
    more than once; other cells stay as they are. Raise FileError if the meaning of their commas is ambiguous.
    """
    no_cell_has_one = "," not in text or ('"' not in text and separator(text) == ",")
    if no_cell_has_one or not _commas_mark_decimals(path, table):
        yield from table
        return
    for line, cells in table:
        yield line, [cell.replace(",", ".") if "," in cell and numeral(cell) else cell for cell in cells]


def _commas_mark_decimals(path: str | os.PathLike[str], table: Iterable[Row]) -> bool:
    """Return whether numbers of a table have decimal commas, or raise FileError if that is ambiguous."""
    with_comma = with_point = None
    thousands_only = True
    for line, cells in table:
        for cell in cells:
            if "," in cell and (parts := numeral(cell)):
                with_comma = with_comma or (line, cell)
                thousands_only = thousands_only and not parts.tells_its_mark
            elif with_point is None and "." in cell and numeral(cell):
                with_point = line, cell
    if with_comma is None:
        return False
    line, cell = with_comma
    if with_point is not None:
        raise FileError(
            f"cannot read {path}: line {line} has {shown(cell)!r} and line {with_point[0]} has"
            f" {shown(with_point[1])!r}; decimals must be marked by points throughout, or by commas throughout"
        )
    if thousands_only:
        raise FileError(
            f"cannot read {path}: line {line} has {cell!r}, which may be {cell.replace(',', '.')} or"
            f" {cell.replace(',', '')}; write decimals with a point, and thousands without a comma"
        )
    return True


def write_rows(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows of cells as comma-separated text to an open file, without formulas; see `literal`."""
    csv.writer(file, lineterminator="\n").writerows(map(literal, row) for row in rows)


def write_columns(file: TextIO, columns: Iterable[npt.NDArray[Any]]) -> None:
    """Write columns of equal length like `write_rows`, in less time."""
    cells = (each.tolist() if each.dtype.kind in "biufc" else map(literal, each.tolist()) for each in columns)
    csv.writer(file, lineterminator="\n").writerows(zip(*cells, strict=True))


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of cells as comma-separated text; see `write_rows`."""
    text = io.StringIO()
    write_rows(text, rows)
    return text.getvalue()


def literal(cell: object) -> object:
    """Return a cell that no spreadsheet computes: a number as it is, other text with apostrophes before formulas."""
    if isinstance(cell, (int, float, np.number)):
        return cell
    text = "" if cell is None else str(cell)
    if text[:1].isalnum() and ";" not in text and text.isprintable():  # the pattern would take 20 times as long
        return text
    return (
        re.sub(FORMULA, r"\1'", f"\n{text}")[1:].replace("\r\n", "\n").replace("\r", "\n")
    )  # alone, csv doesn't quote it
