"""The page from its pieces: the modules as one script, the styles as one sheet, and the document as data."""

from __future__ import annotations

import json
import posixpath
import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gatewise.palette import CIVIDIS, PALETTE, VIK
from gatewise.playground.squeeze import squeezed, squeezed_style
from gatewise.render.text import clean

BULKY = ("formulas", "words", "chapters", "phrases", "program", "quantities", "edits", "scenes")  # deflated
ENTRY, TEACHING = "main.js", "teaching.js"  # of a model's page, and of one with chapters
STYLES = ("style.css", "stage.css", "detail.css", "lesson.css")
IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "(\.{1,2}/[\w/.]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function\*?|function\*?|const|class) ([\w$]+))", re.MULTILINE)


def assemble(document: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return the playground's web page of a document, complete in itself; it runs no script but its own.

    `words` are those of the markup, by the names of their places in it.
    """
    code, styles = script(TEACHING if document.get("teaching") else ENTRY), style()
    policy = f"default-src 'none'; script-src '{_policy_hash(code)}'; style-src '{_policy_hash(styles)}'"
    return Template(asset("skeleton.html")).substitute(
        {name: escape(text) for name, text in words.items()},
        lang=document["lang"],
        policy=policy,
        title=escape(clean(document["title"])),
        style=styles,
        data=as_data(document),
        script=code,
    )


def as_data(document: Mapping[str, Any]) -> str:
    """Return the web page's document as JSON, in part compressed; < is an escape, so that no name ends the script."""
    bulky = {key: document[key] for key in BULKY if key in document}  # similar texts beside each other
    rest = {key: value for key, value in document.items() if key not in BULKY}
    packed = b64encode(zlib.compress(_json(bulky).encode(), 9)).decode("ascii")
    return _json(rest | {"deflated": packed}).replace("<", "\\u003c")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@cache
def script(entry: str = ENTRY) -> str:
    """Return a page's entry and all that it imports as one script, without comments and needless blanks."""
    return squeezed(joined(modules(entry)))


def joined(names: Iterable[str]) -> str:
    """Return JavaScript modules as one script; each but the entry is a function of its own that returns its exports.

    Each of their names must follow those of the modules that it imports.
    """
    return "\n".join(_module_as_function(name) for name in names)


def _module_as_function(name: str) -> str:
    """Return a JavaScript module's code as a function that returns its exports; the entry's as it is."""

    def import_as_constants(match: re.Match[str]) -> str:
        return f"const {{{' '.join(match[1].split())}}} = {scope_of(imported_module(name, match[2]))};\n"

    source = asset(name)
    code = EXPORT.sub("", IMPORT.sub(import_as_constants, source))
    if name in (ENTRY, TEACHING):
        return code
    return f"const {scope_of(name)} = (() => {{\n{code}\nreturn {{{', '.join(EXPORT.findall(source))}}};\n}})();"


def scope_of(name: str) -> str:
    """Return the constant that holds a module's exports in the joined script.

    Examples
    --------
    >>> scope_of("engine/arrays.js")
    'engine$arrays'
    """
    return name.removesuffix(".js").replace("/", "$")


def imported_module(importer: str, path: str) -> str:
    """Return the name in assets/ of the module that another imports by a relative path.

    Examples
    --------
    >>> imported_module("views/strip.js", "../engine/figures.js")
    'engine/figures.js'
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))


@cache
def style() -> str:
    """Return the styles of the playground's page as one sheet, with the palette's colours."""
    rules = "\n".join(map(asset, STYLES))
    stops = {"cividis": ",".join(CIVIDIS), "vik": ",".join(VIK[2:-2])}  # without the ends, which are near black
    return Template(squeezed_style(rules)).substitute({name: colour.css for name, colour in PALETTE.items()} | stops)


def modules(entry: str = ENTRY) -> list[str]:
    """Return the names of a page's JavaScript modules, each behind those that it imports; the entry is the last."""
    order, visited = list[str](), set[str]()

    def add_behind_imports(name: str) -> None:
        """Append a JavaScript module to the order, behind all that it imports."""
        visited.add(name)
        for _, path in IMPORT.findall(asset(name)):
            imported = imported_module(name, path)
            if imported not in visited:
                add_behind_imports(imported)
        order.append(name)

    add_behind_imports(entry)
    return order


def asset(name: str) -> str:
    """Return the text of a file in assets/."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _policy_hash(text: str) -> str:
    """Return the hash of an inline script or style, as a Content-Security-Policy has it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
