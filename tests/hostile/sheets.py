"""Sheets of answers, lessons and pages of lessons: a bad number costs its line, and texts stay texts."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import TRACEBACK, Fault, Refused, asked, hostile, numbers, sentence_fault, silent

BAD = (
    *(
        "1_000",
        "½",
        "1e999",
        "9" * 5000,
        "0x10",
        "abc",
        "#REF!",
        "#DIV/0!",
        "1.2.3",
        "∞",
        "NaN",
        "inf",
        "=A1+1",
        "1e",
        "五",
    ),
    *("0.5a", "..", "+-1", "<b>1</b>", "true", "1j", "0.5!", "1/3", "%", "0.5%%", "²"),
)
RENAMED = ("words", "Olah's names", "Keras' names", "LaTeX", "raised steps")
NAMES = ("z", "a_f", "f", "a_g", "g", "c", "h", "df", "dg", "dh_prev", "da_g", "dW_f")


def drawn(chance: random.Random) -> dict[str, np.ndarray]:
    """Return numbers of a cell under gatewise's names."""
    rng, units = numbers(chance), chance.randrange(2, 4)
    shapes = {"z": (units + 2,), "dW_f": (units, units + 2)}
    chosen = chance.sample(NAMES, chance.randrange(3, len(NAMES)))
    return {name: rng.normal(0, 1, shapes.get(name, (units,))) for name in NAMES if name in chosen}


@hostile("answer sheets in every spelling, with a bad number", needs=("openpyxl",), share=1.5)
def answer_sheets(chance: random.Random, folder: Path) -> None:
    """Every quantity is read as it was written, but for one whose line has a number that is none."""
    from spellings import SPELLINGS

    from gatewise.grading import sheet

    spelling = chance.choice([name for name in SPELLINGS if name not in RENAMED])
    digits, answers = chance.randrange(2, 7), drawn(chance)
    ending, content = SPELLINGS[spelling](answers, digits)
    bad = chance.choice(BAD) if chance.random() < 0.7 else None
    if bad is not None and ending not in ("xlsx", "npz"):
        content = with_bad_number(content, bad, chance)
    path = Path(f"x.{ending}")
    path.write_bytes(content)
    read = asked(sheet.read, path)
    for fault in read.faults:
        if wrong := sentence_fault(str(fault)):
            raise Fault(TRACEBACK, f"a fault of a sheet: {wrong}")
    faulty = {fault.name for fault in read.faults}
    if bad is None and (faulty or set(read.answers) != set(answers)) and spelling != "blanks":
        silent(f"a plain sheet is not read: {spelling}, {sorted(faulty)}: {content[:300]!r}")
    for name, value in answers.items():
        found = read.answers.get(name)
        if found is None or name in faulty:
            continue
        tolerance = max(1e-5 * abs(value).max(), 0.5 * 10.0**-digits * 1.000001)
        size = value.shape[-1]
        values = found.values[..., :size].reshape(value.shape) if found.values.size >= value.size else found.values
        if values.shape != value.shape:
            if bad is None:
                silent(f"another shape is read: {name} in {spelling}: {content[:300]!r}")
            continue  # the number has become a blank, or a name
        off = np.abs(values - value) > tolerance
        if off.any():
            silent(
                f"another number is read: {name} = {values[off]}, not {value[off]}, {bad!r:.30} in {spelling}:"
                f" {content[:300]!r}"
            )


def with_bad_number(content: bytes, bad: str, chance: random.Random) -> bytes:
    """Return a sheet in which one number is replaced by a text that is none."""
    encoding = next(
        (
            name
            for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
            if content.startswith(mark)
        ),
        "utf-8",
    )
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text, encoding = content.decode("cp1252"), "cp1252"
    if "\0" in text:
        text, encoding = content.decode("utf-16-be"), "utf-16-be"
    places = list(re.finditer(r"-?\d+[.,]\d+(?![\d.])", text))
    if not places:
        raise Refused("it has no number to spoil")
    place = chance.choice(places)
    try:
        return (text[: place.start()] + bad + text[place.end() :]).encode(encoding)
    except UnicodeEncodeError:
        raise Refused("the letters are not in this encoding") from None


