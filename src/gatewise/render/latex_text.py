"""Text as LaTeX: names come from files and from people; whatever is in them, they are text and not commands."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

from gatewise.render import latex_formula, text
from gatewise.render.latex_formula import GREEK
from gatewise.render.layout import write_words
from gatewise.walkthrough.parts import Words

_MATHEMATICS = GREEK | {
    "\N{MICRO SIGN}": r"\mu",
    "·": r"\cdot",
    "×": r"\times",
    "÷": r"\div",
    "−": "-",
    "±": r"\pm",
    "→": r"\to",
    "←": r"\leftarrow",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∞": r"\infty",
    "√": r"\surd",
    "°": r"^{\circ}",
    "²": "^{2}",
    "³": "^{3}",
    "¹": "^{1}",
    "ᵀ": r"^{\top}",
    "∂": r"\partial",
    "∑": r"\sum",
}
_TEXT = {letter: rf"\ensuremath{{{command}}}" for letter, command in _MATHEMATICS.items()} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # a bracket or a star after the end of a row would be read as its option
    "*": "{*}",
    "…": r"\dots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": "`",
    "’": "'",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "£": r"\pounds{}",
    "§": r"\S{}",
    "¿": "?`",
    "¡": "!`",
    "\N{NO-BREAK SPACE}": "~",
    **{c: f"\\{c}" for c in "{}#$%&_"},
}
_LIGATURES = frozenset(("--", "''", "``", "?`", "!`", ",,", "<<", ">>"))
# Letters that pdfTeX makes in its own fonts, from a letter and an accent.
_LETTERS = frozenset(map(chr, range(0xC0, 0x180))) - frozenset("×÷ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")


def escape(name: str) -> str:
    r"""Return any text as LaTeX that shows it and does nothing else.

    Examples
    --------
    >>> print(escape("50 % of $x_1$"), escape("日"))
    50 \% of \$x\_1\$ \letter{65E5}{日}
    """
    bare = unicodedata.normalize("NFC", text.clean(name))
    parts, run = [" "] if name[:1].isspace() else [], 0
    for before, c, after in zip(" " + bare, bare, bare[1:] + " ", strict=False):
        run = 0 if c == " " else run + 1
        if run and run % 24 == 0:  # a word as long as this may be a path
            parts.append(r"\allowbreak{}")
        if before + c in _LIGATURES:
            parts.append("{}")
        if c == "-" and before in " (=" and after.isdigit():
            parts.append("$-$")
        else:
            parts.append(_letter_latex(c))
    return "".join([*parts, " " if name[1:] and name[-1].isspace() else ""])


def _letter_latex(c: str) -> str:
    """Return one letter of a name as LaTeX, a command where pdfTeX's fonts lack it."""
    if c in _TEXT:
        return _TEXT[c]
    if unicodedata.category(c) == "Zs":
        return " "
    return c if c.isascii() or c in _LETTERS else rf"\letter{{{ord(c):04X}}}{{{c}}}"


def prose(words: Words) -> str:
    """Return text with symbols in it."""
    return write_words(words, lambda symbol: f"${latex_formula.formula(symbol)}$", escape)


def label(words: Words) -> str:
    """Return the name of a row or of a column, as long as names are."""
    return escape(text.short(words)) if isinstance(words, str) else prose(words)


def digits(words: Words) -> float:
    """Return the width of a row's or a column's name, in digits."""
    name = text.short(write_words(words, text.glued))
    return sum(cell_len(c) if c.isascii() or c in _LETTERS or c in _TEXT else 5 for c in name)
