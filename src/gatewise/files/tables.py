"""Tables in text: the rows and cells of a CSV file, and the numbers in them in Python's spelling.

The separator of the columns is the first of tab, semicolon and comma that occurs, outside double quotes, in the first
line that has any of them. A comma that does not separate is a decimal mark. If a comma could also separate
thousands, or if commas and points both mark decimals, the table is refused.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence

from gatewise.errors import FileError, reason, shown
from gatewise.files.storage import read_text

Row = tuple[int, list[str]]
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}  # in the order in which they are looked for
# Patterns are compiled with the first table, not with the program's help.
_MINUS = "\N{MINUS SIGN}"
_FROM_SEPARATOR = r"[\t;,][^\r\n]*"  # the rest of a line
_QUOTED = r'"[^"]*"'
_WITH_COMMA = r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?"
_WITH_POINT = r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?"
_THOUSANDS = r"[+-]?[1-9]\d{0,2},\d{3}"


def rows(
    path: str | os.PathLike[str],
    text: str | None = None,
    *,
    kind: str = "a table with a line for each row",
    delimiter: str | None = None,
) -> list[Row]:
    """Return the rows of a .csv table but for empty lines, each with the number of its first line, and its cells.

    Cells may be in double quotes; surrounding blanks are removed. `text` is the content of the file if it has been read
    already, `kind` the kind of file that it must be, for the error, and `delimiter` the separator if it is known.
    """
    if text is None:
        text = read_text(path)
    table, begins = [], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or separator(text))
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                table.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as problem:
        raise FileError(f"cannot read {path}: it is not {kind} ({reason(problem)})") from None
    return table


def separator(text: str) -> str:
    """Return the separator of a table's columns; a comma if it has only one."""
    first = re.search(_FROM_SEPARATOR, re.sub(_QUOTED, "", text) if '"' in text else text)
    return next((mark for mark in SEPARATORS if first and mark in first[0]), ",")


def numerals(path: str | os.PathLike[str], text: str, table: Sequence[Row]) -> Sequence[Row]:
    """Return a .csv table's rows of numbers as Python spells them: with decimal points, and an ASCII minus sign.

    `text` is the content of the file, and `table` the rows of those cells that must be numbers; other cells stay as
    they are. Raise FileError if the meaning of their commas is ambiguous.
    """
    if _MINUS in text:
        table = [(line, [cell.replace(_MINUS, "-") for cell in cells]) for line, cells in table]
    if "," not in text or ('"' not in text and separator(text) == ","):  # no cell has one
        return table
    with_comma = [
        (line, cell) for line, cells in table for cell in cells if "," in cell and re.fullmatch(_WITH_COMMA, cell)
    ]
    if not with_comma:
        return table
    line, cell = with_comma[0]
    for other, cells in table:
        for numeral in cells:
            if re.fullmatch(_WITH_POINT, numeral):
                raise FileError(
                    f"cannot read {path}: line {line} has {shown(cell)!r} and line {other} has {shown(numeral)!r};"
                    " decimals must be marked by points throughout, or by commas throughout"
                )
    if all(re.fullmatch(_THOUSANDS, numeral) for _, numeral in with_comma):
        raise FileError(
            f"cannot read {path}: line {line} has {cell!r}, which may be {cell.replace(',', '.')} or"
            f" {cell.replace(',', '')}; write decimals with a point, and thousands without a comma"
        )
    return [
        (line, [cell.replace(",", ".") if "," in cell and re.fullmatch(_WITH_COMMA, cell) else cell for cell in cells])
        for line, cells in table
    ]