@hostile("workbooks and notebooks: odd cells", needs=("openpyxl",))
def workbooks(chance: random.Random, folder: Path) -> None:
    """A cell of another type, an error, a date, a formula costs its line."""
    import datetime

    from openpyxl import Workbook

    from gatewise.grading import sheet

    odd: Any = chance.choice(
        [
            *BAD,
            True,
            datetime.date(2001, 2, 3),
            datetime.timedelta(hours=3),
            "=1/0",
            "=0.5",
            " 0.5 ",
            "'0.5",
            "0,5",
            None,
        ]
    )
    if chance.random() < 0.5:
        book = Workbook()
        book.worksheets[0].append(["f", 0.25, odd])
        book.worksheets[0].append(["i", 0.5, 0.75])
        if isinstance(odd, str) and not odd.startswith("=") and chance.random() < 0.5:
            book.worksheets[0]["C1"].data_type = chance.choice(["n", "s", "e", "inlineStr", "b"])
        try:
            book.save("x.xlsx")
        except Exception as problem:
            raise Refused(f"openpyxl does not write it: {problem}") from None
        path = "x.xlsx"
    else:
        cells = [{"source": "`f`, array (2)"}, {"source": f"f = [0.25, {odd}]"}]
        cells += [{"source": "`i`, array (2)"}, {"source": "i = [0.5, 0.75]"}]
        if chance.random() < 0.3:
            cells[1] |= {"source": "f = compute()", "outputs": [{"text": [f"[0.25, {odd}]"]}]}
        Path("x.ipynb").write_text(json.dumps({"cells": cells, "metadata": chance.choice([{}, {"n": 10**3000}])}))
        path = "x.ipynb"
    read = asked(sheet.read, path)
    if "i" not in read.answers or read.answers["i"].values.tolist() != [0.5, 0.75]:
        silent(f"a good line is lost: {odd!r:.50} in {path}")
    found = read.answers.get("f")
    if found is not None and found.values.size == 2 and not (found.values[1] == 0.5 or np.isnan(found.values[1])):
        silent(f"an odd cell is a number: {odd!r:.50} is {found.values[1]}")


# Lessons.

LESSON = Path(__file__).parents[2] / "docs" / "lesson" / "accumulator.json"
MARKUP = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "${alert(1)}",
    "\u202e",
    "\x00",
    "a" * 3000,
    "]]>",
    "&lt;",
)


@cache
def tags(text: str) -> tuple[str, ...]:
    """Return the elements of a page in their order, each with the names of its attributes."""
    from html.parser import HTMLParser

    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            found.append(f"{tag} {' '.join(sorted(name for name, _ in attributes if name != 'class'))}")

    parser = Tags()
    parser.feed(text)
    return tuple(found)


@cache
def plain_lesson() -> tuple[str, ...]:
    import gatewise as gw

    return tags(gw.page(lesson=LESSON).html)


@hostile("lessons of a teacher's own, with any value changed", seconds=60)
def lessons(chance: random.Random, folder: Path) -> None:
    """A lesson is refused at its first wrong place, or its page has the elements of any other."""
    from fuzzing import in_json

    import gatewise as gw

    data = LESSON.read_bytes()
    for _ in range(chance.choice([1, 1, 2, 3])):
        data = in_json(data, chance)
    if chance.random() < 0.4:
        document = json.loads(data)
        with_markup(document, chance)
        data = json.dumps(document).encode()
    Path("x.json").write_bytes(data)
    page = asked(gw.page, lesson="x.json").html
    if tags(page) != plain_lesson():
        raise Fault("executed", f"the page has other elements: {data[:500]!r}")


def with_markup(document: Any, chance: random.Random) -> None:
    """Put markup in the place of one text of a document."""
    holder = document
    while isinstance(holder, (dict, list)) and holder:
        keys = [*holder] if isinstance(holder, dict) else [*range(len(holder))]
        key = chance.choice(keys)
        if isinstance(holder[key], str):
            holder[key] = chance.choice(MARKUP)
            return
        holder = holder[key]
