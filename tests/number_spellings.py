"""The spellings of numbers that docs/walking.md lists, each with the number that it is, or None if it is refused."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "walking.md"
REFUSED, READ = (
    re.compile(pattern, re.MULTILINE) for pattern in (r"^\| (`.*) \| refused.* \|$", r"^\| (`.*) \| (-?[\d.]+) \|$")
)


def listed() -> dict[str, float | None]:
    """Return the spellings of the table."""
    text = PAGE.read_text(encoding="utf-8").split("### Numbers that you type")[1].split("Where the places differ")[0]
    spellings: dict[str, float | None] = {}
    for row in READ.finditer(text):
        spellings |= dict.fromkeys(re.findall("`([^`]+)`", row[1]), float(row[2]))
    for row in REFUSED.finditer(text):
        spellings |= dict.fromkeys(re.findall("`([^`]+)`", row[1]), None)
    return spellings


SPELLINGS = listed()
