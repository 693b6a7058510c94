"""Files that people hand in and that are no sheets: what each is, and the way out."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

TYPE = "type its numbers into the .csv file or the notebook that was handed out"
COPY = "copy its numbers into the .csv file or the notebook that was handed out"
SAVE = "save it as CSV or as an Excel workbook (.xlsx)"
# What it is; the way out; the endings of its name; how it begins, in small letters, or what an archive of it holds.
FOREIGN = (
    ("a PDF", TYPE, (".pdf",), (b"%pdf",)),
    (
        "a photo",
        TYPE,
        (".jpg", ".jpeg", ".png", ".heic", ".heif", ".webp", ".gif", ".tif", ".tiff", ".bmp"),
        (b"\xff\xd8\xff", b"\x89png", b"gif8"),
    ),
    ("a Word document", COPY, (".docx", ".doc"), ("word/document.xml",)),
    ("an OpenDocument text", COPY, (".odt",), ()),
    ("rich text", COPY, (".rtf",), (b"{\\rtf",)),
    ("a Pages document", COPY, (".pages",), ()),
    ("a presentation", COPY, (".pptx", ".ppt", ".odp", ".key"), ("ppt/presentation.xml",)),
    ("an OpenDocument spreadsheet", SAVE, (".ods",), ("content.xml",)),
    ("a Numbers spreadsheet", SAVE, (".numbers",), ("Index/Document.iwa",)),
    ("an old or a protected Excel workbook", SAVE, (".xls", ".xlsm", ".xlsb"), (b"\xd0\xcf\x11\xe0",)),
    ("a web page", COPY, (".html", ".htm", ".mhtml"), (b"<!doctype html", b"<html")),
    (
        "a link, not a file",
        "hand in the file itself",
        (".url", ".webloc", ".lnk", ".gdoc", ".gsheet", ".desktop"),
        (b"[internetshortcut]",),
    ),
    ("an archive", "unpack it", (".zip", ".rar", ".7z", ".gz", ".tar"), (b"pk\x03\x04", b"rar!", b"7z\xbc\xaf")),
)
WORKBOOK = "xl/workbook.xml"  # by which an Excel workbook is known, however it is called
ZIPPED = (".npz", ".xlsx")  # sheets that are archives themselves


def members(path: Path) -> list[str]:
    """Return the names in an archive; none if the file is none."""
    with suppress(Exception), zipfile.ZipFile(path) as archive:  # whatever zipfile raises at a damaged one
        return archive.namelist()
    return []


def refusal_of(path: Path, suffixes: tuple[str, ...]) -> str:
    """Return the kind of a file that cannot be a sheet, and the way out; empty for a file that may be a sheet.

    The content decides for files with one of the `suffixes` of sheets, the ending of the name for others.
    """
    suffix = path.suffix.lower()
    with open(path, "rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    names = members(path) if head.startswith(b"pk") else []
    if suffix in ZIPPED or WORKBOOK in names:
        head = head.removeprefix(b"pk")
    for what, way_out, endings, beginnings in FOREIGN:
        begins = any(begin in names if isinstance(begin, str) else head.startswith(begin) for begin in beginnings)
        if suffix in endings or (suffix in suffixes and begins):
            return f"this is {what}; {way_out}"
    return ""
