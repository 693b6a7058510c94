"""Excel workbooks (.xlsx): the cells of each worksheet as text. Formulas are never computed."""

from __future__ import annotations

import datetime
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, MissingExtraError, importing, reason, shown

MOST_BYTES = 1 << 20  # of XML, unpacked: the styles of a made-up workbook of this size take seconds
MOST_CELLS, MOST_ROWS = 100_000, 1 << 20  # of a worksheet; Excel has no more rows
WIDEST = 200  # cells to which shorter rows are filled up
_CELL = re.compile(
    rb"(?P<start><(?:\w+:)?c)(?P<attributes>(?:\s[^<>]*)?)(?P<between>>\s*(?:<(?:\w+:)?f[^<]*</(?:\w+:)?f>)?\s*"
    rb"<(?:\w+:)?v(?:\s[^<>]*)?>)(?P<value>[^<]*)(?P<end></)"
)
_KIND = re.compile(rb"""\st\s*=\s*["'](\w*)["']""")
_NUMBER = rb"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?|"


def worksheets(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Return the name and the text of each worksheet of a workbook: a line for each row, with tabs between its cells.

    A formula stands for the value that was saved with it. Raise FileError if the workbook is damaged or too large, or
    if there is nothing to read it with.
    """
    try:
        with importing("openpyxl", "to read Excel files, install"):
            from openpyxl import load_workbook
    except MissingExtraError as problem:
        raise FileError(f"cannot read {path}: {problem}; or save it as CSV") from None
    import zipfile  # its own imports take longer than the rest of this file

    content = Path(path).read_bytes()
    options = {"read_only": True, "keep_links": False}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # whose pictures are never unpacked
            parts = [entry for entry in archive.infolist() if entry.filename.lower().endswith((".xml", ".rels"))]
        if sum(part.file_size for part in parts) > MOST_BYTES:
            raise FileError(f"unpacked, its tables may have at most {MOST_BYTES >> 20} MiB")
        content = _with_texts_for_odd_numbers(content, [part.filename for part in parts])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what openpyxl leaves out: pictures, validations
            values = load_workbook(io.BytesIO(content), data_only=True, **options)
            formulas = load_workbook(io.BytesIO(content), **options)
            names = [sheet.title for sheet in values.worksheets]
            return [(name, _text_of(values[name], formulas[name])) for name in names]
    except FileError as problem:
        raise FileError(f"cannot read {path}: {problem}") from None
    except Exception as problem:  # whatever zipfile, the XML parser and openpyxl raise on a damaged workbook
        raise FileError(f"cannot read {path}: it is not an intact Excel workbook ({reason(problem)})") from None


def _with_texts_for_odd_numbers(content: bytes, parts: list[str]) -> bytes:
    """Return a workbook in which a cell whose number is none has it as a text, so that it costs its own line alone.

    openpyxl refuses the whole workbook, and reads 1_000 as 1000.
    """
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tables = {name: archive.read(name) for name in parts}
    changed = {name: _CELL.sub(_mended_cell, data) if "worksheets/" in name else data for name, data in tables.items()}
    if changed == tables:
        return content
    copied = io.BytesIO()
    with zipfile.ZipFile(copied, "w") as copy:
        for name, data in changed.items():
            copy.writestr(name, data)
    return copied.getvalue()


def _mended_cell(cell: re.Match[bytes]) -> bytes:
    """Return the XML of a cell, as a text if it should be a number and is none."""
    kind = _KIND.search(cell["attributes"])
    if (kind and kind[1] != b"n") or re.fullmatch(_NUMBER, cell["value"].strip()):
        return cell[0]
    attributes = _KIND.sub(b"", cell["attributes"])
    return cell["start"] + attributes + b' t="str"' + cell["between"] + cell["value"] + cell["end"]


def _text_of(values: Any, formulas: Any) -> str:
    """Return a worksheet as text, its rows equally long; `values` has the value that was saved with each formula."""
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # which a file may claim as it likes
    cells, rows = 0, []
    both = zip(values.iter_rows(values_only=True), formulas.iter_rows(values_only=True), strict=True)
    for number, (value_row, formula_row) in enumerate(both):
        cells += len(value_row)
        if cells > MOST_CELLS or number >= MOST_ROWS:
            raise FileError(f"a worksheet may have at most {MOST_CELLS:,} cells in {MOST_ROWS:,} rows")
        rows.append([*map(_cell_text, value_row, formula_row)])
    width = min(max(map(len, rows), default=0), WIDEST)
    return "\n".join("\t".join(row) + "\t" * (width - len(row)) * any(row) for row in rows).rstrip("\n")


def _cell_text(value: Any, formula: Any) -> str:
    """Return the text of a cell, in which a number has the digits that it was saved with."""
    if value is None and formula is not None:
        return f"a formula that was never computed: {shown(str(formula), 40)}"
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return f"{value} (a date or time)"
    if isinstance(value, float):
        text = repr(value).removesuffix(".0")
        whole, _, decimals = text.partition(".")
        return f"{whole}{decimals}e-3" if len(decimals) == 3 and decimals.isdecimal() else text  # 1.234 is not 1,234
    return "" if value is None else " ".join(str(value).replace('"', "'").split())
