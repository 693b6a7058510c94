"""The page from its pieces: the modules as one script, the styles as one sheet, and the document as data."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode, b85encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gatewise.palette import CIVIDIS, PALETTE, VIK
from gatewise.playground.squeeze import squeezed, squeezed_style
from gatewise.render.text import clean

BULKY = ("formulas", "words", "chapters", "phrases", "program", "edits")  # what a page says with, which is deflated
ENTRY = "main.js"
STYLES = ("style.css", "stage.css", "detail.css", "lesson.css")
IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "\./(\w+\.js)";\n', re.MULTILINE)
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
    bulky = {key: document[key] for key in BULKY if key in document}  # what is alike beside each other
    rest = {key: value for key, value in document.items() if key not in BULKY}
    packed = b85encode(zlib.compress(_json(bulky).encode(), 9)).decode("ascii").replace("<", ",")
    return _json(rest | {"deflated": packed}).replace("<", "\\u003c")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@cache
def script() -> str:
    """Return all modules as one, each behind those that it imports, without what only readers of their source need."""
    return squeezed("\n".join(EXPORT.sub("", IMPORT.sub("", asset(name))) for name in modules()))


@cache
def style() -> str:
    """Return the styles as one sheet, with the palette's colours."""
    joined = "\n".join(asset(name) for name in STYLES if files(__package__).joinpath("assets", name).is_file())
    stops = {"cividis": ",".join(CIVIDIS), "vik": ",".join(VIK)}
    return Template(squeezed_style(joined)).substitute({name: one.css for name, one in PALETTE.items()} | stops)


def modules() -> list[str]:
    """Return the names of the modules, each behind those that it imports."""
    found, seen = list[str](), set[str]()

    def visit(name: str) -> None:
        seen.add(name)
        for _, imported in IMPORT.findall(asset(name)):
            if imported not in seen:
                visit(imported)
        found.append(name)

    visit(ENTRY)
    return found


def asset(name: str) -> str:
    """Return the text of a file in assets/."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _seal(text: str) -> str:
    """Return the hash of an inline script or style, as a Content-Security-Policy has it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
