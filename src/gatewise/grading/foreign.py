"""Files that people hand in and that are no sheets: what each is, and the way out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

TYPE = "type its numbers into the .csv file or the notebook that was handed out"
COPY = "copy its numbers into the .csv file or the notebook that was handed out"
SAVE = "save it as CSV or as an Excel workbook (.xlsx)"
FOREIGN = (  # what it is, the way out, and the endings of its names
    ("a PDF", TYPE, ".pdf"),
    ("a photo", TYPE, ".jpg .jpeg .png .heic .heif .webp .gif .tif .tiff .bmp"),
    ("a Word document", COPY, ".docx .doc .rtf"),
    ("an OpenDocument text", COPY, ".odt"),
    ("a Pages document", COPY, ".pages"),
    ("a presentation", COPY, ".pptx .ppt .odp .key"),
    ("a web page", COPY, ".html .htm .mhtml"),
    ("an OpenDocument spreadsheet", SAVE, ".ods"),
    ("a Numbers spreadsheet", SAVE, ".numbers"),
    ("an old or a protected Excel workbook", SAVE, ".xls .xlsm .xlsb"),
    ("a link, not a file", "hand in the file itself", ".url .webloc .lnk .gdoc .gsheet .desktop"),
    ("an archive", "unpack it", ".zip .rar .7z .gz .tar"),
)
BEGINNINGS = {  # of files, in small letters, by the ending that each should have had
    ".pdf": (b"%pdf",),
    ".jpg": (b"\xff\xd8\xff", b"\x89png", b"gif8"),
    ".xls": (b"\xd0\xcf\x11\xe0",),
    ".rtf": (b"{\\rtf",),
    ".html": (b"<!doctype html", b"<html"),
    ".url": (b"[internetshortcut]",),
    ".rar": (b"rar!", b"7z\xbc\xaf"),
}
MEMBERS = {"xl/workbook.xml": ".xlsx", "word/document.xml": ".docx", "Index/Document.iwa": ".numbers"}  # of an archive


def kind_of(path: Path) -> str:
    """Return the ending that the content of a file should have; empty if the content does not tell."""
    with open(path, "rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"pk\x03\x04"):
        return next((ending for ending, beginnings in BEGINNINGS.items() if head.startswith(beginnings)), "")
    import zipfile  # its own imports take longer than the rest of this file

    with suppress(Exception), zipfile.ZipFile(path) as archive:  # whatever zipfile raises at a damaged one
        return next((MEMBERS[name] for name in archive.namelist() if name in MEMBERS), ".zip")
    return ".zip"


def refusal_of(ending: str) -> str:
    """Return the kind of a file that cannot be a sheet, and the way out; empty for the ending of a sheet."""
    return next((f"this is {kind}; {way_out}" for kind, way_out, known in FOREIGN if ending in known.split()), "")
