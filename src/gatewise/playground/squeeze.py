"""Scripts and styles without comments, and without blanks and line ends beside punctuation.

A function stays a line or some, so that a browser's messages about it can be traced. Texts and regular expressions stay
as they are.
"""

from __future__ import annotations

import re

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


def squeezed(code: str) -> str:
    r"""Return the page's JavaScript without comments and blanks that change nothing.

    Examples
    --------
    >>> squeezed('const a = b / 2;  // half\n  return /** @type {string} */ (`${a  } b`);')
    'const a=b/2;return(`${a  } b`);'
    >>> squeezed("{ a(); } { for (;;); } { if (b) c(); else; }")
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
