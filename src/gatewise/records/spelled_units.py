"""Units of measurement as they are written in files: whether two spellings are of one unit."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

NAMES = {  # of a unit, by its other spellings
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("minute", "minutes", "mins"), "min"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("week", "weeks"), "wk"),
    **dict.fromkeys(("month", "months", "mon"), "mo"),
    **dict.fromkeys(("year", "years", "yr", "a"), "y"),
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre", "millimetres"), "mm"),
    **dict.fromkeys(("kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("watt", "watts"), "W"),
    **dict.fromkeys(("joule", "joules"), "J"),
    **dict.fromkeys(("pascal", "pascals"), "Pa"),
    **dict.fromkeys(("percent", "pct"), "%"),
    **dict.fromkeys(("kelvin", "degk", "deg_k", "degrees_kelvin"), "K"),
    **dict.fromkeys(("°c", "degc", "deg_c", "degree_c", "degrees_c", "celsius", "degree_celsius"), "C"),
    **dict.fromkeys(("degrees_celsius", "deg_celsius"), "C"),
    **dict.fromkeys(("°f", "degf", "deg_f", "fahrenheit", "degree_fahrenheit", "degrees_fahrenheit"), "F"),
}
NO_UNIT = ("-", "none", "unitless", "dimensionless", "fraction")
# Patterns are compiled with the first unit, not with the program's help.
_DEGREES = r"(?i)\b(deg|degrees?)\s+(?=[a-z])"
_FACTOR = r"([^\d\s+-]+)([+-]?\d{1,3})?"
_PRODUCT = r"(?<=[^\W_])\s*[.·*×⋅]\s*(?=[^\W\d_])"


def same_unit(one: str, other: str) -> bool:
    """Return whether two units are the same, however they are spelled: ``mm/day``, ``mm d-1``, ``kg m**-2 d**-1``.

    A unit that is not stated may be any; nothing is converted.
    """
    return not one.strip() or not other.strip() or _factors(one) == _factors(other)


def _factors(text: str) -> Counter[str] | str:
    """Return the power of each unit in a product; the text without blanks where it is written otherwise."""
    plain = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").strip()
    if plain.lower() in NO_UNIT:
        return Counter()
    plain = re.sub(r"\s+per\s+", "/", plain).replace("**", "").replace("^", "")
    plain = re.sub(_DEGREES, r"\1_", plain)
    powers: Counter[str] = Counter()
    for number, part in enumerate(plain.split("/")):
        for factor in re.sub(_PRODUCT, " ", part.strip("() ")).split():
            if factor == "1":
                continue
            if (match := re.fullmatch(_FACTOR, factor)) is None:
                return re.sub(r"\s", "", plain)
            name = match[1] if len(match[1]) == 1 else NAMES.get(match[1].lower(), match[1])
            powers[NAMES.get(name, name)] += int(match[2] or 1) * (-1 if number else 1)
    if powers["kg"] == 1 and powers["m"] == -2:  # of water
        powers.update({"kg": -1, "m": 2, "mm": 1})
    return Counter({name: power for name, power in powers.items() if power})
