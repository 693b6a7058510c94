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
from gatewise.render.text import clean

TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | (?P<blank> \s+ )
  | (?P<text> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<word> [\w$\#]+ )
  | (?P<template> ` )
  | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")  # a regular expression
BEFORE_A_PATTERN = frozenset("(,=:[!&|?{;+-*%<>~^")  # and not a division
OPENING, CLOSING = frozenset("\n{([,;"), frozenset("})].,?:")  # behind and before which no line needs to end
HEADS = frozenset({"for", "while", "if", "with"})
WORDS_BEFORE_A_PATTERN = frozenset(
    {"return", "typeof", "case", "in", "of", "void", "delete", "throw", "await", "yield"}
)
STYLE = re.compile(r"""("[^"]*")|/\*.*?\*/|(?:\s*;)?\s*(})\s*|\s*([{;,])\s*|(?<=:)\s+|(\s)\s+""", re.DOTALL)


def squeezed_style(rules: str) -> str:
    r"""Return the page's style sheet without comments and blanks that change nothing.

    Examples
    --------
    >>> squeezed_style('a > b,  c { margin: 0  1px;\n content: "a, b"; }  /* of it */')
    'a > b,c{margin:0 1px;content:"a, b"}'
    """
    return STYLE.sub(lambda match: match[1] or match[2] or match[3] or match[4] or "", rules).strip()


def squeezed_script(code: str) -> str:
    r"""Return the page's JavaScript without comments and blanks that change nothing.

    Examples
    --------
    >>> squeezed_script('const a = b / 2;  // half\n  return /** @type {string} */ (`${a  } b`);')
    'const a=b/2;return(`${a  } b`);'
    >>> squeezed_script("{ a(); } { for (;;); } { if (b) c(); else; }")
    '{a()}{for(;;);}{if(b)c();else;}'
    """
    pieces: list[str] = []
    heads: list[bool] = []  # of the brackets that are open: whether a statement must follow
    is_head = False  # of the last one that closed
    place, gap = 0, ""

    def append_piece(piece: str) -> None:
        """Append a piece of JavaScript, behind a blank or line end only where one is needed."""
        nonlocal gap, is_head
        if piece == "(":
            heads.append(bool(pieces) and pieces[-1].strip() in HEADS)
        elif piece == ")":
            is_head = heads.pop()
        elif (
            piece == "}" and pieces[-1] == ";" and not (pieces[-2] in ("else", ":") or (pieces[-2] == ")" and is_head))
        ):
            pieces.pop()
        last = pieces[-1][-1] if pieces else "\n"
        if gap == "\n":
            if last not in OPENING and piece[0] not in CLOSING:
                pieces.append("\n")
        elif gap and _joins(last, piece[0]):
            pieces.append(" ")
        pieces.append(piece)
        gap = ""

    while place < len(code):
        match = TOKEN.match(code, place)
        assert match is not None
        kind, piece = match.lastgroup, match[0]
        if kind == "sign" and piece == "/" and _begins_a_pattern(pieces):
            match = PATTERN.match(code, place)
            assert match is not None, f"neither a division nor a pattern: {code[place : place + 40]}"
            piece = match[0]
        elif kind == "template":
            piece = code[place : _end_of_template(code, place + 1)]
        place += len(piece)
        if kind in ("comment", "blank"):
            gap = "\n" if "\n" in piece and kind == "blank" else gap or " "
        else:
            append_piece(piece)
    return "".join(pieces)


def _joins(last: str, first: str) -> bool:
    """Return whether two pieces of code would become another one without a blank between them."""
    return (_is_of_a_word(last) and _is_of_a_word(first)) or (last == first and last in "+-/")


def _is_of_a_word(letter: str) -> bool:
    return letter.isalnum() or letter in "_$#"


def _begins_a_pattern(pieces: list[str]) -> bool:
    """Return whether a slash behind pieces of JavaScript begins a regular expression, and is no division."""
    behind = next((piece for piece in reversed(pieces) if not piece.isspace()), ";")
    return behind in WORDS_BEFORE_A_PATTERN or (len(behind) == 1 and behind in BEFORE_A_PATTERN)


def _end_of_template(code: str, place: int) -> int:
    """Return the place behind the closing backtick of a template in the page's JavaScript, begun before."""
    while code[place] != "`":
        if code[place] == "\\":
            place += 2
        elif code.startswith("${", place):
            place = _end_of_slot(code, place + 2)
        else:
            place += 1
    return place + 1


def _end_of_slot(code: str, place: int) -> int:
    """Return the place behind the closing bracket of a slot in a template of the page's JavaScript, begun before."""
    depth = 1
    while depth:
        match = TOKEN.match(code, place)
        assert match is not None
        if match.lastgroup == "template":
            place = _end_of_template(code, place + 1)
            continue
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        place = match.end()
    return place


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
    return squeezed_script(joined(modules(entry)))


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
