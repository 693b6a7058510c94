"""Numbers that people type: in options, tables, sheets and settings they are what was meant, or refused."""

from __future__ import annotations

import random
import re
from pathlib import Path

from hostile.trying import Refused, asked, hostile, silent

GROUPS = (",", ".", " ", "'", "_", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "’", "·")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
FULL_WIDTH = str.maketrans("0123456789.-", "０１２３４５６７８９．－")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FRACTIONS = {"½": 0.5, "¼": 0.25, "⅓": 1 / 3, "1/2": 0.5, "1½": 1.5, "2 1/4": 2.25}


def spelled(chance: random.Random) -> tuple[str, float | None]:
    """Return a text, and the only number that it may be read as; None if it has none."""
    value = round(chance.uniform(-10, 10) * 10 ** chance.choice([-3, 0, 0, 2, 5]), chance.choice([0, 1, 3, 6]))
    text = f"{value:.{chance.choice([0, 1, 3, 6])}f}"
    value = float(text)
    match chance.randrange(14):
        case 0:
            return text.translate(FULL_WIDTH), value
        case 1:
            return text.translate(ARABIC), value
        case 2:
            return text.replace("-", chance.choice("−–—－")), value
        case 3:
            mantissa, exponent = f"{value:.6e}".split("e")
            value = float(f"{mantissa}e{exponent}")
            power = str(int(exponent))
            form = chance.choice(["e", "E", "·10^", "×10^", "*10**", "·10"])
            return mantissa + form + (power.translate(SUPERSCRIPTS) if form == "·10" else power), value
        case 4:
            return f" {text}\t" if chance.random() < 0.5 else f"+{text.lstrip('-')}", abs(
                value
            ) if "+" in text else None
        case 5:
            return re.sub(r"(?<=\d)(?=(\d{3})+(?!\d))", chance.choice(GROUPS), f"{chance.randrange(1000, 10**7)}"), None
        case 6:
            return f"{chance.randrange(1, 999)},{chance.randrange(0, 999):03d}.{chance.randrange(99)}", None
        case 7:
            return text.replace(".", ",") if "." in text else text + ",", value
        case 8:
            return f"{text} %", value / 100
        case 9:
            return chance.choice([*FRACTIONS]), None
        case 10:
            return text + chance.choice(
                ["²", "³", " m", "€", "d3", "f", "j", "L", "e", "e+", "x", "?", "!", "..", "-", "+1"]
            ), None
        case 11:
            return chance.choice(
                [
                    "0x10",
                    "0b1",
                    "0o7",
                    "1e400",
                    "-1e400",
                    "inf",
                    "nan",
                    "NaN",
                    "Infinity",
                    "1__0",
                    "1_0",
                    "--1",
                    "+-1",
                    "①",
                    "五",
                    "Ⅴ",
                    "1e1e1",
                    "0.1.2",
                    "",
                    "-",
                    ".",
                    "e5",
                ]
            ), None
        case 12:
            return "9" * chance.choice([10, 400, 5000]), None
        case _:
            return text, value


SHEETS = ("in_a_sheet", "in_a_text_of_json", "in_a_sheet_of_json", "in_a_workbook", "in_a_notebook")  # with percentages


@hostile("numbers that people type", needs=("openpyxl",))
def typed(chance: random.Random, folder: Path) -> None:
    """What is read must be the number; it may always be refused, but for the plainest spellings."""
    from tests.test_number_text import LISTS, PLACES

    text, expected = spelled(chance)
    name = chance.choice([*PLACES])
    if (name in LISTS and (not text or re.search(r"[,\]\[;\"{}]", text))) or ("\t" in text and name == "in_a_table"):
        raise Refused("what separates numbers there")
    if text.strip() == "5":
        expected = 5.0
    try:
        found = asked(_without_own_errors, PLACES[name], text)
    except Refused:
        plain = re.fullmatch(r"-?\d{1,15}(\.\d+)?", text) is not None and text.isascii()
        if plain and expected is not None and not (expected <= 0 and name in ("in_points", "in_an_option")):
            silent(f"a plain number is refused: {text!r} {name}")
        raise
    if found != found:  # a blank of a sheet
        if re.search(r"\d", text):
            silent(f"a number is a blank: {text!r} {name}")
        return
    if isinstance(found, int):  # a setting, which may be longer than a float
        found = float(found) if abs(found) < 10**300 else float(text)
    plain = text.strip().replace("+", "")
    if expected is None:
        try:
            expected = float(plain) if "_" not in plain else None
        except ValueError:
            expected = None
    if expected is None or (found != expected and abs(found - expected) > 1e-12 * abs(expected)):
        silent(f"another number is read: {text!r:.80} is {found!r} {name}")
    if "%" in text and name not in SHEETS:
        silent(f"a percentage is read: {text!r} {name}")


def _without_own_errors(place, text):
    """Return what is read in a place; what the place itself raises is a refusal as well."""
    from cyclopts import CycloptsError

    import gatewise as gw

    try:
        return place(text)
    except (ValueError, KeyError, CycloptsError) as problem:
        if isinstance(problem, gw.GatewiseError):
            raise
        raise gw.OptionError("it is refused") from None
