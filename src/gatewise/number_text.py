"""A number as people type it: the spellings that tables, options, sheets and settings have in common.

docs/walking.md lists them. A text that could be two different numbers is none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 1000  # characters of a number
SIGNS = str.maketrans(
    {**dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}－", "-"), "＋": "+", "．": ".", **dict.fromkeys("·⋅×∙", "*")}
)
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
# Patterns are compiled with the first number, not with the program's help.
_EXPONENT = r"(?<=10)[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
_BEFORE_SIGN = r" (?=%)| ?\* ?(?=10)|(?<=10) (?=\^|\*\*)|(?<=[\^*]) (?=[({+-]?\d)"
_NUMERAL = r"([+-]?) ?(\d*)([.,]?)(\d*)(?:(?:[eE]|\*10(?:\^|\*\*))[({]?([+-]?\d{1,8})[)}]?)?(%?)"
_THOUSANDS = r"[1-9]\d{0,2}([.,])\d{3}"


class Numeral(NamedTuple):
    """The parts of a number as it was typed; the decimal mark is a point, a comma, or empty."""

    sign: str
    integer: str
    mark: str
    decimals: str
    exponent: str
    percent: str

    @property
    def shift(self) -> int:
        """The power of ten that the digits are multiplied by."""
        return int(self.exponent or 0) - (2 if self.percent else 0)

    @property
    def value(self) -> float:
        """The number, with its mark as a decimal mark; infinite if it is too large."""
        return float(f"{self.sign}{self.integer}.{self.decimals}e{self.shift}")

    @property
    def may_have_thousands(self) -> bool:
        """Whether the mark may separate thousands, as in 1,234 and 1,234e5."""
        return re.fullmatch(_THOUSANDS, f"{self.integer}{self.mark}{self.decimals}") is not None

    @property
    def tells_its_mark(self) -> bool:
        """Whether the mark can only be a decimal mark; nobody groups the thousands of 1,234e5."""
        return bool(self.mark and (self.exponent or self.percent or not self.may_have_thousands))


def tidy(text: str) -> str:
    """Return a text with single blanks and the signs of a keyboard."""
    text = " ".join(text.translate(SIGNS).split())
    return re.sub(_BEFORE_SIGN, lambda match: match[0].strip(), text)


def numeral(text: str) -> Numeral | None:
    """Return the parts of a number that somebody typed; None for any other text."""
    if len(text) > LONGEST:
        return None
    match = re.fullmatch(_NUMERAL, text)
    if match is None:
        match = re.fullmatch(_NUMERAL, tidy(re.sub(_EXPONENT, lambda raised: "^" + raised[0].translate(_RAISED), text)))
    return Numeral(*(part or "" for part in match.groups())) if match and (match[2] or match[4]) else None


def parse_number(text: str) -> float:
    """Return the number that a text is, with a decimal point; also nan and inf.

    Raise ValueError for any other text: digits grouped by marks, blanks or underscores, a decimal comma, a percentage.
    """
    if "_" not in text:  # which `float` leaves out
        try:
            return float(text)
        except ValueError:
            pass
    parts = numeral(text)
    if parts is None or parts.mark == "," or parts.percent:
        raise ValueError(f"it must be a number, not {text!r}")
    return parts.value


def parse_integer(text: str) -> int:
    """Return the integer that a text is, in digits alone; ValueError for any other text, such as 1.0 and 1e3."""
    plain = tidy(text)
    if re.fullmatch(rf"[+-]?\d{{1,{LONGEST}}}", plain) is None:
        raise ValueError(f"it must be an integer, not {text!r}")
    return int(plain)


def spelling_hint(text: str) -> str:
    """Return a hint on spelling numbers, for the end of an error about a text; empty if the text has no digit."""
    return "; write numbers like 1234.5 or 1.5e3" if any(map(str.isnumeric, text)) else ""
