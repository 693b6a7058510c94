"""Rosters, sheets to hand out, folders that come back and mark books, of students with any names."""

from __future__ import annotations

import csv
import random
import unicodedata
from pathlib import Path

from hostile.sheets import tags
from hostile.trying import Ended, Fault, command, contents, hostile, silent

NAMES = (
    *(
        '=HYPERLINK("http://x.y","Ada")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\t=1+1",
        "\r=1",
        "|x",
        "%0A=1",
    ),
    *(
        "../../etc/passwd",
        "..",
        ".",
        "/root",
        "C:\\Windows",
        "CON",
        "nul.txt",
        "aux",
        "COM1",
        "a/b",
        "a\\b",
        "~",
        "$HOME",
        "`id`",
    ),
    *(
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        '"><svg onload=alert(1)>',
        "&lt;b&gt;",
        "{{7*7}}",
    ),
    *(
        "Ada\u202eecalevoL",
        "A\u0308da",
        "Äda",
        "Ada",
        "ada",
        "ADA",
        "Zoë",
        "Łukasz Dąbrowski",
        "李雷",
        "Владимир",
        "محمد",
        "😀",
    ),
    *(
        "O'Neill",
        "Smith, John",
        "x" * 300,
        "a;b",
        'a"b',
        "\u200b",
        "\ufeffAda",
        "Ada ",
        "-",
        "_",
        "1",
        "1.5",
        "None",
        "NaN",
    ),
)


@hostile("rosters and mark books: any names", seconds=60, share=1.5)
def rosters(chance: random.Random, folder: Path) -> None:
    """Files stay in their folder, marks have a row for everyone and no formula, and names stay texts."""
    count = chance.randrange(1, 7)
    names = chance.sample(NAMES, count)
    head = chance.choice([[], ["name"], ["student", "group"]])
    separator = chance.choice(",;\t")
    with open("roster.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([head] if head else [])
        writer.writerows([name, *(["A"] if len(head) > 1 else [])] for name in names)
    command("exercise", "--students", "roster.csv", "-o", "hw", "--seed", chance.randrange(9), writes=("hw",))
    made = contents("hw")
    keys = [name for name in made if name.startswith("keys/") and name.endswith(".json")]
    if len(keys) != count:
        silent(f"there are {len(keys)} keys for {count} students: {names}")
    for name in made:
        parts = Path(name).parts
        if (
            ".." in parts
            or len(parts) > 2
            or len(parts[-1].encode()) > 255
            or any(unicodedata.category(c) == "Cc" for c in name)
        ):
            raise Fault("lost", f"a file has an unsafe name: {name!r} of {names}")
    for name in keys:
        if chance.random() < 0.7:
            source = Path("hw/sheets", Path(name).with_suffix(".csv").name)
            Path("hw/answers", source.name).write_bytes(source.read_bytes().replace(b"\n", b",0.5\n", 1))
    ended = command("check", "hw", writes=("hw",), codes=(0, 1, 2))
    judge_marks(count, names, ended)


def judge_marks(count: int, names: list[str], ended: Ended) -> None:
    with open("hw/marks.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(
            csv.reader(
                file, delimiter=";" if ";" in Path("hw/marks.csv").read_text("utf-8-sig").split("\n")[0] else ","
            )
        )
    if len(rows) != count + 1:
        silent(f"the marks have {len(rows) - 1} rows for {count} students: {names}")
    for row in rows:
        for one in row:
            if one[:1] in ("=", "+", "-", "@", "\t", "\r", "|") and not is_number(one) and one != "-":
                raise Fault("executed", f"a formula in the marks: {one!r}")
    for path in Path("hw").rglob("*.html"):
        found = tags(path.read_text(encoding="utf-8"))
        if any("onerror" in tag or "onload" in tag or tag.startswith("img") for tag in found):
            raise Fault("executed", f"markup of a name is in {path}: {names}")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
