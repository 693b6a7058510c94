"""Numbers as people and programs write them, each with half a unit of its last digit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gatewise.errors import shown
from gatewise.number_text import LONGEST, SIGNS, numeral, spelling_hint, tidy

Nested = Any  # a numeral as it is written, or a list of Nested

TRANSPOSE_MARKS = ("T", ".T", "^T", "^{T}", "^\\top", "ᵀ", "'")  # behind a row that stands for a column
MAX_NUMBERS = 1_000_000  # numbers of one quantity
MAX_DEPTH = 4  # lists in lists
_BLANKS = {"", "n/a", "na", "none", "null"}
_CELL_ENDS = dict.fromkeys(map(ord, "\t|"), ";")
_OF_NUMPY = re.compile(r"\b(?:np|numpy)\.float[0-9]{1,3}\(([^()\[\]]*)\)")  # as NumPy 2 writes a number within a list
_CALL = re.compile(r"[A-Za-z_][A-Za-z_.]{0,40}\((.*)\)")  # tensor(…), np.array(…)
_KEYWORDS = re.compile(r"(?:, ?[a-z_]+ ?=.*)?")  # dtype=float32, grad_fn=<…>
_GROUPED = re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:\.\d*)?")
_BRACKETS = re.compile(r"[\[\](){}]|[^\[\](){}]+")


def is_blank(text: str) -> bool:
    """Return whether a text is a blank: nothing, a dash, a line to write on, n/a."""
    return not text.translate(SIGNS).strip("-_? \t\n") or text.strip().casefold() in _BLANKS


def is_number(text: str) -> bool:
    """Return whether a text is one number."""
    return numeral(text) is not None


class DecimalMarks:
    """The decimal mark of a text, as all its numbers together tell.

    A comma in a number marks decimals. Where it may separate thousands instead, as in 1,234, another number must settle
    that; and so it must for a point, where commas mark decimals.
    """

    def __init__(self, numerals: Iterable[str]) -> None:
        """Find the decimal marks that the numerals of a sheet use for sure."""
        self.sure = {".": False, ",": False}
        for text in numerals:
            parts = numeral(text) if "." in text or "," in text else None
            if parts is not None and parts.tells_its_mark:
                self.sure[parts.mark] = True

    def number(self, text: str) -> tuple[float, float] | None:
        """Return a hand-written number, and half a unit of its last digit; None for a blank.

        Raise ValueError if it is not a number, or could be two different ones.
        """
        if len(text) > LONGEST:
            raise ValueError(f"{shown(text, 20)!r} is too long for a number: it has over {LONGEST:,} characters")
        if is_blank(text):
            return None
        parts = numeral(text)
        if parts is None:
            raise ValueError(f"{shown(text, 60)!r} is not a number{spelling_hint(text)}")
        if parts.mark and (self.sure[","] or parts.mark == ",") and parts.may_have_thousands:
            other_mark = "," if parts.mark == "." else "."
            if not self.sure[parts.mark] or self.sure[other_mark]:
                raise ValueError(
                    f"{shown(text, 60)!r} may be {parts.integer}.{parts.decimals} or {parts.integer}{parts.decimals};"
                    " decimals must be marked by points throughout, or by commas throughout"
                )
        value = parts.value
        if abs(value) == float("inf"):
            raise ValueError(f"{shown(text, 60)!r} is too large")
        last_exponent = parts.shift - len(parts.decimals)
        if value == 0:  # written 0e9, it is a zero all the same
            last_exponent = min(last_exponent, 0)
        return value, 0.5 * 10.0 ** max(-300, min(last_exponent, 300))


def iterate_numerals(nested: Nested) -> Iterator[str]:
    """Yield the numerals in nested lists, as they are written on a sheet."""
    if isinstance(nested, str):
        yield nested
        return
    for item in nested:
        yield from iterate_numerals(item)


def parse_numbers(text: str) -> Nested:
    """Return the numerals in a sheet's text, between brackets, commas, semicolons or blanks, as nested lists.

    Raise ValueError if they cannot be separated.
    """
    text = tidy(_OF_NUMPY.sub(r"\1", text.strip("$| \t\r\n").translate(_CELL_ENDS)))
    if text.count(" ") > 2 * MAX_NUMBERS:
        raise ValueError(f"it has more than {MAX_NUMBERS:,} numbers")
    if "," not in text and (is_blank(text) or is_number(text)):
        return text
    call = _CALL.fullmatch(text)
    if call:
        text = call[1].strip()
    if not text.startswith(("[", "(")):
        text, comma, keywords = text.partition(",") if call else (text, "", "")
        if not _KEYWORDS.fullmatch(comma + keywords):
            raise ValueError(f"{shown(text + comma + keywords, 60)!r} is not a number")
        return _split_numerals(text, bracketed=False)
    numbers, rest = _parse_brackets(text)
    if rest and rest not in TRANSPOSE_MARKS and not (call and _KEYWORDS.fullmatch(rest)):
        raise ValueError(f"what follows the brackets is not a number: {shown(rest, 60)!r}")
    return numbers


def _parse_brackets(text: str) -> tuple[Nested, str]:
    result: list[Nested] = []
    path = [result]
    for match in _BRACKETS.finditer(text):
        part = match[0]
        if part in "[({":
            if len(path) > MAX_DEPTH:
                raise ValueError(f"its lists are nested more than {MAX_DEPTH} deep")
            path[-1].append([])
            path.append(path[-1][-1])
        elif part in "])}":
            path.pop()
            if not path:
                raise ValueError("a bracket is closed that was not opened")
        elif len(path) > 1:
            if part.strip(" ,;"):
                numerals = _split_numerals(part.strip(" ").rstrip(",; "), bracketed=True)
                path[-1].extend([numerals] if isinstance(numerals, str) else numerals)
        elif part.strip(" ,;"):
            return result[0] if len(result) == 1 else result, text[match.start() :].strip()
    if len(path) > 1:
        raise ValueError("a bracket is not closed")
    return result[0] if len(result) == 1 else result, ""


def _split_numerals(text: str, *, bracketed: bool) -> Nested:
    """Return the numerals of a sheet's text without brackets: a list, or lists if semicolons end its rows."""
    if ";" in text:
        parts = [
            part if is_number(part) or " " not in part else _split_numerals(part, bracketed=False)
            for part in map(str.strip, text.split(";"))
        ]
        rows = any(isinstance(part, list) for part in parts)
        return [part if isinstance(part, list) else [part] for part in parts] if rows else parts
    if "," not in text:
        return text.split(" ") if " " in text else text
    if ", " in text or "." in text or text.endswith(","):
        spaced = [part.strip() for part in text.split(", ")]
        if "." not in text and all("," in part for part in spaced):
            return spaced  # 0,49, 0,50: those between the numbers have a blank
        if "." not in text and any("," in part for part in spaced):
            raise ValueError(f"which of the commas in {shown(text, 60)!r} mark decimals is unclear")
        parts = [part.strip() for part in text.split(",")]
        whole = [is_number(part) or _GROUPED.fullmatch(part) for part in parts]  # - 3 is a number, and 1 000 unclear
        return [
            number for part, one in zip(parts, whole, strict=True) for number in ([part] if one else part.split(" "))
        ]
    if " " in text:
        return text.split(" ")  # 0,49 0,50
    if text.count(",") == 1 and not bracketed:
        left, _, right = text.partition(",")
        raise ValueError(f"{shown(text, 60)!r} may be {shown(left, 20)}.{shown(right, 20)}, or two numbers")
    return text.split(",")
