"""The page from its pieces: the modules as one script, the styles as one sheet, and the document as data."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gatewise.palette import PALETTE
from gatewise.render.text import clean

ENTRY = "main.js"
STYLES = ("style.css", "stage.css", "detail.css", "lesson.css")
IMPORT = re.compile(r'^import \{([\w$, ]+)\} from "\./(\w+\.js)";\n', re.MULTILINE)
COMMENT = re.compile(r" */\*\*.*?\*/|^ *//[^\n]*\n", re.DOTALL | re.MULTILINE)
BLANK = re.compile(r"\n\s*\n")
EXPORT = re.compile(r"^export (?=(?:async )?function\*? |const |class )", re.MULTILINE)


def assemble(document: Mapping[str, Any]) -> str:
    """Return the web page of a document, complete in itself; it asks for nothing, and runs no script but its own."""
    code, styles = script(), style()
    policy = f"default-src 'none'; script-src '{_seal(code)}'; style-src '{_seal(styles)}'"
    return Template(asset("skeleton.html")).substitute(
        policy=policy,
        title=escape(clean(document["title"])),
        style=styles,
        data=as_data(document),
        script=code,
    )


def as_data(document: Mapping[str, Any]) -> str:
    """Return a document as JSON that no name in it can end: < is written as an escape."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def script() -> str:
    """Return all modules as one, each behind those that it imports, without what is said of them in comments."""
    joined = "\n".join(EXPORT.sub("", IMPORT.sub("", asset(name))) for name in modules())
    return BLANK.sub("\n", COMMENT.sub("", joined))


@cache
def style() -> str:
    """Return the styles as one sheet, with the palette's colours."""
    joined = "\n".join(asset(name) for name in STYLES if files(__package__).joinpath("assets", name).is_file())
    return Template(joined).substitute({colour: value.css for colour, value in PALETTE.items()})


def modules() -> list[str]:
    """Return the names of the modules, each behind those that it imports."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if not files(__package__).joinpath("assets", name).is_file():
            return
        for _, imported in IMPORT.findall(asset(name)):
            if imported not in found:
                visit(imported)
        found[name] = None

    visit(ENTRY)
    return list(found)


def asset(name: str) -> str:
    """Return the text of a file in assets/."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _seal(text: str) -> str:
    """Return the hash of an inline script or style, as a Content-Security-Policy has it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
